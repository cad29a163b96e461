//! Points grouped by the circuit that they share, so that a worker loads each circuit once.

use std::collections::BTreeMap;

use super::points::{Combination, SET_LABEL, combinations};
use crate::dataset::{Outcome, PointId, Row};
use crate::error::{Error, Kind, Problem, Result};
use crate::measure::{Measurement, signals_of};
use crate::netlist::{AnalysisKind, Deck, DeviceInstance, LoadedCircuit, TechFiles};
use crate::rng;
use crate::spec::SweepSpec;
use crate::tech::Technology;

/// Enters every identity; raised when rows change their meaning.
const IDENTITY_SCHEMA: &str = "gaincell-point-1";

/// A row as known before its simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct RowTemplate {
    /// Place in the design.
    pub index: u64,
    /// Swept values and mismatch draws by column.
    pub values: BTreeMap<String, f64>,
    /// Labels by column.
    pub labels: BTreeMap<String, String>,
}

/// One point, ready to run on its group's circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPoint {
    /// The row to be.
    pub row: RowTemplate,
    /// Commands that bring the loaded circuit to this point.
    pub alters: Vec<String>,
    /// The analysis as a command.
    pub analysis: String,
    /// For a transient, when it must have ended [s].
    pub t_stop_s: Option<f64>,
    /// What is measured.
    pub measurements: Vec<Measurement>,
}

/// Points that share a circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The circuit.
    pub circuit: LoadedCircuit,
    /// Signals that are saved.
    pub signals: Vec<String>,
    /// Its points, in design order.
    pub points: Vec<PlannedPoint>,
}

/// Everything that a sweep will run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Groups in design order of their first points.
    pub groups: Vec<Group>,
    /// Start-up commands of the technology.
    pub startup: Vec<String>,
}

impl PlannedPoint {
    /// The point's identity: circuit, start-up, commands, analysis, measurements, simulator, schema.
    pub fn id(&self, group: &Group, startup: &[String], simulator: &str) -> PointId {
        let mut hasher = blake3::Hasher::new();
        let mut feed = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        feed(IDENTITY_SCHEMA);
        feed(simulator);
        feed(&group.circuit.key);
        startup.iter().for_each(|line| feed(line));
        self.alters.iter().for_each(|line| feed(line));
        feed(&self.analysis);
        for (name, value) in &self.row.values {
            feed(name);
            feed(&format!("{value:e}"));
        }
        feed(&format!("{:?}", self.measurements));
        PointId(hasher.finalize().to_hex()[..32].to_string())
    }

    /// The finished row.
    pub fn row(
        &self,
        id: PointId,
        outcome: Outcome,
        measured: BTreeMap<String, crate::dataset::Value>,
        message: String,
    ) -> Row {
        Row {
            id,
            index: self.row.index,
            values: self.row.values.clone(),
            labels: self.row.labels.clone(),
            outcome,
            tier: 0,
            measured,
            message,
        }
    }
}

impl Plan {
    /// Plans `spec` on `tech`.
    ///
    /// # Errors
    /// Whatever is wrong with the bench; [`Kind::SpecKey`] for a parameter, signal or instance that the bench does not have.
    pub fn new(spec: &SweepSpec, tech: &Technology) -> Result<Plan> {
        Plan::of(spec, tech, &combinations(spec), 0)
    }

    /// Plans these combinations only; their rows are numbered from `first_index` on.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of(spec: &SweepSpec, tech: &Technology, combinations: &[Combination], first_index: u64) -> Result<Plan> {
        let deck = Deck::read(&spec.bench, &TechFiles { files: tech.files.clone() })?;
        check_parameters(spec, &deck)?;
        let is_static = |name: &str| name != TEMPERATURE && !deck.is_alterable(name);
        let varied: Vec<String> =
            spec.parameters.iter().map(|p| p.name.clone()).filter(|n| n != TEMPERATURE && !is_static(n)).collect();
        let mut plan = Plan { groups: Vec::new(), startup: tech.startup.clone() };
        let mut group_of: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
        let samples = spec.mismatch.as_ref().map_or(1, |mismatch| mismatch.samples);
        let mut index = first_index;
        for combination in combinations {
            let mut overrides: BTreeMap<String, f64> = base_overrides(&deck, tech);
            overrides.extend(spec.parameters.iter().map(|p| p.name.clone()).zip(combination.values.iter().copied()));
            let values = deck.values(&overrides)?;
            let measurements = measurements(spec, &values)?;
            let key: Vec<u64> = spec
                .parameters
                .iter()
                .filter(|p| is_static(&p.name))
                .filter_map(|p| values.get(&p.name).map(|v| v.to_bits()))
                .collect();
            let position = match group_of.get(&key) {
                Some(position) => *position,
                None => {
                    let signals = signals_of(&measurements);
                    // The circuit of a group must not depend on which of its points comes first: alterable parameters
                    // stand at the bench's own values in it.
                    let mut at_load = base_overrides(&deck, tech);
                    at_load.extend(overrides.iter().filter(|(n, _)| is_static(n)).map(|(n, v)| (n.clone(), *v)));
                    let circuit = deck.circuit(&deck.values(&at_load)?, &signals, &[]);
                    plan.groups.push(Group { circuit, signals, points: Vec::new() });
                    group_of.insert(key, plan.groups.len() - 1);
                    plan.groups.len() - 1
                }
            };
            let temperature = overrides.get(TEMPERATURE).copied().unwrap_or(tech.temperature_degc);
            let devices = mismatched_devices(spec, tech, &deck, &values)?;
            for sample in 0..samples {
                let mut row = RowTemplate { index, values: BTreeMap::new(), labels: BTreeMap::new() };
                index += 1;
                for (parameter, value) in spec.parameters.iter().zip(&combination.values) {
                    row.values.insert(parameter.column(), *value);
                }
                row.labels.insert(SET_LABEL.to_string(), combination.set.to_string());
                let mut alters = vec![format!("set temp={temperature:e}")];
                alters.extend(deck.alters(&varied, &values)?);
                if let Some(mismatch) = &spec.mismatch {
                    row.values.insert("sample".to_string(), sample as f64);
                    for device in &devices {
                        draw(device, tech, mismatch.seed, sample, &mut row.values, &mut alters)?;
                    }
                }
                plan.groups[position].points.push(PlannedPoint {
                    row,
                    alters,
                    analysis: deck.analysis_command(&values)?,
                    t_stop_s: if deck.analysis().kind == AnalysisKind::Transient {
                        deck.stop_time(&values)?
                    } else {
                        None
                    },
                    measurements: measurements.clone(),
                });
            }
        }
        Ok(plan)
    }

    /// How many points.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.points.len()).sum()
    }

    /// Is there nothing to run?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The parameter that is ngspice's temperature, not a `.param`.
const TEMPERATURE: &str = "temp";

/// What the technology decides about a bench: its supply, where the bench has a parameter for it.
fn base_overrides(deck: &Deck, tech: &Technology) -> BTreeMap<String, f64> {
    deck.parameter_names().into_iter().filter(|n| *n == "vdd").map(|n| (n.to_string(), tech.vdd_v)).collect()
}

fn check_parameters(spec: &SweepSpec, deck: &Deck) -> Result<()> {
    let known = deck.parameter_names();
    let problems = spec
        .parameters
        .iter()
        .filter(|p| p.name != TEMPERATURE && !known.contains(&p.name.as_str()))
        .map(|p| {
            Problem::new(Kind::SpecKey, format!("{} has no parameter `{}`", spec.bench.display(), p.name))
                .file(&spec.file)
                .key(format!("parameters.{}", p.name))
                .accepted(format!("{}, temp", known.join(", ")))
        })
        .collect();
    Error::collect(problems).map_or(Ok(()), Err)
}

fn measurements(spec: &SweepSpec, values: &BTreeMap<String, f64>) -> Result<Vec<Measurement>> {
    spec.measures
        .iter()
        .map(|measure| {
            measure.at_point(values).map_err(|error| {
                let known = values.keys().cloned().collect::<Vec<_>>().join(", ");
                Problem::new(Kind::SpecKey, error.to_string())
                    .file(&spec.file)
                    .key(format!("measure `{}`", measure.column))
                    .accepted(format!("the bench's parameters: {known}"))
                    .into()
            })
        })
        .collect()
}

fn mismatched_devices(
    spec: &SweepSpec,
    tech: &Technology,
    deck: &Deck,
    values: &BTreeMap<String, f64>,
) -> Result<Vec<DeviceInstance>> {
    let Some(mismatch) = &spec.mismatch else { return Ok(Vec::new()) };
    let mut devices = Vec::new();
    for instance in &mismatch.instances {
        devices.extend(deck.devices(instance, &tech.wrappers(), values).map_err(|error| {
            let problems = error
                .problems()
                .iter()
                .cloned()
                .map(|p| if p.file.is_some() { p } else { p.file(&spec.file).key("mismatch.instances") });
            Error::collect(problems.collect()).unwrap_or(error)
        })?);
    }
    Ok(devices)
}

/// Pelgrom's law: sigma(V_T) = A_vt / sqrt(W L), sigma(beta)/beta = A_beta / sqrt(W L), independent for every device
/// (M. J. M. Pelgrom et al., IEEE J. Solid-State Circuits 24, 1433 (1989)).
fn draw(
    device: &DeviceInstance,
    tech: &Technology,
    seed: u64,
    sample: u64,
    values: &mut BTreeMap<String, f64>,
    alters: &mut Vec<String>,
) -> Result<()> {
    let root_area = (device.w_m * device.l_m).sqrt();
    let delvto_v = rng::normal(seed, sample, &device.path, "delvto") * tech.a_vt_v_m / root_area;
    let mulu0 = 1.0 + rng::normal(seed, sample, &device.path, "mulu0") * tech.a_beta_m / root_area;
    let mosfet = &tech.device(&device.wrapper)?.mosfet;
    let target = format!("@m.{}.{mosfet}", device.path);
    alters.push(format!("alter {target}[delvto] = {:e}", device.delvto_v + delvto_v));
    alters.push(format!("alter {target}[mulu0] = {mulu0:e}"));
    let column = device.path.replace('.', "_");
    values.insert(format!("draw_{column}_delvto_v"), delvto_v);
    values.insert(format!("draw_{column}_mulu0"), mulu0);
    Ok(())
}
