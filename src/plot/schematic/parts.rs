//! A subcircuit's lines as parts of a drawing.

use std::collections::BTreeMap;

use crate::netlist::{Line, tokens};

/// Which carriers a transistor's channel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Electrons.
    N,
    /// Holes.
    P,
}

/// A transistor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mos {
    /// Instance name.
    pub name: String,
    /// Its channel.
    pub polarity: Polarity,
    /// Nets of drain, gate and source.
    pub drain: String,
    /// Gate.
    pub gate: String,
    /// Source.
    pub source: String,
    /// Flavour and size, as in `hvt 0.1u/60n`.
    pub label: String,
}

/// An element between two nets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Element name; its first letter says what it is.
    pub name: String,
    /// Its nets, in the order of the netlist.
    pub nets: [String; 2],
    /// Its value.
    pub label: String,
}

/// An instance of another subcircuit, or an element with controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Instance name.
    pub name: String,
    /// The subcircuit, or what the element is.
    pub what: String,
    /// Names of the pins and the nets on them, in the order of the netlist.
    pub pins: Vec<(String, String)>,
}

/// A subcircuit as parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Circuit {
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<String>,
    /// Transistors.
    pub transistors: Vec<Mos>,
    /// Elements between two nets.
    pub pairs: Vec<Pair>,
    /// Everything else.
    pub blocks: Vec<Block>,
}

impl Circuit {
    /// The subcircuit of that name, in any case of letters.
    pub fn find(lines: &[Line], name: &str) -> Option<Circuit> {
        let ports_by_name: BTreeMap<String, Vec<String>> = lines.iter().filter_map(header).collect();
        let start =
            lines.iter().position(|line| header(line).is_some_and(|(found, _)| found.eq_ignore_ascii_case(name)))?;
        let (name, ports) = header(&lines[start])?;
        let defaults = assignments(&lines[start].text);
        let mut circuit = Circuit { name, ports, ..Circuit::default() };
        let mut depth = 0usize;
        for line in &lines[start + 1..] {
            match line.head().as_str() {
                ".subckt" => depth += 1,
                ".ends" if depth == 0 => break,
                ".ends" => depth -= 1,
                head if depth == 0 && !head.starts_with('.') => circuit.add(line, &defaults, &ports_by_name),
                _ => {}
            }
        }
        Some(circuit)
    }

    /// A bench's own level. Nets that a source holds against ground are its ports, what drives them is left out, and
    /// instances on the same nets are one block with all their names.
    pub fn bench(lines: &[Line], name: &str) -> Circuit {
        let ports_by_name: BTreeMap<String, Vec<String>> = lines.iter().filter_map(header).collect();
        let mut circuit = Circuit { name: name.to_string(), ..Circuit::default() };
        let mut depth = 0usize;
        for line in lines {
            match line.head().as_str() {
                ".subckt" => depth += 1,
                ".ends" => depth = depth.saturating_sub(1),
                head if depth == 0 && !head.starts_with('.') => {
                    circuit.add(line, &BTreeMap::new(), &ports_by_name);
                }
                _ => {}
            }
        }
        let stimulus = |pair: &Pair| pair.name.starts_with('v') && pair.nets[1] == "0";
        let (stimuli, pairs) = circuit.pairs.into_iter().partition(stimulus);
        circuit.pairs = pairs;
        circuit.ports = stimuli.into_iter().map(|pair: Pair| pair.nets[0].clone()).collect();
        circuit.blocks = joined(circuit.blocks);
        circuit
    }

    /// Names of the subcircuits that are defined among `lines`, in their order.
    pub fn names(lines: &[Line]) -> Vec<String> {
        lines.iter().filter_map(header).map(|(name, _)| name).collect()
    }

    fn add(&mut self, line: &Line, defaults: &BTreeMap<String, String>, ports: &BTreeMap<String, Vec<String>>) {
        let words: Vec<String> = tokens(&line.text).into_iter().map(|word| word.to_ascii_lowercase()).collect();
        let name = words[0].clone();
        let given = assignments(&line.text);
        let value = |key: &str| given.get(key).map(|text| shown(text, defaults));
        let plain: Vec<&String> = words[1..].iter().take_while(|word| !word.contains('=')).collect();
        let size = |w: Option<String>, l: Option<String>| match (w, l) {
            (Some(w), Some(l)) => format!("{w}/{l}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => String::new(),
        };
        match (name.as_bytes()[0], &plain[..]) {
            (b'x' | b'm', [drain, gate, source, _, model]) if polarity(model).is_some() => {
                let flavour = model.rsplit_once('_').map_or("", |(_, flavour)| flavour);
                let size = size(value("w"), value("l"));
                let label = if size.is_empty() { flavour.to_string() } else { format!("{flavour} {size}") };
                self.transistors.push(Mos {
                    name,
                    polarity: polarity(model).unwrap_or(Polarity::N),
                    drain: (*drain).clone(),
                    gate: (*gate).clone(),
                    source: (*source).clone(),
                    label,
                });
            }
            (b'x', [nets @ .., what]) => {
                let names = ports.get(what.as_str());
                let pin = |(k, net): (usize, &&String)| {
                    let known = names.and_then(|names| names.get(k)).cloned();
                    (known.unwrap_or_else(|| (k + 1).to_string()), (*net).clone())
                };
                self.blocks.push(Block {
                    name,
                    what: (*what).clone(),
                    pins: nets.iter().enumerate().map(pin).collect(),
                });
            }
            (b'c' | b'r' | b'l' | b'v' | b'i' | b'd', [a, b, rest @ ..]) => {
                let label = rest.iter().map(|word| shown(word, defaults)).collect::<Vec<_>>().join(" ");
                self.pairs.push(Pair { name, nets: [(*a).clone(), (*b).clone()], label });
            }
            (b'b', [a, b]) => self.pairs.push(Pair { name, nets: [(*a).clone(), (*b).clone()], label: String::new() }),
            (b's' | b'e' | b'g', [plus, minus, control, reference, ..]) => {
                let what = match name.as_bytes()[0] {
                    b's' => "switch",
                    b'e' => "voltage source",
                    _ => "current source",
                };
                let pins = [("+", plus), ("-", minus), ("c+", control), ("c-", reference)];
                let pins = pins.map(|(pin, net)| (pin.to_string(), (*net).clone())).to_vec();
                self.blocks.push(Block { name, what: what.to_string(), pins });
            }
            (_, nets) => {
                let pins = nets.iter().enumerate().map(|(k, net)| ((k + 1).to_string(), (*net).clone())).collect();
                self.blocks.push(Block { what: name.clone(), name, pins });
            }
        }
    }

    /// How often each net is a terminal of a part or a port.
    pub fn terminals(&self) -> BTreeMap<&str, usize> {
        let mut count = BTreeMap::new();
        let transistors = self.transistors.iter().flat_map(|t| [&t.drain, &t.gate, &t.source]);
        let pairs = self.pairs.iter().flat_map(|pair| &pair.nets);
        let blocks = self.blocks.iter().flat_map(|block| block.pins.iter().map(|(_, net)| net));
        for net in transistors.chain(pairs).chain(blocks).chain(&self.ports) {
            *count.entry(net.as_str()).or_insert(0) += 1;
        }
        count
    }
}

/// Blocks of one kind on the same nets as one; nodes inside of instances (`xk0.st`) may differ and are named from the first
/// to the last.
fn joined(blocks: Vec<Block>) -> Vec<Block> {
    let inner = |net: &str| net.contains('.');
    let same = |a: &Block, b: &Block| {
        let pins = || a.pins.iter().zip(&b.pins);
        a.what == b.what
            && a.pins.len() == b.pins.len()
            && pins().all(|((_, a), (_, b))| a == b || inner(a) && inner(b))
    };
    let mut groups: Vec<Vec<Block>> = Vec::new();
    for block in blocks {
        match groups.iter_mut().find(|group| same(&group[0], &block)) {
            Some(group) => group.push(block),
            None => groups.push(vec![block]),
        }
    }
    let one = |group: Vec<Block>| {
        let last = group[group.len() - 1].pins.clone();
        let names: Vec<&str> = group.iter().map(|block| block.name.as_str()).collect();
        let range = |(first, last): (&(String, String), (String, String))| {
            let net = if first.1 == last.1 { last.1 } else { format!("{} … {}", first.1, last.1) };
            (last.0, net)
        };
        Block {
            name: names.join(" "),
            what: group[0].what.clone(),
            pins: group[0].pins.iter().zip(last).map(range).collect(),
        }
    };
    groups.into_iter().map(one).collect()
}

/// Name and ports of a `.subckt` line.
fn header(line: &Line) -> Option<(String, Vec<String>)> {
    if line.head() != ".subckt" {
        return None;
    }
    let words = tokens(&line.text);
    let plain = words[1..].iter().take_while(|word| !word.contains('=') && !word.eq_ignore_ascii_case("params:"));
    let mut plain = plain.map(|word| word.to_ascii_lowercase());
    Some((plain.next()?, plain.collect()))
}

/// `name=value` words of a line, in lower case.
fn assignments(text: &str) -> BTreeMap<String, String> {
    let words = tokens(text);
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_ascii_lowercase())).collect()
}

/// A value as a reader wants it: the subcircuit's own default where the value is one of its parameters.
fn shown(text: &str, defaults: &BTreeMap<String, String>) -> String {
    let bare = text.trim_matches(['{', '}', '\'']);
    defaults.get(bare).map_or(bare, String::as_str).to_string()
}

fn polarity(model: &str) -> Option<Polarity> {
    match model {
        name if name.starts_with("nfet") || name.contains("nmos") => Some(Polarity::N),
        name if name.starts_with("pfet") || name.contains("pmos") => Some(Polarity::P),
        _ => None,
    }
}
