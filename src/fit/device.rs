//! Figures of merit of a transistor from its I-V curves, and whether they meet targets.
//!
//! On-current at V_G = V_D = VDD and off-current at V_G = 0, V_D = VDD, per width; threshold by the constant-current method at
//! 100 nA W/L (A. Ortiz-Conde et al., Microelectron. Reliab. 42, 583 (2002)); DIBL as the threshold's fall between the low
//! and the high drain voltage; subthreshold swing as the regression of V_G on log10 I_D; gate leakage per gate area. Voltages
//! and currents are magnitudes, so that PMOS curves are given with their signs turned.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::{check_points, failed, linear};
use crate::spline::Spline;

const FIT: &str = "device";

/// Drain current against gate voltage at one drain voltage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferCurve {
    /// Drain voltage [V].
    pub v_drain_v: f64,
    /// Gate voltages [V], rising.
    pub v_gate_v: Vec<f64>,
    /// Drain currents [A].
    pub i_drain_a: Vec<f64>,
}

/// What a transistor's figures are taken from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceCurves {
    /// Supply [V].
    pub vdd_v: f64,
    /// Gate width [m].
    pub width_m: f64,
    /// Gate length [m].
    pub length_m: f64,
    /// At a low drain voltage (50 mV).
    pub linear: TransferCurve,
    /// At the supply.
    pub saturated: TransferCurve,
    /// Gate current at V_G = VDD, V_D = V_S = 0 [A], if measured.
    pub i_gate_on_a: Option<f64>,
}

/// How thresholds and swing are taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeviceOptions {
    /// Threshold current for W = L [A].
    pub i_threshold_a: f64,
    /// The swing is taken between these shares of the threshold current, above twice the current at V_G = 0.
    pub swing_range: (f64, f64),
}

impl Default for DeviceOptions {
    fn default() -> Self {
        DeviceOptions { i_threshold_a: 100e-9, swing_range: (1e-3, 1e-1) }
    }
}

/// A transistor's figures of merit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// On-current per width [A/m].
    pub ion_a_per_m: f64,
    /// Off-current per width [A/m].
    pub ioff_a_per_m: f64,
    /// Subthreshold swing by regression, saturated curve [V/decade].
    pub ss_v_per_dec: f64,
    /// Least swing between two neighbouring points in the same range [V/decade].
    pub ss_min_v_per_dec: f64,
    /// (Vth_lin - Vth_sat) / (VD_sat - VD_lin) [V/V].
    pub dibl_v_per_v: f64,
    /// Threshold at the low drain voltage [V].
    pub vth_lin_v: f64,
    /// Threshold at the supply [V].
    pub vth_sat_v: f64,
    /// Gate leakage of the open transistor per gate area [A/m2].
    pub gate_leakage_a_per_m2: Option<f64>,
}

impl DeviceFigures {
    /// A figure by its field's name.
    pub fn get(&self, name: &str) -> Option<f64> {
        match name {
            "ion_a_per_m" => Some(self.ion_a_per_m),
            "ioff_a_per_m" => Some(self.ioff_a_per_m),
            "ss_v_per_dec" => Some(self.ss_v_per_dec),
            "ss_min_v_per_dec" => Some(self.ss_min_v_per_dec),
            "dibl_v_per_v" => Some(self.dibl_v_per_v),
            "vth_lin_v" => Some(self.vth_lin_v),
            "vth_sat_v" => Some(self.vth_sat_v),
            "gate_leakage_a_per_m2" => self.gate_leakage_a_per_m2,
            _ => None,
        }
    }
}

/// What a figure should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Field of [`DeviceFigures`].
    pub name: String,
    /// Wanted value, in the field's unit; not zero.
    pub value: f64,
    /// Accepted deviation, as a fraction of the wanted value.
    pub tolerance: f64,
}

/// A figure against its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The target.
    pub target: Target,
    /// Extracted value; absent if it was not measured.
    pub value: Option<f64>,
    /// value / wanted - 1.
    pub deviation: Option<f64>,
    /// Whether the deviation is within the tolerance.
    pub pass: bool,
}

/// Each target against `figures`, in the targets' order.
pub fn judge(figures: &DeviceFigures, targets: &[Target]) -> Vec<Verdict> {
    let verdict = |target: &Target| {
        let value = figures.get(&target.name);
        let deviation = value.map(|value| value / target.value - 1.0);
        let pass = deviation.is_some_and(|deviation| deviation.abs() <= target.tolerance);
        Verdict { target: target.clone(), value, deviation, pass }
    };
    targets.iter().map(verdict).collect()
}

/// Extracts the figures.
///
/// # Errors
/// `FitFailed` for curves that are empty, broken, not rising in V_G or without 0 to VDD; for one that never reaches the
/// threshold current; or one with fewer than three points in the range of the swing.
pub fn extract(curves: &DeviceCurves, options: &DeviceOptions) -> Result<DeviceFigures> {
    let sizes = [curves.vdd_v, curves.width_m, curves.length_m, options.i_threshold_a];
    if sizes.iter().any(|size| !(*size > 0.0 && size.is_finite())) {
        return Err(failed(FIT, format!("VDD, W, L and threshold current are {sizes:?}"), "give positive values"));
    }
    let linear = logarithm("linear", &curves.linear)?;
    let saturated = logarithm("saturated", &curves.saturated)?;
    let current = |log: &Spline, v: f64, name: &str| {
        log.try_value(v).map(|log| 10f64.powf(log)).map_err(|_| {
            failed(FIT, format!("the {name} curve does not reach V_G = {v} V"), "sweep the gate from 0 V to VDD")
        })
    };
    let (ion, ioff) = (current(&saturated, curves.vdd_v, "saturated")?, current(&saturated, 0.0, "saturated")?);
    let i_threshold = options.i_threshold_a * curves.width_m / curves.length_m;
    let (vth_lin_v, vth_sat_v) =
        (crossing("linear", &linear, i_threshold)?, crossing("saturated", &saturated, i_threshold)?);
    let span = curves.saturated.v_drain_v - curves.linear.v_drain_v;
    if span.is_nan() || span <= 0.0 {
        let message = "the saturated curve's drain voltage is not above the linear one's";
        return Err(failed(FIT, message, "give a curve at 50 mV and one at VDD"));
    }
    let range = ((options.swing_range.0 * i_threshold).max(2.0 * ioff), options.swing_range.1 * i_threshold);
    let (ss_v_per_dec, ss_min_v_per_dec) = swing(&saturated, range)?;
    Ok(DeviceFigures {
        ion_a_per_m: ion / curves.width_m,
        ioff_a_per_m: ioff / curves.width_m,
        ss_v_per_dec,
        ss_min_v_per_dec,
        dibl_v_per_v: (vth_lin_v - vth_sat_v) / span,
        vth_lin_v,
        vth_sat_v,
        gate_leakage_a_per_m2: curves.i_gate_on_a.map(|i| i.abs() / (curves.width_m * curves.length_m)),
    })
}

/// log10 of the current against the gate voltage. A current at or below zero (the gate's own leakage can exceed the
/// drain's) counts as 1 aA: it has no logarithm, and is below what any figure looks at.
fn logarithm(name: &str, curve: &TransferCurve) -> Result<Spline> {
    let points = curve.v_gate_v.iter().zip(&curve.i_drain_a).map(|(&v, &i)| [v, i]);
    check_points(FIT, name, ["v_gate_v", "i_drain_a"], points)?;
    let logs = curve.i_drain_a.iter().map(|i| i.max(1e-18).log10()).collect();
    Spline::pchip(curve.v_gate_v.clone(), logs).map_err(|error| {
        failed(FIT, format!("the {name} curve: {}", error.problems()[0].message), "give gate voltages in rising order")
    })
}

/// The lowest gate voltage at which the current rises through `i_a`, on the logarithmic curve.
fn crossing(name: &str, log: &Spline, i_a: f64) -> Result<f64> {
    let (nodes, level) = (log.nodes(), i_a.log10());
    let Some(k) = (1..nodes.len()).find(|&k| log.values()[k - 1] < level && log.values()[k] >= level) else {
        let message = format!("the {name} curve never rises through {i_a:.3e} A, the threshold current");
        return Err(failed(FIT, message, "sweep the gate further, or choose another threshold current"));
    };
    let (mut low, mut high) = (nodes[k - 1], nodes[k]);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if log.value(middle) < level { low = middle } else { high = middle }
    }
    Ok(0.5 * (low + high))
}

/// Swing by regression and least swing between neighbours, for currents within `range`.
fn swing(log: &Spline, range: (f64, f64)) -> Result<(f64, f64)> {
    let (low, high) = (range.0.log10(), range.1.log10());
    let points: Vec<(f64, f64)> =
        log.nodes().iter().zip(log.values()).map(|(&v, &i)| (v, i)).filter(|(_, i)| (low..=high).contains(i)).collect();
    if points.len() < 3 {
        let message = format!(
            "{} points lie between {:.2e} A and {:.2e} A, where the swing is taken",
            points.len(),
            range.0,
            range.1
        );
        return Err(failed(FIT, message, "sweep the gate in finer steps, 10 mV or less"));
    }
    let design = DMatrix::from_fn(points.len(), 2, |i, j| if j == 0 { 1.0 } else { points[i].1 });
    let voltages: Vec<f64> = points.iter().map(|point| point.0).collect();
    let line = linear::solve(FIT, &["v_gate_v".into(), "ss_v_per_dec".into()], &design, &voltages, None)?;
    let between = |w: &[(f64, f64)]| (w[1].0 - w[0].0) / (w[1].1 - w[0].1);
    let least = points.windows(2).map(between).filter(|s| *s > 0.0).fold(f64::INFINITY, f64::min);
    Ok((line.values[1], least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::fit::stats::softplus;

    /// I = I0 W/L softplus((V_G - Vth + DIBL V_D) / n)^2: exponential below threshold, with a swing of n/2 ln 10.
    fn curve(v_drain_v: f64, floor: f64) -> TransferCurve {
        let v_gate_v: Vec<f64> = (0..=180).map(|i| 0.005 * f64::from(i)).collect();
        let slope = 2.0 * 0.088 / 10f64.ln();
        let x = |v: f64| (v - 0.45 + 0.09 * v_drain_v) / slope;
        let i_drain_a = v_gate_v.iter().map(|&v| 1.2e-4 * softplus(x(v)).powi(2) + floor).collect();
        TransferCurve { v_drain_v, v_gate_v, i_drain_a }
    }

    fn curves() -> DeviceCurves {
        DeviceCurves {
            vdd_v: 0.9,
            width_m: 1e-6,
            length_m: 30e-9,
            linear: curve(0.05, 0.0),
            saturated: curve(0.9, 0.0),
            i_gate_on_a: Some(3e-10),
        }
    }

    #[test]
    fn recovers_the_figures_of_a_closed_form() {
        let figures = extract(&curves(), &DeviceOptions::default()).unwrap();
        let ends = [figures.ion_a_per_m * 1e-6, figures.ioff_a_per_m * 1e-6];
        assert!((ends[0] / curves().saturated.i_drain_a[180] - 1.0).abs() < 1e-12);
        assert!((ends[1] / curves().saturated.i_drain_a[0] - 1.0).abs() < 1e-12);
        assert!((figures.dibl_v_per_v - 0.09).abs() < 1e-4, "{figures:?}");
        assert!((0.087..0.090).contains(&figures.ss_v_per_dec), "{figures:?}");
        assert!(figures.ss_min_v_per_dec <= figures.ss_v_per_dec + 1e-6);
        assert!((figures.gate_leakage_a_per_m2.unwrap() - 1e4).abs() < 1e-6);
    }

    #[test]
    fn targets_are_met_or_missed_by_their_tolerance() {
        let figures = extract(&curves(), &DeviceOptions::default()).unwrap();
        let target = |name: &str, value: f64, tolerance: f64| Target { name: name.into(), value, tolerance };
        let verdicts = judge(
            &figures,
            &[target("dibl_v_per_v", 0.095, 0.1), target("dibl_v_per_v", 0.095, 0.01), target("x", 1.0, 9.0)],
        );
        assert_eq!(verdicts.iter().map(|v| v.pass).collect::<Vec<_>>(), [true, false, false]);
        assert!(verdicts[2].value.is_none());
    }

    #[test]
    fn refuses_curves_that_do_not_show_the_figure() {
        let mut flat = curves();
        flat.saturated.i_drain_a.iter_mut().for_each(|i| *i = 1e-12);
        let mut short = curves();
        short.saturated.v_gate_v.truncate(100);
        short.saturated.i_drain_a.truncate(100);
        let mut broken = curves();
        broken.linear.i_drain_a[3] = f64::NAN;
        let mut leaky = curves();
        leaky.saturated = curve(0.9, 3e-7);
        for (curves, word) in [(flat, "threshold"), (short, "0.9"), (broken, "NaN"), (leaky, "swing")] {
            let error = extract(&curves, &DeviceOptions::default()).unwrap_err();
            assert_eq!(error.kind(), Kind::FitFailed);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
