//! The inner loops on processors with AVX2 and fused products.
//!
//! **With [`super::avx512`], the only unsafe code of the emulator.** What is unsafe, and why it holds:
//! * calling a function that is compiled for AVX2 needs a processor that has it and FMA: this is what an [`Avx2`] stands for, which
//!   is made by [`Avx2::detect`] only, after the processor said so;
//! * loads and stores by pointer: each is made from a reference to an array of exactly the size that is read or written, and
//!   the unaligned instructions are used; a lookup's places are limited to the table before. With AVX-512, sums go through weights by
//!   pointers: what they reach is asserted before, or stands as the function's obligation.
#![allow(unsafe_code)]

mod lanes;
mod loops;

pub use lanes::total;

use super::lanes::Vectorized;
use super::simd::{Looked, Tables};

/// A processor that has AVX2 and fused products (FMA).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2(());

#[target_feature(enable = "avx2,fma")]
fn run<V: Vectorized>(machine: Avx2, work: V) -> V::Output {
    work.run(machine)
}

// Shapes and limits are those of the methods of `super::simd::Isa` of the same names, which check them.
// SAFETY, of every block: an `Avx2` exists only where the processor has both.
impl Avx2 {
    /// One, if this processor has both.
    pub fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    pub fn run<V: Vectorized>(self, work: V) -> V::Output {
        unsafe { run(self, work) }
    }

    pub fn expand_keys(self, codes: &[u8], octets: usize, tables: &Tables, out: Looked) {
        unsafe { loops::expand_keys(codes, octets, tables, out) }
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
