//! Sub-tiles whose cells and converters are those of a lookup table.

use super::column::{Converter, LineSums, Reading, Swing};
use super::die::{Array, CellSpread, Die, Extent, Place};
use super::fidelity::{Fidelity, Tile};
use super::options::Options;
use super::quantize::level_code;
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::{Bounds, CONDUCTANCE, CURRENT, Cell, CellCurves, Hold, Pchip, Pulse, Quantity, Table, Tally};

/// About the noise of a write.
const SLOPE_STEP_V: f64 = 1e-3;

/// The K array's cells or the V array's.
#[derive(Debug, Clone)]
struct Cells {
    curves: CellCurves,
    /// States by (age, level), if stored values have levels.
    states: Vec<f64>,
}

/// A table made ready: every (level, age) worked out once, so that a read sums products only.
#[derive(Debug, Clone)]
pub struct TableModel {
    k: Cells,
    v: Cells,
    write: Option<Pchip>,
    hold: Option<Hold>,
    unsigned: Converter,
    signed: Converter,
    bounds: Bounds,
    levels: Option<u32>,
    /// By (age, level): what building the state clamped.
    clamped: Vec<Tally>,
    /// By (age, level): where the stored voltage lies on the sensitivities' nodes, if there are dies.
    places: Vec<Place>,
    any_clamped: bool,
    dies: Vec<Die>,
    vdd_v: f64,
    t_max_s: f64,
    tile_tokens: usize,
    /// Oldest age in the window.
    oldest: usize,
    level_errors_v: Vec<f64>,
    refresh_tokens: Option<usize>,
}

impl TableModel {
    /// Works out the table for these options. `dies` are by head, empty for the nominal array.
    ///
    /// Errors: [`Kind::OutsideValidity`] if a hold bias, level or age leaves the validity box and clamping is not allowed;
    /// [`Kind::BadInput`] for more tokens a tile than the V column has rows.
    pub fn new(table: &Table, options: &Options, dies: Vec<Die>) -> Result<Self> {
        if options.tile_tokens > table.column_v.rows as usize {
            return Err(Problem::new(Kind::BadInput, format!("{} tokens a tile do not fit", options.tile_tokens))
                .key("tile_tokens")
                .accepted(format!("at most the {} rows of the table's V columns", table.column_v.rows))
                .into());
        }
        let physics = options.physics;
        let mut bounds = Bounds::new(&table.validity, options.outside);
        let mut tally = Tally::default();
        let v_wbl_v = options.hold_v_wbl_v.unwrap_or(table.retention.idle_v_wbl_v);
        let levels = options.quantization.stored.unwrap_or(table.scale.levels.stored);
        let carried = (0..levels).map(|level| {
            let level_v = table.scale.vdd_v * f64::from(level) / f64::from(levels - 1);
            (level_v, options.write_activity / f64::from(levels))
        });
        let line = std::iter::once((v_wbl_v, 1.0 - options.write_activity)).chain(carried);
        let line = line
            .filter(|(_, share)| *share > 0.0)
            .map(|(v, share)| Ok((bounds.admit(Quantity::WriteBitLine, v, &mut tally)?, share)))
            .collect::<Result<Vec<_>>>()?;
        let oldest = options.window - 1;
        let hold = physics
            .leakage
            .then(|| Hold::new(&table.retention, &table.validity, table.scale.token_time_s, &line, oldest))
            .transpose()?;
        let swing = |cell: &Cell| match physics.swing {
            true => Swing {
                curvature: cell.curvature,
                on_capacitance: cell.on_capacitance,
                pairs: physics.pairs,
                wire_ohm: options.bit_line_ohm,
            },
            false => Swing::default(),
        };
        let unsigned = Converter::new(&table.column_k, &table.readout_unsigned, &table.scale, false, physics.readout)
            .of_cells(swing(&table.cell));
        let signed = Converter::new(&table.column_v, &table.readout_signed, &table.scale, true, physics.readout)
            .of_cells(swing(table.v_cell()));
        unsigned.open_clips(&mut bounds);
        signed.open_clips(&mut bounds);
        let curves = |cell| {
            let mut curves = CellCurves::new(cell);
            if !physics.nonlinearity {
                curves = curves.linearized(&table.scale);
            }
            if physics.swing { curves } else { curves.without_swing() }
        };
        let stored = &table.write.stored_v;
        let mut model = TableModel {
            k: Cells { curves: curves(&table.cell), states: Vec::new() },
            v: Cells { curves: curves(table.v_cell()), states: Vec::new() },
            write: physics.write_error.then(|| Pchip::new(&stored.axes[0].values, &stored.values)),
            hold,
            unsigned,
            signed,
            bounds,
            levels: options.quantization.stored,
            clamped: Vec::new(),
            places: Vec::new(),
            any_clamped: false,
            dies,
            vdd_v: table.scale.vdd_v,
            t_max_s: table.scale.t_max_s,
            tile_tokens: options.tile_tokens,
            oldest,
            level_errors_v: options.level_errors_v.clone(),
            refresh_tokens: options.refresh_tokens,
        };
        if let Some(levels) = model.levels {
            model.work_out(levels, options.window)?;
        }
        Ok(model)
    }

    /// Fills the states of every age and level.
    fn work_out(&mut self, levels: u32, window: usize) -> Result<()> {
        let (k_stride, v_stride) = (self.k.curves.stride(), self.v.curves.stride());
        let count = window * levels as usize;
        let (mut k, mut v) = (vec![0.0; count * k_stride], vec![0.0; count * v_stride]);
        for at in 0..count {
            let driven_v = self.driven_v(at % levels as usize, levels);
            let mut tally = Tally::default();
            let stored_v = self.stored_v(driven_v, at / levels as usize, &mut tally)?;
            self.k.curves.state(stored_v, &mut k[at * k_stride..(at + 1) * k_stride]);
            self.v.curves.state(stored_v, &mut v[at * v_stride..(at + 1) * v_stride]);
            self.any_clamped |= tally.total() > 0;
            self.clamped.push(tally);
            if let Some(die) = self.dies.first() {
                self.places.push(die.k.place(stored_v));
            }
        }
        (self.k.states, self.v.states) = (k, v);
        Ok(())
    }

    /// What the DAC drives for a level [V].
    fn driven_v(&self, level: usize, levels: u32) -> f64 {
        let error_v = self.level_errors_v.get(level).copied().unwrap_or(0.0);
        self.vdd_v * level as f64 / f64::from(levels - 1) + error_v
    }

    /// Stored voltage [V] of a cell that was driven to `driven_v` and is `age` tokens old.
    pub fn stored_v(&self, driven_v: f64, age: usize, tally: &mut Tally) -> Result<f64> {
        let written_v = match &self.write {
            Some(curve) => curve.at(self.bounds.admit(Quantity::Driven, driven_v, tally)?),
            None => driven_v,
        };
        match &self.hold {
            Some(hold) => hold.at(written_v, age, &self.bounds, tally),
            None => self.bounds.admit(Quantity::Stored, written_v, tally),
        }
    }

    /// Reads one K column: stored voltages [V] and pulse widths [s], one each per row, to S and phi.
    ///
    /// `die` names the head and its slot whose cells and converter are meant; `None`: nominal.
    pub fn column_k(
        &self,
        stored_v: &[f64],
        widths_s: &[f64],
        die: Option<(usize, usize)>,
        tally: &mut Tally,
    ) -> Result<Reading> {
        let die = self.die_for(die.map(|(head, slot)| (head, slot, 0)), stored_v.len(), Direction::AlongSlot)?;
        let sums = self.sum_column(&self.k, stored_v, widths_s, die.map(|(die, at)| (&die.k, at, 1)), tally)?;
        let spread = die.map_or([0.0; 2], |(die, at)| die.unsigned[at / die.extent.d]);
        self.unsigned.read(&sums, spread, &self.bounds, tally)
    }

    /// Reads one V column: stored voltages [V] and pulse widths [s], one each per row, to A and the signed output.
    ///
    /// `die` names the head, the slot of the first row and the dimension; `None`: nominal.
    pub fn column_v(
        &self,
        stored_v: &[f64],
        widths_s: &[f64],
        die: Option<(usize, usize, usize)>,
        tally: &mut Tally,
    ) -> Result<Reading> {
        let die = self.die_for(die, stored_v.len(), Direction::AlongDimension)?;
        let sums =
            self.sum_column(&self.v, stored_v, widths_s, die.map(|(die, at)| (&die.v, at, die.extent.d)), tally)?;
        let spread = die.map_or([0.0; 2], |(die, at)| {
            die.signed[at / die.extent.d / self.tile_tokens * die.extent.d + at % die.extent.d]
        });
        self.signed.read(&sums, spread, &self.bounds, tally)
    }

    /// Full pulse length [s].
    pub fn t_max_s(&self) -> f64 {
        self.t_max_s
    }

    /// The state of cells of a level and age, if stored values have levels.
    fn state(&self, array: Array, age: usize, level: usize) -> &[f64] {
        let cells = self.cells(array);
        let (at, stride) = (age * self.levels.unwrap_or(0) as usize + level, cells.curves.stride());
        &cells.states[at * stride..(at + 1) * stride]
    }

    fn cells(&self, array: Array) -> &Cells {
        match array {
            Array::K => &self.k,
            Array::V => &self.v,
        }
    }

    /// Current of a cell by age and level [A].
    pub(super) fn current_a(&self, array: Array, age: usize, level: usize) -> f64 {
        self.state(array, age, level)[CURRENT]
    }

    /// Slope of its current over the stored voltage [A/V], between two voltages [`SLOPE_STEP_V`] to either side.
    pub(super) fn slope_a_per_v(&self, array: Array, age: usize, level: usize) -> Result<f64> {
        let stored_v = self.stored_v(self.driven_v(level, self.levels.unwrap_or(2)), age, &mut Tally::default())?;
        let curves = &self.cells(array).curves;
        let mut state = vec![0.0; curves.stride()];
        let mut current_a = |v_store_v: f64| -> Result<(f64, f64)> {
            let v_store_v = self.bounds.admit(Quantity::Stored, v_store_v, &mut Tally::default())?;
            curves.state(v_store_v, &mut state);
            Ok((v_store_v, state[CURRENT]))
        };
        let ends = [current_a(stored_v - SLOPE_STEP_V)?, current_a(stored_v + SLOPE_STEP_V)?];
        Ok((ends[1].1 - ends[0].1) / (ends[1].0 - ends[0].0))
    }

    /// Its conductance [S].
    pub(super) fn conductance_s(&self, array: Array, age: usize, level: usize) -> f64 {
        self.state(array, age, level)[CONDUCTANCE]
    }

    /// What a pulse of `width_s` draws from it beside its current times the width [C].
    pub(super) fn extra_c(&self, array: Array, age: usize, level: usize, width_s: f64) -> f64 {
        self.cells(array).curves.pulse(width_s).extra_charge_c(self.state(array, age, level))
    }

    /// Width from which charge is a line over the width [s].
    pub(super) fn longest_short_s(&self, array: Array) -> f64 {
        self.cells(array).curves.longest_short_s()
    }

    /// The converter of an array's columns.
    pub(super) fn converter(&self, array: Array) -> &Converter {
        match array {
            Array::K => &self.unsigned,
            Array::V => &self.signed,
        }
    }

    /// Where the table holds.
    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Whether a pulse of that width is within the table.
    pub(super) fn holds_width(&self, width_s: f64) -> bool {
        self.bounds.holds(Quantity::Width, 0.0) && self.bounds.holds(Quantity::Width, width_s)
    }

    /// Whether some level and age had to be clamped.
    pub(super) fn any_clamped(&self) -> bool {
        self.any_clamped
    }

    /// Change of a cell's current on a die, at a level and age [A].
    pub(super) fn delta_a(&self, die: &Die, array: Array, cell: usize, age: usize, level: usize) -> f64 {
        let place = self.places[age * self.levels.unwrap_or(0) as usize + level];
        match array {
            Array::K => die.k.delta_a(cell, place),
            Array::V => die.v.delta_a(cell, place),
        }
    }

    /// Whether values are written again before they leave the window.
    pub(super) fn refreshes(&self) -> bool {
        self.refresh_tokens.is_some_and(|period| period <= self.oldest)
    }

    /// The dies, by head.
    pub(super) fn dies(&self) -> &[Die] {
        &self.dies
    }

    /// The die of a head and the number of the column's first cell in it.
    fn die_for(
        &self,
        wanted: Option<(usize, usize, usize)>,
        rows: usize,
        direction: Direction,
    ) -> Result<Option<(&Die, usize)>> {
        let Some((head, slot, dimension)) = wanted else { return Ok(None) };
        let missing =
            || Error::new(Kind::BadInput, format!("no die covers head {head}, slot {slot}, dimension {dimension}"));
        let die = self.dies.get(head).ok_or_else(missing)?;
        let Extent { slots, d, .. } = die.extent;
        let fits = match direction {
            Direction::AlongSlot => slot < slots && dimension + rows <= d,
            Direction::AlongDimension => slot + rows <= slots && dimension < d,
        };
        if fits { Ok(Some((die, slot * d + dimension))) } else { Err(missing()) }
    }

    fn sum_column(
        &self,
        cells: &Cells,
        stored_v: &[f64],
        widths_s: &[f64],
        spread: Option<(&CellSpread, usize, usize)>,
        tally: &mut Tally,
    ) -> Result<LineSums> {
        if stored_v.len() != widths_s.len() {
            let message = format!("{} stored voltages and {} pulses", stored_v.len(), widths_s.len());
            return Err(Error::new(Kind::BadInput, message));
        }
        let mut state = vec![0.0; cells.curves.stride()];
        let mut sums = LineSums::default();
        for (row, (&v, &width_s)) in stored_v.iter().zip(widths_s).enumerate() {
            let pulse = self.pulse(cells, width_s, tally)?;
            let v = self.bounds.admit(Quantity::Stored, v, tally)?;
            cells.curves.state(v, &mut state);
            let delta_a = spread.map_or(0.0, |(cells, first, step)| cells.delta_a(first + row * step, cells.place(v)));
            sums.add(row, &state, &pulse, delta_a);
        }
        Ok(sums)
    }

    fn pulse(&self, cells: &Cells, width_s: f64, tally: &mut Tally) -> Result<Pulse> {
        Ok(cells.curves.pulse(self.bounds.admit(Quantity::Width, width_s, tally)?))
    }

    /// Adds one cell, driven to `driven_v` `age` tokens ago, to the sums of its line.
    #[inline]
    fn add_cell(&self, cells: &Cells, cell: &CellInUse<'_>, work: &mut Work<'_>, sums: &mut LineSums) -> Result<()> {
        let stride = cells.curves.stride();
        let (state, place) = match self.levels {
            Some(levels) => {
                let at = self.age_of(cell) * levels as usize + level_code(cell.driven_v, self.vdd_v, levels) as usize;
                if self.any_clamped {
                    *work.tally += self.clamped[at];
                }
                (&cells.states[at * stride..(at + 1) * stride], self.places.get(at).copied())
            }
            None => {
                let stored_v = self.stored_v(cell.driven_v, self.age_of(cell), work.tally)?;
                cells.curves.state(stored_v, &mut work.state);
                (work.state.as_slice(), cell.spread.map(|(spread, _)| spread.place(stored_v)))
            }
        };
        let delta_a = match (cell.spread, place) {
            (Some((spread, number)), Some(place)) => spread.delta_a(number, place),
            _ => 0.0,
        };
        sums.add(cell.row, state, cell.pulse, delta_a);
        Ok(())
    }

    /// The age that a cell has reached; no older than the window, which tables are worked out for.
    fn age_of(&self, cell: &CellInUse<'_>) -> usize {
        let age = self.refresh_tokens.map_or(cell.age, |period| cell.age % period);
        cell.die.map_or(age, |(die, array, number)| die.age_of(array, number, age, self.oldest))
    }

    /// The die of the tile's head, if dies are used at all.
    fn die_of(&self, tile: &Tile<'_>) -> Result<Option<&Die>> {
        if self.dies.is_empty() {
            return Ok(None);
        }
        let slots = tile.index * self.tile_tokens + tile.ages.len();
        match self.dies.get(tile.head) {
            Some(die) if slots <= die.extent.slots && tile.d == die.extent.d => Ok(Some(die)),
            _ => {
                let message = format!("no die covers head {} with {slots} slots of {} dimensions", tile.head, tile.d);
                Err(Error::new(Kind::BadInput, message))
            }
        }
    }
}

/// Which way a column runs through a head's cells, which are numbered by (slot, dimension).
enum Direction {
    AlongSlot,
    AlongDimension,
}

struct CellInUse<'a> {
    /// Along its bit line.
    row: usize,
    driven_v: f64,
    age: usize,
    pulse: &'a Pulse,
    /// Spread of the array's cells and the number of this one.
    spread: Option<(&'a CellSpread, usize)>,
    die: Option<(&'a Die, Array, usize)>,
}

struct Work<'a> {
    state: Vec<f64>,
    tally: &'a mut Tally,
}

impl Fidelity for TableModel {
    fn name(&self) -> &str {
        "table"
    }

    fn first(&self, tile: &Tile<'_>, q: &[f64], s: &mut [f64], phi: &mut [f64], tally: &mut Tally) -> Result<()> {
        let die = self.die_of(tile)?;
        let pulses: Vec<Pulse> =
            q.iter().map(|q| self.pulse(&self.k, q * self.t_max_s, tally)).collect::<Result<_>>()?;
        let mut work = Work { state: vec![0.0; self.k.curves.stride()], tally };
        for (slot, keys) in tile.k_v.chunks_exact(tile.d).enumerate() {
            let global = tile.index * self.tile_tokens + slot;
            let mut sums = LineSums::default();
            for (row, (&driven_v, pulse)) in keys.iter().zip(&pulses).enumerate() {
                let spread = die.map(|die| (&die.k, global * tile.d + row));
                let number = global * tile.d + row;
                let die = die.map(|die| (die, Array::K, number));
                let cell = CellInUse { row, driven_v, age: tile.ages[slot], pulse, spread, die };
                self.add_cell(&self.k, &cell, &mut work, &mut sums)?;
            }
            let spread = die.map_or([0.0; 2], |die| die.unsigned[global]);
            let reading = self.unsigned.read(&sums, spread, &self.bounds, work.tally)?;
            (s[slot], phi[slot]) = (reading.product, reading.fraction);
        }
        Ok(())
    }

    fn second(&self, tile: &Tile<'_>, phi: &[f64], output: &mut [f64], tally: &mut Tally) -> Result<()> {
        let die = self.die_of(tile)?;
        let mut sums = vec![LineSums::default(); tile.d];
        let mut work = Work { state: vec![0.0; self.v.curves.stride()], tally };
        for (slot, values) in tile.v_v.chunks_exact(tile.d).enumerate() {
            let pulse = self.pulse(&self.v, phi[slot] * self.t_max_s, work.tally)?;
            if pulse == Pulse::None {
                continue;
            }
            let first = (tile.index * self.tile_tokens + slot) * tile.d;
            for (column, &driven_v) in values.iter().enumerate() {
                let spread = die.map(|die| (&die.v, first + column));
                let die = die.map(|die| (die, Array::V, first + column));
                let cell = CellInUse { row: slot, driven_v, age: tile.ages[slot], pulse: &pulse, spread, die };
                self.add_cell(&self.v, &cell, &mut work, &mut sums[column])?;
            }
        }
        for (column, (fraction, sums)) in output.iter_mut().zip(&sums).enumerate() {
            let spread = die.map_or([0.0; 2], |die| die.signed[tile.index * tile.d + column]);
            *fraction = self.signed.read(sums, spread, &self.bounds, work.tally)?.fraction;
        }
        Ok(())
    }
}
