//! `gaincell explain` against the program `ngspice -b`: one point of every sweep, and every kind of measurement.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use gaincell::campaign::{Explained, Explanation, StoredRow, explain_run, latest_run, planned_job, run_sweep};
use gaincell::dataset::{Outcome, Value};
use gaincell::measure::{Crossing, Edge, How, Measurement, signals_of};
use gaincell::netlist::LoadedCircuit;
use gaincell::project::{Project, stems};
use gaincell::simulate::{Answer, Circuit, FakeSimulator, Job, PoolOptions, Simulator, WorkerPool};
use gaincell::spec::SweepSpec;
use gaincell::sweep::{Group, PlannedPoint, Planner, RowTemplate};
use gaincell::tech::Technology;
use gaincell::units::Unit;
use gaincell::waveform::Waveform;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pool() -> WorkerPool {
    let options = PoolOptions { workers: NonZeroUsize::new(1), ..PoolOptions::new(env!("CARGO_BIN_EXE_gaincell")) };
    WorkerPool::new(options).unwrap()
}

/// Simulates points of one group, one after the other on the warm circuit of one worker; the last one's answer.
fn simulate(
    pool: &mut WorkerPool,
    spec: &SweepSpec,
    startup: &[String],
    group: &Group,
    points: &[&PlannedPoint],
) -> Answer {
    let circuit =
        Circuit { key: group.circuit.key.clone(), lines: group.circuit.lines.clone(), startup: startup.to_vec() };
    let job = |(ticket, point): (u64, &&PlannedPoint)| planned_job(ticket, group, point, &spec.limits);
    let jobs: Vec<Job> = (0..).zip(points).map(job).collect();
    let mut answers = Vec::new();
    pool.run(&circuit, &jobs, &mut |answer| {
        answers.push(answer);
        true
    })
    .unwrap();
    answers.into_iter().max_by_key(|answer| answer.ticket).unwrap()
}

/// Simulates the last of `points`, writes its folder, runs plain ngspice there.
fn explain(
    pool: &mut WorkerPool,
    spec: &SweepSpec,
    tech: &Technology,
    startup: &[String],
    group: &Group,
    points: &[&PlannedPoint],
) -> Explanation {
    let answer = simulate(pool, spec, startup, group, points);
    let point = (*points.last().unwrap()).clone();
    assert_eq!(answer.outcome, Outcome::Ok, "{}: {}", spec.name, answer.message);
    let simulator = pool.identity().unwrap();
    let id = point.id(group, startup, &simulator);
    let row = point.row(id, 0, answer.outcome, answer.measured, answer.message);
    let stored = Some(StoredRow { row, run: PathBuf::new(), simulator });
    let (group, startup) = (Group { points: Vec::new(), ..group.clone() }, startup.to_vec());
    let explained = Explained { spec: spec.clone(), tech: tech.clone(), group, point, startup, stored, outdated: None };
    let folder = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    explained.write(folder.path(), true).unwrap()
}

#[test]
fn plain_ngspice_measures_the_same_on_a_point_of_every_sweep() {
    let project = Project::find(Some(root()), None).unwrap();
    let names = stems(&project.sweeps(), "toml");
    assert!(names.len() >= 12, "{names:?}");
    // Some take a minute, a whole token the most, and it comes late in the alphabet; each core takes the next one from there.
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let compared: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut pool = pool();
                    let mut compared = 0;
                    while let Some(name) = names.iter().rev().nth(next.fetch_add(1, Ordering::Relaxed)) {
                        compared += a_point_is_the_same(&project, name, &mut pool);
                    }
                    compared
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(compared >= names.len(), "{compared} measurements of {} sweeps", names.len());
}

/// Compares a point of a sweep, and says how many measurements of it were equal.
fn a_point_is_the_same(project: &Project, name: &str, pool: &mut WorkerPool) -> usize {
    let spec = SweepSpec::read(&project.sweep_file(name).unwrap(), &project.benches()).unwrap();
    let tech = Technology::find(&spec.tech, &project.technologies()).unwrap();
    let planner = Planner::new(&spec, &tech).unwrap();
    let plan = planner.plan(&planner.design(), 0).unwrap();
    // Neither the first point nor alone: another one runs before it on the warm circuit and leaves its alters behind.
    let group = plan.groups.iter().max_by_key(|group| group.points.len()).unwrap();
    let place = (2 * group.points.len()).div_ceil(3).min(group.points.len() - 1);
    assert!(place > 0, "{name} has one point only");
    let points = [&group.points[0], &group.points[place]];
    assert_ne!(points[0].alters, points[1].alters, "{name}: the alters must matter");
    let explanation = explain(pool, &spec, &tech, &plan.startup, group, &points);
    assert_eq!(explanation.measurements.len(), spec.measures.len());
    for compared in &explanation.measurements {
        // The bits are equal on every machine that both sides share; a bound would hide what makes them differ.
        assert!(compared.stored.is_some() && compared.bit_for_bit, "{name}:{}: {compared:?}", explanation.index);
    }
    explanation.measurements.len()
}

#[test]
fn a_point_of_a_variant_is_found_by_its_place_and_by_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let gaincell = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gaincell"));
        let output = command.current_dir(root()).args(arguments).arg("--out").arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    gaincell(&["sweep", "write", "--pvt", "--hold", "v_level=0.6V", "--hold", "v_prev=0V", "--json"]);
    let by_place = gaincell(&["explain", "write_pvt:8", "--run", "--json"]);
    assert_eq!(by_place["labels"]["corner"], "ss_cold_low");
    let measured = by_place["measurements"].as_array().unwrap();
    assert!(!measured.is_empty() && measured.iter().all(|m| m["bit_for_bit"] == true), "{by_place}");
    let by_id = gaincell(&["explain", by_place["id"].as_str().unwrap(), "--json"]);
    assert_eq!((&by_id["index"], &by_id["values"]), (&by_place["index"], &by_place["values"]));
}

fn measurement(column: &str, how: How) -> Measurement {
    Measurement { column: column.into(), unit: Unit::One, how }
}

fn crossing(signal: &str, level: f64, edge: Edge, nth: i32, from: f64, to: f64) -> Crossing {
    Crossing { signal: signal.into(), level, edge, nth, from, to }
}

/// Every kind of measurement, with the windows, signs and functions that the sweeps leave out.
fn every_kind() -> Vec<Measurement> {
    let (all, end) = (f64::NEG_INFINITY, f64::INFINITY);
    let signal = || "v(b) - v(x.c)/3".to_string();
    vec![
        measurement("at", How::At { signal: signal(), at: 6.25e-6 }),
        measurement("at_start", How::At { signal: "v(b,1)".into(), at: 0.0 }),
        measurement("last_rise", How::Cross(crossing("v(b)", 0.4, Edge::Rise, -1, all, end))),
        measurement("second_any", How::Cross(crossing("v(b)", 0.4, Edge::Any, 2, 1.3e-6, 9e-6))),
        measurement(
            "delay",
            How::Delay {
                start: crossing("v(a)", 0.5, Edge::Rise, 2, all, end),
                end: crossing("v(b)", 0.3, Edge::Fall, 1, 1e-6, end),
                or_zero: false,
            },
        ),
        measurement(
            "never",
            How::Delay {
                start: crossing("v(a)", 5.0, Edge::Rise, 1, all, end),
                end: crossing("v(b)", 0.3, Edge::Fall, 1, all, end),
                or_zero: true,
            },
        ),
        measurement("integral", How::Integral { signal: "-i(v1)".into(), from: 0.3e-6, to: 7.7e-6 }),
        measurement("integral_all", How::Integral { signal: "v(a)**2 * 1m".into(), from: all, to: end }),
        measurement("mean", How::Mean { signal: signal(), from: 1.1e-6, to: end }),
        measurement("mean_of_a_point", How::Mean { signal: signal(), from: 1.1e-6, to: 1.1e-6 }),
        measurement("max", How::Max { signal: "max(v(b), v(x.c), 0.05)".into(), from: 1.7e-6, to: 5.3e-6 }),
        measurement("min", How::Min { signal: "min(v(b), v(x.c))".into(), from: 2.2e-6, to: 3.7e-6 }),
        measurement("settle", How::Settle { signal: "v(b)".into(), tolerance: 0.013, from: 1e-6, to: 2.1e-6 }),
        measurement("settled", How::Settle { signal: "v(b)".into(), tolerance: 9.0, from: 1e-6, to: 2.1e-6 }),
        measurement("curve", How::Sample { signal: "sqrt(abs(v(b)))".into(), at: vec![9e-6, 1e-7, 3.3e-6, 0.0] }),
        measurement("curve_of_one", How::Sample { signal: "v(b)".into(), at: vec![4.4e-6] }),
        measurement("not", How::Expr { expr: "exp(-mean) + ln(max)*log10(k_ohm) - max(mean, at, -k_ohm)**3".into() }),
    ]
}

/// A point of a circuit that no bench states.
fn own(lines: &str, alters: &[&str], analysis: &str, measurements: Vec<Measurement>) -> (Group, PlannedPoint) {
    let signals = signals_of(&measurements);
    let lines: Vec<String> = lines.lines().map(|line| line.trim().to_string()).collect();
    let circuit = LoadedCircuit {
        key: blake3::hash(lines.join("\n").as_bytes()).to_string(),
        origins: vec![None; lines.len()],
        lines,
    };
    let row = RowTemplate { index: 0, values: [("k_ohm".to_string(), 123.456)].into(), labels: BTreeMap::new() };
    let alters = alters.iter().map(ToString::to_string).collect();
    let point = PlannedPoint { row, alters, analysis: analysis.into(), t_stop_s: None, measurements };
    (Group { circuit, signals, process: None, fixed: BTreeMap::new(), options: vec![], points: vec![] }, point)
}

const FILTER: &str = "filter
    v1 a 0 dc 0.7 ac 1 pulse(0 1 0.5u 0.2u 0.2u 1u 3u)
    v2 1 0 dc 0.1
    r1 a b 1k
    c1 b 0 0.3n
    x b sub
    .subckt sub b
    r1 b c 2k
    c1 c 0 0.2n
    .ends
    .end";

#[test]
fn every_kind_of_measurement_gives_the_same_bits() {
    let project = Project::find(Some(root()), None).unwrap();
    let spec = SweepSpec::read(&project.sweep_file("leakage").unwrap(), &project.benches()).unwrap();
    let tech = Technology::find(&spec.tech, &project.technologies()).unwrap();
    let mut pool = pool();
    let at = |at: f64| vec![measurement("v", How::At { signal: "v(b) - i(v1)".into(), at })];
    let peak = || measurement("peak", How::Max { signal: "v(b)".into(), from: f64::NEG_INFINITY, to: f64::INFINITY });
    for (analysis, measurements) in [
        ("tran 10n 10u 0 50n", every_kind()),
        ("op", at(0.0)),
        ("dc v1 0.5 0.5 0.1", vec![at(0.5).remove(0), peak()]),
        ("dc v1 0 0.9 0.1", at(0.77)),
        ("dc temp 0 90 15", at(33.3)),
        ("ac dec 7 1k 10meg", vec![at(3.21e5).remove(0), peak()]),
    ] {
        let (group, point) = own(FILTER, &["set temp=61.7", "alter r1 = 1.7e3"], analysis, measurements);
        let explanation = explain(&mut pool, &spec, &tech, &[], &group, &[&point]);
        for compared in &explanation.measurements {
            assert!(compared.bit_for_bit, "{analysis}: {compared:?}");
        }
    }
}

#[test]
fn what_finds_nothing_is_missing_on_both_sides() {
    let project = Project::find(Some(root()), None).unwrap();
    let spec = SweepSpec::read(&project.sweep_file("leakage").unwrap(), &project.benches()).unwrap();
    let mut pool = pool();
    let (all, end) = (f64::NEG_INFINITY, f64::INFINITY);
    let never = crossing("v(b)", 7.0, Edge::Rise, 1, all, end);
    let early = crossing("v(a)", 0.5, Edge::Rise, 1, all, end);
    let measurements = vec![
        measurement("too_late", How::At { signal: "v(b)".into(), at: 11e-6 }),
        measurement("never", How::Cross(never.clone())),
        measurement("third_last", How::Cross(Crossing { nth: -30, ..early.clone() })),
        measurement("no_start", How::Delay { start: never.clone(), end: early.clone(), or_zero: false }),
        measurement("no_end", How::Delay { start: early, end: never, or_zero: true }),
        measurement("outside", How::Integral { signal: "v(b)".into(), from: 1e-6, to: 11e-6 }),
        measurement("backward", How::Max { signal: "v(b)".into(), from: 2e-6, to: 1e-6 }),
        measurement("partly", How::Sample { signal: "v(b)".into(), at: vec![1e-6, 11e-6] }),
        measurement("of_missing", How::Expr { expr: "never + 1".into() }),
        measurement("undefined", How::Expr { expr: "nobody + 1".into() }),
        measurement("there", How::At { signal: "v(b)".into(), at: 1e-6 }),
    ];
    let (group, point) = own(FILTER, &[], "tran 10n 10u 0 50n", measurements);
    let answer = simulate(&mut pool, &spec, &[], &group, &[&point]);
    assert_eq!(answer.outcome, Outcome::MeasurementMissing);
    let script = gaincell::measure::Script::new(&point.analysis, &point.measurements, &point.row.values).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let deck: Vec<&str> = FILTER.lines().filter(|line| line.trim() != ".end").collect();
    let deck =
        format!("{}\n.control\n{}\n{}\nquit\n.endc\n.end\n", deck.join("\n"), point.analysis, script.lines.join("\n"));
    std::fs::write(folder.path().join(gaincell::simulate::DECK_FILE), deck).unwrap();
    std::fs::write(folder.path().join(".spiceinit"), gaincell::simulate::SPICEINIT).unwrap();
    let measured = script.read(&gaincell::simulate::run_batch(folder.path()).unwrap());
    assert_eq!(measured, answer.measured);
    assert_eq!(measured.keys().map(String::as_str).collect::<Vec<_>>(), ["there"]);
    assert!(matches!(measured["there"], Value::Scalar(v) if v > 0.0));
}

const BENCH: &str = "RC\n.param r=1k\nv1 a 0 pulse(0 1 1n 10p 10p 1 2)\nr1 a b {r}\nc1 b 0 1p\n\
    .tran 10p 10n 0 0.1n\n.end\n";
const SWEEP: &str = "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n\
    [parameters.r]\nunit = \"ohm\"\nvalues = [\"1 kohm\", \"2 kohm\", \"3 kohm\"]\n\
    [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"7.3 ns\"\n";

fn gaincell(root: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .args(arguments)
        .arg("--project")
        .arg(root)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_finds_a_point_by_place_and_by_identity() {
    let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    let root = dir.path();
    std::fs::write(root.join("gaincell.toml"), "schema = 1\n").unwrap();
    std::fs::create_dir(root.join("sweeps")).unwrap();
    std::os::unix::fs::symlink(self::root().join("netlists"), root.join("netlists")).unwrap();
    std::fs::write(root.join("sweeps/rc.toml"), SWEEP).unwrap();
    std::fs::write(root.join("sweeps/rc.cir"), BENCH).unwrap();
    let json = |arguments: &[&str]| -> serde_json::Value {
        let (code, out, err) = gaincell(root, arguments);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };

    // Before any simulation there is a deck, and nothing to compare with.
    let planned = json(&["explain", "rc:1", "--json"]);
    assert!(planned["id"].is_null() && planned["notes"][0].as_str().unwrap().starts_with("not simulated yet"));
    assert!(root.join("results/explain/rc-1/deck.cir").is_file());

    assert_eq!(gaincell(root, &["sweep", "rc", "--quiet"]).0, 0);
    let by_place = json(&["explain", "rc:1", "--run", "--json"]);
    assert_eq!((by_place["outcome"].as_str(), by_place["tier"].as_u64()), (Some("Ok"), Some(0)));
    assert_eq!(by_place["measurements"][0]["bit_for_bit"], true, "{by_place}");
    let id = by_place["id"].as_str().unwrap();
    let by_id = json(&["explain", &id[..8], "--run", "--json"]);
    assert_eq!(by_id, by_place);

    // The printed command is what the user types.
    let command = by_place["command"].as_str().unwrap();
    let output = Command::new("sh").args(["-c", command]).stdin(std::process::Stdio::null()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = printed.lines().find_map(|line| line.strip_prefix("v_end_v = ")).expect(&printed);
    assert_eq!(number.trim().parse::<f64>().unwrap(), by_place["measurements"][0]["stored"].as_f64().unwrap());

    // After a change of the bench the rows are another circuit's; an identity of no run is found by planning.
    std::fs::write(root.join("sweeps/rc.cir"), BENCH.replace("1p\n", "2p\n")).unwrap();
    let (_, out, err) = gaincell(root, &["explain", "rc:1", "--run"]);
    assert!(out.contains("another identity"), "{out}{err}");
    for (point, code, words) in [
        ("rc:3", 2, "a place in the design"),
        ("rc", 2, "names no point"),
        ("ffffffffffff", 2, "no point begins with"),
        ("nobody:1", 14, "there is no sweep"),
    ] {
        let (found, _, err) = gaincell(root, &["explain", point]);
        assert!(found == code && err.contains(words), "{point}: {found} {err}");
    }
}

#[test]
fn every_row_of_a_run_is_checked_and_rows_that_ngspice_did_not_make_are_named() {
    let out = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    let project = Project::find(Some(root()), Some(out.path())).unwrap();
    let spec = SweepSpec::read(&project.sweep_file("readout_dc").unwrap(), &project.benches()).unwrap();
    let tech = Technology::find(&spec.tech, &project.technologies()).unwrap();
    let check = |folder: &Path| {
        let run = latest_run(&project, "readout_dc", &tech.name).unwrap();
        let mut told = Vec::new();
        let checked = explain_run(&project, &run, folder, 2, &mut |progress| {
            told.push(progress.done);
            true
        });
        let checked = checked.unwrap();
        assert_eq!(told, (1..=checked.points).collect::<Vec<_>>());
        checked
    };
    // Another simulator's rows: 41 uA whatever the voltage, where ngspice has 40.6 uA.
    let respond = |_: &Circuit, _: &Job| Waveform {
        axis: vec![0.34, 0.47],
        signals: [("i(vbl)".to_string(), vec![41e-6; 2])].into(),
    };
    let mut fake = FakeSimulator::new(2, respond);
    run_sweep(&project, &spec, &tech, "quick", &mut fake, &mut |_| true).unwrap();
    let kept = out.path().join("kept");
    let checked = check(&kept);
    assert_eq!((checked.equal, checked.close, checked.points_off), (0, 0, checked.points));
    assert!(
        checked.off[0].starts_with("0 i_conv_a: ") && checked.off[0].ends_with("e-3 relative"),
        "{:?}",
        checked.off
    );
    assert!((5e-3..2e-2).contains(&checked.largest_relative_difference), "{checked:?}");
    assert!(std::fs::read_dir(kept.join("0")).unwrap().count() >= 2, "deck and start-up file");

    run_sweep(&project, &spec, &tech, "quick", &mut pool(), &mut |_| true).unwrap();
    let nothing = out.path().join("nothing");
    let checked = check(&nothing);
    // The three points, and those that the guard repeats.
    assert!(checked.points >= 3 && checked.equal == checked.points, "{checked:?}");
    assert_eq!((checked.largest_relative_difference, checked.outdated, checked.off.len()), (0.0, 0, 0));
    assert!(std::fs::read_dir(&nothing).map_or(0, Iterator::count) == 0, "what agrees leaves no deck behind");

    let stopped =
        explain_run(&project, &latest_run(&project, "readout_dc", &tech.name).unwrap(), &nothing, 1, &mut |_| false);
    assert_eq!(stopped.unwrap_err().kind(), gaincell::error::Kind::Interrupted);
}
