//! The table as models for circuit simulators: a file of ngspice subcircuits and one of Verilog-A modules.
//!
//! Cells keep their ports, so that they take the place of the transistors in a bench: `<cell>_k` with the charge of the K
//! array's pulses, `<cell>_v` with that of pulses that a converter drives, `<cell>_hold` beside either where leakage counts.
//! With x = V(wlr) / vdd the bit line gives
//!
//! ```text
//! I(bl) = x [ I(V) + G(V) (V(bl) - V_pre) + 3 (1 - x) e(V) / t_edge ]
//! ```
//!
//! with current, conductance and edge charge of the table (`cell`, `cell_v`); x (1 - x) integrates to t_edge / 6 over an edge, so
//! a pulse of width T at half swing takes I T + e. A converter is its two lines: charge over current is time.
//!
//! Left out: what pulses below a nanosecond differ from that line (`residual_c`), currents into the word lines, the converters'
//! knees (below 0.1 ns) and their delay, which the output enable's lag cancels in the circuit.

mod numbers;
mod spice;
mod verilog_a;

use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;

use super::Table;
use crate::error::{Error, Result};

pub use numbers::Behavioural;

/// Name of the file of ngspice subcircuits in `results/luts/<name>/`.
pub const SPICE_NAME: &str = "behavioural.sub";
/// Name of the file of Verilog-A modules there.
pub const VERILOG_A_NAME: &str = "behavioural.va";

/// Writes both files into `folder`, atomically, and says where. The table must have its hash, as after [`Table::write_json`].
///
/// # Errors
/// [`crate::error::Kind::TableInvalid`] if a converter has no straight part; [`crate::error::Kind::Io`].
pub fn write_behavioural(table: &Table, folder: &Path) -> Result<[PathBuf; 2]> {
    let model = Behavioural::new(table)?;
    let files = [(SPICE_NAME, model.spice()), (VERILOG_A_NAME, model.verilog_a())];
    for (name, text) in &files {
        let path = folder.join(name);
        let write = || -> std::io::Result<()> {
            let mut file = AtomicWriteFile::open(&path)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.commit()
        };
        write().map_err(|error| Error::io(&path, "write the model", error))?;
    }
    Ok(files.map(|(name, _)| folder.join(name)))
}
