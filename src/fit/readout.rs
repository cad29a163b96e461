//! Readout: the width of the converter's pulse against charge, unsigned and signed.
//!
//! ```text
//! w(Q) = soft_clip(gain (Q - offset)) for Q above the onset, else 0
//! soft_clip(x) = k_low ln(1 + e^(x/k_low)) - k_high ln(1 + e^((x - T_sat)/k_high))
//! ```
//!
//! A straight line between two rounded knees: a comparator of finite gain and delay, a constant discharge current, a window
//! that ends. Points without a pulse and saturated ones are censored: they say where the line stops, not where it runs.
//! What the parametric form leaves is kept as a table, and the exported curve is monotone. The signed converter has a branch
//! for each sign, each with its own slope and offset.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::{Kind, Problem};
use crate::fit::dual::Dual;
use crate::fit::engine::{self, Forward, Loss, Start};
use crate::fit::monotone::monotone_table;
use crate::fit::{HeldOut, ModelFit, Parameter, check_points, failed, linear, profile, stats};
use crate::spline::Spline;

/// One conversion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConversionPoint {
    /// Charge on the bit line [C], in the sign in which more of it lengthens a positive pulse.
    pub charge_c: f64,
    /// Width of the pulse [s]; 0 for none, negative for a pulse of negative sign.
    pub width_s: f64,
}

/// Where points are censored, and how they count.
///
/// | name | meaning |
/// |---|---|
/// | `t_max_s` | width of a saturated pulse; full scale of the errors |
/// | `dead_width_s` | narrower counts as no pulse |
/// | `saturation_slack_s` | wider than `t_max_s` less this counts as saturated |
/// | `loss` | how residuals of the line count |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadoutOptions {
    /// Width of a saturated pulse [s].
    pub t_max_s: f64,
    /// Narrower counts as no pulse [s].
    pub dead_width_s: f64,
    /// Wider than `t_max_s` less this counts as saturated [s].
    pub saturation_slack_s: f64,
    /// Loss.
    pub loss: Loss,
}

impl ReadoutOptions {
    /// One picosecond of dead width and of slack, squared loss.
    pub fn new(t_max_s: f64) -> ReadoutOptions {
        ReadoutOptions { t_max_s, dead_width_s: 1e-12, saturation_slack_s: 1e-12, loss: Loss::Square }
    }
}

/// One branch's line and knees, for positive widths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Slope of the line [s/C].
    pub gain_s_per_c: f64,
    /// Where the line is zero [C].
    pub offset_c: f64,
    /// Between no pulse and the first pulse [C]; the dead zone ends here.
    pub onset_c: f64,
    /// Rounding at zero [s].
    pub knee_low_s: f64,
    /// Rounding at saturation [s].
    pub knee_high_s: f64,
    /// Saturated width [s].
    pub t_sat_s: f64,
}

impl Branch {
    /// The parametric width [s].
    pub fn width_s(&self, charge_c: f64) -> f64 {
        if charge_c < self.onset_c {
            return 0.0;
        }
        let x = self.gain_s_per_c * (charge_c - self.offset_c);
        let low = self.knee_low_s * stats::softplus(x / self.knee_low_s);
        low - self.knee_high_s * stats::softplus((x - self.t_sat_s) / self.knee_high_s)
    }
}

/// A fitted readout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutFit {
    /// Report.
    pub fit: ModelFit,
    /// The branch of positive pulses.
    pub positive: Branch,
    /// The branch of negative pulses, in mirrored charge and width; absent for the unsigned converter.
    pub negative: Option<Branch>,
    /// Signed width against charge [s over C], monotone: line and table together.
    pub table: Spline,
    /// Whether the curve is flat (no pulse, or saturated) at its lower and upper end.
    pub flat_ends: (bool, bool),
}

impl ReadoutFit {
    /// Signed width [s]; constant beyond the table's ends.
    pub fn width_s(&self, charge_c: f64) -> f64 {
        let (low, high) = self.table.domain();
        self.table.value(charge_c.clamp(low, high))
    }

    /// Whether the width at this charge is known: inside the fitted charges, or beyond an end at which the curve is flat.
    ///
    /// # Errors
    /// `OutsideValidity`.
    pub fn check(&self, charge_c: f64) -> Result<()> {
        let (low, high) = self.table.domain();
        if (charge_c >= low || self.flat_ends.0) && (charge_c <= high || self.flat_ends.1) {
            return Ok(());
        }
        let message = format!("{charge_c:e} C is outside the readout model, which is not saturated there");
        Err(Problem::new(Kind::OutsideValidity, message)
            .key("charge_c")
            .accepted(format!("{low:e} C to {high:e} C"))
            .into())
    }
}

/// Fits the unsigned converter. Errors are fractions of `t_max_s`; bins are `linear`, `no pulse` and `saturated`.
///
/// # Errors
/// `FitFailed` for empty or broken points, negative widths, fewer than five points on the line, or widths that fall with
/// charge.
pub fn fit_readout(
    train: &[ConversionPoint],
    test: &[ConversionPoint],
    limit: f64,
    options: &ReadoutOptions,
) -> Result<ReadoutFit> {
    let name = "readout";
    check(name, train, test, options)?;
    if let Some(point) = train.iter().chain(test).find(|p| p.width_s < 0.0) {
        let message = format!("the unsigned converter has a width of {:e} s", point.width_s);
        return Err(failed(name, message, "use the signed fit for signed widths"));
    }
    let branch = fit_branch(name, train, options)?;
    let mut parameters = Vec::new();
    branch.report("", 1.0, &mut parameters);
    let equation =
        "w = k_low softplus(x/k_low) - k_high softplus((x - T_sat)/k_high) above the onset, x = gain (Q - offset)";
    let report = |errors| ModelFit::new(name, equation, SOURCE, errors, limit).fitted(parameters, train.len());
    conclude(report, branch.branch, None, train, test, options)
}

/// Fits the signed converter: a branch for each sign. Errors are fractions of `t_max_s`.
///
/// # Errors
/// As [`fit_readout`], for either branch.
pub fn fit_readout_signed(
    train: &[ConversionPoint],
    test: &[ConversionPoint],
    limit: f64,
    options: &ReadoutOptions,
) -> Result<ReadoutFit> {
    let name = "readout_signed";
    check(name, train, test, options)?;
    let side = |sign: f64| -> Vec<ConversionPoint> {
        let mirrored = train.iter().map(|p| ConversionPoint { charge_c: sign * p.charge_c, width_s: sign * p.width_s });
        mirrored.filter(|p| p.width_s > -options.dead_width_s).collect()
    };
    let positive = fit_branch(name, &side(1.0), options)?;
    let negative = fit_branch(name, &side(-1.0), options)?;
    let mut parameters = Vec::new();
    positive.report("positive_", 1.0, &mut parameters);
    negative.report("negative_", -1.0, &mut parameters);
    let equation =
        "w = soft_clip(gain_p (Q - offset_p)) above onset_p, -soft_clip(gain_n (offset_n - Q)) below onset_n, else 0";
    let report = |errors| ModelFit::new(name, equation, SOURCE, errors, limit).fitted(parameters, train.len());
    conclude(report, positive.branch, Some(negative.branch), train, test, options)
}

fn check(fit: &str, train: &[ConversionPoint], test: &[ConversionPoint], options: &ReadoutOptions) -> Result<()> {
    if !(options.t_max_s > 0.0 && options.dead_width_s >= 0.0 && options.saturation_slack_s >= 0.0) {
        return Err(failed(fit, format!("t_max_s is {:e}", options.t_max_s), "give the converter's longest pulse"));
    }
    for (set, points) in [("training", train), ("held-out", test)] {
        check_points(fit, set, ["charge_c", "width_s"], points.iter().map(|p| [p.charge_c, p.width_s]))?;
    }
    Ok(())
}

/// What a width says, whatever its sign.
fn class(width_s: f64, options: &ReadoutOptions) -> &'static str {
    if width_s.abs() <= options.dead_width_s {
        "no pulse"
    } else if width_s.abs() >= options.t_max_s - options.saturation_slack_s {
        "saturated"
    } else {
        "linear"
    }
}

struct FittedBranch {
    branch: Branch,
    gain_interval: Option<(f64, f64)>,
    offset_interval: Option<(f64, f64)>,
    knee_intervals: [Option<(f64, f64)>; 2],
    onset_bracket: Option<(f64, f64)>,
}

impl FittedBranch {
    /// Parameters under `prefix`; `sign` mirrors charges back.
    fn report(&self, prefix: &str, sign: f64, parameters: &mut Vec<Parameter>) {
        let mirror =
            |interval: Option<(f64, f64)>| interval.map(|(a, b)| ((sign * a).min(sign * b), (sign * a).max(sign * b)));
        let b = &self.branch;
        let saturation_c = b.offset_c + b.t_sat_s / b.gain_s_per_c;
        parameters.extend([
            Parameter::new(format!("{prefix}gain_s_per_c"), "s/C", b.gain_s_per_c, self.gain_interval),
            Parameter::new(format!("{prefix}offset_c"), "C", sign * b.offset_c, mirror(self.offset_interval)),
            Parameter::new(format!("{prefix}onset_c"), "C", sign * b.onset_c, mirror(self.onset_bracket)),
            Parameter::new(format!("{prefix}knee_low_s"), "s", b.knee_low_s, self.knee_intervals[0]),
            Parameter::new(format!("{prefix}knee_high_s"), "s", b.knee_high_s, self.knee_intervals[1]),
            Parameter::new(format!("{prefix}t_sat_s"), "s", b.t_sat_s, None),
            Parameter::new(format!("{prefix}saturation_c"), "C", sign * saturation_c, None),
        ]);
    }
}

/// Line and knees of positive widths.
fn fit_branch(fit: &str, points: &[ConversionPoint], options: &ReadoutOptions) -> Result<FittedBranch> {
    let of = |wanted: &str| -> Vec<ConversionPoint> {
        points.iter().filter(|p| class(p.width_s, options) == wanted).copied().collect()
    };
    let (dead, line, saturated) = (of("no pulse"), of("linear"), of("saturated"));
    if line.len() < 5 {
        let message = format!("{} conversions give a pulse that is neither none nor saturated", line.len());
        return Err(failed(fit, message, "sweep the charge between dead zone and saturation, at least five points"));
    }
    let t_sat_s = if saturated.is_empty() {
        options.t_max_s
    } else {
        stats::quantile_sorted(&stats::sorted(&saturated.iter().map(|p| p.width_s).collect::<Vec<_>>()), 0.5)
    };
    // A first line, from the middle of the range if it has points.
    let middle: Vec<&ConversionPoint> =
        line.iter().filter(|p| p.width_s > 0.15 * t_sat_s && p.width_s < 0.85 * t_sat_s).collect();
    let chosen: Vec<&ConversionPoint> = if middle.len() >= 3 { middle } else { line.iter().collect() };
    let charge_scale = line.iter().fold(0.0, |m: f64, p| m.max(p.charge_c.abs())).max(f64::MIN_POSITIVE);
    let design = nalgebra::DMatrix::from_fn(chosen.len(), 2, |i, j| if j == 0 { 1.0 } else { chosen[i].charge_c });
    let widths: Vec<f64> = chosen.iter().map(|p| p.width_s).collect();
    let first = linear::solve(fit, &["offset_c".into(), "gain_s_per_c".into()], &design, &widths, None)?;
    if first.values[1] <= 0.0 {
        let message = "the pulse does not get longer with charge";
        return Err(failed(fit, message, "give charges in the sign that lengthens the pulse"));
    }
    let (gain, offset) = (first.values[1], -first.values[0] / first.values[1]);
    let knee_start = 0.003 * t_sat_s;
    let bound = |name: &str| Start::between(name, knee_start, 1e-5 * t_sat_s, 0.3 * t_sat_s);
    let starts = [
        Start::positive("gain_s_per_c", gain),
        Start::free("offset_c", offset, charge_scale),
        bound("knee_low_s"),
        bound("knee_high_s"),
    ];
    let least = t_sat_s - 2.0 * options.saturation_slack_s;
    let solve = |prior_s: f64| {
        let residuals = Forward(|p: &[Dual]| {
            let width = |charge_c: f64| {
                let x = p[0] * (charge_c - p[1]);
                p[2] * (x / p[2]).softplus() - p[3] * ((x - t_sat_s) / p[3]).softplus()
            };
            let mut all: Vec<Dual> = line.iter().map(|point| width(point.charge_c) - point.width_s).collect();
            // A saturated pulse objects only to a curve that is not yet saturated.
            all.extend(saturated.iter().map(|point| (least - width(point.charge_c)).positive_part()));
            all.extend([2, 3].map(|k| prior_s * (p[k] / knee_start).ln()));
            all
        });
        match options.loss {
            Loss::Square => profile::solve(fit, &residuals, &starts),
            robust => engine::solve(fit, &residuals, &starts, robust),
        }
    };
    // Knees that no point shows stay at their start; this weight decides nothing else. Of a curve that bends the other way the knee runs
    // into its lower bound, where nothing moves any more: it takes more to keep it from there.
    let solution = solve(1e-7 * t_sat_s).or_else(|_| solve(1e-3 * t_sat_s))?;
    let first_pulse = points.iter().filter(|p| class(p.width_s, options) != "no pulse").map(|p| p.charge_c);
    let first_pulse = first_pulse.fold(f64::INFINITY, f64::min);
    let last_dead = dead.iter().map(|p| p.charge_c).filter(|&q| q < first_pulse).fold(f64::NEG_INFINITY, f64::max);
    let onset_bracket = last_dead.is_finite().then_some((last_dead, first_pulse));
    let [gain_s_per_c, offset_c, knee_low_s, knee_high_s] = std::array::from_fn(|k| solution.values[k]);
    // Within the bracket the line's own zero is the better guess, where it lies there.
    let onset_c =
        onset_bracket.map_or(
            first_pulse,
            |(low, high)| {
                if (low..=high).contains(&offset_c) { offset_c } else { 0.5 * (low + high) }
            },
        );
    Ok(FittedBranch {
        branch: Branch { gain_s_per_c, offset_c, onset_c, knee_low_s, knee_high_s, t_sat_s },
        gain_interval: solution.interval(0),
        offset_interval: solution.interval(1),
        knee_intervals: [solution.interval(2), solution.interval(3)],
        onset_bracket,
    })
}

const SOURCE: &str =
    "comparator, constant-current discharge and window: a line between two rounded knees; table for the rest";

/// Adds the table, judges, and completes the report that `report` makes of the held-out errors.
fn conclude(
    report: impl FnOnce(HeldOut) -> ModelFit,
    positive: Branch,
    negative: Option<Branch>,
    train: &[ConversionPoint],
    test: &[ConversionPoint],
    options: &ReadoutOptions,
) -> Result<ReadoutFit> {
    let parametric = |charge_c: f64| {
        let plus = positive.width_s(charge_c);
        if plus > 0.0 { plus } else { negative.as_ref().map_or(0.0, |branch| -branch.width_s(-charge_c)) }
    };
    let points = train.iter().map(|p| (p.charge_c, p.width_s)).collect();
    let table = monotone_table(points, parametric)?;
    let ends = table.values();
    let flat = |width: f64| class(width, options) != "linear";
    let flat_ends = (flat(ends[0]), flat(ends[ends.len() - 1]));
    let errors = |predict: &dyn Fn(f64) -> f64| {
        let row = |p: &ConversionPoint| (class(p.width_s, options).to_string(), p.width_s, predict(p.charge_c));
        HeldOut::new(&test.iter().map(row).collect::<Vec<_>>(), options.t_max_s)
    };
    let with_table = errors(&|charge_c| table.value(charge_c.clamp(table.domain().0, table.domain().1)));
    let line_only = errors(&parametric);
    let count = |wanted| train.iter().filter(|p| class(p.width_s, options) == wanted).count();
    let fit = report(with_table)
        .note(format!("full scale is a pulse of {:e} s", options.t_max_s))
        .note(format!(
            "censored training points: {} without a pulse, {} saturated",
            count("no pulse"),
            count("saturated")
        ))
        .note(format!("without the table the held-out error is {:.2e}, {:.2e} at most", line_only.rms, line_only.max));
    Ok(ReadoutFit { fit, positive, negative, table, flat_ends })
}

#[cfg(test)]
mod tests;
