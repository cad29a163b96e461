//! libngspice behind a narrow safe surface; the only unsafe code of the crate.
//!
//! One process holds at most one [`Ngspice`]: the library keeps its state in statics. Nothing here interprets what
//! ngspice says; return codes are not passed on, because they are zero for nearly every failure.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Problem, Result};

/// File that replaces the search, for installations off the loader's path.
const LIBRARY_VARIABLE: &str = "GAINCELL_LIBNGSPICE";

#[cfg(target_os = "macos")]
const LIBRARY_NAMES: &[&str] = &[
    "/opt/homebrew/lib/libngspice.dylib",
    "/usr/local/lib/libngspice.dylib",
    "libngspice.dylib",
    "libngspice.0.dylib",
];
#[cfg(not(target_os = "macos"))]
const LIBRARY_NAMES: &[&str] = &["libngspice.so", "libngspice.so.0"];

/// Lines kept from the beginning of what ngspice says, and from its end; what lies between is dropped.
const KEPT_FIRST: usize = 256;
const KEPT_LAST: usize = 64;

static TAKEN: AtomicBool = AtomicBool::new(false);
static SOCKET_TAKEN: AtomicBool = AtomicBool::new(false);
static EXITED: AtomicBool = AtomicBool::new(false);
static SAID: Mutex<Said> = Mutex::new(Said { first: Vec::new(), last: VecDeque::new() });

struct Said {
    first: Vec<String>,
    last: VecDeque<String>,
}

fn said() -> MutexGuard<'static, Said> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A vector of the current plot, copied.
#[derive(Debug, Clone, PartialEq)]
pub enum Vector {
    /// Real samples.
    Real(Vec<f64>),
    /// Complex samples as (real, imaginary).
    Complex(Vec<(f64, f64)>),
}

/// The process's ngspice.
pub struct Ngspice {
    library: ngspice_sys::ngspice,
    /// ngspice must stay on the thread that initialized it.
    not_send: PhantomData<*const ()>,
}

unsafe extern "C" fn on_line(text: *mut c_char, _id: c_int, _user: *mut c_void) -> c_int {
    if text.is_null() {
        return 0;
    }
    // SAFETY: ngspice passes a NUL-terminated string that lives until this function returns; it is copied before.
    let line = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let line = line.strip_prefix("stdout ").or_else(|| line.strip_prefix("stderr ")).unwrap_or(&line);
    let mut said = said();
    if said.first.len() < KEPT_FIRST {
        said.first.push(line.to_string());
    } else {
        if said.last.len() == KEPT_LAST {
            said.last.pop_front();
        }
        said.last.push_back(line.to_string());
    }
    0
}

unsafe extern "C" fn on_exit(_status: c_int, _now: bool, _quit: bool, _id: c_int, _user: *mut c_void) -> c_int {
    // ngspice jumps back to the call that it came from after this; from then on its state is not to be trusted.
    EXITED.store(true, Ordering::SeqCst);
    0
}

/// A region of OpenMP as GCC compiles one: its body, and what the body works on.
#[cfg(target_os = "linux")]
type Region = unsafe extern "C" fn(*mut c_void);

/// OpenMP's entry to a parallel region, in place of the runtime's: runs it as a team of one.
///
/// libngspice enters a region at every load of its BSIM4 transistors. Workers ask for one thread, and the runtime then still makes
/// a team and takes it apart, which costs some hundredths of an analysis. The program exports this function (`build.rs`), so that
/// libngspice, which is loaded later, finds it first.
///
/// # Safety
/// `region` may be called with `data`.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
unsafe extern "C" fn GOMP_parallel(region: Region, data: *mut c_void, _threads: c_uint, _flags: c_uint) {
    // SAFETY: by the caller's promise. A team may always be of one thread, and outside of a team the runtime's own functions
    // answer as in such a one: thread 0 of 1, no barrier.
    unsafe { region(data) }
}

/// What `ftime` fills in, on 64-bit Linux.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[repr(C)]
struct TimeOfDay {
    s: i64,
    ms: u16,
    timezone: i16,
    dst: i16,
}

/// The time of day for libngspice, in place of the C library's: always the same.
///
/// libngspice reads it before and after each load, factorization and solution, for statistics that no worker asks for. Exported as
/// `GOMP_parallel` is.
///
/// # Safety
/// `to` can be written.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[unsafe(no_mangle)]
unsafe extern "C" fn ftime(to: *mut TimeOfDay) -> c_int {
    // SAFETY: by the caller's promise.
    unsafe { to.write(TimeOfDay { s: 0, ms: 0, timezone: 0, dst: 0 }) };
    0
}

impl Ngspice {
    /// Loads and initializes libngspice; sources the `.spiceinit` of the working directory.
    ///
    /// # Errors
    /// [`Kind::SimulatorUnavailable`] if no library is found or it lacks the shared interface; [`Kind::Internal`] if the
    /// process already has one.
    pub fn start() -> Result<Ngspice> {
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Err(Error::new(Kind::Internal, "a process can hold one ngspice only"));
        }
        // Only what is used somewhere is sure to be linked.
        #[cfg(target_os = "linux")]
        std::hint::black_box(GOMP_parallel as *const ());
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        std::hint::black_box(ftime as *const ());
        let chosen = std::env::var(LIBRARY_VARIABLE).ok();
        let names = chosen.as_deref().map_or(LIBRARY_NAMES.to_vec(), |path| vec![path]);
        let mut failures = Vec::new();
        for name in names {
            // SAFETY: loading runs the library's initializers; libngspice's only set statics. That the file is a
            // libngspice is checked by its symbols just below, before any of them is called.
            match unsafe { ngspice_sys::ngspice::new(name) } {
                Ok(library) => return Ngspice::initialize(library, name),
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
        Err(unavailable(format!("libngspice cannot be loaded ({})", failures.join("; "))))
    }

    fn initialize(library: ngspice_sys::ngspice, name: &str) -> Result<Ngspice> {
        // The bindings resolve symbols one by one and panic at the call of one that is absent.
        let complete = library.ngSpice_Init.is_ok()
            && library.ngSpice_Command.is_ok()
            && library.ngSpice_Circ.is_ok()
            && library.ngGet_Vec_Info.is_ok()
            && library.ngSpice_CurPlot.is_ok()
            && library.ngSpice_AllPlots.is_ok()
            && library.ngSpice_AllVecs.is_ok();
        if !complete {
            return Err(unavailable(format!("{name} does not have ngspice's shared interface")));
        }
        // SAFETY: the callbacks have the signatures that sharedspice.h states, touch only statics and never unwind (a
        // panic in an `extern "C"` function aborts). No data callback: ngspice then skips building it per time point.
        let status =
            unsafe { library.ngSpice_Init(Some(on_line), None, Some(on_exit), None, None, None, std::ptr::null_mut()) };
        if status != 0 || EXITED.load(Ordering::SeqCst) {
            return Err(unavailable(format!("{name} did not initialize: {}", take_said().join("; "))));
        }
        Ok(Ngspice { library, not_send: PhantomData })
    }

    /// Runs one command; what ngspice said meanwhile. A command with a NUL is not run.
    pub fn command(&mut self, command: &str) -> Vec<String> {
        let Ok(text) = CString::new(command) else {
            return vec![format!("Error: `{command}` holds a NUL")];
        };
        take_said();
        // SAFETY: `text` is NUL-terminated and outlives the call; ngspice copies it. One thread only (`not_send`).
        unsafe { self.library.ngSpice_Command(text.as_ptr().cast_mut()) };
        take_said()
    }

    /// Loads a circuit, title first, `.end` last; what ngspice said meanwhile.
    pub fn circuit(&mut self, lines: &[String]) -> Vec<String> {
        let Ok(texts) = lines.iter().map(|line| CString::new(line.as_str())).collect::<Result<Vec<_>, _>>() else {
            return vec!["Error: the circuit holds a NUL".into()];
        };
        let mut pointers: Vec<*mut c_char> = texts.iter().map(|text| text.as_ptr().cast_mut()).collect();
        pointers.push(std::ptr::null_mut());
        take_said();
        // SAFETY: `pointers` is a NULL-terminated array of NUL-terminated strings; both outlive the call and ngspice
        // copies every line before it changes it.
        unsafe { self.library.ngSpice_Circ(pointers.as_mut_ptr()) };
        take_said()
    }

    /// The name of the current plot; `const` if no analysis left one.
    pub fn current_plot(&mut self) -> String {
        // SAFETY: no argument; the answer is NULL or a string owned by ngspice, copied before the next call.
        unsafe { copy_string(self.library.ngSpice_CurPlot()) }.unwrap_or_default()
    }

    /// The names of all plots, newest first.
    pub fn plots(&mut self) -> Vec<String> {
        // SAFETY: no argument; the answer is NULL or a NULL-terminated array, copied before the next call.
        unsafe { copy_strings(self.library.ngSpice_AllPlots()) }
    }

    /// The names of a plot's vectors.
    pub fn vectors(&mut self, plot: &str) -> Vec<String> {
        let Ok(text) = CString::new(plot) else { return Vec::new() };
        // SAFETY: `text` outlives the call; the answer is NULL or a NULL-terminated array, copied before the next call.
        unsafe { copy_strings(self.library.ngSpice_AllVecs(text.as_ptr().cast_mut())) }
    }

    /// A copy of the vector `plot.name`; `None` if there is none.
    pub fn vector(&mut self, plot: &str, name: &str) -> Option<Vector> {
        let text = CString::new(format!("{plot}.{name}")).ok()?;
        // SAFETY: `text` outlives the call. The answer is NULL or points to a static struct that stays as it is until
        // the next call into ngspice, which cannot happen while `self` is borrowed here.
        let info = unsafe { self.library.ngGet_Vec_Info(text.as_ptr().cast_mut()).as_ref() }?;
        let length = usize::try_from(info.v_length).ok()?;
        if length == 0 {
            return None;
        }
        if !info.v_realdata.is_null() {
            // SAFETY: ngspice states `v_length` initialized doubles behind a real vector's pointer.
            return Some(Vector::Real(unsafe { std::slice::from_raw_parts(info.v_realdata, length) }.to_vec()));
        }
        if !info.v_compdata.is_null() {
            // SAFETY: as above, `v_length` complex numbers.
            let samples = unsafe { std::slice::from_raw_parts(info.v_compdata, length) };
            return Some(Vector::Complex(samples.iter().map(|z| (z.cx_real, z.cx_imag)).collect()));
        }
        None
    }

    /// Whether ngspice asked to exit; from then on this process's ngspice must not be used.
    pub fn exited(&self) -> bool {
        EXITED.load(Ordering::SeqCst)
    }
}

/// Takes over the socket that the parent passed as descriptor `fd`.
///
/// # Errors
/// If it was taken already, is one of the standard streams, or is not open.
pub fn inherited_socket(fd: RawFd) -> std::io::Result<UnixStream> {
    if fd <= 2 || SOCKET_TAKEN.swap(true, Ordering::SeqCst) {
        return Err(std::io::Error::other("not an inherited socket, or taken already"));
    }
    // SAFETY: the parent passed this descriptor for this purpose, and nothing else in the process owns it: it is not a
    // standard stream, and the flag above lets this happen once, at the start of the worker.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Err(error) = rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC) {
        // Not open: closing it would be a fault of its own.
        std::mem::forget(owned);
        return Err(error.into());
    }
    Ok(UnixStream::from(owned))
}

fn take_said() -> Vec<String> {
    let mut said = said();
    let last = std::mem::take(&mut said.last);
    let mut lines = std::mem::take(&mut said.first);
    lines.extend(last);
    lines
}

fn unavailable(message: String) -> Error {
    Problem::new(Kind::SimulatorUnavailable, message)
        .help(format!(
            "install libngspice (Debian, Ubuntu: libngspice0-dev; Fedora: libngspice-devel; Arch, Nix: ngspice; macOS: \
             libngspice), or name its file in {LIBRARY_VARIABLE}"
        ))
        .into()
}

/// # Safety
/// `text` is NULL or a NUL-terminated string that stays as it is during the call.
unsafe fn copy_string(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// # Safety
/// `array` is NULL or a NULL-terminated array of NUL-terminated strings that stays as it is during the call.
unsafe fn copy_strings(array: *mut *mut c_char) -> Vec<String> {
    let mut strings = Vec::new();
    if array.is_null() {
        return strings;
    }
    // SAFETY: by the caller's promise, every element up to the first NULL can be read.
    while let Some(string) = unsafe { copy_string(*array.add(strings.len())) } {
        strings.push(string);
    }
    strings
}
