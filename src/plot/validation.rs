//! Figure `validation`: emulator against SPICE, element by element, at every age class.

use super::axis::Axis;
use super::canvas::Target;
use super::figure::{Conditions, Figure};
use super::histogram::Histogram;
use super::panel::Panel;
use super::style::{BLACK, BLUE, Dash, GRAY, GREEN, Marker, SILVER, Shape, Stroke, VERMILLION};
use crate::error::Result;
use crate::validate::{Pairs, ValidationCase};

/// What the figure shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValidationData {
    /// Conditions.
    pub conditions: Conditions,
    /// What was compared: rows, columns, die, seed.
    pub setup: String,
    /// Age classes, in order: fresh, mixed, oldest.
    pub classes: Vec<AgeClass>,
    /// Limit on the root mean square error [full scale].
    pub limit: f64,
}

/// One age class; all pairs are fractions of full scale.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgeClass {
    /// `fresh`, `mixed`, `oldest`.
    pub name: String,
    /// phi.
    pub phi: Pairs,
    /// Signed output.
    pub output: Pairs,
    /// phi, SPICE against the published cubic; may be empty.
    pub phi_published: Pairs,
}

impl ValidationData {
    /// The age classes of one array on one die.
    pub fn from_cases(conditions: Conditions, cases: &[ValidationCase]) -> ValidationData {
        let class = |case: &ValidationCase| AgeClass {
            name: case.row.ages.clone(),
            phi: case.phi.clone(),
            output: case.output.clone(),
            phi_published: case.phi_published.clone(),
        };
        let setup = cases.first().map_or(String::new(), |case| {
            let row = &case.row;
            format!(
                "{} rows, {} K and {} V columns · die {} · seed {}",
                row.rows, row.cols[0], row.cols[1], row.die, row.seed
            )
        });
        let limit = cases.iter().map(|case| case.row.limit).fold(0.0, f64::max);
        ValidationData { conditions, setup, classes: cases.iter().map(class).collect(), limit }
    }
}

/// Builds the figure.
pub fn figure(data: &ValidationData) -> Figure {
    let conditions = data.conditions.line(&data.setup);
    let (phi, output): (Choose, Choose) = (|class| &class.phi, |class| &class.output);
    Figure::new("validation", "Validation: emulator against SPICE", conditions, (1200, 1320))
        .row(1.5, vec![scatter(data, "φ, first product", phi, 0.0), scatter(data, "Signed output", output, -1.0)])
        .row(0.9, vec![against(data, "φ", phi, 0.0), against(data, "signed output", output, -1.0)])
        .row(1.0, vec![errors(data, "φ", phi), errors(data, "signed output", output)])
}

/// Writes the figure.
///
/// # Errors
/// As [`Figure::save`].
pub fn draw(data: &ValidationData, target: &Target) -> Result<()> {
    figure(data).save(target)
}

/// Which of a class's pairs a panel shows.
type Choose = fn(&AgeClass) -> &Pairs;

const LOOKS: [(Shape, plotters::style::RGBColor, Dash); 3] = [
    (Shape::Circle, BLUE, Dash::Solid),
    (Shape::Square, GREEN, Dash::DashDot),
    (Shape::Triangle, VERMILLION, Dash::Dashed),
];

fn both(pairs: &Pairs) -> impl Iterator<Item = (f64, f64)> + '_ {
    pairs.spice.iter().copied().zip(pairs.emulated.iter().copied())
}

fn scatter(data: &ValidationData, title: &str, pairs: Choose, low: f64) -> Panel {
    let axis = |who: &str| Axis::between(&format!("{who} (fraction of full scale)"), "", low - 0.04, 1.04);
    let mut panel = Panel::new(title, axis("SPICE"), axis("Emulator"));
    if low == 0.0 {
        let published = data.classes.iter().flat_map(|class| both(&class.phi_published));
        panel.points(
            "published cubic",
            published.collect::<Vec<_>>(),
            Marker::filled(Shape::Circle, SILVER).radius(1.5),
        );
    }
    for (class, (shape, color, _)) in data.classes.iter().zip(LOOKS.iter().cycle()) {
        panel.points(&class.name, both(pairs(class)), Marker::open(*shape, *color).radius(3.0));
    }
    panel.guide("equal", [(low, low), (1.0, 1.0)], Stroke::thin(BLACK, Dash::Solid));
    panel
}

/// Error over the reference: where the emulator is off.
fn against(data: &ValidationData, title: &str, pairs: Choose, low: f64) -> Panel {
    let x = Axis::between("SPICE (fraction of full scale)", "", low - 0.04, 1.04);
    let reach = reach(data, pairs);
    let mut panel = Panel::new("", x, Axis::between(&format!("Error of {title}"), "% FS", -reach, reach));
    panel.horizontals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    for (class, (shape, color, _)) in data.classes.iter().zip(LOOKS.iter().cycle()) {
        let errors = both(pairs(class)).map(|(spice, emulated)| (spice, emulated - spice));
        panel.points("", errors.collect::<Vec<_>>(), Marker::open(*shape, *color).radius(2.5));
    }
    panel.horizontals("", [-data.limit, data.limit], Stroke::new(BLACK, Dash::Dotted));
    panel
}

/// Half of the range that shows every error and the limit.
fn reach(data: &ValidationData, pairs: Choose) -> f64 {
    let errors =
        data.classes.iter().flat_map(|class| both(pairs(class)).map(|(spice, emulated)| (emulated - spice).abs()));
    1.15 * errors.filter(|error| error.is_finite()).fold(data.limit.max(1e-4), f64::max)
}

fn errors(data: &ValidationData, title: &str, pairs: Choose) -> Panel {
    const BINS: usize = 48;
    let error = |pairs: &Pairs| both(pairs).map(|(spice, emulated)| emulated - spice).collect::<Vec<f64>>();
    let reach = reach(data, pairs);
    let edges: Vec<f64> = (0..=BINS).map(|i| reach * (2.0 * i as f64 / BINS as f64 - 1.0)).collect();
    let shares = |errors: &[f64]| {
        let mut histogram = Histogram::within(errors, edges.clone());
        let n = histogram.counts.iter().sum::<f64>().max(1.0);
        histogram.counts.iter_mut().for_each(|count| *count /= n);
        histogram
    };
    let histograms: Vec<Histogram> = data.classes.iter().map(|class| shares(&error(pairs(class)))).collect();
    let top = histograms.iter().flat_map(|h| h.counts.iter().copied()).fold(0.0, f64::max);
    let x = Axis::between(&format!("Error of {}", title), "% of full scale", -reach, reach);
    let mut panel = Panel::new("", x, Axis::between("Share of elements", "%", 0.0, 1.12 * top.max(1e-3)));
    panel.verticals("", [0.0], Stroke::thin(GRAY, Dash::Solid));
    let label = format!("limit on the rms, ± {:.1} %", 100.0 * data.limit);
    panel.verticals(&label, [-data.limit, data.limit], Stroke::new(BLACK, Dash::Dotted));
    for ((class, histogram), (_, color, dash)) in data.classes.iter().zip(histograms).zip(LOOKS.iter().cycle()) {
        let rms = pairs(class).score().nrmse;
        panel.line(
            &format!("{}, rms {:.2} %", class.name, 100.0 * rms),
            histogram.outline(),
            Stroke::new(*color, *dash),
        );
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_compared_is_refused() {
        assert_eq!(figure(&ValidationData::default()).scene().unwrap_err().kind(), crate::error::Kind::BadInput);
    }
}
