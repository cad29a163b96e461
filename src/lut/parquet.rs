//! `table.parquet`: the grids in long format, one row a grid point, for programs that read tables rather than JSON.
//!
//! Columns: `quantity` (dotted key, as in `cell.charge_c`), `name`, `unit`, then for each of three axes `axis_k` (its
//! name), `axis_k_unit` and `x_k`, null where the quantity has fewer axes, and `value`. The file's metadata hold
//! `gaincell.schema` and `gaincell.content_hash`, the hash of the `table.json` beside it.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use polars::prelude::*;

use super::grid::{Axis, Grid};
use super::table::{SCHEMA, Table};
use crate::error::{Error, Kind, Problem, Result};

/// Name of the file in `results/luts/<name>/`.
pub const PARQUET_NAME: &str = "table.parquet";
const AXES: usize = 3;
const HASH_KEY: &str = "gaincell.content_hash";
const SCHEMA_KEY: &str = "gaincell.schema";

/// Writes `folder/table.parquet` atomically. The table must have its hash, as after [`Table::write_json`].
pub fn write_parquet(table: &Table, folder: &Path) -> Result<()> {
    let internal = |error: PolarsError| Error::new(Kind::Internal, format!("polars cannot write the table: {error}"));
    let mut frame = to_frame(&table.grids()).map_err(internal)?;
    let metadata = KeyValueMetadata::from_static(vec![
        (SCHEMA_KEY.to_string(), SCHEMA.to_string()),
        (HASH_KEY.to_string(), table.content_hash.clone()),
    ]);
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(metadata))
        .finish(&mut frame)
        .map_err(internal)?;
    let path = folder.join(PARQUET_NAME);
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = atomic_write_file::AtomicWriteFile::open(&path)?;
        file.write_all(&bytes)?;
        file.commit()
    };
    write().map_err(|error| Error::io(&path, "write the table", error))
}

fn to_frame(grids: &[(String, &Grid)]) -> PolarsResult<DataFrame> {
    let points: Vec<(&str, &Grid, usize)> =
        grids.iter().flat_map(|(key, grid)| (0..grid.values.len()).map(move |at| (key.as_str(), *grid, at))).collect();
    let text = |of: fn(&Grid) -> &str| points.iter().map(|(_, grid, _)| of(grid)).collect::<Vec<&str>>();
    let mut columns = vec![
        Column::new("quantity".into(), points.iter().map(|(key, ..)| *key).collect::<Vec<_>>()),
        Column::new("name".into(), text(|grid| &grid.name)),
        Column::new("unit".into(), text(|grid| &grid.unit)),
    ];
    for k in 0..AXES {
        let axis = |of: fn(&Axis) -> &str| -> Vec<Option<&str>> {
            points.iter().map(|(_, grid, _)| grid.axes.get(k).map(of)).collect()
        };
        let nodes: Vec<Option<f64>> = points.iter().map(|(_, grid, at)| grid.point(*at).get(k).copied()).collect();
        columns.push(Column::new(format!("axis_{k}").into(), axis(|axis| &axis.name)));
        columns.push(Column::new(format!("axis_{k}_unit").into(), axis(|axis| &axis.unit)));
        columns.push(Column::new(format!("x_{k}").into(), nodes));
    }
    let values: Vec<f64> = points.iter().map(|(_, grid, at)| grid.values[*at]).collect();
    columns.push(Column::new("value".into(), values));
    DataFrame::new(points.len(), columns)
}

/// Reads the grids of `path` (the file, or its folder) by dotted key, in the order of the file, and the hash of the table
/// that they belong to.
///
/// Errors: [`Kind::Io`]; [`Kind::TableInvalid`] for another schema, or rows that do not make complete grids.
pub fn read_grids(path: &Path) -> Result<(Vec<(String, Grid)>, String)> {
    let path = if path.is_dir() { path.join(PARQUET_NAME) } else { path.to_path_buf() };
    let bytes = fs::read(&path).map_err(|error| Error::io(&path, "read the table", error))?;
    let invalid = |message: String| -> Error { Problem::new(Kind::TableInvalid, message).file(&path).into() };
    let damaged = |error: PolarsError| invalid(format!("not a Parquet table, or damaged: {error}"));
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let metadata = reader.get_metadata().map_err(damaged)?;
    let entry = |key: &str| -> Option<String> {
        metadata
            .key_value_metadata()
            .iter()
            .flatten()
            .find(|entry| entry.key == key)?
            .value
            .as_deref()
            .map(String::from)
    };
    let (schema, hash) = (entry(SCHEMA_KEY), entry(HASH_KEY));
    if schema.as_deref() != Some(SCHEMA.to_string().as_str()) {
        let found = schema.unwrap_or_else(|| "none".into());
        return Err(invalid(format!("schema {found} is not read by this version, which reads {SCHEMA}")));
    }
    let hash = hash.ok_or_else(|| invalid("the table's hash is missing".into()))?;
    let frame = reader.finish().map_err(damaged)?;
    let grids = from_frame(&frame).map_err(damaged)?;
    for (key, grid) in &grids {
        let names: Vec<&str> = grid.axes.iter().map(|axis| axis.name.as_str()).collect();
        let mut problems = Vec::new();
        grid.check(key, &names, &mut problems);
        if let Some(error) = Error::collect(problems) {
            return Err(super::file::in_file(error, &path));
        }
    }
    Ok((grids, hash))
}

fn from_frame(frame: &DataFrame) -> PolarsResult<Vec<(String, Grid)>> {
    let text = |name: &str| frame.column(name)?.str().cloned();
    let number = |name: &str| frame.column(name)?.f64().cloned();
    let (quantities, names, units, values) = (text("quantity")?, text("name")?, text("unit")?, number("value")?);
    let mut axes = Vec::new();
    for k in 0..AXES {
        axes.push((text(&format!("axis_{k}"))?, text(&format!("axis_{k}_unit"))?, number(&format!("x_{k}"))?));
    }
    let mut grids: Vec<(String, Grid)> = Vec::new();
    for at in 0..frame.height() {
        let key = quantities.get(at).unwrap_or_default();
        if grids.last().is_none_or(|(last, _)| last != key) {
            let axes = axes
                .iter()
                .filter_map(|(name, unit, _)| Some(Axis::new(name.get(at)?, unit.get(at)?, Vec::new())))
                .collect();
            let (name, unit) = (names.get(at).unwrap_or_default(), units.get(at).unwrap_or_default());
            grids.push((key.to_string(), Grid::new(name, unit, axes, Vec::new())));
        }
        if let Some((_, grid)) = grids.last_mut() {
            grid.values.push(values.get(at).unwrap_or(f64::NAN));
            for (axis, (_, _, nodes)) in grid.axes.iter_mut().zip(&axes) {
                let node = nodes.get(at).unwrap_or(f64::NAN);
                // Rows come in the grid's own order, so each axis shows its nodes in ascending order at first.
                if axis.values.last().is_none_or(|last| node > *last) {
                    axis.values.push(node);
                }
            }
        }
    }
    Ok(grids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::synthetic;

    #[test]
    fn grids_come_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = synthetic::table().unwrap();
        table.write_json(folder.path()).unwrap();
        write_parquet(&table, folder.path()).unwrap();
        let (grids, hash) = read_grids(folder.path()).unwrap();
        assert_eq!(hash, table.content_hash);
        let written = table.grids();
        assert_eq!(grids.len(), written.len());
        for ((key, grid), (expected_key, expected)) in grids.iter().zip(written) {
            assert_eq!((key, grid), (&expected_key, expected));
        }
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(PARQUET_NAME), b"PAR1 no table PAR1").unwrap();
        assert_eq!(read_grids(folder.path()).unwrap_err().kind(), Kind::TableInvalid);
    }
}
