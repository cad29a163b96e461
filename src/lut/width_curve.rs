//! A converter's pulse width over charge: smooth where it rises, sharp where it clips.
//!
//! PCHIP alone is level at a node between a rising and a flat interval, which bends the straight part's last interval by
//! 4/27 of its height. A converter's clip is a corner (a deadline ends the pulse), so the curve is cut into runs of flat
//! and of rising intervals, and each is interpolated by itself. It still passes every node and never falls.

use super::grid::Grid;
use super::interpolate::Pchip;

/// An interval less steep than this share of the steepest counts as flat.
const FLAT: f64 = 1e-3;

/// Width [s] over charge [C], ready to be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct WidthCurve {
    runs: Vec<Pchip>,
    /// The lowest charge that belongs to the rising part, if a clip lies below it; the same at the other end.
    clips_c: [Option<f64>; 2],
}

impl WidthCurve {
    /// From a curve that never falls.
    pub fn new(width_s: &Grid) -> Self {
        let (axis, values) = (&width_s.axes[0].values, &width_s.values);
        let steepness: Vec<f64> =
            axis.windows(2).zip(values.windows(2)).map(|(x, y)| (y[1] - y[0]) / (x[1] - x[0])).collect();
        let steepest = steepness.iter().copied().fold(0.0, f64::max);
        let flat: Vec<bool> = steepness.iter().map(|s| *s <= FLAT * steepest).collect();
        let mut runs = Vec::new();
        let mut start = 0;
        for end in 1..=flat.len() {
            if end == flat.len() || flat[end] != flat[start] {
                runs.push(Pchip::new(&axis[start..=end], &values[start..=end]));
                start = end;
            }
        }
        let ends: [Option<&Pchip>; 2] = [
            runs.first().filter(|_| flat[0] && runs.len() > 1),
            runs.last().filter(|_| flat[flat.len() - 1] && runs.len() > 1),
        ];
        let clips_c = [ends[0].and_then(|run| run.axis().last().copied()), ends[1].map(|run| run.axis()[0])];
        WidthCurve { runs, clips_c }
    }

    /// Width at a charge; beyond the nodes, that of the nearest.
    pub fn at(&self, charge_c: f64) -> f64 {
        let after = self.runs.partition_point(|run| run.axis()[0] <= charge_c);
        self.runs[after.saturating_sub(1)].at(charge_c)
    }

    /// The span of charges [C] within which the width changes: from clip to clip, or to the end of the nodes.
    pub fn rises_c(&self) -> [f64; 2] {
        let (first, last) = (&self.runs[0], &self.runs[self.runs.len() - 1]);
        let [below, above] = self.clips_c;
        [below.unwrap_or(first.axis()[0]), above.unwrap_or(last.axis()[last.axis().len() - 1])]
    }

    /// Charges at which a clip ends below and begins above the rising part; such a clip goes on beyond the nodes.
    pub fn clips_c(&self) -> [Option<f64>; 2] {
        self.clips_c
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lut::Axis;

    fn curve(charges: &[f64], widths: &[f64]) -> WidthCurve {
        WidthCurve::new(&Grid::curve("width_s", "s", Axis::new("charge_c", "C", charges.to_vec()), widths.to_vec()))
    }

    #[test]
    fn corners_are_sharp_and_clips_are_found() {
        let signed = curve(&[-3.0, -1.0, -0.1, 0.1, 1.0, 3.0], &[-0.9, -0.9, 0.0, 0.0, 0.9, 0.9]);
        for (q, t) in
            [(-9.0, -0.9), (-1.0, -0.9), (-0.55, -0.45), (0.0, 0.0), (0.2, 0.1), (0.9, 0.8), (2.0, 0.9), (5.0, 0.9)]
        {
            assert!((signed.at(q) - t).abs() < 1e-14, "{q}: {}", signed.at(q));
        }
        assert_eq!(signed.clips_c(), [Some(-1.0), Some(1.0)]);
        assert_eq!(curve(&[0.0, 1.0, 2.0, 3.0], &[0.0, 0.0, 1.0, 2.0]).clips_c(), [Some(1.0), None]);
        assert_eq!(curve(&[0.0, 1.0], &[0.5, 0.5]).clips_c(), [None, None]);
    }

    proptest! {
        #[test]
        fn never_falls_and_passes_its_nodes(steps in prop::collection::vec((0.1f64..1.0, prop_oneof![Just(0.0), 0.0f64..1.0]), 1..15)) {
            let (mut charges, mut widths) = (vec![0.0], vec![0.0]);
            for (dq, dt) in steps {
                charges.push(charges[charges.len() - 1] + dq);
                widths.push(widths[widths.len() - 1] + dt);
            }
            let curve = curve(&charges, &widths);
            for (q, t) in charges.iter().zip(&widths) {
                prop_assert!((curve.at(*q) - t).abs() < 1e-12);
            }
            let last = charges[charges.len() - 1];
            let dense: Vec<f64> = (0..=500).map(|k| curve.at(last * f64::from(k) / 500.0)).collect();
            prop_assert!(dense.windows(2).all(|w| w[1] >= w[0] - 1e-12));
        }
    }
}
