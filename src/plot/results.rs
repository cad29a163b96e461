//! From rows and models to figures: the seam between what is stored and what is drawn.

use super::iv::{Curve, IvData, Merit};
use super::noise::{NoiseData, NoiseSeries};
use super::nonlinearity_family::{Against, FamilyCurve, FamilyData};
use super::nonlinearity_level::{Charges, LevelData};
use super::readout::{ReadoutData, Transfer};
use super::retention::{Hold, RetentionData, Transient};
use super::validation::ValidationData;
use super::variability::VariabilityData;
use super::variability_levels::{LevelSpread, LevelsData};
use super::write::{WriteData, WriteSeries};
use super::{Conditions, Figure};
use super::{
    iv, noise, nonlinearity_family, nonlinearity_level, readout, retention, validation, variability,
    variability_levels, variability_spread, write,
};
use crate::campaign::{DEVICE_LENGTH_M, Datasets, Models, T_MAX_S, device_curves, device_verdicts};
use crate::dataset::{Dataset, View};
use crate::error::{Error, Kind, Problem, Result};
use crate::fit::noise::Density;
use crate::fit::readout::ReadoutFit;
use crate::fit::retention::{PUBLISHED_TAU_S, WriteBitLine};
use crate::sweep::{DESIGN, HELD_OUT, SET_LABEL};
use crate::tech::Technology;
use crate::validate::ValidationCase;

/// What the figures are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Results<'a> {
    /// Rows of every sweep.
    pub datasets: &'a Datasets,
    /// Models fitted to them.
    pub models: &'a Models,
    /// The technology.
    pub tech: &'a Technology,
    /// The cell's name.
    pub cell: &'a str,
}

/// The expected spread is that of a linear response: it shows whether the response is linear, not whether it is right.
const EXPECTATION: &str = "σ of a linear response to the draws";

/// Two numbers are the same swept value.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn fine(low: f64, high: f64) -> impl Iterator<Item = f64> {
    const STEPS: u32 = 120;
    (0..=STEPS).map(move |i| low + (high - low) * f64::from(i) / f64::from(STEPS))
}

fn ends(values: &[f64]) -> Result<(f64, f64)> {
    match values {
        [first, .., last] => Ok((*first, *last)),
        _ => Err(Problem::new(Kind::BadInput, "a sweep has fewer than two values of its axis")
            .help("look at its failed rows, then run it again")
            .into()),
    }
}

impl Results<'_> {
    /// Every figure but the validation's, by name, in the order of the report.
    ///
    /// # Errors
    /// [`Kind::BadInput`] or [`Kind::FitFailed`] if a sweep lacks a column or rows.
    pub fn figures(&self) -> Result<Vec<(&'static str, Figure)>> {
        let mut figures = vec![
            ("iv", iv::figure(&self.iv()?)),
            ("write", write::figure(&self.write()?)),
            ("retention", retention::figure(&self.retention()?)),
            ("nonlinearity_level", nonlinearity_level::figure(&self.level()?)),
            ("nonlinearity_width", nonlinearity_family::figure(&self.family(Against::PulseWidth)?)),
            ("nonlinearity_bit_line", nonlinearity_family::figure(&self.family(Against::BitLine)?)),
            ("readout", readout::figure(&self.readout()?)),
            ("variability_levels", variability_levels::figure(&self.levels()?)),
            ("variability", variability::figure(&self.variability()?)),
        ];
        figures.extend(self.spread()?.map(|data| ("variability_spread", variability_spread::figure(&data))));
        figures.push(("noise", noise::figure(&self.noise()?)));
        Ok(figures)
    }

    /// The cell's spectra at three levels and the conversion current's in the middle of its swing.
    ///
    /// # Errors
    /// [`Kind::FitFailed`] if a sweep is not there.
    pub fn noise(&self) -> Result<NoiseData> {
        let model = &self.models.noise.model;
        let read = self.dataset("read_noise")?;
        let mut series = Vec::new();
        let last = model.v_store_v.len().saturating_sub(1);
        for k in [0, model.v_store_v.len() / 2, last] {
            let label = format!("cell, stored {:.2} V", model.v_store_v[k]);
            series.extend(self.spectrum(read, "v_store_v", model.v_store_v[k], label, &model.cell[k])?);
        }
        let conversion = self.dataset("conversion_noise")?;
        let biases = conversion.ok().unique("v_bl_v");
        if let Some(bias) = biases.get(biases.len() / 2) {
            series.extend(self.spectrum(conversion, "v_bl_v", *bias, "conversion".to_string(), &model.conversion)?);
        }
        Ok(NoiseData { conditions: self.conditions(), t_max_s: T_MAX_S, series })
    }

    fn spectrum(
        &self,
        dataset: &Dataset,
        parameter: &str,
        value: f64,
        label: String,
        density: &Density,
    ) -> Result<Option<NoiseSeries>> {
        let column = "noise_a_per_rthz";
        let frequency_hz = dataset.grid(column).unwrap_or_default().to_vec();
        let view = dataset.ok().at(parameter, value);
        let Some(curve) = view.curve(column).into_iter().flatten().next() else { return Ok(None) };
        let fitted = frequency_hz.iter().map(|f| density.at(*f).sqrt()).collect();
        Ok(Some(NoiseSeries { label, frequency_hz, root_density: curve.to_vec(), fitted }))
    }

    /// The validation's figure: the age classes of one array on one die.
    pub fn validation(&self, cases: &[ValidationCase]) -> Figure {
        validation::figure(&ValidationData::from_cases(self.conditions(), cases))
    }

    /// Technology, cell, supply and temperature.
    pub fn conditions(&self) -> Conditions {
        Conditions {
            tech: self.tech.name.clone(),
            cell: self.cell.to_string(),
            vdd_v: self.tech.vdd_v,
            temperature_degc: self.tech.temperature_degc,
        }
    }

    fn dataset(&self, name: &str) -> Result<&Dataset> {
        self.datasets.get(name).ok_or_else(|| Error::new(Kind::BadInput, format!("sweep `{name}` was not read")))
    }

    /// Transfer curves and figures of merit.
    pub fn iv(&self) -> Result<IvData> {
        let mut curves = Vec::new();
        for flavour in device_curves(self.datasets, self.tech)? {
            for curve in [&flavour.curves.linear, &flavour.curves.saturated] {
                curves.push(Curve {
                    flavour: flavour.flavour.clone(),
                    v_drain_v: curve.v_drain_v,
                    v_gate_v: curve.v_gate_v.clone(),
                    i_drain_a_per_m: curve.i_drain_a.iter().map(|i| i / flavour.curves.width_m).collect(),
                });
            }
        }
        let label = |figure: &str| match figure {
            "ion" => "Ion".to_string(),
            "ioff" => "Ioff".to_string(),
            "ss" | "dibl" => figure.to_uppercase(),
            other => other.replace('_', " "),
        };
        let merits = device_verdicts(self.datasets, self.tech)?.into_iter().map(|verdict| Merit {
            figure: label(&verdict.target.figure),
            ratio: verdict.measured / verdict.target.value,
            tolerance: verdict.target.tolerance,
            flavour: verdict.flavour,
        });
        let merits = merits.collect();
        Ok(IvData { conditions: self.conditions(), length_m: DEVICE_LENGTH_M, curves, merits })
    }

    /// Stored against driven voltage.
    pub fn write(&self) -> Result<WriteData> {
        /// As the bench's write pulse.
        const T_WRITE_S: f64 = 6e-9;
        let rows = self.dataset("write")?.ok();
        let mut series = Vec::new();
        for (v_prev_v, view) in rows.labelled(SET_LABEL, DESIGN).split("v_prev_v") {
            let mut points: Vec<[f64; 3]> = Vec::new();
            let (level, written) = (view.numbers("v_level_v")?, view.numbers("v_written_v")?);
            for ((level, written), stored) in level.into_iter().zip(written).zip(view.numbers("v_stored_v")?) {
                points.push([level, written, stored]);
            }
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let column = |k: usize| points.iter().map(|point| point[k]).collect::<Vec<f64>>();
            let fitted_v = points.iter().map(|point| self.models.write.stored_v(point[0], v_prev_v)).collect();
            let (v_level_v, v_written_v, v_stored_v) = (column(0), column(1), column(2));
            series.push(WriteSeries { v_prev_v, v_level_v, v_written_v, v_stored_v, fitted_v });
        }
        let held = rows.labelled(SET_LABEL, HELD_OUT);
        let held_out = held.numbers("v_level_v")?.into_iter().zip(held.numbers("v_stored_v")?).collect();
        Ok(WriteData { conditions: self.conditions(), t_write_s: T_WRITE_S, series, held_out })
    }

    /// Hold transients, the leakage model from the same starts, and its rate.
    pub fn retention(&self) -> Result<RetentionData> {
        let dataset = self.dataset("retention")?;
        let ages = dataset
            .grid("v_hold_v")
            .ok_or_else(|| Error::new(Kind::BadInput, "sweep `retention` has no curve `v_hold_v`"))?;
        // The grid counts from the simulation's start; the hold begins 60 ns after the write did.
        const START_S: f64 = 60e-9;
        let t_s: Vec<f64> = ages.iter().map(|t| t - START_S).collect();
        let model = &self.models.retention.model;
        let (low, high) = ends(&model.v_store_v)?;
        let mut holds = Vec::new();
        for (v_wbl_v, view) in dataset.ok().labelled(SET_LABEL, DESIGN).split("v_wbl_v") {
            let line = WriteBitLine::Constant { v_wbl_v };
            let mut hold = Hold { v_wbl_v, equilibrium_v: model.equilibrium_v(line)?, ..Hold::default() };
            for (start, curve) in view.numbers("v_start_v")?.into_iter().zip(view.curve("v_hold_v")) {
                let Some(curve) = curve else { continue };
                hold.simulated.push(Transient { t_s: t_s.clone(), v_store_v: curve.to_vec() });
                hold.modelled
                    .push(Transient { t_s: t_s.clone(), v_store_v: self.models.retention.hold(line, start, &t_s)? });
            }
            hold.rate = fine(low, high).map(|v| Ok((v, model.rate(line, v)?))).collect::<Result<_>>()?;
            hold.rate_simulated = hold.simulated.iter().filter_map(early_rate).collect();
            holds.push(hold);
        }
        Ok(RetentionData {
            conditions: self.conditions(),
            holds,
            published_tau_s: PUBLISHED_TAU_S,
            published_zero_v: self.tech.vdd_v / 2.0,
        })
    }

    /// Charge of a full pulse against stored voltage.
    pub fn level(&self) -> Result<LevelData> {
        let model = &self.models.nonlinearity.model;
        let v_bl_v = model.condition.v_pre_v;
        let view = self.dataset("nonlinearity")?.ok().labelled(SET_LABEL, DESIGN);
        let view = view.at("t_pulse_s", T_MAX_S).at("v_bl_v", v_bl_v);
        let points = sorted(&view, "v_store_v")?;
        let v_store_v: Vec<f64> = points.iter().map(|(v, _)| *v).collect();
        let fitted = |v: f64| model.charge_c(v, T_MAX_S, v_bl_v);
        let published = |v: f64| self.models.published_cubic.charge_c(v, T_MAX_S);
        let (low, high) = ends(&v_store_v)?;
        Ok(LevelData {
            conditions: self.conditions(),
            t_pulse_s: T_MAX_S,
            v_bl_v,
            charge_per_unit_c: self.models.charge_per_unit_c(),
            full_scale_c: model.full_scale_c,
            fitted_line: fine(low, high).map(|v| (v, fitted(v))).collect(),
            published_line: fine(low, high).map(|v| (v, published(v))).collect(),
            grid: Charges {
                simulated_c: points.iter().map(|(_, q)| *q).collect(),
                fitted_c: v_store_v.iter().map(|v| fitted(*v)).collect(),
                published_c: v_store_v.iter().map(|v| published(*v)).collect(),
                v_store_v,
            },
            // Held-out points vary pulse width and bit line too: none lies on this cut.
            held_out: Charges::default(),
            limit: self.models.nonlinearity.fit.limit,
        })
    }

    /// Charge against pulse width at the precharge, or against the bit line at the full pulse.
    pub fn family(&self, against: Against) -> Result<FamilyData> {
        let model = &self.models.nonlinearity.model;
        let v_pre_v = model.condition.v_pre_v;
        let view = self.dataset("nonlinearity")?.ok().labelled(SET_LABEL, DESIGN);
        let (axis, held, view) = match against {
            Against::PulseWidth => ("t_pulse_s", v_pre_v, view.at("v_bl_v", v_pre_v)),
            Against::BitLine => ("v_bl_v", T_MAX_S, view.at("t_pulse_s", T_MAX_S)),
        };
        let mut curves = Vec::new();
        for (v_store_v, view) in view.split("v_store_v") {
            let points = sorted(&view, axis)?;
            let fitted = |x: f64| match against {
                Against::PulseWidth => model.charge_c(v_store_v, x, v_pre_v),
                Against::BitLine => model.charge_c(v_store_v, T_MAX_S, x),
            };
            let x: Vec<f64> = points.iter().map(|(x, _)| *x).collect();
            let (low, high) = ends(&x)?;
            let fine: Vec<f64> = match against {
                Against::PulseWidth => fine(low.ln(), high.ln()).map(f64::exp).collect(),
                Against::BitLine => fine(low, high).collect(),
            };
            curves.push(FamilyCurve {
                v_store_v,
                simulated_c: points.iter().map(|(_, q)| *q).collect(),
                fitted_c: x.iter().map(|x| fitted(*x)).collect(),
                fitted_line: fine.into_iter().map(|x| (x, fitted(x))).collect(),
                x,
            });
        }
        let (conditions, full_scale_c) = (self.conditions(), model.full_scale_c);
        let limit = self.models.nonlinearity.fit.limit;
        Ok(FamilyData { conditions, against, held, full_scale_c, curves, limit })
    }

    /// Both converters.
    pub fn readout(&self) -> Result<ReadoutData> {
        Ok(ReadoutData {
            conditions: self.conditions(),
            t_max_s: T_MAX_S,
            unsigned: self.transfer("readout", &self.models.readout)?,
            signed: self.transfer("readout_signed", &self.models.readout_signed)?,
            limit: self.models.readout.fit.limit,
        })
    }

    fn transfer(&self, sweep: &str, fit: &ReadoutFit) -> Result<Transfer> {
        let rows = self.dataset(sweep)?.ok();
        let signed = |set: &str| -> Result<Vec<(f64, f64)>> {
            let view = rows.labelled(SET_LABEL, set);
            let mut points: Vec<(f64, f64)> =
                view.numbers("q_in_c")?.into_iter().zip(view.numbers("t_width_s")?).collect();
            if fit.negative.is_some() {
                let negative = view.numbers("v_sign_v")?.into_iter().map(|v| v <= 0.5 * self.tech.vdd_v);
                points
                    .iter_mut()
                    .zip(negative)
                    .filter(|(_, negative)| *negative)
                    .for_each(|(point, _)| point.1 *= -1.0);
            }
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Ok(points)
        };
        let points = signed(DESIGN)?;
        let full = |branch: &crate::fit::readout::Branch| branch.offset_c + branch.t_sat_s / branch.gain_s_per_c;
        let (dead_zone_c, saturation_c) = match &fit.negative {
            // The branch of negative pulses is given in mirrored charge.
            Some(negative) => ((-negative.onset_c, fit.positive.onset_c), vec![-full(negative), full(&fit.positive)]),
            None => ((f64::NEG_INFINITY, fit.positive.onset_c), vec![full(&fit.positive)]),
        };
        Ok(Transfer {
            charge_c: points.iter().map(|(q, _)| *q).collect(),
            t_width_s: points.iter().map(|(_, t)| *t).collect(),
            fitted_s: points.iter().map(|(q, _)| fit.width_s(*q)).collect(),
            held_out: signed(HELD_OUT)?.into_iter().map(|(q, t)| (q, t, fit.width_s(q))).collect(),
            dead_zone_c: (dead_zone_c.0 < dead_zone_c.1).then_some(dead_zone_c),
            saturation_c,
        })
    }

    /// Charge of the dice at every level.
    pub fn levels(&self) -> Result<LevelsData> {
        let rows = self.dataset("variability_cell")?;
        let mut levels = Vec::new();
        for (v_store_v, view) in rows.ok().split("v_store_v") {
            let sigma_expected_c = self.sigma_expected(rows, v_store_v)?;
            levels.push(LevelSpread { v_store_v, charge_c: view.numbers("charge_c")?, sigma_expected_c });
        }
        Ok(LevelsData { conditions: self.conditions(), t_pulse_s: T_MAX_S, expectation: EXPECTATION.into(), levels })
    }

    /// Root of the sum over all draws of (sensitivity x standard deviation of the draw) squared; sensitivities are those of
    /// the linear response that the variability model was fitted with, as currents at the levels.
    fn sigma_expected(&self, rows: &Dataset, v_store_v: f64) -> Result<f64> {
        let levels = rows.ok().unique("v_store_v");
        let level = levels.iter().position(|v| near(*v, v_store_v));
        let Some((level, response)) = level.zip(self.models.variability.model.sensitivity.as_ref()) else {
            return Ok(f64::NAN);
        };
        let mut variance = 0.0;
        for (draw, amperes) in response.draws.iter().zip(&response.matrix[level]) {
            let draws = rows.ok().at("v_store_v", v_store_v).numbers(draw)?;
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let square = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (draws.len() as f64 - 1.0).max(1.0);
            variance += square * amperes.powi(2);
        }
        Ok(T_MAX_S * variance.sqrt())
    }

    /// Spread of cell and converter.
    pub fn variability(&self) -> Result<VariabilityData> {
        let cell = &self.models.variability.model;
        let (mut offset_c, mut gain) = (Vec::new(), Vec::new());
        let nominal = &self.models.variability_readout.model.mean;
        for (_, view) in self.dataset("variability_readout")?.ok().split("sample") {
            if let Some((slope, zero)) = line(&sorted_by(&view, "q_in_c", "t_width_s")?) {
                gain.push(slope / nominal[0]);
                offset_c.push(zero);
            }
        }
        let name = |name: &str| name.trim_start_matches("current_at_").trim_end_matches("v_a").replace('-', "−") + " V";
        Ok(VariabilityData {
            conditions: self.conditions(),
            expectation: EXPECTATION.into(),
            levels: self.levels()?.levels,
            parameters: cell.quantities.iter().map(|quantity| name(&quantity.name)).collect(),
            correlation: cell.correlation.clone(),
            offset_c,
            gain,
        })
    }
}

/// Slope and zero of the least-squares line.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>()
        / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    (slope.is_finite() && slope != 0.0).then(|| (slope, x - y / slope))
}

fn sorted(view: &View<'_>, axis: &str) -> Result<Vec<(f64, f64)>> {
    sorted_by(view, axis, "charge_c")
}

fn sorted_by(view: &View<'_>, x: &str, y: &str) -> Result<Vec<(f64, f64)>> {
    let mut points: Vec<(f64, f64)> = view.numbers(x)?.into_iter().zip(view.numbers(y)?).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(points)
}

/// Mean voltage and slope of the first tenth of a transient's time, by which the drift stands out of the rounding.
fn early_rate(transient: &Transient) -> Option<(f64, f64)> {
    let last = *transient.t_s.last()?;
    let k = transient.t_s.iter().position(|t| *t >= 0.1 * last).filter(|k| *k > 0)?;
    let (dv, dt) = (transient.v_store_v[k] - transient.v_store_v[0], transient.t_s[k] - transient.t_s[0]);
    Some((0.5 * (transient.v_store_v[k] + transient.v_store_v[0]), dv / dt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_rates_are_those_of_their_points() {
        let (slope, zero) = line(&[(1.0, 1.0), (2.0, 3.0), (3.0, 5.0)]).unwrap();
        assert!((slope - 2.0).abs() < 1e-12 && (zero - 0.5).abs() < 1e-12);
        assert_eq!(line(&[(1.0, 1.0)]), None);
        let t_s: Vec<f64> = (0..20).map(f64::from).collect();
        let v_store_v = t_s.iter().map(|t| 0.9 - 0.01 * t).collect();
        let (v, rate) = early_rate(&Transient { t_s, v_store_v }).unwrap();
        assert!((rate + 0.01).abs() < 1e-12 && (v - 0.89).abs() < 1e-12);
    }
}
