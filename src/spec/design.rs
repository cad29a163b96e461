//! How a sweep chooses its points, and what is done with those that fail or may be wrong.

use super::ParameterSpec;
use crate::error::{Kind, Problem};
use crate::keys::Keys;
use crate::units::{Unit, parse_any};

/// Most points of a Sobol design: the sequence's published direction numbers are used to 16 bits.
pub const SOBOL_POINTS: u64 = 1 << 16;

/// Highest tier of the convergence ladder.
const HIGHEST_TIER: u64 = 3;

/// How the points of a design are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Every combination of the parameters' values.
    Grid,
    /// One point in each of `points` slices of every parameter.
    LatinHypercube {
        /// How many points.
        points: u64,
        /// Seed.
        seed: u64,
    },
    /// Owen-scrambled Sobol points; a longer design begins with the shorter one.
    Sobol {
        /// How many points.
        points: u64,
        /// Seed.
        seed: u64,
    },
}

/// Conditions under which the whole design runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Corner {
    /// Its name, a label of its rows.
    pub name: String,
    /// The technology's process corner; `None` for its nominal models.
    pub process: Option<String>,
    /// Parameters of the bench, `vdd` and `temp`, in base units, by name.
    pub values: Vec<(String, f64)>,
}

/// Which tiers of the convergence ladder the points of a sweep run at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// The tier that every point begins with.
    pub start: u8,
    /// The last one that a point which does not converge climbs to.
    pub highest: u8,
}

/// A second run of a few points with a lower simulator floor: what moves was the floor, not the circuit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    /// How many points; 0 for none.
    pub points: u64,
    /// Seed of their choice.
    pub seed: u64,
    /// Change from which a measurement counts as moved, relative to its value.
    pub tolerance: f64,
}

pub(super) fn read_sampling(keys: &Keys<'_>) -> Sampling {
    let Some(table) = keys.table("sampling") else { return Sampling::Grid };
    let methods = [("grid", 0u8), ("latin_hypercube", 1), ("sobol", 2)];
    if !table.has("method") {
        table.missing("method", "\"grid\", \"latin_hypercube\" or \"sobol\"");
    }
    let method = table.choice("method", &methods).unwrap_or(0);
    let (points, seed) = (table.count("points"), table.count("seed"));
    if method > 0 {
        for (key, found) in [("points", points), ("seed", seed)] {
            if found.is_none() && !table.has(key) {
                table.missing(key, "a whole number from 0 up");
            }
        }
    } else if table.has("points") || table.has("seed") {
        let problem = Problem::new(Kind::SpecKey, "a grid has the points that the parameters' steps give it");
        table.problem(problem.accepted("method = \"grid\" alone"), "method");
    }
    let (points, seed) = (points.unwrap_or(1), seed.unwrap_or(0));
    if method > 0 && points == 0 || method == 2 && points > SOBOL_POINTS {
        let problem = Problem::new(Kind::SpecKey, format!("{points} points are not possible"));
        table.problem(problem.accepted(format!("1 to {SOBOL_POINTS} points; latin_hypercube takes more")), "points");
    }
    table.finish();
    match method {
        1 => Sampling::LatinHypercube { points, seed },
        2 => Sampling::Sobol { points, seed },
        _ => Sampling::Grid,
    }
}

pub(super) fn read_corners(keys: &Keys<'_>, parameters: &[ParameterSpec]) -> Vec<Corner> {
    let read = |(name, table): &(String, Keys<'_>)| {
        let mut values = Vec::new();
        let process = table.string("process");
        for key in table.names().into_iter().filter(|key| key != "process") {
            let Some(text) = table.string(&key) else { continue };
            let parsed = match key.as_str() {
                "temp" => table.parse(&text, Unit::Celsius),
                "vdd" => table.parse(&text, Unit::Volt),
                _ => parse_any(&text).map(|(value, unit)| table.scaled(value, unit)),
            };
            match parsed {
                Ok(value) => values.push((key.to_ascii_lowercase(), value)),
                Err(message) => table.problem(
                    Problem::new(Kind::SpecUnit, message).accepted("a quantity with its unit, as in \"0.81 V\""),
                    &key,
                ),
            }
            if parameters.iter().any(|parameter| parameter.name == key.to_ascii_lowercase()) {
                let problem = Problem::new(Kind::SpecKey, format!("`{key}` is swept already"));
                table.problem(problem.accepted("parameters that are not in [parameters]"), &key);
            }
        }
        table.finish();
        Corner { name: name.clone(), process, values }
    };
    keys.named_tables("corners").iter().map(read).collect()
}

/// `[ladder]`; `adaptive` sweeps decide on rows of tier 0 alone.
pub(super) fn read_ladder(keys: &Keys<'_>, adaptive: bool) -> Ladder {
    let whole = Ladder { start: 0, highest: HIGHEST_TIER as u8 };
    let Some(table) = keys.table("ladder") else { return whole };
    if !table.has("tiers") && !table.has("start") {
        table.missing("tiers", "0 (off) to 3; or `start`, the tier to begin with");
    }
    let (highest, start) = (table.count("tiers").unwrap_or(HIGHEST_TIER), table.count("start").unwrap_or(0));
    if highest > HIGHEST_TIER {
        let problem = Problem::new(Kind::SpecKey, format!("there is no tier {highest}"));
        table.problem(problem.accepted(format!("0 (off) to {HIGHEST_TIER}")), "tiers");
    } else if start > highest {
        let problem = Problem::new(Kind::SpecKey, format!("points cannot start at tier {start}"));
        let accepted =
            if table.has("tiers") { "`tiers`, the last one of this sweep" } else { "the last one that there is" };
        table.problem(problem.accepted(format!("0 to {highest}, {accepted}")), "start");
    } else if start > 0 && adaptive {
        let problem = Problem::new(Kind::SpecKey, "[adaptive] decides on points of tier 0, and there would be none");
        table.problem(problem.accepted("start = 0"), "start");
    }
    table.finish();
    Ladder { start: start.min(HIGHEST_TIER) as u8, highest: highest.min(HIGHEST_TIER) as u8 }
}

pub(super) fn read_guard(keys: &Keys<'_>) -> Guard {
    let default = Guard { points: 4, seed: 0, tolerance: 0.01 };
    let Some(table) = keys.table("guard") else { return default };
    let guard = Guard {
        points: table.count("points").unwrap_or(default.points),
        seed: table.count("seed").unwrap_or(default.seed),
        tolerance: table.quantity("tolerance", Unit::One).unwrap_or(default.tolerance),
    };
    if guard.tolerance <= 0.0 {
        table.problem(Problem::new(Kind::SpecUnit, "nothing is that equal").accepted("\"1 %\" or so"), "tolerance");
    }
    table.finish();
    guard
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::spec::SweepSpec;

    fn ladder(table: &str) -> Result<Ladder> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rc.cir"), "t\n").unwrap();
        let text = format!(
            "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n{table}\n\
             [parameters.t_pulse]\nunit = \"s\"\nfrom = \"1 ns\"\nto = \"100 ns\"\nsteps = 3\n\
             [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"1 ns\"\n"
        );
        std::fs::write(dir.path().join("rc.toml"), text).unwrap();
        SweepSpec::read(&dir.path().join("rc.toml"), dir.path()).map(|spec| spec.ladder)
    }

    #[test]
    fn a_ladder_begins_at_a_tier_that_there_is() {
        assert_eq!(ladder("").unwrap(), Ladder { start: 0, highest: 3 });
        assert_eq!(ladder("[ladder]\nstart = 1").unwrap(), Ladder { start: 1, highest: 3 });
        assert_eq!(ladder("[ladder]\nstart = 1\ntiers = 1").unwrap(), Ladder { start: 1, highest: 1 });
        for (keys, key, said) in [
            ("start = 4", "ladder.start", "0 to 3, the last one that there is"),
            ("start = 2\ntiers = 1", "ladder.start", "0 to 1, `tiers`"),
            ("tiers = 4", "ladder.tiers", "0 (off) to 3"),
            ("start = -1", "ladder.start", "a whole number from 0 up"),
            ("", "ladder.tiers", "`start`, the tier to begin with"),
        ] {
            let error = ladder(&format!("[ladder]\n{keys}")).unwrap_err();
            assert_eq!(error.problems()[0].key.as_deref(), Some(key), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    /// It decides on rows of tier 0.
    #[test]
    fn an_adaptive_sweep_begins_at_tier_0() {
        let adaptive = "[adaptive]\ntarget = \"v_end\"\nerror = 1e-3\ninitial = 8\nbatch = 2\nmax_points = 40\n\
            validation = 3\n[ladder]\n";
        assert_eq!(ladder(&format!("{adaptive}start = 0")).unwrap().start, 0);
        let error = ladder(&format!("{adaptive}start = 1")).unwrap_err();
        assert!(error.to_string().contains("[adaptive] decides on points of tier 0"), "{error}");
    }
}
