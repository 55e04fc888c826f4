//! Every span we make: its name, kind and attributes. No payload, no token and no user name is among them.

mod request; // a request to Exist, with what it carried

use std::fmt::Display;
use std::sync::Once;

use opentelemetry::Value;
use opentelemetry::trace::{Status, TraceContextExt};
use tracing::{Span, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Context, is_on};

pub use request::{Request, Told};

/// By which our spans are told from those of libraries.
pub(super) const TARGET: &str = "tributary::trace";

/// A span of ours; what else is to be said of it is set where it is kept.
macro_rules! span {
    (here: $name:expr, $kind:literal) => {
        info_span!(target: TARGET, "span", otel.name = $name, otel.kind = $kind)
    };
    (parent: $parent:expr, $name:expr, $kind:literal) => {
        info_span!(target: TARGET, parent: $parent, "span", otel.name = $name, otel.kind = $kind)
    };
}

/// One look at one connection.
pub fn poll(source: &str, partition: u16) -> Span {
    if !is_on() {
        return Span::none();
    }
    let span = span!(parent: None, format!("poll {source}"), "internal");
    span.set_attribute("tributary.source", source.to_owned());
    span.set_attribute("messaging.destination.partition.id", partition_id(partition));
    span
}

/// One webhook, from its last byte to its answer.
///
/// Whatever trace its sender says that it belongs to, it begins one of ours: strangers do not decide what we keep.
pub fn webhook(source: &str) -> Span {
    if !is_on() {
        return Span::none();
    }
    let span = span!(parent: None, "POST /hooks/{source}", "server");
    span.set_attribute("http.request.method", "POST");
    span.set_attribute("http.route", "/hooks/{source}");
    span.set_attribute("tributary.source", source.to_owned());
    span
}

/// A webhook is answered.
pub fn answered(span: &Span, status: u16, outcome: &'static str) {
    if !span.is_disabled() {
        span.set_attribute("http.response.status_code", i64::from(status));
        span.set_attribute("tributary.outcome", outcome);
        if status >= 500 {
            failed(span, outcome);
        }
    }
}

/// A stream, as its spans name it.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    /// `raw` or `normalised`.
    pub name: &'static str,
    /// Its key.
    pub key: &'a str,
    /// The partition.
    pub partition: u16,
}

/// An append that is traced: its span lasts until it is dropped, its entries carry the context.
#[derive(Debug)]
pub struct Appended {
    /// The append itself.
    pub span: Span,
    /// What its entries carry.
    pub context: Context,
}

/// So many entries are appended in the span that is open here, or where a trace may begin; `None` if nobody
/// traces it.
pub fn append_here(stream: &Stream<'_>, entries: usize) -> Option<Appended> {
    let is_dropped = |here: &opentelemetry::Context| here.has_active_span() && !here.span().span_context().is_sampled();
    if !is_on() || entries == 0 || opentelemetry::Context::map_current(is_dropped) {
        return None;
    }
    let appended = appended(span!(here: format!("append {}", stream.name), "producer"), stream)?;
    if entries > 1 {
        appended.span.set_attribute("messaging.batch.message_count", i64::try_from(entries).unwrap_or(i64::MAX));
    }
    Some(appended)
}

/// An entry is appended as a consequence of another; `None` if nobody traces that one.
pub fn append(parent: &Span, stream: &Stream<'_>) -> Option<Appended> {
    if parent.is_disabled() {
        return None;
    }
    appended(span!(parent: parent, format!("append {}", stream.name), "producer"), stream)
}

fn appended(span: Span, stream: &Stream<'_>) -> Option<Appended> {
    let context = Context::of(&span)?;
    messaging(&span, stream, "append", "send");
    Some(Appended { span, context })
}

/// An entry in hand.
#[derive(Debug)]
pub struct Processed<'a, E, T> {
    /// The stream it came from.
    pub stream: Stream<'a>,
    /// Who reads it.
    pub group: &'static str,
    /// Its id.
    pub entry: E,
    /// Its transaction, where its id says which.
    pub transaction: Option<T>,
    /// The epoch of the lease under which it was read.
    pub epoch: u64,
    /// How often it was handed over, this time included.
    pub deliveries: u32,
    /// Where it was appended.
    pub from: Context,
    /// It was put off, put back or handed over before: what is done about it is a trace of its own.
    pub again: bool,
}

/// An entry is handled. The first time this is a part of the trace that appended it.
pub fn process<E: Display, T: Display>(processed: &Processed<'_, E, T>) -> Span {
    if !is_on() {
        return Span::none();
    }
    let span = span!(parent: None, format!("process {}", processed.stream.name), "consumer");
    let from = processed.from.span_context();
    if !processed.again {
        let parent = opentelemetry::Context::new().with_remote_span_context(from.clone());
        if let Err(error) = span.set_parent(parent) {
            // Ours is the only place that makes spans, so it is so for all of them.
            static ONCE: Once = Once::new();
            ONCE.call_once(|| warn!(error = %error, "spans have no parents: the log was not started by init_logs"));
            return Span::none();
        }
    }
    span.add_link(from);
    messaging(&span, &processed.stream, "process", "process");
    span.set_attribute("messaging.consumer.group.name", processed.group);
    span.set_attribute("messaging.message.id", processed.entry.to_string());
    if let Some(transaction) = &processed.transaction {
        span.set_attribute("tributary.transaction.id", transaction.to_string());
    }
    span.set_attribute("tributary.epoch", i64::try_from(processed.epoch).unwrap_or(i64::MAX));
    span.set_attribute("tributary.deliveries", i64::from(processed.deliveries));
    span
}

/// Entries are acknowledged together with all that follows from them; one span for each that is traced.
pub fn settle(parent: &Span, stream: &Stream<'_>) -> Span {
    if parent.is_disabled() {
        return Span::none();
    }
    let span = span!(parent: parent, format!("settle {}", stream.name), "client");
    messaging(&span, stream, "settle", "settle");
    span
}

/// It did not come to what it was to; the word is one of a few.
pub fn failed(span: &Span, error_type: &'static str) {
    if !span.is_disabled() {
        span.set_attribute("error.type", error_type);
        span.set_status(Status::error(""));
    }
}

/// Likewise, of the span that is open here.
pub fn failed_here(error_type: &'static str) {
    if is_on() {
        opentelemetry::Context::map_current(|here| {
            here.span().set_attribute(opentelemetry::KeyValue::new("error.type", error_type));
            here.span().set_status(Status::error(""));
        });
    }
}

/// Which transaction it is about.
pub fn transaction(span: &Span, id: &dyn Display) {
    if !span.is_disabled() {
        span.set_attribute("tributary.transaction.id", id.to_string());
    }
}

/// What became of an entry, where it was not simply acknowledged.
pub fn outcome(span: &Span, outcome: &'static str) {
    if !span.is_disabled() {
        span.set_attribute("tributary.outcome", outcome);
    }
}

fn messaging(span: &Span, stream: &Stream<'_>, operation: &'static str, kind: &'static str) {
    let set = |name: &'static str, value: Value| span.set_attribute(name, value);
    set("messaging.system", "redis".into());
    set("messaging.operation.name", operation.into());
    set("messaging.operation.type", kind.into());
    set("messaging.destination.name", stream.key.to_owned().into());
    set("messaging.destination.partition.id", partition_id(stream.partition).into());
}

fn partition_id(partition: u16) -> String {
    format!("{partition:02}")
}
