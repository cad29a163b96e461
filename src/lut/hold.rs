//! Stored voltage against age, from the table's dV/dt.
//!
//! The drift is autonomous, dV/dt = f(V) at one write bit-line voltage or at several that it takes much faster than a cell drifts, so
//! the voltage after n token times is the n-fold map of one token time. That map is integrated with classical Runge-Kutta, 4th order, in steps of at most a tenth of
//! the shortest time constant on the axis (error of a step below 1e-7 of the drift in it), from starting voltages at most
//! 5 mV apart; between these the map, which is monotone, is interpolated by PCHIP. Where the table has a relaxation, the drift begins
//! at where that ends, and what is still to come of it is taken off.

use super::bounds::{Bounds, Quantity, Tally};
use super::grid::Grid;
use super::interpolate::{Pchip, locate, slopes};
use super::table::{Retention, Validity};
use crate::error::{Error, Kind, Result};

/// Spacing of the starting voltages [V].
const SPACING_V: f64 = 5e-3;
/// More steps than this in one token time mean that the retention is far below it: no memory.
const MOST_STEPS: usize = 10_000;

/// Stored voltage after 0, 1, 2, ... token times, by starting voltage.
#[derive(Debug, Clone)]
pub struct Hold {
    starts_v: Vec<f64>,
    /// Per age: voltages at the starts, then slopes.
    ages: Vec<(Vec<f64>, Vec<f64>)>,
    token_time_s: f64,
}

impl Hold {
    /// Integrates up to an age of `oldest` tokens, or the oldest valid one if that is younger, with the write bit line at each voltage
    /// of `line` \[V\] (linearly between the table's) for its share of the time.
    pub fn new(
        retention: &Retention,
        validity: &Validity,
        token_time_s: f64,
        line: &[(f64, f64)],
        oldest: usize,
    ) -> Result<Hold> {
        let rate = rate_at(retention, line);
        // PCHIP is at most three times as steep as its secants.
        let steps = (token_time_s * 3.0 * rate.steepest_secant() / 0.1).ceil().max(1.0);
        if steps > MOST_STEPS as f64 {
            let message = format!("the stored voltage settles within {:.1e} of a token time", 1.0 / steps);
            return Err(Error::new(Kind::TableInvalid, message));
        }
        let valid = (validity.age_s[1] / token_time_s * (1.0 + 1e-9)).floor().max(0.0);
        let oldest = if valid < oldest as f64 { valid as usize } else { oldest };

        let [low, high] = validity.v_store_v;
        let count = ((high - low) / SPACING_V).ceil().max(1.0) as usize + 1;
        let starts_v: Vec<f64> = (0..count).map(|k| low + (high - low) * k as f64 / (count - 1) as f64).collect();
        let relaxation = retention.relaxation_v.as_ref();
        let moved = |time_s: f64| match relaxation {
            Some(grid) => moved_v(grid, &starts_v, time_s),
            None => vec![0.0; starts_v.len()],
        };
        let at_last = moved(f64::INFINITY);
        let mut now: Vec<f64> = starts_v.iter().zip(&at_last).map(|(v, moved)| v + moved).collect();
        let mut ages = Vec::with_capacity(oldest + 1);
        for age in 0..=oldest {
            if age > 0 {
                for v in &mut now {
                    *v = advance(&rate, *v, token_time_s, steps as usize);
                }
            }
            let to_come = moved(age as f64 * token_time_s).into_iter().zip(&at_last);
            let values: Vec<f64> = now.iter().zip(to_come).map(|(v, (moved, last))| v + (moved - last)).collect();
            let steepness = slopes(&starts_v, &values);
            ages.push((values, steepness));
        }
        Ok(Hold { starts_v, ages, token_time_s })
    }

    /// Stored voltage [V] `age` token times after it was `v_written_v`.
    pub fn at(&self, v_written_v: f64, age: usize, bounds: &Bounds, tally: &mut Tally) -> Result<f64> {
        let v = bounds.admit(Quantity::Stored, v_written_v, tally)?;
        let age = if age < self.ages.len() {
            age
        } else {
            bounds.admit(Quantity::Age, age as f64 * self.token_time_s, tally)?;
            self.ages.len() - 1
        };
        let (values, slopes) = &self.ages[age];
        bounds.admit(Quantity::Stored, locate(&self.starts_v, v).apply(values, slopes), tally)
    }
}

/// How far a relaxation has moved cells written to these voltages after that time [V].
fn moved_v(grid: &Grid, written_v: &[f64], time_s: f64) -> Vec<f64> {
    let (starts, times) = (&grid.axes[0].values, &grid.axes[1].values);
    let place = locate(times, time_s);
    let (from, to) = (times[place.interval], times[place.interval + 1]);
    let share = ((time_s - from) / (to - from)).clamp(0.0, 1.0);
    let ends = grid.along_first(place.interval).into_iter().zip(grid.along_first(place.interval + 1));
    let over_start = Pchip::new(starts, &ends.map(|(low, high)| low + share * (high - low)).collect::<Vec<_>>());
    written_v.iter().map(|v| over_start.at(v.clamp(starts[0], starts[starts.len() - 1]))).collect()
}

/// dV/dt [V/s] over the stored voltage, by the shares of the time that the write bit line spends at its voltages.
fn rate_at(retention: &Retention, line: &[(f64, f64)]) -> Pchip {
    let grid = &retention.rate_v_per_s;
    let biases = &grid.axes[0].values;
    let mut values = vec![0.0; grid.axes[1].values.len()];
    for (v_wbl_v, share) in line {
        let place = locate(biases, *v_wbl_v);
        let (low, high) = (biases[place.interval], biases[place.interval + 1]);
        let weight = ((v_wbl_v - low) / (high - low)).clamp(0.0, 1.0);
        let rows = grid.row(place.interval).iter().zip(grid.row(place.interval + 1));
        values.iter_mut().zip(rows).for_each(|(value, (a, b))| *value += share * (a * (1.0 - weight) + b * weight));
    }
    Pchip::new(&grid.axes[1].values, &values)
}

fn advance(rate: &Pchip, mut v: f64, time_s: f64, steps: usize) -> f64 {
    let h = time_s / steps as f64;
    for _ in 0..steps {
        let k1 = rate.at(v);
        let k2 = rate.at(v + 0.5 * h * k1);
        let k3 = rate.at(v + 0.5 * h * k2);
        let k4 = rate.at(v + h * k3);
        v += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::synthetic::{self, TAU_S, V_LEAK_V};
    use crate::lut::{Axis, Outside};

    const TOLERANCE_V: f64 = 0.05e-3;

    #[test]
    fn an_exponential_leak_is_followed_to_the_oldest_age() {
        let table = synthetic::table().unwrap();
        let bounds = Bounds::new(&table.validity, Outside::Refuse);
        let dt = table.scale.token_time_s;
        for v_wbl_v in [0.2, 0.45] {
            let hold = Hold::new(&table.retention, &table.validity, dt, &[(v_wbl_v, 1.0)], 1023).unwrap();
            let end = V_LEAK_V + 0.1 * (v_wbl_v - 0.45);
            for v0 in [0.0, 0.1234, 0.42, 0.777, 0.9] {
                for age in [0, 1, 17, 500, 1023] {
                    let exact = end + (v0 - end) * (-(age as f64) * dt / TAU_S).exp();
                    let v = hold.at(v0, age, &bounds, &mut Tally::default()).unwrap();
                    assert!((v - exact).abs() < 1e-3 * TOLERANCE_V, "{v0} V after {age}: {v} against {exact}");
                }
            }
        }
    }

    /// dV/dt = -k y^3 with y = V - 0.4 V has the solution y = y0 / sqrt(1 + 2 k y0^2 t); nodes 25 mV apart.
    #[test]
    fn a_leak_that_is_no_exponential_is_followed_too() {
        let table = synthetic::table().unwrap();
        let k = 5e3;
        let stored = table.retention.rate_v_per_s.axes[1].clone();
        let bias = Axis::new("v_wbl_v", "V", vec![0.0, 0.9]);
        let rate = Grid::tabulate("rate_v_per_s", "V/s", vec![bias, stored], |at| -k * (at[1] - 0.4).powi(3));
        let retention = Retention { rate_v_per_s: rate, relaxation_v: None, idle_v_wbl_v: 0.45 };
        let bounds = Bounds::new(&table.validity, Outside::Refuse);
        let dt = table.scale.token_time_s;
        let hold = Hold::new(&retention, &table.validity, dt, &[(0.45, 1.0)], 1023).unwrap();
        for v0 in [0.0f64, 0.13, 0.33, 0.405, 0.61, 0.9] {
            let y0 = v0 - 0.4;
            let exact = 0.4 + y0 / (1.0 + 2.0 * k * y0 * y0 * 1023.0 * dt).sqrt();
            let v = hold.at(v0, 1023, &bounds, &mut Tally::default()).unwrap();
            assert!((v - exact).abs() < TOLERANCE_V, "{v0} V: {v} against {exact}");
        }
    }

    #[test]
    fn a_line_that_carries_levels_leaks_as_the_mean_of_them() {
        let table = synthetic::table().unwrap();
        let bounds = Bounds::new(&table.validity, Outside::Refuse);
        let dt = table.scale.token_time_s;
        // Where leakage is linear in the bias, half of the time at 0.9 V and a quarter at 0 V is 0.5625 V.
        let line = [(0.45, 0.25), (0.0, 0.25), (0.9, 0.5)];
        let hold = Hold::new(&table.retention, &table.validity, dt, &line, 1023).unwrap();
        let end = V_LEAK_V + 0.1 * (0.5625 - 0.45);
        let exact = end + (0.9 - end) * (-1023.0 * dt / TAU_S).exp();
        let v = hold.at(0.9, 1023, &bounds, &mut Tally::default()).unwrap();
        assert!((v - exact).abs() < TOLERANCE_V, "{v} against {exact}");
    }

    #[test]
    fn a_relaxation_is_followed_beside_the_leak() {
        let mut table = synthetic::table().unwrap();
        let times = Axis::new("t_hold_s", "s", vec![0.0, 1e-6, 4e-6]);
        let starts = Axis::new("v_store_v", "V", vec![0.0, 0.9]);
        // 4 mV at last from 0 V, none from 0.9 V; half of it after a microsecond.
        let moved = |at: &[f64]| 4e-3 * (1.0 - at[0] / 0.9) * if at[1] == 1e-6 { 0.5 } else { at[1] / 4e-6 };
        table.retention.relaxation_v = Some(Grid::tabulate("relaxation_v", "V", vec![starts, times], moved));
        let bounds = Bounds::new(&table.validity, Outside::Refuse);
        let hold = Hold::new(&table.retention, &table.validity, 1e-6, &[(0.45, 1.0)], 100).unwrap();
        let leak = |v0: f64, age: f64| V_LEAK_V + (v0 - V_LEAK_V) * (-age * 1e-6 / TAU_S).exp();
        for (v0, last) in [(0.0, 4e-3), (0.45, 2e-3), (0.9, 0.0)] {
            for (age, share) in [(0, 0.0), (1, 0.5), (4, 1.0), (100, 1.0)] {
                let exact = leak(v0 + last, f64::from(age)) - (1.0 - share) * last;
                let v = hold.at(v0, age as usize, &bounds, &mut Tally::default()).unwrap();
                assert!((v - exact).abs() < 1e-6, "{v0} V after {age}: {v} against {exact}");
            }
        }
    }

    #[test]
    fn ages_beyond_the_characterized_hold_are_refused_or_counted() {
        let mut table = synthetic::table().unwrap();
        table.validity.age_s[1] = 100.0 * table.scale.token_time_s;
        let hold =
            Hold::new(&table.retention, &table.validity, table.scale.token_time_s, &[(0.45, 1.0)], 1023).unwrap();
        let mut tally = Tally::default();
        let refuse = Bounds::new(&table.validity, Outside::Refuse);
        assert!(hold.at(0.5, 100, &refuse, &mut tally).is_ok());
        assert_eq!(hold.at(0.5, 101, &refuse, &mut tally).unwrap_err().kind(), Kind::OutsideValidity);
        let clamp = Bounds::new(&table.validity, Outside::Clamp);
        let clamped = hold.at(0.5, 1000, &clamp, &mut tally).unwrap();
        assert_eq!(clamped, hold.at(0.5, 100, &clamp, &mut tally).unwrap());
        assert_eq!((tally.of(Quantity::Age), tally.total()), (1, 1));
    }
}
