//! Whom we call: Exist and the sources.

use crate::board::{Dashboard, lines, row};

pub(super) fn board() -> Dashboard {
    Dashboard {
        name: "exist",
        title: "Tributary: Exist & sources",
        about: "Requests, latency, budgets, values sent, connections, polls and webhooks.",
        has_phases: false,
        rows: vec![
            row(
                "Requests",
                vec![
                    lines("Requests, by peer", "reqps", "None to a source: are polls due (below)? Is its breaker open (overview)?")
                        .query("{{peer}}", "sum by (peer) (rate(tributary_peer_requests_total{$n}[$__rate_interval]))"),
                    lines("Requests, by outcome", "reqps", "auth: connections that must be renewed. refused: our requests, or a changed API. server, timeout: theirs.")
                        .query("{{outcome}}", "sum by (outcome) (rate(tributary_peer_requests_total{$n}[$__rate_interval]))")
                        .stacked(),
                    lines("p99 of a request, by peer", "s", "Rises for one: that peer is slow. For all: the way out.")
                        .p99_by("peer", "{{peer}}", "tributary_peer_request_seconds", "$n"),
                ],
            ),
            row(
                "Limits",
                vec![
                    lines("Budget used", "percentunit", "Near 1 for half an hour: more exist-writers. Runbook RateLimitSaturated.")
                        .query("{{budget}}", "max by (budget) (tributary_rate_limit_used_ratio{$n})")
                        .red_from(0.9),
                    lines("p99 of waiting for a budget", "s", "Rises with the budget used: requests come in bursts.")
                        .p99_by("budget", "{{budget}}", "tributary_rate_limit_wait_seconds", "$n"),
                    lines("429s in a quarter of an hour", "short", "exist: never expected, runbook ExistRefusedForRate. A source: its poll interval is too short.")
                        .query("{{peer}}", "sum by (peer) (increase(tributary_peer_requests_total{$n, outcome=\"limited\"}[15m]))"),
                ],
            ),
            row(
                "Values",
                vec![
                    lines("Values sent, by result", "ops", "refused: that item, with its reason in the audit. unknown: no usable answer; settled by reading back.")
                        .query("{{result}}", "sum by (result) (rate(tributary_exist_values_total{$n}[$__rate_interval]))")
                        .stacked(),
                    lines("Values sent, by mode", "ops", "increment: days that the user edits as well.")
                        .query("{{mode}}", "sum by (mode) (rate(tributary_exist_values_total{$n}[$__rate_interval]))"),
                    lines("Drift", "short", "Values that were not what we had left there. Runbook Drift.")
                        .query("{{repair}}", "sum by (repair) (increase(tributary_drift_total{$n}[1h]))"),
                ],
            ),
            row(
                "Sources",
                vec![
                    lines("Connections", "short", "off: the user must connect again, and was told so.")
                        .query("{{source}} {{state}}", "max by (source, state) (tributary_connections{$n, source=~\"$source\"})"),
                    lines("Longest overdue poll", "s", "Grows: too few fetchers, or fetching pauses (Redis' memory, a partition's backlog).")
                        .query("{{source}}", "max by (source) (tributary_poll_overdue_seconds{$n, source=~\"$source\"})"),
                    lines("Webhooks", "ops", "forged: a wrong secret. unknown: nobody is connected to that. busy: Redis is too full, they come again.")
                        .query("{{outcome}}", "sum by (outcome) (rate(tributary_webhooks_total{$n, source=~\"$source\"}[$__rate_interval]))")
                        .stacked(),
                ],
            ),
        ],
    }
}
