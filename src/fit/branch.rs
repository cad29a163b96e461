//! One branch of a push-pull cell under mismatch: a gate shift and what is left beside it.
//!
//! The branch's storage-gated transistor sees V - V_T only, so a shift of its threshold is a shift of the stored voltage, exactly
//! where the rest of the branch does not care:
//!
//! `I(V; z) = I_0(V - z_s) + sum_k S_k(V - z_s) z_k + C(V - z_s)`
//!
//! z_s is the draw that shifts, the z_k are all draws. A linear response to z_s instead misses a sixth of the spread where the
//! transistor turns on, and, with it, a mean that does not average out along a column. Which draw shifts is found, not told: the
//! one that leaves the least. C is what the squares of all draws add on average: beside the spread of a cell it is small, but along
//! a column spreads average out and means do not.

use nalgebra::DMatrix;

use crate::Result;
use crate::fit::{failed, linear, stats};
use crate::spline::Spline;

const FIT: &str = "variability";
/// A response below this share of the greatest spread, for a draw of one sigma, counts as none.
const NEGLIGIBLE: f64 = 0.01;

/// Static curves of a branch on dice.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchSamples {
    /// Stored voltages, ascending [V].
    pub v_store_v: Vec<f64>,
    /// Current by sample, then stored voltage [A].
    pub current_a: Vec<Vec<f64>>,
    /// Draws by sample, as deviations from nominal.
    pub draws: Vec<Vec<f64>>,
}

/// How a branch's current follows draws.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchFit {
    /// Number of the draw that shifts the stored voltage.
    pub shifted_by: usize,
    /// I_0 over the stored voltage, that of no draw [A].
    pub current_a: Vec<f64>,
    /// C over the stored voltage [A].
    pub mean_change_a: Vec<f64>,
    /// S by draw, then stored voltage [A/unit].
    pub current_a_per_unit: Vec<Vec<f64>>,
    /// Greatest standard deviation of the current over the stored voltages [A].
    pub spread_a: f64,
    /// What is left at samples that were kept apart, at the stored voltage where it is most [A], root mean square.
    pub held_out_a: f64,
}

/// Fits the samples up to `n_train`; `names` are the draws', `shifts` those that may be threshold shifts, `judged_v` the stored
/// voltages between which errors count.
///
/// # Errors
/// `FitFailed` if no draw may shift, or too few samples tell the draws apart.
pub fn fit_branch(
    names: &[String],
    shifts: &[usize],
    samples: &BranchSamples,
    n_train: usize,
    judged_v: [f64; 2],
) -> Result<BranchFit> {
    let judged: Vec<usize> =
        (0..samples.v_store_v.len()).filter(|k| (judged_v[0]..=judged_v[1]).contains(&samples.v_store_v[*k])).collect();
    let spread = |k: usize| stats::std_dev(&samples.current_a.iter().map(|curve| curve[k]).collect::<Vec<_>>());
    let spread_a = judged.iter().map(|k| spread(*k)).fold(0.0, f64::max);
    let curves = samples
        .current_a
        .iter()
        .map(|curve| Spline::not_a_knot(samples.v_store_v.clone(), curve.clone()))
        .collect::<Result<Vec<_>>>()?;
    let mut best: Option<BranchFit> = None;
    for &shifted_by in shifts {
        let fit = with_shift(names, shifted_by, samples, &curves, n_train, &judged)?;
        if best.as_ref().is_none_or(|best| fit.held_out_a < best.held_out_a) {
            best = Some(fit);
        }
    }
    let mut fit =
        best.ok_or_else(|| failed(FIT, "no draw is a threshold shift", "draw delvto of the cell's transistors"))?;
    fit.spread_a = spread_a;
    for (k, row) in fit.current_a_per_unit.iter_mut().enumerate() {
        let sigma = stats::std_dev(&samples.draws.iter().map(|draws| draws[k]).collect::<Vec<_>>());
        // Beyond the judged voltages shifted curves end, and what is fitted there is their ends.
        let greatest = judged.iter().map(|k| row[*k].abs()).fold(0.0, f64::max);
        if greatest * sigma < NEGLIGIBLE * spread_a {
            row.fill(0.0);
        }
    }
    Ok(fit)
}

/// The fit with this draw as the shift.
fn with_shift(
    names: &[String],
    shifted_by: usize,
    samples: &BranchSamples,
    curves: &[Spline],
    n_train: usize,
    judged: &[usize],
) -> Result<BranchFit> {
    let (v, draws) = (&samples.v_store_v, &samples.draws);
    let (first, last) = (v[0], v[v.len() - 1]);
    // The sample's curve at the same distance from its own threshold.
    let at = |i: usize, k: usize| curves[i].value((v[k] + draws[i][shifted_by]).clamp(first, last));
    let n = names.len();
    let design = DMatrix::from_fn(n_train, 2 * n + 1, |i, j| match j {
        0 => 1.0,
        j if j <= n => draws[i][j - 1],
        j => draws[i][j - 1 - n].powi(2),
    });
    let squares = names.iter().map(|name| format!("{name} squared"));
    let columns: Vec<String> =
        std::iter::once("current".to_string()).chain(names.iter().cloned()).chain(squares).collect();
    let mean_square = |j: usize| draws[..n_train].iter().map(|z| z[j].powi(2)).sum::<f64>() / n_train as f64;
    let mean_squares: Vec<f64> = (0..n).map(mean_square).collect();
    let mut fit = BranchFit {
        shifted_by,
        current_a: Vec::new(),
        mean_change_a: Vec::new(),
        current_a_per_unit: vec![Vec::new(); n],
        spread_a: 0.0,
        held_out_a: 0.0,
    };
    for k in 0..v.len() {
        let observed: Vec<f64> = (0..n_train).map(|i| at(i, k)).collect();
        let solved = linear::solve(FIT, &columns, &design, &observed, None)?.values;
        let mean_change = solved[n + 1..].iter().zip(&mean_squares).map(|(q, square)| q * square).sum::<f64>();
        fit.current_a.push(solved[0]);
        fit.mean_change_a.push(mean_change);
        for (row, value) in fit.current_a_per_unit.iter_mut().zip(&solved[1..]) {
            row.push(*value);
        }
        if judged.contains(&k) {
            let errors: Vec<f64> = (n_train..draws.len())
                .map(|i| {
                    let linear = draws[i].iter().zip(&solved[1..]).map(|(z, s)| z * s).sum::<f64>();
                    at(i, k) - solved[0] - linear - mean_change
                })
                .collect();
            fit.held_out_a = fit.held_out_a.max(stats::rms(&errors));
        }
    }
    Ok(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transistor that turns on at 0.45 V over 40 mV, under a threshold and a mobility; the third draw does nothing.
    fn samples(n: usize) -> BranchSamples {
        let v_store_v: Vec<f64> = (0..=95).map(|k| -0.14 + 0.0125 * f64::from(k)).collect();
        let draws: Vec<Vec<f64>> = (0..n as u64)
            .map(|i| {
                [0.02, 0.05, 0.02].iter().zip(0..).map(|(sigma, k)| sigma * stats::random_normal(3, i, k)).collect()
            })
            .collect();
        let current = |v: f64, z: &[f64]| 1e-5 * stats::softplus((v - 0.45 - z[0]) / 0.04) * (1.0 + z[1]);
        let current_a = draws.iter().map(|z| v_store_v.iter().map(|v| current(*v, z)).collect()).collect();
        BranchSamples { v_store_v, current_a, draws }
    }

    #[test]
    fn the_shift_is_found_and_leaves_nothing() {
        let names = ["m.delvto", "m.mulu0", "other.delvto"].map(String::from);
        let samples = samples(60);
        let fit = fit_branch(&names, &[0, 2], &samples, 40, [0.0, 0.9]).unwrap();
        assert_eq!(fit.shifted_by, 0);
        // What is left is the interpolation between nodes a third of the transistor's turn-on apart.
        assert!(fit.held_out_a < 2e-3 * fit.spread_a, "{} of {}", fit.held_out_a, fit.spread_a);
        let exact = |v: f64| 1e-5 * stats::softplus((v - 0.45) / 0.04);
        for (k, v) in samples.v_store_v.iter().enumerate().filter(|(_, v)| (0.0..0.9).contains(*v)) {
            assert!((fit.current_a[k] - exact(*v)).abs() < 1e-3 * exact(0.9), "at {v} V");
            assert!((fit.current_a_per_unit[1][k] - exact(*v)).abs() < 0.02 * exact(0.9), "at {v} V");
        }
        assert!(fit.current_a_per_unit[2].iter().all(|s| *s == 0.0), "a draw that does nothing");
        let linear = fit_branch(&names, &[2], &samples, 40, [0.0, 0.9]).unwrap();
        assert!(linear.held_out_a > 20.0 * fit.held_out_a, "without the shift: {}", linear.held_out_a);
    }

    #[test]
    fn a_square_is_a_mean_change_and_not_a_nominal_current() {
        let names = ["m.delvto", "m.mulu0", "other.delvto"].map(String::from);
        let mut samples = samples(200);
        // The third transistor takes 0.4 V^-2 z^2 of what flows: on average, at 20 mV, 1.6e-4 of it.
        for (curve, z) in samples.current_a.iter_mut().zip(&samples.draws) {
            curve.iter_mut().for_each(|current| *current *= 1.0 - 0.4 * z[2] * z[2]);
        }
        let fit = fit_branch(&names, &[0, 2], &samples, 140, [0.0, 0.9]).unwrap();
        let square = samples.draws[..140].iter().map(|z| z[2] * z[2]).sum::<f64>() / 140.0;
        let exact = |v: f64| 1e-5 * stats::softplus((v - 0.45) / 0.04);
        for (k, v) in samples.v_store_v.iter().enumerate().filter(|(_, v)| (0.6..0.9).contains(*v)) {
            let (nominal, change) = (fit.current_a[k] / exact(*v) - 1.0, fit.mean_change_a[k] / exact(*v));
            assert!(nominal.abs() < 0.1 * 0.4 * square, "{nominal} at {v} V");
            assert!((change / (-0.4 * square) - 1.0).abs() < 0.1, "{change} at {v} V");
        }
    }

    #[test]
    fn no_shift_and_few_samples_are_refused() {
        let names = ["m.delvto", "m.mulu0", "other.delvto"].map(String::from);
        assert!(fit_branch(&names, &[], &samples(60), 40, [0.0, 0.9]).is_err());
        assert!(fit_branch(&names, &[0], &samples(4), 3, [0.0, 0.9]).is_err());
    }
}
