//! A source counted anew: whatever the ledger forgot or got wrong comes out right.

use std::time::Duration;

use ::redis::AsyncCommands;
use jiff::Timestamp;
use loadtest::toggl::{Edit, Entry};

use crate::show::{Show, stage};

const CONVERGE: Duration = Duration::from_secs(60);

/// Entries of a person that lie so many days back, stopped and not deleted.
fn old_entries(show: &Show<'_>, person: &str, days: i64) -> Vec<Entry> {
    let before = Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    let entries = show.stage.toggl.entries(person);
    entries
        .into_iter()
        .filter(|entry| entry.deleted_at.is_none() && entry.stop.is_some_and(|stop| stop < before))
        .collect()
}

impl Show<'_> {
    /// Whatever retention would throw away is gone; and as far as the fetcher knows, it had the time to go.
    async fn forget_records(&mut self) {
        let url = self.fleet.redis().expect("a private Redis").url();
        let client = ::redis::Client::open(url).expect("an address");
        let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
        for pattern in ["*:records:*", "*:applied:*"] {
            let keys: Vec<String> = link.keys(pattern).await.expect("keys");
            assert!(!keys.is_empty(), "nothing is held under {pattern}");
            let _: () = link.del(keys).await.expect("they are removed");
        }
        let users: Vec<String> = link.keys("*:user:*").await.expect("users");
        for user in users {
            let fields: Vec<(String, String)> = link.hgetall(&user).await.expect("documents");
            for (field, text) in fields.into_iter().filter(|(field, _)| field.starts_with("polled:")) {
                let mut polled: serde_json::Value = serde_json::from_str(&text).expect("a document");
                polled["first_ok_at_ms"] = 1.into();
                let _: () = link.hset(&user, field, polled.to_string()).await.expect("it is written");
            }
        }
        // Caches of what stands on the shelves are stale.
        let revisions: Vec<String> = link.keys("*:revision").await.expect("revisions");
        for revision in revisions {
            let _: i64 = link.incr(revision, 1).await.expect("it rises");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_forgotten_records_come_out_right_on_the_day_they_left_and_on_the_day_they_joined() {
    let stage = stage(61).await;
    let fleet = stage.fleet();
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    show.forget_records().await;

    let person = stage.world.people[0].name.clone();
    let old = old_entries(&show, &person, 2);
    assert!(old.len() >= 4, "{} old entries", old.len());
    let day = jiff::SignedDuration::from_hours(24);
    assert!(
        stage.toggl.edit(&person, old[0].id, &[Edit::Start(old[0].start - day * 2)]),
        "from one old day to another"
    );
    assert!(stage.toggl.edit(&person, old[1].id, &[Edit::Start(Timestamp::now() - day)]), "to yesterday");
    assert!(stage.toggl.delete(&person, old[2].id));
    assert!(stage.toggl.edit(&person, old[3].id, &[Edit::Project(None), Edit::Tags(Vec::new())]), "counts nothing");
    assert!(stage.verdict().unequal() > 0, "the edits change numbers");
    show.until_right(CONVERGE).await;
    let recounted = show.fleet.run(&["transactions", &person, "--limit", "500", "--json"]).await.expect("lines");
    assert!(recounted.contains("recounted"), "a recount is listed: {recounted}");
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_counts_a_source_anew_while_people_go_on() {
    let stage = stage(62).await;
    let fleet = stage.fleet();
    let mut show = Show::open(&stage, fleet).await;
    show.until_right(CONVERGE).await;
    let person = stage.world.people[1].name.clone();
    show.damage_totals(&person).await;

    let said = show.fleet.run(&["recount", &person, "toggl", "--wait"]).await.expect("the recount goes through");
    assert!(said.contains("counted anew"), "{said}");
    show.play_on(Duration::from_secs(1)).await;
    // What a recount tells waits until it is through, so the numbers may be right before it is.
    for source in ["whatpulse", "toggl"] {
        show.fleet.run(&["recount", &person, source, "--wait"]).await.expect("the recount goes through");
    }
    show.until_right(CONVERGE).await;
    let lines = show.fleet.run(&["transactions", &person, "--limit", "2000", "--json"]).await.expect("lines");
    assert!(lines.contains("days changed"), "a recount says what it changed: {lines}");
    show.nothing_was_lost().await;
}

impl Show<'_> {
    /// Every total of a person's Toggl is wrong by a thousand.
    async fn damage_totals(&mut self, person: &str) {
        let url = self.fleet.redis().expect("a private Redis").url();
        let client = ::redis::Client::open(url).expect("an address");
        let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let keys: Vec<String> = link.keys(format!("*:totals:{person}:*")).await.expect("keys");
        for key in keys {
            let fields: Vec<String> = link.hkeys(&key).await.expect("totals");
            for field in fields.into_iter().filter(|field| field.ends_with("|toggl")) {
                let _: i64 = link.hincr(&key, field, 1_000).await.expect("it is wrong now");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_another_zone_leaves_the_days_before_it_as_they_were() {
    let stage = stage(63).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(CONVERGE).await;
    let mut file = stage.import_file();
    let person = file[0]["user"].as_str().expect("a name").to_owned();
    assert_eq!(file[0]["timezone"], "Pacific/Kiritimati");
    // To the other end of the earth: every day would be another, if it counted from before now.
    file[0]["timezone"] = "Pacific/Pago_Pago".into();
    show.fleet.import(&file).await.expect("the new zone is imported");
    for source in ["toggl", "whatpulse", "trakt", "github"] {
        show.fleet.run(&["recount", &person, source, "--wait"]).await.expect("the recount goes through");
    }
    show.until_right(CONVERGE).await;
    show.nothing_was_lost().await;
}
