//! What Redis holds, read and exported by the console: these numbers outlive the workers.
//!
//! Several consoles export the same series: take the maximum by label before any sum. They are written onto a
//! [`Page`](super::super::Page), which shows one moment and is taken away when it is old.

use super::super::{Exporter, Label, Metric};
use super::{CLASSES, PARTITION, SOURCE, STAGE, STATE, WAITS};

/// Transactions by state, durable.
pub static TRANSACTIONS: Metric = Metric::gauge_of(
    "tributary_transactions",
    &[SOURCE, STATE],
    Exporter::Console,
    "Sync transactions that are in a state, as Redis counts them",
);

/// Entries that could be worked on now.
pub static RUNNABLE_ENTRIES: Metric = Metric::gauge_of(
    "tributary_runnable_entries",
    &[STAGE, PARTITION],
    Exporter::Console,
    "Entries that wait for a worker and for nothing else: not parked, not limited, not behind their key",
);

/// All unsettled entries.
pub static BACKLOG_ENTRIES: Metric = Metric::gauge_of(
    "tributary_backlog_entries",
    &[STAGE, PARTITION],
    Exporter::Console,
    "Entries not settled, whatever they wait for",
);

/// Entries parked for another delivery.
pub static PARKED_ENTRIES: Metric = Metric::gauge_of(
    "tributary_parked_entries",
    &[STAGE, Label::one_of("class", WAITS)],
    Exporter::Console,
    "Entries parked until another delivery is due: locked behind a key lock, limited by anything else",
);

/// Age of the oldest runnable entry.
pub static OLDEST_RUNNABLE_AGE_SECONDS: Metric = Metric::gauge_of(
    "tributary_oldest_runnable_age_seconds",
    &[STAGE, PARTITION],
    Exporter::Console,
    "Age of the oldest entry that waits for a worker and for nothing else",
);

/// Age of the oldest entry that nobody settled.
pub static OLDEST_PENDING_AGE_SECONDS: Metric = Metric::gauge_of(
    "tributary_oldest_pending_age_seconds",
    &[STAGE, PARTITION],
    Exporter::Console,
    "Age of the oldest entry that is not settled, whatever it waits for",
);

/// How long a partition has been without an owner.
pub static PARTITION_UNOWNED_SECONDS: Metric = Metric::gauge_of(
    "tributary_partition_unowned_seconds",
    &[STAGE, PARTITION],
    Exporter::Console,
    "How long a partition has been without an owner; 0 while it is owned",
);

/// Dead letters that wait for a person.
pub static DEAD_LETTERS: Metric = Metric::gauge_of(
    "tributary_dead_letters",
    &[STAGE, Label::one_of("cause", CLASSES)],
    Exporter::Console,
    "Dead letters that wait for a person",
);

/// Users whose budget at Exist is spent.
pub static RATE_LIMITED_USERS: Metric = Metric::gauge_of(
    "tributary_rate_limited_users",
    &[],
    Exporter::Console,
    "Users who wait for their own token's budget at Exist",
);

/// Values that cannot be decided.
pub static UNKNOWN_OUTCOME_VALUES: Metric = Metric::gauge_of(
    "tributary_unknown_outcome_values",
    &[],
    Exporter::Console,
    "Values in Exist that we cannot tell apart from somebody's edit",
);

/// Connections by state.
pub static CONNECTIONS: Metric = Metric::gauge_of(
    "tributary_connections",
    &[SOURCE, Label::open("state")],
    Exporter::Console,
    "Connections of users to sources, by state",
);

/// How late the latest poll is.
pub static POLL_OVERDUE_SECONDS: Metric = Metric::gauge_of(
    "tributary_poll_overdue_seconds",
    &[SOURCE],
    Exporter::Console,
    "How long the most overdue poll of a source has been due",
);

/// Redis's memory in use.
pub static REDIS_MEMORY_RATIO: Metric = Metric::gauge_of(
    "tributary_redis_memory_ratio",
    &[],
    Exporter::Console,
    "Redis's memory in use over its maximum, the fullest node; 0 where it has no maximum",
);

/// Key locks held.
pub static KEY_LOCKS_HELD: Metric = Metric::gauge_of(
    "tributary_key_locks_held",
    &[STAGE],
    Exporter::Console,
    "Key locks that are held by whoever works on a user from outside",
);
