//! Workers that hang, die, grow or are stopped, and many circuits at once.

use super::*;

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
