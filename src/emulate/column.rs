//! One bit line: what its cells draw in a read, without stepping through time.
//!
//! `Q = sum_i [I(V_i) T_i + e(V_i) + r(V_i, T_i)] - (1 / 2C) (sum_i I(V_i) T_i) (sum_i g(V_i) T_i)`, the first sum over
//! cells with a pulse. The last term is the bit line's swing: its voltage falls by Q(t)/C while the charge flows, about
//! half of it on average, and each cell's current follows with its conductance g = dI/dV_BL.

use crate::error::Result;
use crate::lut::{Bounds, CONDUCTANCE, CURRENT, Column, Pulse, Quantity, Readout, Scale, Tally, WidthCurve};

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

/// The sums along one bit line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LineSums {
    current_charge_c: f64,
    conductance_time: f64,
    extra_charge_c: f64,
    widths_s: f64,
}

impl LineSums {
    /// Adds a cell in `state` whose current differs by `delta_a` from it.
    #[inline]
    pub fn add(&mut self, state: &[f64], pulse: &Pulse, delta_a: f64) {
        let width_s = pulse.width_s();
        self.current_charge_c += (state[CURRENT] + delta_a) * width_s;
        self.conductance_time += state[CONDUCTANCE] * width_s;
        self.extra_charge_c += pulse.extra_charge_c(state);
        self.widths_s += width_s;
    }

    /// Charge drawn from a line of capacitance `c_f` [C].
    pub fn charge_c(&self, c_f: f64) -> f64 {
        self.current_charge_c + self.extra_charge_c - 0.5 / c_f * self.current_charge_c * self.conductance_time
    }
}

/// A column's way from sums to a pulse.
#[derive(Debug, Clone)]
pub struct Converter {
    column: Column,
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
            curve: physical.then(|| WidthCurve::new(&readout.width_s)),
            readout_offset_c: readout.offset_c,
            charge_per_unit_c: scale.charge_per_unit_c,
            full: if signed { scale.a_sat } else { scale.s_sat },
            lowest: if signed { -1.0 } else { 0.0 },
            t_max_s: scale.t_max_s,
            quantity: if signed { Quantity::ChargeSigned } else { Quantity::ChargeUnsigned },
        }
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
        let charge_c = sums.charge_c(self.column.c_bit_line_f);
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
