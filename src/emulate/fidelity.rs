//! What every level of fidelity of the array must answer, from the published polynomial to a circuit simulator.

use crate::error::Result;
use crate::lut::Tally;

/// The occupied part of one sub-tile at the time of a query: what was written, and how long ago.
#[derive(Debug, Clone, Copy)]
pub struct Tile<'a> {
    /// Head that the sub-tile belongs to.
    pub head: usize,
    /// Number of the sub-tile in its head; its slots are numbered from 0.
    pub index: usize,
    /// Dimension d: rows of the K array, columns of the V array.
    pub d: usize,
    /// Driven K levels [V], shape (slots, d): a column of the K array for each slot.
    pub k_v: &'a [f64],
    /// Driven V levels [V], shape (slots, d): a row of the V array for each slot.
    pub v_v: &'a [f64],
    /// Tokens since each slot was written, shape (slots): 0 for the token of the query.
    pub ages: &'a [usize],
}

/// One level of fidelity of a sub-tile. Implementations are pure: equal inputs give equal outputs, in any order.
pub trait Fidelity: Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// First product. `q` (d) in [0, 1]; writes S and the pulse phi, as a fraction of T_max, of each slot.
    fn first(&self, tile: &Tile<'_>, q: &[f64], s: &mut [f64], phi: &mut [f64], tally: &mut Tally) -> Result<()>;

    /// Second product. `phi` (slots) as fractions of T_max; writes the signed pulse of each of the d columns as a
    /// fraction of T_max, before the counter.
    fn second(&self, tile: &Tile<'_>, phi: &[f64], output: &mut [f64], tally: &mut Tally) -> Result<()>;
}
