//! The log's lines and the traces they belong to.

use std::time::Duration;

use loadtest::world::Fault;
use serde_json::Value;

use crate::{
    collector::{Collector, Span},
    show::{Show, stage},
    stand::{CONVERGE, traced, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_written_about_a_traced_poll_names_its_trace_and_span() {
    let (stage, collector) = (stage(178).await, Collector::start().await);
    let mut show = Show::open(&stage, traced(&stage, &collector)).await;
    show.until_right(CONVERGE).await;
    stage.toggl.faults().next(None, Fault::Status(500), 1);
    let line = async |show: &mut Show<'_>| -> Option<Value> {
        let log = show.fleet.process("fetcher-1").log().expect("a log");
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("every line is JSON"));
        let told = |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("brought nothing"));
        lines.into_iter().find(told)
    };
    until("a line about the poll", async || line(&mut show).await.is_some()).await;
    let line = line(&mut show).await.expect("it was there");
    let (trace, span) = (line["trace_id"].as_str().expect("a trace"), line["span_id"].as_str().expect("a span"));
    let its = |spans: &[Span]| spans.iter().find(|its| (its.trace.as_str(), its.id.as_str()) == (trace, span)).cloned();
    let poll = collector.until("span of that line", its).await;
    assert_eq!((poll.name.as_str(), poll.attribute("error.type"), poll.failed), ("poll toggl", "server", true));
    // Nothing of a span but its ids is in a line, and a line outside of any has none.
    assert!(line.get("span").is_none() && line.get("spans").is_none(), "{line}");
    let log = show.fleet.process("fetcher-1").log().expect("a log");
    let first: Value = serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
    assert!(first.get("trace_id").is_none(), "{first}");
    show.fleet.stop(Duration::from_secs(30)).await.expect("they stop");
}
