//! Spec limits: which measurements stay inside them, corner by corner, where they are worst, and what share of dice passes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Row};
use crate::fit::stats::binomial_interval;
use crate::spec::{SpecLimit, SweepSpec};
use crate::sweep::{CORNER_LABEL, GUARD_INDEX, judged};
use crate::units::{Unit, engineering};

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

impl WorstPoint {
    /// The parameters as a reader writes them: `v_level 600.0 mV, sample 7`.
    pub fn place(&self) -> String {
        let one = |(column, value): (&String, &f64)| match Unit::of_column(column) {
            Some((name, unit)) => format!("{name} {}", engineering(*value, unit)),
            None => format!("{column} {value}"),
        };
        self.at.iter().map(one).collect::<Vec<_>>().join(", ")
    }
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

/// The verdict of every measurement with limits at every corner. Rows that are not [`judged`] count as missing: a tier with other
/// tolerances than the bench's says nothing about them.
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
    let value = |row: &Row| row.measured.get(column).filter(|_| judged(row)).and_then(crate::dataset::Value::scalar);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Manifest, Outcome, PointId, Value};

    const SWEEP: &str = r#"schema = 1
name = "x"
tech = "t"
bench = "x.cir"
[parameters.v_in]
unit = "V"
values = ["0.1 V", "0.2 V"]
[corners.hot]
temp = "85 degC"
[corners.cold]
temp = "-40 degC"
[mismatch]
samples = 100
seed = 1
instances = ["xc"]
[[measure]]
name = "v_out"
unit = "V"
at = "v(o)"
time = "1 ns"
spec = { max = "1 V", yield = "90 %" }
"#;

    fn spec(text: &str) -> crate::error::Result<SweepSpec> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.cir"), "t\nr1 o 0 1\n.tran 1n 2n\n").unwrap();
        std::fs::write(dir.path().join("x.toml"), text).unwrap();
        SweepSpec::read(&dir.path().join("x.toml"), dir.path())
    }

    /// Every die at both inputs and corners; the output rises with the number of the die, and more so hot.
    fn dataset(broken: Option<u64>) -> Dataset {
        let mut rows = Vec::new();
        for (corner, gain) in [("hot", 0.0102), ("cold", 0.0050)] {
            for v_in in [0.1, 0.2] {
                for sample in 0..100u64 {
                    let index = rows.len() as u64;
                    let ok = broken != Some(sample);
                    let value = gain * sample as f64 + (v_in - 0.2);
                    rows.push(Row {
                        id: PointId(format!("{index:032x}")),
                        index,
                        values: [("v_in_v".to_string(), v_in), (SAMPLE.to_string(), sample as f64)].into(),
                        labels: [(CORNER_LABEL.to_string(), corner.to_string())].into(),
                        outcome: if ok { Outcome::Ok } else { Outcome::Crash },
                        tier: 0,
                        measured: [("v_out_v".to_string(), Value::Scalar(value))].into(),
                        message: String::new(),
                    });
                }
            }
        }
        Dataset { manifest: Manifest::new("x", "quick"), rows }
    }

    #[test]
    fn limits_name_the_worst_point_and_corner_and_count_dice() {
        let verdicts = spec_verdicts(&spec(SWEEP).unwrap(), &dataset(None));
        let [cold, hot] = &verdicts[..] else { panic!("{verdicts:?}") };
        assert!(hot.worst_corner && !cold.worst_corner);
        let worst = hot.worst.as_ref().unwrap();
        assert_eq!(worst.at, [("sample".to_string(), 99.0), ("v_in_v".to_string(), 0.2)].into());
        assert_eq!(worst.place(), "sample 99, v_in 200.0 mV");
        assert!((worst.margin + 0.0098).abs() < 1e-12, "0.0102 * 99 is 1.0098");
        // Only die 99 is outside, and only at the higher input: one point, one die.
        let dice = hot.dice.unwrap();
        assert_eq!((hot.outside, dice.drawn, dice.good), (1, 100, 99));
        assert!(dice.interval[0] < 0.99 && dice.interval[1] > 0.99);
        assert!(hot.pass, "99 of 100 dice show 90 % with confidence: {:?}", dice.interval);
        assert_eq!(cold.dice.unwrap().good, 100);
    }

    #[test]
    fn a_die_that_could_not_be_simulated_is_not_good() {
        let verdicts = spec_verdicts(&spec(SWEEP).unwrap(), &dataset(Some(3)));
        assert_eq!((verdicts[1].missing, verdicts[1].dice.unwrap().good), (2, 98));
        let strict = SWEEP.replace("yield = \"90 %\"", "yield = \"98 %\"");
        assert!(!spec_verdicts(&spec(&strict).unwrap(), &dataset(None))[1].pass, "99 of 100 dice do not show 98 %");
    }

    /// More iterations make no other die of it, other tolerances may.
    #[test]
    fn limits_take_the_tiers_that_keep_the_bench_s_tolerances() {
        let at_tier = |tier: u8| {
            let mut dataset = dataset(None);
            dataset.rows.iter_mut().filter(|row| row.values[SAMPLE] == 3.0).for_each(|row| row.tier = tier);
            let hot = spec_verdicts(&spec(SWEEP).unwrap(), &dataset).remove(1);
            (hot.missing, hot.dice.unwrap().good)
        };
        assert_eq!([at_tier(0), at_tier(1), at_tier(2)], [(0, 99), (0, 99), (2, 98)]);
    }

    #[test]
    fn a_yield_needs_dice_and_is_a_share() {
        let without = SWEEP.replace("[mismatch]\nsamples = 100\nseed = 1\ninstances = [\"xc\"]\n", "");
        assert!(spec(&without).unwrap_err().to_string().contains("draws no dice"));
        assert!(spec(&SWEEP.replace("90 %", "100 %")).unwrap_err().to_string().contains("share of the dice"));
    }
}
