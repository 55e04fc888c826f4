//! Processes that send their spans to a collector.

use std::time::Duration;

use loadtest::{demo::Stage, fleet::FleetBuilder};
use tokio::time::{Instant, sleep};

use crate::collector::Collector;

/// How long numbers may take to come right, on a busy machine.
pub(crate) const CONVERGE: Duration = Duration::from_secs(90);

/// An address of this machine that nobody has.
pub(crate) fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").to_string()
}

/// A fleet whose every poll and webhook is traced.
pub(crate) fn traced(stage: &Stage, collector: &Collector) -> FleetBuilder {
    let fleet = stage.fleet().setting("TRIBUTARY_OTLP_ENDPOINT", &collector.url);
    fleet.setting("TRIBUTARY_TRACE_ONE_IN", "1").setting("OTEL_BSP_SCHEDULE_DELAY", "200")
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + CONVERGE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(100)).await;
    }
}
