//! Running jobs of a validation through the simulator, with the store of earlier runs in front.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::dataset::{Outcome, PointId, Row, Runtime, Store, Value};
use crate::error::{Error, Kind, Problem, Result};
use crate::measure::Measurement;
use crate::netlist::{LoadedCircuit, bypasses, locate};
use crate::simulate::{Answer, Circuit, Job, Simulator};
use crate::sweep::patience;
use crate::tech::Technology;
use crate::waveform::Waveform;

/// A worker that takes longer hangs [s]; a whole sub-tile of 16 x 16 takes some minutes.
const HUNG_S: f64 = 3600.0;

/// One run of a circuit, at the technology's nominal temperature.
#[derive(Debug, Clone)]
pub struct Request {
    /// Commands before the analysis.
    pub alters: Vec<String>,
    /// The analysis.
    pub analysis: String,
    /// When a transient must have ended [s].
    pub t_stop_s: Option<f64>,
    /// What is measured.
    pub measurements: Vec<Measurement>,
}

/// What is made of a kept waveform: curves that are stored beside the measurements. The name enters the run's identity and
/// says everything that the result depends on.
pub type Reduce<'a> = Option<(&'a str, &'a dyn Fn(&Waveform) -> BTreeMap<String, Value>)>;

/// A simulator, its identity and the store.
pub struct Spice<'a> {
    /// Runs what is not stored.
    pub simulator: &'a mut dyn Simulator,
    /// `results/.store`.
    pub store: &'a Path,
    /// Whose start-up commands and nominal temperature every run has.
    pub tech: &'a Technology,
    /// Told (done, all) after every run; `false` stops.
    pub tell: &'a mut dyn FnMut(usize, usize) -> bool,
    /// Runs that were stored already.
    pub cached: usize,
    /// Runs in all.
    pub runs: usize,
    /// Wall time of each request of the last call, alters and measurements included [s]; 0 for what was stored.
    pub wall_s: Vec<f64>,
}

impl<'a> Spice<'a> {
    /// Nothing has run yet.
    pub fn new(
        simulator: &'a mut dyn Simulator,
        store: &'a Path,
        tech: &'a Technology,
        tell: &'a mut dyn FnMut(usize, usize) -> bool,
    ) -> Spice<'a> {
        Spice { simulator, store, tech, tell, cached: 0, runs: 0, wall_s: Vec::new() }
    }

    /// Writes the deck of a failed run, its commands as comments, for `ngspice -b` and a pair of eyes.
    fn leave_deck(&self, circuit: &LoadedCircuit, request: &Request) -> Result<PathBuf> {
        let path = self.store.with_file_name("failed-reference.cir");
        let mut lines = circuit.lines.clone();
        let end = lines.pop().unwrap_or_default();
        lines.push(format!(".temp {}", self.tech.temperature_degc));
        lines.extend(request.alters.iter().map(|alter| format!("* {alter}")));
        lines.push(format!(".{}", request.analysis));
        lines.push(end);
        std::fs::write(&path, lines.join("\n") + "\n").map_err(|source| Error::io(&path, "write", source))?;
        Ok(path)
    }

    /// Runs every request on `circuit`; answers in the order of the requests.
    ///
    /// # Errors
    /// The simulator's; [`Kind::IncompleteSweep`] if any run fails: a validation leaves no column out.
    pub fn run(
        &mut self,
        circuit: &LoadedCircuit,
        signals: &[String],
        requests: &[Request],
        reduce: Reduce<'_>,
    ) -> Result<Vec<BTreeMap<String, Value>>> {
        let identity = self.simulator.identity()?;
        let at_temperature = |request: &Request| Request {
            alters: std::iter::once(format!("set temp={:e}", self.tech.temperature_degc))
                .chain(request.alters.iter().cloned())
                .collect(),
            ..request.clone()
        };
        let requests: &[Request] = &requests.iter().map(at_temperature).collect::<Vec<_>>();
        let startup = &self.tech.startup;
        let ids: Vec<PointId> =
            requests.iter().map(|r| request_id(&circuit.key, startup, &identity, r, reduce)).collect();
        let mut store = Store::open(self.store, &circuit.key)?;
        let mut answers: Vec<Option<BTreeMap<String, Value>>> =
            ids.iter().map(|id| store.get(id).map(|row| row.measured.clone())).collect();
        let jobs: Vec<Job> = requests
            .iter()
            .enumerate()
            .filter(|(k, _)| answers[*k].is_none())
            .map(|(k, request)| job(k, request, signals, reduce.is_some()))
            .collect();
        self.runs += requests.len();
        self.wall_s = vec![0.0; requests.len()];
        let wall_s = &mut self.wall_s;
        self.cached += requests.len() - jobs.len();
        let mut done = requests.len() - jobs.len();
        if !(self.tell)(done, requests.len()) {
            return Err(interrupted());
        }
        let loaded = Circuit { key: circuit.key.clone(), lines: circuit.lines.clone(), startup: startup.clone() };
        let (mut failure, mut stopped) = (None, false);
        // What did not converge runs once more without bypass, as tier 1 of a sweep's ladder does.
        let again: RefCell<Vec<Job>> = RefCell::default();
        let careful = without_bypass(&loaded);
        let tell = &mut *self.tell;
        let mut take = |answer: Answer, is_last: bool| {
            let k = answer.ticket as usize;
            if answer.outcome == Outcome::Nonconvergence && !is_last && careful.is_some() {
                again.borrow_mut().extend(jobs.iter().find(|job| job.ticket == answer.ticket).cloned());
                return true;
            }
            done += 1;
            if answer.outcome != Outcome::Ok {
                failure.get_or_insert_with(|| (format!("{}: {}", answer.outcome, answer.message), Some(k)));
                return false;
            }
            wall_s[k] = answer.wall_s;
            let mut measured = answer.measured;
            if let (Some((_, reduce)), Some(waveform)) = (reduce, &answer.waveform) {
                measured.extend(reduce(waveform));
            }
            let (row, runtime) = stored(&ids[k], measured.clone(), answer.worker, answer.wall_s, answer.time_points);
            if let Err(error) = store.insert(&row, &runtime) {
                failure.get_or_insert_with(|| (error.to_string(), None));
                return false;
            }
            answers[k] = Some(measured);
            stopped = !tell(done, requests.len());
            !stopped
        };
        let mut result = self.simulator.run(&loaded, &jobs, &mut |answer| take(answer, false));
        let again = again.take();
        if let (Ok(()), Some(careful), false) = (&result, &careful, again.is_empty()) {
            result = self.simulator.run(careful, &again, &mut |answer| take(answer, true));
        }
        store.flush()?;
        result.map_err(|error| locate(error, &circuit.origins))?;
        if let Some((message, which)) = failure {
            let mut problem = Problem::new(Kind::IncompleteSweep, format!("a run of the reference failed: {message}"));
            if let Some(k) = which {
                problem = problem.file(self.leave_deck(circuit, &requests[k])?);
            }
            return Err(problem
                .help("no column may be left out of a validation; the failed deck is beside the store")
                .into());
        }
        if stopped {
            return Err(interrupted());
        }
        answers.into_iter().map(|a| a.ok_or_else(|| Error::new(Kind::Internal, "a run was never answered"))).collect()
    }
}

/// The circuit with every device evaluated at every iteration; `None` if it is so already.
fn without_bypass(circuit: &Circuit) -> Option<Circuit> {
    let mut lines = circuit.lines.clone();
    let end = lines.pop().filter(|_| bypasses(&circuit.lines))?;
    lines.extend([patience(true), end]);
    Some(Circuit { key: format!("{}-careful", circuit.key), lines, startup: circuit.startup.clone() })
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted; every finished run is stored")
}

fn job(ticket: usize, request: &Request, signals: &[String], keep_waveform: bool) -> Job {
    Job {
        ticket: ticket as u64,
        alters: request.alters.clone(),
        analysis: request.analysis.clone(),
        t_stop_s: request.t_stop_s,
        signals: signals.to_vec(),
        measurements: request.measurements.clone(),
        values: BTreeMap::new(),
        keep_waveform,
        max_time_points: 200_000,
        wall_limit_s: HUNG_S,
    }
}

fn stored(
    id: &PointId,
    measured: BTreeMap<String, Value>,
    worker: u32,
    wall_s: f64,
    time_points: u64,
) -> (Row, Runtime) {
    let row = Row {
        id: id.clone(),
        index: 0,
        values: BTreeMap::new(),
        labels: BTreeMap::new(),
        outcome: Outcome::Ok,
        tier: 0,
        measured,
        message: String::new(),
    };
    let finished_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    (row, Runtime { id: id.clone(), worker, wall_s, time_points, cached: false, finished_unix_s })
}

fn request_id(circuit: &str, startup: &[String], simulator: &str, request: &Request, reduce: Reduce<'_>) -> PointId {
    let mut hasher = blake3::Hasher::new();
    let mut feed = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    feed("gaincell-reference-1");
    feed(simulator);
    feed(circuit);
    startup.iter().chain(&request.alters).for_each(|line| feed(line));
    feed(&request.analysis);
    feed(&format!("{:?} {}", request.measurements, reduce.map_or("", |(name, _)| name)));
    PointId(hasher.finalize().to_hex()[..32].to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::FakeSimulator;

    #[test]
    fn a_reference_runs_at_the_technology_s_temperature() {
        let technologies = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
        let circuit =
            LoadedCircuit { key: "rc".into(), lines: vec!["rc".into(), ".end".into()], origins: vec![None, None] };
        let request = Request {
            alters: vec!["alter v1 dc = 1".into()],
            analysis: "tran 1n 2n".into(),
            t_stop_s: None,
            measurements: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let mut ran = Vec::new();
        // The second run at 85 degC is stored already.
        for name in ["generic28", "generic28@85degC", "generic28@85degC"] {
            let tech = Technology::find(name, &technologies).unwrap();
            let respond = |_: &Circuit, job: &Job| {
                ran.push(job.alters.clone());
                Waveform { axis: vec![0.0, 2e-9], ..Waveform::default() }
            };
            let (mut fake, mut go_on) = (FakeSimulator::new(1, respond), |_: usize, _: usize| true);
            let mut spice = Spice::new(&mut fake, folder.path(), &tech, &mut go_on);
            spice.run(&circuit, &[], std::slice::from_ref(&request), None).unwrap();
        }
        assert_eq!(ran, [["set temp=2.7e1", "alter v1 dc = 1"], ["set temp=8.5e1", "alter v1 dc = 1"]]);
    }
}
