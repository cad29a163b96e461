//! The first product: queries against the columns of the K array.
//!
//! A column has one age, so the weights of its cells are looked up from one table of 8 levels. Codes lie so that a lookup
//! of two slots' tables gives weights in the order in which queries are multiplied with them.

use super::aligned::Aligned;
use super::cells::{CellFactors, ColumnSums, Places, Scales, drifted};
use super::curve::{Curve, Steps};
use super::lanes::{Machine, Vectorized, nearest};
use super::pairs::bow;
use super::simd::{Isa, LANES, key_place};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::quantize::to_level;

/// Points of the converter's curve.
const CURVE_POINTS: usize = 1025;
/// Entries of what drives the V array over S: a step is 0.025 % of full scale.
pub const DRIVE_ENTRIES: usize = 4096;
/// Integers of a full pulse: 64 rows of wide products fit an `i32`, 16 of narrow ones an `i16`.
const FULL_WIDE: f64 = 3840.0;
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
    /// A row's width, share of edges, width and tau, width squared, bow; by code of Q.
    parts: [[f32; 16]; 5],
    cancelled_per_width: f32,
    cancelled: f32,
    curve: Curve<CURVE_POINTS>,
    phi_levels: Option<u32>,
    d: f32,
}

/// What drives a row of the V array, by S: see [`super::values::ValueFactors::drives`].
pub type Drives = Steps<u32, DRIVE_ENTRIES>;

/// A query made ready: integers by dimension, whole octets of them, and sums.
#[derive(Debug, Clone, Default)]
pub struct Query {
    wide: Vec<i16>,
    narrow: Vec<u8>,
    bows: Vec<u8>,
    edges: Vec<u8>,
    /// Sums of the parts.
    parts: [f32; 5],
    /// Dimensions with a pulse.
    on: f32,
}

/// Weights of a tile's slots.
#[derive(Debug, Default)]
pub struct KeyWeights {
    current: Aligned<i16>,
    conductance: Aligned<i8>,
    edge: Aligned<i8>,
    /// The current in narrow integers, for pairs of cells.
    coarse: Aligned<i8>,
}

/// Sums of some queries over a tile's slots, shape (queries, slots).
#[derive(Debug, Default)]
pub struct KeySums {
    current: Aligned<i32>,
    conductance: Aligned<i32>,
    edge: Aligned<i32>,
    /// Of the current and the conductance, by bows.
    bowed: [Aligned<i32>; 2],
    /// Of a die's cells beside the nominal ones.
    deltas: [Aligned<i32>; 2],
}

impl Query {
    /// Dimensions with a pulse.
    pub fn on(&self) -> f32 {
        self.on
    }
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
            parts: [[0.0; 16]; 5],
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
            for (part, value) in factors.parts.iter_mut().zip([pulse, share, pulse + tau, pulse * pulse, bow]) {
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
    pub fn prepare(&self, codes: &[u8], query: &mut Query) {
        let of = |code: &u8| usize::from(*code & 15);
        query.wide.clear();
        query.wide.extend(codes.iter().map(|code| self.wide[of(code)]));
        query.narrow.clear();
        query.narrow.extend(codes.iter().map(|code| self.narrow[of(code)]));
        query.bows.clear();
        query.bows.extend(codes.iter().map(|code| self.bows[of(code)]));
        query.edges.clear();
        query.edges.extend(codes.iter().map(|code| self.edges[of(code)]));
        let sum = |table: &[f32; 16]| codes.iter().fold(0.0, |sum, code| sum + table[of(code)]);
        query.on = codes.iter().filter(|code| **code > 0).count() as f32;
        query.parts = [0, 1, 2, 3, 4].map(|part| sum(&self.parts[part]));
    }

    /// The sums over a column of its levels' rests, see [`CellFactors`], from its codes.
    pub fn rest(&self, codes: &[u8]) -> [f32; 3] {
        codes.iter().fold([0.0; 3], |sums, code| {
            let rest = self.cells.rest[usize::from(code & 7)];
            [sums[0] + rest[0], sums[1] + rest[1], sums[2] + rest[2]]
        })
    }

    /// The factors of the cells.
    pub fn cells(&self) -> &CellFactors {
        &self.cells
    }

    /// Looks up weights of whole lanes of slots, from their codes and the places of their ages.
    pub fn look_up(&self, isa: Isa, codes: &[u8], ages: &Places, weights: &mut KeyWeights) {
        let slots = ages.len();
        weights.current.resize(codes.len());
        weights.conductance.resize(codes.len());
        isa.expand_wide_keys(codes, &ages.of(&self.cells.current)[..slots], &mut weights.current);
        isa.expand_narrow_keys(codes, &ages.of(&self.cells.conductance)[..slots], &mut weights.conductance);
        if !self.cells.edge.is_empty() {
            weights.edge.resize(codes.len());
            isa.expand_narrow_keys(codes, &ages.of(&self.cells.edge)[..slots], &mut weights.edge);
        }
        if let Some(pairs) = &self.cells.pairs {
            weights.coarse.resize(codes.len());
            isa.expand_narrow_keys(codes, &ages.of(&pairs.current)[..slots], &mut weights.coarse);
        }
    }

    /// The sums of these queries over the first `slots` slots of the weights.
    pub fn sum<const QUERIES: usize>(
        &self,
        isa: Isa,
        weights: &KeyWeights,
        slots: usize,
        queries: [&Query; QUERIES],
        spread: Option<[&[i16]; 2]>,
        sums: &mut KeySums,
    ) {
        let cells = slots * queries[0].wide.len();
        sums.current.resize(QUERIES * slots);
        isa.dot_wide(&weights.current[..cells], queries.map(|query| query.wide.as_slice()), &mut sums.current);
        for (weights, out) in spread.into_iter().flatten().zip(&mut sums.deltas) {
            out.resize(QUERIES * slots);
            isa.dot_wide(&weights[..cells], queries.map(|query| query.wide.as_slice()), out);
        }
        let narrow = queries.map(|query| query.narrow.as_slice());
        sums.conductance.resize(QUERIES * slots);
        isa.dot_narrow(&weights.conductance[..cells], narrow, &mut sums.conductance);
        if !self.cells.edge.is_empty() {
            let edges = queries.map(|query| query.edges.as_slice());
            sums.edge.resize(QUERIES * slots);
            isa.dot_narrow(&weights.edge[..cells], edges, &mut sums.edge);
        }
        if self.cells.pairs.is_some() {
            let bows = queries.map(|query| query.bows.as_slice());
            for (weights, out) in [&weights.coarse, &weights.conductance].into_iter().zip(&mut sums.bowed) {
                out.resize(QUERIES * slots);
                isa.dot_narrow(&weights[..cells], bows, out);
            }
        }
    }
}

/// Where the code of a slot of eight and a dimension lies, and what is added to it.
pub fn place(slot: usize, dimension: usize) -> (usize, u8) {
    (key_place(slot, dimension), 8 * (slot % 2) as u8)
}

/// From sums to S and to what drives the V array, for the slots of one tile and one query.
pub struct KeyPass<'a> {
    pub factors: &'a KeyFactors,
    pub sums: &'a KeySums,
    /// Where the query's sums start.
    pub from: usize,
    pub query: &'a Query,
    /// Rests of the slots, as [`KeyFactors::rest`] gives them.
    pub rests: [&'a [f32]; 3],
    /// Age of the first slot, below 0 where that was written a window before, and the window.
    pub age: f32,
    pub window: f32,
    /// The current's change between the query and the age of the weights: [`CellFactors::drift`].
    pub drift: [f32; 3],
    pub later: f32,
    pub drives: &'a Drives,
    /// Whether cells differ from nominal ones, so that the sums of their differences were taken.
    pub differ: bool,
    /// A die's converters of these slots: gain, offset in units of S.
    pub spread: Option<[&'a [f32]; 2]>,
    /// Normal numbers and their standard deviation in units of S.
    pub noise: Option<(&'a [f32], f32)>,
    /// Outputs, whole lanes of slots: S, what the converter sees of it, and its place in [`Drives`].
    pub s: &'a mut [f32],
    pub seen: &'a mut [f32],
    pub places: &'a mut [i32],
}

impl Vectorized for KeyPass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let cells = &self.factors.cells;
        let query = self.query;
        let [width, share, lengthened, squares, bows] = query.parts;
        let constant = self.factors.cancelled + self.factors.cancelled_per_width * width + cells.constant * share;
        let swing_constant = cells.swing_rest[0] * width;
        // The rest belongs to rows with a pulse; of a column it is taken as spread evenly over its rows.
        let share = share / self.factors.d;
        let drift = [self.drift[0] * lengthened, self.drift[1], self.drift[2]];
        let swinging = if lengthened > 0.0 { width / lengthened } else { 1.0 };
        let lane = m.load(&std::array::from_fn(|lane| lane as f32));
        let blocks = self.s.as_chunks_mut::<LANES>().0.iter_mut().zip(self.places.as_chunks_mut::<LANES>().0);
        let blocks = blocks.zip(self.seen.as_chunks_mut::<LANES>().0);
        let [rests, changes, missed] = self.rests.map(|rests| rests.as_chunks::<LANES>().0);
        let blocks = blocks.zip(rests.iter().zip(changes).zip(missed));
        // What the drift misses is spread over the rows as well.
        let missing = self.later * lengthened / self.factors.d;
        for (block, (((s, places), sees), ((rest, change), missed))) in blocks.enumerate() {
            let at = self.from + block * LANES;
            let of = |sums: &[i32]| match sums[at..].first_chunk() {
                Some(sums) => m.integers(sums),
                None => m.splat(0.0),
            };
            let age = m.sub(m.splat(self.age - (block * LANES) as f32), lane);
            let age = m.add(age, m.where_positive(m.sub(m.splat(0.0), age), m.splat(self.window)));
            let mut current = m.scale(of(&self.sums.current), cells.current_unit);
            let rest = m.add_product(m.load(rest), m.load(change), age);
            if self.differ {
                let [constant, slope] = &self.sums.deltas;
                let aged = m.scale(age, cells.current_unit / self.window);
                current = m.add_product(current, of(constant), m.splat(cells.current_unit));
                current = m.add_product(current, of(slope), aged);
            }
            let swing = m.add_product(m.splat(swing_constant), of(&self.sums.conductance), m.splat(cells.swing_unit));
            let swing = m.add_product(swing, current, m.splat(cells.swing_rest[1]));
            let current = drifted(m, current, swing, drift);
            let current = m.add_product(current, m.load(missed), m.splat(missing));
            let mut charge = m.add(current, m.add_product(m.splat(constant), rest, m.splat(share)));
            if !cells.edge.is_empty() {
                charge = m.add_product(charge, of(&self.sums.edge), m.splat(cells.edge_unit));
            }
            let bowed = cells.pairs.as_ref().map(|pairs| {
                cells.bowed(m, [of(&self.sums.bowed[0]), of(&self.sums.bowed[1])], pairs.current_unit, bows)
            });
            let current = m.scale(current, swinging);
            let widths = [width, squares, bows];
            let product = cells.swung(m, ColumnSums { charge, current, swing, bowed, widths });
            m.store(s, product);
            let mut seen = product;
            let part = |values: &[f32]| match values[block * LANES..].first_chunk() {
                Some(values) => m.load(values),
                None => m.splat(0.0),
            };
            if let Some([gain, offset]) = self.spread {
                seen = m.add_product(part(offset), seen, part(gain));
            }
            if let Some((normals, sigma)) = self.noise {
                seen = m.add_product(seen, part(normals), m.splat(sigma));
            }
            m.store(sees, seen);
            *places = self.drives.places(m, seen);
        }
    }
}
