//! What tells pairs of cells on a bit line apart.
//!
//! They see `min(w_i, w_j)` of each other ([`crate::emulate::LineSums`]). In `w` and the bow `b = 4 w (1 - w)`, which full
//! pulses have not, `int_0^w_i min(t, w_j) dt` is close to `w_i w_j / 2 + turn (w_i b_j - b_i w_j)`, and `min` to
//! `w_i w_j + beta (w_i b_j + b_i w_j) + gamma b_i b_j`, coefficients by least squares over all pairs of widths. So two more narrow
//! sums, `sum b I`, of the high bytes of `I`'s wide integers, and `sum b g`, tell pairs apart.

use super::least_squares::fit;

/// What pairs of cells take beside the sums of a column.
#[derive(Debug, Clone, Copy)]
pub struct Pairs {
    /// Twice `turn`; `beta` and `gamma`.
    pub turn: f32,
    pub min: [f32; 2],
}

impl Pairs {
    /// For narrow widths of which `full` are a full pulse's.
    pub fn new(full: u8) -> Pairs {
        let share = |narrow: u8| f64::from(narrow) / f64::from(full);
        let widths: Vec<[f64; 2]> = (1..=full).map(|narrow| [share(narrow), share(bow(narrow, full))]).collect();
        let [turn, beta, gamma] = pair_kernels(&widths).map(|x| x as f32);
        Pairs { turn: 2.0 * turn, min: [beta, gamma] }
    }
}

/// `turn`, `beta` and `gamma` for widths `w` and what integers make of their bows.
fn pair_kernels(widths: &[[f64; 2]]) -> [f64; 3] {
    let each = |of: &dyn Fn([f64; 2], [f64; 2]) -> f64| -> Vec<f64> {
        widths.iter().flat_map(|a| widths.iter().map(|b| of(*a, *b))).collect()
    };
    let turn = fit(
        &[&each(&|[w, bow], [other, other_bow]| w * other_bow - bow * other)],
        &each(&|[w, _], [other, _]| 0.5 * w.min(other) * (w - other)),
    );
    let min = fit(
        &[
            &each(&|[w, bow], [other, other_bow]| w * other_bow + bow * other),
            &each(&|[_, bow], [_, other_bow]| bow * other_bow),
        ],
        &each(&|[w, _], [other, _]| w.min(other) - w * other),
    );
    [turn[0], min[0], min[1]]
}

/// The bow of a narrow width in the same integers, of which `full` are a full pulse; 0 beyond that.
#[inline(always)]
pub fn bow(narrow: u8, full: u8) -> u8 {
    // With half a step; what divides is a constant where this is inlined.
    let (w, full) = (u16::from(narrow), u16::from(full));
    ((4 * w * full.saturating_sub(w) + full / 2) / full) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pair of widths takes, in full pulses, against the integral itself.
    #[test]
    fn the_bilinear_forms_are_near_what_pairs_take() {
        for full in [15, 31] {
            let pairs = Pairs::new(full);
            let share = |narrow: u8| f64::from(narrow) / f64::from(full);
            let [turn, beta, gamma] = [0.5 * pairs.turn, pairs.min[0], pairs.min[1]].map(f64::from);
            let (mut squares, mut off, mut least_off) = (0.0, 0.0, 0.0f64);
            for (i, j) in (1..=full).flat_map(|i| (1..=full).map(move |j| (i, j))) {
                let (a, b, bow_a, bow_b) = (share(i), share(j), share(bow(i, full)), share(bow(j, full)));
                // int_0^a min(t, b) dt beside a b / 2.
                let exact = if a < b { 0.5 * a * a } else { a * b - 0.5 * b * b } - 0.5 * a * b;
                squares += exact * exact;
                off += (exact - turn * (a * bow_b - bow_a * b)).powi(2);
                least_off =
                    least_off.max((a.min(b) - a * b - beta * (a * bow_b + bow_a * b) - gamma * bow_a * bow_b).abs());
                if i == full && j == full {
                    assert_eq!((bow_a, exact), (0.0, 0.0), "full pulses have neither");
                }
            }
            assert!(off < 0.04 * squares, "{off:.1e} of {squares:.1e}");
            assert!(least_off < 0.1, "{least_off}");
        }
    }
}
