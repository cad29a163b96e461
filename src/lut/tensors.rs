//! The grids as arrays for array programs: `table.npz` for NumPy, `table.safetensors` for PyTorch, JAX and others.
//!
//! Both hold the same float64 arrays: every grid under its dotted key (`cell.charge_c`), shaped by its axes in C order, and every
//! axis under the key with the axis' name behind it (`cell.charge_c.v_store_v`). Units, models, validity and provenance are in
//! `table.json`; its content hash is in the safetensors' metadata.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use npyz::zip::write::FileOptions;
use safetensors::tensor::{Dtype, TensorView};

use super::table::Table;
use crate::error::{Error, Kind, Result};

/// Name of NumPy's file in `results/luts/<name>/`.
pub const NPZ_NAME: &str = "table.npz";
/// Name of the safetensors file there.
pub const SAFETENSORS_NAME: &str = "table.safetensors";

/// Arrays by name, each with its shape.
fn arrays(table: &Table) -> Vec<(String, Vec<usize>, Vec<f64>)> {
    let mut found = Vec::new();
    for (key, grid) in table.grids() {
        let shape = grid.axes.iter().map(|axis| axis.values.len()).collect();
        found.push((key.clone(), shape, grid.values.clone()));
        let axis = |axis: &super::Axis| (format!("{key}.{}", axis.name), vec![axis.values.len()], axis.values.clone());
        found.extend(grid.axes.iter().map(axis));
    }
    found
}

/// Writes both files into `folder`, atomically; equal tables give equal bytes. The table must have its hash, as after
/// [`Table::write_json`].
///
/// # Errors
/// [`Kind::Io`].
pub fn write_tensors(table: &Table, folder: &Path) -> Result<()> {
    let arrays = arrays(table);
    let path = folder.join(NPZ_NAME);
    let write = || -> io::Result<()> {
        let mut archive = NpzWriter::new(BufWriter::new(AtomicWriteFile::open(&path)?));
        for (name, shape, values) in &arrays {
            let options = FileOptions::default()
                .compression_method(npyz::zip::CompressionMethod::Stored)
                // Not the time of day.
                .last_modified_time(npyz::zip::DateTime::default());
            let shape: Vec<u64> = shape.iter().map(|n| *n as u64).collect();
            let mut array = archive.array::<f64>(name, options)?.default_dtype().shape(&shape).begin_nd()?;
            array.extend(values.iter().copied())?;
            array.finish()?;
        }
        let mut buffered = archive.zip_writer().finish().map_err(io::Error::other)?;
        buffered.flush()?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?.commit()
    };
    write().map_err(|error| Error::io(&path, "write the table", error))?;

    let path = folder.join(SAFETENSORS_NAME);
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(.., values)| values.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let internal = |error| Error::new(Kind::Internal, format!("the table's tensors cannot be encoded: {error}"));
    let mut views = Vec::new();
    for ((name, shape, _), bytes) in arrays.iter().zip(&bytes) {
        views.push((name.as_str(), TensorView::new(Dtype::F64, shape.clone(), bytes).map_err(internal)?));
    }
    let metadata = HashMap::from([("content_hash".to_string(), table.content_hash.clone())]);
    let encoded = safetensors::serialize(views, Some(metadata)).map_err(internal)?;
    let write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(&path)?;
        file.write_all(&encoded)?;
        file.commit()
    };
    write().map_err(|error| Error::io(&path, "write the table", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::synthetic;

    #[test]
    fn both_files_hold_every_grid_and_every_axis() {
        let table = synthetic::table().unwrap();
        let dir = tempfile::tempdir().unwrap();
        write_tensors(&table, dir.path()).unwrap();
        let mut archive = npyz::npz::NpzArchive::open(dir.path().join(NPZ_NAME)).unwrap();
        let bytes = std::fs::read(dir.path().join(SAFETENSORS_NAME)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let grids = table.grids();
        assert_eq!(tensors.len(), grids.iter().map(|(_, grid)| 1 + grid.axes.len()).sum::<usize>());
        for (key, grid) in grids {
            let array = archive.by_name(&key).unwrap().unwrap();
            let shape: Vec<u64> = grid.axes.iter().map(|axis| axis.values.len() as u64).collect();
            assert_eq!(array.shape(), shape);
            assert_eq!(array.into_vec::<f64>().unwrap(), grid.values);
            let tensor = tensors.tensor(&key).unwrap();
            let values: Vec<f64> =
                tensor.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
            assert_eq!(values, grid.values);
            for axis in &grid.axes {
                let array = archive.by_name(&format!("{key}.{}", axis.name)).unwrap().unwrap();
                assert_eq!(array.into_vec::<f64>().unwrap(), axis.values);
            }
        }
    }
}
