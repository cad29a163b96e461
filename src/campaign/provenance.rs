//! What made a run, for its manifest.

use std::path::Path;

use super::guard::FLOOR_LABEL;
use crate::dataset::{Column, Manifest, MeasuredColumn};
use crate::measure::How;
use crate::spec::SweepSpec;
use crate::sweep::{CORNER_LABEL, Plan, SET_LABEL};
use crate::tech::Technology;

/// The manifest of a run of `spec` before its first row.
pub(super) fn manifest(spec: &SweepSpec, tech: &Technology, profile: &str, plan: &Plan, identity: &str) -> Manifest {
    let first = plan.groups.iter().flat_map(|group| &group.points).next();
    let mut manifest = Manifest::new(spec.name.clone(), profile);
    manifest.variant_of = (spec.base != spec.name).then(|| spec.base.clone());
    manifest.steps = spec.steps.clone();
    manifest.sweep_hash = spec.hash.clone();
    manifest.decks = plan.groups.iter().enumerate().map(|(k, g)| (format!("{k:04}"), g.circuit.key.clone())).collect();
    manifest.tech = tech.name.clone();
    manifest.tech_hash = tech.hash.clone();
    manifest.cell = spec.cell.clone();
    manifest.simulator = identity.to_string();
    manifest.seed = spec.mismatch.as_ref().map_or(0, |mismatch| mismatch.seed);
    manifest.commit = commit(&spec.file);
    manifest.values = first.map_or_else(Vec::new, |point| {
        point.row.values.keys().map(|name| Column::new(name.clone(), unit_of(spec, name))).collect()
    });
    manifest.labels = vec![SET_LABEL.to_string()];
    if !spec.corners.is_empty() {
        manifest.labels.push(CORNER_LABEL.to_string());
    }
    if spec.guard.points > 0 {
        manifest.labels.push(FLOOR_LABEL.to_string());
    }
    manifest.measurements = first.map_or_else(Vec::new, |point| {
        let column = |m: &crate::measure::Measurement| MeasuredColumn {
            name: m.column.clone(),
            unit: m.unit.symbol().to_string(),
            curve_at: if let How::Sample { at, .. } = &m.how { Some(at.clone()) } else { None },
            definition: serde_json::to_value(&m.how).unwrap_or_default(),
        };
        point.measurements.iter().map(column).collect()
    });
    manifest.guard_tolerance = (spec.guard.points > 0).then_some(spec.guard.tolerance);
    manifest.planned = plan.len() as u64;
    manifest
}

fn unit_of(spec: &SweepSpec, column: &str) -> &'static str {
    let swept = spec.parameters.iter().find(|p| p.column() == column).map(|p| p.unit.symbol());
    swept.unwrap_or(if column.ends_with("_v") { "V" } else { "1" })
}

/// The commit of the repository around `file`, read from its files; no program is run.
pub fn commit(file: &Path) -> Option<String> {
    let file = std::fs::canonicalize(file).ok()?;
    let git = file.ancestors().map(|dir| dir.join(".git")).find(|git| git.join("HEAD").is_file())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    match head.trim().strip_prefix("ref: ") {
        None => Some(head.trim().to_string()),
        Some(reference) => {
            let loose = std::fs::read_to_string(git.join(reference)).ok().map(|hash| hash.trim().to_string());
            loose.or_else(|| {
                let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
                let line = packed.lines().find(|line| line.ends_with(reference))?;
                line.split_whitespace().next().map(str::to_string)
            })
        }
    }
}
