//! ngspice as people run it: a process per point, or one with a `.control` loop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gaincell::error::{Error, Kind};
use gaincell::waveform::Waveform;
use gaincell::{Problem, Result};

use crate::points::{Bench, Ran, Seen};

/// Folders with the decks: one as ngspice comes, one with a start-up file that asks for a single thread.
pub struct Folder<'a> {
    bench: &'a Bench,
    root: tempfile::TempDir,
}

/// What every deck's start-up file says besides the threads.
fn startup(bench: &Bench) -> String {
    bench.startup.iter().map(|line| format!("{line}\n")).collect()
}

impl<'a> Folder<'a> {
    pub fn new(bench: &'a Bench) -> Result<Folder<'a>> {
        let root = tempfile::tempdir().map_err(|source| Error::io("a temporary folder", "make", source))?;
        let folder = Folder { bench, root };
        let init = startup(bench);
        for (name, text) in [("as_it_comes", init.clone()), ("one_thread", format!("{init}set num_threads=1\n"))] {
            let dir = folder.root.path().join(name);
            std::fs::create_dir(&dir).map_err(|source| Error::io(&dir, "make the folder", source))?;
            if !text.is_empty() {
                write(&dir.join(".spiceinit"), &text)?;
            }
            for (k, deck) in bench.decks.iter().enumerate() {
                write(&dir.join(format!("{k}.cir")), &(deck.join("\n") + "\n"))?;
            }
        }
        Ok(folder)
    }

    /// A process per point, `at_once` at a time; one alone runs as ngspice comes, several with one thread each.
    pub fn batch(&self, points: impl IntoIterator<Item = usize>, at_once: usize) -> Result<Ran> {
        let dir = self.root.path().join(if at_once == 1 { "as_it_comes" } else { "one_thread" });
        let points: Vec<usize> = points.into_iter().collect();
        let mut waiting = points.iter();
        let mut running: Vec<(Child, PathBuf)> = Vec::new();
        loop {
            while running.len() < at_once
                && let Some(k) = waiting.next()
            {
                running.push(start(&dir, &format!("{k}.cir"), Some(&format!("{k}.raw")))?);
            }
            if running.is_empty() {
                break;
            }
            // Points take equally long: the oldest ends first, or soon.
            let (child, deck) = running.remove(0);
            finish(child, &deck)?;
        }
        let seen = points.iter().map(|k| self.read(*k, &dir.join(format!("{k}.raw")))).collect::<Result<Vec<_>>>()?;
        Ok(Ran { seen, wall_s: 0.0 })
    }

    /// One process that alters, runs and writes every point, `passes` times over.
    pub fn control(&self, passes: usize) -> Result<Ran> {
        let dir = self.root.path().join("one_thread");
        let mut lines = self.bench.circuit().lines.clone();
        let end = lines.pop();
        lines.extend([".control".to_string(), "set filetype=binary".to_string()]);
        for (k, job) in std::iter::repeat_n(self.bench.jobs(), passes).flat_map(|jobs| jobs.iter().enumerate()) {
            lines.extend(job.alters.iter().cloned());
            lines.push(job.analysis.clone());
            lines.push(format!("write loop_{k}.raw {}", job.signals.join(" ")));
            lines.push("destroy all".to_string());
        }
        lines.extend(["quit".to_string(), ".endc".to_string()]);
        lines.extend(end);
        write(&dir.join("loop.cir"), &(lines.join("\n") + "\n"))?;
        let (child, deck) = start(&dir, "loop.cir", None)?;
        finish(child, &deck)?;
        let seen = (0..self.bench.len()).map(|k| self.read(k, &dir.join(format!("loop_{k}.raw"))));
        Ok(Ran { seen: seen.collect::<Result<Vec<_>>>()?, wall_s: 0.0 })
    }

    fn read(&self, k: usize, path: &Path) -> Result<Seen> {
        let bytes = std::fs::read(path).map_err(|source| Error::io(path, "read what ngspice wrote", source))?;
        let seen = raw(&bytes).and_then(|waveform| self.bench.seen(k, &waveform));
        seen.ok_or_else(|| Problem::new(Kind::DataDamaged, "no waveform of this point").file(path).into())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|source| Error::io(path, "write", source))
}

fn start(dir: &Path, deck: &str, raw: Option<&str>) -> Result<(Child, PathBuf)> {
    let mut command = Command::new("ngspice");
    command.arg("-b").current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(raw) = raw {
        command.arg("-r").arg(raw);
    }
    let child = command.arg(deck).spawn().map_err(|source| {
        Error::from(
            Problem::new(Kind::SimulatorUnavailable, format!("cannot start `ngspice`: {source}"))
                .help("install the program ngspice, of the same version as libngspice"),
        )
    })?;
    Ok((child, dir.join(deck)))
}

fn finish(mut child: Child, deck: &Path) -> Result<()> {
    let status = child.wait().map_err(|source| Error::io(deck, "wait for ngspice", source))?;
    if status.success() {
        return Ok(());
    }
    Err(Problem::new(Kind::Internal, format!("ngspice ended with {status}")).file(deck).into())
}

/// The plot of a binary raw file of real numbers.
fn raw(bytes: &[u8]) -> Option<Waveform> {
    let marker = b"Binary:\n";
    let at = bytes.windows(marker.len()).position(|window| window == marker)?;
    let head = std::str::from_utf8(&bytes[..at]).ok()?;
    let number = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<usize>().ok());
    let (n_variables, n_points) = (number("No. Variables:")?, number("No. Points:")?);
    let names: Vec<String> = head
        .lines()
        .skip_while(|line| !line.starts_with("Variables:"))
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1).map(str::to_ascii_lowercase))
        .collect();
    let numbers: Vec<f64> = bytes[at + marker.len()..]
        .chunks_exact(8)
        .filter_map(|eight| Some(f64::from_le_bytes(eight.try_into().ok()?)))
        .collect();
    if numbers.len() != n_variables * n_points || names.len() != n_variables {
        return None;
    }
    let column = |k: usize| numbers.iter().skip(k).step_by(n_variables).copied().collect::<Vec<f64>>();
    let signals: BTreeMap<String, Vec<f64>> =
        names.iter().enumerate().skip(1).map(|(k, n)| (n.clone(), column(k))).collect();
    Some(Waveform { axis: column(0), signals })
}
