//! What a column's sums of integers give: one polynomial of them for each query and tile.
//!
//! The equations are those of `cells` and `pairs`; what does not change from column to column is multiplied out once, so that a
//! column takes some twenty products.

use super::cells::CellFactors;
use super::lanes::Machine;
use super::simd::LANES;

/// Sums over a column's pulses: of the widths, of these with `tau`, of what their integers are, of their squares and of their bows.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    pub width: f32,
    pub lengthened: f32,
    pub rounded: f32,
    pub squares: f32,
    pub bows: f32,
}

/// Sums of integers of sixteen columns.
#[derive(Debug, Clone, Copy)]
pub struct RawSums<L> {
    pub current: L,
    pub conductance: L,
    /// The current's high bytes and the conductance, by bows; 0 where pairs are not told apart.
    pub coarse: L,
    pub bowed_conductance: L,
}

/// Coefficients; charges and currents in units of p, conductances as shares of the bit line. Parts are in the order of the arguments of
/// the closures in [`Response::charge`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Response {
    /// The widths with `tau`, and what a raw current counts.
    lengthened: f32,
    current_unit: f32,
    /// Of `sum w g`: constant, per raw current, per raw conductance.
    swing: [f32; 3],
    /// Of `sum b I` and `sum b g`, by the raw sums by bows.
    bowed_current: [f32; 2],
    bowed_swing: [f32; 3],
    /// What is lost per current: constant, per swing, per swing squared; per current, per current squared, per current and swing; per
    /// bowed current and bowed swing.
    lost: [f32; 8],
    /// The same per bowed current: constant, per swing, current, bowed current, bowed swing.
    turned: [f32; 5],
}

impl Response {
    /// For a query of these widths; inline, so that it is compiled for the machine of the pass around it.
    #[inline(always)]
    pub fn new(cells: &CellFactors, widths: Widths) -> Response {
        let Widths { width, lengthened, rounded, squares, bows } = widths;
        let [swing_rest, swing_per_current] = cells.swing_rest;
        // What rounding takes from all pulses or gives them, it takes from the current.
        let current_unit = cells.current_unit * if rounded > 0.0 { lengthened / rounded } else { 1.0 };
        let swing = [swing_rest * width, swing_per_current * current_unit, cells.swing_unit];
        let bowed_current = [cells.coarse_rest * bows, cells.coarse_unit];
        let bowed_swing = [
            swing_rest * bows + swing_per_current * bowed_current[0],
            swing_per_current * bowed_current[1],
            cells.swing_unit,
        ];
        // What swings is the current of the pulses without tau.
        let swinging = if lengthened > 0.0 { width / lengthened } else { 1.0 };
        let [bend_per_current, bend_per_swing, bend_per_width] = cells.bend;
        let [keep_per_current, keep_per_swing, keep_per_width] = cells.keep;
        // Without pairs, cells keep what they would if all pulses were as long as the mean of their squares.
        let shorter = if squares > 0.0 { width / squares } else { 0.0 };
        let (kept, [beta, gamma], turn) = match cells.pairs {
            Some(pairs) => (1.0, pairs.min, pairs.turn),
            None => (shorter, [0.0; 2], 0.0),
        };
        let lost = [
            keep_per_width * (kept * width + beta * bows),
            1.0 + kept * keep_per_swing,
            2.0 / 3.0,
            swinging * (kept * keep_per_current - bend_per_width * width),
            swinging * swinging * bend_per_current,
            swinging * bend_per_swing,
            beta * keep_per_current,
            beta * keep_per_swing - turn,
        ];
        let turned = [
            keep_per_width * (beta * width + gamma * bows),
            turn + beta * keep_per_swing,
            swinging * beta * keep_per_current,
            gamma * keep_per_current,
            gamma * keep_per_swing,
        ];
        let lost = lost.map(|part| part * swinging);
        Response { lengthened, current_unit, swing, bowed_current, bowed_swing, lost, turned }
    }

    /// `sum (w + tau) I` after a `drift`, [`CellFactors::drift`]: constant, per raw current, per raw conductance.
    pub fn drifted(&self, drift: [f32; 3]) -> [f32; 3] {
        let [constant, per_current, per_swing] = drift;
        [
            constant * self.lengthened + per_swing * self.swing[0],
            (1.0 + per_current) * self.current_unit + per_swing * self.swing[1],
            per_swing * self.swing[2],
        ]
    }

    /// `charge` less what the bit line's swing takes; `current` is `sum (w + tau) I`.
    #[inline(always)]
    pub fn charge<M: Machine>(&self, m: M, charge: M::Lanes, current: M::Lanes, sums: &RawSums<M::Lanes>) -> M::Lanes {
        let line = |constant: f32, [(a, per_a), (b, per_b)]: [(M::Lanes, f32); 2]| {
            m.add_product(m.add_product(m.splat(constant), a, m.splat(per_a)), b, m.splat(per_b))
        };
        let [constant, per_current, per_conductance] = self.swing;
        let swing = line(constant, [(sums.current, per_current), (sums.conductance, per_conductance)]);
        let bowed_current = m.add_product(m.splat(self.bowed_current[0]), sums.coarse, m.splat(self.bowed_current[1]));
        let [constant, per_coarse, per_conductance] = self.bowed_swing;
        let bowed_swing = line(constant, [(sums.coarse, per_coarse), (sums.bowed_conductance, per_conductance)]);
        let lost = &self.lost;
        let by_bows = line(lost[0], [(bowed_current, lost[6]), (bowed_swing, lost[7])]);
        let per_swing = m.sub_product(m.splat(lost[1]), swing, m.splat(lost[2]));
        let per_current = m.sub_product(m.splat(lost[3]), current, m.splat(lost[4]));
        let per_current = m.sub_product(per_current, swing, m.splat(lost[5]));
        let taken = m.add_product(m.add_product(by_bows, swing, per_swing), current, per_current);
        let turned = &self.turned;
        let by_bows = line(turned[0], [(bowed_current, turned[3]), (bowed_swing, turned[4])]);
        let turning = m.add_product(by_bows, swing, m.splat(turned[1]));
        let turning = m.add_product(turning, current, m.splat(turned[2]));
        m.sub_product(m.sub_product(charge, current, taken), bowed_current, turning)
    }
}

/// The current of raw sums by [`Response::drifted`].
#[inline(always)]
pub fn current_of<M: Machine>(m: M, drifted: [f32; 3], sums: &RawSums<M::Lanes>) -> M::Lanes {
    let [constant, per_current, per_conductance] = drifted;
    let current = m.add_product(m.splat(constant), sums.current, m.splat(per_current));
    m.add_product(current, sums.conductance, m.splat(per_conductance))
}

/// So many sums from the `from`-th on, by lanes.
#[inline(always)]
pub fn lanes_of(sums: &[i32], from: usize, count: usize) -> &[[i32; LANES]] {
    sums[from..from + count].as_chunks().0
}

/// What a die's converters see of a block of columns' products, by their gains and offsets, with noise: normal numbers and their standard
/// deviation.
#[inline(always)]
pub fn varied<M: Machine>(
    m: M,
    product: M::Lanes,
    spread: Option<[&[f32]; 2]>,
    noise: Option<(&[f32], f32)>,
    block: usize,
) -> M::Lanes {
    let part = |values: &[f32]| m.load(&values.as_chunks::<LANES>().0[block]);
    let mut seen = product;
    if let Some([gain, offset]) = spread {
        seen = m.add_product(part(offset), seen, part(gain));
    }
    if let Some((normals, sigma)) = noise {
        seen = m.add_product(seen, part(normals), m.splat(sigma));
    }
    seen
}
