//! Running circuits: what a simulator is asked and what it answers.
//!
//! [`Simulator`] is the boundary. Behind it stand ngspice in supervised worker processes and, for tests, a fake. A
//! [`Circuit`] is loaded once and kept warm; between points only its `alter` commands run.

mod batch;
mod fake;
mod security;

#[cfg(feature = "simulate")]
mod ffi;
#[cfg(feature = "simulate")]
mod pool;
#[cfg(feature = "simulate")]
mod process;
#[cfg(feature = "simulate")]
mod protocol;
#[cfg(feature = "simulate")]
mod schedule;
#[cfg(feature = "simulate")]
mod session;
#[cfg(feature = "simulate")]
mod signals;
#[cfg(feature = "simulate")]
mod verdict;
#[cfg(feature = "simulate")]
mod worker;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use batch::{BATCH_COMMAND, DECK_FILE, run_batch};
pub use fake::{FakeSimulator, Fault};
#[cfg(feature = "simulate")]
pub use pool::{PoolOptions, WorkerPool, physical_cores};
pub use security::{check_analysis, check_change, check_circuit, check_startup};
#[cfg(feature = "simulate")]
pub use worker::{Inject, Injected, worker_main, worker_main_with};

use crate::dataset::{Outcome, Value};
use crate::measure::Measurement;
use crate::waveform::Waveform;

/// What `.spiceinit` of the worker's private directory holds. A second thread per BSIM4 evaluation slows two workers on two
/// cores 46 times; the rest keeps ngspice from asking, paging, and printing tables that nobody reads.
pub const SPICEINIT: &str = "* written by gaincell\nset num_threads=1\nset nomoremode\nunset interactive\nset noinit\n\
                             set norefvalue\nset noaskquit\n";

/// A circuit as ngspice loads it: complete, without analysis lines, without `.control`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Circuit {
    /// Content hash; two circuits with the same key are the same circuit.
    pub key: String,
    /// The deck's lines, title first, `.end` last.
    pub lines: Vec<String>,
    /// Commands for ngspice's start-up (`set ngbehavior=hsa`), before the circuit is loaded.
    pub startup: Vec<String>,
}

/// One analysis of a loaded circuit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The caller's number for this job; comes back in the answer.
    pub ticket: u64,
    /// Commands between loading and analysis: `alter ...`, `altermod ...`, `set temp=...`, `option ...`; each one
    /// absolute, so that the order of points does not matter.
    pub alters: Vec<String>,
    /// The analysis as a command: `tran 10p 40n 0 0.5n uic`, `dc vin 0 0.9 0.01`, `op`, `ac dec 10 1 1e9`.
    pub analysis: String,
    /// For a transient, the time at which it must have ended [s].
    pub t_stop_s: Option<f64>,
    /// Signals that are read: `v(bl)`, `i(vbl)`.
    pub signals: Vec<String>,
    /// The point's own values by column name, for measurements of kind `expr`.
    pub values: BTreeMap<String, f64>,
    /// Evaluated on the waveform inside the worker, so that only numbers travel.
    pub measurements: Vec<Measurement>,
    /// Send the waveform of the read signals back too.
    pub keep_waveform: bool,
    /// Most time points accepted before the point is typed `Timeout`.
    pub max_time_points: u64,
    /// Wall-clock limit after which a hung worker is killed [s].
    pub wall_limit_s: f64,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The job's ticket.
    pub ticket: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Measurements by column name; those that found nothing are absent.
    pub measured: BTreeMap<String, Value>,
    /// Why it failed, in the simulator's words and one line.
    pub message: String,
    /// The waveform, if asked for.
    pub waveform: Option<Waveform>,
    /// Points of the analysis' axis.
    pub time_points: u64,
    /// Wall time of alters, analysis and measurements [s].
    pub wall_s: f64,
    /// The worker that ran it.
    pub worker: u32,
}

/// A circuit and what is to be run on it.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// Loaded once, or once in each of several workers.
    pub circuit: &'a Circuit,
    /// Its jobs.
    pub jobs: &'a [Job],
}

/// Why [`Simulator::run_all`] ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkFault {
    /// The work item whose circuit is at fault; `None` if it is none of theirs (no worker starts).
    pub work: Option<usize>,
    /// What is wrong.
    pub error: crate::Error,
}

impl From<WorkFault> for crate::Error {
    fn from(fault: WorkFault) -> Self {
        fault.error
    }
}

/// A simulator that many jobs can be given to.
pub trait Simulator {
    /// Runs the jobs of all work items, in parallel where it can, so that each circuit is loaded about once; calls
    /// `on_answer` once per job in the order in which they end. Tickets are unique over all work. Returning `false` from
    /// `on_answer` stops: no new job starts, running ones are drained and still answered (unless their worker dies meanwhile).
    ///
    /// # Errors
    /// If a circuit itself is refused (syntax, undefined parameter, singular matrix at load), or no worker starts; jobs that
    /// run are drained and answered before. Whatever happens to a single point is an answer, not an error.
    fn run_all(
        &mut self,
        work: &[Work<'_>],
        on_answer: &mut dyn FnMut(Answer) -> bool,
    ) -> std::result::Result<(), WorkFault>;

    /// [`Simulator::run_all`] for one circuit.
    ///
    /// # Errors
    /// As there.
    fn run(&mut self, circuit: &Circuit, jobs: &[Job], on_answer: &mut dyn FnMut(Answer) -> bool) -> crate::Result<()> {
        Ok(self.run_all(&[Work { circuit, jobs }], on_answer)?)
    }

    /// Name and version, as it enters identities: `ngspice-39 <hash of the library file>`.
    fn identity(&mut self) -> crate::Result<String>;

    /// How many jobs run at once.
    fn workers(&self) -> usize;
}

/// Looks through every circuit of `work`.
///
/// # Errors
/// The first one that may not be loaded.
fn check_work(work: &[Work<'_>]) -> std::result::Result<(), WorkFault> {
    for (index, item) in work.iter().enumerate() {
        check_circuit(item.circuit).map_err(|error| WorkFault { work: Some(index), error })?;
    }
    Ok(())
}
