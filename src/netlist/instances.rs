//! Every transistor below an instance, with its size: what mismatch is drawn for.

use std::collections::BTreeMap;

use super::deck::Deck;
use super::library::{assignments, nominal};
use super::source::{Line, Origin};
use super::tokens;
use crate::error::{Kind, Problem, Result};

/// Instances nested deeper than this go in a circle.
const DEPTH_LIMIT: usize = 40;

/// The sources that make a subcircuit a transistor for mismatch: their voltages are a threshold shift and a factor of its current. Its
/// parameters are `w`, `l`, `a_vt` and `a_beta`.
pub const DRAWN_SOURCES: [&str; 2] = ["vdelvto", "vmulu0"];

/// One device wrapper instance of the flattened circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInstance {
    /// Path of the wrapper instance, as in `xcell.xmn1`.
    pub path: String,
    /// The wrapper's subcircuit name.
    pub wrapper: String,
    /// Width of the transistor inside, as drawn [m].
    pub w_m: f64,
    /// Its length, as drawn [m].
    pub l_m: f64,
    /// Threshold shift that the netlist and the process corner give it [V]; `alter` is absolute, so a draw is added to it.
    pub delvto_v: f64,
    /// Factor that they give its mobility; a draw multiplies it.
    pub mulu0: f64,
    /// Pelgrom's constants of the threshold [V m] and of the current factor [m], of a transistor that is a model of its own with
    /// [`DRAWN_SOURCES`]; `None` of a MOSFET, which has the technology's.
    pub spread: Option<[f64; 2]>,
    /// The line that instantiates the wrapper.
    pub origin: Origin,
}

/// A MOSFET's own line, evaluated; what it does not say has no value.
#[derive(Debug, Clone, Copy, Default)]
struct Transistor {
    w: Option<f64>,
    l: Option<f64>,
    delvto: Option<f64>,
    mulu0: Option<f64>,
}

struct Subckt<'a> {
    ports: usize,
    defaults: Vec<(String, String)>,
    lines: Vec<&'a Line>,
    from_library: bool,
}

type Scope = BTreeMap<String, f64>;

impl Deck {
    /// Transistors at or below `root` (an instance path such as `xcell`; empty for all), in the order of the netlist.
    /// `wrappers` are the technology's device subcircuits, each with the path of the MOSFET inside (`m0`); `values` every
    /// top-level parameter's value.
    ///
    /// # Errors
    /// [`Kind::NetlistSyntax`] if the instance does not exist, or a size or a threshold shift cannot be evaluated.
    pub fn devices(
        &self,
        root: &str,
        wrappers: &BTreeMap<String, String>,
        values: &BTreeMap<String, f64>,
    ) -> Result<Vec<DeviceInstance>> {
        let (top, subckts) = split(self.lines());
        let scale = self.option("scale", values).unwrap_or(1.0);
        let mut walk = Walk { deck: self, values, subckts: &subckts, wrappers, scale, found: Vec::new() };
        walk.lines(&top, "", values)?;
        let mut found = walk.found;
        let root = root.to_ascii_lowercase();
        let below = format!("{root}.");
        found.retain(|device| root.is_empty() || device.path == root || device.path.starts_with(&below));
        if found.is_empty() && !root.is_empty() {
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

    /// Drawn widths and lengths [m] of the MOSFETs that stand in each subcircuit of a library. A subcircuit with one that
    /// cannot be evaluated is left out. `lines` are the deck's, with what is added to it.
    pub(super) fn drawn_sizes(
        &self,
        lines: &[Line],
        values: &BTreeMap<String, f64>,
    ) -> BTreeMap<String, Vec<(f64, f64)>> {
        let (top, subckts) = split(lines);
        let scale = self.option("scale", values).unwrap_or(1.0);
        let wrappers = BTreeMap::new();
        let walk = Walk { deck: self, values, subckts: &subckts, wrappers: &wrappers, scale, found: Vec::new() };
        let mut sizes: BTreeMap<String, Option<Vec<(f64, f64)>>> = BTreeMap::new();
        walk.sizes(&top, values, &mut sizes, 0);
        sizes.into_iter().filter_map(|(name, sizes)| Some((name, sizes?))).collect()
    }
}

/// The top level's lines, and the subcircuits.
fn split(lines: &[Line]) -> (Vec<&Line>, BTreeMap<String, Subckt<'_>>) {
    let mut top = Vec::new();
    let mut subckts = BTreeMap::new();
    let mut open: Option<(String, Subckt<'_>)> = None;
    for line in lines {
        match (line.head().as_str(), &mut open) {
            (".subckt", _) => {
                let words = tokens(&line.text);
                let (assigned, ports): (Vec<_>, Vec<_>) = words.iter().skip(2).partition(|w| w.contains('='));
                let ports = ports.iter().filter(|w| !w.eq_ignore_ascii_case("params:")).count();
                let defaults = assigned.iter().filter_map(|w| assignment(w)).collect();
                let name = words.get(1).map(|w| w.to_ascii_lowercase()).unwrap_or_default();
                let from_library = line.from_library;
                open = Some((name, Subckt { ports, defaults, lines: Vec::new(), from_library }));
            }
            (".ends", Some(_)) => {
                if let Some((name, subckt)) = open.take() {
                    // Of two definitions ngspice takes the first.
                    subckts.entry(name).or_insert(subckt);
                }
            }
            (".param", Some((_, subckt))) => subckt.defaults.extend(assignments(&line.text)),
            (_, Some((_, subckt))) => subckt.lines.push(line),
            (_, None) => top.push(line),
        }
    }
    (top, subckts)
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().to_string()))
}

struct Walk<'a> {
    deck: &'a Deck,
    values: &'a Scope,
    subckts: &'a BTreeMap<String, Subckt<'a>>,
    wrappers: &'a BTreeMap<String, String>,
    /// `.option scale`: what a MOSFET's sizes are multiplied by.
    scale: f64,
    found: Vec<DeviceInstance>,
}

/// An `x` line's words, the name of its subcircuit and what it assigns.
fn instance(line: &Line) -> Option<(Vec<String>, String, BTreeMap<String, String>)> {
    let words = tokens(&line.text);
    let name = words.iter().rev().find(|w| !w.contains('=')).map(|w| w.to_ascii_lowercase())?;
    let given = words.iter().filter_map(|w| assignment(w)).collect();
    Some((words, name, given))
}

/// A transistor that is a model of its own, in the scope of its parameters.
fn own_model(line: &Line, name: &str, path: String, inner: &Scope) -> Result<DeviceInstance> {
    let of = |key: &str| {
        inner.get(key).copied().ok_or_else(|| {
            Problem::new(Kind::NetlistSyntax, format!("`{key}` of {path} has no value"))
                .file(&line.origin.file)
                .line(line.origin.line)
                .help(format!("`{name}` draws its mismatch itself: give it parameters w, l, a_vt and a_beta"))
        })
    };
    let (w_m, l_m, spread) = (of("w")?, of("l")?, [of("a_vt")?, of("a_beta")?]);
    let (wrapper, origin) = (name.to_string(), line.origin.clone());
    Ok(DeviceInstance { path, wrapper, w_m, l_m, delvto_v: 0.0, mulu0: 1.0, spread: Some(spread), origin })
}

impl Walk<'_> {
    fn lines(&mut self, lines: &[&Line], prefix: &str, scope: &Scope) -> Result<()> {
        for line in lines.iter().filter(|line| line.head().starts_with('x')) {
            self.instance(line, prefix, scope)?;
        }
        Ok(())
    }

    fn instance(&mut self, line: &Line, prefix: &str, scope: &Scope) -> Result<()> {
        let Some((words, name, given)) = instance(line) else { return Ok(()) };
        let path = format!("{prefix}{}", words[0].to_ascii_lowercase());
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
        let inner = self.inner(subckt, &given, scope);
        let Some(mosfet) = self.wrappers.get(&name) else {
            if DRAWN_SOURCES.iter().all(|source| subckt.lines.iter().any(|line| line.head() == *source)) {
                self.found.push(own_model(line, &name, path, &inner)?);
                return Ok(());
            }
            return self.lines(&subckt.lines, &format!("{path}."), &inner);
        };
        let told = |what: &str| {
            Problem::new(Kind::NetlistSyntax, format!("`{what}` of {path} has no value"))
                .file(&line.origin.file)
                .line(line.origin.line)
                .help(format!("give `{mosfet}` inside `{name}` a `{what}` of numbers and parameters"))
        };
        let found = self.transistor(subckt, mosfet, &inner);
        let transistor = found.unwrap_or_default();
        let size = |drawn: Option<f64>, key: &str| {
            drawn.map(|drawn| drawn * self.scale).or_else(|| inner.get(key).copied()).ok_or_else(|| told(key))
        };
        // A threshold shift that stands there and cannot be evaluated would be overwritten by the first draw.
        let own = |value: Option<f64>, key: &str, default: f64| match value {
            Some(value) => Ok(value),
            None if self.says(subckt, mosfet, key) => Err(told(key)),
            None => Ok(default),
        };
        let device = DeviceInstance {
            w_m: size(transistor.w, "w")?,
            l_m: size(transistor.l, "l")?,
            delvto_v: own(transistor.delvto, "delvto", 0.0)?,
            mulu0: own(transistor.mulu0, "mulu0", 1.0)?,
            spread: None,
            path,
            wrapper: name,
            origin: line.origin.clone(),
        };
        self.found.push(device);
        Ok(())
    }

    /// Parameters inside an instance: the outer ones, then the subcircuit's own, those that the instance gives first.
    fn inner(&self, subckt: &Subckt<'_>, given: &BTreeMap<String, String>, scope: &Scope) -> Scope {
        let mut inner = scope.clone();
        for (parameter, default) in &subckt.defaults {
            let value = match given.get(parameter) {
                Some(text) => self.evaluate(text, scope),
                None => self.evaluate(default, &inner),
            };
            if let Some(value) = value {
                inner.insert(parameter.clone(), value);
            } else {
                inner.remove(parameter);
            }
        }
        inner
    }

    fn evaluate(&self, text: &str, scope: &Scope) -> Option<f64> {
        nominal(text, &|name| scope.get(name).copied().or_else(|| self.deck.nominal(name, self.values)))
    }

    /// The MOSFET at `path` inside a subcircuit: an element's name, behind those of instances (`xm0.mn`).
    fn transistor(&self, subckt: &Subckt<'_>, path: &str, scope: &Scope) -> Option<Transistor> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let line = subckt.lines.iter().find(|line| line.head().eq_ignore_ascii_case(first))?;
        match rest {
            Some(rest) => {
                let (_, name, given) = instance(line)?;
                let below = self.subckts.get(&name)?;
                self.transistor(below, rest, &self.inner(below, &given, scope))
            }
            None => Some(self.mosfet(line, scope)),
        }
    }

    fn mosfet(&self, line: &Line, scope: &Scope) -> Transistor {
        let given: BTreeMap<String, String> = tokens(&line.text).iter().filter_map(|w| assignment(w)).collect();
        let value = |key: &str| self.evaluate(given.get(key)?, scope);
        Transistor { w: value("w"), l: value("l"), delvto: value("delvto"), mulu0: value("mulu0") }
    }

    /// Does the MOSFET at `path` have an assignment to `key`?
    fn says(&self, subckt: &Subckt<'_>, path: &str, key: &str) -> bool {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let Some(line) = subckt.lines.iter().find(|line| line.head().eq_ignore_ascii_case(first)) else { return false };
        match (rest, instance(line)) {
            (Some(rest), Some((_, name, _))) => {
                self.subckts.get(&name).is_some_and(|below| self.says(below, rest, key))
            }
            (None, Some((.., given))) => given.contains_key(key),
            _ => false,
        }
    }

    fn sizes(
        &self,
        lines: &[&Line],
        scope: &Scope,
        sizes: &mut BTreeMap<String, Option<Vec<(f64, f64)>>>,
        depth: usize,
    ) {
        for line in lines.iter().filter(|line| line.head().starts_with('x') && depth < DEPTH_LIMIT) {
            let Some((_, name, given)) = instance(line) else { continue };
            let Some(subckt) = self.subckts.get(&name) else { continue };
            let inner = self.inner(subckt, &given, scope);
            for mosfet in subckt.lines.iter().filter(|line| subckt.from_library && line.head().starts_with('m')) {
                let drawn = self.mosfet(mosfet, &inner);
                let of_subckt = sizes.entry(name.clone()).or_insert_with(|| Some(Vec::new()));
                match (drawn.w, drawn.l, of_subckt.as_mut()) {
                    (Some(w), Some(l), Some(known)) => known.push((w * self.scale, l * self.scale)),
                    _ => *of_subckt = None,
                }
            }
            self.sizes(&subckt.lines, &inner, sizes, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlist::TechFiles;

    #[test]
    fn a_transistor_inside_a_pdk_has_its_drawn_size_and_what_the_corner_gives_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pdk) = (dir.path().join("x.cir"), dir.path().join("pdk.lib"));
        let library = ".lib ss\n.option scale=1.0u\n.param switch=0 vt = {0.03} + switch*AGAUSS(0,1,1)\n\
            .subckt pdk_nfet d g s b mult=1\n.param l = 1 w = 1\n+ shift = {vt*(0.01/l+0.99)}\n\
            Mn d g s b core.1 l = {l} w = {w} delvto = {shift}\n.model core.1 nmos vth0={0.4+vt}\n\
            .model idle nmos\n.ends\n.subckt idle a\nr1 a 0 1\n.ends\n.endl\n";
        std::fs::write(&pdk, library).unwrap();
        let bench = "t\n.lib pdk.lib ss\n.param wide={2*vt}\n\
            .subckt nfet d g s b w=1u l=30n\nxm0 d g s b pdk_nfet w={w*5e6} l={l*5e6}\n.ends\nx1 a a 0 0 nfet w=0.2u\n.op\n";
        std::fs::write(&path, bench).unwrap();
        let deck = Deck::read(&path, &TechFiles::default()).unwrap();
        let values = deck.values(&BTreeMap::new()).unwrap();
        assert!(!values.contains_key("wide"), "what a library's parameter is made into is ngspice's to evaluate");
        let wrappers = [("nfet".to_string(), "xm0.mn".to_string())].into();
        let device = &deck.devices("x1", &wrappers, &values).unwrap()[0];
        assert!((device.w_m / 1e-6 - 1.0).abs() < 1e-12 && (device.l_m / 0.15e-6 - 1.0).abs() < 1e-12);
        assert!((device.delvto_v - 0.03 * (0.01 / 0.15 + 0.99)).abs() < 1e-12);
        assert_eq!((device.mulu0, device.origin.line), (1.0, 7));
        let circuit = deck.circuit(&values, &[], &[]).lines;
        assert!(circuit.contains(&".param switch=0 vt = {0.03} + switch*AGAUSS(0,1,1)".to_string()));
        assert!(circuit.iter().any(|l| l.starts_with(".model core.1")) && !circuit.iter().any(|l| l.contains("idle")));
    }

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
        let wrappers = [("nfet".to_string(), "m0".to_string())].into();
        let devices = deck.devices("xp", &wrappers, &values).unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[0].path.as_str(), devices[0].w_m, devices[0].delvto_v), ("xp.xm1", 2e-6, -0.1));
        assert_eq!((devices[1].w_m, devices[1].l_m), (4e-6, 60e-9));
        assert_eq!(deck.devices("", &wrappers, &values).unwrap().len(), 4);
        assert_eq!(deck.devices("nobody", &wrappers, &values).unwrap_err().kind(), Kind::NetlistSyntax);
    }
}
