//! `gaincell sweep`.

use std::sync::atomic::Ordering;

use clap::Args;

use super::Context;
use super::output::{Bar, note, print, print_json, table};
use crate::campaign::{
    FloorFinding, Forecast, Stopped, SweepSummary, Trace, WorstPoint, forecast, run_adaptive, run_sweep,
};
use crate::dataset::Outcome;
use crate::error::{Error, Kind, Problem, Result};
use crate::keys::Scales;
use crate::lint::lint_sweep;
use crate::simulate::Simulator;
use crate::spec::SweepSpec;
use crate::tech::{Technology, named_in};
use crate::units::{Unit, engineering};

/// Which sweeps to run.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Names of files in sweeps/, or paths of sweep files
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// Every sweep in sweeps/
    #[arg(long)]
    all: bool,
    /// Simulate the full grid of a sweep that has a table [adaptive]
    #[arg(long)]
    full_grid: bool,
    /// Only this corner of the sweep file; may be repeated
    #[arg(long, value_name = "NAME")]
    corner: Vec<String>,
    #[command(flatten)]
    variant: VariantArgs,
    /// Say how many points there are, how many are stored and how long the rest will take; simulates a few of them, which
    /// are kept
    #[arg(long)]
    plan: bool,
    /// Run even where `gaincell lint` finds errors that ngspice would run through: floating nodes, a PDK's own mismatch
    #[arg(long)]
    no_lint: bool,
}

/// What a sweep varies beyond its file.
#[derive(Debug, Args)]
pub(super) struct VariantArgs {
    /// Over process, voltage and temperature: every process corner of the technology, and its extremes hot and cold
    #[arg(long)]
    pvt: bool,
    /// Monte Carlo: mismatch of every transistor of the bench on that many dice
    #[arg(long, value_name = "N", conflicts_with = "pvt", value_parser = clap::value_parser!(u64).range(1..))]
    dice: Option<u64>,
    /// Seed of the dice
    #[arg(long, default_value_t = 1, requires = "dice")]
    seed: u64,
    /// Hold a parameter at one value, as in v_level=0.9V; may be repeated
    #[arg(long, value_name = "NAME=QUANTITY")]
    hold: Vec<String>,
}

impl VariantArgs {
    /// The variant of a sweep that the options ask for.
    pub(super) fn of(&self, spec: SweepSpec, tech: &Technology) -> Result<SweepSpec> {
        let mut spec = self.hold.iter().try_fold(spec, |spec, text| spec.holding(text))?;
        if self.pvt {
            spec = spec.over_pvt(tech);
        }
        if let Some(samples) = self.dice {
            spec = spec.on_dice(samples, self.seed);
        }
        Ok(spec)
    }
}

pub(super) fn sweep(context: &Context, args: &SweepArgs) -> Result<()> {
    let names = if args.all { crate::project::stems(&context.project.sweeps(), "toml") } else { args.names.clone() };
    let mut sweeps = read_named(context, &names, &args.corner)?;
    if args.full_grid {
        sweeps = sweeps.into_iter().map(|(spec, tech)| (spec.on_grid(), tech)).collect();
    }
    for (spec, tech) in &mut sweeps {
        *spec = args.variant.of(spec.clone(), tech)?;
    }
    if !args.no_lint {
        check(context, &sweeps)?;
    }
    if args.plan {
        return plan(context, sweeps);
    }
    let (summaries, faults) = run_all(context, &sweeps)?;
    if context.common.json {
        print_json(&summaries)?;
    } else {
        print(&sweep_table(&summaries))?;
        if summaries.iter().any(|summary| !summary.spec.is_empty()) {
            print(&format!("\n{}", spec_table(&summaries)))?;
        }
    }
    if let Some(error) = Error::collect(faults) {
        return Err(error);
    }
    let failed: u64 = summaries.iter().map(|s| s.failed).sum();
    if failed > 0 {
        return Err(Problem::new(
            Kind::IncompleteSweep,
            format!("{failed} points did not end ok; every row is stored"),
        )
        .help("look at `outcome` and `message` in points.parquet; failed points are tried again at the next start")
        .into());
    }
    spec_verdict(&summaries)
}

/// An error if a measurement misses its limits.
fn spec_verdict(summaries: &[SweepSummary]) -> Result<()> {
    let missed: Vec<String> = summaries
        .iter()
        .flat_map(|summary| summary.spec.iter().map(move |verdict| (summary, verdict)))
        .filter(|(_, verdict)| !verdict.pass)
        .map(|(summary, v)| match &v.corner {
            Some(corner) => format!("{} of {} at {corner}", v.measurement, summary.name),
            None => format!("{} of {}", v.measurement, summary.name),
        })
        .collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Kind::SpecMissed, format!("outside their limits: {}", missed.join(", ")))
        .help("the table names the worst value; points.parquet has every row")
        .into())
}

/// What there is to do, without doing it.
fn plan(context: &Context, sweeps: Vec<(SweepSpec, Technology)>) -> Result<()> {
    let mut pool = pool(context)?;
    let mut forecasts = Vec::new();
    for (spec, tech) in sweeps {
        if let Some(adaptive) = &spec.adaptive {
            let most = adaptive.max_points + adaptive.validation;
            let text = "decides on the way what it simulates; this is its full grid. It simulates at most";
            note(context, &format!("{} {text} {most} points", spec.name));
        }
        let spec = spec.on_grid();
        let mut tell = |_| !context.interrupt.load(Ordering::SeqCst);
        forecasts.push(forecast(&context.project, &spec, &tech, "quick", pool.as_mut(), &mut tell)?);
    }
    if context.common.json {
        return print_json(&forecasts);
    }
    let seconds = |value: Option<f64>, digits: usize| value.map_or("-".to_string(), |s| format!("{s:.digits$}"));
    let row = |f: &Forecast| {
        vec![
            f.name.clone(),
            f.tech.clone(),
            f.points.to_string(),
            f.stored.to_string(),
            f.circuits.to_string(),
            f.pilot_points.to_string(),
            seconds(f.point_s.map(|s| 1e3 * s), 2),
            seconds(f.remaining_s, 1),
        ]
    };
    let rows: Vec<Vec<String>> = forecasts.iter().map(row).collect();
    let header = ["sweep", "technology", "points#", "stored#", "circuits#", "pilot#", "per point [ms]#", "left [s]#"];
    let left = forecasts.iter().filter_map(|f| f.remaining_s).fold(0.0, |sum, s| sum + s);
    print(&format!("{}\n{left:.0} s in all with {} workers\n", table(&header, &rows), pool.workers()))
}

/// A pool of simulator processes, as the options ask for.
#[cfg(feature = "simulate")]
pub(super) fn pool(context: &Context) -> Result<Box<dyn Simulator>> {
    let worker_program =
        std::env::current_exe().map_err(|source| Error::io("gaincell", "find the running program", source))?;
    let mut options = crate::simulate::PoolOptions::new(worker_program);
    options.workers = context.common.workers.and_then(|n| std::num::NonZeroUsize::new(n as usize));
    options.interrupt = context.interrupt.clone();
    Ok(Box::new(crate::simulate::WorkerPool::new(options)?))
}

/// Without ngspice there is no pool.
#[cfg(not(feature = "simulate"))]
pub(super) fn pool(_context: &Context) -> Result<Box<dyn Simulator>> {
    Err(super::without("simulate"))
}

/// The named sweeps and their technologies, all checked before anything runs.
pub(super) fn read_named(
    context: &Context,
    names: &[String],
    corners: &[String],
) -> Result<Vec<(SweepSpec, Technology)>> {
    let benches = context.project.benches();
    let read = |name: &String| SweepSpec::read(&context.project.sweep_file(name)?, &benches);
    let specs = names.iter().map(read).collect::<Result<Vec<_>>>()?;
    let technologies = context.project.technologies();
    let asked = |spec: &SweepSpec| context.common.tech.clone().unwrap_or_else(|| named_in(&spec.file, &spec.tech));
    specs
        .into_iter()
        .map(|spec| {
            let tech = Technology::find(&asked(&spec), &technologies).map_err(|error| {
                let in_file = context.common.tech.is_none();
                let place = |p: Problem| if in_file && p.file.is_none() { p.file(&spec.file).key("tech") } else { p };
                Error::collect(error.problems().iter().cloned().map(place).collect()).unwrap_or(error)
            })?;
            let spec = SweepSpec::read_on(&spec.file, &benches, &tech)?.at_corners(corners, &tech)?;
            if spec.scales != Scales::NONE {
                let beside = |what: &str, factor: f64| match factor {
                    1.0 => String::new(),
                    factor => format!(", {what} times {factor:.4}"),
                };
                let charges = beside("charges", spec.scales.coulombs) + &beside("energies", spec.scales.joules);
                let volts = spec.scales.volts;
                let text = format!("{:20} voltages times {volts:.4}{charges}: written for `{}`", spec.name, spec.tech);
                note(context, &format!("{text}, run on {} at {} V", tech.name, tech.vdd_v));
            }
            Ok((spec, tech))
        })
        .collect()
}

/// What would run and be wrong, as the linter finds it; what a run refuses by itself is left to it.
fn check(context: &Context, sweeps: &[(SweepSpec, Technology)]) -> Result<()> {
    let mut problems = Vec::new();
    for (spec, tech) in sweeps {
        problems.extend(lint_sweep(&spec.file, &context.project.benches(), tech)?.unnoticed());
    }
    Error::collect(problems).map_or(Ok(()), Err)
}

/// Checks every named sweep first, then runs them one after the other.
pub(super) fn run_named(
    context: &Context,
    names: &[String],
    corners: &[String],
    profile: &str,
) -> Result<Vec<SweepSummary>> {
    run_each(context, &read_named(context, names, corners)?, profile)
}

pub(super) fn run_each(
    context: &Context,
    sweeps: &[(SweepSpec, Technology)],
    profile: &str,
) -> Result<Vec<SweepSummary>> {
    let mut pool = pool(context)?;
    sweeps.iter().map(|sweep| run_one(context, pool.as_mut(), sweep, profile)).collect()
}

/// Runs each of the sweeps. Where there are several, one whose own circuit or rows are at fault does not keep the others: what is wrong
/// with it comes with their summaries.
fn run_all(context: &Context, sweeps: &[(SweepSpec, Technology)]) -> Result<(Vec<SweepSummary>, Vec<Problem>)> {
    let mut pool = pool(context)?;
    let (mut summaries, mut faults) = (Vec::new(), Vec::new());
    for sweep in sweeps {
        match run_one(context, pool.as_mut(), sweep, "quick") {
            Ok(summary) => summaries.push(summary),
            Err(error) if sweeps.len() > 1 && is_its_own(error.kind()) => {
                note(context, &format!("{:20} is left out; why comes at the end", sweep.0.name));
                faults.extend(error.problems().iter().cloned().map(|problem| Problem {
                    message: format!("sweep `{}`: {}", sweep.0.name, problem.message),
                    ..problem
                }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((summaries, faults))
}

/// Whether a failure of that kind says nothing of other sweeps.
fn is_its_own(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::FitFailed
            | Kind::NetlistSyntax
            | Kind::UndefinedParameter
            | Kind::SingularMatrix
            | Kind::RefusedDeck
            | Kind::RunLocked
            | Kind::DataDamaged
    )
}

fn run_one(
    context: &Context,
    pool: &mut dyn Simulator,
    (spec, tech): &(SweepSpec, Technology),
    profile: &str,
) -> Result<SweepSummary> {
    let mut bar = Bar::new(context, &spec.name);
    let mut tell = |progress| {
        bar.tell(progress);
        !context.interrupt.load(Ordering::SeqCst)
    };
    let result = match &spec.adaptive {
        Some(adaptive) => run_adaptive(&context.project, spec, adaptive, tech, profile, pool, &mut tell)
            .map(|run| (run.summary, run.dataset, Some(run.refined.trace))),
        None => run_sweep(&context.project, spec, tech, profile, pool, &mut tell)
            .map(|(summary, dataset)| (summary, dataset, None)),
    };
    bar.finish();
    let (summary, dataset, trace) = result?;
    let reused = if summary.cached > 0 { format!(", {} reused", summary.cached) } else { String::new() };
    note(context, &format!("{:20} {} points{reused}, {:.1} s", spec.name, summary.points, summary.wall_s));
    if summary.relaxed > 0 {
        note(context, &format!("{:20} {} ended well at a relaxed tier only: fits leave them out", "", summary.relaxed));
    }
    if summary.floor_dominated > 0 {
        let column = |f: &FloorFinding| format!("{} by up to {:.1} %", f.column, 100.0 * f.change);
        let columns: Vec<String> = summary.floor.iter().map(column).collect();
        let text = format!("{} of {} guarded points moved", summary.floor_dominated, summary.guarded);
        note(context, &format!("{:20} {text} at gmin/10 and tighter tolerances: {}", "", columns.join(", ")));
    }
    if let Some(row) = dataset.all().iter().find(|row| row.outcome != Outcome::Ok) {
        note(context, &format!("{:20} {} failed, the first: {} {}", "", summary.failed, row.outcome, row.message));
    }
    if let Some(trace) = trace {
        note(context, &format!("{:20} {}", "", how_it_stopped(&trace)));
    }
    Ok(summary)
}

/// One sentence on the end of an adaptive sweep.
fn how_it_stopped(trace: &Trace) -> String {
    let Some(last) = trace.rounds.last() else { return String::new() };
    let stopped = match trace.stopped {
        Stopped::ErrorReached => "reached the error",
        Stopped::MaxPoints => "max_points came before the error was reached",
        Stopped::NothingLeft => "no other point is left in the ranges",
    };
    let mut text = format!("{stopped} with {} points: of full scale {:.2e} left out", last.points, last.left_out_error);
    if let Some(error) = last.validation_error {
        text += &format!(", {error:.2e} on points kept apart");
    }
    if last.knee_error > 0.0 {
        text += &format!(", {:.2e} at most for knees between points", last.knee_error);
    }
    if let Some(error) = trace.low_error {
        text += &format!(", {error:.2e} for the static shape alone");
    }
    text + &format!(", {:.1e} asked for", trace.error)
}

/// The summaries as text.
pub(super) fn sweep_table(summaries: &[SweepSummary]) -> String {
    let rows: Vec<Vec<String>> = summaries
        .iter()
        .map(|s| {
            vec![
                s.name.clone(),
                s.tech.clone(),
                s.points.to_string(),
                s.ok.to_string(),
                s.failed.to_string(),
                s.cached.to_string(),
                format!("{:.1}", s.wall_s),
            ]
        })
        .collect();
    table(&["sweep", "technology", "points#", "ok#", "failed#", "reused#", "wall [s]#"], &rows)
}

/// The measurements with limits as text, one row per corner; `*` marks the corner with the least margin.
fn spec_table(summaries: &[SweepSummary]) -> String {
    let mut rows = Vec::new();
    for summary in summaries {
        let corners = summary.spec.iter().any(|v| v.corner.is_some());
        for v in &summary.spec {
            let unit = Unit::from_name(&v.unit).unwrap_or(Unit::One);
            let number = |value: Option<f64>| value.map_or("-".to_string(), |v| engineering(v, unit));
            let mark = if corners && v.worst_corner { " *" } else { "" };
            rows.push(vec![
                summary.name.clone(),
                v.measurement.clone(),
                v.corner.as_deref().unwrap_or("nominal").to_string() + mark,
                number(v.limit.min),
                number(v.limit.typ),
                number(v.limit.max),
                number(v.least),
                number(v.mean),
                number(v.greatest),
                v.worst.as_ref().map_or("-".to_string(), WorstPoint::place),
                format!("{} of {}", v.outside + v.missing, v.points),
                v.dice.map_or("-".to_string(), |dice| {
                    let [low, high] = dice.interval.map(|share| 100.0 * share);
                    format!("{:.1} % ({low:.1} to {high:.1})", 100.0 * dice.fraction)
                }),
                if v.pass { "pass".to_string() } else { "FAIL".to_string() },
            ]);
        }
    }
    let mut header = vec![
        "sweep",
        "measurement",
        "corner",
        "min#",
        "typ#",
        "max#",
        "least#",
        "mean#",
        "greatest#",
        "worst at",
        "outside#",
        "yield (95 %)#",
        "verdict",
    ];
    // A column that says nothing is left out.
    let yields = header.len() - 2;
    if rows.iter().all(|row| row[yields] == "-") {
        header.remove(yields);
        rows.iter_mut().for_each(|row| drop(row.remove(yields)));
    }
    table(&header, &rows)
}
