//! Is all well?

use crate::board::{Dashboard, lines, row, stat};

pub(super) fn board() -> Dashboard {
    Dashboard {
        name: "overview",
        title: "Tributary: overview",
        about: "What should be zero, whether values are fresh, what flows, and why what waits does.",
        has_phases: false,
        rows: vec![
            row(
                "Should be zero",
                vec![
                    stat("Stalled stages", "short", "Not 0: open Stalled & failed, and the runbook StageStalled.")
                        .query("stages", "count(sum by (stage) (max by (stage, partition) (tributary_runnable_entries{$n})) > 0 unless on (stage) sum by (stage) (rate(tributary_entries_settled_total{$n}[5m])) > 0) or vector(0)")
                        .red_from(1.0),
                    stat("Unowned partitions", "short", "Not 0 for over a minute: are there processes of that stage? Runbook PartitionUnowned.")
                        .query("partitions", "count(max by (stage, partition) (tributary_partition_unowned_seconds{$n}) > 30) or vector(0)")
                        .red_from(1.0),
                    stat("Dead letters", "short", "Not 0: `tributary dead-letters list` says why each was set aside; decide about each.")
                        .query("letters", "sum(max by (stage, cause) (tributary_dead_letters{$n}))")
                        .red_from(1.0),
                    stat("Unknown outcomes", "short", "Not 0: values that nobody can tell from an edit. Runbook UnknownOutcome.")
                        .query("values", "max(tributary_unknown_outcome_values{$n})")
                        .red_from(1.0),
                    stat("Drift in the last hour", "short", "Not 0: somebody else writes to these attributes, or we do not. Runbook Drift.")
                        .query("values", "round(sum(increase(tributary_drift_total{$n}[1h])))")
                        .red_from(1.0),
                    stat("Firing alerts", "short", "Not 0: each alert names its runbook.")
                        .query("alerts", "count(ALERTS{alertstate=\"firing\", app=\"tributary\"}) or vector(0)")
                        .red_from(1.0),
                ],
            ),
            row(
                "Is it fresh",
                vec![
                    lines("From a record seen to its value confirmed", "s", "Rises for all sources: look at the oldest age by stage. For one: at that source.")
                        .percentiles("tributary_end_to_end_seconds", "$n, source=~\"$source\""),
                    lines("Share confirmed within 15 minutes", "percentunit", "The objective is 99 %. Below it the month's budget burns: runbook FreshnessBudgetBurn.")
                        .query("share", "sum(rate(tributary_end_to_end_seconds_bucket{$n, le=\"900\"}[1h])) / sum(rate(tributary_end_to_end_seconds_count{$n}[1h]))"),
                    stat("Error budget left of 30 days", "percentunit", "Below 0 the objective of the month is missed: no risky releases until it is back.")
                        .query("left", "1 - (1 - sum(increase(tributary_end_to_end_seconds_bucket{$n, le=\"900\"}[30d])) / sum(increase(tributary_end_to_end_seconds_count{$n}[30d]))) / 0.01"),
                    lines("Oldest runnable entry", "s", "Beyond ten minutes: too few processes of that stage, or one of them hangs. Runbook BacklogOld.")
                        .query("{{stage}}", "max by (stage) (tributary_oldest_runnable_age_seconds{$n, stage=~\"$stage\"})")
                        .red_from(600.0),
                ],
            ),
            row(
                "Flow",
                vec![
                    lines("Appended", "ops", "Falls to nothing: do polls run (Exist & sources, polls overdue)? Is fetching paused for memory?")
                        .query("{{stage}}", "sum by (stage) (rate(tributary_entries_appended_total{$n, source=~\"$source\"}[$__rate_interval]))"),
                    lines("Settled", "ops", "Below what is appended for long: the backlog grows. For the fetch stage these are polls.")
                        .query("{{stage}}", "sum by (stage) (rate(tributary_entries_settled_total{$n, stage=~\"$stage\"}[$__rate_interval]))"),
                    lines("Backlog: parked under runnable", "short", "Runnable grows: more processes. Parked grows: see why it waits, below.")
                        .query("parked", "sum(max by (stage, class) (tributary_parked_entries{$n, stage=~\"$stage\"}))")
                        .query("runnable", "sum(max by (stage, partition) (tributary_runnable_entries{$n, stage=~\"$stage\"}))")
                        .stacked(),
                ],
            ),
            row(
                "Why it waits",
                vec![
                    lines("Parked, by class", "short", "transient: a peer fails. limited: budgets. auth: connections that are off.")
                        .query("{{class}}", "sum by (class) (max by (stage, class) (tributary_parked_entries{$n, stage=~\"$stage\"}))")
                        .stacked(),
                    lines("Users over their budget at Exist", "short", "Many: `TRIBUTARY_FLUSH_AFTER` higher makes fewer, fuller requests.")
                        .query("users", "max(tributary_rate_limited_users{$n})"),
                    lines("Breakers, 1 is open", "short", "Open for ten minutes: the peer or the way to it. Runbook BreakerOpen.")
                        .query("{{peer}}", "max by (peer) (tributary_breaker_open{$n})")
                        .red_from(1.0),
                ],
            ),
        ],
    }
}
