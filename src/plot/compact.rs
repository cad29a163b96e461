//! Shortens what plotters' SVG backend writes: runs of shapes of one style become one path or one group, which draws the
//! same. Thousands of markers and dashes are what makes figures, and a report that embeds them, large.

/// `body` is one element per line, as the backend writes them; texts span lines and stay as they are.
pub(super) fn compact(body: &str) -> String {
    let mut out = String::with_capacity(body.len() / 2);
    let mut run: Option<Run> = None;
    for line in body.lines() {
        let shape = Shape::parse(line);
        if let (Some(run), Some(shape)) = (&mut run, &shape)
            && run.tag == shape.tag
            && run.style == shape.style
        {
            run.content.push(' ');
            run.content.push_str(&shape.content);
            continue;
        }
        if let Some(run) = run.take() {
            run.write(&mut out);
        }
        match shape {
            Some(shape) => run = Some(shape),
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    if let Some(run) = run {
        run.write(&mut out);
    }
    out
}

#[derive(PartialEq)]
enum Tag {
    /// Corners of `<polyline>` or `<polygon>`, as path data.
    Path,
    /// `<circle>`s without their style.
    Circles,
}

/// Shapes of one style.
struct Shape {
    tag: Tag,
    style: String,
    content: String,
}

type Run = Shape;

impl Shape {
    fn parse(line: &str) -> Option<Shape> {
        let value = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=\""))?;
            Some(rest.split_once('"')?.0)
        };
        let style: String = ["opacity", "fill", "stroke", "stroke-width"]
            .iter()
            .filter_map(|name| Some(format!(" {name}=\"{}\"", value(name)?)))
            .collect();
        if line.starts_with("<polyline ") {
            return Some(Shape { tag: Tag::Path, style, content: format!("M{}", value("points")?.trim()) });
        }
        if line.starts_with("<polygon ") {
            return Some(Shape { tag: Tag::Path, style, content: format!("M{}Z", value("points")?.trim()) });
        }
        if line.starts_with("<circle ") {
            let (x, y, r) = (value("cx")?, value("cy")?, value("r")?);
            let content = format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>");
            return Some(Shape { tag: Tag::Circles, style, content });
        }
        None
    }

    fn write(&self, out: &mut String) {
        let (style, content) = (&self.style, &self.content);
        out.push_str(&match self.tag {
            Tag::Path => format!("<path{style} d=\"{content}\"/>\n"),
            Tag::Circles => format!("<g{style}>{content}</g>\n"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_style_become_one_element() {
        let body = "<polyline fill=\"none\" stroke=\"#000000\" stroke-width=\"5\" points=\"1,2 3,4\"/>\n\
                    <polyline fill=\"none\" stroke=\"#000000\" stroke-width=\"5\" points=\"5,6 7,8\"/>\n\
                    <text x=\"1\">\n<b\n</text>\n\
                    <circle cx=\"1\" cy=\"2\" r=\"3\" fill=\"#FFFFFF\" stroke=\"none\"/>\n\
                    <circle cx=\"4\" cy=\"5\" r=\"6\" fill=\"#FFFFFF\" stroke=\"none\"/>\n\
                    <polygon fill=\"#FF0000\" points=\"0,0 1,0 1,1 \"/>\n</svg>\n";
        let short = "<path fill=\"none\" stroke=\"#000000\" stroke-width=\"5\" d=\"M1,2 3,4 M5,6 7,8\"/>\n\
                     <text x=\"1\">\n<b\n</text>\n\
                     <g fill=\"#FFFFFF\" stroke=\"none\"><circle cx=\"1\" cy=\"2\" r=\"3\"/> <circle cx=\"4\" cy=\"5\" r=\"6\"/></g>\n\
                     <path fill=\"#FF0000\" d=\"M0,0 1,0 1,1Z\"/>\n</svg>\n";
        assert_eq!(compact(body), short);
    }
}
