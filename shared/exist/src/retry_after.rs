//! How long a 429 asks us to wait.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Longest wait that is passed on: a day, so that a mistake over there does not park a user for ever.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that the headers ask for, in seconds or until a date.
///
/// A date is counted from the answer's own `Date`, and from `now` where it has none: the two clocks
/// may differ. Exist documents no such header; the forms are those of RFC 9110, section 10.2.3.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // Digits that do not fit are a very long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let sent = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        // A date in the past asks for no wait.
        Duration::try_from(until.duration_since(sent.unwrap_or(now))).unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers, "2026-03-28T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn seconds_and_dates_are_both_understood() {
        assert_eq!(wait("17", None), Some(Duration::from_secs(17)));
        assert_eq!(wait("Sat, 28 Mar 2026 12:00:30 GMT", None), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_date_is_counted_from_the_clock_of_the_answer() {
        let (until, sent) = ("Sat, 28 Mar 2026 13:00:30 GMT", "Sat, 28 Mar 2026 13:00:00 GMT");
        assert_eq!(wait(until, Some(sent)), Some(Duration::from_secs(30)));
        assert_eq!(wait(sent, Some(until)), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_wait_and_a_very_long_one_is_a_day() {
        assert_eq!(wait("soon", None), None);
        assert_eq!(wait("-5", None), None);
        assert_eq!(wait("", None), None);
        assert_eq!(wait("99999999999999999999999", None), Some(RETRY_AFTER_MAX));
    }
}
