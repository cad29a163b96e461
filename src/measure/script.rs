//! Measurements as a script in ngspice's own control language, for plain `ngspice -b`.
//!
//! The script does the same arithmetic in the same order as the evaluation on a waveform, so that both give the same bits.
//! Three habits of ngspice shape it. Its number parser is not correctly rounded (`6.25u` is one unit in the last place
//! off), so numbers are written as an odd integer times a power of two, which is exact. Elements of a vector of length
//! one cannot be indexed, so vectors have two elements at least. And a column could have the name of a node, so the
//! script works in a plot of its own; its own names begin with `gc_`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Crossing, Edge, How, Measurement};
use crate::dataset::Value;
use crate::error::{Error, Kind, Problem, Result};
use crate::expr::{Expr, Function, Operator};

/// Words of ngspice's expressions that cannot be names of vectors.
const RESERVED: [&str; 9] = ["and", "or", "not", "eq", "ne", "gt", "lt", "ge", "le"];

/// Beyond letters and digits, what names of nodes and sources may hold; nothing of it means anything to ngspice's shell.
const NODE_CHARACTERS: &str = "_.:#+-/[]@";

/// Integers up to here are read exactly by ngspice.
const EXACT_INTEGER: f64 = 1e15;

/// A control script and how to read what it prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Lines for a `.control` block, after the analysis has run.
    pub lines: Vec<String>,
    /// What the lines print, in order.
    pub prints: Vec<Printed>,
}

/// What one measurement prints: `name = number`, or `name[k] = number` for each element of a curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The measurement's column.
    pub column: String,
    /// Its name in the script.
    pub name: String,
    /// For a curve, how many elements.
    pub elements: Option<usize>,
}

impl Script {
    /// The script that measures on the current plot, left by `analysis`, a command (`tran ...`, `dc ...`, `ac ...`, `op`).
    /// `values` are the point's own, for `expr`.
    ///
    /// # Errors
    /// [`Kind::RefusedDeck`] for a signal whose name means something to ngspice's shell; [`Kind::SpecKey`] for a signal
    /// that is no expression, or an analysis whose axis is not known.
    pub fn new(analysis: &str, measurements: &[Measurement], values: &BTreeMap<String, f64>) -> Result<Script> {
        let mut writer = Writer::new(analysis, values)?;
        for measurement in measurements {
            writer.measurement(measurement)?;
        }
        Ok(Script { lines: writer.lines, prints: writer.prints })
    }

    /// The measurements from what ngspice printed; what it did not print, or only in part, is absent.
    pub fn read(&self, output: &str) -> BTreeMap<String, Value> {
        let mut numbers: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, number) in output.lines().filter_map(|line| line.split_once(" = ")) {
            if let Ok(number) = number.trim().parse() {
                numbers.insert(name.trim(), number);
            }
        }
        let value = |printed: &Printed| match printed.elements {
            None => numbers.get(printed.name.as_str()).map(|number| Value::Scalar(*number)),
            Some(n) => (0..n)
                .map(|k| numbers.get(format!("{}[{k}]", printed.name).as_str()).copied())
                .collect::<Option<Vec<f64>>>()
                .map(Value::Curve),
        };
        self.prints.iter().filter_map(|printed| Some((printed.column.clone(), value(printed)?))).collect()
    }
}

/// `value` so that ngspice reads exactly it: an integer, or an odd integer times a power of two.
fn exact(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER {
        return if value < 0.0 { format!("(-{:.0})", -value) } else { format!("{:.0}", value.abs()) };
    }
    let bits = value.abs().to_bits();
    let (field, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if field == 0 { (fraction, -1074) } else { (fraction | (1 << 52), field as i64 - 1075) };
    let shift = mantissa.trailing_zeros();
    let magnitude = format!("({} * 2^({}))", mantissa >> shift, exponent + i64::from(shift));
    if value < 0.0 { format!("(-{magnitude})") } else { magnitude }
}

/// Collects lines; every `fn` leaves the indentation as it found it.
struct Writer<'a> {
    lines: Vec<String>,
    prints: Vec<Printed>,
    depth: usize,
    values: &'a BTreeMap<String, f64>,
    analysis: AnalysisAxis,
    /// The signal that `gc_y` holds.
    loaded: Option<String>,
    /// The grid that `gc_at` holds.
    grid: Vec<f64>,
    /// Scalars measured so far: column, the name in the script, and the flag that says whether it was found.
    scalars: Vec<(String, String, String)>,
    taken: BTreeSet<String>,
}

/// What an analysis leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnalysisAxis {
    Real(&'static str),
    Frequency,
    None,
}

impl AnalysisAxis {
    fn of(analysis: &str) -> Result<AnalysisAxis> {
        let lower = analysis.to_ascii_lowercase();
        let mut words = lower.split_whitespace();
        Ok(match (words.next(), words.next()) {
            (Some("tran"), _) => AnalysisAxis::Real("time"),
            (Some("op"), _) => AnalysisAxis::None,
            (Some("ac"), _) => AnalysisAxis::Frequency,
            (Some("dc"), Some("temp")) => AnalysisAxis::Real("temp-sweep"),
            (Some("dc"), Some(source)) if source.starts_with('v') => AnalysisAxis::Real("v-sweep"),
            (Some("dc"), Some(source)) if source.starts_with('i') => AnalysisAxis::Real("i-sweep"),
            (Some("dc"), Some(source)) if source.starts_with('r') => AnalysisAxis::Real("res-sweep"),
            _ => {
                return Err(Problem::new(Kind::SpecKey, format!("the axis of `{analysis}` is not known"))
                    .accepted("tran, op, ac, and dc over a source, a resistor or temp")
                    .into());
            }
        })
    }
}

impl<'a> Writer<'a> {
    fn new(analysis: &str, values: &'a BTreeMap<String, f64>) -> Result<Writer<'a>> {
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

    fn line(&mut self, text: &str) {
        self.lines.push(format!("{:width$}{text}", "", width = 2 * self.depth));
    }

    /// Lines that stand in `open` ... `end`.
    fn block(&mut self, open: &str, inside: impl FnOnce(&mut Self)) {
        self.line(open);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("end");
    }

    /// Lines after `else`, at the end of an open block.
    fn otherwise(&mut self) {
        self.depth -= 1;
        self.line("else");
        self.depth += 1;
    }

    /// Sets a name to a number, which a comment tells in decimals.
    fn set(&mut self, name: &str, value: f64) {
        let exact = exact(value);
        if exact.contains('^') {
            self.line(&format!("* {name} = {value:e}"));
        }
        self.line(&format!("let {name} = {exact}"));
    }

    fn measurement(&mut self, measurement: &Measurement) -> Result<()> {
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
    fn name(&mut self, column: &str) -> String {
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
    fn make_indexable(&mut self, vector: &str) {
        if self.analysis != AnalysisAxis::Real("time") {
            self.block("if gc_n eq 1", |w| w.line(&format!("let {vector} = {vector} + vector(2) * 0")));
        }
    }

    /// Puts the samples of a signal into `gc_y`.
    fn load(&mut self, signal: &str) -> Result<()> {
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

    /// Finds in `gc_u` the first point whose axis value is not below `x`, from where `gc_u` stands, and puts the signal
    /// at `x` into `y`. `x` lies on the axis.
    fn interpolate_from_here(&mut self, x: &str, y: &str) {
        self.block(&format!("while gc_t[gc_u] lt {x}"), |w| w.line("let gc_u = gc_u + 1"));
        self.block("if gc_u eq 0", |w| {
            w.line(&format!("let {y} = gc_y[0]"));
            w.otherwise();
            w.line("let gc_w = 1");
            w.block("if gc_t[gc_u] gt gc_t[gc_u-1]", |w| {
                w.line(&format!("let gc_w = ({x} - gc_t[gc_u-1]) / (gc_t[gc_u] - gc_t[gc_u-1])"));
            });
            w.line(&format!("let {y} = gc_y[gc_u-1] + gc_w * (gc_y[gc_u] - gc_y[gc_u-1])"));
        });
    }

    /// The signal at `x` into `y`; `gc_ok` says whether `x` lies on the axis.
    fn interpolate(&mut self, x: &str, y: &str) {
        self.line(&format!("let gc_ok = ({x} ge gc_t[0]) * ({x} le gc_t[gc_n-1])"));
        self.block("if gc_ok", |w| {
            w.line("let gc_u = 0");
            w.interpolate_from_here(x, y);
        });
    }

    fn sample(&mut self, name: &str, at: &[f64]) {
        // ngspice has no vectors of one element that can be indexed.
        let length = at.len().max(2);
        if self.grid != at {
            self.line(&format!("let gc_at = vector({length})"));
            for (k, x) in at.iter().enumerate() {
                self.line(&format!("let gc_at[{k}] = {}", exact(*x)));
            }
            self.grid = at.to_vec();
        }
        let ascends = at.is_sorted();
        self.line(&format!("let {name} = vector({length})"));
        self.line("let gc_ok = 1");
        self.line("let gc_i = 0");
        self.line("let gc_u = 0");
        self.block(&format!("while gc_i lt {}", at.len()), |w| {
            w.line("let gc_x = gc_at[gc_i]");
            w.block("if (gc_x ge gc_t[0]) * (gc_x le gc_t[gc_n-1])", |w| {
                if !ascends {
                    w.line("let gc_u = 0");
                }
                w.interpolate_from_here("gc_x", "gc_value");
                w.line(&format!("let {name}[gc_i] = gc_value"));
                w.otherwise();
                w.line("let gc_ok = 0");
            });
            w.line("let gc_i = gc_i + 1");
        });
    }

    /// The crossing's axis value into `gc_value`; not before the value of `after`, if that is named.
    fn cross(&mut self, crossing: &Crossing, after: Option<&str>) -> Result<()> {
        self.load(&crossing.signal)?;
        self.set("gc_level", crossing.level);
        let mut inside: Vec<&str> = Vec::new();
        if crossing.from > f64::NEG_INFINITY {
            self.set("gc_from", crossing.from);
            inside.push("(gc_x ge gc_from)");
        }
        if crossing.to < f64::INFINITY {
            self.set("gc_to", crossing.to);
            inside.push("(gc_x le gc_to)");
        }
        let later = after.map(|after| format!("(gc_x ge {after})"));
        inside.extend(later.as_deref());
        let wanted = match crossing.edge {
            Edge::Rise => "if gc_below * gc_above",
            Edge::Fall => "if (1 - gc_below) * (1 - gc_above)",
            Edge::Any => "if gc_below eq gc_above",
        };
        self.line("let gc_found = vector(gc_n + 1)");
        self.line("let gc_count = 0");
        self.line("let gc_k = 0");
        let keep = |w: &mut Self| {
            w.line("let gc_found[gc_count] = gc_x");
            w.line("let gc_count = gc_count + 1");
        };
        self.block("while gc_k lt gc_n - 1", |w| {
            w.line("let gc_below = gc_y[gc_k] lt gc_level");
            w.line("let gc_above = gc_y[gc_k+1] ge gc_level");
            w.block(wanted, |w| {
                w.line(
                    "let gc_x = gc_t[gc_k] + (gc_t[gc_k+1] - gc_t[gc_k]) * (gc_level - gc_y[gc_k]) \
                     / (gc_y[gc_k+1] - gc_y[gc_k])",
                );
                if inside.is_empty() {
                    keep(w);
                } else {
                    w.block(&format!("if {}", inside.join(" * ")), keep);
                }
            });
            w.line("let gc_k = gc_k + 1");
        });
        let nth = crossing.nth;
        let index = if nth > 0 { (nth - 1).to_string() } else { format!("gc_count - {}", nth.unsigned_abs()) };
        self.line(&format!("let gc_i = {index}"));
        self.line("let gc_ok = (gc_i ge 0) * (gc_i lt gc_count)");
        self.block("if gc_ok", |w| w.line("let gc_value = gc_found[gc_i]"));
        Ok(())
    }

    fn delay(&mut self, start: &Crossing, end: &Crossing, or_zero: bool) -> Result<()> {
        self.cross(start, None)?;
        self.line("let gc_begins = gc_ok");
        self.line("let gc_begin = 0");
        self.block("if gc_ok", |w| w.line("let gc_begin = gc_value"));
        // Without a start the search for the end is idle; its result is then thrown away.
        self.cross(end, Some("gc_begin"))?;
        self.block("if gc_begins", |w| {
            w.block("if gc_ok", |w| w.line("let gc_value = gc_value - gc_begin"));
            w.otherwise();
            w.line(&format!("let gc_ok = {}", u8::from(or_zero)));
            w.line("let gc_value = 0");
        });
        Ok(())
    }

    fn windowed(&mut self, signal: &str, from: f64, to: f64, kind: Windowed) -> Result<()> {
        self.load(signal)?;
        if from == f64::NEG_INFINITY {
            self.line("let gc_from = gc_t[0]");
        } else {
            self.set("gc_from", from);
        }
        if to == f64::INFINITY {
            self.line("let gc_to = gc_t[gc_n-1]");
        } else {
            self.set("gc_to", to);
        }
        if let Windowed::Settle(tolerance) = kind {
            self.set("gc_tolerance", tolerance);
        }
        self.line("let gc_ok = gc_to ge gc_from");
        self.block("if gc_ok", |w| w.interpolate("gc_from", "gc_first"));
        self.block("if gc_ok", |w| w.interpolate("gc_to", "gc_last"));
        self.block("if gc_ok", |w| w.window(kind));
        Ok(())
    }

    /// Walks over the window's samples; ends and their values are known.
    fn window(&mut self, kind: Windowed) {
        let (start, step): (&[&str], &[&str]) = match kind {
            Windowed::Integral | Windowed::Mean => (&["let gc_value = 0"], TRAPEZOID),
            Windowed::Max => (&["let gc_value = gc_first"], &["if gc_b gt gc_value", "  let gc_value = gc_b", "end"]),
            Windowed::Min => (&["let gc_value = gc_first"], &["if gc_b lt gc_value", "  let gc_value = gc_b", "end"]),
            // What comes after the last sample outside the tolerance has settled.
            Windowed::Settle(_) => (
                &["let gc_value = 0", "let gc_outside = abs(gc_first - gc_last) gt gc_tolerance"],
                &[
                    "if gc_outside",
                    "  let gc_value = gc_x - gc_from",
                    "end",
                    "let gc_outside = abs(gc_b - gc_last) gt gc_tolerance",
                ],
            ),
        };
        start.iter().for_each(|line| self.line(line));
        self.line("let gc_p = gc_from");
        self.line("let gc_a = gc_first");
        self.line("let gc_k = 0");
        let walk = |w: &mut Self| {
            step.iter().for_each(|line| w.line(line));
            w.line("let gc_p = gc_x");
            w.line("let gc_a = gc_b");
        };
        self.block("while gc_k lt gc_n", |w| {
            w.line("let gc_x = gc_t[gc_k]");
            w.block("if (gc_x gt gc_from) * (gc_x lt gc_to)", |w| {
                w.line("let gc_b = gc_y[gc_k]");
                walk(w);
            });
            w.line("let gc_k = gc_k + 1");
        });
        self.block("if gc_to gt gc_from", |w| {
            w.line("let gc_x = gc_to");
            w.line("let gc_b = gc_last");
            walk(w);
            if kind == Windowed::Mean {
                w.line("let gc_value = gc_value / (gc_to - gc_from)");
                w.otherwise();
                w.line("let gc_value = gc_first");
            }
        });
    }

    /// Arithmetic over what was measured above and the point's values.
    fn arithmetic(&mut self, text: &str) -> Result<()> {
        let parsed = Expr::parse(text).map_err(|error| Error::new(Kind::SpecKey, error.to_string()))?;
        let mut needs: Vec<String> = Vec::new();
        let rendered = {
            let measured = |name: &str| self.scalars.iter().find(|(column, ..)| column == name);
            for name in parsed.names() {
                needs.extend(measured(&name).map(|(_, _, found)| found.clone()));
            }
            render(&parsed, &|name| match measured(name) {
                Some((_, variable, _)) => Some(variable.clone()),
                None => self.values.get(name).map(|value| exact(*value)),
            })
        };
        for name in parsed.names() {
            if let Some(value) = self.values.get(&name) {
                self.line(&format!("* {name} = {value:e}"));
            }
        }
        match rendered {
            None => self.line("let gc_ok = 0"),
            Some(rendered) => {
                let all = if needs.is_empty() { "1".to_string() } else { needs.join(" * ") };
                self.line(&format!("let gc_ok = {all}"));
                self.block("if gc_ok", |w| w.line(&format!("let gc_value = {rendered}")));
            }
        }
        Ok(())
    }
}

/// What is made of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Windowed {
    Integral,
    Mean,
    Max,
    Min,
    Settle(f64),
}

/// From (`gc_p`, `gc_a`) to (`gc_x`, `gc_b`).
const TRAPEZOID: &[&str] = &["let gc_value = gc_value + 0.5 * (gc_x - gc_p) * (gc_a + gc_b)"];

/// The vector of `v(node)`, `v(a,b)` or `i(source)` in the analysis' plot.
fn vectors(name: &str, analysis: AnalysisAxis) -> String {
    let vector = |inner: &str| {
        // Nodes with plain numbers for names appear as `V(1)` in plots.
        let inner = if inner.bytes().all(|b| b.is_ascii_digit()) { format!("v({inner})") } else { inner.to_string() };
        format!("\"{{$gc_plot}}.{inner}\"")
    };
    let (quantity, rest) = name.split_at(1);
    let inner = rest.trim_start_matches('(').trim_end_matches(')');
    let text = match (quantity, inner.split_once(',')) {
        ("i", _) => vector(&format!("{inner}#branch")),
        (_, None) | (_, Some((_, "0"))) => vector(inner.split(',').next().unwrap_or(inner)),
        (_, Some((plus, minus))) => format!("({} - {})", vector(plus), vector(minus)),
    };
    if analysis == AnalysisAxis::Frequency { format!("mag({text})") } else { text }
}

/// Names of nodes are other people's text: what could be a command is refused.
fn check_signal(name: &str) -> Result<()> {
    let inner = name.get(2..name.len().saturating_sub(1)).unwrap_or_default();
    let is_signal = (name.starts_with("v(") || name.starts_with("i(")) && name.ends_with(')') && !inner.is_empty();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ',' || NODE_CHARACTERS.contains(c);
    if is_signal && inner.chars().all(plain) {
        return Ok(());
    }
    Err(Problem::new(Kind::RefusedDeck, format!("the signal `{name}` cannot be written into a control script"))
        .accepted(format!("v(node) and i(source) with letters, digits and {NODE_CHARACTERS} in their names"))
        .into())
}

/// An expression in ngspice's language, with every operation in parentheses; `None` if a name is not known.
fn render(expr: &Expr, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    Some(match expr {
        Expr::Number(value) => exact(*value),
        Expr::Name(name) => lookup(name)?,
        Expr::Negate(inner) => format!("(-{})", render(inner, lookup)?),
        Expr::Binary(left, operator, right) => {
            let sign = match operator {
                Operator::Add => "+",
                Operator::Subtract => "-",
                Operator::Multiply => "*",
                Operator::Divide => "/",
                Operator::Power => "^",
            };
            format!("({} {sign} {})", render(left, lookup)?, render(right, lookup)?)
        }
        Expr::Call(function, arguments) => {
            let texts = arguments.iter().map(|a| render(a, lookup)).collect::<Option<Vec<_>>>()?;
            let name = match function {
                Function::Abs => "abs",
                Function::Sqrt => "sqrt",
                Function::Exp => "exp",
                Function::Ln => "ln",
                Function::Log10 => "log10",
                // ngspice's own `min` and `max` look along one vector.
                Function::Min => {
                    return texts.into_iter().reduce(|a, b| format!("({a} * ({a} le {b}) + {b} * ({a} gt {b}))"));
                }
                Function::Max => {
                    return texts.into_iter().reduce(|a, b| format!("({a} * ({a} ge {b}) + {b} * ({a} lt {b}))"));
                }
            };
            format!("{name}({})", texts.first()?)
        }
    })
}

/// `text` as a comment in which nothing but a comment can be read.
fn comment(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " _.:#+-/*^(),[]@".contains(c) { c } else { '?' };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(plain).collect()
}

/// A measurement in words, for a comment.
fn describe(how: &How) -> String {
    let window = |from: f64, to: f64| match (from == f64::NEG_INFINITY, to == f64::INFINITY) {
        (true, true) => String::new(),
        (false, true) => format!(" from {from:e}"),
        (true, false) => format!(" to {to:e}"),
        (false, false) => format!(" from {from:e} to {to:e}"),
    };
    let crossing = |c: &Crossing| {
        let edge = match c.edge {
            Edge::Rise => "rise",
            Edge::Fall => "fall",
            Edge::Any => "crossing",
        };
        format!("{edge} {} of {} through {:e}{}", c.nth, c.signal, c.level, window(c.from, c.to))
    };
    match how {
        How::At { signal, at } => format!("{signal} at {at:e}"),
        How::Cross(c) => crossing(c),
        How::Delay { start, end, or_zero } => {
            let zero = if *or_zero { ", zero if it never starts" } else { "" };
            format!("from {} to {}{zero}", crossing(start), crossing(end))
        }
        How::Integral { signal, from, to } => format!("integral of {signal}{}", window(*from, *to)),
        How::Mean { signal, from, to } => format!("mean of {signal}{}", window(*from, *to)),
        How::Max { signal, from, to } => format!("greatest {signal}{}", window(*from, *to)),
        How::Min { signal, from, to } => format!("least {signal}{}", window(*from, *to)),
        How::Settle { signal, tolerance, from, to } => {
            format!("{signal} settled within {tolerance:e}{}", window(*from, *to))
        }
        How::Sample { signal, at } => format!("{signal} at {} axis values", at.len()),
        How::Expr { expr } => expr.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;
    use proptest::prelude::*;

    fn measurement(column: &str, how: How) -> Measurement {
        Measurement { column: column.into(), unit: Unit::One, how }
    }

    fn crossing(signal: &str, level: f64, edge: Edge, nth: i32) -> Crossing {
        Crossing { signal: signal.into(), level, edge, nth, from: f64::NEG_INFINITY, to: f64::INFINITY }
    }

    fn script(analysis: &str, how: How) -> Result<Script> {
        Script::new(analysis, &[measurement("x", how)], &BTreeMap::new())
    }

    #[test]
    fn a_script_walks_as_the_evaluation_does() {
        let start = crossing("v(wl)", 0.45, Edge::Rise, 1);
        let end = crossing("v(wl)", 0.45, Edge::Fall, -1);
        let all = [
            measurement("t_width_s", How::Delay { start, end, or_zero: true }),
            measurement("charge_c", How::Integral { signal: "-i(vbl)".into(), from: 1e-10, to: f64::INFINITY }),
            measurement("v_hold_v", How::Sample { signal: "v(xcell.st)".into(), at: vec![0.5, 6e-8] }),
            measurement("ratio", How::Expr { expr: "max(charge_c, q_c) / t_width_s".into() }),
        ];
        let script = Script::new("tran 1n 1u", &all, &[("q_c".to_string(), 8e-15)].into()).unwrap();
        insta::assert_snapshot!(script.lines.join("\n"));
    }

    #[test]
    fn what_is_printed_is_read_whole_or_not_at_all() {
        let at = How::At { signal: "v(a)".into(), at: 1.0 };
        let curve = How::Sample { signal: "v(a)".into(), at: vec![0.0, 1.0] };
        let all = [measurement("v_v", at.clone()), measurement("c_v", curve.clone()), measurement("d_v", curve)];
        let script = Script::new("op", &all, &BTreeMap::new()).unwrap();
        let output = "note\nv_v = -1.50000000000000000e+00\nc_v[0] = 1e-3\nc_v[1] = 2\nd_v[0] = 1\nd_v is missing\n";
        let expected = [("v_v", Value::Scalar(-1.5)), ("c_v", Value::Curve(vec![1e-3, 2.0]))];
        assert_eq!(script.read(output), expected.map(|(name, value)| (name.to_string(), value)).into());
    }

    #[test]
    fn names_that_ngspice_does_not_take_are_replaced() {
        let at = || How::At { signal: "v(a)".into(), at: 1.0 };
        let all = ["not", "2nd", "I-V", "i_v", "gc_t"].map(|column| measurement(column, at()));
        let script = Script::new("op", &all, &BTreeMap::new()).unwrap();
        let names: Vec<_> = script.prints.iter().map(|printed| printed.name.as_str()).collect();
        assert_eq!(names, ["m_not", "m_2nd", "i_v", "m_i_v", "m_gc_t"]);
    }

    #[test]
    fn signals_cannot_smuggle_commands() {
        for bad in ["v(a;shell)", "v(`ls`)", "v($x)", "v({x})", "v(a\"b)", "v()"] {
            let error = script("op", How::At { signal: bad.into(), at: 0.0 }).unwrap_err();
            assert_eq!(error.kind(), Kind::RefusedDeck, "{bad}");
        }
        let script = script("op", How::Expr { expr: "v(`ls`)\n+ x".into() }).unwrap();
        assert!(script.lines.iter().all(|line| !line.contains('`') && !line.contains('\n')), "{script:?}");
    }

    #[test]
    fn an_analysis_whose_axis_is_unknown_is_refused() {
        let at = || How::At { signal: "v(a)".into(), at: 0.0 };
        assert!(script("dc r1 0 1 0.1", at()).is_ok() && script("DC TEMP 0 1 0.1", at()).is_ok());
        assert_eq!(script("noise v(a) v1 dec 1 1 10", at()).unwrap_err().kind(), Kind::SpecKey);
    }

    proptest! {
        /// Both factors are exact in ngspice, and so is their product.
        #[test]
        fn numbers_are_written_exactly(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let text = exact(value);
            let plain = text.trim_matches(['(', ')']);
            let (sign, rest) = plain.strip_prefix('-').map_or((1.0, plain), |rest| (-1.0, rest));
            let rest = rest.trim_start_matches('(');
            let back = match rest.split_once(" * 2^(") {
                None => rest.parse().unwrap(),
                Some((odd, exponent)) => {
                    let odd: f64 = odd.parse().unwrap();
                    prop_assert!(odd < 2f64.powi(53) && odd % 2.0 == 1.0);
                    // In two steps: 2^(-1074) is a number, its intermediate factors in `powi` are not.
                    let exponent: i32 = exponent.trim_end_matches(')').parse().unwrap();
                    odd * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)
                }
            };
            prop_assert_eq!((sign * back).to_bits(), value.to_bits());
        }
    }
}
