//! One tile's reads: from the sums of some queries to what drives its V array, and from that to counts.

use super::engine::{Factorized, Kept, Work};
use super::keys::KeyPass;
use super::noise::{Draw, of_tile};
use super::reads::{Aging, ReadNoise, TileRead};
use super::simd::Tables;
use super::store::Store;
use super::values::{Pulses, ValuePass};
use crate::emulate::die::Array;

impl Factorized {
    /// From the sums of some queries over `rows` slots of one tile to what drives the tile's V array.
    pub(super) fn finish_keys(
        &self,
        store: &Store,
        reads: &[TileRead],
        rows: usize,
        work: &mut Work,
        kept: Option<&mut Kept<'_>>,
    ) {
        let Some(tile) = reads.first().map(|read| read.tile) else { return };
        let Work { queries, key_sums, s, seen, driven, normals, .. } = work;
        let slots = tile * self.rows..tile * self.rows + rows;
        let first_slot = tile * self.tile_tokens;
        let keep = kept.is_some();
        let own = keep.then(|| {
            [&mut *s, &mut *seen].map(|kept| {
                kept.resize(reads.len() * rows, 0.0);
                kept.as_mut_slice()
            })
        });
        let spread = self.spreads.get(store.head);
        self.isa.run(KeyPass {
            factors: &self.keys,
            sums: key_sums,
            slots: rows,
            reads,
            queries,
            rests: [0, 1, 2].map(|rest| &store.rests[rest][slots.clone()]),
            first_slot,
            window: self.budget.window as f32,
            drives: &self.drives,
            differ: store.spread.is_some(),
            spread: spread.map(|spread| [&spread.unsigned[0][slots.clone()], &spread.unsigned[1][slots.clone()]]),
            noise: self.noise_of(store.head, reads, Array::K, rows, normals),
            driven,
            kept: own,
        });
        let Some(kept) = kept else { return };
        for (number, read) in reads.iter().enumerate() {
            let at = read.query * kept.slots + first_slot;
            let (s, seen) = (&s[number * rows..], &seen[number * rows..]);
            for (row, (s, seen)) in s.iter().zip(seen).enumerate().take(read.occupied) {
                kept.s[at + row] = f64::from(*s);
                kept.phi[at + row] = self.keys.phi(f64::from(*seen));
            }
        }
    }

    /// From what drives a tile's V array to the counts of some queries, by the weights in work or, of one query, straight from codes.
    pub(super) fn read_values(
        &self,
        store: &Store,
        reads: &[TileRead],
        codes: Option<(&[u8], &Tables)>,
        work: &mut Work,
    ) {
        let Work { driven, weights, pulses, sums, counts, normals, .. } = work;
        let Some(tile) = reads.first().map(|read| read.tile) else { return };
        // Rows that only fill up the group's drive nothing.
        let rows = reads.iter().map(|read| driven[read.query].len()).max().unwrap_or(0);
        reads.iter().for_each(|read| driven[read.query].resize(rows, 0));
        let (first_row, first_column) = (tile * self.rows, tile * self.columns);
        pulses.resize_with(pulses.len().max(reads.len()), Pulses::default);
        let pulses = &mut pulses[..reads.len()];
        let (first_slot, window) = ((tile * self.tile_tokens) as f32, self.budget.window as f32);
        for (read, pulses) in reads.iter().zip(&mut *pulses) {
            let aging = store.spread.is_some().then_some(Aging { first: read.newest as f32 - first_slot, window });
            self.values.drive(self.isa, &driven[read.query], aging, pulses);
        }
        let summed = match (codes, &*pulses) {
            (Some((codes, tables)), [pulses]) => {
                self.values.sum_codes(self.isa, codes, self.columns, tables, pulses, sums)
            }
            _ => false,
        };
        if !summed {
            if let Some((codes, tables)) = codes {
                self.values.look_up(self.isa, codes, self.columns, tables, weights);
            }
            self.values.sum(self.isa, weights, self.columns, pulses, sums);
        }
        if let Some([_, values]) = &store.spread {
            let cells = first_row * self.columns..(first_row + rows) * self.columns;
            sums.add_spread(self.isa, [&values[0][cells.clone()], &values[1][cells]], self.columns, pulses);
        }
        let spread = self.spreads.get(store.head);
        let columns = first_column..first_column + self.columns;
        self.isa.run(ValuePass {
            factors: &self.values,
            sums,
            columns: self.columns,
            reads,
            pulses,
            differ: store.spread.is_some(),
            spread: spread.map(|spread| [&spread.signed[0][columns.clone()], &spread.signed[1][columns]]),
            noise: self.noise_of(store.head, reads, Array::V, self.columns, normals),
            counts,
        });
    }

    /// Normal numbers of some reads of one array, `count` each.
    fn noise_of<'w>(
        &self,
        head: usize,
        reads: &[TileRead],
        array: Array,
        count: usize,
        normals: &'w mut Vec<f32>,
    ) -> Option<ReadNoise<'w>> {
        let noise = self.noise.as_ref()?;
        normals.resize(reads.len() * count, 0.0);
        for (read, normals) in reads.iter().zip(normals.chunks_exact_mut(count)) {
            let draw = Draw { head: head as u32, token: read.token as u32, array: of_tile(read.tile, array as usize) };
            noise.source.fill(self.isa, draw, normals);
        }
        Some(ReadNoise { normals, sigmas: noise.reads[array as usize] })
    }
}
