//! One sweep from its plan to its rows: what is stored is served, the rest is simulated, everything is journalled.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::dataset::{Column, Dataset, Manifest, MeasuredColumn, Outcome, PointId, Run, Runtime, Status, Store};
use crate::error::{Error, Kind, Problem, Result};
use crate::measure::How;
use crate::netlist::locate;
use crate::project::Project;
use crate::simulate::{Answer, Circuit, Job, Simulator};
use crate::spec::SweepSpec;
use crate::sweep::{Group, Plan, SET_LABEL};
use crate::tech::Technology;

/// What a sweep run came to.
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
    /// Rows that ended `ok`.
    pub ok: u64,
    /// Rows that ended otherwise.
    pub failed: u64,
    /// Rows that came from earlier runs.
    pub cached: u64,
    /// Wall time of this run [s].
    pub wall_s: f64,
}

/// How far a sweep has come; told after every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Points of the design.
    pub planned: u64,
    /// Rows so far, stored ones included.
    pub done: u64,
    /// Rows that were stored already.
    pub cached: u64,
    /// Rows that did not end `ok`.
    pub failed: u64,
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
    let started = std::time::Instant::now();
    let plan = Plan::new(spec, tech)?;
    let identity = simulator.identity()?;
    let manifest = manifest(spec, tech, profile, &plan, &identity);
    let folder = project.results().join(&spec.name);
    let run_name = format!("{}-{}", tech.name, &manifest.identity()[..8]);
    let dir = folder.join(&run_name);
    let mut run = Run::open_or_replace(&dir, manifest)?;
    let mut progress = Progress { planned: plan.len() as u64, done: 0, cached: 0, failed: 0 };
    let mut outcome = Ok(());
    for group in &plan.groups {
        let mut store = Store::open(&project.results().join(".store"), &group.circuit.key)?;
        outcome = run_group(&plan, group, spec, &identity, simulator, &mut run, &mut store, &mut progress, tell);
        store.flush()?;
        if outcome.is_err() {
            break;
        }
    }
    let status = if outcome.is_ok() { Status::Complete } else { Status::Interrupted };
    run.finish(status)?;
    outcome?;
    let pointer = folder.join(format!("{}.latest", tech.name));
    std::fs::write(&pointer, format!("{run_name}\n")).map_err(|source| Error::io(&pointer, "write", source))?;
    let dataset = Dataset::read(&dir)?;
    let summary = SweepSummary {
        name: spec.name.clone(),
        tech: tech.name.clone(),
        cell: spec.cell.clone(),
        points: progress.planned,
        ok: progress.done - progress.failed,
        failed: progress.failed,
        cached: progress.cached,
        wall_s: started.elapsed().as_secs_f64(),
    };
    Ok((summary, dataset))
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

#[allow(clippy::too_many_arguments)]
pub(super) fn run_group(
    plan: &Plan,
    group: &Group,
    spec: &SweepSpec,
    identity: &str,
    simulator: &mut dyn Simulator,
    run: &mut Run,
    store: &mut Store,
    progress: &mut Progress,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<()> {
    let ids: Vec<PointId> = group.points.iter().map(|point| point.id(group, &plan.startup, identity)).collect();
    let mut jobs = Vec::new();
    for (ticket, (point, id)) in group.points.iter().zip(&ids).enumerate() {
        let have = run.row(point.row.index).is_some_and(|row| row.id == *id && row.outcome == Outcome::Ok);
        let served = store.serve(id, point.row.index, &point.row.values, &point.row.labels);
        if have {
            progress.done += 1;
            progress.cached += 1;
        } else if let Some((row, runtime)) = served {
            run.append(row, runtime)?;
            progress.done += 1;
            progress.cached += 1;
        } else {
            jobs.push(Job {
                ticket: ticket as u64,
                alters: point.alters.clone(),
                analysis: point.analysis.clone(),
                t_stop_s: point.t_stop_s,
                signals: group.signals.clone(),
                measurements: point.measurements.clone(),
                values: point.row.values.clone(),
                keep_waveform: false,
                max_time_points: spec.limits.time_points,
                wall_limit_s: spec.limits.wall_s,
            });
        }
    }
    let mut go_on = tell(*progress);
    if jobs.is_empty() || !go_on {
        return if go_on { Ok(()) } else { Err(interrupted()) };
    }
    let circuit =
        Circuit { key: group.circuit.key.clone(), lines: group.circuit.lines.clone(), startup: plan.startup.clone() };
    let mut failure = None;
    let result = simulator.run(&circuit, &jobs, &mut |answer: Answer| {
        let index = answer.ticket as usize;
        let row = group.points[index].row(ids[index].clone(), answer.outcome, answer.measured, answer.message);
        let runtime = Runtime {
            id: ids[index].clone(),
            worker: answer.worker,
            wall_s: answer.wall_s,
            time_points: answer.time_points,
            cached: false,
            finished_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()),
        };
        progress.done += 1;
        progress.failed += u64::from(answer.outcome != Outcome::Ok);
        if let Err(error) = store.insert(&row, &runtime).and_then(|()| run.append(row, runtime)) {
            failure = Some(error);
            return false;
        }
        go_on = tell(*progress);
        go_on
    });
    if let Some(error) = failure {
        return Err(error);
    }
    result.map_err(|error| locate(error, &group.circuit.origins))?;
    if go_on { Ok(()) } else { Err(interrupted()) }
}

fn interrupted() -> Error {
    Problem::new(Kind::Interrupted, "interrupted; every finished point is saved")
        .help("start the same command again: it goes on where it was")
        .into()
}

pub(super) fn manifest(spec: &SweepSpec, tech: &Technology, profile: &str, plan: &Plan, identity: &str) -> Manifest {
    let first = plan.groups.iter().flat_map(|group| &group.points).next();
    let mut manifest = Manifest::new(spec.name.clone(), profile);
    manifest.sweep_hash = spec.hash.clone();
    manifest.decks = plan.groups.iter().enumerate().map(|(k, g)| (format!("{k:04}"), g.circuit.key.clone())).collect();
    manifest.tech = tech.name.clone();
    manifest.cell = spec.cell.clone();
    manifest.simulator = identity.to_string();
    manifest.seed = spec.mismatch.as_ref().map_or(0, |mismatch| mismatch.seed);
    manifest.commit = commit(&spec.file);
    manifest.values = first.map_or_else(Vec::new, |point| {
        point.row.values.keys().map(|name| Column::new(name.clone(), unit_of(spec, name))).collect()
    });
    manifest.labels = vec![SET_LABEL.to_string()];
    manifest.measurements = first.map_or_else(Vec::new, |point| {
        let column = |m: &crate::measure::Measurement| MeasuredColumn {
            name: m.column.clone(),
            unit: m.unit.symbol().to_string(),
            curve_at: if let How::Sample { at, .. } = &m.how { Some(at.clone()) } else { None },
            definition: serde_json::to_value(&m.how).unwrap_or_default(),
        };
        point.measurements.iter().map(column).collect()
    });
    manifest.planned = plan.len() as u64;
    manifest
}

fn unit_of(spec: &SweepSpec, column: &str) -> &'static str {
    let swept = spec.parameters.iter().find(|p| p.column() == column).map(|p| p.unit.symbol());
    swept.unwrap_or(if column.ends_with("_v") { "V" } else { "1" })
}

/// The commit of the repository around `file`, read from its files; no program is run.
pub fn commit(file: &Path) -> Option<String> {
    let file = std::fs::canonicalize(file).ok()?;
    let git = file.ancestors().map(|dir| dir.join(".git")).find(|git| git.join("HEAD").is_file())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    match head.trim().strip_prefix("ref: ") {
        None => Some(head.trim().to_string()),
        Some(reference) => {
            let loose = std::fs::read_to_string(git.join(reference)).ok().map(|hash| hash.trim().to_string());
            loose.or_else(|| {
                let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
                let line = packed.lines().find(|line| line.ends_with(reference))?;
                line.split_whitespace().next().map(str::to_string)
            })
        }
    }
}
