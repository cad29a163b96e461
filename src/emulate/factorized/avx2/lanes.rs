//! Eight numbers in a register.

use std::arch::x86_64::*;

use super::Avx2;
use crate::emulate::factorized::lanes::Machine;
use crate::emulate::factorized::simd::LANES;

// SAFETY, of every block: an `Avx2` exists only where the processor has AVX2, see `Avx2::detect`; pointers come from arrays
// of the size that is read or written, and places in tables are limited to the table before.
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
            let bytes = _mm_setr_epi8(of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), 0, 0, 0, 0, 0, 0, 0, 0);
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
        }
    }

    #[inline(always)]
    fn split(self, words: &[u32; LANES], half: &mut [i16; LANES], third: &mut [u8; LANES], fourth: &mut [u8; LANES]) {
        unsafe {
            let words = _mm256_loadu_si256(words.as_ptr().cast());
            // Halves, third and fourth bytes of each four words together, then the words' order.
            let order = _mm256_setr_epi8(
                0, 1, 4, 5, 8, 9, 12, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 1, 4, 5, 8, 9, 12, 13, 2, 6, 10, 14, 3, 7, 11,
                15,
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
