//! A small sub-tile as one circuit against its columns one by one; the 16 x 16 one takes minutes: `gaincell subtile`.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::process::Command;

use serde_json::Value;

#[test]
fn columns_one_by_one_are_the_sub_tile() {
    let out = tempfile::Builder::new().prefix("sub tile ").tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gaincell"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["subtile", "--size", "4", "--json", "--out"])
            .arg(out.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let rows = run(&[]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["wires"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap();
        // The limit of the 16 x 16 comparison holds for a small one too, for every single element.
        for key in ["nrmse_phi", "nrmse_output", "worst_phi", "worst_output"] {
            assert!(number(key) <= 0.005, "{key}: {row}");
        }
        assert!(number("frac_linear") > 0.0, "all phi clipped compare nothing: {row}");
        assert!(row["ref_std"].as_array().unwrap().iter().all(|s| s.as_f64().unwrap() > 0.1), "{row}");
    }
    // What differs between the two is the wires, and it is not nothing.
    assert_ne!(rows[0]["nrmse_phi"], rows[1]["nrmse_phi"]);
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(out.path().join("results/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["subtile"].as_array().unwrap().len(), 2);
    let columns = run(&["--columns-only"]);
    assert!(columns[0]["columns_wall_s"].is_null(), "the same columns again come out of the store");
    assert!(columns[0]["wires"].is_null() && columns[0]["pass"] == Value::Bool(true));
}
