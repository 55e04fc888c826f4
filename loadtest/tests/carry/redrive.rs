//! Dead letters that are put back, and what becomes of them.

use std::time::Duration;

use loadtest::world::{Fault, Malformed, Spoiled};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::show::{Show, stage};

impl Show<'_> {
    async fn ask(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.fleet.run(arguments).await.expect("an answer")).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_could_not_be_read_is_put_back_and_asked_of_its_source_again() {
    let stage = stage(81).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(60)).await;
    let person = &stage.world.people[0].name;
    let spoiled = Malformed { field: "start".into(), how: Spoiled::Null };
    stage.toggl.faults().next(Some(person), Fault::Malformed(spoiled.clone()), 1);
    show.play_on(Duration::from_secs(1)).await;
    let set_aside = Instant::now();
    let letters = loop {
        let letters = show.ask(&["dead-letters", "list", "--json"]).await["dead_letters"].take();
        if letters.as_array().is_some_and(|letters| !letters.is_empty()) {
            break letters;
        }
        assert!(set_aside.elapsed() < Duration::from_secs(30), "a row is set aside");
        sleep(Duration::from_millis(200)).await;
    };
    let old = letters[0]["id"].as_str().unwrap();
    let redrive = ["dead-letters", "redrive", "--all-matching", "--source", "toggl", "--yes", "--json"];
    let told = show.ask(&redrive).await;
    let new = told["dead_letters"][0]["transaction"].as_str().unwrap();
    assert_eq!(told["dead_letters"][0]["id"], old);

    let recounted = async {
        loop {
            let shown = show.ask(&["transactions", person, "--limit", "100000", "--json"]).await;
            let transactions = shown["transactions"].as_array().unwrap();
            let again = transactions.iter().find(|transaction| transaction["id"] == new);
            let ended = |transaction: &&Value| {
                let id = transaction["external_id"].as_str().unwrap();
                id.starts_with("recount-ended") && transaction["state"] == "completed"
            };
            if let (Some(again), Some(_)) = (again, transactions.iter().find(ended)) {
                return again.clone();
            }
            sleep(Duration::from_millis(300)).await;
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(60), recounted).await.expect("the source is counted anew");
    assert_eq!((&again["replay_of"], &again["reason"]), (&old.into(), &"recounted".into()), "{again}");
    show.until_right(Duration::from_secs(60)).await;
    show.nothing_was_lost().await;
    assert_eq!(show.ask(&["dead-letters", "list", "--json"]).await["dead_letters"], Value::Array(Vec::new()));
}
