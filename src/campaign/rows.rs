//! Rows of sweeps as the points that fits take.

use std::collections::BTreeMap;

use crate::dataset::{Dataset, View};
use crate::error::{Error, Kind, Problem, Result};
use crate::fit::nonlinearity::ChargePoint;
use crate::fit::retention::{CapacitancePoint, Hold, LeakagePoint, WriteBitLine};
use crate::sweep::{DESIGN, HELD_OUT, SET_LABEL};
use crate::tech::Technology;

/// Longest word-line pulse of the arrays [s].
pub const T_MAX_S: f64 = 15e-9;
/// The supply that the benches' own numbers are for [V]; theirs scale with the technology's.
const BENCH_VDD_V: f64 = 0.9;

/// The datasets of every sweep by name.
pub type Datasets = BTreeMap<String, Dataset>;

/// The dataset of one sweep.
pub(super) fn dataset<'a>(datasets: &'a Datasets, name: &str) -> Result<&'a Dataset> {
    datasets.get(name).ok_or_else(|| Error::new(Kind::Internal, format!("dataset `{name}` was not read")))
}

/// A sweep that a table cannot be made of, because of `what`.
pub(super) fn incomplete(dataset: &Dataset, what: String) -> Problem {
    Problem::new(Kind::TableInvalid, what)
        .key(format!("sweep `{}`", dataset.manifest.sweep))
        .help("run the sweep again; failed points are tried again")
}

/// The good rows of a set.
pub(super) fn set<'a>(dataset: &'a Dataset, label: &str) -> View<'a> {
    dataset.ok().labelled(SET_LABEL, label)
}

pub(super) fn grid<'a>(dataset: &'a Dataset, column: &str) -> Result<&'a [f64]> {
    dataset.grid(column).ok_or_else(|| {
        Problem::new(Kind::FitFailed, format!("sweep `{}` has no curve `{column}`", dataset.manifest.sweep))
            .help("compare the sweep file with the one that the project ships")
            .into()
    })
}

/// `i_leak_a` is the current that the cell drives into its node; the fit's leakage leaves it.
pub(super) fn leakage(dataset: &Dataset) -> Result<Vec<LeakagePoint>> {
    let axis = grid(dataset, "i_leak_a")?;
    let mut points = Vec::new();
    for (v_wbl_v, view) in dataset.ok().split("v_wbl_v") {
        for curve in view.curve("i_leak_a").into_iter().flatten() {
            points.extend(axis.iter().zip(curve).map(|(v_store_v, current)| LeakagePoint {
                v_store_v: *v_store_v,
                v_wbl_v,
                leakage_a: -current,
            }));
        }
    }
    Ok(points)
}

/// C = I / (dV/dt) on the bench's ramp, at 0.9 V of 1 V in 1 us from -0.05 V; the mean over the hold biases.
pub(super) fn capacitance(dataset: &Dataset, tech: &Technology) -> Result<Vec<CapacitancePoint>> {
    const RAMP_START_S: f64 = 1e-9;
    let ramp_v_per_s = 1e6 * (tech.vdd_v / BENCH_VDD_V);
    let ramp_from_v = -0.05 * (tech.vdd_v / BENCH_VDD_V);
    let axis = grid(dataset, "i_ramp_a")?;
    let view = dataset.ok();
    let curves: Vec<&[f64]> = view.curve("i_ramp_a").into_iter().flatten().collect();
    if curves.is_empty() {
        let problem = Problem::new(Kind::FitFailed, "no good row of the capacitance sweep").key("retention");
        return Err(problem.help("look at the sweep's failed rows, then run it again").into());
    }
    Ok(axis
        .iter()
        .enumerate()
        .map(|(k, t)| CapacitancePoint {
            v_store_v: ramp_from_v + ramp_v_per_s * (t - RAMP_START_S),
            c_store_f: curves.iter().map(|c| c[k]).sum::<f64>() / curves.len() as f64 / ramp_v_per_s,
        })
        .collect())
}

pub(super) fn holds(dataset: &Dataset) -> Result<(Vec<Hold>, Vec<Hold>)> {
    const START_S: f64 = 60e-9;
    let axis = grid(dataset, "v_hold_v")?;
    let of = |label: &str| -> Result<Vec<Hold>> {
        let view = set(dataset, label);
        let (bias, start) = (view.numbers("v_wbl_v")?, view.numbers("v_start_v")?);
        let level = view.numbers("v_level_v")?;
        let curves = view.curve("v_hold_v");
        Ok((0..bias.len())
            .filter_map(|k| {
                let curve = curves[k]?;
                Some(Hold {
                    name: format!("v_level_v = {:.3}, v_wbl_v = {:.3}", level[k], bias[k]),
                    write_bit_line: WriteBitLine::Constant { v_wbl_v: bias[k] },
                    t_s: std::iter::once(START_S).chain(axis.iter().copied()).collect(),
                    v_store_v: std::iter::once(start[k]).chain(curve.iter().copied()).collect(),
                })
            })
            .collect())
    };
    Ok((of(DESIGN)?, of(HELD_OUT)?))
}

pub(super) fn charges(dataset: &Dataset, label: &str) -> Result<Vec<ChargePoint>> {
    let view = set(dataset, label);
    let (v_store_v, t_pulse_s) = (view.numbers("v_store_v")?, view.numbers("t_pulse_s")?);
    let (v_bl_v, charge_c) = (view.numbers("v_bl_v")?, view.numbers("charge_c")?);
    Ok((0..v_store_v.len())
        .map(|k| ChargePoint {
            v_store_v: v_store_v[k],
            t_pulse_s: t_pulse_s[k],
            v_bl_v: v_bl_v[k],
            charge_c: charge_c[k],
        })
        // The sweep goes a little beyond: a converter's full pulse is some picoseconds longer than T_max.
        .filter(|point| point.t_pulse_s <= T_MAX_S * (1.0 + 1e-9))
        .collect())
}
