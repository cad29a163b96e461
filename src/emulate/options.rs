//! What an emulation can be asked to do.

use super::stuck::StuckCell;
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::Outside;

/// How faithful the emulation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Causal softmax attention over the window; no array, no quantized output.
    Softmax,
    /// The published linear cell, p = 19.3 (V - 0.45 V).
    PublishedLinear,
    /// The published cubic cell.
    #[default]
    PublishedCubic,
    /// The characterized cell and converters of a lookup table.
    Table,
}

impl Level {
    /// Every level, from ideal to physical.
    pub const ALL: [Level; 4] = [Level::Softmax, Level::PublishedLinear, Level::PublishedCubic, Level::Table];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Level::Softmax => "softmax",
            Level::PublishedLinear => "published-linear",
            Level::PublishedCubic => "published-cubic",
            Level::Table => "table",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// How the published models let stored values decay with age; a table has its own retention instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decay {
    /// Not at all.
    None,
    /// Convention 1: the factor a = exp(-lambda age) multiplies the whole product.
    #[default]
    WholeProduct,
    /// Convention 2: the i-th order of the polynomial is multiplied by the i-th power of a, the constant not at all.
    ByOrder,
    /// Convention 3: as 2, with a rounded to bfloat16 before its powers are taken.
    ByOrderBfloat16,
}

impl Decay {
    /// Every convention.
    pub const ALL: [Decay; 4] = [Decay::None, Decay::WholeProduct, Decay::ByOrder, Decay::ByOrderBfloat16];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Decay::None => "none",
            Decay::WholeProduct => "whole-product",
            Decay::ByOrder => "by-order",
            Decay::ByOrderBfloat16 => "by-order-bfloat16",
        }
    }

    /// The convention of that name.
    pub fn from_name(name: &str) -> Option<Decay> {
        Decay::ALL.into_iter().find(|decay| decay.name() == name)
    }
}

/// How a tile's signed result in [-1, 1] becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// It stays as it is.
    Exact,
    /// So many magnitudes beside a sign: 16 make 32 levels, m / 15 with m = 0..15 (plus and minus zero are one value).
    SignMagnitude(u32),
    /// The published network code: step 2 / (levels - 1) after clipping, ties to even; 32 give 33 codes up to 1.032.
    PublishedStep(u32),
}

impl Default for Counter {
    fn default() -> Self {
        Counter::SignMagnitude(16)
    }
}

/// Levels of the converters; `None` leaves a quantity as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    /// Q over [0, 1].
    pub q: Option<u32>,
    /// K and V over [0, vdd].
    pub stored: Option<u32>,
    /// phi over [0, 1], between the arrays; the live pulse that drives the V array has no levels.
    pub phi: Option<u32>,
    /// Output of each tile.
    pub output: Counter,
}

impl Quantization {
    /// None anywhere.
    pub const OFF: Quantization = Quantization { q: None, stored: None, phi: None, output: Counter::Exact };
}

impl Default for Quantization {
    fn default() -> Self {
        Quantization { q: Some(16), stored: Some(8), phi: None, output: Counter::default() }
    }
}

/// Which of the table's physics takes part; all of it unless switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Physics {
    /// The stored voltage misses the driven level.
    pub write_error: bool,
    /// Stored voltages drift with age.
    pub leakage: bool,
    /// The cell's own charge over voltage and width; off: a straight line through the zero weight, without edges.
    pub nonlinearity: bool,
    /// The bit line moves while it is read.
    pub swing: bool,
    /// Each cell follows the bit line as it is while its own word line is on, pair by pair of cells; off: as if all pulses were of one
    /// length, by sums of the column alone.
    pub pairs: bool,
    /// The converters' curves; off: straight lines that clip at S_sat and A_sat.
    pub readout: bool,
}

impl Physics {
    /// The names of its parts on the command line.
    pub const NAMES: [&str; 6] = ["write-error", "leakage", "nonlinearity", "swing", "pairs", "readout"];

    /// All of it but the part of that name; `None` if there is none.
    pub fn without(mut self, name: &str) -> Option<Physics> {
        let parts = [
            &mut self.write_error,
            &mut self.leakage,
            &mut self.nonlinearity,
            &mut self.swing,
            &mut self.pairs,
            &mut self.readout,
        ];
        *parts.into_iter().zip(Physics::NAMES).find(|(_, known)| *known == name)?.0 = false;
        Some(self)
    }
}

impl Default for Physics {
    fn default() -> Self {
        Physics { write_error: true, leakage: true, nonlinearity: true, swing: true, pairs: true, readout: true }
    }
}

/// How the level [`Level::Table`] is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evaluation {
    /// By sums of integers where the table and the options allow it (see [`super::Factorized`]), else cell by cell.
    Factorized,
    /// Cell by cell in double precision: the reference.
    #[default]
    PerCell,
}

/// Which dies the table's spread is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DieSeed {
    /// Seed of all draws.
    pub seed: u64,
    /// Sample number of the first head; head h is sample + h.
    pub sample: u64,
}

/// Noise, drawn at every write and at every read: the caller's values, or a table's ([`crate::lut::Table::noise_sigmas`]).
///
/// A cell's stored voltage is off by one normal number from its write on, keyed by (seed, head, token, array, dimension); all reads of
/// it have that in common. The sum of the independent noise that a column's cells add to a read is one normal number of known
/// variance, so one is drawn for each column and read, keyed by (seed, head, token, array, column).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Noise {
    /// Seed of all draws.
    pub seed: u64,
    /// Standard deviation of the voltage that a write leaves on a cell, kT/C and whatever else differs from write to write \[V\].
    pub sigma_write_v: f64,
    /// Standard deviation of the charge that one cell with a pulse adds \[C\].
    pub sigma_cell_c: f64,
    /// Standard deviation of the first converter's charge, its comparator's noise \[C\].
    pub sigma_unsigned_c: f64,
    /// The same of the second converter \[C\].
    pub sigma_signed_c: f64,
}

/// All that decides an emulation beside its inputs and its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Level of fidelity.
    pub level: Level,
    /// Decay convention of the published levels.
    pub decay: Decay,
    /// Decay per token of age, lambda in a = exp(-lambda age); published levels only.
    pub lambda: f64,
    /// Converters.
    pub quantization: Quantization,
    /// Window M: slots of the ring buffer, tokens that a query sees.
    pub window: usize,
    /// Tokens per tile.
    pub tile_tokens: usize,
    /// Tiles that a head has.
    pub tiles: usize,
    /// Supply, the upper end of K and V [V]; a table brings its own.
    pub vdd_v: f64,
    /// Zero weight [V]; a table brings its own.
    pub v_zero_v: f64,
    /// S_sat; a table brings its own.
    pub s_sat: f64,
    /// Saturation of |A|; a table brings its own.
    pub a_sat: f64,
    /// Factor of the scores before the softmax; by default 1 / sqrt(d).
    pub softmax_scale: Option<f64>,
    /// How the level `table` is computed.
    pub evaluation: Evaluation,
    /// Parts of the table's physics.
    pub physics: Physics,
    /// What happens outside the table's validity.
    pub outside: Outside,
    /// Write bit-line voltage during the hold [V]; by default the table's idle voltage.
    pub hold_v_wbl_v: Option<f64>,
    /// Share of the hold, 0 to 1, in which the write bit line carries the levels of other tokens, all equally often, and not that
    /// voltage. Level `table` only.
    pub write_activity: f64,
    /// Spread of cells and converters; `None`: nominal.
    pub die: Option<DieSeed>,
    /// Error of the DAC's voltage at each level [V], as many as K and V have levels; empty: none. Level `table` only.
    pub level_errors_v: Vec<f64>,
    /// Tokens after which a stored value is written again, so that it is never older; `None`: no refresh. Level `table`
    /// only.
    pub refresh_tokens: Option<usize>,
    /// Resistance of a bit line's wire from one cell to the next, the converter before the first \[ohm\]; level `table` only. Word
    /// lines have none: all cells of a column are as far down theirs, so what that does is the same for all, some picoseconds of delay.
    pub bit_line_ohm: f64,
    /// Cells that hold one level whatever is written, sorted by head and slot.
    pub stuck: Vec<StuckCell>,
    /// Spread of the cells' leakage: standard deviation of the logarithm of each cell's rate of ageing, drawn with the die.
    pub leakage_sigma: f64,
    /// Noise of reads; `None`: none.
    pub noise: Option<Noise>,
    /// Heads that the batch runs through: row b uses the arrays of head b mod heads. Matters for dies only.
    pub heads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            level: Level::default(),
            decay: Decay::default(),
            lambda: 1.6e-4,
            quantization: Quantization::default(),
            window: 1024,
            tile_tokens: 64,
            tiles: 16,
            vdd_v: 0.9,
            v_zero_v: 0.45,
            s_sat: 80.0,
            a_sat: 40.0,
            softmax_scale: None,
            evaluation: Evaluation::default(),
            physics: Physics::default(),
            outside: Outside::default(),
            hold_v_wbl_v: None,
            write_activity: 0.0,
            die: None,
            level_errors_v: Vec::new(),
            refresh_tokens: None,
            bit_line_ohm: 0.0,
            stuck: Vec::new(),
            leakage_sigma: 0.0,
            noise: None,
            heads: 1,
        }
    }
}

impl Options {
    /// Checks what does not depend on inputs or table. Errors are of [`Kind::BadInput`], all at once.
    pub fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut report = |key: &str, message: String, accepted: &str| {
            problems.push(Problem::new(Kind::BadInput, message).key(key).accepted(accepted));
        };
        for (key, value) in
            [("window", self.window), ("tile_tokens", self.tile_tokens), ("tiles", self.tiles), ("heads", self.heads)]
        {
            if value == 0 {
                report(key, "it cannot be 0".into(), "1 or more");
            }
        }
        let slots = self.tile_tokens.saturating_mul(self.tiles);
        if self.window > slots {
            let message = format!(
                "a window of {} tokens does not fit into {} tiles of {} tokens",
                self.window, self.tiles, self.tile_tokens
            );
            report("window", message, &format!("1 to {slots}, or more tiles"));
        }
        let quantization = &self.quantization;
        let counter = match quantization.output {
            Counter::Exact => None,
            Counter::SignMagnitude(levels) | Counter::PublishedStep(levels) => Some(levels),
        };
        for (key, levels) in [
            ("quantization.q", quantization.q),
            ("quantization.stored", quantization.stored),
            ("quantization.phi", quantization.phi),
            ("quantization.output", counter),
        ] {
            if levels.is_some_and(|levels| !(2..=65_536).contains(&levels)) {
                report(key, format!("{} levels", levels.unwrap_or(0)), "2 to 65536 levels, or none");
            }
        }
        for (key, value) in [("vdd_v", self.vdd_v), ("s_sat", self.s_sat), ("a_sat", self.a_sat)] {
            if !(value > 0.0 && value.is_finite()) {
                report(key, format!("{value} is not positive"), "a positive number");
            }
        }
        if !(self.lambda >= 0.0 && self.lambda.is_finite()) {
            report("lambda", format!("{} is not a decay", self.lambda), "0 or more per token");
        }
        let levels = self.quantization.stored.unwrap_or(0) as usize;
        if !self.level_errors_v.is_empty() && self.level_errors_v.len() != levels {
            let message = format!("{} errors for {levels} levels", self.level_errors_v.len());
            report("level_errors_v", message, "one for each level of K and V, or none");
        }
        if self.refresh_tokens == Some(0) {
            report("refresh_tokens", "a period of 0 tokens".into(), "1 or more, or none");
        }
        if !(0.0..=1.0).contains(&self.write_activity) {
            report("write_activity", format!("{} is no share of the time", self.write_activity), "0 to 1");
        }
        if !(self.bit_line_ohm >= 0.0 && self.bit_line_ohm.is_finite()) {
            report("bit_line_ohm", format!("{} is no resistance", self.bit_line_ohm), "0 ohm or more");
        }
        let of_the_table = !self.level_errors_v.is_empty()
            || self.refresh_tokens.is_some()
            || self.write_activity != 0.0
            || self.bit_line_ohm != 0.0;
        if of_the_table && self.level != Level::Table {
            let message = format!("{} has no DAC, no write bit line, no wires and no refresh", self.level.name());
            report("level", message, "the level `table`");
        }
        if self.stuck.iter().any(|cell| cell.level as usize >= levels) {
            report("stuck", "a cell is stuck at a level that there is not".into(), &format!("levels below {levels}"));
        }
        if !self.stuck.is_sorted() {
            report("stuck", "the cells are not sorted".into(), "a list in the order of head and slot");
        }
        if !(self.leakage_sigma >= 0.0 && self.leakage_sigma < 1.0) {
            report("leakage_sigma", format!("{} is no spread of leakage", self.leakage_sigma), "0 or more, below 1");
        } else if self.leakage_sigma > 0.0 && self.die.is_none() {
            report("leakage_sigma", "leakage differs from cell to cell on dies only".into(), "0, or a die");
        }
        if let Some(noise) = &self.noise {
            for (key, sigma, accepted) in [
                ("noise.sigma_write_v", noise.sigma_write_v, "0 V or more"),
                ("noise.sigma_cell_c", noise.sigma_cell_c, "0 C or more"),
                ("noise.sigma_unsigned_c", noise.sigma_unsigned_c, "0 C or more"),
                ("noise.sigma_signed_c", noise.sigma_signed_c, "0 C or more"),
            ] {
                if !(sigma >= 0.0 && sigma.is_finite()) {
                    report(key, format!("{sigma} is not a standard deviation"), accepted);
                }
            }
            if self.level != Level::Table {
                report("noise", format!("{} has no charge", self.level.name()), "noise with the level `table`");
            }
        }
        if self.die.is_some() && self.level != Level::Table {
            report("die", format!("{} has no spread", self.level.name()), "a die with the level `table`");
        }
        Error::collect(problems).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn physics_is_switched_off_by_name() {
        let off = Physics::NAMES.iter().try_fold(Physics::default(), |physics, name| physics.without(name));
        let none = Physics {
            write_error: false,
            leakage: false,
            nonlinearity: false,
            swing: false,
            pairs: false,
            readout: false,
        };
        assert_eq!(off, Some(none));
        assert_eq!(Physics::default().without("leakage"), Some(Physics { leakage: false, ..Physics::default() }));
        assert_eq!(Physics::default().without("gravity"), None);
    }

    #[test]
    fn noise_and_leakage_that_cannot_be_are_refused_together() {
        let noise = Some(Noise { sigma_cell_c: -1.0, ..Noise::default() });
        let error = Options { noise, leakage_sigma: 0.1, ..Options::default() }.check().unwrap_err().to_string();
        for said in ["leakage_sigma", "noise.sigma_cell_c", "published-cubic has no charge"] {
            assert!(error.contains(said), "{error}");
        }
    }
}
