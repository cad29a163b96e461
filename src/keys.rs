//! TOML read key by key, so that every mistake of a file is told at once, with line, key and what is accepted.
//!
//! A [`Keys`] wraps one table. Asking it for a key marks the key as known; [`Keys::finish`] reports every key that was
//! written but never asked for. Problems gather in the [`Document`]; [`Document::check`] turns them into one error.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Kind, Problem, Result};
use crate::units::{Unit, parse_quantity};

/// The schema version that every TOML file states.
pub const SCHEMA: i64 = 1;

/// A TOML file's text and the problems found in it.
pub struct Document {
    path: PathBuf,
    text: String,
    problems: RefCell<Vec<Problem>>,
    scales: Cell<Scales>,
}

/// What a file's quantities are multiplied by where they are read: it was written for another technology.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// Of voltages.
    pub volts: f64,
    /// Of charges.
    pub coulombs: f64,
    /// Of energies.
    pub joules: f64,
}

impl Scales {
    /// As written.
    pub const NONE: Scales = Scales { volts: 1.0, coulombs: 1.0, joules: 1.0 };

    /// The value of a quantity.
    pub fn of(&self, value: f64, unit: Unit) -> f64 {
        match unit {
            Unit::Volt if self.volts != 1.0 => value * self.volts,
            Unit::Coulomb if self.coulombs != 1.0 => value * self.coulombs,
            Unit::Joule if self.joules != 1.0 => value * self.joules,
            _ => value,
        }
    }
}

impl Document {
    /// Reads the file; `missing` is the kind of error if it does not exist.
    ///
    /// # Errors
    /// The file does not exist or cannot be read.
    pub fn read(path: &Path, missing: Kind) -> Result<Document> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::from(Problem::new(missing, "no such file").file(path))
            } else {
                Error::io(path, "read", source)
            }
        })?;
        Ok(Document::from_text(path, text))
    }

    /// A document from text in memory; `path` is what messages name.
    pub fn from_text(path: &Path, text: String) -> Document {
        Document { path: path.to_path_buf(), text, problems: RefCell::default(), scales: Cell::new(Scales::NONE) }
    }

    /// Multiplies voltages and charges that are read from here on.
    pub fn scale(&self, scales: Scales) {
        self.scales.set(scales);
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Parses the file's TOML.
    ///
    /// # Errors
    /// [`Kind::SpecSyntax`] with the line.
    pub fn parse(&self) -> Result<DeTable<'_>> {
        DeTable::parse(&self.text).map(Spanned::into_inner).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line_at(span.start));
            Problem::new(Kind::SpecSyntax, error.message().to_string())
                .file(&self.path)
                .line(line)
                .accepted("TOML 1.0; strings and quantities in double quotes")
                .into()
        })
    }

    /// The root table, with its `schema` checked.
    pub fn root<'a>(&'a self, table: &'a DeTable<'a>) -> Keys<'a> {
        let keys = self.root_without_schema(table);
        match keys.integer("schema") {
            Some(SCHEMA) => {}
            Some(other) => keys.problem(
                Problem::new(Kind::SpecKey, format!("schema version {other} is not known")).accepted("schema = 1"),
                "schema",
            ),
            None => keys.problem(
                Problem::new(Kind::SpecKey, "the schema version is missing")
                    .accepted("schema = 1")
                    .help("write `schema = 1` as the first line"),
                "schema",
            ),
        }
        keys
    }

    fn root_without_schema<'a>(&'a self, table: &'a DeTable<'a>) -> Keys<'a> {
        Keys { document: self, table, prefix: String::new(), line: 1, known: RefCell::default() }
    }

    /// Adds a problem that is not tied to one key.
    pub fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem.file(&self.path));
    }

    /// Ends the reading: an error if any problem was found.
    ///
    /// # Errors
    /// All problems of the file at once, in the order of their lines.
    pub fn check(&self) -> Result<()> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| problem.line);
        Error::collect(problems).map_or(Ok(()), Err)
    }

    fn line_at(&self, offset: usize) -> usize {
        1 + self.text[..offset.min(self.text.len())].bytes().filter(|b| *b == b'\n').count()
    }
}

/// One table of a document.
pub struct Keys<'a> {
    document: &'a Document,
    table: &'a DeTable<'a>,
    prefix: String,
    line: usize,
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().insert(key.to_string());
        self.table.get(key)
    }

    /// Is the key written? Marks it as known.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Every key that is written, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.table.keys().map(|key| key.get_ref().to_string()).collect();
        names.sort();
        names
    }

    /// The dotted name of a key of this table.
    pub fn dotted(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_string() } else { format!("{}.{key}", self.prefix) }
    }

    /// The line of a key, or of the table if the key is absent.
    pub fn line_of(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.line, |(key, _)| self.document.line_at(key.span().start))
    }

    /// Adds a problem at a key of this table.
    pub fn problem(&self, problem: Problem, key: &str) {
        self.document.push(problem.key(self.dotted(key)).line(self.line_of(key)));
    }

    fn wrong_type(&self, key: &str, found: &DeValue<'_>, accepted: &str) {
        self.problem(
            Problem::new(Kind::SpecKey, format!("a {} is not what belongs here", found.type_str())).accepted(accepted),
            key,
        );
    }

    /// Adds the problem of a missing key.
    pub fn missing(&self, key: &str, accepted: &str) {
        self.problem(Problem::new(Kind::SpecKey, "this key is missing").accepted(accepted), key);
    }

    /// A string, if written.
    pub fn string(&self, key: &str) -> Option<String> {
        match self.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                self.wrong_type(key, other, "a string");
                None
            }
        }
    }

    /// A string that must be written; empty if it is not.
    pub fn require_string(&self, key: &str, accepted: &str) -> String {
        if !self.has(key) {
            self.missing(key, accepted);
        }
        self.string(key).unwrap_or_default()
    }

    /// A string out of a closed set.
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.problem(
                Problem::new(Kind::SpecKey, format!("\"{text}\" is not known")).accepted(names.join(", ")),
                key,
            );
        }
        found
    }

    /// A boolean, if written.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        match self.get(key)?.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            other => {
                self.wrong_type(key, other, "true or false");
                None
            }
        }
    }

    /// An integer, if written.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key)?.get_ref() {
            DeValue::Integer(value) => i64::from_str_radix(&value.as_str().replace('_', ""), value.radix()).ok(),
            other => {
                self.wrong_type(key, other, "a whole number");
                None
            }
        }
    }

    /// A whole number that is not negative, if written.
    pub fn count(&self, key: &str) -> Option<u64> {
        let value = self.integer(key)?;
        if value < 0 {
            let problem =
                Problem::new(Kind::SpecKey, format!("{value} is negative")).accepted("a whole number from 0 up");
            self.problem(problem, key);
        }
        u64::try_from(value).ok()
    }

    /// A quantity, if written: a string with a unit, or a bare number where the unit is 1.
    pub fn quantity(&self, key: &str, unit: Unit) -> Option<f64> {
        let value = self.get(key)?;
        self.quantity_in(key, value.get_ref(), unit)
    }

    /// Whether that key is written as text, as quantities with a unit are.
    pub fn is_text(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::String(_)))
    }

    /// A quantity that must be written; NaN if it is not.
    pub fn require_quantity(&self, key: &str, unit: Unit) -> f64 {
        if !self.has(key) {
            self.missing(key, &format!("a quantity in {unit}, as in {}", unit.example()));
        }
        self.quantity(key, unit).unwrap_or(f64::NAN)
    }

    /// A list of quantities, if written.
    pub fn quantities(&self, key: &str, unit: Unit) -> Option<Vec<f64>> {
        match self.get(key)?.get_ref() {
            DeValue::Array(items) => {
                items.iter().map(|item| self.quantity_in(key, item.get_ref(), unit)).collect::<Option<Vec<_>>>()
            }
            other => {
                self.wrong_type(key, other, &format!("a list of quantities, as in [{0}, {0}]", unit.example()));
                None
            }
        }
    }

    /// A list of strings, if written.
    pub fn strings(&self, key: &str) -> Option<Vec<String>> {
        let value = self.get(key)?.get_ref();
        let list = value.as_array().and_then(|items| {
            items.iter().map(|item| item.get_ref().as_str().map(str::to_string)).collect::<Option<Vec<_>>>()
        });
        if list.is_none() {
            self.wrong_type(key, value, "a list of strings");
        }
        list
    }

    fn quantity_in(&self, key: &str, value: &DeValue<'_>, unit: Unit) -> Option<f64> {
        let parsed = match value {
            DeValue::String(text) => self.parse(text, unit),
            DeValue::Integer(number) if unit == Unit::One => parse_quantity(&number.as_str().replace('_', ""), unit),
            DeValue::Float(number) if unit == Unit::One => parse_quantity(&number.as_str().replace('_', ""), unit),
            DeValue::Integer(_) | DeValue::Float(_) => Err("a bare number has no unit".to_string()),
            other => {
                self.wrong_type(key, other, &format!("a quantity in {unit}, as in {}", unit.example()));
                return None;
            }
        };
        parsed
            .map_err(|message| {
                let accepted = format!("a quantity in {unit}, as in {}", unit.example());
                self.problem(Problem::new(Kind::SpecUnit, message).accepted(accepted), key);
            })
            .ok()
    }

    /// A quantity from text, as [`Keys::quantity`] reads it; the message says what is wrong with it.
    pub fn parse(&self, text: &str, unit: Unit) -> std::result::Result<f64, String> {
        parse_quantity(text, unit).map(|value| self.scaled(value, unit))
    }

    /// A value of this file on the technology that it is read for.
    pub fn scaled(&self, value: f64, unit: Unit) -> f64 {
        self.document.scales.get().of(value, unit)
    }

    /// A sub-table, if written.
    pub fn table(&self, key: &str) -> Option<Keys<'a>> {
        let value = self.get(key)?;
        self.enter(key, self.dotted(key), value)
    }

    /// The elements of an array of tables; empty if it is not written.
    pub fn tables(&self, key: &str) -> Vec<Keys<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value.get_ref(), &format!("tables, each begun by [[{}]]", self.dotted(key)));
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| self.enter(key, format!("{}[{i}]", self.dotted(key)), item))
            .collect()
    }

    /// Every sub-table of a table whose keys are free, in alphabetical order: (name, table).
    pub fn named_tables(&self, key: &str) -> Vec<(String, Keys<'a>)> {
        let Some(parent) = self.table(key) else { return Vec::new() };
        parent
            .table
            .iter()
            .filter_map(|(name, value)| {
                let name = name.get_ref().to_string();
                parent.enter(&name, parent.dotted(&name), value).map(|keys| (name, keys))
            })
            .collect()
    }

    fn enter(&self, key: &str, prefix: String, value: &'a Spanned<DeValue<'a>>) -> Option<Keys<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => {
                let line = table
                    .keys()
                    .map(|key| self.document.line_at(key.span().start))
                    .min()
                    .unwrap_or_else(|| self.line_of(key));
                Some(Keys { document: self.document, table, prefix, line, known: RefCell::default() })
            }
            other => {
                self.wrong_type(key, other, "a table");
                None
            }
        }
    }

    /// Ends the reading of this table: every key that was never asked for is a problem.
    pub fn finish(&self) {
        let known = self.known.borrow();
        for key in self.table.keys() {
            let name = key.get_ref();
            if !known.contains(name.as_ref()) {
                let accepted: Vec<_> = known.iter().cloned().collect();
                let mut problem = Problem::new(Kind::SpecKey, "this key is not known").accepted(accepted.join(", "));
                if let Some(near) =
                    known.iter().min_by_key(|k| edit_distance(k, name)).filter(|k| edit_distance(k, name) <= 2)
                {
                    problem = problem.help(format!("did you mean `{near}`?"));
                }
                self.problem(problem, name);
            }
        }
    }
}

/// Levenshtein's distance, for suggestions.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_mistake_at_once_with_line_and_key() {
        let text = "schema = 1\nnmae = \"x\"\nt = \"15\"\nv = 3\n[limits]\nwall = \"2 V\"\n";
        let document = Document::from_text(Path::new("a.toml"), text.to_string());
        let table = document.parse().unwrap();
        let keys = document.root(&table);
        keys.string("name");
        keys.quantity("t", Unit::Second);
        keys.quantity("v", Unit::Volt);
        let limits = keys.table("limits").unwrap();
        limits.quantity("wall", Unit::Second);
        limits.finish();
        keys.finish();
        let error = document.check().unwrap_err();
        let found: Vec<_> =
            error.problems().iter().map(|p| (p.line.unwrap(), p.key.as_deref().unwrap(), p.kind)).collect();
        assert_eq!(
            found,
            [
                (2, "nmae", Kind::SpecKey),
                (3, "t", Kind::SpecUnit),
                (4, "v", Kind::SpecUnit),
                (6, "limits.wall", Kind::SpecUnit)
            ]
        );
        assert_eq!(error.problems()[0].help.as_deref(), Some("did you mean `name`?"));
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let document = Document::from_text(Path::new("a.toml"), "schema = 1\nname = \n".to_string());
        let error = document.parse().unwrap_err();
        assert_eq!((error.kind(), error.problems()[0].line), (Kind::SpecSyntax, Some(2)));
    }
}
