//! A value followed: from the webhook that tells of it, through both streams, to the request that tells Exist.

use loadtest::github::Hook;

use crate::{
    collector::{Collector, Kind, Span},
    picture,
    show::{Show, stage},
    stand::{CONVERGE, free_address, traced, until},
};

/// The spans of one value, in the order of its life.
pub(crate) struct Life {
    pub(crate) webhook: Span,
    pub(crate) append_raw: Span,
    pub(crate) process_raw: Span,
    pub(crate) settle_raw: Span,
    pub(crate) append_normalised: Span,
    pub(crate) process_normalised: Span,
    pub(crate) settle_normalised: Span,
    pub(crate) send: Span,
}

/// The life that a webhook of this outcome began, once all of it is there.
fn life(spans: &[Span]) -> Option<Life> {
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let child = |of: &Span, name| named(name).find(|span| span.parent == of.id && span.trace == of.trace).cloned();
    named("POST /hooks/{source}").find_map(|webhook| {
        let append_raw = child(webhook, "append raw")?;
        let process_raw = child(&append_raw, "process raw")?;
        let append_normalised = child(&process_raw, "append normalised")?;
        let process_normalised = child(&append_normalised, "process normalised")?;
        let send = named("send exist").find(|send| send.links.contains(&process_normalised.place()))?.clone();
        Some(Life {
            webhook: webhook.clone(),
            settle_raw: child(&process_raw, "settle raw")?,
            settle_normalised: child(&process_normalised, "settle normalised")?,
            append_raw,
            process_raw,
            append_normalised,
            process_normalised,
            send,
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_followed_from_its_answer_to_the_request_that_tells_exist() {
    let (stage, collector, address) = (stage(171).await, Collector::start().await, free_address());
    // Polls come too late to tell of it.
    let fleet = traced(&stage, &collector)
        .setting("TRIBUTARY_WEBHOOK_ADDR", &address)
        .setting("TRIBUTARY_GITHUB_POLL_INTERVAL", "1h");
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    let (github, person) = (&stage.pastimes.github, &stage.world.people[0]);
    let url = format!("http://{address}/hooks/github");
    github.add_hook(&person.repository, Hook { url, secret: format!("hush-{}", person.name), form_encoded: false });
    github.open_issue(&person.name, &person.repository, Some(jiff::Timestamp::now()));
    until("the webhook's answer", async || github.delivered().iter().any(|sent| sent.status == Some(202))).await;
    show.until_right(CONVERGE).await;
    let life = collector.until("whole life of a webhook", life).await;

    let Life { webhook, append_raw, process_raw, settle_raw, append_normalised, process_normalised, .. } = &life;
    let (settle_normalised, send) = (&life.settle_normalised, &life.send);
    let kinds = [
        (webhook, Kind::Server, "fetcher"),
        (append_raw, Kind::Producer, "fetcher"),
        (process_raw, Kind::Consumer, "normaliser"),
        (settle_raw, Kind::Client, "normaliser"),
        (append_normalised, Kind::Producer, "normaliser"),
        (process_normalised, Kind::Consumer, "exist-writer"),
        (settle_normalised, Kind::Client, "exist-writer"),
        (send, Kind::Client, "exist-writer"),
    ];
    for (span, kind, service) in kinds {
        assert_eq!((span.kind, span.service.as_str()), (kind, service), "{}", span.name);
        assert!(span.begun <= span.ended && !span.failed, "{span:?}");
    }
    for (outer, inner) in [
        (webhook, append_raw),
        (process_raw, settle_raw),
        (process_raw, append_normalised),
        (process_normalised, settle_normalised),
    ] {
        let within = outer.begun <= inner.begun && inner.ended <= outer.ended;
        assert!(within, "{} is not within {}", inner.name, outer.name);
    }
    // Parents make one trace of it; a first delivery is linked to what appended it as well.
    assert_eq!(webhook.parent, "");
    assert_eq!(process_raw.links, [append_raw.place()]);
    assert_eq!(process_normalised.links, [append_normalised.place()]);
    // The request is a trace of its own: it carries what many entries changed.
    assert_eq!(send.parent, "");
    assert_ne!(send.trace, webhook.trace);
    assert_eq!(send.attribute("messaging.batch.message_count"), send.links.len().to_string());

    assert_eq!(webhook.attribute("http.response.status_code"), "202");
    assert_eq!(webhook.attribute("tributary.source"), "github");
    let partition = append_raw.attribute("messaging.destination.partition.id");
    for span in [append_raw, process_raw, settle_raw] {
        assert_eq!(span.attribute("messaging.system"), "redis");
        assert_eq!(span.attribute("messaging.destination.name"), format!("{{p{partition}}}:raw"));
    }
    assert_eq!(process_raw.attribute("messaging.operation.name"), "process");
    assert_eq!(process_raw.attribute("messaging.operation.type"), "process");
    assert_eq!(process_raw.attribute("messaging.consumer.group.name"), "normaliser");
    assert_eq!(process_raw.attribute("tributary.deliveries"), "1");
    assert_ne!(process_raw.attribute("tributary.epoch"), "");
    let transaction = process_raw.attribute("tributary.transaction.id");
    assert_eq!(transaction, format!("{partition}-{}", process_raw.attribute("messaging.message.id")));
    assert_eq!(process_normalised.attribute("tributary.transaction.id"), transaction, "one from end to end");

    // Every process calls things by the listed names, and its spans hold no event: those may name people.
    for span in collector.spans() {
        let first = span.name.split(' ').next().unwrap_or_default();
        assert!(["poll", "POST", "append", "process", "settle", "send"].contains(&first), "{}", span.name);
        assert_eq!(span.events, 0, "{}", span.name);
        assert!(!span.name.contains("{p"), "{}", span.name);
    }
    picture::keep(&life);
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_followed_and_share_the_request_that_carries_them() {
    let (stage, collector) = (stage(172).await, Collector::start().await);
    let mut show = Show::open(&stage, traced(&stage, &collector)).await;
    show.until_right(CONVERGE).await;
    let of_many = |spans: &[Span]| spans.iter().find(|span| span.name == "send exist" && span.links.len() > 1).cloned();
    let send = collector.until("request of several entries", of_many).await;
    let spans = collector.spans();
    for link in &send.links {
        let Some(process) = spans.iter().find(|span| span.place() == *link) else { continue };
        assert_eq!(process.name, "process normalised");
    }
    for source in ["whatpulse", "toggl", "trakt", "ynab", "github"] {
        let poll = spans.iter().find(|span| span.name == format!("poll {source}")).expect("every source is polled");
        assert_eq!((poll.kind, poll.parent.as_str()), (Kind::Internal, ""));
    }
    // A page is appended at once: one span for all that it brings.
    let pages = spans.iter().filter(|span| span.name == "append raw" && span.kind == Kind::Producer);
    let entries = |page: &Span| page.attribute("messaging.batch.message_count").parse().unwrap_or(1);
    let followed =
        |page: &Span| spans.iter().filter(|span| span.parent == page.id && span.name == "process raw").count();
    assert!(pages.clone().any(|page| followed(page) > 1), "no page of several rows is followed");
    assert!(pages.map(|page| (followed(page), entries(page))).all(|(followed, entries)| followed <= entries));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_leaves_no_span() {
    let (stage, collector) = (stage(173).await, Collector::start().await);
    // None of the polls of this run is the one in a million.
    let fleet = traced(&stage, &collector).setting("TRIBUTARY_TRACE_ONE_IN", "1000000");
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    show.fleet.stop(CONVERGE).await.expect("they stop");
    assert!(collector.spans().is_empty(), "{:?}", collector.spans());
}
