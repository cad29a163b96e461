//! The second product: pulses of one query against the rows of the V array.
//!
//! A row has one age and one pulse for all its cells, so its weights are looked up from one table of 8 levels.

use super::aligned::Aligned;
use super::cells::{CellFactors, ColumnSums, NEGLIGIBLE, Places, Scales, drifted};
use super::curve::{Curve, Steps};
use super::keys::{Drives, KeyFactors};
use super::lanes::{Machine, Vectorized, nearest};
use super::pairs::bow;
use super::simd::{Isa, LANES, WIDE_ROWS};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::Array;
use crate::emulate::options::Counter;

/// Integers of a full pulse, and the greatest weight: [`WIDE_ROWS`] rows of wide products fit an `i32`.
const FULL_WIDE: f32 = 8190.0;
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
    counts: Option<Steps<i8, CURVE_POINTS>>,
}

/// Weights of a tile's rows.
#[derive(Debug, Default)]
pub struct ValueWeights {
    current: Aligned<i16>,
    conductance: Aligned<i8>,
    edge: Aligned<i8>,
    /// The current in narrow integers, for pairs of cells.
    coarse: Aligned<i8>,
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
    /// Sums of phi, of phi and tau, of the shares of edges, of phi squared and of bows.
    pub sums: [f32; 5],
}

/// A tile's sums for one query, by column.
#[derive(Debug, Default)]
pub struct Sums {
    /// In parts of [`WIDE_ROWS`] rows.
    pub current: Aligned<i32>,
    pub conductance: Aligned<i32>,
    pub edge: Aligned<i32>,
    /// Of the current and the conductance, by bows.
    pub bowed: [Aligned<i32>; 2],
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
            counter if counter.code(1.0) > i32::from(i8::MAX) => {
                return Err(Refusal::new("the counter has more levels than a byte"));
            }
            counter => Some(Steps::new(|a| counter.code(curve.at_one(a)) as i8, curve.span())),
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

    /// Looks up weights of whole lanes of rows, from their codes and the places of their ages.
    pub fn look_up(&self, isa: Isa, codes: &[u8], columns: usize, ages: &Places, weights: &mut ValueWeights) {
        weights.current.resize(codes.len());
        isa.expand_wide(codes, columns, &ages.of(&self.cells.current), &mut weights.current);
        let coarse = self.cells.pairs.as_ref().map(|pairs| (&pairs.current, &mut weights.coarse));
        let tables = [(&self.cells.conductance, &mut weights.conductance), (&self.cells.edge, &mut weights.edge)];
        for (table, out) in tables.into_iter().chain(coarse) {
            if !table.is_empty() {
                out.resize(codes.len());
                isa.expand_narrow(codes, columns, &ages.of(table), out);
            }
        }
    }

    /// What drives a row, over S: the pulse as a wide integer in the lower half of a word, as a narrow one in its third byte,
    /// and in the fourth the share of edges.
    pub fn drives(&self, keys: &KeyFactors) -> Drives {
        let word = |s: f64| {
            let phi = keys.phi(s) as f32;
            if phi <= 0.0 {
                return 0;
            }
            let [tau, share] = self.cells.drive(phi);
            let whole = |x: f32| nearest(x) as u32;
            whole((phi + tau) * FULL_WIDE) & 0xffff | whole(phi * FULL_NARROW) << 16 | whole(share * FULL_NARROW) << 24
        };
        Drives::new(word, keys.span())
    }

    /// A tile's pulses from those words, of whole lanes of rows.
    pub fn drive(&self, isa: Isa, driven: &[u32], pulses: &mut Pulses) {
        pulses.wide.resize(driven.len(), 0);
        pulses.narrow.resize(driven.len(), 0);
        pulses.bows.resize(driven.len(), 0);
        pulses.edge.resize(driven.len(), 0);
        isa.run(PulsePass { driven, pulses });
    }

    /// Weights the pulses by age, as a share of the window; for the cells of a die.
    pub fn age_pulses(&self, ages: impl Iterator<Item = usize>, window: usize, pulses: &mut Pulses) {
        let per_token = 1.0 / window as f32;
        pulses.aged.clear();
        pulses.aged.extend(
            pulses.wide.iter().zip(ages).map(|(wide, age)| nearest(f32::from(*wide) * (age as f32 * per_token)) as i16),
        );
    }

    /// Adds what is counted at the places that a [`ValuePass`] left, if outputs are counted.
    pub fn count(&self, places: &[i32], counts: &mut [f32]) {
        if let Some(table) = &self.counts {
            counts.iter_mut().zip(places).for_each(|(count, place)| *count += f32::from(table.at(*place)));
        }
    }

    /// The factors of the cells.
    pub fn cells(&self) -> &CellFactors {
        &self.cells
    }

    /// Sums a tile's products.
    pub fn sum(
        &self,
        isa: Isa,
        weights: &ValueWeights,
        columns: usize,
        pulses: &Pulses,
        spread: Option<[&[i16]; 2]>,
        sums: &mut Sums,
    ) {
        let rows = pulses.wide.len();
        let cells = rows * columns;
        sums.current.resize(rows.div_ceil(WIDE_ROWS) * columns);
        isa.sums_wide(&weights.current[..cells], columns, &pulses.wide, &mut sums.current);
        if let Some([constant, slope]) = spread {
            for (weights, f, out) in [(constant, &pulses.wide, 0), (slope, &pulses.aged, 1)] {
                sums.deltas[out].resize(rows.div_ceil(WIDE_ROWS) * columns);
                isa.sums_wide(&weights[..cells], columns, f, &mut sums.deltas[out]);
            }
        }
        let pairs = self.cells.pairs.is_some();
        let [bowed_current, bowed_conductance] = &mut sums.bowed;
        for (weights, wanted, f, out) in [
            (&weights.conductance, true, &pulses.narrow, &mut sums.conductance),
            (&weights.edge, !self.cells.edge.is_empty(), &pulses.edge, &mut sums.edge),
            (&weights.coarse, pairs, &pulses.bows, bowed_current),
            (&weights.conductance, pairs, &pulses.bows, bowed_conductance),
        ] {
            if wanted {
                out.resize(columns);
                isa.sums_narrow(&weights[..cells], columns, f, out);
            }
        }
    }
}

/// Words to integers, and the sums over all.
struct PulsePass<'a> {
    driven: &'a [u32],
    pulses: &'a mut Pulses,
}

impl Vectorized for PulsePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let Pulses { wide, narrow, bows, edge, sums, .. } = self.pulses;
        let parts = wide.as_chunks_mut::<LANES>().0.iter_mut().zip(narrow.as_chunks_mut::<LANES>().0);
        let parts = parts.zip(edge.as_chunks_mut::<LANES>().0);
        for (words, ((wide, narrow), edge)) in self.driven.as_chunks::<LANES>().0.iter().zip(parts) {
            m.split(words, wide, narrow, edge);
        }
        bows.iter_mut().zip(&*narrow).for_each(|(to, narrow)| *to = bow(*narrow, FULL_NARROW as u8));
        let total = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>() as f32 / FULL_NARROW;
        let whole = wide.iter().map(|whole| i32::from(*whole)).sum::<i32>() as f32 / FULL_WIDE;
        let squares = narrow.iter().map(|byte| u32::from(*byte).pow(2)).sum::<u32>() as f32;
        *sums = [total(narrow), whole, total(edge), squares / (FULL_NARROW * FULL_NARROW), total(bows)];
    }
}

/// From sums to counted outputs of one tile and one query.
pub struct ValuePass<'a> {
    pub factors: &'a ValueFactors,
    pub sums: &'a Sums,
    pub pulses: &'a Pulses,
    /// The current's change between the query and the age of the weights: [`CellFactors::drift`].
    pub drift: [f32; 3],
    /// Whether cells differ from nominal ones, so that the sums of their differences were taken.
    pub differ: bool,
    /// A die's converters of these columns: gain, offset in units of A.
    pub spread: Option<[&'a [f32]; 2]>,
    /// Normal numbers and their standard deviation in units of A.
    pub noise: Option<(&'a [f32], f32)>,
    /// Counts so far, by column, to which this tile's are added; if outputs are counted, their places for [`ValueFactors::count`].
    pub counts: &'a mut [f32],
    pub places: &'a mut [i32],
}

impl Vectorized for ValuePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let ValueFactors { cells, curve, counts: table, .. } = self.factors;
        let [phi, lengthened, shares, squares, bows] = self.pulses.sums;
        let shared = cells.constant * shares;
        let constant = self.factors.cancelled + self.factors.cancelled_per_phi * phi + shared;
        let swing_constant = cells.swing_rest[0] * phi;
        let drift = [self.drift[0] * lengthened, self.drift[1], self.drift[2]];
        let swinging = if lengthened > 0.0 { phi / lengthened } else { 1.0 };
        let columns = self.counts.len();
        let blocks = self.counts.as_chunks_mut::<LANES>().0.iter_mut().zip(self.places.as_chunks_mut::<LANES>().0);
        for (block, (counts, places)) in blocks.enumerate() {
            let at = block * LANES;
            let of = |values: &[i32], at: usize| match values[at..].first_chunk() {
                Some(values) => m.integers(values),
                None => m.splat(0.0),
            };
            let mut sum = of(&self.sums.current, at);
            for part in 1..self.sums.current.len() / columns {
                sum = m.add(sum, of(&self.sums.current, part * columns + at));
            }
            if self.differ {
                for deltas in &self.sums.deltas {
                    for part in 0..deltas.len() / columns {
                        sum = m.add(sum, of(deltas, part * columns + at));
                    }
                }
            }
            let current = m.scale(sum, cells.current_unit);
            let swing =
                m.add_product(m.splat(swing_constant), of(&self.sums.conductance, at), m.splat(cells.swing_unit));
            let swing = m.add_product(swing, current, m.splat(cells.swing_rest[1]));
            let current = drifted(m, current, swing, drift);
            let mut charge = m.add(current, m.splat(constant));
            if !cells.edge.is_empty() {
                charge = m.add_product(charge, of(&self.sums.edge, at), m.splat(cells.edge_unit));
            }
            let bowed = cells.pairs.as_ref().map(|pairs| {
                cells.bowed(m, [of(&self.sums.bowed[0], at), of(&self.sums.bowed[1], at)], pairs.current_unit, bows)
            });
            let current = m.scale(current, swinging);
            let widths = [phi, squares, bows];
            let mut product = cells.swung(m, ColumnSums { charge, current, swing, bowed, widths });
            let part = |values: &[f32]| match values[at..].first_chunk() {
                Some(values) => m.load(values),
                None => m.splat(0.0),
            };
            if let Some([gain, offset]) = self.spread {
                product = m.add_product(part(offset), product, part(gain));
            }
            if let Some((normals, sigma)) = self.noise {
                product = m.add_product(product, part(normals), m.splat(sigma));
            }
            match table {
                Some(table) => *places = table.places(m, product),
                None => {
                    let total = m.add(m.load(counts), m.limit(curve.at(m, product), -1.0, 1.0));
                    m.store(counts, total);
                }
            }
        }
    }
}
