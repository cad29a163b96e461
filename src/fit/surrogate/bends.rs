//! Bends before a plateau: samples that a smooth part cannot go through without harm to all others.
//!
//! A converter's line bends within the last hundredth before its pulse is as long as the window. A process of few samples has to be stiff
//! to tell of the line's whole length, and one sample on the bend makes it ring along all of that. How well the others are told
//! when each of them is left out shows it: where that error falls to less than half without the samples next to a plateau, these are left
//! to the knees, which join them by straight lines.

use super::{Axis, CHOSEN_ON, Options, Sample, Shape, Surrogate, knees};

/// What is left of the other samples' leave-one-out errors, in root mean square, without those that spoilt them.
const BENT: f64 = 0.5;
/// Samples beside a plateau that are looked at together.
const MOST_BENT: usize = 3;

impl Surrogate {
    /// The same without the fewest samples beside plateaus that spoil what the others tell of each other; `None` if none do.
    pub(super) fn without_bends(
        &self,
        axes: &[Axis],
        samples: &[Sample],
        options: &Options,
        start: Option<&Shape>,
        bent: &[usize],
    ) -> Option<(Vec<usize>, Surrogate)> {
        // Of many samples, a few cannot have spoilt the choices.
        let start = start.or((samples.len() > CHOSEN_ON).then_some(&self.shape));
        let [lower, upper] = [false, true].map(|plateau| self.beside(plateau, samples, bent));
        let negligible = knees::SHARE * self.clip.map(|(bottom, top)| top - bottom)?;
        let tried = |left_out: usize, count: usize| {
            let (lower, upper) = (lower.get(..left_out)?, upper.get(..count - left_out)?);
            let without = [bent, lower, upper].concat();
            let others = |k: usize| !without.contains(&k);
            let before = self.told(samples, bent, &others);
            if before <= negligible {
                return None;
            }
            let anew = Surrogate::fit_but(axes, samples, options, start, &without).ok()?;
            let left = anew.told(samples, &without, &others) / before;
            (left < BENT).then_some((left, without, anew))
        };
        (1..=lower.len() + upper.len()).find_map(|count| {
            let all = (0..=count).filter_map(|left_out| tried(left_out, count));
            all.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, without, anew)| (without, anew))
        })
    }

    /// Moving samples of the smooth part beside the lower or the upper plateau, the next one first.
    fn beside(&self, upper: bool, samples: &[Sample], bent: &[usize]) -> Vec<usize> {
        let standing: Vec<&Sample> = samples.iter().filter(|s| self.plateau(s.value) == Some(upper)).collect();
        let from = |s: &Sample| standing.iter().map(|other| self.distance(&s.at, &other.at)).reduce(f64::min);
        let moving = (0..samples.len()).filter(|k| self.plateau(samples[*k].value).is_none() && !bent.contains(k));
        let mut distances: Vec<(f64, usize)> = moving.filter_map(|k| Some((from(&samples[k])?, k))).collect();
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        distances.into_iter().take(MOST_BENT).map(|(_, k)| k).collect()
    }

    /// Leave-one-out error of the smooth part alone at some of its samples, in root mean square.
    fn told(&self, samples: &[Sample], bent: &[usize], at: &dyn Fn(usize) -> bool) -> f64 {
        let inside = (0..samples.len()).filter(|k| self.plateau(samples[*k].value).is_none() && !bent.contains(k));
        let errors = inside.zip(self.process.leave_one_out()).filter(|(k, _)| at(*k));
        let (sum, count) = errors.fold((0.0, 0.0), |(sum, count), (_, (error, _))| (sum + error * error, count + 1.0));
        if count > 0.0 { self.scale * (sum / count).sqrt() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXES: [Axis; 1] = [Axis { low: 0.0, high: 100.0 }];
    const OPTIONS: Options = Options { clip: Some((0.0, 60.0)), seed: 1 };

    /// A line of slope one from 20 on, which a tenth of the range before 80 rises by `bend` more, and plateaus.
    fn bent_line(x: f64, bend: f64) -> f64 {
        (x - 20.0 + bend * ((x - 70.0) / 10.0).max(0.0).powi(2)).clamp(0.0, 60.0)
    }

    fn fitted(points: &[f64], bend: f64) -> Surrogate {
        let sample = |x: &f64| Sample { at: vec![*x], low: None, value: bent_line(*x, bend) };
        let samples: Vec<Sample> = points.iter().map(sample).collect();
        Surrogate::fit(&AXES, &samples, &OPTIONS, None).unwrap()
    }

    #[test]
    fn samples_on_a_bend_are_joined_by_lines_and_leave_the_rest_of_the_line_as_it_is() {
        let points = [0.0, 25.0, 40.0, 55.0, 69.0, 74.0, 77.0, 79.0, 100.0];
        let surrogate = fitted(&points, 8.0);
        for x in [22.0, 30.0, 47.0, 62.0] {
            let found = surrogate.predict(&[x], None).mean;
            assert!((found - bent_line(x, 8.0)).abs() < 0.02, "{x}: {found}");
        }
        for x in [72.0, 75.5, 78.0] {
            let found = surrogate.predict(&[x], None).mean;
            // Lines between samples h apart miss the parabola of 0.08 x^2 by 0.02 h^2 at most: 0.5 for the widest.
            assert!((found - bent_line(x, 8.0)).abs() < 0.5, "{x}: {found}");
        }
    }

    #[test]
    fn a_plain_line_keeps_all_of_its_samples() {
        let points = [0.0, 25.0, 40.0, 55.0, 70.0, 78.0, 100.0];
        let surrogate = fitted(&points, 0.0);
        assert_eq!(surrogate.misfits.len(), 5, "samples of the smooth part");
        assert!((surrogate.predict(&[79.0], None).mean - 59.0).abs() < 1e-3);
    }
}
