//! Runs made by hand, so that what changed is known.

use std::collections::BTreeMap;

use super::*;
use crate::dataset::{Column, Manifest, MeasuredColumn, Outcome, PointId, Row, Value};
use crate::rng;

fn manifest(seed: u64) -> Manifest {
    let mut manifest = Manifest::new("rc", "quick");
    manifest.seed = seed;
    manifest.values = vec![Column::new("v_v", "V")];
    manifest.measurements = vec![MeasuredColumn {
        name: "x_v".into(),
        unit: "V".into(),
        curve_at: None,
        definition: serde_json::json!("x"),
    }];
    manifest
}

fn row(index: u64, v: f64, x: Value) -> Row {
    Row {
        id: PointId(format!("{index:032x}")),
        index,
        values: BTreeMap::from([("v_v".to_string(), v)]),
        labels: BTreeMap::from([("set".to_string(), "design".to_string())]),
        outcome: Outcome::Ok,
        tier: 0,
        measured: BTreeMap::from([("x_v".to_string(), x)]),
        message: String::new(),
    }
}

/// Ten design points of `x = f(v)`.
fn points(f: impl Fn(f64) -> f64) -> Dataset {
    let row = |k: u64| row(k, 0.1 * k as f64, Value::Scalar(f(0.1 * k as f64)));
    Dataset::new(manifest(0), (0..10).map(row))
}

/// Two design points with `n` samples of `x = f(v, z)`, z standard normal.
fn samples(seed: u64, n: u64, sigma: f64, f: impl Fn(f64, f64) -> f64) -> Dataset {
    let rows = (0..2 * n).map(|k| {
        let (v, sample) = (0.5 * (k / n) as f64, k % n);
        let draw = sigma * rng::normal(seed, sample, "xcell.m1", "delvto");
        let mut row = row(k, v, Value::Scalar(f(v, draw)));
        row.values.extend([("sample".to_string(), sample as f64), ("draw_m1_delvto_v".to_string(), draw)]);
        row
    });
    Dataset::new(manifest(seed), rows)
}

fn compared(a: &Dataset, b: &Dataset) -> Comparison {
    compare(a, b, &Options { tolerance: Some(1e-3), ..Options::default() }, &|_| None)
}

#[test]
fn deterministic_points_change_beyond_noise_only() {
    let a = points(|v| 1.0 + v);
    let same = compared(&a, &points(|v| (1.0 + v) * 1.0005));
    assert_eq!((same.changes(), same.paired, same.findings.len()), (0, 10, 10));
    let moved = compared(&a, &points(|v| if v > 0.75 { 1.02 + v } else { 1.0 + v }));
    assert_eq!(moved.changes(), 2);
    let first = &moved.findings[0];
    assert!(first.significant && first.p.is_none() && (first.change - 0.02).abs() < 1e-12, "{first:?}");
    assert_eq!(first.point["v_v"], "0.8");
    let summary = &moved.measurements[0];
    assert_eq!((summary.compared, summary.changed), (10, 2));
    assert!((summary.largest_change - 0.02).abs() < 1e-12 && summary.median_change == 0.0);
}

#[test]
fn a_number_that_crosses_zero_is_held_against_its_full_scale() {
    let (a, b) = (points(|v| v - 0.3), points(|v| v - 0.3 + 2e-6));
    assert_eq!(compared(&a, &b).changes(), 0);
    let strict = Options { tolerance: Some(1e-3), floor: 0.0, ..Options::default() };
    assert!(compare(&a, &b, &strict, &|_| None).changes() > 0);
}

#[test]
fn a_shift_below_noise_does_not_count_however_sure_it_is() {
    let a = samples(7, 200, 0.02, |v, z| 1.0 + v + z);
    let b = samples(7, 200, 0.02, |v, z| 1.0 + v + z + 5e-4 + 1e-3 * z);
    let found = compared(&a, &b);
    let mean = found.findings.iter().find(|f| f.quantity == Quantity::Mean).unwrap();
    assert!(!mean.significant && mean.change.abs() < mean.noise, "{mean:?}");
}

#[test]
fn pairs_that_moved_alike_have_no_p_value() {
    let a = samples(7, 50, 0.02, |v, z| 1.0 + v + z);
    let found = compared(&a, &samples(7, 50, 0.02, |v, z| 1.01 + v + z));
    assert_eq!(found.same_draws, Some(true));
    let mean = &found.findings[0];
    assert_eq!((mean.test, mean.p, mean.significant), ("every pair moved by the same", None, true));
    assert!(found.findings.iter().all(|f| f.quantity != Quantity::Spread || !f.significant));
}

#[test]
fn a_scaled_mismatch_constant_changes_the_spread_and_not_the_mean() {
    // 10 % more sigma: pairs show it, independent samples of this size do not.
    let a = samples(7, 60, 0.02, |v, z| 1.0 + v + z);
    let found = compared(&a, &samples(7, 60, 0.022, |v, z| 1.0 + v + z));
    assert_eq!(found.same_draws, Some(true));
    let changed: Vec<Quantity> = found.findings.iter().filter(|f| f.significant).map(|f| f.quantity).collect();
    assert_eq!(changed, [Quantity::Spread, Quantity::Spread]);
    let spread = &found.findings[0];
    let (low, high) = spread.interval.unwrap();
    assert!((spread.effect.unwrap() - 1.1).abs() < 1e-9 && low < spread.change && spread.change < high, "{spread:?}");
    let other = compared(&a, &samples(8, 60, 0.022, |v, z| 1.0 + v + z));
    assert_eq!((other.same_draws, other.changes()), (Some(false), 0));
    assert!(other.findings.iter().any(|f| f.test == "Kolmogorov-Smirnov"));
}

#[test]
fn other_draws_under_one_seed_are_not_paired() {
    let a = samples(7, 60, 0.02, |_, z| 1.0 + z);
    let mut b = samples(8, 60, 0.02, |_, z| 1.0 + z);
    b.manifest.seed = 7;
    assert_eq!(compared(&a, &b).same_draws, Some(false));
}

#[test]
fn equal_monte_carlo_runs_of_other_seeds_are_called_changed_about_never() {
    // Benjamini and Hochberg at 0.01: with nothing changed, at most 1 % of all comparisons find anything. Of 60 that is
    // more than 4 with a probability below 1e-3.
    let wrong = (0..60).filter(|k| {
        let run = |seed| samples(seed, 40, 0.02, |v, z| 1.0 + v + z);
        compared(&run(2 * k + 1), &run(2 * k + 2)).changes() > 0
    });
    assert!(wrong.count() <= 4);
}

#[test]
fn a_shifted_monte_carlo_run_is_found_with_its_size() {
    let a = samples(1, 100, 0.02, |v, z| 1.0 + v + z);
    let found = compared(&a, &samples(2, 100, 0.02, |v, z| 1.02 + v + z));
    let mean = found.findings.iter().find(|f| f.quantity == Quantity::Mean).unwrap();
    let (low, high) = mean.interval.unwrap();
    assert!(mean.significant && mean.test == "Welch's t" && low < 0.02 && 0.02 < high, "{mean:?}");
    assert!((mean.effect.unwrap() - 1.0).abs() < 0.5 && mean.q.unwrap() >= mean.p.unwrap());
}

#[test]
fn rows_without_partner_and_other_outcomes_are_told() {
    let a = points(|v| v);
    let mut b = points(|v| v);
    b.rows[3].outcome = Outcome::Nonconvergence;
    b.rows[3].message = "Timestep too small".into();
    b.rows[4].tier = 2;
    b.rows[5].values.insert("v_v".into(), 7.0);
    // What a leakage guard says of a point is no coordinate of it, and its own rows are no points of the design.
    b.rows[6].labels.insert("floor".into(), "clear".into());
    b.rows[7].labels.insert("floor".into(), "dominated".into());
    b.rows[8].labels.insert("set".into(), "guard".into());
    let found = compared(&a, &b);
    assert_eq!((found.paired, found.only_a, found.only_b, found.changes()), (8, 2, 1, 3));
    assert_eq!(found.outcome_changes[2].b, "ok, floor-dominated");
    assert_eq!(found.outcome_changes[0].b, "nonconvergence");
    assert_eq!(found.outcome_changes[1].b, "ok (tier 2)");
}

#[test]
fn a_curve_says_where_it_moved_most() {
    let run = |bump: f64| {
        let mut manifest = manifest(0);
        manifest.measurements[0].curve_at = Some(vec![0.0, 1e-9, 2e-9]);
        Dataset::new(manifest, [row(0, 0.5, Value::Curve(vec![0.0, 0.5 + bump, 1.0]))])
    };
    let found = compared(&run(0.0), &run(-0.1));
    let curve = &found.findings[0];
    assert_eq!((curve.quantity, curve.at, curve.significant), (Quantity::Curve, Some(1e-9), true));
    assert!((curve.change + 0.1).abs() < 1e-12);
}
