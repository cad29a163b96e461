//! What a deck must not do: run commands or programs, load native code, read files that no identity knows of.
//!
//! The list of what is refused is the simulator's own, in `simulate`; this file only asks it.

use std::path::Path;

use super::{Finding, Input, startup};
use crate::error::Problem;
use crate::simulate::{Circuit, check_circuit, check_startup};

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let mut files: Vec<&Path> = vec![input.bench];
    files.extend(input.tech.iter().flat_map(|tech| tech.files.iter().map(std::path::PathBuf::as_path)));
    let mut lines = vec!["lint".to_string()];
    lines.extend(files.iter().filter_map(|file| Some(format!(".include \"{}\"", file.canonicalize().ok()?.display()))));
    let circuit = Circuit { key: String::new(), lines, startup: Vec::new() };
    if let Err(error) = check_circuit(&circuit) {
        let bench = input.bench.canonicalize().ok();
        // A bench's first line is its title, whatever it says.
        let is_title = |p: &Problem| p.line == Some(1) && p.file.is_some() && p.file == bench;
        findings.extend(error.problems().iter().filter(|p| !is_title(p)).map(|p| {
            let mut finding = Finding::from_problem(p);
            if finding.file == bench {
                finding.file = Some(input.bench.to_path_buf());
            }
            finding.accepted("elements, subcircuits, models, .param, .options and one analysis").help(
                "take it out: what a control block computes belongs into the sweep's TOML, settings and OSDI libraries \
                 into `startup` of tech.toml",
            )
        }));
    }
    for (command, origin) in startup(input) {
        if let Err(error) = check_startup(command) {
            findings.extend(error.problems().iter().map(|p| Finding::from_problem(p).at(&origin)));
        }
    }
    foreign_files(input, findings);
}

/// Code models that read a file: its content is in no identity, so a changed file would be answered from the store.
fn foreign_files(input: &Input<'_>, findings: &mut Vec<Finding>) {
    for model in &input.netlist.models {
        for (key, value) in &model.parameters {
            let names_a_file = key == "file" || key.ends_with("_file");
            if names_a_file && value.contains(['"', '/', '.']) {
                findings.push(
                    Finding::warning("foreign-file", format!("model `{}` reads the file {value}", model.name))
                        .at(&model.line.origin)
                        .help("write the data into the deck (`pwl`): results are stored by what the deck says, not the file"),
                );
            }
        }
    }
}
