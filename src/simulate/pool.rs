//! Many workers, one queue.
//!
//! Each worker holds a few jobs, so that it starts the next while the answer to the last is still on its way. A worker that
//! dies or hangs costs the job that it ran one of its two attempts; the jobs behind it go to its successor, that job first. So
//! every job is answered, and what a job answers does not depend on where, when or after what it ran.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::process::{Event, Process, Spawner, event_channel};
use super::protocol::{Reply, Request};
use super::{Answer, Circuit, Job, Simulator, check_circuit};
use crate::dataset::Outcome;
use crate::error::{Error, Kind, Problem, Result};

/// How often the interrupt flag is looked at while nothing happens.
const POLL: Duration = Duration::from_millis(50);

/// Loading a process design kit takes seconds, on a loaded machine tens of them.
const LOAD_LIMIT: Duration = Duration::from_secs(300);

/// Attempts that a job has.
const ATTEMPTS: u8 = 2;

/// Work that a worker holds beyond the job it runs [s], and in jobs; it bridges the caller's own work between answers.
const PREFETCH_S: f64 = 0.03;
const MAX_PREFETCH: usize = 32;

/// How a pool is set up.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The executable that has the `worker` subcommand.
    pub worker_program: PathBuf,
    /// How many workers run at once; `None` means one per physical core that this process may use.
    pub workers: Option<NonZeroUsize>,
    /// When it becomes true, no new job starts.
    pub interrupt: Arc<AtomicBool>,
    /// A worker that holds more is replaced between two jobs [bytes], unless its first job already needed half of that.
    pub recycle_bytes: u64,
}

impl PoolOptions {
    /// The defaults, with `worker_program` as the worker.
    pub fn new(worker_program: impl Into<PathBuf>) -> Self {
        PoolOptions {
            worker_program: worker_program.into(),
            workers: None,
            interrupt: Arc::new(AtomicBool::new(false)),
            recycle_bytes: 512 << 20,
        }
    }
}

/// ngspice in supervised worker processes. They start when first needed and stay for the pool's life.
pub struct WorkerPool {
    options: PoolOptions,
    // Before the spawner: workers end first.
    slots: Vec<Slot>,
    spawner: Spawner,
    events: (Sender<Event>, Receiver<Event>),
    generation: u64,
    batch: u64,
    identity: Option<String>,
    /// Key of the circuit that was checked last.
    checked: Option<String>,
}

#[derive(Default)]
struct Slot {
    process: Option<Process>,
    generation: u64,
    loaded: Option<String>,
    loading: bool,
    /// What was sent and not answered yet, in order.
    queue: VecDeque<Flight>,
    /// Since when the head of the queue, or the loading, has been running.
    since: Option<Instant>,
    /// Resident memory at the first reading for this circuit [bytes].
    first_resident_bytes: u64,
    /// Nothing more is sent; the process is replaced when its queue is empty.
    retiring: bool,
    /// A request could not be encoded.
    unsendable: bool,
    /// Processes in a row that ended while loading.
    failed_loads: u8,
}

#[derive(Clone, Copy)]
struct Flight {
    job: usize,
    attempt: u8,
}

/// What one call of `run` works on.
struct Batch<'a> {
    circuit: &'a Circuit,
    jobs: &'a [Job],
    on_answer: &'a mut dyn FnMut(Answer) -> bool,
    pending: VecDeque<Flight>,
    stopped: bool,
    finished: u64,
    busy_s: f64,
}

impl WorkerPool {
    /// A pool without a process yet.
    ///
    /// # Errors
    /// [`Kind::Io`] if the thread that starts processes cannot be made.
    pub fn new(options: PoolOptions) -> Result<Self> {
        let workers = options.workers.map_or_else(physical_cores, NonZeroUsize::get);
        let spawner =
            Spawner::start().map_err(|error| Error::new(Kind::Io, format!("cannot start a thread: {error}")))?;
        Ok(WorkerPool {
            options,
            slots: (0..workers).map(|_| Slot::default()).collect(),
            spawner,
            events: event_channel(),
            generation: 0,
            batch: 0,
            identity: None,
            checked: None,
        })
    }

    /// Process ids of the workers that run now.
    pub fn process_ids(&self) -> Vec<u32> {
        self.slots.iter().filter_map(|slot| slot.process.as_ref()).map(Process::id).collect()
    }

    fn ensure_process(&mut self, index: usize) -> Result<()> {
        if self.slots[index].process.is_some() {
            return Ok(());
        }
        self.generation += 1;
        let program = &self.options.worker_program;
        let process = self.spawner.spawn(program, index, self.generation, &self.events.0).map_err(|error| {
            Error::from(
                Problem::new(Kind::SimulatorUnavailable, format!("cannot start a worker: {error}")).file(program),
            )
        })?;
        let failed_loads = self.slots[index].failed_loads;
        let queue = std::mem::take(&mut self.slots[index].queue);
        let (process, generation) = (Some(process), self.generation);
        self.slots[index] = Slot { process, generation, queue, failed_loads, ..Slot::default() };
        Ok(())
    }

    /// Gives workers what they can take.
    fn dispatch(&mut self, batch: &mut Batch) -> Result<()> {
        for index in 0..self.slots.len() {
            if batch.stopped || batch.pending.is_empty() {
                return Ok(());
            }
            let slot = &self.slots[index];
            if slot.retiring && !slot.queue.is_empty() {
                continue;
            }
            if slot.retiring {
                self.slots[index].process = None;
            }
            self.ensure_process(index)?;
            let depth = batch.depth(self.slots.len());
            // Refilled when half empty: several jobs then travel and wake the worker's reader together.
            if self.slots[index].queue.len() > depth / 2 {
                continue;
            }
            while self.slots[index].queue.len() < depth
                && let Some(flight) = batch.pending.pop_front()
            {
                self.prepare_job(index, batch, flight);
            }
            self.flush(index, batch)?;
        }
        Ok(())
    }

    /// Prepares a job, and before it the circuit where it is not loaded.
    fn prepare_job(&mut self, index: usize, batch: &mut Batch, flight: Flight) {
        let slot = &mut self.slots[index];
        slot.queue.push_back(flight);
        let Some(process) = slot.process.as_mut() else { return };
        let mut prepared = Ok(());
        if slot.loaded.as_deref() != Some(batch.circuit.key.as_str()) {
            prepared = process.prepare(&Request::Load(Cow::Borrowed(batch.circuit)));
            slot.loaded = Some(batch.circuit.key.clone());
            slot.loading = true;
            slot.first_resident_bytes = 0;
            slot.since = Some(Instant::now());
        }
        let job = Cow::Borrowed(&batch.jobs[flight.job]);
        let prepared = prepared.and_then(|()| process.prepare(&Request::Run { batch: self.batch, job }));
        slot.unsendable |= prepared.is_err();
        if slot.queue.len() == 1 && !slot.loading {
            slot.since = Some(Instant::now());
        }
    }

    fn flush(&mut self, index: usize, batch: &mut Batch) -> Result<()> {
        let slot = &mut self.slots[index];
        let sent = slot.process.as_mut().is_none_or(|process| process.flush().is_ok());
        if sent && !slot.unsendable { Ok(()) } else { self.on_death(index, batch, "does not take requests") }
    }

    fn on_event(&mut self, event: Event, batch: &mut Batch) -> Result<()> {
        let slot = &mut self.slots[event.slot];
        if slot.generation != event.generation || slot.process.is_none() {
            return Ok(());
        }
        match event.reply {
            None => self.on_death(event.slot, batch, "died")?,
            Some(Reply::Loaded) => {
                slot.loading = false;
                slot.failed_loads = 0;
                slot.since = Some(Instant::now());
            }
            Some(Reply::CircuitFault(problem)) => return Err(Problem::from(problem).into()),
            Some(Reply::Stale) => self.requeue(event.slot, batch),
            Some(Reply::Skipped) => {
                slot.queue.pop_front();
                slot.since = Some(Instant::now());
            }
            Some(Reply::Answer { mut answer, resident_bytes, retire }) => {
                slot.queue.pop_front();
                slot.since = (!slot.queue.is_empty()).then(Instant::now);
                if slot.first_resident_bytes == 0 {
                    slot.first_resident_bytes = resident_bytes;
                }
                // A circuit that needs that much by itself is not a leak.
                let limit = self.options.recycle_bytes.max(2 * slot.first_resident_bytes);
                slot.retiring |= resident_bytes > limit;
                if retire {
                    self.requeue(event.slot, batch);
                }
                answer.worker = event.slot as u32;
                batch.answer(*answer);
            }
            Some(Reply::Identity(_)) => {}
        }
        Ok(())
    }

    /// Drops the worker and gives its jobs back, in order, none of them charged.
    fn requeue(&mut self, index: usize, batch: &mut Batch) {
        self.slots[index].process = None;
        while let Some(flight) = self.slots[index].queue.pop_back() {
            batch.pending.push_front(flight);
        }
    }

    /// The worker ended or hung: its first job is charged and tried again in the fresh process that takes its place.
    fn on_death(&mut self, index: usize, batch: &mut Batch, how: &str) -> Result<()> {
        let slot = &mut self.slots[index];
        let hung = how == HUNG;
        let Some(process) = slot.process.take() else { return Ok(()) };
        let status = if hung { String::new() } else { format!(": {}", process.end()) };
        if std::mem::take(&mut slot.loading) {
            slot.failed_loads += 1;
            if slot.failed_loads >= ATTEMPTS {
                slot.failed_loads = 0;
                let message = format!("a worker {how} while it loaded the circuit{status}");
                return Err(Error::new(Kind::SimulatorUnavailable, message));
            }
            self.requeue(index, batch);
            return Ok(());
        }
        let head = slot.queue.pop_front();
        self.requeue(index, batch);
        let Some(head) = head else { return Ok(()) };
        if head.attempt + 1 < ATTEMPTS && !batch.stopped {
            // This very slot has no process now, so its next one, which takes the front of the queue, is a fresh one.
            self.ensure_process(index)?;
            self.prepare_job(index, batch, Flight { attempt: head.attempt + 1, ..head });
            return self.flush(index, batch);
        }
        let job = &batch.jobs[head.job];
        let (outcome, message) = if hung {
            (Outcome::Timeout, format!("still running after {} s", job.wall_limit_s))
        } else {
            (Outcome::Crash, format!("the worker {how}{status}"))
        };
        let message = format!("{message} (attempt {} of {ATTEMPTS})", head.attempt + 1);
        batch.answer(failed(job.ticket, outcome, message, index));
        Ok(())
    }

    /// Gives up workers that have been at one job for longer than it may take.
    fn end_hung(&mut self, batch: &mut Batch) -> Result<()> {
        for index in 0..self.slots.len() {
            if self.deadline(index, batch).is_some_and(|deadline| deadline <= Instant::now()) {
                self.on_death(index, batch, HUNG)?;
            }
        }
        Ok(())
    }

    fn deadline(&self, index: usize, batch: &Batch) -> Option<Instant> {
        let slot = &self.slots[index];
        let head = slot.queue.front()?;
        let limit = if slot.loading {
            LOAD_LIMIT
        } else {
            Duration::try_from_secs_f64(batch.jobs[head.job].wall_limit_s).unwrap_or(Duration::MAX)
        };
        slot.process.as_ref()?;
        slot.since?.checked_add(limit)
    }

    fn work(&mut self, batch: &mut Batch) -> Result<()> {
        let mut cancel_sent = false;
        // Workers that died while there was nothing to do are found out before they are given work.
        while let Ok(event) = self.events.1.try_recv() {
            self.on_event(event, batch)?;
        }
        loop {
            batch.stopped |= self.options.interrupt.load(Ordering::SeqCst);
            if batch.stopped && !cancel_sent {
                cancel_sent = true;
                for slot in &mut self.slots {
                    if let Some(process) = slot.process.as_mut() {
                        // A worker that cannot be told is noticed by its silence.
                        let _ = process.send(&Request::Cancel { batch: self.batch });
                    }
                }
            }
            self.dispatch(batch)?;
            let idle = self.slots.iter().all(|slot| slot.queue.is_empty());
            if idle && (batch.stopped || batch.pending.is_empty()) {
                return Ok(());
            }
            let next = (0..self.slots.len()).filter_map(|index| self.deadline(index, batch)).min();
            let wait = next.map_or(POLL, |deadline| deadline.saturating_duration_since(Instant::now()).min(POLL));
            match self.events.1.recv_timeout(wait) {
                Ok(event) => {
                    self.on_event(event, batch)?;
                    // What has arrived counts before a deadline does.
                    while let Ok(event) = self.events.1.try_recv() {
                        self.on_event(event, batch)?;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.end_hung(batch)?;
        }
    }
}

/// How [`WorkerPool::on_death`] is told of a worker that does not answer.
const HUNG: &str = "hung";

impl Batch<'_> {
    fn answer(&mut self, answer: Answer) {
        self.finished += 1;
        self.busy_s += answer.wall_s;
        self.stopped |= !(self.on_answer)(answer);
    }

    /// How many jobs a worker may hold: one until their length is known, then as many as bridge the gap, and towards the end
    /// no more than its share.
    fn depth(&self, workers: usize) -> usize {
        if self.finished == 0 {
            return 1;
        }
        let mean_s = (self.busy_s / self.finished as f64).max(1e-6);
        let bridge = ((PREFETCH_S / mean_s) as usize).min(MAX_PREFETCH);
        1 + bridge.min(self.pending.len() / workers)
    }
}

fn failed(ticket: u64, outcome: Outcome, message: String, worker: usize) -> Answer {
    Answer {
        ticket,
        outcome,
        measured: Default::default(),
        message,
        waveform: None,
        time_points: 0,
        wall_s: 0.0,
        worker: worker as u32,
    }
}

impl Simulator for WorkerPool {
    fn run(&mut self, circuit: &Circuit, jobs: &[Job], on_answer: &mut dyn FnMut(Answer) -> bool) -> Result<()> {
        if self.checked.as_ref() != Some(&circuit.key) {
            check_circuit(circuit)?;
            self.checked = Some(circuit.key.clone());
        }
        self.batch += 1;
        let pending = (0..jobs.len()).map(|job| Flight { job, attempt: 0 }).collect();
        let mut batch = Batch { circuit, jobs, on_answer, pending, stopped: false, finished: 0, busy_s: 0.0 };
        let result = self.work(&mut batch);
        if result.is_err() {
            // Whatever still runs belongs to a call that is over.
            for slot in &mut self.slots {
                *slot = Slot::default();
            }
        }
        result
    }

    fn identity(&mut self) -> Result<String> {
        if let Some(identity) = &self.identity {
            return Ok(identity.clone());
        }
        self.ensure_process(0)?;
        let slot = &mut self.slots[0];
        let mut said = "hung".to_string();
        if slot.process.as_mut().is_some_and(|process| process.send(&Request::Identify).is_ok()) {
            let deadline = Instant::now() + LOAD_LIMIT;
            while let Ok(event) = self.events.1.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                if event.slot != 0 || event.generation != slot.generation {
                    continue;
                }
                match event.reply {
                    Some(Reply::Identity(identity)) => {
                        self.identity = Some(identity.clone());
                        return Ok(identity);
                    }
                    Some(Reply::CircuitFault(problem)) => {
                        *slot = Slot::default();
                        return Err(Problem::from(problem).into());
                    }
                    Some(_) => {}
                    None => {
                        said = slot.process.take().map_or_else(String::new, Process::end);
                        break;
                    }
                }
            }
        }
        *slot = Slot::default();
        let program = &self.options.worker_program;
        Err(Problem::new(Kind::SimulatorUnavailable, format!("a worker did not start ({said})")).file(program).into())
    }

    fn workers(&self) -> usize {
        self.slots.len()
    }
}

/// Physical cores that this process may use: two hardware threads of a core share what ngspice needs.
pub fn physical_cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let Ok(folders) = std::fs::read_dir("/sys/devices/system/cpu") else { return allowed };
    let mut cores: Vec<(String, String)> = folders
        .filter_map(|folder| {
            let topology = folder.ok()?.path().join("topology");
            let read = |name: &str| std::fs::read_to_string(topology.join(name)).ok();
            Some((read("physical_package_id")?, read("core_id")?))
        })
        .collect();
    cores.sort();
    cores.dedup();
    if cores.is_empty() { allowed } else { allowed.min(cores.len()) }
}
