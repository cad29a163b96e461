//! Points per second of several ways to run the same points.

use serde_json::json;

use crate::results::{Entry, ends, median};

/// Points per second of every way, one number per round.
#[derive(Default)]
pub struct Rates(Vec<Vec<f64>>);

impl Rates {
    pub fn add(&mut self, way: usize, rate: f64) {
        if self.0.len() <= way {
            self.0.resize(way + 1, Vec::new());
        }
        self.0[way].push(rate);
    }

    /// A table with the names of the ways; the factor is over the first one.
    pub fn print(&self, names: &[&str]) {
        println!("  {:36} {:>10} {:>21} {:>8}", "", "points/s", "least to most", "factor");
        for (name, rates) in names.iter().zip(&self.0) {
            let (least, most) = ends(rates);
            let factor = median(rates) / median(&self.0[0]);
            println!("  {name:36} {:10.1} {least:10.1} {most:10.1} {factor:8.1}", median(rates));
        }
    }

    /// The ratio of medians of two ways, with the least and greatest ratio within a round.
    #[allow(clippy::too_many_arguments)]
    pub fn entry(
        &self,
        name: &str,
        against: &str,
        way: usize,
        other: usize,
        goal: f64,
        (least, most): (u64, u64),
        command: &str,
    ) -> Entry {
        let ratio = median(&self.0[way]) / median(&self.0[other]);
        let rounds: Vec<f64> = self.0[way].iter().zip(&self.0[other]).map(|(a, b)| a / b).collect();
        let (low, high) = ends(&rounds);
        let verdict = match goal {
            goal if goal > 0.0 => format!("goal {goal}, {}", if ratio >= goal { "met" } else { "missed" }),
            _ => "no goal".to_string(),
        };
        println!("  {name}: {ratio:.3} ({low:.3} to {high:.3} in single rounds; {verdict})");
        let value = median(&self.0[way]);
        let entry =
            Entry::new(name, value, "points/s", Some(ratio), against, gaincell::simulate::physical_cores(), command)
                .range(low, high, rounds.len())
                .with("time_points", json!([least, most]));
        if goal > 0.0 { entry.goal(&format!(">= {goal}")) } else { entry }
    }
}
