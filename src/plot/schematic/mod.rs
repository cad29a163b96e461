//! A schematic of a subcircuit, drawn from its netlist: nobody places anything, and a drawing cannot differ from its circuit.
//!
//! | file | does |
//! |---|---|
//! | [`parts`] | the subcircuit's lines as transistors, two-terminal elements and blocks |
//! | [`arrange`] | channels that follow each other become columns from the supply to ground |
//! | `draw` | columns and blocks as strokes and texts |
//!
//! Connections between columns are by name, as on a sheet with net labels; a column's own nodes are wired.

pub mod arrange;
mod draw;
pub mod parts;

pub use arrange::{Column, Element, Sheet};
pub use parts::{Block, Circuit, Mos, Pair, Polarity};

use super::scene::Scene;
use crate::netlist::Line;

/// The drawing of the subcircuit `name` among `lines`; `None` if there is none of that name, or nothing in it.
pub fn scene(lines: &[Line], name: &str) -> Option<Scene> {
    let circuit = Circuit::find(lines, name)?;
    let sheet = Sheet::arrange(&circuit);
    (!sheet.columns.is_empty() || !sheet.blocks.is_empty()).then(|| draw::scene(&circuit, &sheet))
}
