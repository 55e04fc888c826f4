//! One user's turn: permission to ask Exist, and what a failure asks of us.

use std::time::{Duration, Instant};

use event::{AttributeName, UserId};
use exist::ExistError;
use ledger::{Mode, Spent};
use settings::{ExposeSecret, SecretString};
use store::{
    Commit, Owned, Sending, StoreError,
    user::{ExistConnection, User},
};
use telemetry::{counter, histogram};
use tracing::{error, warn};
use worker::{Backoff, Ticket};

use super::Sender;
use crate::next::millis;

/// While a token cannot be opened: an operator's mistake, which must not ask users to connect again.
pub(super) const UNOPENED: Duration = Duration::from_secs(60);
/// The lease must outlast a call by this.
pub(super) const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// After an answer that did not come, or an error of Exist's own.
const TRANSIENT: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(900));
/// When something of ours is short for the moment.
pub(super) const SHORTLY: Duration = Duration::from_millis(300);

/// One user, as found at the beginning of the turn.
pub(super) struct Turn<'a> {
    pub(super) sender: &'a Sender,
    pub(super) owned: &'a Owned,
    pub(super) user: &'a UserId,
    pub(super) documents: &'a User,
    pub(super) sending: &'a Sending,
    /// What let it begin: it pays for the first request.
    pub(super) ticket: Option<&'a Ticket>,
    /// Redis' clock, in milliseconds since 1970.
    pub(super) now_ms: u64,
}

impl Turn<'_> {
    /// The connection to Exist.
    pub(super) fn exist(&self) -> &ExistConnection {
        self.documents.exist.as_ref().expect("a turn with a request to make has a connection")
    }

    /// Whether one request may start now, and what is spent of the budget with it; `Err` says after how
    /// long to ask again. Nothing is taken yet: the caller stores it before it asks.
    pub(super) fn permission(&self) -> Result<Spent, Duration> {
        self.permission_after(self.sending.spent)
    }

    /// Whether so many requests that belong together may leave now: begun alone, the first would spend what the
    /// second needs, again and again.
    pub(super) fn room_for(&self, requests: u32) -> Result<(), Duration> {
        self.sender
            .budget
            .has_room(self.now_ms, self.sending.spent, requests)
            .map_err(|wait| Duration::from_millis(wait.until_ms.saturating_sub(self.now_ms)))
    }

    /// Likewise, after other requests of this turn.
    pub(super) fn permission_after(&self, spent: Option<Spent>) -> Result<Spent, Duration> {
        if self.owned.lease.time_left() < self.sender.settings.exist_call_timeout + LEASE_MARGIN {
            return Err(SHORTLY);
        }
        self.sender.breaker.allow()?;
        if self.sender.polite.check(self.ticket).is_err() {
            return Err(SHORTLY);
        }
        self.sender
            .budget
            .take(self.now_ms, spent)
            .map_err(|wait| Duration::from_millis(wait.until_ms.saturating_sub(self.now_ms)))
    }

    /// Asked again by the last moment before the bytes leave: a process that was stopped in between must
    /// not send what somebody else may have overtaken.
    pub(super) fn fence(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let (lease, enough) = (self.owned.lease.clone(), self.sender.settings.exist_call_timeout);
        move || lease.time_left() >= enough
    }

    /// A sealed token, opened; `None` if our keys do not open it.
    pub(super) fn open_token(&self, sealed: &str) -> Option<SecretString> {
        let sealer = self.sender.sealer.as_ref()?;
        match sealer.open(sealed, &format!("{}/exist", self.user)) {
            Ok(token) if !token.expose_secret().is_empty() => Some(token),
            Ok(_) => None,
            Err(failed) => {
                error!(error = telemetry::chain(&failed), "a token cannot be opened");
                None
            }
        }
    }

    /// Takes the budget and says how the call went, for the metrics and the breaker.
    pub(super) async fn ask<T>(
        &self,
        operation: &'static str,
        spent: Spent,
        call: impl Future<Output = Result<T, ExistError>>,
    ) -> Result<Result<T, ExistError>, StoreError> {
        let mut commit = Commit::new();
        self.owned.spend(&mut commit, self.user, spent);
        self.owned.commit(commit).await?;
        Ok(self.timed(operation, call).await)
    }

    /// Times a call whose budget is already taken.
    pub(super) async fn timed<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, ExistError>>,
    ) -> Result<T, ExistError> {
        let begun = Instant::now();
        let answer = call.await;
        let outcome = outcome(answer.as_ref().err());
        histogram!(PEER_REQUEST_SECONDS, peer = "exist", source = "none", operation = operation, outcome = outcome)
            .record(begun.elapsed().as_secs_f64());
        counter!(PEER_REQUESTS, peer = "exist", source = "none", operation = operation, outcome = outcome).increment(1);
        match answer.as_ref().err() {
            None => self.sender.breaker.answered(),
            Some(ExistError::NotSent { .. } | ExistError::Unknown { .. }) => self.sender.breaker.failed(),
            Some(ExistError::Fenced { .. }) => {}
            Some(_) => self.sender.breaker.answered(),
        }
        answer
    }

    /// What a failed call asks of us; everything that was to be sent stays to be sent.
    pub(super) async fn failed(&self, mut commit: Commit, failed: &ExistError) -> Result<(), StoreError> {
        let failures = self.sending.failures + 1;
        match failed {
            ExistError::Unauthorised { .. } => {
                self.owned.commit(commit).await?;
                // A refresh may fail in turn, which ends here again: the chain is as long as its causes.
                return Box::pin(self.unauthorised()).await;
            }
            ExistError::Forbidden { message, .. } => {
                self.owned.commit(commit).await?;
                return self.turn_off(&format!("Exist does not permit it: {message}")).await;
            }
            ExistError::RateLimited { retry_after, .. } => {
                // Without a hint, the oldest request of the window is gone a whole window from now.
                let wait = retry_after.unwrap_or(self.sender.settings.exist_budget.window);
                let until_ms = self.owned.now_ms().await? + millis(wait);
                self.owned.not_before(&mut commit, self.user, until_ms);
                self.due_in(&mut commit, wait);
                warn!("Exist limits a user; nothing is sent for {} s", wait.as_secs());
                counter!(RETRIES, stage = "write", class = "limited").increment(1);
            }
            ExistError::Fenced { .. } => self.due_in(&mut commit, SHORTLY),
            ExistError::Unknown { .. } => {
                let wait = self.sender.settings.exist_settle.max(TRANSIENT.after(failures));
                self.retry_in(&mut commit, failures, wait).await?;
                warn!(error = telemetry::chain(failed), "nobody knows whether Exist did it; it settles first");
                counter!(RETRIES, stage = "write", class = "unknown").increment(1);
            }
            other => {
                self.retry_in(&mut commit, failures, TRANSIENT.after(failures)).await?;
                warn!(error = telemetry::chain(other), "Exist was not told; the next attempt comes by itself");
                counter!(RETRIES, stage = "write", class = "transient").increment(1);
            }
        }
        self.owned.commit(commit).await.map(drop)
    }

    /// Whatever becomes due meanwhile, nothing is asked before so long.
    async fn retry_in(&self, commit: &mut Commit, failures: u32, wait: Duration) -> Result<(), StoreError> {
        let at_ms = self.owned.now_ms().await? + millis(wait);
        self.owned.retry_at(commit, self.user, failures, at_ms);
        self.due_in(commit, wait);
        Ok(())
    }

    /// How an attribute is written.
    pub(super) fn mode(&self, attribute: &AttributeName) -> Mode {
        self.documents.attributes.get(attribute).map_or(Mode::Total, |attribute| attribute.mode)
    }

    /// The user is due again after so long.
    pub(super) fn due_in(&self, commit: &mut Commit, delay: Duration) {
        commit.due_in(&self.owned.keys.due(self.owned.partition()), self.user.as_str(), delay);
    }

    /// Nothing else to do until then.
    pub(super) async fn come_again(&self, delay: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.due_in(&mut commit, delay);
        self.owned.commit(commit).await.map(drop)
    }

    /// Due again after so long if anything is left to send, else when something is to be read back, if anything is.
    pub(super) async fn rest(&self, delay: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.owned.rest(&mut commit, self.user, delay);
        self.owned.commit(commit).await.map(drop)
    }
}

/// A call's outcome, as the metrics name it.
pub(super) fn outcome(failed: Option<&ExistError>) -> &'static str {
    match failed {
        None => "ok",
        Some(ExistError::RateLimited { .. }) => "limited",
        Some(ExistError::Unauthorised { .. } | ExistError::Forbidden { .. } | ExistError::InvalidGrant { .. }) => {
            "auth"
        }
        Some(ExistError::NotSent { .. }) => "timeout",
        Some(ExistError::Unknown { cause: exist::Cause::TimedOut | exist::Cause::Broken { .. }, .. }) => "timeout",
        Some(ExistError::Unknown { .. }) => "server",
        Some(_) => "refused",
    }
}
