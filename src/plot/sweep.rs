//! Figure of any sweep: every measurement over the parameter that varies most, a line per combination of the others.
//!
//! Nothing here knows an experiment, so that a designer's own sweep has its figure too. Corners tell lines apart, limits
//! of the specification are drawn, dice become histograms.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::{Axis, span};
use super::figure::{Conditions, Figure};
use super::histogram::Histogram;
use super::panel::Panel;
use super::style::{Dash, GRAY, Marker, Shape, Stroke, VERMILLION, ramp};
use crate::dataset::{Dataset, Row};
use crate::error::{Error, Kind, Result};
use crate::spec::{MeasureSpec, ParameterSpec, SweepSpec};
use crate::sweep::{CORNER_LABEL, judged};
use crate::tech::Technology;
use crate::units::{Unit, engineering};

/// Measurements that a figure shows at most; the first of the file.
const PANELS: usize = 12;
/// Lines that a panel shows at most; of more, evenly spaced ones.
const LINES: usize = 9;
/// Parameter values from which lines between the points say more than markers.
const DENSE: usize = 40;

/// The figure of a sweep's rows: of those that its limits and yields are judged by.
///
/// # Errors
/// [`Kind::BadInput`] if no row has a number.
pub fn figure(spec: &SweepSpec, dataset: &Dataset, tech: &Technology) -> Result<Figure> {
    let conditions = Conditions {
        tech: tech.name.clone(),
        cell: spec.cell.clone(),
        vdd_v: tech.vdd_v,
        temperature_degc: tech.temperature_degc,
    };
    let rows: Vec<&Row> = dataset.rows.iter().filter(|row| judged(row)).collect();
    let sheet = Sheet { spec, dataset, rows };
    let mut panels: Vec<Panel> = spec.measures.iter().filter_map(|measure| sheet.panel(measure)).take(PANELS).collect();
    // The lines are the same everywhere; the first panel says which they are.
    panels.iter_mut().skip(1).for_each(Panel::drop_legend);
    if panels.is_empty() {
        let message = format!("no point of sweep `{}` ended with a number to plot", spec.name);
        return Err(Error::new(Kind::BadInput, message));
    }
    let across = panels.len().min(if panels.len() == 4 { 2 } else { 3 });
    let down = panels.len().div_ceil(across);
    // The legend stands above the first panel and must not take its room.
    let legend_px = panels[0].legend_px(if across == 1 { 650.0 } else { 310.0 });
    let size_px = (if across == 1 { 760 } else { 420 * across as u32 }, 80 + 340 * down as u32 + legend_px as u32);
    let mut weight = 1.0 + legend_px / 340.0;
    let shown = format!("{} points", sheet.rows.len());
    let mut figure = Figure::new(&spec.name, spec.title.clone(), conditions.line(&shown), size_px);
    let mut panels = panels.into_iter().peekable();
    while panels.peek().is_some() {
        let mut row: Vec<Panel> = panels.by_ref().take(across).collect();
        row.resize_with(across, Panel::blank);
        figure = figure.row(weight, row);
        weight = 1.0;
    }
    Ok(figure)
}

struct Sheet<'a> {
    spec: &'a SweepSpec,
    dataset: &'a Dataset,
    rows: Vec<&'a Row>,
}

/// Rows that make one line of a panel.
struct Group<'a> {
    label: String,
    rows: Vec<&'a Row>,
}

impl<'a> Sheet<'a> {
    fn panel(&self, measure: &MeasureSpec) -> Option<Panel> {
        if let Some(at) = self.dataset.grid(&measure.column) {
            return self.curves(measure, at);
        }
        if self.spec.mismatch.is_some() {
            return self.dice(measure);
        }
        match self.widest() {
            Some(x) => self.lines(measure, x),
            None => self.corners(measure),
        }
    }

    fn value(row: &Row, column: &str) -> Option<f64> {
        row.measured.get(column)?.scalar().filter(|value| value.is_finite())
    }

    fn distinct(&self, parameter: &ParameterSpec) -> usize {
        let column = parameter.column();
        let bits = self.rows.iter().filter_map(|row| row.values.get(&column)).map(|value| value.to_bits());
        bits.collect::<BTreeSet<u64>>().len()
    }

    /// The parameter with the most values; of several the first.
    fn widest(&self) -> Option<&ParameterSpec> {
        let varied = self.spec.parameters.iter().map(|p| (self.distinct(p), p)).filter(|(n, _)| *n > 1);
        varied.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, p)| p)
    }

    /// Rows by corner and by the parameters other than `x`, in the order of the design; evenly spaced ones of many.
    fn groups(&self, x: Option<&ParameterSpec>) -> Vec<Group<'a>> {
        let others: Vec<(&ParameterSpec, String)> = self
            .spec
            .parameters
            .iter()
            .filter(|p| x.is_none_or(|x| x.name != p.name) && self.distinct(p) > 1)
            .map(|p| (p, p.column()))
            .collect();
        // A design without a grid has a value of its own for every point: no lines then.
        let scattered = others.iter().any(|(p, _)| self.distinct(p) > LINES * 4);
        let mut order: Vec<(Option<&String>, Vec<u64>)> = Vec::new();
        let mut groups: BTreeMap<usize, Group<'a>> = BTreeMap::new();
        for row in &self.rows {
            let corner = row.labels.get(CORNER_LABEL);
            let value = |column: &String| row.values.get(column).copied().unwrap_or(f64::NAN);
            let key =
                (corner, if scattered { Vec::new() } else { others.iter().map(|(_, c)| value(c).to_bits()).collect() });
            let place = order.iter().position(|known| *known == key).unwrap_or_else(|| {
                order.push(key.clone());
                order.len() - 1
            });
            let group = groups.entry(place).or_insert_with(|| {
                let quantity = |p: &ParameterSpec, value: f64| {
                    if p.unit == Unit::One { value.to_string() } else { engineering(value, p.unit) }
                };
                let shown = |(p, c): &(&ParameterSpec, String)| format!("{} {}", p.name, quantity(p, value(c)));
                let values = others.iter().filter(|_| !scattered).map(shown);
                let label = corner.cloned().into_iter().chain(values).collect::<Vec<_>>().join(", ");
                Group { label, rows: Vec::new() }
            });
            group.rows.push(row);
        }
        let mut groups: Vec<Group<'a>> = groups.into_values().collect();
        // Of many, corners are compared at the same place: the last combination of the other parameters.
        let corners = order.iter().map(|(corner, _)| *corner).collect::<BTreeSet<_>>();
        if groups.len() > LINES && corners.len() > 1 {
            let last = order.last().map(|(_, others)| others.clone()).unwrap_or_default();
            let mut keys = order.iter();
            groups.retain(|_| keys.next().is_some_and(|(_, others)| *others == last));
        }
        let (all, shown) = (groups.len(), groups.len().min(LINES));
        let chosen: BTreeSet<usize> =
            (0..shown).map(|k| if shown > 1 { k * (all - 1) / (shown - 1) } else { 0 }).collect();
        groups.into_iter().enumerate().filter(|(k, _)| chosen.contains(k)).map(|(_, group)| group).collect()
    }

    /// A measurement over a parameter.
    fn lines(&self, measure: &MeasureSpec, x: &ParameterSpec) -> Option<Panel> {
        let column = x.column();
        let points = |group: &Group<'a>| -> Vec<(f64, f64)> {
            let point = |row: &&Row| Some((*row.values.get(&column)?, Self::value(row, &measure.column)?));
            let mut points: Vec<(f64, f64)> = group.rows.iter().filter_map(point).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        };
        let series: Vec<(String, Vec<(f64, f64)>)> =
            self.groups(Some(x)).iter().map(|group| (group.label.clone(), points(group))).collect();
        let xs = series.iter().flat_map(|(_, points)| points.iter().map(|p| p.0));
        let (low, high) = span(xs)?;
        let x_axis = if x.logarithmic && low > 0.0 && high > low {
            Axis::log(&x.name, x.unit.symbol(), low, high)
        } else {
            between(&x.name, symbol(x.unit), low, high)
        };
        let ys = series.iter().flat_map(|(_, points)| points.iter().map(|p| p.1));
        let mut panel = Panel::new("", x_axis, self.y_axis(measure, span(ys)?));
        self.limits(&mut panel, measure);
        let n = series.len();
        for (k, (label, points)) in series.into_iter().enumerate() {
            let color = ramp(k, n.max(2));
            let mut xs: Vec<u64> = points.iter().map(|p| p.0.to_bits()).collect();
            xs.dedup();
            // Several values at one place are no function of it.
            if xs.len() == points.len() && points.len() > 1 {
                panel.line(&label, points.clone(), Stroke::new(color, Dash::CYCLE[k % Dash::CYCLE.len()]));
            }
            if points.len() < DENSE || xs.len() < points.len() {
                panel.points(&label, points, Marker::open(Shape::CYCLE[k % Shape::CYCLE.len()], color).radius(3.0));
            }
        }
        Some(panel)
    }

    /// A sampled curve, a line per row.
    fn curves(&self, measure: &MeasureSpec, at: &[f64]) -> Option<Panel> {
        let groups = self.groups(None);
        let curve = |group: &Group<'a>| group.rows.first()?.measured.get(&measure.column)?.curve().map(<[f64]>::to_vec);
        let curves: Vec<(String, Vec<f64>)> =
            groups.iter().filter_map(|group| Some((group.label.clone(), curve(group)?))).collect();
        let (low, high) = span(at.iter().copied())?;
        let ys = span(curves.iter().flat_map(|(_, curve)| curve.iter().copied()))?;
        let name = if measure.axis == Unit::Second { "time" } else { "" };
        // What begins at a thousandth of its end or earlier was sampled by decades.
        let x_axis = if low > 0.0 && high > 1e3 * low {
            Axis::log(name, measure.axis.symbol(), low, high)
        } else {
            between(name, symbol(measure.axis), low, high)
        };
        let mut panel = Panel::new("", x_axis, self.y_axis(measure, ys));
        let n = curves.len();
        for (k, (label, curve)) in curves.into_iter().enumerate() {
            let stroke = Stroke::new(ramp(k, n.max(2)), Dash::CYCLE[k % Dash::CYCLE.len()]);
            panel.line(&label, at.iter().copied().zip(curve), stroke);
        }
        Some(panel)
    }

    /// A measurement of many dice, one outline per combination of the parameters.
    fn dice(&self, measure: &MeasureSpec) -> Option<Panel> {
        let values = |group: &Group<'a>| -> Vec<f64> {
            group.rows.iter().filter_map(|row| Self::value(row, &measure.column)).collect()
        };
        let groups: Vec<(String, Vec<f64>)> =
            self.groups(None).iter().map(|group| (group.label.clone(), values(group))).collect();
        let all = span(groups.iter().flat_map(|(_, values)| values.iter().copied()))?;
        let (low, high) = with_limits(measure, all, 1.5 * (all.1 - all.0));
        let histograms: Vec<(String, Histogram)> =
            groups.into_iter().filter_map(|(label, values)| Some((label, Histogram::new(&values)?))).collect();
        let top = histograms.iter().map(|(_, histogram)| histogram.top()).fold(1.0, f64::max);
        let x_axis = between(name_of(measure), symbol(measure.unit), low, high);
        let mut panel = Panel::new("", x_axis, Axis::between("dice", "", 0.0, 1.1 * top));
        let n = histograms.len();
        for (k, (label, histogram)) in histograms.iter().enumerate() {
            let stroke = Stroke::new(ramp(k, n.max(2)), Dash::CYCLE[k % Dash::CYCLE.len()]);
            panel.line(label, histogram.outline(), stroke);
            if histogram.sigma > 0.0 && n <= 3 {
                panel.line("normal", histogram.gaussian(histogram.sigma), Stroke::thin(GRAY, Dash::Dotted));
            }
        }
        if let Some(limit) = measure.limit {
            panel.verticals("limit", limit.min.into_iter().chain(limit.max), Stroke::thin(VERMILLION, Dash::Dashed));
        }
        Some(panel)
    }

    /// A measurement that only corners vary.
    fn corners(&self, measure: &MeasureSpec) -> Option<Panel> {
        let groups = self.groups(None);
        let name = |group: &Group<'a>| if group.label.is_empty() { "nominal".to_string() } else { group.label.clone() };
        let points: Vec<(f64, f64)> = groups
            .iter()
            .enumerate()
            .filter_map(|(k, group)| Some((k as f64, Self::value(group.rows.first()?, &measure.column)?)))
            .collect();
        let ys = span(points.iter().map(|p| p.1))?;
        let x_axis = Axis::names("", groups.iter().map(name));
        let mut panel = Panel::new("", x_axis, self.y_axis(measure, ys));
        self.limits(&mut panel, measure);
        panel.points("", points, Marker::filled(Shape::Circle, ramp(0, 2)));
        Some(panel)
    }

    fn y_axis(&self, measure: &MeasureSpec, (low, high): (f64, f64)) -> Axis {
        let (low, high) = with_limits(measure, (low, high), (high - low).max(0.5 * high.abs()));
        between(name_of(measure), symbol(measure.unit), low, high)
    }

    fn limits(&self, panel: &mut Panel, measure: &MeasureSpec) {
        if let Some(limit) = measure.limit {
            panel.horizontals("limit", limit.min.into_iter().chain(limit.max), Stroke::thin(VERMILLION, Dash::Dashed));
        }
    }
}

/// A range with the limits that lie within `room` of it: one far away would press the data together.
fn with_limits(measure: &MeasureSpec, (low, high): (f64, f64), room: f64) -> (f64, f64) {
    let bounds = measure.limit.into_iter().flat_map(|limit| limit.min.into_iter().chain(limit.max));
    // Nor does data of no size at all have an axis of its own.
    let size = low.abs().max(high.abs());
    let near = bounds.filter(|bound| (*bound > low - room && *bound < high + room) || size < 1e-3 * bound.abs());
    near.fold((low, high), |(low, high), bound| (low.min(bound), high.max(bound)))
}

/// A linear axis with a margin that is there for a single value of any size, too.
fn between(label: &str, unit: &str, low: f64, high: f64) -> Axis {
    let margin = if high > low { 0.05 * (high - low) } else { 0.5 * low.abs() };
    let margin = if margin > 0.0 { margin } else { 1.0 };
    Axis::between(label, unit, low - margin, high + margin)
}

/// A measurement's name without its unit, which the axis writes.
fn name_of(measure: &MeasureSpec) -> &str {
    measure.column.strip_suffix(measure.unit.suffix()).unwrap_or(&measure.column)
}

fn symbol(unit: Unit) -> &'static str {
    if unit == Unit::One { "" } else { unit.symbol() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::spec_verdicts;
    use crate::dataset::{Manifest, Outcome, PointId, Value};
    use crate::sweep::{DESIGN, GUARD, GUARD_INDEX, SET_LABEL};

    const SWEEP: &str = r#"schema = 1
name = "x"
tech = "t"
bench = "x.cir"
[mismatch]
samples = 40
seed = 1
instances = ["xc"]
[[measure]]
name = "v_out"
unit = "V"
at = "v(o)"
time = "1 ns"
spec = { max = "1 V", yield = "50 %" }
"#;

    /// 40 dice: ten at each tier, one of tier 0 failed, and a guard's repetition.
    fn dice() -> Dataset {
        let die = |index: u64| Row {
            id: PointId(format!("{index:032x}")),
            index,
            values: [("sample".to_string(), (index % GUARD_INDEX) as f64)].into(),
            labels: [(SET_LABEL.to_string(), if index >= GUARD_INDEX { GUARD } else { DESIGN }.to_string())].into(),
            outcome: if index == 4 { Outcome::Crash } else { Outcome::Ok },
            tier: (index % 4) as u8,
            measured: [("v_out_v".to_string(), Value::Scalar(0.01 * index as f64))].into(),
            message: String::new(),
        };
        Dataset { manifest: Manifest::new("x", "quick"), rows: (0..40).chain([GUARD_INDEX]).map(die).collect() }
    }

    #[test]
    fn a_histogram_shows_the_dice_that_the_yield_counts() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.cir"), "t\nr1 o 0 1\n.tran 1n 2n\n").unwrap();
        std::fs::write(dir.path().join("x.toml"), SWEEP).unwrap();
        let spec = SweepSpec::read(&dir.path().join("x.toml"), dir.path()).unwrap();
        let technologies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("netlists/tech");
        let tech = Technology::find("generic28", &technologies).unwrap();
        let verdict = spec_verdicts(&spec, &dice()).remove(0);
        assert_eq!((verdict.points, verdict.missing, verdict.dice.unwrap().good), (40, 21, 19));
        let svg = figure(&spec, &dice(), &tech).unwrap().svg().unwrap();
        assert!(svg.contains("19 points"), "tiers 0 and 1, without the die that failed and the guard's");
    }
}
