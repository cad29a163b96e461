//! Universal kriging: a trend by generalized least squares and a Gaussian process for what it leaves.
//!
//! ```text
//! y(x) = h(x)' b + z(x) + noise,   cov z = s^2 R(x, x'),   noise variance s^2 nugget
//! ```
//!
//! Restricted likelihood, prediction and its variance: C. E. Rasmussen and C. K. I. Williams, *Gaussian Processes for
//! Machine Learning* (2006), 2.7 and 5.4. Leave-one-out errors in closed form: O. Dubrule, *Cross validation of kriging in a
//! unique neighborhood*, Math. Geol. 15, 687 (1983): with P = R^-1 - R^-1 H (H' R^-1 H)^-1 H' R^-1, the error that a
//! point has when it is left out is (P y)_i / P_ii and its variance s^2 / P_ii.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use super::kernel::Kernel;

/// Lengths and nugget, the nugget as a share of the process' variance.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameters {
    /// Correlation function.
    pub kernel: Kernel,
    /// One length per axis, in the units of the points.
    pub lengths: Vec<f64>,
    /// For an axis along which the response is all but straight, how far; `None` for an axis as any other.
    pub straight: Vec<Option<Straight>>,
    /// Variance of the noise over the variance of the process.
    pub nugget: f64,
}

/// An axis along which the response is all but a line, whatever the other parameters make of it: as charge grows with time from all but
/// nothing, at a rate that they decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Straight {
    /// Deviation of the line at the axis' lower end over that at its upper one: 0 for lines that all begin in one place. What one end tells
    /// of the other is nothing.
    pub ends: f64,
    /// How much is no line, in deviations of the line.
    pub bend: f64,
}

impl Straight {
    /// Covariance of two places of the axis, from 0 to 1, between which there would be the correlation `plain`; in the mean of both ends it
    /// is 1 for a place and itself.
    fn covariance(self, a: f64, b: f64, plain: f64) -> f64 {
        let [ends, bend] = [self.ends * self.ends, self.bend * self.bend];
        (2.0 * (ends * (1.0 - a) * (1.0 - b) + a * b) / (1.0 + ends) + bend * plain) / (1.0 + bend)
    }
}

impl Hyperparameters {
    /// Without straight axes.
    pub fn stationary(kernel: Kernel, lengths: Vec<f64>, nugget: f64) -> Hyperparameters {
        let straight = vec![None; lengths.len()];
        Hyperparameters { kernel, lengths, straight, nugget }
    }

    /// Covariance of two points of the unit cube, as a share of the process' variance: a product over the axes.
    pub fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        if self.straight.iter().all(Option::is_none) {
            return self.kernel.correlation(a, b, &self.lengths);
        }
        let along = |k: usize| {
            let plain = self.kernel.correlation(&a[k..=k], &b[k..=k], &self.lengths[k..=k]);
            self.straight[k].map_or(plain, |straight| straight.covariance(a[k], b[k], plain))
        };
        (0..a.len()).map(along).product()
    }
}

/// A conditioned process.
#[derive(Debug, Clone)]
pub struct Process {
    hyper: Hyperparameters,
    points: Vec<Vec<f64>>,
    factor: Cholesky<f64, Dyn>,
    trend_factor: Cholesky<f64, Dyn>,
    /// R^-1 H.
    solved_trend: DMatrix<f64>,
    /// R^-1 (y - H b).
    weights: DVector<f64>,
    coefficients: DVector<f64>,
    observed: DVector<f64>,
    variance: f64,
    log_likelihood: f64,
}

/// What the process says of a point that was not simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Expected value.
    pub mean: f64,
    /// Standard deviation of the noiseless value.
    pub sd: f64,
}

/// Places, and what the points of a process tell of them: the covariance of two of them falls by the product of their columns in
/// `points`, and rises again by that in `trend`, for its coefficients are not known either.
#[derive(Debug, Clone)]
pub struct Told {
    at: Vec<Vec<f64>>,
    points: DMatrix<f64>,
    trend: DMatrix<f64>,
}

impl Told {
    /// Number of places.
    pub fn len(&self) -> usize {
        self.at.len()
    }
}

impl Process {
    /// Conditions on `observed` at `points` with trend values `trend` (one row per point); `None` if the correlation or
    /// the trend is singular, or there are no more points than trend terms.
    pub fn new(
        hyper: &Hyperparameters,
        points: &[Vec<f64>],
        trend: &DMatrix<f64>,
        observed: &[f64],
    ) -> Option<Process> {
        let (n, p) = trend.shape();
        if n <= p || n != points.len() || n != observed.len() {
            return None;
        }
        let mut correlation = DMatrix::zeros(n, n);
        for i in 0..n {
            correlation[(i, i)] = hyper.covariance(&points[i], &points[i]) + hyper.nugget;
            for j in 0..i {
                let value = hyper.covariance(&points[i], &points[j]);
                correlation[(i, j)] = value;
                correlation[(j, i)] = value;
            }
        }
        let factor = correlation.cholesky()?;
        let observed = DVector::from_column_slice(observed);
        let solved_trend = factor.solve(trend);
        let trend_factor = (trend.transpose() * &solved_trend).cholesky()?;
        let coefficients = trend_factor.solve(&(solved_trend.transpose() * &observed));
        let residual = &observed - trend * &coefficients;
        let weights = factor.solve(&residual);
        let variance = (residual.dot(&weights) / (n - p) as f64).max(f64::MIN_POSITIVE);
        let half_log = |factor: &Cholesky<f64, Dyn>| factor.l_dirty().diagonal().iter().map(|d| d.ln()).sum::<f64>();
        let log_likelihood = -0.5 * (n - p) as f64 * variance.ln() - half_log(&factor) - half_log(&trend_factor);
        let hyper = hyper.clone();
        let points = points.to_vec();
        let process = Process {
            hyper,
            points,
            factor,
            trend_factor,
            solved_trend,
            weights,
            coefficients,
            observed,
            variance,
            log_likelihood,
        };
        process.log_likelihood.is_finite().then_some(process)
    }

    /// Restricted log likelihood, up to a constant of the points.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The values that it goes through.
    pub fn observed(&self) -> impl Iterator<Item = f64> {
        self.observed.iter().copied()
    }

    /// What it was made with.
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyper
    }

    /// Variance that covariances are shares of.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Standard deviation of the noise that it was found to have.
    pub fn noise(&self) -> f64 {
        (self.variance * self.hyper.nugget).sqrt()
    }

    /// Mean and standard deviation at `at`, where the trend's terms are `trend`.
    pub fn predict(&self, at: &[f64], trend: &[f64]) -> Prediction {
        let correlation = self.points.iter().map(|p| self.hyper.covariance(p, at));
        let correlation = DVector::from_iterator(self.points.len(), correlation);
        let trend = DVector::from_column_slice(trend);
        let mean = trend.dot(&self.coefficients) + correlation.dot(&self.weights);
        let solved = self.factor.solve(&correlation);
        let open = &trend - self.solved_trend.transpose() * &correlation;
        let share =
            self.hyper.covariance(at, at) - correlation.dot(&solved) + open.dot(&self.trend_factor.solve(&open));
        Prediction { mean, sd: (self.variance * share.max(0.0)).sqrt() }
    }

    /// What the points tell of places, each with its trend's terms.
    pub fn told(&self, places: Vec<(Vec<f64>, Vec<f64>)>) -> Told {
        let (at, trends): (Vec<_>, Vec<_>) = places.into_iter().unzip();
        let mut points =
            DMatrix::from_fn(self.points.len(), at.len(), |i, j| self.hyper.covariance(&self.points[i], &at[j]));
        let mut trend = DMatrix::from_fn(self.coefficients.len(), at.len(), |i, j| trends[j][i]);
        trend.gemm_tr(-1.0, &self.solved_trend, &points, 1.0);
        self.factor.l_dirty().solve_lower_triangular_mut(&mut points);
        self.trend_factor.l_dirty().solve_lower_triangular_mut(&mut trend);
        Told { at, points, trend }
    }

    /// Posterior covariance of two places of `told`, in the process' variance.
    pub fn posterior(&self, told: &Told, i: usize, j: usize) -> f64 {
        self.hyper.covariance(&told.at[i], &told.at[j]) - told.points.column(i).dot(&told.points.column(j))
            + told.trend.column(i).dot(&told.trend.column(j))
    }

    /// Posterior covariance of every place of `a` (rows) with every one of `b`, in the process' variance.
    pub fn posteriors(&self, a: &Told, b: &Told) -> DMatrix<f64> {
        let mut all = DMatrix::from_fn(a.len(), b.len(), |i, j| self.hyper.covariance(&a.at[i], &b.at[j]));
        all.gemm_tr(-1.0, &a.points, &b.points, 1.0);
        all.gemm_tr(1.0, &a.trend, &b.trend, 1.0);
        all
    }

    /// For every point, the error (prediction less observation) that it has if it is left out, and its predicted standard
    /// deviation, noise included.
    pub fn leave_one_out(&self) -> Vec<(f64, f64)> {
        let inverse = self.factor.inverse();
        let projected = &self.solved_trend * self.trend_factor.solve(&self.solved_trend.transpose());
        (0..self.observed.len())
            .map(|i| {
                let p_ii = inverse[(i, i)] - projected[(i, i)];
                (-self.weights[i] / p_ii, (self.variance / p_ii).sqrt())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hyper(length: f64, nugget: f64) -> Hyperparameters {
        Hyperparameters::stationary(Kernel::SquaredExponential, vec![length], nugget)
    }

    fn constant(n: usize) -> DMatrix<f64> {
        DMatrix::from_element(n, 1, 1.0)
    }

    #[test]
    fn two_points_by_hand() {
        // R = [[1, r], [r, 1]], b = mean, weights = +-d/(1 - r) with d half the difference.
        let (a, b) = (1.0, 3.0);
        let process = Process::new(&hyper(1.0, 0.0), &[vec![0.0], vec![1.0]], &constant(2), &[a, b]).unwrap();
        let (r, near, far) = ((-0.5f64).exp(), (-0.5f64 * 0.0625).exp(), (-0.5f64 * 0.5625).exp());
        let expected = 2.0 + (far - near) / (1.0 - r);
        let found = process.predict(&[0.25], &[1.0]);
        assert!((found.mean - expected).abs() < 1e-12, "{} {expected}", found.mean);
        // s^2 = 2 d^2/(1 - r); 1 - k'R^-1 k + (1 - sum R^-1 k)^2/(1'R^-1 1).
        let variance = 2.0 / (1.0 - r);
        let explained = (near * near + far * far - 2.0 * r * near * far) / (1.0 - r * r);
        let open = 1.0 - (near + far) / (1.0 + r);
        let expected = (variance * (1.0 - explained + open * open * (1.0 + r) / 2.0)).sqrt();
        assert!((found.sd - expected).abs() < 1e-12, "{} {expected}", found.sd);
    }

    #[test]
    fn along_a_straight_axis_two_points_tell_of_all_others() {
        // y = a(u) + t b(u) at the ends of t only, for any a and b: between, a line.
        let (a, b) = (|u: f64| (9.0 * u).sin(), |u: f64| 1.0 + (7.0 * u).cos());
        let ends = (0..24).map(|k| vec![f64::from(k / 2) / 11.0, f64::from(k % 2)]);
        let points: Vec<Vec<f64>> = ends.collect();
        let y: Vec<f64> = points.iter().map(|p| a(p[0]) + p[1] * b(p[0])).collect();
        let mut hyper = Hyperparameters::stationary(Kernel::Matern92, vec![0.4, 0.5], 1e-10);
        let plain = Process::new(&hyper, &points, &constant(24), &y).unwrap();
        hyper.straight[1] = Some(Straight { ends: 1.0, bend: 1e-3 });
        let straight = Process::new(&hyper, &points, &constant(24), &y).unwrap();
        for (u, t) in [(0.0, 0.5), (3.0 / 11.0, 0.25), (0.5, 0.6)] {
            let expected = a(u) + t * b(u);
            let found = straight.predict(&[u, t], &[1.0]);
            assert!((found.mean - expected).abs() < 2e-3, "{u} {t}: {} {expected}", found.mean);
            assert!((plain.predict(&[u, t], &[1.0]).mean - expected).abs() > 10.0 * (found.mean - expected).abs());
        }
        // At a point of the design nothing is uncertain; between, the bend's deviation at most, in deviations of the whole.
        let sd = |at: [f64; 2]| straight.predict(&at, &[1.0]).sd / straight.variance.sqrt();
        assert!(sd([3.0 / 11.0, 1.0]) < 1e-4 && sd([3.0 / 11.0, 0.5]) < 1e-3, "{}", sd([3.0 / 11.0, 0.5]));
    }

    #[test]
    fn where_lines_begin_in_one_place_the_other_end_tells_of_all() {
        // y = t b(u), known at the upper end and at one place of the lower one.
        let b = |u: f64| 1.0 + (7.0 * u).cos();
        let mut points: Vec<Vec<f64>> = (0..12).map(|k| vec![f64::from(k) / 11.0, 1.0]).collect();
        points.push(vec![0.5, 0.0]);
        let y: Vec<f64> = points.iter().map(|p| p[1] * b(p[0])).collect();
        let mut hyper = Hyperparameters::stationary(Kernel::Matern92, vec![0.4, 0.5], 1e-10);
        let mut error = |ends: f64| {
            hyper.straight[1] = Some(Straight { ends, bend: 1e-4 });
            let process = Process::new(&hyper, &points, &constant(13), &y).unwrap();
            let off = |(u, t): (f64, f64)| (process.predict(&[u, t], &[1.0]).mean - t * b(u)).abs();
            [(0.1, 0.0), (0.3, 0.5), (0.8, 0.25)].map(off).into_iter().fold(0.0, f64::max)
        };
        // What is told between 12 places an eleventh apart is as far off at the upper end.
        assert!(error(1e-3) < 5e-3, "{}", error(1e-3));
        assert!(error(1.0) > 20.0 * error(1e-3), "{} {}", error(1.0), error(1e-3));
    }

    #[test]
    fn as_many_points_as_terms_are_refused() {
        assert!(Process::new(&hyper(1.0, 0.0), &[vec![0.0]], &constant(1), &[1.0]).is_none());
        let twice = [vec![0.0], vec![0.0], vec![1.0]];
        assert!(Process::new(&hyper(1.0, 0.0), &twice, &constant(3), &[1.0, 1.0, 2.0]).is_none());
    }

    proptest! {
        #[test]
        fn goes_through_its_points_and_knows_it(y in prop::collection::vec(-1.0f64..1.0, 6), length in 0.05f64..0.3) {
            let points: Vec<Vec<f64>> = (0..6).map(|k| vec![0.2 * f64::from(k)]).collect();
            let process = Process::new(&hyper(length, 0.0), &points, &constant(6), &y).unwrap();
            for (point, y) in points.iter().zip(&y) {
                let found = process.predict(point, &[1.0]);
                prop_assert!((found.mean - y).abs() < 1e-6, "{} {y}", found.mean);
                prop_assert!(found.sd < 1e-4, "{}", found.sd);
            }
        }

        #[test]
        fn leaving_out_in_closed_form_is_leaving_out(y in prop::collection::vec(-1.0f64..1.0, 7)) {
            let points: Vec<Vec<f64>> = (0..7).map(|k| vec![0.15 * f64::from(k)]).collect();
            let linear = |points: &[Vec<f64>]| DMatrix::from_fn(points.len(), 2, |i, j| points[i][0].powi(j as i32));
            let whole = Process::new(&hyper(0.25, 1e-3), &points, &linear(&points), &y).unwrap();
            for (i, (error, sd)) in whole.leave_one_out().into_iter().enumerate() {
                let (mut rest, mut values) = (points.clone(), y.clone());
                let (point, value) = (rest.remove(i), values.remove(i));
                let without = Process::new(&hyper(0.25, 1e-3), &rest, &linear(&rest), &values).unwrap();
                let found = without.predict(&point, &[1.0, point[0]]);
                prop_assert!((found.mean - value - error).abs() < 1e-8, "{} {error}", found.mean - value);
                // The whole's variance is taken over from all points.
                let shape = (found.sd.powi(2) / without.variance + 1e-3).sqrt();
                prop_assert!((shape - sd / whole.variance.sqrt()).abs() < 1e-8);
            }
        }
    }
}
