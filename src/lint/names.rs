//! Names that nobody defines, that are defined twice, or that nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use super::circuit::{Block, Element};
use super::{Finding, Input};
use crate::keys::edit_distance;
use crate::netlist::Line;

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let reached = reached(input);
    for block in input.netlist.blocks() {
        // A PDK's subcircuits that nothing instantiates are its own affair.
        if block.line.is_none() || reached.contains(&block.name) {
            block.elements.iter().for_each(|element| master(input, block, element, findings));
            same_name(block, findings);
        }
    }
    duplicates(input, findings);
    unused(input, &reached, findings);
}

/// Subcircuits that the top level instantiates, directly or through others.
fn reached(input: &Input<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![&input.netlist.top];
    while let Some(block) = open.pop() {
        for name in block.elements.iter().filter(|e| e.kind() == 'x').filter_map(|e| e.master.as_ref()) {
            if let Some(subckt) = input.netlist.subckts.get(name)
                && found.insert(name.clone())
            {
                open.push(subckt);
            }
        }
    }
    found
}

/// The subcircuit or model that an element names.
fn master(input: &Input<'_>, block: &Block<'_>, element: &Element<'_>, findings: &mut Vec<Finding>) {
    let origin = &element.line.origin;
    let Some(name) = &element.master else {
        if matches!(element.kind(), 'x' | 'm' | 'q' | 'd' | 'j' | 's') {
            let message =
                format!("`{}` names no {}", element.name, if element.kind() == 'x' { "subcircuit" } else { "model" });
            findings.push(Finding::error("syntax", message).at(origin));
        }
        return;
    };
    match element.kind() {
        'x' => match input.netlist.subckts.get(name) {
            None => findings.push(
                Finding::error("undefined-subcircuit", format!("subcircuit `{name}` is not defined"))
                    .at(origin)
                    .accepted(nearest(name, input.netlist.subckts.keys()))
                    .help("include the file that defines it, or choose the technology with --tech"),
            ),
            Some(subckt) if subckt.ports.len() != element.nodes.len() => findings.push(
                Finding::error(
                    "ports",
                    format!(
                        "`{}` connects {} nodes, `{name}` has {} ports",
                        element.name,
                        element.nodes.len(),
                        subckt.ports.len()
                    ),
                )
                .at(origin)
                .accepted(format!("{} <{}> {name}", element.name, subckt.ports.join("> <"))),
            ),
            Some(subckt) => {
                for key in element
                    .assigned
                    .keys()
                    .filter(|key| *key != "m" && !subckt.defaults.iter().any(|(name, _)| name == *key))
                {
                    let known = subckt.defaults.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
                    findings.push(
                        Finding::warning(
                            "unknown-parameter",
                            format!("`{name}` has no parameter `{key}`, which `{}` sets", element.name),
                        )
                        .at(origin)
                        .accepted(if known.is_empty() {
                            "none".to_string()
                        } else {
                            known.join(", ")
                        }),
                    );
                }
            }
        },
        'm' | 'q' | 'd' | 'j' | 'z' | 's' | 'w' | 'o' | 'u' if !input.netlist.model_names.contains(name) => findings
            .push(
                Finding::error("undefined-model", format!("model `{name}` is not defined"))
                    .at(origin)
                    .accepted(nearest(name, input.netlist.model_names.iter()))
                    .help(if block.line.is_some() && input.tech.is_none() {
                        "include the file that defines it, or choose the technology with --tech"
                    } else {
                        "include the file that defines it"
                    }),
            ),
        _ => {}
    }
}

/// The few names most like `name`.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let mut near: Vec<_> = known.map(|k| (edit_distance(k, name), k.as_str())).collect();
    near.sort();
    if near.is_empty() {
        return "none is defined".to_string();
    }
    near.iter().take(5).map(|(_, k)| *k).collect::<Vec<_>>().join(", ")
}

/// Two elements of one name: ngspice drops the second.
fn same_name(block: &Block<'_>, findings: &mut Vec<Finding>) {
    let mut first: BTreeMap<&str, &Line> = BTreeMap::new();
    for element in &block.elements {
        if let Some(earlier) = first.get(element.name.as_str()) {
            findings.push(
                Finding::error("duplicate", format!("element `{}` stands at {} already", element.name, place(earlier)))
                    .at(&element.line.origin)
                    .help("ngspice would keep the first and drop this one: rename it"),
            );
        } else {
            first.insert(&element.name, element.line);
        }
    }
}

fn duplicates(input: &Input<'_>, findings: &mut Vec<Finding>) {
    for (what, name, counts, ignored) in &input.netlist.duplicates {
        findings.push(
            Finding::warning(
                "duplicate",
                format!("{what} `{name}` is defined twice; ngspice takes the one at {}", place(counts)),
            )
            .at(&ignored.origin)
            .help("keep one of the two"),
        );
    }
}

fn place(line: &Line) -> String {
    format!("{}:{}", line.origin.file.display(), line.origin.line)
}

/// Definitions of the bench's own file that nothing uses. Includes are libraries: unused parts are their purpose.
fn unused(input: &Input<'_>, reached: &BTreeSet<String>, findings: &mut Vec<Finding>) {
    let own = |line: &Line| line.origin.file == input.bench;
    for subckt in input.netlist.subckts.values() {
        if let Some(line) = subckt.line.filter(|line| own(line) && !reached.contains(&subckt.name)) {
            findings
                .push(Finding::note("unused", format!("subcircuit `{}` is not used", subckt.name)).at(&line.origin));
        }
    }
    let masters: BTreeSet<&str> =
        input.netlist.blocks().flat_map(|b| &b.elements).filter_map(|e| e.master.as_deref()).collect();
    for model in input.netlist.models.iter().filter(|model| own(model.line) && !masters.contains(model.name.as_str())) {
        findings.push(Finding::note("unused", format!("model `{}` is not used", model.name)).at(&model.line.origin));
    }
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for text in input.source.lines.iter().map(|line| line.text.as_str()).chain([input.also_used_by]) {
        for word in identifiers(text) {
            *uses.entry(word).or_default() += 1;
        }
    }
    // A technology sets a bench's `vdd`; the word stands in node names too often to be counted.
    let top = input.source.lines.iter().filter(|line| own(line) && line.head() == ".param");
    for line in top {
        for name in
            super::words(line).iter().skip(1).filter_map(|w| w.split_once('=').map(|(name, _)| name.to_string()))
        {
            // What a technology says stands where the bench includes it, whether the bench needs it or not.
            let said = input.tech.is_some_and(|tech| tech.sizes.iter().any(|(size, _)| *size == name));
            if !said && uses.get(&name).copied().unwrap_or(0) < 2 {
                findings.push(Finding::note("unused", format!("parameter `{name}` is not used")).at(&line.origin));
            }
        }
    }
}

fn identifiers(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).map(str::to_ascii_lowercase)
}
