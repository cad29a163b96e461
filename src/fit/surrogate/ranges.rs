//! Ranges of the parameters, points in their unit cube, and the trend's terms there.

use serde::{Deserialize, Serialize};

/// One parameter's range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Which axes are taken by their logarithm, every choice worth trying.
pub(super) fn scales(axes: &[Axis]) -> Vec<Vec<bool>> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        let choices: &[bool] = if axis.low > 0.0 && axis.high > 10.0 * axis.low { &[false, true] } else { &[false] };
        all = all
            .into_iter()
            .flat_map(|head: Vec<bool>| choices.iter().map(move |c| head.iter().copied().chain([*c]).collect()))
            .collect();
    }
    all
}

pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// A point in the unit cube.
pub(super) fn unit(axes: &[Axis], logarithmic: &[bool], at: &[f64]) -> Vec<f64> {
    let one = |((axis, log), x): ((&Axis, &bool), &f64)| {
        if *log { (x / axis.low).ln() / (axis.high / axis.low).ln() } else { (x - axis.low) / (axis.high - axis.low) }
    };
    axes.iter().zip(logarithmic).zip(at).map(one).collect()
}

/// The trend's terms: every product of the unit coordinates of at most `degree`, and the low fidelity.
pub(super) fn terms(unit: &[f64], low: Option<f64>, degree: usize) -> Vec<f64> {
    let mut products = vec![(1.0, 0)];
    for x in unit {
        products = products
            .into_iter()
            .flat_map(|(value, used)| (0..=degree - used).map(move |k| (value * x.powi(k as i32), used + k)))
            .collect();
    }
    products.into_iter().map(|(value, _)| value).chain(low).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_into_the_unit_cube_and_terms_up_to_their_degree() {
        let axes = [Axis { low: 1.0, high: 100.0 }, Axis { low: -1.0, high: 3.0 }];
        assert_eq!(scales(&axes), [vec![false, false], vec![true, false]]);
        assert_eq!(unit(&axes, &[true, false], &[10.0, 0.0]), [0.5, 0.25]);
        let mut found = terms(&[2.0, 3.0], Some(7.0), 2);
        found.sort_by(f64::total_cmp);
        assert_eq!(found, [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 9.0]);
        assert_eq!(squared_distance(&[0.0, 3.0], &[4.0, 0.0]), 25.0);
    }
}
