//! The process itself, and its way to Redis.

use super::super::{CALL_BUCKETS, Exporter, Label, Metric, WAIT_BUCKETS};
use super::{SCRIPT, SERVICE};

/// Which build runs as which service.
pub static BUILD_INFO: Metric = Metric::gauge_of(
    "tributary_build_info",
    &[SERVICE, Label::open("version"), Label::open("git_sha")],
    Exporter::All,
    "1 for the build that runs as this service",
);

/// Time a script took.
pub static SCRIPT_SECONDS: Metric = Metric::histogram_of(
    "tributary_script_seconds",
    &[SCRIPT],
    Exporter::All,
    &CALL_BUCKETS,
    "Time a Redis script took, seen from here",
);

/// Time waited for a connection to Redis.
pub static REDIS_POOL_WAIT_SECONDS: Metric = Metric::histogram_of(
    "tributary_redis_pool_wait_seconds",
    &[SERVICE],
    Exporter::Console,
    &WAIT_BUCKETS,
    "Time waited for a connection to Redis, by a service that keeps a pool",
);

/// What had vanished from Redis and was made again.
pub static HEALS: Metric = Metric::counter_of(
    "tributary_heals_total",
    &[Label::one_of("what", &["group", "stream", "dataset", "restart"])],
    Exporter::Worker,
    "What had vanished from Redis and was made again, by partition; after a restart, what may have",
);

/// Spans that no collector took.
pub static SPANS_LOST: Metric =
    Metric::counter_of("tributary_spans_lost_total", &[SERVICE], Exporter::All, "Trace spans that no collector took");

/// Lines logged.
pub static LOGGED: Metric = Metric::counter_of(
    "tributary_logged_total",
    &[Label::one_of("level", &["error", "warn", "info", "debug", "trace"])],
    Exporter::All,
    "Lines logged, by level",
);

/// Threads that run tasks.
pub static RUNTIME_WORKERS: Metric =
    Metric::gauge_of("tributary_runtime_workers", &[], Exporter::System, "Threads of the runtime that run tasks");

/// Tasks that have not ended.
pub static RUNTIME_ALIVE_TASKS: Metric = Metric::gauge_of(
    "tributary_runtime_alive_tasks",
    &[],
    Exporter::System,
    "Tasks of the runtime that have not ended",
);

/// Tasks in the runtime's global queue.
pub static RUNTIME_QUEUED_TASKS: Metric = Metric::gauge_of(
    "tributary_runtime_queued_tasks",
    &[],
    Exporter::System,
    "Tasks that wait in the runtime's global queue",
);

/// Time the workers were busy.
pub static RUNTIME_BUSY_SECONDS: Metric = Metric::counter_of(
    "tributary_runtime_busy_seconds_total",
    &[],
    Exporter::System,
    "Time the runtime's threads were busy, summed over them",
);

// The names that Prometheus's own client libraries use, so that common dashboards fit:
// <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

/// CPU time of the process.
pub static PROCESS_CPU_SECONDS: Metric = Metric::counter_of(
    "process_cpu_seconds_total",
    &[],
    Exporter::System,
    "Total user and system CPU time spent in seconds",
);

/// Memory of the process that is in RAM.
pub static PROCESS_RESIDENT_MEMORY_BYTES: Metric =
    Metric::gauge_of("process_resident_memory_bytes", &[], Exporter::System, "Resident memory size in bytes");

/// Address space of the process.
pub static PROCESS_VIRTUAL_MEMORY_BYTES: Metric =
    Metric::gauge_of("process_virtual_memory_bytes", &[], Exporter::System, "Virtual memory size in bytes");

/// Open file descriptors.
pub static PROCESS_OPEN_FDS: Metric =
    Metric::gauge_of("process_open_fds", &[], Exporter::System, "Number of open file descriptors");

/// How many file descriptors may be open.
pub static PROCESS_MAX_FDS: Metric =
    Metric::gauge_of("process_max_fds", &[], Exporter::System, "Maximum number of open file descriptors");

/// When the process started.
pub static PROCESS_START_TIME_SECONDS: Metric = Metric::gauge_of(
    "process_start_time_seconds",
    &[],
    Exporter::System,
    "Start time of the process since unix epoch in seconds",
);
