//! Numbers to the converters' codes, many at a time.

use super::lanes::{Machine, Vectorized};
use super::simd::{Isa, LANES};
use crate::emulate::quantize::level_code;

/// A number that converters take.
pub trait Levelled: Copy + Sync {
    /// The codes of `x`, which is limited to [0, full], in `out`; ties to even.
    fn codes(isa: Isa, x: &[Self], full: f64, levels: u32, out: &mut Vec<u8>);
}

impl Levelled for f64 {
    fn codes(_: Isa, x: &[f64], full: f64, levels: u32, out: &mut Vec<u8>) {
        out.clear();
        out.extend(x.iter().map(|x| level_code(x.clamp(0.0, full), full, levels) as u8));
    }
}

impl Levelled for f32 {
    fn codes(isa: Isa, x: &[f32], full: f64, levels: u32, out: &mut Vec<u8>) {
        out.resize(x.len(), 0);
        let top = (levels - 1) as f32;
        isa.run(CodePass { x, scale: (f64::from(top) / full) as f32, top, out });
    }
}

struct CodePass<'a> {
    x: &'a [f32],
    scale: f32,
    top: f32,
    out: &'a mut [u8],
}

impl Vectorized for CodePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let (blocks, rest) = self.x.as_chunks::<LANES>();
        let (out, last) = self.out.as_chunks_mut::<LANES>();
        for (x, out) in blocks.iter().zip(out) {
            m.to_u8(m.limit(m.scale(m.load(x), self.scale), 0.0, self.top), out);
        }
        let (mut x, mut codes) = ([0.0; LANES], [0; LANES]);
        x[..rest.len()].copy_from_slice(rest);
        m.to_u8(m.limit(m.scale(m.load(&x), self.scale), 0.0, self.top), &mut codes);
        last.copy_from_slice(&codes[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_gives_the_codes_of_double_away_from_ties() {
        let x: Vec<f32> = (0..997).map(|k| 0.9 * k as f32 / 996.0).collect();
        let (mut single, mut double) = (Vec::new(), Vec::new());
        f32::codes(Isa::detect(), &x, 0.9, 8, &mut single);
        f64::codes(Isa::PORTABLE, &x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), 0.9, 8, &mut double);
        assert_eq!(single, double);
        assert_eq!((single[0], single[996]), (0, 7));
    }
}
