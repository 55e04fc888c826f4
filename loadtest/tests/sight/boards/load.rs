//! While a load test runs.

use crate::board::{Dashboard, lines, row};

pub(super) fn board() -> Dashboard {
    Dashboard {
        name: "load",
        title: "Tributary: load test",
        about: "What is offered, what is carried, how long it takes, what goes wrong and what it costs.",
        has_phases: true,
        rows: vec![
            row(
                "Carried",
                vec![
                    lines("Offered and settled", "ops", "Settled under offered for long: this is what the machine can carry.")
                        .query("offered", "sum(rate(tributary_entries_appended_total{$n, stage=\"fetch\"}[$__rate_interval]))")
                        .query("normalised", "sum(rate(tributary_entries_settled_total{$n, stage=\"normalise\"}[$__rate_interval]))")
                        .query("in the ledger", "sum(rate(tributary_entries_settled_total{$n, stage=\"write\"}[$__rate_interval]))"),
                    lines("From a record seen to its value confirmed", "s", "Exist's budget is in it: with few users and many values it is what bounds it.")
                        .percentiles("tributary_end_to_end_seconds", "$n"),
                ],
            ),
            row(
                "Gone wrong",
                vec![
                    lines("Errors", "ops", "Planned faults show here; without any, all of them are 0.")
                        .query("requests", "sum(rate(tributary_peer_requests_total{$n, outcome!=\"ok\"}[$__rate_interval]))")
                        .query("tried again", "sum(rate(tributary_retries_total{$n}[$__rate_interval]))")
                        .query("dead letters", "sum(rate(tributary_dead_lettered_total{$n}[$__rate_interval]))"),
                    lines("Out of order and repeated", "ops", "As many as the stream was made with.")
                        .query("{{state}}", "sum by (state) (rate(tributary_transactions_total{$n, state=~\"dropped|canceled|duplicate\"}[$__rate_interval]))"),
                    lines("Spans lost", "ops", "The collector does not keep up: sample fewer. Work is not held up by it.")
                        .query("{{service}}", "sum by (service) (rate(tributary_spans_lost_total{$n}[$__rate_interval]))"),
                ],
            ),
            row(
                "What it costs",
                vec![
                    lines("CPU, by process", "short", "In cores. Near a whole core for each worker thread: the process is what bounds the run.")
                        .query("{{instance}}", "rate(process_cpu_seconds_total{$n}[$__rate_interval]) and on (instance) tributary_build_info{$n}"),
                    lines("Memory, by process", "bytes", "Grows without end: a leak. Up to a bound: windows and lanes fill.")
                        .query("{{instance}}", "process_resident_memory_bytes{$n} and on (instance) tributary_build_info{$n}"),
                    lines("Open files, by process", "short", "Near the limit: connections are not closed.")
                        .query("{{instance}}", "process_open_fds{$n} and on (instance) tributary_build_info{$n}"),
                ],
            ),
        ],
    }
}
