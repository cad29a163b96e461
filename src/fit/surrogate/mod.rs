//! A surrogate for any measurement over any parameters: what adaptive and multi-fidelity sweeps decide by.
//!
//! Kriging ([`process`]) in the unit cube of the parameters, with a linear trend, or with a low-fidelity trend (co-kriging
//! as of M. C. Kennedy and A. O'Hagan, Biometrika 87, 1 (2000): `y = b + rho low(x) + delta(x)`). Kernel, the scale of each
//! axis that could be logarithmic, and along which axes the response is all but straight, are chosen by the leave-one-out
//! error. A response that clips (a pulse that cannot be
//! shorter than none, or longer than its window) is modelled as a smooth latent one between the bounds: clipped points do
//! not bend it, and where it is surely beyond a bound nothing is uncertain. Where clipped points contradict it there is a knee,
//! and they bend the response there alone ([`knees`]); so do samples on a bend before the bound ([`bends`]).

mod bends;
mod kernel;
mod knees;
mod look_ahead;
mod process;
mod ranges;
mod tune;

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

pub use kernel::Kernel;
pub use look_ahead::LookAhead;
pub use process::{Hyperparameters, Prediction, Process, Straight};
pub use ranges::Axis;

use crate::Result;
use crate::fit::failed;

use knees::Knees;
use ranges::{scales, squared_distance, terms, unit};
use tune::Begin;

/// Most points that hyperparameters are searched on; the process itself uses all.
const TUNED_ON: usize = 350;
/// The same while kernel, scales and degree are chosen.
const CHOSEN_ON: usize = 120;
/// Share of the clip's span within which a value counts as clipped.
const CLIP_SLACK: f64 = 1e-3;
/// Greatest squared error over its predicted variance that one sample's counts as.
const MOST_MISFIT: f64 = 1e6;
/// What the expectation that errors are as predicted weighs, in samples.
const PRIOR_WEIGHT: f64 = 0.001;
/// What is left of the leave-one-out error, in root mean square, where an axis is taken as a straight one.
const STRAIGHT: f64 = 0.7;
/// Where the search for what is not straight along an axis begins, in deviations of the line.
const FIRST_BEND: f64 = 0.02;
/// And where that for how much less uncertain one of its ends is than the other begins: with either of both.
const FIRST_ENDS: [f64; 2] = [0.1, 10.0];

/// One simulated point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// One value per axis, in base units.
    pub at: Vec<f64>,
    /// What the low fidelity says there, if there is one.
    pub low: Option<f64>,
    /// The measured value.
    pub value: f64,
}

/// A point that could be simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// One value per axis, in base units.
    pub at: Vec<f64>,
    /// What the low fidelity says there, if there is one.
    pub low: Option<f64>,
}

/// How a surrogate is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Values between which the response is smooth, and at which it stands still.
    pub clip: Option<(f64, f64)>,
    /// Seed of the search's starts.
    pub seed: u64,
}

/// The choices that a later fit can start from.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    logarithmic: Vec<bool>,
    degree: usize,
    hyper: Hyperparameters,
}

/// A fitted surrogate.
#[derive(Debug, Clone)]
pub struct Surrogate {
    axes: Vec<Axis>,
    shape: Shape,
    process: Process,
    offset: f64,
    scale: f64,
    low_scale: f64,
    clip: Option<(f64, f64)>,
    knees: Option<Knees>,
    /// By sample of the smooth part: where it is, and its squared leave-one-out error over the predicted variance.
    misfits: Vec<(Vec<f64>, f64)>,
    /// Leave-one-out error and its predicted deviation by sample, in the measurement's unit.
    left_out: Vec<(f64, f64)>,
}

impl Surrogate {
    /// Fits `samples`; `start` continues from an earlier fit's choices with one short search.
    ///
    /// # Errors
    /// `FitFailed` for samples that are too few, not finite, or clipped all.
    pub fn fit(axes: &[Axis], samples: &[Sample], options: &Options, start: Option<&Shape>) -> Result<Surrogate> {
        let mut bent = Vec::new();
        let mut found = Surrogate::fit_but(axes, samples, options, start, &bent)?;
        // Samples on the bend before a plateau make the smooth part ring along its whole length, if that has to go through them.
        while let Some((without, anew)) = found.without_bends(axes, samples, options, start, &bent) {
            (bent, found) = (without, anew);
        }
        Ok(found)
    }

    /// As [`Surrogate::fit`], with the samples `bent` left to the knees.
    fn fit_but(
        axes: &[Axis],
        samples: &[Sample],
        options: &Options,
        start: Option<&Shape>,
        bent: &[usize],
    ) -> Result<Surrogate> {
        let finite = |s: &Sample| s.value.is_finite() && s.at.len() == axes.len() && s.at.iter().all(|x| x.is_finite());
        if let Some(k) = samples.iter().position(|s| !finite(s)) {
            return Err(failed("surrogate", format!("sample {k} is not finite"), "leave out points without a value"));
        }
        let with_low = samples.first().is_some_and(|s| s.low.is_some());
        let in_smooth = |k: usize| !is_clipped(samples[k].value, options.clip) && !bent.contains(&k);
        let inside: Vec<&Sample> = (0..samples.len()).filter(|k| in_smooth(*k)).map(|k| &samples[k]).collect();
        if inside.len() < axes.len() + 2 {
            let message = format!("{} samples that are not clipped cannot shape a surrogate", inside.len());
            return Err(failed("surrogate", message, "simulate more initial points"));
        }
        let ends = |f: &dyn Fn(&Sample) -> f64| {
            inside.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), s| (a.min(f(s)), b.max(f(s))))
        };
        let (least, most) = ends(&|s| s.value);
        let scale = if most > least { most - least } else { 1.0 };
        let low_ends = ends(&|s| s.low.unwrap_or(0.0));
        let low_scale = low_ends.0.abs().max(low_ends.1.abs()).max(f64::MIN_POSITIVE);
        let values: Vec<f64> = inside.iter().map(|s| (s.value - least) / scale).collect();
        let setting = |logarithmic: &[bool], degree: usize, most: usize| {
            // Evenly over the order given, so that early and late samples have their share.
            let (n, most) = (inside.len(), most.min(inside.len()));
            let some = || (0..most).map(|k| k * n / most).map(|k| (inside[k], &values[k]));
            let units: Vec<Vec<f64>> = some().map(|(s, _)| unit(axes, logarithmic, &s.at)).collect();
            let row = |(s, u): (&Sample, &Vec<f64>)| terms(u, s.low.map(|low| low / low_scale), degree);
            let rows: Vec<Vec<f64>> = some().zip(&units).map(|((s, _), u)| row((s, u))).collect();
            let trend = DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j]);
            let values: Vec<f64> = some().map(|(_, value)| *value).collect();
            (units, trend, values)
        };
        let tuned = |logarithmic: &[bool], degree, most, begin: Begin<'_>| {
            let (units, trend, values) = setting(logarithmic, degree, most);
            let hyper = tune::most_likely(&units, &trend, &values, begin, options.seed)?;
            Some(Shape { logarithmic: logarithmic.to_vec(), degree, hyper })
        };
        // Choices are judged on no more samples than tell them apart; the process of all samples is built once.
        let clip = options.clip.map(|clip| plateaus(clip, samples));
        let judged = |shape: Shape, most: usize| {
            let (units, trend, values) = setting(&shape.logarithmic, shape.degree, most);
            let process = Process::new(&shape.hyper, &units, &trend, &values)?;
            let squares: f64 = process.leave_one_out().iter().map(|(error, _)| error * error).sum();
            squares.is_finite().then_some((squares, shape))
        };
        let finished = |shape: Shape| {
            let (units, trend, values) = setting(&shape.logarithmic, shape.degree, usize::MAX);
            let process = Process::new(&shape.hyper, &units, &trend, &values)?;
            let left_out = process.leave_one_out();
            let misfit = |(unit, (error, sd)): (Vec<f64>, &(f64, f64))| (unit, (error / sd).powi(2).min(MOST_MISFIT));
            let misfits = units.into_iter().zip(&left_out).map(misfit).collect();
            let (axes, offset) = (axes.to_vec(), least);
            let mut surrogate = Surrogate {
                axes,
                shape,
                process,
                offset,
                scale,
                low_scale,
                clip,
                knees: None,
                misfits,
                left_out: Vec::new(),
            };
            surrogate.knees = surrogate.knees_of(samples, &in_smooth);
            surrogate.left_out = surrogate.leave_one_out(samples, &in_smooth, &left_out);
            Some(surrogate)
        };
        let better = |a: &(f64, Shape), b: &(f64, Shape)| a.0.total_cmp(&b.0);
        let chosen = match start {
            Some(shape) => Some(shape.clone()),
            None => {
                let degrees = if with_low { 0..=2 } else { 1..=2 };
                let least = *degrees.start();
                let enough = |degree: &usize| {
                    let terms = terms(&vec![0.5; axes.len()], with_low.then_some(0.5), *degree).len();
                    terms * 2 <= inside.len() || (*degree == least && terms < inside.len())
                };
                let mut tried = Vec::new();
                for logarithmic in scales(axes) {
                    for degree in degrees.clone().filter(enough) {
                        for kernel in Kernel::TRIED {
                            let shape = tuned(&logarithmic, degree, CHOSEN_ON, Begin::Anew(kernel));
                            tried.extend(shape.and_then(|shape| judged(shape, TUNED_ON)));
                        }
                    }
                }
                let mut best = tried.into_iter().min_by(better);
                // One axis after the other: is the response all but straight along it?
                for axis in 0..if axes.len() > 1 { axes.len() } else { 0 } {
                    let Some((before, shape)) = &best else { break };
                    let before = *before;
                    let straight = FIRST_ENDS.map(|ends| {
                        let mut begin = shape.hyper.clone();
                        begin.straight[axis] = Some(Straight { ends, bend: FIRST_BEND });
                        let tuned = tuned(&shape.logarithmic, shape.degree, CHOSEN_ON, Begin::At(&begin))?;
                        judged(tuned, TUNED_ON)
                    });
                    let clearly = |(squares, _): &(f64, Shape)| *squares < STRAIGHT * STRAIGHT * before;
                    best = straight.into_iter().flatten().filter(clearly).min_by(better).or(best);
                }
                best.map(|(_, shape)| shape)
            }
        };
        let polished = chosen.and_then(|shape| {
            let again = tuned(&shape.logarithmic, shape.degree, TUNED_ON, Begin::At(&shape.hyper));
            let both = [Some(shape), again].into_iter().flatten();
            both.filter_map(|shape| judged(shape, TUNED_ON)).min_by(better).and_then(|(_, shape)| finished(shape))
        });
        polished.ok_or_else(|| {
            failed("surrogate", "no correlation could be factorized", "give points that differ in every parameter")
        })
    }

    /// Mean and standard deviation at `at`, clipped.
    pub fn predict(&self, at: &[f64], low: Option<f64>) -> Prediction {
        let smooth = self.smooth(at, low);
        match (self.clip, &self.knees) {
            (Some((bottom, top)), Some(knees)) => {
                let mean = smooth.mean + knees.value(&unit(&self.axes, &self.shape.logarithmic, at));
                Prediction { mean: mean.clamp(bottom, top), ..smooth }
            }
            _ => smooth,
        }
    }

    /// The prediction of the smooth part alone, clipped.
    pub fn smooth(&self, at: &[f64], low: Option<f64>) -> Prediction {
        let latent = self.latent(at, low);
        let Some((bottom, top)) = self.clip else { return latent };
        let inside = |x: f64| x.clamp(bottom, top);
        // Half of what lies between the bounds of the interval of one deviation to each side.
        let sd = 0.5 * (inside(latent.mean + latent.sd) - inside(latent.mean - latent.sd));
        Prediction { mean: inside(latent.mean), sd }
    }

    fn latent(&self, at: &[f64], low: Option<f64>) -> Prediction {
        let unit = unit(&self.axes, &self.shape.logarithmic, at);
        let trend = terms(&unit, low.map(|low| low / self.low_scale), self.shape.degree);
        let found = self.process.predict(&unit, &trend);
        Prediction { mean: self.offset + self.scale * found.mean, sd: self.scale * found.sd }
    }

    /// Which plateau a value stands at: the lower (`false`) or the upper one (`true`), if it does.
    pub fn plateau(&self, value: f64) -> Option<bool> {
        let (bottom, top) = self.clip?;
        is_clipped(value, self.clip).then_some(value > 0.5 * (bottom + top))
    }

    /// How far apart two points are, each axis in units of its range.
    pub fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let unit = |at: &[f64]| unit(&self.axes, &self.shape.logarithmic, at);
        squared_distance(&unit(a), &unit(b)).sqrt()
    }

    /// How much greater squared errors are near `at` than the process predicts, by the leave-one-out errors of the samples
    /// about one spacing around it: 1 where they are as predicted. A stationary process is as sure beside a bend as on a
    /// plain, and this tells them apart.
    pub fn misfit(&self, at: &[f64]) -> f64 {
        let at = unit(&self.axes, &self.shape.logarithmic, at);
        let spacing = (self.misfits.len() as f64).powf(-1.0 / self.axes.len() as f64);
        let (mut weights, mut sum) = (PRIOR_WEIGHT, PRIOR_WEIGHT);
        for (point, misfit) in &self.misfits {
            let weight = (-0.5 * squared_distance(point, &at) / (0.75 * spacing).powi(2)).exp();
            weights += weight;
            sum += weight * misfit;
        }
        sum / weights
    }

    /// What simulating one of `places` after the other would tell of `references`, which stand for the ranges.
    pub fn look_ahead(&self, places: &[Place], references: &[Place]) -> LookAhead<'_> {
        let told = |places: &[Place]| {
            let one = |place: &Place| {
                let unit = unit(&self.axes, &self.shape.logarithmic, &place.at);
                let trend = terms(&unit, place.low.map(|low| low / self.low_scale), self.shape.degree);
                (unit, trend)
            };
            self.process.told(places.iter().map(one).collect())
        };
        // What is surely beyond a bound costs nothing, however uncertain the latent response is there.
        let weight = |place: &Place| {
            let (latent, smooth) = (self.latent(&place.at, place.low).sd, self.smooth(&place.at, place.low).sd);
            if latent > 0.0 { self.misfit(&place.at) * (smooth / latent).powi(2) } else { 0.0 }
        };
        let weights: Vec<f64> = references.iter().map(weight).collect();
        let unit = self.process.variance() * self.scale * self.scale;
        LookAhead::new(&self.process, told(places), &told(references), &weights, unit)
    }

    /// Root mean square of the leave-one-out errors, in the measurement's unit.
    pub fn estimated_error(&self) -> f64 {
        (self.left_out.iter().map(|(error, _)| error * error).sum::<f64>() / self.left_out.len() as f64).sqrt()
    }

    /// Leave-one-out error and its predicted deviation by sample.
    pub fn left_out(&self) -> &[(f64, f64)] {
        &self.left_out
    }

    /// Standard deviation of what no smooth function explains.
    pub fn noise(&self) -> f64 {
        self.scale * self.process.noise()
    }

    /// Kernel, lengths and scales, for the next fit.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What samples that take no part in the smooth part contradict it by.
    fn knees_of(&self, samples: &[Sample], in_smooth: &dyn Fn(usize) -> bool) -> Option<Knees> {
        let (bottom, top) = self.clip?;
        let miss = |k: usize| match in_smooth(k) {
            true => 0.0,
            false => samples[k].value - self.smooth(&samples[k].at, samples[k].low).mean,
        };
        let units: Vec<Vec<f64>> = samples.iter().map(|s| unit(&self.axes, &self.shape.logarithmic, &s.at)).collect();
        Knees::new(&units, &(0..samples.len()).map(miss).collect::<Vec<f64>>(), top - bottom)
    }

    /// `inside` has those of the smooth part's samples.
    fn leave_one_out(
        &self,
        samples: &[Sample],
        in_smooth: &dyn Fn(usize) -> bool,
        inside: &[(f64, f64)],
    ) -> Vec<(f64, f64)> {
        let mut inside = inside.iter();
        let knees = self.knees.as_ref().map_or_else(|| vec![0.0; samples.len()], Knees::leave_one_out);
        let one = |(k, (sample, knee)): (usize, (&Sample, f64))| match self.clip {
            // It took no part in the smooth part: its prediction is one already.
            Some((bottom, top)) if !in_smooth(k) => {
                let found = self.smooth(&sample.at, sample.low);
                Some(((found.mean + knee).clamp(bottom, top) - sample.value, found.sd))
            }
            _ => inside.next().map(|(error, sd)| (self.scale * error + knee, self.scale * sd)),
        };
        samples.iter().zip(knees).enumerate().filter_map(one).collect()
    }
}

/// Does `value` stand at a bound?
fn is_clipped(value: f64, clip: Option<(f64, f64)>) -> bool {
    clip.is_some_and(|(bottom, top)| {
        let slack = CLIP_SLACK * (top - bottom);
        value <= bottom + slack || value >= top - slack
    })
}

/// Where the response really stands still: the median of what is clipped at each bound, or the bound as told.
fn plateaus(clip: (f64, f64), samples: &[Sample]) -> (f64, f64) {
    let middle = 0.5 * (clip.0 + clip.1);
    let plateau = |below: bool, told: f64| {
        let mut values: Vec<f64> =
            samples.iter().map(|s| s.value).filter(|v| is_clipped(*v, Some(clip)) && (*v < middle) == below).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(told)
    };
    (plateau(true, clip.0), plateau(false, clip.1))
}
