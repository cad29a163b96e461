//! Sums of products of small integers, sixteen at a time.

use std::arch::x86_64::*;

use crate::emulate::factorized::simd::{GROUP, groups_of, pieces};

/// Sums side by side.
const WIDE: usize = 2 * GROUP;

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

#[inline]
#[target_feature(enable = "avx512f")]
fn load_table(from: &[[u8; 8]; 8]) -> __m512i {
    // SAFETY: as in `load_u8`.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_wide_tables(from: &[[u8; 16]; 4]) -> __m512i {
    // SAFETY: as in `load_u8`.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

/// Two rows' tables in every quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn repeat_tables(from: &[[u8; 8]; 2]) -> __m512i {
    // SAFETY: 16 readable bytes; no alignment is needed.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(from.as_ptr().cast()) })
}

/// Two rows' tables of low and high bytes in both halves.
#[inline]
#[target_feature(enable = "avx512f")]
fn repeat_wide_tables(from: &[[u8; 16]; 2]) -> __m512i {
    // SAFETY: 32 readable bytes; no alignment is needed.
    _mm512_broadcast_i64x4(unsafe { _mm256_loadu_si256(from.as_ptr().cast()) })
}

/// Four numbers, eight times.
#[inline]
#[target_feature(enable = "avx512f")]
fn repeat(from: &[i16; 4]) -> __m512i {
    // SAFETY: 8 readable bytes; no alignment is needed.
    _mm512_set1_epi64(unsafe { from.as_ptr().cast::<i64>().read_unaligned() })
}

/// Where the sums of 16 slots in order stand in two groups' vectors, whose quarters are slots 0 and 1, 4 and 5, 2 and 3, 6 and 7;
/// `first` and `step` are places in a quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn in_order(first: i32, step: i32) -> __m512i {
    let [a, b, c, d] = [0, 8, 4, 12].map(|quarter| quarter + first);
    let (e, f, g, h) = (a + 16, b + 16, c + 16, d + 16);
    _mm512_setr_epi32(
        a,
        a + step,
        b,
        b + step,
        c,
        c + step,
        d,
        d + step,
        e,
        e + step,
        f,
        f + step,
        g,
        g + step,
        h,
        h + step,
    )
}

/// Adds what two groups' vectors hold of each slot in two places; the sums of 16 slots in order.
#[inline]
#[target_feature(enable = "avx512f")]
fn slots_of(groups: [__m512i; 2], places: [__m512i; 2]) -> __m512i {
    let [a, b] = places.map(|places| _mm512_permutex2var_epi32(groups[0], places, groups[1]));
    _mm512_add_epi32(a, b)
}

/// Stores the sums of so many groups of a query: by two, or of one alone.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_slots<const GROUPS: usize>(sums: [__m512i; GROUPS], places: [__m512i; 2], out: &mut [i32]) {
    let (pairs, last) = sums.as_chunks::<2>();
    for (pair, out) in pairs.iter().zip(out.as_chunks_mut::<WIDE>().0) {
        store_i32(out, slots_of(*pair, places));
    }
    if let ([last], Some(out)) = (last, out[pairs.len() * WIDE..].first_chunk_mut()) {
        store_eight(out, _mm512_castsi512_si256(slots_of([*last; 2], places)));
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_wide_keys(codes: &[u8], octets: usize, tables: &[[u8; 16]], out: &mut [i16]) {
    // Low bytes of slots 0, 1, 4, 5, 2, 3, 6, 7, then high bytes.
    let lows = _mm512_setr_epi64(0, 2, 8, 10, 4, 6, 12, 14);
    let highs = _mm512_setr_epi64(1, 3, 9, 11, 5, 7, 13, 15);
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), [a, b]) in groups.zip(tables.as_chunks::<4>().0.as_chunks::<2>().0) {
        let (a, b) = (load_wide_tables(a), load_wide_tables(b));
        let (low, high) = (_mm512_permutex2var_epi64(a, lows, b), _mm512_permutex2var_epi64(a, highs, b));
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<32>().0.as_chunks_mut::<2>().0) {
            let codes = load_u8(codes);
            let (low, high) = (_mm512_shuffle_epi8(low, codes), _mm512_shuffle_epi8(high, codes));
            store_i16(&mut out[0], _mm512_unpacklo_epi8(low, high));
            store_i16(&mut out[1], _mm512_unpackhi_epi8(low, high));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let slots = _mm512_setr_epi64(0, 1, 4, 5, 2, 3, 6, 7);
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        let table = _mm512_permutexvar_epi64(slots, load_table(tables));
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
            store_i8(out, _mm512_shuffle_epi8(table, load_u8(codes)));
        }
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn dot_wide<const QUERIES: usize>(weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
    let d = q[0].len();
    let slots = weights.len() / d;
    for (group, whole) in pieces(slots / GROUP, 4) {
        let (weights, out) = (&weights[group * GROUP * d..], &mut out[group * GROUP..]);
        if whole {
            dot_wide_of::<QUERIES, 4>(weights, q, out, slots);
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
    let mut sums = [[[_mm512_setzero_si512(); AT_ONCE]; 2]; QUERIES];
    for octet in 0..octets {
        for half in 0..2 {
            let mut four = [_mm512_setzero_si512(); QUERIES];
            for query in 0..QUERIES {
                four[query] = repeat(&q[query][octet][half]);
            }
            for group in 0..AT_ONCE {
                let weights = load_i16(&groups[group][octet].as_chunks::<32>().0[half]);
                for query in 0..QUERIES {
                    let sum = &mut sums[query][half][group];
                    *sum = _mm512_dpwssd_epi32(*sum, weights, four[query]);
                }
            }
        }
    }
    // In each quarter two pairs of dimensions of a slot, then of the next.
    let places = [in_order(0, 2), in_order(1, 2)];
    for (query, [first, second]) in sums.into_iter().enumerate() {
        let mut sums = first;
        for group in 0..AT_ONCE {
            sums[group] = _mm512_add_epi32(first[group], second[group]);
        }
        store_slots(sums, places, &mut out[query * slots..]);
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn dot_narrow<const QUERIES: usize>(weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
    let d = q[0].len();
    let slots = weights.len() / d;
    for (group, whole) in pieces(slots / GROUP, 8) {
        let (weights, out) = (&weights[group * GROUP * d..], &mut out[group * GROUP..]);
        if whole {
            dot_narrow_of::<QUERIES, 8>(weights, q, out, slots);
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
    // In each quarter four dimensions of both slots, then the next four.
    let places = [in_order(0, 1), in_order(2, 1)];
    for (query, sums) in sums.into_iter().enumerate() {
        store_slots(sums, places, &mut out[query * slots..]);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_wide(codes: &[u8], columns: usize, tables: &[[u8; 16]], out: &mut [i16]) {
    let (lows, highs) = (_mm512_setr_epi64(0, 2, 0, 2, 0, 2, 0, 2), _mm512_setr_epi64(1, 3, 1, 3, 1, 3, 1, 3));
    let pairs = codes.chunks_exact(2 * columns).zip(out.chunks_exact_mut(2 * columns));
    for ((codes, out), tables) in pairs.zip(tables.as_chunks::<2>().0) {
        let tables = repeat_wide_tables(tables);
        let (low, high) = (_mm512_permutexvar_epi64(lows, tables), _mm512_permutexvar_epi64(highs, tables));
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<32>().0.as_chunks_mut::<2>().0) {
            let codes = load_u8(codes);
            let (low, high) = (_mm512_shuffle_epi8(low, codes), _mm512_shuffle_epi8(high, codes));
            store_i16(&mut out[0], _mm512_unpacklo_epi8(low, high));
            store_i16(&mut out[1], _mm512_unpackhi_epi8(low, high));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_narrow(codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let quads = codes.chunks_exact(4 * columns).zip(out.chunks_exact_mut(4 * columns));
    for ((codes, out), [first, second]) in quads.zip(tables.as_chunks::<2>().0.as_chunks::<2>().0) {
        let (first, second) = (repeat_tables(first), repeat_tables(second));
        let (upper, lower) = codes.split_at(2 * columns);
        let codes = upper.as_chunks::<64>().0.iter().zip(lower.as_chunks::<64>().0);
        for ((upper, lower), out) in codes.zip(out.as_chunks_mut::<64>().0.as_chunks_mut::<2>().0) {
            let upper = _mm512_shuffle_epi8(first, load_u8(upper));
            let lower = _mm512_shuffle_epi8(second, load_u8(lower));
            store_i8(&mut out[0], _mm512_unpacklo_epi16(upper, lower));
            store_i8(&mut out[1], _mm512_unpackhi_epi16(upper, lower));
        }
    }
}

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
