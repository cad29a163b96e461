//! Models and rows to a lookup table.

use std::collections::BTreeMap;

use super::charge::{StaticCurrent, charge_grid};
use super::mismatch::draw_columns;
use super::models::{Models, STORED_LEVELS, idle_v_wbl_v};
use super::rows::{Datasets, T_MAX_S, dataset, incomplete};
use crate::dataset::Dataset;
use crate::error::{Kind, Problem, Result};
use crate::fit::branch::{BranchSamples, fit_branch};
use crate::fit::readout::ReadoutFit;
use crate::fit::retention::Relaxation;
use crate::fit::{ModelFit, Parameter};
use crate::lut::{
    Axis, Branch, Calibration, Cell, Column, Cost, Grid, Levels, Model, Noise, Offset, Parameter as TableParameter,
    Readout, Retention, SCHEMA, Scale, Table, Validity, Variability, Write,
};
use crate::sweep::{DESIGN, SET_LABEL};
use crate::tech::Technology;

/// Pulses from here on are a line in the width [s].
const T_LINEAR_S: f64 = 1e-9;
/// Half the bit-line step over which the conductance is taken [V].
const DV_BL_V: f64 = 0.1;
/// S at which the first converter's pulse is full, as published.
const S_SAT: f64 = 80.0;
/// |A| at which the second converter's pulse is full, as published.
const A_SAT: f64 = 40.0;
/// Time from token to token through 12 layers of 65 ns, as published [s].
const TOKEN_TIME_S: f64 = 12.0 * 65e-9;
/// Cells on a bit line.
const ROWS: u32 = 64;
/// Levels of the published system.
const LEVELS: Levels = Levels { stored: STORED_LEVELS, q: 16, output: 16 };

/// What the benches of the two columns state about themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnBench {
    /// Precharge voltage [V].
    pub v_pre_v: f64,
    /// Bit-line voltage at the end of the input window, for a charge, from the readout sweep [F]: charge over fall.
    pub c_bit_line_f: f64,
}

/// Builds the table.
///
/// # Errors
/// [`Kind::TableInvalid`] if a grid is incomplete (points of the sweep failed) or breaks the table's own rules.
pub fn build_table(
    models: &Models,
    datasets: &Datasets,
    tech: &Technology,
    profile: &str,
    seeds: &BTreeMap<String, String>,
    costs: Vec<Cost>,
) -> Result<Table> {
    let shape = StaticCurrent::new(dataset(datasets, "nonlinearity_dc")?)?;
    let cell = shape.refine(&charge_grid(dataset(datasets, "nonlinearity")?, None)?)?;
    let driven = shape.refine(&charge_grid(dataset(datasets, "nonlinearity_driven")?, Some("t_word_line_s"))?)?;
    let column_k = column_bench(dataset(datasets, "readout")?)?;
    let column_v = column_bench(dataset(datasets, "readout_signed")?)?;
    let span = |grid: &Grid, axis: usize| grid.axes[axis].span();
    let v_store = span(&cell, 0);
    let validity = Validity {
        v_driven_v: [0.0, tech.vdd_v],
        v_store_v: [v_store[0].max(span(&driven, 0)[0]), v_store[1].min(span(&driven, 0)[1])],
        v_wbl_v: [0.0, tech.vdd_v],
        t_pulse_s: [0.0, span(&cell, 1)[1].min(span(&driven, 1)[1])],
        v_bl_v: span(&cell, 2),
        age_s: [0.0, 0.8e-3],
        charge_unsigned_c: span(&models_width(&models.readout), 0),
        charge_signed_c: span(&models_width(&models.readout_signed), 0),
    };
    let mut table = Table {
        schema: SCHEMA,
        content_hash: String::new(),
        name: format!("{}-gain_cell_6t", tech.name),
        technology: tech.name.clone(),
        cell_name: "gain_cell_6t".to_string(),
        profile: profile.to_string(),
        provenance: provenance(datasets, tech, seeds),
        scale: Scale {
            vdd_v: tech.vdd_v,
            v_zero_v: tech.vdd_v / 2.0,
            t_max_s: T_MAX_S,
            temperature_degc: tech.temperature_degc,
            token_time_s: TOKEN_TIME_S,
            charge_per_unit_c: models.charge_per_unit_c(),
            s_sat: S_SAT,
            a_sat: A_SAT,
            levels: LEVELS,
        },
        write: Write {
            stored_v: write_curve(models, tech)?,
            sigma_v: Some(write_spread(models, datasets)?),
            calibration: Some(calibration(models)),
        },
        retention: Retention {
            rate_v_per_s: rate_grid(models)?,
            relaxation_v: models.retention.relaxation.as_ref().map(relaxation_grid),
            idle_v_wbl_v: idle_v_wbl_v(tech),
        },
        cell: Cell::from_charge(cell, column_k.v_pre_v, T_LINEAR_S, DV_BL_V)?,
        cell_v: Some(Cell::from_charge(driven, column_v.v_pre_v, T_LINEAR_S, DV_BL_V)?),
        column_k: column(&column_k),
        column_v: column(&column_v),
        readout_unsigned: readout(&models.readout),
        readout_signed: readout(&models.readout_signed),
        variability: Some(variability(models, datasets)?),
        noise: Some(noise(models)),
        costs,
        validity,
        models: models.reports().into_iter().map(model).collect(),
    };
    // The retention grid and the charge grids must both cover what the emulator may store.
    let rate_span = table.retention.rate_v_per_s.axes[1].span();
    table.validity.v_store_v[0] = table.validity.v_store_v[0].max(rate_span[0]);
    table.validity.v_store_v[1] = table.validity.v_store_v[1].min(rate_span[1]);
    Ok(table)
}

/// The bit line's capacitance is the slope of charge over fall in the input window: hand calculation Q = C dV.
pub(super) fn column_bench(dataset: &Dataset) -> Result<ColumnBench> {
    let view = dataset.ok().labelled(SET_LABEL, DESIGN);
    let (charge, end) = (view.numbers("q_in_c")?, view.numbers("v_bl_end_v")?);
    let start = view.numbers("v_bl_start_v")?;
    let fall: Vec<f64> = start.iter().zip(&end).map(|(a, b)| a - b).collect();
    let n = charge.len() as f64;
    let (mean_q, mean_f) = (charge.iter().sum::<f64>() / n, fall.iter().sum::<f64>() / n);
    let sqf: f64 = charge.iter().zip(&fall).map(|(q, f)| (q - mean_q) * (f - mean_f)).sum();
    let sff: f64 = fall.iter().map(|f| (f - mean_f).powi(2)).sum();
    Ok(ColumnBench { v_pre_v: start.iter().sum::<f64>() / n, c_bit_line_f: sqf / sff })
}

fn column(bench: &ColumnBench) -> Column {
    Column {
        rows: ROWS,
        c_bit_line_f: bench.c_bit_line_f,
        v_precharge_v: bench.v_pre_v,
        offset: Offset {
            constant_c: 0.0,
            per_width_a: 0.0,
            procedure:
                "cancelled in the circuit: the precharge is trimmed until the line through the widths of 1 to 14 ns \
                        passes through zero charge; what is left is in the readout curve, measured at that precharge"
                    .to_string(),
        },
    }
}

fn write_curve(models: &Models, tech: &Technology) -> Result<Grid> {
    let nodes = crate::spec::range(0.0, tech.vdd_v, 57, false);
    let values = nodes.iter().map(|v| models.write.stored_v(*v, tech.vdd_v / 2.0)).collect();
    Ok(Grid::curve("stored_v", "V", Axis::new("v_driven_v", "V", nodes), values))
}

/// Standard deviation of the stored voltage over the dice, at the levels of their sweep.
fn write_spread(models: &Models, datasets: &Datasets) -> Result<Grid> {
    let levels = dataset(datasets, "variability_write")?.ok().unique("v_level_v");
    let sigmas = (0..levels.len()).map(|k| models.variability_write.model.sigma(k)).collect();
    Ok(Grid::curve("sigma_v", "V", Axis::new("v_driven_v", "V", levels), sigmas))
}

fn calibration(models: &Models) -> Calibration {
    let dac = &models.dac;
    let level = || Axis::new("level", "1", (0..dac.driven_v.len()).map(|k| k as f64).collect());
    let [low, high] = dac.reach_v;
    Calibration {
        driven_v: Grid::curve("driven_v", "V", level(), dac.driven_v.clone()),
        stored_v: Grid::curve("stored_v", "V", level(), dac.stored_v.clone()),
        unreachable: dac.unreachable.iter().map(|k| *k as u32).collect(),
        procedure: format!(
            "inverse of the write model from half the supply: stored levels evenly over what driven voltages between the rails reach \
             of 0 to the supply, {low:.4} to {high:.4} V"
        ),
    }
}

fn noise(models: &Models) -> Noise {
    let model = &models.noise.model;
    let curve = |name: &str, unit: &str, values: Vec<f64>| {
        Grid::curve(name, unit, Axis::new("v_store_v", "V", model.v_store_v.clone()), values)
    };
    let [unsigned, signed] = &model.converters;
    Noise {
        f_min_hz: model.f_min_hz,
        sigma_stored_v: curve("sigma_stored_v", "V", model.sigma_stored_v.clone()),
        white_a2_per_hz: curve("white_a2_per_hz", "A2/Hz", model.cell.iter().map(|d| d.white).collect()),
        flicker_a2_per_hz: curve("flicker_a2_per_hz", "A2/Hz", model.cell.iter().map(|d| d.flicker).collect()),
        flicker_exponent: curve("flicker_exponent", "1", model.cell.iter().map(|d| d.exponent).collect()),
        sigma_unsigned_c: unsigned.sigma_c(),
        sigma_signed_c: signed.sigma_c(),
        jitter_unsigned_s: unsigned.jitter_s,
        jitter_signed_s: signed.jitter_s,
    }
}

fn rate_grid(models: &Models) -> Result<Grid> {
    let rate = &models.retention.model;
    let axes =
        vec![Axis::new("v_wbl_v", "V", rate.v_wbl_v.clone()), Axis::new("v_store_v", "V", rate.v_store_v.clone())];
    let values = rate.rate_v_per_s.iter().flatten().copied().collect();
    Ok(Grid::new("rate_v_per_s", "V/s", axes, values))
}

fn relaxation_grid(relaxation: &Relaxation) -> Grid {
    let axes = vec![
        Axis::new("v_store_v", "V", relaxation.v_start_v.clone()),
        Axis::new("t_hold_s", "s", relaxation.t_s.clone()),
    ];
    Grid::new("relaxation_v", "V", axes, relaxation.moved_v.concat())
}

fn models_width(fit: &ReadoutFit) -> Grid {
    let (nodes, widths) = (fit.table.nodes().to_vec(), fit.table.values().to_vec());
    Grid::curve("width_s", "s", Axis::new("charge_c", "C", nodes), widths)
}

fn readout(fit: &ReadoutFit) -> Readout {
    Readout {
        width_s: models_width(fit),
        offset_c: fit.positive.offset_c,
        parameters: fit.fit.parameters.iter().map(parameter).collect(),
    }
}

fn variability(models: &Models, datasets: &Datasets) -> Result<Variability> {
    let fit = &models.variability.model;
    let cells = dataset(datasets, "variability_cell")?;
    let levels = cells.ok().unique("v_store_v");
    let Some(sensitivity) = &fit.sensitivity else {
        return Err(Problem::new(Kind::TableInvalid, "the cell's mismatch samples carry no device draws").into());
    };
    let names: Vec<String> = sensitivity.draws.iter().map(|column| draw_name(column)).collect();
    let n = names.len();
    let ok = cells.ok().at("v_store_v", levels[0]);
    let columns = sensitivity.draws.iter().map(|name| ok.numbers(name)).collect::<Result<Vec<_>>>()?;
    // Draws are independent by construction; their spread is the one that was drawn.
    let variance: Vec<f64> = columns
        .iter()
        .map(|c| {
            let mean = c.iter().sum::<f64>() / c.len() as f64;
            c.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (c.len() as f64 - 1.0)
        })
        .collect();
    let is_gain = |name: &String| name.ends_with("mulu0");
    let inside = [levels[0], levels[levels.len() - 1]];
    let branches = branches(dataset(datasets, "variability_branch")?, &names, inside)?;
    let readout = &models.variability_readout.model;
    let sigma_gain = readout.sigma(0) / readout.mean[0];
    let sigma_offset_c = readout.sigma(1);
    // Both converters share the comparator: an offset voltage on the same bit-line capacitance is the same charge.
    let axes =
        vec![Axis::new("draw", "1", (0..n).map(|k| k as f64).collect()), Axis::new("v_store_v", "V", levels.clone())];
    let values = (0..n).flat_map(|d| (0..levels.len()).map(move |q| (d, q))).map(|(d, q)| sensitivity.matrix[q][d]);
    Ok(Variability {
        units: names.iter().map(|name| if is_gain(name) { "1".to_string() } else { "V".to_string() }).collect(),
        // A draw is the deviation from nominal, of the threshold [V] or of the mobility factor.
        mean: vec![0.0; n],
        covariance: (0..n * n).map(|k| if k / n == k % n { variance[k / n] } else { 0.0 }).collect(),
        current_a_per_unit: Grid::new("current_a_per_unit", "A/unit", axes, values.collect()),
        branches,
        sigma_offset_unsigned_c: sigma_offset_c,
        sigma_gain_unsigned: sigma_gain,
        sigma_offset_signed_c: sigma_offset_c,
        sigma_gain_signed: sigma_gain,
        names,
    })
}

/// The name of a draw, as in `xmn1.delvto`, from its column.
fn draw_name(column: &str) -> String {
    let bare = column.trim_start_matches("draw_").trim_end_matches("_v").replacen("xcell_", "", 1);
    match bare.rsplit_once('_') {
        Some((device, what)) => format!("{device}.{what}"),
        None => bare,
    }
}

/// The branches that the word line's levels turn on one by one; a third of the dice judges which threshold is the gate's.
fn branches(dataset: &Dataset, names: &[String], judged_v: [f64; 2]) -> Result<Vec<Branch>> {
    let axis =
        dataset.grid("i_cell_a").ok_or_else(|| incomplete(dataset, "the branches' current has no grid".to_string()))?;
    let columns = draw_columns(dataset);
    let drawn: Vec<String> = columns.iter().map(|column| draw_name(column)).collect();
    if drawn != names {
        return Err(incomplete(dataset, format!("its draws are {}", drawn.join(", ")))
            .accepted(names.join(", "))
            .into());
    }
    let nominal: Vec<f64> = names.iter().map(|name| if name.ends_with("mulu0") { 1.0 } else { 0.0 }).collect();
    let shifts: Vec<usize> = (0..names.len()).filter(|k| names[*k].ends_with("delvto")).collect();
    let mut branches = Vec::new();
    for (_, view) in dataset.ok().labelled(SET_LABEL, DESIGN).split("v_wl_v") {
        let drawn = columns.iter().map(|name| view.numbers(name)).collect::<Result<Vec<_>>>()?;
        let of = |i: usize| drawn.iter().zip(&nominal).map(|(column, nominal)| column[i] - nominal).collect();
        let samples = BranchSamples {
            v_store_v: axis.to_vec(),
            current_a: view.curve("i_cell_a").into_iter().flatten().map(<[f64]>::to_vec).collect(),
            draws: (0..view.len()).map(of).collect(),
        };
        let fit = fit_branch(names, &shifts, &samples, view.len() - view.len() / 3, judged_v)?;
        let stored = || Axis::new("v_store_v", "V", axis.to_vec());
        let draws = Axis::new("draw", "1", (0..names.len()).map(|k| k as f64).collect());
        branches.push(Branch {
            shifted_by: names[fit.shifted_by].clone(),
            current_a: Grid::curve("current_a", "A", stored(), fit.current_a),
            mean_change_a: Grid::curve("mean_change_a", "A", stored(), fit.mean_change_a),
            current_a_per_unit: Grid::new(
                "current_a_per_unit",
                "A/unit",
                vec![draws, stored()],
                fit.current_a_per_unit.concat(),
            ),
        });
    }
    Ok(branches)
}

fn parameter(parameter: &Parameter) -> TableParameter {
    TableParameter {
        name: parameter.name.clone(),
        value: parameter.value,
        unit: parameter.unit.clone(),
        ci95: parameter.ci_low.zip(parameter.ci_high).map(|(low, high)| [low, high]),
    }
}

fn model(fit: &ModelFit) -> Model {
    Model {
        name: fit.name.clone(),
        equation: fit.equation.clone(),
        parameters: fit.parameters.iter().map(parameter).collect(),
        held_out_error: fit.held_out_error,
        n_held_out: fit.n_held_out as u64,
        unit: fit.unit.clone(),
        limit: fit.limit,
        pass: fit.pass,
    }
}

fn provenance(datasets: &Datasets, tech: &Technology, seeds: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut found = seeds.clone();
    found.insert("tech_hash".to_string(), tech.hash.clone());
    found.insert("gaincell".to_string(), env!("CARGO_PKG_VERSION").to_string());
    for (name, dataset) in datasets {
        let manifest = &dataset.manifest;
        found.insert(format!("sweep.{name}"), manifest.sweep_hash.clone());
        let decks = manifest.decks.values().cloned().collect::<Vec<_>>().join(" ");
        found.insert(format!("decks.{name}"), decks);
        found.insert("simulator".to_string(), manifest.simulator.clone());
        if manifest.seed != 0 {
            found.insert(format!("seed.{name}"), manifest.seed.to_string());
        }
        if let Some(commit) = &manifest.commit {
            found.insert("commit".to_string(), commit.clone());
        }
    }
    found
}
