//! Numbers for people: engineering prefixes where a unit takes them, four digits, real minus signs.

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

/// Units that take a prefix.
const SIMPLE: [&str; 12] = ["V", "A", "s", "C", "F", "ohm", "S", "Hz", "J", "W", "V/s", "A/µm"];

/// A unit as shown, and the factor that takes base values to it; chosen so that `value` has one to three digits before
/// the point. Compound units and pure numbers stay as they are.
pub fn shown_unit(value: f64, unit: &str) -> (f64, String) {
    let plain = if unit == "ohm" { "Ω" } else { unit };
    if !SIMPLE.contains(&unit) || value == 0.0 || !value.is_finite() {
        return (1.0, if unit == "1" { String::new() } else { plain.replace("m2", "m²") });
    }
    let power = (((value.abs().log10() + 1e-9) / 3.0).floor() as i32 * 3).clamp(-18, 12);
    let prefix = PREFIXES.iter().find(|(p, _)| *p == power).map_or("", |(_, prefix)| prefix);
    (10f64.powi(-power), format!("{prefix}{plain}"))
}

/// Four significant digits; powers of ten where there are many zeros.
pub fn digits(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    let text = if value == 0.0 {
        "0".to_string()
    } else if (1e-3..1e5).contains(&size) {
        let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
        format!("{value:.decimals$}")
    } else {
        let text = format!("{value:.3e}");
        match text.split_once('e') {
            Some((mantissa, power)) => format!("{mantissa} × 10{}", superscript(power)),
            None => text,
        }
    };
    text.replace('-', "−")
}

fn superscript(power: &str) -> String {
    let raise = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
    };
    power.chars().map(raise).collect()
}

/// A value with its unit: `239.2 fC`.
pub fn with_unit(value: f64, unit: &str) -> String {
    let (factor, shown) = shown_unit(value, unit);
    format!("{} {shown}", digits(value * factor)).trim_end().to_string()
}

/// A fraction as a percentage, with the digits that small errors need: `0.312 %`.
pub fn percent(fraction: f64) -> String {
    if !fraction.is_finite() {
        return "–".into();
    }
    let percent = 100.0 * fraction;
    let decimals = if percent.abs() >= 10.0 {
        1
    } else if percent.abs() >= 1.0 {
        2
    } else {
        3
    };
    format!("{percent:.decimals$} %").replace('-', "−")
}

/// Seconds as a person would say them: `12.3 s`, `4 min 05 s`.
pub fn wall(seconds: f64) -> String {
    if !seconds.is_finite() {
        "–".into()
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        let (hours, minutes) = (whole / 3600, whole / 60 % 60);
        if hours > 0 { format!("{hours} h {minutes:02} min") } else { format!("{minutes} min {:02} s", whole % 60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_unit() {
        assert_eq!(with_unit(2.3921e-13, "C"), "239.2 fC");
        assert_eq!(with_unit(-1.5e-8, "s"), "−15.00 ns");
        assert_eq!(with_unit(0.52136, "1"), "0.5214");
        assert_eq!(with_unit(4600.0, "ohm"), "4.600 kΩ");
        assert_eq!(with_unit(1.25e-7, "C/V3"), "1.250 × 10⁻⁷ C/V3");
        assert_eq!(with_unit(6.02e23, "1"), "6.020 × 10²³");
        assert_eq!((digits(0.0), digits(f64::NAN), digits(-123.4)), ("0".into(), "–".into(), "−123.4".into()));
    }

    #[test]
    fn fractions_and_times() {
        assert_eq!(
            (percent(0.00312), percent(0.0123), percent(1.0)),
            ("0.312 %".into(), "1.23 %".into(), "100.0 %".into())
        );
        assert_eq!(
            (wall(12.34), wall(245.0), wall(7384.0)),
            ("12.3 s".into(), "4 min 05 s".into(), "2 h 03 min".into())
        );
    }
}
