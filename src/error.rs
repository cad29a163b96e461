//! What can go wrong, and the exit code of each kind.
//!
//! A [`Problem`] says what is wrong, where (file, line, key), what is accepted and what to do. An [`Error`] carries one
//! or more of them, so that every mistake of a file is told at once; its exit code is that of the first.

use std::fmt;
use std::path::{Path, PathBuf};

/// The kinds of failure; the discriminant is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A fault of gaincell itself.
    Internal = 1,
    /// The command line does not parse (clap's own code).
    Usage = 2,
    /// A file or directory cannot be read or written.
    Io = 3,
    /// Some points of a sweep did not end `ok`; every row is stored.
    IncompleteSweep = 4,
    /// A validation missed its limit.
    VerdictFailed = 5,
    /// A fit cannot be made from the data.
    FitFailed = 6,
    /// A measurement is outside its spec limits.
    SpecMissed = 7,
    /// `gaincell lint` found errors.
    LintFailed = 8,
    /// Two runs that were compared differ by more than chance and numerical noise.
    RunsDiffer = 9,
    /// A TOML file does not parse.
    SpecSyntax = 10,
    /// A key that is not known or is missing.
    SpecKey = 11,
    /// A quantity without a unit, with the wrong one, or out of range.
    SpecUnit = 12,
    /// A technology that is not known.
    UnknownTech = 13,
    /// A netlist, include or sweep file that does not exist.
    MissingNetlist = 14,
    /// A netlist that ngspice or the deck reader cannot parse.
    NetlistSyntax = 15,
    /// A netlist that uses a parameter nobody defines.
    UndefinedParameter = 16,
    /// A circuit whose matrix is singular.
    SingularMatrix = 17,
    /// A deck that would run commands or programs.
    RefusedDeck = 18,
    /// libngspice is missing or does not start.
    SimulatorUnavailable = 20,
    /// Another process works on the same run.
    RunLocked = 21,
    /// Stored results that are damaged or of another schema version.
    DataDamaged = 22,
    /// A lookup table that is damaged, edited or of another schema version.
    TableInvalid = 30,
    /// An input outside a table's or a model's validity box.
    OutsideValidity = 31,
    /// Arrays whose shapes or values do not fit.
    BadInput = 32,
    /// Built without the cargo feature that this needs.
    FeatureMissing = 40,
    /// Interrupted by the user; what was finished is saved.
    Interrupted = 130,
}

impl Kind {
    /// Every kind, in the order of its exit code.
    pub const ALL: [Kind; 26] = [
        Kind::Internal,
        Kind::Usage,
        Kind::Io,
        Kind::IncompleteSweep,
        Kind::VerdictFailed,
        Kind::FitFailed,
        Kind::SpecMissed,
        Kind::LintFailed,
        Kind::RunsDiffer,
        Kind::SpecSyntax,
        Kind::SpecKey,
        Kind::SpecUnit,
        Kind::UnknownTech,
        Kind::MissingNetlist,
        Kind::NetlistSyntax,
        Kind::UndefinedParameter,
        Kind::SingularMatrix,
        Kind::RefusedDeck,
        Kind::SimulatorUnavailable,
        Kind::RunLocked,
        Kind::DataDamaged,
        Kind::TableInvalid,
        Kind::OutsideValidity,
        Kind::BadInput,
        Kind::FeatureMissing,
        Kind::Interrupted,
    ];

    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of failure this is.
    pub kind: Kind,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file in question.
    pub file: Option<PathBuf>,
    /// The line in that file, counted from 1.
    pub line: Option<usize>,
    /// The key in question, dotted.
    pub key: Option<String>,
    /// What would be accepted.
    pub accepted: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// A problem of `kind`, to be completed by the `with_*` methods.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Problem { kind, message: message.into(), file: None, line: None, key: None, accepted: None, help: None }
    }
    /// Names the file.
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.file = Some(path.as_ref().to_path_buf());
        self
    }
    /// Names the line, counted from 1.
    pub fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
    /// Names the key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
    /// Says what is accepted.
    pub fn accepted(mut self, accepted: impl Into<String>) -> Self {
        self.accepted = Some(accepted.into());
        self
    }
    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": ")?;
        }
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

/// One or more problems; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    problems: Vec<Problem>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of one kind and sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Problem::new(kind, message).into()
    }
    /// All problems of a file at once; `None` if there are none.
    pub fn collect(problems: Vec<Problem>) -> Option<Self> {
        if problems.is_empty() { None } else { Some(Error { problems }) }
    }
    /// The problems, in the order found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
    /// The kind of the first problem, which decides the exit code.
    pub fn kind(&self) -> Kind {
        self.problems[0].kind
    }
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }
    /// An input or output failure on `path`.
    pub fn io(path: impl AsRef<Path>, doing: &str, source: impl fmt::Display) -> Self {
        Problem::new(Kind::Io, format!("cannot {doing}: {source}")).file(path).into()
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Error { problems: vec![problem] }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "error[{}]: {problem}", problem.kind.exit_code())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_file_line_key_and_remedy() {
        let error: Error = Problem::new(Kind::SpecUnit, "a bare number has no unit")
            .file("sweeps/read.toml")
            .line(7)
            .key("parameters.t_pulse.from")
            .accepted("a time, as in \"15 ns\"")
            .help("add the unit")
            .into();
        assert_eq!(
            error.to_string(),
            "error[12]: sweeps/read.toml:7: `parameters.t_pulse.from`: a bare number has no unit\n  \
             accepted: a time, as in \"15 ns\"\n  to do: add the unit"
        );
        assert_eq!(error.exit_code(), 12);
    }
}
