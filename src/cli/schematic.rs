//! `gaincell schematic`.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use crate::error::Result;

/// What to draw.
#[derive(Debug, Args)]
pub(super) struct SchematicArgs {
    /// A netlist; what it includes may be drawn too
    #[arg(value_name = "NETLIST")]
    netlist: PathBuf,
    /// Names of subcircuits [default: all that the file itself defines; a bench's own level where it defines none]
    #[arg(value_name = "SUBCKT")]
    names: Vec<String>,
}

#[cfg(feature = "plot")]
pub(super) fn schematic(context: &Context, args: &SchematicArgs) -> Result<()> {
    use serde_json::json;

    use super::output::{print, print_json};
    use crate::error::{Error, Kind, Problem};
    use crate::netlist::{Source, TechFiles};
    use crate::plot::{Target, canvas, schematic as draw};

    let source = Source::read(&args.netlist, &TechFiles::default())?;
    let own = source.lines.iter().filter(|line| line.origin.file == args.netlist).cloned().collect::<Vec<_>>();
    let names = if args.names.is_empty() { draw::Circuit::names(&own) } else { args.names.clone() };
    let bench = args.netlist.file_stem().unwrap_or_default().to_string_lossy();
    let known = draw::Circuit::names(&source.lines);
    let missing = |name: &str| {
        let problem = Problem::new(Kind::MissingNetlist, format!("there is no subcircuit `{name}` to draw"));
        let accepted = if known.is_empty() { "a netlist with a .subckt".to_string() } else { known.join(", ") };
        Error::from(problem.file(&args.netlist).accepted(accepted))
    };
    let mut scenes = Vec::new();
    if names.is_empty() {
        scenes.push((bench.as_ref(), draw::bench_scene(&source.lines, &bench).ok_or_else(|| missing("*"))?));
    }
    for name in &names {
        scenes.push((name, draw::scene(&source.lines, name).ok_or_else(|| missing(name))?));
    }
    let folder = context.project.plots();
    let mut drawn = Vec::new();
    for (name, scene) in scenes {
        let target = Target::new(folder.join(format!("schematic_{}", name.to_ascii_lowercase())));
        canvas::save(&scene, &target)?;
        drawn.push(target.png());
    }
    if context.common.json {
        return print_json(&json!({"figures": drawn}));
    }
    print(&drawn.iter().map(|path| format!("{}\n", path.display())).collect::<String>())
}

#[cfg(not(feature = "plot"))]
pub(super) fn schematic(_context: &Context, _args: &SchematicArgs) -> Result<()> {
    Err(super::without("plot"))
}
