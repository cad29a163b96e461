//! What the pool and a worker say to each other, over an inherited socket.
//!
//! A frame is the payload's length (u32, little endian), its CRC-32 (u32) and the payload in postcard. Standard streams
//! are never used: libngspice prints there.

use std::borrow::Cow;
use std::io::Read;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Answer, Circuit, Job};
use crate::error::{Error, Kind, Problem};

/// No frame is longer; a longer length means that the stream is out of step.
const MAX_PAYLOAD_BYTES: u32 = 1 << 30;

/// From the pool to a worker; borrowed where it is sent, owned where it is received.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Name and version of the simulator.
    Identify,
    /// Load this circuit, in place of the one loaded; `batch` as for a job.
    Load {
        /// The call.
        batch: u64,
        /// The circuit.
        circuit: Cow<'a, Circuit>,
    },
    /// Run this job on the loaded circuit; `batch` is the pool's number for the call it belongs to.
    Run {
        /// The call.
        batch: u64,
        /// The job.
        job: Cow<'a, Job>,
        /// Answer as soon as it is done, and not together with the next answers.
        at_once: bool,
    },
    /// Skip what has not started of this batch.
    Cancel {
        /// The call.
        batch: u64,
    },
}

/// From a worker to the pool; one for each request but `Cancel`, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// Name and version.
    Identity(String),
    /// The circuit is loaded.
    Loaded,
    /// The circuit is at fault, at loading or at its first analysis. The worker ends.
    CircuitFault(WireProblem),
    /// A job's answer.
    Answer {
        /// The answer; its worker number is filled in by the pool.
        answer: Box<Answer>,
        /// Resident memory of the worker, 0 if not known.
        resident_bytes: u64,
        /// ngspice is not to be trusted any more: the worker ends.
        retire: bool,
    },
    /// The job, or the loading, was cancelled before it started.
    Skipped,
    /// The request needs a fresh worker: settings of earlier jobs cannot be taken back. The worker ends.
    Stale,
}

/// A [`Problem`] as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireProblem {
    kind: u8,
    message: String,
    line: Option<usize>,
    help: Option<String>,
}

impl From<&Problem> for WireProblem {
    fn from(problem: &Problem) -> Self {
        WireProblem {
            kind: problem.kind.exit_code(),
            message: problem.message.clone(),
            line: problem.line,
            help: problem.help.clone(),
        }
    }
}

impl From<&Error> for WireProblem {
    fn from(error: &Error) -> Self {
        (&error.problems()[0]).into()
    }
}

impl From<WireProblem> for Problem {
    fn from(wire: WireProblem) -> Self {
        let kind = Kind::ALL.into_iter().find(|kind| kind.exit_code() == wire.kind).unwrap_or(Kind::Internal);
        let mut problem = Problem::new(kind, wire.message);
        problem.line = wire.line;
        problem.help = wire.help;
        problem
    }
}

/// Appends one frame to `buffer`. Frames that are due together leave in one write, so that the other side wakes once.
///
/// # Errors
/// A message that cannot be encoded or is too long; `buffer` is then as it was.
pub fn append_frame<T: Serialize>(buffer: &mut Vec<u8>, message: &T) -> std::io::Result<()> {
    let payload = postcard::to_stdvec(message).map_err(std::io::Error::other)?;
    let length = u32::try_from(payload.len()).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES);
    let length = length.ok_or_else(|| std::io::Error::other("frame too long"))?;
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    buffer.extend_from_slice(&payload);
    Ok(())
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
/// What the stream says, a torn or damaged frame, or a message of another version.
pub fn read_frame<T: DeserializeOwned>(stream: &mut impl Read) -> std::io::Result<Option<T>> {
    let mut header = [0u8; 8];
    let mut filled = 0;
    while filled < header.len() {
        match stream.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (length, checksum) = (word(0), word(4));
    if length > MAX_PAYLOAD_BYTES {
        return Err(std::io::Error::other("frame too long"));
    }
    let mut payload = vec![0u8; length as usize];
    stream.read_exact(&mut payload)?;
    if crc32fast::hash(&payload) != checksum {
        return Err(std::io::Error::other("damaged frame"));
    }
    postcard::from_bytes(&payload).map(Some).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{How, Measurement};
    use crate::units::Unit;

    fn request() -> Request<'static> {
        let how = How::Integral { signal: "i(vbl)".into(), from: f64::NEG_INFINITY, to: f64::INFINITY };
        Request::Run {
            batch: 3,
            at_once: true,
            job: Cow::Owned(Job {
                ticket: 7,
                alters: vec!["alter vdd 0.9".into()],
                analysis: "tran 10p 40n".into(),
                t_stop_s: Some(40e-9),
                signals: vec!["v(bl)".into()],
                values: [("v_store_v".to_string(), 0.45)].into(),
                measurements: vec![Measurement { column: "charge_c".into(), unit: Unit::Coulomb, how }],
                keep_waveform: true,
                max_time_points: 1000,
                wall_limit_s: 60.0,
            }),
        }
    }

    #[test]
    fn frames_come_back_as_they_were_sent() {
        let mut stream = Vec::new();
        append_frame(&mut stream, &request()).unwrap();
        append_frame(&mut stream, &Request::Identify).unwrap();
        let mut reader = stream.as_slice();
        let Some(Request::Run { batch: 3, job, at_once: true }) = read_frame::<Request<'static>>(&mut reader).unwrap()
        else {
            panic!()
        };
        let Request::Run { job: sent, .. } = request() else { panic!() };
        assert_eq!(job, sent, "infinite windows included");
        assert!(matches!(read_frame::<Request<'static>>(&mut reader).unwrap(), Some(Request::Identify)));
        assert!(read_frame::<Request<'static>>(&mut reader).unwrap().is_none());
    }

    #[test]
    fn damage_and_tearing_are_errors() {
        let mut stream = Vec::new();
        append_frame(&mut stream, &request()).unwrap();
        for bit in 0..stream.len() * 8 {
            let mut damaged = stream.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read_frame::<Request<'static>>(&mut damaged.as_slice()).is_err(), "bit {bit}");
        }
        for length in 1..stream.len() {
            assert!(read_frame::<Request<'static>>(&mut &stream[..length]).is_err());
        }
    }

    #[test]
    fn problems_keep_kind_line_and_words() {
        let problem = Problem::new(Kind::UndefinedParameter, "`w` is not defined").line(4).help("define it");
        assert_eq!(Problem::from(WireProblem::from(&problem)), problem);
    }
}
