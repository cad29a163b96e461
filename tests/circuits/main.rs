//! The circuits against what a hand calculation, the definition of a code or a publication says of them.
//!
//! Each test plans a shipped sweep, edited where it asks for other values, simulates the points it needs and looks at their
//! measurements. Tolerances say where they come from.
#![cfg(all(feature = "simulate", feature = "dataset"))]

mod cells;
mod periphery;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use gaincell::campaign::planned_job;
use gaincell::dataset::Outcome;
use gaincell::project::Project;
use gaincell::simulate::{Answer, Circuit, Job, PoolOptions, Simulator, WorkerPool};
use gaincell::spec::{Limits, SweepSpec};
use gaincell::sweep::{CORNER_LABEL, PlannedPoint, Planner, RowTemplate};
use gaincell::tech::Technology;

/// One simulated point: its values and its measurements by column.
pub struct Point {
    numbers: BTreeMap<String, f64>,
    corner: String,
}

impl Point {
    /// A value or a measurement, in its base unit.
    pub fn get(&self, column: &str) -> f64 {
        *self.numbers.get(column).unwrap_or_else(|| panic!("no column `{column}` in {:?}", self.numbers.keys()))
    }
}

/// A shipped sweep, to be edited and run.
#[derive(Clone)]
pub struct Sweep {
    text: String,
    /// Lines put into the bench, in front of its `.end`.
    extra: Option<String>,
}

impl Sweep {
    /// The sweep of that name in sweeps/.
    pub fn of(name: &str) -> Sweep {
        let file = Project::find(Some(root()), None).unwrap().sweep_file(name).unwrap();
        Sweep { text: std::fs::read_to_string(file).unwrap(), extra: None }
    }

    /// Replaces a piece of the sweep's text, which must be there.
    pub fn edit(mut self, from: &str, to: &str) -> Sweep {
        assert!(self.text.contains(from), "no `{from}` in\n{}", self.text);
        self.text = self.text.replace(from, to);
        self
    }

    /// A further swept parameter of one value.
    pub fn with(mut self, name: &str, unit: &str, values: &str) -> Sweep {
        self.text += &format!("\n[parameters.{name}]\nunit = \"{unit}\"\nvalues = [{values}]\n");
        self
    }

    /// A corner that the sweep then runs at, as the lines of its table.
    pub fn corner(mut self, name: &str, lines: &str) -> Sweep {
        self.text += &format!("\n[corners.{name}]\n{lines}\n");
        self
    }

    /// A line for the bench.
    pub fn bench_line(mut self, line: &str) -> Sweep {
        self.extra = Some(line.to_string());
        self
    }

    /// Simulates the points of the design that `keep` wants, given their values by column.
    pub fn run(&self, keep: impl Fn(&BTreeMap<String, f64>) -> bool) -> Vec<Point> {
        let of = |(row, answer): (RowTemplate, Answer)| {
            assert_eq!(answer.outcome, Outcome::Ok, "{}", answer.message);
            let measured = answer.measured.iter().filter_map(|(name, value)| Some((name.clone(), value.scalar()?)));
            let numbers = row.values.clone().into_iter().chain(measured).collect();
            Point { numbers, corner: row.labels.get(CORNER_LABEL).cloned().unwrap_or_default() }
        };
        self.answers(keep).into_iter().map(of).collect()
    }

    /// As [`Sweep::run`], to whatever end the points come.
    pub fn answers(&self, keep: impl Fn(&BTreeMap<String, f64>) -> bool) -> Vec<(RowTemplate, Answer)> {
        let project = Project::find(Some(root()), None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("edited.toml");
        let mut text = self.text.clone();
        if let Some(extra) = &self.extra {
            text = edited_bench(&text, extra, &project.benches(), dir.path());
        }
        std::fs::write(&file, text).unwrap();
        let spec = SweepSpec::read(&file, &project.benches()).unwrap();
        let tech = Technology::find(&spec.tech, &project.technologies()).unwrap();
        let planner = Planner::new(&spec, &tech).unwrap();
        let plan = planner.plan(&planner.design(), 0).unwrap();
        let options = PoolOptions { workers: NonZeroUsize::new(1), ..PoolOptions::new(env!("CARGO_BIN_EXE_gaincell")) };
        let mut pool = WorkerPool::new(options).unwrap();
        let limits = Limits { wall_s: 300.0, ..spec.limits };
        let mut found = Vec::new();
        for group in &plan.groups {
            let points: Vec<&PlannedPoint> = group.points.iter().filter(|point| keep(&point.row.values)).collect();
            let job = |(ticket, point): (u64, &&PlannedPoint)| planned_job(ticket, group, point, &limits);
            let jobs: Vec<Job> = (0..).zip(&points).map(job).collect();
            let circuit = Circuit {
                key: group.circuit.key.clone(),
                lines: group.circuit.lines.clone(),
                startup: plan.startup.clone(),
            };
            pool.run(&circuit, &jobs, &mut |answer| {
                found.push((points[usize::try_from(answer.ticket).unwrap()].row.clone(), answer));
                true
            })
            .unwrap();
        }
        assert!(!found.is_empty(), "no point of {} was wanted", spec.name);
        found
    }
}

/// A copy of the sweep's bench with one line more, in `dir`; the sweep's text that names it.
fn edited_bench(text: &str, extra: &str, benches: &Path, dir: &Path) -> String {
    let name = text.lines().find_map(|line| line.strip_prefix("bench = \"")).unwrap().trim_end_matches('"');
    let deck = std::fs::read_to_string(benches.join(name)).unwrap();
    let absolute = |line: &str| match line.strip_prefix(".include ") {
        Some(path) => format!(".include \"{}\"", benches.join(path).display()),
        None => line.to_string(),
    };
    let lines: Vec<String> = deck.lines().filter(|line| *line != ".end").map(absolute).collect();
    std::fs::write(dir.join("edited.cir"), format!("{}\n{extra}\n.end\n", lines.join("\n"))).unwrap();
    text.replace(&format!("\"{name}\""), "\"edited.cir\"")
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Equal within a fraction.
#[track_caller]
pub fn near(found: f64, expected: f64, fraction: f64) {
    assert!((found - expected).abs() <= fraction * expected.abs(), "{found:e} is not {expected:e} within {fraction}");
}

/// Inside bounds, ends included.
#[track_caller]
pub fn within(found: f64, low: f64, high: f64) {
    assert!((low..=high).contains(&found), "{found:e} is not between {low:e} and {high:e}");
}
