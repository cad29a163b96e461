//! SPICE against fit against table against emulator, with a verdict each.

mod arrays;
mod behavioural;
mod column;
mod compare;
mod spice;
mod stimuli;
mod subtile;
mod verdict;

pub use behavioural::{BehaviouralRow, LIMIT as BEHAVIOURAL_LIMIT, behavioural};
pub use compare::{Setup, validate};
pub use spice::{Reduce, Request, Spice};
pub use stimuli::{AgeClass, Size, Stimuli};
pub use subtile::{LIMIT as SUBTILE_LIMIT, SubtileRow, SubtileSetup, subtile};
pub use verdict::{LEAST_LINEAR, LEAST_STD, LINEAR, Pairs, R2_LIMIT, Score, ValidationCase, ValidationRow};
