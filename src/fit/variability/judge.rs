//! A distribution against samples that no fit has seen.

use super::{Samples, VariabilityModel};
use crate::fit::{HeldOut, stats};

/// Held-out samples that must lie beyond a quantile for their bootstrap interval to mean anything.
const BEYOND: f64 = 4.0;

/// How many of the distribution's figures lie in the held-out samples' own bootstrap intervals of 95 %.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Agreement {
    /// Means, standard deviations, quantiles at 1 and 99 % and at three standard deviations (of few samples, the outermost that
    /// they resolve), and correlations.
    pub figures: usize,
    /// Those inside.
    pub inside: usize,
    /// How far from its interval's middle the farthest lies, in half widths.
    pub farthest: f64,
    /// How far chance alone takes the farthest in 99 of 100 such samples.
    pub by_chance: f64,
    /// Names of those outside.
    pub outside: Vec<String>,
}

impl Agreement {
    /// Whether none is farther out than chance takes one. It is the farthest that decides, not how many: figures of correlated
    /// quantities leave their intervals together (P. H. Westfall and S. S. Young, *Resampling-Based Multiple Testing*, 1993).
    pub fn holds(&self) -> bool {
        self.farthest <= self.by_chance
    }
}

/// Figures of the model against those of the held-out samples, as fractions of full scale; and every sample's response to its
/// draws.
pub(super) fn errors(model: &VariabilityModel, test: &Samples) -> HeldOut {
    let mut points = Vec::new();
    for (q, quantity) in model.quantities.iter().enumerate() {
        let column: Vec<f64> = test.values.iter().map(|row| row[q]).collect();
        let (sorted, sigma, scale) = (stats::sorted(&column), model.sigma(q), quantity.full_scale);
        let mut push = |bin: &str, measured: f64, predicted: f64| {
            points.push((format!("{} {bin}", quantity.name), measured / scale, predicted / scale));
        };
        push("distribution", stats::mean(&column), model.mean[q]);
        push("distribution", stats::std_dev(&column), sigma);
        for p in [0.01, 0.5, 0.99] {
            let predicted = model.marginals[q].value(stats::normal_quantile(p));
            push("distribution", stats::quantile_sorted(&sorted, p), predicted);
        }
        for (row, draws) in test.values.iter().zip(&test.draws) {
            if let Some(response) = model.respond(draws) {
                push("from draws", row[q], response[q]);
            }
        }
    }
    HeldOut::new(&points, 1.0)
}

/// The comparison by intervals. The model's own error, from `n_train` samples, widens them by sqrt(1 + n_test / n_train). Resamples lie
/// about the held-out samples as these lie about the truth: how far the farthest of a resample's figures is out is what chance does.
pub(super) fn agreement(
    model: &VariabilityModel,
    test: &Samples,
    n_train: usize,
    n_bootstrap: usize,
    seed: u64,
) -> Agreement {
    let (n, width) = (test.values.len(), model.quantities.len());
    let columns: Vec<Vec<f64>> = (0..width).map(|q| test.values.iter().map(|row| row[q]).collect()).collect();
    let scores: Vec<Vec<f64>> = (0..width).map(|q| model.marginals[q].scores(&columns[q])).collect();
    let outermost = stats::normal_quantile(1.0 - BEYOND / n as f64);
    let wanted = [stats::normal_quantile(0.99), 3.0];
    let mut levels: Vec<f64> = wanted.iter().filter(|z| **z <= outermost).flat_map(|z| [-z, *z]).collect();
    if levels.is_empty() {
        levels = vec![-outermost, outermost];
    }
    let pairs: Vec<(usize, usize)> = (0..width).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    let mut predicted = Vec::new();
    for q in 0..width {
        let name = &model.quantities[q].name;
        predicted.push((format!("mean of {name}"), model.mean[q]));
        predicted.push((format!("sigma of {name}"), model.sigma(q)));
        for z in &levels {
            predicted.push((format!("{name} at {z:.2} sigma"), model.marginals[q].value(*z)));
        }
    }
    for (a, b) in &pairs {
        let name = format!("correlation of {} and {}", model.quantities[*a].name, model.quantities[*b].name);
        predicted.push((name, model.score_correlation[*a][*b]));
    }
    let resampled = stats::bootstrap(n, n_bootstrap, seed, |pick| {
        let mut figures = Vec::with_capacity(predicted.len());
        for column in &columns {
            let drawn = stats::sorted(&pick.iter().map(|&i| column[i]).collect::<Vec<_>>());
            figures.push(stats::mean(&drawn));
            figures.push(stats::std_dev(&drawn));
            figures.extend(levels.iter().map(|z| stats::quantile_sorted(&drawn, stats::normal_cdf(*z))));
        }
        let picked = |q: usize| pick.iter().map(|&i| scores[q][i]).collect::<Vec<_>>();
        figures.extend(pairs.iter().map(|(a, b)| super::correlation(&picked(*a), &picked(*b))));
        Some(figures)
    });
    let intervals: Vec<Option<(f64, f64)>> =
        (0..predicted.len()).map(|k| stats::percentile_interval(&resampled, k, 0.95)).collect();
    // In half widths; without an interval nothing is known.
    let distance = |k: usize, value: f64| {
        intervals[k].map_or(f64::INFINITY, |(low, high)| (value - 0.5 * (low + high)).abs() / (0.5 * (high - low)))
    };
    let farthest = |row: &Vec<f64>| row.iter().enumerate().map(|(k, value)| distance(k, *value)).fold(0.0, f64::max);
    let chance = stats::sorted(&resampled.iter().map(farthest).collect::<Vec<_>>());
    let by_chance = if chance.is_empty() { 0.0 } else { stats::quantile_sorted(&chance, 0.99) };
    let mut agreement = Agreement { figures: predicted.len(), by_chance, ..Agreement::default() };
    let widen = (1.0 + n as f64 / n_train as f64).sqrt();
    for (k, (name, value)) in predicted.into_iter().enumerate() {
        let distance = distance(k, value) / widen;
        agreement.farthest = agreement.farthest.max(distance);
        if distance > 1.0 { agreement.outside.push(name) } else { agreement.inside += 1 }
    }
    agreement
}
