//! A technology as data: its model files, devices, supply, mismatch constants and targets.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Problem, Result};
use crate::keys::{Document, Keys};
use crate::units::Unit;

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
    /// Figures that it should reach.
    pub targets: Vec<Target>,
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
    /// Model and wrapper files, absolute, in the order in which they are included.
    pub files: Vec<PathBuf>,
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

const FIGURES: &[(&str, Unit)] = &[
    ("ion", Unit::AmperePerMetre),
    ("ioff", Unit::AmperePerMetre),
    ("ss", Unit::VoltPerDecade),
    ("dibl", Unit::VoltPerVolt),
    ("gate_leakage", Unit::AmperePerSquareMetre),
    ("bulk_off", Unit::AmperePerMetre),
];

impl Technology {
    /// Finds a technology by name below `technologies`, or by the path of its `tech.toml` or of the folder that holds it.
    ///
    /// # Errors
    /// [`Kind::UnknownTech`] with the names that exist; whatever is wrong in its file.
    pub fn find(name: &str, technologies: &Path) -> Result<Technology> {
        let candidates =
            [PathBuf::from(name), PathBuf::from(name).join("tech.toml"), technologies.join(name).join("tech.toml")];
        match candidates.iter().find(|path| path.is_file() && path.extension().is_some_and(|e| e == "toml")) {
            Some(path) => Technology::read(path),
            None => Err(Problem::new(Kind::UnknownTech, format!("technology `{name}` is not known"))
                .accepted(format!("{}, or the path of a tech.toml", known(technologies).join(", ")))
                .help(format!("add {}/tech.toml", technologies.join(name).display()))
                .into()),
        }
    }

    /// Reads a `tech.toml`.
    ///
    /// # Errors
    /// Every mistake of the file at once.
    pub fn read(path: &Path) -> Result<Technology> {
        let document = Document::read(path, Kind::UnknownTech)?;
        let table = document.parse()?;
        let keys = document.root(&table);
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = keys.require_string("name", "the technology's name");
        let description = keys.string("description").unwrap_or_default();
        let vdd_v = keys.require_quantity("vdd", Unit::Volt);
        let temperature_degc = keys.quantity("temperature", Unit::Celsius).unwrap_or(27.0);
        let (mut files, mut startup) = (Vec::new(), Vec::new());
        if let Some(models) = keys.table("models") {
            for file in models.strings("files").unwrap_or_default() {
                let full = folder.join(&file);
                if !full.is_file() {
                    let message = format!("model file {} does not exist", full.display());
                    models.problem(Problem::new(Kind::MissingNetlist, message), "files");
                }
                files.push(std::fs::canonicalize(&full).unwrap_or(full));
            }
            startup = models.strings("startup").unwrap_or_default();
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
        keys.finish();
        document.check()?;
        let hash = blake3::hash(document.text().as_bytes()).to_hex()[..32].to_string();
        Ok(Technology {
            name,
            description,
            vdd_v,
            temperature_degc,
            files,
            startup,
            devices,
            a_vt_v_m,
            a_beta_m,
            file: path.to_path_buf(),
            hash,
        })
    }

    /// Names of the device wrappers.
    pub fn wrappers(&self) -> Vec<String> {
        self.devices.iter().map(|device| device.wrapper.clone()).collect()
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

fn read_device(name: &str, keys: &Keys<'_>) -> Device {
    let wrapper = keys.string("subckt").unwrap_or_else(|| name.to_string()).to_ascii_lowercase();
    let mosfet = keys.string("mosfet").unwrap_or_else(|| "m0".to_string());
    let tolerance = keys.quantity("tolerance", Unit::One).unwrap_or(0.2);
    let targets = FIGURES
        .iter()
        .filter_map(|(figure, unit)| {
            let value = keys.quantity(figure, *unit)?;
            Some(Target { figure: (*figure).to_string(), value, tolerance, unit: *unit })
        })
        .collect();
    keys.finish();
    Device { wrapper, mosfet, targets }
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
        let incomplete = Technology::find("mine", dir.path()).unwrap_err();
        assert!(incomplete.problems().iter().any(|p| p.key.as_deref() == Some("vdd")));
    }
}
