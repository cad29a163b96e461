//! `table.json`: written once and atomically, read back bit by bit, refused when edited.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde_json::ser::Formatter;

use super::table::{SCHEMA, Table};
use crate::error::{Error, Kind, Problem, Result};

/// Name of the file in `results/luts/<name>/`.
pub const FILE_NAME: &str = "table.json";
/// What a table has to be.
const ACCEPTED: &str = "the file as `gaincell export` wrote it";
/// What to do with one that is not.
const REMEDY: &str = "make the table again with `gaincell export`; it is not meant to be edited";

impl Table {
    /// BLAKE3 of the table's compact JSON without its hash, as 64 hexadecimal digits.
    pub fn computed_hash(&self) -> Result<String> {
        let bare = Table { content_hash: String::new(), ..self.clone() };
        let bytes = serde_json::to_vec(&bare).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }

    /// Checks the table, sets its hash and writes `folder/table.json` atomically.
    pub fn write_json(&mut self, folder: &Path) -> Result<()> {
        self.check()?;
        self.content_hash = self.computed_hash()?;
        fs::create_dir_all(folder).map_err(|error| Error::io(folder, "create the folder", error))?;
        let path = folder.join(FILE_NAME);
        let text = self.to_json()?;
        let write = || -> io::Result<()> {
            let mut file = atomic_write_file::AtomicWriteFile::open(&path)?;
            file.write_all(text.as_bytes())?;
            file.commit()
        };
        write().map_err(|error| Error::io(&path, "write the table", error))
    }

    /// The file's text: objects over many lines, arrays of numbers on one.
    fn to_json(&self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, RowFormatter::default());
        self.serialize(&mut serializer).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        bytes.push(b'\n');
        String::from_utf8(bytes).map_err(|error| Error::new(Kind::Internal, error.to_string()))
    }

    /// Reads and checks a table. `path` is the file, or the folder that holds `table.json`.
    ///
    /// Errors: [`Kind::Io`]; [`Kind::TableInvalid`] for another schema, damage, or content that does not match its hash.
    pub fn read_json(path: &Path) -> Result<Table> {
        let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Problem::new(Kind::TableInvalid, "not UTF-8").file(&path).into(),
            _ => Error::io(&path, "read the table", error),
        })?;
        Table::from_json(&text).map_err(|error| in_file(error, &path))
    }

    /// As [`Table::read_json`], from text.
    pub fn from_json(text: &str) -> Result<Table> {
        let damaged = |error: serde_json::Error| -> Error {
            Problem::new(Kind::TableInvalid, error.to_string())
                .line(error.line())
                .accepted(ACCEPTED)
                .help(REMEDY)
                .into()
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
        let schema = value.get("schema").and_then(serde_json::Value::as_u64);
        if schema != Some(u64::from(SCHEMA)) {
            let found = value.get("schema").map_or("none".to_string(), ToString::to_string);
            return Err(Problem::new(Kind::TableInvalid, format!("schema {found} is not read by this version"))
                .key("schema")
                .accepted(SCHEMA.to_string())
                .help("make the table again with this version of gaincell: `gaincell export`")
                .into());
        }
        let table: Table = serde_json::from_str(text).map_err(damaged)?;
        let computed = table.computed_hash()?;
        if table.content_hash != computed {
            return Err(Problem::new(
                Kind::TableInvalid,
                "its content does not match its hash: it was edited or damaged",
            )
            .key("content_hash")
            .accepted(ACCEPTED)
            .help(REMEDY)
            .into());
        }
        table.check().map_err(|error| {
            let told = |problem: Problem| if problem.help.is_none() { problem.help(REMEDY) } else { problem };
            Error::collect(error.problems().iter().cloned().map(told).collect()).unwrap_or(error)
        })?;
        Ok(table)
    }
}

/// The same problems, with the file they are in.
pub(super) fn in_file(error: Error, path: &Path) -> Error {
    let problems = error.problems().iter().cloned().map(|problem| problem.file(path)).collect();
    Error::collect(problems).unwrap_or(error)
}

/// Breaks lines in objects and in arrays of objects, not in arrays of numbers: grids stay readable and short.
#[derive(Default)]
struct RowFormatter {
    depth: usize,
}

impl RowFormatter {
    fn new_line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for RowFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        self.new_line(writer)?;
        writer.write_all(b"}")
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
