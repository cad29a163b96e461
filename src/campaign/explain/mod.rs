//! One point as a stand-alone deck: what plain `ngspice -b` has to be told to give the same measurements.

mod all;
mod find;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::dataset::{Outcome, Row, Value};
use crate::error::{Kind, Problem, Result};
use crate::spec::SweepSpec;
use crate::sweep::{Group, PlannedPoint};
use crate::tech::Technology;

pub use all::{CheckedRun, explain_run};
pub use find::find_point;

/// Relative difference up to which plain ngspice and the harness agree: what one unit in the last place of a literal
/// may come to after an analysis. What is measured on the sweeps here is zero.
pub const AGREEMENT: f64 = 1e-9;

/// Digits of an identity that suffice to ask for it.
const SHORTEST_PREFIX: usize = 6;

/// A point that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointName {
    /// An identity, or the beginning of one.
    Id(String),
    /// A sweep by name or path, and a place in its design.
    Place {
        /// The sweep, as [`Project::sweep_file`] takes it.
        sweep: String,
        /// The place, from 0.
        index: u64,
    },
}

impl PointName {
    /// Reads `<sweep>:<index>` or hexadecimal digits.
    ///
    /// # Errors
    /// [`Kind::Usage`], with what is accepted.
    pub fn parse(text: &str) -> Result<PointName> {
        if let Some((sweep, index)) = text.rsplit_once(':')
            && let Ok(index) = index.parse()
            && !sweep.is_empty()
        {
            return Ok(PointName::Place { sweep: sweep.to_string(), index });
        }
        let digits = text.to_ascii_lowercase();
        if (SHORTEST_PREFIX..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(PointName::Id(digits));
        }
        Err(Problem::new(Kind::Usage, format!("`{text}` names no point"))
            .accepted(format!(
                "<sweep>:<index>, as in retention:7, or an identity: {SHORTEST_PREFIX} to 32 hexadecimal digits"
            ))
            .into())
    }
}

/// A row as a run holds it.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// The row.
    pub row: Row,
    /// The run's folder.
    pub run: PathBuf,
    /// The simulator that made it.
    pub simulator: String,
}

/// A point with everything that makes it.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Its sweep.
    pub spec: SweepSpec,
    /// The technology that it is planned on.
    pub tech: Technology,
    /// The circuit, without other points.
    pub group: Group,
    /// The point.
    pub point: PlannedPoint,
    /// The technology's start-up commands.
    pub startup: Vec<String>,
    /// The row of this very point, if a run has it.
    pub stored: Option<StoredRow>,
    /// A row at the point's place whose identity is another one: netlist, technology, sweep or simulator have changed since.
    pub outdated: Option<StoredRow>,
}

/// A measurement, stored and from plain ngspice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Column.
    pub column: String,
    /// Name that the script prints it under.
    pub printed_as: String,
    /// In the row; `None` if missing there or not simulated.
    pub stored: Option<Numbers>,
    /// From plain ngspice; `None` if not run or missing.
    pub ngspice: Option<Numbers>,
    /// Whether both are there and equal in every bit.
    pub bit_for_bit: bool,
    /// Greatest difference of an element, relative to the greater of both; `None` unless both are there.
    pub relative_difference: Option<f64>,
}

/// A measured value in JSON: a number, or an array of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Numbers {
    /// A scalar.
    One(f64),
    /// A curve.
    Many(Vec<f64>),
}

impl From<&Value> for Numbers {
    fn from(value: &Value) -> Numbers {
        match value {
            Value::Scalar(number) => Numbers::One(*number),
            Value::Curve(numbers) => Numbers::Many(numbers.clone()),
        }
    }
}

/// What `gaincell explain` says.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Sweep.
    pub sweep: String,
    /// Technology.
    pub tech: String,
    /// Place in the design.
    pub index: u64,
    /// Identity, if the simulator's own is known.
    pub id: Option<String>,
    /// Swept values and mismatch draws.
    pub values: BTreeMap<String, f64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// How the stored row ended.
    pub outcome: Option<Outcome>,
    /// The stored row's convergence tier; 0 is the bench's own options.
    pub tier: Option<u8>,
    /// Where deck and start-up file were written.
    pub folder: PathBuf,
    /// The command that runs them.
    pub command: String,
    /// Every measurement.
    pub measurements: Vec<Compared>,
    /// What the harness does differently, a sentence each.
    pub differences: Vec<String>,
    /// What is to be known of this point.
    pub notes: Vec<String>,
}

impl Explanation {
    /// Whether every stored measurement came out of plain ngspice within [`AGREEMENT`].
    pub fn agrees(&self) -> bool {
        let stored = self.measurements.iter().filter(|m| m.stored.is_some());
        stored.into_iter().all(|m| m.relative_difference.is_some_and(|d| d <= AGREEMENT))
    }
}

fn compare(column: &str, printed_as: &str, stored: Option<&Value>, ngspice: Option<&Value>) -> Compared {
    let pairs: Option<Vec<(f64, f64)>> = match (stored, ngspice) {
        (Some(Value::Scalar(a)), Some(Value::Scalar(b))) => Some(vec![(*a, *b)]),
        (Some(Value::Curve(a)), Some(Value::Curve(b))) if a.len() == b.len() => {
            Some(a.iter().copied().zip(b.iter().copied()).collect())
        }
        _ => None,
    };
    let difference = |&(a, b): &(f64, f64)| if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) };
    Compared {
        column: column.to_string(),
        printed_as: printed_as.to_string(),
        stored: stored.map(Numbers::from),
        ngspice: ngspice.map(Numbers::from),
        // A zero of either sign is the same zero.
        bit_for_bit: pairs.as_ref().is_some_and(|pairs| pairs.iter().all(|(a, b)| a == b)),
        relative_difference: pairs.map(|pairs| pairs.iter().map(difference).fold(0.0, f64::max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_two_names() {
        let place = |sweep: &str, index| PointName::Place { sweep: sweep.into(), index };
        assert_eq!(PointName::parse("retention:7").unwrap(), place("retention", 7));
        assert_eq!(PointName::parse("my dir/own.toml:0").unwrap(), place("my dir/own.toml", 0));
        assert_eq!(PointName::parse("0A1b2c").unwrap(), PointName::Id("0a1b2c".into()));
        for bad in ["", "retention", "retention:", "retention:x", ":3", "0a1b", "0a1b2g"] {
            assert_eq!(PointName::parse(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn comparison_tells_equal_bits_from_close_ones() {
        let scalar = |x| Value::Scalar(x);
        let close = compare("a", "a", Some(&scalar(1.0)), Some(&scalar(1.0 + 1e-12)));
        assert!(!close.bit_for_bit && close.relative_difference.is_some_and(|d| d > 9e-13 && d < 1.1e-12));
        let curves = Value::Curve(vec![0.0, -2.0]);
        assert!(compare("a", "a", Some(&curves), Some(&Value::Curve(vec![-0.0, -2.0]))).bit_for_bit);
        assert_eq!(compare("a", "a", Some(&curves), Some(&Value::Curve(vec![0.0]))).relative_difference, None);
        assert_eq!(compare("a", "a", Some(&scalar(1.0)), None).relative_difference, None);
    }
}
