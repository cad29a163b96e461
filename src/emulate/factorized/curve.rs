//! A converter's curve as a table of equidistant points, between which it is a line.

use super::lanes::{Machine, Plain};
use super::simd::LANES;

/// A curve on the span within which it changes; flat outside. `POINTS` points, and where lines between these miss it, as at a dead
/// zone's end, the difference in as many points again.
#[derive(Debug, Clone)]
pub struct Curve<const POINTS: usize> {
    coarse: Lines<POINTS>,
    fine: Vec<Lines<POINTS>>,
    greatest: f64,
    span: [f64; 2],
}

/// Lines between equidistant points.
#[derive(Debug, Clone)]
struct Lines<const POINTS: usize> {
    start: f32,
    per_interval: f32,
    points: Box<[f32; POINTS]>,
}

/// Places that may need finer points.
const MOST_FINE: usize = 3;
/// Intervals without a miss that part two places.
const APART: usize = 8;
/// Finer intervals that a jump may take.
const JUMP: usize = 2;

impl<const POINTS: usize> Curve<POINTS> {
    /// Tabulates `curve` on `span`; `None` if lines between the points would miss it by more than `tolerance` in more than a few
    /// places, or further in one of them than where the finer points lie. At a jump that is one of their intervals.
    pub fn new(curve: impl Fn(f64) -> f64, span: [f64; 2], tolerance: f64) -> Option<Self> {
        let coarse = Lines::new(&curve, span)?;
        let places = coarse.places_missed(&curve, span, tolerance);
        if places.len() > MOST_FINE || places.iter().any(|[from, to]| to - from > POINTS / 8) {
            return None;
        }
        let mut fine = Vec::new();
        for place in places {
            // Both ends are points of the coarse lines, where nothing is missing, so beyond them it stays at nothing.
            let ends = place.map(|k| Lines::<POINTS>::x_of(k as f64, span));
            let missing = |x: f64| if x <= ends[0] || x >= ends[1] { 0.0 } else { curve(x) - coarse.at_one(x) };
            let lines: Lines<POINTS> = Lines::new(missing, ends)?;
            if lines.places_missed(missing, ends, tolerance).iter().map(|[from, to]| to - from).sum::<usize>() > JUMP {
                return None;
            }
            fine.push(lines);
        }
        Some(Curve {
            fine,
            greatest: coarse.points.iter().fold(0.0, |greatest: f64, y| greatest.max(f64::from(y.abs()))),
            coarse,
            span,
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

    /// The curve at sixteen places.
    #[inline(always)]
    pub fn at<M: Machine>(&self, machine: M, x: M::Lanes) -> M::Lanes {
        let mut y = self.coarse.at(machine, x);
        for fine in &self.fine {
            y = machine.add(y, fine.at(machine, x));
        }
        y
    }
}

impl<const POINTS: usize> Lines<POINTS> {
    /// `None` where the curve is no number.
    fn new(curve: impl Fn(f64) -> f64, span: [f64; 2]) -> Option<Self> {
        let points: Vec<f32> = (0..POINTS).map(|k| curve(Self::x_of(k as f64, span)) as f32).collect();
        points.iter().all(|y| y.is_finite()).then_some(())?;
        let per_interval = ((POINTS - 1) as f64 / (span[1] - span[0])) as f32;
        Some(Lines { start: span[0] as f32, per_interval, points: points.try_into().ok()? })
    }

    fn x_of(place: f64, span: [f64; 2]) -> f64 {
        span[0] + (span[1] - span[0]) * place / (POINTS - 1) as f64
    }

    /// Runs of intervals, from and to, whose lines miss the curve a quarter, a half or three quarters of the way.
    fn places_missed(&self, curve: impl Fn(f64) -> f64, span: [f64; 2], tolerance: f64) -> Vec<[usize; 2]> {
        let off = |x: f64| !((self.at_one(x) - curve(x)).abs() <= tolerance);
        let mut places: Vec<[usize; 2]> = Vec::new();
        for k in 0..POINTS - 1 {
            if [0.25, 0.5, 0.75].iter().any(|part| off(Self::x_of(k as f64 + part, span))) {
                match places.last_mut() {
                    Some([_, to]) if k <= *to + APART => *to = k + 1,
                    _ => places.push([k, k + 1]),
                }
            }
        }
        places
    }

    fn at_one(&self, x: f64) -> f64 {
        f64::from(self.at(Plain, [x as f32; LANES])[0])
    }

    #[inline(always)]
    fn at<M: Machine>(&self, machine: M, x: M::Lanes) -> M::Lanes {
        let from_start = machine.sub(x, machine.splat(self.start));
        machine.between(&self.points, machine.scale(from_start, self.per_interval))
    }
}

/// What a converter's output becomes, as words, tabulated at the nearest of equidistant inputs.
#[derive(Debug, Clone)]
pub struct Steps<const ENTRIES: usize> {
    start: f32,
    per_entry: f32,
    entries: Box<[u32; ENTRIES]>,
}

impl<const ENTRIES: usize> Steps<ENTRIES> {
    /// Tabulates `of` on `span`; beyond, its ends are meant. `None` where there is no word.
    pub fn new(of: impl Fn(f64) -> Option<u32>, span: [f64; 2]) -> Option<Self> {
        let entry = (span[1] - span[0]) / (ENTRIES - 1) as f64;
        let mut entries = Box::new([0; ENTRIES]);
        for (k, to) in entries.iter_mut().enumerate() {
            *to = of(span[0] + entry * k as f64)?;
        }
        Some(Steps { start: span[0] as f32, per_entry: (1.0 / entry) as f32, entries })
    }

    /// The words of sixteen inputs.
    #[inline(always)]
    pub fn at<M: Machine>(&self, machine: M, x: M::Lanes) -> [u32; LANES] {
        let place = machine.add_product(machine.splat(-self.start * self.per_entry), x, machine.splat(self.per_entry));
        machine.entries(&self.entries, place)
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
            let y = f64::from(table.at(Plain, [x as f32; LANES])[0]);
            assert!((y - curve(x)).abs() < 2.1e-4, "{x}: {y}");
        }
        assert_eq!(table.at(Plain, [9.0; LANES]), table.at(Plain, [5.0; LANES]));
        assert!(Curve::<65>::new(|x| (50.0 * x).sin(), [0.0, 5.0], 1e-3).is_none());
        assert!(Curve::<65>::new(|x| if x > 1.0 { f64::NAN } else { x }, [0.0, 5.0], 1e-3).is_none());
    }

    #[test]
    fn steps_are_followed_by_finer_points() {
        // A dead zone whose end is a step, and a knee: each within a few hundredths of the span.
        let curve = |x: f64| {
            let after = if x < 0.302 { 0.0 } else { 0.02 + 0.5 * (x - 0.302) };
            after.min(0.25 - 0.002 * (-400.0 * (x - 0.76)).exp().ln_1p())
        };
        let table = Curve::<1025>::new(curve, [-1.0, 5.0], 2e-4).unwrap();
        assert!((1..=2).contains(&table.fine.len()), "{}", table.fine.len());
        let interval = 6.0 / 1024.0;
        for k in -10_000..=50_000 {
            let x = f64::from(k) * 1e-4;
            if (x - 0.302).abs() < 2.0 * interval / 1024.0 {
                continue;
            }
            let y = table.at_one(x);
            assert!((y - curve(x)).abs() < 2.1e-4, "{x}: {y} for {}", curve(x));
        }
    }
}
