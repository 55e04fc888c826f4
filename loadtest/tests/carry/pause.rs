//! What is paused stands still while all the rest goes on, and is right again when it is resumed.

use std::{collections::BTreeMap, time::Duration};

use jiff::civil::Date;
use loadtest::judge::Row;
use rust_decimal::Decimal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::show::{Show, stage};

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Long enough for polls and writes of what is not to be polled or written.
const STAND_STILL: Duration = Duration::from_secs(4);

/// What of the world one pause concerns.
enum Still {
    /// All of one person's.
    Person(String),
    /// One person's attributes that only this source feeds.
    Connection(String, &'static str),
    /// Everybody's attributes that only this source feeds.
    Source(&'static str),
    /// One attribute of one person.
    Attribute(String, &'static str),
}

impl Show<'_> {
    /// The sources that feed an attribute of a person.
    fn feeding(&self, row: &Row) -> Vec<&'static str> {
        let person = self.stage.world.people.iter().find(|person| person.name == row.person).expect("a known person");
        let mappings = person.mappings.iter().filter(|mapping| mapping.attribute == row.attribute);
        mappings.map(|mapping| mapping.source()).collect()
    }

    /// Whether a number stands still under these pauses; `None` where one of its sources does, and another not.
    fn stands_still(&self, row: &Row, pauses: &[Still]) -> Option<bool> {
        let feeding = self.feeding(row);
        let of_source = |source: &str| (feeding.contains(&source)).then_some(feeding.len() == 1);
        let one = |pause: &Still| match pause {
            Still::Person(person) => Some(*person == row.person),
            Still::Attribute(person, attribute) => Some(*person == row.person && *attribute == row.attribute),
            Still::Connection(person, _) if *person != row.person => Some(false),
            Still::Connection(_, source) | Still::Source(source) => match of_source(source) {
                None => Some(false),
                Some(alone) => alone.then_some(true),
            },
        };
        let verdicts: Vec<Option<bool>> = pauses.iter().map(one).collect();
        if verdicts.contains(&Some(true)) { Some(true) } else { verdicts.iter().all(Option::is_some).then_some(false) }
    }

    /// What Exist holds of all that stands still; a day that was never written holds nothing, or 0.
    fn held(&self, pauses: &[Still]) -> BTreeMap<(String, String, Date), Decimal> {
        let rows = self.stage.verdict().rows.into_iter();
        let still = rows.filter(|row| self.stands_still(row, pauses) == Some(true));
        let held = still.filter_map(|row| Some(((row.person, row.attribute, row.day), row.held?)));
        held.filter(|(_, held)| !held.is_zero()).collect()
    }

    /// Waits until all is right that does not stand still.
    async fn until_others_are_right(&mut self, pauses: &[Still]) {
        // Sooner than what is paused is looked at again by itself.
        let deadline = Instant::now() + SOON / 2;
        loop {
            self.fleet.check().expect("no process ends by itself");
            let rows = self.stage.verdict().rows.into_iter();
            let mut wrong = rows.filter(|row| !row.equal && self.stands_still(row, pauses) == Some(false));
            let Some(wrong) = wrong.next() else { return };
            assert!(Instant::now() < deadline, "it is wrong and nobody paused it: {wrong:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The partition that a person lives in.
    async fn partition_of(&mut self, person: &str) -> usize {
        let client = redis::Client::open(self.fleet.redis().expect("a private Redis").url()).expect("an address");
        let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
        for partition in 0..64 {
            let key = format!("{{p{partition:02}}}:users");
            let lives_here: bool =
                redis::cmd("SISMEMBER").arg(key).arg(person).query_async(&mut link).await.expect("Redis answers");
            if lives_here {
                return partition;
            }
        }
        panic!("{person} lives nowhere");
    }

    async fn status(&self) -> Value {
        serde_json::from_str(&self.fleet.run(&["status", "--json"]).await.expect("a status")).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scope_stands_still_while_it_is_paused_and_all_others_go_on() {
    let stage = stage(71).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(SOON).await;
    let name = |index: usize| stage.world.people[index].name.clone();
    let partition = show.partition_of(&name(1)).await.to_string();
    let neighbours = {
        let mut neighbours = Vec::new();
        for person in &stage.world.people {
            if show.partition_of(&person.name).await.to_string() == partition {
                neighbours.push(Still::Person(person.name.clone()));
            }
        }
        neighbours
    };
    let words: [&[&str]; 6] = [
        &["partition", &partition],
        &["user", &name(2)],
        &["connection", &name(3), "toggl"],
        &["connection", &name(4), "exist"],
        &["attribute", &name(5), "keystrokes"],
        &["source", "ynab"],
    ];
    let pauses: Vec<Still> = [
        Still::Person(name(2)),
        Still::Connection(name(3), "toggl"),
        Still::Person(name(4)),
        Still::Attribute(name(5), "keystrokes"),
        Still::Source("ynab"),
    ]
    .into_iter()
    .chain(neighbours)
    .collect();
    for scope in words {
        show.fleet.run(&[&["pause"], scope, &["--reason", "we look at it"]].concat()).await.unwrap();
    }
    let before = show.held(&pauses);
    assert!(before.len() > 100, "only {} numbers stand still", before.len());
    let paused = show.status().await["paused"].clone();
    let told: Vec<&str> = paused.as_array().unwrap().iter().map(|pause| pause["scope"].as_str().unwrap()).collect();
    let mut expected: Vec<String> = words.iter().map(|words| words.join(" ")).collect();
    expected.sort();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert!(paused.as_array().unwrap().iter().all(|pause| pause["reason"] == "we look at it"), "{paused}");

    for _ in 0..3 {
        assert!(show.play());
        sleep(Duration::from_secs(1)).await;
    }
    show.until_others_are_right(&pauses).await;
    sleep(STAND_STILL).await;
    let after = show.held(&pauses);
    let moved: Vec<_> = after.iter().filter(|(key, held)| before.get(key) != Some(*held)).collect();
    assert!(moved.is_empty() && after.len() == before.len(), "what is paused moved: {moved:?}");
    let wrong = stage.verdict().unequal();
    assert!(wrong > 20, "only {wrong} numbers had anything to wait for");

    for scope in words {
        show.fleet.run(&[&["resume"], scope].concat()).await.unwrap();
    }
    show.until_right(SOON).await;
    show.nothing_was_lost().await;
    assert_eq!(show.status().await["paused"], Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_at_all_is_sent_while_all_is_paused_and_a_new_owner_keeps_to_it() {
    let stage = stage(72).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    // Paused in the middle of the back-fill: what is on its way waits where it is.
    sleep(Duration::from_secs(2)).await;
    show.fleet.run(&["pause", "all", "--reason", "moving Redis"]).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let asked = stage.exist.log().entries().len();
    show.play();
    for killed in ["fetcher-1", "normaliser-1", "exist-writer-1"] {
        show.fleet.process(killed).kill9().unwrap();
        let role = show.fleet.process(killed).role();
        show.fleet.spawn(role).unwrap();
    }
    // Leases of the dead expire after ten seconds.
    sleep(Duration::from_secs(14)).await;
    assert_eq!(stage.exist.log().entries().len(), asked, "Exist is left alone");

    show.fleet.run(&["resume", "all"]).await.unwrap();
    let resumed = Instant::now();
    while stage.exist.log().entries().len() == asked {
        assert!(resumed.elapsed() < Duration::from_secs(5), "it goes on at once");
        sleep(Duration::from_millis(20)).await;
    }
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(SOON).await;
    show.nothing_was_lost().await;
}
