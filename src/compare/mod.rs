//! Two runs side by side: what made them, which points ended otherwise, and which numbers moved by more than chance and
//! numerical noise.
//!
//! Rows are paired by their swept values and labels, Monte Carlo rows within one design point by their sample where both runs
//! drew the same devices. A deterministic number counts as changed beyond numerical noise; of Monte Carlo samples, mean, spread
//! and distribution are tested ([`statistics`]), the p values corrected over all tests, and a change below noise never counts,
//! however sure it is.

mod finding;
mod group;
mod lines;
mod pairs;
mod provenance;
pub mod statistics;

use serde::Serialize;

pub use finding::{Finding, MeasurementChange, Point, Quantity};
pub use pairs::OutcomeChange;
pub use provenance::{DeckChange, Difference};

use crate::dataset::Dataset;
use crate::fit::stats::{quantile_sorted, sorted};

/// Columns that begin so are device draws, not coordinates.
const DRAW: &str = "draw_";
/// The column of a Monte Carlo sample's number.
const SAMPLE: &str = "sample";

/// ngspice's `reltol` where a deck does not state it.
const DEFAULT_RELTOL: f64 = 1e-3;
/// Numerical noise over the simulator's relative tolerance: errors of single steps add up along a transient.
const NOISE_OVER_RELTOL: f64 = 10.0;

/// How two runs are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Level of all tests together.
    pub alpha: f64,
    /// Relative change that numerical noise may make; `None` takes 10 times the decks' `reltol`.
    pub tolerance: Option<f64>,
    /// Numbers below this share of a measurement's largest magnitude are held against that share instead of themselves: a
    /// number that crosses zero has no relative accuracy there.
    pub floor: f64,
}

impl Default for Options {
    fn default() -> Options {
        Options { alpha: 0.01, tolerance: None, floor: 0.01 }
    }
}

/// What numerical noise is taken to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Noise {
    /// Relative change that it may make.
    pub tolerance: f64,
    /// Where that number comes from.
    pub source: String,
    /// The share of a measurement's largest magnitude below which it counts in full.
    pub floor: f64,
}

/// Two runs compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What made the runs, where it differs.
    pub provenance: Vec<Difference>,
    /// Lines of decks that differ, where their texts are kept.
    pub deck_changes: Vec<DeckChange>,
    /// Rows that have a partner in the other run.
    pub paired: usize,
    /// Rows of the first run without one.
    pub only_a: usize,
    /// Rows of the second run without one.
    pub only_b: usize,
    /// Paired rows that ended otherwise, or on another tier.
    pub outcome_changes: Vec<OutcomeChange>,
    /// Whether Monte Carlo rows are compared sample by sample; absent without such rows.
    pub same_draws: Option<bool>,
    /// Level of all tests together.
    pub alpha: f64,
    /// What numerical noise is taken to be.
    pub noise: Noise,
    /// Tests that gave a p value.
    pub tests: usize,
    /// One line per measurement and quantity.
    pub measurements: Vec<MeasurementChange>,
    /// Every comparison, the significant ones first, then by how far they stand above noise.
    pub findings: Vec<Finding>,
}

impl Comparison {
    /// Comparisons that count as changed, and rows that ended otherwise.
    pub fn changes(&self) -> usize {
        self.findings.iter().filter(|finding| finding.significant).count() + self.outcome_changes.len()
    }
}

/// Compares `b` with `a`; `deck` gives the text of a deck by its key, where it is kept.
pub fn compare(a: &Dataset, b: &Dataset, options: &Options, deck: &dyn Fn(&str) -> Option<String>) -> Comparison {
    let noise = noise(a, b, options, deck);
    let pairs = pairs::pair(a, b);
    let mut findings = Vec::new();
    for measurement in &a.manifest.measurements {
        let Some(other) = b.manifest.measurements.iter().find(|other| other.name == measurement.name) else { continue };
        if other.unit != measurement.unit || other.curve_at != measurement.curve_at {
            continue;
        }
        let scale = group::full_scale(&measurement.name, [a, b]);
        for group in &pairs.groups {
            findings.extend(group::compare(group, measurement, pairs.same_draws, scale, options.alpha, &noise));
        }
    }
    let tested: Vec<usize> = (0..findings.len()).filter(|&k| findings[k].p.is_some()).collect();
    let q = statistics::benjamini_hochberg(&tested.iter().filter_map(|&k| findings[k].p).collect::<Vec<_>>());
    for (&k, &q) in tested.iter().zip(&q) {
        findings[k].q = Some(q);
        findings[k].significant &= q < options.alpha;
    }
    let measurements = summaries(&findings);
    // A stable sort: what is equal stays in the order of measurements and points.
    findings.sort_by(|x, y| y.significant.cmp(&x.significant).then(y.weight().total_cmp(&x.weight())));
    Comparison {
        provenance: provenance::differences(&a.manifest, &b.manifest),
        deck_changes: provenance::deck_changes(&a.manifest, &b.manifest, deck),
        paired: pairs.paired,
        only_a: pairs.only_a,
        only_b: pairs.only_b,
        outcome_changes: pairs.outcome_changes,
        same_draws: pairs.same_draws,
        alpha: options.alpha,
        noise,
        tests: tested.len(),
        measurements,
        findings,
    }
}

fn noise(a: &Dataset, b: &Dataset, options: &Options, deck: &dyn Fn(&str) -> Option<String>) -> Noise {
    let (tolerance, source) = match (options.tolerance, provenance::reltol([&a.manifest, &b.manifest], deck)) {
        (Some(tolerance), _) => (tolerance, "as asked for".to_string()),
        (None, Some(reltol)) => (NOISE_OVER_RELTOL * reltol, format!("10 x the decks' reltol of {reltol:e}")),
        (None, None) => (
            NOISE_OVER_RELTOL * DEFAULT_RELTOL,
            format!("10 x ngspice's default reltol of {DEFAULT_RELTOL:e}: no deck that is kept states another"),
        ),
    };
    Noise { tolerance, source, floor: options.floor }
}

fn summaries(findings: &[Finding]) -> Vec<MeasurementChange> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Vec<&Finding>| {
            group[0].measurement == finding.measurement && group[0].quantity == finding.quantity
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let summary = |group: Vec<&Finding>| {
        let largest = group
            .iter()
            .copied()
            .fold(group[0], |most, finding| if finding.change.abs() > most.change.abs() { finding } else { most });
        MeasurementChange {
            measurement: largest.measurement.clone(),
            unit: largest.unit.clone(),
            quantity: largest.quantity,
            compared: group.len(),
            changed: group.iter().filter(|finding| finding.significant).count(),
            median_change: quantile_sorted(&sorted(&group.iter().map(|f| f.change).collect::<Vec<_>>()), 0.5),
            largest_change: largest.change,
            largest_relative: largest.relative,
            largest_at: largest.point.clone(),
        }
    };
    groups.into_iter().map(summary).collect()
}

#[cfg(test)]
mod tests;
