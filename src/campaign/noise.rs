//! Rows of the noise sweeps to the noise model.

use super::rows::{Datasets, T_MAX_S, dataset, grid};
use super::table::column_bench;
use crate::dataset::{Dataset, View};
use crate::error::{Kind, Problem, Result};
use crate::fit::noise::{ConverterBench, NoiseData, NoiseFit, Spectrum, fit_noise};
use crate::fit::readout::ReadoutFit;
use crate::fit::retention::CapacitancePoint;
use crate::tech::Technology;
use crate::units::ZERO_CELSIUS_K;

/// Slowest fluctuation that counts as noise: one over a millisecond, somewhat more than the age of the oldest token [Hz].
const F_MIN_HZ: f64 = 1e3;

/// Fits the noise of cells, write and `readouts` (unsigned, signed).
///
/// # Errors
/// [`Kind::FitFailed`] naming what is missing or not noise.
pub(super) fn noise(
    datasets: &Datasets,
    tech: &Technology,
    capacitance: &[CapacitancePoint],
    readouts: [&ReadoutFit; 2],
    limit: f64,
) -> Result<NoiseFit> {
    let read = dataset(datasets, "read_noise")?;
    let cell = by_value(read, "v_store_v", "noise_a_per_rthz")?;
    let conversion = by_value(dataset(datasets, "conversion_noise")?, "v_bl_v", "noise_a_per_rthz")?;
    let comparator = dataset(datasets, "comparator_noise")?;
    // The middle reference is the converter's.
    let of = |column: &str| -> Result<Spectrum> {
        let mut found = by_value(comparator, "v_ref_v", column)?;
        Ok(found.swap_remove(found.len() / 2).1)
    };
    let bench = |sweep: &str, readout: &ReadoutFit| -> Result<ConverterBench> {
        let c_bit_line_f = column_bench(dataset(datasets, sweep)?)?.c_bit_line_f;
        Ok(ConverterBench { c_bit_line_f, gain_s_per_c: readout.positive.gain_s_per_c })
    };
    let data = NoiseData {
        temperature_k: tech.temperature_degc + ZERO_CELSIUS_K,
        t_max_s: T_MAX_S,
        f_min_hz: F_MIN_HZ,
        cell,
        capacitance: capacitance.to_vec(),
        conversion: conversion.into_iter().map(|(_, spectrum)| spectrum).collect(),
        comparator_out: of("noise_out_v_per_rthz")?,
        comparator_in: of("noise_in_v_per_rthz")?,
        converters: [bench("readout", readouts[0])?, bench("readout_signed", readouts[1])?],
    };
    fit_noise(&data, limit)
}

/// One spectrum per value of a swept parameter, ascending.
fn by_value(dataset: &Dataset, parameter: &str, column: &str) -> Result<Vec<(f64, Spectrum)>> {
    let mut found = Vec::new();
    for (value, view) in dataset.ok().split(parameter) {
        let name = format!("{}, {parameter} = {value:.4}", dataset.manifest.sweep);
        found.extend(spectra(dataset, &view, column, name)?.into_iter().map(|spectrum| (value, spectrum)));
    }
    if found.is_empty() { Err(missing(dataset, column)) } else { Ok(found) }
}

/// The curves of `column`, which ngspice gives as roots of densities.
fn spectra(dataset: &Dataset, view: &View<'_>, column: &str, name: String) -> Result<Vec<Spectrum>> {
    let frequency_hz = grid(dataset, column)?;
    let spectrum = |curve: &[f64]| Spectrum {
        name: name.clone(),
        frequency_hz: frequency_hz.to_vec(),
        density: curve.iter().map(|root| root * root).collect(),
    };
    Ok(view.curve(column).into_iter().flatten().map(spectrum).collect())
}

fn missing(dataset: &Dataset, column: &str) -> crate::Error {
    Problem::new(Kind::FitFailed, format!("no good row of the sweep `{}` has `{column}`", dataset.manifest.sweep))
        .key("noise")
        .help("look at the sweep's failed rows, then run it again")
        .into()
}
