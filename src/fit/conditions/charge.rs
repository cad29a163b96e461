//! Charge of a pulse over temperature: Q(V, T, V_BL; theta) = sum_j L_j(theta) Q_j(V, T, V_BL), Q_j the form fitted at anchor j.

use serde::{Deserialize, Serialize};

use super::{anchors, lagrange, lagrange_slopes, same};
use crate::Result;
use crate::fit::nonlinearity::{ChargePoint, FormOptions, NonlinearityModel, ReadCondition, fit_form};
use crate::fit::{HeldOut, ModelFit, Parameter, failed};

const FIT: &str = "nonlinearity_temperature";

/// The form at every anchor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargeOverTemperature {
    /// Anchors, ascending \[degC\].
    pub temperature_degc: Vec<f64>,
    /// The form at each.
    pub models: Vec<NonlinearityModel>,
}

impl ChargeOverTemperature {
    /// Charge of a pulse at a temperature \[C\].
    pub fn charge_c(&self, v_store_v: f64, t_pulse_s: f64, v_bl_v: f64, temperature_degc: f64) -> f64 {
        let weights = lagrange(&self.temperature_degc, temperature_degc);
        weights.iter().zip(&self.models).map(|(w, model)| w * model.charge_c(v_store_v, t_pulse_s, v_bl_v)).sum()
    }
}

/// The form over temperature, and its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargeTemperatureFit {
    /// Report; a bin per decade of pulse width.
    pub fit: ModelFit,
    /// The model.
    pub model: ChargeOverTemperature,
}

/// Fits points, each with its temperature \[degC\]; `test` are points at other temperatures.
///
/// # Errors
/// `FitFailed` for fewer than three temperatures, or as [`fit_form`] at one of them.
pub fn fit_charge_temperature(
    train: &[(f64, ChargePoint)],
    test: &[(f64, ChargePoint)],
    condition: &ReadCondition,
    limit: f64,
    options: &FormOptions,
) -> Result<ChargeTemperatureFit> {
    let temperature_degc = anchors(train.iter().map(|(temperature, _)| *temperature));
    if temperature_degc.len() < 3 {
        let message = format!("the points are at {} temperatures", temperature_degc.len());
        return Err(failed(FIT, message, "sweep `temp` over three temperatures or more"));
    }
    let at = |degc: f64| -> Vec<ChargePoint> {
        train.iter().filter(|(t, _)| same(*t, degc)).map(|(_, point)| *point).collect()
    };
    let fitted = |degc: &f64| Ok(fit_form(&at(*degc), &at(*degc), condition, limit, options)?.model);
    let models = temperature_degc.iter().map(fitted).collect::<Result<Vec<_>>>()?;
    let model = ChargeOverTemperature { temperature_degc, models };
    let full_scale_c = test.iter().fold(0.0, |most: f64, (_, point)| most.max(point.charge_c.abs()));
    let compared: Vec<(String, f64, f64)> = test
        .iter()
        .map(|(degc, p)| {
            let bin = format!("decade {:.0}", p.t_pulse_s.log10().floor());
            (bin, p.charge_c, model.charge_c(p.v_store_v, p.t_pulse_s, p.v_bl_v, *degc))
        })
        .collect();
    let parameters = coefficients(&model, condition);
    let fit = ModelFit::new(FIT, EQUATION, SOURCE, HeldOut::new(&compared, full_scale_c), limit)
        .fitted(parameters, train.len())
        .note(format!("anchors at {} degC", list(&model.temperature_degc)));
    Ok(ChargeTemperatureFit { fit, model })
}

/// Change of a full pulse's charge at every level per kelvin, at the middle of the anchors.
fn coefficients(model: &ChargeOverTemperature, condition: &ReadCondition) -> Vec<Parameter> {
    let anchors = &model.temperature_degc;
    let middle = 0.5 * (anchors[0] + anchors[anchors.len() - 1]);
    let slopes = lagrange_slopes(anchors, middle);
    let nodes = model.models[0].current_a.nodes();
    let at = |v: &f64| {
        let charge = |m: &NonlinearityModel| m.charge_c(*v, condition.t_max_s, condition.v_pre_v);
        let slope: f64 = slopes.iter().zip(&model.models).map(|(s, m)| s * charge(m)).sum();
        Parameter::new(format!("charge_c_per_k_at_{v:.3}_v"), "C/K", slope, None)
    };
    nodes.iter().map(at).collect()
}

pub(super) fn list(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(", ")
}

const EQUATION: &str =
    "Q(V, T, V_BL; theta) = sum_j L_j(theta) Q_j(V, T, V_BL), L_j Lagrange's polynomials of the anchors";
const SOURCE: &str =
    "the nonlinearity's form at each anchor; Lagrange interpolation of its node values over temperature";

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell whose current falls with temperature by a quadratic law.
    fn charge_c(v: f64, t: f64, u: f64, degc: f64) -> f64 {
        let tau = (degc - 27.0) / 100.0;
        let current = 10e-6 * (v - 0.45) * (1.0 - 0.2 * tau + 0.03 * tau * tau);
        current * t + 0.1e-15 * v * (1.0 - (-t / 50e-12f64).exp()) - 1e-6 * v * u * t
    }

    fn point(v: f64, t: f64, bl: f64, degc: f64) -> (f64, ChargePoint) {
        (degc, ChargePoint { v_store_v: v, t_pulse_s: t, v_bl_v: bl, charge_c: charge_c(v, t, bl - 0.45, degc) })
    }

    const CONDITION: ReadCondition = ReadCondition { t_max_s: 15e-9, v_pre_v: 0.45, v_zero_v: 0.45 };

    #[test]
    fn between_the_anchors_the_charge_is_met() {
        let mut train = Vec::new();
        for degc in [-40.0, 40.0, 125.0] {
            for v in 0..10 {
                for t in [0.1e-9, 0.5e-9, 1e-9, 4e-9, 15e-9] {
                    train.extend([0.35, 0.45, 0.55].map(|bl| point(0.1 * f64::from(v), t, bl, degc)));
                }
            }
        }
        let test = [point(0.33, 7e-9, 0.5, 80.0), point(0.81, 2e-9, 0.4, -10.0), point(0.05, 13e-9, 0.45, 110.0)];
        let options = FormOptions::default();
        let found = fit_charge_temperature(&train, &test, &CONDITION, 0.005, &options).unwrap();
        assert!(found.fit.pass && found.fit.held_out_error < 1e-4, "{:?}", found.fit);
        let slope = found.fit.parameters.iter().find(|p| p.name == "charge_c_per_k_at_0.900_v").unwrap().value;
        // d/dtheta of 10 uA/V (V - V_zero) (1 - 0.2 tau + 0.03 tau^2) over 15 ns, in the middle of the anchors.
        let truth = 10e-6 * 0.45 * 15e-9 * (-0.2 + 0.06 * (42.5 - 27.0) / 100.0) / 100.0;
        assert!((slope / truth - 1.0).abs() < 1e-3, "{slope:e} {truth:e}");
        let few: Vec<_> = train.iter().filter(|(degc, _)| *degc < 100.0).copied().collect();
        assert!(fit_charge_temperature(&few, &test, &CONDITION, 0.005, &options).is_err());
    }
}
