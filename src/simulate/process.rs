//! Starting, feeding and ending worker processes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tempfile::TempDir;

use super::protocol::{Reply, Request, append_frame, read_frame};

/// The worker's end of the socket.
const WORKER_FD: i32 = 3;

/// Where Linux keeps the running program, even when a build has meanwhile put another in its place.
const RUNNING: &str = "/proc/self/exe";

/// A worker that does not take a request for this long hangs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of the end of a dead worker's log goes into a message [bytes].
const LOG_TAIL_BYTES: u64 = 400;

/// Something that a worker process did.
pub struct Event {
    /// The worker's place in the pool.
    pub slot: usize,
    /// Which of the processes in that place, counted over the pool's life.
    pub generation: u64,
    /// Its reply; `None` when it ended.
    pub reply: Option<Reply>,
}

/// A running worker process; killed when dropped.
pub struct Process {
    child: Child,
    socket: UnixStream,
    outbox: Vec<u8>,
    log: File,
    reader: Option<JoinHandle<()>>,
    /// Its private working directory.
    _folder: TempDir,
}

impl Process {
    /// Prepares a request; it leaves at the next [`Process::flush`].
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn prepare(&mut self, request: &Request) -> std::io::Result<()> {
        append_frame(&mut self.outbox, request)
    }

    /// Sends what is prepared.
    ///
    /// # Errors
    /// If the worker is gone or does not read.
    pub fn flush(&mut self) -> std::io::Result<()> {
        let sent = if self.outbox.is_empty() { Ok(()) } else { self.socket.write_all(&self.outbox) };
        self.outbox.clear();
        sent
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As [`Process::prepare`] and [`Process::flush`].
    pub fn send(&mut self, request: &Request) -> std::io::Result<()> {
        self.prepare(request)?;
        self.flush()
    }

    /// The worker's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process; whether it had ended by itself, and how it ended with the last lines of its log.
    pub fn end(mut self) -> (bool, String) {
        // A worker that ends by itself is given the time to do so, for the sake of its exit status.
        let mut by_itself = false;
        for _ in 0..50 {
            by_itself = !matches!(self.child.try_wait(), Ok(None));
            if by_itself {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let log = tail(&mut self.log);
        (by_itself, if log.is_empty() { status } else { format!("{status}: {log}") })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn tail(log: &mut File) -> String {
    let mut text = Vec::new();
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    let _ = log.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)));
    let _ = log.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A thread that starts processes. On Linux a worker dies with the *thread* that started it, so that must not be one of the
/// caller's, which may end while the pool lives on.
pub struct Spawner {
    /// The worker program, and the file that is run for it.
    program: PathBuf,
    file: PathBuf,
    orders: Option<Sender<(Command, Sender<std::io::Result<Child>>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread, for processes of this program.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start(program: &Path) -> std::io::Result<Spawner> {
        // It may be named relative to the directory of this process, which is not the worker's.
        let program = std::path::absolute(program)?;
        let own = std::env::current_exe().is_ok_and(|own| own == program) && Path::new(RUNNING).exists();
        let file = if own { PathBuf::from(RUNNING) } else { program.clone() };
        let (orders, taken) = channel::<(Command, Sender<std::io::Result<Child>>)>();
        let thread = std::thread::Builder::new().name("worker-spawner".into()).spawn(move || {
            while let Ok((mut command, answer)) = taken.recv() {
                let _ = answer.send(command.spawn());
            }
        })?;
        Ok(Spawner { program, file, orders: Some(orders), thread: Some(thread) })
    }

    /// Starts the program as `worker --fd N` in a private directory; its replies arrive at `events` as those of `slot`.
    ///
    /// # Errors
    /// If directory, socket or process cannot be made.
    pub fn spawn(&self, slot: usize, generation: u64, events: &Sender<Event>) -> std::io::Result<Process> {
        let folder = tempfile::Builder::new().prefix("gaincell-worker-").tempdir()?;
        let mut log = File::options().read(true).append(true).create(true).open(folder.path().join("log"))?;
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let mut command = Command::new(&self.file);
        command
            .arg0(&self.program)
            .args(["worker", "--fd", &WORKER_FD.to_string()])
            .current_dir(folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            // Ctrl-C in a terminal goes to the whole group; workers are to finish what they run.
            .process_group(0)
            .fd_mappings(vec![FdMapping { parent_fd: OwnedFd::from(theirs), child_fd: WORKER_FD }])
            .map_err(std::io::Error::other)?;
        let (answer, answered) = channel();
        let orders = self.orders.as_ref().ok_or(std::io::ErrorKind::BrokenPipe)?;
        orders.send((command, answer)).map_err(std::io::Error::other)?;
        let child = answered.recv().map_err(std::io::Error::other)??;
        log.rewind()?;
        let (reading, events) = (socket.try_clone()?, events.clone());
        let reader = std::thread::Builder::new()
            .name(format!("worker-{slot}"))
            .spawn(move || read_replies(reading, slot, generation, &events))?;
        Ok(Process { child, socket, outbox: Vec::new(), log, reader: Some(reader), _folder: folder })
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_replies(socket: UnixStream, slot: usize, generation: u64, events: &Sender<Event>) {
    let mut socket = BufReader::new(socket);
    loop {
        // A damaged frame ends the worker like a closed socket: nothing after it can be read.
        let reply = read_frame::<Reply>(&mut socket).ok().flatten();
        let ended = reply.is_none();
        if events.send(Event { slot, generation, reply }).is_err() || ended {
            return;
        }
    }
}

/// A pair for the events of all workers.
pub fn event_channel() -> (Sender<Event>, Receiver<Event>) {
    channel()
}
