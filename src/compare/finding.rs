//! One comparison and what it says.

use std::collections::BTreeMap;

use serde::Serialize;

/// Which property of a measurement is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// The number of one deterministic point.
    Value,
    /// A curve of one deterministic point, where it moved most.
    Curve,
    /// The mean over the samples of one point.
    Mean,
    /// The standard deviation over the samples of one point.
    Spread,
    /// The distribution over the samples of one point.
    Distribution,
}

impl Quantity {
    /// The name used in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Value => "value",
            Quantity::Curve => "curve",
            Quantity::Mean => "mean",
            Quantity::Spread => "spread",
            Quantity::Distribution => "distribution",
        }
    }
}

/// A design point's coordinates: swept values and labels, as text that reads back to the same number.
pub type Point = BTreeMap<String, String>;

/// One measurement at one design point, compared between two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The measurement's column.
    pub measurement: String,
    /// Symbol of its unit.
    pub unit: String,
    /// Where in the design.
    pub point: Point,
    /// What is compared.
    pub quantity: Quantity,
    /// By which test: `beyond numerical noise`, `paired t`, `Welch's t`, `Brown-Forsythe`, `Kolmogorov-Smirnov`,
    /// `every pair moved by the same`.
    pub test: &'static str,
    /// Rows of the first run.
    pub n_a: usize,
    /// Rows of the second run.
    pub n_b: usize,
    /// The quantity in the first run.
    pub a: Option<f64>,
    /// The quantity in the second run.
    pub b: Option<f64>,
    /// Second less first, in the unit; for distributions the greatest distance between their functions.
    pub change: f64,
    /// The change over the first run's magnitude; absent where that is zero.
    pub relative: Option<f64>,
    /// Interval of the change at confidence 1 - alpha, in the unit.
    pub interval: Option<(f64, f64)>,
    /// For means, Cohen's d: the change over the samples' own standard deviation; for spreads, the ratio of standard deviations.
    pub effect: Option<f64>,
    /// The test's statistic.
    pub statistic: Option<f64>,
    /// Its p value.
    pub p: Option<f64>,
    /// The p value corrected for all tests of the comparison (Benjamini and Hochberg).
    pub q: Option<f64>,
    /// How large a change numerical noise may make, in the unit.
    pub noise: f64,
    /// For curves, the value of the axis at which the change is.
    pub at: Option<f64>,
    /// Beyond noise and, where there is a test, with q below alpha.
    pub significant: bool,
}

impl Finding {
    /// How far the change stands above what it is measured against; findings are sorted by it.
    pub fn weight(&self) -> f64 {
        let above_noise = self.change.abs() / self.noise.max(f64::MIN_POSITIVE);
        if self.quantity == Quantity::Distribution { self.change } else { above_noise }
    }
}

/// One measurement over the whole design.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasurementChange {
    /// The measurement's column.
    pub measurement: String,
    /// Symbol of its unit.
    pub unit: String,
    /// What is compared.
    pub quantity: Quantity,
    /// Comparisons made.
    pub compared: usize,
    /// Significant ones.
    pub changed: usize,
    /// Median of the changes, in the unit.
    pub median_change: f64,
    /// The greatest change by magnitude, in the unit.
    pub largest_change: f64,
    /// That change over its first run's magnitude.
    pub largest_relative: Option<f64>,
    /// Where it is.
    pub largest_at: Point,
}
