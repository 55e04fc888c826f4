//! What a source simulator can be told to do wrong, to whom and how often, while it runs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{random::Random, server::Cutter};

/// One thing going wrong in the answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with an empty body.
    Status(u16),
    /// This status with a web page for a body, as proxies send it.
    Html(u16),
    /// The connection is reset without an answer.
    Reset,
    /// The right answer, after this time.
    Slow(Duration),
    /// The right answer, in which one field of its first row is wrong.
    Malformed(Malformed),
    /// 401 in the source's own shape, although the credentials are right.
    Unauthorised,
    /// 429 in the source's own shape; with `Retry-After` in seconds, or without.
    TooManyRequests {
        /// The header's value, none to leave it out.
        retry_after_s: Option<u64>,
    },
    /// Toggl Track's 402 with its quota headers; a source without such a quota answers 429.
    QuotaSpent {
        /// Seconds until the quota is full again.
        resets_in_s: u64,
    },
}

/// A field of a row, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The field's name on the wire.
    pub field: String,
    /// What is wrong with it.
    pub how: Spoiled,
}

/// How a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiled {
    /// The key is not there.
    Missing,
    /// The value is null.
    Null,
    /// The value is an object, which no field of these sources is.
    WrongType,
}

impl Malformed {
    /// Spoils the field in one row.
    pub(crate) fn spoil(&self, row: &mut Value) {
        let Some(fields) = row.as_object_mut() else { return };
        match self.how {
            Spoiled::Missing => drop(fields.remove(&self.field)),
            Spoiled::Null => drop(fields.insert(self.field.clone(), Value::Null)),
            Spoiled::WrongType => drop(fields.insert(self.field.clone(), json!({"unexpected": true}))),
        }
    }
}

/// The faults a simulator has been told to make. Clones share them.
///
/// The rule that was added last is asked first. An account is the simulator's name for it; rules
/// without an account also meet requests whose credentials are unknown.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Rule>>>);

#[derive(Debug)]
struct Rule {
    account: Option<String>,
    fault: Fault,
    when: When,
}

#[derive(Debug)]
enum When {
    Next(u32),
    Always,
    OneIn(u64, Random),
}

impl Faults {
    /// The next `requests` requests of this account, or of anyone, meet the fault.
    pub fn next(&self, account: Option<&str>, fault: Fault, requests: u32) {
        self.add(account, fault, When::Next(requests));
    }

    /// Every request of this account, or of anyone, meets the fault until [`Faults::clear`].
    pub fn always(&self, account: Option<&str>, fault: Fault) {
        self.add(account, fault, When::Always);
    }

    /// One request in `n`, picked by a generator with this seed, meets the fault until [`Faults::clear`].
    pub fn one_in(&self, n: u64, seed: u64, account: Option<&str>, fault: Fault) {
        assert!(n > 0, "one request in none is no share");
        self.add(account, fault, When::OneIn(n, Random::new(seed)));
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault, if any, that this request meets; asking uses up one of a rule's requests.
    pub(crate) fn take(&self, account: Option<&str>) -> Option<Fault> {
        let mut rules = self.lock();
        rules.retain(|rule| !matches!(rule.when, When::Next(0)));
        rules
            .iter_mut()
            .rev()
            .filter(|rule| rule.account.is_none() || rule.account.as_deref() == account)
            .find_map(|rule| rule.strikes().then(|| rule.fault.clone()))
    }

    fn add(&self, account: Option<&str>, fault: Fault, when: When) {
        self.lock().push(Rule { account: account.map(str::to_owned), fault, when });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn strikes(&mut self) -> bool {
        match &mut self.when {
            When::Always => true,
            When::OneIn(n, random) => random.one_in(*n),
            When::Next(0) => false,
            When::Next(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// The answer that a fault makes on its own, whichever source it is in; none where the handler
/// answers after all, at once or late, or where the shape is the source's.
pub(crate) async fn answer(fault: &Fault, cutter: &Cutter) -> Option<Response> {
    match fault {
        Fault::Status(status) => Some(code(*status).into_response()),
        Fault::Html(status) => {
            let page = "<html><head><title>Error</title></head><body><h1>Please try again later</h1></body></html>";
            Some((code(*status), [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
        }
        Fault::Reset => {
            cutter.cut();
            Some(StatusCode::OK.into_response())
        }
        Fault::Slow(time) => {
            tokio::time::sleep(*time).await;
            None
        }
        Fault::Malformed(_) | Fault::Unauthorised | Fault::TooManyRequests { .. } | Fault::QuotaSpent { .. } => None,
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a fault names a status between 100 and 999")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_strikes_that_often_and_only_its_account() {
        let faults = Faults::default();
        faults.next(Some("ada"), Fault::Reset, 2);
        assert_eq!(faults.take(Some("bob")), None);
        assert_eq!(faults.take(Some("ada")), Some(Fault::Reset));
        assert_eq!(faults.take(Some("ada")), Some(Fault::Reset));
        assert_eq!(faults.take(Some("ada")), None);
    }

    #[test]
    fn a_lasting_fault_lasts_until_cleared() {
        let faults = Faults::default();
        faults.always(None, Fault::Html(502));
        for _ in 0..5 {
            assert_eq!(faults.take(Some("ada")), Some(Fault::Html(502)));
        }
        faults.clear();
        assert_eq!(faults.take(None), None);
    }

    #[test]
    fn a_shared_out_fault_strikes_the_same_requests_for_the_same_seed() {
        let strikes = |seed| {
            let faults = Faults::default();
            faults.one_in(3, seed, None, Fault::Status(500));
            (0..60).map(|_| faults.take(None).is_some()).collect::<Vec<bool>>()
        };
        assert_eq!(strikes(5), strikes(5));
        assert!(strikes(5).contains(&true) && strikes(5).contains(&false));
    }

    #[test]
    fn a_spoiled_row_is_wrong_in_one_field_only() {
        let mut row = json!({"id": 1, "at": "x"});
        Malformed { field: "at".into(), how: Spoiled::Missing }.spoil(&mut row);
        assert_eq!(row, json!({"id": 1}));
    }
}
