//! The engine against the per-cell evaluation, against itself on another processor, and against what it promises.

use super::noise::{Draw, Normals, OF_WRITE};
use super::simd::Isa;
use super::{Factorized, FactorizedHead};
use crate::emulate::{
    Counter, Die, DieSeed, Evaluation, Extent, Inputs, Level, Noise, Options, Outputs, Physics, Quantization,
    TableModel, run, to_level,
};
use crate::error::Kind;
use crate::lut::{Axis, Grid, Outside, synthetic};
use crate::rng;

const D: usize = 64;

fn options() -> Options {
    // Outputs as they are, so that they can be compared to better than a count.
    let quantization = Quantization { output: Counter::Exact, ..Quantization::default() };
    Options { level: Level::Table, evaluation: Evaluation::Factorized, quantization, ..Options::default() }
}

fn array(options: &Options) -> Factorized {
    let mut table = synthetic::table().unwrap();
    table.column_v.rows = table.column_v.rows.max(options.tile_tokens as u32);
    Factorized::new(&TableModel::new(&table, options, Vec::new()).unwrap(), options, D).unwrap()
}

/// Uniform; keys that lean with the queries; full pulses and end levels only; short pulses and positive values.
fn inputs(kind: usize, tokens: usize, d: usize) -> Inputs {
    let draw = |name: &str, at: usize| rng::uniform(kind as u64, at as u64, "factorized", name);
    let at_once = |of: &dyn Fn(usize) -> f64| (0..tokens * d).map(of).collect::<Vec<f64>>();
    let lean = |at: usize| if kind == 1 { draw("lean", at / d) } else { 0.0 };
    let ends = |name: &str, at: usize, share: f64| if draw(name, at) < share { 0.9 } else { 0.0 };
    Inputs {
        shape: [1, tokens, d],
        q: at_once(&|at| match kind {
            2 => f64::from(u8::from(draw("q", at) < 0.7)),
            3 => 0.4 * draw("q", at) * draw("scale", at / d),
            _ => draw("q", at),
        }),
        k: at_once(&|at| match kind {
            2 => ends("k", at, draw("share", at / d)),
            3 => 0.9 * (0.4 + 0.6 * draw("k", at)),
            _ => 0.9 * (draw("k", at) * (1.0 - lean(at)) + 0.75 * lean(at)),
        }),
        v: at_once(&|at| if kind == 2 { ends("v", at, 0.5) } else { 0.9 * draw("v", at) }),
    }
}

/// Worst and root-mean-square difference.
fn difference(a: &[f64], b: &[f64]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let errors = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
    (errors().fold(0.0, f64::max), (errors().map(|e| e * e).sum::<f64>() / a.len() as f64).sqrt())
}

fn both(x: &Inputs, options: &Options) -> [Outputs; 2] {
    let table = synthetic::table().unwrap();
    [Evaluation::PerCell, Evaluation::Factorized]
        .map(|evaluation| run(x.clone(), &Options { evaluation, ..options.clone() }, Some(&table)).unwrap())
}

#[test]
fn it_is_the_per_cell_evaluation_within_its_tolerance() {
    for kind in 0..4 {
        // One tile, so that outputs are one converter's; a sequence that wraps around it.
        let one = Options { window: 64, tiles: 1, ..options() };
        let [reference, fast] = both(&inputs(kind, 100, D), &one);
        let (worst, rms) = difference(&reference.phi, &fast.phi);
        assert!(worst < 1e-3 && rms < 2e-4, "kind {kind}: phi off by {worst:.1e}, {rms:.1e} rms");
        let (worst, rms) = difference(&reference.output, &fast.output);
        assert!(worst < 4e-3 && rms < 5e-4, "kind {kind}: output off by {worst:.1e}, {rms:.1e} rms");
    }
}

/// What telling pairs of cells apart is worth, and that it can be left out.
#[test]
fn pairs_of_cells_are_told_apart() {
    for kind in 0..4 {
        let with = Options { window: 64, tiles: 1, ..options() };
        let without = Options { physics: Physics { pairs: false, ..with.physics }, ..with.clone() };
        let [reference, fast] = both(&inputs(kind, 100, D), &with);
        let [coarse, left_out] = both(&inputs(kind, 100, D), &without);
        assert!(difference(&coarse.phi, &left_out.phi).0 < 1e-3, "kind {kind}");
        let (told, coarse) = (difference(&reference.phi, &fast.phi).1, difference(&reference.phi, &left_out.phi).1);
        // Full pulses alone have no pairs to tell apart, and short ones little.
        let most = if kind < 2 { 0.3 } else { 1.0 };
        assert!(told <= most * coarse, "kind {kind}: {told:.1e} against {coarse:.1e} rms without");
    }
}

#[test]
fn every_age_of_a_full_window_is_met() {
    let window = 1024;
    let options = Options { window, ..options() };
    let x = inputs(1, window, D);
    let table = synthetic::table().unwrap();
    let model = TableModel::new(&table, &options, Vec::new()).unwrap();
    let array = Factorized::new(&model, &options, D).unwrap();
    let [q, k, v] = [&x.q, &x.k, &x.v];
    let mut reference = crate::emulate::Head::new(
        &model,
        crate::emulate::HeadShape {
            head: 0,
            d: D,
            window,
            tile_tokens: 64,
            vdd_v: 0.9,
            quantization: options.quantization,
        },
        0,
    );
    (0..window).for_each(|t| reference.write(&k[t * D..][..D], &v[t * D..][..D]));
    let parts = array.sequences(window, q, k, v, true, 1);
    let last = parts.last().unwrap();
    let rows = last.phi.len() / window;
    let attended = reference.attend(&q[(window - 1) * D..], &mut Default::default()).unwrap();
    let (worst, rms) = difference(&attended.phi, &last.phi[(rows - 1) * window..]);
    assert!(worst < 1e-3 && rms < 2e-4, "phi off by {worst:.1e}, {rms:.1e} rms");
    let output: Vec<f64> = last.output(&array).skip((rows - 1) * D).collect();
    let (worst, rms) = difference(&attended.output, &output);
    assert!(worst < 16.0 * 1e-3 && rms < 16.0 * 3e-4, "output of 16 tiles off by {worst:.1e}, {rms:.1e} rms");
}

/// Edges that differ from level to level by more than follows the current, in columns with rows that have no pulse.
#[test]
fn edges_that_scatter_have_a_sum_of_their_own() {
    let mut table = synthetic::table().unwrap();
    let (unit_c, edges) = (table.scale.charge_per_unit_c, &table.cell.edge_charge_c);
    let scattered: Vec<f64> =
        edges.values.iter().enumerate().map(|(k, c)| c + 0.03 * unit_c * (1.7 * k as f64).cos()).collect();
    table.cell.edge_charge_c.values = scattered;
    let options = Options { window: 64, tiles: 1, ..options() };
    let mut x = inputs(0, 64, D);
    x.q.iter_mut().step_by(4).for_each(|q| *q = 0.0);
    let [reference, fast] = [Evaluation::PerCell, Evaluation::Factorized]
        .map(|evaluation| run(x.clone(), &Options { evaluation, ..options.clone() }, Some(&table)).unwrap());
    let full = table.scale.s_sat;
    let (worst, rms) = difference(&reference.s, &fast.s);
    assert!(
        worst < 1e-3 * full && rms < 1.5e-4 * full,
        "S off by {:.1e}, {:.1e} rms of full scale",
        worst / full,
        rms / full
    );
    let model = TableModel::new(&table, &options, Vec::new()).unwrap();
    let sums = Factorized::new(&model, &options, D).unwrap().keys.sums();
    assert_eq!(sums, [1, 1 + array(&options).keys.sums()[1]], "one more than the table without such edges");
}

/// Cells that move within microseconds of a write, which no line over a run of queries follows.
#[test]
fn cells_that_come_to_rest_are_looked_up_at_every_age() {
    let mut table = synthetic::table().unwrap();
    let starts = table.retention.rate_v_per_s.axes[1].clone();
    let times = Axis::new("t_hold_s", "s", vec![0.0, 1e-6, 2e-6, 4e-6, 8e-6]);
    let rest = |at: &[f64]| 10e-3 * (1.0 - at[0] / 0.45) * (1.0 - (-at[1] / 1.5e-6).exp());
    table.retention.relaxation_v = Some(Grid::tabulate("relaxation_v", "V", vec![starts, times], rest));
    for (window, tiles) in [(48, 1), (200, 4)] {
        let options = Options { window, tiles, ..options() };
        let x = inputs(1, 120, D);
        let [reference, fast] = [Evaluation::PerCell, Evaluation::Factorized]
            .map(|evaluation| run(x.clone(), &Options { evaluation, ..options.clone() }, Some(&table)).unwrap());
        let (worst, rms) = difference(&reference.phi, &fast.phi);
        assert!(worst < 1e-3 && rms < 2e-4, "window {window}: phi off by {worst:.1e}, {rms:.1e} rms");
        let model = TableModel::new(&table, &options, Vec::new()).unwrap();
        let still = array(&options);
        let moving = Factorized::new(&model, &options, D).unwrap();
        assert!(moving.keys.cells().young_bend && !still.keys.cells().young_bend);
    }
}

#[test]
fn dies_are_the_per_cell_dies() {
    for (leakage_sigma, most) in [(0.0, 3e-3), (0.3, 8e-3)] {
        let die = Some(DieSeed { seed: 3, sample: 0 });
        let options = Options { window: 64, tiles: 1, die, leakage_sigma, outside: Outside::Clamp, ..options() };
        let [reference, fast] = both(&inputs(1, 80, D), &options);
        let nominal = both(&inputs(1, 80, D), &Options { die: None, leakage_sigma: 0.0, ..options })[0].clone();
        let (worst, rms) = difference(&reference.phi, &fast.phi);
        assert!(worst < most && rms < 0.1 * most, "phi off by {worst:.1e}, {rms:.1e} rms");
        let (worst, rms) = difference(&reference.output, &fast.output);
        assert!(worst < 2.0 * most && rms < 0.3 * most, "output off by {worst:.1e}, {rms:.1e} rms");
        assert!(difference(&nominal.phi, &fast.phi).1 > 1e-3, "a die must differ from the nominal array");
    }
}

#[test]
fn noise_has_the_variance_that_it_was_given() {
    let noise =
        Noise { seed: 5, sigma_write_v: 0.0, sigma_cell_c: 2e-16, sigma_unsigned_c: 1.5e-15, sigma_signed_c: 0.0 };
    let x = inputs(0, 120, D);
    let quiet = both(&x, &Options { window: 128, ..options() })[1].clone();
    let table = synthetic::table().unwrap();
    let noisy = Options { window: 128, noise: Some(noise), ..options() };
    let loud = run(x.clone(), &noisy, Some(&table)).unwrap();
    assert_eq!(quiet.s, loud.s, "S is what the cells draw, before the converter");
    assert_eq!(loud, run(x.clone(), &noisy, Some(&table)).unwrap());
    let (mut sum, mut count) = (0.0, 0.0);
    for (query, (quiet, loud)) in quiet.phi.chunks(120).zip(loud.phi.chunks(120)).enumerate() {
        let on = x.q[query * D..(query + 1) * D].iter().filter(|q| (**q * 15.0).round_ties_even() > 0.0).count();
        let sigma_c = (on as f64 * noise.sigma_cell_c.powi(2) + noise.sigma_unsigned_c.powi(2)).sqrt();
        let sigma = sigma_c / (80.0 * synthetic::CHARGE_PER_UNIT_C);
        // Away from the clips, where a converter is a straight line.
        for (a, b) in quiet.iter().zip(loud).filter(|(a, _)| (0.1..0.9).contains(*a)) {
            sum += ((a - b) / sigma).powi(2);
            count += 1.0;
        }
    }
    // Five standard errors of a variance, and the rounding of phi's table.
    assert!(count > 1000.0 && (sum / count - 1.0).abs() < 5.0 * (2.0f64 / count).sqrt() + 0.02, "{}", sum / count);
    let per_cell = Options { evaluation: Evaluation::PerCell, ..noisy };
    assert_eq!(run(x, &per_cell, Some(&table)).unwrap_err().kind(), Kind::BadInput);
}

/// A write's noise against cells that store that much more: drawn once, and kept.
#[test]
fn a_write_s_noise_is_a_stored_voltage_of_its_own() {
    let (tokens, sigma_v) = (120, 3e-3);
    let x = inputs(0, tokens, D);
    let table = synthetic::table().unwrap();
    let quiet = Options { window: tokens, ..options() };
    let noise = Noise { seed: 5, sigma_write_v: sigma_v, ..Noise::default() };
    let loud = Options { noise: Some(noise), ..quiet.clone() };
    let [before, after] = [&quiet, &loud].map(|options| run(x.clone(), options, Some(&table)).unwrap());
    let model = TableModel::new(&table, &quiet, Vec::new()).unwrap();
    let normals = Normals::new(noise.seed);
    let (mut drawn, mut tally) = (vec![0.0; D], Default::default());
    let (mut left, mut moved) = (0.0, 0.0);
    for slot in 0..tokens {
        normals.fill(Isa::detect(), Draw { head: 0, token: slot as u32, array: OF_WRITE[0] }, &mut drawn);
        // A younger read and a later one.
        for query in [slot, tokens - 1] {
            let widths_s: Vec<f64> =
                x.q[query * D..][..D].iter().map(|q| to_level(*q, 1.0, Some(16)) * model.t_max_s()).collect();
            let mut product = |sigma_v: f64| {
                let stored_v = x.k[slot * D..][..D].iter().zip(&drawn).map(|(k, normal)| {
                    let driven_v = to_level(*k, 0.9, Some(8));
                    model.stored_v(driven_v, query - slot, &mut tally).unwrap() + sigma_v * f64::from(*normal)
                });
                model.column_k(&stored_v.collect::<Vec<_>>(), &widths_s, None, &mut tally).unwrap().product
            };
            let moves = product(sigma_v) - product(0.0);
            let at = query * tokens + slot;
            left += (after.s[at] - before.s[at] - moves).powi(2);
            moved += moves * moves;
        }
    }
    // What is left is the slope's own curvature over 3 mV and the rounding of weights.
    assert!(left.sqrt() < 0.03 * moved.sqrt(), "{left:e} of {moved:e}");
    assert!((moved / (2.0 * tokens as f64)).sqrt() > 0.1, "{moved}");
    // The V array's cells too, by their own draws.
    let outputs = difference(&before.output, &after.output).1;
    assert!(outputs > 1e-3 && outputs < 2e-2, "{outputs}");
    let decoded = |head: usize| {
        let array = Factorized::new(&model, &loud, D).unwrap();
        let mut head = FactorizedHead::numbered(&array, head);
        let single = |x: &[f64]| -> Vec<f32> { x.iter().map(|x| *x as f32).collect() };
        let mut output = vec![0.0f32; D];
        for cells in (0..tokens).map(|token| token * D..(token + 1) * D) {
            head.write(&single(&x.k[cells.clone()]), &single(&x.v[cells])).unwrap();
        }
        head.attend(&single(&x.q[(tokens - 1) * D..]), &mut output).unwrap();
        output.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()
    };
    let last = &after.output[(tokens - 1) * D..];
    assert!(difference(&decoded(0), last).0 < 1e-6, "{:?} {last:?}", decoded(0));
    assert_ne!(decoded(0), decoded(1));
}

#[test]
fn prefill_decode_threads_and_processors_give_equal_bits() {
    let tokens = 150;
    let x = inputs(1, 2 * tokens, D);
    let single = |x: &[f64]| -> Vec<f32> { x.iter().map(|x| *x as f32).collect() };
    let (q, k, v) = (single(&x.q), single(&x.k), single(&x.v));
    // Tiles of more rows than wide sums take at once, too.
    for (window, tile_tokens) in [(160usize, 64usize), (100, 64), (96, 20), (160, 128)] {
        let tiles = window.div_ceil(tile_tokens);
        let array = array(&Options { window, tile_tokens, tiles, ..options() });
        let prefill = |array: &Factorized, threads: usize| {
            let mut output = vec![0.0; q.len()];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| array.prefill(tokens, &q, &k, &v, &mut output));
            output
        };
        let expected = prefill(&array, 1);
        assert_eq!(expected, prefill(&array, 3));
        for isa in Isa::all() {
            assert_eq!(expected, prefill(&array.clone().on(isa), 2), "{}", isa.name());
        }
        let mut head = FactorizedHead::new(&array);
        let mut output = vec![0.0; D];
        for token in 0..tokens {
            let cells = token * D..(token + 1) * D;
            head.write(&k[cells.clone()], &v[cells.clone()]).unwrap();
            head.attend(&q[cells.clone()], &mut output).unwrap();
            assert_eq!(output, expected[cells], "token {token} of window {window}");
        }
    }
}

#[test]
fn a_head_neither_grows_nor_remembers_beyond_its_window() {
    let (window, rounds) = (32, 40);
    let array = array(&Options { window, tiles: 1, ..options() });
    let x = inputs(0, window * rounds, D);
    let single = |x: &[f64]| -> Vec<f32> { x.iter().map(|x| *x as f32).collect() };
    let (q, k, v) = (single(&x.q), single(&x.k), single(&x.v));
    let (mut long, mut short) = (FactorizedHead::new(&array), FactorizedHead::new(&array));
    let (mut a, mut b) = (vec![0.0; D], vec![0.0; D]);
    let bytes = long.bytes();
    for token in 0..window * rounds {
        let cells = token * D..(token + 1) * D;
        long.write(&k[cells.clone()], &v[cells.clone()]).unwrap();
        long.attend(&q[cells.clone()], &mut a).unwrap();
        assert_eq!((long.bytes(), long.occupied()), (bytes, window.min(token + 1)));
        if token >= window * (rounds - 1) {
            short.write(&k[cells.clone()], &v[cells.clone()]).unwrap();
            short.attend(&q[cells], &mut b).unwrap();
        }
    }
    assert_eq!(a, b, "the last window alone gives the same");
}

#[test]
fn what_does_not_fit_is_said() {
    let table = synthetic::table().unwrap();
    for (quantization, said) in [
        (Quantization::OFF, "K and V need 2 to 8 levels"),
        (Quantization { q: Some(17), ..Quantization::default() }, "Q needs 2 to 16 levels"),
        (Quantization { stored: Some(9), ..Quantization::default() }, "K and V need 2 to 8 levels"),
    ] {
        let options = Options { quantization, ..options() };
        let model = TableModel::new(&table, &options, Vec::new()).unwrap();
        assert_eq!(Factorized::new(&model, &options, D).unwrap_err().to_string(), said);
    }
    let wired = Options { bit_line_ohm: 4.0, ..options() };
    let model = TableModel::new(&table, &wired, Vec::new()).unwrap();
    let refusal = Factorized::new(&model, &wired, D).unwrap_err().to_string();
    assert_eq!(refusal, "the bit lines' wires have a resistance");
    let array = array(&Options { window: 16, ..options() });
    let mut head = FactorizedHead::new(&array);
    let good = vec![0.5; D];
    let error = head.attend(&good, &mut vec![0.0; D]).unwrap_err();
    assert!(error.to_string().contains("0 tokens are stored"), "{error}");
    for (k, v, said) in [
        (vec![0.5; 3], good.clone(), "`K`: 3 numbers"),
        (good.clone(), vec![f32::NAN; D], "`V`: element 0 is NaN"),
        (vec![0.95; D], good.clone(), "`K`: element 0 is 0.95"),
    ] {
        let error = head.write(&k, &v).unwrap_err();
        assert!(error.kind() == Kind::BadInput && error.to_string().contains(said), "{error}");
    }
    assert_eq!(head.occupied(), 0, "a token that is refused is not written");
    // A die's draws must cover the head that is asked for.
    let die = Die::from_seed(&table, 1, 0, Extent { slots: 16, tile_tokens: 64, d: D }).unwrap();
    let wider = Options { window: 32, ..options() };
    let model = TableModel::new(&table, &wider, vec![die]).unwrap();
    let refusal = Factorized::new(&model, &wider, D).unwrap_err().to_string();
    assert!(refusal.contains("16 slots of 64 dimensions"), "{refusal}");
}
