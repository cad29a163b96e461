//! From a checked specification and its bench to a plan: points with their commands, grouped by circuit.

use std::collections::{BTreeMap, BTreeSet};

use super::mismatch::{check_sizes, draw, mismatched_devices};
use super::plan::{Group, Plan, PlannedPoint, RowTemplate};
use super::points::{CORNER_LABEL, Combination, DESIGN, GUARD, HELD_OUT, SET_LABEL, combinations};
use super::tiers::{guard_options, tier_options};
use crate::error::{Error, Kind, Problem, Result};
use crate::measure::{Measurement, signals_of};
use crate::netlist::{AnalysisKind, Deck, LoadedCircuit, TechFiles};
use crate::rng;
use crate::spec::{Corner, SweepSpec};
use crate::tech::Technology;

/// A guard's row stands this far behind the row that it repeats.
pub const GUARD_INDEX: u64 = 1 << 40;

/// The parameter that is ngspice's temperature, not a `.param`.
const TEMPERATURE: &str = "temp";
/// The parameter that is the technology's supply.
const SUPPLY: &str = "vdd";

/// A sweep with its bench read, ready to plan points of it.
#[derive(Debug)]
pub struct Planner<'a> {
    spec: &'a SweepSpec,
    tech: &'a Technology,
    deck: Deck,
    /// The bench on the models of the process corners that the sweep asks for.
    processes: BTreeMap<String, Deck>,
    /// Parameters that vary by `alter`, in the order in which their commands are issued.
    altered: Vec<String>,
    /// Parameters that are fixed when a circuit is loaded.
    fixed: Vec<String>,
}

impl<'a> Planner<'a> {
    /// Reads the bench of `spec` for `tech`.
    ///
    /// # Errors
    /// Whatever is wrong with the bench; [`Kind::SpecKey`] for a parameter that the bench does not have.
    pub fn new(spec: &'a SweepSpec, tech: &'a Technology) -> Result<Planner<'a>> {
        let deck = Deck::read(&spec.bench, &TechFiles::of(tech, None)?)?;
        check_parameters(spec, &deck)?;
        let read = |process: String| {
            let models = TechFiles::of(tech, Some(&process)).map_err(|error| in_sweep(error, spec))?;
            Ok((process, Deck::read(&spec.bench, &models)?))
        };
        let named: BTreeSet<String> = spec.corners.iter().filter_map(|corner| corner.process.clone()).collect();
        let processes = named.into_iter().map(read).collect::<Result<BTreeMap<_, _>>>()?;
        let mut names: Vec<String> = spec.parameters.iter().map(|p| p.name.clone()).collect();
        let of_corners = spec.corners.iter().flat_map(|corner| &corner.values).map(|(name, _)| name.clone());
        for name in of_corners.filter(|name| !spec.parameters.iter().any(|p| p.name == *name)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.retain(|name| name != TEMPERATURE);
        // The supply of a process corner counts as varied by the sweep.
        if processes.keys().any(|process| tech.corner(process).is_ok_and(|corner| corner.vdd_v.is_some()))
            && deck.parameter_names().contains(&SUPPLY)
            && !names.iter().any(|name| name == SUPPLY)
        {
            names.push(SUPPLY.to_string());
        }
        let (altered, fixed) = names.into_iter().partition(|name| deck.is_alterable(name));
        Ok(Planner { spec, tech, deck, processes, altered, fixed })
    }

    /// The bench, on the technology's nominal models.
    pub fn deck(&self) -> &Deck {
        &self.deck
    }

    /// The bench on the models of a process corner; nominal where there is none.
    fn deck_at(&self, process: Option<&str>) -> &Deck {
        process.and_then(|process| self.processes.get(process)).unwrap_or(&self.deck)
    }

    /// The specification.
    pub fn spec(&self) -> &'a SweepSpec {
        self.spec
    }

    /// What the sweep file asks for.
    pub fn design(&self) -> Vec<Combination> {
        combinations(self.spec)
    }

    /// The points of these combinations, each with every mismatch sample, numbered from `first_index`.
    ///
    /// # Errors
    /// [`Kind::SpecKey`] for a signal or an instance that the bench does not have; an expression that cannot be evaluated.
    pub fn plan(&self, combinations: &[Combination], first_index: u64) -> Result<Plan> {
        let mut plan = Plan { groups: Vec::new(), startup: self.tech.startup.clone() };
        let mut group_of: BTreeMap<(Option<&str>, Vec<u64>), usize> = BTreeMap::new();
        let samples = self.samples_per_combination();
        let mut index = first_index;
        for combination in combinations {
            let overrides = self.overrides(combination)?;
            let process = self.process(combination)?;
            let values = self.deck_at(process).values(&overrides)?;
            let measurements = self.measurements(&values)?;
            let fixed = self.fixed.iter().filter_map(|name| values.get(name).map(|value| value.to_bits())).collect();
            let key: (Option<&str>, Vec<u64>) = (process, fixed);
            let position = match group_of.get(&key) {
                Some(position) => *position,
                None => {
                    plan.groups.push(self.group(&overrides, process, &measurements)?);
                    group_of.insert(key, plan.groups.len() - 1);
                    plan.groups.len() - 1
                }
            };
            let points = self.samples(combination, process, &overrides, &values, &measurements, index)?;
            plan.groups[position].points.extend(points);
            index += samples;
        }
        Ok(plan)
    }

    fn group(
        &self,
        overrides: &BTreeMap<String, f64>,
        process: Option<&str>,
        measurements: &[Measurement],
    ) -> Result<Group> {
        let deck = self.deck_at(process);
        let signals = signals_of(measurements);
        // The circuit of a group must not depend on which of its points comes first: alterable parameters stand at the
        // bench's own values in it.
        let mut at_load = self.supply();
        at_load.extend(overrides.iter().filter(|(name, _)| self.fixed.contains(name)).map(|(n, v)| (n.clone(), *v)));
        let values = deck.values(&at_load)?;
        check_sizes(self.tech, deck, &values)?;
        let circuit = deck.circuit(&values, &signals, &[]);
        let process = process.map(str::to_string);
        Ok(Group { circuit, signals, process, fixed: at_load, options: Vec::new(), points: Vec::new() })
    }

    /// One combination with every mismatch sample.
    fn samples(
        &self,
        combination: &Combination,
        process: Option<&str>,
        overrides: &BTreeMap<String, f64>,
        values: &BTreeMap<String, f64>,
        measurements: &[Measurement],
        first_index: u64,
    ) -> Result<Vec<PlannedPoint>> {
        let temperature = overrides.get(TEMPERATURE).copied().unwrap_or(self.tech.temperature_degc);
        let deck = self.deck_at(process);
        let devices = mismatched_devices(self.spec, self.tech, deck, values)?;
        let analysis = deck.analysis_command(values)?;
        let is_transient = deck.analysis().kind == AnalysisKind::Transient;
        let t_stop_s = if is_transient { deck.stop_time(values)? } else { None };
        let mut alters = vec![format!("set temp={temperature:e}")];
        alters.extend(deck.alters(&self.altered, values)?);
        let mut row = RowTemplate { index: first_index, values: BTreeMap::new(), labels: BTreeMap::new() };
        for (parameter, value) in self.spec.parameters.iter().zip(&combination.values) {
            row.values.insert(parameter.column(), *value);
        }
        row.labels.insert(SET_LABEL.to_string(), combination.set.to_string());
        if let Some(corner) = &combination.corner {
            row.labels.insert(CORNER_LABEL.to_string(), corner.clone());
        }
        let point = PlannedPoint { row, alters, analysis, t_stop_s, measurements: measurements.to_vec() };
        let Some(mismatch) = &self.spec.mismatch else { return Ok(vec![point]) };
        (0..mismatch.samples)
            .map(|sample| {
                let mut point = point.clone();
                point.row.index = first_index + sample;
                point.row.values.insert("sample".to_string(), sample as f64);
                for device in &devices {
                    let (as_path, PlannedPoint { row, alters, .. }) = (self.spec.drawn_as(&device.path), &mut point);
                    draw(device, &as_path, self.tech, mismatch.seed, sample, &mut row.values, alters)?;
                }
                Ok(point)
            })
            .collect()
    }

    /// The circuit of `group` with the options of a tier of the convergence ladder behind its own; for tier 0 with its own alone.
    ///
    /// # Errors
    /// None that planning the group did not meet.
    pub fn at_tier(&self, group: &Group, tier: u8) -> Result<LoadedCircuit> {
        if tier == 0 {
            return Ok(group.circuit.clone());
        }
        let deck = self.deck_at(group.process.as_deref());
        let values = deck.values(&group.fixed)?;
        let extra: Vec<String> = group.options.iter().cloned().chain(tier_options(deck, &values, tier)).collect();
        Ok(deck.circuit(&values, &group.signals, &extra))
    }

    /// The plan that repeats a few points of `plan` at a lower simulator floor: the same points whatever has been
    /// simulated. Empty if the sweep file says so.
    ///
    /// # Errors
    /// None that planning the points did not meet.
    pub fn guard(&self, plan: &Plan) -> Result<Plan> {
        let guard = self.spec.guard;
        let points = plan.groups.iter().flat_map(|group| &group.points).map(|point| point.row.index);
        let mut order: Vec<(u64, u64)> =
            points.map(|index| (rng::bits(guard.seed, index, "guard", "order"), index)).collect();
        order.sort_unstable();
        let chosen: BTreeSet<u64> = order.iter().take(guard.points as usize).map(|(_, index)| *index).collect();
        self.repeat(plan, &chosen)
    }

    /// The plan that repeats these points of `plan` at a lower simulator floor, [`GUARD_INDEX`] behind themselves.
    ///
    /// # Errors
    /// None that planning the points did not meet.
    pub fn repeat(&self, plan: &Plan, indices: &BTreeSet<u64>) -> Result<Plan> {
        let again = |point: &PlannedPoint| {
            let mut point = point.clone();
            point.row.index += GUARD_INDEX;
            point.row.labels.insert(SET_LABEL.to_string(), GUARD.to_string());
            point
        };
        let mut repeated = Plan { groups: Vec::new(), startup: plan.startup.clone() };
        for group in &plan.groups {
            let points: Vec<PlannedPoint> =
                group.points.iter().filter(|point| indices.contains(&point.row.index)).map(again).collect();
            if points.is_empty() {
                continue;
            }
            let deck = self.deck_at(group.process.as_deref());
            let values = deck.values(&group.fixed)?;
            let options = vec![guard_options(deck, &values)];
            let circuit = deck.circuit(&values, &group.signals, &options);
            repeated.groups.push(Group { circuit, options, points, ..group.clone() });
        }
        Ok(repeated)
    }

    /// How many mismatch samples each combination has; 1 without mismatch.
    pub fn samples_per_combination(&self) -> u64 {
        self.spec.mismatch.as_ref().map_or(1, |mismatch| mismatch.samples)
    }

    /// The combination that a row was planned from.
    pub fn combination_of(
        &self,
        values: &BTreeMap<String, f64>,
        labels: &BTreeMap<String, String>,
    ) -> Option<Combination> {
        let set = labels.get(SET_LABEL).map(String::as_str);
        Some(Combination {
            values: self.spec.parameters.iter().map(|p| values.get(&p.column()).copied()).collect::<Option<_>>()?,
            corner: labels.get(CORNER_LABEL).cloned(),
            set: if set == Some(HELD_OUT) { HELD_OUT } else { DESIGN },
        })
    }

    /// What the technology decides about a bench, where the bench has a parameter for it.
    fn supply(&self) -> BTreeMap<String, f64> {
        let names = self.deck.parameter_names();
        self.tech.overrides().into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
    }

    /// The process corner of a combination.
    fn process(&self, combination: &Combination) -> Result<Option<&str>> {
        let Some(name) = &combination.corner else { return Ok(None) };
        Ok(self.corner(name)?.process.as_deref())
    }

    fn corner(&self, name: &str) -> Result<&Corner> {
        let found = self.spec.corners.iter().find(|corner| corner.name == name);
        found.ok_or_else(|| Error::new(Kind::Internal, format!("corner `{name}` is not defined")))
    }

    /// Every value that differs from the bench's own: the supply, the process corner's, the corner's, the swept parameters.
    fn overrides(&self, combination: &Combination) -> Result<BTreeMap<String, f64>> {
        let mut overrides = self.supply();
        if let Some(name) = &combination.corner {
            let corner = self.corner(name)?;
            if let Some(process) = &corner.process {
                let process = self.tech.corner(process)?;
                let supply = process.vdd_v.filter(|_| overrides.contains_key(SUPPLY));
                overrides.extend(supply.map(|vdd_v| (SUPPLY.to_string(), vdd_v)));
                overrides.extend(process.temperature_degc.map(|t| (TEMPERATURE.to_string(), t)));
            }
            overrides.extend(corner.values.iter().cloned());
        }
        overrides.extend(self.spec.parameters.iter().map(|p| p.name.clone()).zip(combination.values.iter().copied()));
        Ok(overrides)
    }

    fn measurements(&self, values: &BTreeMap<String, f64>) -> Result<Vec<Measurement>> {
        let at_point = |measure: &crate::spec::MeasureSpec| {
            measure.at_point(values).map_err(|error| {
                let known = values.keys().cloned().collect::<Vec<_>>().join(", ");
                Problem::new(Kind::SpecKey, error.to_string())
                    .file(&self.spec.file)
                    .key(format!("measure `{}`", measure.column))
                    .accepted(format!("the bench's parameters: {known}"))
                    .into()
            })
        };
        self.spec.measures.iter().map(at_point).collect()
    }
}

/// A process corner that the technology does not have is the sweep file's mistake.
fn in_sweep(error: Error, spec: &SweepSpec) -> Error {
    let place = |p: &Problem| p.clone().file(&spec.file).key("corners");
    Error::collect(error.problems().iter().map(place).collect()).unwrap_or(error)
}

fn check_parameters(spec: &SweepSpec, deck: &Deck) -> Result<()> {
    let known = deck.parameter_names();
    let swept = spec.parameters.iter().map(|p| (format!("parameters.{}", p.name), &p.name));
    let of_corners = spec
        .corners
        .iter()
        .flat_map(|corner| corner.values.iter().map(|(name, _)| (format!("corners.{}.{name}", corner.name), name)));
    let problems = swept
        .chain(of_corners)
        .filter(|(_, name)| *name != TEMPERATURE && !known.contains(&name.as_str()))
        .map(|(key, name)| {
            Problem::new(Kind::SpecKey, format!("{} has no parameter `{name}`", spec.bench.display()))
                .file(&spec.file)
                .key(key)
                .accepted(format!("{}, temp", known.join(", ")))
        })
        .collect();
    Error::collect(problems).map_or(Ok(()), Err)
}
