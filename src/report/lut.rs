//! Lookup tables: what is in them, where they hold, how to read them.

use crate::report::format::{digits, shown_unit, with_unit};

/// A lookup table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LutSummary {
    /// Name.
    pub name: String,
    /// Path from the project's root, as in `results/luts/NAME/table.json`.
    pub path: String,
    /// Schema version.
    pub schema: u32,
    /// Hash of the content; may be empty.
    pub content_hash: String,
    /// Charge of one unit of p at full pulse length [C].
    pub charge_per_unit_c: f64,
    /// S at which the first converter saturates.
    pub s_sat: f64,
    /// |A| at which the second converter saturates.
    pub a_sat: f64,
    /// Full pulse [s].
    pub t_max_s: f64,
    /// Its quantities.
    pub grids: Vec<LutGrid>,
    /// What operations cost.
    pub costs: Vec<CostRow>,
    /// Where it holds.
    pub validity: Vec<Bound>,
}

/// A quantity on its axes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LutGrid {
    /// Dotted key, as in `cell.charge_c`.
    pub key: String,
    /// Unit symbol.
    pub unit: String,
    /// Axes, the last one running fastest.
    pub axes: Vec<Bound>,
}

/// What one operation of a block costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CostRow {
    /// Dotted key, as in `cell.energy_read_cell_j`.
    pub name: String,
    /// What one of them is.
    pub per: String,
    /// Mean, with its unit.
    pub mean: String,
    /// Least and greatest, with their unit; empty where all are equal.
    pub range: String,
    /// Sweep that measured it.
    pub sweep: String,
}

/// A range of a quantity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bound {
    /// Name with unit suffix.
    pub name: String,
    /// Unit symbol.
    pub unit: String,
    /// Least value, in `unit`.
    pub low: f64,
    /// Greatest value, in `unit`.
    pub high: f64,
    /// Nodes, for an axis; 0 for a mere range.
    pub nodes: usize,
}

impl Bound {
    /// `v_store_v: −20.00 … 920.0 mV, 21 nodes`.
    pub fn shown(&self) -> String {
        let (factor, unit) = shown_unit(self.low.abs().max(self.high.abs()), &self.unit);
        let range = format!("{} … {} {unit}", digits(self.low * factor), digits(self.high * factor));
        let nodes = if self.nodes > 0 { format!(", {} nodes", self.nodes) } else { String::new() };
        format!("{}{nodes}", range.trim_end())
    }
}

impl LutSummary {
    /// The charge scale in words.
    pub fn scale(&self) -> String {
        format!(
            "One unit of p over a full pulse of {} is {}; the first converter saturates at S = {}, the second at |A| = {}.",
            with_unit(self.t_max_s, "s"),
            with_unit(self.charge_per_unit_c, "C"),
            self.s_sat,
            self.a_sat
        )
    }
    /// Three lines of Python that read the first grid.
    pub fn python(&self) -> String {
        let key = self.grids.first().map_or("cell.charge_c", |grid| grid.key.as_str());
        let keys: String = key.split('.').map(|part| format!("[\"{part}\"]")).collect();
        format!(
            "import json, numpy as np\n\
             grid = json.load(open({:?})){keys}\n\
             values = np.reshape(grid[\"values\"], [len(axis[\"values\"]) for axis in grid[\"axes\"]])",
            self.path
        )
    }
}
