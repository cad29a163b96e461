//! The report: one self-contained HTML page about a characterized cell, for a colleague who was not there.
//!
//! | file | section |
//! |---|---|
//! | [`header`] | what this is, what made it, how to make it again |
//! | [`verdict`] | SPICE against emulator, what passes |
//! | [`devices`] | transistors against their targets |
//! | [`experiment`] | per experiment: what was simulated, figures, models |
//! | [`prose`] | what each of the standard experiments simulates and how its figures are read |
//! | [`sweeps`] | how many points, how they ended |
//! | `from_results` | the stages' own types as rows of the page |
//! | [`circuits`] | a page of its own: every circuit with schematic, benches, corners, dice, limits |
//! | [`lut`] | lookup tables: axes, validity, how to read them |
//!
//! The page holds its figures as inline SVG and its style; it asks for nothing else and needs no script. Everything that
//! comes from a user (names, notes) is escaped by askama.

pub mod circuits;
pub mod devices;
pub mod experiment;
pub mod format;
mod from_results;
pub mod header;
pub mod lut;
pub mod prose;
pub mod sweeps;
pub mod verdict;

#[cfg(test)]
mod samples;

use askama::Template;

pub use circuits::{CircuitPage, CircuitSweep, LimitRow, render_circuits};
pub use devices::{DeviceRow, DevicesLeftOut};
pub use experiment::{Experiment, HandCheck, ModelParameter, ModelSummary, ReportFigure};
pub use from_results::experiments;
pub use header::Header;
pub use lut::{Bound, CostRow, LutGrid, LutSummary};
pub use sweeps::SweepRow;

use crate::error::{Error, Kind, Problem, Result};
use crate::validate::ValidationRow;

/// Everything that the page says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportData {
    /// What this is and what made it.
    pub header: Header,
    /// SPICE against emulator, one row per age class.
    pub validation: Vec<ValidationRow>,
    /// Transistors against their targets.
    pub devices: Vec<DeviceRow>,
    /// Targets that were not judged, why, and what would judge them; empty if all were.
    pub devices_left_out: Option<DevicesLeftOut>,
    /// Experiments, in the order of the page.
    pub experiments: Vec<Experiment>,
    /// Sweeps.
    pub sweeps: Vec<SweepRow>,
    /// Lookup tables.
    pub luts: Vec<LutSummary>,
    /// What the results do not cover, one sentence each; [`prose::scope`] has those that always hold.
    pub limits: Vec<String>,
}

/// The page.
///
/// # Errors
/// [`Kind::BadInput`] if a figure is not a plain SVG: one with scripts, links or embedded documents.
pub fn render(data: &ReportData) -> Result<String> {
    let problems = data
        .experiments
        .iter()
        .flat_map(|experiment| experiment.figures.iter().map(move |figure| (experiment, figure)))
        .filter_map(|(experiment, figure)| {
            let what = figure.forbidden()?;
            let message = format!("figure {} holds `{what}`", figure.caption);
            Some(Problem::new(Kind::BadInput, message).key(experiment.id.clone()).accepted("figures that `plot` wrote"))
        })
        .collect();
    if let Some(error) = Error::collect(problems) {
        return Err(error);
    }
    Page { data }.render().map_err(|error| Error::new(Kind::Internal, format!("cannot render the report: {error}")))
}

#[derive(Template)]
#[template(path = "report.html", config = "src/report/askama.toml")]
struct Page<'a> {
    data: &'a ReportData,
}

impl Page<'_> {
    /// What passes, in one line per kind: (statement, whether all of them pass). Nothing checked is nothing stated.
    fn summary(&self) -> Vec<(String, bool)> {
        let data = self.data;
        let models: Vec<&ModelSummary> =
            data.experiments.iter().flat_map(|e| &e.models).filter(|m| m.is_judged()).collect();
        let failed: u64 = data.sweeps.iter().map(|sweep| sweep.failed).sum();
        let points: u64 = data.sweeps.iter().map(|sweep| sweep.points).sum();
        let share = |passed: usize, all: usize, what: &str| {
            (all > 0).then(|| (format!("{passed} of {all} {what}"), passed == all))
        };
        [
            share(
                data.validation.iter().filter(|row| row.pass).count(),
                data.validation.len(),
                "age classes: the emulator agrees with SPICE within its limit",
            ),
            share(
                models.iter().filter(|model| model.pass).count(),
                models.len(),
                "compact models: error on points that no fit saw is within its limit",
            ),
            share(
                data.devices.iter().filter(|row| row.pass).count(),
                data.devices.len(),
                "device figures: within tolerance of the technology's targets",
            ),
            (points > 0).then(|| {
                (format!("{} of {points} simulated points ended without failure", points - failed), failed == 0)
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
