//! `gaincell emulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Context;
use super::output::{print, print_json};
use crate::campaign::table_folder;
use crate::emulate::{
    Counter, Decay, DieSeed, Evaluation, Extent, Level, Noise, Options, Physics, Quantization, StuckCell, emulate_file,
    read_inputs,
};
use crate::error::{Error, Kind, Problem, Result};
use crate::lut::Table;

/// Arrays in, arrays out.
#[derive(Debug, Args)]
#[command(
    after_help = "Arrays: Q, K, V of shape (batch, tokens, d), f32 or f64; Q in [0, 1], K and V in volts. Written: S and phi_S of
shape (batch, tokens, slots), by slot of the window, and output of shape (batch, tokens, d).

Examples:
  gaincell emulate --in qkv.npz --out result.npz
  gaincell emulate --in qkv.npz --out cubic.npz --fidelity published-cubic --decay by-order --no-quantization
  gaincell emulate --in qkv.npz --out ideal-bit-line.npz --without swing,leakage
  gaincell emulate --in qkv.npz --out even.npz --calibrated-levels --noise table
  gaincell emulate --in qkv.npz --out worn.npz --stuck 0.001 --refresh 256 --level-errors 0,0.002,0,-0.003,0,0,0.001,0
  gaincell emulate --in qkv.npz --out die7.npz --die 7 --leakage-spread 0.3 --noise-cell-c 1e-17 --table results/luts/generic28-gain_cell_6t"
)]
pub(super) struct EmulateArgs {
    /// The .npz file with Q, K and V
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// How much physics: softmax, published-linear, published-cubic, table
    #[arg(long, default_value = "table", value_parser = level)]
    fidelity: Level,
    /// The table's folder or its table.json [default: the technology's, below results/luts/]
    #[arg(long, value_name = "PATH")]
    table: Option<PathBuf>,
    /// Decay of the published models: none, whole-product, by-order, by-order-bfloat16
    #[arg(long, default_value = "whole-product", value_parser = decay)]
    decay: Decay,
    /// Decay per token of the published models, lambda in exp(-lambda age)
    #[arg(long, default_value_t = 1.6e-4)]
    lambda: f64,
    /// Exact Q, K, V and output instead of 16, 8 and 32 levels
    #[arg(long)]
    no_quantization: bool,
    /// Count the output as the published network code does: step 2/31 after clipping, 33 codes
    #[arg(long, conflicts_with = "no_quantization")]
    published_counter: bool,
    /// Tokens that a query sees
    #[arg(long, default_value_t = 1024)]
    window: usize,
    /// Tokens of one tile, whose outputs are counted and added
    #[arg(long, default_value_t = 64)]
    tile: usize,
    /// Mismatch of every cell and converter, by the seed of the die
    #[arg(long, value_name = "SEED")]
    die: Option<u64>,
    /// Spread of the cells' leakage on that die: standard deviation of the logarithm of each cell's rate
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0, requires = "die")]
    leakage_spread: f64,
    /// Drive the table's calibrated DAC levels instead of even ones, so that the stored levels are evenly spaced
    #[arg(long, conflicts_with = "no_quantization")]
    calibrated_levels: bool,
    /// Noise of every write and read from the table: of the stored voltage, of cells at a full pulse and of converters
    #[arg(
        long,
        value_enum,
        value_name = "SOURCE",
        conflicts_with_all = ["noise_write_v", "noise_cell_c", "noise_converter_c"]
    )]
    noise: Option<NoiseSource>,
    /// Error of the DAC's voltage at each level of K and V, in volts: as many as there are levels
    #[arg(
        long,
        value_name = "V,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        conflicts_with = "calibrated_levels"
    )]
    level_errors: Vec<f64>,
    /// Write every stored value again after so many tokens, so that it is never older
    #[arg(long, value_name = "TOKENS")]
    refresh: Option<usize>,
    /// Share of the time, 0 to 1, in which the write bit lines carry other tokens' levels and not their hold bias
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    write_activity: f64,
    /// Resistance of the bit lines' wires from one cell to the next, in ohm
    #[arg(long, value_name = "OHM", default_value_t = 0.0)]
    bit_line_ohm: f64,
    /// Share of cells that hold the lowest or the highest level whatever is written
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = share)]
    stuck: f64,
    /// Seed of the stuck cells
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    stuck_seed: u64,
    /// Noise of each write: standard deviation of the voltage that it leaves on a cell, in volts
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    noise_write_v: f64,
    /// Noise of each read: standard deviation of the charge of a cell with a pulse, in coulombs
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    noise_cell_c: f64,
    /// Noise of each conversion: standard deviation of the charge that a converter sees, in coulombs
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    noise_converter_c: f64,
    /// Seed of the noise
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    noise_seed: u64,
    /// Parts of the table's physics to leave out: write-error, leakage, nonlinearity, swing, pairs (what cells with pulses of different
    /// lengths see of each other's swing), readout
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = part)]
    without: Vec<String>,
    /// Take the table apart into sums of integers, fifteen times faster and more: phi within 0.1 % of full scale of the evaluation cell by
    /// cell on the embedded technology, where an output may be a count off. Noise and a spread of leakage imply it
    #[arg(long)]
    fast: bool,
}

/// Where noise comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NoiseSource {
    /// The table's section `noise`
    Table,
}

/// Noise as asked for; `None`: none.
fn noise(args: &EmulateArgs, table: Option<&Table>) -> Result<Option<Noise>> {
    if args.noise == Some(NoiseSource::Table) {
        let sigmas = table.and_then(Table::noise_sigmas).ok_or_else(|| {
            let help = "make the table again with `gaincell run`, or give --noise-cell-c and --noise-converter-c";
            lacks(table, "noise", "--noise table", help)
        })?;
        return Ok(Some(Noise {
            seed: args.noise_seed,
            sigma_write_v: sigmas.write_v,
            sigma_cell_c: sigmas.cell_c,
            sigma_unsigned_c: sigmas.unsigned_c,
            sigma_signed_c: sigmas.signed_c,
        }));
    }
    let noisy = [args.noise_write_v, args.noise_cell_c, args.noise_converter_c].iter().any(|sigma| *sigma != 0.0);
    Ok(noisy.then_some(Noise {
        seed: args.noise_seed,
        sigma_write_v: args.noise_write_v,
        sigma_cell_c: args.noise_cell_c,
        sigma_unsigned_c: args.noise_converter_c,
        sigma_signed_c: args.noise_converter_c,
    }))
}

/// The calibrated levels' deviations from the even ones [V].
fn level_errors_v(table: Option<&Table>) -> Result<Vec<f64>> {
    let calibration = table.and_then(|table| Some((table.write.calibration.as_ref()?, table.scale.vdd_v)));
    let (calibration, vdd_v) = calibration.ok_or_else(|| {
        lacks(table, "write.calibration", "--calibrated-levels", "make the table again with `gaincell run`")
    })?;
    let driven_v = &calibration.driven_v.values;
    let top = (driven_v.len() - 1) as f64;
    Ok(driven_v.iter().enumerate().map(|(k, v)| v - vdd_v * k as f64 / top).collect())
}

/// An option that asks the table for what is not in it.
fn lacks(table: Option<&Table>, key: &str, option: &str, help: &str) -> Error {
    let problem = match table {
        Some(table) => Problem::new(Kind::BadInput, format!("`{option}`: the table {} does not have it", table.name)),
        None => Problem::new(Kind::BadInput, format!("`{option}` is for the fidelity `table`")),
    };
    problem.key(key).help(help).into()
}

fn part(name: &str) -> std::result::Result<String, String> {
    if Physics::NAMES.contains(&name) { Ok(name.to_string()) } else { Err(accepted(&Physics::NAMES)) }
}

fn share(text: &str) -> std::result::Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err("accepted are 0 to 1".to_string()) }
}

fn level(name: &str) -> std::result::Result<Level, String> {
    Level::from_name(name).ok_or_else(|| accepted(Level::ALL.map(Level::name).as_slice()))
}

fn decay(name: &str) -> std::result::Result<Decay, String> {
    Decay::from_name(name).ok_or_else(|| accepted(Decay::ALL.map(Decay::name).as_slice()))
}

fn accepted(names: &[&str]) -> String {
    format!("accepted are {}", names.join(", "))
}

pub(super) fn emulate(context: &Context, args: &EmulateArgs) -> Result<()> {
    let Some(output) = &context.common.out else {
        let problem = Problem::new(Kind::Usage, "`--out` is missing: the .npz file to write");
        return Err(problem.help("gaincell emulate --in qkv.npz --out result.npz").into());
    };
    let table = if args.fidelity == Level::Table {
        let path = match &args.table {
            Some(path) => path.clone(),
            None => table_folder(&context.project, &context.tech()?.name),
        };
        let read = Table::read_json(&path).map_err(|error| {
            if error.kind() == Kind::Io {
                let problem = Problem::new(Kind::MissingNetlist, "there is no lookup table here").file(&path);
                problem.help("run `gaincell run` first, or name one with `--table`").into()
            } else {
                error
            }
        });
        Some(read?)
    } else {
        None
    };
    let quantization = if args.no_quantization {
        Quantization::OFF
    } else if args.published_counter {
        Quantization { output: Counter::PublishedStep(32), ..Quantization::default() }
    } else {
        Quantization::default()
    };
    let noise = noise(args, table.as_ref())?;
    let level_errors_v =
        if args.calibrated_levels { level_errors_v(table.as_ref())? } else { args.level_errors.clone() };
    let physics = args.without.iter().try_fold(Physics::default(), |physics, name| physics.without(name));
    let fast = args.fast || noise.is_some() || args.leakage_spread > 0.0;
    let tiles = args.window.div_ceil(args.tile.max(1));
    let stuck = match quantization.stored {
        _ if args.stuck == 0.0 => Vec::new(),
        Some(levels) => {
            let [_, _, d] = read_inputs(&args.input)?.shape;
            let extent = Extent { slots: args.window, tile_tokens: args.tile.max(1), d };
            StuckCell::draw(args.stuck_seed, args.stuck, 0, extent, levels)
        }
        None => {
            let problem = Problem::new(Kind::Usage, "a cell is stuck at a level, and `--no-quantization` leaves none");
            return Err(problem.key("--stuck").accepted("quantized K and V").into());
        }
    };
    let options = Options {
        refresh_tokens: args.refresh,
        write_activity: args.write_activity,
        bit_line_ohm: args.bit_line_ohm,
        stuck,
        evaluation: if fast { Evaluation::Factorized } else { Evaluation::PerCell },
        physics: physics.unwrap_or_default(),
        leakage_sigma: args.leakage_spread,
        noise,
        level_errors_v,
        level: args.fidelity,
        decay: args.decay,
        lambda: args.lambda,
        quantization,
        window: args.window,
        tile_tokens: args.tile,
        tiles,
        die: args.die.map(|seed| DieSeed { seed, sample: 0 }),
        ..Options::default()
    };
    let summary = emulate_file(&args.input, output, &options, table.as_ref())?;
    let clamped: Vec<_> = summary
        .clamped
        .entries()
        .map(|(quantity, count)| json!({"quantity": quantity.name(), "count": count}))
        .collect();
    if context.common.json {
        return print_json(&json!({
            "out": output, "shape": summary.shape, "slots": summary.slots,
            "fraction_linear": summary.fraction_linear, "clamped": clamped,
        }));
    }
    let [batch, tokens, d] = summary.shape;
    print(&format!(
        "{}: {batch} x {tokens} tokens, d = {d}, {} slots; {:.1} % of phi in (0.05, 0.95); {} values clamped to the table\n",
        output.display(),
        summary.slots,
        100.0 * summary.fraction_linear,
        summary.clamped.total()
    ))
}
