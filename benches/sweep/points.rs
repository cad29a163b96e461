//! The points: the nonlinearity sweep's bench over stored voltage and bit line, in scattered order.

use std::path::Path;

use gaincell::campaign::planned_job;
use gaincell::dataset::Outcome;
use gaincell::error::{Error, Kind};
use gaincell::measure::{Measurement, evaluate_all};
use gaincell::netlist::{LoadedCircuit, Origin};
use gaincell::simulate::{Circuit, Job, Simulator};
use gaincell::spec::SweepSpec;
use gaincell::sweep::{Combination, DESIGN, Planner};
use gaincell::tech::Technology;
use gaincell::waveform::Waveform;
use gaincell::{Result, rng};

/// How many points there are.
const POINTS: u64 = 72;

/// What one way saw of a point.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub time_points: u64,
    pub charge_c: f64,
}

/// What one way did.
pub struct Ran {
    /// In the order of the points.
    pub seen: Vec<Seen>,
    /// Time of alters, analyses and measurements, summed over the workers [s].
    pub wall_s: f64,
}

/// The points, as every way needs them.
pub struct Bench {
    circuit: Circuit,
    jobs: Vec<Job>,
    /// One complete deck per point, for `ngspice -b`.
    pub decks: Vec<Vec<String>>,
    /// What a worker loads of the technology's libraries.
    pruned: Vec<String>,
    /// Commands that set the start-up.
    pub startup: Vec<String>,
}

/// Does the line come from one of the technology's libraries?
fn of_library(tech: &Technology, origin: Option<&Origin>) -> bool {
    let folders = tech.libraries.iter().filter_map(|library| library.file.parent());
    origin.is_some_and(|origin| {
        let file = origin.file.canonicalize().unwrap_or_else(|_| origin.file.clone());
        folders.into_iter().any(|folder| file.starts_with(folder) && !tech.files.contains(&file))
    })
}

/// A circuit's lines with `.lib file section` in place of what a library has put there.
fn as_written(tech: &Technology, circuit: LoadedCircuit) -> Vec<String> {
    let mut libraries: Vec<String> = Vec::new();
    for library in &tech.libraries {
        libraries.push(match &library.section {
            Some(section) => format!(".lib \"{}\" {section}", library.file.display()),
            None => format!(".include \"{}\"", library.file.display()),
        });
    }
    let mut lines = Vec::new();
    for (line, origin) in circuit.lines.into_iter().zip(circuit.origins) {
        if !of_library(tech, origin.as_ref()) {
            lines.push(line);
        } else {
            lines.append(&mut libraries);
        }
    }
    lines
}

impl Bench {
    /// The points on the embedded technology.
    pub fn new(root: &Path, t_max: &str) -> Result<Bench> {
        Bench::on(root, &Technology::find("generic28", &root.join("netlists/tech"))?, t_max)
    }

    /// The points on `tech`. A deck for `ngspice -b` names a PDK's library, as people write it.
    pub fn on(root: &Path, tech: &Technology, t_max: &str) -> Result<Bench> {
        let netlists = root.join("netlists");
        let spec = SweepSpec::read_on(&root.join("sweeps/nonlinearity.toml"), &netlists.join("benches"), tech)?;
        let planner = Planner::new(&spec, tech)?;
        // Full pulses: every point then takes about as many time points.
        let value = |k: u64, name: &str, (low, high): (f64, f64)| match name {
            "t_pulse" => 15e-9,
            _ => low + (high - low) * rng::uniform(1, k, "bench", name),
        };
        let combinations: Vec<Combination> = (0..POINTS)
            .map(|k| Combination {
                values: spec.parameters.iter().map(|p| value(k, &p.name, p.range)).collect(),
                corner: None,
                set: DESIGN,
            })
            .collect();
        let plan = planner.plan(&combinations, 0)?;
        let [group] = &plan.groups[..] else {
            return Err(Error::new(Kind::Internal, "the read bench no longer alters what the sweep varies"));
        };
        let analysis = |text: &str| format!("{} {t_max}", text.rsplit_once(' ').map_or(text, |(head, _)| head));
        let (mut jobs, mut decks) = (Vec::new(), Vec::new());
        for (ticket, (point, combination)) in group.points.iter().zip(&combinations).enumerate() {
            let analysis = analysis(&point.analysis);
            let job = planned_job(ticket as u64, group, point, &spec.limits);
            jobs.push(Job { analysis: analysis.clone(), ..job });
            let mut overrides = group.fixed.clone();
            overrides.extend(spec.parameters.iter().map(|p| p.name.clone()).zip(combination.values.iter().copied()));
            let values = planner.deck().values(&overrides)?;
            let extra = [format!(".options temp={}", tech.temperature_degc), format!(".{analysis}")];
            decks.push(as_written(tech, planner.deck().circuit(&values, &group.signals, &extra)));
        }
        let loaded = &group.circuit;
        let from_library =
            |(line, origin): (&String, &Option<Origin>)| of_library(tech, origin.as_ref()).then(|| line.clone());
        let pruned = loaded.lines.iter().zip(&loaded.origins).filter_map(from_library).collect();
        let circuit = Circuit { key: loaded.key.clone(), lines: loaded.lines.clone(), startup: plan.startup.clone() };
        Ok(Bench { circuit, jobs, decks, pruned, startup: plan.startup.clone() })
    }

    /// The same points with the decks that a worker loads, the library pruned to what the circuit uses.
    pub fn with_pruned_decks(&self) -> Bench {
        let extra = |k: usize| self.decks[k].clone();
        let library = |line: &String| line.starts_with(".lib ");
        let decks = (0..self.decks.len()).map(|k| {
            let mut deck = extra(k);
            if let Some(place) = deck.iter().position(library) {
                deck.splice(place..=place, self.pruned.iter().cloned());
            }
            deck
        });
        Bench {
            circuit: self.circuit.clone(),
            jobs: self.jobs.clone(),
            decks: decks.collect(),
            pruned: self.pruned.clone(),
            startup: self.startup.clone(),
        }
    }

    /// Leaves out the points that were seen to take more time points than that; how many stay.
    pub fn at_most(&mut self, time_points: u64, seen: &[Seen]) -> usize {
        let mut keep = seen.iter().map(|seen| seen.time_points <= time_points);
        self.jobs.retain(|_| keep.next().unwrap_or(false));
        let mut keep = seen.iter().map(|seen| seen.time_points <= time_points);
        self.decks.retain(|_| keep.next().unwrap_or(false));
        self.jobs.iter_mut().enumerate().for_each(|(ticket, job)| job.ticket = ticket as u64);
        self.jobs.len()
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    fn measurements(&self) -> &[Measurement] {
        &self.jobs[0].measurements
    }

    /// Runs all points `passes` times in the pool.
    pub fn run(&self, pool: &mut dyn Simulator, passes: usize) -> Result<Ran> {
        let repeated: Vec<Job> =
            (0..passes * self.len()).map(|k| Job { ticket: k as u64, ..self.jobs[k % self.len()].clone() }).collect();
        let mut ran = Ran { seen: vec![Seen { time_points: 0, charge_c: f64::NAN }; self.len()], wall_s: 0.0 };
        let mut failure = None;
        pool.run(&self.circuit, &repeated, &mut |answer| {
            let charge_c = answer.measured.get("charge_c").and_then(|value| value.scalar());
            match charge_c.filter(|_| answer.outcome == Outcome::Ok) {
                Some(charge_c) => {
                    let seen = Seen { time_points: answer.time_points, charge_c };
                    ran.seen[answer.ticket as usize % self.jobs.len()] = seen;
                    ran.wall_s += answer.wall_s;
                }
                None => failure = Some(answer.message),
            }
            failure.is_none()
        })?;
        match failure {
            Some(message) => Err(Error::new(Kind::Internal, format!("a point of the bench failed: {message}"))),
            None => Ok(ran),
        }
    }

    /// What a waveform of point `k` says, by the same definitions as in a worker.
    pub fn seen(&self, k: usize, waveform: &Waveform) -> Option<Seen> {
        let (measured, _) = evaluate_all(self.measurements(), waveform, &self.jobs[k].values);
        let charge_c = measured.get("charge_c")?.scalar()?;
        Some(Seen { time_points: waveform.axis.len() as u64, charge_c })
    }
}
