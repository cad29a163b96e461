//! Figure `write`: stored against driven voltage, and where the error comes from.

use super::axis::{Axis, eng, span};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, BLUE, Dash, GRAY, GREEN, Marker, SILVER, Shape, Stroke, VERMILLION};
use crate::error::Result;

/// Writes over one previous level; all vectors are of one length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriteSeries {
    /// Voltage that the cell held before [V].
    pub v_prev_v: f64,
    /// Driven levels [V], ascending.
    pub v_level_v: Vec<f64>,
    /// Just before the write enable closes [V].
    pub v_written_v: Vec<f64>,
    /// After it has closed [V].
    pub v_stored_v: Vec<f64>,
    /// Fitted stored voltage [V]; may be empty.
    pub fitted_v: Vec<f64>,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriteData {
    /// Conditions.
    pub conditions: Conditions,
    /// Length of the write pulse [s].
    pub t_write_s: f64,
    /// One series per previous level.
    pub series: Vec<WriteSeries>,
    /// Held-out points (driven, stored) [V]; may be empty.
    pub held_out: Vec<(f64, f64)>,
}

/// Builds the figure.
pub fn figure(data: &WriteData) -> Figure {
    let x =
        || Axis::linear("Driven level", "V", data.series.iter().flat_map(|s| s.v_level_v.iter().copied())).prefix(0);
    let stored = data.series.iter().flat_map(|s| s.v_stored_v.iter().chain(&s.v_level_v).copied());
    let mut above = Panel::new("", x(), Axis::linear("Stored voltage", "V", stored).prefix(0)).shares_x();
    if let Some((low, high)) = span(data.series.iter().flat_map(|s| s.v_level_v.iter().copied())) {
        above.guide("ideal", [(low, low), (high, high)], Stroke::thin(SILVER, Dash::Long));
    }
    let looks = [(Shape::Circle, BLUE, Dash::Solid), (Shape::Triangle, VERMILLION, Dash::Dashed)];
    for (series, (shape, color, _)) in data.series.iter().zip(looks.iter().cycle()) {
        let points: Vec<_> = series.v_level_v.iter().copied().zip(series.v_stored_v.iter().copied()).collect();
        above.points(&format!("SPICE, was {} V", series.v_prev_v), points, Marker::open(*shape, *color));
    }
    above.points("held out", data.held_out.iter().copied(), Marker::filled(Shape::Diamond, GREEN));
    for series in &data.series {
        let fitted = series.v_level_v.iter().copied().zip(series.fitted_v.iter().copied());
        above.line("fit", fitted, Stroke::thin(BLACK, Dash::Solid));
    }

    let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let errors = data.series.iter().flat_map(|s| {
        [minus(&s.v_written_v, &s.v_level_v), minus(&s.v_stored_v, &s.v_written_v), minus(&s.v_stored_v, &s.v_level_v)]
            .concat()
    });
    let mut below = Panel::new("", x(), Axis::linear("Error", "V", errors.chain([0.0])));
    below.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    for (series, (shape, color, dash)) in data.series.iter().zip(looks.iter().cycle()) {
        let at = |errors: Vec<f64>| series.v_level_v.iter().copied().zip(errors).collect::<Vec<_>>();
        let was = format!("was {} V", series.v_prev_v);
        let settling = at(minus(&series.v_written_v, &series.v_level_v));
        let injection = at(minus(&series.v_stored_v, &series.v_written_v));
        let total = at(minus(&series.v_stored_v, &series.v_level_v));
        below.line(&format!("settling, {was}"), settling, Stroke::thin(*color, Dash::Dotted));
        below.line(&format!("injection, {was}"), injection, Stroke::thin(*color, Dash::DashDot));
        let label = format!("total, {was}");
        below.line(&label, total.clone(), Stroke::new(*color, *dash));
        below.points(&label, total, Marker::open(*shape, *color));
    }
    let conditions = data.conditions.line(&format!("write pulse {}", eng(data.t_write_s, "s")));
    Figure::new("write", "Write: driven level to stored voltage", conditions, (900, 760))
        .row(1.0, vec![above])
        .row(1.0, vec![below])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &WriteData, target: &Target) -> Result<()> {
    figure(data).save(target)
}
