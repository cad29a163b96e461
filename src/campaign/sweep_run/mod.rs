//! A sweep from its plan to its rows: what is stored is served, the rest is simulated, everything is journalled.

mod tier;

pub use tier::planned_job;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Instant;

use super::guard::{FLOOR_LABEL, FloorFinding, UNCHECKED, floor_findings, judge};
use super::provenance::manifest;
use super::spec_verdict::{SpecVerdict, spec_verdicts};
use crate::dataset::{Dataset, Outcome, Row, Run, Status, Store};
use crate::error::{Error, Kind, Problem, Result};
use crate::project::Project;
use crate::simulate::Simulator;
use crate::spec::SweepSpec;
use crate::sweep::{GUARD_INDEX, Plan, Planner};
use crate::tech::Technology;

/// What a sweep run came to. A guard's points are not counted.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SweepSummary {
    /// Name of the sweep.
    pub name: String,
    /// Technology.
    pub tech: String,
    /// Cell.
    pub cell: String,
    /// Points of the design.
    pub points: u64,
    /// Rows that ended `ok`, at whatever tier.
    pub ok: u64,
    /// Rows that ended otherwise.
    pub failed: u64,
    /// Rows that ended `ok` above tier 0; fits leave them out.
    pub relaxed: u64,
    /// Rows that came from earlier runs.
    pub cached: u64,
    /// Points that ran again at a lower simulator floor.
    pub guarded: u64,
    /// Those of them that moved.
    pub floor_dominated: u64,
    /// The measurements that moved.
    #[serde(default)]
    pub floor: Vec<FloorFinding>,
    /// Wall time of this run [s].
    pub wall_s: f64,
    /// The measurements that have limits, per corner.
    #[serde(default)]
    pub spec: Vec<SpecVerdict>,
}

/// How far a sweep has come; told after every row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Points planned so far, a guard's included.
    pub planned: u64,
    /// Rows so far, stored ones included.
    pub done: u64,
    /// Rows that were stored already.
    pub cached: u64,
    /// Rows that did not end `ok`.
    pub failed: u64,
    /// Wall time until the points planned so far are done [s], once there is something to tell it from.
    pub remaining_s: Option<f64>,
}

/// A sweep that is being run: plans go in, rows are kept.
pub struct SweepRun<'a> {
    project: &'a Project,
    planner: &'a Planner<'a>,
    tech: &'a Technology,
    identity: String,
    name: String,
    run: Run,
    stores: BTreeMap<String, Store>,
    progress: Progress,
    started: Instant,
}

impl<'a> SweepRun<'a> {
    /// Opens the run of `planner`'s sweep below `project`'s results. `first` is a plan of some of its points, from which the
    /// columns and circuits in the manifest are taken.
    ///
    /// # Errors
    /// [`Kind::RunLocked`] if another process works on it; whatever the simulator says when asked for its name.
    pub fn open(
        project: &'a Project,
        planner: &'a Planner<'a>,
        tech: &'a Technology,
        profile: &str,
        first: &Plan,
        simulator: &mut dyn Simulator,
    ) -> Result<SweepRun<'a>> {
        let identity = simulator.identity()?;
        let manifest = manifest(planner.spec(), tech, profile, first, &identity);
        let name = format!("{}-{}", tech.name, &manifest.identity()[..8]);
        let run = Run::open_or_replace(&project.results().join(&planner.spec().name).join(&name), manifest)?;
        Ok(SweepRun {
            project,
            planner,
            tech,
            identity,
            name,
            run,
            stores: BTreeMap::new(),
            progress: Progress { planned: 0, done: 0, cached: 0, failed: 0, remaining_s: None },
            started: Instant::now(),
        })
    }

    /// The rows so far, by index.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.run.rows()
    }

    /// The time that a worker spent on each point of `plan` that has a row [s], by index. For a row that an earlier run
    /// left it is what was spent then, so that it does not depend on what was stored before.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn simulated_s(&mut self, plan: &Plan) -> Result<BTreeMap<u64, f64>> {
        let mut times = BTreeMap::new();
        for group in &plan.groups {
            for point in &group.points {
                let index = point.row.index;
                let Some(runtime) = self.run.runtime(index).cloned() else { continue };
                let mut wall_s = runtime.wall_s;
                if runtime.cached {
                    // Rows of a relaxed tier belong to another circuit, whose store is open since it served them.
                    self.store(&group.circuit)?;
                    let stored = self.stores.values().find_map(|store| store.runtime(&runtime.id));
                    wall_s = stored.map_or(wall_s, |stored| stored.wall_s);
                }
                times.insert(index, wall_s);
            }
        }
        Ok(times)
    }

    /// The row of that index.
    pub fn row(&self, index: u64) -> Option<&Row> {
        self.run.row(index)
    }

    /// The run's directory.
    pub fn dir(&self) -> &std::path::Path {
        self.run.dir()
    }

    /// Serves or simulates every point of `plan`. Points that do not converge climb the ladder of tiers.
    ///
    /// # Errors
    /// What is wrong with a circuit; [`Kind::Interrupted`] if `tell` said no. What was finished is journalled all the same.
    pub fn simulate(
        &mut self,
        plan: &Plan,
        simulator: &mut dyn Simulator,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<()> {
        let mut waiting = self.take_stored(plan)?;
        if !tell(self.progress) {
            return Err(interrupted());
        }
        for tier in self.tiers() {
            if waiting.is_empty() {
                break;
            }
            waiting = self.run_tier(plan, tier, &waiting, simulator, tell)?;
        }
        Ok(())
    }

    /// Takes what the run or the store has of a plan; answers the indices of the points that are left to simulate.
    ///
    /// # Errors
    /// [`Kind::Io`]; what planning a tier's circuit says.
    pub fn take_stored(&mut self, plan: &Plan) -> Result<BTreeSet<u64>> {
        self.progress.planned += plan.len() as u64;
        let mut waiting = BTreeSet::new();
        for group in &plan.groups {
            self.serve(group, &plan.startup, &mut waiting)?;
        }
        Ok(waiting)
    }

    /// Repeats a few points of `plan` at a lower simulator floor, and says in their rows whether they moved.
    ///
    /// # Errors
    /// As [`SweepRun::simulate`].
    pub fn guard(
        &mut self,
        plan: &Plan,
        simulator: &mut dyn Simulator,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<()> {
        let guarded = self.planner.guard(plan)?;
        self.simulate(&guarded, simulator, tell)?;
        let rows: Vec<Row> = self.run.rows().cloned().collect();
        for changed in judge(&rows, self.planner.spec().guard.tolerance) {
            self.run.relabel(changed.index, changed.labels)?;
        }
        Ok(())
    }

    /// Writes the tables and lets go of the run. `outcome` is what the simulation came to: after an error what was finished
    /// is saved, and the error is given back.
    ///
    /// # Errors
    /// That of `outcome`; [`Kind::Io`].
    pub fn finish(mut self, outcome: Result<()>) -> Result<(SweepSummary, Dataset)> {
        let spec = self.planner.spec();
        let points = self.progress.planned - self.guards();
        self.run.set_planned(points);
        let dir = self.run.dir().to_path_buf();
        let status = if outcome.is_ok() { Status::Complete } else { Status::Interrupted };
        let saved = self.run.finish(status);
        outcome?;
        saved?;
        let pointer = self.project.results().join(&spec.name).join(format!("{}.latest", self.tech.name));
        std::fs::write(&pointer, format!("{}\n", self.name)).map_err(|source| Error::io(&pointer, "write", source))?;
        let dataset = Dataset::read(&dir)?;
        let is_guard = |row: &&Row| row.index >= GUARD_INDEX;
        let count =
            |keep: &dyn Fn(&Row) -> bool| dataset.rows.iter().filter(|r| !is_guard(r) && keep(r)).count() as u64;
        let floor = |what: &'static str| move |row: &Row| row.labels.get(FLOOR_LABEL).is_some_and(|l| l == what);
        let summary = SweepSummary {
            name: spec.name.clone(),
            tech: self.tech.name.clone(),
            cell: spec.cell.clone(),
            points: count(&|_| true),
            ok: count(&|row| row.outcome == Outcome::Ok),
            failed: count(&|row| row.outcome != Outcome::Ok),
            relaxed: count(&|row| row.outcome == Outcome::Ok && row.tier > 0),
            cached: self.progress.cached.min(points),
            guarded: count(&|row| row.labels.get(FLOOR_LABEL).is_some_and(|l| l != UNCHECKED)),
            floor_dominated: count(&floor(super::guard::DOMINATED)),
            floor: floor_findings(&dataset),
            wall_s: self.started.elapsed().as_secs_f64(),
            spec: spec_verdicts(spec, &dataset),
        };
        Ok((summary, dataset))
    }

    /// The tiers that points run at, in the order in which they climb.
    fn tiers(&self) -> RangeInclusive<u8> {
        let ladder = self.planner.spec().ladder;
        ladder.start..=ladder.highest
    }

    fn guards(&self) -> u64 {
        self.run.rows().filter(|row| row.index >= GUARD_INDEX).count() as u64
    }
}

/// Runs `spec` on `tech` below `project`'s results; `tell` hears of every row and says whether to go on.
///
/// # Errors
/// Whatever is wrong with the sweep, its bench or the simulator. [`Kind::Interrupted`] if `tell` said no; what was
/// finished is saved then, as it is after every other error.
pub fn run_sweep(
    project: &Project,
    spec: &SweepSpec,
    tech: &Technology,
    profile: &str,
    simulator: &mut dyn Simulator,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<(SweepSummary, Dataset)> {
    let planner = Planner::new(spec, tech)?;
    let plan = planner.plan(&planner.design(), 0)?;
    let mut run = SweepRun::open(project, &planner, tech, profile, &plan, simulator)?;
    let outcome = run.simulate(&plan, simulator, tell).and_then(|()| run.guard(&plan, simulator, tell));
    run.finish(outcome)
}

/// The latest finished run of a sweep on a technology.
///
/// # Errors
/// [`Kind::MissingNetlist`] if it was never run here, with the command that runs it.
pub fn latest_run(project: &Project, sweep: &str, tech: &str) -> Result<PathBuf> {
    let folder = project.results().join(sweep);
    let pointer = folder.join(format!("{tech}.latest"));
    let name = std::fs::read_to_string(&pointer).map_err(|_| {
        Problem::new(Kind::MissingNetlist, format!("sweep `{sweep}` has no results for `{tech}` yet"))
            .file(&folder)
            .help(format!("run `gaincell sweep {sweep} --tech {tech}` first"))
    })?;
    Ok(folder.join(name.trim()))
}

fn interrupted() -> Error {
    Problem::new(Kind::Interrupted, "interrupted; every finished point is saved")
        .help("start the same command again: it goes on where it was")
        .into()
}
