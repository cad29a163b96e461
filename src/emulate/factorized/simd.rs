//! Inner loops of the factorized engine: sums of products of small integers, portable and by instruction set.
//!
//! Every loop is integer arithmetic that cannot overflow within the stated limits, so all instruction sets give equal
//! bits. What is in single precision is written once, on a [`Machine`] of eight lanes, whose operations give equal bits
//! everywhere: there is no fused multiply-add, and sums have one order.
//!
//! **This is the only file of the emulator with unsafe code.** What is unsafe, and why it holds:
//! * calling a function compiled for an instruction set needs that set: an [`Isa`] other than the portable one is made
//!   by [`Isa::detect`] only, after the processor said that it has it;
//! * the operations of [`avx2::Avx2`] need that set too: its only value is made within a function that was called so;
//! * loads and stores by pointer: each is made from a reference to an array of exactly the size that is read or written,
//!   and the unaligned instructions are used; a lookup's places are limited to the table before.
#![allow(unsafe_code)]

use super::lanes::{Machine, Plain, Vectorized};
use super::portable;

/// Slots of the K array, or columns of the V array, that are summed side by side.
pub const LANES: usize = 8;

/// What the inner loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Isa {
    /// The best that this processor has.
    pub fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Isa(Set::Avx2);
        }
        Isa(Set::Portable)
    }

    /// The one that every processor has.
    pub const PORTABLE: Isa = Isa(Set::Portable);

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
        }
    }

    /// Runs a loop that is compiled for this instruction set.
    #[inline]
    pub fn run<V: Vectorized>(self, work: V) -> V::Output {
        match self.0 {
            Set::Portable => work.run(Plain),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Set::Avx2` exists only where the processor has AVX2.
            Set::Avx2 => unsafe { avx2::run(work) },
        }
    }

    /// Weights of slots of the K array from their codes, by a table for each slot: its low and high bytes.
    ///
    /// `codes` is of shape (slots / 8, octets of dimensions, 64) in the order of [`key_place`], the codes of odd slots 8
    /// more; `out` gets as many weights, in the order that [`Isa::dot_wide`] takes.
    #[inline]
    pub fn expand_wide_keys(self, codes: &[u8], tables: &[[u8; 16]], out: &mut [i16]) {
        let octets = octets(codes.len(), tables.len());
        assert!(out.len() >= codes.len());
        match self.0 {
            Set::Portable => portable::expand_wide_keys(codes, octets, tables, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::expand_wide_keys(codes, octets, tables, out) },
        }
    }

    /// As [`Isa::expand_wide_keys`], for `i8` weights, in the order that [`Isa::dot_narrow`] takes.
    #[inline]
    pub fn expand_narrow_keys(self, codes: &[u8], tables: &[[u8; 8]], out: &mut [i8]) {
        let octets = octets(codes.len(), tables.len());
        assert!(out.len() >= codes.len());
        match self.0 {
            Set::Portable => portable::expand_narrow_keys(codes, octets, tables, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::expand_narrow_keys(codes, octets, tables, out) },
        }
    }

    /// `out[query][slot] = sum_d q_d weights[slot][d]`, queries of whole octets; the sum fits an `i32`.
    #[inline]
    pub fn dot_wide<const QUERIES: usize>(self, weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
        let slots = slots(weights.len(), q.map(<[i16]>::len));
        assert!(out.len() >= QUERIES * slots);
        match self.0 {
            Set::Portable => portable::dot_wide(weights, q, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::dot_wide(weights, q, out) },
        }
    }

    /// As [`Isa::dot_wide`] for narrow weights; the sum over every second pair of each four dimensions fits an `i16`.
    #[inline]
    pub fn dot_narrow<const QUERIES: usize>(self, weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
        let slots = slots(weights.len(), q.map(<[u8]>::len));
        assert!(out.len() >= QUERIES * slots);
        match self.0 {
            Set::Portable => portable::dot_narrow(weights, q, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::dot_narrow(weights, q, out) },
        }
    }

    /// Weights of rows of the V array from their codes, by a table for each row.
    ///
    /// `codes` is of shape (row pairs, columns, 2) in the order of [`column_place`], the codes of odd rows 8 more; a
    /// row's table has the low and the high bytes of `i16` weights; `out` gets (row pairs, columns, 2).
    #[inline]
    pub fn expand_wide(self, codes: &[u8], columns: usize, tables: &[[u8; 16]], out: &mut [i16]) {
        assert!(columns.is_multiple_of(16) && codes.len() == tables.len() * columns && out.len() >= codes.len());
        match self.0 {
            Set::Portable => portable::expand_wide(codes, columns, tables, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::expand_wide(codes, columns, tables, out) },
        }
    }

    /// As [`Isa::expand_wide`], for `i8` weights in rows by four: `out` gets (row quads, columns, 4).
    #[inline]
    pub fn expand_narrow(self, codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        assert!(columns.is_multiple_of(16) && codes.len() == tables.len() * columns && out.len() >= codes.len());
        assert!(tables.len().is_multiple_of(4));
        match self.0 {
            Set::Portable => portable::expand_narrow(codes, columns, tables, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::expand_narrow(codes, columns, tables, out) },
        }
    }

    /// `out[column] = sum over rows of f[row] weights[row][column]`, weights of shape (row pairs, columns, 2).
    ///
    /// Limit: the sum of at most 32 rows fits an `i32`; `f.len()` rows, even, in parts of at most 32, `out` (parts, columns).
    #[inline]
    pub fn sums_wide(self, weights: &[i16], columns: usize, f: &[i16], out: &mut [i32]) {
        assert!(columns.is_multiple_of(LANES) && weights.len() == f.len() * columns && f.len().is_multiple_of(2));
        assert!(out.len() >= f.len().div_ceil(WIDE_ROWS) * columns);
        for (part, (weights, f)) in weights.chunks(WIDE_ROWS * columns).zip(f.chunks(WIDE_ROWS)).enumerate() {
            let out = &mut out[part * columns..(part + 1) * columns];
            match self.0 {
                Set::Portable => portable::sums_wide(weights, columns, f, out),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as in `run`.
                Set::Avx2 => unsafe { avx2::sums_wide(weights, columns, f, out) },
            }
        }
    }

    /// `out[column] = sum over rows of f[row] weights[row][column]`, weights of shape (row quads, columns, 4).
    ///
    /// Limit: |sum over every second pair of rows| at most 32,767.
    #[inline]
    pub fn sums_narrow(self, weights: &[i8], columns: usize, f: &[u8], out: &mut [i32]) {
        assert!(columns.is_multiple_of(LANES) && weights.len() == f.len() * columns && f.len().is_multiple_of(4));
        assert!(out.len() >= columns);
        match self.0 {
            Set::Portable => portable::sums_narrow(weights, columns, f, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Set::Avx2 => unsafe { avx2::sums_narrow(weights, columns, f, out) },
        }
    }
}

/// Rows of the V array whose wide products are summed before they leave integer arithmetic.
pub const WIDE_ROWS: usize = 32;

/// Octets of dimensions in codes of so many slots.
fn octets(codes: usize, slots: usize) -> usize {
    assert!(slots.is_multiple_of(LANES) && codes.is_multiple_of(8 * slots.max(1)), "codes of whole octets of slots");
    codes / (8 * slots.max(1))
}

/// Slots in the weights that queries of these lengths are multiplied with.
fn slots<const QUERIES: usize>(weights: usize, lengths: [usize; QUERIES]) -> usize {
    let d = lengths[0];
    assert!(d > 0 && d.is_multiple_of(8) && lengths.iter().all(|length| *length == d), "queries of whole octets");
    assert!(weights.is_multiple_of(LANES * d), "weights of whole octets of slots");
    weights / d
}

/// Where the code of slot `slot` of eight and of a dimension stands: slots 0, 1, 4, 5 and then 2, 3, 6, 7, four dimensions
/// of each at a time, so that the halves of vectors interleave and add up to slots in order.
pub fn key_place(slot: usize, dimension: usize) -> usize {
    dimension / 8 * 64 + slot / 2 % 2 * 32 + slot / 4 * 16 + dimension / 4 % 2 * 8 + slot % 2 * 4 + dimension % 4
}

/// Where the wide weight of a slot of eight and of a dimension stands: the halves of each 32 codes are interleaved apart.
pub fn wide_key_place(slot: usize, dimension: usize) -> usize {
    let place = key_place(slot, dimension);
    place / 32 * 32 + place % 32 / 8 % 2 * 16 + place % 32 / 16 * 8 + place % 8
}

/// Where column `column` stands in a row pair's codes: within each 16, the order that the vectors' halves interleave back.
pub fn column_place(column: usize) -> usize {
    column / 16 * 16 + [0, 8, 4, 12][column % 16 / 4] + column % 4
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{LANES, Machine, Vectorized};

    #[target_feature(enable = "avx2")]
    pub fn run<V: Vectorized>(work: V) -> V::Output {
        work.run(Avx2(()))
    }

    /// Eight lanes in a register.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    // SAFETY, of every block: `Avx2` exists within `run` only, which is called on processors that have AVX2.
    impl Machine for Avx2 {
        type Lanes = __m256;

        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }

        #[inline(always)]
        fn load(self, from: &[f32; LANES]) -> __m256 {
            unsafe { _mm256_loadu_ps(from.as_ptr()) }
        }

        #[inline(always)]
        fn store(self, to: &mut [f32; LANES], x: __m256) {
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) }
        }

        #[inline(always)]
        fn integers(self, from: &[i32; LANES]) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.as_ptr().cast())) }
        }

        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }

        #[inline(always)]
        fn limit(self, x: __m256, low: f32, high: f32) -> __m256 {
            unsafe { _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(low)), _mm256_set1_ps(high)) }
        }

        #[inline(always)]
        fn where_positive(self, x: __m256, value: __m256) -> __m256 {
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()), value) }
        }

        #[inline(always)]
        fn positive(self, x: __m256) -> u8 {
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps())) as u8 }
        }

        #[inline(always)]
        fn round(self, x: __m256) -> __m256 {
            unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
        }

        #[inline(always)]
        fn to_integers(self, x: __m256) -> [i32; LANES] {
            let mut integers = [0; LANES];
            unsafe { _mm256_storeu_si256(integers.as_mut_ptr().cast(), _mm256_cvtps_epi32(x)) }
            integers
        }

        #[inline(always)]
        fn to_u8(self, x: __m256, to: &mut [u8; LANES]) {
            unsafe {
                let whole = _mm256_cvtps_epi32(x);
                let packed = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
                *to = _mm_cvtsi128_si64(_mm_packus_epi16(packed, packed)).to_le_bytes();
            }
        }

        #[inline(always)]
        fn between<const POINTS: usize>(self, points: &[f32; POINTS], place: __m256) -> __m256 {
            unsafe {
                let place = self.limit(place, 0.0, (POINTS - 1) as f32);
                // The last point is the end of the last interval.
                let interval = _mm256_min_epi32(_mm256_cvttps_epi32(place), _mm256_set1_epi32(POINTS as i32 - 2));
                // Loads one by one: a gather takes several times as long on some processors.
                let at = indices(interval);
                let pair = |k: usize| _mm_castpd_ps(_mm_load_sd(points.as_ptr().add(at[k] as usize).cast()));
                let pairs = |k: usize| _mm_movelh_ps(pair(k), pair(k + 1));
                let first = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(pairs(0)), pairs(4));
                let second = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(pairs(2)), pairs(6));
                let low = _mm256_shuffle_ps::<0b10_00_10_00>(first, second);
                let high = _mm256_shuffle_ps::<0b11_01_11_01>(first, second);
                let part = _mm256_sub_ps(place, _mm256_cvtepi32_ps(interval));
                _mm256_add_ps(low, _mm256_mul_ps(part, _mm256_sub_ps(high, low)))
            }
        }

        #[inline(always)]
        fn entries<const ENTRIES: usize>(self, table: &[u32; ENTRIES], place: __m256) -> [u32; LANES] {
            unsafe {
                let at = indices(_mm256_cvtps_epi32(self.limit(place, 0.0, (ENTRIES - 1) as f32)));
                let of = |k: usize| *table.get_unchecked(at[k] as usize);
                [of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7)]
            }
        }

        #[inline(always)]
        fn small_entries<const ENTRIES: usize>(self, table: &[i8; ENTRIES], place: __m256) -> __m256 {
            unsafe {
                let at = indices(_mm256_cvtps_epi32(self.limit(place, 0.0, (ENTRIES - 1) as f32)));
                let of = |k: usize| *table.get_unchecked(at[k] as usize);
                let bytes =
                    _mm_setr_epi8(of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), 0, 0, 0, 0, 0, 0, 0, 0);
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
            }
        }

        #[inline(always)]
        fn split(
            self,
            words: &[u32; LANES],
            half: &mut [i16; LANES],
            third: &mut [u8; LANES],
            fourth: &mut [u8; LANES],
        ) {
            unsafe {
                let words = _mm256_loadu_si256(words.as_ptr().cast());
                // Halves, third and fourth bytes of each four words together, then the words' order.
                let order = _mm256_setr_epi8(
                    0, 1, 4, 5, 8, 9, 12, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 1, 4, 5, 8, 9, 12, 13, 2, 6, 10, 14, 3, 7,
                    11, 15,
                );
                let parts = _mm256_shuffle_epi8(words, order);
                let (low, high) = (_mm256_castsi256_si128(parts), _mm256_extracti128_si256::<1>(parts));
                _mm_storeu_si128(half.as_mut_ptr().cast(), _mm_unpacklo_epi64(low, high));
                let bytes = _mm_shuffle_epi32::<0b11_01_10_00>(_mm_unpackhi_epi64(low, high));
                *third = _mm_cvtsi128_si64(bytes).to_le_bytes();
                *fourth = _mm_extract_epi64::<1>(bytes).to_le_bytes();
            }
        }
    }

    /// Eight integers in memory's order.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn indices(x: __m256i) -> [u32; LANES] {
        let mut at = [0; LANES];
        // SAFETY: 32 writable bytes; no alignment is needed.
        unsafe { _mm256_storeu_si256(at.as_mut_ptr().cast(), x) }
        at
    }

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
    fn four<const BYTES: usize>(tables: &[[u8; BYTES]; LANES], slots: [usize; 4], from: usize) -> __m256i {
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
        for ((codes, out), tables) in groups.zip(tables.as_chunks::<LANES>().0) {
            for (vector, slots) in VECTOR_SLOTS.into_iter().enumerate() {
                let (low, high) = (four(tables, slots, 0), four(tables, slots, 8));
                for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
                    let codes = load(&codes.as_chunks::<32>().0[vector]);
                    let (low, high) = (_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes));
                    let out = out.as_chunks_mut::<16>().0;
                    store_i16(&mut out[2 * vector], _mm256_unpacklo_epi8(low, high));
                    store_i16(&mut out[2 * vector + 1], _mm256_unpackhi_epi8(low, high));
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn expand_narrow_keys(codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        let groups = codes.chunks_exact(octets * 64).zip(out.chunks_exact_mut(octets * 64));
        for ((codes, out), tables) in groups.zip(tables.as_chunks::<LANES>().0) {
            let tables = [four(tables, VECTOR_SLOTS[0], 0), four(tables, VECTOR_SLOTS[1], 0)];
            for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<64>().0) {
                let vectors = codes.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<32>().0).zip(tables);
                for ((codes, out), table) in vectors {
                    store_i8(out, _mm256_shuffle_epi8(table, load(codes)));
                }
            }
        }
    }

    /// Groups of eight slots whose sums are kept in registers together.
    const GROUPS: usize = 4;

    #[target_feature(enable = "avx2")]
    pub fn dot_wide<const QUERIES: usize>(weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
        let d = q[0].len();
        let slots = weights.len() / d;
        let most = GROUPS / QUERIES.min(GROUPS);
        let mut group = 0;
        while group < slots / LANES {
            let weights = &weights[group * LANES * d..];
            if QUERIES == 1 && slots / LANES - group >= GROUPS {
                dot_wide_of::<QUERIES, 4>(weights, q, &mut out[group * LANES..], slots);
                group += GROUPS;
            } else if most >= 2 && slots / LANES - group >= 2 {
                dot_wide_of::<QUERIES, 2>(weights, q, &mut out[group * LANES..], slots);
                group += 2;
            } else {
                dot_wide_of::<QUERIES, 1>(weights, q, &mut out[group * LANES..], slots);
                group += 1;
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
        let weights = weights.as_chunks::<64>().0;
        let mut groups: [&[[i16; 64]]; AT_ONCE] = [&[]; AT_ONCE];
        for (group, of) in groups.iter_mut().enumerate() {
            *of = &weights[group * octets..(group + 1) * octets];
        }
        let mut eights: [&[[i16; 8]]; QUERIES] = [&[]; QUERIES];
        for (to, q) in eights.iter_mut().zip(q) {
            *to = &q.as_chunks::<8>().0[..octets];
        }
        let q = eights;
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
                    let (low, high) = (load_i16(&weights[2 * vector]), load_i16(&weights[2 * vector + 1]));
                    for query in 0..QUERIES {
                        let sum = &mut sums[query][group][vector];
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(low, both[query][0]));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(high, both[query][1]));
                    }
                }
            }
        }
        for (query, sums) in sums.iter().enumerate() {
            for (sums, out) in sums.iter().zip(out[query * slots..].as_chunks_mut::<LANES>().0) {
                store(out, _mm256_hadd_epi32(sums[0], sums[1]));
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn dot_narrow<const QUERIES: usize>(weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
        let d = q[0].len();
        let slots = weights.len() / d;
        let mut group = 0;
        while group < slots / LANES {
            let weights = &weights[group * LANES * d..];
            if slots / LANES - group >= 2 {
                dot_narrow_of::<QUERIES, 2>(weights, q, &mut out[group * LANES..], slots);
                group += 2;
            } else {
                dot_narrow_of::<QUERIES, 1>(weights, q, &mut out[group * LANES..], slots);
                group += 1;
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
        let weights = weights.as_chunks::<64>().0;
        let mut groups: [&[[i8; 64]]; AT_ONCE] = [&[]; AT_ONCE];
        for (group, of) in groups.iter_mut().enumerate() {
            *of = &weights[group * octets..(group + 1) * octets];
        }
        let mut eights: [&[[u8; 8]]; QUERIES] = [&[]; QUERIES];
        for (to, q) in eights.iter_mut().zip(q) {
            *to = &q.as_chunks::<8>().0[..octets];
        }
        let q = eights;
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
            for (sums, out) in sums.iter().zip(out[query * slots..].as_chunks_mut::<LANES>().0) {
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
            for (codes, out) in codes.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<32>().0) {
                let codes = load(codes);
                let (low, high) = (_mm256_shuffle_epi8(low, codes), _mm256_shuffle_epi8(high, codes));
                let [first, second] = halves(out);
                store_i16(first, _mm256_unpacklo_epi8(low, high));
                store_i16(second, _mm256_unpackhi_epi8(low, high));
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
            let codes = upper.as_chunks::<32>().0.iter().zip(lower.as_chunks::<32>().0);
            for ((upper, lower), out) in codes.zip(out.as_chunks_mut::<64>().0) {
                let upper = _mm256_shuffle_epi8(first, load(upper));
                let lower = _mm256_shuffle_epi8(second, load(lower));
                let [left, right] = halves(out);
                store_i8(left, _mm256_unpacklo_epi16(upper, lower));
                store_i8(right, _mm256_unpackhi_epi16(upper, lower));
            }
        }
    }

    /// Both halves of an array.
    fn halves<T, const N: usize, const TWICE: usize>(whole: &mut [T; TWICE]) -> [&mut [T; N]; 2] {
        let (halves, _) = whole.as_chunks_mut::<N>();
        match halves {
            [first, second] => [first, second],
            _ => unreachable!("an array of twice the length"),
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn sums_wide(weights: &[i16], columns: usize, f: &[i16], out: &mut [i32]) {
        let mut column = 0;
        while column < columns {
            if columns - column >= 8 * LANES {
                sums_wide_of::<8>(weights, columns, f, out, column);
                column += 8 * LANES;
            } else {
                sums_wide_of::<1>(weights, columns, f, out, column);
                column += LANES;
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn sums_wide_of<const VECTORS: usize>(weights: &[i16], columns: usize, f: &[i16], out: &mut [i32], column: usize) {
        let mut sums = [_mm256_setzero_si256(); VECTORS];
        for (weights, f) in weights.chunks_exact(2 * columns).zip(f.as_chunks::<2>().0) {
            let weights = &weights[2 * column..2 * (column + VECTORS * LANES)].as_chunks::<16>().0[..VECTORS];
            let f = _mm256_set1_epi32(i32::from(f[0]) & 0xffff | i32::from(f[1]) << 16);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(load_i16(weights), f));
            }
        }
        for (sum, out) in sums.iter().zip(out[column..column + VECTORS * LANES].as_chunks_mut::<8>().0) {
            store(out, *sum);
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn sums_narrow(weights: &[i8], columns: usize, f: &[u8], out: &mut [i32]) {
        let mut column = 0;
        while column < columns {
            if columns - column >= 8 * LANES {
                sums_narrow_of::<8>(weights, columns, f, out, column);
                column += 8 * LANES;
            } else {
                sums_narrow_of::<1>(weights, columns, f, out, column);
                column += LANES;
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn sums_narrow_of<const VECTORS: usize>(weights: &[i8], columns: usize, f: &[u8], out: &mut [i32], column: usize) {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [_mm256_setzero_si256(); VECTORS];
        for (weights, f) in weights.chunks_exact(4 * columns).zip(f.as_chunks::<4>().0) {
            let weights = &weights[4 * column..4 * (column + VECTORS * LANES)].as_chunks::<32>().0[..VECTORS];
            let f = _mm256_set1_epi32(i32::from_le_bytes(*f));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(f, load_i8(weights)));
            }
        }
        for (sum, out) in sums.iter().zip(out[column..column + VECTORS * LANES].as_chunks_mut::<8>().0) {
            store(out, _mm256_madd_epi16(*sum, ones));
        }
    }
}
