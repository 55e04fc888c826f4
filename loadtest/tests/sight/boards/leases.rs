//! Ownership, locks and Redis.

use crate::board::{Dashboard, lines, row};

pub(super) fn board() -> Dashboard {
    Dashboard {
        name: "leases",
        title: "Tributary: leases, locks, Redis",
        about: "Who owns what and how often that changes, what waits for locks, and how Redis does.",
        has_phases: false,
        rows: vec![
            row(
                "Leases",
                vec![
                    lines("Partitions without an owner", "short", "Not 0 for over 12 s: no processes of that stage, or they do not reach Redis.")
                        .query("{{stage}}", "sum by (stage) (max by (stage, partition) (tributary_partition_unowned_seconds{$n, stage=~\"$stage\"}) > bool 0)"),
                    lines("Moves, by cause", "short", "expired: processes that die or stand still. balanced, drained: processes that come and go. Runbook LeasesFlapping.")
                        .query("{{cause}}", "sum by (cause) (increase(tributary_lease_moves_total{$n, stage=~\"$stage\"}[30m]))"),
                    lines("p99 of renewing all leases", "s", "Beyond a few seconds leases expire: Redis is slow, or the process is starved of CPU.")
                        .p99_by("stage", "{{stage}}", "tributary_lease_renew_seconds", "$n, stage=~\"$stage\""),
                    lines("Fenced: refused as a past owner", "short", "A few after a pause or a slow moment. Many: LeasesFlapping.")
                        .query("{{script}}", "sum by (script) (increase(tributary_fenced_total{$n, stage=~\"$stage\"}[30m]))"),
                ],
            ),
            row(
                "Key locks",
                vec![
                    lines("p99 of waiting for a key lock", "s", "Beyond 5 s: somebody holds locks for long. Runbook KeyLockContention.")
                        .p99_by("stage", "{{stage}}", "tributary_key_lock_wait_seconds", "$n, stage=~\"$stage\"")
                        .red_from(5.0),
                    lines("Key locks held", "short", "None unless an operators' command runs or `TRIBUTARY_LOCK_MODE` is `key`.")
                        .query("{{stage}}", "sum by (stage) (tributary_key_locks_held{$n, stage=~\"$stage\"})"),
                ],
            ),
            row(
                "Redis",
                vec![
                    lines("p99 of a script", "s", "Rises for all: Redis or the way there. For one: what it touches has grown.")
                        .p99_by("script", "{{script}}", "tributary_script_seconds", "$n"),
                    lines("p99 of waiting for a connection", "s", "The console's pool is too small for those who look.")
                        .p99_by("service", "{{service}}", "tributary_redis_pool_wait_seconds", "$n"),
                    lines("Memory used", "percentunit", "Fetching pauses at 0.7, webhooks at 0.85. Nothing is evicted. Runbook RedisMemoryHigh.")
                        .query("used", "max(tributary_redis_memory_ratio{$n})")
                        .red_from(0.7),
                    lines("Healed", "short", "restart: Redis was restarted. Anything else: it lost data, runbook RedisDataLost.")
                        .query("{{what}}", "sum by (what) (increase(tributary_heals_total{$n}[10m]))"),
                ],
            ),
        ],
    }
}
