//! Where things are: netlists, sweeps and technologies that are read, results and plots that are written.

mod embedded;

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Problem, Result};

/// The file that marks a project's root.
pub const MARKER: &str = "gaincell.toml";

/// A project's folders. Inputs may be read-only; everything written goes below `out`.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    out: PathBuf,
    embedded: bool,
}

impl Project {
    /// The project at `dir`, or else the nearest folder upward from the current one that holds `gaincell.toml`, or else
    /// what the program embeds; output goes to `out`, or else to the project itself, or else to the current folder.
    ///
    /// # Errors
    /// `dir` is no project.
    pub fn find(dir: Option<&Path>, out: Option<&Path>) -> Result<Project> {
        let root = match dir {
            Some(dir) if dir.join(MARKER).is_file() => dir.to_path_buf(),
            Some(dir) => {
                return Err(Problem::new(Kind::MissingNetlist, format!("this folder holds no {MARKER}"))
                    .file(dir)
                    .accepted("the root of a gaincell project: netlists/, sweeps/ and gaincell.toml")
                    .into());
            }
            None => {
                let here =
                    std::env::current_dir().map_err(|source| Error::io(".", "find the current folder", source))?;
                match here.ancestors().find(|dir| dir.join(MARKER).is_file()) {
                    Some(found) => found.to_path_buf(),
                    None => return Ok(Project::embedded(out.unwrap_or(&here))),
                }
            }
        };
        let out = out.map_or_else(|| root.clone(), Path::to_path_buf);
        Ok(Project { root, out, embedded: false })
    }

    /// The embedded netlists and sweeps, with output below `out`. Nothing is written yet.
    fn embedded(out: &Path) -> Project {
        let out = out.to_path_buf();
        let root = out.join("results").join(".embedded").join(embedded::hash());
        Project { root, out, embedded: true }
    }

    /// Makes sure that the inputs are there: unpacks what is embedded, if that is the project.
    ///
    /// # Errors
    /// The output folder cannot be written.
    pub fn prepare(&self) -> Result<()> {
        if self.embedded { embedded::unpack(&self.root) } else { Ok(()) }
    }

    /// Is this no folder of the user's, but what the program brings?
    pub fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// The project's root.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `netlists/`.
    pub fn netlists(&self) -> PathBuf {
        self.root.join("netlists")
    }
    /// `netlists/benches/`.
    pub fn benches(&self) -> PathBuf {
        self.netlists().join("benches")
    }
    /// `netlists/tech/`.
    pub fn technologies(&self) -> PathBuf {
        self.netlists().join("tech")
    }
    /// `sweeps/`.
    pub fn sweeps(&self) -> PathBuf {
        self.root.join("sweeps")
    }
    /// Where results go.
    pub fn results(&self) -> PathBuf {
        self.out.join("results")
    }
    /// Where lookup tables go.
    pub fn luts(&self) -> PathBuf {
        self.results().join("luts")
    }
    /// Where plots go.
    pub fn plots(&self) -> PathBuf {
        self.out.join("plots")
    }

    /// A sweep file from what a user wrote: a path, or the name of a file in `sweeps/`.
    ///
    /// # Errors
    /// [`Kind::MissingNetlist`], with the names that exist.
    pub fn sweep_file(&self, name: &str) -> Result<PathBuf> {
        let given = PathBuf::from(name);
        if given.is_file() {
            return Ok(given);
        }
        let inside =
            self.sweeps().join(if name.ends_with(".toml") { name.to_string() } else { format!("{name}.toml") });
        if inside.is_file() {
            return Ok(inside);
        }
        Err(Problem::new(Kind::MissingNetlist, format!("there is no sweep `{name}`"))
            .file(&inside)
            .accepted(format!("a path to a TOML file, or one of: {}", stems(&self.sweeps(), "toml").join(", ")))
            .into())
    }
}

/// The stems of the files in `dir` that end in `.extension`, sorted.
pub fn stems(dir: &Path, extension: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}
