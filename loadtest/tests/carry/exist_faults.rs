//! What Exist, and the way to it, do to requests. After each: every number is right.

use std::time::Duration;

use loadtest::exist::{DailyValue, Fault, Happening, ItemPick, Service};

use crate::show::{Show, stage};

/// A budget whose window a test can wait for.
const BUDGET: (usize, Duration) = (30, Duration::from_secs(10));

/// So many people meet the faults: a peer that fails everybody is left alone, which is another matter.
const UNLUCKY: usize = 3;

/// Plays the whole script while some people's first requests meet the faults.
async fn carried_through(seed: u64, faults: &[(Fault, u64)]) {
    let stage = stage(seed).await;
    let fleet = stage
        .fleet()
        .setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s")
        .setting("TRIBUTARY_EXIST_SETTLE", "3s")
        .setting("TRIBUTARY_EXIST_BUDGET", format!("{}/{}s", BUDGET.0, BUDGET.1.as_secs()));
    for person in &stage.world.people[..UNLUCKY] {
        for (fault, times) in faults {
            stage.exist.faults().next(&person.name, fault.clone(), *times);
        }
    }
    let mut show = Show::open(&stage, fleet).await;
    show.play_on(Duration::from_secs(2)).await;
    show.until_right(Duration::from_secs(90)).await;
    show.nothing_was_lost().await;
    show.rules_were_kept(BUDGET.0, BUDGET.1);
    let met = stage.exist.log().only(|request| !request.faults.is_empty()).entries().len();
    assert!(met >= UNLUCKY, "only {met} requests met a fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_lost_after_the_values_were_stored_changes_no_number() {
    carried_through(21, &[(Fault::CommitThenReset, 2), (Fault::CommitThenStatus(502), 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_after_we_stopped_waiting_changes_no_number() {
    carried_through(22, &[(Fault::CommitLate(Duration::from_millis(1800)), 2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_exist_never_saw_is_sent_again() {
    carried_through(23, &[(Fault::ResetBeforeCommit, 1), (Fault::Status(503), 2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_another_order_with_unknown_keys_are_understood() {
    carried_through(24, &[(Fault::Shuffle, 5), (Fault::ExtraKey, 5), (Fault::NoSubgroup, 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_waited_out_with_and_without_a_hint() {
    let limited = |retry_after, detail| Fault::TooManyRequests { retry_after, detail };
    carried_through(25, &[(limited(Some(Duration::from_secs(4)), true), 1), (limited(None, false), 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_in_mid_run_is_refreshed_once_and_used() {
    carried_through(26, &[(Fault::Unauthorised, 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_that_another_service_took_is_taken_back_once() {
    let by = Service { name: "other".into(), label: "Other".into() };
    let taken = Happening::OwnershipTaken { attribute: "keystrokes".into(), by };
    let stage = stage(27).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(40)).await;
    let person = &stage.world.people[0];
    // Whoever has it meanwhile writes to a day that no record of ours will change again.
    let rows = stage.verdict().rows;
    let keystrokes = rows.iter().filter(|row| row.person == person.name && row.attribute == "keystrokes");
    let oldest = keystrokes.map(|row| row.day).min().expect("somebody types");
    let value = DailyValue::Number(7.into());
    stage.exist.happen(&person.name, Happening::UserEdit { attribute: "keystrokes".into(), date: oldest, value });
    stage.exist.happen(&person.name, taken);
    show.play_on(Duration::from_secs(2)).await;
    show.until_right(Duration::from_secs(40)).await;
    assert_eq!(stage.exist.attributes(&person.name)["keystrokes"].owner.as_deref(), Some("tributary1234"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_value_is_set_aside_and_the_others_of_its_request_are_stored() {
    let stage = stage(28).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    show.until_right(Duration::from_secs(40)).await;
    let refused =
        Fault::FailItem { item: ItemPick::At(0), code: "moon_phase".into(), text: "not while the moon is full".into() };
    stage.exist.faults().next(&stage.world.people[0].name, refused, 1);
    show.play();
    // The refused value is wrong and stays so, since asking again would not help; the others are right.
    let wrong = show.until_wrong(1, Duration::from_secs(40)).await;
    assert_eq!(wrong[0].person, stage.world.people[0].name);
    assert_eq!(stage.exist.log().only(|request| !request.faults.is_empty()).entries().len(), 1);
    show.nothing_was_lost().await;
    // The next change of that day brings the whole total, which Exist may take.
    let mut errored = 0;
    for source in ["whatpulse", "toggl", "trakt", "ynab", "github"] {
        errored += show.count(&format!("state:{source}:errored")).await;
    }
    assert!(errored >= 1, "nothing is listed as refused");
}
