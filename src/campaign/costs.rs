//! Rows to costs: which measurements of which sweep say what an operation takes.

use super::latest_run;
use crate::dataset::{Dataset, View};
use crate::error::Result;
use crate::lut::{Axis, Cost, Grid};
use crate::project::Project;
use crate::sweep::{DESIGN, SET_LABEL};
use crate::units::Unit;

/// Where a cost comes from.
struct Source {
    block: &'static str,
    sweep: &'static str,
    column: &'static str,
    /// Column of the operand, if the cost is a curve over it.
    over: Option<&'static str>,
    per: &'static str,
}

const fn source(
    block: &'static str,
    sweep: &'static str,
    column: &'static str,
    over: Option<&'static str>,
    per: &'static str,
) -> Source {
    Source { block, sweep, column, over, per }
}

const CELL_READ: &str = "one cell, one pulse of T_max: supply, bit line and word lines; shorter pulses in proportion";
const WRITE: &str = "one token, one array of 64 x 64: level string, 64 DACs and lines, one write enable";
const ROW_PULSE: &str = "one row of 64 cells, one token";
const CONVERSION: &str = "one converter, one conversion, awake from 2 ns before it; without its bias cell";
const COUNT: &str = "one counter, one conversion";
const TOKEN: &str = "one token: one K and one V column with everything that serves them";

/// Every cost that a table may hold.
const SOURCES: [Source; 24] = [
    source(
        "cell",
        "cell_6t_cycle",
        "energy_write_line_j",
        Some("v_level_v"),
        "one write bit line of 64 cells, one level",
    ),
    source("cell", "cell_6t_cycle", "energy_read_cell_j", Some("v_level_v"), CELL_READ),
    source("cell", "cell_6t_cycle", "leakage_power_w", Some("v_prev_v"), "one cell that holds"),
    source("write_path", "write_path", "energy_write_j", None, WRITE),
    source("write_path", "write_path", "energy_per_cell_j", None, "one cell's share of that"),
    source("write_path", "write_path", "t_settle_s", None, "one write, to a quarter of a step"),
    source(
        "write_path",
        "write_path",
        "leakage_power_w",
        None,
        "64 lines with their DACs and one write enable, at rest",
    ),
    source("word_line", "pulse_width", "energy_logic_j", Some("code"), ROW_PULSE),
    source("word_line", "pulse_width", "energy_word_line_j", Some("code"), ROW_PULSE),
    source("word_line", "pulse_width", "leakage_power_w", None, "one row's driver, at rest"),
    source(
        "word_line",
        "pulse_width_array",
        "energy_shared_per_row_j",
        None,
        "one row's share of the count that 64 rows use",
    ),
    source("word_line", "word_line_wires", "t_line_delay_s", None, "to the far end of the true line"),
    source("converter_unsigned", "readout", "energy_conversion_j", Some("q_in_c"), CONVERSION),
    source("converter_signed", "readout_signed", "energy_conversion_j", Some("q_in_c"), CONVERSION),
    source("counter", "pulse_counter", "energy_conversion_j", Some("t_pulse_s"), COUNT),
    source("counter", "pulse_counter", "leakage_power_w", None, "one counter, at rest"),
    source("calibration", "offset_trim", "energy_trim_j", None, "one unsigned converter, once"),
    source("token", "token", "energy_write_j", None, TOKEN),
    source("token", "token", "energy_k_input_j", None, TOKEN),
    source("token", "token", "energy_conversion_j", None, TOKEN),
    source("token", "token", "energy_signed_conversion_j", None, TOKEN),
    source("token", "token", "energy_token_j", None, TOKEN),
    source("token", "token", "t_token_s", None, "one token, from its write to the last bit of its result"),
    source("token", "token", "idle_power_w", None, "the same circuits with both comparators asleep"),
];

/// Share of an operand's range below which two values are the same.
const SAME: f64 = 1e-3;

/// Sweeps whose costs a quick characterization measures beside what its models need.
pub const COST_SWEEPS: [&str; 1] = ["cell_6t_cycle"];

/// The costs that stored runs tell, and the sweeps that have no run on this technology.
///
/// # Errors
/// Those of reading a run.
pub fn costs(project: &Project, tech: &str) -> Result<(Vec<Cost>, Vec<&'static str>)> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let mut last: Option<(&str, Option<Dataset>)> = None;
    for source in &SOURCES {
        if last.as_ref().is_none_or(|(sweep, _)| *sweep != source.sweep) {
            let dataset = latest_run(project, source.sweep, tech).ok().map(|run| Dataset::read(&run)).transpose()?;
            if dataset.is_none() && !missing.contains(&source.sweep) {
                missing.push(source.sweep);
            }
            last = Some((source.sweep, dataset));
        }
        if let Some((_, Some(dataset))) = &last {
            found.extend(cost(source, dataset)?);
        }
    }
    Ok((found, missing))
}

/// A cost, unless no good row has its measurement (a run from before the sweep measured it).
fn cost(source: &Source, dataset: &Dataset) -> Result<Option<Cost>> {
    let Some((_, unit)) = Unit::of_column(source.column) else { return Ok(None) };
    let view = dataset.ok().labelled(SET_LABEL, DESIGN);
    let values: Vec<f64> = view.column(source.column).into_iter().flatten().filter(|x| x.is_finite()).collect();
    if values.is_empty() {
        return Ok(None);
    }
    let curve = source.over.map(|over| curve(&view, source.column, unit, over)).transpose()?.flatten();
    Ok(Some(Cost {
        name: format!("{}.{}", source.block, source.column),
        unit: unit.symbol().to_string(),
        per: source.per.to_string(),
        mean: values.iter().sum::<f64>() / values.len() as f64,
        least: values.iter().copied().fold(f64::INFINITY, f64::min),
        greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        curve,
        sweep: source.sweep.to_string(),
    }))
}

/// Mean at each value of the operand. One that was measured, as a code, carries rounding: values closer than [`SAME`] of their
/// range are one.
fn curve(view: &View<'_>, column: &str, unit: Unit, over: &str) -> Result<Option<Grid>> {
    let pairs = view.column(over).into_iter().zip(view.column(column));
    let mut pairs: Vec<(f64, f64)> = pairs.filter_map(|(x, y)| Some((x?, y?))).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let range = pairs.first().zip(pairs.last()).map_or(0.0, |(first, last)| last.0 - first.0);
    let groups: Vec<&[(f64, f64)]> = pairs.chunk_by(|a, b| b.0 - a.0 <= SAME * range).collect();
    if groups.len() < 2 {
        return Ok(None);
    }
    let axis_unit = Unit::of_column(over).map_or("1", |(_, unit)| unit.symbol());
    let nodes = groups.iter().map(|group| group[0].0).collect();
    let means = groups.iter().map(|group| group.iter().map(|(_, y)| y).sum::<f64>() / group.len() as f64).collect();
    Ok(Some(Grid::curve(column, unit.symbol(), Axis::new(over, axis_unit, nodes), means)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dataset::{Manifest, Outcome, PointId, Row, Value};

    fn dataset(rows: &[(f64, f64)]) -> Dataset {
        let row = |(index, (code, energy_j)): (usize, &(f64, f64))| Row {
            id: PointId(format!("{index:032x}")),
            index: index as u64,
            values: BTreeMap::new(),
            labels: BTreeMap::from([(SET_LABEL.to_string(), DESIGN.to_string())]),
            outcome: Outcome::Ok,
            tier: 0,
            measured: BTreeMap::from([
                ("code".to_string(), Value::Scalar(*code)),
                ("energy_logic_j".to_string(), Value::Scalar(*energy_j)),
            ]),
            message: String::new(),
        };
        Dataset::new(Manifest::new("pulse_width", "quick"), rows.iter().enumerate().map(row))
    }

    #[test]
    fn a_cost_is_the_mean_at_each_operand() {
        let energy = SOURCES.iter().find(|s| s.column == "energy_logic_j").unwrap();
        // Codes are read from voltages: 0.9998 and 1 are one code.
        let found = cost(energy, &dataset(&[(0.0, 1e-15), (1.0, 2e-15), (0.9998, 4e-15)])).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.unit.as_str()), ("word_line.energy_logic_j", "J"));
        assert!((found.mean - 7e-15 / 3.0).abs() < 1e-27);
        assert_eq!((found.least, found.greatest), (1e-15, 4e-15));
        let curve = found.curve.unwrap();
        assert_eq!(curve.axes[0].values, [0.0, 0.9998]);
        assert!(curve.values.iter().zip([1e-15, 3e-15]).all(|(found, mean)| (found / mean - 1.0).abs() < 1e-12));
    }

    #[test]
    fn rows_without_the_measurement_make_no_cost() {
        let energy = SOURCES.iter().find(|s| s.column == "energy_word_line_j").unwrap();
        assert_eq!(cost(energy, &dataset(&[(0.0, 1e-15)])).unwrap(), None);
    }

    #[test]
    fn every_source_is_a_measurement_of_a_sweep_of_the_project() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for source in &SOURCES {
            let file = root.join(format!("sweeps/{}.toml", source.sweep));
            let spec = crate::spec::SweepSpec::read(&file, &root.join("netlists/benches")).unwrap();
            let columns: Vec<String> = spec.measures.iter().map(|m| m.column.clone()).collect();
            assert!(columns.iter().any(|c| c == source.column), "{} has no {}", source.sweep, source.column);
            let Some(over) = source.over else { continue };
            let swept = spec.parameters.iter().any(|p| p.column() == over);
            assert!(swept || columns.iter().any(|c| c == over), "{} has no {over}", source.sweep);
        }
    }
}
