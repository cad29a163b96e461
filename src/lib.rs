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

pub mod error;
pub mod units;
pub mod expr;
pub mod waveform;
pub mod dataset;
pub mod measure;
pub mod simulate;
pub mod spline;
pub mod fit;

pub use error::{Error, Kind, Problem, Result};
