//! The bytes of journals and store segments: a header, then records, each with its own checksum.
//!
//! ```text
//! header   magic 8 | schema u32 | identity length u32 | identity | crc32 u32 of all before
//! record   marker 4 | payload length u32 | crc32 u32 of length and payload | payload: postcard of (Row, Runtime)
//! ```
//!
//! Numbers are little-endian. The marker lets a reader find the next good record behind a bad one, and so tell a torn
//! tail (nothing good follows: the process or the machine died while writing) from damage in the middle.

use super::{Record, Row, Runtime};

/// Version of the layout above and of the types inside it.
pub(super) const SCHEMA: u32 = 1;

const MAGIC: &[u8; 8] = b"GAINCELL";
const MARKER: [u8; 4] = [0xa7, b'r', b'o', b'w'];
const RECORD_HEAD: usize = 12;

/// The header of a file whose rows belong to `identity`.
pub(super) fn header(identity: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20 + identity.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&SCHEMA.to_le_bytes());
    bytes.extend_from_slice(&(identity.len() as u32).to_le_bytes());
    bytes.extend_from_slice(identity.as_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the beginning of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// A good header: whose rows these are, and where the records begin.
    Good { identity: String, end: usize },
    /// The file ends inside its header: it was being created when the process died, and holds no record.
    Torn,
    /// Written by another version.
    OtherSchema(u32),
    /// Not such a file, or its header is damaged.
    Bad,
}

/// Reads the header of `bytes`.
pub(super) fn read_header(bytes: &[u8]) -> Header {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Header::Bad;
    }
    let (Some(schema), Some(length)) = (u32_at(bytes, 8), u32_at(bytes, 12)) else { return Header::Torn };
    if schema != SCHEMA {
        return Header::OtherSchema(schema);
    }
    // An identity is a hash in hexadecimal; a longer one is a damaged length.
    if length > 1024 {
        return Header::Bad;
    }
    let end_of_identity = 16 + length as usize;
    let Some(crc) = u32_at(bytes, end_of_identity) else { return Header::Torn };
    if crc32fast::hash(&bytes[..end_of_identity]) != crc {
        return Header::Bad;
    }
    match std::str::from_utf8(&bytes[16..end_of_identity]) {
        Ok(identity) => Header::Good { identity: identity.to_string(), end: end_of_identity + 4 },
        Err(_) => Header::Bad,
    }
}

/// One record's bytes.
///
/// # Errors
/// If postcard cannot encode the row, which no row of finite size does.
pub(super) fn encode(row: &Row, runtime: &Runtime) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = postcard::to_extend(&(row, runtime), vec![0; RECORD_HEAD])?;
    let length = (bytes.len() - RECORD_HEAD) as u32;
    bytes[..4].copy_from_slice(&MARKER);
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(length, &bytes[RECORD_HEAD..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// The records found behind a header.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Good records, in file order.
    pub records: Vec<Record>,
    /// Where the good bytes end; whatever follows is a torn tail.
    pub end: usize,
    /// Where bad bytes begin that good records follow: damage in the middle.
    pub damaged_at: Vec<usize>,
}

/// Reads every good record of `bytes` from `start` on, passing over damage.
pub(super) fn scan(bytes: &[u8], start: usize) -> Scan {
    let mut found = Scan { end: start, ..Scan::default() };
    let mut at = start;
    while at < bytes.len() {
        if let Some((record, next)) = decode(bytes, at) {
            if at != found.end {
                found.damaged_at.push(found.end);
            }
            found.records.push(record);
            found.end = next;
            at = next;
        } else {
            at += 1;
            match bytes[at..].windows(MARKER.len()).position(|window| window == MARKER) {
                Some(offset) => at += offset,
                None => break,
            }
        }
    }
    found
}

/// The record at `at`, and where it ends; `None` if there is no good one.
fn decode(bytes: &[u8], at: usize) -> Option<(Record, usize)> {
    if bytes.get(at..at + 4)? != MARKER {
        return None;
    }
    let length = u32_at(bytes, at + 4)?;
    let crc = u32_at(bytes, at + 8)?;
    let begin = at + RECORD_HEAD;
    let end = begin.checked_add(length as usize)?;
    let payload = bytes.get(begin..end)?;
    if checksum(length, payload) != crc {
        return None;
    }
    Some((postcard::from_bytes(payload).ok()?, end))
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{any_row, exactly, row, runtime};
    use super::*;

    fn file(n: u64) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header("deck");
        let mut ends = vec![bytes.len()];
        for index in 0..n {
            bytes.extend(encode(&row(index), &runtime(index)).unwrap());
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn whatever_the_length_of_the_torn_tail_whole_records_survive() {
        let (bytes, ends) = file(4);
        for cut in ends[0]..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let found = scan(&bytes[..cut], ends[0]);
            assert_eq!(found.records.len(), whole, "cut at {cut}");
            assert_eq!(found.end, ends[whole], "cut at {cut}");
            assert!(found.damaged_at.is_empty(), "cut at {cut}");
        }
        for cut in 0..ends[0] {
            assert_eq!(read_header(&bytes[..cut]), Header::Torn, "cut at {cut}");
        }
    }

    #[test]
    fn a_flip_of_any_byte_of_a_middle_record_is_damage_and_costs_that_record_only() {
        let (bytes, ends) = file(3);
        for at in ends[1]..ends[2] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            let found = scan(&flipped, ends[0]);
            assert_eq!(found.damaged_at, [ends[1]], "flip at {at}");
            let indices: Vec<u64> = found.records.iter().map(|(row, _)| row.index).collect();
            assert_eq!(indices, [0, 2], "flip at {at}");
        }
    }

    #[test]
    fn a_flip_of_any_byte_of_the_header_is_seen() {
        let (bytes, ends) = file(0);
        for at in 0..ends[0] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(!matches!(read_header(&flipped), Header::Good { .. }), "flip at {at}");
        }
    }

    #[test]
    fn a_tail_of_zeros_as_a_power_cut_leaves_it_is_torn() {
        let (mut bytes, ends) = file(2);
        bytes.extend([0; 4096]);
        let found = scan(&bytes, ends[0]);
        assert_eq!((found.records.len(), found.end, found.damaged_at.len()), (2, ends[2], 0));
    }

    proptest! {
        #[test]
        fn every_bit_of_every_row_comes_back(rows in (0..6u64).prop_flat_map(|n| (0..n).map(any_row).collect::<Vec<_>>())) {
            let mut bytes = header("deck");
            let start = bytes.len();
            for row in &rows {
                bytes.extend(encode(row, &runtime(row.index)).unwrap());
            }
            let found: Vec<Row> = scan(&bytes, start).records.into_iter().map(|(row, _)| row).collect();
            prop_assert_eq!(exactly(&found), exactly(&rows));
        }
    }
}
