//! The adaptive loop: simulate a batch, fit the surrogate, simulate next where it is least sure.
//!
//! Decisions depend on completed batches only, and within a batch on the order of its points, never on the order in which
//! they ended: the same points come whatever the number of workers and however often the run was killed. It stops when two
//! estimates are below the stated error: the leave-one-out error of the points, and the error on a few points that no fit
//! ever sees.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fit::surrogate::{Axis, Options, Sample, Shape, Surrogate};
use crate::rng;
use crate::spec::{AdaptiveSpec, ParameterSpec};
use crate::sweep::sobol;

/// Candidates that a batch is chosen from.
const CANDIDATES: u64 = 3000;
/// Kernel, scales and degree are chosen anew after so many batches; between, only lengths and nugget follow.
const CHOOSE_EVERY: usize = 4;

/// Why a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// Both estimates are below the stated error.
    ErrorReached,
    /// The most points that the file allows were simulated before that.
    MaxPoints,
    /// There is no other point in the ranges: every parameter has one value.
    NothingLeft,
}

/// One batch and what was known after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Points trained on so far.
    pub points: u64,
    /// Points that gave no value so far.
    pub failed: u64,
    /// Root mean square of the leave-one-out errors, as a share of full scale.
    pub left_out_error: f64,
    /// Root mean square error on the validation points, as a share of full scale.
    pub validation_error: f64,
    /// Time that the simulator has spent so far, validation included [s].
    pub simulated_s: f64,
}

/// What became of a sweep, round by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Measurement that decided.
    pub target: String,
    /// Error that was asked for, as a share of full scale.
    pub error: f64,
    /// Greatest absolute value met, in the measurement's unit.
    pub full_scale: f64,
    /// Why it ended.
    pub stopped: Stopped,
    /// Time of the static sweep behind it [s].
    pub low_simulated_s: f64,
    /// After every batch.
    pub rounds: Vec<Round>,
}

/// One simulated point: its value, if it ended well, and the time that it took [s].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The target.
    pub value: Option<f64>,
    /// Time of the simulation [s].
    pub wall_s: f64,
}

/// The samples, the surrogate they make, and how it came about.
#[derive(Debug, Clone)]
pub struct Refined {
    /// Training samples, in the order in which they were chosen.
    pub samples: Vec<Sample>,
    /// The last surrogate.
    pub surrogate: Surrogate,
    /// Its history.
    pub trace: Trace,
}

/// Ranges of the parameters.
pub fn axes(parameters: &[ParameterSpec]) -> Vec<Axis> {
    let end = |p: &ParameterSpec, pick: fn(f64, f64) -> f64| p.values.iter().copied().reduce(pick).unwrap_or(0.0);
    parameters.iter().map(|p| Axis { low: end(p, f64::min), high: end(p, f64::max) }).collect()
}

/// What the low fidelity gives at a point, in the target's unit.
pub type LowFidelity<'a> = dyn Fn(&[f64]) -> f64 + 'a;

/// Simulates points, one answer each in their order; the flag says whether they are for validation.
pub type Simulate<'a> = dyn FnMut(&[Vec<f64>], bool) -> Result<Vec<Measured>> + 'a;

/// Refines until `spec` is met. `simulate` gives one answer per point, in the order of the points; `validation` says
/// which of its two kinds a batch is. `low` is the low fidelity, where there is one.
///
/// # Errors
/// Those of `simulate`; `FitFailed` if too few points of the first batch end well.
pub fn refine(
    spec: &AdaptiveSpec,
    axes: &[Axis],
    low: Option<&LowFidelity<'_>>,
    simulate: &mut Simulate<'_>,
) -> Result<Refined> {
    let place = |unit: Vec<f64>| -> Vec<f64> {
        unit.iter().zip(axes).map(|(u, axis)| axis.low + (axis.high - axis.low) * u).collect()
    };
    let mut simulated_s = 0.0;
    let mut failed = 0;
    let mut measure = |points: Vec<Vec<f64>>, validation: bool, simulated_s: &mut f64, failed: &mut u64| {
        let answers = simulate(&points, validation)?;
        *simulated_s += answers.iter().map(|a| a.wall_s).sum::<f64>();
        *failed += answers.iter().filter(|a| a.value.is_none()).count() as u64;
        let sample = |(at, answer): (Vec<f64>, Measured)| {
            let low = low.map(|low| low(&at));
            answer.value.map(|value| Sample { at, low, value })
        };
        Ok::<_, crate::Error>(points.into_iter().zip(answers).filter_map(sample).collect::<Vec<Sample>>())
    };
    let d = axes.len();
    // The points that check come first: they are no others if the file asks for more points to begin with.
    let mut check = sobol(d, spec.validation + spec.initial, spec.seed);
    let first = check.split_off(spec.validation as usize);
    let check: Vec<Vec<f64>> = check.into_iter().map(place).collect();
    let first: Vec<Vec<f64>> = first.into_iter().map(|unit| place(towards_ends(unit))).collect();
    let mut known: BTreeSet<Vec<u64>> = check.iter().chain(&first).map(|at| bits(at)).collect();
    let mut samples = measure(first, false, &mut simulated_s, &mut failed)?;
    let check = measure(check, true, &mut simulated_s, &mut failed)?;
    let options = Options { clip: spec.clip, seed: spec.seed };
    let mut shape: Option<Shape> = None;
    let mut rounds: Vec<Round> = Vec::new();
    loop {
        let mut surrogate = Surrogate::fit(axes, &samples, &options, shape.as_ref())?;
        if shape.is_some() && rounds.len().is_multiple_of(CHOOSE_EVERY) {
            // What is chosen anew has to be better than what there was.
            let anew = Surrogate::fit(axes, &samples, &options, None)?;
            if anew.estimated_error() < surrogate.estimated_error() {
                surrogate = anew;
            }
        }
        shape = Some(surrogate.shape().clone());
        let full_scale = samples.iter().chain(&check).map(|s| s.value.abs()).fold(f64::MIN_POSITIVE, f64::max);
        let squares: f64 = check.iter().map(|s| (surrogate.predict(&s.at, s.low).mean - s.value).powi(2)).sum();
        let round = Round {
            points: samples.len() as u64,
            failed,
            left_out_error: surrogate.estimated_error() / full_scale,
            validation_error: (squares / check.len().max(1) as f64).sqrt() / full_scale,
            simulated_s,
        };
        let reached = round.left_out_error <= spec.error && round.validation_error <= spec.error;
        // A failed point counts as tried, so that a bench that always fails ends.
        let tried = samples.len() as u64 + failed;
        rounds.push(round);
        let seed = rng::bits(spec.seed, rounds.len() as u64, "adaptive", "candidates");
        let mut candidates: Vec<Vec<f64>> =
            sobol(d, CANDIDATES, seed).into_iter().map(|unit| place(towards_ends(unit))).collect();
        // A simulation says nothing new when it is repeated, and many candidates are folded onto the same corner.
        let mut seen = known.clone();
        candidates.retain(|at| seen.insert(bits(at)));
        if reached || tried >= spec.max_points || candidates.is_empty() {
            let stopped = match (reached, candidates.is_empty()) {
                (true, _) => Stopped::ErrorReached,
                (false, true) => Stopped::NothingLeft,
                (false, false) => Stopped::MaxPoints,
            };
            let (target, error) = (spec.target.clone(), spec.error);
            let trace = Trace { target, error, full_scale, stopped, low_simulated_s: 0.0, rounds };
            return Ok(Refined { samples, surrogate, trace });
        }
        let batch = choose(&surrogate, candidates, low, spec.batch.min(spec.max_points - tried));
        known.extend(batch.iter().map(|at| bits(at)));
        samples.extend(measure(batch, false, &mut simulated_s, &mut failed)?);
    }
}

/// A point as a key.
fn bits(at: &[f64]) -> Vec<u64> {
    at.iter().map(|x| x.to_bits()).collect()
}

/// Stretches the unit cube by a twentieth to each side and folds what is outside onto its faces: a surrogate is least
/// sure at the ends of the ranges, and a spread sequence never lies there.
fn towards_ends(unit: Vec<f64>) -> Vec<f64> {
    unit.into_iter().map(|u| (1.1 * u - 0.05).clamp(0.0, 1.0)).collect()
}

/// The `count` candidates that are least sure together: after each choice, what it will explain of the others is
/// taken off their variance.
fn choose(
    surrogate: &Surrogate,
    mut candidates: Vec<Vec<f64>>,
    low: Option<&LowFidelity<'_>>,
    count: u64,
) -> Vec<Vec<f64>> {
    let mut variance: Vec<f64> =
        candidates.iter().map(|at| surrogate.predict(at, low.map(|low| low(at))).sd.powi(2)).collect();
    let mut batch = Vec::new();
    while (batch.len() as u64) < count && !candidates.is_empty() {
        // The last of equals would do as well; what matters is that it is always the same one.
        let Some(best) = (0..candidates.len()).max_by(|a, b| variance[*a].total_cmp(&variance[*b])) else { break };
        let chosen = candidates.swap_remove(best);
        variance.swap_remove(best);
        for (other, variance) in candidates.iter().zip(&mut variance) {
            *variance *= (1.0 - surrogate.correlation(&chosen, other).powi(2)).max(0.0);
        }
        batch.push(chosen);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(error: f64, max_points: u64) -> AdaptiveSpec {
        AdaptiveSpec {
            target: "y".into(),
            error,
            initial: 12,
            batch: 6,
            max_points,
            validation: 8,
            seed: 5,
            clip: None,
        }
    }

    const AXES: [Axis; 2] = [Axis { low: 0.0, high: 1.0 }, Axis { low: 2.0, high: 4.0 }];

    fn bend(at: &[f64]) -> f64 {
        (3.0 * at[0]).sin() * at[1] + (-(at[0] - 0.8).powi(2) / 0.02).exp()
    }

    fn run(spec: &AdaptiveSpec) -> (Refined, Vec<Vec<f64>>) {
        let mut all = Vec::new();
        let refined = refine(spec, &AXES, None, &mut |points, _| {
            all.extend(points.to_vec());
            Ok(points.iter().map(|at| Measured { value: Some(bend(at)), wall_s: 1.0 }).collect())
        });
        (refined.unwrap(), all)
    }

    #[test]
    fn stops_at_the_stated_error_and_holds_it_elsewhere() {
        let (refined, _) = run(&spec(2e-3, 200));
        assert_eq!(refined.trace.stopped, Stopped::ErrorReached);
        let last = refined.trace.rounds.last().unwrap();
        assert!(last.points < 200 && last.left_out_error <= 2e-3 && last.validation_error <= 2e-3);
        assert_eq!(last.simulated_s, (last.points + 8) as f64);
        let grid = (0..400).map(|k| [f64::from(k % 20) / 19.0, 2.0 + 2.0 * f64::from(k / 20) / 19.0]);
        let squares: f64 = grid.map(|at| (refined.surrogate.predict(&at, None).mean - bend(&at)).powi(2)).sum();
        // Three times: the estimates come from some dozens of points.
        assert!((squares / 400.0).sqrt() / refined.trace.full_scale < 3.0 * 2e-3);
    }

    #[test]
    fn says_so_when_the_points_end_first() {
        let (refined, all) = run(&spec(1e-9, 30));
        assert_eq!(refined.trace.stopped, Stopped::MaxPoints);
        assert_eq!((refined.samples.len(), all.len()), (30, 38));
    }

    #[test]
    fn points_that_fail_are_counted_and_end_it_too() {
        let mut first = true;
        let refined = refine(&spec(1e-9, 40), &AXES, None, &mut |points, _| {
            let good = std::mem::replace(&mut first, false);
            let value = |at: &Vec<f64>| good.then(|| bend(at));
            Ok(points.iter().map(|at| Measured { value: value(at), wall_s: 1.0 }).collect())
        });
        let trace = refined.unwrap().trace;
        assert_eq!((trace.rounds.last().unwrap().points, trace.stopped), (12, Stopped::MaxPoints));
    }

    #[test]
    fn the_same_points_come_again() {
        let (one, two) = (run(&spec(1e-9, 30)).1, run(&spec(1e-9, 30)).1);
        assert_eq!(one, two);
    }
}
