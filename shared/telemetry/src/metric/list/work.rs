//! What happens to entries, counted by whoever does it.

use super::super::{CALL_BUCKETS, END_TO_END_BUCKETS, Exporter, Label, Metric, WAIT_BUCKETS};
use super::{CLASSES, SCRIPT, SOURCE, STAGE, STATE, WAITS};

const OUTCOME: Label = Label::one_of("outcome", &["acked", "parked", "dead_letter", "lost"]);

/// Entries appended to a stream.
pub static ENTRIES_APPENDED: Metric = Metric::counter_of(
    "tributary_entries_appended_total",
    &[STAGE, SOURCE],
    Exporter::Appender,
    "Entries appended to a stream, by the stage that appended them",
);

/// Deliveries settled.
pub static ENTRIES_SETTLED: Metric = Metric::counter_of(
    "tributary_entries_settled_total",
    &[STAGE, OUTCOME],
    Exporter::Worker,
    "Deliveries settled, by what became of the entry",
);

/// Transactions entering a state.
pub static TRANSACTIONS_COUNTED: Metric = Metric::counter_of(
    "tributary_transactions_total",
    &[SOURCE, STATE],
    Exporter::Worker,
    "Sync transactions that entered a state",
);

/// Time spent on one delivery.
pub static HANDLE_SECONDS: Metric = Metric::histogram_of(
    "tributary_handle_seconds",
    &[STAGE, OUTCOME],
    Exporter::Worker,
    &CALL_BUCKETS,
    "Time from taking a delivery in hand to its settlement",
);

/// Time an entry waited in its stream.
pub static QUEUE_WAIT_SECONDS: Metric = Metric::histogram_of(
    "tributary_queue_wait_seconds",
    &[STAGE],
    Exporter::Worker,
    &WAIT_BUCKETS,
    "Time an entry waited from its append until it was taken in hand",
);

/// Time from a record seen to its value confirmed.
pub static END_TO_END_SECONDS: Metric = Metric::histogram_of(
    "tributary_end_to_end_seconds",
    &[SOURCE],
    Exporter::ExistWriter,
    &END_TO_END_BUCKETS,
    "Time from the moment we saw a record until Exist confirmed its value",
);

/// Entries parked for another delivery.
pub static RETRIES: Metric = Metric::counter_of(
    "tributary_retries_total",
    &[STAGE, Label::one_of("class", WAITS)],
    Exporter::Worker,
    "Entries parked for another delivery, by class of error",
);

/// Entries set aside for a person.
pub static DEAD_LETTERED: Metric = Metric::counter_of(
    "tributary_dead_lettered_total",
    &[STAGE, Label::one_of("cause", CLASSES)],
    Exporter::Worker,
    "Entries set aside for a person, by the class of the error that ended them",
);

/// Leases that changed their owner.
pub static LEASE_MOVES: Metric = Metric::counter_of(
    "tributary_lease_moves_total",
    &[STAGE, Label::one_of("cause", &["expired", "drained", "balanced"])],
    Exporter::Worker,
    "Leases that changed hands: given up in a drain or to share, or taken over from an owner that let them expire",
);

/// Time to renew a lease.
pub static LEASE_RENEW_SECONDS: Metric = Metric::histogram_of(
    "tributary_lease_renew_seconds",
    &[STAGE],
    Exporter::Worker,
    &CALL_BUCKETS,
    "Time to renew the leases of this process once",
);

/// Scripts that refused a stale epoch.
pub static FENCED: Metric = Metric::counter_of(
    "tributary_fenced_total",
    &[STAGE, SCRIPT],
    Exporter::Worker,
    "Scripts that refused this process because its lease had passed to another",
);

/// Time to get a key lock.
pub static KEY_LOCK_WAIT_SECONDS: Metric = Metric::histogram_of(
    "tributary_key_lock_wait_seconds",
    &[STAGE],
    Exporter::Worker,
    &WAIT_BUCKETS,
    "How long a key lock that somebody else held made us wait",
);
