//! Nonlinearity: the charge that one cell puts on its bit line, against stored voltage, pulse width and bit-line voltage.
//!
//! The published cubic ([`cubic`]) stands beside the form that holds ([`form`]),
//!
//! ```text
//! Q(V, T, V_BL) = I(V) T + e(V) s(T) + sum_r a_r(V) h_r(T) - g(V) (V_BL - V_pre) T
//! ```

mod cubic;
mod form;
mod residual;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::{HeldOut, check_points, failed};

pub use cubic::{CubicFit, PUBLISHED_C, fit_least_squares_cubic, fit_published_cubic, published_p};
pub use form::{FormOptions, NonlinearityFit, NonlinearityModel, fit_form};
pub use residual::ResidualTerm;

/// The word-line amplitude of the published cell [V].
pub const V_IN_V: f64 = 0.9;

/// Bit lines [V] and widths (as a fraction) closer than this are the same.
const NEAR: f64 = 1e-6;

/// The charge of one read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChargePoint {
    /// Stored voltage before the read [V].
    pub v_store_v: f64,
    /// Width of the word-line pulse [s].
    pub t_pulse_s: f64,
    /// Bit line during the read [V].
    pub v_bl_v: f64,
    /// Charge put on the bit line [C], in the sign in which a high weight is positive.
    pub charge_c: f64,
}

/// Where a read is at home: the longest pulse and the precharged bit line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadCondition {
    /// Longest pulse [s].
    pub t_max_s: f64,
    /// Precharge voltage of the bit line [V].
    pub v_pre_v: f64,
    /// Half the supply, the zero weight [V].
    #[serde(default = "cubic::published_zero")]
    pub v_zero_v: f64,
}

impl ReadCondition {
    fn at_precharge(&self, point: &ChargePoint) -> bool {
        (point.v_bl_v - self.v_pre_v).abs() <= NEAR
    }
    fn full_pulse(&self, point: &ChargePoint) -> bool {
        (point.t_pulse_s / self.t_max_s - 1.0).abs() <= NEAR
    }
}

/// Refuses broken points, then returns the full scale: the greatest |Q| of a full pulse at precharge [C].
fn check(fit: &str, train: &[ChargePoint], test: &[ChargePoint], condition: &ReadCondition) -> Result<f64> {
    for (set, points) in [("training", train), ("held-out", test)] {
        let numbers = points.iter().map(|p| [p.v_store_v, p.t_pulse_s, p.v_bl_v, p.charge_c]);
        check_points(fit, set, ["v_store_v", "t_pulse_s", "v_bl_v", "charge_c"], numbers)?;
        if let Some(point) = points.iter().find(|p| p.t_pulse_s < 0.0 || p.t_pulse_s > condition.t_max_s * (1.0 + NEAR))
        {
            let message = format!("a {set} pulse of {} s is not within 0 to {} s", point.t_pulse_s, condition.t_max_s);
            return Err(failed(fit, message, "fit with the greatest width as t_max_s"));
        }
    }
    let full = train.iter().filter(|p| condition.full_pulse(p) && condition.at_precharge(p));
    let full_scale_c = full.fold(0.0, |greatest: f64, p| greatest.max(p.charge_c.abs()));
    if full_scale_c > 0.0 {
        return Ok(full_scale_c);
    }
    let message = format!(
        "no training point carries charge at t_pulse_s = {:e} and v_bl_v = {}, which set the full scale",
        condition.t_max_s, condition.v_pre_v
    );
    Err(failed(fit, message, "sweep the levels at the longest pulse and the precharge voltage too"))
}

/// Held-out errors of `predict`, one bin per pulse width.
fn held_out<'a>(
    points: impl Iterator<Item = &'a ChargePoint>,
    predict: impl Fn(&ChargePoint) -> f64,
    full_scale_c: f64,
) -> HeldOut {
    let mut points: Vec<&ChargePoint> = points.collect();
    points.sort_by(|a, b| a.t_pulse_s.total_cmp(&b.t_pulse_s));
    let row = |p: &&ChargePoint| (format!("t_pulse_s = {:e}", p.t_pulse_s), p.charge_c, predict(p));
    HeldOut::new(&points.iter().map(row).collect::<Vec<_>>(), full_scale_c)
}
