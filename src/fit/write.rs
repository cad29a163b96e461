//! Write: the voltage that stays in a cell against the level that drove it.
//!
//! ```text
//! V_stored = V_zero + offset + gain y + c2 y^2 + c3 y^3 + k (V_previous - V_level) + r(V_level, V_previous),  y = V_level - V_zero
//! ```
//!
//! Offset and the powers of y are charge injection and clock feed-through as the write gate closes (the charge under a gate
//! falls linearly with the channel's potential; J. H. Shieh, M. Patil, B. J. Sheu, IEEE J. Solid-State Circuits 22, 277 (1987)),
//! k is what an unfinished write leaves of the level before. r is what these leave at the points of the sweep, splines through its levels
//! and lines between the levels before: where one of the gate's transistors turns off before the other there is a bend that no
//! cubic follows, and nodes that float inside the read stage remember the level before not quite in proportion.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::retention::V_ZERO_V;
use crate::fit::{HeldOut, ModelFit, Parameter, check_points, failed, linear, stats};
use crate::spline::Spline;

const FIT: &str = "write";

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WritePoint {
    /// Level driven onto the write bit line [V].
    pub v_level_v: f64,
    /// Stored voltage before the write [V].
    pub v_previous_v: f64,
    /// Stored voltage just before the write gate closes [V], if measured.
    pub v_settled_v: Option<f64>,
    /// Stored voltage after the write [V].
    pub v_stored_v: f64,
}

/// A fitted write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteFit {
    /// Report.
    pub fit: ModelFit,
    /// Coefficients of 1, y, y^2, y^3 of V_stored - V_zero [V, 1, 1/V, 1/V2]; the second is the gain.
    pub coefficients: [f64; 4],
    /// Share of the previous level that stays; 0 if the points do not vary it.
    pub previous_coupling: f64,
    /// r over the level [V], by the level before [V], ascending.
    pub rest: Vec<(f64, Spline)>,
    /// Levels of the training points [V].
    pub v_level_range_v: (f64, f64),
    /// The zero weight, half the swing [V].
    #[serde(default = "published_zero")]
    pub v_zero_v: f64,
}

fn published_zero() -> f64 {
    V_ZERO_V
}

impl WriteFit {
    /// The stored voltage [V].
    pub fn stored_v(&self, v_level_v: f64, v_previous_v: f64) -> f64 {
        stored_v(&self.coefficients, self.previous_coupling, self.v_zero_v, v_level_v, v_previous_v)
            + between(&self.rest, v_level_v, v_previous_v)
    }
}

/// Fits `train` and judges by `test`, one bin per level; `swing_v` is the full scale of the errors. The previous level is
/// fitted if some level was written over at least two others.
///
/// # Errors
/// `FitFailed` for empty or broken points or fewer than four levels.
pub fn fit_write(train: &[WritePoint], test: &[WritePoint], swing_v: f64, limit: f64) -> Result<WriteFit> {
    for (set, points) in [("training", train), ("held-out", test)] {
        let numbers = points.iter().map(|p| [p.v_level_v, p.v_previous_v, p.v_settled_v.unwrap_or(0.0), p.v_stored_v]);
        check_points(FIT, set, ["v_level_v", "v_previous_v", "v_settled_v", "v_stored_v"], numbers)?;
    }
    if !(swing_v > 0.0 && swing_v.is_finite()) {
        return Err(failed(FIT, format!("the full scale is {swing_v} V"), "give the swing of the levels, as 0.9 V"));
    }
    let v_zero_v = swing_v / 2.0;
    let over_two = |p: &WritePoint| {
        let other = |q: &WritePoint| q.v_level_v == p.v_level_v && (q.v_previous_v - p.v_previous_v).abs() > 1e-6;
        train.iter().any(other)
    };
    let with_previous = train.iter().any(over_two);
    let columns = if with_previous { &COLUMNS[..] } else { &COLUMNS[..4] };
    let design = DMatrix::from_fn(train.len(), columns.len(), |i, j| {
        let p = &train[i];
        if j < 4 { (p.v_level_v - v_zero_v).powi(j as i32) } else { p.v_previous_v - p.v_level_v }
    });
    let stored: Vec<f64> = train.iter().map(|p| p.v_stored_v - v_zero_v).collect();
    let names: Vec<String> = columns.iter().map(|(name, _)| (*name).to_string()).collect();
    let solved = linear::solve(FIT, &names, &design, &stored, None)?;
    let parameter = |(j, (name, unit)): (usize, &(&str, &str))| {
        Parameter::new(*name, unit, solved.values[j], solved.interval(j, 0.95))
    };
    let mut parameters: Vec<Parameter> = columns.iter().enumerate().map(parameter).collect();
    describe(train, &mut parameters);
    let levels = || train.iter().map(|p| p.v_level_v);
    let range = (levels().fold(f64::INFINITY, f64::min), levels().fold(f64::NEG_INFINITY, f64::max));
    let coefficients = std::array::from_fn(|j| solved.values[j]);
    let previous_coupling = if with_previous { solved.values[4] } else { 0.0 };
    let rest = rest(train, &solved.residuals)?;
    let row = |p: &WritePoint| {
        let form_v = stored_v(&coefficients, previous_coupling, v_zero_v, p.v_level_v, p.v_previous_v);
        (format!("v_level_v = {:.4}", p.v_level_v), p.v_stored_v, form_v + between(&rest, p.v_level_v, p.v_previous_v))
    };
    let errors = HeldOut::new(&test.iter().map(row).collect::<Vec<_>>(), swing_v);
    let ideal = stats::rms(&test.iter().map(|p| (p.v_stored_v - p.v_level_v) / swing_v).collect::<Vec<_>>());
    let mut fit = ModelFit::new(FIT, EQUATION, SOURCE, errors, limit)
        .fitted(parameters, train.len())
        .note(format!("full scale is a swing of {swing_v} V; one bin per level"))
        .note(format!("taking the level itself for what is stored, the held-out error is {ideal:.2e}"));
    if !with_previous {
        fit = fit.note("the points do not vary the previous level; its coupling is not fitted");
    }
    Ok(WriteFit { fit, coefficients, previous_coupling, rest, v_level_range_v: range, v_zero_v })
}

/// What the form leaves, by the level before and the level; levels before that too few levels were written over say nothing.
fn rest(train: &[WritePoint], residuals: &[f64]) -> Result<Vec<(f64, Spline)>> {
    let mut by_previous: Vec<(f64, Vec<(f64, f64)>)> = Vec::new();
    for (point, residual) in train.iter().zip(residuals) {
        let at = (point.v_level_v, *residual);
        match by_previous.iter_mut().find(|(previous, _)| *previous == point.v_previous_v) {
            Some((_, levels)) => levels.push(at),
            None => by_previous.push((point.v_previous_v, vec![at])),
        }
    }
    by_previous.sort_by(|a, b| a.0.total_cmp(&b.0));
    let curves = by_previous.into_iter().map(|(previous, mut levels)| {
        levels.sort_by(|a, b| a.0.total_cmp(&b.0));
        levels.dedup_by(|a, b| a.0 == b.0);
        (previous, levels)
    });
    curves
        .filter(|(_, levels)| levels.len() >= COLUMNS.len() - 1)
        .map(|(previous, levels)| {
            let (levels, rest) = levels.into_iter().unzip();
            Ok((previous, Spline::pchip(levels, rest)?))
        })
        .collect()
}

/// That at any level over any other; constant beyond the ends.
fn between(rest: &[(f64, Spline)], v_level_v: f64, v_previous_v: f64) -> f64 {
    let along = |curve: &Spline| {
        let (low, high) = curve.domain();
        curve.value(v_level_v.clamp(low, high))
    };
    let above = rest.partition_point(|(previous, _)| *previous < v_previous_v);
    match (above.checked_sub(1).and_then(|below| rest.get(below)), rest.get(above)) {
        (Some((low, below)), Some((high, above))) => {
            let share = (v_previous_v - low) / (high - low);
            (1.0 - share) * along(below) + share * along(above)
        }
        (Some((_, only)), None) | (None, Some((_, only))) => along(only),
        (None, None) => 0.0,
    }
}

fn stored_v(coefficients: &[f64; 4], previous_coupling: f64, v_zero_v: f64, v_level_v: f64, v_previous_v: f64) -> f64 {
    let y = v_level_v - v_zero_v;
    let own = coefficients.iter().rev().fold(0.0, |sum, c| sum * y + c);
    v_zero_v + own + previous_coupling * (v_previous_v - v_level_v)
}

const COLUMNS: [(&str, &str); 5] = [
    ("offset_v", "V"),
    ("gain", "1"),
    ("quadratic_per_v", "1/V"),
    ("cubic_per_v2", "1/V2"),
    ("previous_coupling", "1"),
];
const EQUATION: &str = "V_stored = V_zero + offset + gain y + c2 y^2 + c3 y^3 + k (V_previous - V_level) + r(V_level, V_previous), y = V_level - V_zero, V_zero half the swing";
const SOURCE: &str = "line with cubic residual: charge injection (Shieh et al., IEEE JSSC 22, 277 (1987)) and settling";

/// Mean and greatest injection and settling error, where the voltage before the gate closes was measured.
fn describe(train: &[WritePoint], parameters: &mut Vec<Parameter>) {
    let settled: Vec<(&WritePoint, f64)> = train.iter().filter_map(|p| Some((p, p.v_settled_v?))).collect();
    if settled.is_empty() {
        return;
    }
    let injection: Vec<f64> = settled.iter().map(|(p, settled)| p.v_stored_v - settled).collect();
    let settling: Vec<f64> = settled.iter().map(|(p, settled)| settled - p.v_level_v).collect();
    parameters.extend([
        Parameter::new("injection_mean_v", "V", stats::mean(&injection), None),
        Parameter::new("injection_max_v", "V", stats::max_abs(&injection), None),
        Parameter::new("settle_error_mean_v", "V", stats::mean(&settling), None),
        Parameter::new("settle_error_max_v", "V", stats::max_abs(&settling), None),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn points(levels: usize, previous: &[f64]) -> Vec<WritePoint> {
        let mut points = Vec::new();
        for i in 0..levels {
            for &v_previous_v in previous {
                let v_level_v = 0.9 * i as f64 / (levels - 1) as f64;
                let y = v_level_v - 0.45;
                let settled = v_level_v + 0.004 * (v_previous_v - v_level_v);
                let v_stored_v = settled - 0.002 - 0.006 * y + 0.003 * y * y + 0.01 * y.powi(3);
                points.push(WritePoint { v_level_v, v_previous_v, v_settled_v: Some(settled), v_stored_v });
            }
        }
        points
    }

    #[test]
    fn recovers_injection_gain_and_memory() {
        let (train, test) = (points(8, &[0.0, 0.45, 0.9]), points(6, &[0.2, 0.8]));
        let result = fit_write(&train, &test, 0.9, 0.01).unwrap();
        for (name, truth) in [
            ("offset_v", -0.002),
            ("gain", 0.994),
            ("quadratic_per_v", 0.003),
            ("cubic_per_v2", 0.01),
            ("previous_coupling", 0.004),
        ] {
            assert!((result.fit.parameter(name).unwrap().value - truth).abs() < 1e-10, "{name}");
        }
        assert!(result.fit.held_out_max < 1e-12 && result.fit.bins.len() == 6);
        assert!((result.fit.parameter("settle_error_max_v").unwrap().value - 0.0036).abs() < 1e-12);
    }

    #[test]
    fn a_bend_that_no_cubic_follows_is_kept_beside_the_form() {
        let bend = |p: WritePoint| WritePoint { v_stored_v: p.v_stored_v + 0.004 * (p.v_level_v - 0.6).abs(), ..p };
        let train: Vec<WritePoint> = points(16, &[0.0, 0.9]).into_iter().map(bend).collect();
        let test: Vec<WritePoint> = points(11, &[0.3]).into_iter().map(bend).collect();
        let result = fit_write(&train, &test, 0.9, 0.01).unwrap();
        // 0.06 V between levels: at the corner, at most a quarter of that times twice the slope.
        assert!(result.fit.held_out_max * 0.9 < 0.25 * 0.06 * 0.008, "{}", result.fit.held_out_max);
        assert!(
            result.rest.iter().all(|(_, curve)| stats::max_abs(curve.values()) > 1e-4),
            "the cubic misses the bend"
        );
    }

    #[test]
    fn without_a_varied_previous_level_its_coupling_is_left_out() {
        let train = points(8, &[0.45]);
        let result = fit_write(&train, &train, 0.9, 0.01).unwrap();
        assert_eq!(result.previous_coupling, 0.0);
        assert!(result.fit.parameter("previous_coupling").is_none());
    }

    #[test]
    fn three_levels_do_not_make_a_cubic() {
        let train = points(3, &[0.0, 0.9]);
        let error = fit_write(&train, &train, 0.9, 0.01).unwrap_err();
        assert_eq!(error.kind(), Kind::FitFailed);
        assert!(error.to_string().contains("cubic_per_v2"), "{error}");
    }
}
