//! A disk that takes no more: the sweep ends with a clear message, and the next start goes on with nothing lost.
#![cfg(all(feature = "simulate", feature = "dataset", unix))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BENCH: &str = "RC\n.param r=1k\nv1 a 0 pulse(0 1 1n 10p 10p 1 2)\nr1 a b {r}\nc1 b 0 1p\n.tran 0.1n 10n\n.end\n";
const SWEEP: &str = "schema = 1\nname = \"rc\"\ntech = \"generic28\"\nbench = \"rc.cir\"\n\
    [parameters.r]\nunit = \"ohm\"\nfrom = \"1 kohm\"\nto = \"2 kohm\"\nsteps = 1000\n\
    [[measure]]\nname = \"v_end\"\nunit = \"V\"\nat = \"v(b)\"\ntime = \"10 ns\"\n";

/// Runs the sweep with files limited to so many blocks of 1 KiB: as a full disk does, that lets the first writes through and
/// the end of one only in part.
fn sweep(root: &Path, out: &str, blocks: Option<u32>) -> Output {
    let limit = blocks.map_or(String::new(), |blocks| format!("ulimit -f {blocks}; "));
    // An ignored SIGXFSZ makes the write fail instead of ending the process.
    let script = format!("trap '' XFSZ; {limit}exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_gaincell"), "sweep", "rc", "--json", "--project"]);
    command.arg(root).arg("--out").arg(root.join(out)).current_dir(root).output().unwrap()
}

fn table(root: &Path, out: &str) -> Vec<u8> {
    let folder: PathBuf = root.join(out).join("results/rc");
    let name = fs::read_to_string(folder.join("generic28.latest")).unwrap();
    fs::read(folder.join(name.trim()).join("points.parquet")).unwrap()
}

#[test]
fn a_full_disk_loses_no_row_and_doubles_none() {
    let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    let root = dir.path();
    fs::write(root.join("gaincell.toml"), "schema = 1\n").unwrap();
    fs::create_dir(root.join("sweeps")).unwrap();
    std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists"), root.join("netlists")).unwrap();
    fs::write(root.join("sweeps/rc.cir"), BENCH).unwrap();
    fs::write(root.join("sweeps/rc.toml"), SWEEP).unwrap();

    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let clean = sweep(root, "clean", None);
    assert!(clean.status.success(), "{}", said(&clean));

    // It fills up twice, in different places of a row.
    for blocks in [60, 61] {
        let full = sweep(root, "full", Some(blocks));
        assert_eq!(full.status.code(), Some(3), "{}", said(&full));
        assert!(
            said(&full).contains("File too large") && said(&full).contains(&*root.join("full").to_string_lossy()),
            "{}",
            said(&full)
        );
    }
    let after = sweep(root, "full", None);
    assert!(after.status.success(), "{}", said(&after));
    let rows: serde_json::Value = serde_json::from_slice(&after.stdout).unwrap();
    assert_eq!((rows[0]["points"].as_u64(), rows[0]["ok"].as_u64()), (Some(1000), Some(1000)));
    assert!(rows[0]["cached"].as_u64().is_some_and(|cached| (100..1000).contains(&cached)), "{rows}");
    assert!(table(root, "full") == table(root, "clean"), "the same bytes as without the trouble");
}
