//! To the collector, in batches and by a thread of its own, with a count of what it did not take.

use std::env;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metrics::Counter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use tracing::warn;

/// Spans that wait for the collector at most; more are lost. `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const WAITING_MAX: usize = 2048;
/// How often it is said that spans are lost.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Hands spans on while there is room, and counts those for which there is none.
#[derive(Debug)]
pub(super) struct Counted {
    inner: BatchSpanProcessor,
    waiting_max: usize,
    lost: Arc<Lost>,
}

/// What is lost, and what waits.
struct Lost {
    counter: Counter,
    waiting: AtomicUsize,
    unsaid: AtomicUsize,
    begun: Instant,
    /// When it was last said, in seconds since `begun`, and one more: 0 is never.
    said_s: AtomicUsize,
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lost").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Lost {
    fn add(&self, spans: usize) {
        self.counter.increment(u64::try_from(spans).unwrap_or(u64::MAX));
        let unsaid = self.unsaid.fetch_add(spans, Ordering::Relaxed) + spans;
        let now_s = usize::try_from(self.begun.elapsed().as_secs()).unwrap_or(usize::MAX - 1) + 1;
        let said_s = self.said_s.load(Ordering::Relaxed);
        let is_time = said_s == 0 || now_s >= said_s + usize::try_from(SAY_EVERY.as_secs()).unwrap_or(60);
        let first =
            is_time && self.said_s.compare_exchange(said_s, now_s, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first {
            self.unsaid.store(0, Ordering::Relaxed);
            warn!(spans = unsaid, "{unsaid} spans were lost: the collector does not take them");
        }
    }
}

impl Counted {
    pub(super) fn new(exporter: impl SpanExporter + 'static, service: &'static str) -> Self {
        let said = env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().and_then(|value| value.parse().ok());
        let waiting_max: usize = said.unwrap_or(WAITING_MAX).max(1);
        let lost = Arc::new(Lost {
            counter: crate::counter!(SPANS_LOST, service = service),
            waiting: AtomicUsize::new(0),
            unsaid: AtomicUsize::new(0),
            begun: Instant::now(),
            said_s: AtomicUsize::new(0),
        });
        // Room for what is in the collector's hands beside what waits: nothing is dropped behind our back.
        let config = BatchConfigBuilder::default().with_max_queue_size(waiting_max.saturating_mul(2)).build();
        let exporter = Exporter { inner: exporter, lost: Arc::clone(&lost) };
        let inner = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Self { inner, waiting_max, lost }
    }
}

impl SpanProcessor for Counted {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.lost.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            self.lost.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.add(1);
            return;
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what was not taken. Its errors are not repeated: they may hold the collector's address.
#[derive(Debug)]
struct Exporter<E> {
    inner: E,
    lost: Arc<Lost>,
}

impl<E: SpanExporter> SpanExporter for Exporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let taken = self.inner.export(batch).await;
        self.lost.waiting.fetch_sub(spans, Ordering::Relaxed);
        taken.map_err(|_| {
            self.lost.add(spans);
            OTelSdkError::InternalFailure("the collector did not take them".to_owned())
        })
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
