//! Nodes that float and loops of voltage sources, in the flattened circuit.

use std::collections::BTreeSet;

use super::flat::{FlatElement, GROUND};
use super::{Finding, Input, words};

/// Nets in groups that a DC current can flow within.
pub(super) struct Nets {
    parent: Vec<usize>,
}

impl Nets {
    pub(super) fn new(count: usize) -> Nets {
        Nets { parent: (0..count).collect() }
    }

    /// The group's representative; ground's is ground.
    pub(super) fn root(&mut self, mut net: usize) -> usize {
        while self.parent[net] != net {
            self.parent[net] = self.parent[self.parent[net]];
            net = self.parent[net];
        }
        net
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    /// Joins what an element lets a DC current flow between. A MOSFET's channel and junctions join drain, source and
    /// bulk; its gate, capacitors and current sources join nothing; what is not known joins everything.
    pub(super) fn join_conducting(&mut self, element: &FlatElement<'_>) {
        let nets = &element.nets;
        let conducting: Vec<usize> = match element.element.kind() {
            'c' | 'i' | 'f' | 'g' | 'k' => return,
            'b' if element.element.assigned.contains_key("i") => return,
            'm' => nets.iter().enumerate().filter(|(k, _)| *k != 1).map(|(_, net)| *net).collect(),
            's' => nets.iter().take(2).copied().collect(),
            // A lossless line is a wire to direct current, conductor by conductor.
            't' | 'o' | 'y' if nets.len() == 4 => {
                self.join(nets[0], nets[2]);
                self.join(nets[1], nets[3]);
                return;
            }
            _ => nets.clone(),
        };
        conducting.windows(2).for_each(|pair| self.join(pair[0], pair[1]));
    }
}

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    // A conductance from every node to ground lets nothing float.
    if input.netlist.option("rshunt").is_none() {
        floating(input, findings);
    }
    voltage_loops(input, findings);
}

fn floating(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let flat = input.flat;
    let mut nets = Nets::new(flat.nets.len());
    let mut connections = vec![0usize; flat.nets.len()];
    let mut driven_only = vec![true; flat.nets.len()];
    for element in &flat.elements {
        nets.join_conducting(element);
        for net in &element.nets {
            connections[*net] += 1;
            driven_only[*net] &= element.element.kind() == 'v';
        }
    }
    for net in &flat.open {
        nets.join(GROUND, *net);
        connections[*net] += 2;
    }
    flat.seen.iter().for_each(|net| connections[*net] += 1);
    let begins_somewhere = initial_conditions(input);
    let uses_initial = input.netlist.card(".tran").is_some_and(|line| words(line).iter().any(|w| w == "uic"));
    let ground = nets.root(GROUND);
    // Of many instances of one subcircuit only the first speaks.
    let mut told = BTreeSet::new();
    for net in 1..flat.nets.len() {
        let Some(element) = flat.first[net].map(|k| &flat.elements[k]) else { continue };
        let name = &flat.nets[net];
        let local = name.rsplit('.').next().unwrap_or(name).to_string();
        let place = &element.element.line.origin;
        if nets.root(net) != ground {
            if !told.insert((place.file.clone(), place.line, local)) {
                continue;
            }
            let message = format!(
                "node `{name}` has no DC path to ground: only capacitors, gates or current sources lead there{}",
                if connections[net] == 1 { ", and only one element" } else { "" }
            );
            findings.push(if uses_initial || begins_somewhere.contains(name) {
                Finding::note("floating", message + "; its initial condition decides").at(place)
            } else {
                Finding::error("floating", message)
                    .at(place)
                    .accepted("a resistor, source, switch or channel from it to something that is driven")
                    .help(format!(
                        "ngspice steps such a node to a plausible, wrong voltage; connect it, or set it with `.ic v({name})=...` and `uic`"
                    ))
            });
        } else if connections[net] == 1 && told.insert((place.file.clone(), place.line, local)) {
            let message = format!("node `{name}` is connected to `{}` only", element.path);
            findings.push(if driven_only[net] {
                Finding::note("single-connection", message + ", a source that drives nothing").at(place)
            } else {
                Finding::warning("single-connection", message).at(place).help("look for a misspelt node")
            });
        }
    }
}

/// Nodes in `.ic`.
fn initial_conditions(input: &Input<'_>) -> BTreeSet<String> {
    let text: Vec<String> =
        input.netlist.cards.iter().filter(|l| l.head() == ".ic").map(|l| l.text.to_ascii_lowercase()).collect();
    text.iter()
        .flat_map(|text| text.split("v(").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.trim().to_string())))
        .collect()
}

/// Elements that fix a voltage between two nets may not close a ring.
fn voltage_loops(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let mut nets = Nets::new(input.flat.nets.len());
    let fixing = |e: &FlatElement<'_>| {
        let kind = e.element.kind();
        matches!(kind, 'v' | 'e' | 'h') || (kind == 'b' && e.element.assigned.contains_key("v"))
    };
    let inductors = |e: &FlatElement<'_>| e.element.kind() == 'l';
    let sources = input.flat.elements.iter().filter(|e| fixing(e));
    for element in sources.chain(input.flat.elements.iter().filter(|e| inductors(e))) {
        let [a, b] = element.nets[..] else { continue };
        if nets.root(a) != nets.root(b) {
            nets.join(a, b);
            continue;
        }
        let (a, b) = (&input.flat.nets[a], &input.flat.nets[b]);
        let what = if inductors(element) { "inductor" } else { "voltage source" };
        findings.push(
            Finding::error(
                "voltage-loop",
                format!("{what} `{}` closes a loop of voltage sources and inductors ({a}, {b})", element.path),
            )
            .at(&element.element.line.origin)
            .accepted("at most one path of voltage sources and inductors between two nodes")
            .help("the matrix is singular: put a small resistor in series, or take one out"),
        );
    }
}
