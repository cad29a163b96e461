//! Numbers that SPICE reads otherwise than meant, and sizes out of bounds.

use super::setup::rounded;
use super::{Finding, Input};
use crate::netlist::Line;

/// Transistor sizes outside this are no transistors [m].
const SIZE_M: std::ops::RangeInclusive<f64> = 1e-9..=1e-2;
/// A capacitor of more than this is no part of an integrated circuit [F].
const CAPACITANCE_F: f64 = 1e-3;

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    for line in &input.source.lines {
        // A line all in capitals follows SPICE's old custom: M is milli there on purpose.
        let mixed = line.text.bytes().any(|b| b.is_ascii_lowercase());
        if mixed && !line.head().starts_with(".model") {
            suffixes(line, findings);
        }
    }
    sizes(input, findings);
}

fn suffixes(line: &Line, findings: &mut Vec<Finding>) {
    let separator = |c: char| c.is_whitespace() || "=(){}[],'\"*/".contains(c);
    for piece in line.text.split(separator) {
        let digits = piece.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        if digits == 0 || !piece.as_bytes()[0].is_ascii_digit() {
            continue;
        }
        let suffix = &piece[digits..];
        let lower = suffix.to_ascii_lowercase();
        let number = &piece[..digits];
        let (read, meant) = if suffix.starts_with('M') && !lower.starts_with("meg") && !lower.starts_with("mil") {
            (format!("{number} milli"), format!("{number}meg for mega, {number}m for milli"))
        } else if suffix == "F" {
            (format!("{number} femto"), format!("{number} for farad, {number}f for femto"))
        } else {
            continue;
        };
        findings.push(
            Finding::warning("unit", format!("SPICE reads `{piece}` as {read}")).at(&line.origin).accepted(meant),
        );
    }
}

fn sizes(input: &Input<'_>, findings: &mut Vec<Finding>) {
    // With a scale, sizes are not in metres here.
    let scaled = input.netlist.option("scale").is_some();
    for element in &input.flat.elements {
        let origin = &element.element.line.origin;
        match element.element.kind() {
            'm' if !scaled => {
                for (what, size_m) in [("w", element.w_m), ("l", element.l_m)] {
                    if let Some(size_m) = size_m.filter(|size_m| !SIZE_M.contains(size_m)) {
                        findings.push(
                            Finding::warning("size", format!("`{}` has {what} = {} m", element.path, rounded(size_m)))
                                .at(origin)
                                .accepted("1 nm to 10 mm; sizes are in metres, as in w=1u l=30n"),
                        );
                    }
                }
            }
            'c' => {
                if let Some(c_f) = element.value.filter(|c_f| *c_f > CAPACITANCE_F || *c_f < 0.0) {
                    findings.push(
                        Finding::warning("size", format!("`{}` is a capacitor of {} F", element.path, rounded(c_f)))
                            .at(origin)
                            .accepted("a positive value below 1 mF, as in 8f for 8 fF"),
                    );
                }
            }
            _ => {}
        }
    }
}
