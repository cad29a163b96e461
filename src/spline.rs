//! Piecewise cubic interpolation: monotone (PCHIP) and smooth (not-a-knot), with derivative, integral and a linear basis.
//!
//! PCHIP: F. N. Fritsch and J. Butland, *A method for constructing local monotone piecewise cubic interpolants*, SIAM J.
//! Sci. Stat. Comput. 5, 300 (1984), with the three-point end slopes of C. Moler, *Numerical Computing with MATLAB*, ch. 3.
//! Not-a-knot: C. de Boor, *A Practical Guide to Splines*, ch. IV.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Problem, Result};

/// A piecewise cubic through its nodes, kept as node values and slopes.
///
/// At a node it returns exactly the node's value. Outside its nodes it goes on as the straight line of its end slope, so
/// that solvers can step over the edge; whoever must not extrapolate asks [`Spline::contains`] or [`Spline::try_value`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spline {
    x: Vec<f64>,
    y: Vec<f64>,
    slope: Vec<f64>,
}

impl Spline {
    /// Monotone cubic: rises only where the data rise, and has its extremes at nodes only. One node gives a constant.
    ///
    /// # Errors
    /// `BadInput` if lengths differ, a number is not finite, or `x` does not increase strictly.
    pub fn pchip(x: Vec<f64>, y: Vec<f64>) -> Result<Spline> {
        check_nodes(&x, &y)?;
        let n = x.len();
        if n < 3 {
            let slope = if n == 2 { (y[1] - y[0]) / (x[1] - x[0]) } else { 0.0 };
            return Ok(Spline { slope: vec![slope; n], x, y });
        }
        let step: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
        let secant: Vec<f64> = y.windows(2).zip(&step).map(|(w, h)| (w[1] - w[0]) / h).collect();
        let mut slope = vec![0.0; n];
        for i in 1..n - 1 {
            let (left, right) = (secant[i - 1], secant[i]);
            // Comparing signs, not the product, which underflows for the small currents this is used on.
            if left != 0.0 && right != 0.0 && left.is_sign_positive() == right.is_sign_positive() {
                let (w1, w2) = (2.0 * step[i] + step[i - 1], step[i] + 2.0 * step[i - 1]);
                slope[i] = (w1 + w2) / (w1 / left + w2 / right);
            }
        }
        slope[0] = end_slope(step[0], step[1], secant[0], secant[1]);
        slope[n - 1] = end_slope(step[n - 2], step[n - 3], secant[n - 2], secant[n - 3]);
        Ok(Spline { x, y, slope })
    }

    /// Cubic with two continuous derivatives and not-a-knot ends: exact for cubics, linear in the node values. Two
    /// nodes give a line, three a parabola.
    ///
    /// # Errors
    /// As [`Spline::pchip`].
    pub fn not_a_knot(x: Vec<f64>, y: Vec<f64>) -> Result<Spline> {
        if x.len() < 3 {
            return Spline::pchip(x, y);
        }
        check_nodes(&x, &y)?;
        let slope = not_a_knot_slopes(&x, &y);
        Ok(Spline { x, y, slope })
    }

    /// The value at `at`.
    pub fn value(&self, at: f64) -> f64 {
        let n = self.x.len();
        if at < self.x[0] {
            return self.y[0] + self.slope[0] * (at - self.x[0]);
        }
        if at > self.x[n - 1] {
            return self.y[n - 1] + self.slope[n - 1] * (at - self.x[n - 1]);
        }
        if n == 1 {
            return self.y[0];
        }
        let (i, t, h) = self.locate(at);
        let (t2, u) = (t * t, 1.0 - t);
        let rise = t2 * (3.0 - 2.0 * t);
        self.y[i] * (1.0 - rise) + self.y[i + 1] * rise + h * t * u * (u * self.slope[i] - t * self.slope[i + 1])
    }

    /// The value at `at`, or `OutsideValidity` outside the nodes.
    ///
    /// # Errors
    /// `OutsideValidity`, naming the range.
    pub fn try_value(&self, at: f64) -> Result<f64> {
        if self.contains(at) {
            return Ok(self.value(at));
        }
        let (low, high) = self.domain();
        Err(Problem::new(Kind::OutsideValidity, format!("{at} is outside the interpolated range"))
            .accepted(format!("{low} to {high}"))
            .into())
    }

    /// The first derivative at `at`; outside the nodes, the end slope.
    pub fn derivative(&self, at: f64) -> f64 {
        let n = self.x.len();
        if at < self.x[0] {
            return self.slope[0];
        }
        if at > self.x[n - 1] || n == 1 {
            return self.slope[n - 1];
        }
        let (i, t, h) = self.locate(at);
        let secant = (self.y[i + 1] - self.y[i]) / h;
        let u = 1.0 - t;
        6.0 * t * u * secant + u * (1.0 - 3.0 * t) * self.slope[i] + t * (3.0 * t - 2.0) * self.slope[i + 1]
    }

    /// The integral from `from` to `to`, exact for the piecewise cubic; negative if `to < from`.
    pub fn integral(&self, from: f64, to: f64) -> f64 {
        if to < from {
            return -self.integral(to, from);
        }
        let mut total = 0.0;
        let mut left = from;
        for &node in self.x.iter().filter(|&&node| node > from && node < to).chain(std::iter::once(&to)) {
            // Simpson's rule is exact for a cubic.
            let middle = 0.5 * (left + node);
            total += (node - left) / 6.0 * (self.value(left) + 4.0 * self.value(middle) + self.value(node));
            left = node;
        }
        total
    }

    /// Whether `at` lies within the nodes.
    pub fn contains(&self, at: f64) -> bool {
        at >= self.x[0] && at <= self.x[self.x.len() - 1]
    }

    /// First and last node.
    pub fn domain(&self) -> (f64, f64) {
        (self.x[0], self.x[self.x.len() - 1])
    }

    /// Nodes.
    pub fn nodes(&self) -> &[f64] {
        &self.x
    }

    /// Node values.
    pub fn values(&self) -> &[f64] {
        &self.y
    }

    fn locate(&self, at: f64) -> (usize, f64, f64) {
        let i = self.x.partition_point(|&node| node <= at).clamp(1, self.x.len() - 1) - 1;
        let h = self.x[i + 1] - self.x[i];
        (i, (at - self.x[i]) / h, h)
    }
}

/// The not-a-knot cubics that are one at one node and zero at the others: what makes a spline fit a linear problem.
#[derive(Debug, Clone, PartialEq)]
pub struct SplineBasis {
    cardinals: Vec<Spline>,
}

impl SplineBasis {
    /// The basis on `nodes`.
    ///
    /// # Errors
    /// As [`Spline::pchip`].
    pub fn new(nodes: &[f64]) -> Result<SplineBasis> {
        let cardinal = |k: usize| {
            let unit = (0..nodes.len()).map(|i| f64::from(u8::from(i == k))).collect();
            Spline::not_a_knot(nodes.to_vec(), unit)
        };
        if nodes.is_empty() {
            return Err(Error::new(Kind::BadInput, "a spline basis needs at least one node"));
        }
        Ok(SplineBasis { cardinals: (0..nodes.len()).map(cardinal).collect::<Result<_>>()? })
    }
    /// How much each node's value counts at `at`, in the order of the nodes.
    pub fn weights(&self, at: f64) -> Vec<f64> {
        self.cardinals.iter().map(|cardinal| cardinal.value(at)).collect()
    }
    /// Derivative of each weight at `at`.
    pub fn slopes(&self, at: f64) -> Vec<f64> {
        self.cardinals.iter().map(|cardinal| cardinal.derivative(at)).collect()
    }
    /// How many nodes.
    pub fn len(&self) -> usize {
        self.cardinals.len()
    }
    /// Never: a basis has a node.
    pub fn is_empty(&self) -> bool {
        self.cardinals.is_empty()
    }
}

fn check_nodes(x: &[f64], y: &[f64]) -> Result<()> {
    let bad = |message: String, help: &str| Err(Problem::new(Kind::BadInput, message).help(help).into());
    if x.is_empty() || x.len() != y.len() {
        let message = format!("a spline got {} nodes and {} values", x.len(), y.len());
        return bad(message, "give as many values as nodes, at least one");
    }
    if let Some(i) = (0..x.len()).find(|&i| !x[i].is_finite() || !y[i].is_finite()) {
        return bad(format!("spline node {i} is ({}, {})", x[i], y[i]), "leave out points that are not finite");
    }
    if let Some(i) = (1..x.len()).find(|&i| x[i] <= x[i - 1]) {
        let message = format!("spline nodes must increase, but {} follows {}", x[i], x[i - 1]);
        return bad(message, "sort the nodes and merge equal ones");
    }
    Ok(())
}

/// Three-point end slope, kept from overshooting.
fn end_slope(h0: f64, h1: f64, s0: f64, s1: f64) -> f64 {
    let slope = ((2.0 * h0 + h1) * s0 - h0 * s1) / (h0 + h1);
    if slope * s0.signum() <= 0.0 {
        0.0
    } else if s0.signum() != s1.signum() && slope.abs() > 3.0 * s0.abs() {
        3.0 * s0
    } else {
        slope
    }
}

/// Slopes of the not-a-knot cubic for three nodes or more, by elimination of the tridiagonal system.
fn not_a_knot_slopes(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let h: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
    let s: Vec<f64> = y.windows(2).zip(&h).map(|(w, h)| (w[1] - w[0]) / h).collect();
    if n == 3 {
        let curvature = (s[1] - s[0]) / (x[2] - x[0]);
        return vec![s[0] - curvature * h[0], s[0] + curvature * h[0], s[1] + curvature * h[1]];
    }
    let m = n - 1;
    let (mut below, mut diagonal, mut above, mut right) = (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let span = h[0] + h[1];
    (diagonal[0], above[0]) = (h[1], span);
    right[0] = ((h[0] + 2.0 * span) * h[1] * s[0] + h[0] * h[0] * s[1]) / span;
    for i in 1..m {
        (below[i], diagonal[i], above[i]) = (h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]);
        right[i] = 3.0 * (h[i] * s[i - 1] + h[i - 1] * s[i]);
    }
    let span = h[m - 1] + h[m - 2];
    (below[m], diagonal[m]) = (span, h[m - 2]);
    right[m] = (h[m - 1] * h[m - 1] * s[m - 2] + (2.0 * span + h[m - 1]) * h[m - 2] * s[m - 1]) / span;
    for i in 1..n {
        let factor = below[i] / diagonal[i - 1];
        diagonal[i] -= factor * above[i - 1];
        right[i] -= factor * right[i - 1];
    }
    let mut slope = vec![0.0; n];
    slope[m] = right[m] / diagonal[m];
    for i in (0..m).rev() {
        slope[i] = (right[i] - above[i] * slope[i + 1]) / diagonal[i];
    }
    slope
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cubic(x: f64) -> f64 {
        0.5 - 2.0 * x + 3.0 * x * x - 1.5 * x * x * x
    }

    #[test]
    fn not_a_knot_reproduces_a_cubic_its_derivative_and_its_integral() {
        let x = vec![-1.0, -0.4, 0.1, 0.9, 1.3, 2.0];
        let spline = Spline::not_a_knot(x.clone(), x.iter().map(|&x| cubic(x)).collect()).unwrap();
        for i in 0..=60 {
            let at = -1.0 + 0.05 * f64::from(i);
            assert!((spline.value(at) - cubic(at)).abs() < 1e-13, "{at}");
            assert!((spline.derivative(at) - (-2.0 + 6.0 * at - 4.5 * at * at)).abs() < 1e-12, "{at}");
        }
        let primitive = |x: f64| 0.5 * x - x * x + x * x * x - 0.375 * x.powi(4);
        assert!((spline.integral(-0.7, 1.8) - (primitive(1.8) - primitive(-0.7))).abs() < 1e-13);
        assert!((spline.integral(1.8, -0.7) + spline.integral(-0.7, 1.8)).abs() < 1e-15);
    }

    #[test]
    fn two_and_three_nodes_give_a_line_and_a_parabola() {
        let line = Spline::not_a_knot(vec![0.0, 2.0], vec![1.0, 5.0]).unwrap();
        assert!((line.value(0.5) - 2.0).abs() < 1e-15 && (line.derivative(1.7) - 2.0).abs() < 1e-14);
        let parabola = Spline::not_a_knot(vec![0.0, 1.0, 3.0], vec![0.0, 1.0, 9.0]).unwrap();
        assert!((parabola.value(2.0) - 4.0).abs() < 1e-14);
    }

    #[test]
    fn the_basis_sums_to_one_and_interpolates() {
        let nodes = [0.0, 0.2, 0.5, 0.7, 1.0];
        let basis = SplineBasis::new(&nodes).unwrap();
        let spline = Spline::not_a_knot(nodes.to_vec(), nodes.iter().map(|x| x.sin()).collect()).unwrap();
        for at in [0.0, 0.13, 0.5, 0.99] {
            let weights = basis.weights(at);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-13);
            let value: f64 = weights.iter().zip(nodes).map(|(w, x)| w * x.sin()).sum();
            assert!((value - spline.value(at)).abs() < 1e-13);
        }
    }

    #[test]
    fn refuses_nodes_that_do_not_increase_and_values_outside() {
        assert_eq!(Spline::pchip(vec![0.0, 0.0], vec![1.0, 2.0]).unwrap_err().kind(), Kind::BadInput);
        assert_eq!(Spline::pchip(vec![0.0, 1.0], vec![1.0, f64::NAN]).unwrap_err().kind(), Kind::BadInput);
        assert_eq!(Spline::pchip(vec![], vec![]).unwrap_err().kind(), Kind::BadInput);
        let line = Spline::pchip(vec![0.0, 1.0], vec![0.0, 1.0]).unwrap();
        assert_eq!(line.try_value(1.5).unwrap_err().kind(), Kind::OutsideValidity);
    }

    proptest! {
        #[test]
        fn pchip_keeps_monotone_data_monotone_and_hits_nodes(
            steps in prop::collection::vec((0.01f64..2.0, 0.0f64..1e-12), 2..12),
        ) {
            let (mut x, mut y) = (vec![0.0], vec![0.0]);
            for (dx, dy) in steps {
                x.push(x[x.len() - 1] + dx);
                y.push(y[y.len() - 1] + dy);
            }
            let spline = Spline::pchip(x.clone(), y.clone()).unwrap();
            for (x, y) in x.iter().zip(&y) {
                prop_assert_eq!(spline.value(*x), *y);
            }
            let end = x[x.len() - 1];
            let samples: Vec<f64> = (0..=400).map(|i| spline.value(end * f64::from(i) / 400.0)).collect();
            for pair in samples.windows(2) {
                prop_assert!(pair[1] >= pair[0] - 1e-26);
            }
        }
    }
}
