//! One experiment: what was simulated, its figures, its models.

use crate::report::format::{digits, percent, shown_unit, with_unit};

/// A section of the page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Experiment {
    /// Anchor; letters, digits and hyphens.
    pub id: String,
    /// Title.
    pub title: String,
    /// What was simulated.
    pub explanation: String,
    /// How the figures are read.
    pub how_to_read: String,
    /// Estimates on paper beside the simulated numbers.
    pub hand_checks: Vec<HandCheck>,
    /// Figures.
    pub figures: Vec<ReportFigure>,
    /// Models fitted to it.
    pub models: Vec<ModelSummary>,
}

/// An estimate on paper beside the simulated number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HandCheck {
    /// What is estimated and how: `injected charge / storage capacitance`.
    pub claim: String,
    /// The estimate, in `unit`.
    pub by_hand: f64,
    /// The simulated number, in `unit`.
    pub simulated: f64,
    /// Symbol of the base unit.
    pub unit: String,
}

impl HandCheck {
    /// Estimate and simulation with their unit, and the ratio of the second to the first.
    pub fn shown(&self) -> [String; 3] {
        let ratio = self.simulated / self.by_hand;
        let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "–".into() };
        [with_unit(self.by_hand, &self.unit), with_unit(self.simulated, &self.unit), ratio]
    }
}

/// A figure with its caption.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportFigure {
    /// The SVG document, as `plot` writes it.
    pub svg: String,
    /// What it shows, in one sentence.
    pub caption: String,
}

impl ReportFigure {
    /// The SVG as it stands in HTML, where it needs no namespace and takes its width from the page.
    pub fn inline(&self) -> String {
        let start = self.svg.find("<svg").unwrap_or(0);
        self.svg[start..].replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
    }
    /// What an SVG from elsewhere could bring with it; none for a plain figure.
    pub fn forbidden(&self) -> Option<&'static str> {
        let lower = self.svg.to_ascii_lowercase();
        let found = ["<script", "href=", "<foreignobject", "<iframe", "<image", "<style", " onload=", " onclick="];
        if !lower.contains("<svg") {
            return Some("no <svg> element");
        }
        found.into_iter().find(|what| lower.contains(what))
    }
}

/// A fitted number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelParameter {
    /// Name.
    pub name: String,
    /// Unit symbol; `1` for pure numbers.
    pub unit: String,
    /// Best value.
    pub value: f64,
    /// 95 % interval; none where nothing was fitted.
    pub interval: Option<(f64, f64)>,
}

impl ModelParameter {
    /// Value, interval and unit, all in the same prefixed unit.
    pub fn shown(&self) -> [String; 3] {
        let (factor, unit) = shown_unit(self.value, &self.unit);
        let interval = match self.interval {
            Some((low, high)) => format!("{} … {}", digits(low * factor), digits(high * factor)),
            None => "–".into(),
        };
        [digits(self.value * factor), interval, unit]
    }
}

/// A compact model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelSummary {
    /// Name, as in `results/summary.json`.
    pub name: String,
    /// Equation, as text.
    pub equation: String,
    /// Where it comes from.
    pub source: String,
    /// Fitted numbers.
    pub parameters: Vec<ModelParameter>,
    /// Points that the fit used.
    pub n_points: usize,
    /// Root mean square error at held-out points, in `unit`.
    pub held_out_error: f64,
    /// Greatest error at held-out points, in `unit`.
    pub held_out_max: f64,
    /// Held-out points.
    pub n_held_out: usize,
    /// Unit of errors and limit; `fraction of full scale` is shown as a percentage.
    pub unit: String,
    /// Limit on the root mean square error.
    pub limit: f64,
    /// Whether it is met.
    pub pass: bool,
    /// Share of the held-out variance explained.
    pub r2: f64,
    /// Here only for comparison (a published form): its verdict is not counted.
    pub comparison: bool,
    /// What a reader must know.
    pub notes: Vec<String>,
}

impl ModelSummary {
    /// Whether its verdict counts.
    pub fn is_judged(&self) -> bool {
        !self.comparison
    }
    /// The root mean square error, in the model's unit.
    pub fn rms_shown(&self) -> String {
        self.error(self.held_out_error)
    }
    /// The greatest error, likewise.
    pub fn max_shown(&self) -> String {
        self.error(self.held_out_max)
    }
    /// The limit, likewise.
    pub fn limit_shown(&self) -> String {
        self.error(self.limit)
    }
    fn error(&self, value: f64) -> String {
        if self.unit.contains("full scale") {
            format!("{} of full scale", percent(value))
        } else {
            with_unit(value, &self.unit)
        }
    }
    /// Coefficient of determination.
    pub fn r2_shown(&self) -> String {
        if self.r2.is_finite() { format!("{:.5}", self.r2).replace('-', "−") } else { "–".into() }
    }
}
