//! ngspice through worker processes: against closed forms, and against everything that goes wrong.
#![cfg(feature = "simulate")]

mod faults;
mod workers;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gaincell::dataset::{Outcome, Value};
use gaincell::measure::{How, Measurement};
use gaincell::simulate::{Answer, Circuit, Job, PoolOptions, Simulator, Work, WorkFault, WorkerPool};
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

/// A two-transistor gain cell on BSIM4: a write transistor onto a storage node, a read transistor into a bit line.
const CELL: &str = "gain cell
    .options reltol=1e-4 chgtol=1e-16 gmin=1e-15
    .model nch nmos level=54 version=4.8.2 toxe=1.8n vth0=0.45 u0=0.03 vsat=1.2e5 k1=0.4 nfactor=1.5 voff=-0.12 cgso=2e-10 cgdo=2e-10
    .subckt cell wl wbl rwl rbl
    m1 wbl wl sn 0 nch w=120n l=60n as=1e-14 ad=1e-14 ps=4e-7 pd=4e-7
    m2 rbl sn rwl 0 nch w=240n l=60n as=2e-14 ad=2e-14 ps=6e-7 pd=6e-7
    c1 sn 0 2f
    .ends
    vwl wl 0 pulse(0 1.5 1n 50p 50p 5n 100n)
    vwbl wbl 0 0.6
    vrwl rwl 0 pulse(0.9 0 8n 50p 50p 10n 100n)
    vrbl rbl 0 0.9
    x1 wl wbl rwl rbl cell
    .save v(x1.sn) i(vrbl)
    .end";

fn cell_job(ticket: u64) -> Job {
    // A grid without structure, so that neighbouring tickets are far apart.
    let part = |factor: u64| ((ticket * factor) % 17) as f64 / 17.0;
    let integral = How::Integral { signal: "-i(vrbl)".into(), from: 8e-9, to: 19e-9 };
    Job {
        t_stop_s: Some(20e-9),
        signals: vec!["v(x1.sn)".into(), "i(vrbl)".into()],
        measurements: vec![
            Measurement {
                column: "v_store_v".into(),
                unit: Unit::Volt,
                how: How::At { signal: "v(x1.sn)".into(), at: 7.5e-9 },
            },
            Measurement { column: "charge_c".into(), unit: Unit::Coulomb, how: integral },
        ],
        keep_waveform: true,
        ..job(
            ticket,
            &[
                format!("alter vwbl dc={}", 0.1 + 0.8 * part(5)),
                format!("alter @m.x1.m1[delvto]={}", 0.05 * part(7) - 0.02),
                format!("alter @m.x1.m2[delvto]={}", 0.05 * part(11) - 0.02),
                format!("set temp={}", 25.0 + 60.0 * part(3)),
            ],
            "tran 10p 20n",
        )
    }
}

#[test]
fn a_warm_worker_answers_like_a_cold_one() {
    let circuit = circuit(CELL);
    let mut warm_pool = pool(1);
    let jobs: Vec<Job> = (0..12).map(cell_job).collect();
    let warm = reproducible(answers(&mut warm_pool, &circuit, &jobs).unwrap());
    assert!(warm.iter().all(|answer| answer.outcome == Outcome::Ok && answer.time_points > 50));
    let stored: Vec<f64> = warm.iter().map(|answer| answer.measured["v_store_v"].scalar().unwrap()).collect();
    let spread =
        stored.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b)) - stored.iter().fold(f64::INFINITY, |a, b| a.min(*b));
    assert!(spread > 0.3, "the points differ: {stored:?}");
    for (job, answer) in jobs.iter().zip(&warm).step_by(3) {
        let cold = reproducible(answers(&mut pool(1), &circuit, std::slice::from_ref(job)).unwrap());
        assert_eq!(&cold[0], answer, "bit for bit, waveform included");
    }
}

#[test]
fn neither_order_nor_workers_change_an_answer() {
    let circuit = circuit(CELL);
    let jobs: Vec<Job> = (0..24).map(cell_job).collect();
    let alone = reproducible(answers(&mut pool(1), &circuit, &jobs).unwrap());
    let mut backwards = jobs.clone();
    backwards.reverse();
    assert_eq!(reproducible(answers(&mut pool(1), &circuit, &backwards).unwrap()), alone);
    let mut three = pool(3);
    assert_eq!(reproducible(answers(&mut three, &circuit, &backwards).unwrap()), alone);
    // Other circuits in between, and a reload of this one.
    answers(&mut three, &self::circuit(RC), &[rc_job(0, 2e3), rc_job(1, 3e3)]).unwrap();
    assert_eq!(reproducible(answers(&mut three, &circuit, &jobs).unwrap()), alone);
}

#[test]
fn what_a_job_leaves_out_is_as_the_deck_says() {
    let circuit = circuit(CELL);
    let bare = |ticket| Job { alters: vec![], ..cell_job(ticket) };
    let cold = reproducible(answers(&mut pool(1), &circuit, &[bare(1)]).unwrap());
    let mut broken = cell_job(2);
    broken.alters.push("alter @m.nobody[delvto]=1".into());
    let mut tight = cell_job(3);
    tight.alters.push("option reltol=1e-6".into());
    let after = reproducible(answers(&mut pool(1), &circuit, &[cell_job(0), tight, bare(1), broken, bare(4)]).unwrap());
    assert_eq!(after[1], cold[0]);
    assert_eq!(after[2].outcome, Outcome::Refused);
    assert_eq!(after[4].waveform, cold[0].waveform);
    assert_ne!(after[0].waveform, cold[0].waveform);
}

#[test]
fn sweeps_of_sources_and_frequency() {
    let deck = "divider
        v1 in 0 dc 1 ac 1
        r1 in out 1k
        r2 out 0 3k
        c2 out 0 1n
        .end";
    let mut dc = job(0, &[], "dc v1 0 2 0.25");
    dc.signals = vec!["v(out)".into(), "v(in,out)".into(), "i(v1)".into()];
    let mut ac = job(1, &[], "ac dec 5 1k 10meg");
    ac.signals = ["v(out)", "vp(out)", "vr(out)", "vi(out)"].map(String::from).to_vec();
    let mut op = job(2, &["alter v1 dc=2".into()], "op");
    op.signals = vec!["v(out)".into()];
    let mut noise = job(3, &[], "noise v(out) v1 dec 1 1k 100k");
    noise.signals = vec!["onoise_spectrum".into()];
    let mut jobs = [dc, ac, op, noise];
    jobs.iter_mut().for_each(|job| job.keep_waveform = true);
    let found = answers(&mut pool(1), &circuit(deck), &jobs).unwrap();
    let waveform = |ticket: u64| found[&ticket].waveform.clone().unwrap_or_else(|| panic!("{:?}", found[&ticket]));
    // Three decades of five points each, and linear circuits to ngspice's default reltol of 1e-3 or better.
    let dc = waveform(0);
    assert_eq!(dc.axis.len(), 9);
    for (k, v) in dc.axis.iter().enumerate() {
        assert!((dc.signal("v(out)").unwrap()[k] - 0.75 * v).abs() < 1e-9);
        assert!((dc.signal("v(in,out)").unwrap()[k] - 0.25 * v).abs() < 1e-9);
        assert!((dc.signal("i(v1)").unwrap()[k] + v / 4e3).abs() < 1e-9);
    }
    let ac = waveform(1);
    for (k, f) in ac.axis.iter().enumerate() {
        // 0.75 / (1 + j w R C) with R = 1k || 3k.
        let x = std::f64::consts::TAU * f * 750.0 * 1e-9;
        let at = |name: &str| ac.signal(name).unwrap()[k];
        assert!((at("v(out)") - 0.75 / (1.0 + x * x).sqrt()).abs() < 1e-9, "{f} Hz");
        assert!((at("vp(out)") + x.atan()).abs() < 1e-9);
        assert!((at("vr(out)").hypot(at("vi(out)")) - at("v(out)")).abs() < 1e-12);
    }
    assert_eq!((waveform(2).axis, waveform(2).signals["v(out)"].clone()), (vec![0.0], vec![1.5]));
    // At low frequency sqrt(4 k T R) of 750 ohm; ngspice gives the density per root hertz.
    let density = waveform(3).signals["onoise_spectrum"][0];
    let expected = (4.0 * 1.380_649e-23 * 300.15 * 750.0f64).sqrt();
    assert!((density / expected - 1.0).abs() < 1e-3, "{density:e} against {expected:e}");
}
