//! Realistic synthetic data for every figure, and the tests that draw them.

use super::noise::{NoiseData, NoiseSeries};
use super::nonlinearity_family::{Against, FamilyCurve, FamilyData};
use super::nonlinearity_level::{Charges, LevelData};
use super::readout::{ReadoutData, Transfer};
use super::retention::{Hold, RetentionData, Transient};
use super::validation::{AgeClass, ValidationData};
use super::variability::VariabilityData;
use super::variability_levels::{LevelSpread, LevelsData};
use super::write::{WriteData, WriteSeries};
use super::*;
use crate::validate::{Budget, EFFECTS, Pairs, Share};

/// A repeatable standard normal number.
fn normal(i: usize, k: usize) -> f64 {
    crate::rng::normal(1, i as u64, "figure", &k.to_string())
}

fn steps(low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

fn conditions() -> Conditions {
    Conditions { tech: "generic28".into(), cell: "gain_cell_6t".into(), vdd_v: 0.9, temperature_degc: 27.0 }
}

fn iv() -> iv::IvData {
    let flavours =
        [("nfet_svt", 0.36, 850.0), ("pfet_svt", 0.38, 420.0), ("nfet_hvt", 0.48, 610.0), ("pfet_hvt", 0.5, 300.0)];
    let mut data = iv::IvData { conditions: conditions(), length_m: 30e-9, ..Default::default() };
    for (k, (name, v_t, ion)) in flavours.into_iter().enumerate() {
        for v_drain_v in [0.05, 0.9] {
            let v_gate_v = steps(0.0, 0.9, 91);
            let n_ut = 0.0385;
            let effective = |v: f64| n_ut * (1.0 + ((v - v_t + 0.09 * v_drain_v) / n_ut / 1.3).exp()).ln();
            let scale = ion / effective(0.9).powf(1.3) * (v_drain_v / 0.9f64).powf(0.6);
            let i_drain_a_per_m = v_gate_v.iter().map(|v| scale * effective(*v).powf(1.3) + 3e-6).collect();
            data.curves.push(iv::Curve { flavour: name.into(), v_drain_v, v_gate_v, i_drain_a_per_m });
        }
        for (m, figure) in ["Ion", "Ioff", "SS", "DIBL", "gate leakage"].into_iter().enumerate() {
            let ratio = 1.0 + 0.055 * normal(k, m);
            data.merits.push(iv::Merit { flavour: name.into(), figure: figure.into(), ratio, tolerance: 0.2 });
        }
    }
    data
}

fn write() -> WriteData {
    let series = |v_prev_v: f64| {
        let v_level_v = steps(0.0, 0.9, 15);
        let v_written_v: Vec<f64> = v_level_v.iter().map(|v| v + (v_prev_v - v) * 4e-4).collect();
        let stored = |v: &f64| v - 6e-3 + 0.014 * (v - 0.45) + 9e-3 * (v - 0.45).powi(3);
        let v_stored_v: Vec<f64> = v_written_v.iter().map(stored).collect();
        let fitted_v = v_stored_v.iter().enumerate().map(|(i, v)| v + 2e-5 * normal(i, 2)).collect();
        WriteSeries { v_prev_v, v_level_v, v_written_v, v_stored_v, fitted_v }
    };
    let held_out = steps(0.03, 0.87, 12).into_iter().map(|v| (v, v - 6e-3 + 0.0145 * (v - 0.45))).collect();
    WriteData { conditions: conditions(), t_write_s: 4e-9, series: vec![series(0.0), series(0.9)], held_out }
}

fn retention() -> RetentionData {
    let rate = |v: f64, bias: f64| -(v - 0.42 - 0.16 * (bias - 0.45)) * 190.0 - 900.0 * (v - 0.45).powi(3);
    let hold = |v_wbl_v: f64| {
        let ages: Vec<f64> = (0..48).map(|i| 1e-7 * 7900f64.powf(f64::from(i) / 47.0)).collect();
        let run = |v0: f64, error: f64| {
            let (mut v, mut t, mut out) = (v0, 0.0, Vec::new());
            for age in &ages {
                for _ in 0..40 {
                    v += rate(v, v_wbl_v) * (age - t) / 40.0;
                }
                t = *age;
                out.push(v + error * (age / 7.9e-4));
            }
            Transient { t_s: ages.clone(), v_store_v: out }
        };
        let levels = steps(0.0, 0.9, 8);
        let at = steps(-0.05, 0.95, 81);
        Hold {
            v_wbl_v,
            simulated: levels.iter().map(|v| run(*v, 6e-4)).collect(),
            modelled: levels.iter().map(|v| run(*v, 0.0)).collect(),
            rate: at.iter().map(|v| (*v, rate(*v, v_wbl_v))).collect(),
            rate_simulated: at.iter().step_by(5).map(|v| (*v, rate(*v, v_wbl_v) * 1.02)).collect(),
            equilibrium_v: Some(0.42 + 0.16 * (v_wbl_v - 0.45)),
        }
    };
    let holds = [0.0, 0.45, 0.9].map(hold).to_vec();
    RetentionData { conditions: conditions(), holds, published_tau_s: 5e-3, published_zero_v: 0.45 }
}

fn cubic(v: f64) -> f64 {
    let y = v - 0.45;
    0.521 + 13.612 * y - 2.62 * y * y + 46.05 * y.powi(3)
}

fn level() -> LevelData {
    let unit = 2.4e-15;
    let charges = |v_store_v: Vec<f64>| {
        let published_c: Vec<f64> = v_store_v.iter().map(|v| unit * cubic(*v)).collect();
        let simulated_c: Vec<f64> =
            v_store_v.iter().map(|v| unit * (cubic(*v) * 1.03 - 0.4 + 1.4 * (5.0 * v).sin())).collect();
        let fitted_c = simulated_c.iter().enumerate().map(|(i, q)| q + 4e-17 * normal(i, 3)).collect();
        Charges { v_store_v, simulated_c, fitted_c, published_c }
    };
    LevelData {
        conditions: conditions(),
        t_pulse_s: 15e-9,
        v_bl_v: 0.45,
        charge_per_unit_c: unit,
        full_scale_c: 50e-15,
        fitted_line: Vec::new(),
        published_line: steps(-0.02, 0.92, 95).into_iter().map(|v| (v, unit * cubic(v))).collect(),
        grid: charges(steps(-0.02, 0.92, 21)),
        held_out: charges(steps(0.03, 0.87, 12)),
        limit: 0.01,
    }
}

fn family(against: Against) -> FamilyData {
    let (x, held) = match against {
        Against::PulseWidth => (vec![0.1e-9, 0.25e-9, 0.5e-9, 1e-9, 2e-9, 4e-9, 8e-9, 12e-9, 15e-9], 0.45),
        Against::BitLine => (vec![0.25, 0.35, 0.4, 0.45, 0.5, 0.55, 0.65], 15e-9),
    };
    let curve = |(k, v): (usize, f64)| {
        let charge = |x: f64| match against {
            Against::PulseWidth => 2.4e-15 * cubic(v) * x / 15e-9 + 1e-16 * (1.0 - (-x / 3e-10).exp()),
            Against::BitLine => 2.4e-15 * (cubic(v) - 22.0 * (x - 0.45) * (0.3 + (v - 0.45).abs())),
        };
        let fitted_c: Vec<f64> = x.iter().map(|x| charge(*x)).collect();
        let simulated_c = fitted_c.iter().enumerate().map(|(i, q)| q + 9e-17 * normal(i, k)).collect();
        let fine = steps(x[0].ln(), x[x.len() - 1].ln(), 60);
        let fitted_line = fine.into_iter().map(f64::exp).map(|x| (x, charge(x))).collect();
        FamilyCurve { v_store_v: v, x: x.clone(), simulated_c, fitted_c, fitted_line }
    };
    let curves = steps(-0.02, 0.92, 21).into_iter().enumerate().map(curve).collect();
    FamilyData { conditions: conditions(), against, held, full_scale_c: 50e-15, curves, limit: 0.01 }
}

fn readout() -> ReadoutData {
    let transfer = |charge_c: Vec<f64>, offset: f64, full: f64| {
        let width = |q: f64| q.signum() * (15e-9 * (q.abs() - offset) / (full - offset)).clamp(0.0, 15e-9);
        let t_width_s: Vec<f64> = charge_c.iter().map(|q| width(*q)).collect();
        let fitted_s = t_width_s.iter().enumerate().map(|(i, t)| t + 6e-12 * normal(i, 9)).collect();
        let held_out = charge_c.iter().step_by(3).enumerate().map(|(i, q)| {
            let q = q + 2e-15;
            (q, width(q), width(q) + 7e-12 * normal(i, 4))
        });
        let held_out = held_out.collect();
        Transfer { charge_c, t_width_s, fitted_s, held_out, dead_zone_c: None, saturation_c: vec![full] }
    };
    let mut unsigned = transfer(steps(-60e-15, 700e-15, 77), 22e-15, 600e-15);
    unsigned.t_width_s.iter_mut().chain(&mut unsigned.fitted_s).for_each(|t| *t = t.max(0.0));
    unsigned.held_out.iter_mut().for_each(|(_, t, f)| (*t, *f) = (t.max(0.0), f.max(0.0)));
    unsigned.dead_zone_c = Some((f64::NEG_INFINITY, 22e-15));
    let mut signed = transfer(steps(-340e-15, 340e-15, 86), 8e-15, 300e-15);
    signed.dead_zone_c = Some((-8e-15, 8e-15));
    signed.saturation_c = vec![-300e-15, 300e-15];
    ReadoutData { conditions: conditions(), t_max_s: 15e-9, unsigned, signed, limit: 0.005 }
}

fn levels() -> LevelsData {
    let spread = |(k, v_store_v): (usize, f64)| {
        let sigma = 1.1e-15 + 2.2e-15 * (v_store_v - 0.45).abs();
        let charge_c = (0..300).map(|i| 2.4e-15 * cubic(v_store_v) + sigma * normal(i, k)).collect();
        LevelSpread { v_store_v, charge_c, sigma_expected_c: 0.93 * sigma }
    };
    let levels = steps(0.0, 0.9, 8).into_iter().enumerate().map(spread).collect();
    LevelsData { conditions: conditions(), t_pulse_s: 15e-9, expectation: "by hand (Pelgrom)".into(), levels }
}

fn variability() -> VariabilityData {
    let parameters: Vec<String> =
        ["offset_c", "slope_c_per_v", "square", "cubic", "conductance"].map(Into::into).to_vec();
    let r = |i: usize, j: usize| if i == j { 1.0 } else { (0.9f64 * (1.7 * (i + j) as f64).cos()).clamp(-1.0, 1.0) };
    let correlation = (0..5).map(|i| (0..5).map(|j| r(i, j)).collect()).collect();
    VariabilityData {
        conditions: conditions(),
        expectation: levels().expectation,
        levels: levels().levels,
        parameters,
        correlation,
        offset_c: (0..300).map(|i| 3.1e-15 * normal(i, 21)).collect(),
        gain: (0..300).map(|i| 1.0 + 0.012 * normal(i, 22)).collect(),
    }
}

fn validation() -> ValidationData {
    let class = |(k, name): (usize, &str)| {
        let pairs = |low: f64, error: f64, n: usize, salt: usize| {
            let mut pairs = Pairs::default();
            for i in 0..n {
                let spice = (0.5 * (1.0 + low) + 0.42 * (1.0 - low) * normal(i, salt)).clamp(low, 1.0);
                pairs.push(spice, (spice + error * normal(i, salt + 50) + 0.2 * error).clamp(low, 1.0));
            }
            pairs
        };
        AgeClass {
            name: name.into(),
            phi: pairs(0.0, 0.003 + 0.001 * k as f64, 2048, k),
            output: pairs(-1.0, 0.004 + 0.001 * k as f64, 1024, k + 7),
            phi_published: pairs(0.0, 0.05, 2048, k),
        }
    };
    ValidationData {
        conditions: conditions(),
        setup: "64 rows, 32 K and 16 V columns · die nominal · seed 7".into(),
        classes: ["fresh", "mixed", "oldest"].into_iter().enumerate().map(class).collect(),
        limit: 0.01,
    }
}

fn noise() -> NoiseData {
    let series = |(label, white, flicker): (&str, f64, f64)| {
        let frequency_hz: Vec<f64> = (0..25).map(|k| 1e3 * 10f64.powf(f64::from(k) / 4.0)).collect();
        let fitted: Vec<f64> = frequency_hz.iter().map(|f| (white + flicker / f).sqrt()).collect();
        let root_density = fitted.iter().enumerate().map(|(k, f)| f * (1.0 + 0.01 * (k as f64).sin())).collect();
        NoiseSeries { label: label.into(), frequency_hz, root_density, fitted }
    };
    let series =
        [("cell, stored -0.02 V", 5e-25, 1e-17), ("cell, stored 0.92 V", 6e-25, 6e-18), ("conversion", 1e-23, 9e-18)]
            .map(series)
            .to_vec();
    NoiseData { conditions: conditions(), t_max_s: 15e-9, series }
}

fn budgets() -> Vec<Budget> {
    let budget = |against: &str, quantity: &str, effects: &[&str], sign: f64| Budget {
        tech: "generic28".into(),
        against: against.into(),
        quantity: quantity.into(),
        seed: 7,
        elements: 768,
        none: if sign < 0.0 { 0.05 } else { 0.0 },
        all: if sign < 0.0 { 0.002 } else { 0.05 },
        shares: effects
            .iter()
            .enumerate()
            .map(|(k, effect)| Share {
                effect: (*effect).into(),
                alone: sign * 0.04 / (1.0 + k as f64),
                last: sign * 0.03 / (1.0 + k as f64),
                shapley: (k < 6).then_some(sign * 0.02 / (1.0 + k as f64)),
            })
            .collect(),
    };
    vec![
        budget("ideal", "phi", &EFFECTS, 1.0),
        budget("ideal", "output", &EFFECTS, 1.0),
        budget("spice", "phi", &EFFECTS[..6], -1.0),
        budget("spice", "output", &EFFECTS[..6], -1.0),
    ]
}

/// Every figure by name.
pub(crate) fn all() -> Vec<(&'static str, Figure)> {
    vec![
        ("iv", iv::figure(&iv())),
        ("write", write::figure(&write())),
        ("retention", retention::figure(&retention())),
        ("nonlinearity_level", nonlinearity_level::figure(&level())),
        ("nonlinearity_width", nonlinearity_family::figure(&family(Against::PulseWidth))),
        ("nonlinearity_bit_line", nonlinearity_family::figure(&family(Against::BitLine))),
        ("readout", readout::figure(&readout())),
        ("variability_levels", variability_levels::figure(&levels())),
        ("variability", variability::figure(&variability())),
        ("noise", noise::figure(&noise())),
        ("validation", validation::figure(&validation())),
        ("budget", budget::figure(&conditions(), &budgets())),
    ]
}

/// Width and height of a PNG, from its header.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    (number(16), number(20))
}

#[test]
fn every_figure_is_written_twice_as_fine_and_again_with_the_same_bytes() {
    let kept = std::env::var_os("GAINCELL_KEEP_FIGURES");
    let dir = tempfile::tempdir().unwrap();
    let folder = kept.map_or(dir.path().join("plots"), std::path::PathBuf::from);
    for (name, figure) in all() {
        let target = Target::new(folder.join(name));
        figure.save(&target).unwrap();
        let (png, svg) = (std::fs::read(target.png()).unwrap(), std::fs::read(target.svg()).unwrap());
        let size = figure.scene().unwrap().size_px;
        assert_eq!(png_size(&png), (2 * size.0, 2 * size.1), "{name}");
        assert!(png.len() > 20_000, "{name}: {} bytes", png.len());
        assert!(svg.len() < 1_500_000, "{name}: {} bytes", svg.len());
        assert_eq!(figure.svg().unwrap().into_bytes(), svg, "{name}");
        if name == "write" {
            figure.save(&target).unwrap();
            assert_eq!(std::fs::read(target.png()).unwrap(), png, "{name}");
        }
    }
}

#[test]
fn figures_say_what_is_drawn_in_engineering_units() {
    let said = [
        (
            "iv",
            &["Gate voltage, magnitude (V)", "Drain current per µm of width", "1 nA", "L = 30 nm", "tolerance, ± 20 %"]
                [..],
        ),
        (
            "write",
            &["Driven level (V)", "Stored voltage (V)", "Error (mV)", "injection, was 0.9 V", "write pulse 4 ns"],
        ),
        ("retention", &["Age", "1 µs", "dV/dt (V/s)", "equilibrium", "published exponential", "τ = 5 ms"]),
        ("nonlinearity_level", &["Charge per pulse (fC)", "Error (% of full scale)", "published cubic", "pulse 15 ns"]),
        ("nonlinearity_width", &["Pulse width", "10 ns", "rms", "bit line 0.45 V"]),
        ("nonlinearity_bit_line", &["Bit-line voltage (V)", "pulse 15 ns"]),
        (
            "readout",
            &["Charge from the bit line (fC)", "Pulse width (ns)", "Error of the fit (ps)", "no pulse", "saturation"],
        ),
        ("variability_levels", &["Charge (fC)", "Dice", "300 dice"]),
        ("variability", &["σ of charge (fC)", "by hand (Pelgrom)", "Offset as charge (fC)", "cubic  4"]),
        (
            "noise",
            &[
                "Frequency",
                "Current noise",
                "Error of the density (%)",
                "held out",
                "white + flicker",
                "cell, stored 0.92 V",
            ],
        ),
        ("validation", &["SPICE (fraction of full scale)", "oldest", "equal", "limit on the rms, ± 1.0 %"]),
        ("budget", &["Change of the rms error (% FS)", "converter-mismatch", "Shapley value", "0.00 to 5.00 %"]),
    ];
    for ((name, figure), (same, texts)) in all().into_iter().zip(said) {
        assert_eq!(name, same);
        let svg = figure.svg().unwrap();
        assert!(svg.contains("generic28 · gain_cell_6t · VDD = 0.9 V · 27 °C"), "{name}");
        for text in texts {
            assert!(svg.contains(text), "{name} does not say {text}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
}

/// At a temperature that no target is stated for there is nothing to compare with.
#[test]
fn transfer_curves_stand_alone_where_nothing_is_judged() {
    let svg = iv::figure(&iv::IvData { merits: Vec::new(), ..iv() }).svg().unwrap();
    assert!(svg.contains("Gate voltage, magnitude (V)") && !svg.contains("target"), "{svg}");
}

#[test]
fn no_text_is_cut_or_covers_another_and_all_can_be_read() {
    for (name, figure) in all() {
        let scene = figure.scene().unwrap();
        let texts: Vec<_> = scene.texts().map(|text| (text, text.bounds())).collect();
        let (width, height) = (f64::from(scene.size_px.0), f64::from(scene.size_px.1));
        for (i, (text, a)) in texts.iter().enumerate() {
            assert!(text.size_px >= 14.0, "{name}: {} is small", text.text);
            let inside = a.left >= 2.0 && a.top >= 2.0 && a.right <= width - 2.0 && a.bottom <= height - 2.0;
            assert!(inside, "{name}: {} is cut: {a:?}", text.text);
            for (other, b) in &texts[i + 1..] {
                let apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
                assert!(apart, "{name}: `{}` covers `{}`", text.text, other.text);
            }
        }
    }
}
