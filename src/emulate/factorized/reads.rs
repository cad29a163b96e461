//! What the passes over one tile's sums are told of each query that reads it.

use super::keys::TOGETHER;
use super::lanes::Machine;
use super::simd::LANES;

/// The numbers of lanes.
const COUNTED: [f32; LANES] = {
    let (mut counted, mut lane) = ([0.0; LANES], 0);
    while lane < LANES {
        counted[lane] = lane as f32;
        lane += 1;
    }
    counted
};

/// One query's read of one tile.
#[derive(Debug, Clone, Copy)]
pub struct TileRead {
    /// Number of the query in its run.
    pub query: usize,
    /// Number of the query's token, and its slot.
    pub token: usize,
    pub newest: usize,
    pub tile: usize,
    /// Slots of the tile that hold a token.
    pub occupied: usize,
    /// Tokens between the query and the age of the weights.
    pub later: f32,
    /// The current's change in that time: [`super::cells::CellFactors::drift`] of the K and V arrays.
    pub drift: [[f32; 3]; 2],
}

/// Normal numbers for some reads, one after another, and the standard deviations of a cell with a pulse and of the converter.
#[derive(Debug, Clone, Copy)]
pub struct ReadNoise<'a> {
    pub normals: &'a [f32],
    pub sigmas: [f32; 2],
}

impl<'a> ReadNoise<'a> {
    /// The numbers of read `number` of `count` columns, and their standard deviation with `on` pulses a column.
    pub fn of(&self, number: usize, count: usize, on: f32) -> (&'a [f32], f32) {
        let [cell, converter] = self.sigmas;
        let normals = &self.normals[number * count..(number + 1) * count];
        (normals, (on * cell * cell + converter * converter).sqrt())
    }
}

/// The ages of a tile's rows.
#[derive(Debug, Clone, Copy)]
pub struct Aging {
    /// Of the first row, below 0 where that was written a window before.
    pub first: f32,
    pub window: f32,
}

impl Aging {
    /// Ages of the sixteen rows from `row` on, as shares of the window.
    #[inline(always)]
    pub fn shares<M: Machine>(self, m: M, row: usize) -> M::Lanes {
        m.scale(self.ages(m, row), 1.0 / self.window)
    }

    /// The same in tokens.
    #[inline(always)]
    pub fn ages<M: Machine>(self, m: M, row: usize) -> M::Lanes {
        let age = m.sub(m.splat(self.first - row as f32), m.load(&COUNTED));
        m.add(age, m.where_positive(m.sub(m.splat(0.0), age), m.splat(self.window)))
    }
}

/// A part of each of at most [`TOGETHER`] things.
pub fn each_of<T, U>(of: &[T], part: impl Fn(&T) -> &Vec<U>) -> [&[U]; TOGETHER] {
    std::array::from_fn(|k| of.get(k).map_or(&[] as &[U], |one| part(one).as_slice()))
}

/// The widths of at most [`TOGETHER`] queries and then their bows, which the same weights are multiplied with.
pub fn by_widths_and_bows<'a>(widths: &[&'a [u8]], bows: &[&'a [u8]]) -> [&'a [u8]; 2 * TOGETHER] {
    let mut both: [&[u8]; 2 * TOGETHER] = [&[]; 2 * TOGETHER];
    both.iter_mut().zip(widths.iter().chain(bows)).for_each(|(to, from)| *to = from);
    both
}
