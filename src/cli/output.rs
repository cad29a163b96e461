//! Progress bars, tables and JSON.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::Context;
use crate::campaign::Progress;
use crate::error::{Error, Kind, Result};

/// A progress bar with ETA on standard error; silent if that is no terminal, or with `--quiet`.
pub(super) struct Bar {
    bar: ProgressBar,
    started: bool,
}

impl Bar {
    pub(super) fn new(context: &Context, name: &str) -> Bar {
        let visible = !context.common.quiet && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{prefix:22} [{bar:30}] {pos}/{len} {per_sec} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_string());
        Bar { bar, started: false }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        if !self.started {
            self.started = true;
            self.bar.enable_steady_tick(Duration::from_millis(200));
            // What is stored already takes no time and must not enter the ETA.
            self.bar.set_position(progress.done);
            self.bar.reset_eta();
        }
        // A guard or a batch of an adaptive sweep adds points on the way.
        self.bar.set_length(progress.planned);
        self.bar.set_position(progress.done);
        let eta = progress.remaining_s.map(|s| format!("ETA {}", HumanDuration(Duration::from_secs_f64(s))));
        let failed = (progress.failed > 0).then(|| format!("{} failed", progress.failed));
        self.bar.set_message(eta.into_iter().chain(failed).collect::<Vec<_>>().join(", "));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Sums up batches that tell (done, all) of themselves, one after the other, for one bar over all of them.
#[derive(Debug, Default)]
pub(super) struct Batches {
    finished: usize,
    last: (usize, usize),
}

impl Batches {
    /// What is done of `planned` runs in all, after a batch has told of itself.
    pub(super) fn told(&mut self, done: usize, all: usize, planned: usize) -> Progress {
        // A new batch has begun when the count falls back.
        if done < self.last.0 || all != self.last.1 {
            self.finished += self.last.1;
        }
        self.last = (done, all);
        let done = (self.finished + done).min(planned) as u64;
        Progress { planned: planned as u64, done, cached: 0, failed: 0, remaining_s: None }
    }
}

/// A note on standard error, unless `--quiet`.
pub(super) fn note(context: &Context, text: &str) {
    if !context.common.quiet {
        eprintln!("{text}");
    }
}

/// Text on standard output; a reader that went away is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output", "write", source))
        }
        _ => Ok(()),
    }
}

/// A value as JSON on standard output.
pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| Error::new(Kind::Internal, format!("cannot encode the result: {source}")))?;
    print(&(text + "\n"))
}

/// The command with these arguments as a shell reads it; the program by its name, wherever it lies.
pub(super) fn written(arguments: impl Iterator<Item = OsString>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=@%+:,./".contains(c);
    let quoted = |argument: OsString| {
        let argument = argument.to_string_lossy().into_owned();
        let bare = !argument.is_empty() && argument.chars().all(plain);
        if bare { argument } else { format!("'{}'", argument.replace('\'', "'\\''")) }
    };
    std::iter::once("gaincell".to_string()).chain(arguments.map(quoted)).collect::<Vec<_>>().join(" ")
}

/// Rows of text with aligned columns; the first row is the header. Columns whose name ends in `#` are right-aligned.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let right: Vec<bool> = header.iter().map(|h| h.ends_with('#')).collect();
    let head: Vec<String> = header.iter().map(|h| h.trim_end_matches('#').to_string()).collect();
    let width = |k: usize| {
        rows.iter().chain([&head]).map(|row| row.get(k).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    for row in [&head, &rule].into_iter().chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .zip(&right)
            .map(|((cell, w), right)| if *right { format!("{cell:>w$}") } else { format!("{cell:<w$}") })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn tables_align() {
        let text =
            super::table(&["name", "points#"], &[vec!["a".into(), "10".into()], vec!["long".into(), "7".into()]]);
        assert_eq!(text, "name  points\n----  ------\na         10\nlong       7\n");
    }
    #[test]
    fn a_command_is_written_as_a_shell_reads_it() {
        let written = |words: &[&str]| super::written(words.iter().map(Into::into));
        assert_eq!(written(&["run", "--tech", "generic28@85degC"]), "gaincell run --tech generic28@85degC");
        assert_eq!(written(&["sweep", "my own.toml", "it's", ""]), r"gaincell sweep 'my own.toml' 'it'\''s' ''");
    }
}
