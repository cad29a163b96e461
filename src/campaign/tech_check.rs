//! Devices of a technology over corners, temperature and length, against what its `tech.toml` states.

use std::collections::BTreeMap;

use serde::Serialize;

use super::devices::{DEVICE_LENGTH_M, LeftOut, curves_of, verdicts_of};
use super::sweep_run::{Progress, run_sweep};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::fit::device::{DeviceFigures, DeviceOptions, extract};
use crate::project::Project;
use crate::simulate::Simulator;
use crate::spec::{Corner, SweepSpec};
use crate::sweep::CORNER_LABEL;
use crate::tech::{Check, Expected, Technology};
use crate::units::Unit;

/// The sweep that the transfer curves are taken from, and the name of the run under these conditions.
const SWEEP: &str = "device";
const RUN: &str = "tech_check";
/// Upper end of the swing's range for devices that leak too much for the usual one, as a share of the threshold current.
const LEAKY_SWING_TO: f64 = 0.5;
/// The name of the nominal conditions.
const NOMINAL: &str = "nominal";

/// Under which conditions devices are looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// Its name in tables.
    pub name: String,
    /// Process corner; `None` for nominal models.
    pub corner: Option<String>,
    /// Temperature [degC].
    pub temperature_degc: f64,
    /// Channel length as drawn [m].
    pub length_m: f64,
    /// Supply [V].
    pub vdd_v: f64,
}

/// Figures of one flavour under one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceFiguresAt {
    /// The condition.
    pub condition: Condition,
    /// Wrapper of the device.
    pub flavour: String,
    /// The figures; `None` if they cannot be taken.
    pub figures: Option<DeviceFigures>,
    /// Why not.
    pub message: String,
}

/// A stated figure against the measured one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TechVerdict {
    /// The check, or `nominal`.
    pub check: String,
    /// Wrapper of the device.
    pub flavour: String,
    /// Figure of merit.
    pub figure: String,
    /// Its unit; `1` for a ratio to nominal conditions. `vt` is a shift against these.
    pub unit: String,
    /// What is stated.
    pub expected: f64,
    /// What came.
    pub measured: f64,
    /// Greatest deviation: of `vt` in volts, of others relative.
    pub tolerance: f64,
    /// Within it?
    pub pass: bool,
}

/// What `gaincell tech check` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TechCheck {
    /// The technology.
    pub tech: String,
    /// Figures, flavour after flavour.
    pub devices: Vec<DeviceFiguresAt>,
    /// Verdicts.
    pub verdicts: Vec<TechVerdict>,
    /// What is stated for another temperature, and not judged.
    pub left_out: Option<LeftOut>,
    /// All passed, of what was judged?
    pub pass: bool,
}

/// Nominal conditions, every corner at the least, the nominal and the greatest temperature, and what checks name besides.
pub fn conditions(tech: &Technology) -> Vec<Condition> {
    let shortest_m = DEVICE_LENGTH_M * tech.scale('l');
    let condition = |name: String, corner: Option<&str>, temperature_degc: f64, length_m: f64| {
        let vdd_v = corner.and_then(|name| tech.corner(name).ok()?.vdd_v).unwrap_or(tech.vdd_v);
        Condition { name, corner: corner.map(str::to_string), temperature_degc, length_m, vdd_v }
    };
    let mut all = vec![condition(NOMINAL.to_string(), None, tech.temperature_degc, shortest_m)];
    let mut temperatures = vec![tech.temperature_degc];
    if let Some((low, high)) = tech.temperature_range_degc {
        temperatures = vec![low, tech.temperature_degc, high];
    }
    let mut corners: Vec<Option<&str>> = tech.corners.iter().map(|corner| Some(corner.name.as_str())).collect();
    if corners.is_empty() {
        corners.push(None);
    }
    for corner in corners {
        for t in &temperatures {
            let name = format!("{}_{}degc", corner.unwrap_or(NOMINAL), t);
            let point = condition(name, corner, *t, shortest_m);
            if corner.is_some() || *t != tech.temperature_degc {
                all.push(point);
            }
        }
    }
    for check in &tech.checks {
        if find(&all, check, tech, shortest_m).is_none() {
            let temperature_degc = check.temperature_degc.unwrap_or(tech.temperature_degc);
            let length_m = check.length_m.unwrap_or(shortest_m);
            all.push(condition(check.name.clone(), check.corner.as_deref(), temperature_degc, length_m));
        }
    }
    all
}

/// The condition that a check is about.
fn find<'a>(all: &'a [Condition], check: &Check, tech: &Technology, shortest_m: f64) -> Option<&'a Condition> {
    all.iter().find(|condition| {
        condition.corner == check.corner
            && condition.temperature_degc == check.temperature_degc.unwrap_or(tech.temperature_degc)
            && condition.length_m == check.length_m.unwrap_or(shortest_m)
    })
}

/// Simulates every flavour under every condition, and judges what `tech.toml` states.
///
/// # Errors
/// Those of [`run_sweep`]; of taking figures from the nominal curves.
pub fn check_technology(
    project: &Project,
    tech: &Technology,
    simulator: &mut dyn Simulator,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<TechCheck> {
    let conditions = conditions(tech);
    let mut spec = SweepSpec::read_on(&project.sweep_file(SWEEP)?, &project.benches(), tech)?;
    let corner = |condition: &Condition| {
        let mut values = vec![("temp".to_string(), condition.temperature_degc), ("vdd".to_string(), condition.vdd_v)];
        values.push(("l_dev".to_string(), condition.length_m / tech.scale('l')));
        Corner { name: condition.name.clone(), process: condition.corner.clone(), values }
    };
    spec.corners = conditions.iter().map(corner).collect();
    spec.name = RUN.to_string();
    spec.hash = blake3::hash(format!("{} {:?}", spec.hash, spec.corners).as_bytes()).to_hex()[..32].to_string();
    let (_, dataset) = run_sweep(project, &spec, tech, "quick", simulator, tell)?;
    judge(tech, conditions, &dataset)
}

fn judge(tech: &Technology, conditions: Vec<Condition>, dataset: &Dataset) -> Result<TechCheck> {
    let left_out = LeftOut::of(tech);
    let (mut devices, mut verdicts) = (Vec::new(), Vec::new());
    for condition in &conditions {
        let view = dataset.ok().labelled(CORNER_LABEL, &condition.name);
        let length_m = condition.length_m / tech.scale('l');
        for flavour in curves_of(dataset, &view, tech, length_m, condition.vdd_v)? {
            let usual = DeviceOptions::default();
            // A hot, fast device leaks up to where the swing is usually taken: then it is taken nearer to the threshold.
            let leaky = DeviceOptions { swing_range: (usual.swing_range.0, LEAKY_SWING_TO), ..usual };
            let found = extract(&flavour.curves, &usual).or_else(|_| extract(&flavour.curves, &leaky));
            let message = found.as_ref().err().map_or_else(String::new, |error| error.problems()[0].message.clone());
            if condition.name == NOMINAL && left_out.is_none() {
                verdicts.extend(verdicts_of(&flavour.flavour, &flavour.curves, tech)?.into_iter().map(|v| {
                    TechVerdict {
                        check: NOMINAL.to_string(),
                        flavour: v.flavour,
                        figure: v.target.figure,
                        unit: v.target.unit.to_string(),
                        expected: v.target.value,
                        measured: v.measured,
                        tolerance: v.target.tolerance,
                        pass: v.pass,
                    }
                }));
            }
            let figures = found.ok();
            devices.push(DeviceFiguresAt { condition: condition.clone(), flavour: flavour.flavour, figures, message });
        }
    }
    devices.sort_by_key(|device| tech.devices.iter().position(|known| known.wrapper == device.flavour));
    let by_place: BTreeMap<(&str, &str), &DeviceFigures> = devices
        .iter()
        .filter_map(|d| Some(((d.condition.name.as_str(), d.flavour.as_str()), d.figures.as_ref()?)))
        .collect();
    let shortest_m = DEVICE_LENGTH_M * tech.scale('l');
    for check in tech.checks.iter().filter(|_| left_out.is_none()) {
        let Some(condition) = find(&conditions, check, tech, shortest_m) else { continue };
        for expected in &check.expected {
            let at = |name: &str| by_place.get(&(name, expected.flavour.as_str())).copied();
            let found = match (at(&condition.name), at(NOMINAL)) {
                (Some(here), Some(nominal)) => measured(expected, here, nominal),
                _ => f64::NAN,
            };
            let (tolerance, off) = match expected.figure.as_str() {
                "vt" => (check.vt_tolerance_v, (found - expected.value).abs()),
                _ => (check.tolerance, (found / expected.value - 1.0).abs()),
            };
            verdicts.push(TechVerdict {
                check: check.name.clone(),
                flavour: expected.flavour.clone(),
                figure: expected.figure.clone(),
                unit: expected.unit.to_string(),
                expected: expected.value,
                measured: found,
                tolerance,
                pass: off <= tolerance,
            });
        }
    }
    let pass = verdicts.iter().all(|verdict| verdict.pass);
    Ok(TechCheck { tech: tech.name.clone(), devices, verdicts, left_out, pass })
}

/// What is expected, as measured: a figure, its ratio to the nominal one, or of `vt` the shift of the saturated threshold [V].
fn measured(expected: &Expected, here: &DeviceFigures, nominal: &DeviceFigures) -> f64 {
    let of = |figures: &DeviceFigures| match expected.figure.as_str() {
        "ion" => figures.ion_a_per_m,
        "ioff" => figures.ioff_a_per_m,
        "ss" => figures.ss_v_per_dec,
        "dibl" => figures.dibl_v_per_v,
        "vt" => figures.vth_sat_v,
        _ => f64::NAN,
    };
    match expected.unit {
        Unit::One => of(here) / of(nominal),
        Unit::Volt => of(here) - of(nominal),
        _ => of(here),
    }
}
