//! ngspice through worker processes: against closed forms, and against everything that goes wrong.
#![cfg(feature = "simulate")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gaincell::dataset::{Outcome, Value};
use gaincell::measure::{How, Measurement};
use gaincell::simulate::{Answer, Circuit, Job, PoolOptions, Simulator, WorkerPool};
use gaincell::units::Unit;
use gaincell::{Error, Kind};

fn options(workers: usize) -> PoolOptions {
    PoolOptions { workers: NonZeroUsize::new(workers), ..PoolOptions::new(env!("CARGO_BIN_EXE_gaincell")) }
}

fn pool(workers: usize) -> WorkerPool {
    WorkerPool::new(options(workers)).unwrap()
}

fn circuit(deck: &str) -> Circuit {
    let lines: Vec<String> = deck.trim().lines().map(|line| line.trim().to_string()).collect();
    Circuit { key: lines.join("\n"), lines, startup: vec![] }
}

fn job(ticket: u64, alters: &[String], analysis: &str) -> Job {
    Job {
        ticket,
        alters: alters.to_vec(),
        analysis: analysis.into(),
        t_stop_s: None,
        signals: vec![],
        values: BTreeMap::new(),
        measurements: vec![],
        keep_waveform: false,
        max_time_points: 100_000,
        wall_limit_s: 60.0,
    }
}

fn answers(pool: &mut WorkerPool, circuit: &Circuit, jobs: &[Job]) -> Result<BTreeMap<u64, Answer>, Error> {
    let mut answers = BTreeMap::new();
    pool.run(circuit, jobs, &mut |answer| {
        assert!(answers.insert(answer.ticket, answer).is_none(), "one answer per job");
        true
    })?;
    Ok(answers)
}

/// What must not depend on workers, order and time.
fn reproducible(answers: BTreeMap<u64, Answer>) -> Vec<Answer> {
    answers.into_values().map(|answer| Answer { wall_s: 0.0, worker: 0, ..answer }).collect()
}

/// 1 kohm and 1 nF, charged to 1 V: v(t) = exp(-t / tau), tau = 1 us.
const RC: &str = "discharge
    .options reltol=1e-5 chgtol=1e-18
    r1 out 0 1k
    c1 out 0 1n ic=1
    .save v(out)
    .end";

fn rc_job(ticket: u64, resistance_ohm: f64) -> Job {
    let half = How::At { signal: "v(out)".into(), at: 1e-6 };
    Job {
        t_stop_s: Some(5e-6),
        signals: vec!["v(out)".into()],
        values: [("r_ohm".to_string(), resistance_ohm)].into(),
        measurements: vec![
            Measurement { column: "v_out_v".into(), unit: Unit::Volt, how: half },
            Measurement { column: "tau_s".into(), unit: Unit::Second, how: How::Expr { expr: "r_ohm * 1n".into() } },
        ],
        ..job(ticket, &[format!("alter r1={resistance_ohm:e}")], "tran 10n 5u 0 10n uic")
    }
}

#[test]
fn a_discharge_follows_its_closed_form() {
    let mut one = rc_job(1, 1e3);
    one.keep_waveform = true;
    let mut pool = pool(1);
    let answer = answers(&mut pool, &circuit(RC), &[one]).unwrap().remove(&1).unwrap();
    assert_eq!((answer.outcome, answer.message.as_str()), (Outcome::Ok, ""));
    let waveform = answer.waveform.unwrap();
    assert_eq!(waveform.axis.len() as u64, answer.time_points);
    // The trapezoidal rule errs by h^2 / (12 tau^2) per time constant, 8e-6 for h = 10 ns; reltol adds 1e-5.
    for (t, v) in waveform.axis.iter().zip(waveform.signal("v(out)").unwrap()) {
        assert!((v - (-t / 1e-6).exp()).abs() < 2e-5, "{t:e} s: {v}");
    }
    assert_eq!(answer.measured["tau_s"], Value::Scalar(1e3 * 1e-9));
    let identity = pool.identity().unwrap();
    let (version, hash) = identity.split_once(' ').unwrap();
    assert!(version.starts_with("ngspice-") && hash.len() == 16, "{identity}");
}
