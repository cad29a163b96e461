//! Profile likelihood intervals, where the linear ones lie.
//!
//! The profile of a parameter is the least sum of squares S(p) over all others. Its interval holds the p with
//! S(p) <= S_min (1 + t^2 / (m - n)), t Student's (D. M. Bates and D. G. Watts, *Nonlinear Regression Analysis and Its Applications*,
//! 6.1; for a linear model it is the usual interval). A bound that ends it before is its end, and where the data leave a side open it ends
//! at infinity. Each end takes some ten fits of the other parameters, so a parameter gets a profile only if at an end of its linear
//! interval sqrt((m - n) (S / S_min - 1)) is further than [`TOLERATED`] from t: then the curvature is not what the linear interval takes
//! it for.

use nalgebra::DMatrix;

use crate::Result;
use crate::fit::engine::{self, Loss, Residuals, Solution, Start};
use crate::fit::stats;

/// Deviation from t, relative, up to which the linear interval stays.
pub const TOLERATED: f64 = 0.05;
/// The ends are found to this share of t.
const FOUND: f64 = 1e-3;
/// Doublings of the linear half width after which a side counts as open.
const DOUBLINGS: u32 = 12;
/// Most steps between a bracket's ends.
const STEPS: u32 = 40;

/// As [`engine::solve`] with squared loss, with profile intervals where the linear ones lie.
///
/// # Errors
/// As [`engine::solve`]. A profile that cannot be followed leaves the linear interval.
pub fn solve<P: Residuals + ?Sized>(fit: &str, problem: &P, starts: &[Start]) -> Result<Solution> {
    let mut solution = engine::solve(fit, problem, starts, Loss::Square)?;
    if let Some(linear) = solution.intervals.clone().filter(|_| solution.sse > 0.0) {
        let ends = (0..starts.len()).map(|k| {
            let profile = Profile::new(fit, problem, starts, &solution, k);
            profile.interval(linear[k]).unwrap_or(linear[k])
        });
        solution.intervals = Some(ends.collect());
    }
    Ok(solution)
}

/// Every parameter but one.
struct Others<'a, P: ?Sized> {
    problem: &'a P,
    pinned: usize,
    value: f64,
}

impl<P: ?Sized> Others<'_, P> {
    fn all(&self, others: &[f64]) -> Vec<f64> {
        let mut all = others.to_vec();
        all.insert(self.pinned, self.value);
        all
    }
}

impl<P: Residuals + ?Sized> Residuals for Others<'_, P> {
    fn residuals(&self, parameters: &[f64]) -> Option<Vec<f64>> {
        self.problem.residuals(&self.all(parameters))
    }
    fn jacobian(&self, parameters: &[f64]) -> Option<DMatrix<f64>> {
        Some(self.problem.jacobian(&self.all(parameters))?.remove_column(self.pinned))
    }
}

struct Profile<'a, P: ?Sized> {
    fit: &'a str,
    problem: &'a P,
    starts: &'a [Start],
    solution: &'a Solution,
    pinned: usize,
    t: f64,
}

impl<'a, P: Residuals + ?Sized> Profile<'a, P> {
    fn new(fit: &'a str, problem: &'a P, starts: &'a [Start], solution: &'a Solution, pinned: usize) -> Self {
        let t = stats::student_t_two_sided(0.95, solution.dof as f64);
        Profile { fit, problem, starts, solution, pinned, t }
    }

    /// sqrt((m - n) (S(p) / S_min - 1)); `None` where the others cannot be fitted.
    fn distance(&self, p: f64) -> Option<f64> {
        let others = Others { problem: self.problem, pinned: self.pinned, value: p };
        let mut starts = self.starts.to_vec();
        starts.remove(self.pinned);
        let mut values = self.solution.values.clone();
        values.remove(self.pinned);
        for (start, value) in starts.iter_mut().zip(&values) {
            start.value = *value;
        }
        let sse = if starts.is_empty() {
            others.residuals(&[])?.iter().map(|r| r * r).sum()
        } else {
            engine::solve(self.fit, &others, &starts, Loss::Square).ok()?.sse
        };
        Some((self.solution.dof as f64 * (sse / self.solution.sse - 1.0).max(0.0)).sqrt())
    }

    /// The interval; `None` if the linear one `(low, high)` is good enough or the profile cannot be followed.
    fn interval(&self, (low, high): (f64, f64)) -> Option<(f64, f64)> {
        let start = &self.starts[self.pinned];
        let best = start.inner(self.solution.values[self.pinned]);
        let half = [low, high].map(|end| start.inner(end) - best);
        if !half.iter().all(|h| h.is_finite()) || half.contains(&0.0) {
            return None;
        }
        let at = half.map(|h| self.distance(start.outer(best + h)));
        let lies = |d: &Option<f64>| d.is_some_and(|d| (d / self.t - 1.0).abs() > TOLERATED);
        if !at.iter().any(lies) {
            return None;
        }
        let ends = [0, 1].map(|side| self.end(best, half[side], at[side]));
        Some((ends[0]?, ends[1]?))
    }

    /// Where the distance reaches t, from the best value in the direction and first step of `half`, where it is `first`.
    fn end(&self, best: f64, half: f64, first: Option<f64>) -> Option<f64> {
        let start = &self.starts[self.pinned];
        let (mut near, mut far, mut beyond) = ((0.0, 0.0), 1.0, first?);
        for _ in 0..DOUBLINGS {
            if beyond >= self.t {
                break;
            }
            near = (far, beyond);
            far *= 2.0;
            beyond = self.distance(start.outer(best + far * half)).unwrap_or(beyond);
        }
        if beyond < self.t {
            return Some(start.open_end(half > 0.0));
        }
        // The distance is nearly straight in the step: false position, halved where it creeps.
        let mut far = (far, beyond);
        for step in 0..STEPS {
            let straight = near.0 + (far.0 - near.0) * (self.t - near.1) / (far.1 - near.1);
            let middle = if step % 3 == 2 { 0.5 * (near.0 + far.0) } else { straight };
            let distance = self.distance(start.outer(best + middle * half))?;
            if (distance / self.t - 1.0).abs() < FOUND {
                return Some(start.outer(best + middle * half));
            }
            if distance < self.t { near = (middle, distance) } else { far = (middle, distance) }
        }
        Some(start.outer(best + 0.5 * (near.0 + far.0) * half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::dual::Dual;
    use crate::fit::engine::Forward;

    /// y = a (1 - exp(-k x)), seen only up to x = 0.6 / k: a and k are told apart by a slight bend alone.
    fn rise<'a>(x: &'a [f64], y: &'a [f64]) -> Forward<impl Fn(&[Dual]) -> Vec<Dual> + 'a> {
        Forward(move |p: &[Dual]| {
            x.iter().zip(y).map(|(&x, &y)| p[0] * (Dual::constant(1.0) - (p[1] * (-x)).exp()) - y).collect()
        })
    }

    #[test]
    fn profiles_cover_where_linear_intervals_do_not() {
        let starts = [Start::free("a", 1.0, 1.0), Start::free("k", 1.0, 1.0)];
        let x: Vec<f64> = (1..=12).map(|i| 0.6 * f64::from(i) / 12.0).collect();
        let (sigma, sets) = (0.02, 1000);
        // Of the amplitude: sets whose interval lies wholly above or below the truth.
        let (mut linear, mut profile, mut solved) = ([0, 0], [0, 0], 0);
        for set in 0..sets {
            let noisy = |(i, x): (usize, &f64)| 1.0 - (-x).exp() + sigma * stats::random_normal(11, set, i as u64);
            let y: Vec<f64> = x.iter().enumerate().map(noisy).collect();
            let problem = rise(&x, &y);
            // Points that are straight by chance have no best amplitude.
            let Ok(plain) = engine::solve("rise", &problem, &starts, Loss::Square) else { continue };
            let Ok(refined) = super::solve("rise", &problem, &starts) else { continue };
            solved += 1;
            for (missed, solution) in [(&mut linear, &plain), (&mut profile, &refined)] {
                let (low, high) = solution.interval(0).unwrap();
                missed[0] += i32::from(low > 1.0);
                missed[1] += i32::from(high < 1.0);
            }
        }
        let told = format!("linear {linear:?}, profile {profile:?} of {solved}");
        assert!(solved > 950, "{told}");
        let share = |missed: i32| f64::from(missed) / f64::from(solved);
        // 5 % of 1,000 is 50 with a standard deviation of 6.9: three of them on all misses, and on either side of 25, 4.9 each.
        assert!((share(profile[0] + profile[1]) - 0.05).abs() < 0.021, "{told}");
        assert!(profile.iter().all(|missed| (share(*missed) - 0.025).abs() < 0.02), "{told}");
        // The linear interval ends too low: it misses on one side, and there more often than it says on both.
        assert!(share(linear[1]) > 0.07 && linear[0] == 0, "{told}");
    }

    #[test]
    fn a_linear_problem_keeps_its_linear_interval() {
        let x: Vec<f64> = (0..9).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| 1.0 + 2.0 * x + (1.7 * x).sin()).collect();
        let line = Forward(|p: &[Dual]| x.iter().zip(&y).map(|(&x, &y)| p[0] + p[1] * x - y).collect::<Vec<_>>());
        let starts = [Start::free("a", 0.0, 1.0), Start::free("b", 0.0, 10.0)];
        let plain = engine::solve("line", &line, &starts, Loss::Square).unwrap();
        assert_eq!(super::solve("line", &line, &starts).unwrap().intervals, plain.intervals);
    }

    #[test]
    fn one_parameter_has_the_interval_that_its_sum_of_squares_gives() {
        // Residuals p^2 - y: S(p) = n (p^2 - m)^2 + rest, so the ends are sqrt(m +- t s / sqrt(n)).
        let y = [1.2, 0.7, 1.3, 0.9, 1.1, 0.8];
        let square = Forward(|p: &[Dual]| y.iter().map(|&y| p[0] * p[0] - y).collect::<Vec<_>>());
        let solution = super::solve("square", &square, &[Start::positive("p", 0.7)]).unwrap();
        let mean = stats::mean(&y);
        let half = stats::student_t_two_sided(0.95, 5.0) * stats::std_dev(&y) / 6f64.sqrt();
        let (low, high) = solution.interval(0).unwrap();
        for (found, exact) in [(low, (mean - half).sqrt()), (high, (mean + half).sqrt())] {
            assert!((found / exact - 1.0).abs() < 0.01, "{found} {exact}");
        }
    }

    #[test]
    fn a_side_that_the_data_leave_open_ends_at_its_bound() {
        // A decay that is over at the first point: any rate beyond some hundreds per second does.
        let x = [0.1, 0.2, 0.3, 0.4, 0.5];
        let y = [0.01, -0.01, 0.005, -0.008, 0.004];
        let decay = Forward(|p: &[Dual]| x.iter().zip(&y).map(|(&x, &y)| (p[0] * (-x)).exp() - y).collect::<Vec<_>>());
        let solution = super::solve("decay", &decay, &[Start::between("k", 50.0, 0.0, 1e3)]).unwrap();
        let (low, high) = solution.interval(0).unwrap();
        assert!(low > 20.0 && low < 60.0, "{low}");
        assert!(high > 999.0, "{high}");
    }
}
