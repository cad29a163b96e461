//! Figure `variability`: sigma against level, correlations of the cell's parameters, spread of the converter.

use plotters::style::RGBColor;

use super::axis::{Axis, eng};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::histogram::Histogram;
use super::panel::Panel;
use super::style::{BLACK, BLUE, Dash, Marker, SKY, Shape, Stroke, VERMILLION};
use super::variability_levels::LevelSpread;
use crate::error::Result;

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VariabilityData {
    /// Conditions.
    pub conditions: Conditions,
    /// Where the expected standard deviations come from, as [`super::variability_levels::LevelsData::expectation`].
    pub expectation: String,
    /// Charge of the dice at every level.
    pub levels: Vec<LevelSpread>,
    /// Names of the cell's fitted parameters.
    pub parameters: Vec<String>,
    /// Their correlations, one row per parameter.
    pub correlation: Vec<Vec<f64>>,
    /// Offset of the charge-to-pulse converter, one per die [C].
    pub offset_c: Vec<f64>,
    /// Gain of the converter relative to the nominal one, one per die.
    pub gain: Vec<f64>,
}

/// Builds the figure.
pub fn figure(data: &VariabilityData) -> Figure {
    let dice = data.levels.iter().map(|level| level.charge_c.len()).max().unwrap_or(0);
    let conditions = data.conditions.line(&format!("cell: {dice} dice · converter: {} dice", data.offset_c.len()));
    let offset = spread("Converter: offset", "Offset as charge", "C", &data.offset_c);
    let gain = spread("Converter: gain", "Gain, relative to nominal", "", &data.gain);
    Figure::new("variability", "Mismatch of cell and converter", conditions, (1200, 900))
        .row(1.1, vec![sigmas(data), correlations(data)])
        .row(1.0, vec![offset, gain])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &VariabilityData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn sigmas(data: &VariabilityData) -> Panel {
    let simulated = data.levels.iter().filter_map(|l| Some((l.v_store_v, Histogram::new(&l.charge_c)?)));
    let simulated: Vec<(f64, f64, usize)> =
        simulated.map(|(v, histogram)| (v, histogram.sigma, histogram.counts.iter().sum::<f64>() as usize)).collect();
    let expected: Vec<(f64, f64)> = data.levels.iter().map(|l| (l.v_store_v, l.sigma_expected_c)).collect();
    let top = simulated.iter().map(|(_, s, _)| *s).chain(expected.iter().map(|(_, s)| *s)).fold(0.0, f64::max);
    let x = Axis::linear("Stored voltage", "V", data.levels.iter().map(|l| l.v_store_v)).prefix(0);
    let mut panel =
        Panel::new("Cell: standard deviation of charge", x, Axis::between("σ of charge", "C", 0.0, 1.25 * top));
    panel.line(&data.expectation, expected, Stroke::new(VERMILLION, Dash::Dashed));
    let points: Vec<(f64, f64)> = simulated.iter().map(|(v, s, _)| (*v, *s)).collect();
    panel.points("SPICE, with 95 % interval", points, Marker::filled(Shape::Circle, BLUE).radius(4.5));
    for (v, sigma, n) in simulated {
        // Normal approximation of the standard deviation's own error: sigma / sqrt(2 (n - 1)).
        let half = 1.96 * sigma / (2.0 * (n.max(2) - 1) as f64).sqrt();
        panel.line("SPICE, with 95 % interval", [(v, sigma - half), (v, sigma + half)], Stroke::new(BLUE, Dash::Solid));
    }
    panel
}

fn correlations(data: &VariabilityData) -> Panel {
    let names = || data.parameters.iter().cloned();
    let numbered = (1..=data.parameters.len()).map(|i| i.to_string());
    let named = names().enumerate().map(|(i, name)| format!("{name}  {}", i + 1));
    let mut panel =
        Panel::new("Cell: correlation of parameters", Axis::names("", numbered), Axis::names("", named).reversed());
    for (row, correlations) in data.correlation.iter().enumerate() {
        for (column, r) in correlations.iter().enumerate() {
            let (color, text) = shade(*r);
            panel.tile((column as f64, row as f64), color, format!("{r:+.2}").replace('-', "−"), text);
        }
    }
    panel
}

/// Vermillion for -1 over white to blue for +1, and a text colour that is read on it.
fn shade(r: f64) -> (RGBColor, RGBColor) {
    let full = if r < 0.0 { VERMILLION } else { BLUE };
    let share = if r.is_finite() { r.abs().min(1.0) } else { 0.0 };
    let mix = |c: u8| (255.0 + (f64::from(c) - 255.0) * share).round() as u8;
    let text = if share > 0.6 { RGBColor(255, 255, 255) } else { BLACK };
    (RGBColor(mix(full.0), mix(full.1), mix(full.2)), text)
}

fn spread(title: &str, label: &str, unit: &str, values: &[f64]) -> Panel {
    let Some(histogram) = Histogram::new(values) else {
        return Panel::new(title, Axis::between(label, unit, 0.0, 1.0), Axis::between("Dice", "", 0.0, 1.0));
    };
    let (low, high) = (histogram.edges[0], histogram.edges[histogram.edges.len() - 1]);
    let margin = 0.15 * (high - low);
    let sigma = if unit.is_empty() { format!("{:.2} %", 100.0 * histogram.sigma) } else { eng(histogram.sigma, unit) };
    let x = Axis::between(label, unit, low - margin, high + margin);
    let mut panel =
        Panel::new(format!("{title}, σ {sigma}"), x, Axis::between("Dice", "", 0.0, 1.15 * histogram.top()));
    panel.bars("SPICE", &histogram.edges, &histogram.counts, SKY);
    panel.line("Gaussian of the same σ", histogram.gaussian(histogram.sigma), Stroke::new(BLACK, Dash::Solid));
    panel
}
