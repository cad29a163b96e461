//! The engine: a head's stored codes, and queries on them tile by tile.

use super::cells::{Places, RUN, Weight};
use super::keys::{Drives, KeyFactors, KeySums, KeyWeights, Query, TOGETHER};
use super::levels::Levelled;
use super::noise::Normals;
use super::reads::TileRead;
use super::simd::{COLUMNS, Isa, LANES};
use super::spread::{HeadSpread, of_a_write, padded};
use super::store::Store;
use super::values::{Pulses, Sums, ValueFactors, ValueWeights};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::options::Options;
use crate::emulate::stuck::StuckCell;

/// A table and its options, taken apart: attention of one head dimension, of many heads, at the price of ideal attention.
///
/// Stored values need 2 to 8 levels and Q 2 to 16; cells, converters and spread are those of the [`TableModel`], evaluated by
/// sums of integers. How near that is, and what is approximated, stands in the module's own notes.
#[derive(Debug, Clone)]
pub struct Factorized {
    pub(super) isa: Isa,
    pub(super) keys: KeyFactors,
    pub(super) values: ValueFactors,
    pub(super) drives: Drives,
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
    pub reads: [[f32; 2]; 2],
    /// By array and level, what one standard deviation of the stored voltage adds to a cell: see [`of_a_write`]. `None`: writes have
    /// no noise.
    pub writes: Option<[[[f32; 2]; 8]; 2]>,
}

/// Room that queries need; kept between them.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) queries: Vec<Query>,
    pub(super) codes: Vec<u8>,
    pub(super) key_weights: KeyWeights,
    pub(super) key_sums: KeySums,
    /// S and what converters see of it, if it is kept.
    pub(super) s: Vec<f32>,
    pub(super) seen: Vec<f32>,
    /// By query.
    pub(super) driven: Vec<Vec<u32>>,
    pub(super) reads: Vec<TileRead>,
    pub(super) weights: ValueWeights,
    /// By query of a group.
    pub(super) pulses: Vec<Pulses>,
    pub(super) sums: Sums,
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
        if options.bit_line_ohm > 0.0 {
            return Err(Refusal::new("the bit lines' wires have a resistance"));
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
        let weights = [keys.cells().weight(), values.cells().weight()];
        let spreads = model.dies().iter().map(|die| {
            let extent = die.extent;
            if extent.slots < budget.window || extent.d != d {
                let message = format!("a die has {} slots of {} dimensions only", extent.slots, extent.d);
                return Err(Refusal::new(message));
            }
            let mut spread = HeadSpread::new(model, die, budget.levels, budget.window, weights)?;
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
                let numbers = of_a_write(model, array, &budget, weights[array as usize].unit, noise.sigma_write_v);
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
            drives: values.drives(&keys)?,
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

    /// What weights of the K and V arrays count.
    pub(super) fn weights(&self) -> [Weight; 2] {
        [self.keys.cells().weight(), self.values.cells().weight()]
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
            self.keys.prepare(self.isa, &work.codes, query);
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
            // Slots after the last query's hold what was written a window before, or nothing yet.
            let last = if occupied < self.budget.window { first_slot + rows } else { last };
            // Weights of one age serve the whole run of queries, or each has its own.
            let apart = self.changes_within_a_run(tile, newest, token >= self.budget.window);
            let together = if apart { 1 } else { count };
            for from in (0..count).step_by(together) {
                let until = (from + together).min(count);
                let middle = if apart { newest + from } else { middle };
                let (_, rows) = rows_of(until - 1);
                let ages = Places::new(self.keys.cells(), first_slot, rows, last, middle);
                let tables = [self.keys.cells().tables(&ages), self.values.cells().tables(&ages)];
                let [key_tables, value_tables] = [tables[0].tables(), tables[1].tables()];
                let keys = &store.keys[first_row * self.d_padded..(first_row + rows) * self.d_padded];
                let values = &store.values[first_row * self.columns..(first_row + rows) * self.columns];
                // Weights that one query alone reads need not be stored.
                let Work { queries, key_weights, key_sums, .. } = &mut *work;
                let alone = rows > 0
                    && until - from == 1
                    && self.keys.sum_codes(self.isa, keys, &key_tables, &queries[from], key_sums);
                if !alone {
                    self.keys.look_up(self.isa, keys, &key_tables, key_weights);
                }
                // First all of the K array, then all of the V array: the weights of one at a time fit the nearest cache.
                let mut reads = std::mem::take(&mut work.reads);
                reads.clear();
                let mut done = from;
                while done < until {
                    let group = (until - done).min(TOGETHER);
                    let (_, rows) = rows_of(done + group - 1);
                    let Work { queries, key_weights, key_sums, .. } = &mut *work;
                    if rows > 0 {
                        let queries = &queries[done..done + group];
                        if !alone {
                            self.keys.sum(self.isa, key_weights, rows, queries, key_sums);
                        }
                        if let Some([keys, _]) = &store.spread {
                            let cells = first_row * self.d_padded..(first_row + rows) * self.d_padded;
                            key_sums.add_spread(self.isa, [&keys[0][cells.clone()], &keys[1][cells]], queries);
                        }
                        let first = reads.len();
                        reads.extend((done..done + group).map(|query| {
                            let (newest, age) = (newest + query, self.age_of_tile(tile, newest + query));
                            let later = newest as f32 - middle as f32;
                            let drift = [self.keys.cells(), self.values.cells()].map(|cells| cells.drift(age, later));
                            let occupied = rows_of(query).0.min(rows);
                            TileRead { query, token: token + query, newest, tile, occupied, later, drift }
                        }));
                        self.finish_keys(store, &reads[first..], rows, work, kept.as_mut());
                    }
                    done += group;
                }
                if !alone {
                    self.values.look_up(self.isa, values, self.columns, &value_tables, &mut work.weights);
                }
                let codes = alone.then_some((values, &value_tables));
                reads.chunks(TOGETHER).for_each(|reads| self.read_values(store, reads, codes, work));
                work.reads = reads;
            }
        }
    }

    /// Whether weights of one age do not serve the whole run of slots of a token with the slot `newest` among `occupied` ones: of a tile
    /// that holds slots as young as cells that still come to rest, or both the youngest slots and the oldest.
    fn changes_within_a_run(&self, tile: usize, newest: usize, full: bool) -> bool {
        let window = self.budget.window;
        let (start, end) = (tile * self.tile_tokens, ((tile + 1) * self.tile_tokens).min(window));
        if full && (start..end - 1).contains(&newest) {
            return true;
        }
        // The newest slot's run and the one before; before the first slot comes the last.
        let (from, to) = (newest / RUN * RUN, newest / RUN * RUN + RUN);
        let meets = |from: usize, to: usize| start < to && from < end;
        let young =
            meets(from.saturating_sub(RUN), to) || from < RUN && meets(window.saturating_sub(RUN - from), window);
        young && (self.keys.cells().young_bend || self.values.cells().young_bend)
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
}
