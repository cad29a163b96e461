//! Sixteen numbers in a register.

use std::arch::x86_64::*;

use super::Avx512;
use crate::emulate::factorized::avx2::between;
use crate::emulate::factorized::lanes::Machine;
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
        unsafe {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(place)));
            let (lower, upper) = (between(points, _mm512_castps512_ps256(place)), between(points, upper));
            let both = _mm512_castps_pd(_mm512_castps256_ps512(lower));
            _mm512_castpd_ps(_mm512_insertf64x4::<1>(both, _mm256_castps_pd(upper)))
        }
    }

    #[inline(always)]
    fn split(self, words: &[u32; LANES], half: &mut [i16; LANES], third: &mut [u8; LANES], fourth: &mut [u8; LANES]) {
        unsafe {
            let words = _mm512_loadu_si512(words.as_ptr().cast());
            _mm256_storeu_si256(half.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(words));
            _mm_storeu_si128(third.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_srli_epi32::<16>(words)));
            _mm_storeu_si128(fourth.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_srli_epi32::<24>(words)));
        }
    }
}
