//! Rates as bars, in SVG: a panel for each case, whose medians are bars and whose ranges are lines on them.

use std::fmt::Write as _;

use crate::report::{Line, median};

const WIDTH: f64 = 760.0;
const LABELS_WIDTH: f64 = 130.0;
/// Behind the longest bar, for its figure.
const FIGURES_WIDTH: f64 = 150.0;
const TITLE_HEIGHT: f64 = 34.0;
const BAR_HEIGHT: f64 = 18.0;
const BETWEEN_BARS: f64 = 6.0;
const MARGIN: f64 = 12.0;

pub(crate) fn svg(lines: &[Line]) -> String {
    let panels: Vec<&[Line]> = lines.chunk_by(|a, b| a.case == b.case).collect();
    let (mut body, mut top) = (String::new(), MARGIN);
    for panel in panels {
        top = draw(&mut body, panel, top) + MARGIN;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Gives where it ends.
fn draw(body: &mut String, panel: &[Line], top: f64) -> f64 {
    let highest = panel.iter().map(|line| line.range().1).fold(1.0, f64::max);
    let scale = (WIDTH - LABELS_WIDTH - FIGURES_WIDTH - 2.0 * MARGIN) / highest;
    let left = MARGIN + LABELS_WIDTH;
    let title = panel.first().map(|line| line.case.to_string()).unwrap_or_default();
    // Writing to a `String` cannot fail.
    let _ = writeln!(body, r#"<text x="{MARGIN}" y="{:.1}" font-weight="bold">{title}</text>"#, top + 16.0);
    let mut y = top + TITLE_HEIGHT - BETWEEN_BARS;
    for line in panel {
        let rate = median(line.rates());
        let (low, high) = line.range();
        let (middle, baseline) = (y + BAR_HEIGHT / 2.0, y + BAR_HEIGHT - 4.0);
        let fill = if matches!(line.contender.name(), "service" | "no-op") { "#b7410e" } else { "#8a9ba8" };
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{left}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{fill}\"/>\n\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#222\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{baseline:.1}\">{} messages/s</text>",
            left - 8.0,
            line.contender.name(),
            rate * scale,
            left + low * scale,
            left + high * scale,
            left + high * scale + 8.0,
            thousands(rate),
        );
        y += BAR_HEIGHT + BETWEEN_BARS;
    }
    y
}

/// `1234567` as `1 234 567`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}
