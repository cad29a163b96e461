//! The low fidelity: a static sweep's curves, interpolated, times a factor.

use std::collections::BTreeMap;

use crate::dataset::Dataset;
use crate::error::{Kind, Problem, Result};
use crate::spec::{MultifidelitySpec, SweepSpec};
use crate::spline::Spline;

/// What a static sweep says of a point.
#[derive(Debug, Clone)]
pub struct LowFidelity {
    /// Value across, and the curve there.
    curves: Vec<(f64, Spline)>,
    names: Vec<String>,
    along: usize,
    across: Option<usize>,
    spec: MultifidelitySpec,
}

impl LowFidelity {
    /// Reads the curves of `rows`, the run of the static sweep `of`, for the sweep `spec`.
    ///
    /// # Errors
    /// [`Kind::SpecKey`] if the static sweep has no such curve, or varies more than one parameter or another one than `at`
    /// says; [`Kind::FitFailed`] if it has no good row.
    pub fn new(spec: &SweepSpec, low: &MultifidelitySpec, of: &SweepSpec, rows: &Dataset) -> Result<LowFidelity> {
        let wrong = |message: String, key: &str, accepted: String| {
            Problem::new(Kind::SpecKey, message).file(&spec.file).key(format!("multifidelity.{key}")).accepted(accepted)
        };
        let measure = of.measures.iter().find(|m| m.unit.column(&low.curve) == m.column);
        let curve = measure.and_then(|m| Some((m.column.as_str(), rows.grid(&m.column)?)));
        let Some((column, grid)) = curve else {
            let known: Vec<&str> = of.measures.iter().map(|m| m.column.as_str()).collect();
            let message = format!("sweep `{}` has no sampled measurement \"{}\"", low.sweep, low.curve);
            return Err(wrong(message, "curve", format!("a `sample` among {}", known.join(", "))).into());
        };
        let place = |name: &String| spec.parameters.iter().position(|p| p.name == *name).unwrap_or(0);
        let (along, across) = (low.at.first().map_or(0, place), low.at.get(1).map(place));
        let varied: Vec<String> = of.parameters.iter().map(|p| p.column()).collect();
        if varied.len() > 1 || varied.len() != usize::from(across.is_some()) {
            let message = format!("sweep `{}` varies {} parameters beside its curve", low.sweep, varied.len());
            return Err(
                wrong(message, "at", "the parameter along the curve, then the one that it varies".into()).into()
            );
        }
        let mut curves = Vec::new();
        for (row, curve) in rows.ok().iter().zip(rows.ok().curve(column)) {
            let at = varied.first().and_then(|name| row.values.get(name)).copied().unwrap_or(0.0);
            if let Some(curve) = curve {
                curves.push((at, Spline::not_a_knot(grid.to_vec(), curve.to_vec())?));
            }
        }
        if curves.is_empty() {
            let message = format!("sweep `{}` has no good row", low.sweep);
            return Err(Problem::new(Kind::FitFailed, message).help("look at the outcomes of its rows").into());
        }
        curves.sort_by(|a, b| a.0.total_cmp(&b.0));
        let names = spec.parameters.iter().map(|p| p.name.clone()).collect();
        Ok(LowFidelity { curves, names, along, across, spec: low.clone() })
    }

    /// Its prediction at `at`; zero where the factor has no value. Beyond the static sweep's ranges it goes on as a
    /// straight line, which the correction takes up.
    pub fn value(&self, at: &[f64]) -> f64 {
        let here = |curve: &Spline| curve.value(at[self.along]);
        let carried = match self.across {
            None => here(&self.curves[0].1),
            Some(across) => {
                let (x, y) = self.curves.iter().map(|(x, curve)| (*x, here(curve))).unzip();
                Spline::not_a_knot(x, y).map_or(0.0, |spline| spline.value(at[across]))
            }
        };
        let values: BTreeMap<&str, f64> = self.names.iter().map(String::as_str).zip(at.iter().copied()).collect();
        carried * self.spec.times.eval(&|name| values.get(name).copied()).unwrap_or(0.0)
    }
}
