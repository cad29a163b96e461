//! Which transistors of a bench are drawn on a die, and which are drawn alike.

use std::collections::BTreeMap;

use super::{SweepSpec, required};
use crate::keys::Keys;

/// Monte Carlo over device mismatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// How many samples; each runs at every combination of the parameters.
    pub samples: u64,
    /// Seed.
    pub seed: u64,
    /// Instances below which every transistor is drawn.
    pub instances: Vec<String>,
}

impl SweepSpec {
    /// The path whose draws the transistor at `path` gets: its own, but below a replica.
    pub fn drawn_as(&self, path: &str) -> String {
        let original = self.replicas.iter().find_map(|(replica, original)| {
            let below = path.strip_prefix(replica.as_str())?.strip_prefix('.')?;
            Some(format!("{original}.{below}"))
        });
        original.unwrap_or_else(|| path.to_string())
    }
}

pub(super) fn read(keys: &Keys<'_>) -> Mismatch {
    let samples = keys.count("samples");
    let seed = keys.count("seed");
    required(keys, &[("samples", samples.is_some()), ("seed", seed.is_some())]);
    if !keys.has("instances") {
        keys.missing("instances", "a list of the bench's instances, as in [\"xcell\"]");
    }
    let instances = keys.strings("instances").unwrap_or_default();
    keys.finish();
    Mismatch { samples: samples.unwrap_or(0), seed: seed.unwrap_or(0), instances }
}

pub(super) fn read_replicas(keys: &Keys<'_>) -> BTreeMap<String, String> {
    let Some(table) = keys.table("replicas") else { return BTreeMap::new() };
    let of = |name: String| Some((name.to_ascii_lowercase(), table.string(&name)?.to_ascii_lowercase()));
    let replicas = table.names().into_iter().filter_map(of).collect();
    table.finish();
    replicas
}
