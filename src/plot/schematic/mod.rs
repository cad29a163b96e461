//! A schematic of a subcircuit, drawn from its netlist: nobody places anything, and a drawing cannot differ from its circuit.
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
    let circuit = Circuit::find(lines, name)?;
    let sheet = Sheet::arrange(&circuit);
    (!sheet.columns.is_empty() || !sheet.blocks.is_empty()).then(|| draw::scene(&circuit, &sheet))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::netlist::{Source, TechFiles};
    use crate::plot::scene::Text;

    fn netlists() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists");
        let folders = ["cells", "readout", "drivers"].map(|folder| root.join(folder));
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|e| e == "sub"));
        files.sort();
        files
    }

    #[test]
    fn every_subcircuit_has_a_drawing_whose_texts_are_apart() {
        let mut drawn = 0;
        for file in netlists() {
            let source = Source::read(&file, &TechFiles::default()).unwrap();
            for name in Circuit::names(&source.lines) {
                let scene = scene(&source.lines, &name).unwrap_or_else(|| panic!("{name} is empty"));
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
                // Every device of the netlist is named on the sheet.
                let circuit = Circuit::find(&source.lines, &name).unwrap();
                let named =
                    |device: &str| texts.iter().any(|text| text.text.split([',', ' ', ':']).any(|word| word == device));
                let devices = circuit.transistors.iter().map(|t| &t.name).chain(circuit.pairs.iter().map(|p| &p.name));
                for device in devices.chain(circuit.blocks.iter().map(|block| &block.name)) {
                    assert!(named(device), "{name}: {device} is not drawn");
                }
                drawn += 1;
            }
        }
        assert!(drawn >= 10, "{drawn} subcircuits");
    }
}
