//! Figure `budget`: what each effect does to the error against ideal arithmetic and against SPICE.

use super::axis::Axis;
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::Panel;
use super::style::{BLACK, BLUE, Dash, ORANGE, PURPLE, Stroke};
use crate::error::Result;
use crate::validate::{Budget, Share};

/// Thickness of a bar [px].
const BAR_PX: f64 = 7.0;
/// Distance of the bars of one effect [rows].
const APART: f64 = 0.24;

/// Which of a share's three figures a bar shows.
type Choose = fn(&Share) -> Option<f64>;

const BARS: [(&str, Choose, plotters::style::RGBColor); 3] = [
    ("only this effect", |share| Some(share.alone), BLUE),
    ("this effect last", |share| Some(share.last), ORANGE),
    ("Shapley value", |share| share.shapley, PURPLE),
];

/// Builds the figure: a row for each reference, phi on the left and the output on the right.
pub fn figure(conditions: &Conditions, budgets: &[Budget]) -> Figure {
    let of = |against: &str| -> Vec<&Budget> { budgets.iter().filter(|budget| budget.against == against).collect() };
    let (ideal, spice) = (of("ideal"), of("spice"));
    let seed = budgets.first().map_or(0, |budget| budget.seed);
    let more = format!("64 x 64 sub-tiles, seed {seed} · rms errors without any effect and with all");
    let height =
        140 + 46 * [&ideal, &spice].iter().filter_map(|b| b.first()).map(|b| b.shares.len() + 4).sum::<usize>();
    let figure = Figure::new("budget", "Error budget", conditions.line(&more), (1200, height as u32));
    [ideal, spice].into_iter().filter(|budgets| !budgets.is_empty()).fold(figure, |figure, budgets| {
        let rows = budgets[0].shares.len() as f64 + 4.0;
        figure.row(rows, budgets.into_iter().map(panel).collect())
    })
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(conditions: &Conditions, budgets: &[Budget], target: &Target) -> Result<()> {
    figure(conditions, budgets).save(target)
}

fn panel(budget: &Budget) -> Panel {
    let quantity = if budget.quantity == "phi" { "φ" } else { "Output" };
    let reference = if budget.against == "spice" { "SPICE" } else { "ideal" };
    let title = format!("{quantity} against {reference}: {:.2} to {:.2} %", 100.0 * budget.none, 100.0 * budget.all);
    let values = budget.shares.iter().flat_map(|share| BARS.iter().filter_map(move |(_, of, _)| of(share)));
    let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    let margin = (0.08 * (high - low)).max(1e-5);
    let x = Axis::between("Change of the rms error", "% FS", low - margin, high + margin);
    let mut panel = Panel::new(title, x, Axis::names("", budget.shares.iter().map(|s| s.effect.as_str())).reversed());
    for (k, (label, of, color)) in BARS.iter().enumerate() {
        let stroke = Stroke { color: *color, width_px: BAR_PX, dash: Dash::Solid };
        for (row, share) in budget.shares.iter().enumerate() {
            let y = row as f64 + APART * (k as f64 - 1.0);
            if let Some(value) = of(share) {
                panel.line(label, [(0.0, y), (value, y)], stroke);
            }
        }
    }
    panel.verticals("", [0.0], Stroke::thin(BLACK, Dash::Solid));
    panel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_budget_is_refused() {
        let error = figure(&Conditions::default(), &[]).scene().unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::BadInput);
    }
}
