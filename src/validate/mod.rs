//! SPICE against fit against table against emulator, with a verdict each.

mod verdict;

pub use verdict::{LEAST_LINEAR, LEAST_STD, LINEAR, Pairs, R2_LIMIT, Score, ValidationCase, ValidationRow};
