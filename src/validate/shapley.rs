//! Shapley values: what each of several effects contributes to a quantity that is not a sum over them.
//!
//! `phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))` (L. S. Shapley, *A value for n-person games*,
//! Contributions to the Theory of Games II, Princeton 1953): the mean of what effect i adds, over all orders in which the effects
//! may be switched on. They sum to `v(all) - v(none)`, an effect that changes nothing has zero, and equal effects are equal.

use crate::error::Result;

/// Shapley values of `n` effects, exactly, from all 2^n subsets; bit i of a subset is effect i.
///
/// # Errors
/// Those of `value`.
pub fn shapley(n: usize, mut value: impl FnMut(u32) -> Result<f64>) -> Result<Vec<f64>> {
    let values = (0..1u32 << n).map(&mut value).collect::<Result<Vec<f64>>>()?;
    // |S|! (n - |S| - 1)! / n! = 1 / (n binomial(n - 1, |S|))
    let weight = |size: u32| {
        let choices =
            (0..size).fold(1.0, |product, k| product * (n as f64 - 1.0 - f64::from(k)) / (f64::from(k) + 1.0));
        1.0 / (n as f64 * choices)
    };
    let of = |i: usize| {
        let without = (0..1u32 << n).filter(|subset| subset >> i & 1 == 0);
        without
            .map(|subset| weight(subset.count_ones()) * (values[(subset | 1 << i) as usize] - values[subset as usize]))
            .sum()
    };
    Ok((0..n).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root of the sum of squares of the effects that are on: how independent errors add.
    fn root(sizes: &[f64], subset: u32) -> f64 {
        let on = sizes.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
        on.map(|(_, size)| size * size).sum::<f64>().sqrt()
    }

    #[test]
    fn values_sum_to_the_total_and_equal_effects_are_equal() {
        let sizes = [3.0, 4.0, 0.0, 4.0];
        let values = shapley(4, |subset| Ok(root(&sizes, subset))).unwrap();
        assert!((values.iter().sum::<f64>() - root(&sizes, 0b1111)).abs() < 1e-12);
        assert_eq!(values[2], 0.0);
        assert!((values[1] - values[3]).abs() < 1e-12 && values[1] > values[0]);
    }

    #[test]
    fn two_effects_by_hand() {
        // 3 and 4 make 5: on average over both orders 3 adds (3 + 1) / 2 and 4 adds (4 + 2) / 2.
        let values = shapley(2, |subset| Ok(root(&[3.0, 4.0], subset))).unwrap();
        assert!((values[0] - 2.0).abs() < 1e-12 && (values[1] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_sum_gives_its_terms() {
        let values =
            shapley(3, |subset| Ok((0..3).map(|i| f64::from(subset >> i & 1) * (i as f64 - 0.5)).sum())).unwrap();
        for (value, expected) in values.iter().zip([-0.5, 0.5, 1.5]) {
            assert!((value - expected).abs() < 1e-12);
        }
    }
}
