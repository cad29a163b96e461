//! The charge of a cell as current, edge charge, short-pulse residual and output conductance.
//!
//! Q = I(V) T + e(V) s(T) + sum_r a_r(V) h_r(T) - g(V) u T [+ k(V) u^2 T [+ m(V) u^3 T - c(V) u s(T)]],
//! u = V_BL - V_pre, s(T) = 1 - exp(-T / t_edge).
//!
//! I is the slope of charge over width (the DC current is not the current of a pulse: the word line kicks the stored node),
//! e what the pulse's edges move, g = -dI/dV_BL. All are cubic splines over the stored voltage whose node values follow
//! from one linear problem. What the first two leave at short pulses is a table of rank `residual_rank` at most.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::residual::{ResidualTerm, residual_terms};
use super::{ChargePoint, NEAR, ReadCondition, check, cubic, held_out};
use crate::Result;
use crate::error::{Kind, Problem};
use crate::fit::linear::{self, LinearFit};
use crate::fit::{ModelFit, Parameter, failed};
use crate::spline::{Spline, SplineBasis};

const FIT: &str = "nonlinearity";

/// How the form is fitted.
///
/// | name | default | range |
/// |---|---|---|
/// | `level_nodes_v` | none: the training levels, or 13 even ones if there are more | rising, at least 2 |
/// | `residual_rank` | 2 | 0 to 4 |
/// | `bit_line_order` | 1 | 1 to 4: 2 adds k(V) u^2 T, 3 m(V) u^3 T, 4 c(V) u s(T), the edges' part |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormOptions {
    /// Stored voltages at which I, e and g are fitted [V].
    pub level_nodes_v: Option<Vec<f64>>,
    /// Products a(V) h(T) kept of the short-pulse residual.
    pub residual_rank: usize,
    /// Order to which the bit line's effect is fitted.
    pub bit_line_order: usize,
}

impl Default for FormOptions {
    fn default() -> Self {
        FormOptions { level_nodes_v: None, residual_rank: 2, bit_line_order: 1 }
    }
}

/// The charge of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NonlinearityModel {
    /// I(V) [A].
    pub current_a: Spline,
    /// e(V) [C].
    pub edge_charge_c: Spline,
    /// g(V) [S]; absent if the training points do not vary the bit line.
    pub conductance_siemens: Option<Spline>,
    /// k(V) [A/V^2], if fitted.
    pub curvature_a_per_v2: Option<Spline>,
    /// m(V) [A/V^3], if fitted.
    #[serde(default)]
    pub third_order_a_per_v3: Option<Spline>,
    /// c(V) [F], if fitted: what the cell holds at the bit line's voltage while its word line is on.
    #[serde(default)]
    pub on_capacitance_f: Option<Spline>,
    /// Time in which a pulse's edges have moved 63 % of their charge [s].
    pub t_edge_s: f64,
    /// Short-pulse residual.
    pub residual: Vec<ResidualTerm>,
    /// Charge of one unit of the published polynomial at full pulse [C].
    pub charge_per_unit_c: f64,
    /// Greatest |Q| of a full pulse at precharge [C].
    pub full_scale_c: f64,
    /// Longest pulse and precharge.
    pub condition: ReadCondition,
    /// Bit lines of the training points [V].
    pub v_bl_range_v: (f64, f64),
}

impl NonlinearityModel {
    /// Charge of a read [C]; zero for no pulse. The caller keeps to the box that [`NonlinearityModel::check`] states.
    pub fn charge_c(&self, v_store_v: f64, t_pulse_s: f64, v_bl_v: f64) -> f64 {
        if t_pulse_s <= 0.0 {
            return 0.0;
        }
        let over = v_bl_v - self.condition.v_pre_v;
        let value = |spline: &Option<Spline>| spline.as_ref().map_or(0.0, |spline| spline.value(v_store_v));
        let beyond = (value(&self.third_order_a_per_v3) * over + value(&self.curvature_a_per_v2)) * over;
        let bit_line = (beyond - value(&self.conductance_siemens)) * over;
        (self.current_a.value(v_store_v) + bit_line) * t_pulse_s
            + (self.edge_charge_c.value(v_store_v) - value(&self.on_capacitance_f) * over)
                * edge_share(t_pulse_s, self.t_edge_s)
            + self.residual.iter().map(|r| r.level_c.value(v_store_v) * r.width.value(t_pulse_s)).sum::<f64>()
    }

    /// Whether a read lies within the fitted box.
    ///
    /// # Errors
    /// `OutsideValidity`, naming the input and its range.
    pub fn check(&self, v_store_v: f64, t_pulse_s: f64, v_bl_v: f64) -> Result<()> {
        let slack = |(low, high): (f64, f64)| (low - NEAR * (high - low).max(1.0), high + NEAR * (high - low).max(1.0));
        let t_range = (0.0, self.condition.t_max_s * (1.0 + NEAR));
        for (key, value, range) in [
            ("v_store_v", v_store_v, slack(self.current_a.domain())),
            ("t_pulse_s", t_pulse_s, t_range),
            ("v_bl_v", v_bl_v, slack(self.v_bl_range_v)),
        ] {
            if !(range.0..=range.1).contains(&value) {
                let message = format!("{value:e} is outside the nonlinearity model's box");
                let problem = Problem::new(Kind::OutsideValidity, message).key(key);
                return Err(problem.accepted(format!("{:e} to {:e}", range.0, range.1)).into());
            }
        }
        Ok(())
    }
}

/// A fitted form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NonlinearityFit {
    /// Report; one bin per pulse width.
    pub fit: ModelFit,
    /// The model.
    pub model: NonlinearityModel,
}

/// Fits the form to `train` and judges it by `test`, which may vary levels, widths and bit lines within `train`'s ranges.
///
/// # Errors
/// `FitFailed` for empty or broken points, points that do not tell the terms apart (one width only, fewer levels than nodes),
/// or a held-out bit line where training has none but precharge.
pub fn fit_form(
    train: &[ChargePoint],
    test: &[ChargePoint],
    condition: &ReadCondition,
    limit: f64,
    options: &FormOptions,
) -> Result<NonlinearityFit> {
    let full_scale_c = check(FIT, train, test, condition)?;
    let nodes = level_nodes(train, options)?;
    let with_bit_line = !train.iter().all(|p| condition.at_precharge(p));
    if !with_bit_line && !test.iter().all(|p| condition.at_precharge(p)) {
        let message = "held-out points vary the bit line, training points do not";
        return Err(failed(FIT, message, "train on at least two bit-line voltages"));
    }
    let order = if with_bit_line { options.bit_line_order.clamp(1, TERMS.len() - 2) } else { 0 };
    let terms = 2 + order;
    let problem = Linear { train, condition, basis: SplineBasis::new(&nodes)?, nodes: &nodes, terms };
    let t_edge_s = problem.best_edge_time()?;
    let solved = problem.solve(t_edge_s)?;
    let node_values = |term: usize| solved.values[term * nodes.len()..(term + 1) * nodes.len()].to_vec();
    let spline = |term: usize| Spline::not_a_knot(nodes.clone(), node_values(term));
    let unit = cubic::fit_unit(FIT, train, condition)?;
    let bit_lines = || train.iter().map(|p| p.v_bl_v);
    let model = NonlinearityModel {
        current_a: spline(0)?,
        edge_charge_c: spline(1)?,
        conductance_siemens: (order >= 1).then(|| spline(2)).transpose()?,
        curvature_a_per_v2: (order >= 2).then(|| spline(3)).transpose()?,
        third_order_a_per_v3: (order >= 3).then(|| spline(4)).transpose()?,
        on_capacitance_f: (order >= 4).then(|| spline(5)).transpose()?,
        t_edge_s,
        residual: residual_terms(train, &solved.residuals, &nodes, &problem.basis, options.residual_rank.min(4))?,
        charge_per_unit_c: unit.values[0],
        full_scale_c,
        condition: *condition,
        v_bl_range_v: (bit_lines().fold(f64::INFINITY, f64::min), bit_lines().fold(f64::NEG_INFINITY, f64::max)),
    };
    let mut parameters = vec![
        Parameter::new("charge_per_unit_c", "C", unit.values[0], unit.interval(0, 0.95)),
        Parameter::new("t_edge_s", "s", t_edge_s, None),
    ];
    for (term, (name, symbol)) in TERMS.iter().enumerate().take(terms) {
        for (k, node) in nodes.iter().enumerate() {
            let index = term * nodes.len() + k;
            let name = format!("{name}_at_{node:.3}_v");
            parameters.push(Parameter::new(name, symbol, solved.values[index], solved.interval(index, 0.95)));
        }
    }
    let errors = held_out(test.iter(), |p| model.charge_c(p.v_store_v, p.t_pulse_s, p.v_bl_v), full_scale_c);
    let bare = NonlinearityModel { residual: Vec::new(), ..model.clone() };
    let bare_errors = held_out(test.iter(), |p| bare.charge_c(p.v_store_v, p.t_pulse_s, p.v_bl_v), full_scale_c);
    let fit = ModelFit::new(FIT, &equation(order), SOURCE, errors, limit)
        .fitted(parameters, train.len())
        .note(format!(
            "full scale is {full_scale_c:.4e} C, the greatest charge of a full pulse at precharge; one bin per width"
        ))
        .note(format!(
            "{} residual terms; without them the held-out error is {:.2e}, {:.2e} at the worst width",
            model.residual.len(),
            bare_errors.rms,
            bare_errors.worst_bin()
        ))
        .note("intervals of a deterministic simulation measure lack of fit, not noise");
    Ok(NonlinearityFit { fit, model })
}

const SOURCE: &str = "charge of a gated current with edges and output conductance, a polynomial in the bit line's swing; \
                      splines fitted by linear least squares";

/// Name stem with unit, and unit, of each term's node values.
const TERMS: [(&str, &str); 6] = [
    ("current_a", "A"),
    ("edge_charge_c", "C"),
    ("conductance_siemens", "S"),
    ("curvature_a_per_v2", "A/V2"),
    ("third_order_a_per_v3", "A/V3"),
    ("on_capacitance_f", "F"),
];

fn equation(order: usize) -> String {
    let swing = ["", " - g(V) u T", " + k(V) u^2 T", " + m(V) u^3 T", " - c(V) u (1 - exp(-T/t_edge))"];
    let of = if order > 0 { ", u = V_BL - V_pre" } else { "" };
    let swing = swing[..=order].concat();
    format!("Q = I(V) T + e(V) (1 - exp(-T/t_edge)) + sum_r a_r(V) h_r(T){swing}{of}")
}

/// s(T).
fn edge_share(t_pulse_s: f64, t_edge_s: f64) -> f64 {
    -(-t_pulse_s / t_edge_s).exp_m1()
}

fn level_nodes(train: &[ChargePoint], options: &FormOptions) -> Result<Vec<f64>> {
    if let Some(nodes) = &options.level_nodes_v {
        return Ok(nodes.clone());
    }
    let mut levels: Vec<f64> = train.iter().map(|p| p.v_store_v).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup_by(|a, b| (*a - *b).abs() <= NEAR);
    if levels.len() < 2 {
        return Err(failed(FIT, "all training points store one voltage", "sweep v_store over its range"));
    }
    const MOST: usize = 13;
    if levels.len() <= MOST {
        return Ok(levels);
    }
    let (low, high) = (levels[0], levels[levels.len() - 1]);
    Ok((0..MOST).map(|k| low + (high - low) * k as f64 / (MOST - 1) as f64).collect())
}

/// The linear problem for one edge time: node values of I, e, and where fitted g, k, m and c.
struct Linear<'a> {
    train: &'a [ChargePoint],
    condition: &'a ReadCondition,
    basis: SplineBasis,
    nodes: &'a [f64],
    terms: usize,
}

impl Linear<'_> {
    fn solve(&self, t_edge_s: f64) -> Result<LinearFit> {
        let n = self.nodes.len();
        let mut design = DMatrix::zeros(self.train.len(), n * self.terms);
        for (i, point) in self.train.iter().enumerate() {
            let over = point.v_bl_v - self.condition.v_pre_v;
            let t = point.t_pulse_s;
            let share = edge_share(t, t_edge_s);
            let factors = [t, share, -over * t, over * over * t, over.powi(3) * t, -over * share];
            for (k, weight) in self.basis.weights(point.v_store_v).into_iter().enumerate() {
                for (term, factor) in factors.iter().enumerate().take(self.terms) {
                    design[(i, term * n + k)] = factor * weight;
                }
            }
        }
        let charges: Vec<f64> = self.train.iter().map(|p| p.charge_c).collect();
        let name = |index: usize| format!("{}_at_{:.3}_v", TERMS[index / n].0, self.nodes[index % n]);
        let names: Vec<String> = (0..n * self.terms).map(name).collect();
        linear::solve(FIT, &names, &design, &charges, None)
    }

    /// The edge time with the least error, by golden section over its logarithm between T_max/3000 and T_max/10.
    fn best_edge_time(&self) -> Result<f64> {
        let ratio = 0.5 * (5f64.sqrt() - 1.0);
        let cost = |log: f64| self.solve(log.exp()).map(|solved| solved.sse);
        let (mut low, mut high) = ((self.condition.t_max_s / 3000.0).ln(), (self.condition.t_max_s / 10.0).ln());
        let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
        let (mut cost_a, mut cost_b) = (cost(a)?, cost(b)?);
        while high - low > 1e-3 {
            if cost_a <= cost_b {
                (high, b, cost_b) = (b, a, cost_a);
                a = high - ratio * (high - low);
                cost_a = cost(a)?;
            } else {
                (low, a, cost_a) = (a, b, cost_b);
                b = low + ratio * (high - low);
                cost_b = cost(b)?;
            }
        }
        Ok((0.5 * (low + high)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONDITION: ReadCondition = ReadCondition { t_max_s: 15e-9, v_pre_v: 0.446, v_zero_v: 0.45 };

    fn current(v: f64) -> f64 {
        1.2e-5 * (v - 0.45) + 4e-5 * (v - 0.45).powi(3) - 2e-6 * (6.0 * v).sin()
    }
    fn edge(v: f64) -> f64 {
        2e-15 * (v - 0.3)
    }
    fn conductance(v: f64) -> f64 {
        3e-6 * (0.2 + v * v)
    }
    /// A pulse that develops over 80 ps, with a level-dependent tail that has died out by 2 ns.
    fn charge(v: f64, t: f64, v_bl: f64) -> f64 {
        let late = if t > 0.0 { (1.5e-15 * v * v - 4e-16) * (t / 3e-10) * (-t / 3e-10).exp() } else { 0.0 };
        current(v) * t + edge(v) * edge_share(t, 8e-11) - conductance(v) * (v_bl - 0.446) * t + late
    }

    fn points(levels: &[f64], widths: &[f64], bit_lines: &[f64]) -> Vec<ChargePoint> {
        let mut points = Vec::new();
        for &v_store_v in levels {
            for &t_pulse_s in widths {
                for &v_bl_v in bit_lines {
                    let charge_c = charge(v_store_v, t_pulse_s, v_bl_v);
                    points.push(ChargePoint { v_store_v, t_pulse_s, v_bl_v, charge_c });
                }
            }
        }
        points
    }

    fn even(n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
    }

    fn widths() -> Vec<f64> {
        [0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 11.0, 15.0].map(|t| t * 1e-9).to_vec()
    }

    #[test]
    fn recovers_current_edge_and_conductance_and_holds_at_every_width() {
        let train = points(&even(12, 0.0, 0.9), &widths(), &[0.3, 0.446, 0.52]);
        let test = points(&even(7, 0.05, 0.86), &[0.25e-9, 0.6e-9, 1.2e-9, 4e-9, 10e-9, 15e-9], &[0.35, 0.446, 0.5]);
        let result = fit_form(&train, &test, &CONDITION, 0.01, &FormOptions::default()).unwrap();
        assert!(result.fit.pass && result.fit.held_out_max < 2e-3, "{:?}", result.fit);
        assert_eq!(result.fit.bins.len(), 6);
        for v in even(10, 0.0, 0.9) {
            assert!((result.model.current_a.value(v) - current(v)).abs() < 2e-8, "{v}");
            let g = result.model.conductance_siemens.as_ref().unwrap().value(v);
            assert!((g - conductance(v)).abs() < 1e-9, "{v} {g}");
            assert_eq!(result.model.charge_c(v, 0.0, 0.446), 0.0);
        }
        // Without the table the short pulses are worse.
        let options = FormOptions { residual_rank: 0, ..FormOptions::default() };
        let bare = fit_form(&train, &test, &CONDITION, 0.01, &options).unwrap();
        assert!(bare.fit.bins[0].rms > 5.0 * result.fit.bins[0].rms, "{:?} {:?}", bare.fit.bins, result.fit.bins);
    }

    #[test]
    fn higher_orders_catch_a_bent_output_characteristic() {
        let bend = |mut points: Vec<ChargePoint>| {
            for p in &mut points {
                let over = p.v_bl_v - 0.446;
                p.charge_c += 2e-5 * p.v_store_v * (over.powi(2) - 6.0 * over.powi(3)) * p.t_pulse_s;
            }
            points
        };
        let train = bend(points(&even(8, 0.0, 0.9), &widths(), &[0.3, 0.4, 0.446, 0.52]));
        let test = bend(points(&even(5, 0.1, 0.8), &widths(), &[0.35]));
        let max = |bit_line_order| {
            let options = FormOptions { bit_line_order, ..FormOptions::default() };
            fit_form(&train, &test, &CONDITION, 0.01, &options).unwrap().fit.held_out_max
        };
        let [first, second, third] = [1, 2, 3].map(max);
        assert!(second < 0.7 * first && third < 0.7 * second, "{first} {second} {third}");
    }

    #[test]
    fn points_that_cannot_tell_the_terms_apart_are_refused() {
        let one_width = points(&even(8, 0.0, 0.9), &[15e-9], &[0.446]);
        let error = fit_form(&one_width, &one_width, &CONDITION, 0.01, &FormOptions::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::FitFailed);
        let train = points(&even(8, 0.0, 0.9), &widths(), &[0.446]);
        let test = points(&even(8, 0.0, 0.9), &widths(), &[0.3]);
        let error = fit_form(&train, &test, &CONDITION, 0.01, &FormOptions::default()).unwrap_err();
        assert!(error.to_string().contains("bit line"), "{error}");
        let constant = points(&[0.3], &widths(), &[0.446]);
        assert!(fit_form(&constant, &constant, &CONDITION, 0.01, &FormOptions::default()).is_err());
    }

    #[test]
    fn the_box_is_known() {
        let train = points(&even(8, 0.0, 0.9), &widths(), &[0.3, 0.446]);
        let model = fit_form(&train, &train, &CONDITION, 0.01, &FormOptions::default()).unwrap().model;
        assert!(model.check(0.9, 15e-9, 0.3).is_ok());
        for (v, t, b) in [(0.95, 1e-9, 0.4), (0.5, 16e-9, 0.4), (0.5, 1e-9, 0.6)] {
            assert_eq!(model.check(v, t, b).unwrap_err().kind(), Kind::OutsideValidity);
        }
    }
}
