//! Two runs side by side, with ratios.

use std::fmt::Write;

use super::outcome::Outcome;

/// A table of two runs' figures: of the first, of the second, and the second in per cent of the first.
pub fn compare(first: &Outcome, second: &Outcome) -> String {
    let mut table = String::new();
    let mut row = |what: &str, one: &str, other: &str, ratio: &str| {
        // A String takes everything.
        let _ = writeln!(table, "{what:<42}{one:>18}{other:>18}{ratio:>9}");
    };
    row("", &title(first), &title(second), "");
    row("verdict", verdict(first), verdict(second), "");
    for ((what, one), (_, other)) in figures(first).into_iter().zip(figures(second)) {
        let ratio = (other * 100).checked_div(one).map_or_else(String::new, |ratio| format!("{ratio} %"));
        row(what, &one.to_string(), &other.to_string(), &ratio);
    }
    if first.scenario != second.scenario || first.told.all != second.told.all {
        table.push_str("These are not runs of the same stream: ratios of what is not per event mean little.\n");
    }
    if first.machine.cpu != second.machine.cpu || first.machine.cores != second.machine.cores {
        table.push_str("These ran on different machines.\n");
    }
    table
}

fn title(outcome: &Outcome) -> String {
    let commit = if outcome.commit.is_empty() { "?" } else { &outcome.commit };
    format!("{} {commit}", outcome.scenario.chars().take(8).collect::<String>())
}

fn verdict(outcome: &Outcome) -> &'static str {
    if outcome.is_good() { "holds" } else { "FAILS" }
}

fn figures(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let (ledger, confirmed, used) = (&outcome.told_to_ledger, &outcome.told_to_confirmed, &outcome.used);
    vec![
        ("tellings", outcome.told.all),
        ("events a second", used.events_per_second),
        ("told → ledger, p50 in µs", ledger.p50_us),
        ("told → ledger, p99 in µs", ledger.p99_us),
        ("told → ledger, p99.9 in µs", ledger.p999_us),
        ("told → in Exist, p50 in µs", confirmed.p50_us),
        ("told → in Exist, p99 in µs", confirmed.p99_us),
        ("Redis CPU per event in µs", used.redis_cpu_us_per_event),
        ("Redis commands per event", used.redis_commands_per_event),
        ("bytes that Redis keeps per event", used.redis_bytes_per_event),
        ("services' CPU per event in µs", used.worker_cpu_us_per_event),
        ("memory of the largest process in kB", used.rss_kb_max.values().max().copied().unwrap_or(0)),
        ("the most entries in streams", used.backlog_max),
        ("requests to Exist", outcome.exist.requests),
        ("from the last telling until right, in ms", outcome.converged_ms.unwrap_or(0)),
    ]
}
