//! The first product: queries against the columns of the K array.
//!
//! A column has one age, so the weights of its cells are looked up from one table of 8 levels. Codes lie so that a lookup
//! of two slots' tables gives weights in the order in which queries are multiplied with them.

use super::aligned::Aligned;
use super::cells::{CellFactors, Scales};
use super::curve::{Curve, Steps};
use super::lanes::{Machine, Vectorized, nearest};
use super::pairs::bow;
use super::reads::{Aging, ReadNoise, TileRead, by_widths_and_bows, each_of};
use super::response::{RawSums, Response, Widths, current_of, lanes_of, varied};
use super::simd::{Factors, Isa, LANES, Looked, Tables, Totals, key_place};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::quantize::to_level;

/// Points of the converter's curve.
const CURVE_POINTS: usize = 1025;
/// Entries of what drives the V array over S: a step is 0.025 % of full scale.
pub const DRIVE_ENTRIES: usize = 4096;
/// Integers of a full pulse, of which each level of Q is a whole number: 64 rows of wide products fit an `i32`, 16 of narrow ones an
/// `i16`. The fewer a pulse has, the more a weight may have, of which the upper half has a use of its own.
const FULL_WIDE: f64 = 2040.0;
const FULL_NARROW: f64 = 15.0;

/// Share of full scale over the rows from which the rest of the edges has a sum. Below, it is spread evenly over a column's rows, which
/// is off by what the few rows without a pulse have more or less than the mean.
const LEAST_EDGE: f64 = 5e-3;

/// The K array, taken apart.
#[derive(Debug, Clone)]
pub struct KeyFactors {
    cells: CellFactors,
    /// By code of Q.
    wide: [i16; 16],
    narrow: [u8; 16],
    bows: [u8; 16],
    edges: [u8; 16],
    /// A row's width, share of edges, width and tau, the same as its integer is, width squared, bow; by code of Q.
    parts: [[f32; 16]; 6],
    cancelled_per_width: f32,
    cancelled: f32,
    curve: Curve<CURVE_POINTS>,
    phi_levels: Option<u32>,
    d: f32,
}

/// Queries that read an array together.
pub const TOGETHER: usize = 4;

/// What drives a row of the V array, by S: see [`super::values::ValueFactors::drives`].
pub type Drives = Steps<DRIVE_ENTRIES>;

/// A query made ready: integers by dimension, whole octets of them, and sums.
#[derive(Debug, Clone, Default)]
pub struct Query {
    wide: Vec<i16>,
    /// Narrow integers have each four dimensions twice: see [`Isa::dot_narrow`].
    narrow: Vec<u8>,
    bows: Vec<u8>,
    edges: Vec<u8>,
    /// Sums of the widths with `tau` and of the shares of edges.
    lengthened: f32,
    share: f32,
    /// Charge of every column.
    constant: f32,
    response: Response,
    /// Dimensions with a pulse.
    on: f32,
}

/// Weights of a tile's slots.
#[derive(Debug, Default)]
pub struct KeyWeights {
    current: Aligned<i16>,
    conductance: Aligned<i8>,
    /// High bytes of the current, for pairs of cells.
    coarse: Aligned<i8>,
    edge: Aligned<i8>,
}

/// Sums of some queries over a tile's slots, shape (queries, slots).
#[derive(Debug, Default)]
pub struct KeySums {
    current: Aligned<i32>,
    /// By widths, and then by bows if pairs are told apart.
    conductance: Aligned<i32>,
    edge: Aligned<i32>,
    /// Of the current's high bytes by bows.
    coarse: Aligned<i32>,
    /// Of a die's cells beside the nominal ones.
    deltas: [Aligned<i32>; 2],
}

impl KeyFactors {
    /// Takes the table's K array apart for columns of `d` cells.
    pub fn new(model: &TableModel, budget: &Budget, d: usize) -> Result<Self, Refusal> {
        let octets = d.div_ceil(8) as f64;
        let scales = Scales {
            full_wide: FULL_WIDE,
            // A pulse may be somewhat longer than a full one, by its edges.
            greatest_wide: (f64::from(i32::MAX) / (8.0 * octets * FULL_WIDE * 1.05)).floor().min(32_000.0),
            full_narrow: FULL_NARROW,
            greatest_narrow: (f64::from(i16::MAX) / (2.0 * octets * FULL_NARROW)).floor().min(127.0),
        };
        if scales.greatest_wide < 4000.0 || scales.greatest_narrow < 16.0 {
            return Err(Refusal::new(format!("{d} rows are more than its integers allow")));
        }
        let converter = model.converter(Array::K);
        let (unit_c, t_max_s) = (converter.charge_per_unit_c(), model.t_max_s());
        let cells = CellFactors::new(model, Array::K, budget, d, scales, LEAST_EDGE)?;
        let mut factors = KeyFactors {
            wide: [0; 16],
            narrow: [0; 16],
            bows: [0; 16],
            edges: [0; 16],
            parts: [[0.0; 16]; 6],
            d: d as f32,
            cancelled_per_width: (converter.cancelled_a() * t_max_s / unit_c) as f32,
            cancelled: (converter.cancelled_c() / unit_c) as f32,
            curve: converter
                .tabulated()
                .ok_or_else(|| Refusal::new("the first converter's curve bends too sharply for a table"))?,
            phi_levels: budget.phi_levels,
            cells,
        };
        for code in 1..budget.q_levels {
            let pulse = code as f32 / (budget.q_levels - 1) as f32;
            let [tau, share] = factors.cells.drive(pulse);
            factors.wide[code] = nearest((pulse + tau) * FULL_WIDE as f32) as i16;
            factors.narrow[code] = nearest(pulse * FULL_NARROW as f32) as u8;
            factors.edges[code] = nearest(share * FULL_NARROW as f32) as u8;
            factors.bows[code] = bow(factors.narrow[code], FULL_NARROW as u8);
            let bow = f32::from(factors.bows[code]) / FULL_NARROW as f32;
            let rounded = f32::from(factors.wide[code]) / FULL_WIDE as f32;
            let parts = [pulse, share, pulse + tau, rounded, pulse * pulse, bow];
            for (part, value) in factors.parts.iter_mut().zip(parts) {
                part[code] = value;
            }
        }
        Ok(factors)
    }

    /// The span of S in which phi changes.
    pub fn span(&self) -> [f64; 2] {
        self.curve.span()
    }

    /// phi at one S, at the levels between the arrays if there are any.
    pub fn phi(&self, s: f64) -> f64 {
        let phi = self.curve.at_one(s);
        if self.phi_levels.is_some() { to_level(phi.clamp(0.0, 1.0), 1.0, self.phi_levels) } else { phi }
    }

    /// Greatest phi.
    pub fn greatest_phi(&self) -> f64 {
        self.curve.greatest()
    }

    /// Sums that a slot takes: wide ones, narrow ones.
    pub fn sums(&self) -> [usize; 2] {
        [1, 1 + usize::from(!self.cells.edge.is_empty()) + 2 * usize::from(self.cells.pairs.is_some())]
    }

    /// Makes a query ready from its codes, whole octets of them; codes of 0 fill up.
    pub fn prepare(&self, isa: Isa, codes: &[u8], query: &mut Query) {
        let Query { wide, narrow, bows, edges, .. } = &mut *query;
        wide.resize(codes.len(), 0);
        [narrow, bows, edges].into_iter().for_each(|bytes| bytes.resize(2 * codes.len(), 0));
        isa.run(QueryPass { factors: self, codes, query });
        let mut counts = [0u16; 16];
        codes.iter().for_each(|code| counts[usize::from(*code & 15)] += 1);
        let counts = counts.map(f32::from);
        let parts =
            self.parts.each_ref().map(|part| part.iter().zip(counts).fold(0.0, |sum, (part, n)| sum + part * n));
        let [width, share, lengthened, rounded, squares, bows] = parts;
        (query.lengthened, query.share, query.on) = (lengthened, share, counts[1..].iter().sum());
        query.constant = self.cancelled + self.cancelled_per_width * width + self.cells.constant * share;
        query.response = Response::new(&self.cells, Widths { width, lengthened, rounded, squares, bows });
    }

    /// The sums over a column of its levels' rests, see [`CellFactors`], from its codes.
    pub fn rest(&self, codes: &[u8]) -> [f32; 3] {
        // Counts of the 8 codes, a byte each: adding up rests themselves, each addition would wait for the one before.
        let mut sums = [0.0; 3];
        for codes in codes.chunks(usize::from(u8::MAX)) {
            let counts = codes.iter().fold(0u64, |counts, code| counts + (1 << (8 * (code & 7))));
            for (count, rest) in counts.to_le_bytes().into_iter().zip(&self.cells.rest) {
                sums.iter_mut().zip(rest).for_each(|(sum, rest)| *sum += f32::from(count) * rest);
            }
        }
        sums
    }

    /// The factors of the cells.
    pub fn cells(&self) -> &CellFactors {
        &self.cells
    }

    /// Looks up weights of whole lanes of slots, from their codes and the tables of their ages.
    pub fn look_up(&self, isa: Isa, codes: &[u8], tables: &Tables, weights: &mut KeyWeights) {
        let KeyWeights { current, coarse, conductance, edge } = weights;
        current.resize(codes.len());
        coarse.resize(codes.len());
        conductance.resize(codes.len());
        let out = Looked { wide: &mut *current, coarse: &mut *coarse, narrow: &mut *conductance };
        isa.expand_keys(codes, tables, out);
        if !tables.edges.is_empty() {
            edge.resize(codes.len());
            isa.expand_narrow_keys(codes, tables.edges, edge);
        }
    }

    /// The sums of one query over whole lanes of slots, as [`KeyFactors::sum`] gives them, straight from codes; `false` where that
    /// cannot be done.
    pub fn sum_codes(&self, isa: Isa, codes: &[u8], tables: &Tables, query: &Query, sums: &mut KeySums) -> bool {
        let slots = tables.lows.len();
        let KeySums { current, conductance, edge, coarse, .. } = sums;
        current.resize(slots);
        conductance.resize(2 * slots);
        coarse.resize(slots);
        edge.resize(if tables.edges.is_empty() { 0 } else { slots });
        let q = Factors { wide: &query.wide, narrow: &query.narrow, bows: &query.bows, edges: &query.edges };
        isa.sums_of_keys(codes, tables, &q, Totals { wide: current, narrow: conductance, coarse, edges: edge })
    }

    /// The sums of at most [`TOGETHER`] queries over the first `slots` slots of the weights.
    pub fn sum(&self, isa: Isa, weights: &KeyWeights, slots: usize, queries: &[Query], sums: &mut KeySums) {
        let count = queries.len();
        let Some(cells) = queries.first().map(|query| slots * query.wide.len()) else { return };
        let narrow = each_of(queries, |query| &query.narrow);
        let wide: [&[i16]; TOGETHER] = each_of(queries, |query| &query.wide);
        let wide = &wide[..count];
        sums.current.resize(count * slots);
        isa.dot_wide(&weights.current[..cells], wide, &mut sums.current);
        if !self.cells.edge.is_empty() {
            sums.edge.resize(count * slots);
            let edges = each_of(queries, |query| &query.edges);
            isa.dot_narrow(&weights.edge[..cells], &edges[..count], &mut sums.edge);
        }
        let conductance = &weights.conductance[..cells];
        if self.cells.pairs.is_none() {
            sums.conductance.resize(count * slots);
            isa.dot_narrow(conductance, &narrow[..count], &mut sums.conductance);
            return;
        }
        let bows = each_of(queries, |query| &query.bows);
        let both = by_widths_and_bows(&narrow[..count], &bows[..count]);
        sums.conductance.resize(2 * count * slots);
        isa.dot_narrow(conductance, &both[..2 * count], &mut sums.conductance);
        sums.coarse.resize(count * slots);
        isa.dot_narrow(&weights.coarse[..cells], &bows[..count], &mut sums.coarse);
    }
}

/// From codes to integers, for which there is room.
struct QueryPass<'a> {
    factors: &'a KeyFactors,
    codes: &'a [u8],
    query: &'a mut Query,
}

impl Vectorized for QueryPass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let KeyFactors { wide, narrow, bows, edges, .. } = self.factors;
        let Query { wide: to_wide, narrow: to_narrow, bows: to_bows, edges: to_edges, .. } = self.query;
        for (to, code) in to_wide.iter_mut().zip(self.codes) {
            *to = wide[usize::from(*code & 15)];
        }
        let octets = self.codes.as_chunks::<8>().0;
        for (table, to) in [(narrow, to_narrow), (bows, to_bows), (edges, to_edges)] {
            for (codes, to) in octets.iter().zip(to.as_chunks_mut::<LANES>().0) {
                let [a, b, c, d, e, f, g, h] = *codes;
                m.look_up(table, &[a, b, c, d, a, b, c, d, e, f, g, h, e, f, g, h], to);
            }
        }
    }
}

impl KeySums {
    /// Adds the sums of what a die's cells differ by: constants and slopes of whole tiles of weights.
    pub fn add_spread(&mut self, isa: Isa, weights: [&[i16]; 2], queries: &[Query]) {
        let wide: [&[i16]; TOGETHER] = each_of(queries, |query| &query.wide);
        for (weights, out) in weights.into_iter().zip(&mut self.deltas) {
            out.resize(queries.len() * weights.len() / queries.first().map_or(1, |query| query.wide.len()));
            isa.dot_wide(weights, &wide[..queries.len()], out);
        }
    }
}

/// Where the code of a slot of eight and a dimension lies, and what is added to it.
pub fn place(slot: usize, dimension: usize) -> (usize, u8) {
    (key_place(slot, dimension), 8 * (slot % 2) as u8)
}

/// From sums to S and to what drives the V array, for the slots of one tile and some queries.
pub struct KeyPass<'a> {
    pub factors: &'a KeyFactors,
    /// Of whole lanes of `slots` and the queries of the reads, in their order.
    pub sums: &'a KeySums,
    pub slots: usize,
    pub reads: &'a [TileRead],
    pub queries: &'a [Query],
    /// Rests of the slots, as [`KeyFactors::rest`] gives them.
    pub rests: [&'a [f32]; 3],
    /// The first slot, and the window.
    pub first_slot: usize,
    pub window: f32,
    pub drives: &'a Drives,
    /// Whether cells differ from nominal ones, so that the sums of their differences were taken.
    pub differ: bool,
    /// A die's converters of these slots: gain, offset in units of S.
    pub spread: Option<[&'a [f32]; 2]>,
    pub noise: Option<ReadNoise<'a>>,
    /// What drives the V array, by query of the run.
    pub driven: &'a mut [Vec<u32>],
    /// S and what the converter sees of it, if they are kept: by read.
    pub kept: Option<[&'a mut [f32]; 2]>,
}

impl<'a> Vectorized for KeyPass<'a> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(mut self, m: M) {
        let cells = &self.factors.cells;
        let (slots, count) = (self.slots, self.reads.len());
        let [per_window, per_dimension] = [1.0 / self.window, 1.0 / self.factors.d];
        let row = |sums: &'a [i32], number: usize| lanes_of(sums, number * slots, slots);
        let KeySums { current, conductance, edge, coarse, deltas } = self.sums;
        let [rests, changes, missed] = self.rests.map(|rests| rests.as_chunks::<LANES>().0);
        for (number, read) in self.reads.iter().enumerate() {
            let query = &self.queries[read.query];
            let (response, drifted) = (&query.response, query.response.drifted(read.drift[0]));
            // The rest belongs to rows with a pulse; of a column it is taken as spread evenly over its rows, and so is what the drift
            // misses.
            let share = query.share * per_dimension;
            let missing = read.later * query.lengthened * per_dimension;
            let aging = Aging { first: read.newest as f32 - self.first_slot as f32, window: self.window };
            let whole = row(current, number);
            // What is not summed has a factor of 0: any numbers do.
            let or_whole = |sums: &'a [i32], number| if sums.is_empty() { whole } else { row(sums, number) };
            let bowed = if cells.pairs.is_some() { row(conductance, count + number) } else { whole };
            let bowed = or_whole(coarse, number).iter().zip(bowed);
            let sums = whole.iter().zip(row(conductance, number)).zip(bowed).zip(or_whole(edge, number));
            let noise = self.noise.map(|noise| noise.of(number, slots, query.on));
            let driven = &mut self.driven[read.query];
            driven.resize(slots, 0);
            let blocks =
                driven.as_chunks_mut::<LANES>().0.iter_mut().zip(sums).zip(rests.iter().zip(changes).zip(missed));
            for (block, ((driven, (((current, conductance), (coarse, bowed)), edge)), ((rest, change), missed))) in
                blocks.enumerate()
            {
                let age = aging.ages(m, block * LANES);
                let rest = m.add_product(m.load(rest), m.load(change), age);
                let mut sums = RawSums {
                    current: m.integers(current),
                    conductance: m.integers(conductance),
                    coarse: m.integers(coarse),
                    bowed_conductance: m.integers(bowed),
                };
                if self.differ {
                    let [constant, slope] = deltas.each_ref().map(|sums| m.integers(&row(sums, number)[block]));
                    sums.current = m.add_product(m.add(sums.current, constant), slope, m.scale(age, per_window));
                }
                let current = m.add_product(current_of(m, drifted, &sums), m.load(missed), m.splat(missing));
                let charge = m.add(current, m.add_product(m.splat(query.constant), rest, m.splat(share)));
                let charge = m.add_product(charge, m.integers(edge), m.splat(cells.edge_unit));
                let product = response.charge(m, charge, current, &sums);
                let mut seen = product;
                if self.spread.is_some() || noise.is_some() {
                    seen = varied(m, product, self.spread, noise, block);
                }
                if let Some(kept) = &mut self.kept {
                    let at = number * slots / LANES + block;
                    for (kept, value) in kept.iter_mut().zip([product, seen]) {
                        m.store(&mut kept.as_chunks_mut::<LANES>().0[at], value);
                    }
                }
                *driven = self.drives.at(m, seen);
            }
            // Slots without a token drive nothing.
            if read.occupied < slots {
                driven[read.occupied..].fill(0);
            }
        }
    }
}
