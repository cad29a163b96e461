//! What a head stores: codes of its cells, in the orders of the inner loops.

use super::engine::Factorized;
use super::keys;
use super::levels::Levelled;
use super::simd::{GROUP, column_place, wide_key_place};
use crate::emulate::die::Array;
use crate::emulate::stuck::StuckCell;

/// The codes of one head's cells.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// Shape (tiles, octets of slots, octets of dimensions, 64) in the order of [`keys::place`]; odd slots 8 more.
    pub keys: Vec<u8>,
    /// Shape (tiles, row pairs, columns, 2), columns in the order of [`column_place`]; odd rows 8 more.
    pub values: Vec<u8>,
    /// What is left over of each K column's edges, and its change per token, by padded slot.
    pub rests: [Vec<f32>; 2],
    /// The head that these cells are.
    pub head: usize,
    /// Of a die, both numbers of [`HeadSpread`] for what is stored: K in the order of weights, V of shape (tiles, row pairs,
    /// columns, 2).
    pub spread: Option<[[Vec<i16>; 2]; 2]>,
}

impl Factorized {
    /// An empty head; `head` chooses its die and its noise.
    pub(super) fn store(&self, head: usize) -> Store {
        let slots = self.tiles() * self.rows;
        // Rows that hold nothing have the codes of level 0, like written ones.
        let values = (0..slots * self.columns).map(|at| 8 * (at % 2) as u8).collect();
        let keys = (0..slots * self.d_padded).map(|at| 8 * (at / 4 % 2) as u8).collect();
        let spread = (!self.spreads.is_empty()).then(|| {
            let zeros = |width: usize| [vec![0; slots * width], vec![0; slots * width]];
            [zeros(self.d_padded), zeros(self.columns)]
        });
        Store { keys, values, rests: [vec![0.0; slots], vec![0.0; slots]], head, spread }
    }

    /// Writes a token's K and V (d each) [V], at the converters' levels, into a slot.
    pub(super) fn write<T: Levelled>(&self, store: &mut Store, slot: usize, k_v: &[T], v_v: &[T], codes: &mut Vec<u8>) {
        let row = slot / self.tile_tokens * self.rows + slot % self.tile_tokens;
        let levels = self.budget.levels as u32;
        let stuck = StuckCell::of_slot(&self.stuck, store.head, slot);
        T::codes(self.isa, k_v, self.vdd_v, levels, codes);
        put(stuck, Array::K, codes);
        let block = &mut store.keys[row / GROUP * GROUP * self.d_padded..][..GROUP * self.d_padded];
        // Four dimensions of a slot lie side by side.
        for (quad, codes) in codes.chunks(4).enumerate() {
            let (at, odd) = keys::place(row % GROUP, 4 * quad);
            block[at..at + codes.len()].iter_mut().zip(codes).for_each(|(to, code)| *to = code + odd);
        }
        let [rest, change] = self.keys.rest(codes);
        (store.rests[0][row], store.rests[1][row]) = (rest, change);
        let spread = store.spread.as_mut().zip(self.spreads.get(store.head));
        if let Some(([keys, _], spread)) = spread {
            let first = row / GROUP * GROUP * self.d_padded;
            for (dimension, code) in codes.iter().enumerate() {
                let numbers = spread.k[slot * spread.d + dimension][usize::from(*code)];
                let at = first + wide_key_place(row % GROUP, dimension);
                keys.iter_mut().zip(numbers).for_each(|(to, number)| to[at] = number);
            }
        }
        T::codes(self.isa, v_v, self.vdd_v, levels, codes);
        put(stuck, Array::V, codes);
        let pair = &mut store.values[row / 2 * 2 * self.columns..][..2 * self.columns];
        for (column, code) in codes.iter().enumerate() {
            pair[2 * column_place(column) + row % 2] = code + 8 * (row % 2) as u8;
        }
        let spread = store.spread.as_mut().zip(self.spreads.get(store.head));
        if let Some(([_, values], spread)) = spread {
            for (column, code) in codes.iter().enumerate() {
                let numbers = spread.v[slot * spread.d + column][usize::from(*code)];
                let at = row / 2 * 2 * self.columns + 2 * column + row % 2;
                values.iter_mut().zip(numbers).for_each(|(to, number)| to[at] = number);
            }
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
