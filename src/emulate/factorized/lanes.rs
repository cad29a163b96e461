//! Sixteen numbers in single precision side by side, as a processor has them or as plain Rust does.

use std::array::from_fn;

use super::simd::LANES;

/// 1.5 * 2^23: added to a number of magnitude below 2^22, it leaves the nearest integer, ties to even, in the last bits.
const TO_INTEGER: f32 = 12_582_912.0;

/// The nearest integer, ties to even; magnitudes below 2^22.
#[inline(always)]
pub fn nearest(x: f32) -> i32 {
    (x + TO_INTEGER).to_bits() as i32 - TO_INTEGER.to_bits() as i32
}

/// Bits of the fields that a word is made of: one of 13 and three of 6.
pub const FIELDS: [[u32; 2]; 4] = [[0, 13], [13, 6], [19, 6], [25, 6]];

/// Field `k` of a word.
#[inline(always)]
pub fn field(word: u32, k: usize) -> u32 {
    let [from, bits] = FIELDS[k];
    word >> from & ((1 << bits) - 1)
}

/// A word of fields; `None` if one has no room for its number.
pub fn word(fields: [u32; 4]) -> Option<u32> {
    let parts = fields.iter().zip(FIELDS);
    parts.rev().try_fold(0, |word, (field, [from, bits])| (field >> bits == 0).then_some(word | field << from))
}

/// A loop in single precision; its implementation is `#[inline(always)]`, so that it is compiled for the machine.
pub trait Vectorized {
    /// What it gives.
    type Output;
    /// Does it.
    fn run<M: Machine>(self, machine: M) -> Self::Output;
}

/// Operations on sixteen lanes; every implementation gives the bits of [`Plain`]. Numbers are finite.
pub trait Machine: Copy {
    /// Sixteen numbers.
    type Lanes: Copy;
    fn splat(self, x: f32) -> Self::Lanes;
    fn load(self, from: &[f32; LANES]) -> Self::Lanes;
    fn store(self, to: &mut [f32; LANES], x: Self::Lanes);
    /// Integers of magnitude below 2^31 as numbers.
    fn integers(self, from: &[i32; LANES]) -> Self::Lanes;
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `c + a * b`, rounded once.
    fn add_product(self, c: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `c - a * b`, rounded once.
    fn sub_product(self, c: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// Limited to `low`..=`high`.
    fn limit(self, x: Self::Lanes, low: f32, high: f32) -> Self::Lanes;
    /// `value` where `x` is positive, elsewhere 0.
    fn where_positive(self, x: Self::Lanes, value: Self::Lanes) -> Self::Lanes;
    /// Rounded to integers, ties to even; magnitudes below 2^22.
    fn round(self, x: Self::Lanes) -> Self::Lanes;
    /// As [`Machine::round`], as integers.
    fn to_integers(self, x: Self::Lanes) -> [i32; LANES];
    /// The same, within the range of `u8`.
    fn to_u8(self, x: Self::Lanes, to: &mut [u8; LANES]);
    /// Lines between points: `place` counts in points, limited to the first and last.
    fn between<const POINTS: usize>(self, points: &[f32; POINTS], place: Self::Lanes) -> Self::Lanes;

    /// The entries at the nearest whole places, ties to even, limited to the first and last.
    fn entries<const ENTRIES: usize>(self, table: &[u32; ENTRIES], place: Self::Lanes) -> [u32; LANES];

    /// The entries of `table` with the numbers `codes`, which are below [`LANES`].
    fn look_up(self, table: &[u8; LANES], codes: &[u8; LANES], to: &mut [u8; LANES]);

    /// The fields of each word, see [`field`], as integers and as numbers.
    fn split(self, words: &[u32; LANES], wide: &mut [i16; LANES], narrow: [&mut [u8; LANES]; 3]) -> [Self::Lanes; 4];

    /// `x` times a number.
    #[inline(always)]
    fn scale(self, x: Self::Lanes, factor: f32) -> Self::Lanes {
        self.mul(x, self.splat(factor))
    }

    /// The sum of the lanes: the upper half is added to the lower until one is left.
    fn total(self, x: Self::Lanes) -> f32;
}

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Machine for Plain {
    type Lanes = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; LANES] {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> [f32; LANES] {
        *from
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES], x: [f32; LANES]) {
        *to = x;
    }

    #[inline(always)]
    fn integers(self, from: &[i32; LANES]) -> [f32; LANES] {
        from_fn(|k| from[k] as f32)
    }

    #[inline(always)]
    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| a[k] + b[k])
    }

    #[inline(always)]
    fn sub(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| a[k] - b[k])
    }

    #[inline(always)]
    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| a[k] * b[k])
    }

    #[inline(always)]
    fn add_product(self, c: [f32; LANES], a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| a[k].mul_add(b[k], c[k]))
    }

    #[inline(always)]
    fn sub_product(self, c: [f32; LANES], a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| (-a[k]).mul_add(b[k], c[k]))
    }

    #[inline(always)]
    fn limit(self, x: [f32; LANES], low: f32, high: f32) -> [f32; LANES] {
        // The order of the processors' own maximum and minimum, which matters for the sign of zero.
        from_fn(|k| {
            let raised = if x[k] > low { x[k] } else { low };
            if raised < high { raised } else { high }
        })
    }

    #[inline(always)]
    fn where_positive(self, x: [f32; LANES], value: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| if x[k] > 0.0 { value[k] } else { 0.0 })
    }

    #[inline(always)]
    fn round(self, x: [f32; LANES]) -> [f32; LANES] {
        from_fn(|k| ((x[k].abs() + TO_INTEGER) - TO_INTEGER).copysign(x[k]))
    }

    #[inline(always)]
    fn to_integers(self, x: [f32; LANES]) -> [i32; LANES] {
        from_fn(|k| nearest(x[k]))
    }

    #[inline(always)]
    fn to_u8(self, x: [f32; LANES], to: &mut [u8; LANES]) {
        *to = from_fn(|k| nearest(x[k]) as u8);
    }

    #[inline(always)]
    fn between<const POINTS: usize>(self, points: &[f32; POINTS], place: [f32; LANES]) -> [f32; LANES] {
        let place = self.limit(place, 0.0, (POINTS - 1) as f32);
        from_fn(|k| {
            let interval = (place[k] as usize).min(POINTS - 2);
            let (low, high) = (points[interval], points[interval + 1]);
            low + (place[k] - interval as f32) * (high - low)
        })
    }

    #[inline(always)]
    fn entries<const ENTRIES: usize>(self, table: &[u32; ENTRIES], place: [f32; LANES]) -> [u32; LANES] {
        let place = self.limit(place, 0.0, (ENTRIES - 1) as f32);
        from_fn(|k| table[nearest(place[k]) as usize])
    }

    #[inline(always)]
    fn look_up(self, table: &[u8; LANES], codes: &[u8; LANES], to: &mut [u8; LANES]) {
        *to = from_fn(|k| table[usize::from(codes[k]) % LANES]);
    }

    #[inline(always)]
    fn total(self, mut lanes: [f32; LANES]) -> f32 {
        for half in [8, 4, 2, 1] {
            let (lower, upper) = lanes.split_at_mut(half);
            lower.iter_mut().zip(upper).for_each(|(lower, upper)| *lower += *upper);
        }
        lanes[0]
    }

    #[inline(always)]
    fn split(self, words: &[u32; LANES], wide: &mut [i16; LANES], narrow: [&mut [u8; LANES]; 3]) -> [[f32; LANES]; 4] {
        let fields = [0, 1, 2, 3].map(|k| words.map(|word| field(word, k)));
        *wide = fields[0].map(|word| word as i16);
        for (to, from) in narrow.into_iter().zip(&fields[1..]) {
            *to = from.map(|word| word as u8);
        }
        fields.map(|words| words.map(|word| word as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::*;

    struct Everything;

    impl Vectorized for Everything {
        type Output = Vec<u32>;

        #[inline(always)]
        fn run<M: Machine>(self, m: M) -> Vec<u32> {
            let x = m.load(&[
                -2.5, -0.5, 0.5, 1.5, 2.4999, 8190.6, -3.0, 0.0, -0.0, 1.25, 3.0, 2.0001, -7.5, 0.999, 1e-9, 254.5,
            ]);
            let (mut wide, mut narrow, mut last, mut bits) = ([0; LANES], [0; LANES], [0; LANES], Vec::new());
            let words = std::array::from_fn(|k| [1 << 30 | 0x7abc, 2, 0xff_8000, 0x1234_5678][k % 4] + k as u32);
            let mut third = [0; LANES];
            let fields = m.split(&words, &mut wide, [&mut narrow, &mut third, &mut last]);
            bits.extend(fields.map(|field| m.total(field).to_bits()));
            bits.extend(words);
            bits.extend(third.into_iter().chain(last).map(u32::from));
            m.to_u8(m.limit(x, 0.0, 255.0), &mut last);
            bits.extend(last.map(u32::from));
            m.look_up(&from_fn(|k| 7 * k as u8 + 3), &from_fn(|k| (5 * k % LANES) as u8), &mut last);
            bits.extend(last.map(u32::from));
            let points = [0.5, 1.0, -2.0, 7.0];
            bits.extend(m.entries(&points.map(f32::to_bits), x));
            let rounded = m.round(x);
            for lanes in [
                rounded,
                m.between(&points, x),
                m.where_positive(x, m.splat(3.0)),
                m.limit(x, -1.0, 2.0),
                m.add_product(x, m.integers(&[3, -2, 1, 0, 9, 7, 1 << 24, -1, 5, 6, -8, 99, -100_000, 2, 1, 0]), x),
                m.sub(m.scale(x, 0.3), x),
                m.sub_product(x, m.splat(0.3), x),
            ] {
                let mut stored = [0.0; LANES];
                m.store(&mut stored, lanes);
                bits.extend(stored.map(f32::to_bits));
                bits.push(m.total(lanes).to_bits());
            }
            bits.extend(m.to_integers(x).map(|k| k as u32));
            bits.extend(wide.map(|k| k as u32));
            bits.extend(narrow.map(u32::from));
            bits
        }
    }

    #[test]
    fn integers_are_the_nearest_ties_to_even_and_every_machine_gives_the_same_bits() {
        let mut x = [0.0; LANES];
        x[..8].copy_from_slice(&[-2.5, -0.5, 0.5, 1.5, 2.4999, 8190.6, -3.0, 0.0]);
        assert_eq!(Plain.to_integers(x)[..8], [-2, 0, 0, 2, 2, 8191, -3, 0]);
        assert_eq!(Plain.between(&[0.5, 1.0, -2.0, 7.0], x)[..4], [0.5, 0.5, 0.75, -0.5]);
        for isa in Isa::all() {
            assert_eq!(isa.run(Everything), Isa::PORTABLE.run(Everything), "{}", isa.name());
        }
    }
}
