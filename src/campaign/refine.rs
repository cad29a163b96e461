//! An adaptive sweep on real points: every batch is planned, served or simulated, journalled, and only then looked at.

use super::adaptive::{Measured, Refined, axes, refine};
use super::multifidelity::LowFidelity;
use super::sweep_run::{Progress, SweepRun, SweepSummary};
use super::write_json;
use crate::dataset::{Dataset, Outcome};
use crate::error::{Kind, Problem, Result};
use crate::project::Project;
use crate::simulate::Simulator;
use crate::spec::{AdaptiveSpec, SweepSpec};
use crate::sweep::{Combination, DESIGN, HELD_OUT, Plan, Planner};
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

/// Runs `spec` on `tech` as its tables `[adaptive]` and `[multifidelity]` say; `tell` as in [`super::run_sweep`]. A killed
/// run decides the same again and is served what it had simulated.
///
/// # Errors
/// As [`super::run_sweep`]; `FitFailed` if no surrogate can be made of the first batch.
pub fn run_adaptive(
    project: &Project,
    spec: &SweepSpec,
    adaptive: &AdaptiveSpec,
    tech: &Technology,
    profile: &str,
    simulator: &mut dyn Simulator,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<AdaptiveRun> {
    let (mut low, mut low_simulated_s) = (None, 0.0);
    if let Some(multifidelity) = &spec.multifidelity {
        let of = SweepSpec::read(&project.sweep_file(&multifidelity.sweep)?, &project.benches())?;
        let (rows, simulated_s) = run_low(project, &of, tech, profile, simulator, tell)?;
        low_simulated_s = simulated_s;
        low = Some(LowFidelity::new(spec, multifidelity, &of, &rows)?);
    }
    let planner = Planner::new(spec, tech)?;
    let middle = axes(&spec.parameters).iter().map(|axis| 0.5 * (axis.low + axis.high)).collect();
    let first = planner.plan(&[Combination { values: middle, corner: None, set: DESIGN }], 0)?;
    let mut run = SweepRun::open(project, &planner, tech, profile, &first, simulator)?;
    let value = low.as_ref().map(|low: &LowFidelity| |at: &[f64]| low.value(at));
    let value = value.as_ref().map(|value| value as &dyn Fn(&[f64]) -> f64);
    let mut all = Plan { groups: Vec::new(), startup: tech.startup.clone() };
    let result = refine(adaptive, &axes(&spec.parameters), value, &mut |points, validation| {
        let set = if validation { HELD_OUT } else { DESIGN };
        let combination = |values: &Vec<f64>| Combination { values: values.clone(), corner: None, set };
        let combinations: Vec<Combination> = points.iter().map(combination).collect();
        let first = all.len() as u64;
        let plan = planner.plan(&combinations, first)?;
        run.simulate(&plan, simulator, tell)?;
        let times = run.simulated_s(&plan)?;
        all.groups.extend(plan.groups);
        let measured = |k: usize| {
            let index = first + k as u64;
            // As everywhere, what ended well at relaxed options only is not fitted.
            let row = run.row(index).filter(|row| row.outcome == Outcome::Ok && row.tier == 0);
            let value = row.and_then(|row| row.measured.get(&adaptive.target)?.scalar());
            Measured { value, wall_s: times.get(&index).copied().unwrap_or(0.0) }
        };
        Ok((0..points.len()).map(measured).collect())
    });
    let result = result.and_then(|refined| run.guard(&all, simulator, tell).map(|()| refined));
    let dir = run.dir().to_path_buf();
    let mut refined = match result {
        Ok(refined) => refined,
        Err(error) => {
            run.finish(Err(error))?;
            return Err(crate::Error::new(Kind::Internal, "a run that failed ended well"));
        }
    };
    refined.trace.low_simulated_s = low_simulated_s;
    let (summary, dataset) = run.finish(Ok(()))?;
    write_json(&dir.join("adaptive.json"), &refined.trace)?;
    Ok(AdaptiveRun { refined, low, summary, dataset })
}

/// The static sweep: its rows, and the time that they took [s].
fn run_low(
    project: &Project,
    of: &SweepSpec,
    tech: &Technology,
    profile: &str,
    simulator: &mut dyn Simulator,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<(Dataset, f64)> {
    let planner = Planner::new(of, tech)?;
    let plan = planner.plan(&planner.design(), 0)?;
    let mut run = SweepRun::open(project, &planner, tech, profile, &plan, simulator)?;
    let outcome = run.simulate(&plan, simulator, tell).and_then(|()| run.guard(&plan, simulator, tell));
    let simulated_s = run.simulated_s(&plan)?.values().sum();
    let (_, dataset) = run.finish(outcome)?;
    Ok((dataset, simulated_s))
}

/// The `[adaptive]` table of a sweep.
///
/// # Errors
/// [`Kind::SpecKey`] if it has none.
pub fn adaptive_of(spec: &SweepSpec) -> Result<&AdaptiveSpec> {
    spec.adaptive.as_ref().ok_or_else(|| {
        let problem = Problem::new(Kind::SpecKey, "this sweep has no table [adaptive]");
        problem.file(&spec.file).key("adaptive").into()
    })
}
