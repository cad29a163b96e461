//! `[adaptive]` and `[multifidelity]`: which measurement decides where to simulate next, and when it is known well enough.
//!
//! ```toml
//! [adaptive]
//! target = "charge"      # a scalar measurement of this file
//! error = 5e-4           # stop when the estimated error is below this share of full scale
//! initial = 40           # points that fill the ranges evenly
//! batch = 24             # points between two decisions
//! max_points = 290       # stop here in any case
//! validation = 12        # further points, never trained on, that check the estimate
//! seed = 1
//! clip = ["0 s", "15 ns"]  # optional: bounds at which the response stands still
//!
//! [multifidelity]
//! sweep = "nonlinearity_dc"  # a static sweep that runs first
//! curve = "i_cell"           # its sampled measurement
//! at = ["v_store", "v_bl"]   # expressions in this sweep's parameters and `vdd`: along the curve, then across
//! times = "t_pulse"          # factor that makes it a prediction of the target; or, with the curve's own name,
//! # predicts = "q_in / i_conv"
//! ```

use crate::error::{Kind, Problem};
use crate::expr::{Expr, Operator};
use crate::keys::Keys;

use super::{MeasureSpec, ParameterSpec};

/// How a sweep refines.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptiveSpec {
    /// Column of the measurement that decides.
    pub target: String,
    /// Error to reach, as a share of full scale (the greatest value met).
    pub error: f64,
    /// Points of the first batch.
    pub initial: u64,
    /// Points of each further batch.
    pub batch: u64,
    /// Most points, validation not counted.
    pub max_points: u64,
    /// Points that only check.
    pub validation: u64,
    /// Seed of the design.
    pub seed: u64,
    /// Bounds at which the response stands still, in base units.
    pub clip: Option<(f64, f64)>,
}

/// Which static sweep carries the shape.
#[derive(Debug, Clone, PartialEq)]
pub struct MultifidelitySpec {
    /// The static sweep.
    pub sweep: String,
    /// Its sampled measurement's name in its file.
    pub curve: String,
    /// Where on the curve, an expression in this sweep's parameters and, if the static sweep varies one, its value.
    pub at: Vec<Expr>,
    /// Prediction of the target, an expression in this sweep's parameters and the curve's name.
    pub predicts: Expr,
}

/// The technology's supply [V] in expressions, where the sweep has no parameter of that name.
pub const SUPPLY: &str = "vdd";

pub(super) fn read_adaptive(
    keys: &Keys<'_>,
    parameters: &[ParameterSpec],
    measures: &[MeasureSpec],
) -> Option<AdaptiveSpec> {
    let table = keys.table("adaptive")?;
    let name = table.require_string("target", "a measurement of this file, as in \"charge\"");
    let measure = measures.iter().find(|m| m.unit.column(&name) == m.column);
    if measure.is_none() && !name.is_empty() {
        let known: Vec<&str> = measures.iter().map(|m| m.column.as_str()).collect();
        let problem = Problem::new(Kind::SpecKey, format!("no measurement is named \"{name}\""));
        table.problem(problem.accepted(format!("the name behind one of the columns {}", known.join(", "))), "target");
    }
    let unit = measure.map_or(crate::units::Unit::One, |m| m.unit);
    let error = table.require_quantity("error", crate::units::Unit::One);
    if error.is_finite() && !(error > 0.0 && error < 1.0) {
        let problem = Problem::new(Kind::SpecKey, format!("{error} is no share of full scale"));
        table.problem(problem.accepted("a number between 0 and 1, as in 5e-4"), "error");
    }
    let least = 2 * (parameters.len() as u64 + 1) + 2;
    let count = |key: &str, default: u64| table.count(key).unwrap_or(default);
    let initial = count("initial", 10 * parameters.len() as u64);
    if initial < least {
        let problem = Problem::new(Kind::SpecKey, format!("{initial} points cannot shape a surrogate"));
        table.problem(problem.accepted(format!("{least} or more for {} parameters", parameters.len())), "initial");
    }
    let batch = count("batch", (initial / 2).max(1));
    if batch == 0 {
        table.problem(Problem::new(Kind::SpecKey, "a batch needs a point").accepted("1 or more"), "batch");
    }
    let max_points = count("max_points", 100 * parameters.len() as u64);
    if max_points < initial {
        let problem = Problem::new(Kind::SpecKey, format!("the first batch alone has {initial} points"));
        table.problem(problem.accepted(format!("{initial} or more")), "max_points");
    }
    let clip = table.quantities("clip", unit).and_then(|bounds| match bounds[..] {
        [bottom, top] if bottom < top => Some((bottom, top)),
        _ => {
            let problem = Problem::new(Kind::SpecKey, "these are no two bounds");
            table.problem(problem.accepted("a lower and an upper bound, as in [\"0 s\", \"15 ns\"]"), "clip");
            None
        }
    });
    let (validation, seed) = (count("validation", 10), count("seed", 1));
    table.finish();
    let target = measure.map_or(String::new(), |m| m.column.clone());
    Some(AdaptiveSpec { target, error, initial, batch, max_points, validation, seed, clip })
}

pub(super) fn read_multifidelity(keys: &Keys<'_>, parameters: &[ParameterSpec]) -> Option<MultifidelitySpec> {
    let table = keys.table("multifidelity")?;
    let sweep = table.require_string("sweep", "a static sweep's name, as in \"nonlinearity_dc\"");
    let curve = table.require_string("curve", "its sampled measurement, as in \"i_cell\"");
    if !table.has("at") {
        table.missing("at", "parameters of this sweep, as in [\"v_store\", \"v_bl\"]");
    }
    let at = table.strings("at").unwrap_or_default();
    let known: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).chain([SUPPLY]).collect();
    let read = |key: &str, text: &str, known: &[&str]| {
        let expr = Expr::parse(text).map_err(|error| {
            let problem = Problem::new(Kind::SpecKey, error.to_string());
            table.problem(problem.accepted(format!("an expression in {}", known.join(", "))), key);
        });
        let names = expr.as_ref().map(Expr::names).unwrap_or_default();
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let problem = Problem::new(Kind::SpecKey, format!("this sweep has no parameter `{name}`"));
            table.problem(problem.accepted(known.join(", ")), key);
        }
        expr.ok()
    };
    if at.len() > 2 {
        let problem = Problem::new(Kind::SpecKey, "a static curve depends on one or two parameters");
        table.problem(problem.accepted("one expression, or two"), "at");
    }
    let at: Vec<Expr> = at.iter().filter_map(|text| read("at", text, &known)).collect();
    let curve_name = curve.to_ascii_lowercase();
    let with_curve: Vec<&str> = known.iter().copied().chain([curve_name.as_str()]).collect();
    let predicts = match (table.string("times"), table.string("predicts")) {
        (Some(_), Some(_)) => {
            let problem = Problem::new(Kind::SpecKey, "`times` and `predicts` both say what the curve predicts");
            table.problem(problem.accepted("one of the two"), "predicts");
            None
        }
        (_, Some(text)) => read("predicts", &text, &with_curve),
        (times, None) => {
            let factor = read("times", times.as_deref().unwrap_or("1"), &known);
            let curve = Box::new(Expr::Name(curve_name.clone()));
            factor.map(|factor| Expr::Binary(curve, Operator::Multiply, Box::new(factor)))
        }
    };
    table.finish();
    Some(MultifidelitySpec { sweep, curve, at, predicts: predicts? })
}

#[cfg(test)]
mod tests {
    use crate::error::Result;
    use crate::spec::SweepSpec;

    fn read(multifidelity: &str) -> Result<SweepSpec> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rc.cir"), "t\n").unwrap();
        let text = format!(
            "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n\
             [parameters.q_in]\nunit = \"C\"\nfrom = \"0 fC\"\nto = \"700 fC\"\nsteps = 3\n\
             [[measure]]\nname = \"width\"\nunit = \"s\"\nat = \"v(b)\"\ntime = \"1 ns\"\n\
             [adaptive]\ntarget = \"width\"\nerror = 1e-3\n\
             [multifidelity]\nsweep = \"rc_dc\"\ncurve = \"i_conv\"\n{multifidelity}\n"
        );
        let path = dir.path().join("a.toml");
        std::fs::write(&path, text).unwrap();
        SweepSpec::read(&path, dir.path())
    }

    #[test]
    fn the_curve_is_taken_anywhere_and_predicts_anything() {
        let spec = read("at = [\"0.45 - q_in / 8p\"]\npredicts = \"q_in / i_conv\"").unwrap().multifidelity.unwrap();
        let at = |name: &str| (name == "q_in").then_some(0.4e-12);
        assert!((spec.at[0].eval(&at).unwrap() - 0.4).abs() < 1e-12);
        let both = |name: &str| if name == "i_conv" { Some(40e-6) } else { at(name) };
        assert!((spec.predicts.eval(&both).unwrap() - 10e-9).abs() < 1e-21);
        let supply =
            read("at = [\"vdd / 2 - q_in / 8p\"]\npredicts = \"q_in / i_conv\"").unwrap().multifidelity.unwrap();
        let at_supply = |name: &str| if name == "vdd" { Some(0.9) } else { at(name) };
        assert!((supply.at[0].eval(&at_supply).unwrap() - 0.4).abs() < 1e-12);
        let times = read("at = [\"q_in\"]\ntimes = \"3\"").unwrap().multifidelity.unwrap();
        assert!((times.predicts.eval(&both).unwrap() - 120e-6).abs() < 1e-15);
    }

    #[test]
    fn names_that_are_not_there_and_two_predictions_are_refused() {
        for (text, word) in [
            ("at = [\"v_bl\"]", "v_bl"),
            ("at = [\"q_in\"]\ntimes = \"i_conv\"", "i_conv"),
            ("at = [\"q_in\"]\npredicts = \"q_in / i_cell\"", "i_cell"),
            ("at = [\"q_in\"]\ntimes = \"2\"\npredicts = \"i_conv\"", "both"),
            ("at = [\"q_in +\"]", "expression"),
        ] {
            let error = read(text).unwrap_err();
            let told = error.problems().iter().map(|p| format!("{p:?}")).collect::<String>();
            assert!(told.contains(word), "{text}: {told}");
        }
    }
}
