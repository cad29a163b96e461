//! Which circuit a worker works on next, and how many jobs it holds.
//!
//! A worker keeps its circuit for as long as that has jobs. Then it takes the next circuit that nobody works on, so that each
//! circuit is loaded about once, whatever the number of workers. Only when none is left it helps another worker, where
//! that takes less time than loading the circuit costs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Work;

/// Work that a worker holds beyond the job it runs [s], and in jobs; it bridges the caller's own work between answers.
const PREFETCH_S: f64 = 0.03;
const MAX_PREFETCH: usize = 32;
/// Mean time of a job below which answers travel together [s].
const BRIEF_S: f64 = 0.005;

/// A job on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// Its work item.
    pub work: usize,
    /// Its place among the item's jobs.
    pub job: usize,
    /// How many attempts it has lost.
    pub attempt: u8,
}

/// One circuit's jobs.
struct Item {
    pending: VecDeque<Flight>,
    taken: bool,
    finished: u64,
    busy_s: f64,
    /// Shortest time that loading the circuit took [s].
    load_s: Option<f64>,
}

impl Item {
    fn mean_s(&self) -> Option<f64> {
        mean_s(self.finished, self.busy_s)
    }
}

fn mean_s(finished: u64, busy_s: f64) -> Option<f64> {
    (finished > 0).then(|| (busy_s / finished as f64).max(1e-6))
}

/// The jobs of one call that no worker holds.
pub struct Schedule<'a> {
    items: Vec<Item>,
    /// Items by their circuit's key.
    by_key: BTreeMap<&'a str, Vec<usize>>,
    /// No item before this one is untaken.
    next: usize,
    untaken: usize,
    /// Taken items that have jobs left.
    open: BTreeSet<usize>,
    /// Jobs that wait, over all items.
    pending: usize,
    /// What was finished, over all items.
    finished: u64,
    busy_s: f64,
    workers: usize,
}

impl<'a> Schedule<'a> {
    /// All jobs of `work`, for that many workers.
    pub fn new(work: &[Work<'a>], workers: usize) -> Self {
        let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let item = |(index, work): (usize, &Work<'a>)| {
            by_key.entry(work.circuit.key.as_str()).or_default().push(index);
            Item {
                pending: (0..work.jobs.len()).map(|job| Flight { work: index, job, attempt: 0 }).collect(),
                // Without jobs there is nothing to take.
                taken: work.jobs.is_empty(),
                finished: 0,
                busy_s: 0.0,
                load_s: None,
            }
        };
        let items: Vec<Item> = work.iter().enumerate().map(item).collect();
        let untaken = items.iter().filter(|item| !item.taken).count();
        let pending = items.iter().map(|item| item.pending.len()).sum();
        Schedule { items, by_key, next: 0, untaken, open: BTreeSet::new(), pending, finished: 0, busy_s: 0.0, workers }
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Whether a job of this item waits.
    pub fn has(&self, work: usize) -> bool {
        !self.items[work].pending.is_empty()
    }

    /// What a worker without jobs takes up. `loaded` is the key of the circuit that it has, `others` are the items that
    /// the other workers are at.
    pub fn choose(&self, loaded: Option<&str>, others: &[usize]) -> Option<usize> {
        let free = |work: &usize| self.has(*work) && !others.contains(work);
        let same = loaded.and_then(|key| self.by_key.get(key)).map_or(&[][..], Vec::as_slice);
        if let Some(work) = same.iter().copied().find(|work| free(work)) {
            return Some(work);
        }
        if let Some(work) = self.open.iter().copied().find(|work| free(work)) {
            return Some(work);
        }
        self.untaken().or_else(|| self.worth_helping(same, others))
    }

    /// The next item that nobody has begun.
    fn untaken(&self) -> Option<usize> {
        (self.next..self.items.len()).find(|work| !self.items[*work].taken)
    }

    /// The item to load while the worker still runs the last job of another: loading it early must not keep it from a
    /// worker that is idle.
    pub fn choose_ahead(&self, current: usize) -> Option<usize> {
        let brief = self.items[current].mean_s().or_else(|| self.mean_s()).is_some_and(|mean_s| mean_s < PREFETCH_S);
        if brief && self.untaken >= self.workers { self.untaken() } else { None }
    }

    /// Of the items that others are at, the one with the most work left per worker, if helping ends it sooner.
    fn worth_helping(&self, loaded: &[usize], others: &[usize]) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for &work in &self.open {
            let item = &self.items[work];
            let workers = others.iter().filter(|other| **other == work).count() as f64;
            let mean_s = item.mean_s().or_else(|| self.mean_s());
            let left_s = item.pending.len() as f64 * mean_s.unwrap_or(1.0);
            // When the jobs that wait would all have begun without help; the running ones are half done on average.
            let begun_s = left_s / (workers + 1.0);
            let pays = match item.load_s {
                _ if loaded.contains(&work) => true,
                Some(load_s) if mean_s.is_some() => load_s < begun_s,
                // Nothing is known yet: loading in two places at once is never later than in one.
                _ => true,
            };
            if pays && best.is_none_or(|(most, _)| begun_s > most) {
                best = Some((begun_s, work));
            }
        }
        best.map(|(_, work)| work)
    }

    /// The next job of an item.
    pub fn pop(&mut self, work: usize) -> Option<Flight> {
        let item = &mut self.items[work];
        let flight = item.pending.pop_front()?;
        self.pending -= 1;
        if !std::mem::replace(&mut item.taken, true) {
            self.untaken -= 1;
            self.open.insert(work);
            while self.items.get(self.next).is_some_and(|item| item.taken) {
                self.next += 1;
            }
        }
        if self.items[work].pending.is_empty() {
            self.open.remove(&work);
        }
        Some(flight)
    }

    /// Gives a job back; it is the next one of its item.
    pub fn put_back(&mut self, flight: Flight) {
        self.items[flight.work].pending.push_front(flight);
        self.pending += 1;
        self.open.insert(flight.work);
    }

    /// Notes how long loading an item's circuit took.
    pub fn loaded(&mut self, work: usize, load_s: f64) {
        let known = &mut self.items[work].load_s;
        *known = Some(known.map_or(load_s, |known| known.min(load_s)));
    }

    /// Notes how long a job took.
    pub fn finished(&mut self, work: usize, wall_s: f64) {
        self.items[work].finished += 1;
        self.items[work].busy_s += wall_s;
        self.finished += 1;
        self.busy_s += wall_s;
    }

    /// Whether a job of this item is known to be so brief that its answer can wait for the next.
    pub fn is_brief(&self, work: usize) -> bool {
        self.items[work].mean_s().is_some_and(|mean_s| mean_s < BRIEF_S)
    }

    /// Mean time of a job over all items.
    fn mean_s(&self) -> Option<f64> {
        mean_s(self.finished, self.busy_s)
    }

    /// How many jobs of this item a worker may hold: one until their length is known, then as many as bridge the gap, and
    /// towards the end no more than its share.
    pub fn depth(&self, work: usize) -> usize {
        let item = &self.items[work];
        let Some(mean_s) = item.mean_s() else { return 1 };
        let bridge = ((PREFETCH_S / mean_s) as usize).min(MAX_PREFETCH);
        1 + bridge.min(item.pending.len() / self.workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Circuit, Job};

    fn circuit(key: &str) -> Circuit {
        Circuit { key: key.into(), lines: vec![], startup: vec![] }
    }

    fn jobs(count: usize) -> Vec<Job> {
        let job = Job {
            ticket: 0,
            alters: vec![],
            analysis: "op".into(),
            t_stop_s: None,
            signals: vec![],
            values: BTreeMap::new(),
            measurements: vec![],
            keep_waveform: false,
            max_time_points: 1,
            wall_limit_s: 1.0,
        };
        vec![job; count]
    }

    /// Takes everything that an item has left.
    fn drain(schedule: &mut Schedule, work: usize) {
        while schedule.pop(work).is_some() {}
    }

    #[test]
    fn a_worker_takes_what_nobody_works_on_and_what_it_has_loaded() {
        let (a, b, c) = (circuit("a"), circuit("b"), circuit("c"));
        let three = jobs(3);
        let work = [(&a, &three[..]), (&b, &[][..]), (&c, &three[..]), (&b, &three[..])];
        let work = work.map(|(circuit, jobs)| Work { circuit, jobs });
        let mut schedule = Schedule::new(&work, 2);
        assert_eq!(schedule.choose(None, &[]), Some(0));
        assert_eq!(schedule.pop(0), Some(Flight { work: 0, job: 0, attempt: 0 }));
        assert_eq!(schedule.choose(None, &[0]), Some(2), "an item without jobs is none");
        assert_eq!(schedule.choose(Some("b"), &[0]), Some(3));
        assert_eq!(schedule.choose(Some("b"), &[3]), Some(0), "what is begun and free comes before what is not begun");
        for work in [0, 2, 3] {
            drain(&mut schedule, work);
        }
        assert!(schedule.is_empty());
        assert_eq!(schedule.choose(None, &[]), None);
        schedule.put_back(Flight { work: 2, job: 1, attempt: 1 });
        assert_eq!(schedule.choose(None, &[0]), Some(2));
        assert_eq!(schedule.pop(2), Some(Flight { work: 2, job: 1, attempt: 1 }));
    }

    #[test]
    fn helping_has_to_pay() {
        let (a, b) = (circuit("a"), circuit("b"));
        let (few, many) = (jobs(4), jobs(40));
        let work = [Work { circuit: &a, jobs: &few }, Work { circuit: &b, jobs: &many }];
        let mut schedule = Schedule::new(&work, 3);
        for work in 0..2 {
            schedule.pop(work);
        }
        assert_eq!(schedule.choose(None, &[0, 1]), Some(1), "nothing is known: the one with the most jobs");
        for work in 0..2 {
            schedule.loaded(work, 1.0);
            schedule.finished(work, 0.1);
        }
        // 39 jobs of 0.1 s are begun after 2 s by one worker, after 1.3 s by two, after 0.98 s by three.
        assert_eq!(schedule.choose(None, &[0, 1]), Some(1));
        assert_eq!(schedule.choose(None, &[0, 1, 1]), Some(1));
        assert_eq!(schedule.choose(None, &[0, 1, 1, 1]), None, "loading takes longer than waiting");
        assert_eq!(schedule.choose(Some("a"), &[0, 1, 1, 1]), Some(0), "what is loaded costs nothing");
    }

    #[test]
    fn a_circuit_is_loaded_ahead_only_while_there_are_enough() {
        let a = circuit("a");
        let one = jobs(1);
        let work = [Work { circuit: &a, jobs: &one }; 4];
        let mut schedule = Schedule::new(&work, 2);
        schedule.pop(0);
        assert_eq!(schedule.choose_ahead(0), None, "how long a job takes is not known");
        schedule.finished(0, 1e-3);
        schedule.pop(1);
        assert_eq!(schedule.choose_ahead(1), Some(2));
        schedule.pop(2);
        assert_eq!(schedule.choose_ahead(2), None, "the last one is for whoever is idle first");
    }

    #[test]
    fn depth_bridges_short_jobs_and_shares_the_last() {
        let a = circuit("a");
        let many = jobs(100);
        let mut schedule = Schedule::new(&[Work { circuit: &a, jobs: &many }], 2);
        assert_eq!(schedule.depth(0), 1);
        schedule.finished(0, 1e-3);
        assert_eq!(schedule.depth(0), 31);
        for _ in 0..90 {
            schedule.pop(0);
        }
        assert_eq!(schedule.depth(0), 6);
        schedule.finished(0, 10.0);
        assert_eq!(schedule.depth(0), 1);
    }
}
