//! The arrival rules, each version in the state that they give it, and what is held of a user.

use std::time::Duration;

use event::{Day, Origin, RawEvent, Reason, RecordKind, State};
use jiff::{Timestamp, tz::TimeZone};
use source::Source;
use store::{
    operate,
    user::{Connected, Generation, Recounted, document, field},
};

use crate::bench::{Bench, Plain, partition, states, told};

#[tokio::test(flavor = "multi_thread")]
async fn each_version_ends_in_the_state_that_the_arrival_rules_give_it() {
    let bench = Bench::new().await;
    bench.connect(Some("Asia/Kathmandu"), Connected::On).await;
    bench
        .append(&[bench.event("held", 5, "1 0"), bench.event("waits", 1, "1 0"), bench.event("waits", 2, "2 0")])
        .await;
    let first = bench.until_lines(3).await;
    assert_eq!(
        told(&first),
        [
            ("held", State::Processing, Reason::Accepted),
            ("waits", State::Canceled, Reason::Superseded),
            ("waits", State::Processing, Reason::Accepted),
        ]
    );
    assert_eq!(first[1].cause, Some(first[2].id), "canceled by the newer one");

    bench
        .append(&[
            bench.event("held", 5, "1 0"),
            bench.event("held", 4, "9 0"),
            bench.event("runs", 1, "running"),
            bench.event("broken", 1, "nonsense"),
            bench.event("ancient", 1, "1 400"),
        ])
        .await;
    let lines = bench.until_lines(8).await;
    let second = &lines[3..];
    assert_eq!(
        told(second),
        [
            ("held", State::Duplicate, Reason::SameVersion),
            ("held", State::Dropped, Reason::NewerKnown),
            ("runs", State::Completed, Reason::NotCounted),
            ("broken", State::Errored, Reason::Malformed),
            ("ancient", State::Dropped, Reason::TooOld),
        ]
    );
    assert_eq!((second[0].cause, second[1].cause), (Some(first[0].id), Some(first[0].id)));
    assert!(second[3].detail.contains("plain"), "{}", second[3].detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_record_is_not_added_again_but_asks_for_a_recount() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let seen = |id: &str, payload: &str| RawEvent { seen_before: true, ..bench.event(id, 1, payload) };
    let deleted = |id: &str| RawEvent { kind: RecordKind::Deleted, ..seen(id, "") };
    bench.append(&[bench.event("new", 1, "1 10"), deleted("deleted")]).await;
    let lines = bench.until_lines(2).await;
    let (added, forgotten) = ((State::Processing, Reason::Accepted), (State::Dropped, Reason::Recounted));
    assert_eq!(states(&lines), [added, forgotten]);
    assert!(bench.user().await.recounts_asked.contains_key(&Plain.name()));

    // On an old day, on a recent one to which it was moved, and counting nothing any more.
    bench.append(&[seen("old", "1 10"), seen("moved", "1 1"), seen("untagged", "running"), seen("new", "2 10")]).await;
    let lines = bench.until_lines(6).await;
    assert_eq!(states(&lines[2..5]), [forgotten; 3]);
    let held = (State::Duplicate, Reason::SameVersion);
    assert_ne!(states(&lines[5..]), [held], "another content is news");
    assert_eq!(states(&lines[5..]), [added], "a record that is held is not forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_recount_began_asks_for_no_other() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let begun = Recounted {
        generations: vec![Generation { number: 1_000, from: Day::from_number(0) }],
        ..Recounted::default()
    };
    let documents = [(field::recounted(&Plain.name()), document(&begun))];
    operate::connect(&bench.redis, &bench.keys, partition(), &bench.user, &documents, &[], &[]).await.unwrap();
    let read = |id: &str, read_at_ms| RawEvent { seen_before: true, read_at_ms, ..bench.event(id, 1, "1 1") };
    bench.append(&[read("before", 999), read("after", 1_000)]).await;
    let lines = bench.until_lines(2).await;
    let expected = [(State::Processing, Reason::Accepted), (State::Dropped, Reason::Recounted)];
    assert_eq!(states(&lines), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recount_tells_known_versions_again() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    bench.append(&[bench.event("a", 5, "1 0")]).await;
    bench.until_lines(1).await;
    let again = |id: &str, version| RawEvent { origin: Origin::Recount, ..bench.event(id, version, "1 0") };
    bench.append(&[again("a", 5), again("a", 4), bench.event("a", 5, "1 0")]).await;
    let lines = bench.until_lines(4).await;
    let expected = [
        (State::Processing, Reason::Accepted),
        (State::Dropped, Reason::NewerKnown),
        (State::Duplicate, Reason::SameVersion),
    ];
    assert_eq!(states(&lines[1..]), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_a_connection_was_off_counts_when_it_returns() {
    let bench = Bench::new().await;
    let off = Connected::Off { reason: "revoked".into(), since_ms: 1 };
    bench.connect(Some("UTC"), off).await;
    bench.append(&[bench.event("a", 1, "1 0"), bench.event("a", 2, "2 0")]).await;
    let disabled = bench.until_lines(2).await;
    assert!(disabled.iter().all(|line| (line.state, line.reason) == (State::Disabled, Reason::ConnectionOff)));

    bench.connect(Some("UTC"), Connected::On).await;
    let lines = bench.until_lines(4).await;
    assert_eq!(
        told(&lines[2..]),
        [("a", State::Canceled, Reason::Superseded), ("a", State::Processing, Reason::Accepted)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_until_the_zone_is_known() {
    let bench = Bench::new().await;
    bench.connect(None, Connected::On).await;
    bench.append(&[bench.event("a", 1, "1 0")]).await;
    let told_zone = async {
        // The lane is parked by the time a second look would have come.
        tokio::time::sleep(Duration::from_millis(500)).await;
        bench.connect(Some("Pacific/Kiritimati"), Connected::On).await;
    };
    let (lines, ()) = tokio::join!(bench.until_lines(1), told_zone);
    assert_eq!(told(&lines), [("a", State::Processing, Reason::Accepted)]);
    let zone = TimeZone::get("Pacific/Kiritimati").unwrap();
    assert_eq!(lines[0].contributions[0].day, Day::at(Timestamp::now(), &zone));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_a_user_stays_flat_while_weeks_go_by() {
    const EACH: usize = 40;
    let retention = Duration::from_millis(1_200);
    let bench = Bench::at(&testkit::redis().url(), Some(retention)).await;
    bench.connect(Some("UTC"), Connected::On).await;
    let (mut told, mut held) = (0, Vec::new());
    // Each round is a sixth of the retention time: twelve times three days, if it were three days.
    for round in 0..72 {
        let id = |index: usize| format!("{round}-{index}");
        let events: Vec<RawEvent> = (0..EACH).map(|index| bench.event(&id(index), 1, "1 0")).collect();
        let begun = tokio::time::Instant::now();
        bench.append(&events).await;
        told += EACH;
        bench.until_counted(told).await;
        held.push(bench.held().await);
        tokio::time::sleep_until(begun + retention / 6).await;
    }
    let most = held.iter().copied().max().unwrap();
    assert!(held[8] >= EACH * 5, "records are held for the retention time: {held:?}");
    assert!(most <= EACH * 16, "at most as many as come in two retention times and a bucket are held: {held:?}");
    assert!(held[71] <= held[14] * 2, "the last round holds no more than an early one: {held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_costs_the_same_commands_after_many_thousands_of_others() {
    const HISTORY: usize = 20_000;
    const SAMPLE: usize = 200;
    let server = testkit::Redis::start().await;
    let bench = Bench::at(&server.url(), None).await;
    bench.connect(Some("UTC"), Connected::On).await;
    let run = async |from: usize, count: usize| {
        let before = bench.commands().await;
        let ids = from..from + count;
        let events: Vec<RawEvent> = ids.map(|id| bench.event(&id.to_string(), 1, "1 0")).collect();
        for page in events.chunks(500) {
            bench.append(page).await;
        }
        bench.until_counted(from + count).await;
        bench.commands().await - before
    };
    let young = run(0, SAMPLE).await;
    run(SAMPLE, HISTORY).await;
    let old = run(SAMPLE + HISTORY, SAMPLE).await;
    // What a process asks for by itself while it is up differs from run to run.
    assert!(old <= young * 2, "{SAMPLE} events cost {young} commands without a history, {old} with {HISTORY}");
}
