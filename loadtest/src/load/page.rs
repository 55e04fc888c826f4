//! A run as one page of HTML that needs nothing else: no script, no font, no picture from anywhere.

use std::fmt::Write;

use super::{
    lateness::LateInSecond,
    outcome::{Check, Outcome},
    plot::{Axis, Line, plot},
};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #8884; --a: #0969da; --b: #bc4c00; --c: #1a7f37; --d: #8250df }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --a: #58a6ff; --b: #f0883e; --c: #3fb950; --d: #bc8cff } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 820px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2em .6em .2em 0; border-bottom: 1px solid var(--soft); vertical-align: top }
.good { color: var(--c) } .bad { color: #cf222e; font-weight: 600 } figure { margin: 1.5em 0 } figcaption { font-weight: 600 }
svg { width: 100%; height: auto } svg text { font-size: 11px; fill: var(--ink) } .grid { stroke: var(--soft) } .span { fill: var(--soft) }
polyline { fill: none; stroke-width: 1.5 } .c0 { stroke: var(--a); color: var(--a) } .c1 { stroke: var(--b); color: var(--b) } .c2 { stroke: var(--c); color: var(--c) } .c3 { stroke: var(--d); color: var(--d) }
.key::before { content: '— ' } .key { margin-right: 1em }";

/// The whole page.
pub fn page(outcome: &Outcome) -> String {
    let (word, class) = if outcome.is_good() { ("everything holds", "good") } else { ("NOT everything holds", "bad") };
    let title = text(&outcome.scenario);
    let machine = &outcome.machine;
    let seed = outcome.seed.map_or_else(|| "recorded".to_owned(), |seed| format!("seed {seed}"));
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{title}: {word}</title><style>{STYLE}</style>\
         <h1>{title}: <span class={class}>{word}</span></h1><p>{}</p>\
         <p>{} people, {} tellings, {seed}, commit {}, {}. {}, {} cores, {} MB, Linux {}, Redis {}, load {}.</p>",
        text(&outcome.about),
        outcome.people,
        outcome.told.all,
        text(&outcome.commit),
        text(&outcome.at),
        text(&machine.cpu),
        machine.cores,
        machine.memory_mb,
        text(&machine.kernel),
        text(&machine.redis),
        text(&machine.load),
    );
    page.push_str("<h2>What had to hold</h2><table><tr><th><th>what<th>found<th>allowed");
    for Check { what, found, bound, holds } in &outcome.checks {
        let (word, class) = if *holds { ("holds", "good") } else { ("FAILS", "bad") };
        push(
            &mut page,
            format_args!("<tr><td class={class}>{word}<td>{}<td>{}<td>{}", text(what), text(found), text(bound)),
        );
    }
    page.push_str("</table>");
    figures(&mut page, outcome);
    plots(&mut page, outcome);
    page + "</html>\n"
}

fn figures(page: &mut String, outcome: &Outcome) {
    page.push_str("<h2>Figures</h2><table><tr><th>in ms<th>p50<th>p90<th>p99<th>p99.9<th>max<th>of");
    let mut lates = vec![
        ("due → told: the load test's own", outcome.told_late),
        ("told → taken", outcome.told_to_taken),
        ("told → ledger", outcome.told_to_ledger),
        ("told → in Exist", outcome.told_to_confirmed),
    ];
    if let Some(others) = outcome.others {
        lates.extend([
            ("others → ledger, before and after", others.quiet),
            ("others → ledger, beside the hot user", others.hot),
        ]);
    }
    for (what, late) in lates {
        push(page, format_args!("<tr><td>{what}"));
        for us in [late.p50_us, late.p90_us, late.p99_us, late.p999_us, late.max_us] {
            push(page, format_args!("<td>{}.{}", us / 1_000, us % 1_000 / 100));
        }
        push(page, format_args!("<td>{}", late.count));
    }
    page.push_str("</table><table>");
    let used = &outcome.used;
    let rows = [
        ("events a second", used.events_per_second),
        ("Redis CPU per event, µs", used.redis_cpu_us_per_event),
        ("Redis commands per event", used.redis_commands_per_event),
        ("bytes that Redis keeps per event", used.redis_bytes_per_event),
        ("services' CPU per event, µs", used.worker_cpu_us_per_event),
        ("the most entries in streams", used.backlog_max),
        ("requests to Exist", outcome.exist.requests),
        ("values in them", outcome.exist.values),
        ("webhooks sent again", outcome.told.sent_again),
        ("dead letters", outcome.dead_letters),
    ];
    for (what, figure) in rows {
        push(page, format_args!("<tr><td>{what}<td>{figure}"));
    }
    for (state, count) in &outcome.counts.states {
        push(page, format_args!("<tr><td>transactions {}<td>{count}", text(state)));
    }
    page.push_str("</table>");
}

fn plots(page: &mut String, outcome: &Outcome) {
    let spans: Vec<(f64, f64, String)> = outcome
        .happened
        .iter()
        .map(|span| (as_f64(span.from_ms) / 1e3, as_f64(span.until_ms) / 1e3, text(&span.what)))
        .collect();
    page.push_str("<h2>Over time</h2>");
    if !spans.is_empty() {
        let said: Vec<&str> = spans.iter().map(|(_, _, what)| what.as_str()).collect();
        push(page, format_args!("<p>Shaded: {}.</p>", said.join(", ")));
    }
    for (what, late) in [
        ("From told to the ledger, by when it was due", &outcome.told_to_ledger_by_second),
        ("From told to Exist, by when it was due", &outcome.told_to_confirmed_by_second),
    ] {
        page.push_str(&plot(what, "ms", Axis::Logarithmic, &percentiles(late), &spans));
    }
    let over = |name: &str, value: &dyn Fn(&super::meter::Sample) -> u64| {
        let points = outcome.samples.iter().map(|sample| (as_f64(sample.at_ms) / 1e3, as_f64(value(sample)))).collect();
        Line { name: name.to_owned(), points }
    };
    let rate = |name: &str, value: &dyn Fn(&super::meter::Sample) -> u64| {
        let pairs = outcome.samples.windows(2).filter(|pair| pair[1].at_ms > pair[0].at_ms);
        let points = pairs.map(|pair| {
            let span = as_f64(pair[1].at_ms - pair[0].at_ms) / 1e3;
            (as_f64(pair[1].at_ms) / 1e3, as_f64(value(&pair[1]).saturating_sub(value(&pair[0]))) / span)
        });
        Line { name: name.to_owned(), points: points.collect() }
    };
    let throughput = [rate("told", &|at| at.told), rate("appended", &|at| at.appended), rate("ended", &|at| at.ended)];
    page.push_str(&plot("Throughput", "a second", Axis::Linear, &throughput, &spans));
    let backlog =
        [over("entries in streams", &|at| at.backlog), over("changes not in Exist yet", &|at| at.unconfirmed)];
    page.push_str(&plot("Backlog", "how many", Axis::Linear, &backlog, &spans));
    let redis = [over("Redis", &|at| at.redis_bytes)];
    page.push_str(&plot("Redis' memory", "bytes", Axis::Linear, &redis, &spans));
    let services =
        outcome.used.rss_kb_max.keys().map(|role| over(role, &|at| at.rss_kb.get(role).copied().unwrap_or(0) * 1_024));
    page.push_str(&plot(
        "Memory of the largest process of each service",
        "bytes",
        Axis::Linear,
        &services.collect::<Vec<_>>(),
        &spans,
    ));
}

fn percentiles(late: &[LateInSecond]) -> Vec<Line> {
    let line = |name: &str, value: fn(&LateInSecond) -> u64| {
        let points = late.iter().map(|late| (as_f64(late.second), as_f64(value(late)) / 1e3)).collect();
        Line { name: name.to_owned(), points }
    };
    vec![
        line("p50", |second| second.late.p50_us),
        line("p99", |second| second.late.p99_us),
        line("max", |second| second.late.max_us),
    ]
}

fn push(page: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = page.write_fmt(what);
}

/// Text as HTML has it.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;")
}

#[expect(clippy::cast_precision_loss, reason = "only drawn")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
