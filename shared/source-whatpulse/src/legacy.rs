//! The public API without a key: the pulses of one day, as an object by pulse id.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Url};
use serde_json::value::RawValue;
use source::{
    Account, Read, SourceError,
    http::{below, send},
    text,
};

use crate::{
    cursor::Window,
    pulse::Pulse,
    whatpulse::{Fetched, NAME},
};

/// How long a request's answer is cached by the server: asking sooner brings nothing new.
pub(crate) const CACHED: Duration = Duration::from_hours(1);

/// Reads every pulse of a window of one UTC day.
///
/// `start` lies a second early, because it is not known whether it is inclusive. The address depends
/// on the day only, so that the server's cache answers what it has answered already.
pub(crate) async fn fetch(
    http: &Client,
    api: &Url,
    account: &Account,
    window: &Window,
    read: &Read,
) -> Result<Fetched, SourceError> {
    let utc = jiff::tz::TimeZone::UTC;
    let start = window.first_day().start(&utc).as_second() - 1;
    let end = window.day_after().start(&utc).as_second();
    let mut url = below(api, &["pulses.php"]);
    url.query_pairs_mut()
        .append_pair("user", &account.credential("user_id"))
        .append_pair("format", "json")
        .append_pair("start", &start.to_string())
        .append_pair("end", &end.to_string());
    let answer = send(NAME, account, http.get(url)).await?.success(read.now, CACHED)?;

    let done = |pulses| Ok(Fetched::Pulses { pulses, complete: true, not_before: None });
    match answer.first_byte() {
        Some(b'<') => return Err(answer.nonsense("a page, or XML, where JSON was asked for")),
        // PHP has one empty array for lists and maps.
        Some(b'[') => {
            let rows: Vec<&RawValue> = answer.json("an object of pulses, or an empty list")?;
            return if rows.is_empty() { done(Vec::new()) } else { Err(answer.nonsense("a list of pulses")) };
        }
        _ => {}
    }
    let entries: BTreeMap<String, &RawValue> = answer.json("an object of pulses")?;
    // Errors come with status 200.
    if let Some((_, error)) = entries.iter().find(|(key, _)| key.eq_ignore_ascii_case("error")) {
        let error = text(error.get()).unwrap_or_default();
        let is_empty = error.to_ascii_lowercase().contains("no pulses found");
        return if is_empty {
            done(Vec::new())
        } else {
            Err(SourceError::Refused { source_name: NAME, detail: answer.said() })
        };
    }
    done(entries.into_iter().map(|(key, row)| Pulse::of_legacy(&key, row)).collect())
}
