//! Width of a conversion over temperature and supply: gain, offset, knees and saturation at each anchor, Lagrange's polynomials
//! between, and what the line and its knees leave, over the line's own argument.

use serde::{Deserialize, Serialize};

use super::charge::list;
use super::{anchors, lagrange, lagrange_slopes, same};
use crate::Result;
use crate::fit::readout::{Branch, ConversionPoint, ReadoutFit, ReadoutOptions, fit_readout};
use crate::fit::{HeldOut, ModelFit, Parameter, failed};

const FIT: &str = "readout_conditions";

/// A conversion's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Temperature \[degC\].
    pub temperature_degc: f64,
    /// Supply \[V\].
    pub vdd_v: f64,
}

/// The unsigned converter at every anchor of a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutOverConditions {
    /// Temperatures, ascending \[degC\].
    pub temperature_degc: Vec<f64>,
    /// Supplies, ascending \[V\].
    pub vdd_v: Vec<f64>,
    /// Fits, by temperature, then by supply.
    pub anchors: Vec<ReadoutFit>,
}

impl ReadoutOverConditions {
    fn weights(&self, at: Condition) -> Vec<f64> {
        let over_supply = lagrange(&self.vdd_v, at.vdd_v);
        let over_temperature = lagrange(&self.temperature_degc, at.temperature_degc);
        over_temperature.iter().flat_map(|t| over_supply.iter().map(move |s| t * s)).collect()
    }

    /// Line and knees at a condition.
    pub fn branch(&self, at: Condition) -> Branch {
        let weights = self.weights(at);
        let blend = |of: fn(&Branch) -> f64| -> f64 {
            weights.iter().zip(&self.anchors).map(|(w, anchor)| w * of(&anchor.positive)).sum()
        };
        // A polynomial through small positive numbers may dip below zero.
        let positive = |of: fn(&Branch) -> f64| {
            let least = self.anchors.iter().map(|anchor| of(&anchor.positive)).fold(f64::INFINITY, f64::min);
            blend(of).max(least)
        };
        Branch {
            gain_s_per_c: blend(|b| b.gain_s_per_c),
            offset_c: blend(|b| b.offset_c),
            onset_c: blend(|b| b.onset_c),
            knee_low_s: positive(|b| b.knee_low_s),
            knee_high_s: positive(|b| b.knee_high_s),
            t_sat_s: blend(|b| b.t_sat_s),
        }
    }

    /// Width of a conversion at a condition \[s\].
    pub fn width_s(&self, charge_c: f64, at: Condition) -> f64 {
        let branch = self.branch(at);
        if charge_c < branch.onset_c {
            return 0.0;
        }
        let x_s = branch.gain_s_per_c * (charge_c - branch.offset_c);
        let left = |anchor: &ReadoutFit| {
            let own_c = anchor.positive.offset_c + x_s / anchor.positive.gain_s_per_c;
            anchor.width_s(own_c) - anchor.positive.width_s(own_c)
        };
        let left: f64 = self.weights(at).iter().zip(&self.anchors).map(|(w, anchor)| w * left(anchor)).sum();
        (branch.width_s(charge_c) + left).clamp(0.0, branch.t_sat_s)
    }
}

/// The readout over conditions, and its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutConditionsFit {
    /// Report; a bin for temperatures below and one for those above the middle anchor.
    pub fit: ModelFit,
    /// The model.
    pub model: ReadoutOverConditions,
}

/// Fits conversions on a grid of conditions; `test` lie between. Errors are fractions of `t_max_s`.
///
/// # Errors
/// `FitFailed` for fewer than three temperatures or supplies, a grid with a hole, or as [`fit_readout`] at one anchor.
pub fn fit_readout_conditions(
    train: &[(Condition, ConversionPoint)],
    test: &[(Condition, ConversionPoint)],
    limit: f64,
    options: &ReadoutOptions,
) -> Result<ReadoutConditionsFit> {
    let temperature_degc = anchors(train.iter().map(|(at, _)| at.temperature_degc));
    let vdd_v = anchors(train.iter().map(|(at, _)| at.vdd_v));
    if temperature_degc.len() < 3 || vdd_v.len() < 3 {
        let message = format!("the points are at {} temperatures and {} supplies", temperature_degc.len(), vdd_v.len());
        return Err(failed(FIT, message, "sweep `temp` and `vdd` over three values each, or more"));
    }
    let mut fits = Vec::new();
    for degc in &temperature_degc {
        for vdd in &vdd_v {
            let here =
                |(at, _): &&(Condition, ConversionPoint)| same(at.temperature_degc, *degc) && same(at.vdd_v, *vdd);
            let points: Vec<ConversionPoint> = train.iter().filter(here).map(|(_, point)| *point).collect();
            if points.is_empty() {
                let message = format!("no good point at {degc} degC and {vdd} V");
                return Err(failed(FIT, message, "run the sweep again; failed points are tried again"));
            }
            fits.push(fit_readout(&points, &points, limit, options)?);
        }
    }
    let model = ReadoutOverConditions { temperature_degc, vdd_v, anchors: fits };
    let middle = model.temperature_degc[model.temperature_degc.len() / 2];
    let compare = |(at, point): &(Condition, ConversionPoint)| {
        let bin = if at.temperature_degc < middle { "colder" } else { "hotter" };
        (bin.to_string(), point.width_s, model.width_s(point.charge_c, *at))
    };
    let compared: Vec<(String, f64, f64)> = test.iter().map(compare).collect();
    let fit = ModelFit::new(FIT, EQUATION, SOURCE, HeldOut::new(&compared, options.t_max_s), limit)
        .fitted(coefficients(&model), train.len())
        .note(format!("anchors at {} degC and {:?} V", list(&model.temperature_degc), model.vdd_v));
    Ok(ReadoutConditionsFit { fit, model })
}

/// What temperature and supply do to gain and offset, in the middle of the anchors.
fn coefficients(model: &ReadoutOverConditions) -> Vec<Parameter> {
    let middle = |anchors: &[f64]| 0.5 * (anchors[0] + anchors[anchors.len() - 1]);
    let (degc, vdd) = (middle(&model.temperature_degc), middle(&model.vdd_v));
    let product = |over_temperature: Vec<f64>, over_supply: Vec<f64>, of: fn(&Branch) -> f64| -> f64 {
        let weights = over_temperature.iter().flat_map(|t| over_supply.iter().map(move |s| t * s));
        weights.zip(&model.anchors).map(|(w, anchor)| w * of(&anchor.positive)).sum()
    };
    let per_k = |of| product(lagrange_slopes(&model.temperature_degc, degc), lagrange(&model.vdd_v, vdd), of);
    let per_v = |of| product(lagrange(&model.temperature_degc, degc), lagrange_slopes(&model.vdd_v, vdd), of);
    let gain: fn(&Branch) -> f64 = |b| b.gain_s_per_c;
    let offset: fn(&Branch) -> f64 = |b| b.offset_c;
    vec![
        Parameter::new("gain_s_per_c_per_k", "s/C/K", per_k(gain), None),
        Parameter::new("gain_s_per_c_per_v", "s/C/V", per_v(gain), None),
        Parameter::new("offset_c_per_k", "C/K", per_k(offset), None),
        Parameter::new("offset_c_per_v", "C/V", per_v(offset), None),
    ]
}

const EQUATION: &str =
    "w(Q; theta, VDD): the readout's form, its parameters Lagrange's polynomials of temperature and supply";
const SOURCE: &str = "the readout's form at each anchor; Lagrange interpolation of its parameters";

#[cfg(test)]
mod tests {
    use super::*;

    fn width_s(charge_c: f64, at: Condition) -> f64 {
        let (tau, nu) = ((at.temperature_degc - 27.0) / 100.0, at.vdd_v - 0.9);
        let gain = 24.6e3 * (1.0 + 0.02 * tau - 0.01 * tau * tau + 0.1 * nu);
        let offset = 1e-15 * (1.0 + 3.0 * tau + 20.0 * nu);
        (gain * (charge_c - offset)).clamp(0.0, 15e-9)
    }

    fn point(charge_c: f64, temperature_degc: f64, vdd_v: f64) -> (Condition, ConversionPoint) {
        let at = Condition { temperature_degc, vdd_v };
        (at, ConversionPoint { charge_c, width_s: width_s(charge_c, at) })
    }

    #[test]
    fn conditions_between_the_anchors_are_met() {
        let mut train = Vec::new();
        for degc in [-40.0, 40.0, 125.0] {
            for vdd in [0.8, 0.9, 1.0] {
                train.extend((0..36).map(|k| point(1e-15 * (20.0 * f64::from(k) - 40.0), degc, vdd)));
            }
        }
        let test: Vec<_> = (0..20)
            .map(|k| point(3.1e-14 * f64::from(k), -30.0 + 7.0 * f64::from(k), 0.83 + 0.007 * f64::from(k)))
            .collect();
        let found = fit_readout_conditions(&train, &test, 0.005, &ReadoutOptions::new(15e-9)).unwrap();
        assert!(found.fit.pass && found.fit.held_out_error < 1e-3, "{:?}", found.fit);
        let per_v = found.fit.parameter("gain_s_per_c_per_v").unwrap().value;
        assert!((per_v / 2.46e3 - 1.0).abs() < 0.02, "{per_v:e}");
        let hole: Vec<_> =
            train.iter().filter(|(at, _)| !(same(at.vdd_v, 0.9) && at.temperature_degc > 100.0)).copied().collect();
        let error = fit_readout_conditions(&hole, &test, 0.005, &ReadoutOptions::new(15e-9)).unwrap_err().to_string();
        assert!(error.contains("125 degC and 0.9 V"), "{error}");
    }
}
