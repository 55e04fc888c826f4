//! The addresses a process listens on, and where it sends traces.

use super::{Setting, setting};
use crate::value::Kind;

pub(super) const ADDRESSES: &[Setting] = &[
    setting(
        "TRIBUTARY_ADMIN_ADDR",
        Kind::Address,
        None,
        "Where this process serves /startupz, /livez, /readyz and /metrics. Not set: it serves none of them.",
        "It asks nobody for a password: keep it on a private network.",
    ),
    setting(
        "TRIBUTARY_WEBHOOK_ADDR",
        Kind::Address,
        None,
        "Where the fetcher takes webhooks. Not set: it takes none, and polls find every change.",
        "Sources reach it from the internet: put TLS in front of it.",
    ),
    setting(
        "TRIBUTARY_PUBLIC_URL",
        Kind::BaseUrl,
        None,
        "Where the internet reaches the fetcher's TRIBUTARY_WEBHOOK_ADDR; peers send people back to \
         `/oauth/<peer>/callback` under it. Not set: http at TRIBUTARY_WEBHOOK_ADDR itself.",
        "A peer refuses to connect anybody unless its application lists this very address.",
    ),
    setting(
        "TRIBUTARY_CONSOLE_ADDR",
        Kind::Address,
        None,
        "Where the console serves its pages and its API. Not set: it serves none.",
        "People sign in here: put TLS in front of it.",
    ),
    setting(
        "TRIBUTARY_CONSOLE_TOKEN",
        Kind::Secret,
        None,
        "What operators send as `Authorization: Bearer …` to the console's API; at least 16 characters. \
         Not set: the API answers nobody.",
        "Whoever has it reads everybody's transactions: make it long and random, and send it over TLS only.",
    ),
];

pub(super) const TRACES: &[Setting] = &[
    setting(
        "TRIBUTARY_OTLP_ENDPOINT",
        Kind::Collector,
        None,
        "The collector that traces are sent to, by OTLP over HTTP under its `/v1/traces`. Not set: \
         OTEL_EXPORTER_OTLP_ENDPOINT decides, and without it nothing is traced. The other OTEL_* variables hold as well.",
        "A collector that is not there costs spans, never work: see tributary_spans_lost_total.",
    ),
    setting(
        "TRIBUTARY_TRACE_ONE_IN",
        Kind::Count { min: 1, max: 1_000_000 },
        Some("100"),
        "One in so many polls and webhooks is traced, with all that follows from it. OTEL_TRACES_SAMPLER decides instead \
         where it is set.",
        "1 traces everything and costs throughput; with a high number, what you look for was not traced.",
    ),
];
