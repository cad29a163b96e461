//! SPICE against fit against table against emulator, with a verdict each.

mod stimuli;
mod verdict;

pub use stimuli::{AgeClass, Size, Stimuli};
pub use verdict::{LEAST_LINEAR, LEAST_STD, LINEAR, Pairs, R2_LIMIT, Score, ValidationCase, ValidationRow};
