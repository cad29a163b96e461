//! The inner loops on processors with AVX2.
//!
//! **With [`super::avx512`], the only unsafe code of the emulator.** What is unsafe, and why it holds:
//! * calling a function that is compiled for AVX2 needs a processor that has it: this is what an [`Avx2`] stands for, which
//!   is made by [`Avx2::detect`] only, after the processor said so;
//! * loads and stores by pointer: each is made from a reference to an array of exactly the size that is read or written, and
//!   the unaligned instructions are used; a lookup's places are limited to the table before.
#![allow(unsafe_code)]

mod lanes;
mod loops;

pub use lanes::between;

use super::lanes::Vectorized;

/// A processor that has AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2(());

#[target_feature(enable = "avx2")]
fn run<V: Vectorized>(machine: Avx2, work: V) -> V::Output {
    work.run(machine)
}

// Shapes and limits are those of the methods of `super::simd::Isa` of the same names, which check them.
// SAFETY, of every block: an `Avx2` exists only where the processor has AVX2.
impl Avx2 {
    /// One, if this processor has it.
    pub fn detect() -> Option<Avx2> {
        is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }

    pub fn run<V: Vectorized>(self, work: V) -> V::Output {
        unsafe { run(self, work) }
    }

    pub fn expand_wide_keys(self, codes: &[u8], octets: usize, tables: &[[u8; 16]], out: &mut [i16]) {
        unsafe { loops::expand_wide_keys(codes, octets, tables, out) }
    }

    pub fn expand_narrow_keys(self, codes: &[u8], octets: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        unsafe { loops::expand_narrow_keys(codes, octets, tables, out) }
    }

    pub fn dot_wide<const QUERIES: usize>(self, weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
        unsafe { loops::dot_wide(weights, q, out) }
    }

    pub fn dot_narrow<const QUERIES: usize>(self, weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
        unsafe { loops::dot_narrow(weights, q, out) }
    }

    pub fn expand_wide(self, codes: &[u8], columns: usize, tables: &[[u8; 16]], out: &mut [i16]) {
        unsafe { loops::expand_wide(codes, columns, tables, out) }
    }

    pub fn expand_narrow(self, codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        unsafe { loops::expand_narrow(codes, columns, tables, out) }
    }

    pub fn sums_wide(self, weights: &[i16], columns: usize, f: &[i16], out: &mut [i32]) {
        unsafe { loops::sums_wide(weights, columns, f, out) }
    }

    pub fn sums_narrow(self, weights: &[i8], columns: usize, f: &[u8], out: &mut [i32]) {
        unsafe { loops::sums_narrow(weights, columns, f, out) }
    }
}
