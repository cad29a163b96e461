//! `gaincell plot` and `gaincell report`: from files in results/ alone.

use std::path::PathBuf;

use serde_json::json;

use super::Context;
use super::output::{print, print_json};
use crate::campaign::{
    Datasets, LeftOut, Models, SavedModels, SweepSummary, budget_path, device_verdicts, models_path, read_datasets,
    read_json, table_folder, validation_path,
};
use crate::error::{Error, Kind, Result};
use crate::lut::Table;
use crate::report::{
    DeviceRow, DevicesLeftOut, Experiment, HandCheck, Header, LutSummary, ReportData, SweepRow, experiments, prose,
};
use crate::tech::Technology;
use crate::validate::{Budget, ValidationCase};

/// What to plot.
#[derive(Debug, clap::Args)]
pub(super) struct PlotArgs {
    /// Sweeps whose last run to plot, measurement by measurement [default: the figures of the models]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    #[command(flatten)]
    variant: super::sweep::VariantArgs,
}

pub(super) fn plot(context: &Context, args: &PlotArgs) -> Result<()> {
    if !args.sweeps.is_empty() {
        return plot_sweeps(context, args);
    }
    let tech = context.tech()?;
    let count = draw(context, &tech)?;
    let folder = context.project.plots();
    if context.common.json {
        return print_json(&json!({"folder": folder, "figures": count}));
    }
    print(&format!("{count} figures, as PNG and SVG, in {}\n", folder.display()))
}

pub(super) fn report(context: &Context) -> Result<()> {
    let tech = context.tech()?;
    let path = page(context, &tech)?;
    if context.common.json {
        return print_json(&json!({"report": path}));
    }
    print(&format!("{}\n", path.display()))
}

/// What earlier stages left.
struct Left {
    datasets: Datasets,
    models: Models,
    cases: Vec<ValidationCase>,
    #[cfg_attr(not(feature = "plot"), expect(dead_code, reason = "a figure shows it"))]
    budgets: Vec<Budget>,
}

fn left(context: &Context, tech: &Technology) -> Result<Left> {
    let datasets = read_datasets(&context.project, &tech.name)?;
    let saved: SavedModels = read_json(&models_path(&context.project, &tech.name), "fit")?;
    let validation = validation_path(&context.project, &tech.name);
    let cases = if validation.is_file() { read_json(&validation, "validate")? } else { Vec::new() };
    let budget = budget_path(&context.project, &tech.name);
    let budgets = if budget.is_file() { read_json(&budget, "validate --budget")? } else { Vec::new() };
    Ok(Left { datasets, models: saved.models, cases, budgets })
}

/// The cell that the sweeps are about.
const CELL: &str = "gain_cell_6t";

#[cfg(feature = "plot")]
fn figures(left: &Left, tech: &Technology) -> Result<Vec<(&'static str, crate::plot::Figure)>> {
    let results = crate::plot::results::Results { datasets: &left.datasets, models: &left.models, tech, cell: CELL };
    let mut figures = results.figures()?;
    if !left.cases.is_empty() {
        figures.push(("validation", results.validation(&left.cases)));
    }
    if !left.budgets.is_empty() {
        figures.push(("budget", crate::plot::budget::figure(&results.conditions(), &left.budgets)));
    }
    Ok(figures)
}

#[cfg(feature = "plot")]
pub(super) fn draw(context: &Context, tech: &Technology) -> Result<usize> {
    use rayon::prelude::*;
    let figures = figures(&left(context, tech)?, tech)?;
    let folder = context.project.plots();
    std::fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, "create the folder", source))?;
    figures
        .par_iter()
        .map(|(name, figure)| figure.save(&crate::plot::Target::new(folder.join(format!("{}_{name}", tech.name)))))
        .collect::<Result<Vec<_>>>()?;
    Ok(figures.len())
}

/// The figure of each sweep's last run.
#[cfg(feature = "plot")]
fn plot_sweeps(context: &Context, args: &PlotArgs) -> Result<()> {
    let folder = context.project.plots();
    let mut drawn = Vec::new();
    for (spec, tech) in super::sweep::read_named(context, &args.sweeps, &[])? {
        let spec = args.variant.of(spec, &tech)?;
        let run = crate::campaign::latest_run(&context.project, &spec.name, &tech.name)?;
        let dataset = crate::dataset::Dataset::read(&run)?;
        let target = crate::plot::Target::new(folder.join(format!("{}_sweep_{}", tech.name, spec.name)));
        crate::plot::sweep::figure(&spec, &dataset, &tech)?.save(&target)?;
        drawn.push(target.png());
    }
    if context.common.json {
        return print_json(&json!({"figures": drawn}));
    }
    print(&drawn.iter().map(|path| format!("{}\n", path.display())).collect::<String>())
}

#[cfg(not(feature = "plot"))]
fn plot_sweeps(_context: &Context, _args: &PlotArgs) -> Result<()> {
    Err(super::without("plot"))
}

#[cfg(not(feature = "plot"))]
pub(super) fn draw(_context: &Context, _tech: &Technology) -> Result<usize> {
    Err(super::without("plot"))
}

/// Name, SVG and caption of every figure; without the feature `plot` the page has none.
#[cfg(feature = "plot")]
fn svgs(left: &Left, tech: &Technology) -> Result<Vec<(String, String, String)>> {
    figures(left, tech)?
        .iter()
        .map(|(name, figure)| Ok(((*name).to_string(), figure.svg()?, format!("plots/{}_{name}.png", tech.name))))
        .collect()
}

#[cfg(not(feature = "plot"))]
fn svgs(_left: &Left, _tech: &Technology) -> Result<Vec<(String, String, String)>> {
    Ok(Vec::new())
}

/// Writes `results/report.html`.
pub(super) fn page(context: &Context, tech: &Technology) -> Result<PathBuf> {
    let left = left(context, tech)?;
    let folder = table_folder(&context.project, &tech.name);
    // A page without a table is one; a page on a damaged one is not.
    let table = match Table::read_json(&folder) {
        Err(error) if error.kind() != Kind::Io => return Err(error),
        read => read.ok(),
    };
    let summary: serde_json::Value = read_json(&context.project.results().join("summary.json"), "run")?;
    let sweeps: Vec<SweepSummary> = summary
        .get("sweeps")
        .and_then(|list| serde_json::from_value::<Vec<SweepSummary>>(list.clone()).ok())
        .unwrap_or_default()
        .into_iter()
        .filter(|sweep| sweep.tech == tech.name)
        .collect();
    let manifest = left.datasets.values().next().map(|set| &set.manifest);
    let mut sections = experiments(&svgs(&left, tech)?, &left.models.reports());
    hand_checks(&mut sections, &left, table.as_ref());
    let data = ReportData {
        header: Header {
            tech: tech.name.clone(),
            tech_description: tech.description.clone(),
            cell: CELL.to_string(),
            profile: table.as_ref().map(|t| t.profile.clone()).unwrap_or_default(),
            vdd_v: tech.vdd_v,
            temperature_degc: tech.temperature_degc,
            date: today(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            ngspice: manifest.map(|m| m.simulator.clone()).unwrap_or_default(),
            commit: manifest.and_then(|m| m.commit.clone()).unwrap_or_default(),
            command: command_of(&summary, &tech.name),
        },
        validation: left.cases.iter().map(|case| case.row.clone()).collect(),
        devices: device_verdicts(&left.datasets, tech)?.iter().map(DeviceRow::from).collect(),
        devices_left_out: LeftOut::of(tech).as_ref().and_then(DevicesLeftOut::new),
        experiments: sections,
        sweeps: sweeps.iter().map(SweepRow::from).collect(),
        luts: table.iter().map(|t| LutSummary::new(t, &format!("results/luts/{}", t.name))).collect(),
        limits: prose::scope(),
    };
    let path = context.project.results().join("report.html");
    write_page(&path, &crate::report::render(&data)?)?;
    Ok(path)
}

/// The section of `results/summary.json` with the `gaincell run` that was last run on each technology.
pub(super) const RUNS: &str = "runs";

/// The command that made the results of a technology; empty if they came stage by stage.
fn command_of(summary: &serde_json::Value, tech: &str) -> String {
    let mut runs = summary.get(RUNS).and_then(serde_json::Value::as_array).into_iter().flatten();
    let own = runs.find(|run| run.get("tech").is_some_and(|name| name == tech));
    own.and_then(|run| run.get("command")?.as_str()).unwrap_or_default().to_string()
}

/// Writes a page, atomically.
pub(super) fn write_page(path: &std::path::Path, html: &str) -> Result<()> {
    use std::io::Write;
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
        file.write_all(html.as_bytes())?;
        file.commit()
    };
    write().map_err(|source| Error::io(path, "write", source))
}

/// Estimates with a pencil beside what the simulator says.
fn hand_checks(sections: &mut [Experiment], left: &Left, table: Option<&Table>) {
    let mut add = |id: &str, claim: &str, by_hand: f64, simulated: f64, unit: &str| {
        if let Some(section) = sections.iter_mut().find(|section| section.id == id) {
            section.hand_checks.push(HandCheck {
                claim: claim.to_string(),
                by_hand,
                simulated,
                unit: unit.to_string(),
            });
        }
    };
    let Some(table) = table else { return };
    let full = table.scale.charge_per_unit_c * table.scale.s_sat;
    add(
        "readout",
        "width of a full pulse: 80 units of charge over the conversion current of 41.2 uA",
        full / 41.2e-6,
        left.models.readout.width_s(0.98 * full) / 0.98,
        "s",
    );
    add(
        "readout",
        "bit-line capacitance: 4 pF and the drains of 64 cells, about 0.5 fF each",
        4e-12 + 64.0 * 0.5e-15,
        table.column_k.c_bit_line_f,
        "F",
    );
    let drawn = table.variability.iter().find_map(|v| {
        let k = v.names.iter().position(|name| name == "xmn1.delvto")?;
        Some(v.covariance[k * v.names.len() + k].sqrt())
    });
    if let Some(sigma) = drawn {
        add(
            "variability",
            "sigma of the threshold of the storage-gated NMOS, drawn: 2 mV um / sqrt(0.1 um x 0.1 um) (Pelgrom)",
            crate::fit::variability::pelgrom_sigma(2e-9, 0.1e-6, 0.1e-6),
            sigma,
            "V",
        );
    }
}

/// The date, UTC, from the clock: days since 1970 to year, month, day by counting.
pub(super) fn today() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut days = seconds / 86_400;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, days + 1)
}
