//! The second product: pulses of one query against the rows of the V array.
//!
//! A row has one age and one pulse for all its cells, so its weights are looked up from one table of 8 levels.

use super::aligned::Aligned;
use super::cells::{CellFactors, NEGLIGIBLE, Scales};
use super::curve::{Curve, Steps};
use super::keys::{Drives, KeyFactors};
use super::lanes::{Machine, Vectorized, nearest, word};
use super::pairs::bow;
use super::reads::{Aging, ReadNoise, TileRead, by_widths_and_bows, each_of};
use super::response::{RawSums, Response, Widths, current_of, lanes_of, varied};
use super::simd::{Factors, Isa, LANES, Looked, Tables, Totals, WIDE_ROWS};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::options::Counter;

/// Integers of a full pulse, and the greatest weight: [`WIDE_ROWS`] rows of wide products fit an `i32`.
const FULL_WIDE: f32 = 4095.0;
const GREATEST_WIDE: f64 = 8000.0;
const FULL_NARROW: f32 = 31.0;
/// The longest pulse, in full ones, for which that holds.
const LONGEST: f64 = 1.02;
/// Points of the converter's curve, which is steep at its dead zone.
const CURVE_POINTS: usize = 4097;

/// The V array, taken apart.
#[derive(Debug, Clone)]
pub struct ValueFactors {
    cells: CellFactors,
    cancelled_per_phi: f32,
    cancelled: f32,
    curve: Curve<CURVE_POINTS>,
    /// The count over A; none if outputs are not counted.
    counts: Option<Steps<CURVE_POINTS>>,
}

/// Weights of a tile's rows.
#[derive(Debug, Default)]
pub struct ValueWeights {
    current: Aligned<i16>,
    conductance: Aligned<i8>,
    /// High bytes of the current, for pairs of cells.
    coarse: Aligned<i8>,
    edge: Aligned<i8>,
}

/// A tile's pulses for one query, as integers, and their sums.
#[derive(Debug, Default)]
pub struct Pulses {
    pub wide: Vec<i16>,
    pub narrow: Vec<u8>,
    pub bows: Vec<u8>,
    pub edge: Vec<u8>,
    /// `wide` times the row's age as a share of the window, on a die.
    pub aged: Vec<i16>,
    /// Sums of phi and of the shares of edges.
    pub phi: f32,
    pub shares: f32,
    pub response: Response,
}

/// A tile's sums for some queries, shape (queries, columns).
#[derive(Debug, Default)]
pub struct Sums {
    /// In parts of [`WIDE_ROWS`] rows: shape (queries, parts, columns).
    pub current: Aligned<i32>,
    /// By widths, and then by bows if pairs are told apart.
    pub conductance: Aligned<i32>,
    pub edge: Aligned<i32>,
    /// Of the current's high bytes by bows.
    pub coarse: Aligned<i32>,
    /// Of a die's cells beside the nominal ones, in parts too.
    pub deltas: [Aligned<i32>; 2],
}

impl ValueFactors {
    /// Takes the table's V array apart; `greatest_phi` is the longest pulse that can drive it.
    pub fn new(model: &TableModel, budget: &Budget, greatest_phi: f64) -> Result<Self, Refusal> {
        let rows = budget.tile_rows.div_ceil(LANES) * LANES;
        let scales = Scales {
            full_wide: f64::from(FULL_WIDE),
            greatest_wide: GREATEST_WIDE,
            full_narrow: f64::from(FULL_NARROW),
            greatest_narrow: (f64::from(i16::MAX) / (rows as f64 / 2.0 * f64::from(FULL_NARROW))).floor().min(127.0),
        };
        if scales.greatest_narrow < 8.0 {
            return Err(Refusal::new(format!("{rows} rows a tile are more than its integers allow")));
        }
        let converter = model.converter(Array::V);
        let (unit_c, t_max_s) = (converter.charge_per_unit_c(), model.t_max_s());
        let cells = CellFactors::new(model, Array::V, budget, budget.tile_rows, scales, NEGLIGIBLE)?;
        let longest = greatest_phi + f64::from(cells.tau.iter().fold(0.0, |most: f32, tau| most.max(*tau)));
        if longest > LONGEST {
            return Err(Refusal::new(format!("pulses of {longest:.3} full lengths are more than its integers allow")));
        }
        let curve: Curve<CURVE_POINTS> = converter
            .tabulated()
            .ok_or_else(|| Refusal::new("the second converter's curve bends too sharply for a table"))?;
        let counts = match budget.counter {
            Counter::Exact => None,
            counter => Steps::new(|a| Some(counter.code(curve.at_one(a)) as u32), curve.span()),
        };
        Ok(ValueFactors {
            cells,
            cancelled_per_phi: (converter.cancelled_a() * t_max_s / unit_c) as f32,
            cancelled: (converter.cancelled_c() / unit_c) as f32,
            curve,
            counts,
        })
    }

    /// Sums that a column takes: wide ones, narrow ones.
    pub fn sums(&self) -> [usize; 2] {
        let cells = &self.cells;
        let wanted = [!cells.edge.is_empty(), cells.pairs.is_some(), cells.pairs.is_some()];
        [1, 1 + wanted.into_iter().map(usize::from).sum::<usize>()]
    }

    /// Looks up weights of whole lanes of rows, from their codes and the tables of their ages.
    pub fn look_up(&self, isa: Isa, codes: &[u8], columns: usize, tables: &Tables, weights: &mut ValueWeights) {
        let ValueWeights { current, coarse, conductance, edge } = weights;
        current.resize(codes.len());
        coarse.resize(codes.len());
        conductance.resize(codes.len());
        let out = Looked { wide: &mut *current, coarse: &mut *coarse, narrow: &mut *conductance };
        isa.expand_values(codes, columns, tables, out);
        if !tables.edges.is_empty() {
            edge.resize(codes.len());
            isa.expand_narrow(codes, columns, tables.edges, edge);
        }
    }

    /// The sums of one query, as [`ValueFactors::sum`] gives them, straight from codes; `false` where that cannot be done.
    pub fn sum_codes(
        &self,
        isa: Isa,
        codes: &[u8],
        columns: usize,
        tables: &Tables,
        pulses: &Pulses,
        sums: &mut Sums,
    ) -> bool {
        let Sums { current, conductance, edge, coarse, .. } = sums;
        current.resize(columns);
        conductance.resize(2 * columns);
        coarse.resize(columns);
        edge.resize(if tables.edges.is_empty() { 0 } else { columns });
        let f = Factors { wide: &pulses.wide, narrow: &pulses.narrow, bows: &pulses.bows, edges: &pulses.edge };
        let out = Totals { wide: current, narrow: conductance, coarse, edges: edge };
        isa.sums_of_values(codes, columns, tables, &f, out)
    }

    /// What drives a row, over S: a word of the pulse as a wide integer and as a narrow one, the share of edges and the bow.
    pub fn drives(&self, keys: &KeyFactors) -> Result<Drives, Refusal> {
        let fields = |s: f64| {
            let phi = keys.phi(s) as f32;
            if phi <= 0.0 {
                return [0; 4];
            }
            let [tau, share] = self.cells.drive(phi);
            // Edges may take all of the shortest pulses.
            let [wide, narrow, share] =
                [(phi + tau) * FULL_WIDE, phi * FULL_NARROW, share * FULL_NARROW].map(|x| nearest(x).max(0) as u32);
            [wide, narrow, share, u32::from(bow(narrow as u8, FULL_NARROW as u8))]
        };
        Drives::new(|s| word(fields(s)), keys.span()).ok_or_else(|| Refusal::new("pulses are longer than its words"))
    }

    /// A query's pulses for a tile from those words, of whole lanes of rows; of a die, weighted by age too.
    pub fn drive(&self, isa: Isa, driven: &[u32], aging: Option<Aging>, pulses: &mut Pulses) {
        let Pulses { wide, narrow, bows, edge, aged, .. } = &mut *pulses;
        wide.resize(driven.len(), 0);
        [narrow, bows, edge].into_iter().for_each(|bytes| bytes.resize(driven.len(), 0));
        aged.resize(if aging.is_some() { driven.len() } else { 0 }, 0);
        isa.run(PulsePass { cells: &self.cells, driven, aging, pulses });
    }

    /// The factors of the cells.
    pub fn cells(&self) -> &CellFactors {
        &self.cells
    }

    /// Sums a tile's products for at most [`super::keys::TOGETHER`] queries, whose pulses are of equal rows.
    pub fn sum(&self, isa: Isa, weights: &ValueWeights, columns: usize, pulses: &[Pulses], sums: &mut Sums) {
        let count = pulses.len();
        let Some(rows) = pulses.first().map(|pulses| pulses.wide.len()) else { return };
        let (cells, parts) = (rows * columns, rows.div_ceil(WIDE_ROWS) * columns);
        let wide = each_of(pulses, |pulses| &pulses.wide);
        sums.current.resize(count * parts);
        isa.sums_wide(&weights.current[..cells], columns, &wide[..count], &mut sums.current);
        if !self.cells.edge.is_empty() {
            sums.edge.resize(count * columns);
            let edges = each_of(pulses, |pulses| &pulses.edge);
            isa.sums_narrow(&weights.edge[..cells], columns, &edges[..count], &mut sums.edge);
        }
        let narrow = each_of(pulses, |pulses| &pulses.narrow);
        let conductance = &weights.conductance[..cells];
        if self.cells.pairs.is_none() {
            sums.conductance.resize(count * columns);
            isa.sums_narrow(conductance, columns, &narrow[..count], &mut sums.conductance);
            return;
        }
        let bows = each_of(pulses, |pulses| &pulses.bows);
        let both = by_widths_and_bows(&narrow[..count], &bows[..count]);
        sums.conductance.resize(2 * count * columns);
        isa.sums_narrow(conductance, columns, &both[..2 * count], &mut sums.conductance);
        sums.coarse.resize(count * columns);
        isa.sums_narrow(&weights.coarse[..cells], columns, &bows[..count], &mut sums.coarse);
    }
}

impl Sums {
    /// Adds the sums of what a die's cells differ by: constants, and slopes by aged pulses.
    pub fn add_spread(&mut self, isa: Isa, [constant, slope]: [&[i16]; 2], columns: usize, pulses: &[Pulses]) {
        let parts = constant.len().div_ceil(WIDE_ROWS * columns) * columns;
        let (wide, aged) = (each_of(pulses, |pulses| &pulses.wide), each_of(pulses, |pulses| &pulses.aged));
        for (weights, f, out) in [(constant, wide, 0), (slope, aged, 1)] {
            self.deltas[out].resize(pulses.len() * parts);
            isa.sums_wide(weights, columns, &f[..pulses.len()], &mut self.deltas[out]);
        }
    }
}

/// Words to integers, and the sums over all.
struct PulsePass<'a> {
    cells: &'a CellFactors,
    driven: &'a [u32],
    aging: Option<Aging>,
    pulses: &'a mut Pulses,
}

impl Vectorized for PulsePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let Pulses { wide, narrow, bows, edge, aged, response, phi, shares } = self.pulses;
        // Of one length, which loops need not find out: the lengths were stored just before.
        let rows = self.driven.len();
        let (wide, narrow) = (wide[..rows].as_chunks_mut().0, narrow[..rows].as_chunks_mut().0);
        let (bows, edge) = (bows[..rows].as_chunks_mut().0, edge[..rows].as_chunks_mut().0);
        // Integers below 2^24, so that any order of adding gives the same.
        let none = m.splat(0.0);
        let (mut lengthened, mut width, mut share, mut bow, mut square) = (none, none, none, none, none);
        for (block, words) in self.driven.as_chunks::<LANES>().0.iter().enumerate() {
            let narrow = [&mut narrow[block], &mut edge[block], &mut bows[block]];
            let [wide, narrow, edge, bows] = m.split(words, &mut wide[block], narrow);
            if let Some(aging) = self.aging {
                let whole = m.to_integers(m.mul(wide, aging.shares(m, block * LANES)));
                let aged = &mut aged.as_chunks_mut::<LANES>().0[block];
                aged.iter_mut().zip(whole).for_each(|(to, whole)| *to = whole as i16);
            }
            lengthened = m.add(lengthened, wide);
            width = m.add(width, narrow);
            share = m.add(share, edge);
            bow = m.add(bow, bows);
            square = m.add_product(square, narrow, narrow);
        }
        let (lengthened, width) = (m.total(lengthened) / FULL_WIDE, m.total(width) / FULL_NARROW);
        let (squares, bows) = (m.total(square) / (FULL_NARROW * FULL_NARROW), m.total(bow) / FULL_NARROW);
        (*phi, *shares) = (width, m.total(share) / FULL_NARROW);
        *response = Response::new(self.cells, Widths { width, lengthened, rounded: lengthened, squares, bows });
    }
}

/// From sums to counted outputs of one tile and some queries.
pub struct ValuePass<'a> {
    pub factors: &'a ValueFactors,
    pub sums: &'a Sums,
    pub columns: usize,
    pub reads: &'a [TileRead],
    /// By read.
    pub pulses: &'a [Pulses],
    /// Whether cells differ from nominal ones, so that the sums of their differences were taken.
    pub differ: bool,
    /// A die's converters of these columns: gain, offset in units of A.
    pub spread: Option<[&'a [f32]; 2]>,
    pub noise: Option<ReadNoise<'a>>,
    /// Counts so far, by query of the run and column, to which this tile's are added.
    pub counts: &'a mut [f32],
}

impl<'a> Vectorized for ValuePass<'a> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let ValueFactors { cells, curve, counts: table, .. } = self.factors;
        let Sums { current, conductance, edge, coarse, deltas } = self.sums;
        let (columns, count) = (self.columns, self.reads.len());
        let row = |sums: &'a [i32], row: usize| lanes_of(sums, row * columns, columns);
        let parts = current.len() / (count * columns);
        for (number, (read, pulses)) in self.reads.iter().zip(self.pulses).enumerate() {
            let (response, drifted) = (&pulses.response, pulses.response.drifted(read.drift[1]));
            let constant =
                self.factors.cancelled + self.factors.cancelled_per_phi * pulses.phi + cells.constant * pulses.shares;
            let whole = row(current, number * parts);
            // What is not summed has a factor of 0: any numbers do.
            let or_whole = |sums: &'a [i32], number| if sums.is_empty() { whole } else { row(sums, number) };
            let bowed = if cells.pairs.is_some() { row(conductance, count + number) } else { whole };
            let bowed = or_whole(coarse, number).iter().zip(bowed);
            let sums = whole.iter().zip(row(conductance, number)).zip(bowed).zip(or_whole(edge, number));
            let noise = self.noise.map(|noise| noise.of(number, columns, pulses.shares));
            let counts = &mut self.counts[read.query * columns..(read.query + 1) * columns];
            let blocks = counts.as_chunks_mut::<LANES>().0.iter_mut().zip(sums);
            for (block, (counts, (((first, conductance), (coarse, bowed)), edge))) in blocks.enumerate() {
                let mut sums = RawSums {
                    current: m.integers(first),
                    conductance: m.integers(conductance),
                    coarse: m.integers(coarse),
                    bowed_conductance: m.integers(bowed),
                };
                let mut add = |row: &[[i32; LANES]]| sums.current = m.add(sums.current, m.integers(&row[block]));
                (1..parts).for_each(|part| add(row(current, number * parts + part)));
                if self.differ {
                    for deltas in deltas {
                        (0..parts).for_each(|part| add(row(deltas, number * parts + part)));
                    }
                }
                let current = current_of(m, drifted, &sums);
                let charge = m.add(current, m.splat(constant));
                let charge = m.add_product(charge, m.integers(edge), m.splat(cells.edge_unit));
                let mut product = response.charge(m, charge, current, &sums);
                if self.spread.is_some() || noise.is_some() {
                    product = varied(m, product, self.spread, noise, block);
                }
                let counted = match table {
                    Some(table) => m.integers(&table.at(m, product).map(|count| count as i32)),
                    None => m.limit(curve.at(m, product), -1.0, 1.0),
                };
                m.store(counts, m.add(m.load(counts), counted));
            }
        }
    }
}
