//! One connection, as found when its poll is due, and what a failed read asks of us.

use std::time::{Duration, Instant};

use event::{Origin, RawEvent, SourceName, UserId};
use jiff::Timestamp;
use source::{Source, SourceError};
use store::{
    Commit, Owned, StoreError,
    fetch::Seen,
    user::{Connected, Polled, SourceConnection, User, document, field},
};
use telemetry::{counter, histogram};
use tracing::{info, warn};
use worker::Backoff;

use super::{append::NEXT_PAGE, instant, jittered};

/// After a source did not answer one connection.
const TRANSIENT: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(900));
/// After an answer that will not change by itself.
const PERMANENT: Duration = Duration::from_secs(3600);

/// One connection.
pub(super) struct Turn<'a> {
    pub(super) owned: &'a Owned,
    /// When we took it in hand.
    pub(super) begun: Instant,
    /// Redis' clock, in milliseconds since 1970.
    pub(super) now_ms: u64,
    pub(super) user: &'a UserId,
    pub(super) documents: &'a User,
    pub(super) connection: &'a SourceConnection,
    pub(super) source: &'a dyn Source,
    pub(super) name: &'a SourceName,
    pub(super) polled: Polled,
    pub(super) cursor: &'a str,
}

impl Turn<'_> {
    /// Redis' clock.
    pub(super) fn now(&self) -> Timestamp {
        instant(self.now_ms)
    }

    /// What the credentials are sealed for.
    pub(super) fn sealed_for(&self) -> String {
        format!("{}/{}", self.user, self.name)
    }

    /// What webhooks ask for, as stored; empty for nothing.
    pub(super) fn hint(&self) -> &str {
        self.documents.hints.get(self.name).map_or("", String::as_str)
    }

    /// The recount that is asked for, as stored; empty for none.
    pub(super) fn asked(&self) -> String {
        self.documents.recounts_asked.get(self.name).map(document).unwrap_or_default()
    }

    /// What this turn leaves to a later one.
    pub(super) fn seen<'a>(&self, hint: &'a str, recount: &'a str) -> Seen<'a> {
        Seen { at_ms: self.now_ms, hint, recount }
    }

    pub(super) fn event(&self, row: source::Row, origin: Origin) -> RawEvent {
        RawEvent {
            user: self.user.clone(),
            source: self.name.clone(),
            content: row.content(),
            external_id: row.external_id,
            version: row.version,
            kind: row.kind,
            origin,
            seen_before: false,
            read_at_ms: self.now().as_millisecond(),
            payload: row.payload,
            problem: row.problem,
            replay_of: None,
        }
    }

    /// What a failed read asks of us. The cursor stays where it is.
    pub(super) async fn failed(&mut self, failed: SourceError) -> Result<(), StoreError> {
        self.ended("parked");
        let problem = telemetry::chain(&failed);
        self.polled.problem.clone_from(&problem);
        let wait = match failed {
            SourceError::Unauthorised { .. } => return self.turn_off(&problem).await,
            SourceError::Limited { retry_after, .. } => {
                retried("limited");
                retry_after + jittered(Duration::from_secs(2))
            }
            SourceError::Transient { .. } | SourceError::Nonsense { .. } => {
                retried("transient");
                self.polled.failures += 1;
                TRANSIENT.after(self.polled.failures)
            }
            SourceError::Refused { .. } => {
                retried("permanent");
                self.polled.failures += 1;
                PERMANENT
            }
            SourceError::CursorRefused { .. } => {
                info!("{} refuses a cursor; its window is read again", self.name);
                return self.start_over().await;
            }
        };
        warn!(error = problem, "a poll of {} brought nothing; it comes again in {} s", self.name, wait.as_secs());
        self.put_off(wait).await
    }

    /// A poll is to this stage what an entry is to the others.
    pub(super) fn ended(&self, outcome: &'static str) {
        counter!(ENTRIES_SETTLED, stage = "fetch", outcome = outcome).increment(1);
        histogram!(HANDLE_SECONDS, stage = "fetch", outcome = outcome).record(self.begun.elapsed().as_secs_f64());
    }

    /// Comes again later, and says how polling goes.
    pub(super) async fn put_off(&self, wait: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.again(&mut commit, wait);
        self.owned.commit(commit).await.map(drop)
    }

    /// Forgets how far the connection was read: the whole window is read again.
    async fn start_over(&self) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.owned.move_cursor(&mut commit, self.user, self.name, self.cursor, "");
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.again(&mut commit, NEXT_PAGE);
        self.owned.commit(commit).await.map(drop)
    }

    /// The connection is off until the user connects again.
    pub(super) async fn turn_off(&mut self, reason: &str) -> Result<(), StoreError> {
        warn!("a connection to {} is off: {reason}", self.name);
        self.polled.problem = reason.to_owned();
        let off = SourceConnection {
            connected: Connected::Off { reason: reason.to_owned(), since_ms: self.now_ms },
            ..self.connection.clone()
        };
        let mut commit = Commit::new();
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        let field = field::source(self.name);
        commit.swap(&hash, &field, document(self.connection).as_bytes(), document(&off).as_bytes());
        commit.bump(&self.owned.keys.revision(self.owned.partition()));
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.owned.poll_no_more(&mut commit, &format!("{}/{}", self.user, self.name), self.now_ms);
        self.owned.commit(commit).await.map(drop)
    }

    pub(super) async fn come_again(&self, wait: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.again(&mut commit, wait);
        self.owned.commit(commit).await.map(drop)
    }

    /// Comes again later and leaves what it was asked for to that poll.
    pub(super) fn again(&self, commit: &mut Commit, wait: Duration) {
        let asked = self.asked();
        self.owned.poll_again(commit, self.user, self.name, &self.seen(self.hint(), &asked), wait);
    }
}

fn retried(class: &'static str) {
    counter!(RETRIES, stage = "fetch", class = class).increment(1);
}
