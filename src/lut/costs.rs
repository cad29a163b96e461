//! What the blocks' operations cost: energies, times and powers from the same runs as the models.

use serde::{Deserialize, Serialize};

use super::grid::Grid;
use crate::error::{Kind, Problem};

/// Energy, duration or power of one operation of one block, as simulated; what a cost model reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Block and quantity with its unit, as in `cell.energy_read_j`.
    pub name: String,
    /// Unit symbol: `J`, `s` or `W`.
    pub unit: String,
    /// What one of them is, as in `one cell, one pulse of T_max`.
    pub per: String,
    /// Mean over the sweep's points, in `unit`.
    pub mean: f64,
    /// Least of them, in `unit`.
    pub least: f64,
    /// Greatest of them, in `unit`.
    pub greatest: f64,
    /// Over the operand, if it depends on one: the mean over whatever else was swept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<Grid>,
    /// Sweep that measured it.
    pub sweep: String,
}

impl Cost {
    /// Its dotted key in the table.
    pub fn key(&self) -> String {
        format!("costs.{}", self.name)
    }

    /// Appends what is wrong with it.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let ordered = self.least <= self.mean && self.mean <= self.greatest;
        if !(ordered && self.least.is_finite() && self.greatest.is_finite()) {
            let message = format!("{} to {} with a mean of {} is not a range", self.least, self.greatest, self.mean);
            problems.push(Problem::new(Kind::TableInvalid, message).key(self.key()));
        }
        if let Some(curve) = &self.curve {
            let operand: Vec<&str> = curve.axes.iter().map(|axis| axis.name.as_str()).collect();
            curve.check(&self.key(), &operand, problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::Axis;

    fn cost(mean: f64, energies_j: Vec<f64>) -> Cost {
        let axis = Axis::new("code", "1", vec![0.0, 1.0]);
        Cost {
            name: "counter.energy_j".into(),
            unit: "J".into(),
            per: "one conversion".into(),
            mean,
            least: 1e-15,
            greatest: 3e-15,
            curve: Some(Grid::curve("energy_j", "J", axis, energies_j)),
            sweep: "pulse_counter".into(),
        }
    }

    #[test]
    fn a_mean_outside_its_range_and_a_curve_of_another_length_are_found() {
        let faults = |cost: Cost| {
            let mut problems = Vec::new();
            cost.check(&mut problems);
            problems.len()
        };
        assert_eq!(faults(cost(2e-15, vec![1e-15, 3e-15])), 0);
        assert_eq!(faults(cost(4e-15, vec![1e-15, 3e-15])), 1);
        assert_eq!(faults(cost(f64::NAN, vec![1e-15])), 2);
    }
}
