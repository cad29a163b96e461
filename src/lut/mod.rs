//! The lookup table: all that the emulator, and anyone else, needs to know of a characterized cell and its converters.
//!
//! A [`Table`] holds curves and grids with named axes and units, the compact models behind them, the validity box and
//! what made it. `results/luts/<name>/table.json` is the whole of it; `table.parquet`, beside it, the grids in long
//! format for other programs. Charges are positive when drawn from the bit line (see [`mod@table`]).
//!
//! | section | what | from |
//! |---|---|---|
//! | `write` | stored voltage over driven level, its spread, levels to drive | transients of the write path |
//! | `retention` | dV/dt over write bit line and stored voltage | leakage and capacitance, checked by transients |
//! | `cell`, `cell_v` | charge over stored voltage, width, bit line; its reduction to a line and a residual | transients of one cell |
//! | `column_k`, `column_v` | bit-line capacitance, precharge, cancelled offset | sizing and calibration |
//! | `readout_unsigned`, `readout_signed` | pulse width over charge | transients of the converters |
//! | `variability` | spread of device draws, and what a draw does to a current | mismatch samples |
//! | `noise` | densities of a cell's current, sigmas of write and converters | capacitance, and `.noise` of cell and converter |
//! | `costs` | energy, time and power of the blocks' operations | supply charge in the same transients |

mod behavioural;
pub mod bounds;
mod cell_curves;
mod check;
mod costs;
mod covariance;
mod file;
mod grid;
mod hold;
mod interpolate;
mod noise;
#[cfg(feature = "dataset")]
mod parquet;
mod reduce;
pub mod synthetic;
pub mod table;
mod tensors;
mod width_curve;

pub use behavioural::{Behavioural, SPICE_NAME, VERILOG_A_NAME, write_behavioural};
pub use bounds::{Bounds, Outside, Quantity, Tally};
pub use cell_curves::{CONDUCTANCE, CURRENT, CellCurves, EDGE, Pulse};
pub use costs::Cost;
pub use covariance::cholesky;
pub use file::FILE_NAME;
pub use grid::{Axis, Grid};
pub use hold::Hold;
pub use interpolate::{Location, Pchip, locate, slopes};
pub use noise::{Noise, NoiseSigmas};
#[cfg(feature = "dataset")]
pub use parquet::{PARQUET_NAME, read_grids, write_parquet};
pub use table::{
    Branch, Calibration, Cell, Column, Levels, Model, Offset, Parameter, Projection, Readout, Retention, SCHEMA, Scale,
    Table, Validity, Variability, Write,
};
pub use tensors::{NPZ_NAME, SAFETENSORS_NAME, write_tensors};
pub use width_curve::WidthCurve;
