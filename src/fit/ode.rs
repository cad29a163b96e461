//! Integration of small systems of ordinary differential equations.
//!
//! Dormand and Prince's embedded pair of order 5 and 4 (J. Comput. Appl. Math. 6, 19 (1980)) with step control; a step ends
//! at every time that is asked for, so that nothing is interpolated.

use crate::error::{Error, Kind, Problem, Result};

/// Greatest number of steps, tried or taken, between two sample times.
const MAX_STEPS: usize = 200_000;

const C: [f64; 6] = [0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0];
const A: [[f64; 6]; 6] = [
    [0.2, 0.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0, 0.0],
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Weights of order five minus those of order four.
const E: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];

/// Integrates dy/dt = `rate`(t, y) from `start` at time 0 and returns y at each of `times_s` (rising, none negative).
/// `tolerance` bounds the error of each step in every component, in y's unit.
///
/// # Errors
/// `BadInput` for times that fall or are negative or not finite, or a start that is not finite; `FitFailed` if the rate is
/// not finite or the number of steps runs out.
pub fn integrate<F>(mut rate: F, start: &[f64], times_s: &[f64], tolerance: f64) -> Result<Vec<Vec<f64>>>
where
    F: FnMut(f64, &[f64], &mut [f64]),
{
    let rising = times_s.windows(2).all(|w| w[1] >= w[0]) && times_s.first().is_none_or(|&t| t >= 0.0);
    if !rising || times_s.iter().chain(start).any(|value| !value.is_finite()) || tolerance.is_nan() || tolerance <= 0.0
    {
        return Err(Problem::new(
            Kind::BadInput,
            "sample times must rise from zero, and start and tolerance be finite",
        )
        .help("sort the times and leave out negative ones")
        .into());
    }
    let n = start.len();
    let mut stages = vec![vec![0.0; n]; 7];
    let (mut t, mut y, mut trial) = (0.0, start.to_vec(), vec![0.0; n]);
    rate(t, &y, &mut stages[0]);
    let mut step = first_step(&stages[0], times_s.last().copied().unwrap_or(0.0), tolerance);
    let mut out = Vec::with_capacity(times_s.len());
    for &until in times_s {
        let mut tried = 0;
        while t < until {
            tried += 1;
            let left = until - t;
            // Ends exactly on the sample; a rest too small to be worth a step of its own is taken along.
            let h = if step >= left * (1.0 - 1e-12) { left } else { step };
            for s in 0..6 {
                for i in 0..n {
                    trial[i] = y[i] + h * (0..=s).map(|k| A[s][k] * stages[k][i]).sum::<f64>();
                }
                let (_, rest) = stages.split_at_mut(s + 1);
                rate(t + C[s] * h, &trial, &mut rest[0]);
            }
            let component = |i: usize| (h * (0..7).map(|k| E[k] * stages[k][i]).sum::<f64>() / tolerance).abs();
            let error =
                (0..n).map(component).fold(0.0, |worst: f64, e| if e.is_nan() { f64::NAN } else { worst.max(e) });
            if tried > MAX_STEPS || error.is_nan() || h < 1e-14 * until.abs() {
                return Err(stuck(t, &y, tried));
            }
            let factor = if error > 0.0 { (0.9 * error.powf(-0.2)).clamp(0.2, 5.0) } else { 5.0 };
            if error <= 1.0 {
                t = if h == left { until } else { t + h };
                std::mem::swap(&mut y, &mut trial);
                // The last stage is the first of the next step.
                stages.swap(0, 6);
                // A step cut short by a sample says little about the step that is possible.
                step = if h < step { step.max(h * factor) } else { h * factor };
            } else {
                step = h * factor;
            }
        }
        out.push(y.clone());
    }
    Ok(out)
}

/// V(t) for an autonomous dV/dt = `rate_v_per_s`(V), from `v_start_v` at time 0, at each of `times_s` (rising). Steps are
/// held to 1e-8 V, so that the whole stays well under 0.02 mV.
///
/// # Errors
/// As [`integrate`].
pub fn drift(rate_v_per_s: impl Fn(f64) -> f64, v_start_v: f64, times_s: &[f64]) -> Result<Vec<f64>> {
    let states = integrate(|_, v, dv| dv[0] = rate_v_per_s(v[0]), &[v_start_v], times_s, 1e-8)?;
    Ok(states.into_iter().map(|state| state[0]).collect())
}

/// A step over which the state moves by about the fifth root of the tolerance, for a start; control does the rest.
fn first_step(rate: &[f64], end: f64, tolerance: f64) -> f64 {
    let speed = rate.iter().fold(0.0, |m: f64, r| m.max(r.abs()));
    if speed > 0.0 { (tolerance.powf(0.2) / speed).min(end) } else { end }
}

fn stuck(t: f64, y: &[f64], tried: usize) -> Error {
    Problem::new(Kind::FitFailed, format!("the integration is stuck at t = {t} s, y = {y:?}, after {tried} steps"))
        .help("the rate is not finite or jumps there; look at the leakage and capacitance points")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_nonlinear_rate_with_closed_form() {
        // dV/dt = -k V^2: V = V0 / (1 + k V0 t).
        let times: Vec<f64> = (0..50).map(|i| 1e-3 * f64::from(i)).collect();
        let v = drift(|v| -300.0 * v * v, 0.9, &times).unwrap();
        for (t, v) in times.iter().zip(v) {
            assert!((v - 0.9 / (1.0 + 270.0 * t)).abs() < 1e-7, "{t}");
        }
    }

    #[test]
    fn a_system_with_time_in_its_rate() {
        // y' = cos t, z' = -y: y = sin t, z = cos t.
        let rate = |t: f64, y: &[f64], dy: &mut [f64]| (dy[0], dy[1]) = (t.cos(), -y[0]);
        let end = integrate(rate, &[0.0, 1.0], &[0.0, 1.0, 7.0], 1e-10).unwrap();
        assert_eq!(end[0], vec![0.0, 1.0]);
        assert!((end[2][0] - 7f64.sin()).abs() < 1e-8 && (end[2][1] - 7f64.cos()).abs() < 1e-8);
    }

    #[test]
    fn refuses_times_that_fall_and_rates_that_are_no_number() {
        assert_eq!(drift(|_| 0.0, 0.0, &[1.0, 0.5]).unwrap_err().kind(), Kind::BadInput);
        assert_eq!(drift(|_| 0.0, f64::NAN, &[1.0]).unwrap_err().kind(), Kind::BadInput);
        assert_eq!(drift(|_| f64::NAN, 0.0, &[1.0]).unwrap_err().kind(), Kind::FitFailed);
    }

    proptest! {
        #[test]
        fn constant_and_linear_rates_match_closed_forms(
            v0 in -0.2f64..1.1,
            v_inf in 0.2f64..0.6,
            log_tau in -6.0f64..0.0,
            times in prop::collection::vec(0.0f64..0.1, 1..20),
        ) {
            let tau = 10f64.powf(log_tau);
            let mut times = times;
            times.sort_by(f64::total_cmp);
            let linear = drift(|v| (v_inf - v) / tau, v0, &times).unwrap();
            let constant = drift(|_| -0.3 / tau, v0, &times).unwrap();
            for ((t, linear), constant) in times.iter().zip(linear).zip(constant) {
                prop_assert!((linear - (v_inf + (v0 - v_inf) * (-t / tau).exp())).abs() < 1e-6);
                prop_assert!((constant - (v0 - 0.3 * t / tau)).abs() < 1e-9 * (1.0 + t / tau));
            }
        }
    }
}
