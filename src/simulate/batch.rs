//! Plain `ngspice -b`, the program: what a designer would run without gaincell, to compare with.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Kind, Problem, Result};

/// The deck's file in the folder that is run.
pub const DECK_FILE: &str = "deck.cir";

/// The command, to be run in the folder that holds the deck and its `.spiceinit`.
pub const BATCH_COMMAND: [&str; 3] = ["ngspice", "-b", DECK_FILE];

/// Runs [`BATCH_COMMAND`] in `folder`; what it printed on standard output.
///
/// # Errors
/// [`Kind::SimulatorUnavailable`] if there is no such program. How it ends says nothing: ngspice's exit code is that of its
/// last command, and what it did is in what it printed.
pub fn run_batch(folder: &Path) -> Result<String> {
    let output = Command::new(BATCH_COMMAND[0])
        .args(&BATCH_COMMAND[1..])
        .current_dir(folder)
        // Numbers with a decimal comma would be another language.
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| match source.kind() {
            ErrorKind::NotFound => Problem::new(Kind::SimulatorUnavailable, "the program `ngspice` is not installed")
                .help("install it (Debian: `apt-get install ngspice`), or run the printed command where it is")
                .into(),
            _ => Error::io(folder, "run ngspice in", source),
        })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
