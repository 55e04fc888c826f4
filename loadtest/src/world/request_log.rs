//! What a source simulator was asked, by whom, and how it answered.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::Fault;

/// Requests a log keeps; what comes after is answered but not logged.
pub const REQUESTS_MAX: usize = 1_000_000;

/// One request and its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it arrived, by the simulator's clock.
    pub at: Timestamp,
    /// Whose it was; none when the credentials are unknown.
    pub account: Option<String>,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query as sent, without its question mark; empty when there was none.
    pub query: String,
    /// The status answered; none when the connection was reset instead.
    pub status: Option<u16>,
    /// The fault it met.
    pub fault: Option<Fault>,
}

/// The requests a simulator has answered, oldest first. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Vec<Request>>>);

impl RequestLog {
    /// All of them.
    pub fn all(&self) -> Vec<Request> {
        self.lock().clone()
    }

    /// Those of one account.
    pub fn of(&self, account: &str) -> Vec<Request> {
        self.lock().iter().filter(|request| request.account.as_deref() == Some(account)).cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn push(&self, request: Request) {
        let mut requests = self.lock();
        if requests.len() < REQUESTS_MAX {
            requests.push(request);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
