//! Monotone cubic interpolation on an axis.
//!
//! Cubic Hermite pieces with the slopes of F. N. Fritsch and J. Butland, *A method for constructing local monotone
//! piecewise cubic interpolants*, SIAM J. Sci. Stat. Comput. 5 (1984) 300-304, and the three-point formula at the ends
//! (the one known as PCHIP): the interpolant passes through every node, has a continuous derivative, and rises, falls
//! or stays level wherever the nodes do.

/// Where a value lies on an axis: the interval and the four Hermite weights.
///
/// `value = h00 * y[i] + h01 * y[i + 1] + h10 * m[i] + h11 * m[i + 1]`, the slopes `m` per unit of the axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Index of the interval's lower node.
    pub interval: usize,
    /// Share of the interval that lies below the value, 0 to 1.
    pub fraction: f64,
    /// Weight of the lower node's value.
    pub h00: f64,
    /// Weight of the upper node's value.
    pub h01: f64,
    /// Weight of the lower node's slope, with the interval's length in it.
    pub h10: f64,
    /// Weight of the upper node's slope, with the interval's length in it.
    pub h11: f64,
}

/// Locates `x` on the strictly ascending `axis` of at least two nodes; outside, the nearest end is meant.
pub fn locate(axis: &[f64], x: f64) -> Location {
    let last = axis.len() - 2;
    let interval = axis.partition_point(|&node| node <= x).saturating_sub(1).min(last);
    let (x0, x1) = (axis[interval], axis[interval + 1]);
    let length = x1 - x0;
    let t = ((x - x0) / length).clamp(0.0, 1.0);
    let (t2, t3) = (t * t, t * t * t);
    let h01 = 3.0 * t2 - 2.0 * t3;
    Location { interval, fraction: t, h00: 1.0 - h01, h01, h10: (t3 - 2.0 * t2 + t) * length, h11: (t3 - t2) * length }
}

impl Location {
    /// The interpolant of node values `y` and slopes `m`.
    #[inline]
    pub fn apply(&self, y: &[f64], m: &[f64]) -> f64 {
        let i = self.interval;
        self.h00 * y[i] + self.h01 * y[i + 1] + self.h10 * m[i] + self.h11 * m[i + 1]
    }
}

/// The PCHIP slopes of `y` over the strictly ascending `axis`, of equal length, at least 2.
pub fn slopes(axis: &[f64], y: &[f64]) -> Vec<f64> {
    let n = axis.len();
    let step: Vec<f64> = axis.windows(2).map(|w| w[1] - w[0]).collect();
    let secant: Vec<f64> = (0..n - 1).map(|i| (y[i + 1] - y[i]) / step[i]).collect();
    if n == 2 {
        return vec![secant[0]; 2];
    }
    let mut slope = vec![0.0; n];
    for i in 1..n - 1 {
        let (left, right) = (secant[i - 1], secant[i]);
        if left * right > 0.0 {
            // Weighted harmonic mean: never steeper than three times the flatter secant.
            let (w1, w2) = (2.0 * step[i] + step[i - 1], step[i] + 2.0 * step[i - 1]);
            slope[i] = (w1 + w2) / (w1 / left + w2 / right);
        }
    }
    slope[0] = end_slope(step[0], step[1], secant[0], secant[1]);
    slope[n - 1] = end_slope(step[n - 2], step[n - 3], secant[n - 2], secant[n - 3]);
    slope
}

/// One-sided three-point slope, limited so that the end piece stays monotone.
fn end_slope(h0: f64, h1: f64, d0: f64, d1: f64) -> f64 {
    let slope = ((2.0 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
    if slope * d0 <= 0.0 {
        0.0
    } else if d0 * d1 <= 0.0 && slope.abs() > 3.0 * d0.abs() {
        3.0 * d0
    } else {
        slope
    }
}

/// Slopes of the parabola through each node and its neighbours: third order, for smooth curves with extrema, which PCHIP
/// would cut flat; linear in `y`, so that it commutes with interpolation over another axis. Written to `slopes`.
pub fn parabolic_slopes(axis: &[f64], y: &[f64], slopes: &mut [f64]) {
    let n = axis.len();
    let secant = |i: usize| (y[i + 1] - y[i]) / (axis[i + 1] - axis[i]);
    if n == 2 {
        slopes.fill(secant(0));
        return;
    }
    for (i, slope) in slopes.iter_mut().enumerate() {
        // At the ends, the parabola of the node inside.
        let middle = i.clamp(1, n - 2);
        let (left, right) = (secant(middle - 1), secant(middle));
        let curvature = (right - left) / (axis[middle + 1] - axis[middle - 1]);
        *slope = left + curvature * ((axis[i] - axis[middle - 1]) + (axis[i] - axis[middle]));
    }
}

/// A curve ready to be evaluated: nodes and slopes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pchip {
    axis: Vec<f64>,
    values: Vec<f64>,
    slopes: Vec<f64>,
}

impl Pchip {
    /// From strictly ascending nodes, at least two, and as many values.
    pub fn new(axis: &[f64], values: &[f64]) -> Self {
        Pchip { axis: axis.to_vec(), values: values.to_vec(), slopes: slopes(axis, values) }
    }

    /// The curve at `x`; outside its axis the end value.
    pub fn at(&self, x: f64) -> f64 {
        locate(&self.axis, x).apply(&self.values, &self.slopes)
    }

    /// Where `x` lies, and the curve there.
    pub fn located(&self, x: f64) -> (Location, f64) {
        let place = locate(&self.axis, x);
        (place, place.apply(&self.values, &self.slopes))
    }

    /// The nodes.
    pub fn axis(&self) -> &[f64] {
        &self.axis
    }

    /// The greatest magnitude of the secants between neighbouring nodes.
    pub fn steepest_secant(&self) -> f64 {
        let secants =
            self.axis.windows(2).zip(self.values.windows(2)).map(|(x, y)| ((y[1] - y[0]) / (x[1] - x[0])).abs());
        secants.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        prop::collection::vec((0.01f64..1.0, -1.0f64..1.0), 2..12).prop_map(|pairs| {
            let mut x = -0.3;
            pairs
                .into_iter()
                .map(|(step, y)| {
                    x += step;
                    (x, y)
                })
                .unzip()
        })
    }

    proptest! {
        #[test]
        fn passes_through_its_nodes((axis, values) in nodes()) {
            let curve = Pchip::new(&axis, &values);
            for (&x, &y) in axis.iter().zip(&values) {
                prop_assert!((curve.at(x) - y).abs() <= 4.0 * f64::EPSILON * y.abs());
            }
        }

        #[test]
        fn is_monotone_where_its_nodes_are((axis, values) in nodes(), t in 0.0f64..1.0, u in 0.0f64..1.0) {
            let mut rising = values.clone();
            rising.sort_by(f64::total_cmp);
            let curve = Pchip::new(&axis, &rising);
            let at = |t: f64| curve.at(axis[0] + t * (axis[axis.len() - 1] - axis[0]));
            let (low, high) = if t < u { (t, u) } else { (u, t) };
            prop_assert!(at(low) <= at(high) + 1e-14);
        }

        #[test]
        fn a_straight_line_stays_one((axis, _) in nodes(), a in -2.0f64..2.0, b in -2.0f64..2.0, t in 0.0f64..1.0) {
            let values: Vec<f64> = axis.iter().map(|x| a + b * x).collect();
            let x = axis[0] + t * (axis[axis.len() - 1] - axis[0]);
            prop_assert!((Pchip::new(&axis, &values).at(x) - (a + b * x)).abs() < 1e-12);
        }
    }

    #[test]
    fn parabolas_are_followed_exactly() {
        let axis = [0.0, 0.4, 1.0, 1.1, 2.0];
        let y = axis.map(|x| 1.0 - 2.0 * x + 1.5 * x * x);
        let mut slopes = [0.0; 5];
        parabolic_slopes(&axis, &y, &mut slopes);
        for k in 0..=40 {
            let x = f64::from(k) / 20.0;
            assert!((locate(&axis, x).apply(&y, &slopes) - (1.0 - 2.0 * x + 1.5 * x * x)).abs() < 1e-13);
        }
        parabolic_slopes(&axis[..2], &y[..2], &mut slopes[..2]);
        assert_eq!(slopes[0], (y[1] - y[0]) / 0.4);
    }

    #[test]
    fn holds_its_end_values_outside() {
        let curve = Pchip::new(&[0.0, 1.0, 2.0], &[1.0, 2.0, 4.0]);
        assert_eq!((curve.at(-5.0), curve.at(9.0)), (1.0, 4.0));
    }
}
