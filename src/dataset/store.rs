//! Rows by identity across runs, so that no point is simulated twice: `results/.store/<deck>/<segment>.rows`.
//!
//! A segment is written by one process and read by all, so runs side by side need no lock. A damaged or torn record
//! is passed over: the store is a memory, and what it lost is simulated again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::manifest::write_atomically;
use super::record::{self, Header};
use super::{Outcome, PointId, Record, Row, Runtime};
use crate::error::{Error, Kind, Result};

/// Name of the deck's text in its folder.
pub(super) const DECK: &str = "deck.cir";

/// The stored rows of one deck.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    deck_hash: String,
    rows: BTreeMap<PointId, Record>,
    segment: Option<Segment>,
    passed_over: usize,
}

/// This process's own file; made when the first row is put in.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Store {
    /// Opens the rows of the deck with that hash, in the folder `results/.store`. Nothing is written yet.
    ///
    /// # Errors
    /// [`Kind::Io`] if a segment that is there cannot be read; [`Kind::Internal`] if the hash is no hash.
    pub fn open(store: &Path, deck_hash: &str) -> Result<Store> {
        if deck_hash.is_empty() || !deck_hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::new(Kind::Internal, format!("`{deck_hash}` is not a deck's hash")));
        }
        let folder = store.join(deck_hash);
        let mut rows = BTreeMap::new();
        let mut passed_over = 0;
        for path in segments(&folder)? {
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                // Cleaned away by another process since the folder was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(&path, "read stored rows", error)),
            };
            match record::read_header(&bytes) {
                Header::Good { identity, end } if identity == deck_hash => {
                    let found = record::scan(&bytes, end);
                    passed_over += found.damaged_at.len();
                    rows.extend(found.records.into_iter().map(|record| (record.0.id.clone(), record)));
                }
                Header::Torn => {}
                _ => passed_over += 1,
            }
        }
        Ok(Store { folder, deck_hash: deck_hash.into(), rows, segment: None, passed_over })
    }

    /// The row stored under that identity. Only good rows are ever stored, so a failure is always tried again.
    pub fn get(&self, id: &PointId) -> Option<&Row> {
        self.rows.get(id).map(|(row, _)| row)
    }

    /// How the row stored under that identity was simulated.
    pub fn runtime(&self, id: &PointId) -> Option<&Runtime> {
        self.rows.get(id).map(|(_, runtime)| runtime)
    }

    /// The stored row as a row of the run at hand: identity, tier and measurements are the stored ones; place, values
    /// and labels are those of the point as this run's design states it.
    pub fn serve(
        &self,
        id: &PointId,
        index: u64,
        values: &BTreeMap<String, f64>,
        labels: &BTreeMap<String, String>,
    ) -> Option<Record> {
        let (stored, runtime) = self.rows.get(id)?;
        let row = Row { index, values: values.clone(), labels: labels.clone(), ..stored.clone() };
        Some((row, Runtime { wall_s: 0.0, cached: true, ..runtime.clone() }))
    }

    /// Stores a good row, at once; failures, and rows that are stored already, are passed over.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn insert(&mut self, row: &Row, runtime: &Runtime) -> Result<()> {
        if row.outcome != Outcome::Ok || self.rows.contains_key(&row.id) {
            return Ok(());
        }
        let bytes = record::encode(row, runtime)
            .map_err(|error| Error::new(Kind::Internal, format!("row {} cannot be encoded: {error}", row.index)))?;
        if self.segment.is_none() {
            self.segment = Some(Segment::create(&self.folder, &self.deck_hash)?);
        }
        if let Some(segment) = &mut self.segment {
            segment.append(&bytes)?;
        }
        self.rows.insert(row.id.clone(), (row.clone(), runtime.clone()));
        Ok(())
    }

    /// Keeps the deck's text beside its rows, for whoever asks later what was simulated.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn keep_deck(&self, lines: &[String]) -> Result<()> {
        let path = self.folder.join(DECK);
        if path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| Error::io(&self.folder, "make the store's folder", error))?;
        write_atomically(&path, (lines.join("\n") + "\n").as_bytes())
    }

    /// The text of the deck with that hash, where it was [kept](Store::keep_deck).
    pub fn deck(store: &Path, deck_hash: &str) -> Option<String> {
        let is_hash = !deck_hash.is_empty() && deck_hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_hash.then(|| std::fs::read_to_string(store.join(deck_hash).join(DECK)).ok()).flatten()
    }

    /// How many rows are stored.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is stored.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many damaged records and foreign files were passed over; what they held is simulated again.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// Waits until every row put in is on disk.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn flush(&mut self) -> Result<()> {
        match &self.segment {
            Some(segment) => segment.file.sync_data().map_err(|error| Error::io(&segment.path, "sync", error)),
            None => Ok(()),
        }
    }
}

impl Segment {
    /// Makes a segment that no other process has.
    fn create(folder: &Path, deck_hash: &str) -> Result<Segment> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "make the store's folder", error))?;
        for attempt in 0.. {
            // Process ids come again, after a while and on other machines that share the folder.
            let path = folder.join(format!("{}-{attempt}.rows", std::process::id()));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut segment = Segment { path, file, length: 0 };
                    segment.append(&record::header(deck_hash))?;
                    return Ok(segment);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(&path, "make a store segment", error)),
            }
        }
        Err(Error::new(Kind::Internal, "the store has every possible segment"))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // A half record behind which others follow would only be passed over; a shorter file is tidier.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path, "store a row", error));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// The segments of a deck, sorted; none if the folder does not exist.
fn segments(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder, "list stored rows", error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::io(folder, "list stored rows", error))?.path();
        if path.extension().is_some_and(|extension| extension == "rows") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{row, runtime};
    use super::*;

    #[test]
    fn good_rows_are_served_to_later_runs_and_failures_never() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), "dec0").unwrap();
        assert!(store.is_empty() && !dir.path().join("dec0").exists());
        for index in 0..10 {
            store.insert(&row(index), &runtime(index)).unwrap();
        }
        let missing = Row { outcome: Outcome::MeasurementMissing, ..row(11) };
        store.insert(&missing, &runtime(11)).unwrap();
        store.flush().unwrap();
        let later = Store::open(dir.path(), "dec0").unwrap();
        assert_eq!(later.len(), 8);
        assert_eq!(later.get(&row(3).id), Some(&row(3)));
        assert_eq!(later.get(&row(4).id), None);
        assert_eq!(later.get(&row(11).id), None);
        assert!(Store::open(dir.path(), "dec1").unwrap().is_empty());
    }

    #[test]
    fn a_served_row_takes_its_place_in_the_new_design() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), "dec0").unwrap();
        store.insert(&row(3), &runtime(3)).unwrap();
        let values = BTreeMap::from([("v_in_v".to_string(), 0.5)]);
        let (served, how) = store.serve(&row(3).id, 42, &values, &BTreeMap::new()).unwrap();
        assert_eq!(served, Row { index: 42, values, labels: BTreeMap::new(), ..row(3) });
        assert_eq!(how, Runtime { wall_s: 0.0, cached: true, ..runtime(3) });
    }

    #[test]
    fn two_runs_at_once_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for first in 0..2 {
                let folder = dir.path();
                scope.spawn(move || {
                    let mut store = Store::open(folder, "dec0").unwrap();
                    for index in (0..200).filter(|index| index % 3 != first) {
                        store.insert(&row(index), &runtime(index)).unwrap();
                    }
                });
            }
        });
        let later = Store::open(dir.path(), "dec0").unwrap();
        let expected: Vec<u64> = (0..200).filter(|index| row(*index).outcome == Outcome::Ok).collect();
        assert_eq!(later.len(), expected.len());
        assert!(expected.iter().all(|index| later.get(&row(*index).id) == Some(&row(*index))));
        assert_eq!(later.passed_over(), 0);
    }

    #[test]
    fn torn_damaged_and_foreign_segments_cost_only_what_they_lost() {
        let dir = tempfile::tempdir().unwrap();
        for first in [0, 10] {
            let mut store = Store::open(dir.path(), "dec0").unwrap();
            for index in first..first + 4 {
                store.insert(&row(index), &runtime(index)).unwrap();
            }
        }
        let files = segments(&dir.path().join("dec0")).unwrap();
        assert_eq!(files.len(), 2);
        let mut damaged = std::fs::read(&files[0]).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        std::fs::write(&files[0], &damaged).unwrap();
        let torn = std::fs::read(&files[1]).unwrap();
        std::fs::write(&files[1], &torn[..torn.len() - 1]).unwrap();
        std::fs::write(dir.path().join("dec0/foreign.rows"), "not ours").unwrap();
        std::fs::write(dir.path().join("dec0/newborn.rows"), &record::header("dec0")[..9]).unwrap();
        let store = Store::open(dir.path(), "dec0").unwrap();
        assert_eq!(store.len(), 3 + 3);
        assert_eq!(store.passed_over(), 2);
    }
}
