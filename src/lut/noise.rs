//! The table's noise: densities and sigmas, and what an emulator draws from them.

use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::interpolate::Pchip;
use super::table::Table;
use crate::error::{Kind, Problem};
use crate::fit::noise::Density;

/// Step over which the current's slope is taken [V].
const SLOPE_STEP_V: f64 = 1e-3;

/// What no two writes, reads or conversions have in common. A pulse of length t adds to a cell's charge a variance of
/// `white t / 2 + flicker t^(1+a) F_a(f_min t)`, a the exponent, see [`crate::fit::noise`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Slowest fluctuation that counts [Hz].
    pub f_min_hz: f64,
    /// Standard deviation of the stored voltage, drawn at each write [V], over `v_store_v`.
    pub sigma_stored_v: Grid,
    /// White part of the density of a cell's current [A2/Hz], over `v_store_v`.
    pub white_a2_per_hz: Grid,
    /// Flicker part at 1 Hz [A2/Hz], over `v_store_v`.
    pub flicker_a2_per_hz: Grid,
    /// Its exponent: the density is white + flicker (f / 1 Hz)^-exponent; over `v_store_v`.
    pub flicker_exponent: Grid,
    /// Standard deviation of the charge that the first converter sees [C].
    pub sigma_unsigned_c: f64,
    /// The same of the second converter [C].
    pub sigma_signed_c: f64,
    /// The first converter's as pulse width [s].
    pub jitter_unsigned_s: f64,
    /// The second converter's as pulse width [s].
    pub jitter_signed_s: f64,
}

/// Standard deviations that an emulator draws from, those of cells root mean squares over the stored levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseSigmas {
    /// Of the stored voltage, once per write [V].
    pub write_v: f64,
    /// What that does to the charge of a full pulse, the same at every read of the value [C].
    pub written_c: f64,
    /// Of a cell's charge with a full pulse, by its current's noise, at every read [C].
    pub cell_c: f64,
    /// Of the charge that the first converter sees, at every conversion [C].
    pub unsigned_c: f64,
    /// Of the second converter [C].
    pub signed_c: f64,
}

impl Noise {
    /// The section's grids by name.
    pub fn grids(&self) -> [(&'static str, &Grid); 4] {
        [
            ("sigma_stored_v", &self.sigma_stored_v),
            ("white_a2_per_hz", &self.white_a2_per_hz),
            ("flicker_a2_per_hz", &self.flicker_a2_per_hz),
            ("flicker_exponent", &self.flicker_exponent),
        ]
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (name, grid) in self.grids() {
            let key = format!("noise.{name}");
            grid.check(&key, &["v_store_v"], problems);
            if grid.values.iter().any(|value| *value < 0.0) {
                problems.push(Problem::new(Kind::TableInvalid, "a value is negative").key(key));
            }
        }
        for (name, value) in [
            ("f_min_hz", self.f_min_hz),
            ("sigma_unsigned_c", self.sigma_unsigned_c),
            ("sigma_signed_c", self.sigma_signed_c),
            ("jitter_unsigned_s", self.jitter_unsigned_s),
            ("jitter_signed_s", self.jitter_signed_s),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                let message = format!("{value} is not a number from 0 on");
                problems.push(Problem::new(Kind::TableInvalid, message).key(format!("noise.{name}")));
            }
        }
    }
}

impl Table {
    /// What an emulator draws at each write and read; `None` if the table has no noise.
    pub fn noise_sigmas(&self) -> Option<NoiseSigmas> {
        let noise = self.noise.as_ref()?;
        let curve = |grid: &Grid| Pchip::new(&grid.axes[0].values, &grid.values);
        let (sigma_v, white) = (curve(&noise.sigma_stored_v), curve(&noise.white_a2_per_hz));
        let (flicker, exponent) = (curve(&noise.flicker_a2_per_hz), curve(&noise.flicker_exponent));
        let current = curve(&self.cell.current_a);
        let [low, high] = self.validity.v_store_v;
        let t = self.scale.t_max_s;
        let n = self.scale.levels.stored;
        // Variances of the stored voltage, of what it does to a charge, and of the current's.
        let variances = |k: u32| {
            let v = (self.scale.vdd_v * f64::from(k) / f64::from(n - 1)).clamp(low + SLOPE_STEP_V, high - SLOPE_STEP_V);
            let slope = (current.at(v + SLOPE_STEP_V) - current.at(v - SLOPE_STEP_V)) / (2.0 * SLOPE_STEP_V);
            let density = Density { white: white.at(v), flicker: flicker.at(v), exponent: exponent.at(v) };
            let stored = sigma_v.at(v);
            [stored * stored, (slope * t * stored).powi(2), density.variance_c2(t, noise.f_min_hz)]
        };
        let over_levels = |part: usize| ((0..n).map(|k| variances(k)[part]).sum::<f64>() / f64::from(n)).sqrt();
        Some(NoiseSigmas {
            write_v: over_levels(0),
            written_c: over_levels(1),
            cell_c: over_levels(2),
            unsigned_c: noise.sigma_unsigned_c,
            signed_c: noise.sigma_signed_c,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::{Axis, synthetic};

    /// Flat densities: every part by hand.
    fn noise() -> Noise {
        let flat = |name: &str, unit: &str, value: f64| {
            Grid::curve(name, unit, Axis::new("v_store_v", "V", vec![-0.05, 0.95]), vec![value; 2])
        };
        Noise {
            f_min_hz: 1e3,
            sigma_stored_v: flat("sigma_stored_v", "V", 0.0),
            white_a2_per_hz: flat("white_a2_per_hz", "A2/Hz", 6e-25),
            flicker_a2_per_hz: flat("flicker_a2_per_hz", "A2/Hz", 0.0),
            flicker_exponent: flat("flicker_exponent", "1", 1.0),
            sigma_unsigned_c: 1e-15,
            sigma_signed_c: 1.1e-15,
            jitter_unsigned_s: 2e-11,
            jitter_signed_s: 2.2e-11,
        }
    }

    #[test]
    fn a_write_draws_the_stored_voltage_and_a_read_the_current() {
        let mut table = synthetic::table().unwrap();
        assert_eq!(table.noise_sigmas(), None);
        table.noise = Some(noise());
        let white = table.noise_sigmas().unwrap();
        assert!((white.cell_c / (0.5 * 6e-25 * 15e-9f64).sqrt() - 1.0).abs() < 1e-9);
        assert_eq!((white.write_v, white.written_c, white.unsigned_c, white.signed_c), (0.0, 0.0, 1e-15, 1.1e-15));
        // 1 mV of stored noise moves the charge by 1 mV times the slope of p: 13.6 + ... units of 8 fC per volt.
        let section = table.noise.as_mut().unwrap();
        section.white_a2_per_hz.values = vec![0.0; 2];
        section.sigma_stored_v.values = vec![1e-3; 2];
        let slope = |y: f64| 13.61226063 - 2.0 * 2.62044562 * y + 3.0 * 46.05483778 * y * y;
        let mean = (0..8).map(|k| slope(0.9 * f64::from(k) / 7.0 - 0.45).powi(2)).sum::<f64>() / 8.0;
        let by_hand = 1e-3 * mean.sqrt() * synthetic::CHARGE_PER_UNIT_C;
        let found = table.noise_sigmas().unwrap();
        assert!((found.written_c / by_hand - 1.0).abs() < 2e-3, "{} {by_hand}", found.written_c);
        assert!((found.write_v / 1e-3 - 1.0).abs() < 1e-12 && found.cell_c == 0.0, "{found:?}");
    }

    #[test]
    fn noise_that_cannot_be_is_named() {
        let mut table = synthetic::table().unwrap();
        let mut bad = noise();
        bad.sigma_signed_c = -1.0;
        bad.flicker_a2_per_hz.values[1] = -1e-18;
        table.noise = Some(bad);
        let error = table.check().unwrap_err();
        let keys: Vec<_> = error.problems().iter().filter_map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, ["noise.flicker_a2_per_hz", "noise.sigma_signed_c"]);
    }
}
