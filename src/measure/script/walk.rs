//! Walks along a signal: interpolation, crossings, windows, as the evaluation on a waveform takes them.

use super::text::{exact, render};
use super::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::expr::Expr;
use crate::measure::{Crossing, Edge};

/// What is made of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Windowed {
    Integral,
    Mean,
    Max,
    Min,
    Settle(f64),
}

/// From (`gc_p`, `gc_a`) to (`gc_x`, `gc_b`).
const TRAPEZOID: &[&str] = &["let gc_value = gc_value + 0.5 * (gc_x - gc_p) * (gc_a + gc_b)"];

impl Writer<'_> {
    /// Finds in `gc_u` the first point whose axis value is not below `x`, from where `gc_u` stands, and puts the signal
    /// at `x` into `y`. `x` lies on the axis.
    pub(super) fn interpolate_from_here(&mut self, x: &str, y: &str) {
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
    pub(super) fn interpolate(&mut self, x: &str, y: &str) {
        self.line(&format!("let gc_ok = ({x} ge gc_t[0]) * ({x} le gc_t[gc_n-1])"));
        self.block("if gc_ok", |w| {
            w.line("let gc_u = 0");
            w.interpolate_from_here(x, y);
        });
    }

    pub(super) fn sample(&mut self, name: &str, at: &[f64]) {
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
    pub(super) fn cross(&mut self, crossing: &Crossing, after: Option<&str>) -> Result<()> {
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

    pub(super) fn delay(&mut self, start: &Crossing, end: &Crossing, or_zero: bool) -> Result<()> {
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

    pub(super) fn windowed(&mut self, signal: &str, from: f64, to: f64, kind: Windowed) -> Result<()> {
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
    pub(super) fn window(&mut self, kind: Windowed) {
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
    pub(super) fn arithmetic(&mut self, text: &str) -> Result<()> {
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
