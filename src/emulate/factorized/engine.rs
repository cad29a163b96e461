//! The engine: a head's stored codes, and queries on them tile by tile.

use super::cells::{Places, RUN};
use super::keys::{self, Drives, KeyFactors, KeyPass, KeySums, KeyWeights, Query};
use super::levels::Levelled;
use super::noise::{Normals, Read};
use super::simd::{Isa, LANES, column_place, wide_key_place};
use super::spread::HeadSpread;
use super::values::{Pulses, Sums, ValueFactors, ValuePass, ValueWeights};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::options::Options;
use crate::error::{Error, Kind, Problem, Result};

/// Queries that read the K array together.
const TOGETHER: usize = 2;
/// Excess over a range that is rounding of single precision, and clipped; beyond it a value is refused.
const RANGE_SLACK: f64 = 1e-6;

/// A table and its options, taken apart: attention of one head dimension, of many heads, at the price of ideal attention.
///
/// Stored values need 2 to 8 levels and Q 2 to 16; cells, converters and spread are those of the [`TableModel`], evaluated by
/// sums of integers. How near that is, and what is approximated, stands in the module's own notes: phi within 0.1 % of
/// full scale on characterized tables.
#[derive(Debug, Clone)]
pub struct Factorized {
    isa: Isa,
    keys: KeyFactors,
    values: ValueFactors,
    drives: Drives,
    budget: Budget,
    d: usize,
    /// Dimensions in whole octets, columns in whole vectors, slots of a tile in whole lanes.
    d_padded: usize,
    columns: usize,
    rows: usize,
    tile_tokens: usize,
    vdd_v: f64,
    step: f64,
    /// By head; none for nominal cells.
    spreads: Vec<HeadSpread>,
    noise: Option<(Normals, Sigmas)>,
}

/// Standard deviations in units of S and A: of a cell with a pulse, and of the converter.
#[derive(Debug, Clone, Copy)]
struct Sigmas {
    k: [f32; 2],
    v: [f32; 2],
}

/// The codes of one head's cells.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// Shape (tiles, octets of slots, octets of dimensions, 64) in the order of [`keys::place`]; odd slots 8 more.
    keys: Vec<u8>,
    /// Shape (tiles, row pairs, columns, 2), columns in the order of [`column_place`]; odd rows 8 more.
    values: Vec<u8>,
    /// What is left over of each K column's edges, and its change per token, by padded slot.
    rests: [Vec<f32>; 2],
    /// The head that these cells are.
    head: usize,
    /// Of a die, both numbers of [`HeadSpread`] for what is stored: K in the order of weights, V of shape (tiles, row pairs,
    /// columns, 2).
    spread: Option<[[Vec<i16>; 2]; 2]>,
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
    driven: Vec<u32>,
    weights: ValueWeights,
    pulses: Pulses,
    sums: Sums,
    words: Vec<f32>,
    normals: [Vec<f32>; 2],
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
        let columns = d.div_ceil(16) * 16;
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
            let k = [of(noise.sigma_cell_c), of(noise.sigma_unsigned_c)];
            (Normals::new(noise.seed), Sigmas { k, v: [k[0], of(noise.sigma_signed_c)] })
        });
        Ok(Factorized {
            spreads,
            noise,
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

    fn tiles(&self) -> usize {
        self.budget.window.div_ceil(self.tile_tokens)
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

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
        T::codes(self.isa, k_v, self.vdd_v, levels, codes);
        let block = &mut store.keys[row / LANES * LANES * self.d_padded..][..LANES * self.d_padded];
        // Four dimensions of a slot lie side by side.
        for (quad, codes) in codes.chunks(4).enumerate() {
            let (at, odd) = keys::place(row % LANES, 4 * quad);
            block[at..at + codes.len()].iter_mut().zip(codes).for_each(|(to, code)| *to = code + odd);
        }
        let [rest, change] = self.keys.rest(codes);
        (store.rests[0][row], store.rests[1][row]) = (rest, change);
        let spread = store.spread.as_mut().zip(self.spreads.get(store.head));
        if let Some(([keys, _], spread)) = spread {
            let first = row / LANES * LANES * self.d_padded;
            for (dimension, code) in codes.iter().enumerate() {
                let numbers = spread.k[slot * spread.d + dimension][usize::from(*code)];
                let at = first + wide_key_place(row % LANES, dimension);
                keys.iter_mut().zip(numbers).for_each(|(to, number)| to[at] = number);
            }
        }
        T::codes(self.isa, v_v, self.vdd_v, levels, codes);
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
            let ages = Places::new(self.keys.cells(), first_slot, rows, last, middle);
            self.values.look_up(self.isa, values, self.columns, &ages, &mut work.weights);
            self.keys.look_up(self.isa, keys, &ages, &mut work.key_weights);
            let mut done = 0;
            while done < count {
                let group = (count - done).min(TOGETHER);
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
                    };
                    self.finish(store, &read, work);
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

    /// From the sums of one query over one tile to its counts.
    fn finish(&self, store: &Store, read: &TileRead, work: &mut Work) {
        let TileRead { query, from, tile, occupied, rows, later, .. } = *read;
        let Work { queries, key_sums, s, seen, driven, weights, pulses, sums, counts, words, normals, .. } = work;
        let (first_row, first_column) = (tile * self.rows, tile * self.columns);
        s.resize(rows, 0.0);
        seen.resize(rows, 0.0);
        driven.resize(rows, 0);
        if let Some((source, _)) = &self.noise {
            let of = |array: usize| Read {
                head: store.head as u32,
                token: read.token as u32,
                array: (2 * tile + array) as u32,
            };
            normals[0].resize(rows, 0.0);
            normals[1].resize(self.columns, 0.0);
            source.fill(self.isa, of(0), words, &mut normals[0]);
            source.fill(self.isa, of(1), words, &mut normals[1]);
        }
        let spread = self.spreads.get(store.head);
        let slots = first_row..first_row + rows;
        let sigma = |[cell, converter]: [f32; 2], on: f32| (on * cell * cell + converter * converter).sqrt();
        self.isa.run(KeyPass {
            factors: &self.keys,
            sums: key_sums,
            from,
            query: &queries[query],
            rests: [&store.rests[0][slots.clone()], &store.rests[1][slots.clone()]],
            age: read.newest as f32 - (tile * self.tile_tokens) as f32,
            window: self.budget.window as f32,
            later,
            occupied,
            drives: &self.drives,
            spread: spread.map(|spread| [&spread.unsigned[0][slots.clone()], &spread.unsigned[1][slots.clone()]]),
            noise: self.noise.as_ref().map(|(_, of)| (normals[0].as_slice(), sigma(of.k, queries[query].on()))),
            s,
            seen,
            driven,
        });
        self.values.drive(self.isa, driven, pulses);
        let deltas = store.spread.as_ref().map(|[_, values]| {
            let ages = (0..rows).map(|row| {
                let slot = tile * self.tile_tokens + row;
                if slot <= read.newest { read.newest - slot } else { read.newest + self.budget.window - slot }
            });
            self.values.age_pulses(ages, self.budget.window, pulses);
            let cells = first_row * self.columns..(first_row + rows) * self.columns;
            [&values[0][cells.clone()], &values[1][cells]]
        });
        self.values.sum(self.isa, weights, self.columns, pulses, deltas, sums);
        let columns = first_column..first_column + self.columns;
        self.isa.run(ValuePass {
            factors: &self.values,
            sums,
            pulses,
            later,
            spread: spread.map(|spread| [&spread.signed[0][columns.clone()], &spread.signed[1][columns]]),
            noise: self.noise.as_ref().map(|(_, of)| (normals[1].as_slice(), sigma(of.v, pulses.sums[2]))),
            counts: &mut counts[query * self.columns..(query + 1) * self.columns],
        });
    }
}

/// One query's read of one tile.
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
    /// Tokens between the query and the age of the weights.
    later: f32,
}

/// Runs of `length` values, each filled up to `whole`; values beyond the given ones are 0.
fn padded(values: &[f32], length: usize, whole: usize) -> Vec<f32> {
    let runs =
        values.chunks(length).flat_map(|run| run.iter().copied().chain(std::iter::repeat_n(0.0, whole - run.len())));
    runs.collect()
}

/// One head of a [`Factorized`] array: a ring buffer of tokens.
///
/// ```
/// use gaincell::emulate::{Factorized, FactorizedHead, Level, Options, TableModel};
/// # fn main() -> gaincell::Result<()> {
/// let table = gaincell::lut::synthetic::table()?;
/// let options = Options { level: Level::Table, window: 128, ..Options::default() };
/// let model = TableModel::new(&table, &options, Vec::new())?;
/// let array = Factorized::new(&model, &options, 64).expect("the synthetic table can be taken apart");
/// let mut head = FactorizedHead::new(&array);
/// let (mut output, token) = (vec![0.0; 64], vec![0.6f32; 64]);
/// for _ in 0..3 {
///     head.write(&token, &token)?;
///     head.attend(&token, &mut output)?;
/// }
/// assert!(output.iter().all(|x| (0.0..=2.0).contains(x)));
/// # Ok(())
/// # }
/// ```
pub struct FactorizedHead<'a> {
    array: &'a Factorized,
    store: Store,
    work: Work,
    tokens: usize,
}

impl<'a> FactorizedHead<'a> {
    /// An empty head.
    pub fn new(array: &'a Factorized) -> Self {
        FactorizedHead::numbered(array, 0)
    }

    /// An empty head with the die and the noise of head `head`; the nominal cells if the array has no such die.
    pub fn numbered(array: &'a Factorized, head: usize) -> Self {
        FactorizedHead { array, store: array.store(head), work: Work::default(), tokens: 0 }
    }

    /// Writes the next token's K and V (d each) [V] over the oldest slot, at the converters' levels.
    ///
    /// Errors: [`Kind::BadInput`] for another length, NaN, or a voltage outside [0, vdd].
    pub fn write(&mut self, k_v: &[f32], v_v: &[f32]) -> Result<()> {
        let (k_v, v_v) = (self.checked("K", k_v, self.array.vdd_v)?, self.checked("V", v_v, self.array.vdd_v)?);
        let (slot, codes) = (self.tokens % self.array.window(), &mut self.work.codes);
        self.array.write(&mut self.store, slot, k_v, v_v, codes);
        self.tokens += 1;
        Ok(())
    }

    /// Slots that hold a token.
    pub fn occupied(&self) -> usize {
        self.tokens.min(self.array.window())
    }

    /// Bytes that the codes of its cells take; they do not grow with the tokens.
    pub fn bytes(&self) -> usize {
        self.store.keys.capacity() + self.store.values.capacity()
    }

    /// Attends to the stored tokens with `q` (d) in [0, 1]; writes the sum of the tiles' counts to `output` (d).
    ///
    /// Errors: [`Kind::BadInput`] for another length, NaN, a query outside [0, 1], or a head that holds no token.
    pub fn attend(&mut self, q: &[f32], output: &mut [f32]) -> Result<()> {
        let q = self.checked("Q", q, 1.0)?;
        if self.tokens == 0 || output.len() != self.array.d {
            let message = format!("{} tokens are stored, and the output has room for {}", self.tokens, output.len());
            return Err(Problem::new(Kind::BadInput, message)
                .accepted(format!("at least one token, and {} numbers", self.array.d))
                .into());
        }
        self.array.attend(&self.store, self.tokens - 1, q, &mut self.work, None);
        let step = self.array.step as f32;
        output.iter_mut().zip(&self.work.counts).for_each(|(to, count)| *to = count * step);
        Ok(())
    }

    fn checked<'x>(&self, name: &str, x: &'x [f32], full: f64) -> Result<&'x [f32]> {
        let d = self.array.d;
        if x.len() != d {
            let problem = Problem::new(Kind::BadInput, format!("{} numbers", x.len())).key(name);
            return Err(problem.accepted(format!("{d}, the head's dimension")).into());
        }
        let (low, high) = ((-RANGE_SLACK * full) as f32, (full * (1.0 + RANGE_SLACK)) as f32);
        match x.iter().position(|x| !(low..=high).contains(x)) {
            None => Ok(x),
            Some(at) => {
                let problem = Problem::new(Kind::BadInput, format!("element {at} is {}", x[at])).key(name);
                Err(Error::from(problem.accepted(format!("finite numbers from 0 to {full}"))))
            }
        }
    }
}
