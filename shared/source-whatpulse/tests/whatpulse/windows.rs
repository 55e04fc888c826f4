//! Which windows are asked for, and what is made of pulses that are there no more.

use std::time::Duration;

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use event::RecordKind;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::json;
use source::{
    Cursor, Page, Read, Row, Source, SourceError,
    suite::{Failure, Fixture, Server},
};
use source_whatpulse::{ApiKind, WhatPulse};

use crate::fixture::Whatpulse;

/// Reads at the world's clock, with a back-fill window of so many days.
async fn read(account: &Whatpulse, cursor: &Cursor, days: i64) -> Result<Page, SourceError> {
    let now = account.now();
    let read = Read {
        now,
        back_fill_from: now.checked_sub((days * 24).hours()).unwrap(),
        zone: TimeZone::UTC,
        hint: source::Hint::None,
    };
    account.source().read(&account.account(), cursor, &read).await
}

async fn drain(account: &Whatpulse, cursor: &Cursor, days: i64) -> (Vec<Row>, Cursor, usize) {
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

fn move_clock(account: &Whatpulse, hours: i64) {
    account.world.lock().unwrap().now += hours.hours();
}

fn numbers(rows: &[Row]) -> Vec<i64> {
    let mut numbers: Vec<_> = rows.iter().map(|row| row.version.0).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn the_back_fill_walks_backwards_in_months_and_stops_at_its_beginning() {
    let account = Whatpulse::start(ApiKind::V1).await;
    let now = account.now();
    let expected: Vec<_> = (0..90).map(|day| account.pulse(now - (day * 24).hours())).collect();
    let (rows, cursor, reads) = drain(&account, &Cursor::fresh(), 70).await;
    assert_eq!(numbers(&rows), expected[..=70], "each day of the window once, none before it");
    assert_eq!(reads, 3);
    let asked: Vec<_> = account.server().requests().iter().filter(|uri| !uri.contains("&page=")).cloned().collect();
    let dates: Vec<_> = asked.iter().map(|uri| uri.split("pulses?").nth(1).unwrap().to_owned()).collect();
    assert_eq!(dates[0], "date_from=2026-06-11&date_to=2026-07-13&per_page=100");
    assert_eq!(dates[1], "date_from=2026-05-11&date_to=2026-06-12&per_page=100");
    assert_eq!(dates[2], "date_from=2026-05-02&date_to=2026-05-12&per_page=100");
    assert!(cursor.as_str().len() < 300, "only the last days are held: {}", cursor.as_str());
}

#[tokio::test]
async fn a_legacy_walk_asks_for_one_day_at_a_time_and_then_rests_for_an_hour() {
    let account = Whatpulse::start(ApiKind::Legacy).await;
    let now = account.now();
    for day in 0..4 {
        account.pulse(now - (day * 24).hours());
    }
    let (rows, cursor, reads) = drain(&account, &Cursor::fresh(), 3).await;
    assert_eq!((rows.len(), reads), (4, 4));
    // 2026-07-12T00:00:00Z is 1783814400; `start` is a second early.
    let expected = "/base/path/pulses.php?user=sample-user&format=json&start=1783814399&end=1783900800";
    assert_eq!(account.server().requests()[0], expected);
    let first = read(&account, &cursor, 3).await.unwrap();
    assert_eq!((first.more, first.not_before), (true, None));
    let last = read(&account, &first.cursor, 3).await.unwrap();
    assert_eq!((last.more, last.not_before), (false, Some(Duration::from_hours(1))));
}

#[tokio::test]
async fn after_an_outage_nothing_between_is_left_out() {
    let account = Whatpulse::start(ApiKind::V1).await;
    account.pulse(account.now());
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 30).await;
    let asleep = account.now();
    move_clock(&account, 40 * 24);
    let missed: Vec<_> = (1..=40).map(|day| account.pulse(asleep + (day * 24).hours())).collect();
    let (rows, _, reads) = drain(&account, &cursor, 30).await;
    assert_eq!((numbers(&rows), reads), (missed, 2));
    assert!(rows.iter().all(|row| !row.seen_before));
}

#[tokio::test]
async fn two_pulses_of_one_second_with_equal_counts_are_two() {
    let account = Whatpulse::start(ApiKind::V1).await;
    let now = account.now();
    let two = vec![account.pulse(now), account.pulse(now)];
    assert_eq!(numbers(&drain(&account, &Cursor::fresh(), 3).await.0), two);
}

#[tokio::test]
async fn a_pulse_that_only_left_the_window_was_not_deleted() {
    let account = Whatpulse::start(ApiKind::V1).await;
    account.world.lock().unwrap().page_rows = 100;
    for hours in 0..5 * 24 {
        account.pulse(account.now() - hours.hours());
    }
    let (_, mut cursor, _) = drain(&account, &Cursor::fresh(), 30).await;
    for _ in 0..6 * 24 {
        move_clock(&account, 1);
        let (rows, next, _) = drain(&account, &cursor, 30).await;
        assert_eq!(rows, []);
        cursor = next;
    }
    assert!(!cursor.as_str().contains("9900"), "what is not read again is not held: {}", cursor.as_str());
}

#[tokio::test]
async fn a_row_without_id_may_be_the_pulse_that_seems_to_be_gone() {
    let account = Whatpulse::start(ApiKind::V1).await;
    let id = account.create().await;
    account.create().await;
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 3).await;
    account.on(&id, |pulses, place| pulses[place]["id"] = json!(null));
    let (rows, cursor, _) = drain(&account, &cursor, 3).await;
    assert_eq!(rows.iter().map(|row| row.kind).collect::<Vec<_>>(), [RecordKind::Malformed]);
    assert_eq!(drain(&account, &cursor, 3).await.0, [], "it is not repeated");
}

#[tokio::test]
async fn a_pulse_that_became_unreadable_and_then_vanished_is_deleted() {
    let account = Whatpulse::start(ApiKind::V1).await;
    let id = account.create().await;
    let (_, cursor, _) = drain(&account, &Cursor::fresh(), 3).await;
    account.break_row(&id).await;
    let (rows, cursor, _) = drain(&account, &cursor, 3).await;
    assert_eq!(rows[0].kind, RecordKind::Malformed);
    account.delete(&id).await;
    let (rows, _, _) = drain(&account, &cursor, 3).await;
    assert_eq!((rows[0].kind, rows[0].external_id.clone()), (RecordKind::Deleted, id));
}

#[tokio::test]
async fn pages_that_change_on_the_way_are_walked_again_and_then_left_for_later() {
    let account = Whatpulse::start(ApiKind::V1).await;
    for _ in 0..5 {
        account.create().await;
    }
    account.world.lock().unwrap().growing = 2;
    assert_eq!(drain(&account, &Cursor::fresh(), 3).await.0.len(), 5);
    account.world.lock().unwrap().growing = 3;
    let error = read(&account, &Cursor::fresh(), 3).await.unwrap_err();
    assert!(matches!(error, SourceError::Transient { .. }), "{error:?}");
}

#[tokio::test]
async fn a_window_of_too_many_pages_is_read_in_halves() {
    let account = Whatpulse::start(ApiKind::V1).await;
    let now = account.now();
    let mut expected: Vec<_> = (0..31 * 4).map(|quarter| account.pulse(now - (quarter * 6).hours())).collect();
    expected.sort_unstable();
    let (rows, _, _) = drain(&account, &Cursor::fresh(), 40).await;
    assert_eq!(numbers(&rows), expected);
    account.world.lock().unwrap().page_rows = 1;
    for _ in 0..50 {
        account.pulse(now);
    }
    let mut cursor = Cursor::fresh();
    let error = loop {
        match read(&account, &cursor, 3).await {
            Ok(page) => cursor = page.cursor,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("too many pages for one day, 2026-07-12"), "{error}");
}

#[tokio::test]
async fn a_cursor_of_the_other_api_is_refused() {
    let legacy = Whatpulse::start(ApiKind::Legacy).await;
    let (_, cursor, _) = drain(&legacy, &Cursor::fresh(), 1).await;
    let v1 = Whatpulse::start(ApiKind::V1).await;
    assert!(matches!(read(&v1, &cursor, 1).await, Err(SourceError::Refused { .. })));
}

#[tokio::test]
async fn a_legacy_error_with_status_200_is_refused_and_an_empty_list_is_empty() {
    let answers = [
        (r#"{"error": "Unknown UserID given!"}"#, "refused"),
        (r#"{"error": "No pulses found!"}"#, "empty"),
        ("[]", "empty"),
        ("[{}]", "nonsense"),
        ("<?xml version=\"1.0\"?><Pulses/>", "nonsense"),
    ];
    for (body, expected) in answers {
        let server = Server::start(Router::new().route("/pulses.php", get(move || async move { body }))).await;
        let found = match read_from(&server, ApiKind::Legacy).await {
            Ok(page) => {
                if page.rows.is_empty() {
                    "empty"
                } else {
                    "rows"
                }
            }
            Err(SourceError::Refused { .. }) => "refused",
            Err(SourceError::Nonsense { .. }) => "nonsense",
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(found, expected, "{body}");
    }
}

#[tokio::test]
async fn a_429_waits_for_the_reset_and_a_spent_limit_is_told() {
    let answer = |status, remaining: &'static str, reset: Option<&'static str>| async move {
        let routes = Router::new().route(
            "/users/{id}/pulses",
            get(move || async move {
                let body = json!({"data": [], "links": {"next": null}}).to_string();
                let date = [("date", "Sun, 12 Jul 2026 15:00:00 GMT"), ("x-ratelimit-remaining", remaining)];
                let reset = reset.map(|reset| [("x-ratelimit-reset", reset)]);
                let mut response = (StatusCode::from_u16(status).unwrap(), date, body).into_response();
                for (name, value) in reset.into_iter().flatten() {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                response
            }),
        );
        let server = Server::start(routes).await;
        read_from(&server, ApiKind::V1).await
    };
    // 2026-07-12T15:02:00Z is 1783868520.
    let spent = answer(200, "0", Some("1783868520")).await.unwrap();
    assert_eq!(spent.not_before, Some(Duration::from_mins(2)));
    assert_eq!(answer(200, "99", Some("1783868520")).await.unwrap().not_before, None);
    let waits = [(Some("1783868520"), Duration::from_mins(2)), (None, Duration::from_mins(15))];
    for (reset, expected) in waits {
        let limited = answer(429, "0", reset).await.unwrap_err();
        assert!(matches!(limited, SourceError::Limited { retry_after, .. } if retry_after == expected), "{limited:?}");
    }
}

#[tokio::test]
async fn no_link_leads_to_another_host() {
    let account = Whatpulse::start(ApiKind::V1).await;
    for _ in 0..5 {
        account.create().await;
    }
    assert_eq!(drain(&account, &Cursor::fresh(), 3).await.0.len(), 5);
    let pages = account.server().requests();
    assert!(pages[2].ends_with("&per_page=100&page=3"), "{pages:?}");
    account.server().fail(Some(Failure::Status(302)));
    assert!(matches!(read(&account, &Cursor::fresh(), 3).await, Err(SourceError::Refused { .. })));
}

/// Reads an account through a server of three lines.
async fn read_from(server: &Server, kind: ApiKind) -> Result<Page, SourceError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = source::http::client(Duration::from_secs(5)).unwrap();
    let base = server.base().as_str().trim_end_matches('/').parse().unwrap();
    let account = Whatpulse::start(kind).await.account();
    let now: Timestamp = "2026-07-12T15:00:00Z".parse().unwrap();
    let read = Read { now, back_fill_from: now, zone: TimeZone::UTC, hint: source::Hint::None };
    WhatPulse::new(http, base, kind).read(&account, &Cursor::fresh(), &read).await
}
