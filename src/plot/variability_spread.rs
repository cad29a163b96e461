//! Figure `variability_spread`: distributions that are not normal, what process corners do to them, and how long levels last.

use super::axis::Axis;
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, CYCLE, Dash, GRAY, Marker, Shape, Stroke};
use crate::error::Result;

/// A quantity's quantiles, in its own standard deviations from its mean, over the standard score.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quantiles {
    /// What it is: `0.517 V`.
    pub name: String,
    /// The fitted distribution.
    pub fitted: Vec<(f64, f64)>,
    /// Samples that the fit has not seen.
    pub held_out: Vec<(f64, f64)>,
}

/// A corner's standard deviations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CornerSigma {
    /// The corner.
    pub corner: String,
    /// Over the stored voltage [V], relative to the nominal ones.
    pub ratio: Vec<(f64, f64)>,
}

/// Times until half a step is lost, at one corner.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lasting {
    /// The corner.
    pub corner: String,
    /// Stored voltage [V], and the times that 1, 50 and 99 % of the dice do not reach [s], of levels that are lost at all.
    pub times_s: Vec<(f64, [f64; 3])>,
}

/// What the figure shows; parts may be empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpreadData {
    /// Conditions.
    pub conditions: Conditions,
    /// Dice of the quantiles.
    pub dice: usize,
    /// Levels, ascending.
    pub quantiles: Vec<Quantiles>,
    /// Corners.
    pub sigmas: Vec<CornerSigma>,
    /// Corners.
    pub lasting: Vec<Lasting>,
    /// What a level must last [s].
    pub window_s: f64,
}

/// Builds the figure.
pub fn figure(data: &SpreadData) -> Figure {
    let conditions = data.conditions.line(&format!("static current: {} dice", data.dice));
    let mut top = vec![quantiles(data)];
    if !data.sigmas.is_empty() {
        top.push(sigmas(data));
    }
    let height = if data.lasting.is_empty() { 520 } else { 1000 };
    let figure = Figure::new(
        "variability_spread",
        "Distributions over mismatch and process corners",
        conditions,
        (1200, height),
    );
    let figure = figure.row(1.0, top);
    if data.lasting.is_empty() { figure } else { figure.row(1.0, vec![lasting(data)]) }
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &SpreadData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn quantiles(data: &SpreadData) -> Panel {
    const REACH: f64 = 3.3;
    let all = data.quantiles.iter().flat_map(|q| q.fitted.iter().chain(&q.held_out)).map(|(_, y)| *y);
    let x = Axis::between("Standard score", "", -REACH, REACH);
    let y = Axis::linear("Deviation from the mean, in σ", "", all);
    let mut panel = Panel::new("Cell: quantiles of the static current", x, y);
    panel.guide("normal", [(-REACH, -REACH), (REACH, REACH)], Stroke::thin(BLACK, Dash::Dashed));
    for (k, of) in data.quantiles.iter().enumerate() {
        let (color, dash) = (CYCLE[k % CYCLE.len()], Dash::CYCLE[k % Dash::CYCLE.len()]);
        panel.line(&of.name, of.fitted.iter().copied(), Stroke::new(color, dash));
        panel.points("", of.held_out.iter().copied(), Marker::open(Shape::CYCLE[k % Shape::CYCLE.len()], color));
    }
    panel
}

fn sigmas(data: &SpreadData) -> Panel {
    let points = || data.sigmas.iter().flat_map(|of| of.ratio.iter());
    let x = Axis::linear("Stored voltage", "V", points().map(|(v, _)| *v)).prefix(0);
    let y = Axis::linear("σ over nominal σ", "", points().map(|(_, ratio)| *ratio).chain([1.0]));
    let mut panel = Panel::new("Cell: scatter at process corners", x, y);
    panel.horizontals("", [1.0], Stroke::thin(GRAY, Dash::Dashed));
    for (k, of) in data.sigmas.iter().enumerate() {
        let color = CYCLE[k % CYCLE.len()];
        panel.line(&of.corner, of.ratio.iter().copied(), Stroke::new(color, Dash::CYCLE[k % Dash::CYCLE.len()]));
        panel.points(&of.corner, of.ratio.iter().copied(), Marker::open(Shape::CYCLE[k % Shape::CYCLE.len()], color));
    }
    panel
}

fn lasting(data: &SpreadData) -> Panel {
    let times = || data.lasting.iter().flat_map(|of| of.times_s.iter().flat_map(|(_, times)| *times));
    let (low, high) = times().fold((data.window_s, data.window_s), |(low, high), t| (low.min(t), high.max(t)));
    let levels = data.lasting.iter().flat_map(|of| of.times_s.iter().map(|(v, _)| *v));
    let x = Axis::linear("Stored voltage", "V", levels).prefix(0);
    let y = Axis::log("Time until half a step is lost", "s", 0.6 * low, 1.6 * high);
    let title = "Retention: median and 1 % to 99 % of the dice";
    let mut panel = Panel::new(title, x, y);
    panel.horizontals("window of 1,024 tokens", [data.window_s], Stroke::thin(BLACK, Dash::Dashed));
    for (k, of) in data.lasting.iter().enumerate() {
        let color = CYCLE[k % CYCLE.len()];
        // Side by side: corners lie on each other.
        let shift = 0.008 * (k as f64 - 0.5 * (data.lasting.len() - 1) as f64);
        let medians = of.times_s.iter().map(|(v, times)| (v + shift, times[1]));
        panel.points(&of.corner, medians, Marker::filled(Shape::CYCLE[k % Shape::CYCLE.len()], color).radius(4.5));
        for (v, times) in &of.times_s {
            panel.line(&of.corner, [(v + shift, times[0]), (v + shift, times[2])], Stroke::new(color, Dash::Solid));
        }
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_have_not_run_are_left_out() {
        let line = vec![(-3.0, -2.0), (0.0, -0.1), (3.0, 4.0)];
        let mut data = SpreadData {
            quantiles: vec![Quantiles { name: "0.5 V".into(), fitted: line.clone(), held_out: line.clone() }],
            window_s: 8e-4,
            ..SpreadData::default()
        };
        let alone = figure(&data).svg().unwrap();
        assert!(alone.contains("0.5 V") && !alone.contains("process corners, ") && !alone.contains("half a step"));
        data.lasting = vec![Lasting { corner: "ff".into(), times_s: vec![(0.9, [3e-4, 5e-4, 7e-4])] }];
        data.sigmas = vec![CornerSigma { corner: "ff".into(), ratio: vec![(0.0, 1.1), (0.9, 0.9)] }];
        let whole = figure(&data).svg().unwrap();
        assert!(whole.contains("half a step") && whole.contains("window of 1,024 tokens"), "{whole}");
    }
}
