//! So many requests in any sliding window.

use std::fmt;
use std::time::Duration;

use super::duration::{self, DAY, SECOND};

/// How many requests one token may make in any sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests, from 1 to 100,000.
    pub requests: u32,
    /// The window they are counted in, from 1 second to 1 day.
    pub window: Duration,
}

impl Budget {
    const REQUESTS_MAX: u32 = 100_000;
    pub(super) const ACCEPTS: &str = "requests/window, such as 300/1h: 1 to 100000 requests in 1s to 1d";

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (requests, window) = text.split_once('/').ok_or_else(|| "there is no `/` in it".to_owned())?;
        if !requests.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("what is left of `/` is no whole number".into());
        }
        let requests = requests.parse().map_err(|_| "what is left of `/` is no whole number".to_owned())?;
        let window = duration::parse(window).map_err(|why| format!("right of `/`, {why}"))?;
        if requests == 0 || requests > Self::REQUESTS_MAX || window < SECOND || window > DAY {
            return Err("it is out of bounds".into());
        }
        Ok(Self { requests, window })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, duration::format(self.window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_reads_as_it_is_written() {
        let budget = Budget::parse("300/1h").unwrap();
        assert_eq!(budget, Budget { requests: 300, window: Duration::from_secs(3600) });
        assert_eq!(budget.to_string(), "300/1h");
    }

    #[test]
    fn a_budget_without_bounds_is_refused() {
        for text in ["300", "300/", "/1h", "300/3600", "0/1h", "300/0s", "300/2d", "100001/1h", "+3/1h", "3/1h/2"] {
            assert!(Budget::parse(text).is_err(), "{text}");
        }
    }
}
