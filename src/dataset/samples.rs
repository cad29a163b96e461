//! Rows for this module's tests.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{Column, Manifest, MeasuredColumn, Outcome, PointId, Row, Runtime, Value};

/// A row that differs in everything from that of any other index; every fifth one failed.
pub fn row(index: u64) -> Row {
    let x = index as f64;
    let ok = index % 5 != 4;
    let mut measured = BTreeMap::new();
    if ok {
        measured.insert("charge_c".to_string(), Value::Scalar(-1e-15 * (x + 0.1)));
        measured.insert("v_store_v".to_string(), Value::Curve(vec![0.9, 0.9 - 0.01 * x, 0.45]));
    }
    Row {
        id: PointId(format!("{:032x}", u128::from(index) + (1 << 100))),
        index,
        values: BTreeMap::from([("t_pulse_s".to_string(), 1e-9 * x), ("v_in_v".to_string(), 0.1 * (index % 3) as f64)]),
        labels: BTreeMap::from([("corner".to_string(), ["tt", "ss"][(index % 2) as usize].to_string())]),
        outcome: if ok { Outcome::Ok } else { Outcome::Nonconvergence },
        tier: (index % 3) as u8,
        measured,
        message: if ok { String::new() } else { format!("Timestep too small; point {index}") },
    }
}

/// How that row was made.
pub fn runtime(index: u64) -> Runtime {
    Runtime {
        id: row(index).id,
        worker: (index % 2) as u32,
        wall_s: 0.001 * index as f64,
        time_points: 100 + index,
        cached: false,
        finished_unix_s: 1.7e9 + index as f64,
    }
}

/// The manifest of a run of such rows.
pub fn manifest() -> Manifest {
    let mut manifest = Manifest::new("read", "quick");
    manifest.sweep_hash = "5eed".into();
    manifest.decks.insert("bench".into(), "dec0".into());
    manifest.tech = "generic28".into();
    manifest.simulator = "fake".into();
    manifest.seed = 7;
    manifest.values = vec![Column::new("t_pulse_s", "s"), Column::new("v_in_v", "V")];
    manifest.labels = vec!["corner".into()];
    manifest.measurements = vec![
        MeasuredColumn {
            name: "charge_c".into(),
            unit: "C".into(),
            curve_at: None,
            definition: "integral of i(bl)".into(),
        },
        MeasuredColumn {
            name: "v_store_v".into(),
            unit: "V".into(),
            curve_at: Some(vec![0.0, 1e-3, 1e-2]),
            definition: "v(sn)".into(),
        },
    ];
    manifest
}

/// Any row of that manifest, with numbers of every kind.
pub fn any_row(index: u64) -> impl Strategy<Value = Row> {
    let number = prop_oneof![any::<f64>(), Just(f64::NAN), Just(-0.0), Just(f64::INFINITY)];
    let value_names = prop_oneof![Just("t_pulse_s".to_string()), Just("v_in_v".to_string())];
    let scalar = prop::option::of(number.clone());
    let curve = prop::option::of(vec(number.clone(), 0..5));
    (btree_map(value_names, number, 0..3), prop::option::of(".{0,8}"), 0..6usize, any::<u8>(), scalar, curve, ".{0,20}")
        .prop_map(move |(values, corner, outcome, tier, scalar, curve, message)| {
            let mut measured = BTreeMap::new();
            measured.extend(scalar.map(|x| ("charge_c".to_string(), Value::Scalar(x))));
            measured.extend(curve.map(|xs| ("v_store_v".to_string(), Value::Curve(xs))));
            Row {
                values,
                labels: corner.map(|label| ("corner".to_string(), label)).into_iter().collect(),
                outcome: Outcome::ALL[outcome],
                tier,
                measured,
                message,
                ..row(index)
            }
        })
}

/// Rows as text, in which NaN equals NaN and -0 differs from 0.
pub fn exactly(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}
