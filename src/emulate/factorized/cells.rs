//! The charge of one array's cells, taken apart for sums of integers.
//!
//! In units of p at full pulse, with the pulse `w` in full ones, a cell of some level and age draws
//!
//! ```text
//! charge = (w + tau(w)) I(level, age) + s(w) (c + z(level, age))        swing = w g(level, age)
//! ```
//!
//! and a column `sum charge - q s (1 - 2 s / 3) + q^2 (a q + b s + c sum w) - q (a' q + b' s + c' sum w)` with `q = sum w I`, `s = sum w g`, see
//! [`crate::emulate::LineSums`]; q is taken as `sum (w + tau) I` times `sum w / sum (w + tau)`. `I` and `g` are the table's current and
//! conductance; edges and what short pulses lack are split by least squares over the levels into what is in proportion to
//! the current (`tau`), the same for all levels (`c`) and a rest (`z`); `s` is 1 but for short pulses. `I` is summed in wide integers, the small parts
//! in narrow ones. Weights are looked up at the age in the middle of a run of queries; to the others of the run the current's
//! slope over age is added, as the combination of 1, `I` and `g` that is nearest to it over the levels, for which the sums are there; where a
//! cell just written changes faster than along such a line, columns of the last runs are looked up for every query, and so are those of a
//! tile that holds the youngest slots and the oldest. A rest too small for a sum of its own is left out.

use std::borrow::Cow;

use super::lanes::{Machine, Plain};
use super::least_squares::fit;
use super::pairs::Pairs;
use super::simd::{LANES, Tables};
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::column::Swing;
use crate::emulate::die::Array;
use crate::lut::Projection;

/// Queries whose weights are looked up at one age: that of the middle of the run of slots in which their token lies. Slots
/// are counted from 0, so prefill and decode look up the same.
pub const RUN: usize = 16;
/// Ages that tables go on to beyond both ends of the window, since that middle may lie in the past or in the future.
pub const BEYOND: usize = 2 * RUN;
/// Widths at which short pulses are looked at.
pub const SHORT_POINTS: usize = 129;
/// A part that cannot reach this share of full scale, with every cell of a column at its worst, has no sum of its own.
pub const NEGLIGIBLE: f64 = 1e-4;
/// What a high byte counts in whole weights.
const HIGH: f64 = 256.0;
/// Levels that fit a register's lookup beside a neighbour's.
const MOST_LEVELS: usize = 8;

/// Integers of full pulses and the greatest weights, for wide and for narrow sums.
#[derive(Debug, Clone, Copy)]
pub struct Scales {
    pub full_wide: f64,
    pub greatest_wide: f64,
    pub full_narrow: f64,
    pub greatest_narrow: f64,
}

/// One array's cells. Tables are by place: ages fall from one to the next, as they do from slot to slot.
#[derive(Debug, Clone)]
pub struct CellFactors {
    /// Low and high bytes of the wide weights.
    pub current: [Vec<[u8; 8]>; 2],
    pub conductance: Vec<[u8; 8]>,
    /// Empty where the rest of the edges is negligible.
    pub edge: Vec<[u8; 8]>,
    /// Units of p per product of integers.
    pub current_unit: f32,
    /// The same of the current's high bytes, and what the low bytes are worth in the mean, per full pulse.
    pub coarse_unit: f32,
    pub coarse_rest: f32,
    /// Share of the current's charge.
    pub swing_unit: f32,
    pub edge_unit: f32,
    /// Conductance that its integers miss: the same for all levels, and in proportion to the current's charge.
    pub swing_rest: [f32; 2],
    /// a, b, c of the current's curvature over the bit line, in units of p.
    pub bend: [f32; 3],
    /// The same of the cells' capacitance, for pulses that are all full.
    pub keep: [f32; 3],
    /// What tells pairs of cells apart; none without [`Swing::pairs`].
    pub pairs: Option<Pairs>,
    /// The rest z of each level that has no sum of its own, in units of p, when just written, and its change per token; and what the drift misses of the current's
    /// change per token in the middle of the window.
    pub rest: [[f32; 3]; 8],
    /// `c` of a long pulse, in units of p.
    pub constant: f32,
    /// `tau` and `s` of short pulses, from none to the first that is long; the last are those of all long ones.
    pub tau: Box<[f32; SHORT_POINTS]>,
    pub share: Box<[f32; SHORT_POINTS]>,
    /// Points per full pulse.
    pub points_per_pulse: f32,
    /// The current's change per token, by age, as a combination of 1, the current and the conductance; empty where nothing leaks.
    drift: Vec<[f32; 3]>,
    /// Whether cells younger than two runs change along no line.
    pub young_bend: bool,
    window: usize,
    weight: Weight,
}

/// What wide weights count.
#[derive(Debug, Clone, Copy)]
pub struct Weight {
    /// Units of p at full pulse of one.
    pub unit: f64,
    /// The greatest; a column of as great ones fits an `i32`.
    pub greatest: f64,
}

impl CellFactors {
    /// Takes apart the cells of an array for columns of `rows` cells; the rest of the edges has a sum of its own where a cell's reaches
    /// `least_edge`, as a share of full scale over the rows.
    pub fn new(
        model: &TableModel,
        array: Array,
        budget: &Budget,
        rows: usize,
        scales: Scales,
        least_edge: f64,
    ) -> Result<Self, Refusal> {
        let Budget { levels, window, .. } = *budget;
        if levels > MOST_LEVELS {
            return Err(Refusal::new(format!("{levels} levels are more than the {MOST_LEVELS} of its lookups")));
        }
        let converter = model.converter(array);
        let (unit_c, t_max_s) = (converter.charge_per_unit_c(), model.t_max_s());
        let share = converter.full() / rows as f64;
        let over_ages = |f: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
            (0..window).map(|age| (0..levels).map(|level| f(age, level)).collect()).collect()
        };
        let current = over_ages(&|age, level| model.current_a(array, age, level) * t_max_s / unit_c);
        let swing = t_max_s / (2.0 * converter.c_bit_line_f());
        let conductance = over_ages(&|age, level| model.conductance_s(array, age, level) * swing);

        let extra = |age: usize, pulse: f64| -> Vec<f64> {
            (0..levels).map(|level| model.extra_c(array, age, level, pulse * t_max_s) / unit_c).collect()
        };
        let middle = window / 2;
        let ones = vec![1.0; levels];
        let long = fit(&[&current[middle], &ones], &extra(middle, 1.0));
        let edge: Vec<Vec<f64>> = (0..window)
            .map(|age| extra(age, 1.0).iter().zip(&current[age]).map(|(e, i)| e - long[0] * i - long[1]).collect())
            .collect();
        let with_edge = greatest(&edge) > least_edge * share;
        let short_below = (model.longest_short_s(array) / t_max_s).min(1.0);
        let whole: Vec<f64> = edge[middle].iter().map(|z| z + long[1]).collect();
        let by_width = |of: usize| -> Box<[f32; SHORT_POINTS]> {
            let mut points = Box::new([0.0; SHORT_POINTS]);
            for (step, point) in points.iter_mut().enumerate() {
                let part = step as f64 / (SHORT_POINTS - 1) as f64;
                let fitted = fit(&[&current[middle], &whole], &extra(middle, short_below * part));
                *point = if of == 0 { fitted[0] } else { fitted[1].clamp(0.0, 1.0) } as f32;
            }
            points
        };

        let slopes: Vec<Vec<f64>> = (0..window)
            .map(|age| {
                let (from, to) = (age.saturating_sub(RUN / 2), (age + RUN / 2).min(window - 1));
                let span = to.saturating_sub(from).max(1) as f64;
                current[to].iter().zip(&current[from]).map(|(b, a)| (b - a) / span).collect()
            })
            .collect();
        let with_slope = greatest(&slopes) * RUN as f64 / 2.0 > NEGLIGIBLE * share;

        // Beyond the window the current goes on along its slope; what is small stays.
        let oldest = window - 1;
        let along = |age: usize, tokens: f64| -> Vec<f64> {
            current[age].iter().zip(&slopes[age]).map(|(i, slope)| i + tokens * slope).collect()
        };
        let extended: Vec<Vec<f64>> = (0..BEYOND)
            .map(|k| along(0, k as f64 - BEYOND as f64))
            .chain(current.iter().cloned())
            .chain((1..=BEYOND).map(|k| along(oldest, k as f64)))
            .collect();
        let off_line = |age: usize, later: isize| -> f64 {
            let from = age as isize - later;
            let line = &extended[(from + BEYOND as isize) as usize];
            let slope = &slopes[from.clamp(0, oldest as isize) as usize];
            let misses = line.iter().zip(slope).zip(&current[age]).map(|((i, slope), own)| {
                let along = if with_slope { later as f64 * slope } else { 0.0 };
                i + along - own
            });
            misses.fold(0.0, |worst: f64, miss| worst.max(miss.abs()))
        };
        let half = RUN as isize / 2;
        let young_bend =
            (0..window.min(2 * RUN)).any(|age| [-half, half].iter().any(|k| off_line(age, *k) > NEGLIGIBLE * share));
        let narrow = |values: &[Vec<f64>], wanted: bool| -> (Vec<[u8; 8]>, f32) {
            if !wanted {
                return (Vec::new(), 0.0);
            }
            let unit = greatest(values).max(f64::MIN_POSITIVE) / scales.greatest_narrow;
            let table = |row: &[f64]| {
                let mut bytes = [0; 8];
                bytes.iter_mut().zip(row).for_each(|(to, x)| *to = (x / unit).round() as i8 as u8);
                bytes
            };
            let ages = (0..window + 2 * BEYOND).rev();
            let tables = ages.map(|k| table(&values[k.saturating_sub(BEYOND).min(oldest)]));
            (tables.collect(), (unit / scales.full_narrow) as f32)
        };
        // High bytes serve as narrow weights.
        let greatest_wide = scales.greatest_wide.min(HIGH * (scales.greatest_narrow - 1.0));
        let wide_unit = greatest(&extended).max(f64::MIN_POSITIVE) / greatest_wide;
        let wide = |byte: usize| -> Vec<[u8; 8]> {
            let table = |row: &Vec<f64>| {
                let mut bytes = [0; 8];
                let weights = row.iter().map(|x| (x / wide_unit).round() as i16);
                bytes.iter_mut().zip(weights).for_each(|(to, weight)| *to = weight.to_le_bytes()[byte]);
                bytes
            };
            extended.iter().rev().map(table).collect()
        };
        let (swing_table, swing_unit) = narrow(&conductance, true);
        let missed: Vec<f64> = (0..levels)
            .map(|level| {
                let whole = swing_table[window - 1 - middle + BEYOND][level] as i8;
                conductance[middle][level] - f64::from(whole) * f64::from(swing_unit) * scales.full_narrow
            })
            .collect();
        let swing_rest = fit(&[&ones, &current[middle]], &missed);
        let (Swing { curvature, on_capacitance, pairs, .. }, c_f) = (converter.swing(), converter.c_bit_line_f());
        // Currents come in units of charge, conductances as shares of the bit line, widths in full pulses.
        let scaled = |of: Projection, unit: f64| {
            [of.per_current * unit_c, of.per_conductance * 2.0 * c_f, of.constant * t_max_s].map(|x| (x * unit) as f32)
        };
        let bend = scaled(curvature, unit_c / (6.0 * c_f * c_f));
        let keep = scaled(on_capacitance, 1.0 / (c_f * t_max_s));
        let pairs = pairs.then(|| Pairs::new(scales.full_narrow as u8));
        let drift_at = |age: usize| -> [f32; 3] {
            let fitted = fit(&[&ones, &current[age], &conductance[age]], &slopes[age]);
            std::array::from_fn(|k| fitted[k] as f32)
        };
        let drift = if with_slope { (0..window).map(drift_at).collect() } else { Vec::new() };
        let mut rest = [[0.0; 3]; 8];
        for (level, to) in rest.iter_mut().enumerate().take(levels) {
            let (young, old) = (edge[0][level], edge[oldest][level]);
            let [constant, per_current, per_swing] = drift.get(middle).copied().unwrap_or_default().map(f64::from);
            let along = constant + per_current * current[middle][level] + per_swing * conductance[middle][level];
            let missed = if with_slope { slopes[middle][level] - along } else { 0.0 };
            let spread = if with_edge { 0.0 } else { 1.0 };
            *to = [spread * young, spread * (old - young) / oldest.max(1) as f64, missed].map(|x| x as f32);
        }
        let (edge, edge_unit) = narrow(&edge, with_edge);
        Ok(CellFactors {
            current: [wide(0), wide(1)],
            conductance: swing_table,
            edge,
            current_unit: (wide_unit / scales.full_wide) as f32,
            coarse_unit: (HIGH * wide_unit / scales.full_narrow) as f32,
            coarse_rest: (0.5 * HIGH * wide_unit) as f32,
            swing_unit,
            edge_unit,
            swing_rest: [swing_rest[0] as f32, swing_rest[1] as f32],
            bend,
            keep,
            pairs,
            rest,
            constant: long[1] as f32,
            tau: by_width(0),
            share: by_width(1),
            points_per_pulse: ((SHORT_POINTS - 1) as f64 / short_below) as f32,
            drift,
            young_bend,
            window,
            weight: Weight { unit: wide_unit, greatest: greatest_wide },
        })
    }

    /// The current's change over `later` tokens, of cells about so old, as a combination of the widths with `tau`, the
    /// current and the swing.
    pub fn drift(&self, age: usize, later: f32) -> [f32; 3] {
        self.drift.get(age.min(self.window - 1)).map_or([0.0; 3], |drift| drift.map(|part| part * later))
    }

    /// The tables of these slots.
    pub fn tables(&self, ages: &Places) -> SlotTables<'_> {
        let [lows, highs] = &self.current;
        let edges = if self.edge.is_empty() { Cow::Borrowed(&[] as &[_]) } else { ages.of(&self.edge) };
        SlotTables { lows: ages.of(lows), highs: ages.of(highs), conductance: ages.of(&self.conductance), edges }
    }

    /// What its wide weights count.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The place of an age, which may be down to -BEYOND and up to the window and BEYOND.
    pub fn place(&self, age: isize) -> usize {
        (self.window + BEYOND - 1).saturating_add_signed(-age)
    }

    /// `tau` and `s` of a pulse.
    pub fn drive(&self, pulse: f32) -> [f32; 2] {
        let place = [pulse * self.points_per_pulse; LANES];
        [&self.tau, &self.share].map(|points| Plain.between(points, place)[0])
    }
}

/// The places of the ages of a run of slots, in tables by place.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Place of the first slot, and how many slots follow it.
    first: usize,
    count: usize,
    /// Place of the slot after those, and how many more there are: slots that were written a window before.
    then: usize,
    more: usize,
}

impl Places {
    /// `count` slots from `first` on, of which those after `last` were written a window before, at the time of `middle`.
    pub fn new(cells: &CellFactors, first: usize, count: usize, last: usize, middle: usize) -> Places {
        let young = (last + 1).saturating_sub(first).min(count);
        let age = |slot: usize| middle as isize - slot as isize;
        Places {
            first: cells.place(age(first)),
            count: young,
            then: cells.place(age(first + young) + cells.window as isize),
            more: count - young,
        }
    }

    /// The tables of these slots, in `table`, which is by place.
    fn of<'t, T: Copy>(&self, table: &'t [T]) -> Cow<'t, [T]> {
        let young = if self.count == 0 { &[] } else { &table[self.first..self.first + self.count] };
        if self.more == 0 {
            return Cow::Borrowed(young);
        }
        let old = &table[self.then..self.then + self.more];
        if self.count == 0 { Cow::Borrowed(old) } else { Cow::Owned([young, old].concat()) }
    }
}

/// The tables of a run of slots.
pub struct SlotTables<'t> {
    lows: Cow<'t, [[u8; 8]]>,
    highs: Cow<'t, [[u8; 8]]>,
    conductance: Cow<'t, [[u8; 8]]>,
    edges: Cow<'t, [[u8; 8]]>,
}

impl SlotTables<'_> {
    /// For the inner loops.
    pub fn tables(&self) -> Tables<'_> {
        Tables { lows: &self.lows, highs: &self.highs, narrow: &self.conductance, edges: &self.edges }
    }
}

/// The greatest magnitude.
fn greatest(values: &[Vec<f64>]) -> f64 {
    values.iter().flatten().fold(0.0, |peak: f64, x| peak.max(x.abs()))
}
