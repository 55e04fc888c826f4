//! Ledgers rebuilt from their archives: right ones pass, wrong ones are named and put right.

use std::time::Duration;

use ::redis::{AsyncCommands, aio::MultiplexedConnection};
use loadtest::fleet::Role;
use serde_json::Value;
use tokio::time::Instant;

use crate::show::{Show, stage};

const CONVERGE: Duration = Duration::from_secs(60);
/// How many writers are killed, one after the other.
const KILLED: usize = 2;

impl Show<'_> {
    async fn link(&mut self) -> MultiplexedConnection {
        let url = self.fleet.redis().expect("a private Redis").url();
        let client = ::redis::Client::open(url).expect("an address");
        client.get_multiplexed_async_connection().await.expect("Redis answers")
    }

    /// Runs a replay that must not fail.
    async fn replay(&self, arguments: &[&str]) -> Value {
        let arguments = [&["replay", "--json"], arguments].concat();
        let said = self.fleet.run(&arguments).await.unwrap_or_else(|error| panic!("{error:#}"));
        serde_json::from_str(&said).expect("it is JSON")
    }

    /// Everybody's ledger is what its archive says.
    async fn nothing_differs(&self) -> Value {
        let report = self.replay(&["--all"]).await;
        assert_eq!(report["differences"], Value::Array(Vec::new()), "{report}");
        report
    }

    /// Whatever retention would throw away of a person is gone; their totals stay.
    async fn forget(&mut self, person: &str) {
        let mut link = self.link().await;
        for kind in ["records", "applied", "archive"] {
            let keys: Vec<String> = link.keys(format!("*:{kind}:{person}:*")).await.expect("keys");
            assert!(!keys.is_empty(), "nothing is held under {kind}");
            let _: () = link.del(keys).await.expect("they are removed");
        }
        // What processes remember of them is stale.
        let revisions: Vec<String> = link.keys("*:revision").await.expect("revisions");
        for revision in revisions {
            let _: i64 = link.incr(revision, 1).await.expect("it rises");
        }
    }

    /// Waits until the archives tell of more events, while nothing differs; returns of how many.
    async fn until_more_is_told(&self, than: u64) -> u64 {
        let deadline = Instant::now() + CONVERGE;
        loop {
            let told = self.nothing_differs().await["events"].as_u64().expect("a number");
            if told > than {
                return told;
            }
            assert!(Instant::now() < deadline, "still {told} events");
        }
    }

    /// The first field of the first hash of these names that is taken, with its key.
    async fn field(&mut self, pattern: &str, takes: impl Fn(&str) -> bool) -> (String, String) {
        let mut link = self.link().await;
        let mut keys: Vec<String> = link.keys(pattern).await.expect("keys");
        keys.sort();
        for key in keys {
            let mut fields: Vec<String> = link.hkeys(&key).await.expect("fields");
            fields.sort();
            if let Some(field) = fields.into_iter().find(|field| takes(field)) {
                return (key, field);
            }
        }
        panic!("nothing fits under {pattern}");
    }
}

/// `attribute|day` as the report tells it.
fn attribute_and_day(field: &str) -> (String, String) {
    let mut words = field.split('|');
    let (attribute, day) = (words.next().expect("an attribute"), words.next().expect("a day"));
    let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day.parse::<i32>().expect("a number"));
    (attribute.to_owned(), date.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_total_a_wrong_record_and_a_wrong_confirmation_are_named_and_put_right() {
    let stage = stage(64).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(CONVERGE).await;
    let people: Vec<String> = stage.world.people.iter().map(|person| person.name.clone()).collect();
    // One archive begins with totals of records that are forgotten, and a recount takes them out.
    show.forget(&people[3]).await;
    show.fleet.run(&["recount", &people[3], "toggl", "--wait"]).await.expect("the recount goes through");
    show.until_right(CONVERGE).await;
    let report = show.nothing_differs().await;
    let told = |name: &str| report[name].as_u64().unwrap_or_default();
    assert_eq!((told("users"), told("unarchived")), (people.len() as u64, 0), "{report}");
    assert!(told("events") > 1_000 && told("records") > 1_000 && told("totals") > 500, "{report}");
    let (bytes, events) = (told("archived_bytes"), told("events"));
    println!("{events} events in {bytes} bytes: {} each", bytes / events);
    assert!(bytes < 60 * events, "{bytes} bytes for {events} events");

    let mut link = show.link().await;
    let (totals, total) = show.field(&format!("*:totals:{}:*", people[0]), |field| field.ends_with("|toggl")).await;
    let before: i64 = link.hget(&totals, &total).await.expect("a total");
    let _: i64 = link.hincr(&totals, &total, 1_000).await.expect("it is wrong now");
    let (applied, record) =
        show.field(&format!("*:applied:{}:*", people[1]), |field| field.starts_with("toggl/")).await;
    let (other_key, other) =
        show.field(&format!("*:applied:{}:*", people[1]), |field| field.starts_with("toggl/") && field != record).await;
    let of_another: Vec<u8> = link.hget(&other_key, &other).await.expect("a record");
    let _: () = link.hset(&applied, &record, of_another).await.expect("it is wrong now");
    let values = stage.verdict().rows.into_iter().filter(|row| row.person == people[2]);
    let values: Vec<_> = values.filter(|row| row.held.is_some_and(|held| !held.is_zero())).collect();
    let held = |field: &str| {
        let (attribute, day) = attribute_and_day(field);
        values.iter().find(|row| row.attribute == attribute && row.day.to_string() == day).and_then(|row| row.held)
    };
    let confirmations = format!("*:confirmed:{}:*", people[2]);
    let (confirmed, pair) = show.field(&confirmations, |field| held(field).is_some()).await;
    let differs = |field: &str| held(field).is_some_and(|value| Some(value) != held(&pair));
    let (other_key, other) = show.field(&confirmations, differs).await;
    let of_another: Vec<u8> = link.hget(&other_key, &other).await.expect("a value");
    let _: () = link.hset(&confirmed, &pair, of_another).await.expect("it is wrong now");

    let said = show.fleet.run(&["replay", "--all"]).await.expect_err("exit 1").to_string();
    assert!(said.contains("3 things differ"), "{said}");
    let report = show.replay(&["--all", "--apply", "--yes"]).await;
    assert_eq!((&report["repaired"], &report["unrepaired"]), (&3.into(), &Value::Array(Vec::new())), "{report}");
    let differences = report["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 3, "{report}");
    let of = |person: &str| differences.iter().find(|named| named["user"] == person).expect("each is named");

    let named = of(&people[0]);
    let (attribute, day) = attribute_and_day(&total);
    assert_eq!((&named["what"], &named["source"]), (&"total".into(), &"toggl".into()), "{named}");
    assert_eq!((&named["attribute"], &named["days"]), (&attribute.into(), &vec![day].into()), "{named}");
    assert_eq!((&named["found"], &named["expected"]), (&(before + 1_000).into(), &before.into()), "{named}");
    let named = of(&people[1]);
    assert_eq!((&named["what"], &named["records"]), (&"record".into(), &vec![record].into()), "{named}");
    let named = of(&people[2]);
    let (attribute, day) = attribute_and_day(&pair);
    assert_eq!((&named["what"], &named["attribute"]), (&"exist".into(), &attribute.into()), "{named}");
    assert_eq!((&named["days"], &named["expected"]), (&vec![day].into(), &held(&pair).unwrap().to_string().into()));

    show.until_right(CONVERGE).await;
    show.nothing_differs().await;
    show.nothing_was_lost().await;
}

/// Ledger and archive are read at one moment, and neither is ever ahead of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_beside_live_traffic_and_dying_writers_finds_nothing() {
    let stage = stage(66).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    // Of a person whose zone the import gave: it is known before Exist was asked.
    let person = &stage.world.people[0].name;
    let (mut round, mut events) = (0, 0);
    loop {
        round += 1;
        events = show.until_more_is_told(events).await;
        if round <= KILLED {
            show.fleet.process(&format!("exist-writer-{round}")).kill9().expect("it is killed");
            show.fleet.spawn(Role::ExistWriter).expect("another one starts");
        }
        show.nothing_differs().await;
        if !show.play() {
            break;
        }
        show.fleet.run(&["recount", person, "toggl"]).await.expect("a recount is asked for");
    }
    show.until_right(CONVERGE).await;
    let report = show.nothing_differs().await;
    assert!(report["events"].as_u64() > Some(1_000), "{report}");
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_total_that_reached_exist_is_put_right_there_beside_live_traffic() {
    let stage = stage(65).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(CONVERGE).await;
    let person = stage.world.people[1].name.clone();
    let mut link = show.link().await;
    let keys: Vec<String> = link.keys(format!("*:totals:{person}:*")).await.expect("keys");
    for key in keys {
        let fields: Vec<String> = link.hkeys(&key).await.expect("totals");
        for field in fields.into_iter().filter(|field| field.ends_with("|toggl")) {
            let _: i64 = link.hincr(&key, field, 36_000).await.expect("it is wrong now");
        }
    }
    let told = stage.verdict();
    let entry = stage.toggl.entries(&person).into_iter().find(|entry| {
        let counts = entry.deleted_at.is_none() && entry.stop.is_some();
        counts && stage.toggl.delete(&person, entry.id) && stage.verdict().unequal() > told.unequal()
    });
    let entry = entry.expect("an entry that counts").id.to_string();
    // Its days are sent now, with ten hours too many.
    show.until_wrong(stage.verdict().unequal(), CONVERGE).await;

    let said = show.fleet.run(&["replay", "--user", &person]).await.expect_err("exit 1").to_string();
    assert!(said.contains("differ; --apply"), "{said}");
    // Of the record alone: its days, and no others.
    let report = show.replay(&["--user", &person, "--external-id", &entry, "--apply", "--yes"]).await;
    let differences = report["differences"].as_array().expect("a list");
    let name = format!("toggl/{entry}");
    let names = |named: &Value| named["records"].as_array().is_some_and(|all| all.contains(&name.as_str().into()));
    assert!(!differences.is_empty() && differences.iter().all(names), "{report}");
    show.play_on(Duration::from_millis(300)).await;
    let report = show.replay(&["--user", &person, "--apply", "--yes"]).await;
    assert_ne!(report["repaired"], 0, "{report}");
    show.until_right(CONVERGE).await;
    show.nothing_differs().await;
    show.nothing_was_lost().await;
}
