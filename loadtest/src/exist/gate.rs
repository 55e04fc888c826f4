//! Who is let in: a live token with room in its window, the right path and method.

use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;

use super::call::{Answer, Body, Call, Endpoint};
use super::world::{Caller, World};

impl World {
    /// Token, then rate, then method.
    pub(super) fn gate(
        &mut self,
        entry: usize,
        endpoint: Endpoint,
        call: &Call,
        now: Timestamp,
    ) -> Result<Option<Caller>, Answer> {
        let caller = if endpoint.is_oauth() { None } else { Some(self.admit(entry, call, now)?) };
        let method = if endpoint.is_post() { Method::POST } else { Method::GET };
        if call.method != method {
            let allow = if endpoint.is_post() { "POST, OPTIONS" } else { "GET, HEAD, OPTIONS" };
            let text = format!("Method \"{}\" not allowed.", call.method);
            return Err(Answer::detail(405, &text).header("allow", allow));
        }
        Ok(caller)
    }

    fn admit(&mut self, entry: usize, call: &Call, now: Timestamp) -> Result<Caller, Answer> {
        if call.authorization.is_none() {
            let text = "Authentication credentials were not provided.";
            return Err(Answer::detail(401, text).header("www-authenticate", BEARER));
        }
        let rate = self.config.rate;
        let token = call.bearer().and_then(|bearer| self.tokens.get_mut(bearer));
        let token = token.filter(|token| now < token.expires).ok_or_else(invalid_token)?;
        while token.window.front().is_some_and(|oldest| *oldest + rate.window <= now) {
            token.window.pop_front();
        }
        if token.window.len() >= rate.requests {
            let room_at = token.window.front().map_or(now, |oldest| *oldest + rate.window);
            let wait = Duration::try_from(room_at.duration_since(now)).unwrap_or_default();
            let seconds = self.config.retry_after.then_some(whole_seconds(wait));
            self.log[entry].room_at = Some(room_at);
            self.log[entry].retry_after = seconds.map(Duration::from_secs);
            return Err(throttled(seconds, self.config.throttle_detail));
        }
        token.window.push_back(now);
        Ok(Caller { user: token.user.clone(), scopes: token.scopes.clone(), service: self.config.service.clone(), now })
    }
}

const BEARER: &str = "Bearer realm=\"api\"";

pub(super) fn invalid_token() -> Answer {
    Answer::detail(401, "Invalid token").header("www-authenticate", BEARER)
}

pub(super) fn throttled(retry_after: Option<u64>, detail: bool) -> Answer {
    let answer = match (detail, retry_after) {
        (false, _) => Answer::new(429, Body::Empty),
        (true, None) => Answer::detail(429, "Request was throttled."),
        (true, Some(seconds)) => {
            let text = format!("Request was throttled. Expected available in {seconds} seconds.");
            Answer::detail(429, &text)
        }
    };
    match retry_after {
        Some(seconds) => answer.header("retry-after", seconds.to_string()),
        None => answer,
    }
}

/// Rounded up, so that who waits that long has waited long enough.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Django sends a path without its slash to the one with it; a POST loses its body on the way.
pub(super) fn no_such_page(call: &Call) -> Answer {
    let slashed = format!("{}/", call.path);
    if Endpoint::at(&slashed).is_some() {
        Answer::new(301, Body::Empty).header("location", slashed)
    } else {
        Answer::html(404)
    }
}
