//! Small statistics: moments, quantiles, Student's t, tests of normality, counter-based random numbers, bootstrap.

use std::f64::consts::{LN_2, PI};

use rayon::prelude::*;

/// Arithmetic mean; 0 for nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Standard deviation with n - 1; 0 for fewer than two values.
pub fn std_dev(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Root mean square; 0 for nothing.
pub fn rms(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt() }
}

/// Greatest absolute value; not a number if any value is not.
pub fn max_abs(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |worst: f64, v| if v.is_nan() || worst.is_nan() { f64::NAN } else { worst.max(v.abs()) })
}

/// 1 - (sum of squared errors) / (sum of squares around the mean); 1 or 0 for constant data, met or missed.
pub fn r_squared(measured: &[f64], predicted: &[f64]) -> f64 {
    let centre = mean(measured);
    let total: f64 = measured.iter().map(|m| (m - centre).powi(2)).sum();
    let left: f64 = measured.iter().zip(predicted).map(|(m, p)| (m - p).powi(2)).sum();
    if total > 0.0 { 1.0 - left / total } else { f64::from(u8::from(left == 0.0)) }
}

/// The `p` quantile of `sorted`, linearly interpolated (type 7 of Hyndman and Fan 1996).
///
/// # Panics
/// If `sorted` is empty.
pub fn quantile_sorted(sorted: &[f64], p: f64) -> f64 {
    let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let low = place.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (place - low as f64) * (sorted[high] - sorted[low])
}

/// `values` in rising order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// Natural logarithm of the gamma function for x > 0 (Lanczos, g = 7, relative error below 1e-13).
pub fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C[0] + (1..9).map(|i| C[i] / (x + i as f64)).sum::<f64>();
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// Regularized incomplete beta function I_x(a, b) by its continued fraction (modified Lentz; NIST DLMF 8.17.22).
pub fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let tiny = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / tiny(1.0 + numerator * d);
            c = tiny(1.0 + numerator / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

/// Student's t: the value that |T| stays under with probability `level`, for `dof` > 0 degrees of freedom.
pub fn student_t_two_sided(level: f64, dof: f64) -> f64 {
    // P(|T| < t) = 1 - I_x(dof/2, 1/2), x = dof / (dof + t^2); falls monotonically in x, so bisect on t.
    let inside = |t: f64| 1.0 - incomplete_beta(0.5 * dof, 0.5, dof / (dof + t * t));
    let mut high = 1.0;
    while inside(high) < level && high < 1e12 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if inside(middle) < level {
            low = middle
        } else {
            high = middle
        }
        if high - low <= 1e-14 * high {
            break;
        }
    }
    0.5 * (low + high)
}

/// The interval of Clopper and Pearson (*Biometrika* 26, 404 (1934)) for a share of which `k` of `n` draws were seen: it
/// holds the true share with at least probability `level`, whatever that share is.
pub fn binomial_interval(k: u64, n: u64, level: f64) -> [f64; 2] {
    let tail = 0.5 * (1.0 - level);
    let (hits, misses) = (k as f64, n.saturating_sub(k) as f64);
    // Both bounds are quantiles of a beta distribution; I_p(a, b) rises with p.
    let beta_quantile = |a: f64, b: f64, share: f64| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if incomplete_beta(a, b, middle) < share { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    };
    let low = if k == 0 { 0.0 } else { beta_quantile(hits, misses + 1.0, tail) };
    let high = if k >= n { 1.0 } else { beta_quantile(hits + 1.0, misses, 1.0 - tail) };
    [low, high]
}

/// Complementary error function, relative error below 1.2e-7 (W. H. Press et al., *Numerical Recipes*, 6.2).
fn erfc(x: f64) -> f64 {
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.5 * z);
    let poly =
        [1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277]
            .iter()
            .rev()
            .fold(0.0, |acc, c| acc * t + c);
    let value = t * (-z * z - 1.26551223 + t * poly).exp();
    if x >= 0.0 { value } else { 2.0 - value }
}

/// Cumulative standard normal distribution, absolute error below 1e-7.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

/// Quantile of the standard normal distribution (P. J. Acklam's rational approximation, relative error below 1.2e-9).
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.357751867269,
        -30.66479806614716,
        2.506628277459239,
    ];
    const B: [f64; 6] =
        [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0];
    const C: [f64; 6] = [
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |acc, c| acc * x + c);
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        poly(&C, q) / poly(&D, q)
    } else if p > 1.0 - 0.02425 {
        -normal_quantile(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        poly(&A, r) * q / poly(&B, r)
    }
}

/// Skewness and excess kurtosis (population formulas); zeros for constant data.
pub fn skew_kurtosis(values: &[f64]) -> (f64, f64) {
    let centre = mean(values);
    let moment = |k: i32| values.iter().map(|v| (v - centre).powi(k)).sum::<f64>() / values.len().max(1) as f64;
    let variance = moment(2);
    if variance <= 0.0 {
        return (0.0, 0.0);
    }
    (moment(3) / variance.powf(1.5), moment(4) / (variance * variance) - 3.0)
}

/// p-value of the Jarque-Bera test of normality (asymptotic, chi-squared with two degrees of freedom; Econ. Lett. 6,
/// 255 (1980)). Below 0.05, normality is doubtful; the test is rough under 100 values.
pub fn jarque_bera_p(values: &[f64]) -> f64 {
    let (skew, kurtosis) = skew_kurtosis(values);
    (-(values.len() as f64) / 12.0 * (skew * skew + 0.25 * kurtosis * kurtosis)).exp()
}

/// p-value of the Anderson-Darling test of normality with mean and variance estimated (R. B. D'Agostino and
/// M. A. Stephens, *Goodness-of-Fit Techniques*, 1986, table 4.9). Needs 8 values; 1 for constant data.
pub fn anderson_darling_p(values: &[f64]) -> f64 {
    let (n, centre, sigma) = (values.len(), mean(values), std_dev(values));
    if n < 8 || sigma <= 0.0 {
        return 1.0;
    }
    let sorted = sorted(values);
    let cdf = |i: usize| normal_cdf((sorted[i] - centre) / sigma).clamp(1e-12, 1.0 - 1e-12);
    let sum: f64 = (0..n).map(|i| (2 * i + 1) as f64 * (cdf(i).ln() + (1.0 - cdf(n - 1 - i)).ln())).sum();
    let n = n as f64;
    let a = (-n - sum / n) * (1.0 + 0.75 / n + 2.25 / (n * n));
    let p = if a >= 0.6 {
        (1.2937 - 5.709 * a + 0.0186 * a * a).exp()
    } else if a > 0.34 {
        (0.9177 - 4.279 * a - 1.38 * a * a).exp()
    } else if a > 0.2 {
        1.0 - (-8.318 + 42.796 * a - 59.938 * a * a).exp()
    } else {
        1.0 - (-13.436 + 101.14 * a - 223.73 * a * a).exp()
    };
    p.clamp(0.0, 1.0)
}

/// Akaike's criterion for Gaussian errors: n ln(SSE/n) + 2 (p + 1); smaller is better. Constants are left out.
pub fn aic(n: usize, sse: f64, p: usize) -> f64 {
    n as f64 * (sse.max(f64::MIN_POSITIVE) / n as f64).ln() + 2.0 * (p + 1) as f64
}

/// The Bayesian criterion: n ln(SSE/n) + (p + 1) ln n.
pub fn bic(n: usize, sse: f64, p: usize) -> f64 {
    n as f64 * (sse.max(f64::MIN_POSITIVE) / n as f64).ln() + (p + 1) as f64 * (n as f64).ln()
}

/// 64 random bits that depend on (seed, stream, counter) alone: three rounds of SplitMix64's finalizer (S. Vigna, after
/// D. Lea, OOPSLA 2014), one per key.
pub fn random_bits(seed: u64, stream: u64, counter: u64) -> u64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let golden = 0x9e37_79b9_7f4a_7c15_u64;
    [stream, counter].into_iter().fold(mix(seed.wrapping_add(golden)), |state, key| {
        mix(state.wrapping_add(golden) ^ mix(key.wrapping_add(golden)))
    })
}

/// A uniform number in (0, 1).
pub fn random_uniform(seed: u64, stream: u64, counter: u64) -> f64 {
    ((random_bits(seed, stream, counter) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A standard normal number, by inversion.
pub fn random_normal(seed: u64, stream: u64, counter: u64) -> f64 {
    normal_quantile(random_uniform(seed, stream, counter))
}

/// What `statistic` does over resamples of `n_items` items with replacement: one row per resample, in order. Resamples for
/// which it fails are left out. Runs in parallel; the answer does not depend on the number of threads.
pub fn bootstrap<F>(n_items: usize, n_resamples: usize, seed: u64, statistic: F) -> Vec<Vec<f64>>
where
    F: Fn(&[usize]) -> Option<Vec<f64>> + Sync,
{
    (0..n_resamples as u64)
        .into_par_iter()
        .map(|resample| {
            let item = |i: u64| (random_uniform(seed, resample, i) * n_items as f64) as usize;
            let indices: Vec<usize> = (0..n_items as u64).map(|i| item(i).min(n_items - 1)).collect();
            statistic(&indices)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .collect()
}

/// Percentile interval of column `column` of bootstrap rows; `None` under 20 rows.
pub fn percentile_interval(rows: &[Vec<f64>], column: usize, level: f64) -> Option<(f64, f64)> {
    if rows.len() < 20 {
        return None;
    }
    let values = sorted(&rows.iter().map(|row| row[column]).collect::<Vec<_>>());
    let tail = 0.5 * (1.0 - level);
    Some((quantile_sorted(&values, tail), quantile_sorted(&values, 1.0 - tail)))
}

/// ln(1 + exp(x)) without overflow.
pub fn softplus(x: f64) -> f64 {
    if x == 0.0 { LN_2 } else { x.max(0.0) + (-x.abs()).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_s_interval_has_its_closed_forms_and_covers() {
        // All of n: the lower bound is (alpha/2)^(1/n); none of n: mirrored.
        let [low, high] = binomial_interval(1000, 1000, 0.95);
        assert!((low - 0.025f64.powf(1e-3)).abs() < 1e-9 && high == 1.0);
        let [low, high] = binomial_interval(0, 20, 0.95);
        assert!(low == 0.0 && (high - (1.0 - 0.025f64.powf(0.05))).abs() < 1e-9);
        // Coverage, summed over the binomial distribution itself, is never below the level.
        for p in [0.03f64, 0.2, 0.5, 0.97] {
            let n = 40u64;
            let mass = |k: u64| {
                let (k, n) = (k as f64, n as f64);
                (ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) + k * p.ln() + (n - k) * (1.0 - p).ln())
                    .exp()
            };
            let covered: f64 = (0..=n)
                .filter(|k| {
                    let [low, high] = binomial_interval(*k, n, 0.9);
                    low <= p && p <= high
                })
                .map(mass)
                .sum();
            assert!((0.9..0.99).contains(&covered), "{p}: {covered}");
        }
    }

    #[test]
    fn student_t_matches_printed_tables() {
        // Abramowitz and Stegun, table 26.10 (two-sided 95 % and 99 %).
        for (level, dof, expected) in
            [(0.95, 1.0, 12.706_204_7), (0.95, 2.0, 4.302_652_7), (0.95, 10.0, 2.228_138_9), (0.99, 5.0, 4.032_143_0)]
        {
            assert!((student_t_two_sided(level, dof) - expected).abs() < 1e-6, "{level} {dof}");
        }
        assert!((student_t_two_sided(0.95, 1e7) - 1.959_964).abs() < 1e-5);
    }

    #[test]
    fn normal_quantile_inverts_the_distribution() {
        for p in [1e-6, 0.001, 0.02425, 0.3, 0.5, 0.9, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) - p).abs() < 2e-7, "{p}");
        }
        assert!((normal_quantile(0.975) - 1.959_963_985).abs() < 1e-7);
        assert!((ln_gamma(0.5) - 0.5 * PI.ln()).abs() < 1e-13 && (ln_gamma(6.0) - 120f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn tests_of_normality_tell_normal_from_exponential() {
        let normal: Vec<f64> = (0..400).map(|i| random_normal(7, 1, i)).collect();
        let exponential: Vec<f64> = (0..400).map(|i| -random_uniform(7, 2, i).ln()).collect();
        assert!(jarque_bera_p(&normal) > 0.05 && anderson_darling_p(&normal) > 0.05);
        assert!(jarque_bera_p(&exponential) < 1e-6 && anderson_darling_p(&exponential) < 1e-6);
    }

    #[test]
    fn random_numbers_are_uniform_and_keys_matter() {
        let values: Vec<f64> = (0..20_000).map(|i| random_uniform(1, 2, i)).collect();
        assert!((mean(&values) - 0.5).abs() < 0.01 && (std_dev(&values) - 12f64.sqrt().recip()).abs() < 0.005);
        assert_ne!(random_bits(1, 2, 3), random_bits(1, 3, 2));
        assert_ne!(random_bits(1, 2, 3), random_bits(2, 1, 3));
        let lag: f64 = values.windows(2).map(|w| (w[0] - 0.5) * (w[1] - 0.5)).sum::<f64>() / 20_000.0 * 12.0;
        assert!(lag.abs() < 0.03, "{lag}");
    }

    #[test]
    fn bootstrap_of_a_mean_has_the_standard_error() {
        let values: Vec<f64> = (0..200).map(|i| random_normal(3, 0, i)).collect();
        let rows =
            bootstrap(200, 1000, 11, |pick| Some(vec![mean(&pick.iter().map(|&i| values[i]).collect::<Vec<_>>())]));
        let (low, high) = percentile_interval(&rows, 0, 0.95).unwrap();
        let expected = 2.0 * 1.96 * std_dev(&values) / 200f64.sqrt();
        assert!(((high - low) / expected - 1.0).abs() < 0.1, "{} {expected}", high - low);
    }
}
