//! Attention of whole sequences: every query of every sequence, in parallel, to the same bits on any number of threads.

use rayon::prelude::*;

use super::array::TableModel;
use super::die::{Die, Extent};
use super::factorized::Factorized;
use super::fidelity::Fidelity;
use super::head::{Head, HeadShape};
use super::options::{Evaluation, Level, Options};
use super::published::{Published, cubic, linear};
use super::softmax;
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::{Table, Tally};

/// Queries of one parallel task; a task first writes the window before its first query again.
const QUERIES_PER_TASK: usize = 32;
/// Excess over a range that is rounding of single precision, and clipped; beyond it an input is refused.
const RANGE_SLACK: f64 = 1e-6;

/// Q, K and V of a batch of sequences, each of shape (batch, tokens, d) in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// batch, tokens, d.
    pub shape: [usize; 3],
    /// Queries in [0, 1] of T_max.
    pub q: Vec<f64>,
    /// Keys [V] in [0, vdd].
    pub k: Vec<f64>,
    /// Values [V] in [0, vdd].
    pub v: Vec<f64>,
}

/// What a batch gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// batch, tokens, d.
    pub shape: [usize; 3],
    /// Last dimension of `s` and `phi`: the smaller of window and tokens.
    pub slots: usize,
    /// S, shape (batch, tokens, slots). Slot s of query t holds the youngest token t' <= t with t' mod window = s; with no
    /// more tokens than the window, slots are tokens and the matrix is the causal one. 0 where no token is yet.
    pub s: Vec<f64>,
    /// Pulses that drive the V array, as fractions of T_max, or the weights of a softmax; shape as `s`.
    pub phi: Vec<f64>,
    /// Output, shape (batch, tokens, d); of a softmax in volts from the zero weight.
    pub output: Vec<f64>,
    /// What was clamped to the table's validity.
    pub clamped: Tally,
}

impl Inputs {
    /// Checks shapes and ranges against the supply, and clips what is out by rounding. Errors are of [`Kind::BadInput`]
    /// and name the array and the index.
    pub fn checked(mut self, vdd_v: f64) -> Result<Self> {
        let [batch, tokens, d] = self.shape;
        if batch == 0 || tokens == 0 || d == 0 {
            return Err(Error::new(Kind::BadInput, format!("the shape ({batch}, {tokens}, {d}) has no elements")));
        }
        let count = batch * tokens * d;
        for (name, values, full) in [("Q", &mut self.q, 1.0), ("K", &mut self.k, vdd_v), ("V", &mut self.v, vdd_v)] {
            if values.len() != count {
                let message = format!("{} elements do not make ({batch}, {tokens}, {d})", values.len());
                return Err(Problem::new(Kind::BadInput, message).key(name).into());
            }
            let slack = RANGE_SLACK * full;
            if let Some(at) = values.iter().position(|&x| !(x >= -slack && x <= full + slack)) {
                let message =
                    format!("element [{}, {}, {}] is {}", at / (tokens * d), at / d % tokens, at % d, values[at]);
                return Err(Problem::new(Kind::BadInput, message)
                    .key(name)
                    .accepted(format!("finite numbers from 0 to {full}"))
                    .into());
            }
            values.iter_mut().for_each(|x| *x = x.clamp(0.0, full));
        }
        Ok(self)
    }
}

/// Emulates a batch. The level [`Level::Table`] needs a table, whose scale then replaces that of the options.
///
/// Token t attends to tokens max(0, t - M + 1)..=t; K_t and V_t are written before the query of token t.
///
/// Errors: [`Kind::BadInput`] for options, shapes and ranges; [`Kind::OutsideValidity`] where the table does not hold and
/// clamping is not allowed; [`Kind::TableInvalid`] for a die of a table without variability.
pub fn run(inputs: Inputs, options: &Options, table: Option<&Table>) -> Result<Outputs> {
    options.check()?;
    let options = with_scale_of(options, table)?;
    let inputs = inputs.checked(options.vdd_v)?;
    let [batch, tokens, d] = inputs.shape;
    match (options.level, table) {
        (Level::Softmax, _) => run_softmax(&inputs, &options),
        (Level::PublishedLinear, _) => {
            run_with(&Published::new(options.level.name(), linear(), &options), &inputs, &options)
        }
        (Level::PublishedCubic, _) => {
            run_with(&Published::new(options.level.name(), cubic(), &options), &inputs, &options)
        }
        (Level::Table, None) => Err(Error::new(Kind::BadInput, "the level `table` needs a lookup table")),
        (Level::Table, Some(table)) => {
            if d > table.column_k.rows as usize {
                let message = format!("a dimension of {d} does not fit into K columns of {} rows", table.column_k.rows);
                return Err(Error::new(Kind::OutsideValidity, message));
            }
            let extent = Extent { slots: options.window.min(tokens), tile_tokens: options.tile_tokens, d };
            let dies = match options.die {
                None => Vec::new(),
                Some(die) => (0..options.heads.min(batch) as u64)
                    .map(|head| {
                        let sample = die.sample + head;
                        let sigma = options.leakage_sigma;
                        Ok(Die::from_seed(table, die.seed, sample, extent)?.with_leakage(die.seed, sample, sigma))
                    })
                    .collect::<Result<_>>()?,
            };
            // No query sees an age beyond the sequence.
            let options = Options { window: extent.slots, ..options };
            let model = TableModel::new(table, &options, dies)?;
            let factorized = match options.evaluation {
                Evaluation::Factorized => Factorized::new(&model, &options, d).map_err(|refusal| refusal.to_string()),
                Evaluation::PerCell => Err("it is switched off".into()),
            };
            if let (Err(reason), Some(_)) = (&factorized, &options.noise) {
                let message = format!("noise is drawn by the factorized evaluation only, and {reason}");
                return Err(Problem::new(Kind::BadInput, message).key("noise").accepted("no noise").into());
            }
            match factorized.ok() {
                Some(array) => Ok(run_factorized(&array, &inputs, options.heads)),
                None => run_with(&model, &inputs, &options),
            }
        }
    }
}

/// As [`run`], at a level of fidelity that the caller brings.
pub fn run_with(model: &dyn Fidelity, inputs: &Inputs, options: &Options) -> Result<Outputs> {
    let [_, tokens, d] = inputs.shape;
    let window = options.window.min(tokens);
    gather(inputs, window, |row, queries| {
        let shape = HeadShape {
            head: row % options.heads,
            d,
            window,
            tile_tokens: options.tile_tokens,
            vdd_v: options.vdd_v,
            quantization: options.quantization,
        };
        let first = (queries.start + 1).saturating_sub(window);
        let mut head = Head::new(model, shape, first).with_stuck(&options.stuck);
        let mut part = Part::new(queries.len(), window, d);
        for token in first..queries.end {
            let at = (row * tokens + token) * d;
            head.write(&inputs.k[at..at + d], &inputs.v[at..at + d]);
            if token >= queries.start {
                let attended = head.attend(&inputs.q[at..at + d], &mut part.clamped)?;
                part.put(token - queries.start, &attended.s, &attended.phi, &attended.output);
            }
        }
        Ok(part)
    })
}

fn run_factorized(array: &Factorized, inputs: &Inputs, heads: usize) -> Outputs {
    let tokens = inputs.shape[1];
    let mut outputs = Outputs {
        shape: inputs.shape,
        slots: array.window().min(tokens),
        s: Vec::new(),
        phi: Vec::new(),
        output: Vec::new(),
        clamped: Tally::default(),
    };
    for part in array.sequences(tokens, &inputs.q, &inputs.k, &inputs.v, true, heads) {
        outputs.output.extend(part.output(array));
        outputs.s.extend(part.s);
        outputs.phi.extend(part.phi);
    }
    outputs
}

fn run_softmax(inputs: &Inputs, options: &Options) -> Result<Outputs> {
    let [_, tokens, d] = inputs.shape;
    let window = options.window.min(tokens);
    let scale = options.softmax_scale.unwrap_or(1.0 / (d as f64).sqrt());
    let distances = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v - options.v_zero_v).collect() };
    let (k_y, v_y) = (distances(&inputs.k), distances(&inputs.v));
    gather(inputs, window, |row, queries| {
        let mut part = Part::new(queries.len(), window, d);
        for token in queries.clone() {
            let seen = (row * tokens + (token + 1).saturating_sub(window)) * d..(row * tokens + token + 1) * d;
            let q = &inputs.q[(row * tokens + token) * d..(row * tokens + token + 1) * d];
            let (mut s, mut phi, output) = softmax::attend(q, &k_y[seen.clone()], &v_y[seen], scale);
            // From the oldest first to slots: the oldest token's slot follows the newest one's.
            let shift = if token >= window { (token + 1) % window } else { 0 };
            s.rotate_right(shift);
            phi.rotate_right(shift);
            part.put(token - queries.start, &s, &phi, &output);
        }
        Ok(part)
    })
}

/// The results of a run of queries.
struct Part {
    slots: usize,
    d: usize,
    s: Vec<f64>,
    phi: Vec<f64>,
    output: Vec<f64>,
    clamped: Tally,
}

impl Part {
    fn new(queries: usize, slots: usize, d: usize) -> Self {
        Part {
            slots,
            d,
            s: vec![0.0; queries * slots],
            phi: vec![0.0; queries * slots],
            output: vec![0.0; queries * d],
            clamped: Tally::default(),
        }
    }

    fn put(&mut self, query: usize, s: &[f64], phi: &[f64], output: &[f64]) {
        let at = query * self.slots;
        self.s[at..at + s.len()].copy_from_slice(s);
        self.phi[at..at + phi.len()].copy_from_slice(phi);
        self.output[query * self.d..(query + 1) * self.d].copy_from_slice(output);
    }
}

/// Runs `task` on every (sequence, range of queries) and puts the parts in order; of several errors the first counts.
fn gather(
    inputs: &Inputs,
    slots: usize,
    task: impl Fn(usize, std::ops::Range<usize>) -> Result<Part> + Sync,
) -> Result<Outputs> {
    let [batch, tokens, d] = inputs.shape;
    let tasks = tokens.div_ceil(QUERIES_PER_TASK);
    let parts: Vec<Result<Part>> = (0..batch * tasks)
        .into_par_iter()
        .map(|at| {
            let start = at % tasks * QUERIES_PER_TASK;
            task(at / tasks, start..(start + QUERIES_PER_TASK).min(tokens))
        })
        .collect();
    let mut outputs = Outputs {
        shape: inputs.shape,
        slots,
        s: Vec::with_capacity(batch * tokens * slots),
        phi: Vec::with_capacity(batch * tokens * slots),
        output: Vec::with_capacity(batch * tokens * d),
        clamped: Tally::default(),
    };
    for part in parts {
        let part = part?;
        outputs.s.extend(part.s);
        outputs.phi.extend(part.phi);
        outputs.output.extend(part.output);
        outputs.clamped += part.clamped;
    }
    Ok(outputs)
}

/// The options with the table's scale, if the table decides it.
fn with_scale_of(options: &Options, table: Option<&Table>) -> Result<Options> {
    let mut options = options.clone();
    if let (Level::Table, Some(table)) = (options.level, table) {
        options.vdd_v = table.scale.vdd_v;
        options.v_zero_v = table.scale.v_zero_v;
        options.s_sat = table.scale.s_sat;
        options.a_sat = table.scale.a_sat;
    }
    Ok(options)
}
