//! The table level against hand computations on the synthetic table, and what must hold for every level.

use gaincell::Kind;
use gaincell::emulate::{
    Array, Die, DieSeed, Draws, Evaluation, Extent, Head, HeadShape, Inputs, Level, Options, Outputs, Physics,
    Quantization, StuckCell, TableModel, run,
};
use gaincell::lut::synthetic::{self, C_BIT_LINE_F, CHARGE_PER_UNIT_C, T_MAX_S, TAU_S, V_LEAK_V};
use gaincell::lut::{Outside, Quantity, Table, Tally};
use gaincell::rng;
use proptest::prelude::*;

fn inputs(batch: usize, tokens: usize, d: usize, seed: u64) -> Inputs {
    let count = batch * tokens * d;
    let draw = |name: &str| (0..count).map(|at| rng::uniform(seed, at as u64, "inputs", name)).collect::<Vec<_>>();
    let volts = |name: &str| draw(name).iter().map(|x| 0.9 * x).collect();
    Inputs { shape: [batch, tokens, d], q: draw("q"), k: volts("k"), v: volts("v") }
}

fn options() -> Options {
    Options { level: Level::Table, evaluation: Evaluation::Factorized, ..Options::default() }
}

fn table() -> Table {
    synthetic::table().unwrap()
}

/// The column's charge from the closed forms behind the table: Q = sum q - (1/C) sum_ij g_i I_j int_0^T_i min(t, T_j) dt, and
/// (2/3) (sum I T) s^2 with s = (sum g T) / 2C.
fn charge_by_hand(stored_v: &[f64], widths_s: &[f64]) -> f64 {
    let pairs = || stored_v.iter().zip(widths_s);
    let alone: f64 = pairs().map(|(&v, &t)| synthetic::charge_c(v, t, 0.45)).sum();
    let current: f64 = pairs().map(|(&v, t)| synthetic::current_a(v, 0.45) * t).sum();
    let conductance: f64 = pairs().map(|(&v, t)| synthetic::conductance_s(v) * t).sum();
    let seen = |own: f64, other: f64| if own < other { own * own / 2.0 } else { own * other - other * other / 2.0 };
    let swung: f64 = pairs()
        .map(|(&v, &own)| {
            let drawn = pairs().map(|(&other_v, &other)| synthetic::current_a(other_v, 0.45) * seen(own, other));
            synthetic::conductance_s(v) * drawn.sum::<f64>()
        })
        .sum();
    let share = conductance / (2.0 * C_BIT_LINE_F);
    alone - swung / C_BIT_LINE_F + current * share * share * 2.0 / 3.0
}

#[test]
fn columns_give_the_charge_and_pulse_of_the_closed_forms() {
    let model = TableModel::new(&table(), &options(), Vec::new()).unwrap();
    for seed in 0..200 {
        let draw = |name: &str, row: u64| rng::uniform(seed, row, "column", name);
        let top = 0.5 + 0.4 * draw("top", 99);
        let stored: Vec<f64> = (0..64).map(|row| top * draw("v", row)).collect();
        // Every width from nothing to full, short ones among them.
        let widths: Vec<f64> = (0..64).map(|row| T_MAX_S * draw("t", row).powi(2)).collect();
        let charge = charge_by_hand(&stored, &widths);
        let mut tally = Tally::default();
        let k = model.column_k(&stored, &widths, None, &mut tally).unwrap();
        let v = model.column_v(&stored, &widths, None, &mut tally).unwrap();
        // 5e-5 of full scale: what the synthetic grids resolve. The column's offset cancels the converter's exactly.
        let s = charge / CHARGE_PER_UNIT_C;
        assert!((k.charge_c - charge).abs() < 5e-5 * 80.0 * CHARGE_PER_UNIT_C, "{} against {charge}", k.charge_c);
        assert!((k.product - s).abs() < 5e-5 * 80.0);
        assert!((k.fraction - (s / 80.0).clamp(0.0, 1.0)).abs() < 5e-5, "{k:?} against {s}");
        assert!((v.fraction - (s / 40.0).clamp(-1.0, 1.0)).abs() < 1e-4, "{v:?} against {s}");
        assert_eq!(tally, Tally::default());
    }
}

#[test]
fn single_cells_follow_the_grid_at_every_width() {
    let model = TableModel::new(&table(), &options(), Vec::new()).unwrap();
    // A column of 64 such cells must stay within 0.1 % of S_sat even if they all err the same way.
    let tolerance = 1e-3 * 80.0 * CHARGE_PER_UNIT_C / 64.0;
    let mut worst: f64 = 0.0;
    for v in [0.0, 0.21, 0.45, 0.68, 0.9] {
        for step in 0..=300 {
            let t = T_MAX_S * f64::from(step) / 300.0;
            let charge = model.column_k(&[v], &[t], None, &mut Tally::default()).unwrap().charge_c;
            let (current, g) = (synthetic::current_a(v, 0.45), synthetic::conductance_s(v));
            let swing = current * g * t * t / (2.0 * C_BIT_LINE_F);
            worst = (charge - synthetic::charge_c(v, t, 0.45) + swing).abs().max(worst);
        }
    }
    assert!(worst < tolerance, "{worst:e} C, and {tolerance:e} C are allowed");
}

#[test]
fn stored_voltages_are_written_and_held_as_the_table_says() {
    let model = TableModel::new(&table(), &options(), Vec::new()).unwrap();
    for level in 0..8 {
        let driven = 0.9 * f64::from(level) / 7.0;
        for age in [0usize, 1, 63, 1023] {
            let written = synthetic::written_v(driven);
            let wanted = V_LEAK_V + (written - V_LEAK_V) * (-(age as f64) * 0.78e-6 / TAU_S).exp();
            let stored = model.stored_v(driven, age, &mut Tally::default()).unwrap();
            assert!((stored - wanted).abs() < 1e-6, "{driven} V after {age}: {stored} against {wanted}");
        }
    }
}

/// A head at work must be what its columns are one by one, from stored voltages, with ages and own phi.
#[test]
fn a_head_is_the_sum_of_its_columns() {
    let (tokens, d, window, tile_tokens) = (90usize, 64usize, 70usize, 64usize);
    let x = inputs(1, tokens, d, 6);
    for stored_levels in [Some(8), None] {
        let quantization = Quantization { stored: stored_levels, ..Quantization::OFF };
        let options = Options { window, quantization, ..options() };
        let model = TableModel::new(&table(), &options, Vec::new()).unwrap();
        let shape = HeadShape { head: 0, d, window, tile_tokens, vdd_v: 0.9, quantization };
        let mut head = Head::new(&model, shape, 0);
        for t in 0..tokens {
            head.write(&x.k[t * d..][..d], &x.v[t * d..][..d]);
        }
        let q = &x.q[(tokens - 1) * d..];
        let attended = head.attend(q, &mut Tally::default()).unwrap();
        let widths: Vec<f64> = q.iter().map(|q| q * T_MAX_S).collect();
        let driven = |v: f64| {
            stored_levels.map_or(v, |levels: u32| {
                let steps = f64::from(levels - 1);
                (v / 0.9 * steps).round() / steps * 0.9
            })
        };
        let stored = |v: f64, age: usize| model.stored_v(driven(v), age, &mut Tally::default()).unwrap();
        let token_in = |slot: usize| (0..tokens).rev().find(|t| t % window == slot).unwrap();
        let mut phi = Vec::new();
        for slot in 0..window {
            let token = token_in(slot);
            let column: Vec<f64> = x.k[token * d..][..d].iter().map(|k| stored(*k, tokens - 1 - token)).collect();
            let reading = model.column_k(&column, &widths, None, &mut Tally::default()).unwrap();
            assert!((attended.phi[slot] - reading.fraction).abs() < 1e-12);
            assert!((attended.s[slot] - reading.product).abs() < 1e-9);
            phi.push(reading.fraction * T_MAX_S);
        }
        for (tile, slots) in [(0, 0..64), (1, 64..70)] {
            for n in [0, 31, 63] {
                let column: Vec<f64> = slots
                    .clone()
                    .map(|slot| stored(x.v[token_in(slot) * d + n], tokens - 1 - token_in(slot)))
                    .collect();
                let reading = model.column_v(&column, &phi[slots.clone()], None, &mut Tally::default()).unwrap();
                let fraction = attended.fractions[tile * d + n];
                assert!((fraction - reading.fraction).abs() < 1e-12, "{fraction} against {reading:?}");
            }
        }
    }
}

#[test]
fn without_its_physics_the_array_is_the_linear_model() {
    let physics = Physics::NAMES.iter().try_fold(Physics::default(), |physics, part| physics.without(part)).unwrap();
    let x = inputs(1, 30, 64, 7);
    let quantization = Quantization::OFF;
    let ideal = run(x.clone(), &Options { physics, quantization, ..options() }, Some(&table())).unwrap();
    let mut scaled = Options { level: Level::PublishedLinear, quantization, ..Options::default() };
    scaled.lambda = 0.0;
    let linear = run(x, &scaled, None).unwrap();
    // One slope through the zero weight: proportional to the published line.
    let slope = ideal.s[0] / linear.s[0];
    assert!(slope > 0.5 && slope < 2.0, "{slope}");
    for (ideal, linear) in ideal.s.iter().zip(&linear.s) {
        assert!((ideal - slope * linear).abs() < 1e-9 * (1.0 + linear.abs()), "{ideal} against {linear}");
    }
    for (phi, s) in ideal.phi.iter().zip(&ideal.s) {
        assert!((phi - (s / 80.0).clamp(0.0, 1.0)).abs() < 1e-9);
    }
}

#[test]
fn each_part_of_the_physics_shows_in_the_result() {
    let x = inputs(1, 12, 64, 8);
    let quantization = Quantization::OFF;
    let reference = run(x.clone(), &Options { quantization, ..options() }, Some(&table())).unwrap();
    let all = Physics::default();
    for physics in [
        Physics { write_error: false, ..all },
        Physics { leakage: false, ..all },
        Physics { nonlinearity: false, ..all },
        Physics { swing: false, ..all },
    ] {
        let other = run(x.clone(), &Options { physics, quantization, ..options() }, Some(&table())).unwrap();
        let change = reference.s.iter().zip(&other.s).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(change > 1e-3, "{physics:?} changes S by {change} only");
    }
    // The synthetic converters are straight: the ideal line is the same to rounding.
    let physics = Physics { readout: false, ..all };
    let other = run(x, &Options { physics, quantization, ..options() }, Some(&table())).unwrap();
    assert!(reference.output.iter().zip(&other.output).all(|(a, b)| (a - b).abs() < 1e-9));
}

#[test]
fn the_table_level_is_near_the_cubic_that_its_cell_was_made_of() {
    let x = inputs(1, 40, 64, 9);
    let quantization = Quantization::OFF;
    let physics = Physics { write_error: false, leakage: false, swing: false, ..Physics::default() };
    let tabled = run(x.clone(), &Options { physics, quantization, ..options() }, Some(&table())).unwrap();
    let cubic = run(x, &Options { lambda: 0.0, quantization, ..Options::default() }, None).unwrap();
    // Edges and late starts of the synthetic cell: at most 0.06 units a cell and pulse, 64 of them.
    for (a, b) in tabled.s.iter().zip(&cubic.s) {
        assert!((a - b).abs() < 4.0, "{a} against {b}");
    }
}

#[test]
fn dies_repeat_and_differ_and_explicit_draws_are_the_seeded_ones() {
    let x = inputs(2, 10, 8, 10);
    let with = |die: Option<DieSeed>, heads: usize| -> Outputs {
        run(x.clone(), &Options { die, heads, quantization: Quantization::OFF, ..options() }, Some(&table())).unwrap()
    };
    let die = Some(DieSeed { seed: 5, sample: 0 });
    let (nominal, first) = (with(None, 1), with(die, 1));
    assert_eq!(first, with(die, 1));
    assert_ne!(nominal.s, first.s);
    let two_heads = with(die, 2);
    let half = first.s.len() / 2;
    assert_eq!(two_heads.s[..half], first.s[..half]);
    assert_ne!(two_heads.s[half..], first.s[half..]);

    let extent = Extent { slots: 10, tile_tokens: 64, d: 8 };
    let table = table();
    let draws = Draws::from_seed(table.variability.as_ref().unwrap(), 5, 0, extent).unwrap();
    let die = Die::from_draws(&table, &draws, extent).unwrap();
    let options = Options { window: 10, quantization: Quantization::OFF, ..options() };
    let model = TableModel::new(&table, &options, vec![die]).unwrap();
    let stored: Vec<f64> = (0..8).map(|n| model.stored_v(x.k[9 * 8 + n], 0, &mut Tally::default()).unwrap()).collect();
    let widths: Vec<f64> = x.q[9 * 8..10 * 8].iter().map(|q| q * T_MAX_S).collect();
    let reading = model.column_k(&stored, &widths, Some((0, 9)), &mut Tally::default()).unwrap();
    assert!((reading.fraction - first.phi[9 * 10 + 9]).abs() < 1e-12);
    assert_eq!(
        model.column_k(&stored, &widths, Some((0, 10)), &mut Tally::default()).unwrap_err().kind(),
        Kind::BadInput
    );
}

/// One cell, a full pulse, fresh: the charge of the closed forms at the voltage that a faulty DAC writes.
#[test]
fn errors_of_the_dac_move_what_is_written() {
    let errors: Vec<f64> = (0..8).map(|level| 0.004 * f64::from(level - 3)).map(|e| e.clamp(0.0, 0.008)).collect();
    let physics = Physics { leakage: false, swing: false, ..Physics::default() };
    let level_errors_v = errors.iter().rev().copied().collect::<Vec<_>>();
    let options = Options { level_errors_v: level_errors_v.clone(), physics, window: 1, tiles: 1, ..options() };
    for (level, error) in level_errors_v.iter().enumerate().take(7) {
        let driven = 0.9 * level as f64 / 7.0;
        let x = Inputs { shape: [1, 1, 1], q: vec![1.0], k: vec![driven], v: vec![0.9] };
        let charge = synthetic::charge_c(synthetic::written_v(driven + error), T_MAX_S, 0.45);
        for evaluation in [Evaluation::PerCell, Evaluation::Factorized] {
            let s = run(x.clone(), &Options { evaluation, ..options.clone() }, Some(&table())).unwrap().s[0];
            assert!((s - charge / CHARGE_PER_UNIT_C).abs() < 2e-3, "level {level}: {s}");
        }
    }
}

/// The same key in every slot: what is refreshed every five tokens is as old as the tokens since.
#[test]
fn refreshed_values_are_never_older_than_the_period() {
    let d = 16;
    let x = inputs(1, 1, d, 14);
    let repeated = |values: &[f64]| values.repeat(20);
    let x = Inputs { shape: [1, 20, d], q: repeated(&x.q), k: repeated(&x.k), v: repeated(&x.v) };
    let decayed = run(x.clone(), &Options { evaluation: Evaluation::PerCell, ..options() }, Some(&table())).unwrap();
    let refreshed = run(x, &Options { refresh_tokens: Some(5), ..options() }, Some(&table())).unwrap();
    let newest = &decayed.s[19 * 20..];
    for (slot, s) in refreshed.s[19 * 20..].iter().enumerate() {
        assert_eq!(*s, newest[19 - (19 - slot) % 5], "slot {slot}");
    }
    assert_ne!(decayed.s, refreshed.s);
}

#[test]
fn stuck_cells_hold_their_level_whatever_is_written() {
    let (tokens, d) = (12, 16);
    let x = inputs(1, tokens, d, 15);
    let stuck: Vec<StuckCell> = StuckCell::draw(2, 0.2, 0, Extent { slots: tokens, tile_tokens: 64, d }, 8);
    let mut written = x.clone();
    for cell in &stuck {
        let values = if cell.array == Array::K { &mut written.k } else { &mut written.v };
        values[cell.slot * d + cell.dimension] = 0.9 * f64::from(cell.level) / 7.0;
    }
    for evaluation in [Evaluation::PerCell, Evaluation::Factorized] {
        let options = Options { evaluation, ..options() };
        let faulty = Options { stuck: stuck.clone(), ..options.clone() };
        let expected = run(written.clone(), &options, Some(&table())).unwrap();
        assert_eq!(run(x.clone(), &faulty, Some(&table())).unwrap(), expected);
        assert_ne!(run(x.clone(), &options, Some(&table())).unwrap(), expected);
    }
}

#[test]
fn outside_the_validity_box_is_refused_or_counted() {
    let mut table = table();
    table.validity.v_store_v = [0.1, 0.8];
    let x = inputs(1, 3, 8, 11);
    assert_eq!(run(x.clone(), &options(), Some(&table)).unwrap_err().kind(), Kind::OutsideValidity);
    for stored in [Some(8), None] {
        let quantization = Quantization { stored, ..Quantization::OFF };
        let clamped =
            run(x.clone(), &Options { outside: Outside::Clamp, quantization, ..options() }, Some(&table)).unwrap();
        assert!(clamped.clamped.of(Quantity::Stored) > 0, "{:?}", clamped.clamped);
    }
    // A line that carries levels only does not rest at a bias.
    let busy = Options { hold_v_wbl_v: Some(1.2), write_activity: 1.0, ..options() };
    assert!(run(x.clone(), &busy, Some(&self::table())).is_ok());
    let bias = Options { hold_v_wbl_v: Some(1.2), ..options() };
    assert_eq!(run(x.clone(), &bias, Some(&table)).unwrap_err().kind(), Kind::OutsideValidity);
    let wide = inputs(1, 2, 65, 12);
    assert_eq!(run(wide, &options(), Some(&self::table())).unwrap_err().kind(), Kind::OutsideValidity);
}

#[test]
fn what_cannot_be_emulated_is_said() {
    let x = inputs(1, 3, 8, 13);
    let said = |inputs: Inputs, options: &Options, table: Option<&Table>| {
        let error = run(inputs, options, table).unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, text) = said(x.clone(), &options(), None);
    assert!(kind == Kind::BadInput && text.contains("lookup table"), "{text}");
    let (kind, text) = said(x.clone(), &Options { write_activity: 1.5, ..Options::default() }, None);
    assert!(kind == Kind::BadInput && text.contains("share of the time") && text.contains("write bit line"), "{text}");
    let (kind, text) = said(x.clone(), &Options { bit_line_ohm: -4.0, ..options() }, None);
    assert!(kind == Kind::BadInput && text.contains("-4 is no resistance"), "{text}");
    let (kind, text) = said(x.clone(), &Options { window: 1025, lambda: -1.0, ..Options::default() }, None);
    assert!(kind == Kind::BadInput && text.contains("window") && text.contains("lambda"), "{text}");
    for (name, value) in [("NaN", f64::NAN), ("inf", f64::INFINITY), ("0.95", 0.95), ("-0.01", -0.01)] {
        let mut bad = x.clone();
        bad.k[8 + 5] = value;
        let (kind, text) = said(bad, &Options::default(), None);
        assert!(kind == Kind::BadInput && text.contains("`K`: element [0, 1, 5] is ") && text.contains(name), "{text}");
    }
    let mut short = x.clone();
    short.v.pop();
    assert!(said(short, &Options::default(), None).1.contains("`V`: 23 elements"));
    let mut plain = table();
    plain.variability = None;
    let die = Some(DieSeed { seed: 1, sample: 0 });
    assert_eq!(said(x.clone(), &Options { die, ..options() }, Some(&plain)).0, Kind::TableInvalid);
    assert_eq!(said(x, &Options { die, ..Options::default() }, None).0, Kind::BadInput);
}

fn levels() -> impl Strategy<Value = Options> {
    let die = prop::option::of(Just(DieSeed { seed: 3, sample: 1 }));
    (prop::sample::select(Level::ALL.to_vec()), die, any::<bool>(), 1usize..12).prop_map(
        |(level, die, exact, window)| Options {
            level,
            die: die.filter(|_| level == Level::Table),
            window,
            tile_tokens: 4,
            tiles: 3,
            quantization: if exact { Quantization::OFF } else { Quantization::default() },
            ..Options::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn results_do_not_depend_on_the_number_of_threads(options in levels(), seed in 0u64..1000) {
        let x = inputs(2, 70, 4, seed);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(x.clone(), &options, Some(&table())).unwrap())
        };
        prop_assert_eq!(with(1), with(3));
    }

    #[test]
    fn future_tokens_do_not_matter(options in levels(), seed in 0u64..1000, cut in 12usize..39) {
        let (tokens, d) = (40, 4);
        let x = inputs(1, tokens, d, seed);
        let mut other = inputs(1, tokens, d, seed + 1);
        for (to, from) in [(&mut other.q, &x.q), (&mut other.k, &x.k), (&mut other.v, &x.v)] {
            to[..cut * d].copy_from_slice(&from[..cut * d]);
        }
        let (a, b) = (run(x, &options, Some(&table())).unwrap(), run(other, &options, Some(&table())).unwrap());
        prop_assert_eq!(&a.output[..cut * d], &b.output[..cut * d]);
        prop_assert_eq!(&a.phi[..cut * a.slots], &b.phi[..cut * a.slots]);
        prop_assert!(a.output[cut * d..] != b.output[cut * d..] || options.quantization != Quantization::OFF);
    }

    /// A window that slides over a long sequence sees the same as the last tokens alone, if slots agree.
    #[test]
    fn tokens_beyond_the_window_are_forgotten(options in levels(), seed in 0u64..1000, rounds in 1usize..4) {
        let (window, d) = (options.window, 4);
        let skipped = window * rounds;
        let x = inputs(1, skipped + window, d, seed);
        let options = Options { die: None, ..options };
        let all = run(x.clone(), &options, Some(&table())).unwrap();
        let tail = |values: &[f64]| values[skipped * d..].to_vec();
        let alone = Inputs { shape: [1, window, d], q: tail(&x.q), k: tail(&x.k), v: tail(&x.v) };
        let alone = run(alone, &options, Some(&table())).unwrap();
        prop_assert_eq!(&all.output[all.output.len() - d..], &alone.output[alone.output.len() - d..]);
        prop_assert_eq!(&all.s[all.s.len() - window..], &alone.s[alone.s.len() - window..]);
    }

    #[test]
    fn phi_never_falls_with_s(seed in 0u64..1000) {
        let options = Options { quantization: Quantization::OFF, ..options() };
        let outputs = run(inputs(1, 40, 64, seed), &options, Some(&table())).unwrap();
        let mut pairs: Vec<(f64, f64)> = outputs.s.iter().copied().zip(outputs.phi.iter().copied()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        prop_assert!(pairs.windows(2).all(|w| w[1].1 >= w[0].1 - 1e-12));
    }
}
