//! Figure `nonlinearity_level`: charge of a full pulse against stored voltage, with the fit and the published cubic.

use super::axis::{Axis, eng};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, BLUE, Dash, GRAY, GREEN, Marker, Shape, Stroke, VERMILLION};
use crate::error::Result;

/// Charges of some points; all vectors are of one length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Charges {
    /// Stored voltages [V], ascending.
    pub v_store_v: Vec<f64>,
    /// Charge drawn from the bit line in SPICE [C].
    pub simulated_c: Vec<f64>,
    /// The fitted form [C].
    pub fitted_c: Vec<f64>,
    /// The published cubic on the same charge scale [C].
    pub published_c: Vec<f64>,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LevelData {
    /// Conditions.
    pub conditions: Conditions,
    /// Pulse width [s].
    pub t_pulse_s: f64,
    /// Bit-line voltage [V].
    pub v_bl_v: f64,
    /// Charge of one unit of the published polynomial [C].
    pub charge_per_unit_c: f64,
    /// What errors are a fraction of [C].
    pub full_scale_c: f64,
    /// The fitted form on a fine grid (stored voltage [V], charge [C]); empty: drawn through the points.
    pub fitted_line: Vec<(f64, f64)>,
    /// The published cubic, likewise.
    pub published_line: Vec<(f64, f64)>,
    /// Points of the grid.
    pub grid: Charges,
    /// Points that no fit saw; may be empty.
    pub held_out: Charges,
    /// Limit on the error [full scale].
    pub limit: f64,
}

/// Builds the figure.
pub fn figure(data: &LevelData) -> Figure {
    let grid = &data.grid;
    let x = || Axis::linear("Stored voltage", "V", grid.v_store_v.iter().copied()).prefix(0);
    let all = grid.simulated_c.iter().chain(&grid.fitted_c).chain(&grid.published_c).copied();
    let mut above = Panel::new("", x(), Axis::linear("Charge per pulse", "C", all)).shares_x();
    above.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    let over = |v: &[f64], q: &[f64]| v.iter().copied().zip(q.iter().copied()).collect::<Vec<_>>();
    let line = |fine: &[(f64, f64)], coarse: &[f64]| {
        if fine.is_empty() { over(&grid.v_store_v, coarse) } else { fine.to_vec() }
    };
    above.line("published cubic", line(&data.published_line, &grid.published_c), Stroke::new(VERMILLION, Dash::Dashed));
    above.line("fitted form", line(&data.fitted_line, &grid.fitted_c), Stroke::new(BLUE, Dash::Solid));
    above.points("SPICE", over(&grid.v_store_v, &grid.simulated_c), Marker::open(Shape::Circle, BLACK));
    let held = &data.held_out;
    above.points("SPICE, held out", over(&held.v_store_v, &held.simulated_c), Marker::filled(Shape::Diamond, GREEN));

    let error = |charges: &Charges, model: &[f64]| {
        let error = |(q, m): (&f64, &f64)| (m - q) / data.full_scale_c;
        charges.simulated_c.iter().zip(model).map(error).collect::<Vec<f64>>()
    };
    let (fit, cubic) = (error(grid, &grid.fitted_c), error(grid, &grid.published_c));
    let held_error = error(held, &held.fitted_c);
    let shown = fit.iter().chain(&cubic).chain(&held_error).copied().chain([data.limit]);
    let mut below = Panel::new("", x(), Axis::symmetric("Error", "% of full scale", shown));
    below.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    let label = format!("limit, ± {:.1} %", 100.0 * data.limit);
    below.horizontals(&label, [-data.limit, data.limit], Stroke::thin(BLACK, Dash::Dotted));
    let marked = [
        ("published cubic", cubic, VERMILLION, Dash::Dashed, Shape::Triangle),
        ("fitted form", fit, BLUE, Dash::Solid, Shape::Circle),
    ];
    for (label, error, color, dash, shape) in marked {
        below.line(label, over(&grid.v_store_v, &error), Stroke::thin(color, dash));
        below.points(label, over(&grid.v_store_v, &error), Marker::open(shape, color).radius(3.5));
    }
    below.points("fitted form, held out", over(&held.v_store_v, &held_error), Marker::filled(Shape::Diamond, GREEN));
    let conditions = data.conditions.line(&format!(
        "pulse {} · bit line {} V · one unit of the cubic = {} · full scale {}",
        eng(data.t_pulse_s, "s"),
        data.v_bl_v,
        eng(data.charge_per_unit_c, "C"),
        eng(data.full_scale_c, "C")
    ));
    Figure::new("nonlinearity_level", "Charge per pulse against stored voltage", conditions, (900, 760))
        .row(1.35, vec![above])
        .row(1.0, vec![below])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &LevelData, target: &Target) -> Result<()> {
    figure(data).save(target)
}
