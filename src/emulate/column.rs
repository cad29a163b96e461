//! One bit line: what its cells draw in a read, without stepping through time.
//!
//! ```text
//! Q = sum_i [I(V_i) T_i + e(V_i) + r(V_i, T_i)] - (1 / C) sum_i [g(V_i) int_0^T_i Q_I(t) dt + k(V_i) Q_I(T_i)]
//!     + (2 / 3) Q_I s^2 + Q_I^2 H / (6 C^2)
//! Q_I(t) = sum_j I(V_j) min(t, T_j),   Q_I = Q_I(inf),   s = sum_i g(V_i) T_i / 2C,   H = sum_i h(V_i) T_i
//! ```
//!
//! What follows the first sum is the bit line's swing: its voltage falls by Q(t)/C while the charge flows, and each cell's current follows
//! with its conductance g = dI/dV_BL and curvature h. Of the solution of `dQ/dt = I - g Q/C + h Q^2 / 2C^2` these are the first order,
//! pair by pair of cells, and the second for pulses of one length. k = de/dV_BL is charge that cells keep: what is behind a word-line
//! switch follows the bit line while it is on, and takes its voltage at the end of the cell's own pulse with it.
//!
//! Where all pulses are T long the first order is `-Q_I (s + sum_i k(V_i) T_i / (C T))`. Without [`Swing::pairs`] it is taken so for all,
//! with `sum_i T_i^2 / sum_i T_i` for T: by sums of the column alone.
//!
//! A wire of r ohm from cell to cell, the converter before the first, leaves cell i below the converter's end by what flows through the
//! wire that it has in common with each other: `r sum_ij g(V_i) I(V_j) min(i, j) min(T_i, T_j)` is not drawn, to first order in g.

use super::factorized::Curve;
use crate::error::Result;
use crate::lut::{
    Bounds, CONDUCTANCE, CURRENT, Column, Projection, Pulse, Quantity, Readout, Scale, Tally, WidthCurve,
};

/// How far a converter's tabulated curve may be from its own, as a share of full scale.
const CURVE_TOLERANCE: f64 = 2e-4;

/// What one column's converter makes of a read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Charge that the cells drew [C].
    pub charge_c: f64,
    /// That charge after the column's offset was cancelled, in units of p at full pulse: S or A.
    pub product: f64,
    /// Pulse width as a fraction of T_max: phi, or the signed output before the counter.
    pub fraction: f64,
}

/// A cell whose word line is on for some time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct CellOn {
    /// Cells along the line, counted from the converter.
    place: usize,
    width_s: f64,
    current_a: f64,
    conductance_s: f64,
}

/// What is read along one bit line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineSums {
    cells: Vec<CellOn>,
    extra_charge_c: f64,
    widths_s: f64,
}

impl LineSums {
    /// Adds the cell in row `row` of the line, which rises from call to call, in `state`; its current differs by `delta_a` from that.
    #[inline]
    pub fn add(&mut self, row: usize, state: &[f64], pulse: &Pulse, delta_a: f64) {
        let width_s = pulse.width_s();
        if width_s > 0.0 {
            let (current_a, conductance_s) = (state[CURRENT] + delta_a, state[CONDUCTANCE]);
            self.cells.push(CellOn { place: row + 1, width_s, current_a, conductance_s });
        }
        self.extra_charge_c += pulse.extra_charge_c(state);
        self.widths_s += width_s;
    }

    /// Charge drawn from a line of capacitance `c_f` by cells of that `swing` [C].
    pub fn charge_c(&self, c_f: f64, swing: &Swing) -> f64 {
        let (mut current_charge_c, mut conductance_time, mut squares_s2) = (0.0, 0.0, 0.0);
        for cell in &self.cells {
            current_charge_c += cell.current_a * cell.width_s;
            conductance_time += cell.conductance_s * cell.width_s;
            squares_s2 += cell.width_s * cell.width_s;
        }
        let of = |projection: &Projection| projection.sum(current_charge_c, conductance_time, self.widths_s);
        let (share, fall_v) = (0.5 / c_f * conductance_time, current_charge_c / c_f);
        let first = if swing.pairs {
            self.by_pairs(&swing.on_capacitance) / c_f
        } else {
            let shorter_per_s = if squares_s2 > 0.0 { self.widths_s / squares_s2 } else { 0.0 };
            current_charge_c * share + of(&swing.on_capacitance) * fall_v * shorter_per_s
        };
        let second = current_charge_c * share * share * 2.0 / 3.0 + of(&swing.curvature) * fall_v * fall_v / 6.0;
        let in_wire_c = if swing.wire_ohm > 0.0 { swing.wire_ohm * self.along_wire() } else { 0.0 };
        current_charge_c + self.extra_charge_c - first + second - in_wire_c
    }

    /// `sum_ij g_i I_j min(i, j) min(T_i, T_j)` [C S].
    fn along_wire(&self) -> f64 {
        let mut ends_s: Vec<f64> = self.cells.iter().map(|cell| cell.width_s).collect();
        ends_s.sort_unstable_by(f64::total_cmp);
        ends_s.dedup();
        let (mut now_s, mut sum) = (0.0, 0.0);
        for end_s in ends_s {
            // Each piece of wire carries the currents of all cells behind it, and what falls along it is missing to all of these.
            let (mut current_a, mut conductance_s, mut on) = (0.0, 0.0, 0.0);
            for (k, cell) in self.cells.iter().enumerate().rev() {
                if cell.width_s >= end_s {
                    current_a += cell.current_a;
                    conductance_s += cell.conductance_s;
                }
                let before = k.checked_sub(1).map_or(0, |before| self.cells[before].place);
                on += current_a * conductance_s * (cell.place - before) as f64;
            }
            sum += on * (end_s - now_s);
            now_s = end_s;
        }
        sum
    }

    /// `sum_i [g_i int_0^T_i Q_I(t) dt + k_i Q_I(T_i)]` [C F].
    fn by_pairs(&self, on_capacitance: &Projection) -> f64 {
        let mut cells = self.cells.clone();
        cells.sort_unstable_by(|a, b| a.width_s.total_cmp(&b.width_s));
        let mut current_a: f64 = cells.iter().map(|cell| cell.current_a).sum();
        // From the end of one pulse to the end of the next the charge so far rises in a line.
        let (mut now_s, mut so_far_c, mut integral_cs, mut sum) = (0.0, 0.0, 0.0, 0.0);
        for cell in &cells {
            let step_s = cell.width_s - now_s;
            integral_cs += (so_far_c + 0.5 * current_a * step_s) * step_s;
            so_far_c += current_a * step_s;
            let kept_f = on_capacitance.of(cell.current_a, cell.conductance_s);
            sum += cell.conductance_s * integral_cs + kept_f * so_far_c;
            current_a -= cell.current_a;
            now_s = cell.width_s;
        }
        sum
    }
}

/// What a bit line's swing does to its cells beside their conductance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Swing {
    /// Of the current, in A/V^2.
    pub curvature: Projection,
    /// In F.
    pub on_capacitance: Projection,
    /// Whether pair by pair of cells.
    pub pairs: bool,
    /// Resistance of the line's wire from one cell to the next; not in proportion to anything above.
    pub wire_ohm: f64,
}

/// A column's way from sums to a pulse.
#[derive(Debug, Clone)]
pub struct Converter {
    column: Column,
    /// Of the cells on its bit line.
    swing: Swing,
    /// `None`: the ideal straight line.
    curve: Option<WidthCurve>,
    readout_offset_c: f64,
    charge_per_unit_c: f64,
    full: f64,
    lowest: f64,
    t_max_s: f64,
    quantity: Quantity,
}

impl Converter {
    /// The first converter, unsigned, full at S_sat, or the second, signed, full at A_sat.
    pub fn new(column: &Column, readout: &Readout, scale: &Scale, signed: bool, physical: bool) -> Self {
        Converter {
            column: column.clone(),
            swing: Swing::default(),
            curve: physical.then(|| WidthCurve::new(&readout.width_s)),
            readout_offset_c: readout.offset_c,
            charge_per_unit_c: scale.charge_per_unit_c,
            full: if signed { scale.a_sat } else { scale.s_sat },
            lowest: if signed { -1.0 } else { 0.0 },
            t_max_s: scale.t_max_s,
            quantity: if signed { Quantity::ChargeSigned } else { Quantity::ChargeUnsigned },
        }
    }

    /// The same for cells of that swing.
    pub fn of_cells(mut self, swing: Swing) -> Self {
        self.swing = swing;
        self
    }

    /// Swing of the cells on its bit line.
    pub(super) fn swing(&self) -> Swing {
        self.swing
    }

    /// Charge of one unit of p at full pulse [C].
    pub(super) fn charge_per_unit_c(&self) -> f64 {
        self.charge_per_unit_c
    }

    /// Product at which the pulse is full.
    pub(super) fn full(&self) -> f64 {
        self.full
    }

    /// Capacitance of the bit line [F].
    pub(super) fn c_bit_line_f(&self) -> f64 {
        self.column.c_bit_line_f
    }

    /// Charge added before the converter, from where its straight part starts [C].
    pub(super) fn cancelled_c(&self) -> f64 {
        self.column.offset.constant_c - self.readout_offset_c
    }

    /// Charge at which the straight part starts [C].
    pub(super) fn straight_from_c(&self) -> f64 {
        self.readout_offset_c
    }

    /// Charge added per second of all pulses on the column [A].
    pub(super) fn cancelled_a(&self) -> f64 {
        self.column.offset.per_width_a
    }

    /// The pulse over the product, tabulated; `None` if it bends too sharply for that.
    pub(super) fn tabulated<const POINTS: usize>(&self) -> Option<Curve<POINTS>> {
        let product = |charge_c: f64| (charge_c - self.readout_offset_c) / self.charge_per_unit_c;
        let (curve, span): (Box<dyn Fn(f64) -> f64>, [f64; 2]) = match &self.curve {
            None => (Box::new(|x| (x / self.full).clamp(self.lowest, 1.0)), [self.lowest * self.full, self.full]),
            Some(curve) => {
                let [from_c, to_c] = curve.rises_c();
                let at = |x: f64| curve.at(x * self.charge_per_unit_c + self.readout_offset_c) / self.t_max_s;
                (Box::new(at), [product(from_c), product(to_c)])
            }
        };
        Curve::new(curve, span, CURVE_TOLERANCE)
    }

    /// Whether no reading can leave the table: its line while it does not clip, nor the converter's charge.
    pub(super) fn stays_inside(&self, bounds: &Bounds, longest_s: f64) -> bool {
        let [low_c, high_c] = bounds.of(self.quantity);
        let clips = low_c == f64::NEG_INFINITY && high_c == f64::INFINITY;
        clips
            && [self.lowest * self.full, self.full].iter().all(|product| {
                [0.0, longest_s].iter().all(|widths_s| {
                    let charge_c =
                        product * self.charge_per_unit_c - self.cancelled_c() - self.cancelled_a() * widths_s;
                    let line_v = self.column.v_precharge_v - charge_c / self.column.c_bit_line_f;
                    bounds.holds(Quantity::BitLine, line_v)
                })
            })
    }

    /// Takes limits off where the curve clips within its box, since a clip goes on; everywhere if it is the ideal line.
    pub fn open_clips(&self, bounds: &mut Bounds) {
        let [low, high] = bounds.of(self.quantity);
        let [below, above] = match &self.curve {
            None => [true, true],
            Some(curve) => {
                let [below, above] = curve.clips_c();
                [below.is_some_and(|clip| low <= clip), above.is_some_and(|clip| high >= clip)]
            }
        };
        if below {
            bounds.open_below(self.quantity);
        }
        if above {
            bounds.open_above(self.quantity);
        }
    }

    /// Converts; `spread` is the converter's offset [C] and relative gain error.
    pub fn read(&self, sums: &LineSums, spread: [f64; 2], bounds: &Bounds, tally: &mut Tally) -> Result<Reading> {
        let charge_c = sums.charge_c(self.column.c_bit_line_f, &self.swing);
        let offset = &self.column.offset;
        let cancelled_c = charge_c + offset.constant_c + offset.per_width_a * sums.widths_s;
        let product = (cancelled_c - self.readout_offset_c) / self.charge_per_unit_c;
        if product > self.lowest * self.full && product < self.full {
            // Beyond its clips the converter hides the bit line; between them, the line must be where the table is.
            bounds.admit(Quantity::BitLine, self.column.v_precharge_v - charge_c / self.column.c_bit_line_f, tally)?;
        }
        let seen_c = cancelled_c * (1.0 + spread[1]) + spread[0];
        let fraction = match &self.curve {
            Some(curve) => curve.at(bounds.admit(self.quantity, seen_c, tally)?) / self.t_max_s,
            None => ((seen_c - self.readout_offset_c) / self.charge_per_unit_c / self.full).clamp(self.lowest, 1.0),
        };
        Ok(Reading { charge_c, product, fraction })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 64 equal cells on one bit line, stepped through time, against the closed form: what is left is of the third order in the
    /// conductance, and its product with the curvature and that one's square.
    #[test]
    fn swing_and_curvature_follow_the_bit_line_through_time() {
        let (t_s, c_f) = (15e-9, 16e-12);
        for (current_a, conductance_s, curvature_s_per_v) in
            [(2e-4, 4e-5, 0.0), (2e-4, 4e-5, -6e-4), (-2e-4, 2e-5, 5e-4), (1e-4, 0.0, -1e-3), (2e-4, 8e-5, -1.2e-3)]
        {
            let mut charge_c = 0.0f64;
            let steps = 20_000;
            for _ in 0..steps {
                let slope = |q: f64| current_a - conductance_s * q / c_f + 0.5 * curvature_s_per_v * (q / c_f).powi(2);
                // Midpoint rule.
                let half = charge_c + 0.5 * slope(charge_c) * t_s / f64::from(steps);
                charge_c += slope(half) * t_s / f64::from(steps);
            }
            let mut sums = LineSums::default();
            (0..64)
                .for_each(|row| sums.add(row, &[current_a / 64.0, conductance_s / 64.0, 0.0], &Pulse::Long(t_s), 0.0));
            let swing: f64 = conductance_s * t_s / (2.0 * c_f);
            let bend = (curvature_s_per_v * t_s * current_a * t_s / (6.0 * c_f * c_f)).abs();
            let left = (2.0 * swing).powi(3) / 6.0 + 1.5 * bend * (2.0 * swing + bend);
            for (curvature, pairs) in [
                (Projection { constant: curvature_s_per_v / 64.0, ..Projection::default() }, true),
                (Projection { per_current: curvature_s_per_v / current_a, ..Projection::default() }, false),
            ] {
                let error = sums.charge_c(c_f, &Swing { curvature, pairs, ..Swing::default() }) / charge_c - 1.0;
                assert!(error.abs() < 1e-7 + left, "{error:.1e} for {current_a} A, {left:.1e} allowed");
            }
            let flat = sums.charge_c(c_f, &Swing::default()) / charge_c - 1.0;
            assert!(curvature_s_per_v == 0.0 || flat.abs() > 3.0 * left, "{flat:.1e} without curvature");
        }
    }

    /// Cells of all kinds and widths, some rows without a pulse, against all pairs one by one.
    #[test]
    fn a_wire_takes_from_each_cell_what_flows_through_what_it_shares_with_each_other() {
        let (r_ohm, c_f) = (4.0, 1.0);
        let cells: Vec<(usize, f64, f64, f64)> = (0..40)
            .filter(|row| row % 7 != 3)
            .map(|row| {
                let draw = |what: &str| crate::rng::uniform(3, row as u64, "wire", what);
                (row, 1e-9 * (1.0 + (14.0 * draw("width")).floor()), 4e-6 * (draw("i") - 0.5), 1e-6 * draw("g"))
            })
            .collect();
        let mut sums = LineSums::default();
        cells.iter().for_each(|(row, width_s, i, g)| sums.add(*row, &[*i, *g, 0.0], &Pulse::Long(*width_s), 0.0));
        let mut by_hand = 0.0;
        for (row, width_s, _, g) in &cells {
            for (other, other_s, i, _) in &cells {
                by_hand += r_ohm * g * i * (row.min(other) + 1) as f64 * width_s.min(*other_s);
            }
        }
        let charge = |wire_ohm: f64| sums.charge_c(c_f, &Swing { wire_ohm, ..Swing::default() });
        let lost = charge(0.0) - charge(r_ohm);
        assert!((lost / by_hand - 1.0).abs() < 1e-9, "{lost:e} {by_hand:e}");
    }

    /// A cell that conducts, on for a quarter of the time, and one that draws current, on all the time, and the other way round: the
    /// half product of the sums is the same for both.
    #[test]
    fn a_cell_sees_what_the_others_drew_until_it_closes() {
        let (t_s, c_f, current_a, conductance_s) = (15e-9, 16e-12, 2e-4, 4e-5);
        let lost = |drawing_s: f64, conducting_s: f64| {
            let mut sums = LineSums::default();
            sums.add(0, &[current_a, 0.0, 0.0], &Pulse::Long(drawing_s), 0.0);
            sums.add(1, &[0.0, conductance_s, 0.0], &Pulse::Long(conducting_s), 0.0);
            (current_a * drawing_s - sums.charge_c(c_f, &Swing { pairs: true, ..Swing::default() })) * c_f
                / (current_a * conductance_s)
        };
        let second = |drawing_s: f64, conducting_s: f64| drawing_s * (conducting_s / c_f * conductance_s).powi(2) / 6.0;
        let second = |d: f64, g: f64| second(d, g) * c_f / conductance_s;
        let (early, late) = (lost(t_s, 0.25 * t_s), lost(0.25 * t_s, t_s));
        // int_0^T/4 t dt, and what is drawn in a quarter of the time seen for the rest of it.
        assert!((early / (t_s * t_s / 32.0 - second(t_s, 0.25 * t_s)) - 1.0).abs() < 1e-9, "{early:e}");
        assert!(
            (late / (t_s * t_s * (1.0 / 32.0 + 3.0 / 16.0) - second(0.25 * t_s, t_s)) - 1.0).abs() < 1e-9,
            "{late:e}"
        );
    }

    /// Half of the cells on all the time, half for half of it, each with a capacitor behind its switch, against all pairs by hand.
    #[test]
    fn what_is_behind_a_switch_keeps_the_bit_line_s_voltage() {
        let (t_s, c_f, current_a, k_f) = (15e-9, 16e-12, 1e-4, 3e-13);
        let mut sums = LineSums::default();
        for (row, width_s) in [t_s, 0.5 * t_s].into_iter().enumerate() {
            sums.add(row, &[current_a, 0.0, 0.0], &Pulse::Long(width_s), 0.0);
        }
        let swing = Swing {
            on_capacitance: Projection { constant: k_f, ..Projection::default() },
            pairs: true,
            ..Swing::default()
        };
        let lost = 1.5 * current_a * t_s - sums.charge_c(c_f, &swing);
        // The first sees all of the charge when it closes, the second that of both until then.
        let by_hand = k_f * (1.5 + 1.0) * current_a * t_s / c_f;
        assert!((lost / by_hand - 1.0).abs() < 1e-9, "{lost:e} against {by_hand:e}");
    }
}
