//! Sums of products of small integers, sixteen at a time.

use std::arch::x86_64::*;

use crate::emulate::factorized::simd::{GROUP, groups_of, pieces};

/// Sums side by side.
const WIDE: usize = 2 * GROUP;
/// Groups of eight slots whose sums are kept in registers together.
const GROUPS: usize = 4;

#[inline]
#[target_feature(enable = "avx512f")]
fn load_u8(from: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; no alignment is needed.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_i8(from: &[i8; 64]) -> __m512i {
    // SAFETY: as in `load_u8`.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_i16(from: &[i16; 32]) -> __m512i {
    // SAFETY: as in `load_u8`.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_i8(to: &mut [i8; 64], value: __m512i) {
    // SAFETY: 64 writable bytes; no alignment is needed.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_i16(to: &mut [i16; 32], value: __m512i) {
    // SAFETY: as in `store_i8`.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_i32(to: &mut [i32; WIDE], value: __m512i) {
    // SAFETY: as in `store_i8`.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_eight(to: &mut [i32; GROUP], value: __m256i) {
    // SAFETY: 32 writable bytes; no alignment is needed.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}

/// Both halves of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(x: __m512i) -> [__m256i; 2] {
    [_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64::<1>(x)]
}

/// The lower halves of two vectors, and the upper ones.
#[inline]
#[target_feature(enable = "avx512f")]
fn by_halves(a: __m512i, b: __m512i) -> [__m512i; 2] {
    [_mm512_shuffle_i64x2::<0b01_00_01_00>(a, b), _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b)]
}

/// Eight bytes of each of eight tables, one after the other.
#[inline]
#[target_feature(enable = "avx512f")]
fn eight<const BYTES: usize>(tables: [&[u8; BYTES]; 8], from: usize) -> __m512i {
    let mut words = [0; 8];
    for (word, table) in words.iter_mut().zip(tables) {
        if let Some(bytes) = table[from..].first_chunk() {
            *word = i64::from_le_bytes(*bytes);
        }
    }
    let [a, b, c, d, e, f, g, h] = words;
    _mm512_set_epi64(h, g, f, e, d, c, b, a)
}

/// The slots of eight whose tables a vector's quarters are looked up in, two for each.
#[inline(always)]
fn of_slots<const BYTES: usize>(tables: &[[u8; BYTES]; GROUP]) -> [&[u8; BYTES]; 8] {
    [0, 1, 4, 5, 2, 3, 6, 7].map(|slot| &tables[slot])
}

/// Two rows' tables in every quarter.
#[inline(always)]
fn of_rows<const BYTES: usize>([a, b]: [&[u8; BYTES]; 2]) -> [&[u8; BYTES]; 8] {
    [a, b, a, b, a, b, a, b]
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_wide_keys(codes: &[u8], octets: usize, tables: &[[u8; 16]], out: &mut [i16]) {
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        let (low, high) = (eight(of_slots(tables), 0), eight(of_slots(tables), 8));
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<32>().0.as_chunks_mut::<2>().0) {
            let codes = load_u8(codes);
            let (low, high) = (_mm512_shuffle_epi8(low, codes), _mm512_shuffle_epi8(high, codes));
            let [first, second] = by_halves(_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high));
            store_i16(&mut out[0], first);
            store_i16(&mut out[1], second);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        let table = eight(of_slots(tables), 0);
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
            store_i8(out, _mm512_shuffle_epi8(table, load_u8(codes)));
        }
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn dot_wide<const QUERIES: usize>(weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
    let d = q[0].len();
    let slots = weights.len() / d;
    for (group, whole) in pieces(slots / GROUP, GROUPS) {
        let (weights, out) = (&weights[group * GROUP * d..], &mut out[group * GROUP..]);
        if whole {
            dot_wide_of::<QUERIES, GROUPS>(weights, q, out, slots);
        } else {
            dot_wide_of::<QUERIES, 1>(weights, q, out, slots);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn dot_wide_of<const QUERIES: usize, const AT_ONCE: usize>(
    weights: &[i16],
    q: [&[i16]; QUERIES],
    out: &mut [i32],
    slots: usize,
) {
    let octets = q[0].len() / 8;
    let groups: [_; AT_ONCE] = groups_of(weights, octets);
    let q = q.map(|q| &q.as_chunks::<4>().0.as_chunks::<2>().0[..octets]);
    let mut sums = [[[_mm512_setzero_si512(); 2]; AT_ONCE]; QUERIES];
    for octet in 0..octets {
        let mut both = [_mm512_setzero_si512(); QUERIES];
        for query in 0..QUERIES {
            // Four dimensions in the lower half, the next four in the upper.
            let [low, high] = q[query][octet].map(four);
            both[query] = _mm512_mask_set1_epi64(_mm512_set1_epi64(low), 0xf0, high);
        }
        for group in 0..AT_ONCE {
            let weights = groups[group][octet].as_chunks::<32>().0;
            for vector in 0..2 {
                let weights = load_i16(&weights[vector]);
                for query in 0..QUERIES {
                    let sum = &mut sums[query][group][vector];
                    *sum = _mm512_dpwssd_epi32(*sum, weights, both[query]);
                }
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        for (sums, out) in sums.iter().zip(out[query * slots..].as_chunks_mut::<GROUP>().0) {
            let [[a, b], [c, d]] = [halves(sums[0]), halves(sums[1])];
            store_eight(out, _mm256_hadd_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)));
        }
    }
}

/// The bits of four numbers.
#[inline(always)]
fn four(of: [i16; 4]) -> i64 {
    of.iter().rev().fold(0, |bits, number| bits << 16 | i64::from(*number as u16))
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn dot_narrow<const QUERIES: usize>(weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
    let d = q[0].len();
    let slots = weights.len() / d;
    for (group, whole) in pieces(slots / GROUP, GROUPS) {
        let (weights, out) = (&weights[group * GROUP * d..], &mut out[group * GROUP..]);
        if whole {
            dot_narrow_of::<QUERIES, GROUPS>(weights, q, out, slots);
        } else {
            dot_narrow_of::<QUERIES, 1>(weights, q, out, slots);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn dot_narrow_of<const QUERIES: usize, const AT_ONCE: usize>(
    weights: &[i8],
    q: [&[u8]; QUERIES],
    out: &mut [i32],
    slots: usize,
) {
    let octets = q[0].len() / 8;
    let groups: [_; AT_ONCE] = groups_of(weights, octets);
    let q = q.map(|q| &q.as_chunks::<8>().0[..octets]);
    let mut sums = [[_mm512_setzero_si512(); AT_ONCE]; QUERIES];
    for octet in 0..octets {
        let mut both = [_mm512_setzero_si512(); QUERIES];
        for query in 0..QUERIES {
            let eight = _mm512_set1_epi64(i64::from_le_bytes(q[query][octet]));
            // Dimensions 0 to 3 twice, 4 to 7 twice: for both slots of each quarter.
            both[query] = _mm512_unpacklo_epi32(eight, eight);
        }
        for group in 0..AT_ONCE {
            let weights = load_i8(&groups[group][octet]);
            for query in 0..QUERIES {
                let sum = &mut sums[query][group];
                *sum = _mm512_dpbusd_epi32(*sum, both[query], weights);
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        for (sum, out) in sums.iter().zip(out[query * slots..].as_chunks_mut::<GROUP>().0) {
            let [a, b] = halves(*sum);
            store_eight(out, _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)));
        }
    }
}

/// Columns in multiples of 32.
#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_wide(codes: &[u8], columns: usize, tables: &[[u8; 16]], out: &mut [i16]) {
    let pairs = codes.chunks_exact(2 * columns).zip(out.chunks_exact_mut(2 * columns));
    for ((codes, out), [first, second]) in pairs.zip(tables.as_chunks::<2>().0) {
        let (low, high) = (eight(of_rows([first, second]), 0), eight(of_rows([first, second]), 8));
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<32>().0.as_chunks_mut::<2>().0) {
            let codes = load_u8(codes);
            let (low, high) = (_mm512_shuffle_epi8(low, codes), _mm512_shuffle_epi8(high, codes));
            let [first, second] = by_halves(_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high));
            store_i16(&mut out[0], first);
            store_i16(&mut out[1], second);
        }
    }
}

/// Columns in multiples of 32.
#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_narrow(codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let quads = codes.chunks_exact(4 * columns).zip(out.chunks_exact_mut(4 * columns));
    for ((codes, out), [a, b, c, d]) in quads.zip(tables.as_chunks::<4>().0) {
        let (first, second) = (eight(of_rows([a, b]), 0), eight(of_rows([c, d]), 0));
        let (upper, lower) = codes.split_at(2 * columns);
        let codes = upper.as_chunks::<64>().0.iter().zip(lower.as_chunks::<64>().0);
        for ((upper, lower), out) in codes.zip(out.as_chunks_mut::<64>().0.as_chunks_mut::<2>().0) {
            let upper = _mm512_shuffle_epi8(first, load_u8(upper));
            let lower = _mm512_shuffle_epi8(second, load_u8(lower));
            let [left, right] = by_halves(_mm512_unpacklo_epi16(upper, lower), _mm512_unpackhi_epi16(upper, lower));
            store_i8(&mut out[0], left);
            store_i8(&mut out[1], right);
        }
    }
}

/// Columns in multiples of 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn sums_wide(weights: &[i16], columns: usize, f: &[i16], out: &mut [i32]) {
    for (vector, whole) in pieces(columns / WIDE, 4) {
        if whole {
            sums_wide_of::<4>(weights, columns, f, out, vector * WIDE);
        } else {
            sums_wide_of::<1>(weights, columns, f, out, vector * WIDE);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums_wide_of<const VECTORS: usize>(weights: &[i16], columns: usize, f: &[i16], out: &mut [i32], column: usize) {
    let mut sums = [_mm512_setzero_si512(); VECTORS];
    for (weights, f) in weights.chunks_exact(2 * columns).zip(f.as_chunks::<2>().0) {
        let weights = &weights[2 * column..2 * (column + VECTORS * WIDE)].as_chunks::<32>().0[..VECTORS];
        let f = _mm512_set1_epi32(i32::from(f[0]) & 0xffff | i32::from(f[1]) << 16);
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = _mm512_dpwssd_epi32(*sum, load_i16(weights), f);
        }
    }
    for (sum, out) in sums.iter().zip(out[column..column + VECTORS * WIDE].as_chunks_mut::<WIDE>().0) {
        store_i32(out, *sum);
    }
}

/// Columns in multiples of 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn sums_narrow(weights: &[i8], columns: usize, f: &[u8], out: &mut [i32]) {
    for (vector, whole) in pieces(columns / WIDE, 4) {
        if whole {
            sums_narrow_of::<4>(weights, columns, f, out, vector * WIDE);
        } else {
            sums_narrow_of::<1>(weights, columns, f, out, vector * WIDE);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums_narrow_of<const VECTORS: usize>(weights: &[i8], columns: usize, f: &[u8], out: &mut [i32], column: usize) {
    let mut sums = [_mm512_setzero_si512(); VECTORS];
    for (weights, f) in weights.chunks_exact(4 * columns).zip(f.as_chunks::<4>().0) {
        let weights = &weights[4 * column..4 * (column + VECTORS * WIDE)].as_chunks::<64>().0[..VECTORS];
        let f = _mm512_set1_epi32(i32::from_le_bytes(*f));
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = _mm512_dpbusd_epi32(*sum, f, load_i8(weights));
        }
    }
    for (sum, out) in sums.iter().zip(out[column..column + VECTORS * WIDE].as_chunks_mut::<WIDE>().0) {
        store_i32(out, *sum);
    }
}
