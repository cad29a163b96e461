//! Figure `devices`: what corners, temperature and length do to a technology's devices.

use super::axis::{Axis, span};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, CYCLE, Dash, GRAY, Marker, Shape, Stroke};
use crate::error::Result;

/// Figures of one device under one condition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Device {
    /// Flavour, as in `nfet_svt`; of `pfet_svt` the diamond takes it for the partner.
    pub flavour: String,
    /// Process corner; empty for nominal models.
    pub corner: String,
    /// Temperature [degC].
    pub temperature_degc: f64,
    /// Channel length as drawn [m].
    pub length_m: f64,
    /// On-current per width [A/m].
    pub ion_a_per_m: f64,
    /// Off-current per width [A/m].
    pub ioff_a_per_m: f64,
    /// Threshold at the supply [V].
    pub vth_sat_v: f64,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CornersData {
    /// Conditions.
    pub conditions: Conditions,
    /// Devices; the first of each flavour is the nominal one.
    pub devices: Vec<Device>,
}

/// Builds the figure.
pub fn figure(data: &CornersData) -> Figure {
    let mut flavours: Vec<&str> = Vec::new();
    for device in &data.devices {
        if !flavours.contains(&device.flavour.as_str()) {
            flavours.push(&device.flavour);
        }
    }
    let above = vec![
        over_temperature(data, &flavours, "On-current per µm of width", false, |d| d.ion_a_per_m * 1e-6),
        over_temperature(data, &flavours, "Off-current per µm of width", true, |d| d.ioff_a_per_m * 1e-6),
    ];
    let below = vec![diamond(data, &flavours), over_length(data, &flavours)];
    let title = "Devices over corners, temperature and length";
    Figure::new("devices", title, data.conditions.line(""), (1100, 900)).row(1.0, above).row(1.0, below)
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &CornersData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

/// The nominal device of a flavour.
fn nominal<'a>(data: &'a CornersData, flavour: &str) -> Option<&'a Device> {
    data.devices.iter().find(|device| device.flavour == flavour)
}

fn dash(corner: &str) -> Dash {
    match corner {
        "ff" => Dash::Dashed,
        "ss" => Dash::Dotted,
        _ => Dash::Solid,
    }
}

/// Lines over temperature: nominal solid, fast dashed, slow dotted.
fn over_temperature(
    data: &CornersData,
    flavours: &[&str],
    label: &str,
    logarithmic: bool,
    of: impl Fn(&Device) -> f64,
) -> Panel {
    let shortest = |device: &&Device| nominal(data, &device.flavour).is_some_and(|n| n.length_m == device.length_m);
    let shown: Vec<&Device> = data.devices.iter().filter(shortest).collect();
    let x = Axis::linear("Temperature", "°C", shown.iter().map(|d| d.temperature_degc)).prefix(0);
    let (low, high) = span(shown.iter().map(|d| of(d)).filter(|i| *i > 0.0)).unwrap_or((1e-12, 1e-3));
    let y = if logarithmic {
        Axis::log(label, "A", 10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()))
    } else {
        Axis::between(label, "A", 0.0, 1.05 * high)
    };
    let mut panel = Panel::new("", x, y);
    let mut corners: Vec<&str> = Vec::new();
    for (i, flavour) in flavours.iter().enumerate() {
        let color = CYCLE[i % CYCLE.len()];
        for corner in ["", "tt", "ff", "ss"] {
            let mut points: Vec<(f64, f64)> = shown
                .iter()
                .filter(|d| d.flavour == *flavour && d.corner == corner)
                .map(|d| (d.temperature_degc, of(d)))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if points.len() < 2 {
                continue;
            }
            if !corners.contains(&corner) {
                corners.push(corner);
            }
            let marked = if corner == "ff" || corner == "ss" { Vec::new() } else { points.clone() };
            panel.points(flavour, marked, Marker::open(Shape::CYCLE[i % 6], color));
            panel.line("", points, Stroke::new(color, dash(corner)));
        }
    }
    for corner in corners.into_iter().filter(|corner| !corner.is_empty()) {
        panel.line(corner, [], Stroke::new(GRAY, dash(corner)));
    }
    panel
}

/// On-current of the PMOS against that of the NMOS of one kind, each over its nominal one: the corners at nominal temperature.
fn diamond(data: &CornersData, flavours: &[&str]) -> Panel {
    let mut kinds: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for n in flavours.iter().filter(|flavour| flavour.starts_with('n')) {
        let p = format!("p{}", &n[1..]);
        let (Some(n0), Some(p0)) = (nominal(data, n), nominal(data, &p)) else { continue };
        let at = |flavour: &str, corner: &str| {
            let here = |d: &&Device| {
                d.flavour == flavour
                    && d.corner == corner
                    && d.temperature_degc == n0.temperature_degc
                    && d.length_m == n0.length_m
            };
            data.devices.iter().find(here).map(|d| d.ion_a_per_m)
        };
        let point = |corner: &&str| Some((at(n, corner)? / n0.ion_a_per_m, at(&p, corner)? / p0.ion_a_per_m));
        let ring: Vec<(f64, f64)> = ["ss", "sf", "ff", "fs", "ss"].iter().filter_map(point).collect();
        if ring.len() > 1 {
            kinds.push((format!("{n}, {p}"), ring));
        }
    }
    let all = || kinds.iter().flat_map(|(_, ring)| ring.iter());
    let (low, high) = span(all().flat_map(|(x, y)| [*x, *y])).unwrap_or((0.9, 1.1));
    let room = 0.1 * (high - low);
    let axis = |label: &str| Axis::between(label, "", low - room, high + room);
    let mut panel = Panel::new("", axis("On-current of the NMOS / nominal"), axis("On-current of the PMOS / nominal"));
    for (i, (name, ring)) in kinds.iter().enumerate() {
        let color = CYCLE[i % CYCLE.len()];
        panel.line("", ring.clone(), Stroke::new(color, Dash::Solid));
        panel.points(name, ring.clone(), Marker::filled(Shape::CYCLE[i % 6], color));
    }
    panel.points("nominal", [(1.0, 1.0)], Marker::filled(Shape::Diamond, BLACK));
    panel
}

/// Threshold over channel length, where lengths were looked at.
fn over_length(data: &CornersData, flavours: &[&str]) -> Panel {
    let at_nominal = |device: &&Device| {
        nominal(data, &device.flavour)
            .is_some_and(|n| n.corner == device.corner && n.temperature_degc == device.temperature_degc)
    };
    let shown: Vec<&Device> = data.devices.iter().filter(at_nominal).collect();
    let (low, high) = span(shown.iter().map(|d| d.length_m)).unwrap_or((1e-8, 1e-6));
    let x = Axis::log("Channel length", "m", 0.8 * low, 1.25 * high.max(1.01 * low));
    let y = Axis::linear("Threshold at the supply, magnitude", "V", shown.iter().map(|d| d.vth_sat_v));
    let mut panel = Panel::new("", x, y);
    for (i, flavour) in flavours.iter().enumerate() {
        let mut points: Vec<(f64, f64)> =
            shown.iter().filter(|d| d.flavour == *flavour).map(|d| (d.length_m, d.vth_sat_v)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let color = CYCLE[i % CYCLE.len()];
        panel.line("", points.clone(), Stroke::new(color, Dash::Solid));
        panel.points(flavour, points, Marker::open(Shape::CYCLE[i % 6], color));
    }
    panel
}
