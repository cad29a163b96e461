//! The error budget: what each effect of the array costs.
//!
//! Against ideal attention arithmetic, linear products and clips of the same quantized inputs, every effect is an error:
//! the budget says how much each makes alone, how much less all make without it, and its Shapley value among the few that
//! matter. Against SPICE every modelled effect takes error away: the same three figures, then negative.
//!
//! Errors are root mean squares over columns of 64 x 64 sub-tiles of mixed ages, as fractions of full scale: of phi, and of the
//! signed output of a tile, whose second array is driven by the erroneous phi.

use serde::{Deserialize, Serialize};

use super::compare::{emulated_output, emulated_phi};
use super::shapley::shapley;
use super::stimuli::{AgeClass, Size, Stimuli};
use super::verdict::ValidationCase;
use crate::emulate::{Counter, Die, Draws, Extent, Fidelity, Options, Physics, Quantization, TableModel, Tile};
use crate::error::{Kind, Problem, Result};
use crate::fit::noise::sampled_sigma_v;
use crate::lut::{Cell, Column, NoiseSigmas, Table, Tally};
use crate::rng;
use crate::units::ZERO_CELSIUS_K;

/// Effects, in the order of the signal: the table's physics, then what differs from die to die, from read to read, and the counter.
pub const EFFECTS: [&str; 11] = [
    "write-error",
    "leakage",
    "nonlinearity",
    "swing",
    "pairs",
    "readout",
    "cell-mismatch",
    "converter-mismatch",
    "write-noise",
    "read-noise",
    "counter",
];
const CELL_MISMATCH: usize = 6;
const CONVERTER_MISMATCH: usize = 7;
const WRITE_NOISE: usize = 8;
const READ_NOISE: usize = 9;
const COUNTER: usize = 10;
/// Effects among which Shapley values are taken: 64 subsets.
const SHARED_AMONG: usize = 6;

/// What one effect does to an error [full scale].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Name, one of [`EFFECTS`].
    pub effect: String,
    /// Error with this effect only, less that with none.
    pub alone: f64,
    /// Error with all effects, less that with all but this one.
    pub last: f64,
    /// Shapley value among the effects that matter most, the others off; they sum to the error with these, less that with none.
    pub shapley: Option<f64>,
}

/// The budget of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Technology.
    pub tech: String,
    /// `ideal` or `spice`: what the error is taken against.
    pub against: String,
    /// `phi` or `output`.
    pub quantity: String,
    /// Seed of stimuli, draws and noise.
    pub seed: u64,
    /// Elements that the errors are over.
    pub elements: usize,
    /// Error with no effect on [full scale]; against ideal arithmetic it is what a column's cancellation leaves of the offset.
    pub none: f64,
    /// Error with every effect on [full scale].
    pub all: f64,
    /// By effect.
    pub shares: Vec<Share>,
}

/// Inputs of the budget against ideal arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSetup {
    /// Seed.
    pub seed: u64,
    /// Sub-tiles, each with its own query, cells and die.
    pub tiles: usize,
}

/// Against ideal attention arithmetic: budgets of phi and of the output.
///
/// Noise of reads is the charge that resetting a bit line leaves on it, `sqrt(k T C)` (J. B. Johnson, H. Nyquist, Phys. Rev. 32, 97 and 110
/// (1928)), or what the table says of its cells (at a full pulse, an upper bound) and converters; noise of writes is what the table
/// says of the stored voltage. A table without variability has neither noise nor mismatch in its budget.
///
/// # Errors
/// The table's; [`Kind::OutsideValidity`] if a stored voltage leaves it.
pub fn budget_ideal(table: &Table, setup: BudgetSetup) -> Result<Vec<Budget>> {
    let bench = Ideal::new(table, setup)?;
    let mut effects: Vec<usize> = (0..EFFECTS.len()).collect();
    if table.variability.is_none() {
        effects.retain(|effect| !(CELL_MISMATCH..=READ_NOISE).contains(effect));
    }
    let shape = Shape {
        tech: table.technology.clone(),
        against: "ideal",
        seed: setup.seed,
        elements: setup.tiles * bench.size.rows,
    };
    budgets(&shape, &effects, |on| bench.errors(on))
}

/// Against the columns of a finished validation: what of SPICE's difference from ideal arithmetic each part of the table's physics
/// explains.
///
/// # Errors
/// [`Kind::BadInput`] if the cases are not the nominal ones of these stimuli; the table's.
pub fn budget_spice(table: &Table, size: Size, cases: &[ValidationCase]) -> Result<Vec<Budget>> {
    let nominal = cases.iter().all(|case| case.row.die_seed.is_none() && case.phi.spice.len() == size.k_columns);
    let Some(first) = cases.first().filter(|_| nominal) else {
        return Err(Problem::new(Kind::BadInput, "there are no nominal columns of SPICE to compare with")
            .help("run `gaincell validate` first")
            .into());
    };
    let stimuli: Vec<Stimuli> =
        AgeClass::ALL.into_iter().map(|ages| Stimuli::new(first.row.seed, ages, size)).collect();
    let errors = |on: &[usize]| -> Result<[f64; 2]> {
        let quantization = Quantization::OFF;
        let options = Options { quantization, physics: physics(on), ..Options::default() };
        let model = TableModel::new(table, &options, Vec::new())?;
        let mut squares = [Squares::default(), Squares::default()];
        for (stimuli, case) in stimuli.iter().zip(cases) {
            let phi = emulated_phi(&model, table, size, stimuli, None)?;
            let output = emulated_output(&model, table, size, stimuli, &phi, None)?;
            squares[0].add(&phi, &case.phi.spice);
            squares[1].add(&output, &case.output.spice);
        }
        Ok(squares.map(|squares| squares.root()))
    };
    let effects: Vec<usize> = (0..Physics::NAMES.len()).collect();
    let elements = cases.len() * size.k_columns;
    let shape = Shape { tech: table.technology.clone(), against: "spice", seed: first.row.seed, elements };
    budgets(&shape, &effects, errors)
}

/// What the budgets of both quantities share.
struct Shape {
    tech: String,
    against: &'static str,
    seed: u64,
    elements: usize,
}

/// One at a time, all but one, and Shapley values, for both quantities at once; `errors` takes the effects that are on.
fn budgets(shape: &Shape, effects: &[usize], errors: impl Fn(&[usize]) -> Result<[f64; 2]>) -> Result<Vec<Budget>> {
    let (none, all) = (errors(&[])?, errors(effects)?);
    let alone = effects.iter().map(|effect| errors(&[*effect])).collect::<Result<Vec<_>>>()?;
    let but = effects.iter().map(|effect| {
        let others: Vec<usize> = effects.iter().copied().filter(|other| other != effect).collect();
        errors(&others)
    });
    let but = but.collect::<Result<Vec<_>>>()?;
    // The few that matter: by what they do to the output, alone or last.
    let matters = |k: &usize| (alone[*k][1] - none[1]).abs().max((all[1] - but[*k][1]).abs());
    let mut ranked: Vec<usize> = (0..effects.len()).collect();
    ranked.sort_by(|a, b| matters(b).total_cmp(&matters(a)));
    ranked.truncate(SHARED_AMONG);
    let subset = |mask: u32| -> Vec<usize> {
        let on = ranked.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        on.map(|(_, k)| effects[*k]).collect()
    };
    let values = (0..1u32 << ranked.len()).map(|mask| errors(&subset(mask))).collect::<Result<Vec<_>>>()?;
    (0..2)
        .map(|quantity| {
            let shared = shapley(ranked.len(), |mask| Ok(values[mask as usize][quantity]))?;
            let share = |(k, effect): (usize, &usize)| Share {
                effect: EFFECTS[*effect].to_string(),
                alone: alone[k][quantity] - none[quantity],
                last: all[quantity] - but[k][quantity],
                shapley: ranked.iter().position(|ranked| *ranked == k).map(|place| shared[place]),
            };
            Ok(Budget {
                tech: shape.tech.clone(),
                against: shape.against.to_string(),
                quantity: ["phi", "output"][quantity].to_string(),
                seed: shape.seed,
                elements: shape.elements,
                none: none[quantity],
                all: all[quantity],
                shares: effects.iter().enumerate().map(share).collect(),
            })
        })
        .collect()
}

/// The table's physics with these effects only.
fn physics(on: &[usize]) -> Physics {
    let off = (0..Physics::NAMES.len()).filter(|effect| !on.contains(effect));
    // Every name is one of the list.
    off.fold(Physics::default(), |physics, effect| physics.without(EFFECTS[effect]).unwrap_or(physics))
}

#[derive(Debug, Clone, Copy, Default)]
struct Squares {
    sum: f64,
    count: usize,
}

impl Squares {
    fn add(&mut self, found: &[f64], expected: &[f64]) {
        self.sum += found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        self.count += found.len();
    }

    fn root(self) -> f64 {
        (self.sum / self.count.max(1) as f64).sqrt()
    }
}

/// One sub-tile's inputs and what ideal arithmetic makes of them.
struct IdealTile {
    q: Vec<f64>,
    /// Driven levels [V], shape (slots, d).
    k_v: Vec<f64>,
    v_v: Vec<f64>,
    ages: Vec<usize>,
    phi: Vec<f64>,
    output: Vec<f64>,
}

struct Ideal<'a> {
    table: &'a Table,
    setup: BudgetSetup,
    size: Size,
    extent: Extent,
    tiles: Vec<IdealTile>,
    /// By tile; none if the table has no variability.
    draws: Vec<Draws>,
}

impl<'a> Ideal<'a> {
    fn new(table: &'a Table, setup: BudgetSetup) -> Result<Self> {
        let rows = table.column_k.rows as usize;
        let levels = table.scale.levels;
        let size = Size {
            rows,
            k_columns: rows,
            v_columns: rows,
            kv_levels: levels.stored as usize,
            q_levels: levels.q as usize,
            window: Options::default().window,
        };
        let extent = Extent { slots: rows, tile_tokens: rows, d: rows };
        let slopes = [&table.cell, table.v_cell()].map(|cell| slope_per_v(table, cell));
        let tiles = (0..setup.tiles as u64)
            .map(|t| IdealTile::new(table, &Stimuli::new(setup.seed + t, AgeClass::Mixed, size), size, slopes))
            .collect();
        let draws = table.variability.iter().flat_map(|variability| {
            (0..setup.tiles as u64).map(move |t| Draws::from_seed(variability, setup.seed, t, extent))
        });
        Ok(Ideal { table, setup, size, extent, tiles, draws: draws.collect::<Result<_>>()? })
    }

    /// The draws of a tile with these effects; none if none of them is on.
    fn draws(&self, on: &[usize], t: usize) -> Option<Draws> {
        let [cells, converters, writes, reads] =
            [CELL_MISMATCH, CONVERTER_MISMATCH, WRITE_NOISE, READ_NOISE].map(|effect| on.contains(&effect));
        let mut draws = self.draws.get(t)?.clone();
        if !(cells || converters || writes || reads) {
            return None;
        }
        if !cells {
            draws.k.fill(0.0);
            draws.v.fill(0.0);
        }
        if !converters {
            draws.unsigned.fill([0.0; 2]);
            draws.signed.fill([0.0; 2]);
        }
        // Without a section of its own, a table still has the noise of a bit line's reset.
        let kelvin = ZERO_CELSIUS_K + self.table.scale.temperature_degc;
        let reset_c = |column: &Column| column.c_bit_line_f * sampled_sigma_v(kelvin, column.c_bit_line_f);
        let sigmas = self.table.noise_sigmas().unwrap_or(NoiseSigmas {
            write_v: 0.0,
            written_c: 0.0,
            cell_c: 0.0,
            unsigned_c: reset_c(&self.table.column_k),
            signed_c: reset_c(&self.table.column_v),
        });
        let pulses = self.tiles[t].q.iter().filter(|q| **q > 0.0).count() as f64;
        for (name, own_c, column, pulses) in [
            ("k", sigmas.unsigned_c, &mut draws.unsigned, pulses),
            ("v", sigmas.signed_c, &mut draws.signed, self.size.rows as f64),
        ] {
            // Each tile is read once: what its writes left is one more draw for each column.
            for (drawn, of, sigma_c) in [
                (writes, "write", pulses.sqrt() * sigmas.written_c),
                (reads, "read", own_c.hypot(pulses.sqrt() * sigmas.cell_c)),
            ] {
                for (j, offset) in column.iter_mut().enumerate().filter(|_| drawn) {
                    offset[0] += sigma_c * rng::normal(self.setup.seed, t as u64, &format!("{name}{j}"), of);
                }
            }
        }
        Some(draws)
    }

    /// Errors of phi and of the output with these effects on.
    fn errors(&self, on: &[usize]) -> Result<[f64; 2]> {
        let counter =
            if on.contains(&COUNTER) { Counter::SignMagnitude(self.table.scale.levels.output) } else { Counter::Exact };
        let levels = Some(self.table.scale.levels.stored);
        let options = Options {
            physics: physics(on),
            quantization: Quantization { stored: levels, ..Quantization::OFF },
            tile_tokens: self.extent.tile_tokens,
            ..Options::default()
        };
        let dies = (0..self.tiles.len()).filter_map(|t| self.draws(on, t));
        let dies = dies.map(|draws| Die::from_draws(self.table, &draws, self.extent)).collect::<Result<Vec<_>>>()?;
        let model = TableModel::new(self.table, &options, dies)?;
        let mut squares = [Squares::default(), Squares::default()];
        let (mut s, mut phi) = (vec![0.0; self.size.rows], vec![0.0; self.size.rows]);
        let mut output = vec![0.0; self.size.rows];
        for (head, tile) in self.tiles.iter().enumerate() {
            let cells = Tile { head, index: 0, d: self.extent.d, k_v: &tile.k_v, v_v: &tile.v_v, ages: &tile.ages };
            let mut tally = Tally::default();
            model.first(&cells, &tile.q, &mut s, &mut phi, &mut tally)?;
            model.second(&cells, &phi, &mut output, &mut tally)?;
            output.iter_mut().for_each(|fraction| *fraction = counter.value(*fraction));
            squares[0].add(&phi, &tile.phi);
            squares[1].add(&output, &tile.output);
        }
        Ok(squares.map(|squares| squares.root()))
    }
}

impl IdealTile {
    fn new(table: &Table, stimuli: &Stimuli, size: Size, [k_slope, v_slope]: [f64; 2]) -> IdealTile {
        let scale = &table.scale;
        let level_v = |level: &usize| scale.vdd_v * *level as f64 / (size.kv_levels - 1) as f64;
        let q: Vec<f64> = stimuli.query.iter().map(|code| *code as f64 / (size.q_levels - 1) as f64).collect();
        // Keys are by slot already, values by dimension: a slot's row takes one of each.
        let k_v: Vec<f64> = stimuli.keys.iter().flatten().map(level_v).collect();
        let rows = 0..size.rows;
        let v_v: Vec<f64> =
            rows.flat_map(|slot| stimuli.values.iter().map(move |column| level_v(&column[slot]))).collect();
        let product = |slope: f64, v: f64| slope * (v - scale.v_zero_v);
        let phi: Vec<f64> = k_v
            .chunks_exact(size.rows)
            .map(|keys| keys.iter().zip(&q).map(|(v, q)| q * product(k_slope, *v)).sum::<f64>() / scale.s_sat)
            .map(|phi: f64| phi.clamp(0.0, 1.0))
            .collect();
        let output = (0..size.rows).map(|d| {
            let cells = v_v.chunks_exact(size.rows).zip(&phi);
            (cells.map(|(values, phi)| phi * product(v_slope, values[d])).sum::<f64>() / scale.a_sat).clamp(-1.0, 1.0)
        });
        IdealTile { output: output.collect(), ages: stimuli.key_ages.clone(), q, k_v, v_v, phi }
    }
}

/// Slope of the ideal cell, in units of p per volt: the least-squares line through the zero weight of the cell's current.
fn slope_per_v(table: &Table, cell: &Cell) -> f64 {
    let scale = &table.scale;
    let nodes = cell.current_a.axes[0].values.iter().zip(&cell.current_a.values);
    let inside = nodes.filter(|(v, _)| (0.0..=scale.vdd_v).contains(*v));
    let (xy, xx) = inside.fold((0.0, 0.0), |(xy, xx), (v, i)| {
        let y = v - scale.v_zero_v;
        (xy + y * i, xx + y * y)
    });
    xy / xx * scale.t_max_s / scale.charge_per_unit_c
}
