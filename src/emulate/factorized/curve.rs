//! A converter's curve as a table of equidistant points, between which it is a line.

use super::lanes::{Machine, Plain};
use super::simd::LANES;

/// A curve on the span within which it changes; flat outside. `POINTS` points.
#[derive(Debug, Clone)]
pub struct Curve<const POINTS: usize> {
    start: f32,
    per_interval: f32,
    points: Box<[f32; POINTS]>,
    greatest: f64,
    span: [f64; 2],
}

impl<const POINTS: usize> Curve<POINTS> {
    /// Tabulates `curve` on `span`; `None` if lines between the points would miss it by more than `tolerance`.
    pub fn new(curve: impl Fn(f64) -> f64, span: [f64; 2], tolerance: f64) -> Option<Self> {
        let intervals = (POINTS - 1) as f64;
        let x_of = |place: f64| span[0] + (span[1] - span[0]) * place / intervals;
        let points: Vec<f64> = (0..POINTS).map(|k| curve(x_of(k as f64))).collect();
        // A quarter, a half and three quarters of the way, each line is compared.
        let missed = points.windows(2).enumerate().any(|(k, ends)| {
            [0.25, 0.5, 0.75].iter().any(|part| {
                let line = ends[0] + part * (ends[1] - ends[0]);
                !((line - curve(x_of(k as f64 + part))).abs() <= tolerance)
            })
        });
        if missed {
            return None;
        }
        let single: Vec<f32> = points.iter().map(|y| *y as f32).collect();
        Some(Curve {
            span,
            start: span[0] as f32,
            per_interval: (intervals / (span[1] - span[0])) as f32,
            points: single.try_into().ok()?,
            greatest: points.iter().fold(0.0, |greatest: f64, y| greatest.max(y.abs())),
        })
    }

    /// The curve at one place.
    pub fn at_one(&self, x: f64) -> f64 {
        f64::from(self.at(Plain, [x as f32; LANES])[0])
    }

    /// The span within which it changes.
    pub fn span(&self) -> [f64; 2] {
        self.span
    }

    /// The greatest magnitude of the curve.
    pub fn greatest(&self) -> f64 {
        self.greatest
    }

    /// The curve at eight places.
    #[inline(always)]
    pub fn at<M: Machine>(&self, machine: M, x: M::Lanes) -> M::Lanes {
        let from_start = machine.sub(x, machine.splat(self.start));
        machine.between(&self.points, machine.scale(from_start, self.per_interval))
    }
}

/// What a converter's output becomes, tabulated at the nearest of equidistant inputs.
#[derive(Debug, Clone)]
pub struct Steps<T, const ENTRIES: usize> {
    start: f32,
    per_entry: f32,
    pub entries: Box<[T; ENTRIES]>,
}

impl<T: Copy + Default + std::fmt::Debug, const ENTRIES: usize> Steps<T, ENTRIES> {
    /// Tabulates `of` on `span`; beyond, its ends are meant.
    pub fn new(of: impl Fn(f64) -> T, span: [f64; 2]) -> Self {
        let entry = (span[1] - span[0]) / (ENTRIES - 1) as f64;
        let mut entries = Box::new([T::default(); ENTRIES]);
        for (k, to) in entries.iter_mut().enumerate() {
            *to = of(span[0] + entry * k as f64);
        }
        Steps { start: span[0] as f32, per_entry: (1.0 / entry) as f32, entries }
    }

    /// The places of eight inputs.
    #[inline(always)]
    pub fn place<M: Machine>(&self, machine: M, x: M::Lanes) -> M::Lanes {
        machine.scale(machine.sub(x, machine.splat(self.start)), self.per_entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_followed_within_its_tolerance_and_flat_outside() {
        let curve = |x: f64| (0.1 * x + 0.02 * (x * 3.0).sin()).clamp(0.05, 0.35);
        let table = Curve::<1025>::new(curve, [-1.0, 5.0], 2e-4).unwrap();
        for k in -400..=1200 {
            let x = f64::from(k) * 0.005;
            let y = f64::from(table.at(Plain, [x as f32; 8])[0]);
            assert!((y - curve(x)).abs() < 2.1e-4, "{x}: {y}");
        }
        assert_eq!(table.at(Plain, [9.0; 8]), table.at(Plain, [5.0; 8]));
        assert!(Curve::<65>::new(|x| (50.0 * x).sin(), [0.0, 5.0], 1e-3).is_none());
    }
}
