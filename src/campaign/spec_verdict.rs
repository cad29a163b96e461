//! Spec limits: which measurements stay inside them, corner by corner.

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Outcome, Row};
use crate::spec::{SpecLimit, SweepSpec};
use crate::sweep::{CORNER_LABEL, GUARD_INDEX};

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
    /// Every point is there and inside.
    pub pass: bool,
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
        for corner in &corners {
            let here = |row: &&Row| row.index < GUARD_INDEX && row.labels.get(CORNER_LABEL) == corner.as_ref();
            let rows: Vec<&Row> = dataset.rows.iter().filter(here).collect();
            let good = rows.iter().filter(|row| row.outcome == Outcome::Ok && row.tier == 0);
            let values: Vec<f64> = good.filter_map(|row| row.measured.get(&measure.column)?.scalar()).collect();
            let outside = values.iter().filter(|value| !limit.passes(**value)).count() as u64;
            let missing = (rows.len() - values.len()) as u64;
            verdicts.push(SpecVerdict {
                measurement: measure.column.clone(),
                unit: measure.unit.symbol().to_string(),
                corner: corner.clone(),
                limit,
                points: rows.len() as u64,
                missing,
                outside,
                least: values.iter().copied().reduce(f64::min),
                mean: (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
                greatest: values.iter().copied().reduce(f64::max),
                pass: outside == 0 && missing == 0 && !rows.is_empty(),
            });
        }
    }
    verdicts
}
