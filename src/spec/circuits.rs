//! `netlists/circuits.toml`: the circuits that the project characterizes, each with its netlist and its sweeps.

use std::path::{Path, PathBuf};

use super::SweepSpec;
use crate::error::{Kind, Problem, Result};
use crate::keys::Document;
use crate::tech::Technology;

/// A circuit with a page of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitSpec {
    /// Its key in the file, and its anchor on the page.
    pub name: String,
    /// Title.
    pub title: String,
    /// What it does, in a few sentences.
    pub role: String,
    /// The file that holds its subcircuits, or a bench.
    pub netlist: PathBuf,
    /// Subcircuits to draw, in this order; none: the netlist's own level.
    pub subcircuits: Vec<String>,
    /// Sweeps that characterize it.
    pub sweeps: Vec<Task>,
}

/// A sweep, or a variant of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The sweep's name.
    pub sweep: String,
    /// Parameters that are held, as `name=quantity`.
    pub holding: Vec<String>,
    /// What is varied.
    pub variant: Variant,
}

/// What a task varies beyond the sweep's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    None,
    /// Process, voltage and temperature.
    Pvt,
    /// Mismatch, on that many dice.
    Dice(u64),
}

impl Task {
    /// `name parameter=quantity ...`; a quantity without blanks.
    fn new(text: &str, variant: Variant) -> Task {
        let mut words = text.split_whitespace().map(str::to_string);
        Task { sweep: words.next().unwrap_or_default(), holding: words.collect(), variant }
    }

    /// The task's own specification, from the sweep's.
    ///
    /// # Errors
    /// As [`SweepSpec::holding`].
    pub fn apply(&self, spec: SweepSpec, tech: &Technology) -> Result<SweepSpec> {
        let spec = self.holding.iter().try_fold(spec, |spec, text| spec.holding(text))?;
        Ok(match self.variant {
            Variant::None => spec,
            Variant::Pvt => spec.over_pvt(tech),
            Variant::Dice(samples) => spec.on_dice(samples, DICE_SEED),
        })
    }
}

/// Dice of a Monte Carlo where the file names no number.
const DICE: u64 = 1000;
/// Seed of the circuits' dice.
const DICE_SEED: u64 = 20_261_127;

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
            let samples = table.count("samples").unwrap_or(DICE).max(1);
            let mut own = Vec::new();
            for (key, variant) in [("sweeps", Variant::None), ("pvt", Variant::Pvt), ("dice", Variant::Dice(samples))] {
                for task in table.strings(key).unwrap_or_default().iter().map(|text| Task::new(text, variant)) {
                    if !known.contains(&task.sweep) {
                        let problem = Problem::new(Kind::SpecKey, format!("there is no sweep `{}`", task.sweep));
                        table.problem(problem.accepted(known.join(", ")), key);
                    }
                    own.push(task);
                }
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
