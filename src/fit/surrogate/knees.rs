//! Knees: where a response comes to stand still otherwise than its smooth part says.
//!
//! A converter's pulse is a line between two plateaus, and the line bends just before it reaches them: the last
//! femtocoulombs decide whether there is a pulse at all. A smooth process that had to follow that bend would ring along the
//! whole line. So samples that already stand still where the process says that they should not take no part in it; what they
//! miss is joined by an Ornstein-Uhlenbeck process through all samples, which along one axis is straight lines between
//! neighbours and elsewhere dies out where the next samples agree.

use nalgebra::DMatrix;

use super::kernel::Kernel;
use super::process::{Hyperparameters, Process};

/// Share of the span between the plateaus from which a difference is a knee and no noise.
pub(super) const SHARE: f64 = 2e-4;
/// Length of the correlation, as a multiple of the axis' range.
const LENGTH: f64 = 1.0;

/// What standing samples say beside the smooth part, in the unit cube.
#[derive(Debug, Clone)]
pub(super) struct Knees {
    misses: Process,
}

impl Knees {
    /// From samples at `points` and, for each, what a standing one lacks of the smooth prediction (zero for all others).
    /// `None` if nothing is lacking.
    pub(super) fn new(points: &[Vec<f64>], misses: &[f64], span: f64) -> Option<Knees> {
        let misses: Vec<f64> = misses.iter().map(|miss| if miss.abs() > SHARE * span { *miss } else { 0.0 }).collect();
        if misses.iter().all(|miss| *miss == 0.0) {
            return None;
        }
        let lengths = vec![LENGTH; points.first()?.len()];
        let hyper = Hyperparameters::stationary(Kernel::Exponential, lengths, 1e-9);
        let constant = DMatrix::from_element(points.len(), 1, 1.0);
        Some(Knees { misses: Process::new(&hyper, points, &constant, &misses)? })
    }

    /// For every sample, what is to be added there when the sample is left out.
    pub(super) fn leave_one_out(&self) -> Vec<f64> {
        let errors = self.misses.leave_one_out().into_iter();
        errors.zip(self.misses.observed()).map(|((error, _), observed)| observed + error).collect()
    }

    /// What is to be added to the smooth prediction.
    pub(super) fn value(&self, unit: &[f64]) -> f64 {
        self.misses.predict(unit, &[1.0]).mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn along_one_axis_a_miss_is_a_tent_between_its_neighbours() {
        let points: Vec<Vec<f64>> = [0.0, 0.4, 0.5, 0.55, 1.0].iter().map(|x| vec![*x]).collect();
        let knees = Knees::new(&points, &[0.0, 0.0, 2.0, 0.0, 0.0], 10.0).unwrap();
        for (x, expected) in [(0.4, 0.0), (0.45, 1.0), (0.5, 2.0), (0.525, 1.0), (0.55, 0.0), (0.2, 0.0), (0.8, 0.0)] {
            // A length of one bends a line over a tenth by (0.1)^2/8, and the mean that it returns to is a few hundredths.
            assert!((knees.value(&[x]) - expected).abs() < 0.02, "{x} {}", knees.value(&[x]));
        }
    }

    #[test]
    fn what_is_left_out_is_told_by_its_neighbours() {
        let points: Vec<Vec<f64>> = [0.0, 0.4, 0.5, 0.6, 1.0].iter().map(|x| vec![*x]).collect();
        let knees = Knees::new(&points, &[0.0, 1.0, 2.0, 1.0, 0.0], 10.0).unwrap();
        // Lines between neighbours: the middle would be 1, its neighbours 2 * 0.4/0.5, the ends something below 1.
        let expected = [None, Some(1.6), Some(1.0), Some(1.6), None];
        for (found, expected) in knees.leave_one_out().into_iter().zip(expected) {
            assert!(expected.is_none_or(|expected: f64| (found - expected).abs() < 0.1), "{found} {expected:?}");
        }
    }

    #[test]
    fn noise_is_no_knee() {
        let points: Vec<Vec<f64>> = (0..4).map(|k| vec![f64::from(k)]).collect();
        assert!(Knees::new(&points, &[1e-4, 0.0, -1e-4, 0.0], 1.0).is_none());
        assert!(Knees::new(&points, &[1e-3, 0.0, 0.0, 0.0], 1.0).is_some());
    }
}
