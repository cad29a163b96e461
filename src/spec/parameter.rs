//! A swept parameter: its unit and its values, listed or between two ends.

use crate::error::{Kind, Problem};
use crate::keys::Keys;
use crate::units::Unit;

/// One swept parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// The bench's `.param`, or `temp`.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Its values, in the order of the file, in the base unit; empty where the design chooses them in `range`.
    pub values: Vec<f64>,
    /// Least and greatest value, in the base unit.
    pub range: (f64, f64),
    /// Written as a list of `values`: a design between them makes no sense, so it chooses among them.
    pub listed: bool,
    /// Whether held-out points lie evenly in the logarithm.
    pub logarithmic: bool,
}

impl ParameterSpec {
    /// The column that holds its values.
    pub fn column(&self) -> String {
        self.unit.column(&self.name)
    }
}

pub(super) fn read_parameter(name: &str, keys: &Keys<'_>, sampled: bool) -> ParameterSpec {
    let unit = read_unit(keys).unwrap_or(Unit::One);
    let logarithmic = keys.choice("scale", &[("linear", false), ("log", true)]).unwrap_or(false);
    let listed = keys.has("values");
    let mut range = None;
    let values = if listed {
        let values = keys.quantities("values", unit);
        if values.as_ref().is_some_and(Vec::is_empty) {
            let problem = Problem::new(Kind::SpecKey, "there is no value to sweep");
            keys.problem(problem.accepted("at least one value"), "values");
        }
        values.unwrap_or_default()
    } else if sampled && !keys.has("steps") {
        range = read_ends(keys, unit, logarithmic);
        Vec::new()
    } else {
        read_range(keys, unit, logarithmic)
    };
    keys.finish();
    let extent = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let range = range.unwrap_or(extent);
    ParameterSpec { name: name.to_ascii_lowercase(), unit, values, range, listed, logarithmic }
}

/// `from`, `to`, `steps`, both ends included.
fn read_range(keys: &Keys<'_>, unit: Unit, logarithmic: bool) -> Vec<f64> {
    let Some((from, to)) = read_ends(keys, unit, logarithmic) else {
        keys.count("steps");
        return Vec::new();
    };
    let Some(steps) = keys.count("steps") else {
        if !keys.has("steps") {
            keys.missing("steps", "how many values from `from` to `to`, both included");
        }
        return Vec::new();
    };
    if steps < 2 {
        keys.problem(
            Problem::new(Kind::SpecKey, "a range needs two values or more").accepted("steps = 2 or more"),
            "steps",
        );
        return Vec::new();
    }
    range(from, to, steps, logarithmic)
}

/// `from` and `to`; `None` if a logarithmic range cannot lie between them.
fn read_ends(keys: &Keys<'_>, unit: Unit, logarithmic: bool) -> Option<(f64, f64)> {
    let from = keys.require_quantity("from", unit);
    let to = keys.require_quantity("to", unit);
    if logarithmic && (from <= 0.0 || to <= 0.0) {
        let problem = Problem::new(Kind::SpecUnit, "a logarithmic range begins and ends above zero");
        keys.problem(problem.accepted("positive `from` and `to`, or scale = \"linear\""), "scale");
        return None;
    }
    Some((from, to))
}

/// `steps` values from `from` to `to`, both included, evenly in value or in logarithm.
pub fn range(from: f64, to: f64, steps: u64, logarithmic: bool) -> Vec<f64> {
    (0..steps)
        .map(|k| {
            let x = k as f64 / (steps - 1) as f64;
            match k {
                0 => from,
                _ if k == steps - 1 => to,
                _ if logarithmic => from * (to / from).powf(x),
                _ => from + (to - from) * x,
            }
        })
        .collect()
}

/// The `unit` key of a parameter or a measurement.
pub(super) fn read_unit(keys: &Keys<'_>) -> Option<Unit> {
    let Some(name) = keys.string("unit") else {
        if !keys.has("unit") {
            let problem = Problem::new(Kind::SpecUnit, "the unit is missing");
            keys.problem(problem.accepted(Unit::accepted_names()).help("add unit = \"V\" or what fits"), "unit");
        }
        return None;
    };
    let unit = Unit::from_name(&name);
    if unit.is_none() {
        let problem = Problem::new(Kind::SpecUnit, format!("\"{name}\" is not a unit"));
        keys.problem(problem.accepted(Unit::accepted_names()), "unit");
    }
    unit
}
