//! Transfer curves of every flavour, and their figures of merit against the technology's targets.

use super::rows::{Datasets, dataset};
use crate::dataset::{Dataset, View};
use crate::error::{Kind, Problem, Result};
use crate::fit::device::{DeviceCurves, DeviceOptions, TransferCurve, extract};
use crate::tech::{Target, Technology};

/// Width of the bench's devices in the netlist [m].
const WIDTH_M: f64 = 1e-6;
/// Their length [m]; as drawn it is this times the technology's scale.
pub const DEVICE_LENGTH_M: f64 = 30e-9;
/// Gate voltages between which the targets' subthreshold swing is a mean [V].
const SWING_V: (f64, f64) = (0.05, 0.15);

/// (ending of the bench's column names, wrapper in the technology)
const FLAVOURS: [(&str, &str); 4] =
    [("nsvt", "nfet_svt"), ("psvt", "pfet_svt"), ("nhvt", "nfet_hvt"), ("phvt", "pfet_hvt")];

/// A figure of merit against its target.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceVerdict {
    /// Wrapper of the device.
    pub flavour: String,
    /// What was asked, in the base unit.
    pub target: Target,
    /// What came, in the same unit; not finite if the sweep does not tell.
    pub measured: f64,
    /// Whether it is within the tolerance.
    pub pass: bool,
}

/// Transfer curves of one flavour, as magnitudes, linear first.
#[derive(Debug, Clone, PartialEq)]
pub struct FlavourCurves {
    /// Wrapper of the device.
    pub flavour: String,
    /// Curves and dimensions.
    pub curves: DeviceCurves,
}

/// The curves of the `device` sweep.
///
/// # Errors
/// [`Kind::FitFailed`] if the sweep lacks a curve, or the low or the high drain voltage.
pub fn device_curves(datasets: &Datasets, tech: &Technology) -> Result<Vec<FlavourCurves>> {
    let rows = dataset(datasets, "device")?;
    curves_of(rows, &rows.ok(), tech, DEVICE_LENGTH_M, tech.vdd_v)
}

/// The curves in some rows of a sweep of the device bench, whose devices have that length in the netlist [m].
pub(super) fn curves_of(
    rows: &Dataset,
    view: &View<'_>,
    tech: &Technology,
    length_m: f64,
    vdd_v: f64,
) -> Result<Vec<FlavourCurves>> {
    let missing = |what: &str| {
        let problem = Problem::new(Kind::FitFailed, format!("sweep `device` has no {what}")).key("device");
        problem.help("compare the sweep file with the one that the project ships, and look at its failed rows")
    };
    let by_drain = view.split("v_drain_v");
    let [(low, linear), .., (high, saturated)] = by_drain.as_slice() else {
        return Err(missing("second drain voltage").into());
    };
    let of = |(column, flavour): (&str, &str)| -> Result<FlavourCurves> {
        let (drain, gate) = (format!("i_drain_{column}_a"), format!("i_gate_{column}_a"));
        let v_gate_v = rows.grid(&drain).ok_or_else(|| missing(&drain))?.to_vec();
        let curve = |view: &View<'_>, name: &str| -> Result<Vec<f64>> {
            let found = view.curve(name).into_iter().flatten().next().ok_or_else(|| missing(name))?;
            Ok(found.iter().map(|i| i.abs()).collect())
        };
        let transfer = |v_drain_v: f64, view| -> Result<TransferCurve> {
            Ok(TransferCurve { v_drain_v, v_gate_v: v_gate_v.clone(), i_drain_a: curve(view, &drain)? })
        };
        let curves = DeviceCurves {
            vdd_v,
            width_m: WIDTH_M * tech.scale('w'),
            length_m: length_m * tech.scale('l'),
            linear: transfer(*low, linear)?,
            saturated: transfer(*high, saturated)?,
            i_gate_on_a: curve(linear, &gate)?.last().copied(),
        };
        Ok(FlavourCurves { flavour: flavour.to_string(), curves })
    };
    FLAVOURS.into_iter().map(of).collect()
}

/// Every target of the technology against the `device` sweep.
///
/// # Errors
/// As [`device_curves`], and those of [`extract`].
pub fn device_verdicts(datasets: &Datasets, tech: &Technology) -> Result<Vec<DeviceVerdict>> {
    let mut verdicts = Vec::new();
    for FlavourCurves { flavour, curves } in device_curves(datasets, tech)? {
        verdicts.extend(verdicts_of(&flavour, &curves, tech)?);
    }
    Ok(verdicts)
}

/// The targets of one flavour against its nominal curves.
pub(super) fn verdicts_of(flavour: &str, curves: &DeviceCurves, tech: &Technology) -> Result<Vec<DeviceVerdict>> {
    let mut verdicts = Vec::new();
    if let Ok(device) = tech.device(flavour) {
        let figures = extract(curves, &DeviceOptions::default())?;
        for target in &device.targets {
            let measured = match target.figure.as_str() {
                "ion" => figures.ion_a_per_m,
                "ioff" => figures.ioff_a_per_m,
                "ss" => mean_swing(&curves.saturated),
                "dibl" => figures.dibl_v_per_v,
                "gate_leakage" => figures.gate_leakage_a_per_m2.unwrap_or(f64::NAN),
                _ => continue,
            };
            let pass = (measured / target.value - 1.0).abs() <= target.tolerance;
            verdicts.push(DeviceVerdict { flavour: flavour.to_string(), target: target.clone(), measured, pass });
        }
    }
    Ok(verdicts)
}

/// Mean subthreshold swing over [`SWING_V`] [V/decade], as the targets are stated.
fn mean_swing(curve: &TransferCurve) -> f64 {
    let nearest = |v: f64| {
        let distance = |k: &usize| (curve.v_gate_v[*k] - v).abs();
        (0..curve.v_gate_v.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    };
    let (a, b) = (nearest(SWING_V.0), nearest(SWING_V.1));
    (curve.v_gate_v[b] - curve.v_gate_v[a]) / (curve.i_drain_a[b] / curve.i_drain_a[a]).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_swing_of_an_exponential_is_its_own() {
        let v_gate_v: Vec<f64> = (0..91).map(|k| 0.01 * f64::from(k)).collect();
        let i_drain_a = v_gate_v.iter().map(|v| 1e-9 * 10f64.powf(v / 0.088)).collect();
        assert!((mean_swing(&TransferCurve { v_drain_v: 0.9, v_gate_v, i_drain_a }) - 0.088).abs() < 1e-9);
    }
}
