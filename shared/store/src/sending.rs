//! How sending to a user's Exist goes: the request under way, the budget, and when to look again.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use event::{TransactionId, UserId};
use ledger::{How, Pair, Planned, Spent};
use serde::{Deserialize, Serialize};

use crate::{Commit, Owned, StoreError};

/// A request on its way: stored before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The request's id.
    pub request: TransactionId,
    /// What it says.
    pub values: Vec<Planned>,
    /// When it was stored, in milliseconds since 1970 by Redis' clock.
    pub at_ms: u64,
    /// What it does.
    #[serde(default)]
    pub how: How,
}

/// How sending to one user's Exist goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sending {
    /// The request under way, or of unknown outcome.
    pub intent: Option<Intent>,
    /// How much of the budget is spent.
    pub spent: Option<Spent>,
    /// Exist said: not before this moment of Redis' clock.
    pub not_before_ms: u64,
    /// How many requests in a row failed.
    pub failures: u32,
    /// After a failure: not before this moment of Redis' clock.
    pub retry_at_ms: u64,
    /// When the next value is to be read back, by Redis' clock; 0 if none is.
    pub check_at_ms: u64,
    /// Redis has lost data since we last wrote: read before writing.
    pub unsure_since_ms: u64,
}

impl Owned {
    /// How sending to a user goes.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: an intent of an incompatible release.
    pub async fn sending(&self, user: &UserId) -> Result<Sending, StoreError> {
        sending(&self.redis, &self.keys, self.partition(), user).await
    }

    /// Stores the intent and what it takes out of the budget.
    pub fn intend(&self, commit: &mut Commit, user: &UserId, intent: &Intent, spent: Spent) {
        let key = self.keys.sending(self.partition(), user);
        commit.set(&key, "intent", &event::encode(intent));
        commit.set(&key, "spent", spent.0.to_string().as_bytes());
    }

    /// Takes a request out of the budget that carries no values.
    pub fn spend(&self, commit: &mut Commit, user: &UserId, spent: Spent) {
        commit.set(&self.keys.sending(self.partition(), user), "spent", spent.0.to_string().as_bytes());
    }

    /// The user is due again after a delay if anything is left to send, else when something is to be read
    /// back, if anything is.
    pub fn rest(&self, commit: &mut Commit, user: &UserId, delay: Duration) {
        let (partition, keys) = (self.partition(), &self.keys);
        let (due, changed, sending) =
            (keys.due(partition), keys.changed(partition, user), keys.sending(partition, user));
        commit.rest(&due, &changed, user.as_str(), delay, &sending);
    }

    /// The intent is done with.
    pub fn forget_intent(&self, commit: &mut Commit, user: &UserId) {
        commit.unset(&self.keys.sending(self.partition(), user), "intent");
    }

    /// After a failure, nothing is sent before a moment of Redis' clock.
    pub fn retry_at(&self, commit: &mut Commit, user: &UserId, failures: u32, at_ms: u64) {
        let key = self.keys.sending(self.partition(), user);
        commit.set(&key, "failures", failures.to_string().as_bytes());
        commit.set(&key, "retry_at", at_ms.to_string().as_bytes());
    }

    /// Nothing may be sent to this user's Exist before a moment of Redis' clock.
    pub fn not_before(&self, commit: &mut Commit, user: &UserId, at_ms: u64) {
        commit.set(&self.keys.sending(self.partition(), user), "not_before", at_ms.to_string().as_bytes());
    }

    /// The last request did not fail.
    pub fn note_success(&self, commit: &mut Commit, user: &UserId) {
        let key = self.keys.sending(self.partition(), user);
        commit.unset(&key, "failures");
        commit.unset(&key, "retry_at");
    }

    /// A pair is to be read back at a moment of Redis' clock, and the user looked at by then.
    pub fn check_at(&self, commit: &mut Commit, user: &UserId, sending: &Sending, pair: &Pair, at_ms: u64) {
        commit.set(&self.keys.checks(self.partition(), user), &pair.to_string(), at_ms.to_string().as_bytes());
        if sending.check_at_ms == 0 {
            self.next_check(commit, user, Some(at_ms));
        }
    }

    /// A pair need not be read back any more.
    pub fn checked(&self, commit: &mut Commit, user: &UserId, pair: &Pair) {
        commit.unset(&self.keys.checks(self.partition(), user), &pair.to_string());
    }

    /// When the user's values are read back next.
    pub fn next_check(&self, commit: &mut Commit, user: &UserId, at_ms: Option<u64>) {
        let key = self.keys.sending(self.partition(), user);
        match at_ms {
            Some(at_ms) => commit.set(&key, "check_at", at_ms.to_string().as_bytes()),
            None => commit.unset(&key, "check_at"),
        }
    }

    /// The pairs that are to be read back, with when.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn checks(&self, user: &UserId) -> Result<BTreeMap<Pair, u64>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.checks(self.partition(), user));
        let fields: HashMap<String, u64> = self.redis.run("reading what is to be read back", &command).await?;
        Ok(fields.into_iter().filter_map(|(pair, at_ms)| Some((pair.parse().ok()?, at_ms))).collect())
    }

    /// Redis lost data: what the user's values are is not known any more, and is to be read.
    pub fn unsure(&self, commit: &mut Commit, user: &UserId, since_ms: u64) {
        commit.due_at_the_latest(&self.keys.due(self.partition()), user.as_str(), Duration::ZERO);
        commit.set(&self.keys.sending(self.partition(), user), "unsure_since", since_ms.to_string().as_bytes());
    }

    /// Everything was read back since Redis lost data.
    pub fn sure_again(&self, commit: &mut Commit, user: &UserId) {
        commit.unset(&self.keys.sending(self.partition(), user), "unsure_since");
    }
}

/// How sending to a user goes.
///
/// # Errors
/// As [`Owned::sending`].
pub async fn sending(
    redis: &crate::Redis,
    keys: &crate::Keys,
    partition: event::Partition,
    user: &UserId,
) -> Result<Sending, StoreError> {
    type Fields = (Option<Vec<u8>>, Option<u64>, Option<u64>, Option<u32>, Option<u64>, Option<u64>, Option<u64>);
    let key = keys.sending(partition, user);
    let mut command = redis::cmd("HMGET");
    command.arg(&key).arg(&["intent", "spent", "not_before", "failures", "retry_at", "check_at", "unsure_since"]);
    let fields: Fields = redis.run("reading what is under way", &command).await?;
    let (intent, spent, not_before, failures, retry_at, check_at, unsure_since) = fields;
    let intent = intent.map(|bytes| event::decode(&bytes)).transpose();
    Ok(Sending {
        intent: intent.map_err(|source| StoreError::Decode { key, source })?,
        spent: spent.map(Spent),
        not_before_ms: not_before.unwrap_or(0),
        failures: failures.unwrap_or(0),
        retry_at_ms: retry_at.unwrap_or(0),
        check_at_ms: check_at.unwrap_or(0),
        unsure_since_ms: unsure_since.unwrap_or(0),
    })
}
