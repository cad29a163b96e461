//! Figure `variability_levels`: charge of the dice at every level, with Gaussians.

use super::axis::{Axis, eng};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::histogram::Histogram;
use super::panel::Panel;
use super::style::{BLACK, Dash, SKY, Stroke, VERMILLION};
use crate::error::Result;

/// Charge of every die at one stored voltage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LevelSpread {
    /// Stored voltage [V].
    pub v_store_v: f64,
    /// One charge per die [C].
    pub charge_c: Vec<f64>,
    /// Standard deviation that [`LevelsData::expectation`] gives [C].
    pub sigma_expected_c: f64,
}

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LevelsData {
    /// Conditions.
    pub conditions: Conditions,
    /// Pulse width [s].
    pub t_pulse_s: f64,
    /// Where the expected standard deviations come from, in a few words: `by hand`, `linear response`.
    pub expectation: String,
    /// Levels, ascending.
    pub levels: Vec<LevelSpread>,
}

/// Panels side by side.
const COLUMNS: usize = 4;

/// Builds the figure.
pub fn figure(data: &LevelsData) -> Figure {
    let dice = data.levels.iter().map(|level| level.charge_c.len()).max().unwrap_or(0);
    let conditions = data.conditions.line(&format!(
        "{dice} dice · pulse {} · bars SPICE, line Gaussian of the same σ, dashes {}",
        eng(data.t_pulse_s, "s"),
        data.expectation
    ));
    let rows = data.levels.len().div_ceil(COLUMNS).max(1);
    let top = data.levels.iter().filter_map(|l| Some(Histogram::new(&l.charge_c)?.top())).fold(1.0, f64::max);
    let mut figure = Figure::new(
        "variability_levels",
        "Mismatch: charge per pulse at every level",
        conditions,
        (1200, 100 + 340 * rows as u32),
    );
    for levels in data.levels.chunks(COLUMNS) {
        let mut panels: Vec<Panel> = levels.iter().enumerate().map(|(i, level)| panel(level, i == 0, top)).collect();
        // A row that is not full keeps the columns of the others.
        while rows > 1 && panels.len() < COLUMNS {
            panels.push(Panel::blank());
        }
        figure = figure.row(1.0, panels);
    }
    figure
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &LevelsData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn panel(level: &LevelSpread, first: bool, top: f64) -> Panel {
    let histogram = Histogram::new(&level.charge_c);
    let edges = histogram.as_ref().map_or(vec![0.0, 1.0], |h| h.edges.clone());
    let margin = 0.15 * (edges[edges.len() - 1] - edges[0]);
    let x = Axis::between("Charge", "C", edges[0] - margin, edges[edges.len() - 1] + margin);
    let y = Axis::between(if first { "Dice" } else { "" }, "", 0.0, 1.12 * top);
    let mut panel = Panel::new(format!("{:.3} V stored", level.v_store_v).replace('-', "−"), x, y);
    if let Some(histogram) = histogram {
        let (sigma, expected) = (histogram.sigma, level.sigma_expected_c);
        panel.bars("", &histogram.edges, &histogram.counts, SKY);
        let label = format!("σ {}", eng(sigma, "C"));
        panel.line(&label, histogram.gaussian(sigma), Stroke::new(BLACK, Dash::Solid));
        let label = format!("expected {}", eng(expected, "C"));
        panel.line(&label, histogram.gaussian(expected), Stroke::new(VERMILLION, Dash::Dashed));
    }
    panel
}
