//! Figure `retention`: how stored voltages drift, and how fast, at each hold bias of the write bit line.

use super::axis::{Axis, eng, span};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, BLUE, Dash, GRAY, GREEN, Marker, Shape, Stroke, VERMILLION};
use crate::error::Result;

/// One hold transient; times are ages, from the end of the write.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transient {
    /// Ages [s], ascending.
    pub t_s: Vec<f64>,
    /// Stored voltage [V], as long as `t_s`.
    pub v_store_v: Vec<f64>,
}

/// Everything at one hold bias.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hold {
    /// Voltage of the write bit line while the cell holds [V].
    pub v_wbl_v: f64,
    /// SPICE, one per level.
    pub simulated: Vec<Transient>,
    /// The leakage model from the same starts.
    pub modelled: Vec<Transient>,
    /// Rate of the model (stored voltage [V], dV/dt [V/s]).
    pub rate: Vec<(f64, f64)>,
    /// Rate from SPICE's transients or DC leakage (stored voltage [V], dV/dt [V/s]); may be empty.
    pub rate_simulated: Vec<(f64, f64)>,
    /// Stored voltage at which nothing drifts [V]; none if it lies outside what was simulated.
    pub equilibrium_v: Option<f64>,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetentionData {
    /// Conditions.
    pub conditions: Conditions,
    /// Hold biases, ascending.
    pub holds: Vec<Hold>,
    /// Time constant of the published exponential [s].
    pub published_tau_s: f64,
    /// Voltage to which the published exponential decays [V].
    pub published_zero_v: f64,
}

/// Builds the figure.
pub fn figure(data: &RetentionData) -> Figure {
    let looks = [
        (BLUE, Dash::Solid, Shape::Circle),
        (GREEN, Dash::DashDot, Shape::Square),
        (VERMILLION, Dash::Dashed, Shape::Triangle),
    ];
    let drifts = data.holds.iter().zip(looks.iter().cycle()).enumerate();
    let drifts = drifts.map(|(i, (hold, (color, _, shape)))| {
        let x = Axis::log("Age, since the end of the write", "s", times(data).0, times(data).1);
        let voltages = data.holds.iter().flat_map(|h| h.simulated.iter().flat_map(|t| t.v_store_v.iter().copied()));
        let y = Axis::linear(if i == 0 { "Stored voltage" } else { "" }, "V", voltages).prefix(0);
        let mut panel = Panel::new(format!("write bit line held at {} V", hold.v_wbl_v), x, y);
        for transient in &hold.simulated {
            let every = (transient.t_s.len() / 14).max(1);
            panel.points("SPICE", pairs(transient).step_by(every), Marker::open(*shape, *color).radius(3.5));
            let start = transient.v_store_v.first().copied().unwrap_or(f64::NAN);
            panel.guide("published exponential", published(data, start), Stroke::thin(BLACK, Dash::Dashed));
        }
        for transient in &hold.modelled {
            panel.line("leakage model", pairs(transient), Stroke::new(*color, Dash::Solid));
        }
        panel
    });
    let conditions = data.conditions.line(&format!("published: τ = {}", eng(data.published_tau_s, "s")));
    let title = "Retention: drift of the stored voltage after a transistor-level write";
    Figure::new("retention", title, conditions, (1200, 900))
        .row(1.15, drifts.collect())
        .row(1.0, vec![rates(data, &looks)])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &RetentionData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn times(data: &RetentionData) -> (f64, f64) {
    let times = data.holds.iter().flat_map(|h| h.simulated.iter().flat_map(|t| t.t_s.iter().copied()));
    span(times.filter(|t| *t > 0.0)).unwrap_or((1e-7, 1e-3))
}

fn pairs(transient: &Transient) -> impl Iterator<Item = (f64, f64)> + '_ {
    transient.t_s.iter().copied().zip(transient.v_store_v.iter().copied())
}

fn published(data: &RetentionData, start_v: f64) -> Vec<(f64, f64)> {
    let (first, last) = times(data);
    let voltage =
        |t: f64| data.published_zero_v + (start_v - data.published_zero_v) * (-t / data.published_tau_s).exp();
    (0..=60).map(|i| first * (last / first).powf(f64::from(i) / 60.0)).map(|t| (t, voltage(t))).collect()
}

fn rates(data: &RetentionData, looks: &[(plotters::style::RGBColor, Dash, Shape); 3]) -> Panel {
    let voltages = data.holds.iter().flat_map(|h| h.rate.iter().map(|(v, _)| *v));
    let (low, high) = span(voltages).unwrap_or((0.0, 1.0));
    let rate = data.holds.iter().flat_map(|h| h.rate.iter().map(|(_, rate)| *rate));
    let x = Axis::linear("Stored voltage", "V", [low, high]).prefix(0);
    let mut panel = Panel::new("Rate of drift", x, Axis::linear("dV/dt", "V/s", rate.chain([0.0])));
    panel.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    let slope = |v: f64| (v, -(v - data.published_zero_v) / data.published_tau_s);
    panel.guide("published exponential", [slope(low), slope(high)], Stroke::thin(BLACK, Dash::Dashed));
    for (hold, (color, dash, shape)) in data.holds.iter().zip(looks.iter().cycle()) {
        let label = format!("held at {} V", hold.v_wbl_v);
        panel.line(&label, hold.rate.iter().copied(), Stroke::new(*color, *dash));
        panel.points(&label, hold.rate_simulated.iter().copied(), Marker::open(*shape, *color));
    }
    for hold in &data.holds {
        let at = hold.equilibrium_v.map(|v| (v, 0.0));
        panel.points("equilibrium", at, Marker::filled(Shape::Diamond, BLACK).radius(5.5));
    }
    panel
}
