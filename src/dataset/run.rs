//! A run: one sweep's directory, from the first point to its tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::manifest::write_atomically;
use super::parquet::{POINTS, RUNTIME, encode_points, encode_runtime};
use super::{FileSeal, Journal, Lock, Manifest, Record, Row, Runtime, Status, Value};
use crate::error::{Error, Kind, Problem, Result};

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const JOURNAL: &str = "journal.rows";
const LOCK: &str = "lock";
const LOGS: &str = "logs";

/// A run that this process works on. Dropped without [`Run::finish`], it stays `running` on disk, and the next process
/// goes on where the journal ends.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    manifest: Manifest,
    journal: Journal,
    rows: BTreeMap<u64, Record>,
    opened: Instant,
    _lock: Lock,
}

impl Run {
    /// Opens the run in `dir`, making it if there is none; if a run of the same [identity](Manifest::identity) is there,
    /// goes on with it: [`Run::rows`] holds what it has. Of `manifest`, state (status, counts, files, wall time) is
    /// ignored.
    ///
    /// # Errors
    /// [`Kind::RunLocked`] if another process works on it; [`Kind::DataDamaged`] if its journal or manifest is damaged,
    /// of another schema version, or that of another run (see [`Run::open_or_replace`]); [`Kind::SpecKey`] if two columns have one
    /// name; [`Kind::Io`].
    pub fn open_or_resume(dir: &Path, manifest: Manifest) -> Result<Run> {
        Run::open(dir, manifest, false)
    }

    /// As [`Run::open_or_resume`], but a run of another identity, or a damaged one, is taken away and started anew.
    /// Its good rows are in the store if it had one.
    ///
    /// # Errors
    /// [`Kind::RunLocked`], [`Kind::SpecKey`], [`Kind::Io`].
    pub fn open_or_replace(dir: &Path, manifest: Manifest) -> Result<Run> {
        Run::open(dir, manifest, true)
    }

    fn open(dir: &Path, manifest: Manifest, replace: bool) -> Result<Run> {
        manifest.check_columns()?;
        std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, "make the run's directory", error))?;
        let lock = Lock::acquire(&dir.join(LOCK))?;
        let fresh = Manifest { schema: Manifest::SCHEMA, status: Status::Running, wall_s: 0.0, ..manifest };
        let (manifest, journal, records) = match resume(dir, &fresh) {
            Ok(resumed) => resumed,
            Err(error) if replace && error.kind() == Kind::DataDamaged => {
                for name in [MANIFEST, JOURNAL, POINTS, RUNTIME] {
                    remove(&dir.join(name))?;
                }
                resume(dir, &fresh)?
            }
            Err(error) => return Err(error),
        };
        // A point may have been tried again after a later start: its last row counts.
        let rows = records.into_iter().map(|record| (record.0.index, record)).collect();
        Ok(Run { dir: dir.into(), manifest, journal, rows, opened: Instant::now(), _lock: lock })
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The run's manifest; counts and files are those of the last [`Run::finish`].
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The rows so far, by index.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.values().map(|(row, _)| row)
    }

    /// The row at that place in the design, if the point has one.
    pub fn row(&self, index: u64) -> Option<&Row> {
        self.rows.get(&index).map(|(row, _)| row)
    }

    /// How the row of that index was made.
    pub fn runtime(&self, index: u64) -> Option<&Runtime> {
        self.rows.get(&index).map(|(_, runtime)| runtime)
    }

    /// Appends one row to the journal. A second row of the same index takes the first one's place.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the row has a column that the manifest does not state; [`Kind::Io`].
    pub fn append(&mut self, row: Row, runtime: Runtime) -> Result<()> {
        check(&self.manifest, &row)?;
        self.journal.append(&row, &runtime)?;
        self.rows.insert(row.index, (row, runtime));
        Ok(())
    }

    /// Gives the row of that index other labels; nothing if it has them already or there is no such row.
    ///
    /// # Errors
    /// As [`Run::append`].
    pub fn relabel(&mut self, index: u64, labels: BTreeMap<String, String>) -> Result<()> {
        let Some((row, runtime)) = self.rows.get(&index).filter(|(row, _)| row.labels != labels) else { return Ok(()) };
        let (row, runtime) = (Row { labels, ..row.clone() }, runtime.clone());
        self.append(row, runtime)
    }

    /// Waits until every row appended is on disk.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn flush(&mut self) -> Result<()> {
        self.journal.flush()
    }

    /// Says how many points the design has, if that was not known at the beginning (adaptive sweeps).
    pub fn set_planned(&mut self, planned: u64) {
        self.manifest.planned = planned;
    }

    /// The folder for what workers say, made on the first call.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn logs(&self) -> Result<PathBuf> {
        let logs = self.dir.join(LOGS);
        std::fs::create_dir_all(&logs).map_err(|error| Error::io(&logs, "make the folder", error))?;
        Ok(logs)
    }

    /// Writes both tables and then the manifest, each at once or not at all, and lets go of the run. Returns the final
    /// manifest. Built without the cargo feature `dataset`, it writes no tables; readers then use the journal.
    ///
    /// # Errors
    /// [`Kind::Io`]; [`Kind::Internal`] if the tables cannot be encoded. The journal holds every row even then.
    pub fn finish(mut self, status: Status) -> Result<Manifest> {
        self.journal.flush()?;
        let mut manifest = self.manifest.clone();
        manifest.status = status;
        manifest.count_rows(self.rows());
        manifest.cached = self.rows.values().filter(|(_, runtime)| runtime.cached).count() as u64;
        manifest.wall_s += self.opened.elapsed().as_secs_f64();
        manifest.files.clear();
        if cfg!(feature = "dataset") {
            let rows: Vec<&Row> = self.rows().collect();
            let runtimes: Vec<(u64, &Runtime)> = self.rows.iter().map(|(index, (_, r))| (*index, r)).collect();
            for (name, bytes) in
                [(POINTS, encode_points(&manifest, &rows)?), (RUNTIME, encode_runtime(&manifest, &runtimes)?)]
            {
                write_atomically(&self.dir.join(name), &bytes)?;
                manifest.files.insert(name.into(), FileSeal::of(&bytes));
            }
        }
        manifest.write(&self.dir.join(MANIFEST))?;
        Ok(manifest)
    }
}

/// The run of that identity in `dir`, or a new one; its manifest on disk says `running`.
fn resume(dir: &Path, fresh: &Manifest) -> Result<(Manifest, Journal, Vec<Record>)> {
    let path = dir.join(MANIFEST);
    let mut manifest = fresh.clone();
    if path.exists() {
        let found = Manifest::read(&path)?;
        if found.identity() != fresh.identity() {
            let message = format!("the directory holds another run (sweep `{}`, {})", found.sweep, found.profile);
            return Err(Problem::new(Kind::DataDamaged, message)
                .file(dir)
                .accepted("a run of the same sweep, decks, technology, simulator, seed and measurements")
                .help("give this run another name, or start this one afresh")
                .into());
        }
        manifest = Manifest { wall_s: found.wall_s, counts: found.counts, cached: found.cached, ..manifest };
    }
    // The manifest goes first: a journal without one would belong to nobody.
    manifest.write(&path)?;
    let (journal, records) = Journal::open(&dir.join(JOURNAL), &manifest.identity())?;
    Ok((manifest, journal, records))
}

fn check(manifest: &Manifest, row: &Row) -> Result<()> {
    let stray = |kind: &str, name: &str| {
        Error::new(
            Kind::Internal,
            format!("row {} has the {kind} `{name}`, which the manifest does not state", row.index),
        )
    };
    for name in row.values.keys() {
        if !manifest.values.iter().any(|column| column.name == *name) {
            return Err(stray("value", name));
        }
    }
    for name in row.labels.keys() {
        if !manifest.labels.contains(name) {
            return Err(stray("label", name));
        }
    }
    for (name, value) in &row.measured {
        let stated = manifest.measurements.iter().find(|measurement| measurement.name == *name);
        let fits = stated.is_some_and(|stated| stated.curve_at.is_some() == matches!(value, Value::Curve(_)));
        if !fits {
            return Err(stray("measurement", name));
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(path, "remove", error)),
    }
}

#[cfg(test)]
mod tests;
