//! One point as a stand-alone deck: what plain `ngspice -b` has to be told to give the same measurements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::{Dataset, Manifest, Outcome, PointId, Row, Value};
use crate::error::{Error, Kind, Problem, Result};
use crate::measure::Script;
use crate::project::{Project, stems};
use crate::simulate::{
    BATCH_COMMAND, Circuit, DECK_FILE, SPICEINIT, check_analysis, check_change, check_circuit, run_batch,
};
use crate::spec::SweepSpec;
use crate::sweep::{CORNER_LABEL, GUARD_INDEX, Group, PlannedPoint, Planner};
use crate::tech::Technology;

/// Relative difference up to which plain ngspice and the harness agree: what one unit in the last place of a literal
/// may come to after an analysis. What is measured on the sweeps here is zero.
pub const AGREEMENT: f64 = 1e-9;

/// Digits of an identity that suffice to ask for it.
const SHORTEST_PREFIX: usize = 6;

/// A point that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointName {
    /// An identity, or the beginning of one.
    Id(String),
    /// A sweep by name or path, and a place in its design.
    Place {
        /// The sweep, as [`Project::sweep_file`] takes it.
        sweep: String,
        /// The place, from 0.
        index: u64,
    },
}

impl PointName {
    /// Reads `<sweep>:<index>` or hexadecimal digits.
    ///
    /// # Errors
    /// [`Kind::Usage`], with what is accepted.
    pub fn parse(text: &str) -> Result<PointName> {
        if let Some((sweep, index)) = text.rsplit_once(':')
            && let Ok(index) = index.parse()
            && !sweep.is_empty()
        {
            return Ok(PointName::Place { sweep: sweep.to_string(), index });
        }
        let digits = text.to_ascii_lowercase();
        if (SHORTEST_PREFIX..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(PointName::Id(digits));
        }
        Err(Problem::new(Kind::Usage, format!("`{text}` names no point"))
            .accepted(format!(
                "<sweep>:<index>, as in retention:7, or an identity: {SHORTEST_PREFIX} to 32 hexadecimal digits"
            ))
            .into())
    }
}

/// A row as a run holds it.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// The row.
    pub row: Row,
    /// The run's folder.
    pub run: PathBuf,
    /// The simulator that made it.
    pub simulator: String,
}

/// A point with everything that makes it.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Its sweep.
    pub spec: SweepSpec,
    /// The technology that it is planned on.
    pub tech: Technology,
    /// The circuit, without other points.
    pub group: Group,
    /// The point.
    pub point: PlannedPoint,
    /// The technology's start-up commands.
    pub startup: Vec<String>,
    /// The row of this very point, if a run has it.
    pub stored: Option<StoredRow>,
    /// A row at the point's place whose identity is another one: netlist, technology, sweep or simulator have changed since.
    pub outdated: Option<StoredRow>,
}

/// A measurement, stored and from plain ngspice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Column.
    pub column: String,
    /// Name that the script prints it under.
    pub printed_as: String,
    /// In the row; `None` if missing there or not simulated.
    pub stored: Option<Numbers>,
    /// From plain ngspice; `None` if not run or missing.
    pub ngspice: Option<Numbers>,
    /// Whether both are there and equal in every bit.
    pub bit_for_bit: bool,
    /// Greatest difference of an element, relative to the greater of both; `None` unless both are there.
    pub relative_difference: Option<f64>,
}

/// A measured value in JSON: a number, or an array of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Numbers {
    /// A scalar.
    One(f64),
    /// A curve.
    Many(Vec<f64>),
}

impl From<&Value> for Numbers {
    fn from(value: &Value) -> Numbers {
        match value {
            Value::Scalar(number) => Numbers::One(*number),
            Value::Curve(numbers) => Numbers::Many(numbers.clone()),
        }
    }
}

/// What `gaincell explain` says.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Sweep.
    pub sweep: String,
    /// Technology.
    pub tech: String,
    /// Place in the design.
    pub index: u64,
    /// Identity, if the simulator's own is known.
    pub id: Option<String>,
    /// Swept values and mismatch draws.
    pub values: BTreeMap<String, f64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// How the stored row ended.
    pub outcome: Option<Outcome>,
    /// The stored row's convergence tier; 0 is the bench's own options.
    pub tier: Option<u8>,
    /// Where deck and start-up file were written.
    pub folder: PathBuf,
    /// The command that runs them.
    pub command: String,
    /// Every measurement.
    pub measurements: Vec<Compared>,
    /// What the harness does differently, a sentence each.
    pub differences: Vec<String>,
    /// What is to be known of this point.
    pub notes: Vec<String>,
}

impl Explanation {
    /// Whether every stored measurement came out of plain ngspice within [`AGREEMENT`].
    pub fn agrees(&self) -> bool {
        let stored = self.measurements.iter().filter(|m| m.stored.is_some());
        stored.into_iter().all(|m| m.relative_difference.is_some_and(|d| d <= AGREEMENT))
    }
}

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
            let spec = SweepSpec::read(&project.sweep_file(sweep)?, &project.benches())?;
            at_place(project, spec, tech, *index, None)
        }
        PointName::Id(digits) => {
            let mut found: BTreeMap<PointId, StoredRow> = BTreeMap::new();
            for run in runs(&project.results(), None)? {
                for stored in rows_of(&run)?.into_iter().filter(|s| s.row.id.0.starts_with(digits)) {
                    found.insert(stored.row.id.clone(), stored);
                }
            }
            if let Some(stored) = only(digits, &found)? {
                let manifest = Manifest::read(&stored.run.join("manifest.json"))?;
                let spec = sweep_named(project, &manifest.sweep)?;
                let index = stored.row.index;
                return at_place(project, spec, Some(tech.unwrap_or(&manifest.tech)), index, Some(stored));
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
    spec: SweepSpec,
    tech: Option<&str>,
    index: u64,
    wanted: Option<StoredRow>,
) -> Result<Explained> {
    let tech = Technology::find(tech.unwrap_or(&spec.tech), &project.technologies())?;
    let mut spec = SweepSpec::read_on(&spec.file, &project.benches(), &tech)?;
    // A process corner that only the technology knows was asked for on the command line.
    if let Some(corner) = wanted.as_ref().and_then(|wanted| wanted.row.labels.get(CORNER_LABEL))
        && !spec.corners.iter().any(|known| known.name == *corner)
    {
        spec = spec.at_corners(std::slice::from_ref(corner), &tech)?;
    }
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
/// which tier it ended; without one the design says what stands there.
fn plan_place(
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
    if let Some(row) = row {
        if row.tier > 0 {
            group.circuit = planner.at_tier(&group, row.tier)?;
        }
        point.row.labels = row.labels.clone();
    }
    Ok(Some((group, point)))
}

/// The folders of all runs below `results`, of one sweep's folder or of all, sorted.
fn runs(results: &Path, tech: Option<&str>) -> Result<Vec<PathBuf>> {
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        found.sort();
        found
    };
    let is_run = |path: &PathBuf| path.join("manifest.json").is_file();
    Ok(match tech {
        Some(tech) => {
            let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(tech));
            folders(results).into_iter().filter(|path| is_run(path) && named(path)).collect()
        }
        None => folders(results).iter().flat_map(|sweep| folders(sweep)).filter(is_run).collect(),
    })
}

fn rows_of(run: &Path) -> Result<Vec<StoredRow>> {
    let dataset = Dataset::read(run)?;
    let simulator = dataset.manifest.simulator;
    let stored = |row: Row| StoredRow { row, run: run.to_path_buf(), simulator: simulator.clone() };
    Ok(dataset.rows.into_iter().map(stored).collect())
}

fn rows_at(folder: &Path, tech: &str, index: u64) -> Result<Vec<StoredRow>> {
    let mut found = Vec::new();
    for run in runs(folder, Some(tech))? {
        found.extend(rows_of(&run)?.into_iter().find(|stored| stored.row.index == index));
    }
    Ok(found)
}

/// The sweep file of that name: runs are named after what stands in the file.
fn sweep_named(project: &Project, name: &str) -> Result<SweepSpec> {
    for stem in stems(&project.sweeps(), "toml") {
        let spec = SweepSpec::read(&project.sweep_file(&stem)?, &project.benches())?;
        if spec.name == name {
            return Ok(spec);
        }
    }
    Err(Problem::new(Kind::MissingNetlist, format!("the point belongs to the sweep `{name}`, which is not in sweeps/"))
        .file(project.sweeps())
        .help("name it by the path of its file and its place, as in my/own.toml:7")
        .into())
}

impl Explained {
    /// Writes the deck and its start-up file into `folder`, and with `run` runs plain ngspice on them.
    ///
    /// # Errors
    /// [`Kind::RefusedDeck`] if the circuit or a command would do more than simulate; [`Kind::Io`];
    /// [`Kind::SimulatorUnavailable`] with `run`.
    pub fn write(&self, folder: &Path, run: bool) -> Result<Explanation> {
        let circuit = Circuit {
            key: self.group.circuit.key.clone(),
            lines: self.group.circuit.lines.clone(),
            startup: self.startup.clone(),
        };
        check_circuit(&circuit)?;
        self.point.alters.iter().try_for_each(|command| check_change(command))?;
        check_analysis(&self.point.analysis)?;
        let script = Script::new(&self.point.analysis, &self.point.measurements, &self.point.row.values)?;
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, "make the folder", source))?;
        let startup: String = self.startup.iter().map(|line| format!("{line}\n")).collect();
        for (name, text) in [(DECK_FILE, self.deck(&script)), (".spiceinit", format!("{SPICEINIT}{startup}"))] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| Error::io(&path, "write", source))?;
        }
        let output = run.then(|| run_batch(folder)).transpose()?;
        let measured = output.as_deref().map(|output| script.read(output)).unwrap_or_default();
        Ok(Explanation {
            sweep: self.spec.name.clone(),
            tech: self.tech.name.clone(),
            index: self.point.row.index,
            id: self.stored.as_ref().map(|stored| stored.row.id.to_string()),
            values: self.point.row.values.clone(),
            labels: self.point.row.labels.clone(),
            outcome: self.stored.as_ref().map(|stored| stored.row.outcome),
            tier: self.stored.as_ref().map(|stored| stored.row.tier),
            folder: folder.to_path_buf(),
            command: format!("cd {} && {}", quoted(folder), BATCH_COMMAND.join(" ")),
            measurements: script
                .prints
                .iter()
                .map(|printed| {
                    let row = self.stored.as_ref().and_then(|stored| stored.row.measured.get(&printed.column));
                    compare(&printed.column, &printed.name, row, measured.get(&printed.column))
                })
                .collect(),
            differences: self.differences(),
            notes: self.notes(output.as_deref()),
        })
    }

    /// The circuit as workers load it, then the point's commands, the analysis and the measurements.
    fn deck(&self, script: &Script) -> String {
        let place = format!("{}:{} on {}", self.spec.name, self.point.row.index, self.tech.name);
        let mut lines = vec![format!("gaincell explain {}", one_line(&place))];
        for (name, value) in &self.point.row.values {
            lines.push(format!("* {} = {value:e}", one_line(name)));
        }
        let body = self.group.circuit.lines.iter().skip(1).filter(|line| !line.eq_ignore_ascii_case(".end"));
        lines.extend(body.cloned());
        lines.push(".control".to_string());
        lines.extend(self.point.alters.iter().cloned());
        lines.push(self.point.analysis.clone());
        lines.extend(script.lines.iter().cloned());
        lines.extend(["quit", ".endc", ".end", ""].map(str::to_string));
        lines.join("\n")
    }

    fn differences(&self) -> Vec<String> {
        let mut all = vec![
            "gaincell runs libngspice in a worker that keeps the circuit loaded; points before this one may have run on it, and \
             every point sets all that any of them alters"
                .to_string(),
            format!(
                "gaincell stops an analysis after {} points (`stop after`); the deck sets no such limit",
                self.spec.limits.time_points
            ),
            "gaincell evaluates measurements itself; the deck does the same arithmetic in the same order in ngspice's control \
             language, and writes numbers as integers times powers of two because ngspice's number parser does not round \
             correctly"
                .to_string(),
            "both have `set num_threads=1` and the technology's start-up commands, from .spiceinit in the deck's folder; without \
             that file ngspice would take ~/.spiceinit and two threads"
                .to_string(),
        ];
        if !self.point.alters.is_empty() {
            all.push(format!(
                "the deck brings the circuit to the point by the same {} commands between loading and analysis, not by other \
                 values in its lines: ngspice's `alter` does not recompute everything that loading does",
                self.point.alters.len()
            ));
        }
        all
    }

    fn notes(&self, output: Option<&str>) -> Vec<String> {
        let mut notes = Vec::new();
        match (&self.stored, &self.outdated) {
            (Some(stored), _) => {
                if stored.row.tier > 0 {
                    notes.push(format!(
                        "the stored row is of tier {}: the deck has that tier's options behind the bench's own, and fits leave \
                         the row out",
                        stored.row.tier
                    ));
                }
                if stored.row.outcome != Outcome::Ok {
                    notes.push(format!("the stored row ended {}: {}", stored.row.outcome, stored.row.message));
                }
                let ended = output.and_then(|text| text.lines().find_map(|line| line.trim().strip_suffix(" done")));
                let library = stored.simulator.split_whitespace().next().unwrap_or_default();
                if let Some(program) = ended
                    && program != library
                {
                    notes.push(format!("the row was made by {library}, the program here is {program}"));
                }
            }
            (None, Some(outdated)) => notes.push(format!(
                "the row in {} is of another identity ({}): netlist, technology, sweep file or simulator have changed since; \
                 it is not compared",
                outdated.run.display(),
                outdated.row.id
            )),
            (None, None) => notes.push(format!(
                "not simulated yet: `gaincell sweep {}` gives the row to compare with",
                self.spec.file.file_stem().unwrap_or_default().to_string_lossy()
            )),
        }
        notes
    }
}

/// `text` without anything that could end a comment line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-+,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn compare(column: &str, printed_as: &str, stored: Option<&Value>, ngspice: Option<&Value>) -> Compared {
    let pairs: Option<Vec<(f64, f64)>> = match (stored, ngspice) {
        (Some(Value::Scalar(a)), Some(Value::Scalar(b))) => Some(vec![(*a, *b)]),
        (Some(Value::Curve(a)), Some(Value::Curve(b))) if a.len() == b.len() => {
            Some(a.iter().copied().zip(b.iter().copied()).collect())
        }
        _ => None,
    };
    let difference = |&(a, b): &(f64, f64)| if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) };
    Compared {
        column: column.to_string(),
        printed_as: printed_as.to_string(),
        stored: stored.map(Numbers::from),
        ngspice: ngspice.map(Numbers::from),
        // A zero of either sign is the same zero.
        bit_for_bit: pairs.as_ref().is_some_and(|pairs| pairs.iter().all(|(a, b)| a == b)),
        relative_difference: pairs.map(|pairs| pairs.iter().map(difference).fold(0.0, f64::max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_two_names() {
        let place = |sweep: &str, index| PointName::Place { sweep: sweep.into(), index };
        assert_eq!(PointName::parse("retention:7").unwrap(), place("retention", 7));
        assert_eq!(PointName::parse("my dir/own.toml:0").unwrap(), place("my dir/own.toml", 0));
        assert_eq!(PointName::parse("0A1b2c").unwrap(), PointName::Id("0a1b2c".into()));
        for bad in ["", "retention", "retention:", "retention:x", ":3", "0a1b", "0a1b2g"] {
            assert_eq!(PointName::parse(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn comparison_tells_equal_bits_from_close_ones() {
        let scalar = |x| Value::Scalar(x);
        let close = compare("a", "a", Some(&scalar(1.0)), Some(&scalar(1.0 + 1e-12)));
        assert!(!close.bit_for_bit && close.relative_difference.is_some_and(|d| d > 9e-13 && d < 1.1e-12));
        let curves = Value::Curve(vec![0.0, -2.0]);
        assert!(compare("a", "a", Some(&curves), Some(&Value::Curve(vec![-0.0, -2.0]))).bit_for_bit);
        assert_eq!(compare("a", "a", Some(&curves), Some(&Value::Curve(vec![0.0]))).relative_difference, None);
        assert_eq!(compare("a", "a", Some(&scalar(1.0)), None).relative_difference, None);
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("results/explain/a-1")), "results/explain/a-1");
        assert_eq!(quoted(Path::new("my dir/it's")), "'my dir/it'\\''s'");
    }
}
