//! The netlists and sweeps that the program brings with it, for folders that are no project.
//!
//! They are unpacked below the output folder, `results/.embedded/<hash>/`, and not into a cache elsewhere: what a run
//! read lies beside what it wrote, it works without a home folder, and it goes when `results/` goes. The hash is over
//! paths and contents, so another version of the program unpacks beside this one's.

use std::io::Write;
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use include_dir::{Dir, include_dir};

use crate::error::{Error, Result};

static NETLISTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/netlists");
static SWEEPS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sweeps");
const MARKER_TEXT: &[u8] = include_bytes!("../../gaincell.toml");

/// Every embedded file by its path below a project's root, sorted.
pub(super) fn files() -> Vec<(PathBuf, &'static [u8])> {
    let mut files = vec![(PathBuf::from(super::MARKER), MARKER_TEXT)];
    gather(&NETLISTS, Path::new("netlists"), &mut files);
    gather(&SWEEPS, Path::new("sweeps"), &mut files);
    files.sort();
    files
}

fn gather(dir: &'static Dir<'static>, root: &Path, files: &mut Vec<(PathBuf, &'static [u8])>) {
    files.extend(dir.files().map(|file| (root.join(file.path()), file.contents())));
    dir.dirs().for_each(|inner| gather(inner, root, files));
}

/// The folder's name: a hash over every path and content.
pub(super) fn hash() -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, contents) in files() {
        for part in [path.to_string_lossy().as_bytes(), contents] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex()[..16].to_string()
}

/// Brings `root` to what is embedded. A file that is there already with the right content is left alone; every other one
/// is written under another name and renamed, so that two processes may do this at once.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn unpack(root: &Path) -> Result<()> {
    for (path, contents) in files() {
        let full = root.join(path);
        if std::fs::read(&full).is_ok_and(|present| present == contents) {
            continue;
        }
        let write = || {
            std::fs::create_dir_all(full.parent().unwrap_or(root))?;
            let mut file = AtomicWriteFile::open(&full)?;
            file.write_all(contents)?;
            file.commit()
        };
        write().map_err(|source| Error::io(&full, "write", source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file below `dir`, by its path below `root`.
    fn on_disk(root: &Path, dir: &str) -> Vec<PathBuf> {
        let mut open = vec![root.join(dir)];
        let mut found = Vec::new();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(root).unwrap().to_path_buf());
                }
            }
        }
        found
    }

    #[test]
    fn what_is_embedded_is_what_stands_in_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut expected = [on_disk(root, "netlists"), on_disk(root, "sweeps")].concat();
        expected.push(PathBuf::from("gaincell.toml"));
        expected.sort();
        assert_eq!(files().into_iter().map(|(path, _)| path).collect::<Vec<_>>(), expected);
        for (path, contents) in files() {
            assert!(std::fs::read(root.join(&path)).unwrap() == contents, "{}", path.display());
        }
    }

    #[test]
    fn unpacking_mends_what_was_changed_and_touches_nothing_else() {
        let dir = tempfile::Builder::new().prefix("gain cell ").tempdir().unwrap();
        unpack(dir.path()).unwrap();
        let sweep = dir.path().join("sweeps/nonlinearity.toml");
        let cell = dir.path().join("netlists/cells/gain_cell_6t.sub");
        let untouched = std::fs::metadata(&cell).unwrap().modified().unwrap();
        let original = std::fs::read(&sweep).unwrap();
        std::fs::write(&sweep, "edited").unwrap();
        unpack(dir.path()).unwrap();
        assert_eq!(std::fs::read(&sweep).unwrap(), original);
        assert_eq!(std::fs::metadata(&cell).unwrap().modified().unwrap(), untouched);
        assert_eq!(on_disk(dir.path(), "").len(), files().len());
    }
}
