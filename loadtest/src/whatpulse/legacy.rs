//! The legacy API: XML unless asked for JSON, errors with status 200, answers an hour old.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use axum::{
    Extension, Router,
    extract::{OriginalUri, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{Pulse, Shared, account::Account, gate::ToSpoil};

/// Pulses of an answer without a range.
const NEWEST_MAX: usize = 50;

/// An answer that is repeated until it is too old.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    made: Timestamp,
    body: Value,
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/pulses.php", get(pulses)).route("/user.php", get(user))
}

type Asked = Query<HashMap<String, String>>;

async fn pulses(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    Query(asked): Asked,
    Extension(spoil): Extension<ToSpoil>,
) -> Response {
    let mut body = cached(&shared, &uri.to_string(), || of_user(&shared, &asked, |account| pulse_map(account, &asked)));
    if let (Some(malformed), Some(row)) = (&spoil.0, body.as_object_mut().and_then(|rows| rows.values_mut().next())) {
        malformed.spoil(row);
    }
    written(&asked, &body)
}

async fn user(State(shared): State<Arc<Shared>>, OriginalUri(uri): OriginalUri, Query(asked): Asked) -> Response {
    let now = shared.clock.now();
    let body = cached(&shared, &uri.to_string(), || of_user(&shared, &asked, |account| user_object(account, now)));
    written(&asked, &body)
}

fn cached(shared: &Shared, address: &str, make: impl FnOnce() -> Value) -> Value {
    let now = shared.clock.now();
    let mut cache = shared.legacy_cache.lock().unwrap_or_else(PoisonError::into_inner);
    let life = SignedDuration::try_from(shared.config.legacy_cache).unwrap_or(SignedDuration::MAX);
    if let Some(known) = cache.get(address).filter(|known| now.duration_since(known.made) < life) {
        return known.body.clone();
    }
    let body = make();
    cache.insert(address.to_owned(), Cached { made: now, body: body.clone() });
    body
}

fn of_user(shared: &Shared, asked: &HashMap<String, String>, make: impl FnOnce(&Account) -> Value) -> Value {
    let named = asked.get("user").or_else(|| asked.get("userid"));
    let accounts = shared.accounts();
    match named.and_then(|named| accounts.values().find(|account| account.is_called(named))) {
        None => json!({"error": "Unknown UserID given!"}),
        Some(account) if account.private => json!({"error": "This profile is private."}),
        Some(account) => make(account),
    }
}

fn pulse_map(account: &Account, asked: &HashMap<String, String>) -> Value {
    let second = |name: &str| asked.get(name).and_then(|text| text.parse::<i64>().ok());
    // One bound without the other is ignored.
    let range = second("start").zip(second("end"));
    let inside = |pulse: &&Pulse| range.is_none_or(|(start, end)| (start..=end).contains(&pulse.date.as_second()));
    let at_most = if range.is_some() { usize::MAX } else { NEWEST_MAX };
    let newest_first = account.pulses.values().rev().filter(inside).take(at_most);
    let rows: Map<String, Value> =
        newest_first.map(|pulse| (format!("Pulse-{}", pulse.id), Account::legacy_row(pulse))).collect();
    if rows.is_empty() { json!({"error": "No pulses found!"}) } else { Value::Object(rows) }
}

/// Strings in most places, numbers in some, an empty array where a map has nothing.
fn user_object(account: &Account, now: Timestamp) -> Value {
    let spell = |time: Timestamp| time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let last = account.pulses.values().next_back().map(|pulse| pulse.date);
    let computers: Map<String, Value> = account
        .computers
        .iter()
        .filter_map(|computer| {
            let id = account.computer_id(computer)?.to_string();
            Some((id.clone(), json!({"ComputerID": id, "Name": computer, "ClientVersion": "6.2"})))
        })
        .collect();
    json!({
        "GeneratedTime": spell(now),
        "UserID": account.spec.user_id.to_string(),
        "AccountName": account.spec.name,
        "LastPulse": last.map(spell),
        "LastPulseUnixTimestamp": last.map(|time| time.as_second().to_string()),
        "Pulses": account.pulses.len().to_string(),
        "Keys": account.total(|counts| counts.keys).to_string(),
        "Clicks": account.total(|counts| counts.clicks).to_string(),
        "DownloadMB": account.total(|counts| counts.download_centi_mb) / 100,
        "UploadMB": account.total(|counts| counts.upload_centi_mb) / 100,
        "UptimeSeconds": account.total(|counts| counts.uptime_seconds).to_string(),
        "Team": "0",
        "Computers": if computers.is_empty() { json!([]) } else { Value::Object(computers) },
    })
}

fn written(asked: &HashMap<String, String>, body: &Value) -> Response {
    if asked.get("format").map(String::as_str) != Some("json") {
        let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<WhatPulse>{}</WhatPulse>", xml(body));
        return ([(header::CONTENT_TYPE, "text/xml; charset=UTF-8")], xml).into_response();
    }
    let mut body = body.clone();
    if asked.get("formatted").map(String::as_str) == Some("yes") {
        group_thousands(&mut body);
    }
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn xml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>", xml(value))).collect()
        }
        Value::Array(items) => items.iter().map(|item| format!("<item>{}</item>", xml(item))).collect(),
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `formatted=yes`: every count becomes a text such as `1,008,421`.
fn group_thousands(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if !name.contains("Time") && !name.contains("ID") {
                    group_thousands(value);
                }
            }
        }
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            *text = grouped(text);
        }
        Value::Number(number) => *value = Value::String(grouped(&number.to_string())),
        _ => {}
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_numbers_carry_separators() {
        let mut body = json!({"P": {"Keys": "1008421", "Clicks": 999, "Timestamp": "1783893483"}});
        group_thousands(&mut body);
        assert_eq!(body, json!({"P": {"Keys": "1,008,421", "Clicks": "999", "Timestamp": "1783893483"}}));
    }
}
