//! Where parts go: channels in series become columns, from the supply down to ground.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::{Circuit, Mos, Pair, Polarity};

/// One element of a column, between the node above it and the one below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// A transistor; `flipped` if its source is below for a P, above for an N channel.
    Mos(Mos),
    /// An N and a P channel side by side.
    Gate {
        /// The N channel.
        n: Mos,
        /// The P channel.
        p: Mos,
    },
    /// A two-terminal element.
    Pair(Pair),
}

/// Elements in series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Nets from top to bottom, one more than elements.
    pub nets: Vec<String>,
    /// Elements from top to bottom.
    pub elements: Vec<Element>,
}

/// Columns from left to right, and blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// Columns.
    pub columns: Vec<Column>,
    /// Numbers of the circuit's blocks, in the order of the netlist.
    pub blocks: Vec<usize>,
}

/// Nets that are drawn as a supply or as ground, whatever else is connected.
pub fn is_supply(net: &str) -> bool {
    net.starts_with("vdd") || net == "vcc" || net == "vpwr"
}

/// Ground.
pub fn is_ground(net: &str) -> bool {
    matches!(net, "0" | "gnd" | "vss" | "vgnd")
}

/// An element with the two nets that it connects.
struct Edge {
    nets: [String; 2],
    element: Element,
}

impl Sheet {
    /// Places every part of the circuit once.
    pub fn arrange(circuit: &Circuit) -> Sheet {
        let edges = edges(circuit);
        let mut by_net: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (k, edge) in edges.iter().enumerate() {
            edge.nets.iter().for_each(|net| by_net.entry(net).or_default().push(k));
        }
        let mut left: BTreeSet<usize> = (0..edges.len()).collect();
        let mut columns = Vec::new();
        // From the supply down first, then up from ground, then what hangs between other nets.
        let begins: [fn(&str) -> bool; 3] = [is_supply, is_ground, |_| true];
        for (round, begin) in begins.into_iter().enumerate() {
            loop {
                let start = left.iter().copied().find_map(|k| {
                    let edge = &edges[k];
                    let at = edge.nets.iter().position(|net| begin(net))?;
                    Some((k, at))
                });
                let Some((first, at)) = start else { break };
                let mut column = walk(&edges, &by_net, &mut left, first, at);
                // A column that was walked up from ground stands on its feet; so does one that ends in the supply.
                if round == 1 || column.nets.last().is_some_and(|net| is_supply(net)) {
                    column.nets.reverse();
                    column.elements.reverse();
                }
                columns.push(column);
            }
        }
        Sheet { columns, blocks: (0..circuit.blocks.len()).collect() }
    }
}

/// Follows channels from the net `at` of the edge `first`, each once, until a rail or an end.
fn walk(
    edges: &[Edge],
    by_net: &BTreeMap<&str, Vec<usize>>,
    left: &mut BTreeSet<usize>,
    first: usize,
    at: usize,
) -> Column {
    let mut column = Column { nets: vec![edges[first].nets[at].clone()], elements: Vec::new() };
    let mut next = Some(first);
    while let Some(k) = next {
        left.remove(&k);
        let edge = &edges[k];
        let here = column.nets[column.nets.len() - 1].clone();
        let there = if edge.nets[0] == here { &edge.nets[1] } else { &edge.nets[0] };
        column.elements.push(edge.element.clone());
        column.nets.push(there.clone());
        let ends =
            is_supply(there) || is_ground(there) || matches!(edge.element, Element::Pair(_) | Element::Gate { .. });
        let visited = column.nets[..column.nets.len() - 1].contains(there);
        next = by_net.get(there.as_str()).filter(|_| !ends && !visited).and_then(|at_net| {
            let free =
                at_net.iter().copied().filter(|k| left.contains(k) && matches!(edges[*k].element, Element::Mos(_)));
            // Not back to the rail that it comes from; down a stack of the same kind before crossing to the other.
            let back = |k: usize| edges[k].nets.contains(&column.nets[0]);
            free.min_by_key(|k| (back(*k), polarity(&edges[*k].element) != polarity(&edge.element), *k))
        });
    }
    column
}

fn polarity(element: &Element) -> Option<Polarity> {
    if let Element::Mos(mos) = element { Some(mos.polarity) } else { None }
}

/// Every transistor or pair of transistors as a transmission gate, and every two-terminal element.
fn edges(circuit: &Circuit) -> Vec<Edge> {
    let channel = |mos: &Mos| {
        let mut nets = [mos.drain.clone(), mos.source.clone()];
        nets.sort();
        nets
    };
    let mut used = BTreeSet::new();
    let mut edges = Vec::new();
    for (k, mos) in circuit.transistors.iter().enumerate() {
        if used.contains(&k) {
            continue;
        }
        let nets = channel(mos);
        let rail = nets.iter().any(|net| is_supply(net) || is_ground(net));
        let partner = circuit.transistors.iter().enumerate().skip(k + 1).find(|(other, candidate)| {
            !rail && !used.contains(other) && candidate.polarity != mos.polarity && channel(candidate) == nets
        });
        let nets = [mos.drain.clone(), mos.source.clone()];
        match partner {
            Some((other, partner)) => {
                used.insert(other);
                let (n, p) = if mos.polarity == Polarity::N { (mos, partner) } else { (partner, mos) };
                edges.push(Edge { nets, element: Element::Gate { n: n.clone(), p: p.clone() } });
            }
            None => edges.push(Edge { nets, element: Element::Mos(mos.clone()) }),
        }
    }
    edges.extend(
        circuit.pairs.iter().map(|pair| Edge { nets: pair.nets.clone(), element: Element::Pair(pair.clone()) }),
    );
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlist::{Line, Origin};

    pub fn circuit(text: &str, name: &str) -> Circuit {
        let origin = Origin { file: "x.sub".into(), line: 1 };
        let lines: Vec<Line> = text
            .lines()
            .map(|text| Line { text: text.to_string(), origin: origin.clone(), from_library: false })
            .collect();
        Circuit::find(&lines, name).unwrap()
    }

    const CELL: &str = ".subckt cell we web wbl wlr wlrb bl vdd wn=0.1u lr=100n cs=7f\n\
        xmwn wbl we st 0 nfet_hvt w=0.1u l=60n\nxmwp wbl web st vdd pfet_hvt w=0.1u l=60n\ncst st 0 {cs}\n\
        xmn1 n1 st 0 0 nfet_hvt w={wn} l={lr}\nxmn2 bl wlr n1 0 nfet_hvt w=0.2u l=100n\n\
        xmp1 p1 st vdd vdd pfet_hvt w=0.12u l=100n\nxmp2 bl wlrb p1 vdd pfet_hvt w=0.6u l=100n\n.ends cell";

    #[test]
    fn the_push_pull_stage_is_one_column_and_the_write_gate_one_element() {
        let circuit = circuit(CELL, "cell");
        let sheet = Sheet::arrange(&circuit);
        assert_eq!(sheet.columns[0].nets, ["vdd", "p1", "bl", "n1", "0"]);
        assert_eq!(sheet.columns[1].nets, ["st", "0"], "the capacitor");
        assert!(
            matches!(&sheet.columns[2].elements[..], [Element::Gate { n, p }] if n.gate == "we" && p.gate == "web")
        );
        assert_eq!(circuit.transistors[2].label, "hvt 0.1u/100n", "parameters by their defaults");
        assert_eq!(circuit.terminals()["st"], 5);
    }

    #[test]
    fn every_part_is_placed_once() {
        let text = ".subckt nand2 a b y vdd\nxmp1 y a vdd vdd pfet_svt w=1u l=30n\nxmp2 y b vdd vdd pfet_svt w=1u l=30n\n\
            xmn1 y a n1 0 nfet_svt w=1u l=30n\nxmn2 n1 b 0 0 nfet_svt w=1u l=30n\nxi y q vdd inv\n.ends\n\
            .subckt inv a y vdd\nxmp y a vdd vdd pfet_svt w=1u l=30n\n.ends";
        let circuit = circuit(text, "NAND2");
        let sheet = Sheet::arrange(&circuit);
        let mut names: Vec<&str> = sheet
            .columns
            .iter()
            .flat_map(|column| &column.elements)
            .map(|element| if let Element::Mos(mos) = element { mos.name.as_str() } else { "?" })
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["xmn1", "xmn2", "xmp1", "xmp2"]);
        assert_eq!(sheet.columns[0].nets, ["vdd", "y", "n1", "0"]);
        assert_eq!(sheet.columns[1].nets, ["vdd", "y"]);
        assert_eq!(circuit.blocks[0].pins[1], ("y".to_string(), "q".to_string()), "pins by the ports' names");
    }
}
