//! A figure: title, conditions and panels in rows, whose axes are aligned.

use super::canvas::{self, Target};
use super::panel::Panel;
use super::scene::{Anchor, Item, Rect, Scene, Text};
use super::style::{BLACK, GRAY, TICK_PX, TITLE_PX, text_width_px};
use crate::error::{Error, Kind, Result};

/// Under which conditions a figure's numbers were simulated; stands under its title.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// Technology.
    pub tech: String,
    /// Cell or circuit.
    pub cell: String,
    /// Supply [V].
    pub vdd_v: f64,
    /// Temperature [degC].
    pub temperature_degc: f64,
}

impl Conditions {
    /// One line: technology, cell, supply, temperature and what else the figure wants to say.
    pub fn line(&self, more: &str) -> String {
        let base = format!("{} · {} · VDD = {} V · {} °C", self.tech, self.cell, self.vdd_v, self.temperature_degc);
        if more.is_empty() { base } else { format!("{base} · {more}") }
    }
}

/// Panels side by side.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    weight: f64,
    panels: Vec<Panel>,
}

/// Title, conditions and rows of panels.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    name: String,
    title: String,
    conditions: String,
    size_px: (u32, u32),
    rows: Vec<Row>,
}

const EDGE_PX: f64 = 14.0;
const GAP_PX: f64 = 16.0;

impl Figure {
    /// An empty figure of that size; `name` is for messages.
    pub fn new(name: &str, title: impl Into<String>, conditions: impl Into<String>, size_px: (u32, u32)) -> Figure {
        Figure { name: name.into(), title: title.into(), conditions: conditions.into(), size_px, rows: Vec::new() }
    }

    /// With one more row, whose height is `weight`'s share of the sum of all weights.
    pub fn row(mut self, weight: f64, panels: Vec<Panel>) -> Figure {
        self.rows.push(Row { weight, panels });
        self
    }

    /// The figure as strokes, fills and texts.
    ///
    /// # Errors
    /// [`Kind::BadInput`] if no panel has anything to show.
    pub fn scene(&self) -> Result<Scene> {
        if !self.rows.iter().flat_map(|row| &row.panels).any(Panel::has_data) {
            return Err(Error::new(Kind::BadInput, format!("figure `{}` has nothing to show", self.name)));
        }
        let (width, height) = (f64::from(self.size_px.0), f64::from(self.size_px.1));
        let description = format!("{}. {}", self.title, self.conditions);
        let mut scene = Scene { size_px: self.size_px, description, items: Vec::new() };
        let top = self.draw_head(&mut scene, width);
        for (panel, area) in self.areas(Rect { left: EDGE_PX, top, right: width - EDGE_PX, bottom: height - EDGE_PX }) {
            panel.draw(&mut scene, area);
        }
        Ok(scene)
    }

    /// Writes PNG and SVG.
    ///
    /// # Errors
    /// As [`Figure::scene`] and [`canvas::save`].
    pub fn save(&self, target: &Target) -> Result<()> {
        canvas::save(&self.scene()?, target)
    }

    /// The figure as an SVG document.
    ///
    /// # Errors
    /// As [`Figure::scene`] and [`canvas::svg`].
    pub fn svg(&self) -> Result<String> {
        canvas::svg(&self.scene()?)
    }

    /// Draws title and conditions; returns where the panels begin.
    fn draw_head(&self, scene: &mut Scene, width: f64) -> f64 {
        let mut y = EDGE_PX;
        for (text, size_px, bold, color) in
            [(&self.title, TITLE_PX, true, BLACK), (&self.conditions, TICK_PX, false, GRAY)]
        {
            for line in wrapped(text, size_px, bold, width - 2.0 * EDGE_PX) {
                y += 1.2 * size_px;
                let (at, anchor) = ((EDGE_PX, y - 0.25 * size_px), Anchor::Start);
                scene.items.push(Item::Text(Text { at, text: line, size_px, bold, color, anchor, upward: false }));
            }
            y += 3.0;
        }
        y + 8.0
    }

    /// The area of every panel's axes. Panels in the same column of rows with equally many panels share their left and
    /// right edges; panels of one row share their upper and lower ones.
    fn areas(&self, whole: Rect) -> Vec<(&Panel, Rect)> {
        let weights: f64 = self.rows.iter().map(|row| row.weight).sum();
        let room = whole.height() - GAP_PX * 0.5 * (self.rows.len() as f64 - 1.0);
        let cell = |row: &Row| {
            let n = row.panels.len() as f64;
            ((whole.width() - GAP_PX * (n - 1.0)) / n, room * row.weight / weights)
        };
        let sides: Vec<Vec<(f64, f64)>> =
            self.rows.iter().map(|row| row.panels.iter().map(|panel| panel.sides(cell(row).1)).collect()).collect();
        let widest = |n: usize, column: usize, side: fn(&(f64, f64)) -> f64| {
            sides.iter().filter(|row| row.len() == n).map(|row| side(&row[column])).fold(0.0, f64::max)
        };
        let (mut areas, mut top) = (Vec::new(), whole.top);
        for row in &self.rows {
            let (n, (width, height)) = (row.panels.len(), cell(row));
            let across: Vec<(f64, f64)> = (0..n)
                .map(|column| {
                    let left = whole.left + column as f64 * (width + GAP_PX);
                    (left + widest(n, column, |side| side.0), left + width - widest(n, column, |side| side.1))
                })
                .collect();
            let around =
                row.panels.iter().zip(&across).map(|(panel, (left, right))| panel.above_and_below(right - left));
            let (above, below) = around.fold((0.0f64, 0.0f64), |most, one| (most.0.max(one.0), most.1.max(one.1)));
            for (panel, (left, right)) in row.panels.iter().zip(across) {
                areas.push((panel, Rect { left, top: top + above, right, bottom: top + height - below }));
            }
            top += height + 0.5 * GAP_PX;
        }
        areas
    }
}

/// Lines no longer than `room`, broken at the dots between its parts if it has such, else at spaces.
fn wrapped(text: &str, size_px: f64, bold: bool, room: f64) -> Vec<String> {
    let between = if text.contains(" · ") { " · " } else { " " };
    let mut lines: Vec<String> = Vec::new();
    for part in text.split(between).filter(|part| !part.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width_px(&format!("{line}{between}{part}"), size_px, bold) <= room => {
                line.push_str(between);
                line.push_str(part);
            }
            _ => lines.push(part.to_string()),
        }
    }
    lines
}
