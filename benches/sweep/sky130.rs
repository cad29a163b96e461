//! The same points on SkyWater's sky130, whose library a cold `ngspice -b` reads anew for every one.

use std::path::Path;
use std::time::Instant;

use gaincell::Result;
use gaincell::tech::Technology;

use crate::points::{Bench, Seen};
use crate::rates::Rates;
use crate::results::Entry;
use crate::{pool, rivals, unequal};

const NAME: &str = "sweep.sky130.vs_ngspice_batch";
const AGAINST: &str = "one `ngspice -b` process per point, default threads, `.lib sky130.lib.spice tt`";
/// Longest time step.
const T_MAX: &str = "2.5n";
const ROUNDS: usize = 6;
/// Points of each cold way per round: every one takes a second.
const COLD: usize = 1;
/// How often the workers go through all points in a round.
const WARM_PASSES: usize = 8;
const GOAL: f64 = 500.0;

/// Measures it; without a ratio where the models are not on this machine or the ways do not do the same work.
///
/// # Errors
/// Those of planning and running the points.
pub fn measure(root: &Path, command: &str) -> Result<Entry> {
    let tech = match Technology::find("sky130", &root.join("netlists/tech")) {
        Ok(tech) => tech,
        Err(error) => {
            let problem = &error.problems()[0];
            let help = problem.help.clone().unwrap_or_default();
            println!("\nsky130: not measured: {}", problem.message);
            return Ok(Entry::missing(NAME, AGAINST, &format!("{}: {help}", problem.message), command));
        }
    };
    let bench = Bench::on(root, &tech, T_MAX)?;
    let pruned = bench.with_pruned_decks();
    let (mut alone, mut both) = (pool(1)?, pool(2)?);
    let engine = bench.run(&mut alone, 1)?.seen;
    let (folder, pruned_folder) = (rivals::Folder::new(&bench)?, rivals::Folder::new(&pruned)?);
    // Every cold point takes a second: the first few stand for all.
    let few = 0..ROUNDS.min(bench.len());
    let of = |seen: Vec<Seen>| (seen.len() == few.len()).then_some(seen);
    let cold = folder.batch(few.clone(), 1)?.seen;
    let cold_pruned = pruned_folder.batch(few.clone(), 1)?.seen;
    println!("\nsky130: step limit {T_MAX}, {} points, {} of them cold", bench.len(), few.len());
    let same = [("ngspice -b, whole library", of(cold)), ("ngspice -b, pruned library", of(cold_pruned))];
    let same: Vec<(&str, Vec<Seen>)> = same.into_iter().map(|(name, seen)| (name, seen.unwrap_or_default())).collect();
    if let Some(reason) = unequal(&engine[few.clone()], &same) {
        println!("not reported: {reason}");
        return Ok(Entry::missing(NAME, AGAINST, &reason, command));
    }
    bench.run(&mut both, 1)?;
    let counts: Vec<u64> = engine.iter().map(|seen| seen.time_points).collect();
    let ends = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let mut rates = Rates::default();
    for round in 0..ROUNDS {
        for way in (0..4).map(|k| (k + round) % 4) {
            let next = (0..COLD).map(|k| (round * COLD + k) % bench.len());
            let began = Instant::now();
            let done = match way {
                0 => folder.batch(next, 1)?.seen.len(),
                1 => pruned_folder.batch(next, 1)?.seen.len(),
                2 => bench.run(&mut alone, WARM_PASSES)?.seen.len() * WARM_PASSES,
                _ => bench.run(&mut both, WARM_PASSES)?.seen.len() * WARM_PASSES,
            };
            rates.add(way, done as f64 / began.elapsed().as_secs_f64());
        }
    }
    rates.print(&[
        "ngspice -b per point, whole library",
        "ngspice -b, library pruned by us",
        "this engine, 1 worker",
        "this engine, 2 workers",
    ]);
    Ok(rates.entry(NAME, AGAINST, 3, 0, GOAL, ends, command))
}
