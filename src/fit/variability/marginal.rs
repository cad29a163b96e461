//! The distribution of one quantity: normal where the data do not say otherwise, else its quantiles.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::fit::stats;
use crate::spline::SplineBasis;

/// Samples below which a shape cannot be told from chance.
const LEAST_SAMPLES: usize = 100;
/// Samples from which three more knots are determined on either side.
const MANY_SAMPLES: usize = 1000;
/// p-value of the Anderson-Darling test below which a normal distribution is given up.
const SIGNIFICANT: f64 = 0.01;
/// Samples beyond the outermost knot, on either side.
const BEYOND: f64 = 5.0;
/// Straight pieces of a tabulated quantile function.
const PIECES: usize = 32;

/// A quantity as a function of its standard score: x = q(z), z ~ N(0, 1). Straight lines between nodes, the outermost ones go on.
/// A normal distribution has two nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marginal {
    /// Standard scores, ascending.
    pub z: Vec<f64>,
    /// The quantity there, ascending.
    pub value: Vec<f64>,
}

impl Marginal {
    /// N(mean, sigma).
    pub fn normal(mean: f64, sigma: f64) -> Marginal {
        Marginal { z: vec![-1.0, 1.0], value: vec![mean - sigma, mean + sigma] }
    }

    /// The distribution of the samples: normal if the Anderson-Darling test does not refuse it (or if there are few), else a cubic
    /// spline through their normal scores (Blom, *Statistical Estimates and Transformed Beta-Variables*, 1958), whose knots
    /// end where five samples lie beyond.
    pub fn fit(samples: &[f64]) -> Marginal {
        let normal = Marginal::normal(stats::mean(samples), stats::std_dev(samples));
        if samples.len() < LEAST_SAMPLES || stats::anderson_darling_p(samples) >= SIGNIFICANT {
            return normal;
        }
        Marginal::quantiles(&stats::sorted(samples)).unwrap_or(normal)
    }

    fn quantiles(sorted: &[f64]) -> Option<Marginal> {
        let n = sorted.len() as f64;
        let (mean, sigma) = (stats::mean(sorted), stats::std_dev(sorted));
        let end = stats::normal_quantile(1.0 - BEYOND / n);
        let sides = if sorted.len() < MANY_SAMPLES { 2 } else { 5 };
        let knots: Vec<f64> = (-sides..=sides).map(|k| end * f64::from(k) / f64::from(sides)).collect();
        let basis = SplineBasis::new(&knots).ok()?;
        let score = |i: usize| normal_score(i, sorted.len());
        // Beyond the outermost knots the tail's own slope decides, not the spline's.
        let inside: Vec<usize> = (0..sorted.len()).filter(|&i| score(i).abs() <= end).collect();
        let weights: Vec<Vec<f64>> = inside.iter().map(|&i| basis.weights(score(i))).collect();
        let design = DMatrix::from_fn(inside.len(), knots.len(), |row, column| weights[row][column]);
        let scores: Vec<f64> = inside.iter().map(|&i| (sorted[i] - mean) / sigma).collect();
        let at_knots = crate::fit::linear::solve_min_norm(&design, &scores);
        let node = |k: usize| end * (2.0 * k as f64 / PIECES as f64 - 1.0);
        let z: Vec<f64> = (0..=PIECES).map(node).collect();
        let value = |z: f64| mean + sigma * basis.weights(z).iter().zip(&at_knots).map(|(w, y)| w * y).sum::<f64>();
        let value: Vec<f64> = z.iter().map(|&z| value(z)).collect();
        value.windows(2).all(|pair| pair[1] > pair[0]).then_some(Marginal { z, value })
    }

    /// Whether it has a shape of its own.
    pub fn is_normal(&self) -> bool {
        self.z.len() == 2
    }

    /// The quantity at a standard score.
    pub fn value(&self, z: f64) -> f64 {
        along(&self.z, &self.value, z)
    }

    /// The standard score of a quantity.
    pub fn score(&self, value: f64) -> f64 {
        along(&self.value, &self.z, value)
    }

    /// Standard scores of a sample of this distribution: by its mean and deviation if it is normal, else by the samples' own ranks, which
    /// no error of the fitted shape moves (C. Genest, K. Ghoudi, L.-P. Rivest, Biometrika 82, 543 (1995)).
    pub fn scores(&self, samples: &[f64]) -> Vec<f64> {
        if self.is_normal() {
            return samples.iter().map(|value| self.score(*value)).collect();
        }
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by(|a, b| samples[*a].total_cmp(&samples[*b]));
        let mut scores = vec![0.0; samples.len()];
        order.into_iter().enumerate().for_each(|(rank, i)| scores[i] = normal_score(rank, samples.len()));
        scores
    }
}

/// Blom's expected score of the sample of that rank, from 0, among `n`.
fn normal_score(rank: usize, n: usize) -> f64 {
    stats::normal_quantile((rank as f64 + 0.625) / (n as f64 + 0.25))
}

fn along(x: &[f64], y: &[f64], at: f64) -> f64 {
    let k = x.partition_point(|node| *node <= at).clamp(1, x.len() - 1);
    y[k - 1] + (y[k] - y[k - 1]) * (at - x[k - 1]) / (x[k] - x[k - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(n: u64) -> Vec<f64> {
        (0..n).map(|k| stats::random_normal(5, k, 0)).collect()
    }

    #[test]
    fn normal_samples_stay_normal_and_scores_invert() {
        let samples: Vec<f64> = normals(2000).iter().map(|z| 3.0 + 0.5 * z).collect();
        let marginal = Marginal::fit(&samples);
        assert!(marginal.is_normal());
        assert!((marginal.value(2.0) - 4.0).abs() < 0.05 && (marginal.score(marginal.value(1.3)) - 1.3).abs() < 1e-12);
        assert!(Marginal::fit(&normals(50).iter().map(|z| z.exp()).collect::<Vec<_>>()).is_normal(), "too few to tell");
    }

    #[test]
    fn a_lognormal_is_found_with_its_tails() {
        // A subthreshold current: exp of a normal threshold of 0.4 thermal slopes.
        let samples: Vec<f64> = normals(10_000).iter().map(|z| (0.4 * z).exp()).collect();
        let marginal = Marginal::fit(&samples);
        assert!(!marginal.is_normal());
        for z in [-3.0f64, -2.3, -1.0, 0.0, 1.0, 2.3, 3.0] {
            let (fitted, truth) = (marginal.value(z), (0.4 * z).exp());
            // The quantile's own standard error: sqrt(p (1 - p) / n) over the density.
            let p = stats::normal_cdf(z);
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() / (0.4 * truth);
            let error = (p * (1.0 - p) / 1e4).sqrt() / density;
            assert!((fitted - truth).abs() < 3.0 * error + 2e-3, "{z}: {fitted} against {truth}, {error}");
            assert!((marginal.score(fitted) - z).abs() < 1e-12);
        }
        // Moments, by the midpoints of 4,000 equal shares.
        let share = |k: u32| marginal.value(stats::normal_quantile((f64::from(k) + 0.5) / 4000.0));
        let values: Vec<f64> = (0..4000).map(share).collect();
        let (mean, sigma) = (stats::mean(&values), stats::std_dev(&values));
        let truth = (0.08f64.exp(), ((0.16f64.exp() - 1.0) * 0.16f64.exp()).sqrt());
        assert!(
            (mean / truth.0 - 1.0).abs() < 0.01 && (sigma / truth.1 - 1.0).abs() < 0.03,
            "{mean} {sigma} {truth:?}"
        );
    }
}
