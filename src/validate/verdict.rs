//! Figures of merit of one comparison, and the verdict.
//!
//! Errors are taken on pulse widths before the counter, as fractions of full scale (T_max is 1), over every element and
//! over the linear subset, whose reference lies in (0.05, 0.95) of full scale.

use serde::{Deserialize, Serialize};

/// Bounds of the linear subset, as fractions of full scale.
pub const LINEAR: (f64, f64) = (0.05, 0.95);
/// Share of T_max that S_sat and A_sat may use, so that neither range nor pulses are wasted.
pub const SCALE: (f64, f64) = (0.95, 1.05);
/// Least coefficient of determination that passes.
pub const R2_LIMIT: f64 = 0.999;
/// Least fraction of scored phi in the linear subset, so that clipped elements cannot carry a pass.
pub const LEAST_LINEAR: f64 = 0.5;
/// Least standard deviation of the reference [full scale], so that a constant cannot pass.
pub const LEAST_STD: f64 = 0.2;

/// Reference and prediction of the same quantities, as fractions of full scale.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pairs {
    /// From SPICE.
    pub spice: Vec<f64>,
    /// From the emulator.
    pub emulated: Vec<f64>,
}

/// Error figures of a set of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Root mean square error [full scale].
    pub nrmse: f64,
    /// The same on the linear subset [full scale].
    pub nrmse_linear: f64,
    /// Largest error [full scale].
    pub worst: f64,
    /// Coefficient of determination.
    pub r2: f64,
    /// Fraction of the reference in the linear subset.
    pub frac_linear: f64,
    /// Standard deviation of the reference [full scale].
    pub ref_std: f64,
    /// Elements.
    pub n: usize,
}

impl Pairs {
    /// Appends one pair.
    pub fn push(&mut self, spice: f64, emulated: f64) {
        self.spice.push(spice);
        self.emulated.push(emulated);
    }

    /// The error figures; the linear subset is judged by |reference|, so that it serves signed outputs too. An empty set
    /// scores infinite errors: nothing measured is not a pass.
    pub fn score(&self) -> Score {
        let n = self.spice.len();
        let errors: Vec<f64> = self.spice.iter().zip(&self.emulated).map(|(s, e)| e - s).collect();
        let linear: Vec<f64> = self
            .spice
            .iter()
            .zip(&errors)
            .filter(|(s, _)| s.abs() > LINEAR.0 && s.abs() < LINEAR.1)
            .map(|(_, e)| *e)
            .collect();
        let mean = self.spice.iter().sum::<f64>() / n as f64;
        let variance = self.spice.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n as f64;
        let squares = errors.iter().map(|e| e * e).sum::<f64>();
        Score {
            nrmse: rms(&errors),
            nrmse_linear: rms(&linear),
            worst: errors.iter().fold(if n == 0 { f64::INFINITY } else { 0.0 }, |w, e| w.max(e.abs())),
            r2: 1.0 - squares / (variance * n as f64),
            frac_linear: linear.len() as f64 / n as f64,
            ref_std: variance.sqrt(),
            n,
        }
    }
}

fn rms(errors: &[f64]) -> f64 {
    if errors.is_empty() {
        return f64::INFINITY;
    }
    (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt()
}

/// One row of `results/summary.json`'s `validation`: one age class of one array on one die.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationRow {
    /// Technology.
    pub tech: String,
    /// Cell.
    pub cell: String,
    /// Profile.
    pub profile: String,
    /// Cells per column.
    pub rows: usize,
    /// Columns of the K array, and of the V array.
    pub cols: [usize; 2],
    /// `fresh`, `mixed` or `oldest`.
    pub ages: String,
    /// Mismatch die, or `nominal`.
    pub die: String,
    /// Seed of the die's draws; none for nominal cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub die_seed: Option<u64>,
    /// Seed of the stimuli.
    pub seed: u64,
    /// Error of phi [full scale].
    pub nrmse_phi: f64,
    /// Error of the signed output before the counter [full scale].
    pub nrmse_output: f64,
    /// Coefficient of determination of phi.
    pub r2_phi: f64,
    /// Coefficient of determination of the output.
    pub r2_output: f64,
    /// Largest error of phi [full scale].
    pub worst_phi: f64,
    /// Largest error of the output [full scale].
    pub worst_output: f64,
    /// Fraction of scored phi in the linear subset.
    pub frac_linear: f64,
    /// Standard deviation of the reference [full scale]: phi, output.
    pub ref_std: [f64; 2],
    /// Error of phi on the linear subset [full scale].
    pub nrmse_phi_linear: f64,
    /// Error of the output on the linear subset [full scale].
    pub nrmse_output_linear: f64,
    /// Share of output codes that equal SPICE's, of those further from a code boundary than the stated error.
    pub codes_equal: f64,
    /// Errors of phi and output where the converters are taken for ideal straight lines, without the calibration by their
    /// measured curves [full scale].
    pub nrmse_uncalibrated: [f64; 2],
    /// Pulse width at S = 80 and at |A| = 40 as the converters' gains give it, over T_max.
    pub full_scale_use: [f64; 2],
    /// Limit on the four errors [full scale].
    pub limit: f64,
    /// Limit on the largest errors [full scale], if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_limit: Option<f64>,
    /// The verdict.
    pub pass: bool,
}

impl ValidationRow {
    /// Why the row does not pass; empty if it does.
    pub fn shortfalls(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, value) in [
            ("nrmse_phi", self.nrmse_phi),
            ("nrmse_output", self.nrmse_output),
            ("nrmse_phi_linear", self.nrmse_phi_linear),
            ("nrmse_output_linear", self.nrmse_output_linear),
        ] {
            if !(value <= self.limit) {
                found.push(format!(
                    "{name} is {:.3} % of full scale, limit {:.3} %",
                    100.0 * value,
                    100.0 * self.limit
                ));
            }
        }
        for (name, value) in [("worst_phi", self.worst_phi), ("worst_output", self.worst_output)] {
            if let Some(limit) = self.worst_limit.filter(|limit| !(value <= *limit)) {
                found.push(format!("{name} is {:.3} % of full scale, limit {:.3} %", 100.0 * value, 100.0 * limit));
            }
        }
        for (name, value, least) in [
            ("r2_phi", self.r2_phi, R2_LIMIT),
            ("r2_output", self.r2_output, R2_LIMIT),
            ("frac_linear", self.frac_linear, LEAST_LINEAR),
            ("ref_std of phi", self.ref_std[0], LEAST_STD),
            ("ref_std of the output", self.ref_std[1], LEAST_STD),
        ] {
            if !(value >= least) {
                found.push(format!("{name} is {value:.4}, at least {least} is asked"));
            }
        }
        for (name, value) in [("S_sat", self.full_scale_use[0]), ("A_sat", self.full_scale_use[1])] {
            if !(value >= SCALE.0 && value <= SCALE.1) {
                found.push(format!("{name} uses {:.1} % of T_max, 95 to 105 % is asked", 100.0 * value));
            }
        }
        if !(self.codes_equal >= 1.0) {
            found.push(format!("{:.1} % of the codes away from a boundary are equal", 100.0 * self.codes_equal));
        }
        found
    }
}

/// One age class with its elements, for plots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationCase {
    /// The figures.
    pub row: ValidationRow,
    /// phi, SPICE against the table.
    pub phi: Pairs,
    /// Signed output, SPICE against the table.
    pub output: Pairs,
    /// phi, SPICE against the published cubic on the same charge scale.
    pub phi_published: Pairs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_match_a_hand_calculation() {
        let pairs = Pairs { spice: vec![0.0, 0.5, 1.0], emulated: vec![0.0, 0.53, 0.96] };
        let score = pairs.score();
        assert!((score.nrmse - (0.0025f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((score.nrmse_linear - 0.03).abs() < 1e-12);
        assert!((score.worst - 0.04).abs() < 1e-12);
        assert!((score.r2 - (1.0 - 0.0025 / 0.5)).abs() < 1e-12);
        assert!((score.frac_linear - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_measured_is_no_pass() {
        let score = Pairs::default().score();
        assert!(score.nrmse.is_infinite() && score.worst.is_infinite());
    }
}
