//! What puts itself right, what operators put right, and what stood in Exist before us.

use std::{collections::BTreeMap, time::Duration};

use jiff::{ToSpan, civil::Date};
use loadtest::{
    demo::Stage,
    exist::{DailyValue, Endpoint, Happening},
    fleet::Role,
    judge::Row,
    world::{Mode, Person},
};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio::time::sleep;

use crate::show::{Show, stage};

const CONVERGE: Duration = Duration::from_secs(60);
/// What somebody else writes over a value of ours.
const WRONG: i64 = 4711;

/// Numbers of one attribute of one person that Exist holds, the newest first.
fn held(stage: &Stage, person: &Person, attribute: &str) -> Vec<Row> {
    let rows = stage.verdict().rows.into_iter();
    let ours = rows.filter(|row| row.person == person.name && row.attribute == attribute && row.held.is_some());
    let mut ours: Vec<Row> = ours.collect();
    ours.sort_by_key(|row| std::cmp::Reverse(row.day));
    ours
}

/// Somebody changes a value on a day that nothing of ours will change again. Returns the day.
fn meddle(stage: &Stage, person: &Person, attribute: &str) -> Date {
    let date = held(stage, person, attribute).last().expect("they have some").day;
    let value = DailyValue::Number(WRONG.into());
    stage.exist.happen(&person.name, Happening::UserEdit { attribute: attribute.into(), date, value });
    date
}

async fn told(show: &Show<'_>, arguments: &[&str]) -> Value {
    serde_json::from_str(&show.fleet.run(arguments).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_somebody_changed_is_noticed_and_written_again() {
    let stage = stage(61).await;
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_RECONCILE_AFTER", "8s")).await;
    show.until_right(CONVERGE).await;
    meddle(&stage, &stage.world.people[0], "keystrokes");
    assert_eq!(stage.verdict().unequal(), 1);
    show.until_right(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_says_what_differs_and_repairs_it_when_it_is_told_to() {
    let stage = stage(62).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(CONVERGE).await;
    let person = &stage.world.people[0];
    let day = meddle(&stage, person, "keystrokes");
    let refused = show.fleet.run(&["audit", &person.name, "--json"]).await.expect_err("something differs");
    assert!(format!("{refused:#}").contains("1 values are not what we left"), "{refused:#}");
    assert_eq!(stage.verdict().unequal(), 1, "an audit changes nothing by itself");
    let repaired = told(&show, &["audit", &person.name, "--repair", "--json"]).await;
    let difference = &repaired["differences"][0];
    assert_eq!(difference["day"], day.to_string());
    assert_eq!((&difference["found"], &difference["repaired"]), (&Value::from(WRONG.to_string()), &Value::from(true)));
    show.until_right(CONVERGE).await;
    let everybody = told(&show, &["audit", "--share", "1/1", "--json"]).await;
    assert_eq!(everybody["users"], stage.world.people.len());
    assert!(everybody["compared"].as_u64() > Some(500), "{everybody}");
    assert_eq!(everybody["differences"].as_array().map(Vec::len), Some(0), "{everybody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_add_to_an_increment_is_theirs_when_it_is_read_back() {
    let stage = stage(63).await.in_mode(Mode::Increment);
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_RECONCILE_AFTER", "4s")).await;
    show.until_right(CONVERGE).await;
    let person = &stage.world.people[0];
    let day = meddle(&stage, person, "keystrokes");
    let before = stage.exist.values(&person.name)[&("keystrokes".to_owned(), day)].clone();
    sleep(Duration::from_secs(6)).await;
    // The check has seen it by now, and left it alone: it is the user's.
    let after = stage.exist.values(&person.name)[&("keystrokes".to_owned(), day)].clone();
    assert_eq!(before, after);
    show.until_right(CONVERGE).await;
}

/// Days are set to 0 while the writer that does it is killed; then everything is sent again.
async fn zeroed_and_written_anew(mode: Mode, seed: u64) {
    let stage = stage(seed).await.in_mode(mode);
    let settle = stage.fleet().setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s").setting("TRIBUTARY_EXIST_SETTLE", "2s");
    let mut show = Show::open(&stage, settle).await;
    show.until_right(CONVERGE).await;
    let person = &stage.world.people[0];
    let updates = || stage.exist.log().of(&person.name).to(Endpoint::Update).entries().len();
    let before = updates();
    show.fleet.run(&["zero", &person.name, "keystrokes", "--days", "20", "--yes"]).await.unwrap();
    stage.exist.until(|_| updates() > before).await;
    show.fleet.process("exist-writer-1").kill9().unwrap();
    show.fleet.spawn(Role::ExistWriter).unwrap();
    show.fleet.run(&["zero", &person.name, "mouse_clicks", "--days", "3", "--yes", "--wait"]).await.unwrap();
    show.until_right(CONVERGE).await;
    let today = jiff::Timestamp::now().to_zoned(person.zone()).date();
    let row = ("keystrokes".to_owned(), today - 19.days());
    let oldest = stage.exist.values(&person.name).contains_key(&row);
    assert!(oldest, "the first of the 20 days was set to 0");
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(CONVERGE).await;
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_zeroed_and_written_anew_whoever_dies_meanwhile() {
    zeroed_and_written_anew(Mode::Total, 64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_are_zeroed_and_written_anew_whoever_dies_meanwhile() {
    zeroed_and_written_anew(Mode::Increment, 65).await;
}

/// What a predecessor left for somebody's keystrokes: some days of the window.
fn predecessor(stage: &Stage, person: &Person) -> BTreeMap<Date, i64> {
    let today = jiff::Timestamp::now().to_zoned(person.zone()).date();
    let days: BTreeMap<Date, i64> = (2..7).map(|ago| (today - ago.days(), 1000 + i64::from(ago))).collect();
    let values = days.iter().map(|(date, value)| (*date, DailyValue::Number((*value).into())));
    stage.exist.keep_by_hand(&person.name, "keystrokes", values);
    days
}

/// Everybody of the stage, migrated; what the command printed.
async fn migrated(show: &Show<'_>, stage: &Stage, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.json");
    std::fs::write(&file, stage.import_file().to_string()).unwrap();
    let mut command = vec!["migrate", "--from-totals", file.to_str().unwrap(), "--json"];
    command.extend(arguments);
    let refused = show.fleet.run(&command).await.expect_err("nobody has said yes");
    assert!(format!("{refused:#}").contains("nothing was done"), "{refused:#}");
    let writes = stage.exist.log().to(Endpoint::Update).entries().len();
    assert_eq!(writes, 0, "something was written before it was decided");
    command.push("--yes");
    told(show, &command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_shows_what_it_would_change_and_takes_a_predecessors_totals_over() {
    let stage = stage(66).await;
    let person = &stage.world.people[0];
    let left = predecessor(&stage, person);
    let mut show = Show::before(&stage, stage.fleet()).await;
    let shown = migrated(&show, &stage, &[]).await;
    let days = shown["days"].as_array().unwrap();
    for (day, value) in &left {
        let ours = |row: &&Value| row["user"] == person.name && row["attribute"] == "keystrokes";
        let Some(row) = days.iter().filter(ours).find(|row| row["day"] == day.to_string()) else { continue };
        assert_eq!(row["stands"], value.to_string());
        assert_eq!(row["becomes"], row["ours"]);
    }
    let on_days_of_ours: Vec<Date> = held(&stage, person, "keystrokes")
        .into_iter()
        .filter(|row| row.expected.is_some())
        .map(|row| row.day)
        .collect();
    assert!(left.keys().any(|day| on_days_of_ours.contains(day)), "none of the days is one of ours");
    // A day of which we know nothing keeps what stands there.
    let unknown = left.keys().filter(|day| !on_days_of_ours.contains(day)).count();
    if unknown == 0 {
        show.until_right(CONVERGE).await;
    } else {
        show.until_wrong(unknown, CONVERGE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_stays_under_our_totals() {
    let stage = stage(67).await;
    let person = &stage.world.people[0];
    let left = predecessor(&stage, person);
    let mut show = Show::before(&stage, stage.fleet()).await;
    migrated(&show, &stage, &["--adopt", "baseline"]).await;
    show.until_wrong(left.len(), CONVERGE).await;
    show.play_on(Duration::from_secs(1)).await;
    let wrong = show.until_wrong(left.len(), CONVERGE).await;
    for row in wrong {
        let stood = Decimal::from(left[&row.day]);
        assert_eq!(row.held, Some(row.expected.unwrap_or_default() + stood), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_takes_a_predecessors_totals_for_ours_when_the_import_says_so() {
    let stage = stage(68).await.in_mode(Mode::Increment);
    let person = &stage.world.people[0];
    let left = predecessor(&stage, person);
    let mut show = Show::before(&stage, stage.fleet()).await;
    let mut file = stage.import_file();
    file[0]["exist"]["adopt"] = Value::Bool(true);
    show.fleet.import(&file).await.unwrap();
    // The judge counts what stood there on top, which is what adoption is to prevent.
    let is_ours = |row: &Row| row.held == row.expected.map(|sum| sum - Decimal::from(left[&row.day]));
    let days = held(&stage, person, "keystrokes");
    let wrong = show.until_wrong(days.iter().filter(|row| left.contains_key(&row.day)).count(), CONVERGE).await;
    assert!(!wrong.is_empty());
    for row in &wrong {
        let unknown_to_us = row.expected == Some(Decimal::from(left[&row.day]));
        assert!(unknown_to_us || is_ours(row), "{row:?}");
    }
}
