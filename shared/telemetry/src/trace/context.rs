//! Where a span stands, in the 24 bytes that travel.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The trace (16 bytes) and the span (8 bytes), as W3C's `traceparent` has them. Only spans that are kept have one:
/// its flags would always say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(pub [u8; 24]);

impl Context {
    /// Of a span that is kept; `None` for any other.
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        Self::of_context(span.context().span().span_context())
    }

    /// Of the span that is open here; `None` if there is none, or it is not kept.
    pub(crate) fn here() -> Option<Self> {
        opentelemetry::Context::map_current(|here| Self::of_context(here.span().span_context()))
    }

    fn of_context(context: &SpanContext) -> Option<Self> {
        let kept = context.is_valid() && context.is_sampled();
        kept.then(|| {
            let mut bytes = [0; 24];
            bytes[..16].copy_from_slice(&context.trace_id().to_bytes());
            bytes[16..].copy_from_slice(&context.span_id().to_bytes());
            Self(bytes)
        })
    }

    pub(super) fn span_context(self) -> SpanContext {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&self.0[..16]);
        span.copy_from_slice(&self.0[16..]);
        let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default())
    }

    /// The trace's id, in hexadecimal digits.
    pub fn trace_id(self) -> String {
        self.span_context().trace_id().to_string()
    }

    /// The span's id, in hexadecimal digits.
    pub fn span_id(self) -> String {
        self.span_context().span_id().to_string()
    }
}
