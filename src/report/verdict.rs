//! SPICE against the emulator, as the page shows it.

use crate::report::format::percent;
use crate::validate::ValidationRow;

/// One row of the table of verdicts, formatted.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictLine {
    /// `fresh`, `mixed`, `oldest`.
    pub ages: String,
    /// Error of phi; on the linear subset.
    pub phi: [String; 2],
    /// Error of the output; on the linear subset.
    pub output: [String; 2],
    /// Largest errors: phi, output.
    pub worst: [String; 2],
    /// Coefficients of determination: phi, output.
    pub r2: [String; 2],
    /// Share of codes that are equal.
    pub codes_equal: String,
    /// Limit on the four errors.
    pub limit: String,
    /// Whether it passes.
    pub pass: bool,
    /// Why it does not.
    pub shortfalls: Vec<String>,
}

/// Formats a row.
pub fn line(row: &ValidationRow) -> VerdictLine {
    VerdictLine {
        ages: row.ages.clone(),
        phi: [percent(row.nrmse_phi), percent(row.nrmse_phi_linear)],
        output: [percent(row.nrmse_output), percent(row.nrmse_output_linear)],
        worst: [percent(row.worst_phi), percent(row.worst_output)],
        r2: [format!("{:.5}", row.r2_phi), format!("{:.5}", row.r2_output)],
        codes_equal: percent(row.codes_equal),
        limit: percent(row.limit),
        pass: row.pass,
        shortfalls: row.shortfalls(),
    }
}

/// What was compared and how hard the stimuli were, which an error alone does not say.
pub fn stimuli(row: &ValidationRow) -> String {
    format!(
        "{}: {} rows, {} K and {} V columns, die {}, seed {}; {} of φ between 5 and 95 % of full scale; standard deviation of \
         the reference {} (φ), {} (output); S_sat uses {} and A_sat {} of T_max; error without the calibration of the \
         converters {} (φ), {} (output)",
        row.ages,
        row.rows,
        row.cols[0],
        row.cols[1],
        row.die,
        row.seed,
        percent(row.frac_linear),
        percent(row.ref_std[0]),
        percent(row.ref_std[1]),
        percent(row.full_scale_use[0]),
        percent(row.full_scale_use[1]),
        percent(row.nrmse_uncalibrated[0]),
        percent(row.nrmse_uncalibrated[1]),
    )
}
