//! An adaptive sweep on real points: every batch is planned, served or simulated, journalled, and only then looked at.

use super::adaptive::{Measured, Refined, axes, refine};
use super::multifidelity::LowFidelity;
use super::sweep_run::{self, Progress, SweepSummary, latest_run, run_sweep};
use super::write_json;
use crate::dataset::{Dataset, Run, Status, Store};
use crate::error::{Error, Kind, Result};
use crate::project::Project;
use crate::simulate::Simulator;
use crate::spec::{AdaptiveSpec, SweepSpec};
use crate::sweep::{Combination, DESIGN, HELD_OUT, Plan};
use crate::tech::Technology;

/// An adaptive sweep that ended.
pub struct AdaptiveRun {
    /// Samples, surrogate and how it came about.
    pub refined: Refined,
    /// The static sweep behind it, if any.
    pub low: Option<LowFidelity>,
    /// What it came to.
    pub summary: SweepSummary,
    /// Its rows: trained on ones are `design`, those that only checked are `held_out`.
    pub dataset: Dataset,
}

/// Runs `spec` on `tech` as its tables `[adaptive]` and `[multifidelity]` say; `tell` as in [`run_sweep`]. A killed run
/// decides the same again and is served what it had simulated.
///
/// # Errors
/// As [`run_sweep`]; `FitFailed` if no surrogate can be made of the first batch.
pub fn run_adaptive(
    project: &Project,
    spec: &SweepSpec,
    adaptive: &AdaptiveSpec,
    tech: &Technology,
    profile: &str,
    simulator: &mut dyn Simulator,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<AdaptiveRun> {
    let started = std::time::Instant::now();
    let (mut low, mut low_simulated_s) = (None, 0.0);
    if let Some(multifidelity) = &spec.multifidelity {
        let of = SweepSpec::read(&project.sweep_file(&multifidelity.sweep)?, &project.benches())?;
        let (_, rows) = run_sweep(project, &of, tech, profile, simulator, &mut |_| true)?;
        let runtimes = Dataset::read_runtimes(&latest_run(project, &of.name, &tech.name)?)?;
        low_simulated_s = runtimes.values().map(|runtime| runtime.wall_s).sum();
        low = Some(LowFidelity::new(spec, multifidelity, &of, &rows)?);
    }
    let identity = simulator.identity()?;
    let manifest = sweep_run::manifest(spec, tech, profile, &Plan::of(spec, tech, &middle(spec), 0)?, &identity);
    let folder = project.results().join(&spec.name);
    let run_name = format!("{}-{}", tech.name, &manifest.identity()[..8]);
    let dir = folder.join(&run_name);
    let mut run = Run::open_or_replace(&dir, manifest)?;
    let planned = adaptive.max_points + adaptive.validation;
    run.set_planned(planned);
    let mut progress = Progress { planned, done: 0, cached: 0, failed: 0 };
    let value = low.as_ref().map(|low: &LowFidelity| |at: &[f64]| low.value(at));
    let value = value.as_ref().map(|value| value as &dyn Fn(&[f64]) -> f64);
    let result = refine(adaptive, &axes(&spec.parameters), value, &mut |points, validation| {
        let set = if validation { HELD_OUT } else { DESIGN };
        let combinations: Vec<_> = points.iter().map(|values| Combination { values: values.clone(), set }).collect();
        let first = progress.done;
        let plan = Plan::of(spec, tech, &combinations, first)?;
        for group in &plan.groups {
            let mut store = Store::open(&project.results().join(".store"), &group.circuit.key)?;
            let outcome = sweep_run::run_group(
                &plan,
                group,
                spec,
                &identity,
                simulator,
                &mut run,
                &mut store,
                &mut progress,
                tell,
            );
            store.flush()?;
            outcome?;
        }
        let measured = |k: usize| {
            let index = first + k as u64;
            let row = run.row(index).filter(|row| row.outcome == crate::dataset::Outcome::Ok);
            let value = row.and_then(|row| row.measured.get(&adaptive.target)?.scalar());
            Measured { value, wall_s: run.runtime(index).map_or(0.0, |runtime| runtime.wall_s) }
        };
        Ok((0..points.len()).map(measured).collect())
    });
    run.set_planned(progress.done);
    run.finish(if result.is_ok() { Status::Complete } else { Status::Interrupted })?;
    let mut refined = result?;
    refined.trace.low_simulated_s = low_simulated_s;
    write_json(&dir.join("adaptive.json"), &refined.trace)?;
    let pointer = folder.join(format!("{}.latest", tech.name));
    std::fs::write(&pointer, format!("{run_name}\n")).map_err(|source| Error::io(&pointer, "write", source))?;
    let dataset = Dataset::read(&dir)?;
    let summary = SweepSummary {
        name: spec.name.clone(),
        tech: tech.name.clone(),
        cell: spec.cell.clone(),
        points: progress.done,
        ok: progress.done - progress.failed,
        failed: progress.failed,
        cached: progress.cached,
        wall_s: started.elapsed().as_secs_f64(),
    };
    Ok(AdaptiveRun { refined, low, summary, dataset })
}

/// One point in the ranges: what a manifest needs to know of columns and circuit.
fn middle(spec: &SweepSpec) -> Vec<Combination> {
    let values = axes(&spec.parameters).iter().map(|axis| 0.5 * (axis.low + axis.high)).collect();
    vec![Combination { values, set: DESIGN }]
}

/// The `[adaptive]` table of a sweep.
///
/// # Errors
/// [`Kind::SpecKey`] if it has none.
pub fn adaptive_of(spec: &SweepSpec) -> Result<&AdaptiveSpec> {
    spec.adaptive.as_ref().ok_or_else(|| {
        let problem = crate::error::Problem::new(Kind::SpecKey, "this sweep has no table [adaptive]");
        problem.file(&spec.file).key("adaptive").into()
    })
}
