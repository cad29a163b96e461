//! One pair of axes with its series and legend.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::scene::{Anchor, Item, Px, Rect, Scene, Text};
use super::style::{BLACK, Dash, GRID, LABEL_PX, Marker, Stroke, TICK_PX, text_width_px};

/// Something drawn against the axes, in base units.
#[derive(Debug, Clone, PartialEq)]
enum Series {
    Line(Vec<(f64, f64)>, Stroke),
    /// A line that no data make: an identity, a published law.
    Guide(Vec<(f64, f64)>, Stroke),
    Points(Vec<(f64, f64)>, Marker),
    /// Bars from zero: edges, heights, colour.
    Bars(Vec<f64>, Vec<f64>, RGBColor),
    /// Vertical lines at x.
    Across(Vec<f64>, Stroke),
    /// Horizontal lines at y.
    Along(Vec<f64>, Stroke),
    /// Band between two values of x.
    BandX(f64, f64, RGBColor),
    /// Band between two values of y.
    BandY(f64, f64, RGBColor),
    /// Unit square around (x, y) with a text.
    Tile((f64, f64), RGBColor, String, RGBColor),
}

/// Where the legend stands; never on the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegendPlace {
    /// In rows above the axes.
    Above,
    /// In a column at their right.
    Right,
}

/// Sample of one legend entry.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    label: String,
    stroke: Option<Stroke>,
    marker: Option<Marker>,
    swatch: Option<RGBColor>,
}

/// Axes, series and legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    entries: Vec<Entry>,
    legend: LegendPlace,
    shares_x: bool,
    is_blank: bool,
}

const SAMPLE_PX: f64 = 32.0;
const ENTRY_GAP_PX: f64 = 18.0;
const ROW_PX: f64 = 20.0;
const TICK_GAP_PX: f64 = 7.0;
/// Wider below, so that labels of both axes are apart where they meet.
const X_TICK_GAP_PX: f64 = 9.0;

impl Panel {
    /// Empty axes; `title` may be empty.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Panel {
        let (series, entries) = (Vec::new(), Vec::new());
        Panel {
            title: title.into(),
            x,
            y,
            series,
            entries,
            legend: LegendPlace::Above,
            shares_x: false,
            is_blank: false,
        }
    }
    /// A place that stays empty, so that the others of its row keep their columns.
    pub fn blank() -> Panel {
        Panel { is_blank: true, ..Panel::new("", Axis::between("", "", 0.0, 1.0), Axis::between("", "", 0.0, 1.0)) }
    }
    /// With the legend there.
    pub fn legend(mut self, place: LegendPlace) -> Panel {
        self.legend = place;
        self
    }
    /// Height that the legend takes above axes of that width.
    pub(super) fn legend_px(&self, width: f64) -> f64 {
        ROW_PX * self.legend_rows(width).1 as f64
    }
    /// Without its legend, because another panel has the same.
    pub fn drop_legend(&mut self) {
        self.entries.clear();
    }
    /// Without labels under the x axis, because the panel below has the same.
    pub fn shares_x(mut self) -> Panel {
        self.shares_x = true;
        self
    }
    /// A line; series of one label share an entry of the legend, an empty label has none.
    pub fn line(&mut self, label: &str, points: impl IntoIterator<Item = (f64, f64)>, stroke: Stroke) {
        self.entry(label, Some(stroke), None, None);
        self.series.push(Series::Line(points.into_iter().collect(), stroke));
    }
    /// A line that the data are compared with: an identity, a published law.
    pub fn guide(&mut self, label: &str, points: impl IntoIterator<Item = (f64, f64)>, stroke: Stroke) {
        self.entry(label, Some(stroke), None, None);
        self.series.push(Series::Guide(points.into_iter().collect(), stroke));
    }
    /// Markers; none leave no entry in the legend.
    pub fn points(&mut self, label: &str, points: impl IntoIterator<Item = (f64, f64)>, marker: Marker) {
        let points: Vec<(f64, f64)> = points.into_iter().collect();
        if !points.is_empty() {
            self.entry(label, None, Some(marker), None);
            self.series.push(Series::Points(points, marker));
        }
    }
    /// Bars from zero between consecutive `edges`; one height fewer than edges.
    pub fn bars(&mut self, label: &str, edges: &[f64], heights: &[f64], color: RGBColor) {
        self.entry(label, None, None, Some(color));
        self.series.push(Series::Bars(edges.to_vec(), heights.to_vec(), color));
    }
    /// Vertical lines.
    pub fn verticals(&mut self, label: &str, at: impl IntoIterator<Item = f64>, stroke: Stroke) {
        self.entry(label, Some(stroke), None, None);
        self.series.push(Series::Across(at.into_iter().collect(), stroke));
    }
    /// Horizontal lines.
    pub fn horizontals(&mut self, label: &str, at: impl IntoIterator<Item = f64>, stroke: Stroke) {
        self.entry(label, Some(stroke), None, None);
        self.series.push(Series::Along(at.into_iter().collect(), stroke));
    }
    /// A band between two values of x.
    pub fn band_x(&mut self, label: &str, low: f64, high: f64, color: RGBColor) {
        self.entry(label, None, None, Some(color));
        self.series.push(Series::BandX(low, high, color));
    }
    /// A band between two values of y.
    pub fn band_y(&mut self, label: &str, low: f64, high: f64, color: RGBColor) {
        self.entry(label, None, None, Some(color));
        self.series.push(Series::BandY(low, high, color));
    }
    /// A tile of a map with a text.
    pub fn tile(&mut self, at: (f64, f64), color: RGBColor, text: String, text_color: RGBColor) {
        self.series.push(Series::Tile(at, color, text, text_color));
    }
    /// Whether a finite number of a measured or computed series lies within the axes.
    pub(super) fn has_data(&self) -> bool {
        let inside = |&(x, y): &(f64, f64)| {
            (0.0..=1.0).contains(&self.x.fraction(x)) && (0.0..=1.0).contains(&self.y.fraction(y))
        };
        self.series.iter().any(|series| match series {
            Series::Line(points, _) | Series::Points(points, _) => points.iter().any(inside),
            Series::Bars(_, heights, _) => heights.iter().any(|h| *h > 0.0),
            Series::Tile(..) => true,
            _ => false,
        })
    }

    fn entry(&mut self, label: &str, stroke: Option<Stroke>, marker: Option<Marker>, swatch: Option<RGBColor>) {
        if label.is_empty() {
            return;
        }
        match self.entries.iter_mut().find(|entry| entry.label == label) {
            Some(entry) => {
                entry.stroke = entry.stroke.or(stroke);
                entry.marker = entry.marker.or(marker);
                entry.swatch = entry.swatch.or(swatch);
            }
            None => self.entries.push(Entry { label: label.into(), stroke, marker, swatch }),
        }
    }

    fn entry_px(entry: &Entry) -> f64 {
        SAMPLE_PX + 7.0 + text_width_px(&entry.label, TICK_PX, false)
    }

    /// Rows of the legend above axes of that width: (row, offset) per entry, and the number of rows.
    fn legend_rows(&self, width: f64) -> (Vec<(usize, f64)>, usize) {
        if self.legend != LegendPlace::Above || self.entries.is_empty() {
            return (Vec::new(), 0);
        }
        let (mut row, mut x, mut places) = (0, 0.0, Vec::new());
        for entry in &self.entries {
            let needed = Self::entry_px(entry);
            if x > 0.0 && x + needed > width {
                (row, x) = (row + 1, 0.0);
            }
            places.push((row, x));
            x += needed + ENTRY_GAP_PX;
        }
        (places, row + 1)
    }

    /// What the panel needs left and right of its axes within a cell of that height.
    pub(super) fn sides(&self, height: f64) -> (f64, f64) {
        let y_title = if self.y.title().is_empty() { 0.0 } else { LABEL_PX + 10.0 };
        let left = y_title + self.y_labels_px(height) + TICK_GAP_PX + 2.0;
        let right = match self.legend {
            LegendPlace::Right if !self.entries.is_empty() => {
                self.entries.iter().map(Self::entry_px).fold(0.0, f64::max) + 14.0
            }
            _ => 16.0,
        };
        (left, right)
    }

    /// What the panel needs above and below its axes, which are that wide.
    pub(super) fn above_and_below(&self, width: f64) -> (f64, f64) {
        let rows = self.legend_rows(width).1 as f64;
        let title = if self.title.is_empty() { 0.0 } else { LABEL_PX + 9.0 };
        let above = title + if rows > 0.0 { rows * ROW_PX + 5.0 } else { 5.0 };
        let below = if self.shares_x {
            8.0
        } else {
            X_TICK_GAP_PX + TICK_PX + if self.x.title().is_empty() { 4.0 } else { LABEL_PX + 12.0 }
        };
        (above, below)
    }

    fn y_labels_px(&self, height: f64) -> f64 {
        let ticks = self.y.ticks(y_room(height));
        ticks.iter().map(|tick| text_width_px(&tick.label, TICK_PX, false)).fold(0.0, f64::max)
    }

    /// Draws the panel with its axes along the edges of `area`; legend and labels lie around it.
    pub(super) fn draw(&self, scene: &mut Scene, area: Rect) {
        if self.is_blank {
            return;
        }
        for series in &self.series {
            self.draw_band(scene, area, series);
        }
        self.draw_axes(scene, area);
        for series in &self.series {
            self.draw_series(scene, area, series);
        }
        scene.frame(area, Stroke { color: BLACK, width_px: 1.25, dash: Dash::Solid });
        if !self.has_data() {
            let middle = (0.5 * (area.left + area.right), 0.5 * (area.top + area.bottom));
            scene.text(middle, "no data", LABEL_PX, Anchor::Middle);
        }
        self.draw_legend(scene, area);
        if !self.title.is_empty() {
            let rows = self.legend_rows(area.width()).1 as f64;
            let y = area.top - 9.0 - if rows > 0.0 { rows * ROW_PX + 3.0 } else { 0.0 };
            let at = (area.left, y);
            let text = self.title.clone();
            let (anchor, size_px) = (Anchor::Start, LABEL_PX);
            scene.items.push(Item::Text(Text { at, text, size_px, bold: true, color: BLACK, anchor, upward: false }));
        }
    }

    fn place(&self, area: Rect, (x, y): (f64, f64)) -> Px {
        (area.left + self.x.fraction(x) * area.width(), area.bottom - self.y.fraction(y) * area.height())
    }

    fn draw_band(&self, scene: &mut Scene, area: Rect, series: &Series) {
        let (low, high) = match series {
            Series::BandX(low, high, _) | Series::BandY(low, high, _) => (*low, *high),
            _ => return,
        };
        let share = |axis: &Axis, v: f64| axis.fraction(v).clamp(0.0, 1.0);
        match series {
            Series::BandX(.., color) => {
                let x = |v| area.left + share(&self.x, v) * area.width();
                scene.rect(Rect { left: x(low), right: x(high), ..area }, *color);
            }
            Series::BandY(.., color) => {
                let y = |v| area.bottom - share(&self.y, v) * area.height();
                scene.rect(Rect { top: y(high), bottom: y(low), ..area }, *color);
            }
            _ => {}
        }
    }

    fn draw_axes(&self, scene: &mut Scene, area: Rect) {
        let (x_low, y_low) = (self.x.range().0, self.y.range().0);
        let grid = |label: &str| Stroke {
            color: if label.is_empty() { RGBColor(238, 238, 238) } else { GRID },
            width_px: 1.0,
            dash: Dash::Solid,
        };
        let tick_mark = Stroke { color: BLACK, width_px: 1.25, dash: Dash::Solid };
        let x_ticks = self.x.ticks(x_room(&self.x, area.width()));
        for tick in &x_ticks {
            let (x, _) = self.place(area, (tick.value, y_low));
            scene.line(&[(x, area.top), (x, area.bottom)], grid(&tick.label));
        }
        let y_ticks = self.y.ticks(y_room(area.height()));
        for tick in &y_ticks {
            let (_, y) = self.place(area, (x_low, tick.value));
            scene.line(&[(area.left, y), (area.right, y)], grid(&tick.label));
        }
        for tick in x_ticks {
            let (x, _) = self.place(area, (tick.value, y_low));
            let length = if tick.label.is_empty() { 3.0 } else { 5.0 };
            scene.line(&[(x, area.bottom), (x, area.bottom - length)], tick_mark);
            if !self.shares_x && !tick.label.is_empty() {
                scene.text((x, area.bottom + X_TICK_GAP_PX + 0.75 * TICK_PX), &tick.label, TICK_PX, Anchor::Middle);
            }
        }
        for tick in y_ticks {
            let (_, y) = self.place(area, (x_low, tick.value));
            let length = if tick.label.is_empty() { 3.0 } else { 5.0 };
            scene.line(&[(area.left, y), (area.left + length, y)], tick_mark);
            if !tick.label.is_empty() {
                scene.text((area.left - TICK_GAP_PX, y + 0.36 * TICK_PX), &tick.label, TICK_PX, Anchor::End);
            }
        }
        let middle_x = 0.5 * (area.left + area.right);
        if !self.shares_x && !self.x.title().is_empty() {
            let y = area.bottom + X_TICK_GAP_PX + TICK_PX + LABEL_PX + 4.0;
            scene.text((middle_x, y), &self.x.title(), LABEL_PX, Anchor::Middle);
        }
        if !self.y.title().is_empty() {
            let x = area.left - TICK_GAP_PX - self.y_labels_px(area.height()) - 10.0;
            let at = (x, 0.5 * (area.top + area.bottom));
            let (text, anchor) = (self.y.title(), Anchor::Middle);
            let text = Text { at, text, size_px: LABEL_PX, bold: false, color: BLACK, anchor, upward: true };
            scene.items.push(Item::Text(text));
        }
    }

    fn draw_series(&self, scene: &mut Scene, area: Rect, series: &Series) {
        let place = |point: &(f64, f64)| self.place(area, *point);
        match series {
            Series::Line(points, stroke) | Series::Guide(points, stroke) => {
                let points: Vec<Px> = points.iter().map(place).collect();
                scene.clipped_line(&points, *stroke, area);
            }
            Series::Points(points, marker) => {
                // Markers that would cover each other are drawn once: thousands of pairs stay a small file.
                let per_px = if points.len() > 500 { 1.0 / 1.5 } else { 2.0 };
                let mut drawn = std::collections::HashSet::new();
                for (x, y) in points.iter().map(place) {
                    let across = x >= area.left - 0.5 && x <= area.right + 0.5;
                    let inside = across && y >= area.top - 0.5 && y <= area.bottom + 0.5;
                    if inside && drawn.insert(((x * per_px).round() as i64, (y * per_px).round() as i64)) {
                        scene.marker((x, y), *marker);
                    }
                }
            }
            Series::Bars(edges, heights, color) => {
                for (pair, height) in edges.windows(2).zip(heights).filter(|(_, height)| **height > 0.0) {
                    let (left, top) = place(&(pair[0], *height));
                    let (right, bottom) = place(&(pair[1], 0.0));
                    let clamp = |x: f64| x.clamp(area.left, area.right);
                    let bar = Rect { left: clamp(left), top: top.max(area.top), right: clamp(right), bottom };
                    scene.rect(bar, *color);
                    scene.frame(bar, Stroke { color: RGBColor(255, 255, 255), width_px: 0.75, dash: Dash::Solid });
                }
            }
            Series::Across(at, stroke) => {
                for x in at.iter().map(|x| place(&(*x, self.y.range().0)).0) {
                    scene.clipped_line(&[(x, area.bottom), (x, area.top)], *stroke, area);
                }
            }
            Series::Along(at, stroke) => {
                for y in at.iter().map(|y| place(&(self.x.range().0, *y)).1) {
                    scene.clipped_line(&[(area.left, y), (area.right, y)], *stroke, area);
                }
            }
            Series::Tile((x, y), color, text, text_color) => {
                let ((x0, y0), (x1, y1)) = (place(&(x - 0.5, y - 0.5)), place(&(x + 0.5, y + 0.5)));
                scene.rect(Rect { left: x0.min(x1), right: x0.max(x1), top: y0.min(y1), bottom: y0.max(y1) }, *color);
                let at = (0.5 * (x0 + x1), 0.5 * (y0 + y1) + 0.36 * TICK_PX);
                let (text, anchor, size_px) = (text.clone(), Anchor::Middle, TICK_PX);
                let text = Text { at, text, size_px, bold: false, color: *text_color, anchor, upward: false };
                scene.items.push(Item::Text(text));
            }
            Series::BandX(..) | Series::BandY(..) => {}
        }
    }

    fn draw_legend(&self, scene: &mut Scene, area: Rect) {
        let (places, rows) = self.legend_rows(area.width());
        for (i, entry) in self.entries.iter().enumerate() {
            let (x, y) = match self.legend {
                LegendPlace::Above => {
                    let (row, offset) = places[i];
                    (area.left + offset, area.top - 5.0 - (rows - row) as f64 * ROW_PX + 0.5 * ROW_PX)
                }
                LegendPlace::Right => (area.right + 12.0, area.top + (i as f64 + 0.5) * ROW_PX),
            };
            if let Some(color) = entry.swatch {
                scene.rect(Rect { left: x + 6.0, top: y - 6.0, right: x + SAMPLE_PX - 4.0, bottom: y + 6.0 }, color);
            }
            if let Some(stroke) = entry.stroke {
                scene.line(&[(x, y), (x + SAMPLE_PX, y)], stroke);
            }
            if let Some(marker) = entry.marker {
                scene.marker((x + 0.5 * SAMPLE_PX, y), marker.radius(marker.radius_px.max(3.0)));
            }
            scene.text((x + SAMPLE_PX + 7.0, y + 0.36 * TICK_PX), &entry.label, TICK_PX, Anchor::Start);
        }
    }
}

/// How many labelled ticks fit along an x axis of that length.
fn x_room(axis: &Axis, width: f64) -> usize {
    let needed = |room: usize| {
        let ticks = axis.ticks(room);
        let widest = ticks.iter().map(|t| text_width_px(&t.label, TICK_PX, false)).fold(0.0, f64::max);
        ticks.iter().filter(|t| !t.label.is_empty()).count() as f64 * (widest + 14.0)
    };
    (2..=10).rev().find(|room| needed(*room) <= width).unwrap_or(2)
}

/// How many labelled ticks fit along a y axis of that length.
fn y_room(height: f64) -> usize {
    ((height / 44.0) as usize).clamp(2, 9)
}
