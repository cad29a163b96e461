//! `gaincell subtile`.

use clap::Args;
use serde_json::json;

use super::Context;
use super::output::{note, print, print_json, table};
use super::validate::with_spice;
use crate::campaign::{merge_summary, subtile_path, write_json};
use crate::error::{Error, Kind, Problem, Result};
use crate::validate::{SUBTILE_LIMIT, SubtileRow, SubtileSetup, subtile as compare};

/// Which sub-tile.
#[derive(Debug, Args)]
pub(super) struct SubtileArgs {
    /// Rows and columns of each array
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(2..=64))]
    size: u64,
    /// Seed of the stimuli
    #[arg(long, default_value_t = super::validate::SEED)]
    seed: u64,
    /// Only the columns, K then V, in parallel; the whole circuit takes hours from some 24 x 24 cells on
    #[arg(long)]
    columns_only: bool,
    /// One bias cell for all converters of an array in the whole circuit, instead of one each
    #[arg(long)]
    shared_bias: bool,
}

pub(super) fn subtile(context: &Context, args: &SubtileArgs) -> Result<()> {
    let tech = context.tech()?;
    let setup = SubtileSetup {
        size: args.size as usize,
        seed: args.seed,
        whole: !args.columns_only,
        shared_bias: args.shared_bias,
    };
    // Sixteen codes of the query at most drive the word lines.
    let planned = setup.size.min(15) + 2 * setup.size + if setup.whole { 2 } else { 0 };
    let (rows, runs, cached) = with_spice(context, &tech, "sub-tile", planned, |spice| {
        compare(&context.project.benches(), &tech, setup, spice)
    })?;
    note(context, &format!("{:20} {runs} runs, {cached} reused", "sub-tile"));
    write_json(&subtile_path(&context.project, &tech.name), &rows)?;
    let entries: Vec<serde_json::Value> = rows.iter().map(entry).collect();
    merge_summary(&context.project, "subtile", &["tech", "size", "seed", "wires", "shared_bias"], &entries)?;
    if context.common.json {
        print_json(&entries)?;
    } else {
        print(&subtile_table(&rows))?;
    }
    let missed = rows.iter().filter(|row| !row.pass()).map(|row| {
        let (phi, output) = (100.0 * row.phi.score().nrmse, 100.0 * row.output.score().nrmse);
        let limit = 100.0 * SUBTILE_LIMIT;
        let message =
            format!("columns differ from the whole sub-tile by {phi:.3} % in phi, {output:.3} % in the output");
        Problem::new(Kind::VerdictFailed, message).accepted(format!("at most {limit} % of full scale"))
    });
    Error::collect(missed.collect()).map_or(Ok(()), Err)
}

/// One comparison for programs.
fn entry(row: &SubtileRow) -> serde_json::Value {
    let (phi, output) = (row.phi.score(), row.output.score());
    let compared = |value: f64| row.wires.map(|_| value);
    json!({
        "tech": row.tech,
        "size": row.size,
        "seed": row.seed,
        "wires": row.wires,
        "shared_bias": row.shared_bias,
        "nrmse_phi": compared(phi.nrmse),
        "nrmse_output": compared(output.nrmse),
        "worst_phi": compared(phi.worst),
        "worst_output": compared(output.worst),
        "frac_linear": phi.frac_linear,
        "ref_std": [phi.ref_std, output.ref_std],
        "columns_wall_s": row.columns_wall_s,
        "whole_wall_s": row.whole_wall_s,
        "limit": SUBTILE_LIMIT,
        "pass": row.pass(),
    })
}

fn subtile_table(rows: &[SubtileRow]) -> String {
    let percent = |value: f64| format!("{:.3} %", 100.0 * value);
    let seconds = |value: Option<f64>| value.map_or("reused".to_string(), |s| format!("{s:.1} s"));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let (phi, output) = (row.phi.score(), row.output.score());
            let compared = |value: f64| if row.wires.is_some() { percent(value) } else { "-".to_string() };
            vec![
                format!("{0} x {0}", row.size),
                row.wires
                    .map_or("columns only", |wires| if wires { "with wires" } else { "without wires" })
                    .to_string(),
                compared(phi.nrmse),
                compared(phi.worst),
                compared(output.nrmse),
                compared(output.worst),
                format!("{:.0} %", 100.0 * phi.frac_linear),
                format!("{:.0}, {:.0} %", 100.0 * phi.ref_std, 100.0 * output.ref_std),
                seconds(row.columns_wall_s),
                if row.wires.is_some() { seconds(row.whole_wall_s) } else { "-".to_string() },
                if row.pass() { "pass".to_string() } else { "MISSED".to_string() },
            ]
        })
        .collect();
    table(
        &[
            "sub-tile",
            "whole circuit",
            "phi rms#",
            "worst#",
            "output rms#",
            "worst#",
            "in linear#",
            "sigma#",
            "columns took#",
            "whole took#",
            "verdict",
        ],
        &cells,
    )
}
