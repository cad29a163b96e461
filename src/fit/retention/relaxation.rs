//! What moves a stored voltage right after a write although nothing leaks.
//!
//! Nodes that float inside the read stage remember the level before. They come to rest within microseconds and pull the stored node
//! with them through the gates between; no leakage current tells of it. So leakage is taken from what follows [`REST_S`], and what
//! went before is kept as a table of the start and the age:
//!
//! ```text
//! V(t) = V_leak(t) from V_start + rho(V_start, inf), plus rho(V_start, t) - rho(V_start, inf)
//! ```
//!
//! On the embedded technology it is 0.2 mV; on sky130, whose channels are 2.4 um long, five.

use serde::{Deserialize, Serialize};

use super::{Hold, RateModel};
use crate::Result;
use crate::fit::stats;
use crate::spline::Spline;

/// Age at which what floats is taken to rest [s].
pub const REST_S: f64 = 1e-5;
/// Fewer samples before that tell nothing, and fewer after it no leakage.
const LEAST: usize = 4;
/// Starts nearer than that are one level, written under several biases [V].
const SAME_LEVEL_V: f64 = 2e-3;

/// rho, over the start and the age.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relaxation {
    /// Stored voltages at the start, ascending [V].
    pub v_start_v: Vec<f64>,
    /// Ages, from 0 to rest [s].
    pub t_s: Vec<f64>,
    /// How far the voltage has moved, by start, then age [V].
    pub moved_v: Vec<Vec<f64>>,
}

/// How many samples come until rest, if there are enough on both sides.
fn until_rest(hold: &Hold) -> Option<usize> {
    let n = hold.t_s.iter().filter(|t| **t - hold.t_s[0] <= REST_S * (1.0 + 1e-9)).count();
    (n > LEAST && hold.t_s.len() >= n + LEAST).then_some(n)
}

/// The hold as leakage alone moves it: from rest on, where there are samples before.
pub fn after_rest(hold: &Hold) -> Hold {
    let Some(n) = until_rest(hold) else { return hold.clone() };
    let (t_s, v_store_v) = (hold.t_s[n - 1..].to_vec(), hold.v_store_v[n - 1..].to_vec());
    Hold { t_s, v_store_v, ..hold.clone() }
}

impl Relaxation {
    /// From holds that have enough samples before rest, beside what leaks meanwhile. `None` if fewer than two levels have.
    ///
    /// # Errors
    /// As [`RateModel::rate`].
    pub fn from_holds(model: &RateModel, holds: &[Hold]) -> Result<Option<Relaxation>> {
        let mut t_s: Vec<f64> = Vec::new();
        let mut curves: Vec<(f64, Vec<f64>)> = Vec::new();
        for hold in holds {
            let Some(n) = until_rest(hold) else { continue };
            let ages: Vec<f64> = hold.t_s[..n].iter().map(|t| t - hold.t_s[0]).collect();
            if t_s.is_empty() {
                t_s.clone_from(&ages);
            }
            // One axis for all: a sweep samples every hold at the same times.
            if t_s.len() != ages.len() || t_s.iter().zip(&ages).any(|(a, b)| (a - b).abs() > 1e-3 * REST_S) {
                continue;
            }
            let start = hold.v_store_v[0];
            let rate = model.rate(hold.write_bit_line, hold.v_store_v[n - 1])?;
            let moved = ages.iter().zip(&hold.v_store_v).map(|(age, v)| v - start - rate * age).collect();
            curves.push((start, moved));
        }
        curves.sort_by(|a, b| a.0.total_cmp(&b.0));
        let levels: Vec<&[(f64, Vec<f64>)]> = curves.chunk_by(|a, b| b.0 - a.0 < SAME_LEVEL_V).collect();
        let mean = |values: &mut dyn Iterator<Item = f64>| stats::mean(&values.collect::<Vec<_>>());
        let relaxation = Relaxation {
            v_start_v: levels.iter().map(|level| mean(&mut level.iter().map(|(start, _)| *start))).collect(),
            moved_v: levels
                .iter()
                .map(|level| (0..t_s.len()).map(|k| mean(&mut level.iter().map(|(_, moved)| moved[k]))).collect())
                .collect(),
            t_s,
        };
        Ok((relaxation.v_start_v.len() > 1).then_some(relaxation))
    }

    /// rho at each of `ages_s`, and at last [V].
    ///
    /// # Errors
    /// As [`Spline::pchip`].
    pub fn moved_v(&self, v_start_v: f64, ages_s: &[f64]) -> Result<(Vec<f64>, f64)> {
        let (first, last) = (self.v_start_v[0], self.v_start_v[self.v_start_v.len() - 1]);
        let at_start = |k: usize| {
            let over_start = Spline::pchip(self.v_start_v.clone(), self.moved_v.iter().map(|row| row[k]).collect())?;
            Ok(over_start.value(v_start_v.clamp(first, last)))
        };
        let nodes = (0..self.t_s.len()).map(at_start).collect::<Result<Vec<f64>>>()?;
        let rest = self.t_s.len() - 1;
        let along = |age: &f64| {
            let above = self.t_s.partition_point(|t| t < age).clamp(1, rest);
            let (low, high) = (self.t_s[above - 1], self.t_s[above]);
            let share = ((age - low) / (high - low)).clamp(0.0, 1.0);
            nodes[above - 1] + share * (nodes[above] - nodes[above - 1])
        };
        Ok((ages_s.iter().map(along).collect(), nodes[rest]))
    }

    /// Furthest that any start moves [V].
    pub fn most_v(&self) -> f64 {
        self.moved_v.iter().map(|row| stats::max_abs(row)).fold(0.0, f64::max)
    }
}
