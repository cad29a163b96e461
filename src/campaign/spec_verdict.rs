//! Spec limits: which measurements stay inside them, corner by corner, where they are worst, and what share of dice passes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Outcome, Row};
use crate::fit::stats::binomial_interval;
use crate::spec::{SpecLimit, SweepSpec};
use crate::sweep::{CORNER_LABEL, GUARD_INDEX};

/// Probability with which the interval of a yield holds the true one.
const CONFIDENCE: f64 = 0.95;

/// What became of one measurement's limits at one corner, in the measurement's base unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecVerdict {
    /// The measurement's column.
    pub measurement: String,
    /// Symbol of its unit.
    pub unit: String,
    /// The corner; `None` for nominal conditions.
    pub corner: Option<String>,
    /// The limits.
    pub limit: SpecLimit,
    /// Points of the design, held-out ones included.
    pub points: u64,
    /// Points without the number: a specification is not met by what could not be simulated.
    pub missing: u64,
    /// Points outside the limits.
    pub outside: u64,
    /// Least value; `None` if there is none, as are the following.
    pub least: Option<f64>,
    /// Mean.
    pub mean: Option<f64>,
    /// Greatest value.
    pub greatest: Option<f64>,
    /// The point with the least margin; `None` if `typ` alone is given.
    #[serde(default)]
    pub worst: Option<WorstPoint>,
    /// Of a sweep with mismatch: how many dice pass.
    #[serde(default)]
    pub dice: Option<Dice>,
    /// Whether no other corner has less margin.
    #[serde(default)]
    pub worst_corner: bool,
    /// Every point is there and inside; where a yield is asked for, the lower end of its interval reaches it.
    pub pass: bool,
}

/// Where a measurement has the least margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstPoint {
    /// Its value.
    pub value: f64,
    /// How far it is inside; negative outside.
    pub margin: f64,
    /// The swept parameters there, by column, and the number of the mismatch sample.
    pub at: BTreeMap<String, f64>,
}

/// Dice that pass: all of a die's points are there and inside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dice {
    /// Dice that were drawn.
    pub drawn: u64,
    /// Dice that pass.
    pub good: u64,
    /// Their share.
    pub fraction: f64,
    /// Its interval of 95 % by Clopper and Pearson.
    pub interval: [f64; 2],
}

/// The verdict of every measurement with limits at every corner. Rows of a relaxed tier count as missing.
pub fn spec_verdicts(spec: &SweepSpec, dataset: &Dataset) -> Vec<SpecVerdict> {
    let corners: Vec<Option<String>> = match spec.corners.as_slice() {
        [] => vec![None],
        corners => corners.iter().map(|corner| Some(corner.name.clone())).collect(),
    };
    let mut verdicts = Vec::new();
    for measure in &spec.measures {
        let Some(limit) = measure.limit else { continue };
        let of_corner = |corner: &Option<String>| {
            let here = |row: &&Row| row.index < GUARD_INDEX && row.labels.get(CORNER_LABEL) == corner.as_ref();
            let rows: Vec<&Row> = dataset.rows.iter().filter(here).collect();
            let mut verdict = verdict(spec, &measure.column, limit, &rows);
            (verdict.unit, verdict.corner) = (measure.unit.symbol().to_string(), corner.clone());
            verdict
        };
        let mut own: Vec<SpecVerdict> = corners.iter().map(of_corner).collect();
        let margin = |verdict: &SpecVerdict| verdict.worst.as_ref().map(|worst| worst.margin);
        let least = own.iter().filter_map(margin).reduce(f64::min);
        own.iter_mut().for_each(|verdict| verdict.worst_corner = least.is_some() && margin(verdict) == least);
        verdicts.extend(own);
    }
    verdicts
}

fn verdict(spec: &SweepSpec, column: &str, limit: SpecLimit, rows: &[&Row]) -> SpecVerdict {
    let value = |row: &Row| {
        let good = row.outcome == Outcome::Ok && row.tier == 0;
        row.measured.get(column).filter(|_| good).and_then(crate::dataset::Value::scalar)
    };
    let found: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((*row, value(row)?))).collect();
    let values = || found.iter().map(|(_, value)| *value);
    let outside = values().filter(|value| !limit.passes(*value)).count() as u64;
    let missing = (rows.len() - found.len()) as u64;
    let worst = found
        .iter()
        .filter(|(_, value)| limit.margin(*value).is_finite())
        .min_by(|(_, a), (_, b)| limit.margin(*a).total_cmp(&limit.margin(*b)))
        .map(|(row, value)| {
            let columns = spec.parameters.iter().map(|parameter| parameter.column()).chain([SAMPLE.to_string()]);
            let at = columns.filter_map(|column| Some((column.clone(), *row.values.get(&column)?))).collect();
            WorstPoint { value: *value, margin: limit.margin(*value), at }
        });
    let dice = spec.mismatch.as_ref().and_then(|_| {
        let mut dice: BTreeMap<u64, bool> = BTreeMap::new();
        for row in rows {
            let sample = *row.values.get(SAMPLE)? as u64;
            *dice.entry(sample).or_insert(true) &= value(row).is_some_and(|value| limit.passes(value));
        }
        let (drawn, good) = (dice.len() as u64, dice.values().filter(|good| **good).count() as u64);
        let interval = binomial_interval(good, drawn, CONFIDENCE);
        (drawn > 0).then(|| Dice { drawn, good, fraction: good as f64 / drawn as f64, interval })
    });
    let pass = match (limit.least_yield, dice) {
        (Some(least), Some(dice)) => dice.interval[0] >= least,
        _ => outside == 0 && missing == 0 && !rows.is_empty(),
    };
    SpecVerdict {
        measurement: column.to_string(),
        unit: String::new(),
        corner: None,
        limit,
        points: rows.len() as u64,
        missing,
        outside,
        least: values().reduce(f64::min),
        mean: (!found.is_empty()).then(|| values().sum::<f64>() / found.len() as f64),
        greatest: values().reduce(f64::max),
        worst,
        dice,
        worst_corner: false,
        pass,
    }
}

/// Column of the mismatch sample's number.
const SAMPLE: &str = "sample";
