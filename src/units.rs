//! Quantities with units, as TOML files write them: `"15 ns"`, `"8 fF"`, `"27 degC"`.
//!
//! SI case rules hold: `m` is milli and `M` is mega, whatever SPICE thinks. Inside the program a quantity is an `f64` in
//! the base unit, and the name of whatever holds it carries that unit: `t_pulse_s`, `charge_c`.

use std::fmt;

/// Zero of the Celsius scale [K].
pub const ZERO_CELSIUS_K: f64 = 273.15;

/// A physical unit; values are kept in this base unit (temperatures in degrees Celsius, as ngspice does).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Unit {
    /// A pure number.
    One,
    /// Volt.
    Volt,
    /// Ampere.
    Ampere,
    /// Second.
    Second,
    /// Coulomb.
    Coulomb,
    /// Farad.
    Farad,
    /// Ohm.
    Ohm,
    /// Siemens.
    Siemens,
    /// Hertz.
    Hertz,
    /// Metre.
    Metre,
    /// Joule.
    Joule,
    /// Watt.
    Watt,
    /// Degree Celsius.
    Celsius,
    /// Volt-metre, as Pelgrom's A_vt.
    VoltMetre,
    /// Fraction times metre, as Pelgrom's A_beta (`"0.5 % um"`).
    OneMetre,
    /// Ampere per metre of width.
    AmperePerMetre,
    /// Volt per decade of current.
    VoltPerDecade,
    /// Volt per volt.
    VoltPerVolt,
    /// Ampere per square metre.
    AmperePerSquareMetre,
}

/// (unit, what TOML may write, suffix in column names)
const UNITS: &[(Unit, &str, &str)] = &[
    (Unit::One, "1", ""),
    (Unit::Volt, "V", "_v"),
    (Unit::Ampere, "A", "_a"),
    (Unit::Second, "s", "_s"),
    (Unit::Coulomb, "C", "_c"),
    (Unit::Farad, "F", "_f"),
    (Unit::Ohm, "ohm", "_ohm"),
    (Unit::Siemens, "S", "_siemens"),
    (Unit::Hertz, "Hz", "_hz"),
    (Unit::Metre, "m", "_m"),
    (Unit::Joule, "J", "_j"),
    (Unit::Watt, "W", "_w"),
    (Unit::Celsius, "degC", "_degc"),
    (Unit::VoltMetre, "V m", "_v_m"),
    (Unit::OneMetre, "m", "_m"),
    (Unit::AmperePerMetre, "A/m", "_a_per_m"),
    (Unit::VoltPerDecade, "V/dec", "_v_per_dec"),
    (Unit::VoltPerVolt, "V/V", "_v_per_v"),
    (Unit::AmperePerSquareMetre, "A/m2", "_a_per_m2"),
];

const PREFIXES: &[(&str, f64)] = &[
    ("", 1.0),
    ("a", 1e-18),
    ("f", 1e-15),
    ("p", 1e-12),
    ("n", 1e-9),
    ("u", 1e-6),
    ("µ", 1e-6),
    ("m", 1e-3),
    ("c", 1e-2),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

impl Unit {
    /// The unit named as TOML's `unit = "..."` names it, without prefix.
    pub fn from_name(name: &str) -> Option<Unit> {
        UNITS.iter().find(|(_, symbol, _)| *symbol == name).map(|(unit, ..)| *unit)
    }
    /// The symbol, without prefix.
    pub fn symbol(self) -> &'static str {
        UNITS.iter().find(|(unit, ..)| *unit == self).map_or("1", |(_, symbol, _)| symbol)
    }
    /// What a column name ends in: `_v`, `_s`, ...; empty for pure numbers.
    pub fn suffix(self) -> &'static str {
        UNITS.iter().find(|(unit, ..)| *unit == self).map_or("", |(.., suffix)| suffix)
    }
    /// `name` with this unit's suffix, once.
    pub fn column(self, name: &str) -> String {
        let suffix = self.suffix();
        if suffix.is_empty() || name.ends_with(suffix) { name.to_string() } else { format!("{name}{suffix}") }
    }
    /// The name and the unit that a column's name was made of; `None` for a pure number.
    pub fn of_column(column: &str) -> Option<(&str, Unit)> {
        let fits = UNITS.iter().filter(|(.., suffix)| !suffix.is_empty() && column.ends_with(suffix));
        // `v_per_v` ends in `_v` too: the longest suffix is meant.
        let (unit, _, suffix) = fits.min_by_key(|(.., suffix)| std::cmp::Reverse(suffix.len()))?;
        Some((column.strip_suffix(suffix)?, *unit))
    }
    /// The symbols that `unit = "..."` accepts, for messages.
    pub fn accepted_names() -> String {
        UNITS.iter().map(|(_, symbol, _)| format!("\"{symbol}\"")).collect::<Vec<_>>().join(", ")
    }
    /// An example of a quantity in this unit, for messages.
    pub fn example(self) -> &'static str {
        match self {
            Unit::One => "0.5",
            Unit::Volt => "\"0.9 V\"",
            Unit::Ampere => "\"10 uA\"",
            Unit::Second => "\"15 ns\"",
            Unit::Coulomb => "\"5 fC\"",
            Unit::Farad => "\"8 fF\"",
            Unit::Ohm => "\"2 kohm\"",
            Unit::Siemens => "\"1 fS\"",
            Unit::Hertz => "\"1 MHz\"",
            Unit::Metre => "\"30 nm\"",
            Unit::Joule => "\"1 fJ\"",
            Unit::Watt => "\"1 uW\"",
            Unit::Celsius => "\"27 degC\"",
            Unit::VoltMetre => "\"2 mV um\"",
            Unit::OneMetre => "\"0.5 % um\"",
            Unit::AmperePerMetre => "\"0.85 mA/um\"",
            Unit::VoltPerDecade => "\"88 mV/dec\"",
            Unit::VoltPerVolt => "\"90 mV/V\"",
            Unit::AmperePerSquareMetre => "\"1 A/cm2\"",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// Reads `text` as a quantity in `unit`; the answer is in the base unit. The error says what is wrong and what is
/// accepted, without naming a place.
///
/// ```
/// use gaincell::units::{Unit, parse_quantity};
/// assert_eq!(parse_quantity("15 ns", Unit::Second), Ok(15e-9));
/// assert!(parse_quantity("15", Unit::Second).is_err());
/// assert!(parse_quantity("15 nV", Unit::Second).is_err());
/// ```
pub fn parse_quantity(text: &str, unit: Unit) -> Result<f64, String> {
    let text = text.trim();
    let split = number_end(text);
    let (number, rest) = text.split_at(split);
    let value: f64 = number.parse().map_err(|_| format!("\"{text}\" does not begin with a number"))?;
    let rest = rest.trim();
    if rest.is_empty() {
        return if unit == Unit::One {
            Ok(value)
        } else {
            Err(format!("\"{text}\" has no unit; a {} is expected, as in {}", unit.symbol(), unit.example()))
        };
    }
    let Some(scale) = scale_of(rest, unit) else {
        return Err(format!("\"{rest}\" is not a unit of {}; accepted as in {}", describe(unit), unit.example()));
    };
    // "15 ns" must be the double nearest to 15e-9, which 15.0 * 1e-9 is not: let the parser do the rounding.
    let exponent = scale.log10().round();
    let exact = !number.contains(['e', 'E']) && (scale / 10f64.powf(exponent) - 1.0).abs() < 1e-12;
    let rounded = if exact { format!("{number}e{exponent}").parse().ok() } else { None };
    Ok(rounded.unwrap_or(value * scale))
}

/// A quantity in whatever unit it names, in that unit's base; a bare number is a pure number.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_any(text: &str) -> Result<(f64, Unit), String> {
    let found = UNITS.iter().find_map(|(unit, ..)| parse_quantity(text, *unit).ok().map(|value| (value, *unit)));
    found.ok_or_else(|| format!("\"{text}\" is not a quantity with a unit"))
}

fn describe(unit: Unit) -> String {
    if unit == Unit::One { "a pure number".into() } else { format!("[{}]", unit.symbol()) }
}

/// Where the leading number of `text` ends: digits, sign, point and an exponent (an `e` only if digits follow).
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut i = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    while i < bytes.len() && (bytes[i].is_ascii_digit() || bytes[i] == b'.') {
        i += 1;
    }
    if i < bytes.len() && matches!(bytes[i], b'e' | b'E') {
        let sign = usize::from(matches!(bytes.get(i + 1), Some(b'+' | b'-')));
        if bytes.get(i + 1 + sign).is_some_and(u8::is_ascii_digit) {
            i += 1 + sign;
            while i < bytes.len() && bytes[i].is_ascii_digit() {
                i += 1;
            }
        }
    }
    i
}

fn simple_scale(symbol: &str, base: &str) -> Option<f64> {
    let prefix = symbol.strip_suffix(base)?;
    PREFIXES.iter().find(|(p, _)| *p == prefix).map(|(_, scale)| *scale)
}

fn scale_of(symbol: &str, unit: Unit) -> Option<f64> {
    match unit {
        Unit::One => match symbol {
            "1" => Some(1.0),
            "%" => Some(1e-2),
            _ => None,
        },
        Unit::Celsius => (symbol == "degC" || symbol == "°C").then_some(1.0),
        Unit::Ohm => simple_scale(symbol, "ohm").or_else(|| simple_scale(symbol, "Ω")),
        Unit::VoltMetre => {
            let (v, m) = symbol.split_once(' ')?;
            Some(simple_scale(v, "V")? * simple_scale(m, "m")?)
        }
        Unit::OneMetre => {
            let (fraction, m) = symbol.split_once(' ')?;
            Some(scale_of(fraction, Unit::One)? * simple_scale(m, "m")?)
        }
        Unit::AmperePerMetre => {
            let (a, m) = symbol.split_once('/')?;
            Some(simple_scale(a, "A")? / simple_scale(m, "m")?)
        }
        Unit::VoltPerDecade => simple_scale(symbol.strip_suffix("/dec")?, "V"),
        Unit::VoltPerVolt => simple_scale(symbol.strip_suffix("/V")?, "V"),
        Unit::AmperePerSquareMetre => {
            let (a, m2) = symbol.split_once('/')?;
            Some(simple_scale(a, "A")? / simple_scale(m2.strip_suffix('2')?, "m")?.powi(2))
        }
        _ => simple_scale(symbol, unit.symbol()),
    }
}

/// `value` in engineering notation with `unit`'s symbol, for people: `1.5e-8`, second, gives `15 ns`.
pub fn engineering(value: f64, unit: Unit) -> String {
    let symbol = unit.symbol();
    if unit == Unit::One || unit == Unit::Celsius || value == 0.0 || !value.is_finite() {
        return if unit == Unit::One { format!("{value:.4}") } else { format!("{value} {symbol}") };
    }
    let exponent = (value.abs().log10() / 3.0).floor().clamp(-6.0, 4.0) as i32;
    let prefix = ["a", "f", "p", "n", "u", "m", "", "k", "M", "G", "T"][(exponent + 6) as usize];
    let scaled = value / 10f64.powi(3 * exponent);
    let digits = if scaled.abs() >= 100.0 {
        1
    } else if scaled.abs() >= 10.0 {
        2
    } else {
        3
    };
    format!("{scaled:.digits$} {prefix}{symbol}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn si_case_rules_hold() {
        assert_eq!(parse_quantity("1 MHz", Unit::Hertz), Ok(1e6));
        assert_eq!(parse_quantity("1 mHz", Unit::Hertz), Ok(1e-3));
        assert_eq!(parse_quantity("2 mV um", Unit::VoltMetre), Ok(2e-9));
        assert_eq!(parse_quantity("0.5 % um", Unit::OneMetre), Ok(5e-9));
        assert_eq!(parse_quantity("8fF", Unit::Farad), Ok(8e-15));
        assert_eq!(parse_quantity("30 nm", Unit::Metre), Ok(30e-9));
        assert_eq!(parse_quantity("0.85 mA/um", Unit::AmperePerMetre), Ok(850.0));
        assert_eq!(parse_quantity("1 A/cm2", Unit::AmperePerSquareMetre).map(|v| v.round()), Ok(1e4));
        assert_eq!(parse_quantity("-40 degC", Unit::Celsius), Ok(-40.0));
    }

    #[test]
    fn a_column_tells_its_unit() {
        for (unit, _, suffix) in UNITS.iter().filter(|(unit, _, suffix)| !suffix.is_empty() && *unit != Unit::OneMetre)
        {
            assert_eq!(Unit::of_column(&format!("x{suffix}")), Some(("x", *unit)));
        }
        assert_eq!(Unit::of_column("sample"), None);
    }

    #[test]
    fn refuses_what_has_no_or_another_unit() {
        for (text, unit) in [("15", Unit::Second), ("15 V", Unit::Second), ("ns", Unit::Second), ("1 V", Unit::One)] {
            assert!(parse_quantity(text, unit).is_err(), "{text}");
        }
    }

    #[test]
    fn columns_carry_their_unit_once() {
        assert_eq!(Unit::Volt.column("v_store"), "v_store_v");
        assert_eq!(Unit::Volt.column("v_store_v"), "v_store_v");
        assert_eq!(Unit::One.column("sample"), "sample");
    }

    #[test]
    fn engineering_notation() {
        assert_eq!(engineering(1.5e-8, Unit::Second), "15.00 ns");
        assert_eq!(engineering(-2.39e-13, Unit::Coulomb), "-239.0 fC");
    }
}
