//! Transfer curves of every flavour, and their figures of merit against the technology's targets.
//!
//! Targets are stated for the temperature of `tech.toml`. A technology that was asked for at another one (`generic28@85degC`) is not
//! judged by them: currents and swings differ there, and nobody stated by how much.

use std::path::Path;

use serde::Serialize;

use super::rows::{Datasets, dataset};
use crate::dataset::{Dataset, View};
use crate::error::{Kind, Problem, Result};
use crate::fit::device::{DeviceCurves, DeviceOptions, TransferCurve, extract};
use crate::tech::{Device, Target, Technology};

/// Width of the bench's devices in the netlist [m].
const WIDTH_M: f64 = 1e-6;
/// Their length [m]; as drawn it is this times the technology's scale.
pub const DEVICE_LENGTH_M: f64 = 30e-9;
/// Gate voltages between which the targets' subthreshold swing is a mean [V].
const SWING_V: (f64, f64) = (0.05, 0.15);

/// (ending of the bench's column names, wrapper in the technology)
const FLAVOURS: [(&str, &str); 4] =
    [("nsvt", "nfet_svt"), ("psvt", "pfet_svt"), ("nhvt", "nfet_hvt"), ("phvt", "pfet_hvt")];

/// Figures that transfer curves tell, and whose targets are judged. A target for another one (`bulk_off`) is for whoever fits a card.
const JUDGED: [&str; 5] = ["ion", "ioff", "ss", "dibl", "gate_leakage"];

/// The targets of a device that are judged.
fn judged(device: &Device) -> impl Iterator<Item = &Target> {
    device.targets.iter().filter(|target| JUDGED.contains(&target.figure.as_str()))
}

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

/// What a technology states for another temperature than it has here, and is therefore not judged by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// The technology as it was asked for.
    pub tech: String,
    /// Its temperature [degC].
    pub here_degc: f64,
    /// The temperature that its file states [degC].
    pub stated_degc: f64,
    /// Figures with a target, by flavour.
    pub targets: Vec<(String, Vec<String>)>,
    /// Names of the checks over corners, temperature and length: they compare with that temperature.
    pub checks: Vec<String>,
    /// The command that judges them.
    pub judged_by: String,
}

impl LeftOut {
    /// What is left out of `tech`; `None` where targets and checks hold as they stand.
    pub fn of(tech: &Technology) -> Option<LeftOut> {
        if tech.temperature_degc == tech.stated_degc {
            return None;
        }
        let figures = |device: &Device| judged(device).map(|target| target.figure.clone()).collect::<Vec<_>>();
        // A technology below `tech/` is asked for by its name, any other by its file.
        let name = tech.base_name();
        let known = tech.file.parent().is_some_and(|folder| folder.ends_with(Path::new("tech").join(name)));
        let asked = if known { name.to_string() } else { tech.file.display().to_string() };
        let with_targets = tech.devices.iter().filter(|device| judged(device).next().is_some());
        Some(LeftOut {
            tech: tech.name.clone(),
            here_degc: tech.temperature_degc,
            stated_degc: tech.stated_degc,
            targets: with_targets.map(|device| (device.wrapper.clone(), figures(device))).collect(),
            checks: tech.checks.iter().map(|check| check.name.clone()).collect(),
            judged_by: format!("gaincell tech check {asked}"),
        })
    }

    /// Why the targets are not judged, and which they are; empty where there are none.
    pub fn targets_text(&self) -> String {
        if self.targets.is_empty() {
            return String::new();
        }
        let flavour = |(flavour, figures): &(String, Vec<String>)| format!("{flavour}: {}", figures.join(", "));
        format!(
            "{} device targets are stated for {} degC and not judged at {} degC ({})",
            self.targets.iter().map(|(_, figures)| figures.len()).sum::<usize>(),
            self.stated_degc,
            self.here_degc,
            self.targets.iter().map(flavour).collect::<Vec<_>>().join("; ")
        )
    }

    /// The same of the checks, which compare with nominal conditions.
    pub fn checks_text(&self) -> String {
        if self.checks.is_empty() {
            return String::new();
        }
        format!(
            "{} checks over corners, temperature and length are stated against {} degC and not judged ({})",
            self.checks.len(),
            self.stated_degc,
            self.checks.join(", ")
        )
    }
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

/// Every target of the technology against the `device` sweep; none at a temperature that they are not stated for ([`LeftOut`]).
///
/// # Errors
/// As [`device_curves`], and those of [`extract`].
pub fn device_verdicts(datasets: &Datasets, tech: &Technology) -> Result<Vec<DeviceVerdict>> {
    let mut verdicts = Vec::new();
    if LeftOut::of(tech).is_some() {
        return Ok(verdicts);
    }
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
        for target in judged(device) {
            let measured = match target.figure.as_str() {
                "ion" => figures.ion_a_per_m,
                "ioff" => figures.ioff_a_per_m,
                "ss" => mean_swing(&curves.saturated),
                "dibl" => figures.dibl_v_per_v,
                "gate_leakage" => figures.gate_leakage_a_per_m2.unwrap_or(f64::NAN),
                _ => f64::NAN,
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
    #[test]
    fn targets_of_another_temperature_are_left_out_and_named() {
        let technologies = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
        let find = |name: &str| Technology::find(name, &technologies).unwrap();
        assert_eq!((LeftOut::of(&find("generic28")), LeftOut::of(&find("generic28@27degC"))), (None, None));
        let left_out = LeftOut::of(&find("generic28@85degC")).unwrap();
        let text = left_out.targets_text();
        assert!(text.starts_with("20 device targets are stated for 27 degC and not judged at 85 degC ("), "{text}");
        assert!(text.contains("nfet_svt: ion, ioff, ss, dibl, gate_leakage;"), "{text}");
        assert!(left_out.checks_text().contains("hot, ") || left_out.checks_text().contains(", hot"));
        assert_eq!(left_out.judged_by, "gaincell tech check generic28");
        // No verdict is made of curves that are there: none is even asked for.
        assert_eq!(device_verdicts(&Datasets::new(), &find("generic28@85degC")), Ok(Vec::new()));
        assert!(device_verdicts(&Datasets::new(), &find("generic28")).is_err());
    }
}
