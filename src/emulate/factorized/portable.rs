//! The inner loops in plain Rust: what every instruction set must give.

use super::simd::{GROUP, Looked, Tables, column_place, key_place, twice_place, wide_key_place};

/// Calls `each(slot, dimension, place)` for every cell of whole octets of slots, with the place that `place` gives.
fn every_key(slots: usize, octets: usize, place: fn(usize, usize) -> usize, mut each: impl FnMut(usize, usize, usize)) {
    for slot in 0..slots {
        for dimension in 0..8 * octets {
            each(slot, dimension, slot / GROUP * octets * 64 + place(slot % GROUP, dimension));
        }
    }
}

pub fn expand_keys(codes: &[u8], octets: usize, tables: &Tables, Looked { wide, coarse, narrow }: Looked) {
    expand_narrow_keys(codes, octets, tables.narrow, narrow);
    every_key(tables.lows.len(), octets, key_place, |slot, dimension, place| {
        let code = usize::from(codes[place] & 7);
        let [low, high] = [tables.lows, tables.highs].map(|tables| tables[slot][code]);
        let at = slot / GROUP * octets * 64 + wide_key_place(slot % GROUP, dimension);
        (wide[at], coarse[place]) = (i16::from_le_bytes([low, high]), high as i8);
    });
}

pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    every_key(tables.len(), octets, key_place, |slot, _, place| {
        out[place] = tables[slot][usize::from(codes[place] & 7)] as i8;
    });
}

pub fn dot_wide<const QUERIES: usize>(weights: &[i16], q: &[&[i16]; QUERIES], out: &mut [i32]) {
    let (d, slots) = (q[0].len(), weights.len() / q[0].len());
    out[..QUERIES * slots].fill(0);
    every_key(slots, d / 8, wide_key_place, |slot, dimension, place| {
        for (query, q) in q.iter().enumerate() {
            out[query * slots + slot] += i32::from(q[dimension]) * i32::from(weights[place]);
        }
    });
}

pub fn dot_narrow<const QUERIES: usize>(weights: &[i8], q: &[&[u8]; QUERIES], out: &mut [i32]) {
    let d = q[0].len() / 2;
    let slots = weights.len() / d;
    out[..QUERIES * slots].fill(0);
    every_key(slots, d / 8, key_place, |slot, dimension, place| {
        for (query, q) in q.iter().enumerate() {
            out[query * slots + slot] += i32::from(q[twice_place(dimension)]) * i32::from(weights[place]);
        }
    });
}

pub fn expand_values(codes: &[u8], columns: usize, tables: &Tables, Looked { wide, coarse, narrow }: Looked) {
    expand_narrow(codes, columns, tables.narrow, narrow);
    for (row, (lows, highs)) in tables.lows.iter().zip(tables.highs).enumerate() {
        for column in 0..columns {
            let code = usize::from(codes[(row / 2 * columns + column_place(column)) * 2 + row % 2] & 7);
            wide[(row / 2 * columns + column) * 2 + row % 2] = i16::from_le_bytes([lows[code], highs[code]]);
            coarse[(row / 4 * columns + column) * 4 + row % 4] = highs[code] as i8;
        }
    }
}

pub fn expand_narrow(codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    for row in 0..tables.len() {
        for column in 0..columns {
            let code = codes[(row / 2 * columns + column_place(column)) * 2 + row % 2] & 7;
            out[(row / 4 * columns + column) * 4 + row % 4] = tables[row][usize::from(code)] as i8;
        }
    }
}

pub fn sums_wide<const QUERIES: usize>(
    weights: &[i16],
    columns: usize,
    f: [&[i16]; QUERIES],
    out: &mut [i32],
    stride: usize,
) {
    for (query, f) in f.into_iter().enumerate() {
        let out = &mut out[query * stride..][..columns];
        out.fill(0);
        for (weights, f) in weights.chunks_exact(2 * columns).zip(f.chunks_exact(2)) {
            for (sum, w) in out.iter_mut().zip(weights.chunks_exact(2)) {
                *sum += i32::from(w[0]) * i32::from(f[0]) + i32::from(w[1]) * i32::from(f[1]);
            }
        }
    }
}

pub fn sums_narrow<const QUERIES: usize>(
    weights: &[i8],
    columns: usize,
    f: [&[u8]; QUERIES],
    out: &mut [i32],
    stride: usize,
) {
    for (query, f) in f.into_iter().enumerate() {
        let out = &mut out[query * stride..][..columns];
        out.fill(0);
        for (weights, f) in weights.chunks_exact(4 * columns).zip(f.chunks_exact(4)) {
            for (sum, w) in out.iter_mut().zip(weights.chunks_exact(4)) {
                *sum += w.iter().zip(f).map(|(w, f)| i32::from(*w) * i32::from(*f)).sum::<i32>();
            }
        }
    }
}
