//! Transistors against the technology's targets.

use crate::report::format::{digits, with_unit};

/// One figure of merit of one flavour.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceRow {
    /// Flavour, as in `nfet_svt`.
    pub flavour: String,
    /// `ion`, `ioff`, `ss`, `dibl`, `gate_leakage`.
    pub figure: String,
    /// Symbol of the base unit, as [`crate::units::Unit::symbol`] gives it: `A/m`, `V/dec`, `V/V`, `A/m2`.
    pub unit: String,
    /// Target, in that unit.
    pub target: f64,
    /// Measured, in that unit; not finite if it could not be measured.
    pub measured: f64,
    /// Accepted relative deviation.
    pub tolerance: f64,
    /// Whether it is within.
    pub pass: bool,
}

/// Targets that are stated for another temperature than the page's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DevicesLeftOut {
    /// Which, and why they are not judged.
    pub text: String,
    /// The command that judges them.
    pub judged_by: String,
}

impl DeviceRow {
    /// The figure as designers write it.
    pub fn label(&self) -> String {
        match self.figure.as_str() {
            "ion" => "Ion (saturation)".into(),
            "ioff" => "Ioff".into(),
            "ss" => "Subthreshold swing".into(),
            "dibl" => "DIBL".into(),
            "gate_leakage" => "Gate leakage".into(),
            other => other.to_string(),
        }
    }
    /// The target, in the unit that designers use for it.
    pub fn target_shown(&self) -> String {
        self.shown(self.target)
    }
    /// What was measured, likewise.
    pub fn measured_shown(&self) -> String {
        self.shown(self.measured)
    }
    fn shown(&self, value: f64) -> String {
        match self.unit.as_str() {
            _ if !value.is_finite() => "not measured".into(),
            "A/m" => with_unit(value * 1e-6, "A/µm"),
            "V/dec" => format!("{} mV/dec", digits(1e3 * value)),
            "V/V" => format!("{} mV/V", digits(1e3 * value)),
            "A/m2" => format!("{} A/cm²", digits(1e-4 * value)),
            unit => with_unit(value, unit),
        }
    }
    /// Measured over target, as a signed percentage.
    pub fn deviation(&self) -> String {
        let deviation = 100.0 * (self.measured / self.target - 1.0);
        match deviation {
            d if !d.is_finite() => "–".into(),
            d if d.abs() < 0.05 => "0.0 %".into(),
            d => format!("{d:+.1} %").replace('-', "−"),
        }
    }
    /// The accepted deviation.
    pub fn accepted(&self) -> String {
        format!("± {:.0} %", 100.0 * self.tolerance)
    }
}
