//! The factor m by which transients correct DC leakage over capacitance.
//!
//! ```text
//! dV/dt = m(V, V_WBL) r_0(V, V_WBL),   ln m = sum_k a_k B_k(V) + b (V_WBL - mean)
//! ```
//!
//! B_k are cubic splines that are one at one of a few voltages; outside the training transients' range m stays what it is at the
//! range's end. The a_k and b are fitted by integrating the transients together with their sensitivities. A prior pulls m toward one
//! where no transient passes.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::{Hold, RateModel, WriteBitLine};
use crate::Result;
use crate::fit::engine::{self, Loss, Residuals, Start};
use crate::fit::{failed, linear, ode, stats};
use crate::spline::{Spline, SplineBasis};

const FIT: &str = "retention";

/// A correction by a factor e costs as much as this error of one sample [V]; far below what transients resolve.
const PRIOR_V: f64 = 1e-5;

/// Fewer transients are not left out one at a time.
const LEAST_HOLDS: usize = 4;

/// How the correction is fitted.
///
/// | name | default | range |
/// |---|---|---|
/// | `n_factors` | 3 | 0 (DC and AC as they are) to 8 |
/// | `bias_slope` | true | has no effect where all training transients share one write bit line |
/// | `leave_out` | true | false gives intervals from the covariance, for errors that samples of one transient do not share |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakageOptions {
    /// Number of voltages, evenly spaced over the training transients' range, at which the factor is fitted.
    pub n_factors: usize,
    /// Also fit how the factor changes with the write bit line.
    pub bias_slope: bool,
    /// Intervals by leaving out whole transients, one at a time.
    pub leave_out: bool,
}

impl Default for LeakageOptions {
    fn default() -> Self {
        LeakageOptions { n_factors: 3, bias_slope: true, leave_out: true }
    }
}

/// The correction's shape.
pub(super) struct Correction {
    pub nodes_v: Vec<f64>,
    basis: SplineBasis,
    /// Mean write bit line of the training transients [V], if a slope is fitted.
    pub bias_centre_v: Option<f64>,
}

impl Correction {
    fn len(&self) -> usize {
        self.nodes_v.len() + usize::from(self.bias_centre_v.is_some())
    }
    fn clamp(&self, v: f64) -> f64 {
        v.clamp(self.nodes_v[0], self.nodes_v[self.nodes_v.len() - 1])
    }
    fn bias_term(&self, bias_v: f64) -> f64 {
        self.bias_centre_v.map_or(0.0, |centre| bias_v - centre)
    }
    pub fn factor(&self, parameters: &[f64], v: f64, bias_v: f64) -> f64 {
        let weights = self.basis.weights(self.clamp(v));
        let log: f64 = weights.iter().zip(parameters).map(|(w, a)| w * a).sum();
        let slope = self.bias_centre_v.map_or(0.0, |_| parameters[self.nodes_v.len()]);
        (log + slope * self.bias_term(bias_v)).exp()
    }
}

/// One transient, with the uncorrected rate under each write bit line that it sees.
pub(super) struct Prepared<'a> {
    hold: &'a Hold,
    ages_s: Vec<f64>,
    /// (write bit line, share of the time, rate against stored voltage)
    parts: Vec<(f64, f64, Spline)>,
}

pub(super) struct Transients<'a> {
    pub holds: Vec<Prepared<'a>>,
    pub correction: &'a Correction,
}

impl Transients<'_> {
    /// V (first) and dV/d(parameter) of each sample of a transient.
    fn integrate(&self, item: &Prepared<'_>, parameters: &[f64], sensitivities: bool) -> Option<Vec<Vec<f64>>> {
        let (correction, n) = (self.correction, self.correction.len());
        let n_factors = correction.nodes_v.len();
        let (low, high) = (correction.nodes_v[0], correction.nodes_v[n_factors - 1]);
        let rate = |_: f64, y: &[f64], dy: &mut [f64]| {
            let v = correction.clamp(y[0]);
            let weights = correction.basis.weights(v);
            let log: f64 = weights.iter().zip(parameters).map(|(w, a)| w * a).sum();
            // Flat outside the nodes' range.
            let inside = sensitivities && y[0] > low && y[0] < high;
            let log_slope: f64 =
                if inside { correction.basis.slopes(v).iter().zip(parameters).map(|(s, a)| s * a).sum() } else { 0.0 };
            let (mut rate, mut rate_slope, mut bias_rate) = (0.0, 0.0, 0.0);
            for (bias, share, base) in &item.parts {
                let term = correction.bias_term(*bias);
                let slope = correction.bias_centre_v.map_or(0.0, |_| parameters[n_factors]);
                let scaled = share * (log + slope * term).exp();
                let base_rate = base.value(y[0]);
                rate += scaled * base_rate;
                rate_slope += scaled * (base.derivative(y[0]) + log_slope * base_rate);
                bias_rate += scaled * base_rate * term;
            }
            dy[0] = rate;
            for k in 1..dy.len() {
                let direct = weights.get(k - 1).map_or(bias_rate, |weight| weight * rate);
                dy[k] = rate_slope * y[k] + direct;
            }
        };
        let mut start = vec![0.0; if sensitivities { n + 1 } else { 1 }];
        start[0] = item.hold.v_store_v[0];
        ode::integrate(rate, &start, &item.ages_s, 1e-8).ok()
    }
    fn prior(&self, parameters: &[f64]) -> Vec<f64> {
        parameters.iter().map(|p| PRIOR_V * p).collect()
    }
}

impl Residuals for Transients<'_> {
    fn residuals(&self, parameters: &[f64]) -> Option<Vec<f64>> {
        let mut all = Vec::new();
        for item in &self.holds {
            let states = self.integrate(item, parameters, false)?;
            all.extend(states.iter().zip(&item.hold.v_store_v[1..]).map(|(state, v)| state[0] - v));
        }
        all.extend(self.prior(parameters));
        Some(all)
    }
    fn jacobian(&self, parameters: &[f64]) -> Option<DMatrix<f64>> {
        let mut rows = Vec::new();
        for item in &self.holds {
            rows.extend(self.integrate(item, parameters, true)?.into_iter().map(|state| state[1..].to_vec()));
        }
        for k in 0..parameters.len() {
            rows.push((0..parameters.len()).map(|j| if j == k { PRIOR_V } else { 0.0 }).collect());
        }
        Some(DMatrix::from_fn(rows.len(), parameters.len(), |i, j| rows[i][j]))
    }
}

pub(super) fn shape(train: &[Hold], options: &LeakageOptions) -> Result<Correction> {
    if options.n_factors > 8 {
        let message = format!("{} correction factors were asked for", options.n_factors);
        return Err(failed(FIT, message, "0 to 8 are accepted; the leakage sweep carries the shape"));
    }
    let voltages = || train.iter().flat_map(|hold| hold.v_store_v.iter().copied());
    let (low, high) = (voltages().fold(f64::INFINITY, f64::min), voltages().fold(f64::NEG_INFINITY, f64::max));
    if high - low < 1e-6 {
        return Err(failed(FIT, "no training transient moves", "check charge balance in the hold bench"));
    }
    let n = options.n_factors;
    let nodes_v: Vec<f64> = if n == 1 {
        vec![0.5 * (low + high)]
    } else {
        (0..n).map(|k| low + (high - low) * k as f64 / (n - 1) as f64).collect()
    };
    let means: Vec<f64> =
        train.iter().map(|hold| hold.write_bit_line.shares().iter().map(|(bias, share)| bias * share).sum()).collect();
    let varied = means.iter().any(|mean| (mean - means[0]).abs() > 1e-6);
    let bias_centre_v = (options.bias_slope && varied).then(|| stats::mean(&means));
    Ok(Correction { basis: SplineBasis::new(&nodes_v)?, nodes_v, bias_centre_v })
}

pub(super) fn prepare<'a>(base: &RateModel, train: &'a [Hold]) -> Result<Vec<Prepared<'a>>> {
    let one = |hold: &'a Hold| {
        // Says where it is outside before the solver would only say that something is.
        base.rate(hold.write_bit_line, hold.v_store_v[0])?;
        let part = |(v_wbl_v, share): (f64, f64)| Ok((v_wbl_v, share, base.slice(WriteBitLine::Constant { v_wbl_v })?));
        let parts = hold.write_bit_line.shares().into_iter().map(part).collect::<Result<_>>()?;
        Ok(Prepared { hold, ages_s: hold.ages_s(), parts })
    };
    train.iter().map(one).collect()
}

/// Best parameters and their intervals.
pub(super) type Corrected = (Vec<f64>, Vec<Option<(f64, f64)>>);

pub(super) fn correct(transients: &Transients<'_>, options: &LeakageOptions) -> Result<Corrected> {
    let n = transients.correction.len();
    let starts: Vec<Start> = (0..n).map(|k| Start::free(&format!("log_rate_factor_{k}"), 0.0, 1.0)).collect();
    let solution = engine::solve(FIT, transients, &starts, Loss::Square)?;
    let fallback = (0..n).map(|k| solution.interval(k)).collect();
    let n_holds = transients.holds.len();
    if !options.leave_out || n_holds < LEAST_HOLDS {
        return Ok((solution.values, fallback));
    }
    // The jackknife over whole transients (B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans, SIAM 1982, ch. 3), with
    // Student's t of as many: a few transients that drift far decide, and resampling them understates what that leaves open. One
    // Gauss-Newton step from the solution for each: the correction is small, so the problem is nearly linear there.
    let Some(jacobian) = transients.jacobian(&solution.values) else { return Ok((solution.values, fallback)) };
    let names: Vec<String> = starts.iter().map(|start| start.name.clone()).collect();
    let mut steps = Vec::with_capacity(n_holds);
    let mut first = 0;
    for item in &transients.holds {
        let left_out = first..first + item.ages_s.len();
        first = left_out.end;
        let kept: Vec<usize> = (0..jacobian.nrows()).filter(|row| !left_out.contains(row)).collect();
        let design = DMatrix::from_fn(kept.len(), n, |i, j| jacobian[(kept[i], j)]);
        let residuals: Vec<f64> = kept.iter().map(|&i| -solution.residuals[i]).collect();
        steps.push(linear::solve(FIT, &names, &design, &residuals, None)?.values);
    }
    let t = stats::student_t_two_sided(0.95, (n_holds - 1) as f64);
    let interval = |k: usize| {
        let mean = steps.iter().map(|step| step[k]).sum::<f64>() / n_holds as f64;
        let squares = steps.iter().map(|step| (step[k] - mean).powi(2)).sum::<f64>();
        let reach = t * (squares * (n_holds - 1) as f64 / n_holds as f64).sqrt();
        Some((solution.values[k] - reach, solution.values[k] + reach))
    };
    let intervals = (0..n).map(interval).collect();
    Ok((solution.values, intervals))
}
