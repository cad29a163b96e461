//! Points that fill the unit cube evenly: Halton's sequence, shifted at random.
//!
//! J. H. Halton, Numer. Math. 2, 84 (1960); the shift modulo one: R. Cranley and T. N. L. Patterson, SIAM J. Numer. Anal. 13,
//! 904 (1976). Any part of the sequence is spread, so later points fill the gaps of earlier ones.

use crate::rng;

const PRIMES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Most axes that the sequence spreads well over.
pub const MOST_AXES: usize = PRIMES.len();

/// Point number `index` of the sequence of `seed` in `axes` dimensions, each coordinate in [0, 1).
pub fn spread(seed: u64, index: u64, axes: usize) -> Vec<f64> {
    let coordinate = |(axis, base): (usize, &u64)| {
        let (mut rest, mut digit, mut value) = (index + 1, 1.0 / *base as f64, 0.0);
        while rest > 0 {
            value += digit * (rest % base) as f64;
            rest /= base;
            digit /= *base as f64;
        }
        (value + rng::uniform(seed, 0, "spread", &axis.to_string())).fract()
    };
    PRIMES.iter().take(axes).enumerate().map(coordinate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_of_a_partition_gets_its_share() {
        // 36 points in base 2 x 3: a shifted net has between 5 and 13 in each quarter by half (expected 9).
        let mut counts = [0; 4];
        for k in 0..36 {
            let x = spread(7, k, 2);
            assert!(x.iter().all(|x| (0.0..1.0).contains(x)));
            counts[usize::from(x[0] >= 0.5) + 2 * usize::from(x[1] >= 0.5)] += 1;
        }
        assert!(counts.iter().all(|n| (5..=13).contains(n)), "{counts:?}");
        assert_ne!(spread(7, 3, 2), spread(8, 3, 2));
    }
}
