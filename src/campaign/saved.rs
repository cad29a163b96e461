//! What stages leave for each other: `results/models/<tech>.json`, `results/validation/<tech>.json`, `results/summary.json`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::models::Models;
use super::rows::Datasets;
use crate::error::{Error, Kind, Problem, Result};
use crate::project::Project;

/// Version of the files' layout.
const SCHEMA: u32 = 1;

/// Fitted models and the runs that they come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedModels {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of gaincell that fitted them: another version fits anew.
    pub gaincell: String,
    /// Identity of each sweep's run.
    pub runs: BTreeMap<String, String>,
    /// The models.
    pub models: Models,
}

impl SavedModels {
    /// The models of these datasets.
    pub fn new(models: Models, datasets: &Datasets) -> SavedModels {
        SavedModels { schema: SCHEMA, gaincell: version(), runs: runs(datasets), models }
    }

    /// Do they come from just these datasets, and from this version of the fits?
    pub fn fits(&self, datasets: &Datasets) -> bool {
        self.runs == runs(datasets) && self.gaincell == version()
    }
}

/// The version and the running program's own content: a fit that was changed in between is not reused.
fn version() -> String {
    let program =
        std::env::current_exe().and_then(std::fs::read).map(|bytes| blake3::hash(&bytes).to_hex()[..16].to_string());
    format!("{} {}", env!("CARGO_PKG_VERSION"), program.unwrap_or_default())
}

fn runs(datasets: &Datasets) -> BTreeMap<String, String> {
    let rows = |name: &String, set: &crate::dataset::Dataset| {
        (name.clone(), format!("{} {}", set.manifest.identity(), set.rows.len()))
    };
    datasets.iter().map(|(name, set)| rows(name, set)).collect()
}

/// Where the models of a technology are.
pub fn models_path(project: &Project, tech: &str) -> PathBuf {
    project.results().join("models").join(format!("{tech}.json"))
}

/// Where the validation of a technology is.
pub fn validation_path(project: &Project, tech: &str) -> PathBuf {
    project.results().join("validation").join(format!("{tech}.json"))
}

/// Where every element of the last validation on mismatch dies is.
pub fn validation_dies_path(project: &Project, tech: &str) -> PathBuf {
    project.results().join("validation").join(format!("{tech}-dies.json"))
}

/// Where the last error budget is.
pub fn budget_path(project: &Project, tech: &str) -> PathBuf {
    project.results().join("validation").join(format!("{tech}-budget.json"))
}

/// Where the last populations of dies are.
pub fn population_path(project: &Project, tech: &str) -> PathBuf {
    project.results().join("validation").join(format!("{tech}-population.json"))
}

/// Where the comparison of a whole sub-tile with its columns is.
pub fn subtile_path(project: &Project, tech: &str) -> PathBuf {
    project.results().join("validation").join(format!("{tech}-subtile.json"))
}

/// The lookup table's folder.
pub fn table_folder(project: &Project, tech: &str) -> PathBuf {
    project.luts().join(format!("{tech}-gain_cell_6t"))
}

/// Writes `value` as JSON, atomically.
///
/// # Errors
/// [`Kind::Io`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| Error::new(Kind::Internal, format!("cannot encode {}: {source}", path.display())))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, "create the folder", source))?;
    }
    let write = || -> std::io::Result<()> {
        let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.commit()
    };
    write().map_err(|source| Error::io(path, "write", source))
}

/// Reads what a stage left; `stage` is the command that makes it.
///
/// # Errors
/// [`Kind::MissingNetlist`] with that command if the file is not there; [`Kind::DataDamaged`] if it cannot be read.
pub fn read_json<T: DeserializeOwned>(path: &Path, stage: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|_| {
        Problem::new(Kind::MissingNetlist, "this file is not there yet")
            .file(path)
            .help(format!("run `gaincell {stage}` first"))
    })?;
    let damaged = |source: serde_json::Error| {
        Problem::new(Kind::DataDamaged, format!("cannot be read: {source}"))
            .file(path)
            .line(source.line())
            .accepted(format!("the file as this version's `gaincell {stage}` writes it"))
            .help(format!("run `gaincell {stage}` again"))
    };
    let value: Value = serde_json::from_str(&text).map_err(damaged)?;
    if let Some(found) = value.get("schema").filter(|found| found.as_u64() != Some(u64::from(SCHEMA))) {
        return Err(Problem::new(Kind::DataDamaged, format!("schema {found} is not read by this version"))
            .file(path)
            .key("schema")
            .accepted(SCHEMA.to_string())
            .help(format!("run `gaincell {stage}` again"))
            .into());
    }
    serde_json::from_str(&text).map_err(|source| damaged(source).into())
}

/// Merges entries into `results/summary.json`: an entry of `section` takes the place of those that agree with it in `keys`.
///
/// # Errors
/// [`Kind::Io`].
pub fn merge_summary(project: &Project, section: &str, keys: &[&str], entries: &[Value]) -> Result<()> {
    let path = project.results().join("summary.json");
    let read =
        std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
    let mut summary = read.unwrap_or_default();
    summary.insert("schema".to_string(), json!(SCHEMA));
    let list = summary.entry(section).or_insert_with(|| json!([]));
    let mut kept: Vec<Value> = list.as_array().cloned().unwrap_or_default();
    kept.retain(|old| !entries.iter().any(|new| keys.iter().all(|key| old.get(key) == new.get(key))));
    kept.extend(entries.iter().cloned());
    *list = Value::Array(kept);
    write_json(&path, &summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_merged_by_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("gaincell.toml"), "schema = 1\n").unwrap();
        let project = Project::find(Some(dir.path()), None).unwrap();
        let entry = |tech: &str, ok: u32| json!({"name": "read", "tech": tech, "ok": ok});
        merge_summary(&project, "sweeps", &["name", "tech"], &[entry("a", 1), entry("b", 2)]).unwrap();
        merge_summary(&project, "sweeps", &["name", "tech"], &[entry("a", 3)]).unwrap();
        let found: Value = read_json(&project.results().join("summary.json"), "run").unwrap();
        assert_eq!(found["sweeps"], json!([entry("b", 2), entry("a", 3)]));
    }
}
