//! One ngspice, one loaded circuit, one job after the other.
//!
//! A job's answer must not depend on the jobs before it. Alters persist in ngspice, so the session notes what they have
//! touched since the circuit was loaded and loads it anew before a job that does not set all of that itself. It also loads
//! anew after every failed analysis.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::ffi::Ngspice;
use super::security::{check_analysis, check_change};
use super::signals::Plot;
use super::verdict::{
    Failure, analysis_failure, load_problem, one_line, singular_problem, stale_operating_point,
    unsettled_operating_point,
};
use super::{Answer, Circuit, Job};
use crate::dataset::Outcome;
use crate::error::{Error, Kind, Problem, Result};
use crate::measure::evaluate_all;
use crate::netlist::bypasses;
use crate::waveform::Waveform;

/// How far from `t_stop_s` the last time point of a transient may lie, relative.
const T_STOP_TOLERANCE: f64 = 1e-6;

/// What is said of an operating point that [`stale_operating_point`] found.
const STALE: &str = "the operating point came from true gmin stepping, which bypassed devices do not follow: with bypass=1 it may be \
                     false";

/// What is said of an operating point that [`unsettled_operating_point`] found.
const UNSETTLED: &str = "no operating point converged; ngspice went on from the end of a transient in its place, which nothing says was at rest";

/// Accepted points after which the check for a structurally singular circuit stops: its matrix fails at the first.
const PROBE_POINTS: u64 = 2;

/// What running a job led to.
pub enum Done {
    /// The job's answer; if `retire`, this ngspice must not be used again.
    Answer {
        /// The answer.
        answer: Box<Answer>,
        /// ngspice is not to be trusted any more.
        retire: bool,
    },
    /// The circuit itself is at fault.
    CircuitFault(Problem),
}

/// The process's ngspice and what is loaded in it.
pub struct Session {
    ngspice: Ngspice,
    startup: Option<Vec<String>>,
    circuit: Option<Circuit>,
    /// What alters have touched since the circuit was loaded.
    touched: BTreeSet<String>,
    /// The limit of points that is set as a breakpoint.
    stop_after: Option<u64>,
    reload: bool,
}

impl Session {
    /// Starts ngspice.
    ///
    /// # Errors
    /// As [`Ngspice::start`].
    pub fn start() -> Result<Session> {
        let ngspice = Ngspice::start()?;
        Ok(Session { ngspice, startup: None, circuit: None, touched: BTreeSet::new(), stop_after: None, reload: false })
    }

    /// The version that ngspice states: `ngspice-39`.
    ///
    /// # Errors
    /// [`Kind::SimulatorUnavailable`] if it states none.
    pub fn version(&mut self) -> Result<String> {
        let said = self.ngspice.command("version");
        let version = said.iter().flat_map(|line| line.split_whitespace()).find(|word| word.starts_with("ngspice-"));
        version.map(str::to_string).ok_or_else(|| {
            Error::new(Kind::SimulatorUnavailable, format!("ngspice states no version: {}", said.join("; ")))
        })
    }

    /// Whether `circuit` can be loaded into this process: start-up commands of another circuit cannot be taken back.
    pub fn accepts(&self, circuit: &Circuit) -> bool {
        self.startup.as_ref().is_none_or(|startup| *startup == circuit.startup)
    }

    /// Loads `circuit` in place of the one loaded.
    ///
    /// # Errors
    /// What is wrong with the circuit; afterwards the session must not be used again.
    pub fn load(&mut self, circuit: Circuit) -> Result<()> {
        if self.startup.is_none() {
            for command in &circuit.startup {
                let said = self.ngspice.command(command);
                if let Some(failure) = analysis_failure(&said) {
                    let message = format!("start-up command `{command}`: {}", failure.message);
                    return Err(Error::new(Kind::NetlistSyntax, message));
                }
            }
            self.startup = Some(circuit.startup.clone());
        }
        self.unload();
        let said = self.ngspice.circuit(&circuit.lines);
        if let Some(problem) = load_problem(&said, &circuit.lines, self.ngspice.exited()) {
            return Err(problem.into());
        }
        self.circuit = Some(circuit);
        Ok(())
    }

    fn unload(&mut self) {
        if self.circuit.take().is_some() {
            // Without it every load leaks the circuit before; it also forgets saves and breakpoints.
            self.ngspice.command("remcirc");
        }
        self.touched.clear();
        self.stop_after = None;
        self.reload = false;
    }

    /// Leaves libngspice as a deck with an undefined parameter does: it has asked to exit, and its heap is in doubt.
    pub fn poison(&mut self) {
        self.ngspice.circuit(&["poison", "r1 a 0 {undefined}", ".end"].map(String::from));
    }

    /// Runs one job on the loaded circuit.
    pub fn run(&mut self, job: &Job) -> Done {
        let started = Instant::now();
        let mut answer = Box::new(Answer {
            ticket: job.ticket,
            outcome: Outcome::Ok,
            measured: BTreeMap::new(),
            message: String::new(),
            waveform: None,
            time_points: 0,
            wall_s: 0.0,
            worker: 0,
        });
        let checked =
            job.alters.iter().try_for_each(|command| check_change(command)).and(check_analysis(&job.analysis));
        let result = match checked {
            Err(error) => Err(refusal(error.problems()[0].message.clone())),
            Ok(()) => self.simulate(job, &mut answer),
        };
        let mut retire = self.ngspice.exited();
        match result {
            // A result of an ngspice that asked to exit is none, however good it looks, and its failure may be another's.
            result if retire => {
                let words = result.err().map_or_else(String::new, |failure| format!(": {}", failure.message));
                answer.outcome = Outcome::Crash;
                answer.message = format!("ngspice asked to exit{words}");
            }
            Ok(waveform) => {
                let (measured, missing) = evaluate_all(&job.measurements, &waveform, &job.values);
                answer.measured = measured;
                if !missing.is_empty() {
                    answer.outcome = Outcome::MeasurementMissing;
                    answer.message = format!("found nothing for {}", missing.join(", "));
                }
                answer.waveform = job.keep_waveform.then_some(waveform);
            }
            Err(failure) => {
                self.reload = true;
                retire |= failure.fatal;
                if failure.singular && !retire && self.is_singular_unaltered(job) {
                    let deck = self.circuit.as_ref().map_or(&[][..], |circuit| &circuit.lines);
                    return Done::CircuitFault(singular_problem(&failure.message, deck));
                }
                answer.outcome = failure.outcome;
                answer.message = failure.message;
            }
        }
        answer.wall_s = started.elapsed().as_secs_f64();
        Done::Answer { answer, retire }
    }

    /// Alters, analyses and reads the signals.
    fn simulate(&mut self, job: &Job, answer: &mut Answer) -> Result<Waveform, Failure> {
        self.prepare(&job.alters, job.max_time_points)?;
        let said = self.analyse(&job.analysis);
        // `destroy all` comes before every analysis, so that any plot there is was left by this one.
        let plot = Plot::newest(&mut self.ngspice);
        let axis = plot.as_ref().and_then(|plot| plot.axis(&mut self.ngspice)).unwrap_or_default();
        answer.time_points = axis.len() as u64;
        let result = self.accept(job, &said, plot, axis);
        self.ngspice.command("destroy all");
        result
    }

    fn accept(&mut self, job: &Job, said: &[String], plot: Option<Plot>, axis: Vec<f64>) -> Result<Waveform, Failure> {
        if let Some(mut failure) = analysis_failure(said) {
            if failure.outcome == Outcome::Timeout {
                failure.message = format!("more than {} time points", job.max_time_points);
            }
            return Err(failure);
        }
        if stale_operating_point(said) && self.circuit.as_ref().is_some_and(|circuit| bypasses(&circuit.lines)) {
            return Err(unfinished(STALE.to_string()));
        }
        if unsettled_operating_point(said) {
            return Err(unfinished(UNSETTLED.to_string()));
        }
        let Some((plot, last)) = plot.zip(axis.last().copied()) else {
            let words: Vec<&str> = said.iter().map(String::as_str).collect();
            return Err(unfinished(format!("the analysis left no results: {}", one_line(&words))));
        };
        if let Some(t_stop) = job.t_stop_s
            && (last - t_stop).abs() > T_STOP_TOLERANCE * t_stop
        {
            return Err(unfinished(format!("the transient ended at {last:e} s instead of {t_stop:e} s")));
        }
        plot.read(&mut self.ngspice, axis, &job.signals).map_err(refusal)
    }

    /// Brings the circuit into the state that `alters` describe, whatever ran before.
    fn prepare(&mut self, alters: &[String], max_points: u64) -> Result<(), Failure> {
        let targets: Vec<String> = alters.iter().map(|command| target(command)).collect();
        if self.reload || !self.touched.iter().all(|touched| targets.contains(touched)) {
            self.load_again()?;
        }
        if self.stop_after != Some(max_points) {
            self.limit_points(max_points);
        }
        for (command, key) in alters.iter().zip(targets) {
            // A save is a standing order: giving it twice would save twice.
            if !self.touched.insert(key) && is_save(command) {
                continue;
            }
            let said = self.ngspice.command(command);
            if let Some(failure) = analysis_failure(&said) {
                let message = format!("{command}: {}", failure.message);
                return Err(Failure { outcome: Outcome::Refused, message, ..failure });
            }
        }
        Ok(())
    }

    fn load_again(&mut self) -> Result<(), Failure> {
        let Some(circuit) = self.circuit.clone() else {
            return Err(refusal("no circuit is loaded".into()));
        };
        self.load(circuit).map_err(|error| Failure { fatal: true, ..refusal(error.problems()[0].message.clone()) })
    }

    /// Sets the breakpoint that ends an analysis at its `max_points + 1`st point. Data callbacks could count too, but cost
    /// time at every point and cannot end the run.
    fn limit_points(&mut self, max_points: u64) {
        // `delete all` would delete the deck's saves with it.
        for line in self.ngspice.command("status") {
            if let Some((number, _)) =
                line.trim().split_once(char::is_whitespace).filter(|(_, what)| what.contains("stop"))
            {
                self.ngspice.command(&format!("delete {number}"));
            }
        }
        self.ngspice.command(&format!("stop after {}", max_points.min(i32::MAX as u64 - 1) + 1));
        self.stop_after = Some(max_points);
    }

    fn analyse(&mut self, analysis: &str) -> Vec<String> {
        self.ngspice.command(analysis)
    }

    /// Whether the circuit as it was loaded, without the job's alters, already has a singular matrix: then no point of it
    /// can be simulated, in whatever order they come.
    fn is_singular_unaltered(&mut self, job: &Job) -> bool {
        self.reload = true;
        let loaded = self.prepare(&[], PROBE_POINTS).is_ok();
        self.reload = true;
        let said = if loaded { self.analyse(&job.analysis) } else { Vec::new() };
        self.ngspice.command("destroy all");
        analysis_failure(&said).is_some_and(|failure| failure.singular)
    }
}

/// What a command changes: its text up to the value. Two commands with the same target override each other.
fn target(command: &str) -> String {
    let command = command.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    if is_save(&command) {
        return command;
    }
    match command.split_once('=') {
        Some((target, _)) => target.trim_end().to_string(),
        None => command.rsplit_once(' ').map_or(command.clone(), |(target, _)| target.to_string()),
    }
}

fn is_save(command: &str) -> bool {
    command.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("save"))
}

fn refusal(message: String) -> Failure {
    Failure { outcome: Outcome::Refused, message, singular: false, fatal: false }
}

fn unfinished(message: String) -> Failure {
    Failure { outcome: Outcome::Nonconvergence, message, singular: false, fatal: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_a_command_overrides() {
        assert_eq!(target("alter @m.x1.mn1[delvto]=0.05"), "alter @m.x1.mn1[delvto]");
        assert_eq!(target("alter  @VWLR[pulse] = [ 0 1 ]"), "alter @vwlr[pulse]");
        assert_eq!(target("alter vdd 0.9"), "alter vdd");
        assert_eq!(target("alter vdd dc 0.9"), "alter vdd dc");
        assert_eq!(target("set temp=85"), "set temp");
        assert_eq!(target("option reltol = 1e-4"), "option reltol");
        assert_eq!(target("save v(a) v(b)"), "save v(a) v(b)");
    }
}
