//! Bytes to a data frame, a data frame to rows.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use polars::prelude::*;
use serde::Deserialize;

use super::SCHEMA;
use crate::dataset::{self, Outcome, PointId, Row, Runtime, Value};
use crate::error::{Error, Kind, Problem, Result};

/// What the metadata says of a table's columns; the rest of it is provenance.
#[derive(Deserialize)]
struct Described {
    values: Vec<dataset::Column>,
    labels: Vec<String>,
    measurements: Vec<dataset::MeasuredColumn>,
}

/// The rows of `points.parquet`, in file order; `path` is for messages.
///
/// # Errors
/// [`Kind::DataDamaged`] if it is no table of points or one of another schema version.
pub(in crate::dataset) fn decode_points(path: &Path, bytes: Vec<u8>) -> Result<Vec<Row>> {
    let (frame, described) = from_bytes(path, bytes)?;
    let damaged = |error: PolarsError| damaged(path, format!("the table is damaged: {error}"));
    let mut rows = Vec::with_capacity(frame.height());
    {
        let id = frame.column("id").and_then(|c| c.str()).map_err(damaged)?;
        let index = frame.column("index").and_then(|c| c.u64()).map_err(damaged)?;
        let outcome = frame.column("outcome").and_then(|c| c.str()).map_err(damaged)?;
        let tier = frame.column("tier").and_then(|c| c.u32()).map_err(damaged)?;
        let message = frame.column("message").and_then(|c| c.str()).map_err(damaged)?;
        for i in 0..frame.height() {
            let row = || {
                Some(Row {
                    id: PointId(id.get(i)?.to_string()),
                    index: index.get(i)?,
                    values: BTreeMap::new(),
                    labels: BTreeMap::new(),
                    outcome: Outcome::from_name(outcome.get(i)?)?,
                    tier: u8::try_from(tier.get(i)?).ok()?,
                    measured: BTreeMap::new(),
                    message: message.get(i)?.to_string(),
                })
            };
            rows.push(row().ok_or_else(|| self::damaged(path, format!("row {i} is incomplete")))?);
        }
    }
    for column in &described.values {
        let numbers = frame.column(&column.name).and_then(|c| c.f64()).map_err(damaged)?;
        for (row, number) in rows.iter_mut().zip(numbers.iter()) {
            row.values.extend(number.map(|number| (column.name.clone(), number)));
        }
    }
    for name in &described.labels {
        let labels = frame.column(name).and_then(|c| c.str()).map_err(damaged)?;
        for (row, label) in rows.iter_mut().zip(labels.iter()) {
            row.labels.extend(label.map(|label| (name.clone(), label.to_string())));
        }
    }
    for measurement in &described.measurements {
        let column = frame.column(&measurement.name).map_err(damaged)?;
        let name = &measurement.name;
        if measurement.curve_at.is_none() {
            for (row, number) in rows.iter_mut().zip(column.f64().map_err(damaged)?.iter()) {
                row.measured.extend(number.map(|number| (name.clone(), Value::Scalar(number))));
            }
        } else {
            for (row, list) in rows.iter_mut().zip(column.list().map_err(damaged)?.series_iter()) {
                let Some(list) = list else { continue };
                let curve = list.f64().map_err(damaged)?.iter().collect::<Option<Vec<f64>>>();
                let curve = curve.ok_or_else(|| self::damaged(path, format!("curve `{name}` has a gap")))?;
                row.measured.insert(name.clone(), Value::Curve(curve));
            }
        }
    }
    Ok(rows)
}

/// The lines of `runtime.parquet` with their rows' indices, in file order; `path` is for messages.
///
/// # Errors
/// [`Kind::DataDamaged`] if it is no such table or one of another schema version.
pub(in crate::dataset) fn decode_runtime(path: &Path, bytes: Vec<u8>) -> Result<Vec<(u64, Runtime)>> {
    let (frame, _) = from_bytes(path, bytes)?;
    let damaged = |error: PolarsError| damaged(path, format!("the table is damaged: {error}"));
    let id = frame.column("id").and_then(|c| c.str()).map_err(damaged)?;
    let index = frame.column("index").and_then(|c| c.u64()).map_err(damaged)?;
    let worker = frame.column("worker").and_then(|c| c.u32()).map_err(damaged)?;
    let wall_s = frame.column("wall_s").and_then(|c| c.f64()).map_err(damaged)?;
    let time_points = frame.column("time_points").and_then(|c| c.u64()).map_err(damaged)?;
    let cached = frame.column("cached").and_then(|c| c.bool()).map_err(damaged)?;
    let finished_unix_s = frame.column("finished_unix_s").and_then(|c| c.f64()).map_err(damaged)?;
    let line = |i: usize| {
        let runtime = Runtime {
            id: PointId(id.get(i)?.to_string()),
            worker: worker.get(i)?,
            wall_s: wall_s.get(i)?,
            time_points: time_points.get(i)?,
            cached: cached.get(i)?,
            finished_unix_s: finished_unix_s.get(i)?,
        };
        Some((index.get(i)?, runtime))
    };
    (0..frame.height()).map(|i| line(i).ok_or_else(|| self::damaged(path, format!("line {i} is incomplete")))).collect()
}

fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<(DataFrame, Described)> {
    let refused = |error: PolarsError| damaged(path, format!("not a Parquet table, or damaged: {error}"));
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let metadata = reader.get_metadata().map_err(refused)?;
    let described = (metadata.key_value_metadata().iter().flatten())
        .find(|entry| entry.key == "gaincell")
        .and_then(|entry| serde_json::from_str::<serde_json::Value>(entry.value.as_deref()?).ok())
        .ok_or_else(|| damaged(path, "a Parquet table that gaincell did not write".into()))?;
    match described.get("schema").and_then(serde_json::Value::as_u64) {
        Some(SCHEMA) => {}
        Some(version) => {
            return Err(Problem::new(Kind::DataDamaged, format!("the table has schema version {version}"))
                .file(path)
                .accepted(format!("schema version {SCHEMA}"))
                .help("read it with the gaincell that wrote it, or run the sweep again")
                .into());
        }
        None => return Err(damaged(path, "the table has no schema version".into())),
    }
    let described = serde_json::from_value(described)
        .map_err(|error| damaged(path, format!("the table's description is damaged: {error}")))?;
    Ok((reader.finish().map_err(refused)?, described))
}

fn damaged(path: &Path, message: String) -> Error {
    Problem::new(Kind::DataDamaged, message)
        .file(path)
        .help("run the sweep again: rows that are in the journal or the store are not simulated twice")
        .into()
}
