//! What a lookup table holds.
//!
//! Signs: a charge is positive where it is drawn from the bit line, which lengthens the first converter's pulse; a cell
//! that stores more than the zero-weight voltage draws positive charge. Conductance is d(current drawn)/d(bit-line voltage).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::costs::Cost;
use super::grid::Grid;
use super::noise::Noise;

/// The schema that this version of the crate writes and reads.
pub const SCHEMA: u32 = 1;

/// One cell, its converters and their spread, as characterized; everything the emulator knows of a circuit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// [`SCHEMA`].
    pub schema: u32,
    /// BLAKE3 over the rest of the file, so that an edit by hand is noticed; set on writing.
    #[serde(default)]
    pub content_hash: String,
    /// Name of the table, its folder under `results/luts`.
    pub name: String,
    /// Technology.
    pub technology: String,
    /// Cell.
    pub cell_name: String,
    /// Profile of the campaign that made it (`quick`, `full`).
    pub profile: String,
    /// What made it: sweep and deck hashes, ngspice's version, seed, commit.
    pub provenance: BTreeMap<String, String>,
    /// Voltages, times and the charge scale.
    pub scale: Scale,
    /// Driven level to stored voltage.
    pub write: Write,
    /// How stored voltages drift.
    pub retention: Retention,
    /// Charge of one cell of the K array.
    pub cell: Cell,
    /// Charge of one cell of the V array, where its precharge or its pulses' edges differ; absent: as `cell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell_v: Option<Cell>,
    /// Columns of the K array.
    pub column_k: Column,
    /// Columns of the V array.
    pub column_v: Column,
    /// First converter: charge to the pulse width phi.
    pub readout_unsigned: Readout,
    /// Second converter: charge to a signed width.
    pub readout_signed: Readout,
    /// Spread from cell to cell and converter to converter; absent: not characterized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variability: Option<Variability>,
    /// What no two writes, reads or conversions have in common; absent: not characterized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// Energy, time and power of the blocks' operations; empty: not characterized.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Cost>,
    /// Where the table holds.
    pub validity: Validity,
    /// Compact models behind and beside the grids.
    pub models: Vec<Model>,
}

/// Voltages, times and the charge scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Supply [V].
    pub vdd_v: f64,
    /// Stored voltage that stands for the weight zero [V].
    pub v_zero_v: f64,
    /// Full pulse length [s].
    pub t_max_s: f64,
    /// Temperature of the characterization [degC].
    pub temperature_degc: f64,
    /// Time from one token to the next, the unit of age [s].
    pub token_time_s: f64,
    /// Charge of one unit of p at full pulse length [C].
    pub charge_per_unit_c: f64,
    /// Value of S at which the first converter's pulse is full.
    pub s_sat: f64,
    /// Magnitude of A at which the second converter's pulse is full.
    pub a_sat: f64,
    /// Levels of the array's converters.
    pub levels: Levels,
}

/// Levels of the array's converters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// Stored K and V, over [0, vdd].
    pub stored: u32,
    /// Pulse widths of Q, over [0, 1].
    pub q: u32,
    /// Magnitudes of the output counter, beside its sign.
    pub output: u32,
}

/// Driven level to stored voltage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Stored voltage right after the write enable closes [V], over `v_driven_v`.
    pub stored_v: Grid,
    /// Its standard deviation over cells and drivers [V], over `v_driven_v`; absent: not characterized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma_v: Option<Grid>,
    /// The levels to drive so that the stored ones are evenly spaced; absent: not worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// Calibration of the write DAC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Voltage to drive [V], over `level` (0, 1, ... `scale.levels.stored` - 1).
    pub driven_v: Grid,
    /// What is then stored [V], over `level`.
    pub stored_v: Grid,
    /// Nominal levels, evenly over the supply, that no driven voltage stores.
    pub unreachable: Vec<u32>,
    /// How the levels are placed.
    pub procedure: String,
}

/// How stored voltages drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// dV/dt [V/s] over `v_wbl_v`, `v_store_v`.
    pub rate_v_per_s: Grid,
    /// How far what comes to rest inside a cell has moved the stored voltage, beside what leaks [V], over `v_store_v` when written and
    /// `t_hold_s`, from 0 to rest; absent: not characterized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relaxation_v: Option<Grid>,
    /// Write bit-line voltage that the emulator takes for the hold unless told otherwise [V].
    pub idle_v_wbl_v: f64,
}

/// Charge of one cell: `Q(V, T) = I(V) T + e(V) + r(V, T)` at the precharge voltage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Charge as simulated [C], over `v_store_v`, `t_pulse_s`, `v_bl_v`; what the rest was reduced from.
    pub charge_c: Grid,
    /// Slope of charge over width where it is a line [A], over `v_store_v`.
    pub current_a: Grid,
    /// Intercept of that line [C], over `v_store_v`.
    pub edge_charge_c: Grid,
    /// dI/dV_BL at the precharge [S], over `v_store_v`.
    pub conductance_s: Grid,
    /// d2I/dV_BL2 there, in coefficients of 1/V^2, 1/V, A/V^2.
    pub curvature: Projection,
    /// de/dV_BL there, the capacitance that a cell adds to the bit line while it is on, in coefficients of F/A, F/S, F.
    pub on_capacitance: Projection,
    /// What the line misses [C], over `v_store_v`, `t_pulse_s`; the axis starts at 0, where it is minus the edge charge,
    /// and ends where the line holds, where it is 0.
    pub residual_c: Grid,
}

/// A small quantity of a cell as `a I(V) + b g(V) + c`, by least squares over the stored voltage.
///
/// A transistor that the bit line takes out of saturation bends where its conductance rises, and is deeper in its channel where its
/// current is. By these three numbers a column's sum of the quantity times T follows from sums that are there.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// a, per ampere.
    pub per_current: f64,
    /// b, per siemens.
    pub per_conductance: f64,
    /// c.
    pub constant: f64,
}

impl Projection {
    /// The quantity of a cell of that current and conductance.
    pub fn of(&self, current_a: f64, conductance_s: f64) -> f64 {
        self.per_current * current_a + self.per_conductance * conductance_s + self.constant
    }

    /// The quantity's sum over a column, each cell's times its width [s], from the same sums of currents [C] and conductances
    /// [F] and of the widths.
    pub fn sum(&self, current_charge_c: f64, conductance_time: f64, widths_s: f64) -> f64 {
        self.per_current * current_charge_c + self.per_conductance * conductance_time + self.constant * widths_s
    }
}

/// One kind of column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Cells on the bit line.
    pub rows: u32,
    /// All of the bit line's capacitance [F].
    pub c_bit_line_f: f64,
    /// Precharge, and the converter's reference [V].
    pub v_precharge_v: f64,
    /// Cancellation of the offset common to all columns of this kind.
    pub offset: Offset,
}

/// A stated cancellation of a column's offset: charge added before the converter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// Added to every reading [C].
    pub constant_c: f64,
    /// Added per second of the sum of all pulse widths on the column, which is known outside the array [A].
    pub per_width_a: f64,
    /// How these were found and how a circuit would apply them.
    pub procedure: String,
}

/// A charge-to-pulse converter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readout {
    /// Pulse width [s] over `charge_c`; never falls. Flat ends are clips: they go on
    /// beyond the axis, see [`super::WidthCurve`]. Clips want a node at their corner.
    pub width_s: Grid,
    /// Charge at which the straight part starts from zero width [C].
    pub offset_c: f64,
    /// Gain, offset, dead zone, saturation.
    pub parameters: Vec<Parameter>,
}

/// Spread from cell to cell and from converter to converter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variability {
    /// Names of the draws of one cell, as in `xn1.delvto`.
    pub names: Vec<String>,
    /// Units of the draws.
    pub units: Vec<String>,
    /// Mean of the draws, as long as `names`.
    pub mean: Vec<f64>,
    /// Their covariance, row by row, `names` squared.
    pub covariance: Vec<f64>,
    /// Change of a cell's current per unit of each draw [A/unit], over `draw` (0, 1, ... in the order of `names`) and
    /// `v_store_v`.
    pub current_a_per_unit: Grid,
    /// The cell's branches under draws, where they were characterized one by one; the emulator then takes a cell's change from
    /// them and not from `current_a_per_unit`, which is linear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Branch>,
    /// Standard deviation of the first converter's offset [C].
    pub sigma_offset_unsigned_c: f64,
    /// Standard deviation of the first converter's relative gain.
    pub sigma_gain_unsigned: f64,
    /// Standard deviation of the second converter's offset [C].
    pub sigma_offset_signed_c: f64,
    /// Standard deviation of the second converter's relative gain.
    pub sigma_gain_signed: f64,
}

/// One branch of a cell, which a word line turns on: a transistor gated by the stored voltage and what is in series with it.
///
/// `I(V; z) = I_0(V - z_s) + sum_k S_k(V - z_s) z_k + C(V - z_s)`: a threshold shift of the gated transistor is a shift of the
/// stored voltage, and C what the draws' squares add on average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Name of the draw z_s that shifts the stored voltage.
    pub shifted_by: String,
    /// I_0, drawn from the bit line [A], over `v_store_v`; the axis goes as far beyond `validity.v_store_v` as thresholds shift.
    pub current_a: Grid,
    /// C [A], on the axis of `current_a`.
    pub mean_change_a: Grid,
    /// S_k [A/unit], over `draw` (0, 1, ... in the order of `names`) and `v_store_v`, on the axis of `current_a`.
    pub current_a_per_unit: Grid,
}

/// Least and greatest value of each quantity for which the table holds; within the grids' axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Driven level [V].
    pub v_driven_v: [f64; 2],
    /// Stored voltage [V].
    pub v_store_v: [f64; 2],
    /// Write bit-line voltage in hold [V].
    pub v_wbl_v: [f64; 2],
    /// Pulse width [s].
    pub t_pulse_s: [f64; 2],
    /// Bit-line voltage while a converter is not clipped [V].
    pub v_bl_v: [f64; 2],
    /// Time since the write [s].
    pub age_s: [f64; 2],
    /// Charge into the first converter [C].
    pub charge_unsigned_c: [f64; 2],
    /// Charge into the second converter [C].
    pub charge_signed_c: [f64; 2],
}

/// A named number with its unit and, if fitted, its 95 % confidence interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Value in `unit`.
    pub value: f64,
    /// Unit symbol.
    pub unit: String,
    /// 95 % confidence interval, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<[f64; 2]>,
}

/// A compact model and how good it is on points held out from its fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `retention`, `nonlinearity`, `readout`, `write`, `variability`, `noise`, or a published form beside them.
    pub name: String,
    /// Equation, in words or symbols.
    pub equation: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Error on the held-out points, in `unit`.
    pub held_out_error: f64,
    /// How many points were held out.
    pub n_held_out: u64,
    /// Unit of the error and its limit.
    pub unit: String,
    /// Limit of the error.
    pub limit: f64,
    /// Whether the limit is met.
    pub pass: bool,
}

impl Table {
    /// The cell of the V array.
    pub fn v_cell(&self) -> &Cell {
        self.cell_v.as_ref().unwrap_or(&self.cell)
    }

    /// Every grid by its dotted key, in the order of the file.
    pub fn grids(&self) -> Vec<(String, &Grid)> {
        let mut grids = vec![
            ("write.stored_v".to_string(), &self.write.stored_v),
            ("retention.rate_v_per_s".to_string(), &self.retention.rate_v_per_s),
        ];
        grids.extend(self.retention.relaxation_v.as_ref().map(|grid| ("retention.relaxation_v".to_string(), grid)));
        grids.extend(self.write.sigma_v.as_ref().map(|grid| ("write.sigma_v".to_string(), grid)));
        if let Some(calibration) = &self.write.calibration {
            grids.push(("write.calibration.driven_v".to_string(), &calibration.driven_v));
            grids.push(("write.calibration.stored_v".to_string(), &calibration.stored_v));
        }
        for (key, cell) in
            [Some(("cell", &self.cell)), self.cell_v.as_ref().map(|cell| ("cell_v", cell))].into_iter().flatten()
        {
            grids.extend(cell.grids().map(|(name, grid)| (format!("{key}.{name}"), grid)));
        }
        grids.push(("readout_unsigned.width_s".to_string(), &self.readout_unsigned.width_s));
        grids.push(("readout_signed.width_s".to_string(), &self.readout_signed.width_s));
        if let Some(variability) = &self.variability {
            grids.push(("variability.current_a_per_unit".to_string(), &variability.current_a_per_unit));
            for (k, branch) in variability.branches.iter().enumerate() {
                grids.push((format!("variability.branches.{k}.current_a"), &branch.current_a));
                grids.push((format!("variability.branches.{k}.mean_change_a"), &branch.mean_change_a));
                grids.push((format!("variability.branches.{k}.current_a_per_unit"), &branch.current_a_per_unit));
            }
        }
        if let Some(noise) = &self.noise {
            grids.extend(noise.grids().map(|(name, grid)| (format!("noise.{name}"), grid)));
        }
        grids.extend(self.costs.iter().filter_map(|cost| Some((cost.key(), cost.curve.as_ref()?))));
        grids
    }
}

impl Cell {
    /// The cell's grids by name.
    pub fn grids(&self) -> [(&'static str, &Grid); 5] {
        [
            ("charge_c", &self.charge_c),
            ("current_a", &self.current_a),
            ("edge_charge_c", &self.edge_charge_c),
            ("conductance_s", &self.conductance_s),
            ("residual_c", &self.residual_c),
        ]
    }
}
