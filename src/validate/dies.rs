//! The same device draws for a circuit's columns and for the emulator.
//!
//! Every transistor of every cell has a threshold and a current factor of its own, drawn by Pelgrom's law from its technology
//! and keyed by (seed, die, cell, device). SPICE gets them as `alter` commands; the emulator as draws that its table's
//! sensitivity model turns into currents. Stored voltages are those of nominal writes and holds on both sides, and so are
//! the converters: a table has the spread of converters, but not their response to single devices.

use std::collections::BTreeMap;

use crate::emulate::{Array, Draws, Extent};
use crate::error::{Kind, Problem, Result};
use crate::lut::Variability;
use crate::netlist::Deck;
use crate::rng;
use crate::sweep::Mismatched;
use crate::tech::Technology;

/// A die of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DieOf {
    /// Seed of all draws.
    pub seed: u64,
    /// Number of the die, from 0.
    pub sample: u64,
}

impl DieOf {
    /// Its name in results.
    pub fn name(self) -> String {
        format!("mismatch-{}", self.sample)
    }
}

/// The transistors of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellDevices {
    /// With paths below the cell, as in `xmn1`.
    devices: Vec<Mismatched>,
}

impl CellDevices {
    /// Those at or below `instance` of a bench.
    ///
    /// # Errors
    /// No such instance, or a device without a size.
    pub fn of(deck: &Deck, tech: &Technology, instance: &str, values: &BTreeMap<String, f64>) -> Result<CellDevices> {
        let below = format!("{instance}.");
        let devices = deck.devices(instance, &tech.wrappers(), values)?;
        let devices = devices.iter().map(|device| {
            let mut device = Mismatched::new(device, tech)?;
            device.path = device.path.trim_start_matches(&below).to_string();
            Ok(device)
        });
        Ok(CellDevices { devices: devices.collect::<Result<Vec<_>>>()? })
    }

    /// Deviations of a cell's devices: thresholds [V] and relative current factors.
    fn draws(&self, die: DieOf, cell: &str) -> Vec<[f64; 2]> {
        let normal = |device: &Mismatched, what: &str| {
            rng::normal(die.seed, die.sample, cell, &format!("{}.{what}", device.path.replace('.', "_")))
        };
        let of = |device: &Mismatched| {
            [normal(device, "delvto") * device.sigma_delvto_v, normal(device, "mulu0") * device.sigma_mulu0]
        };
        self.devices.iter().map(of).collect()
    }

    /// Commands that make the cells `xc0`, `xc1`, ... of a column those of the die with these names.
    pub fn alters(&self, die: DieOf, cells: &[String]) -> Vec<String> {
        let cells = cells.iter().enumerate();
        cells
            .flat_map(|(row, cell)| {
                let drawn = self.devices.iter().zip(self.draws(die, cell));
                drawn.flat_map(move |(device, [delvto_v, mulu0])| {
                    device.alters(&format!("xc{row}.{}", device.path), delvto_v, 1.0 + mulu0)
                })
            })
            .collect()
    }

    /// The same draws for the emulator, in the order of the table's names; converters are nominal.
    ///
    /// # Errors
    /// [`Kind::TableInvalid`] if the table's draws are not those of this cell.
    pub fn emulated(&self, die: DieOf, variability: &Variability, extent: Extent) -> Result<Draws> {
        let own: Vec<String> = self
            .devices
            .iter()
            .flat_map(|device| ["delvto", "mulu0"].map(|what| format!("{}.{what}", device.path.replace('.', "_"))))
            .collect();
        let order: Option<Vec<usize>> =
            variability.names.iter().map(|name| own.iter().position(|other| other == name)).collect();
        let Some(order) = order.filter(|order| order.len() == own.len()) else {
            return Err(Problem::new(Kind::TableInvalid, "the table's draws are not those of this cell's transistors")
                .key("variability.names")
                .accepted(own.join(", "))
                .help("export the table again")
                .into());
        };
        let cells = |array: Array| -> Vec<f64> {
            (0..extent.slots * extent.d)
                .flat_map(|at| {
                    let drawn = self.draws(die, &extent.instance(array, at / extent.d, at % extent.d)).concat();
                    order.iter().map(|k| drawn[*k]).collect::<Vec<f64>>()
                })
                .collect()
        };
        Ok(Draws {
            k: cells(Array::K),
            v: cells(Array::V),
            unsigned: vec![[0.0; 2]; extent.slots],
            signed: vec![[0.0; 2]; extent.slots.div_ceil(extent.tile_tokens) * extent.d],
        })
    }
}
