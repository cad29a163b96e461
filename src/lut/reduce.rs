//! From a cell's charge grid to the form that a column sums: a line over width per stored voltage, and what it misses.

use nalgebra::DMatrix;

use super::grid::{Axis, Grid};
use super::interpolate::Pchip;
use super::table::{Cell, Projection};
use crate::error::{Error, Kind, Result};

impl Cell {
    /// Reduces a charge grid [C] over `v_store_v`, `t_pulse_s`, `v_bl_v` at the precharge voltage.
    ///
    /// For each stored voltage the charge at `v_precharge_v` (PCHIP over the bit line) is fitted with a line over the
    /// widths from `t_linear_s` on, by least squares: slope I, intercept e. The conductance is the derivative of such
    /// slopes over the bit line, by central difference over `dv_v`, the on-capacitance that of intercepts; the curvature is the second
    /// difference of slopes over twice that, where the axis has it. The residual keeps the difference at widths below
    /// `t_linear_s`, starts at no pulse with no charge, and ends at `t_linear_s` with 0: the form is exact at the
    /// short nodes and a line beyond.
    ///
    /// Errors ([`Kind::TableInvalid`]): a grid on other axes, fewer than two widths from `t_linear_s` on, or a
    /// precharge whose neighbourhood of `dv_v` leaves the bit-line axis.
    pub fn from_charge(charge_c: Grid, v_precharge_v: f64, t_linear_s: f64, dv_v: f64) -> Result<Cell> {
        let mut problems = Vec::new();
        charge_c.check("cell.charge_c", &["v_store_v", "t_pulse_s", "v_bl_v"], &mut problems);
        if let Some(error) = Error::collect(problems) {
            return Err(error);
        }
        let [v_axis, t_axis, bl_axis] = [0, 1, 2].map(|k| charge_c.axes[k].clone());
        let linear_from = t_axis.values.partition_point(|&t| t < t_linear_s);
        let [bl_low, bl_high] = bl_axis.span();
        if t_axis.values.len() - linear_from < 2 || t_linear_s <= 0.0 {
            let message = format!("a line needs two widths of at least {t_linear_s:e} s, and a start above zero");
            return Err(Error::new(Kind::TableInvalid, message));
        }
        if dv_v <= 0.0 || v_precharge_v - dv_v < bl_low || v_precharge_v + dv_v > bl_high {
            let message = format!(
                "the precharge {v_precharge_v} V and {dv_v} V around it are not within the bit-line axis, {bl_low} to {bl_high} V"
            );
            return Err(Error::new(Kind::TableInvalid, message));
        }

        let widths = &t_axis.values;
        let charge_at = |i_v: usize, v_bl: f64| -> Vec<f64> {
            let row = |i_t: usize| Pchip::new(&bl_axis.values, charge_c.row(i_v * widths.len() + i_t)).at(v_bl);
            (0..widths.len()).map(row).collect()
        };
        let line_at = |i_v: usize, v_bl: f64| line(&widths[linear_from..], &charge_at(i_v, v_bl)[linear_from..]);

        let mut short: Vec<f64> = widths[..linear_from].iter().copied().filter(|&t| t > 0.0).collect();
        short.insert(0, 0.0);
        short.push(t_linear_s);
        let wide_v = (2.0 * dv_v).min(v_precharge_v - bl_low).min(bl_high - v_precharge_v);
        let (mut current, mut edge, mut conductance, mut residual) = (vec![], vec![], vec![], vec![]);
        let (mut bent, mut held) = (Vec::new(), Vec::new());
        for i_v in 0..v_axis.values.len() {
            let (slope, intercept) = line_at(i_v, v_precharge_v);
            current.push(slope);
            edge.push(intercept);
            conductance
                .push((line_at(i_v, v_precharge_v + dv_v).0 - line_at(i_v, v_precharge_v - dv_v).0) / (2.0 * dv_v));
            held.push((line_at(i_v, v_precharge_v + dv_v).1 - line_at(i_v, v_precharge_v - dv_v).1) / (2.0 * dv_v));
            let [below, above] = [-wide_v, wide_v].map(|dv| line_at(i_v, v_precharge_v + dv).0);
            bent.push((below + above - 2.0 * slope) / (wide_v * wide_v));
            residual.push(-intercept);
            for (&t, q) in widths[..linear_from].iter().zip(charge_at(i_v, v_precharge_v)) {
                if t > 0.0 {
                    residual.push(q - slope * t - intercept);
                }
            }
            residual.push(0.0);
        }
        let curve = |name: &str, unit: &str, values| Grid::curve(name, unit, v_axis.clone(), values);
        let projected = |values: &[f64]| Projection::fitted(values, &current, &conductance);
        Ok(Cell {
            curvature: projected(&bent),
            on_capacitance: projected(&held),
            current_a: curve("current_a", "A", current),
            edge_charge_c: curve("edge_charge_c", "C", edge),
            conductance_s: curve("conductance_s", "S", conductance),
            residual_c: Grid::new(
                "residual_c",
                "C",
                vec![v_axis.clone(), Axis::new("t_pulse_s", "s", short)],
                residual,
            ),
            charge_c,
        })
    }
}

impl Projection {
    /// From the quantity, the current [A] and the conductance [S] at the same stored voltages. What vanishes gets no coefficient.
    fn fitted(values: &[f64], current_a: &[f64], conductance_s: &[f64]) -> Projection {
        let greatest = |values: &[f64]| values.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
        let units = [greatest(current_a), greatest(conductance_s), 1.0];
        let columns = DMatrix::from_fn(values.len(), 3, |row, k| match k {
            0 => current_a[row] / units[0],
            1 => conductance_s[row] / units[1],
            _ => 1.0,
        });
        let wanted = DMatrix::from_column_slice(values.len(), 1, values);
        let solved = (columns.tr_mul(&columns)).pseudo_inverse(1e-9).map(|inverse| inverse * columns.tr_mul(&wanted));
        let of = |k: usize| solved.as_ref().map_or(0.0, |solved| solved[k] / units[k]);
        Projection { per_current: of(0), per_conductance: of(1), constant: of(2) }
    }
}

/// Slope and intercept of the least-squares line through the points.
fn line(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sxx: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (sxy / sxx, mean_y - sxy / sxx * mean_x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let axes = vec![
            Axis::new("v_store_v", "V", vec![0.0, 0.3, 0.6, 0.9]),
            Axis::new("t_pulse_s", "s", vec![0.0, 1e-9, 2e-9, 4e-9, 8e-9, 15e-9]),
            Axis::new("v_bl_v", "V", vec![0.25, 0.35, 0.45, 0.55]),
        ];
        // I = 10 uA/V (V - 0.45) + 2 uS (V_BL - 0.45), edge 1 fC V; a pulse below 2 ns opens late by up to 0.2 ns.
        Grid::tabulate("charge_c", "C", axes, |at| {
            let (v, t, bl) = (at[0], at[1], at[2]);
            let current = 10e-6 * (v - 0.45) + 2e-6 * (bl - 0.45);
            let late = if t < 2e-9 { 0.2e-9 * (1.0 - t / 2e-9) } else { 0.0 };
            if t > 0.0 { current * (t - late) + 1e-15 * v } else { 0.0 }
        })
    }

    #[test]
    fn a_line_with_a_late_start_is_taken_apart() {
        let cell = Cell::from_charge(grid(), 0.45, 2e-9, 0.05).unwrap();
        for (k, v) in [0.0, 0.3, 0.6, 0.9].into_iter().enumerate() {
            assert!((cell.current_a.values[k] - 10e-6 * (v - 0.45)).abs() < 1e-15);
            assert!((cell.edge_charge_c.values[k] - 1e-15 * v).abs() < 1e-24);
            assert!((cell.conductance_s.values[k] - 2e-6).abs() < 1e-12);
            let late = -10e-6 * (v - 0.45) * 0.1e-9;
            let row = cell.residual_c.row(k);
            assert_eq!(cell.residual_c.axes[1].values, [0.0, 1e-9, 2e-9]);
            assert!((row[0] + 1e-15 * v).abs() < 1e-24 && (row[1] - late).abs() < 1e-24 && row[2] == 0.0, "{row:?}");
        }
    }

    #[test]
    fn a_precharge_at_the_edge_of_the_grid_is_refused() {
        assert_eq!(Cell::from_charge(grid(), 0.54, 2e-9, 0.05).unwrap_err().kind(), Kind::TableInvalid);
        assert_eq!(Cell::from_charge(grid(), 0.45, 12e-9, 0.05).unwrap_err().kind(), Kind::TableInvalid);
    }
}
