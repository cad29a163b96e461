//! Which values are simulated: the design (a grid, a Latin hypercube or Sobol points) at every corner, then held-out points.

use crate::rng;
use crate::spec::{Corner, ParameterSpec, Sampling, SweepSpec};

/// The label that says whether fits may see a row.
pub const SET_LABEL: &str = "set";
/// Rows for fits.
pub const DESIGN: &str = "design";
/// Rows for tests of fits.
pub const HELD_OUT: &str = "held_out";
/// Rows that repeat others with a lower simulator floor.
pub const GUARD: &str = "guard";
/// The label that names a row's corner.
pub const CORNER_LABEL: &str = "corner";

/// One combination of parameter values, before mismatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// One value per parameter, in the specification's order, in base units.
    pub values: Vec<f64>,
    /// The corner's name; `None` for nominal conditions.
    pub corner: Option<String>,
    /// [`DESIGN`] or [`HELD_OUT`].
    pub set: &'static str,
}

/// The design, corner after corner (of a grid, the last parameter fastest), then the held-out points of each corner.
pub fn combinations(spec: &SweepSpec) -> Vec<Combination> {
    let design = match spec.sampling {
        Sampling::Grid => grid(&spec.parameters),
        Sampling::LatinHypercube { points, seed } => place(&spec.parameters, &latin_hypercube(spec, points, seed)),
        Sampling::Sobol { points, seed } => place(&spec.parameters, &sobol(spec.parameters.len(), points, seed)),
    };
    let held_out = spec.held_out.map_or_else(Vec::new, |held_out| {
        let unit =
            |k| spec.parameters.iter().map(move |p| rng::uniform(held_out.seed, k, "held_out", &p.name)).collect();
        let points: Vec<Vec<f64>> = (0..held_out.points).map(unit).collect();
        let between = |(p, u): (&ParameterSpec, &f64)| between(p, *u);
        points.iter().map(|point| spec.parameters.iter().zip(point).map(between).collect()).collect()
    });
    let mut all = Vec::new();
    for (points, set) in [(design, DESIGN), (held_out, HELD_OUT)] {
        for corner in corner_names(&spec.corners) {
            let combination = |values: &Vec<f64>| Combination { values: values.clone(), corner: corner.clone(), set };
            all.extend(points.iter().map(combination));
        }
    }
    all
}

fn corner_names(corners: &[Corner]) -> Vec<Option<String>> {
    if corners.is_empty() { vec![None] } else { corners.iter().map(|corner| Some(corner.name.clone())).collect() }
}

fn grid(parameters: &[ParameterSpec]) -> Vec<Vec<f64>> {
    parameters.iter().fold(vec![Vec::new()], |grid, parameter| {
        let extended = grid.into_iter().flat_map(|head: Vec<f64>| {
            parameter.values.iter().map(move |value| head.iter().copied().chain([*value]).collect())
        });
        extended.collect()
    })
}

/// Points of the unit cube as values of the parameters. A listed parameter takes the value whose slice the point is in.
pub fn place(parameters: &[ParameterSpec], unit: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let value = |(parameter, u): (&ParameterSpec, &f64)| match parameter.values.len() {
        n if parameter.listed && n > 0 => parameter.values[((u * n as f64) as usize).min(n - 1)],
        _ => between(parameter, *u),
    };
    unit.iter().map(|point| parameters.iter().zip(point).map(value).collect()).collect()
}

/// The value at fraction `u` of the parameter's range, in the logarithm if its scale is logarithmic.
fn between(parameter: &ParameterSpec, u: f64) -> f64 {
    let (low, high) = parameter.range;
    if parameter.logarithmic { low * (high / low).powf(u) } else { low + (high - low) * u }
}

/// One point in each of `points` slices of every axis, at a random place of the slice: M. D. McKay, R. J. Beckman and W. J.
/// Conover, *Technometrics* 21, 239 (1979).
fn latin_hypercube(spec: &SweepSpec, points: u64, seed: u64) -> Vec<Vec<f64>> {
    let axis = |parameter: &ParameterSpec| {
        let mut slices: Vec<u64> = (0..points).collect();
        slices.sort_by_key(|k| (rng::bits(seed, *k, "latin_hypercube_order", &parameter.name), *k));
        let inside = |k: u64| rng::uniform(seed, k, "latin_hypercube_place", &parameter.name);
        slices.iter().map(|k| (*k as f64 + inside(*k)) / points as f64).collect::<Vec<f64>>()
    };
    let axes: Vec<Vec<f64>> = spec.parameters.iter().map(axis).collect();
    (0..points as usize).map(|k| axes.iter().map(|axis| axis[k]).collect()).collect()
}

/// The first `points` of a Sobol sequence with Owen's scrambling (A. B. Owen, *J. Complexity* 14, 466 (1998)), in the unit cube.
/// A longer one begins with a shorter one of the same seed.
pub fn sobol(axes: usize, points: u64, seed: u64) -> Vec<Vec<f64>> {
    let scramble = rng::bits(seed, 0, "sobol", "scramble") as u32;
    let point =
        |k: u64| (0..axes as u32).map(|axis| f64::from(sobol_burley::sample(k as u32, axis, scramble))).collect();
    (0..points).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(extra: &str) -> SweepSpec {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rc.cir"), "t\n").unwrap();
        let text = format!(
            "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n{extra}\n\
             [parameters.a]\nunit = \"V\"\nfrom = \"0 V\"\nto = \"1 V\"\nsteps = 3\n\
             [parameters.b]\nunit = \"s\"\nfrom = \"1 ns\"\nto = \"100 ns\"\nsteps = 2\nscale = \"log\"\n\
             [parameters.c]\nunit = \"V\"\nvalues = [\"5 V\", \"7 V\"]\n\
             [[measure]]\nname = \"x\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"1 ns\"\n"
        );
        let path = dir.path().join("rc.toml");
        std::fs::write(&path, text).unwrap();
        SweepSpec::read(&path, dir.path()).unwrap()
    }

    #[test]
    fn a_grid_has_every_combination_once_per_corner_then_the_held_out_points() {
        let all = combinations(&spec(
            "[held_out]\npoints = 4\nseed = 1\n[corners.hot]\ntemp = \"85 degC\"\n[corners.cold]\ntemp = \"-40 degC\"",
        ));
        assert_eq!(all.len(), 2 * 12 + 2 * 4);
        assert_eq!((all[0].corner.as_deref(), all[12].corner.as_deref()), (Some("cold"), Some("hot")));
        assert_eq!(all[1].values, [0.0, 1e-9, 7.0]);
        assert!(all[24..].iter().all(|c| c.set == HELD_OUT && (1e-9..=1e-7).contains(&c.values[1])));
    }

    #[test]
    fn a_latin_hypercube_has_one_point_per_slice() {
        let spec = spec("[sampling]\nmethod = \"latin_hypercube\"\npoints = 40\nseed = 3");
        let all = combinations(&spec);
        let mut slices: Vec<usize> = all.iter().map(|c| (c.values[0] * 40.0) as usize).collect();
        slices.sort_unstable();
        assert_eq!(slices, (0..40).collect::<Vec<_>>());
        let mut decades: Vec<usize> = all.iter().map(|c| ((c.values[1] / 1e-9).log10() * 20.0) as usize).collect();
        decades.sort_unstable();
        assert_eq!(decades, (0..40).collect::<Vec<_>>());
        assert_eq!(all.iter().filter(|c| c.values[2] == 5.0).count(), 20, "a list is cut into even slices");
    }

    #[test]
    fn sobol_points_fill_the_square_more_evenly_than_chance_and_can_be_extended() {
        let (short, long) = (sobol(2, 64, 5), sobol(2, 256, 5));
        assert_eq!(short[..], long[..64]);
        assert_ne!(short, sobol(2, 64, 6));
        // A (t, m, 2)-net of base 2 with t = 0: every elementary box of area 1/64 holds exactly one of the first 64 points.
        for (nx, ny) in [(64, 1), (32, 2), (8, 8), (2, 32), (1, 64)] {
            let mut boxes: Vec<(usize, usize)> =
                short.iter().map(|p| ((p[0] * nx as f64) as usize, (p[1] * ny as f64) as usize)).collect();
            boxes.sort_unstable();
            boxes.dedup();
            assert_eq!(boxes.len(), 64, "{nx} x {ny}");
        }
    }

    proptest! {
        #[test]
        fn placed_points_stay_inside_their_ranges(u in proptest::collection::vec(0.0..1.0f64, 3)) {
            let spec = spec("");
            let values = &place(&spec.parameters, &[u])[0];
            prop_assert!((0.0..=1.0).contains(&values[0]) && (1e-9..=1.0000001e-7).contains(&values[1]));
            prop_assert!(values[2] == 5.0 || values[2] == 7.0);
        }
    }
}
