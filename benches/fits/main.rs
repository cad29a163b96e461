//! `make bench-scipy`: a thousand Monte Carlo refits of a retention curve by this crate and by `scipy.optimize.curve_fit`, one thread
//! each, in turns: same data, start, bounds and tolerance. The optimum must be the same: costs within 1e-9, parameters within a
//! thousandth of their standard error.

#[path = "../common/results.rs"]
// It measures no memory and prints no load.
#[allow(dead_code)]
mod results;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use gaincell::error::{Error, Kind, Problem, Result};
use gaincell::fit::dual::Dual;
use gaincell::fit::engine::{Forward, Loss, Solution, Start, solve};
use gaincell::rng;
use serde_json::{Value, json};

use results::{Entry, ends, median, merge};

const COMMAND: &str = "make bench-scipy";
const NAME: &str = "fit.montecarlo.vs_scipy";
const AGAINST: &str = "scipy.optimize.curve_fit, the faster of with and without our Jacobian";
const SETS: u64 = 1000;
const ROUNDS: usize = 3;
const GOAL: f64 = 20.0;
/// Relative tolerance of both solvers on cost, step and gradient: near what doubles carry.
const TOLERANCE: f64 = 1e-15;
/// V_inf \[V\], V_0 \[V\], tau \[ms\]: the held 6T cell's, about.
const TRUTH: [f64; 3] = [0.34, 0.9, 9.3];
const START: [f64; 3] = [0.45, 0.8, 5.0];
/// Spread of a read voltage \[V\].
const NOISE_V: f64 = 2e-3;

fn main() -> ExitCode {
    results::ended(run())
}

/// V = V_inf + (V_0 - V_inf) exp(-t / tau), less what was measured.
fn fit(t_ms: &[f64], v: &[f64]) -> Result<Solution> {
    let decay = Forward(|p: &[Dual]| {
        let residual = |(t, v): (&f64, &f64)| p[0] + (p[1] - p[0]) * (-(*t / p[2])).exp() - *v;
        t_ms.iter().zip(v).map(residual).collect::<Vec<_>>()
    });
    let [v_inf, v_0, tau] = START;
    let starts = [Start::free("v_inf_v", v_inf, 1.0), Start::free("v_0_v", v_0, 1.0), Start::positive("tau_ms", tau)];
    solve("decay", &decay, &starts, Loss::Square)
}

fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("results/bench.json");
    let python = root.join("target/scipy/bin/python");
    if !python.is_file() {
        println!("scipy is not installed: {COMMAND} does");
        return merge(&path, &[Entry::missing(NAME, AGAINST, "scipy is not installed", COMMAND)]);
    }
    let t_ms: Vec<f64> = (0..48).map(|k| 1e-2 * 40.0f64.powf(f64::from(k) / 18.0)).take_while(|t| *t < 45.0).collect();
    let [v_inf, v_0, tau] = TRUTH;
    let set = |seed: u64| -> Vec<f64> {
        let noisy = |(k, t): (usize, &f64)| {
            let truth = v_inf + (v_0 - v_inf) * (-t / tau).exp();
            truth + NOISE_V * rng::normal(2026, seed, "refit", &k.to_string())
        };
        t_ms.iter().enumerate().map(noisy).collect()
    };
    let sets: Vec<Vec<f64>> = (0..SETS).map(set).collect();
    let folder = tempfile::tempdir().map_err(|source| Error::io("a temporary folder", "make", source))?;
    let (data, result) = (folder.path().join("data.json"), folder.path().join("result.json"));
    let text = json!({"t_ms": t_ms, "sets": sets, "start": START, "tolerance": TOLERANCE}).to_string();
    std::fs::write(&data, text).map_err(|source| Error::io(&data, "write", source))?;
    let script = root.join("benches/fits/refits.py");
    let (mut own_s, mut with_s, mut without_s) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = (Vec::new(), Value::Null);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let solutions = sets.iter().map(|v| fit(&t_ms, v)).collect::<Result<Vec<_>>>()?;
        own_s.push(began.elapsed().as_secs_f64());
        let threads = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"];
        let status = Command::new(&python)
            .arg(&script)
            .args([&data, &result])
            .envs(threads.map(|name| (name, "1")))
            .status()
            .map_err(|source| Error::io(&python, "run", source))?;
        if !status.success() {
            return Err(Error::new(Kind::Internal, format!("{}: {status}", script.display())));
        }
        let text = std::fs::read_to_string(&result).map_err(|source| Error::io(&result, "read", source))?;
        let found: Value =
            serde_json::from_str(&text).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        with_s.push(found["with_jacobian"]["seconds"].as_f64().unwrap_or(f64::NAN));
        without_s.push(found["without_jacobian"]["seconds"].as_f64().unwrap_or(f64::NAN));
        last = (solutions, found);
    }
    same_optimum(&last.0, &last.1["with_jacobian"])?;
    let (own, with, without) = (median(&own_s), median(&with_s), median(&without_s));
    let per_fit = |seconds: f64| 1e6 * seconds / SETS as f64;
    println!(
        "{SETS} refits of {} points, {ROUNDS} rounds, us per fit: {:.1} here, {:.1} scipy with our Jacobian, {:.1} without",
        t_ms.len(),
        per_fit(own),
        per_fit(with),
        per_fit(without)
    );
    let ratio = with.min(without) / own;
    println!("{NAME}: {ratio:.1} (goal {GOAL})");
    let rounds: Vec<f64> =
        own_s.iter().zip(with_s.iter().zip(&without_s)).map(|(own, (a, b))| a.min(*b) / own).collect();
    let (least, most) = ends(&rounds);
    let entry = Entry::new(NAME, SETS as f64 / own, "fits/s", Some(ratio), AGAINST, 1, COMMAND)
        .range(least, most, ROUNDS)
        .goal(&format!(">= {GOAL}"));
    merge(&path, &[entry])
}

/// Both solvers must have found the same minimum of every set.
fn same_optimum(own: &[Solution], scipy: &Value) -> Result<()> {
    let (mut cost, mut parameter) = (0.0f64, 0.0f64);
    for (k, solution) in own.iter().enumerate() {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let theirs = number(&scipy["costs"][k]);
        cost = cost.max((solution.sse / theirs - 1.0).abs());
        for (j, value) in solution.values.iter().enumerate() {
            let (theirs, error) = (number(&scipy["parameters"][k][j]), number(&scipy["errors"][k][j]));
            parameter = parameter.max((value - theirs).abs() / error);
        }
    }
    println!("same optimum: costs within {cost:.1e}, parameters within {parameter:.1e} standard errors");
    if cost <= 1e-9 && parameter <= 1e-3 {
        return Ok(());
    }
    Err(Problem::new(Kind::VerdictFailed, "the two solvers end in different places").into())
}
