//! Lookup tables as files: bit-exact, and refused when they are not what was written.

use std::fs;

use gaincell::Kind;
use gaincell::lut::{FILE_NAME, Table, WidthCurve, synthetic};
use proptest::prelude::*;

fn written() -> (tempfile::TempDir, Table, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut table = synthetic::table().unwrap();
    table.write_json(folder.path()).unwrap();
    let text = fs::read_to_string(folder.path().join(FILE_NAME)).unwrap();
    (folder, table, text)
}

#[test]
fn a_table_comes_back_bit_by_bit_from_file_and_folder() {
    let (folder, table, text) = written();
    assert_eq!(Table::read_json(folder.path()).unwrap(), table);
    assert_eq!(Table::read_json(&folder.path().join(FILE_NAME)).unwrap(), table);
    let mut again = table.clone();
    again.write_json(folder.path()).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join(FILE_NAME)).unwrap(), text, "equal tables give equal bytes");
}

#[test]
fn an_edited_number_is_noticed_and_white_space_is_not() {
    let (_, table, text) = written();
    let edited = text.replacen("\"s_sat\": 80.0", "\"s_sat\": 81.0", 1);
    assert_ne!(edited, text);
    let error = Table::from_json(&edited).unwrap_err();
    assert_eq!(error.kind(), Kind::TableInvalid);
    assert!(error.to_string().contains("content_hash"), "{error}");
    assert_eq!(Table::from_json(&text.replace('\n', "\n ")).unwrap(), table);
}

#[test]
fn other_schemas_are_refused_by_name() {
    let (folder, _, text) = written();
    for (other, named) in [("2", "schema 2"), ("\"one\"", "schema \"one\""), ("null", "schema null")] {
        fs::write(folder.path().join(FILE_NAME), text.replacen("\"schema\": 1", &format!("\"schema\": {other}"), 1))
            .unwrap();
        let error = Table::read_json(folder.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::TableInvalid);
        assert!(error.to_string().contains(named) && error.to_string().contains(FILE_NAME), "{error}");
    }
}

#[test]
fn damage_is_refused() {
    let (folder, _, text) = written();
    for damaged in [&text[..text.len() / 2], "", "[]", &text.replacen("\"name\"", "\"nombre\"", 1)] {
        assert_eq!(Table::from_json(damaged).unwrap_err().kind(), Kind::TableInvalid, "{:.20}", damaged);
    }
    fs::write(folder.path().join(FILE_NAME), [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(Table::read_json(folder.path()).unwrap_err().kind(), Kind::TableInvalid);
    assert_eq!(Table::read_json(&folder.path().join("none")).unwrap_err().kind(), Kind::Io);
}

#[test]
fn a_table_unfit_for_use_is_not_written_and_every_fault_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = synthetic::table().unwrap();
    table.scale.s_sat = -1.0;
    table.readout_unsigned.width_s.values[0] = 1e-9;
    table.column_k.c_bit_line_f = 0.0;
    let error = table.write_json(folder.path()).unwrap_err();
    let keys: Vec<_> = error.problems().iter().filter_map(|problem| problem.key.as_deref()).collect();
    assert_eq!(keys, ["scale.s_sat", "column_k", "readout_unsigned.width_s"]);
    assert!(!folder.path().join(FILE_NAME).exists());

    let mut table = synthetic::table().unwrap();
    table.validity.v_store_v[1] = 1.5;
    let error = table.check().unwrap_err();
    assert_eq!(error.problems()[0].key.as_deref(), Some("validity.v_store_v"));

    let mut table = synthetic::table().unwrap();
    table.cell.residual_c.values[0] += 1e-18;
    assert_eq!(table.check().unwrap_err().problems()[0].key.as_deref(), Some("cell.residual_c"));
}

#[test]
fn the_readout_curve_never_falls_between_its_nodes() {
    let table = synthetic::table().unwrap();
    for readout in [&table.readout_unsigned, &table.readout_signed] {
        let curve = WidthCurve::new(&readout.width_s);
        let widths: Vec<f64> = (-9_000..9_000).map(|k| curve.at(f64::from(k) * 1e-15)).collect();
        assert!(widths.windows(2).all(|w| w[1] >= w[0] - 1e-21), "it falls by more than rounding");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_numbers_survive_the_file(bits in prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 8)) {
        let mut table = synthetic::table().unwrap();
        table.retention.rate_v_per_s.values[..8].copy_from_slice(&bits);
        let folder = tempfile::tempdir().unwrap();
        table.write_json(folder.path()).unwrap();
        let back = Table::read_json(folder.path()).unwrap();
        let same = back.retention.rate_v_per_s.values.iter().zip(&table.retention.rate_v_per_s.values);
        prop_assert!(same.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
