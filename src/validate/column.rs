//! Decks and commands of columns at transistor level.
//!
//! A column bench holds everything but the cells. Per row it gets a stored voltage, two word lines and a cell; each of
//! these is a source, so one loaded circuit serves every column and only `alter` commands run in between.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::measure::{Crossing, Edge, How, Measurement};
use crate::netlist::{Deck, LoadedCircuit};
use crate::units::Unit;

/// A word line's recorded pulse as straight lines, both phases between the same times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WordLine {
    /// Times of the vertices [s].
    pub time_s: Vec<f64>,
    /// True phase and complement at these times [V].
    pub phases_v: [Vec<f64>; 2],
}

impl WordLine {
    /// The same pulse later.
    pub fn delayed(mut self, by_s: f64) -> WordLine {
        self.time_s.iter_mut().for_each(|t| *t += by_s);
        self
    }

    /// Three times the integral of x (1 - x) over the pulse, x the true phase over the supply: rise and fall time of a pulse
    /// with straight edges that has the same [s].
    pub fn edge_time_s(&self, vdd_v: f64) -> f64 {
        let pairs = self.time_s.windows(2).zip(self.phases_v[0].windows(2));
        // The product of two straight lines, integrated exactly: Simpson's rule.
        let piece = |(t, v): (&[f64], &[f64])| {
            let product = |v: f64| v / vdd_v * (1.0 - v / vdd_v);
            (t[1] - t[0]) / 6.0 * (product(v[0]) + 4.0 * product(0.5 * (v[0] + v[1])) + product(v[1]))
        };
        3.0 * pairs.map(piece).sum::<f64>()
    }

    /// A pulse with straight edges of `edge_s`, as wide at half swing of the true phase as this one and at the same time. `None` if
    /// the phase does not cross it twice.
    pub fn straight(&self, edge_s: f64, vdd_v: f64) -> Option<WordLine> {
        let half = vdd_v / 2.0;
        let pairs = self.time_s.windows(2).zip(self.phases_v[0].windows(2));
        let crossings: Vec<f64> = pairs
            .filter(|(_, v)| (v[0] < half) != (v[1] < half))
            .map(|(t, v)| t[0] + (t[1] - t[0]) * (half - v[0]) / (v[1] - v[0]))
            .collect();
        let (first, last) = (*crossings.first()?, *crossings.last().filter(|_| crossings.len() > 1)?);
        // A pulse that is shorter than its edges has steeper ones.
        let edge_s = edge_s.min(0.99 * (last - first));
        let time_s = vec![first - edge_s / 2.0, first + edge_s / 2.0, last - edge_s / 2.0, last + edge_s / 2.0];
        let shape = [0.0, 1.0, 1.0, 0.0];
        let phases_v = [shape.map(|x| x * vdd_v).to_vec(), shape.map(|x| (1.0 - x) * vdd_v).to_vec()];
        Some(WordLine { time_s, phases_v })
    }

    /// A phase as the argument of a piecewise linear source.
    fn pwl(&self, phase: usize) -> String {
        let vertices = self.time_s.iter().zip(&self.phases_v[phase]);
        vertices.map(|(t, v)| format!("{t:e} {v:e}")).collect::<Vec<_>>().join(" ")
    }
}

/// A column bench with `rows` cells.
pub struct Column {
    deck: Deck,
    values: BTreeMap<String, f64>,
    rows: usize,
    models: Vec<String>,
}

impl Column {
    /// The column of `rows` cells on the bench `deck`; `overrides` are its parameters.
    ///
    /// # Errors
    /// A parameter without a value.
    pub fn new(deck: Deck, rows: usize, overrides: &BTreeMap<String, f64>) -> Result<Column> {
        let values = deck.values(overrides)?;
        Ok(Column { deck, values, rows, models: Vec::new() })
    }

    /// The same with these lines in front of the cells: subcircuits that the bench does not include.
    pub fn with_models(mut self, text: &str) -> Column {
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('*')) {
            match (line.strip_prefix('+'), self.models.last_mut()) {
                (Some(more), Some(last)) => *last += more,
                _ => self.models.push(line.to_string()),
            }
        }
        self
    }

    /// The same for cells whose devices are altered. A worker keeps its circuit from run to run and nominal runs alter no device:
    /// the two must never share one.
    pub fn with_mismatch(mut self) -> Column {
        self.models.push("* the devices of every cell are altered".to_string());
        self
    }

    /// A parameter of the bench.
    pub fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }

    /// The circuit whose word lines are pulses, off until altered.
    pub fn pulsed(&self, cell: &str, signals: &[String]) -> LoadedCircuit {
        let t_in = self.value("t_in");
        let word_lines = |i: usize| {
            let (on, off) = (pulse_values(0.0, 0.0, t_in, 1e-9), pulse_values(self.vdd(), self.vdd(), t_in, 1e-9));
            [format!("vwl{i} wl{i} 0 pulse({on})"), format!("vwlb{i} wlb{i} 0 pulse({off})")]
        };
        self.deck.circuit(&self.values, signals, &self.cells(cell, word_lines))
    }

    /// The circuit whose word lines follow recorded pulses; `None` is a word line that stays off.
    pub fn driven(&self, cell: &str, lines: &[Option<WordLine>], signals: &[String]) -> LoadedCircuit {
        let word_lines = |i: usize| match lines.get(i).and_then(Option::as_ref) {
            Some(line) => {
                [format!("vwl{i} wl{i} 0 pwl({})", line.pwl(0)), format!("vwlb{i} wlb{i} 0 pwl({})", line.pwl(1))]
            }
            None => [format!("vwl{i} wl{i} 0 0"), format!("vwlb{i} wlb{i} 0 {:e}", self.vdd())],
        };
        self.deck.circuit(&self.values, signals, &self.cells(cell, word_lines))
    }

    fn cells(&self, cell: &str, word_lines: impl Fn(usize) -> [String; 2]) -> Vec<String> {
        let cells = (0..self.rows).flat_map(|i| {
            let [wl, wlb] = word_lines(i);
            [
                format!("vst{i} s{i} 0 {:e}", self.vdd() / 2.0),
                wl,
                wlb,
                format!("xc{i} we web wbl wl{i} wlb{i} bl vdd {cell}"),
                format!("ss{i} s{i} xc{i}.st set 0 setsw"),
            ]
        });
        self.models.iter().cloned().chain(cells).collect()
    }

    /// Commands that store these voltages [V], one per row.
    pub fn store(&self, stored_v: &[f64]) -> Vec<String> {
        stored_v.iter().enumerate().map(|(i, v)| format!("alter vst{i} dc = {v:e}")).collect()
    }

    /// Commands that set pulses of these widths at half swing [s]; zero is no pulse.
    pub fn pulses(&self, widths_s: &[f64]) -> Vec<String> {
        let (t_in, vdd) = (self.value("t_in"), self.vdd());
        let command = |(i, width): (usize, &f64)| {
            let high = if *width > 0.0 { vdd } else { 0.0 };
            let flat = (width - EDGE_S).max(1e-12);
            [
                format!("alter @vwl{i}[pulse] = [ {} ]", pulse_values(0.0, high, t_in, flat)),
                format!("alter @vwlb{i}[pulse] = [ {} ]", pulse_values(vdd, vdd - high, t_in, flat)),
            ]
        };
        widths_s.iter().enumerate().flat_map(command).collect()
    }

    fn vdd(&self) -> f64 {
        self.value("vdd")
    }

    /// The analysis as a command, and the time at which it must have ended [s].
    pub fn analysis(&self) -> Result<(String, Option<f64>)> {
        Ok((self.deck.analysis_command(&self.values)?, self.deck.stop_time(&self.values)?))
    }

    /// Width of the output pulse at half swing.
    pub fn width(&self) -> Measurement {
        width_at_half_swing("t_width_s", "v(wl)", self.vdd() / 2.0)
    }

    /// The latched sign's voltage at the end of the conversion.
    pub fn sign(&self) -> Measurement {
        let at = self.value("t_conv") + self.value("t_max") - 1e-9;
        let how = How::At { signal: "v(sgn)".to_string(), at };
        Measurement { column: "v_sign_v".to_string(), unit: Unit::Volt, how }
    }
}

/// Rise and fall time of the K array's word-line pulses, 0 to 100 % [s]; the same as in the bench that measures a cell's charge.
pub const EDGE_S: f64 = 50e-12;

/// Width of a signal's first pulse between its crossings of `level` [V]; no pulse has width zero.
pub fn width_at_half_swing(column: &str, signal: &str, level: f64) -> Measurement {
    let (from, to) = (f64::NEG_INFINITY, f64::INFINITY);
    let crossing = |edge| Crossing { signal: signal.to_string(), level, edge, nth: 1, from, to };
    let how = How::Delay { start: crossing(Edge::Rise), end: crossing(Edge::Fall), or_zero: true };
    Measurement { column: column.to_string(), unit: Unit::Second, how }
}

fn pulse_values(low: f64, high: f64, delay: f64, flat: f64) -> String {
    format!("{low:e} {high:e} {delay:e} {EDGE_S:e} {EDGE_S:e} {flat:e} 1")
}

/// Two recorded phases as few straight lines between common times, since the simulator stops at every vertex and begins anew
/// behind it. Samples within `pin_v` of a rail are put on it (what an overshoot leaves would otherwise be stretched over the
/// whole plateau), then vertices are dropped while both lines stay within `tolerance_v` (Douglas and Peucker, Cartographica
/// 10, 112 (1973), of the curve that both phases draw in the plane).
pub fn vertices(time_s: &[f64], phases_v: [&[f64]; 2], vdd_v: f64, pin_v: f64, tolerance_v: f64) -> WordLine {
    let pin = |v: f64| {
        if v.abs() < pin_v {
            0.0
        } else if (v - vdd_v).abs() < pin_v {
            vdd_v
        } else {
            v
        }
    };
    let both = time_s.iter().zip(phases_v[0].iter().zip(phases_v[1]));
    let samples: Vec<Vertex> = both.map(|(t, (wl, wlb))| (*t, [pin(*wl), pin(*wlb)])).collect();
    let on_rail = |v: f64| v == 0.0 || v == vdd_v;
    // Where neither phase moves between two samples, the line must be exact.
    let quiet = |k: usize| samples[k].1 == samples[k + 1].1 && samples[k].1.into_iter().all(on_rail);
    let last = samples.len().saturating_sub(1);
    let mut keep: Vec<bool> = (0..samples.len()).map(|k| k == 0 || k == last || quiet(k - 1) != quiet(k)).collect();
    let anchors: Vec<usize> = (0..samples.len()).filter(|k| keep[*k]).collect();
    for pair in anchors.windows(2) {
        thin(&samples, pair[0], pair[1], tolerance_v, &mut keep);
    }
    let kept = samples.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(vertex, _)| *vertex);
    let mut line = WordLine::default();
    for (t, [wl, wlb]) in spaced(kept, on_rail) {
        line.time_s.push(t);
        line.phases_v[0].push(wl);
        line.phases_v[1].push(wlb);
    }
    line
}

/// A time [s] and both phases [V].
type Vertex = (f64, [f64; 2]);

/// The simulator's own samples may lie femtoseconds apart, where putting one of them on a rail makes a step that no other
/// run converges through: of two such vertices, the one on the rails stays.
fn spaced(points: impl Iterator<Item = Vertex>, on_rail: impl Fn(f64) -> bool) -> Vec<Vertex> {
    let at_rest = |vertex: &Vertex| vertex.1.into_iter().all(&on_rail);
    let mut out: Vec<Vertex> = Vec::new();
    // On a common grid the edges of many word lines share their breakpoints; the error, half a step, is 0.003 % of T_max.
    for (t, phases) in points {
        let point = ((t / SPACING_S).round() * SPACING_S, phases);
        match out.last_mut() {
            Some(last) if point.0 - last.0 < 0.5 * SPACING_S => {
                if at_rest(&point) && !at_rest(last) {
                    *last = point;
                }
            }
            _ => out.push(point),
        }
    }
    out
}

/// Grid of the vertices [s]; an edge takes some 30 ps.
pub const SPACING_S: f64 = 1e-12;

fn thin(points: &[Vertex], first: usize, last: usize, tolerance: f64, keep: &mut [bool]) {
    let ((t0, v0), (t1, v1)) = (points[first], points[last]);
    let deviation = |k: usize| {
        let (t, v) = points[k];
        let part = if t1 > t0 { (t - t0) / (t1 - t0) } else { 0.0 };
        (0..2).map(|phase| (v[phase] - v0[phase] - (v1[phase] - v0[phase]) * part).abs()).fold(0.0, f64::max)
    };
    let worst = (first + 1..last).max_by(|a, b| deviation(*a).total_cmp(&deviation(*b)));
    if let Some(k) = worst.filter(|k| deviation(*k) > tolerance) {
        keep[k] = true;
        thin(points, first, k, tolerance, keep);
        thin(points, k, last, tolerance, keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_keeps_its_edges_and_its_plateaus() {
        let time: Vec<f64> = (0..400).map(|k| f64::from(k) * 1e-12).collect();
        let edge = |t: f64, at: f64| 0.45 * (1.0 + ((t - at) / 8e-12).tanh());
        let signal: Vec<f64> = time.iter().map(|t| edge(*t, 100e-12) - edge(*t, 300e-12)).collect();
        let complement: Vec<f64> = signal.iter().map(|v| 0.9 - v).collect();
        let line = vertices(&time, [&signal, &complement], 0.9, 5e-3, 10e-3);
        assert!(line.time_s.len() < 30, "{}", line.time_s.len());
        for (phase, recorded) in [&signal, &complement].into_iter().enumerate() {
            let at = |t: f64| crate::waveform::interpolate(&line.time_s, &line.phases_v[phase], t).unwrap();
            for (t, v) in time.iter().zip(recorded) {
                assert!((at(*t) - v).abs() < 15e-3, "phase {phase}, {t:e}: {} for {v}", at(*t));
            }
            assert_eq!(at(200e-12), [0.9, 0.0][phase]);
        }
    }

    #[test]
    fn straight_edges_have_their_own_edge_time() {
        let time_s = vec![0.0, 1e-9, 1.05e-9, 9e-9, 9.05e-9, 12e-9];
        let line = WordLine { time_s, phases_v: [vec![0.0, 0.0, 0.9, 0.9, 0.0, 0.0], vec![0.9; 6]] };
        assert!((line.edge_time_s(0.9) - 50e-12).abs() < 1e-24);
        let straight = line.straight(30e-12, 0.9).unwrap();
        assert!((straight.edge_time_s(0.9) - 30e-12).abs() < 1e-24);
        assert!((straight.time_s[0] - 1.01e-9).abs() < 1e-20 && (straight.time_s[3] - 9.04e-9).abs() < 1e-20);
        assert_eq!(
            WordLine { time_s: vec![0.0, 1.0], phases_v: [vec![0.0; 2], vec![0.9; 2]] }.straight(1e-12, 0.9),
            None
        );
    }

    #[test]
    fn a_record_without_a_pulse_is_two_points() {
        let rest = [0.001, -0.002, 0.003];
        let line = vertices(&[0.0, 1e-9, 2e-9], [&rest, &[0.9, 0.899, 0.901]], 0.9, 5e-3, 10e-3);
        assert_eq!(line, WordLine { time_s: vec![0.0, 2e-9], phases_v: [vec![0.0; 2], vec![0.9; 2]] });
        assert_eq!(vertices(&[], [&[], &[]], 0.9, 5e-3, 10e-3), WordLine::default());
    }
}
