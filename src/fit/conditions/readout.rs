//! Width of a conversion over temperature and supply: gain, offset, knees and saturation at each anchor, Lagrange's polynomials
//! between, and what the line and its knees leave, over the line's own argument. The signed converter has a branch for each sign.

use serde::{Deserialize, Serialize};

use super::charge::list;
use super::{anchors, lagrange, lagrange_slopes, same};
use crate::Result;
use crate::fit::readout::{Branch, ConversionPoint, ReadoutFit, ReadoutOptions, fit_readout, fit_readout_signed};
use crate::fit::{HeldOut, ModelFit, Parameter, failed};

/// A conversion's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Temperature \[degC\].
    pub temperature_degc: f64,
    /// Supply \[V\].
    pub vdd_v: f64,
}

/// A converter at every anchor of a grid.
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

    /// Line and knees at a condition, of positive or (in mirrored charge and width) of negative pulses, if there are such.
    pub fn branch(&self, at: Condition, negative: bool) -> Option<Branch> {
        let sides: Vec<&Branch> = self.anchors.iter().map(|anchor| side(anchor, negative)).collect::<Option<_>>()?;
        let weights = self.weights(at);
        let blend =
            |of: fn(&Branch) -> f64| -> f64 { weights.iter().zip(&sides).map(|(w, branch)| w * of(branch)).sum() };
        // A polynomial through small positive numbers may dip below zero.
        let positive =
            |of: fn(&Branch) -> f64| blend(of).max(sides.iter().map(|branch| of(branch)).fold(f64::INFINITY, f64::min));
        Some(Branch {
            gain_s_per_c: blend(|b| b.gain_s_per_c),
            offset_c: blend(|b| b.offset_c),
            onset_c: blend(|b| b.onset_c),
            knee_low_s: positive(|b| b.knee_low_s),
            knee_high_s: positive(|b| b.knee_high_s),
            t_sat_s: blend(|b| b.t_sat_s),
        })
    }

    /// Signed width of a conversion at a condition \[s\].
    pub fn width_s(&self, charge_c: f64, at: Condition) -> f64 {
        for (negative, sign) in [(false, 1.0), (true, -1.0)] {
            let Some(branch) = self.branch(at, negative) else { continue };
            let own_c = sign * charge_c;
            if own_c < branch.onset_c {
                continue;
            }
            let x_s = branch.gain_s_per_c * (own_c - branch.offset_c);
            let left = |anchor: &ReadoutFit| {
                side(anchor, negative).map_or(0.0, |own| {
                    let there_c = own.offset_c + x_s / own.gain_s_per_c;
                    sign * anchor.width_s(sign * there_c) - own.width_s(there_c)
                })
            };
            let left: f64 = self.weights(at).iter().zip(&self.anchors).map(|(w, anchor)| w * left(anchor)).sum();
            return sign * (branch.width_s(own_c) + left).clamp(0.0, branch.t_sat_s);
        }
        0.0
    }
}

fn side(fit: &ReadoutFit, negative: bool) -> Option<&Branch> {
    if negative { fit.negative.as_ref() } else { Some(&fit.positive) }
}

/// The readout over conditions, and its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutConditionsFit {
    /// Report; a bin for temperatures below and one for those above the middle anchor.
    pub fit: ModelFit,
    /// The model.
    pub model: ReadoutOverConditions,
}

/// Fits conversions on a grid of conditions, signed widths if `signed`; `test` lie between. Errors are fractions of `t_max_s`.
///
/// # Errors
/// `FitFailed` for fewer than three temperatures or supplies, a grid with a hole, or as [`fit_readout`] at one anchor.
pub fn fit_readout_conditions(
    train: &[(Condition, ConversionPoint)],
    test: &[(Condition, ConversionPoint)],
    limit: f64,
    options: &ReadoutOptions,
    signed: bool,
) -> Result<ReadoutConditionsFit> {
    let name = if signed { "readout_signed_conditions" } else { "readout_conditions" };
    let fit_anchor = if signed { fit_readout_signed } else { fit_readout };
    let temperature_degc = anchors(train.iter().map(|(at, _)| at.temperature_degc));
    let vdd_v = anchors(train.iter().map(|(at, _)| at.vdd_v));
    if temperature_degc.len() < 3 || vdd_v.len() < 3 {
        let message = format!("the points are at {} temperatures and {} supplies", temperature_degc.len(), vdd_v.len());
        return Err(failed(name, message, "sweep `temp` and `vdd` over three values each, or more"));
    }
    let mut fits = Vec::new();
    for degc in &temperature_degc {
        for vdd in &vdd_v {
            let here =
                |(at, _): &&(Condition, ConversionPoint)| same(at.temperature_degc, *degc) && same(at.vdd_v, *vdd);
            let points: Vec<ConversionPoint> = train.iter().filter(here).map(|(_, point)| *point).collect();
            if points.is_empty() {
                let message = format!("no good point at {degc} degC and {vdd} V");
                return Err(failed(name, message, "run the sweep again; failed points are tried again"));
            }
            fits.push(fit_anchor(&points, &points, limit, options)?);
        }
    }
    let model = ReadoutOverConditions { temperature_degc, vdd_v, anchors: fits };
    let middle = model.temperature_degc[model.temperature_degc.len() / 2];
    let compare = |(at, point): &(Condition, ConversionPoint)| {
        let bin = if at.temperature_degc < middle { "colder" } else { "hotter" };
        (bin.to_string(), point.width_s, model.width_s(point.charge_c, *at))
    };
    let compared: Vec<(String, f64, f64)> = test.iter().map(compare).collect();
    let fit = ModelFit::new(name, EQUATION, SOURCE, HeldOut::new(&compared, options.t_max_s), limit)
        .fitted(coefficients(&model), train.len())
        .note(format!("anchors at {} degC and {:?} V", list(&model.temperature_degc), model.vdd_v));
    Ok(ReadoutConditionsFit { fit, model })
}

/// What temperature and supply do to gain and offset, in the middle of the anchors.
fn coefficients(model: &ReadoutOverConditions) -> Vec<Parameter> {
    let middle = |anchors: &[f64]| 0.5 * (anchors[0] + anchors[anchors.len() - 1]);
    let (temperatures, supplies) = (&model.temperature_degc, &model.vdd_v);
    let (degc, vdd) = (middle(temperatures), middle(supplies));
    let per_k = (lagrange_slopes(temperatures, degc), lagrange(supplies, vdd));
    let per_v = (lagrange(temperatures, degc), lagrange_slopes(supplies, vdd));
    let mut parameters = Vec::new();
    for negative in [false, true] {
        let sides: Option<Vec<&Branch>> = model.anchors.iter().map(|anchor| side(anchor, negative)).collect();
        let Some(sides) = sides else { continue };
        let product = |weights: &(Vec<f64>, Vec<f64>), of: fn(&Branch) -> f64| -> f64 {
            let weights = weights.0.iter().flat_map(|t| weights.1.iter().map(move |s| t * s));
            weights.zip(&sides).map(|(w, branch)| w * of(branch)).sum()
        };
        let prefix = match (negative, model.anchors[0].negative.is_some()) {
            (true, _) => "negative_",
            (false, true) => "positive_",
            (false, false) => "",
        };
        // Charges of negative pulses are mirrored back.
        let sign = if negative { -1.0 } else { 1.0 };
        for (per, symbol, weights) in [("per_k", "K", &per_k), ("per_v", "V", &per_v)] {
            let gain = product(weights, |b| b.gain_s_per_c);
            let offset = sign * product(weights, |b| b.offset_c);
            parameters.push(Parameter::new(
                format!("{prefix}gain_s_per_c_{per}"),
                &format!("s/C/{symbol}"),
                gain,
                None,
            ));
            parameters.push(Parameter::new(format!("{prefix}offset_c_{per}"), &format!("C/{symbol}"), offset, None));
        }
    }
    parameters
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
        let found = fit_readout_conditions(&train, &test, 0.005, &ReadoutOptions::new(15e-9), false).unwrap();
        assert!(found.fit.pass && found.fit.held_out_error < 1e-3, "{:?}", found.fit);
        let per_v = found.fit.parameter("gain_s_per_c_per_v").unwrap().value;
        assert!((per_v / 2.46e3 - 1.0).abs() < 0.02, "{per_v:e}");
        let hole: Vec<_> =
            train.iter().filter(|(at, _)| !(same(at.vdd_v, 0.9) && at.temperature_degc > 100.0)).copied().collect();
        let error =
            fit_readout_conditions(&hole, &test, 0.005, &ReadoutOptions::new(15e-9), false).unwrap_err().to_string();
        assert!(error.contains("125 degC and 0.9 V"), "{error}");
    }
    #[test]
    fn either_sign_has_its_own_slope() {
        let signed = |charge_c: f64, temperature_degc: f64, vdd_v: f64| {
            let tau = (temperature_degc - 27.0) / 100.0;
            let gain = if charge_c >= 0.0 { 49e3 * (1.0 + 0.02 * tau) } else { 50e3 * (1.0 - 0.03 * tau) };
            let width_s = (gain * charge_c).clamp(-15e-9, 15e-9);
            (Condition { temperature_degc, vdd_v }, ConversionPoint { charge_c, width_s })
        };
        let mut train = Vec::new();
        for degc in [-40.0, 40.0, 125.0] {
            for vdd in [0.8, 0.9, 1.0] {
                train.extend((0..41).map(|k| signed(1e-15 * (17.0 * f64::from(k) - 340.0), degc, vdd)));
            }
        }
        let test: Vec<_> = (0..20).map(|k| signed(2.9e-14 * (f64::from(k) - 9.5), 7.0 * f64::from(k), 0.87)).collect();
        let found = fit_readout_conditions(&train, &test, 0.005, &ReadoutOptions::new(15e-9), true).unwrap();
        assert!(found.fit.pass && found.fit.held_out_error < 1e-3, "{:?}", found.fit);
        let per_k = |name: &str| found.fit.parameter(name).unwrap().value;
        assert!((per_k("positive_gain_s_per_c_per_k") / 9.8 - 1.0).abs() < 0.05);
        assert!((per_k("negative_gain_s_per_c_per_k") / -15.0 - 1.0).abs() < 0.05);
    }
}
