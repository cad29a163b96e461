//! A deck's lines as subcircuits, elements, models and options: what the rules look at.

use std::collections::{BTreeMap, BTreeSet};

use super::words;
use crate::expr::{Expr, spice_number};
use crate::netlist::{Line, tokens};

/// One element line. Everything is in lower case.
pub(super) struct Element<'a> {
    pub(super) line: &'a Line,
    pub(super) name: String,
    pub(super) nodes: Vec<String>,
    /// The model or subcircuit, if the line names one.
    pub(super) master: Option<String>,
    /// What follows the nodes and is no assignment.
    pub(super) rest: Vec<String>,
    pub(super) assigned: BTreeMap<String, String>,
    /// Nodes that its expressions look at, without a connection.
    pub(super) seen: Vec<String>,
}

impl Element<'_> {
    /// The letter that says what it is.
    pub(super) fn kind(&self) -> char {
        self.name.chars().next().unwrap_or(' ')
    }
}

/// The top level, or a subcircuit's body.
#[derive(Default)]
pub(super) struct Block<'a> {
    /// Its `.subckt` line; `None` at the top.
    pub(super) line: Option<&'a Line>,
    pub(super) name: String,
    pub(super) ports: Vec<String>,
    /// Parameters of the header, then those of `.param` lines inside.
    pub(super) defaults: Vec<(String, String)>,
    pub(super) elements: Vec<Element<'a>>,
    lines: Vec<&'a Line>,
}

/// One `.model`.
pub(super) struct Model<'a> {
    pub(super) line: &'a Line,
    pub(super) name: String,
    /// Its type, as in `nmos`.
    pub(super) kind: String,
    /// The subcircuit that holds it; empty at the top.
    pub(super) block: String,
    /// Its parameters as words `key=value`.
    pub(super) parameters: Vec<(String, String)>,
}

impl Model<'_> {
    pub(super) fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A deck, understood.
#[derive(Default)]
pub(super) struct Netlist<'a> {
    pub(super) top: Block<'a>,
    pub(super) subckts: BTreeMap<String, Block<'a>>,
    pub(super) models: Vec<Model<'a>>,
    /// Names of models, bins (`name.3`) under their common name too.
    pub(super) model_names: BTreeSet<String>,
    /// Options by name, in order.
    pub(super) options: Vec<(String, Option<String>, &'a Line)>,
    /// Nodes that are the same everywhere.
    pub(super) globals: BTreeSet<String>,
    /// Values of the top level's parameters, as far as they can be evaluated.
    pub(super) values: BTreeMap<String, f64>,
    /// The other dot lines: analyses, `.ic`, `.nodeset`.
    pub(super) cards: Vec<&'a Line>,
    /// (what, name, the definition that counts, the one that does not)
    pub(super) duplicates: Vec<(&'static str, String, &'a Line, &'a Line)>,
}

impl<'a> Netlist<'a> {
    pub(super) fn read(lines: &'a [Line]) -> Netlist<'a> {
        let mut netlist = Netlist::default();
        netlist.globals.insert("0".to_string());
        netlist.split(lines);
        let names = netlist.model_names.clone();
        let read = |block: &mut Block<'a>| {
            block.elements = block.lines.iter().filter_map(|line| element(line, &names)).collect();
        };
        read(&mut netlist.top);
        netlist.subckts.values_mut().for_each(read);
        netlist
    }

    /// Sorts the lines into blocks, models, options and parameters.
    fn split(&mut self, lines: &'a [Line]) {
        let mut open: Vec<Block<'a>> = Vec::new();
        let (mut conditional, mut parameters) = (0usize, BTreeMap::new());
        let mut models: BTreeMap<(String, String), &'a Line> = BTreeMap::new();
        for line in lines {
            let head = line.head();
            match head.as_str() {
                ".if" => conditional += 1,
                ".endif" => conditional = conditional.saturating_sub(1),
                ".subckt" => open.push(header(line)),
                ".ends" => {
                    if let Some(block) = open.pop() {
                        self.define(block, conditional > 0);
                    }
                }
                ".model" => {
                    let block = open.last().map(|b| b.name.clone()).unwrap_or_default();
                    let model = model(line, block);
                    if let Some((base, bin)) = model.name.rsplit_once('.')
                        && bin.bytes().all(|b| b.is_ascii_digit())
                    {
                        self.model_names.insert(base.to_string());
                    }
                    self.model_names.insert(model.name.clone());
                    match models.insert((model.block.clone(), model.name.clone()), line) {
                        Some(first) if conditional == 0 => {
                            models.insert((model.block.clone(), model.name.clone()), first);
                            self.duplicates.push(("model", model.name.clone(), first, line));
                        }
                        _ => {}
                    }
                    self.models.push(model);
                }
                ".param" | ".params" | ".parameter" => {
                    let assigned = words(line)[1..].iter().filter_map(|w| assignment(w)).collect::<Vec<_>>();
                    match open.last_mut() {
                        Some(block) => block.defaults.extend(assigned),
                        None => {
                            for (name, text) in assigned {
                                let value = self.evaluate(&text);
                                let before = value.and_then(|value| self.values.insert(name.clone(), value));
                                // One value twice is what a technology says and its own files repeat for plain ngspice.
                                let same = before.is_some() && before == value;
                                if let Some(earlier) = parameters.insert(name.clone(), line)
                                    && conditional == 0
                                    && !same
                                {
                                    self.duplicates.push(("parameter", name, line, earlier));
                                }
                            }
                        }
                    }
                }
                ".option" | ".options" | ".opt" => {
                    self.options.extend(words(line)[1..].iter().map(|word| match word.split_once('=') {
                        Some((name, value)) => (name.trim().to_string(), Some(value.trim().to_string()), line),
                        None => (word.clone(), None, line),
                    }));
                }
                ".global" => self.globals.extend(words(line).into_iter().skip(1)),
                _ if head.starts_with('.') => self.cards.push(line),
                _ => match open.last_mut() {
                    Some(block) => block.lines.push(line),
                    None => self.top.lines.push(line),
                },
            }
        }
    }

    /// Of two subcircuits of one name ngspice takes the first.
    fn define(&mut self, block: Block<'a>, conditional: bool) {
        if let Some(first) = self.subckts.get(&block.name) {
            if let (Some(first), Some(second), false) = (first.line, block.line, conditional) {
                self.duplicates.push(("subcircuit", block.name, first, second));
            }
            return;
        }
        self.subckts.insert(block.name.clone(), block);
    }

    /// An expression's value at the top level.
    pub(super) fn evaluate(&self, text: &str) -> Option<f64> {
        evaluate(text, &|name| self.values.get(name).copied())
    }

    /// The value of an option; the last one counts.
    pub(super) fn option(&self, name: &str) -> Option<(Option<f64>, &'a Line)> {
        let (_, value, line) = self.options.iter().rev().find(|(key, ..)| key == name)?;
        Some((value.as_ref().and_then(|text| self.evaluate(text)), line))
    }

    /// The first dot line of that name.
    pub(super) fn card(&self, name: &str) -> Option<&'a Line> {
        self.cards.iter().find(|line| line.head() == name).copied()
    }

    /// Every block, the top first.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block<'a>> {
        std::iter::once(&self.top).chain(self.subckts.values())
    }
}

fn header(line: &Line) -> Block<'_> {
    let words = words(line);
    let (assigned, ports): (Vec<_>, Vec<_>) = words.iter().skip(2).partition(|w| w.contains('='));
    Block {
        line: Some(line),
        name: words.get(1).cloned().unwrap_or_default(),
        ports: ports.into_iter().filter(|w| !matches!(w.as_str(), "params:" | "params")).cloned().collect(),
        defaults: assigned.iter().filter_map(|w| assignment(w)).collect(),
        ..Block::default()
    }
}

fn model(line: &Line, block: String) -> Model<'_> {
    let text = line.text.to_ascii_lowercase().replace(['(', ')'], " ");
    let words = tokens(&text);
    Model {
        line,
        name: words.get(1).cloned().unwrap_or_default(),
        kind: words.get(2).cloned().unwrap_or_default(),
        block,
        parameters: words.iter().skip(3).filter_map(|w| assignment(w)).collect(),
    }
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.trim().to_string(), value.trim().trim_matches(['{', '}', '\'']).to_string()))
}

/// A number, or an expression whose names all have values.
pub(super) fn evaluate(text: &str, lookup: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
    let bare = text.trim_matches(['{', '}', '\'']);
    spice_number(bare).or_else(|| Expr::parse(bare).ok()?.eval(lookup).ok())
}

/// How many nodes an element of that letter has; `None` where the line itself decides.
fn node_count(kind: char) -> Option<usize> {
    Some(match kind {
        'r' | 'c' | 'l' | 'v' | 'i' | 'b' | 'd' | 'e' | 'g' | 'f' | 'h' | 'w' => 2,
        'j' | 'z' | 'u' => 3,
        's' | 't' | 'o' | 'y' => 4,
        'k' => 0,
        _ => return None,
    })
}

fn element<'a>(line: &'a Line, models: &BTreeSet<String>) -> Option<Element<'a>> {
    let words = words(line);
    let name = words.first()?.clone();
    let kind = name.chars().next()?;
    if !kind.is_ascii_alphabetic() {
        return None;
    }
    let assigned: BTreeMap<_, _> = words.iter().skip(1).filter_map(|w| assignment(w)).collect();
    let plain: Vec<String> = words.iter().skip(1).filter(|w| !w.contains('=')).cloned().collect();
    let is_model = |word: &String| models.contains(word);
    let (count, master) = match kind {
        'x' | 'n' => {
            let plain: Vec<_> = plain.iter().filter(|w| !matches!(w.as_str(), "params:" | "params")).collect();
            (plain.len().saturating_sub(1), plain.last().map(ToString::to_string))
        }
        // A model's name ends the nodes; without one known, the usual number of nodes is assumed.
        'm' => {
            let at = plain.iter().skip(3).position(is_model).map_or(4, |k| k + 3);
            (at.min(plain.len()), plain.get(at).cloned())
        }
        'q' => {
            let at = plain.iter().skip(3).position(is_model).map_or(3, |k| k + 3);
            (at.min(plain.len()), plain.get(at).cloned())
        }
        // XSPICE: nodes in brackets, the code model last.
        'a' => (plain.len().saturating_sub(1), plain.last().cloned()),
        'p' => (0, None),
        _ => {
            let count = node_count(kind).unwrap_or(2).min(plain.len());
            let master = match kind {
                'd' | 's' | 'j' | 'z' | 'o' | 'u' => plain.get(count).cloned(),
                'w' => plain.get(count + 1).cloned(),
                // Resistors and capacitors may have a model.
                'r' | 'c' | 'l' => plain.get(count).filter(|w| is_model(w)).cloned(),
                _ => None,
            };
            (count, master)
        }
    };
    let clean = |node: &String| node.trim_matches(['[', ']', '%', '~']).to_string();
    let nodes = plain[..count].iter().map(clean).filter(|n| !n.is_empty()).collect();
    let mut seen = looked_at(&line.text.to_ascii_lowercase());
    // `e1 p m cp cm gain` looks at its control nodes.
    if matches!(kind, 'e' | 'g') && plain.len() >= 5 && !plain[2].contains(['(', '{']) {
        seen.extend([plain[2].clone(), plain[3].clone()]);
    }
    Some(Element { line, name, nodes, master, rest: plain[count..].to_vec(), assigned, seen })
}

/// The nodes in `v(a)` and `v(a,b)`.
fn looked_at(text: &str) -> Vec<String> {
    let mut nodes = Vec::new();
    for (at, _) in text.match_indices("v(") {
        let inside_word = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if let (false, Some(length)) = (inside_word, text[at..].find(')')) {
            nodes.extend(text[at + 2..at + length].split(',').map(|n| n.trim().to_string()));
        }
    }
    nodes
}
