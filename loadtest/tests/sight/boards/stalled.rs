//! What stands still, and what failed.

use crate::board::{Dashboard, heatmap, lines, row, stat, table};

pub(super) fn board() -> Dashboard {
    Dashboard {
        name: "stalled",
        title: "Tributary: stalled & failed",
        about: "Partitions that stand still, and entries that were set aside, tried again or left out, with why.",
        has_phases: false,
        rows: vec![
            row(
                "Stalled",
                vec![
                    table("Partitions without an owner, or with old entries", "short", "Value A: seconds without an owner. B: age of the oldest runnable entry, in seconds. C: runnable entries. Owners: `tributary status --json`.")
                        .query("unowned", "max by (stage, partition) (tributary_partition_unowned_seconds{$n, stage=~\"$stage\", partition=~\"$partition\"})")
                        .query("oldest", "max by (stage, partition) (tributary_oldest_runnable_age_seconds{$n, stage=~\"$stage\", partition=~\"$partition\"})")
                        .query("runnable", "max by (stage, partition) (tributary_runnable_entries{$n, stage=~\"$stage\", partition=~\"$partition\"})"),
                    heatmap("Age of the oldest runnable entry, by partition", "s", "One band: that partition's owner hangs, end it. All: too few processes, or Redis is slow.")
                        .query("{{partition}}", "max by (partition) (tributary_oldest_runnable_age_seconds{$n, stage=~\"$stage\", partition=~\"$partition\"})"),
                ],
            ),
            row(
                "Waiting",
                vec![
                    lines("Oldest entry that nobody settled", "s", "Parked ones too. Old while the oldest runnable one is not: it waits for a pause to end, or for a user's zone.")
                        .query("{{stage}}", "max by (stage) (tributary_oldest_pending_age_seconds{$n, stage=~\"$stage\"})"),
                    lines("Unsettled entries", "short", "All that waits, whatever for. Grows without runnable entries growing: parked ones, see the overview.")
                        .query("{{stage}}", "sum by (stage) (max by (stage, partition) (tributary_backlog_entries{$n, stage=~\"$stage\"}))"),
                    lines("Longest without an owner", "s", "Beyond 30 s: runbook PartitionUnowned. A dead owner is replaced within 12 s.")
                        .query("{{stage}}", "max by (stage) (tributary_partition_unowned_seconds{$n, stage=~\"$stage\"})")
                        .red_from(30.0),
                ],
            ),
            row(
                "Failed",
                vec![
                    stat("Dead letters", "short", "`tributary dead-letters list --stage … --cause …`; redrive after mending, or discard.")
                        .query("{{stage}} {{cause}}", "max by (stage, cause) (tributary_dead_letters{$n, stage=~\"$stage\"})")
                        .red_from(1.0),
                    lines("Set aside, by cause", "ops", "permanent: a record that cannot be read. poison: one that crashed its worker three times.")
                        .query("{{cause}}", "sum by (cause) (rate(tributary_dead_lettered_total{$n, stage=~\"$stage\"}[$__rate_interval]))"),
                    lines("Tried again, by class", "ops", "transient: a peer fails (Exist & sources). unknown: answers of Exist that got lost.")
                        .query("{{class}}", "sum by (class) (rate(tributary_retries_total{$n, stage=~\"$stage\"}[$__rate_interval]))"),
                ],
            ),
            row(
                "What became of it",
                vec![
                    lines("Transactions by state, as Redis counts them", "short", "errored grows: `tributary transactions USER --state errored`. disabled: connections that are off.")
                        .query("{{state}}", "sum by (state) (max by (source, state) (tributary_transactions{$n, source=~\"$source\"}))")
                        .stacked(),
                    lines("Transactions entering a state", "ops", "Many duplicates: a source tells everything again. Many dropped: its records come late or out of order.")
                        .query("{{state}}", "sum by (state) (rate(tributary_transactions_total{$n, source=~\"$source\"}[$__rate_interval]))"),
                    lines("Lines logged", "ops", "error: a person is needed. warn: we coped. The log of that moment says which.")
                        .query("{{level}}", "sum by (level) (rate(tributary_logged_total{$n, level=~\"error|warn\"}[$__rate_interval]))"),
                ],
            ),
        ],
    }
}
