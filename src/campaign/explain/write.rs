//! A point's stand-alone deck, what plain ngspice makes of it, and what the harness does differently.

use std::path::Path;

use super::{Explained, Explanation, compare};
use crate::dataset::Outcome;
use crate::error::{Error, Result};
use crate::measure::Script;
use crate::simulate::{
    BATCH_COMMAND, Circuit, DECK_FILE, SPICEINIT, check_analysis, check_change, check_circuit, run_batch,
};

impl Explained {
    /// Writes the deck and its start-up file into `folder`, and with `run` runs plain ngspice on them.
    ///
    /// # Errors
    /// [`Kind::RefusedDeck`] if the circuit or a command would do more than simulate; [`Kind::Io`];
    /// [`Kind::SimulatorUnavailable`] with `run`.
    pub fn write(&self, folder: &Path, run: bool) -> Result<Explanation> {
        let circuit = Circuit {
            key: self.group.circuit.key.clone(),
            lines: self.group.circuit.lines.clone(),
            startup: self.startup.clone(),
        };
        check_circuit(&circuit)?;
        self.point.alters.iter().try_for_each(|command| check_change(command))?;
        check_analysis(&self.point.analysis)?;
        let script = Script::new(&self.point.analysis, &self.point.measurements, &self.point.row.values)?;
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, "make the folder", source))?;
        let startup: String = self.startup.iter().map(|line| format!("{line}\n")).collect();
        for (name, text) in [(DECK_FILE, self.deck(&script)), (".spiceinit", format!("{SPICEINIT}{startup}"))] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| Error::io(&path, "write", source))?;
        }
        let output = run.then(|| run_batch(folder)).transpose()?;
        let measured = output.as_deref().map(|output| script.read(output)).unwrap_or_default();
        Ok(Explanation {
            sweep: self.spec.name.clone(),
            tech: self.tech.name.clone(),
            index: self.point.row.index,
            id: self.stored.as_ref().map(|stored| stored.row.id.to_string()),
            values: self.point.row.values.clone(),
            labels: self.point.row.labels.clone(),
            outcome: self.stored.as_ref().map(|stored| stored.row.outcome),
            tier: self.stored.as_ref().map(|stored| stored.row.tier),
            folder: folder.to_path_buf(),
            command: format!("cd {} && {}", quoted(folder), BATCH_COMMAND.join(" ")),
            measurements: script
                .prints
                .iter()
                .map(|printed| {
                    let row = self.stored.as_ref().and_then(|stored| stored.row.measured.get(&printed.column));
                    compare(&printed.column, &printed.name, row, measured.get(&printed.column))
                })
                .collect(),
            differences: self.differences(),
            notes: self.notes(output.as_deref()),
        })
    }

    /// The circuit as workers load it, then the point's commands, the analysis and the measurements.
    fn deck(&self, script: &Script) -> String {
        let place = format!("{}:{} on {}", self.spec.name, self.point.row.index, self.tech.name);
        let mut lines = vec![format!("gaincell explain {}", one_line(&place))];
        for (name, value) in &self.point.row.values {
            lines.push(format!("* {} = {value:e}", one_line(name)));
        }
        let body = self.group.circuit.lines.iter().skip(1).filter(|line| !line.eq_ignore_ascii_case(".end"));
        lines.extend(body.cloned());
        lines.push(".control".to_string());
        lines.extend(self.point.alters.iter().cloned());
        lines.push(self.point.analysis.clone());
        lines.extend(script.lines.iter().cloned());
        lines.extend(["quit", ".endc", ".end", ""].map(str::to_string));
        lines.join("\n")
    }

    fn differences(&self) -> Vec<String> {
        let mut all = vec![
            "gaincell runs libngspice in a worker that keeps the circuit loaded; points before this one may have run on it, and \
             every point sets all that any of them alters"
                .to_string(),
            format!(
                "gaincell stops an analysis after {} points (`stop after`); the deck sets no such limit",
                self.spec.limits.time_points
            ),
            "gaincell evaluates measurements itself; the deck does the same arithmetic in the same order in ngspice's control \
             language, and writes numbers as integers times powers of two because ngspice's number parser does not round \
             correctly"
                .to_string(),
            "both have `set num_threads=1` and the technology's start-up commands, from .spiceinit in the deck's folder; without \
             that file ngspice would take ~/.spiceinit and two threads"
                .to_string(),
        ];
        if !self.point.alters.is_empty() {
            all.push(format!(
                "the deck brings the circuit to the point by the same {} commands between loading and analysis, not by other \
                 values in its lines: ngspice's `alter` does not recompute everything that loading does",
                self.point.alters.len()
            ));
        }
        all
    }

    fn notes(&self, output: Option<&str>) -> Vec<String> {
        let mut notes = Vec::new();
        match (&self.stored, &self.outdated) {
            (Some(stored), _) => {
                if stored.row.tier > 0 {
                    notes.push(format!(
                        "the stored row is of tier {}: the deck has that tier's options behind the bench's own, and fits leave \
                         the row out",
                        stored.row.tier
                    ));
                }
                if stored.row.outcome != Outcome::Ok {
                    notes.push(format!("the stored row ended {}: {}", stored.row.outcome, stored.row.message));
                }
                let ended = output.and_then(|text| text.lines().find_map(|line| line.trim().strip_suffix(" done")));
                let library = stored.simulator.split_whitespace().next().unwrap_or_default();
                if let Some(program) = ended
                    && program != library
                {
                    notes.push(format!("the row was made by {library}, the program here is {program}"));
                }
            }
            (None, Some(outdated)) => notes.push(format!(
                "the row in {} is of another identity ({}): netlist, technology, sweep file or simulator have changed since; \
                 it is not compared",
                outdated.run.display(),
                outdated.row.id
            )),
            (None, None) => notes.push(format!(
                "not simulated yet: `gaincell sweep {}` gives the row to compare with",
                self.spec.file.file_stem().unwrap_or_default().to_string_lossy()
            )),
        }
        notes
    }
}

/// `text` without anything that could end a comment line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-+,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("results/explain/a-1")), "results/explain/a-1");
        assert_eq!(quoted(Path::new("my dir/it's")), "'my dir/it'\\''s'");
    }
}
