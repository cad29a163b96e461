//! The points of a plan at one tier: what is stored is served, the rest is simulated, and every answer becomes a row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Progress, SweepRun, interrupted};
use crate::campaign::estimate::Estimate;
use crate::campaign::guard::{FLOOR_LABEL, UNCHECKED};
use crate::dataset::{Outcome, PointId, Runtime, Store};
use crate::error::{Error, Kind, Result};
use crate::netlist::{LoadedCircuit, locate};
use crate::rng;
use crate::simulate::{Answer, Circuit, Job, Simulator, Work};
use crate::spec::Limits;
use crate::sweep::{Group, Plan, PlannedPoint};

/// Where an answer belongs.
struct Ticket<'a> {
    group: usize,
    point: &'a PlannedPoint,
    id: PointId,
}

impl SweepRun<'_> {
    /// Takes what the run or the store has of a group; the indices of the others go into `waiting`.
    pub(super) fn serve(&mut self, group: &Group, startup: &[String], waiting: &mut BTreeSet<u64>) -> Result<()> {
        let mut variants: Vec<Group> = Vec::new();
        for point in &group.points {
            let index = point.row.index;
            let mut served = None;
            for (climbed, tier) in self.tiers().enumerate() {
                // Tiers are looked at only for points that are not stored at the one before.
                if variants.len() <= climbed {
                    variants.push(Group { circuit: self.planner.at_tier(group, tier)?, ..group.clone() });
                }
                let variant = &variants[climbed];
                let id = point.id(variant, startup, &self.identity);
                let have = self.run.row(index).is_some_and(|row| row.id == id && row.outcome == Outcome::Ok);
                if have {
                    served = Some(None);
                    break;
                }
                let labels = self.labels(point);
                if let Some(record) = self.store(&variant.circuit)?.serve(&id, index, &point.row.values, &labels) {
                    served = Some(Some(record));
                    break;
                }
            }
            match served {
                None => {
                    waiting.insert(index);
                    continue;
                }
                Some(Some((row, runtime))) => self.run.append(row, runtime)?,
                Some(None) => {}
            }
            self.progress.done += 1;
            self.progress.cached += 1;
        }
        Ok(())
    }

    /// Simulates the waiting points at one tier; answers those that are to climb.
    pub(super) fn run_tier(
        &mut self,
        plan: &Plan,
        tier: u8,
        waiting: &BTreeSet<u64>,
        simulator: &mut dyn Simulator,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<BTreeSet<u64>> {
        let limits = self.planner.spec().limits;
        let (mut circuits, mut origins, mut jobs, mut tickets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for group in &plan.groups {
            let mut points: Vec<&PlannedPoint> =
                group.points.iter().filter(|point| waiting.contains(&point.row.index)).collect();
            if points.is_empty() {
                continue;
            }
            // Scattered over the design, so that the first tenth costs what the others cost, and the ETA is right.
            points.sort_by_key(|point| (rng::bits(0, point.row.index, "order", "points"), point.row.index));
            let variant = Group { circuit: self.planner.at_tier(group, tier)?, ..group.clone() };
            self.store(&variant.circuit)?.keep_deck(&variant.circuit.lines)?;
            let position = circuits.len();
            let mut of_group = Vec::new();
            for point in points {
                of_group.push(planned_job(tickets.len() as u64, group, point, &limits));
                let id = point.id(&variant, &plan.startup, &self.identity);
                tickets.push(Ticket { group: position, point, id });
            }
            jobs.push(of_group);
            let LoadedCircuit { key, lines, origins: from } = variant.circuit;
            circuits.push(Circuit { key, lines, startup: plan.startup.clone() });
            origins.push(from);
        }
        let work: Vec<Work<'_>> =
            circuits.iter().zip(&jobs).map(|(circuit, jobs)| Work { circuit, jobs: jobs.as_slice() }).collect();
        let mut estimate = Estimate::new(jobs.iter().map(|jobs| jobs.len() as u64));
        let began = Instant::now();
        let highest = self.planner.spec().ladder.highest;
        let (mut climbing, mut failure, mut go_on) = (BTreeSet::new(), None, true);
        let result = simulator.run_all(&work, &mut |answer: Answer| {
            let Some(ticket) = tickets.get(answer.ticket as usize) else { return true };
            estimate.add(ticket.group, answer.wall_s);
            let climbs = answer.outcome == Outcome::Nonconvergence && tier < highest;
            if let Err(error) = self.keep(&circuits[ticket.group].key, ticket, tier, answer) {
                failure = Some(error);
                return false;
            }
            if climbs {
                climbing.insert(ticket.point.row.index);
            }
            self.progress.remaining_s = estimate.remaining_s(began.elapsed().as_secs_f64());
            go_on = tell(self.progress);
            go_on
        });
        self.flush()?;
        if let Some(error) = failure {
            return Err(error);
        }
        result.map_err(|fault| match fault.work.and_then(|work| origins.get(work)) {
            Some(origins) => locate(fault.error, origins),
            None => fault.error,
        })?;
        if go_on { Ok(climbing) } else { Err(interrupted()) }
    }

    /// One answer becomes a row, in the store if it is good and in the journal anyway.
    fn keep(&mut self, key: &str, ticket: &Ticket<'_>, tier: u8, answer: Answer) -> Result<()> {
        let mut row = ticket.point.row(ticket.id.clone(), tier, answer.outcome, answer.measured, answer.message);
        row.labels = self.labels(ticket.point);
        let runtime = Runtime {
            id: ticket.id.clone(),
            worker: answer.worker,
            wall_s: answer.wall_s,
            time_points: answer.time_points,
            cached: false,
            finished_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()),
        };
        let (ok, first) = (row.outcome == Outcome::Ok, tier == self.planner.spec().ladder.start);
        if let Some(store) = self.stores.get_mut(key) {
            store.insert(&row, &runtime)?;
        }
        self.run.append(row, runtime)?;
        self.progress.done += u64::from(first);
        self.progress.failed = match (first, ok) {
            (true, false) => self.progress.failed + 1,
            (false, true) => self.progress.failed - 1,
            _ => self.progress.failed,
        };
        Ok(())
    }

    fn labels(&self, point: &PlannedPoint) -> BTreeMap<String, String> {
        let mut labels = point.row.labels.clone();
        if self.planner.spec().guard.points > 0 {
            labels.insert(FLOOR_LABEL.to_string(), UNCHECKED.to_string());
        }
        labels
    }

    pub(super) fn store(&mut self, circuit: &LoadedCircuit) -> Result<&mut Store> {
        if !self.stores.contains_key(&circuit.key) {
            let store = Store::open(&self.project.results().join(".store"), &circuit.key)?;
            self.stores.insert(circuit.key.clone(), store);
        }
        self.stores.get_mut(&circuit.key).ok_or_else(|| Error::new(Kind::Internal, "a store was opened and lost"))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.run.flush()?;
        self.stores.values_mut().try_for_each(Store::flush)
    }
}

/// The job of a planned point, within the limits of its sweep.
pub fn planned_job(ticket: u64, group: &Group, point: &PlannedPoint, limits: &Limits) -> Job {
    Job {
        ticket,
        alters: point.alters.clone(),
        analysis: point.analysis.clone(),
        t_stop_s: point.t_stop_s,
        signals: group.signals.clone(),
        measurements: point.measurements.clone(),
        values: point.row.values.clone(),
        keep_waveform: false,
        max_time_points: limits.time_points,
        wall_limit_s: limits.wall_s,
    }
}
