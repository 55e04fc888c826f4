//! When the window is walked, and what a walk finds.

use event::RecordKind;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use source::{Cursor, Row, suite::Fixture};

use crate::fixture::{Watcher, spelled};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

async fn read(watcher: &Watcher, cursor: &mut Cursor) -> Vec<Row> {
    watcher.drain(cursor, 30).await.unwrap()
}

fn told(rows: &[Row]) -> Vec<(RecordKind, bool, &str)> {
    rows.iter().map(|row| (row.kind, row.seen_before, row.payload.as_str())).collect()
}

#[tokio::test]
async fn a_connection_at_rest_costs_two_requests() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    watcher.watch(watcher.now() - HOUR, Some(45), None);
    assert_eq!(read(&watcher, &mut cursor).await.len(), 1);
    let before = watcher.asked().len();
    assert_eq!(read(&watcher, &mut cursor).await, []);
    assert_eq!(watcher.asked().len() - before, 2);
}

#[tokio::test]
async fn a_removal_that_moves_no_stamp_is_found_by_the_number_of_plays() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    let id = watcher.watch(watcher.now() - HOUR, Some(45), None);
    read(&watcher, &mut cursor).await;
    watcher.world.lock().unwrap().silent = true;
    watcher.change(|plays| plays.retain(|play| play["id"] != id));
    assert_eq!(told(&read(&watcher, &mut cursor).await), [(RecordKind::Deleted, true, "")]);
}

#[tokio::test]
async fn a_silent_exchange_is_found_within_a_week() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    let id = watcher.watch(watcher.now() - HOUR, Some(45), None);
    read(&watcher, &mut cursor).await;
    watcher.world.lock().unwrap().silent = true;
    watcher.change(|plays| plays.retain(|play| play["id"] != id));
    watcher.watch(watcher.now() - HOUR * 3, Some(20), None);
    assert_eq!(read(&watcher, &mut cursor).await, []);
    watcher.move_clock(HOUR * (7 * 24));
    assert_eq!(read(&watcher, &mut cursor).await.len(), 2);
}

#[tokio::test]
async fn a_history_that_changes_while_it_is_walked_is_walked_again_and_nothing_is_told_twice() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    {
        let mut world = watcher.world.lock().unwrap();
        world.limit_max = 3;
        let at = world.now - HOUR;
        world.between_pages = Some(world.play(at, Some(45), None));
    }
    for hours in 2..10 {
        watcher.watch(watcher.now() - HOUR * hours, Some(45), None);
    }
    let rows = read(&watcher, &mut cursor).await;
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.external_id).collect();
    assert_eq!((rows.len(), ids.len()), (9, 9));
    let first_pages = watcher.asked().iter().filter(|uri| uri.contains("page=1&limit=250")).count();
    assert_eq!(first_pages, 2, "the walk began twice");
}

#[tokio::test]
async fn minutes_stay_as_they_were_first_seen_but_missing_ones_are_filled_in() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    watcher.watch(watcher.now() - HOUR, Some(45), None);
    watcher.watch(watcher.now() - HOUR * 2, None, Some(0));
    let rows = read(&watcher, &mut cursor).await;
    assert!(rows.iter().any(|row| !row.payload.contains("minutes")), "{rows:?}");
    watcher.change(|plays| plays.iter_mut().for_each(|play| play["episode"]["runtime"] = json!(50)));
    let rows = read(&watcher, &mut cursor).await;
    assert_eq!((rows.len(), rows[0].seen_before), (1, true), "{rows:?}");
    assert!(rows[0].payload.ends_with("\"minutes\":50}"), "{rows:?}");
}

#[tokio::test]
async fn a_missing_runtime_is_looked_up_once_a_day_for_a_week() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    watcher.watch(watcher.now() - HOUR, None, None);
    let lookups = || watcher.asked().iter().filter(|uri| uri.contains("/episodes/1")).count();
    read(&watcher, &mut cursor).await;
    read(&watcher, &mut cursor).await;
    assert_eq!(lookups(), 1);
    for _ in 0..10 {
        watcher.move_clock(HOUR * 24);
        read(&watcher, &mut cursor).await;
    }
    assert_eq!(lookups(), 7);

    watcher.watch(watcher.now() - HOUR, None, None);
    watcher.world.lock().unwrap().runtime = Some(33);
    let rows = read(&watcher, &mut cursor).await;
    assert!(rows.last().unwrap().payload.ends_with("\"minutes\":33}"), "{rows:?}");
}

#[tokio::test]
async fn the_history_is_found_where_it_has_moved() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    watcher.world.lock().unwrap().bare = false;
    watcher.watch(watcher.now() - HOUR, Some(45), None);
    assert_eq!(read(&watcher, &mut cursor).await.len(), 1);
    watcher.watch(watcher.now() - HOUR, Some(45), None);
    assert_eq!(read(&watcher, &mut cursor).await.len(), 1);
    let bare = watcher.asked().iter().filter(|uri| uri.contains("/sync/history")).count();
    assert_eq!(bare, 1, "asked there once");
}

#[tokio::test]
async fn a_play_loses_its_date_and_leaves_its_day() {
    let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
    watcher.watch(watcher.now() - HOUR, Some(45), None);
    watcher.watch(watcher.now() + HOUR * 30, Some(45), None);
    assert_eq!(read(&watcher, &mut cursor).await.len(), 2, "planned plays are read as well");
    watcher.change(|plays| plays[0]["watched_at"] = json!(spelled(Timestamp::UNIX_EPOCH)));
    assert_eq!(told(&read(&watcher, &mut cursor).await), [(RecordKind::Deleted, true, "")]);
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Watch { hours_ago: i64 },
    Move { place: usize, hours_ago: i64 },
    Remove { place: usize },
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0i64..900).prop_map(|hours_ago| Step::Watch { hours_ago }),
        (0usize..20, 0i64..900).prop_map(|(place, hours_ago)| Step::Move { place, hours_ago }),
        (0usize..20).prop_map(|place| Step::Remove { place }),
        Just(Step::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_happens_the_newest_rows_are_the_plays_of_the_window(
        steps in prop::collection::vec(step(), 1..30), limit_max in 1usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (watcher, mut cursor) = (Watcher::start().await, Cursor::fresh());
            watcher.world.lock().unwrap().limit_max = limit_max;
            let mut newest = std::collections::BTreeMap::new();
            let mut apply = |rows: Vec<Row>| {
                for row in rows {
                    newest.insert(row.external_id.to_string(), (row.kind == RecordKind::Present).then_some(row.payload));
                }
            };
            for step in steps {
                match step {
                    Step::Watch { hours_ago } => drop(watcher.watch(watcher.now() - HOUR * i32::try_from(hours_ago).unwrap(), Some(45), None)),
                    Step::Move { place, hours_ago } => {
                        let at = spelled(watcher.now() - HOUR * i32::try_from(hours_ago).unwrap());
                        watcher.change(|plays| if let Some(play) = plays.get_mut(place) { play["watched_at"] = json!(at) });
                    }
                    Step::Remove { place } => watcher.change(|plays| if place < plays.len() { drop(plays.remove(place)) }),
                    Step::Read => apply(read(&watcher, &mut cursor).await),
                }
            }
            apply(read(&watcher, &mut cursor).await);
            let from = watcher.now() - HOUR * (30 * 24);
            let found: Vec<String> = newest.into_iter().filter_map(|(id, payload)| payload.map(|_| id)).collect();
            let world = watcher.world.lock().unwrap();
            let at = |play: &serde_json::Value| play["watched_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
            let mut expected: Vec<String> = world.plays.iter().filter(|play| at(play).as_second() >= from.as_second()).map(|play| play["id"].to_string()).collect();
            expected.sort();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}
