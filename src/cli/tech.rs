//! `gaincell tech`: which technologies there are, and whether their devices do what they state.

use std::sync::atomic::Ordering;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Bar, note, print, print_json, table};
use super::sweep::pool;
use super::{Context, EMBEDDED_TECH};
use crate::campaign::{DeviceFiguresAt, LeftOut, TechCheck, TechVerdict, check_technology};
use crate::error::{Kind, Problem, Result};
use crate::tech::{Technology, known};

/// What to do with technologies.
#[derive(Debug, Args)]
pub(super) struct TechArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Which technologies there are, and whether their models are on this machine
    List {
        /// Only the names of those whose models are here, one a line
        #[arg(long)]
        available: bool,
    },
    /// Simulate every device flavour over corners, temperature and length; print its figures against the stated ones, and
    /// draw them
    Check {
        /// Name of a technology, or the path of a tech.toml [default: --tech, else generic28]
        name: Option<String>,
    },
}

pub(super) fn tech(context: &Context, args: &TechArgs) -> Result<()> {
    match &args.action {
        Action::List { available } => list(context, *available),
        Action::Check { name } => check(context, name.as_deref()),
    }
}

/// One technology of the project.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    description: String,
    vdd_v: Option<f64>,
    corners: Vec<String>,
    usable: bool,
    /// What is missing, in words.
    missing: String,
}

fn list(context: &Context, available: bool) -> Result<()> {
    let technologies = context.project.technologies();
    let entry = |name: String| match Technology::find(&name, &technologies) {
        Ok(tech) => Entry {
            name,
            description: tech.description,
            vdd_v: Some(tech.vdd_v),
            corners: tech.corners.into_iter().map(|corner| corner.name).collect(),
            usable: true,
            missing: String::new(),
        },
        Err(error) => {
            let first = &error.problems()[0];
            let help = first.help.as_ref().map_or(String::new(), |help| format!(": {help}"));
            let missing = format!("{}{help}", first.message);
            let vdd_v = crate::tech::supply_of(&name, &technologies);
            Entry { name, description: String::new(), vdd_v, corners: Vec::new(), usable: false, missing }
        }
    };
    let entries: Vec<Entry> = known(&technologies).into_iter().map(entry).collect();
    if available {
        let names: Vec<&str> = entries.iter().filter(|entry| entry.usable).map(|entry| entry.name.as_str()).collect();
        return print(&format!("{}\n", names.join("\n")));
    }
    if context.common.json {
        return print_json(&entries);
    }
    let row = |entry: &Entry| {
        let vdd = entry.vdd_v.map_or("-".to_string(), |v| v.to_string());
        let what = if entry.usable { &entry.description } else { &entry.missing };
        vec![entry.name.clone(), vdd, entry.corners.join(" "), what.clone()]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    print(&table(&["technology", "VDD [V]#", "corners", "what it is, or what is missing"], &rows))
}

fn check(context: &Context, name: Option<&str>) -> Result<()> {
    let name = name.or(context.common.tech.as_deref()).unwrap_or(EMBEDDED_TECH);
    let tech = Technology::find(name, &context.project.technologies())?;
    let mut pool = pool(context)?;
    let mut bar = Bar::new(context, &format!("tech check {}", tech.name));
    let mut tell = |progress| {
        bar.tell(progress);
        !context.interrupt.load(Ordering::SeqCst)
    };
    let result = check_technology(&context.project, &tech, pool.as_mut(), &mut tell);
    bar.finish();
    let found = result?;
    draw(context, &tech, &found)?;
    if context.common.json {
        print_json(&found)?;
    } else {
        print(&figures_table(&found.devices))?;
        if !found.verdicts.is_empty() {
            print(&format!("\n{}", verdict_table(&found.verdicts)))?;
        }
        print(&found.left_out.as_ref().map_or(String::new(), left_out_text))?;
    }
    let missed: Vec<String> = found
        .verdicts
        .iter()
        .filter(|verdict| !verdict.pass)
        .map(|v| format!("{} of {} ({})", v.figure, v.flavour, v.check))
        .collect();
    if missed.is_empty() {
        return Ok(());
    }
    let message = format!("devices of {} miss what tech.toml states: {}", tech.name, missed.join(", "));
    Err(Problem::new(Kind::VerdictFailed, message)
        .file(&tech.file)
        .help("correct the models, or what is stated")
        .into())
}

fn left_out_text(left_out: &LeftOut) -> String {
    let sentences = [left_out.targets_text(), left_out.checks_text()].into_iter().filter(|text| !text.is_empty());
    let said = sentences.map(|text| format!("{text}\n")).collect::<String>();
    if said.is_empty() { said } else { format!("\n{said}`{}` judges them\n", left_out.judged_by) }
}

fn figures_table(devices: &[DeviceFiguresAt]) -> String {
    let row = |device: &DeviceFiguresAt| {
        let condition = &device.condition;
        let mut row = vec![
            device.flavour.clone(),
            condition.corner.clone().unwrap_or_else(|| "-".to_string()),
            condition.temperature_degc.to_string(),
            format!("{:.0}", condition.length_m * 1e9),
        ];
        match &device.figures {
            Some(f) => row.extend([
                format!("{:.4}", f.ion_a_per_m * 1e-3),
                format!("{:.3e}", f.ioff_a_per_m * 1e3),
                format!("{:.1}", f.ss_v_per_dec * 1e3),
                format!("{:.1}", f.dibl_v_per_v * 1e3),
                format!("{:.4}", f.vth_sat_v),
                f.gate_leakage_a_per_m2.map_or("-".to_string(), |i| format!("{:.2e}", i * 1e-4)),
            ]),
            None => row.push(device.message.clone()),
        }
        row
    };
    let header = [
        "flavour",
        "corner",
        "T [degC]#",
        "L [nm]#",
        "Ion [mA/um]#",
        "Ioff [nA/um]#",
        "SS [mV/dec]#",
        "DIBL [mV/V]#",
        "Vt sat [V]#",
        "gate [A/cm2]#",
    ];
    table(&header, &devices.iter().map(row).collect::<Vec<_>>())
}

fn verdict_table(verdicts: &[TechVerdict]) -> String {
    let number = |verdict: &TechVerdict, value: f64| match (verdict.figure.as_str(), verdict.unit.as_str()) {
        ("vt", _) => format!("{:+.1} mV", value * 1e3),
        (_, "1") => format!("x {value:.3}"),
        (_, unit) => format!("{value:.4e} {unit}"),
    };
    let tolerance = |verdict: &TechVerdict| match verdict.figure.as_str() {
        "vt" => format!("{:.0} mV", verdict.tolerance * 1e3),
        _ => format!("{:.0} %", verdict.tolerance * 100.0),
    };
    let row = |verdict: &TechVerdict| {
        vec![
            verdict.check.clone(),
            verdict.flavour.clone(),
            verdict.figure.clone(),
            number(verdict, verdict.expected),
            number(verdict, verdict.measured),
            tolerance(verdict),
            if verdict.pass { "pass" } else { "MISS" }.to_string(),
        ]
    };
    let header = ["check", "flavour", "figure", "stated#", "measured#", "tolerance#", "verdict"];
    table(&header, &verdicts.iter().map(row).collect::<Vec<_>>())
}

#[cfg(feature = "plot")]
fn draw(context: &Context, tech: &Technology, found: &TechCheck) -> Result<()> {
    use crate::error::Error;
    use crate::plot::corners::{CornersData, Device, figure};
    let device = |d: &DeviceFiguresAt| {
        let figures = d.figures.as_ref()?;
        Some(Device {
            flavour: d.flavour.clone(),
            corner: d.condition.corner.clone().unwrap_or_default(),
            temperature_degc: d.condition.temperature_degc,
            length_m: d.condition.length_m,
            ion_a_per_m: figures.ion_a_per_m,
            ioff_a_per_m: figures.ioff_a_per_m,
            vth_sat_v: figures.vth_sat_v,
        })
    };
    let conditions = crate::plot::Conditions {
        tech: tech.name.clone(),
        cell: "devices".to_string(),
        vdd_v: tech.vdd_v,
        temperature_degc: tech.temperature_degc,
    };
    let data = CornersData { conditions, devices: found.devices.iter().filter_map(device).collect() };
    let folder = context.project.plots();
    std::fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, "create the folder", source))?;
    let path = folder.join(format!("{}_devices", tech.name));
    figure(&data).save(&crate::plot::Target::new(path.clone()))?;
    note(context, &format!("{:20} {}.png, .svg", "figure", path.display()));
    Ok(())
}

#[cfg(not(feature = "plot"))]
fn draw(context: &Context, _tech: &Technology, _found: &TechCheck) -> Result<()> {
    note(context, "no figure: this gaincell was built without the feature `plot`");
    Ok(())
}
