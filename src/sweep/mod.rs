//! A specification and its bench become ordered points, each with its identity.

mod mismatch;
mod plan;
mod planner;
mod points;
mod tiers;

pub use mismatch::Mismatched;
pub use plan::{Group, Plan, PlannedPoint, RowTemplate};
pub use planner::{GUARD_INDEX, Planner};
pub use points::{CORNER_LABEL, Combination, DESIGN, GUARD, HELD_OUT, SET_LABEL, place, sobol};
pub use tiers::{OWN_TOLERANCES, judged, patience};
