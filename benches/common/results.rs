//! Figures: medians, the table on the terminal, `results/bench.json`.

use std::path::Path;
use std::process::ExitCode;

use gaincell::Result;
use gaincell::campaign::write_json;
use serde_json::{Map, Value, json};

/// What a benchmark's process ends with.
pub fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// One figure of `results/bench.json`.
pub struct Entry(Map<String, Value>);

impl Entry {
    pub fn new(
        name: &str,
        value: f64,
        unit: &str,
        ratio: Option<f64>,
        against: &str,
        threads: usize,
        command: &str,
    ) -> Entry {
        let object = json!({"name": name, "value": value, "unit": unit, "ratio": ratio, "against": against,
            "threads": threads, "command": command});
        Entry(if let Value::Object(object) = object { object } else { Map::new() })
    }

    /// A figure that could not be measured.
    pub fn missing(name: &str, against: &str, reason: &str, command: &str) -> Entry {
        let object = json!({"name": name, "value": null, "unit": "1", "ratio": null, "against": against,
            "threads": null, "command": command, "reason": reason});
        Entry(if let Value::Object(object) = object { object } else { Map::new() })
    }

    /// A further key.
    pub fn with(mut self, key: &str, value: Value) -> Entry {
        self.0.insert(key.to_string(), value);
        self
    }

    /// Least and greatest ratio of single rounds.
    pub fn range(self, least: f64, most: f64, rounds: usize) -> Entry {
        self.with("ratio_min", json!(least)).with("ratio_max", json!(most)).with("rounds", json!(rounds))
    }

    pub fn goal(self, goal: &str) -> Entry {
        self.with("goal", json!(goal))
    }
}

/// The median; not a number of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { f64::NAN } else { 0.5 * (values[(n - 1) / 2] + values[n / 2]) }
}

/// Least and greatest.
pub fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

/// Puts the entries into the list at `path`, each in the place of one of its name.
pub fn merge(path: &Path, entries: &[Entry]) -> Result<()> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut list: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    for Entry(entry) in entries {
        let name = entry.get("name");
        match list.iter_mut().find(|old| old.get("name") == name) {
            // A figure that was measured elsewhere is worth more than the reason why it could not be measured here.
            Some(old) if entry.contains_key("reason") && !old["ratio"].is_null() => {}
            Some(old) => *old = Value::Object(entry.clone()),
            None => list.push(Value::Object(entry.clone())),
        }
    }
    list.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    write_json(path, &list)
}

/// The greatest resident memory that any of the processes has had [MB].
pub fn peak_memory(processes: &[u32]) -> f64 {
    let peak = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.to_string();
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    processes.iter().filter_map(peak).fold(0.0, f64::max) * 1024.0 / 1e6
}

/// The machine's load averages, as the kernel says them.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
