//! What a head stores: codes of its cells, in the orders of the inner loops.

use super::engine::{Factorized, Work};
use super::keys;
use super::levels::Levelled;
use super::noise::{Draw, OF_WRITE};
use super::simd::{GROUP, column_place, wide_key_place};
use super::spread::with_noise;
use crate::emulate::die::Array;
use crate::emulate::stuck::StuckCell;

/// The codes of one head's cells.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// Shape (tiles, octets of slots, octets of dimensions, 64) in the order of [`keys::place`]; odd slots 8 more.
    pub keys: Vec<u8>,
    /// Shape (tiles, row pairs, columns, 2), columns in the order of [`column_place`]; odd rows 8 more.
    pub values: Vec<u8>,
    /// What is left over of each K column's edges, its change per token, and of its current's change, by padded slot.
    pub rests: [Vec<f32>; 3],
    /// The head that these cells are.
    pub head: usize,
    /// Of a die, both numbers of [`HeadSpread`] for what is stored, and what its writes' noise adds: K in the order of weights, V of
    /// shape (tiles, row pairs, columns, 2).
    pub spread: Option<[[Vec<i16>; 2]; 2]>,
}

impl Factorized {
    /// An empty head; `head` chooses its die and its noise.
    pub(super) fn store(&self, head: usize) -> Store {
        let slots = self.tiles() * self.rows;
        // Rows that hold nothing have the codes of level 0, like written ones.
        let values = (0..slots * self.columns).map(|at| 8 * (at % 2) as u8).collect();
        let keys = (0..slots * self.d_padded).map(|at| 8 * (at / 4 % 2) as u8).collect();
        let differ = !self.spreads.is_empty() || self.noise.as_ref().is_some_and(|noise| noise.writes.is_some());
        let spread = differ.then(|| {
            let zeros = |width: usize| [vec![0; slots * width], vec![0; slots * width]];
            [zeros(self.d_padded), zeros(self.columns)]
        });
        Store { keys, values, rests: std::array::from_fn(|_| vec![0.0; slots]), head, spread }
    }

    /// Writes K and V (d each) [V] of token number `token`, at the converters' levels, into its slot.
    pub(super) fn write<T: Levelled>(&self, store: &mut Store, token: usize, k_v: &[T], v_v: &[T], work: &mut Work) {
        let slot = token % self.budget.window;
        let row = slot / self.tile_tokens * self.rows + slot % self.tile_tokens;
        let levels = self.budget.levels as u32;
        let stuck = StuckCell::of_slot(&self.stuck, store.head, slot);
        let Work { codes, normals, numbers, .. } = work;
        T::codes(self.isa, k_v, self.vdd_v, levels, codes);
        put(stuck, Array::K, codes);
        let block = &mut store.keys[row / GROUP * GROUP * self.d_padded..][..GROUP * self.d_padded];
        // Four dimensions of a slot lie side by side.
        for (quad, codes) in codes.chunks(4).enumerate() {
            let (at, odd) = keys::place(row % GROUP, 4 * quad);
            block[at..at + codes.len()].iter_mut().zip(codes).for_each(|(to, code)| *to = code + odd);
        }
        store.rests.iter_mut().zip(self.keys.rest(codes)).for_each(|(rests, rest)| rests[row] = rest);
        if let Some([keys, _]) = store.spread.as_mut() {
            let first = row / GROUP * GROUP * self.d_padded;
            self.differences(Array::K, store.head, token, codes, normals, numbers);
            for (dimension, numbers) in numbers.iter().enumerate() {
                let at = first + wide_key_place(row % GROUP, dimension);
                keys.iter_mut().zip(numbers).for_each(|(to, number)| to[at] = *number);
            }
        }
        T::codes(self.isa, v_v, self.vdd_v, levels, codes);
        put(stuck, Array::V, codes);
        let pair = &mut store.values[row / 2 * 2 * self.columns..][..2 * self.columns];
        let odd = row % 2;
        // Four columns lie side by side.
        for (quad, codes) in codes.chunks(4).enumerate() {
            let to = pair[2 * column_place(4 * quad) + odd..].iter_mut().step_by(2);
            to.zip(codes).for_each(|(to, code)| *to = code + 8 * odd as u8);
        }
        if let Some([_, values]) = store.spread.as_mut() {
            self.differences(Array::V, store.head, token, codes, normals, numbers);
            for (column, numbers) in numbers.iter().enumerate() {
                let at = row / 2 * 2 * self.columns + 2 * column + row % 2;
                values.iter_mut().zip(numbers).for_each(|(to, number)| to[at] = *number);
            }
        }
    }

    /// How the cells that `codes` are written to differ from nominal ones: by their die, and by this write's noise.
    fn differences(
        &self,
        array: Array,
        head: usize,
        token: usize,
        codes: &[u8],
        normals: &mut Vec<f32>,
        numbers: &mut Vec<[i16; 2]>,
    ) {
        numbers.clear();
        match self.spreads.get(head) {
            Some(spread) => {
                let cells = if array == Array::K { &spread.k } else { &spread.v };
                let first = token % self.budget.window * spread.d;
                numbers.extend(codes.iter().zip(&cells[first..]).map(|(code, cell)| cell[usize::from(*code)]));
            }
            None => numbers.resize(codes.len(), [0; 2]),
        }
        let Some((source, writes)) = self.noise.as_ref().and_then(|noise| Some((&noise.source, noise.writes?))) else {
            return;
        };
        let weight = self.weights()[array as usize];
        normals.resize(self.columns, 0.0);
        let draw = Draw { head: head as u32, token: token as u32, array: OF_WRITE[array as usize] };
        source.fill(self.isa, draw, normals);
        for ((numbers, code), normal) in numbers.iter_mut().zip(codes).zip(normals) {
            *numbers = with_noise(*numbers, writes[array as usize][usize::from(*code)], *normal, weight);
        }
    }
}

/// Puts the codes of stuck cells over those that are written.
fn put(stuck: &[StuckCell], array: Array, codes: &mut [u8]) {
    for cell in stuck.iter().filter(|cell| cell.array == array) {
        if let Some(code) = codes.get_mut(cell.dimension) {
            *code = cell.level as u8;
        }
    }
}
