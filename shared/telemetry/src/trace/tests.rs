//! Tests of what is traced; what is sent is tested with a collector.

use super::*;

fn options(endpoint: Option<&str>) -> TraceOptions {
    TraceOptions {
        service: "tests",
        version: "1",
        instance: "one".to_owned(),
        endpoint: endpoint.map(str::to_owned),
        one_in: 100,
    }
}

fn found(endpoint_set: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
    let value = |name: &str| variables.iter().find(|(its, _)| *its == name).map(|(_, value)| (*value).to_owned());
    endpoint(&options(endpoint_set), value)
}

#[test]
fn a_collector_is_named_by_the_setting_or_by_the_standard_variables() {
    let (base, whole) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    assert_eq!(found(None, &[]), None);
    assert_eq!(found(Some("http://a:1"), &[(base, "http://b:2")]).unwrap(), "http://a:1/v1/traces");
    assert_eq!(found(None, &[(base, "http://b:2/")]).unwrap(), "http://b:2/v1/traces");
    assert_eq!(found(None, &[(base, "http://b:2"), (whole, "http://c:3/t")]).unwrap(), "http://c:3/t");
    assert_eq!(found(Some("http://a:1"), &[("OTEL_SDK_DISABLED", "TRUE")]), None);
    assert_eq!(found(Some("http://a:1"), &[("OTEL_TRACES_EXPORTER", "none")]), None);
}

#[test]
fn where_nothing_is_traced_no_span_is_made() {
    assert!(!is_on());
    assert!(poll("toggl", 7).is_disabled() && webhook("github").is_disabled());
    let stream = Stream { name: "raw", key: "{p07}:raw", partition: 7 };
    assert!(append_here(&stream, 3).is_none() && append(&Span::none(), &stream).is_none());
    assert!(settle(&Span::none(), &stream).is_disabled() && Request::begin().is_none());
}

#[test]
fn a_context_travels_in_24_bytes() {
    let bytes: [u8; 24] = std::array::from_fn(|index| u8::try_from(index + 1).unwrap());
    let context = Context(bytes);
    let span = context.span_context();
    assert!(span.is_valid() && span.is_sampled() && span.is_remote());
    assert_eq!(context.trace_id(), "0102030405060708090a0b0c0d0e0f10");
    assert_eq!(context.span_id(), "1112131415161718");
}
