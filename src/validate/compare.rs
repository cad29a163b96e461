//! The whole comparison: written and held in SPICE, chained through two arrays, against the emulator.
//!
//! SPICE: each level is written by the transistors and held to every age asked for; these voltages start the K columns;
//! the pulses of their converters, with delay and edges, drive the V columns. Emulator: levels and ages only; it writes,
//! holds and reads by the table, and drives its V columns with its own phi.

use std::collections::BTreeMap;
use std::path::Path;

use super::arrays::{CELL, Drive, k_columns, scalar, v_columns};
use super::column::{Column, WordLine};
use super::dies::{CellDevices, DieOf};
use super::spice::{Request, Spice};
use super::stimuli::{AgeClass, Size, Stimuli};
use super::verdict::{Pairs, ValidationCase, ValidationRow};
use crate::dataset::Value;
use crate::emulate::{Array, Die, Extent, Options, TableModel, cubic};
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::{Table, Tally};
use crate::measure::{How, Measurement};
use crate::netlist::{Deck, TechFiles};
use crate::tech::Technology;
use crate::units::Unit;
use crate::waveform::interpolate;

/// What is compared and how strictly.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Sizes.
    pub size: Size,
    /// Seed of the stimuli.
    pub seed: u64,
    /// Profile, for the record.
    pub profile: String,
    /// Limit on the four root mean square errors [full scale].
    pub limit: f64,
    /// Limit on the largest errors [full scale], if there is one.
    pub worst_limit: Option<f64>,
    /// Mismatch dies; empty for nominal cells.
    pub dies: Vec<DieOf>,
}

/// Time after the start of a write at which the cell holds and its age is 0 [s]; as in the retention sweep.
const HOLD_START_S: f64 = 60e-9;
/// Charge that a hold may have lost or invented at its end [C]: 0.13 mV on 8 fF, as in the hold sweeps.
const BALANCE_LIMIT_C: f64 = 1e-18;
/// Supply of the published system [V].
const PUBLISHED_VDD_V: f64 = 0.9;
/// Codes are compared where the width is further than this from a code's boundary [full scale].
const CODE_MARGIN: f64 = 0.01;

/// Runs every age class, of nominal cells or of each die.
///
/// # Errors
/// The simulator's, the table's; [`Kind::OutsideValidity`] if a stimulus leaves the table.
pub fn validate(
    benches: &Path,
    tech: &Technology,
    table: &Table,
    setup: &Setup,
    spice: &mut Spice<'_>,
) -> Result<Vec<ValidationCase>> {
    let bench = |name: &str| Deck::read(&benches.join(name), &TechFiles::of(tech, None)?);
    let stimuli: Vec<Stimuli> =
        AgeClass::ALL.into_iter().map(|ages| Stimuli::new(setup.seed, ages, setup.size)).collect();
    let mut ages: Vec<usize> = stimuli.iter().flat_map(|s| s.key_ages.iter().chain(&s.value_ages)).copied().collect();
    ages.sort_unstable();
    ages.dedup();
    let overrides = tech.overrides();
    let retention = bench("retention.cir")?;
    let devices = CellDevices::of(&retention, tech, "xcell", &retention.values(&overrides)?)?;
    let held = hold(retention, &overrides, table, setup.size, &ages, spice)?;
    let column = |name: &str| -> Result<Column> {
        let column = Column::new(bench(name)?, setup.size.rows, &overrides)?;
        Ok(if setup.dies.is_empty() { column } else { column.with_mismatch() })
    };
    let (k_bench, v_bench) = (column("column_k.cir")?, column("column_v.cir")?);
    let options = Options { quantization: crate::emulate::Quantization::OFF, ..Options::default() };
    // Column j of the K array and row j of the V array are slot j: the tile has as many slots as rows.
    let extent = Extent { slots: setup.size.rows, tile_tokens: options.tile_tokens, d: setup.size.rows };
    let dies = setup.dies.iter().map(|die| {
        let variability = table.variability.as_ref().ok_or_else(|| {
            Problem::new(Kind::TableInvalid, format!("table {} was made without variability", table.name))
        })?;
        Die::from_draws(table, &devices.emulated(*die, variability, extent)?, extent)
    });
    let dies = dies.collect::<Result<Vec<Die>>>()?;
    let model = TableModel::new(table, &options, dies.clone())?;
    let line = crate::emulate::Physics { readout: false, ..options.physics };
    let uncalibrated = TableModel::new(table, &Options { physics: line, ..options.clone() }, dies)?;
    let bench = Bench { k: &k_bench, v: &v_bench, table, models: [&model, &uncalibrated], setup, held: &held, extent };
    if setup.dies.is_empty() {
        return stimuli.iter().map(|s| tile(&bench, s, None, spice)).collect();
    }
    let dies = setup.dies.iter().enumerate();
    let cases = dies.flat_map(|(head, die)| stimuli.iter().map(move |s| (s, (head, *die))));
    cases.map(|(s, (head, die))| tile(&bench, s, Some(OnDie { head, die, devices: &devices }), spice)).collect()
}

/// What all tiles of a comparison share.
struct Bench<'a> {
    k: &'a Column,
    v: &'a Column,
    table: &'a Table,
    /// The emulator, and the same with ideal converters.
    models: [&'a TableModel; 2],
    setup: &'a Setup,
    held: &'a Held,
    extent: Extent,
}

/// A die: its number among the emulator's heads, and how SPICE gets it.
#[derive(Clone, Copy)]
struct OnDie<'a> {
    head: usize,
    die: DieOf,
    devices: &'a CellDevices,
}

impl OnDie<'_> {
    /// Commands for a column of cells by (slot, dimension).
    fn alters(self, extent: Extent, array: Array, cells: impl Iterator<Item = (usize, usize)>) -> Vec<String> {
        let names: Vec<String> = cells.map(|(slot, dimension)| extent.instance(array, slot, dimension)).collect();
        self.devices.alters(self.die, &names)
    }
}

/// Stored voltage by level, then age.
pub(super) type Held = Vec<BTreeMap<usize, f64>>;

pub(super) fn level_v(table: &Table, level: usize, size: Size) -> f64 {
    table.scale.vdd_v * level as f64 / (size.kv_levels - 1) as f64
}

/// Writes every level by its transistors and holds it; one run per level reaches every age. A hold that does not conserve
/// charge is refused.
pub(super) fn hold(
    deck: Deck,
    of_tech: &BTreeMap<String, f64>,
    table: &Table,
    size: Size,
    ages: &[usize],
    spice: &mut Spice<'_>,
) -> Result<Held> {
    let at: Vec<f64> = ages.iter().map(|age| HOLD_START_S + *age as f64 * table.scale.token_time_s).collect();
    let [node, replica] = ["v(xcell.st)", "i(erep)"].map(String::from);
    let how = How::Sample { signal: node.clone(), at };
    let balance = How::Integral { signal: replica.clone(), from: HOLD_START_S, to: f64::INFINITY };
    let measurements = vec![
        Measurement { column: "v_store_v".to_string(), unit: Unit::Volt, how },
        Measurement { column: "charge_balance_c".to_string(), unit: Unit::Coulomb, how: balance },
    ];
    let parameters = ["v_level".to_string(), "v_wbl".to_string()];
    let mut requests = Vec::new();
    for level in 0..size.kv_levels {
        let mut overrides = of_tech.clone();
        overrides.insert("v_level".to_string(), level_v(table, level, size));
        overrides.insert("v_wbl".to_string(), table.retention.idle_v_wbl_v);
        let values = deck.values(&overrides)?;
        requests.push(Request {
            alters: deck.alters(&parameters, &values)?,
            analysis: deck.analysis_command(&values)?,
            t_stop_s: deck.stop_time(&values)?,
            measurements: measurements.clone(),
        });
    }
    let signals = vec![node, replica];
    let circuit = deck.circuit(&deck.values(of_tech)?, &signals, &[]);
    let answers = spice.run(&circuit, &signals, &requests, None)?;
    answers
        .iter()
        .enumerate()
        .map(|(level, answer)| {
            let balance_c = scalar(answer, "charge_balance_c")?;
            if !(balance_c.abs() <= BALANCE_LIMIT_C) {
                let message = format!("the hold of level {level} lost or invented {:.2} aC", 1e18 * balance_c);
                return Err(Problem::new(Kind::IncompleteSweep, message)
                    .accepted(format!("at most {:.0} aC, 0.13 mV on the storage node", 1e18 * BALANCE_LIMIT_C))
                    .help(
                        "look at the options of retention.cir: tolerances or time steps are too coarse for its leakage",
                    )
                    .into());
            }
            let curve = answer.get("v_store_v").and_then(Value::curve);
            let curve = curve.ok_or_else(|| Error::new(Kind::Internal, "a hold has no stored voltages"))?;
            Ok(ages.iter().copied().zip(curve.iter().copied()).collect())
        })
        .collect()
}

fn tile(bench: &Bench<'_>, stimuli: &Stimuli, die: Option<OnDie<'_>>, spice: &mut Spice<'_>) -> Result<ValidationCase> {
    let Bench { table, models: [model, uncalibrated], setup, held, extent, .. } = *bench;
    let (size, t_max_s) = (setup.size, table.scale.t_max_s);
    let widths_s: Vec<f64> =
        stimuli.query.iter().map(|code| t_max_s * *code as f64 / (size.q_levels - 1) as f64).collect();
    let voltage = |level: usize, age: usize| held[level].get(&age).copied().unwrap_or(f64::NAN);

    // K array in SPICE.
    let stored: Vec<Vec<f64>> = stimuli
        .keys
        .iter()
        .zip(&stimuli.key_ages)
        .map(|(column, age)| column.iter().map(|level| voltage(*level, *age)).collect())
        .collect();
    let k_mismatch = die.map(|die| {
        let columns = (0..size.k_columns).map(|j| die.alters(extent, Array::K, (0..size.rows).map(move |i| (j, i))));
        columns.collect::<Vec<_>>()
    });
    let k_mismatch = k_mismatch.unwrap_or_default();
    let (phi_s, lines) = k_columns(bench.k, &stored, &Drive::Pulses(&widths_s), &k_mismatch, spice)?;

    // K array in the emulator: from levels, ages and draws alone.
    let head = die.map(|die| die.head);
    let own_phi = emulated_phi(model, table, size, stimuli, head)?;
    let of_line = emulated_phi(uncalibrated, table, size, stimuli, head)?;
    let in_spice: Vec<f64> = phi_s.iter().map(|width_s| width_s / t_max_s).collect();
    let published = stimuli
        .keys
        .iter()
        .zip(&stimuli.key_ages)
        .map(|(column, age)| published_phi(table, column, *age, &widths_s, size));
    let pairs = |emulated: Vec<f64>, spice: &[f64]| Pairs { spice: spice.to_vec(), emulated };
    let phi_published = pairs(published.collect(), &in_spice);
    let phi_line = pairs(of_line, &in_spice);

    // V array: SPICE's own pulses there, the emulator's own phi here.
    // Fewer K columns than V rows drive several rows each, on both sides.
    let driver = |row: usize| row % size.k_columns;
    let lines: Vec<Option<WordLine>> = (0..size.rows).map(|row| lines[driver(row)].clone()).collect();
    let rows: Vec<Vec<f64>> = stimuli
        .values
        .iter()
        .map(|column| column.iter().zip(&stimuli.value_ages).map(|(level, age)| voltage(*level, *age)).collect())
        .collect();
    let v_mismatch = die.map(|die| {
        let columns = (0..size.v_columns).map(|d| die.alters(extent, Array::V, (0..size.rows).map(move |i| (i, d))));
        columns.collect::<Vec<_>>()
    });
    let v_mismatch = v_mismatch.unwrap_or_default();
    let outputs = v_columns(bench.v, CELL, &rows, &lines, &v_mismatch, t_max_s, spice)?;
    let emulated = emulated_output(model, table, size, stimuli, &own_phi, head)?;
    let output_line = pairs(emulated_output(uncalibrated, table, size, stimuli, &own_phi, head)?, &outputs);
    let (phi, output) = (pairs(own_phi, &in_spice), pairs(emulated, &outputs));
    let before = [phi_line.score().nrmse, output_line.score().nrmse];
    Ok(case(table, setup, stimuli, die.map(|die| die.die), [phi, output, phi_published], before))
}

/// phi of the emulator's K columns, from levels, ages and a die's draws alone; `head` is the die's number.
pub(super) fn emulated_phi(
    model: &TableModel,
    table: &Table,
    size: Size,
    stimuli: &Stimuli,
    head: Option<usize>,
) -> Result<Vec<f64>> {
    let widths_s: Vec<f64> =
        stimuli.query.iter().map(|code| table.scale.t_max_s * *code as f64 / (size.q_levels - 1) as f64).collect();
    let mut tally = Tally::default();
    let columns = stimuli.keys.iter().zip(&stimuli.key_ages).enumerate();
    columns
        .map(|(j, (column, age))| {
            let stored = column.iter().map(|level| model.stored_v(level_v(table, *level, size), *age, &mut tally));
            let stored = stored.collect::<Result<Vec<f64>>>()?;
            Ok(model.column_k(&stored, &widths_s, head.map(|head| (head, j)), &mut tally)?.fraction)
        })
        .collect()
}

/// Signed outputs of its V columns, driven by these phi.
pub(super) fn emulated_output(
    model: &TableModel,
    table: &Table,
    size: Size,
    stimuli: &Stimuli,
    phi: &[f64],
    head: Option<usize>,
) -> Result<Vec<f64>> {
    let widths_s: Vec<f64> = (0..size.rows).map(|row| phi[row % size.k_columns] * table.scale.t_max_s).collect();
    let mut tally = Tally::default();
    let columns = stimuli.values.iter().enumerate();
    columns
        .map(|(d, column)| {
            let cells = column.iter().zip(&stimuli.value_ages);
            let stored = cells.map(|(level, age)| model.stored_v(level_v(table, *level, size), *age, &mut tally));
            let stored = stored.collect::<Result<Vec<f64>>>()?;
            Ok(model.column_v(&stored, &widths_s, head.map(|head| (head, 0, d)), &mut tally)?.fraction)
        })
        .collect()
}

/// phi by the published cubic and its decay (convention 1) on the table's charge scale.
fn published_phi(table: &Table, column: &[usize], age: usize, widths_s: &[f64], size: Size) -> f64 {
    const LAMBDA: f64 = 1.6e-4;
    let products = column.iter().zip(widths_s);
    let s: f64 = products
        .map(|(level, width)| {
            // On the supply that the published cubic is for.
            let y = (level_v(table, *level, size) - table.scale.v_zero_v) * (PUBLISHED_VDD_V / table.scale.vdd_v);
            width / table.scale.t_max_s * cubic().iter().rev().fold(0.0, |sum, c| sum * y + c)
        })
        .sum();
    (s * (-LAMBDA * age as f64).exp() / table.scale.s_sat).clamp(0.0, 1.0)
}

/// Width of a converter's straight part, taken on to S_sat or A_sat, over T_max.
fn full_scale_use(table: &Table, signed: bool) -> f64 {
    let (readout, full) =
        if signed { (&table.readout_signed, table.scale.a_sat) } else { (&table.readout_unsigned, table.scale.s_sat) };
    let charge_c = full * table.scale.charge_per_unit_c;
    // Between a quarter and three quarters of the range no converter clips.
    let at = |share: f64| {
        let (axis, widths) = (&readout.width_s.axes[0].values, &readout.width_s.values);
        interpolate(axis, widths, share * charge_c).unwrap_or(f64::NAN)
    };
    let slope = (at(0.75) - at(0.25)) / 0.5;
    (at(0.5) + 0.5 * slope) / table.scale.t_max_s
}

/// Magnitude code of the 16-level counter with its sign.
fn code(fraction: f64, levels: u32) -> i64 {
    (fraction.clamp(-1.0, 1.0) * f64::from(levels - 1)).round() as i64
}

/// Distance of a fraction from the nearest boundary between codes [full scale].
fn from_boundary(fraction: f64, levels: u32) -> f64 {
    let steps = fraction.clamp(-1.0, 1.0) * f64::from(levels - 1) + 0.5;
    (steps - steps.round()).abs() / f64::from(levels - 1)
}

fn case(
    table: &Table,
    setup: &Setup,
    stimuli: &Stimuli,
    die: Option<DieOf>,
    [phi, output, phi_published]: [Pairs; 3],
    nrmse_uncalibrated: [f64; 2],
) -> ValidationCase {
    let (first, second) = (phi.score(), output.score());
    let levels = table.scale.levels.output;
    let judged: Vec<bool> = output
        .spice
        .iter()
        .zip(&output.emulated)
        .filter(|(s, _)| from_boundary(**s, levels) > CODE_MARGIN)
        .map(|(s, e)| code(*s, levels) == code(*e, levels))
        .collect();
    let codes_equal = judged.iter().filter(|equal| **equal).count() as f64 / judged.len().max(1) as f64;
    let mut row = ValidationRow {
        tech: table.technology.clone(),
        cell: table.cell_name.clone(),
        profile: setup.profile.clone(),
        rows: setup.size.rows,
        cols: [setup.size.k_columns, setup.size.v_columns],
        ages: stimuli.ages.name().to_string(),
        die: die.map_or_else(|| "nominal".to_string(), DieOf::name),
        die_seed: die.map(|die| die.seed),
        seed: setup.seed,
        nrmse_phi: first.nrmse,
        nrmse_output: second.nrmse,
        r2_phi: first.r2,
        r2_output: second.r2,
        worst_phi: first.worst,
        worst_output: second.worst,
        frac_linear: first.frac_linear,
        ref_std: [first.ref_std, second.ref_std],
        nrmse_phi_linear: first.nrmse_linear,
        nrmse_output_linear: second.nrmse_linear,
        codes_equal,
        nrmse_uncalibrated,
        full_scale_use: [full_scale_use(table, false), full_scale_use(table, true)],
        limit: setup.limit,
        worst_limit: setup.worst_limit,
        pass: false,
    };
    row.pass = row.shortfalls().is_empty();
    ValidationCase { row, phi, output, phi_published }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_to_the_nearest_and_know_their_boundaries() {
        assert_eq!((code(1.0, 16), code(-1.2, 16), code(0.03, 16), code(0.04, 16)), (15, -15, 0, 1));
        assert!(from_boundary(0.5 / 15.0, 16) < 1e-12);
        assert!((from_boundary(1.0 / 15.0, 16) - 0.5 / 15.0).abs() < 1e-12);
    }
}
