//! The engine: a head's stored codes, and queries on them tile by tile.

use super::cells::{Places, RUN};
use super::keys::{Drives, KeyFactors, KeyPass, KeySums, KeyWeights, Query};
use super::levels::Levelled;
use super::noise::{Draw, Normals, of_tile};
use super::simd::{COLUMNS, Isa, LANES};
use super::spread::{HeadSpread, of_a_write, padded};
use super::store::Store;
use super::values::{Pulses, Sums, ValueFactors, ValuePass, ValueWeights};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::options::Options;
use crate::emulate::stuck::StuckCell;

/// Queries that read the K array together.
const TOGETHER: usize = 2;

/// A table and its options, taken apart: attention of one head dimension, of many heads, at the price of ideal attention.
///
/// Stored values need 2 to 8 levels and Q 2 to 16; cells, converters and spread are those of the [`TableModel`], evaluated by
/// sums of integers. How near that is, and what is approximated, stands in the module's own notes.
#[derive(Debug, Clone)]
pub struct Factorized {
    pub(super) isa: Isa,
    pub(super) keys: KeyFactors,
    values: ValueFactors,
    drives: Drives,
    pub(super) budget: Budget,
    pub(super) d: usize,
    /// Dimensions in whole octets, columns in whole vectors, slots of a tile in whole lanes.
    pub(super) d_padded: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) tile_tokens: usize,
    pub(super) vdd_v: f64,
    pub(super) step: f64,
    /// By head; none for nominal cells.
    pub(super) spreads: Vec<HeadSpread>,
    pub(super) noise: Option<Noise>,
    pub(super) stuck: Vec<StuckCell>,
}

/// Noise, ready to be drawn; arrays are K and V.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    pub source: Normals,
    /// Standard deviations in units of S and A, by array: of a cell with a pulse, and of the converter.
    reads: [[f32; 2]; 2],
    /// By array and level, what one standard deviation of the stored voltage adds to a cell: see [`of_a_write`]. `None`: writes have
    /// no noise.
    pub writes: Option<[[[f32; 2]; 8]; 2]>,
}

/// Room that queries need; kept between them.
#[derive(Debug, Default)]
pub(super) struct Work {
    queries: Vec<Query>,
    pub(super) codes: Vec<u8>,
    key_weights: KeyWeights,
    key_sums: KeySums,
    s: Vec<f32>,
    seen: Vec<f32>,
    places: Vec<i32>,
    /// By query.
    driven: Vec<Vec<u32>>,
    reads: Vec<TileRead>,
    weights: ValueWeights,
    pulses: Pulses,
    sums: Sums,
    pub(super) words: Vec<f32>,
    pub(super) normals: Vec<f32>,
    /// What the cells of a write differ by.
    pub(super) numbers: Vec<[i16; 2]>,
    /// Shape (queries, columns).
    pub(super) counts: Vec<f32>,
}

/// S and phi of queries, of shape (queries, slots), if they are wanted.
pub(super) struct Kept<'a> {
    pub s: &'a mut [f64],
    pub phi: &'a mut [f64],
    pub slots: usize,
}

impl Factorized {
    /// Takes `model`, made with the same `options`, apart for heads of dimension `d`.
    ///
    /// A [`Refusal`] says why that cannot be done.
    pub fn new(model: &TableModel, options: &Options, d: usize) -> std::result::Result<Factorized, Refusal> {
        let budget = Budget::new(options)?;
        if model.any_clamped() {
            return Err(Refusal::new("cells leave the table's validity"));
        }
        if model.refreshes() {
            return Err(Refusal::new("values are refreshed within the window"));
        }
        let rows = budget.tile_rows.div_ceil(LANES) * LANES;
        let keys = KeyFactors::new(model, &budget, d)?;
        let values = ValueFactors::new(model, &budget, keys.greatest_phi())?;
        for (array, longest, cells) in [(Array::K, 1.0, d), (Array::V, keys.greatest_phi(), budget.tile_rows)] {
            let longest_s = longest * model.t_max_s();
            if !model.holds_width(longest_s)
                || !model.converter(array).stays_inside(model.bounds(), cells as f64 * longest_s)
            {
                return Err(Refusal::new("reads may leave the table's validity"));
            }
        }
        let rows_of = |slots: &[f32]| padded(slots, budget.tile_rows, rows);
        let columns = d.div_ceil(COLUMNS) * COLUMNS;
        let units = [keys.cells().weight(), values.cells().weight()];
        let spreads = model.dies().iter().map(|die| {
            let extent = die.extent;
            if extent.slots < budget.window || extent.d != d {
                let message = format!("a die has {} slots of {} dimensions only", extent.slots, extent.d);
                return Err(Refusal::new(message));
            }
            let mut spread = HeadSpread::new(model, die, budget.levels, budget.window, units)?;
            spread.unsigned = [rows_of(&spread.unsigned[0]), rows_of(&spread.unsigned[1])];
            spread.signed = [padded(&spread.signed[0], d, columns), padded(&spread.signed[1], d, columns)];
            Ok(spread)
        });
        let spreads = spreads.collect::<std::result::Result<_, Refusal>>()?;
        let unit_c = model.converter(Array::K).charge_per_unit_c();
        let noise = options.noise.as_ref().map(|noise| {
            let of = |sigma_c: f64| (sigma_c / unit_c) as f32;
            let cell = of(noise.sigma_cell_c);
            let written = |array: Array| {
                let numbers = of_a_write(model, array, &budget, units[array as usize], noise.sigma_write_v);
                numbers.map_err(|error| Refusal::new(error.to_string()))
            };
            let writes = match noise.sigma_write_v {
                0.0 => None,
                _ => Some([written(Array::K)?, written(Array::V)?]),
            };
            let reads = [[cell, of(noise.sigma_unsigned_c)], [cell, of(noise.sigma_signed_c)]];
            Ok(Noise { source: Normals::new(noise.seed), reads, writes })
        });
        let noise = noise.transpose()?;
        Ok(Factorized {
            spreads,
            noise,
            stuck: options.stuck.clone(),
            isa: Isa::detect(),
            drives: values.drives(&keys),
            keys,
            values,
            d,
            d_padded: d.div_ceil(8) * 8,
            columns,
            rows,
            tile_tokens: budget.tile_rows,
            vdd_v: options.vdd_v,
            step: match budget.counter.step() {
                0.0 => 1.0,
                step => step,
            },
            budget,
        })
    }

    /// The same on another instruction set, which gives the same bits.
    pub fn on(self, isa: Isa) -> Factorized {
        Factorized { isa, ..self }
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Dimension d.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Window M, in slots.
    pub fn window(&self) -> usize {
        self.budget.window
    }

    /// Operations that one (query, token) pair takes in sums of products, a product and its addition being two: in wide
    /// and in narrow integers.
    pub fn operations_per_pair(&self) -> [usize; 2] {
        let (keys, values) = (self.keys.sums(), self.values.sums());
        [0, 1].map(|k| 2 * (keys[k] * self.d_padded + values[k] * self.columns))
    }

    /// Value of one count of the output.
    pub(super) fn step(&self) -> f64 {
        self.step
    }

    pub(super) fn tiles(&self) -> usize {
        self.budget.window.div_ceil(self.tile_tokens)
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Attends with the queries (count, d) of tokens `token`, `token + 1`, ..., all of one run of slots, to what is stored and
    /// not younger.
    ///
    /// `token` is the number of the first query's token, by which noise is drawn. Leaves the counts in `work`, shape (count,
    /// columns).
    pub(super) fn attend<T: Levelled>(
        &self,
        store: &Store,
        token: usize,
        q: &[T],
        work: &mut Work,
        mut kept: Option<Kept<'_>>,
    ) {
        let newest = token % self.budget.window;
        let occupied = (token + 1).min(self.budget.window);
        let count = q.len() / self.d;
        let top = self.budget.q_levels as u32;
        work.queries.resize_with(work.queries.len().max(count), Query::default);
        for (q, query) in q.chunks_exact(self.d).zip(&mut work.queries) {
            T::codes(self.isa, q, 1.0, top, &mut work.codes);
            work.codes.resize(self.d_padded, 0);
            self.keys.prepare(&work.codes, query);
        }
        work.driven.resize_with(work.driven.len().max(count), Vec::new);
        work.counts.clear();
        work.counts.resize(count * self.columns, 0.0);
        let occupied_by = |query: usize| (occupied + query).min(self.budget.window);
        let middle = newest / RUN * RUN + RUN / 2;
        let last = newest + count - 1;
        for tile in 0..occupied_by(count - 1).div_ceil(self.tile_tokens) {
            let first_slot = tile * self.tile_tokens;
            let rows_of = |query: usize| {
                let rows = occupied_by(query).saturating_sub(first_slot).min(self.tile_tokens);
                (rows, rows.div_ceil(LANES) * LANES)
            };
            let (_, rows) = rows_of(count - 1);
            let first_row = tile * self.rows;
            let values = &store.values[first_row * self.columns..(first_row + rows) * self.columns];
            let keys = &store.keys[first_row * self.d_padded..(first_row + rows) * self.d_padded];
            // Slots after the last query's hold what was written a window before, or nothing yet.
            let last = if occupied < self.budget.window { first_slot + rows } else { last };
            // Weights of one age serve the whole run of queries, or each has its own.
            let apart = self.changes_within_a_run(tile, token);
            let together = if apart { 1 } else { count };
            for from in (0..count).step_by(together) {
                let until = (from + together).min(count);
                let middle = if apart { newest + from } else { middle };
                let ages = Places::new(self.keys.cells(), first_slot, rows, last, middle);
                self.keys.look_up(self.isa, keys, &ages, &mut work.key_weights);
                // First all of the K array, then all of the V array: the weights of one at a time fit the nearest cache.
                let mut reads = std::mem::take(&mut work.reads);
                reads.clear();
                let mut done = from;
                while done < until {
                    let group = (until - done).min(TOGETHER);
                    let (_, rows) = rows_of(done + group - 1);
                    let spread = store.spread.as_ref().map(|[keys, _]| {
                        let cells = first_row * self.d_padded..(first_row + rows) * self.d_padded;
                        [&keys[0][cells.clone()], &keys[1][cells]]
                    });
                    self.read_keys(rows, done, group, spread, work);
                    for query in done..done + group {
                        let (occupied, rows_of_query) = rows_of(query);
                        if rows_of_query == 0 {
                            continue;
                        }
                        let read = TileRead {
                            query,
                            token: token + query,
                            newest: newest + query,
                            from: (query - done) * rows,
                            tile,
                            occupied,
                            rows: rows_of_query,
                            later: (newest + query) as f32 - middle as f32,
                            age: self.age_of_tile(tile, newest + query),
                        };
                        self.finish_keys(store, &read, work);
                        reads.push(read);
                        if let Some(kept) = kept.as_mut() {
                            let at = query * kept.slots + first_slot;
                            for (row, (s, seen)) in work.s.iter().zip(&work.seen).enumerate().take(occupied) {
                                kept.s[at + row] = f64::from(*s);
                                kept.phi[at + row] = self.keys.phi(f64::from(*seen));
                            }
                        }
                    }
                    done += group;
                }
                self.values.look_up(self.isa, values, self.columns, &ages, &mut work.weights);
                reads.iter().for_each(|read| self.read_values(store, read, work));
                work.reads = reads;
            }
        }
    }

    /// Whether weights of one age do not serve the whole run of slots of `token`: of a tile that holds slots as young as cells that still
    /// come to rest, or both the youngest slots and the oldest.
    fn changes_within_a_run(&self, tile: usize, token: usize) -> bool {
        let (window, newest) = (self.budget.window, token % self.budget.window);
        let beyond = ((tile + 1) * self.tile_tokens).min(window);
        if token >= window && newest / self.tile_tokens == tile && newest + 1 < beyond {
            return true;
        }
        let bends = self.keys.cells().young_bend || self.values.cells().young_bend;
        let run = newest / RUN * RUN;
        bends && (0..2 * RUN).any(|slot| (run + window * RUN - RUN + slot) % window / self.tile_tokens == tile)
    }

    /// The age in the middle of a tile, all of whose slots are younger than a window or all of them older than the newest.
    fn age_of_tile(&self, tile: usize, newest: usize) -> usize {
        let middle = tile * self.tile_tokens + self.tile_tokens / 2;
        if tile * self.tile_tokens <= newest {
            newest.saturating_sub(middle)
        } else {
            (newest + self.budget.window).saturating_sub(middle)
        }
    }

    /// Sums of a group of queries over the first `rows` slots of the tile in work.
    fn read_keys(&self, rows: usize, done: usize, group: usize, spread: Option<[&[i16]; 2]>, work: &mut Work) {
        let Work { queries, key_weights, key_sums, .. } = work;
        if rows == 0 {
            return;
        }
        match queries[done..done + group] {
            [ref a, ref b] => self.keys.sum(self.isa, key_weights, rows, [a, b], spread, key_sums),
            [ref a, ..] => self.keys.sum(self.isa, key_weights, rows, [a], spread, key_sums),
            [] => {}
        }
    }

    /// From the sums of one query over one tile to what drives the tile's V array.
    fn finish_keys(&self, store: &Store, read: &TileRead, work: &mut Work) {
        let TileRead { query, from, tile, occupied, rows, later, age, .. } = *read;
        let Work { queries, key_sums, s, seen, places, driven, words, normals, .. } = work;
        let first_row = tile * self.rows;
        s.resize(rows, 0.0);
        seen.resize(rows, 0.0);
        places.resize(rows, 0);
        normals.resize(rows, 0.0);
        let noise = self.noise_of(store.head, read, Array::K, [words, normals], queries[query].on());
        let spread = self.spreads.get(store.head);
        let slots = first_row..first_row + rows;
        self.isa.run(KeyPass {
            factors: &self.keys,
            sums: key_sums,
            from,
            query: &queries[query],
            rests: [0, 1, 2].map(|rest| &store.rests[rest][slots.clone()]),
            age: read.newest as f32 - (tile * self.tile_tokens) as f32,
            window: self.budget.window as f32,
            drift: self.keys.cells().drift(age, later),
            later,
            drives: &self.drives,
            differ: store.spread.is_some(),
            spread: spread.map(|spread| [&spread.unsigned[0][slots.clone()], &spread.unsigned[1][slots.clone()]]),
            noise,
            s,
            seen,
            places,
        });
        let driven = &mut driven[query];
        driven.clear();
        driven.extend(places[..occupied.min(rows)].iter().map(|place| self.drives.at(*place)));
        driven.resize(rows, 0);
    }

    /// From what drives a tile's V array to one query's counts.
    fn read_values(&self, store: &Store, read: &TileRead, work: &mut Work) {
        let TileRead { query, tile, rows, later, age, .. } = *read;
        let Work { places, driven, weights, pulses, sums, counts, words, normals, .. } = work;
        let (first_row, first_column) = (tile * self.rows, tile * self.columns);
        places.resize(self.columns, 0);
        self.values.drive(self.isa, &driven[query], pulses);
        let deltas = store.spread.as_ref().map(|[_, values]| {
            let ages = (0..rows).map(|row| {
                let slot = tile * self.tile_tokens + row;
                // Rows that only fill up a tile drive nothing, whatever their age.
                if slot <= read.newest {
                    read.newest - slot
                } else {
                    (read.newest + self.budget.window).saturating_sub(slot)
                }
            });
            self.values.age_pulses(ages, self.budget.window, pulses);
            let cells = first_row * self.columns..(first_row + rows) * self.columns;
            [&values[0][cells.clone()], &values[1][cells]]
        });
        self.values.sum(self.isa, weights, self.columns, pulses, deltas, sums);
        let spread = self.spreads.get(store.head);
        let columns = first_column..first_column + self.columns;
        let counts = &mut counts[query * self.columns..(query + 1) * self.columns];
        normals.resize(self.columns, 0.0);
        let noise = self.noise_of(store.head, read, Array::V, [words, normals], pulses.sums[2]);
        self.isa.run(ValuePass {
            factors: &self.values,
            sums,
            pulses,
            drift: self.values.cells().drift(age, later),
            differ: store.spread.is_some(),
            spread: spread.map(|spread| [&spread.signed[0][columns.clone()], &spread.signed[1][columns]]),
            noise,
            counts: &mut *counts,
            places,
        });
        self.values.count(places, counts);
    }

    /// Normal numbers of one array's read, as many as there is room for, and their standard deviation with `on` pulses a column.
    fn noise_of<'w>(
        &self,
        head: usize,
        read: &TileRead,
        array: Array,
        [words, normals]: [&'w mut Vec<f32>; 2],
        on: f32,
    ) -> Option<(&'w [f32], f32)> {
        let noise = self.noise.as_ref()?;
        let [cell, converter] = noise.reads[array as usize];
        let draw = Draw { head: head as u32, token: read.token as u32, array: of_tile(read.tile, array as usize) };
        noise.source.fill(self.isa, draw, words, normals);
        Some((normals, (on * cell * cell + converter * converter).sqrt()))
    }
}

/// One query's read of one tile.
#[derive(Debug)]
struct TileRead {
    query: usize,
    /// Number of the query's token, and its slot.
    token: usize,
    newest: usize,
    /// Where its sums start.
    from: usize,
    tile: usize,
    /// Slots of the tile that hold a token, and the same in whole lanes.
    occupied: usize,
    rows: usize,
    /// Tokens between the query and the age of the weights, and the age of the tile's middle.
    later: f32,
    age: usize,
}
