//! # gaincell
//!
//! From SPICE netlists of gain cells to lookup tables and to attention computed with them.
//!
//! ```text
//! netlists ─► sweeps ─► simulate ─► measure ─► dataset ─► fit ─► lut ─► emulate ─► validate ─► plot, report
//! (SPICE)     (TOML)    (ngspice)   (waveform  (Parquet)  (compact      (array,     (SPICE vs   (plotters,
//!                                   ► scalars)             models)       attention)  emulator)   HTML)
//! ```
//!
//! A module imports only modules above it in this list; `tests/layering.rs` holds the order.

// What everything is written in.
pub mod error;
pub mod units;
pub mod expr;
pub mod keys;
pub mod rng;
pub mod spline;
pub mod waveform;
// What is asked for: files to checked plans.
pub mod project;
pub mod tech;
pub mod netlist;
pub mod dataset;
pub mod measure;
pub mod spec;
pub mod sweep;
// What runs it.
pub mod simulate;
// What is said about it without running.
pub mod lint;
// What becomes of it.
pub mod fit;
pub mod compare;
pub mod lut;
pub mod emulate;
pub mod campaign;
pub mod validate;
#[cfg(feature = "plot")]
pub mod plot;
pub mod report;
pub mod cli;

pub use error::{Error, Kind, Problem, Result};
