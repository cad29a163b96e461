//! Rows to models: which columns of which sweep feed which fit.

use serde::{Deserialize, Serialize};

use super::conditions::{OverConditions, over_conditions};
use super::mismatch::{variability_cell, variability_readout, variability_write};
use super::noise::noise;
use super::rows::{Datasets, T_MAX_S, capacitance, charges, dataset, holds, leakage, set};
use super::spread::{Spreads, spreads};
use super::usable::check_datasets;
use super::{FloorFinding, floor_findings, latest_run};
use crate::dataset::Dataset;
use crate::error::{Kind, Problem, Result};
use crate::fit::dac::{DacCalibration, calibrate};
use crate::fit::noise::NoiseFit;
use crate::fit::nonlinearity::{
    ChargePoint, CubicFit, FormOptions, NonlinearityFit, ReadCondition, fit_form, fit_least_squares_cubic,
    fit_published_cubic,
};
use crate::fit::readout::{ConversionPoint, ReadoutFit, ReadoutOptions, fit_readout, fit_readout_signed};
use crate::fit::retention::{
    ExponentialFit, ExponentialKind, Hold, LeakageFit, LeakageOptions, WriteBitLine, fit_exponential, fit_leakage,
    frozen_holds,
};
use crate::fit::variability::VariabilityFit;
use crate::fit::write::{WriteFit, WritePoint, fit_write};
use crate::fit::{ModelFit, Parameter};
use crate::project::Project;
use crate::sweep::{DESIGN, HELD_OUT};
use crate::tech::Technology;

/// Sweeps that the models are fitted to, in the order in which they run.
pub const SWEEPS: [&str; 17] = [
    "device",
    "write",
    "leakage",
    "capacitance",
    "retention",
    "nonlinearity_dc",
    "nonlinearity",
    "nonlinearity_driven",
    "readout",
    "readout_signed",
    "variability_cell",
    "variability_branch",
    "variability_readout",
    "variability_write",
    "read_noise",
    "conversion_noise",
    "comparator_noise",
];

/// Sweeps that no table needs: distributions, temperature, supply. They run with the full profile, or by themselves.
pub const FURTHER_SWEEPS: [&str; 9] = [
    "variability_dc",
    "variability_corners",
    "variability_retention",
    "variability_readout_corners",
    "nonlinearity_temperature",
    "leakage_temperature",
    "retention_temperature",
    "readout_conditions",
    "readout_signed_conditions",
];

/// Levels that K and V are stored with.
pub const STORED_LEVELS: u32 = 8;
/// Limits on held-out errors, as fractions of full scale.
/// Noise: charges follow a density's root.
const LIMITS: Limits = Limits { write: 0.01, retention: 0.01, nonlinearity: 0.01, readout: 0.01, noise: 0.1 };
struct Limits {
    write: f64,
    retention: f64,
    nonlinearity: f64,
    readout: f64,
    noise: f64,
}

/// Every fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Driven level to stored voltage.
    pub write: WriteFit,
    /// Levels to drive so that the stored ones are evenly spaced.
    pub dac: DacCalibration,
    /// Leakage over capacitance, corrected on transients.
    pub retention: LeakageFit,
    /// The published single exponential.
    pub exponential: ExponentialFit,
    /// Charge of a cell.
    pub nonlinearity: NonlinearityFit,
    /// The published cubic on one fitted scale.
    pub published_cubic: CubicFit,
    /// The best cubic.
    pub cubic: CubicFit,
    /// First converter.
    pub readout: ReadoutFit,
    /// Second converter.
    pub readout_signed: ReadoutFit,
    /// Cells over mismatch.
    pub variability: VariabilityFit,
    /// First converters over mismatch.
    pub variability_readout: VariabilityFit,
    /// Stored voltages over mismatch of cell and write driver.
    pub variability_write: VariabilityFit,
    /// Noise of writes, reads and conversions.
    pub noise: NoiseFit,
    /// Distributions from sweeps beyond those of the table, where they have run.
    pub spreads: Spreads,
    /// Models over temperature and supply, where their sweeps have run.
    pub over_conditions: OverConditions,
}

impl Models {
    /// Reports of all fits, in a fixed order.
    pub fn reports(&self) -> Vec<&ModelFit> {
        let mut reports = vec![
            &self.write.fit,
            &self.retention.fit,
            &self.exponential.fit,
            &self.nonlinearity.fit,
            &self.published_cubic.fit,
            &self.cubic.fit,
            &self.readout.fit,
            &self.readout_signed.fit,
            &self.variability.fit,
            &self.variability_readout.fit,
            &self.variability_write.fit,
            &self.noise.fit,
        ];
        reports.extend(self.spreads.reports());
        reports.extend(self.over_conditions.reports());
        reports
    }

    /// Every fit with the sweeps that it takes its rows from.
    fn fits_and_sweeps(&mut self) -> [(&mut ModelFit, &'static [&'static str]); 12] {
        [
            (&mut self.write.fit, &["write"]),
            (&mut self.retention.fit, &["leakage", "capacitance", "retention"]),
            (&mut self.exponential.fit, &["retention"]),
            (&mut self.nonlinearity.fit, &["nonlinearity"]),
            (&mut self.published_cubic.fit, &["nonlinearity"]),
            (&mut self.cubic.fit, &["nonlinearity"]),
            (&mut self.readout.fit, &["readout"]),
            (&mut self.readout_signed.fit, &["readout_signed"]),
            (&mut self.variability.fit, &["variability_cell"]),
            (&mut self.variability_readout.fit, &["variability_readout"]),
            (&mut self.variability_write.fit, &["variability_write"]),
            (&mut self.noise.fit, &["read_noise", "conversion_noise", "comparator_noise", "capacitance"]),
        ]
    }

    /// Charge of one unit of p at full pulse length [C].
    pub fn charge_per_unit_c(&self) -> f64 {
        self.nonlinearity.model.charge_per_unit_c
    }
}

/// Is the model of that name only there to be compared with?
pub fn is_comparison(name: &str) -> bool {
    matches!(
        name,
        "retention_published_exponential" | "nonlinearity_published_cubic" | "nonlinearity_least_squares_cubic"
    )
}

/// Write bit line of an idle column: half the supply [V].
pub fn idle_v_wbl_v(tech: &Technology) -> f64 {
    tech.vdd_v / 2.0
}

/// The latest datasets of all [`SWEEPS`], and of [`FURTHER_SWEEPS`] what has run.
///
/// # Errors
/// Those of [`latest_run`] and of reading a run.
pub fn read_datasets(project: &Project, tech: &str) -> Result<Datasets> {
    let read = |name: &str, run: &std::path::Path| Ok((name.to_string(), Dataset::read(run)?));
    let needed = SWEEPS.iter().map(|name| read(name, &latest_run(project, name, tech)?));
    let others = FURTHER_SWEEPS.iter().filter_map(|name| Some(read(name, &latest_run(project, name, tech).ok()?)));
    needed.chain(others).collect()
}

/// Fits every model.
///
/// # Errors
/// [`Kind::FitFailed`] naming the sweep or the fit, what is wrong with its data and what to do.
pub fn fit_models(datasets: &Datasets, tech: &Technology) -> Result<Models> {
    check_datasets(datasets)?;
    let leakage_points = leakage(dataset(datasets, "leakage")?)?;
    let capacitance_points = capacitance(dataset(datasets, "capacitance")?, tech)?;
    let (train, test) = holds(dataset(datasets, "retention")?)?;
    let retention = fit_leakage(
        &leakage_points,
        &capacitance_points,
        &train,
        &test,
        tech.vdd_v,
        LIMITS.retention,
        &LeakageOptions::default(),
    )?;
    let all: Vec<Hold> = train.iter().chain(&test).cloned().collect();
    if let Some(first) = frozen_holds(&retention.model, &all)?.first() {
        let message = format!("the stored node stood still in hold `{}` although it leaks", all[*first].name);
        return Err(Problem::new(Kind::FitFailed, message)
            .key("retention")
            .help("check the bench's abstol: below the rounding of the on-current the transient ends early")
            .into());
    }
    let at_idle: Vec<Hold> = train
        .iter()
        .filter(|h| h.write_bit_line == WriteBitLine::Constant { v_wbl_v: idle_v_wbl_v(tech) })
        .cloned()
        .collect();
    let exponential = fit_exponential(ExponentialKind::Tau, &at_idle, &test, tech.vdd_v, LIMITS.retention)?;
    let condition = ReadCondition { t_max_s: T_MAX_S, v_pre_v: tech.vdd_v / 2.0, v_zero_v: tech.vdd_v / 2.0 };
    let cell = dataset(datasets, "nonlinearity")?;
    let (train, test) = (charges(cell, DESIGN)?, charges(cell, HELD_OUT)?);
    let nonlinearity = fit_form(
        &train,
        &test,
        &condition,
        LIMITS.nonlinearity,
        &FormOptions { bit_line_order: 4, ..FormOptions::default() },
    )?;
    // The published forms know no bit line: they are judged at the precharge, on levels between those of their fit.
    let at_precharge = |points: &[ChargePoint]| -> Vec<ChargePoint> {
        points.iter().filter(|p| (p.v_bl_v - condition.v_pre_v).abs() < 1e-9).copied().collect()
    };
    let (levels, between) = every_other_level(&at_precharge(&train));
    let published_cubic = fit_published_cubic(&levels, &between, &condition, LIMITS.nonlinearity)?;
    let cubic = fit_least_squares_cubic(&levels, &between, &condition, LIMITS.nonlinearity)?;
    let mut write = write(dataset(datasets, "write")?, tech)?;
    let dac = calibrate(&write, STORED_LEVELS, tech.vdd_v)?;
    describe_dac(&dac, &mut write.fit);
    let (readout, readout_signed) = (
        readout(dataset(datasets, "readout")?, tech, false)?,
        self::readout(dataset(datasets, "readout_signed")?, tech, true)?,
    );
    let noise = noise(datasets, tech, &capacitance_points, [&readout, &readout_signed], LIMITS.noise)?;
    let variability_readout = variability_readout(dataset(datasets, "variability_readout")?)?;
    let spreads = spreads(datasets, tech, &variability_readout.model)?;
    let mut models = Models {
        write,
        dac,
        retention,
        exponential,
        nonlinearity,
        published_cubic,
        cubic,
        readout,
        readout_signed,
        variability: variability_cell(dataset(datasets, "variability_cell")?)?,
        variability_readout,
        variability_write: variability_write(dataset(datasets, "variability_write")?, tech)?,
        noise,
        spreads,
        over_conditions: over_conditions(datasets, tech, &capacitance_points)?,
    };
    for (fit, sweeps) in models.fits_and_sweeps() {
        for name in sweeps {
            fit.notes.extend(weaknesses(dataset(datasets, name)?));
        }
    }
    Ok(models)
}

/// What a fit's reader must know of a sweep's rows: relaxed ones were left out, some measurements follow the simulator's floor.
fn weaknesses(dataset: &Dataset) -> Vec<String> {
    let sweep = &dataset.manifest.sweep;
    let relaxed = dataset.relaxed().len();
    let left_out = (relaxed > 0)
        .then(|| format!("{relaxed} rows of the sweep {sweep} ended well only at a relaxed tier and were left out"));
    let moved = |f: FloorFinding| {
        format!(
            "{} of the sweep {sweep} is dominated by the simulator's floor: it moved by up to {:.1} % at gmin/10 and tighter \
             tolerances, at {} of the points that ran again",
            f.column,
            100.0 * f.change,
            f.points
        )
    };
    left_out.into_iter().chain(floor_findings(dataset).into_iter().map(moved)).collect()
}

fn write(dataset: &Dataset, tech: &Technology) -> Result<WriteFit> {
    let points = |label: &str| -> Result<Vec<WritePoint>> {
        let view = set(dataset, label);
        let (level, previous) = (view.numbers("v_level_v")?, view.numbers("v_prev_v")?);
        let (settled, stored) = (view.numbers("v_written_v")?, view.numbers("v_stored_v")?);
        Ok((0..level.len())
            .map(|k| WritePoint {
                v_level_v: level[k],
                v_previous_v: previous[k],
                v_settled_v: Some(settled[k]),
                v_stored_v: stored[k],
            })
            .collect())
    };
    fit_write(&points(DESIGN)?, &points(HELD_OUT)?, tech.vdd_v, LIMITS.write)
}

/// The calibration among the write's numbers: a level's voltage each, and how even the stored levels are without and with it.
fn describe_dac(dac: &DacCalibration, fit: &mut ModelFit) {
    let number = |name: String, value: f64| Parameter::new(name, "V", value, None);
    let levels = dac.driven_v.iter().enumerate().map(|(k, v)| number(format!("dac_level_{k}_v"), *v));
    fit.parameters.extend(levels);
    fit.parameters.extend([
        number("dac_spacing_error_v".into(), dac.spacing_error_v),
        number("dac_uncalibrated_spacing_error_v".into(), dac.uncalibrated_spacing_error_v),
        number("dac_memory_v".into(), dac.memory_v),
    ]);
    let [low, high] = dac.reach_v;
    let unreachable: Vec<String> = dac.unreachable.iter().map(ToString::to_string).collect();
    let beyond = if unreachable.is_empty() {
        "every nominal level can be stored".to_string()
    } else {
        format!("no driven voltage stores the nominal levels {}", unreachable.join(", "))
    };
    fit.notes.push(format!(
        "driven at dac_level_*_v, the stored levels are evenly spaced over what the rails reach, {low:.4} to {high:.4} V; {beyond}"
    ));
}

fn every_other_level(points: &[ChargePoint]) -> (Vec<ChargePoint>, Vec<ChargePoint>) {
    let mut levels: Vec<f64> = points.iter().map(|p| p.v_store_v).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let even = |p: &ChargePoint| levels.iter().position(|v| *v == p.v_store_v).is_some_and(|k| k % 2 == 0);
    points.iter().copied().partition(even)
}

fn readout(dataset: &Dataset, tech: &Technology, signed: bool) -> Result<ReadoutFit> {
    let points = |label: &str| -> Result<Vec<ConversionPoint>> {
        let view = set(dataset, label);
        let (charge_c, width_s) = (view.numbers("q_in_c")?, view.numbers("t_width_s")?);
        let sign = if signed {
            view.numbers("v_sign_v")?.iter().map(|v| if *v > tech.vdd_v / 2.0 { 1.0 } else { -1.0 }).collect()
        } else {
            vec![1.0; charge_c.len()]
        };
        Ok((0..charge_c.len())
            .map(|k| ConversionPoint { charge_c: charge_c[k], width_s: sign[k] * width_s[k] })
            .collect())
    };
    let fit = if signed { fit_readout_signed } else { fit_readout };
    fit(&points(DESIGN)?, &points(HELD_OUT)?, LIMITS.readout, &ReadoutOptions::new(T_MAX_S))
}
