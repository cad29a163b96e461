//! `.param` lines, and the expressions in braces that stand for their values.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Line, Origin};
use super::{braced, tokens};
use crate::error::{Error, Kind, Problem};
use crate::expr::{Expr, ExprError};

/// One `.param`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) expr: Expr,
    pub(super) origin: Origin,
}

/// The problem of a name that no `.param` in `scope` defines.
pub(super) fn undefined(origin: &Origin, name: &str, scope: &BTreeSet<String>) -> Problem {
    let known = scope.iter().cloned().collect::<Vec<_>>().join(", ");
    Problem::new(Kind::UndefinedParameter, format!("parameter `{name}` is not defined"))
        .file(&origin.file)
        .line(origin.line)
        .accepted(if known.is_empty() { "no parameter is defined here".to_string() } else { known })
        .help(format!("add `.param {name}=...`, or correct the name"))
}

/// The error of an expression, with its place.
pub(super) fn at(origin: &Origin, error: ExprError, what: &str) -> Error {
    let kind = match error {
        ExprError::Undefined(_) => Kind::UndefinedParameter,
        ExprError::Syntax(_) => Kind::NetlistSyntax,
    };
    Problem::new(kind, format!("{error} in `{what}`")).file(&origin.file).line(origin.line).into()
}

/// The assignments of a `.param` line. One that is no expression is a problem, and a parameter without a number, so that
/// those that use it are not reported too.
pub(super) fn read_parameters(line: &Line, problems: &mut Vec<Problem>) -> Vec<Parameter> {
    let mut told = |error| problems.extend_from_slice(at(&line.origin, error, &line.text).problems());
    let mut parameters = Vec::new();
    for token in &tokens(&line.text)[1..] {
        let Some((name, text)) = token.split_once('=') else {
            told(ExprError::Syntax("no `=`".into()));
            continue;
        };
        let expr = Expr::parse(text.trim_matches(['{', '}', '\''])).unwrap_or_else(|error| {
            told(error);
            Expr::Number(f64::NAN)
        });
        let origin = line.origin.clone();
        parameters.push(Parameter { name: name.to_ascii_lowercase(), text: text.to_string(), expr, origin });
    }
    parameters
}

/// Does the line depend on one of these parameters? A library knows nothing of a bench's.
pub(super) fn mentions(line: &Line, names: &BTreeSet<String>) -> bool {
    if line.from_library {
        return false;
    }
    braced(&line.text)
        .iter()
        .any(|text| Expr::parse(text).map_or(true, |expr| expr.names().iter().any(|name| names.contains(name))))
}

/// `text` with every `{...}` evaluated.
pub(super) fn substitute(text: &str, values: &BTreeMap<String, f64>) -> Result<String, ExprError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let length =
            rest[start..].find('}').ok_or_else(|| ExprError::Syntax(format!("`{{` is not closed in `{text}`")))?;
        let value = Expr::parse(&rest[start + 1..start + length])?.eval(&|name| values.get(name).copied())?;
        out.push_str(&rest[..start]);
        out.push_str(&format!("{value:e}"));
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}
