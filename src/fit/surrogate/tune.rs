//! The most likely lengths and nugget, by a simplex search from a few keyed starts.

use super::kernel::Kernel;
use super::process::{Hyperparameters, Process, Straight};
use crate::rng;
use nalgebra::DMatrix;

/// Lengths, as multiples of the axis' range.
const LENGTHS: (f64, f64) = (0.03, 30.0);
/// What is not straight along a straight axis, in deviations of the line.
const BENDS: (f64, f64) = (1e-4, 1.0);
/// Deviation at a straight axis' lower end over that at its upper one.
const ENDS: (f64, f64) = (1e-3, 1e3);
/// Nugget: above what keeps the factorization safe in double precision, below one.
const NUGGETS: (f64, f64) = (1e-10, 1e-1);
/// Starts beside the first one.
const STARTS: u64 = 2;
/// Evaluations of the likelihood per axis of the search, per start.
const EVALUATIONS: usize = 30;

/// Where the search begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin<'a> {
    /// From a few places, for one kernel.
    Anew(Kernel),
    /// From here alone, for its kernel and its straight axes.
    At(&'a Hyperparameters),
}

/// The most likely process of one kernel; `None` if no start conditions.
pub(super) fn most_likely(
    points: &[Vec<f64>],
    trend: &DMatrix<f64>,
    observed: &[f64],
    begin: Begin<'_>,
    seed: u64,
) -> Option<Hyperparameters> {
    let axes = points.first()?.len();
    let first = match begin {
        Begin::Anew(kernel) => Hyperparameters::stationary(kernel, vec![1.0; axes], 1e-7),
        Begin::At(hyper) => hyper.clone(),
    };
    // In order: a length per axis, ends and bend per straight axis, the nugget; all as logarithms.
    let straight: Vec<(usize, Straight)> =
        first.straight.iter().enumerate().filter_map(|(axis, straight)| Some((axis, (*straight)?))).collect();
    let unknowns = axes + 2 * straight.len() + 1;
    let bound = |k: usize| match k {
        k if k < axes => LENGTHS,
        k if k + 1 == unknowns => NUGGETS,
        k if (k - axes).is_multiple_of(2) => ENDS,
        _ => BENDS,
    };
    let at = |x: &[f64]| {
        let value = |k: usize| x[k].exp().clamp(bound(k).0, bound(k).1);
        let mut hyper = Hyperparameters { nugget: value(unknowns - 1), ..first.clone() };
        hyper.lengths = (0..axes).map(value).collect();
        for (k, (axis, _)) in straight.iter().enumerate() {
            let [ends, bend] = [0, 1].map(|part| value(axes + 2 * k + part));
            hyper.straight[*axis] = Some(Straight { ends, bend });
        }
        hyper
    };
    // What lies outside the bounds costs a little, so that the simplex comes back.
    let outside = |x: &[f64]| -> f64 {
        let over = |k: usize, v: f64| (bound(k).0.ln() - v).max(v - bound(k).1.ln()).max(0.0);
        x.iter().enumerate().map(|(k, v)| over(k, *v).powi(2)).sum()
    };
    let cost = |x: &[f64]| {
        let likelihood = Process::new(&at(x), points, trend, observed).map(|process| process.log_likelihood());
        likelihood.map_or(f64::INFINITY, |l| -l + outside(x))
    };
    let lines = straight.iter().flat_map(|(_, straight)| [straight.ends, straight.bend]);
    let mut starts: Vec<Vec<f64>> =
        vec![first.lengths.iter().copied().chain(lines).chain([first.nugget]).map(f64::ln).collect()];
    for k in 0..if matches!(begin, Begin::At(_)) { 0 } else { STARTS } {
        let draw = |axis: usize| rng::uniform(seed, k, "surrogate", &axis.to_string());
        let length = |axis: usize| (0.2f64.ln()) + draw(axis) * (5.0f64 / 0.2).ln();
        starts.push((0..axes).map(length).chain([1e-8f64.ln() + draw(axes) * 1e5f64.ln()]).collect());
    }
    let found = starts.into_iter().map(|x| simplex(&cost, x, EVALUATIONS * unknowns));
    let best = found.min_by(|a, b| a.1.total_cmp(&b.1))?;
    best.1.is_finite().then(|| at(&best.0))
}

/// J. A. Nelder and R. Mead, Comput. J. 7, 308 (1965), with at most `evaluations` calls of `cost`.
fn simplex(cost: &dyn Fn(&[f64]) -> f64, start: Vec<f64>, evaluations: usize) -> (Vec<f64>, f64) {
    let n = start.len();
    let mut corners: Vec<(Vec<f64>, f64)> = vec![(start.clone(), cost(&start))];
    for k in 0..n {
        let mut x = start.clone();
        x[k] += 0.7;
        let value = cost(&x);
        corners.push((x, value));
    }
    let mut used = n + 1;
    while used < evaluations {
        corners.sort_by(|a, b| a.1.total_cmp(&b.1));
        if corners[n].1 - corners[0].1 < 1e-3 {
            break;
        }
        let centre: Vec<f64> = (0..n).map(|k| corners[..n].iter().map(|c| c.0[k]).sum::<f64>() / n as f64).collect();
        let along = |t: f64| -> Vec<f64> { (0..n).map(|k| centre[k] + t * (corners[n].0[k] - centre[k])).collect() };
        let mut step = |t: f64| {
            let x = along(t);
            let value = cost(&x);
            used += 1;
            (x, value)
        };
        let reflected = step(-1.0);
        let better = if reflected.1 < corners[0].1 {
            let expanded = step(-2.0);
            if expanded.1 < reflected.1 { expanded } else { reflected }
        } else if reflected.1 < corners[n - 1].1 {
            reflected
        } else {
            let contracted = step(if reflected.1 < corners[n].1 { -0.5 } else { 0.5 });
            if contracted.1 < corners[n].1.min(reflected.1) {
                contracted
            } else {
                let best = corners[0].0.clone();
                for corner in &mut corners[1..] {
                    corner.0 = corner.0.iter().zip(&best).map(|(x, b)| 0.5 * (x + b)).collect();
                    corner.1 = cost(&corner.0);
                }
                used += n;
                continue;
            }
        };
        corners[n] = better;
    }
    corners.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((start, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simplex_finds_the_bottom_of_a_bent_valley() {
        let valley = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let (x, value) = simplex(&valley, vec![-1.0, 1.0], 400);
        assert!(value < 1e-3 && (x[0] - 1.0).abs() < 0.1, "{x:?} {value}");
    }
}
