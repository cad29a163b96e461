//! Reading signals out of ngspice's plots.
//!
//! `v(x)` is the vector `x`, `i(vbl)` is `vbl#branch`, `v(a,b)` is a difference; any other name is taken as the vector's
//! own (`@m.x1.mn1[id]`, `onoise_spectrum`). In an AC analysis `v(x)` and `i(x)` are magnitudes; `vm vp vr vi` and
//! `im ip ir ii` give magnitude, phase [rad], real and imaginary part.

use std::collections::BTreeMap;

use super::ffi::{Ngspice, Vector};
use crate::waveform::Waveform;

/// Names that ngspice gives the scale of a plot.
const SCALES: &[&str] = &["time", "frequency", "v-sweep", "i-sweep", "res-sweep", "temp-sweep", "param-sweep"];

/// A plot that an analysis left.
pub struct Plot {
    name: String,
    /// Vectors by lower-case name.
    vectors: BTreeMap<String, String>,
}

impl Plot {
    /// The plot that the last analysis left: the current one, or for `noise` the spectra rather than the totals.
    pub fn newest(ngspice: &mut Ngspice) -> Option<Plot> {
        // The first is all that most analyses leave; listing the others costs time at every point.
        let current = ngspice.current_plot();
        let first = Plot::named(ngspice, current);
        if first.as_ref().is_some_and(|plot| plot.scale().is_some()) {
            return first;
        }
        let others: Vec<Plot> = ngspice.plots().into_iter().filter_map(|name| Plot::named(ngspice, name)).collect();
        let (mut spectra, totals): (Vec<Plot>, Vec<Plot>) = others.into_iter().partition(|plot| plot.scale().is_some());
        if spectra.is_empty() { first.or_else(|| totals.into_iter().next()) } else { Some(spectra.remove(0)) }
    }

    fn named(ngspice: &mut Ngspice, name: String) -> Option<Plot> {
        if name == "const" || name.is_empty() {
            return None;
        }
        let vectors = ngspice.vectors(&name).into_iter().map(|v| (v.to_ascii_lowercase(), v)).collect();
        Some(Plot { name, vectors })
    }

    fn scale(&self) -> Option<&String> {
        SCALES.iter().find_map(|scale| self.vectors.get(*scale))
    }

    /// The axis; one zero for an operating point; `None` if the analysis produced nothing.
    pub fn axis(&self, ngspice: &mut Ngspice) -> Option<Vec<f64>> {
        let Some(scale) = self.scale() else {
            return self.vectors.values().next().map(|_| vec![0.0]);
        };
        match ngspice.vector(&self.name, scale)? {
            Vector::Real(samples) => Some(samples),
            Vector::Complex(samples) => Some(samples.into_iter().map(|(real, _)| real).collect()),
        }
    }

    /// Reads `signals` over `axis`.
    ///
    /// # Errors
    /// The first signal that the plot does not hold, or not as long as the axis.
    pub fn read(&self, ngspice: &mut Ngspice, axis: Vec<f64>, signals: &[String]) -> Result<Waveform, String> {
        let mut waveform = Waveform { axis, signals: BTreeMap::new() };
        for signal in signals {
            let name: String = signal.to_ascii_lowercase().split_whitespace().collect();
            if waveform.signals.contains_key(&name) {
                continue;
            }
            let samples = self.signal(ngspice, &name).filter(|samples| samples.len() == waveform.axis.len());
            let samples = samples.ok_or_else(|| format!("no signal `{signal}` in the results; is it saved?"))?;
            waveform.signals.insert(name, samples);
        }
        Ok(waveform)
    }

    fn signal(&self, ngspice: &mut Ngspice, name: &str) -> Option<Vec<f64>> {
        let Some((part, inner)) = functional(name) else {
            return self.vector(ngspice, name).map(|vector| project(vector, "m"));
        };
        let (quantity, part) = part.split_at(1);
        if quantity == "i" {
            return self.vector(ngspice, &format!("{inner}#branch")).map(|vector| project(vector, part));
        }
        match inner.split_once(',') {
            None => self.node(ngspice, inner).map(|vector| project(vector, part)),
            Some((plus, "0")) => self.node(ngspice, plus).map(|vector| project(vector, part)),
            Some((plus, minus)) => {
                let difference = match (self.node(ngspice, plus)?, self.node(ngspice, minus)?) {
                    (Vector::Real(a), Vector::Real(b)) => Vector::Real(a.iter().zip(&b).map(|(a, b)| a - b).collect()),
                    (Vector::Complex(a), Vector::Complex(b)) => {
                        Vector::Complex(a.iter().zip(&b).map(|(a, b)| (a.0 - b.0, a.1 - b.1)).collect())
                    }
                    _ => return None,
                };
                Some(project(difference, part))
            }
        }
    }

    /// A node's voltage; nodes with plain numbers for names appear as `V(1)` in plots.
    fn node(&self, ngspice: &mut Ngspice, node: &str) -> Option<Vector> {
        self.vector(ngspice, node).or_else(|| self.vector(ngspice, &format!("v({node})")))
    }

    fn vector(&self, ngspice: &mut Ngspice, name: &str) -> Option<Vector> {
        ngspice.vector(&self.name, self.vectors.get(name)?)
    }
}

/// `vp(x)` as (`vp`, `x`).
fn functional(name: &str) -> Option<(&str, &str)> {
    let (function, rest) = name.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    matches!(function, "v" | "vm" | "vp" | "vr" | "vi" | "i" | "im" | "ip" | "ir" | "ii").then_some((function, inner))
}

fn project(vector: Vector, part: &str) -> Vec<f64> {
    let samples = match vector {
        Vector::Real(samples) if part != "p" && part != "i" => return samples,
        Vector::Real(samples) => samples.into_iter().map(|real| (real, 0.0)).collect(),
        Vector::Complex(samples) => samples,
    };
    let part: fn((f64, f64)) -> f64 = match part {
        "p" => |(real, imaginary)| imaginary.atan2(real),
        "r" => |(real, _)| real,
        "i" => |(_, imaginary)| imaginary,
        _ => |(real, imaginary)| real.hypot(imaginary),
    };
    samples.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_parts() {
        assert_eq!(functional("vp(out)"), Some(("vp", "out")));
        assert_eq!(functional("v(a,b)"), Some(("v", "a,b")));
        assert_eq!(functional("@m1[id]"), None);
        let z = Vector::Complex(vec![(3.0, 4.0)]);
        assert_eq!(project(z.clone(), ""), [5.0]);
        assert_eq!(project(z.clone(), "r"), [3.0]);
        assert_eq!(project(z.clone(), "i"), [4.0]);
        assert_eq!(project(z, "p"), [4f64.atan2(3.0)]);
        assert_eq!(project(Vector::Real(vec![-2.0]), ""), [-2.0], "a real signal keeps its sign");
    }
}
