//! A die's cells: what each adds to the nominal one, worked out for every level when the die is made.
//!
//! A cell's own current over age is close to the nominal one's plus a line, `delta(age) = delta_0 + delta_1 age / window`,
//! fitted by least squares at a few ages. Both numbers are looked up when the cell is written, so that a read costs two
//! more sums of wide products. Leakage that differs from cell to cell makes a cell's current that of another age.

use rayon::prelude::*;

use super::cells::Weight;
use super::{Budget, Refusal};
use crate::emulate::array::TableModel;
use crate::emulate::die::{Array, Die};

/// Ages at which a cell is evaluated, as shares of the window.
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// One head of a die.
#[derive(Debug, Clone)]
pub struct HeadSpread {
    /// By cell in the order (slot, dimension) and by level: both numbers in the units of the nominal weights.
    pub k: Vec<[[i16; 2]; 8]>,
    pub v: Vec<[[i16; 2]; 8]>,
    /// Gain and offset, in units of S or A, of the converters: by slot; by (tile, dimension).
    pub unsigned: [Vec<f32>; 2],
    pub signed: [Vec<f32>; 2],
    pub d: usize,
}

impl HeadSpread {
    /// Works out the cells of `die`, whose differences are no greater than the greatest of the nominal K and V `weights`.
    pub fn new(
        model: &TableModel,
        die: &Die,
        levels: usize,
        window: usize,
        weights: [Weight; 2],
    ) -> Result<Self, Refusal> {
        let cells = |array: Array, Weight { unit, greatest }: Weight| -> Option<Vec<[[i16; 2]; 8]>> {
            let whole = |x: f64| (x.abs() < greatest).then(|| x.round() as i16);
            let scale = model.t_max_s() / (model.converter(array).charge_per_unit_c() * unit);
            (0..die.extent.slots * die.extent.d)
                .into_par_iter()
                .map(|cell| {
                    let mut numbers = [[0; 2]; 8];
                    for (level, numbers) in numbers.iter_mut().enumerate().take(levels) {
                        let [constant, slope] = line(SHARES.map(|share| {
                            let age = age_at(share, window);
                            let reached = die.age_of(array, cell, age, window - 1);
                            let own = model.current_a(array, reached, level)
                                + model.delta_a(die, array, cell, reached, level);
                            (own - model.current_a(array, age, level)) * scale
                        }));
                        *numbers = [whole(constant)?, whole(slope)?];
                    }
                    Some(numbers)
                })
                .collect()
        };
        let too_far = || Refusal::new("a cell of the die differs by more than its integers allow");
        let converters = |spread: &[[f64; 2]], array: Array| -> [Vec<f32>; 2] {
            let converter = model.converter(array);
            let (unit_c, from_c) = (converter.charge_per_unit_c(), converter.straight_from_c());
            // seen = (product + from) (1 + gain) + offset - from, in charges.
            let offset = |s: &[f64; 2]| (s[0] + from_c * s[1]) / unit_c;
            [spread.iter().map(|s| (1.0 + s[1]) as f32).collect(), spread.iter().map(|s| offset(s) as f32).collect()]
        };
        Ok(HeadSpread {
            k: cells(Array::K, weights[0]).ok_or_else(too_far)?,
            v: cells(Array::V, weights[1]).ok_or_else(too_far)?,
            unsigned: converters(&die.unsigned, Array::K),
            signed: converters(&die.signed, Array::V),
            d: die.extent.d,
        })
    }
}

/// What one standard deviation of a write's noise adds to each level's cell: constant and slope over the age, in weights of `unit`.
///
/// The stored voltage's deviation is taken to keep its size while the cell leaks, and its own pulses' edges to be the nominal ones.
pub fn of_a_write(
    model: &TableModel,
    array: Array,
    budget: &Budget,
    unit: f64,
    sigma_v: f64,
) -> crate::Result<[[f32; 2]; 8]> {
    let scale = model.t_max_s() / (model.converter(array).charge_per_unit_c() * unit) * sigma_v;
    let mut numbers = [[0.0; 2]; 8];
    for (level, numbers) in numbers.iter_mut().enumerate().take(budget.levels) {
        let mut slopes = [0.0; SHARES.len()];
        for (slope, share) in slopes.iter_mut().zip(SHARES) {
            *slope = model.slope_a_per_v(array, age_at(share, budget.window), level)? * scale;
        }
        *numbers = line(slopes).map(|number| number as f32);
    }
    Ok(numbers)
}

/// A cell's two numbers with what its write's noise adds.
pub fn with_noise(own: [i16; 2], noise: [f32; 2], normal: f32, weight: Weight) -> [i16; 2] {
    let greatest = weight.greatest as f32;
    [0, 1].map(|k| (f32::from(own[k]) + noise[k] * normal).round().clamp(-greatest, greatest) as i16)
}

fn age_at(share: f64, window: usize) -> usize {
    ((window - 1) as f64 * share).round() as usize
}

/// Constant and slope of the least-squares line through values at the shares.
fn line(y: [f64; SHARES.len()]) -> [f64; 2] {
    let mean_x = SHARES.iter().sum::<f64>() / SHARES.len() as f64;
    let mean_y = y.iter().sum::<f64>() / y.len() as f64;
    let sxx: f64 = SHARES.iter().map(|x| (x - mean_x).powi(2)).sum();
    let sxy: f64 = SHARES.iter().zip(&y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    [mean_y - sxy / sxx * mean_x, sxy / sxx]
}

/// Runs of `length` values, each filled up to `whole`; values beyond the given ones are 0.
pub fn padded(values: &[f32], length: usize, whole: usize) -> Vec<f32> {
    let runs =
        values.chunks(length).flat_map(|run| run.iter().copied().chain(std::iter::repeat_n(0.0, whole - run.len())));
    runs.collect()
}
