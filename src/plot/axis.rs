//! Axes: from values in base units to positions and to tick labels in engineering units.

/// How values are spread.
#[derive(Debug, Clone, PartialEq)]
enum Scale {
    Linear,
    Log,
    /// Values 0, 1, ... are names.
    Names(Vec<String>),
}

/// An axis. Values are in the base unit; labels are in the prefixed one.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    unit: String,
    prefix: &'static str,
    /// Displayed number = value x this.
    factor: f64,
    low: f64,
    high: f64,
    scale: Scale,
    reversed: bool,
}

/// A tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Value in the base unit.
    pub value: f64,
    /// What stands beside it; empty for a minor one.
    pub label: String,
}

/// (power of ten, symbol)
const PREFIXES: [(i32, &str); 11] = [
    (-18, "a"),
    (-15, "f"),
    (-12, "p"),
    (-9, "n"),
    (-6, "µ"),
    (-3, "m"),
    (0, ""),
    (3, "k"),
    (6, "M"),
    (9, "G"),
    (12, "T"),
];

/// The prefix in which `value` has one to three digits before the point.
fn prefix_of(value: f64) -> (i32, &'static str) {
    if value == 0.0 || !value.is_finite() {
        return (0, "");
    }
    // A hair of tolerance: 1e-6 must not read 1000 n.
    let power = (((value.abs().log10() + 1e-9) / 3.0).floor() as i32 * 3).clamp(-18, 12);
    PREFIXES.iter().copied().find(|(p, _)| *p == power).unwrap_or((0, ""))
}

/// `value` with prefix and unit and about three significant digits, as titles and legends say it: `239 fC`.
pub fn eng(value: f64, unit: &str) -> String {
    let (power, prefix) = prefix_of(value);
    let scaled = value / 10f64.powi(power);
    let decimals = match scaled.abs() {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text };
    format!("{} {prefix}{unit}", text.replace('-', "−")).trim_end().to_string()
}

impl Axis {
    /// A linear axis that spans `values` and a margin; `unit` is a base unit, whose prefix is chosen, or `%`, which shows
    /// fractions as percentages (`% of full scale` likewise), or empty.
    pub fn linear(label: &str, unit: &str, values: impl IntoIterator<Item = f64>) -> Axis {
        let (low, high) = span(values).unwrap_or((0.0, 1.0));
        let margin = if high > low { 0.05 * (high - low) } else { 0.5 * low.abs().max(1e-3) };
        Axis::between(label, unit, low - margin, high + margin)
    }

    /// A linear axis symmetric around zero that spans `values` and a margin, for residuals.
    pub fn symmetric(label: &str, unit: &str, values: impl IntoIterator<Item = f64>) -> Axis {
        let top = values.into_iter().filter(|v| v.is_finite()).fold(0.0f64, |top, v| top.max(v.abs()));
        let top = if top > 0.0 { 1.12 * top } else { 1.0 };
        Axis::between(label, unit, -top, top)
    }

    /// A linear axis from `low` to `high`.
    pub fn between(label: &str, unit: &str, low: f64, high: f64) -> Axis {
        let axis = Axis::new(label, unit, (low, high), Scale::Linear);
        match unit {
            "" => axis,
            unit if unit.starts_with('%') => Axis { factor: 100.0, ..axis },
            _ => axis.prefix(prefix_of(low.abs().max(high.abs())).0),
        }
    }

    /// A logarithmic axis from `low` to `high`, both positive; ticks carry the unit.
    pub fn log(label: &str, unit: &str, low: f64, high: f64) -> Axis {
        let range = if low > 0.0 && high > low { (low, high) } else { (1.0, 10.0) };
        Axis::new(label, unit, range, Scale::Log)
    }

    /// An axis of names, at 0, 1, ...
    pub fn names(label: &str, names: impl IntoIterator<Item = impl Into<String>>) -> Axis {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Axis::new(label, "", (-0.5, names.len().max(1) as f64 - 0.5), Scale::Names(names))
    }

    fn new(label: &str, unit: &str, (low, high): (f64, f64), scale: Scale) -> Axis {
        Axis { label: label.into(), unit: unit.into(), prefix: "", factor: 1.0, low, high, scale, reversed: false }
    }

    /// With this power of ten as prefix, which must be one of SI's from atto to tera.
    pub fn prefix(mut self, power: i32) -> Axis {
        (self.factor, self.prefix) = match PREFIXES.iter().copied().find(|(p, _)| *p == power) {
            Some((_, symbol)) => (10f64.powi(-power), symbol),
            None => (1.0, ""),
        };
        self
    }

    /// With low values on the far side: a names axis that reads from the top.
    pub fn reversed(mut self) -> Axis {
        self.reversed = true;
        self
    }

    /// Least and greatest value.
    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Where `value` lies between the ends, 0 to 1; not finite for what a logarithm cannot show.
    pub fn fraction(&self, value: f64) -> f64 {
        let fraction = match self.scale {
            Scale::Log if value > 0.0 => (value / self.low).ln() / (self.high / self.low).ln(),
            Scale::Log => f64::NAN,
            _ => (value - self.low) / (self.high - self.low),
        };
        if self.reversed { 1.0 - fraction } else { fraction }
    }

    /// What stands along the axis; nothing if it has no label.
    pub fn title(&self) -> String {
        match self.scale {
            Scale::Linear if !self.unit.is_empty() && !self.label.is_empty() => {
                format!("{} ({}{})", self.label, self.prefix, self.unit)
            }
            _ => self.label.clone(),
        }
    }

    /// Ticks, at most about `room` of them with a label.
    pub fn ticks(&self, room: usize) -> Vec<Tick> {
        match &self.scale {
            Scale::Linear => self.linear_ticks(room),
            Scale::Log => self.log_ticks(room),
            Scale::Names(names) => {
                let tick = |(i, name): (usize, &String)| Tick { value: i as f64, label: name.clone() };
                names.iter().enumerate().map(tick).collect()
            }
        }
    }

    fn linear_ticks(&self, room: usize) -> Vec<Tick> {
        let (low, high) = (self.low * self.factor, self.high * self.factor);
        let rough = (high - low) / room.max(2) as f64;
        if rough.is_nan() || rough <= 0.0 {
            return Vec::new();
        }
        let power = rough.log10().floor() as i32;
        let unit = 10f64.powi(power);
        let (multiple, power) = match rough / unit {
            r if r <= 1.0 => (1.0, power),
            r if r <= 2.0 => (2.0, power),
            r if r <= 5.0 => (5.0, power),
            _ => (10.0, power + 1),
        };
        let step = multiple * unit;
        let decimals = (-power).max(0) as usize;
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let tick = |k: i64| {
            let shown = k as f64 * step;
            Tick { value: shown / self.factor, label: format!("{shown:.decimals$}").replace('-', "−") }
        };
        (first..=last).map(tick).collect()
    }

    fn log_ticks(&self, room: usize) -> Vec<Tick> {
        let (low, high) = (self.low * (1.0 - 1e-9), self.high * (1.0 + 1e-9));
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let decades = (self.high / self.low).log10();
        // Few decades: 1, 2 and 5 are named; many: every decade, or every third, where the prefix changes.
        let named: &[i32] = if decades * 3.0 <= room as f64 { &[1, 2, 5] } else { &[1] };
        let every = if decades > room as f64 { 3 } else { 1 };
        let mut ticks = Vec::new();
        for power in first..=last {
            for k in 1..10 {
                let value: f64 = format!("{k}e{power}").parse().unwrap_or(f64::NAN);
                if !(value >= low && value <= high) || (k != 1 && decades > 7.0) {
                    continue;
                }
                let label = named.contains(&k) && power.rem_euclid(every) == 0;
                ticks.push(Tick { value, label: if label { eng(value, &self.unit) } else { String::new() } });
            }
        }
        ticks
    }
}

/// Least and greatest finite value.
pub fn span(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|v| v.is_finite())
        .fold(None, |span: Option<(f64, f64)>, v| Some(span.map_or((v, v), |(low, high)| (low.min(v), high.max(v)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis, room: usize) -> Vec<String> {
        axis.ticks(room).into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn labels_are_in_engineering_units() {
        let axis = Axis::between("Charge", "C", -250e-15, 250e-15);
        assert_eq!(axis.title(), "Charge (fC)");
        assert_eq!(labels(&axis, 5), ["−200", "−100", "0", "100", "200"]);
        let axis = Axis::between("Stored voltage", "V", 0.0, 0.9).prefix(0);
        assert_eq!((axis.title().as_str(), labels(&axis, 5)[1].as_str()), ("Stored voltage (V)", "0.2"));
        let axis = Axis::between("Error", "% of full scale", -0.002, 0.002);
        assert_eq!((axis.title().as_str(), labels(&axis, 4)[0].as_str()), ("Error (% of full scale)", "−0.2"));
        assert_eq!(Axis::between("t", "s", 0.0, 15e-9).prefix(-12).title(), "t (ps)");
    }

    #[test]
    fn decades_are_named_with_their_prefix() {
        assert_eq!(labels(&Axis::log("t", "s", 1e-7, 1e-3), 5), ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]);
        assert_eq!(
            labels(&Axis::log("t", "s", 1e-10, 1.5e-8), 8).join(" "),
            "100 ps 200 ps 500 ps 1 ns 2 ns 5 ns 10 ns"
        );
        assert_eq!(labels(&Axis::log("i", "A", 1e-13, 1e-3), 6), ["1 pA", "1 nA", "1 µA", "1 mA"]);
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, text) in [(2.386e-13, "239 fC"), (1e-6, "1 µC"), (-1.55e-9, "−1.55 nC"), (12.34e-3, "12.3 mC")] {
            assert_eq!(eng(value, "C"), text);
        }
        assert_eq!(eng(0.0, "V"), "0 V");
    }

    #[test]
    fn positions_follow_the_scale() {
        let axis = Axis::log("t", "s", 1e-6, 1e-2);
        assert!((axis.fraction(1e-4) - 0.5).abs() < 1e-12 && axis.fraction(-1.0).is_nan());
        assert_eq!(Axis::names("", ["a", "b"]).reversed().fraction(0.0), 0.75);
    }

    proptest! {
        #[test]
        fn ticks_lie_within_and_are_few(low in -1e3..1e3f64, width in 1e-6..1e3f64, room in 2..12usize) {
            let axis = Axis::between("x", "", low, low + width);
            let ticks = axis.ticks(room);
            prop_assert!(!ticks.is_empty() || room == 2);
            prop_assert!(ticks.len() <= room + 2);
            for tick in ticks {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&axis.fraction(tick.value)));
            }
        }
    }
}
