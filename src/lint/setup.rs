//! Threads, start-up files, options and the time step.

use super::flat::GROUND;
use super::topology::Nets;
use super::{Finding, Input, words};

/// Relative loss of a stored charge through gmin that is worth a word.
const DRIFT_LIMIT: f64 = 1e-3;
/// ngspice's defaults.
const GMIN_SIEMENS: f64 = 1e-12;
const CHGTOL_C: f64 = 1e-14;

pub(super) fn check(input: &Input<'_>, findings: &mut Vec<Finding>) {
    threads(input, findings);
    start_up_file(input, findings);
    if let Some((_, line)) = input.netlist.option("klu") {
        findings.push(
            Finding::warning("klu", "ngspice 39 takes `klu` without a word and solves with its own solver")
                .at(&line.origin)
                .help("leave it out; from ngspice 42 on it works where it was compiled in"),
        );
    }
    if input.netlist.card(".tran").is_some() {
        time_step(input, findings);
        gmin(input, findings);
        charge_tolerance(input, findings);
    }
}

fn threads(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let Some((value, line)) = input.netlist.option("num_threads") else { return };
    if value != Some(1.0) {
        findings.push(
            Finding::error("num-threads", "a deck does not choose ngspice's threads")
                .at(&line.origin)
                .accepted("one thread per worker, one worker per core (`--workers N`)")
                .help("leave it out: two workers of two threads each run tens of times slower than of one"),
        );
    }
}

fn start_up_file(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let folder = input.bench.parent().unwrap_or(std::path::Path::new("."));
    let file = folder.join(".spiceinit");
    if file.is_file() {
        findings.push(
            Finding::warning("spiceinit", "this start-up file is not read: workers have their own")
                .file(&file)
                .help("move its `set` lines into tech.toml: [models] startup = [\"set ngbehavior=hsa\"]"),
        );
    }
}

/// Without a limit ngspice takes the lesser of the print step and a fiftieth of the run.
fn time_step(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let Some(line) = input.netlist.card(".tran") else { return };
    let numbers = words(line).iter().skip(1).filter(|word| *word != "uic").count();
    if numbers < 4 {
        findings.push(
            Finding::warning(
                "time-step",
                "no maximum time step: ngspice takes the lesser of the print step and a 50th of the run",
            )
            .at(&line.origin)
            .accepted(".tran <step> <stop> <start> <maximum step>")
            .help("give one; a few times the print step often needs a third of the time points"),
        );
    }
}

/// gmin discharges a stored node with the time constant C / gmin.
fn gmin(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let Some(line) = input.netlist.card(".tran") else { return };
    let Some(t_stop_s) = words(line).get(2).and_then(|text| input.netlist.evaluate(text)) else { return };
    let option = input.netlist.option("gmin");
    let gmin_siemens = option.and_then(|(value, _)| value).unwrap_or(GMIN_SIEMENS);
    // A node that holds charge: nothing but channels, junctions and switches leads away from it.
    let mut hard = Nets::new(input.flat.nets.len());
    for element in &input.flat.elements {
        if !matches!(element.element.kind(), 'm' | 'd' | 'q' | 'j' | 'z' | 's' | 'w') {
            hard.join_conducting(element);
        }
    }
    input.flat.open.iter().for_each(|net| hard.join(GROUND, *net));
    let mut capacitance_f = vec![0.0; input.flat.nets.len()];
    for element in input.flat.elements.iter().filter(|e| e.element.kind() == 'c') {
        for net in &element.nets {
            capacitance_f[hard.root(*net)] += element.value.unwrap_or(0.0);
        }
    }
    let ground = hard.root(GROUND);
    let worst = (0..capacitance_f.len())
        .filter(|net| *net != ground && hard.root(*net) == *net && capacitance_f[*net] > 0.0)
        .map(|net| (gmin_siemens * t_stop_s / capacitance_f[net], net))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((drift, net)) = worst.filter(|(drift, _)| *drift > DRIFT_LIMIT) {
        findings.push(
            Finding::warning(
                "gmin",
                format!(
                    "gmin = {gmin_siemens:e} S discharges `{}` ({:e} F) by {} % until the end of the run",
                    input.flat.nets[net],
                    capacitance_f[net],
                    rounded(100.0 * (1.0 - (-drift).exp()))
                ),
            )
            .at(&option.map_or(line, |(_, line)| line).origin)
            .accepted(format!("gmin of {} S or less for 0.1 %", rounded(DRIFT_LIMIT * gmin_siemens / drift)))
            .help("add `.options gmin=...`: ngspice takes 1e-18 too"),
        );
    }
}

/// The tolerance of a charge should be less than the charge.
fn charge_tolerance(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let option = input.netlist.option("chgtol");
    let chgtol_c = option.and_then(|(value, _)| value).unwrap_or(CHGTOL_C);
    let smallest = input
        .flat
        .elements
        .iter()
        .filter(|e| e.element.kind() == 'c')
        .filter_map(|e| Some((e.value.filter(|c| *c > 0.0)?, e)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    // One volt stands for the swing; `reltol` takes over above.
    if let Some((c_f, element)) = smallest.filter(|(c_f, _)| chgtol_c >= *c_f) {
        let default = if option.is_none() { " (the default)" } else { "" };
        findings.push(
            Finding::warning(
                "chgtol",
                format!(
                    "chgtol = {chgtol_c:e} C{default} is more than `{}` ({c_f:e} F) holds at 1 V: the time step does not see it",
                    element.path
                ),
            )
            .at(&option.map_or(element.element.line, |(_, line)| line).origin)
            .help("add `.options chgtol=1e-16 reltol=1e-4`, both: chgtol alone is erratic"),
        );
    }
}

/// Three digits, without an exponent where that reads better.
pub(super) fn rounded(value: f64) -> String {
    if (0.01..1000.0).contains(&value.abs()) {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{value:.1e}")
    }
}
