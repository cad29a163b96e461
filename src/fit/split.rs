//! Which points a fit sees and which judge it; always the same for the same input.

use crate::fit::stats::random_bits;

/// Indices for training and for the held-out test; disjoint, in rising order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Seen by the fit.
    pub train: Vec<usize>,
    /// Never seen by the fit.
    pub test: Vec<usize>,
}

impl Split {
    /// The items of each part, cloned.
    pub fn apply<T: Clone>(&self, items: &[T]) -> (Vec<T>, Vec<T>) {
        let pick = |indices: &[usize]| indices.iter().map(|&i| items[i].clone()).collect();
        (pick(&self.train), pick(&self.test))
    }
}

/// Holds out about `fraction` of `n` points, by a hash of (seed, index).
pub fn by_hash(n: usize, fraction: f64, seed: u64) -> Split {
    let out = |i: usize| (random_bits(seed, 0x5b11, i as u64) as f64) < fraction * u64::MAX as f64;
    let (test, train) = (0..n).partition(|&i| out(i));
    Split { train, test }
}

/// Holds out whole groups: of the distinct `keys`, sorted, every `every`-th from the second on, so that the smallest
/// is always seen; the greatest is never held out either, since a fit must not be asked to extrapolate.
pub fn by_every_nth_key(keys: &[f64], every: usize) -> Split {
    let mut distinct = keys.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let last = distinct.len().saturating_sub(1);
    let held = |key: f64| {
        let place = distinct.partition_point(|&other| other < key);
        place != last && every > 0 && place % every == 1 % every && place > 0
    };
    let (test, train) = (0..keys.len()).partition(|&i| held(keys[i]));
    Split { train, test }
}

/// Holds out a point if `held_out` says so: for designs that say which points are for the test.
pub fn by(n: usize, held_out: impl Fn(usize) -> bool) -> Split {
    let (test, train) = (0..n).partition(|&i| held_out(i));
    Split { train, test }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_in_exactly_one_part() {
        let split = by_hash(1000, 0.25, 4);
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert!((200..300).contains(&split.test.len()), "{}", split.test.len());
        assert_eq!(split, by_hash(1000, 0.25, 4));
    }

    #[test]
    fn whole_keys_are_held_out_but_never_the_ends() {
        let keys = [0.0, 0.3, 0.6, 0.9, 0.0, 0.3, 0.6, 0.9];
        let split = by_every_nth_key(&keys, 2);
        assert_eq!(split.test, vec![1, 5]);
        assert_eq!(by_every_nth_key(&keys, 3).test, vec![1, 5]);
        assert_eq!(by(4, |i| i == 2).test, vec![2]);
        let (train, test) = split.apply(&keys);
        assert_eq!((train.len(), test), (6, vec![0.3, 0.3]));
    }
}
