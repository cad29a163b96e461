//! Technologies as a user meets them: what is said where one is incomplete, sky130 where its models are here, and that the
//! embedded one is what it was.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gaincell::netlist::{Deck, TechFiles};
use gaincell::spec::SweepSpec;
use gaincell::sweep::Planner;
use gaincell::tech::Technology;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// A copy of the project, without a PDK.
fn project() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    for name in ["gaincell.toml", "netlists", "sweeps"] {
        copy(&root().join(name), &dir.path().join(name));
    }
    dir
}

fn gaincell(project: &Path, pdk_root: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gaincell"));
    command.current_dir(project).args(arguments).stdin(std::process::Stdio::null()).env_remove("PDK_ROOT");
    if let Some(root) = pdk_root {
        command.env("PDK_ROOT", root);
    }
    command.output().unwrap()
}

/// What was said on standard error, the project's folder left out.
fn said(project: &Path, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let here = fs::canonicalize(project).unwrap();
    text.replace(&format!("{}/", here.display()), "").replace(&format!("{}/", project.display()), "")
}

/// A technology with level-1 models, in a folder of its own.
fn level_one(folder: &Path, more: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let model =
        |name: &str, kind: &str, vto: f64| format!(".model {name} {kind} level=1 vto={vto} kp=200u lambda=0.1\n");
    let library = format!(".lib typical\n{}{}.endl\n", model("n1", "nmos", 0.3), model("p1", "pmos", -0.3));
    fs::write(folder.join("models.lib"), library).unwrap();
    let wrapper = |name: &str, model: &str| {
        format!(
            ".subckt {name} d g s b w=1u l=30n delvto=0 mulu0=1\nmn d g s b {model} w={{w*w_scale}} l={{l*l_scale}}\n.ends\n"
        )
    };
    let wrappers: String = [("nfet_svt", "n1"), ("pfet_svt", "p1"), ("nfet_hvt", "n1"), ("pfet_hvt", "p1")]
        .map(|(n, m)| wrapper(n, m))
        .concat();
    fs::write(folder.join("wrappers.sub"), wrappers).unwrap();
    let text = format!(
        "schema = 1\nname = \"one\"\nvdd = \"1.2 V\"\n[models]\nfiles = [\"wrappers.sub\"]\n[sizes]\nw = 2\nl = 2\n\
         [devices.nfet_svt]\nmosfet = \"mn\"\n[devices.pfet_svt]\nmosfet = \"mn\"\n[devices.pfet_hvt]\nmosfet = \"mn\"\n{more}"
    );
    let path = folder.join("tech.toml");
    fs::write(&path, text).unwrap();
    path
}

const LIBRARY: &str = "[[models.library]]\nfile = \"models.lib\"\nsection = \"typical\"\n";

#[test]
fn a_technology_whose_models_are_not_here_says_where_they_may_be_and_what_to_do() {
    let dir = project();
    let unset = gaincell(dir.path(), None, &["sweep", "device", "--tech", "sky130"]);
    assert_eq!(unset.status.code(), Some(14));
    insta::assert_snapshot!(said(dir.path(), &unset));
    let elsewhere = gaincell(dir.path(), Some("/nowhere"), &["sweep", "device", "--tech", "sky130"]);
    insta::assert_snapshot!(said(dir.path(), &elsewhere));
    let list = gaincell(dir.path(), None, &["tech", "list"]);
    insta::assert_snapshot!(String::from_utf8_lossy(&list.stdout));
}

#[test]
fn a_wrong_section_a_missing_file_and_a_device_out_of_range_have_one_clear_message_each() {
    let dir = project();
    let run = |more: &str| {
        let path = level_one(&dir.path().join("mine"), more);
        let output = gaincell(dir.path(), None, &["sweep", "read_one", "--tech", path.to_str().unwrap()]);
        (output.status.code(), said(dir.path(), &output))
    };
    let spec = "schema = 1\nname = \"read_one\"\ntech = \"generic28\"\nbench = \"read.cir\"\n\
                [parameters.v_store]\nunit = \"V\"\nvalues = [\"0.9 V\"]\n\
                [[measure]]\nname = \"charge\"\nunit = \"C\"\nintegral = \"-i(vbl)\"\nfrom = \"100 ps\"\n";
    fs::write(dir.path().join("sweeps/read_one.toml"), spec).unwrap();
    let (code, text) =
        run("[devices.nfet_hvt]\nmosfet = \"mn\"\n[[models.library]]\nfile = \"models.lib\"\nsection = \"fast\"\n");
    assert_eq!(code, Some(14));
    insta::assert_snapshot!(text);
    let (code, text) = run("[devices.nfet_hvt]\nmosfet = \"mn\"\n[[models.library]]\nfile = \"nobody.lib\"\n");
    assert_eq!(code, Some(14));
    insta::assert_snapshot!(text);
    let limits = "[devices.nfet_hvt]\nmosfet = \"mn\"\nw = [\"0.25 um\", \"10 um\"]\nl = [\"60 nm\", \"10 um\"]\n";
    let (code, text) = run(&format!("{limits}{LIBRARY}"));
    assert_eq!(code, Some(31));
    insta::assert_snapshot!(text);
}

#[test]
fn a_model_that_nobody_defines_is_named_before_anything_runs() {
    let dir = project();
    let path = level_one(&dir.path().join("mine"), "[devices.nfet_hvt]\nmosfet = \"mn\"\n");
    let output = gaincell(dir.path(), None, &["sweep", "nonlinearity", "--tech", path.to_str().unwrap()]);
    assert!(!output.status.success());
    insta::assert_snapshot!(said(dir.path(), &output).lines().take(8).collect::<Vec<_>>().join("\n"));
}

/// A figure stated with its unit and as a ratio to the nominal one are the same statement.
#[test]
fn a_check_states_a_figure_itself_or_its_ratio() {
    let dir = project();
    let file = dir.path().join("netlists/tech/generic28/tech.toml");
    let before = fs::read_to_string(&file).unwrap();
    let check = |name: &str, ion: &str| {
        format!("[checks.{name}]\nlength = \"60 nm\"\ntolerance = \"3 %\"\nnfet_svt = {{ ion = {ion} }}\n")
    };
    let stated =
        [check("itself", "\"0.435 mA/um\""), check("ratio", "0.512"), check("missed", "\"0.5 mA/um\"")].concat();
    fs::write(&file, format!("{before}\n{stated}")).unwrap();
    let output = gaincell(dir.path(), None, &["tech", "check", "generic28", "--json"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(dir.path(), &output));
    assert!(said(dir.path(), &output).contains("ion of nfet_svt (missed)"), "{}", said(dir.path(), &output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ion = |check: &str| {
        let mut of = found["verdicts"].as_array().unwrap().iter();
        let verdict = of.find(|v| v["check"] == check && v["figure"] == "ion" && v["flavour"] == "nfet_svt").unwrap();
        (verdict["measured"].as_f64().unwrap(), verdict["unit"].as_str().unwrap().to_string(), verdict["pass"] == true)
    };
    let (itself, ratio, nominal) = (ion("itself"), ion("ratio"), ion("nominal"));
    assert_eq!((itself.1.as_str(), itself.2, ratio.1.as_str(), ratio.2), ("A/m", true, "1", true));
    assert!((itself.0 / nominal.0 / ratio.0 - 1.0).abs() < 1e-12 && !ion("missed").2);
}

/// What `tech.toml` states for 27 degC says nothing at 85: figures are shown, none is judged, and it is said what judges them.
#[test]
fn devices_at_another_temperature_are_shown_and_not_judged() {
    let dir = project();
    let check =
        |more: &[&str]| gaincell(dir.path(), None, &[&["tech", "check", "generic28@85degC", "-q"], more].concat());
    let output = check(&[]);
    assert!(output.status.success(), "{}", said(dir.path(), &output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("20 device targets are stated for 27 degC and not judged at 85 degC (nfet_hvt: ion, "),
        "{text}"
    );
    assert!(
        text.contains("checks over corners, temperature and length are stated against 27 degC and not judged (cold, ")
    );
    assert!(text.ends_with("`gaincell tech check generic28` judges them\n") && !text.contains("MISS"), "{text}");
    let found: serde_json::Value = serde_json::from_slice(&check(&["--json"]).stdout).unwrap();
    assert_eq!((found["verdicts"].as_array().unwrap().len(), &found["left_out"]["stated_degc"]), (0, &27.0.into()));
    let nominal = found["devices"].as_array().unwrap().iter().find(|d| d["condition"]["name"] == "nominal").unwrap();
    assert_eq!(nominal["condition"]["temperature_degc"], 85.0);
}

#[test]
fn on_the_technology_that_a_sweep_was_written_for_nothing_scales() {
    let benches = root().join("netlists/benches");
    let tech = Technology::find("generic28", &root().join("netlists/tech")).unwrap();
    for name in gaincell::project::stems(&root().join("sweeps"), "toml") {
        let file = root().join(format!("sweeps/{name}.toml"));
        let (plain, on) =
            (SweepSpec::read(&file, &benches).unwrap(), SweepSpec::read_on(&file, &benches, &tech).unwrap());
        // Corners that are the technology's own are filled in, nothing else.
        let plain = if plain.process_corners { plain.over_process(&tech) } else { plain };
        assert_eq!(plain, on, "{name}");
        assert!(!on.process_corners || on.corners.len() == tech.corners.len(), "{name}");
    }
    // The nominal deck holds nothing of the corners, and the benches' voltages are the numbers that they always were.
    let deck = Deck::read(&benches.join("read.cir"), &TechFiles::of(&tech, None).unwrap()).unwrap();
    let values = deck.values(&BTreeMap::new()).unwrap();
    assert_eq!((values["v_store"], values["v_bl"], values["v_wbl"]), (0.9, 0.45, 0.45));
    let lines = deck.circuit(&values, &[], &[]).lines;
    assert!(!lines.iter().any(|line| line.contains("g28_d")), "a corner's parameter stands in the nominal deck");
    assert!(lines.contains(&".param v_bl=4.5e-1".to_string()));
}

#[test]
fn limits_follow_the_supply_and_the_gates_and_times_stay() {
    let dir = project();
    let path = level_one(&dir.path().join("mine"), LIBRARY);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[sizes]\n", "[sizes]\ne = 5\nq = 3\n")).unwrap();
    let tech = Technology::find(path.to_str().unwrap(), &root().join("netlists/tech")).unwrap();
    let (file, benches) = (root().join("sweeps/write_path.toml"), root().join("netlists/benches"));
    let (written, here) =
        (SweepSpec::read(&file, &benches).unwrap(), SweepSpec::read_on(&file, &benches, &tech).unwrap());
    let limit = |spec: &SweepSpec, name: &str| {
        spec.measures.iter().find(|measure| measure.column.starts_with(name)).unwrap().limit.unwrap().max.unwrap()
    };
    // 1.2 V for 0.9 V, energies by `e`, a time as it is.
    for (name, factor) in [("settling_error", 1.2 / 0.9), ("energy_write", 5.0), ("t_settle", 1.0)] {
        let ratio = limit(&here, name) / limit(&written, name);
        assert!((ratio - factor).abs() < 1e-12, "{name}: {ratio}");
    }
}

#[test]
fn a_corner_shifts_the_devices_and_draws_stand_on_the_shift() {
    let benches = root().join("netlists/benches");
    let tech = Technology::find("generic28", &root().join("netlists/tech")).unwrap();
    let device = |process: Option<&str>| {
        let deck = Deck::read(&benches.join("read.cir"), &TechFiles::of(&tech, process).unwrap()).unwrap();
        let values = deck.values(&BTreeMap::new()).unwrap();
        deck.devices("xcell.xmp1", &tech.wrappers(), &values).unwrap().remove(0)
    };
    let (nominal, slow) = (device(None), device(Some("ss")));
    assert_eq!((nominal.delvto_v, nominal.mulu0, nominal.l_m), (0.06, 1.0, 100e-9));
    // corners.lib: 25 mV, 4 % and 1 nm; a PMOS gets slower by a negative shift.
    assert!((slow.delvto_v - (0.06 - 0.025)).abs() < 1e-12 && (slow.mulu0 - 0.96).abs() < 1e-12);
    assert!((slow.l_m - 101e-9).abs() < 1e-15);
    // A corner from the command line, and every point at its own models.
    let spec = SweepSpec::read(&root().join("sweeps/variability_cell.toml"), &benches).unwrap();
    let spec = spec.at_corners(&["ss".to_string(), "ff".to_string()], &tech).unwrap();
    let planner = Planner::new(&spec, &tech).unwrap();
    let plan = planner.plan(&planner.design()[..9], 0).unwrap();
    assert_eq!(plan.groups.iter().map(|g| g.process.as_deref()).collect::<Vec<_>>(), [Some("ss"), Some("ff")]);
    let alter = plan.groups[0].points[0].alters.iter().find(|a| a.contains("xcell.xmp1.m0[delvto]")).unwrap();
    let drawn: f64 = alter.rsplit(' ').next().unwrap().parse().unwrap();
    let draw = plan.groups[0].points[0].row.values["draw_xcell_xmp1_delvto_v"];
    assert!((drawn - draw - (0.06 - 0.025)).abs() < 1e-12);
}

/// sky130, if its models are on this machine.
fn sky130() -> Option<Technology> {
    match Technology::find("sky130", &root().join("netlists/tech")) {
        Ok(tech) => Some(tech),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A write enable that stays at 1.2 V, or a gate that closes at 0.9 V, where the supply is 1.8 V: nothing fails, and a cell is
/// neither written nor kept.
#[test]
fn every_voltage_of_every_bench_follows_the_supply() {
    let generic = Technology::find("generic28", &root().join("netlists/tech")).unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(root().join("netlists/benches")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Examples are written out at 0.9 V; the oxide transistor's curves are compared with published ones, at their voltages.
        if !name.ends_with(".cir") || name.ends_with("_example.cir") || name == "oxide_tft.cir" {
            continue;
        }
        let deck = Deck::read(&path, &TechFiles::of(&generic, None).unwrap()).unwrap();
        let at = |vdd_v: f64| deck.values(&BTreeMap::from([("vdd".to_string(), vdd_v)])).unwrap();
        let (low, high) = (at(0.9), at(1.8));
        for (parameter, value_v) in low.iter().filter(|(parameter, _)| parameter.starts_with("v_")) {
            // Trims against charge injection, some millivolts, are what they are.
            assert!((high[parameter] - 2.0 * value_v).abs() < 2e-3, "{parameter} of {name}: {value_v} V at 0.9 V");
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen} voltages");
}

/// The wrappers draw the foundry's devices at the size that they say: on-currents are those of its documentation.
#[test]
fn sky130_s_devices_carry_what_the_foundry_states() {
    if sky130().is_none() {
        return;
    }
    let (dir, at) = (tempfile::tempdir().unwrap(), root());
    let arguments = ["tech", "check", "sky130", "--json", "--out", dir.path().to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_gaincell")).current_dir(at).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["verdicts"].as_array().unwrap().len(), 4);
}

#[test]
fn sky130_reads_a_cell_at_every_corner() {
    let Some(tech) = sky130() else { return };
    let benches = root().join("netlists/benches");
    // 0.1 um by 60 nm in the netlist, drawn six times as large; in ss the PDK's own shift stands below a draw.
    let device = |process: &str| {
        let deck = Deck::read(&benches.join("read.cir"), &TechFiles::of(&tech, Some(process)).unwrap()).unwrap();
        deck.devices("xcell.xmwn", &tech.wrappers(), &deck.values(&BTreeMap::new()).unwrap()).unwrap().remove(0)
    };
    let (typical, slow) = (device("tt"), device("ss"));
    assert!((typical.w_m - 0.6e-6).abs() < 1e-12 && (typical.l_m - 0.36e-6).abs() < 1e-12);
    assert!(typical.delvto_v.abs() < 1e-12 && slow.delvto_v > 0.01, "{} {}", typical.delvto_v, slow.delvto_v);

    let dir = tempfile::tempdir().unwrap();
    let sweep = dir.path().join("corners.toml");
    let text = "schema = 1\nname = \"corners\"\ntech = \"generic28\"\nbench = \"read.cir\"\n\
        [parameters.v_store]\nunit = \"V\"\nvalues = [\"0 V\", \"0.9 V\"]\n[mismatch]\nsamples = 2\nseed = 1\ninstances = [\"xcell\"]\n\
        [guard]\npoints = 0\n[[measure]]\nname = \"charge\"\nunit = \"C\"\nintegral = \"-i(vbl)\"\nfrom = \"100 ps\"\n";
    fs::write(&sweep, text).unwrap();
    let out = dir.path().to_str().unwrap();
    let corners = ["--corner", "tt", "--corner", "ff", "--corner", "ss", "--corner", "fs", "--corner", "sf"];
    let arguments =
        [&["sweep", sweep.to_str().unwrap(), "--tech", "sky130", "--json", "--out", out], &corners[..]].concat();
    let output = Command::new(env!("CARGO_BIN_EXE_gaincell")).current_dir(root()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let latest = gaincell::campaign::latest_run(
        &gaincell::project::Project::find(Some(root()), Some(dir.path())).unwrap(),
        "corners",
        "sky130",
    );
    let dataset = gaincell::dataset::Dataset::read(&latest.unwrap()).unwrap();
    let charge = |corner: &str, v: f64| {
        let view = dataset.ok().labelled("corner", corner);
        view.at("v_store_v", v).at("sample", 0.0).numbers("charge_c").unwrap()[0]
    };
    // At 1.8 V the NMOS sinks, at 0 V the PMOS sources: each follows its own kind's letter of the corner.
    let (sinks, sources) = (|corner: &str| charge(corner, 1.8), |corner: &str| -charge(corner, 0.0));
    for of in [&sinks as &dyn Fn(&str) -> f64, &sources] {
        assert!(of("ff") > of("tt") && of("tt") > of("ss"), "{} {} {}", of("ff"), of("tt"), of("ss"));
    }
    // In fs and sf only thresholds move, by what we read of the library: the lower one carries more. (In this library it is sf
    // that has the fast NMOS, whatever its header says.)
    let threshold = |instance: &str, process: &str| {
        let deck = Deck::read(&benches.join("read.cir"), &TechFiles::of(&tech, Some(process)).unwrap()).unwrap();
        let values = deck.values(&BTreeMap::new()).unwrap();
        deck.devices(instance, &tech.wrappers(), &values).unwrap().remove(0).delvto_v
    };
    let more = threshold("xcell.xmn1", "fs") < threshold("xcell.xmn1", "sf");
    assert_eq!(sinks("fs") > sinks("sf"), more);
    assert_eq!(sources("fs") > sources("sf"), threshold("xcell.xmp1", "fs") > threshold("xcell.xmp1", "sf"));
    // By hand: the read branch is 0.42 um by 2.4 um ([subckts] of its tech.toml) under 2.4 um by 0.6 um. A square-law device with
    // kp = 270 uA/V2 and W / L = 0.175 at 1.1 V of overdrive and 0.7 V across it, which the switch leaves of the bit line's
    // 0.9 V, carries 270 uA * 0.175 * (1.1 * 0.7 - 0.7^2 / 2) = 25 uA: in 15 ns 370 fC; series resistance takes some of it.
    assert!((0.2e-12..0.4e-12).contains(&sinks("tt")), "{}", sinks("tt"));
}
