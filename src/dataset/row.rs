//! One point's result, whatever happened to it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How a point ended. Fits use `Ok` rows and count the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Simulated to the end, every measurement found.
    Ok,
    /// ngspice gave up: time step too small, no operating point, aborted.
    Nonconvergence,
    /// The limit of time points was reached, or the wall clock killed a hung worker twice.
    Timeout,
    /// The worker died, or its ngspice came into doubt, twice on this point.
    Crash,
    /// The run is good, but a measurement found nothing (no crossing in the window).
    MeasurementMissing,
    /// ngspice refused the circuit or a command.
    Refused,
}

impl Outcome {
    /// Every outcome, `Ok` first.
    pub const ALL: [Outcome; 6] = [
        Outcome::Ok,
        Outcome::Nonconvergence,
        Outcome::Timeout,
        Outcome::Crash,
        Outcome::MeasurementMissing,
        Outcome::Refused,
    ];

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Nonconvergence => "nonconvergence",
            Outcome::Timeout => "timeout",
            Outcome::Crash => "crash",
            Outcome::MeasurementMissing => "measurement_missing",
            Outcome::Refused => "refused",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A measured value: one number, or a curve sampled on the grid that the measurement's definition states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// A sampled curve.
    Curve(Vec<f64>),
}

impl Value {
    /// The number, if it is one.
    pub fn scalar(&self) -> Option<f64> {
        if let Value::Scalar(value) = self { Some(*value) } else { None }
    }
    /// The curve, if it is one.
    pub fn curve(&self) -> Option<&[f64]> {
        if let Value::Curve(values) = self { Some(values) } else { None }
    }
}

/// The identity of a point: 128 bits of BLAKE3, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PointId(pub String);

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is reproducible about one point; goes into `points.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Identity.
    pub id: PointId,
    /// Place in the sweep's design, from 0.
    pub index: u64,
    /// Swept values, by column name with unit suffix, in base units; mismatch sample numbers are values too.
    pub values: BTreeMap<String, f64>,
    /// Swept names that are not numbers (corner, flavour).
    pub labels: BTreeMap<String, String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Convergence tier that the row was simulated at; 0 is the options of the bench.
    pub tier: u8,
    /// Measurements by column name with unit suffix; absent where missing.
    pub measured: BTreeMap<String, Value>,
    /// For failures, the simulator's own words, in one line.
    pub message: String,
}

impl Row {
    /// Whether the row is a point of the design that ended well at `tier` or below it. A guard's repetition is no such point.
    pub fn good_up_to(&self, tier: u8) -> bool {
        let repeats = self.labels.get("set").is_some_and(|set| set == "guard");
        self.outcome == Outcome::Ok && self.tier <= tier && !repeats
    }
}

/// What is not reproducible about one point; goes into `runtime.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// Identity.
    pub id: PointId,
    /// Which worker (by number) ran it.
    pub worker: u32,
    /// Wall time of the analysis and the measurements [s]; 0 if served from the store.
    pub wall_s: f64,
    /// Accepted time points (or sweep points) of the analysis.
    pub time_points: u64,
    /// Served from the store of earlier runs.
    pub cached: bool,
    /// Seconds since the Unix epoch at the end of the point.
    pub finished_unix_s: f64,
}
