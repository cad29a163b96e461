//! One die: how its cells and converters differ from the nominal ones.
//!
//! A die is given by its device draws, either explicit (the same that a circuit simulation used) or from a seed. Each
//! draw is keyed by (seed, sample, instance, name), see [`crate::rng`], with the instances named by [`cell_instance`]
//! and [`readout_instance`]; where the covariance is diagonal, a draw is mean + sigma times that normal.

use rayon::prelude::*;

use crate::error::{Error, Kind, Result};
use crate::lut::{Branch, Pchip, Table, Variability, cholesky, locate};
use crate::rng;

/// Which of a sub-tile's two arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Array {
    /// Keys: rows are dimensions, columns are slots.
    K,
    /// Values: rows are slots, columns are dimensions.
    V,
}

impl Array {
    fn letter(self) -> char {
        match self {
            Array::K => 'k',
            Array::V => 'v',
        }
    }
}

/// The instance name of a cell's draws, as in `k.t3.r12.c63`: array, sub-tile, row, column.
pub fn cell_instance(array: Array, tile: usize, row: usize, column: usize) -> String {
    format!("{}.t{tile}.r{row}.c{column}", array.letter())
}

/// The instance name of a column's converter, as in `v.t3.c63.readout`; its draws are `offset` and `gain`.
pub fn readout_instance(array: Array, tile: usize, column: usize) -> String {
    format!("{}.t{tile}.c{column}.readout", array.letter())
}

/// Explicit draws of one head. Slots are numbered through the head, tile after tile.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    /// K cells, shape (slots, d, names).
    pub k: Vec<f64>,
    /// V cells, shape (slots, d, names).
    pub v: Vec<f64>,
    /// First converters, offset \[C\] and relative gain error, shape (slots).
    pub unsigned: Vec<[f64; 2]>,
    /// Second converters, the same, shape (tiles, d).
    pub signed: Vec<[f64; 2]>,
}

/// The extent of a head that draws are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Slots in use.
    pub slots: usize,
    /// Slots of one tile.
    pub tile_tokens: usize,
    /// Dimension.
    pub d: usize,
}

impl Extent {
    /// The instance name of a cell by its slot and dimension: slots are columns of the K array and rows of the V array.
    pub fn instance(self, array: Array, slot: usize, dimension: usize) -> String {
        let (tile, place) = (slot / self.tile_tokens, slot % self.tile_tokens);
        match array {
            Array::K => cell_instance(array, tile, dimension, place),
            Array::V => cell_instance(array, tile, place, dimension),
        }
    }
}

impl Draws {
    /// The draws of one die from its seed.
    pub fn from_seed(variability: &Variability, seed: u64, sample: u64, extent: Extent) -> Result<Draws> {
        let Extent { slots, tile_tokens, d } = extent;
        let n = variability.names.len();
        let factor = cholesky(&variability.covariance, n)
            .ok_or_else(|| Error::new(Kind::TableInvalid, "the covariance is not positive semidefinite"))?;
        let cell = |instance: &str| -> Vec<f64> {
            let normals: Vec<f64> =
                variability.names.iter().map(|name| rng::normal(seed, sample, instance, name)).collect();
            (0..n).map(|i| variability.mean[i] + (0..=i).map(|j| factor[i * n + j] * normals[j]).sum::<f64>()).collect()
        };
        let cells = |array: Array| -> Vec<f64> {
            let cells = (0..slots * d).into_par_iter();
            cells.flat_map_iter(|at| cell(&extent.instance(array, at / d, at % d))).collect()
        };
        let converter = |instance: &str, sigma_offset_c: f64, sigma_gain: f64| {
            let draw = |name| rng::normal(seed, sample, instance, name);
            [sigma_offset_c * draw("offset"), sigma_gain * draw("gain")]
        };
        Ok(Draws {
            k: cells(Array::K),
            v: cells(Array::V),
            unsigned: (0..slots)
                .map(|slot| {
                    let instance = readout_instance(Array::K, slot / tile_tokens, slot % tile_tokens);
                    converter(&instance, variability.sigma_offset_unsigned_c, variability.sigma_gain_unsigned)
                })
                .collect(),
            signed: (0..slots.div_ceil(tile_tokens) * d)
                .map(|at| {
                    let instance = readout_instance(Array::V, at / d, at % d);
                    converter(&instance, variability.sigma_offset_signed_c, variability.sigma_gain_signed)
                })
                .collect(),
        })
    }
}

/// A stored voltage as [`CellSpread::delta_a`] wants it: what is the same for all cells is worked out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    v_store_v: f64,
    node: usize,
    weight: f64,
    /// Sum of the branches' nominal currents [A].
    current_a: f64,
}

/// How the cells of an array differ from the nominal one: each cell's change of current over the stored voltage.
#[derive(Debug, Clone)]
pub struct CellSpread {
    response: Response,
    /// Numbers per cell in `cells`.
    stride: usize,
    /// The response's own numbers, cell by cell.
    cells: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Response {
    /// Changes of current at these stored voltages [V], linear in the draws: cells hold currents [A].
    Nodes(Vec<f64>),
    /// Branches: cells hold their draws.
    Branches(Vec<BranchCurve>),
}

/// A branch of [`Variability::branches`], ready for use.
#[derive(Debug, Clone)]
struct BranchCurve {
    shifted_by: usize,
    current_a: Pchip,
    /// What the draws' squares add on average, over the current's axis [A].
    mean_change_a: Vec<f64>,
    /// Draws with a response, and that over the current's axis [A/unit].
    responses: Vec<(usize, Vec<f64>)>,
}

impl BranchCurve {
    fn new(names: &[String], branch: &Branch) -> Option<Self> {
        let responses = (0..names.len()).map(|k| (k, branch.current_a_per_unit.row(k).to_vec()));
        Some(BranchCurve {
            shifted_by: names.iter().position(|name| *name == branch.shifted_by)?,
            current_a: Pchip::new(&branch.current_a.axes[0].values, &branch.current_a.values),
            mean_change_a: branch.mean_change_a.values.clone(),
            responses: responses.filter(|(_, row)| row.iter().any(|s| *s != 0.0)).collect(),
        })
    }

    /// Current of the branch with these draws [A].
    #[inline]
    fn current_a(&self, v_store_v: f64, draws: &[f64]) -> f64 {
        let (place, nominal_a) = self.current_a.located(v_store_v - draws[self.shifted_by]);
        // Responses are small and smooth: linearly between nodes.
        let (i, x) = (place.interval, place.fraction);
        let between = |row: &[f64]| row[i] + x * (row[i + 1] - row[i]);
        let drawn_a = nominal_a + between(&self.mean_change_a);
        self.responses.iter().fold(drawn_a, |sum, (k, row)| sum + draws[*k] * between(row))
    }
}

impl CellSpread {
    /// From draws of shape (cells, names), by the table's branches, or else by its linear sensitivities.
    pub fn new(variability: &Variability, draws: &[f64]) -> Result<Self> {
        let (names, sensitivity) = (variability.names.len(), &variability.current_a_per_unit);
        if names == 0 || !draws.len().is_multiple_of(names) || draws.iter().any(|draw| !draw.is_finite()) {
            let message = format!("{} draws are not finite numbers for cells of {names} each", draws.len());
            return Err(Error::new(Kind::BadInput, message));
        }
        let branches: Option<Vec<BranchCurve>> =
            variability.branches.iter().map(|branch| BranchCurve::new(&variability.names, branch)).collect();
        match branches {
            Some(branches) if !branches.is_empty() => {
                Ok(CellSpread { response: Response::Branches(branches), stride: names, cells: draws.to_vec() })
            }
            _ => {
                let nodes_v = sensitivity.axes[1].values.clone();
                let cells = draws.chunks_exact(names).flat_map(|cell| {
                    let at = |node| cell.iter().enumerate().map(|(k, z)| z * sensitivity.row(k)[node]).sum();
                    (0..nodes_v.len()).map(at).collect::<Vec<f64>>()
                });
                Ok(CellSpread { cells: cells.collect(), stride: nodes_v.len(), response: Response::Nodes(nodes_v) })
            }
        }
    }

    /// A stored voltage [V], to be passed to [`CellSpread::delta_a`] of any die of the same table.
    pub fn place(&self, v_store_v: f64) -> Place {
        match &self.response {
            Response::Nodes(nodes_v) => {
                let place = locate(nodes_v, v_store_v);
                Place { v_store_v, node: place.interval, weight: place.fraction, current_a: 0.0 }
            }
            Response::Branches(branches) => {
                let current_a = branches.iter().map(|branch| branch.current_a.at(v_store_v)).sum();
                Place { v_store_v, node: 0, weight: 0.0, current_a }
            }
        }
    }

    /// Change of the current of `cell` [A].
    #[inline]
    pub fn delta_a(&self, cell: usize, place: Place) -> f64 {
        let own = &self.cells[cell * self.stride..(cell + 1) * self.stride];
        match &self.response {
            // Linearly between nodes, which commutes with the sum over draws.
            Response::Nodes(_) => own[place.node] + place.weight * (own[place.node + 1] - own[place.node]),
            Response::Branches(branches) => {
                branches.iter().map(|branch| branch.current_a(place.v_store_v, own)).sum::<f64>() - place.current_a
            }
        }
    }
}

/// The spread of one head, ready for use.
#[derive(Debug, Clone)]
pub struct Die {
    /// Its K cells, in the order (slot, dimension).
    pub k: CellSpread,
    /// Its V cells, in the order (slot, dimension).
    pub v: CellSpread,
    /// First converters' offset \[C\] and relative gain error, by slot.
    pub unsigned: Vec<[f64; 2]>,
    /// Second converters', by (tile, dimension).
    pub signed: Vec<[f64; 2]>,
    /// How fast each K and V cell ages, 1 for the nominal one; empty if all do.
    pub ageing: [Vec<f32>; 2],
    /// Slots and dimensions covered.
    pub extent: Extent,
}

impl Die {
    /// From explicit draws. Errors: [`Kind::TableInvalid`] if the table has no variability, [`Kind::BadInput`] if the
    /// draws do not fit the extent.
    pub fn from_draws(table: &Table, draws: &Draws, extent: Extent) -> Result<Die> {
        let variability = variability_of(table)?;
        let cells = extent.slots * extent.d * variability.names.len();
        let columns = extent.slots.div_ceil(extent.tile_tokens) * extent.d;
        let found = [draws.k.len(), draws.v.len(), draws.unsigned.len(), draws.signed.len()];
        let needed = [cells, cells, extent.slots, columns];
        if found != needed {
            let message = format!("draws of lengths {found:?} do not fit this head, which needs {needed:?}");
            return Err(Error::new(Kind::BadInput, message));
        }
        Ok(Die {
            k: CellSpread::new(variability, &draws.k)?,
            v: CellSpread::new(variability, &draws.v)?,
            unsigned: draws.unsigned.clone(),
            signed: draws.signed.clone(),
            ageing: [Vec::new(), Vec::new()],
            extent,
        })
    }

    /// From a seed; see [`Draws::from_seed`].
    pub fn from_seed(table: &Table, seed: u64, sample: u64, extent: Extent) -> Result<Die> {
        Die::from_draws(table, &Draws::from_seed(variability_of(table)?, seed, sample, extent)?, extent)
    }
}

impl Die {
    /// The same die with cells that leak differently: each ages `exp(sigma z)` times as fast, with a normal z of its own,
    /// keyed by (seed, sample, cell, `leakage`).
    pub fn with_leakage(mut self, seed: u64, sample: u64, sigma: f64) -> Die {
        if sigma > 0.0 {
            let Extent { slots, d, .. } = self.extent;
            self.ageing = [Array::K, Array::V].map(|array| {
                let factors = (0..slots * d).into_par_iter().map(|at| {
                    let instance = self.extent.instance(array, at / d, at % d);
                    (sigma * rng::normal(seed, sample, &instance, "leakage")).exp() as f32
                });
                factors.collect()
            });
        }
        self
    }

    /// The age in tokens that a cell of age `age` has reached, at most `oldest`.
    pub fn age_of(&self, array: Array, cell: usize, age: usize, oldest: usize) -> usize {
        match self.ageing[array as usize].get(cell) {
            Some(factor) => ((age as f64 * f64::from(*factor)).round() as usize).min(oldest),
            None => age,
        }
    }
}

fn variability_of(table: &Table) -> Result<&Variability> {
    table.variability.as_ref().ok_or_else(|| {
        Error::new(Kind::TableInvalid, format!("table {} was made without variability: it has no dies", table.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::synthetic;

    const EXTENT: Extent = Extent { slots: 70, tile_tokens: 64, d: 3 };

    #[test]
    fn a_seeded_draw_is_the_named_normal_times_sigma() {
        let table = synthetic::table().unwrap();
        let draws = Draws::from_seed(table.variability.as_ref().unwrap(), 11, 4, EXTENT).unwrap();
        // Slot 65 is column 1 of tile 1; dimension 2 is a row in the K array and a column in the V array.
        let at = (65 * 3 + 2) * 2;
        assert_eq!(draws.k[at], 0.01f64.powi(2).sqrt() * rng::normal(11, 4, "k.t1.r2.c1", "xn.delvto"));
        assert_eq!(draws.v[at + 1], 0.005f64.powi(2).sqrt() * rng::normal(11, 4, "v.t1.r1.c2", "xn.mulu0"));
        assert_eq!(draws.unsigned[65][0], 1e-15 * rng::normal(11, 4, "k.t1.c1.readout", "offset"));
    }

    #[test]
    fn sensitivities_turn_draws_into_currents() {
        let table = synthetic::table().unwrap();
        let variability = table.variability.as_ref().unwrap();
        let spread = CellSpread::new(variability, &[0.0, 0.0, 0.002, 0.01]).unwrap();
        let place = spread.place(0.70);
        assert_eq!(spread.delta_a(0, place), 0.0);
        let expected = -6e-6 * 0.002 + 0.01 * synthetic::current_a(0.70, 0.45);
        assert!((spread.delta_a(1, place) - expected).abs() < 1e-12);
        assert!(CellSpread::new(variability, &[0.0]).is_err());
    }
}
