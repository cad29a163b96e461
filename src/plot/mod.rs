//! Figures, as PNG and SVG, rendered only from what is stored: no figure simulates or fits.
//!
//! | file | figure | shows |
//! |---|---|---|
//! | [`iv`] | `iv` | transfer curves of the flavours, figures of merit against targets |
//! | [`corners`] | `devices` | devices over corners, temperature and length |
//! | [`write`] | `write` | stored against driven voltage, settling and injection |
//! | [`retention`] | `retention` | drift over age at each hold bias, rate of drift |
//! | [`nonlinearity_level`] | `nonlinearity_level` | charge against stored voltage, fit and published cubic |
//! | [`nonlinearity_family`] | `nonlinearity_width`, `nonlinearity_bit_line` | charge against pulse width, bit line |
//! | [`readout`] | `readout` | width against charge of both converters |
//! | [`variability_levels`] | `variability_levels` | charge of the dice at every level |
//! | [`variability`] | `variability` | sigma, correlations, converter's offset and gain |
//! | [`variability_spread`] | `variability_spread` | quantiles of 10,000 dice, process corners, how long levels last |
//! | [`noise`] | `noise` | noise of cell and conversion current over frequency |
//! | [`validation`] | `validation` | emulator against SPICE |
//! | [`budget`] | `budget` | what each effect does to the error |
//! | [`sweep`] | any sweep's name | every measurement of a sweep, a designer's own included |
//! | [`schematic`] | a subcircuit's name | its schematic, from the netlist |
//!
//! Each has a struct of plain numbers in base units, `figure(&data)`, which builds the [`Figure`], and `draw(&data,
//! &target)`, which writes it. A [`Figure`] is rows of [`Panel`]s; it becomes a [`scene::Scene`], a list of strokes, fills
//! and texts, which the [`canvas`] hands to plotters' bitmap and SVG backends. The same data give the same bytes.

pub mod axis;
pub mod budget;
pub mod canvas;
mod compact;
pub mod corners;
pub mod figure;
mod histogram;
pub mod iv;
pub mod noise;
pub mod nonlinearity_family;
pub mod nonlinearity_level;
pub mod panel;
pub mod readout;
pub mod results;
mod spread_results;
pub mod retention;
#[cfg(test)]
pub(crate) mod samples;
pub mod scene;
pub mod schematic;
pub mod style;
pub mod sweep;
pub mod validation;
pub mod variability;
pub mod variability_levels;
pub mod variability_spread;
pub mod write;

pub use axis::{Axis, eng};
pub use canvas::Target;
pub use figure::{Conditions, Figure};
pub use panel::{LegendPlace, Panel};
