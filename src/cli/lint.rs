//! `gaincell lint`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{print, print_json};
use super::{Context, EMBEDDED_TECH};
use crate::error::{Error, Kind, Problem, Result};
use crate::keys::Document;
use crate::lint::{Report, lint_deck, lint_sweep};
use crate::tech::{Technology, named_in};

/// What to read.
#[derive(Debug, Args)]
#[command(
    after_help = "A deck is read with every include and library section; nothing runs. Without --tech a deck stands for itself;\n\
        with it, the technology's files take the place of the deck's `.include tech/<name>/...` lines, as in a sweep.\n\
        Errors are what a run would end with, or what would make its numbers wrong without a word: exit code 8.\n\n\
        Examples:\n  gaincell lint my/cell.cir\n  gaincell lint my/cell.cir --tech my/tech.toml\n  \
        gaincell lint nonlinearity my/own.toml\n  \
        gaincell lint my/own.toml --json | jq '.[].findings[] | select(.severity == \"error\")'"
)]
pub(super) struct LintArgs {
    /// Decks, sweep files, or names of files in sweeps/
    #[arg(required = true, value_name = "DECK|SWEEP")]
    inputs: Vec<String>,
}

pub(super) fn lint(context: &Context, args: &LintArgs) -> Result<()> {
    let reports = args.inputs.iter().map(|input| report(context, input)).collect::<Result<Vec<_>>>()?;
    if context.common.json {
        print_json(&reports)?;
    } else {
        let shown: Vec<String> = reports.iter().map(ToString::to_string).collect();
        print(&shown.join("\n"))?;
    }
    let errors: usize = reports.iter().map(|report| report.errors).sum();
    if errors == 0 {
        return Ok(());
    }
    let plural = if errors == 1 { "error" } else { "errors" };
    Err(Problem::new(Kind::LintFailed, format!("{errors} {plural}")).help("correct what is listed, then run it").into())
}

fn report(context: &Context, input: &str) -> Result<Report> {
    let technologies = context.project.technologies();
    let given = Path::new(input);
    // A deck by itself needs nothing that the project, or the program, brings.
    let is_sweep = given.extension().is_some_and(|e| e == "toml") || !given.is_file();
    if is_sweep || context.common.tech.is_some() {
        context.project.prepare()?;
    }
    if !is_sweep {
        let tech = context.common.tech.as_deref().map(|name| Technology::find(name, &technologies)).transpose()?;
        return lint_deck(given, tech.as_ref());
    }
    let file: PathBuf = context.project.sweep_file(input).map_err(|error| also_a_deck(&error))?;
    let name = context.common.tech.clone().or_else(|| named_tech(&file));
    match Technology::find(name.as_deref().unwrap_or(EMBEDDED_TECH), &technologies) {
        Ok(tech) => lint_sweep(&file, &context.project.benches(), &tech),
        Err(error) => Ok(Report::unreadable(&file, &in_file(error, &file))),
    }
}

/// The technology that a sweep file names; a file that cannot be read is reported by the linter.
fn named_tech(file: &Path) -> Option<String> {
    let document = Document::read(file, Kind::MissingNetlist).ok()?;
    let table = document.parse().ok()?;
    let name = table.get("tech")?.get_ref().as_str()?;
    Some(named_in(file, name))
}

fn in_file(error: Error, file: &Path) -> Error {
    let place = |p: &Problem| if p.file.is_some() { p.clone() } else { p.clone().file(file).key("tech") };
    Error::collect(error.problems().iter().map(place).collect()).unwrap_or(error)
}

fn also_a_deck(error: &Error) -> Error {
    let say = |p: &Problem| {
        let accepted = p.accepted.clone().unwrap_or_default();
        p.clone().accepted(format!("the path of a deck, {accepted}"))
    };
    Error::collect(error.problems().iter().map(say).collect()).unwrap_or_else(|| error.clone())
}
