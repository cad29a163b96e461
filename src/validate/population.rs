//! Populations: the same dies in SPICE and in the emulator, many of them, on a few columns.
//!
//! A die's error says how far two numbers are apart; a population says whether the emulator's dies are distributed as the
//! circuit's, and whether it is the same die that is high or low. Columns are chosen by the nominal emulator so that no die
//! clips; everything else is as for single dies.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::arrays::{Drive, k_columns};
use super::column::Column;
use super::compare::{emulated_phi, hold, level_v};
use super::dies::{CellDevices, DieOf};
use super::spice::Spice;
use super::stimuli::{AgeClass, Size, Stimuli};
use crate::emulate::{Array, Die, Extent, Options, Quantization, TableModel};
use crate::error::{Kind, Problem, Result};
use crate::fit::stats;
use crate::lut::{Table, Tally};
use crate::netlist::{Deck, TechFiles};
use crate::tech::Technology;

/// Columns.
pub const COLUMNS: usize = 8;
/// Least correlation over dies of SPICE's phi and the emulator's.
pub const LEAST_CORRELATION: f64 = 0.95;
/// Limit on the difference of means [full scale].
pub const MEAN_LIMIT: f64 = 0.003;
/// Bounds of the emulator's standard deviation over SPICE's.
pub const SIGMA_RATIO: [f64; 2] = [0.95, 1.05];
/// Nominal phi of the columns: evenly within this range, where a die is some standard deviations from either clip.
const PHI: [f64; 2] = [0.2, 0.8];
/// Resamples of the dies behind the intervals.
const RESAMPLES: usize = 1000;

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct PopulationSetup {
    /// Cells of a column, and levels.
    pub size: Size,
    /// Seed of the stimuli.
    pub seed: u64,
    /// Seed of the dies' draws.
    pub die_seed: u64,
    /// Dies.
    pub dies: u64,
    /// Profile, for the record.
    pub profile: String,
}

/// A number and its 95 % bootstrap interval over dies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Value.
    pub value: f64,
    /// Percentile interval; `None` for too few dies.
    pub interval: Option<[f64; 2]>,
}

/// One column's population of phi.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnPopulation {
    /// Mean over dies in SPICE [full scale].
    pub mean: f64,
    /// Standard deviation over dies in SPICE [full scale].
    pub sigma: f64,
    /// Emulator's mean less SPICE's [full scale].
    pub mean_difference: Estimate,
    /// Emulator's standard deviation over SPICE's.
    pub sigma_ratio: Estimate,
    /// Correlation over dies.
    pub correlation: Estimate,
    /// phi by die in SPICE.
    pub spice: Vec<f64>,
    /// phi by die in the emulator.
    pub emulated: Vec<f64>,
}

/// The populations of all columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// Technology.
    pub tech: String,
    /// Cell.
    pub cell: String,
    /// Profile.
    pub profile: String,
    /// Cells of a column.
    pub rows: usize,
    /// Dies.
    pub dies: u64,
    /// Seed of the stimuli.
    pub seed: u64,
    /// Seed of the draws.
    pub die_seed: u64,
    /// By column.
    pub columns: Vec<ColumnPopulation>,
    /// Whether every column keeps the limits.
    pub pass: bool,
}

/// Runs every column on every die.
///
/// # Errors
/// The simulator's, the table's; [`Kind::BadInput`] for fewer than two dies.
pub fn population(
    benches: &Path,
    tech: &Technology,
    table: &Table,
    setup: &PopulationSetup,
    spice: &mut Spice<'_>,
) -> Result<Population> {
    if setup.dies < 2 {
        return Err(Problem::new(Kind::BadInput, "one die has no spread").accepted("2 dies or more").into());
    }
    let variability = table.variability.as_ref().ok_or_else(|| {
        Problem::new(Kind::TableInvalid, format!("table {} was made without variability", table.name))
    })?;
    let bench = |name: &str| Deck::read(&benches.join(name), &TechFiles::of(tech, None)?);
    let (overrides, size) = (tech.overrides(), setup.size);
    let retention = bench("retention.cir")?;
    let devices = CellDevices::of(&retention, tech, "xcell", &retention.values(&overrides)?)?;
    let options = Options { quantization: Quantization::OFF, ..Options::default() };
    let stimuli = Stimuli::new(setup.seed, AgeClass::Mixed, size);
    let nominal = emulated_phi(&TableModel::new(table, &options, Vec::new())?, table, size, &stimuli, None)?;
    let chosen = spread_over(&nominal);
    let mut ages: Vec<usize> = chosen.iter().map(|j| stimuli.key_ages[*j]).collect();
    ages.sort_unstable();
    ages.dedup();
    let held = hold(retention, &overrides, table, size, &ages, spice)?;
    let column = Column::new(bench("column_k.cir")?, size.rows, &overrides)?.with_mismatch();
    let t_max_s = table.scale.t_max_s;
    let widths_s: Vec<f64> =
        stimuli.query.iter().map(|code| t_max_s * *code as f64 / (size.q_levels - 1) as f64).collect();
    let dies: Vec<DieOf> = (0..setup.dies).map(|sample| DieOf { seed: setup.die_seed, sample }).collect();
    // Chosen column j is slot j of a head.
    let extent = Extent { slots: COLUMNS, tile_tokens: COLUMNS, d: size.rows };

    let (mut stored, mut mismatch) = (Vec::new(), Vec::new());
    for die in &dies {
        for (slot, j) in chosen.iter().enumerate() {
            let age = stimuli.key_ages[*j];
            let voltage = |level: &usize| held[*level].get(&age).copied().unwrap_or(f64::NAN);
            stored.push(stimuli.keys[*j].iter().map(voltage).collect::<Vec<f64>>());
            let cells: Vec<String> = (0..size.rows).map(|i| extent.instance(Array::K, slot, i)).collect();
            mismatch.push(devices.alters(*die, &cells));
        }
    }
    let (phi_s, _) = k_columns(&column, &stored, &Drive::Pulses(&widths_s), &mismatch, spice)?;

    let heads = dies.iter().map(|die| Die::from_draws(table, &devices.emulated(*die, variability, extent)?, extent));
    let model = TableModel::new(table, &options, heads.collect::<Result<Vec<_>>>()?)?;
    let mut tally = Tally::default();
    let mut columns = Vec::new();
    for (slot, j) in chosen.iter().enumerate() {
        let keys = stimuli.keys[*j].iter();
        let own = keys.map(|level| model.stored_v(level_v(table, *level, size), stimuli.key_ages[*j], &mut tally));
        let own = own.collect::<Result<Vec<f64>>>()?;
        let of_die = |head: usize| model.column_k(&own, &widths_s, Some((head, slot)), &mut Tally::default());
        let emulated = (0..dies.len()).map(|head| Ok(of_die(head)?.fraction)).collect::<Result<Vec<f64>>>()?;
        let spice = (0..dies.len()).map(|head| phi_s[head * COLUMNS + slot] / t_max_s).collect();
        columns.push(of_column(spice, emulated, setup.seed));
    }
    Ok(Population {
        tech: table.technology.clone(),
        cell: table.cell_name.clone(),
        profile: setup.profile.clone(),
        rows: size.rows,
        dies: setup.dies,
        seed: setup.seed,
        die_seed: setup.die_seed,
        pass: columns.iter().all(ColumnPopulation::passes),
        columns,
    })
}

/// The columns whose nominal phi are nearest to values spread evenly over [`PHI`], each once.
fn spread_over(nominal: &[f64]) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for k in 0..COLUMNS {
        let wanted = PHI[0] + (PHI[1] - PHI[0]) * k as f64 / (COLUMNS - 1) as f64;
        let free = (0..nominal.len()).filter(|j| !chosen.contains(j));
        chosen.extend(free.min_by(|a, b| (nominal[*a] - wanted).abs().total_cmp(&(nominal[*b] - wanted).abs())));
    }
    chosen
}

/// Difference of means, ratio of standard deviations, correlation.
fn figures(spice: &[f64], emulated: &[f64]) -> [f64; 3] {
    let (mean_s, mean_e) = (stats::mean(spice), stats::mean(emulated));
    let covariance = spice.iter().zip(emulated).map(|(s, e)| (s - mean_s) * (e - mean_e)).sum::<f64>();
    let (sigma_s, sigma_e) = (stats::std_dev(spice), stats::std_dev(emulated));
    [mean_e - mean_s, sigma_e / sigma_s, covariance / ((spice.len() as f64 - 1.0) * sigma_s * sigma_e)]
}

fn of_column(spice: Vec<f64>, emulated: Vec<f64>, seed: u64) -> ColumnPopulation {
    let resampled = stats::bootstrap(spice.len(), RESAMPLES, seed, |pick| {
        let of = |values: &[f64]| pick.iter().map(|die| values[*die]).collect::<Vec<f64>>();
        let found = figures(&of(&spice), &of(&emulated));
        // Of very few dies a resample can be one die only, which has no spread.
        found.iter().all(|value| value.is_finite()).then(|| found.to_vec())
    });
    let found = figures(&spice, &emulated);
    let estimate = |k: usize| Estimate {
        value: found[k],
        interval: stats::percentile_interval(&resampled, k, 0.95).map(|(low, high)| [low, high]),
    };
    ColumnPopulation {
        mean: stats::mean(&spice),
        sigma: stats::std_dev(&spice),
        mean_difference: estimate(0),
        sigma_ratio: estimate(1),
        correlation: estimate(2),
        spice,
        emulated,
    }
}

impl ColumnPopulation {
    /// Whether correlation, means and spreads keep their limits.
    pub fn passes(&self) -> bool {
        let [low, high] = SIGMA_RATIO;
        self.correlation.value >= LEAST_CORRELATION
            && self.mean_difference.value.abs() <= MEAN_LIMIT
            && (low..=high).contains(&self.sigma_ratio.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_known_population() {
        let spice: Vec<f64> = (0..400).map(|i| 0.5 + 0.03 * stats::random_normal(1, i, 0)).collect();
        let noise = |i: u64| 0.002 * stats::random_normal(2, i, 0);
        let emulated: Vec<f64> = (0..400).map(|i| spice[i as usize] + 0.001 + noise(i)).collect();
        let column = of_column(spice.clone(), emulated, 1);
        let within = |estimate: Estimate, expected: f64| {
            let [low, high] = estimate.interval.unwrap();
            low <= expected && expected <= high && low < estimate.value && estimate.value < high
        };
        assert!(within(column.mean_difference, 0.001) && column.passes(), "{:?}", column.mean_difference);
        // Independent noise of a fifteenth adds to the variance: sqrt(1 + 1/225), correlation its inverse.
        let ratio = (1.0 + 1.0 / 225.0f64).sqrt();
        assert!((column.sigma_ratio.value - ratio).abs() < 0.01, "{:?}", column.sigma_ratio);
        assert!((column.correlation.value - 1.0 / ratio).abs() < 1e-3, "{:?}", column.correlation);

        let shuffled: Vec<f64> = spice.iter().rev().copied().collect();
        assert!(!of_column(spice, shuffled, 1).passes(), "other dies of the same distribution");
    }

    #[test]
    fn columns_are_spread_and_never_twice() {
        let nominal: Vec<f64> = (0..64).map(|j| f64::from(j) / 63.0).collect();
        let chosen = spread_over(&nominal);
        assert!(chosen.windows(2).all(|pair| nominal[pair[1]] > nominal[pair[0]]));
        assert!((nominal[chosen[0]] - 0.2).abs() < 0.01 && (nominal[chosen[7]] - 0.8).abs() < 0.01);
        assert_eq!(spread_over(&[0.5; 8]).iter().collect::<std::collections::BTreeSet<_>>().len(), 8);
    }
}
