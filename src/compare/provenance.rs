//! What made two runs, side by side.

use std::collections::BTreeMap;

use serde::Serialize;

use super::lines;
use crate::dataset::Manifest;

/// Something that the manifests say differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about: `tech`, `decks.0000`, `measurements.charge_c`.
    pub what: String,
    /// In the first run; empty if it is not there.
    pub a: String,
    /// In the second run.
    pub b: String,
}

/// Lines of a deck that differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeckChange {
    /// Name of the deck in both manifests.
    pub deck: String,
    /// `-` only in the first run, `+` only in the second, with a line of context.
    pub lines: Vec<String>,
}

/// Most lines shown of one deck.
const MOST_LINES: usize = 40;

/// Everything that may decide a number and is not the same.
pub fn differences(a: &Manifest, b: &Manifest) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut check = |what: &str, a: String, b: String| {
        if a != b {
            found.push(Difference { what: what.to_string(), a, b });
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    check("sweep", a.sweep.clone(), b.sweep.clone());
    check("profile", a.profile.clone(), b.profile.clone());
    check("tech", a.tech.clone(), b.tech.clone());
    check("tech_hash", a.tech_hash.clone(), b.tech_hash.clone());
    check("cell", a.cell.clone(), b.cell.clone());
    check("simulator", a.simulator.clone(), b.simulator.clone());
    check("seed", a.seed.to_string(), b.seed.to_string());
    check("sweep_hash", a.sweep_hash.clone(), b.sweep_hash.clone());
    check("commit", text(&a.commit), text(&b.commit));
    check("gaincell", a.gaincell.clone(), b.gaincell.clone());
    check("planned", a.planned.to_string(), b.planned.to_string());
    let maps = [
        ("decks", a.decks.clone(), b.decks.clone()),
        ("values", units(a), units(b)),
        ("measurements", definitions(a), definitions(b)),
    ];
    for (of, a, b) in maps {
        let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for name in names {
            let of_run = |map: &BTreeMap<String, String>| map.get(name).cloned().unwrap_or_default();
            check(&format!("{of}.{name}"), of_run(&a), of_run(&b));
        }
    }
    found
}

fn units(manifest: &Manifest) -> BTreeMap<String, String> {
    // Draws are compared as draws.
    let columns = manifest.values.iter().filter(|column| !column.name.starts_with(super::DRAW));
    columns.map(|column| (column.name.clone(), column.unit.clone())).collect()
}

fn definitions(manifest: &Manifest) -> BTreeMap<String, String> {
    let text = |m: &crate::dataset::MeasuredColumn| format!("{} in {}", m.definition, m.unit);
    manifest.measurements.iter().map(|m| (m.name.clone(), text(m))).collect()
}

/// The lines that differ in decks of one name, where the texts of both are kept; equal changes in many decks are told once.
pub fn deck_changes(a: &Manifest, b: &Manifest, text: &dyn Fn(&str) -> Option<String>) -> Vec<DeckChange> {
    let mut changes: Vec<DeckChange> = Vec::new();
    for (deck, key) in &a.decks {
        let Some(other) = b.decks.get(deck).filter(|other| *other != key) else { continue };
        let (Some(ours), Some(theirs)) = (text(key), text(other)) else { continue };
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
        let lines = lines::diff(&ours, &theirs, MOST_LINES);
        if !lines.is_empty() && !changes.iter().any(|change| change.lines == lines) {
            changes.push(DeckChange { deck: deck.clone(), lines });
        }
    }
    changes
}

/// The loosest `reltol` of the decks' `.options`; `None` if no text is kept or none states it.
pub fn reltol(manifests: [&Manifest; 2], text: &dyn Fn(&str) -> Option<String>) -> Option<f64> {
    let keys = manifests.into_iter().flat_map(|manifest| manifest.decks.values());
    let decks: Vec<String> = keys.filter_map(|key| text(key)).collect();
    let lines = decks.iter().flat_map(|deck| deck.lines());
    let options = lines.filter(|line| line.to_ascii_lowercase().starts_with(".option"));
    let words = options.flat_map(|line| line.split_whitespace());
    let values = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        name.eq_ignore_ascii_case("reltol").then(|| crate::expr::spice_number(value)).flatten()
    });
    // The looser run decides how exact the two can be told apart.
    values.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_what_is_equal_is_not() {
        let a = Manifest::new("rc", "quick");
        let mut b = a.clone();
        b.simulator = "ngspice-45".into();
        b.decks.insert("0000".into(), "d".into());
        b.wall_s = 7.0;
        let names: Vec<String> = differences(&a, &b).into_iter().map(|d| d.what).collect();
        assert_eq!(names, ["simulator", "decks.0000"]);
        assert!(differences(&a, &a).is_empty());
    }

    #[test]
    fn decks_and_their_tolerance_are_read_from_the_kept_texts() {
        let (mut a, mut b) = (Manifest::new("rc", "quick"), Manifest::new("rc", "quick"));
        a.decks = BTreeMap::from([("0000".into(), "k1".into()), ("0001".into(), "k3".into())]);
        b.decks = BTreeMap::from([("0000".into(), "k2".into()), ("0001".into(), "k3".into())]);
        let text = |key: &str| match key {
            "k1" => Some("t\nr1 a 0 1k\n.options gmin=1e-15 reltol=1e-4\n".to_string()),
            "k2" => Some("t\nr1 a 0 2k\n.OPTIONS RELTOL=1m\n".to_string()),
            _ => None,
        };
        let changes = deck_changes(&a, &b, &text);
        assert_eq!(changes.len(), 1);
        assert!(changes[0].lines.contains(&"+ r1 a 0 2k".to_string()), "{changes:?}");
        assert_eq!(reltol([&a, &b], &text), Some(1e-3));
        assert_eq!(reltol([&a, &b], &|_| None), None);
    }
}
