//! A sweep file together with its bench and technology.

use std::collections::BTreeSet;
use std::path::Path;

use super::circuit::Netlist;
use super::flat::Flat;
use super::{Finding, Report, Severity, deck_findings};
use crate::error::Result;
use crate::netlist::{Source, TechFiles};
use crate::spec::SweepSpec;
use crate::sweep::{Plan, Planner};
use crate::tech::Technology;

/// Reads the sweep at `file`, its bench (beside it or in `benches`) and `tech`, and reports what is found in all of them.
///
/// # Errors
/// The bench cannot be read although the sweep file names it. Mistakes of the sweep file itself are findings.
pub fn lint_sweep(file: &Path, benches: &Path, tech: &Technology) -> Result<Report> {
    let spec = match SweepSpec::read_on(file, benches, tech) {
        Ok(spec) => spec,
        Err(error) => return Ok(Report::unreadable(file, &error)),
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let (mut files, mut findings) = deck_findings(&spec.bench, Some(tech), &text)?;
    files.insert(file.to_path_buf());
    // What the plan says about a deck that cannot be read has been said.
    if !findings.iter().any(|f| f.severity == Severity::Error) {
        // The first and the last combination stand for the others: names do not depend on values.
        let planned = Planner::new(&spec, tech).and_then(|planner| {
            let design = planner.design();
            let ends: Vec<_> = design.iter().take(1).chain(design.iter().skip(1).last()).cloned().collect();
            planner.plan(&ends, 0)
        });
        match planned {
            Ok(plan) => signals(&spec, tech, &plan, &mut findings)?,
            Err(error) => findings.extend(error.problems().iter().map(Finding::from_problem)),
        }
    }
    Ok(Report::new(file, files, findings))
}

/// Signals that are measured but do not exist: every row would lack them.
fn signals(spec: &SweepSpec, tech: &Technology, plan: &Plan, findings: &mut Vec<Finding>) -> Result<()> {
    let source = Source::read(&spec.bench, &TechFiles::of(tech, None)?)?.pruned();
    let netlist = Netlist::read(&source.lines);
    let flat = Flat::new(&netlist);
    let measured: BTreeSet<&String> = plan.groups.iter().flat_map(|group| &group.signals).collect();
    // A noise analysis leaves two spectra and nothing else.
    let spectra = netlist.card(".noise").is_some();
    for signal in measured {
        let Some((function, inside)) = signal.strip_suffix(')').and_then(|s| s.split_once('(')) else { continue };
        let known = match function {
            "v" if spectra => matches!(inside.trim(), "onoise_spectrum" | "inoise_spectrum"),
            "v" => inside.split(',').all(|node| flat.find(node.trim()).is_some()),
            "i" if spectra => false,
            "i" => flat.elements.iter().any(|e| named(&e.path, e.element.kind(), inside)),
            _ => continue,
        };
        if !known {
            let what = if function == "v" { "node" } else { "voltage source" };
            let accepted = if spectra {
                "v(onoise_spectrum), v(inoise_spectrum)"
            } else {
                "v(node), v(xcell.st) for a node inside, i(vsource)"
            };
            findings.push(
                Finding::error("signal", format!("`{signal}` is measured, and the bench has no such {what}"))
                    .file(&spec.file)
                    .accepted(accepted)
                    .help("correct the signal: every row would end as measurement_missing"),
            );
        }
    }
    Ok(())
}

/// ngspice names an element inside a subcircuit by its letter and then its path: `v.xcell.v1`.
fn named(path: &str, kind: char, name: &str) -> bool {
    path == name || (path.contains('.') && format!("{kind}.{path}") == name)
}
