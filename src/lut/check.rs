//! Whether a table is fit for use: every fault at once, by key.

use super::grid::Grid;
use super::table::{Calibration, Cell, Column, SCHEMA, Table, Variability};
use crate::error::{Error, Kind, Problem, Result};

impl Table {
    /// Checks axes, values, signs and boxes. Errors are of [`Kind::TableInvalid`] and name the key.
    pub fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut report = |key: &str, message: String| problems.push(Problem::new(Kind::TableInvalid, message).key(key));
        if self.schema != SCHEMA {
            report("schema", format!("schema {} is not read; this version reads {SCHEMA}", self.schema));
        }
        for (key, value) in self.positive_numbers() {
            if !(value > 0.0 && value.is_finite()) {
                report(key, format!("{value} is not a positive number"));
            }
        }
        let levels = self.scale.levels;
        if levels.stored < 2 || levels.q < 2 || levels.output < 2 {
            report("scale.levels", "each converter needs at least 2 levels".into());
        }
        if !(self.scale.v_zero_v > 0.0 && self.scale.v_zero_v < self.scale.vdd_v) {
            report("scale.v_zero_v", format!("{} V is not between 0 and the supply", self.scale.v_zero_v));
        }
        self.write.stored_v.check("write.stored_v", &["v_driven_v"], &mut problems);
        if let Some(sigma) = &self.write.sigma_v {
            sigma.check("write.sigma_v", &["v_driven_v"], &mut problems);
            if sigma.values.iter().any(|value| *value < 0.0) {
                let message = "a standard deviation is negative";
                problems.push(Problem::new(Kind::TableInvalid, message).key("write.sigma_v"));
            }
        }
        if let Some(calibration) = &self.write.calibration {
            self.check_calibration(calibration, &mut problems);
        }
        self.retention.rate_v_per_s.check("retention.rate_v_per_s", &["v_wbl_v", "v_store_v"], &mut problems);
        if let Some(relaxation) = &self.retention.relaxation_v {
            relaxation.check("retention.relaxation_v", &["v_store_v", "t_hold_s"], &mut problems);
        }
        check_cell("cell", &self.cell, &mut problems);
        if let Some(cell) = &self.cell_v {
            check_cell("cell_v", cell, &mut problems);
        }
        check_column("column_k", &self.column_k, &mut problems);
        check_column("column_v", &self.column_v, &mut problems);
        for (key, readout) in [("readout_unsigned", &self.readout_unsigned), ("readout_signed", &self.readout_signed)] {
            let key = format!("{key}.width_s");
            readout.width_s.check(&key, &["charge_c"], &mut problems);
            if !readout.width_s.never_falls() {
                problems.push(Problem::new(Kind::TableInvalid, "the width falls with rising charge").key(key));
            }
        }
        if let Some(variability) = &self.variability {
            check_variability(variability, &mut problems);
        }
        if let Some(noise) = &self.noise {
            noise.check(&mut problems);
        }
        self.costs.iter().for_each(|cost| cost.check(&mut problems));
        if problems.is_empty() {
            self.check_boxes(&mut problems);
        }
        Error::collect(problems).map_or(Ok(()), Err)
    }

    fn positive_numbers(&self) -> [(&'static str, f64); 6] {
        let scale = &self.scale;
        [
            ("scale.vdd_v", scale.vdd_v),
            ("scale.t_max_s", scale.t_max_s),
            ("scale.token_time_s", scale.token_time_s),
            ("scale.charge_per_unit_c", scale.charge_per_unit_c),
            ("scale.s_sat", scale.s_sat),
            ("scale.a_sat", scale.a_sat),
        ]
    }

    /// One driven level per stored level, rising, within the validity box.
    fn check_calibration(&self, calibration: &Calibration, problems: &mut Vec<Problem>) {
        let before = problems.len();
        calibration.driven_v.check("write.calibration.driven_v", &["level"], problems);
        calibration.stored_v.check("write.calibration.stored_v", &["level"], problems);
        if problems.len() > before {
            return;
        }
        let driven_v = &calibration.driven_v.values;
        let mut report = |message: String| {
            problems.push(Problem::new(Kind::TableInvalid, message).key("write.calibration.driven_v"));
        };
        if driven_v.len() != self.scale.levels.stored as usize {
            report(format!("{} levels, and scale.levels.stored is {}", driven_v.len(), self.scale.levels.stored));
        }
        if driven_v.windows(2).any(|pair| pair[1] <= pair[0]) {
            report("the driven voltage does not rise with the level".to_string());
        }
        let [low, high] = self.validity.v_driven_v;
        if driven_v.iter().any(|v| *v < low || *v > high) {
            report(format!("a driven voltage is outside validity.v_driven_v, {low} to {high}"));
        }
    }

    /// Every validity box must be ordered and lie within the axes that it is about.
    fn check_boxes(&self, problems: &mut Vec<Problem>) {
        let validity = &self.validity;
        let mut check = |key: &str, bounds: [f64; 2], grids: &[&Grid], axis: &str| {
            let key = format!("validity.{key}");
            if !(bounds[0] < bounds[1] && bounds.iter().all(|b| b.is_finite())) {
                problems.push(Problem::new(Kind::TableInvalid, format!("{bounds:?} is not a range")).key(&key));
            }
            for grid in grids {
                let Some(axis) = grid.axes.iter().find(|candidate| candidate.name == axis) else { continue };
                let [low, high] = axis.span();
                // One part in 1e12, as in `Bounds::holds`: nodes come out of arithmetic.
                let slack = 1e-12 * (high - low);
                if bounds[0] < low - slack || bounds[1] > high + slack {
                    let message = format!("{bounds:?} leaves axis {} of {}, {low} to {high}", axis.name, grid.name);
                    problems.push(Problem::new(Kind::TableInvalid, message).key(&key));
                }
            }
        };
        let cells = [&self.cell, self.v_cell()];
        let charges = cells.map(|cell| &cell.charge_c);
        let stored: Vec<&Grid> = std::iter::once(&self.retention.rate_v_per_s)
            .chain(cells.into_iter().flat_map(|cell| cell.grids().map(|(_, grid)| grid)))
            .chain(self.variability.iter().flat_map(|variability| {
                std::iter::once(&variability.current_a_per_unit)
                    .chain(variability.branches.iter().map(|b| &b.current_a))
            }))
            .chain(self.noise.iter().flat_map(|noise| noise.grids().map(|(_, grid)| grid)))
            .collect();
        check("v_driven_v", validity.v_driven_v, &[&self.write.stored_v], "v_driven_v");
        check("v_store_v", validity.v_store_v, &stored, "v_store_v");
        check("v_wbl_v", validity.v_wbl_v, &[&self.retention.rate_v_per_s], "v_wbl_v");
        check("t_pulse_s", validity.t_pulse_s, &charges, "t_pulse_s");
        check("v_bl_v", validity.v_bl_v, &charges, "v_bl_v");
        check("age_s", validity.age_s, &[], "age_s");
        check("charge_unsigned_c", validity.charge_unsigned_c, &[&self.readout_unsigned.width_s], "charge_c");
        check("charge_signed_c", validity.charge_signed_c, &[&self.readout_signed.width_s], "charge_c");
        let idle = self.retention.idle_v_wbl_v;
        if !(idle >= validity.v_wbl_v[0] && idle <= validity.v_wbl_v[1]) {
            let message = format!("{idle} V is outside validity.v_wbl_v");
            problems.push(Problem::new(Kind::TableInvalid, message).key("retention.idle_v_wbl_v"));
        }
    }
}

fn check_cell(key: &str, cell: &Cell, problems: &mut Vec<Problem>) {
    let before = problems.len();
    let v = "v_store_v";
    cell.charge_c.check(&format!("{key}.charge_c"), &[v, "t_pulse_s", "v_bl_v"], problems);
    for (name, grid) in
        [("current_a", &cell.current_a), ("edge_charge_c", &cell.edge_charge_c), ("conductance_s", &cell.conductance_s)]
    {
        grid.check(&format!("{key}.{name}"), &[v], problems);
    }
    cell.residual_c.check(&format!("{key}.residual_c"), &[v, "t_pulse_s"], problems);
    if problems.len() > before {
        return;
    }
    let nodes = &cell.current_a.axes[0].values;
    let reduced = [&cell.edge_charge_c, &cell.conductance_s, &cell.residual_c];
    if reduced.iter().any(|grid| grid.axes[0].values != *nodes) {
        let message = "current, edge charge, conductance and residual must share one v_store_v axis";
        problems.push(Problem::new(Kind::TableInvalid, message).key(key));
        return;
    }
    let widths = &cell.residual_c.axes[1].values;
    let ends_meet = (0..nodes.len()).all(|k| {
        let row = cell.residual_c.row(k);
        row[0] == -cell.edge_charge_c.values[k] && row[row.len() - 1] == 0.0
    });
    if widths[0] != 0.0 || !ends_meet {
        let message = "at no width it must be minus the edge charge, and at its longest width 0";
        problems.push(Problem::new(Kind::TableInvalid, message).key(format!("{key}.residual_c")));
    }
}

fn check_column(key: &str, column: &Column, problems: &mut Vec<Problem>) {
    let finite = column.offset.constant_c.is_finite() && column.offset.per_width_a.is_finite();
    if !(column.rows > 0 && column.c_bit_line_f > 0.0 && column.v_precharge_v.is_finite() && finite) {
        let message = "rows and capacitance must be positive, precharge and offset finite";
        problems.push(Problem::new(Kind::TableInvalid, message).key(key));
    }
}

fn check_variability(variability: &Variability, problems: &mut Vec<Problem>) {
    let n = variability.names.len();
    let sensitivity = &variability.current_a_per_unit;
    sensitivity.check("variability.current_a_per_unit", &["draw", "v_store_v"], problems);
    let mut report = |key: &str, message: &str| {
        problems.push(Problem::new(Kind::TableInvalid, message).key(format!("variability.{key}")))
    };
    if variability.units.len() != n || variability.mean.len() != n || variability.covariance.len() != n * n {
        report("names", "units and mean must be as long as names, the covariance its square");
    } else if super::covariance::cholesky(&variability.covariance, n).is_none() {
        report("covariance", "it is not symmetric and positive semidefinite");
    }
    if sensitivity.axes.first().is_none_or(|axis| axis.values.len() != n) {
        report("current_a_per_unit", "its first axis must have one node per name");
    }
    for (k, branch) in variability.branches.iter().enumerate() {
        let mut wrong = |message: &str| {
            problems.push(Problem::new(Kind::TableInvalid, message).key(format!("variability.branches.{k}")))
        };
        let axes = &branch.current_a_per_unit.axes;
        if !variability.names.contains(&branch.shifted_by) {
            wrong("`shifted_by` is none of the draws' names");
        }
        if axes.len() != 2 || axes[0].values.len() != n || axes[1..] != branch.current_a.axes[..] {
            wrong("the responses must be over the draws and the current's axis");
        }
        if branch.mean_change_a.axes != branch.current_a.axes {
            wrong("the mean change must be over the current's axis");
        }
        branch.current_a.check(&format!("variability.branches.{k}.current_a"), &["v_store_v"], problems);
        branch.mean_change_a.check(&format!("variability.branches.{k}.mean_change_a"), &["v_store_v"], problems);
        let key = format!("variability.branches.{k}.current_a_per_unit");
        branch.current_a_per_unit.check(&key, &["draw", "v_store_v"], problems);
    }
    let mut report = |key: &str, message: &str| {
        problems.push(Problem::new(Kind::TableInvalid, message).key(format!("variability.{key}")))
    };
    let sigmas = [
        variability.sigma_offset_unsigned_c,
        variability.sigma_gain_unsigned,
        variability.sigma_offset_signed_c,
        variability.sigma_gain_signed,
    ];
    if !sigmas.iter().all(|sigma| *sigma >= 0.0 && sigma.is_finite()) {
        report("sigma_*", "standard deviations cannot be negative");
    }
}
