//! A technology that the project does not know, from its `tech.toml` alone: another set of model cards, another supply, other
//! sizes, in a folder elsewhere. The chain as a user runs it: sweeps, fits, lookup table, columns at transistor level.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A 65 nm class process at 1.2 V, written for this test: few parameters, no gate tunnelling, one card per kind.
const MODELS: &str = ".lib nominal
.model n65 nmos level=54 version=4.8 tnom=27 toxe=1.9n toxp=1.5n toxm=1.9n epsrox=3.9 ndep=2.4e18 nsd=2e20 ngate=1e20 xj=25n
+ lint=4n wint=3n vth0=0.33 k1=0.45 k2=0.01 k3=0 lpe0=0 dvt0=1.2 dvt1=1.4 dsub=0.6 eta0=0.06 etab=0 nfactor=1.4 voff=-0.1 u0=0.04 ua=6e-10 ub=1.2e-18
+ vsat=1.1e5 pclm=0.4 pdiblc1=0.02 pdiblc2=0.002 rdsw=150 cgso=2.5e-10 cgdo=2.5e-10 cjs=1e-3 cjsws=1e-10 cjswgs=3e-10 jss=1e-6 jsws=1e-13
+ agidl=1e-12 bgidl=1.2e9 cgidl=0.5 egidl=0.2 kt1=-0.25 ute=-1.5 igcmod=0 igbmod=0 permod=1 diomod=1
.model p65 pmos level=54 version=4.8 tnom=27 toxe=2n toxp=1.6n toxm=2n epsrox=3.9 ndep=2.2e18 nsd=2e20 ngate=1e20 xj=25n
+ lint=4n wint=3n vth0=-0.33 k1=0.45 k2=0.01 k3=0 lpe0=0 dvt0=1.2 dvt1=1.4 dsub=0.6 eta0=0.07 etab=0 nfactor=1.4 voff=-0.1 u0=0.011 ua=9e-10 ub=1e-18
+ vsat=9e4 pclm=0.4 pdiblc1=0.02 pdiblc2=0.002 rdsw=200 cgso=2.5e-10 cgdo=2.5e-10 cjs=1e-3 cjsws=1e-10 cjswgs=3e-10 jss=1e-6 jsws=1e-13
+ agidl=1e-12 bgidl=1.2e9 cgidl=0.5 egidl=0.2 kt1=-0.25 ute=-1.5 igcmod=0 igbmod=0 permod=1 diomod=1
.endl
";

/// High-threshold flavours are the same cards, 430 mV higher and of half the current: a cell that holds, and a full K column that
/// fits the converter's charge.
const WRAPPERS: &str = ".subckt nfet_svt d g s b w=1u l=30n delvto=0 mulu0=1
mn d g s b n65 w={w*w_scale} l={l*l_scale} as={w*w_scale*120n} ad={w*w_scale*120n} ps={2*w*w_scale+240n} pd={2*w*w_scale+240n} delvto={delvto} mulu0={mulu0}
.ends
.subckt pfet_svt d g s b w=1u l=30n delvto=0 mulu0=1
mn d g s b p65 w={w*w_scale} l={l*l_scale} as={w*w_scale*120n} ad={w*w_scale*120n} ps={2*w*w_scale+240n} pd={2*w*w_scale+240n} delvto={delvto} mulu0={mulu0}
.ends
.subckt nfet_hvt d g s b w=1u l=30n delvto=0 mulu0=1
mn d g s b n65 w={w*w_scale} l={l*l_scale} as={w*w_scale*120n} ad={w*w_scale*120n} ps={2*w*w_scale+240n} pd={2*w*w_scale+240n} delvto={delvto+0.43} mulu0={0.5*mulu0}
.ends
.subckt pfet_hvt d g s b w=1u l=30n delvto=0 mulu0=1
mn d g s b p65 w={w*w_scale} l={l*l_scale} as={w*w_scale*120n} ad={w*w_scale*120n} ps={2*w*w_scale+240n} pd={2*w*w_scale+240n} delvto={delvto-0.43} mulu0={0.5*mulu0}
.ends
";

const TECH: &str = r#"
schema = 1
name = "bulk65"
description = "65 nm class bulk CMOS, cards of a test"
vdd = "1.2 V"

[models]
files = ["wrappers.sub"]
[[models.library]]
file = "$BULK65/models.lib"
section = "nominal"

[sizes]
w = 2
l = 2

[parameters]
i_cmp = "100 uA"
t_lag_k = "0.9 ns"
t_lag_v = "0.9 ns"

[devices.nfet_svt]
mosfet = "mn"
w = ["0.1 um", "100 um"]
l = ["0.06 um", "10 um"]
[devices.pfet_svt]
mosfet = "mn"
[devices.nfet_hvt]
mosfet = "mn"
[devices.pfet_hvt]
mosfet = "mn"

[mismatch]
a_vt = "3 mV um"
a_beta = "1 % um"
"#;

fn gaincell(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("BULK65", folder)
        .args(arguments)
        .args(["--tech", folder.join("tech.toml").to_str().unwrap(), "--out", folder.to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_users_own_technology_runs_to_a_lookup_table_and_a_validation() {
    let dir = tempfile::Builder::new().prefix("my tech ").tempdir().unwrap();
    for (name, text) in [("models.lib", MODELS), ("wrappers.sub", WRAPPERS), ("tech.toml", TECH)] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let names = gaincell::campaign::SWEEPS;
    let sweeps = json(&gaincell(dir.path(), &[&["sweep", "--json"], &names[..]].concat()));
    for sweep in sweeps.as_array().unwrap() {
        assert_eq!((sweep["failed"].as_u64(), sweep["tech"].as_str()), (Some(0), Some("bulk65")), "{sweep}");
    }
    // Exit code 5 is a verdict: the cell was not sized for this process, and its write misses 1 %. What is tested is that it
    // comes to a verdict.
    let judged = |output: &Output| -> serde_json::Value {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 5)), "{said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    };
    let models = judged(&gaincell(dir.path(), &["fit", "--json"]));
    let model = |name: &str| models.as_array().unwrap().iter().find(|m| m["name"] == name).unwrap().clone();
    for name in ["retention", "nonlinearity"] {
        assert_eq!(model(name)["pass"], serde_json::Value::Bool(true), "{}", model(name));
    }
    json(&gaincell(dir.path(), &["export", "--json"]));
    let table = gaincell::lut::Table::read_json(&dir.path().join("results/luts/bulk65-gain_cell_6t")).unwrap();
    assert_eq!((table.scale.vdd_v, table.scale.v_zero_v, table.validity.v_driven_v[1]), (1.2, 0.6, 1.2));
    // By hand: 7 fF and the gates of two devices, 0.2 um by 0.2 um and 0.24 um by 0.2 um at 17 fF/um2 (2 nm of oxide), make
    // some 8 fF. A held cell at the highest level leaks less than 10 pA, so 0.8 ms move it by less than a volt, and it moves.
    let rates = &table.retention.rate_v_per_s.values;
    assert!(rates.iter().all(|rate| rate.abs() < 1.25e3) && rates.iter().any(|rate| rate.abs() > 1e-3));
    // Push-pull: full storage sinks, empty storage sources.
    let current = &table.cell.current_a.values;
    assert!(*current.last().unwrap() > 1e-6 && current[0] < -1e-6, "{current:?}");

    let columns = ["validate", "--k-columns", "2", "--v-columns", "2", "--json"];
    let rows = judged(&gaincell(dir.path(), &columns));
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3, "fresh, mixed and oldest");
    for row in rows {
        assert_eq!(row["tech"].as_str(), Some("bulk65"));
        assert!(row["nrmse_phi"].as_f64().unwrap().is_finite() && row["nrmse_output"].as_f64().unwrap().is_finite());
    }

    let checked =
        json(&gaincell(dir.path(), &["tech", "check", dir.path().join("tech.toml").to_str().unwrap(), "--json"]));
    assert_eq!((checked["tech"].as_str(), checked["devices"].as_array().unwrap().len()), (Some("bulk65"), 4));
}
