//! How long a stored level lasts: times until it is half a step off, over dice.
//!
//! Times are log-normal: the leakage of a transistor below threshold is the exponential of a normal threshold. Dice that still hold their
//! level when the transient ends are censored there: they count as "at least that long" (A. C. Cohen, Technometrics 1, 217
//! (1959); solved by expectation and maximization).

use serde::{Deserialize, Serialize};

use super::{failed, stats};
use crate::Result;

const FIT: &str = "half_step";
/// Dice that must have lost half a step before a distribution is fitted.
const LEAST_LOST: usize = 8;

/// Times of one level at one corner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HalfStep {
    /// Corner.
    pub corner: String,
    /// Level \[V\].
    pub v_store_v: f64,
    /// Dice.
    pub dice: usize,
    /// Dice that lasted to the end of the transient.
    pub censored: usize,
    /// End of the transient \[s\].
    pub longest_s: f64,
    /// Median \[s\]; `None` where hardly any die lost half a step.
    pub median_s: Option<f64>,
    /// Its interval of 95 % \[s\].
    pub median_interval_s: Option<(f64, f64)>,
    /// Standard deviation of ln t.
    pub sigma_ln: Option<f64>,
    /// The time that one die in a hundred does not reach \[s\].
    pub low_s: Option<f64>,
}

/// Fits the times of one level; those of `longest_s` and more are censored.
///
/// # Errors
/// `FitFailed` for no times, or times that are not positive.
pub fn fit_half_step(corner: &str, v_store_v: f64, times_s: &[f64], longest_s: f64) -> Result<HalfStep> {
    if times_s.is_empty() || times_s.iter().any(|t| !(t.is_finite() && *t > 0.0)) {
        let message = format!("corner `{corner}`, {v_store_v:.3} V: {} times, not all of them positive", times_s.len());
        return Err(failed(FIT, message, "look at `t_64mv_s` in points.parquet"));
    }
    let end = longest_s * (1.0 - 1e-6);
    let lost: Vec<f64> = times_s.iter().filter(|t| **t < end).map(|t| t.ln()).collect();
    let censored = times_s.len() - lost.len();
    let mut found = HalfStep {
        corner: corner.to_string(),
        v_store_v,
        dice: times_s.len(),
        censored,
        longest_s,
        median_s: None,
        median_interval_s: None,
        sigma_ln: None,
        low_s: None,
    };
    if lost.len() < LEAST_LOST {
        return Ok(found);
    }
    let (mu, sigma) = censored_normal(&lost, censored, longest_s.ln());
    // The standard error of a mean; censoring hardly widens it while half of the dice are seen.
    let half = stats::student_t_two_sided(0.95, (lost.len() - 1) as f64) * sigma / (lost.len() as f64).sqrt();
    found.median_s = Some(mu.exp());
    found.median_interval_s = Some(((mu - half).exp(), (mu + half).exp()));
    found.sigma_ln = Some(sigma);
    found.low_s = Some((mu + sigma * stats::normal_quantile(0.01)).exp());
    Ok(found)
}

/// Mean and standard deviation of a normal sample of which `censored` more are only known to be above `limit`.
fn censored_normal(seen: &[f64], censored: usize, limit: f64) -> (f64, f64) {
    let (mut mu, mut sigma) = (stats::mean(seen), stats::std_dev(seen));
    if censored == 0 {
        return (mu, sigma);
    }
    let (n, all) = (censored as f64, (seen.len() + censored) as f64);
    for _ in 0..500 {
        // Moments of a normal above a limit, by the inverse of Mills' ratio.
        let a = (limit - mu) / sigma;
        let density = (-0.5 * a * a).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let mills = density / (1.0 - stats::normal_cdf(a)).max(1e-300);
        let (above, square) = (mu + sigma * mills, sigma * sigma * (1.0 + a * mills - mills * mills));
        let mean = (seen.iter().sum::<f64>() + n * above) / all;
        let spread = seen.iter().map(|x| (x - mean).powi(2)).sum::<f64>() + n * ((above - mean).powi(2) + square);
        let next = (spread / all).sqrt();
        let moved = (mean - mu).abs().max((next - sigma).abs());
        (mu, sigma) = (mean, next);
        if moved < 1e-10 {
            break;
        }
    }
    (mu, sigma)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: u64) -> Vec<f64> {
        (0..n).map(|k| (-4.0 + 0.3 * stats::random_normal(3, k, 0)).exp()).collect()
    }

    #[test]
    fn censored_times_give_the_same_distribution() {
        let all = times(2000);
        let whole = fit_half_step("tt", 0.9, &all, 1.0).unwrap();
        assert_eq!(whole.censored, 0);
        assert!(
            (whole.median_s.unwrap() / (-4.0f64).exp() - 1.0).abs() < 0.02
                && (whole.sigma_ln.unwrap() - 0.3).abs() < 0.015
        );
        let (low, high) = whole.median_interval_s.unwrap();
        assert!(low < (-4.0f64).exp() && (-4.0f64).exp() < high);
        // Half of the dice last to the end: as if they had not been cut, within three standard errors.
        let end = (-4.0f64).exp();
        let cut: Vec<f64> = all.iter().map(|t| t.min(end)).collect();
        let censored = fit_half_step("tt", 0.9, &cut, end).unwrap();
        assert!(censored.censored > 900);
        assert!((censored.median_s.unwrap().ln() + 4.0).abs() < 0.03, "{censored:?}");
        assert!((censored.sigma_ln.unwrap() - 0.3).abs() < 0.03, "{censored:?}");
        // Left out instead of censored, the median would be a fifth too low.
        let naive = stats::mean(&cut.iter().filter(|t| **t < end).map(|t| t.ln()).collect::<Vec<_>>());
        assert!(naive < -4.15);
    }

    #[test]
    fn levels_that_last_have_no_median_and_broken_times_are_refused() {
        let found = fit_half_step("ss", 0.4, &[0.1; 50], 0.1).unwrap();
        assert_eq!((found.censored, found.median_s, found.low_s), (50, None, None));
        assert!(fit_half_step("ss", 0.4, &[0.1, 0.0], 0.1).unwrap_err().to_string().contains("0.400 V"));
    }
}
