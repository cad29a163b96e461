//! A specification and its bench become ordered points, each with its identity.

mod plan;
mod points;

pub use plan::{Group, Plan, PlannedPoint, RowTemplate};
pub use points::{Combination, DESIGN, HELD_OUT, SET_LABEL, combinations};
