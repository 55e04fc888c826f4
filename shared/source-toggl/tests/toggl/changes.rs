//! How far each read moves, and what it asks for.

use std::time::Duration;

use event::RecordKind;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use source::{
    Cursor, Page, Read, Row, SourceError,
    suite::{Failure, Fixture},
};

use crate::fixture::{Track, spelled};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Reads at the world's clock, with a back-fill window of so many days.
async fn read(account: &Track, cursor: &Cursor, days: i32) -> Result<Page, SourceError> {
    let now = account.now();
    let read = Read { now, back_fill_from: now - DAY * days, zone: TimeZone::UTC, hint: source::Hint::None };
    account.source().read(&account.account(), cursor, &read).await
}

async fn drain(account: &Track, cursor: &Cursor, days: i32) -> (Vec<Row>, Cursor, usize) {
    let (mut rows, mut cursor, mut reads) = (Vec::new(), cursor.clone(), 0);
    loop {
        let page = read(account, &cursor, days).await.unwrap();
        rows.extend(page.rows);
        (cursor, reads) = (page.cursor, reads + 1);
        if !page.more {
            return (rows, cursor, reads);
        }
    }
}

fn ids(rows: &[Row]) -> Vec<i64> {
    let mut ids: Vec<_> = rows.iter().map(|row| row.external_id.as_str().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// The seconds from which changes were asked for.
fn sinces(account: &Track) -> Vec<i64> {
    let asked = account.asked("/me/time_entries?since=");
    asked.iter().map(|since| since.parse().unwrap()).collect()
}

fn client(row: &Row) -> Option<i64> {
    serde_json::from_str::<Value>(&row.payload).unwrap()["client_id"].as_i64()
}

#[tokio::test]
async fn the_back_fill_walks_windows_of_fourteen_days_from_two_weeks_ahead() {
    let account = Track::start().await;
    let now = account.now();
    let expected: Vec<_> = (-10..=40).map(|day| account.entry(now - DAY * day)).collect();
    account.move_clock(HOUR);
    let (rows, cursor, reads) = drain(&account, &Cursor::fresh(), 30).await;
    let inside = expected.iter().zip(-10..=40).filter(|&(_, day)| day < 30);
    assert_eq!(ids(&rows), inside.map(|(&id, _)| id).collect::<Vec<_>>());
    assert_eq!(reads, 4, "45 days in windows of 14");
    let asked = account.asked("/me/time_entries?");
    assert_eq!(asked[0], "start_date=2026-07-13T15%3A59%3A59Z&end_date=2026-07-27T16%3A00%3A01Z");
    assert_eq!(asked[1], "start_date=2026-06-29T15%3A59%3A59Z&end_date=2026-07-13T16%3A00%3A01Z");
    assert_eq!(asked[3], "start_date=2026-06-12T15%3A59%3A59Z&end_date=2026-06-15T16%3A00%3A01Z");
    // The first poll goes back behind the first window, not behind the last one.
    drain(&account, &cursor, 30).await;
    assert_eq!(sinces(&account), [account.now().as_second() - 180]);
}

#[tokio::test]
async fn a_change_during_the_walk_is_not_missed() {
    let account = Track::start().await;
    let id = account.entry(account.now() - DAY);
    account.move_clock(HOUR);
    let mut page = read(&account, &Cursor::fresh(), 30).await.unwrap();
    while page.more {
        account.move_clock(HOUR);
        let now = account.now();
        account.change(id, |entry| entry["start"] = json!(spelled(now - DAY * 40)));
        page = read(&account, &page.cursor, 30).await.unwrap();
    }
    let (rows, _, _) = drain(&account, &page.cursor, 30).await;
    assert_eq!(ids(&rows), [id]);
}

#[tokio::test]
async fn the_cursor_follows_the_last_change_and_at_rest_the_servers_clock() {
    let account = Track::start().await;
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 1).await;
    account.move_clock(HOUR);
    let changed = account.now();
    let id = account.entry(account.now() - HOUR);
    account.move_clock(HOUR);
    let (rows, cursor, _) = drain(&account, &cursor, 1).await;
    assert_eq!(ids(&rows), [id]);
    let (_, cursor, _) = drain(&account, &cursor, 1).await;
    let rested = account.now();
    account.move_clock(HOUR);
    drain(&account, &cursor, 1).await;
    let expected = [changed.as_second() - 120, rested.as_second() - 180];
    assert_eq!(sinces(&account)[1..], expected);
}

#[tokio::test]
async fn a_clock_that_is_wrong_never_moves_us_past_a_change() {
    let account = Track::start().await;
    let (_, mut cursor, _) = drain(&account, &Cursor::fresh(), 1).await;
    for day in [2, -1, 5] {
        // An entry whose time of change lies ahead, and a clock of ours that jumps.
        let id = account.entry(account.now());
        let ahead = account.now() + DAY;
        account.change(id, |entry| entry["at"] = json!(ahead));
        let now = account.now() + DAY * day;
        let read = Read { now, back_fill_from: now - DAY, zone: TimeZone::UTC, hint: source::Hint::None };
        let page = account.source().read(&account.account(), &cursor, &read).await.unwrap();
        assert_eq!(ids(&page.rows), [id], "{day}");
        cursor = page.cursor;
        account.move_clock(SignedDuration::from_mins(10));
        let next = account.entry(account.now());
        let (rows, moved, _) = drain(&account, &cursor, 1).await;
        assert_eq!(ids(&rows), [next], "{day}");
        cursor = moved;
    }
}

#[tokio::test]
async fn an_edit_within_the_overlap_is_told_once_each_time() {
    let account = Track::start().await;
    let id = account.entry(account.now() - HOUR);
    let (mut rows, mut cursor, _) = drain(&account, &Cursor::fresh(), 1).await;
    for duration in [10, 20, 30] {
        account.change(id, |entry| entry["duration"] = json!(duration));
        let (edited, next, _) = drain(&account, &cursor, 1).await;
        assert_eq!(edited.len(), 1);
        assert!(edited[0].version > rows[0].version);
        (rows, cursor) = (edited, next);
    }
}

#[tokio::test]
async fn an_old_cursor_walks_the_windows_again_and_then_polls() {
    let account = Track::start().await;
    let (old, edited) = (account.entry(account.now() - DAY), account.entry(account.now() - DAY));
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 30).await;
    account.move_clock(DAY * 61);
    account.change(edited, |entry| entry["duration"] = json!(60));
    let new = account.entry(account.now() - DAY);
    let newer = account.entry(account.now() - DAY * 20);
    let (rows, cursor, reads) = drain(&account, &cursor, 70).await;
    // Of the old ones only the edited one is told: the other is what it was.
    assert_eq!((ids(&rows), reads), (vec![edited, new, newer], 7));
    let is_known = |row: &Row| [old, edited].contains(&row.external_id.as_str().parse().unwrap());
    assert!(rows.iter().all(|row| row.seen_before == is_known(row)), "{rows:?}");
    assert_eq!(drain(&account, &cursor, 70).await.0, []);
    assert_eq!(sinces(&account).len(), 1, "so old a `since` was never sent");
}

#[tokio::test]
async fn a_refused_since_walks_the_windows_again() {
    let account = Track::start().await;
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 30).await;
    // Our own clock stands still, so that only the server knows how old the question is.
    let now = account.now() + DAY * 50;
    account.move_clock(DAY * 100);
    let id = account.entry(now - DAY);
    let read = Read { now, back_fill_from: now - DAY * 5, zone: TimeZone::UTC, hint: source::Hint::None };
    let page = account.source().read(&account.account(), &cursor, &read).await.unwrap();
    assert_eq!((page.rows.len(), page.more, page.back_fill), (0, true, false));
    let page = account.source().read(&account.account(), &page.cursor, &read).await.unwrap();
    let page = account.source().read(&account.account(), &page.cursor, &read).await.unwrap();
    assert_eq!(ids(&page.rows), [id]);
}

#[tokio::test]
async fn a_young_since_that_is_refused_is_an_error_and_not_an_endless_walk() {
    let account = Track::start().await;
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 1).await;
    account.server().fail(Some(Failure::Status(400)));
    let error = read(&account, &cursor, 1).await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn history_ends_where_the_server_gives_no_more_out() {
    let account = Track::start().await;
    let now = account.now();
    let expected: Vec<_> = (0..89).map(|day| account.entry(now - DAY * day)).collect();
    account.entry(now - DAY * 120);
    account.move_clock(HOUR);
    let (rows, cursor, _) = drain(&account, &Cursor::fresh(), 365).await;
    assert_eq!(ids(&rows), expected);
    assert_eq!(drain(&account, &cursor, 365).await.0, []);
}

#[tokio::test]
async fn a_full_window_is_read_in_halves() {
    let account = Track::start().await;
    let now = account.now();
    let expected: Vec<_> =
        (0..2_500).map(|minutes| account.entry(now - SignedDuration::from_mins(minutes * 4))).collect();
    account.move_clock(HOUR);
    let (rows, _, _) = drain(&account, &Cursor::fresh(), 30).await;
    assert_eq!(ids(&rows), expected);
}

#[tokio::test]
async fn a_minute_with_a_thousand_entries_is_told_and_not_skipped() {
    let account = Track::start().await;
    for _ in 0..1_000 {
        account.entry(account.now());
    }
    let mut cursor = Cursor::fresh();
    let error = loop {
        match read(&account, &cursor, 1).await {
            Ok(page) => cursor = page.cursor,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::Nonsense { .. }), "{error:?}");
}

#[tokio::test]
async fn changes_that_were_cut_off_are_found_by_their_start() {
    let account = Track::start().await;
    let known = account.entry(account.now() - DAY * 3);
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 30).await;
    account.move_clock(HOUR);
    let mut expected: Vec<_> = (0..1_100).map(|hours| account.entry(account.now() - HOUR * hours)).collect();
    let now = account.now();
    account.change(known, |entry| entry["server_deleted_at"] = json!(spelled(now)));
    let (rows, cursor, _) = drain(&account, &cursor, 50).await;
    let mut found = ids(&rows);
    found.dedup();
    expected.insert(0, known);
    assert_eq!(found, expected);
    let deleted: Vec<_> = rows.iter().filter(|row| row.kind == RecordKind::Deleted).collect();
    assert_eq!((deleted.len(), deleted[0].seen_before), (1, true));
    assert!(rows.iter().filter(|row| row.kind == RecordKind::Present).all(|row| !row.seen_before));
    assert_eq!(drain(&account, &cursor, 50).await.0, []);
}

#[tokio::test]
async fn projects_are_asked_for_once_an_hour_or_when_an_unknown_one_turns_up() {
    let account = Track::start().await;
    account.entry(account.now() - HOUR);
    let (rows, cursor, _) = drain(&account, &Cursor::fresh(), 1).await;
    assert_eq!(client(&rows[0]), Some(9));
    let asked = |times: usize| {
        let asked = account.asked("/me/projects");
        assert_eq!(asked, vec!["?include_archived=true"; times]);
    };
    asked(1);
    account.entry(account.now() - HOUR);
    let (_, cursor, _) = drain(&account, &cursor, 1).await;
    asked(1);
    // A new project, and one that the list hides.
    account.world.lock().unwrap().projects.push(json!({"id": 44, "client_id": 10}));
    for (project, expected) in [(44, Some(10)), (45, None)] {
        let id = account.entry(account.now() - HOUR);
        account.change(id, |entry| entry["project_id"] = json!(project));
        let (rows, next, _) = drain(&account, &cursor, 1).await;
        assert_eq!(client(rows.last().unwrap()), expected, "{project}");
        drain(&account, &next, 1).await;
    }
    asked(3);
    account.move_clock(DAY);
    let (_, cursor, _) = drain(&account, &cursor, 1).await;
    account.move_clock(DAY);
    drain(&account, &cursor, 1).await;
    asked(4);
}

#[tokio::test]
async fn the_quota_is_a_limit_and_a_missing_feature_is_not() {
    let account = Track::start().await;
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 1).await;
    account.world.lock().unwrap().quota = Some((0, 1_287));
    let page = read(&account, &cursor, 1).await.unwrap();
    assert_eq!(page.not_before, Some(Duration::from_secs(1_287)));
    account.world.lock().unwrap().quota = Some((28, 1_287));
    assert_eq!(read(&account, &cursor, 1).await.unwrap().not_before, None);
    // The suite's server answers before the quota's headers are added.
    account.server().fail(Some(Failure::Status(402)));
    assert!(matches!(read(&account, &cursor, 1).await, Err(SourceError::Refused { .. })));
    account.server().fail(Some(Failure::Status(403)));
    assert!(matches!(read(&account, &cursor, 1).await, Err(SourceError::Unauthorised { .. })));
}

#[tokio::test]
async fn a_402_without_anything_left_waits_for_the_reset() {
    use axum::{Router, http::StatusCode, routing::get};

    let limited = async |headers: [(&'static str, &'static str); 2]| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answer = (StatusCode::PAYMENT_REQUIRED, headers, "You have hit your hourly limit");
        let routes = Router::new().route("/me/time_entries", get(move || async move { answer }));
        let server = source::suite::Server::start(routes).await;
        let http = source::http::client(Duration::from_secs(5)).unwrap();
        let base = server.base().as_str().trim_end_matches('/').parse().unwrap();
        let now: Timestamp = "2026-07-12T15:00:00Z".parse().unwrap();
        let read = Read { now, back_fill_from: now, zone: TimeZone::UTC, hint: source::Hint::None };
        let account = Track::start().await.account();
        let toggl = source_toggl::Toggl::new(http, base);
        match source::Source::read(&toggl, &account, &Cursor::fresh(), &read).await {
            Err(SourceError::Limited { retry_after, .. }) => Some(retry_after.as_secs()),
            Err(SourceError::Refused { .. }) => None,
            other => panic!("{other:?}"),
        }
    };
    let (remaining, resets) = ("x-toggl-quota-remaining", "x-toggl-quota-resets-in");
    assert_eq!(limited([(remaining, "0"), (resets, "1287")]).await, Some(1_287));
    assert_eq!(limited([(remaining, "-3"), (resets, "12")]).await, Some(12));
    assert_eq!(limited([(remaining, "0"), ("x-other", "1")]).await, Some(3_600));
    assert_eq!(limited([(remaining, "7"), (resets, "12")]).await, None);
}
