//! Every transistor below an instance, with its size: what mismatch is drawn for.

use std::collections::BTreeMap;

use super::deck::Deck;
use super::source::Line;
use super::tokens;
use crate::error::{Kind, Problem, Result};
use crate::expr::{Expr, spice_number};

/// One device wrapper instance of the flattened circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInstance {
    /// Path of the wrapper instance, as in `xcell.xmn1`.
    pub path: String,
    /// The wrapper's subcircuit name.
    pub wrapper: String,
    /// Width [m].
    pub w_m: f64,
    /// Length [m].
    pub l_m: f64,
    /// Nominal threshold shift that the netlist gives it [V]; `alter` is absolute, so a draw is added to it.
    pub delvto_v: f64,
}

struct Subckt<'a> {
    ports: usize,
    defaults: Vec<(String, String)>,
    lines: Vec<&'a Line>,
}

impl Deck {
    /// Transistors at or below `root` (an instance path such as `xcell`), in the order of the netlist. `wrappers` are the
    /// technology's device subcircuits; `values` every top-level parameter's value.
    ///
    /// # Errors
    /// [`Kind::NetlistSyntax`] if the instance does not exist, or a size cannot be evaluated.
    pub fn devices(
        &self,
        root: &str,
        wrappers: &[String],
        values: &BTreeMap<String, f64>,
    ) -> Result<Vec<DeviceInstance>> {
        let (top, subckts) = self.split();
        let mut found = Vec::new();
        let mut walk = Walk { subckts: &subckts, wrappers, found: &mut found };
        walk.lines(&top, "", values)?;
        let root = root.to_ascii_lowercase();
        let below = format!("{root}.");
        found.retain(|device| device.path == root || device.path.starts_with(&below));
        if found.is_empty() {
            let instances = top.iter().filter(|l| l.head().starts_with('x')).map(|l| l.head()).collect::<Vec<_>>();
            return Err(Problem::new(
                Kind::NetlistSyntax,
                format!("no transistor stands at or below instance `{root}`"),
            )
            .accepted(format!("an instance of the bench: {}", instances.join(", ")))
            .into());
        }
        Ok(found)
    }

    fn split(&self) -> (Vec<&Line>, BTreeMap<String, Subckt<'_>>) {
        let mut top = Vec::new();
        let mut subckts = BTreeMap::new();
        let mut open: Option<(String, Subckt<'_>)> = None;
        for line in self.lines() {
            match (line.head().as_str(), &mut open) {
                (".subckt", _) => {
                    let words = tokens(&line.text);
                    let (assigned, ports): (Vec<_>, Vec<_>) = words.iter().skip(2).partition(|w| w.contains('='));
                    let ports = ports.iter().filter(|w| !w.eq_ignore_ascii_case("params:")).count();
                    let defaults = assigned.iter().filter_map(|w| assignment(w)).collect();
                    let name = words.get(1).map(|w| w.to_ascii_lowercase()).unwrap_or_default();
                    open = Some((name, Subckt { ports, defaults, lines: Vec::new() }));
                }
                (".ends", Some(_)) => {
                    if let Some((name, subckt)) = open.take() {
                        // Of two definitions ngspice takes the first.
                        subckts.entry(name).or_insert(subckt);
                    }
                }
                (_, Some((_, subckt))) => subckt.lines.push(line),
                (_, None) => top.push(line),
            }
        }
        (top, subckts)
    }
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().trim_matches(['{', '}', '\'']).to_string()))
}

struct Walk<'a> {
    subckts: &'a BTreeMap<String, Subckt<'a>>,
    wrappers: &'a [String],
    found: &'a mut Vec<DeviceInstance>,
}

impl Walk<'_> {
    fn lines(&mut self, lines: &[&Line], prefix: &str, scope: &BTreeMap<String, f64>) -> Result<()> {
        for line in lines.iter().filter(|line| line.head().starts_with('x')) {
            self.instance(line, prefix, scope)?;
        }
        Ok(())
    }

    fn instance(&mut self, line: &Line, prefix: &str, scope: &BTreeMap<String, f64>) -> Result<()> {
        let words = tokens(&line.text);
        let path = format!("{prefix}{}", words[0].to_ascii_lowercase());
        let Some(name) = words.iter().rev().find(|w| !w.contains('=')).map(|w| w.to_ascii_lowercase()) else {
            return Ok(());
        };
        let Some(subckt) = self.subckts.get(&name) else {
            return Err(Problem::new(Kind::NetlistSyntax, format!("subcircuit `{name}` is not defined"))
                .file(&line.origin.file)
                .line(line.origin.line)
                .help("include the file that defines it")
                .into());
        };
        let nodes = words.iter().filter(|w| !w.contains('=')).count() - 2;
        if nodes != subckt.ports {
            return Err(Problem::new(
                Kind::NetlistSyntax,
                format!("`{}` connects {nodes} nodes, `{name}` has {} ports", words[0], subckt.ports),
            )
            .file(&line.origin.file)
            .line(line.origin.line)
            .into());
        }
        let given: BTreeMap<String, String> = words.iter().filter_map(|w| assignment(w)).collect();
        let mut inner = scope.clone();
        for (parameter, default) in &subckt.defaults {
            let value = match given.get(parameter) {
                Some(text) => evaluate(text, scope),
                None => evaluate(default, &inner),
            };
            if let Some(value) = value {
                inner.insert(parameter.clone(), value);
            } else {
                inner.remove(parameter);
            }
        }
        if self.wrappers.contains(&name) {
            let size = |key: &str| {
                inner.get(key).copied().ok_or_else(|| {
                    Problem::new(Kind::NetlistSyntax, format!("`{key}` of {path} has no value"))
                        .file(&line.origin.file)
                        .line(line.origin.line)
                })
            };
            self.found.push(DeviceInstance {
                w_m: size("w")?,
                l_m: size("l")?,
                delvto_v: inner.get("delvto").copied().unwrap_or(0.0),
                path,
                wrapper: name,
            });
            return Ok(());
        }
        self.lines(&subckt.lines, &format!("{path}."), &inner)
    }
}

fn evaluate(text: &str, scope: &BTreeMap<String, f64>) -> Option<f64> {
    spice_number(text).or_else(|| Expr::parse(text).ok()?.eval(&|name| scope.get(name).copied()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlist::TechFiles;

    #[test]
    fn flattens_with_sizes_through_the_hierarchy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.cir");
        let text = "t\n.param big=2u\n.subckt nfet d g s b w=1u l=30n delvto=0\nm0 d g s b n w={w} l={l} delvto={delvto}\n.ends\n\
            .subckt pair a b w=0.5u dv=-0.1\nxm1 a b 0 0 nfet w={w} delvto={dv}\nxm2 b a 0 0 nfet w={2*w} l=60n\n.ends\n\
            xp a b pair w={big}\nxq a b pair\n.op\n";
        std::fs::write(&path, text).unwrap();
        let deck = Deck::read(&path, &TechFiles::default()).unwrap();
        let values = deck.values(&BTreeMap::new()).unwrap();
        let wrappers = ["nfet".to_string()];
        let devices = deck.devices("xp", &wrappers, &values).unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[0].path.as_str(), devices[0].w_m, devices[0].delvto_v), ("xp.xm1", 2e-6, -0.1));
        assert_eq!((devices[1].w_m, devices[1].l_m), (4e-6, 60e-9));
        assert_eq!(deck.devices("nobody", &wrappers, &values).unwrap_err().kind(), Kind::NetlistSyntax);
    }
}
