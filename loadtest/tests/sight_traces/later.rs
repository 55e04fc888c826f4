//! What is put off, put back or tried again: a trace of its own each time, linked to what appended it.

use std::time::Duration;

use loadtest::{
    fleet::Role,
    github::Hook,
    world::{Fault, Malformed, Spoiled},
};
use serde_json::Value;

use crate::{
    collector::{Collector, Span},
    show::{Show, stage},
    stand::{CONVERGE, free_address, traced, until},
};

/// Spans of this name that are no part of the trace they are linked to, with the appends that they are linked to.
fn again<'a>(spans: &'a [Span], name: &'a str) -> impl Iterator<Item = (&'a Span, &'a Span)> {
    let roots = spans.iter().filter(move |span| span.name == name && span.parent.is_empty());
    roots.filter_map(move |span| {
        let [link] = &span.links[..] else { panic!("{name} has {} links", span.links.len()) };
        let append = spans.iter().find(|append| append.place() == *link)?;
        assert_ne!(append.trace, span.trace);
        assert!(append.name.starts_with("append "), "{}", append.name);
        Some((span, append))
    })
}

/// The first handling of what an append brought.
fn first<'a>(spans: &'a [Span], append: &'a Span) -> impl Iterator<Item = &'a Span> {
    let name = append.name.replace("append", "process");
    spans.iter().filter(move |span| span.parent == append.id && span.name == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_users_entries_are_linked_when_they_go_on() {
    let (stage, collector, address) = (stage(175).await, Collector::start().await, free_address());
    let fleet = traced(&stage, &collector).setting("TRIBUTARY_WEBHOOK_ADDR", &address);
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    let github = &stage.pastimes.github;
    let (whole, connection) = (&stage.world.people[0], &stage.world.people[1]);
    show.fleet.run(&["pause", "user", &whole.name, "--reason", "we look at it"]).await.expect("it is paused");
    let words = ["pause", "connection", &connection.name, "github", "--reason", "we look at it"];
    show.fleet.run(&words).await.expect("it is paused");
    for person in [whole, connection] {
        let url = format!("http://{address}/hooks/github");
        let secret = format!("hush-{}", person.name);
        github.add_hook(&person.repository, Hook { url, secret, form_encoded: false });
        github.open_issue(&person.name, &person.repository, Some(jiff::Timestamp::now()));
    }
    until("both answers", async || github.delivered().len() >= 2).await;
    let parked = |spans: &[Span]| {
        let parked =
            spans.iter().find(|span| span.name == "process raw" && span.attribute("tributary.outcome") == "parked");
        parked.cloned()
    };
    let parked = collector.until("entry that is parked", parked).await;
    assert_ne!(parked.parent, "", "it was looked at, as a part of the webhook's trace");

    show.fleet.run(&["resume", "user", &whole.name]).await.expect("it goes on");
    show.fleet.run(&["resume", "connection", &connection.name, "github"]).await.expect("it goes on");
    show.until_right(CONVERGE).await;
    let of_webhooks = |spans: &[Span]| {
        let is_webhook =
            |append: &Span| spans.iter().any(|span| span.id == append.parent && span.name == "POST /hooks/{source}");
        let traces: Vec<String> = again(spans, "process raw")
            .filter(|(span, append)| is_webhook(append) && span.attribute("tributary.outcome") != "parked")
            .map(|(_, append)| append.trace.clone())
            .collect();
        (traces.len() >= 2 && traces.iter().any(|trace| *trace != traces[0])).then_some(traces)
    };
    let traces = collector.until("both webhooks gone on", of_webhooks).await;
    assert!(traces.contains(&parked.trace), "what was parked went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_put_back_is_linked_to_what_appended_it() {
    let (stage, collector) = (stage(176).await, Collector::start().await);
    let mut show = Show::open(&stage, traced(&stage, &collector)).await;
    show.until_right(CONVERGE).await;
    let person = &stage.world.people[0].name;
    let spoiled = Malformed { field: "start".into(), how: Spoiled::Null };
    stage.toggl.faults().next(Some(person), Fault::Malformed(spoiled), 1);
    show.play_on(Duration::from_millis(500)).await;
    let ask = async |show: &Show<'_>, words: &[&str]| -> Value {
        serde_json::from_str(&show.fleet.run(words).await.expect("an answer")).expect("JSON")
    };
    let list = ["dead-letters", "list", "--json"];
    until("a dead letter", async || {
        ask(&show, &list).await["dead_letters"].as_array().is_some_and(|all| !all.is_empty())
    })
    .await;
    let id = ask(&show, &list).await["dead_letters"][0]["id"].as_str().expect("an id").to_owned();
    let buried = |spans: &[Span]| {
        let its = |span: &&Span| span.name == "process raw" && span.attribute("tributary.transaction.id") == id;
        spans.iter().find(its).cloned()
    };
    let buried = collector.until("entry that is set aside", buried).await;
    assert_eq!((buried.attribute("error.type"), buried.failed), ("malformed", true));

    let words = ["dead-letters", "redrive", "--all-matching", "--source", "toggl", "--yes", "--json"];
    let told = ask(&show, &words).await;
    let new = told["dead_letters"][0]["transaction"].as_str().expect("a transaction").to_owned();
    let put_back = |spans: &[Span]| {
        let its = |span: &Span| span.attribute("tributary.transaction.id") == new;
        again(spans, "process raw").find(|(span, _)| its(span)).map(|(_, append)| append.place())
    };
    let from = collector.until("entry that was put back", put_back).await;
    assert_eq!(buried.links, [from], "both are linked to what appended the row");
    show.until_right(CONVERGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_in_hand_is_linked_when_another_takes_it() {
    let (stage, collector) = (stage(177).await, Collector::start().await);
    let fleet = traced(&stage, &collector).processes(Role::Normaliser, 0);
    let mut show = Show::open(&stage, fleet).await;
    let doomed = show.fleet.spawn_with(Role::Normaliser, &[("FAILPOINTS", "stream::handled=return")]);
    let doomed = doomed.expect("it starts");
    doomed.may_end();
    assert!(doomed.wait(CONVERGE).await.is_some(), "it dies: needs crash points, as `make test` builds them");
    show.fleet.spawn(Role::Normaliser).expect("it starts");
    show.until_right(CONVERGE).await;
    let taken_over = |spans: &[Span]| {
        let second = |span: &Span| span.attribute("tributary.deliveries") == "2";
        let found = again(spans, "process raw").find(|(span, _)| second(span));
        found.map(|(span, append)| (span.clone(), first(spans, append).count()))
    };
    let (span, _) = collector.until("entry in its second delivery", taken_over).await;
    assert_eq!(span.service, "normaliser");
}
