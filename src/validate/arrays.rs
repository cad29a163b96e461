//! The two arrays of a tile, column by column: stored voltages and word lines in, pulses out.
//!
//! With word lines that no current moves, the columns of an array are independent circuits; each runs alone, so that they run
//! in parallel and a column of 64 cells takes a second instead of a share of ten minutes.

use std::collections::BTreeMap;

use super::column::{Column, SPACING_S, WordLine, vertices};
use super::spice::{Request, Spice};
use crate::dataset::Value;
use crate::error::{Kind, Problem, Result};
use crate::waveform::Waveform;

/// A recorded word line closer to a rail than this is on it [V].
const PIN_V: f64 = 15e-3;
/// Recorded word lines are straight lines to this accuracy [V]. Against 5 mV it moves outputs by up to 0.01 % of full scale, and a
/// V column, whose run stops at every vertex, takes a third fewer time points.
const TOLERANCE_V: f64 = 50e-3;
/// Delay of the recorded pulses' conversion window in the V columns' time [s].
pub const V_DELAY_S: f64 = 1e-9;
/// The subcircuit of the cell.
pub const CELL: &str = "gain_cell_6t";

/// What drives the word lines of the K array, one entry per row.
pub enum Drive<'a> {
    /// Pulses with ideal edges, of these widths at half swing [s]; zero is no pulse.
    Pulses(&'a [f64]),
    /// What a driver puts out; `None` is a word line that stays off.
    Lines(&'a [Option<WordLine>]),
}

/// Widths [s] and recorded word lines of the K columns' converters. `mismatch` are each column's commands for its devices;
/// empty for nominal ones.
pub fn k_columns(
    bench: &Column,
    stored_v: &[Vec<f64>],
    drive: &Drive<'_>,
    mismatch: &[Vec<String>],
    spice: &mut Spice<'_>,
) -> Result<(Vec<f64>, Vec<Option<WordLine>>)> {
    let (analysis, t_stop_s) = bench.analysis()?;
    let signals: Vec<String> = ["v(wl)", "v(wlb)"].map(String::from).to_vec();
    let (circuit, pulses) = match drive {
        Drive::Pulses(widths_s) => (bench.pulsed(CELL, &signals), bench.pulses(widths_s)),
        Drive::Lines(lines) => (bench.driven(CELL, lines, &signals), Vec::new()),
    };
    let requests: Vec<Request> = stored_v
        .iter()
        .enumerate()
        .map(|(j, column)| {
            let mut alters = bench.store(column);
            alters.extend(pulses.iter().cloned());
            alters.extend(mismatch.get(j).into_iter().flatten().cloned());
            Request { alters, analysis: analysis.clone(), t_stop_s, measurements: vec![bench.width()] }
        })
        .collect();
    let recorder = Recorder { from_s: bench.value("t_conv"), vdd_v: bench.value("vdd") };
    let reduce = |waveform: &Waveform| recorder.record(waveform);
    let answers = spice.run(&circuit, &signals, &requests, Some((&recorder.name(), &reduce)))?;
    let mut widths = Vec::new();
    let mut lines = Vec::new();
    for answer in &answers {
        let width = scalar(answer, "t_width_s")?;
        widths.push(width);
        lines.push((width > 0.0).then(|| replay(answer, V_DELAY_S)));
    }
    Ok((widths, lines))
}

/// Signed outputs of the V columns as fractions of T_max; `mismatch` as for the K columns.
#[allow(clippy::too_many_arguments)]
pub fn v_columns(
    bench: &Column,
    cell: &str,
    stored_v: &[Vec<f64>],
    lines: &[Option<WordLine>],
    mismatch: &[Vec<String>],
    t_max_s: f64,
    spice: &mut Spice<'_>,
) -> Result<Vec<f64>> {
    let (analysis, t_stop_s) = bench.analysis()?;
    let signals: Vec<String> = ["v(wl)", "v(sgn)"].map(String::from).to_vec();
    let measurements = vec![bench.width(), bench.sign()];
    let requests: Vec<Request> = stored_v
        .iter()
        .enumerate()
        .map(|(d, column)| Request {
            alters: bench.store(column).into_iter().chain(mismatch.get(d).into_iter().flatten().cloned()).collect(),
            analysis: analysis.clone(),
            t_stop_s,
            measurements: measurements.clone(),
        })
        .collect();
    let circuit = bench.driven(cell, lines, &signals);
    let answers = spice.run(&circuit, &signals, &requests, None)?;
    let middle = bench.value("vdd") / 2.0;
    answers
        .iter()
        .map(|answer| {
            let sign = if scalar(answer, "v_sign_v")? > middle { 1.0 } else { -1.0 };
            Ok(sign * scalar(answer, "t_width_s")? / t_max_s)
        })
        .collect()
}

/// How both phases of a word line, `v(wl)` and `v(wlb)`, become few vertices.
pub struct Recorder {
    /// Where the record begins, and its time zero [s].
    pub from_s: f64,
    /// Supply [V].
    pub vdd_v: f64,
}

impl Recorder {
    /// What the record depends on, for the identity of the run.
    pub fn name(&self) -> String {
        let from = self.from_s;
        format!("both phases from {from:e} s, pinned {PIN_V} V, within {TOLERANCE_V} V, on a grid of {SPACING_S:e} s")
    }

    /// The record of a waveform.
    pub fn record(&self, waveform: &Waveform) -> BTreeMap<String, Value> {
        let first = waveform.axis.partition_point(|t| *t < self.from_s);
        let time: Vec<f64> = waveform.axis[first..].iter().map(|t| t - self.from_s).collect();
        let phase = |signal: &str| waveform.signal(signal).map_or(&[][..], |s| &s[first..]);
        let line = vertices(&time, [phase("v(wl)"), phase("v(wlb)")], self.vdd_v, PIN_V, TOLERANCE_V);
        let curves = CURVES.into_iter().zip([line.time_s].into_iter().chain(line.phases_v));
        curves.map(|(name, curve)| (name.to_string(), Value::Curve(curve))).collect()
    }
}

/// Columns of a record: time, true phase, complement.
const CURVES: [&str; 3] = ["line_t_s", "wl_v", "wlb_v"];

/// A recorded word line, `delay_s` later.
pub fn replay(answer: &BTreeMap<String, Value>, delay_s: f64) -> WordLine {
    let [time_s, wl, wlb] = CURVES.map(|name| answer.get(name).and_then(Value::curve).unwrap_or_default().to_vec());
    WordLine { time_s, phases_v: [wl, wlb] }.delayed(delay_s)
}

/// A measurement that every good run has.
pub fn scalar(answer: &BTreeMap<String, Value>, name: &str) -> Result<f64> {
    answer.get(name).and_then(Value::scalar).ok_or_else(|| {
        Problem::new(Kind::Internal, format!("a column's run has no `{name}`")).help("clear results/.store").into()
    })
}
