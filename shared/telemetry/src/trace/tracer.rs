//! The process' tracer: the log comes first, and makes room for it.

use std::sync::{LazyLock, OnceLock};

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::span::TARGET;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Keeps nothing, until there is a tracer.
static NO_TRACER: LazyLock<SdkTracer> =
    LazyLock::new(|| SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build().tracer("none"));

/// `false` if there is one already.
pub(super) fn install(tracer: SdkTracer) -> bool {
    TRACER.set(tracer).is_ok()
}

/// The tracer, whenever it comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Late;

impl Late {
    fn tracer(self) -> &'static SdkTracer {
        TRACER.get().unwrap_or_else(|| &NO_TRACER)
    }
}

impl Tracer for Late {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        self.tracer().build_with_context(builder, parent)
    }
}

/// Our own spans into traces. No event of the log: what it says may name people.
pub(crate) fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(Late)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
}

/// The log's filter without our spans: lines carry their ids, and need nothing else of them.
pub(crate) fn other_than_spans(filter: EnvFilter) -> EnvFilter {
    filter.add_directive(format!("{TARGET}=off").parse().expect("a target and a level are a directive"))
}
