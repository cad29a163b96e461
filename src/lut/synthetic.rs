//! A table of closed forms, for tests and examples. **It is not a characterization**: no circuit stands behind it.
//!
//! The cell has the published polynomial's current, a quadratic edge charge and a late start of short pulses; it leaks
//! exponentially toward 0.42 V. The converters are straight lines with an offset. So every number that the emulator
//! gives on this table can be computed by hand.

use std::collections::BTreeMap;

use super::costs::Cost;
use super::grid::{Axis, Grid};
use super::table::{
    Cell, Column, Levels, Model, Offset, Parameter, Readout, Retention, SCHEMA, Scale, Table, Validity, Variability,
    Write,
};
use crate::error::Result;

/// Full pulse [s].
pub const T_MAX_S: f64 = 15e-9;
/// Charge of one unit of p at full pulse [C].
pub const CHARGE_PER_UNIT_C: f64 = 8e-15;
/// Bit-line capacitance [F].
pub const C_BIT_LINE_F: f64 = 4e-12;
/// Time constant of the leak [s].
pub const TAU_S: f64 = 5e-3;
/// Where the stored voltage leaks to [V].
pub const V_LEAK_V: f64 = 0.42;
/// Charge per volt by which the converters' zero is off [C].
pub const READOUT_OFFSET_C: f64 = -6e-15;
/// Width from which charge is a line over width [s].
pub const T_LINEAR_S: f64 = 3e-9;

/// Current drawn by a cell [A] at stored voltage and bit-line voltage [V].
pub fn current_a(v_store_v: f64, v_bl_v: f64) -> f64 {
    let y = v_store_v - 0.45;
    let p = 0.52136361 + y * (13.61226063 + y * (-2.62044562 + y * 46.05483778));
    CHARGE_PER_UNIT_C / T_MAX_S * p + conductance_s(v_store_v) * (v_bl_v - 0.45)
}

/// dI/dV_BL [S].
pub fn conductance_s(v_store_v: f64) -> f64 {
    0.2e-6 + 1.0e-6 * (v_store_v - 0.45).powi(2)
}

/// Charge that a pulse's edges add [C].
pub fn edge_charge_c(v_store_v: f64) -> f64 {
    0.3e-15 * (v_store_v - 0.4)
}

/// Charge of one cell [C]: a line over width from [`T_LINEAR_S`] on, a quarter less current time before.
pub fn charge_c(v_store_v: f64, t_pulse_s: f64, v_bl_v: f64) -> f64 {
    let opening = (t_pulse_s / T_LINEAR_S).min(1.0);
    let line = current_a(v_store_v, v_bl_v) * t_pulse_s + edge_charge_c(v_store_v);
    line * (0.75 * opening + 0.25 * opening * opening).clamp(0.0, 1.0)
}

/// Stored voltage right after the write of a driven level [V].
pub fn written_v(v_driven_v: f64) -> f64 {
    v_driven_v + 0.003 - 0.004 * v_driven_v
}

/// The table, on grids fine enough for 1e-4 of full scale; checked, its hash set.
pub fn table() -> Result<Table> {
    let steps = |from: f64, to: f64, n: usize| -> Vec<f64> {
        (0..n).map(|k| k as f64 / (n - 1) as f64).map(|t| from * (1.0 - t) + to * t).collect()
    };
    let stored = || Axis::new("v_store_v", "V", steps(-0.05, 0.95, 41));
    let widths =
        vec![0.0, 0.25e-9, 0.5e-9, 0.75e-9, 1e-9, 1.5e-9, 2e-9, 2.5e-9, 3e-9, 6e-9, 9e-9, 12e-9, 15e-9, 15.1e-9];
    let charge = Grid::tabulate(
        "charge_c",
        "C",
        vec![stored(), Axis::new("t_pulse_s", "s", widths), Axis::new("v_bl_v", "V", steps(0.15, 0.75, 7))],
        |at| charge_c(at[0], at[1], at[2]),
    );
    let rate = Grid::tabulate(
        "rate_v_per_s",
        "V/s",
        vec![Axis::new("v_wbl_v", "V", vec![0.0, 0.45, 0.9]), stored()],
        // The bias moves the end voltage by a tenth of its own.
        |at| -(at[1] - V_LEAK_V - 0.1 * (at[0] - 0.45)) / TAU_S,
    );
    let driven = Axis::new("v_driven_v", "V", steps(0.0, 0.9, 10));
    let written = driven.values.iter().map(|&v| written_v(v)).collect();
    let scale = Scale {
        vdd_v: 0.9,
        v_zero_v: 0.45,
        t_max_s: T_MAX_S,
        temperature_degc: 27.0,
        token_time_s: 0.78e-6,
        charge_per_unit_c: CHARGE_PER_UNIT_C,
        s_sat: 80.0,
        a_sat: 40.0,
        levels: Levels { stored: 8, q: 16, output: 16 },
    };
    let column = |offset_c: f64| Column {
        rows: 64,
        c_bit_line_f: C_BIT_LINE_F,
        v_precharge_v: 0.45,
        offset: Offset {
            constant_c: offset_c,
            per_width_a: 0.0,
            procedure: "the converter's own offset, exactly".into(),
        },
    };
    let draw_axis = Axis::new("draw", "1", vec![0.0, 1.0]);
    let sensitivity = Grid::tabulate("current_a_per_unit", "A", vec![draw_axis, stored()], |at| {
        // A threshold moves the current by the slope of a transistor, a mobility by the current itself.
        if at[0] == 0.0 { -6e-6 } else { current_a(at[1], 0.45) }
    });
    let mut table = Table {
        schema: SCHEMA,
        content_hash: String::new(),
        name: "synthetic".into(),
        technology: "none".into(),
        cell_name: "closed_form".into(),
        profile: "synthetic".into(),
        provenance: BTreeMap::from([("origin".into(), "closed forms; not a characterization".into())]),
        write: Write { stored_v: Grid::curve("stored_v", "V", driven, written), sigma_v: None, calibration: None },
        retention: Retention { rate_v_per_s: rate, relaxation_v: None, idle_v_wbl_v: 0.45 },
        cell: Cell::from_charge(charge, 0.45, T_LINEAR_S, 0.1)?,
        cell_v: None,
        column_k: column(READOUT_OFFSET_C),
        column_v: column(READOUT_OFFSET_C),
        readout_unsigned: readout(0.0, scale.s_sat * CHARGE_PER_UNIT_C),
        readout_signed: readout(-1.0, scale.a_sat * CHARGE_PER_UNIT_C),
        variability: Some(Variability {
            names: vec!["xn.delvto".into(), "xn.mulu0".into()],
            units: vec!["V".into(), "1".into()],
            mean: vec![0.0, 0.0],
            covariance: vec![0.01f64.powi(2), 0.0, 0.0, 0.005f64.powi(2)],
            current_a_per_unit: sensitivity,
            branches: Vec::new(),
            sigma_offset_unsigned_c: 1e-15,
            sigma_gain_unsigned: 0.002,
            sigma_offset_signed_c: 1e-15,
            sigma_gain_signed: 0.002,
        }),
        noise: None,
        costs: vec![Cost {
            name: "cell.energy_read_cell_j".into(),
            unit: "J".into(),
            per: "one cell, one full pulse".into(),
            mean: 2e-15,
            least: 1e-15,
            greatest: 3e-15,
            curve: Some(Grid::curve(
                "energy_read_cell_j",
                "J",
                Axis::new("v_level_v", "V", vec![0.0, 0.9]),
                vec![3e-15, 1e-15],
            )),
            sweep: "none".into(),
        }],
        validity: Validity {
            v_driven_v: [0.0, 0.9],
            v_store_v: [-0.05, 0.95],
            v_wbl_v: [0.0, 0.9],
            t_pulse_s: [0.0, 15.1e-9],
            v_bl_v: [0.15, 0.75],
            age_s: [0.0, 1.0e-3],
            charge_unsigned_c: [-8e-12, 8e-12],
            charge_signed_c: [-8e-12, 8e-12],
        },
        models: vec![Model {
            name: "retention".into(),
            equation: "dV/dt = (v_leak - V) / tau".into(),
            parameters: vec![Parameter { name: "tau_s".into(), value: TAU_S, unit: "s".into(), ci95: None }],
            held_out_error: 0.0,
            n_held_out: 0,
            unit: "V".into(),
            limit: 1e-3,
            pass: true,
        }],
        scale,
    };
    table.check()?;
    table.content_hash = table.computed_hash()?;
    Ok(table)
}

/// A straight converter, `T_MAX_S` at `full_c` beyond its offset, clipped at `lowest` and 1 times that width.
fn readout(lowest: f64, full_c: f64) -> Readout {
    let mut charges = vec![-8e-12];
    if lowest < 0.0 {
        charges.push(READOUT_OFFSET_C - full_c);
    }
    charges.extend([READOUT_OFFSET_C, READOUT_OFFSET_C + full_c, 8e-12]);
    let widths = charges.iter().map(|q| T_MAX_S * ((q - READOUT_OFFSET_C) / full_c).clamp(lowest, 1.0)).collect();
    Readout {
        width_s: Grid::curve("width_s", "s", Axis::new("charge_c", "C", charges), widths),
        offset_c: READOUT_OFFSET_C,
        parameters: vec![Parameter {
            name: "gain_s_per_c".into(),
            value: T_MAX_S / full_c,
            unit: "s/C".into(),
            ci95: None,
        }],
    }
}
