//! The chain itself, from netlists to the verdict, as `make characterize` runs it; then what a user does next.
//!
//! One test, because the parts build on each other; it takes some minutes on two cores.
#![cfg(all(feature = "simulate", feature = "dataset", feature = "plot"))]

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Output};

use gaincell::campaign::latest_run;
use gaincell::dataset::Dataset;
use gaincell::emulate::{LineSums, Swing};
use gaincell::lut::{Bounds, CellCurves, Hold, Outside, Table, Tally};
use gaincell::project::Project;
use gaincell::sweep::{DESIGN, SET_LABEL};
use npyz::WriterBuilder;
use serde_json::Value;

fn gaincell(out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every rule that a verdict stands on, read from the numbers and not from `pass`.
fn check_verdicts(rows: &Value) {
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.iter().map(|r| r["ages"].as_str().unwrap()).collect::<Vec<_>>(), ["fresh", "mixed", "oldest"]);
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap();
        for key in ["nrmse_phi", "nrmse_output", "nrmse_phi_linear", "nrmse_output_linear"] {
            assert!(number(key) <= 0.01, "{key}: {row}");
        }
        assert!(number("r2_phi") >= 0.999 && number("r2_output") >= 0.999, "{row}");
        assert!(number("frac_linear") >= 0.5, "{row}");
        assert!(row["ref_std"].as_array().unwrap().iter().all(|s| s.as_f64().unwrap() >= 0.2), "{row}");
        assert_eq!(number("codes_equal"), 1.0, "{row}");
        assert_eq!(row["pass"], Value::Bool(true));
    }
}

/// A column of the table's cells on a wire against the transistors' on theirs: near or far cells, with and without those in the middle.
fn check_wire(out: &Path, table: &Table) {
    let swept = gaincell(out, &["--quiet", "sweep", "bit_line_wires", "--corner", "tt"]);
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    let project = Project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), Some(out)).unwrap();
    let dataset = Dataset::read(&latest_run(&project, "bit_line_wires", "generic28").unwrap()).unwrap();
    let view = dataset.ok().labelled(SET_LABEL, DESIGN);
    let [v_store_v, r_ohm, far, middle, loss] =
        ["v_store_v", "r_bl_ohm", "on_far", "on_mid", "loss"].map(|name| view.numbers(name).unwrap());
    assert_eq!(loss.len(), 16);
    let curves = CellCurves::new(&table.cell);
    let (mut missed, mut lost) = (0.0, 0.0);
    for k in 0..loss.len() {
        let mut state = vec![0.0; curves.stride()];
        curves.state(v_store_v[k], &mut state);
        let mut line = LineSums::default();
        for row in 0..64 {
            let on = if (8..56).contains(&row) {
                middle[k]
            } else if row < 8 {
                1.0 - far[k]
            } else {
                far[k]
            };
            if on > 0.0 {
                line.add(row, &state, &curves.pulse(15e-9), 0.0);
            }
        }
        // The bench holds the converter's end, as a line of any capacitance would.
        let charge_c = |wire_ohm: f64| line.charge_c(1.0, &Swing { wire_ohm, ..Swing::default() });
        let found = 1.0 - charge_c(r_ohm[k]) / charge_c(0.0);
        // Up to 88 mV fall along the wire, over which conductance is not constant.
        assert!((found - loss[k]).abs() < 7e-4, "{found:.2e} for {:.2e} at point {k}", loss[k]);
        (missed, lost) = (missed + (found - loss[k]).powi(2), lost + loss[k] * loss[k]);
    }
    assert!(missed < 0.2 * 0.2 * lost, "{:.2} of the loss, rms", (missed / lost).sqrt());
}

#[test]
fn from_netlists_to_a_validated_table() {
    let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    let out = dir.path();
    let first = json(&gaincell(out, &["run", "--json"]));
    check_verdicts(&first["validation"]);
    for model in first["models"].as_array().unwrap() {
        let name = model["name"].as_str().unwrap();
        let judged = !name.contains("published") && !name.contains("cubic");
        assert!(!judged || model["pass"] == Value::Bool(true), "{model}");
    }
    for sweep in first["sweeps"].as_array().unwrap() {
        assert_eq!((sweep["failed"].as_u64(), sweep["cached"].as_u64()), (Some(0), Some(0)), "{sweep}");
    }

    // What the contracts promise is there.
    let summary: Value = serde_json::from_reader(File::open(out.join("results/summary.json")).unwrap()).unwrap();
    for section in ["sweeps", "models", "validation", "lut"] {
        assert!(!summary[section].as_array().unwrap().is_empty(), "{section}");
    }
    // The report names the command that was run, also where it is written again from files.
    let command = |html: &str| html.contains("<pre>gaincell run --json --out ") && !html.contains("make characterize");
    let report = out.join("results/report.html");
    assert!(command(&std::fs::read_to_string(&report).unwrap()));
    assert!(gaincell(out, &["report"]).status.success() && command(&std::fs::read_to_string(&report).unwrap()));
    for file in ["results/report.html", "results/luts/generic28-gain_cell_6t/table.json"] {
        assert!(out.join(file).metadata().unwrap().len() > 10_000, "{file}");
    }
    assert!(out.join("results/luts/generic28-gain_cell_6t/table.parquet").is_file());
    assert!(out.join("plots/generic28_validation.png").is_file() && out.join("plots/generic28_iv.svg").is_file());

    // The physics by hand: the charge of the highest level in a full pulse is current times time, and 64 cells' drains
    // add less than 2 % to a bit line of 4 pF.
    let table = gaincell::lut::Table::read_json(&out.join("results/luts/generic28-gain_cell_6t")).unwrap();
    assert!((table.column_k.c_bit_line_f / 4e-12 - 1.0).abs() < 0.02);
    let top = *table.cell.current_a.values.last().unwrap() * table.scale.t_max_s;
    assert!(top > 8.0 * table.scale.charge_per_unit_c && top < 13.0 * table.scale.charge_per_unit_c);

    // What a read costs, by hand: the charge comes from a bit line at half the supply, and the word lines take little beside it.
    let read = table.costs.iter().find(|cost| cost.name == "cell.energy_read_cell_j").unwrap();
    let currents = &table.cell.current_a;
    let high = currents.axes[0].values.iter().position(|v| *v >= 0.87).unwrap();
    let least_j = 0.45 * currents.values[high] * table.scale.t_max_s;
    assert!(read.greatest > least_j && read.greatest < 1.3 * least_j, "{} J for {least_j} J", read.greatest);

    // The DAC's levels rise within the rails and differ from even ones by less than a step; mismatch of a write is below a millivolt.
    let calibration = table.write.calibration.as_ref().unwrap();
    let driven_v = &calibration.driven_v.values;
    assert!(driven_v.windows(2).all(|pair| pair[1] > pair[0]) && driven_v[0] >= 0.0 && driven_v[7] <= 0.9);
    assert!(driven_v.iter().enumerate().all(|(k, v)| (v - 0.9 * k as f64 / 7.0).abs() < 0.03), "{driven_v:?}");
    assert!(table.write.sigma_v.as_ref().unwrap().values.iter().all(|sigma| *sigma > 1e-6 && *sigma < 1e-3));
    // Noise by hand: kT/C of 7 to 9 fF; a cell's read adds less than the converter, whose comparator is some 1 fC.
    let noise = table.noise.as_ref().unwrap();
    let kt_j = 1.380_649e-23 * 300.15;
    let between = |sigma: &f64| (kt_j / 9e-15..kt_j / 7e-15).contains(&(sigma * sigma));
    assert!(noise.sigma_stored_v.values.iter().all(between), "{:?}", noise.sigma_stored_v.values);
    let sigmas = table.noise_sigmas().unwrap();
    assert!(sigmas.cell_c > 2e-17 && sigmas.cell_c < 5e-16 && sigmas.unsigned_c > sigmas.cell_c, "{sigmas:?}");
    assert!(between(&sigmas.write_v), "{sigmas:?}");

    // Under other tokens' writes, which no fit has seen: the table's leakage against the transistors' drift over the window.
    let under_writes = gaincell(out, &["--quiet", "sweep", "retention_tokens", "--corner", "nominal"]);
    assert!(under_writes.status.success(), "{}", String::from_utf8_lossy(&under_writes.stderr));
    let project = Project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), Some(out)).unwrap();
    let dataset = Dataset::read(&latest_run(&project, "retention_tokens", "generic28").unwrap()).unwrap();
    let (starts_v, drifts_v) =
        (dataset.ok().numbers("v_store_v").unwrap(), dataset.ok().numbers("drift_window_v").unwrap());
    let levels: Vec<(f64, f64)> = (0..8).map(|level| (0.9 * f64::from(level) / 7.0, 0.125)).collect();
    let bounds = Bounds::new(&table.validity, Outside::Refuse);
    let hold = Hold::new(&table.retention, &table.validity, 0.8e-3 / 1000.0, &levels, 1000).unwrap();
    assert_eq!(starts_v.len(), 8);
    for (start_v, drift_v) in starts_v.iter().zip(drifts_v) {
        let found_v = hold.at(*start_v, 1000, &bounds, &mut Tally::default()).unwrap() - start_v;
        assert!((found_v - drift_v).abs() < 2e-3, "{start_v} V: {found_v} V against {drift_v} V");
    }

    // What a bit line's wire takes from 64 cells, which no fit has seen either.
    check_wire(out, &table);

    // A second run simulates nothing.
    let second = json(&gaincell(out, &["run", "--json"]));
    for sweep in second["sweeps"].as_array().unwrap() {
        assert_eq!(sweep["cached"], sweep["points"], "{sweep}");
    }
    assert_eq!(first["validation"], second["validation"]);

    // Another seed passes too.
    check_verdicts(&json(&gaincell(out, &["validate", "--seed", "7", "--json"])));

    // The table's subcircuits in ngspice, against transistors.
    let behavioural = ["validate", "--behavioural", "--k-columns", "4", "--v-columns", "2", "--json"];
    for row in json(&gaincell(out, &behavioural)).as_array().unwrap() {
        assert!(row["worst"].as_f64().unwrap() <= 0.01, "{row}");
    }

    // Its Verilog-A modules pass a compiler's front end, which refuses what it should.
    let modules = std::fs::read_to_string(out.join("results/luts/generic28-gain_cell_6t/behavioural.va")).unwrap();
    let read = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules.va"), text).unwrap();
        let front_end = Command::new("admsXml").arg("modules.va").current_dir(folder.path()).output();
        front_end.expect("admsXml: `bash setup.sh --for-tests` installs it").status.success()
    };
    assert!(read(&modules));
    assert!(!read(&modules.replacen("current_a(V(st))", "nobody(V(st))", 1)));

    // Arrays through the emulator.
    let (input, result) = (out.join("qkv.npz"), out.join("result.npz"));
    let mut archive = npyz::npz::NpzWriter::new(BufWriter::new(File::create(&input).unwrap()));
    for (name, low, high) in [("Q", 0.0, 1.0), ("K", 0.0, 0.9), ("V", 0.0, 0.9)] {
        let mut writer =
            archive.array(name, Default::default()).unwrap().default_dtype().shape(&[2, 10, 64]).begin_nd().unwrap();
        let value = |k: u64| low + (high - low) * gaincell::rng::uniform(1, k, "chain", name);
        writer.extend((0..2 * 10 * 64).map(value)).unwrap();
        writer.finish().unwrap();
    }
    drop(archive);
    let table = out.join("results/luts/generic28-gain_cell_6t");
    let emulated = Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["emulate", "--json", "--calibrated-levels", "--noise", "table", "--in"])
        .arg(&input)
        .arg("--out")
        .arg(&result)
        .arg("--table")
        .arg(&table)
        .output()
        .unwrap();
    assert_eq!(json(&emulated)["shape"], serde_json::json!([2, 10, 64]));
    let names: Vec<String> = npyz::npz::NpzArchive::open(&result).unwrap().array_names().map(str::to_string).collect();
    assert_eq!(names.len(), 3);
}
