//! The inner loops of every instruction set against those of plain Rust.

use super::simd::{Factors, Isa, Looked, Tables, Totals, WIDE_ROWS};
use crate::rng;

#[test]
fn inner_loops_give_equal_bits_on_every_instruction_set() {
    Isa::all().into_iter().for_each(gives_the_bits_of_plain_rust);
}

fn gives_the_bits_of_plain_rust(fast: Isa) {
    let plain = Isa::PORTABLE;
    let draw = |name: &str, at: usize, n: usize| (rng::bits(1, at as u64, "loops", name) % n as u64) as usize;
    for (slots, d) in [(64, 64), (8, 8), (24, 40), (40, 16)] {
        let codes: Vec<u8> = (0..slots * d).map(|at| draw("code", at, 8) as u8 + 8 * (at / 4 % 2) as u8).collect();
        let [lows, highs, edges] = ["lows", "highs", "edges"].map(|name| -> Vec<[u8; 8]> {
            (0..slots).map(|s| std::array::from_fn(|k| draw(name, 8 * s + k, 256) as u8)).collect()
        });
        let narrow: Vec<[u8; 8]> =
            (0..slots).map(|s| std::array::from_fn(|k| draw("narrow", 8 * s + k, 256) as u8)).collect();
        let tables = Tables { lows: &lows, highs: &highs, narrow: &narrow, edges: &edges };
        let looked = |isa: Isa| {
            let (mut a, mut b, mut c) = (vec![0; slots * d], vec![0; slots * d], vec![0; slots * d]);
            isa.expand_keys(&codes, &tables, Looked { wide: &mut a, coarse: &mut b, narrow: &mut c });
            (a, b, c)
        };
        assert_eq!(looked(fast), looked(plain));
        let (a, coarse, a_narrow) = looked(fast);
        let weights: Vec<i16> = a.iter().map(|w| w / 4).collect();
        // Wherever a weight stands, its high byte is there too.
        let sorted = |mut x: Vec<i16>| {
            x.sort_unstable();
            x
        };
        assert_eq!(sorted(a.iter().map(|w| w >> 8).collect()), sorted(coarse.iter().map(|w| i16::from(*w)).collect()));
        // Seven queries: by four, by two, and one.
        let q: [Vec<i16>; 7] = std::array::from_fn(|k| (0..d).map(|at| draw("q", at + k * d, 3841) as i16).collect());
        let q = q.each_ref().map(Vec::as_slice);
        let (mut a, mut b) = (vec![0; 7 * slots], vec![0; 7 * slots]);
        fast.dot_wide(&weights, &q, &mut a);
        plain.dot_wide(&weights, &q, &mut b);
        assert_eq!(a, b);
        fast.dot_wide(&weights, &q[1..2], &mut b);
        assert_eq!(a[slots..2 * slots], b[..slots]);
        let (mut a, mut b) = (vec![0; slots * d], vec![0; slots * d]);
        fast.expand_narrow_keys(&codes, &narrow, &mut a);
        plain.expand_narrow_keys(&codes, &narrow, &mut b);
        assert_eq!((&a, &a), (&b, &a_narrow));
        let q: [Vec<u8>; 7] = std::array::from_fn(|k| {
            let fours = (0..d / 4).map(|four| [0, 1, 2, 3].map(|at| draw("q", 4 * four + at + k * d, 16) as u8));
            fours.flat_map(|four| [four, four].concat()).collect()
        });
        let q = q.each_ref().map(Vec::as_slice);
        let (mut sums, mut others) = (vec![0; 7 * slots], vec![0; 7 * slots]);
        fast.dot_narrow(&a, &q, &mut sums);
        plain.dot_narrow(&a, &q, &mut others);
        assert_eq!(sums, others);
        fast.dot_narrow(&a, &q[3..4], &mut others);
        assert_eq!(sums[3 * slots..4 * slots], others[..slots]);
        // The same straight from codes, where there is such a loop.
        let wide: Vec<i16> = (0..d).map(|at| draw("alone", at, 256) as i16).collect();
        let of = |weights: &[i8], q: &[u8]| {
            let mut sums = vec![0; slots];
            plain.dot_narrow(weights, &[q], &mut sums);
            sums
        };
        let (weights, coarse, conductance) = looked(plain);
        let mut edge_weights = vec![0; slots * d];
        plain.expand_narrow_keys(&codes, &edges, &mut edge_weights);
        for tables in [tables, Tables { edges: &[], ..tables }] {
            let (mut a, mut b, mut c) = (vec![0; slots], vec![0; 2 * slots], vec![0; slots]);
            let mut e = vec![0; tables.edges.len()];
            let factors = Factors { wide: &wide, narrow: q[0], bows: q[1], edges: q[2] };
            let totals = Totals { wide: &mut a, narrow: &mut b, coarse: &mut c, edges: &mut e };
            if !fast.sums_of_keys(&codes, &tables, &factors, totals) {
                continue;
            }
            let mut expected = vec![0; slots];
            plain.dot_wide(&weights, &[&wide], &mut expected);
            assert_eq!(a, expected);
            assert_eq!(b, [of(&conductance, q[0]), of(&conductance, q[1])].concat());
            assert_eq!(c, of(&coarse, q[1]));
            assert!(e.is_empty() || e == of(&edge_weights, q[2]));
        }
    }
    for (rows, columns) in [(64, 64), (8, 32), (40, 128), (16, 96)] {
        let codes: Vec<u8> = (0..rows * columns).map(|at| draw("code", at, 8) as u8 + 8 * (at % 2) as u8).collect();
        let [lows, highs] = ["lows", "highs"].map(|name| -> Vec<[u8; 8]> {
            (0..rows).map(|s| std::array::from_fn(|k| draw(name, 8 * s + k, 64) as u8)).collect()
        });
        let narrow: Vec<[u8; 8]> =
            (0..rows).map(|s| std::array::from_fn(|k| draw("narrow", 8 * s + k, 67) as u8)).collect();
        let tables = Tables { lows: &lows, highs: &highs, narrow: &narrow, edges: &narrow };
        let looked = |isa: Isa| {
            let count = rows * columns;
            let (mut a, mut b, mut c) = (vec![0; count], vec![0; count], vec![0; count]);
            isa.expand_values(&codes, columns, &tables, Looked { wide: &mut a, coarse: &mut b, narrow: &mut c });
            (a, b, c)
        };
        assert_eq!(looked(fast), looked(plain));
        let (a, _, a_narrow) = looked(fast);
        let weights: Vec<i16> = a.iter().map(|w| w / 4).collect();
        let f: [Vec<i16>; 7] =
            std::array::from_fn(|k| (0..rows).map(|at| draw("f", at + k * rows, 4096) as i16).collect());
        let f = f.each_ref().map(Vec::as_slice);
        let parts = rows.div_ceil(WIDE_ROWS) * columns;
        let (mut sums, mut others) = (vec![0; 7 * parts], vec![0; 7 * parts]);
        fast.sums_wide(&weights, columns, &f, &mut sums);
        plain.sums_wide(&weights, columns, &f, &mut others);
        assert_eq!(sums, others);
        fast.sums_wide(&weights, columns, &f[2..3], &mut others);
        assert_eq!(sums[2 * parts..3 * parts], others[..parts]);
        let (mut a, mut b) = (vec![0; rows * columns], vec![0; rows * columns]);
        fast.expand_narrow(&codes, columns, &narrow, &mut a);
        plain.expand_narrow(&codes, columns, &narrow, &mut b);
        assert_eq!((&a, &a), (&b, &a_narrow));
        let weights: Vec<i8> = a.iter().map(|w| w % 33).collect();
        let f: [Vec<u8>; 7] = std::array::from_fn(|k| (0..rows).map(|at| draw("f", at + k * rows, 32) as u8).collect());
        let f = f.each_ref().map(Vec::as_slice);
        let (mut sums, mut others) = (vec![0; 7 * columns], vec![0; 7 * columns]);
        fast.sums_narrow(&weights, columns, &f, &mut sums);
        plain.sums_narrow(&weights, columns, &f, &mut others);
        assert_eq!(sums, others);
        fast.sums_narrow(&weights, columns, &f[6..], &mut others);
        assert_eq!(sums[6 * columns..], others[..columns]);
        // The same straight from codes, where there is such a loop; the edges' tables are the narrow ones here.
        let wide: Vec<i16> = (0..rows).map(|at| draw("alone", at, 256) as i16).collect();
        let of = |weights: &[i8], f: &[u8]| {
            let mut sums = vec![0; columns];
            plain.sums_narrow(weights, columns, &[f], &mut sums);
            sums
        };
        let (weights, coarse, conductance) = looked(plain);
        for tables in [tables, Tables { edges: &[], ..tables }] {
            let (mut a, mut b, mut c) = (vec![0; columns], vec![0; 2 * columns], vec![0; columns]);
            let mut e = vec![0; if tables.edges.is_empty() { 0 } else { columns }];
            let factors = Factors { wide: &wide, narrow: f[0], bows: f[1], edges: f[2] };
            let totals = Totals { wide: &mut a, narrow: &mut b, coarse: &mut c, edges: &mut e };
            if !fast.sums_of_values(&codes, columns, &tables, &factors, totals) {
                continue;
            }
            let mut expected = vec![0; columns];
            plain.sums_wide(&weights, columns, &[&wide], &mut expected);
            assert_eq!(a, expected);
            assert_eq!(b, [of(&conductance, f[0]), of(&conductance, f[1])].concat());
            assert_eq!(c, of(&coarse, f[1]));
            assert!(e.is_empty() || e == of(&conductance, f[2]));
        }
    }
}
