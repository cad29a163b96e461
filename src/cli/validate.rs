//! `gaincell validate`.

use std::sync::atomic::Ordering;

use clap::Args;

use super::Context;
use super::output::{Bar, Batches, note, print, print_json, table};
use crate::campaign::{merge_summary, table_folder, validation_dies_path, validation_path, write_json};
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::Table;
use crate::tech::Technology;
use crate::validate::{
    BEHAVIOURAL_LIMIT, BehaviouralRow, DieOf, Setup, Size, Spice, ValidationCase, ValidationRow, behavioural,
    validate as compare,
};

/// What to compare.
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Seed of the stimuli; every seed is to pass
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// K columns per age class; fewer than the V array's 64 rows drive several rows each
    #[arg(long, default_value_t = K_COLUMNS, value_parser = clap::value_parser!(u64).range(2..=64))]
    k_columns: u64,
    /// V columns per age class
    #[arg(long, default_value_t = V_COLUMNS, value_parser = clap::value_parser!(u64).range(2..=64))]
    v_columns: u64,
    /// Compare columns of the table's behavioural subcircuits with columns of transistors instead, both in ngspice
    #[arg(long)]
    behavioural: bool,
    /// Compare this many mismatch dies instead of nominal cells: the same device draws in SPICE and, through the table's
    /// sensitivity model, in the emulator
    #[arg(long, value_name = "N", conflicts_with = "behavioural", value_parser = clap::value_parser!(u64).range(1..=64))]
    dies: Option<u64>,
    /// Attribute the difference from ideal arithmetic, and from SPICE, to each effect
    #[arg(long, conflicts_with_all = ["behavioural", "dies"])]
    budget: bool,
    /// Compare the populations of eight K columns on this many dies: means, spreads and correlation
    #[arg(long, value_name = "N", conflicts_with_all = ["behavioural", "dies", "budget"], value_parser = clap::value_parser!(u64).range(2..))]
    population: Option<u64>,
    /// Seed of the dies' device draws
    #[arg(long, default_value_t = DIE_SEED)]
    die_seed: u64,
}

/// Seed of the dies; no sweep has it.
pub(super) const DIE_SEED: u64 = 20_261_130;

/// Seed of the quick profile's stimuli; no sweep has it.
pub(super) const SEED: u64 = 20_261_123;
/// K columns of the quick profile, per age class.
pub(super) const K_COLUMNS: u64 = 32;
/// V columns of the quick profile, per age class.
pub(super) const V_COLUMNS: u64 = 16;
/// Limit on each of the four root mean square errors [full scale].
const LIMIT: f64 = 0.01;
/// Limit on a die's largest error [full scale].
const DIE_WORST_LIMIT: f64 = 0.04;

pub(super) fn validate(context: &Context, args: &ValidateArgs) -> Result<()> {
    if args.behavioural {
        return validate_behavioural(context, args);
    }
    let tech = context.tech()?;
    let columns = [args.k_columns, args.v_columns];
    if args.budget {
        return super::budget::validate_budget(context, args.seed, columns);
    }
    if let Some(dies) = args.population {
        return super::population::validate_population(context, args.seed, args.die_seed, dies);
    }
    let dies = dies_of(args.die_seed, args.dies.unwrap_or(0));
    let cases = validated(context, &tech, args.seed, columns, "quick", dies)?;
    let rows: Vec<&ValidationRow> = cases.iter().map(|case| &case.row).collect();
    if context.common.json {
        print_json(&rows)?;
    } else {
        print(&validation_table(&rows))?;
    }
    verdict(&rows)
}

/// The first `count` dies of a seed.
pub(super) fn dies_of(seed: u64, count: u64) -> Vec<DieOf> {
    (0..count).map(|sample| DieOf { seed, sample }).collect()
}

/// Compares nominal cells, or each of `dies`; saves the cases and merges the rows into the summary.
pub(super) fn validated(
    context: &Context,
    tech: &Technology,
    seed: u64,
    [k_columns, v_columns]: [u64; 2],
    profile: &str,
    dies: Vec<DieOf>,
) -> Result<Vec<ValidationCase>> {
    let started = std::time::Instant::now();
    let (table, size) = table_and_size(context, tech, [k_columns, v_columns])?;
    let planned = size.kv_levels + 3 * dies.len().max(1) * (size.k_columns + size.v_columns);
    let (name, path) = match dies.len() {
        0 => ("validation", validation_path(&context.project, &tech.name)),
        _ => ("validation on dies", validation_dies_path(&context.project, &tech.name)),
    };
    let worst_limit = (!dies.is_empty()).then_some(DIE_WORST_LIMIT);
    let setup = Setup { size, seed, profile: profile.to_string(), limit: LIMIT, worst_limit, dies };
    let (cases, runs, cached) = with_spice(context, tech, "validation", planned, |spice| {
        compare(&context.project.benches(), tech, &table, &setup, spice)
    })?;
    let reused = if cached > 0 { format!(", {cached} reused") } else { String::new() };
    note(context, &format!("{name:20} {runs} runs{reused}, {:.1} s", started.elapsed().as_secs_f64()));
    write_json(&path, &cases)?;
    let entries = cases
        .iter()
        .map(|case| serde_json::to_value(&case.row))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|source| Error::new(Kind::Internal, format!("cannot encode a verdict: {source}")))?;
    merge_summary(&context.project, "validation", &["tech", "cell", "profile", "ages", "die"], &entries)?;
    Ok(cases)
}

/// The technology's table, and the tile of columns that it is compared on.
pub(super) fn table_and_size(
    context: &Context,
    tech: &Technology,
    [k_columns, v_columns]: [u64; 2],
) -> Result<(Table, Size)> {
    let table = Table::read_json(&table_folder(&context.project, &tech.name)).map_err(|error| {
        if error.kind() == Kind::Io {
            let problem =
                Problem::new(Kind::MissingNetlist, format!("there is no lookup table for `{}` yet", tech.name));
            problem.help("run `gaincell export` first, or `gaincell run`").into()
        } else {
            error
        }
    })?;
    let levels = table.scale.levels;
    let size = Size {
        rows: table.column_k.rows as usize,
        k_columns: k_columns as usize,
        v_columns: v_columns as usize,
        kv_levels: levels.stored as usize,
        q_levels: levels.q as usize,
        window: 1024,
    };
    Ok((table, size))
}

/// Columns of the table's behavioural subcircuits against transistors.
fn validate_behavioural(context: &Context, args: &ValidateArgs) -> Result<()> {
    let tech = context.tech()?;
    let (table, size) = table_and_size(context, &tech, [args.k_columns, args.v_columns])?;
    let planned = 2 * (size.k_columns + size.v_columns);
    let (rows, ..) = with_spice(context, &tech, "behavioural", planned, |spice| {
        behavioural(&context.project.benches(), &tech, &table, size, args.seed, spice)
    })?;
    if context.common.json {
        print_json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(behavioural_cells).collect();
        let header =
            ["array", "columns#", "rms#", "worst#", "transistors#", "behavioural#", "times faster#", "verdict"];
        print(&super::output::table(&header, &cells))?;
    }
    let missed: Vec<String> = rows.iter().filter(|row| !row.pass).map(|row| row.array.clone()).collect();
    if missed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "columns of {} are further than {} % of full scale off",
        missed.join(" and "),
        100.0 * BEHAVIOURAL_LIMIT
    );
    Err(Problem::new(Kind::VerdictFailed, message).help("export the table again if netlists have changed").into())
}

fn behavioural_cells(row: &BehaviouralRow) -> Vec<String> {
    let [slow_s, fast_s] = row.wall_s;
    let time = |seconds: f64| if seconds > 0.0 { format!("{:.1} ms", 1e3 * seconds) } else { "stored".to_string() };
    let ratio = if slow_s > 0.0 && fast_s > 0.0 { format!("{:.1}", slow_s / fast_s) } else { "-".to_string() };
    vec![
        row.array.clone(),
        format!("{} x {}", row.rows, row.transistors.len()),
        format!("{:.3} %", 100.0 * row.rms),
        format!("{:.3} %", 100.0 * row.worst),
        time(slow_s),
        time(fast_s),
        ratio,
        if row.pass { "pass".to_string() } else { "MISSED".to_string() },
    ]
}

/// Runs `work` on a simulator behind a progress bar of `planned` runs: what it returns, how many runs it asked for, and how many
/// of them were stored.
pub(super) fn with_spice<T>(
    context: &Context,
    tech: &Technology,
    name: &str,
    planned: usize,
    work: impl FnOnce(&mut Spice<'_>) -> Result<T>,
) -> Result<(T, usize, usize)> {
    let mut pool = super::sweep::pool(context)?;
    let mut bar = Bar::new(context, name);
    let mut batches = Batches::default();
    let mut tell = |done: usize, all: usize| {
        bar.tell(batches.told(done, all, planned));
        !context.interrupt.load(Ordering::SeqCst)
    };
    let store = context.project.results().join(".store");
    let mut spice = Spice::new(pool.as_mut(), &store, tech, &mut tell);
    let result = work(&mut spice);
    let (runs, cached) = (spice.runs, spice.cached);
    bar.finish();
    Ok((result?, runs, cached))
}

/// An error that names every shortfall.
pub(super) fn verdict(rows: &[&ValidationRow]) -> Result<()> {
    let problems = rows
        .iter()
        .filter(|row| !row.pass)
        .map(|row| {
            Problem::new(
                Kind::VerdictFailed,
                format!("{} {}, {}: {}", row.tech, row.die, row.ages, row.shortfalls().join("; ")),
            )
        })
        .collect();
    Error::collect(problems).map_or(Ok(()), Err)
}

pub(super) fn validation_table(rows: &[&ValidationRow]) -> String {
    let percent = |value: f64| format!("{:.3} %", 100.0 * value);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|r| {
            vec![
                r.die.clone(),
                r.ages.clone(),
                format!("{} x {} + {}", r.rows, r.cols[0], r.cols[1]),
                percent(r.nrmse_phi),
                percent(r.nrmse_phi_linear),
                percent(r.worst_phi),
                percent(r.nrmse_output),
                percent(r.nrmse_output_linear),
                percent(r.worst_output),
                format!("{:.5}", r.r2_phi.min(r.r2_output)),
                format!("{:.2}, {:.2} %", 100.0 * r.nrmse_uncalibrated[0], 100.0 * r.nrmse_uncalibrated[1]),
                format!("{:.0} %", 100.0 * r.frac_linear),
                format!("{:.0}, {:.0} %", 100.0 * r.ref_std[0], 100.0 * r.ref_std[1]),
                if r.pass { "pass".to_string() } else { "MISSED".to_string() },
            ]
        })
        .collect();
    table(
        &[
            "die",
            "ages",
            "rows x K + V",
            "phi rms#",
            "linear#",
            "worst#",
            "output rms#",
            "linear#",
            "worst#",
            "R2#",
            "uncalibrated#",
            "in linear#",
            "ref. sigma#",
            "verdict",
        ],
        &cells,
    )
}
