//! Linear least squares by singular value decomposition, with standard errors and a diagnosis of rank.
//!
//! Textbook formulas: G. A. F. Seber and A. J. Lee, *Linear Regression Analysis*, ch. 3; scaling and rank as in G. H. Golub
//! and C. F. Van Loan, *Matrix Computations*, 5.5.

use nalgebra::{DMatrix, DVector};

use crate::Result;
use crate::fit::{failed, stats};

/// Singular values below this share of the greatest count as zero.
const RANK_TOLERANCE: f64 = 1e-11;

/// A solved linear problem of `m` points and `n` parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFit {
    /// Parameters, in the order of the columns.
    pub values: Vec<f64>,
    /// Covariance of the parameters, n x n; zero if there is no degree of freedom.
    pub covariance: DMatrix<f64>,
    /// Observed minus fitted, unweighted, m.
    pub residuals: Vec<f64>,
    /// Weighted sum of squared residuals.
    pub sse: f64,
    /// Points minus parameters.
    pub dof: usize,
    /// Ratio of the greatest to the least singular value, columns scaled to length one.
    pub condition: f64,
    /// Share of the variance of the observations explained.
    pub r2: f64,
}

impl LinearFit {
    /// Standard error of each parameter; `None` without degrees of freedom.
    pub fn std_error(&self, parameter: usize) -> Option<f64> {
        (self.dof > 0).then(|| self.covariance[(parameter, parameter)].max(0.0).sqrt())
    }
    /// Student-t interval of a parameter at `level` (0.95).
    pub fn interval(&self, parameter: usize, level: f64) -> Option<(f64, f64)> {
        let half = self.std_error(parameter)? * stats::student_t_two_sided(level, self.dof as f64);
        Some((self.values[parameter] - half, self.values[parameter] + half))
    }
    /// Akaike's and the Bayesian criterion.
    pub fn criteria(&self) -> (f64, f64) {
        let (n, p) = (self.residuals.len(), self.values.len());
        (stats::aic(n, self.sse, p), stats::bic(n, self.sse, p))
    }
}

/// Minimizes sum w (observed - design b)^2. `names` are the columns', for messages; `weights` (1/variance up to a common
/// factor) default to one.
///
/// # Errors
/// `FitFailed` if there are fewer points than parameters, a number is not finite, a weight is negative, or the columns are
/// linearly dependent (naming them).
pub fn solve(
    fit: &str,
    names: &[String],
    design: &DMatrix<f64>,
    observed: &[f64],
    weights: Option<&[f64]>,
) -> Result<LinearFit> {
    let (m, n) = design.shape();
    if m < n || n == 0 {
        let message = format!("{m} points cannot determine {n} parameters ({})", names.join(", "));
        return Err(failed(fit, message, "give more points or ask for fewer parameters"));
    }
    let finite = design.iter().chain(observed).chain(weights.unwrap_or(&[])).all(|value| value.is_finite());
    if !finite || weights.is_some_and(|w| w.iter().any(|w| *w < 0.0)) {
        let message = "a point or weight is not a finite number, or a weight is negative";
        return Err(failed(fit, message, "leave out points without a measured value"));
    }
    let root = |i: usize| weights.map_or(1.0, |w| w[i].sqrt());
    let mut scaled = DMatrix::from_fn(m, n, |i, j| design[(i, j)] * root(i));
    let lengths: Vec<f64> = (0..n).map(|j| scaled.column(j).norm()).collect();
    for (j, &length) in lengths.iter().enumerate() {
        if length > 0.0 {
            scaled.column_mut(j).unscale_mut(length);
        }
    }
    let right = DVector::from_fn(m, |i, _| observed[i] * root(i));
    let svd = scaled.svd(true, true);
    let (Some(u), Some(v_t)) = (&svd.u, &svd.v_t) else {
        return Err(failed(fit, "the decomposition did not converge", "look for extreme values among the points"));
    };
    let greatest = svd.singular_values.max();
    if let Some(k) = (0..n).find(|&k| svd.singular_values[k] <= RANK_TOLERANCE * greatest) {
        let dependent: Vec<&str> = (0..n).filter(|&j| v_t[(k, j)].abs() > 0.1).map(|j| names[j].as_str()).collect();
        let message = format!("the points do not tell these parameters apart: {}", dependent.join(", "));
        return Err(failed(fit, message, "vary the inputs more, or ask for fewer parameters"));
    }
    let projected = u.transpose() * right;
    let values: Vec<f64> = (0..n)
        .map(|j| (0..n).map(|k| v_t[(k, j)] * projected[k] / svd.singular_values[k]).sum::<f64>() / lengths[j])
        .collect();
    let fitted = design * DVector::from_column_slice(&values);
    let residuals: Vec<f64> = observed.iter().zip(fitted.iter()).map(|(o, f)| o - f).collect();
    let sse: f64 = residuals.iter().enumerate().map(|(i, r)| (r * root(i)).powi(2)).sum();
    let dof = m - n;
    let variance = if dof > 0 { sse / dof as f64 } else { 0.0 };
    let covariance = DMatrix::from_fn(n, n, |a, b| {
        let sum: f64 = (0..n).map(|k| v_t[(k, a)] * v_t[(k, b)] / svd.singular_values[k].powi(2)).sum();
        variance * sum / (lengths[a] * lengths[b])
    });
    let r2 = stats::r_squared(observed, fitted.as_slice());
    Ok(LinearFit { values, covariance, residuals, sse, dof, condition: greatest / svd.singular_values.min(), r2 })
}

/// The shortest of all parameter vectors that fit best: for tables whose every entry need not be determined.
pub fn solve_min_norm(design: &DMatrix<f64>, observed: &[f64]) -> Vec<f64> {
    let svd = design.clone().svd(true, true);
    let cut = RANK_TOLERANCE * svd.singular_values.max();
    let solution = svd.solve(&DVector::from_column_slice(observed), cut.max(f64::MIN_POSITIVE));
    // `solve` fails only without singular vectors, which were asked for.
    solution.map_or_else(|_| vec![0.0; design.ncols()], |values| values.as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("b{i}")).collect()
    }

    #[test]
    fn a_straight_line_has_the_textbook_errors() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let y = [2.1, 3.9, 6.2, 7.8, 10.1, 11.8];
        let design = DMatrix::from_fn(6, 2, |i, j| if j == 0 { 1.0 } else { x[i] });
        let fit = solve("line", &names(2), &design, &y, None).unwrap();
        let (mx, my) = (stats::mean(&x), stats::mean(&y));
        let sxx: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
        let slope = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / sxx;
        let sse: f64 = x.iter().zip(&y).map(|(x, y)| (y - my - slope * (x - mx)).powi(2)).sum();
        let s2 = sse / 4.0;
        assert!((fit.values[1] - slope).abs() < 1e-13 && (fit.values[0] - (my - slope * mx)).abs() < 1e-13);
        assert!((fit.std_error(1).unwrap() - (s2 / sxx).sqrt()).abs() < 1e-13);
        assert!((fit.std_error(0).unwrap() - (s2 * (1.0 / 6.0 + mx * mx / sxx)).sqrt()).abs() < 1e-13);
        assert!((fit.covariance[(0, 1)] + mx * s2 / sxx).abs() < 1e-13);
        let (low, high) = fit.interval(1, 0.95).unwrap();
        assert!((0.5 * (high - low) - 2.776_445_1 * (s2 / sxx).sqrt()).abs() < 1e-8);
    }

    #[test]
    fn weights_count_as_repetitions_for_the_estimate() {
        let design = DMatrix::from_row_slice(3, 1, &[1.0, 1.0, 1.0]);
        let fit = solve("mean", &names(1), &design, &[1.0, 2.0, 6.0], Some(&[1.0, 2.0, 1.0])).unwrap();
        assert!((fit.values[0] - 2.75).abs() < 1e-14);
    }

    #[test]
    fn dependent_columns_are_named_even_at_very_different_scales() {
        let design = DMatrix::from_fn(8, 3, |i, j| match j {
            0 => 1.0,
            1 => i as f64,
            _ => 1e-15 * (3.0 - 2.0 * i as f64),
        });
        let error = solve("line", &names(3), &design, &[0.0; 8], None).unwrap_err();
        assert_eq!(error.kind(), Kind::FitFailed);
        assert!(error.to_string().contains("b0, b1, b2"), "{error}");
        let independent = DMatrix::from_fn(8, 2, |i, j| if j == 0 { 1.0 } else { 1e-15 * i as f64 });
        assert!(solve("line", &names(2), &independent, &[1.0; 8], None).is_ok());
    }

    #[test]
    fn refuses_too_few_points_and_numbers_that_are_none() {
        let design = DMatrix::from_element(1, 2, 1.0);
        assert_eq!(solve("line", &names(2), &design, &[1.0], None).unwrap_err().kind(), Kind::FitFailed);
        let design = DMatrix::from_fn(3, 1, |i, _| i as f64);
        assert!(solve("line", &names(1), &design, &[1.0, f64::NAN, 2.0], None).is_err());
    }

    #[test]
    fn the_shortest_solution_leaves_undetermined_entries_zero() {
        let design = DMatrix::from_row_slice(2, 3, &[1.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        let values = solve_min_norm(&design, &[3.0, 4.0]);
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 2.0).abs() < 1e-14 && values[2].abs() < 1e-14);
    }
}
