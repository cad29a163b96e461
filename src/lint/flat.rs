//! The hierarchy flattened: every element with its nets and the values that sizes depend on.

use std::collections::BTreeMap;

use super::circuit::{Block, Element, Netlist, evaluate};

/// An element of the flattened circuit.
pub(super) struct FlatElement<'a> {
    pub(super) element: &'a Element<'a>,
    /// Its path, as in `xcell.xmn1.m0`.
    pub(super) path: String,
    /// Nets of its nodes.
    pub(super) nets: Vec<usize>,
    /// Value of a resistor, capacitor or inductor, if it can be evaluated.
    pub(super) value: Option<f64>,
    /// Width [m].
    pub(super) w_m: Option<f64>,
    /// Length [m].
    pub(super) l_m: Option<f64>,
}

/// Ground's net.
pub(super) const GROUND: usize = 0;

/// A flattened circuit.
#[derive(Default)]
pub(super) struct Flat<'a> {
    pub(super) elements: Vec<FlatElement<'a>>,
    /// Names of the nets.
    pub(super) nets: Vec<String>,
    /// Nets that expressions look at.
    pub(super) seen: Vec<usize>,
    /// Where each net was first named.
    pub(super) first: Vec<Option<usize>>,
    /// Nets that touch an instance whose inside is not known.
    pub(super) open: Vec<usize>,
    by_name: BTreeMap<String, usize>,
}

/// Deeper nesting is taken for a subcircuit that contains itself.
const DEPTH_LIMIT: usize = 40;
/// Larger circuits are not looked at further.
const ELEMENT_LIMIT: usize = 2_000_000;

/// A subcircuit's own parameters; without a value where it cannot be evaluated, which still hides an outer one.
type Local = BTreeMap<String, Option<f64>>;

fn lookup(netlist: &Netlist<'_>, local: &Local, name: &str) -> Option<f64> {
    local.get(name).copied().unwrap_or_else(|| netlist.values.get(name).copied())
}

impl<'a> Flat<'a> {
    pub(super) fn new(netlist: &'a Netlist<'a>) -> Flat<'a> {
        let mut flat = Flat::default();
        flat.net("0");
        flat.block(netlist, &netlist.top, "", &BTreeMap::new(), &Local::new(), 0);
        flat
    }

    /// The net of that flat name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(if name == "gnd" { "0" } else { name }).copied()
    }

    fn net(&mut self, name: &str) -> usize {
        if let Some(found) = self.by_name.get(name) {
            return *found;
        }
        let number = self.nets.len();
        self.nets.push(name.to_string());
        self.first.push(None);
        self.by_name.insert(name.to_string(), number);
        number
    }

    fn block(
        &mut self,
        netlist: &'a Netlist<'a>,
        block: &'a Block<'a>,
        prefix: &str,
        ports: &BTreeMap<&str, usize>,
        values: &Local,
        depth: usize,
    ) {
        for element in &block.elements {
            if self.elements.len() >= ELEMENT_LIMIT {
                return;
            }
            let resolve = |flat: &mut Flat<'a>, node: &str| match ports.get(node) {
                Some(net) => *net,
                None if node == "gnd" || netlist.globals.contains(node) => {
                    flat.net(if node == "gnd" { "0" } else { node })
                }
                None => flat.net(&format!("{prefix}{node}")),
            };
            let nets: Vec<usize> = element.nodes.iter().map(|node| resolve(self, node)).collect();
            let seen: Vec<usize> = element.seen.iter().map(|node| resolve(self, node)).collect();
            self.seen.extend(seen);
            let path = format!("{prefix}{}", element.name);
            if element.kind() == 'x' {
                self.instance(netlist, element, &path, &nets, values, depth);
                continue;
            }
            let number = self.elements.len();
            for net in &nets {
                self.first[*net].get_or_insert(number);
            }
            let lookup = |name: &str| lookup(netlist, values, name);
            let assigned = |key: &str| element.assigned.get(key).and_then(|text| evaluate(text, &lookup));
            let value = element.rest.first().and_then(|text| evaluate(text, &lookup));
            self.elements.push(FlatElement { element, path, nets, value, w_m: assigned("w"), l_m: assigned("l") });
        }
    }

    fn instance(
        &mut self,
        netlist: &'a Netlist<'a>,
        element: &'a Element<'a>,
        path: &str,
        nets: &[usize],
        values: &Local,
        depth: usize,
    ) {
        let subckt = element.master.as_ref().and_then(|name| netlist.subckts.get(name));
        let Some(subckt) = subckt.filter(|s| s.ports.len() == nets.len() && depth < DEPTH_LIMIT) else {
            self.open.extend_from_slice(nets);
            return;
        };
        // A subcircuit sees the top level's parameters and its own; its header's defaults may use those before them.
        let mut inner = Local::new();
        for (name, default) in &subckt.defaults {
            let value = match element.assigned.get(name) {
                Some(given) => evaluate(given, &|name| lookup(netlist, values, name)),
                None => evaluate(default, &|name| lookup(netlist, &inner, name)),
            };
            inner.insert(name.clone(), value);
        }
        let ports = subckt.ports.iter().map(String::as_str).zip(nets.iter().copied()).collect();
        self.block(netlist, subckt, &format!("{path}."), &ports, &inner, depth + 1);
    }
}
