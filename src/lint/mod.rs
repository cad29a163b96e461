//! What is wrong, or likely to be wrong, with a deck and its models, found by reading alone.
//!
//! Nothing runs here. A deck is read with every include and library section, its hierarchy is flattened, and rules look
//! at it; each answers with [`Finding`]s that name file and line, and all are told at once.
//!
//! | file | rules |
//! |---|---|
//! | `refused` | commands, programs and native code in decks, files that a deck reads behind gaincell's back |
//! | `random` | a PDK's own mismatch or Monte Carlo left on |
//! | `models` | model types and levels that need an OSDI library, OSDI files that do not exist |
//! | `setup` | threads, start-up files, options, time step |
//! | `names` | undefined, duplicate and unused names, wrong numbers of nodes |
//! | `topology` | floating nodes, loops of voltage sources |
//! | `numbers` | numbers that SPICE reads otherwise than meant, sizes out of bounds |
//! | `sweep` | a sweep file against its bench |
//!
//! Errors are what a run would end with, or what would make its numbers wrong without a word; warnings are likely
//! mistakes; notes are worth knowing.

mod circuit;
mod flat;
mod models;
mod names;
mod numbers;
mod random;
mod refused;
mod setup;
mod sweep;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Kind, Problem, Result};
use crate::netlist::{Deck, Line, Origin, Source, TechFiles};
use crate::tech::Technology;

pub use sweep::lint_sweep;

use circuit::Netlist;
use flat::Flat;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A run would fail, or give wrong numbers without saying so.
    Error,
    /// Likely a mistake.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's name.
    pub rule: &'static str,
    /// The file.
    pub file: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<usize>,
    /// The key of a TOML file, dotted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would be accepted.
    pub accepted: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    fn new(severity: Severity, rule: &'static str, message: impl Into<String>) -> Finding {
        let message = message.into();
        Finding { severity, rule, file: None, line: None, key: None, message, accepted: None, help: None }
    }
    fn error(rule: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(Severity::Error, rule, message)
    }
    fn warning(rule: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(Severity::Warning, rule, message)
    }
    fn note(rule: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(Severity::Note, rule, message)
    }
    fn at(mut self, origin: &Origin) -> Finding {
        self.file = Some(origin.file.clone());
        self.line = Some(origin.line);
        self
    }
    fn file(mut self, file: &Path) -> Finding {
        self.file = Some(file.to_path_buf());
        self
    }
    fn accepted(mut self, accepted: impl Into<String>) -> Finding {
        self.accepted = Some(accepted.into());
        self
    }
    fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    /// The finding as an error of a run.
    fn to_problem(&self) -> Problem {
        let mut problem = Problem::new(Kind::LintFailed, format!("[{}] {}", self.rule, self.message));
        problem.file.clone_from(&self.file);
        problem.line = self.line;
        problem.key.clone_from(&self.key);
        problem.accepted.clone_from(&self.accepted);
        problem.help.clone_from(&self.help);
        problem
    }

    /// An error of a run as a finding.
    fn from_problem(problem: &Problem) -> Finding {
        let rule = match problem.kind {
            Kind::RefusedDeck => "refused",
            Kind::UndefinedParameter => "undefined-parameter",
            Kind::MissingNetlist => "missing-file",
            Kind::UnknownTech => "technology",
            Kind::SpecSyntax | Kind::SpecKey | Kind::SpecUnit => "sweep-file",
            _ => "syntax",
        };
        Finding {
            severity: Severity::Error,
            rule,
            file: problem.file.clone(),
            line: problem.line,
            key: problem.key.clone(),
            message: problem.message.clone(),
            accepted: problem.accepted.clone(),
            help: problem.help.clone(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            write!(f, " ")?;
        }
        write!(f, "{}[{}]: ", self.severity, self.rule)?;
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(accepted) = &self.accepted {
            write!(f, "\n  accepted: {accepted}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  to do: {help}")?;
        }
        Ok(())
    }
}

/// What was found in one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The deck or sweep file.
    pub input: PathBuf,
    /// How many errors.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// How many notes.
    pub notes: usize,
    /// Files that were read.
    pub files: Vec<PathBuf>,
    /// Everything that was found, by file and line.
    pub findings: Vec<Finding>,
}

/// Rules whose errors ngspice runs through.
const UNNOTICED: [&str; 4] = ["mismatch", "floating", "num-threads", "signal"];

/// Findings of one rule in one file beyond this are counted, not shown: a PDK repeats itself.
const SHOWN_PER_RULE: usize = 8;

impl Report {
    fn new(input: &Path, files: BTreeSet<PathBuf>, mut findings: Vec<Finding>) -> Report {
        // What the input itself says comes first, then its includes.
        findings.sort_by(|a, b| {
            let place = |f: &Finding| (f.file.as_deref() != Some(input), f.file.clone(), f.line);
            place(a).cmp(&place(b)).then(a.severity.cmp(&b.severity))
        });
        findings.dedup();
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
        let findings = collapse(findings);
        Report { input: input.to_path_buf(), errors, warnings, notes, files: files.into_iter().collect(), findings }
    }

    /// Errors that a run would not end with: it would go on, and its numbers would be wrong or missing. The others are
    /// found by the run itself before its first point, with an exit code of their own.
    pub fn unnoticed(&self) -> Vec<Problem> {
        let errors = self.findings.iter().filter(|f| f.severity == Severity::Error && UNNOTICED.contains(&f.rule));
        errors.map(Finding::to_problem).collect()
    }

    /// The report of an input that cannot be read at all.
    pub fn unreadable(input: &Path, error: &crate::Error) -> Report {
        let findings = error.problems().iter().map(Finding::from_problem).collect();
        Report::new(input, [input.to_path_buf()].into(), findings)
    }
}

/// Keeps the first findings of each rule in each file; the last one kept says how many more there are.
fn collapse(findings: Vec<Finding>) -> Vec<Finding> {
    type Place = (&'static str, Option<PathBuf>);
    let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
    for finding in &findings {
        *counts.entry((finding.rule, finding.file.clone())).or_default() += 1;
    }
    let mut seen: BTreeMap<Place, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for mut finding in findings {
        let place = (finding.rule, finding.file.clone());
        let total = counts.get(&place).copied().unwrap_or(0);
        let nth = seen.entry(place).or_default();
        *nth += 1;
        if *nth > SHOWN_PER_RULE {
            continue;
        }
        if *nth == SHOWN_PER_RULE && total > SHOWN_PER_RULE {
            finding.message += &format!(" (and {} more of this rule in this file)", total - SHOWN_PER_RULE);
        }
        kept.push(finding);
    }
    kept
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        writeln!(
            f,
            "{}: {}, {}, {} in {}",
            self.input.display(),
            plural(self.errors, "error"),
            plural(self.warnings, "warning"),
            plural(self.notes, "note"),
            plural(self.files.len(), "file")
        )
    }
}

/// What the rules look at.
struct Input<'a> {
    /// The bench.
    bench: &'a Path,
    source: &'a Source,
    tech: Option<&'a Technology>,
    netlist: &'a Netlist<'a>,
    flat: &'a Flat<'a>,
    /// Text outside the deck that may use its parameters: the sweep file.
    also_used_by: &'a str,
}

/// Reads the deck at `bench` on `tech` and reports what is found. Without a technology the deck stands for itself.
///
/// # Errors
/// The deck cannot be read. What cannot be read of its includes is a finding.
pub fn lint_deck(bench: &Path, tech: Option<&Technology>) -> Result<Report> {
    let (files, findings) = deck_findings(bench, tech, "")?;
    Ok(Report::new(bench, files, findings))
}

fn deck_findings(
    bench: &Path,
    tech: Option<&Technology>,
    also_used_by: &str,
) -> Result<(BTreeSet<PathBuf>, Vec<Finding>)> {
    let tech_files = tech.map(|tech| TechFiles::of(tech, None)).transpose()?.unwrap_or_default();
    let source = Source::read(bench, &tech_files)?.pruned();
    let netlist = Netlist::read(&source.lines);
    let flat = Flat::new(&netlist);
    let input = Input { bench, source: &source, tech, netlist: &netlist, flat: &flat, also_used_by };
    let mut findings = Vec::new();
    refused::check(&input, &mut findings);
    random::check(&input, &mut findings);
    readable(&input, &mut findings);
    models::check(&input, &mut findings);
    setup::check(&input, &mut findings);
    names::check(&input, &mut findings);
    topology::check(&input, &mut findings);
    numbers::check(&input, &mut findings);
    let mut files: BTreeSet<PathBuf> = source.lines.iter().map(|line| line.origin.file.clone()).collect();
    files.insert(bench.to_path_buf());
    Ok((files, findings))
}

/// The start-up commands of the technology, each with its place in tech.toml.
fn startup<'a>(input: &Input<'a>) -> Vec<(&'a str, Origin)> {
    let Some(tech) = input.tech else { return Vec::new() };
    let text = std::fs::read_to_string(&tech.file).unwrap_or_default();
    let place = |command: &str| text.lines().position(|line| line.contains(command)).map_or(1, |k| k + 1);
    let origin = |command: &str| Origin { file: tech.file.clone(), line: place(command) };
    tech.startup.iter().map(|command| (command.as_str(), origin(command))).collect()
}

/// What the deck reader itself refuses: missing includes, lines that are no expressions, undefined parameters, no
/// analysis. A line that a rule before this one has spoken about is not reported a second time.
fn readable(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let told: BTreeSet<(PathBuf, usize)> =
        findings.iter().filter_map(|f| Some((f.file.clone()?, f.line?))).map(canonical).collect();
    let mut problems = input.source.problems.clone();
    if let Err(error) = Deck::from_lines(input.bench, input.source.title.clone(), input.source.lines.clone()) {
        problems.extend_from_slice(error.problems());
    }
    let new = |p: &&Problem| {
        p.file
            .clone()
            .zip(p.line)
            .is_none_or(|place| p.kind == Kind::UndefinedParameter || !told.contains(&canonical(place)))
    };
    findings.extend(problems.iter().filter(new).map(|problem| {
        let finding = Finding::from_problem(problem);
        // The path of a missing `.include tech/<name>/...` line is no mistake where a technology is to be chosen.
        let of_a_technology = input.tech.is_none() && problem.message.contains("tech/");
        if problem.kind == Kind::MissingNetlist && of_a_technology {
            finding.help("choose a technology with --tech: its files take this line's place; or correct the path")
        } else {
            finding
        }
    }));
}

fn canonical((file, line): (PathBuf, usize)) -> (PathBuf, usize) {
    (file.canonicalize().unwrap_or(file), line)
}

/// The words of a line in lower case.
fn words(line: &Line) -> Vec<String> {
    crate::netlist::tokens(&line.text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
