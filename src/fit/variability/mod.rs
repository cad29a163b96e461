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
mod tests {
    use super::*;
    use crate::error::Kind;

    const S: [[f64; 3]; 2] = [[40e-15, -25e-15, 0.0], [10e-15, 30e-15, 5e-15]];

    fn quantities() -> Vec<Quantity> {
        ["charge_low_c", "charge_high_c"]
            .map(|name| Quantity { name: name.into(), unit: "C".into(), full_scale: 300e-15 })
            .to_vec()
    }

    fn names() -> Vec<String> {
        ["delvto_m1_v", "delvto_m2_v", "delvto_m3_v"].map(String::from).to_vec()
    }

    /// Charges that follow three normal draws of 50 mV, with a little that does not.
    fn samples(n: u64, seed: u64) -> Samples {
        let (mut values, mut draws) = (Vec::new(), Vec::new());
        for i in 0..n {
            let draw: Vec<f64> = (0..3).map(|k| 0.05 * stats::random_normal(seed, i, k)).collect();
            let value = |q: usize| {
                let response: f64 = S[q].iter().zip(&draw).map(|(s, d)| s * d).sum();
                100e-15 * (q as f64 - 0.5) + response + 0.05e-15 * stats::random_normal(seed, i, 10 + q as u64)
            };
            values.push(vec![value(0), value(1)]);
            draws.push(draw);
        }
        Samples { values, draws }
    }

    #[test]
    fn recovers_moments_and_sensitivities() {
        let truth = |q: usize| (S[q].iter().map(|s| (0.05 * s).powi(2)).sum::<f64>() + (0.05e-15f64).powi(2)).sqrt();
        let fit =
            |seed: u64| fit_variability(&quantities(), &names(), &samples(400, seed), &samples(300, 99), 0.01, 200, 5);
        let (mut covered, mut widths) = (0, Vec::new());
        for seed in 1..=50 {
            let result = fit(seed).unwrap();
            for (q, name) in ["sigma_charge_low_c", "sigma_charge_high_c"].into_iter().enumerate() {
                let sigma = result.fit.parameter(name).unwrap();
                let (low, high) = (sigma.ci_low.unwrap(), sigma.ci_high.unwrap());
                covered += i32::from(low < truth(q) && truth(q) < high);
                // The standard error of a sigma is sigma / sqrt(2 n).
                widths.push((high - low) / (2.0 * 1.96 * truth(q) / 800f64.sqrt()));
            }
        }
        // 95 of 100 with a standard deviation of 2.2; percentile intervals of a sigma fall a little short.
        assert!(covered >= 86, "{covered}");
        assert!((stats::mean(&widths) - 1.0).abs() < 0.06, "{}", stats::mean(&widths));
        let result = fit(3).unwrap();
        let sensitivity = result.model.sensitivity.as_ref().unwrap();
        for (q, truth) in S.iter().enumerate() {
            for (fitted, truth) in sensitivity.matrix[q].iter().zip(truth) {
                assert!((fitted - truth).abs() < 0.3e-15);
            }
            assert!(sensitivity.r2[q] > 0.99);
        }
        assert!(result.fit.pass, "{:?}", result.fit);
    }

    #[test]
    fn drawn_cells_have_the_fitted_moments_and_can_be_replayed() {
        let model = fit_variability(&quantities(), &[], &samples(400, 1), &samples(100, 2), 0.01, 0, 5).unwrap().model;
        let cells: Vec<Vec<f64>> = (0..20_000).map(|cell| model.draw(9, cell)).collect();
        let column = |q: usize| cells.iter().map(|cell| cell[q]).collect::<Vec<_>>();
        let (a, b) = (column(0), column(1));
        assert!((stats::std_dev(&a) / model.sigma(0) - 1.0).abs() < 0.02);
        let (ma, mb) = (stats::mean(&a), stats::mean(&b));
        let cross: f64 = a.iter().zip(&b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>() / 20_000.0;
        assert!((cross / (model.sigma(0) * model.sigma(1)) - model.correlation[0][1]).abs() < 0.03);
        assert_eq!(model.draw(9, 77), cells[77]);
        assert_ne!(model.draw(10, 77), cells[77]);
        assert_eq!(model.respond(&[0.0; 3]), None);
    }

    #[test]
    fn held_out_samples_of_another_distribution_are_noticed() {
        let quantity = [Quantity { name: "x_v".into(), unit: "V".into(), full_scale: 1.0 }];
        let of = |n: u64, seed: u64, shape: fn(f64) -> f64| Samples {
            values: (0..n).map(|k| vec![shape(stats::random_normal(seed, k, 0))]).collect(),
            draws: vec![Vec::new(); n as usize],
        };
        let fit = |test: &Samples| fit_variability(&quantity, &[], &of(2000, 1, |z| z), test, 10.0, 200, 5).unwrap();
        let same = fit(&of(1000, 2, |z| z));
        assert!(same.fit.pass && same.agreement.figures == 4, "{:?}", same.agreement);
        // Of the same mean and standard deviation, but skewed.
        let skewed = fit(&of(1000, 3, |z| ((0.5 * z).exp() - 1.1331) / 0.6039));
        assert!(
            !skewed.fit.pass && skewed.agreement.outside.iter().any(|name| name.contains("sigma")),
            "{:?}",
            skewed.agreement
        );
    }

    #[test]
    fn dependent_quantities_are_drawn_dependent() {
        let double = |mut samples: Samples| {
            samples.values.iter_mut().for_each(|row| row[1] = 2.0 * row[0]);
            samples
        };
        let (train, test) = (double(samples(50, 1)), double(samples(50, 2)));
        let model = fit_variability(&quantities(), &[], &train, &test, 0.1, 0, 5).unwrap().model;
        for cell in 0..20 {
            let draw = model.draw(3, cell);
            assert!((draw[1] - 2.0 * draw[0]).abs() < 1e-6 * draw[1].abs());
        }
    }

    #[test]
    fn refuses_constant_few_ragged_and_broken_samples() {
        let good = samples(20, 1);
        let mut constant = good.clone();
        constant.values.iter_mut().for_each(|row| row[1] = 1e-15);
        let mut ragged = good.clone();
        ragged.values[3].pop();
        let mut broken = good.clone();
        broken.draws[4][0] = f64::NAN;
        for (train, word) in [
            (constant, "charge_high_c"),
            (samples(5, 1), "5 training"),
            (ragged, "one value per quantity"),
            (broken, "sample 4"),
        ] {
            let error = fit_variability(&quantities(), &names(), &train, &good, 0.1, 0, 5).unwrap_err();
            assert_eq!(error.kind(), Kind::FitFailed);
            assert!(error.to_string().contains(word), "{error}");
        }
        let mut twins = good.clone();
        twins.draws.iter_mut().for_each(|row| row[1] = row[0]);
        let error = fit_variability(&quantities(), &names(), &twins, &good, 0.1, 0, 5).unwrap_err();
        assert!(error.to_string().contains("delvto_m1_v, delvto_m2_v"), "{error}");
    }

    #[test]
    fn pelgrom_by_hand() {
        // 2 mV um at 0.25 um x 0.1 um: 2 / sqrt(0.025) mV.
        assert!((pelgrom_sigma(2e-9, 0.25e-6, 0.1e-6) - 12.649e-3).abs() < 1e-6);
    }
}
