//! `.npz` in, `.npz` out, and what is said about files that do not fit.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use gaincell::Kind;
use gaincell::emulate::{Inputs, Level, Options, emulate_file, read_inputs, run};
use gaincell::lut::synthetic;
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
