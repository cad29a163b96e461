//! Sixteen numbers in a register.

use std::arch::x86_64::*;

use super::Avx512;
use crate::emulate::factorized::avx2::total;
use crate::emulate::factorized::lanes::{FIELDS, Machine};
use crate::emulate::factorized::simd::LANES;

// SAFETY, of every block: an `Avx512` exists only where the processor has these features, see `Avx512::detect`; pointers come from
// arrays of the size that is read or written.
impl Machine for Avx512 {
    type Lanes = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> __m512 {
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], x: __m512) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
    }

    #[inline(always)]
    fn integers(self, from: &[i32; LANES]) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn add_product(self, c: __m512, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sub_product(self, c: __m512, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn limit(self, x: __m512, low: f32, high: f32) -> __m512 {
        unsafe { _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(low)), _mm512_set1_ps(high)) }
    }

    #[inline(always)]
    fn where_positive(self, x: __m512, value: __m512) -> __m512 {
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_setzero_ps()), value) }
    }

    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    fn to_integers(self, x: __m512) -> [i32; LANES] {
        let mut integers = [0; LANES];
        unsafe { _mm512_storeu_si512(integers.as_mut_ptr().cast(), _mm512_cvtps_epi32(x)) }
        integers
    }

    #[inline(always)]
    fn to_u8(self, x: __m512, to: &mut [u8; LANES]) {
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x))) }
    }

    #[inline(always)]
    fn between<const POINTS: usize>(self, points: &[f32; POINTS], place: __m512) -> __m512 {
        let place = self.limit(place, 0.0, (POINTS - 1) as f32);
        unsafe {
            // The last point is the end of the last interval, so both ends of an interval are in the table.
            let interval = _mm512_min_epi32(_mm512_cvttps_epi32(place), _mm512_set1_epi32(POINTS as i32 - 2));
            let low = _mm512_i32gather_ps::<4>(interval, points.as_ptr().cast());
            let high = _mm512_i32gather_ps::<4>(interval, points[1..].as_ptr().cast());
            let part = _mm512_sub_ps(place, _mm512_cvtepi32_ps(interval));
            _mm512_add_ps(low, _mm512_mul_ps(part, _mm512_sub_ps(high, low)))
        }
    }

    #[inline(always)]
    fn entries<const ENTRIES: usize>(self, table: &[u32; ENTRIES], place: __m512) -> [u32; LANES] {
        let place = self.limit(place, 0.0, (ENTRIES - 1) as f32);
        let mut entries = [0; LANES];
        // A limited place is in the table.
        unsafe {
            let found = _mm512_i32gather_epi32::<4>(_mm512_cvtps_epi32(place), table.as_ptr().cast());
            _mm512_storeu_si512(entries.as_mut_ptr().cast(), found);
        }
        entries
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; LANES], codes: &[u8; LANES], to: &mut [u8; LANES]) {
        unsafe {
            let (table, codes) = (_mm_loadu_si128(table.as_ptr().cast()), _mm_loadu_si128(codes.as_ptr().cast()));
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_shuffle_epi8(table, codes));
        }
    }

    #[inline(always)]
    fn total(self, x: __m512) -> f32 {
        unsafe {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
            total(_mm256_add_ps(_mm512_castps512_ps256(x), upper))
        }
    }

    #[inline(always)]
    fn split(self, words: &[u32; LANES], wide: &mut [i16; LANES], narrow: [&mut [u8; LANES]; 3]) -> [__m512; 4] {
        unsafe {
            let words = _mm512_loadu_si512(words.as_ptr().cast());
            let (first, second) = (field::<0>(words), field::<1>(words));
            let (third, fourth) = (field::<2>(words), field::<3>(words));
            _mm256_storeu_si256(wide.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(first));
            let [to_second, to_third, to_fourth] = narrow;
            _mm_storeu_si128(to_second.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(second));
            _mm_storeu_si128(to_third.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(third));
            _mm_storeu_si128(to_fourth.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(fourth));
            let (first, second) = (_mm512_cvtepi32_ps(first), _mm512_cvtepi32_ps(second));
            [first, second, _mm512_cvtepi32_ps(third), _mm512_cvtepi32_ps(fourth)]
        }
    }
}

/// A field of each word.
#[inline]
#[target_feature(enable = "avx512f")]
fn field<const K: usize>(words: __m512i) -> __m512i {
    let shifted = _mm512_srlv_epi32(words, _mm512_set1_epi32(FIELDS[K][0] as i32));
    _mm512_and_si512(shifted, _mm512_set1_epi32((1 << FIELDS[K][1]) - 1))
}
