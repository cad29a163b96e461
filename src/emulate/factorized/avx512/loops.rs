//! Sums of products of small integers, sixteen at a time.

use std::arch::x86_64::*;

use crate::emulate::factorized::simd::{GROUP, Looked, Tables};

/// Sums side by side.
const WIDE: usize = 2 * GROUP;

#[inline]
#[target_feature(enable = "avx512f")]
fn load_u8(from: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; no alignment is needed.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

/// # Safety
///
/// 64 readable bytes; no alignment is needed.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn load<T>(from: *const T) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<T, const N: usize>(to: &mut [T; N], value: __m512i) {
    const { assert!(size_of::<[T; N]>() == 64) }
    // SAFETY: 64 writable bytes; no alignment is needed.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}

/// The tables of slots 0, 1, 4, 5, 2, 3, 6, 7.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_table(from: &[[u8; 8]; 8]) -> __m512i {
    // SAFETY: 64 readable bytes; no alignment is needed.
    let tables = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
    _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 4, 5, 2, 3, 6, 7), tables)
}

/// The tables of two rows in every quarter, and of the next two.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn repeat_tables(from: &[[u8; 8]; 4]) -> [__m512i; 2] {
    // SAFETY: 32 readable bytes; no alignment is needed.
    let (first, second) =
        unsafe { (_mm_loadu_si128(from.as_ptr().cast()), _mm_loadu_si128(from[2..].as_ptr().cast())) };
    [_mm512_broadcast_i32x4(first), _mm512_broadcast_i32x4(second)]
}

/// Where the two sums of each of 16 slots in order stand in two groups' vectors, whose quarters are slots 0 and 1, 4 and 5, 2 and 3, 6 and
/// 7: in each quarter two pairs of dimensions of a slot, then of the next, or four dimensions of both slots, then the next four.
pub(super) const WIDE_PLACES: [[i32; 16]; 2] = [in_order(0, 2), in_order(1, 2)];
pub(super) const NARROW_PLACES: [[i32; 16]; 2] = [in_order(0, 1), in_order(2, 1)];

/// Places of 16 slots; `first` and `step` are places in a quarter.
const fn in_order(first: i32, step: i32) -> [i32; 16] {
    let quarters = [0, 8, 4, 12, 16, 24, 20, 28];
    let (mut places, mut slot) = ([0; 16], 0);
    while slot < 16 {
        places[slot] = quarters[slot / 2] + first + (slot as i32 % 2) * step;
        slot += 1;
    }
    places
}

/// Adds what two groups' vectors hold of each slot in two places; the sums of 16 slots in order.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn slots_of(groups: [__m512i; 2], places: [[i32; 16]; 2]) -> __m512i {
    // SAFETY: 64 readable bytes each; no alignment is needed.
    let (first, second) = unsafe { (load(places[0].as_ptr()), load(places[1].as_ptr())) };
    let (a, b) = (
        _mm512_permutex2var_epi32(groups[0], first, groups[1]),
        _mm512_permutex2var_epi32(groups[0], second, groups[1]),
    );
    _mm512_add_epi32(a, b)
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_keys(codes: &[u8], octets: usize, tables: &Tables, Looked { wide, coarse, narrow }: Looked) {
    let tables = tables
        .lows
        .as_chunks::<GROUP>()
        .0
        .iter()
        .zip(tables.highs.as_chunks::<GROUP>().0)
        .zip(tables.narrow.as_chunks::<GROUP>().0);
    let mut pieces = (codes.as_chunks::<64>().0.iter())
        .zip(wide.as_chunks_mut::<32>().0.as_chunks_mut::<2>().0)
        .zip(coarse.as_chunks_mut::<64>().0.iter_mut().zip(narrow.as_chunks_mut::<64>().0));
    for ((lows, highs), narrow_tables) in tables {
        let (low, high, table) = (load_table(lows), load_table(highs), load_table(narrow_tables));
        for ((codes, wide), (coarse, narrow)) in pieces.by_ref().take(octets) {
            let codes = load_u8(codes);
            let (low, high) = (_mm512_shuffle_epi8(low, codes), _mm512_shuffle_epi8(high, codes));
            store(&mut wide[0], _mm512_unpacklo_epi8(low, high));
            store(&mut wide[1], _mm512_unpackhi_epi8(low, high));
            store(coarse, high);
            store(narrow, _mm512_shuffle_epi8(table, codes));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
    for ((codes, out), tables) in groups.zip(tables.as_chunks::<GROUP>().0) {
        let table = load_table(tables);
        for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
            store(out, _mm512_shuffle_epi8(table, load_u8(codes)));
        }
    }
}

/// Sums of products of queries with so many groups of slots, as their vectors stand.
///
/// # Safety
///
/// `weights` has `GROUPS * octets * 64` readable numbers, each query `8 * octets`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dot_wide_of<const QUERIES: usize, const GROUPS: usize>(
    weights: *const i16,
    octets: usize,
    q: [*const i16; QUERIES],
) -> [[__m512i; GROUPS]; QUERIES] {
    let mut sums = [[_mm512_setzero_si512(); GROUPS]; QUERIES];
    for half in 0..2 * octets {
        let mut of = [_mm512_setzero_si512(); GROUPS];
        for (group, of) in of.iter_mut().enumerate() {
            // SAFETY: within the weights, see above.
            *of = unsafe { load(weights.add(group * octets * 64 + half * 32)) };
        }
        for query in 0..QUERIES {
            // SAFETY: within the query, see above.
            let four = _mm512_set1_epi64(unsafe { q[query].add(4 * half).cast::<i64>().read_unaligned() });
            for group in 0..GROUPS {
                sums[query][group] = _mm512_dpwssd_epi32(sums[query][group], of[group], four);
            }
        }
    }
    sums
}

/// As [`dot_wide_of`], of narrow weights.
///
/// # Safety
///
/// `weights` has `GROUPS * octets * 64` readable numbers, each query `16 * octets`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dot_narrow_of<const QUERIES: usize, const GROUPS: usize>(
    weights: *const i8,
    octets: usize,
    q: [*const u8; QUERIES],
) -> [[__m512i; GROUPS]; QUERIES] {
    let mut sums = [[_mm512_setzero_si512(); GROUPS]; QUERIES];
    for octet in 0..octets {
        let mut of = [_mm512_setzero_si512(); GROUPS];
        for (group, of) in of.iter_mut().enumerate() {
            // SAFETY: within the weights, see above.
            *of = unsafe { load(weights.add((group * octets + octet) * 64)) };
        }
        for query in 0..QUERIES {
            // SAFETY: within the query, see above.
            let both = _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(q[query].add(16 * octet).cast()) });
            for group in 0..GROUPS {
                sums[query][group] = _mm512_dpbusd_epi32(sums[query][group], both, of[group]);
            }
        }
    }
    sums
}

/// Stores the sums of groups by query, so far apart: two groups at a time, or one alone. No function, for sums are to stay in
/// registers.
macro_rules! store_slots {
    ($sums:expr, $places:ident, $out:ident, $stride:expr) => {{
        let sums = $sums;
        for query in 0..QUERIES {
            let groups = sums[query].len();
            let out = $out.add(query * $stride);
            for group in (0..groups / 2 * 2).step_by(2) {
                let both = slots_of([sums[query][group], sums[query][group + 1]], $places);
                _mm512_storeu_si512(out.add(group * GROUP).cast(), both);
            }
            if groups % 2 == 1 {
                let last = slots_of([sums[query][groups - 1]; 2], $places);
                _mm256_storeu_si256(out.add((groups - 1) * GROUP).cast(), _mm512_castsi512_si256(last));
            }
        }
    }};
}

/// All slots, as many groups at once as registers hold with so many queries.
macro_rules! dot {
    ($name:ident, $of:ident, $weight:ty, $q:ty, $per_octet:literal, $places:expr) => {
        #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
        pub fn $name<const QUERIES: usize>(weights: &[$weight], q: &[&[$q]; QUERIES], out: &mut [i32]) {
            let octets = q[0].len() / $per_octet;
            let groups = weights.len() / (octets * 64);
            let equal = q.iter().all(|query| query.len() == q[0].len());
            assert!(equal && out.len() >= QUERIES * groups * GROUP);
            let pointers = q.map(|q| q.as_ptr());
            let places = $places;
            let most = if QUERIES < 4 { 8 } else { 4 };
            let mut group = 0;
            while group < groups {
                let left = groups - group;
                // SAFETY: so many groups are left, queries have equal lengths, and there is room for each one's sums.
                unsafe {
                    let weights = weights.as_ptr().add(group * octets * 64);
                    let out = out.as_mut_ptr().add(group * GROUP);
                    if most == 8 && left >= 8 {
                        store_slots!($of::<QUERIES, 8>(weights, octets, pointers), places, out, groups * GROUP);
                        group += 8;
                    } else if left >= 4 {
                        store_slots!($of::<QUERIES, 4>(weights, octets, pointers), places, out, groups * GROUP);
                        group += 4;
                    } else {
                        store_slots!($of::<QUERIES, 1>(weights, octets, pointers), places, out, groups * GROUP);
                        group += 1;
                    }
                }
            }
        }
    };
}

dot!(dot_wide, dot_wide_of, i16, i16, 8, WIDE_PLACES);
dot!(dot_narrow, dot_narrow_of, i8, u8, 16, NARROW_PLACES);

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_values(codes: &[u8], columns: usize, tables: &Tables, Looked { wide, coarse, narrow }: Looked) {
    let narrow_tables = tables.narrow.as_chunks::<4>().0;
    let tables = tables.lows.as_chunks::<4>().0.iter().zip(tables.highs.as_chunks::<4>().0).zip(narrow_tables);
    let quads = codes.chunks_exact(4 * columns).zip(wide.chunks_exact_mut(4 * columns));
    let quads = quads.zip(coarse.chunks_exact_mut(4 * columns).zip(narrow.chunks_exact_mut(4 * columns)));
    for (((codes, wide), (coarse, narrow)), ((lows, highs), narrow_tables)) in quads.zip(tables) {
        let ([upper_low, lower_low], [upper_high, lower_high]) = (repeat_tables(lows), repeat_tables(highs));
        let (upper, lower) = ([upper_low, upper_high], [lower_low, lower_high]);
        let [first, second] = repeat_tables(narrow_tables);
        let (upper_codes, lower_codes) = codes.split_at(2 * columns);
        let codes = upper_codes.as_chunks::<64>().0.iter().zip(lower_codes.as_chunks::<64>().0);
        let (upper_wide, lower_wide) = wide.split_at_mut(2 * columns);
        let (upper_wide, lower_wide) = (upper_wide.as_chunks_mut::<32>().0, lower_wide.as_chunks_mut::<32>().0);
        let wide = upper_wide.as_chunks_mut::<2>().0.iter_mut().zip(lower_wide.as_chunks_mut::<2>().0);
        let quads = coarse.as_chunks_mut::<64>().0.as_chunks_mut::<2>().0.iter_mut();
        let quads = quads.zip(narrow.as_chunks_mut::<64>().0.as_chunks_mut::<2>().0);
        for (((a, b), (upper_wide, lower_wide)), (coarse, narrow)) in codes.zip(wide).zip(quads) {
            let (a, b) = (load_u8(a), load_u8(b));
            let (low, upper_high) = (_mm512_shuffle_epi8(upper[0], a), _mm512_shuffle_epi8(upper[1], a));
            store(&mut upper_wide[0], _mm512_unpacklo_epi8(low, upper_high));
            store(&mut upper_wide[1], _mm512_unpackhi_epi8(low, upper_high));
            let (low, lower_high) = (_mm512_shuffle_epi8(lower[0], b), _mm512_shuffle_epi8(lower[1], b));
            store(&mut lower_wide[0], _mm512_unpacklo_epi8(low, lower_high));
            store(&mut lower_wide[1], _mm512_unpackhi_epi8(low, lower_high));
            store(&mut coarse[0], _mm512_unpacklo_epi16(upper_high, lower_high));
            store(&mut coarse[1], _mm512_unpackhi_epi16(upper_high, lower_high));
            let (a, b) = (_mm512_shuffle_epi8(first, a), _mm512_shuffle_epi8(second, b));
            store(&mut narrow[0], _mm512_unpacklo_epi16(a, b));
            store(&mut narrow[1], _mm512_unpackhi_epi16(a, b));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn expand_narrow(codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
    let quads = codes.chunks_exact(4 * columns).zip(out.chunks_exact_mut(4 * columns));
    for ((codes, out), tables) in quads.zip(tables.as_chunks::<4>().0) {
        let [first, second] = repeat_tables(tables);
        let (upper, lower) = codes.split_at(2 * columns);
        let codes = upper.as_chunks::<64>().0.iter().zip(lower.as_chunks::<64>().0);
        for ((upper, lower), out) in codes.zip(out.as_chunks_mut::<64>().0.as_chunks_mut::<2>().0) {
            let upper = _mm512_shuffle_epi8(first, load_u8(upper));
            let lower = _mm512_shuffle_epi8(second, load_u8(lower));
            store(&mut out[0], _mm512_unpacklo_epi16(upper, lower));
            store(&mut out[1], _mm512_unpackhi_epi16(upper, lower));
        }
    }
}

/// The sums of all chains.
#[inline]
#[target_feature(enable = "avx512f")]
fn added<const QUERIES: usize, const VECTORS: usize, const CHAINS: usize>(
    chains: [[[__m512i; VECTORS]; QUERIES]; CHAINS],
) -> [[__m512i; VECTORS]; QUERIES] {
    let mut sums = chains[0];
    for chain in &chains[1..] {
        for query in 0..QUERIES {
            for vector in 0..VECTORS {
                sums[query][vector] = _mm512_add_epi32(sums[query][vector], chain[query][vector]);
            }
        }
    }
    sums
}

/// Sums of products of some queries over the rows of so many vectors of columns; `weights` is the first row's.
///
/// # Safety
///
/// `weights` has `2 * pairs` rows of `columns` from which `16 * VECTORS` columns are readable, each query as many numbers; `pairs` is a
/// multiple of `CHAINS`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn sums_wide_of<const QUERIES: usize, const VECTORS: usize, const CHAINS: usize>(
    weights: *const i16,
    columns: usize,
    f: [*const i16; QUERIES],
    pairs: usize,
) -> [[__m512i; VECTORS]; QUERIES] {
    let mut sums = [[[_mm512_setzero_si512(); VECTORS]; QUERIES]; CHAINS];
    for step in 0..pairs / CHAINS {
        for (chain, sums) in sums.iter_mut().enumerate() {
            let pair = step * CHAINS + chain;
            let mut of = [_mm512_setzero_si512(); VECTORS];
            for (vector, of) in of.iter_mut().enumerate() {
                // SAFETY: within the rows, see above.
                *of = unsafe { load(weights.add(2 * pair * columns + 32 * vector)) };
            }
            for query in 0..QUERIES {
                // SAFETY: within the query, see above.
                let two = _mm512_set1_epi32(unsafe { f[query].add(2 * pair).cast::<i32>().read_unaligned() });
                for vector in 0..VECTORS {
                    let sum = &mut sums[query][vector];
                    *sum = _mm512_dpwssd_epi32(*sum, of[vector], two);
                }
            }
        }
    }
    added(sums)
}

/// As [`sums_wide_of`], of narrow weights, whose rows lie together by four.
///
/// # Safety
///
/// That of [`sums_wide_of`], with `4 * quads` rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn sums_narrow_of<const QUERIES: usize, const VECTORS: usize, const CHAINS: usize>(
    weights: *const i8,
    columns: usize,
    f: [*const u8; QUERIES],
    quads: usize,
) -> [[__m512i; VECTORS]; QUERIES] {
    let mut sums = [[[_mm512_setzero_si512(); VECTORS]; QUERIES]; CHAINS];
    for step in 0..quads / CHAINS {
        for (chain, sums) in sums.iter_mut().enumerate() {
            let quad = step * CHAINS + chain;
            let mut of = [_mm512_setzero_si512(); VECTORS];
            for (vector, of) in of.iter_mut().enumerate() {
                // SAFETY: within the rows, see above.
                *of = unsafe { load(weights.add(4 * quad * columns + 64 * vector)) };
            }
            for query in 0..QUERIES {
                // SAFETY: within the query, see above.
                let four = _mm512_set1_epi32(unsafe { f[query].add(4 * quad).cast::<i32>().read_unaligned() });
                for vector in 0..VECTORS {
                    let sum = &mut sums[query][vector];
                    *sum = _mm512_dpbusd_epi32(*sum, four, of[vector]);
                }
            }
        }
    }
    added(sums)
}

/// Stores vectors of columns by query, so far apart; no function, for sums are to stay in registers.
macro_rules! store_columns {
    ($sums:ident, $out:ident, $stride:ident) => {
        for query in 0..QUERIES {
            for vector in 0..$sums[query].len() {
                _mm512_storeu_si512($out.add(query * $stride + vector * WIDE).cast(), $sums[query][vector]);
            }
        }
    };
}

/// All columns, as many at once as registers hold.
macro_rules! sums {
    ($name:ident, $of:ident, $weight:ty, $f:ty, $rows:literal) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        pub fn $name<const QUERIES: usize>(
            weights: &[$weight],
            columns: usize,
            f: [&[$f]; QUERIES],
            out: &mut [i32],
            stride: usize,
        ) {
            let rows = f[0].len();
            assert!(f.iter().all(|f| f.len() == rows) && weights.len() == rows * columns);
            assert!(out.len() >= (QUERIES - 1) * stride + columns && columns.is_multiple_of(2 * WIDE));
            let pointers = f.map(|f| f.as_ptr());
            let steps = rows / $rows;
            for column in (0..columns).step_by(4 * WIDE) {
                // SAFETY: so many columns are left of as many rows, and there is room for each query's.
                unsafe {
                    let (weights, out) = (weights.as_ptr().add($rows * column), out.as_mut_ptr().add(column));
                    if columns - column < 4 * WIDE {
                        let sums = $of::<QUERIES, 2, 2>(weights, columns, pointers, steps);
                        store_columns!(sums, out, stride);
                    } else if QUERIES == 1 {
                        let sums = $of::<QUERIES, 4, 2>(weights, columns, pointers, steps);
                        store_columns!(sums, out, stride);
                    } else {
                        let sums = $of::<QUERIES, 4, 1>(weights, columns, pointers, steps);
                        store_columns!(sums, out, stride);
                    }
                }
            }
        }
    };
}

sums!(sums_wide, sums_wide_of, i16, i16, 2);
sums!(sums_narrow, sums_narrow_of, i8, u8, 4);
