//! Sweep files: TOML to a checked specification. Only what is checked here runs.
//!
//! | key | meaning |
//! |---|---|
//! | `schema` | 1 |
//! | `name`, `title` | the sweep's name (its folder below `results/`) and a sentence for plots |
//! | `tech`, `cell` | technology; the cell that the rows are about |
//! | `bench` | a netlist, relative to `netlists/benches/` or to this file |
//! | `[parameters.<p>]` | `unit` and `values`, or `from`, `to`, `steps`, `scale` (`linear`, `log`); `<p>` is a `.param` of the bench, or `temp` |
//! | `[sampling]` | `method` (`grid`, `latin_hypercube`, `sobol`), and for the last two `points`, `seed`; `steps` is then left out |
//! | `process_corners` | `true`: the design runs once at every process corner of the technology, in place of tables |
//! | `[corners.<name>]` | `process` (a corner of the technology), quantities for parameters of the bench, `vdd` and `temp`; the design runs once per corner |
//! | `[held_out]` | `points`, `seed`: random points inside the parameters' ranges, for tests that no fit sees |
//! | `[mismatch]` | `samples`, `seed`, `instances`: Monte Carlo over the transistors below these instances |
//! | `[replicas]` | `instance = "other"`: on every die the transistors below `instance` are drawn as those below `other`, of which it is a replica to compare with |
//! | `[[measure]]` | `name`, `unit` and one of `at`, `cross`, `delay`, `integral`, `mean`, `max`, `min`, `settle`, `sample`, `expr` |
//! | `[measure.spec]` | `min`, `typ`, `max`: what the measurement may be, in its unit; `yield`: the share of dice that must show it, with 95 % confidence |
//! | `[adaptive]`, `[multifidelity]` | refine where a measurement is uncertain, on the shape of a static sweep: see [`AdaptiveSpec`], [`MultifidelitySpec`] |
//! | `[limits]` | `time_points` per point, `wall` time after which a worker counts as hung |
//! | `[ladder]` | `start`: the tier that points begin with, 0 by default (fits take rows of tier 0 alone, so it is for sweeps that none reads); `tiers`: how far points that do not converge may climb, 0 to 3 |
//! | `[guard]` | `points` that run again at gmin/10 and tighter tolerances, `seed`, `tolerance` |
//!
//! Voltages are written for the supply of the technology that the file names. On another one ([`SweepSpec::read_on`]) every
//! voltage is scaled by the ratio of the supplies (a level at half the supply stays there) and every charge by that of the charge scales,
//! every energy, which is a limit, by that of the energy scales. Limits in time stay: they are claims about a design.

mod adaptive;
mod circuits;
mod design;
mod measures;
mod mismatch;
mod parameter;
mod variant;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Kind, Problem, Result};
use crate::keys::{Document, Keys, Scales};
use crate::tech::{Technology, named_in, written_for};
use crate::units::Unit;

pub use adaptive::{AdaptiveSpec, MultifidelitySpec, SUPPLY};
pub use circuits::{CircuitSpec, Task, Variant};
pub use design::{Corner, Guard, Ladder, Sampling};
pub use measures::{Bound, CrossSpec, HowSpec, MeasureSpec, SpecLimit};
pub use mismatch::Mismatch;
use parameter::read_parameter;
pub use parameter::{ParameterSpec, range};

/// Random points that fits do not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldOut {
    /// How many.
    pub points: u64,
    /// Seed.
    pub seed: u64,
}

/// Limits of one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Most time points before the row is typed `timeout`.
    pub time_points: u64,
    /// Wall time after which a worker counts as hung [s].
    pub wall_s: f64,
}

/// A checked sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepSpec {
    /// Name, also of the folder below `results/`.
    pub name: String,
    /// One sentence, for plots.
    pub title: String,
    /// Technology named in the file.
    pub tech: String,
    /// Cell that the rows are about.
    pub cell: String,
    /// The bench's path.
    pub bench: PathBuf,
    /// Swept parameters, in the order of the file's names.
    pub parameters: Vec<ParameterSpec>,
    /// How the design is chosen.
    pub sampling: Sampling,
    /// Corners that the design runs at; none means the technology's nominal conditions.
    pub corners: Vec<Corner>,
    /// The corners are the technology's process corners ([`SweepSpec::read_on`] fills them in).
    pub process_corners: bool,
    /// Held-out points, if any.
    pub held_out: Option<HeldOut>,
    /// Mismatch, if any.
    pub mismatch: Option<Mismatch>,
    /// Instances that are replicas of others, and these; in lower case.
    pub replicas: BTreeMap<String, String>,
    /// Measurements in order.
    pub measures: Vec<MeasureSpec>,
    /// How to refine, if not by the grid.
    pub adaptive: Option<AdaptiveSpec>,
    /// The static sweep behind it, if any.
    pub multifidelity: Option<MultifidelitySpec>,
    /// Limits per point.
    pub limits: Limits,
    /// Tiers that points run at.
    pub ladder: Ladder,
    /// Points that run again with a lower simulator floor.
    pub guard: Guard,
    /// The file's voltages are what they are on every technology: its bench's devices do not belong to any.
    pub absolute_voltages: bool,
    /// What the file's voltages, charges and energies were multiplied by: the supply and the scales over those of the technology
    /// that the file names.
    pub scales: Scales,
    /// Name in the file, which a variant's own begins with.
    pub base: String,
    /// What was varied beyond the file, in order; see [`SweepSpec::again`].
    pub steps: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// Hash of its bytes.
    pub hash: String,
}

impl SweepSpec {
    /// Reads and checks a sweep file; benches are looked for beside it and in `benches`.
    ///
    /// # Errors
    /// Every mistake of the file at once.
    pub fn read(path: &Path, benches: &Path) -> Result<SweepSpec> {
        SweepSpec::read_scaled(path, benches, Scales::NONE)
    }

    /// Reads a sweep file for `tech`, its voltages scaled to that supply and its charges to what a cell draws there. Technologies stand in `tech/` beside `benches`.
    ///
    /// # Errors
    /// As [`SweepSpec::read`].
    pub fn read_on(path: &Path, benches: &Path, tech: &Technology) -> Result<SweepSpec> {
        let spec = SweepSpec::scaled_to(path, benches, tech)?;
        Ok(if spec.process_corners { spec.over_process(tech) } else { spec })
    }

    fn scaled_to(path: &Path, benches: &Path, tech: &Technology) -> Result<SweepSpec> {
        let spec = SweepSpec::read(path, benches)?;
        if spec.absolute_voltages {
            return Ok(spec);
        }
        let technologies = benches.parent().unwrap_or(Path::new(".")).join("tech");
        let Some(of) = written_for(&named_in(path, &spec.tech), &technologies) else { return Ok(spec) };
        let scales = Scales {
            volts: tech.vdd_v / of.volts,
            coulombs: tech.scale('q') / of.coulombs,
            joules: tech.energy_scale / of.joules,
        };
        if scales == Scales::NONE { Ok(spec) } else { SweepSpec::read_scaled(path, benches, scales) }
    }

    fn read_scaled(path: &Path, benches: &Path, scales: Scales) -> Result<SweepSpec> {
        let document = Document::read(path, Kind::MissingNetlist)?;
        document.scale(scales);
        let table = document.parse()?;
        let keys = document.root(&table);
        let name = keys.require_string("name", "the sweep's name, as in \"nonlinearity\"");
        if !name.is_empty() && !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            let problem = Problem::new(Kind::SpecKey, format!("\"{name}\" cannot name a folder"));
            keys.problem(problem.accepted("letters, digits, `_` and `-`"), "name");
        }
        let title = keys.string("title").unwrap_or_else(|| name.clone());
        let tech = keys.require_string("tech", "a technology's name, as in \"generic28\"");
        let cell = keys.string("cell").unwrap_or_default();
        let absolute_voltages = keys.boolean("absolute_voltages").unwrap_or(false);
        let bench = read_bench(&keys, path, benches);
        let sampling = design::read_sampling(&keys);
        let parameters: Vec<_> = keys
            .named_tables("parameters")
            .iter()
            .map(|(name, table)| read_parameter(name, table, sampling != Sampling::Grid))
            .collect();
        let corners = design::read_corners(&keys, &parameters);
        let process_corners = keys.boolean("process_corners").unwrap_or(false);
        if process_corners && !corners.is_empty() {
            let problem = Problem::new(Kind::SpecKey, "corners are written, and the technology's are asked for");
            keys.problem(
                problem.accepted("either tables [corners.<name>], or process_corners = true"),
                "process_corners",
            );
        }
        let held_out = keys.table("held_out").map(|table| {
            let points = table.count("points");
            let seed = table.count("seed");
            required(&table, &[("points", points.is_some()), ("seed", seed.is_some())]);
            table.finish();
            HeldOut { points: points.unwrap_or(0), seed: seed.unwrap_or(0) }
        });
        let mismatch = keys.table("mismatch").map(|table| mismatch::read(&table));
        let replicas = mismatch::read_replicas(&keys);
        let swept: Vec<String> = parameters.iter().map(|p| p.column()).collect();
        let measures = measures::read(&keys, &swept);
        let adaptive = adaptive::read_adaptive(&keys, &parameters, &measures);
        let multifidelity = adaptive::read_multifidelity(&keys, &parameters);
        if multifidelity.is_some() && adaptive.is_none() {
            let problem = Problem::new(Kind::SpecKey, "a multi-fidelity sweep needs to know its target and its error");
            keys.problem(problem.accepted("a table [adaptive] beside it"), "multifidelity");
        }
        if adaptive.is_some() {
            for other in ["sampling", "corners", "mismatch", "held_out"] {
                if keys.has(other) {
                    let message = format!("[{other}] chooses points, and so does [adaptive]");
                    keys.problem(Problem::new(Kind::SpecKey, message).accepted("one of the two"), other);
                }
            }
        }
        let limits = match keys.table("limits") {
            Some(table) => {
                let limits = Limits {
                    time_points: table.count("time_points").unwrap_or(DEFAULT_LIMITS.time_points),
                    wall_s: table.quantity("wall", Unit::Second).unwrap_or(DEFAULT_LIMITS.wall_s),
                };
                table.finish();
                limits
            }
            None => DEFAULT_LIMITS,
        };
        if mismatch.is_none()
            && let Some(measure) = measures.iter().find(|m| m.limit.is_some_and(|limit| limit.least_yield.is_some()))
        {
            let message = format!("`{}` asks for a yield, and the sweep draws no dice", measure.column);
            keys.problem(Problem::new(Kind::SpecKey, message).accepted("a table [mismatch] beside it"), "measure");
        }
        let ladder = design::read_ladder(&keys, adaptive.is_some());
        let guard = design::read_guard(&keys);
        keys.finish();
        document.check()?;
        let hash = blake3::hash(document.text().as_bytes()).to_hex()[..32].to_string();
        Ok(SweepSpec {
            base: name.clone(),
            steps: Vec::new(),
            name,
            title,
            tech,
            cell,
            bench,
            parameters,
            sampling,
            corners,
            process_corners,
            held_out,
            mismatch,
            replicas,
            measures,
            adaptive,
            multifidelity,
            limits,
            ladder,
            guard,
            absolute_voltages,
            scales,
            file: path.to_path_buf(),
            hash,
        })
    }

    /// The sweep at these corners only: of the file, or else process corners of the technology. It is a run of its own; its
    /// rows are those of the whole sweep.
    ///
    /// # Errors
    /// [`Kind::SpecKey`] for a name that neither the file nor the technology defines.
    pub fn at_corners(mut self, names: &[String], tech: &Technology) -> Result<SweepSpec> {
        if names.is_empty() {
            return Ok(self);
        }
        let of_tech = |name: &&String| !self.corners.iter().any(|corner| corner.name == **name);
        let added: Vec<Corner> = names
            .iter()
            .filter(of_tech)
            .filter(|name| tech.corners.iter().any(|corner| corner.name == **name))
            .map(|name| Corner { name: name.clone(), process: Some(name.clone()), values: Vec::new() })
            .collect();
        self.corners.extend(added);
        let known: Vec<&str> = self.corners.iter().map(|corner| corner.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            let mut accepted: Vec<&str> = known.clone();
            accepted
                .extend(tech.corners.iter().map(|corner| corner.name.as_str()).filter(|name| !known.contains(name)));
            let accepted = if accepted.is_empty() {
                format!("none: neither the file nor {} has [corners.<name>]", tech.name)
            } else {
                accepted.join(", ")
            };
            let problem = Problem::new(Kind::SpecKey, format!("sweep `{}` has no corner `{name}`", self.name));
            return Err(problem.file(&self.file).key("corners").accepted(accepted).into());
        }
        self.corners.retain(|corner| names.contains(&corner.name));
        let chosen: Vec<&str> = self.corners.iter().map(|corner| corner.name.as_str()).collect();
        self.hash = blake3::hash(format!("{} {}", self.hash, chosen.join(" ")).as_bytes()).to_hex()[..32].to_string();
        self.steps.push(format!("{} {}", variant::CORNERS, names.join(" ")));
        Ok(self)
    }

    /// The sweep on its full grid, whatever `[adaptive]` says. It is a run of its own, so that neither run takes the other's
    /// rows for its own.
    #[must_use]
    pub fn on_grid(mut self) -> SweepSpec {
        if self.adaptive.take().is_some() {
            self.multifidelity = None;
            self.hash = blake3::hash(format!("{} full grid", self.hash).as_bytes()).to_hex()[..32].to_string();
        }
        self
    }
}

const DEFAULT_LIMITS: Limits = Limits { time_points: 100_000, wall_s: 60.0 };

fn required(keys: &Keys<'_>, present: &[(&str, bool)]) {
    for (key, there) in present {
        if !there && !keys.has(key) {
            keys.missing(key, "a whole number from 0 up");
        }
    }
}

fn read_bench(keys: &Keys<'_>, file: &Path, benches: &Path) -> PathBuf {
    let bench = keys.require_string("bench", "a netlist, as in \"read.cir\"");
    let beside = file.parent().unwrap_or(Path::new(".")).join(&bench);
    let common = benches.join(&bench);
    if bench.is_empty() || beside.is_file() {
        return beside;
    }
    if !common.is_file() {
        let problem = Problem::new(Kind::MissingNetlist, format!("netlist \"{bench}\" does not exist"));
        let known = crate::project::stems(benches, "cir").join(".cir, ");
        keys.problem(problem.accepted(format!("a path relative to this file, or one of: {known}.cir")), "bench");
    }
    common
}

#[cfg(test)]
mod tests;
