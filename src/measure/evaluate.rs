//! Evaluating measurements on a waveform.

use std::collections::BTreeMap;

use super::{Crossing, Edge, How, Measurement};
use crate::dataset::Value;
use crate::expr::Expr;
use crate::waveform::{Waveform, interpolate};

/// Every signal that the measurements read, sorted, once.
pub fn signals_of(measurements: &[Measurement]) -> Vec<String> {
    let mut signals: Vec<String> = measurements
        .iter()
        .flat_map(|m| match &m.how {
            How::At { signal, .. }
            | How::Integral { signal, .. }
            | How::Mean { signal, .. }
            | How::Max { signal, .. }
            | How::Min { signal, .. }
            | How::Settle { signal, .. }
            | How::Sample { signal, .. } => vec![signal.as_str()],
            How::Cross(crossing) => vec![crossing.signal.as_str()],
            How::Delay { start, end, .. } => vec![start.signal.as_str(), end.signal.as_str()],
            How::Expr { .. } => vec![],
        })
        .filter_map(|text| Expr::parse(text).ok())
        .flat_map(|expr| expr.names())
        .filter(|name| name.contains('('))
        .collect();
    signals.sort();
    signals.dedup();
    signals
}

/// Evaluates all measurements in order; `values` are the point's own, for `expr`. What finds nothing is absent from the
/// answer and named in the second part.
pub fn evaluate_all(
    measurements: &[Measurement],
    waveform: &Waveform,
    values: &BTreeMap<String, f64>,
) -> (BTreeMap<String, Value>, Vec<String>) {
    let mut measured = BTreeMap::new();
    let mut missing = Vec::new();
    for measurement in measurements {
        match evaluate(&measurement.how, waveform, values, &measured) {
            Some(value) if is_finite(&value) => {
                measured.insert(measurement.column.clone(), value);
            }
            _ => missing.push(measurement.column.clone()),
        }
    }
    (measured, missing)
}

fn is_finite(value: &Value) -> bool {
    match value {
        Value::Scalar(v) => v.is_finite(),
        Value::Curve(vs) => vs.iter().all(|v| v.is_finite()),
    }
}

fn evaluate(
    how: &How,
    waveform: &Waveform,
    values: &BTreeMap<String, f64>,
    measured: &BTreeMap<String, Value>,
) -> Option<Value> {
    let axis = &waveform.axis;
    let scalar = match how {
        How::At { signal, at } => interpolate(axis, &trace(waveform, signal)?, *at)?,
        How::Cross(crossing) => cross(waveform, crossing)?,
        How::Delay { start, end, or_zero } => match cross(waveform, start) {
            Some(begin) => cross(waveform, &Crossing { from: end.from.max(begin), ..end.clone() })? - begin,
            None if *or_zero => 0.0,
            None => return None,
        },
        How::Integral { signal, from, to } => {
            let (xs, ys) = window(axis, &trace(waveform, signal)?, *from, *to)?;
            trapezoid(&xs, &ys)
        }
        How::Mean { signal, from, to } => {
            let (xs, ys) = window(axis, &trace(waveform, signal)?, *from, *to)?;
            let span = xs[xs.len() - 1] - xs[0];
            if span > 0.0 { trapezoid(&xs, &ys) / span } else { ys[0] }
        }
        How::Max { signal, from, to } => {
            window(axis, &trace(waveform, signal)?, *from, *to)?.1.into_iter().fold(f64::NEG_INFINITY, f64::max)
        }
        How::Min { signal, from, to } => {
            window(axis, &trace(waveform, signal)?, *from, *to)?.1.into_iter().fold(f64::INFINITY, f64::min)
        }
        How::Settle { signal, tolerance, from, to } => {
            let (xs, ys) = window(axis, &trace(waveform, signal)?, *from, *to)?;
            let end = *ys.last()?;
            let last_outside = ys.iter().rposition(|y| (y - end).abs() > *tolerance);
            last_outside.map_or(0.0, |k| xs[(k + 1).min(xs.len() - 1)] - xs[0])
        }
        How::Sample { signal, at } => {
            let ys = trace(waveform, signal)?;
            return at.iter().map(|x| interpolate(axis, &ys, *x)).collect::<Option<Vec<_>>>().map(Value::Curve);
        }
        How::Expr { expr } => Expr::parse(expr)
            .ok()?
            .eval(&|name| measured.get(name).and_then(Value::scalar).or_else(|| values.get(name).copied()))
            .ok()?,
    };
    Some(Value::Scalar(scalar))
}

/// The samples of an arithmetic expression over signals.
fn trace(waveform: &Waveform, text: &str) -> Option<Vec<f64>> {
    if let Some(samples) = waveform.signal(text) {
        return Some(samples.to_vec());
    }
    let expr = Expr::parse(text).ok()?;
    (0..waveform.axis.len())
        .map(|k| expr.eval(&|name| waveform.signals.get(name).map(|samples| samples[k])).ok())
        .collect()
}

/// The part of a trace inside [from, to], with interpolated ends; `None` if the window leaves the waveform or is empty.
fn window(axis: &[f64], ys: &[f64], from: f64, to: f64) -> Option<(Vec<f64>, Vec<f64>)> {
    let (first, last) = (*axis.first()?, *axis.last()?);
    let (from, to) =
        (if from == f64::NEG_INFINITY { first } else { from }, if to == f64::INFINITY { last } else { to });
    if to < from {
        return None;
    }
    let (mut xs, mut out) = (vec![from], vec![interpolate(axis, ys, from)?]);
    for (x, y) in axis.iter().zip(ys).filter(|(x, _)| **x > from && **x < to) {
        xs.push(*x);
        out.push(*y);
    }
    if to > from {
        xs.push(to);
        out.push(interpolate(axis, ys, to)?);
    }
    Some((xs, out))
}

fn trapezoid(xs: &[f64], ys: &[f64]) -> f64 {
    xs.windows(2).zip(ys.windows(2)).map(|(x, y)| 0.5 * (x[1] - x[0]) * (y[0] + y[1])).sum()
}

fn cross(waveform: &Waveform, crossing: &Crossing) -> Option<f64> {
    let ys = trace(waveform, &crossing.signal)?;
    let mut found = Vec::new();
    for (x, y) in waveform.axis.windows(2).zip(ys.windows(2)) {
        let (below, above) = (y[0] < crossing.level, y[1] >= crossing.level);
        let rises = below && above;
        let falls = !below && !above;
        let wanted = match crossing.edge {
            Edge::Rise => rises,
            Edge::Fall => falls,
            Edge::Any => rises || falls,
        };
        if wanted {
            let at = x[0] + (x[1] - x[0]) * (crossing.level - y[0]) / (y[1] - y[0]);
            if at >= crossing.from && at <= crossing.to {
                found.push(at);
            }
        }
    }
    let nth = crossing.nth;
    let index = if nth > 0 { nth as usize - 1 } else { found.len().checked_sub(nth.unsigned_abs() as usize)? };
    found.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;
    use proptest::prelude::*;

    /// A 1 V pulse from 2 to 5 on a unit grid with edges of one unit, and a ramp.
    fn pulse() -> Waveform {
        let axis: Vec<f64> = (0..=10).map(f64::from).collect();
        let pulse = axis.iter().map(|t| f64::from(u8::from((2.0..=5.0).contains(t)))).collect();
        let ramp = axis.iter().map(|t| 2.0 * t).collect();
        Waveform { axis, signals: [("v(p)".into(), pulse), ("i(r)".into(), ramp)].into() }
    }

    fn one(how: How) -> Option<f64> {
        let m = Measurement { column: "x".into(), unit: Unit::One, how };
        evaluate_all(&[m], &pulse(), &BTreeMap::new()).0.get("x").and_then(Value::scalar)
    }

    fn crossing(level: f64, edge: Edge, nth: i32) -> Crossing {
        Crossing { signal: "v(p)".into(), level, edge, nth, from: f64::NEG_INFINITY, to: f64::INFINITY }
    }

    #[test]
    fn crossings_and_widths() {
        assert_eq!(one(How::Cross(crossing(0.5, Edge::Rise, 1))), Some(1.5));
        assert_eq!(one(How::Cross(crossing(0.5, Edge::Fall, -1))), Some(5.5));
        let (start, end) = (crossing(0.5, Edge::Rise, 1), crossing(0.5, Edge::Fall, 1));
        assert_eq!(one(How::Delay { start, end: end.clone(), or_zero: false }), Some(4.0));
        let never = crossing(2.0, Edge::Rise, 1);
        assert_eq!(one(How::Delay { start: never.clone(), end: end.clone(), or_zero: true }), Some(0.0));
        assert_eq!(one(How::Delay { start: never, end, or_zero: false }), None);
    }

    #[test]
    fn integral_of_a_ramp_is_its_area() {
        let integral = |from, to| one(How::Integral { signal: "i(r)".into(), from, to });
        assert_eq!(integral(0.0, 10.0), Some(100.0));
        assert_eq!(integral(2.5, 3.5), Some(6.0));
        assert_eq!(integral(9.0, 11.0), None, "a window that leaves the waveform measures nothing");
        assert_eq!(one(How::Mean { signal: "-i(r)/2".into(), from: 0.0, to: 10.0 }), Some(-5.0));
        assert_eq!(one(How::Max { signal: "i(r)".into(), from: 1.0, to: 3.5 }), Some(7.0));
    }

    #[test]
    fn settling_counts_from_the_window() {
        let how = How::Settle { signal: "v(p)".into(), tolerance: 0.1, from: 4.0, to: 10.0 };
        assert_eq!(one(how), Some(2.0));
    }

    #[test]
    fn expressions_see_measurements_and_values() {
        let defs = [
            Measurement { column: "a_v".into(), unit: Unit::Volt, how: How::At { signal: "i(r)".into(), at: 1.0 } },
            Measurement { column: "b".into(), unit: Unit::One, how: How::Expr { expr: "a_v * k".into() } },
            Measurement { column: "c".into(), unit: Unit::One, how: How::Expr { expr: "nobody".into() } },
        ];
        let (measured, missing) = evaluate_all(&defs, &pulse(), &[("k".to_string(), 10.0)].into());
        assert_eq!(measured["b"], Value::Scalar(20.0));
        assert_eq!(missing, ["c"]);
        assert_eq!(signals_of(&defs), ["i(r)"]);
    }

    proptest! {
        /// The integral over adjoining windows adds up, wherever the joint lies.
        #[test]
        fn integrals_add(split in 0.0..10.0f64) {
            let part = |from, to| one(How::Integral { signal: "v(p)".into(), from, to }).unwrap();
            prop_assert!((part(0.0, split) + part(split, 10.0) - 4.0).abs() < 1e-12);
        }
    }
}
