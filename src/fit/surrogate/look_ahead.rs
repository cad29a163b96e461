//! What simulating a place would tell of all others, before it is simulated.
//!
//! A variance does not depend on what is measured, only on where. So the expected fall of the mean squared error over the ranges
//! is known beforehand for every place that could be simulated next (D. A. Cohn, *Neural Networks* 9, 1071 (1996)): with `C` the
//! posterior covariance and `w` the weight of each reference point, the mean of `w C(reference, place)^2 / (C(place, place) +
//! noise)`. The greatest variance, taken instead, lies at the ends of the ranges, where a sample tells of little else.

use nalgebra::{DMatrix, DVector};

use super::process::{Process, Told};

/// Places that may be simulated together, and what those chosen so far leave uncertain.
pub struct LookAhead<'a> {
    process: &'a Process,
    places: Told,
    /// Posterior covariance of references (rows) and places, in the process' variance.
    shared: DMatrix<f64>,
    /// Posterior variance of each place, in the process' variance.
    variances: Vec<f64>,
    /// Per choice, the covariance with every place that it explained, over the root of its variance.
    explained: Vec<DVector<f64>>,
    /// Of each reference, over their number, in the measurement's unit squared.
    weights: Vec<f64>,
}

impl<'a> LookAhead<'a> {
    /// `unit` is the square of the measurement's unit per variance of the process.
    pub(super) fn new(
        process: &'a Process,
        places: Told,
        references: &Told,
        weights: &[f64],
        unit: f64,
    ) -> LookAhead<'a> {
        let share = unit / weights.len().max(1) as f64;
        let variances = (0..places.len()).map(|k| process.posterior(&places, k, k).max(0.0)).collect();
        LookAhead {
            process,
            shared: process.posteriors(references, &places),
            places,
            variances,
            explained: Vec::new(),
            weights: weights.iter().map(|weight| weight * share).collect(),
        }
    }

    /// By how much the mean squared error over the ranges is expected to fall when the place at `index` is simulated, too.
    pub fn gain(&self, index: usize) -> f64 {
        let told = self.variances[index] + self.process.hyperparameters().nugget;
        if !(told > 0.0) {
            return 0.0;
        }
        let shared = self.shared.column(index);
        shared.iter().zip(&self.weights).map(|(c, weight)| weight * c * c).sum::<f64>() / told
    }

    /// Takes note that the place at `index` is simulated.
    pub fn choose(&mut self, index: usize) {
        let told = self.variances[index] + self.process.hyperparameters().nugget;
        if !(told > 0.0) {
            return;
        }
        let known = |k: usize| self.explained.iter().map(|part| part[k] * part[index]).sum::<f64>();
        let left = |k: usize| (self.process.posterior(&self.places, k, index) - known(k)) / told.sqrt();
        let part = DVector::from_iterator(self.variances.len(), (0..self.variances.len()).map(left));
        let of = self.shared.column(index) / told.sqrt();
        self.shared.ger(-1.0, &of, &part, 1.0);
        for (variance, part) in self.variances.iter_mut().zip(&part) {
            *variance = (*variance - part * part).max(0.0);
        }
        self.explained.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::surrogate::{Hyperparameters, Kernel};

    const NOISE: f64 = 1e-3;

    /// Points on a line, with a constant or a line as trend.
    fn conditioned(points: &[f64], degree: usize) -> Process {
        let hyper = Hyperparameters::stationary(Kernel::Matern52, vec![0.3], NOISE);
        let trend = DMatrix::from_fn(points.len(), degree + 1, |i, j| points[i].powi(j as i32));
        let points: Vec<Vec<f64>> = points.iter().map(|x| vec![*x]).collect();
        let values: Vec<f64> = points.iter().map(|x| (5.0 * x[0]).sin()).collect();
        Process::new(&hyper, &points, &trend, &values).unwrap()
    }

    fn told(process: &Process, at: &[f64], degree: usize) -> Told {
        process.told(at.iter().map(|x| (vec![*x], [1.0, *x][..=degree].to_vec())).collect())
    }

    /// Weighted mean of the variances at `references`, in the process' variance.
    fn mean_variance(process: &Process, references: &[f64], weights: &[f64]) -> f64 {
        let share = |x: &f64| process.predict(&[*x], &[1.0, *x]).sd.powi(2) / process.variance();
        references.iter().zip(weights).map(|(x, weight)| weight * share(x)).sum::<f64>() / references.len() as f64
    }

    #[test]
    fn the_expected_fall_is_the_one_that_comes_after_one_choice_and_after_two() {
        let (points, places) = ([0.0, 0.15, 0.7, 1.0], [0.4, 0.55, 0.9]);
        let (references, weights) = ([0.05, 0.3, 0.5, 0.8, 0.95], [1.0, 2.0, 0.5, 0.0, 3.0]);
        let before = conditioned(&points, 1);
        let mut ahead =
            LookAhead::new(&before, told(&before, &places, 1), &told(&before, &references, 1), &weights, 4.0);
        let mut known = points.to_vec();
        let mut left = mean_variance(&before, &references, &weights);
        for chosen in [1, 2, 0] {
            let found = ahead.gain(chosen);
            ahead.choose(chosen);
            known.push(places[chosen]);
            let after = mean_variance(&conditioned(&known, 1), &references, &weights);
            assert!((found - 4.0 * (left - after)).abs() < 1e-9, "{found} {}", 4.0 * (left - after));
            left = after;
        }
        assert!(ahead.gain(1) < 0.01, "what is simulated says little when it is repeated: {}", ahead.gain(1));
    }

    #[test]
    fn the_end_of_the_range_is_least_certain_but_tells_less_than_a_place_within() {
        let process = conditioned(&[0.5, 0.6, 0.7, 0.8], 0);
        let references: Vec<f64> = (0..100).map(|k| (f64::from(k) + 0.5) / 100.0).collect();
        let ahead =
            LookAhead::new(&process, told(&process, &[0.0, 0.2], 0), &told(&process, &references, 0), &[1.0; 100], 1.0);
        assert!(process.predict(&[0.0], &[1.0]).sd > process.predict(&[0.2], &[1.0]).sd);
        assert!(ahead.gain(1) > ahead.gain(0), "{} {}", ahead.gain(1), ahead.gain(0));
    }
}
