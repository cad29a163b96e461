//! `tech.toml` to a checked technology.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Check, Device, Expected, Library, Place, Target, TechCorner, Technology};
use crate::error::{Kind, Problem, Result};
use crate::keys::{Document, Keys, Scales};
use crate::units::{Unit, parse_any};

/// Figures that a device may have targets for.
const FIGURES: &[(&str, Unit)] = &[
    ("ion", Unit::AmperePerMetre),
    ("ioff", Unit::AmperePerMetre),
    ("ss", Unit::VoltPerDecade),
    ("dibl", Unit::VoltPerVolt),
    ("gate_leakage", Unit::AmperePerSquareMetre),
    ("bulk_off", Unit::AmperePerMetre),
];

impl Technology {
    /// Reads a `tech.toml`.
    ///
    /// # Errors
    /// Every mistake of the file at once; [`Kind::MissingNetlist`] for a model file or a library that is nowhere to be found.
    pub fn read(path: &Path) -> Result<Technology> {
        Technology::read_with(path, &|name| std::env::var(name).ok())
    }

    /// Reads a `tech.toml`; `variable` tells the environment's variables.
    ///
    /// # Errors
    /// As [`Technology::read`].
    pub fn read_with(path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Technology> {
        let document = Document::read(path, Kind::UnknownTech)?;
        let table = document.parse()?;
        let keys = document.root(&table);
        let folder = path.parent().unwrap_or(Path::new("."));
        let resolve = |written: &str| Place::resolve(written, folder, variable);
        let name = keys.require_string("name", "the technology's name");
        let description = keys.string("description").unwrap_or_default();
        let vdd_v = keys.require_quantity("vdd", Unit::Volt);
        let temperature_degc = keys.quantity("temperature", Unit::Celsius).unwrap_or(27.0);
        let temperature_range_degc = pair(&keys, "temperature_range", Unit::Celsius);
        let (mut files, mut startup, mut libraries) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(models) = keys.table("models") {
            files = read_files(&models, &resolve).unwrap_or_default();
            libraries = models.tables("library").iter().filter_map(|table| read_library(table, &resolve)).collect();
            startup = models.strings("startup").unwrap_or_default();
            startup.extend(read_osdi(&models, &resolve));
            models.finish();
        } else {
            keys.missing("models", "a table with `files = [...]`");
        }
        let devices = keys.named_tables("devices").iter().map(|(name, device)| read_device(name, device)).collect();
        let (mut a_vt_v_m, mut a_beta_m) = (0.0, 0.0);
        if let Some(mismatch) = keys.table("mismatch") {
            a_vt_v_m = mismatch.require_quantity("a_vt", Unit::VoltMetre);
            a_beta_m = mismatch.require_quantity("a_beta", Unit::OneMetre);
            mismatch.finish();
        }
        let (sizes, energy_scale) = read_sizes(&keys);
        let parameters = keys.table("parameters").map(|table| read_quantities(&table)).unwrap_or_default();
        let subckts = keys.named_tables("subckts").into_iter().map(|(name, table)| {
            let quantities = read_quantities(&table);
            table.finish();
            (name.to_ascii_lowercase(), quantities)
        });
        let subckts = subckts.collect();
        let corners: Vec<TechCorner> =
            keys.named_tables("corners").iter().map(|(name, table)| read_corner(name, table, &resolve)).collect();
        let checks =
            keys.named_tables("checks").iter().map(|(name, table)| read_check(name, table, &corners)).collect();
        keys.finish();
        document.check()?;
        let hash = blake3::hash(document.text().as_bytes()).to_hex()[..32].to_string();
        Ok(Technology {
            name,
            description,
            vdd_v,
            temperature_degc,
            stated_degc: temperature_degc,
            temperature_range_degc,
            libraries,
            files,
            sizes,
            energy_scale,
            subckts,
            parameters,
            corners,
            checks,
            startup,
            devices,
            a_vt_v_m,
            a_beta_m,
            file: path.to_path_buf(),
            hash,
        })
    }
}

/// The supply that the technology `name` (below `technologies`, or a path) states [V], whether or not its models are here.
pub fn supply_of(name: &str, technologies: &Path) -> Option<f64> {
    let path = Technology::file_of(name, technologies)?;
    let document = Document::read(&path, Kind::UnknownTech).ok()?;
    let table = document.parse().ok()?;
    document.root(&table).quantity("vdd", Unit::Volt)
}

/// The supply [V], the charge scale and the energy scale for which files are written that name the technology `name`.
pub fn written_for(name: &str, technologies: &Path) -> Option<Scales> {
    let document = Document::read(&Technology::file_of(name, technologies)?, Kind::UnknownTech).ok()?;
    let table = document.parse().ok()?;
    let keys = document.root(&table);
    let sizes = keys.table("sizes");
    let scale = |key: &str| sizes.as_ref().and_then(|sizes| sizes.quantity(key, Unit::One)).unwrap_or(1.0);
    Some(Scales { volts: keys.quantity("vdd", Unit::Volt)?, coulombs: scale("q"), joules: scale("e") })
}

fn read_files(keys: &Keys<'_>, resolve: &dyn Fn(&str) -> Place) -> Option<Vec<PathBuf>> {
    let read = |written: &String| {
        let place = resolve(written);
        if let Some(missing) = place.missing() {
            let message = format!("model file {missing} is not there");
            keys.problem(
                Problem::new(Kind::MissingNetlist, message).help("correct the path, or add the file beside tech.toml"),
                "files",
            );
        }
        let path = place.path.unwrap_or_default();
        std::fs::canonicalize(&path).unwrap_or(path)
    };
    Some(keys.strings("files")?.iter().map(read).collect())
}

fn read_library(keys: &Keys<'_>, resolve: &dyn Fn(&str) -> Place) -> Option<Library> {
    let mut written = keys.strings("search").unwrap_or_default();
    written.extend(keys.string("file"));
    let section = keys.string("section");
    let help = keys.string("help");
    keys.finish();
    if written.is_empty() {
        if !keys.has("search") && !keys.has("file") {
            keys.missing("file", "the library's path, or `search = [...]` with the places where it may be");
        }
        return None;
    }
    let places: Vec<Place> = written.iter().map(|text| resolve(text)).collect();
    let line = keys.line_of(if section.is_some() { "section" } else { "file" });
    if let Some(place) = places.iter().find(|place| place.missing().is_none()) {
        let path = place.path.clone()?;
        return Some(Library { file: std::fs::canonicalize(&path).unwrap_or(path), section, line });
    }
    let looked: Vec<String> = places.iter().filter_map(Place::missing).collect();
    let problem = Problem::new(Kind::MissingNetlist, "the models are not on this machine")
        .accepted(format!("the library at one of: {}", looked.join(", ")))
        .help(help.unwrap_or_else(|| "correct the path".to_string()));
    keys.problem(problem, if keys.has("search") { "search" } else { "file" });
    None
}

/// `osdi` libraries as start-up commands.
fn read_osdi(keys: &Keys<'_>, resolve: &dyn Fn(&str) -> Place) -> Vec<String> {
    let read = |written: &String| {
        let place = resolve(written);
        if let Some(missing) = place.missing() {
            let problem = Problem::new(Kind::MissingNetlist, format!("OSDI library {missing} is not there"));
            keys.problem(problem.help("compile the model with OpenVAF, or correct the path"), "osdi");
        }
        let path = place.path.unwrap_or_default();
        format!("osdi {}", std::fs::canonicalize(&path).unwrap_or(path).display())
    };
    keys.strings("osdi").unwrap_or_default().iter().map(read).collect()
}

fn read_device(name: &str, keys: &Keys<'_>) -> Device {
    let wrapper = keys.string("subckt").unwrap_or_else(|| name.to_string()).to_ascii_lowercase();
    let mosfet = keys.string("mosfet").unwrap_or_else(|| "m0".to_string()).to_ascii_lowercase();
    let tolerance = keys.quantity("tolerance", Unit::One).unwrap_or(0.2);
    let (width_m, length_m) = (pair(keys, "w", Unit::Metre), pair(keys, "l", Unit::Metre));
    let targets = FIGURES
        .iter()
        .filter_map(|(figure, unit)| {
            let value = keys.quantity(figure, *unit)?;
            Some(Target { figure: (*figure).to_string(), value, tolerance, unit: *unit })
        })
        .collect();
    keys.finish();
    Device { wrapper, mosfet, width_m, length_m, targets }
}

fn read_corner(name: &str, keys: &Keys<'_>, resolve: &dyn Fn(&str) -> Place) -> TechCorner {
    let corner = TechCorner {
        name: name.to_string(),
        section: keys.string("section"),
        files: read_files(keys, resolve),
        vdd_v: keys.quantity("vdd", Unit::Volt),
        temperature_degc: keys.quantity("temperature", Unit::Celsius),
        line: keys.line_of("section"),
    };
    keys.finish();
    corner
}

/// How many of [`FIGURES`] a check may state, from the first on.
const CHECKED: usize = 4;

fn read_check(name: &str, keys: &Keys<'_>, corners: &[TechCorner]) -> Check {
    let corner = keys.string("corner");
    if let Some(corner) = corner.as_ref().filter(|corner| !corners.iter().any(|known| known.name == **corner)) {
        let known: Vec<&str> = corners.iter().map(|corner| corner.name.as_str()).collect();
        let problem = Problem::new(Kind::SpecKey, format!("there is no corner \"{corner}\""));
        keys.problem(problem.accepted(format!("one of [corners]: {}", known.join(", "))), "corner");
    }
    let (temperature_degc, length_m) =
        (keys.quantity("temperature", Unit::Celsius), keys.quantity("length", Unit::Metre));
    let tolerance = keys.quantity("tolerance", Unit::One).unwrap_or(0.1);
    let vt_tolerance_v = keys.quantity("vt_tolerance", Unit::Volt).unwrap_or(5e-3);
    let own = ["corner", "temperature", "length", "tolerance", "vt_tolerance"];
    let mut expected = Vec::new();
    for flavour in keys.names().into_iter().filter(|key| !own.contains(&key.as_str())) {
        let Some(table) = keys.table(&flavour) else { continue };
        let stated = |figure: &str, unit: Unit| {
            let value = table.quantity(figure, unit)?;
            Some(Expected { flavour: flavour.clone(), figure: figure.to_string(), unit, value })
        };
        // A bare number is a ratio, a quantity with a unit the figure itself.
        let figures = FIGURES[..CHECKED].iter();
        let figures = figures.map(|(figure, unit)| (*figure, if table.is_text(figure) { *unit } else { Unit::One }));
        expected.extend(figures.chain([("vt", Unit::Volt)]).filter_map(|(figure, unit)| stated(figure, unit)));
        table.finish();
    }
    keys.finish();
    Check { name: name.to_string(), corner, temperature_degc, length_m, tolerance, vt_tolerance_v, expected }
}

/// `[sizes]`: `w`, `l`, `c` and `q` as the parameters `w_scale` and so on, and `e`, which is for limits alone. Cells and benches use
/// `c` and `q` themselves, so these are always there.
fn read_sizes(keys: &Keys<'_>) -> (Vec<(String, f64)>, f64) {
    let Some(table) = keys.table("sizes") else {
        return (["c_scale", "q_scale"].map(|name| (name.to_string(), 1.0)).to_vec(), 1.0);
    };
    let scale = |key: &str| {
        let scale = table.quantity(key, Unit::One).unwrap_or(1.0);
        if scale <= 0.0 {
            let problem = Problem::new(Kind::SpecUnit, format!("{scale} is no scale"));
            table.problem(problem.accepted("a number above zero: drawn size over size in the netlist"), key);
        }
        scale
    };
    let sizes = ["l", "w", "c", "q"].map(|key| (format!("{key}_scale"), scale(key))).to_vec();
    let energy = scale("e");
    table.finish();
    (sizes, energy)
}

/// Quantities by name, in whatever unit they name.
fn read_quantities(table: &Keys<'_>) -> BTreeMap<String, f64> {
    let read = |key: &String| {
        let text = table.string(key)?;
        match parse_any(&text) {
            Ok((value, _)) => Some((key.to_ascii_lowercase(), value)),
            Err(message) => {
                let problem = Problem::new(Kind::SpecUnit, message);
                table.problem(problem.accepted("a quantity with its unit, as in \"8 pF\""), key);
                None
            }
        }
    };
    table.names().iter().filter_map(read).collect()
}

/// Two quantities, the lesser first.
fn pair(keys: &Keys<'_>, key: &str, unit: Unit) -> Option<(f64, f64)> {
    let values = keys.quantities(key, unit)?;
    match values[..] {
        [low, high] if low <= high => Some((low, high)),
        _ => {
            let problem = Problem::new(Kind::SpecKey, "these are not a least and a greatest value");
            keys.problem(problem.accepted(format!("two quantities, as in [{0}, {0}]", unit.example())), key);
            None
        }
    }
}
