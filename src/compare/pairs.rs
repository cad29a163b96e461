//! Which rows of two runs belong together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::finding::Point;
use super::{DRAW, SAMPLE};
use crate::dataset::{Dataset, Outcome, Row};
use crate::sweep::{GUARD, SET_LABEL};

/// A paired row that ended otherwise, or was reached with other options of the simulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeChange {
    /// Where in the design; Monte Carlo rows with their `sample`.
    pub point: Point,
    /// Outcome in the first run, with the tier if it is not 0: `ok`, `ok (tier 2)`.
    pub a: String,
    /// Outcome in the second run.
    pub b: String,
    /// What the simulator said where a run failed.
    pub message: String,
}

/// The rows of one design point; only good ones of the bench's own options.
#[derive(Debug, Clone)]
pub(super) struct PointRows<'a> {
    pub point: Point,
    pub a: Vec<&'a Row>,
    pub b: Vec<&'a Row>,
    /// Rows good in both runs that are of one sample.
    pub pairs: Vec<(&'a Row, &'a Row)>,
    /// Whether the rows are samples of a Monte Carlo.
    pub is_random: bool,
}

/// Two runs' rows, paired.
#[derive(Debug, Clone)]
pub(super) struct Pairs<'a> {
    pub groups: Vec<PointRows<'a>>,
    pub paired: usize,
    pub only_a: usize,
    pub only_b: usize,
    pub outcome_changes: Vec<OutcomeChange>,
    pub same_draws: Option<bool>,
}

/// The label that a leakage guard gives, and its value for numbers that the simulator's floor decides; `campaign::guard`, which
/// stands below, writes them.
const FLOOR: &str = "floor";
const FLOOR_DOMINATED: &str = "dominated";

/// Correlation of the draws of a device in both runs above which they are the same draws: a changed mismatch constant scales
/// them, and a mean added to them shifts them, neither of which lowers it.
const SAME_DRAWS: f64 = 1.0 - 1e-9;

pub(super) fn pair<'a>(a: &'a Dataset, b: &'a Dataset) -> Pairs<'a> {
    let (by_a, by_b) = (by_point(a), by_point(b));
    let mut points: Vec<&Point> = by_a.keys().chain(by_b.keys().filter(|point| !by_a.contains_key(*point))).collect();
    points.sort_by_key(|point| first_index(&by_a, point).or(first_index(&by_b, point)));
    let mut pairs =
        Pairs { groups: Vec::new(), paired: 0, only_a: 0, only_b: 0, outcome_changes: Vec::new(), same_draws: None };
    let none = Samples::new();
    for point in points {
        let (of_a, of_b) = (by_a.get(point).unwrap_or(&none), by_b.get(point).unwrap_or(&none));
        let mut group = PointRows {
            point: point.clone(),
            a: good(of_a),
            b: good(of_b),
            pairs: Vec::new(),
            is_random: of_a.keys().chain(of_b.keys()).any(|(sample, _)| sample.is_some()),
        };
        for (key, row) in of_a {
            let Some(other) = of_b.get(key) else { continue };
            pairs.paired += 1;
            if ending(row) != ending(other) {
                pairs.outcome_changes.push(outcome_change(point, key.0, row, other));
            }
            if is_good(row) && is_good(other) {
                group.pairs.push((row, other));
            }
        }
        pairs.only_a += of_a.keys().filter(|key| !of_b.contains_key(*key)).count();
        pairs.only_b += of_b.keys().filter(|key| !of_a.contains_key(*key)).count();
        pairs.groups.push(group);
    }
    if pairs.groups.iter().any(|group| group.is_random) {
        pairs.same_draws = Some(a.manifest.seed == b.manifest.seed && same_draws(&pairs.groups));
    }
    pairs
}

/// Rows of one design point by sample, and by order where several have the same.
type Samples<'a> = BTreeMap<(Option<u64>, usize), &'a Row>;

fn by_point(data: &Dataset) -> BTreeMap<Point, Samples<'_>> {
    let mut points: BTreeMap<Point, Samples> = BTreeMap::new();
    // A guard repeats points of the design; what it found is the points' label.
    for row in data.rows.iter().filter(|row| row.labels.get(SET_LABEL).is_none_or(|set| set != GUARD)) {
        let samples = points.entry(coordinates(row)).or_default();
        let sample = row.values.get(SAMPLE).map(|sample| *sample as u64);
        let place = samples.keys().filter(|key| key.0 == sample).count();
        samples.insert((sample, place), row);
    }
    points
}

/// Swept values and labels as text. Nine digits: the same number computed in two ways is one coordinate.
fn coordinates(row: &Row) -> Point {
    let swept = row.values.iter().filter(|(name, _)| *name != SAMPLE && !name.starts_with(DRAW));
    let number = |value: f64| format!("{value:.9e}").parse::<f64>().unwrap_or(value).to_string();
    let swept = swept.map(|(name, value)| (name.clone(), number(*value)));
    let labels = row.labels.iter().filter(|(name, _)| *name != FLOOR);
    swept.chain(labels.map(|(name, label)| (name.clone(), label.clone()))).collect()
}

fn first_index(points: &BTreeMap<Point, Samples>, point: &Point) -> Option<u64> {
    points.get(point)?.values().map(|row| row.index).min()
}

fn is_good(row: &Row) -> bool {
    row.outcome == Outcome::Ok && row.tier == 0
}

fn good<'a>(samples: &Samples<'a>) -> Vec<&'a Row> {
    samples.values().copied().filter(|row| is_good(row)).collect()
}

/// How a row ended, in words.
fn ending(row: &Row) -> String {
    let mut text = row.outcome.to_string();
    if row.tier > 0 {
        text += &format!(" (tier {})", row.tier);
    }
    if row.labels.get(FLOOR).is_some_and(|floor| floor == FLOOR_DOMINATED) {
        text += ", floor-dominated";
    }
    text
}

fn outcome_change(point: &Point, sample: Option<u64>, a: &Row, b: &Row) -> OutcomeChange {
    let mut point = point.clone();
    point.extend(sample.map(|sample| (SAMPLE.to_string(), sample.to_string())));
    let message = if b.message.is_empty() { &a.message } else { &b.message };
    OutcomeChange { point, a: ending(a), b: ending(b), message: message.clone() }
}

/// Whether every device got the same draw in both runs, up to its scale.
fn same_draws(groups: &[PointRows]) -> bool {
    let pairs: Vec<(&Row, &Row)> = groups.iter().flat_map(|group| group.pairs.iter().copied()).collect();
    let Some((first, other)) = pairs.first() else { return false };
    let draws = |row: &Row| row.values.keys().filter(|name| name.starts_with(DRAW)).cloned().collect::<Vec<_>>();
    let names = draws(first);
    names == draws(other)
        && names.iter().all(|name| {
            let drawn = pairs.iter().filter_map(|(a, b)| Some((*a.values.get(name)?, *b.values.get(name)?)));
            correlation(&drawn.collect::<Vec<_>>()) >= SAME_DRAWS
        })
}

/// Pearson's correlation; 1 where neither side varies.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (ma, mb) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| f(a - ma, b - mb)).sum::<f64>();
    let (aa, bb, ab) = (sum(&|a, _| a * a), sum(&|_, b| b * b), sum(&|a, b| a * b));
    if aa == 0.0 && bb == 0.0 { 1.0 } else { ab / (aa * bb).sqrt() }
}
