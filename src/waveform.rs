//! A simulated grid (time, or the swept source) and the signals on it.

use std::collections::BTreeMap;

/// What one analysis produced: `axis[k]` belongs to `signals[name][k]`.
///
/// The axis is time [s] for a transient and the swept value for a DC or AC sweep; an operating point has one element.
/// Signals are named as ngspice prints them, in lower case: `v(bl)`, `i(vbl)`.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Waveform {
    /// Time [s] or the swept quantity, not decreasing within a transient.
    pub axis: Vec<f64>,
    /// Signals by name, each as long as the axis.
    pub signals: BTreeMap<String, Vec<f64>>,
}

impl Waveform {
    /// The signal's samples.
    pub fn signal(&self, name: &str) -> Option<&[f64]> {
        self.signals.get(&name.to_ascii_lowercase()).map(Vec::as_slice)
    }

    /// The signal at `x`, linearly between samples; `None` outside the axis.
    pub fn at(&self, name: &str, x: f64) -> Option<f64> {
        interpolate(&self.axis, self.signal(name)?, x)
    }
}

/// `ys` at `x` by linear interpolation on the ascending grid `xs`; `None` outside.
pub fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> Option<f64> {
    if xs.is_empty() || xs.len() != ys.len() || !(x >= xs[0] && x <= xs[xs.len() - 1]) {
        return None;
    }
    let upper = xs.partition_point(|&t| t < x);
    if upper == 0 {
        return Some(ys[0]);
    }
    let (x0, x1) = (xs[upper - 1], xs[upper]);
    let weight = if x1 > x0 { (x - x0) / (x1 - x0) } else { 1.0 };
    Some(ys[upper - 1] + weight * (ys[upper] - ys[upper - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_inside_and_refuses_outside() {
        let xs = [0.0, 1.0, 3.0];
        let ys = [0.0, 2.0, 6.0];
        assert_eq!(interpolate(&xs, &ys, 2.0), Some(4.0));
        assert_eq!(interpolate(&xs, &ys, 0.0), Some(0.0));
        assert_eq!(interpolate(&xs, &ys, 3.0), Some(6.0));
        assert_eq!(interpolate(&xs, &ys, 3.1), None);
        assert_eq!(interpolate(&xs, &ys, f64::NAN), None);
    }
}
