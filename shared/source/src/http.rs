//! One exchange with a source over HTTP: the status before the body, and a bound on everything.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{
    Client, RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, DATE, HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;

use crate::{Account, SourceError};

/// Longest answer that is read, in bytes. A thousand Toggl entries have half a megabyte.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// How much of an answer's text an error repeats, in bytes.
pub const SAID_BYTES_MAX: usize = 200;

/// The client a source is given: follows no redirect, so that a key never travels to another host,
/// and gives up after `timeout`, answer included.
///
/// A rustls provider must be installed before (`rustls::crypto::ring::default_provider()`).
///
/// # Errors
/// [`reqwest::Error`]: no TLS backend or no certificates of the system could be loaded.
pub fn client(timeout: Duration) -> reqwest::Result<Client> {
    let agent = concat!("tributary/", env!("CARGO_PKG_VERSION"));
    Client::builder().user_agent(agent).redirect(reqwest::redirect::Policy::none()).timeout(timeout).build()
}

/// The address below a base: the base's own path is kept, a trailing slash makes no difference, and
/// each segment is escaped.
///
/// # Panics
/// If the base is no address with a host (`mailto:…`); settings take only `http` and `https`.
#[must_use]
pub fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("a base is an http or https address").pop_if_empty().extend(segments);
    url
}

/// Sends a request and reads the answer, whatever its status.
///
/// # Errors
/// - [`SourceError::Transient`]: no connection, a timeout, or the answer broke off.
/// - [`SourceError::Nonsense`]: the answer has more than [`BODY_BYTES_MAX`] bytes.
pub async fn send(
    source_name: &'static str,
    account: &Account,
    request: RequestBuilder,
) -> Result<Answer, SourceError> {
    // The address may carry a user's name or id, so it leaves the error.
    let transient = |detail: &str, cause: reqwest::Error| SourceError::Transient {
        source_name,
        detail: if cause.is_timeout() { "timed out".to_owned() } else { detail.to_owned() },
        cause: Some(cause.without_url()),
    };
    let (client, request) = request.build_split();
    let request = request.map_err(|cause| transient("the request cannot be made", cause))?;
    let mut secrets = account.secrets();
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    secrets.extend(authorization.and_then(|text| text.split_once(' ')).map(|(_, key)| key.to_owned()));

    let mut response = client.execute(request).await.map_err(|cause| transient("no answer", cause))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| transient("the answer broke off", cause))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            let detail = format!("{status}, more than {BODY_BYTES_MAX} bytes");
            return Err(SourceError::Nonsense { source_name, detail });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { source_name, status, headers, body, secrets })
}

/// A whole answer. Its texts reach an error only through [`Answer::said`], which hides our keys.
pub struct Answer {
    source_name: &'static str,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    secrets: Vec<String>,
}

impl Answer {
    /// Hides these as well, beside what is in the account.
    pub(crate) fn also_hiding(mut self, secrets: impl IntoIterator<Item = String>) -> Self {
        self.secrets.extend(secrets.into_iter().filter(|secret| !secret.is_empty()));
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header, if it is there and plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that is a whole number.
    #[must_use]
    pub fn header_number(&self, name: &str) -> Option<i64> {
        self.header(name)?.trim().parse().ok()
    }

    /// The server's clock when it answered.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header(DATE.as_str())?)
    }

    /// How long to wait, by `Retry-After` in seconds or as a date; never longer than a day.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?.trim();
        let seconds = text.parse().ok().or_else(|| {
            // A date is of the server's clock, so it is measured against the server's clock.
            let until = http_date(text)?;
            Some(until.as_second() - self.date().unwrap_or(now).as_second())
        })?;
        Some(wait(seconds))
    }

    /// Status and the beginning of the body, without our keys, on one line.
    #[must_use]
    pub fn said(&self) -> String {
        let text = self.hide(&String::from_utf8_lossy(&self.body));
        let words = text.split(|character: char| character.is_whitespace() || character.is_control());
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let line = cut(&line, SAID_BYTES_MAX);
        let status = self.status.as_u16();
        if line.is_empty() { format!("{status}") } else { format!("{status}: {line}") }
    }

    /// The answer, if its status is 2xx; otherwise what the status means for most sources.
    ///
    /// `wait` is what a 429 without `Retry-After` asks for, by the source's contract. A source looks
    /// first for the statuses to which it gives a meaning of its own.
    ///
    /// # Errors
    /// 401 is [`SourceError::Unauthorised`], 429 [`SourceError::Limited`], 408 and 5xx
    /// [`SourceError::Transient`], everything else, redirects too, [`SourceError::Refused`].
    pub fn success(self, now: Timestamp, wait: Duration) -> Result<Self, SourceError> {
        let (source_name, detail) = (self.source_name, || self.said());
        match self.status.as_u16() {
            200..=299 => Ok(self),
            401 => Err(SourceError::Unauthorised { source_name, detail: detail() }),
            429 => {
                let retry_after = self.retry_after(now).unwrap_or(wait);
                Err(SourceError::Limited { source_name, retry_after, detail: detail() })
            }
            408 | 500..=599 => Err(SourceError::Transient { source_name, detail: detail(), cause: None }),
            _ => Err(SourceError::Refused { source_name, detail: detail() }),
        }
    }

    /// The body as JSON of the expected shape; borrows from it, so numbers keep their spelling.
    ///
    /// # Errors
    /// [`SourceError::Nonsense`]: not JSON, or not that shape.
    pub fn json<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T, SourceError> {
        serde_json::from_slice(&self.body).map_err(|error| self.nonsense(&format!("expected {expected}: {error}")))
    }

    /// The body's first byte that is no white space.
    #[must_use]
    pub fn first_byte(&self) -> Option<u8> {
        self.body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
    }

    /// An error saying that this answer is none, with our keys hidden.
    #[must_use]
    pub fn nonsense(&self, problem: &str) -> SourceError {
        let detail = format!("{}: {}", self.status.as_u16(), cut(&self.hide(problem), SAID_BYTES_MAX));
        SourceError::Nonsense { source_name: self.source_name, detail }
    }

    fn hide(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// The longest beginning of a text that has at most so many bytes and whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A number of seconds as a time to wait: never negative, never longer than a day.
#[must_use]
pub fn wait(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(86_400))
}

fn http_date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answer {
            source_name: "test",
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
            secrets: vec!["s3cret-key".to_owned()],
        }
    }

    #[test]
    fn a_base_keeps_its_path_and_a_trailing_slash_makes_no_difference() {
        for base in ["http://host/a/b", "http://host/a/b/"] {
            let url = below(&base.parse().unwrap(), &["users", "a/b c", "pulses"]);
            assert_eq!(url.as_str(), "http://host/a/b/users/a%2Fb%20c/pulses");
        }
        assert_eq!(below(&"http://host".parse().unwrap(), &["x"]).as_str(), "http://host/x");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_of_the_servers_clock() {
        let now = "2026-05-01T12:00:00Z".parse().unwrap();
        let of = |headers: &[(&'static str, &str)]| answer(429, headers, "").retry_after(now);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(of(&[("retry-after", "37")]), seconds(37));
        assert_eq!(of(&[("retry-after", "-1")]), seconds(0));
        assert_eq!(of(&[("retry-after", "99999999")]), seconds(86_400));
        assert_eq!(of(&[("retry-after", "Fri, 01 May 2026 12:01:30 GMT")]), seconds(90));
        let (date, until) = (("date", "Fri, 01 May 2026 11:00:00 GMT"), "Fri, 01 May 2026 11:00:10 GMT");
        assert_eq!(of(&[date, ("retry-after", until)]), seconds(10));
        assert_eq!(of(&[("retry-after", "soon")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_was_said_is_one_short_line_without_our_keys() {
        let long = format!("no\n\u{7}  s3cret-key {}", "é".repeat(300));
        let said = answer(403, &[], &long).said();
        assert!(said.starts_with("403: no … éé"), "{said}");
        assert!(said.len() <= SAID_BYTES_MAX + 5, "{}", said.len());
        assert_eq!(answer(401, &[], "").said(), "401");
        let error = answer(200, &[], "[\"s3cret-key\"]").json::<Vec<i64>>("a list").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret-key"), "{error}");
    }

    #[test]
    fn every_status_has_its_error() {
        let now = Timestamp::UNIX_EPOCH;
        let error = |status| answer(status, &[], "").success(now, Duration::from_secs(60)).err();
        assert!(error(200).is_none());
        assert!(matches!(error(401), Some(SourceError::Unauthorised { .. })));
        let limited = error(429);
        assert!(matches!(limited, Some(SourceError::Limited { retry_after, .. }) if retry_after.as_secs() == 60));
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(error(status), Some(SourceError::Transient { .. })), "{status}");
        }
        for status in [302, 304, 400, 403, 404, 410, 422] {
            assert!(matches!(error(status), Some(SourceError::Refused { .. })), "{status}");
        }
    }
}
