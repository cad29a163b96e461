//! Numbers, signals, expressions and remarks as ngspice's control language takes them.

use super::writer::AnalysisAxis;
use crate::error::{Kind, Problem, Result};
use crate::expr::{Expr, Function, Operator};
use crate::measure::{Crossing, Edge, How};

/// Beyond letters and digits, what names of nodes and sources may hold; nothing of it means anything to ngspice's shell.
const NODE_CHARACTERS: &str = "_.:#+-/[]@";

/// Integers up to here are read exactly by ngspice.
const EXACT_INTEGER: f64 = 1e15;

/// `value` so that ngspice reads exactly it: an integer, or an odd integer times a power of two.
pub(super) fn exact(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER {
        return if value < 0.0 { format!("(-{:.0})", -value) } else { format!("{:.0}", value.abs()) };
    }
    let bits = value.abs().to_bits();
    let (field, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if field == 0 { (fraction, -1074) } else { (fraction | (1 << 52), field as i64 - 1075) };
    let shift = mantissa.trailing_zeros();
    let magnitude = format!("({} * 2^({}))", mantissa >> shift, exponent + i64::from(shift));
    if value < 0.0 { format!("(-{magnitude})") } else { magnitude }
}

/// The vector of `v(node)`, `v(a,b)` or `i(source)` in the analysis' plot.
pub(super) fn vectors(name: &str, analysis: AnalysisAxis) -> String {
    let vector = |inner: &str| {
        // Nodes with plain numbers for names appear as `V(1)` in plots.
        let inner = if inner.bytes().all(|b| b.is_ascii_digit()) { format!("v({inner})") } else { inner.to_string() };
        format!("\"{{$gc_plot}}.{inner}\"")
    };
    let (quantity, rest) = name.split_at(1);
    let inner = rest.trim_start_matches('(').trim_end_matches(')');
    let text = match (quantity, inner.split_once(',')) {
        ("i", _) => vector(&format!("{inner}#branch")),
        (_, None) | (_, Some((_, "0"))) => vector(inner.split(',').next().unwrap_or(inner)),
        (_, Some((plus, minus))) => format!("({} - {})", vector(plus), vector(minus)),
    };
    if analysis == AnalysisAxis::Frequency { format!("mag({text})") } else { text }
}

/// Names of nodes are other people's text: what could be a command is refused.
pub(super) fn check_signal(name: &str) -> Result<()> {
    let inner = name.get(2..name.len().saturating_sub(1)).unwrap_or_default();
    let is_signal = (name.starts_with("v(") || name.starts_with("i(")) && name.ends_with(')') && !inner.is_empty();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ',' || NODE_CHARACTERS.contains(c);
    if is_signal && inner.chars().all(plain) {
        return Ok(());
    }
    Err(Problem::new(Kind::RefusedDeck, format!("the signal `{name}` cannot be written into a control script"))
        .accepted(format!("v(node) and i(source) with letters, digits and {NODE_CHARACTERS} in their names"))
        .into())
}

/// An expression in ngspice's language, with every operation in parentheses; `None` if a name is not known.
pub(super) fn render(expr: &Expr, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    Some(match expr {
        Expr::Number(value) => exact(*value),
        Expr::Name(name) => lookup(name)?,
        Expr::Negate(inner) => format!("(-{})", render(inner, lookup)?),
        Expr::Binary(left, operator, right) => {
            let sign = match operator {
                Operator::Add => "+",
                Operator::Subtract => "-",
                Operator::Multiply => "*",
                Operator::Divide => "/",
                Operator::Power => "^",
            };
            format!("({} {sign} {})", render(left, lookup)?, render(right, lookup)?)
        }
        Expr::Call(function, arguments) => {
            let texts = arguments.iter().map(|a| render(a, lookup)).collect::<Option<Vec<_>>>()?;
            let name = match function {
                Function::Abs => "abs",
                Function::Sqrt => "sqrt",
                Function::Exp => "exp",
                Function::Ln => "ln",
                Function::Log10 => "log10",
                // ngspice's own `min` and `max` look along one vector.
                Function::Min => {
                    return texts.into_iter().reduce(|a, b| format!("({a} * ({a} le {b}) + {b} * ({a} gt {b}))"));
                }
                Function::Max => {
                    return texts.into_iter().reduce(|a, b| format!("({a} * ({a} ge {b}) + {b} * ({a} lt {b}))"));
                }
            };
            format!("{name}({})", texts.first()?)
        }
    })
}

/// `text` as a comment in which nothing but a comment can be read.
pub(super) fn comment(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " _.:#+-/*^(),[]@".contains(c) { c } else { '?' };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(plain).collect()
}

/// A measurement in words, for a comment.
pub(super) fn describe(how: &How) -> String {
    let window = |from: f64, to: f64| match (from == f64::NEG_INFINITY, to == f64::INFINITY) {
        (true, true) => String::new(),
        (false, true) => format!(" from {from:e}"),
        (true, false) => format!(" to {to:e}"),
        (false, false) => format!(" from {from:e} to {to:e}"),
    };
    let crossing = |c: &Crossing| {
        let edge = match c.edge {
            Edge::Rise => "rise",
            Edge::Fall => "fall",
            Edge::Any => "crossing",
        };
        format!("{edge} {} of {} through {:e}{}", c.nth, c.signal, c.level, window(c.from, c.to))
    };
    match how {
        How::At { signal, at } => format!("{signal} at {at:e}"),
        How::Cross(c) => crossing(c),
        How::Delay { start, end, or_zero } => {
            let zero = if *or_zero { ", zero if it never starts" } else { "" };
            format!("from {} to {}{zero}", crossing(start), crossing(end))
        }
        How::Integral { signal, from, to } => format!("integral of {signal}{}", window(*from, *to)),
        How::Mean { signal, from, to } => format!("mean of {signal}{}", window(*from, *to)),
        How::Max { signal, from, to } => format!("greatest {signal}{}", window(*from, *to)),
        How::Min { signal, from, to } => format!("least {signal}{}", window(*from, *to)),
        How::Settle { signal, tolerance, from, to } => {
            format!("{signal} settled within {tolerance:e}{}", window(*from, *to))
        }
        How::Sample { signal, at } => format!("{signal} at {} axis values", at.len()),
        How::Expr { expr } => expr.clone(),
    }
}
