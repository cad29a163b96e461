//! Figure `readout`: pulse width of both converters against charge, and what the fit misses.

use super::axis::{Axis, eng};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLUE, Dash, GRAY, GREEN, MIST, Marker, SKY, Shape, Stroke, VERMILLION};
use crate::error::Result;

/// Transfer of one converter; widths of the signed one carry its sign.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transfer {
    /// Charges [C], ascending.
    pub charge_c: Vec<f64>,
    /// Pulse widths in SPICE [s], as long as `charge_c`.
    pub t_width_s: Vec<f64>,
    /// Fitted widths [s], as long as `charge_c`.
    pub fitted_s: Vec<f64>,
    /// Held-out points (charge [C], width in SPICE [s], fitted [s]); may be empty.
    pub held_out: Vec<(f64, f64, f64)>,
    /// Charges between which no pulse comes [C]; an end may be infinite.
    pub dead_zone_c: Option<(f64, f64)>,
    /// Charges at which the pulse is full [C].
    pub saturation_c: Vec<f64>,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadoutData {
    /// Conditions.
    pub conditions: Conditions,
    /// Full pulse [s].
    pub t_max_s: f64,
    /// The charge-to-pulse converter.
    pub unsigned: Transfer,
    /// The signed one.
    pub signed: Transfer,
    /// Limit on the error [full scale].
    pub limit: f64,
}

/// Builds the figure.
pub fn figure(data: &ReadoutData) -> Figure {
    let a = transfer(data, &data.unsigned, "Charge to pulse", "Pulse width");
    let b = transfer(data, &data.signed, "Signed charge to pulse", "Pulse width, with sign");
    let (c, d) = (residual(data, &data.unsigned), residual(data, &data.signed));
    let conditions = data.conditions.line(&format!("full scale {}", eng(data.t_max_s, "s")));
    Figure::new("readout", "Charge-to-pulse converters: width of the output pulse", conditions, (1200, 800))
        .row(1.35, vec![a, b])
        .row(1.0, vec![c, d])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &ReadoutData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn axis(transfer: &Transfer) -> Axis {
    Axis::linear("Charge from the bit line", "C", transfer.charge_c.iter().copied())
}

fn marks(panel: &mut Panel, transfer: &Transfer, named: bool) {
    let name = |name: &'static str| if named { name } else { "" };
    if let Some((low, high)) = transfer.dead_zone_c {
        panel.band_x(name("no pulse"), low, high, MIST);
    }
    panel.verticals(name("saturation"), transfer.saturation_c.iter().copied(), Stroke::thin(SKY, Dash::DashDot));
}

fn transfer(data: &ReadoutData, transfer: &Transfer, title: &str, label: &str) -> Panel {
    let widths = transfer.t_width_s.iter().chain(&transfer.fitted_s).copied().chain([data.t_max_s]);
    let y = Axis::linear(label, "s", widths);
    let mut panel = Panel::new(title, axis(transfer), y).shares_x();
    marks(&mut panel, transfer, true);
    let fitted = transfer.charge_c.iter().copied().zip(transfer.fitted_s.iter().copied());
    panel.line("fit", fitted.collect::<Vec<_>>(), Stroke::new(BLUE, Dash::Solid));
    let points = transfer.charge_c.iter().copied().zip(transfer.t_width_s.iter().copied());
    panel.points("SPICE", points.collect::<Vec<_>>(), Marker::open(Shape::Circle, VERMILLION).radius(3.0));
    let held = transfer.held_out.iter().map(|(q, t, _)| (*q, *t));
    panel.points("held out", held.collect::<Vec<_>>(), Marker::filled(Shape::Diamond, GREEN));
    panel
}

fn residual(data: &ReadoutData, transfer: &Transfer) -> Panel {
    let errors: Vec<f64> = transfer.fitted_s.iter().zip(&transfer.t_width_s).map(|(f, t)| f - t).collect();
    let held: Vec<(f64, f64)> = transfer.held_out.iter().map(|(q, t, f)| (*q, f - t)).collect();
    let limit = data.limit * data.t_max_s;
    let shown = errors.iter().copied().chain(held.iter().map(|(_, e)| *e)).chain([limit]);
    let y = Axis::symmetric("Error of the fit", "s", shown).prefix(-12);
    let mut panel = Panel::new("", axis(transfer), y);
    marks(&mut panel, transfer, false);
    panel.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    let label = format!("limit, ± {:.1} % of full scale", 100.0 * data.limit);
    panel.horizontals(&label, [-limit, limit], Stroke::thin(GRAY, Dash::Dotted));
    let points = transfer.charge_c.iter().copied().zip(errors);
    panel.points("SPICE", points.collect::<Vec<_>>(), Marker::open(Shape::Circle, VERMILLION).radius(3.0));
    panel.points("held out", held, Marker::filled(Shape::Diamond, GREEN));
    panel
}
