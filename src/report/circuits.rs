//! The circuits' page: per circuit its schematic, benches, curves over corners and dice, and limits.

use askama::Template;

use super::experiment::ReportFigure;
use super::format::{percent, with_unit};
use super::header::Header;
use crate::campaign::{SpecVerdict, WorstPoint};
use crate::error::{Error, Kind, Result};

/// One circuit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CircuitPage {
    /// Anchor.
    pub id: String,
    /// Title.
    pub title: String,
    /// What it does.
    pub role: String,
    /// Its netlist, from the project's root.
    pub netlist: String,
    /// Schematics of its subcircuits.
    pub schematics: Vec<ReportFigure>,
    /// What was simulated.
    pub sweeps: Vec<CircuitSweep>,
}

/// A sweep of a circuit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CircuitSweep {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// The bench's file and text.
    pub bench: (String, String),
    /// Points that ended well, of all; `None` if the sweep has not run.
    pub points: Option<(usize, usize)>,
    /// Its figure.
    pub figure: Option<ReportFigure>,
    /// Its limits.
    pub limits: Vec<LimitRow>,
}

impl CircuitSweep {
    /// Whether any of the limits has a yield.
    pub fn has_dice(&self) -> bool {
        self.limits.iter().any(|row| !row.dice.is_empty())
    }
}

/// A measurement with limits, at one corner.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LimitRow {
    /// Measurement.
    pub measurement: String,
    /// Corner, and whether no other has less margin.
    pub corner: (String, bool),
    /// `min` to `max`, with `typ` where it is given; a line may break between its parts.
    pub limits: Vec<String>,
    /// Least, mean, greatest.
    pub numbers: [String; 3],
    /// Parameters where the margin is least.
    pub worst_at: String,
    /// Points outside.
    pub outside: String,
    /// Share of the dice that pass, and its interval of 95 %.
    pub dice: Vec<String>,
    /// Verdict.
    pub pass: bool,
}

impl From<&SpecVerdict> for LimitRow {
    fn from(verdict: &SpecVerdict) -> LimitRow {
        let number = |value: Option<f64>| value.map_or("–".to_string(), |v| with_unit(v, &verdict.unit));
        let limit = verdict.limit;
        LimitRow {
            measurement: verdict.measurement.clone(),
            corner: match &verdict.corner {
                Some(corner) => (corner.clone(), verdict.worst_corner),
                None => ("nominal".into(), false),
            },
            limits: match (limit.min, limit.max) {
                (Some(min), Some(max)) => {
                    vec![format!("{} to", with_unit(min, &verdict.unit)), with_unit(max, &verdict.unit)]
                }
                (Some(min), None) => vec![format!("≥ {}", with_unit(min, &verdict.unit))],
                (None, Some(max)) => vec![format!("≤ {}", with_unit(max, &verdict.unit))],
                (None, None) => {
                    limit.typ.iter().map(|typ| format!("typ. {}", with_unit(*typ, &verdict.unit))).collect()
                }
            },
            numbers: [verdict.least, verdict.mean, verdict.greatest].map(number),
            // A number stays with its name and its unit.
            worst_at: verdict
                .worst
                .as_ref()
                .map(WorstPoint::place)
                .unwrap_or_default()
                .replace(' ', "\u{a0}")
                .replace(",\u{a0}", ", "),
            outside: format!("{} of {}", verdict.outside + verdict.missing, verdict.points),
            dice: verdict.dice.map_or(Vec::new(), |dice| {
                let [low, high] = dice.interval.map(percent);
                vec![percent(dice.fraction), format!("({low} to"), format!("{high})")]
            }),
            pass: verdict.pass,
        }
    }
}

#[derive(Template)]
#[template(path = "circuits.html", config = "src/report/askama.toml")]
struct Page<'a> {
    header: &'a Header,
    circuits: &'a [CircuitPage],
}

/// The page.
///
/// # Errors
/// [`Kind::BadInput`] if a figure is not a plain SVG.
pub fn render_circuits(header: &Header, circuits: &[CircuitPage]) -> Result<String> {
    let figures = |circuit: &CircuitPage| {
        let drawn = circuit.sweeps.iter().filter_map(|sweep| sweep.figure.clone());
        circuit.schematics.iter().cloned().chain(drawn).collect::<Vec<_>>()
    };
    for figure in circuits.iter().flat_map(figures) {
        if let Some(what) = figure.forbidden() {
            return Err(Error::new(Kind::BadInput, format!("figure {} holds `{what}`", figure.caption)));
        }
    }
    let page = Page { header, circuits };
    page.render().map_err(|error| Error::new(Kind::Internal, format!("cannot render the circuits' page: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Dice;
    use crate::spec::SpecLimit;

    #[test]
    fn a_page_shows_limits_and_escapes_what_is_a_user_s() {
        let verdict = SpecVerdict {
            measurement: "t_settle_s".into(),
            unit: "s".into(),
            corner: Some("hot".into()),
            limit: SpecLimit { min: None, typ: None, max: Some(5e-9), least_yield: Some(0.99) },
            points: 1000,
            missing: 0,
            outside: 2,
            least: Some(1e-9),
            mean: Some(2e-9),
            greatest: Some(6e-9),
            worst: Some(WorstPoint { value: 6e-9, margin: -1e-9, at: [("v_level_v".to_string(), 0.9)].into() }),
            dice: Some(Dice { drawn: 1000, good: 998, fraction: 0.998, interval: [0.993, 0.9998] }),
            worst_corner: true,
            pass: true,
        };
        let row = LimitRow::from(&verdict);
        assert_eq!(
            (row.limits.join(" "), row.dice.join(" ")),
            ("≤ 5.000 ns".into(), "99.8 % (99.3 % to 100.0 %)".into())
        );
        assert_eq!(row.numbers, ["1.000 ns", "2.000 ns", "6.000 ns"]);
        assert_eq!(row.worst_at, "v_level\u{a0}900.0\u{a0}mV");
        let svg = ReportFigure { svg: "<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>".into(), caption: "a".into() };
        let sweep = CircuitSweep {
            name: "write".into(),
            bench: ("write.cir".into(), "* a <script> in a comment".into()),
            points: Some((998, 1000)),
            figure: Some(svg.clone()),
            limits: vec![row],
            ..CircuitSweep::default()
        };
        let circuit = CircuitPage {
            id: "x".into(),
            title: "X & Y".into(),
            schematics: vec![svg],
            sweeps: vec![sweep],
            ..Default::default()
        };
        let html = render_circuits(&Header::default(), std::slice::from_ref(&circuit)).unwrap();
        assert!(html.contains("X &#38; Y") && html.contains("&#60;script&#62;") && !html.contains("<script"));
        assert!(html.contains("(99.3 % to</span> ") && html.contains("hot"), "{html}");
        // Numbers stay whole, names break: ten columns fit on the page.
        assert!(html.contains("<code>t_<wbr>settle_<wbr>s<wbr></code>") && html.contains("<table class=\"limits\">"));
        let hostile = ReportFigure { svg: "<svg><script>1</script></svg>".into(), caption: "b".into() };
        let circuit = CircuitPage { schematics: vec![hostile], ..circuit };
        assert!(render_circuits(&Header::default(), &[circuit]).is_err());
    }
}
