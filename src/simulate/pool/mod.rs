//! Many workers, one queue.
//!
//! Each worker holds a few jobs, so that it starts the next while the answer to the last is still on its way. A worker that
//! dies or hangs costs the job that it ran one of its two attempts; the jobs behind it go to its successor, that job first. So
//! every job is answered, and what a job answers does not depend on where, when or after what it ran.

mod dispatch;
mod faults;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::process::{Event, Process, Spawner, event_channel};
use super::protocol::{Reply, Request};
use super::schedule::{Flight, Schedule};
use super::{Answer, Simulator, Work, WorkFault, check_work};
use crate::dataset::Outcome;
use crate::error::{Error, Kind, Problem, Result};

/// How often the interrupt flag is looked at while nothing happens.
const POLL: Duration = Duration::from_millis(50);

/// Loading a process design kit takes seconds, on a loaded machine tens of them.
const LOAD_LIMIT: Duration = Duration::from_secs(300);

/// Attempts that a job has.
const ATTEMPTS: u8 = 2;

/// How a pool is set up.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The executable that has the `worker` subcommand.
    pub worker_program: PathBuf,
    /// How many workers run at once; `None` means one per physical core that this process may use.
    pub workers: Option<NonZeroUsize>,
    /// When it becomes true, no new job starts.
    pub interrupt: Arc<AtomicBool>,
    /// A worker that has grown by more than this since its first job [bytes], and by more than it held then, is replaced
    /// between two jobs: libngspice leaks about 2 kB a run.
    pub recycle_bytes: u64,
}

impl PoolOptions {
    /// The defaults, with `worker_program` as the worker.
    pub fn new(worker_program: impl Into<PathBuf>) -> Self {
        PoolOptions {
            worker_program: worker_program.into(),
            workers: None,
            interrupt: Arc::new(AtomicBool::new(false)),
            recycle_bytes: 20 << 20,
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
}

#[derive(Default)]
struct Slot {
    process: Option<Process>,
    generation: u64,
    /// The work item that it was given last in this call.
    work: Option<usize>,
    /// Key of the circuit that is loaded once everything that was sent is done.
    loaded: Option<String>,
    /// What was sent and not answered yet, in order.
    queue: VecDeque<Sent>,
    /// Since when the head of the queue has been running.
    since: Option<Instant>,
    /// Resident memory at the process's first reading [bytes].
    first_resident_bytes: u64,
    /// Nothing more is sent; the process is replaced when its queue is empty.
    retiring: bool,
    /// A request could not be encoded.
    unsendable: bool,
    /// Processes in a row that ended while loading.
    failed_loads: u8,
    /// Jobs that are to be answered one by one, because a process that ended may have had answers of theirs.
    careful: usize,
}

/// A request that a worker has.
#[derive(Clone, Copy)]
enum Sent {
    /// Loading a work item's circuit.
    Load(usize),
    Run(Flight),
}

impl Slot {
    fn push(&mut self, sent: Sent) {
        if self.queue.is_empty() {
            self.since = Some(Instant::now());
        }
        self.queue.push_back(sent);
    }

    /// The head is done; how long it took [s].
    fn pop(&mut self) -> Option<(Sent, f64)> {
        let sent = self.queue.pop_front()?;
        let now = Instant::now();
        let took_s = self.since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        self.since = (!self.queue.is_empty()).then_some(now);
        Some((sent, took_s))
    }
}

/// What one call of `run_all` works on.
struct Batch<'a> {
    work: &'a [Work<'a>],
    schedule: Schedule<'a>,
    on_answer: &'a mut dyn FnMut(Answer) -> bool,
    stopped: bool,
    /// Why the call ends early, once what runs is drained.
    fault: Option<WorkFault>,
}

impl WorkerPool {
    /// A pool without a process yet.
    ///
    /// # Errors
    /// [`Kind::Io`] if the thread that starts processes cannot be made.
    pub fn new(options: PoolOptions) -> Result<Self> {
        let workers = options.workers.map_or_else(physical_cores, NonZeroUsize::get);
        let spawner = Spawner::start(&options.worker_program)
            .map_err(|error| Error::new(Kind::Io, format!("cannot start a thread: {error}")))?;
        Ok(WorkerPool {
            options,
            slots: (0..workers).map(|_| Slot::default()).collect(),
            spawner,
            events: event_channel(),
            generation: 0,
            batch: 0,
            identity: None,
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
        let process = self.spawner.spawn(index, self.generation, &self.events.0).map_err(|error| {
            Error::from(
                Problem::new(Kind::SimulatorUnavailable, format!("cannot start a worker: {error}")).file(program),
            )
        })?;
        // Whatever the process before it had taken was given back with its end.
        let Slot { work, failed_loads, careful, .. } = self.slots[index];
        let (process, generation) = (Some(process), self.generation);
        self.slots[index] = Slot { process, generation, work, failed_loads, careful, ..Slot::default() };
        Ok(())
    }

    fn on_event(&mut self, event: Event, batch: &mut Batch) {
        let index = event.slot;
        let slot = &mut self.slots[index];
        if slot.generation != event.generation || slot.process.is_none() {
            return;
        }
        match event.reply {
            None => self.on_death(index, batch, "died"),
            Some(Reply::Loaded) => {
                slot.failed_loads = 0;
                if let Some((Sent::Load(work), took_s)) = slot.pop() {
                    batch.schedule.loaded(work, took_s);
                }
            }
            Some(Reply::CircuitFault(problem)) => {
                let work = slot.queue.front().map(|sent| match sent {
                    Sent::Load(work) => *work,
                    Sent::Run(flight) => flight.work,
                });
                let problem = Problem::from(problem);
                // A library that is missing is no circuit's fault.
                let work = work.filter(|_| problem.kind != Kind::SimulatorUnavailable);
                batch.fault(work, problem.into());
                self.requeue(index, batch);
            }
            Some(Reply::Stale) => self.requeue(index, batch),
            Some(Reply::Skipped) => {
                if let Some((Sent::Load(_), _)) = slot.pop() {
                    slot.loaded = None;
                }
            }
            Some(Reply::Answer { answer, resident_bytes, retire }) => {
                let Some((Sent::Run(flight), _)) = slot.pop() else { return };
                if slot.first_resident_bytes == 0 {
                    slot.first_resident_bytes = resident_bytes;
                }
                // What a large circuit or a long waveform takes for a while is not a leak.
                let growth = self.options.recycle_bytes.max(slot.first_resident_bytes);
                let limit = slot.first_resident_bytes.saturating_add(growth);
                slot.retiring |= resident_bytes > limit;
                let wall_s = answer.wall_s;
                let answer = Answer { worker: index as u32, ..*answer };
                if retire {
                    self.requeue(index, batch);
                    self.charge(index, batch, flight, answer);
                } else {
                    batch.schedule.finished(flight.work, wall_s);
                    batch.answer(answer);
                }
            }
            Some(Reply::Identity(_)) => {}
        }
    }

    fn work(&mut self, batch: &mut Batch) {
        let mut cancel_sent = false;
        // Workers that died while there was nothing to do are found out before they are given work.
        while let Ok(event) = self.events.1.try_recv() {
            self.on_event(event, batch);
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
            self.dispatch(batch);
            let idle = self.slots.iter().all(|slot| slot.queue.is_empty());
            if idle && (batch.stopped || batch.schedule.is_empty()) {
                return;
            }
            let next = (0..self.slots.len()).filter_map(|index| self.deadline(index, batch)).min();
            let wait = next.map_or(POLL, |deadline| deadline.saturating_duration_since(Instant::now()).min(POLL));
            match self.events.1.recv_timeout(wait) {
                Ok(event) => {
                    self.on_event(event, batch);
                    // What has arrived counts before a deadline does.
                    while let Ok(event) = self.events.1.try_recv() {
                        self.on_event(event, batch);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.end_hung(batch);
        }
    }
}

/// How [`WorkerPool::on_death`] is told of a worker that does not answer.
const HUNG: &str = "hung";

impl Batch<'_> {
    fn answer(&mut self, answer: Answer) {
        self.stopped |= !(self.on_answer)(answer);
    }

    /// Ends the call with this fault; of several the first is told.
    fn fault(&mut self, work: Option<usize>, error: Error) {
        self.stopped = true;
        self.fault.get_or_insert(WorkFault { work, error });
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
    fn run_all(
        &mut self,
        work: &[Work<'_>],
        on_answer: &mut dyn FnMut(Answer) -> bool,
    ) -> std::result::Result<(), WorkFault> {
        check_work(work)?;
        self.batch += 1;
        for slot in &mut self.slots {
            slot.work = None;
            slot.failed_loads = 0;
        }
        let schedule = Schedule::new(work, self.slots.len());
        let mut batch = Batch { work, schedule, on_answer, stopped: false, fault: None };
        self.work(&mut batch);
        batch.fault.map_or(Ok(()), Err)
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
                        said = slot.process.take().map_or_else(String::new, |process| process.end().1);
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
