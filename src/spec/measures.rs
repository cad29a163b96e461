//! The `[[measure]]` entries of a sweep file, and their evaluation for one point's values.

use std::collections::BTreeMap;

use super::parameter::{range, read_unit};
use crate::error::{Kind, Problem};
use crate::expr::{Expr, ExprError};
use crate::keys::Keys;
use crate::measure::{Crossing, Edge, How, Measurement};
use crate::units::Unit;

/// An axis value or a level: a quantity, or an expression in the bench's parameters (`"{t_start + 1n}"`).
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// A fixed value in the base unit.
    Fixed(f64),
    /// An expression in parameters.
    Computed(Expr),
}

impl Bound {
    fn eval(&self, values: &BTreeMap<String, f64>) -> Result<f64, ExprError> {
        match self {
            Bound::Fixed(value) => Ok(*value),
            Bound::Computed(expr) => expr.eval(&|name| values.get(name).copied()),
        }
    }
}

/// A crossing as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossSpec {
    /// Arithmetic over signals.
    pub signal: String,
    /// Level.
    pub level: Bound,
    /// Direction.
    pub edge: Edge,
    /// Which one, from 1; negative from the last.
    pub nth: i32,
    /// Window.
    pub window: (Bound, Bound),
}

/// How a measurement is made, as declared; the variants are those of [`How`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum HowSpec {
    At(String, Bound),
    Cross(CrossSpec),
    Delay { start: CrossSpec, end: CrossSpec, or_zero: bool },
    Integral(String, (Bound, Bound)),
    Mean(String, (Bound, Bound)),
    Max(String, (Bound, Bound)),
    Min(String, (Bound, Bound)),
    Settle(String, f64, (Bound, Bound)),
    Sample(String, Vec<Bound>),
    Expr(String),
}

/// One declared measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasureSpec {
    /// Column, with unit suffix.
    pub column: String,
    /// Unit.
    pub unit: Unit,
    /// Unit of the axis that windows and samples lie on.
    pub axis: Unit,
    /// How it is made.
    pub how: HowSpec,
    /// What it may be, if the file says so.
    pub limit: Option<SpecLimit>,
}

/// What a measurement may be, in its base unit; the ends count as passed.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SpecLimit {
    /// Least.
    pub min: Option<f64>,
    /// What the designer expects; it is shown and never judged.
    pub typ: Option<f64>,
    /// Greatest.
    pub max: Option<f64>,
    /// Share of dice that must be inside; without it every die must.
    #[serde(default)]
    pub least_yield: Option<f64>,
}

impl SpecLimit {
    /// How far a value is inside; negative outside, infinite without a bound.
    pub fn margin(&self, value: f64) -> f64 {
        let below = self.max.map_or(f64::INFINITY, |max| max - value);
        let above = self.min.map_or(f64::INFINITY, |min| value - min);
        below.min(above)
    }

    /// Does a value pass? A value that is no number does not.
    pub fn passes(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max) && !value.is_nan()
    }
}

impl MeasureSpec {
    /// The measurement for one point, whose bench has these parameter values.
    ///
    /// # Errors
    /// A name in `{...}` that the bench does not define.
    pub fn at_point(&self, values: &BTreeMap<String, f64>) -> Result<Measurement, ExprError> {
        let window = |w: &(Bound, Bound)| Ok::<_, ExprError>((w.0.eval(values)?, w.1.eval(values)?));
        let how = match &self.how {
            HowSpec::At(signal, at) => How::At { signal: signal.clone(), at: at.eval(values)? },
            HowSpec::Cross(cross) => How::Cross(cross.at_point(values)?),
            HowSpec::Delay { start, end, or_zero } => {
                How::Delay { start: start.at_point(values)?, end: end.at_point(values)?, or_zero: *or_zero }
            }
            HowSpec::Integral(signal, w) => {
                let (from, to) = window(w)?;
                How::Integral { signal: signal.clone(), from, to }
            }
            HowSpec::Mean(signal, w) => {
                let (from, to) = window(w)?;
                How::Mean { signal: signal.clone(), from, to }
            }
            HowSpec::Max(signal, w) => {
                let (from, to) = window(w)?;
                How::Max { signal: signal.clone(), from, to }
            }
            HowSpec::Min(signal, w) => {
                let (from, to) = window(w)?;
                How::Min { signal: signal.clone(), from, to }
            }
            HowSpec::Settle(signal, tolerance, w) => {
                let (from, to) = window(w)?;
                How::Settle { signal: signal.clone(), tolerance: *tolerance, from, to }
            }
            HowSpec::Sample(signal, grid) => {
                let at = grid.iter().map(|bound| bound.eval(values)).collect::<Result<_, _>>()?;
                How::Sample { signal: signal.clone(), at }
            }
            HowSpec::Expr(expr) => How::Expr { expr: expr.clone() },
        };
        Ok(Measurement { column: self.column.clone(), unit: self.unit, how })
    }
}

impl CrossSpec {
    fn at_point(&self, values: &BTreeMap<String, f64>) -> Result<Crossing, ExprError> {
        Ok(Crossing {
            signal: self.signal.clone(),
            level: self.level.eval(values)?,
            edge: self.edge,
            nth: self.nth,
            from: self.window.0.eval(values)?,
            to: self.window.1.eval(values)?,
        })
    }
}

const KINDS: [&str; 10] = ["at", "cross", "delay", "integral", "mean", "max", "min", "settle", "sample", "expr"];

/// Reads every `[[measure]]`; `swept` are the columns of the swept parameters, which an `expr` may name.
pub(super) fn read(keys: &Keys<'_>, swept: &[String]) -> Vec<MeasureSpec> {
    let tables = keys.tables("measure");
    if tables.is_empty() && !keys.has("measure") {
        keys.missing("measure", "one [[measure]] or more");
    }
    let mut specs: Vec<MeasureSpec> = Vec::new();
    // Also of those that cannot be read: one mistake is one message.
    let mut seen = swept.to_vec();
    for table in &tables {
        let name = table.require_string("name", "the measurement's name");
        let unit = read_unit(table).unwrap_or(Unit::One);
        let axis = read_axis(table);
        let written: Vec<_> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
        let how = match written.as_slice() {
            [kind] => read_how(table, kind, axis),
            _ => {
                let problem = Problem::new(Kind::SpecKey, format!("{} ways to measure are written", written.len()));
                table.problem(problem.accepted(format!("exactly one of {}", KINDS.join(", "))), "name");
                None
            }
        };
        if let Some(HowSpec::Expr(text)) = &how {
            check_names(table, text, &seen);
        }
        let column = unit.column(&name);
        if specs.iter().any(|spec| spec.column == column) {
            table.problem(Problem::new(Kind::SpecKey, format!("column `{column}` is measured twice")), "name");
        }
        seen.push(column.clone());
        let limit = table.table("spec").map(|spec| read_limit(&spec, unit, how.as_ref()));
        table.finish();
        if let Some(how) = how {
            specs.push(MeasureSpec { column, unit, axis, how, limit });
        }
    }
    specs
}

/// An `expr` sees what stands before it, the swept parameters, and of a Monte Carlo the sample and its draws.
fn check_names(keys: &Keys<'_>, text: &str, seen: &[String]) {
    let Ok(expr) = Expr::parse(text) else { return };
    let known = |name: &String| name == "sample" || name.starts_with("draw_") || seen.contains(name);
    if let Some(name) = expr.names().iter().find(|name| !known(name)) {
        let problem = Problem::new(Kind::SpecKey, format!("`{name}` is neither swept nor measured before this"));
        keys.problem(problem.accepted(format!("columns: {}", seen.join(", "))), "expr");
    }
}

fn read_limit(keys: &Keys<'_>, unit: Unit, how: Option<&HowSpec>) -> SpecLimit {
    let [min, typ, max] = ["min", "typ", "max"].map(|key| keys.quantity(key, unit));
    if !["min", "typ", "max"].iter().any(|key| keys.has(key)) {
        keys.missing("min", &format!("`min`, `typ` or `max`, as in max = \"{}\"", unit.example()));
    }
    if let (Some(low), Some(high)) = (min, max)
        && low > high
    {
        keys.problem(Problem::new(Kind::SpecKey, "no value is between these limits").accepted("min below max"), "min");
    }
    if matches!(how, Some(HowSpec::Sample(..))) {
        let problem = Problem::new(Kind::SpecKey, "a curve has no limits of its own");
        keys.problem(problem.accepted("limits of `at`, `max` or another number"), "max");
    }
    let least_yield = keys.quantity("yield", Unit::One);
    if least_yield.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
        let problem = Problem::new(Kind::SpecKey, "a yield is a share of the dice");
        keys.problem(problem.accepted("more than 0 % and less than 100 %, as in yield = \"99 %\""), "yield");
    }
    keys.finish();
    SpecLimit { min, typ, max, least_yield }
}

/// The unit of axis values: time unless the measurement says otherwise (`axis = "V"` for a DC sweep).
fn read_axis(keys: &Keys<'_>) -> Unit {
    let Some(name) = keys.string("axis") else { return Unit::Second };
    Unit::from_name(&name).unwrap_or_else(|| {
        let problem = Problem::new(Kind::SpecUnit, format!("\"{name}\" is not a unit"));
        keys.problem(problem.accepted(Unit::accepted_names()), "axis");
        Unit::Second
    })
}

fn read_how(keys: &Keys<'_>, kind: &str, axis: Unit) -> Option<HowSpec> {
    let signal = |key: &str| {
        let text = keys.string(key)?;
        checked_signal(keys, key, &text).then_some(text)
    };
    let window = || (bound(keys, "from", axis, f64::NEG_INFINITY), bound(keys, "to", axis, f64::INFINITY));
    Some(match kind {
        "at" => {
            let key = if keys.has("time") { "time" } else { "x" };
            if !keys.has(key) {
                keys.missing("time", "when, as in time = \"5 ns\"; or x, for another axis");
            }
            HowSpec::At(signal("at")?, bound(keys, key, axis, f64::NAN))
        }
        "cross" => HowSpec::Cross(read_cross(&keys.table("cross")?, axis)?),
        "delay" => {
            let delay = keys.table("delay")?;
            let start = delay.table("start").and_then(|table| read_cross(&table, axis));
            let end = delay.table("end").and_then(|table| read_cross(&table, axis));
            for (key, there) in [("start", start.is_some()), ("end", end.is_some())] {
                if !there && !delay.has(key) {
                    delay
                        .missing(key, "a crossing, as in { signal = \"v(out)\", level = \"0.45 V\", edge = \"rise\" }");
                }
            }
            let or_zero = delay.boolean("or_zero").unwrap_or(false);
            delay.finish();
            HowSpec::Delay { start: start?, end: end?, or_zero }
        }
        "integral" => HowSpec::Integral(signal("integral")?, window()),
        "mean" => HowSpec::Mean(signal("mean")?, window()),
        "max" => HowSpec::Max(signal("max")?, window()),
        "min" => HowSpec::Min(signal("min")?, window()),
        "settle" => {
            let tolerance = keys.require_quantity("tolerance", signal_unit(keys, "settle"));
            HowSpec::Settle(signal("settle")?, tolerance, window())
        }
        "sample" => HowSpec::Sample(signal("sample")?, read_grid(keys, axis)),
        _ => {
            let text = keys.string("expr")?;
            if let Err(error) = Expr::parse(&text) {
                keys.problem(
                    Problem::new(Kind::SpecKey, error.to_string()).accepted("arithmetic over columns"),
                    "expr",
                );
            }

            HowSpec::Expr(text)
        }
    })
}

/// Volts for `v(...)`, amperes for `i(...)`.
fn signal_unit(keys: &Keys<'_>, key: &str) -> Unit {
    match keys.string(key) {
        Some(text) if text.trim_start_matches('-').starts_with("i(") => Unit::Ampere,
        _ => Unit::Volt,
    }
}

fn checked_signal(keys: &Keys<'_>, key: &str, text: &str) -> bool {
    let accepted = "arithmetic over v(node) and i(source), as in \"v(a) - v(b)\"";
    let problem = match Expr::parse(text) {
        Ok(expr) if !expr.names().is_empty() && expr.names().iter().all(|name| name.contains('(')) => return true,
        Ok(_) => Problem::new(Kind::SpecKey, format!("\"{text}\" is not made of signals")),
        Err(error) => Problem::new(Kind::SpecKey, error.to_string()),
    };
    keys.problem(problem.accepted(accepted), key);
    false
}

fn read_cross(keys: &Keys<'_>, axis: Unit) -> Option<CrossSpec> {
    let signal = keys.require_string("signal", "arithmetic over v(node) and i(source)");
    let fine = signal.is_empty() || checked_signal(keys, "signal", &signal);
    let level = bound(keys, "level", signal_unit(keys, "signal"), f64::NAN);
    if !keys.has("level") {
        keys.missing("level", "the level that is crossed, as in \"0.45 V\"");
    }
    let edge =
        keys.choice("edge", &[("rise", Edge::Rise), ("fall", Edge::Fall), ("any", Edge::Any)]).unwrap_or(Edge::Any);
    let nth = keys.integer("nth").unwrap_or(1);
    if nth == 0 {
        keys.problem(Problem::new(Kind::SpecKey, "crossings are counted from 1, or from -1 backward"), "nth");
    }
    let window = (bound(keys, "from", axis, f64::NEG_INFINITY), bound(keys, "to", axis, f64::INFINITY));
    keys.finish();
    fine.then_some(CrossSpec { signal, level, edge, nth: i32::try_from(nth).unwrap_or(1), window })
}

fn read_grid(keys: &Keys<'_>, axis: Unit) -> Vec<Bound> {
    let Some(grid) = keys.table("grid") else {
        keys.missing("grid", "{ from = ..., to = ..., steps = 40, scale = \"log\" } or { values = [...] }");
        return Vec::new();
    };
    let values = if grid.has("values") {
        grid.quantities("values", axis).unwrap_or_default()
    } else {
        let from = grid.require_quantity("from", axis);
        let to = grid.require_quantity("to", axis);
        let logarithmic = grid.choice("scale", &[("linear", false), ("log", true)]).unwrap_or(false);
        if !grid.has("steps") {
            grid.missing("steps", "how many values, both ends included");
        }
        range(from, to, grid.count("steps").unwrap_or(2).max(2), logarithmic)
    };
    let offset = bound(&grid, "after", axis, 0.0);
    grid.finish();
    values
        .into_iter()
        .map(|value| match &offset {
            Bound::Fixed(offset) => Bound::Fixed(offset + value),
            Bound::Computed(expr) => Bound::Computed(Expr::Binary(
                Box::new(expr.clone()),
                crate::expr::Operator::Add,
                Box::new(Expr::Number(value)),
            )),
        })
        .collect()
}

/// A quantity or `"{expression}"`; `default` if the key is not written.
fn bound(keys: &Keys<'_>, key: &str, unit: Unit, default: f64) -> Bound {
    if !keys.has(key) {
        return Bound::Fixed(default);
    }
    let Some(text) = keys.string(key) else { return Bound::Fixed(f64::NAN) };
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let parsed = match inner {
        Some(inner) => Expr::parse(inner).map(Bound::Computed).map_err(|e| (Kind::SpecKey, e.to_string())),
        None => keys.parse(&text, unit).map(Bound::Fixed).map_err(|message| (Kind::SpecUnit, message)),
    };
    parsed.unwrap_or_else(|(kind, message)| {
        let accepted =
            format!("a quantity in {unit}, as in {}, or an expression, as in \"{{t_start + 1n}}\"", unit.example());
        keys.problem(Problem::new(kind, message).accepted(accepted), key);
        Bound::Fixed(f64::NAN)
    })
}
