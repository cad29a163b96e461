//! What ngspice leaves out: subcircuits that nothing instantiates and models that nothing uses.
//!
//! A PDK is mostly such. ngspice drops them before it evaluates anything, so an undefined name in them does no harm.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Line;

/// For each line, whether ngspice drops it. A name counts as used if it is a word of an element line that is kept, so
/// too much is kept rather than too little.
pub(crate) fn dropped(lines: &[Line]) -> Vec<bool> {
    let blocks = blocks(lines);
    let used = used_words(lines, &blocks);
    lines
        .iter()
        .zip(&blocks)
        .map(|(line, inside)| {
            let unused_model = line.head() == ".model" && second_word(line).is_none_or(|name| !is_used(&used, &name));
            unused_model || inside.iter().any(|subckt| !used.contains(subckt))
        })
        .collect()
}

/// For each line, the subcircuits that it stands in, from the outermost; `.subckt` and `.ends` lines stand inside.
fn blocks(lines: &[Line]) -> Vec<Vec<String>> {
    let mut open: Vec<String> = Vec::new();
    lines
        .iter()
        .map(|line| match line.head().as_str() {
            ".subckt" => {
                open.push(second_word(line).unwrap_or_default());
                open.clone()
            }
            ".ends" => {
                let inside = open.clone();
                open.pop();
                inside
            }
            _ => open.clone(),
        })
        .collect()
}

/// Words of the element lines at the top and in every subcircuit that they lead to.
fn used_words(lines: &[Line], blocks: &[Vec<String>]) -> BTreeSet<String> {
    let mut elements: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for (line, inside) in lines.iter().zip(blocks).filter(|(line, _)| !line.text.starts_with('.')) {
        elements.entry(inside.last().map_or("", String::as_str)).or_default().push(line);
    }
    let mut used = BTreeSet::new();
    let mut open = vec![String::new()];
    while let Some(block) = open.pop() {
        for line in elements.get(block.as_str()).into_iter().flatten() {
            for word in line.text.split_whitespace().skip(1).map(str::to_ascii_lowercase) {
                if used.insert(word.clone()) && elements.contains_key(word.as_str()) {
                    open.push(word);
                }
            }
        }
    }
    used
}

fn second_word(line: &Line) -> Option<String> {
    line.text.split_whitespace().nth(1).map(str::to_ascii_lowercase)
}

/// Is a model's name used, or that which its bins (`name.3`) share?
fn is_used(used: &BTreeSet<String>, name: &str) -> bool {
    used.contains(name) || name.rsplit_once('.').is_some_and(|(base, _)| used.contains(base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlist::Origin;

    #[test]
    fn what_nothing_leads_to_is_dropped() {
        let text = [
            ("x1 a b outer", false),
            (".model used nmos", true),
            (".model binned.1 nmos", false),
            (".subckt outer a b", false),
            ("xi a b inner", false),
            (".ends", false),
            (".subckt inner a b", false),
            ("m1 a b 0 0 binned w=1u", false),
            (".ends", false),
            (".subckt idle a b", true),
            ("m1 a b 0 0 used w=1u", true),
            ("xi a b idle", true),
            (".ends", true),
            (".param p=1", false),
        ];
        let origin = Origin { file: "x".into(), line: 1 };
        let lines: Vec<Line> = text
            .iter()
            .map(|(text, _)| Line { text: (*text).to_string(), origin: origin.clone(), from_library: false })
            .collect();
        assert_eq!(dropped(&lines), text.iter().map(|(_, dropped)| *dropped).collect::<Vec<_>>());
    }
}
