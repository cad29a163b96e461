//! `gaincell run`: the whole chain.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Context;
use super::figures::RUNS;
use super::models::{exported, fitted, model_table};
use super::output::{note, print, print_json};
use super::population::{self, populated};
use super::sweep::{run_named, sweep_table};
use super::validate::{DIE_SEED, K_COLUMNS, SEED, V_COLUMNS, dies_of, validated, validation_table, verdict};
use crate::campaign::{COST_SWEEPS, FURTHER_SWEEPS, SWEEPS, is_comparison, merge_summary};
use crate::error::{Error, Kind, Problem, Result};
use crate::validate::ValidationRow;

/// Which profile to run.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// quick: under three minutes on two cores; full: all 64 K and 64 V columns of a sub-tile, five mismatch dies and
    /// populations of 200, some half an hour
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    profile: Profile,
    /// Seed of the validation's stimuli
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

/// Mismatch dies of the full profile.
const DIES: u64 = 5;
/// Dies of the full profile's populations.
const POPULATION_DIES: u64 = 200;

/// How much to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    Quick,
    Full,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Profile::Quick => "quick",
            Profile::Full => "full",
        }
    }
}

pub(super) fn run(context: &Context, args: &RunArgs) -> Result<()> {
    let started = std::time::Instant::now();
    let tech = context.tech()?;
    let further: &[&str] = if args.profile == Profile::Full { &FURTHER_SWEEPS } else { &[] };
    let names: Vec<String> = SWEEPS.iter().chain(&COST_SWEEPS).chain(further).map(|name| (*name).to_string()).collect();
    note(context, &format!("technology {}: {}", tech.name, tech.description));
    let sweeps = run_named(context, &names, &[], args.profile.name())?;
    let entries = sweeps
        .iter()
        .map(serde_json::to_value)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|source| Error::new(Kind::Internal, format!("cannot encode a sweep: {source}")))?;
    merge_summary(&context.project, "sweeps", &["name", "tech", "cell"], &entries)?;
    // What the report names as its command, whichever command writes it.
    let entry = json!({"tech": tech.name, "command": context.written});
    merge_summary(&context.project, RUNS, &["tech"], &[entry])?;
    let models = fitted(context, &tech)?;
    let (table, folder) = exported(context, &tech, &models, args.profile.name())?;
    note(context, &format!("{:20} {}", "lookup table", folder.display()));
    let all = u64::from(table.column_k.rows);
    let columns = if args.profile == Profile::Full { [all, all] } else { [K_COLUMNS, V_COLUMNS] };
    let mut cases = validated(context, &tech, args.seed, columns, args.profile.name(), Vec::new())?;
    if args.profile == Profile::Full {
        // Columns of the quick profile: dies add nothing that other columns of a die would not.
        let dies = dies_of(DIE_SEED, DIES);
        cases.extend(validated(context, &tech, args.seed, [K_COLUMNS, V_COLUMNS], args.profile.name(), dies)?);
    }
    let mut populations = Vec::new();
    if args.profile == Profile::Full {
        populations.push(populated(context, &tech, args.seed, DIE_SEED, POPULATION_DIES, args.profile.name())?);
    }
    let rows: Vec<&ValidationRow> = cases.iter().map(|case| &case.row).collect();
    let figures = super::figures::draw(context, &tech)?;
    note(context, &format!("{:20} {figures} figures in {}", "plots", context.project.plots().display()));
    let report = super::figures::page(context, &tech)?;
    note(context, &format!("{:20} {}", "report", report.display()));
    let reports = models.reports();
    if context.common.json {
        print_json(
            &json!({"sweeps": sweeps, "models": reports, "validation": rows, "populations": populations, "lut": folder, "report": report}),
        )?;
    } else {
        let (points, cached) = sweeps.iter().fold((0, 0), |(p, c), s| (p + s.points, c + s.cached));
        print(&format!(
            "\n{}\n{}\n{}\n{}{points} points, {cached} reused, {:.0} s in all\n",
            sweep_table(&sweeps),
            model_table(&reports),
            validation_table(&rows),
            populations.iter().map(|found| population::text(found) + "\n").collect::<String>(),
            started.elapsed().as_secs_f64()
        ))?;
    }
    let failed: u64 = sweeps.iter().map(|s| s.failed).sum();
    if failed > 0 {
        let problem =
            Problem::new(Kind::IncompleteSweep, format!("{failed} points did not end ok; every row is stored"));
        return Err(problem.help("look at `outcome` and `message` in points.parquet").into());
    }
    verdict(&rows)?;
    populations.iter().try_for_each(population::verdict)?;
    let missed: Vec<&str> =
        reports.iter().filter(|r| !r.pass && !is_comparison(&r.name)).map(|r| r.name.as_str()).collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Kind::VerdictFailed, format!("held-out errors over their limits: {}", missed.join(", "))).into())
}
