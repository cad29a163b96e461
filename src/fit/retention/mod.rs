//! Retention: how the stored voltage drifts while a cell holds.
//!
//! Two models stand side by side. The published one ([`exponential`]) decays with one time constant toward the zero
//! weight. The one that holds ([`fit`], kept as a [`RateModel`]) integrates the leakage current,
//!
//! ```text
//! dV/dt = r(V, V_WBL) = -m(V, V_WBL) I_leak(V, V_WBL) / C(V)
//! ```
//!
//! with I_leak from DC, C from AC and a correction m near one from training transients; what moves right after a write although nothing
//! leaks is a table beside it ([`Relaxation`]).

mod correction;
mod exponential;
mod leakage;
mod rate;
mod relaxation;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::{HeldOut, check_points, failed};

pub use correction::LeakageOptions;
pub use exponential::{ExponentialFit, ExponentialKind, PUBLISHED_TAU_S, V_ZERO_V, fit_exponential};
pub use leakage::{LeakageFit, fit_leakage, frozen_holds};
pub use rate::RateModel;
pub use relaxation::Relaxation;

/// One DC operating point of a holding cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LeakagePoint {
    /// Voltage forced on the storage node [V].
    pub v_store_v: f64,
    /// Write bit line [V].
    pub v_wbl_v: f64,
    /// Current that leaves the storage node into the cell [A]; positive discharges.
    pub leakage_a: f64,
}

/// Capacitance of the storage node at one voltage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CapacitancePoint {
    /// Voltage of the storage node [V].
    pub v_store_v: f64,
    /// Small-signal capacitance [F].
    pub c_store_f: f64,
}

/// What the write bit line does while the cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum WriteBitLine {
    /// Stays.
    Constant {
        /// Voltage [V].
        v_wbl_v: f64,
    },
    /// Toggles much faster than the cell drifts, as other cells of the column are written.
    Toggling {
        /// Low voltage [V].
        low_v: f64,
        /// High voltage [V].
        high_v: f64,
        /// Share of the time spent high, 0 to 1.
        duty_high: f64,
    },
}

impl WriteBitLine {
    /// Voltages and the share of the time spent at each.
    pub fn shares(self) -> Vec<(f64, f64)> {
        match self {
            WriteBitLine::Constant { v_wbl_v } => vec![(v_wbl_v, 1.0)],
            WriteBitLine::Toggling { low_v, high_v, duty_high } => vec![(low_v, 1.0 - duty_high), (high_v, duty_high)],
        }
    }
}

/// A hold transient of a written cell. The first sample is where it starts; its voltage is taken as exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Name in reports: `v_store_v = 0.75, v_wbl_v = 0.45`.
    pub name: String,
    /// Write bit line during the hold.
    pub write_bit_line: WriteBitLine,
    /// Sample times [s], rising strictly.
    pub t_s: Vec<f64>,
    /// Storage node at each of them [V].
    pub v_store_v: Vec<f64>,
}

impl Hold {
    /// Times since the start, without the start.
    pub(crate) fn ages_s(&self) -> Vec<f64> {
        self.t_s[1..].iter().map(|t| t - self.t_s[0]).collect()
    }
}

/// Refuses holds with fewer than two samples, falling times, or numbers that are not finite.
fn check_holds(fit: &str, set: &str, holds: &[Hold]) -> Result<()> {
    for hold in holds {
        let rising = hold.t_s.windows(2).all(|w| w[1] > w[0]);
        if hold.t_s.len() < 2 || hold.t_s.len() != hold.v_store_v.len() || !rising {
            let message = format!(
                "the {set} transient `{}` has {} times, {} voltages{}",
                hold.name,
                hold.t_s.len(),
                hold.v_store_v.len(),
                if rising { "" } else { ", and its times do not rise" }
            );
            return Err(failed(fit, message, "give at least a start and one later sample, in order"));
        }
    }
    let samples = holds.iter().flat_map(|hold| hold.t_s.iter().zip(&hold.v_store_v).map(|(&t, &v)| [t, v]));
    check_points(fit, set, ["t_s", "v_store_v"], samples)
}

/// Held-out errors over all samples but the starts; one bin per transient.
fn held_out(holds: &[Hold], predicted: &[Vec<f64>], swing_v: f64) -> HeldOut {
    let points: Vec<_> = holds
        .iter()
        .zip(predicted)
        .flat_map(|(hold, predicted)| {
            hold.v_store_v[1..]
                .iter()
                .zip(predicted)
                .map(|(&measured, &predicted)| (hold.name.clone(), measured, predicted))
        })
        .collect();
    HeldOut::new(&points, swing_v)
}

/// Refuses a swing that is no positive number.
fn check_swing(fit: &str, swing_v: f64) -> Result<()> {
    if swing_v > 0.0 && swing_v.is_finite() {
        return Ok(());
    }
    Err(failed(fit, format!("the full scale of the stored voltage is {swing_v} V"), "give the swing, as 0.9 V"))
}
