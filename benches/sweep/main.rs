//! `make bench`: how fast a sweep runs here, against ngspice as people run it, on the 6T read bench.
//!
//! All ways to run the same points take turns within one program, so that whatever else the machine does meets all of them;
//! a round is some tenths of a second per way, the figures are medians over the rounds. Every way gets the same circuit, options, step
//! limit and points; before anything is timed each must give the same number of time points, and the charges are compared. If
//! the counts differ, nothing is reported.
//!
//! ```text
//! batch        one `ngspice -b` process per point, one after the other, with its default threads and start-up
//! two batches  two such processes at a time, one thread each
//! control      one `ngspice -b` whose .control section alters, runs and writes point after point, one thread
//! engine 1, 2  worker processes of this library, warm, one and two at a time
//! sky130       the first and the engine on SkyWater's models, where they are on this machine
//! behavioural  columns of a lookup table's subcircuits against columns of transistors, where a table is there
//! floor        physical cores over the time that alters, analysis and measurements take in the only worker at work
//! ```

mod behavioural;
mod eta;
mod points;
mod rates;
#[path = "../common/results.rs"]
mod results;
mod rivals;
mod sky130;

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use gaincell::Result;
use gaincell::simulate::{PoolOptions, WorkerPool, physical_cores};

use points::{Bench, Seen};
use rates::Rates;
use results::Entry;

const COMMAND: &str = "make bench";
/// Rounds, over which every way sees every point once per pass.
const ROUNDS: usize = 12;
/// Points per round of those that start a process for each, which take about as long as what the others do.
const COLD: usize = 24;
/// How often the others go through all points in a round.
const WARM_PASSES: usize = 4;

/// A step limit, and what is claimed of it.
struct Setting {
    name: &'static str,
    t_max: &'static str,
    most_time_points: u64,
    goal: f64,
}

const SETTINGS: [Setting; 2] = [
    Setting { name: "read6t", t_max: "2.5n", most_time_points: 80, goal: 15.0 },
    Setting { name: "read6t_fine", t_max: "0.07n", most_time_points: 330, goal: 8.0 },
];

fn main() -> ExitCode {
    results::ended(run())
}

fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    println!("{} physical cores; load before: {}", physical_cores(), results::load());
    let mut entries = Vec::new();
    // `cargo bench --bench sweep -- sky130` measures one part; cargo itself adds options.
    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| word == name);
    for setting in SETTINGS.iter().filter(|setting| wanted(setting.name)) {
        entries.extend(compare(root, setting)?);
    }
    if wanted("eta") {
        entries.push(eta::measure(root, COMMAND)?);
    }
    if wanted("sky130") {
        entries.push(sky130::measure(root, COMMAND)?);
    }
    if wanted("behavioural") {
        entries.extend(behavioural::measure(root, COMMAND)?);
    }
    let path = root.join("results/bench.json");
    results::merge(&path, &entries)?;
    println!("\nload after: {}; merged into {}", results::load(), path.display());
    Ok(())
}

fn pool(workers: usize) -> Result<WorkerPool> {
    let program = env!("CARGO_BIN_EXE_gaincell");
    WorkerPool::new(PoolOptions { workers: NonZeroUsize::new(workers), ..PoolOptions::new(program) })
}

/// Measures one setting; entries without a ratio where the ways do not do the same work.
fn compare(root: &Path, setting: &Setting) -> Result<Vec<Entry>> {
    let mut bench = Bench::new(root, setting.t_max)?;
    let (mut alone, mut both) = (pool(1)?, pool(2)?);
    let first = bench.run(&mut alone, 1)?.seen;
    let all = bench.len();
    if bench.at_most(setting.most_time_points, &first) < all / 2 {
        let reason = format!("most points take more than {} time points", setting.most_time_points);
        return Ok(names(setting).map(|(name, against)| Entry::missing(&name, against, &reason, COMMAND)).collect());
    }
    let folder = rivals::Folder::new(&bench)?;
    let engine: Vec<Seen> = bench.run(&mut alone, 1)?.seen;
    let seen = [
        ("two workers", bench.run(&mut both, 1)?.seen),
        ("ngspice -b", folder.batch(0..bench.len(), 1)?.seen),
        ("two of one thread", folder.batch(0..bench.len(), 2)?.seen),
        ("control loop", folder.control(1)?.seen),
    ];
    let counts: Vec<u64> = engine.iter().map(|seen| seen.time_points).collect();
    let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    println!(
        "\n{}: step limit {}, {} points of {least} to {most} time points ({} that take more are left out)",
        setting.name,
        setting.t_max,
        bench.len(),
        all - bench.len()
    );
    if let Some(reason) = unequal(&engine, &seen) {
        println!("not reported: {reason}");
        return Ok(names(setting).map(|(name, against)| Entry::missing(&name, against, &reason, COMMAND)).collect());
    }
    let mut rates = Rates::default();
    let mut analysis_s = Vec::new();
    for round in 0..ROUNDS {
        // Each round starts with another way, so that none always follows the same one.
        for way in (0..5).map(|k| (k + round) % 5) {
            let cold = (0..COLD).map(|k| (round * COLD + k) % bench.len());
            let began = Instant::now();
            let done = match way {
                0 => folder.batch(cold, 1)?.seen.len(),
                1 => folder.batch(cold, 2)?.seen.len(),
                2 => folder.control(WARM_PASSES)?.seen.len() * WARM_PASSES,
                3 => {
                    let ran = bench.run(&mut alone, WARM_PASSES)?;
                    analysis_s.push(ran.wall_s / (bench.len() * WARM_PASSES) as f64);
                    bench.len() * WARM_PASSES
                }
                _ => {
                    bench.run(&mut both, WARM_PASSES)?;
                    bench.len() * WARM_PASSES
                }
            };
            rates.add(way, done as f64 / began.elapsed().as_secs_f64());
        }
    }
    let floor: Vec<f64> = analysis_s.iter().map(|s| physical_cores() as f64 / s).collect();
    floor.iter().for_each(|rate| rates.add(5, *rate));
    rates.print(&[
        "ngspice -b per point, as it comes",
        "two ngspice -b, one thread each",
        "one ngspice -b, .control loop",
        "this engine, 1 worker",
        "this engine, 2 workers",
        "floor: cores / analysis time",
    ]);
    let memory = results::peak_memory(&both.process_ids());
    println!("peak memory: {:.0} MB per worker, {:.0} MB here", memory, results::peak_memory(&[std::process::id()]));
    let list = names(setting).zip([(0, setting.goal), (1, 0.0), (2, 0.0), (5, 0.95)]);
    Ok(list
        .map(|((name, against), (way, goal))| rates.entry(&name, against, 4, way, goal, (least, most), COMMAND))
        .collect())
}

/// Names of the figures of a setting, and what they are against.
fn names(setting: &Setting) -> impl Iterator<Item = (String, &'static str)> {
    let name = setting.name;
    [
        ("vs_ngspice_batch", "one `ngspice -b` process per point, default threads"),
        ("vs_two_ngspice_batch", "two concurrent `ngspice -b` processes, one thread each"),
        ("vs_control_loop", "one `ngspice -b` process with a .control loop, one thread"),
        ("fraction_of_floor", "physical cores / analysis time of one worker running alone"),
    ]
    .into_iter()
    .map(move |(what, against)| (format!("sweep.{name}.{what}"), against))
}

/// Why the ways do not do the same work; prints how far their charges are apart.
fn unequal(engine: &[Seen], others: &[(&str, Vec<Seen>)]) -> Option<String> {
    for (name, seen) in others {
        if seen.len() != engine.len() {
            return Some(format!("{name} answered {} of {} points", seen.len(), engine.len()));
        }
        let mut worst = 0.0f64;
        for (k, (a, b)) in engine.iter().zip(seen).enumerate() {
            if a.time_points != b.time_points {
                return Some(format!(
                    "{name} takes {} time points at point {k}, the engine {}",
                    b.time_points, a.time_points
                ));
            }
            worst = worst.max((b.charge_c - a.charge_c).abs() / a.charge_c.abs().max(f64::MIN_POSITIVE));
        }
        let equal = engine.iter().zip(seen).filter(|(a, b)| a.charge_c.to_bits() == b.charge_c.to_bits()).count();
        println!("  {name}: {equal} of {} charges equal bit for bit, the others within {worst:.1e}", engine.len());
    }
    None
}
