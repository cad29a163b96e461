//! `gaincell validate --population`.

use super::Context;
use super::output::{note, print, print_json, table};
use super::validate::{table_and_size, with_spice};
use crate::campaign::{merge_summary, population_path, write_json};
use crate::error::{Error, Kind, Problem, Result};
use crate::tech::Technology;
use crate::validate::{Estimate, POPULATION_COLUMNS, Population, PopulationSetup, population};

pub(super) fn validate_population(context: &Context, seed: u64, die_seed: u64, dies: u64) -> Result<()> {
    let tech = context.tech()?;
    let found = populated(context, &tech, seed, die_seed, dies, "quick")?;
    if context.common.json {
        print_json(&found)?;
    } else {
        print(&text(&found))?;
    }
    verdict(&found)
}

/// Compares, saves and merges the figures into the summary.
pub(super) fn populated(
    context: &Context,
    tech: &Technology,
    seed: u64,
    die_seed: u64,
    dies: u64,
    profile: &str,
) -> Result<Population> {
    let started = std::time::Instant::now();
    let (lut, size) = table_and_size(context, tech, [64, 2])?;
    let setup = PopulationSetup { size, seed, die_seed, dies, profile: profile.to_string() };
    let planned = size.kv_levels + POPULATION_COLUMNS * dies as usize;
    let (found, runs, cached) = with_spice(context, tech, "population", planned, |spice| {
        population(&context.project.benches(), tech, &lut, &setup, spice)
    })?;
    let reused = if cached > 0 { format!(", {cached} reused") } else { String::new() };
    note(context, &format!("{:20} {runs} runs{reused}, {:.1} s", "population", started.elapsed().as_secs_f64()));
    write_json(&population_path(&context.project, &tech.name), &found)?;
    let mut entry = serde_json::to_value(&found)
        .map_err(|source| Error::new(Kind::Internal, format!("cannot encode a population: {source}")))?;
    // Every die's phi is in the file of its own.
    for column in entry["columns"].as_array_mut().into_iter().flatten().filter_map(|column| column.as_object_mut()) {
        column.remove("spice");
        column.remove("emulated");
    }
    merge_summary(&context.project, "populations", &["tech", "cell", "profile"], &[entry])?;
    Ok(found)
}

pub(super) fn text(found: &Population) -> String {
    let with = |estimate: &Estimate, scale: f64, digits: usize, unit: &str| {
        let interval = estimate.interval.map_or_else(String::new, |[low, high]| {
            format!(" ({:.digits$} to {:.digits$})", scale * low, scale * high)
        });
        format!("{:.digits$}{unit}{interval}", scale * estimate.value)
    };
    let cells: Vec<Vec<String>> = found
        .columns
        .iter()
        .enumerate()
        .map(|(j, column)| {
            vec![
                j.to_string(),
                format!("{:.2} %", 100.0 * column.mean),
                format!("{:.2} %", 100.0 * column.sigma),
                with(&column.mean_difference, 100.0, 3, " %"),
                with(&column.sigma_ratio, 1.0, 3, ""),
                with(&column.correlation, 1.0, 4, ""),
                if column.passes() { "pass".to_string() } else { "MISSED".to_string() },
            ]
        })
        .collect();
    let header = ["column#", "mean phi#", "sigma#", "emulator's mean less#", "sigma ratio#", "correlation#", "verdict"];
    format!(
        "{} dies, seed {}, K columns of {} cells, stimuli {}; 95 % intervals\n{}",
        found.dies,
        found.die_seed,
        found.rows,
        found.seed,
        table(&header, &cells)
    )
}

/// An error that names the columns that miss a limit.
pub(super) fn verdict(found: &Population) -> Result<()> {
    let missed: Vec<String> =
        (0..found.columns.len()).filter(|j| !found.columns[*j].passes()).map(|j| j.to_string()).collect();
    if missed.is_empty() {
        return Ok(());
    }
    let message = format!("populations of columns {} miss a limit", missed.join(", "));
    Err(Problem::new(Kind::VerdictFailed, message).into())
}
