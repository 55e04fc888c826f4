//! What Toggl sends by itself: at least once, in any order, of everybody in the workspace.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use source::{
    Account, Hint, Hooks, Malformed,
    hooks::{Delivery, Hooked, is_hmac_sha256},
};

use crate::entry::Entry;

/// Toggl's webhooks.
pub(crate) struct TogglHooks;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    event_id: i64,
    subscription_id: Option<i64>,
    validation_code: Option<String>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(default)]
    model: &'a str,
    #[serde(default)]
    action: &'a str,
}

fn body(bytes: &[u8]) -> Result<Body<'_>, Malformed> {
    serde_json::from_slice(bytes).map_err(|error| Malformed(format!("toggl: no payload of a webhook: {error}")))
}

impl Hooks for TogglHooks {
    fn topic(&self, delivery: &Delivery<'_>) -> Result<Option<String>, Malformed> {
        Ok(body(delivery.body)?.subscription_id.map(|id| id.to_string()))
    }

    fn topics(&self, credentials: &Value) -> Vec<String> {
        let list = credentials.get("webhook_subscriptions").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_i64).map(|id| id.to_string()).collect()
    }

    fn is_signed(&self, delivery: &Delivery<'_>, secret: &str) -> bool {
        let signature = delivery.header("x-webhook-signature-256").and_then(|value| value.strip_prefix("sha256="));
        signature.is_some_and(|signature| is_hmac_sha256(secret, delivery.body, signature))
    }

    /// Every PING has the event 0.
    fn delivery_id(&self, delivery: &Delivery<'_>) -> Option<String> {
        let body = body(delivery.body).ok()?;
        let id = body.subscription_id.filter(|_| body.event_id != 0)?;
        Some(format!("{id}/{}", body.event_id))
    }

    fn take(&self, delivery: &Delivery<'_>, account: &Account) -> Result<Hooked, Malformed> {
        let body = body(delivery.body)?;
        let payload = body.payload.ok_or_else(|| Malformed("toggl: field \"payload\" is missing".to_owned()))?;
        if payload.get().starts_with('"') {
            return Ok(Hooked::Ping(body.validation_code.map(|code| json!({"validation_code": code}))));
        }
        let metadata = body.metadata.unwrap_or(Metadata { model: "", action: "" });
        if metadata.model != "time_entry" {
            return Ok(Hooked::Nothing);
        }
        // Everybody's entries come; whose they are is known only where the connection says who it is.
        let whose = serde_json::from_str::<Value>(payload.get()).ok().and_then(|entry| entry["user_id"].as_i64());
        let asks = Hooked::Records { rows: Vec::new(), hint: Hint::Recent };
        match account.credentials.get("user_id").and_then(Value::as_i64) {
            Some(me) if whose.is_some_and(|whose| whose != me) => return Ok(Hooked::Nothing),
            Some(_) => {}
            None => return Ok(asks),
        }
        let entry = Entry::of(payload);
        // The client of a project is not told, and a deletion may come without its mark: then the source is asked.
        let is_whole = entry.is_told() && entry.project().is_none() && metadata.action != "deleted";
        if !is_whole && !entry.is_deleted() {
            return Ok(asks);
        }
        let row = entry.row(|_| None);
        // Only the source knows whether it was there before.
        let seen_before = metadata.action != "created";
        Ok(Hooked::Records { rows: vec![source::Row { seen_before, ..row }], hint: Hint::Recent })
    }
}

#[cfg(test)]
mod tests {
    use event::{RecordKind, UserId};
    use jiff::Timestamp;
    use reqwest::header::HeaderMap;

    use super::*;

    fn take(body: &Value, credentials: Value) -> Hooked {
        let (headers, text) = (HeaderMap::new(), body.to_string());
        let delivery = Delivery { headers: &headers, body: text.as_bytes(), now: Timestamp::UNIX_EPOCH };
        let account = Account { user: UserId::try_new("alice").unwrap(), credentials };
        TogglHooks.take(&delivery, &account).unwrap()
    }

    fn event(action: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut entry = json!({"id": 3_727_713_550_i64, "workspace_id": 2, "project_id": null, "start": "2024-12-12T19:49:11+00:00",
            "stop": "2024-12-12T20:38:05+00:00", "duration": 2934, "tags": [], "at": "2024-12-12T20:38:06.061437Z",
            "server_deleted_at": null, "user_id": 1_000_001});
        change(&mut entry);
        json!({"event_id": 4, "metadata": {"action": action, "model": "time_entry", "time_entry_id": "3727713550"},
            "payload": entry, "subscription_id": 6})
    }

    #[test]
    fn an_entry_of_ours_is_a_row_and_what_lacks_its_client_is_asked_for() {
        let me = json!({"user_id": 1_000_001});
        let Hooked::Records { rows, hint } = take(&event("updated", |_| {}), me.clone()) else { panic!() };
        assert_eq!(
            (rows[0].external_id.as_str(), rows[0].kind, hint),
            ("3727713550", RecordKind::Present, Hint::Recent)
        );
        let asks = Hooked::Records { rows: vec![], hint: Hint::Recent };
        assert_eq!(take(&event("updated", |entry| entry["project_id"] = json!(7)), me.clone()), asks);
        assert_eq!(take(&event("updated", |_| {}), json!({})), asks, "nobody says who we are");
        assert_eq!(take(&event("updated", |entry| entry["user_id"] = json!(8)), me.clone()), Hooked::Nothing);
        assert_eq!(take(&event("deleted", |_| {}), me.clone()), asks, "deleted, and nothing says so in it");
        let deleted =
            take(&event("deleted", |entry| entry["server_deleted_at"] = json!("2024-12-12T21:00:00+00:00")), me);
        let Hooked::Records { rows, .. } = deleted else { panic!() };
        assert_eq!(rows[0].kind, RecordKind::Deleted);
    }

    #[test]
    fn a_ping_is_answered_with_its_code_and_never_remembered() {
        let ping = json!({"event_id": 0, "payload": "ping", "validation_code": "abc", "subscription_id": 6});
        assert_eq!(take(&ping, json!({})), Hooked::Ping(Some(json!({"validation_code": "abc"}))));
        let (headers, text) = (HeaderMap::new(), ping.to_string());
        let delivery = Delivery { headers: &headers, body: text.as_bytes(), now: Timestamp::UNIX_EPOCH };
        assert_eq!(TogglHooks.delivery_id(&delivery), None);
        assert_eq!(TogglHooks.topic(&delivery).unwrap().as_deref(), Some("6"));
    }

    #[test]
    fn a_signature_is_of_the_bytes_that_came() {
        let mut headers = HeaderMap::new();
        // Toggl's published example: https://engineering.toggl.com/docs/webhooks_start/validating_received_events
        let body = br#"{"event_id":0,"created_at":"2022-06-25T03:58:10.207820267Z","creator_id":6,"metadata":{"request_type":"POST","event_user_id":6},"payload":"ping","subscription_id":6}"#;
        let signature = "sha256=55343383e52a9cd2f56bd4e9fb5b6ce6982fb45955f26ea816cf7495d98c5fd2";
        headers.insert("x-webhook-signature-256", signature.parse().unwrap());
        let delivery = Delivery { headers: &headers, body, now: Timestamp::UNIX_EPOCH };
        assert!(TogglHooks.is_signed(&delivery, "PGuRrhCFajIyEvFlreKL"));
        assert!(!TogglHooks.is_signed(&delivery, "another"));
        assert!(!TogglHooks.is_signed(&Delivery { body: &body[1..], ..delivery }, "PGuRrhCFajIyEvFlreKL"));
        assert!(!TogglHooks.is_signed(&Delivery { headers: &HeaderMap::new(), ..delivery }, "PGuRrhCFajIyEvFlreKL"));
    }
}
