//! Figure `iv`: transfer curves of every transistor flavour, and figures of merit against their targets.

use super::axis::{Axis, eng, span};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, CYCLE, Dash, GRAY, MIST, Marker, Shape, Stroke};
use crate::error::Result;

/// One transfer curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Flavour, as in `nfet_svt`.
    pub flavour: String,
    /// Drain voltage, as a magnitude [V].
    pub v_drain_v: f64,
    /// Gate voltages, as magnitudes [V].
    pub v_gate_v: Vec<f64>,
    /// Drain current per width, as a magnitude [A/m]; as long as `v_gate_v`.
    pub i_drain_a_per_m: Vec<f64>,
}

/// A figure of merit against its target, in any one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Merit {
    /// Flavour, as in [`Curve::flavour`].
    pub flavour: String,
    /// What it is: `Ion`, `Ioff`, `SS`, `DIBL`, `gate leakage`.
    pub figure: String,
    /// Measured value over target.
    pub ratio: f64,
    /// Accepted deviation of the ratio from 1.
    pub tolerance: f64,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IvData {
    /// Conditions.
    pub conditions: Conditions,
    /// Channel length of the devices [m].
    pub length_m: f64,
    /// Transfer curves; per flavour one at low and one at high drain voltage.
    pub curves: Vec<Curve>,
    /// Figures of merit.
    pub merits: Vec<Merit>,
}

/// Builds the figure.
pub fn figure(data: &IvData) -> Figure {
    let mut flavours: Vec<&str> = Vec::new();
    for name in data.curves.iter().map(|c| &c.flavour).chain(data.merits.iter().map(|m| &m.flavour)) {
        if !flavours.contains(&name.as_str()) {
            flavours.push(name);
        }
    }
    let kind = |flavour: &str| flavours.iter().position(|name| *name == flavour).unwrap_or(0);
    let conditions = data.conditions.line(&format!("L = {}", eng(data.length_m, "m")));
    let mut panels = vec![transfer(data, &flavours, kind)];
    // Targets hold at one temperature; at another one there is nothing to compare with.
    if !data.merits.is_empty() {
        panels.push(merits(data, &flavours, kind));
    }
    Figure::new("iv", "Transfer curves of the transistor flavours", conditions, (1100, 660)).row(1.0, panels)
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &IvData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn transfer(data: &IvData, flavours: &[&str], kind: impl Fn(&str) -> usize) -> Panel {
    // Per micrometre of width, as designers quote it.
    let per_um = |a_per_m: f64| a_per_m * 1e-6;
    let currents = data.curves.iter().flat_map(|c| c.i_drain_a_per_m.iter().map(|i| per_um(*i)));
    let (low, high) = span(currents.filter(|i| *i > 0.0)).unwrap_or((1e-12, 1e-3));
    let top = span(data.curves.iter().flat_map(|c| c.v_gate_v.iter().copied())).map_or(1.0, |(_, high)| high);
    let x = Axis::between("Gate voltage, magnitude", "V", 0.0, top).prefix(0);
    let low = 10f64.powf(low.log10().floor().max(-15.0));
    let y = Axis::log("Drain current per µm of width", "A", low, 10f64.powf(high.log10().ceil()));
    let mut panel = Panel::new("", x, y);
    let saturation = span(data.curves.iter().map(|c| c.v_drain_v)).map_or(0.0, |(_, high)| high);
    let mut drains: Vec<(f64, Dash)> = Vec::new();
    for curve in &data.curves {
        let i = kind(&curve.flavour);
        let saturated = curve.v_drain_v == saturation;
        let dash = if saturated { Dash::Solid } else { Dash::Dashed };
        let color = CYCLE[i % CYCLE.len()];
        let points: Vec<(f64, f64)> =
            curve.v_gate_v.iter().copied().zip(curve.i_drain_a_per_m.iter().map(|i| per_um(*i))).collect();
        // A marker every tenth point, shifted per flavour, tells the flavours apart in gray.
        let every = (points.len() / 9).max(1);
        let marked = points.iter().copied().skip((i * every) / flavours.len().max(1)).step_by(every);
        panel.points(&curve.flavour, marked.collect::<Vec<_>>(), Marker::open(Shape::CYCLE[i % 6], color));
        panel.line("", points, Stroke::new(color, dash));
        drains.push((curve.v_drain_v, dash));
    }
    drains.sort_by(|a, b| b.0.total_cmp(&a.0));
    drains.dedup();
    for (v_drain_v, dash) in drains {
        panel.line(&format!("drain at {v_drain_v} V"), [], Stroke::new(GRAY, dash));
    }
    panel
}

fn merits(data: &IvData, flavours: &[&str], kind: impl Fn(&str) -> usize) -> Panel {
    let mut names: Vec<&str> = Vec::new();
    for merit in &data.merits {
        if !names.contains(&merit.figure.as_str()) {
            names.push(&merit.figure);
        }
    }
    let tolerance = data.merits.iter().map(|m| m.tolerance).fold(0.0, f64::max);
    let reach = data.merits.iter().map(|m| (m.ratio - 1.0).abs()).filter(|r| r.is_finite()).fold(tolerance, f64::max);
    let reach = 1.15 * reach.max(0.05);
    let x = Axis::between("Measured / target", "", (1.0 - reach).max(0.0), 1.0 + reach);
    let mut panel = Panel::new("", x, Axis::names("", names.iter().copied()).reversed());
    panel.band_x(&format!("tolerance, ± {:.0} %", 100.0 * tolerance), 1.0 - tolerance, 1.0 + tolerance, MIST);
    panel.verticals("target", [1.0], Stroke::thin(BLACK, Dash::Dotted));
    for (i, flavour) in flavours.iter().enumerate() {
        let points = data.merits.iter().filter(|m| kind(&m.flavour) == i).filter_map(|merit| {
            let row = names.iter().position(|name| *name == merit.figure)?;
            let offset = 0.16 * (i as f64 - 0.5 * (flavours.len() as f64 - 1.0));
            Some((merit.ratio, row as f64 + offset))
        });
        let marker = Marker::filled(Shape::CYCLE[i % 6], CYCLE[i % CYCLE.len()]).radius(5.0);
        panel.points(flavour, points.collect::<Vec<_>>(), marker);
    }
    panel
}
