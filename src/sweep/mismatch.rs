//! Mismatch: which devices are drawn, and what a sample's draws are.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Problem, Result};
use crate::netlist::{DRAWN_SOURCES, Deck, DeviceInstance};
use crate::rng;
use crate::spec::SweepSpec;
use crate::tech::Technology;

/// The devices that a sweep draws for, with their sizes at these parameter values.
pub(super) fn mismatched_devices(
    spec: &SweepSpec,
    tech: &Technology,
    deck: &Deck,
    values: &BTreeMap<String, f64>,
) -> Result<Vec<DeviceInstance>> {
    let Some(mismatch) = &spec.mismatch else { return Ok(Vec::new()) };
    let below = |instance: &str, key: &str| {
        deck.devices(instance, &tech.wrappers(), values).map_err(|error| {
            let problems = error.problems().iter().cloned();
            let problems = problems.map(|p| if p.file.is_some() { p } else { p.file(&spec.file).key(key) });
            Error::collect(problems.collect()).unwrap_or(error)
        })
    };
    for (replica, original) in &spec.replicas {
        let paths = |instance: &str| -> Result<Vec<String>> {
            let devices = below(instance, "replicas")?;
            Ok(devices.iter().map(|device| spec.drawn_as(&device.path)).collect())
        };
        if paths(replica)? != paths(original)? {
            let message = format!("`{replica}` is no replica of `{original}`: the transistors below it are others");
            return Err(Problem::new(Kind::SpecKey, message).file(&spec.file).key("replicas").into());
        }
    }
    let mut devices = Vec::new();
    for instance in &mismatch.instances {
        devices.extend(below(instance, "mismatch.instances")?);
    }
    Ok(devices)
}

/// Every transistor must be of a size that the technology's models are made for: ngspice's own words for one that is not
/// are that it cannot find a model.
///
/// # Errors
/// [`Kind::OutsideValidity`] with every device that is too small or too large.
pub(super) fn check_sizes(tech: &Technology, deck: &Deck, values: &BTreeMap<String, f64>) -> Result<()> {
    if tech.devices.iter().all(|device| device.width_m.is_none() && device.length_m.is_none()) {
        return Ok(());
    }
    let mut problems = Vec::new();
    for device in deck.devices("", &tech.wrappers(), values)?.iter().filter(|device| device.spread.is_none()) {
        let limits = tech.device(&device.wrapper)?;
        let checks = [("wide", device.w_m, limits.width_m), ("long", device.l_m, limits.length_m)];
        for (how, size_m, range) in checks {
            let Some((least, most)) = range else { continue };
            if size_m >= least * (1.0 - SIZE_TOLERANCE) && size_m <= most * (1.0 + SIZE_TOLERANCE) {
                continue;
            }
            let scale = tech.sizes.iter().find(|(name, _)| name.starts_with(if how == "wide" { 'w' } else { 'l' }));
            let scaled = match scale {
                Some((name, scale)) => format!(" (its size in the netlist times {name} = {scale})"),
                None => String::new(),
            };
            let message = format!(
                "`{}` is {} um {how}{scaled}: outside the range of `{}` in {}",
                device.path,
                micrometres(size_m),
                device.wrapper,
                tech.name
            );
            problems.push(
                Problem::new(Kind::OutsideValidity, message)
                    .file(&device.origin.file)
                    .line(device.origin.line)
                    .accepted(format!("{} um to {} um", micrometres(least), micrometres(most)))
                    .help("change the size, or `[sizes]` in tech.toml"),
            );
        }
    }
    Error::collect(problems).map_or(Ok(()), Err)
}

/// A size may be this much outside its range: `0.03u * 5` is not `0.15u` to the last bit.
const SIZE_TOLERANCE: f64 = 1e-9;

/// A length in micrometres, four digits.
fn micrometres(metres: f64) -> f64 {
    let digits = 10f64.powi(3 - (metres * 1e6).abs().log10().floor() as i32);
    (metres * 1e6 * digits).round() / digits
}

/// A transistor under mismatch: what is drawn for it, and how a draw reaches it.
///
/// Pelgrom's law: sigma(V_T) = A_vt / sqrt(W L), sigma(beta)/beta = A_beta / sqrt(W L), independent for every device
/// (M. J. M. Pelgrom et al., IEEE J. Solid-State Circuits 24, 1433 (1989)).
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatched {
    /// Path of its wrapper, as in `xcell.xmn1`.
    pub path: String,
    /// Standard deviation of its threshold [V].
    pub sigma_delvto_v: f64,
    /// Standard deviation of its current factor, relative.
    pub sigma_mulu0: f64,
    /// What the netlist and the process corner give it: threshold shift [V] and factor of the mobility.
    nominal: [f64; 2],
    /// What is altered for each of the two, behind and before the path.
    targets: [Altered; 2],
}

/// `@<kind>.<path>.<element>[<parameter>]`.
#[derive(Debug, Clone, PartialEq)]
struct Altered {
    kind: char,
    element: String,
    parameter: &'static str,
}

impl Mismatched {
    /// A device of a deck.
    ///
    /// # Errors
    /// A wrapper that the technology does not have.
    pub fn new(device: &DeviceInstance, tech: &Technology) -> Result<Mismatched> {
        let root_area = (device.w_m * device.l_m).sqrt();
        let (spread, targets) = match device.spread {
            Some(own) => {
                let source = |of: &str| Altered { kind: 'v', element: of.to_string(), parameter: "dc" };
                (own, DRAWN_SOURCES.map(source))
            }
            None => {
                let element = tech.device(&device.wrapper)?.mosfet.clone();
                let of = |parameter| Altered { kind: 'm', element: element.clone(), parameter };
                ([tech.a_vt_v_m, tech.a_beta_m], ["delvto", "mulu0"].map(of))
            }
        };
        Ok(Mismatched {
            path: device.path.clone(),
            sigma_delvto_v: spread[0] / root_area,
            sigma_mulu0: spread[1] / root_area,
            nominal: [device.delvto_v, device.mulu0],
            targets,
        })
    }

    /// Commands that give the same device at `path` this deviation of its threshold [V] and this factor of its mobility; `alter`
    /// is absolute, so both stand on what the netlist gives.
    pub fn alters(&self, path: &str, delvto_v: f64, mulu0: f64) -> [String; 2] {
        let [nominal_v, nominal] = self.nominal;
        let values = [nominal_v + delvto_v, nominal * mulu0];
        [0, 1].map(|k| {
            let Altered { kind, element, parameter } = &self.targets[k];
            format!("alter @{kind}.{path}.{element}[{parameter}] = {:e}", values[k])
        })
    }
}

/// A sample's draws for one device, those of the path `drawn_as`, as commands and as columns of its row.
pub(super) fn draw(
    device: &DeviceInstance,
    drawn_as: &str,
    tech: &Technology,
    seed: u64,
    sample: u64,
    values: &mut BTreeMap<String, f64>,
    alters: &mut Vec<String>,
) -> Result<()> {
    let mismatched = Mismatched::new(device, tech)?;
    let delvto_v = rng::normal(seed, sample, drawn_as, "delvto") * mismatched.sigma_delvto_v;
    let mulu0 = 1.0 + rng::normal(seed, sample, drawn_as, "mulu0") * mismatched.sigma_mulu0;
    alters.extend(mismatched.alters(&device.path, delvto_v, mulu0));
    let column = device.path.replace('.', "_");
    values.insert(format!("draw_{column}_delvto_v"), delvto_v);
    values.insert(format!("draw_{column}_mulu0"), mulu0);
    Ok(())
}
