//! Which point is meant: by its place in a design or by its identity, with its row if a run has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Explained, PointName, StoredRow};
use crate::dataset::{Dataset, Manifest, PointId, Row};
use crate::error::{Kind, Problem, Result};
use crate::project::{Project, stems};
use crate::spec::SweepSpec;
use crate::sweep::{GUARD_INDEX, Group, PlannedPoint, Planner};
use crate::tech::Technology;

/// Finds a point. `tech` takes the place of the sweep's own technology; `simulator` tells the simulator's identity and is only asked
/// for an identity that no run has.
///
/// # Errors
/// [`Kind::Usage`] if no point or more than one is named so; whatever is wrong with sweep, technology, bench or stored rows.
pub fn find_point(
    project: &Project,
    name: &PointName,
    tech: Option<&str>,
    simulator: &mut dyn FnMut() -> Result<String>,
) -> Result<Explained> {
    match name {
        PointName::Place { sweep, index } => {
            let (file, steps) = match project.sweep_file(sweep) {
                Ok(file) => (file, Vec::new()),
                // A variant has runs and no file.
                Err(error) => match variant_named(project, sweep)? {
                    Some(manifest) => (file_of(project, &manifest)?, manifest.steps),
                    None => return Err(error),
                },
            };
            let own = SweepSpec::read(&file, &project.benches())?.tech;
            at_place(project, &file, &steps, tech.unwrap_or(&own), *index, None)
        }
        PointName::Id(digits) => {
            let mut found: BTreeMap<PointId, StoredRow> = BTreeMap::new();
            for run in runs(&project.results(), None) {
                for stored in rows_of(&run)?.into_iter().filter(|s| s.row.id.0.starts_with(digits)) {
                    found.insert(stored.row.id.clone(), stored);
                }
            }
            if let Some(stored) = only(digits, &found)? {
                let manifest = Manifest::read(&stored.run.join("manifest.json"))?;
                let (file, index) = (file_of(project, &manifest)?, stored.row.index);
                return at_place(project, &file, &manifest.steps, tech.unwrap_or(&manifest.tech), index, Some(stored));
            }
            planned_only(project, digits, tech, &simulator()?)
        }
    }
}

/// The one entry, or none.
fn only(digits: &str, found: &BTreeMap<PointId, StoredRow>) -> Result<Option<StoredRow>> {
    if found.len() > 1 {
        let ids: Vec<String> = found.keys().take(5).map(ToString::to_string).collect();
        return Err(Problem::new(Kind::Usage, format!("{} points begin with {digits}", found.len()))
            .accepted(format!("more digits: {}{}", ids.join(", "), if found.len() > 5 { ", ..." } else { "" }))
            .into());
    }
    Ok(found.values().next().cloned())
}

/// An identity that no run has: plans every sweep of the project.
fn planned_only(project: &Project, digits: &str, tech: Option<&str>, simulator: &str) -> Result<Explained> {
    let mut found = Vec::new();
    for name in stems(&project.sweeps(), "toml") {
        let file = project.sweep_file(&name)?;
        let own = SweepSpec::read(&file, &project.benches())?.tech;
        let tech = Technology::find(tech.unwrap_or(&own), &project.technologies())?;
        let spec = SweepSpec::read_on(&file, &project.benches(), &tech)?;
        let planner = Planner::new(&spec, &tech)?;
        let plan = planner.plan(&planner.design(), 0)?;
        for group in &plan.groups {
            for point in &group.points {
                let id = point.id(group, &plan.startup, simulator);
                if id.0.starts_with(digits) {
                    found.push((id, name.clone(), point.row.index));
                }
            }
        }
    }
    match found.as_slice() {
        [(_, sweep, index)] => {
            let place = PointName::Place { sweep: sweep.clone(), index: *index };
            find_point(project, &place, tech, &mut || Ok(simulator.to_string()))
        }
        [] => Err(Problem::new(Kind::Usage, format!("no point begins with {digits}"))
            .accepted("an identity from points.parquet or of a planned point, or <sweep>:<index>")
            .help("a sweep outside the project's sweeps/ is named by its path, as in my/own.toml:7")
            .into()),
        several => {
            let ids: Vec<String> = several.iter().take(5).map(|(id, sweep, k)| format!("{id} ({sweep}:{k})")).collect();
            Err(Problem::new(Kind::Usage, format!("{} points begin with {digits}", several.len()))
                .accepted(ids.join(", "))
                .into())
        }
    }
}

/// The point at `index` of the design, with its row if a run has it.
fn at_place(
    project: &Project,
    file: &Path,
    steps: &[String],
    tech: &str,
    index: u64,
    wanted: Option<StoredRow>,
) -> Result<Explained> {
    let tech = Technology::find(tech, &project.technologies())?;
    let spec = SweepSpec::read_on(file, &project.benches(), &tech)?.again(steps, &tech)?;
    let candidates = match wanted {
        Some(wanted) => vec![wanted],
        None => rows_at(&project.results().join(&spec.name), &tech.name, index)?,
    };
    let (mut planned, mut stored, mut outdated) = (None, None, None);
    for candidate in candidates {
        let place = plan_place(&spec, &tech, index, Some(&candidate.row))?;
        let is_same = place
            .as_ref()
            .is_some_and(|(group, point)| candidate.row.id == point.id(group, &tech.startup, &candidate.simulator));
        if is_same {
            (stored, planned) = (Some(candidate), place);
        } else {
            outdated = Some(candidate);
        }
    }
    let planned = match planned {
        Some(planned) => Some(planned),
        None => plan_place(&spec, &tech, index, None)?,
    };
    let Some((group, point)) = planned else {
        return Err(Problem::new(Kind::Usage, format!("sweep `{}` has no point {index}", spec.name))
            .accepted("a place in the design, or the index of a row in points.parquet")
            .into());
    };
    let startup = tech.startup.clone();
    Ok(Explained { spec, tech, group, point, startup, stored, outdated })
}

/// The point at `index` and its circuit, without planning others. A stored row says what adaptive sweeps chose there, and at
/// which tier it ended; without one the design says what stands there and at which tier it begins.
pub(super) fn plan_place(
    spec: &SweepSpec,
    tech: &Technology,
    index: u64,
    row: Option<&Row>,
) -> Result<Option<(Group, PlannedPoint)>> {
    let planner = Planner::new(spec, tech)?;
    let (own_index, is_guard) = (index % GUARD_INDEX, index >= GUARD_INDEX);
    let samples = planner.samples_per_combination().max(1);
    let place = own_index / samples;
    let combination = match row {
        Some(row) => planner.combination_of(&row.values, &row.labels),
        None => planner.design().into_iter().nth(place as usize),
    };
    let Some(combination) = combination else { return Ok(None) };
    let mut plan = planner.plan(&[combination], place * samples)?;
    if is_guard {
        plan = planner.repeat(&plan, &[own_index].into())?;
    }
    let Some(mut group) = plan.groups.pop() else { return Ok(None) };
    let Some(mut point) = group.points.iter().find(|point| point.row.index == index).cloned() else { return Ok(None) };
    group.points.clear();
    group.circuit = planner.at_tier(&group, row.map_or(spec.ladder.start, |row| row.tier))?;
    if let Some(row) = row {
        point.row.labels = row.labels.clone();
    }
    Ok(Some((group, point)))
}

/// The folders of all runs below `results`, of one sweep's folder or of all, sorted.
fn runs(results: &Path, tech: Option<&str>) -> Vec<PathBuf> {
    match tech {
        Some(tech) => {
            let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(tech));
            runs_in(results).into_iter().filter(named).collect()
        }
        None => folders(results).iter().flat_map(|sweep| runs_in(sweep)).collect(),
    }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn runs_in(dir: &Path) -> Vec<PathBuf> {
    folders(dir).into_iter().filter(|path| path.join("manifest.json").is_file()).collect()
}

fn rows_of(run: &Path) -> Result<Vec<StoredRow>> {
    let dataset = Dataset::read(run)?;
    let simulator = dataset.manifest.simulator;
    let stored = |row: Row| StoredRow { row, run: run.to_path_buf(), simulator: simulator.clone() };
    Ok(dataset.rows.into_iter().map(stored).collect())
}

fn rows_at(folder: &Path, tech: &str, index: u64) -> Result<Vec<StoredRow>> {
    let mut found = Vec::new();
    for run in runs(folder, Some(tech)) {
        found.extend(rows_of(&run)?.into_iter().find(|stored| stored.row.index == index));
    }
    Ok(found)
}

/// The newest manifest among the runs of that name, if it is a variant's.
fn variant_named(project: &Project, name: &str) -> Result<Option<Manifest>> {
    let mut newest = None;
    for run in runs_in(&project.results().join(name)) {
        let path = run.join("manifest.json");
        let written = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
        if newest.as_ref().is_none_or(|(time, _)| written > *time) {
            newest = Some((written, Manifest::read(&path)?));
        }
    }
    Ok(newest.map(|(_, manifest)| manifest).filter(|manifest| manifest.variant_of.is_some()))
}

/// The sweep file behind a run, which is named after what stands in the file.
pub(super) fn file_of(project: &Project, manifest: &Manifest) -> Result<PathBuf> {
    let name = manifest.variant_of.as_ref().unwrap_or(&manifest.sweep);
    for stem in stems(&project.sweeps(), "toml") {
        let file = project.sweep_file(&stem)?;
        if SweepSpec::read(&file, &project.benches())?.name == *name {
            return Ok(file);
        }
    }
    Err(Problem::new(Kind::MissingNetlist, format!("the point belongs to the sweep `{name}`, which is not in sweeps/"))
        .file(project.sweeps())
        .help("name it by the path of its file and its place, as in my/own.toml:7")
        .into())
}
