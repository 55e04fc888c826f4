//! Rows that cannot be read, and keys that are refused.

use std::{collections::BTreeSet, time::Duration};

use loadtest::{
    judge::{Numbers, Records, Row, expected, verdict},
    toggl::Edit,
    world::{Fault, Malformed, Mapping, Person, Rule, Spoiled},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::show::{Show, stage};

const HOWS: [Spoiled; 3] = [Spoiled::Missing, Spoiled::Null, Spoiled::WrongType];
const LIMIT: Duration = Duration::from_secs(50);

async fn told(show: &Show<'_>, arguments: &[&str]) -> Value {
    serde_json::from_str(&show.fleet.run(arguments).await.unwrap()).unwrap()
}

/// A person's dead letters from one source, with their payloads.
async fn letters(show: &Show<'_>, person: &Person, source: &str) -> Vec<Value> {
    let listed = told(show, &["dead-letters", "list", "--user", &person.name, "--source", source, "--json"]).await;
    let mut letters = Vec::new();
    for letter in listed["dead_letters"].as_array().unwrap() {
        letters.push(told(show, &["dead-letters", "show", letter["id"].as_str().unwrap(), "--json"]).await);
    }
    letters
}

/// What is wrong if the records of these letters do not count at all.
fn wrong_without(show: &Show<'_>, person: &Person, letters: &[Value]) -> Vec<Row> {
    let ids: BTreeSet<&str> = letters.iter().filter_map(|letter| letter["external_id"].as_str()).collect();
    let mut records = Records::of(person, &show.stage.whatpulse, &show.stage.toggl).with(person, &show.stage.pastimes);
    records.entries.retain(|entry| !ids.contains(entry.id.to_string().as_str()));
    records.pulses.retain(|pulse| !ids.contains(pulse.id.to_string().as_str()));
    let numbers = expected(&person.zone(), &person.mappings, &records);
    let values = show.stage.exist.values(&person.name).into_iter();
    let held: Numbers = values.filter_map(|(key, value)| Some((key, value.number()?))).collect();
    verdict(&person.name, &person.timezone, &numbers, &held).into_iter().filter(|row| !row.equal).collect()
}

/// Whether something of this person is missing in Exist: a spoiled row that counts nothing would prove nothing.
fn matters(show: &Show<'_>, person: &Person) -> bool {
    show.stage.verdict().rows.iter().any(|row| row.person == person.name && !row.equal)
}

/// As the row lacks it: not there, null, or an object.
fn is_spoiled(payload: &Value, field: &str, how: Spoiled) -> bool {
    match how {
        Spoiled::Missing => payload.get(field).is_none(),
        Spoiled::Null => payload.get(field).is_some_and(Value::is_null),
        Spoiled::WrongType => payload[field].is_object(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_with_a_field_missing_null_or_of_another_type_is_set_aside_and_all_others_count() {
    let stage = stage(61).await;
    let people = &stage.world.people;
    let mut spoiled = Vec::new();
    // Every other person has a timer running, which is the first row and counts nothing yet: not them.
    let (with_timer, without) = (people.iter().step_by(2), people.iter().skip(1).step_by(2));
    for (how, (at_toggl, at_whatpulse)) in HOWS.into_iter().zip(without.zip(with_timer)) {
        let fault = |field: &str| Fault::Malformed(Malformed { field: field.into(), how });
        stage.toggl.faults().always(Some(&at_toggl.name), fault("start"));
        stage.whatpulse.faults().always(Some(&at_whatpulse.name), fault("date"));
        spoiled.extend([(at_toggl, "toggl", "start", how), (at_whatpulse, "whatpulse", "date", how)]);
    }
    let mut show = Show::open(&stage, stage.fleet()).await;
    for &(person, source, field, how) in &spoiled {
        let deadline = Instant::now() + LIMIT;
        let found = loop {
            let found = letters(&show, person, source).await;
            let wrong = wrong_without(&show, person, &found);
            if !found.is_empty() && wrong.is_empty() && matters(&show, person) {
                break found;
            }
            let letters = found.len();
            assert!(
                Instant::now() < deadline,
                "{}, {source}, {how:?}: {letters} letters; wrong: {} {:?}",
                person.name,
                wrong.len(),
                wrong.first()
            );
            sleep(Duration::from_millis(300)).await;
        };
        for letter in &found {
            let error = letter["error"].as_str().unwrap();
            assert!(error.contains(source) && error.contains(field), "{error}");
            assert!(is_spoiled(&letter["payload"], field, how), "{letter}");
        }
    }
    stage.toggl.faults().clear();
    stage.whatpulse.faults().clear();
    // A source that is well again tells an entry anew when it changes.
    for &(person, ..) in spoiled.iter().filter(|(_, source, ..)| *source == "toggl") {
        for letter in letters(&show, person, "toggl").await {
            let id = letter["external_id"].as_str().unwrap().parse().unwrap();
            let edits = [Edit::Description(Some("Looked at again".into()))];
            assert!(stage.toggl.edit(&person.name, id, &edits), "{letter}");
        }
    }
    show.until_right(LIMIT).await;
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_source_refuses_its_key_the_other_goes_on_counting() {
    let stage = stage(62).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(60)).await;
    let person = &stage.world.people[0];
    stage.whatpulse.faults().always(Some(&person.name), Fault::Unauthorised);
    let deadline = Instant::now() + LIMIT;
    while told(&show, &["connections", "show", &person.name, "--json"]).await["sources"]["whatpulse"]["state"] != "off"
    {
        assert!(Instant::now() < deadline, "the connection is still on");
        sleep(Duration::from_millis(200)).await;
    }
    let asked = stage.whatpulse.requests().of(&person.name).len();
    show.play_on(Duration::from_secs(2)).await;
    // All that is wrong is what the refused key keeps from us; the other source's numbers are right.
    let from_toggl = |row: &Row| {
        let by_toggl =
            |mapping: &Mapping| mapping.attribute == row.attribute && matches!(mapping.rule, Rule::Toggl { .. });
        row.person != person.name || person.mappings.iter().any(by_toggl)
    };
    let deadline = Instant::now() + LIMIT;
    loop {
        let wrong: Vec<Row> = stage.verdict().rows.into_iter().filter(|row| !row.equal).collect();
        let late = wrong.iter().filter(|row| from_toggl(row)).count();
        if late == 0 && !wrong.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{late} numbers of other connections are wrong, of {}", wrong.len());
        sleep(Duration::from_millis(200)).await;
    }
    let shown = told(&show, &["connections", "show", &person.name, "--json"]).await;
    assert_eq!(shown["sources"]["toggl"]["state"], "on", "{shown}");
    assert_eq!(stage.whatpulse.requests().of(&person.name).len(), asked, "polls of a connection that is off");
    stage.whatpulse.faults().clear();
    show.fleet.import(&stage.import_file()).await.unwrap();
    show.until_right(LIMIT).await;
    show.nothing_was_lost().await;
}
