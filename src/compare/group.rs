//! One measurement at one design point of two runs.

use super::Noise;
use super::finding::{Finding, Quantity};
use super::pairs::PointRows;
use super::statistics::{self, Test};
use crate::dataset::{Dataset, MeasuredColumn, Row, Value};
use crate::fit::stats::{max_abs, mean, quantile_sorted, sorted, std_dev};

/// The largest magnitude of a measurement among the good rows of both runs.
pub(super) fn full_scale(name: &str, runs: [&Dataset; 2]) -> f64 {
    let of = |row: &Row| match row.measured.get(name) {
        Some(Value::Scalar(value)) => value.abs(),
        Some(Value::Curve(values)) => max_abs(values),
        None => 0.0,
    };
    runs.into_iter().flat_map(|run| &run.rows).map(of).filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// Everything that can be said of it; nothing where a run has no number.
pub(super) fn compare(
    group: &PointRows,
    measurement: &MeasuredColumn,
    same_draws: Option<bool>,
    full_scale: f64,
    alpha: f64,
    noise: &Noise,
) -> Vec<Finding> {
    let frame = Frame { group, measurement, full_scale, alpha, noise };
    match (&measurement.curve_at, group.is_random) {
        (None, false) => group.pairs.iter().filter_map(|(a, b)| frame.value(a, b)).collect(),
        (Some(at), false) => group.pairs.iter().filter_map(|(a, b)| frame.curve(at, a, b)).collect(),
        (None, true) => frame.samples(&|row| row.measured.get(&measurement.name)?.scalar(), same_draws == Some(true)),
        (Some(at), true) => frame.curve_samples(at, same_draws == Some(true)).into_iter().collect(),
    }
}

struct Frame<'a> {
    group: &'a PointRows<'a>,
    measurement: &'a MeasuredColumn,
    full_scale: f64,
    alpha: f64,
    noise: &'a Noise,
}

impl Frame<'_> {
    fn noise_at(&self, a: f64, b: f64) -> f64 {
        self.noise.tolerance * a.abs().max(b.abs()).max(self.noise.floor * self.full_scale)
    }

    fn finding(
        &self,
        quantity: Quantity,
        test: &'static str,
        n: (usize, usize),
        a: f64,
        b: f64,
        noise: f64,
    ) -> Finding {
        Finding {
            measurement: self.measurement.name.clone(),
            unit: self.measurement.unit.clone(),
            point: self.group.point.clone(),
            quantity,
            test,
            n_a: n.0,
            n_b: n.1,
            a: Some(a),
            b: Some(b),
            change: b - a,
            relative: (a != 0.0).then(|| (b - a) / a.abs()),
            interval: None,
            effect: None,
            statistic: None,
            p: None,
            q: None,
            noise,
            at: None,
            significant: (b - a).abs() > noise,
        }
    }

    fn value(&self, a: &Row, b: &Row) -> Option<Finding> {
        let number = |row: &Row| row.measured.get(&self.measurement.name)?.scalar().filter(|v| v.is_finite());
        let (a, b) = (number(a)?, number(b)?);
        Some(self.finding(Quantity::Value, "beyond numerical noise", (1, 1), a, b, self.noise_at(a, b)))
    }

    /// Where a curve moved most; a curve's noise is relative to its largest magnitude.
    fn curve(&self, at: &[f64], a: &Row, b: &Row) -> Option<Finding> {
        let of = |row: &'_ Row| row.measured.get(&self.measurement.name)?.curve().map(<[f64]>::to_vec);
        let (a, b) = (of(a)?, of(b)?);
        let moved = |k: &usize| (b[*k] - a[*k]).abs();
        let most =
            (0..a.len().min(b.len())).filter(|k| moved(k).is_finite()).max_by(|i, j| moved(i).total_cmp(&moved(j)))?;
        let noise = self.noise_at(max_abs(&a), max_abs(&b));
        let mut finding = self.finding(Quantity::Curve, "beyond numerical noise", (1, 1), a[most], b[most], noise);
        finding.at = at.get(most).copied();
        Some(finding)
    }

    /// Mean, spread and, for draws of their own, distribution.
    fn samples(&self, number: &dyn Fn(&Row) -> Option<f64>, same_draws: bool) -> Vec<Finding> {
        let good = |row: &Row| number(row).filter(|value| value.is_finite());
        let (a, b): (Vec<f64>, Vec<f64>) = if same_draws {
            self.group.pairs.iter().filter_map(|(a, b)| Some((good(a)?, good(b)?))).unzip()
        } else {
            let numbers = |rows: &[&Row]| rows.iter().filter_map(|row| good(row)).collect();
            (numbers(&self.group.a), numbers(&self.group.b))
        };
        if a.is_empty() || b.is_empty() {
            return Vec::new();
        }
        let mut findings = vec![self.mean(&a, &b, same_draws)];
        findings.extend(self.spread(&a, &b, same_draws));
        if !same_draws {
            findings.extend(self.distribution(&a, &b));
        }
        findings
    }

    fn mean(&self, a: &[f64], b: &[f64], same_draws: bool) -> Finding {
        let (ma, mb) = (mean(a), mean(b));
        let noise = self.noise_at(ma, mb);
        let differences: Vec<f64> = if same_draws { a.iter().zip(b).map(|(a, b)| b - a).collect() } else { Vec::new() };
        // A t test would call differences that scatter by rounding alone as sure as one likes.
        let rigid = same_draws && std_dev(&differences) <= noise;
        let (name, test) = match (rigid, same_draws) {
            (true, _) => ("every pair moved by the same", None),
            (false, true) => ("paired t", statistics::paired(a, b, self.alpha)),
            (false, false) => ("Welch's t", statistics::welch(a, b, self.alpha)),
        };
        let mut finding = self.finding(Quantity::Mean, name, (a.len(), b.len()), ma, mb, noise);
        let effect = statistics::cohens_d(mb - ma, a, b);
        finding.effect = effect.is_finite().then_some(effect);
        self.take(&mut finding, test);
        finding
    }

    fn spread(&self, a: &[f64], b: &[f64], same_draws: bool) -> Option<Finding> {
        let (sa, sb) = (std_dev(a), std_dev(b));
        let (name, test) = if same_draws {
            ("paired t of deviations", statistics::paired_spread(a, b, self.alpha))
        } else {
            ("Brown-Forsythe", statistics::spread(a, b, self.alpha))
        };
        let test = test?;
        // Noise that is independent of the draws adds to the variance.
        let (single, least) = (self.noise_at(mean(a), mean(b)), sa.min(sb));
        let noise = single.hypot(least) - least;
        let mut finding = self.finding(Quantity::Spread, name, (a.len(), b.len()), sa, sb, noise);
        finding.effect = test.difference.is_finite().then_some(test.difference);
        let interval = (sa * (test.low - 1.0), sa * (test.high - 1.0));
        self.take(&mut finding, Some(Test { low: interval.0, high: interval.1, ..test }));
        Some(finding)
    }

    fn distribution(&self, a: &[f64], b: &[f64]) -> Option<Finding> {
        let test = statistics::kolmogorov_smirnov(a, b)?;
        let noise = self.noise_at(mean(a), mean(b));
        let (sa, sb) = (sorted(a), sorted(b));
        let moved = |tenth: i32| {
            let p = f64::from(tenth) / 10.0;
            (quantile_sorted(&sb, p) - quantile_sorted(&sa, p)).abs()
        };
        let mut finding =
            self.finding(Quantity::Distribution, "Kolmogorov-Smirnov", (a.len(), b.len()), 0.0, 0.0, noise);
        (finding.a, finding.b, finding.relative) = (None, None, None);
        finding.change = test.difference;
        finding.significant = (0..=10).map(moved).fold(0.0, f64::max) > noise;
        self.take(&mut finding, Some(test));
        Some(finding)
    }

    /// The place of a curve whose mean is the surest to have moved; its p value pays for having been chosen (Bonferroni).
    fn curve_samples(&self, at: &[f64], same_draws: bool) -> Option<Finding> {
        let number = |row: &Row, k: usize| row.measured.get(&self.measurement.name)?.curve()?.get(k).copied();
        let means = (0..at.len()).filter_map(|k| {
            let mut finding = self.samples(&|row| number(row, k), same_draws).into_iter().next()?;
            finding.at = Some(at[k]);
            Some(finding)
        });
        let sure = |finding: &Finding| (finding.significant, finding.p.map_or(0.0, |p| -p), finding.weight());
        let mut finding = means.reduce(|best, next| {
            let (x, y) = (sure(&best), sure(&next));
            if y.0.cmp(&x.0).then(y.1.total_cmp(&x.1)).then(y.2.total_cmp(&x.2)).is_gt() { next } else { best }
        })?;
        finding.p = finding.p.map(|p| (p * at.len() as f64).min(1.0));
        Some(finding)
    }

    fn take(&self, finding: &mut Finding, test: Option<Test>) {
        let Some(test) = test else { return };
        finding.interval = (test.low.is_finite() && test.high.is_finite()).then_some((test.low, test.high));
        finding.statistic = Some(test.statistic);
        finding.p = Some(test.p);
    }
}
