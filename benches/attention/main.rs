//! `make bench-torch`: attention on the emulated array against ideal attention in PyTorch, on the same machine and threads.
//!
//! 12 heads, d = 64, window 1,024, levels 16 / 8 / 32, the level `table` without variability and with every deterministic
//! effect; PyTorch's `scaled_dot_product_attention` of the same shapes in single precision, causal. Both take turns within
//! one program; figures are medians over the rounds. `cargo bench --bench attention -- 100000` decodes so many tokens and
//! shows that neither time per token nor memory grows.

#[path = "../common/results.rs"]
mod results;
mod torch;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use gaincell::Result;
use results::{Entry, ends, median};
use torch::Torch;
use workload::{Cells, D, HEADS, TOKENS, Workload, nearness};

const COMMAND: &str = "make bench-torch";
const ROUNDS: usize = 15;
/// Tokens that one round decodes.
const DECODED: usize = 40;

fn main() -> ExitCode {
    results::ended(run())
}

fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut workload = Workload::new(root)?;
    let long = std::env::args().skip(1).find_map(|word| word.parse::<usize>().ok());
    if let Some(tokens) = long {
        return workload.decode_long(tokens);
    }
    println!("load before: {}", results::load());
    let mut entries = nearness(root, COMMAND)?;
    let mut torch = Torch::start(root, [HEADS, TOKENS, D]);
    match &torch {
        Ok(torch) => println!("against {}", torch.version),
        Err(reason) => println!("PyTorch is left out: {reason}"),
    }
    for threads in [1, 2] {
        entries.extend(compare(&mut workload, &mut torch, threads)?);
    }
    entries.push(workload.fraction_of_peak(COMMAND));
    let path = root.join("results/bench.json");
    results::merge(&path, &entries)?;
    println!("load after: {}; merged into {}", results::load(), path.display());
    Ok(())
}

/// Both sides at so many threads. The names of the performance notes are those of one thread.
fn compare(
    workload: &mut Workload,
    torch: &mut std::result::Result<Torch, String>,
    threads: usize,
) -> Result<Vec<Entry>> {
    let suffix = if threads == 1 { String::new() } else { format!(".threads{threads}") };
    let mut times: [Vec<f64>; 6] = Default::default();
    let mut failed = None;
    if let Ok(torch) = torch {
        failed = torch.ask(&format!("threads {threads}")).err();
    }
    for round in 0..ROUNDS + 2 {
        let mut ours = [0.0; 4];
        for (k, cells) in [Cells::Nominal, Cells::Noisy].into_iter().enumerate() {
            ours[k] = workload.prefill(cells, threads);
            ours[2 + k] = workload.decode(cells, threads, DECODED)?;
        }
        let theirs = torch
            .as_mut()
            .ok()
            .map(|torch| Ok::<_, String>([torch.ask("prefill")?, torch.ask(&format!("decode {DECODED}"))?]));
        // Two rounds to warm up.
        if round < 2 {
            continue;
        }
        times.iter_mut().zip(ours).for_each(|(times, time)| times.push(time));
        match theirs {
            Some(Ok(theirs)) => times[4..].iter_mut().zip(theirs).for_each(|(times, time)| times.push(time)),
            Some(Err(reason)) => failed = Some(reason),
            None => {}
        }
    }
    let reason = torch.as_ref().err().cloned().or(failed);
    let sdpa = "time of torch's scaled_dot_product_attention, f32, causal, the same shapes";
    let nominal = "time of the same array without mismatch, leakage spread and noise";
    let mut entries = Vec::new();
    for (what, way, factor, unit) in [("prefill", 0, 1e3, "ms"), ("decode", 2, 1e6, "us per token")] {
        for (name, way, other, against, goal, reason) in [
            (format!("emulate.{what}.vs_sdpa{suffix}"), way, 4 + way / 2, sdpa, 1.0, reason.as_ref()),
            (format!("emulate.{what}.noisy_vs_nominal{suffix}"), way + 1, way, nominal, 3.0, None),
        ] {
            let (ours, theirs) = (median(&times[way]), median(&times[other]));
            if let Some(reason) = reason {
                println!("{name}: {:.1} {unit}; {reason}", ours * factor);
                entries.push(Entry::missing(&name, against, reason, COMMAND));
                continue;
            }
            let rounds: Vec<f64> = times[way].iter().zip(&times[other]).map(|(a, b)| a / b).collect();
            let (least, most) = ends(&rounds);
            let ratio = ours / theirs;
            println!(
                "{name}: {:.1} {unit} against {:.1}: {ratio:.2} ({least:.2} to {most:.2} in single rounds; goal {goal})",
                ours * factor,
                theirs * factor
            );
            entries.push(
                Entry::new(&name, ours * factor, unit, Some(ratio), against, threads, COMMAND)
                    .range(least, most, rounds.len())
                    .goal(&format!("<= {goal}")),
            );
        }
    }
    Ok(entries)
}
