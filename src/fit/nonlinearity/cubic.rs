//! Cubics in the stored voltage, times the pulse width: the published one with one fitted unit, and the best one.
//!
//! p(V, V_in) = sum_{i+j<=3} C_ij (V - 0.45 V)^i V_in^j with the published C_ij (N. Leroux et al., Nature Computational Science
//! 5, 813 (2025), code availability); at V_in = 0.9 V it is
//! 0.52136361 + 13.61226063 y - 2.62044562 y^2 + 46.05483778 y^3. The charge is Q = charge_per_unit p(V, V_in) T / T_max.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::{ChargePoint, ReadCondition, V_IN_V, check, held_out};
use crate::Result;
use crate::fit::linear::{self, LinearFit};
use crate::fit::retention::V_ZERO_V;
use crate::fit::{HeldOut, ModelFit, Parameter, failed};

/// The published C_ij as (i, j, value).
pub const PUBLISHED_C: [(i32, i32, f64); 10] = [
    (0, 0, 0.17393044),
    (0, 1, 0.15653739),
    (0, 2, 0.14088365),
    (0, 3, 0.12679529),
    (1, 0, 5.51975209),
    (1, 1, 4.96777688),
    (1, 2, 4.4709992),
    (2, 0, -1.44776001),
    (2, 1, -1.30298401),
    (3, 0, 46.05483778),
];

/// The published polynomial, dimensionless, for a stored voltage and a word-line amplitude [V].
pub fn published_p(v_store_v: f64, v_in_v: f64) -> f64 {
    let y = v_store_v - V_ZERO_V;
    PUBLISHED_C.iter().map(|(i, j, c)| c * y.powi(*i) * v_in_v.powi(*j)).sum()
}

/// A cubic, with the charge of a full pulse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CubicFit {
    /// Report.
    pub fit: ModelFit,
    /// Charge of a full pulse: coefficients of 1, y, y^2, y^3 with y = V - 0.45 V on the published supply [C, C/V, ...].
    pub coefficients_c: [f64; 4],
    /// Longest pulse [s].
    pub t_max_s: f64,
    /// Half the supply, the zero weight [V]. The published cubic is for [`V_ZERO_V`]; on another supply V stands for
    /// `V_ZERO_V V / v_zero_v`.
    #[serde(default = "published_zero")]
    pub v_zero_v: f64,
}

pub(super) fn published_zero() -> f64 {
    V_ZERO_V
}

/// A stored voltage on the published supply: rails stay rails, half the supply stays half.
fn on_published_supply(v_store_v: f64, v_zero_v: f64) -> f64 {
    v_store_v * (V_ZERO_V / v_zero_v)
}

impl CubicFit {
    /// Charge of a read at the precharge voltage [C].
    pub fn charge_c(&self, v_store_v: f64, t_pulse_s: f64) -> f64 {
        charge_c(&self.coefficients_c, self.t_max_s, on_published_supply(v_store_v, self.v_zero_v), t_pulse_s)
    }
}

/// One scale, `charge_per_unit_c`, fitted so that the published cubic meets the full-pulse charges of `train` at precharge.
/// Judged by the points of `test` at precharge, all widths. Model name `nonlinearity_published_cubic`.
///
/// # Errors
/// `FitFailed` for empty or broken points, or if none is at full pulse and precharge.
pub fn fit_published_cubic(
    train: &[ChargePoint],
    test: &[ChargePoint],
    condition: &ReadCondition,
    limit: f64,
) -> Result<CubicFit> {
    let name = "nonlinearity_published_cubic";
    let (full_scale_c, scale) = (check(name, train, test, condition)?, fit_unit(name, train, condition)?);
    let unit = scale.values[0];
    // Collects C_ij V_in^j by the power of y.
    let mut coefficients_c = [0.0; 4];
    for (i, j, c) in PUBLISHED_C {
        coefficients_c[i as usize] += unit * c * V_IN_V.powi(j);
    }
    let parameters = vec![Parameter::new("charge_per_unit_c", "C", unit, scale.interval(0, 0.95))];
    let errors = judge(name, &coefficients_c, test, condition, full_scale_c)?;
    let equation =
        "Q = charge_per_unit p(V, V_in) T / T_max, p = sum_{i+j<=3} C_ij (V - 0.45 V)^i V_in^j, V_in = 0.9 V";
    let source = "Leroux et al., Nat. Comput. Sci. 5, 813 (2025): C_ij as published, one unit fitted";
    let fit = ModelFit::new(name, equation, source, errors, limit).fitted(parameters, scale.residuals.len());
    Ok(CubicFit {
        fit: annotate(fit, full_scale_c),
        coefficients_c,
        t_max_s: condition.t_max_s,
        v_zero_v: condition.v_zero_v,
    })
}

/// The best cubic through the full-pulse charges of `train` at precharge; else as [`fit_published_cubic`]. Model name
/// `nonlinearity_least_squares_cubic`.
///
/// # Errors
/// As [`fit_published_cubic`], and for fewer than four levels.
pub fn fit_least_squares_cubic(
    train: &[ChargePoint],
    test: &[ChargePoint],
    condition: &ReadCondition,
    limit: f64,
) -> Result<CubicFit> {
    let name = "nonlinearity_least_squares_cubic";
    let full_scale_c = check(name, train, test, condition)?;
    let (levels, charges) = full_pulses(train, condition);
    let names = [("c0_c", "C"), ("c1_c_per_v", "C/V"), ("c2_c_per_v2", "C/V2"), ("c3_c_per_v3", "C/V3")];
    let design = DMatrix::from_fn(levels.len(), 4, |i, j| {
        (on_published_supply(levels[i], condition.v_zero_v) - V_ZERO_V).powi(j as i32)
    });
    let columns: Vec<String> = names.iter().map(|(name, _)| (*name).to_string()).collect();
    let solved = linear::solve(name, &columns, &design, &charges, None)?;
    let parameter = |(j, (name, unit)): (usize, &(&str, &str))| {
        Parameter::new(*name, unit, solved.values[j], solved.interval(j, 0.95))
    };
    let parameters = names.iter().enumerate().map(parameter).collect();
    let coefficients_c = std::array::from_fn(|j| solved.values[j]);
    let errors = judge(name, &coefficients_c, test, condition, full_scale_c)?;
    let equation = "Q = (c0 + c1 y + c2 y^2 + c3 y^3) T / T_max, y = V - 0.45 V";
    let source = "the published shape with all four coefficients fitted";
    let fit = ModelFit::new(name, equation, source, errors, limit).fitted(parameters, levels.len());
    Ok(CubicFit {
        fit: annotate(fit, full_scale_c),
        coefficients_c,
        t_max_s: condition.t_max_s,
        v_zero_v: condition.v_zero_v,
    })
}

/// The scale of the published cubic; one column, one parameter.
pub(super) fn fit_unit(fit: &str, train: &[ChargePoint], condition: &ReadCondition) -> Result<LinearFit> {
    let (levels, charges) = full_pulses(train, condition);
    let design = DMatrix::from_fn(levels.len(), 1, |i, _| {
        published_p(on_published_supply(levels[i], condition.v_zero_v), V_IN_V)
    });
    linear::solve(fit, &["charge_per_unit_c".into()], &design, &charges, None)
}

fn full_pulses(points: &[ChargePoint], condition: &ReadCondition) -> (Vec<f64>, Vec<f64>) {
    let full = points.iter().filter(|p| condition.full_pulse(p) && condition.at_precharge(p));
    full.map(|p| (p.v_store_v, p.charge_c)).unzip()
}

/// Errors at the held-out points at precharge, all widths.
fn judge(
    name: &str,
    coefficients_c: &[f64; 4],
    test: &[ChargePoint],
    condition: &ReadCondition,
    full_scale_c: f64,
) -> Result<HeldOut> {
    if !test.iter().any(|p| condition.at_precharge(p)) {
        let message = format!("no held-out point is at the precharge voltage, {} V", condition.v_pre_v);
        return Err(failed(name, message, "hold out levels or widths at the precharge voltage"));
    }
    let predict = |p: &ChargePoint| {
        let v_store_v = on_published_supply(p.v_store_v, condition.v_zero_v);
        charge_c(coefficients_c, condition.t_max_s, v_store_v, p.t_pulse_s)
    };
    Ok(held_out(test.iter().filter(|p| condition.at_precharge(p)), predict, full_scale_c))
}

fn annotate(fit: ModelFit, full_scale_c: f64) -> ModelFit {
    fit.note(format!("full scale is {full_scale_c:.4e} C, the greatest charge of a full pulse at precharge"))
        .note("has no bit-line term: judged at the precharge voltage only; one bin per pulse width")
}

fn charge_c(coefficients_c: &[f64; 4], t_max_s: f64, v_store_v: f64, t_pulse_s: f64) -> f64 {
    let y = v_store_v - V_ZERO_V;
    let full = coefficients_c.iter().rev().fold(0.0, |sum, c| sum * y + c);
    full * t_pulse_s / t_max_s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const CONDITION: ReadCondition = ReadCondition { t_max_s: 15e-9, v_pre_v: 0.45, v_zero_v: V_ZERO_V };

    fn points(levels: usize, charge: impl Fn(f64) -> f64) -> Vec<ChargePoint> {
        let mut points = Vec::new();
        for i in 0..levels {
            let v_store_v = 0.9 * i as f64 / (levels - 1) as f64;
            for t_pulse_s in [3e-9, 15e-9] {
                let charge_c = charge(v_store_v) * t_pulse_s / 15e-9;
                points.push(ChargePoint { v_store_v, t_pulse_s, v_bl_v: 0.45, charge_c });
            }
        }
        points
    }

    #[test]
    fn the_published_polynomial_collapses_as_stated() {
        for v in [0.0, 0.2, 0.45, 0.7, 0.9] {
            let y: f64 = v - 0.45;
            let stated = 0.52136361 + 13.61226063 * y - 2.62044562 * y * y + 46.05483778 * y.powi(3);
            assert!((published_p(v, 0.9) - stated).abs() < 1e-6, "{v}");
        }
    }

    #[test]
    fn recovers_the_unit_and_the_coefficients() {
        let truth = |v: f64| 9.2e-15 * published_p(v, 0.9);
        let (train, test) = (points(8, truth), points(7, truth));
        let published = fit_published_cubic(&train, &test, &CONDITION, 0.01).unwrap();
        let unit = published.fit.parameter("charge_per_unit_c").unwrap();
        assert!((unit.value / 9.2e-15 - 1.0).abs() < 1e-12 && published.fit.held_out_max < 1e-12);
        let best = fit_least_squares_cubic(&train, &test, &CONDITION, 0.01).unwrap();
        assert!((best.coefficients_c[3] / (9.2e-15 * 46.05483778) - 1.0).abs() < 1e-9 && best.fit.pass);
        assert_eq!(best.fit.bins.len(), 2);
    }

    #[test]
    fn refuses_too_few_levels_and_a_missing_full_pulse() {
        let train = points(3, |v| 1e-14 * (v - 0.4));
        let error = fit_least_squares_cubic(&train, &train, &CONDITION, 0.01).unwrap_err();
        assert_eq!(error.kind(), Kind::FitFailed);
        let short: Vec<_> = train.into_iter().filter(|p| p.t_pulse_s < 10e-9).collect();
        let error = fit_published_cubic(&short, &short, &CONDITION, 0.01).unwrap_err();
        assert!(error.to_string().contains("full scale"), "{error}");
    }
}
