//! What a reading of the repositories finds.

use event::RecordKind;
use jiff::SignedDuration;
use serde_json::{Value, json};
use source::{Cursor, Hint, Row, suite::Fixture};

use crate::fixture::{Forge, ME};

const OTHER: i64 = 7;

fn told(rows: &[Row]) -> Vec<(&str, &str)> {
    rows.iter().map(|row| (row.external_id.as_str(), row.payload.as_str())).collect()
}

async fn read(forge: &Forge, cursor: &mut Cursor) -> Vec<Row> {
    forge.drain(cursor, Hint::None).await
}

#[tokio::test]
async fn closing_counts_for_who_closed_last_and_is_gone_when_reopened() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    let id = forge.open_issue(OTHER);
    assert_eq!(read(&forge, &mut cursor).await, [], "another's issue");
    forge.close_issue(id, ME);
    let rows = read(&forge, &mut cursor).await;
    assert_eq!(told(&rows), [("issue:900", r#"{"counts":{"issues_closed":"2026-07-12T15:00:02Z"}}"#)]);
    let before = forge.asked().len();
    forge.change_issue(id, |issue, _| issue["title"] = json!("another"));
    assert_eq!(read(&forge, &mut cursor).await, [], "a title does not count");
    let singles = forge.asked()[before..].iter().filter(|uri| uri.contains("/issues/900")).count();
    assert_eq!(singles, 0, "who closed is known");
    forge.change_issue(id, |issue, _| {
        issue["state"] = json!("open");
        issue["closed_at"] = Value::Null;
    });
    let rows = read(&forge, &mut cursor).await;
    assert_eq!((told(&rows), rows[0].seen_before), (vec![("issue:900", r#"{"counts":{}}"#)], true));
    forge.close_issue(id, OTHER);
    assert_eq!(read(&forge, &mut cursor).await, [], "closed by another, it still counts nothing");
}

#[tokio::test]
async fn comments_and_pull_requests_count_for_their_author() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    {
        let mut world = forge.world.lock().unwrap();
        let at = "2026-07-12T14:00:00Z";
        let comment = |id: i64, by: i64| json!({"id": id, "user": {"id": by}, "created_at": at, "updated_at": at, "body": "private"});
        world.comments =
            vec![comment(1, ME), comment(2, OTHER), json!({"id": 3, "user": null, "created_at": at, "updated_at": at})];
        let pull = |id: i64, by: i64, merged: Value| json!({"id": id, "number": id, "user": {"id": by}, "created_at": at, "updated_at": at, "merged_at": merged});
        world.pulls =
            vec![pull(11, ME, json!("2026-07-12T14:30:00Z")), pull(12, OTHER, json!(at)), pull(13, ME, Value::Null)];
        // The issues list has pull requests as well.
        world.issues = vec![
            json!({"id": 77, "number": 11, "user": {"id": ME}, "state": "closed", "created_at": at, "updated_at": at, "closed_at": at, "pull_request": {}}),
        ];
    }
    let mut rows = read(&forge, &mut cursor).await;
    rows.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    let expected = [
        ("comment:1", r#"{"counts":{"comments_written":"2026-07-12T14:00:00Z"}}"#),
        (
            "pr:11",
            r#"{"counts":{"pull_requests_merged":"2026-07-12T14:30:00Z","pull_requests_opened":"2026-07-12T14:00:00Z"}}"#,
        ),
        ("pr:13", r#"{"counts":{"pull_requests_opened":"2026-07-12T14:00:00Z"}}"#),
    ];
    assert_eq!(told(&rows), expected);
}

fn commit(sha: &str, by: Option<i64>) -> Value {
    json!({"sha": sha, "author": by.map(|id| json!({"id": id, "login": "octo"})),
        "commit": {"author": {"name": "x", "date": "2026-07-11T23:30:00Z"}, "committer": {"date": "2026-07-12T10:00:00Z"}}})
}

#[tokio::test]
async fn a_commit_counts_once_on_its_authors_date_in_however_many_branches_it_is() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    forge.world.lock().unwrap().branches = vec![
        ("main".to_owned(), vec![commit("b2", Some(ME)), commit("a1", Some(ME)), commit("c3", None)]),
        ("topic".to_owned(), vec![commit("a1", Some(ME))]),
    ];
    let mut rows = read(&forge, &mut cursor).await;
    rows.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    let payload = r#"{"counts":{"commits":"2026-07-11T23:30:00Z"}}"#;
    assert_eq!(told(&rows), [("commit:a1", payload), ("commit:b2", payload)]);
    let lists = |forge: &Forge| forge.asked().iter().filter(|uri| uri.contains("/commits?")).count();
    assert_eq!(lists(&forge), 2);
    assert_eq!(read(&forge, &mut cursor).await, []);
    assert_eq!(lists(&forge), 2, "no head has moved");
    forge.world.lock().unwrap().branches[1].1.insert(0, commit("d4", Some(ME)));
    assert_eq!(told(&read(&forge, &mut cursor).await), [("commit:d4", payload)]);
    assert_eq!(lists(&forge), 3);
}

#[tokio::test]
async fn pages_are_followed_as_github_names_them_and_a_moved_repository_is_found() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    forge.world.lock().unwrap().per_page = 2;
    for _ in 0..5 {
        forge.open_issue(ME);
    }
    assert_eq!(read(&forge, &mut cursor).await.len(), 5);
    assert!(forge.asked().iter().any(|uri| uri.contains("/repositories/1000/issues?page=3")), "{:?}", forge.asked());
    forge.world.lock().unwrap().moved = true;
    forge.open_issue(ME);
    assert_eq!(read(&forge, &mut cursor).await.len(), 1);
}

#[tokio::test]
async fn a_hint_of_a_deletion_reads_the_window_at_once() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    forge.open_issue(ME);
    read(&forge, &mut cursor).await;
    forge.world.lock().unwrap().issues.clear();
    assert_eq!(read(&forge, &mut cursor).await, []);
    let rows = forge.drain(&mut cursor, Hint::Window).await;
    assert_eq!(rows.iter().map(|row| (row.kind, row.seen_before)).collect::<Vec<_>>(), [(RecordKind::Deleted, true)]);
}

#[tokio::test]
async fn rest_follows_a_webhook_that_told_of_a_later_moment() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    let id = forge.open_issue(ME);
    let first = read(&forge, &mut cursor).await;
    forge.change_issue(id, |issue, _| issue["title"] = json!("another"));
    assert_eq!(read(&forge, &mut cursor).await, [], "nothing that counts");
    forge.change_issue(id, |issue, _| issue["title"] = json!("a third"));
    let rows = forge.drain(&mut cursor, Hint::Recent).await;
    assert_eq!((rows.len(), rows[0].content()), (1, first[0].content()));
    assert!(rows[0].version > first[0].version);
}

#[tokio::test]
async fn old_issues_leave_the_window_unsaid() {
    let (forge, mut cursor) = (Forge::start().await, Cursor::fresh());
    forge.open_issue(ME);
    read(&forge, &mut cursor).await;
    for _ in 0..40 {
        forge.world.lock().unwrap().now += SignedDuration::from_hours(24);
        assert_eq!(read(&forge, &mut cursor).await, []);
    }
}

#[tokio::test]
async fn a_grant_says_whose_it_is() {
    let forge = Forge::start().await;
    let completed = forge.source().complete(&forge.account(), forge.now()).await.unwrap();
    assert_eq!((&completed["user_id"], &completed["login"]), (&json!(ME), &json!("Octo")));
}
