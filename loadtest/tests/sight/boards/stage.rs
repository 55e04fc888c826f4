//! One stage after the other.

use crate::board::{Dashboard, heatmap, lines, row, row_by_stage};

const STAGE: &str = "$n, stage=~\"$stage\"";

pub(super) fn board() -> Dashboard {
    Dashboard {
        name: "stage",
        title: "Tributary: stage",
        about: "Throughput, handling and waiting of each chosen stage. For the fetch stage an entry is a poll.",
        has_phases: false,
        rows: vec![
            row_by_stage(
                "$stage",
                vec![
                    lines("Settled, by outcome", "ops", "parked: waits for another attempt. lost: a past owner's work, done again by the next one.")
                        .query("{{outcome}}", "sum by (outcome) (rate(tributary_entries_settled_total{$n, stage=~\"$stage\"}[$__rate_interval]))")
                        .stacked(),
                    lines("Handling a batch", "s", "Rises: Redis' scripts (Leases, locks, Redis), or for fetch the source.")
                        .percentiles("tributary_handle_seconds", STAGE),
                    heatmap("Handling a batch, by duration", "s", "Two bands: a few slow ones among many fast; look for one partition or one source.")
                        .query("{{le}}", "sum by (le) (rate(tributary_handle_seconds_bucket{$n, stage=~\"$stage\"}[$__rate_interval]))"),
                    lines("Waiting in the stream", "s", "Rises while handling does not: too few processes. Polls do not wait in a stream.")
                        .percentiles("tributary_queue_wait_seconds", STAGE),
                ],
            ),
            row(
                "Processes",
                vec![
                    lines("Processes by service", "short", "Fewer than there should be: why did they end? Runbook ServiceMissing.")
                        .query("{{service}}", "count by (service) (tributary_build_info{$n})"),
                    lines("Busy share of the runtime", "percentunit", "Near 1: more CPU or more processes.")
                        .query("{{instance}}", "sum by (instance) (rate(tributary_runtime_busy_seconds_total{$n}[$__rate_interval])) / sum by (instance) (tributary_runtime_workers{$n})"),
                    lines("Tasks", "short", "queued grows: the runtime does not keep up, or a task blocks it.")
                        .query("alive {{instance}}", "sum by (instance) (tributary_runtime_alive_tasks{$n})")
                        .query("queued {{instance}}", "sum by (instance) (tributary_runtime_queued_tasks{$n})"),
                    lines("Partitions handed over in a drain", "ops", "Only while processes are told to leave: a rollout, a scaler.")
                        .query("{{stage}}", "sum by (stage) (rate(tributary_lease_moves_total{$n, cause=\"drained\"}[$__rate_interval]))"),
                ],
            ),
        ],
    }
}
