//! The command line: every kind of bad input ends in one clear message and its own exit code, and loses nothing.
#![cfg(feature = "simulate")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A project of its own, in a folder with a space, that shares the repository's netlists.
struct Project {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

const BENCH: &str = "RC\n.param r=1k\n.param v=1\nv1 a 0 pulse(0 {v} 1n 10p 10p 1 2)\nr1 a b {r}\nc1 b 0 1p\n\
    .tran 10p 10n 0 0.1n\n.end\n";
const SWEEP: &str = "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n\
    [parameters.r]\nunit = \"ohm\"\nvalues = [\"1 kohm\", \"2 kohm\"]\n\
    [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"10 ns\"\n";

impl Project {
    fn new() -> Project {
        let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
        let root = dir.path().to_path_buf();
        fs::write(root.join("gaincell.toml"), "schema = 1\n").unwrap();
        fs::create_dir(root.join("sweeps")).unwrap();
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists"), root.join("netlists"))
            .unwrap();
        let project = Project { _dir: dir, root };
        project.write("rc.cir", BENCH);
        project
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root.join("sweeps").join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_gaincell"))
            .args(arguments)
            .arg("--project")
            .arg(&self.root)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `sweep` on this TOML and bench; the exit code and what was said.
    fn sweep(&self, toml: &str, bench: &str) -> (i32, String) {
        self.write("rc.cir", bench);
        self.write("rc.toml", toml);
        let output = self.run(&["sweep", "rc"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), text)
    }
}

#[test]
fn a_sweep_gives_rows_and_the_second_run_reuses_them() {
    let project = Project::new();
    project.write("rc.toml", SWEEP);
    let first = project.run(&["sweep", "rc", "--json"]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let rows: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(
        (rows[0]["points"].as_u64(), rows[0]["ok"].as_u64(), rows[0]["cached"].as_u64()),
        (Some(2), Some(2), Some(0))
    );
    let second = project.run(&["sweep", "rc", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(rows[0]["cached"].as_u64(), Some(2));

    // The charging of a capacitor, by hand: 1 - exp(-t / RC), 8.995 ns after the edge's middle. The bound is ngspice's
    // default reltol of 1e-3.
    let name = fs::read_to_string(project.root.join("results/rc/generic28.latest")).unwrap();
    let data = gaincell::dataset::Dataset::read(&project.root.join("results/rc").join(name.trim())).unwrap();
    for row in data.ok().iter() {
        let expected = 1.0 - (-8.995e-9 / (row.values["r_ohm"] * 1e-12)).exp();
        let measured = row.measured["v_end_v"].scalar().unwrap();
        assert!((measured - expected).abs() < 1e-3, "{measured} for {expected}");
    }
}

#[test]
fn mistakes_of_a_sweep_file_have_their_codes_and_name_their_place() {
    let project = Project::new();
    for (from, to, code, place) in [
        ("values =", "valeus =", 11, "rc.toml:7"),
        ("\"1 kohm\"", "1000", 12, "parameters.r.values"),
        ("\"1 kohm\"", "\"1 kV\"", 12, "parameters.r.values"),
        ("\"1 kohm\"", "\"1000\"", 12, "parameters.r.values"),
        ("generic28", "generic7", 13, "generic28"),
        ("rc.cir", "nobody.cir", 14, "rc.toml:4"),
        ("name = \"rc\"", "name = ", 10, "rc.toml:2"),
        ("[parameters.r]", "[parameters.q]", 11, "parameters.q"),
    ] {
        let (found, text) = project.sweep(&SWEEP.replacen(from, to, 1), BENCH);
        assert_eq!(found, code, "{to}: {text}");
        assert!(text.contains(place) && text.contains("accepted"), "{to}: {text}");
    }
    let output = project.run(&["sweep", "nothing"]);
    assert_eq!(output.status.code(), Some(14));
}

#[test]
fn mistakes_of_a_netlist_have_their_codes_and_name_their_line() {
    let project = Project::new();
    for (from, to, code, place) in [
        ("{r}\n", "{rr}\n", 16, "rc.cir:5"),
        ("r1 a b {r}", "r1 a b {r}\nm1 a b 0 0 nobody w=1u l=1u", 15, "rc.cir:6"),
        ("c1 b 0 1p", "c1 b 0 1p\n.include nobody.lib", 14, "rc.cir:7"),
        ("c1 b 0 1p", "c1 b 0 1p\nv2 a 0 2\nv3 a 0 3", 17, "singular"),
        (".tran 10p", ".control\nshell true\n.endc\n.tran 10p", 18, "rc.cir:7"),
    ] {
        let (found, text) = project.sweep(SWEEP, &BENCH.replacen(from, to, 1));
        assert_eq!(found, code, "{to}: {text}");
        assert!(text.contains(place), "{to}: {text}");
    }
}

#[test]
fn one_circuit_at_fault_does_not_keep_the_other_sweeps() {
    let project = Project::new();
    project.write("loop.cir", &BENCH.replace("c1 b 0 1p", "c1 b 0 1p\nv2 a 0 2\nv3 a 0 3"));
    project.write("a_loop.toml", &SWEEP.replace("\"rc\"", "\"a_loop\"").replace("rc.cir", "loop.cir"));
    project.write("rc.toml", SWEEP);
    let output = project.run(&["sweep", "--all", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(17), "{said}");
    assert!(said.contains("a_loop") && said.contains("singular"), "{said}");
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((rows.as_array().unwrap().len(), rows[0]["ok"].as_u64()), (1, Some(2)));
}

#[test]
fn what_was_simulated_before_a_mistake_is_kept() {
    let project = Project::new();
    assert_eq!(project.sweep(SWEEP, BENCH).0, 0);
    assert_eq!(project.sweep(SWEEP, &BENCH.replace("{r}\n", "{rr}\n")).0, 16);
    project.write("rc.cir", BENCH);
    let again = project.run(&["sweep", "rc", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(rows[0]["cached"].as_u64(), Some(2));
}

#[test]
fn a_measurement_that_finds_nothing_is_a_typed_row() {
    let project = Project::new();
    let (code, text) = project.sweep(&SWEEP.replace("10 ns", "20 ns"), BENCH);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("measurement_missing") && text.contains("v_end_v"), "{text}");
}

#[test]
fn stages_without_their_input_say_which_command_comes_first() {
    let project = Project::new();
    for (command, help) in
        [("fit", "gaincell sweep device"), ("validate", "gaincell export"), ("report", "gaincell sweep")]
    {
        let output = project.run(&[command]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(14), "{command}: {text}");
        assert!(text.contains(help), "{command}: {text}");
    }
}

#[test]
fn every_subcommand_has_help() {
    let project = Project::new();
    for command in ["run", "sweep", "explain", "fit", "export", "emulate", "validate", "plot", "report"] {
        let output = project.run(&[command, "--help"]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage:"), "{command}");
    }
}

/// A sweep of some seconds, started in the background; returns when its first rows are on disk.
fn start_long(project: &Project, program: &str) -> std::process::Child {
    project.write(
        "rc.toml",
        &SWEEP.replace("values = [\"1 kohm\", \"2 kohm\"]", "from = \"1 kohm\"\nto = \"2 kohm\"\nsteps = 30000"),
    );
    let mut child = Command::new(program)
        .args(["sweep", "rc", "--quiet", "--project"])
        .arg(&project.root)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let stored = || -> u64 {
        let segments = fs::read_dir(project.root.join("results/.store")).into_iter().flatten().flatten();
        let sizes = |path: PathBuf| -> u64 {
            if path.is_dir() {
                fs::read_dir(path).unwrap().flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
            } else {
                path.metadata().map_or(0, |m| m.len())
            }
        };
        segments.map(|entry| sizes(entry.path())).sum()
    };
    for _ in 0..600 {
        if stored() > 10_000 {
            return child;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("no row was stored in 30 s");
}

fn signal(child: &std::process::Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Rows that the next start finds done, and all rows.
fn resumed(project: &Project) -> (u64, u64) {
    let output = project.run(&["sweep", "rc", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["points"], rows[0]["ok"]);
    (rows[0]["cached"].as_u64().unwrap(), rows[0]["points"].as_u64().unwrap())
}

#[test]
fn an_interrupt_saves_what_is_finished() {
    let project = Project::new();
    let mut child = start_long(&project, env!("CARGO_BIN_EXE_gaincell"));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (cached, points) = resumed(&project);
    assert!(cached > 0 && points == 30_000, "{cached} of {points}");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let project = Project::new();
    let mut child = start_long(&project, env!("CARGO_BIN_EXE_gaincell"));
    signal(&child, "-KILL");
    child.wait().unwrap();
    let (cached, points) = resumed(&project);
    assert!(cached > 0 && points == 30_000, "{cached} of {points}");
}

/// The processes that a process has started.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // After the name, which stands in parentheses: state, parent.
    let parent_of = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    ids.filter(|id| parent_of(id) == Some(parent)).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_goes_on_when_its_program_is_replaced() {
    let project = Project::new();
    let program = project.root.join("gaincell");
    fs::copy(env!("CARGO_BIN_EXE_gaincell"), &program).unwrap();
    let mut child = start_long(&project, program.to_str().unwrap());
    fs::remove_file(&program).unwrap();
    fs::write(&program, "half of another program").unwrap();
    // Each worker that ends needs a new one.
    let workers = children(child.id());
    assert!(!workers.is_empty());
    for worker in workers {
        assert!(Command::new("kill").args(["-KILL", &worker.to_string()]).status().unwrap().success());
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (cached, points) = resumed(&project);
    assert_eq!((cached, points), (30_000, 30_000));
}

/// What the linker drops or does not export makes nothing fail, only every point slower.
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#[test]
fn libngspice_takes_these_functions_from_the_program() {
    let project = Project::new();
    project.write("rc.toml", SWEEP);
    let status = Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .args(["sweep", "rc", "--quiet", "--project"])
        .arg(&project.root)
        // The loader then writes one file per process: which function of which file is found where.
        .env("LD_DEBUG", "bindings")
        .env("LD_DEBUG_OUTPUT", project.root.join("bound"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let files = fs::read_dir(&project.root).unwrap().flatten();
    let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("bound."));
    let bound: String = logs.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    for function in ["GOMP_parallel", "ftime", "malloc", "free"] {
        let name = format!("`{function}'");
        let found = bound.lines().filter(|line| line.contains(&name)).filter_map(|line| line.split_once(" to "));
        let from: Vec<&str> = found.filter(|(user, _)| user.contains("libngspice")).map(|(_, from)| from).collect();
        assert!(!from.is_empty() && from.iter().all(|from| from.contains("gaincell [0]")), "{function}: {from:?}");
    }
}
