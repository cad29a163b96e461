//! `netlists/circuits.toml`: the circuits that the project characterizes, each with its netlist and its sweeps.

use std::path::{Path, PathBuf};

use crate::error::{Kind, Problem, Result};
use crate::keys::Document;

/// A circuit with a page of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitSpec {
    /// Its key in the file, and its anchor on the page.
    pub name: String,
    /// Title.
    pub title: String,
    /// What it does, in a few sentences.
    pub role: String,
    /// The file that holds its subcircuits.
    pub netlist: PathBuf,
    /// Subcircuits to draw, in this order.
    pub subcircuits: Vec<String>,
    /// Sweeps that characterize it, by name: nominal, corners, mismatch.
    pub sweeps: Vec<String>,
}

impl CircuitSpec {
    /// Reads the list at `path`, whose netlists are relative to it and whose sweeps are files in `sweeps`.
    ///
    /// # Errors
    /// Every mistake of the file at once.
    pub fn read_all(path: &Path, sweeps: &Path) -> Result<Vec<CircuitSpec>> {
        let document = Document::read(path, Kind::MissingNetlist)?;
        let table = document.parse()?;
        let keys = document.root(&table);
        let folder = path.parent().unwrap_or(Path::new("."));
        let known = crate::project::stems(sweeps, "toml");
        let circuits = keys.named_tables("circuits");
        let read = |(name, table): &(String, crate::keys::Keys<'_>)| {
            let netlist = folder.join(table.require_string("netlist", "a file, as in \"cells/gain_cell_6t.sub\""));
            if table.has("netlist") && !netlist.is_file() {
                let problem = Problem::new(Kind::MissingNetlist, format!("{} does not exist", netlist.display()));
                table.problem(problem.accepted("a netlist relative to this file"), "netlist");
            }
            let own = table.strings("sweeps").unwrap_or_default();
            if let Some(unknown) = own.iter().find(|sweep| !known.contains(sweep)) {
                let problem = Problem::new(Kind::SpecKey, format!("there is no sweep `{unknown}`"));
                table.problem(problem.accepted(known.join(", ")), "sweeps");
            }
            let circuit = CircuitSpec {
                name: name.clone(),
                title: table.require_string("title", "the circuit's title"),
                role: table.string("role").unwrap_or_default(),
                netlist,
                subcircuits: table.strings("subcircuits").unwrap_or_default(),
                sweeps: own,
            };
            table.finish();
            circuit
        };
        let circuits = circuits.iter().map(read).collect();
        keys.finish();
        document.check()?;
        Ok(circuits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_s_own_list_reads_and_a_wrong_one_says_why() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let circuits = CircuitSpec::read_all(&root.join("netlists/circuits.toml"), &root.join("sweeps")).unwrap();
        assert!(circuits.iter().any(|circuit| circuit.name == "gain_cell_6t" && !circuit.sweeps.is_empty()));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("circuits.toml");
        std::fs::write(&file, "schema = 1\n[circuits.x]\ntitle = \"X\"\nnetlist = \"x.sub\"\nsweeps = [\"y\"]\n")
            .unwrap();
        let error = CircuitSpec::read_all(&file, dir.path()).unwrap_err().to_string();
        assert!(error.contains("x.sub does not exist") && error.contains("no sweep `y`"), "{error}");
    }
}
