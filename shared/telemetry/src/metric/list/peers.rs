//! Whom we call, and who calls us.

use super::super::{CALL_BUCKETS, Exporter, Label, Metric, WAIT_BUCKETS};
use super::SOURCE;

/// `exist_global`, or a source's name with `_app`; never a token.
const BUDGET: Label = Label::open("budget");
/// `exist`, or a source's name.
const PEER: Label = Label::open("peer");
/// Our name for what was asked: `update`, `values`, `token`.
const OPERATION: Label = Label::open("operation");
const OUTCOME: Label = Label::one_of("outcome", &["ok", "limited", "auth", "refused", "server", "timeout"]);

/// Share of a budget in use.
pub static RATE_LIMIT_USED_RATIO: Metric = Metric::gauge_of(
    "tributary_rate_limit_used_ratio",
    &[BUDGET],
    Exporter::Worker,
    "Share of a request budget in use, from 0 to 1",
);

/// Time waited for a budget.
pub static RATE_LIMIT_WAIT_SECONDS: Metric = Metric::histogram_of(
    "tributary_rate_limit_wait_seconds",
    &[BUDGET],
    Exporter::Worker,
    &WAIT_BUCKETS,
    "Time a request waited for its budget",
);

/// Whether the breaker to a peer is open.
pub static BREAKER_OPEN: Metric = Metric::gauge_of(
    "tributary_breaker_open",
    &[PEER],
    Exporter::Worker,
    "1 while a peer is not called because it keeps failing, else 0",
);

/// Requests to peers. `source` is `none` where a request carries values of several.
pub static PEER_REQUESTS: Metric = Metric::counter_of(
    "tributary_peer_requests_total",
    &[PEER, SOURCE, OPERATION, OUTCOME],
    Exporter::Worker,
    "Requests to a peer, by what it answered",
);

/// Time a request to a peer took. Labels as [`PEER_REQUESTS`].
pub static PEER_REQUEST_SECONDS: Metric = Metric::histogram_of(
    "tributary_peer_request_seconds",
    &[PEER, SOURCE, OPERATION, OUTCOME],
    Exporter::Worker,
    &CALL_BUCKETS,
    "Time a request to a peer took until its answer was read",
);

/// Values sent to Exist: stored, refused by name, in neither list of the answer, or without a usable answer.
pub static EXIST_VALUES: Metric = Metric::counter_of(
    "tributary_exist_values_total",
    &[
        Label::one_of("mode", &["total", "increment"]),
        Label::one_of("result", &["accepted", "refused", "unconfirmed", "unknown"]),
    ],
    Exporter::ExistWriter,
    "Values sent to Exist, by what became of each",
);

/// Values in Exist that were not what we had left there.
pub static DRIFT: Metric = Metric::counter_of(
    "tributary_drift_total",
    &[Label::one_of("repair", &["repaired", "shown"])],
    Exporter::ExistWriter,
    "Values read back from Exist that were not what we had left there",
);

/// Webhooks received.
pub static WEBHOOKS: Metric = Metric::counter_of(
    "tributary_webhooks_total",
    &[
        SOURCE,
        Label::one_of(
            "outcome",
            &["accepted", "duplicate", "ignored", "forged", "unknown", "malformed", "busy", "too_large", "incomplete"],
        ),
    ],
    Exporter::Fetcher,
    "Webhooks received, by what we did with them",
);
