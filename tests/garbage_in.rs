//! Garbage in: what `gaincell fit`, `export`, `report` and `emulate` say of runs and tables that are none.
//!
//! The runs are written by the library's own run directory, so that the command reads what a sweep would have left; the tables
//! are the closed-form one, edited. Every message says what is wrong, where, what is accepted and what to do.
#![cfg(all(feature = "simulate", feature = "dataset", feature = "plot"))]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use gaincell::Kind;
use gaincell::campaign::SWEEPS;
use gaincell::dataset::{Column, Manifest, MeasuredColumn, Outcome, PointId, Row, Run, Runtime, Status, Value};
use gaincell::lut::{FILE_NAME, Table, synthetic};
use npyz::WriterBuilder;

/// Runs the command; its exit code and what it said, paths and digests replaced.
fn gaincell(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).replace(&folder.display().to_string(), "[out]");
    (output.status.code().unwrap(), said)
}

/// What stands in the response of each run.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    Good,
    None,
    Failed,
    Constant,
    NotANumber,
}

/// A run of four points with one response, as the latest of its sweep.
fn write_run(out: &Path, sweep: &str, response: &str, rows: Rows) {
    let mut manifest = Manifest::new(sweep, "quick");
    manifest.tech = "generic28".into();
    manifest.values = vec![Column::new("x", "V")];
    manifest.measurements = vec![MeasuredColumn {
        name: response.into(),
        unit: "1".into(),
        curve_at: None,
        definition: serde_json::Value::Null,
    }];
    manifest.planned = 4;
    let folder = out.join("results").join(sweep);
    let mut run = Run::open_or_resume(&folder.join("generic28-test"), manifest).unwrap();
    for index in 0..if rows == Rows::None { 0 } else { 4 } {
        let id = PointId(format!("{index:032x}"));
        let failed = rows == Rows::Failed;
        let value = match rows {
            Rows::Constant => 1e-15,
            Rows::NotANumber if index == 2 => f64::NAN,
            _ => index as f64,
        };
        let measured = if failed { BTreeMap::new() } else { [(response.to_string(), Value::Scalar(value))].into() };
        let row = Row {
            id: id.clone(),
            index,
            values: [("x".to_string(), index as f64)].into(),
            labels: BTreeMap::new(),
            outcome: if failed { Outcome::Nonconvergence } else { Outcome::Ok },
            tier: 0,
            measured,
            message: if failed { "doAnalyses: iteration limit reached".into() } else { String::new() },
        };
        let runtime = Runtime { id, worker: 0, wall_s: 0.0, time_points: 1, cached: false, finished_unix_s: 0.0 };
        run.append(row, runtime).unwrap();
    }
    run.finish(Status::Complete).unwrap();
    fs::write(folder.join("generic28.latest"), "generic28-test\n").unwrap();
}

/// Every sweep's run good, but the named ones.
fn runs(odd: &[(&str, Rows)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for sweep in SWEEPS {
        let response = match sweep {
            "nonlinearity" | "nonlinearity_driven" | "variability_cell" => "charge_c",
            "write" | "variability_write" => "v_stored_v",
            _ => "response",
        };
        let rows = odd.iter().find(|(name, _)| *name == sweep).map_or(Rows::Good, |(_, rows)| *rows);
        write_run(dir.path(), sweep, response, rows);
    }
    dir
}

fn fit_says(odd: &[(&str, Rows)], command: &str) -> String {
    let dir = runs(odd);
    let (code, said) = gaincell(dir.path(), &[command, "--out", dir.path().to_str().unwrap()]);
    assert_eq!(code, i32::from(Kind::FitFailed.exit_code()), "{said}");
    said
}

#[test]
fn an_empty_sweep() {
    insta::assert_snapshot!(fit_says(&[("write", Rows::None)], "fit"));
}

#[test]
fn all_points_failed() {
    insta::assert_snapshot!(fit_says(&[("nonlinearity", Rows::Failed)], "fit"));
}

#[test]
fn constant_data() {
    insta::assert_snapshot!(fit_says(&[("nonlinearity", Rows::Constant)], "export"));
}

#[test]
fn a_number_that_is_none() {
    insta::assert_snapshot!(fit_says(&[("variability_write", Rows::NotANumber)], "fit"));
}

#[test]
fn every_sweep_at_once() {
    let odd = [("write", Rows::None), ("nonlinearity", Rows::Failed), ("variability_cell", Rows::Constant)];
    let said = fit_says(&odd, "fit");
    assert_eq!(said.matches("error[6]").count(), 3, "{said}");
    for (sweep, _) in odd {
        assert!(said.contains(&format!("`sweep {sweep}`")), "{said}");
    }
}

#[test]
fn a_sweep_that_never_ran_and_a_run_of_another_schema() {
    let dir = runs(&[]);
    let out = dir.path().to_str().unwrap();
    let manifest = dir.path().join("results/readout/generic28-test/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("\"schema\": 1", "\"schema\": 7", 1)).unwrap();
    let (code, said) = gaincell(dir.path(), &["fit", "--out", out]);
    assert_eq!(code, i32::from(Kind::DataDamaged.exit_code()));
    insta::assert_snapshot!(said);
    fs::remove_file(dir.path().join("results/readout/generic28.latest")).unwrap();
    let (code, said) = gaincell(dir.path(), &["fit", "--out", out]);
    assert_eq!(code, i32::from(Kind::MissingNetlist.exit_code()));
    insta::assert_snapshot!(said);
}

#[test]
fn points_edited_by_hand() {
    let dir = runs(&[]);
    let points = dir.path().join("results/write/generic28-test/points.parquet");
    let mut bytes = fs::read(&points).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&points, bytes).unwrap();
    let (code, said) = gaincell(dir.path(), &["fit", "--out", dir.path().to_str().unwrap()]);
    assert_eq!(code, i32::from(Kind::DataDamaged.exit_code()), "{said}");
    // Size and digest are the Parquet writer's.
    let lines = said.lines().map(|line| if line.contains("BLAKE3") { "  accepted: [size and digest]" } else { line });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn models_of_another_schema() {
    let dir = runs(&[]);
    fs::create_dir_all(dir.path().join("results/models")).unwrap();
    fs::write(dir.path().join("results/models/generic28.json"), "{\"schema\": 9}\n").unwrap();
    let (code, said) = gaincell(dir.path(), &["plot", "--out", dir.path().to_str().unwrap()]);
    assert_eq!(code, i32::from(Kind::DataDamaged.exit_code()), "{said}");
    insta::assert_snapshot!(said);
}

/// A folder with the closed-form table, written after `edit` and then changed as text.
fn table(edit: impl Fn(&mut Table), text: impl Fn(String) -> String) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("luts");
    let mut table = synthetic::table().unwrap();
    table.write_json(&folder).unwrap();
    edit(&mut table);
    // Whoever edits and also mends the hash is told what is wrong with the numbers.
    table.content_hash = table.computed_hash().unwrap();
    fs::write(folder.join(FILE_NAME), text(serde_json::to_string_pretty(&table).unwrap())).unwrap();
    (dir, folder)
}

/// What `emulate` says of that table.
fn emulate_says(edit: impl Fn(&mut Table), text: impl Fn(String) -> String, more: &[&str]) -> (i32, String) {
    let (dir, folder) = table(edit, text);
    let input = dir.path().join("qkv.npz");
    let mut archive = npyz::npz::NpzWriter::new(BufWriter::new(File::create(&input).unwrap()));
    for name in ["Q", "K", "V"] {
        let mut writer =
            archive.array(name, Default::default()).unwrap().default_dtype().shape(&[1, 4, 8]).begin_nd().unwrap();
        writer.extend((0..32).map(|k| f64::from(k) / 40.0)).unwrap();
        writer.finish().unwrap();
    }
    drop(archive);
    let result = dir.path().join("result.npz");
    let paths = [&input, &result, &folder].map(|path| path.to_str().unwrap());
    let arguments = [&["emulate", "--in", paths[0], "--out", paths[1], "--table", paths[2]], more].concat();
    gaincell(dir.path(), &arguments)
}

fn refused(edit: impl Fn(&mut Table), text: impl Fn(String) -> String) -> String {
    let (code, said) = emulate_says(edit, text, &[]);
    assert_eq!(code, i32::from(Kind::TableInvalid.exit_code()), "{said}");
    said
}

#[test]
fn the_table_as_written_is_taken() {
    let (code, said) = emulate_says(|_| (), |text| text, &[]);
    assert_eq!((code, said.as_str()), (0, ""));
}

#[test]
fn a_table_edited_by_hand() {
    insta::assert_snapshot!(refused(|_| (), |text| text.replacen("\"s_sat\": 80.0", "\"s_sat\": 81.0", 1)));
}

#[test]
fn a_table_with_a_missing_value() {
    insta::assert_snapshot!(refused(|table| table.cell.current_a.values.truncate(40), |text| text));
}

#[test]
fn a_table_whose_axis_and_curve_fall() {
    let edit = |table: &mut Table| {
        table.retention.rate_v_per_s.axes[0].values.reverse();
        table.readout_unsigned.width_s.values.reverse();
    };
    insta::assert_snapshot!(refused(edit, |text| text));
}

#[test]
fn a_table_with_a_number_that_is_none() {
    insta::assert_snapshot!(refused(|table| table.write.stored_v.values[3] = f64::NAN, |text| text));
}

#[test]
fn a_table_of_another_schema() {
    insta::assert_snapshot!(refused(|_| (), |text| text.replacen("\"schema\": 1", "\"schema\": 2", 1)));
}

#[test]
fn a_table_that_was_cut_off() {
    insta::assert_snapshot!(refused(|_| (), |text| text[..200].to_string()));
}

#[test]
fn a_table_without_what_an_option_asks_for() {
    for option in ["--calibrated-levels", "--noise=table"] {
        let (code, said) = emulate_says(|_| (), |text| text, &[option]);
        assert_eq!(code, i32::from(Kind::BadInput.exit_code()), "{said}");
        insta::assert_snapshot!(said);
    }
}

#[test]
fn a_validation_on_an_edited_table() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("results/luts/generic28-gain_cell_6t");
    let mut table = synthetic::table().unwrap();
    table.write_json(&folder).unwrap();
    let text = fs::read_to_string(folder.join(FILE_NAME)).unwrap();
    fs::write(folder.join(FILE_NAME), text.replacen("\"a_sat\": 40.0", "\"a_sat\": 41.0", 1)).unwrap();
    let (code, said) = gaincell(dir.path(), &["validate", "--out", dir.path().to_str().unwrap()]);
    assert_eq!(code, i32::from(Kind::TableInvalid.exit_code()), "{said}");
    assert!(said.contains("content_hash") && said.contains("[out]/results/luts"), "{said}");
}
