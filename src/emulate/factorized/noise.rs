//! Normal numbers by the name of a read or a write, many at a time.
//!
//! Philox4x32-10 ([`crate::rng::philox4x32`]), keyed by the seed, counts in columns; each of its words is a place on the
//! tabulated normal quantile, between whose points it is a line. The table ends at the probability of half a point, 3.7
//! standard deviations, and is scaled to a variance of 1.

use super::lanes::{Machine, Vectorized};
use super::simd::{Isa, LANES};
use crate::rng::{normal_quantile, philox4x32_lanes};

const POINTS: usize = 4097;

/// A source of normal numbers.
#[derive(Debug, Clone)]
pub struct Normals {
    seed: u64,
    quantiles: Box<[f32; POINTS]>,
}

/// The read or write that numbers belong to.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    pub head: u32,
    /// Low bits of the token's number; a sequence may be longer than fits.
    pub token: u32,
    /// Which array of which tile is read, [`of_tile`], or which is written, [`OF_WRITE`].
    pub array: u32,
}

/// [`Draw::array`] of writes, K and V; no tile has a number so high.
pub const OF_WRITE: [u32; 2] = [u32::MAX - 1, u32::MAX];

/// [`Draw::array`] of a read of a tile's K array (0) or V array (1).
pub fn of_tile(tile: usize, array: usize) -> u32 {
    (2 * tile + array) as u32
}

impl Normals {
    pub fn new(seed: u64) -> Self {
        let mut quantiles: Box<[f32; POINTS]> = Box::new([0.0; POINTS]);
        let exact: Vec<f64> = (0..POINTS).map(|k| normal_quantile((k as f64 + 0.5) / POINTS as f64)).collect();
        // The variance of a place that is uniform along the broken line.
        let pieces = exact.windows(2).map(|ends| (ends[0].powi(2) + ends[0] * ends[1] + ends[1].powi(2)) / 3.0);
        let sigma = (pieces.sum::<f64>() / (POINTS - 1) as f64).sqrt();
        quantiles.iter_mut().zip(&exact).for_each(|(to, quantile)| *to = (quantile / sigma) as f32);
        Normals { seed, quantiles }
    }

    /// Numbers for the columns of a read or the cells of a write, the first for number 0; whole lanes.
    pub fn fill(&self, isa: Isa, draw: Draw, out: &mut [f32]) {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        isa.run(NormalPass { quantiles: &self.quantiles, draw, key, out });
    }
}

struct NormalPass<'a> {
    quantiles: &'a [f32; POINTS],
    draw: Draw,
    key: [u32; 2],
    out: &'a mut [f32],
}

impl Vectorized for NormalPass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let scale = (POINTS - 1) as f32 / (1 << 24) as f32;
        let Draw { head, token, array } = self.draw;
        // Sixteen counters give four words each: of every 64 numbers the first words, then the second ones, and so on.
        for (first, out) in self.out.chunks_mut(4 * LANES).enumerate() {
            let mut counters = [[0; LANES], [array; LANES], [token; LANES], [head; LANES]];
            for (lane, block) in counters[0].iter_mut().enumerate() {
                *block = (first * LANES + lane) as u32;
            }
            philox4x32_lanes(&mut counters, self.key);
            for (words, out) in counters.iter().zip(out.as_chunks_mut::<LANES>().0) {
                // The upper 24 bits, which single precision holds.
                let mut places = [0; LANES];
                places.iter_mut().zip(words).for_each(|(place, word)| *place = (word >> 8) as i32);
                let number = m.between(self.quantiles, m.scale(m.integers(&places), scale));
                m.store(out, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_normals_moments_and_belong_to_their_names() {
        let normals = Normals::new(7);
        let mut all = Vec::new();
        let draw = |head: u32, token: u32, array: u32, isa: Isa| {
            let mut out = [0.0; 64];
            normals.fill(isa, Draw { head, token, array }, &mut out);
            out
        };
        for token in 0..1000 {
            all.extend(draw(3, token, 5, Isa::detect()));
        }
        let n = all.len() as f64;
        let moment = |power: i32| all.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / n;
        // Five standard errors; the cut tail takes 0.02 from the fourth moment.
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.028, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "{}", moment(4));
        // Number 18 is the second word of the third counter.
        let word = crate::rng::philox4x32([2, 5, 9, 3], [7, 0])[1];
        let place = f64::from(word >> 8) / f64::from(1 << 24) * (POINTS - 1) as f64;
        let quantile = normal_quantile((place + 0.5) / POINTS as f64);
        assert!((f64::from(draw(3, 9, 5, Isa::PORTABLE)[18]) - quantile).abs() < 1e-3 * (1.0 + quantile.abs()));
        for isa in Isa::all() {
            assert_eq!(draw(3, 9, 5, isa), draw(3, 9, 5, Isa::PORTABLE), "{}", isa.name());
        }
        for other in [draw(4, 9, 5, Isa::PORTABLE), draw(3, 8, 5, Isa::PORTABLE), draw(3, 9, 6, Isa::PORTABLE)] {
            assert_ne!(other, draw(3, 9, 5, Isa::PORTABLE));
        }
    }
}
