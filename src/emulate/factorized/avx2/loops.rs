//! Sums of products of small integers.

use std::arch::x86_64::*;

use crate::emulate::factorized::simd::{GROUP, groups_of, pieces};

#[inline]
#[target_feature(enable = "avx2")]
fn load(from: &[u8; 32]) -> __m256i {
    // SAFETY: 32 readable bytes; no alignment is needed.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_i16(from: &[i16; 16]) -> __m256i {
    // SAFETY: as in `load`.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_i8(from: &[i8; 32]) -> __m256i {
    // SAFETY: as in `load`.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(to: &mut [i32; 8], value: __m256i) {
    // SAFETY: 32 writable bytes; no alignment is needed.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_i16(to: &mut [i16; 16], value: __m256i) {
    // SAFETY: as in `store`.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_i8(to: &mut [i8; 32], value: __m256i) {
    // SAFETY: as in `store`.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}

/// Eight bytes of one row and of the next, in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn twice<const BYTES: usize>(tables: &[[u8; BYTES]; 2], from: usize) -> __m256i {
    let mut words = [0; 2];
    for (word, table) in words.iter_mut().zip(tables) {
        if let Some(bytes) = table[from..].first_chunk() {
            *word = i64::from_le_bytes(*bytes);
        }
    }
    _mm256_set_epi64x(words[1], words[0], words[1], words[0])
}

/// Four numbers, four times.
#[inline]
#[target_feature(enable = "avx2")]
fn repeat(from: &[i16; 4]) -> __m256i {
    // SAFETY: 8 readable bytes; no alignment is needed.
    _mm256_set1_epi64x(unsafe { from.as_ptr().cast::<i64>().read_unaligned() })
}

/// Eight bytes of four slots: two slots' in the lower half, the others' in the upper.
#[inline]
#[target_feature(enable = "avx2")]
fn four<const BYTES: usize>(tables: &[[u8; BYTES]; GROUP], slots: [usize; 4], from: usize) -> __m256i {
    let mut words = [0; 4];
    for (word, slot) in words.iter_mut().zip(slots) {
        if let Some(bytes) = tables[slot][from..].first_chunk() {
            *word = i64::from_le_bytes(*bytes);
        }
    }
    _mm256_set_epi64x(words[3], words[2], words[1], words[0])
}

/// The slots of eight whose tables a vector's halves are looked up in.
const VECTOR_SLOTS: [[usize; 4]; 2] = [[0, 1, 4, 5], [2, 3, 6, 7]];

#[target_feature(enable = "avx2")]
pub fn expand_wide_keys(codes: &[u8], octets: usize, tables: &[[u8; 16]], out: &mut [i16]) {
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        for (vector, slots) in VECTOR_SLOTS.into_iter().enumerate() {
            let (low, high) = (four(tables, slots, 0), four(tables, slots, 8));
            for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
                let codes = load(&codes.as_chunks::<32>().0[vector]);
                let (low, high) = (_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes));
                let out = out.as_chunks_mut::<16>().0;
                store_i16(&mut out[vector], _mm256_unpacklo_epi8(low, high));
                store_i16(&mut out[2 + vector], _mm256_unpackhi_epi8(low, high));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        let tables = [four(tables, VECTOR_SLOTS[0], 0), four(tables, VECTOR_SLOTS[1], 0)];
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
            let vectors = codes.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<32>().0).zip(tables);
            for ((codes, out), table) in vectors {
                store_i8(out, _mm256_shuffle_epi8(table, load(codes)));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn dot_wide<const QUERIES: usize>(weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
    let d = q[0].len();
    let slots = weights.len() / d;
    // What sums take of the sixteen registers: 2 a query and group.
    for (group, whole) in pieces(slots / GROUP, if QUERIES == 1 { 4 } else { 2 }) {
        let (weights, out) = (&weights[group * GROUP * d..], &mut out[group * GROUP..]);
        match (whole, QUERIES) {
            (false, _) => dot_wide_of::<QUERIES, 1>(weights, q, out, slots),
            (true, 1) => dot_wide_of::<QUERIES, 4>(weights, q, out, slots),
            (true, _) => dot_wide_of::<QUERIES, 2>(weights, q, out, slots),
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot_wide_of<const QUERIES: usize, const AT_ONCE: usize>(
    weights: &[i16],
    q: [&[i16]; QUERIES],
    out: &mut [i32],
    slots: usize,
) {
    let octets = q[0].len() / 8;
    let groups: [_; AT_ONCE] = groups_of(weights, octets);
    let q = q.map(|q| &q.as_chunks::<8>().0[..octets]);
    let mut sums = [[[_mm256_setzero_si256(); 2]; AT_ONCE]; QUERIES];
    for octet in 0..octets {
        let mut both = [[_mm256_setzero_si256(); 2]; QUERIES];
        for query in 0..QUERIES {
            let (low, high) = q[query][octet].split_at(4);
            if let (Some(low), Some(high)) = (low.first_chunk(), high.first_chunk()) {
                both[query] = [repeat(low), repeat(high)];
            }
        }
        for group in 0..AT_ONCE {
            let weights = groups[group][octet].as_chunks::<16>().0;
            for vector in 0..2 {
                let (low, high) = (load_i16(&weights[vector]), load_i16(&weights[2 + vector]));
                for query in 0..QUERIES {
                    let sum = &mut sums[query][group][vector];
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(low, both[query][0]));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(high, both[query][1]));
                }
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        for (sums, out) in sums.iter().zip(out[query * slots..].as_chunks_mut::<GROUP>().0) {
            store(out, _mm256_hadd_epi32(sums[0], sums[1]));
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn dot_narrow<const QUERIES: usize>(weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
    let d = q[0].len();
    let slots = weights.len() / d;
    for (group, whole) in pieces(slots / GROUP, 2) {
        let (weights, out) = (&weights[group * GROUP * d..], &mut out[group * GROUP..]);
        if whole {
            dot_narrow_of::<QUERIES, 2>(weights, q, out, slots);
        } else {
            dot_narrow_of::<QUERIES, 1>(weights, q, out, slots);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot_narrow_of<const QUERIES: usize, const AT_ONCE: usize>(
    weights: &[i8],
    q: [&[u8]; QUERIES],
    out: &mut [i32],
    slots: usize,
) {
    let octets = q[0].len() / 8;
    let groups: [_; AT_ONCE] = groups_of(weights, octets);
    let q = q.map(|q| &q.as_chunks::<8>().0[..octets]);
    let mut sums = [[[_mm256_setzero_si256(); 2]; AT_ONCE]; QUERIES];
    for octet in 0..octets {
        let mut both = [_mm256_setzero_si256(); QUERIES];
        for query in 0..QUERIES {
            let eight = _mm256_set1_epi64x(i64::from_le_bytes(q[query][octet]));
            // Dimensions 0 to 3 twice, 4 to 7 twice: for both slots of each half.
            both[query] = _mm256_unpacklo_epi32(eight, eight);
        }
        for group in 0..AT_ONCE {
            let weights = groups[group][octet].as_chunks::<32>().0;
            for vector in 0..2 {
                let weights = load_i8(&weights[vector]);
                for query in 0..QUERIES {
                    let sum = &mut sums[query][group][vector];
                    *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(both[query], weights));
                }
            }
        }
    }
    let ones = _mm256_set1_epi16(1);
    for (query, sums) in sums.iter().enumerate() {
        for (sums, out) in sums.iter().zip(out[query * slots..].as_chunks_mut::<GROUP>().0) {
            let (a, b) = (_mm256_madd_epi16(sums[0], ones), _mm256_madd_epi16(sums[1], ones));
            store(out, _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)));
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn expand_wide(codes: &[u8], columns: usize, tables: &[[u8; 16]], out: &mut [i16]) {
    let pairs = codes.chunks_exact(2 * columns).zip(out.chunks_exact_mut(2 * columns));
    for ((codes, out), tables) in pairs.zip(tables.as_chunks::<2>().0) {
        let (low, high) = (twice(tables, 0), twice(tables, 8));
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
            let out = out.as_chunks_mut::<16>().0;
            for (vector, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
                let codes = load(codes);
                let (low, high) = (_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes));
                store_i16(&mut out[vector], _mm256_unpacklo_epi8(low, high));
                store_i16(&mut out[2 + vector], _mm256_unpackhi_epi8(low, high));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn expand_narrow(codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let quads = codes.chunks_exact(4 * columns).zip(out.chunks_exact_mut(4 * columns));
    for ((codes, out), tables) in quads.zip(tables.as_chunks::<4>().0) {
        let [first, second] = [[tables[0], tables[1]], [tables[2], tables[3]]];
        let (first, second) = (twice(&first, 0), twice(&second, 0));
        let (upper, lower) = codes.split_at(2 * columns);
        let codes = upper.as_chunks::<64>().0.iter().zip(lower.as_chunks::<64>().0);
        for ((upper, lower), out) in codes.zip(out.as_chunks_mut::<128>().0) {
            let out = out.as_chunks_mut::<32>().0;
            let codes = upper.as_chunks::<32>().0.iter().zip(lower.as_chunks::<32>().0);
            for (vector, (upper, lower)) in codes.enumerate() {
                let upper = _mm256_shuffle_epi8(first, load(upper));
                let lower = _mm256_shuffle_epi8(second, load(lower));
                store_i8(&mut out[vector], _mm256_unpacklo_epi16(upper, lower));
                store_i8(&mut out[2 + vector], _mm256_unpackhi_epi16(upper, lower));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn sums_wide(weights: &[i16], columns: usize, f: &[i16], out: &mut [i32]) {
    for (vector, whole) in pieces(columns / GROUP, 8) {
        if whole {
            sums_wide_of::<8>(weights, columns, f, out, vector * GROUP);
        } else {
            sums_wide_of::<1>(weights, columns, f, out, vector * GROUP);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sums_wide_of<const VECTORS: usize>(weights: &[i16], columns: usize, f: &[i16], out: &mut [i32], column: usize) {
    let mut sums = [_mm256_setzero_si256(); VECTORS];
    for (weights, f) in weights.chunks_exact(2 * columns).zip(f.as_chunks::<2>().0) {
        let weights = &weights[2 * column..2 * (column + VECTORS * GROUP)].as_chunks::<16>().0[..VECTORS];
        let f = _mm256_set1_epi32(i32::from(f[0]) & 0xffff | i32::from(f[1]) << 16);
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(load_i16(weights), f));
        }
    }
    for (sum, out) in sums.iter().zip(out[column..column + VECTORS * GROUP].as_chunks_mut::<8>().0) {
        store(out, *sum);
    }
}

#[target_feature(enable = "avx2")]
pub fn sums_narrow(weights: &[i8], columns: usize, f: &[u8], out: &mut [i32]) {
    for (vector, whole) in pieces(columns / GROUP, 8) {
        if whole {
            sums_narrow_of::<8>(weights, columns, f, out, vector * GROUP);
        } else {
            sums_narrow_of::<1>(weights, columns, f, out, vector * GROUP);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sums_narrow_of<const VECTORS: usize>(weights: &[i8], columns: usize, f: &[u8], out: &mut [i32], column: usize) {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); VECTORS];
    for (weights, f) in weights.chunks_exact(4 * columns).zip(f.as_chunks::<4>().0) {
        let weights = &weights[4 * column..4 * (column + VECTORS * GROUP)].as_chunks::<32>().0[..VECTORS];
        let f = _mm256_set1_epi32(i32::from_le_bytes(*f));
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(f, load_i8(weights)));
        }
    }
    for (sum, out) in sums.iter().zip(out[column..column + VECTORS * GROUP].as_chunks_mut::<8>().0) {
        store(out, _mm256_madd_epi16(*sum, ones));
    }
}
