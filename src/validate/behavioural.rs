//! Columns of a table's behavioural subcircuits against the same columns of transistors, both in ngspice: same stored voltages, same
//! word lines, same options, time-step limit and bit-line capacitance.

use std::path::Path;

use serde::Serialize;

use super::arrays::{CELL, Drive, k_columns, v_columns};
use super::column::{Column, WordLine};
use super::spice::{Request, Spice};
use super::stimuli::{AgeClass, Size, Stimuli};
use crate::error::Result;
use crate::fit::stats;
use crate::lut::{Behavioural, Pchip, Table};
use crate::netlist::{Deck, TechFiles};
use crate::tech::Technology;

/// Limit on the error of any column [full scale].
pub const LIMIT: f64 = 0.01;

/// The converters of the behavioural columns.
const UNSIGNED: &str = "xconv bl vref en eno wl 0 0 0 vdd charge_to_pulse_table";
const SIGNED: &str = "xconv bl vref en eno ck wl sgn 0 0 0 vdd charge_to_pulse_signed_table";

/// One array's columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviouralRow {
    /// `K` or `V`.
    pub array: String,
    /// Cells per column.
    pub rows: usize,
    /// Pulse over T_max of every column, of transistors.
    pub transistors: Vec<f64>,
    /// The same of behavioural cells and converters.
    pub behavioural: Vec<f64>,
    /// Root mean square difference [full scale].
    pub rms: f64,
    /// Greatest difference [full scale].
    pub worst: f64,
    /// Median of the columns' wall times, of transistors and behavioural, in warm workers [s]; 0 if they were stored.
    pub wall_s: [f64; 2],
    /// No column is off by more than [`LIMIT`].
    pub pass: bool,
}

/// Runs the columns of a fresh tile of `size` for `seed` both ways. Columns of the K array get their query; those of the V array the
/// pulses of the transistor K columns, of the same widths at half swing; behavioural cells get them with straight edges.
///
/// # Errors
/// The simulator's and the table's.
pub fn behavioural(
    benches: &Path,
    tech: &Technology,
    table: &Table,
    size: Size,
    seed: u64,
    spice: &mut Spice<'_>,
) -> Result<[BehaviouralRow; 2]> {
    let bench = |name: &str| Deck::read(&benches.join(name), &TechFiles::of(tech, None)?);
    let overrides = tech.overrides();
    let models = Behavioural::new(table)?.spice();
    // Bit lines of the behavioural columns carry the cells' load, which the table knows.
    let table_bench = |name: &str, converter: &str, column: &crate::lut::Column, precharge: &str| -> Result<Column> {
        let mut own = overrides.clone();
        let of_table = [("c_bl", column.c_bit_line_f), (precharge, column.v_precharge_v), ("vdd", table.scale.vdd_v)];
        own.extend(of_table.map(|(name, value)| (name.to_string(), value)));
        Ok(Column::new(bench(name)?, size.rows, &own)?.with_models(&format!("{models}{converter}\n")))
    };
    let stimuli = Stimuli::new(seed, AgeClass::Fresh, size);
    let written = Pchip::new(&table.write.stored_v.axes[0].values, &table.write.stored_v.values);
    let level_v = |level: &usize| written.at(table.scale.vdd_v * *level as f64 / (size.kv_levels - 1) as f64);
    let voltages = |columns: &[Vec<usize>]| -> Vec<Vec<f64>> {
        columns.iter().map(|column| column.iter().map(level_v).collect()).collect()
    };
    let (keys, values) = (voltages(&stimuli.keys), voltages(&stimuli.values));
    let t_max_s = table.scale.t_max_s;
    let widths_s: Vec<f64> = stimuli.query.iter().map(|q| t_max_s * *q as f64 / (size.q_levels - 1) as f64).collect();

    let k_bench = Column::new(bench("column_k.cir")?, size.rows, &overrides)?;
    let (of_transistors, lines) = k_columns(&k_bench, &keys, &Drive::Pulses(&widths_s), &[], spice)?;
    let k_wall_s = median(&spice.wall_s);
    let k_table = table_bench("column_k_table.cir", UNSIGNED, &table.column_k, "v_pre_k")?;
    let of_table = k_table_columns(&k_table, &format!("{CELL}_k"), &keys, &widths_s, spice)?;
    let fractions = |widths: Vec<f64>| widths.into_iter().map(|width| width / t_max_s).collect();
    let wall_s = [k_wall_s, median(&spice.wall_s)];
    let k = row("K", size.rows, fractions(of_transistors), fractions(of_table), wall_s);

    let lines: Vec<Option<WordLine>> = (0..size.rows).map(|row| lines[row % lines.len()].clone()).collect();
    let v_bench = Column::new(bench("column_v.cir")?, size.rows, &overrides)?;
    let of_transistors = v_columns(&v_bench, CELL, &values, &lines, &[], t_max_s, spice)?;
    let v_wall_s = median(&spice.wall_s);
    let edges: Vec<f64> = lines.iter().flatten().map(|line| line.edge_time_s(table.scale.vdd_v)).collect();
    let edge_s = edges.iter().sum::<f64>() / edges.len().max(1) as f64;
    let v_table = table_bench("column_v_table.cir", SIGNED, &table.column_v, "v_pre_v")?;
    let cell = format!("{CELL}_v t_edge={edge_s:e}");
    // ngspice begins anew behind every vertex; a behavioural cell sees no more of an edge than its time and its length.
    let straight = |line: &Option<WordLine>| line.as_ref()?.straight(edge_s, table.scale.vdd_v);
    let straight: Vec<Option<WordLine>> = lines.iter().map(straight).collect();
    let of_table = v_columns(&v_table, &cell, &values, &straight, &[], t_max_s, spice)?;
    let v = row("V", size.rows, of_transistors, of_table, [v_wall_s, median(&spice.wall_s)]);
    Ok([k, v])
}

/// Widths of K columns whose converter drives nothing [s].
fn k_table_columns(
    bench: &Column,
    cell: &str,
    stored_v: &[Vec<f64>],
    widths_s: &[f64],
    spice: &mut Spice<'_>,
) -> Result<Vec<f64>> {
    let (analysis, t_stop_s) = bench.analysis()?;
    let signals = vec!["v(wl)".to_string()];
    let pulses = bench.pulses(widths_s);
    let request = |column: &Vec<f64>| Request {
        alters: bench.store(column).into_iter().chain(pulses.iter().cloned()).collect(),
        analysis: analysis.clone(),
        t_stop_s,
        measurements: vec![bench.width()],
    };
    let requests: Vec<Request> = stored_v.iter().map(request).collect();
    let answers = spice.run(&bench.pulsed(cell, &signals), &signals, &requests, None)?;
    answers.iter().map(|answer| super::arrays::scalar(answer, "t_width_s")).collect()
}

fn row(array: &str, rows: usize, transistors: Vec<f64>, behavioural: Vec<f64>, wall_s: [f64; 2]) -> BehaviouralRow {
    let differences = transistors.iter().zip(&behavioural).map(|(a, b)| (a - b).abs());
    let worst = differences.clone().fold(0.0, f64::max);
    let rms = (differences.map(|d| d * d).sum::<f64>() / transistors.len().max(1) as f64).sqrt();
    let array = array.to_string();
    BehaviouralRow { array, rows, transistors, behavioural, rms, worst, wall_s, pass: worst <= LIMIT }
}

/// The middle one.
fn median(times_s: &[f64]) -> f64 {
    stats::quantile_sorted(&stats::sorted(times_s), 0.5)
}
