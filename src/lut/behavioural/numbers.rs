//! What both languages say, as numbers.

use crate::error::{Kind, Problem, Result};
use crate::lut::{Cell, Grid, Pchip, Readout, Table, WidthCurve};

/// Straight lines stand for the table's curves between so many voltages: they miss the current by less than 0.2 % of its
/// greatest value.
const NODES: usize = 57;
/// The straight part of a converter is taken between these shares of its rising range.
const STRAIGHT: (f64, f64) = (0.2, 0.8);
/// Charges at which a converter's curve is looked at for these shares.
const SAMPLES: usize = 10_000;
/// Edge of a word-line pulse unless an instance says otherwise [s].
pub(super) const T_EDGE_S: f64 = 50e-12;
/// Storage capacitance of the models [F]; hold and write state voltages, so that any value gives the same.
pub(super) const C_STORE_F: f64 = 8e-15;

/// Voltage over which a converter's current ends, five times this behind the pulse's end [V]: about a time step's on the bit line.
pub(super) const SOURCE_SOFT_V: f64 = 1e-3;

/// A curve as straight lines.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lines {
    /// Argument and value.
    pub nodes: Vec<(f64, f64)>,
}

impl Lines {
    /// `curve` between `span`.
    fn new(curve: &Grid, span: [f64; 2]) -> Lines {
        let smooth = Pchip::new(&curve.axes[0].values, &curve.values);
        let step = (span[1] - span[0]) / (NODES - 1) as f64;
        let node = |k: usize| (span[0] + step * k as f64, smooth.at(span[0] + step * k as f64));
        Lines { nodes: (0..NODES).map(node).collect() }
    }

    /// The lines' value; beyond the ends that of the nearest.
    #[cfg(test)]
    pub fn at(&self, x: f64) -> f64 {
        let (first, last) = (self.nodes[0], self.nodes[self.nodes.len() - 1]);
        let after = self.nodes.partition_point(|(node, _)| *node <= x);
        match after {
            0 => first.1,
            k if k == self.nodes.len() => last.1,
            k => {
                let ((x0, y0), (x1, y1)) = (self.nodes[k - 1], self.nodes[k]);
                y0 + (y1 - y0) * (x - x0) / (x1 - x0)
            }
        }
    }
}

/// One array's cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CellLines {
    pub suffix: char,
    pub current_a: Lines,
    pub conductance_s: Lines,
    pub edge_charge_c: Lines,
    pub v_pre_v: f64,
}

/// One polarity of a converter: charge `offset_c` ends no later than the output begins, and `current_a` takes the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    /// Current that the conversion flows with [A].
    pub current_a: f64,
    /// Bit-line voltage at which the pulse ends, over the reference [V].
    pub v_end_v: f64,
    /// Voltage over which the pulse falls, so that it takes some [`T_EDGE_S`] at the slope of the bit line: the integral of
    /// x (1 - x) is then that of a straight edge, t_edge / 6 [V].
    pub soft_v: f64,
}

/// A table's numbers as its models use them.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavioural {
    pub(super) name: String,
    pub(super) content_hash: String,
    pub(super) cell: String,
    pub(super) vdd_v: f64,
    pub(super) v_store_v: [f64; 2],
    pub(super) temperature_degc: f64,
    pub(super) cells: [CellLines; 2],
    /// Stored voltage over the driven one.
    pub(super) written: Lines,
    /// For each write bit-line voltage of the table: its share over the line's voltage, and dV/dt over the stored voltage at it.
    pub(super) rates: Vec<(Lines, Lines)>,
    pub(super) c_bit_line_f: [f64; 2],
    pub(super) unsigned: Line,
    /// For positive and for negative charge.
    pub(super) signed: [Line; 2],
}

impl Behavioural {
    /// From a table.
    ///
    /// # Errors
    /// [`Kind::TableInvalid`] if a converter's width does not rise over charge.
    pub fn new(table: &Table) -> Result<Behavioural> {
        let span = table.validity.v_store_v;
        let cell = |suffix, cell: &Cell, v_pre_v| CellLines {
            suffix,
            current_a: Lines::new(&cell.current_a, span),
            conductance_s: Lines::new(&cell.conductance_s, span),
            edge_charge_c: Lines::new(&cell.edge_charge_c, span),
            v_pre_v,
        };
        let rates = &table.retention.rate_v_per_s;
        let rate = |k: usize| {
            let row = Grid::curve(&rates.name, &rates.unit, rates.axes[1].clone(), rates.row(k).to_vec());
            let shares = rates.axes[0].values.iter().enumerate().map(|(i, v)| (*v, f64::from(u8::from(i == k))));
            (Lines { nodes: shares.collect() }, Lines::new(&row, span))
        };
        let v_ref_v = table.scale.vdd_v / 2.0;
        let (k, v) = (&table.column_k, &table.column_v);
        let line = |readout: &Readout, sign: f64, column: &crate::lut::Column| {
            straight(readout, sign).map(|(slope_s_per_c, offset_c)| Line {
                current_a: 1.0 / slope_s_per_c,
                soft_v: T_EDGE_S / slope_s_per_c / column.c_bit_line_f / 3.0,
                v_end_v: column.v_precharge_v - v_ref_v - offset_c / column.c_bit_line_f,
            })
        };
        Ok(Behavioural {
            name: table.name.clone(),
            content_hash: table.content_hash.clone(),
            cell: table.cell_name.clone(),
            vdd_v: table.scale.vdd_v,
            v_store_v: span,
            temperature_degc: table.scale.temperature_degc,
            cells: [cell('k', &table.cell, k.v_precharge_v), cell('v', table.v_cell(), v.v_precharge_v)],
            written: Lines::new(&table.write.stored_v, table.validity.v_driven_v),
            rates: (0..rates.axes[0].values.len()).map(rate).collect(),
            c_bit_line_f: [k.c_bit_line_f, v.c_bit_line_f],
            unsigned: line(&table.readout_unsigned, 1.0, k)?,
            signed: [line(&table.readout_signed, 1.0, v)?, line(&table.readout_signed, -1.0, v)?],
        })
    }
}

/// Slope [s/C] and charge at zero width [C] of the line through the part of `sign`.
fn straight(readout: &Readout, sign: f64) -> Result<(f64, f64)> {
    let curve = WidthCurve::new(&readout.width_s);
    let ([low, high], widths) = (readout.width_s.axes[0].span(), &readout.width_s.values);
    let full = widths.iter().fold(0.0, |most: f64, width| most.max(sign * width));
    // Of charges of this sign, the least at which a share of the full width is reached.
    let reach = |share: f64| {
        let end = if sign > 0.0 { high } else { low };
        (0..=SAMPLES).map(|k| end * k as f64 / SAMPLES as f64).find(|q| sign * curve.at(*q) >= share * full)
    };
    let ends = if full > 0.0 { reach(STRAIGHT.0).zip(reach(STRAIGHT.1)).filter(|(a, b)| a != b) } else { None };
    let Some((low_c, high_c)) = ends else {
        let problem =
            Problem::new(Kind::TableInvalid, format!("the width of charges of sign {sign:+} has no straight part"));
        return Err(problem.key("readout").help("characterize the converter over its whole range").into());
    };
    let slope = (curve.at(high_c) - curve.at(low_c)) / (high_c - low_c);
    Ok((slope, low_c - curve.at(low_c) / slope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::synthetic;

    #[test]
    fn straight_lines_are_close_to_the_curves() {
        let table = synthetic::table().unwrap();
        let model = Behavioural::new(&table).unwrap();
        let curve = Pchip::new(&table.cell.current_a.axes[0].values, &table.cell.current_a.values);
        let greatest = table.cell.current_a.values.iter().fold(0.0, |most: f64, i| most.max(i.abs()));
        for k in 0..1000 {
            let v = model.v_store_v[0] + (model.v_store_v[1] - model.v_store_v[0]) * f64::from(k) / 999.0;
            assert!((model.cells[0].current_a.at(v) - curve.at(v)).abs() < 2e-3 * greatest, "{v}");
        }
    }

    #[test]
    fn a_converters_lines_are_charge_over_current() {
        let table = synthetic::table().unwrap();
        let model = Behavioural::new(&table).unwrap();
        // The synthetic converters are straight: full scale in T_max, and an offset.
        let full_c = table.scale.s_sat * table.scale.charge_per_unit_c;
        assert!((model.unsigned.current_a * table.scale.t_max_s / full_c - 1.0).abs() < 1e-9);
        let offset_v = table.readout_unsigned.offset_c / table.column_k.c_bit_line_f;
        assert!((model.unsigned.v_end_v - (table.column_k.v_precharge_v - 0.45 - offset_v)).abs() < 1e-9);
        let [up, down] = model.signed;
        assert!((up.current_a - down.current_a).abs() < 1e-9 * up.current_a);
    }

    #[test]
    fn a_converter_that_never_rises_makes_no_model() {
        let mut table = synthetic::table().unwrap();
        table.readout_signed.width_s.values.iter_mut().for_each(|width| *width = width.max(0.0));
        let error = Behavioural::new(&table).unwrap_err();
        assert_eq!(error.kind(), Kind::TableInvalid);
        assert!(error.to_string().contains("sign -1"), "{error}");
    }
}
