//! What is written down, and what is left alone, when Exist refuses.

use std::time::Duration;

use jiff::SignedDuration;
use loadtest::{
    demo::Stage,
    exist::{Endpoint, ExistConfig, Fault, ItemPick, Logged, RateLimit, Rule},
    fleet::{FleetBuilder, Role},
};
use serde_json::Value;

use crate::show::{Show, stage};

const BUDGET: (usize, Duration) = (40, Duration::from_secs(20));

fn with_budget(stage: &Stage) -> FleetBuilder {
    stage.fleet().setting("TRIBUTARY_EXIST_BUDGET", format!("{}/{}s", BUDGET.0, BUDGET.1.as_secs()))
}

async fn told(show: &Show<'_>, arguments: &[&str]) -> Value {
    serde_json::from_str(&show.fleet.run(arguments).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_value_is_listed_as_errored_with_exists_own_words() {
    let stage = stage(51).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(60)).await;
    let person = &stage.world.people[0].name;
    let (code, text) = ("moon_phase", "not while the moon is full");
    let refused = Fault::FailItem { item: ItemPick::At(0), code: code.into(), text: text.into() };
    stage.exist.faults().add(Rule::new(refused).of(person).on([Endpoint::Update]).times(1));
    show.play();
    let wrong = show.until_wrong(1, Duration::from_secs(40)).await.remove(0);
    assert_eq!(&wrong.person, person);

    let listed = told(&show, &["transactions", person, "--state", "errored", "--json"]).await;
    let listed = listed["transactions"].as_array().unwrap();
    assert!(!listed.is_empty(), "no transaction is errored");
    let said = |row: &Value| row["detail"].as_str().is_some_and(|detail| detail.contains(code));
    assert!(listed.iter().all(said), "{listed:?}");
    let day = wrong.day.to_string();
    let why = told(&show, &["explain", person, &wrong.attribute, &day, "--json"]).await;
    let requests = why["requests"].as_array().unwrap();
    let refused = requests.iter().filter(|request| request["state"] == "errored").collect::<Vec<_>>();
    assert_eq!(refused.len(), 1, "{why}");
    assert!(refused[0]["said"].as_str().unwrap().contains(text), "{why}");
    assert_eq!(stage.exist.log().only(|request| request.faults.contains(&"fail_item")).entries().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_in_mid_run_is_refreshed_once_and_the_new_one_outlives_the_process() {
    let stage = stage(52).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(60)).await;
    let person = &stage.world.people[1].name;
    stage.exist.faults().add(Rule::new(Fault::Unauthorised).of(person).on([Endpoint::Update]).times(1));
    show.play();
    show.play();
    show.until_right(Duration::from_secs(60)).await;
    show.fleet.process("exist-writer-1").kill9().unwrap();
    show.fleet.spawn(Role::ExistWriter).unwrap();
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(60)).await;

    let log = stage.exist.log().of(person);
    assert_eq!(log.to(Endpoint::AccessToken).entries().len(), 1, "refreshes");
    let refused = log.entries().iter().position(|request| request.status == Some(401)).expect("it met the fault");
    let old = log.entries()[refused].token;
    let later: Vec<&Logged> = log.entries()[refused + 1..].iter().filter(|request| request.token.is_some()).collect();
    assert!(later.len() >= 2, "only {} requests came after the refresh", later.len());
    assert!(later.iter().all(|request| request.token != old && request.status != Some(401)), "{later:?}");
    let everybody = stage.exist.log().to(Endpoint::AccessToken).entries().len();
    assert_eq!(everybody, 1, "somebody else's token was refreshed too");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_429_without_a_hint_a_whole_window_passes_in_silence() {
    let stage = stage(53).await;
    let fleet = with_budget(&stage);
    let person = &stage.world.people[2].name;
    let silent = Fault::TooManyRequests { retry_after: None, detail: false };
    stage.exist.faults().add(Rule::new(silent).of(person).on([Endpoint::Update]).times(1));
    let mut show = Show::open(&stage, fleet).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(70)).await;
    let log = stage.exist.log().of(person);
    let limited = log.entries().iter().find(|request| request.status == Some(429)).expect("it met the fault").at;
    let until = limited + SignedDuration::try_from(BUDGET.1).unwrap();
    let within = log.only(|request| limited < request.at && request.at < until);
    assert!(within.entries().is_empty(), "{} requests before the window was over", within.entries().len());
    show.rules_were_kept(BUDGET.0, BUDGET.1);
}

/// Exist is stricter than it says, so that it has to tell us.
#[tokio::test(flavor = "multi_thread")]
async fn a_429_that_was_earned_is_waited_out_and_everything_arrives() {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let rate = RateLimit { requests: 4, window: Duration::from_secs(6) };
    let stage = Stage::set(54, ExistConfig { rate, ..ExistConfig::default() }).await.unwrap();
    let fleet = stage.fleet().setting("TRIBUTARY_EXIST_BUDGET", "40/8s");
    let mut show = Show::open(&stage, fleet).await;
    show.play_on(Duration::from_secs(2)).await;
    show.until_right(Duration::from_secs(80)).await;
    let log = stage.exist.log();
    let limited = log.only(|request| request.room_at.is_some());
    assert!(!limited.entries().is_empty(), "nobody was limited");
    for refused in limited.entries() {
        let early = log.only(|request| {
            request.token == refused.token && refused.at < request.at && Some(request.at) < refused.room_at
        });
        assert!(early.entries().is_empty(), "{early:?} came before Exist had room");
    }
    show.rules_were_kept(40, Duration::from_secs(8));
    show.nothing_was_lost().await;
}
