//! What [`super::variability_spread`] shows, from models and rows.

use super::results::Results;
use super::variability_spread::{CornerSigma, Lasting, Quantiles, SpreadData};
use crate::campaign::{HELD_OUT_SHARE, SPREAD_SWEEPS};
use crate::error::Result;
use crate::fit::stats;
use crate::fit::variability::VariabilityFit;

/// Tokens of a window, 0.8 ms of them.
const WINDOW_S: f64 = 0.8e-3;

impl Results<'_> {
    /// Distributions of the sweeps that a table does not need; `None` if they have not run.
    ///
    /// # Errors
    /// [`crate::error::Kind::FitFailed`] if the rows are not those of the fit.
    pub fn spread(&self) -> Result<Option<SpreadData>> {
        let spreads = &self.models.spreads;
        let (Some(currents), Some(dataset)) = (&spreads.currents, self.datasets.get(SPREAD_SWEEPS[0])) else {
            return Ok(None);
        };
        let curves: Vec<&[f64]> = dataset.ok().curve("i_cell_a").into_iter().flatten().collect();
        let seen = curves.len() - (curves.len() as f64 * HELD_OUT_SHARE).round() as usize;
        let levels = dataset.grid("i_cell_a").unwrap_or_default();
        let sigmas = spreads.current_corners.iter().flat_map(|fit| &fit.corners).map(|of| CornerSigma {
            corner: of.corner.clone(),
            ratio: levels
                .iter()
                .zip(&of.sigma)
                .enumerate()
                .map(|(q, (v, s))| (*v, s / currents.model.sigma(q)))
                .collect(),
        });
        Ok(Some(SpreadData {
            conditions: self.conditions(),
            dice: curves.len(),
            quantiles: (0..levels.len()).map(|q| quantiles(currents, q, levels[q], &curves[seen..])).collect(),
            sigmas: sigmas.collect(),
            lasting: self.lasting(),
            window_s: WINDOW_S,
        }))
    }

    fn lasting(&self) -> Vec<Lasting> {
        let mut corners: Vec<Lasting> = Vec::new();
        for of in &self.models.spreads.half_step {
            if corners.last().is_none_or(|last| last.corner != of.corner) {
                corners.push(Lasting { corner: of.corner.clone(), times_s: Vec::new() });
            }
            // Where more than half of the dice outlast the transient, the median is an extrapolation.
            let seen = 2 * of.censored < of.dice;
            if let (true, Some(median_s), Some(sigma), Some(last)) =
                (seen, of.median_s, of.sigma_ln, corners.last_mut())
            {
                let at = |p: f64| median_s * (sigma * stats::normal_quantile(p)).exp();
                last.times_s.push((of.v_store_v, [at(0.01), median_s, at(0.99)]));
            }
        }
        corners
    }
}

fn quantiles(fit: &VariabilityFit, quantity: usize, v_store_v: f64, held_out: &[&[f64]]) -> Quantiles {
    let (mean, sigma) = (fit.model.mean[quantity], fit.model.sigma(quantity));
    let scaled = |value: f64| (value - mean) / sigma;
    let scores = || (-12..=12).map(|k| 0.25 * f64::from(k));
    let sorted = stats::sorted(&held_out.iter().map(|curve| curve[quantity]).collect::<Vec<_>>());
    Quantiles {
        name: format!("{v_store_v:.3} V").replace('-', "−"),
        fitted: scores().map(|z| (z, scaled(fit.model.marginals[quantity].value(z)))).collect(),
        held_out: (-6..=6)
            .map(|k| 0.5 * f64::from(k))
            .map(|z| (z, scaled(stats::quantile_sorted(&sorted, stats::normal_cdf(z)))))
            .collect(),
    }
}
