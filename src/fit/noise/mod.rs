//! Noise: what no two writes, reads or conversions have in common.
//!
//! ```text
//! write        sigma(V) = sqrt(k T / C(V))
//! read         S_I(f) = S_w + K (f / 1 Hz)^-a
//!              var(Q) = integral of S_I(f) t^2 sinc^2(f t) df from f_min = S_w t / 2 + K t^(1+a) F_a(f_min t)
//!              F_a(x) = integral of sinc^2(u) u^-a du from x, sinc(u) = sin(pi u) / (pi u)
//! conversion   var(Q) = (C_BL sigma_cmp)^2 + k T C_BL + that of the conversion current over a full pulse
//!              sigma_cmp^2 = integral of S_out(f) df / A_0^2,  jitter = gain sigma(Q)
//! ```
//!
//! Densities are one-sided, as ngspice's `.noise` gives them. A pulse of length t weighs them with a boxcar's transfer function. White
//! noise is the channels' (A. van der Ziel, *Noise in Solid State Devices and Circuits*, ch. 5), flicker noise the unified model's
//! (K. K. Hung et al., IEEE Trans. Electron Devices 37, 654 (1990)), with the exponent of the card; both are the card's, and are only
//! split here. Flicker noise has no
//! lowest frequency of its own: what is slower than f_min, one over the age of the oldest token, moves all reads of a stored value alike
//! and is an offset. Jitter is noise over slope (A. A. Abidi, R. G. Meyer, IEEE J. Solid-State Circuits 18, 794 (1983)), with the
//! comparator's own bandwidth at its operating point on the crossing.
//!
//! Left out: noise of supplies, references and pulses' edges; that devices switched off between reads lose part of their flicker noise;
//! that flicker noise of one device is correlated from read to read.

mod density;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fit::retention::CapacitancePoint;
use crate::fit::{HeldOut, ModelFit, Parameter, check_points, failed, stats};
use crate::waveform::interpolate;

pub use density::{Density, flicker_factor};
use density::{FittedDensity, LONGEST_WINDOW, fit_density, root_mean};

const FIT: &str = "noise";
/// Boltzmann's constant [J/K], exact in the SI.
pub const BOLTZMANN_J_PER_K: f64 = 1.380_649e-23;

/// A one-sided density over frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Where it was taken, for bins and messages: `v_store_v = 0.45`.
    pub name: String,
    /// Frequencies [Hz], ascending.
    pub frequency_hz: Vec<f64>,
    /// Density at each [unit^2/Hz].
    pub density: Vec<f64>,
}

/// sqrt(k T / C) [V] (J. B. Johnson and H. Nyquist, Phys. Rev. 32, 97 and 110 (1928)).
pub fn sampled_sigma_v(temperature_k: f64, capacitance_f: f64) -> f64 {
    (BOLTZMANN_J_PER_K * temperature_k / capacitance_f).sqrt()
}

/// What a converter's noise follows from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConverterBench {
    /// Bit-line capacitance [F].
    pub c_bit_line_f: f64,
    /// Pulse width per charge [s/C].
    pub gain_s_per_c: f64,
}

/// Everything that [`fit_noise`] takes.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseData {
    /// Temperature of the sweeps [K].
    pub temperature_k: f64,
    /// Full pulse length [s].
    pub t_max_s: f64,
    /// Slowest fluctuation that counts as noise [Hz].
    pub f_min_hz: f64,
    /// Current density of a selected cell, by ascending stored voltage [V].
    pub cell: Vec<(f64, Spectrum)>,
    /// Capacitance of the storage node.
    pub capacitance: Vec<CapacitancePoint>,
    /// Current density of the conversion current.
    pub conversion: Vec<Spectrum>,
    /// Output density of the comparator at the crossing [V^2/Hz].
    pub comparator_out: Spectrum,
    /// The same referred to its input [V^2/Hz], on the same frequencies.
    pub comparator_in: Spectrum,
    /// Unsigned and signed converter.
    pub converters: [ConverterBench; 2],
}

/// Noise of one kind of converter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConverterNoise {
    /// Comparator's noise on the bit line's capacitance [C].
    pub comparator_c: f64,
    /// Sampled at the end of the precharge [C].
    pub precharge_c: f64,
    /// Conversion current over a full pulse [C].
    pub current_c: f64,
    /// All of it as width [s].
    pub jitter_s: f64,
}

impl ConverterNoise {
    /// Standard deviation of the charge that the converter sees [C].
    pub fn sigma_c(&self) -> f64 {
        self.comparator_c.hypot(self.precharge_c).hypot(self.current_c)
    }
}

/// The noise of a cell and its converters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseModel {
    /// Temperature [K].
    pub temperature_k: f64,
    /// Full pulse [s].
    pub t_max_s: f64,
    /// Slowest fluctuation that counts [Hz].
    pub f_min_hz: f64,
    /// Stored voltages [V], ascending.
    pub v_store_v: Vec<f64>,
    /// Noise of the stored voltage at each [V].
    pub sigma_stored_v: Vec<f64>,
    /// Density of the cell's current at each.
    pub cell: Vec<Density>,
    /// Density of the conversion current.
    pub conversion: Density,
    /// Comparator's noise at its input [V].
    pub comparator_v: f64,
    /// Unsigned and signed converter.
    pub converters: [ConverterNoise; 2],
}

/// A fitted noise model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseFit {
    /// Report. One bin per density.
    pub fit: ModelFit,
    /// The model.
    pub model: NoiseModel,
}

/// Splits the densities into white and flicker parts at every other frequency, judges at those between, relative to the density itself,
/// and integrates.
///
/// # Errors
/// `FitFailed` for empty or broken spectra, a temperature, capacitance or pulse that is not positive, or stored voltages at which the
/// capacitance is not known.
pub fn fit_noise(data: &NoiseData, limit: f64) -> Result<NoiseFit> {
    check(data)?;
    let mut held_out = Vec::new();
    let mut n_points = 0;
    let mut split = |spectrum: &Spectrum| -> Result<FittedDensity> {
        let (train, test) = alternate(spectrum);
        let found = fit_density(&train)?;
        n_points += train.frequency_hz.len();
        held_out.extend(
            test.frequency_hz
                .iter()
                .zip(&test.density)
                .map(|(f, s)| (spectrum.name.clone(), 1.0, found.density.at(*f) / s)),
        );
        Ok(found)
    };
    let cells: Vec<FittedDensity> = data.cell.iter().map(|(_, s)| split(s)).collect::<Result<_>>()?;
    let currents: Vec<FittedDensity> = data.conversion.iter().map(&mut split).collect::<Result<_>>()?;
    // The middle of the swing stands for it: the current hardly depends on the bit line.
    let current = &currents[currents.len() / 2];
    let conversion = current.density;

    let v_store_v: Vec<f64> = data.cell.iter().map(|(v, _)| *v).collect();
    let (nodes, farads): (Vec<f64>, Vec<f64>) = data.capacitance.iter().map(|p| (p.v_store_v, p.c_store_f)).unzip();
    let sigma = |v: &f64| {
        let c = interpolate(&nodes, &farads, *v).filter(|c| *c > 0.0).ok_or_else(|| {
            let message = format!("the storage capacitance at {v} V is not known");
            failed(FIT, message, "let the capacitance sweep's ramp cover the stored voltages of the noise sweep")
        })?;
        Ok(sampled_sigma_v(data.temperature_k, c))
    };
    let sigma_stored_v = v_store_v.iter().map(sigma).collect::<Result<Vec<f64>>>()?;
    let comparator_v = input_sigma_v(&data.comparator_out, &data.comparator_in);
    let convert = |bench: ConverterBench| {
        let mut noise = ConverterNoise {
            comparator_c: bench.c_bit_line_f * comparator_v,
            precharge_c: bench.c_bit_line_f * sampled_sigma_v(data.temperature_k, bench.c_bit_line_f),
            current_c: conversion.variance_c2(data.t_max_s, data.f_min_hz).sqrt(),
            jitter_s: 0.0,
        };
        noise.jitter_s = bench.gain_s_per_c * noise.sigma_c();
        noise
    };
    let model = NoiseModel {
        temperature_k: data.temperature_k,
        t_max_s: data.t_max_s,
        f_min_hz: data.f_min_hz,
        v_store_v,
        sigma_stored_v,
        cell: cells.iter().map(|cell| cell.density).collect(),
        conversion,
        comparator_v,
        converters: data.converters.map(convert),
    };
    let errors = HeldOut::new(&held_out, 1.0);
    let mut fit = ModelFit::new(FIT, EQUATION, SOURCE, errors, limit)
        .fitted(parameters(&model, &cells, current), n_points)
        .note("full scale is the density itself, at every other frequency of each spectrum");
    // The data are one flat line at 1 of each held-out density: there is no variance to explain.
    fit.r2 = 1.0 - fit.held_out_error.powi(2);
    fit = fit.note(format!(
        "flicker noise counts from {:.0} Hz on; what is slower moves all reads of a stored value alike",
        data.f_min_hz
    ));
    Ok(NoiseFit { fit, model })
}

const EQUATION: &str = "sigma(V) = sqrt(kT/C(V)); S_I = S_w + K f^-a, var(Q) = S_w t/2 + K t^(1+a) F_a(f_min t); converter: \
                        var(Q) = (C_BL sigma_cmp)^2 + kT C_BL + var of the conversion current, jitter = gain sigma(Q)";
const SOURCE: &str = "Johnson and Nyquist, Phys. Rev. 32, 97 and 110 (1928); Hung et al., IEEE TED 37, 654 (1990), through the model \
                      cards and ngspice's .noise; Abidi and Meyer, IEEE JSSC 18, 794 (1983)";

fn parameters(model: &NoiseModel, cells: &[FittedDensity], current: &FittedDensity) -> Vec<Parameter> {
    let (t, f_min) = (model.t_max_s, model.f_min_hz);
    let [unsigned, signed] = &model.converters;
    let number = |name: &str, unit: &str, value: f64| Parameter::new(name, unit, value, None);
    // Root mean squares over the stored voltages of what a fit has found.
    let fitted = |name: &str, of: &[&FittedDensity], variance: &dyn Fn(&Density) -> f64| {
        let (value, interval) = root_mean(&of.iter().map(|density| density.number(variance)).collect::<Vec<_>>());
        Parameter::new(name, "C", value, interval)
    };
    let all: Vec<&FittedDensity> = cells.iter().collect();
    vec![
        number("sigma_write_v", "V", stats::rms(&model.sigma_stored_v)),
        fitted("sigma_cell_white_c", &all, &|d| d.white_variance_c2(t)),
        fitted("sigma_cell_flicker_c", &all, &|d| d.flicker_variance_c2(t, f_min)),
        fitted("sigma_cell_c", &all, &|d| d.variance_c2(t, f_min)),
        number("comparator_input_v", "V", model.comparator_v),
        number("sigma_comparator_c", "C", unsigned.comparator_c),
        number("sigma_precharge_c", "C", unsigned.precharge_c),
        fitted("sigma_conversion_current_c", &[current], &|d| d.variance_c2(t, f_min)),
        number("sigma_unsigned_c", "C", unsigned.sigma_c()),
        number("jitter_unsigned_s", "s", unsigned.jitter_s),
        number("sigma_signed_c", "C", signed.sigma_c()),
        number("jitter_signed_s", "s", signed.jitter_s),
        number("f_min_hz", "Hz", model.f_min_hz),
        number("temperature_k", "K", model.temperature_k),
    ]
}

fn check(data: &NoiseData) -> Result<()> {
    let positive = [data.temperature_k, data.t_max_s, data.f_min_hz];
    if !positive.iter().all(|x| *x > 0.0 && x.is_finite()) || data.f_min_hz * data.t_max_s > LONGEST_WINDOW {
        let message = format!(
            "temperature {} K, full pulse {} s and slowest frequency {} Hz do not make a boxcar",
            data.temperature_k, data.t_max_s, data.f_min_hz
        );
        return Err(failed(
            FIT,
            message,
            "give positive numbers, and a slowest frequency below half of one over the pulse",
        ));
    }
    if !data.converters.iter().all(|c| c.c_bit_line_f > 0.0 && c.gain_s_per_c > 0.0) {
        let message = "a bit-line capacitance or a converter's gain is not positive";
        return Err(failed(FIT, message, "look at the readout's fit"));
    }
    let spectra = data.cell.iter().map(|(_, s)| s).chain(&data.conversion);
    for spectrum in spectra.chain([&data.comparator_out, &data.comparator_in]) {
        let rows = spectrum.frequency_hz.iter().zip(&spectrum.density).map(|(f, s)| [*f, *s]);
        check_points(FIT, &spectrum.name, ["frequency_hz", "density"], rows)?;
        let positive = spectrum.frequency_hz.iter().chain(&spectrum.density).all(|x| *x > 0.0);
        if !positive || spectrum.frequency_hz.len() != spectrum.density.len() || spectrum.frequency_hz.len() < 6 {
            let message = format!("{}: {} densities that are not all positive", spectrum.name, spectrum.density.len());
            return Err(failed(FIT, message, "give at least six frequencies, and noise parameters on the model cards"));
        }
    }
    if data.cell.is_empty() || data.conversion.is_empty() {
        return Err(failed(FIT, "there are no spectra", "run the sweeps read_noise and conversion_noise again"));
    }
    Ok(())
}

/// Even and odd frequencies.
fn alternate(spectrum: &Spectrum) -> (Spectrum, Spectrum) {
    let part = |remainder: usize| {
        let pick = |values: &[f64]| values.iter().copied().skip(remainder).step_by(2).collect();
        Spectrum {
            name: spectrum.name.clone(),
            frequency_hz: pick(&spectrum.frequency_hz),
            density: pick(&spectrum.density),
        }
    };
    (part(0), part(1))
}

/// The comparator's output noise over all frequencies, over its gain at the lowest [V].
fn input_sigma_v(out: &Spectrum, input: &Spectrum) -> f64 {
    // Over the logarithm of the frequency: the nodes are spaced evenly there.
    let integral: f64 = out
        .frequency_hz
        .windows(2)
        .zip(out.density.windows(2))
        .map(|(f, s)| 0.5 * (f[1] / f[0]).ln() * (f[0] * s[0] + f[1] * s[1]))
        .sum();
    (integral * input.density[0] / out.density[0]).sqrt()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::error::Kind;

    const T_S: f64 = 15e-9;

    fn spectrum(name: &str, white: f64, flicker: f64) -> Spectrum {
        let frequency_hz: Vec<f64> = (0..25).map(|k| 1e3 * 10f64.powf(f64::from(k) / 4.0)).collect();
        let density = frequency_hz.iter().map(|f| white + flicker / f).collect();
        Spectrum { name: name.into(), frequency_hz, density }
    }

    /// One pole at 300 MHz with a gain of 300.
    fn comparator(input_density: f64) -> (Spectrum, Spectrum) {
        let frequency_hz: Vec<f64> = (0..65).map(|k| 1e3 * 10f64.powf(f64::from(k) / 8.0)).collect();
        let out = frequency_hz.iter().map(|f| input_density * 9e4 / (1.0 + (f / 3e8).powi(2))).collect();
        let input = vec![input_density; frequency_hz.len()];
        let named = |density| Spectrum { name: "comparator".into(), frequency_hz: frequency_hz.clone(), density };
        (named(out), named(input))
    }

    fn data() -> NoiseData {
        let (comparator_out, comparator_in) = comparator(1.4e-16);
        NoiseData {
            temperature_k: 300.0,
            t_max_s: T_S,
            f_min_hz: 1e3,
            cell: vec![(0.0, spectrum("low", 4e-25, 2e-18)), (0.9, spectrum("high", 6e-25, 6e-18))],
            capacitance: vec![
                CapacitancePoint { v_store_v: -0.1, c_store_f: 8e-15 },
                CapacitancePoint { v_store_v: 1.0, c_store_f: 8e-15 },
            ],
            conversion: vec![spectrum("conversion", 1.2e-23, 9e-18)],
            comparator_out,
            comparator_in,
            converters: [ConverterBench { c_bit_line_f: 4e-12, gain_s_per_c: 1.0 / 40e-6 }; 2],
        }
    }

    #[test]
    fn every_part_is_its_hand_formula() {
        let fit = fit_noise(&data(), 0.05).unwrap();
        let model = &fit.model;
        // 8 fF at 300 K: 0.7195 mV.
        assert!((model.sigma_stored_v[0] / 0.719_5e-3 - 1.0).abs() < 1e-3);
        // White noise of 4e-25 A2/Hz in 15 ns: sqrt(3e-33) C.
        assert!((model.cell[0].white_variance_c2(T_S) / 3e-33 - 1.0).abs() < 1e-9);
        // One pole: sigma^2 = S_in pi f_p / 2.
        let by_hand = (1.4e-16 * PI / 2.0 * 3e8).sqrt();
        assert!((model.comparator_v / by_hand - 1.0).abs() < 0.01, "{} {by_hand}", model.comparator_v);
        let [unsigned, _] = model.converters;
        assert!((unsigned.precharge_c / 1.287e-16 - 1.0).abs() < 1e-3);
        assert!((unsigned.jitter_s - unsigned.sigma_c() / 40e-6).abs() < 1e-18);
        assert!(fit.fit.pass && fit.fit.held_out_max < 1e-9 && fit.fit.bins.len() == 3);
    }

    #[test]
    fn exponents_other_than_one_are_found() {
        let mut tilted = data();
        let spectrum = &mut tilted.cell[1].1;
        spectrum.density = spectrum.frequency_hz.iter().map(|f| 6e-25 + 2e-18 * f.powf(-0.85)).collect();
        let fit = fit_noise(&tilted, 0.05).unwrap();
        let found = fit.model.cell[1];
        assert!((found.exponent - 0.85).abs() < 1e-6 && (found.flicker / 2e-18 - 1.0).abs() < 1e-5, "{found:?}");
        // What rises with frequency is not of this form, and the held-out error says so.
        let mut rising = data();
        rising.cell[1].1.density = rising.cell[1].1.frequency_hz.clone();
        assert!(fit_noise(&rising, 0.05).map_or(true, |fit| !fit.fit.pass));
    }

    #[test]
    fn what_is_no_noise_is_refused() {
        let mut broken = data();
        broken.cell[0].1.density[3] = f64::NAN;
        let mut silent = data();
        silent.conversion[0].density = vec![0.0; 25];
        let mut outside = data();
        outside.capacitance[1].v_store_v = 0.5;
        let mut slow = data();
        slow.f_min_hz = 1e9;
        for (data, word) in [(broken, "NaN"), (silent, "not all positive"), (outside, "capacitance"), (slow, "boxcar")]
        {
            let error = fit_noise(&data, 0.05).unwrap_err();
            assert_eq!(error.kind(), Kind::FitFailed);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
