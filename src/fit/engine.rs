//! Nonlinear least squares: Levenberg-Marquardt with bounds, robust losses, standard errors and intervals.
//!
//! Bounds are kept by a change of variable: p = exp(u) above zero, p = low + (high - low) / (1 + exp(-u)) between two.
//! Standard errors come from s^2 (J^T J)^-1 with s^2 = SSE / (m - n) (G. A. F. Seber and C. J. Wild, *Nonlinear
//! Regression*, 2.1); intervals are Student-t in u, mapped back, so that they keep the bounds too. Robust losses are
//! minimized by iteratively reweighted least squares (P. W. Holland and R. E. Welsch, Commun. Stat. A 6, 813 (1977)); their
//! standard errors use the final weights and are approximate.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{DMatrix, DVector, Dyn};

use crate::Result;
use crate::fit::dual::Dual;
use crate::fit::{failed, stats};

/// What is fitted: residuals and their derivatives by the parameters, at given parameters. `None` means that the model
/// has no value there; the solver then stops with an error.
pub trait Residuals {
    /// Model minus observation, in any order that stays the same.
    fn residuals(&self, parameters: &[f64]) -> Option<Vec<f64>>;
    /// Derivatives of the residuals, points x parameters.
    fn jacobian(&self, parameters: &[f64]) -> Option<DMatrix<f64>>;
}

/// Residuals written once in [`Dual`] numbers; the Jacobian comes column by column from forward differentiation.
pub struct Forward<F>(pub F);

impl<F: Fn(&[Dual]) -> Vec<Dual>> Residuals for Forward<F> {
    fn residuals(&self, parameters: &[f64]) -> Option<Vec<f64>> {
        let parameters: Vec<Dual> = parameters.iter().map(|&p| Dual::constant(p)).collect();
        Some((self.0)(&parameters).iter().map(|r| r.value).collect())
    }
    fn jacobian(&self, parameters: &[f64]) -> Option<DMatrix<f64>> {
        let mut direction: Vec<Dual> = parameters.iter().map(|&p| Dual::constant(p)).collect();
        let mut columns = Vec::with_capacity(parameters.len());
        for k in 0..parameters.len() {
            direction[k].tangent = 1.0;
            let residuals = (self.0)(&direction);
            columns.push(DVector::from_iterator(residuals.len(), residuals.iter().map(|r| r.tangent)));
            direction[k].tangent = 0.0;
        }
        Some(DMatrix::from_columns(&columns))
    }
}

/// Where a parameter may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Anywhere.
    Free,
    /// Above zero.
    Positive,
    /// Strictly between two values.
    Between(f64, f64),
}

impl Bound {
    fn admits(self, p: f64) -> bool {
        match self {
            Bound::Free => p.is_finite(),
            Bound::Positive => p.is_finite() && p > 0.0,
            Bound::Between(low, high) => p > low && p < high,
        }
    }
    fn inner(self, p: f64) -> f64 {
        match self {
            Bound::Free => p,
            Bound::Positive => p.ln(),
            Bound::Between(low, high) => ((p - low) / (high - p)).ln(),
        }
    }
    fn outer(self, u: f64) -> f64 {
        match self {
            Bound::Free => u,
            Bound::Positive => u.exp(),
            Bound::Between(low, high) => low + (high - low) / (1.0 + (-u).exp()),
        }
    }
    /// dp/du.
    fn slope(self, u: f64) -> f64 {
        match self {
            Bound::Free => 1.0,
            Bound::Positive => u.exp(),
            Bound::Between(low, high) => {
                let logistic = 1.0 / (1.0 + (-u).exp());
                (high - low) * logistic * (1.0 - logistic)
            }
        }
    }
}

/// One parameter to fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Name with unit suffix, for messages.
    pub name: String,
    /// First guess, within the bound.
    pub value: f64,
    /// Typical size, in the parameter's unit, by which a free parameter is divided inside the solver; positive.
    pub scale: f64,
    /// Bound.
    pub bound: Bound,
}

impl Start {
    /// A free parameter whose size is about `scale`.
    pub fn free(name: &str, value: f64, scale: f64) -> Start {
        Start { name: name.into(), value, scale: scale.abs(), bound: Bound::Free }
    }
    /// A positive parameter.
    pub fn positive(name: &str, value: f64) -> Start {
        Start { name: name.into(), value, scale: 1.0, bound: Bound::Positive }
    }
    /// A parameter between two values.
    pub fn between(name: &str, value: f64, low: f64, high: f64) -> Start {
        Start { name: name.into(), value, scale: 1.0, bound: Bound::Between(low, high) }
    }
    /// The end of what its bound admits, above or below.
    pub(crate) fn open_end(&self, above: bool) -> f64 {
        match (self.bound, above) {
            (Bound::Free, false) => f64::NEG_INFINITY,
            (Bound::Free | Bound::Positive, true) => f64::INFINITY,
            (Bound::Positive, false) => 0.0,
            (Bound::Between(low, _), false) => low,
            (Bound::Between(_, high), true) => high,
        }
    }
    pub(crate) fn inner(&self, p: f64) -> f64 {
        self.bound.inner(p) / self.unit()
    }
    pub(crate) fn outer(&self, u: f64) -> f64 {
        self.bound.outer(u * self.unit())
    }
    fn slope(&self, u: f64) -> f64 {
        self.bound.slope(u * self.unit()) * self.unit()
    }
    fn unit(&self) -> f64 {
        if self.bound == Bound::Free && self.scale > 0.0 { self.scale } else { 1.0 }
    }
}

/// How a residual counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Squared.
    Square,
    /// 2 s^2 (sqrt(1 + (r/s)^2) - 1): squared below the scale s, linear above.
    SoftL1(f64),
    /// Squared below the scale, linear above, with a corner in the second derivative.
    Huber(f64),
}

impl Loss {
    fn weight(self, residual: f64) -> f64 {
        match self {
            Loss::Square => 1.0,
            Loss::SoftL1(scale) => 1.0 / (1.0 + (residual / scale).powi(2)).sqrt(),
            Loss::Huber(scale) => {
                if residual.abs() <= scale {
                    1.0
                } else {
                    scale / residual.abs()
                }
            }
        }
    }
}

/// A solved problem of `m` residuals and `n` parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Parameters.
    pub values: Vec<f64>,
    /// Standard errors; `None` without degrees of freedom.
    pub std_errors: Option<Vec<f64>>,
    /// 95 % intervals, inside the bounds; `None` without degrees of freedom.
    pub intervals: Option<Vec<(f64, f64)>>,
    /// Covariance of the parameters, n x n; zero without degrees of freedom.
    pub covariance: DMatrix<f64>,
    /// Model minus observation at the solution, m.
    pub residuals: Vec<f64>,
    /// Weighted sum of squared residuals.
    pub sse: f64,
    /// m - n.
    pub dof: usize,
    /// Evaluations of the residuals by the last Levenberg-Marquardt run.
    pub evaluations: usize,
}

impl Solution {
    /// Interval of a parameter.
    pub fn interval(&self, parameter: usize) -> Option<(f64, f64)> {
        self.intervals.as_ref().map(|intervals| intervals[parameter])
    }
    /// Akaike's and the Bayesian criterion.
    pub fn criteria(&self) -> (f64, f64) {
        let (m, n) = (self.residuals.len(), self.values.len());
        (stats::aic(m, self.sse, n), stats::bic(m, self.sse, n))
    }
}

/// The problem in the solver's variables.
struct Inner<'a, P: ?Sized> {
    problem: &'a P,
    starts: &'a [Start],
    root_weights: DVector<f64>,
    u: DVector<f64>,
}

/// Residual where the model has no value; its square is finite.
const NO_VALUE: f64 = 1e30;

impl<P: Residuals + ?Sized> Inner<'_, P> {
    fn outer(&self) -> Vec<f64> {
        self.starts.iter().zip(self.u.iter()).map(|(start, &u)| start.outer(u)).collect()
    }
}

impl<P: Residuals + ?Sized> LeastSquaresProblem<f64, Dyn, Dyn> for Inner<'_, P> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, u: &DVector<f64>) {
        self.u.copy_from(u);
    }
    fn params(&self) -> DVector<f64> {
        self.u.clone()
    }
    fn residuals(&self) -> Option<DVector<f64>> {
        // A step to where the model has no value is a step too far: as a very bad one it is refused, and a shorter one tried.
        let finite = self.problem.residuals(&self.outer()).filter(|residuals| residuals.iter().all(|r| r.is_finite()));
        let far = || DVector::repeat(self.root_weights.len(), NO_VALUE);
        Some(finite.map_or_else(far, |values| DVector::from_vec(values).component_mul(&self.root_weights)))
    }
    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let mut jacobian = self.problem.jacobian(&self.outer())?;
        for (j, mut column) in jacobian.column_iter_mut().enumerate() {
            column.component_mul_assign(&self.root_weights);
            column *= self.starts[j].slope(self.u[j]);
        }
        Some(jacobian)
    }
}

/// Minimizes the sum of losses of `problem`'s residuals from `starts`.
///
/// # Errors
/// `FitFailed` if a start is outside its bound, there are fewer residuals than parameters, the model has no finite value,
/// the solver does not converge, or the data do not tell parameters apart (naming them).
pub fn solve<P: Residuals + ?Sized>(fit: &str, problem: &P, starts: &[Start], loss: Loss) -> Result<Solution> {
    if let Some(start) = starts.iter().find(|start| !start.bound.admits(start.value)) {
        let message = format!("the first guess {} = {} is outside {:?}", start.name, start.value, start.bound);
        return Err(failed(fit, message, "check the points for outliers and wrong units"));
    }
    let first: Vec<f64> = starts.iter().map(|start| start.value).collect();
    let Some(residuals) = problem.residuals(&first).filter(|r| r.iter().all(|r| r.is_finite())) else {
        return Err(failed(
            fit,
            "the model has no finite value at the first guess",
            "check the points' range and units",
        ));
    };
    let (m, n) = (residuals.len(), starts.len());
    if m < n || n == 0 {
        return Err(failed(fit, format!("{m} points cannot determine {n} parameters"), "give more points"));
    }
    let u = DVector::from_iterator(n, starts.iter().map(|start| start.inner(start.value)));
    let mut inner = Inner { problem, starts, root_weights: DVector::repeat(m, 1.0), u };
    let mut evaluations = 0;
    for _ in 0..if loss == Loss::Square { 1 } else { 50 } {
        let before = inner.outer();
        let (solved, report) = LevenbergMarquardt::new().with_patience(200).minimize(inner);
        inner = solved;
        evaluations = report.number_of_evaluations;
        // "No improvement possible" is what an exact fit ends in.
        use levenberg_marquardt::TerminationReason as Reason;
        if !report.termination.was_successful() && !matches!(report.termination, Reason::NoImprovementPossible(_)) {
            let message = format!("no convergence after {evaluations} evaluations: {:?}", report.termination);
            return Err(failed(fit, message, "look at the points; the model may not describe them"));
        }
        let after = inner.outer();
        let residuals = problem.residuals(&after).unwrap_or_default();
        inner.root_weights = DVector::from_iterator(m, residuals.iter().map(|&r| loss.weight(r).sqrt()));
        let moved = |(b, a): (&f64, &f64)| (a - b).abs() > 1e-9 * (a.abs() + b.abs());
        if loss == Loss::Square || !before.iter().zip(&after).any(moved) {
            break;
        }
    }
    conclude(fit, &inner, evaluations)
}

fn conclude<P: Residuals + ?Sized>(fit: &str, inner: &Inner<'_, P>, evaluations: usize) -> Result<Solution> {
    let (Some(weighted), Some(jacobian)) = (inner.residuals(), inner.jacobian()) else {
        return Err(failed(fit, "the model has no value at the solution", "look at the points"));
    };
    let (m, n) = jacobian.shape();
    // The linear solver, on the Jacobian, gives (J^T J)^-1 and tells which parameters the data leave open.
    let names: Vec<String> = inner.starts.iter().map(|start| start.name.clone()).collect();
    let step = crate::fit::linear::solve(fit, &names, &jacobian, weighted.as_slice(), None)?;
    let (dof, sse) = (m - n, weighted.norm_squared());
    // The step's own residual is a little smaller than the solution's: rescale to the latter.
    let rescale = if step.sse > 0.0 { sse / step.sse } else { 1.0 };
    let inner_covariance = step.covariance * rescale;
    let slopes: Vec<f64> = inner.starts.iter().zip(inner.u.iter()).map(|(start, &u)| start.slope(u)).collect();
    let covariance = DMatrix::from_fn(n, n, |a, b| slopes[a] * slopes[b] * inner_covariance[(a, b)]);
    let (mut std_errors, mut intervals) = (None, None);
    if dof > 0 {
        let t = stats::student_t_two_sided(0.95, dof as f64);
        let half = |j: usize| t * inner_covariance[(j, j)].max(0.0).sqrt();
        let end = |j: usize, sign: f64| inner.starts[j].outer(inner.u[j] + sign * half(j));
        std_errors = Some((0..n).map(|j| covariance[(j, j)].max(0.0).sqrt()).collect());
        intervals = Some((0..n).map(|j| (end(j, -1.0), end(j, 1.0))).collect());
    }
    let values = inner.outer();
    let residuals = inner.problem.residuals(&values).unwrap_or_default();
    Ok(Solution { values, std_errors, intervals, covariance, residuals, sse, dof, evaluations })
}

#[cfg(test)]
mod tests;
