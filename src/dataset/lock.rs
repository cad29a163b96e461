//! One process per run at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Problem, Result};

/// An advisory lock on a file, held until dropped; the operating system lets go of it when the process ends, however it
/// ends. The file stays: removing it would let two processes lock two files of one name.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks `path`, making the file if it does not exist, and writes this process's id into it.
    ///
    /// # Errors
    /// [`Kind::RunLocked`], naming the process that holds it; [`Kind::Io`] if the file cannot be made or the file system
    /// has no locks.
    pub fn acquire(path: &Path) -> Result<Lock> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Error::io(path, "open the lock file", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(Error::io(path, "lock", error)),
        }
        let told = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(told.as_bytes()))
            .map_err(|error| Error::io(path, "write the lock file", error))?;
        Ok(Lock { file, path: path.into() })
    }

    /// The locked file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would do; unlocking first makes it independent of copies of the handle.
        let _ = self.file.unlock();
    }
}

fn locked(path: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    // The holder writes its id just after locking, so the file may still be empty.
    let _ = file.read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => "another process".to_string(),
        pid => format!("process {pid}"),
    };
    Problem::new(Kind::RunLocked, format!("{holder} works on this run"))
        .file(path)
        .help("wait until it ends, stop it (it saves what is finished), or give this run another name")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::acquire(&path).unwrap();
        assert_eq!(first.path(), path);
        let error = Lock::acquire(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::RunLocked);
        assert!(error.to_string().contains(&format!("process {} works on this run", std::process::id())), "{error}");
        drop(first);
        Lock::acquire(&path).unwrap();
    }
}
