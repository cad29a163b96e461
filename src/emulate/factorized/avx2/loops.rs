//! Sums of products of small integers.

use std::arch::x86_64::*;

use crate::emulate::factorized::simd::{GROUP, Looked, Tables};

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
fn store_weights<T, const N: usize>(to: &mut [T; N], value: __m256i) {
    const { assert!(size_of::<[T; N]>() == 32) }
    // SAFETY: 32 writable bytes; no alignment is needed.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}

/// The tables of one row and of the next, in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn twice(tables: &[[u8; 8]; 2]) -> __m256i {
    let [a, b] = tables.map(i64::from_le_bytes);
    _mm256_set_epi64x(b, a, b, a)
}

/// Sixteen bytes, twice.
#[inline]
#[target_feature(enable = "avx2")]
fn repeat_sixteen(from: &[u8; 16]) -> __m256i {
    // SAFETY: 16 readable bytes; no alignment is needed.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(from.as_ptr().cast()) })
}

/// Four numbers, four times.
#[inline]
#[target_feature(enable = "avx2")]
fn repeat(from: &[i16; 4]) -> __m256i {
    // SAFETY: 8 readable bytes; no alignment is needed.
    _mm256_set1_epi64x(unsafe { from.as_ptr().cast::<i64>().read_unaligned() })
}

/// The tables of four slots: two slots' in the lower half, the others' in the upper.
#[inline]
#[target_feature(enable = "avx2")]
fn four(tables: &[[u8; 8]; GROUP], slots: [usize; 4]) -> __m256i {
    let [a, b, c, d] = slots.map(|slot| i64::from_le_bytes(tables[slot]));
    _mm256_set_epi64x(d, c, b, a)
}

/// The slots of eight whose tables a vector's halves are looked up in.
const VECTOR_SLOTS: [[usize; 4]; 2] = [[0, 1, 4, 5], [2, 3, 6, 7]];

#[target_feature(enable = "avx2")]
pub fn expand_keys(codes: &[u8], octets: usize, tables: &Tables, Looked { wide, coarse, narrow }: Looked) {
    expand_narrow_keys(codes, octets, tables.narrow, narrow);
    let groups = codes.chunks_exact(octets * 64).zip(wide.chunks_exact_mut(octets * 64));
    let groups = groups.zip(coarse.chunks_exact_mut(octets * 64));
    let tables = tables.lows.as_chunks::<GROUP>().0.iter().zip(tables.highs.as_chunks::<GROUP>().0);
    for (((codes, wide), coarse), (lows, highs)) in groups.zip(tables) {
        for (vector, slots) in VECTOR_SLOTS.into_iter().enumerate() {
            let (low, high) = (four(lows, slots), four(highs, slots));
            let pieces = codes.as_chunks::<64>().0.iter().zip(wide.as_chunks_mut::<64>().0);
            for ((codes, wide), coarse) in pieces.zip(coarse.as_chunks_mut::<64>().0) {
                let codes = load(&codes.as_chunks::<32>().0[vector]);
                let (low, high) = (_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes));
                let wide = wide.as_chunks_mut::<16>().0;
                store_weights(&mut wide[vector], _mm256_unpacklo_epi8(low, high));
                store_weights(&mut wide[2 + vector], _mm256_unpackhi_epi8(low, high));
                store_weights(&mut coarse.as_chunks_mut::<32>().0[vector], high);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        let tables = [four(tables, VECTOR_SLOTS[0]), four(tables, VECTOR_SLOTS[1])];
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
            let vectors = codes.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<32>().0).zip(tables);
            for ((codes, out), table) in vectors {
                store_weights(out, _mm256_shuffle_epi8(table, load(codes)));
            }
        }
    }
}

/// How `count` things are done `most` at a time, and what is left one at a time: where each piece starts, and whether it is whole.
#[inline(always)]
fn pieces(count: usize, most: usize) -> impl Iterator<Item = (usize, bool)> {
    let whole = count / most * most;
    (0..whole).step_by(most).map(|start| (start, true)).chain((whole..count).map(|start| (start, false)))
}

/// The weights of so many groups of eight slots, eight dimensions of all slots in a piece.
#[inline(always)]
fn groups_of<T, const AT_ONCE: usize>(weights: &[T], octets: usize) -> [&[[T; 64]]; AT_ONCE] {
    let weights = weights.as_chunks::<64>().0;
    std::array::from_fn(|group| &weights[group * octets..(group + 1) * octets])
}

#[target_feature(enable = "avx2")]
pub fn dot_wide<const QUERIES: usize>(weights: &[i16], q: &[&[i16]; QUERIES], out: &mut [i32]) {
    let slots = weights.len() / (q[0].len());
    let (twos, ones) = q.as_chunks::<2>();
    for (q, out) in twos.iter().zip(out.chunks_mut(2 * slots)) {
        dot_wide_by(weights, *q, out);
    }
    for q in ones.as_chunks::<1>().0 {
        dot_wide_by(weights, *q, out);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot_wide_by<const QUERIES: usize>(weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
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
pub fn dot_narrow<const QUERIES: usize>(weights: &[i8], q: &[&[u8]; QUERIES], out: &mut [i32]) {
    let slots = weights.len() / (q[0].len() / 2);
    let (twos, ones) = q.as_chunks::<2>();
    for (q, out) in twos.iter().zip(out.chunks_mut(2 * slots)) {
        dot_narrow_by(weights, *q, out);
    }
    for q in ones.as_chunks::<1>().0 {
        dot_narrow_by(weights, *q, out);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot_narrow_by<const QUERIES: usize>(weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
    let d = q[0].len() / 2;
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
    let octets = q[0].len() / 16;
    let groups: [_; AT_ONCE] = groups_of(weights, octets);
    let q = q.map(|q| &q.as_chunks::<16>().0[..octets]);
    let mut sums = [[[_mm256_setzero_si256(); 2]; AT_ONCE]; QUERIES];
    for octet in 0..octets {
        let mut both = [_mm256_setzero_si256(); QUERIES];
        for query in 0..QUERIES {
            // Dimensions 0 to 3 twice, 4 to 7 twice: for both slots of each half.
            both[query] = repeat_sixteen(&q[query][octet]);
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
pub fn expand_values(codes: &[u8], columns: usize, tables: &Tables, Looked { wide, coarse, narrow }: Looked) {
    expand_narrow(codes, columns, tables.narrow, narrow);
    let quads = codes.chunks_exact(4 * columns).zip(wide.chunks_exact_mut(4 * columns));
    let quads = quads.zip(coarse.chunks_exact_mut(4 * columns));
    let tables = tables.lows.as_chunks::<4>().0.iter().zip(tables.highs.as_chunks::<4>().0);
    for (((codes, wide), coarse), (lows, highs)) in quads.zip(tables) {
        let (lows, highs) = (lows.as_chunks::<2>().0, highs.as_chunks::<2>().0);
        let tables = [(twice(&lows[0]), twice(&highs[0])), (twice(&lows[1]), twice(&highs[1]))];
        let codes = codes.as_chunks::<64>().0;
        let vectors = 2 * columns / 64;
        for (place, coarse) in coarse.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let coarse = coarse.as_chunks_mut::<32>().0;
            for half in 0..2 {
                let mut both = [_mm256_setzero_si256(); 2];
                for (pair, (low, high)) in tables.into_iter().enumerate() {
                    let at = pair * vectors + place;
                    let codes = load(&codes[at].as_chunks::<32>().0[half]);
                    let (low, high) = (_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes));
                    let wide = wide[64 * at..64 * (at + 1)].as_chunks_mut::<16>().0;
                    store_weights(&mut wide[half], _mm256_unpacklo_epi8(low, high));
                    store_weights(&mut wide[2 + half], _mm256_unpackhi_epi8(low, high));
                    both[pair] = high;
                }
                store_weights(&mut coarse[half], _mm256_unpacklo_epi16(both[0], both[1]));
                store_weights(&mut coarse[2 + half], _mm256_unpackhi_epi16(both[0], both[1]));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn expand_narrow(codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let quads = codes.chunks_exact(4 * columns).zip(out.chunks_exact_mut(4 * columns));
    for ((codes, out), tables) in quads.zip(tables.as_chunks::<4>().0) {
        let [first, second] = [[tables[0], tables[1]], [tables[2], tables[3]]];
        let (first, second) = (twice(&first), twice(&second));
        let (upper, lower) = codes.split_at(2 * columns);
        let codes = upper.as_chunks::<64>().0.iter().zip(lower.as_chunks::<64>().0);
        for ((upper, lower), out) in codes.zip(out.as_chunks_mut::<128>().0) {
            let out = out.as_chunks_mut::<32>().0;
            let codes = upper.as_chunks::<32>().0.iter().zip(lower.as_chunks::<32>().0);
            for (vector, (upper, lower)) in codes.enumerate() {
                let upper = _mm256_shuffle_epi8(first, load(upper));
                let lower = _mm256_shuffle_epi8(second, load(lower));
                store_weights(&mut out[vector], _mm256_unpacklo_epi16(upper, lower));
                store_weights(&mut out[2 + vector], _mm256_unpackhi_epi16(upper, lower));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn sums_wide<const QUERIES: usize>(
    weights: &[i16],
    columns: usize,
    f: [&[i16]; QUERIES],
    out: &mut [i32],
    stride: usize,
) {
    for (query, f) in f.into_iter().enumerate() {
        let out = &mut out[query * stride..];
        for (vector, whole) in pieces(columns / GROUP, 8) {
            if whole {
                sums_wide_of::<8>(weights, columns, f, out, vector * GROUP);
            } else {
                sums_wide_of::<1>(weights, columns, f, out, vector * GROUP);
            }
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
pub fn sums_narrow<const QUERIES: usize>(
    weights: &[i8],
    columns: usize,
    f: [&[u8]; QUERIES],
    out: &mut [i32],
    stride: usize,
) {
    for (query, f) in f.into_iter().enumerate() {
        let out = &mut out[query * stride..];
        for (vector, whole) in pieces(columns / GROUP, 8) {
            if whole {
                sums_narrow_of::<8>(weights, columns, f, out, vector * GROUP);
            } else {
                sums_narrow_of::<1>(weights, columns, f, out, vector * GROUP);
            }
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
