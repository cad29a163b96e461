//! The second product: pulses of one query against the rows of the V array.
//!
//! A row has one age and one pulse for all its cells, so its weights are looked up from one table of 8 levels.

use super::cells::{CellFactors, Places, SHORT_POINTS, Scales};
use super::curve::Curve;
use super::lanes::{Machine, Vectorized};
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
    counter: Counter,
}

/// Weights of a tile's rows.
#[derive(Debug, Default)]
pub struct ValueWeights {
    current: Vec<i16>,
    conductance: Vec<i8>,
    slope: Vec<i8>,
    edge: Vec<i8>,
}

/// A tile's pulses for one query, as integers, and their sums.
#[derive(Debug, Default)]
pub struct Pulses {
    pub wide: Vec<i16>,
    pub narrow: Vec<u8>,
    pub edge: Vec<u8>,
    /// Sums of phi, of phi and tau, and of the constants.
    pub phi: f32,
    pub lengthened: f32,
    pub constant: f32,
}

/// A tile's sums for one query, by column.
#[derive(Debug, Default)]
pub struct Sums {
    /// In parts of [`WIDE_ROWS`] rows.
    pub current: Vec<i32>,
    pub conductance: Vec<i32>,
    pub slope: Vec<i32>,
    pub edge: Vec<i32>,
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
        let cells = CellFactors::new(model, Array::V, budget, budget.tile_rows, scales, true)?;
        let longest = greatest_phi + f64::from(cells.tau.iter().fold(0.0, |most: f32, tau| most.max(*tau)));
        if longest > LONGEST {
            return Err(Refusal::new(format!("pulses of {longest:.3} full lengths are more than its integers allow")));
        }
        Ok(ValueFactors {
            cells,
            cancelled_per_phi: (converter.cancelled_a() * t_max_s / unit_c) as f32,
            cancelled: (converter.cancelled_c() / unit_c) as f32,
            curve: converter
                .tabulated()
                .ok_or_else(|| Refusal::new("the second converter's curve bends too sharply for a table"))?,
            counter: budget.counter,
        })
    }

    /// Sums that a column takes: wide ones, narrow ones.
    pub fn sums(&self) -> [usize; 2] {
        [1, 1 + usize::from(!self.cells.slope.is_empty()) + usize::from(!self.cells.edge.is_empty())]
    }

    /// Looks up weights of whole lanes of rows, from their codes and the places of their ages.
    pub fn look_up(&self, isa: Isa, codes: &[u8], columns: usize, ages: &Places, weights: &mut ValueWeights) {
        weights.current.resize(codes.len(), 0);
        isa.expand_wide(codes, columns, &ages.of(&self.cells.current), &mut weights.current);
        for (table, out) in [
            (&self.cells.conductance, &mut weights.conductance),
            (&self.cells.slope, &mut weights.slope),
            (&self.cells.edge, &mut weights.edge),
        ] {
            if !table.is_empty() {
                out.resize(codes.len(), 0);
                isa.expand_narrow(codes, columns, &ages.of(table), out);
            }
        }
    }

    /// Integers of a tile's pulses; `phi` of whole row quads.
    pub fn drive(&self, isa: Isa, phi: &[f32], pulses: &mut Pulses) {
        pulses.wide.resize(phi.len(), 0);
        pulses.narrow.resize(phi.len(), 0);
        pulses.edge.resize(phi.len(), 0);
        isa.run(PulsePass { cells: &self.cells, phi, pulses });
    }

    /// Sums a tile's products.
    pub fn sum(&self, isa: Isa, weights: &ValueWeights, columns: usize, pulses: &Pulses, sums: &mut Sums) {
        let rows = pulses.wide.len();
        let cells = rows * columns;
        sums.current.resize(rows.div_ceil(WIDE_ROWS) * columns, 0);
        isa.sums_wide(&weights.current[..cells], columns, &pulses.wide, &mut sums.current);
        for (weights, wanted, f, out) in [
            (&weights.conductance, true, &pulses.narrow, &mut sums.conductance),
            (&weights.slope, !self.cells.slope.is_empty(), &pulses.narrow, &mut sums.slope),
            (&weights.edge, !self.cells.edge.is_empty(), &pulses.edge, &mut sums.edge),
        ] {
            if wanted {
                out.resize(columns, 0);
                isa.sums_narrow(&weights[..cells], columns, f, out);
            }
        }
    }
}

/// Integers of pulses and the sums over all.
struct PulsePass<'a> {
    cells: &'a CellFactors,
    phi: &'a [f32],
    pulses: &'a mut Pulses,
}

impl Vectorized for PulsePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let PulsePass { cells, phi, pulses } = self;
        let long = [&cells.tau, &cells.constant, &cells.share].map(|points| m.splat(points[SHORT_POINTS - 1]));
        let short_below = m.splat((SHORT_POINTS - 1) as f32 / cells.points_per_pulse);
        let (mut sum, mut lengthened, mut constants) = (m.splat(0.0), m.splat(0.0), m.splat(0.0));
        let wide = pulses.wide.as_chunks_mut::<LANES>().0.iter_mut();
        let narrow = pulses.narrow.as_chunks_mut::<LANES>().0.iter_mut();
        let edge = pulses.edge.as_chunks_mut::<LANES>().0.iter_mut();
        let blocks = phi.as_chunks::<LANES>().0.iter().zip(wide).zip(narrow).zip(edge);
        for (((phi, wide), narrow), edge) in blocks {
            let phi = m.load(phi);
            sum = m.add(sum, phi);
            // Most blocks have no short pulse, and lookups take time.
            let any_short = m.positive(m.where_positive(phi, m.sub(short_below, phi))) != 0;
            let [tau, constant, share] = if any_short { cells.drive(m, phi) } else { long };
            constants = m.add(constants, m.where_positive(phi, constant));
            let long = m.add(phi, m.where_positive(phi, tau));
            lengthened = m.add(lengthened, long);
            m.to_i16(m.scale(long, FULL_WIDE), wide);
            m.to_u8(m.scale(phi, FULL_NARROW), narrow);
            m.to_u8(m.scale(m.where_positive(phi, share), FULL_NARROW), edge);
        }
        pulses.phi = m.total(sum);
        pulses.lengthened = m.total(lengthened);
        pulses.constant = m.total(constants);
    }
}

/// From sums to counted outputs of one tile and one query.
pub struct ValuePass<'a> {
    pub factors: &'a ValueFactors,
    pub sums: &'a Sums,
    pub pulses: &'a Pulses,
    /// Tokens between the query and the age of the weights.
    pub later: f32,
    /// Counts so far, by column; this tile's are added.
    pub counts: &'a mut [f32],
}

impl Vectorized for ValuePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let ValueFactors { cells, curve, counter, .. } = self.factors;
        let Pulses { phi, lengthened, constant, .. } = *self.pulses;
        let constant = self.factors.cancelled + self.factors.cancelled_per_phi * phi + constant;
        let swing_constant = cells.swing_rest[0] * phi;
        let swinging = if lengthened > 0.0 { phi / lengthened } else { 1.0 };
        let columns = self.counts.len();
        for (block, counts) in self.counts.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let at = block * LANES;
            let of = |values: &[i32], at: usize| match values[at..].first_chunk() {
                Some(values) => m.integers(values),
                None => m.splat(0.0),
            };
            let mut sum = of(&self.sums.current, at);
            for part in 1..self.sums.current.len() / columns {
                sum = m.add(sum, of(&self.sums.current, part * columns + at));
            }
            let mut current = m.scale(sum, cells.current_unit);
            if !cells.slope.is_empty() {
                current = m.add_product(current, of(&self.sums.slope, at), m.splat(cells.slope_unit * self.later));
            }
            let mut charge = m.add(current, m.splat(constant));
            if !cells.edge.is_empty() {
                charge = m.add_product(charge, of(&self.sums.edge, at), m.splat(cells.edge_unit));
            }
            let swing =
                m.add_product(m.splat(swing_constant), of(&self.sums.conductance, at), m.splat(cells.swing_unit));
            let swing = m.add_product(swing, current, m.splat(cells.swing_rest[1]));
            let product = m.sub(charge, m.mul(m.scale(current, swinging), swing));
            let fraction = m.limit(curve.at(m, product), -1.0, 1.0);
            let counted = match counter {
                Counter::Exact => fraction,
                Counter::SignMagnitude(levels) => m.round(m.scale(fraction, (levels - 1) as f32)),
                Counter::PublishedStep(levels) => m.round(m.scale(fraction, 0.5 * (levels - 1) as f32)),
            };
            let total = m.add(m.load(counts), counted);
            m.store(counts, total);
        }
    }
}
