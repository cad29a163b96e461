//! Inner loops of the factorized engine: sums of products of small integers, portable and by instruction set.
//!
//! Every loop is integer arithmetic that cannot overflow within the stated limits, so all instruction sets give equal
//! bits. What is in single precision is written once, on a [`super::lanes::Machine`] of sixteen lanes, whose operations give equal bits
//! everywhere: there is no fused multiply-add, and sums have one order.

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
use super::lanes::{Plain, Vectorized};
use super::portable;

/// Numbers in single precision side by side, in which slots and columns come.
pub const LANES: usize = 16;
/// Columns of the V array come in multiples of these.
pub const COLUMNS: usize = 32;
/// Slots of the K array whose codes and weights lie together.
pub const GROUP: usize = 8;

/// What the inner loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// Calls a loop of the set: a function of `portable`, or the method of that name.
macro_rules! of_set {
    ($set:expr, $name:ident($($argument:expr),*)) => {
        match $set {
            Set::Portable => portable::$name($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.$name($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(avx512) => avx512.$name($($argument),*),
        }
    };
}

impl Isa {
    /// The best that this processor has.
    pub fn detect() -> Isa {
        Isa::all()[0]
    }

    /// All that this processor has, the best first.
    pub fn all() -> Vec<Isa> {
        let mut all = vec![Isa::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::detect().map(|avx2| Isa(Set::Avx2(avx2))));
            all.extend(Avx512::detect().map(|avx512| Isa(Set::Avx512(avx512))));
            all.reverse();
        }
        all
    }

    /// The one that every processor has.
    pub const PORTABLE: Isa = Isa(Set::Portable);

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "AVX-512 VNNI",
        }
    }

    /// Runs a loop that is compiled for this instruction set.
    #[inline]
    pub fn run<V: Vectorized>(self, work: V) -> V::Output {
        match self.0 {
            Set::Portable => work.run(Plain),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.run(work),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(avx512) => avx512.run(work),
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
        of_set!(self.0, expand_wide_keys(codes, octets, tables, out))
    }

    /// As [`Isa::expand_wide_keys`], for `i8` weights, in the order that [`Isa::dot_narrow`] takes.
    #[inline]
    pub fn expand_narrow_keys(self, codes: &[u8], tables: &[[u8; 8]], out: &mut [i8]) {
        let octets = octets(codes.len(), tables.len());
        assert!(out.len() >= codes.len());
        of_set!(self.0, expand_narrow_keys(codes, octets, tables, out))
    }

    /// `out[query][slot] = sum_d q_d weights[slot][d]`, queries of whole octets; the sum fits an `i32`.
    #[inline]
    pub fn dot_wide<const QUERIES: usize>(self, weights: &[i16], q: [&[i16]; QUERIES], out: &mut [i32]) {
        let slots = slots(weights.len(), q.map(<[i16]>::len));
        assert!(out.len() >= QUERIES * slots);
        of_set!(self.0, dot_wide(weights, q, out))
    }

    /// As [`Isa::dot_wide`] for narrow weights; the sum over every second pair of each four dimensions fits an `i16`.
    #[inline]
    pub fn dot_narrow<const QUERIES: usize>(self, weights: &[i8], q: [&[u8]; QUERIES], out: &mut [i32]) {
        let slots = slots(weights.len(), q.map(<[u8]>::len));
        assert!(out.len() >= QUERIES * slots);
        of_set!(self.0, dot_narrow(weights, q, out))
    }

    /// Weights of rows of the V array from their codes, by a table for each row.
    ///
    /// `codes` is of shape (row pairs, columns, 2) in the order of [`column_place`], the codes of odd rows 8 more; a
    /// row's table has the low and the high bytes of `i16` weights; `out` gets (row pairs, columns, 2).
    #[inline]
    pub fn expand_wide(self, codes: &[u8], columns: usize, tables: &[[u8; 16]], out: &mut [i16]) {
        assert!(columns.is_multiple_of(COLUMNS) && codes.len() == tables.len() * columns && out.len() >= codes.len());
        of_set!(self.0, expand_wide(codes, columns, tables, out))
    }

    /// As [`Isa::expand_wide`], for `i8` weights in rows by four: `out` gets (row quads, columns, 4).
    #[inline]
    pub fn expand_narrow(self, codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        assert!(columns.is_multiple_of(COLUMNS) && codes.len() == tables.len() * columns && out.len() >= codes.len());
        assert!(tables.len().is_multiple_of(4));
        of_set!(self.0, expand_narrow(codes, columns, tables, out))
    }

    /// `out[column] = sum over rows of f[row] weights[row][column]`, weights of shape (row pairs, columns, 2).
    ///
    /// Limit: the sum of at most 32 rows fits an `i32`; `f.len()` rows, even, in parts of at most 32, `out` (parts, columns).
    #[inline]
    pub fn sums_wide(self, weights: &[i16], columns: usize, f: &[i16], out: &mut [i32]) {
        assert!(columns.is_multiple_of(COLUMNS) && weights.len() == f.len() * columns && f.len().is_multiple_of(2));
        assert!(out.len() >= f.len().div_ceil(WIDE_ROWS) * columns);
        for (part, (weights, f)) in weights.chunks(WIDE_ROWS * columns).zip(f.chunks(WIDE_ROWS)).enumerate() {
            let out = &mut out[part * columns..(part + 1) * columns];
            of_set!(self.0, sums_wide(weights, columns, f, out))
        }
    }

    /// `out[column] = sum over rows of f[row] weights[row][column]`, weights of shape (row quads, columns, 4).
    ///
    /// Limit: |sum over every second pair of rows| at most 32,767.
    #[inline]
    pub fn sums_narrow(self, weights: &[i8], columns: usize, f: &[u8], out: &mut [i32]) {
        assert!(columns.is_multiple_of(COLUMNS) && weights.len() == f.len() * columns && f.len().is_multiple_of(4));
        assert!(out.len() >= columns);
        of_set!(self.0, sums_narrow(weights, columns, f, out))
    }
}

/// Rows of the V array whose wide products are summed before they leave integer arithmetic.
pub const WIDE_ROWS: usize = 32;

/// Octets of dimensions in codes of so many slots.
fn octets(codes: usize, slots: usize) -> usize {
    assert!(slots.is_multiple_of(GROUP) && codes.is_multiple_of(8 * slots.max(1)), "codes of whole octets of slots");
    codes / (8 * slots.max(1))
}

/// Slots in the weights that queries of these lengths are multiplied with.
fn slots<const QUERIES: usize>(weights: usize, lengths: [usize; QUERIES]) -> usize {
    let d = lengths[0];
    assert!(d > 0 && d.is_multiple_of(8) && lengths.iter().all(|length| *length == d), "queries of whole octets");
    assert!(weights.is_multiple_of(GROUP * d), "weights of whole octets of slots");
    weights / d
}

/// How `count` things are done `most` at a time, and what is left one at a time: where each piece starts, and whether it is whole.
#[inline(always)]
pub fn pieces(count: usize, most: usize) -> impl Iterator<Item = (usize, bool)> {
    let whole = count / most * most;
    (0..whole).step_by(most).map(|start| (start, true)).chain((whole..count).map(|start| (start, false)))
}

/// The weights of so many groups of eight slots, eight dimensions of all slots in a piece.
#[inline(always)]
pub fn groups_of<T, const AT_ONCE: usize>(weights: &[T], octets: usize) -> [&[[T; 64]]; AT_ONCE] {
    let weights = weights.as_chunks::<64>().0;
    std::array::from_fn(|group| &weights[group * octets..(group + 1) * octets])
}

/// Where the code of slot `slot` of eight and of a dimension stands: slots 0, 1, 4, 5 and then 2, 3, 6, 7, four dimensions
/// of each at a time, so that the halves of vectors interleave and add up to slots in order.
pub fn key_place(slot: usize, dimension: usize) -> usize {
    dimension / 8 * 64 + slot / 2 % 2 * 32 + slot / 4 * 16 + dimension / 4 % 2 * 8 + slot % 2 * 4 + dimension % 4
}

/// Where the wide weight of a slot of eight and of a dimension stands: four dimensions of all slots, then the next four, as the halves
/// of 64 codes come when their weights' bytes are interleaved.
pub fn wide_key_place(slot: usize, dimension: usize) -> usize {
    let place = key_place(slot, dimension);
    place / 64 * 64 + place / 8 % 2 * 32 + place % 64 / 16 * 8 + place % 8
}

/// Where column `column` stands in a row pair's codes: within each 32, the order that the vectors' halves interleave back.
pub fn column_place(column: usize) -> usize {
    column / COLUMNS * COLUMNS + column % 16 / 4 * 8 + column / 16 % 2 * 4 + column % 4
}
