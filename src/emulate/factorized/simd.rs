//! Inner loops of the factorized engine: sums of products of small integers, portable and by instruction set.
//!
//! Every loop is integer arithmetic that cannot overflow within the stated limits, so all instruction sets give equal
//! bits. What is in single precision is written once, on a [`super::lanes::Machine`] of sixteen lanes, whose operations give equal bits
//! everywhere: products are fused where the code says so and nowhere else, and sums have one order.

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

/// Tables of 8 levels by slot or row: of wide weights their low and high bytes, of narrow ones, and of the edges' if these have a sum.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    pub lows: &'a [[u8; 8]],
    pub highs: &'a [[u8; 8]],
    pub narrow: &'a [[u8; 8]],
    pub edges: &'a [[u8; 8]],
}

/// What one query multiplies weights with, by dimension or row: see [`Isa::dot_wide`], [`Isa::dot_narrow`], [`Isa::sums_wide`] and
/// [`Isa::sums_narrow`].
#[derive(Debug, Clone, Copy)]
pub struct Factors<'a> {
    pub wide: &'a [i16],
    pub narrow: &'a [u8],
    pub bows: &'a [u8],
    pub edges: &'a [u8],
}

/// One query's sums by slot or column: of the wide weights, of the narrow ones by widths and then by bows, of the wide ones' high bytes by
/// bows, and of the edges' if these have a sum.
#[derive(Debug)]
pub struct Totals<'a> {
    pub wide: &'a mut [i32],
    pub narrow: &'a mut [i32],
    pub coarse: &'a mut [i32],
    pub edges: &'a mut [i32],
}

/// Where weights go that are looked up together, as many of each kind as there are codes.
#[derive(Debug)]
pub struct Looked<'a> {
    pub wide: &'a mut [i16],
    /// The wide weights' high bytes, in the order of narrow weights.
    pub coarse: &'a mut [i8],
    pub narrow: &'a mut [i8],
}

impl Tables<'_> {
    /// Slots or rows; all tables have as many.
    fn slots(&self) -> usize {
        let Tables { lows, highs, narrow, edges } = self;
        assert!(highs.len() == lows.len() && narrow.len() == lows.len());
        assert!(edges.is_empty() || edges.len() == lows.len());
        lows.len()
    }
}

impl<'a> Looked<'a> {
    /// The first of each kind.
    fn of(self, count: usize) -> Looked<'a> {
        let Looked { wide, coarse, narrow } = self;
        Looked { wide: &mut wide[..count], coarse: &mut coarse[..count], narrow: &mut narrow[..count] }
    }
}

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

/// Goes through queries by four, two and one: what inner loops take at once.
macro_rules! by_four {
    ($queries:expr, |$first:ident, $some:ident| $work:expr) => {{
        let (fours, rest) = $queries.as_chunks::<4>();
        for (k, $some) in fours.iter().enumerate() {
            let $first = 4 * k;
            $work
        }
        let (twos, ones) = rest.as_chunks::<2>();
        for $some in twos {
            let $first = 4 * fours.len();
            $work
        }
        for $some in ones.as_chunks::<1>().0 {
            let $first = $queries.len() - 1;
            $work
        }
    }};
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

    /// Weights of slots of the K array from their codes, by the tables of each slot.
    ///
    /// `codes` is of shape (slots / 8, octets of dimensions, 64) in the order of [`key_place`], the codes of odd slots 8
    /// more; as many weights of each kind come in the orders that [`Isa::dot_wide`] and [`Isa::dot_narrow`] take.
    #[inline]
    pub fn expand_keys(self, codes: &[u8], tables: &Tables, out: Looked) {
        let octets = octets(codes.len(), tables.slots());
        let out = out.of(codes.len());
        of_set!(self.0, expand_keys(codes, octets, tables, out))
    }

    /// One query's sums over slots of the K array, straight from their codes; `false` where there is no such loop, and nothing is done.
    #[inline]
    pub fn sums_of_keys(self, codes: &[u8], tables: &Tables, q: &Factors, out: Totals) -> bool {
        let octets = octets(codes.len(), tables.slots());
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(avx512) if tables.slots().is_multiple_of(2 * GROUP) => {
                avx512.sums_of_keys(codes, octets, tables, q, out);
                true
            }
            _ => false,
        }
    }

    /// As [`Isa::expand_keys`], for other narrow weights.
    #[inline]
    pub fn expand_narrow_keys(self, codes: &[u8], tables: &[[u8; 8]], out: &mut [i8]) {
        let octets = octets(codes.len(), tables.len());
        assert!(out.len() >= codes.len());
        of_set!(self.0, expand_narrow_keys(codes, octets, tables, out))
    }

    /// `out[query][slot] = sum_d q_d weights[slot][d]`, queries of whole octets; the sum fits an `i32`.
    #[inline]
    pub fn dot_wide(self, weights: &[i16], q: &[&[i16]], out: &mut [i32]) {
        let slots = slots(weights.len(), q, 1);
        assert!(out.len() >= q.len() * slots);
        by_four!(q, |first, some| of_set!(self.0, dot_wide(weights, some, &mut out[first * slots..])));
    }

    /// As [`Isa::dot_wide`] for narrow weights and queries that have each four dimensions twice; the sum over every second pair of
    /// each four dimensions fits an `i16`.
    #[inline]
    pub fn dot_narrow(self, weights: &[i8], q: &[&[u8]], out: &mut [i32]) {
        let slots = slots(weights.len(), q, 2);
        assert!(out.len() >= q.len() * slots);
        by_four!(q, |first, some| of_set!(self.0, dot_narrow(weights, some, &mut out[first * slots..])));
    }

    /// Weights of rows of the V array from their codes, by the tables of each row: see [`Isa::expand_keys`].
    ///
    /// `codes` is of shape (row pairs, columns, 2) in the order of [`column_place`], the codes of odd rows 8 more; wide weights come as
    /// (row pairs, columns, 2), narrow ones as (row quads, columns, 4).
    #[inline]
    pub fn expand_values(self, codes: &[u8], columns: usize, tables: &Tables, out: Looked) {
        let rows = tables.slots();
        assert!(columns.is_multiple_of(COLUMNS) && codes.len() == rows * columns && rows.is_multiple_of(4));
        let out = out.of(codes.len());
        of_set!(self.0, expand_values(codes, columns, tables, out))
    }

    /// One query's sums over rows of the V array, straight from their codes; `false` where there is no such loop, and nothing is done.
    #[inline]
    pub fn sums_of_values(self, codes: &[u8], columns: usize, tables: &Tables, f: &Factors, out: Totals) -> bool {
        let rows = tables.slots();
        assert!(columns.is_multiple_of(COLUMNS) && codes.len() == rows * columns && rows.is_multiple_of(4));
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(avx512) if rows <= WIDE_ROWS => {
                avx512.sums_of_values(codes, columns, tables, f, out);
                true
            }
            _ => false,
        }
    }

    /// As [`Isa::expand_values`], for other narrow weights.
    #[inline]
    pub fn expand_narrow(self, codes: &[u8], columns: usize, tables: &[[u8; 8]], out: &mut [i8]) {
        assert!(columns.is_multiple_of(COLUMNS) && codes.len() == tables.len() * columns && out.len() >= codes.len());
        assert!(tables.len().is_multiple_of(4));
        of_set!(self.0, expand_narrow(codes, columns, tables, out))
    }

    /// `out[query][column] = sum over rows of f[query][row] weights[row][column]`, weights of shape (row pairs, columns, 2).
    ///
    /// Limit: the sum of at most [`WIDE_ROWS`] rows fits an `i32`; rows, a multiple of 8, are summed in parts of these: `out` gets
    /// (queries, parts, columns).
    #[inline]
    pub fn sums_wide(self, weights: &[i16], columns: usize, f: &[&[i16]], out: &mut [i32]) {
        let rows = rows(weights.len(), columns, f);
        let parts = rows.div_ceil(WIDE_ROWS);
        assert!(out.len() >= f.len() * parts * columns);
        for part in 0..parts {
            let rows = part * WIDE_ROWS..rows.min((part + 1) * WIDE_ROWS);
            let weights = &weights[rows.start * columns..rows.end * columns];
            by_four!(f, |first, some| {
                let (some, out) = (some.map(|f| &f[rows.clone()]), &mut out[(first * parts + part) * columns..]);
                of_set!(self.0, sums_wide(weights, columns, some, out, parts * columns))
            });
        }
    }

    /// `out[query][column] = sum over rows of f[query][row] weights[row][column]`, weights of shape (row quads, columns, 4).
    ///
    /// Limit: |sum over every second pair of rows| at most 32,767; rows a multiple of 8.
    #[inline]
    pub fn sums_narrow(self, weights: &[i8], columns: usize, f: &[&[u8]], out: &mut [i32]) {
        rows(weights.len(), columns, f);
        assert!(out.len() >= f.len() * columns);
        by_four!(f, |first, some| {
            of_set!(self.0, sums_narrow(weights, columns, *some, &mut out[first * columns..], columns))
        });
    }
}

/// Rows of the V array whose wide products are summed before they leave integer arithmetic.
pub const WIDE_ROWS: usize = 64;

/// Octets of dimensions in codes of so many slots.
fn octets(codes: usize, slots: usize) -> usize {
    assert!(slots.is_multiple_of(GROUP) && codes.is_multiple_of(8 * slots.max(1)), "codes of whole octets of slots");
    codes / (8 * slots.max(1))
}

/// Slots in the weights that queries of so many numbers a dimension are multiplied with.
fn slots<T>(weights: usize, q: &[&[T]], per_dimension: usize) -> usize {
    let d = q.first().map_or(0, |q| q.len()) / per_dimension;
    assert!(d > 0 && d.is_multiple_of(8) && q.iter().all(|q| q.len() == d * per_dimension), "queries of whole octets");
    assert!(weights.is_multiple_of(GROUP * d), "weights of whole octets of slots");
    weights / d
}

/// Rows of weights that such pulses drive.
fn rows<T>(weights: usize, columns: usize, f: &[&[T]]) -> usize {
    let rows = f.first().map_or(0, |f| f.len());
    assert!(columns.is_multiple_of(COLUMNS) && rows.is_multiple_of(8), "whole octets of rows");
    assert!(f.iter().all(|f| f.len() == rows) && weights == rows * columns, "pulses for every row");
    rows
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

/// Where a dimension first stands in a query for narrow weights, which has each four dimensions twice: once for both slots of a quarter.
pub fn twice_place(dimension: usize) -> usize {
    dimension / 4 * 8 + dimension % 4
}

/// Where column `column` stands in a row pair's codes: within each 32, the order that the vectors' halves interleave back.
pub fn column_place(column: usize) -> usize {
    column / COLUMNS * COLUMNS + column % 16 / 4 * 8 + column / 16 % 2 * 4 + column % 4
}
