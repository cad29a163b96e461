//! Which points fail, and how. The choice depends on (seed, point) alone, so that it is the same for any number of workers, in
//! any order and after any interruption.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use gaincell::rng::uniform;
use gaincell::simulate::{Injected, worker_main_with};

/// Environment through which workers hear of the faults; they inherit it.
pub const SEED: &str = "GAINCELL_SOAK_SEED";
pub const MARKS: &str = "GAINCELL_SOAK_MARKS";

/// Share of the points that get each fault.
const SHARE: f64 = 0.01;

/// How a point is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub what: Injected,
    /// At every attempt, or at the first one only.
    pub always: bool,
}

/// The fault of the point with these values.
pub fn fault(seed: u64, values: &BTreeMap<String, f64>) -> Option<Fault> {
    let point = name(values);
    let drawn = uniform(seed, 0, &point, "fault");
    let what = [Injected::Kill, Injected::Hang, Injected::Poison].into_iter().nth((drawn / SHARE) as usize)?;
    Some(Fault { what, always: uniform(seed, 0, &point, "always") < 0.5 })
}

fn name(values: &BTreeMap<String, f64>) -> String {
    values.iter().map(|(name, value)| format!("{name}={:016x}", value.to_bits())).collect::<Vec<_>>().join(",")
}

/// The worker: gaincell's, with the faults.
pub fn worker(fd: i32) -> ExitCode {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let marks = std::env::var_os(MARKS).map(PathBuf::from);
    let (Some(seed), Some(marks)) = (seed, marks) else {
        return worker_main_with(fd, &mut |_| None);
    };
    worker_main_with(fd, &mut move |job| {
        let fault = fault(seed, &job.values)?;
        // The attempt before was another process's; a file outlives it.
        let first = || std::fs::File::create_new(marks.join(name(&job.values))).is_ok();
        (fault.always || first()).then_some(fault.what)
    })
}
