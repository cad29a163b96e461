//! Waveform to named scalars and curves.

mod evaluate;
mod script;

use serde::{Deserialize, Serialize};

use crate::units::Unit;

pub use evaluate::{evaluate_all, signals_of};
pub use script::{Printed, Script};

/// Which way a signal passes a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edge {
    /// From below to above.
    Rise,
    /// From above to below.
    Fall,
    /// Either.
    Any,
}

/// A passage of a signal through a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// Arithmetic over `v(...)` and `i(...)`.
    pub signal: String,
    /// Level, in the signal's unit.
    pub level: f64,
    /// Direction.
    pub edge: Edge,
    /// Which one counts, from 1; negative counts from the last.
    pub nth: i32,
    /// Only crossings at or after this axis value.
    pub from: f64,
    /// Only crossings at or before this axis value.
    pub to: f64,
}

/// How a measurement is made. Windows are in axis units, infinities mean "the whole waveform"; values between samples are
/// linearly interpolated, integrals use the trapezoidal rule with interpolated ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum How {
    /// The signal at one axis value.
    At { signal: String, at: f64 },
    /// Where the signal crosses.
    Cross(Crossing),
    /// From one crossing to another. If `or_zero`, no starting crossing means zero: a pulse that never came has no width.
    Delay { start: Crossing, end: Crossing, or_zero: bool },
    /// Integral over the window.
    Integral { signal: String, from: f64, to: f64 },
    /// Mean over the window, weighted by the axis.
    Mean { signal: String, from: f64, to: f64 },
    /// Greatest sample in the window.
    Max { signal: String, from: f64, to: f64 },
    /// Least sample in the window.
    Min { signal: String, from: f64, to: f64 },
    /// First axis value after `from` from which the signal stays within `tolerance` of its value at `to`; relative to `from`.
    Settle { signal: String, tolerance: f64, from: f64, to: f64 },
    /// The signal at each of these axis values: a curve.
    Sample { signal: String, at: Vec<f64> },
    /// Arithmetic over measurements made above, by column name, and the point's values.
    Expr { expr: String },
}

/// One named measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Column name, with unit suffix.
    pub column: String,
    /// Unit.
    pub unit: Unit,
    /// How it is made.
    pub how: How,
}
