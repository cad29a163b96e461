//! Reading SPICE files into logical lines: continuations joined, comments dropped, includes inlined, origins kept.

use std::path::{Path, PathBuf};

use super::library::prune;
use super::technology::{TechFiles, TechLibrary};
use crate::error::{Error, Kind, Problem, Result};

/// Where a line of a deck came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
}

/// A logical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Text without comments, white space folded.
    pub text: String,
    /// Where it began.
    pub origin: Origin,
    /// Part of a PDK's library (a `.lib` section, or what `tech.toml` names as one): carried to ngspice as it stands, and
    /// left out where nothing leads to it.
    pub from_library: bool,
}

impl Line {
    /// The line's first word in lower case: an element's name or a dot command.
    pub fn head(&self) -> String {
        self.text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase()
    }
}

const DEPTH_LIMIT: usize = 16;

/// Reads the bench at `path` with everything that it includes. The title is the first element.
///
/// # Errors
/// [`Kind::MissingNetlist`] for a file that does not exist, naming the line that includes it; [`Kind::NetlistSyntax`] for
/// a circle of includes; [`Kind::RefusedDeck`] for a `.control` block.
pub fn read_deck(path: &Path, tech: &TechFiles) -> Result<(String, Vec<Line>)> {
    let source = Source::read(path, tech)?;
    Error::collect(source.problems).map_or(Ok((source.title, source.lines)), Err)
}

/// A bench with everything that it includes, and what could not be read of it.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The bench's title line.
    pub title: String,
    /// Logical lines in the order in which ngspice would see them.
    pub lines: Vec<Line>,
    /// Includes that were left out and lines that are refused, in that order.
    pub problems: Vec<Problem>,
    /// Library sections that were pulled in: the section's name, and the line that asks for it.
    pub sections: Vec<(String, Origin)>,
}

impl Source {
    /// Reads the bench at `path` as far as it goes: what is wrong is in [`Source::problems`], with all that is wrong
    /// elsewhere.
    ///
    /// # Errors
    /// The bench itself cannot be read.
    pub fn read(path: &Path, tech: &TechFiles) -> Result<Source> {
        let text = read_file(path, None)?;
        let title = text.lines().next().unwrap_or_default().trim().to_string();
        let mut reader = Reader {
            tech,
            tech_done: false,
            in_control: false,
            in_library: false,
            source: Source { title, ..Source::default() },
        };
        reader.file(path, &text, 1, 0);
        Ok(reader.source)
    }

    /// Without what ngspice would drop of a PDK's library, which is most of it.
    #[must_use]
    pub fn pruned(mut self) -> Source {
        if self.lines.iter().any(|line| line.from_library) {
            self.lines = prune(self.lines);
        }
        self
    }
}

fn read_file(path: &Path, from: Option<&Origin>) -> Result<String> {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|source| {
        let problem = Problem::new(Kind::MissingNetlist, format!("cannot read {}: {source}", path.display()));
        match from {
            Some(origin) => problem.file(&origin.file).line(origin.line).help("correct the path, or add the file"),
            None => problem.file(path).accepted("a SPICE netlist").help("correct the path, or add the file"),
        }
        .into()
    })
}

struct Reader<'a> {
    tech: &'a TechFiles,
    tech_done: bool,
    in_control: bool,
    in_library: bool,
    source: Source,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str, skip: usize, depth: usize) {
        match logical_lines(path, text, skip) {
            Ok(lines) => lines.into_iter().for_each(|line| self.told(line, depth)),
            Err(error) => self.source.problems.extend_from_slice(error.problems()),
        }
    }

    /// One line; what is wrong with it is written down, and the reading goes on.
    fn told(&mut self, line: Line, depth: usize) {
        if let Err(error) = self.line(line, depth) {
            self.source.problems.extend_from_slice(error.problems());
        }
    }

    fn line(&mut self, line: Line, depth: usize) -> Result<()> {
        match line.head().as_str() {
            ".endc" if self.in_control => {
                self.in_control = false;
                Ok(())
            }
            _ if self.in_control => Ok(()),
            ".include" | ".inc" => {
                let target = resolve(&line)?;
                if !self.tech.is_empty() && is_tech_file(&target) && !self.in_library {
                    if !self.tech_done {
                        self.tech_done = true;
                        self.technology(&line.origin, depth)?;
                    }
                    return Ok(());
                }
                self.include(&target, &line.origin, depth)
            }
            ".lib" => {
                // `.lib file section` pulls one section in; inside the file, `.lib section` .. `.endl` bounds it.
                let words = unquoted_words(&line.text);
                let [_, _, section] = words.as_slice() else {
                    return Err(Problem::new(Kind::NetlistSyntax, format!("`{}` names no section", line.text))
                        .file(&line.origin.file)
                        .line(line.origin.line)
                        .accepted(".lib <file> <section>")
                        .into());
                };
                let target = resolve(&line)?;
                self.source.sections.push((section.clone(), line.origin.clone()));
                self.section(&target, section, &line.origin, depth)
            }
            ".control" | ".endc" => {
                self.in_control = line.head() == ".control";
                Err(Problem::new(Kind::RefusedDeck, "a deck with a .control block is not run")
                    .file(&line.origin.file)
                    .line(line.origin.line)
                    .accepted("elements, subcircuits, .param, .options and one analysis")
                    .help("move what the block does into the sweep's TOML: parameters and measurements")
                    .into())
            }
            ".end" => Ok(()),
            ".subckt" if !self.in_library => {
                let mut line = line;
                let resized = self.tech.resize(&mut line);
                self.source.lines.push(line);
                resized
            }
            _ => {
                self.source.lines.push(Line { from_library: self.in_library, ..line });
                Ok(())
            }
        }
    }

    fn technology(&mut self, origin: &Origin, depth: usize) -> Result<()> {
        let tech = self.tech;
        for (name, value) in &tech.parameters {
            let text = format!(".param {name}={value:e}");
            self.source.lines.push(Line { text, origin: origin.clone(), from_library: false });
        }
        for TechLibrary { file, section, declared } in &tech.libraries {
            let within = std::mem::replace(&mut self.in_library, true);
            let read = match section {
                Some(section) => self.section(file, section, declared, depth),
                None => self.include(file, declared, depth),
            };
            self.in_library = within;
            read?;
        }
        tech.files.iter().try_for_each(|file| self.include(file, origin, depth))
    }

    fn include(&mut self, target: &Path, origin: &Origin, depth: usize) -> Result<()> {
        check_depth(origin, depth)?;
        let text = read_file(target, Some(origin))?;
        self.file(target, &text, 0, depth + 1);
        Ok(())
    }

    fn section(&mut self, target: &Path, section: &str, origin: &Origin, depth: usize) -> Result<()> {
        check_depth(origin, depth)?;
        let text = read_file(target, Some(origin))?;
        let (mut inside, mut found) = (false, false);
        let lines = logical_lines(target, &text, 0)?;
        let within = std::mem::replace(&mut self.in_library, true);
        for line in lines {
            let words = unquoted_words(&line.text);
            match line.head().as_str() {
                ".lib" if words.len() == 2 => {
                    inside = words[1].eq_ignore_ascii_case(section);
                    found |= inside;
                }
                ".endl" => inside = false,
                _ if inside => self.told(line, depth + 1),
                _ => {}
            }
        }
        self.in_library = within;
        if found {
            return Ok(());
        }
        let known = sections(&text);
        let known = if known.is_empty() { "none: it is a file for `.include`".to_string() } else { known.join(", ") };
        Err(Problem::new(Kind::MissingNetlist, format!("{} has no section `{section}`", target.display()))
            .file(&origin.file)
            .line(origin.line)
            .accepted(known)
            .help("choose one of its sections")
            .into())
    }
}

fn check_depth(origin: &Origin, depth: usize) -> Result<()> {
    if depth < DEPTH_LIMIT {
        return Ok(());
    }
    Err(Problem::new(Kind::NetlistSyntax, format!("includes are nested deeper than {DEPTH_LIMIT}"))
        .file(&origin.file)
        .line(origin.line)
        .help("look for a file that includes itself")
        .into())
}

/// Names of the sections that a library bounds by `.lib <name>` and `.endl`, in order.
pub(crate) fn sections(text: &str) -> Vec<String> {
    let opens = |line: &str| {
        let words = unquoted_words(strip_comment(line));
        (words.len() == 2 && words[0].eq_ignore_ascii_case(".lib")).then(|| words[1].clone())
    };
    text.lines().filter_map(opens).collect()
}

/// Joins `+` lines, drops comments and folds white space; `skip` physical lines (a bench's title) are left out.
fn logical_lines(path: &Path, text: &str, skip: usize) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, raw) in text.lines().enumerate().skip(skip) {
        let bare = strip_comment(raw);
        let folded = bare.split_whitespace().collect::<Vec<_>>().join(" ");
        if folded.is_empty() {
            continue;
        }
        if let Some(more) = folded.strip_prefix('+') {
            let Some(last) = lines.last_mut() else {
                return Err(Problem::new(Kind::NetlistSyntax, "a `+` line continues nothing")
                    .file(path)
                    .line(number + 1)
                    .into());
            };
            last.text.push(' ');
            last.text.push_str(more.trim());
        } else {
            let origin = Origin { file: path.to_path_buf(), line: number + 1 };
            lines.push(Line { text: folded, origin, from_library: false });
        }
    }
    Ok(lines)
}

/// A physical line without its comment: `*` in the first column, `;` anywhere, `$ ` after white space.
fn strip_comment(raw: &str) -> &str {
    let trimmed = raw.trim();
    if trimmed.starts_with('*') || trimmed.starts_with('#') {
        return "";
    }
    let end = trimmed.find(';').unwrap_or(trimmed.len());
    let end = trimmed[..end].find(" $ ").unwrap_or(end);
    &trimmed[..end]
}

fn unquoted_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| *c == '\'' || *c == '"');
        let (word, tail) = match quote {
            Some(q) => rest[1..].split_once(q).unwrap_or((&rest[1..], "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_string());
        rest = tail.trim_start();
    }
    words
}

/// The path in an `.include` or `.lib` line, relative to the file that holds the line.
fn resolve(line: &Line) -> Result<PathBuf> {
    let words = unquoted_words(&line.text);
    let Some(name) = words.get(1) else {
        return Err(Problem::new(Kind::NetlistSyntax, format!("`{}` names no file", line.text))
            .file(&line.origin.file)
            .line(line.origin.line)
            .into());
    };
    let base = line.origin.file.parent().unwrap_or(Path::new("."));
    Ok(base.join(name))
}

/// Does the path lie in a folder `tech/<name>/`?
fn is_tech_file(path: &Path) -> bool {
    path.parent().and_then(Path::parent).and_then(Path::file_name).is_some_and(|name| name == "tech")
}

/// Maps a problem that names a deck line (from 1, no file) to the source line that it came from.
pub fn locate(error: Error, origins: &[Option<Origin>]) -> Error {
    let problems = error
        .problems()
        .iter()
        .cloned()
        .map(|mut problem| {
            if let (None, Some(line)) = (&problem.file, problem.line)
                && let Some(Some(origin)) = origins.get(line.wrapping_sub(1))
            {
                problem.file = Some(origin.file.clone());
                problem.line = Some(origin.line);
            }
            problem
        })
        .collect();
    Error::collect(problems).unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn inlines_joins_and_remembers_origins() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sub a.inc"), "* comment\nr2 b 0 2k ; load\n").unwrap();
        fs::write(dir.path().join("x.cir"), "Title\nr1 a\n+ b 1k $ one\n.include 'sub a.inc'\n.end\n").unwrap();
        let (title, lines) = read_deck(&dir.path().join("x.cir"), &TechFiles::default()).unwrap();
        assert_eq!(title, "Title");
        let texts: Vec<_> = lines.iter().map(|l| (l.text.as_str(), l.origin.line)).collect();
        assert_eq!(texts, [("r1 a b 1k", 2), ("r2 b 0 2k", 2)]);
    }

    #[test]
    fn a_library_gives_one_section_and_a_technology_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tech/a")).unwrap();
        fs::write(dir.path().join("my.lib"), ".lib tt\n.model n nmos\n.endl\n.lib ff\n.model f nmos\n.endl tt\n")
            .unwrap();
        fs::write(dir.path().join("tech/a/models.lib"), ".model old nmos\n").unwrap();
        fs::write(dir.path().join("new.lib"), ".lib 'my.lib' tt\n").unwrap();
        fs::write(dir.path().join("x.cir"), "t\n.include tech/a/models.lib\nr1 a b 1k\n").unwrap();
        let tech = TechFiles { files: vec![dir.path().join("new.lib")], ..TechFiles::default() };
        let (_, lines) = read_deck(&dir.path().join("x.cir"), &tech).unwrap();
        assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), [".model n nmos", "r1 a b 1k"]);
    }

    #[test]
    fn missing_includes_and_control_blocks_name_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let bench = dir.path().join("x.cir");
        for (text, kind) in [
            ("t\nr1 a 0 1\n.include nobody.inc\n", Kind::MissingNetlist),
            ("t\nr1 a 0 1\n.control\nshell ls\n.endc\n", Kind::RefusedDeck),
            ("t\nr1 a 0 1\n.include x.cir\n", Kind::NetlistSyntax),
        ] {
            fs::write(&bench, text).unwrap();
            let error = read_deck(&bench, &TechFiles::default()).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!(error.problems()[0].line, Some(3));
        }
    }
}
