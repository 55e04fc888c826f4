//! A plot as SVG: lines over time, with axes that people can read.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 28.0;

/// A line: its name, its colour's place in the page's list, and its points as (second, value).
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// How the values' axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Linear,
    Logarithmic,
}

/// Lines over time, and spans of time that are shaded, as (from, until, what).
pub(crate) fn plot(title: &str, unit: &str, axis: Axis, lines: &[Line], spans: &[(f64, f64, String)]) -> String {
    let values = || lines.iter().flat_map(|line| line.points.iter());
    let end = values().map(|(second, _)| *second).fold(1.0, f64::max);
    let top = values().map(|(_, value)| *value).fold(1.0, f64::max);
    let low = values().map(|(_, value)| *value).filter(|value| *value > 0.0).fold(top, f64::min);
    let ticks = ticks(axis, low, top);
    let (floor, ceiling) = (ticks[0], ticks[ticks.len() - 1]);
    let x = |second: f64| LEFT + second / end * (WIDTH - LEFT - RIGHT);
    let share = |value: f64| match axis {
        Axis::Linear => (value - floor) / (ceiling - floor),
        Axis::Logarithmic => (value.max(floor) / floor).ln() / (ceiling / floor).ln(),
    };
    let y = |value: f64| HEIGHT - BOTTOM - share(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg =
        format!("<figure><figcaption>{title}, {unit}</figcaption><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>");
    for (from, until, what) in spans {
        let (from, until) = (x(from.min(end)), x(until.min(end)));
        push(
            &mut svg,
            format_args!(
                "<rect class='span' x='{from:.1}' y='{TOP}' width='{:.1}' height='{:.1}'><title>{what}</title></rect>",
                (until - from).max(1.0),
                HEIGHT - TOP - BOTTOM
            ),
        );
    }
    push(&mut svg, format_args!("<text x='{:.1}' y='10' text-anchor='end'>{unit}</text>", LEFT - 6.0));
    for tick in &ticks {
        let at = y(*tick);
        push(
            &mut svg,
            format_args!(
                "<line class='grid' x1='{LEFT}' x2='{:.1}' y1='{at:.1}' y2='{at:.1}'/><text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                short(*tick)
            ),
        );
    }
    for fifth in 0..=5 {
        let second = end * f64::from(fifth) / 5.0;
        push(
            &mut svg,
            format_args!(
                "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{second:.0} s</text>",
                x(second),
                HEIGHT - 8.0
            ),
        );
    }
    for (place, line) in lines.iter().enumerate() {
        let points: Vec<String> =
            line.points.iter().map(|(second, value)| format!("{:.1},{:.1}", x(*second), y(*value))).collect();
        push(
            &mut svg,
            format_args!(
                "<polyline class='c{place}' points='{}'><title>{}</title></polyline>",
                points.join(" "),
                line.name
            ),
        );
    }
    svg.push_str("</svg><p>");
    for (place, line) in lines.iter().enumerate() {
        push(&mut svg, format_args!("<span class='key c{place}'>{}</span> ", line.name));
    }
    svg + "</p></figure>"
}

fn push(svg: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = svg.write_fmt(what);
}

/// Round values from below the least to above the greatest.
fn ticks(axis: Axis, low: f64, top: f64) -> Vec<f64> {
    match axis {
        Axis::Linear => {
            let rough = top / 4.0;
            let power = 10_f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough);
            (0..=4).map(|index| f64::from(index) * step.unwrap_or(rough)).collect()
        }
        Axis::Logarithmic => {
            let (from, until) = (low.log10().floor(), top.log10().ceil());
            let mut ticks = vec![10_f64.powf(from)];
            while ticks.len() < 2 || ticks[ticks.len() - 1] < 10_f64.powf(until) {
                ticks.push(ticks[ticks.len() - 1] * 10.0);
            }
            ticks
        }
    }
}

/// `1500000` as `1.5M`.
fn short(value: f64) -> String {
    let (scaled, letter) = match value {
        value if value >= 1e9 => (value / 1e9, "G"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{scaled:.2}");
    format!("{}{letter}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_around_what_they_show() {
        assert_eq!(ticks(Axis::Linear, 0.0, 7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(Axis::Logarithmic, 3.0, 250.0), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!([0.5, 20.0, 1_500.0, 2e6].map(short), ["0.5", "20", "1.5k", "2M"]);
    }

    #[test]
    fn every_line_is_drawn_and_named_even_without_points() {
        let lines = [
            Line { name: "p50".into(), points: vec![(0.0, 1.0), (1.0, 10.0)] },
            Line { name: "p99".into(), points: vec![] },
        ];
        let svg = plot("late", "ms", Axis::Logarithmic, &lines, &[]);
        assert_eq!((svg.matches("<polyline").count(), svg.matches("class='key").count()), (2, 2));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains(">ms</text>") && svg.contains(">1 s</text>"), "both axes say their unit: {svg}");
    }
}
