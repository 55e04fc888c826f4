//! A trace drawn: each span a bar from its begin to its end, below what caused it.

use std::fmt::Write;

use crate::{
    collector::{Kind, Span},
    follow::Life,
};

const WIDTH: f64 = 1200.0;
const ROW: f64 = 34.0;
/// Where the bars begin; names stand left of it.
const LEFT: f64 = 290.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 96.0;
/// A bar that would be narrower is drawn this wide.
const NARROWEST: f64 = 3.0;

/// Draws the picture of the documents anew, if `PICTURES` is set.
pub(crate) fn keep(life: &Life) {
    if std::env::var_os("PICTURES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures/trace.svg");
        std::fs::write(path, draw(life)).expect("the picture is written");
    }
}

/// A service's colour.
fn colour(service: &str) -> &'static str {
    match service {
        "fetcher" => "#5794f2",
        "normaliser" => "#73bf69",
        _ => "#ff9830",
    }
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Internal => "internal",
        Kind::Server => "server",
        Kind::Client => "client",
        Kind::Producer => "producer",
        Kind::Consumer => "consumer",
    }
}

fn draw(life: &Life) -> String {
    // How deep each stands below the webhook, as its parents say.
    let rows = [
        (&life.webhook, 0),
        (&life.append_raw, 1),
        (&life.process_raw, 2),
        (&life.append_normalised, 3),
        (&life.settle_raw, 3),
        (&life.process_normalised, 4),
        (&life.settle_normalised, 5),
        (&life.send, 0),
    ];
    let begin = rows.iter().map(|(span, _)| span.begun).min().unwrap_or(0);
    let end = rows.iter().map(|(span, _)| span.ended).max().unwrap_or(1);
    // The wait for company before a request is far longer than all the rest: it is drawn short, and said.
    let traced_end = rows[..7].iter().map(|(span, _)| span.ended).max().unwrap_or(end);
    let quick = us(begin, traced_end.max(begin + 1));
    let send = us(life.send.begun, life.send.ended).max(1.0);
    let (bars, gap) = (WIDTH - LEFT - RIGHT, 90.0);
    let per_us = (bars - gap) / (quick + send);
    let place = |at: u64| {
        if at <= traced_end {
            LEFT + us(begin, at) * per_us
        } else {
            LEFT + quick * per_us + gap + us(life.send.begun, at) * per_us
        }
    };
    let height = TOP + ROW * 8.0 + 46.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#111217\"/>\n"
    );
    text(&mut svg, (14.0, 30.0), 18, "#d8d9da", "A webhook, from its answer to the request that tells Exist");
    let mut x = 14.0;
    for service in ["fetcher", "normaliser", "exist-writer"] {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"48\" width=\"14\" height=\"14\" rx=\"2\" fill=\"{}\"/>",
            colour(service)
        );
        text(&mut svg, (x + 20.0, 60.0), 12, "#ccccdc", service);
        x += 120.0;
    }
    let note = format!("trace {}, and {} that is linked to it", &life.webhook.trace[..8], &life.send.trace[..8]);
    text(&mut svg, (x + 10.0, 60.0), 12, "#8e8e8e", &note);
    for (index, (span, depth)) in rows.iter().enumerate() {
        let y = TOP + ROW * f64::from(u32::try_from(index).unwrap_or(0));
        if index % 2 == 0 {
            let _ = writeln!(
                svg,
                "<rect x=\"0\" y=\"{:.0}\" width=\"{WIDTH}\" height=\"{ROW}\" fill=\"#181b1f\"/>",
                y - 6.0
            );
        }
        text(&mut svg, (14.0 + 14.0 * f64::from(*depth), y + 14.0), 13, "#ccccdc", &span.name);
        text(&mut svg, (LEFT - 66.0, y + 14.0), 11, "#8e8e8e", word(span.kind));
        bar(&mut svg, y, place(span.begun), place(span.ended), span);
    }
    // Links: what the request carried.
    let from = TOP + ROW * 5.0 + 22.0;
    let (to, x) = (TOP + ROW * 7.0, place(life.send.begun) - 14.0);
    let _ = writeln!(
        svg,
        "<path d=\"M{:.1} {from:.1}V{:.1}H{:.1}\" fill=\"none\" stroke=\"#f2cc0c\" stroke-dasharray=\"4 3\"/>",
        place(life.process_normalised.begun) + 1.0,
        to + 10.0,
        x + 12.0
    );
    text(&mut svg, (x - 60.0, to + 4.0), 11, "#f2cc0c", "link");
    let waited = format!("… {:.1} s for company", us(traced_end, life.send.begun) / 1e6);
    text(&mut svg, (LEFT + quick * per_us + 4.0, height - 16.0), 11, "#8e8e8e", &waited);
    text(&mut svg, (LEFT, height - 16.0), 11, "#8e8e8e", "0 ms");
    svg + "</svg>\n"
}

fn bar(svg: &mut String, y: f64, from: f64, to: f64, span: &Span) {
    let width = (to - from).max(NARROWEST);
    let _ = writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"20\" rx=\"2\" fill=\"{}\"/>",
        colour(&span.service)
    );
    text(svg, (from + width + 6.0, y + 14.0), 11, "#ccccdc", &format!("{:.2} ms", us(span.begun, span.ended) / 1e3));
}

/// Microseconds from one moment to another, both in nanoseconds since 1970.
#[allow(clippy::cast_precision_loss, reason = "for a picture")]
fn us(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e3
}

fn text(svg: &mut String, (x, y): (f64, f64), size: u32, colour: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{colour}\">{text}</text>");
}
