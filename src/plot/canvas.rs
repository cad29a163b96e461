//! From a scene to files: plotters' bitmap and SVG backends, written atomically.

use std::io::Write;
use std::path::{Path, PathBuf};

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, IntoTextStyle, RGBColor, ShapeStyle};

use super::compact::compact;
use super::scene::{Anchor, Item, Px, Scene, Text};
use super::style::{BITMAP_SIZE_PER_EM, FAMILY, SVG_SIZE_PER_EM, fonts};
use crate::error::{Error, Kind, Result};

/// Pixels of the PNG per pixel of the figure.
pub const PNG_SCALE: u32 = 2;
/// The bitmap is drawn this much finer and averaged: plotters' own smoothing leaves steps on thick lines.
const SUPERSAMPLING: u32 = 2;
/// plotters' SVG backend writes whole numbers: drawn at this scale, they are quarters of a pixel.
const SVG_SCALE: u32 = 4;

/// Where a figure goes: a path without extension, to which `.png` and `.svg` are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    stem: PathBuf,
}

impl Target {
    /// A target at `stem`, as in `plots/generic28/retention`. A dot in the last part of the path is no extension.
    pub fn new(stem: impl Into<PathBuf>) -> Target {
        Target { stem: stem.into() }
    }
    /// Path of the PNG.
    pub fn png(&self) -> PathBuf {
        self.with(".png")
    }
    /// Path of the SVG.
    pub fn svg(&self) -> PathBuf {
        self.with(".svg")
    }
    fn with(&self, extension: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(extension);
        PathBuf::from(path)
    }
}

/// Writes both files. The same scene gives the same bytes.
///
/// # Errors
/// [`Kind::Io`] if a file or its folder cannot be written; [`Kind::Internal`] if plotters refuses to draw.
pub fn save(scene: &Scene, target: &Target) -> Result<()> {
    if let Some(folder) = target.stem.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "create the folder", error))?;
    }
    write(&target.svg(), svg(scene)?.as_bytes())?;
    write(&target.png(), &png(scene)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        let mut file = atomic_write_file::AtomicWriteFile::open(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    attempt().map_err(|error| Error::io(path, "write the figure", error))
}

/// The figure as an SVG document.
///
/// # Errors
/// [`Kind::Internal`] if plotters refuses to draw.
pub fn svg(scene: &Scene) -> Result<String> {
    let (width, height) = scene.size_px;
    let mut text = String::new();
    let mut backend = SVGBackend::with_string(&mut text, (width * SVG_SCALE, height * SVG_SCALE));
    replay(scene, &mut backend, f64::from(SVG_SCALE), TextMetrics { size_per_em: SVG_SIZE_PER_EM, baseline_em: 0.76 })?;
    backend.present().map_err(|error| refused(&error))?;
    drop(backend);
    // The backend's own first line states the scaled size; what it writes for every shape repeats defaults.
    let body = text.split_once('\n').map_or("", |(_, body)| body).replace(" opacity=\"1\"", "");
    let body = compact(&body);
    let mut title = String::new();
    for c in scene.description.chars() {
        match c {
            '<' => title.push_str("&lt;"),
            '>' => title.push_str("&gt;"),
            '&' => title.push_str("&amp;"),
            other => title.push(other),
        }
    }
    let view = format!("0 0 {} {}", width * SVG_SCALE, height * SVG_SCALE);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{view}\" \
         role=\"img\">\n<title>{title}</title>\n{body}"
    ))
}

/// The figure as a PNG of [`PNG_SCALE`] pixels per pixel.
///
/// # Errors
/// [`Kind::Internal`] if plotters refuses to draw; [`Kind::Io`] if there is no room for temporary files.
pub fn png(scene: &Scene) -> Result<Vec<u8>> {
    let scale = PNG_SCALE * SUPERSAMPLING;
    let (width, height) = (scene.size_px.0 * scale, scene.size_px.1 * scale);
    let mut fine = vec![255u8; (width * height * 3) as usize];
    {
        let mut backend = BitMapBackend::with_buffer(&mut fine, (width, height));
        // plotters sets a glyph's baseline half of the font's size below the top.
        let metrics = TextMetrics { size_per_em: BITMAP_SIZE_PER_EM, baseline_em: 0.5 * BITMAP_SIZE_PER_EM };
        replay(scene, &mut backend, f64::from(scale), metrics)?;
        backend.present().map_err(|error| refused(&error))?;
    }
    let (columns, rows) = (width / SUPERSAMPLING, height / SUPERSAMPLING);
    let image = averaged(&fine, width as usize, columns as usize, rows as usize);
    // plotters encodes only into a file of its own.
    let io = |error: std::io::Error| Error::io(std::env::temp_dir(), "make a temporary file", error);
    let file = tempfile::Builder::new().suffix(".png").tempfile().map_err(io)?;
    {
        let mut backend = BitMapBackend::new(file.path(), (columns, rows));
        backend.blit_bitmap((0, 0), (columns, rows), &image).map_err(|error| refused(&error))?;
        backend.present().map_err(|error| refused(&error))?;
    }
    std::fs::read(file.path()).map_err(io)
}

fn averaged(fine: &[u8], fine_width: usize, columns: usize, rows: usize) -> Vec<u8> {
    let n = SUPERSAMPLING as usize;
    let mut image = Vec::with_capacity(columns * rows * 3);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..3 {
                let mut sum = 0usize;
                for y in row * n..(row + 1) * n {
                    for x in column * n..(column + 1) * n {
                        sum += usize::from(fine[(y * fine_width + x) * 3 + channel]);
                    }
                }
                image.push(((sum + n * n / 2) / (n * n)) as u8);
            }
        }
    }
    image
}

/// How a backend sizes text and where it puts the baseline of one whose upper edge is given.
#[derive(Clone, Copy)]
struct TextMetrics {
    size_per_em: f64,
    baseline_em: f64,
}

fn replay<B: DrawingBackend>(scene: &Scene, backend: &mut B, scale: f64, metrics: TextMetrics) -> Result<()> {
    fonts()?;
    let at = |(x, y): Px| ((x * scale).round() as i32, (y * scale).round() as i32);
    let ink = |color: &RGBColor, width_px: f64| ShapeStyle {
        color: color.to_rgba(),
        filled: false,
        stroke_width: (width_px * scale).round().max(1.0) as u32,
    };
    let size = (f64::from(scene.size_px.0), f64::from(scene.size_px.1));
    let corners = [(0.0, 0.0), (size.0, 0.0), size, (0.0, size.1)];
    backend.fill_polygon(corners.map(at), &ink(&RGBColor(255, 255, 255), 1.0)).map_err(|error| refused(&error))?;
    for item in &scene.items {
        let drawn = match item {
            Item::Line { points, color, width_px } => {
                backend.draw_path(points.iter().copied().map(at), &ink(color, *width_px))
            }
            Item::Fill { points, color } => backend.fill_polygon(points.iter().copied().map(at), &ink(color, 1.0)),
            Item::Circle { center, radius_px, color, line_px } => {
                let radius = (radius_px * scale).round() as u32;
                backend.draw_circle(at(*center), radius, &ink(color, line_px.unwrap_or(1.0)), line_px.is_none())
            }
            Item::Text(text) => {
                draw_text(text, backend, scale, metrics)?;
                continue;
            }
        };
        drawn.map_err(|error| refused(&error))?;
    }
    Ok(())
}

fn draw_text<B: DrawingBackend>(text: &Text, backend: &mut B, scale: f64, metrics: TextMetrics) -> Result<()> {
    let style = if text.bold { FontStyle::Bold } else { FontStyle::Normal };
    let mut font = FontDesc::new(FontFamily::Name(FAMILY), text.size_px * scale * metrics.size_per_em, style);
    let rise = text.size_px * metrics.baseline_em;
    let (mut x, mut y) = text.at;
    if text.upward {
        font = font.transform(FontTransform::Rotate270);
        x -= rise;
    } else {
        y -= rise;
    }
    let h_pos = match text.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let size = backend.get_size();
    let style = font.into_text_style(&size).pos(Pos::new(h_pos, VPos::Top));
    let style = plotters::style::TextStyle { color: text.color.to_backend_color(), ..style };
    let at = ((x * scale).round() as i32, (y * scale).round() as i32);
    backend.draw_text(&text.text, &style, at).map_err(|error| refused(&error))
}

fn refused(error: &impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("plotters cannot draw the figure: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_the_stem_is_not_an_extension() {
        let target = Target::new("plots/v1.2");
        assert_eq!((target.png(), target.svg()), ("plots/v1.2.png".into(), "plots/v1.2.svg".into()));
    }

    #[test]
    fn averaging_halves_an_image() {
        let fine = [0u8, 0, 0, 200, 200, 200, 100, 100, 100, 100, 100, 100];
        assert_eq!(averaged(&fine, 2, 1, 1), [100, 100, 100]);
    }

    #[test]
    fn a_description_cannot_break_out_of_its_element() {
        let scene = Scene { size_px: (20, 10), description: "</title><script>&".into(), items: Vec::new() };
        let svg = svg(&scene).unwrap();
        assert!(svg.contains("<title>&lt;/title&gt;&lt;script&gt;&amp;</title>"));
        assert!(svg.contains("width=\"20\" height=\"10\" viewBox=\"0 0 80 40\"") && svg.trim_end().ends_with("</svg>"));
    }
}
