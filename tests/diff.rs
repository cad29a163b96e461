//! `gaincell diff` on real runs: a changed resistor, a changed mismatch constant, and nothing changed.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BENCH: &str = "RC\n.param v=1\nv1 a 0 pulse(0 {v} 1n 10p 10p 1 2)\nr1 a b 1k\nc1 b 0 1p\n\
    .options reltol=1e-4\n.tran 10p 10n 0 0.05n\n.end\n";
const SWEEP: &str = "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n\
    [parameters.v]\nunit = \"V\"\nvalues = [\"0.5 V\", \"1 V\"]\n\
    [[measure]]\nname = \"v_2ns\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"2 ns\"\n\
    [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"10 ns\"\n";
const MISMATCH: &str = "schema = 1\nname = \"dice\"\ntech = \"generic28\"\nbench = \"dice.cir\"\n\
    [parameters.vg]\nunit = \"V\"\nvalues = [\"0.9 V\"]\n\
    [mismatch]\nsamples = 60\nseed = 5\ninstances = [\"x1\"]\n\
    [[measure]]\nname = \"i_d\"\nunit = \"A\"\nmax = \"-i(vd)\"\n";
const DICE: &str = "one transistor\n.include ../tech/generic28/models.lib\n.include ../tech/generic28/devices.sub\n\
    .param vg=0.9\nvd d 0 0.9\nvg g 0 {vg}\nx1 d g 0 0 nfet_svt w=200n l=40n\n.dc vg 0.9 0.9 0.1\n.end\n";

struct Project {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Project {
    fn new() -> Project {
        let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
        let root = dir.path().to_path_buf();
        fs::write(root.join("gaincell.toml"), "schema = 1\n").unwrap();
        fs::create_dir(root.join("sweeps")).unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists"), &root.join("netlists"));
        Project { _dir: dir, root }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root.join("sweeps").join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_gaincell"))
            .args(arguments)
            .arg("--project")
            .arg(&self.root)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Runs a sweep; the name of its run.
    fn sweep(&self, name: &str) -> String {
        let (code, _, text) = self.run(&["sweep", name]);
        assert_eq!(code, 0, "{text}");
        let latest = fs::read_to_string(self.root.join("results").join(name).join("generic28.latest")).unwrap();
        format!("{name}:{}", latest.trim())
    }

    fn diff(&self, a: &str, b: &str) -> (i32, serde_json::Value) {
        let (code, json, text) = self.run(&["diff", a, b, "--json"]);
        (code, serde_json::from_str(&json).unwrap_or_else(|_| panic!("{text}")))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::write(&target, fs::read(&path).unwrap()).unwrap() }
    }
}

#[test]
fn a_changed_resistor_is_found_with_its_line_and_its_size() {
    let project = Project::new();
    project.write("rc.cir", BENCH);
    project.write("rc.toml", SWEEP);
    let before = project.sweep("rc");
    let (code, same) = project.diff(&before, "rc");
    assert_eq!((code, same["changes"].as_u64()), (0, Some(0)));

    project.write("rc.cir", &BENCH.replace("r1 a b 1k", "r1 a b 1.1k"));
    let after = project.sweep("rc");
    assert_ne!(before, after);
    let (code, changed) = project.diff(&before, &after);
    assert_eq!(code, 9);
    let lines = changed["deck_changes"][0]["lines"].as_array().unwrap();
    assert!(lines.iter().any(|l| l == "- r1 a b 1k") && lines.iter().any(|l| l == "+ r1 a b 1.1k"), "{lines:?}");
    assert_eq!(changed["noise"]["tolerance"].as_f64(), Some(1e-3));
    // 0.995 ns after the edge's middle the capacitor is at 1 - exp(-t / RC); after 9 time constants nobody sees R, the
    // 1.2e-4 that it still makes being below 10 x reltol.
    let v = |r: f64| 1.0 - (-0.995e-9 / (r * 1e-12)).exp();
    for finding in changed["findings"].as_array().unwrap() {
        let early = finding["measurement"] == "v_2ns_v";
        assert_eq!(finding["significant"].as_bool(), Some(early), "{finding}");
        if early {
            let v_v: f64 = finding["point"]["v_v"].as_str().unwrap().parse().unwrap();
            let expected = v_v * (v(1100.0) - v(1000.0));
            assert!((finding["change"].as_f64().unwrap() / expected - 1.0).abs() < 0.02, "{finding} {expected}");
        }
    }
    let (code, text, error) = project.run(&["diff", &before, &after]);
    assert_eq!(code, 9);
    assert!(
        text.contains("+ r1 a b 1.1k") && text.contains("decks.0000") && error.contains("error[9]"),
        "{text}{error}"
    );
    // A tolerance wide enough hides it.
    assert_eq!(project.run(&["diff", &before, &after, "--tolerance", "0.2"]).0, 0);
}

#[test]
fn a_changed_mismatch_constant_is_a_change_of_spread() {
    let project = Project::new();
    fs::write(project.root.join("netlists/benches/dice.cir"), DICE).unwrap();
    project.write("dice.toml", MISMATCH);
    let before = project.sweep("dice");
    let tech = project.root.join("netlists/tech/generic28/tech.toml");
    let text = fs::read_to_string(&tech).unwrap();
    let line = text.lines().find(|line| line.starts_with("a_vt")).unwrap();
    let number: f64 = line.split('"').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let more = line.replacen(&number.to_string(), &(1.3 * number).to_string(), 1);
    assert_ne!(line, more);
    fs::write(&tech, text.replace(line, &more)).unwrap();
    let (code, changed) = project.diff(&before, &project.sweep("dice"));
    assert_eq!((code, changed["same_draws"].as_bool()), (9, Some(true)), "{changed}");
    let of = |quantity: &str| {
        changed["findings"].as_array().unwrap().iter().find(|f| f["quantity"] == quantity).unwrap().clone()
    };
    let spread = of("spread");
    assert_eq!(spread["significant"].as_bool(), Some(true), "{spread}");
    // Threshold voltage dominates, so that sigma grows by less than its 30 % and by most of it.
    let ratio = spread["effect"].as_f64().unwrap();
    assert!((1.1..1.32).contains(&ratio), "{spread}");
}

#[test]
fn runs_that_are_not_there_are_named_with_those_that_are() {
    let project = Project::new();
    let (code, _, text) = project.run(&["diff", "rc", "rc:x"]);
    assert_eq!(code, 14);
    assert!(text.contains("`rc`") && text.contains("gaincell sweep"), "{text}");
    let (code, text, _) = project.run(&["diff", "--help"]);
    assert!(code == 0 && text.contains("Examples:"), "{text}");
}

#[test]
fn the_guards_words_are_those_that_a_comparison_knows() {
    assert_eq!((gaincell::campaign::FLOOR_LABEL, gaincell::campaign::DOMINATED), ("floor", "dominated"));
}
