//! The command line: the only place that prints.

mod budget;
mod circuits;
mod diff;
mod emulate;
mod explain;
mod figures;
mod lint;
mod models;
mod output;
mod population;
mod run;
mod schematic;
mod subtile;
mod sweep;
mod tech;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Kind, Result};
use crate::project::Project;
use crate::tech::Technology;

const EXIT_CODES: &str = "Exit codes:
  0 good              3 cannot read or write     12 quantity or unit wrong      20 libngspice is missing
  1 fault of gaincell 4 points of a sweep failed 13 technology not known        21 another process has the run
  2 command line      5 a validation missed      14 file or netlist missing     22 stored results are damaged
                      6 a fit cannot be made     15 netlist syntax              30 lookup table is invalid
                      7 a spec limit is missed   16 parameter not defined       31 outside the validity box
                      8 lint found errors        17 matrix is singular          32 arrays do not fit
                      9 compared runs differ     18 deck refused                40 built without the feature
                     10 TOML syntax
                     11 key wrong or missing                                   130 interrupted, finished work saved";

/// Characterize gain cells in ngspice, fit compact models, export lookup tables, and run in-memory attention on them.
#[derive(Debug, Parser)]
#[command(name = "gaincell", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The project's folder [default: the nearest one upward that holds gaincell.toml, else what the program
    /// embeds]
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Where results/ and plots/ are written [default: the project's folder, else the current
    /// one]; with `emulate`, the .npz file to write
    #[arg(long, global = true, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Technology: a name below netlists/tech/, or the path of a tech.toml, at its nominal temperature or at another one
    /// (generic28@85degC) [default: the sweep file's, else generic28]
    #[arg(long, global = true, value_name = "NAME|PATH")]
    tech: Option<String>,
    /// Worker processes [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    workers: Option<u64>,
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// No progress bars and no notes, only results and errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole chain: sweeps, fits, lookup table, validation, plots, report
    #[command(
        after_help = "Examples:\n  gaincell run\n  gaincell run --profile full --tech generic28\n  gaincell run --tech generic28@85degC\n  gaincell --out /scratch/today run"
    )]
    Run(run::RunArgs),
    /// Simulate sweeps; rows that are stored already are not simulated again
    #[command(
        after_help = "Examples:\n  gaincell sweep nonlinearity\n  gaincell sweep --all --plan\n  gaincell sweep corners --corner slow_hot\n  gaincell sweep write_path --pvt\n  gaincell sweep cell_6t_cycle --dice 1000 --hold v_level=0.9V --hold v_prev=0V\n  gaincell sweep nonlinearity_multifidelity\n  gaincell sweep nonlinearity_adaptive --full-grid\n  gaincell sweep my/own.toml --tech my/tech.toml --json\n  gaincell sweep --all"
    )]
    Sweep(sweep::SweepArgs),
    /// Read a deck or a sweep with its models, and report what is wrong or likely to be, without running anything
    Lint(lint::LintArgs),
    /// Write one point as a stand-alone deck that plain `ngspice -b` measures the same on, and say what differs
    Explain(explain::ExplainArgs),
    /// Fit the compact models to the rows of the sweeps
    #[command(
        after_help = "Examples:\n  gaincell fit\n  gaincell fit --json | jq '.[] | {name, held_out_error, limit, pass}'"
    )]
    Fit,
    /// Write the lookup table from the fitted models
    #[command(after_help = "Examples:\n  gaincell export\n  gaincell export --json")]
    Export,
    /// Attention on the emulated arrays: Q, K, V from an NPZ file to S, phi(S) and output
    Emulate(emulate::EmulateArgs),
    /// Compare the emulator with transistor-level SPICE
    #[command(after_help = "Examples:\n  gaincell validate\n  gaincell validate --seed 7 --json")]
    Validate(validate::ValidateArgs),
    /// Compare a whole sub-tile, wires and shared drivers included, with its columns one by one, both in SPICE
    #[command(
        after_help = "Examples:\n  gaincell subtile --size 8\n  gaincell subtile                    # 16 x 16, some twenty minutes\n  gaincell subtile --size 64 --columns-only"
    )]
    Subtile(subtile::SubtileArgs),
    /// Draw the figures from what is in results/: those of the models, or those of the named sweeps
    #[command(
        after_help = "Examples:\n  gaincell plot\n  gaincell plot write my/own.toml\n  gaincell plot write_path --pvt\n  gaincell --out /scratch/today plot"
    )]
    Plot(figures::PlotArgs),
    /// Draw the schematic of a subcircuit from its netlist
    #[command(
        after_help = "Examples:\n  gaincell schematic netlists/cells/gain_cell_6t.sub\n  gaincell schematic my/cell.sub my_cell\n  gaincell schematic netlists/readout/charge_to_pulse.sub comparator"
    )]
    Schematic(schematic::SchematicArgs),
    /// Write results/report.html from what is in results/
    #[command(after_help = "Examples:\n  gaincell report\n  gaincell report --json")]
    Report,
    /// Write results/circuits.html: every circuit's schematic, benches, curves over corners and dice, limits
    #[command(
        after_help = "Examples:\n  gaincell circuits                 # from the runs that there are\n  gaincell circuits --run           # simulate first what is missing\n  gaincell circuits gain_cell_6t --run --tech sky130"
    )]
    Circuits(circuits::CircuitsArgs),
    /// Technologies: which there are, and whether their devices do what they state
    #[command(
        after_help = "Examples:\n  gaincell tech list\n  gaincell tech check generic28\n  gaincell tech check my/tech.toml --json"
    )]
    Tech(tech::TechArgs),
    /// What changed between two runs: by more than numerical noise, and for Monte Carlo by more than chance
    #[command(after_help = diff::HELP, after_long_help = diff::HELP)]
    Diff(diff::DiffArgs),
    /// A simulator process of a sweep
    #[command(hide = true)]
    Worker {
        /// The descriptor that frames travel over
        #[arg(long)]
        fd: i32,
    },
}

/// What a subcommand works with.
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) project: Project,
    pub(crate) interrupt: Arc<AtomicBool>,
    /// The command as it was written.
    pub(crate) written: String,
}

impl Context {
    /// The technology asked for, or else the embedded one.
    fn tech(&self) -> Result<Technology> {
        Technology::find(self.common.tech.as_deref().unwrap_or(EMBEDDED_TECH), &self.project.technologies())
    }
}

/// The technology that the project brings.
const EMBEDDED_TECH: &str = "generic28";

/// Parses the command line, runs it, prints errors; `main` returns the answer.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Worker { fd } = cli.command {
        return worker(fd);
    }
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    let out = if matches!(cli.command, Command::Emulate(_)) { None } else { cli.common.out.as_deref() };
    let project = Project::find(cli.common.project.as_deref(), out)?;
    let written = output::written(std::env::args_os().skip(1));
    let context = Context { common: cli.common, project, interrupt: on_interrupt()?, written };
    // The emulator reads a table and nothing else, and the linter asks for itself.
    if !matches!(cli.command, Command::Emulate(_) | Command::Lint(_)) {
        context.project.prepare()?;
        if context.project.is_embedded() {
            let results = context.project.results();
            output::note(
                &context,
                &format!("no project here: own netlists and sweeps, results in {}", results.display()),
            );
        }
    }
    match cli.command {
        Command::Run(args) => run::run(&context, &args),
        Command::Sweep(args) => sweep::sweep(&context, &args),
        Command::Lint(args) => lint::lint(&context, &args),
        Command::Explain(args) => explain::explain(&context, &args),
        Command::Fit => models::fit(&context),
        Command::Export => models::export(&context),
        Command::Emulate(args) => emulate::emulate(&context, &args),
        Command::Validate(args) => validate::validate(&context, &args),
        Command::Subtile(args) => subtile::subtile(&context, &args),
        Command::Plot(args) => figures::plot(&context, &args),
        Command::Schematic(args) => schematic::schematic(&context, &args),
        Command::Report => figures::report(&context),
        Command::Circuits(args) => circuits::circuits(&context, &args),
        Command::Tech(args) => tech::tech(&context, &args),
        Command::Diff(args) => diff::diff(&context, &args),
        Command::Worker { .. } => Ok(()),
    }
}

/// The first Ctrl-C lets running points finish and saves; the second ends the process.
fn on_interrupt() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let count = AtomicUsize::new(0);
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        seen.store(true, Ordering::SeqCst);
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(i32::from(Kind::Interrupted.exit_code()));
        }
        eprintln!("\ninterrupt: running points are finished and saved; press Ctrl-C again to stop at once");
    })
    .map_err(|source| Error::new(Kind::Internal, format!("cannot listen for Ctrl-C: {source}")))?;
    Ok(flag)
}

#[cfg(feature = "simulate")]
fn worker(fd: i32) -> ExitCode {
    crate::simulate::worker_main(fd)
}

#[cfg(not(feature = "simulate"))]
fn worker(_fd: i32) -> ExitCode {
    ExitCode::from(Kind::FeatureMissing.exit_code())
}

/// What a subcommand says that this build cannot do.
#[cfg(not(all(feature = "simulate", feature = "plot")))]
fn without(feature: &str) -> Error {
    crate::error::Problem::new(Kind::FeatureMissing, format!("this gaincell was built without the feature `{feature}`"))
        .help(format!("build it with `cargo build --features {feature}`"))
        .into()
}
