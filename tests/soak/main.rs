//! The sweep engine under faults: killed workers, hangs, poisoned simulators, points that do not converge, measurements that
//! find nothing, and a parent that is killed. Whatever happens, every point ends as one row, and that row is either
//! what an undisturbed run gives, bit for bit, or typed as what happened to it.
//!
//! Without arguments it is a test of 500 points; `--full` (`make soak`) has 10,000, and looks at memory over 50,000. The program
//! is its own parent (`sweep`) and its own worker (`worker`).

#[cfg(all(feature = "simulate", feature = "dataset"))]
mod faults;
#[cfg(all(feature = "simulate", feature = "dataset"))]
mod sweep;

#[cfg(not(all(feature = "simulate", feature = "dataset")))]
fn main() {}

#[cfg(all(feature = "simulate", feature = "dataset"))]
fn main() -> std::process::ExitCode {
    soak::main()
}

#[cfg(all(feature = "simulate", feature = "dataset"))]
mod soak {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    use gaincell::dataset::{Outcome, Row};
    use gaincell::rng::uniform;
    use gaincell::simulate::Injected;

    use super::faults;
    use super::sweep::{Out, Soak, child};

    /// Which points fail, and when the parent is killed. With this seed each fault comes up at least twice in 500 points, both
    /// once and at every attempt.
    const SEED: u64 = 91;

    pub fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["worker", "--fd", fd] => return faults::worker(fd.parse().unwrap()),
            ["sweep", root, out, workers] => {
                return match child(Path::new(root), Path::new(out), workers.parse().unwrap()) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => {
                        eprintln!("{error}");
                        ExitCode::from(error.exit_code())
                    }
                };
            }
            _ => {}
        }
        // What `cargo test NAME` passes on to every test program.
        let filters: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
        if words.contains(&"--list") {
            println!("soak: test");
        } else if filters.is_empty() || filters.iter().any(|filter| "soak".contains(**filter)) {
            if words.contains(&"--full") {
                faults_and_kills(100, 10);
                memory(500);
            } else {
                faults_and_kills(5, 2);
            }
            println!("soak ... ok");
        }
        ExitCode::SUCCESS
    }

    /// Outcomes by name, in the order of the columns printed.
    fn counts(rows: &[Row]) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        rows.iter().for_each(|row| *counts.entry(row.outcome).or_insert(0) += 1);
        counts
    }

    fn print(what: &str, workers: usize, kills: u32, rows: &[Row], started: Instant) {
        let counts = counts(rows);
        let told: Vec<String> = Outcome::ALL.iter().filter_map(|o| Some(format!("{o} {}", counts.get(o)?))).collect();
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{what:<16} {workers} workers, {kills:>2} kills: {:>6} rows: {} ({seconds:.0} s)",
            rows.len(),
            told.join(", ")
        );
    }

    /// An undisturbed run, then the same points with faults, with several numbers of workers, and with a parent that is killed.
    fn faults_and_kills(levels: u64, kills: u32) {
        let soak = Soak::new(levels);
        let started = Instant::now();
        let clean_out = soak.out("clean", 2, None);
        clean_out.run();
        let clean = clean_out.data().rows;
        print("undisturbed", 2, 0, &clean, started);
        check_clean(&soak, &clean);

        let mut table: Option<Vec<u8>> = None;
        let mut lasted = Duration::ZERO;
        for workers in [1, 2, 4] {
            let started = Instant::now();
            let out = soak.out(&format!("faults {workers}"), workers, Some(SEED));
            out.run();
            lasted = started.elapsed();
            let rows = out.data().rows;
            print("faults", workers, 0, &rows, started);
            check_faults(&clean, &rows);
            let bytes = out.table();
            assert!(table.get_or_insert_with(|| bytes.clone()) == &bytes, "{workers} workers give another table");
        }
        let started = Instant::now();
        let out = soak.out("kills", 4, Some(SEED));
        let done = kill_and_go_on(&out, kills, lasted);
        let rows = out.data().rows;
        print("faults", 4, done, &rows, started);
        check_faults(&clean, &rows);
        assert!(table.as_ref() == Some(&out.table()), "a run that was killed gives another table");
    }

    /// Every point once, each either good or one of the two failures that the bench has.
    fn check_clean(soak: &Soak, rows: &[Row]) {
        assert_eq!(rows.len() as u64, soak.points());
        assert!(rows.iter().enumerate().all(|(place, row)| row.index == place as u64), "each point once");
        for row in rows {
            let expected = match row.values["v_g_v"] {
                v if v < 0.4075 => Outcome::MeasurementMissing,
                v if v > 0.8975 => Outcome::Nonconvergence,
                _ => Outcome::Ok,
            };
            assert_eq!(row.outcome, expected, "{row:?}");
        }
        let counts = counts(rows);
        assert_eq!(counts[&Outcome::MeasurementMissing] as u64, soak.levels);
        assert_eq!(counts[&Outcome::Nonconvergence] as u64, soak.levels);
    }

    /// Points without a fault, or with one that passes, are as in the undisturbed run; the others say what happened.
    fn check_faults(clean: &[Row], rows: &[Row]) {
        assert_eq!(rows.len(), clean.len());
        let mut hit = [0; 3];
        for (clean, row) in clean.iter().zip(rows) {
            let fault = faults::fault(SEED, &row.values);
            if let Some(fault) = fault {
                hit[fault.what as usize] += 1;
            }
            let Some(fault) = fault.filter(|fault| fault.always) else {
                assert_eq!(row, clean);
                continue;
            };
            let (outcome, word) = match fault.what {
                Injected::Kill => (Outcome::Crash, "the worker died: signal: 9"),
                Injected::Hang => (Outcome::Timeout, "still running"),
                Injected::Poison => (Outcome::Crash, "asked to exit"),
            };
            assert_eq!(row.outcome, outcome, "{fault:?}: {row:?}");
            assert!(row.message.contains(word) && row.message.contains("attempt 2 of 2"), "{fault:?}: {row:?}");
            assert!(row.measured.is_empty() && (row.index, &row.values) == (clean.index, &clean.values), "{row:?}");
            // A point that would not converge either has its last tier's identity in the undisturbed run.
            assert!(row.id == clean.id || row.tier < clean.tier, "{row:?} {clean:?}");
        }
        assert!(hit.iter().all(|hits| *hits > 0), "every fault comes up: {hit:?}");
    }

    /// Kills the parent at random moments of a run that lasts about `lasted`, and lets the last start end.
    fn kill_and_go_on(out: &Out<'_>, kills: u32, lasted: Duration) -> u32 {
        let mut done = 0;
        for kill in 0..kills {
            let mut child = out.start();
            // On average nine tenths of the run pass before the last kill, whatever is redone.
            let share = uniform(SEED, u64::from(kill), "parent", "kill") * 1.8 / f64::from(kills);
            std::thread::sleep(lasted.mul_f64(share));
            child.kill().unwrap();
            done += u32::from(!child.wait().unwrap().success());
        }
        out.run();
        assert!(done > 0, "no start was killed in time");
        done
    }

    /// Resident memory of the sweep and of its workers over many points without faults.
    fn memory(levels: u64) {
        const BOUND_BYTES: u64 = 50_000_000;
        let soak = Soak::new(levels);
        let started = Instant::now();
        let out = soak.out("memory", 2, None);
        out.run();
        print("memory", 2, 0, &out.data().rows, started);
        let samples = out.memory();
        let first = samples.iter().find(|[rows, ..]| *rows >= 1000).copied().unwrap();
        let most = |which: usize| samples.iter().filter(|s| s[0] >= 1000).map(|s| s[which]).max().unwrap();
        for (which, what) in [(1, "sweep"), (2, "workers")] {
            let (from, to) = (first[which], most(which));
            println!(
                "{what:<8} {:.1} MB after 1,000 points, at most {:.1} MB later",
                from as f64 / 1e6,
                to as f64 / 1e6
            );
            assert!(to <= from + BOUND_BYTES, "the {what}'s memory grows");
        }
    }
}
