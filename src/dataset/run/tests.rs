use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::dataset::samples::{manifest, row, runtime};
use crate::dataset::{Dataset, Outcome, PointId};

fn finished(dir: &Path, order: impl Iterator<Item = u64>) -> Manifest {
    let mut run = Run::open_or_resume(dir, manifest()).unwrap();
    for index in order {
        run.append(row(index), runtime(index)).unwrap();
    }
    run.finish(Status::Complete).unwrap()
}

#[test]
fn a_run_is_resumed_where_it_was_and_read_as_far_as_it_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("my results/read/quick");
    let mut run = Run::open_or_resume(&dir, manifest()).unwrap();
    for index in [3, 0, 4] {
        run.append(row(index), runtime(index)).unwrap();
    }
    let while_running = Dataset::read(&dir).unwrap();
    assert_eq!((while_running.rows.len(), while_running.manifest.status), (3, Status::Running));
    assert_eq!(Dataset::read_runtimes(&dir).unwrap(), [0, 3, 4].map(|index| (index, runtime(index))).into());
    drop(run);

    let mut run = Run::open_or_resume(&dir, manifest()).unwrap();
    assert!(run.rows().eq([&row(0), &row(3), &row(4)]));
    // Point 4 failed; tried again, it is good, and this is its row from now on.
    let again = Row { outcome: Outcome::Ok, message: String::new(), ..row(4) };
    run.append(again.clone(), runtime(4)).unwrap();
    assert_eq!(run.row(4), Some(&again));
    run.set_planned(3);
    let done = run.finish(Status::Complete).unwrap();
    assert_eq!((done.planned, done.counts["ok"], done.counts["nonconvergence"]), (3, 3, 0));
    assert_eq!(Manifest::read(&dir.join(MANIFEST)).unwrap(), done);
    let dataset = Dataset::read(&dir).unwrap();
    assert_eq!(dataset.rows, [row(0), row(3), again]);
    assert_eq!(dataset.manifest.status, Status::Complete);
    assert_eq!(Dataset::read_runtimes(&dir).unwrap(), [0, 3, 4].map(|index| (index, runtime(index))).into());

    let resumed = Run::open_or_resume(&dir, manifest()).unwrap();
    assert_eq!((resumed.rows().len(), resumed.manifest().status), (3, Status::Running));
    assert!(resumed.logs().unwrap().is_dir());
}

#[test]
#[cfg(feature = "dataset")]
fn equal_rows_give_equal_bytes_whatever_the_order_of_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let tables = |name: &str, order: &mut dyn Iterator<Item = u64>| {
        let dir = folder.path().join(name);
        finished(&dir, order);
        [POINTS, RUNTIME].map(|table| std::fs::read(dir.join(table)).unwrap())
    };
    let forward = tables("forward", &mut (0..500));
    let backward = tables("backward", &mut (0..500).rev());
    let shuffled = tables("shuffled", &mut (0..500).map(|i| i * 211 % 500));
    assert_eq!(forward, backward);
    assert_eq!(forward, shuffled);
    // The same points, half of them served by the store and at other times, are the same table of points.
    let dir = folder.path().join("served");
    let mut run = Run::open_or_resume(&dir, manifest()).unwrap();
    for index in 0..500 {
        let cached = index % 2 == 0;
        run.append(row(index), Runtime { cached, worker: 9, finished_unix_s: 1.8e9, ..runtime(index) }).unwrap();
    }
    assert_eq!(run.finish(Status::Complete).unwrap().cached, 250);
    assert_eq!(std::fs::read(dir.join(POINTS)).unwrap(), forward[0]);
}

#[test]
#[cfg(feature = "dataset")]
fn an_edited_table_is_refused_and_a_damaged_run_can_be_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    finished(&dir, 0..10);
    let path = dir.join(POINTS);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = Dataset::read(&dir).unwrap_err();
    assert_eq!(error.kind(), Kind::DataDamaged);
    assert!(error.to_string().contains("points.parquet: the table is not what the run wrote"), "{error}");
    // The journal is good, so finishing again mends the table.
    Run::open_or_resume(&dir, manifest()).unwrap().finish(Status::Complete).unwrap();
    assert_eq!(Dataset::read(&dir).unwrap().rows.len(), 10);
}

#[test]
fn another_run_in_the_directory_is_refused_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    finished(folder.path(), 0..10);
    let other = Manifest { seed: 99, ..manifest() };
    let error = Run::open_or_resume(folder.path(), other.clone()).unwrap_err();
    assert_eq!(error.kind(), Kind::DataDamaged);
    assert!(error.to_string().contains("the directory holds another run (sweep `read`, quick)"), "{error}");
    assert_eq!(Dataset::read(folder.path()).unwrap().rows.len(), 10);
    assert_eq!(Run::open_or_replace(folder.path(), manifest()).unwrap().rows().len(), 10);
    let replaced = Run::open_or_replace(folder.path(), other).unwrap();
    assert_eq!(replaced.rows().len(), 0);
    assert!(!folder.path().join(POINTS).exists());
}

#[test]
fn a_damaged_journal_is_refused_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    finished(folder.path(), 0..10);
    let path = folder.path().join(JOURNAL);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(Run::open_or_resume(folder.path(), manifest()).unwrap_err().kind(), Kind::DataDamaged);
    assert_eq!(Run::open_or_replace(folder.path(), manifest()).unwrap().rows().len(), 0);
}

#[test]
fn a_row_with_a_column_that_the_manifest_does_not_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::open_or_resume(folder.path(), manifest()).unwrap();
    let stray_value = Row { values: [("t_stray_s".to_string(), 1.0)].into(), ..row(0) };
    let scalar_for_curve = Row { measured: [("v_store_v".to_string(), Value::Scalar(1.0))].into(), ..row(0) };
    for stray in [stray_value, scalar_for_curve] {
        assert_eq!(run.append(stray, runtime(0)).unwrap_err().kind(), Kind::Internal);
    }
    assert_eq!(run.rows().len(), 0);
}

const CHILD_DIR: &str = "GAINCELL_TEST_RUN_DIR";

/// This test program again, running only that ignored test with `CHILD_DIR` set.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("dataset::run::tests::{test}"), "--ignored"]);
    command.env(CHILD_DIR, dir).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Not a test by itself: what a process does that the next test starts with another number of threads.
#[test]
#[ignore = "started by the test below"]
fn child_finishes_a_run() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    finished(Path::new(&dir), 0..3000);
}

#[test]
#[cfg(feature = "dataset")]
fn equal_rows_give_equal_bytes_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let [one, many] = ["1", "5"].map(|threads| {
        let dir = folder.path().join(threads);
        assert!(child("child_finishes_a_run", &dir).env("POLARS_MAX_THREADS", threads).status().unwrap().success());
        [POINTS, RUNTIME].map(|table| std::fs::read(dir.join(table)).unwrap())
    });
    assert_eq!(one, many);
}

/// Not a test by itself: what the process does that the next test kills.
#[test]
#[ignore = "runs for ever; started by the test below"]
fn child_appends_until_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let mut run = Run::open_or_resume(Path::new(&dir), manifest()).unwrap();
    let resumed = run.rows().len() as u64;
    for index in resumed.. {
        run.append(row(index), runtime(index)).unwrap();
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn a_killed_process_loses_nothing_but_the_record_it_was_writing_and_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut survived = 0;
    for _ in 0..5 {
        let mut child = child("child_appends_until_killed", folder.path()).spawn().unwrap();
        let mut seen = survived;
        while seen < survived + 200 {
            std::thread::sleep(Duration::from_millis(2));
            assert_eq!(child.try_wait().unwrap(), None, "the child ended by itself");
            let read = Dataset::read(folder.path());
            // Before the child has written its manifest there is nothing to read.
            seen = read.map_or(seen, |dataset| dataset.rows.len());
        }
        let error = Run::open_or_resume(folder.path(), manifest()).unwrap_err();
        assert_eq!(error.kind(), Kind::RunLocked);
        assert!(error.to_string().contains(&format!("process {} works on this run", child.id())), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        let run = Run::open_or_resume(folder.path(), manifest()).unwrap();
        survived = run.rows().len();
        assert!(survived >= seen, "{survived} rows survived of {seen} that were seen");
        assert!(run.rows().enumerate().all(|(i, found)| *found == row(i as u64)));
    }
    let last = PointId(row(survived as u64 - 1).id.0);
    assert_eq!(Dataset::read(folder.path()).unwrap().rows[survived - 1].id, last);
}
