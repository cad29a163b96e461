//! Compact models and their fits: pure functions from points to parameters, intervals and held-out errors.
//!
//! | file | model | what it says |
//! |---|---|---|
//! | [`retention`] | `retention`, `retention_published_exponential` | how the stored voltage drifts |
//! | [`nonlinearity`] | `nonlinearity`, `nonlinearity_*_cubic` | charge of one cell against level, pulse width and bit line |
//! | [`readout`] | `readout`, `readout_signed` | pulse width of the converter against charge |
//! | [`mod@write`], [`dac`] | `write` | stored against driven level, and the levels to drive |
//! | [`variability`] | `variability*` | how parameters scatter from cell to cell |
//! | [`branch`] | | current of a cell's branch under device draws |
//! | [`noise`] | `noise` | what no two writes, reads or conversions have in common |
//! | [`device`] | | figures of merit from I-V curves, against targets |
//!
//! Below them: [`engine`] (nonlinear least squares), [`profile`] (intervals where curvature lies), [`linear`], [`dual`] (forward derivatives), [`ode`],
//! [`monotone`], [`stats`], [`split`]. Every fit gets training and test points apart; errors are those of the test points.

pub mod branch;
pub mod conditions;
pub mod dac;
pub mod device;
pub mod dual;
pub mod engine;
pub mod half_step;
pub mod linear;
pub mod model;
pub mod monotone;
pub mod noise;
pub mod nonlinearity;
pub mod ode;
pub mod profile;
pub mod readout;
pub mod retention;
pub mod split;
pub mod stats;
pub mod surrogate;
pub mod variability;
pub mod write;

pub use model::{Bin, HeldOut, ModelFit, Parameter};

use crate::error::{Error, Kind, Problem};

/// A `FitFailed` error that names the fit, what is wrong and what to do.
pub(crate) fn failed(fit: &str, message: impl Into<String>, help: &str) -> Error {
    Problem::new(Kind::FitFailed, message).key(fit).help(help).into()
}

/// Refuses an empty set and numbers that are not finite; `columns` names each point's numbers.
pub(crate) fn check_points<const N: usize>(
    fit: &str,
    set: &str,
    columns: [&str; N],
    points: impl IntoIterator<Item = [f64; N]>,
) -> Result<(), Error> {
    let mut count = 0;
    for (i, point) in points.into_iter().enumerate() {
        count += 1;
        if let Some(k) = point.iter().position(|value| !value.is_finite()) {
            return Err(failed(
                fit,
                format!("{set} point {i} has {} = {}", columns[k], point[k]),
                "leave out points without a measured value and count them as missing",
            ));
        }
    }
    if count == 0 {
        return Err(failed(fit, format!("there are no {set} points"), "look at the outcomes in points.parquet"));
    }
    Ok(())
}
