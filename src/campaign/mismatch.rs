//! Rows of mismatch sweeps to distributions.

use super::rows::T_MAX_S;
use crate::dataset::{Dataset, Row, View};
use crate::error::Result;
use crate::fit::split;
use crate::fit::variability::{Quantity, Samples, VariabilityFit, fit_variability};
use crate::sweep::{GUARD, SET_LABEL};
use crate::tech::Technology;

/// Share of the mismatch samples that is held out, their last.
pub const HELD_OUT_SHARE: f64 = 1.0 / 3.0;
/// Resamples behind the confidence intervals of distributions and transients.
pub(super) const BOOTSTRAP: usize = 200;
/// Standard error of a normal sample's 1 % quantile, times the root of its size: sqrt(p (1 - p)) / pdf(quantile) [sigma].
const QUANTILE_ERROR: f64 = 3.733;

/// Names of the columns that hold device draws.
pub(super) fn draw_columns(dataset: &Dataset) -> Vec<String> {
    dataset.manifest.values.iter().map(|c| c.name.clone()).filter(|name| name.starts_with("draw_")).collect()
}

/// One row per sample: `of(view of the sample)`, and the sample's draws.
fn samples(
    dataset: &Dataset,
    draws: &[String],
    of: impl Fn(&View<'_>) -> Result<Vec<f64>>,
) -> Result<(Samples, Samples)> {
    let ok = dataset.ok();
    let split = ok.split("sample");
    // A guard's repetition of one of its points is none of the sample's.
    let own = |row: &Row| row.labels.get(SET_LABEL).is_none_or(|set| set != GUARD);
    let wanted = dataset.all().at("sample", 0.0).filter(own).len();
    let mut rows: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for (_, view) in &split {
        // A sample that lost a point has no complete set of parameters; it counts as missing.
        if view.len() == wanted {
            let drawn = draws.iter().map(|name| Ok(view.numbers(name)?[0])).collect::<Result<Vec<f64>>>()?;
            rows.push((of(view)?, drawn));
        }
    }
    Ok(split_samples(rows))
}

/// Samples, each its values and its draws, to fit and to judge.
pub(super) fn split_samples(rows: Vec<(Vec<f64>, Vec<f64>)>) -> (Samples, Samples) {
    let count = rows.len();
    let held_out = (count as f64 * HELD_OUT_SHARE).round() as usize;
    let (train, test) = split::by(count, |k| k >= count - held_out).apply(&rows);
    let gather = |rows: Vec<(Vec<f64>, Vec<f64>)>| {
        let (values, draws) = rows.into_iter().unzip();
        Samples { values, draws }
    };
    (gather(train), gather(test))
}

/// Limit on the error of a distribution's figures: three standard errors of the 1 % quantile that the held-out samples
/// themselves have, for the quantity that scatters most. A smaller error cannot be told from chance.
pub(super) fn distribution_limit(quantities: &[Quantity], train: &Samples, test: &Samples) -> f64 {
    let spread = |k: usize| {
        let n = train.values.len() as f64;
        let mean = train.values.iter().map(|v| v[k]).sum::<f64>() / n;
        (train.values.iter().map(|v| (v[k] - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    };
    let widest = quantities.iter().enumerate().map(|(k, q)| spread(k) / q.full_scale).fold(0.0, f64::max);
    3.0 * QUANTILE_ERROR / (test.values.len() as f64).sqrt() * widest
}

pub(super) fn variability_cell(dataset: &Dataset) -> Result<VariabilityFit> {
    let draws = draw_columns(dataset);
    let levels = dataset.ok().unique("v_store_v");
    let current = |view: &View<'_>| -> Result<Vec<f64>> {
        levels.iter().map(|v| Ok(view.at("v_store_v", *v).numbers("charge_c")?[0] / T_MAX_S)).collect()
    };
    let (train, test) = samples(dataset, &draws, current)?;
    let full_scale = train.values.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs()));
    let quantities: Vec<Quantity> = levels
        .iter()
        .map(|v| Quantity { name: format!("current_at_{:.3}v_a", v), unit: "A".into(), full_scale })
        .collect();
    let limit = distribution_limit(&quantities, &train, &test);
    fit_variability(&quantities, &draws, &train, &test, limit, BOOTSTRAP, 1)
}

/// Gain and offset of one converter, from the line through its widths.
pub(super) fn converter_line(view: &View<'_>) -> Result<Vec<f64>> {
    let (charge_c, width_s) = (view.numbers("q_in_c")?, view.numbers("t_width_s")?);
    let n = charge_c.len() as f64;
    let (mean_q, mean_t) = (charge_c.iter().sum::<f64>() / n, width_s.iter().sum::<f64>() / n);
    let covariance: f64 = charge_c.iter().zip(&width_s).map(|(q, t)| (q - mean_q) * (t - mean_t)).sum();
    let gain = covariance / charge_c.iter().map(|q| (q - mean_q).powi(2)).sum::<f64>();
    Ok(vec![gain, mean_q - mean_t / gain])
}

/// Gain and offset of the converters.
pub(super) fn variability_readout(dataset: &Dataset) -> Result<VariabilityFit> {
    let (train, test) = samples(dataset, &[], converter_line)?;
    let gain = train.values.iter().map(|v| v[0]).sum::<f64>() / train.values.len().max(1) as f64;
    let quantities = [
        Quantity { name: "gain_s_per_c".into(), unit: "s/C".into(), full_scale: gain },
        Quantity { name: "offset_c".into(), unit: "C".into(), full_scale: T_MAX_S / gain },
    ];
    let limit = distribution_limit(&quantities, &train, &test);
    let mut fit = fit_variability(&quantities, &[], &train, &test, limit, BOOTSTRAP, 2)?;
    fit.fit.name = "variability_readout".to_string();
    Ok(fit)
}

/// Stored voltages of the levels, die by die, from half the supply.
pub(super) fn variability_write(dataset: &Dataset, tech: &Technology) -> Result<VariabilityFit> {
    let levels = dataset.ok().unique("v_level_v");
    let stored = |view: &View<'_>| -> Result<Vec<f64>> {
        levels.iter().map(|v| Ok(view.at("v_level_v", *v).numbers("v_stored_v")?[0])).collect()
    };
    let (train, test) = samples(dataset, &[], stored)?;
    let quantity =
        |v: &f64| Quantity { name: format!("stored_at_{v:.3}v_v"), unit: "V".into(), full_scale: tech.vdd_v };
    let quantities: Vec<Quantity> = levels.iter().map(quantity).collect();
    let limit = distribution_limit(&quantities, &train, &test);
    let mut fit = fit_variability(&quantities, &[], &train, &test, limit, BOOTSTRAP, 3)?;
    fit.fit.name = "variability_write".to_string();
    Ok(fit)
}
