//! The converters' levels. Ties go to the even level, as in the published network code.

use super::options::Counter;

/// `x` in [0, full] rounded to the nearest of `levels` equidistant values, both ends included.
#[inline]
pub fn to_level(x: f64, full: f64, levels: Option<u32>) -> f64 {
    match levels {
        None => x,
        Some(levels) => f64::from(level_code(x, full, levels)) * full / f64::from(levels - 1),
    }
}

/// The number of that level, from 0; `x` is within [0, full].
#[inline]
pub fn level_code(x: f64, full: f64, levels: u32) -> u32 {
    // 1.5 * 2^52 leaves the nearest integer in the last bits: the processor's own rounding, which is no call.
    ((x / full * f64::from(levels - 1) + 6_755_399_441_055_744.0).to_bits() & 0xffff_ffff) as u32
}

impl Counter {
    /// A signed pulse, as a fraction of the full one, after this counter; its input is clipped to [-1, 1].
    pub fn value(self, fraction: f64) -> f64 {
        let step = match self {
            Counter::Exact => return fraction.clamp(-1.0, 1.0),
            _ => self.step(),
        };
        f64::from(self.code(fraction)) * step
    }

    /// The signed code of that value; 0 for [`Counter::Exact`], which has none.
    pub fn code(self, fraction: f64) -> i32 {
        let x = fraction.clamp(-1.0, 1.0);
        match self {
            Counter::Exact => 0,
            Counter::SignMagnitude(magnitudes) => {
                let magnitude = (x.abs() * f64::from(magnitudes - 1)).round_ties_even() as i32;
                if x < 0.0 { -magnitude } else { magnitude }
            }
            Counter::PublishedStep(levels) => (x / 2.0 * f64::from(levels - 1)).round_ties_even() as i32,
        }
    }

    /// Difference of neighbouring values; 0 for [`Counter::Exact`].
    pub fn step(self) -> f64 {
        match self {
            Counter::Exact => 0.0,
            Counter::SignMagnitude(magnitudes) => 1.0 / f64::from(magnitudes - 1),
            Counter::PublishedStep(levels) => 2.0 / f64::from(levels - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn codes(counter: Counter) -> BTreeSet<i32> {
        (-40_000..=40_000).map(|k| counter.code(f64::from(k) / 40_000.0)).collect()
    }

    #[test]
    fn sixteen_magnitudes_and_a_sign() {
        let counter = Counter::SignMagnitude(16);
        assert_eq!(codes(counter), (-15..=15).collect());
        assert_eq!((counter.value(1.0), counter.value(-7.0)), (1.0, -1.0));
        assert!((counter.value(0.5) - 8.0 / 15.0).abs() < 1e-15);
    }

    /// The system notes: 33 codes, values up to 1.032.
    #[test]
    fn the_published_step_yields_33_codes() {
        let counter = Counter::PublishedStep(32);
        assert_eq!(codes(counter).len(), 33);
        assert!((counter.value(1.0) - 32.0 / 31.0).abs() < 1e-15);
    }

    #[test]
    fn levels_include_both_ends() {
        assert_eq!(to_level(0.9, 0.9, Some(8)), 0.9);
        assert_eq!(to_level(0.05, 0.9, Some(8)), 0.0);
        assert_eq!(to_level(0.2, 0.9, None), 0.2);
        assert_eq!(level_code(0.5, 1.0, 16), 8);
    }
}
