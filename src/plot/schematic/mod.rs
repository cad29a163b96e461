//! A schematic of a subcircuit or of a bench, drawn from its netlist: nobody places anything, and a drawing cannot differ from its circuit.
//!
//! | file | does |
//! |---|---|
//! | [`parts`] | the subcircuit's lines as transistors, two-terminal elements and blocks |
//! | [`arrange`] | channels that follow each other become columns from the supply to ground |
//! | `draw` | columns and blocks as strokes and texts |
//!
//! Connections between columns are by name, as on a sheet with net labels; a column's own nodes are wired.

pub mod arrange;
mod draw;
pub mod parts;

pub use arrange::{Column, Element, Sheet};
pub use parts::{Block, Circuit, Mos, Pair, Polarity};

use super::scene::Scene;
use crate::netlist::Line;

/// The drawing of the subcircuit `name` among `lines`; `None` if there is none of that name, or nothing in it.
pub fn scene(lines: &[Line], name: &str) -> Option<Scene> {
    sheet(&Circuit::find(lines, name)?)
}

/// The drawing of a bench's own level, under that name; `None` if there is nothing in it.
pub fn bench_scene(lines: &[Line], name: &str) -> Option<Scene> {
    sheet(&Circuit::bench(lines, name))
}

fn sheet(circuit: &Circuit) -> Option<Scene> {
    let sheet = Sheet::arrange(circuit);
    (!sheet.columns.is_empty() || !sheet.blocks.is_empty()).then(|| draw::scene(circuit, &sheet))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::netlist::{Source, TechFiles};
    use crate::plot::scene::Text;

    fn netlists(folders: &[&str], extension: &str) -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists");
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|e| e == extension));
        files.sort();
        files
    }

    /// No text covers another or leaves the sheet, and every device is named.
    fn check(circuit: &Circuit) {
        let name = &circuit.name;
        let scene = sheet(circuit).unwrap_or_else(|| panic!("{name} is empty"));
        let (width, height) = (f64::from(scene.size_px.0), f64::from(scene.size_px.1));
        let texts: Vec<&Text> = scene.texts().collect();
        for (k, text) in texts.iter().enumerate() {
            let a = text.bounds();
            let inside = a.left >= 0.0 && a.top >= 0.0 && a.right <= width && a.bottom <= height;
            assert!(inside, "{name}: `{}` at {a:?} of {width} x {height}", text.text);
            for other in &texts[k + 1..] {
                let b = other.bounds();
                let apart = a.right <= b.left + 0.5
                    || b.right <= a.left + 0.5
                    || a.bottom <= b.top + 0.5
                    || b.bottom <= a.top + 0.5;
                assert!(apart, "{name}: `{}` covers `{}`", text.text, other.text);
            }
        }
        let named = |device: &str| texts.iter().any(|text| text.text.split([',', ' ', ':']).any(|word| word == device));
        let devices = circuit.transistors.iter().map(|t| &t.name).chain(circuit.pairs.iter().map(|p| &p.name));
        for device in devices.chain(circuit.blocks.iter().map(|block| &block.name)).flat_map(|name| name.split(' ')) {
            assert!(named(device), "{name}: {device} is not drawn");
        }
    }

    #[test]
    fn every_subcircuit_has_a_drawing_whose_texts_are_apart() {
        let mut drawn = 0;
        for file in netlists(&["cells", "readout", "drivers"], "sub") {
            let source = Source::read(&file, &TechFiles::default()).unwrap();
            for name in Circuit::names(&source.lines) {
                check(&Circuit::find(&source.lines, &name).unwrap());
                drawn += 1;
            }
        }
        assert!(drawn >= 10, "{drawn} subcircuits");
    }

    #[test]
    fn a_bench_is_drawn_with_its_sources_as_ports_and_equal_instances_as_one_block() {
        // The sub-tile's instances are written by the program.
        for file in netlists(&["benches"], "cir").into_iter().filter(|file| !file.ends_with("subtile.cir")) {
            let source = Source::read(&file, &TechFiles::default()).unwrap();
            check(&Circuit::bench(&source.lines, &file.file_stem().unwrap().to_string_lossy()));
        }
        let file = &netlists(&["benches"], "cir").into_iter().find(|file| file.ends_with("token.cir")).unwrap();
        let circuit = Circuit::bench(&Source::read(file, &TechFiles::default()).unwrap().lines, "token");
        assert!(circuit.ports.iter().any(|port| port == "vdw"), "{:?}", circuit.ports);
        let block = |what: &str| circuit.blocks.iter().filter(|block| block.what == what).collect::<Vec<_>>();
        let names: Vec<&str> = block("gain_cell_6t").iter().map(|block| block.name.as_str()).collect();
        assert_eq!(names, ["xk0 xk1 xk2 xk3", "xk4 xk5 xk6 xk7", "xv0", "xv1 xv2 xv3 xv4 xv5 xv6 xv7"]);
        assert_eq!(block("switch")[0].pins[1].1, "xk0.st … xv0.st", "what the switches set differs");
    }
}
