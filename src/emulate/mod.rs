//! In-memory attention, computed with a lookup table or with the published models instead of a circuit.
//!
//! A token's K and V are written into a ring buffer of M slots: token t into slot t mod M, which lies in tile
//! slot div 64, with an age of the tokens since. A query's Q drives the K arrays; each column's charge becomes a pulse
//! phi; these pulses drive the V arrays; each of their columns' charges becomes a signed pulse, a counter counts it, and the
//! tiles' counts are added:
//!
//! ```text
//! S_j = sum_d Q_d p(K_jd, age_j)    phi_j = clip(S_j / S_sat, 0, 1)    output_d = sum_tiles clip(sum_j phi_j p(V_jd, age_j) / A_sat, -1, 1)
//! ```
//!
//! Everything between a driven level and a pulse is a [`Fidelity`]: [`Published`] polynomials with their decay conventions,
//! or the [`TableModel`] of a characterized cell, nominal or for one [`Die`]. Causal softmax attention is the ideal beside
//! them. A table is evaluated cell by cell, or taken apart into sums of integers ([`Factorized`]). [`run`] takes whole batches, [`emulate_file`] `.npz` files, [`Head`] one token at a time.

mod array;
mod attention;
mod column;
mod die;
mod factorized;
mod fidelity;
mod head;
mod npz;
mod options;
mod published;
mod quantize;
mod softmax;
mod stuck;

pub use array::TableModel;
pub use attention::{Inputs, Outputs, run, run_with};
pub use column::{Converter, LineSums, Reading, Swing};
pub use die::{Array, CellSpread, Die, Draws, Extent, Place, cell_instance, readout_instance};
pub use factorized::{Factorized, FactorizedHead, Isa, Refusal};
pub use fidelity::{Fidelity, Tile};
pub use head::{Attended, Head, HeadShape};
pub use npz::{Summary, emulate_file, read_inputs, write_outputs};
pub use options::{Counter, Decay, DieSeed, Evaluation, Level, Noise, Options, Physics, Quantization};
pub use published::{Published, cubic, linear};
pub use quantize::{level_code, to_level};
pub use stuck::StuckCell;
