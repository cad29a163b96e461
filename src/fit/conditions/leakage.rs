//! Leakage of a holding cell over temperature.
//!
//! ```text
//! I(V, V_WBL; theta) = s(theta) y(V, V_WBL; theta),   ln s and y monotone cubics in 1 / theta
//! ```
//!
//! s is the root mean square of the current over all voltages at one temperature; ln s is nearly a line in 1 / theta where one mechanism
//! decides, Arrhenius' law (S. Arrhenius, Z. Phys. Chem. 4, 226 (1889)). y tells mechanisms apart: tunnelling hardly changes with
//! temperature, what leaks below threshold follows s, and where the two have opposite signs their sum passes through zero, which a
//! logarithm of each current would not. The activation energy is E_a = -k_B d ln|I| / d(1 / theta).

use serde::{Deserialize, Serialize};

use super::charge::list;
use super::{BOLTZMANN_EV_PER_K, ZERO_DEGC_K, anchors, same};
use crate::Result;
use crate::fit::retention::{CapacitancePoint, LeakagePoint, RateModel, WriteBitLine};
use crate::fit::{HeldOut, ModelFit, Parameter, failed, stats};
use crate::spline::Spline;

const FIT: &str = "retention_temperature";
/// Room temperature \[degC\].
const ROOM_DEGC: f64 = 27.0;

/// Leakage at every anchor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakageOverTemperature {
    /// Anchors, ascending \[degC\].
    pub temperature_degc: Vec<f64>,
    /// Stored voltage and write bit line of every point \[V\].
    pub points_v: Vec<(f64, f64)>,
    /// ln of the scale \[A\] at each anchor.
    ln_scale: Vec<f64>,
    /// y at each anchor, by point.
    y: Vec<Vec<f64>>,
}

impl LeakageOverTemperature {
    /// A curve over 1 / theta through values at the anchors.
    fn curve(&self, values: impl DoubleEndedIterator<Item = f64>) -> Result<Spline> {
        let inverse_k = self.temperature_degc.iter().rev().map(|degc| 1.0 / (degc + ZERO_DEGC_K)).collect();
        Spline::pchip(inverse_k, values.rev().collect())
    }

    fn y_of(&self, point: usize) -> Result<Spline> {
        self.curve(self.y.iter().map(|y| y[point]))
    }

    /// Leakage at every point and a temperature: what leaves the storage node.
    ///
    /// # Errors
    /// `OutsideValidity` for a temperature beyond the anchors.
    pub fn at(&self, temperature_degc: f64) -> Result<Vec<LeakagePoint>> {
        let at = 1.0 / (temperature_degc + ZERO_DEGC_K);
        let scale = self.curve(self.ln_scale.iter().copied())?.try_value(at)?.exp();
        let point = |(k, (v_store_v, v_wbl_v)): (usize, &(f64, f64))| {
            let leakage_a = scale * self.y_of(k)?.value(at);
            Ok(LeakagePoint { v_store_v: *v_store_v, v_wbl_v: *v_wbl_v, leakage_a })
        };
        self.points_v.iter().enumerate().map(point).collect()
    }

    /// Activation energy at a point, by number, and a temperature \[eV\]; says little where the current changes its sign.
    ///
    /// # Errors
    /// As [`LeakageOverTemperature::at`].
    pub fn activation_ev(&self, point: usize, temperature_degc: f64) -> Result<f64> {
        let at = 1.0 / (temperature_degc + ZERO_DEGC_K);
        let (scale, y) = (self.curve(self.ln_scale.iter().copied())?, self.y_of(point)?);
        let slope = scale.derivative(at) + y.derivative(at) / y.try_value(at)?;
        Ok(-BOLTZMANN_EV_PER_K * slope)
    }
}

/// A drift that no fit has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftPoint {
    /// Temperature \[degC\].
    pub temperature_degc: f64,
    /// Start, write bit line \[V\].
    pub v_start_v: f64,
    /// Write bit line \[V\].
    pub v_wbl_v: f64,
    /// Age \[s\].
    pub age_s: f64,
    /// Stored voltage then \[V\].
    pub v_store_v: f64,
}

/// The leakage over temperature, and its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakageTemperatureFit {
    /// Report: errors of drifts at temperatures between the anchors, as fractions of the swing; a bin per temperature.
    pub fit: ModelFit,
    /// The model.
    pub model: LeakageOverTemperature,
}

/// Fits DC leakage, each point with its temperature \[degC\], all temperatures with the same voltages; judges it by transients.
///
/// # Errors
/// `FitFailed` for fewer than three temperatures, temperatures with different voltages, or drifts out of their range.
pub fn fit_leakage_temperature(
    train: &[(f64, LeakagePoint)],
    capacitance: &[CapacitancePoint],
    test: &[DriftPoint],
    swing_v: f64,
    limit: f64,
) -> Result<LeakageTemperatureFit> {
    let temperature_degc = anchors(train.iter().map(|(temperature, _)| *temperature));
    if temperature_degc.len() < 3 {
        let message = format!("the points are at {} temperatures", temperature_degc.len());
        return Err(failed(FIT, message, "sweep `temp` over three temperatures or more"));
    }
    let at = |degc: f64| train.iter().filter(move |(t, _)| same(*t, degc)).map(|(_, point)| point);
    let points_v: Vec<(f64, f64)> = at(temperature_degc[0]).map(|p| (p.v_store_v, p.v_wbl_v)).collect();
    let (mut ln_scale, mut y) = (Vec::new(), Vec::new());
    for degc in &temperature_degc {
        let currents: Vec<f64> = at(*degc).map(|p| p.leakage_a).collect();
        if !at(*degc).map(|p| (p.v_store_v, p.v_wbl_v)).eq(points_v.iter().copied()) {
            let message = format!("the voltages at {degc} degC are not those at {} degC", temperature_degc[0]);
            return Err(failed(FIT, message, "sweep the same voltages at every temperature; look for failed points"));
        }
        let scale = stats::rms(&currents);
        ln_scale.push(scale.ln());
        y.push(currents.iter().map(|current| current / scale).collect());
    }
    let model = LeakageOverTemperature { temperature_degc, points_v, ln_scale, y };
    let mut compared = Vec::new();
    for degc in anchors(test.iter().map(|p| p.temperature_degc)) {
        let rate = RateModel::from_leakage(&model.at(degc)?, capacitance)?;
        for point in test.iter().filter(|p| same(p.temperature_degc, degc)) {
            let hold = WriteBitLine::Constant { v_wbl_v: point.v_wbl_v };
            let predicted = rate.hold(hold, point.v_start_v, &[0.0, point.age_s])?[1];
            compared.push((format!("{degc:.0} degC"), point.v_store_v, predicted));
        }
    }
    let (parameters, count) = (activations(&model)?, train.len());
    let fit = ModelFit::new(FIT, EQUATION, SOURCE, HeldOut::new(&compared, swing_v), limit)
        .fitted(parameters, count)
        .note(format!("anchors at {} degC", list(&model.temperature_degc)));
    Ok(LeakageTemperatureFit { fit, model })
}

/// Activation energies at nine levels of the middle write bit line, at an anchor near room temperature and at the highest.
fn activations(model: &LeakageOverTemperature) -> Result<Vec<Parameter>> {
    let biases = anchors(model.points_v.iter().map(|(_, wbl)| *wbl));
    let middle = biases[biases.len() / 2];
    let of: Vec<usize> = (0..model.points_v.len()).filter(|k| same(model.points_v[*k].1, middle)).collect();
    let all = &model.temperature_degc;
    let room = all
        .iter()
        .copied()
        .fold(all[0], |best, t| if (t - ROOM_DEGC).abs() < (best - ROOM_DEGC).abs() { t } else { best });
    let temperatures = [room, all[all.len() - 1]];
    let mut parameters = Vec::new();
    for degc in temperatures {
        for n in 0..9 {
            let k = of[n * (of.len() - 1) / 8];
            let name = format!("activation_at_{:.3}_v_{degc:.0}_degc", model.points_v[k].0);
            parameters.push(Parameter::new(name, "eV", model.activation_ev(k, degc)?, None));
        }
    }
    Ok(parameters)
}

const EQUATION: &str = "I = s(theta) y(V, V_WBL; theta), ln s and y monotone cubics in 1 / theta";
const SOURCE: &str = "Arrhenius 1889; DC leakage at the anchors";

#[cfg(test)]
mod tests {
    use super::*;

    /// Tunnelling of 0.02 eV and a subthreshold current of 0.5 eV, of opposite signs.
    fn leakage_a(v: f64, wbl: f64, degc: f64) -> f64 {
        let arrhenius = |ev: f64| (-ev / BOLTZMANN_EV_PER_K * (1.0 / (degc + ZERO_DEGC_K) - 1.0 / 300.15)).exp();
        2e-13 * v.powi(3) * arrhenius(0.02) + 4e-13 * (v - wbl) * arrhenius(0.5)
    }

    fn train(temperatures: &[f64]) -> Vec<(f64, LeakagePoint)> {
        let mut points = Vec::new();
        for degc in temperatures {
            for wbl in [0.0, 0.45, 0.9] {
                for k in 0..=40 {
                    let v = -0.05 + 0.025 * f64::from(k);
                    let point = LeakagePoint { v_store_v: v, v_wbl_v: wbl, leakage_a: leakage_a(v, wbl, *degc) };
                    points.push((*degc, point));
                }
            }
        }
        points
    }

    #[test]
    fn drifts_between_the_anchors_and_activation_energies() {
        let capacitance: Vec<CapacitancePoint> =
            [-0.1, 0.3, 0.6, 1.0].map(|v| CapacitancePoint { v_store_v: v, c_store_f: 8e-15 }).to_vec();
        let mut test = Vec::new();
        for degc in [10.0, 60.0, 100.0] {
            for v_start_v in [0.0, 0.5, 0.9] {
                let rate = |v: f64| -leakage_a(v, 0.45, degc) / 8e-15;
                let v_store_v = crate::fit::ode::drift(rate, v_start_v, &[0.0, 8e-4]).unwrap()[1];
                test.push(DriftPoint { temperature_degc: degc, v_start_v, v_wbl_v: 0.45, age_s: 8e-4, v_store_v });
            }
        }
        let train = train(&[-40.0, -20.0, 0.0, 20.0, 40.0, 60.0, 80.0, 105.0, 125.0]);
        let found = fit_leakage_temperature(&train, &capacitance, &test, 0.9, 0.01).unwrap();
        assert!(found.fit.pass && found.fit.held_out_error < 2e-3, "{:?}", found.fit);
        // At 125 degC the subthreshold part is all there is.
        let hot = found.fit.parameters.iter().find(|p| p.name == "activation_at_-0.050_v_125_degc").unwrap();
        assert!((hot.value - 0.5).abs() < 0.03, "{hot:?}");
    }

    #[test]
    fn different_voltages_and_few_temperatures_are_refused() {
        let capacitance = [CapacitancePoint { v_store_v: 0.0, c_store_f: 8e-15 }];
        let error = |points: &[(f64, LeakagePoint)]| {
            fit_leakage_temperature(points, &capacitance, &[], 0.9, 0.01).unwrap_err().to_string()
        };
        assert!(error(&train(&[0.0, 85.0])).contains("2 temperatures"));
        let mut lost = train(&[0.0, 40.0, 85.0]);
        lost.remove(200);
        assert!(error(&lost).contains("40 degC"), "{}", error(&lost));
    }
}
