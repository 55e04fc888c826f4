//! Traces: one in so many polls and webhooks is followed through the streams, and sent out by OTLP.
//!
//! Nothing here costs anything where nothing is traced: a span that nobody asked for is [`Span::none`], and what
//! follows from it asks no more. A collector that is slow or gone costs spans, never work.

mod context; //  where a span stands
mod export; //   to the collector, with a count of what it did not take
mod sampler; //  which traces are kept
mod span; //     every span we make: names, kinds, attributes
mod tracer; //   the process' tracer, which may come after the log

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

pub use context::Context;
pub use sampler::Share;
pub use span::{
    Appended, Processed, Request, Stream, Told, answered, append, append_here, failed, failed_here, outcome, poll,
    process, settle, transaction, webhook,
};
pub use tracing::{Instrument, Span};

pub(crate) use tracer::{layer, other_than_spans};

use crate::error::TelemetryError;

/// How long leaving may wait for the collector.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// Whether this process traces anything.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether this process traces anything.
#[inline]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// What is traced, and where it goes.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// What this process is called in a trace; `OTEL_SERVICE_NAME` wins.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Which of several processes of that name.
    pub instance: String,
    /// The collector's base address; `None`: `OTEL_EXPORTER_OTLP_ENDPOINT` decides.
    pub endpoint: Option<String>,
    /// One in so many polls and webhooks is traced; `OTEL_TRACES_SAMPLER` wins.
    pub one_in: u32,
}

/// The process' traces; [`Traces::shutdown`] sends what is left.
#[derive(Debug)]
pub struct Traces {
    provider: Option<SdkTracerProvider>,
}

impl Traces {
    /// Starts to trace, if a collector is named: by the options, or by the standard variables
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_ENDPOINT`. Not where `OTEL_SDK_DISABLED` is
    /// `true` or `OTEL_TRACES_EXPORTER` is `none`.
    ///
    /// Call it once, after [`crate::Recorder::install`] and [`crate::init_logs`].
    ///
    /// # Errors
    /// - [`TelemetryError::Collector`]: the address, or another `OTEL_*` variable, cannot be used.
    /// - [`TelemetryError::Sampler`]: `OTEL_TRACES_SAMPLER` or its argument is not one of the standard's.
    /// - [`TelemetryError::TracesInstalled`]: this process traces already.
    pub fn start(options: &TraceOptions) -> Result<Self, TelemetryError> {
        let Some(endpoint) = endpoint(options, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        else {
            return Ok(Self { provider: None });
        };
        let share = Share::from_environment(options.one_in).map_err(TelemetryError::Sampler)?;
        // What it says of an address may repeat it, and with it what somebody put there in confidence.
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .map_err(|_| TelemetryError::Collector)?;
        let resource = Resource::builder().with_attributes([
            KeyValue::new("service.version", options.version),
            KeyValue::new("service.instance.id", options.instance.clone()),
        ]);
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name(options.service),
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(export::Counted::new(exporter, options.service))
            .with_sampler(share)
            .with_resource(resource.build())
            .build();
        if !tracer::install(provider.tracer("tributary")) {
            return Err(TelemetryError::TracesInstalled);
        }
        IS_ON.store(true, Ordering::Relaxed);
        Ok(Self { provider: Some(provider) })
    }

    /// Sends what is left, for at most 3 s, and traces no more.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else { return };
        IS_ON.store(false, Ordering::Relaxed);
        // It blocks, and talks to the collector through a client that must not run on our threads.
        let left = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LEAVE_WITHIN)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!("the last spans may not have reached the collector");
        }
    }
}

/// Where spans go; `None` if nobody named a collector, or somebody said that nothing is to be traced.
fn endpoint(options: &TraceOptions, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    if is_off {
        return None;
    }
    let below = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
    options
        .endpoint
        .clone()
        .map(below)
        .or_else(|| variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(below))
}

#[cfg(test)]
mod tests;
