//! The density of a current's noise: its shape, what a pulse makes of it, and its fit with what the data leave open.

use std::f64::consts::PI;

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::{FIT, Spectrum};
use crate::Result;
use crate::fit::dual::Dual;
use crate::fit::engine::{self, Forward, Loss, Start};
use crate::fit::stats;

/// Greatest f_min t for which flicker noise is integrated: a pulse is short beside the slowest fluctuation.
pub(super) const LONGEST_WINDOW: f64 = 0.5;
/// Where the boxcar's integral goes over to its mean, in units of 1 / t.
const TAIL: f64 = 50.0;
/// Steps of the logarithm of the frequency: a twentieth of the boxcar's period at the tail.
const LOG_STEP: f64 = 1e-3;
/// Step of a parameter, as a share of it, over which a number is differentiated.
const DIFFERENCE: f64 = 1e-4;

/// S(f) = white + flicker (f / 1 Hz)^-exponent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// White part [A^2/Hz].
    pub white: f64,
    /// Flicker part at 1 Hz, mostly far outside the frequencies of the fit [A^2/Hz].
    pub flicker: f64,
    /// Its exponent, about one.
    pub exponent: f64,
}

impl Density {
    /// Density at a frequency.
    pub fn at(&self, frequency_hz: f64) -> f64 {
        self.white + self.flicker * frequency_hz.powf(-self.exponent)
    }
    /// Variance of the charge that the white part adds within a pulse [C^2].
    pub fn white_variance_c2(&self, t_pulse_s: f64) -> f64 {
        0.5 * self.white * t_pulse_s
    }
    /// Variance of the charge that the flicker part above `f_min_hz` adds within a pulse [C^2].
    pub fn flicker_variance_c2(&self, t_pulse_s: f64, f_min_hz: f64) -> f64 {
        self.flicker * t_pulse_s.powf(1.0 + self.exponent) * flicker_factor(f_min_hz * t_pulse_s, self.exponent)
    }
    /// Variance of the charge of a pulse [C^2].
    pub fn variance_c2(&self, t_pulse_s: f64, f_min_hz: f64) -> f64 {
        self.white_variance_c2(t_pulse_s) + self.flicker_variance_c2(t_pulse_s, f_min_hz)
    }
}

/// F_a(x): the integral of sinc^2(u) u^-a from x = f_min t, up to a half, on; 0 for no pulse.
pub fn flicker_factor(x: f64, exponent: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    // Simpson's rule over ln u.
    let from = x.min(LONGEST_WINDOW).ln();
    let pairs = ((TAIL.ln() - from) / (2.0 * LOG_STEP)).ceil() as u32;
    let h = (TAIL.ln() - from) / f64::from(2 * pairs);
    let value = |k: u32| {
        let u = (from + h * f64::from(k)).exp();
        ((PI * u).sin() / (PI * u)).powi(2) * u.powf(1.0 - exponent)
    };
    let inner: f64 = (0..pairs).map(|k| value(2 * k) + 4.0 * value(2 * k + 1) + value(2 * k + 2)).sum();
    // Beyond, sin^2 counts a half.
    inner * h / 3.0 + TAIL.powf(-1.0 - exponent) / (2.0 * PI * PI * (1.0 + exponent))
}

/// A fitted density, with what its data leave open.
#[derive(Debug, Clone)]
pub(super) struct FittedDensity {
    pub density: Density,
    /// White and flicker part in these units [A^2/Hz], the exponent as it is.
    values: [f64; 3],
    units: [f64; 2],
    f_first_hz: f64,
    covariance: DMatrix<f64>,
    dof: usize,
}

/// A number that follows from a fitted density.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uncertain {
    pub value: f64,
    pub variance: f64,
    pub dof: usize,
}

impl FittedDensity {
    fn with(&self, values: [f64; 3]) -> Density {
        Density {
            white: values[0] * self.units[0],
            flicker: values[1] * self.units[1] * self.f_first_hz.powf(values[2]),
            exponent: values[2],
        }
    }

    /// What follows from the density, with its variance by linear propagation of the fit's covariance.
    pub fn number(&self, of: &dyn Fn(&Density) -> f64) -> Uncertain {
        let slope = |k: usize| {
            let step = DIFFERENCE * self.values[k].max(DIFFERENCE);
            let moved = |by: f64| {
                let mut values = self.values;
                values[k] += by;
                of(&self.with(values))
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        };
        let slopes = [0, 1, 2].map(slope);
        let terms = (0..9).map(|at| slopes[at / 3] * slopes[at % 3] * self.covariance[(at / 3, at % 3)]);
        Uncertain { value: of(&self.density), variance: terms.sum(), dof: self.dof }
    }
}

/// The root of the mean of independent variances, with its 95 % interval by Welch and Satterthwaite's degrees of freedom
/// (B. L. Welch, Biometrika 34, 28 (1947)), even in the logarithm; no interval without degrees of freedom.
pub(super) fn root_mean(parts: &[Uncertain]) -> (f64, Option<(f64, f64)>) {
    let n = parts.len() as f64;
    let mean = parts.iter().map(|part| part.value).sum::<f64>() / n;
    let variance = parts.iter().map(|part| part.variance).sum::<f64>();
    let weighed = parts.iter().map(|part| part.variance.powi(2) / part.dof as f64).sum::<f64>();
    let root = mean.sqrt();
    if parts.iter().any(|part| part.dof == 0) || !(variance > 0.0 && mean > 0.0) {
        return (root, None);
    }
    // Half of the mean's relative error is that of its root.
    let relative = 0.5 * variance.sqrt() / (n * mean);
    let reach = (relative * stats::student_t_two_sided(0.95, variance * variance / weighed)).exp();
    (root, Some((root / reach, root * reach)))
}

/// White and flicker part by least squares relative to the density.
pub(super) fn fit_density(spectrum: &Spectrum) -> Result<FittedDensity> {
    let (f, s) = (&spectrum.frequency_hz, &spectrum.density);
    let (f_first, first, least) = (f[0], s[0], s.iter().copied().fold(f64::INFINITY, f64::min));
    // The flicker part at the first frequency is known better than at 1 Hz.
    let relative = Forward(|p: &[Dual]| {
        let part = |(f, s): (&f64, &f64)| (p[0] * least + p[1] * first * (p[2] * -(f / f_first).ln()).exp()) / *s - 1.0;
        f.iter().zip(s).map(part).collect::<Vec<Dual>>()
    });
    let starts =
        [Start::positive("white", 1.0), Start::positive("flicker", 1.0), Start::between("exponent", 1.0, 0.3, 2.0)];
    let solved = engine::solve(FIT, &relative, &starts, Loss::Square)?;
    let mut fitted = FittedDensity {
        density: Density { white: 0.0, flicker: 0.0, exponent: 0.0 },
        values: [solved.values[0], solved.values[1], solved.values[2]],
        units: [least, first],
        f_first_hz: f_first,
        covariance: solved.covariance,
        dof: solved.dof,
    };
    fitted.density = fitted.with(fitted.values);
    Ok(fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flicker_noise_of_a_boxcar_is_its_closed_form() {
        // With exponent one: sin^2(a) / (2 a^2) + sin(2a) / (2a) - Ci(2a), a = pi x, with the series of Ci.
        let closed = |x: f64| {
            let (a, z) = (PI * x, 2.0 * PI * x);
            let (mut ci, mut term) = (0.577_215_664_901_532_9 + z.ln(), 1.0);
            for k in 1..=20 {
                let n = f64::from(2 * k);
                term *= -z * z / (n * (n - 1.0));
                ci += term / n;
            }
            a.sin().powi(2) / (2.0 * a * a) + z.sin() / z - ci
        };
        for x in [1.5e-5, 1e-2, 0.3] {
            assert!(
                (flicker_factor(x, 1.0) / closed(x) - 1.0).abs() < 1e-5,
                "{x}: {} {}",
                flicker_factor(x, 1.0),
                closed(x)
            );
        }
        // Exponent zero is white noise: half of it all.
        assert!((flicker_factor(1e-9, 0.0) - 0.5).abs() < 1e-5);
        // For a short pulse one decade more below adds the integral of u^-a over it.
        let decade = (1e-6f64.powf(-0.2) - 1e-5f64.powf(-0.2)) / 0.2;
        assert!(((flicker_factor(1e-6, 1.2) - flicker_factor(1e-5, 1.2)) / decade - 1.0).abs() < 1e-6);
        assert_eq!(flicker_factor(0.0, 1.0), 0.0);
    }

    #[test]
    fn a_mean_of_variances_is_as_uncertain_as_its_parts() {
        let part = Uncertain { value: 4.0, variance: 0.16, dof: 10 };
        // One part: 10 % of the variance is 5 % of its root, times Student's 2.228.
        let (root, interval) = root_mean(&[part]);
        let (low, high) = interval.unwrap();
        assert!(
            root == 2.0 && ((high / 2.0).ln() - 0.05 * 2.228_138_85).abs() < 1e-6 && (low * high - 4.0).abs() < 1e-12
        );
        // Four equal ones: half of that, with forty degrees of freedom.
        let (_, interval) = root_mean(&[part; 4]);
        assert!(((interval.unwrap().1 / 2.0).ln() - 0.025 * 2.021_075_39).abs() < 1e-6);
        assert_eq!(root_mean(&[Uncertain { dof: 0, ..part }]), (2.0, None));
    }
}
