//! Sixteen numbers in two registers.

use std::arch::x86_64::*;

use super::Avx2;
use crate::emulate::factorized::lanes::{Machine, field};
use crate::emulate::factorized::simd::LANES;

/// Sixteen numbers.
type Two = [__m256; 2];
/// Numbers of one register.
const HALF: usize = LANES / 2;

/// Both halves of an array.
#[inline(always)]
fn halves<T>(whole: &[T; LANES]) -> [*const T; 2] {
    [whole.as_ptr(), whole[HALF..].as_ptr()]
}

/// Both halves of an array, to be written.
#[inline(always)]
fn halves_mut<T>(whole: &mut [T; LANES]) -> [&mut [T]; 2] {
    whole.split_at_mut(HALF).into()
}

// SAFETY, of every block: an `Avx2` exists only where the processor has AVX2, see `Avx2::detect`; pointers come from halves of arrays
// of the size that is read or written.
impl Machine for Avx2 {
    type Lanes = Two;

    #[inline(always)]
    fn splat(self, x: f32) -> Two {
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Two {
        let [first, second] = halves(from);
        unsafe { [_mm256_loadu_ps(first), _mm256_loadu_ps(second)] }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], x: Two) {
        for (to, x) in halves_mut(to).into_iter().zip(x) {
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) }
        }
    }

    #[inline(always)]
    fn integers(self, from: &[i32; LANES]) -> Two {
        let [first, second] = halves(from);
        let of = |from: *const i32| unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.cast())) };
        [of(first), of(second)]
    }

    #[inline(always)]
    fn add(self, a: Two, b: Two) -> Two {
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Two, b: Two) -> Two {
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Two, b: Two) -> Two {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn add_product(self, c: Two, a: Two, b: Two) -> Two {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn sub_product(self, c: Two, a: Two, b: Two) -> Two {
        unsafe { [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn limit(self, x: Two, low: f32, high: f32) -> Two {
        let of = |x| unsafe { _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(low)), _mm256_set1_ps(high)) };
        [of(x[0]), of(x[1])]
    }

    #[inline(always)]
    fn where_positive(self, x: Two, value: Two) -> Two {
        let of = |x, value| unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()), value) };
        [of(x[0], value[0]), of(x[1], value[1])]
    }

    #[inline(always)]
    fn round(self, x: Two) -> Two {
        let of = |x| unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) };
        [of(x[0]), of(x[1])]
    }

    #[inline(always)]
    fn to_integers(self, x: Two) -> [i32; LANES] {
        let mut integers = [0; LANES];
        for (to, x) in halves_mut(&mut integers).into_iter().zip(x) {
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_cvtps_epi32(x)) }
        }
        integers
    }

    #[inline(always)]
    fn to_u8(self, x: Two, to: &mut [u8; LANES]) {
        let of = |x| unsafe {
            let whole = _mm256_cvtps_epi32(x);
            _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole))
        };
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_packus_epi16(of(x[0]), of(x[1]))) }
    }

    #[inline(always)]
    fn between<const POINTS: usize>(self, points: &[f32; POINTS], place: Two) -> Two {
        unsafe { [between(points, place[0]), between(points, place[1])] }
    }

    #[inline(always)]
    fn entries<const ENTRIES: usize>(self, table: &[u32; ENTRIES], place: Two) -> [u32; LANES] {
        entries(table, self.to_integers(self.limit(place, 0.0, (ENTRIES - 1) as f32)))
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; LANES], codes: &[u8; LANES], to: &mut [u8; LANES]) {
        unsafe {
            let (table, codes) = (_mm_loadu_si128(table.as_ptr().cast()), _mm_loadu_si128(codes.as_ptr().cast()));
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_shuffle_epi8(table, codes));
        }
    }

    #[inline(always)]
    fn total(self, x: Two) -> f32 {
        unsafe { total(_mm256_add_ps(x[0], x[1])) }
    }

    #[inline(always)]
    fn split(self, words: &[u32; LANES], wide: &mut [i16; LANES], narrow: [&mut [u8; LANES]; 3]) -> [Two; 4] {
        let fields = [0, 1, 2, 3].map(|k| words.map(|word| field(word, k)));
        *wide = fields[0].map(|word| word as i16);
        for (to, from) in narrow.into_iter().zip(&fields[1..]) {
            *to = from.map(|word| word as u8);
        }
        fields.map(|words| self.integers(&words.map(|word| word as i32)))
    }
}

/// The entries at places that are limited to the table, loaded one by one: a gather, which the compiler would make of them, takes
/// several times as long on some processors.
#[inline(always)]
fn entries<const ENTRIES: usize>(table: &[u32; ENTRIES], places: [i32; LANES]) -> [u32; LANES] {
    places.map(|place| {
        debug_assert!((0..ENTRIES as i32).contains(&place));
        // SAFETY: a place within the table.
        unsafe { table.as_ptr().add(place as usize).read_volatile() }
    })
}

/// The sum of a register's numbers: the upper half is added to the lower until one is left.
#[inline]
#[target_feature(enable = "avx2")]
pub fn total(x: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// [`Machine::between`] of one register.
#[inline]
#[target_feature(enable = "avx2")]
fn between<const POINTS: usize>(points: &[f32; POINTS], place: __m256) -> __m256 {
    let last = (POINTS - 1) as f32;
    let place = _mm256_min_ps(_mm256_max_ps(place, _mm256_setzero_ps()), _mm256_set1_ps(last));
    // The last point is the end of the last interval.
    let interval = _mm256_min_epi32(_mm256_cvttps_epi32(place), _mm256_set1_epi32(POINTS as i32 - 2));
    let mut at = [0u32; HALF];
    // SAFETY: 32 writable bytes; no alignment is needed.
    unsafe { _mm256_storeu_si256(at.as_mut_ptr().cast(), interval) }
    // Loads one by one: a gather takes several times as long on some processors.
    // SAFETY: an interval is limited to that before the last point, so both its ends are in the table.
    let pair = |k: usize| unsafe { _mm_castpd_ps(_mm_load_sd(points.as_ptr().add(at[k] as usize).cast())) };
    let pairs = |k: usize| _mm_movelh_ps(pair(k), pair(k + 1));
    let first = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(pairs(0)), pairs(4));
    let second = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(pairs(2)), pairs(6));
    let low = _mm256_shuffle_ps::<0b10_00_10_00>(first, second);
    let high = _mm256_shuffle_ps::<0b11_01_11_01>(first, second);
    let part = _mm256_sub_ps(place, _mm256_cvtepi32_ps(interval));
    _mm256_add_ps(low, _mm256_mul_ps(part, _mm256_sub_ps(high, low)))
}
