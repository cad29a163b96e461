//! A technology as data: where its models are, devices, supply, corners, sizes, mismatch constants and targets.
//!
//! | key of `tech.toml` | meaning |
//! |---|---|
//! | `schema`, `name`, `description` | 1; its name, which results carry; a sentence |
//! | `vdd`, `temperature` | nominal supply and temperature |
//! | `temperature_range` | two temperatures between which the models hold |
//! | `[models]` `files` | files that are read as part of the deck, in this order: model cards and wrappers of our own |
//! | `[[models.library]]` | a PDK's library: `file` or `search` (places, the first that exists counts), `section` (`.lib file section`; without one `.include`), `help` (what to do where it is not found) |
//! | `[models]` `osdi`, `startup` | compiled Verilog-A models; ngspice's start-up commands, as compatibility settings |
//! | `[sizes]` `w`, `l` | a width or length in a netlist, times this, is what is drawn: `{w_scale}` and `{l_scale}` in wrappers |
//! | `[sizes]` `q` | a cell's charge over that of the embedded technology's: bit lines and conversion currents in benches take it as `{q_scale}`, and charges in sweep files are multiplied by it |
//! | `[sizes]` `c` | a cell's storage capacitor in a netlist, times this, is what is there: `{c_scale}` in cells |
//! | `[sizes]` `e` | what switching the same gates takes over the embedded technology's: energies in sweep files, which are limits, are multiplied by it |
//! | `[subckts.<name>]` | values for parameters of a netlist's subcircuit in place of its own defaults, as a cell's sizes; a cell's `<name>_load` takes them too |
//! | `[parameters]` | values for parameters of benches, by name, where a bench has them |
//! | `[corners.<name>]` | `section` of the libraries, or `files` in place of those of `[models]`; `vdd`, `temperature` |
//! | `[devices.<flavour>]` | `subckt` (the wrapper), `mosfet` (path of the one MOSFET inside, as `m0` or `xm0.mcore`), `w` and `l` (least and greatest, as drawn), targets |
//! | `[checks.<name>]` | what devices do at a `corner`, `temperature` or `length`, against nominal: per flavour `ion`, `ioff`, `ss`, `dibl` as ratios, or with a unit the figure itself, `vt` as a shift; `tolerance`, `vt_tolerance` |
//! | `[mismatch]` | `a_vt`, `a_beta`: Pelgrom's constants |
//!
//! Paths are relative to `tech.toml`; they may begin with an environment variable, as `$PDK_ROOT/...`.

mod place;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Problem, Result};
use crate::units::{Unit, parse_quantity};

pub use place::Place;
pub use read::{supply_of, written_for};

/// What a device is expected to do, and how far it may be off.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Which figure: `ion`, `ioff`, `ss`, `dibl`, `gate_leakage`, `bulk_off`.
    pub figure: String,
    /// Expected value, in the figure's base unit.
    pub value: f64,
    /// Relative tolerance.
    pub tolerance: f64,
    /// Unit.
    pub unit: Unit,
}

/// One flavour of transistor, reached through a wrapper subcircuit of ports d g s b.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Flavour and wrapper: `nfet_svt`, ...
    pub wrapper: String,
    /// The MOSFET inside the wrapper, as in `m0`.
    pub mosfet: String,
    /// Least and greatest width that its models are made for, as drawn [m].
    pub width_m: Option<(f64, f64)>,
    /// Least and greatest length, as drawn [m].
    pub length_m: Option<(f64, f64)>,
    /// Figures that it should reach.
    pub targets: Vec<Target>,
}

/// A library of a PDK: `.lib file section`, or `.include file` where no section is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Library {
    /// The file.
    pub file: PathBuf,
    /// Section at nominal conditions.
    pub section: Option<String>,
    /// Where `tech.toml` names it: its line, from 1.
    pub line: usize,
}

/// A process corner.
#[derive(Debug, Clone, PartialEq)]
pub struct TechCorner {
    /// Its name, as `ss`.
    pub name: String,
    /// Section of the libraries; theirs where it has none.
    pub section: Option<String>,
    /// Model and wrapper files in place of the nominal ones.
    pub files: Option<Vec<PathBuf>>,
    /// Supply, if not the nominal one [V].
    pub vdd_v: Option<f64>,
    /// Temperature, if not the nominal one [degC].
    pub temperature_degc: Option<f64>,
    /// Where `tech.toml` defines it: its line, from 1.
    pub line: usize,
}

/// What devices should do under some conditions, against nominal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Process corner; `None` for the nominal one.
    pub corner: Option<String>,
    /// Temperature, if not the nominal one [degC].
    pub temperature_degc: Option<f64>,
    /// Channel length as drawn, if not the least one [m].
    pub length_m: Option<f64>,
    /// Tolerance of ratios and figures, relative.
    pub tolerance: f64,
    /// Tolerance of threshold shifts [V].
    pub vt_tolerance_v: f64,
    /// What is expected.
    pub expected: Vec<Expected>,
}

/// One expected figure of one flavour.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Flavour, as in [`Device::wrapper`].
    pub flavour: String,
    /// `ion`, `ioff`, `ss`, `dibl`; `vt`: a shift of the saturated threshold's magnitude [V].
    pub figure: String,
    /// The figure's unit if the figure itself is stated; [`Unit::One`] for a ratio to the nominal one, [`Unit::Volt`] for a shift.
    pub unit: Unit,
    /// In that unit.
    pub value: f64,
}

/// A checked technology.
#[derive(Debug, Clone)]
pub struct Technology {
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub description: String,
    /// Supply [V].
    pub vdd_v: f64,
    /// Nominal temperature [degC].
    pub temperature_degc: f64,
    /// Temperature that its file states, and that targets and checks are stated for [degC]; the nominal one, unless the technology
    /// was asked for at another.
    pub stated_degc: f64,
    /// Temperatures between which its models hold [degC].
    pub temperature_range_degc: Option<(f64, f64)>,
    /// A PDK's libraries; they come before the files.
    pub libraries: Vec<Library>,
    /// Model and wrapper files, absolute, in the order in which they are included.
    pub files: Vec<PathBuf>,
    /// Constants for wrappers and cells: `w_scale` and `l_scale`, where widths and lengths scale, and always `c_scale` and
    /// `q_scale`.
    pub sizes: Vec<(String, f64)>,
    /// What energies in sweep files are multiplied by: `e` of `[sizes]`.
    pub energy_scale: f64,
    /// Defaults of parameters of netlists' subcircuits, by subcircuit and parameter, in base units.
    pub subckts: BTreeMap<String, BTreeMap<String, f64>>,
    /// Values for parameters of benches, by name, in base units.
    pub parameters: BTreeMap<String, f64>,
    /// Process corners by name, sorted.
    pub corners: Vec<TechCorner>,
    /// What corners, temperatures and lengths should do.
    pub checks: Vec<Check>,
    /// Commands for the simulator's start-up.
    pub startup: Vec<String>,
    /// Devices by wrapper name, sorted.
    pub devices: Vec<Device>,
    /// Pelgrom's threshold constant: sigma(V_T) = a_vt / sqrt(W L) [V m].
    pub a_vt_v_m: f64,
    /// Pelgrom's current-factor constant: sigma(beta)/beta = a_beta / sqrt(W L) [m].
    pub a_beta_m: f64,
    /// Its tech.toml.
    pub file: PathBuf,
    /// Hash of tech.toml's bytes.
    pub hash: String,
}

impl Technology {
    /// Finds a technology by name below `technologies`, or by the path of its `tech.toml` or of the folder that holds it; `name` may go
    /// on with a temperature, as in `generic28@85degC`: the same technology, with that as its nominal temperature and with that name.
    ///
    /// # Errors
    /// [`Kind::UnknownTech`] with the names that exist, or for a temperature that is none or lies outside the technology's range;
    /// whatever is wrong in its file.
    pub fn find(name: &str, technologies: &Path) -> Result<Technology> {
        match Technology::file_of(name, technologies) {
            Some(path) => match temperature_in(name) {
                Some((_, temperature)) => Technology::read(&path)?.at(temperature),
                None => Technology::read(&path),
            },
            None => Err(Problem::new(Kind::UnknownTech, format!("technology `{name}` is not known"))
                .accepted(format!("{}, or the path of a tech.toml", known(technologies).join(", ")))
                .help(format!("add {}/tech.toml", technologies.join(name).display()))
                .into()),
        }
    }

    /// The technology at another nominal temperature, as it is written after the `@`.
    fn at(mut self, written: &str) -> Result<Technology> {
        let problem = |message: String, accepted: String| {
            Err(Problem::new(Kind::UnknownTech, message).file(&self.file).accepted(accepted).into())
        };
        let temperature_degc = match parse_quantity(written, Unit::Celsius) {
            Ok(temperature_degc) => temperature_degc,
            Err(wrong) => return problem(wrong, format!("a temperature, as in {}@85degC", self.name)),
        };
        match self.temperature_range_degc {
            Some((low, high)) if !(low..=high).contains(&temperature_degc) => problem(
                format!("the models of `{}` do not hold at {temperature_degc} degC", self.name),
                format!("{low} to {high} degC"),
            ),
            _ => {
                self.name = format!("{}@{temperature_degc}degC", self.name);
                self.temperature_degc = temperature_degc;
                Ok(self)
            }
        }
    }

    /// The `tech.toml` that `name` means, as [`Technology::find`] looks for it.
    pub fn file_of(name: &str, technologies: &Path) -> Option<PathBuf> {
        let name = temperature_in(name).map_or(name, |(name, _)| name);
        let candidates =
            [PathBuf::from(name), PathBuf::from(name).join("tech.toml"), technologies.join(name).join("tech.toml")];
        candidates.into_iter().find(|path| path.is_file() && path.extension().is_some_and(|e| e == "toml"))
    }

    /// The name without the temperature at which the technology was asked for.
    pub fn base_name(&self) -> &str {
        temperature_in(&self.name).map_or(&self.name, |(name, _)| name)
    }

    /// The device wrappers, each with the path of the MOSFET inside.
    pub fn wrappers(&self) -> BTreeMap<String, String> {
        self.devices.iter().map(|device| (device.wrapper.clone(), device.mosfet.clone())).collect()
    }

    /// What the technology decides about a bench's parameters: its supply, and what `[parameters]` says.
    pub fn overrides(&self) -> BTreeMap<String, f64> {
        let mut overrides = self.parameters.clone();
        overrides.insert("vdd".to_string(), self.vdd_v);
        overrides
    }

    /// What a width (`w`), a length (`l`), a storage capacitor (`c`) or a cell's charge (`q`) in a netlist is multiplied by.
    pub fn scale(&self, key: char) -> f64 {
        self.sizes.iter().find(|(name, _)| name.starts_with(key)).map_or(1.0, |(_, scale)| *scale)
    }

    /// The process corner of that name.
    ///
    /// # Errors
    /// [`Kind::UnknownTech`] with those that there are.
    pub fn corner(&self, name: &str) -> Result<&TechCorner> {
        self.corners.iter().find(|corner| corner.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.corners.iter().map(|corner| corner.name.as_str()).collect();
            let accepted = if names.is_empty() { "none: it has no [corners.<name>]".into() } else { names.join(", ") };
            Problem::new(Kind::UnknownTech, format!("technology `{}` has no process corner `{name}`", self.name))
                .file(&self.file)
                .key("corners")
                .accepted(accepted)
                .into()
        })
    }

    /// The device of that wrapper.
    ///
    /// # Errors
    /// [`Kind::UnknownTech`] if the technology has none of that name.
    pub fn device(&self, wrapper: &str) -> Result<&Device> {
        self.devices.iter().find(|device| device.wrapper == wrapper).ok_or_else(|| {
            Error::new(Kind::UnknownTech, format!("technology `{}` has no device `{wrapper}`", self.name))
        })
    }
}

/// A technology's name and the temperature that is written behind it; a path that exists is only a path.
fn temperature_in(name: &str) -> Option<(&str, &str)> {
    let parts = name.rsplit_once('@').filter(|(name, temperature)| !name.is_empty() && !temperature.contains('/'));
    parts.filter(|_| !Path::new(name).exists())
}

/// What a file at `file` means by the technology `name`: a path beside it if there is one, else the name itself.
pub fn named_in(file: &Path, name: &str) -> String {
    let beside = file.parent().unwrap_or(Path::new(".")).join(name);
    if !name.is_empty() && (beside.is_file() || beside.join("tech.toml").is_file()) {
        beside.to_string_lossy().into_owned()
    } else {
        name.to_string()
    }
}

/// Names of the technologies in a folder, sorted.
pub fn known(technologies: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(technologies)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("tech.toml").is_file())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_technology_names_those_that_exist() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("mine")).unwrap();
        std::fs::write(dir.path().join("mine/tech.toml"), "schema = 1\n").unwrap();
        let error = Technology::find("yours", dir.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::UnknownTech);
        assert!(error.problems()[0].accepted.as_deref().is_some_and(|a| a.starts_with("mine")));
        // With a temperature it is the same unknown one.
        assert!(Technology::find("yours@85degC", dir.path()).unwrap_err().to_string().contains("mine"));
        let incomplete = Technology::find("mine", dir.path()).unwrap_err();
        assert!(incomplete.problems().iter().any(|p| p.key.as_deref() == Some("vdd")));
    }

    #[test]
    fn a_technology_may_be_asked_for_at_a_temperature() {
        let technologies = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
        let find = |name: &str| Technology::find(name, &technologies);
        let (nominal, hot) = (find("generic28").unwrap(), find("generic28@85degC").unwrap());
        assert_eq!((hot.temperature_degc, hot.name.as_str()), (85.0, "generic28@85degC"));
        assert_eq!((nominal.temperature_degc, &nominal.hash), (27.0, &hot.hash));
        assert_eq!((hot.stated_degc, hot.base_name(), nominal.base_name()), (27.0, "generic28", "generic28"));
        assert_eq!(find("generic28@-40degC").unwrap().temperature_degc, -40.0);
        // What a run was made with is found again by its name.
        assert_eq!(find(&hot.name).unwrap().name, hot.name);
        for (name, said) in [
            ("generic28@300degC", "-40 to 125 degC"),
            ("generic28@85", "has no unit"),
            ("generic28@warm", "as in generic28@85degC"),
        ] {
            let error = find(name).unwrap_err();
            assert!(error.kind() == Kind::UnknownTech && error.to_string().contains(said), "{error}");
        }
    }
}
