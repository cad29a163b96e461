//! Sweeps and how their points ended.

use crate::report::format::wall;

/// One sweep.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SweepRow {
    /// Name.
    pub name: String,
    /// Title; may be empty.
    pub title: String,
    /// Points of the design.
    pub points: u64,
    /// Points that ended `ok`.
    pub ok: u64,
    /// Points that ended otherwise.
    pub failed: u64,
    /// Points that came from earlier runs.
    pub cached: u64,
    /// Wall time [s].
    pub wall_s: f64,
}

impl SweepRow {
    /// Wall time, for people.
    pub fn wall(&self) -> String {
        wall(self.wall_s)
    }
}
