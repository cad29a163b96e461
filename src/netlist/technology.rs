//! What of a technology stands in a deck.

use std::path::PathBuf;

use super::source::Origin;
use crate::error::Result;
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
        })
    }

    /// Is there nothing that could stand in for the bench's own lines?
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.libraries.is_empty()
    }
}
