//! A cell's charge over stored voltage, pulse width and bit line: few transients on the shape of a static sweep.
//!
//! A cell's current turns on over some 50 mV of stored voltage, so a cubic through transients 50 to 70 mV apart is off by a
//! percent of the charge between them, and by the same for every cell of that level. What transients add to static current times
//! width (the word line's kick on the stored node, edges) is small and bends less: that is interpolated, and the static current is
//! known on a fine grid.

use super::rows::incomplete;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::lut::{Axis, Grid};
use crate::spline::Spline;
use crate::sweep::{DESIGN, SET_LABEL};

/// Charge [C] over `v_store_v`, `t_pulse_s`, `v_bl_v` from the design points; no pulse carries no charge. If the width that
/// counts was measured (`width_column`), charges are brought to the swept widths along it.
pub(super) fn charge_grid(dataset: &Dataset, width_column: Option<&str>) -> Result<Grid> {
    let view = dataset.ok().labelled(SET_LABEL, DESIGN);
    let levels = view.unique("v_store_v");
    let bit_lines = view.unique("v_bl_v");
    let swept = view.unique("t_pulse_s");
    let mut widths = vec![0.0];
    widths.extend(&swept);
    let mut values = vec![0.0; levels.len() * widths.len() * bit_lines.len()];
    for (i_v, v_store_v) in levels.iter().enumerate() {
        for (i_b, v_bl_v) in bit_lines.iter().enumerate() {
            let rows = view.at("v_store_v", *v_store_v).at("v_bl_v", *v_bl_v);
            let (charge, nominal) = (rows.numbers("charge_c")?, rows.numbers("t_pulse_s")?);
            let measured = width_column.map_or_else(|| Ok(nominal.clone()), |name| rows.numbers(name))?;
            if charge.len() != swept.len() {
                let message = format!("{} of {} pulse widths are there at {v_store_v} V", charge.len(), swept.len());
                return Err(incomplete(dataset, message).into());
            }
            let mut pairs: Vec<(f64, f64)> = measured.into_iter().zip(charge).filter(|(t, _)| *t > 0.0).collect();
            pairs.push((0.0, 0.0));
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            pairs.dedup_by(|b, a| b.0 <= a.0);
            let (t, q) = pairs.into_iter().unzip();
            let along = Spline::pchip(t, q)?;
            for (i_t, width) in widths.iter().enumerate() {
                values[(i_v * widths.len() + i_t) * bit_lines.len() + i_b] = along.value(*width);
            }
        }
    }
    let axes = vec![
        Axis::new("v_store_v", "V", levels),
        Axis::new("t_pulse_s", "s", widths),
        Axis::new("v_bl_v", "V", bit_lines),
    ];
    Ok(Grid::new("charge_c", "C", axes, values))
}

/// Static current of a selected cell [A] over the stored voltage, by bit line.
pub(super) struct StaticCurrent {
    v_store_v: Vec<f64>,
    v_bl_v: Vec<f64>,
    /// By bit line.
    curves: Vec<Spline>,
}

impl StaticCurrent {
    /// From the static sweep.
    ///
    /// # Errors
    /// [`crate::error::Kind::TableInvalid`] if the sweep has no grid of stored voltages or no curve at some bit line.
    pub(super) fn new(dataset: &Dataset) -> Result<Self> {
        let axis = dataset
            .grid("i_cell_a")
            .ok_or_else(|| incomplete(dataset, "the static current has no grid".to_string()))?;
        let (mut v_bl_v, mut curves) = (Vec::new(), Vec::new());
        for (at, view) in dataset.ok().labelled(SET_LABEL, DESIGN).split("v_bl_v") {
            let curve = view.curve("i_cell_a").into_iter().flatten().next();
            let curve =
                curve.ok_or_else(|| incomplete(dataset, format!("the static current at {at} V is not there")))?;
            curves.push(Spline::not_a_knot(axis.to_vec(), curve.to_vec())?);
            v_bl_v.push(at);
        }
        Ok(StaticCurrent { v_store_v: axis.to_vec(), v_bl_v, curves })
    }

    /// The current at a stored voltage and a bit line [A].
    fn at(&self, v_store_v: f64, v_bl_v: f64) -> Result<f64> {
        let across = self.curves.iter().map(|curve| curve.try_value(v_store_v)).collect::<Result<Vec<f64>>>()?;
        Spline::not_a_knot(self.v_bl_v.clone(), across)?.try_value(v_bl_v)
    }

    /// The charge on the static sweep's stored voltages, between the grid's own least and greatest.
    ///
    /// # Errors
    /// [`crate::error::Kind::OutsideValidity`] if the static sweep does not reach that far.
    pub(super) fn refine(&self, grid: &Grid) -> Result<Grid> {
        let [levels, widths, lines] = [0, 1, 2].map(|axis| &grid.axes[axis].values);
        let [first, last] = grid.axes[0].span();
        let inside = self.v_store_v.iter().copied().filter(|v| *v > first && *v < last);
        let fine: Vec<f64> = std::iter::once(first).chain(inside).chain(std::iter::once(last)).collect();
        let mut values = vec![0.0; fine.len() * widths.len() * lines.len()];
        for (i_b, v_bl_v) in lines.iter().enumerate() {
            let currents = |at: &[f64]| at.iter().map(|v| self.at(*v, *v_bl_v)).collect::<Result<Vec<f64>>>();
            let (at_levels, at_fine) = (currents(levels)?, currents(&fine)?);
            for (i_t, width) in widths.iter().enumerate() {
                let at = |i_v: usize| (i_v * widths.len() + i_t) * lines.len() + i_b;
                let beside = at_levels.iter().enumerate().map(|(i, current)| grid.values[at(i)] - current * width);
                let beside = Spline::not_a_knot(levels.clone(), beside.collect())?;
                for (i, (v, current)) in fine.iter().zip(&at_fine).enumerate() {
                    values[at(i)] = current * width + beside.value(*v);
                }
            }
        }
        let mut axes = grid.axes.clone();
        axes[0].values = fine;
        Ok(Grid { axes, values, ..grid.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// Current of a transistor that turns on at 0.45 V over 30 mV [A].
    fn current_a(v: f64, v_bl_v: f64) -> f64 {
        2e-5 * ((v - 0.45) / 0.03).exp().ln_1p() * 0.03 * (1.0 + 0.1 * v_bl_v)
    }

    #[test]
    fn few_transients_on_a_static_shape_are_exact_between_them() {
        let fine: Vec<f64> = (0..=76).map(|i| -0.025 + 0.0125 * f64::from(i)).collect();
        let lines = vec![0.25, 0.45, 0.65];
        let curves = lines.iter().map(|b| fine.iter().map(|v| current_a(*v, *b)).collect());
        let curves = curves.map(|y| Spline::not_a_knot(fine.clone(), y).unwrap()).collect();
        let shape = StaticCurrent { v_store_v: fine, v_bl_v: lines.clone(), curves };
        let levels: Vec<f64> = (0..15).map(|i| -0.02 + 0.94 / 14.0 * f64::from(i)).collect();
        let widths = vec![0.0, 5e-9, 15e-9];
        // The word line kicks the stored node by 3 mV, and an edge adds a charge of its own.
        let charge = |v: f64, t: f64, b: f64| if t > 0.0 { current_a(v + 3e-3, b) * t + 1e-16 * v * v } else { 0.0 };
        let values = levels.iter().flat_map(|v| widths.iter().map(move |t| (*v, *t)));
        let values = values.flat_map(|(v, t)| lines.iter().map(move |b| charge(v, t, *b))).collect();
        let axes = vec![
            Axis::new("v_store_v", "V", levels.clone()),
            Axis::new("t_pulse_s", "s", widths.clone()),
            Axis::new("v_bl_v", "V", lines.clone()),
        ];
        let coarse = Grid::new("charge_c", "C", axes, values);
        let refined = shape.refine(&coarse).unwrap();
        let (mut worst, mut worst_coarse) = (0.0f64, 0.0f64);
        let full = charge(0.92, 15e-9, 0.45);
        let along = |grid: &Grid| {
            let at = |i: usize| grid.values[(i * 3 + 2) * 3 + 1];
            let nodes = grid.axes[0].values.clone();
            Spline::pchip(nodes.clone(), (0..nodes.len()).map(at).collect()).unwrap()
        };
        let (fine, plain) = (along(&refined), along(&coarse));
        for v in (0..=900).map(|i| f64::from(i) * 1e-3) {
            let exact = charge(v, 15e-9, 0.45);
            worst = worst.max((fine.value(v) - exact).abs() / full);
            worst_coarse = worst_coarse.max((plain.value(v) - exact).abs() / full);
        }
        assert!(worst < 3e-4, "{worst}");
        assert!(worst_coarse > 10.0 * worst, "the transients alone: {worst_coarse}");
        assert!(refined.values.iter().take(3).all(|q| *q == 0.0), "no pulse, no charge");
    }

    #[test]
    fn a_static_sweep_that_does_not_reach_is_refused() {
        let curves = vec![Spline::pchip(vec![0.0, 0.9], vec![0.0, 1.0]).unwrap(); 2];
        let shape = StaticCurrent { v_store_v: vec![0.0, 0.9], v_bl_v: vec![0.25, 0.65], curves };
        let axes = vec![
            Axis::new("v_store_v", "V", vec![-0.02, 0.92]),
            Axis::new("t_pulse_s", "s", vec![0.0, 1e-9]),
            Axis::new("v_bl_v", "V", vec![0.25, 0.65]),
        ];
        let error = shape.refine(&Grid::new("charge_c", "C", axes, vec![0.0; 8])).err().unwrap();
        assert_eq!(error.kind(), Kind::OutsideValidity);
    }
}
