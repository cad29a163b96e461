//! What every fit reports.

use serde::{Deserialize, Serialize};

use crate::fit::stats;

/// One fitted (or, without an interval, given) number of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name with unit suffix: `gain_s_per_c`.
    pub name: String,
    /// Unit symbol; `1` for pure numbers.
    pub unit: String,
    /// Best value.
    pub value: f64,
    /// Lower end of the 95 % interval; absent where the data leave no degree of freedom or nothing was fitted.
    pub ci_low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub ci_high: Option<f64>,
}

impl Parameter {
    /// A parameter with its interval.
    pub fn new(name: impl Into<String>, unit: &str, value: f64, interval: Option<(f64, f64)>) -> Parameter {
        let (ci_low, ci_high) = interval.unzip();
        Parameter { name: name.into(), unit: unit.into(), value, ci_low, ci_high }
    }
}

/// The held-out error within one part of the points: a pulse width, a transient, a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// What the part is: `t_pulse_s = 1.5e-8`.
    pub name: String,
    /// Root mean square error, as a fraction of full scale.
    pub rms: f64,
    /// Greatest absolute error, as a fraction of full scale.
    pub max: f64,
    /// Held-out points in it.
    pub n: usize,
}

/// Errors at points that the fit never saw.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Root mean square error, as a fraction of full scale.
    pub rms: f64,
    /// Greatest absolute error, as a fraction of full scale.
    pub max: f64,
    /// Share of the held-out variance explained.
    pub r2: f64,
    /// By part, in the order of first appearance.
    pub bins: Vec<Bin>,
    /// Points.
    pub n: usize,
}

impl HeldOut {
    /// From (bin name, measured, predicted), with `full_scale` in the same unit as the values.
    pub fn new(points: &[(String, f64, f64)], full_scale: f64) -> HeldOut {
        let mut bins: Vec<(String, Vec<f64>)> = Vec::new();
        for (name, measured, predicted) in points {
            let error = (predicted - measured) / full_scale;
            match bins.iter_mut().find(|(bin, _)| bin == name) {
                Some((_, errors)) => errors.push(error),
                None => bins.push((name.clone(), vec![error])),
            }
        }
        let all: Vec<f64> = bins.iter().flat_map(|(_, errors)| errors.iter().copied()).collect();
        let bin = |(name, errors): &(String, Vec<f64>)| Bin {
            name: name.clone(),
            rms: stats::rms(errors),
            max: stats::max_abs(errors),
            n: errors.len(),
        };
        let (measured, predicted): (Vec<f64>, Vec<f64>) = points.iter().map(|(_, m, p)| (*m, *p)).unzip();
        HeldOut {
            rms: stats::rms(&all),
            max: stats::max_abs(&all),
            r2: stats::r_squared(&measured, &predicted),
            bins: bins.iter().map(bin).collect(),
            n: all.len(),
        }
    }

    /// The worst part's root mean square error.
    pub fn worst_bin(&self) -> f64 {
        self.bins.iter().fold(self.rms, |worst, bin| worst.max(bin.rms))
    }
}

/// A fitted model: equation, parameters, and how well it foretells points that it never saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFit {
    /// `retention`, `nonlinearity`, `readout`, `readout_signed`, `write`, `variability`, or a comparison's name.
    pub name: String,
    /// The equation, as text.
    pub equation: String,
    /// Where the equation comes from.
    pub source: String,
    /// Fitted numbers, in a fixed order.
    pub parameters: Vec<Parameter>,
    /// Points (or samples of transients) that the fit used.
    pub n_points: usize,
    /// Points that should have been there and were not.
    pub n_missing: usize,
    /// Root mean square error at held-out points, in `unit`.
    pub held_out_error: f64,
    /// Greatest absolute error at held-out points, in `unit`.
    pub held_out_max: f64,
    /// Held-out points.
    pub n_held_out: usize,
    /// Unit of the errors and of the limit: `fraction of full scale`.
    pub unit: String,
    /// Limit on the root mean square error, over all held-out points and within every bin.
    pub limit: f64,
    /// Whether `held_out_error` and the error of every bin are within `limit`.
    pub pass: bool,
    /// Share of the variance of the held-out points explained.
    pub r2: f64,
    /// Held-out error by part.
    pub bins: Vec<Bin>,
    /// What a reader must know: full scale, what was left out, what is weak.
    pub notes: Vec<String>,
}

impl ModelFit {
    /// A fit without parameters and notes, judged by its held-out errors against `limit`.
    pub fn new(name: &str, equation: &str, source: &str, held_out: HeldOut, limit: f64) -> ModelFit {
        ModelFit {
            name: name.into(),
            equation: equation.into(),
            source: source.into(),
            parameters: Vec::new(),
            n_points: 0,
            n_missing: 0,
            held_out_error: held_out.rms,
            held_out_max: held_out.max,
            n_held_out: held_out.n,
            unit: "fraction of full scale".into(),
            limit,
            // Written so that an error that is no number fails.
            pass: held_out.worst_bin() <= limit && held_out.rms.is_finite(),
            r2: held_out.r2,
            bins: held_out.bins,
            notes: Vec::new(),
        }
    }
    /// With parameters and the number of points fitted.
    pub fn fitted(mut self, parameters: Vec<Parameter>, n_points: usize) -> ModelFit {
        self.parameters = parameters;
        self.n_points = n_points;
        self
    }
    /// With the number of points that were planned but have no value.
    pub fn missing(mut self, n_missing: usize) -> ModelFit {
        self.n_missing = n_missing;
        self
    }
    /// With one more note.
    pub fn note(mut self, note: impl Into<String>) -> ModelFit {
        self.notes.push(note.into());
        self
    }
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_fractions_of_full_scale_and_every_bin_counts() {
        let points: Vec<_> = [("a", 1.0, 1.01), ("a", 2.0, 1.99), ("b", 3.0, 3.0), ("b", 4.0, 4.06)]
            .map(|(bin, measured, predicted): (&str, f64, f64)| (bin.to_string(), measured, predicted))
            .to_vec();
        let held_out = HeldOut::new(&points, 2.0);
        assert_eq!(held_out.bins.len(), 2);
        assert!((held_out.max - 0.03).abs() < 1e-12);
        assert!((held_out.bins[0].rms - 0.005).abs() < 1e-12);
        let rms = ((0.01f64.powi(2) * 2.0 + 0.06f64.powi(2)) / 4.0).sqrt() / 2.0;
        assert!((held_out.rms - rms).abs() < 1e-12);
        // The mean is within 2 %, bin b is not.
        assert!(!ModelFit::new("x", "", "", held_out.clone(), 0.02).pass);
        assert!(ModelFit::new("x", "", "", held_out, 0.022).pass);
    }

    #[test]
    fn an_error_that_is_no_number_fails_and_results_survive_json() {
        let held_out = HeldOut::new(&[("a".into(), 1.0, f64::NAN)], 1.0);
        assert!(!ModelFit::new("x", "", "", held_out, 1.0).pass);
        let fit = ModelFit::new("write", "y = x", "here", HeldOut::new(&[("a".into(), 1.0, 1.5)], 1.0), 1.0)
            .fitted(vec![Parameter::new("gain", "1", 0.1 + 0.2, None)], 3);
        let back: ModelFit = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
        assert_eq!(back, fit);
    }
}
