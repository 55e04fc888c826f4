//! The list: every metric we emit, in the order of a value's life.

mod peers;
mod process;
mod state;
mod work;

pub use peers::*;
pub use process::*;
pub use state::*;
pub use work::*;

use super::{Label, Metric, Values};

/// Every metric we emit.
pub static ALL: &[&Metric] = &[
    // what happens to entries
    &ENTRIES_APPENDED,
    &ENTRIES_SETTLED,
    &TRANSACTIONS_COUNTED,
    &HANDLE_SECONDS,
    &QUEUE_WAIT_SECONDS,
    &END_TO_END_SECONDS,
    &RETRIES,
    &DEAD_LETTERED,
    &LEASE_MOVES,
    &LEASE_RENEW_SECONDS,
    &FENCED,
    &KEY_LOCK_WAIT_SECONDS,
    // what Redis holds
    &TRANSACTIONS,
    &RUNNABLE_ENTRIES,
    &BACKLOG_ENTRIES,
    &PARKED_ENTRIES,
    &OLDEST_RUNNABLE_AGE_SECONDS,
    &OLDEST_PENDING_AGE_SECONDS,
    &PARTITION_UNOWNED_SECONDS,
    &DEAD_LETTERS,
    &RATE_LIMITED_USERS,
    &UNKNOWN_OUTCOME_VALUES,
    &CONNECTIONS,
    &POLL_OVERDUE_SECONDS,
    &REDIS_MEMORY_RATIO,
    &KEY_LOCKS_HELD,
    // whom we call
    &RATE_LIMIT_USED_RATIO,
    &RATE_LIMIT_WAIT_SECONDS,
    &BREAKER_OPEN,
    &PEER_REQUESTS,
    &PEER_REQUEST_SECONDS,
    &EXIST_VALUES,
    &DRIFT,
    &WEBHOOKS,
    // the process itself
    &BUILD_INFO,
    &SCRIPT_SECONDS,
    &REDIS_POOL_WAIT_SECONDS,
    &HEALS,
    &SPANS_LOST,
    &LOGGED,
    &RUNTIME_WORKERS,
    &RUNTIME_ALIVE_TASKS,
    &RUNTIME_QUEUED_TASKS,
    &RUNTIME_BUSY_SECONDS,
    &PROCESS_CPU_SECONDS,
    &PROCESS_RESIDENT_MEMORY_BYTES,
    &PROCESS_VIRTUAL_MEMORY_BYTES,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_START_TIME_SECONDS,
];

const STAGE: Label = Label { name: "stage", values: Values::Stage };
const SOURCE: Label = Label { name: "source", values: Values::Source };
const PARTITION: Label = Label::open("partition");
const SCRIPT: Label = Label::open("script");
const SERVICE: Label = Label::open("service");
/// The class of an error: what is done about it.
const CLASSES: &[&str] = &["transient", "limited", "auth", "permanent", "unknown", "poison"];
/// Why something waits: an error, or somebody who holds its key lock.
const WAITS: &[&str] = &["transient", "limited", "auth", "permanent", "unknown", "poison", "locked"];
const STATE: Label = Label::one_of(
    "state",
    &["queued", "processing", "completed", "errored", "canceled", "dropped", "duplicate", "disabled"],
);
