//! `gaincell circuits`.

use clap::Args;
use serde_json::json;

use super::Context;
use super::figures::{today, write_page};
use super::output::{note, print, print_json};
use super::sweep::{read_named, run_each, sweep_table};
use crate::campaign::{commit, latest_run, spec_verdicts};
use crate::dataset::{Dataset, Outcome};
use crate::error::{Error, Kind, Problem, Result};
use crate::report::{CircuitPage, CircuitSweep, Header, LimitRow, ReportFigure, render_circuits};
use crate::spec::{CircuitSpec, SweepSpec, Task, Variant};
use crate::sweep::GUARD_INDEX;
use crate::tech::Technology;

/// Which circuits.
#[derive(Debug, Args)]
pub(super) struct CircuitsArgs {
    /// Names from netlists/circuits.toml [default: all]
    names: Vec<String>,
    /// Simulate first what is missing
    #[arg(long)]
    run: bool,
    /// Dice of each Monte Carlo [default: the list's `samples`, or 1,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
}

pub(super) fn circuits(context: &Context, args: &CircuitsArgs) -> Result<()> {
    let tech = context.tech()?;
    let list = context.project.netlists().join("circuits.toml");
    let mut circuits = CircuitSpec::read_all(&list, &context.project.sweeps())?;
    let known: Vec<String> = circuits.iter().map(|circuit| circuit.name.clone()).collect();
    if let Some(name) = args.names.iter().find(|name| !known.contains(name)) {
        let problem = Problem::new(Kind::SpecKey, format!("there is no circuit `{name}`"));
        return Err(problem.file(&list).accepted(known.join(", ")).into());
    }
    if !args.names.is_empty() {
        circuits.retain(|circuit| args.names.contains(&circuit.name));
    }
    if let Some(samples) = args.samples {
        let tasks = circuits.iter_mut().flat_map(|circuit| &mut circuit.sweeps);
        tasks
            .filter(|task| matches!(task.variant, Variant::Dice(_)))
            .for_each(|task| task.variant = Variant::Dice(samples));
    }
    if args.run {
        let mut sweeps: Vec<(SweepSpec, Technology)> = Vec::new();
        for task in circuits.iter().flat_map(|circuit| &circuit.sweeps) {
            let (spec, tech) = of_task(context, task)?;
            if !sweeps.iter().any(|(known, _)| known.name == spec.name) {
                sweeps.push((spec, tech));
            }
        }
        let summaries = run_each(context, &sweeps, "full")?;
        note(context, &sweep_table(&summaries));
    }
    let (mut simulator, mut pages) = (String::new(), Vec::new());
    for circuit in &circuits {
        pages.push(page(context, &tech, circuit, &mut simulator)?);
    }
    let header = Header {
        tech: tech.name.clone(),
        tech_description: tech.description.clone(),
        vdd_v: tech.vdd_v,
        temperature_degc: tech.temperature_degc,
        date: today(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        ngspice: simulator,
        commit: commit(context.project.root()).unwrap_or_default(),
        command: again(args, &tech.name),
        ..Header::default()
    };
    let path = context.project.results().join("circuits.html");
    write_page(&path, &render_circuits(&header, &pages)?)?;
    let limits = || pages.iter().flat_map(|page| &page.sweeps).flat_map(|sweep| &sweep.limits);
    let (all, passed) = (limits().count(), limits().filter(|row| row.pass).count());
    let missing: Vec<&str> = pages
        .iter()
        .flat_map(|page| &page.sweeps)
        .filter(|sweep| sweep.points.is_none())
        .map(|sweep| sweep.name.as_str())
        .collect();
    if !missing.is_empty() {
        note(context, &format!("not run here yet: {}; --run does", missing.join(", ")));
    }
    if context.common.json {
        return print_json(
            &json!({"page": path, "circuits": pages.len(), "limits": all, "passed": passed, "missing": missing}),
        );
    }
    print(&format!("{} circuits, {passed} of {all} limits met: {}\n", pages.len(), path.display()))
}

/// The command that makes the page again, simulations included.
fn again(args: &CircuitsArgs, tech: &str) -> String {
    let names = args.names.iter().map(|name| format!(" {name}")).collect::<String>();
    let samples = args.samples.map_or(String::new(), |samples| format!(" --samples {samples}"));
    format!("gaincell circuits{names} --run{samples} --tech {tech}")
}

/// A task's sweep on the technology asked for.
fn of_task(context: &Context, task: &Task) -> Result<(SweepSpec, Technology)> {
    let read = read_named(context, std::slice::from_ref(&task.sweep), &[])?;
    let (spec, tech) = read.into_iter().next().ok_or_else(|| Error::new(Kind::Internal, "a sweep was not read"))?;
    Ok((task.apply(spec, &tech)?, tech))
}

fn page(context: &Context, tech: &Technology, circuit: &CircuitSpec, simulator: &mut String) -> Result<CircuitPage> {
    let root = context.project.root();
    let relative = |path: &std::path::Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let mut sweeps = Vec::new();
    for task in &circuit.sweeps {
        sweeps.push(sweep(context, tech, &of_task(context, task)?.0, simulator)?);
    }
    Ok(CircuitPage {
        id: circuit.name.clone(),
        title: circuit.title.clone(),
        role: circuit.role.clone(),
        netlist: relative(&circuit.netlist),
        schematics: schematics(circuit)?,
        sweeps,
    })
}

fn sweep(context: &Context, tech: &Technology, spec: &SweepSpec, simulator: &mut String) -> Result<CircuitSweep> {
    let text =
        std::fs::read_to_string(&spec.bench).map_err(|source| Error::io(&spec.bench, "read the bench", source))?;
    let bench = (spec.bench.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
    let (name, title) = (spec.name.clone(), spec.title.clone());
    let Ok(run) = latest_run(&context.project, &spec.name, &tech.name) else {
        return Ok(CircuitSweep { name, title, bench, ..CircuitSweep::default() });
    };
    let dataset = Dataset::read(&run)?;
    simulator.clone_from(&dataset.manifest.simulator);
    let rows = dataset.rows.iter().filter(|row| row.index < GUARD_INDEX);
    let ok = rows.clone().filter(|row| row.outcome == Outcome::Ok).count();
    Ok(CircuitSweep {
        points: Some((ok, rows.count())),
        figure: figure(spec, &dataset, tech)?,
        limits: spec_verdicts(spec, &dataset).iter().map(LimitRow::from).collect(),
        name,
        title,
        bench,
    })
}

#[cfg(feature = "plot")]
fn schematics(circuit: &CircuitSpec) -> Result<Vec<ReportFigure>> {
    use crate::plot::{canvas, schematic};
    let source = crate::netlist::Source::read(&circuit.netlist, &crate::netlist::TechFiles::default())?;
    if circuit.subcircuits.is_empty() {
        let name = circuit.netlist.file_stem().unwrap_or_default().to_string_lossy();
        let scene = schematic::bench_scene(&source.lines, &name).ok_or_else(|| {
            let problem = Problem::new(Kind::MissingNetlist, "there is nothing to draw at the netlist's own level");
            Error::from(problem.file(&circuit.netlist).accepted("a bench, or names of `subcircuits`"))
        })?;
        let caption = format!(
            "Blocks of {name}, from its netlist: nets in blue are driven from outside, instances side by side are one block."
        );
        return Ok(vec![ReportFigure { svg: canvas::svg(&scene)?, caption }]);
    }
    let drawn = circuit.subcircuits.iter().map(|name| {
        let scene = schematic::scene(&source.lines, name).ok_or_else(|| {
            let known = schematic::Circuit::names(&source.lines).join(", ");
            let problem = Problem::new(Kind::MissingNetlist, format!("there is no subcircuit `{name}` to draw"));
            Error::from(problem.file(&circuit.netlist).accepted(known))
        })?;
        Ok(ReportFigure { svg: canvas::svg(&scene)?, caption: format!("Schematic of {name}, from its netlist.") })
    });
    drawn.collect()
}

#[cfg(feature = "plot")]
fn figure(spec: &SweepSpec, dataset: &Dataset, tech: &Technology) -> Result<Option<ReportFigure>> {
    // A sweep whose points all failed has no figure, and its counts say so.
    let Ok(figure) = crate::plot::sweep::figure(spec, dataset, tech) else { return Ok(None) };
    Ok(Some(ReportFigure { svg: figure.svg()?, caption: format!("Measurements of sweep {}.", spec.name) }))
}

#[cfg(not(feature = "plot"))]
fn schematics(_circuit: &CircuitSpec) -> Result<Vec<ReportFigure>> {
    Ok(Vec::new())
}

#[cfg(not(feature = "plot"))]
fn figure(_spec: &SweepSpec, _dataset: &Dataset, _tech: &Technology) -> Result<Option<ReportFigure>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_s_command_has_what_was_asked_for() {
        let all = CircuitsArgs { names: vec![], run: false, samples: None };
        assert_eq!(again(&all, "generic28"), "gaincell circuits --run --tech generic28");
        let few = CircuitsArgs { names: vec!["token".into(), "column".into()], run: true, samples: Some(50) };
        assert_eq!(again(&few, "sky130"), "gaincell circuits token column --run --samples 50 --tech sky130");
    }
}
