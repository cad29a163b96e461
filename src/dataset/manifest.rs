//! What a run is and what made it: `manifest.json`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Outcome, Row};
use crate::error::{Error, Kind, Problem, Result};

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A process works on it, or died without saying so: only the journal holds its rows.
    Running,
    /// Every planned point has its row.
    Complete,
    /// Stopped by the user; what was finished is saved.
    Interrupted,
}

/// A swept number, as a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Column name, with unit suffix.
    pub name: String,
    /// Symbol of the base unit that its numbers are in, as [`crate::units::Unit::symbol`] gives it.
    pub unit: String,
}

impl Column {
    /// A column of that name and unit symbol.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Column {
        Column { name: name.into(), unit: unit.into() }
    }
}

/// A measurement, as a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredColumn {
    /// Column name, with unit suffix.
    pub name: String,
    /// Symbol of the base unit.
    pub unit: String,
    /// For a curve, the axis values that it is sampled at, in the axis' base unit; `None` for a scalar.
    pub curve_at: Option<Vec<f64>>,
    /// How it is made, as the sweep defines it.
    pub definition: serde_json::Value,
}

/// Size and content of a file of the run, so that damage and edits are seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSeal {
    /// Length [bytes].
    pub bytes: u64,
    /// BLAKE3 of the content, hexadecimal.
    pub blake3: String,
}

impl FileSeal {
    /// The seal of a file with that content.
    pub fn of(content: &[u8]) -> FileSeal {
        FileSeal { bytes: content.len() as u64, blake3: blake3::hash(content).to_hex().to_string() }
    }
}

/// A run's provenance, columns and state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file's layout.
    pub schema: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// Name in the sweep's file, where a variant has a name of its own.
    #[serde(default)]
    pub variant_of: Option<String>,
    /// What the variant changes, in order.
    #[serde(default)]
    pub steps: Vec<String>,
    /// Which of the sweep's designs: `quick`, `full`.
    pub profile: String,
    /// How far the run has come.
    pub status: Status,
    /// Hash of the sweep file.
    pub sweep_hash: String,
    /// Hash of each deck, by a name that tells it from the others (bench and corner).
    pub decks: BTreeMap<String, String>,
    /// Technology.
    pub tech: String,
    /// Hash of the technology's own file: supply, temperature and mismatch constants are in no deck.
    #[serde(default)]
    pub tech_hash: String,
    /// Cell.
    pub cell: String,
    /// Name, version and file hash of the simulator.
    pub simulator: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Commit of the project's repository, if it has one.
    pub commit: Option<String>,
    /// Version of gaincell.
    pub gaincell: String,
    /// Swept numbers.
    pub values: Vec<Column>,
    /// Swept names that are not numbers.
    pub labels: Vec<String>,
    /// Measurements.
    pub measurements: Vec<MeasuredColumn>,
    /// Change from which a guarded measurement counts as moved, relative; `None` without a guard.
    #[serde(default)]
    pub guard_tolerance: Option<f64>,
    /// Points of the design.
    pub planned: u64,
    /// Rows by the name of their outcome, every outcome named.
    pub counts: BTreeMap<String, u64>,
    /// Rows that came from the store of earlier runs.
    pub cached: u64,
    /// Wall time spent on the run, over all its starts [s].
    pub wall_s: f64,
    /// Files written at the end, by name.
    pub files: BTreeMap<String, FileSeal>,
}

impl Manifest {
    /// Version of `manifest.json` that is written and read.
    pub const SCHEMA: u32 = 1;

    /// A manifest of that sweep and profile with nothing else said yet.
    pub fn new(sweep: impl Into<String>, profile: impl Into<String>) -> Manifest {
        Manifest {
            schema: Self::SCHEMA,
            sweep: sweep.into(),
            variant_of: None,
            steps: Vec::new(),
            profile: profile.into(),
            status: Status::Running,
            sweep_hash: String::new(),
            decks: BTreeMap::new(),
            tech: String::new(),
            tech_hash: String::new(),
            cell: String::new(),
            simulator: String::new(),
            seed: 0,
            commit: None,
            gaincell: env!("CARGO_PKG_VERSION").into(),
            values: Vec::new(),
            labels: Vec::new(),
            measurements: Vec::new(),
            guard_tolerance: None,
            planned: 0,
            counts: count([]),
            cached: 0,
            wall_s: 0.0,
            files: BTreeMap::new(),
        }
    }

    /// What decides whether two runs are the same run: everything that decides what its points are and what is measured
    /// on them. Commit, version of gaincell, status, counts and times do not.
    pub fn identity(&self) -> String {
        let decides = serde_json::json!([
            self.schema,
            self.sweep,
            self.profile,
            self.sweep_hash,
            self.decks,
            self.tech,
            self.tech_hash,
            self.cell,
            self.simulator,
            self.seed,
            self.values,
            self.labels,
            self.measurements,
        ]);
        blake3::hash(decides.to_string().as_bytes()).to_hex()[..32].to_string()
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// [`Kind::DataDamaged`] if it is no manifest or one of another schema version; [`Kind::Io`].
    pub fn read(path: &Path) -> Result<Manifest> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, "read the manifest", error))?;
        let damaged = |message: String| {
            Problem::new(Kind::DataDamaged, message).file(path).help(
                "move this run's directory away and run again: rows that are in the store are not simulated twice",
            )
        };
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| damaged(format!("the manifest is damaged: {error}")))?;
        match json.get("schema").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(Self::SCHEMA) => {}
            Some(version) => {
                return Err(damaged(format!("the manifest has schema version {version}"))
                    .key("schema")
                    .accepted(format!("schema version {}", Self::SCHEMA))
                    .into());
            }
            None => return Err(damaged("the manifest has no schema version".into()).key("schema").into()),
        }
        serde_json::from_value(json).map_err(|error| damaged(format!("the manifest is damaged: {error}")).into())
    }

    /// Writes `path`, at once or not at all.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(Kind::Internal, format!("the manifest cannot be encoded: {error}")))?;
        text.push('\n');
        write_atomically(path, text.as_bytes())
    }

    /// Refuses columns that could not be told apart in a table.
    ///
    /// # Errors
    /// [`Kind::SpecKey`], one problem per name.
    pub fn check_columns(&self) -> Result<()> {
        let names = (self.values.iter().map(|column| &column.name))
            .chain(&self.labels)
            .chain(self.measurements.iter().map(|column| &column.name));
        let mut seen: std::collections::BTreeSet<&str> = RESERVED_COLUMNS.into_iter().collect();
        let problems = names.filter(|name| !seen.insert(name.as_str())).map(|name| {
            let message =
                format!("sweep `{}` has two columns of this name, or the name is the table's own", self.sweep);
            Problem::new(Kind::SpecKey, message)
                .key(name.clone())
                .accepted(format!("names that differ from each other and from {}", RESERVED_COLUMNS.join(", ")))
                .help("rename the parameter or the measurement")
        });
        Error::collect(problems.collect()).map_or(Ok(()), Err)
    }

    /// Counts `rows` by outcome.
    pub fn count_rows<'a>(&mut self, rows: impl IntoIterator<Item = &'a Row>) {
        self.counts = count(rows);
    }
}

/// Names that a table of points has of its own.
pub(super) const RESERVED_COLUMNS: [&str; 5] = ["id", "index", "outcome", "tier", "message"];

/// Rows by the name of their outcome, every outcome named.
pub(super) fn count<'a>(rows: impl IntoIterator<Item = &'a Row>) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = Outcome::ALL.iter().map(|o| (o.name().to_string(), 0)).collect();
    for row in rows {
        *counts.entry(row.outcome.name().to_string()).or_default() += 1;
    }
    counts
}

/// Puts `bytes` under `path`: whoever looks sees the old file or the new one, never a part.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    write().map_err(|error: std::io::Error| Error::io(path, "write", error))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{manifest, row};
    use super::*;

    #[test]
    fn a_manifest_comes_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        let mut written = manifest();
        written.count_rows(&[row(0), row(4)]);
        written.write(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), written);
        assert_eq!((written.counts["ok"], written.counts["nonconvergence"], written.counts["crash"]), (1, 1, 0));
    }

    #[test]
    fn another_schema_version_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        std::fs::write(&path, r#"{"schema": 2, "unheard_of": true}"#).unwrap();
        let error = Manifest::read(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::DataDamaged);
        assert!(error.to_string().contains("schema version 2\n  accepted: schema version 1"), "{error}");
        std::fs::write(&path, r#"{"schema": 1"#).unwrap();
        assert_eq!(Manifest::read(&path).unwrap_err().kind(), Kind::DataDamaged);
    }

    #[test]
    fn identity_follows_what_decides_the_numbers_and_nothing_else() {
        let same = Manifest { commit: Some("c0ffee".into()), status: Status::Complete, wall_s: 3.0, ..manifest() };
        assert_eq!(same.identity(), manifest().identity());
        let mut others = vec![manifest(); 4];
        others[0].seed = 8;
        others[1].decks.insert("bench".into(), "dec1".into());
        others[2].measurements[1].curve_at = Some(vec![0.0, 1e-3, 2e-2]);
        others[3].simulator = "ngspice-45".into();
        for other in others {
            assert_ne!(other.identity(), manifest().identity());
        }
    }

    #[test]
    fn columns_that_could_be_confused_are_refused_all_at_once() {
        assert!(manifest().check_columns().is_ok());
        let mut wrong = manifest();
        wrong.labels.push("v_in_v".into());
        wrong.values.push(Column::new("tier", "1"));
        let error = wrong.check_columns().unwrap_err();
        let keys: Vec<_> = error.problems().iter().filter_map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, ["tier", "v_in_v"]);
    }
}
