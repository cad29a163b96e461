//! Models that need an OSDI library, and OSDI libraries that are not there.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, Input, startup};

/// Model types that ngspice 39 has built in.
const BUILT_IN: &[&str] = &[
    "r",
    "res",
    "c",
    "cap",
    "l",
    "ind",
    "d",
    "npn",
    "pnp",
    "nmos",
    "pmos",
    "nmf",
    "pmf",
    "nhfet",
    "phfet",
    "njf",
    "pjf",
    "sw",
    "csw",
    "urc",
    "ltra",
    "txl",
    "cpl",
    "vdmos",
    "vdmosn",
    "vdmosp",
    "numd",
    "nbjt",
    "numos",
    "nsoi",
    "psoi",
    "transline",
    "mesa",
];
/// Levels of nmos and pmos that Debian's ngspice 39 has, found by asking it; 7, 44 to 47, 61, 62, 64 and 69 up (PSP,
/// EKV, BSIM-BULK, BSIM-CMG) are not there without a library. 73 is HiSIM_HV.
const MOS_LEVELS: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 14, 49, 54, 55, 56, 57, 58, 60, 68, 73];
/// Levels of npn and pnp: Gummel-Poon, VBIC, HICUM.
const BJT_LEVELS: &[u32] = &[0, 1, 2, 4, 8, 9];

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let libraries = startup_libraries(input, findings);
    // Types of `a` elements are code models of ngspice's own.
    let code_models: BTreeSet<&str> = input
        .netlist
        .blocks()
        .flat_map(|block| &block.elements)
        .filter(|element| element.kind() == 'a')
        .filter_map(|element| element.master.as_deref())
        .collect();
    let used: BTreeSet<&str> =
        input.netlist.blocks().flat_map(|b| &b.elements).filter_map(|e| e.master.as_deref()).collect();
    for model in &input.netlist.models {
        let level = model.parameter("level").and_then(|text| input.netlist.evaluate(text)).map(|level| level as u32);
        let missing = match (model.kind.as_str(), level) {
            ("nmos" | "pmos", Some(level)) if !MOS_LEVELS.contains(&level) => {
                format!("level {level} of {}", model.kind)
            }
            ("npn" | "pnp", Some(level)) if !BJT_LEVELS.contains(&level) => format!("level {level} of {}", model.kind),
            (kind, _) if BUILT_IN.contains(&kind) || code_models.contains(model.name.as_str()) => continue,
            // A code model's own name is free; only what an instance uses has to be known.
            (_, _) if !is_used(&used, &model.name) => continue,
            (kind, _) => format!("the type `{kind}`"),
        };
        if libraries > 0 {
            continue;
        }
        findings.push(
            Finding::error(
                "osdi",
                format!("model `{}` needs {missing}, which ngspice does not have built in", model.name),
            )
            .at(&model.line.origin)
            .accepted("a built-in type and level, or a compiled OSDI library that brings the model")
            .help("name the library in tech.toml: [models] startup = [\"osdi /path/to/model.osdi\"]"),
        );
    }
}

/// Is the model, or the common name of its bins, used by an element?
fn is_used(used: &BTreeSet<&str>, name: &str) -> bool {
    used.contains(name) || name.rsplit_once('.').is_some_and(|(base, _)| used.contains(base))
}

/// How many OSDI libraries the technology's start-up loads; those that do not exist are found.
fn startup_libraries(input: &Input<'_>, findings: &mut Vec<Finding>) -> usize {
    let mut libraries = 0;
    for (command, origin) in startup(input) {
        let Some((word, file)) = command.split_once(char::is_whitespace) else { continue };
        if !matches!(word.to_ascii_lowercase().as_str(), "osdi" | "pre_osdi") {
            continue;
        }
        libraries += 1;
        let path = Path::new(file.trim().trim_matches(['"', '\'']));
        let problem = if path.is_relative() {
            // A worker runs in a folder of its own.
            Some("is a relative path, which no worker finds")
        } else if !path.is_file() {
            Some("does not exist")
        } else {
            None
        };
        if let Some(problem) = problem {
            findings.push(
                Finding::error("osdi", format!("OSDI library {} {problem}", path.display()))
                    .at(&origin)
                    .accepted("the absolute path of a .osdi file, as OpenVAF writes it")
                    .help("correct `startup` under [models] of tech.toml"),
            );
        }
    }
    libraries
}
