//! Sums of one query straight from codes: weights are looked up and multiplied without being stored.

use std::arch::x86_64::*;

use super::loops::{NARROW_PLACES, WIDE_PLACES, load, load_table, repeat_tables, slots_of};
use crate::emulate::factorized::simd::{Factors, GROUP, Tables, Totals};

/// Columns whose sums are in registers at once.
const COLUMNS: usize = 32;
/// Slots whose sums are.
const SLOTS: usize = 2 * GROUP;

/// Two vectors of sums.
type Two = [__m512i; 2];

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub fn sums_of_keys(codes: &[u8], octets: usize, tables: &Tables, q: &Factors, out: Totals) {
    if tables.edges.is_empty() {
        sums_of_keys_with::<false>(codes, octets, tables, q, out);
    } else {
        sums_of_keys_with::<true>(codes, octets, tables, q, out);
    }
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn sums_of_keys_with<const EDGES: bool>(codes: &[u8], octets: usize, tables: &Tables, q: &Factors, out: Totals) {
    let slots = tables.lows.len();
    let Totals { wide: out_wide, narrow: out_narrow, coarse: out_coarse, edges: out_edges } = out;
    assert!(slots.is_multiple_of(SLOTS) && codes.len() == slots * 8 * octets);
    assert!(q.wide.len() == 8 * octets && q.narrow.len() == 16 * octets);
    assert!(q.bows.len() == 16 * octets && q.edges.len() == 16 * octets);
    assert!(out_wide.len() == slots && out_coarse.len() == slots && out_narrow.len() == 2 * slots);
    assert!(!EDGES || out_edges.len() == slots && tables.edges.len() == slots);
    let zero = _mm512_setzero_si512();
    for first in (0..slots).step_by(SLOTS) {
        let (groups, at) = (first / GROUP, first * 8 * octets);
        let of = |tables: &[[u8; 8]]| -> Two {
            let groups_of = tables.as_chunks::<GROUP>().0;
            [load_table(&groups_of[groups]), load_table(&groups_of[groups + 1])]
        };
        let (lows, highs, narrows) = (of(tables.lows), of(tables.highs), of(tables.narrow));
        let edges = if EDGES { of(tables.edges) } else { [zero; 2] };
        let (mut wide, mut other_wide) = ([zero; 2], [zero; 2]);
        let (mut coarse, mut narrow, mut bowed, mut edge) = ([zero; 2], [zero; 2], [zero; 2], [zero; 2]);
        for octet in 0..octets {
            // SAFETY: queries have 8 wide numbers and 16 narrow ones an octet, see above.
            let (four, next_four, widths, bows, shares) = unsafe {
                let whole = q.wide.as_ptr().add(8 * octet).cast::<i64>();
                let sixteen = |from: &[u8]| _mm_loadu_si128(from.as_ptr().add(16 * octet).cast());
                (
                    _mm512_set1_epi64(whole.read_unaligned()),
                    _mm512_set1_epi64(whole.add(1).read_unaligned()),
                    _mm512_broadcast_i32x4(sixteen(q.narrow)),
                    _mm512_broadcast_i32x4(sixteen(q.bows)),
                    if EDGES { _mm512_broadcast_i32x4(sixteen(q.edges)) } else { zero },
                )
            };
            for group in 0..2 {
                // SAFETY: 64 codes of each octet and group, see above.
                let codes = unsafe { load(codes.as_ptr().add(at + (group * octets + octet) * 64)) };
                let (low, high) = (_mm512_shuffle_epi8(lows[group], codes), _mm512_shuffle_epi8(highs[group], codes));
                wide[group] = _mm512_dpwssd_epi32(wide[group], _mm512_unpacklo_epi8(low, high), four);
                other_wide[group] = _mm512_dpwssd_epi32(other_wide[group], _mm512_unpackhi_epi8(low, high), next_four);
                coarse[group] = _mm512_dpbusd_epi32(coarse[group], bows, high);
                let conductance = _mm512_shuffle_epi8(narrows[group], codes);
                narrow[group] = _mm512_dpbusd_epi32(narrow[group], widths, conductance);
                bowed[group] = _mm512_dpbusd_epi32(bowed[group], bows, conductance);
                if EDGES {
                    let own = _mm512_shuffle_epi8(edges[group], codes);
                    edge[group] = _mm512_dpbusd_epi32(edge[group], shares, own);
                }
            }
        }
        let wide = [_mm512_add_epi32(wide[0], other_wide[0]), _mm512_add_epi32(wide[1], other_wide[1])];
        put(slots_of(wide, WIDE_PLACES), out_wide, first);
        put(slots_of(coarse, NARROW_PLACES), out_coarse, first);
        put(slots_of(narrow, NARROW_PLACES), out_narrow, first);
        put(slots_of(bowed, NARROW_PLACES), out_narrow, slots + first);
        if EDGES {
            put(slots_of(edge, NARROW_PLACES), out_edges, first);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn sums_of_values(codes: &[u8], columns: usize, tables: &Tables, f: &Factors, out: Totals) {
    if tables.edges.is_empty() {
        sums_of_values_with::<false>(codes, columns, tables, f, out);
    } else {
        sums_of_values_with::<true>(codes, columns, tables, f, out);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums_of_values_with<const EDGES: bool>(codes: &[u8], columns: usize, tables: &Tables, f: &Factors, out: Totals) {
    let rows = tables.lows.len();
    let Totals { wide: out_wide, narrow: out_narrow, coarse: out_coarse, edges: out_edges } = out;
    assert!(columns.is_multiple_of(COLUMNS) && rows.is_multiple_of(4) && codes.len() == rows * columns);
    assert!(f.wide.len() == rows && f.narrow.len() == rows && f.bows.len() == rows && f.edges.len() == rows);
    assert!(out_wide.len() == columns && out_coarse.len() == columns && out_narrow.len() == 2 * columns);
    assert!(!EDGES || out_edges.len() == columns && tables.edges.len() == rows);
    let zero = _mm512_setzero_si512();
    for column in (0..columns).step_by(COLUMNS) {
        let (mut wide, mut lower_wide) = ([zero; 2], [zero; 2]);
        let (mut coarse, mut narrow, mut bowed, mut edge) = ([zero; 2], [zero; 2], [zero; 2], [zero; 2]);
        let quads = tables.lows.as_chunks::<4>().0.iter().zip(tables.highs.as_chunks::<4>().0);
        for (quad, ((lows, highs), narrows)) in quads.zip(tables.narrow.as_chunks::<4>().0).enumerate() {
            // SAFETY: two pairs of rows have 64 codes each from a column on, and each kind of pulse four numbers, see above.
            let (a, b, two, next_two, widths, bows, shares) = unsafe {
                let codes = codes.as_ptr().add(4 * quad * columns + 2 * column);
                let whole = f.wide.as_ptr().add(4 * quad).cast::<i32>();
                let four = |from: &[u8]| _mm512_set1_epi32(from.as_ptr().add(4 * quad).cast::<i32>().read_unaligned());
                (
                    load(codes),
                    load(codes.add(2 * columns)),
                    _mm512_set1_epi32(whole.read_unaligned()),
                    _mm512_set1_epi32(whole.add(1).read_unaligned()),
                    four(f.narrow),
                    four(f.bows),
                    if EDGES { four(f.edges) } else { zero },
                )
            };
            let ([upper_low, lower_low], [upper_high, lower_high]) = (repeat_tables(lows), repeat_tables(highs));
            let (low, upper) = (_mm512_shuffle_epi8(upper_low, a), _mm512_shuffle_epi8(upper_high, a));
            wide[0] = _mm512_dpwssd_epi32(wide[0], _mm512_unpacklo_epi8(low, upper), two);
            wide[1] = _mm512_dpwssd_epi32(wide[1], _mm512_unpackhi_epi8(low, upper), two);
            let (low, lower) = (_mm512_shuffle_epi8(lower_low, b), _mm512_shuffle_epi8(lower_high, b));
            lower_wide[0] = _mm512_dpwssd_epi32(lower_wide[0], _mm512_unpacklo_epi8(low, lower), next_two);
            lower_wide[1] = _mm512_dpwssd_epi32(lower_wide[1], _mm512_unpackhi_epi8(low, lower), next_two);
            coarse[0] = _mm512_dpbusd_epi32(coarse[0], bows, _mm512_unpacklo_epi16(upper, lower));
            coarse[1] = _mm512_dpbusd_epi32(coarse[1], bows, _mm512_unpackhi_epi16(upper, lower));
            let [first, second] = repeat_tables(narrows);
            let (upper, lower) = (_mm512_shuffle_epi8(first, a), _mm512_shuffle_epi8(second, b));
            let conductance = [_mm512_unpacklo_epi16(upper, lower), _mm512_unpackhi_epi16(upper, lower)];
            for half in 0..2 {
                narrow[half] = _mm512_dpbusd_epi32(narrow[half], widths, conductance[half]);
                bowed[half] = _mm512_dpbusd_epi32(bowed[half], bows, conductance[half]);
            }
            if EDGES {
                let [first, second] = repeat_tables(&tables.edges.as_chunks::<4>().0[quad]);
                let (upper, lower) = (_mm512_shuffle_epi8(first, a), _mm512_shuffle_epi8(second, b));
                edge[0] = _mm512_dpbusd_epi32(edge[0], shares, _mm512_unpacklo_epi16(upper, lower));
                edge[1] = _mm512_dpbusd_epi32(edge[1], shares, _mm512_unpackhi_epi16(upper, lower));
            }
        }
        for half in 0..2 {
            let at = column + half * SLOTS;
            put(_mm512_add_epi32(wide[half], lower_wide[half]), out_wide, at);
            put(coarse[half], out_coarse, at);
            put(narrow[half], out_narrow, at);
            put(bowed[half], out_narrow, columns + at);
            if EDGES {
                put(edge[half], out_edges, at);
            }
        }
    }
}

/// Stores sixteen sums from the `at`-th on.
#[inline]
#[target_feature(enable = "avx512f")]
fn put(sums: __m512i, out: &mut [i32], at: usize) {
    let out = &mut out[at..at + SLOTS];
    // SAFETY: room for sixteen; no alignment is needed.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) }
}
