//! What current and edge charge leave at short pulses: a table over widths and levels, cut to its strongest products.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::{ChargePoint, NEAR};
use crate::Result;
use crate::fit::linear;
use crate::spline::{Spline, SplineBasis};

/// One product of the short-pulse residual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResidualTerm {
    /// a(V) [C].
    pub level_c: Spline,
    /// h(T), dimensionless, 1 at most and 0 at no pulse.
    pub width: Spline,
}

/// The residuals as a table (widths x level nodes), cut to its strongest products. `residuals` are charge minus linear part.
pub(super) fn residual_terms(
    train: &[ChargePoint],
    residuals: &[f64],
    nodes: &[f64],
    basis: &SplineBasis,
    rank: usize,
) -> Result<Vec<ResidualTerm>> {
    let mut widths: Vec<f64> = train.iter().map(|p| p.t_pulse_s).filter(|&t| t > 0.0).collect();
    widths.sort_by(f64::total_cmp);
    widths.dedup_by(|a, b| (*a / *b - 1.0).abs() <= NEAR);
    let mut table = DMatrix::zeros(widths.len(), nodes.len());
    for (row, width) in widths.iter().enumerate() {
        let here: Vec<usize> = (0..train.len()).filter(|&i| (train[i].t_pulse_s / width - 1.0).abs() <= NEAR).collect();
        let weights: Vec<Vec<f64>> = here.iter().map(|&i| basis.weights(train[i].v_store_v)).collect();
        let design = DMatrix::from_fn(here.len(), nodes.len(), |i, j| weights[i][j]);
        let observed: Vec<f64> = here.iter().map(|&i| residuals[i]).collect();
        for (column, value) in linear::solve_min_norm(&design, &observed).into_iter().enumerate() {
            table[(row, column)] = value;
        }
    }
    let svd = table.svd(true, true);
    let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return Ok(Vec::new()) };
    let mut order: Vec<usize> = (0..svd.singular_values.len()).filter(|&r| svd.singular_values[r] > 0.0).collect();
    order.sort_by(|&a, &b| svd.singular_values[b].total_cmp(&svd.singular_values[a]));
    let term = |&r: &usize| {
        // Scaled so that h is 1 where it is greatest, which also settles the sign.
        let greatest = u.column(r).iter().fold(0.0, |best: f64, &h| if h.abs() > best.abs() { h } else { best });
        let widths = std::iter::once(0.0).chain(widths.iter().copied()).collect();
        let heights = std::iter::once(0.0).chain(u.column(r).iter().map(|h| h / greatest)).collect();
        let levels = v_t.row(r).iter().map(|a| a * svd.singular_values[r] * greatest).collect();
        Ok(ResidualTerm {
            level_c: Spline::not_a_knot(nodes.to_vec(), levels)?,
            width: Spline::pchip(widths, heights)?,
        })
    };
    order.iter().take(rank).map(term).collect()
}
