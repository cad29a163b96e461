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
        let of = SweepSpec::read_on(&project.sweep_file(&multifidelity.sweep)?, &project.benches(), tech)?;
        let (rows, simulated_s) = run_low(project, &of, tech, profile, simulator, tell)?;
        low_simulated_s = simulated_s;
        low = Some(LowFidelity::new(spec, multifidelity, &of, &rows, tech.vdd_v)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Row;
    use crate::simulate::{Circuit, FakeSimulator, Job};
    use crate::waveform::Waveform;

    const SWEEP: &str = r#"
schema = 1
name = "knee"
tech = "generic28"
bench = "knee.cir"
[parameters.r_load]
unit = "ohm"
from = "1 kohm"
to = "9 kohm"
steps = 30
[parameters.v_in]
unit = "V"
from = "0 V"
to = "1 V"
steps = 30
[adaptive]
target = "v_out"
error = 1e-3
initial = 12
batch = 5
max_points = 22
validation = 6
[guard]
points = 3
[[measure]]
name = "v_out"
unit = "V"
at = "v(out)"
time = "1 ns"
"#;

    /// A project with one sweep of a divider.
    fn project(dir: &std::path::Path) -> (Project, SweepSpec, Technology) {
        for folder in ["sweeps", "netlists/benches"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
        }
        std::fs::write(dir.join("gaincell.toml"), "").unwrap();
        std::fs::write(dir.join("sweeps/knee.toml"), SWEEP).unwrap();
        let bench =
            "knee\n.param r_load=1k v_in=0.5\nvin in 0 {v_in}\nr1 in out 1k\nr2 out 0 {r_load}\n.tran 0.1n 2n\n.end\n";
        std::fs::write(dir.join("netlists/benches/knee.cir"), bench).unwrap();
        let project = Project::find(Some(dir), None).unwrap();
        let spec = SweepSpec::read(&project.sweep_file("knee").unwrap(), &project.benches()).unwrap();
        let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
        (project, spec, Technology::find("generic28", &shipped).unwrap())
    }

    /// Any smooth function will do: decisions must not depend on the order in which answers come.
    fn respond(_: &Circuit, job: &Job) -> Waveform {
        let (r, v) = (job.values["r_load_ohm"], job.values["v_in_v"]);
        let out = v * r / (r + 1e3) + 0.2 * (5.0 * v).sin();
        Waveform { axis: vec![0.0, 2e-9], signals: [("v(out)".to_string(), vec![out, out])].into() }
    }

    fn run(dir: &std::path::Path, workers: usize, stop_after: Option<u64>) -> (Option<Vec<Row>>, u64) {
        let (project, spec, tech) = project(dir);
        let mut simulator = FakeSimulator::new(workers, respond);
        let mut tell = |progress: Progress| stop_after.is_none_or(|most| progress.done < most);
        let adaptive = adaptive_of(&spec).unwrap();
        let result = run_adaptive(&project, &spec, adaptive, &tech, "quick", &mut simulator, &mut tell);
        match (result, stop_after) {
            (Ok(run), _) => {
                let last = run.refined.trace.rounds.last().unwrap();
                let guarded = run.summary.guarded;
                assert_eq!((run.summary.points, guarded), (last.points + 6, 3));
                (Some(run.dataset.rows), simulator.simulated())
            }
            (Err(error), Some(_)) => {
                assert_eq!(error.kind(), Kind::Interrupted);
                (None, simulator.simulated())
            }
            (Err(error), None) => panic!("{error}"),
        }
    }

    #[test]
    fn one_worker_and_four_decide_the_same_and_so_does_a_run_that_was_interrupted() {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let (one, simulated) = run(dirs[0].path(), 1, None);
        let (four, _) = run(dirs[1].path(), 4, None);
        assert!(one.as_ref().is_some_and(|rows| rows.len() > 12 + 6 + 3));
        assert_eq!(one, four);
        let (nothing, before) = run(dirs[2].path(), 4, Some(20));
        assert!(nothing.is_none());
        let (again, after) = run(dirs[2].path(), 1, None);
        assert_eq!(one, again);
        assert_eq!(before + after, simulated, "nothing is simulated twice");
        assert_eq!(run(dirs[2].path(), 4, None), (one, 0));
    }

    #[test]
    fn the_full_grid_is_a_run_of_its_own_and_two_ways_to_choose_points_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (project, spec, _) = project(dir.path());
        let grid = spec.clone().on_grid();
        assert!(grid.adaptive.is_none() && grid.hash != spec.hash);
        assert_eq!(grid.clone().on_grid(), grid);
        let file = dir.path().join("sweeps/both.toml");
        std::fs::write(&file, format!("{SWEEP}[corners.hot]\ntemp = \"85 degC\"\n")).unwrap();
        let error = SweepSpec::read(&file, &project.benches()).unwrap_err();
        let keys: Vec<Option<&str>> = error.problems().iter().map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, [Some("corners")]);
    }
}
