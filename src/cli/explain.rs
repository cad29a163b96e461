//! `gaincell explain`.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;

use super::Context;
use super::output::{Bar, print, print_json, table};
use crate::campaign::{AGREEMENT, Compared, Explanation, Numbers, PointName, explain_run, find_point};
use crate::error::{Kind, Problem, Result};

/// Which point to explain.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gaincell explain retention:7\n  gaincell explain variability_cell:801 --run\n  gaincell explain write_path_pvt:8 --run\n  gaincell explain 3f9a0c41 --out-dir /scratch/point --json\n  gaincell explain readout --all --run"
)]
pub(super) struct ExplainArgs {
    /// <sweep>:<index>, the place in the sweep's design; or the identity of a point or its first digits; with --all a run, as
    /// `gaincell diff` takes it
    point: String,
    /// Where the deck and its start-up file are written [default: results/explain/<sweep>-<index>/]
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Run `ngspice -b` on the deck and compare with the stored row
    #[arg(long)]
    run: bool,
    /// Check every ok row of a run, --workers at once; decks of what differs are kept
    #[arg(long, requires = "run")]
    all: bool,
}

pub(super) fn explain(context: &Context, args: &ExplainArgs) -> Result<()> {
    if args.all {
        return explain_all(context, args);
    }
    let name = PointName::parse(&args.point)?;
    let mut simulator = || super::sweep::pool(context)?.identity();
    let explained = find_point(&context.project, &name, context.common.tech.as_deref(), &mut simulator)?;
    let place = format!("{}-{}", explained.spec.name, explained.point.row.index);
    let folder = args.out_dir.clone().unwrap_or_else(|| context.project.results().join("explain").join(place));
    let explanation = explained.write(&folder, args.run)?;
    if context.common.json {
        print_json(&explanation)?;
    } else {
        print(&text(&explanation, args.run))?;
    }
    if args.run && !explanation.agrees() {
        return Err(Problem::new(
            Kind::VerdictFailed,
            format!("plain ngspice does not give the stored measurements within {AGREEMENT:e}"),
        )
        .help("the table above says which; the deck's folder holds everything to look further")
        .into());
    }
    Ok(())
}

/// Every ok row of a run.
fn explain_all(context: &Context, args: &ExplainArgs) -> Result<()> {
    let run = super::diff::find(context, &args.point)?;
    let results = context.project.results().join("explain");
    let name = run.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
    let folder = args.out_dir.clone().unwrap_or_else(|| results.join(name));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let threads = context.common.workers.map_or(cores, |workers| workers as usize);
    let mut bar = Bar::new(context, "plain ngspice");
    let checked = explain_run(&context.project, &run, &folder, threads, &mut |progress| {
        bar.tell(progress);
        !context.interrupt.load(Ordering::SeqCst)
    });
    bar.finish();
    let checked = checked?;
    if context.common.json {
        print_json(&checked)?;
    } else {
        print(&format!(
            "{} on {}: {} ok rows, {} equal bit for bit in plain ngspice, {} within {AGREEMENT:e}, {} further off, {} of another \
             identity; largest relative difference {:.1e}\n",
            checked.sweep,
            checked.tech,
            checked.points,
            checked.equal,
            checked.close,
            checked.points_off,
            checked.outdated,
            checked.largest_relative_difference
        ))?;
        checked.off.iter().try_for_each(|off| print(&format!("  {off}\n")))?;
    }
    if checked.points_off > 0 {
        let message = format!("{} of {} rows differ by more than {AGREEMENT:e}", checked.points_off, checked.points);
        let help = format!("their decks are in {}", folder.display());
        return Err(Problem::new(Kind::VerdictFailed, message).help(help).into());
    }
    Ok(())
}

fn text(explanation: &Explanation, ran: bool) -> String {
    let mut text = format!("{}:{} on {}", explanation.sweep, explanation.index, explanation.tech);
    if let Some(id) = &explanation.id {
        text += &format!(", point {id}");
    }
    text += "\n\n";
    for (name, value) in &explanation.values {
        text += &format!("  {name} = {value:e}\n");
    }
    text += &format!("\nRun it in plain ngspice:\n\n  {}\n\n", explanation.command);
    let rows: Vec<Vec<String>> = explanation
        .measurements
        .iter()
        .map(|m| {
            let mut row = vec![m.printed_as.clone(), shown(m.stored.as_ref())];
            if ran {
                row.extend([shown(m.ngspice.as_ref()), verdict(m)]);
            }
            row
        })
        .collect();
    let header: &[&str] =
        if ran { &["printed as", "stored#", "plain ngspice#", "difference"] } else { &["printed as", "stored#"] };
    text += &table(header, &rows);
    if !explanation.notes.is_empty() {
        text += "\n";
    }
    for note in &explanation.notes {
        text += &format!("Note: {note}.\n");
    }
    text += "\nWhat the harness does differently:\n";
    for difference in &explanation.differences {
        text += &format!("- {difference}.\n");
    }
    text
}

/// Seventeen significant digits, as ngspice prints them; a curve by its ends.
fn shown(numbers: Option<&Numbers>) -> String {
    match numbers {
        None => "-".to_string(),
        Some(Numbers::One(number)) => format!("{number:.16e}"),
        Some(Numbers::Many(numbers)) => match numbers.as_slice() {
            [first, .., last] => format!("{} values, {first:.6e} ... {last:.6e}", numbers.len()),
            few => few.iter().map(|number| format!("{number:.16e}")).collect(),
        },
    }
}

fn verdict(compared: &Compared) -> String {
    match compared.relative_difference {
        _ if compared.bit_for_bit => "bit for bit".to_string(),
        Some(difference) => format!("{difference:.1e} relative"),
        None if compared.stored.is_none() => "nothing stored".to_string(),
        None => "missing in plain ngspice".to_string(),
    }
}
