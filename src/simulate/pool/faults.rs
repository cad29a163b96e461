//! Workers that die or hang: their jobs are given back, and one of them is charged.

use std::time::{Duration, Instant};

use super::{ATTEMPTS, Batch, HUNG, LOAD_LIMIT, Sent, WorkerPool, failed};
use crate::dataset::Outcome;
use crate::error::{Error, Kind};
use crate::simulate::Answer;
use crate::simulate::schedule::Flight;

impl WorkerPool {
    /// Drops the worker and gives its jobs back, in order, none of them charged.
    pub(super) fn requeue(&mut self, index: usize, batch: &mut Batch) {
        let slot = &mut self.slots[index];
        slot.process = None;
        while let Some(sent) = slot.queue.pop_back() {
            if let Sent::Run(flight) = sent {
                slot.work = Some(flight.work);
                batch.schedule.put_back(flight);
            }
        }
    }

    /// The worker ended or hung: its first job is charged.
    pub(super) fn on_death(&mut self, index: usize, batch: &mut Batch, how: &str) {
        let slot = &mut self.slots[index];
        let hung = how == HUNG;
        let Some(process) = slot.process.take() else { return };
        let (how, status) = if hung {
            (how, String::new())
        } else {
            let (by_itself, status) = process.end();
            // Whether its end is noticed by reading or by writing is chance, and rows must not depend on it.
            (if by_itself { "died" } else { how }, format!(": {status}"))
        };
        // Of the jobs that it had, some may be done and their answers lost with it. The one that ended it is told from them
        // when each answers at once; until then the first is charged, which has an attempt left for that.
        slot.careful = slot.queue.len() + 1;
        let head = slot.queue.pop_front();
        self.requeue(index, batch);
        match head {
            None => {}
            Some(Sent::Load(work)) => {
                let slot = &mut self.slots[index];
                slot.failed_loads += 1;
                if slot.failed_loads >= ATTEMPTS {
                    slot.failed_loads = 0;
                    let message = format!("a worker {how} while it loaded the circuit{status}");
                    batch.fault(Some(work), Error::new(Kind::SimulatorUnavailable, message));
                }
            }
            Some(Sent::Run(flight)) => {
                let job = &batch.work[flight.work].jobs[flight.job];
                let (outcome, message) = if hung {
                    (Outcome::Timeout, format!("still running after {} s", job.wall_limit_s))
                } else {
                    (Outcome::Crash, format!("the worker {how}{status}"))
                };
                self.charge(index, batch, flight, failed(job.ticket, outcome, message, index));
            }
        }
    }

    /// A job ended with its worker, which may be the worker's fault: it is tried once more in a fresh process, and only then
    /// `answer` is taken. After a stop nothing is begun any more, so that it stays unanswered.
    pub(super) fn charge(&mut self, index: usize, batch: &mut Batch, flight: Flight, mut answer: Answer) {
        if flight.attempt + 1 < ATTEMPTS {
            let again = Flight { attempt: flight.attempt + 1, ..flight };
            if batch.stopped {
                batch.schedule.put_back(again);
                return;
            }
            // This very slot has no process now, so that its next one is a fresh one.
            if let Err(error) = self.ensure_process(index) {
                batch.schedule.put_back(again);
                batch.fault(None, error);
                return;
            }
            self.prepare_job(index, batch, again);
            self.flush(index, batch);
            return;
        }
        answer.message += &format!(" (attempt {} of {ATTEMPTS})", flight.attempt + 1);
        batch.schedule.finished(flight.work, answer.wall_s);
        batch.answer(answer);
    }

    /// Gives up workers that have been at one job for longer than it may take.
    pub(super) fn end_hung(&mut self, batch: &mut Batch) {
        for index in 0..self.slots.len() {
            if self.deadline(index, batch).is_some_and(|deadline| deadline <= Instant::now()) {
                self.on_death(index, batch, HUNG);
            }
        }
    }

    /// When the worker will have been too long at what it has; `None` if it has nothing.
    pub(super) fn deadline(&self, index: usize, batch: &Batch) -> Option<Instant> {
        let slot = &self.slots[index];
        slot.process.as_ref()?;
        let limit = match slot.queue.front()? {
            Sent::Load(_) => LOAD_LIMIT,
            Sent::Run(flight) => {
                let limit_s = batch.work[flight.work].jobs[flight.job].wall_limit_s;
                Duration::try_from_secs_f64(limit_s).unwrap_or(Duration::MAX)
            }
        };
        slot.since?.checked_add(limit)
    }
}
