//! The published cell models: a polynomial in y = V - V_zero, with one decay constant.
//!
//! N. Leroux et al., *Analog in-memory computing attention mechanism for fast and energy-efficient large language
//! models*, Nature Computational Science 5, 813-824 (2025), doi 10.1038/s43588-025-00854-1:
//! `S = sum_d Q_d p(y_d)`, `phi = clip(S / S_sat, 0, 1)`, `A = sum_j phi_j p(y_j)`, output `clip(A / A_sat, -1, 1)`.

use super::fidelity::{Fidelity, Tile};
use super::options::{Decay, Options};
use crate::error::Result;
use crate::lut::Tally;

/// C_ij of p(V) = sum over i + j <= 3 of C_ij y^i V_in^j, i outer, j inner.
const CELL: [&[f64]; 4] = [
    &[0.17393044, 0.15653739, 0.14088365, 0.12679529],
    &[5.51975209, 4.96777688, 4.4709992],
    &[-1.44776001, -1.30298401],
    &[46.05483778],
];
/// Amplitude of the published word-line pulses [V].
const V_IN_V: f64 = 0.9;
/// Slope of the linear model that replaces the cubic one [1/V].
const LINEAR_SLOPE: f64 = 19.3;

/// Coefficients c_i of the published cubic p = sum_i c_i y^i at V_in = 0.9 V.
pub fn cubic() -> [f64; 4] {
    CELL.map(|row| row.iter().rev().fold(0.0, |sum, c| sum * V_IN_V + c))
}

/// Coefficients of the published linear model.
pub fn linear() -> [f64; 4] {
    [0.0, LINEAR_SLOPE, 0.0, 0.0]
}

/// `x` rounded to bfloat16 (8 bits of mantissa), ties to even.
fn to_bfloat16(x: f64) -> f64 {
    let bits = (x as f32).to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f64::from(f32::from_bits(rounded))
}

/// A published model, with the polynomial of every age worked out.
#[derive(Debug, Clone)]
pub struct Published {
    name: &'static str,
    v_zero_v: f64,
    s_sat: f64,
    a_sat: f64,
    /// Coefficients by age.
    by_age: Vec<[f64; 4]>,
}

impl Published {
    /// The polynomial `coefficients` with the options' decay, scale and window.
    pub fn new(name: &'static str, coefficients: [f64; 4], options: &Options) -> Self {
        let by_age = (0..options.window)
            .map(|age| {
                let exact = (-options.lambda * age as f64).exp();
                let factors = match options.decay {
                    Decay::None => [1.0; 4],
                    Decay::WholeProduct => [exact; 4],
                    Decay::ByOrder => powers(exact),
                    Decay::ByOrderBfloat16 => powers(to_bfloat16(exact)),
                };
                [0, 1, 2, 3].map(|i| coefficients[i] * factors[i])
            })
            .collect();
        Published { name, v_zero_v: options.v_zero_v, s_sat: options.s_sat, a_sat: options.a_sat, by_age }
    }

    #[inline]
    fn weight(&self, v: f64, age: usize) -> f64 {
        let (c, y) = (&self.by_age[age], v - self.v_zero_v);
        c[0] + y * (c[1] + y * (c[2] + y * c[3]))
    }
}

fn powers(a: f64) -> [f64; 4] {
    [1.0, a, a * a, a * a * a]
}

impl Fidelity for Published {
    fn name(&self) -> &str {
        self.name
    }

    fn first(&self, tile: &Tile<'_>, q: &[f64], s: &mut [f64], phi: &mut [f64], _: &mut Tally) -> Result<()> {
        for (slot, keys) in tile.k_v.chunks_exact(tile.d).enumerate() {
            let age = tile.ages[slot];
            s[slot] = keys.iter().zip(q).map(|(&k, q)| q * self.weight(k, age)).sum();
            phi[slot] = (s[slot] / self.s_sat).clamp(0.0, 1.0);
        }
        Ok(())
    }

    fn second(&self, tile: &Tile<'_>, phi: &[f64], output: &mut [f64], _: &mut Tally) -> Result<()> {
        output.fill(0.0);
        for (slot, values) in tile.v_v.chunks_exact(tile.d).enumerate() {
            if phi[slot] == 0.0 {
                continue;
            }
            for (a, &v) in output.iter_mut().zip(values) {
                *a += phi[slot] * self.weight(v, tile.ages[slot]);
            }
        }
        output.iter_mut().for_each(|a| *a = (*a / self.a_sat).clamp(-1.0, 1.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The published sum over V_in, as the paper's authors print it.
    #[test]
    fn the_cubic_is_the_published_one_at_its_amplitude() {
        let printed = [0.52136361, 13.61226063, -2.62044562, 46.05483778];
        for (c, printed) in cubic().into_iter().zip(printed) {
            assert!((c - printed).abs() < 1e-8, "{c} against {printed}");
        }
    }

    #[test]
    fn the_decay_table_has_forty_values_in_bfloat16() {
        let table: BTreeSet<u64> =
            (0..1024).map(|age| to_bfloat16((-1.6e-4 * f64::from(age)).exp()).to_bits()).collect();
        assert_eq!(table.len(), 40);
        assert_eq!(to_bfloat16(1.0), 1.0);
    }
}
