//! Rows, their files, and what is kept from run to run.
//!
//! ```text
//! results/<sweep>/<run>/   manifest.json    what the run is, what made it, how far it has come
//!                          journal.rows     every row as it arrived; what a killed run resumes from
//!                          points.parquet   what is reproducible, sorted by index: equal rows give equal bytes
//!                          runtime.parquet  what is not: workers, times, dates
//!                          lock             held while a process works on the run
//!                          logs/            what workers said
//! results/.store/<deck>/   good rows by identity, across runs
//! ```
//!
//! A [`Run`] is written by one process at a time; a [`Dataset`] is what fits and figures read, while a run is going on
//! or after it. No other module knows these formats.

mod frame;
mod journal;
mod lock;
mod manifest;
mod parquet;
mod record;
mod row;
mod run;
#[cfg(test)]
mod samples;
mod store;
mod summarize;

pub use frame::{Dataset, Group, Summary, View};
pub use journal::Journal;
pub use lock::Lock;
pub use manifest::{Column, FileSeal, Manifest, MeasuredColumn, Status};
pub use row::{Outcome, PointId, Row, Runtime, Value};
pub use run::Run;
pub use store::Store;

/// What journals and the store hold of a point: its row, and how it was made.
pub type Record = (Row, Runtime);

/// What is done with polars cannot be done without it.
#[cfg(not(feature = "dataset"))]
fn feature_missing(doing: &str) -> crate::Error {
    crate::error::Problem::new(
        crate::Kind::FeatureMissing,
        format!("gaincell was built without polars and cannot {doing}"),
    )
    .help("build with the cargo feature `dataset`")
    .into()
}
