//! The write DAC's calibration: the voltages to drive so that the stored levels are evenly spaced.
//!
//! The inverse of the write model. **Convention**: the levels are spaced evenly over the part of the nominal range, 0 to the supply, that
//! a driven voltage between the rails can reach; the first and the last stand at its ends. A nominal level outside that part cannot be
//! stored by any driven voltage and is named. The level before the write is half the supply, the mean over uniform levels.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::failed;
use crate::fit::write::WriteFit;

const FIT: &str = "write";
/// Steps in which the curve is checked for rising.
const STEPS: u32 = 256;
/// Halvings of the supply that a driven level is searched with: below a nanovolt.
const HALVINGS: u32 = 32;
/// A nominal level as near as this to the reach counts as reached [V].
const SLACK_V: f64 = 1e-6;

/// Which voltages to drive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DacCalibration {
    /// Voltage to drive for each level [V], ascending, within the rails.
    pub driven_v: Vec<f64>,
    /// What is then stored, by the model [V].
    pub stored_v: Vec<f64>,
    /// Least and greatest stored voltage within the nominal range that a driven voltage reaches [V].
    pub reach_v: [f64; 2],
    /// Nominal levels, evenly from 0 to the supply, that no driven voltage stores.
    pub unreachable: Vec<usize>,
    /// Greatest deviation of a stored spacing from the even one, by the model [V].
    pub spacing_error_v: f64,
    /// The same if the nominal levels themselves are driven [V].
    pub uncalibrated_spacing_error_v: f64,
    /// What the level before moves a stored voltage by, at most, from the mean [V].
    pub memory_v: f64,
}

/// The calibration of `levels` levels from the write's model between the rails 0 and `vdd_v`.
///
/// # Errors
/// `FitFailed` for fewer than two levels, a supply that is not positive, or a stored voltage that does not rise with the driven one.
pub fn calibrate(write: &WriteFit, levels: u32, vdd_v: f64) -> Result<DacCalibration> {
    if levels < 2 || !(vdd_v > 0.0 && vdd_v.is_finite()) {
        let message = format!("{levels} levels over {vdd_v} V cannot be spaced");
        return Err(failed(FIT, message, "give two levels or more and a positive supply"));
    }
    let stored = |driven_v: f64| write.stored_v(driven_v, vdd_v / 2.0);
    let curve: Vec<f64> = (0..=STEPS).map(|k| stored(vdd_v * f64::from(k) / f64::from(STEPS))).collect();
    if !curve.windows(2).all(|pair| pair[1] > pair[0]) {
        let message = "the stored voltage does not rise with the driven one: no driven level is found from it";
        return Err(failed(FIT, message, "look at the write's fit and its points"));
    }
    let reach_v = [stored(0.0).max(0.0), stored(vdd_v).min(vdd_v)];
    if reach_v[0] >= reach_v[1] {
        let message = format!("stored voltages reach from {} V to {} V only", stored(0.0), stored(vdd_v));
        return Err(failed(FIT, message, "look at the write's fit and its points"));
    }
    let even = |k: u32, [low, high]: [f64; 2]| low + (high - low) * f64::from(k) / f64::from(levels - 1);
    let drive = |target_v: f64| {
        let (mut low, mut high) = (0.0, vdd_v);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if stored(middle) < target_v { low = middle } else { high = middle }
        }
        // The ends themselves, not within a halving of them.
        if target_v <= stored(0.0) {
            0.0
        } else if target_v >= stored(vdd_v) {
            vdd_v
        } else {
            0.5 * (low + high)
        }
    };
    let driven_v: Vec<f64> = (0..levels).map(|k| drive(even(k, reach_v))).collect();
    let stored_v: Vec<f64> = driven_v.iter().map(|v| stored(*v)).collect();
    let nominal: Vec<f64> = (0..levels).map(|k| even(k, [0.0, vdd_v])).collect();
    let reached = |v: &f64| *v >= reach_v[0] - SLACK_V && *v <= reach_v[1] + SLACK_V;
    let uncalibrated: Vec<f64> = nominal.iter().map(|v| stored(*v)).collect();
    Ok(DacCalibration {
        unreachable: (0..nominal.len()).filter(|k| !reached(&nominal[*k])).collect(),
        spacing_error_v: spacing_error_v(&stored_v),
        uncalibrated_spacing_error_v: spacing_error_v(&uncalibrated),
        memory_v: write.previous_coupling.abs() * vdd_v / 2.0,
        driven_v,
        stored_v,
        reach_v,
    })
}

/// Greatest deviation of a spacing of `stored_v` from their mean spacing [V].
pub fn spacing_error_v(stored_v: &[f64]) -> f64 {
    let (first, last) = (stored_v.first().copied().unwrap_or(0.0), stored_v.last().copied().unwrap_or(0.0));
    let even = (last - first) / (stored_v.len().max(2) - 1) as f64;
    stored_v.windows(2).fold(0.0, |worst: f64, pair| worst.max((pair[1] - pair[0] - even).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::fit::{HeldOut, ModelFit};

    /// V_stored - 0.45 V as a cubic of y, plus the level before.
    fn write(coefficients: [f64; 4], previous_coupling: f64) -> WriteFit {
        let held_out = HeldOut::new(&[("x".into(), 0.0, 0.0)], 0.9);
        let fit = ModelFit::new("write", "", "", held_out, 0.01);
        WriteFit { fit, coefficients, previous_coupling, rest: Vec::new(), v_level_range_v: (0.0, 0.9), v_zero_v: 0.45 }
    }

    #[test]
    fn a_straight_write_is_inverted_exactly() {
        // Stored = 0.45 + 2 mV + 0.98 y: from 11 mV to 893 mV.
        let found = calibrate(&write([0.002, 0.98, 0.0, 0.0], 0.0), 8, 0.9).unwrap();
        assert!((found.reach_v[0] - 0.011).abs() < 1e-12 && (found.reach_v[1] - 0.893).abs() < 1e-12);
        for (k, driven_v) in found.driven_v.iter().enumerate() {
            assert!(
                (driven_v - 0.9 * k as f64 / 7.0).abs() < 1e-8,
                "a straight write needs no calibration of its spacing"
            );
        }
        assert_eq!(found.unreachable, [0, 7]);
        assert!(found.spacing_error_v < 1e-8 && found.uncalibrated_spacing_error_v < 1e-12);
    }

    #[test]
    fn a_bent_write_is_straightened_within_the_rails() {
        // y = +-0.45 V: offset -4 mV, gain 1.01, bends of 0.03 / V and 0.06 / V2.
        let model = write([-0.004, 1.01, 0.03, 0.06], 0.004);
        let found = calibrate(&model, 8, 0.9).unwrap();
        let by_hand = 0.45 - 0.004 + 1.01 * 0.45 + 0.03 * 0.2025 + 0.06 * 0.091125 - 0.004 * 0.45;
        assert!((model.stored_v(0.9, 0.45) - by_hand).abs() < 1e-12 && by_hand > 0.9);
        // The upper end is beyond the supply: it is reached with less than the supply, and the lower one by 0 V.
        assert_eq!(found.reach_v[1], 0.9);
        assert!(found.driven_v[7] < 0.9 && found.driven_v[0] >= 0.0);
        assert!(found.driven_v.windows(2).all(|pair| pair[1] > pair[0]));
        assert!(found.spacing_error_v < 1e-8 && found.uncalibrated_spacing_error_v > 1e-3);
        assert!((found.memory_v - 0.0018).abs() < 1e-12);
        for (k, stored_v) in found.stored_v.iter().enumerate() {
            let even = found.reach_v[0] + (found.reach_v[1] - found.reach_v[0]) * k as f64 / 7.0;
            assert!((stored_v - even).abs() < 1e-8);
        }
    }

    #[test]
    fn what_cannot_be_inverted_is_refused() {
        let falling = write([0.0, 1.0, 0.0, -10.0], 0.0);
        for (model, levels, vdd_v) in [(falling, 8, 0.9), (write([0.0, 1.0, 0.0, 0.0], 0.0), 1, 0.9)] {
            assert_eq!(calibrate(&model, levels, vdd_v).unwrap_err().kind(), Kind::FitFailed);
        }
        assert!(calibrate(&write([2.0, 1.0, 0.0, 0.0], 0.0), 8, 0.9).unwrap_err().to_string().contains("reach"));
    }

    #[test]
    fn spacings_are_judged_against_their_mean() {
        assert!((spacing_error_v(&[0.0, 0.1, 0.25, 0.3]) - 0.05).abs() < 1e-12);
        assert_eq!(spacing_error_v(&[0.3]), 0.0);
    }
}
