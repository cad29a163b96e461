//! Variants of a sweep that no file has to spell out: over process, voltage and temperature; on dice; with a parameter held.
//!
//! A variant is a run of its own beside the sweep's. Rows that both have are simulated once, because rows have identities.

use super::{Corner, Mismatch, SweepSpec};
use crate::error::{Error, Kind, Problem, Result};
use crate::tech::Technology;
use crate::units::parse_quantity;

/// First words of a variant's steps; the last two are also what its name ends with.
pub(super) const CORNERS: &str = "corners";
const HOLD: &str = "hold";
const PVT: &str = "pvt";
const DICE: &str = "dice";
/// How far the supply may be off.
const SUPPLY_SPREAD: f64 = 0.1;
/// Temperatures of the extremes where the technology states no range [degC].
const USUAL_RANGE_DEGC: (f64, f64) = (-40.0, 125.0);

impl SweepSpec {
    /// The variant that `steps` made of this sweep, as [`SweepSpec::steps`] and a run's manifest hold them.
    ///
    /// # Errors
    /// Those of [`SweepSpec::holding`] and [`SweepSpec::at_corners`]; [`Kind::DataDamaged`] for a step that no version wrote.
    pub fn again(self, steps: &[String], tech: &Technology) -> Result<SweepSpec> {
        steps.iter().try_fold(self, |spec, step| match step.split_once(' ') {
            Some((CORNERS, names)) => spec.at_corners(&names.split(' ').map(str::to_string).collect::<Vec<_>>(), tech),
            Some((HOLD, text)) => spec.holding(text),
            None if step == PVT => Ok(spec.over_pvt(tech)),
            Some((DICE, numbers)) => {
                let mut numbers = numbers.split(' ').map(str::parse);
                match (numbers.next(), numbers.next()) {
                    (Some(Ok(samples)), Some(Ok(seed))) => Ok(spec.on_dice(samples, seed)),
                    _ => Err(unheard_of(step)),
                }
            }
            _ => Err(unheard_of(step)),
        })
    }

    /// The design over process, voltage and temperature: each process corner of the technology at nominal conditions, and its
    /// fast and slow one (nominal, where it has none) hot and cold, at a supply 10 % high where fast, low where slow. A condition
    /// that the design sweeps itself is left to it.
    #[must_use]
    pub fn over_pvt(mut self, tech: &Technology) -> SweepSpec {
        let known = |name: &str| tech.corners.iter().any(|corner| corner.name == name);
        let swept = |name: &str| self.parameters.iter().any(|parameter| parameter.name == name);
        let conditions = |factor: f64, temp_degc: f64| -> Vec<(String, f64)> {
            let both = [("vdd", tech.vdd_v * factor), ("temp", temp_degc)];
            both.into_iter().filter(|(name, _)| !swept(name)).map(|(name, value)| (name.to_string(), value)).collect()
        };
        let (cold, hot) = tech.temperature_range_degc.unwrap_or(USUAL_RANGE_DEGC);
        let mut corners: Vec<Corner> = tech
            .corners
            .iter()
            .map(|corner| Corner {
                name: corner.name.clone(),
                process: Some(corner.name.clone()),
                values: conditions(1.0, tech.temperature_degc),
            })
            .collect();
        if corners.is_empty() {
            let values = conditions(1.0, tech.temperature_degc);
            corners.push(Corner { name: "nominal".to_string(), process: None, values });
        }
        for (process, level, factor) in [("ff", "high", 1.0 + SUPPLY_SPREAD), ("ss", "low", 1.0 - SUPPLY_SPREAD)] {
            for (name, temp_degc) in [("hot", hot), ("cold", cold)] {
                let (prefix, process) = if known(process) {
                    (format!("{process}_"), Some(process.to_string()))
                } else {
                    (String::new(), None)
                };
                let name = format!("{prefix}{name}_{level}");
                corners.push(Corner { name, process, values: conditions(factor, temp_degc) });
            }
        }
        self.corners = corners;
        self.varied(PVT, "over process, voltage and temperature", "")
    }

    /// The design at every process corner of the technology, at its nominal supply and temperature; of a technology without
    /// corners, at `nominal`.
    #[must_use]
    pub fn over_process(mut self, tech: &Technology) -> SweepSpec {
        let corner = |name: &str, process: Option<String>| Corner { name: name.into(), process, values: Vec::new() };
        self.corners = tech.corners.iter().map(|of| corner(&of.name, Some(of.name.clone()))).collect();
        if self.corners.is_empty() {
            self.corners.push(corner("nominal", None));
        }
        self
    }

    /// The design on `samples` dice: every transistor of the bench has its own mismatch.
    #[must_use]
    pub fn on_dice(mut self, samples: u64, seed: u64) -> SweepSpec {
        // The empty path is above every instance.
        self.mismatch = Some(Mismatch { samples, seed, instances: vec![String::new()] });
        self.corners.clear();
        self.varied(DICE, &format!("on {samples} dice"), &format!("{samples} {seed}"))
    }

    /// The design with a parameter held, from `name=quantity`; voltages as the file writes them, for its own technology.
    ///
    /// # Errors
    /// [`Kind::SpecKey`] for a parameter that is not swept, [`Kind::SpecUnit`] for a quantity that is none.
    pub fn holding(mut self, text: &str) -> Result<SweepSpec> {
        let (name, quantity) = text.split_once('=').unwrap_or((text, ""));
        let name = name.trim().to_ascii_lowercase();
        let known: Vec<String> = self.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let Some(parameter) = self.parameters.iter_mut().find(|parameter| parameter.name == name) else {
            let problem = Problem::new(Kind::SpecKey, format!("sweep `{}` has no parameter `{name}`", self.name));
            return Err(problem.file(&self.file).key("parameters").accepted(known.join(", ")).into());
        };
        let value = parse_quantity(quantity, parameter.unit).map_err(|message| {
            let accepted = format!("{name}={}", parameter.unit.example().trim_matches('"'));
            Error::from(Problem::new(Kind::SpecUnit, message).key(text).accepted(accepted))
        })?;
        let value = self.scales.of(value, parameter.unit);
        parameter.values = vec![value];
        parameter.range = (value, value);
        parameter.listed = true;
        self.held_out = None;
        self.rehash(text);
        self.steps.push(format!("{HOLD} {}", text.trim()));
        Ok(self)
    }

    fn varied(mut self, suffix: &str, title: &str, words: &str) -> SweepSpec {
        self.name = format!("{}_{suffix}", self.name);
        self.title = format!("{}, {title}", self.title);
        // Fits and the guard look at the sweep itself.
        self.held_out = None;
        self.guard.points = 0;
        (self.adaptive, self.multifidelity) = (None, None);
        let step = format!("{suffix} {words}");
        self.rehash(&step);
        self.steps.push(step.trim().to_string());
        self
    }

    fn rehash(&mut self, words: &str) {
        self.hash = blake3::hash(format!("{} {words}", self.hash).as_bytes()).to_hex()[..32].to_string();
    }
}

fn unheard_of(step: &str) -> Error {
    let problem = Problem::new(Kind::DataDamaged, format!("a run says that it varied its sweep by `{step}`"));
    problem.accepted("`corners NAMES`, `hold NAME=QUANTITY`, `pvt` or `dice SAMPLES SEED`").into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn spec() -> (SweepSpec, Technology) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let netlists = root.join("netlists");
        let tech = Technology::find("generic28", &netlists.join("tech")).unwrap();
        (SweepSpec::read(&root.join("sweeps/write.toml"), &netlists.join("benches")).unwrap(), tech)
    }

    #[test]
    fn process_voltage_and_temperature_are_nine_corners() {
        let (spec, tech) = spec();
        let pvt = spec.clone().over_pvt(&tech);
        assert_eq!(pvt.corners.len(), tech.corners.len() + 4);
        let slow = pvt.corners.iter().find(|corner| corner.name == "ss_cold_low").unwrap();
        assert_eq!(slow.process.as_deref(), Some("ss"));
        assert_eq!(slow.values, [("vdd".to_string(), 0.9 * 0.9), ("temp".to_string(), -40.0)]);
        assert!(pvt.name == "write_pvt" && pvt.hash != spec.hash && pvt.held_out.is_none());
        let bare = Technology { corners: Vec::new(), ..tech };
        let names: Vec<String> = spec.over_pvt(&bare).corners.into_iter().map(|corner| corner.name).collect();
        assert_eq!(names, ["nominal", "hot_high", "cold_high", "hot_low", "cold_low"]);
    }

    #[test]
    fn a_held_parameter_is_one_value_and_a_wrong_one_says_what_there_is() {
        let (spec, _) = spec();
        let held = spec.clone().holding("v_level=0.6 V").unwrap().holding("V_PREV=900mV").unwrap().on_dice(1000, 7);
        assert!(held.parameters.iter().all(|parameter| parameter.values.len() == 1));
        assert_eq!(held.mismatch.as_ref().map(|mismatch| mismatch.samples), Some(1000));
        assert_eq!(held.name, "write_dice");
        let error = spec.clone().holding("v_leve=1 V").unwrap_err().to_string();
        assert!(error.contains("v_level, v_prev"), "{error}");
        assert!(spec.holding("v_level=1 s").is_err());
    }

    #[test]
    fn steps_make_the_same_variant_again() {
        let (spec, tech) = spec();
        let pvt = spec.clone().holding("v_prev=0V").unwrap().over_pvt(&tech);
        assert_eq!(pvt.steps, ["hold v_prev=0V", "pvt"]);
        assert_eq!(spec.clone().again(&pvt.steps, &tech).unwrap(), pvt);
        let slow = spec.clone().at_corners(&["ss".to_string(), "ff".to_string()], &tech).unwrap();
        assert_eq!(spec.clone().again(&slow.steps, &tech).unwrap(), slow);
        let dice = spec.clone().on_dice(5, 2);
        assert_eq!(spec.clone().again(&dice.steps, &tech).unwrap(), dice);
        assert_eq!((dice.name.as_str(), dice.base.as_str()), ("write_dice", "write"));
        for step in ["dice", "dice five 2", "elsewhere"] {
            assert_eq!(spec.clone().again(&[step.to_string()], &tech).unwrap_err().kind(), Kind::DataDamaged);
        }
    }
}
