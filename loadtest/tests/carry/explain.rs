//! Where every number comes from.

use std::time::Duration;

use futures::{StreamExt, stream};

use crate::show::{Show, stage};

/// Questions asked at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn every_value_names_its_records_versions_and_the_request_that_wrote_it() {
    let stage = stage(81).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(60)).await;
    let rows = stage.verdict().rows.into_iter().filter(|row| row.held.is_some_and(|held| !held.is_zero()));
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 800, "only {} values", rows.len());
    let fleet = &show.fleet;
    let explained = stream::iter(&rows).map(|row| async move {
        let day = row.day.to_string();
        let answer = fleet.run(&["explain", &row.person, &row.attribute, &day, "--json"]).await;
        let answer = answer.unwrap_or_else(|error| panic!("{row:?}: {error:#}"));
        let explained: serde_json::Value = serde_json::from_str(&answer).expect("it is JSON");
        let records = explained["records"].as_array().cloned().unwrap_or_default();
        assert!(!records.is_empty(), "{row:?} has no records: {explained}");
        for record in &records {
            assert!(record["external_id"].is_string() && record["version"].is_i64(), "{row:?}: {record}");
        }
        assert_eq!(explained["older"], 0, "{row:?}: records do not make up the total: {explained}");
        let requests = explained["requests"].as_array().cloned().unwrap_or_default();
        assert!(requests.iter().any(|request| request["request"].is_string()), "{row:?} has no request: {explained}");
    });
    explained.buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
}
