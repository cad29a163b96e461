//! The table level at the price of ideal attention: sums of small integers instead of one evaluation per cell.
//!
//! [`super::TableModel`] evaluates every cell of every read in double precision and is the reference. This engine takes the
//! same table apart once (`cells`), so that a read needs products of integers only: stored codes are looked up as weights of
//! their age, a run of queries at a time, and multiplied with pulse widths (`keys`, `values`). S stays within 0.1 % of full
//! scale of the per-cell evaluation, at 0.005 % rms on generic28's table and 0.010 % on sky130's (`make bench-torch` prints both); phi and
//! signed outputs too, but where a converter is steeper than its full scale over its range, as at a dead zone's ends, that steepness
//! multiplies it. What cannot be taken apart is refused with the reason, and [`super::run`]
//! then evaluates cell by cell.
//!
//! A die adds two sums for what its cells differ (`spread`), and noise one normal number per column and read and, in
//! those two sums, one per cell and write (`noise`).
//!
//! Equal inputs give equal bits on any processor and number of threads, in prefill and in decode: integers are exact, and
//! single precision is evaluated in one order everywhere, with products fused (`simd`, `lanes`).

mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cells;
mod curve;
mod engine;
mod head;
mod keys;
mod lanes;
mod least_squares;
mod levels;
#[cfg(test)]
mod loop_tests;
mod noise;
mod pairs;
mod portable;
mod reads;
mod response;
mod sequence;
mod simd;
mod spread;
mod store;
mod tile;
#[cfg(test)]
mod tests;
mod values;

pub(super) use curve::Curve;
pub use engine::Factorized;
pub use head::FactorizedHead;
pub use simd::Isa;

use super::options::{Counter, Options};

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
        })
    }
}
