//! Tests of two samples: means, spreads, distributions, and the correction for many tests at once.
//!
//! | question | independent draws | the same draws in both runs |
//! |---|---|---|
//! | mean | Welch's t (B. L. Welch, *Biometrika* 34, 28 (1947)) | paired t |
//! | spread | Brown-Forsythe (*J. Am. Stat. Assoc.* 69, 364 (1974)): Student's t of the deviations from the medians | paired t of the same deviations |
//! | distribution | Kolmogorov-Smirnov, with M. A. Stephens' correction for small samples (*J. R. Stat. Soc. B* 32, 115 (1970)) | not tested: its null distribution wants independent samples |
//!
//! An F test of two variances is left out: it takes heavy tails for a difference of spreads.

use crate::fit::stats::{incomplete_beta, mean, quantile_sorted, sorted, std_dev, student_t_two_sided};

/// What a test says of a difference, second sample less first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// The difference: of means in the samples' unit, or a ratio of standard deviations.
    pub difference: f64,
    /// Lower end of its interval, at confidence 1 - `alpha`.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Student's t, or Kolmogorov and Smirnov's D.
    pub statistic: f64,
    /// Probability of a statistic at least that extreme if nothing differs; two-sided.
    pub p: f64,
}

/// Probability that Student's |T| with `dof` degrees of freedom is at least |t|.
pub fn student_p(t: f64, dof: f64) -> f64 {
    incomplete_beta(0.5 * dof, 0.5, dof / (dof + t * t))
}

/// Two means of independent samples with spreads of their own; `None` below two values or without any spread.
pub fn welch(a: &[f64], b: &[f64], alpha: f64) -> Option<Test> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let share = |x: &[f64]| std_dev(x).powi(2) / x.len() as f64;
    let (va, vb) = (share(a), share(b));
    let error = (va + vb).sqrt();
    // Welch and Satterthwaite's degrees of freedom.
    let dof = (va + vb).powi(2) / (va * va / (a.len() - 1) as f64 + vb * vb / (b.len() - 1) as f64);
    from_t(mean(b) - mean(a), error, dof, alpha)
}

/// The mean of `b - a`, pair by pair; `None` below two pairs or if every pair differs by the same.
pub fn paired(a: &[f64], b: &[f64], alpha: f64) -> Option<Test> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    if differences.len() < 2 {
        return None;
    }
    let n = differences.len() as f64;
    from_t(mean(&differences), std_dev(&differences) / n.sqrt(), n - 1.0, alpha)
}

/// Two spreads of independent samples; the difference is the ratio of standard deviations, b over a, its interval by the
/// delta method on the logarithm. `None` below three values or without any spread.
pub fn spread(a: &[f64], b: &[f64], alpha: f64) -> Option<Test> {
    if a.len() < 3 || b.len() < 3 {
        return None;
    }
    let (za, zb) = (deviations(a), deviations(b));
    let (na, nb) = (a.len() as f64, b.len() as f64);
    let dof = na + nb - 2.0;
    let pooled = ((na - 1.0) * std_dev(&za).powi(2) + (nb - 1.0) * std_dev(&zb).powi(2)) / dof;
    let test = from_t(mean(&zb) - mean(&za), (pooled * (1.0 / na + 1.0 / nb)).sqrt(), dof, alpha)?;
    let error = (std_dev(&influence(a)).powi(2) / na + std_dev(&influence(b)).powi(2) / nb).sqrt();
    Some(with_ratio(test, a, b, error, dof, alpha))
}

/// Two spreads of samples that belong together pair by pair; otherwise as [`spread`].
pub fn paired_spread(a: &[f64], b: &[f64], alpha: f64) -> Option<Test> {
    if a.len() < 3 || a.len() != b.len() {
        return None;
    }
    let test = paired(&deviations(a), &deviations(b), alpha)?;
    let both: Vec<f64> = influence(a).iter().zip(influence(b)).map(|(a, b)| b - a).collect();
    let n = a.len() as f64;
    Some(with_ratio(test, a, b, std_dev(&both) / n.sqrt(), n - 1.0, alpha))
}

/// Kolmogorov and Smirnov's test of two independent samples; the difference is the greatest distance between their
/// distribution functions and has no interval. `None` for an empty sample.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<Test> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (a, b) = (sorted(a), sorted(b));
    let (na, nb) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j, mut distance) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        // Equal values step both functions at once.
        let at = a[i].min(b[j]);
        while i < a.len() && a[i] <= at {
            i += 1;
        }
        while j < b.len() && b[j] <= at {
            j += 1;
        }
        distance = distance.max((i as f64 / na - j as f64 / nb).abs());
    }
    let root = (na * nb / (na + nb)).sqrt();
    let p = kolmogorov_p((root + 0.12 + 0.11 / root) * distance);
    Some(Test { difference: distance, low: f64::NAN, high: f64::NAN, statistic: distance, p })
}

/// Probability that Kolmogorov's K is at least `x`: of the two series for its distribution the one that converges faster
/// (A. Kolmogorov 1933; N. Smirnov, *Ann. Math. Stat.* 19, 279 (1948)).
pub fn kolmogorov_p(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.18 {
        let term = |k: i32| (-(f64::from(2 * k - 1) * PI / x).powi(2) / 8.0).exp();
        return (1.0 - (2.0 * PI).sqrt() / x * (1..8).map(term).sum::<f64>()).clamp(0.0, 1.0);
    }
    let term = |k: i32| if k % 2 == 1 { 2.0 } else { -2.0 } * (-2.0 * (f64::from(k) * x).powi(2)).exp();
    (1..8).map(term).sum::<f64>().clamp(0.0, 1.0)
}

/// The p values with the rate of false discoveries under control, in the order given (Y. Benjamini and Y. Hochberg, *J. R.
/// Stat. Soc. B* 57, 289 (1995)): rejecting what is below q leaves at most the share q of the rejected ones wrong.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[j].total_cmp(&p[i]));
    let (mut adjusted, mut least) = (vec![1.0; p.len()], 1.0f64);
    for (from_top, &i) in order.iter().enumerate() {
        let rank = p.len() - from_top;
        least = least.min(p[i] * p.len() as f64 / rank as f64);
        adjusted[i] = least;
    }
    adjusted
}

/// A difference of means over the runs' own spread: Cohen's d with the mean of both variances (J. Cohen, *Statistical Power
/// Analysis for the Behavioral Sciences*, 1988). Not a number without any spread.
pub fn cohens_d(difference: f64, a: &[f64], b: &[f64]) -> f64 {
    difference / (0.5 * (std_dev(a).powi(2) + std_dev(b).powi(2))).sqrt()
}

fn from_t(difference: f64, error: f64, dof: f64, alpha: f64) -> Option<Test> {
    if !(error > 0.0 && dof > 0.0) {
        return None;
    }
    let half = student_t_two_sided(1.0 - alpha, dof) * error;
    let statistic = difference / error;
    let p = student_p(statistic, dof);
    Some(Test { difference, low: difference - half, high: difference + half, statistic, p })
}

fn with_ratio(test: Test, a: &[f64], b: &[f64], error: f64, dof: f64, alpha: f64) -> Test {
    let ratio = std_dev(b) / std_dev(a);
    let factor = (student_t_two_sided(1.0 - alpha, dof) * error).exp();
    Test { difference: ratio, low: ratio / factor, high: ratio * factor, ..test }
}

fn deviations(values: &[f64]) -> Vec<f64> {
    let median = quantile_sorted(&sorted(values), 0.5);
    values.iter().map(|value| (value - median).abs()).collect()
}

/// How far each value pulls the logarithm of the standard deviation.
fn influence(values: &[f64]) -> Vec<f64> {
    let (centre, sigma) = (mean(values), std_dev(values));
    values.iter().map(|value| 0.5 * ((value - centre) / sigma).powi(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    /// Student's sleep data, as in R's `datasets::sleep`; the answers are those printed by R's `t.test` examples.
    const SLEEP: [[f64; 10]; 2] =
        [[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]];

    #[test]
    fn students_sleep_data_give_the_published_answers() {
        let test = welch(&SLEEP[0], &SLEEP[1], 0.05).unwrap();
        assert!((test.statistic - 1.8608).abs() < 5e-5 && (test.p - 0.07939).abs() < 5e-6, "{test:?}");
        assert!((test.low + 0.205_483_2).abs() < 1e-6 && (test.high - 3.365_483_2).abs() < 1e-6, "{test:?}");
        let test = paired(&SLEEP[0], &SLEEP[1], 0.05).unwrap();
        assert!((test.statistic - 4.0621).abs() < 5e-5 && (test.p - 0.002_833).abs() < 5e-7, "{test:?}");
        assert!((test.low - 0.700_114_2).abs() < 1e-6 && (test.high - 2.459_885_8).abs() < 1e-6, "{test:?}");
    }

    #[test]
    fn kolmogorovs_distribution_has_smirnovs_tabled_points() {
        for (x, p) in [(1.223_848, 0.10), (1.358_099, 0.05), (1.627_624, 0.01), (1.949_475, 0.001), (0.827_574, 0.5)] {
            assert!((kolmogorov_p(x) - p).abs() < 2e-6, "{x}: {}", kolmogorov_p(x));
        }
        // Both series where they meet.
        assert!((kolmogorov_p(1.18 - 1e-9) - kolmogorov_p(1.18 + 1e-9)).abs() < 1e-8);
        let test = kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(test.statistic, 0.5);
    }

    /// The fifteen p values of the paper's section 3.3, where four are rejected at 0.05.
    #[test]
    fn benjamini_and_hochbergs_own_example() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0,
        ];
        let q = benjamini_hochberg(&p);
        assert_eq!(q.iter().filter(|q| **q <= 0.05).count(), 4);
        assert!((q[3] - 0.0095 * 15.0 / 4.0).abs() < 1e-15 && q.windows(2).all(|w| w[0] <= w[1]));
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    fn sample(run: u64, trial: u64, n: u64) -> Vec<f64> {
        (0..n).map(|k| rng::normal(run, trial * 1000 + k, "statistics", "x")).collect()
    }

    /// Share of 600 trials with p < 0.05. Three standard errors of a share of 0.05 are 0.027.
    fn rate(test: impl Fn(&[f64], &[f64]) -> f64, change: impl Fn(&mut Vec<f64>, &[f64])) -> f64 {
        let hits = (0..600).filter(|trial| {
            let (a, mut b) = (sample(1, *trial, 30), sample(2, *trial, 30));
            change(&mut b, &a);
            test(&a, &b) < 0.05
        });
        hits.count() as f64 / 600.0
    }

    #[test]
    fn equal_runs_are_called_different_as_often_as_the_level_says() {
        let same = |_: &mut Vec<f64>, _: &[f64]| {};
        let welch = rate(|a, b| welch(a, b, 0.05).unwrap().p, same);
        let paired = rate(|a, b| paired(a, b, 0.05).unwrap().p, same);
        let spread_rate = rate(|a, b| spread(a, b, 0.05).unwrap().p, same);
        let both = rate(|a, b| paired_spread(a, b, 0.05).unwrap().p, same);
        let ks = rate(|a, b| kolmogorov_smirnov(a, b).unwrap().p, same);
        for (name, rate) in [("welch", welch), ("paired", paired), ("spread", spread_rate), ("paired spread", both)] {
            assert!((0.023..0.077).contains(&rate), "{name}: {rate}");
        }
        // In steps of 1/30, the greatest distance has no value with exactly 5 %.
        assert!((0.01..0.077).contains(&ks), "{ks}");
    }

    #[test]
    fn what_differs_is_found() {
        let shift = |b: &mut Vec<f64>, _: &[f64]| b.iter_mut().for_each(|x| *x += 1.0);
        let wider = |b: &mut Vec<f64>, _: &[f64]| b.iter_mut().for_each(|x| *x *= 2.0);
        // The same draws, scaled by 10 %: what independent samples could not show.
        let scaled = |b: &mut Vec<f64>, a: &[f64]| b.iter_mut().zip(a).for_each(|(b, a)| *b = 1.1 * a + 0.01 * *b);
        assert!(rate(|a, b| welch(a, b, 0.05).unwrap().p, shift) > 0.9);
        assert!(rate(|a, b| kolmogorov_smirnov(a, b).unwrap().p, shift) > 0.8);
        assert!(rate(|a, b| spread(a, b, 0.05).unwrap().p, wider) > 0.8);
        assert!(rate(|a, b| paired_spread(a, b, 0.05).unwrap().p, scaled) > 0.95);
        assert!(rate(|a, b| spread(a, b, 0.05).unwrap().p, scaled) < 0.2);
    }

    #[test]
    fn a_ratio_of_spreads_lies_in_its_interval_as_often_as_the_level_says() {
        let covered = (0..400).filter(|trial| {
            let (a, b) = (sample(3, *trial, 200), sample(4, *trial, 200));
            let b: Vec<f64> = b.iter().map(|x| 1.5 * x).collect();
            let test = spread(&a, &b, 0.05).unwrap();
            test.low <= 1.5 && 1.5 <= test.high
        });
        // 95 % to three standard errors, and 1 % for the asymptotic formula.
        let share = covered.count() as f64 / 400.0;
        assert!((0.907..0.993).contains(&share), "{share}");
    }

    #[test]
    fn nothing_is_said_without_values_or_spread() {
        assert!(welch(&[1.0], &[1.0, 2.0], 0.05).is_none());
        assert!(paired(&[1.0, 2.0, 3.0], &[2.0, 3.0, 4.0], 0.05).is_none());
        assert!(spread(&[1.0; 5], &[1.0; 5], 0.05).is_none());
    }
}
