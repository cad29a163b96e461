//! Models over temperature and supply, from sweeps that a table does not need. A fit has them where they have run.

use serde::{Deserialize, Serialize};

use super::rows::{Datasets, T_MAX_S, grid, set};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::fit::ModelFit;
use crate::fit::conditions::charge::{ChargeTemperatureFit, fit_charge_temperature};
use crate::fit::conditions::leakage::{DriftPoint, LeakageTemperatureFit, fit_leakage_temperature};
use crate::fit::conditions::readout::{Condition, ReadoutConditionsFit, fit_readout_conditions};
use crate::fit::nonlinearity::{ChargePoint, FormOptions, ReadCondition};
use crate::fit::readout::{ConversionPoint, ReadoutOptions};
use crate::fit::retention::{CapacitancePoint, LeakagePoint};
use crate::sweep::{DESIGN, HELD_OUT};
use crate::tech::Technology;

/// Sweeps of these fits.
const CONDITION_SWEEPS: [&str; 5] = [
    "nonlinearity_temperature",
    "leakage_temperature",
    "retention_temperature",
    "readout_conditions",
    "readout_signed_conditions",
];
/// Limits on held-out errors, as fractions of full scale: those of the models at one temperature.
const LIMIT: f64 = 0.01;

/// What has run of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct OverConditions {
    /// Charge of a pulse over temperature.
    pub charge: Option<ChargeTemperatureFit>,
    /// Leakage over temperature.
    pub leakage: Option<LeakageTemperatureFit>,
    /// Width of a conversion over temperature and supply.
    pub readout: Option<ReadoutConditionsFit>,
    /// Signed width of a conversion over temperature and supply.
    pub readout_signed: Option<ReadoutConditionsFit>,
}

impl OverConditions {
    /// Reports of what there is.
    pub fn reports(&self) -> Vec<&ModelFit> {
        let cells = self.charge.iter().map(|fit| &fit.fit).chain(self.leakage.iter().map(|fit| &fit.fit));
        let converters = self.readout.iter().chain(&self.readout_signed);
        cells.chain(converters.map(|fit| &fit.fit)).collect()
    }
}

/// Fits what has run.
///
/// # Errors
/// [`crate::error::Kind::FitFailed`] naming the fit.
pub(super) fn over_conditions(
    datasets: &Datasets,
    tech: &Technology,
    capacitance: &[CapacitancePoint],
) -> Result<OverConditions> {
    let mut found = OverConditions::default();
    if let Some(dataset) = datasets.get(CONDITION_SWEEPS[0]) {
        let condition = ReadCondition { t_max_s: T_MAX_S, v_pre_v: tech.vdd_v / 2.0, v_zero_v: tech.vdd_v / 2.0 };
        let options = FormOptions { bit_line_order: 4, ..FormOptions::default() };
        let (train, test) = (charges(dataset, DESIGN)?, charges(dataset, HELD_OUT)?);
        found.charge = Some(fit_charge_temperature(&train, &test, &condition, LIMIT, &options)?);
    }
    if let (Some(currents), Some(holds)) = (datasets.get(CONDITION_SWEEPS[1]), datasets.get(CONDITION_SWEEPS[2])) {
        let (train, test) = (leakage(currents)?, drifts(holds)?);
        found.leakage = Some(fit_leakage_temperature(&train, capacitance, &test, tech.vdd_v, LIMIT)?);
    }
    let converter = |sweep: &str, signed: bool| -> Result<Option<ReadoutConditionsFit>> {
        let Some(dataset) = datasets.get(sweep) else { return Ok(None) };
        let points = |label: &str| conversions(dataset, label, signed);
        let (train, test) = (points(DESIGN)?, points(HELD_OUT)?);
        fit_readout_conditions(&train, &test, LIMIT, &ReadoutOptions::new(T_MAX_S), signed).map(Some)
    };
    found.readout = converter(CONDITION_SWEEPS[3], false)?;
    found.readout_signed = converter(CONDITION_SWEEPS[4], true)?;
    Ok(found)
}

fn charges(dataset: &Dataset, label: &str) -> Result<Vec<(f64, ChargePoint)>> {
    let points = super::rows::charges(dataset, label)?;
    Ok(set(dataset, label).numbers("temp_degc")?.into_iter().zip(points).collect())
}

fn leakage(dataset: &Dataset) -> Result<Vec<(f64, LeakagePoint)>> {
    let axis = grid(dataset, "i_leak_a")?;
    let view = dataset.ok();
    let (temperature, bias) = (view.numbers("temp_degc")?, view.numbers("v_wbl_v")?);
    let mut points = Vec::new();
    for (k, curve) in view.curve("i_leak_a").into_iter().enumerate() {
        points.extend(axis.iter().zip(curve.into_iter().flatten()).map(|(v_store_v, current)| {
            (temperature[k], LeakagePoint { v_store_v: *v_store_v, v_wbl_v: bias[k], leakage_a: -current })
        }));
    }
    Ok(points)
}

/// From the first sample on: before it, what floats inside the cell comes to rest.
fn drifts(dataset: &Dataset) -> Result<Vec<DriftPoint>> {
    let axis = grid(dataset, "v_hold_v")?;
    let view = dataset.ok();
    let (temperature, bias) = (view.numbers("temp_degc")?, view.numbers("v_wbl_v")?);
    let mut points = Vec::new();
    for (k, curve) in view.curve("v_hold_v").into_iter().enumerate() {
        let Some(curve) = curve else { continue };
        points.extend(axis.iter().zip(curve).skip(1).map(|(t_s, v_store_v)| DriftPoint {
            temperature_degc: temperature[k],
            v_start_v: curve[0],
            v_wbl_v: bias[k],
            age_s: t_s - axis[0],
            v_store_v: *v_store_v,
        }));
    }
    Ok(points)
}

fn conversions(dataset: &Dataset, label: &str, signed: bool) -> Result<Vec<(Condition, ConversionPoint)>> {
    let view = set(dataset, label);
    let (temperature, supply) = (view.numbers("temp_degc")?, view.numbers("vdd_v")?);
    let (charge, width) = (view.numbers("q_in_c")?, view.numbers("t_width_s")?);
    // A sign is high or low of half the supply.
    let positive: Vec<bool> = if signed {
        view.numbers("v_sign_v")?.iter().zip(&supply).map(|(sign, vdd)| *sign > vdd / 2.0).collect()
    } else {
        vec![true; charge.len()]
    };
    let point = |k: usize| {
        let at = Condition { temperature_degc: temperature[k], vdd_v: supply[k] };
        let width_s = if positive[k] { width[k] } else { -width[k] };
        (at, ConversionPoint { charge_c: charge[k], width_s })
    };
    Ok((0..charge.len()).map(point).collect())
}
