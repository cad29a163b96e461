//! Does adaptive, and multi-fidelity, sampling reach the held-out error of the full grid with a fifth of its simulated time?
//!
//! `cargo bench --profile dev --bench sampling -- results/bench.json`. Everything is simulated here, in a folder of its own; the
//! name of a grid's sweep restricts it to that one. The held-out error is set against two that the full grid reaches: that of
//! the project's own fit, and that of the same kind of surrogate. The held-out rows are those of the grid's sweep; nothing is
//! trained on them. Time is that of the workers, points that only check included; on a machine with other work it is uneven,
//! so that the share of ngspice's time points stands beside it.

use std::path::Path;

use gaincell::campaign::{LowFidelity, T_MAX_S, adaptive_of, axes, latest_run, run_adaptive, run_sweep};
use gaincell::dataset::Dataset;
use gaincell::fit::nonlinearity::{ChargePoint, FormOptions, ReadCondition, fit_form};
use gaincell::fit::readout::{ConversionPoint, ReadoutOptions, fit_readout};
use gaincell::fit::surrogate::{Options, Sample, Surrogate};
use gaincell::project::Project;
use gaincell::simulate::{PoolOptions, WorkerPool};
use gaincell::spec::SweepSpec;
use gaincell::sweep::{DESIGN, GUARD_INDEX, HELD_OUT, SET_LABEL};
use gaincell::tech::Technology;

type Failure = Box<dyn std::error::Error>;

fn rows(dataset: &Dataset, spec: &SweepSpec, target: &str, set: &str) -> Result<Vec<Sample>, Failure> {
    let view = dataset.ok().labelled(SET_LABEL, set);
    let columns = spec.parameters.iter().map(|p| view.numbers(&p.column())).collect::<Result<Vec<_>, _>>()?;
    let values = view.numbers(target)?;
    let at = |k: usize| columns.iter().map(|column| column[k]).collect();
    Ok(values.iter().enumerate().map(|(k, value)| Sample { at: at(k), low: None, value: *value }).collect())
}

fn rms(test: &[Sample], full_scale: f64, predict: impl Fn(&Sample) -> f64) -> f64 {
    let squares: f64 = test.iter().map(|s| (predict(s) - s.value).powi(2)).sum();
    (squares / test.len() as f64).sqrt() / full_scale
}

/// Held-out error, as a share of full scale, of the project's own fit of that quantity.
fn own_fit(sweep: &str, train: &[Sample], test: &[Sample], full_scale: f64, vdd_v: f64) -> Result<f64, Failure> {
    if sweep == "readout" {
        let of = |s: &Sample| ConversionPoint { charge_c: s.at[0], width_s: s.value };
        let (train_points, test_points): (Vec<_>, Vec<_>) =
            (train.iter().map(of).collect(), test.iter().map(of).collect());
        let fit = fit_readout(&train_points, &test_points, 0.01, &ReadoutOptions::new(T_MAX_S))?;
        return Ok(rms(test, full_scale, |s| fit.width_s(s.at[0])));
    }
    // Parameters come in the order of the alphabet.
    let of = |s: &Sample| ChargePoint { t_pulse_s: s.at[0], v_bl_v: s.at[1], v_store_v: s.at[2], charge_c: s.value };
    let condition = ReadCondition { t_max_s: T_MAX_S, v_pre_v: vdd_v / 2.0, v_zero_v: vdd_v / 2.0 };
    let options = FormOptions { second_order_bit_line: true, ..FormOptions::default() };
    let within = |s: &&Sample| s.at[0] <= T_MAX_S * (1.0 + 1e-9);
    let (train_points, test_points): (Vec<_>, Vec<_>) =
        (train.iter().filter(within).map(of).collect(), test.iter().filter(within).map(of).collect());
    let model = fit_form(&train_points, &test_points, &condition, 0.01, &options)?.model;
    Ok(rms(test, full_scale, |s| model.charge_c(s.at[2], s.at[0], s.at[1])))
}

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let project = Project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), Some(folder.path()))?;
    let mut pool = WorkerPool::new(PoolOptions::new(env!("CARGO_BIN_EXE_gaincell")))?;
    let spec_of = |name: &str| SweepSpec::read(&project.sweep_file(name)?, &project.benches());
    let mut found = Vec::new();
    for (grid, ways) in [
        ("nonlinearity", &["nonlinearity_adaptive", "nonlinearity_multifidelity"][..]),
        ("readout", &["readout_adaptive"][..]),
    ] {
        let named: Vec<String> = std::env::args().skip(1).filter(|a| a == "nonlinearity" || a == "readout").collect();
        if !named.is_empty() && !named.iter().any(|name| name == grid) {
            continue;
        }
        let spec = spec_of(grid)?;
        let tech = Technology::find(&spec.tech, &project.technologies())?;
        let (_, dataset) = run_sweep(&project, &spec, &tech, "bench", &mut pool, &mut |_| true)?;
        let runtimes = Dataset::read_runtimes(&latest_run(&project, grid, &tech.name)?)?;
        let is_design = |index: u64| {
            let row = dataset.rows.iter().find(|row| row.index == index);
            row.is_some_and(|row| row.labels.get(SET_LABEL).is_some_and(|set| set == DESIGN))
        };
        let grid_s: f64 = runtimes.iter().filter(|(index, _)| is_design(**index)).map(|(_, r)| r.wall_s).sum();
        let grid_steps: u64 = runtimes.iter().filter(|(index, _)| is_design(**index)).map(|(_, r)| r.time_points).sum();
        let target = &adaptive_of(&spec_of(ways[0])?)?.target.clone();
        let (train, test) = (rows(&dataset, &spec, target, DESIGN)?, rows(&dataset, &spec, target, HELD_OUT)?);
        // A surrogate is tuned on a part of many samples: of a grid, in an order that does not follow the axes.
        let mut shuffled: Vec<(u64, Sample)> = Vec::new();
        for (k, sample) in train.iter().enumerate() {
            shuffled.push((gaincell::rng::bits(1, k as u64, "bench", "order"), sample.clone()));
        }
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<Sample> = shuffled.into_iter().map(|(_, sample)| sample).collect();
        let full_scale = train.iter().map(|s| s.value.abs()).fold(0.0, f64::max);
        let own = own_fit(grid, &train, &test, full_scale, tech.vdd_v)?;
        for way in ways {
            let spec = spec_of(way)?;
            let adaptive = adaptive_of(&spec)?;
            let options = Options { clip: adaptive.clip, seed: adaptive.seed };
            let on_grid = Surrogate::fit(&axes(&spec.parameters), &shuffled, &options, None)?;
            let kriging = rms(&test, full_scale, |s| on_grid.predict(&s.at, None).mean);
            let run = run_adaptive(&project, &spec, adaptive, &tech, "bench", &mut pool, &mut |_| true)?;
            let trace = &run.refined.trace;
            let Some(last) = trace.rounds.last() else { continue };
            let low = |s: &Sample| run.low.as_ref().map(|low: &LowFidelity| low.value(&s.at));
            let error = rms(&test, full_scale, |s| run.refined.surrogate.predict(&s.at, low(s)).mean);
            let low_alone = run.low.as_ref().map(|_| rms(&test, full_scale, |s| low(s).unwrap_or(0.0)));
            // The project's own fit from the surrogate's values on the grid's points.
            let dense: Vec<Sample> = train
                .iter()
                .map(|s| Sample { value: run.refined.surrogate.predict(&s.at, low(s)).mean, ..s.clone() })
                .collect();
            let through = own_fit(grid, &dense, &test, full_scale, tech.vdd_v)?;
            let of_run = |name: &str| -> Result<u64, Failure> {
                let runtimes = Dataset::read_runtimes(&latest_run(&project, name, &tech.name)?)?;
                let own = runtimes.iter().filter(|(index, _)| **index < GUARD_INDEX);
                Ok(own.map(|(_, r)| r.time_points).sum())
            };
            let low_steps = spec.multifidelity.as_ref().map_or(Ok(0), |low| of_run(&low.sweep))?;
            let steps = (of_run(way)? + low_steps) as f64 / grid_steps as f64;
            let fraction = (last.simulated_s + trace.low_simulated_s) / grid_s;
            println!(
                "{way}: {} points (and {} to check), {:.1} % of the grid's simulated time, {:.1} % of its time \
                 points, {:?}\n  held-out error \
                 {error:.2e} of full scale; full grid: own fit {own:.2e}, surrogate {kriging:.2e}\n  estimated: left out \
                 {:.2e}, on points kept apart {:.2e}\n  own fit through the surrogate {through:.2e}; static shape alone \
                 {low_alone:?}",
                last.points,
                adaptive.validation,
                100.0 * fraction,
                100.0 * steps,
                trace.stopped,
                last.left_out_error,
                last.validation_error,
            );
            for round in &trace.rounds {
                println!(
                    "    {:4} points  left out {:.2e}  apart {:.2e}",
                    round.points, round.left_out_error, round.validation_error
                );
            }
            found.push(Found { way, fraction, steps, over_fit: error / own, over_surrogate: error / kriging });
        }
    }
    if let Some(path) = std::env::args().skip(1).find(|argument| argument.ends_with(".json")) {
        merge(Path::new(&path), &found)?;
    }
    Ok(())
}

/// What one way of sampling came to.
struct Found<'a> {
    way: &'a str,
    fraction: f64,
    steps: f64,
    over_fit: f64,
    over_surrogate: f64,
}

/// Puts the rows into the list at `path`, in the place of those of the same name.
fn merge(path: &Path, found: &[Found<'_>]) -> Result<(), Failure> {
    let mut all: Vec<serde_json::Value> = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Vec::new(),
    };
    for kind in ["adaptive", "multifidelity"] {
        let of: Vec<_> = found.iter().filter(|found| found.way.ends_with(kind)).collect();
        let name = format!("sampling.{kind}.simulated_time_fraction");
        all.retain(|row| row["name"] != name.as_str());
        let value: serde_json::Map<_, _> = of
            .iter()
            .map(|found| {
                let one = serde_json::json!({
                    "simulated_time_fraction": found.fraction,
                    "time_points_fraction": found.steps,
                    "error_over_full_grid_fit": found.over_fit,
                    "error_over_full_grid_surrogate": found.over_surrogate,
                });
                (found.way.to_string(), one)
            })
            .collect();
        let worst = of.iter().map(|found| found.fraction).fold(0.0, f64::max);
        all.push(serde_json::json!({
            "name": name, "value": value, "unit": "1", "ratio": worst,
            "against": "the full grid's simulated time, at the error beside it over the full grid's",
            "threads": 1, "command": "cargo bench --profile dev --bench sampling -- results/bench.json",
        }));
    }
    std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
    Ok(())
}
