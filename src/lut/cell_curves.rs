//! A cell's charge at any stored voltage and pulse width, ready to be summed along a bit line.

use super::interpolate::{Location, locate, parabolic_slopes, slopes};
use super::table::{Cell, Scale};

/// Place of the current in a cell's state.
pub const CURRENT: usize = 0;
/// Place of the conductance in a cell's state.
pub const CONDUCTANCE: usize = 1;
/// Place of the edge charge in a cell's state.
pub const EDGE: usize = 2;
const RESIDUAL: usize = 3;

/// The reduced cell: over the stored voltage, current, conductance, edge charge and the residual at each short width.
///
/// Over the stored voltage each is interpolated by PCHIP; the residual, over the width, with parabolic slopes.
///
/// The state of a cell is a slice of [`CellCurves::stride`] numbers: current [A], conductance [S], edge charge [C], the
/// residual at each width node [C], its slopes over width [A].
#[derive(Debug, Clone)]
pub struct CellCurves {
    v_store_v: Vec<f64>,
    widths_s: Vec<f64>,
    /// Nodes by state entry: values\[entry\]\[node\] and slopes.
    values: Vec<Vec<f64>>,
    slopes: Vec<Vec<f64>>,
}

impl CellCurves {
    /// The table's own cell.
    pub fn new(cell: &Cell) -> Self {
        let widths = cell.residual_c.axes[1].values.clone();
        let mut values =
            vec![cell.current_a.values.clone(), cell.conductance_s.values.clone(), cell.edge_charge_c.values.clone()];
        values.extend((0..widths.len()).map(|k| cell.residual_c.along_first(k)));
        Self::from_values(cell.current_a.axes[0].values.clone(), widths, values)
    }

    fn from_values(v_store_v: Vec<f64>, widths_s: Vec<f64>, values: Vec<Vec<f64>>) -> Self {
        let slopes = values.iter().map(|values| slopes(&v_store_v, values)).collect();
        CellCurves { v_store_v, widths_s, values, slopes }
    }

    /// The cell without its nonlinearity: the current is the least-squares line through zero at the zero-weight voltage,
    /// over the nodes within the supply; no edge charge, no residual.
    pub fn linearized(self, scale: &Scale) -> Self {
        let (mut iy, mut yy) = (0.0, 0.0);
        for (&v, &i) in self.v_store_v.iter().zip(&self.values[CURRENT]) {
            if (0.0..=scale.vdd_v).contains(&v) {
                let y = v - scale.v_zero_v;
                iy += i * y;
                yy += y * y;
            }
        }
        let slope = if yy > 0.0 { iy / yy } else { 0.0 };
        let mut values = self.values;
        values[CURRENT] = self.v_store_v.iter().map(|v| slope * (v - scale.v_zero_v)).collect();
        values[EDGE..].iter_mut().for_each(|row| row.fill(0.0));
        Self::from_values(self.v_store_v, self.widths_s, values)
    }

    /// The cell whose current does not feel the bit line.
    pub fn without_swing(mut self) -> Self {
        self.values[CONDUCTANCE].fill(0.0);
        self.slopes[CONDUCTANCE].fill(0.0);
        self
    }

    /// Width from which charge is a line over the width [s].
    pub fn longest_short_s(&self) -> f64 {
        self.widths_s[self.widths_s.len() - 1]
    }

    /// Numbers in a state.
    pub fn stride(&self) -> usize {
        RESIDUAL + 2 * self.widths_s.len()
    }

    /// Writes the state at a stored voltage [V].
    pub fn state(&self, v_store_v: f64, state: &mut [f64]) {
        let place = locate(&self.v_store_v, v_store_v);
        for ((entry, values), slopes) in state.iter_mut().zip(&self.values).zip(&self.slopes) {
            *entry = place.apply(values, slopes);
        }
        let n = self.widths_s.len();
        let (residuals, rest) = state[RESIDUAL..].split_at_mut(n);
        parabolic_slopes(&self.widths_s, residuals, rest);
    }

    /// Prepares a pulse width [s].
    pub fn pulse(&self, width_s: f64) -> Pulse {
        if width_s <= 0.0 {
            return Pulse::None;
        }
        if width_s >= self.widths_s[self.widths_s.len() - 1] {
            return Pulse::Long(width_s);
        }
        Pulse::Short(width_s, locate(&self.widths_s, width_s))
    }
}

/// A pulse on a word line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pulse {
    /// None at all.
    None,
    /// Within the residual's widths [s].
    Short(f64, Location),
    /// Where charge over width is a line [s].
    Long(f64),
}

impl Pulse {
    /// The width [s].
    pub fn width_s(&self) -> f64 {
        match *self {
            Pulse::None => 0.0,
            Pulse::Short(width_s, _) | Pulse::Long(width_s) => width_s,
        }
    }

    /// What a cell in `state` adds to current times width beyond it: edge charge and residual [C].
    #[inline]
    pub fn extra_charge_c(&self, state: &[f64]) -> f64 {
        match self {
            Pulse::None => 0.0,
            Pulse::Long(_) => state[EDGE],
            Pulse::Short(_, place) => {
                let (residuals, slopes) = state[RESIDUAL..].split_at((state.len() - RESIDUAL) / 2);
                state[EDGE] + place.apply(residuals, slopes)
            }
        }
    }
}
