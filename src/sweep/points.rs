//! Which values are simulated: the full grid of the parameters, held-out points, mismatch samples.

use crate::rng;
use crate::spec::SweepSpec;

/// The label that says whether fits may see a row.
pub const SET_LABEL: &str = "set";
/// Rows for fits.
pub const DESIGN: &str = "design";
/// Rows for tests of fits.
pub const HELD_OUT: &str = "held_out";

/// One combination of parameter values, before mismatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// One value per parameter, in the specification's order, in base units.
    pub values: Vec<f64>,
    /// [`DESIGN`] or [`HELD_OUT`].
    pub set: &'static str,
}

/// The grid, last parameter fastest, then the held-out points.
pub fn combinations(spec: &SweepSpec) -> Vec<Combination> {
    let mut grid = vec![Vec::new()];
    for parameter in &spec.parameters {
        grid = grid
            .into_iter()
            .flat_map(|head: Vec<f64>| {
                parameter.values.iter().map(move |value| head.iter().copied().chain([*value]).collect())
            })
            .collect();
    }
    let mut all: Vec<_> = grid.into_iter().map(|values| Combination { values, set: DESIGN }).collect();
    if let Some(held_out) = spec.held_out {
        all.extend((0..held_out.points).map(|k| {
            Combination {
                values: spec
                    .parameters
                    .iter()
                    .map(|parameter| {
                        let (low, high) = extent(&parameter.values);
                        let u = rng::uniform(held_out.seed, k, "held_out", &parameter.name);
                        if parameter.logarithmic { low * (high / low).powf(u) } else { low + (high - low) * u }
                    })
                    .collect(),
                set: HELD_OUT,
            }
        }));
    }
    all
}

fn extent(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}
