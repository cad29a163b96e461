//! Measurements as a script in ngspice's own control language, for plain `ngspice -b`.
//!
//! The script does the same arithmetic in the same order as the evaluation on a waveform, so that both give the same bits.
//! Three habits of ngspice shape it. Its number parser is not correctly rounded (`6.25u` is one unit in the last place
//! off), so numbers are written as an odd integer times a power of two, which is exact. Elements of a vector of length
//! one cannot be indexed, so vectors have two elements at least. And a column could have the name of a node, so the
//! script works in a plot of its own; its own names begin with `gc_`.

mod text;
mod walk;
mod writer;

use std::collections::BTreeMap;

use super::Measurement;
use crate::dataset::Value;
use crate::error::Result;
use writer::Writer;

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
    /// The script that measures on the current plot, left by `analysis`, a command (`tran ...`, `dc ...`, `ac ...`, `noise ...`, `op`).
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

#[cfg(test)]
mod tests {
    use super::text::exact;
    use super::*;
    use crate::error::Kind;
    use crate::measure::{Crossing, Edge, How};
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
    fn a_noise_analysis_is_measured_on_its_spectra() {
        let how = How::At { signal: "v(onoise_spectrum)".into(), at: 1e6 };
        let lines = script("noise v(out) vin dec 8 1e2 1e10", how).unwrap().lines;
        assert_eq!(lines[1..3], ["setplot noise1", "set gc_plot=$curplot"]);
        assert!(lines.iter().any(|line| line.contains("{$gc_plot}.onoise_spectrum")), "{lines:?}");
    }

    #[test]
    fn an_analysis_whose_axis_is_unknown_is_refused() {
        let at = || How::At { signal: "v(a)".into(), at: 0.0 };
        assert!(script("dc r1 0 1 0.1", at()).is_ok() && script("DC TEMP 0 1 0.1", at()).is_ok());
        assert_eq!(script("pz a 0 b 0 vol pz", at()).unwrap_err().kind(), Kind::SpecKey);
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
