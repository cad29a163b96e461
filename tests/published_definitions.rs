//! The published definitions, evaluated by naive loops that share nothing with the emulator, against the emulator.
//!
//! The definitions are those of N. Leroux et al., Nature Computational Science 5, 813-824 (2025), with the three decay
//! conventions that are in use for them. Tolerances: 1e-9 absolute, sums of some hundred doubles of magnitude up to 1e2.

use gaincell::emulate::{Counter, Decay, Inputs, Level, Options, Outputs, Quantization, run};
use gaincell::rng;

const TOLERANCE: f64 = 1e-9;
const LAMBDA: f64 = 1.6e-4;

/// Inputs that fill their ranges; keys lean with the queries so that S spreads from below 0 to beyond S_sat.
fn inputs(batch: usize, tokens: usize, d: usize, seed: u64) -> Inputs {
    let draw = |name: &str, at: usize| rng::uniform(seed, at as u64, "inputs", name);
    let count = batch * tokens * d;
    let lean = |at: usize| if draw("lean", at / d) < 0.5 { draw("amount", at / d) } else { 0.0 };
    Inputs {
        shape: [batch, tokens, d],
        q: (0..count).map(|at| draw("q", at)).collect(),
        k: (0..count).map(|at| 0.9 * (draw("k", at) * (1.0 - lean(at)) + lean(at) * 0.75)).collect(),
        v: (0..count).map(|at| 0.9 * draw("v", at)).collect(),
    }
}

fn coefficients(linear: bool) -> [f64; 4] {
    if linear {
        return [0.0, 19.3, 0.0, 0.0];
    }
    // C_ij (V - 0.45)^i V_in^j at V_in = 0.9 V, i outer, j inner.
    let table = [
        (0, 0, 0.17393044),
        (0, 1, 0.15653739),
        (0, 2, 0.14088365),
        (0, 3, 0.12679529),
        (1, 0, 5.51975209),
        (1, 1, 4.96777688),
        (1, 2, 4.4709992),
        (2, 0, -1.44776001),
        (2, 1, -1.30298401),
        (3, 0, 46.05483778),
    ];
    let mut c = [0.0; 4];
    for (i, j, value) in table {
        c[i] += value * 0.9f64.powi(j);
    }
    c
}

/// exp(-lambda age), rounded to 8 bits of mantissa where the convention asks for it.
fn factor(decay: Decay, age: usize) -> f64 {
    let a = (-LAMBDA * age as f64).exp();
    if decay != Decay::ByOrderBfloat16 {
        return a;
    }
    // a lies in (0.5, 1]: multiples of 2^-8 below 1.
    if a == 1.0 { 1.0 } else { (a * 256.0).round() / 256.0 }
}

struct Naive {
    s: Vec<f64>,
    phi: Vec<f64>,
    output: Vec<f64>,
    /// A / 40 by query, tile and column, before the counter.
    fractions: Vec<Vec<f64>>,
}

/// Straight from the definitions, by token: no ring buffer; the slot only decides the tile and where S is kept.
fn naive(
    x: &Inputs,
    linear: bool,
    decay: Decay,
    window: usize,
    tile_tokens: usize,
    output: impl Fn(f64) -> f64,
) -> Naive {
    let [batch, tokens, d] = x.shape;
    let slots = window.min(tokens);
    let c = coefficients(linear);
    let p = |v: f64, age: usize| {
        let (y, a) = (v - 0.45, factor(decay, age));
        match decay {
            Decay::None => c[0] + c[1] * y + c[2] * y.powi(2) + c[3] * y.powi(3),
            Decay::WholeProduct => a * (c[0] + c[1] * y + c[2] * y.powi(2) + c[3] * y.powi(3)),
            _ => c[0] + a * c[1] * y + a.powi(2) * c[2] * y.powi(2) + a.powi(3) * c[3] * y.powi(3),
        }
    };
    let at = |b: usize, t: usize, n: usize| (b * tokens + t) * d + n;
    let mut result = Naive {
        s: vec![0.0; batch * tokens * slots],
        phi: vec![0.0; batch * tokens * slots],
        output: vec![0.0; batch * tokens * d],
        fractions: Vec::new(),
    };
    for b in 0..batch {
        for t in 0..tokens {
            let mut tiles = vec![vec![0.0; d]; slots.div_ceil(tile_tokens)];
            for seen in (0..=t).rev().take(window) {
                let age = t - seen;
                let s: f64 = (0..d).map(|n| x.q[at(b, t, n)] * p(x.k[at(b, seen, n)], age)).sum();
                let phi = (s / 80.0).clamp(0.0, 1.0);
                let slot = seen % window;
                result.s[(b * tokens + t) * slots + slot] = s;
                result.phi[(b * tokens + t) * slots + slot] = phi;
                for (n, sum) in tiles[slot / tile_tokens].iter_mut().enumerate() {
                    *sum += phi * p(x.v[at(b, seen, n)], age);
                }
            }
            for n in 0..d {
                let fractions: Vec<f64> = tiles.iter().map(|tile| (tile[n] / 40.0).clamp(-1.0, 1.0)).collect();
                result.output[at(b, t, n)] = fractions.iter().map(|f| output(*f)).sum();
                result.fractions.push(fractions);
            }
        }
    }
    result
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn emulate(x: &Inputs, options: &Options) -> Outputs {
    run(x.clone(), options, None).unwrap()
}

#[test]
fn every_convention_agrees_with_the_definitions() {
    let x = inputs(2, 150, 48, 1);
    for level in [Level::PublishedCubic, Level::PublishedLinear] {
        for decay in Decay::ALL {
            for (window, tile_tokens) in [(1024, 64), (70, 64), (33, 8), (1, 64)] {
                let tiles = window_tiles(window, tile_tokens);
                let quantization = Quantization::OFF;
                let options = Options { level, decay, window, tile_tokens, tiles, quantization, ..Options::default() };
                let emulated = emulate(&x, &options);
                let expected = naive(&x, level == Level::PublishedLinear, decay, window, tile_tokens, |f| f);
                let errors = [
                    worst(&emulated.s, &expected.s) / 80.0,
                    worst(&emulated.phi, &expected.phi),
                    worst(&emulated.output, &expected.output),
                ];
                assert!(errors.iter().all(|e| *e < TOLERANCE), "{level:?} {decay:?} {window}: {errors:?}");
                // The inputs must exercise all three parts of the hard sigmoid, or the comparison says little.
                if window > 1 && level == Level::PublishedCubic {
                    let inner = emulated.phi.iter().filter(|phi| (0.05..0.95).contains(*phi)).count();
                    assert!(inner * 10 > emulated.phi.len(), "{inner} of {}", emulated.phi.len());
                    assert!(emulated.s.iter().any(|s| *s < 0.0) && emulated.s.iter().any(|s| *s > 80.0));
                }
            }
        }
    }
}

fn window_tiles(window: usize, tile_tokens: usize) -> usize {
    window.div_ceil(tile_tokens)
}

#[test]
fn the_decay_matters_at_the_window_s_far_end() {
    // Ages beyond 1,000 tell the conventions apart: one sequence, one dimension, the definitions by hand.
    let x = inputs(1, 1030, 2, 2);
    let mut seen = Vec::new();
    for decay in Decay::ALL {
        let options = Options { decay, quantization: Quantization::OFF, ..Options::default() };
        let emulated = emulate(&x, &options);
        let expected = naive(&x, false, decay, 1024, 64, |f| f);
        assert!(
            worst(&emulated.s, &expected.s) / 80.0 < TOLERANCE && worst(&emulated.output, &expected.output) < TOLERANCE
        );
        seen.push(emulated.s);
    }
    for pair in seen.windows(2) {
        assert!(worst(&pair[0], &pair[1]) > 1e-4, "two conventions give the same S");
    }
}

#[test]
fn codes_are_the_definitions_except_at_thresholds() {
    let quantized = |x: f64, full: f64, levels: f64| (x / full * (levels - 1.0)).round() / (levels - 1.0) * full;
    let mut x = inputs(1, 200, 64, 3);
    // Away from ties of the input converters, whose resolution is not what this test is about.
    for (values, full, levels) in [(&mut x.q, 1.0, 16.0), (&mut x.k, 0.9, 8.0), (&mut x.v, 0.9, 8.0)] {
        for value in values.iter_mut() {
            let place = *value / full * (levels - 1.0);
            if ((place - place.floor()) - 0.5).abs() < 1e-6 {
                *value = full * place.floor() / (levels - 1.0);
            }
        }
    }
    let on_levels = Inputs {
        shape: x.shape,
        q: x.q.iter().map(|q| quantized(*q, 1.0, 16.0)).collect(),
        k: x.k.iter().map(|k| quantized(*k, 0.9, 8.0)).collect(),
        v: x.v.iter().map(|v| quantized(*v, 0.9, 8.0)).collect(),
    };
    for (counter, step) in [(Counter::SignMagnitude(16), 1.0 / 15.0), (Counter::PublishedStep(32), 2.0 / 31.0)] {
        let quantization = Quantization { output: counter, ..Quantization::default() };
        let options = Options { decay: Decay::ByOrder, quantization, ..Options::default() };
        let emulated = emulate(&x, &options);
        let expected = naive(&on_levels, false, Decay::ByOrder, 1024, 64, |f| (f / step).round() * step);
        assert!(worst(&emulated.phi, &expected.phi) < TOLERANCE);
        let mut compared = 0;
        for ((value, wanted), tiles) in emulated.output.iter().zip(&expected.output).zip(&expected.fractions) {
            // A tie at full scale is settled by the counter's rule, not by rounding in the sums.
            let near = |f: &f64| ((f / step).abs().fract() - 0.5).abs() * step < 1e-5;
            if tiles.iter().any(near) {
                continue;
            }
            compared += 1;
            assert!((value - wanted).abs() < 1e-12, "{value} against {wanted}");
        }
        assert!(compared * 10 > emulated.output.len() * 8, "{compared} of {}", emulated.output.len());
    }
}

#[test]
fn phi_levels_round_the_pulse_between_the_arrays() {
    let x = inputs(1, 20, 16, 4);
    let quantization = Quantization { phi: Some(16), ..Quantization::OFF };
    let rounded = emulate(&x, &Options { quantization, ..Options::default() });
    let plain = emulate(&x, &Options { quantization: Quantization::OFF, ..Options::default() });
    for (rounded, plain) in rounded.phi.iter().zip(&plain.phi) {
        assert!(
            (rounded * 15.0 - (rounded * 15.0).round()).abs() < 1e-12 && (rounded - plain).abs() <= 0.5 / 15.0 + 1e-12
        );
    }
    assert_ne!(rounded.output, plain.output);
}

#[test]
fn the_ideal_is_a_softmax_done_by_hand() {
    let (window, tokens, d) = (5, 13, 3);
    let x = inputs(2, tokens, d, 5);
    let options = Options { level: Level::Softmax, window, ..Options::default() };
    let emulated = emulate(&x, &options);
    for b in 0..2 {
        for t in 0..tokens {
            let seen: Vec<usize> = (t.saturating_sub(window - 1)..=t).collect();
            let row = |values: &[f64], t: usize| values[(b * tokens + t) * d..][..d].to_vec();
            let score = |j: usize| -> f64 {
                row(&x.q, t).iter().zip(row(&x.k, j)).map(|(q, k)| q * (k - 0.45)).sum::<f64>() / 3f64.sqrt()
            };
            let total: f64 = seen.iter().map(|&j| score(j).exp()).sum();
            for n in 0..d {
                let wanted: f64 = seen.iter().map(|&j| score(j).exp() / total * (row(&x.v, j)[n] - 0.45)).sum();
                assert!((emulated.output[(b * tokens + t) * d + n] - wanted).abs() < 1e-14);
            }
            for &j in &seen {
                let at = (b * tokens + t) * window + j % window;
                assert!((emulated.s[at] - score(j)).abs() < 1e-14);
                assert!((emulated.phi[at] - score(j).exp() / total).abs() < 1e-14);
            }
        }
    }
}
