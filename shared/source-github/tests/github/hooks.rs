//! What GitHub sends by itself.

use event::RecordKind;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use source::{
    Hint, Row,
    hooks::{Delivery, Hooked},
    suite::Fixture,
};

use crate::fixture::{Forge, ME};

async fn take(kind: &str, body: &Value) -> Hooked {
    take_text(kind, "application/json", &body.to_string()).await.unwrap()
}

async fn take_text(kind: &str, content_type: &str, body: &str) -> Result<Hooked, source::Malformed> {
    let forge = Forge::start().await;
    let mut headers = HeaderMap::new();
    headers.insert("x-github-event", kind.parse().unwrap());
    headers.insert("content-type", content_type.parse().unwrap());
    let delivery = Delivery { headers: &headers, body: body.as_bytes(), now: forge.now() };
    forge.source().hooks().unwrap().take(&delivery, &forge.account())
}

fn rows(hooked: Hooked) -> (Vec<Row>, Hint) {
    match hooked {
        Hooked::Records { rows, hint } => (rows, hint),
        other => panic!("{other:?} brings no records"),
    }
}

fn issue(action: &str, author: i64, sender: i64, closed_at: Option<&str>) -> Value {
    let state = if closed_at.is_some() { "closed" } else { "open" };
    json!({"action": action, "sender": {"id": sender}, "repository": {"full_name": "Octo/Demo"},
        "issue": {"id": 900, "number": 1, "user": {"id": author}, "state": state, "title": "private",
            "created_at": "2026-07-10T10:00:00Z", "updated_at": "2026-07-12T10:00:00Z", "closed_at": closed_at}})
}

#[tokio::test]
async fn a_closing_says_who_closed_and_other_events_of_a_closed_issue_do_not() {
    let closed = Some("2026-07-12T10:00:00Z");
    let (told, hint) = rows(take("issues", &issue("closed", 7, ME, closed)).await);
    assert_eq!(
        (told[0].payload.as_str(), hint),
        (r#"{"counts":{"issues_closed":"2026-07-12T10:00:00Z"}}"#, Hint::Recent)
    );
    let (told, _) = rows(take("issues", &issue("closed", ME, 7, closed)).await);
    assert_eq!(told[0].payload, r#"{"counts":{"issues_opened":"2026-07-10T10:00:00Z"}}"#);
    let (told, hint) = rows(take("issues", &issue("labeled", ME, ME, closed)).await);
    assert_eq!((told, hint), (vec![], Hint::Recent), "it is asked for");
    let (told, _) = rows(take("issues", &issue("reopened", 7, ME, None)).await);
    assert_eq!(told[0].payload, r#"{"counts":{}}"#, "what was closed may have counted");
    assert_eq!(take("issues", &issue("opened", 7, 7, None)).await, Hooked::Nothing);
}

#[tokio::test]
async fn a_deletion_wins_over_everything_of_its_second_and_asks_for_the_window() {
    let (opened, _) = rows(take("issues", &issue("opened", ME, ME, None)).await);
    let (deleted, hint) = rows(take("issues", &issue("deleted", ME, ME, None)).await);
    assert_eq!((deleted[0].kind, hint), (RecordKind::Deleted, Hint::Window));
    assert!(deleted[0].version.0 > opened[0].version.0 + 1, "REST is between them");
}

#[tokio::test]
async fn comments_pull_requests_and_pushes_count_for_their_author() {
    let at = "2026-07-12T10:00:00Z";
    let comment = |by: i64| json!({"action": "created", "issue": {}, "comment": {"id": 5, "user": {"id": by}, "created_at": at, "updated_at": at}});
    assert_eq!(rows(take("issue_comment", &comment(ME)).await).0[0].external_id.as_str(), "comment:5");
    assert_eq!(take("issue_comment", &comment(7)).await, Hooked::Nothing);
    let pull = json!({"action": "closed", "pull_request": {"id": 6, "user": {"id": ME}, "created_at": at, "updated_at": at, "merged_at": at}});
    assert!(rows(take("pull_request", &pull).await).0[0].payload.contains("pull_requests_merged"));
    let commit = |id: &str, username: Option<&str>| json!({"id": id, "timestamp": "2026-07-12T01:00:00+03:00", "author": {"name": "x", "username": username}});
    let push =
        json!({"ref": "refs/heads/main", "after": "b", "commits": [commit("a", Some("MONA")), commit("b", None)]});
    let (told, _) = rows(take("push", &push).await);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].payload, r#"{"counts":{"commits":"2026-07-11T22:00:00Z"}}"#);
    let cut = json!({"ref": "refs/heads/main", "after": "z", "commits": [commit("b", None)]});
    assert_eq!(rows(take("push", &cut).await), (vec![], Hint::Recent), "not all commits were sent");
    let tag = json!({"ref": "refs/tags/v1", "after": "0000", "deleted": true, "head_commit": null, "commits": []});
    assert_eq!(take("push", &tag).await, Hooked::Nothing);
    assert_eq!(take("ping", &json!({"zen": "x"})).await, Hooked::Ping(None));
    assert_eq!(take("star", &json!({"action": "created"})).await, Hooked::Nothing);
}

#[tokio::test]
async fn a_form_carries_the_same_and_nonsense_is_refused() {
    let json = issue("opened", ME, ME, None).to_string();
    let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
    let told = take_text("issues", "application/x-www-form-urlencoded", &form).await.unwrap();
    assert_eq!(told, take("issues", &issue("opened", ME, ME, None)).await);
    for body in ["", "[]", "{\"issue\": 3}", "{}"] {
        let refused = take_text("issues", "application/json", body).await;
        assert!(refused.unwrap_err().0.starts_with("github: "), "{body}");
    }
}

#[tokio::test]
async fn the_published_signature_is_right_and_every_other_is_not() {
    let forge = Forge::start().await;
    let hooks = forge.source().hooks().unwrap();
    let is_signed = |signature: Option<&str>, body: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.extend(
            signature
                .map(|value| ("x-hub-signature-256".parse().unwrap(), value.parse().unwrap()))
                .map(|(name, value)| (Some(name), value)),
        );
        hooks.is_signed(&Delivery { headers: &headers, body, now: forge.now() }, "It's a Secret to Everybody")
    };
    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert!(is_signed(Some(right), b"Hello, World!"));
    assert!(!is_signed(Some(right), b"Hello, World"));
    assert!(!is_signed(Some(&right.replace("sha256=", "sha1=")), b"Hello, World!"));
    assert!(!is_signed(None, b"Hello, World!"));
}
