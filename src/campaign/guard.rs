//! The leakage guard: which measurements were the simulator's floor and not the circuit.
//!
//! A few points run again at a tenth of gmin and of every tolerance. A measurement that moves by more than the sweep's
//! tolerance is dominated by that floor: by conductances that ngspice adds to help itself, or by its time steps. The rest of
//! the column is then not to be trusted either, which is why fits and the report say so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Outcome, Row, Value};
use crate::sweep::{GUARD_INDEX, OWN_TOLERANCES};

/// The label that says what a guard found: one of the following.
pub const FLOOR_LABEL: &str = "floor";
/// The point did not run again, or its second run failed.
pub const UNCHECKED: &str = "unchecked";
/// Nothing moved.
pub const CLEAR: &str = "clear";
/// A measurement moved.
pub const DOMINATED: &str = "dominated";

/// A value this far below the greatest of its column counts as zero: it cannot move by a fraction of itself.
const NEGLIGIBLE: f64 = 1e-3;

/// Rows that were repeated and whose label changes by it, with their new label.
pub fn judge(rows: &[Row], tolerance: f64) -> Vec<Row> {
    let by_index: BTreeMap<u64, &Row> = rows.iter().map(|row| (row.index, row)).collect();
    let scales = scales(rows);
    let mut changed = Vec::new();
    for guard in rows.iter().filter(|row| row.index >= GUARD_INDEX) {
        let Some(row) = by_index.get(&(guard.index - GUARD_INDEX)) else { continue };
        // Above that tier a guard has tolerances that are not a tenth of the bench's.
        let both = row.outcome == Outcome::Ok && guard.outcome == Outcome::Ok && guard.tier <= OWN_TOLERANCES;
        let label = match both {
            false => UNCHECKED,
            true if moved(row, guard, &scales, tolerance).is_empty() => CLEAR,
            true => DOMINATED,
        };
        if row.labels.get(FLOOR_LABEL).is_some_and(|old| old != label) {
            let mut row = (*row).clone();
            row.labels.insert(FLOOR_LABEL.to_string(), label.to_string());
            changed.push(row);
        }
    }
    changed
}

/// The measurements of a repeated row that moved, with the greatest change of each relative to its value.
pub fn moved(row: &Row, guard: &Row, scales: &BTreeMap<String, f64>, tolerance: f64) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for (column, value) in &row.measured {
        let Some(again) = guard.measured.get(column) else { continue };
        let scale = NEGLIGIBLE * scales.get(column).copied().unwrap_or(0.0);
        let change = numbers(value)
            .iter()
            .zip(numbers(again))
            .map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() / a.abs().max(scale) })
            .fold(0.0, f64::max);
        if change > tolerance {
            found.push((column.clone(), change));
        }
    }
    found
}

/// A column that moved with the simulator's floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FloorFinding {
    /// The measurement's column.
    pub column: String,
    /// Greatest change of a guarded value, relative to it.
    pub change: f64,
    /// Guarded points at which it moved.
    pub points: u64,
}

/// The columns of a run that moved with the simulator's floor, in alphabetical order.
pub fn floor_findings(dataset: &Dataset) -> Vec<FloorFinding> {
    let Some(tolerance) = dataset.manifest.guard_tolerance else { return Vec::new() };
    let scales = scales(&dataset.rows);
    let by_index: BTreeMap<u64, &Row> = dataset.rows.iter().map(|row| (row.index, row)).collect();
    let mut found: BTreeMap<String, FloorFinding> = BTreeMap::new();
    for row in dataset.rows.iter().filter(|row| row.labels.get(FLOOR_LABEL).is_some_and(|label| label == DOMINATED)) {
        let Some(guard) = by_index.get(&(row.index + GUARD_INDEX)) else { continue };
        for (column, change) in moved(row, guard, &scales, tolerance) {
            let finding = FloorFinding { column: column.clone(), change: 0.0, points: 0 };
            let finding = found.entry(column).or_insert(finding);
            finding.change = finding.change.max(change);
            finding.points += 1;
        }
    }
    found.into_values().collect()
}

/// The greatest magnitude of each column.
pub fn scales(rows: &[Row]) -> BTreeMap<String, f64> {
    let mut scales = BTreeMap::new();
    for (column, value) in rows.iter().flat_map(|row| &row.measured) {
        let greatest = numbers(value).iter().fold(0.0, |greatest: f64, v| greatest.max(v.abs()));
        let scale: &mut f64 = scales.entry(column.clone()).or_default();
        *scale = scale.max(greatest);
    }
    scales
}

fn numbers(value: &Value) -> &[f64] {
    match value {
        Value::Scalar(value) => std::slice::from_ref(value),
        Value::Curve(values) => values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::PointId;

    fn row(index: u64, current_a: f64) -> Row {
        Row {
            id: PointId(format!("{index:032}")),
            index,
            values: BTreeMap::new(),
            labels: [(FLOOR_LABEL.to_string(), UNCHECKED.to_string())].into(),
            outcome: Outcome::Ok,
            tier: 0,
            measured: [("i_leak_a".to_string(), Value::Scalar(current_a))].into(),
            message: String::new(),
        }
    }

    #[test]
    fn what_follows_gmin_is_dominated_and_a_zero_crossing_is_not() {
        // 0.9 V over gmin = 1e-12 S is 0.9 pA; at a tenth of it, 0.09 pA.
        let rows = [row(0, 0.9e-12), row(1, 1e-9), row(2, 1e-16), row(3, 5e-12)].into_iter();
        let again = [row(0, 0.09e-12), row(1, 1.001e-9), row(2, 2e-16)].into_iter();
        let rows: Vec<Row> = rows.chain(again.map(|r| Row { index: r.index + GUARD_INDEX, ..r })).collect();
        let found: Vec<(u64, String)> =
            judge(&rows, 0.01).into_iter().map(|row| (row.index, row.labels[FLOOR_LABEL].clone())).collect();
        let expected = [(0, DOMINATED), (1, CLEAR), (2, CLEAR)].map(|(index, label)| (index, label.to_string()));
        assert_eq!(found, expected, "beside 1 nA, 0.1 fA is a zero and 0.9 pA is not");
    }

    #[test]
    fn a_guard_that_failed_says_nothing() {
        let failed = Row { index: GUARD_INDEX, outcome: Outcome::Nonconvergence, ..row(0, 2.0) };
        assert!(judge(&[row(0, 1.0), failed], 0.01).is_empty());
    }
}
