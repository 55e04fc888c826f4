//! What sources do to polls. Nothing is lost, and nobody else is kept waiting.

use std::time::Duration;

use loadtest::world::{Fault, Malformed, Spoiled};
use serde_json::Value;
use tokio::time::sleep;

use crate::show::{Show, stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_limits_or_talks_nonsense_delays_numbers_and_loses_none() {
    let stage = stage(31).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    sleep(Duration::from_secs(2)).await;
    for fault in [
        Fault::Status(503),
        Fault::Html(502),
        Fault::Reset,
        Fault::TooManyRequests { retry_after_s: Some(1) },
        Fault::QuotaSpent { resets_in_s: 2 },
    ] {
        for person in &stage.world.people {
            stage.toggl.faults().next(Some(&person.name), fault.clone(), 1);
            stage.whatpulse.faults().next(Some(&person.name), fault.clone(), 1);
        }
        show.play();
        sleep(Duration::from_secs(2)).await;
    }
    show.play_on(Duration::from_secs(1)).await;
    // Five failures of one connection in a row may put its next poll off by half a minute and more, and a breaker
    // that opened for everybody lets one through at a time: two minutes are usual.
    show.until_right(Duration::from_secs(300)).await;
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_a_dead_letter_and_the_rest_of_its_page_counts() {
    let stage = stage(32).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(40)).await;
    let person = &stage.world.people[0];
    let spoiled = Malformed { field: "start".into(), how: Spoiled::Null };
    stage.toggl.faults().next(Some(&person.name), Fault::Malformed(spoiled), 1);
    show.play_on(Duration::from_secs(2)).await;
    // Read again a moment later, the same record is well: its numbers are right in the end.
    show.until_right(Duration::from_secs(40)).await;

    let listed = show.fleet.run(&["dead-letters", "list", "--json"]).await.unwrap();
    let letters: Vec<Value> =
        serde_json::from_str::<Value>(&listed).unwrap()["dead_letters"].as_array().unwrap().clone();
    assert_eq!(letters.len(), 1, "{listed}");
    let error = letters[0]["error"].as_str().unwrap();
    assert!(error.contains("toggl") && error.contains("start"), "{error}");
    assert_eq!(letters[0]["user"], person.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_turns_one_connection_off_until_it_is_imported_again() {
    let stage = stage(33).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(40)).await;
    let person = &stage.world.people[0];
    stage.toggl.faults().always(Some(&person.name), Fault::Unauthorised);
    sleep(Duration::from_secs(4)).await;
    let shown = show.fleet.run(&["connections", "show", &person.name, "--json"]).await.unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["sources"]["toggl"]["state"], "off", "{shown}");
    assert_eq!(shown["sources"]["whatpulse"]["state"], "on", "{shown}");

    stage.toggl.faults().clear();
    show.play_on(Duration::from_secs(1)).await;
    show.fleet.import(&stage.import_file()).await.unwrap();
    show.until_right(Duration::from_secs(40)).await;
}
