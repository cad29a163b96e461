//! Curves that must rise: isotonic regression, and a table around a parametric curve.

use crate::error::{Error, Kind, Result};
use crate::spline::Spline;

/// `parametric`, moved onto `points` (x, y) by a monotone cubic of its residuals and made to rise, on a grid eight times as
/// fine as the points. It stays within the points' least and greatest y.
///
/// # Errors
/// `BadInput` for no points or numbers that are not finite.
pub fn monotone_table(mut points: Vec<(f64, f64)>, parametric: impl Fn(f64) -> f64) -> Result<Spline> {
    if points.is_empty() {
        return Err(Error::new(Kind::BadInput, "a table needs at least one point"));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Abscissas apart by less than this share of the span are one point repeated: take the mean.
    let near = 1e-9 * (points[points.len() - 1].0 - points[0].0);
    let groups = points.chunk_by(|a, b| b.0 - a.0 <= near);
    let mean = |group: &[(f64, f64)]| (group[0].0, group.iter().map(|p| p.1).sum::<f64>() / group.len() as f64);
    let (xs, ys): (Vec<f64>, Vec<f64>) = groups.map(mean).unzip();
    let residuals = xs.iter().zip(&ys).map(|(&x, y)| y - parametric(x)).collect();
    let residual = Spline::pchip(xs.clone(), residuals)?;
    let (least, most) = ys.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), &y| (l.min(y), m.max(y)));
    let mut grid = Vec::with_capacity(8 * xs.len());
    for pair in xs.windows(2) {
        grid.extend((0..8).map(|k| pair[0] + (pair[1] - pair[0]) * f64::from(k) / 8.0));
    }
    grid.extend(xs.last());
    let fine: Vec<f64> = grid.iter().map(|&x| (parametric(x) + residual.value(x)).clamp(least, most)).collect();
    Spline::pchip(grid, isotonic(&fine))
}

/// The rising sequence nearest to `values` in the least-squares sense (pool adjacent violators).
pub fn isotonic(values: &[f64]) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::with_capacity(values.len());
    for &value in values {
        blocks.push((value, 1));
        while blocks.len() > 1 && blocks[blocks.len() - 2].0 > blocks[blocks.len() - 1].0 {
            let (last, n_last) = blocks[blocks.len() - 1];
            blocks.pop();
            let top = blocks.len() - 1;
            let (mean, n) = blocks[top];
            let total = n + n_last;
            blocks[top] = ((mean * n as f64 + last * n_last as f64) / total as f64, total);
        }
    }
    blocks.iter().flat_map(|&(mean, n)| std::iter::repeat_n(mean, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::stats;
    use proptest::prelude::*;

    #[test]
    fn a_table_meets_its_points_and_keeps_the_curve_between_them() {
        let points: Vec<(f64, f64)> = (0..9).map(|i| f64::from(i) / 8.0).map(|x| (x, x * x + 0.01 * x)).collect();
        let table = monotone_table(points.clone(), |x| x * x).unwrap();
        assert!(points.iter().all(|(x, y)| (table.value(*x) - y).abs() < 1e-15));
        assert!((table.value(0.3) - (0.09 + 0.003)).abs() < 1e-4);
        assert_eq!(monotone_table(vec![], |x| x).unwrap_err().kind(), Kind::BadInput);
    }

    proptest! {
        #[test]
        fn isotonic_regression_rises_keeps_the_mean_and_leaves_rising_data_alone(
            mut values in prop::collection::vec(-1.0f64..1.0, 1..30),
        ) {
            let fitted = isotonic(&values);
            prop_assert!(fitted.windows(2).all(|w| w[1] >= w[0]));
            prop_assert!((stats::mean(&fitted) - stats::mean(&values)).abs() < 1e-12);
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(isotonic(&values), values);
        }
    }
}
