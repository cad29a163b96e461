//! Every good point of a run, through plain ngspice: how many measurements come out the same, and how far the others are off.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde::Serialize;

use super::find::{file_of, plan_place};
use super::{AGREEMENT, Explained, StoredRow};
use crate::campaign::Progress;
use crate::dataset::{Dataset, Outcome, Row};
use crate::error::{Error, Kind, Problem, Result};
use crate::project::Project;
use crate::spec::SweepSpec;
use crate::tech::Technology;

/// Points that are named one by one.
const NAMED: usize = 20;

/// What a run came to in plain ngspice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedRun {
    /// Sweep.
    pub sweep: String,
    /// Technology.
    pub tech: String,
    /// The run's folder.
    pub run: PathBuf,
    /// Rows that ended `ok`, a guard's and those of relaxed tiers included.
    pub points: u64,
    /// Of them, those whose measurements are all equal bit for bit.
    pub equal: u64,
    /// Those that are not, but within [`AGREEMENT`].
    pub close: u64,
    /// Those of another identity: netlist, technology, sweep file or simulator have changed since.
    pub outdated: u64,
    /// Greatest relative difference of a measurement that both sides have.
    pub largest_relative_difference: f64,
    /// The first that are neither equal nor close, `<index> <column>: <how far>`; their decks are kept.
    pub off: Vec<String>,
    /// How many there are.
    pub points_off: u64,
}

/// One point's end.
enum Found {
    Equal,
    Close(f64),
    Off(f64, String),
    Outdated,
}

/// Runs the stand-alone deck of every `ok` row of the run in `run`, `threads` at once; decks of what is not within
/// [`AGREEMENT`] stay in `folder`. `tell` hears of every point and says whether to go on.
///
/// # Errors
/// [`Kind::Interrupted`] if `tell` said no; [`Kind::SimulatorUnavailable`] without the program `ngspice`; whatever is wrong
/// with the run, its sweep or its bench.
pub fn explain_run(
    project: &Project,
    run: &Path,
    folder: &Path,
    threads: usize,
    tell: &mut dyn FnMut(Progress) -> bool,
) -> Result<CheckedRun> {
    let dataset = Dataset::read(run)?;
    let (manifest, rows) = (dataset.manifest, dataset.rows);
    let tech = Technology::find(&manifest.tech, &project.technologies())?;
    let spec = SweepSpec::read_on(&file_of(project, &manifest)?, &project.benches(), &tech)?;
    let spec = spec.again(&manifest.steps, &tech)?;
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.outcome == Outcome::Ok).collect();
    let one = |row: &Row| {
        let stored = StoredRow { row: row.clone(), run: run.to_path_buf(), simulator: manifest.simulator.clone() };
        check(&spec, &tech, stored, &folder.join(row.index.to_string()))
    };
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut found: Vec<(u64, Found)> = Vec::new();
    let mut failure = None;
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next, rows, one) = (sender.clone(), &next, &rows, &one);
            scope.spawn(move || {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if sender.send((row.index, one(row))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut progress = Progress { planned: rows.len() as u64, done: 0, cached: 0, failed: 0, remaining_s: None };
        for (index, result) in receiver {
            match result {
                Ok(one) => {
                    progress.done += 1;
                    progress.failed += u64::from(matches!(one, Found::Off(..)));
                    found.push((index, one));
                    if tell(progress) {
                        continue;
                    }
                    failure = Some(Problem::new(Kind::Interrupted, "interrupted; nothing is kept of a check").into());
                }
                Err(error) => failure = Some(error),
            }
            // Threads end after the points that they are at: the receiver is gone.
            break;
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    found.sort_by_key(|(index, _)| *index);
    let count = |keep: &dyn Fn(&Found) -> bool| found.iter().filter(|(_, one)| keep(one)).count() as u64;
    let off = found.iter().filter_map(|(index, one)| match one {
        Found::Off(_, how) => Some(format!("{index} {how}")),
        _ => None,
    });
    let difference = |(_, one): &(u64, Found)| match one {
        Found::Close(difference) | Found::Off(difference, _) => *difference,
        Found::Equal | Found::Outdated => 0.0,
    };
    Ok(CheckedRun {
        sweep: spec.name.clone(),
        tech: tech.name.clone(),
        run: run.to_path_buf(),
        points: rows.len() as u64,
        equal: count(&|one| matches!(one, Found::Equal)),
        close: count(&|one| matches!(one, Found::Close(_))),
        outdated: count(&|one| matches!(one, Found::Outdated)),
        largest_relative_difference: found.iter().map(difference).fold(0.0, f64::max),
        off: off.take(NAMED).collect(),
        points_off: count(&|one| matches!(one, Found::Off(..))),
    })
}

/// One row through plain ngspice, in a folder that stays only if the two differ.
fn check(spec: &SweepSpec, tech: &Technology, stored: StoredRow, folder: &Path) -> Result<Found> {
    let place = plan_place(spec, tech, stored.row.index, Some(&stored.row))?;
    let Some((group, point)) = place.filter(|(g, p)| p.id(g, &tech.startup, &stored.simulator) == stored.row.id) else {
        return Ok(Found::Outdated);
    };
    let explained = Explained {
        spec: spec.clone(),
        tech: tech.clone(),
        group,
        point,
        startup: tech.startup.clone(),
        stored: Some(stored),
        outdated: None,
    };
    let explanation = explained.write(folder, true)?;
    let measured = explanation.measurements.iter().filter(|m| m.stored.is_some());
    let largest = measured.clone().filter_map(|m| m.relative_difference).fold(0.0, f64::max);
    let off = measured.clone().find(|m| m.relative_difference.is_none_or(|difference| difference > AGREEMENT));
    if let Some(off) = off {
        let how = off.relative_difference.map_or("missing in plain ngspice".into(), |d| format!("{d:.1e} relative"));
        return Ok(Found::Off(largest, format!("{}: {how}", off.column)));
    }
    let equal = measured.into_iter().all(|m| m.bit_for_bit);
    std::fs::remove_dir_all(folder).map_err(|source| Error::io(folder, "remove the folder", source))?;
    Ok(if equal { Found::Equal } else { Found::Close(largest) })
}
