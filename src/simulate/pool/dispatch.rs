//! Giving workers jobs: which circuit's, how many at once, and the circuit before them where it is not loaded.

use std::borrow::Cow;

use super::{Batch, Sent, WorkerPool};
use crate::simulate::Work;
use crate::simulate::protocol::Request;
use crate::simulate::schedule::Flight;

impl WorkerPool {
    /// Gives workers what they can take.
    pub(super) fn dispatch(&mut self, batch: &mut Batch) {
        for index in 0..self.slots.len() {
            if batch.stopped || batch.schedule.is_empty() {
                return;
            }
            let slot = &self.slots[index];
            if slot.retiring && !slot.queue.is_empty() {
                continue;
            }
            let Some(work) = self.next_work(index, batch) else { continue };
            if slot.retiring {
                self.slots[index].process = None;
            }
            if let Err(error) = self.ensure_process(index) {
                batch.fault(None, error);
                return;
            }
            let (depth, held) = (batch.schedule.depth(work), self.slots[index].queue.len());
            for _ in 0..depth.saturating_sub(held).max(1) {
                let Some(flight) = batch.schedule.pop(work) else { break };
                self.prepare_job(index, batch, flight);
            }
            self.flush(index, batch);
        }
    }

    /// The work item that a worker is to be given jobs of; `None` if it holds enough or there is nothing for it.
    fn next_work(&self, index: usize, batch: &Batch) -> Option<usize> {
        let slot = &self.slots[index];
        let (held, schedule) = (slot.queue.len(), &batch.schedule);
        if let Some(work) = slot.work.filter(|work| schedule.has(*work)) {
            // Refilled when half empty: several jobs then travel and wake the worker's reader together.
            return (held <= schedule.depth(work) / 2).then_some(work);
        }
        match slot.queue.front() {
            None => {
                let others = self.slots.iter().enumerate().filter(|(other, _)| *other != index);
                let others: Vec<usize> = others.filter_map(|(_, slot)| slot.work).collect();
                schedule.choose(slot.loaded.as_deref().filter(|_| slot.process.is_some()), &others)
            }
            Some(Sent::Run(flight)) if held == 1 => schedule.choose_ahead(flight.work),
            Some(_) => None,
        }
    }

    /// Prepares a job, and before it the circuit where it is not loaded.
    pub(super) fn prepare_job(&mut self, index: usize, batch: &Batch, flight: Flight) {
        let slot = &mut self.slots[index];
        slot.work = Some(flight.work);
        let Work { circuit, jobs } = batch.work[flight.work];
        let mut requests = Vec::with_capacity(2);
        if slot.loaded.as_ref() != Some(&circuit.key) {
            slot.loaded = Some(circuit.key.clone());
            slot.push(Sent::Load(flight.work));
            requests.push(Request::Load { batch: self.batch, circuit: Cow::Borrowed(circuit) });
        }
        slot.push(Sent::Run(flight));
        let at_once = slot.careful > 0 || flight.attempt > 0 || !batch.schedule.is_brief(flight.work);
        slot.careful = slot.careful.saturating_sub(1);
        requests.push(Request::Run { batch: self.batch, job: Cow::Borrowed(&jobs[flight.job]), at_once });
        if let Some(process) = slot.process.as_mut() {
            slot.unsendable |= requests.iter().any(|request| process.prepare(request).is_err());
        }
    }

    pub(super) fn flush(&mut self, index: usize, batch: &mut Batch) {
        let slot = &mut self.slots[index];
        // A worker that has closed its end may have answered before: its reader tells of that first, then of its end.
        let closed = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset)
        };
        let sent =
            slot.process.as_mut().is_none_or(|process| process.flush().map_or_else(|error| closed(&error), |()| true));
        if !sent || slot.unsendable {
            self.on_death(index, batch, "does not take requests");
        }
    }
}
