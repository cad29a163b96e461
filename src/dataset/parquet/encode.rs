//! Rows to a data frame, a data frame to bytes.

use std::collections::BTreeSet;

use polars::prelude::*;
use serde_json::json;

use super::SCHEMA;
use crate::dataset::{Manifest, Row, Runtime, Value};
use crate::error::{Error, Kind, Result};

/// The bytes of `points.parquet` for `rows`, which are sorted by index.
///
/// # Errors
/// [`Kind::Internal`] if polars cannot encode them.
pub(in crate::dataset) fn encode_points(manifest: &Manifest, rows: &[&Row]) -> Result<Vec<u8>> {
    to_bytes(manifest, points_frame(manifest, rows)?)
}

/// The bytes of `runtime.parquet` for the runtimes of rows, each with its row's index, sorted by it.
///
/// # Errors
/// [`Kind::Internal`] if polars cannot encode them.
pub(in crate::dataset) fn encode_runtime(manifest: &Manifest, runtimes: &[(u64, &Runtime)]) -> Result<Vec<u8>> {
    let columns = vec![
        Column::new("id".into(), runtimes.iter().map(|(_, r)| r.id.0.as_str()).collect::<Vec<_>>()),
        Column::new("index".into(), runtimes.iter().map(|(index, _)| *index).collect::<Vec<_>>()),
        Column::new("worker".into(), runtimes.iter().map(|(_, r)| r.worker).collect::<Vec<_>>()),
        Column::new("wall_s".into(), runtimes.iter().map(|(_, r)| r.wall_s).collect::<Vec<_>>()),
        Column::new("time_points".into(), runtimes.iter().map(|(_, r)| r.time_points).collect::<Vec<_>>()),
        Column::new("cached".into(), runtimes.iter().map(|(_, r)| r.cached).collect::<Vec<_>>()),
        Column::new("finished_unix_s".into(), runtimes.iter().map(|(_, r)| r.finished_unix_s).collect::<Vec<_>>()),
    ];
    to_bytes(manifest, DataFrame::new(runtimes.len(), columns).map_err(internal)?)
}

/// `rows` as a data frame with the columns that the manifest states.
///
/// # Errors
/// [`Kind::Internal`] if two columns have one name.
pub(in crate::dataset) fn points_frame(manifest: &Manifest, rows: &[&Row]) -> Result<DataFrame> {
    let mut columns = vec![
        Column::new("id".into(), rows.iter().map(|row| row.id.0.as_str()).collect::<Vec<_>>()),
        Column::new("index".into(), rows.iter().map(|row| row.index).collect::<Vec<_>>()),
    ];
    for name in manifest.values.iter().map(|column| column.name.as_str()).collect::<BTreeSet<_>>() {
        let numbers: Vec<Option<f64>> = rows.iter().map(|row| row.values.get(name).copied()).collect();
        columns.push(Column::new(name.into(), numbers));
    }
    for name in manifest.labels.iter().map(String::as_str).collect::<BTreeSet<_>>() {
        let labels: Vec<Option<&str>> = rows.iter().map(|row| row.labels.get(name).map(String::as_str)).collect();
        columns.push(Column::new(name.into(), labels));
    }
    columns.push(Column::new("outcome".into(), rows.iter().map(|row| row.outcome.name()).collect::<Vec<_>>()));
    columns.push(Column::new("tier".into(), rows.iter().map(|row| u32::from(row.tier)).collect::<Vec<_>>()));
    let mut measurements: Vec<_> = manifest.measurements.iter().collect();
    measurements.sort_by_key(|measurement| measurement.name.as_str());
    for measurement in measurements {
        let name = measurement.name.as_str();
        columns.push(match &measurement.curve_at {
            None => {
                let numbers: Vec<Option<f64>> =
                    rows.iter().map(|row| row.measured.get(name).and_then(Value::scalar)).collect();
                Column::new(name.into(), numbers)
            }
            Some(grid) => {
                let mut lists: ListPrimitiveChunkedBuilder<Float64Type> = ListPrimitiveChunkedBuilder::new(
                    name.into(),
                    rows.len(),
                    rows.len() * grid.len(),
                    DataType::Float64,
                );
                for row in rows {
                    lists.append_opt_slice(row.measured.get(name).and_then(Value::curve));
                }
                lists.finish().into_column()
            }
        });
    }
    columns.push(Column::new("message".into(), rows.iter().map(|row| row.message.as_str()).collect::<Vec<_>>()));
    DataFrame::new(rows.len(), columns).map_err(internal)
}

fn to_bytes(manifest: &Manifest, mut frame: DataFrame) -> Result<Vec<u8>> {
    let described = json!({
        "schema": SCHEMA,
        "sweep": manifest.sweep,
        "profile": manifest.profile,
        "sweep_hash": manifest.sweep_hash,
        "decks": manifest.decks,
        "tech": manifest.tech,
        "cell": manifest.cell,
        "simulator": manifest.simulator,
        "seed": manifest.seed,
        "commit": manifest.commit,
        "gaincell": manifest.gaincell,
        "values": manifest.values,
        "labels": manifest.labels,
        "measurements": manifest.measurements,
    });
    let metadata = KeyValueMetadata::from_static(vec![("gaincell".to_string(), described.to_string())]);
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(metadata))
        .finish(&mut frame)
        .map_err(internal)?;
    Ok(bytes)
}

fn internal(error: PolarsError) -> Error {
    Error::new(Kind::Internal, format!("polars cannot write the table: {error}"))
}
