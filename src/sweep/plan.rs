//! Points grouped by the circuit that they share, so that a worker loads each circuit once.

use std::collections::BTreeMap;

use crate::dataset::{Outcome, PointId, Row};
use crate::measure::Measurement;
use crate::netlist::LoadedCircuit;

/// Enters every identity; raised when rows change their meaning.
const IDENTITY_SCHEMA: &str = "gaincell-point-1";

/// A row as known before its simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct RowTemplate {
    /// Place in the design.
    pub index: u64,
    /// Swept values and mismatch draws by column.
    pub values: BTreeMap<String, f64>,
    /// Labels by column.
    pub labels: BTreeMap<String, String>,
}

/// One point, ready to run on its group's circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPoint {
    /// The row to be.
    pub row: RowTemplate,
    /// Commands that bring the loaded circuit to this point.
    pub alters: Vec<String>,
    /// The analysis as a command.
    pub analysis: String,
    /// For a transient, when it must have ended [s].
    pub t_stop_s: Option<f64>,
    /// What is measured.
    pub measurements: Vec<Measurement>,
}

/// Points that share a circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The circuit.
    pub circuit: LoadedCircuit,
    /// Signals that are saved.
    pub signals: Vec<String>,
    /// The technology's process corner; `None` for its nominal models.
    pub process: Option<String>,
    /// Values of the parameters that are fixed in the circuit, by name: what tiers and guard are relative to.
    pub fixed: BTreeMap<String, f64>,
    /// Option lines behind the bench's own, a guard's; a tier's come behind them.
    pub options: Vec<String>,
    /// Its points, in design order.
    pub points: Vec<PlannedPoint>,
}

/// Everything that a sweep will run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Groups in design order of their first points.
    pub groups: Vec<Group>,
    /// Start-up commands of the technology.
    pub startup: Vec<String>,
}

impl PlannedPoint {
    /// The point's identity: circuit, start-up, commands, analysis, measurements, simulator, schema.
    pub fn id(&self, group: &Group, startup: &[String], simulator: &str) -> PointId {
        let mut hasher = blake3::Hasher::new();
        let mut feed = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        feed(IDENTITY_SCHEMA);
        feed(simulator);
        feed(&group.circuit.key);
        startup.iter().for_each(|line| feed(line));
        self.alters.iter().for_each(|line| feed(line));
        feed(&self.analysis);
        for (name, value) in &self.row.values {
            feed(name);
            feed(&format!("{value:e}"));
        }
        feed(&format!("{:?}", self.measurements));
        PointId(hasher.finalize().to_hex()[..32].to_string())
    }

    /// The finished row, simulated at that tier.
    pub fn row(
        &self,
        id: PointId,
        tier: u8,
        outcome: Outcome,
        measured: BTreeMap<String, crate::dataset::Value>,
        message: String,
    ) -> Row {
        Row {
            id,
            index: self.row.index,
            values: self.row.values.clone(),
            labels: self.row.labels.clone(),
            outcome,
            tier,
            measured,
            message,
        }
    }
}

impl Plan {
    /// How many points.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.points.len()).sum()
    }

    /// Is there nothing to run?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
