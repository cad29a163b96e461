//! Rows to Parquet bytes and back.
//!
//! A table is self-describing: its key-value metadata holds, under `gaincell`, the run's provenance and which column
//! plays which part. Columns stand in a fixed order: id, index, values, labels, outcome, tier, measurements, message;
//! each group sorted by name. Nothing in the bytes depends on the order in which rows arrived, on time or on threads.
//! Absent values are null; curves are lists.

#[cfg(any(test, not(feature = "dataset")))]
use super::{Row, Runtime};
#[cfg(not(feature = "dataset"))]
use crate::{dataset::Manifest, error::Result};

/// Name of the table of points in a run's directory.
pub(super) const POINTS: &str = "points.parquet";
/// Name of the table of what is not reproducible.
pub(super) const RUNTIME: &str = "runtime.parquet";

/// Version of both tables' layout.
#[cfg(feature = "dataset")]
pub(super) const SCHEMA: u64 = 1;

#[cfg(feature = "dataset")]
mod decode;
#[cfg(feature = "dataset")]
mod encode;

#[cfg(feature = "dataset")]
pub(super) use decode::{decode_points, decode_runtime};
#[cfg(feature = "dataset")]
pub(super) use encode::{encode_points, encode_runtime, points_frame};

/// The bytes of `points.parquet`.
#[cfg(not(feature = "dataset"))]
pub(super) fn encode_points(_manifest: &Manifest, _rows: &[&Row]) -> Result<Vec<u8>> {
    Err(missing("write"))
}

/// The bytes of `runtime.parquet`.
#[cfg(not(feature = "dataset"))]
pub(super) fn encode_runtime(_manifest: &Manifest, _runtimes: &[(u64, &Runtime)]) -> Result<Vec<u8>> {
    Err(missing("write"))
}

/// The rows of `points.parquet`, in file order.
#[cfg(not(feature = "dataset"))]
pub(super) fn decode_points(_path: &std::path::Path, _bytes: Vec<u8>) -> Result<Vec<Row>> {
    Err(missing("read"))
}

/// The lines of `runtime.parquet` with their rows' indices, in file order.
#[cfg(not(feature = "dataset"))]
pub(super) fn decode_runtime(_path: &std::path::Path, _bytes: Vec<u8>) -> Result<Vec<(u64, Runtime)>> {
    Err(missing("read"))
}

#[cfg(not(feature = "dataset"))]
fn missing(doing: &str) -> crate::Error {
    super::feature_missing(&format!("{doing} Parquet"))
}

#[cfg(all(test, feature = "dataset"))]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::samples::{any_row, exactly, manifest, row, runtime};
    use super::*;
    use crate::error::Kind;

    fn back(rows: &[Row]) -> Vec<Row> {
        let rows: Vec<&Row> = rows.iter().collect();
        decode_points(Path::new("points.parquet"), encode_points(&manifest(), &rows).unwrap()).unwrap()
    }

    #[test]
    fn rows_come_back_with_and_without_any() {
        let rows: Vec<Row> = (0..1000).map(row).collect();
        assert_eq!(back(&rows), rows);
        assert_eq!(back(&[]), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_bit_of_every_row_comes_back(rows in (0..6u64).prop_flat_map(|n| (0..n).map(any_row).collect::<Vec<_>>())) {
            prop_assert_eq!(exactly(&back(&rows)), exactly(&rows));
        }
    }

    #[test]
    fn nan_and_negative_zero_keep_their_bits() {
        let numbers =
            [0.0, -0.0, f64::NAN, -f64::NAN, 0.0, f64::from_bits(0x7ff0_0000_dead_beef), f64::MIN_POSITIVE / 8.0];
        let rows: Vec<Row> = (0..numbers.len() as u64)
            .map(|i| Row { values: [("v_in_v".to_string(), numbers[i as usize])].into(), ..row(i) })
            .collect();
        let bits: Vec<u64> = back(&rows).iter().map(|row| row.values["v_in_v"].to_bits()).collect();
        assert_eq!(bits, numbers.map(f64::to_bits));
    }

    #[test]
    fn runtimes_come_back() {
        let all: Vec<Runtime> = (0..10).map(runtime).collect();
        let pairs: Vec<(u64, &Runtime)> = all.iter().enumerate().map(|(i, runtime)| (i as u64, runtime)).collect();
        let bytes = encode_runtime(&manifest(), &pairs).unwrap();
        let found = decode_runtime(Path::new("runtime.parquet"), bytes).unwrap();
        assert!(found.iter().map(|(index, runtime)| (*index, runtime)).eq(pairs));
    }

    #[test]
    fn bytes_that_are_no_table_and_other_schema_versions_are_refused() {
        let path = Path::new("points.parquet");
        assert_eq!(decode_points(path, b"PAR1 not really PAR1".to_vec()).unwrap_err().kind(), Kind::DataDamaged);
        let rows = [row(0)];
        let bytes = encode_points(&manifest(), &[&rows[0]]).unwrap();
        let needle = br#"{"schema":1,"#;
        let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        let mut newer = bytes.clone();
        newer[at + needle.len() - 2] = b'3';
        let error = decode_points(path, newer).unwrap_err();
        assert_eq!(error.kind(), Kind::DataDamaged);
        assert!(error.to_string().contains("schema version 3"), "{error}");
    }
}
