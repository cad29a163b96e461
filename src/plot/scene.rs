//! A figure as a list of strokes, fills and texts, in pixels; what the canvas hands to each of plotters' backends.
//!
//! One list makes both files, so that PNG and SVG cannot differ, and tests can ask where every text lies.

use plotters::style::RGBColor;

use super::style::{Dash, Marker, Shape, Stroke, text_width_px};

/// A point in pixels, y downward.
pub type Px = (f64, f64);

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Lower edge.
    pub bottom: f64,
}

impl Rect {
    /// Width.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }
    /// Height.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// Where a text's position lies along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its start.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// A text.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Anchor, on the baseline.
    pub at: Px,
    /// What it says.
    pub text: String,
    /// Font size.
    pub size_px: f64,
    /// Bold.
    pub bold: bool,
    /// Colour.
    pub color: RGBColor,
    /// Where `at` lies along it.
    pub anchor: Anchor,
    /// Written upward instead of rightward.
    pub upward: bool,
}

impl Text {
    /// What it covers.
    pub fn bounds(&self) -> Rect {
        let width = text_width_px(&self.text, self.size_px, self.bold);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => 0.5 * width,
            Anchor::End => width,
        };
        // Capitals and digits of DejaVu Sans are 0.73 em high; descenders reach 0.24 em down.
        let (up, down) = (0.75 * self.size_px, 0.22 * self.size_px);
        let (x, y) = self.at;
        if self.upward {
            Rect { left: x - up, top: y + before - width, right: x + down, bottom: y + before }
        } else {
            Rect { left: x - before, top: y - up, right: x - before + width, bottom: y + down }
        }
    }
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An unbroken line.
    Line {
        /// Corners.
        points: Vec<Px>,
        /// Colour.
        color: RGBColor,
        /// Width.
        width_px: f64,
    },
    /// A filled polygon.
    Fill {
        /// Corners.
        points: Vec<Px>,
        /// Colour.
        color: RGBColor,
    },
    /// A disc or a circle.
    Circle {
        /// Middle.
        center: Px,
        /// Radius.
        radius_px: f64,
        /// Colour.
        color: RGBColor,
        /// Width of the line; `None` fills it.
        line_px: Option<f64>,
    },
    /// A text.
    Text(Text),
}

/// Everything of a figure, in the order in which it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width and height.
    pub size_px: (u32, u32),
    /// What it shows, for readers that cannot see it.
    pub description: String,
    /// What is drawn.
    pub items: Vec<Item>,
}

impl Scene {
    /// The texts.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.items.iter().filter_map(|item| if let Item::Text(text) = item { Some(text) } else { None })
    }

    /// A broken or unbroken line.
    pub fn line(&mut self, points: &[Px], stroke: Stroke) {
        for points in dashes(points, stroke.dash) {
            self.items.push(Item::Line { points, color: stroke.color, width_px: stroke.width_px });
        }
    }

    /// The parts of a line that lie within `area`; it is broken where a coordinate is no number.
    pub fn clipped_line(&mut self, points: &[Px], stroke: Stroke, area: Rect) {
        for part in clip(points, area) {
            self.line(&part, stroke);
        }
    }

    /// A filled rectangle.
    pub fn rect(&mut self, r: Rect, color: RGBColor) {
        let points = vec![(r.left, r.top), (r.right, r.top), (r.right, r.bottom), (r.left, r.bottom)];
        self.items.push(Item::Fill { points, color });
    }

    /// The outline of a rectangle.
    pub fn frame(&mut self, r: Rect, stroke: Stroke) {
        let corner = (r.left, r.top);
        self.line(&[corner, (r.right, r.top), (r.right, r.bottom), (r.left, r.bottom), corner], stroke);
    }

    /// A marker.
    pub fn marker(&mut self, (x, y): Px, marker: Marker) {
        let (r, color) = (marker.radius_px, marker.color);
        const LINE_PX: f64 = 1.5;
        let corners = match marker.shape {
            Shape::Circle => {
                let line_px = (!marker.filled).then_some(LINE_PX);
                self.items.push(Item::Circle { center: (x, y), radius_px: r, color, line_px });
                return;
            }
            Shape::Cross | Shape::Plus => {
                let (d, e) = if marker.shape == Shape::Cross { (0.85 * r, 0.85 * r) } else { (1.1 * r, 0.0) };
                for points in [vec![(x - d, y - e), (x + d, y + e)], vec![(x + e, y - d), (x - e, y + d)]] {
                    self.items.push(Item::Line { points, color, width_px: LINE_PX });
                }
                return;
            }
            Shape::Square => {
                let d = 0.88 * r;
                vec![(x - d, y - d), (x + d, y - d), (x + d, y + d), (x - d, y + d)]
            }
            Shape::Triangle => vec![(x, y - 1.15 * r), (x + 1.05 * r, y + 0.75 * r), (x - 1.05 * r, y + 0.75 * r)],
            Shape::Diamond => vec![(x, y - 1.2 * r), (x + 1.2 * r, y), (x, y + 1.2 * r), (x - 1.2 * r, y)],
        };
        if marker.filled {
            self.items.push(Item::Fill { points: corners, color });
        } else {
            let mut points = corners;
            points.push(points[0]);
            self.items.push(Item::Line { points, color, width_px: LINE_PX });
        }
    }

    /// A text of the usual colour.
    pub fn text(&mut self, at: Px, text: &str, size_px: f64, anchor: Anchor) {
        let color = super::style::BLACK;
        self.items.push(Item::Text(Text { at, text: text.into(), size_px, bold: false, color, anchor, upward: false }));
    }
}

/// The drawn pieces of a line.
fn dashes(points: &[Px], dash: Dash) -> Vec<Vec<Px>> {
    let lengths = dash.lengths_px();
    if points.len() < 2 {
        return Vec::new();
    }
    if lengths.is_empty() {
        return vec![points.to_vec()];
    }
    let (mut pieces, mut piece) = (Vec::new(), vec![points[0]]);
    let (mut k, mut left) = (0, lengths[0]);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if k % 2 == 0 {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            k = (k + 1) % lengths.len();
            left = lengths[k];
        }
        left -= length - done;
        if k % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    if k % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// The parts of a line within `area` (Liang and Barsky, 1984), broken where a coordinate is no number.
fn clip(points: &[Px], area: Rect) -> Vec<Vec<Px>> {
    let mut parts: Vec<Vec<Px>> = Vec::new();
    let mut goes_on = false;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let (dx, dy) = (x1 - x0, y1 - y0);
        let (mut enter, mut leave) = (0.0f64, 1.0f64);
        let mut outside = ![x0, y0, x1, y1].iter().all(|v| v.is_finite());
        for (step, room) in [(-dx, x0 - area.left), (dx, area.right - x0), (-dy, y0 - area.top), (dy, area.bottom - y0)]
        {
            if step == 0.0 {
                outside |= room < 0.0;
            } else if step < 0.0 {
                enter = enter.max(room / step);
            } else {
                leave = leave.min(room / step);
            }
        }
        if outside || enter > leave {
            goes_on = false;
            continue;
        }
        let at = |t: f64| (x0 + dx * t, y0 + dy * t);
        match parts.last_mut().filter(|_| goes_on && enter == 0.0) {
            Some(part) => part.push(at(leave)),
            None => parts.push(vec![at(enter), at(leave)]),
        }
        goes_on = leave == 1.0;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn lines_are_cut_at_the_edges_and_broken_at_gaps() {
        let points = [(-5.0, 5.0), (5.0, 5.0), (5.0, 15.0), (20.0, 15.0), (20.0, 2.0), (2.0, 2.0)];
        assert_eq!(clip(&points, AREA), [vec![(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)], vec![(10.0, 2.0), (2.0, 2.0)]]);
        let gap = [(1.0, 1.0), (2.0, 2.0), (f64::NAN, 3.0), (4.0, 4.0), (5.0, 5.0)];
        assert_eq!(clip(&gap, AREA).len(), 2);
    }

    #[test]
    fn dashes_go_round_corners_and_cover_their_share() {
        let pieces = dashes(&[(0.0, 0.0), (6.0, 0.0), (6.0, 20.0)], Dash::Dashed);
        assert_eq!(pieces[0], [(0.0, 0.0), (6.0, 0.0), (6.0, 2.0)]);
        assert_eq!(pieces[1], [(6.0, 7.0), (6.0, 15.0)]);
        assert_eq!(pieces.len(), 2);
        assert_eq!(dashes(&[(0.0, 0.0), (6.0, 0.0)], Dash::Solid).len(), 1);
    }

    #[test]
    fn a_text_written_upward_is_as_tall_as_it_is_long() {
        let text = |upward| Text {
            at: (50.0, 50.0),
            text: "Charge (fC)".into(),
            size_px: 15.0,
            bold: false,
            color: super::super::style::BLACK,
            anchor: Anchor::Middle,
            upward,
        };
        let (flat, tall) = (text(false).bounds(), text(true).bounds());
        assert!((flat.width() - tall.height()).abs() < 1e-9 && flat.width() > 4.0 * flat.height());
    }
}
