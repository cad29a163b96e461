//! Whether the rows of the sweeps can be fitted at all: told before any fit starts, of all sweeps at once.

use super::rows::Datasets;
use crate::dataset::{Dataset, Outcome, Value};
use crate::error::{Error, Kind, Problem, Result};

/// What each sweep is run for: a response that does not respond is no data.
const RESPONSES: [(&str, &str); 24] = [
    ("write", "v_stored_v"),
    ("leakage", "i_leak_a"),
    ("capacitance", "i_ramp_a"),
    ("retention", "v_hold_v"),
    ("nonlinearity_dc", "i_cell_a"),
    ("nonlinearity", "charge_c"),
    ("nonlinearity_driven", "charge_c"),
    ("readout", "t_width_s"),
    ("readout_signed", "t_width_s"),
    ("variability_cell", "charge_c"),
    ("variability_readout", "t_width_s"),
    ("variability_write", "v_stored_v"),
    ("variability_dc", "i_cell_a"),
    ("variability_corners", "i_cell_a"),
    ("variability_retention", "drift_window_v"),
    ("nonlinearity_temperature", "charge_c"),
    ("leakage_temperature", "i_leak_a"),
    ("retention_temperature", "v_hold_v"),
    ("readout_conditions", "t_width_s"),
    ("readout_signed_conditions", "t_width_s"),
    ("variability_readout_corners", "t_width_s"),
    ("read_noise", "noise_a_per_rthz"),
    ("conversion_noise", "noise_a_per_rthz"),
    ("comparator_noise", "noise_out_v_per_rthz"),
];

/// Checks that every sweep has rows, good ones among them, and finite numbers that vary in its response.
///
/// # Errors
/// [`Kind::FitFailed`] with everything that is wrong, each problem under its sweep's name.
pub(super) fn check_datasets(datasets: &Datasets) -> Result<()> {
    let mut problems = Vec::new();
    for (name, dataset) in datasets {
        let response = RESPONSES.iter().find(|(sweep, _)| sweep == name).map(|(_, column)| *column);
        let wrong = rows(dataset).or_else(|| numbers(dataset)).or_else(|| response.and_then(|c| varies(dataset, c)));
        problems.extend(wrong.map(|problem| problem.key(format!("sweep {name}"))));
    }
    Error::collect(problems).map_or(Ok(()), Err)
}

/// No rows, or no good ones.
fn rows(dataset: &Dataset) -> Option<Problem> {
    let sweep = &dataset.manifest.sweep;
    if dataset.rows.is_empty() {
        let problem = Problem::new(Kind::FitFailed, "the run has no rows: there is nothing to fit");
        return Some(problem.accepted("a run whose points were simulated").help(format!(
            "run `gaincell sweep {sweep}`; if it is empty again, look at the parameters of the sweep file"
        )));
    }
    if !dataset.ok().is_empty() {
        return None;
    }
    let counts: Vec<String> = dataset
        .counts()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let said = dataset.rows.iter().find(|row| row.outcome != Outcome::Ok && !row.message.is_empty());
    let said = said.map_or_else(String::new, |row| format!(" (point {}: {})", row.index, row.message));
    let problem = Problem::new(
        Kind::FitFailed,
        format!("none of {} points is usable: {}{said}", dataset.rows.len(), counts.join(", ")),
    );
    Some(
        problem.accepted("points that ended `ok` with the bench's own options").help(format!(
            "`gaincell explain {sweep}:{} --run` shows the point in plain ngspice",
            dataset.rows[0].index
        )),
    )
}

/// A number of a good row that is none.
fn numbers(dataset: &Dataset) -> Option<Problem> {
    dataset.ok().iter().find_map(|row| {
        let swept = row.values.iter().map(|(name, value)| (name, *value));
        let measured = row.measured.iter().flat_map(|(name, value)| match value {
            Value::Scalar(value) => vec![(name, *value)],
            Value::Curve(values) => values.iter().map(|value| (name, *value)).collect(),
        });
        let (name, value) = swept.chain(measured).find(|(_, value)| !value.is_finite())?;
        let message = format!("point {} ended ok, but its `{name}` is {value}", row.index);
        Some(
            Problem::new(Kind::FitFailed, message)
                .accepted("finite numbers; what was not measured is absent")
                .help("the sweep never writes such a number: run it again rather than edit its files"),
        )
    })
}

/// A response that is the same in all good rows, or along all of its curves.
fn varies(dataset: &Dataset, column: &str) -> Option<Problem> {
    let view = dataset.ok();
    let values: Vec<f64> = view
        .iter()
        .filter_map(|row| row.measured.get(column))
        .flat_map(|value| match value {
            Value::Scalar(value) => vec![*value],
            Value::Curve(values) => values.clone(),
        })
        .collect();
    let first = values.first()?;
    if values.len() < 2 || values.iter().any(|value| value != first) {
        return None;
    }
    let message = format!("`{column}` is {first:e} in all {} good rows: nothing follows from it", view.len());
    Some(Problem::new(Kind::FitFailed, message).accepted("a response that follows what is swept").help(
        "look whether the bench's parameters reach its elements, and whether the measurement reads the right signal",
    ))
}
