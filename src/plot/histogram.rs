//! Bins, and the Gaussian of the same mean and standard deviation.

use super::axis::span;

/// Bins of equal width, and how many values fall into each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// One more than there are bins.
    pub edges: Vec<f64>,
    /// Values per bin.
    pub counts: Vec<f64>,
    /// Mean of the values.
    pub mean: f64,
    /// Their sample standard deviation (n - 1).
    pub sigma: f64,
}

impl Histogram {
    /// `None` without finite values. The number of bins follows Freedman and Diaconis, 1981 (twice the interquartile range
    /// over the cube root of the number), between 5 and 40.
    pub fn new(values: &[f64]) -> Option<Histogram> {
        let mut values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = span(values.iter().copied())?;
        let n = values.len() as f64;
        let quantile = |share: f64| values[((n - 1.0) * share).round() as usize];
        let width = 2.0 * (quantile(0.75) - quantile(0.25)) / n.cbrt();
        let bins = if width > 0.0 { ((high - low) / width).ceil().clamp(5.0, 40.0) } else { 5.0 };
        let (low, high) =
            if high > low { (low, high) } else { (low - 0.5 * low.abs().max(1e-30), low + 0.5 * low.abs().max(1e-30)) };
        let edges = (0..=bins as usize).map(|i| low + (high - low) * i as f64 / bins).collect();
        Some(Histogram::within(&values, edges))
    }

    /// With given edges; values outside are counted in the first and the last bin.
    pub fn within(values: &[f64], edges: Vec<f64>) -> Histogram {
        let mut counts = vec![0.0; edges.len() - 1];
        let (low, width) = (edges[0], edges[1] - edges[0]);
        let finite = values.iter().copied().filter(|v| v.is_finite());
        for value in finite.clone() {
            let bin = ((value - low) / width).floor().clamp(0.0, (counts.len() - 1) as f64);
            counts[bin as usize] += 1.0;
        }
        let n = finite.clone().count() as f64;
        let mean = finite.clone().sum::<f64>() / n;
        let sigma = (finite.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
        Histogram { edges, counts, mean, sigma }
    }

    /// The Gaussian of this mean and a standard deviation, on the scale of the counts.
    pub fn gaussian(&self, sigma: f64) -> Vec<(f64, f64)> {
        let (low, high) = (self.edges[0], self.edges[self.edges.len() - 1]);
        let area = self.counts.iter().sum::<f64>() * (self.edges[1] - self.edges[0]);
        let height =
            |x: f64| area / (sigma * std::f64::consts::TAU.sqrt()) * (-0.5 * ((x - self.mean) / sigma).powi(2)).exp();
        let margin = 0.15 * (high - low);
        let points = (0..=80).map(|i| low - margin + (high - low + 2.0 * margin) * f64::from(i) / 80.0);
        points.map(|x| (x, height(x))).collect()
    }

    /// Corners of the outline.
    pub fn outline(&self) -> Vec<(f64, f64)> {
        let mut corners = vec![(self.edges[0], 0.0)];
        for (pair, count) in self.edges.windows(2).zip(&self.counts) {
            corners.extend([(pair[0], *count), (pair[1], *count)]);
        }
        corners.push((self.edges[self.edges.len() - 1], 0.0));
        corners
    }

    /// The greatest count.
    pub fn top(&self) -> f64 {
        self.counts.iter().copied().fold(1.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i) * 0.37).chain([f64::NAN]).collect();
        let histogram = Histogram::new(&values).unwrap();
        assert_eq!(histogram.counts.iter().sum::<f64>(), 100.0);
        assert!((histogram.mean - 0.37 * 49.5).abs() < 1e-9);
        assert!((histogram.sigma - 0.37 * (100.0 * 101.0 / 12.0f64).sqrt()).abs() < 1e-9);
        let within = Histogram::within(&values, vec![0.0, 1.0, 2.0]);
        assert_eq!(within.counts, [3.0, 97.0]);
        assert!(Histogram::new(&[f64::NAN]).is_none());
        assert_eq!(Histogram::new(&[2.0, 2.0]).unwrap().counts.iter().sum::<f64>(), 2.0);
    }

    #[test]
    fn the_gaussian_covers_the_same_area() {
        let values: Vec<f64> = (0..1000).map(|i| ((f64::from(i) * 0.618_033_9).fract() - 0.5) * 2.0).collect();
        let histogram = Histogram::new(&values).unwrap();
        let points = histogram.gaussian(0.2);
        let area: f64 = points.windows(2).map(|p| 0.5 * (p[0].1 + p[1].1) * (p[1].0 - p[0].0)).sum();
        let bars = 1000.0 * (histogram.edges[1] - histogram.edges[0]);
        assert!((area / bars - 1.0).abs() < 1e-3, "{area} {bars}");
    }
}
