//! Mismatch: which devices are drawn, and what a sample's draws are.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::netlist::{Deck, DeviceInstance};
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
    let mut devices = Vec::new();
    for instance in &mismatch.instances {
        devices.extend(deck.devices(instance, &tech.wrappers(), values).map_err(|error| {
            let problems = error
                .problems()
                .iter()
                .cloned()
                .map(|p| if p.file.is_some() { p } else { p.file(&spec.file).key("mismatch.instances") });
            Error::collect(problems.collect()).unwrap_or(error)
        })?);
    }
    Ok(devices)
}

/// Pelgrom's law: sigma(V_T) = A_vt / sqrt(W L), sigma(beta)/beta = A_beta / sqrt(W L), independent for every device
/// (M. J. M. Pelgrom et al., IEEE J. Solid-State Circuits 24, 1433 (1989)).
pub(super) fn draw(
    device: &DeviceInstance,
    tech: &Technology,
    seed: u64,
    sample: u64,
    values: &mut BTreeMap<String, f64>,
    alters: &mut Vec<String>,
) -> Result<()> {
    let root_area = (device.w_m * device.l_m).sqrt();
    let delvto_v = rng::normal(seed, sample, &device.path, "delvto") * tech.a_vt_v_m / root_area;
    let mulu0 = 1.0 + rng::normal(seed, sample, &device.path, "mulu0") * tech.a_beta_m / root_area;
    let mosfet = &tech.device(&device.wrapper)?.mosfet;
    let target = format!("@m.{}.{mosfet}", device.path);
    alters.push(format!("alter {target}[delvto] = {:e}", device.delvto_v + delvto_v));
    alters.push(format!("alter {target}[mulu0] = {mulu0:e}"));
    let column = device.path.replace('.', "_");
    values.insert(format!("draw_{column}_delvto_v"), delvto_v);
    values.insert(format!("draw_{column}_mulu0"), mulu0);
    Ok(())
}
