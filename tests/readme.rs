//! The example of the README, as it stands there.

use gaincell::emulate::{Die, Extent, Head, HeadShape, Options, TableModel};
use gaincell::lut::{Table, Tally};

/// Attention of the last token to a window of 128 tokens, d = 64, on mismatch die 7: shape (d), each a sum over two tiles of
/// signed pulses in [-1, 1].
fn attend(table: &Table, tokens: &[[Vec<f64>; 3]]) -> gaincell::Result<Vec<f64>> {
    let d = 64;
    let options = Options { window: 128, tiles: 2, ..Options::default() };
    // Every cell and converter with its own draws; `Vec::new()` in its place is the nominal array.
    let extent = Extent { slots: options.window, tile_tokens: options.tile_tokens, d };
    let die = Die::from_seed(table, 7, 0, extent)?;
    let array = TableModel::new(table, &options, vec![die])?;
    let mut head = Head::new(&array, HeadShape::new(table, &options, d), 0);

    let mut clamped = Tally::default();
    let mut output = vec![0.0; d];
    for [q, k_v, v_v] in tokens {
        // K and V in volts from 0 to the supply, shape (d), quantized to 8 levels, over the oldest token.
        head.write(k_v, v_v);
        // Q as pulse widths from 0 to 1 of T_max, shape (d), quantized to 16 levels.
        let attended = head.attend(q, &mut clamped)?;
        // attended.phi, shape (occupied slots): the pulses in [0, 1] that drove the V array.
        output = attended.output;
    }
    Ok(output)
}

use gaincell::lut::synthetic;

fn tokens(count: u64) -> Vec<[Vec<f64>; 3]> {
    let draw = |token: u64, what: &str, full: f64| {
        (0..64).map(|i| full * gaincell::rng::uniform(9, token, what, &i.to_string())).collect::<Vec<f64>>()
    };
    (0..count).map(|token| [draw(token, "q", 1.0), draw(token, "k", 0.9), draw(token, "v", 0.9)]).collect()
}

#[test]
fn the_readme_shows_this_file_s_example() {
    let readme = include_str!("../README.md");
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(include_str!("readme.rs").contains(block), "README.md and tests/readme.rs differ");
    assert!(block.lines().count() <= 35, "{} lines", block.lines().count());
}

#[test]
fn the_example_attends_and_a_die_matters_a_little() {
    let table = synthetic::table().unwrap();
    let tokens = tokens(70);
    let output = attend(&table, &tokens).unwrap();
    assert_eq!(output.len(), 64);
    // Two tiles of counters that count fifteenths.
    assert!(output.iter().all(|x| x.abs() <= 2.0 && (15.0 * x - (15.0 * x).round()).abs() < 1e-9));

    let options = Options { window: 128, tiles: 2, ..Options::default() };
    let nominal = TableModel::new(&table, &options, Vec::new()).unwrap();
    let mut head = Head::new(&nominal, HeadShape::new(&table, &options, 64), 0);
    let mut last = Vec::new();
    for [q, k_v, v_v] in &tokens {
        head.write(k_v, v_v);
        last = head.attend(q, &mut Tally::default()).unwrap().output;
    }
    let difference = output.iter().zip(&last).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference > 0.0 && difference < 0.5, "{difference}");
}
