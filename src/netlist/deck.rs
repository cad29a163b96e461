//! A bench as read from its file: parameters, elements, one analysis; and the circuits and commands made from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::alter::{AlterPlan, plan_line};
use super::library::{Library, prune, unused_bins};
use super::parameter::{Parameter, at, mentions, read_parameters, substitute, undefined};
use super::reach::dropped;
use super::source::{Line, Origin, read_deck};
use super::technology::TechFiles;
use super::{braced, option_text, tokens};
use crate::error::{Error, Kind, Problem, Result};
use crate::expr::{Expr, ExprError};

/// Which analysis a bench runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnalysisKind {
    /// `.tran`; the axis is time [s].
    Transient,
    /// `.dc`; the axis is the swept source's value.
    Dc,
    /// `.ac`; the axis is frequency [Hz].
    Ac,
    /// `.noise`; the axis is frequency [Hz], the signals are `v(onoise_spectrum)` and `v(inoise_spectrum)`, in the output's and
    /// the input's unit over the root of hertz.
    Noise,
    /// `.op`; one value per signal.
    OperatingPoint,
}

/// A bench's analysis line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Its kind.
    pub kind: AnalysisKind,
    /// The line without its dot, `{...}` unevaluated.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
}

/// A bench with everything that it includes.
#[derive(Debug, Clone)]
pub struct Deck {
    title: String,
    /// Elements, models, subcircuits, options: all but `.param` at the top, `.save`, the analysis and `.end`.
    lines: Vec<Line>,
    parameters: Vec<Parameter>,
    library: Library,
    analysis: Analysis,
}

/// A circuit ready for the simulator, with the source of each of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedCircuit {
    /// Content hash over the lines; neither comments nor paths count.
    pub key: String,
    /// The deck, title first, `.end` last.
    pub lines: Vec<String>,
    /// For each line, where it came from; `None` for what was generated.
    pub origins: Vec<Option<Origin>>,
}

impl Deck {
    /// Reads the bench at `path`; `tech` takes the place of its own technology includes.
    ///
    /// # Errors
    /// What [`read_deck`] refuses; [`Kind::NetlistSyntax`] for a `.param` that is no expression, no analysis or more than
    /// one; [`Kind::UndefinedParameter`] for a name in `{...}` that nobody defines.
    pub fn read(path: &Path, tech: &TechFiles) -> Result<Deck> {
        let (title, source) = read_deck(path, tech)?;
        Deck::from_lines(path, title, source)
    }

    /// A deck from lines that were read already; `path` is what messages about the whole name.
    ///
    /// # Errors
    /// As [`Deck::read`], everything that is wrong at once.
    pub fn from_lines(path: &Path, title: String, source: Vec<Line>) -> Result<Deck> {
        let (mut lines, mut parameters, mut analyses) = (Vec::new(), Vec::new(), Vec::new());
        let mut problems: Vec<Problem> = Vec::new();
        let (mut depth, mut library) = (0usize, Library::default());
        for line in source {
            let head = line.head();
            let kind = match head.as_str() {
                ".tran" => Some(AnalysisKind::Transient),
                ".dc" => Some(AnalysisKind::Dc),
                ".ac" => Some(AnalysisKind::Ac),
                ".noise" => Some(AnalysisKind::Noise),
                ".op" => Some(AnalysisKind::OperatingPoint),
                _ => None,
            };
            match head.as_str() {
                ".subckt" => depth += 1,
                ".ends" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if let Some(kind) = kind {
                let text = line.text.trim_start_matches('.').to_string();
                analyses.push(Analysis { kind, text, origin: line.origin });
            } else if head == ".param" && depth == 0 && line.from_library {
                library.read(&line);
                lines.push(line);
            } else if head == ".param" && depth == 0 {
                parameters.extend(read_parameters(&line, &mut problems));
            } else if head != ".save" && head != ".probe" {
                lines.push(line);
            }
        }
        if analyses.len() != 1 {
            let mut problem = Problem::new(Kind::NetlistSyntax, format!("{} analyses in a bench", analyses.len()))
                .file(path)
                .accepted("exactly one of .tran, .dc, .ac, .noise, .op");
            if let Some(second) = analyses.get(1) {
                problem = problem.file(&second.origin.file).line(second.origin.line);
            }
            problems.push(problem);
        }
        // With no analysis an operating point stands in, so that the names are checked too before this fails.
        let analysis = analyses.into_iter().next().unwrap_or_else(|| Analysis {
            kind: AnalysisKind::OperatingPoint,
            text: "op".to_string(),
            origin: Origin { file: path.to_path_buf(), line: 1 },
        });
        let deck = Deck { title, lines, parameters, library, analysis };
        if let Err(error) = deck.check_names() {
            problems.extend_from_slice(error.problems());
        }
        Error::collect(problems).map_or(Ok(deck), Err)
    }

    /// The bench's title line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its analysis.
    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// Names of its parameters, in the order of the file.
    pub fn parameter_names(&self) -> Vec<&str> {
        self.parameters.iter().map(|p| p.name.as_str()).collect()
    }

    /// Every logical line but parameters, analysis and `.save`.
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The value of every parameter, with `overrides` in place of the file's own. As in ngspice their order in the file does not
    /// matter; of two of one name the last counts. A parameter made of a library's is left to ngspice.
    ///
    /// # Errors
    /// [`Kind::UndefinedParameter`], naming file and line.
    pub fn values(&self, overrides: &BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>> {
        let mut values: BTreeMap<String, f64> = BTreeMap::new();
        let counts = |k: usize, p: &Parameter| !self.parameters[k + 1..].iter().any(|later| later.name == p.name);
        let mut open: Vec<&Parameter> =
            self.parameters.iter().enumerate().filter(|(k, p)| counts(*k, p)).map(|(_, p)| p).collect();
        let mut left_to_ngspice: BTreeSet<&str> = BTreeSet::new();
        while !open.is_empty() {
            let before = open.len();
            let mut failed = None;
            open.retain(|parameter| {
                let value = match overrides.get(&parameter.name) {
                    Some(value) => Ok(*value),
                    None => parameter.expr.eval(&|name| values.get(name).copied()),
                };
                match value {
                    Ok(value) => drop(values.insert(parameter.name.clone(), value)),
                    Err(ExprError::Undefined(name))
                        if self.library.has(&name) || left_to_ngspice.contains(name.as_str()) =>
                    {
                        left_to_ngspice.insert(&parameter.name);
                    }
                    Err(error) => {
                        failed = failed.take().or(Some((&parameter.origin, error, &parameter.name)));
                        return true;
                    }
                }
                false
            });
            if let Some((origin, error, name)) = failed.filter(|_| open.len() == before) {
                return Err(at(origin, error, &format!(".param {name}")));
            }
        }
        Ok(values)
    }

    /// The nominal value of a parameter of the bench or of a PDK's library; `None` where we cannot tell.
    pub(super) fn nominal(&self, name: &str, values: &BTreeMap<String, f64>) -> Option<f64> {
        values.get(name).copied().or_else(|| self.library.value(name, values))
    }

    /// The value that the bench's `.options` lines give an option; the last one counts. `None` if they don't.
    pub fn option(&self, name: &str, values: &BTreeMap<String, f64>) -> Option<f64> {
        let last = option_text(self.lines.iter().map(|line| line.text.as_str()), name)?;
        crate::expr::spice_number(&last).or_else(|| Expr::parse(&last).ok()?.eval(&|n| values.get(n).copied()).ok())
    }

    /// Parameters that depend on `name`, itself included.
    fn dependents(&self, name: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = [name.to_string()].into();
        loop {
            let before = found.len();
            for parameter in &self.parameters {
                if parameter.expr.names().iter().any(|n| found.contains(n)) {
                    found.insert(parameter.name.clone());
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// Can `name` change by `alter`, without loading the circuit again? True if every element that it reaches is a
    /// source, resistor, capacitor or inductor at the top level, or the analysis line.
    pub fn is_alterable(&self, name: &str) -> bool {
        let names = self.dependents(name);
        let mut depth = 0usize;
        self.lines.iter().all(|line| {
            match line.head().as_str() {
                ".subckt" => depth += 1,
                ".ends" => depth = depth.saturating_sub(1),
                _ => {}
            }
            !mentions(line, &names) || (depth == 0 && plan_line(&line.text) != AlterPlan::Reload)
        })
    }

    /// The `alter` commands that bring a loaded circuit to `values` (every parameter's value, as [`Deck::values`] gives
    /// them), for the varied `names` that are alterable.
    ///
    /// # Errors
    /// [`Kind::NetlistSyntax`] if an element's line cannot be evaluated.
    pub fn alters(&self, names: &[String], values: &BTreeMap<String, f64>) -> Result<Vec<String>> {
        let reached: BTreeSet<String> = names.iter().flat_map(|name| self.dependents(name)).collect();
        let mut commands = Vec::new();
        for line in self.lines.iter().filter(|line| mentions(line, &reached)) {
            let text = substitute(&line.text, values).map_err(|error| at(&line.origin, error, &line.text))?;
            if let AlterPlan::Commands(more) = plan_line(&text) {
                commands.extend(more);
            }
        }
        Ok(commands)
    }

    /// The analysis as a command, for `values`.
    ///
    /// # Errors
    /// [`Kind::NetlistSyntax`] if it cannot be evaluated.
    pub fn analysis_command(&self, values: &BTreeMap<String, f64>) -> Result<String> {
        substitute(&self.analysis.text, values).map_err(|error| at(&self.analysis.origin, error, &self.analysis.text))
    }

    /// The time at which a transient for `values` must have ended [s].
    pub fn stop_time(&self, values: &BTreeMap<String, f64>) -> Result<Option<f64>> {
        if self.analysis.kind != AnalysisKind::Transient {
            return Ok(None);
        }
        let command = self.analysis_command(values)?;
        Ok(tokens(&command).get(2).and_then(|word| crate::expr::spice_number(word)))
    }

    /// The circuit for the simulator: parameters at `values`, `.save` for `signals`, extra lines (`.ic`, word lines)
    /// before the end.
    pub fn circuit(&self, values: &BTreeMap<String, f64>, signals: &[String], extra: &[String]) -> LoadedCircuit {
        let mut lines = vec![("gaincell".to_string(), None)];
        lines.extend(self.parameters.iter().map(|p| {
            let value = values.get(&p.name).map_or_else(|| p.text.clone(), |v| format!("{v:e}"));
            (format!(".param {}={value}", p.name), Some(p.origin.clone()))
        }));
        let mut elements = self.lines.clone();
        let origin = &self.analysis.origin;
        let generated = |text: &String| Line { text: text.clone(), origin: origin.clone(), from_library: false };
        elements.extend(extra.iter().map(generated));
        if elements.iter().any(|line| line.from_library) {
            elements = prune(elements);
            let unused = unused_bins(&elements, &self.drawn_sizes(&elements, values));
            let mut place = 0..;
            elements.retain(|_| place.next().is_none_or(|index| !unused.contains(&index)));
        }
        elements.truncate(elements.len() - extra.len());
        lines.extend(elements.into_iter().map(|line| (line.text, Some(line.origin))));
        lines.extend(extra.iter().map(|line| (line.clone(), None)));
        if !signals.is_empty() {
            // Without one of its totals a noise analysis calls itself failed, though its spectra are there.
            let totals = if self.analysis.kind == AnalysisKind::Noise { " onoise_total" } else { "" };
            lines.push((format!(".save {}{totals}", signals.join(" ")), None));
        }
        lines.push((".end".to_string(), None));
        let (lines, origins): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
        let mut hasher = blake3::Hasher::new();
        for line in &lines {
            hasher.update(line.as_bytes());
            hasher.update(b"\n");
        }
        LoadedCircuit { key: hasher.finalize().to_hex()[..32].to_string(), lines, origins }
    }

    /// Every name in `{...}` must be a parameter of its scope: an undefined one would poison the simulator.
    fn check_names(&self) -> Result<()> {
        let globals: BTreeSet<String> = self.parameters.iter().map(|p| p.name.clone()).collect();
        let mut problems = Vec::new();
        for parameter in &self.parameters {
            let unknown = |name: &&String| !globals.contains(*name) && !self.library.has(name);
            for name in parameter.expr.names().iter().filter(unknown) {
                problems.push(undefined(&parameter.origin, name, &globals));
            }
        }
        let mut scopes: Vec<BTreeSet<String>> = vec![globals];
        let analysis = Line {
            text: format!(".{}", self.analysis.text),
            origin: self.analysis.origin.clone(),
            from_library: false,
        };
        // What ngspice drops cannot poison it.
        let dropped = dropped(&self.lines).into_iter().chain([false]);
        for (line, dropped) in self.lines.iter().chain([&analysis]).zip(dropped) {
            match line.head().as_str() {
                ".subckt" | ".param" => {
                    let assigned = tokens(&line.text)
                        .iter()
                        .filter_map(|t| Some(t.split_once('=')?.0.to_ascii_lowercase()))
                        .collect::<Vec<_>>();
                    if line.head() == ".subckt" {
                        let outer = scopes.last().cloned().unwrap_or_default();
                        scopes.push(outer);
                    }
                    if let Some(scope) = scopes.last_mut() {
                        scope.extend(assigned);
                    }
                }
                ".ends" if scopes.len() > 1 => {
                    scopes.pop();
                }
                _ => {}
            }
            // A library is a PDK's own affair.
            let Some(scope) = scopes.last().filter(|_| !dropped && !line.from_library) else { continue };
            // What our own parser cannot read (ternaries, .func) is left to ngspice's judgement.
            let exprs = braced(&line.text).into_iter().filter_map(|text| Expr::parse(&text).ok());
            for name in exprs
                .flat_map(|expr| expr.names())
                .filter(|name| !name.contains('(') && !scope.contains(name) && !self.library.has(name))
            {
                if !matches!(name.as_str(), "temper" | "time" | "pi" | "hertz") {
                    problems.push(undefined(&line.origin, &name, scope));
                }
            }
        }
        Error::collect(problems).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
