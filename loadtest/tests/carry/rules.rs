//! Other rules for the same records.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::show::{Show, stage};

#[tokio::test(flavor = "multi_thread")]
async fn days_are_counted_again_when_the_rules_of_a_connection_change() {
    let stage = stage(51).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(40)).await;
    let person = &stage.world.people[0].name;
    let productive = || {
        let rows = stage.verdict().rows.into_iter();
        rows.filter(|row| row.person == *person && row.attribute == "productive_min").collect::<Vec<_>>()
    };
    assert!(productive().iter().any(|row| row.held.is_some_and(|held| held > Decimal::ZERO)));

    // Nobody has a project 1: nothing counts as productive any more.
    let mut file = stage.import_file();
    for connection in file[0]["connections"].as_array_mut().expect("connections") {
        if let Some(rule) = connection["settings"]["map"].get_mut("productive_min") {
            rule["projects"] = json!([1]);
        }
    }
    show.fleet.import(&file).await.expect("the new rules are imported");
    let deadline = Instant::now() + Duration::from_secs(40);
    while productive().iter().any(|row| row.held.is_some_and(|held| held != Decimal::ZERO)) {
        assert!(Instant::now() < deadline, "the old rules still count: {:?}", productive());
        sleep(Duration::from_millis(200)).await;
    }
    show.fleet.import(&stage.import_file()).await.expect("the old rules are imported again");
    show.until_right(Duration::from_secs(40)).await;
    show.nothing_was_lost().await;
}
