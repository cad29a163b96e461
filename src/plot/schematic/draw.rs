//! Columns and blocks as strokes and texts.

use plotters::style::RGBColor;

use super::arrange::{Column, Element, Sheet, is_ground, is_supply};
use super::parts::{Block, Circuit, Mos, Pair, Polarity};
use crate::plot::scene::{Anchor, Item, Px, Rect, Scene, Text};
use crate::plot::style::{BLACK, BLUE, Dash, GRAY, Stroke, TITLE_PX, text_width_px};

const EDGE_PX: f64 = 16.0;
/// Height of an element.
const PITCH_PX: f64 = 78.0;
/// Room above the first element of a column and below its last, for rails and labels.
const RAIL_PX: f64 = 30.0;
/// Columns side by side at most take this width.
const WIDTH_PX: f64 = 1080.0;
const NAME_PX: f64 = 12.5;
const SIZE_PX: f64 = 11.0;
const NET_PX: f64 = 13.0;
const WIRE: Stroke = Stroke { color: BLACK, width_px: 1.5, dash: Dash::Solid };
const PLATE: Stroke = Stroke { color: BLACK, width_px: 2.5, dash: Dash::Solid };
const WHITE: RGBColor = RGBColor(255, 255, 255);
/// Half the length of a channel.
const CHANNEL_PX: f64 = 16.0;

/// The drawing.
pub fn scene(circuit: &Circuit, sheet: &Sheet) -> Scene {
    let mut pen = Pen { circuit, scene: Scene { size_px: (0, 0), description: String::new(), items: Vec::new() } };
    let mut bottom = pen.title();
    let mut width: f64 = 0.0;
    for band in bands(sheet.columns.iter().map(|column| pen.room(column)).collect()) {
        let columns = &sheet.columns[band.clone()];
        let rows = columns.iter().map(|column| column.elements.len()).max().unwrap_or(0) as f64;
        let (top, mut x) = (bottom + RAIL_PX, EDGE_PX);
        for column in columns {
            let (left, right) = pen.room(column);
            pen.column(column, x + left, top, rows);
            x += left + right;
        }
        width = width.max(x);
        bottom = top + rows * PITCH_PX + RAIL_PX;
    }
    let blocks: Vec<&Block> = sheet.blocks.iter().map(|k| &circuit.blocks[*k]).collect();
    for band in bands(blocks.iter().map(|block| pen.block_room(block)).collect()) {
        let (top, mut x, mut height) = (bottom + 8.0, EDGE_PX, 0.0f64);
        for block in &blocks[band] {
            let (left, right) = pen.block_room(block);
            height = height.max(pen.block(block, x + left, top));
            x += left + right;
        }
        width = width.max(x);
        bottom = top + height + 14.0;
    }
    let lines = pen.ports();
    let title = lines.iter().map(|line| text_width_px(line, NAME_PX, false)).fold(0.0, f64::max) + 2.0 * EDGE_PX;
    let mut scene = pen.scene;
    scene.size_px = (width.max(title).ceil() as u32 + EDGE_PX as u32, bottom.ceil() as u32 + EDGE_PX as u32);
    scene.description = format!("Schematic of {}", circuit.name);
    scene
}

/// Ranges of parts that fit side by side.
fn bands(rooms: Vec<(f64, f64)>) -> Vec<std::ops::Range<usize>> {
    let mut bands: Vec<std::ops::Range<usize>> = Vec::new();
    let mut x = 0.0;
    for (k, (left, right)) in rooms.into_iter().enumerate() {
        x += left + right;
        match bands.last_mut() {
            Some(band) if x <= WIDTH_PX => band.end = k + 1,
            _ => {
                x = left + right;
                bands.push(k..k + 1);
            }
        }
    }
    bands
}

struct Pen<'a> {
    circuit: &'a Circuit,
    scene: Scene,
}

impl Pen<'_> {
    /// The ports' names in lines that fit the sheet.
    fn ports(&self) -> Vec<String> {
        let mut lines = vec!["ports:".to_string()];
        for port in &self.circuit.ports {
            let line = format!("{}  {port}", lines[lines.len() - 1]);
            if text_width_px(&line, NAME_PX, false) > WIDTH_PX - 2.0 * EDGE_PX {
                lines.push(port.clone());
            } else {
                lines.pop();
                lines.push(line);
            }
        }
        lines
    }

    fn title(&mut self) -> f64 {
        let at = (EDGE_PX, EDGE_PX + TITLE_PX);
        self.text(at, &self.circuit.name.clone(), TITLE_PX, Anchor::Start, true, BLACK);
        let mut y = EDGE_PX + TITLE_PX + 4.0;
        for line in self.ports() {
            y += 16.0;
            self.text((EDGE_PX, y), &line, NAME_PX, Anchor::Start, false, GRAY);
        }
        y + 6.0
    }

    fn text(&mut self, at: Px, text: &str, size_px: f64, anchor: Anchor, bold: bool, color: RGBColor) {
        let text = Text { at, text: text.to_string(), size_px, bold, color, anchor, upward: false };
        self.scene.items.push(Item::Text(text));
    }

    fn wire(&mut self, points: &[Px]) {
        self.scene.line(points, WIRE);
    }

    fn fill(&mut self, points: Vec<Px>) {
        self.scene.items.push(Item::Fill { points, color: BLACK });
    }

    /// A net's name; a port's stands out.
    fn net(&mut self, at: Px, net: &str, anchor: Anchor) {
        let port = self.is_port(net);
        self.text(at, net, NET_PX, anchor, port, if port { BLUE } else { BLACK });
    }

    fn is_port(&self, net: &str) -> bool {
        self.circuit.ports.iter().any(|port| port == net)
    }

    /// Room left and right of a column's line.
    fn room(&self, column: &Column) -> (f64, f64) {
        let net = |text: &str| text_width_px(text, NET_PX, self.is_port(text));
        let (mut left, mut right) = (30.0f64, 40.0f64);
        for element in &column.elements {
            let beside = |name: &str, label: &str| {
                10.0 + text_width_px(name, NAME_PX, false).max(text_width_px(label, SIZE_PX, false))
            };
            match element {
                Element::Mos(mos) => {
                    left = left.max(52.0 + net(&mos.gate));
                    right = right.max(beside(&mos.name, &mos.label));
                }
                Element::Gate { n, p } => {
                    left = left.max(72.0 + net(&n.gate));
                    right = right.max(72.0 + net(&p.gate)).max(8.0 + text_width_px(&gate_label(n, p), SIZE_PX, false));
                }
                Element::Pair(pair) => right = right.max(16.0 + beside(&pair.name, &pair.label)),
            }
        }
        let names = column.nets.iter().map(|text| 12.0 + net(text));
        (left + 8.0, names.fold(right, f64::max) + 12.0)
    }

    fn column(&mut self, column: &Column, x: f64, top: f64, rows: f64) {
        let length = column.elements.len() as f64;
        let (first, last) = (&column.nets[0], &column.nets[column.nets.len() - 1]);
        let shift = match (is_supply(first), is_ground(last)) {
            (true, _) => 0.0,
            (false, true) => rows - length,
            (false, false) => 0.5 * (rows - length),
        };
        let y = top + shift * PITCH_PX;
        for (k, element) in column.elements.iter().enumerate() {
            let span = (y + k as f64 * PITCH_PX, y + (k + 1) as f64 * PITCH_PX);
            match element {
                Element::Mos(mos) => self.mos(mos, x, span, &column.nets[k]),
                Element::Gate { n, p } => self.gate(n, p, x, span),
                Element::Pair(pair) => self.pair(pair, x, span, &column.nets[k]),
            }
        }
        let mut end = y + length * PITCH_PX;
        if is_supply(first) && is_ground(last) && length < rows {
            // Both rails of a short stack are in line with the others'.
            self.wire(&[(x, end), (x, top + rows * PITCH_PX)]);
            end = top + rows * PITCH_PX;
        }
        let inner = column.nets.len() - 1;
        for (k, net) in column.nets.iter().enumerate() {
            let at = if k == inner { end } else { y + k as f64 * PITCH_PX };
            self.node(net, (x, at), k == 0, k == inner);
        }
    }

    /// A node of a column: a rail, an end with its name, or a dot with its name where something else is connected.
    fn node(&mut self, net: &str, (x, y): Px, first: bool, last: bool) {
        if is_supply(net) && (first || last) {
            let up = if first { -1.0 } else { 1.0 };
            self.wire(&[(x, y), (x, y + 6.0 * up)]);
            self.scene.line(&[(x - 13.0, y + 6.0 * up), (x + 13.0, y + 6.0 * up)], PLATE);
            self.net((x, if first { y - 12.0 } else { y + 20.0 }), net, Anchor::Middle);
        } else if is_ground(net) && last {
            self.wire(&[(x, y), (x, y + 6.0)]);
            for (k, half) in [11.0, 7.0, 3.0].into_iter().enumerate() {
                let at = y + 6.0 + 4.0 * k as f64;
                self.wire(&[(x - half, at), (x + half, at)]);
            }
        } else if first || last {
            let ring = |color, line_px| Item::Circle { center: (x, y), radius_px: 3.2, color, line_px };
            self.scene.items.extend([ring(WHITE, None), ring(BLACK, Some(1.5))]);
            self.net((x, if first { y - 8.0 } else { y + 17.0 }), net, Anchor::Middle);
        } else {
            if self.circuit.terminals().get(net).is_some_and(|count| *count > 2) {
                let (radius_px, line_px) = (3.0, None);
                self.scene.items.push(Item::Circle { center: (x, y), radius_px, color: BLACK, line_px });
            }
            self.net((x + 8.0, y + 4.5), net, Anchor::Start);
        }
    }

    /// The channel of a transistor at `x`, its gate on the left (`side` -1) or on the right (1).
    fn channel(&mut self, mos: &Mos, x: f64, (y0, y1): (f64, f64), side: f64, source_above: Option<bool>) {
        let middle = 0.5 * (y0 + y1);
        let (bar, plate) = (x + 12.0 * side, x + 18.0 * side);
        let ends = [middle - 0.75 * CHANNEL_PX, middle + 0.75 * CHANNEL_PX];
        self.wire(&[(x, y0), (x, ends[0]), (bar, ends[0])]);
        self.wire(&[(bar, ends[1]), (x, ends[1]), (x, y1)]);
        self.scene.line(&[(bar, middle - CHANNEL_PX), (bar, middle + CHANNEL_PX)], PLATE);
        self.scene.line(&[(plate, middle - 0.8 * CHANNEL_PX), (plate, middle + 0.8 * CHANNEL_PX)], PLATE);
        let mut lead = plate;
        if mos.polarity == Polarity::P {
            let center = (plate + 5.0 * side, middle);
            self.scene.items.push(Item::Circle { center, radius_px: 3.8, color: BLACK, line_px: Some(1.5) });
            lead = plate + 9.0 * side;
        }
        let end = x + 40.0 * side;
        self.wire(&[(lead, middle), (end, middle)]);
        let anchor = if side < 0.0 { Anchor::End } else { Anchor::Start };
        self.net((end + 4.0 * side, middle + 4.5), &mos.gate, anchor);
        // The arrow lies on the source, from P to N.
        if let Some(above) = source_above {
            let y = if above { ends[0] } else { ends[1] };
            let into_channel = mos.polarity == Polarity::P;
            let (tip, base) = if into_channel { (bar, bar - 7.0 * side) } else { (x, x + 7.0 * side) };
            self.fill(vec![(tip, y), (base, y - 3.5), (base, y + 3.5)]);
        }
    }

    fn mos(&mut self, mos: &Mos, x: f64, span: (f64, f64), above: &str) {
        self.channel(mos, x, span, -1.0, Some(mos.source == above));
        let middle = 0.5 * (span.0 + span.1);
        self.text((x + 8.0, middle - 1.0), &mos.name, NAME_PX, Anchor::Start, false, BLACK);
        self.text((x + 8.0, middle + 12.0), &mos.label, SIZE_PX, Anchor::Start, false, GRAY);
    }

    fn gate(&mut self, n: &Mos, p: &Mos, x: f64, (y0, y1): (f64, f64)) {
        let (top, bottom) = (y0 + 8.0, y1 - 20.0);
        self.wire(&[(x, y0), (x, top)]);
        self.wire(&[(x - 18.0, top), (x + 18.0, top)]);
        self.wire(&[(x - 18.0, bottom), (x + 18.0, bottom)]);
        self.wire(&[(x, bottom), (x, y1)]);
        self.channel(n, x - 18.0, (top, bottom), -1.0, None);
        self.channel(p, x + 18.0, (top, bottom), 1.0, None);
        self.text((x + 6.0, y1 - 7.0), &gate_label(n, p), SIZE_PX, Anchor::Start, false, GRAY);
    }

    fn pair(&mut self, pair: &Pair, x: f64, (y0, y1): (f64, f64), above: &str) {
        let middle = 0.5 * (y0 + y1);
        let plus_above = pair.nets[0] == *above;
        let half = match pair.name.as_bytes()[0] {
            b'c' => {
                for y in [middle - 3.5, middle + 3.5] {
                    self.scene.line(&[(x - 14.0, y), (x + 14.0, y)], PLATE);
                }
                3.5
            }
            b'v' | b'i' | b'b' => {
                let line_px = Some(1.5);
                self.scene.items.push(Item::Circle { center: (x, middle), radius_px: 15.0, color: BLACK, line_px });
                let down = if plus_above { 1.0 } else { -1.0 };
                if pair.name.starts_with('v') {
                    self.text((x, middle - 3.0 * down + 4.0), "+", 14.0, Anchor::Middle, false, BLACK);
                } else {
                    self.wire(&[(x, middle - 9.0 * down), (x, middle + 4.0 * down)]);
                    let tip = middle + 10.0 * down;
                    self.fill(vec![(x, tip), (x - 4.0, tip - 8.0 * down), (x + 4.0, tip - 8.0 * down)]);
                }
                15.0
            }
            b'd' => {
                let down = if plus_above { 1.0 } else { -1.0 };
                let (base, tip) = (middle - 8.0 * down, middle + 8.0 * down);
                self.fill(vec![(x, tip), (x - 9.0, base), (x + 9.0, base)]);
                self.scene.line(&[(x - 9.0, tip), (x + 9.0, tip)], PLATE);
                8.0
            }
            _ => {
                let frame = Rect { left: x - 7.0, top: middle - 16.0, right: x + 7.0, bottom: middle + 16.0 };
                self.scene.frame(frame, WIRE);
                16.0
            }
        };
        self.wire(&[(x, y0), (x, middle - half)]);
        self.wire(&[(x, middle + half), (x, y1)]);
        self.text((x + 20.0, middle - 1.0), &pair.name, NAME_PX, Anchor::Start, false, BLACK);
        self.text((x + 20.0, middle + 12.0), &pair.label, SIZE_PX, Anchor::Start, false, GRAY);
    }

    /// Room left and right of a block's left edge.
    fn block_room(&self, block: &Block) -> (f64, f64) {
        let (left, right) = sides(block);
        let widest = |pins: &[&Pin]| {
            pins.iter().map(|(_, net)| text_width_px(net, NET_PX, self.is_port(net))).fold(0.0, f64::max)
        };
        (widest(&left) + 24.0, block_width(block) + widest(&right) + 34.0)
    }

    /// Draws a block with its left edge at `x`; its height.
    fn block(&mut self, block: &Block, x: f64, top: f64) -> f64 {
        const PIN_PX: f64 = 18.0;
        let (left, right) = sides(block);
        let (width, height) = (block_width(block), 30.0 + PIN_PX * left.len().max(right.len()) as f64);
        self.scene.frame(Rect { left: x, top, right: x + width, bottom: top + height }, WIRE);
        self.text((x + 0.5 * width, top + 14.0), &block.name, NAME_PX, Anchor::Middle, true, BLACK);
        self.text((x + 0.5 * width, top + 26.0), &block.what, SIZE_PX, Anchor::Middle, false, GRAY);
        for (pins, edge, side, anchor, inside) in
            [(left, x, -1.0, Anchor::End, Anchor::Start), (right, x + width, 1.0, Anchor::Start, Anchor::End)]
        {
            for (k, (pin, net)) in pins.iter().enumerate() {
                let y = top + 38.0 + PIN_PX * k as f64;
                self.wire(&[(edge, y), (edge + 12.0 * side, y)]);
                self.text((edge - 5.0 * side, y + 4.0), pin, SIZE_PX, inside, false, GRAY);
                self.net((edge + 15.0 * side, y + 4.5), net, anchor);
            }
        }
        height
    }
}

/// A pin's name and the net on it.
type Pin = (String, String);

/// Pins on the left, and on the right: what drives by its name, else the second half.
fn sides(block: &Block) -> (Vec<&Pin>, Vec<&Pin>) {
    const OUTPUTS: [&str; 10] = ["y", "q", "qb", "out", "sgn", "wl", "wlb", "+", "-", "z"];
    let drives = |pin: &Pin| OUTPUTS.contains(&pin.0.as_str());
    if block.pins.iter().any(drives) {
        return block.pins.iter().partition(|pin| !drives(pin));
    }
    let (left, right) = block.pins.split_at(block.pins.len().div_ceil(2));
    (left.iter().collect(), right.iter().collect())
}

fn block_width(block: &Block) -> f64 {
    let (left, right) = sides(block);
    let widest = |pins: &[&Pin]| pins.iter().map(|(pin, _)| text_width_px(pin, SIZE_PX, false)).fold(0.0, f64::max);
    let title = text_width_px(&block.name, NAME_PX, true).max(text_width_px(&block.what, SIZE_PX, false)) + 16.0;
    title.max(widest(&left) + widest(&right) + 26.0).max(70.0)
}

/// What a transmission gate's two transistors are.
fn gate_label(n: &Mos, p: &Mos) -> String {
    if n.label == p.label {
        format!("{}, {}: {}", n.name, p.name, n.label)
    } else {
        format!("{}: {}, {}: {}", n.name, n.label, p.name, p.label)
    }
}
