//! `gaincell diff`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Context;
use super::output::{print, print_json, table};
use crate::compare::{Comparison, Finding, Options, Point, Quantity, compare};
use crate::dataset::{Dataset, Store};
use crate::error::{Error, Kind, Problem, Result};
use crate::units::{Unit, engineering};

pub(super) const HELP: &str =
    "A run is a folder (results/<sweep>/<run>), a sweep (its latest run on the technology), or
<sweep>:<run>, where the beginning of the run's name is enough.

Points are paired by their swept values and labels. A deterministic number counts as changed beyond numerical noise
(10 times the decks' reltol, or --tolerance). Monte Carlo samples are tested: paired where both runs drew the same
devices, else Welch, Brown-Forsythe and Kolmogorov-Smirnov; p values are corrected over all tests (Benjamini and
Hochberg), and a change below numerical noise never counts.

Exit code 0: nothing changed; 9: something did.

Examples:
  gaincell diff nonlinearity:generic28-1f2e nonlinearity
  gaincell diff results/variability_cell/generic28-0a1b2c3d other/results/variability_cell/generic28-9f8e7d6c
  gaincell diff retention:generic28-aa retention:generic28-bb --tolerance 1e-4 --json | jq '.measurements'";

/// Which runs to compare, and how.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The run to compare with
    #[arg(value_name = "RUN")]
    a: String,
    /// The run that is compared with it
    #[arg(value_name = "RUN")]
    b: String,
    /// Level of all tests together
    #[arg(long, default_value_t = 0.01, value_name = "LEVEL", value_parser = level)]
    alpha: f64,
    /// Relative change that numerical noise may make [default: 10 times the decks' reltol]
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    tolerance: Option<f64>,
    /// Share of a measurement's largest magnitude below which a number is held against that share
    #[arg(long, default_value_t = 0.01, value_name = "FRACTION", value_parser = fraction)]
    floor: f64,
    /// How many changes to list
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
}

fn level(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if value > 0.0 && value < 0.5 { Ok(value) } else { Err("a level lies between 0 and 0.5".into()) }
}

fn fraction(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("a fraction lies between 0 and 1".into()) }
}

pub(super) fn diff(context: &Context, args: &DiffArgs) -> Result<()> {
    let folders = [find(context, &args.a)?, find(context, &args.b)?];
    let [a, b] = [Dataset::read(&folders[0])?, Dataset::read(&folders[1])?];
    let options = Options { alpha: args.alpha, tolerance: args.tolerance, floor: args.floor };
    // A run of another project brings its own store.
    let stores: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| Some(folder.parent()?.parent()?.join(".store")))
        .chain([context.project.results().join(".store")])
        .collect();
    let deck = |key: &str| stores.iter().find_map(|store| Store::deck(store, key));
    let comparison = compare(&a, &b, &options, &deck);
    if context.common.json {
        let run = |k: usize, data: &Dataset| {
            json!({"folder": folders[k], "sweep": data.manifest.sweep, "status": data.manifest.status,
                "rows": data.rows.len()})
        };
        let mut value = serde_json::to_value(&comparison)
            .map_err(|source| Error::new(Kind::Internal, format!("cannot encode the comparison: {source}")))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("a".into(), run(0, &a));
            object.insert("b".into(), run(1, &b));
            object.insert("changes".into(), comparison.changes().into());
        }
        print_json(&value)?;
    } else {
        let names = folders.each_ref().map(|folder| folder.display().to_string());
        print(&text(&names, [&a, &b], &comparison, args.top))?;
    }
    match comparison.changes() {
        0 => Ok(()),
        n => Err(Error::new(
            Kind::RunsDiffer,
            format!("the runs differ in {n} of {} comparisons", compared(&comparison)),
        )),
    }
}

/// Numbers compared and rows whose outcomes were.
fn compared(comparison: &Comparison) -> usize {
    comparison.findings.len() + comparison.paired
}

/// The folder of a run from what a user wrote.
pub(super) fn find(context: &Context, name: &str) -> Result<PathBuf> {
    let given = PathBuf::from(name);
    if given.join("manifest.json").is_file() {
        return std::fs::canonicalize(&given).map_err(|source| Error::io(&given, "find the run", source));
    }
    let (sweep, prefix) = name.split_once(':').map_or((name, None), |(sweep, prefix)| (sweep, Some(prefix)));
    let folder = context.project.results().join(sweep);
    let runs: Vec<String> = runs_in(&folder);
    let chosen = match prefix {
        Some(prefix) => runs.iter().filter(|run| run.starts_with(prefix)).cloned().collect(),
        None => latest(context, &folder),
    };
    if let [run] = &chosen[..] {
        return Ok(folder.join(run));
    }
    let what = if chosen.is_empty() { "there is no such run" } else { "several runs begin like this" };
    let accepted = if runs.is_empty() {
        "the folder of a run, a sweep that was run here, or <sweep>:<beginning of a run's name>".to_string()
    } else {
        runs.iter().map(|run| format!("{sweep}:{run}")).collect::<Vec<_>>().join(", ")
    };
    let problem = Problem::new(Kind::MissingNetlist, format!("{what}: `{name}`")).file(&folder).accepted(accepted);
    Err(if runs.is_empty() { problem.help("run `gaincell sweep` first") } else { problem }.into())
}

/// Names of the runs in a sweep's folder, sorted.
fn runs_in(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let runs = entries.filter(|entry| entry.path().join("manifest.json").is_file());
    let mut names: Vec<String> = runs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The latest run on the technology asked for, or else on the only one that there is, or else on the embedded one.
fn latest(context: &Context, folder: &std::path::Path) -> Vec<String> {
    let techs = crate::project::stems(folder, "latest");
    let tech = match (&context.common.tech, &techs[..]) {
        (Some(tech), _) => tech.clone(),
        (None, [only]) => only.clone(),
        (None, _) => super::EMBEDDED_TECH.to_string(),
    };
    let name = std::fs::read_to_string(folder.join(format!("{tech}.latest")));
    name.into_iter().map(|name| name.trim().to_string()).collect()
}

fn text(names: &[String; 2], runs: [&Dataset; 2], comparison: &Comparison, top: usize) -> String {
    let mut text = String::new();
    for (letter, (name, run)) in ["a", "b"].into_iter().zip(names.iter().zip(runs)) {
        text += &format!("{letter}  {name}  ({} rows)\n", run.rows.len());
    }
    if comparison.provenance.is_empty() {
        text += "\nMade by the same sweep, decks, technology, simulator and seed.\n";
    } else {
        let short = |s: &String| {
            if s.chars().count() > 60 { s.chars().take(57).collect::<String>() + "..." } else { s.clone() }
        };
        let rows: Vec<Vec<String>> =
            comparison.provenance.iter().map(|d| vec![d.what.clone(), short(&d.a), short(&d.b)]).collect();
        text += &format!("\n{}", table(&["made by", "a", "b"], &rows));
    }
    for change in &comparison.deck_changes {
        text += &format!("\ndeck {}\n", change.deck);
        for line in &change.lines {
            text += &format!("  {line}\n");
        }
    }
    text += &format!(
        "\n{} points in both runs, {} only in a, {} only in b\n",
        comparison.paired, comparison.only_a, comparison.only_b
    );
    if let Some(same) = comparison.same_draws {
        text += if same {
            "Monte Carlo: the same draws in both runs, compared sample by sample\n"
        } else {
            "Monte Carlo: other draws, compared as independent samples\n"
        };
    }
    if !comparison.outcome_changes.is_empty() {
        let row =
            |c: &crate::compare::OutcomeChange| vec![place(&c.point), c.a.clone(), c.b.clone(), c.message.clone()];
        let rows: Vec<Vec<String>> = comparison.outcome_changes.iter().take(top).map(row).collect();
        text += &format!("\n{}", table(&["ended otherwise at", "a", "b", "message"], &rows));
        text += &left_out(comparison.outcome_changes.len(), top);
    }
    let summary: Vec<Vec<String>> = comparison
        .measurements
        .iter()
        .map(|m| {
            let size = |value: f64| amount(value, if m.quantity == Quantity::Distribution { "1" } else { &m.unit });
            vec![
                m.measurement.clone(),
                m.quantity.name().into(),
                m.compared.to_string(),
                m.changed.to_string(),
                size(m.median_change),
                size(m.largest_change),
                m.largest_relative.map_or(String::new(), percent),
                place(&m.largest_at),
            ]
        })
        .collect();
    let header = ["measurement", "of", "compared#", "changed#", "median change#", "largest#", "relative#", "there"];
    text += &format!("\n{}", table(&header, &summary));
    let changed: Vec<&Finding> = comparison.findings.iter().filter(|finding| finding.significant).collect();
    if !changed.is_empty() {
        let rows: Vec<Vec<String>> = changed.iter().take(top).map(|finding| row(finding)).collect();
        let header = ["changed", "of", "at", "a#", "b#", "change#", "relative#", "interval", "effect#", "q#", "test"];
        text += &format!("\n{}", table(&header, &rows));
        text += &left_out(changed.len(), top);
    }
    text += &format!(
        "\nNumerical noise: {:e} of the value, or of {} of the measurement's largest ({}).\n",
        comparison.noise.tolerance,
        percent(comparison.noise.floor).trim_start_matches('+'),
        comparison.noise.source
    );
    if comparison.tests > 0 {
        text += &format!(
            "{} tests, level {} over all of them (Benjamini and Hochberg); intervals at {}.\n",
            comparison.tests,
            comparison.alpha,
            percent(1.0 - comparison.alpha).trim_start_matches('+')
        );
    }
    text
}

fn row(finding: &Finding) -> Vec<String> {
    let is_distance = finding.quantity == Quantity::Distribution;
    let size = |value: f64| amount(value, if is_distance { "1" } else { &finding.unit });
    let effect = |effect: f64| {
        if finding.quantity == Quantity::Spread { format!("x {effect:.3}") } else { format!("{effect:+.2} sigma") }
    };
    let mut at = place(&finding.point);
    if let Some(value) = finding.at {
        at += &format!(", axis {value:e}");
    }
    vec![
        finding.measurement.clone(),
        finding.quantity.name().into(),
        at,
        finding.a.map_or(String::new(), size),
        finding.b.map_or(String::new(), size),
        size(finding.change),
        finding.relative.map_or(String::new(), percent),
        finding.interval.map_or(String::new(), |(low, high)| format!("{} .. {}", size(low), size(high))),
        finding.effect.map_or(String::new(), effect),
        finding.q.map_or(String::new(), |q| format!("{q:.1e}")),
        finding.test.into(),
    ]
}

fn amount(value: f64, unit: &str) -> String {
    engineering(value, Unit::from_name(unit).unwrap_or(Unit::One))
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent.abs() >= 10.0 || percent.fract() == 0.0 {
        format!("{percent:+.0} %")
    } else {
        format!("{percent:+.2} %")
    }
}

/// Coordinates in few words; the design's own set goes without saying.
fn place(point: &Point) -> String {
    let parts = point.iter().filter(|(name, value)| !(*name == "set" && *value == "design")).map(|(name, value)| {
        match value.parse::<f64>() {
            Ok(number) if number != 0.0 && (number.abs() < 1e-3 || number.abs() >= 1e5) => format!("{name}={number:e}"),
            _ => format!("{name}={value}"),
        }
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn left_out(all: usize, top: usize) -> String {
    if all > top {
        format!("... and {} more; --top {all} lists all, --json everything\n", all - top)
    } else {
        String::new()
    }
}
