//! What a deck and a job may ask ngspice to do: simulate, and nothing else.
//!
//! ngspice is a shell as much as a simulator. A deck can run commands (`.control`, and comment lines that start with
//! `*#`), commands can run programs (`shell`, backquotes), redirect output into files and load native code. Decks are
//! other people's files, so commands in them are refused by name, and commands of jobs have to be on a short list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Circuit;
use crate::error::{Error, Kind, Problem, Result};

/// Settings that `set` and `option` of a job may change: those of the loaded circuit, which end with it. Others are variables of
/// ngspice's shell and would outlive the job.
const SIMULATOR_OPTIONS: &[&str] = &[
    "abstol",
    "bypass",
    "chgtol",
    "convabsstep",
    "convstep",
    "cshunt",
    "gmin",
    "gminfactor",
    "gminsteps",
    "itl1",
    "itl2",
    "itl3",
    "itl4",
    "itl5",
    "itl6",
    "keepopinfo",
    "maxevtiter",
    "maxopalter",
    "maxord",
    "method",
    "minbreak",
    "noopac",
    "noopalter",
    "noopiter",
    "pivrel",
    "pivtol",
    "ramptime",
    "reltol",
    "rshunt",
    "srcsteps",
    "temp",
    "tnom",
    "trtol",
    "trytocompact",
    "vntol",
    "xmu",
];

/// Code models that start programs or load native code.
const RUNNING_MODELS: &[&str] = &["d_process", "d_cosim"];

/// Includes nested deeper than this are taken for a cycle.
const MAX_DEPTH: usize = 32;

/// Checks a circuit and the files that it includes.
///
/// # Errors
/// [`Kind::RefusedDeck`] with every line that would run something: lines of the circuit counted from 1 without a file,
/// lines of included files with theirs.
pub fn check_circuit(circuit: &Circuit) -> Result<()> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, line) in circuit.lines.iter().enumerate() {
        if line.contains(['\n', '\r', '\0']) {
            problems.push(refused("a line that holds a line break", line).line(index + 1));
        }
        // The title is never read as a card, whatever it says.
        if index == 0 {
            continue;
        }
        if let Some(problem) = check_line(line) {
            problems.push(problem.line(index + 1));
        }
        if let Some(path) = included(line, Path::new(".")) {
            check_file(&path, &mut seen, &mut problems, 0);
        }
    }
    for error in circuit.startup.iter().filter_map(|command| check_startup(command).err()) {
        problems.extend_from_slice(error.problems());
    }
    Error::collect(problems).map_or(Ok(()), Err)
}

fn check_file(path: &Path, seen: &mut BTreeSet<PathBuf>, problems: &mut Vec<Problem>, depth: usize) {
    // A file that cannot be read is ngspice's to report, with its own search path.
    let Ok(path) = path.canonicalize() else { return };
    if depth > MAX_DEPTH || !seen.insert(path.clone()) {
        return;
    }
    let Ok(bytes) = std::fs::read(&path) else { return };
    let folder = path.parent().unwrap_or(Path::new("."));
    for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        if let Some(problem) = check_line(line) {
            problems.push(problem.file(&path).line(index + 1));
        }
        if let Some(inner) = included(line, folder) {
            check_file(&inner, seen, problems, depth + 1);
        }
    }
}

/// The file that an `.include` or `.lib file section` line names.
fn included(line: &str, folder: &Path) -> Option<PathBuf> {
    let line = line.trim();
    let (card, rest) = line.split_once(char::is_whitespace)?;
    let is_include = [".include", ".inc", ".incl"].iter().any(|name| card.eq_ignore_ascii_case(name));
    let is_library = card.eq_ignore_ascii_case(".lib");
    if !is_include && !is_library {
        return None;
    }
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (name, after) = match quote {
        Some(quote) => rest[1..].split_once(quote)?,
        None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
    };
    // `.lib name` without a file opens a section.
    if is_library && after.trim().is_empty() {
        return None;
    }
    Some(folder.join(name))
}

fn check_line(line: &str) -> Option<Problem> {
    let line = line.trim_start();
    let first = line.bytes().next()?;
    if first != b'.' && first != b'*' {
        return None;
    }
    let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '=')).filter(|w| !w.is_empty());
    let card = words.next()?.to_ascii_lowercase();
    match card.as_str() {
        ".control" | ".endc" => Some(refused("a control block", line)),
        ".exec" | ".system" | ".shell" => Some(refused("a program", line)),
        _ if card.starts_with("*#") => Some(refused("a command behind `*#`", line)),
        ".model" => {
            let kind = words.nth(1)?.to_ascii_lowercase();
            RUNNING_MODELS.contains(&kind.as_str()).then(|| refused("a model that starts programs", line))
        }
        _ => None,
    }
}

/// Checks a command that changes the loaded circuit: `alter`, `altermod`, `set` and `option` of simulator settings, `save`.
///
/// # Errors
/// [`Kind::RefusedDeck`], with what is accepted.
pub fn check_change(command: &str) -> Result<()> {
    check_characters(command, "@[]=().,:#_+-*/^%'\"")?;
    let (word, rest) = split_word(command);
    match word.as_str() {
        "alter" | "altermod" | "save" if !rest.is_empty() => Ok(()),
        "set" | "option" => {
            let name = rest.split(['=', ' ']).next().unwrap_or_default().to_ascii_lowercase();
            if SIMULATOR_OPTIONS.contains(&name.as_str()) {
                Ok(())
            } else {
                Err(refused("a setting that is not the simulator's", command)
                    .accepted(format!("set or option with one of {}", SIMULATOR_OPTIONS.join(", ")))
                    .into())
            }
        }
        _ => Err(refused("a command between loading and analysis", command)
            .accepted("alter, altermod, save, and set or option of a simulator setting")
            .into()),
    }
}

/// Checks an analysis command.
///
/// # Errors
/// [`Kind::RefusedDeck`], with what is accepted.
pub fn check_analysis(command: &str) -> Result<()> {
    check_characters(command, "@[]().,:#_+-")?;
    match split_word(command).0.as_str() {
        "tran" | "dc" | "ac" | "op" | "noise" => Ok(()),
        _ => Err(refused("an analysis", command).accepted("tran, dc, ac, op, noise").into()),
    }
}

/// Checks a start-up command. `osdi` and `codemodel` load native code: a technology names them, never a deck or a job.
///
/// # Errors
/// [`Kind::RefusedDeck`], with what is accepted.
pub fn check_startup(command: &str) -> Result<()> {
    check_characters(command, "=()[].,:#_+-/\\~@%'\"")?;
    let (word, rest) = split_word(command);
    let name = rest.split(['=', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "set" | "unset" | "option" if name == "num_threads" => Err(refused("`num_threads`", command)
            .help("leave it out: one thread per worker, one worker per core")
            .into()),
        "set" | "unset" | "option" | "osdi" | "pre_osdi" | "codemodel" if !rest.is_empty() => Ok(()),
        _ => Err(refused("a start-up command", command).accepted("set, unset, option, osdi, codemodel").into()),
    }
}

/// Everything that ngspice's shell gives a meaning (`; | < > & $ ! ~ { }`, backquotes, line breaks) is outside the list.
fn check_characters(command: &str, allowed: &str) -> Result<()> {
    match command.chars().find(|c| !c.is_ascii_alphanumeric() && *c != ' ' && !allowed.contains(*c)) {
        Some(c) => Err(refused(&format!("the character {c:?} in a command"), command).into()),
        None => Ok(()),
    }
}

fn split_word(command: &str) -> (String, &str) {
    let command = command.trim();
    let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
    (word.to_ascii_lowercase(), rest.trim_start())
}

fn refused(what: &str, line: &str) -> Problem {
    let shown: String = line.chars().take(80).collect();
    Problem::new(Kind::RefusedDeck, format!("{what} is refused: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit(lines: &[&str]) -> Circuit {
        Circuit { key: "k".into(), lines: lines.iter().map(ToString::to_string).collect(), startup: vec![] }
    }

    fn lines_refused(lines: &[&str]) -> Vec<Option<usize>> {
        match check_circuit(&circuit(lines)) {
            Ok(()) => vec![],
            Err(error) => {
                assert_eq!(error.kind(), Kind::RefusedDeck);
                error.problems().iter().map(|p| p.line).collect()
            }
        }
    }

    #[test]
    fn a_deck_cannot_run_commands() {
        assert_eq!(lines_refused(&["t", "r1 a 0 1k", ".CONTROL", "shell ls", ".endc", ".end"]), [Some(3), Some(5)]);
        assert_eq!(lines_refused(&["t", "*# shell ls", "* harmless `comment`", ".end"]), [Some(2)]);
        assert_eq!(lines_refused(&["t", "  *#shell ls", ".end"]), [Some(2)]);
        assert_eq!(lines_refused(&["t", ".model p d_process(process_file=\"/bin/sh\")", ".end"]), [Some(2)]);
        assert_eq!(lines_refused(&["t", "r1 a 0 1k\n.control", ".end"]), [Some(2)]);
        assert_eq!(lines_refused(&["*# a title", "r1 a 0 1k", ".csparam x=1", ".model n nmos level=54", ".end"]), []);
    }

    #[test]
    fn included_files_are_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let (outer, inner) = (folder.path().join("outer file.lib"), folder.path().join("inner.inc"));
        std::fs::write(&outer, "* models\n.lib tt\n.include inner.inc\n.include 'outer file.lib'\n.endl\n").unwrap();
        std::fs::write(&inner, "* x\n.control\nshell ls\n.endc\n").unwrap();
        let line = format!(".lib \"{}\" tt", outer.display());
        let error = check_circuit(&circuit(&["t", &line, ".include /nowhere/at/all", ".end"])).unwrap_err();
        let places: Vec<_> = error.problems().iter().map(|p| (p.file.clone().unwrap(), p.line.unwrap())).collect();
        let inner = inner.canonicalize().unwrap();
        assert_eq!(places, [(inner.clone(), 2), (inner, 4)]);
    }

    #[test]
    fn changes_are_on_a_list() {
        for good in [
            "alter @m.x1.mn1[delvto]=0.05",
            "alter @vwlr[pulse] = [ 0 0.9 1n 50p 50p 5n 1 ]",
            "altermod nrd vth0=0.4",
            "alter vdd 0.9",
            "set temp=85",
            "option reltol=1e-4",
            "save v(bl) @m.x1.m1[id]",
        ] {
            check_change(good).unwrap();
        }
        for bad in [
            "shell rm x",
            "alter r1=`ls`",
            "alter r1=1 ; shell ls",
            "alter r1=1 > x",
            "alter r1=$x",
            "set editor=x",
            "set num_threads=8",
            "source x.sp",
            "alterparam x=1",
            "write out.raw",
            "alter",
            "",
            "alter r1=1\nshell ls",
        ] {
            assert_eq!(check_change(bad).unwrap_err().kind(), Kind::RefusedDeck, "{bad}");
        }
    }

    #[test]
    fn analyses_and_startup_are_on_lists() {
        for good in
            ["tran 10p 40n 0 0.5n uic", "dc vin 0 0.9 0.01", "ac dec 10 1 1e9", "OP", "noise v(out) vin dec 3 1 1g"]
        {
            check_analysis(good).unwrap();
        }
        for bad in ["run", "tran 1n 1u ; quit", "bg_tran 1n 1u", "quit", "sens v(1)", "tran 1n 1u > x"] {
            assert!(check_analysis(bad).is_err(), "{bad}");
        }
        for good in ["set ngbehavior=hsa", "set ng_nomodcheck", "osdi /pdk/psp103.osdi", "option temp=27"] {
            check_startup(good).unwrap();
        }
        for bad in ["shell ls", "set num_threads=4", "source x", "set x=`ls`", "osdi"] {
            assert!(check_startup(bad).is_err(), "{bad}");
        }
    }
}
