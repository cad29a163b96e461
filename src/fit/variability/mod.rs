//! Variability: how parameters scatter from cell to cell, and how they follow the devices' mismatch.
//!
//! Two descriptions: a joint distribution, to draw new cells from: each quantity's own (`marginal`: normal where the data do not say
//! otherwise) tied together by the correlation of their standard scores, a Gaussian copula (R. B. Nelsen, *An Introduction
//! to Copulas*, 2006); and a linear sensitivity, parameter = intercept + sum_k S_k draw_k, to give a die whose device
//! draws are known the same cells as SPICE has. `judge` holds both against samples that no fit has seen.

mod corners;
mod judge;
mod marginal;

pub use corners::{CornerSamples, CornerSpread, CornersFit, fit_corners};
pub use judge::Agreement;
pub use marginal::Marginal;

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::{ModelFit, Parameter, failed, linear, stats};

const FIT: &str = "variability";

/// A parameter that scatters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// Name with unit suffix.
    pub name: String,
    /// Unit symbol.
    pub unit: String,
    /// Full scale of its errors, in the same unit.
    pub full_scale: f64,
}

/// Samples of all quantities, and the device draws behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// samples x quantities.
    pub values: Vec<Vec<f64>>,
    /// samples x draws; every row empty if not known.
    pub draws: Vec<Vec<f64>>,
}

/// How far a quantity's samples are from normal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normality {
    /// Skewness, 0 for normal.
    pub skew: f64,
    /// Excess kurtosis, 0 for normal.
    pub kurtosis: f64,
    /// p-value of the Jarque-Bera test.
    pub jarque_bera_p: f64,
    /// p-value of the Anderson-Darling test.
    pub anderson_darling_p: f64,
}

/// Linear response of the quantities to device draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Names of the draws (`delvto_m1_v`).
    pub draws: Vec<String>,
    /// Quantity at zero draws.
    pub intercept: Vec<f64>,
    /// quantities x draws.
    pub matrix: Vec<Vec<f64>>,
    /// Share of each quantity's training variance explained.
    pub r2: Vec<f64>,
    /// Standard deviation of what stays unexplained, per quantity.
    pub residual_sigma: Vec<f64>,
}

/// The distribution of cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariabilityModel {
    /// Quantities.
    pub quantities: Vec<Quantity>,
    /// Mean of each.
    pub mean: Vec<f64>,
    /// Covariance, quantities x quantities.
    pub covariance: Vec<Vec<f64>>,
    /// Correlation, quantities x quantities.
    pub correlation: Vec<Vec<f64>>,
    /// Normality of each.
    pub normality: Vec<Normality>,
    /// Response to device draws, if they are known.
    pub sensitivity: Option<Sensitivity>,
    /// Distribution of each.
    pub marginals: Vec<Marginal>,
    /// Correlation of the standard scores, quantities x quantities.
    pub score_correlation: Vec<Vec<f64>>,
    /// Symmetric square root of that, quantities x quantities.
    root: Vec<Vec<f64>>,
}

impl VariabilityModel {
    /// Standard deviation of a quantity.
    pub fn sigma(&self, quantity: usize) -> f64 {
        self.covariance[quantity][quantity].sqrt()
    }
    /// Quantities of cell number `cell` of die `seed`; always the same for the same two numbers.
    pub fn draw(&self, seed: u64, cell: u64) -> Vec<f64> {
        let n = self.mean.len();
        let z: Vec<f64> = (0..n as u64).map(|k| stats::random_normal(seed, cell, k)).collect();
        let value = |q: usize| {
            let mixed: f64 = self.root[q].iter().zip(&z).map(|(r, z)| r * z).sum();
            self.marginals[q].value(mixed)
        };
        (0..n).map(value).collect()
    }
    /// Quantities of a cell whose device draws are known; `None` without a sensitivity or with another number of draws.
    pub fn respond(&self, draws: &[f64]) -> Option<Vec<f64>> {
        let s = self.sensitivity.as_ref().filter(|s| s.draws.len() == draws.len())?;
        let value = |q: usize| s.intercept[q] + s.matrix[q].iter().zip(draws).map(|(s, d)| s * d).sum::<f64>();
        Some((0..self.mean.len()).map(value).collect())
    }
}

/// A fitted variability model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariabilityFit {
    /// Report. One bin per quantity for its distribution (mean, sigma and the quantiles at 1, 50 and 99 % against the
    /// held-out samples'), and one for its response to draws, sample by sample.
    pub fit: ModelFit,
    /// The distribution's figures against the held-out samples' intervals.
    #[serde(skip)]
    pub agreement: Agreement,
    /// The model.
    pub model: VariabilityModel,
}

/// Pelgrom's law: the standard deviation of a device's mismatch from its area, A / sqrt(W L) (M. J. M. Pelgrom, A. C. J.
/// Duinmaijer, A. P. G. Welbers, IEEE J. Solid-State Circuits 24, 1433 (1989)); `a` in V m gives V.
pub fn pelgrom_sigma(a: f64, width_m: f64, length_m: f64) -> f64 {
    a / (width_m * length_m).sqrt()
}

/// Fits `train` and judges by `test`. `draw_names` names the columns of the draws; empty for none. Intervals of the standard
/// deviations come from `n_bootstrap` resamples.
///
/// # Errors
/// `FitFailed` for fewer than 8 samples in either set, ragged rows, numbers that are not finite, a quantity that does not
/// vary, or draws that cannot be told apart.
pub fn fit_variability(
    quantities: &[Quantity],
    draw_names: &[String],
    train: &Samples,
    test: &Samples,
    limit: f64,
    n_bootstrap: usize,
    seed: u64,
) -> Result<VariabilityFit> {
    check("training", quantities, draw_names, train)?;
    check("held-out", quantities, draw_names, test)?;
    let n = quantities.len();
    let columns: Vec<Vec<f64>> = (0..n).map(|q| train.values.iter().map(|row| row[q]).collect()).collect();
    let sigmas: Vec<f64> = columns.iter().map(|column| stats::std_dev(column)).collect();
    for (q, sigma) in sigmas.iter().enumerate() {
        if *sigma <= 1e-12 * stats::mean(&columns[q]).abs() {
            let message = format!("`{}` is the same in all samples", quantities[q].name);
            return Err(failed(FIT, message, "check that mismatch is applied to the devices that it depends on"));
        }
    }
    let mean: Vec<f64> = columns.iter().map(|column| stats::mean(column)).collect();
    let correlation = correlations(&columns);
    let covariance = (0..n).map(|a| (0..n).map(|b| correlation[a][b] * sigmas[a] * sigmas[b]).collect()).collect();
    let sensitivity = if draw_names.is_empty() { None } else { Some(regress(quantities, draw_names, train)?) };
    let marginals: Vec<Marginal> = columns.iter().map(|column| Marginal::fit(column)).collect();
    let scores: Vec<Vec<f64>> = marginals.iter().zip(&columns).map(|(of, column)| of.scores(column)).collect();
    let score_correlation = correlations(&scores);
    let model = VariabilityModel {
        quantities: quantities.to_vec(),
        root: symmetric_root(&score_correlation),
        score_correlation,
        marginals,
        mean,
        covariance,
        correlation,
        normality: columns.iter().map(|column| normality(column)).collect(),
        sensitivity,
    };
    let n_train = train.values.len();
    let resampled = stats::bootstrap(n_train, n_bootstrap, seed, |pick| {
        Some(
            columns.iter().map(|column| stats::std_dev(&pick.iter().map(|&i| column[i]).collect::<Vec<_>>())).collect(),
        )
    });
    let t = stats::student_t_two_sided(0.95, (n_train - 1) as f64);
    let mut parameters = Vec::new();
    for (q, quantity) in quantities.iter().enumerate() {
        let half = t * sigmas[q] / (n_train as f64).sqrt();
        let (centre, spread) = (model.mean[q], stats::percentile_interval(&resampled, q, 0.95));
        let interval = Some((centre - half, centre + half));
        parameters.push(Parameter::new(format!("mean_{}", quantity.name), &quantity.unit, centre, interval));
        parameters.push(Parameter::new(format!("sigma_{}", quantity.name), &quantity.unit, sigmas[q], spread));
    }
    let mut fit = ModelFit::new(FIT, EQUATION, SOURCE, judge::errors(&model, test), limit)
        .fitted(parameters, n_train)
        .note("errors are fractions of each quantity's own full scale");
    for (quantity, normality) in quantities.iter().zip(&model.normality) {
        if normality.jarque_bera_p.min(normality.anderson_darling_p) < 0.01 {
            fit = fit.note(format!(
                "`{}` is not normal: skew {:.2}, excess kurtosis {:.2}",
                quantity.name, normality.skew, normality.kurtosis
            ));
        }
    }
    if test.values.len() < 100 {
        fit = fit.note(format!("{} held-out samples do not resolve the quantiles at 1 and 99 %", test.values.len()));
    }
    let agreement = judge::agreement(&model, test, n_train, n_bootstrap, seed);
    if agreement.figures > 0 && n_bootstrap > 0 {
        let (inside, figures) = (agreement.inside, agreement.figures);
        let but = if agreement.outside.is_empty() {
            String::new()
        } else {
            format!(", not {}", agreement.outside.join(", "))
        };
        fit = fit.note(format!(
            "{inside} of {figures} figures lie in the held-out samples' intervals of 95 %{but}; the farthest is {:.2} half widths from \
             the middle, chance takes one to {:.2}",
            agreement.farthest, agreement.by_chance
        ));
        fit.pass &= agreement.holds();
    }
    Ok(VariabilityFit { fit, agreement, model })
}

/// Correlation of two columns.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (stats::mean(a), stats::mean(b));
    let sum: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    sum / ((a.len() - 1) as f64 * stats::std_dev(a) * stats::std_dev(b))
}

fn correlations(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let entry = |a: usize, b: usize| if a == b { 1.0 } else { correlation(&columns[a], &columns[b]) };
    (0..columns.len()).map(|a| (0..columns.len()).map(|b| entry(a, b)).collect()).collect()
}

const EQUATION: &str =
    "q = F(z), z ~ N(0, correlation), F linear where the samples are normal; q = intercept + S draws + residual";
const SOURCE: &str = "sample moments, normal scores (Blom 1958), and linear regression on Pelgrom-scaled device draws (Pelgrom et al., IEEE JSSC 24, \
                      1433 (1989))";

fn check(set: &str, quantities: &[Quantity], draw_names: &[String], samples: &Samples) -> Result<()> {
    let n = samples.values.len();
    if quantities.is_empty() || n < 8 {
        let message = format!("{n} {set} samples of {} quantities", quantities.len());
        return Err(failed(FIT, message, "give at least one quantity and 8 samples in either set"));
    }
    if let Some(quantity) = quantities.iter().find(|q| q.full_scale.is_nan() || q.full_scale <= 0.0) {
        let message = format!("the full scale of `{}` is {}", quantity.name, quantity.full_scale);
        return Err(failed(FIT, message, "give the range that its errors are to be compared with"));
    }
    let wide = |rows: &[Vec<f64>], width: usize| rows.len() == n && rows.iter().all(|row| row.len() == width);
    if !wide(&samples.values, quantities.len()) || !(draw_names.is_empty() || wide(&samples.draws, draw_names.len())) {
        let message = format!("a {set} sample does not have one value per quantity and one draw per name");
        return Err(failed(FIT, message, "leave out samples that failed and count them as missing"));
    }
    for (i, row) in samples.values.iter().chain(&samples.draws).enumerate() {
        if row.iter().any(|value| !value.is_finite()) {
            let message = format!("{set} sample {} has a number that is not finite", i % n);
            return Err(failed(FIT, message, "leave out samples that failed and count them as missing"));
        }
    }
    Ok(())
}

fn normality(column: &[f64]) -> Normality {
    let (skew, kurtosis) = stats::skew_kurtosis(column);
    Normality {
        skew,
        kurtosis,
        jarque_bera_p: stats::jarque_bera_p(column),
        anderson_darling_p: stats::anderson_darling_p(column),
    }
}

/// R with R R = correlation. Unlike a Cholesky factor it exists for dependent quantities too, and does not depend on their
/// order; eigenvalues that rounding made negative count as zero.
fn symmetric_root(correlation: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = correlation.len();
    let eigen = DMatrix::from_fn(n, n, |a, b| correlation[a][b]).symmetric_eigen();
    let entry = |a: usize, b: usize| -> f64 {
        (0..n)
            .map(|k| eigen.eigenvectors[(a, k)] * eigen.eigenvalues[k].max(0.0).sqrt() * eigen.eigenvectors[(b, k)])
            .sum()
    };
    (0..n).map(|a| (0..n).map(|b| entry(a, b)).collect()).collect()
}

fn regress(quantities: &[Quantity], draw_names: &[String], train: &Samples) -> Result<Sensitivity> {
    let (n, d) = (train.values.len(), draw_names.len());
    let design = DMatrix::from_fn(n, d + 1, |i, j| if j == 0 { 1.0 } else { train.draws[i][j - 1] });
    let names: Vec<String> = std::iter::once("intercept".to_string()).chain(draw_names.iter().cloned()).collect();
    let mut sensitivity = Sensitivity {
        draws: draw_names.to_vec(),
        intercept: Vec::new(),
        matrix: Vec::new(),
        r2: Vec::new(),
        residual_sigma: Vec::new(),
    };
    for q in 0..quantities.len() {
        let column: Vec<f64> = train.values.iter().map(|row| row[q]).collect();
        let solved = linear::solve(FIT, &names, &design, &column, None)?;
        sensitivity.intercept.push(solved.values[0]);
        sensitivity.matrix.push(solved.values[1..].to_vec());
        sensitivity.r2.push(solved.r2);
        sensitivity.residual_sigma.push((solved.sse / solved.dof.max(1) as f64).sqrt());
    }
    Ok(sensitivity)
}

#[cfg(test)]
mod tests;
