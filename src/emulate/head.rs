//! One head: a ring buffer of tokens over its sub-tiles.

use super::die::Array;
use super::fidelity::{Fidelity, Tile};
use super::options::{Counter, Options, Quantization};
use super::quantize::to_level;
use super::stuck::StuckCell;
use crate::error::Result;
use crate::lut::{Table, Tally};

/// The shape of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadShape {
    /// Number of the head, which chooses its die.
    pub head: usize,
    /// Dimension d.
    pub d: usize,
    /// Window M, in slots.
    pub window: usize,
    /// Slots of a tile.
    pub tile_tokens: usize,
    /// Supply [V].
    pub vdd_v: f64,
    /// Converters.
    pub quantization: Quantization,
}

impl HeadShape {
    /// The first head of an array with these options, for tokens of dimension `d`; a table brings its supply.
    pub fn new(table: &Table, options: &Options, d: usize) -> HeadShape {
        HeadShape {
            head: 0,
            d,
            window: options.window,
            tile_tokens: options.tile_tokens,
            vdd_v: table.scale.vdd_v,
            quantization: options.quantization,
        }
    }
}

/// What one query gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Attended {
    /// S of each occupied slot.
    pub s: Vec<f64>,
    /// The pulse that drove the V array, of each occupied slot, as a fraction of T_max.
    pub phi: Vec<f64>,
    /// Signed pulses before the counter, shape (occupied tiles, d).
    pub fractions: Vec<f64>,
    /// Sum over tiles of the counters' values, shape (d).
    pub output: Vec<f64>,
}

/// Stored tokens of one head at one level of fidelity.
pub struct Head<'m> {
    model: &'m dyn Fidelity,
    shape: HeadShape,
    k_v: Vec<f64>,
    v_v: Vec<f64>,
    tokens: usize,
    stuck: &'m [StuckCell],
}

impl<'m> Head<'m> {
    /// An empty head whose first token is number `first_token`: its slot is that modulo the window.
    ///
    /// Slots before it count as written long ago and must be filled, by [`Head::write`] of the tokens before, unless
    /// `first_token` is 0.
    pub fn new(model: &'m dyn Fidelity, shape: HeadShape, first_token: usize) -> Self {
        let cells = shape.window * shape.d;
        Head { model, shape, k_v: vec![0.0; cells], v_v: vec![0.0; cells], tokens: first_token, stuck: &[] }
    }

    /// The same head with stuck cells, sorted by head and slot; stored values need levels.
    pub fn with_stuck(self, stuck: &'m [StuckCell]) -> Self {
        Head { stuck, ..self }
    }

    /// Writes the next token's K and V (d each) [V] over the oldest slot, at the converters' levels.
    pub fn write(&mut self, k_v: &[f64], v_v: &[f64]) {
        let HeadShape { d, window, vdd_v, quantization, .. } = self.shape;
        let at = self.tokens % window * d;
        for (to, from) in [(&mut self.k_v, k_v), (&mut self.v_v, v_v)] {
            for (to, from) in to[at..at + d].iter_mut().zip(from) {
                *to = to_level(*from, vdd_v, quantization.stored);
            }
        }
        let levels = quantization.stored.unwrap_or(2);
        for cell in StuckCell::of_slot(self.stuck, self.shape.head, self.tokens % window) {
            let cells = if cell.array == Array::K { &mut self.k_v } else { &mut self.v_v };
            if cell.dimension < d {
                cells[at + cell.dimension] = vdd_v * f64::from(cell.level) / f64::from(levels - 1);
            }
        }
        self.tokens += 1;
    }

    /// Slots that hold a token.
    pub fn occupied(&self) -> usize {
        self.tokens.min(self.shape.window)
    }

    /// Attends to the stored tokens with `q` (d) in [0, 1]; the last token written has age 0.
    pub fn attend(&self, q: &[f64], tally: &mut Tally) -> Result<Attended> {
        let HeadShape { head, d, window, tile_tokens, quantization, .. } = self.shape;
        let occupied = self.occupied();
        let q: Vec<f64> = q.iter().map(|&q| to_level(q, 1.0, quantization.q)).collect();
        let newest = (self.tokens + window - 1) % window;
        let ages: Vec<usize> = (0..occupied).map(|slot| (newest + window - slot) % window).collect();
        let tiles = occupied.div_ceil(tile_tokens);
        let mut attended = Attended {
            s: vec![0.0; occupied],
            phi: vec![0.0; occupied],
            fractions: vec![0.0; tiles * d],
            output: vec![0.0; d],
        };
        for index in 0..tiles {
            let slots = index * tile_tokens..((index + 1) * tile_tokens).min(occupied);
            let cells = slots.start * d..slots.end * d;
            let tile = Tile {
                head,
                index,
                d,
                k_v: &self.k_v[cells.clone()],
                v_v: &self.v_v[cells],
                ages: &ages[slots.clone()],
            };
            let phi = &mut attended.phi[slots.clone()];
            self.model.first(&tile, &q, &mut attended.s[slots], phi, tally)?;
            if quantization.phi.is_some() {
                phi.iter_mut().for_each(|phi| *phi = to_level(phi.clamp(0.0, 1.0), 1.0, quantization.phi));
            }
            let fractions = &mut attended.fractions[index * d..(index + 1) * d];
            self.model.second(&tile, phi, fractions, tally)?;
            add_counted(quantization.output, fractions, &mut attended.output);
        }
        Ok(attended)
    }
}

/// Adds a tile's counters to the output.
fn add_counted(counter: Counter, fractions: &[f64], output: &mut [f64]) {
    for (sum, &fraction) in output.iter_mut().zip(fractions) {
        *sum += counter.value(fraction);
    }
}
