//! What of a technology stands in a deck.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::source::{Line, Origin};
use super::tokens;
use crate::error::{Kind, Problem, Result};
use crate::tech::Technology;

/// What stands in for a bench's own `.include ../tech/<name>/...` lines: parameters, then libraries, then files, all
/// inlined at the first such line. Nothing at all leaves the bench's own lines alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TechFiles {
    /// Constants that wrappers and libraries use, as `w_scale`.
    pub parameters: Vec<(String, f64)>,
    /// Libraries of a PDK.
    pub libraries: Vec<TechLibrary>,
    /// Model and wrapper files.
    pub files: Vec<PathBuf>,
    /// Defaults that the technology gives to parameters of netlists' subcircuits, by subcircuit and parameter.
    pub subckts: BTreeMap<String, BTreeMap<String, f64>>,
    /// The technology's own file.
    pub declared: PathBuf,
}

/// A library of a PDK, as a technology takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct TechLibrary {
    /// The file.
    pub file: PathBuf,
    /// The section that is taken; without one the whole file.
    pub section: Option<String>,
    /// Where the technology says so.
    pub declared: Origin,
}

impl TechFiles {
    /// What `tech` puts into a deck at a process corner, or at nominal conditions.
    ///
    /// # Errors
    /// The technology has no corner of that name.
    pub fn of(tech: &Technology, process: Option<&str>) -> Result<TechFiles> {
        let corner = process.map(|name| tech.corner(name)).transpose()?;
        let library = |library: &crate::tech::Library| {
            let chosen = corner.and_then(|corner| Some((corner.section.clone()?, corner.line)));
            let (section, line) = match chosen {
                Some((section, line)) => (Some(section), line),
                None => (library.section.clone(), library.line),
            };
            let declared = Origin { file: tech.file.clone(), line };
            TechLibrary { file: library.file.clone(), section, declared }
        };
        let files = corner.and_then(|corner| corner.files.clone());
        Ok(TechFiles {
            parameters: tech.sizes.clone(),
            libraries: tech.libraries.iter().map(library).collect(),
            files: files.unwrap_or_else(|| tech.files.clone()),
            subckts: tech.subckts.clone(),
            declared: tech.file.clone(),
        })
    }

    /// Puts the technology's defaults into a `.subckt` line; a cell's `_load` takes those of its cell that it has.
    pub(super) fn resize(&self, line: &mut Line) -> Result<()> {
        let words = tokens(&line.text);
        let name = words.get(1).map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        let own = self.subckts.get(&name);
        let Some(given) = own.or_else(|| self.subckts.get(name.strip_suffix("_load")?)) else { return Ok(()) };
        let parameter = |word: &str| word.split_once('=').map(|(name, _)| name.trim().to_ascii_lowercase());
        let known: Vec<String> = words.iter().filter_map(|word| parameter(word)).collect();
        if let Some(unknown) = own.and_then(|own| own.keys().find(|name| !known.contains(name))) {
            return Err(Problem::new(Kind::UndefinedParameter, format!("`{name}` has no parameter `{unknown}`"))
                .file(&self.declared)
                .key(format!("subckts.{name}.{unknown}"))
                .accepted(if known.is_empty() { "none: it has no parameters".to_string() } else { known.join(", ") })
                .into());
        }
        let given = |word: &String| match parameter(word).and_then(|name| Some((given.get(&name)?, name))) {
            Some((value, name)) => format!("{name}={value:e}"),
            None => word.clone(),
        };
        line.text = words.iter().map(given).collect::<Vec<_>>().join(" ");
        Ok(())
    }

    /// Is there nothing that could stand in for the bench's own lines?
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.libraries.is_empty()
    }
}
