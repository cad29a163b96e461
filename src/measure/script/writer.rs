//! The script's lines: names, blocks, vectors, and one measurement after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::Printed;
use super::text::{check_signal, comment, describe, exact, render, vectors};
use super::walk::Windowed;
use crate::error::{Error, Kind, Problem, Result};
use crate::expr::Expr;
use crate::measure::{How, Measurement};

/// Words of ngspice's expressions that cannot be names of vectors.
const RESERVED: [&str; 9] = ["and", "or", "not", "eq", "ne", "gt", "lt", "ge", "le"];

/// Collects lines; every `fn` leaves the indentation as it found it.
pub(super) struct Writer<'a> {
    pub(super) lines: Vec<String>,
    pub(super) prints: Vec<Printed>,
    depth: usize,
    pub(super) values: &'a BTreeMap<String, f64>,
    analysis: AnalysisAxis,
    /// The signal that `gc_y` holds.
    loaded: Option<String>,
    /// The grid that `gc_at` holds.
    pub(super) grid: Vec<f64>,
    /// Scalars measured so far: column, the name in the script, and the flag that says whether it was found.
    pub(super) scalars: Vec<(String, String, String)>,
    taken: BTreeSet<String>,
}

/// What an analysis leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnalysisAxis {
    Real(&'static str),
    Frequency,
    None,
}

impl AnalysisAxis {
    pub(super) fn of(analysis: &str) -> Result<AnalysisAxis> {
        let lower = analysis.to_ascii_lowercase();
        let mut words = lower.split_whitespace();
        Ok(match (words.next(), words.next()) {
            (Some("tran"), _) => AnalysisAxis::Real("time"),
            (Some("op"), _) => AnalysisAxis::None,
            (Some("ac" | "noise"), _) => AnalysisAxis::Frequency,
            (Some("dc"), Some("temp")) => AnalysisAxis::Real("temp-sweep"),
            (Some("dc"), Some(source)) if source.starts_with('v') => AnalysisAxis::Real("v-sweep"),
            (Some("dc"), Some(source)) if source.starts_with('i') => AnalysisAxis::Real("i-sweep"),
            (Some("dc"), Some(source)) if source.starts_with('r') => AnalysisAxis::Real("res-sweep"),
            _ => {
                return Err(Problem::new(Kind::SpecKey, format!("the axis of `{analysis}` is not known"))
                    .accepted("tran, op, ac, noise, and dc over a source, a resistor or temp")
                    .into());
            }
        })
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(analysis: &str, values: &'a BTreeMap<String, f64>) -> Result<Writer<'a>> {
        let mut writer = Writer {
            lines: Vec::new(),
            prints: Vec::new(),
            depth: 0,
            values,
            analysis: AnalysisAxis::of(analysis)?,
            loaded: None,
            grid: Vec::new(),
            scalars: Vec::new(),
            taken: BTreeSet::new(),
        };
        writer.line("set numdgt=17");
        if analysis.trim_start().to_ascii_lowercase().starts_with("noise") {
            // Its totals are the current plot; the spectra are in the one before.
            writer.line("setplot noise1");
        }
        writer.line("set gc_plot=$curplot");
        writer.line("setplot new");
        match writer.analysis {
            AnalysisAxis::Real(name) => writer.line(&format!("let gc_t = \"{{$gc_plot}}.{name}\"")),
            AnalysisAxis::Frequency => writer.line("let gc_t = real(\"{$gc_plot}.frequency\")"),
            AnalysisAxis::None => writer.line("let gc_t = 0"),
        }
        let count = if writer.analysis == AnalysisAxis::None { "1" } else { "length(gc_t)" };
        writer.line(&format!("let gc_n = {count}"));
        writer.make_indexable("gc_t");
        Ok(writer)
    }

    pub(super) fn line(&mut self, text: &str) {
        self.lines.push(format!("{:width$}{text}", "", width = 2 * self.depth));
    }

    /// Lines that stand in `open` ... `end`.
    pub(super) fn block(&mut self, open: &str, inside: impl FnOnce(&mut Self)) {
        self.line(open);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("end");
    }

    /// Lines after `else`, at the end of an open block.
    pub(super) fn otherwise(&mut self) {
        self.depth -= 1;
        self.line("else");
        self.depth += 1;
    }

    /// Sets a name to a number, which a comment tells in decimals.
    pub(super) fn set(&mut self, name: &str, value: f64) {
        let exact = exact(value);
        if exact.contains('^') {
            self.line(&format!("* {name} = {value:e}"));
        }
        self.line(&format!("let {name} = {exact}"));
    }

    pub(super) fn measurement(&mut self, measurement: &Measurement) -> Result<()> {
        let name = self.name(&measurement.column);
        self.line("*");
        self.line(&format!("* {}", comment(&describe(&measurement.how))));
        let elements = if let How::Sample { at, .. } = &measurement.how { Some(at.len()) } else { None };
        self.prints.push(Printed { column: measurement.column.clone(), name: name.clone(), elements });
        match &measurement.how {
            How::Sample { signal, at } => {
                self.load(signal)?;
                self.sample(&name, at);
                self.block("if gc_ok", |w| {
                    (0..at.len()).for_each(|k| w.line(&format!("print {name}[{k}]")));
                    w.otherwise();
                    w.line(&format!("echo {name} is missing"));
                });
                return Ok(());
            }
            How::At { signal, at } => {
                self.load(signal)?;
                self.set("gc_x", *at);
                self.interpolate("gc_x", "gc_value");
            }
            How::Cross(crossing) => self.cross(crossing, None)?,
            How::Delay { start, end, or_zero } => self.delay(start, end, *or_zero)?,
            How::Integral { signal, from, to } => self.windowed(signal, *from, *to, Windowed::Integral)?,
            How::Mean { signal, from, to } => self.windowed(signal, *from, *to, Windowed::Mean)?,
            How::Max { signal, from, to } => self.windowed(signal, *from, *to, Windowed::Max)?,
            How::Min { signal, from, to } => self.windowed(signal, *from, *to, Windowed::Min)?,
            How::Settle { signal, tolerance, from, to } => {
                self.windowed(signal, *from, *to, Windowed::Settle(*tolerance))?;
            }
            How::Expr { expr } => self.arithmetic(expr)?,
        }
        let found = format!("gc_have_{}", self.scalars.len());
        self.line(&format!("let {found} = gc_ok"));
        self.block("if gc_ok", |w| {
            w.line(&format!("let {name} = gc_value"));
            w.line(&format!("print {name}"));
            w.otherwise();
            w.line(&format!("echo {name} is missing"));
        });
        self.scalars.push((measurement.column.clone(), name, found));
        Ok(())
    }

    /// A name for a column that ngspice takes and that no other column has.
    pub(super) fn name(&mut self, column: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let mut name: String = column.chars().map(plain).collect();
        if RESERVED.contains(&name.as_str()) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert_str(0, "m_");
        }
        while name.starts_with("gc_") || !self.taken.insert(name.clone()) {
            name.insert_str(0, "m_");
        }
        name
    }

    /// A sweep of one step leaves vectors of one element, an operating point always does.
    pub(super) fn make_indexable(&mut self, vector: &str) {
        if self.analysis != AnalysisAxis::Real("time") {
            self.block("if gc_n eq 1", |w| w.line(&format!("let {vector} = {vector} + vector(2) * 0")));
        }
    }

    /// Puts the samples of a signal into `gc_y`.
    pub(super) fn load(&mut self, signal: &str) -> Result<()> {
        if self.loaded.as_deref() == Some(signal) {
            return Ok(());
        }
        let parsed = Expr::parse(signal).map_err(|error| Error::new(Kind::SpecKey, error.to_string()))?;
        for name in parsed.names() {
            check_signal(&name)?;
        }
        let analysis = self.analysis;
        // Every name was checked above.
        let text = render(&parsed, &|name| Some(vectors(name, analysis))).unwrap_or_default();
        self.line(&format!("let gc_y = {text}"));
        self.make_indexable("gc_y");
        self.loaded = Some(signal.to_string());
        Ok(())
    }
}
