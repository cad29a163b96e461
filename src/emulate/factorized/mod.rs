//! The table level at the price of ideal attention: sums of small integers instead of one evaluation per cell.
//!
//! [`super::TableModel`] evaluates every cell of every read in double precision and is the reference. This engine takes the same
//! table apart once, so that a read needs products of integers only: the first product by moments of the
//! stored codes that do not depend on age (`keys`), the second by weights looked up for each row's age
//! (`values`). What it takes apart, it takes apart within a stated share of full scale of the per-cell evaluation
//! ([`TOLERANCE`]); a table, or options, for which that cannot be had are refused with the reason, and [`super::run`] then
//! evaluates cell by cell.
//!
//! Equal inputs give equal bits on any processor and number of threads: integers are exact, and single precision is
//! evaluated in one order everywhere (`simd`).

mod cells;
mod curve;
mod engine;
mod keys;
mod lanes;
mod levels;
mod noise;
mod portable;
mod sequence;
mod simd;
mod spread;
mod values;

pub use engine::{Factorized, FactorizedHead};
pub(super) use curve::Curve;
pub use simd::Isa;

use super::options::{Counter, Options};

/// How far the engine may be from the per-cell evaluation before the counter, as a share of full scale.
pub const TOLERANCE: f64 = 1e-3;

/// Why a table or its options are left to the per-cell evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    fn new(reason: impl Into<String>) -> Self {
        Refusal(reason.into())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sizes and limits that both products are split for.
#[derive(Debug, Clone)]
struct Budget {
    /// Levels of K and V, and of Q.
    levels: usize,
    q_levels: usize,
    phi_levels: Option<u32>,
    counter: Counter,
    /// Slots, and those of one tile.
    window: usize,
    tile_rows: usize,
    /// Places beyond twice the window that whole lanes of the last tile may reach.
    padding: usize,
    tolerance: f64,
}

impl Budget {
    fn new(options: &Options) -> Result<Budget, Refusal> {
        let levels = match options.quantization.stored {
            Some(levels @ 2..=8) => levels as usize,
            _ => return Err(Refusal::new("K and V need 2 to 8 levels")),
        };
        let q_levels = match options.quantization.q {
            Some(levels @ 2..=16) => levels as usize,
            _ => return Err(Refusal::new("Q needs 2 to 16 levels")),
        };
        Ok(Budget {
            levels,
            q_levels,
            phi_levels: options.quantization.phi,
            counter: options.quantization.output,
            window: options.window,
            tile_rows: options.tile_tokens.min(options.window),
            padding: options.tile_tokens.min(options.window) + simd::LANES,
            tolerance: TOLERANCE,
        })
    }
}
