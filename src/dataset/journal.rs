//! The append-only log of one run: every row as it arrives, in whatever order.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::record::{self, Header};
use super::{Record, Row, Runtime};
use crate::error::{Error, Kind, Problem, Result};

/// The journal of a run, open for appending.
///
/// A row is one `write` to the file as soon as it is appended, so a killed process loses at most the record that it was
/// writing. Against power cuts the file is synced to disk once per [`Journal::SYNC_INTERVAL`] of appending and
/// at [`Journal::flush`].
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the good part [bytes].
    length: u64,
    last_sync: Instant,
    dirty: bool,
    /// A failed write that could not be taken back: nothing may be written behind it.
    broken: bool,
}

impl Journal {
    /// How long appended rows may wait for being synced to disk.
    pub const SYNC_INTERVAL: Duration = Duration::from_millis(1000);

    /// Opens the journal at `path` for the run of that `identity`, making it if it does not exist; returns it with the
    /// records that it holds, in the order written. A torn tail is cut off.
    ///
    /// # Errors
    /// [`Kind::DataDamaged`] if it is of another identity or schema version, or damaged before its tail;
    /// [`Kind::Io`] if it cannot be read or written.
    pub fn open(path: &Path, identity: &str) -> Result<(Journal, Vec<Record>)> {
        let header = record::header(identity);
        let loaded = load(path, identity)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| Error::io(path, "open the journal", error))?;
        let mut journal =
            Journal { path: path.into(), file, length: 0, last_sync: Instant::now(), dirty: false, broken: false };
        let records = match loaded {
            Some(loaded) => {
                journal.length = loaded.end as u64;
                journal.truncate()?;
                loaded.records
            }
            None => {
                journal.truncate()?;
                journal.write(&header)?;
                journal.flush()?;
                Vec::new()
            }
        };
        Ok((journal, records))
    }

    /// The records of a journal that may belong to a running process; nothing is written, a torn tail is passed over.
    /// A journal that does not exist has no records.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn read(path: &Path, identity: &str) -> Result<Vec<Record>> {
        Ok(load(path, identity)?.map(|loaded| loaded.records).unwrap_or_default())
    }

    /// Appends one row.
    ///
    /// # Errors
    /// [`Kind::Io`] if it cannot be written (disk full); what was written before stays good.
    pub fn append(&mut self, row: &Row, runtime: &Runtime) -> Result<()> {
        let bytes = record::encode(row, runtime)
            .map_err(|error| Error::new(Kind::Internal, format!("row {} cannot be encoded: {error}", row.index)))?;
        self.write(&bytes)?;
        if self.last_sync.elapsed() >= Self::SYNC_INTERVAL {
            self.flush()?;
        }
        Ok(())
    }

    /// Waits until everything appended is on disk.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn flush(&mut self) -> Result<()> {
        if self.dirty {
            self.file.sync_data().map_err(|error| Error::io(&self.path, "sync", error))?;
            self.dirty = false;
        }
        self.last_sync = Instant::now();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.broken {
            return Err(Error::io(&self.path, "append a row", "an earlier write failed half-way"));
        }
        if let Err(error) = self.file.write_all(bytes) {
            // Half a record in front of later ones would be damage in the middle.
            self.broken = self.truncate().is_err();
            return Err(Error::io(&self.path, "append a row", error));
        }
        self.length += bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }

    /// Cuts off whatever lies behind the good part.
    fn truncate(&mut self) -> Result<()> {
        self.file.set_len(self.length).map_err(|error| Error::io(&self.path, "cut off a torn record", error))
    }
}

/// The good part of a journal; `None` if there is no file yet or it ends inside its header.
fn load(path: &Path, identity: &str) -> Result<Option<record::Scan>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "read the journal", error)),
    };
    let damaged = |message: String| Problem::new(Kind::DataDamaged, message).file(path);
    let remedy = "move this run's directory away and run again: rows that are in the store are not simulated twice";
    let start = match record::read_header(&bytes) {
        Header::Torn => return Ok(None),
        Header::Good { identity: found, end } => {
            if identity != found {
                return Err(damaged("the journal belongs to another run".into()).help(remedy).into());
            }
            end
        }
        Header::OtherSchema(version) => {
            return Err(damaged(format!("the journal has schema version {version}"))
                .accepted(format!("schema version {}", record::SCHEMA))
                .help(format!("read it with the gaincell that wrote it, or {remedy}"))
                .into());
        }
        Header::Bad => return Err(damaged("not a journal, or its header is damaged".into()).help(remedy).into()),
    };
    let found = record::scan(&bytes, start);
    if let Some(at) = found.damaged_at.first() {
        let rows = found.records.len();
        return Err(damaged(format!("the journal is damaged at byte {at}; {rows} good rows are around it"))
            .help(remedy)
            .into());
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{row, runtime};
    use super::*;

    fn written(n: u64) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a journal");
        let (mut journal, found) = Journal::open(&path, "run").unwrap();
        assert!(found.is_empty());
        for index in 0..n {
            journal.append(&row(index), &runtime(index)).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn rows_come_back_and_more_can_be_appended_after_a_cut_at_any_byte() {
        let (_dir, path) = written(3);
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let whole = {
                let (mut journal, found) = Journal::open(&path, "run").unwrap();
                assert!(found.iter().enumerate().all(|(i, (r, t))| *r == row(i as u64) && *t == runtime(i as u64)));
                journal.append(&row(77), &runtime(77)).unwrap();
                found.len()
            };
            let (_, found) = Journal::open(&path, "run").unwrap();
            assert_eq!(found.len(), whole + 1, "cut at {cut}");
            assert_eq!(found[whole].0, row(77));
        }
    }

    #[test]
    fn damage_in_the_middle_is_told_and_the_file_left_alone() {
        let (_dir, path) = written(3);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = Journal::open(&path, "run").unwrap_err();
        assert_eq!(error.kind(), Kind::DataDamaged);
        assert!(error.to_string().contains("to do: move this run's directory away"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn another_schema_version_and_another_run_are_refused_by_name() {
        let (_dir, path) = written(1);
        assert_eq!(Journal::open(&path, "other").unwrap_err().kind(), Kind::DataDamaged);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 9;
        std::fs::write(&path, &bytes).unwrap();
        let error = Journal::open(&path, "run").unwrap_err();
        assert_eq!(error.kind(), Kind::DataDamaged);
        assert!(error.to_string().contains("schema version 9"), "{error}");
        assert!(error.to_string().contains("accepted: schema version 1"), "{error}");
    }

    #[test]
    fn a_reader_sees_the_rows_of_a_journal_that_is_being_written() {
        let (_dir, path) = written(2);
        let (mut journal, _) = Journal::open(&path, "run").unwrap();
        journal.append(&row(2), &runtime(2)).unwrap();
        assert_eq!(Journal::read(&path, "run").unwrap().len(), 3);
        let mut torn = std::fs::read(&path).unwrap();
        torn.truncate(torn.len() - 3);
        std::fs::write(&path, &torn).unwrap();
        assert_eq!(Journal::read(&path, "run").unwrap().len(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), torn, "a reader never writes");
    }
}
