//! Every request the simulator saw, and the questions a test asks of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::call::Endpoint;

/// One request. Holds no token and no value.
#[derive(Clone, Debug)]
pub struct Logged {
    /// When it arrived, by the simulator's clock.
    pub at: Timestamp,
    /// Whose token it carried (or, for a refresh, whose it asked for), if that was known.
    pub user: Option<String>,
    /// Which token, counted from 1 in order of issue; a refresh makes a new one. None without a valid one.
    pub token: Option<u64>,
    /// `GET`, `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// What was asked, if the path is one of Exist's.
    pub endpoint: Option<Endpoint>,
    /// How many items a write carried; 0 for everything else.
    pub items: usize,
    /// The (name, date) pairs that came more than once in this request.
    pub repeated: Vec<(String, String)>,
    /// What was answered; `None` while undecided, and for ever if the connection was cut instead.
    pub status: Option<u16>,
    /// The wait that a 429 asked for in its header.
    pub retry_after: Option<Duration>,
    /// When the token has room again after a 429 that was earned, whether or not the answer said so.
    pub room_at: Option<Timestamp>,
    /// The names of the faults that this request met.
    pub faults: Vec<&'static str>,
}

/// Requests in the order of their arrival.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(pub(super) Vec<Logged>);

impl RequestLog {
    /// Every request.
    #[must_use]
    pub fn entries(&self) -> &[Logged] {
        &self.0
    }

    /// Only those of one user.
    #[must_use]
    pub fn of(&self, username: &str) -> Self {
        self.only(|entry| entry.user.as_deref() == Some(username))
    }

    /// Only those to one endpoint.
    #[must_use]
    pub fn to(&self, endpoint: Endpoint) -> Self {
        self.only(|entry| entry.endpoint == Some(endpoint))
    }

    /// Only those that pass.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Logged) -> bool) -> Self {
        Self(self.0.iter().filter(|entry| keep(entry)).cloned().collect())
    }

    /// The most requests that any one token made in any half-open window of this length, refused ones included.
    #[must_use]
    pub fn busiest(&self, window: Duration) -> usize {
        let mut times: BTreeMap<u64, Vec<Timestamp>> = BTreeMap::new();
        for entry in self.0.iter() {
            if let Some(token) = entry.token {
                times.entry(token).or_default().push(entry.at);
            }
        }
        times.into_values().map(|times| most_within(times, window)).max().unwrap_or(0)
    }

    /// The most items in one write.
    #[must_use]
    pub fn largest_write(&self) -> usize {
        self.0.iter().map(|entry| entry.items).max().unwrap_or(0)
    }

    /// Requests that carried the same (name, date) twice.
    #[must_use]
    pub fn repeating(&self) -> Self {
        self.only(|entry| !entry.repeated.is_empty())
    }

    /// Requests that a token made after a 429 and before the end of its `Retry-After`.
    #[must_use]
    pub fn too_early(&self) -> Self {
        let waits: Vec<_> =
            self.0.iter().filter_map(|entry| Some((entry.token?, entry.at, entry.at + entry.retry_after?))).collect();
        self.only(|entry| {
            waits.iter().any(|&(token, from, until)| entry.token == Some(token) && from < entry.at && entry.at < until)
        })
    }

    /// How many requests each endpoint saw.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Endpoint, usize> {
        let mut counts = BTreeMap::new();
        for endpoint in self.0.iter().filter_map(|entry| entry.endpoint) {
            *counts.entry(endpoint).or_default() += 1;
        }
        counts
    }
}

fn most_within(mut times: Vec<Timestamp>, window: Duration) -> usize {
    times.sort_unstable();
    let mut from = 0;
    let mut most = 0;
    for (to, at) in times.iter().enumerate() {
        while times[from] + window <= *at {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}

/// The pairs that come more than once.
pub(super) fn repeated(keys: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    keys.filter(|key| !seen.insert(key.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn two_requests_a_whole_window_apart_are_not_in_one_window() {
        let hour = Duration::from_secs(3600);
        assert_eq!(most_within(vec![at(3600), at(0)], hour), 1);
        assert_eq!(most_within(vec![at(3599), at(0)], hour), 2);
        assert_eq!(most_within(vec![at(0), at(1800), at(3599), at(3600), at(7000)], hour), 3);
    }
}
