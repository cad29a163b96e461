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

pub mod dataset;
pub mod error;
pub mod expr;
pub mod keys;
pub mod measure;
pub mod netlist;
pub mod project;
pub mod rng;
pub mod simulate;
pub mod spec;
pub mod sweep;
pub mod tech;
pub mod units;
pub mod waveform;

pub mod validate;

#[cfg(feature = "plot")]
pub mod plot;
pub mod report;

pub use error::{Error, Kind, Problem, Result};
