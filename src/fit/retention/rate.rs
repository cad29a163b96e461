//! The rate of drift on a grid, and what follows from it: transients, equilibrium, times.

use serde::{Deserialize, Serialize};

use super::{CapacitancePoint, LeakagePoint, WriteBitLine};
use crate::error::{Kind, Problem};
use crate::fit::{check_points, failed, ode};
use crate::spline::Spline;
use crate::{Error, Result};

const FIT: &str = "retention";

/// dV/dt of the storage node over its own voltage and the write bit line's; monotone cubic in each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateModel {
    /// Nodes of the storage node's voltage [V], rising.
    pub v_store_v: Vec<f64>,
    /// Write bit lines [V], rising.
    pub v_wbl_v: Vec<f64>,
    /// Rate [V/s], by write bit line, then by stored voltage.
    pub rate_v_per_s: Vec<Vec<f64>>,
}

impl RateModel {
    /// -I/C from DC leakage and AC capacitance. The nodes are all stored voltages within the range that every write bit
    /// line's sweep and the capacitance cover.
    ///
    /// # Errors
    /// `FitFailed` for empty or broken points, a capacitance that is not positive, or sweeps without a common range.
    pub fn from_leakage(leakage: &[LeakagePoint], capacitance: &[CapacitancePoint]) -> Result<RateModel> {
        let numbers = leakage.iter().map(|p| [p.v_store_v, p.v_wbl_v, p.leakage_a]);
        check_points(FIT, "leakage", ["v_store_v", "v_wbl_v", "leakage_a"], numbers)?;
        let numbers = capacitance.iter().map(|p| [p.v_store_v, p.c_store_f]);
        check_points(FIT, "capacitance", ["v_store_v", "c_store_f"], numbers)?;
        if let Some(point) = capacitance.iter().find(|p| p.c_store_f <= 0.0) {
            let message = format!("the capacitance at {} V is {} F", point.v_store_v, point.c_store_f);
            return Err(failed(FIT, message, "check the sign of the AC measurement"));
        }
        let c_store = curve(capacitance.iter().map(|p| (p.v_store_v, p.c_store_f)))?;
        let v_wbl_v = distinct(leakage.iter().map(|p| p.v_wbl_v));
        let of_bias =
            |bias: f64| curve(leakage.iter().filter(|p| same(p.v_wbl_v, bias)).map(|p| (p.v_store_v, p.leakage_a)));
        let curves = v_wbl_v.iter().map(|&bias| of_bias(bias)).collect::<Result<Vec<_>>>()?;
        // One capacitance alone is a constant; else it bounds the range too.
        let bounds: Vec<&Spline> = curves.iter().chain((c_store.nodes().len() > 1).then_some(&c_store)).collect();
        let low = bounds.iter().map(|c| c.domain().0).fold(f64::NEG_INFINITY, f64::max);
        let high = bounds.iter().map(|c| c.domain().1).fold(f64::INFINITY, f64::min);
        let inside = |v: &f64| *v >= low - NEAR_V && *v <= high + NEAR_V;
        let v_store_v = distinct(leakage.iter().map(|p| p.v_store_v).filter(inside));
        if v_store_v.len() < 2 {
            let message = format!("leakage and capacitance share {} stored voltages", v_store_v.len());
            return Err(failed(FIT, message, "sweep the same range of v_store at every write bit line"));
        }
        let rate = |current: &Spline| v_store_v.iter().map(|&v| -current.value(v) / c_store.value(v)).collect();
        let rate_v_per_s = curves.iter().map(rate).collect();
        Ok(RateModel { v_store_v, v_wbl_v, rate_v_per_s })
    }

    /// The rate against the stored voltage under `write_bit_line` [V/s].
    ///
    /// # Errors
    /// `OutsideValidity` for a write bit line outside the grid; `BadInput` for a malformed grid.
    pub fn slice(&self, write_bit_line: WriteBitLine) -> Result<Spline> {
        let mut total = vec![0.0; self.v_store_v.len()];
        for (bias, share) in write_bit_line.shares() {
            for (sum, rate) in total.iter_mut().zip(self.rates_at(bias)?) {
                *sum += share * rate;
            }
        }
        Spline::pchip(self.v_store_v.clone(), total)
    }

    fn rates_at(&self, bias: f64) -> Result<Vec<f64>> {
        if let Some(k) = self.v_wbl_v.iter().position(|&known| same(known, bias)) {
            return Ok(self.rate_v_per_s[k].clone());
        }
        let across = |i: usize| {
            let values = self.rate_v_per_s.iter().map(|rates| rates[i]).collect();
            Spline::pchip(self.v_wbl_v.clone(), values)?.try_value(bias)
        };
        (0..self.v_store_v.len()).map(across).collect::<Result<_>>().map_err(|error| outside(&error, "v_wbl_v", bias))
    }

    /// The rate at one stored voltage [V/s].
    ///
    /// # Errors
    /// As [`RateModel::slice`], and `OutsideValidity` for `v_store_v` outside the grid.
    pub fn rate(&self, write_bit_line: WriteBitLine, v_store_v: f64) -> Result<f64> {
        self.slice(write_bit_line)?.try_value(v_store_v).map_err(|error| outside(&error, "v_store_v", v_store_v))
    }

    /// The rate on another grid [V/s], by `v_wbl_v`, then `v_store_v`; what a table stores.
    ///
    /// # Errors
    /// As [`RateModel::rate`].
    pub fn grid(&self, v_wbl_v: &[f64], v_store_v: &[f64]) -> Result<Vec<Vec<f64>>> {
        let row = |&v_wbl_v: &f64| {
            let slice = self.slice(WriteBitLine::Constant { v_wbl_v })?;
            let rate = |&v: &f64| slice.try_value(v).map_err(|error| outside(&error, "v_store_v", v));
            v_store_v.iter().map(rate).collect()
        };
        v_wbl_v.iter().map(row).collect()
    }

    /// The stored voltage after each of `ages_s` (rising) from `v_start_v` [V], to better than 0.02 mV of this model.
    ///
    /// # Errors
    /// `OutsideValidity` if it starts or runs outside the grid; else as [`RateModel::slice`] and [`ode::drift`].
    pub fn hold(&self, write_bit_line: WriteBitLine, v_start_v: f64, ages_s: &[f64]) -> Result<Vec<f64>> {
        let slice = self.slice(write_bit_line)?;
        slice.try_value(v_start_v).map_err(|error| outside(&error, "v_store_v", v_start_v))?;
        let held = ode::drift(|v| slice.value(v), v_start_v, ages_s)?;
        // A drift cannot pass its equilibrium, so an end inside the grid means a way inside it.
        for &v in &held {
            slice.try_value(v).map_err(|error| outside(&error, "v_store_v", v))?;
        }
        Ok(held)
    }

    /// Where the stored voltage comes to rest [V]: the rate falls through zero there. `None` if it does so nowhere on the
    /// grid; the lowest such voltage if there are several.
    ///
    /// # Errors
    /// As [`RateModel::slice`].
    pub fn equilibrium_v(&self, write_bit_line: WriteBitLine) -> Result<Option<f64>> {
        let slice = self.slice(write_bit_line)?;
        let nodes = slice.nodes();
        for (i, &node) in nodes.iter().enumerate() {
            let rate = slice.values()[i];
            let before = if i > 0 { slice.values()[i - 1] } else { f64::INFINITY };
            if rate == 0.0 && before > 0.0 {
                return Ok(Some(node));
            }
            if rate < 0.0 && before > 0.0 && i > 0 {
                let (mut low, mut high) = (nodes[i - 1], node);
                for _ in 0..80 {
                    let middle = 0.5 * (low + high);
                    if slice.value(middle) > 0.0 { low = middle } else { high = middle }
                }
                return Ok(Some(0.5 * (low + high)));
            }
        }
        Ok(None)
    }

    /// How long the drift from `v_start_v` to `v_end_v` takes [s]: the integral of dV / r. `None` if it never gets there,
    /// because the drift goes the other way or comes to rest before.
    ///
    /// # Errors
    /// `OutsideValidity` if either voltage is outside the grid; else as [`RateModel::slice`].
    pub fn time_between_s(&self, write_bit_line: WriteBitLine, v_start_v: f64, v_end_v: f64) -> Result<Option<f64>> {
        let slice = self.slice(write_bit_line)?;
        for v in [v_start_v, v_end_v] {
            slice.try_value(v).map_err(|error| outside(&error, "v_store_v", v))?;
        }
        if v_start_v == v_end_v {
            return Ok(Some(0.0));
        }
        let direction = (v_end_v - v_start_v).signum();
        let (low, high) = (v_start_v.min(v_end_v), v_start_v.max(v_end_v));
        let inner = slice.nodes().iter().copied().filter(|&v| v > low && v < high);
        let mut knots: Vec<f64> = std::iter::once(low).chain(inner).chain(std::iter::once(high)).collect();
        knots.dedup();
        // A monotone cubic changes sign only between nodes of different sign, so looking at the knots is enough.
        if knots.iter().any(|&v| slice.value(v) * direction <= 0.0) {
            return Ok(None);
        }
        let pace = |v: f64| 1.0 / slice.value(v).abs();
        let seconds: f64 = knots.windows(2).map(|w| simpson(&pace, w[0], w[1], 24)).sum();
        Ok(seconds.is_finite().then_some(seconds))
    }

    /// Time until the distance to `v_reference_v` has fallen to 1/e [s]; `None` if it never does.
    ///
    /// # Errors
    /// As [`RateModel::time_between_s`].
    pub fn one_over_e_s(
        &self,
        write_bit_line: WriteBitLine,
        v_start_v: f64,
        v_reference_v: f64,
    ) -> Result<Option<f64>> {
        let v_end_v = v_reference_v + (v_start_v - v_reference_v) * (-1f64).exp();
        self.time_between_s(write_bit_line, v_start_v, v_end_v)
    }

    /// Time until the stored voltage has moved by `by_v` (half a step, 64 mV) either way [s]; `None` if it never does on
    /// the grid.
    ///
    /// # Errors
    /// As [`RateModel::rate`].
    pub fn time_to_lose_s(&self, write_bit_line: WriteBitLine, v_start_v: f64, by_v: f64) -> Result<Option<f64>> {
        let v_end_v = v_start_v + by_v.abs() * self.rate(write_bit_line, v_start_v)?.signum();
        let (low, high) = (self.v_store_v[0], self.v_store_v[self.v_store_v.len() - 1]);
        if !(low..=high).contains(&v_end_v) {
            return Ok(None);
        }
        self.time_between_s(write_bit_line, v_start_v, v_end_v)
    }
}

/// Voltages closer than this are the same [V].
const NEAR_V: f64 = 1e-9;

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= NEAR_V
}

fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup_by(|a, b| same(*a, *b));
    values
}

/// Monotone cubic through points in any order; of equal abscissas the first counts.
fn curve(points: impl Iterator<Item = (f64, f64)>) -> Result<Spline> {
    let mut points: Vec<(f64, f64)> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| same(a.0, b.0));
    let (x, y) = points.into_iter().unzip();
    Spline::pchip(x, y)
}

fn outside(error: &Error, key: &str, value: f64) -> Error {
    let accepted = error.problems()[0].accepted.clone().unwrap_or_default();
    Problem::new(Kind::OutsideValidity, format!("{value} V is outside the retention model's grid"))
        .key(key)
        .accepted(format!("{accepted} V"))
        .help("sweep the leakage over a wider range, or hold a cell within it")
        .into()
}

/// Adaptive Simpson integration to a relative 1e-9; `depth` halvings at most.
fn simpson(f: &impl Fn(f64) -> f64, a: f64, b: f64, depth: u32) -> f64 {
    fn refine(f: &impl Fn(f64) -> f64, x: [f64; 3], y: [f64; 3], whole: f64, depth: u32) -> f64 {
        let (left, right) = (0.5 * (x[0] + x[1]), 0.5 * (x[1] + x[2]));
        let (y_left, y_right) = (f(left), f(right));
        let h = (x[2] - x[0]) / 12.0;
        let (first, second) = (h * (y[0] + 4.0 * y_left + y[1]), h * (y[1] + 4.0 * y_right + y[2]));
        let error = first + second - whole;
        if depth == 0 || error.abs() <= 15e-9 * (first + second).abs() {
            return first + second + error / 15.0;
        }
        refine(f, [x[0], left, x[1]], [y[0], y_left, y[1]], first, depth - 1)
            + refine(f, [x[1], right, x[2]], [y[1], y_right, y[2]], second, depth - 1)
    }
    let middle = 0.5 * (a + b);
    let y = [f(a), f(middle), f(b)];
    refine(f, [a, middle, b], y, (b - a) / 6.0 * (y[0] + 4.0 * y[1] + y[2]), depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: WriteBitLine = WriteBitLine::Constant { v_wbl_v: 0.45 };

    /// A conductance of 2 pS toward a bias-dependent voltage on 8 fF: tau = 4 ms exactly.
    fn linear() -> RateModel {
        let mut leakage = Vec::new();
        for i in 0..=110 {
            for v_wbl_v in [0.0, 0.45, 0.9] {
                let v_store_v = -0.1 + 0.01 * f64::from(i);
                leakage.push(LeakagePoint { v_store_v, v_wbl_v, leakage_a: 2e-12 * (v_store_v - 0.3 - 0.2 * v_wbl_v) });
            }
        }
        let capacitance = [-0.1, 1.0].map(|v_store_v| CapacitancePoint { v_store_v, c_store_f: 8e-15 });
        RateModel::from_leakage(&leakage, &capacitance).unwrap()
    }

    #[test]
    fn a_conductance_decays_as_an_exponential() {
        let model = linear();
        let ages = [0.0, 1e-4, 8e-4, 5e-3, 0.1];
        for (v_wbl_v, rest) in [(0.0, 0.3), (0.3, 0.36), (0.9, 0.48)] {
            let bias = WriteBitLine::Constant { v_wbl_v };
            for (age, v) in ages.iter().zip(model.hold(bias, 0.9, &ages).unwrap()) {
                assert!((v - (rest + (0.9 - rest) * (-age / 4e-3).exp())).abs() < 1e-6);
            }
            assert!((model.equilibrium_v(bias).unwrap().unwrap() - rest).abs() < 1e-9);
        }
        let toggling = WriteBitLine::Toggling { low_v: 0.0, high_v: 0.9, duty_high: 0.25 };
        assert!((model.equilibrium_v(toggling).unwrap().unwrap() - 0.345).abs() < 1e-9);
    }

    #[test]
    fn times_have_their_closed_forms_and_never_is_none() {
        let model = linear();
        let to_e = model.one_over_e_s(HOLD, 0.9, 0.39).unwrap().unwrap();
        assert!((to_e / 4e-3 - 1.0).abs() < 1e-8, "{to_e}");
        let half_step = model.time_to_lose_s(HOLD, 0.0, 0.064).unwrap().unwrap();
        assert!((half_step / (4e-3 * (0.39f64 / 0.326).ln()) - 1.0).abs() < 1e-8);
        // From above toward 0.45 it gets there, from below it stops at 0.39 first.
        assert!(model.one_over_e_s(HOLD, 0.9, 0.45).unwrap().is_some());
        assert_eq!(model.time_between_s(HOLD, 0.0, 0.45).unwrap(), None);
        assert_eq!(model.time_to_lose_s(HOLD, 0.4, 0.064).unwrap(), None);
    }

    #[test]
    fn refuses_to_extrapolate() {
        let model = linear();
        for result in [
            model.hold(HOLD, 1.2, &[1e-3]).map(|_| ()),
            model.hold(WriteBitLine::Constant { v_wbl_v: 1.0 }, 0.5, &[1e-3]).map(|_| ()),
            model.grid(&[0.45], &[-0.2]).map(|_| ()),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::OutsideValidity);
            assert!(error.to_string().contains("accepted"), "{error}");
        }
    }

    #[test]
    fn refuses_points_without_a_common_range() {
        let leakage = [(0.0, 0.0), (0.1, 0.0), (0.5, 0.9), (0.9, 0.9)].map(|(v_store_v, v_wbl_v)| LeakagePoint {
            v_store_v,
            v_wbl_v,
            leakage_a: 1e-12,
        });
        let capacitance = [CapacitancePoint { v_store_v: 0.45, c_store_f: 8e-15 }];
        assert_eq!(RateModel::from_leakage(&leakage, &capacitance).unwrap_err().kind(), Kind::FitFailed);
        assert_eq!(RateModel::from_leakage(&[], &capacitance).unwrap_err().kind(), Kind::FitFailed);
        let negative = [CapacitancePoint { v_store_v: 0.45, c_store_f: -8e-15 }];
        assert_eq!(RateModel::from_leakage(&leakage, &negative).unwrap_err().kind(), Kind::FitFailed);
    }
}
