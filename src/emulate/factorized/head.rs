//! One head, token after token.

use super::engine::{Factorized, Work};
use super::store::Store;
use crate::error::{Error, Kind, Problem, Result};

/// Excess over a range that is rounding of single precision, and clipped; beyond it a value is refused.
const RANGE_SLACK: f64 = 1e-6;

/// One head of a [`Factorized`] array: a ring buffer of tokens.
///
/// ```
/// use gaincell::emulate::{Factorized, FactorizedHead, Level, Options, TableModel};
/// # fn main() -> gaincell::Result<()> {
/// let table = gaincell::lut::synthetic::table()?;
/// let options = Options { level: Level::Table, window: 128, ..Options::default() };
/// let model = TableModel::new(&table, &options, Vec::new())?;
/// let array = Factorized::new(&model, &options, 64).expect("the synthetic table can be taken apart");
/// let mut head = FactorizedHead::new(&array);
/// let (mut output, token) = (vec![0.0; 64], vec![0.6f32; 64]);
/// for _ in 0..3 {
///     head.write(&token, &token)?;
///     head.attend(&token, &mut output)?;
/// }
/// assert!(output.iter().all(|x| (0.0..=2.0).contains(x)));
/// # Ok(())
/// # }
/// ```
pub struct FactorizedHead<'a> {
    array: &'a Factorized,
    store: Store,
    work: Work,
    tokens: usize,
}

impl<'a> FactorizedHead<'a> {
    /// An empty head.
    pub fn new(array: &'a Factorized) -> Self {
        FactorizedHead::numbered(array, 0)
    }

    /// An empty head with the die and the noise of head `head`; the nominal cells if the array has no such die.
    pub fn numbered(array: &'a Factorized, head: usize) -> Self {
        FactorizedHead { array, store: array.store(head), work: Work::default(), tokens: 0 }
    }

    /// Writes the next token's K and V (d each) [V] over the oldest slot, at the converters' levels.
    ///
    /// Errors: [`Kind::BadInput`] for another length, NaN, or a voltage outside [0, vdd].
    pub fn write(&mut self, k_v: &[f32], v_v: &[f32]) -> Result<()> {
        let (k_v, v_v) = (self.checked("K", k_v, self.array.vdd_v)?, self.checked("V", v_v, self.array.vdd_v)?);
        self.array.write(&mut self.store, self.tokens, k_v, v_v, &mut self.work);
        self.tokens += 1;
        Ok(())
    }

    /// Slots that hold a token.
    pub fn occupied(&self) -> usize {
        self.tokens.min(self.array.window())
    }

    /// Bytes that the codes of its cells take; they do not grow with the tokens.
    pub fn bytes(&self) -> usize {
        self.store.keys.capacity() + self.store.values.capacity()
    }

    /// Attends to the stored tokens with `q` (d) in [0, 1]; writes the sum of the tiles' counts to `output` (d).
    ///
    /// Errors: [`Kind::BadInput`] for another length, NaN, a query outside [0, 1], or a head that holds no token.
    pub fn attend(&mut self, q: &[f32], output: &mut [f32]) -> Result<()> {
        let q = self.checked("Q", q, 1.0)?;
        if self.tokens == 0 || output.len() != self.array.d {
            let message = format!("{} tokens are stored, and the output has room for {}", self.tokens, output.len());
            return Err(Problem::new(Kind::BadInput, message)
                .accepted(format!("at least one token, and {} numbers", self.array.d))
                .into());
        }
        self.array.attend(&self.store, self.tokens - 1, q, &mut self.work, None);
        let step = self.array.step as f32;
        output.iter_mut().zip(&self.work.counts).for_each(|(to, count)| *to = count * step);
        Ok(())
    }

    fn checked<'x>(&self, name: &str, x: &'x [f32], full: f64) -> Result<&'x [f32]> {
        let d = self.array.d;
        if x.len() != d {
            let problem = Problem::new(Kind::BadInput, format!("{} numbers", x.len())).key(name);
            return Err(problem.accepted(format!("{d}, the head's dimension")).into());
        }
        let (low, high) = ((-RANGE_SLACK * full) as f32, (full * (1.0 + RANGE_SLACK)) as f32);
        match x.iter().position(|x| !(low..=high).contains(x)) {
            None => Ok(x),
            Some(at) => {
                let problem = Problem::new(Kind::BadInput, format!("element {at} is {}", x[at])).key(name);
                Err(Error::from(problem.accepted(format!("finite numbers from 0 to {full}"))))
            }
        }
    }
}
