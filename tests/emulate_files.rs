//! `.npz` in, `.npz` out, and what is said about files that do not fit.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use gaincell::Kind;
use gaincell::emulate::{Evaluation, Inputs, Level, Noise as ReadNoise, Options, emulate_file, read_inputs, run};
use gaincell::lut::{Axis, Calibration, Grid, Noise, synthetic};
use npyz::WriterBuilder;
use npyz::npz::{NpzArchive, NpzWriter};

const SHAPE: [u64; 3] = [2, 5, 4];

fn ramp(from: f64, to: f64) -> Vec<f64> {
    let count: u64 = SHAPE.iter().product();
    (0..count).map(|k| from + (to - from) * k as f64 / (count - 1) as f64).collect()
}

fn add<T: npyz::AutoSerialize + Copy>(
    npz: &mut NpzWriter<std::io::BufWriter<File>>,
    name: &str,
    shape: &[u64],
    values: &[T],
) {
    let mut array = npz.array::<T>(name, Default::default()).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
    array.extend(values.iter().copied()).unwrap();
    array.finish().unwrap();
}

fn read(path: &Path, name: &str) -> (Vec<u64>, Vec<f64>) {
    let mut archive = NpzArchive::new(BufReader::new(File::open(path).unwrap())).unwrap();
    let array = archive.by_name(name).unwrap().unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}

#[test]
fn doubles_and_floats_go_in_and_s_phi_and_output_come_out() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("q k v.npz"), folder.path().join("result.npz"));
    let mut npz = NpzWriter::create(&input).unwrap();
    add(&mut npz, "Q", &SHAPE, &ramp(0.0, 1.0));
    let floats: Vec<f32> = ramp(0.9, 0.0).iter().map(|x| *x as f32).collect();
    add(&mut npz, "K", &SHAPE, &floats);
    add(&mut npz, "V", &SHAPE, &ramp(0.1, 0.8));
    drop(npz);
    let table = synthetic::table().unwrap();
    let options = Options { level: Level::Table, window: 3, tiles: 1, ..Options::default() };
    let summary = emulate_file(&input, &out, &options, Some(&table)).unwrap();
    assert_eq!((summary.shape, summary.slots, summary.clamped.total()), ([2, 5, 4], 3, 0));
    let k: Vec<f64> = floats.iter().map(|x| f64::from(*x)).collect();
    let inputs = Inputs { shape: [2, 5, 4], q: ramp(0.0, 1.0), k, v: ramp(0.1, 0.8) };
    assert_eq!(read_inputs(&input).unwrap(), inputs);
    let expected = run(inputs, &options, Some(&table)).unwrap();
    assert_eq!(read(&out, "S"), (vec![2, 5, 3], expected.s));
    assert_eq!(read(&out, "phi_S"), (vec![2, 5, 3], expected.phi));
    assert_eq!(read(&out, "output"), (vec![2, 5, 4], expected.output));

    let bytes = std::fs::read(&out).unwrap();
    emulate_file(&input, &out, &options, Some(&table)).unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), bytes, "equal outputs give equal bytes");
}

#[test]
fn files_that_do_not_fit_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.npz");
    let said = |fill: &dyn Fn(&mut NpzWriter<std::io::BufWriter<File>>)| -> String {
        let mut npz = NpzWriter::create(&path).unwrap();
        fill(&mut npz);
        drop(npz);
        let error = emulate_file(&path, &folder.path().join("out.npz"), &Options::default(), None).unwrap_err();
        assert_eq!(error.kind(), Kind::BadInput);
        assert!(error.to_string().contains("in.npz") && !folder.path().join("out.npz").exists());
        error.to_string()
    };
    let q = ramp(0.0, 1.0);
    let volts = ramp(0.0, 0.9);
    let missing = said(&|npz| {
        add(npz, "Q", &SHAPE, &q);
        add(npz, "keys", &SHAPE, &volts);
    });
    assert!(missing.contains("`K`: there is no such array, only [Q, keys]"), "{missing}");
    let flat = said(&|npz| add(npz, "Q", &[10, 4], &q));
    assert!(flat.contains("`Q`: its shape is (10, 4)") && flat.contains("(batch, tokens, d)"), "{flat}");
    let unequal = said(&|npz| {
        add(npz, "Q", &SHAPE, &q);
        add(npz, "K", &SHAPE, &volts);
        add(npz, "V", &[2, 4, 5], &volts);
    });
    assert!(unequal.contains("`V`: its shape is (2, 4, 5), that of Q (2, 5, 4)"), "{unequal}");
    let integers = said(&|npz| add(npz, "Q", &SHAPE, &[0i64; 40]));
    assert!(integers.contains("its type is '<i8'") && integers.contains("float32 or float64"), "{integers}");
    let out_of_range = said(&|npz| {
        add(npz, "Q", &SHAPE, &ramp(0.0, 1.5));
        add(npz, "K", &SHAPE, &volts);
        add(npz, "V", &SHAPE, &volts);
    });
    assert!(
        out_of_range.contains("`Q`: element [1, 1, 3] is 1.03") && out_of_range.contains("0 to 1"),
        "{out_of_range}"
    );

    std::fs::write(&path, "no archive").unwrap();
    assert_eq!(read_inputs(&path).unwrap_err().kind(), Kind::BadInput);
    assert_eq!(read_inputs(&folder.path().join("none.npz")).unwrap_err().kind(), Kind::Io);
}

#[test]
fn the_command_takes_levels_and_noise_from_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("qkv.npz"), folder.path().join("result.npz"));
    let mut npz = NpzWriter::create(&input).unwrap();
    for (name, top) in [("Q", 1.0), ("K", 0.9), ("V", 0.9)] {
        add(&mut npz, name, &SHAPE, &ramp(0.0, top));
    }
    drop(npz);
    let mut table = synthetic::table().unwrap();
    let level = || Axis::new("level", "1", (0..8).map(f64::from).collect());
    let errors_v: Vec<f64> = (0..8).map(|k| 0.004 * (f64::from(k) / 7.0 * std::f64::consts::PI).sin()).collect();
    let driven_v: Vec<f64> = (0..8u32).zip(&errors_v).map(|(k, e)| 0.9 * f64::from(k) / 7.0 + e).collect();
    let stored_v = driven_v.iter().map(|v| synthetic::written_v(*v)).collect();
    table.write.calibration = Some(Calibration {
        driven_v: Grid::curve("driven_v", "V", level(), driven_v),
        stored_v: Grid::curve("stored_v", "V", level(), stored_v),
        unreachable: vec![0, 7],
        procedure: "by hand".into(),
    });
    let flat = |name: &str, unit: &str, value: f64| {
        Grid::curve(name, unit, Axis::new("v_store_v", "V", vec![-0.05, 0.95]), vec![value; 2])
    };
    table.noise = Some(Noise {
        f_min_hz: 1e3,
        sigma_stored_v: flat("sigma_stored_v", "V", 0.7e-3),
        white_a2_per_hz: flat("white_a2_per_hz", "A2/Hz", 6e-25),
        flicker_a2_per_hz: flat("flicker_a2_per_hz", "A2/Hz", 6e-18),
        flicker_exponent: flat("flicker_exponent", "1", 1.0),
        sigma_unsigned_c: 1e-15,
        sigma_signed_c: 2e-15,
        jitter_unsigned_s: 2e-11,
        jitter_signed_s: 4e-11,
    });
    table.write_json(folder.path()).unwrap();
    let emulate = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gaincell"))
            .args(["emulate", "--window", "3", "--tile", "3"])
            .args([Path::new("--in"), &input, Path::new("--out"), &out, Path::new("--table"), folder.path()])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        read(&out, "S").1
    };
    let options = Options { level: Level::Table, window: 3, tile_tokens: 3, tiles: 1, ..Options::default() };
    let by_library = |options: &Options| run(read_inputs(&input).unwrap(), options, Some(&table)).unwrap().s;
    let plain = emulate(&[]);
    assert_eq!(plain, by_library(&options));
    let calibrated = emulate(&["--calibrated-levels"]);
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
    let level_errors_v = errors_v.clone();
    assert!(close(&calibrated, &by_library(&Options { level_errors_v, ..options.clone() })));
    assert!(!close(&calibrated, &plain));

    let sigmas = table.noise_sigmas().unwrap();
    let drawn = ReadNoise {
        seed: 5,
        sigma_write_v: sigmas.write_v,
        sigma_cell_c: sigmas.cell_c,
        sigma_unsigned_c: sigmas.unsigned_c,
        sigma_signed_c: sigmas.signed_c,
    };
    let noisy = emulate(&["--noise", "table", "--noise-seed", "5"]);
    let noise = Some(drawn);
    assert_eq!(noisy, by_library(&Options { noise, evaluation: Evaluation::Factorized, ..options }));
    assert!(!close(&noisy, &plain));
}

/// What the command line adds to the arrays: each flag changes the outputs as the option of its name does, and nonsense is refused.
#[test]
fn flags_for_levels_refresh_and_stuck_cells_are_the_options() {
    use std::process::Command;

    use gaincell::emulate::{Extent, StuckCell};

    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.npz"), folder.path().join("out.npz"));
    let mut npz = NpzWriter::create(&input).unwrap();
    for (name, values) in [("Q", ramp(0.0, 1.0)), ("K", ramp(0.0, 0.9)), ("V", ramp(0.9, 0.0))] {
        add(&mut npz, name, &SHAPE, &values);
    }
    drop(npz);
    let mut table = synthetic::table().unwrap();
    table.write_json(folder.path()).unwrap();
    let emulated = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gaincell"));
        command.args(["emulate", "--window", "64", "--in"]).arg(&input).arg("--out").arg(&out);
        command.arg("--table").arg(folder.path()).args(flags).output().unwrap()
    };
    let expected = |options: Options| {
        let options = Options { level: Level::Table, window: 64, tiles: 1, ..options };
        run(read_inputs(&input).unwrap(), &options, Some(&table)).unwrap()
    };
    let level_errors_v = vec![0.0, 0.01, 0.0, -0.02, 0.0, 0.0, 0.03, -0.01];
    let extent = Extent { slots: 64, tile_tokens: 64, d: 4 };
    let cases = [
        (vec!["--level-errors", "0,0.01,0,-0.02,0,0,0.03,-0.01"], Options { level_errors_v, ..Options::default() }),
        (vec!["--refresh", "2"], Options { refresh_tokens: Some(2), ..Options::default() }),
        (
            vec!["--stuck", "0.2", "--stuck-seed", "5"],
            Options { stuck: StuckCell::draw(5, 0.2, 0, extent, 8), ..Options::default() },
        ),
    ];
    let plain = expected(Options::default());
    for (flags, options) in cases {
        let output = emulated(&flags);
        assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
        let expected = expected(options);
        assert_eq!(read(&out, "S").1, expected.s, "{flags:?}");
        assert_ne!(expected.s, plain.s, "{flags:?} changes nothing");
    }
    for (flags, said) in [
        (vec!["--level-errors", "0.01,0.02"], "2 errors for 8 levels"),
        (vec!["--refresh", "0"], "a period of 0 tokens"),
        (vec!["--stuck", "1.5"], "accepted are 0 to 1"),
        (vec!["--stuck", "0.1", "--no-quantization"], "`--no-quantization` leaves none"),
    ] {
        let output = emulated(&flags);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said), "{flags:?}: {error}");
    }
}
