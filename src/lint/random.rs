//! A PDK's own mismatch or Monte Carlo left on.
//!
//! ngspice draws `agauss` and its kin anew wherever a parameter is used, and with the same seed in every worker: the
//! numbers would depend on which worker runs a point. gaincell draws mismatch itself, keyed by seed, sample and device.
//!
//! A call counts if it has an effect: the expression around it is evaluated with the call at its nominal value and at one
//! deviation, names without a value at some constant. A switch of zero in front makes both the same.

use std::collections::BTreeMap;

use super::circuit::evaluate;
use super::{Finding, Input};
use crate::netlist::{Line, braced, dropped, tokens};

const DRAWING: [&str; 5] = ["agauss", "gauss", "aunif", "unif", "limit"];
const SWITCHES: [&str; 6] =
    ["mc_mm_switch", "mc_pr_switch", "mc_switch", "mm_switch", "mismatch_switch", "sw_stat_mismatch"];
/// Stands in for names without a value; no sum of such is zero by accident.
const UNKNOWN: f64 = 0.731_058_578_63;

const HELP: &str = "turn the PDK's own mismatch off (its nominal section, its switch at 0) and ask for samples with \
                    [mismatch] in the sweep's TOML";

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    for (section, origin) in &input.source.sections {
        let section = section.to_ascii_lowercase();
        let statistical = section.split(['_', '-', '.']).any(|part| matches!(part, "mm" | "mc" | "stat" | "mismatch"));
        if statistical || section.ends_with("_mm") {
            findings.push(
                Finding::warning("mismatch-section", format!("library section `{section}` is made for Monte Carlo"))
                    .at(origin)
                    .help(HELP),
            );
        }
    }
    let mut local: BTreeMap<String, f64> = BTreeMap::new();
    for (line, dropped) in input.source.lines.iter().zip(dropped(&input.source.lines)) {
        match line.head().as_str() {
            ".subckt" => local = defaults(line),
            ".ends" => local.clear(),
            _ => {}
        }
        let lower = line.text.to_ascii_lowercase();
        switch(input, line, &lower, findings);
        if dropped || !DRAWING.iter().any(|name| lower.contains(name)) {
            continue;
        }
        let lookup = |name: &str| local.get(name).or_else(|| input.netlist.values.get(name)).copied().or(Some(UNKNOWN));
        let mut texts = braced(&lower);
        texts.extend(assigned(&lower));
        let drawing = texts.iter().find_map(|text| has_effect(text, &lookup));
        if let Some(function) = drawing {
            findings.push(
                Finding::error("mismatch", format!("`{function}` draws random numbers inside ngspice"))
                    .at(&line.origin)
                    .accepted("a switch of zero in front of it, or a fixed number")
                    .help(HELP),
            );
        }
    }
}

/// The right-hand sides of a line's assignments, also of those that go on after a brace: `.param a = {b} + c*agauss(...)`.
fn assigned(lower: &str) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for token in tokens(lower) {
        match (token.split_once('='), texts.last_mut()) {
            (Some((_, value)), _) => texts.push(value.to_string()),
            (None, Some(last)) => last.push_str(&token),
            (None, None) => {}
        }
    }
    texts.iter().map(|text| text.replace('{', "(").replace('}', ")").replace('\'', "")).collect()
}

/// `.param mc_mm_switch=1` and its like.
fn switch(input: &Input<'_>, line: &Line, lower: &str, findings: &mut Vec<Finding>) {
    if line.head() != ".param" {
        return;
    }
    for word in tokens(lower) {
        let Some((name, value)) = word.split_once('=') else { continue };
        if SWITCHES.contains(&name) && input.netlist.evaluate(value).is_none_or(|value| value != 0.0) {
            findings.push(
                Finding::warning("mismatch-switch", format!("the PDK's mismatch switch is on: {word}"))
                    .at(&line.origin)
                    .accepted(format!("{name}=0"))
                    .help(HELP),
            );
        }
    }
}

fn defaults(line: &Line) -> BTreeMap<String, f64> {
    super::words(line)
        .iter()
        .filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_string(), evaluate(value, &|_| None)?))
        })
        .collect()
}

/// The drawing function in `text` that changes its value. What cannot be evaluated is taken to change.
fn has_effect(text: &str, lookup: &dyn Fn(&str) -> Option<f64>) -> Option<&'static str> {
    let (nominal, deviated, function) = with_and_without(text)?;
    match (evaluate(&nominal, lookup), evaluate(&deviated, lookup)) {
        (Some(a), Some(b)) if a == b => None,
        _ => Some(function),
    }
}

/// `text` with every drawing call at its nominal value, and one deviation away; and the first function's name.
fn with_and_without(text: &str) -> Option<(String, String, &'static str)> {
    let (at, function) = DRAWING
        .iter()
        .filter_map(|name| call_at(text, name).map(|at| (at, *name)))
        .min_by_key(|(at, name)| (*at, std::cmp::Reverse(name.len())))?;
    let open = at + function.len() + text[at + function.len()..].find('(')?;
    let mut depth = 0usize;
    let close = open
        + text[open..].find(|c| {
            depth = match c {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            depth == 0
        })?;
    let arguments = split_arguments(&text[open + 1..close]);
    let nominal = arguments.first().cloned().unwrap_or_default();
    let variation = arguments.get(1).cloned().unwrap_or_else(|| "1".to_string());
    let deviated = match function {
        "gauss" | "unif" => format!("(({nominal})*(1+({variation})))"),
        _ => format!("(({nominal})+({variation}))"),
    };
    let (before, after) = (&text[..at], &text[close + 1..]);
    let (rest, rest_deviated) = match with_and_without(after) {
        Some((a, b, _)) => (a, b),
        None => (after.to_string(), after.to_string()),
    };
    Some((format!("{before}({nominal}){rest}"), format!("{before}{deviated}{rest_deviated}"), function))
}

/// Where `name(` is called; not inside a longer name.
fn call_at(text: &str, name: &str) -> Option<usize> {
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let joined = text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        !joined && text[at + name.len()..].trim_start().starts_with('(')
    })
}

fn split_arguments(text: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let mut depth = 0usize;
    for c in text.chars() {
        match c {
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(last) = arguments.last_mut() {
            last.push(c);
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_of_zero_makes_a_draw_harmless() {
        let at = |switch: f64| move |name: &str| Some(if name == "mc_mm_switch" { switch } else { UNKNOWN });
        let text = "0.4+slope*mc_mm_switch*agauss(0,1.0,1)/sqrt(l*w*mult)";
        assert_eq!(has_effect(text, &at(0.0)), None);
        assert_eq!(has_effect(text, &at(1.0)), Some("agauss"));
        assert_eq!(has_effect("gauss(5, 0, 3)", &at(0.0)), None);
        assert_eq!(has_effect("aunif(0, 0.1)*2 + unif(1, 0.1)", &at(0.0)), Some("aunif"));
        assert_eq!(has_effect("x > 1 ? agauss(0,1,1) : 0", &at(0.0)), Some("agauss"), "not readable: taken to matter");
        let process = assigned(".param a = {1.0+0*x} + mc_mm_switch*exp(agauss(0,0.1,1)) b={2}");
        assert_eq!(process, ["(1.0+0*x)+mc_mm_switch*exp(agauss(0,0.1,1))", "(2)"]);
        assert_eq!(has_effect(&process[0], &at(0.0)), None);
        assert_eq!(has_effect(&process[0], &at(1.0)), Some("agauss"));
        assert_eq!(has_effect("limits(1)", &at(0.0)), None);
    }
}
