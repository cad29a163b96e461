//! Leakage of a holding cell over temperature.
//!
//! ```text
//! I(V, V_WBL; theta) = s(theta) y(V, V_WBL; theta),   ln s and y monotone cubics in 1 / theta
//! ```
//!
//! s is the root mean square of the current over voltages at one temperature; ln s is nearly a line in 1 / theta where one mechanism
//! decides, Arrhenius' law (S. Arrhenius, Z. Phys. Chem. 4, 226 (1889)). y tells mechanisms apart: tunnelling hardly changes with
//! temperature, what leaks below threshold follows s, and where the two have opposite signs their sum passes through zero, which a
//! logarithm of each current would not. The activation energy is E_a = -k_B d ln|I| / d(1 / theta).

use std::cmp::Ordering::Equal;

use serde::{Deserialize, Serialize};

use super::charge::list;
use super::{BOLTZMANN_EV_PER_K, anchors, same};
use crate::Result;
use crate::fit::retention::{CapacitancePoint, LeakagePoint, RateModel, WriteBitLine};
use crate::fit::{HeldOut, ModelFit, Parameter, failed, stats};
use crate::spline::Spline;
use crate::units::ZERO_CELSIUS_K;

const FIT: &str = "retention_temperature";
/// Temperatures at which a pair of voltages must be known.
const LEAST_ANCHORS: usize = 5;
/// Room temperature \[degC\].
const ROOM_DEGC: f64 = 27.0;

/// Leakage at one pair of voltages, over its scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointOverTemperature {
    /// Stored voltage \[V\].
    pub v_store_v: f64,
    /// Write bit line \[V\].
    pub v_wbl_v: f64,
    /// Temperatures at which it is known, ascending \[degC\].
    temperature_degc: Vec<f64>,
    /// y there.
    y: Vec<f64>,
}

/// Leakage at every anchor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakageOverTemperature {
    /// Anchors, ascending \[degC\].
    pub temperature_degc: Vec<f64>,
    /// ln of the scale \[A\] at each anchor.
    ln_scale: Vec<f64>,
    /// Every pair of voltages.
    pub points: Vec<PointOverTemperature>,
}

/// A curve over 1 / theta.
fn arrhenius(temperature_degc: &[f64], values: &[f64]) -> Result<Spline> {
    let inverse_k = temperature_degc.iter().rev().map(|degc| 1.0 / (degc + ZERO_CELSIUS_K)).collect();
    Spline::pchip(inverse_k, values.iter().rev().copied().collect())
}

impl LeakageOverTemperature {
    /// Leakage at a temperature: what leaves the storage node, at every pair of voltages that is known there.
    ///
    /// # Errors
    /// `OutsideValidity` for a temperature beyond the anchors.
    pub fn at(&self, temperature_degc: f64) -> Result<Vec<LeakagePoint>> {
        let at = 1.0 / (temperature_degc + ZERO_CELSIUS_K);
        let scale = arrhenius(&self.temperature_degc, &self.ln_scale)?.try_value(at)?.exp();
        let mut found = Vec::new();
        for point in &self.points {
            let y = arrhenius(&point.temperature_degc, &point.y)?;
            if y.contains(at) {
                let (v_store_v, v_wbl_v) = (point.v_store_v, point.v_wbl_v);
                found.push(LeakagePoint { v_store_v, v_wbl_v, leakage_a: scale * y.value(at) });
            }
        }
        Ok(found)
    }

    /// Activation energy at a pair of voltages, by number, and a temperature \[eV\]; says little where the current changes its sign.
    ///
    /// # Errors
    /// `OutsideValidity` for a temperature at which it is not known.
    pub fn activation_ev(&self, point: usize, temperature_degc: f64) -> Result<f64> {
        let at = 1.0 / (temperature_degc + ZERO_CELSIUS_K);
        let scale = arrhenius(&self.temperature_degc, &self.ln_scale)?;
        let y = arrhenius(&self.points[point].temperature_degc, &self.points[point].y)?;
        Ok(-BOLTZMANN_EV_PER_K * (scale.derivative(at) + y.derivative(at) / y.try_value(at)?))
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

/// Fits DC leakage, each point with its temperature \[degC\]; judges it by transients. A pair of voltages that is known at fewer than
/// [`LEAST_ANCHORS`] temperatures is left out; what a simulator finds only by relaxed options, some currents of attoamperes, is
/// missing so.
///
/// # Errors
/// `FitFailed` for fewer than three temperatures, no pair of voltages that is known at all of them, or drifts out of their range.
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
    let mut points: Vec<PointOverTemperature> = Vec::new();
    let mut sorted: Vec<&(f64, LeakagePoint)> = train.iter().collect();
    let order = |p: &LeakagePoint| (p.v_wbl_v, p.v_store_v);
    sorted.sort_by(|(t, a), (u, b)| order(a).partial_cmp(&order(b)).unwrap_or(Equal).then(t.total_cmp(u)));
    for (degc, point) in sorted {
        let (v_store_v, v_wbl_v) = (point.v_store_v, point.v_wbl_v);
        if points.last().is_none_or(|last| !(same(last.v_store_v, v_store_v) && same(last.v_wbl_v, v_wbl_v))) {
            points.push(PointOverTemperature { v_store_v, v_wbl_v, temperature_degc: Vec::new(), y: Vec::new() });
        }
        if let Some(last) = points.last_mut() {
            last.temperature_degc.push(*degc);
            last.y.push(point.leakage_a);
        }
    }
    // The scale is of the same voltages at every temperature: one that some are missing from would bend the others.
    let whole: Vec<&PointOverTemperature> =
        points.iter().filter(|point| point.y.len() == temperature_degc.len()).collect();
    if whole.is_empty() {
        let message = "no pair of voltages is known at every temperature";
        return Err(failed(FIT, message, "look at `outcome` and `tier` in points.parquet of the sweep"));
    }
    let at_anchor = |k: usize| stats::rms(&whole.iter().map(|point| point.y[k]).collect::<Vec<_>>());
    let scale: Vec<f64> = (0..temperature_degc.len()).map(at_anchor).collect();
    for point in &mut points {
        for (degc, y) in point.temperature_degc.iter().zip(&mut point.y) {
            *y /= temperature_degc.iter().zip(&scale).find(|(t, _)| same(**t, *degc)).map_or(1.0, |(_, scale)| *scale);
        }
    }
    let all = points.len();
    points.retain(|point| point.temperature_degc.len() >= LEAST_ANCHORS);
    let left_out = all - points.len();
    let ln_scale = scale.iter().map(|scale| scale.ln()).collect();
    let model = LeakageOverTemperature { temperature_degc, ln_scale, points };
    let mut compared = Vec::new();
    for degc in anchors(test.iter().map(|p| p.temperature_degc)) {
        let rate = RateModel::from_leakage(&model.at(degc)?, capacitance)?;
        for point in test.iter().filter(|p| same(p.temperature_degc, degc)) {
            let hold = WriteBitLine::Constant { v_wbl_v: point.v_wbl_v };
            let predicted = rate.hold(hold, point.v_start_v, &[0.0, point.age_s])?[1];
            compared.push((format!("{degc:.0} degC"), point.v_store_v, predicted));
        }
    }
    let (parameters, count) = (activations(&model), train.len());
    let fit = ModelFit::new(FIT, EQUATION, SOURCE, HeldOut::new(&compared, swing_v), limit)
        .fitted(parameters, count)
        .note(format!("anchors at {} degC", list(&model.temperature_degc)))
        .note(format!(
            "{left_out} of {all} pairs of voltages were left out: known at fewer than {LEAST_ANCHORS} temperatures"
        ));
    Ok(LeakageTemperatureFit { fit, model })
}

/// Activation energies at nine levels of the middle write bit line, at an anchor near room temperature and at the highest.
fn activations(model: &LeakageOverTemperature) -> Vec<Parameter> {
    let biases = anchors(model.points.iter().map(|point| point.v_wbl_v));
    let middle = biases[biases.len() / 2];
    let of: Vec<usize> = (0..model.points.len()).filter(|k| same(model.points[*k].v_wbl_v, middle)).collect();
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
            let name = format!("activation_at_{:.3}_v_{degc:.0}_degc", model.points[k].v_store_v);
            // Of what is not known there, nothing is said.
            if let Ok(energy_ev) = model.activation_ev(k, degc) {
                parameters.push(Parameter::new(name, "eV", energy_ev, None));
            }
        }
    }
    parameters
}

const EQUATION: &str = "I = s(theta) y(V, V_WBL; theta), ln s and y monotone cubics in 1 / theta";
const SOURCE: &str = "Arrhenius 1889; DC leakage at the anchors";

#[cfg(test)]
mod tests {
    use super::*;

    /// Tunnelling of 0.02 eV and a subthreshold current of 0.5 eV, of opposite signs.
    fn leakage_a(v: f64, wbl: f64, degc: f64) -> f64 {
        let arrhenius = |ev: f64| (-ev / BOLTZMANN_EV_PER_K * (1.0 / (degc + ZERO_CELSIUS_K) - 1.0 / 300.15)).exp();
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
    fn lost_points_are_passed_over_and_few_temperatures_refused() {
        let capacitance = [-0.1, 1.0].map(|v| CapacitancePoint { v_store_v: v, c_store_f: 8e-15 });
        let fit = |points: &[(f64, LeakagePoint)]| fit_leakage_temperature(points, &capacitance, &[], 0.9, 0.01);
        assert!(fit(&train(&[0.0, 85.0])).unwrap_err().to_string().contains("2 temperatures"));
        let whole = train(&[0.0, 11.0, 22.0, 33.0, 44.0, 55.0, 66.0]);
        let known =
            |degc: f64, wbl: f64| move |(t, p): &&(f64, LeakagePoint)| !(same(*t, degc) && same(p.v_wbl_v, wbl));
        let lost: Vec<_> = whole.iter().filter(known(0.0, 0.9)).filter(known(33.0, 0.45)).copied().collect();
        let model = fit(&lost).unwrap().model;
        // Beyond what is known of it a bias is left out; between, the others' temperatures hold it.
        assert_eq!(model.at(5.0).unwrap().iter().filter(|p| same(p.v_wbl_v, 0.9)).count(), 0);
        let point =
            model.at(33.0).unwrap().into_iter().find(|p| same(p.v_store_v, 0.8) && same(p.v_wbl_v, 0.45)).unwrap();
        assert!((point.leakage_a / leakage_a(0.8, 0.45, 33.0) - 1.0).abs() < 0.02, "{point:?}");
    }
}
