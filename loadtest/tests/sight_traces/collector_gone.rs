//! A collector that is not there costs spans, never work.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    collector::Collector,
    show::{Show, stage},
    stand::{CONVERGE, free_address, traced},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_spans_and_no_work() {
    let (stage, collector) = (stage(174).await, Collector::start().await);
    let gone = format!("http://{}", free_address());
    let fleet = traced(&stage, &collector).setting("TRIBUTARY_OTLP_ENDPOINT", &gone);
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(CONVERGE).await;
    show.nothing_was_lost().await;
    for index in 0..3 {
        let process = &show.fleet.processes()[index];
        let (name, url) = (process.name().to_owned(), process.admin_url());
        let metrics = reqwest::get(format!("{url}/metrics")).await.expect("metrics").text().await.expect("a text");
        let service = name.strip_suffix("-1").expect("the first of its kind");
        let line = format!("tributary_spans_lost_total{{service=\"{service}\"}} ");
        let lost = metrics.lines().find_map(|found| found.strip_prefix(&line)).expect("it is counted");
        assert!(lost.parse::<f64>().is_ok_and(|lost| lost > 0.0), "{name}: {lost}");
    }
    let begun = Instant::now();
    let killed = show.fleet.stop(Duration::from_secs(30)).await.expect("they stop");
    assert!(killed.is_empty(), "{killed:?} had to be killed after {:?}", begun.elapsed());
    for process in show.fleet.processes() {
        let log = process.log().expect("a log");
        // Once a minute; these ran for less than two.
        let said = log.lines().filter(|line| line.contains("spans were lost")).count();
        assert!((1..=3).contains(&said), "{}: said {said} times", process.name());
    }
}
