//! The script played on the simulators, carried to Exist by an honest hand, and judged.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::Date};
use loadtest::{
    exist::{ExistConfig, ExistSim, UserSpec},
    github::GithubSim,
    judge::{Numbers, Records, Row, expected, verdict},
    toggl::{TogglConfig, TogglSim},
    trakt::{TraktConfig, TraktSim},
    whatpulse::{WhatPulseConfig, WhatPulseSim},
    world::{Kind, Pastimes, Person, Played, Player, World},
    ynab::YnabSim,
};
use reqwest::Client;
use rust_decimal::Decimal;
use serde_json::{Value, json};

struct Week {
    world: World,
    whatpulse: WhatPulseSim,
    toggl: TogglSim,
    pastimes: Pastimes,
    events: Played,
}

/// Late November: the clock change is New York's.
async fn played(seed: u64) -> Week {
    played_at(seed, "2026-11-21T10:30:00Z".parse().unwrap()).await
}

async fn played_at(seed: u64, now: Timestamp) -> Week {
    let world = World::scripted(seed, now);
    let whatpulse = WhatPulseSim::start(WhatPulseConfig::default()).await.unwrap();
    let toggl = TogglSim::start(TogglConfig::default()).await.unwrap();
    whatpulse.clock().set(now);
    toggl.clock().set(now);
    let pastimes = Pastimes {
        trakt: TraktSim::start(TraktConfig::default()).await.unwrap(),
        ynab: YnabSim::start().await.unwrap(),
        github: GithubSim::start().await.unwrap(),
    };
    pastimes.github.clock().set(now);
    let mut player = Player::new(&world.people, &whatpulse, &toggl).with(&pastimes);
    let mut events = Played::default();
    for round in &world.rounds {
        events += player.play(round);
    }
    Week { world, whatpulse, toggl, pastimes, events }
}

impl Week {
    fn person(&self, name: &str) -> &Person {
        self.world.people.iter().find(|person| person.name == name).unwrap()
    }

    fn numbers(&self, person: &Person) -> Numbers {
        let records = Records::of(person, &self.whatpulse, &self.toggl).with(person, &self.pastimes);
        expected(&person.zone(), &person.mappings, &records)
    }
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[tokio::test]
async fn every_script_can_be_played_to_its_end() {
    for seed in 0..10 {
        let played = played(seed).await;
        let Played { created, edited, deleted } = played.events;
        assert!(created > 500 && edited > 50 && deleted > 20, "seed {seed}: {:?}", played.events);
        for person in &played.world.people {
            let records = Records::of(person, &played.whatpulse, &played.toggl);
            assert!(records.entries.iter().all(|entry| entry.stop.is_some()), "{} left a timer on", person.name);
        }
    }
}

#[tokio::test]
async fn everybody_has_numbers_for_each_attribute() {
    // Every eleventh day of a year, each at another hour of the day, with a seed of its own.
    let start: Timestamp = "2026-01-01T00:20:00Z".parse().unwrap();
    for seed in 0..34 {
        let now = start + SignedDuration::from_hours(i64::try_from(seed).unwrap() * (11 * 24 + 5));
        let played = played_at(seed, now).await;
        for person in &played.world.people {
            let numbers = played.numbers(person);
            for mapping in &person.mappings {
                let days = numbers.keys().filter(|(attribute, _)| *attribute == mapping.attribute).count();
                let attribute = &mapping.attribute;
                // Films, code and wages are not for every day.
                let few = if ["whatpulse", "toggl"].contains(&mapping.source()) { 3 } else { 1 };
                assert!(days >= few, "seed {seed}, {now}: {} has {days} days of {attribute}", person.name);
            }
        }
    }
}

#[tokio::test]
async fn the_day_the_clocks_fell_back_holds_25_hours() {
    let played = played(1).await;
    let person = played.person("clara");
    assert_eq!(person.timezone, "America/New_York");
    let numbers = played.numbers(person);
    let neutral = |date| numbers.get(&("neutral_min".to_owned(), day(date))).copied();
    // One entry from an hour before that day until an hour after it.
    assert_eq!(neutral("2026-11-01"), Some(Decimal::from(25 * 60)));
    assert_eq!((neutral("2026-10-31"), neutral("2026-11-02")), (Some(60.into()), Some(60.into())));
    // 5 h and 17 s from midnight on, and half an hour and 23 s more when it was edited; 330 min 40 s.
    let productive = numbers[&("productive_min".to_owned(), day("2026-11-01"))];
    assert_eq!(productive, Decimal::from(331));
}

/// What a right service would do, without any of its difficulties.
async fn carry(exist: &ExistSim, person: &Person, numbers: &Numbers) {
    let http = Client::new();
    let post = async |path: &str, items: Vec<Value>| {
        let address = format!("{}/attributes/{path}/?success_objects=1", exist.base_url());
        let answer = http.post(address).bearer_auth(&person.exist_access_token).json(&items).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["failed"], json!([]), "{path}");
        body
    };
    for mapping in &person.mappings {
        let (path, item) = match &mapping.kind {
            Kind::Template(name) => ("acquire", json!({"template": name, "manual": false})),
            Kind::Custom { label, group, value_type } => {
                ("create", json!({"label": label, "group": group, "value_type": value_type, "manual": false}))
            }
        };
        assert_eq!(post(path, vec![item]).await["success"][0]["name"], mapping.attribute);
    }
    let values: Vec<Value> = numbers
        .iter()
        .map(|((name, day), number)| {
            let value: Value = serde_json::from_str(&number.to_string()).unwrap();
            json!({"name": name, "date": day.to_string(), "value": value})
        })
        .collect();
    for batch in values.chunks(35) {
        post("update", batch.to_vec()).await;
    }
}

#[tokio::test]
async fn what_an_honest_hand_carries_is_right_and_one_wrong_number_is_found() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let played = played(1).await;
    let exist = ExistSim::start(ExistConfig::default()).await.unwrap();
    let mut wrong = BTreeMap::new();
    for person in &played.world.people {
        exist.add_user(UserSpec {
            access_token: person.exist_access_token.clone(),
            ..UserSpec::named(&person.name).living_in(&person.timezone)
        });
        let numbers = played.numbers(person);
        carry(&exist, person, &numbers).await;
        let held: Numbers =
            exist.values(&person.name).into_iter().filter_map(|(key, value)| Some((key, value.number()?))).collect();
        let rows = |numbers: &Numbers| -> Vec<Row> { verdict(&person.name, &person.timezone, numbers, &held) };
        assert!(rows(&numbers).iter().all(|row| row.equal), "{}", person.name);
        let mut shifted = numbers.clone();
        *shifted.values_mut().next_back().unwrap() += Decimal::ONE;
        wrong.insert(&person.name, rows(&shifted).iter().filter(|row| !row.equal).count());
    }
    assert!(wrong.values().all(|count| *count == 1), "{wrong:?}");
}
