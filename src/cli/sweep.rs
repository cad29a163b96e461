//! `gaincell sweep`.

use std::sync::atomic::Ordering;

use clap::Args;

use super::Context;
use super::output::{Bar, note, print, print_json, table};
use crate::campaign::{Stopped, SweepSummary, Trace, run_adaptive, run_sweep};
use crate::dataset::Outcome;
use crate::error::{Error, Kind, Problem, Result};
use crate::simulate::Simulator;
use crate::spec::SweepSpec;
use crate::tech::Technology;

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
}

pub(super) fn sweep(context: &Context, args: &SweepArgs) -> Result<()> {
    let names = if args.all { crate::project::stems(&context.project.sweeps(), "toml") } else { args.names.clone() };
    let summaries = run_named(context, &names, "quick", args.full_grid)?;
    if context.common.json {
        print_json(&summaries)?;
    } else {
        print(&sweep_table(&summaries))?;
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
    Ok(())
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

/// Checks every named sweep first, then runs them one after the other.
pub(super) fn run_named(
    context: &Context,
    names: &[String],
    profile: &str,
    full_grid: bool,
) -> Result<Vec<SweepSummary>> {
    let benches = context.project.benches();
    let read = |name: &String| SweepSpec::read(&context.project.sweep_file(name)?, &benches);
    let specs = names.iter().map(read).collect::<Result<Vec<_>>>()?;
    let technologies = context.project.technologies();
    let asked = |spec: &SweepSpec| context.common.tech.clone().unwrap_or_else(|| spec.tech.clone());
    let techs = specs
        .iter()
        .map(|spec| {
            Technology::find(&asked(spec), &technologies).map_err(|error| {
                let in_file = context.common.tech.is_none();
                let place = |p: Problem| if in_file && p.file.is_none() { p.file(&spec.file).key("tech") } else { p };
                Error::collect(error.problems().iter().cloned().map(place).collect()).unwrap_or(error)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut pool = pool(context)?;
    let mut summaries = Vec::new();
    for (spec, tech) in specs.iter().zip(&techs) {
        let mut bar = Bar::new(context, &spec.name);
        let mut tell = |progress| {
            bar.tell(progress);
            !context.interrupt.load(Ordering::SeqCst)
        };
        let result = match &spec.adaptive {
            Some(adaptive) if !full_grid => {
                run_adaptive(&context.project, spec, adaptive, tech, profile, pool.as_mut(), &mut tell)
                    .map(|run| (run.summary, run.dataset, Some(run.refined.trace)))
            }
            _ => run_sweep(&context.project, spec, tech, profile, pool.as_mut(), &mut tell)
                .map(|(summary, dataset)| (summary, dataset, None)),
        };
        bar.finish();
        let (summary, dataset, trace) = result?;
        let reused = if summary.cached > 0 { format!(", {} reused", summary.cached) } else { String::new() };
        note(context, &format!("{:20} {} points{reused}, {:.1} s", spec.name, summary.points, summary.wall_s));
        if let Some(row) = dataset.all().iter().find(|row| row.outcome != Outcome::Ok) {
            note(context, &format!("{:20} {} failed, the first: {} {}", "", summary.failed, row.outcome, row.message));
        }
        if let Some(trace) = trace {
            note(context, &format!("{:20} {}", "", how_it_stopped(&trace)));
        }
        summaries.push(summary);
    }
    Ok(summaries)
}

/// One sentence on the end of an adaptive sweep.
fn how_it_stopped(trace: &Trace) -> String {
    let Some(last) = trace.rounds.last() else { return String::new() };
    let estimates = format!(
        "estimated error of {} {:.2e} of full scale left out, {:.2e} on points kept apart",
        trace.target, last.left_out_error, last.validation_error
    );
    match trace.stopped {
        Stopped::ErrorReached => {
            format!("stopped at {} points: {estimates}, asked for {:.1e}", last.points, trace.error)
        }
        Stopped::MaxPoints => {
            format!("not reached with max_points = {}: {estimates}, asked for {:.1e}", last.points, trace.error)
        }
    }
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
