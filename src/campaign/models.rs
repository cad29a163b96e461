//! Rows to models: which columns of which sweep feed which fit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::noise::noise;
use super::usable::check_datasets;
use super::{FloorFinding, floor_findings, latest_run};
use crate::dataset::{Dataset, Row, View};
use crate::error::{Error, Kind, Problem, Result};
use crate::fit::dac::{DacCalibration, calibrate};
use crate::fit::noise::NoiseFit;
use crate::fit::nonlinearity::{
    ChargePoint, CubicFit, FormOptions, NonlinearityFit, ReadCondition, fit_form, fit_least_squares_cubic,
    fit_published_cubic,
};
use crate::fit::readout::{ConversionPoint, ReadoutFit, ReadoutOptions, fit_readout, fit_readout_signed};
use crate::fit::retention::{
    CapacitancePoint, ExponentialFit, ExponentialKind, Hold, LeakageFit, LeakageOptions, LeakagePoint, WriteBitLine,
    fit_exponential, fit_leakage, frozen_holds,
};
use crate::fit::split;
use crate::fit::variability::{Quantity, Samples, VariabilityFit, fit_variability};
use crate::fit::write::{WriteFit, WritePoint, fit_write};
use crate::fit::{ModelFit, Parameter};
use crate::project::Project;
use crate::sweep::{DESIGN, GUARD, HELD_OUT, SET_LABEL};
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

/// Longest word-line pulse of the arrays [s].
pub const T_MAX_S: f64 = 15e-9;
/// Levels that K and V are stored with.
pub const STORED_LEVELS: u32 = 8;
/// The supply that the benches' own numbers are for [V]; theirs scale with the technology's.
const BENCH_VDD_V: f64 = 0.9;
/// Limits on held-out errors, as fractions of full scale.
/// Noise: charges follow a density's root.
const LIMITS: Limits = Limits { write: 0.01, retention: 0.01, nonlinearity: 0.01, readout: 0.01, noise: 0.1 };
/// Mismatch samples of which the last third is held out.
const HELD_OUT_SHARE: f64 = 1.0 / 3.0;
/// Resamples behind the confidence intervals of distributions and transients.
const BOOTSTRAP: usize = 200;
/// Standard error of a normal sample's 1 % quantile, times the root of its size: sqrt(p (1 - p)) / pdf(quantile) [sigma].
const QUANTILE_ERROR: f64 = 3.733;

struct Limits {
    write: f64,
    retention: f64,
    nonlinearity: f64,
    readout: f64,
    noise: f64,
}

/// The datasets of every sweep by name.
pub type Datasets = BTreeMap<String, Dataset>;

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
}

impl Models {
    /// Reports of all fits, in a fixed order.
    pub fn reports(&self) -> Vec<&ModelFit> {
        vec![
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
        ]
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

/// The latest datasets of all [`SWEEPS`].
///
/// # Errors
/// Those of [`latest_run`] and of reading a run.
pub fn read_datasets(project: &Project, tech: &str) -> Result<Datasets> {
    SWEEPS.iter().map(|name| Ok(((*name).to_string(), Dataset::read(&latest_run(project, name, tech)?)?))).collect()
}

/// The dataset of one sweep.
pub(super) fn dataset<'a>(datasets: &'a Datasets, name: &str) -> Result<&'a Dataset> {
    datasets.get(name).ok_or_else(|| Error::new(Kind::Internal, format!("dataset `{name}` was not read")))
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
        &LeakageOptions { n_bootstrap: BOOTSTRAP, ..LeakageOptions::default() },
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
        &FormOptions { second_order_bit_line: true, ..FormOptions::default() },
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
        variability_readout: variability_readout(dataset(datasets, "variability_readout")?)?,
        variability_write: variability_write(dataset(datasets, "variability_write")?, tech)?,
        noise,
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

fn set<'a>(dataset: &'a Dataset, label: &str) -> View<'a> {
    dataset.ok().labelled(SET_LABEL, label)
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

pub(super) fn grid<'a>(dataset: &'a Dataset, column: &str) -> Result<&'a [f64]> {
    dataset.grid(column).ok_or_else(|| {
        Problem::new(Kind::FitFailed, format!("sweep `{}` has no curve `{column}`", dataset.manifest.sweep))
            .help("compare the sweep file with the one that the project ships")
            .into()
    })
}

/// `i_leak_a` is the current that the cell drives into its node; the fit's leakage leaves it.
fn leakage(dataset: &Dataset) -> Result<Vec<LeakagePoint>> {
    let axis = grid(dataset, "i_leak_a")?;
    let mut points = Vec::new();
    for (v_wbl_v, view) in dataset.ok().split("v_wbl_v") {
        for curve in view.curve("i_leak_a").into_iter().flatten() {
            points.extend(axis.iter().zip(curve).map(|(v_store_v, current)| LeakagePoint {
                v_store_v: *v_store_v,
                v_wbl_v,
                leakage_a: -current,
            }));
        }
    }
    Ok(points)
}

/// C = I / (dV/dt) on the bench's ramp, at 0.9 V of 1 V in 1 us from -0.05 V; the mean over the hold biases.
fn capacitance(dataset: &Dataset, tech: &Technology) -> Result<Vec<CapacitancePoint>> {
    const RAMP_START_S: f64 = 1e-9;
    let ramp_v_per_s = 1e6 * (tech.vdd_v / BENCH_VDD_V);
    let ramp_from_v = -0.05 * (tech.vdd_v / BENCH_VDD_V);
    let axis = grid(dataset, "i_ramp_a")?;
    let view = dataset.ok();
    let curves: Vec<&[f64]> = view.curve("i_ramp_a").into_iter().flatten().collect();
    if curves.is_empty() {
        let problem = Problem::new(Kind::FitFailed, "no good row of the capacitance sweep").key("retention");
        return Err(problem.help("look at the sweep's failed rows, then run it again").into());
    }
    Ok(axis
        .iter()
        .enumerate()
        .map(|(k, t)| CapacitancePoint {
            v_store_v: ramp_from_v + ramp_v_per_s * (t - RAMP_START_S),
            c_store_f: curves.iter().map(|c| c[k]).sum::<f64>() / curves.len() as f64 / ramp_v_per_s,
        })
        .collect())
}

fn holds(dataset: &Dataset) -> Result<(Vec<Hold>, Vec<Hold>)> {
    const START_S: f64 = 60e-9;
    let axis = grid(dataset, "v_hold_v")?;
    let of = |label: &str| -> Result<Vec<Hold>> {
        let view = set(dataset, label);
        let (bias, start) = (view.numbers("v_wbl_v")?, view.numbers("v_start_v")?);
        let level = view.numbers("v_level_v")?;
        let curves = view.curve("v_hold_v");
        Ok((0..bias.len())
            .filter_map(|k| {
                let curve = curves[k]?;
                Some(Hold {
                    name: format!("v_level_v = {:.3}, v_wbl_v = {:.3}", level[k], bias[k]),
                    write_bit_line: WriteBitLine::Constant { v_wbl_v: bias[k] },
                    t_s: std::iter::once(START_S).chain(axis.iter().copied()).collect(),
                    v_store_v: std::iter::once(start[k]).chain(curve.iter().copied()).collect(),
                })
            })
            .collect())
    };
    Ok((of(DESIGN)?, of(HELD_OUT)?))
}

fn charges(dataset: &Dataset, label: &str) -> Result<Vec<ChargePoint>> {
    let view = set(dataset, label);
    let (v_store_v, t_pulse_s) = (view.numbers("v_store_v")?, view.numbers("t_pulse_s")?);
    let (v_bl_v, charge_c) = (view.numbers("v_bl_v")?, view.numbers("charge_c")?);
    Ok((0..v_store_v.len())
        .map(|k| ChargePoint {
            v_store_v: v_store_v[k],
            t_pulse_s: t_pulse_s[k],
            v_bl_v: v_bl_v[k],
            charge_c: charge_c[k],
        })
        // The sweep goes a little beyond: a converter's full pulse is some picoseconds longer than T_max.
        .filter(|point| point.t_pulse_s <= T_MAX_S * (1.0 + 1e-9))
        .collect())
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

/// Names of the columns that hold device draws.
pub(super) fn draw_columns(dataset: &Dataset) -> Vec<String> {
    dataset.manifest.values.iter().map(|c| c.name.clone()).filter(|name| name.starts_with("draw_")).collect()
}

/// One row per sample: `of(view of the sample)`, and the sample's draws.
fn samples(
    dataset: &Dataset,
    draws: &[String],
    of: impl Fn(&View<'_>) -> Result<Vec<f64>>,
) -> Result<(Samples, Samples)> {
    let ok = dataset.ok();
    let split = ok.split("sample");
    // A guard's repetition of one of its points is none of the sample's.
    let own = |row: &Row| row.labels.get(SET_LABEL).is_none_or(|set| set != GUARD);
    let wanted = dataset.all().at("sample", 0.0).filter(own).len();
    let mut rows: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for (_, view) in &split {
        // A sample that lost a point has no complete set of parameters; it counts as missing.
        if view.len() == wanted {
            let drawn = draws.iter().map(|name| Ok(view.numbers(name)?[0])).collect::<Result<Vec<f64>>>()?;
            rows.push((of(view)?, drawn));
        }
    }
    let count = rows.len();
    let held_out = (count as f64 * HELD_OUT_SHARE).round() as usize;
    let (train, test) = split::by(count, |k| k >= count - held_out).apply(&rows);
    let gather = |rows: Vec<(Vec<f64>, Vec<f64>)>| {
        let (values, draws) = rows.into_iter().unzip();
        Samples { values, draws }
    };
    Ok((gather(train), gather(test)))
}

/// Limit on the error of a distribution's figures: three standard errors of the 1 % quantile that the held-out samples
/// themselves have, for the quantity that scatters most. A smaller error cannot be told from chance.
fn distribution_limit(quantities: &[Quantity], train: &Samples, test: &Samples) -> f64 {
    let spread = |k: usize| {
        let n = train.values.len() as f64;
        let mean = train.values.iter().map(|v| v[k]).sum::<f64>() / n;
        (train.values.iter().map(|v| (v[k] - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    };
    let widest = quantities.iter().enumerate().map(|(k, q)| spread(k) / q.full_scale).fold(0.0, f64::max);
    3.0 * QUANTILE_ERROR / (test.values.len() as f64).sqrt() * widest
}

fn variability_cell(dataset: &Dataset) -> Result<VariabilityFit> {
    let draws = draw_columns(dataset);
    let levels = dataset.ok().unique("v_store_v");
    let current = |view: &View<'_>| -> Result<Vec<f64>> {
        levels.iter().map(|v| Ok(view.at("v_store_v", *v).numbers("charge_c")?[0] / T_MAX_S)).collect()
    };
    let (train, test) = samples(dataset, &draws, current)?;
    let full_scale = train.values.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs()));
    let quantities: Vec<Quantity> = levels
        .iter()
        .map(|v| Quantity { name: format!("current_at_{:.3}v_a", v), unit: "A".into(), full_scale })
        .collect();
    let limit = distribution_limit(&quantities, &train, &test);
    fit_variability(&quantities, &draws, &train, &test, limit, BOOTSTRAP, 1)
}

/// Offset and gain of each converter, from the line through its widths.
fn variability_readout(dataset: &Dataset) -> Result<VariabilityFit> {
    let line = |view: &View<'_>| -> Result<Vec<f64>> {
        let (charge_c, width_s) = (view.numbers("q_in_c")?, view.numbers("t_width_s")?);
        let n = charge_c.len() as f64;
        let (mean_q, mean_t) = (charge_c.iter().sum::<f64>() / n, width_s.iter().sum::<f64>() / n);
        let covariance: f64 = charge_c.iter().zip(&width_s).map(|(q, t)| (q - mean_q) * (t - mean_t)).sum();
        let gain = covariance / charge_c.iter().map(|q| (q - mean_q).powi(2)).sum::<f64>();
        Ok(vec![gain, mean_q - mean_t / gain])
    };
    let (train, test) = samples(dataset, &[], line)?;
    let gain = train.values.iter().map(|v| v[0]).sum::<f64>() / train.values.len().max(1) as f64;
    let quantities = [
        Quantity { name: "gain_s_per_c".into(), unit: "s/C".into(), full_scale: gain },
        Quantity { name: "offset_c".into(), unit: "C".into(), full_scale: T_MAX_S / gain },
    ];
    let limit = distribution_limit(&quantities, &train, &test);
    let mut fit = fit_variability(&quantities, &[], &train, &test, limit, BOOTSTRAP, 2)?;
    fit.fit.name = "variability_readout".to_string();
    Ok(fit)
}

/// Stored voltages of the levels, die by die, from half the supply.
fn variability_write(dataset: &Dataset, tech: &Technology) -> Result<VariabilityFit> {
    let levels = dataset.ok().unique("v_level_v");
    let stored = |view: &View<'_>| -> Result<Vec<f64>> {
        levels.iter().map(|v| Ok(view.at("v_level_v", *v).numbers("v_stored_v")?[0])).collect()
    };
    let (train, test) = samples(dataset, &[], stored)?;
    let quantity =
        |v: &f64| Quantity { name: format!("stored_at_{v:.3}v_v"), unit: "V".into(), full_scale: tech.vdd_v };
    let quantities: Vec<Quantity> = levels.iter().map(quantity).collect();
    let limit = distribution_limit(&quantities, &train, &test);
    let mut fit = fit_variability(&quantities, &[], &train, &test, limit, BOOTSTRAP, 3)?;
    fit.fit.name = "variability_write".to_string();
    Ok(fit)
}
