//! Figure `noise`: current noise of cell and converter over frequency, and what white plus flicker noise misses.

use super::axis::Axis;
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, CYCLE, Dash, GRAY, Marker, Shape, Stroke};
use crate::error::Result;

/// One spectrum with its model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NoiseSeries {
    /// What it is of: `cell, 0.9 V`.
    pub label: String,
    /// Frequencies [Hz], ascending.
    pub frequency_hz: Vec<f64>,
    /// Root of the density [A/sqrt(Hz)].
    pub root_density: Vec<f64>,
    /// The model's, at the same frequencies [A/sqrt(Hz)].
    pub fitted: Vec<f64>,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NoiseData {
    /// Conditions.
    pub conditions: Conditions,
    /// Full pulse [s].
    pub t_max_s: f64,
    /// Spectra.
    pub series: Vec<NoiseSeries>,
}

/// Builds the figure. Every other frequency, from the second on, was held out of the fit; open markers are those that were not.
pub fn figure(data: &NoiseData) -> Figure {
    let frequencies = || data.series.iter().flat_map(|s| s.frequency_hz.iter().copied());
    let (low, high) = (frequencies().fold(f64::INFINITY, f64::min), frequencies().fold(0.0, f64::max));
    let x = || Axis::log("Frequency", "Hz", low, high);
    let roots = || data.series.iter().flat_map(|s| s.root_density.iter().copied());
    let (least, most) = (roots().fold(f64::INFINITY, f64::min), roots().fold(0.0, f64::max));
    let mut above = Panel::new("", x(), Axis::log("Current noise", "A/√Hz", 0.7 * least, 1.4 * most)).shares_x();
    above.verticals("1 / full pulse", [1.0 / data.t_max_s], Stroke::thin(GRAY, Dash::Dotted));
    for (series, color) in data.series.iter().zip(CYCLE.iter().cycle()) {
        let points: Vec<(f64, f64)> =
            series.frequency_hz.iter().copied().zip(series.root_density.iter().copied()).collect();
        let fitted = series.frequency_hz.iter().copied().zip(series.fitted.iter().copied());
        above.line("white + flicker", fitted, Stroke::thin(BLACK, Dash::Solid));
        above.points(&series.label, points.iter().copied().step_by(2), Marker::open(Shape::Circle, *color));
        above.points("held out", points.iter().copied().skip(1).step_by(2), Marker::filled(Shape::Diamond, *color));
    }
    let error = |s: &NoiseSeries| -> Vec<(f64, f64)> {
        let relative = s.fitted.iter().zip(&s.root_density).map(|(f, r)| 100.0 * (f / r * (f / r) - 1.0));
        s.frequency_hz.iter().copied().zip(relative).skip(1).step_by(2).collect()
    };
    let errors = data.series.iter().flat_map(|s| error(s).into_iter().map(|(_, e)| e));
    let mut below = Panel::new("", x(), Axis::linear("Error of the density", "%", errors.chain([0.0])).prefix(0));
    below.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    for (series, color) in data.series.iter().zip(CYCLE.iter().cycle()) {
        below.line("", error(series), Stroke::thin(*color, Dash::Solid));
        below.points("", error(series), Marker::filled(Shape::Diamond, *color));
    }
    let conditions = data.conditions.line("one-sided, ngspice .noise");
    Figure::new("noise", "Noise of cell and conversion current", conditions, (900, 760))
        .row(1.4, vec![above])
        .row(1.0, vec![below])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &NoiseData, target: &Target) -> Result<()> {
    figure(data).save(target)
}
