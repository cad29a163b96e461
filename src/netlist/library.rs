//! A PDK's library inside a deck: its parameters as raw text, evaluated only where something of ours asks for them.
//!
//! A foundry's `.param` lines use more than [`Expr`](crate::expr::Expr) knows: braces beside operators, random functions, ternaries. They are
//! ngspice's to evaluate and go to it as they stand. What a sweep needs of them, the size and the threshold shift of a
//! transistor, is evaluated at nominal values (`agauss(m, ...)` is `m`), on demand; most of a library never is.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::dropped;
use super::source::Line;
use super::tokens;
use crate::expr::{Expr, spice_number};

/// Parameters that refer to each other deeper than this go in a circle.
const DEPTH_LIMIT: usize = 50;

/// The top-level parameters of a deck's library lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Library {
    texts: BTreeMap<String, String>,
}

impl Library {
    /// Gathers the parameters of a library's top-level `.param` line.
    pub(super) fn read(&mut self, line: &Line) {
        self.texts.extend(assignments(&line.text));
    }

    /// Does the library define a parameter of that name?
    pub(super) fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The nominal value of a parameter; `values` are those of the deck's own parameters. `None` where we cannot tell.
    pub(super) fn value(&self, name: &str, values: &BTreeMap<String, f64>) -> Option<f64> {
        self.value_at(name, values, 0)
    }

    fn value_at(&self, name: &str, values: &BTreeMap<String, f64>, depth: usize) -> Option<f64> {
        let text = self.texts.get(name).filter(|_| depth < DEPTH_LIMIT)?;
        let lookup = |name: &str| values.get(name).copied().or_else(|| self.value_at(name, values, depth + 1));
        nominal(text, &lookup)
    }
}

/// The value of a library's expression, random functions at their nominal values.
pub(super) fn nominal(text: &str, lookup: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
    spice_number(text).or_else(|| Expr::parse_nominal(text).ok()?.eval(lookup).ok())
}

/// `.param a = {b} + c*agauss(0, 1, 1) d = 2` as names with texts: what follows a value and assigns nothing belongs to it.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for token in tokens(text).into_iter().skip(1) {
        let assigned = token.split_once('=').filter(|(name, _)| is_name(name.trim()));
        match (assigned, found.last_mut()) {
            (Some((name, value)), _) => found.push((name.trim().to_ascii_lowercase(), value.trim().to_string())),
            (None, Some((_, value))) => value.push_str(&token),
            (None, None) => {}
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Leaves out what ngspice would drop of a library: a PDK is mostly devices that a circuit has not. Lines that are not a
/// library's stay as they are.
pub(super) fn prune(lines: Vec<Line>) -> Vec<Line> {
    let gone = dropped(&lines);
    lines.into_iter().zip(gone).filter(|(line, gone)| !(line.from_library && *gone)).map(|(line, _)| line).collect()
}

/// A bin of a model: `name.7`, for lengths and widths between its limits [m].
struct Bin {
    length_m: (f64, f64),
    width_m: (f64, f64),
}

/// For each line, whether it is a bin, inside a library's subcircuit, that no device of that subcircuit falls into.
/// `sizes` are the drawn widths and lengths [m] by subcircuit; a subcircuit that is not among them keeps its bins.
///
/// ngspice copies the models of a subcircuit for each of its instances, so forty bins that nothing uses cost more time and
/// memory than everything else.
pub(super) fn unused_bins(lines: &[Line], sizes: &BTreeMap<String, Vec<(f64, f64)>>) -> BTreeSet<usize> {
    let mut open: Vec<String> = Vec::new();
    let mut bins: Vec<(usize, String, Option<Bin>)> = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.from_library) {
        let mut words = line.text.split_whitespace().skip(1).map(str::to_ascii_lowercase);
        match line.head().as_str() {
            ".subckt" => open.push(words.next().unwrap_or_default()),
            ".ends" => drop(open.pop()),
            ".model" => {
                let name = words.next().unwrap_or_default();
                let number = name.rsplit_once('.').map_or("", |(_, number)| number);
                let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                if let Some(subckt) = open.last().filter(|_| numbered) {
                    bins.push((index, subckt.clone(), bin(&line.text)));
                }
            }
            _ => {}
        }
    }
    let mut unused = BTreeSet::new();
    for (subckt, of_subckt) in sizes {
        let covers = |bin: &Bin, (w, l): (f64, f64)| {
            // ngspice takes a size at a limit for either neighbour.
            let inside = |x: f64, (low, high): (f64, f64)| x >= low * (1.0 - 1e-6) && x <= high * (1.0 + 1e-6);
            inside(w, bin.width_m) && inside(l, bin.length_m)
        };
        let used = |bin: &Option<Bin>| bin.as_ref().is_none_or(|bin| of_subckt.iter().any(|size| covers(bin, *size)));
        let of_this = || bins.iter().filter(|(_, of, ..)| of == subckt);
        // Where a device falls into no bin, ngspice is to say so with all of them at hand.
        let every_size =
            |size: &(f64, f64)| of_this().any(|(.., bin)| bin.as_ref().is_none_or(|bin| covers(bin, *size)));
        if of_subckt.iter().all(every_size) {
            unused.extend(of_this().filter(|(.., bin)| !used(bin)).map(|(index, ..)| *index));
        }
    }
    unused
}

fn bin(text: &str) -> Option<Bin> {
    let lower = text.to_ascii_lowercase();
    let words = tokens(&lower);
    let number = |key: &str| {
        let value = words.iter().find_map(|word| word.strip_prefix(key)?.trim_start().strip_prefix('='))?;
        spice_number(value.trim())
    };
    Some(Bin { length_m: (number("lmin")?, number("lmax")?), width_m: (number("wmin")?, number("wmax")?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlist::Origin;

    fn lines(text: &str) -> Vec<Line> {
        let origin = Origin { file: "pdk.lib".into(), line: 1 };
        text.lines().map(|t| Line { text: t.to_string(), origin: origin.clone(), from_library: true }).collect()
    }

    #[test]
    fn parameters_are_evaluated_at_nominal_values_where_they_can_be() {
        let mut library = Library::default();
        let text = ".param switch=0 corner = 1\n\
            .param shift = {0.02+corner*0.01} + switch*AGAUSS(0,1.5e-09,1) twice={2*shift}\n\
            .param odd = {corner > 0 ? 1 : 2} circle={circle2} circle2={circle}";
        lines(text).iter().for_each(|line| library.read(line));
        let value = |name: &str| library.value(name, &BTreeMap::new());
        assert_eq!(value("twice"), Some(0.06));
        assert_eq!((value("odd"), value("circle"), value("nobody")), (None, None, None));
        assert!(library.has("odd") && !library.has("nobody"));
    }

    #[test]
    fn bins_that_no_device_falls_into_go_and_all_stay_for_one_that_fits_none() {
        let text = ".subckt nfet d g s b\nm1 d g s b n w={w} l={l}\n\
            .model n.1 nmos lmin = 1.5e-7 lmax=1e-6 wmin=1e-6 wmax = 1e-5\n\
            .model n.2 nmos lmin=1e-6 lmax=1e-5 wmin=1e-6 wmax=1e-5\n.model other nmos lmin=9 lmax=9\n.ends\n";
        let unused = |w: f64, l: f64| unused_bins(&lines(text), &[("nfet".to_string(), vec![(w, l)])].into());
        assert_eq!(unused(2e-6, 0.15e-6), [3].into());
        assert_eq!(unused(2e-6, 1e-6), [].into());
        assert_eq!(unused(0.4e-6, 0.15e-6), [].into());
    }
}
