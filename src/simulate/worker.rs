//! The worker: the body of the hidden subcommand that owns one ngspice.
//!
//! It runs in a private directory that the pool made for it, reads requests from an inherited socket and writes replies to
//! it, one request at a time. It ends when the socket closes, when its parent dies, and after anything that leaves ngspice in
//! doubt; the pool starts another.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::ffi::inherited_socket;
use super::protocol::{Reply, Request, append_frame, read_frame};
use super::session::{Done, Session};
use super::{Job, SPICEINIT};
use crate::error::{Error, Kind, Problem, Result};

/// How long the answers to brief jobs wait for others, so that the pool wakes once for several.
const HOLD: Duration = Duration::from_millis(10);

/// Jobs between two readings of the resident memory; a reading costs about 10 us.
const MEMORY_INTERVAL: u64 = 32;

/// What a worker does to itself before a job, for tests of the supervision. gaincell's own worker never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// The process dies.
    Kill,
    /// The process does nothing any more.
    Hang,
    /// libngspice is left in the state in which a deck with an undefined parameter leaves it; then the job runs.
    Poison,
}

/// Says what is to go wrong with a job.
pub type Inject = dyn FnMut(&Job) -> Option<Injected>;

/// Serves the pool at the other end of descriptor `fd` until there is nothing more to do; the process's exit code.
pub fn worker_main(fd: i32) -> ExitCode {
    worker_main_with(fd, &mut |_| None)
}

/// As [`worker_main`], in a program of its own that injects faults: name it in [`PoolOptions::worker_program`]; it is
/// called as `program worker --fd N`.
///
/// [`PoolOptions::worker_program`]: super::PoolOptions::worker_program
pub fn worker_main_with(fd: i32, inject: &mut Inject) -> ExitCode {
    #[cfg(target_os = "linux")]
    if rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).is_err() {
        return Kind::Internal.exit_code().into();
    }
    match serve(fd, inject) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => Kind::Io.exit_code().into(),
    }
}

fn serve(fd: i32, inject: &mut Inject) -> std::io::Result<()> {
    let mut socket = inherited_socket(fd)?;
    let cancelled = Arc::new(AtomicU64::new(0));
    let (sender, requests) = channel();
    let (reading, cancelled_by_reader) = (socket.try_clone()?, Arc::clone(&cancelled));
    std::thread::Builder::new()
        .name("requests".into())
        .spawn(move || read_requests(reading, &sender, &cancelled_by_reader))?;
    std::fs::write(".spiceinit", SPICEINIT)?;
    answer_requests(&mut socket, &requests, &cancelled, inject)
}

/// Keeps reading while ngspice runs, so that the pool never waits for a full socket and its end is noticed at once.
fn read_requests(socket: UnixStream, sender: &Sender<Request<'static>>, cancelled: &AtomicU64) {
    let mut socket = BufReader::new(socket);
    loop {
        match read_frame::<Request<'static>>(&mut socket) {
            Ok(Some(Request::Cancel { batch })) => {
                cancelled.fetch_max(batch, Ordering::SeqCst);
            }
            Ok(Some(request)) => {
                if sender.send(request).is_err() {
                    return;
                }
            }
            // The pool is gone. An orderly exit would run libngspice's destructors under a running analysis.
            Ok(None) | Err(_) => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                return;
            }
        }
    }
}

/// Replies on their way. Those to brief jobs leave together; whatever a worker loses with them when it dies, the pool asks
/// for again, one by one.
struct Outbox<'a> {
    socket: &'a mut UnixStream,
    frames: Vec<u8>,
    /// When the first of them was put in.
    since: Option<Instant>,
}

impl Outbox<'_> {
    fn put(&mut self, reply: &Reply) -> std::io::Result<()> {
        self.since.get_or_insert_with(Instant::now);
        append_frame(&mut self.frames, reply)
    }

    fn send(&mut self, reply: &Reply) -> std::io::Result<()> {
        self.put(reply)?;
        self.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.since = None;
        let sent = if self.frames.is_empty() { Ok(()) } else { self.socket.write_all(&self.frames) };
        self.frames.clear();
        sent
    }

    fn flush_if_due(&mut self) -> std::io::Result<()> {
        if self.since.is_some_and(|since| since.elapsed() >= HOLD) { self.flush() } else { Ok(()) }
    }

    /// The next request; what waits leaves before this waits. `None` if there will be none.
    fn next(&mut self, requests: &Receiver<Request<'static>>) -> std::io::Result<Option<Request<'static>>> {
        match requests.try_recv() {
            Ok(request) => Ok(Some(request)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => {
                self.flush()?;
                Ok(requests.recv().ok())
            }
        }
    }
}

fn answer_requests(
    socket: &mut UnixStream,
    requests: &Receiver<Request<'static>>,
    cancelled: &AtomicU64,
    inject: &mut Inject,
) -> std::io::Result<()> {
    let mut outbox = Outbox { socket, frames: Vec::new(), since: None };
    let mut session: Option<Session> = None;
    let (mut jobs, mut resident_bytes) = (0u64, 0u64);
    while let Some(request) = outbox.next(requests)? {
        if session.is_none() {
            match Session::start() {
                Ok(started) => session = Some(started),
                Err(error) => return outbox.send(&Reply::CircuitFault((&error).into())),
            }
        }
        let Some(session) = session.as_mut() else { return Ok(()) };
        forget_log();
        match request {
            Request::Identify => match identity(session) {
                Ok(identity) => outbox.send(&Reply::Identity(identity))?,
                Err(error) => return outbox.send(&Reply::CircuitFault((&error).into())),
            },
            Request::Load { batch, .. } | Request::Run { batch, .. } if batch <= cancelled.load(Ordering::SeqCst) => {
                outbox.put(&Reply::Skipped)?;
            }
            Request::Load { circuit, .. } if !session.accepts(&circuit) => return outbox.send(&Reply::Stale),
            Request::Load { circuit, .. } => match session.load(circuit.into_owned()) {
                Ok(()) => outbox.send(&Reply::Loaded)?,
                Err(error) => return outbox.send(&Reply::CircuitFault((&error).into())),
            },
            Request::Run { job, at_once, .. } => match run(session, &job, inject) {
                Done::CircuitFault(problem) => return outbox.send(&Reply::CircuitFault((&problem).into())),
                Done::Answer { answer, retire } => {
                    if jobs % MEMORY_INTERVAL == 0 {
                        resident_bytes = resident_memory().unwrap_or(0);
                    }
                    jobs += 1;
                    outbox.put(&Reply::Answer { answer, resident_bytes, retire })?;
                    if retire || at_once {
                        outbox.flush()?;
                    }
                    if retire {
                        return Ok(());
                    }
                    outbox.flush_if_due()?;
                }
            },
            // Handled where requests are read.
            Request::Cancel { .. } => {}
        }
    }
    outbox.flush()
}

fn run(session: &mut Session, job: &Job, inject: &mut Inject) -> Done {
    match inject(job) {
        None => {}
        Some(Injected::Kill) => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        Some(Injected::Hang) => loop {
            std::thread::park();
        },
        Some(Injected::Poison) => session.poison(),
    }
    session.run(job)
}

/// Empties the log that standard output and error go to: a message about a dead worker then quotes what it said in its last
/// job, whatever ran before, and the log does not grow with the points.
fn forget_log() {
    let stderr = std::io::stderr();
    let regular = rustix::fs::fstat(&stderr).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile && stat.st_size > 0
    });
    if regular {
        // Both streams append, so that what comes next stands at the start again.
        let _ = rustix::fs::ftruncate(&stderr, 0);
    }
}

/// Resident memory of this process [bytes].
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// `ngspice-39` and the first 64 bits of the library file's BLAKE3 hash.
fn identity(session: &mut Session) -> Result<String> {
    let version = session.version()?;
    let path = library_file().ok_or_else(|| Error::new(Kind::SimulatorUnavailable, "cannot find libngspice's file"))?;
    let bytes =
        std::fs::read(&path).map_err(|error| Error::from(Problem::new(Kind::Io, error.to_string()).file(&path)))?;
    Ok(format!("{version} {}", &blake3::hash(&bytes).to_hex()[..16]))
}

/// The file that libngspice was loaded from.
fn library_file() -> Option<PathBuf> {
    if let Ok(maps) = std::fs::read_to_string("/proc/self/maps") {
        // The path is the sixth field and may hold blanks.
        let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
        return paths.map(Path::new).find(|path| is_library(path)).map(Path::to_path_buf);
    }
    let folders = ["/opt/homebrew/lib", "/usr/local/lib", "/usr/lib"];
    folders.iter().map(|folder| Path::new(folder).join("libngspice.dylib")).find(|path| path.exists())
}

fn is_library(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains("ngspice") && name.contains(".so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_other_files() {
        assert!(is_library(Path::new("/usr/lib/libngspice.so.0.0.6")));
        assert!(!is_library(Path::new("/usr/lib/ngspice/table.cm")));
        assert!(!is_library(Path::new("/home/ngspice.so/bin/gaincell")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_memory() {
        assert!(resident_memory().unwrap() > 1 << 16);
    }
}
