//! Arrays from and to NumPy's `.npz`, the emulator's files.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use npyz::npz::{NpzArchive, NpzWriter};
use npyz::zip::write::FileOptions;
use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};

use super::attention::{Inputs, Outputs, run};
use super::options::Options;
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::{Table, Tally};

/// What an emulation of a file did.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// batch, tokens, d.
    pub shape: [usize; 3],
    /// Slots of the window that were used: the last dimension of `S` and `phi_S`.
    pub slots: usize,
    /// Share of the causal (query, token) pairs whose phi is within (0.05, 0.95).
    pub fraction_linear: f64,
    /// What was clamped to the table's validity.
    pub clamped: Tally,
}

/// Reads `Q`, `K`, `V` from `input`, emulates, writes `S`, `phi_S`, `output` to `out`, atomically.
pub fn emulate_file(input: &Path, out: &Path, options: &Options, table: Option<&Table>) -> Result<Summary> {
    let inputs = read_inputs(input)?;
    let outputs = run(inputs, options, table).map_err(|error| match error.kind() {
        Kind::BadInput => {
            let problems = error.problems().iter().cloned().map(|problem| problem.file(input)).collect();
            Error::collect(problems).unwrap_or(error)
        }
        _ => error,
    })?;
    write_outputs(out, &outputs)?;
    let [batch, tokens, _] = outputs.shape;
    let pairs: usize = (1..=tokens).map(|seen| seen.min(outputs.slots)).sum::<usize>() * batch;
    let linear = outputs.phi.iter().filter(|phi| (0.05..=0.95).contains(*phi)).count();
    Ok(Summary {
        shape: outputs.shape,
        slots: outputs.slots,
        fraction_linear: linear as f64 / pairs as f64,
        clamped: outputs.clamped,
    })
}

/// Reads the three arrays, of one shape (batch, tokens, d), C order, float32 or float64. Ranges are checked by
/// [`Inputs::checked`].
///
/// Errors: [`Kind::Io`]; [`Kind::BadInput`] for a file that is no `.npz`, a missing array, a wrong type, order or shape.
pub fn read_inputs(path: &Path) -> Result<Inputs> {
    let file = File::open(path).map_err(|error| Error::io(path, "read the arrays", error))?;
    let bad = |message: String| Problem::new(Kind::BadInput, message).file(path);
    let mut archive = NpzArchive::new(BufReader::new(file))
        .map_err(|error| bad(format!("not an .npz archive: {error}")).help("write it with numpy.savez"))?;
    let mut names: Vec<String> = archive.array_names().map(str::to_string).collect();
    names.sort();
    let mut arrays = Vec::with_capacity(3);
    for name in ["Q", "K", "V"] {
        let array = archive
            .by_name(name)
            .map_err(|error| bad(format!("damaged: {error}")).key(name))?
            .ok_or_else(|| bad(format!("there is no such array, only [{}]", names.join(", "))).key(name))?;
        arrays.push(read_array(array, &|message| bad(message).key(name))?);
    }
    let shape = arrays[0].0;
    for (name, (other, _)) in ["K", "V"].into_iter().zip(&arrays[1..]) {
        if *other != shape {
            let message = format!(
                "its shape is {}, that of Q {}",
                tuple(other.map(|n| n as u64)),
                tuple(shape.map(|n| n as u64))
            );
            return Err(bad(message).key(name).into());
        }
    }
    let [q, k, v] = [0, 1, 2].map(|at| std::mem::take(&mut arrays[at].1));
    Ok(Inputs { shape, q, k, v })
}

fn read_array<R: Read>(array: NpyFile<R>, bad: &dyn Fn(String) -> Problem) -> Result<([usize; 3], Vec<f64>)> {
    let dims = array.shape().to_vec();
    let shape: [usize; 3] = match dims.as_slice() {
        [batch, tokens, d] => [*batch as usize, *tokens as usize, *d as usize],
        _ => return Err(bad(format!("its shape is {}", tuple(dims))).accepted("(batch, tokens, d)").into()),
    };
    if array.order() != Order::C {
        return Err(bad("it is in Fortran order".into()).accepted("C order").help("numpy.ascontiguousarray").into());
    }
    let damaged = |error: io::Error| bad(format!("damaged: {error}"));
    let values = match array.dtype() {
        DType::Plain(kind) if kind.type_char() == TypeChar::Float && kind.size_field() == 8 => {
            array.into_vec::<f64>().map_err(damaged)?
        }
        DType::Plain(kind) if kind.type_char() == TypeChar::Float && kind.size_field() == 4 => {
            array.into_vec::<f32>().map_err(damaged)?.into_iter().map(f64::from).collect()
        }
        other => return Err(bad(format!("its type is {}", other.descr())).accepted("float32 or float64").into()),
    };
    if values.len() != shape.iter().product::<usize>() {
        return Err(bad(format!("it has {} elements of {}", values.len(), tuple(shape.map(|n| n as u64)))).into());
    }
    Ok((shape, values))
}

fn tuple(shape: impl AsRef<[u64]>) -> String {
    let numbers: Vec<String> = shape.as_ref().iter().map(u64::to_string).collect();
    format!("({})", numbers.join(", "))
}

/// Writes `S`, `phi_S` and `output` as float64, C order, uncompressed; equal outputs give equal bytes.
pub fn write_outputs(path: &Path, outputs: &Outputs) -> Result<()> {
    let [batch, tokens, d] = outputs.shape.map(|n| n as u64);
    let slots = outputs.slots as u64;
    let write = || -> io::Result<()> {
        let mut archive = NpzWriter::new(BufWriter::new(AtomicWriteFile::open(path)?));
        for (name, values, last) in
            [("S", &outputs.s, slots), ("phi_S", &outputs.phi, slots), ("output", &outputs.output, d)]
        {
            let options = FileOptions::default()
                .compression_method(npyz::zip::CompressionMethod::Stored)
                // Not the time of day.
                .last_modified_time(npyz::zip::DateTime::default())
                .large_file(values.len() as u64 * 8 > u64::from(u32::MAX) - 4096);
            let mut array =
                archive.array::<f64>(name, options)?.default_dtype().shape(&[batch, tokens, last]).begin_nd()?;
            array.extend(values.iter().copied())?;
            array.finish()?;
        }
        let mut buffered = archive.zip_writer().finish().map_err(io::Error::other)?;
        buffered.flush()?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?.commit()
    };
    write().map_err(|error| Error::io(path, "write the arrays", error))
}
