//! A collector: takes spans by OTLP over HTTP, as <https://opentelemetry.io/docs/specs/otlp/> says, and keeps them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use tokio::time::{Instant, sleep};

use crate::protobuf::{Field, all, one};

/// How long spans may take to come: processes send them every fraction of a second.
const COME_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Nanoseconds since 1970.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Trace and span of each link.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) events: usize,
    pub(crate) failed: bool,
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub(crate) fn place(&self) -> (String, String) {
        (self.trace.clone(), self.id.clone())
    }
}

#[derive(Default)]
struct Taken {
    bodies: Vec<Vec<u8>>,
    headers: Vec<HeaderMap>,
}

/// The collector, for as long as the test's runtime.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) url: String,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, taken }
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.taken.lock().expect("nobody panics with it").bodies.iter().flat_map(|body| spans(body)).collect()
    }

    /// Every byte that was sent to it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.taken.lock().expect("nobody panics with it").bodies.concat()
    }

    /// A header of the latest request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let taken = self.taken.lock().expect("nobody panics with it");
        Some(taken.headers.last()?.get(name)?.to_str().ok()?.to_owned())
    }

    /// Waits until what is sought among the spans is there.
    pub(crate) async fn until<T>(&self, what: &str, find: impl Fn(&[Span]) -> Option<T>) -> T {
        let deadline = Instant::now() + COME_WITHIN;
        loop {
            let spans = self.spans();
            if let Some(found) = find(&spans) {
                return found;
            }
            let names: BTreeMap<&str, usize> = spans.iter().fold(BTreeMap::new(), |mut names, span| {
                *names.entry(span.name.as_str()).or_default() += 1;
                names
            });
            assert!(Instant::now() < deadline, "no {what} among {names:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn take(State(taken): State<Arc<Mutex<Taken>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/x-protobuf") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let mut taken = taken.lock().expect("nobody panics with it");
    taken.bodies.push(body.to_vec());
    taken.headers.push(headers);
    StatusCode::OK
}

/// The spans of an `ExportTraceServiceRequest`; numbers are those of its `.proto` files.
fn spans(request: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for resource_spans in all(request, 1).map(Field::bytes) {
        let resource = one(resource_spans, 1).map(Field::bytes).unwrap_or_default();
        let service = attributes(resource, 1).remove("service.name").unwrap_or_default();
        for scope_spans in all(resource_spans, 2).map(Field::bytes) {
            found.extend(all(scope_spans, 2).map(|span| read(span.bytes(), &service)));
        }
    }
    found
}

fn read(span: &[u8], service: &str) -> Span {
    let digits = |number| one(span, number).map(|id| hex::encode(id.bytes())).unwrap_or_default();
    let number = |wanted| one(span, wanted).map_or(0, Field::number);
    let link = |link: Field<'_>| {
        let digits = |number| one(link.bytes(), number).map(|id| hex::encode(id.bytes())).unwrap_or_default();
        (digits(1), digits(2))
    };
    Span {
        service: service.to_owned(),
        trace: digits(1),
        id: digits(2),
        parent: digits(4),
        name: one(span, 5).map(Field::text).unwrap_or_default(),
        kind: match number(6) {
            1 => Kind::Internal,
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            other => panic!("kind {other}"),
        },
        begun: number(7),
        ended: number(8),
        attributes: attributes(span, 9),
        events: all(span, 11).count(),
        links: all(span, 13).map(link).collect(),
        failed: one(span, 15).and_then(|status| one(status.bytes(), 3)).is_some_and(|code| code.number() == 2),
    }
}

/// The attributes under a field's number, as texts.
fn attributes(message: &[u8], number: u64) -> BTreeMap<String, String> {
    let value = |any: &[u8]| match crate::protobuf::fields(any).first() {
        Some((1, text)) => text.text(),
        Some((2 | 3, number)) => number.number().to_string(),
        _ => String::new(),
    };
    let pair = |field: Field<'_>| {
        let name = one(field.bytes(), 1).map(Field::text).unwrap_or_default();
        (name, one(field.bytes(), 2).map(|any| value(any.bytes())).unwrap_or_default())
    };
    all(message, number).map(pair).collect()
}
