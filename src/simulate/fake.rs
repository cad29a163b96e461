//! A simulator without ngspice: waveforms from a closure, faults by script.

use std::collections::BTreeMap;

use super::{Answer, Circuit, Job, Simulator, Work, WorkFault, check_analysis, check_change, check_work};
use crate::dataset::Outcome;
use crate::error::Result;
use crate::measure::evaluate_all;
use crate::waveform::Waveform;

/// What goes wrong with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The worker dies this many times; a job has two attempts.
    Kill {
        /// Deaths.
        times: u32,
    },
    /// The worker hangs until it is killed, this many times.
    Hang {
        /// Hangs.
        times: u32,
    },
    /// ngspice gives up.
    Nonconvergence,
    /// The last measurement finds nothing.
    MissingMeasurement,
}

/// What a job's circuit would do.
type Respond<'a> = Box<dyn FnMut(&Circuit, &Job) -> Waveform + 'a>;

/// A fake simulator. Jobs end in blocks of `workers`, each block in reverse order, so that callers cannot rely on the order in
/// which answers come.
pub struct FakeSimulator<'a> {
    respond: Respond<'a>,
    faults: BTreeMap<u64, Fault>,
    workers: usize,
    simulated: u64,
}

impl<'a> FakeSimulator<'a> {
    /// A simulator that answers with `respond`'s waveforms; the job's alters say what the point is.
    pub fn new(workers: usize, respond: impl FnMut(&Circuit, &Job) -> Waveform + 'a) -> Self {
        FakeSimulator { respond: Box::new(respond), faults: BTreeMap::new(), workers: workers.max(1), simulated: 0 }
    }

    /// Lets the job with this ticket fail. Deaths and hangs are counted over all calls.
    pub fn fault(mut self, ticket: u64, fault: Fault) -> Self {
        self.faults.insert(ticket, fault);
        self
    }

    /// How many jobs were answered.
    pub fn simulated(&self) -> u64 {
        self.simulated
    }

    fn answer(&mut self, circuit: &Circuit, job: &Job, worker: u32) -> Answer {
        let mut answer = Answer {
            ticket: job.ticket,
            outcome: Outcome::Ok,
            measured: BTreeMap::new(),
            message: String::new(),
            waveform: None,
            time_points: 0,
            wall_s: 0.0,
            worker,
        };
        let fail = |answer: &mut Answer, outcome, message: &str| {
            answer.outcome = outcome;
            answer.message = message.to_string();
        };
        if let Err(error) = job.alters.iter().try_for_each(|c| check_change(c)).and(check_analysis(&job.analysis)) {
            fail(&mut answer, Outcome::Refused, &error.problems()[0].message);
            return answer;
        }
        let failure = match self.faults.get_mut(&job.ticket) {
            Some(Fault::Kill { times }) => spend(times).then(|| (Outcome::Crash, "the worker died".to_string())),
            Some(Fault::Hang { times }) => {
                spend(times).then(|| (Outcome::Timeout, format!("still running after {} s", job.wall_limit_s)))
            }
            Some(Fault::Nonconvergence) => {
                Some((Outcome::Nonconvergence, "doAnalyses: TRAN:  Timestep too small".to_string()))
            }
            Some(Fault::MissingMeasurement) | None => None,
        };
        if let Some((outcome, message)) = failure {
            fail(&mut answer, outcome, &message);
            return answer;
        }
        let waveform = (self.respond)(circuit, job);
        answer.time_points = waveform.axis.len() as u64;
        if answer.time_points > job.max_time_points {
            answer.time_points = job.max_time_points + 1;
            fail(&mut answer, Outcome::Timeout, &format!("more than {} time points", job.max_time_points));
            return answer;
        }
        let (mut measured, mut missing) = evaluate_all(&job.measurements, &waveform, &job.values);
        if self.faults.get(&job.ticket) == Some(&Fault::MissingMeasurement)
            && let Some(last) = job.measurements.last()
            && measured.remove(&last.column).is_some()
        {
            missing.push(last.column.clone());
        }
        answer.measured = measured;
        if !missing.is_empty() {
            fail(&mut answer, Outcome::MeasurementMissing, &format!("found nothing for {}", missing.join(", ")));
        }
        answer.waveform = job.keep_waveform.then_some(waveform);
        answer
    }
}

/// Uses up to two of the remaining faults, one per attempt; whether both attempts failed.
fn spend(times: &mut u32) -> bool {
    let used = (*times).min(2);
    *times -= used;
    used == 2
}

impl Simulator for FakeSimulator<'_> {
    fn run_all(
        &mut self,
        work: &[Work<'_>],
        on_answer: &mut dyn FnMut(Answer) -> bool,
    ) -> std::result::Result<(), WorkFault> {
        check_work(work)?;
        let jobs: Vec<(&Circuit, &Job)> =
            work.iter().flat_map(|item| item.jobs.iter().map(|job| (item.circuit, job))).collect();
        let mut going = true;
        for block in jobs.chunks(self.workers) {
            // Stopping drains the block that runs.
            for (index, (circuit, job)) in block.iter().enumerate().rev() {
                let answer = self.answer(circuit, job, index as u32);
                self.simulated += 1;
                going &= on_answer(answer);
            }
            if !going {
                break;
            }
        }
        Ok(())
    }

    fn identity(&mut self) -> Result<String> {
        Ok("fake-1 0000000000000000".into())
    }

    fn workers(&self) -> usize {
        self.workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Value;
    use crate::measure::{How, Measurement};
    use crate::units::Unit;

    fn circuit() -> Circuit {
        Circuit { key: "rc".into(), lines: vec!["rc".into(), "r1 a 0 1k".into(), ".end".into()], startup: vec![] }
    }

    fn jobs(count: u64) -> Vec<Job> {
        let how = How::At { signal: "v(out)".into(), at: 1.0 };
        (0..count)
            .map(|ticket| Job {
                ticket,
                alters: vec![format!("alter r1={}", 1 + ticket)],
                analysis: "tran 1n 2".into(),
                t_stop_s: Some(2.0),
                signals: vec!["v(out)".into()],
                values: BTreeMap::new(),
                measurements: vec![Measurement { column: "v_out_v".into(), unit: Unit::Volt, how: how.clone() }],
                keep_waveform: false,
                max_time_points: 100,
                wall_limit_s: 1.0,
            })
            .collect()
    }

    /// A discharge with the altered resistance for a time constant [s].
    fn discharge(_: &Circuit, job: &Job) -> Waveform {
        let tau: f64 = job.alters[0].split('=').nth(1).unwrap().parse().unwrap();
        let axis: Vec<f64> = (0..=20).map(|k| 0.1 * f64::from(k)).collect();
        let samples = axis.iter().map(|t| (-t / tau).exp()).collect();
        Waveform { axis, signals: [("v(out)".to_string(), samples)].into() }
    }

    fn outcomes(fake: &mut FakeSimulator, jobs: &[Job]) -> BTreeMap<u64, Answer> {
        let mut answers = BTreeMap::new();
        fake.run(&circuit(), jobs, &mut |answer| answers.insert(answer.ticket, answer).is_none()).unwrap();
        answers
    }

    #[test]
    fn measures_what_the_closure_draws() {
        let answers = outcomes(&mut FakeSimulator::new(2, discharge), &jobs(5));
        assert_eq!(answers.len(), 5);
        for (ticket, answer) in answers {
            let Some(Value::Scalar(v)) = answer.measured.get("v_out_v") else { panic!() };
            assert!((v - (-1.0 / (1 + ticket) as f64).exp()).abs() < 1e-12);
        }
    }

    #[test]
    fn faults_follow_the_script() {
        let mut fake = FakeSimulator::new(3, discharge)
            .fault(0, Fault::Kill { times: 1 })
            .fault(1, Fault::Kill { times: 2 })
            .fault(2, Fault::Hang { times: 2 })
            .fault(3, Fault::Nonconvergence)
            .fault(4, Fault::MissingMeasurement);
        let mut all = jobs(7);
        all[5].alters = vec!["shell ls".into()];
        all[6].max_time_points = 5;
        let found: Vec<Outcome> = outcomes(&mut fake, &all).into_values().map(|answer| answer.outcome).collect();
        use Outcome::{Crash, MeasurementMissing, Nonconvergence, Ok, Refused, Timeout};
        assert_eq!(found, [Ok, Crash, Timeout, Nonconvergence, MeasurementMissing, Refused, Timeout]);
        assert_eq!(outcomes(&mut fake, &all[1..2])[&1].outcome, Ok, "the faults of ticket 1 are spent");
    }

    #[test]
    fn several_circuits_at_once() {
        let (good, jobs) = (circuit(), jobs(4));
        let bad = Circuit { key: "bad".into(), lines: vec!["t".into(), ".control".into()], startup: vec![] };
        let work = [Work { circuit: &good, jobs: &jobs[..1] }, Work { circuit: &good, jobs: &jobs[1..] }];
        let mut tickets = Vec::new();
        let mut note = |answer: Answer| {
            tickets.push(answer.ticket);
            true
        };
        let mut fake = FakeSimulator::new(2, discharge);
        fake.run_all(&work, &mut note).unwrap();
        let fault = fake.run_all(&[work[0], Work { circuit: &bad, jobs: &jobs }], &mut note).unwrap_err();
        assert_eq!(tickets, [1, 0, 3, 2]);
        assert_eq!((fault.work, fault.error.kind()), (Some(1), crate::Kind::RefusedDeck));
    }

    #[test]
    fn stopping_drains_the_running_block() {
        let mut fake = FakeSimulator::new(2, discharge);
        let mut tickets = Vec::new();
        fake.run(&circuit(), &jobs(6), &mut |answer| {
            tickets.push(answer.ticket);
            false
        })
        .unwrap();
        assert_eq!(tickets, [1, 0]);
        assert_eq!(fake.simulated(), 2);
    }
}
