//! Rows, their files, and what is kept from run to run.

mod row;

pub use row::{Outcome, PointId, Row, Runtime, Value};
