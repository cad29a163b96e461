//! Distributions from sweeps that a table does not need: static currents on 10,000 dice, currents and retention over process
//! corners. A fit has them where they have run.

use serde::{Deserialize, Serialize};

use super::mismatch::{BOOTSTRAP, converter_line, distribution_limit, split_samples};
use super::rows::{Datasets, grid};
use crate::dataset::{Dataset, View};
use crate::error::{Error, Kind, Result};
use crate::fit::half_step::{HalfStep, fit_half_step};
use crate::fit::variability::{
    CornerSamples, CornersFit, Quantity, VariabilityFit, VariabilityModel, fit_corners, fit_variability,
};
use crate::fit::{ModelFit, Parameter};
use crate::sweep::CORNER_LABEL;
use crate::tech::Technology;

/// Sweeps of these fits.
pub const SPREAD_SWEEPS: [&str; 4] =
    ["variability_dc", "variability_corners", "variability_retention", "variability_readout_corners"];
/// The corner of the technology's nominal models; a technology without corners has `nominal` alone.
const NOMINAL: [&str; 2] = ["tt", "nominal"];

/// What has run of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Spreads {
    /// Static currents.
    pub currents: Option<VariabilityFit>,
    /// Static currents over process corners.
    pub current_corners: Option<CornersFit>,
    /// Drift over the window at the nominal corner.
    pub drift: Option<VariabilityFit>,
    /// Drift over process corners, and times until half a step is lost.
    pub drift_corners: Option<CornersFit>,
    /// Times until half a step is lost, per corner and level.
    pub half_step: Vec<HalfStep>,
    /// First converters over process corners.
    pub readout_corners: Option<CornersFit>,
}

impl Spreads {
    /// Reports, in a fixed order, of what there is.
    pub fn reports(&self) -> Vec<&ModelFit> {
        let distributions = [&self.currents, &self.drift].into_iter().flatten().map(|fit| &fit.fit);
        let corners = [&self.current_corners, &self.drift_corners, &self.readout_corners];
        let corners = corners.into_iter().flatten().map(|fit| &fit.fit);
        distributions.chain(corners).collect()
    }
}

/// Fits what has run; `readout` is the nominal distribution of the first converters.
///
/// # Errors
/// [`Kind::FitFailed`] naming the fit.
pub(super) fn spreads(datasets: &Datasets, tech: &Technology, readout: &VariabilityModel) -> Result<Spreads> {
    let mut spreads = Spreads::default();
    if let Some(dataset) = datasets.get(SPREAD_SWEEPS[0]) {
        spreads.currents = Some(currents(dataset)?);
    }
    if let (Some(dataset), Some(nominal)) = (datasets.get(SPREAD_SWEEPS[1]), &spreads.currents) {
        let samples = at_corners(dataset, |view| curves(view, "i_cell_a"))?;
        let limit = widest_limit(&nominal.model.quantities, &samples);
        let mut fit = fit_corners(&nominal.model, &samples, limit)?;
        fit.fit.name = "variability_current_corners".into();
        spreads.current_corners = Some(fit);
    }
    if let Some(dataset) = datasets.get(SPREAD_SWEEPS[2]) {
        retention(dataset, tech, &mut spreads)?;
    }
    if let Some(dataset) = datasets.get(SPREAD_SWEEPS[3]) {
        let samples = at_corners(dataset, converters)?;
        let mut fit = fit_corners(readout, &samples, widest_limit(&readout.quantities, &samples))?;
        fit.fit.name = "variability_readout_corners".into();
        spreads.readout_corners = Some(fit);
    }
    Ok(spreads)
}

fn currents(dataset: &Dataset) -> Result<VariabilityFit> {
    let levels = grid(dataset, "i_cell_a")?;
    let (train, test) = split_samples(without_draws(curves(&dataset.ok(), "i_cell_a")?));
    let full_scale = train.values.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs()));
    let quantity = |v: &f64| Quantity { name: format!("static_current_at_{v:.3}v_a"), unit: "A".into(), full_scale };
    let quantities: Vec<Quantity> = levels.iter().map(quantity).collect();
    let limit = distribution_limit(&quantities, &train, &test);
    let mut fit = fit_variability(&quantities, &[], &train, &test, limit, BOOTSTRAP, 4)?;
    fit.fit.name = "variability_current".into();
    Ok(fit)
}

fn retention(dataset: &Dataset, tech: &Technology, spreads: &mut Spreads) -> Result<()> {
    let levels = dataset.ok().unique("v_store_v");
    // Rows of one sample, one per level.
    let by_sample = |view: &View<'_>, column: &str| -> Result<Vec<Vec<f64>>> {
        let mut rows = Vec::new();
        for (_, of) in view.split("sample") {
            if of.len() == levels.len() {
                rows.push(
                    levels.iter().map(|v| Ok(of.at("v_store_v", *v).numbers(column)?[0])).collect::<Result<_>>()?,
                );
            }
        }
        Ok(rows)
    };
    let samples = at_corners(dataset, |view| by_sample(view, "drift_window_v"))?;
    let nominal = samples.iter().find(|of| NOMINAL.contains(&of.corner.as_str())).unwrap_or(&samples[0]);
    let quantity = |v: &f64| Quantity { name: format!("drift_at_{v:.3}v_v"), unit: "V".into(), full_scale: tech.vdd_v };
    let quantities: Vec<Quantity> = levels.iter().map(quantity).collect();
    let limit = distribution_limit(&quantities, &nominal.train, &nominal.test);
    let mut fit = fit_variability(&quantities, &[], &nominal.train, &nominal.test, limit, BOOTSTRAP, 5)?;
    fit.fit.name = "variability_retention".into();
    let mut corners = fit_corners(&fit.model, &samples, widest_limit(&quantities, &samples))?;
    corners.fit.name = "variability_retention_corners".into();
    // Times count back from a mark at the end: what never happens takes as long as that.
    let longest_s = dataset.ok().numbers("t_mark_s")?.into_iter().fold(0.0, f64::max);
    for (corner, view) in corner_views(dataset)? {
        for v in &levels {
            let times = view.at("v_store_v", *v).numbers("t_64mv_s")?;
            spreads.half_step.push(fit_half_step(&corner, *v, &times, longest_s)?);
        }
    }
    for of in &spreads.half_step {
        let name = |what: &str| format!("{}_t_half_step_{what}_at_{:.3}v_s", of.corner, of.v_store_v);
        if let Some(median_s) = of.median_s {
            corners.fit.parameters.push(Parameter::new(name("median"), "s", median_s, of.median_interval_s));
        }
        if let Some(low_s) = of.low_s {
            corners.fit.parameters.push(Parameter::new(name("1_percent"), "s", low_s, None));
        }
    }
    (spreads.drift, spreads.drift_corners) = (Some(fit), Some(corners));
    Ok(())
}

fn without_draws(values: Vec<Vec<f64>>) -> Vec<(Vec<f64>, Vec<f64>)> {
    values.into_iter().map(|values| (values, Vec::new())).collect()
}

/// Gain and offset of every converter of a view.
fn converters(view: &View<'_>) -> Result<Vec<Vec<f64>>> {
    const CHARGES: usize = 2;
    view.split("sample").into_iter().filter(|(_, of)| of.len() == CHARGES).map(|(_, of)| converter_line(&of)).collect()
}

/// Curves of a view, one per row.
fn curves(view: &View<'_>, column: &str) -> Result<Vec<Vec<f64>>> {
    let found = |curve: Option<&[f64]>| curve.map(<[f64]>::to_vec);
    view.curve(column)
        .into_iter()
        .map(found)
        .collect::<Option<_>>()
        .ok_or_else(|| Error::new(Kind::FitFailed, format!("a row of the sweep has no curve `{column}`")))
}

/// The good rows of every corner, in the order of the technology's.
fn corner_views(dataset: &Dataset) -> Result<Vec<(String, View<'_>)>> {
    let ok = dataset.ok();
    let names = ok.unique_labels(CORNER_LABEL);
    if names.is_empty() {
        let message = format!("sweep `{}` has no corners", dataset.manifest.sweep);
        return Err(Error::new(Kind::FitFailed, message));
    }
    Ok(names.into_iter().map(|name| (name.to_string(), ok.labelled(CORNER_LABEL, name))).collect())
}

/// Every corner's samples, split; `of` gives the values of a view's samples.
fn at_corners(dataset: &Dataset, of: impl Fn(&View<'_>) -> Result<Vec<Vec<f64>>>) -> Result<Vec<CornerSamples>> {
    let read = |(corner, view): (String, View<'_>)| {
        let (train, test) = split_samples(without_draws(of(&view)?));
        Ok(CornerSamples { corner, train, test })
    };
    corner_views(dataset)?.into_iter().map(read).collect()
}

/// The widest corner's limit.
fn widest_limit(quantities: &[Quantity], samples: &[CornerSamples]) -> f64 {
    samples.iter().map(|of| distribution_limit(quantities, &of.train, &of.test)).fold(0.0, f64::max)
}
