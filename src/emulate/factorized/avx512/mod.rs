//! The inner loops on processors with AVX-512 and its instructions for sums of products of small integers (VNNI).
//!
//! **With [`super::avx2`], the only unsafe code of the emulator.** What is unsafe, and why it holds, is what stands there, with an
//! [`Avx512`] for the processor.
#![allow(unsafe_code)]

mod fused;
mod lanes;
mod loops;

use super::avx2::Avx2;
use super::lanes::Vectorized;
use super::simd::{Factors, Looked, Tables, Totals};

/// A processor that has AVX-512 F, BW, VL and VNNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx512(Avx2);

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")]
fn run<V: Vectorized>(machine: Avx512, work: V) -> V::Output {
    work.run(machine)
}

// Shapes and limits are those of the methods of `super::simd::Isa` of the same names, which check them.
// SAFETY, of every block: an `Avx512` exists only where the processor has these features.
impl Avx512 {
    /// One, if this processor has it.
    pub fn detect() -> Option<Avx512> {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        Avx2::detect().filter(|_| wide).map(Avx512)
    }

    pub fn run<V: Vectorized>(self, work: V) -> V::Output {
        unsafe { run(self, work) }
    }

    pub fn expand_keys(self, codes: &[u8], octets: usize, tables: &Tables, out: Looked) {
        unsafe { loops::expand_keys(codes, octets, tables, out) }
    }

    pub fn sums_of_keys(self, codes: &[u8], octets: usize, tables: &Tables, q: &Factors, out: Totals) {
        unsafe { fused::sums_of_keys(codes, octets, tables, q, out) }
    }

    pub fn sums_of_values(self, codes: &[u8], columns: usize, tables: &Tables, f: &Factors, out: Totals) {
        unsafe { fused::sums_of_values(codes, columns, tables, f, out) }
    }

    pub fn expand_narrow_keys(self, codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        unsafe { loops::expand_narrow_keys(codes, octets, tables, out) }
    }

    pub fn dot_wide<const QUERIES: usize>(self, weights: &[i16], q: &[&[i16]; QUERIES], out: &mut [i32]) {
        unsafe { loops::dot_wide(weights, q, out) }
    }

    pub fn dot_narrow<const QUERIES: usize>(self, weights: &[i8], q: &[&[u8]; QUERIES], out: &mut [i32]) {
        unsafe { loops::dot_narrow(weights, q, out) }
    }

    pub fn expand_values(self, codes: &[u8], columns: usize, tables: &Tables, out: Looked) {
        unsafe { loops::expand_values(codes, columns, tables, out) }
    }

    pub fn expand_narrow(self, codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        unsafe { loops::expand_narrow(codes, columns, tables, out) }
    }

    pub fn sums_wide<const QUERIES: usize>(
        self,
        weights: &[i16],
        columns: usize,
        f: [&[i16]; QUERIES],
        out: &mut [i32],
        stride: usize,
    ) {
        unsafe { loops::sums_wide(weights, columns, f, out, stride) }
    }

    pub fn sums_narrow<const QUERIES: usize>(
        self,
        weights: &[i8],
        columns: usize,
        f: [&[u8]; QUERIES],
        out: &mut [i32],
        stride: usize,
    ) {
        unsafe { loops::sums_narrow(weights, columns, f, out, stride) }
    }
}
