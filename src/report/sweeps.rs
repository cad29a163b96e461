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
    /// Points that ended `ok` only at a relaxed tier.
    pub relaxed: u64,
    /// Points that ran again at a lower simulator floor.
    pub guarded: u64,
    /// The measurements that moved then, and by how much.
    pub floor: Vec<String>,
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
