//! The models over temperature and supply: each is fitted at a few anchors, and what it says in between is a curve through them,
//! Lagrange's polynomial where the response is smooth.
//!
//! | file | what | interpolated | over |
//! |---|---|---|---|
//! | [`charge`] | charge of a pulse | the charge, which is linear in the form's node values | temperature |
//! | [`leakage`] | leakage of a holding cell | the current over its scale, and the scale's logarithm | 1 / temperature (Arrhenius) |
//! | [`readout`] | width of a conversion | the line's and the knees' parameters | temperature and supply |
//!
//! Held-out points are at conditions between the anchors.

pub mod charge;
pub mod leakage;
pub mod readout;

/// Boltzmann's constant over the elementary charge \[V/K\].
pub const BOLTZMANN_EV_PER_K: f64 = 8.617_333_262e-5;

/// Weights of the anchors' values at `at` in the polynomial through all of them (Lagrange 1795; N. J. Higham, *Accuracy and
/// Stability of Numerical Algorithms*, 5.2). They sum to one.
pub fn lagrange(anchors: &[f64], at: f64) -> Vec<f64> {
    let factor = |j: usize, k: usize| if j == k { 1.0 } else { (at - anchors[k]) / (anchors[j] - anchors[k]) };
    (0..anchors.len()).map(|j| (0..anchors.len()).map(|k| factor(j, k)).product()).collect()
}

/// Derivatives of [`lagrange`]'s weights at `at`.
pub fn lagrange_slopes(anchors: &[f64], at: f64) -> Vec<f64> {
    let n = anchors.len();
    let term = |j: usize, left: usize| -> f64 {
        let others = (0..n).filter(|k| *k != j && *k != left);
        others.map(|k| (at - anchors[k]) / (anchors[j] - anchors[k])).product::<f64>() / (anchors[j] - anchors[left])
    };
    (0..n).map(|j| (0..n).filter(|left| *left != j).map(|left| term(j, left)).sum()).collect()
}

/// The different values, ascending; two within a billionth are the same.
pub fn anchors(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|b, a| same(*a, *b));
    all
}

/// Whether two conditions are the same.
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_met_with_its_slope() {
        let anchors = [-40.0, 27.0, 85.0, 125.0];
        let cubic = |x: f64| 1.0 - 0.02 * x + 3e-4 * x * x - 1e-6 * x * x * x;
        let slope = |x: f64| -0.02 + 6e-4 * x - 3e-6 * x * x;
        for at in [-40.0, -10.0, 27.0, 60.0, 110.0] {
            let blend = |weights: Vec<f64>| weights.iter().zip(anchors).map(|(w, x)| w * cubic(x)).sum::<f64>();
            assert!((blend(lagrange(&anchors, at)) - cubic(at)).abs() < 1e-12);
            assert!((blend(lagrange_slopes(&anchors, at)) - slope(at)).abs() < 1e-12);
            assert!((lagrange(&anchors, at).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert_eq!(super::anchors([85.0, 27.0, 27.0 + 1e-12, -40.0]), [-40.0, 27.0, 85.0]);
    }
}
