//! Variability over process corners: a corner moves every quantity and stretches its scatter; the shape stays the nominal one's.
//!
//! ```text
//! q = mean_c + (sigma_c / sigma_n) (F_n(z) - mean_n)
//! ```
//!
//! The movement is global, the same for all cells of a die; the scatter is local, cell by cell (Pelgrom et al., IEEE JSSC 24,
//! 1433 (1989)).

use serde::{Deserialize, Serialize};

use super::{Quantity, Samples, VariabilityModel, correlations};
use crate::Result;
use crate::fit::{HeldOut, ModelFit, Parameter, failed, stats};

const FIT: &str = "variability_corners";

/// What a corner does to every quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CornerSpread {
    /// Name of the corner.
    pub corner: String,
    /// Mean of each quantity there.
    pub mean: Vec<f64>,
    /// Standard deviation of each quantity there.
    pub sigma: Vec<f64>,
}

impl CornerSpread {
    fn value(&self, nominal: &VariabilityModel, quantity: usize, z: f64) -> f64 {
        let ratio = self.sigma[quantity] / nominal.sigma(quantity);
        self.mean[quantity] + ratio * (nominal.marginals[quantity].value(z) - nominal.mean[quantity])
    }
}

/// Samples of a corner, to fit and to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct CornerSamples {
    /// Name of the corner.
    pub corner: String,
    /// Samples of the fit.
    pub train: Samples,
    /// Samples that it does not see.
    pub test: Samples,
}

/// The corners' movements and scatters, and how well the nominal shape carries over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CornersFit {
    /// Report; a bin per corner, with mean, standard deviation and quantiles at 1, 50 and 99 % of every quantity, and one with the
    /// correlations' differences from nominal.
    pub fit: ModelFit,
    /// What is fitted.
    pub quantities: Vec<Quantity>,
    /// The corners.
    pub corners: Vec<CornerSpread>,
}

impl CornersFit {
    /// A quantity at a corner and a standard score, by the shape of the nominal distribution.
    pub fn value(&self, nominal: &VariabilityModel, corner: usize, quantity: usize, z: f64) -> f64 {
        self.corners[corner].value(nominal, quantity, z)
    }
}

/// Fits the corners beside the nominal distribution of the same quantities. `limit` is on the figures' errors as fractions of full
/// scale.
///
/// # Errors
/// `FitFailed` without a corner, with fewer than 8 samples in either set of one, or with samples of other quantities.
pub fn fit_corners(nominal: &VariabilityModel, samples: &[CornerSamples], limit: f64) -> Result<CornersFit> {
    let n = nominal.quantities.len();
    if samples.is_empty() {
        return Err(failed(FIT, "no corner", "sweep at process corners (`process_corners = true`)"));
    }
    for of in samples {
        for (set, rows) in [("training", &of.train.values), ("held-out", &of.test.values)] {
            if rows.len() < 8 || rows.iter().any(|row| row.len() != n || row.iter().any(|value| !value.is_finite())) {
                let message = format!("{} {set} samples of {n} quantities at corner `{}`", rows.len(), of.corner);
                return Err(failed(FIT, message, "give 8 complete samples in either set"));
            }
        }
    }
    let columns =
        |rows: &[Vec<f64>]| -> Vec<Vec<f64>> { (0..n).map(|q| rows.iter().map(|row| row[q]).collect()).collect() };
    let spread = |of: &CornerSamples| {
        let columns = columns(&of.train.values);
        CornerSpread {
            corner: of.corner.clone(),
            mean: columns.iter().map(|column| stats::mean(column)).collect(),
            sigma: columns.iter().map(|column| stats::std_dev(column)).collect(),
        }
    };
    let corners: Vec<CornerSpread> = samples.iter().map(spread).collect();
    let (mut points, mut parameters, mut widest) = (Vec::new(), Vec::new(), 0.0f64);
    for (of, spread) in samples.iter().zip(&corners) {
        let columns = columns(&of.test.values);
        for (q, quantity) in nominal.quantities.iter().enumerate() {
            let (sorted, scale) = (stats::sorted(&columns[q]), quantity.full_scale);
            let mut push = |measured: f64, predicted: f64| {
                points.push((of.corner.clone(), measured / scale, predicted / scale));
            };
            push(stats::mean(&columns[q]), spread.mean[q]);
            push(stats::std_dev(&columns[q]), spread.sigma[q]);
            for p in [0.01, 0.5, 0.99] {
                let predicted = spread.value(nominal, q, stats::normal_quantile(p));
                push(stats::quantile_sorted(&sorted, p), predicted);
            }
            let n_train = of.train.values.len() as f64;
            let half = stats::student_t_two_sided(0.95, n_train - 1.0) * spread.sigma[q] / n_train.sqrt();
            let mean = spread.mean[q];
            let interval = Some((mean - half, mean + half));
            let name = |figure: &str| format!("{}_{figure}_{}", of.corner, quantity.name);
            parameters.push(Parameter::new(name("mean"), &quantity.unit, mean, interval));
            parameters.push(Parameter::new(name("sigma"), &quantity.unit, spread.sigma[q], None));
        }
        let scores = correlations(&columns);
        for (a, row) in scores.iter().enumerate() {
            let differences = row[..a].iter().zip(&nominal.correlation[a]).map(|(here, there)| (here - there).abs());
            widest = differences.fold(widest, f64::max);
        }
    }
    let count = samples.iter().map(|of| of.train.values.len()).sum();
    let fit = ModelFit::new(FIT, EQUATION, SOURCE, HeldOut::new(&points, 1.0), limit)
        .fitted(parameters, count)
        .note("errors are fractions of each quantity's own full scale")
        .note(format!("correlations at corners differ from the nominal ones by {widest:.3} at most"));
    Ok(CornersFit { fit, quantities: nominal.quantities.clone(), corners })
}

const EQUATION: &str = "q = mean_c + (sigma_c / sigma_n) (F_n(z) - mean_n)";
const SOURCE: &str = "sample moments per corner; the shape of the nominal distribution";

#[cfg(test)]
mod tests {
    use super::super::fit_variability;
    use super::*;

    fn quantity() -> Vec<Quantity> {
        vec![Quantity { name: "current_a".into(), unit: "A".into(), full_scale: 5e-6 }]
    }

    /// Currents that are log-normal, at a scale.
    fn samples(n: u64, seed: u64, scale: f64) -> Samples {
        let value = |k: u64| scale * (0.3 * stats::random_normal(seed, k, 0)).exp();
        Samples { values: (0..n).map(|k| vec![value(k)]).collect(), draws: vec![Vec::new(); n as usize] }
    }

    #[test]
    fn a_corner_keeps_the_nominal_shape() {
        let nominal = fit_variability(&quantity(), &[], &samples(4000, 1, 1e-6), &samples(2000, 2, 1e-6), 0.05, 50, 3);
        let nominal = nominal.unwrap();
        assert!(!nominal.model.marginals[0].is_normal() && nominal.fit.pass, "{:?}", nominal.fit);
        let corner = |name: &str, scale: f64, seed: u64| CornerSamples {
            corner: name.into(),
            train: samples(600, seed, scale),
            test: samples(300, seed + 1, scale),
        };
        let fit = fit_corners(&nominal.model, &[corner("ff", 1.5e-6, 10), corner("ss", 0.6e-6, 20)], 0.05).unwrap();
        assert!(fit.fit.pass, "{:?}", fit.fit);
        // The 99 % quantile of a log-normal, within three standard errors.
        let truth = 1.5e-6 * (0.3 * stats::normal_quantile(0.99)).exp();
        let fitted = fit.value(&nominal.model, 0, 0, stats::normal_quantile(0.99));
        assert!((fitted / truth - 1.0).abs() < 0.08, "{fitted:e} against {truth:e}");
        assert_eq!(fit.fit.parameter("ss_mean_current_a").unwrap().value, fit.corners[1].mean[0]);
    }

    #[test]
    fn no_corner_and_few_samples_are_refused() {
        let model = fit_variability(&quantity(), &[], &samples(50, 1, 1e-6), &samples(50, 2, 1e-6), 0.05, 0, 3);
        let model = model.unwrap().model;
        assert!(fit_corners(&model, &[], 0.1).unwrap_err().to_string().contains("process_corners"));
        let few = CornerSamples { corner: "ff".into(), train: samples(9, 1, 1e-6), test: samples(3, 2, 1e-6) };
        assert!(fit_corners(&model, &[few], 0.1).unwrap_err().to_string().contains("3 held-out samples"));
    }
}
