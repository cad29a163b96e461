//! A whole sub-tile as one circuit against its columns one by one.
//!
//! Validation and characterization take columns for independent: shared word lines carry what a driver model says, and
//! wires are lumped. Here both arrays of a small sub-tile are one circuit at transistor level, drivers shared, bit lines and word
//! lines with or without the resistance and capacitance of their wires, and the second array is driven by the first one's
//! converters while they convert. The difference is what the per-column method costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::arrays::{CELL, Drive, Recorder, k_columns, replay, scalar, v_columns};
use super::column::{Column, EDGE_S, WordLine, width_at_half_swing};
use super::spice::{Request, Spice};
use super::stimuli::{AgeClass, Size, Stimuli};
use super::verdict::Pairs;
use crate::error::Result;
use crate::measure::{How, Measurement};
use crate::netlist::{Deck, TechFiles};
use crate::tech::Technology;
use crate::units::Unit;
use crate::waveform::Waveform;

/// Cells of a column for which the benches' capacitors and currents are sized.
const FULL_ROWS: f64 = 64.0;

/// Limit on the root mean square difference [full scale].
pub const LIMIT: f64 = 0.005;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubtileSetup {
    /// Rows and columns of each array.
    pub size: usize,
    /// Seed of the stimuli.
    pub seed: u64,
    /// Whether the whole circuit runs too; a 64 x 64 one would take hours.
    pub whole: bool,
    /// Whether the converters of an array share one bias cell in the whole circuit. Their kicks then meet on its lines, which
    /// columns alone do not see; by default each has its own.
    pub shared_bias: bool,
}

/// The columns of a sub-tile, and the whole circuit beside them where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtileRow {
    /// Technology.
    pub tech: String,
    /// Rows and columns of each array.
    pub size: usize,
    /// Seed of the stimuli.
    pub seed: u64,
    /// Whether the whole circuit has wires; `None` if only columns ran.
    pub wires: Option<bool>,
    /// Whether its converters share their bias.
    pub shared_bias: bool,
    /// phi as fractions of full scale: `spice` is the whole circuit, `emulated` the columns.
    pub phi: Pairs,
    /// Signed outputs, likewise.
    pub output: Pairs,
    /// Time that the columns took, both arrays [s]; `None` if any came out of the store.
    pub columns_wall_s: Option<f64>,
    /// Time that the whole circuit took [s]; `None` if it came out of the store or did not run.
    pub whole_wall_s: Option<f64>,
}

impl SubtileRow {
    /// Whether the differences are within [`LIMIT`]; columns alone have nothing to miss.
    pub fn pass(&self) -> bool {
        self.wires.is_none() || (self.phi.score().nrmse <= LIMIT && self.output.score().nrmse <= LIMIT)
    }
}

/// Runs the columns, and the whole circuit without and with wires.
///
/// # Errors
/// The simulator's, and those of [`Spice::run`].
pub fn subtile(
    benches: &Path,
    tech: &Technology,
    setup: SubtileSetup,
    spice: &mut Spice<'_>,
) -> Result<Vec<SubtileRow>> {
    let bench = |name: &str| Deck::read(&benches.join(name), &TechFiles::of(tech, None)?);
    let n = setup.size;
    let size = Size { rows: n, k_columns: n, v_columns: n, kv_levels: 8, q_levels: 16, window: 1024 };
    let stimuli = Stimuli::new(setup.seed, AgeClass::Fresh, size);
    let subtile = bench("subtile.cir")?;
    let vdd = BTreeMap::from([("vdd".to_string(), tech.vdd_v)]);
    let wire_f = subtile.values(&vdd)?.get("c_cell").copied().unwrap_or(0.0) * n as f64;
    let k_bench = scaled_column(bench("column_k.cir")?, n, &vdd, wire_f)?;
    let v_bench = scaled_column(bench("column_v.cir")?, n, &vdd, wire_f)?;
    let level = |level: &usize| tech.vdd_v * *level as f64 / (size.kv_levels - 1) as f64;
    let stored = |columns: &[Vec<usize>]| -> Vec<Vec<f64>> {
        columns.iter().map(|column| column.iter().map(level).collect()).collect()
    };
    let (keys, values) = (stored(&stimuli.keys), stored(&stimuli.values));
    let t_max_s = k_bench.value("t_max");
    let widths_s: Vec<f64> =
        stimuli.query.iter().map(|code| t_max_s * *code as f64 / (size.q_levels - 1) as f64).collect();

    let (began, cached) = (Instant::now(), spice.cached);
    let drive = driver_lines(bench("wordline.cir")?, &k_bench, n, &widths_s, spice)?;
    let (phi_s, lines) = k_columns(&k_bench, &keys, &Drive::Lines(&drive), &[], spice)?;
    let outputs = v_columns(&v_bench, CELL, &values, &lines, &[], t_max_s, spice)?;
    let fresh = |cached_before: usize, spice: &Spice<'_>, began: Instant| {
        (spice.cached == cached_before).then(|| began.elapsed().as_secs_f64())
    };
    let columns_wall_s = fresh(cached, spice, began);
    let phi: Vec<f64> = phi_s.iter().map(|width| width / t_max_s).collect();
    let row = |wires, whole: [Vec<f64>; 2], whole_wall_s| {
        let [phi_whole, output_whole] = whole;
        SubtileRow {
            tech: tech.name.clone(),
            size: n,
            seed: setup.seed,
            wires,
            shared_bias: setup.shared_bias,
            phi: Pairs { spice: phi_whole, emulated: phi.clone() },
            output: Pairs { spice: output_whole, emulated: outputs.clone() },
            columns_wall_s,
            whole_wall_s,
        }
    };
    if !setup.whole {
        return Ok(vec![row(None, [phi.clone(), outputs.clone()], None)]);
    }
    let mut rows = Vec::new();
    for wires in [false, true] {
        let circuit = Whole::new(&subtile, [&k_bench, &v_bench], &vdd, setup, wires)?;
        let (began, cached) = (Instant::now(), spice.cached);
        let whole = circuit.run(&keys, &values, &widths_s, spice)?;
        rows.push(row(Some(wires), whole, fresh(cached, spice, began)));
    }
    Ok(rows)
}

/// A column bench for `n` rows: capacitor and current shrink with the rows, so that the voltages stay those of 64.
fn scaled_column(deck: Deck, n: usize, vdd: &BTreeMap<String, f64>, wire_f: f64) -> Result<Column> {
    let own = deck.values(vdd)?;
    let mut overrides = vdd.clone();
    for name in ["c_bl", "i_src_k", "i_src_v"] {
        overrides.extend(own.get(name).map(|value| (name.to_string(), value * n as f64 / FULL_ROWS)));
    }
    overrides.extend([("n_row".to_string(), n as f64), ("c_wire".to_string(), wire_f)]);
    overrides.retain(|name, _| own.contains_key(name));
    Column::new(deck, n, &overrides)
}

/// What the drivers of the query put onto the K array's word lines: one run of the driver model per width.
fn driver_lines(
    deck: Deck,
    k_bench: &Column,
    n: usize,
    widths_s: &[f64],
    spice: &mut Spice<'_>,
) -> Result<Vec<Option<WordLine>>> {
    let mut distinct: Vec<f64> = widths_s.iter().copied().filter(|width| *width > 0.0).collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let shared = [
        ("n_row", n as f64),
        ("c_wire", k_bench.value("c_wire")),
        ("vdd", k_bench.value("vdd")),
        ("t_in", k_bench.value("t_in")),
        ("t_edge", EDGE_S),
    ];
    let overrides = |width: f64| -> BTreeMap<String, f64> {
        shared.iter().map(|(name, value)| ((*name).to_string(), *value)).chain([("t_pulse".into(), width)]).collect()
    };
    let mut requests = Vec::new();
    for width in &distinct {
        let values = deck.values(&overrides(*width))?;
        requests.push(Request {
            alters: deck.alters(&["t_pulse".to_string()], &values)?,
            analysis: deck.analysis_command(&values)?,
            t_stop_s: deck.stop_time(&values)?,
            measurements: Vec::new(),
        });
    }
    let signals: Vec<String> = ["v(wl)", "v(wlb)"].map(String::from).to_vec();
    let full_width = distinct.last().copied().unwrap_or_default();
    let circuit = deck.circuit(&deck.values(&overrides(full_width))?, &signals, &[]);
    let recorder = Recorder { from_s: 0.0, vdd_v: k_bench.value("vdd") };
    let reduce = |waveform: &Waveform| recorder.record(waveform);
    let answers = spice.run(&circuit, &signals, &requests, Some((&recorder.name(), &reduce)))?;
    let line = |width: &f64| {
        let at = distinct.iter().position(|known| known == width)?;
        Some(replay(&answers[at], 0.0))
    };
    Ok(widths_s.iter().map(line).collect())
}

/// The sub-tile as one circuit.
struct Whole<'a> {
    deck: &'a Deck,
    values: BTreeMap<String, f64>,
    n: usize,
    wires: bool,
    shared_bias: bool,
}

impl<'a> Whole<'a> {
    /// The bench with the parameters of the two columns' benches.
    fn new(
        deck: &'a Deck,
        [k, v]: [&Column; 2],
        vdd: &BTreeMap<String, f64>,
        SubtileSetup { size: n, shared_bias, .. }: SubtileSetup,
        wires: bool,
    ) -> Result<Whole<'a>> {
        let mut overrides = vdd.clone();
        let of_both = ["v_ref", "v_wbl", "c_bl", "i_cmp", "t_in", "t_max", "t_conv"];
        let of_k = ["v_pre_k", "i_src_k", "t_lag_k"].into_iter().chain(of_both).map(|name| (name, k));
        let of_v = ["v_pre_v", "i_src_v", "t_lag_v", "t_rest_v", "t_strobe"].map(|name| (name, v));
        overrides.extend(of_k.chain(of_v).map(|(name, column)| (name.to_string(), column.value(name))));
        Ok(Whole { deck, values: deck.values(&overrides)?, n, wires, shared_bias })
    }

    fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }

    /// Node `at` cells along a line.
    fn node(&self, line: &str, at: usize) -> String {
        if self.wires { format!("{line}_{at}") } else { line.to_string() }
    }

    /// Resistances between the cells' nodes and capacitances at them.
    fn wire(&self, line: &str) -> Vec<String> {
        if !self.wires {
            return Vec::new();
        }
        let segment = |at: usize| format!("r{line}_{at} {line}_{} {line}_{at} {{r_cell}}", at - 1);
        let node = |at: usize| format!("c{line}_{at} {line}_{at} 0 {{c_cell}}");
        (1..self.n).map(segment).chain((0..self.n).map(node)).collect()
    }

    /// The driver of row `i` of an array (`k` or `v`), its word lines, and the cells on them.
    fn row(&self, array: &str, i: usize, input: &str, stored_v: &[f64]) -> Vec<String> {
        let (wl, wlb) = (format!("{array}wl{i}"), format!("{array}wb{i}"));
        // Without wires their capacitance sits at the driver.
        let cwire = if self.wires { "0".to_string() } else { format!("{{{}*c_cell}}", self.n) };
        let (first, first_b) = (self.node(&wl, 0), self.node(&wlb, 0));
        let mut lines = vec![format!("xd{array}{i} {input} {first} {first_b} vdd wordline_driver cwire={cwire}")];
        lines.extend(self.wire(&wl));
        lines.extend(self.wire(&wlb));
        for (j, v) in stored_v.iter().enumerate() {
            let (cell, bl) = (format!("{array}{i}_{j}"), self.node(&format!("{array}bl{j}"), i));
            let (wl, wlb) = (self.node(&wl, j), self.node(&wlb, j));
            lines.push(format!("vs{cell} s{cell} 0 {v:e}"));
            lines.push(format!("xc{cell} we web wbl {wl} {wlb} {bl} vdd {CELL}"));
            lines.push(format!("ss{cell} s{cell} xc{cell}.st set 0 setsw"));
        }
        lines
    }

    /// Bit line `j` of an array: capacitor, precharge and converter sit at its first cell.
    fn bit_line(&self, array: &str, j: usize) -> Vec<String> {
        let line = format!("{array}bl{j}");
        let end = self.node(&line, 0);
        let own = if self.shared_bias { 0 } else { j };
        let bias = [format!("{array}vbc{own}"), format!("{array}vbp{own}"), format!("{array}vbn{own}")].join(" ");
        let converter = if array == "k" {
            format!("xk{j} {end} vref enk enok ko{j} {bias} vdd charge_to_pulse")
        } else {
            format!("xv{j} {end} vref env enov ckv vo{j} sg{j} {bias} vdd charge_to_pulse_signed")
        };
        let source = format!("xb{array}{j} {bias} vdd converter_bias icmp={{i_cmp}} isrc={{i_src_{array}}}");
        let mut lines: Vec<String> = (own == j).then_some(source).into_iter().collect();
        lines.extend([
            format!("cx{line} {end} 0 {{c_bl}}"),
            format!("sp{line} pre{array} {end} pch{array} 0 presw"),
            format!(".nodeset v({end})={:e}", self.value("v_ref")),
            converter,
        ]);
        lines.extend(self.wire(&line));
        lines
    }

    fn lines(&self, keys: &[Vec<f64>], values: &[Vec<f64>], widths_s: &[f64]) -> Vec<String> {
        let (t_in, vdd) = (self.value("t_in"), self.value("vdd"));
        let mut lines = Vec::new();
        for (i, width) in widths_s.iter().enumerate() {
            let (high, flat) = if *width > 0.0 { (vdd, width - EDGE_S) } else { (0.0, 1e-9) };
            lines.push(format!("vin{i} in{i} 0 pulse(0 {high:e} {t_in:e} {EDGE_S:e} {EDGE_S:e} {flat:e} 1)"));
            let stored: Vec<f64> = keys.iter().map(|column| column[i]).collect();
            lines.extend(self.row("k", i, &format!("in{i}"), &stored));
        }
        for j in 0..self.n {
            lines.extend(self.bit_line("k", j));
            let stored: Vec<f64> = values.iter().map(|column| column[j]).collect();
            lines.extend(self.row("v", j, &format!("ko{j}"), &stored));
        }
        for d in 0..self.n {
            lines.extend(self.bit_line("v", d));
            lines.push(format!("xdo{d} vo{d} ol{d} ob{d} vdd wordline_driver"));
        }
        lines
    }

    /// phi and signed outputs as fractions of T_max.
    fn run(
        &self,
        keys: &[Vec<f64>],
        values: &[Vec<f64>],
        widths_s: &[f64],
        spice: &mut Spice<'_>,
    ) -> Result<[Vec<f64>; 2]> {
        let (middle, t_max_s) = (self.value("vdd") / 2.0, self.value("t_max"));
        let latched = self.value("t_second") + t_max_s - 1e-9;
        let (mut signals, mut measurements) = (Vec::new(), Vec::new());
        for at in 0..self.n {
            let phi = format!("v({})", self.node(&format!("vwl{at}"), 0));
            let (output, sign) = (format!("v(ol{at})"), format!("v(sg{at})"));
            measurements.push(width_at_half_swing(&format!("phi_{at}_s"), &phi, middle));
            measurements.push(width_at_half_swing(&format!("out_{at}_s"), &output, middle));
            let how = How::At { signal: sign.clone(), at: latched };
            measurements.push(Measurement { column: format!("sign_{at}_v"), unit: Unit::Volt, how });
            signals.extend([phi, output, sign]);
        }
        let circuit = self.deck.circuit(&self.values, &signals, &self.lines(keys, values, widths_s));
        let request = Request {
            alters: Vec::new(),
            analysis: self.deck.analysis_command(&self.values)?,
            t_stop_s: self.deck.stop_time(&self.values)?,
            measurements,
        };
        let answers = spice.run(&circuit, &signals, &[request], None)?;
        let (mut phi, mut output) = (Vec::new(), Vec::new());
        for at in 0..self.n {
            phi.push(scalar(&answers[0], &format!("phi_{at}_s"))? / t_max_s);
            let sign = if scalar(&answers[0], &format!("sign_{at}_v"))? > middle { 1.0 } else { -1.0 };
            output.push(sign * scalar(&answers[0], &format!("out_{at}_s"))? / t_max_s);
        }
        Ok([phi, output])
    }
}
