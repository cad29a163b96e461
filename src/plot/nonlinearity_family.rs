//! Figures `nonlinearity_width` and `nonlinearity_bit_line`: charge against pulse width or bit-line voltage, one curve
//! per stored voltage, with what the fitted form misses.

use super::axis::{Axis, eng, span};
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::panel::{LegendPlace, Panel};
use super::style::{BLACK, Dash, GRAY, Marker, Shape, Stroke, VERMILLION, ramp};
use crate::error::Result;

/// What charge is drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Against {
    /// Pulse width [s], logarithmic.
    #[default]
    PulseWidth,
    /// Bit-line voltage [V].
    BitLine,
}

/// Charge of one stored voltage; all vectors are of one length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FamilyCurve {
    /// Stored voltage [V].
    pub v_store_v: f64,
    /// Pulse widths [s] or bit-line voltages [V], ascending.
    pub x: Vec<f64>,
    /// Charge in SPICE [C].
    pub simulated_c: Vec<f64>,
    /// Fitted form [C].
    pub fitted_c: Vec<f64>,
    /// Fitted form on a fine grid (x, charge [C]); empty: drawn through the points.
    pub fitted_line: Vec<(f64, f64)>,
}

/// What the figures show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FamilyData {
    /// Conditions.
    pub conditions: Conditions,
    /// What charge is drawn against.
    pub against: Against,
    /// The quantity that is held: bit-line voltage [V], or pulse width [s].
    pub held: f64,
    /// What errors are a fraction of [C].
    pub full_scale_c: f64,
    /// One curve per stored voltage, ascending. All give residuals; at most nine, evenly chosen, are drawn as charge.
    pub curves: Vec<FamilyCurve>,
    /// Limit on the error [full scale].
    pub limit: f64,
}

/// Curves drawn as charge.
const SHOWN: usize = 9;

/// Builds the figure.
pub fn figure(data: &FamilyData) -> Figure {
    let (name, title, held) = match data.against {
        Against::PulseWidth => {
            ("nonlinearity_width", "Charge against pulse width", format!("bit line {} V", data.held))
        }
        Against::BitLine => {
            ("nonlinearity_bit_line", "Charge against bit-line voltage", format!("pulse {}", eng(data.held, "s")))
        }
    };
    let n = data.curves.len();
    let shown: Vec<&FamilyCurve> = if n <= SHOWN {
        data.curves.iter().collect()
    } else {
        (0..SHOWN).map(|i| &data.curves[(i * (n - 1) + (SHOWN - 1) / 2) / (SHOWN - 1)]).collect()
    };
    let charges = shown.iter().flat_map(|c| c.simulated_c.iter().chain(&c.fitted_c).copied());
    let mut above = Panel::new("", axis(data), Axis::linear("Charge per pulse", "C", charges)).shares_x();
    above = above.legend(LegendPlace::Right);
    // From the highest to the lowest, as the curves lie above each other.
    for (i, curve) in shown.iter().enumerate().rev() {
        let color = ramp(i, shown.len());
        let label = eng(curve.v_store_v, "V");
        let fine = &curve.fitted_line;
        let line = if fine.is_empty() { pairs(&curve.x, &curve.fitted_c) } else { fine.clone() };
        above.line(&label, line, Stroke::new(color, Dash::CYCLE[i % Dash::CYCLE.len()]));
        above.points(&label, pairs(&curve.x, &curve.simulated_c), Marker::open(Shape::CYCLE[i % 6], color));
    }
    let conditions = data.conditions.line(&format!(
        "{held} · markers SPICE, lines fitted form · legend: stored voltage · full scale {}",
        eng(data.full_scale_c, "C")
    ));
    Figure::new(name, title, conditions, (900, 760)).row(1.35, vec![above]).row(1.0, vec![residuals(data)])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &FamilyData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

fn axis(data: &FamilyData) -> Axis {
    let x = || data.curves.iter().flat_map(|c| c.x.iter().copied());
    match data.against {
        Against::PulseWidth => {
            let (low, high) = span(x().filter(|t| *t > 0.0)).unwrap_or((1e-10, 1e-8));
            Axis::log("Pulse width", "s", 0.85 * low, 1.18 * high)
        }
        Against::BitLine => Axis::linear("Bit-line voltage", "V", x()).prefix(0),
    }
}

fn residuals(data: &FamilyData) -> Panel {
    let mut all: Vec<(f64, f64)> = Vec::new();
    for curve in &data.curves {
        let errors = curve.simulated_c.iter().zip(&curve.fitted_c).map(|(q, m)| (m - q) / data.full_scale_c);
        all.extend(curve.x.iter().copied().zip(errors).filter(|(_, error)| error.is_finite()));
    }
    let top = all.iter().map(|(_, e)| *e).chain([data.limit]);
    let mut panel = Panel::new("", axis(data), Axis::symmetric("Error of the fit", "% of full scale", top));
    panel = panel.legend(LegendPlace::Right);
    panel.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    panel.horizontals(
        &format!("± {:.1} %", 100.0 * data.limit),
        [-data.limit, data.limit],
        Stroke::thin(BLACK, Dash::Dotted),
    );
    panel.points("points", all.iter().copied(), Marker::open(Shape::Circle, GRAY).radius(2.5));
    let mut groups: Vec<(f64, f64, f64)> = Vec::new();
    for (x, error) in all {
        match groups.iter_mut().find(|(at, ..)| *at == x) {
            Some((_, sum, n)) => (*sum, *n) = (*sum + error * error, *n + 1.0),
            None => groups.push((x, error * error, 1.0)),
        }
    }
    groups.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rms: Vec<(f64, f64)> = groups.iter().map(|(x, sum, n)| (*x, (sum / n).sqrt())).collect();
    panel.line("rms", rms.clone(), Stroke::new(VERMILLION, Dash::Solid));
    panel.points("rms", rms, Marker::filled(Shape::Square, VERMILLION));
    panel
}

fn pairs(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}
