//! The low fidelity: a static sweep's curves, interpolated, and what they predict.

use std::collections::BTreeMap;

use crate::dataset::Dataset;
use crate::error::{Kind, Problem, Result};
use crate::spec::{MultifidelitySpec, SUPPLY, SweepSpec};
use crate::spline::Spline;

/// What a static sweep says of a point.
#[derive(Debug, Clone)]
pub struct LowFidelity {
    /// Value across, and the curve there.
    curves: Vec<(f64, Spline)>,
    names: Vec<String>,
    spec: MultifidelitySpec,
    vdd_v: f64,
}

impl LowFidelity {
    /// Reads the curves of `rows`, the run of the static sweep `of`, for the sweep `spec` at the supply `vdd_v` [V].
    ///
    /// # Errors
    /// [`Kind::SpecKey`] if the static sweep has no such curve, or varies more than one parameter or another one than `at`
    /// says; [`Kind::FitFailed`] if it has no good row.
    pub fn new(
        spec: &SweepSpec,
        low: &MultifidelitySpec,
        of: &SweepSpec,
        rows: &Dataset,
        vdd_v: f64,
    ) -> Result<LowFidelity> {
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
        let varied: Vec<String> = of.parameters.iter().filter(|p| p.values.len() != 1).map(|p| p.column()).collect();
        if varied.len() > 1 || varied.len() + 1 != low.at.len() {
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
        Ok(LowFidelity { curves, names, spec: low.clone(), vdd_v })
    }

    /// Its prediction at `at`; zero where it has no value. Beyond the static sweep's ranges a curve goes on as a straight
    /// line, which the correction takes up.
    pub fn value(&self, at: &[f64]) -> f64 {
        let mut values: BTreeMap<&str, f64> = self.names.iter().map(String::as_str).zip(at.iter().copied()).collect();
        values.entry(SUPPLY).or_insert(self.vdd_v);
        let place = |k: usize| self.spec.at.get(k)?.eval(&|name| values.get(name).copied()).ok();
        let Some(along) = place(0) else { return 0.0 };
        let carried = match place(1) {
            None => self.curves[0].1.value(along),
            Some(across) => {
                let (x, y) = self.curves.iter().map(|(x, curve)| (*x, curve.value(along))).unzip();
                Spline::not_a_knot(x, y).map_or(0.0, |spline| spline.value(across))
            }
        };
        let curve = self.spec.curve.to_ascii_lowercase();
        values.insert(&curve, carried);
        let predicted = self.spec.predicts.eval(&|name| values.get(name).copied()).unwrap_or(0.0);
        if predicted.is_finite() { predicted } else { 0.0 }
    }
}
