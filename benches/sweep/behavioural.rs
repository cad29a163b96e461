//! Columns of a lookup table's behavioural subcircuits against columns of transistors, both warm in ngspice, same options.

use std::path::Path;

use gaincell::Result;
use gaincell::lut::Table;
use gaincell::tech::Technology;
use gaincell::validate::{BehaviouralRow, Size, Spice, behavioural};

use crate::pool;
use crate::results::{Entry, ends, median};

const NAME: &str = "behavioural.column.vs_transistors";
const AGAINST: &str =
    "the same column of 64 cells and its converter, of transistors, both in a warm ngspice at the same options";
const ROUNDS: u64 = 3;
const GOAL: &str = ">= 8, better 20";

/// Measures it; without a ratio where no table of the embedded technology is there.
///
/// # Errors
/// Those of the simulator.
pub fn measure(root: &Path, command: &str) -> Result<Vec<Entry>> {
    let folder = root.join("results/luts/generic28-gain_cell_6t");
    let table = match Table::read_json(&folder) {
        Ok(table) => table,
        Err(error) => {
            let reason = format!("{}: run `make characterize` first", error.problems()[0].message);
            println!("\nbehavioural column: not measured: {reason}");
            return Ok(vec![Entry::missing(NAME, AGAINST, &reason, command)]);
        }
    };
    let tech = Technology::find("generic28", &root.join("netlists/tech"))?;
    let size = Size { rows: 64, k_columns: 8, v_columns: 4, kv_levels: 8, q_levels: 16, window: 1024 };
    let mut worker = pool(1)?;
    let mut rounds: Vec<[BehaviouralRow; 2]> = Vec::new();
    for seed in 1..=ROUNDS {
        // Every round has a store of its own: nothing is served from an earlier one.
        let dir =
            tempfile::tempdir().map_err(|source| gaincell::error::Error::io("a temporary folder", "make", source))?;
        let store = dir.path().join("store");
        let mut go_on = |_: usize, _: usize| true;
        let mut spice = Spice::new(&mut worker, &store, &tech, &mut go_on);
        rounds.push(behavioural(&root.join("netlists/benches"), &tech, &table, size, seed, &mut spice)?);
    }
    println!("\nbehavioural columns of 64 cells, {ROUNDS} rounds of 8 K and 4 V columns");
    let mut entries = Vec::new();
    for (at, array) in ["K", "V"].into_iter().enumerate() {
        let rows: Vec<&BehaviouralRow> = rounds.iter().map(|round| &round[at]).collect();
        let ratios: Vec<f64> = rows.iter().map(|row| row.wall_s[0] / row.wall_s[1]).collect();
        let fast_s = median(&rows.iter().map(|row| row.wall_s[1]).collect::<Vec<_>>());
        let worst = rows.iter().fold(0.0, |worst: f64, row| worst.max(row.worst));
        let (ratio, text) = (median(&ratios), array.to_lowercase());
        println!(
            "  {array}: {:.1} ms, {ratio:.1} times faster, worst column off by {:.3} % of full scale",
            1e3 * fast_s,
            100.0 * worst
        );
        let (least, most) = ends(&ratios);
        let entry = |name: &str| {
            Entry::new(name, fast_s, "s", Some(ratio), AGAINST, 1, command).range(least, most, rows.len()).goal(GOAL)
        };
        entries.push((ratio, entry(&format!("{NAME}.{text}")), entry(NAME)));
    }
    // The slower of the two stands for the whole.
    entries.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut found = Vec::new();
    for (k, (_, own, whole)) in entries.into_iter().enumerate() {
        found.push(own);
        if k == 0 {
            found.push(whole);
        }
    }
    Ok(found)
}
