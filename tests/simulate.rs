//! ngspice through worker processes: against closed forms, and against everything that goes wrong.
#![cfg(feature = "simulate")]

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

fn fault_of(deck: &str) -> (Kind, Option<usize>, String) {
    let error = answers(&mut pool(2), &circuit(deck), &[job(0, &[], "tran 1n 10n"), job(1, &[], "op")]).unwrap_err();
    let problem = &error.problems()[0];
    (problem.kind, problem.line, problem.message.clone())
}

#[test]
fn faults_of_a_circuit_end_the_run_with_kind_and_line() {
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nr1 in out {foo}\nr2 out 0 1k\n.end");
    assert_eq!((kind, line), (Kind::UndefinedParameter, Some(3)), "{message}");
    assert!(message.contains("foo"));
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nm1 in in 0 0 nch w=1u l=1u\n.end");
    assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)), "{message}");
    assert!(message.contains("valid modelname"));
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nx1 in 0 nosuch\n.end");
    assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\n.param a={1+}\nr1 in 0 {a}\n.end");
    assert_eq!((kind, line), (Kind::NetlistSyntax, Some(3)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\n.include nothere.inc\n.end");
    assert_eq!((kind, line), (Kind::MissingNetlist, Some(3)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nv2 in 0 2\nr1 in 0 1\n.end");
    assert_eq!(kind, Kind::SingularMatrix, "{message}");
    assert!(message.contains("v1#branch") && line == Some(2), "{message}");
    // ngspice invents a voltage for a floating node and goes on; we do not.
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nr1 in 0 1\nc1 a b 1p\nc2 b 0 1p\ni1 0 a 1p\n.end");
    assert_eq!((kind, line), (Kind::SingularMatrix, Some(4)), "{message}");
    let (kind, line, message) = fault_of("t\nv1 in 0 1\nr1 in 0 1\n.control\nshell touch x\n.endc\n.end");
    assert_eq!((kind, line), (Kind::RefusedDeck, Some(4)), "{message}");
    // A pool lives on after a fault.
    let mut pool = pool(1);
    answers(&mut pool, &circuit("t\nr1 in 0 {foo}\n.end"), &[job(0, &[], "op")]).unwrap_err();
    assert_eq!(answers(&mut pool, &circuit(RC), &[rc_job(0, 1e3)]).unwrap()[&0].outcome, Outcome::Ok);
}

#[test]
fn faults_of_a_point_are_answers() {
    let circuit = circuit(RC);
    let mut limited = rc_job(0, 1e3);
    limited.max_time_points = 100;
    let mut missing = rc_job(1, 1e3);
    if let How::At { at, .. } = &mut missing.measurements[0].how {
        *at = 1.0;
    }
    let mut unknown_signal = rc_job(2, 1e3);
    unknown_signal.signals.push("v(nobody)".into());
    let mut unknown_device = rc_job(3, 1e3);
    unknown_device.alters.push("alter r9=1".into());
    let mut shell = rc_job(4, 1e3);
    shell.alters.push("shell touch escaped".into());
    let bad_analysis = Job { analysis: "tran 10n -5u".into(), ..rc_job(5, 1e3) };
    let short = Job { t_stop_s: Some(6e-6), ..rc_job(6, 1e3) };
    let exact = Job { max_time_points: 511, ..rc_job(7, 1e3) };
    let jobs = [limited, missing, unknown_signal, unknown_device, shell, bad_analysis, short, exact];
    let found = answers(&mut pool(2), &circuit, &jobs).unwrap();
    let outcomes: Vec<Outcome> = found.values().map(|answer| answer.outcome).collect();
    use Outcome::{MeasurementMissing, Nonconvergence, Ok, Refused, Timeout};
    assert_eq!(
        outcomes,
        [Timeout, MeasurementMissing, Refused, Refused, Refused, Refused, Nonconvergence, Ok],
        "{found:#?}"
    );
    assert!(found[&0].message.contains("100 time points"));
    assert_eq!(found[&1].message, "found nothing for v_out_v");
    assert_eq!(found[&1].measured["tau_s"], Value::Scalar(1e3 * 1e-9), "the others are there");
    assert!(found[&2].message.contains("v(nobody)"));
    assert!(found[&3].message.contains("r9"));
}

#[test]
fn steps_too_small_are_nonconvergence() {
    // A source that jumps by an amount that depends on its own result has no solution in the second half.
    let deck = "no solution
        r1 a 0 1
        b1 a 0 i = time > 5n ? (v(a) > 0.5 ? 1 : -1) : 0
        .end";
    let jobs = [job(0, &[], "tran 1n 10n"), job(1, &[], "tran 1n 4n")];
    let found = answers(&mut pool(1), &circuit(deck), &jobs).unwrap();
    assert_eq!(found[&0].outcome, Outcome::Nonconvergence, "{:?}", found[&0]);
    assert!(found[&0].message.contains("Timestep too small"), "{}", found[&0].message);
    assert_eq!(found[&1].outcome, Outcome::Ok, "the worker goes on");
}

/// 1e9 steps: hours.
fn endless(ticket: u64, wall_limit_s: f64) -> Job {
    Job { wall_limit_s, max_time_points: u64::MAX, ..job(ticket, &["alter r1=1000".into()], "tran 1p 1m 0 1p uic") }
}

#[test]
fn a_hung_worker_is_killed_twice_and_its_job_is_a_timeout() {
    let jobs = [rc_job(0, 1e3), endless(1, 0.3), rc_job(2, 2e3), rc_job(3, 3e3)];
    let started = Instant::now();
    let found = answers(&mut pool(1), &circuit(RC), &jobs).unwrap();
    let outcomes: Vec<Outcome> = found.values().map(|answer| answer.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Timeout, Outcome::Ok, Outcome::Ok]);
    assert!(found[&1].message.contains("attempt 2 of 2"), "{}", found[&1].message);
    assert!(started.elapsed() > Duration::from_millis(600) && started.elapsed() < Duration::from_secs(30));
}

fn kill(process_id: u32) {
    let id = rustix::process::Pid::from_raw(process_id.try_into().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

/// About a second of work.
fn long(ticket: u64) -> Job {
    let alters = ["alter r1=1000".into()];
    Job { t_stop_s: Some(5e-6), max_time_points: 2_000_000, ..job(ticket, &alters, "tran 10p 5u 0 10p uic") }
}

#[test]
fn a_killed_worker_costs_one_of_two_attempts() {
    let mut pool = pool(1);
    let circuit = circuit(RC);
    let quiet = answers(&mut pool, &circuit, &[long(0)]).unwrap();
    assert!(quiet[&0].wall_s > 0.2, "long enough to be killed in the middle");
    let quiet = reproducible(quiet);
    assert_eq!(quiet[0].outcome, Outcome::Ok);
    // The worker is killed while it runs job 0 for the first time, and its successor is not.
    let victim = pool.process_ids()[0];
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        kill(victim);
    });
    let found = answers(&mut pool, &circuit, &[long(0), rc_job(1, 2e3)]).unwrap();
    killer.join().unwrap();
    assert_ne!(pool.process_ids()[0], victim);
    assert_eq!(found[&1].outcome, Outcome::Ok);
    assert_eq!(reproducible(found)[0], quiet[0]);
}

#[test]
fn a_worker_killed_while_idle_costs_nothing() {
    let mut pool = pool(1);
    let circuit = circuit(RC);
    answers(&mut pool, &circuit, &[rc_job(0, 1e3)]).unwrap();
    kill(pool.process_ids()[0]);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(answers(&mut pool, &circuit, &[rc_job(1, 1e3)]).unwrap()[&1].outcome, Outcome::Ok);
}

#[test]
fn stopping_drains_and_starts_nothing_new() {
    let circuit = circuit(RC);
    let jobs: Vec<Job> = (0..400).map(|ticket| rc_job(ticket, 1e3)).collect();
    let mut pool = pool(2);
    let mut count = 0;
    pool.run(&circuit, &jobs, &mut |answer| {
        assert_eq!(answer.outcome, Outcome::Ok);
        count += 1;
        count < 10
    })
    .unwrap();
    assert!((10..60).contains(&count), "{count} answers: what runs is drained, what waits is not");
    assert_eq!(answers(&mut pool, &circuit, &jobs).unwrap().len(), 400, "and the pool is as good as new");
}

#[test]
fn an_interrupt_drains_too() {
    let circuit = circuit(RC);
    let options = options(2);
    let interrupt = options.interrupt.clone();
    let mut pool = WorkerPool::new(options).unwrap();
    let jobs: Vec<Job> = (0..8).map(long).collect();
    let mut answered = Vec::new();
    let raiser = std::thread::spawn({
        let interrupt = interrupt.clone();
        move || {
            std::thread::sleep(Duration::from_millis(200));
            interrupt.store(true, Ordering::SeqCst);
        }
    });
    pool.run(&circuit, &jobs, &mut |answer| {
        answered.push((answer.ticket, answer.outcome));
        true
    })
    .unwrap();
    raiser.join().unwrap();
    assert!((1..=4).contains(&answered.len()), "{answered:?}");
    assert!(answered.iter().all(|(_, outcome)| *outcome == Outcome::Ok), "what ran has run to its end");
    interrupt.store(false, Ordering::SeqCst);
    assert_eq!(answers(&mut pool, &circuit, &[rc_job(0, 1e3)]).unwrap().len(), 1);
}

#[test]
fn startup_commands_belong_to_their_circuit() {
    let mut hspice = circuit(RC);
    hspice.startup = vec!["set ngbehavior=hsa".into()];
    hspice.key.push_str(" hsa");
    let mut pool = pool(1);
    assert_eq!(answers(&mut pool, &circuit(RC), &[rc_job(0, 1e3)]).unwrap()[&0].outcome, Outcome::Ok);
    let plain_worker = pool.process_ids()[0];
    assert_eq!(answers(&mut pool, &hspice, &[rc_job(0, 1e3)]).unwrap()[&0].outcome, Outcome::Ok);
    assert_ne!(pool.process_ids()[0], plain_worker, "settings cannot be taken back: another process");
    hspice.startup = vec!["shell touch escaped".into()];
    hspice.key.push_str(" shell");
    assert_eq!(answers(&mut pool, &hspice, &[rc_job(0, 1e3)]).unwrap_err().kind(), Kind::RefusedDeck);
}

/// Discharges with different capacitors, which count as different circuits.
fn capacitors(count: u64) -> Vec<Circuit> {
    (0..count).map(|k| circuit(&RC.replace("1n ic", &format!("{}n ic", 1 + k)))).collect()
}

fn all_answers(
    pool: &mut WorkerPool,
    work: &[Work],
) -> Result<BTreeMap<u64, Answer>, (BTreeMap<u64, Answer>, WorkFault)> {
    let mut answers = BTreeMap::new();
    let result = pool.run_all(work, &mut |answer| {
        assert!(answers.insert(answer.ticket, answer).is_none(), "one answer per job");
        true
    });
    match result {
        Ok(()) => Ok(answers),
        Err(fault) => Err((answers, fault)),
    }
}

#[test]
fn many_circuits_at_once_answer_as_one_by_one() {
    let circuits = capacitors(6);
    // None, one and several jobs.
    let jobs: Vec<Vec<Job>> =
        (0..6u64).map(|k| (0..(k * 3) % 7).map(|n| rc_job(100 * k + n, 1e3 + n as f64)).collect()).collect();
    let work: Vec<Work> = circuits.iter().zip(&jobs).map(|(circuit, jobs)| Work { circuit, jobs }).collect();
    let mut one_by_one = BTreeMap::new();
    let mut single = pool(1);
    for item in &work {
        one_by_one.append(&mut answers(&mut single, item.circuit, item.jobs).unwrap());
    }
    let expected = reproducible(one_by_one);
    assert_eq!(expected.len(), jobs.iter().map(Vec::len).sum::<usize>());
    assert!(expected.iter().all(|answer| answer.outcome == Outcome::Ok));
    for workers in [1, 2, 3] {
        let mut pool = pool(workers);
        assert_eq!(reproducible(all_answers(&mut pool, &work).unwrap()), expected, "{workers} workers");
        let backwards: Vec<Work> = work.iter().rev().copied().collect();
        assert_eq!(reproducible(all_answers(&mut pool, &backwards).unwrap()), expected, "{workers} workers, backwards");
    }
}

#[test]
fn a_worker_keeps_its_circuit() {
    let circuits = capacitors(40);
    let jobs: Vec<Vec<Job>> = (0..40).map(|k| (0..5).map(|n| rc_job(10 * k + n, 1e3)).collect()).collect();
    let work: Vec<Work> = circuits.iter().zip(&jobs).map(|(circuit, jobs)| Work { circuit, jobs }).collect();
    let found = all_answers(&mut pool(2), &work).unwrap();
    assert_eq!(found.len(), 200);
    let shared = (0..40).filter(|k| {
        let mut workers: Vec<u32> = (0..5).map(|n| found[&(10 * k + n)].worker).collect();
        workers.dedup();
        workers.len() > 1
    });
    // Only when no circuit is left does the idle worker help with the other's; a restart of a worker may add one.
    assert!(shared.count() <= 2);
}

#[test]
fn a_fault_of_one_circuit_loses_nothing_of_the_others() {
    let good = circuit(RC);
    let bad = circuit("t\nv1 in 0 1\nr1 in 0 {foo}\n.end");
    let long_jobs: Vec<Job> = (0..2).map(long).collect();
    let bad_jobs = [job(10, &[], "op")];
    let work = [Work { circuit: &good, jobs: &long_jobs }, Work { circuit: &bad, jobs: &bad_jobs }];
    let mut pool = pool(2);
    // Both workers are up and one has the circuit, so that the first long job has begun when the other meets the fault.
    let warm: Vec<Job> = (20..40).map(|ticket| rc_job(ticket, 1e3)).collect();
    assert_eq!(all_answers(&mut pool, &[Work { circuit: &good, jobs: &warm }]).unwrap().len(), 20);
    let (found, fault) = all_answers(&mut pool, &work).unwrap_err();
    assert_eq!((fault.work, fault.error.kind()), (Some(1), Kind::UndefinedParameter));
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0], "what ran is drained, what waited is not begun");
    assert_eq!(found[&0].outcome, Outcome::Ok);
    assert_eq!(all_answers(&mut pool, &work[..1]).unwrap().len(), 2, "and the pool is as good as new");
}

#[test]
fn a_program_that_is_no_worker_is_named() {
    for program in ["/nowhere/gaincell", "/bin/false"] {
        let mut pool =
            WorkerPool::new(PoolOptions { workers: NonZeroUsize::new(1), ..PoolOptions::new(program) }).unwrap();
        assert_eq!(pool.identity().unwrap_err().kind(), Kind::SimulatorUnavailable);
        let error = answers(&mut pool, &circuit(RC), &[rc_job(0, 1e3)]).unwrap_err();
        assert_eq!(error.kind(), Kind::SimulatorUnavailable, "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_that_holds_too_much_memory_is_replaced() {
    let circuit = circuit(RC);
    let mut small = options(1);
    small.recycle_bytes = 1;
    let mut pool = WorkerPool::new(small).unwrap();
    let small_jobs: Vec<Job> = (0..32).map(|ticket| rc_job(ticket, 1e3)).collect();
    answers(&mut pool, &circuit, &small_jobs).unwrap();
    let first = pool.process_ids();
    // What a worker needs for its first job is no leak: the limit is at least twice that. Memory is read every 32 jobs;
    // ten signals of 500,000 samples are 40 MB.
    let heavy = Job { keep_waveform: true, ..long(32) };
    let parts = ["v", "vm", "vp", "vr", "vi"].iter();
    let signals = parts.flat_map(|part| [format!("{part}(out)"), format!("{part}(out,0)")]).collect();
    let found = answers(&mut pool, &circuit, &[Job { signals, ..heavy }]).unwrap();
    assert_eq!(found[&32].waveform.as_ref().unwrap().signals.len(), 10);
    assert_eq!(pool.process_ids(), first, "replaced when there is work again");
    assert_eq!(answers(&mut pool, &circuit, &small_jobs).unwrap().len(), 32);
    assert_ne!(pool.process_ids(), first);
}

#[cfg(target_os = "linux")]
#[test]
fn workers_end_with_the_pool_and_leave_nothing_behind() {
    let mut pool = pool(2);
    let jobs = [long(0), long(1)];
    answers(&mut pool, &circuit(RC), &jobs).unwrap();
    let ids = pool.process_ids();
    assert_eq!(ids.len(), 2);
    let folders: Vec<_> = ids.iter().map(|id| std::fs::read_link(format!("/proc/{id}/cwd")).unwrap()).collect();
    assert!(folders.iter().all(|folder| folder.join(".spiceinit").exists()));
    drop(pool);
    assert!(ids.iter().all(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()));
    assert!(folders.iter().all(|folder| !folder.exists()));
}
