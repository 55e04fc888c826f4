//! A request to Exist. Which entries it carried is known when it is answered, so its span is made then.

use std::fmt::Display;
use std::time::SystemTime;

use opentelemetry::trace::{Link, Span as _, SpanKind, Status, Tracer};
use opentelemetry::{Context as Parent, KeyValue};

use super::partition_id;
use crate::trace::{Context, is_on, tracer::Late};

/// A request with values, under way.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    begun: SystemTime,
    ended: Option<SystemTime>,
}

/// What is said of a request.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// What it asked for: `update` or `increment`.
    pub operation: &'static str,
    /// Its id.
    pub id: &'a dyn Display,
    /// The partition.
    pub partition: u16,
    /// The epoch of the lease under which it was sent.
    pub epoch: u64,
    /// How many values it had.
    pub values: usize,
    /// Where the entries that it carried were handled, as far as they are traced.
    pub carried: &'a [Context],
    /// What it failed by.
    pub error_type: Option<&'static str>,
}

impl Request {
    /// It begins; `None` if this process traces nothing.
    pub fn begin() -> Option<Self> {
        is_on().then(|| Self { begun: SystemTime::now(), ended: None })
    }

    /// It was answered, or it was given up.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { ended: Some(SystemTime::now()), ..self }
    }

    /// A trace of its own, linked to every entry that it carried; none if none of them is traced.
    pub fn tell(self, told: &Told<'_>) {
        if told.carried.is_empty() {
            return;
        }
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let tracer = Late;
        let mut attributes = vec![
            KeyValue::new("peer.service", "exist"),
            KeyValue::new("tributary.operation", told.operation),
            KeyValue::new("tributary.transaction.id", told.id.to_string()),
            KeyValue::new("tributary.values", whole(told.values)),
            KeyValue::new("tributary.epoch", i64::try_from(told.epoch).unwrap_or(i64::MAX)),
            KeyValue::new("messaging.batch.message_count", whole(told.carried.len())),
            KeyValue::new("messaging.destination.partition.id", partition_id(told.partition)),
        ];
        attributes.extend(told.error_type.map(|error_type| KeyValue::new("error.type", error_type)));
        let links = told.carried.iter().map(|context| Link::with_context(context.span_context())).collect();
        let builder = tracer.span_builder("send exist").with_kind(SpanKind::Client).with_start_time(self.begun);
        let builder = builder.with_attributes(attributes).with_links(links);
        let mut span = tracer.build_with_context(builder, &Parent::new());
        if told.error_type.is_some() {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(self.ended.unwrap_or_else(SystemTime::now));
    }
}
