//! What Tokio's runtime knows about itself, as far as its interface is stable.

use std::time::Duration;

use tokio::runtime::Handle;

use super::text::line;
use crate::metric::{RUNTIME_ALIVE_TASKS, RUNTIME_BUSY_SECONDS, RUNTIME_QUEUED_TASKS, RUNTIME_WORKERS};

/// Writes the metrics of the runtime we are called on; outside of one, nothing.
pub(super) fn render(out: &mut String) {
    let Ok(runtime) = Handle::try_current() else { return };
    let metrics = runtime.metrics();
    let workers = metrics.num_workers();
    let busy: Duration = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker)).sum();
    line(out, &RUNTIME_WORKERS, workers);
    line(out, &RUNTIME_ALIVE_TASKS, metrics.num_alive_tasks());
    line(out, &RUNTIME_QUEUED_TASKS, metrics.global_queue_depth());
    line(out, &RUNTIME_BUSY_SECONDS, format_args!("{}.{:09}", busy.as_secs(), busy.subsec_nanos()));
}
