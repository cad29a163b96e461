//! Colours, fonts and marks shared by all figures.
//!
//! Colours are those of Okabe and Ito (Color Universal Design, 2008), which people with the common colour deficiencies
//! tell apart; every series also has its own dash or marker, so that a figure survives a grayscale printer.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, RGBColor, register_font};

use crate::error::{Error, Kind, Result};

/// Text and axes.
pub const BLACK: RGBColor = RGBColor(0, 0, 0);
/// Secondary text.
pub const GRAY: RGBColor = RGBColor(85, 85, 85);
/// Reference marks behind the data.
pub const SILVER: RGBColor = RGBColor(150, 150, 150);
/// Grid.
pub const GRID: RGBColor = RGBColor(222, 222, 222);
/// Bands.
pub const MIST: RGBColor = RGBColor(236, 236, 236);
/// Okabe-Ito blue.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Okabe-Ito vermillion.
pub const VERMILLION: RGBColor = RGBColor(213, 94, 0);
/// Okabe-Ito bluish green.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Okabe-Ito reddish purple.
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// Okabe-Ito orange.
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// Okabe-Ito sky blue.
pub const SKY: RGBColor = RGBColor(86, 180, 233);

/// The order in which unordered series take colours.
pub const CYCLE: [RGBColor; 7] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK];

/// Size of the figure's title [px].
pub const TITLE_PX: f64 = 20.0;
/// Size of axis titles and panel titles [px].
pub const LABEL_PX: f64 = 15.0;
/// Size of tick labels, legends and the subtitle [px].
pub const TICK_PX: f64 = 14.0;

/// The family as SVG names it; what embeds the figure without DejaVu falls back to a font of nearly the same widths.
pub const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// plotters sizes an SVG's text as size / 1.24.
pub const SVG_SIZE_PER_EM: f64 = 1.24;
/// Ascent plus descent of DejaVu Sans, by which the bitmap's rasterizer sizes text [em].
pub const BITMAP_SIZE_PER_EM: f64 = 1.164;

/// Makes DejaVu Sans known to plotters, once per process.
///
/// # Errors
/// [`Kind::Internal`] if the embedded font cannot be read.
pub fn fonts() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    if registered { Ok(()) } else { Err(Error::new(Kind::Internal, "the embedded font cannot be read")) }
}

/// Width of `text` at `size_px`, as the bitmap draws it [px].
pub fn text_width_px(text: &str, size_px: f64, bold: bool) -> f64 {
    // The rasterizer answers in whole pixels: asked at a great size, the rounding does not matter.
    const ASKED_PX: f64 = 400.0;
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = FontDesc::new(FontFamily::Name(FAMILY), ASKED_PX * BITMAP_SIZE_PER_EM, style);
    match fonts().ok().and_then(|()| font.box_size(text).ok()) {
        Some((width, _)) => f64::from(width) * size_px / ASKED_PX,
        None => 0.62 * size_px * text.chars().count() as f64,
    }
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// Dash, dot.
    DashDot,
    /// Very long dashes.
    Long,
}

impl Dash {
    /// The order in which series of the same figure take dashes.
    pub const CYCLE: [Dash; 5] = [Dash::Solid, Dash::Dashed, Dash::DashDot, Dash::Dotted, Dash::Long];

    /// Lengths drawn and left out, alternating [px]; empty for an unbroken line.
    pub fn lengths_px(self) -> &'static [f64] {
        match self {
            Dash::Solid => &[],
            Dash::Dashed => &[8.0, 5.0],
            Dash::Dotted => &[2.0, 3.5],
            Dash::DashDot => &[10.0, 4.0, 2.0, 4.0],
            Dash::Long => &[16.0, 5.0],
        }
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub color: RGBColor,
    /// Width [px].
    pub width_px: f64,
    /// Dash.
    pub dash: Dash,
}

impl Stroke {
    /// A line of the usual width.
    pub const fn new(color: RGBColor, dash: Dash) -> Stroke {
        Stroke { color, width_px: 2.0, dash }
    }
    /// A thinner line, for references.
    pub const fn thin(color: RGBColor, dash: Dash) -> Stroke {
        Stroke { color, width_px: 1.25, dash }
    }
}

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Circle.
    Circle,
    /// Square.
    Square,
    /// Triangle, point up.
    Triangle,
    /// Diamond.
    Diamond,
    /// Saltire.
    Cross,
    /// Upright cross.
    Plus,
}

impl Shape {
    /// The order in which series of the same figure take markers.
    pub const CYCLE: [Shape; 6] =
        [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond, Shape::Cross, Shape::Plus];
}

/// How a point is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marker {
    /// Shape.
    pub shape: Shape,
    /// Colour.
    pub color: RGBColor,
    /// Half of its extent [px].
    pub radius_px: f64,
    /// Filled, or an outline.
    pub filled: bool,
}

impl Marker {
    /// An outline of the usual size.
    pub const fn open(shape: Shape, color: RGBColor) -> Marker {
        Marker { shape, color, radius_px: 4.0, filled: false }
    }
    /// A filled marker of the usual size.
    pub const fn filled(shape: Shape, color: RGBColor) -> Marker {
        Marker { shape, color, radius_px: 3.5, filled: true }
    }
    /// The same at another size [px].
    pub const fn radius(mut self, radius_px: f64) -> Marker {
        self.radius_px = radius_px;
        self
    }
}

/// Colour number `i` of `n` ordered ones, from blue over gray to vermillion: dark at both ends, so that low and high
/// stand out on white and the dashes tell them apart in gray.
pub fn ramp(i: usize, n: usize) -> RGBColor {
    const STOPS: [(f64, f64, f64); 5] =
        [(0.0, 70.0, 130.0), (60.0, 150.0, 205.0), (125.0, 125.0, 125.0), (230.0, 145.0, 40.0), (165.0, 50.0, 0.0)];
    let at = if n > 1 { i as f64 / (n - 1) as f64 } else { 0.0 } * (STOPS.len() - 1) as f64;
    let k = (at.floor() as usize).min(STOPS.len() - 2);
    let mix = |a: f64, b: f64| (a + (b - a) * (at - k as f64)).round() as u8;
    let (a, b) = (STOPS[k], STOPS[k + 1]);
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_font_measures_text() {
        let (narrow, wide) = (text_width_px("iiii", 14.0, false), text_width_px("mmmm", 14.0, false));
        assert!(narrow > 10.0 && wide > 2.5 * narrow, "{narrow} {wide}");
        assert!(text_width_px("mmmm", 14.0, true) > wide);
        // DejaVu Sans: a digit is 0.636 em wide.
        assert!((text_width_px("0000000000", 10.0, false) - 63.6).abs() < 0.5);
    }

    #[test]
    fn the_ramp_has_distinct_ends() {
        assert_eq!((ramp(0, 8), ramp(7, 8)), (RGBColor(0, 70, 130), RGBColor(165, 50, 0)));
        assert_eq!(ramp(0, 1), ramp(0, 8));
    }
}
