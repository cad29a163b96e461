//! Does adaptive, and multi-fidelity, sampling reach the held-out error of the full grid with a fifth of its simulated time?
//!
//! `cargo bench --profile dev --bench sampling -- results/bench.json`. Everything is simulated here, in a folder of its own; the
//! name of a grid's sweep restricts it to that one, `--dev` takes other seeds (for tuning: those of the verdict are for it alone).
//!
//! **What scores.** Points drawn evenly in the parameters' ranges, in five sets of seeds that no sweep, fit or stop rule has;
//! every way of sampling runs with three seeds of its own. Errors are root mean squares as shares of full scale; median and worst
//! are over sets and seeds.
//!
//! **What the full grid's error is.** The grid's points, made use of in four ways: the same kind of surrogate as the adaptive sweep's
//! (the best of three tunings, by the very sets that score), a tensor spline, multilinear interpolation, and the project's own
//! fit of that quantity. The first is what `ratio` compares with; all are printed and written.
//!
//! **What time is.** That of the workers, points that only check included. On a machine with other work it is uneven, so that the
//! share of ngspice's time points stands beside it.

use std::path::Path;

use gaincell::campaign::{LowFidelity, T_MAX_S, adaptive_of, axes, latest_run, run_adaptive, run_sweep};
use gaincell::dataset::Dataset;
use gaincell::fit::nonlinearity::{ChargePoint, FormOptions, ReadCondition, fit_form};
use gaincell::fit::readout::{ConversionPoint, ReadoutOptions, fit_readout};
use gaincell::fit::surrogate::{Options, Sample, Surrogate};
use gaincell::project::Project;
use gaincell::simulate::{PoolOptions, WorkerPool};
use gaincell::spec::{HeldOut, SweepSpec};
use gaincell::spline::Spline;
use gaincell::sweep::{DESIGN, GUARD_INDEX, HELD_OUT, SET_LABEL};
use gaincell::tech::Technology;

type Failure = Box<dyn std::error::Error>;

/// Seeds of the held-out sets, and of the ways of sampling.
const SEEDS: ([u64; 5], [u64; 3]) = ([74_101, 74_102, 74_103, 74_104, 74_105], [501, 502, 503]);
/// The same for tuning.
const DEV_SEEDS: ([u64; 5], [u64; 3]) = ([101, 102, 103, 104, 105], [1, 2, 3]);
/// Points of each held-out set: enough that a knee which takes a hundredth of the range is met.
const HELD_OUT_POINTS: u64 = 200;

/// A full grid, the sets that score, and what the grid's points come to on them.
struct Grid {
    spec: SweepSpec,
    train: Vec<Sample>,
    sets: Vec<Vec<Sample>>,
    full_scale: f64,
    simulated_s: f64,
    time_points: u64,
}

fn rows(dataset: &Dataset, spec: &SweepSpec, target: &str, set: &str) -> Result<Vec<Sample>, Failure> {
    let view = dataset.ok().labelled(SET_LABEL, set);
    let columns = spec.parameters.iter().map(|p| view.numbers(&p.column())).collect::<Result<Vec<_>, _>>()?;
    let values = view.numbers(target)?;
    let at = |k: usize| columns.iter().map(|column| column[k]).collect();
    Ok(values.iter().enumerate().map(|(k, value)| Sample { at: at(k), low: None, value: *value }).collect())
}

impl Grid {
    fn simulate(
        project: &Project,
        name: &str,
        target: &str,
        seeds: &[u64],
        pool: &mut WorkerPool,
    ) -> Result<Grid, Failure> {
        let spec = SweepSpec::read(&project.sweep_file(name)?, &project.benches())?;
        let tech = Technology::find(&spec.tech, &project.technologies())?;
        let (mut train, mut sets, mut simulated_s, mut time_points) = (Vec::new(), Vec::new(), 0.0, 0);
        for seed in seeds {
            let mut spec = spec.clone();
            spec.held_out = Some(HeldOut { points: HELD_OUT_POINTS, seed: *seed });
            spec.hash = format!("{:.24}{seed:08}", spec.hash);
            let (_, dataset) = run_sweep(project, &spec, &tech, "bench", pool, &mut |_| true)?;
            sets.push(rows(&dataset, &spec, target, HELD_OUT)?);
            if train.is_empty() {
                train = rows(&dataset, &spec, target, DESIGN)?;
                for (index, runtime) in Dataset::read_runtimes(&latest_run(project, name, &tech.name)?)? {
                    let row = dataset.rows.iter().find(|row| row.index == index);
                    if row.and_then(|row| row.labels.get(SET_LABEL)).is_some_and(|set| set == DESIGN) {
                        simulated_s += runtime.wall_s;
                        time_points += runtime.time_points;
                    }
                }
            }
        }
        let full_scale = train.iter().map(|s| s.value.abs()).fold(0.0, f64::max);
        Ok(Grid { spec, train, sets, full_scale, simulated_s, time_points })
    }

    /// Held-out error of each set, as a share of full scale.
    fn errors(&self, predict: &dyn Fn(&Sample) -> f64) -> Vec<f64> {
        let rms = |set: &Vec<Sample>| {
            let squares: f64 = set.iter().map(|s| (predict(s) - s.value).powi(2)).sum();
            (squares / set.len() as f64).sqrt() / self.full_scale
        };
        self.sets.iter().map(rms).collect()
    }

    /// The same kind of surrogate on the grid's points: the best of three tunings, each on other parts and from other starts.
    fn surrogate(&self, clip: Option<(f64, f64)>) -> Result<Vec<f64>, Failure> {
        let mut best: Option<Vec<f64>> = None;
        for seed in 1..=3 {
            // A surrogate is tuned on a part of many samples: of a grid, in an order that does not follow the axes.
            let mut keyed: Vec<(u64, &Sample)> = Vec::new();
            for (k, sample) in self.train.iter().enumerate() {
                keyed.push((gaincell::rng::bits(seed, k as u64, "bench", "order"), sample));
            }
            keyed.sort_by_key(|(key, _)| *key);
            let shuffled: Vec<Sample> = keyed.into_iter().map(|(_, sample)| sample.clone()).collect();
            let surrogate = Surrogate::fit(&axes(&self.spec.parameters), &shuffled, &Options { clip, seed }, None)?;
            let errors = self.errors(&|s| surrogate.predict(&s.at, None).mean);
            if best.as_ref().is_none_or(|best| median(&errors) < median(best)) {
                best = Some(errors);
            }
        }
        best.ok_or_else(|| "no surrogate".into())
    }

    /// Interpolation along one axis after the other.
    fn interpolated(&self, along: Along) -> Vec<f64> {
        let values: Vec<&[f64]> = self.spec.parameters.iter().map(|p| p.values.as_slice()).collect();
        let data: Vec<f64> = self.train.iter().map(|s| s.value).collect();
        self.errors(&|s| tensor(&values, &data, &s.at, along))
    }

    /// The project's own fit of that quantity, to `train`.
    fn own_fit(&self, train: &[Sample], vdd_v: f64) -> Result<Vec<f64>, Failure> {
        let test = &self.sets[0];
        if self.spec.name == "readout" {
            let of = |s: &Sample| ConversionPoint { charge_c: s.at[0], width_s: s.value };
            let (train, test): (Vec<_>, Vec<_>) = (train.iter().map(of).collect(), test.iter().map(of).collect());
            let fit = fit_readout(&train, &test, 0.01, &ReadoutOptions::new(T_MAX_S))?;
            return Ok(self.errors(&|s| fit.width_s(s.at[0])));
        }
        // Parameters come in the order of the alphabet.
        let of =
            |s: &Sample| ChargePoint { t_pulse_s: s.at[0], v_bl_v: s.at[1], v_store_v: s.at[2], charge_c: s.value };
        let condition = ReadCondition { t_max_s: T_MAX_S, v_pre_v: vdd_v / 2.0, v_zero_v: vdd_v / 2.0 };
        let options = FormOptions { bit_line_order: 4, ..FormOptions::default() };
        let within = |s: &&Sample| s.at[0] <= T_MAX_S * (1.0 + 1e-9);
        let (train, test): (Vec<_>, Vec<_>) =
            (train.iter().filter(within).map(of).collect(), test.iter().filter(within).map(of).collect());
        let model = fit_form(&train, &test, &condition, 0.01, &options)?.model;
        Ok(self.errors(&|s| model.charge_c(s.at[2], s.at[0], s.at[1])))
    }
}

/// A value between given ones.
type Along = fn(&[f64], &[f64], f64) -> f64;

fn by_spline(x: &[f64], y: &[f64], at: f64) -> f64 {
    Spline::not_a_knot(x.to_vec(), y.to_vec()).map_or(f64::NAN, |spline| spline.value(at))
}

fn by_lines(x: &[f64], y: &[f64], at: f64) -> f64 {
    let k = x[1..x.len() - 1].iter().filter(|x| **x <= at).count();
    y[k] + (y[k + 1] - y[k]) * (at - x[k]) / (x[k + 1] - x[k])
}

/// `data` over the grid of `values`, the last axis fastest.
fn tensor(values: &[&[f64]], data: &[f64], at: &[f64], along: Along) -> f64 {
    let Some((first, rest)) = values.split_first() else { return data[0] };
    let inner = data.chunks(data.len() / first.len()).map(|part| tensor(rest, part, &at[1..], along));
    along(first, &inner.collect::<Vec<f64>>(), at[0])
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    0.5 * (sorted[(n - 1) / 2] + sorted[n / 2])
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// What one way of sampling came to.
struct Found<'a> {
    way: &'a str,
    /// Of the seeds, the greatest share of the grid's simulated time, and of its time points.
    time: f64,
    steps: f64,
    /// By seed, then by set.
    errors: Vec<f64>,
    /// By set, of the full grid.
    grid: &'a [(&'static str, Vec<f64>)],
}

impl Found<'_> {
    /// Median error over that of the surrogate on the full grid; and the greatest such ratio of one seed on one set.
    fn ratios(&self) -> (f64, f64) {
        let surrogate = &self.grid[0].1;
        let each: Vec<f64> = self.errors.iter().zip(surrogate.iter().cycle()).map(|(e, grid)| e / grid).collect();
        (median(&self.errors) / median(surrogate), worst(&each))
    }
}

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let project = Project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), Some(folder.path()))?;
    let mut pool = WorkerPool::new(PoolOptions::new(env!("CARGO_BIN_EXE_gaincell")))?;
    let given: Vec<String> = std::env::args().skip(1).collect();
    let (sets, seeds) = if given.iter().any(|a| a == "--dev") { DEV_SEEDS } else { SEEDS };
    for (name, ways) in [
        ("nonlinearity", ["nonlinearity_adaptive", "nonlinearity_multifidelity"]),
        ("readout", ["readout_adaptive", "readout_multifidelity"]),
    ] {
        let named = given.iter().any(|a| a == "nonlinearity" || a == "readout");
        if named && !given.iter().any(|a| a == name) {
            continue;
        }
        let first = SweepSpec::read(&project.sweep_file(ways[0])?, &project.benches())?;
        let (target, clip) = (adaptive_of(&first)?.target.clone(), adaptive_of(&first)?.clip);
        let tech = Technology::find(&first.tech, &project.technologies())?;
        let grid = Grid::simulate(&project, name, &target, &sets, &mut pool)?;
        let of_grid = [
            ("surrogate", grid.surrogate(clip)?),
            ("tensor spline", grid.interpolated(by_spline)),
            ("multilinear", grid.interpolated(by_lines)),
            ("own fit", grid.own_fit(&grid.train, tech.vdd_v)?),
        ];
        println!(
            "{name}: full grid, {} points; held-out error, median and worst of {} sets",
            grid.train.len(),
            sets.len()
        );
        for (how, errors) in &of_grid {
            println!("    {how:14} {:.2e} {:.2e}", median(errors), worst(errors));
        }
        let mut found = Vec::new();
        for way in ways {
            let mut one = Found { way, time: 0.0, steps: 0.0, errors: Vec::new(), grid: &of_grid };
            for seed in seeds {
                sample(&project, &grid, &tech, seed, &mut pool, &mut one)?;
            }
            let (ratio, worst_ratio) = one.ratios();
            println!(
                "{way}: at most {:.1} % of the grid's simulated time, {:.1} % of its time points\n    error, median and worst \
                 {:.2e} {:.2e}; over the surrogate's on the full grid {ratio:.2}, at worst {worst_ratio:.2}",
                100.0 * one.time,
                100.0 * one.steps,
                median(&one.errors),
                worst(&one.errors)
            );
            found.push(one);
        }
        if let Some(path) = given.iter().find(|argument| argument.ends_with(".json")) {
            merge(Path::new(path), name, &found)?;
        }
    }
    Ok(())
}

/// Runs one way of sampling with one seed.
fn sample(
    project: &Project,
    grid: &Grid,
    tech: &Technology,
    seed: u64,
    pool: &mut WorkerPool,
    found: &mut Found<'_>,
) -> Result<(), Failure> {
    let mut spec = SweepSpec::read(&project.sweep_file(found.way)?, &project.benches())?;
    spec.hash = format!("{:.24}{seed:08}", spec.hash);
    let mut adaptive = adaptive_of(&spec)?.clone();
    adaptive.seed = seed;
    spec.adaptive = Some(adaptive.clone());
    let run = run_adaptive(project, &spec, &adaptive, tech, "bench", pool, &mut |_| true)?;
    let trace = &run.refined.trace;
    let low = |s: &Sample| run.low.as_ref().map(|low: &LowFidelity| low.value(&s.at));
    let predict = |s: &Sample| run.refined.surrogate.predict(&s.at, low(s)).mean;
    let errors = grid.errors(&predict);
    let of_run = |name: &str| -> Result<u64, Failure> {
        let runtimes = Dataset::read_runtimes(&latest_run(project, name, &tech.name)?)?;
        let own = runtimes.iter().filter(|(index, _)| **index < GUARD_INDEX);
        Ok(own.map(|(_, r)| r.time_points).sum())
    };
    let low_steps = spec.multifidelity.as_ref().map_or(Ok(0), |low| of_run(&low.sweep))?;
    let steps = (of_run(found.way)? + low_steps) as f64 / grid.time_points as f64;
    // The project's own fit from the surrogate's values on the grid's points.
    let dense: Vec<Sample> = grid.train.iter().map(|s| Sample { value: predict(s), ..s.clone() }).collect();
    let through = grid.own_fit(&dense, tech.vdd_v)?;
    let Some(last) = trace.rounds.last() else { return Ok(()) };
    let time = (last.simulated_s + trace.low_simulated_s) / grid.simulated_s;
    println!(
        "  {} seed {seed}: {} points (and {} to check), {:?}, {:.1} % of the time points; error {:.2e} {:.2e}, own fit through it \
         {:.2e}; estimated: left out {:.2e}, apart {}, knees {:.2e}; static shape alone {}",
        found.way,
        last.points,
        adaptive.validation,
        trace.stopped,
        100.0 * steps,
        median(&errors),
        worst(&errors),
        median(&through),
        last.left_out_error,
        shown(last.validation_error),
        last.knee_error,
        shown(trace.low_error),
    );
    found.time = found.time.max(time);
    found.steps = found.steps.max(steps);
    found.errors.extend(errors);
    Ok(())
}

fn shown(error: Option<f64>) -> String {
    error.map_or("-".to_string(), |error| format!("{error:.2e}"))
}

/// Puts this grid's rows into the list at `path`, in the place of those of the same name; the rows over both sweeps are the worse of
/// theirs.
fn merge(path: &Path, grid: &str, found: &[Found<'_>]) -> Result<(), Failure> {
    let mut all: Vec<serde_json::Value> = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Vec::new(),
    };
    let against = "the full grid's simulated time; ratio: median held-out error over that of the same kind of surrogate on the \
                   full grid";
    let command = "cargo bench --profile dev --bench sampling -- results/bench.json";
    for one in found {
        let kind = if one.way.ends_with("multifidelity") { "multifidelity" } else { "adaptive" };
        let common = format!("sampling.{kind}.simulated_time_fraction");
        let name = format!("{common}.{grid}");
        let (ratio, worst_ratio) = one.ratios();
        let of_grid: serde_json::Map<String, serde_json::Value> = one
            .grid
            .iter()
            .map(|(how, errors)| {
                (how.replace(' ', "_"), serde_json::json!({ "median": median(errors), "worst": worst(errors) }))
            })
            .collect();
        all.retain(|row| row["name"] != name.as_str() && row["name"] != common.as_str());
        all.push(serde_json::json!({
            "name": name, "value": one.time, "unit": "1", "ratio": ratio, "worst_ratio": worst_ratio,
            "time_points_fraction": one.steps, "error_median": median(&one.errors), "error_worst": worst(&one.errors),
            "full_grid_error": of_grid, "against": against, "threads": 1, "command": command,
        }));
        let parts: Vec<&serde_json::Value> = all
            .iter()
            .filter(|row| row["name"].as_str().is_some_and(|n| n.starts_with(&format!("{common}."))))
            .collect();
        let most = |key: &str| worst(&parts.iter().filter_map(|row| row[key].as_f64()).collect::<Vec<f64>>());
        let both = serde_json::json!({
            "name": common, "value": most("value"), "unit": "1", "ratio": most("ratio"),
            "worst_ratio": most("worst_ratio"), "time_points_fraction": most("time_points_fraction"),
            "against": against, "threads": 1, "command": command,
        });
        all.push(both);
    }
    std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
    Ok(())
}
