//! The write DAC's calibration and the noise, through the real simulator: against a second simulation and against hand formulas.
#![cfg(all(feature = "simulate", feature = "dataset"))]

use std::fs;
use std::path::Path;
use std::process::Command;

use gaincell::campaign::{STORED_LEVELS, latest_run};
use gaincell::dataset::Dataset;
use gaincell::fit::dac::{calibrate, spacing_error_v};
use gaincell::fit::noise::{BOLTZMANN_J_PER_K, Density};
use gaincell::fit::stats;
use gaincell::fit::write::{WritePoint, fit_write};
use gaincell::project::Project;

const VDD_V: f64 = 0.9;
/// 4kT at 27 degC [J].
const FOUR_KT_J: f64 = 4.0 * BOLTZMANN_J_PER_K * 300.15;

/// Runs sweeps into `out`.
fn sweep(out: &Path, sweeps: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_gaincell"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--quiet", "sweep"])
        .args(sweeps)
        .arg("--out")
        .arg(out)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn rows(out: &Path, sweep: &str) -> Dataset {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::find(Some(root), Some(out)).unwrap();
    Dataset::read(&latest_run(&project, sweep, "generic28").unwrap()).unwrap()
}

fn writes(dataset: &Dataset, set: &str) -> Vec<WritePoint> {
    let view = dataset.ok().labelled("set", set);
    let column = |name: &str| view.numbers(name).unwrap();
    let (level, previous, stored) = (column("v_level_v"), column("v_prev_v"), column("v_stored_v"));
    let point = |k: usize| WritePoint {
        v_level_v: level[k],
        v_previous_v: previous[k],
        v_settled_v: None,
        v_stored_v: stored[k],
    };
    (0..level.len()).map(point).collect()
}

#[test]
fn calibrated_levels_store_evenly_spaced_voltages() {
    let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
    sweep(dir.path(), &["write", "variability_write"]);
    let write = rows(dir.path(), "write");
    let fit = fit_write(&writes(&write, "design"), &writes(&write, "held_out"), VDD_V, 0.01).unwrap();
    let dac = calibrate(&fit, STORED_LEVELS, VDD_V).unwrap();

    // Driven in ngspice, none of these levels was simulated before.
    let list = |values: &[f64]| values.iter().map(|v| format!("\"{v:.9} V\"")).collect::<Vec<_>>().join(", ");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps/variability_write.toml")).unwrap();
    let (head, measure) = (text.find("[parameters.v_level]").unwrap(), text.find("# after the write enable").unwrap());
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/benches/write.cir");
    for (name, levels) in [("calibrated", dac.driven_v.clone()), ("even", gaincell::spec::range(0.0, VDD_V, 8, false))]
    {
        let head = text[..head]
            .replace("\"variability_write\"", &format!("\"{name}\""))
            .replace("\"write.cir\"", &format!("\"{}\"", bench.display()));
        let parameters = format!(
            "[parameters.v_level]\nunit = \"V\"\nvalues = [{}]\n[parameters.v_prev]\nunit = \"V\"\nvalues = [\"0.45 V\"]\n",
            list(&levels)
        );
        fs::write(dir.path().join(format!("{name}.toml")), format!("{head}{parameters}{}", &text[measure..])).unwrap();
    }
    let paths = ["calibrated.toml", "even.toml"].map(|name| dir.path().join(name));
    sweep(dir.path(), &paths.each_ref().map(|path| path.to_str().unwrap()));
    let stored = |name: &str| rows(dir.path(), name).ok().numbers("v_stored_v").unwrap();
    let (calibrated, even) = (stored("calibrated"), stored("even"));
    assert_eq!((calibrated.len(), even.len()), (8, 8));

    // A stored voltage is as good as the model: its worst held-out error; a spacing is a difference of two.
    let model_error_v = fit.fit.held_out_max * VDD_V;
    assert!(model_error_v < 0.3e-3, "{model_error_v}");
    for (found, by_model) in calibrated.iter().zip(&dac.stored_v) {
        assert!((found - by_model).abs() < 1.5 * model_error_v, "{found} V for {by_model} V");
    }
    let (after_v, before_v) = (spacing_error_v(&calibrated), spacing_error_v(&even));
    assert!(after_v < 2.0 * model_error_v, "{after_v} V, model {model_error_v} V");
    assert!(after_v < before_v, "{after_v} V calibrated, {before_v} V without");

    // Mismatch by hand: what a write leaves is the level less the charge under the write gates' channels. Threshold mismatch of
    // 2 mV um / sqrt(0.1 um 0.06 um) = 26 mV on a gate of about 0.1 fF moves 8 fF by 0.3 mV at most.
    let dice = rows(dir.path(), "variability_write");
    assert_eq!(dice.ok().len(), 64 * 8);
    for (level, view) in dice.ok().split("v_level_v") {
        let sigma = stats::std_dev(&view.numbers("v_stored_v").unwrap());
        assert!(sigma > 1e-6 && sigma < 0.6e-3, "{sigma} V at {level} V");
    }
}

/// One transistor 1 um wide and 0.3 um long, its drain current's noise and its conductances.
fn transistor(out: &Path, v_drain: &str) -> (Density, f64, f64) {
    let body = format!(
        ".include tech/generic28/models.lib\n.include tech/generic28/devices.sub\n.param vdd=0.9\n.param v_gate=0.8\n\
         .param v_drain={v_drain}\nvg g 0 dc {{v_gate}} ac 1\nvd d 0 {{v_drain}}\nhout out 0 vd 1\nrout out 0 1e12\n\
         xm d g 0 0 nfet_hvt w=1u l=300n\n.options gmin=1e-15 abstol=1e-14 reltol=1e-6\n"
    );
    let toml = |name: &str, measure: &str| {
        format!(
            "schema = 1\nname = \"{name}\"\ntech = \"generic28\"\nbench = \"{name}.cir\"\n[parameters.v_gate]\nunit = \"V\"\n\
             values = [\"0.8 V\"]\n[[measure]]\n{measure}\n"
        )
    };
    for (name, analysis, measure) in [
        (
            "device_noise",
            ".noise v(out) vg dec 8 100 10g",
            "name = \"noise\"\nunit = \"1\"\nsample = \"v(onoise_spectrum)\"\naxis = \"Hz\"\ngrid = { values = [\"1 kHz\", \"1 GHz\"] }",
        ),
        (
            "device_gate",
            ".dc vg 0.79 0.81 0.01",
            "name = \"i\"\nunit = \"A\"\nsample = \"-i(vd)\"\naxis = \"V\"\ngrid = { values = [\"0.79 V\", \"0.81 V\"] }",
        ),
        (
            "device_drain",
            ".dc vd 0 0.002 0.001",
            "name = \"i\"\nunit = \"A\"\nsample = \"-i(vd)\"\naxis = \"V\"\ngrid = { values = [\"0 V\", \"0.002 V\"] }",
        ),
    ] {
        fs::write(out.join(format!("{name}.cir")), format!("{name}\n{body}{analysis}\n.end\n")).unwrap();
        fs::write(out.join(format!("{name}.toml")), toml(name, measure)).unwrap();
        sweep(out, &[out.join(format!("{name}.toml")).to_str().unwrap()]);
    }
    let curve = |sweep: &str, column: &str| rows(out, sweep).ok().curve(column)[0].unwrap().to_vec();
    let noise = curve("device_noise", "noise");
    let white = noise[1].powi(2);
    let density = Density { white, flicker: 1e3 * (noise[0].powi(2) - white), exponent: 1.0 };
    let slope = |sweep: &str, step_v: f64| {
        let i = curve(sweep, "i_a");
        (i[1] - i[0]) / step_v
    };
    (density, slope("device_gate", 0.02), slope("device_drain", 0.002))
}

#[test]
fn a_transistors_white_noise_is_nyquists() {
    let dir = tempfile::tempdir().unwrap();
    // Without a drain voltage a channel is a resistor, and its noise 4kT g_ds whatever the model (H. Nyquist, Phys. Rev. 32, 110
    // (1928)); the card's charge-based noise (tnoimod = 0) leaves out the resistance of source and drain: 7 %.
    let (linear, _, g_drain) = transistor(dir.path(), "0.001");
    let ratio = linear.white / (FOUR_KT_J * g_drain);
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
    // Saturated and long: 4kT gamma g_d0 with gamma 2/3; of g_m alone it is more, by the substrate's share.
    let dir = tempfile::tempdir().unwrap();
    let (saturated, g_m, g_d0) = transistor(dir.path(), "0.9");
    let (of_g_d0, of_g_m) = (saturated.white / (FOUR_KT_J * g_d0), saturated.white / (FOUR_KT_J * g_m));
    assert!((0.6..0.8).contains(&of_g_d0), "{of_g_d0}");
    assert!((2.0 / 3.0..1.0).contains(&of_g_m), "{of_g_m}");
    // Flicker noise comes with current: without it there is next to none.
    assert!(saturated.flicker > 100.0 * linear.flicker, "{} {}", saturated.flicker, linear.flicker);
}

#[test]
fn the_cells_and_the_converters_noise_is_what_a_hand_calculation_gives() {
    let dir = tempfile::tempdir().unwrap();
    sweep(dir.path(), &["read_noise", "conversion_noise", "comparator_noise"]);
    let read = rows(dir.path(), "read_noise");
    assert_eq!(read.ok().len(), 8);
    let curves = read.ok();
    let white = |k: usize| curves.curve("noise_a_per_rthz")[k].unwrap().last().unwrap().powi(2);
    // Full storage: the storage-gated device is a resistor of some 80 uS below a cascode of some 75 uS, so that half of either
    // current's noise reaches the bit line: 4kT (80 uS / 4 + 2/3 60 uS / 4), within a factor of one and a half.
    let by_hand = FOUR_KT_J * (80e-6 / 4.0 + 2.0 / 3.0 * 60e-6 / 4.0);
    assert!((1.0 / 1.5..1.5).contains(&(white(7) / by_hand)), "{} {by_hand}", white(7));
    // At the zero weight both stages carry next to nothing, and so does their noise.
    let least = (0..8).map(white).fold(f64::INFINITY, f64::min);
    assert!(least < 0.1 * white(7), "{least}");

    // The conversion current: mirror devices of some 0.35 mS each side carry 41 uA, 2/3 4kT (g_m + g_m), within a factor of 1.5.
    let conversion = rows(dir.path(), "conversion_noise");
    let at = conversion.ok().curve("noise_a_per_rthz")[1].unwrap().last().unwrap().powi(2);
    let by_hand = FOUR_KT_J * 2.0 / 3.0 * 2.0 * 0.5e-3;
    assert!((1.0 / 1.7..1.7).contains(&(at / by_hand)), "{at} {by_hand}");

    // The comparator: two input devices of 0.39 mS and two loads of 0.26 mS, 2/3 4kT 2 (1/g_in + g_load / g_in^2), within 1.7: its
    // second stage adds some.
    let comparator = rows(dir.path(), "comparator_noise");
    let input = comparator.ok().curve("noise_in_v_per_rthz")[0].unwrap().to_vec();
    // 1 GHz is the 49th of 65 frequencies from 1 kHz, eight a decade.
    let (g_in, g_load) = (0.39e-3, 0.26e-3);
    let by_hand = FOUR_KT_J * 2.0 / 3.0 * 2.0 * (1.0 / g_in + g_load / (g_in * g_in));
    let found = input[48].powi(2);
    assert!((1.0 / 1.7..1.7).contains(&(found / by_hand)), "{found} {by_hand}");
}
