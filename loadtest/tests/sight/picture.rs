//! A dashboard as a picture: its rows and panels as Grafana would place them, with what Prometheus answers.

use std::fmt::Write;

use serde_json::Value;

use crate::{artefacts::panels, prometheus::Prometheus};

/// A line: its legend, and its points in seconds since 1970.
type Line = (String, Vec<(f64, f64)>);

/// One unit of Grafana's grid, in pixels.
const CELL: (f64, f64) = (50.0, 30.0);
/// Around a plot: left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (52.0, 14.0, 34.0, 44.0);
/// Where nothing has a colour of its own.
const PALETTE: [&str; 8] = ["#5794f2", "#73bf69", "#f2cc0c", "#ff9830", "#b877d9", "#37872d", "#fa6400", "#8ab8ff"];
/// Colours of the dashboards, by Grafana's names.
const NAMED: [(&str, &str); 5] =
    [("green", "#73bf69"), ("blue", "#5794f2"), ("yellow", "#f2cc0c"), ("orange", "#ff9830"), ("red", "#f2495c")];

/// Draws a dashboard over a span of time, in seconds since 1970.
pub(crate) async fn draw(board: &Value, prometheus: &Prometheus, from: f64, to: f64) -> String {
    let all = board["panels"].as_array().expect("panels");
    let bottom = |panel: &Value| at(panel, "y") + at(panel, "h");
    let (width, height) = (24.0 * CELL.0, all.iter().map(bottom).fold(0.0, f64::max) * CELL.1 + 50.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#111217\"/>\n"
    );
    text(&mut svg, (14.0, 32.0), 20, "#d8d9da", board["title"].as_str().unwrap_or_default());
    for row in all.iter().filter(|panel| panel["type"] == "row") {
        let y = at(row, "y") * CELL.1 + 70.0;
        text(&mut svg, (14.0, y), 14, "#d8d9da", row["title"].as_str().unwrap_or_default());
    }
    for panel in panels(board) {
        let mut lines: Vec<Line> = Vec::new();
        for target in panel["targets"].as_array().expect("queries") {
            let expr = crate::truth::with_everything(target["expr"].as_str().expect("an expression"));
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            for (labels, points) in prometheus.range(&expr.replace("[1m]", "[5s]"), from, to).await {
                let name = labels.iter().fold(legend.to_owned(), |name, (label, value)| {
                    name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
                });
                lines.push((name, points));
            }
        }
        draw_panel(&mut svg, panel, &lines, (from, to));
    }
    svg + "</svg>\n"
}

fn at(panel: &Value, side: &str) -> f64 {
    panel["gridPos"][side].as_f64().expect("a place")
}

fn draw_panel(svg: &mut String, panel: &Value, lines: &[Line], (from, to): (f64, f64)) {
    let (x, y) = (at(panel, "x") * CELL.0 + 4.0, at(panel, "y") * CELL.1 + 54.0);
    let (w, h) = (at(panel, "w") * CELL.0 - 8.0, at(panel, "h") * CELL.1 - 8.0);
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"3\" fill=\"#181b1f\" stroke=\"#2c3235\"/>"
    );
    text(svg, (x + 10.0, y + 20.0), 12, "#ccccdc", panel["title"].as_str().unwrap_or_default());
    let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
    if panel["type"] == "stat" {
        let now = lines.first().and_then(|(_, points)| points.last());
        let shown = now.map_or_else(|| "no data".to_owned(), |(_, value)| with_unit(*value, unit));
        text(svg, (x + 10.0, y + h - 16.0), 26, "#73bf69", &shown);
        return;
    }
    let (left, top) = (x + MARGIN.0, y + MARGIN.2);
    let (plot_w, plot_h) = (w - MARGIN.0 - MARGIN.1, h - MARGIN.2 - MARGIN.3);
    let most = lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value).filter(|value| value.is_finite());
    let most = rounded_up(most.fold(0.0, f64::max));
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let line_y = top + plot_h * (1.0 - share);
        let _ = writeln!(svg, "<path d=\"M{left:.1} {line_y:.1}h{plot_w:.1}\" stroke=\"#2c3235\"/>");
        text(svg, (x + 6.0, line_y + 4.0), 10, "#8e8e8e", &with_unit(most * share, unit));
    }
    let mut legend_x = left;
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = colour(panel, name).unwrap_or(PALETTE[index % PALETTE.len()]);
        let (mut path, mut is_gap) = (String::new(), true);
        for (time, value) in points {
            let px = left + plot_w * (time - from) / (to - from);
            let py = top + plot_h * (1.0 - value / most);
            // Where nothing was observed there is no percentile, and no line.
            if value.is_finite() {
                let _ = write!(path, "{}{px:.1} {py:.1}", if is_gap { "M" } else { "L" });
            }
            is_gap = !value.is_finite();
        }
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-linecap=\"round\"/>"
        );
        let length = 22.0 + 6.2 * f64::from(u16::try_from(name.len()).unwrap_or(u16::MAX));
        if legend_x + length < x + w {
            let legend_y = y + h - 14.0;
            let _ =
                writeln!(svg, "<path d=\"M{legend_x:.1} {legend_y:.1}h12\" stroke=\"{colour}\" stroke-width=\"3\"/>");
            text(svg, (legend_x + 16.0, legend_y + 4.0), 11, "#ccccdc", name);
            legend_x += length;
        }
    }
}

/// The colour that the dashboard gives a name.
fn colour(panel: &Value, name: &str) -> Option<&'static str> {
    let has = |rule: &&Value| {
        let words = rule["matcher"]["options"].as_str().unwrap_or_default();
        words.trim_matches(['/', '^', '(', ')', '$']).split('|').any(|word| word == name)
    };
    let rule = panel["fieldConfig"]["overrides"].as_array()?.iter().find(has)?;
    let named = rule["properties"][0]["value"]["fixedColor"].as_str()?;
    Some(NAMED.iter().find(|(name, _)| *name == named).map_or("#8e8e8e", |(_, colour)| colour))
}

fn text(svg: &mut String, (x, y): (f64, f64), size: u32, colour: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{colour}\">{text}</text>");
}

/// The next number that reads well.
fn rounded_up(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let ten = 10f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].iter().map(|step| step * ten).find(|round| *round >= most).unwrap_or(most)
}

fn with_unit(value: f64, unit: &str) -> String {
    let plain = |value: f64| {
        let digits = if value >= 10.0 || value == 0.0 { 0 } else { 2 };
        let written = format!("{value:.digits$}");
        if written.contains('.') { written.trim_end_matches('0').trim_end_matches('.').to_owned() } else { written }
    };
    match unit {
        "percentunit" => format!("{} %", plain(value * 100.0)),
        "bytes" => format!("{} MiB", plain(value / 1_048_576.0)),
        "s" if value > 0.0 && value < 1.0 => format!("{} ms", plain(value * 1000.0)),
        "s" => format!("{} s", plain(value)),
        "ops" | "reqps" => format!("{}/s", plain(value)),
        _ => plain(value),
    }
}
