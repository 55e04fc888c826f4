//! One poll of one connection: read a page, append it together with the cursor, say when to come again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use event::{Day, Origin, RawEvent, SourceName, UserId};
use jiff::{Timestamp, tz::TimeZone};
use rand::RngExt;
use settings::{ExposeSecret, Settings};
use source::{Account, Cursor, Hint, Page, Read, Source, SourceError, Sources};
use store::{
    Commit, Owned, StoreError,
    user::{Connected, Polled, SourceConnection, User, document, field, users},
};
use telemetry::{counter, histogram};
use tracing::{error, info, warn};
use worker::{Backoff, Breaker, due::DueHandler};

use crate::pressure::Pressure;

/// Most raw entries appended in one step.
const APPEND_MAX: usize = 500;
/// After a source did not answer one connection.
const TRANSIENT: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(900));
/// After an answer that will not change by itself.
const PERMANENT: Duration = Duration::from_secs(3600);
/// While Exist has not told the user's zone.
const ZONE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// While credentials cannot be opened: an operator's mistake, which must not ask users to connect again.
const UNOPENED: Duration = Duration::from_secs(60);
/// While fetching pauses.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two pages of a back-fill.
const NEXT_PAGE: Duration = Duration::from_millis(50);

/// Polls connections.
pub(crate) struct Poller {
    settings: Arc<Settings>,
    sources: Arc<Sources>,
    breakers: BTreeMap<SourceName, Breaker>,
    pressure: Pressure,
}

/// One connection, as found when its poll is due.
struct Turn<'a> {
    owned: &'a Owned,
    user: &'a UserId,
    documents: &'a User,
    connection: &'a SourceConnection,
    source: &'a dyn Source,
    name: &'a SourceName,
    polled: Polled,
    cursor: &'a str,
}

impl Poller {
    pub(crate) fn new(settings: Arc<Settings>, sources: Arc<Sources>) -> Self {
        let breakers = sources.keys().map(|name| (name.clone(), Breaker::new(name.as_str()))).collect();
        Self { settings, sources, breakers, pressure: Pressure::default() }
    }

    async fn poll(&self, mut turn: Turn<'_>) -> Result<(), StoreError> {
        if let Some(why) = self.pressure.reason(turn.owned).await? {
            warn!("fetching pauses: {why}");
            return turn.come_again(PAUSE).await;
        }
        let breaker = &self.breakers[turn.name];
        if let Err(wait) = breaker.allow() {
            return turn.come_again(wait).await;
        }
        // The window begins with a whole day of the user's: half a day would be a wrong number.
        let Some(zone) = turn.documents.zone_name().and_then(|name| TimeZone::get(name).ok()) else {
            return turn.come_again(ZONE_AGAIN_AFTER).await;
        };
        let Some(account) = self.account(&turn) else {
            turn.polled.problem = "its credentials cannot be opened with our encryption keys".to_owned();
            return turn.put_off(UNOPENED).await;
        };
        let read_at_ms = i64::try_from(turn.owned.now_ms().await?).unwrap_or(0);
        let read_at = Timestamp::from_millisecond(read_at_ms).unwrap_or_default();
        let first_day = Day::at(read_at, &zone).plus(-i32::try_from(self.settings.backfill_days).unwrap_or(0));
        let read = Read { now: read_at, back_fill_from: first_day.start(&zone), zone, hint: Hint::None };
        let begun = Instant::now();
        let answer = turn.source.read(&account, &Cursor::from_stored(turn.cursor.to_owned()), &read).await;
        let outcome = outcome(answer.as_ref().err());
        let (peer, source) = (turn.name.to_string(), turn.name.to_string());
        histogram!(
            PEER_REQUEST_SECONDS,
            peer = peer.clone(),
            source = source.clone(),
            operation = "read",
            outcome = outcome
        )
        .record(begun.elapsed().as_secs_f64());
        counter!(PEER_REQUESTS, peer = peer, source = source, operation = "read", outcome = outcome).increment(1);
        match answer {
            Ok(page) => {
                breaker.answered();
                self.append(&mut turn, page, read_at).await
            }
            Err(failed) => {
                match &failed {
                    SourceError::Transient { .. } | SourceError::Nonsense { .. } => breaker.failed(),
                    _ => breaker.answered(),
                }
                turn.failed(failed).await
            }
        }
    }

    fn account(&self, turn: &Turn<'_>) -> Option<Account> {
        let sealer = self.settings.encryption_key.as_ref()?;
        let context = format!("{}/{}", turn.user, turn.name);
        let opened = sealer.open(&turn.connection.credentials, &context);
        let credentials = opened
            .inspect_err(|failed| error!(error = telemetry::chain(failed), "credentials cannot be opened"))
            .ok()?;
        let credentials = serde_json::from_str(credentials.expose_secret()).ok()?;
        Some(Account { user: turn.user.clone(), credentials })
    }

    /// Appends a page and moves the cursor in one step; of a long page, with its last rows. A crash in
    /// between brings the page again, and what was appended already turns out as duplicates.
    async fn append(&self, turn: &mut Turn<'_>, page: Page, read_at: Timestamp) -> Result<(), StoreError> {
        let Page { rows, cursor, more, back_fill, not_before } = page;
        let origin = if back_fill { Origin::BackFill } else { Origin::Poll };
        let read_at_ms = u64::try_from(read_at.as_millisecond()).unwrap_or(0);
        let first_ok_at_ms = if turn.polled.first_ok_at_ms == 0 { read_at_ms } else { turn.polled.first_ok_at_ms };
        // A record seen before is one that we may have forgotten, but not before we could forget anything.
        let retention_ms = u64::try_from(self.settings.retention.as_millis()).unwrap_or(u64::MAX);
        let may_forget = read_at_ms.saturating_sub(first_ok_at_ms) >= retention_ms;
        let event = |row: source::Row| {
            let seen_before = row.seen_before && may_forget;
            RawEvent { seen_before, ..turn.event(row, origin, read_at) }
        };
        let events: Vec<RawEvent> = rows.into_iter().map(event).collect();
        let mut chunks: Vec<&[RawEvent]> = events.chunks(APPEND_MAX).collect();
        let last = chunks.pop().unwrap_or(&[]);
        for chunk in chunks {
            let mut commit = Commit::new();
            turn.owned.append_raw(&mut commit, chunk);
            turn.owned.commit(commit).await?;
        }
        turn.polled = Polled {
            first_ok_at_ms,
            ok_at_ms: read_at_ms,
            failures: 0,
            problem: String::new(),
            rows: turn.polled.rows + u64::try_from(events.len()).unwrap_or(0),
            back_filling: back_fill && more,
        };
        let interval = if more { NEXT_PAGE } else { jittered(self.settings.poll_interval(turn.name.as_str())) };
        let mut commit = Commit::new();
        turn.owned.append_raw(&mut commit, last);
        turn.owned.move_cursor(&mut commit, turn.user, turn.name, turn.cursor, cursor.as_str());
        turn.owned.note_polled(&mut commit, turn.user, turn.name, &turn.polled);
        turn.owned.poll_again(&mut commit, turn.user, turn.name, interval.max(not_before.unwrap_or_default()));
        turn.owned.commit(commit).await?;
        counter!(ENTRIES_APPENDED, stage = "fetch", source = turn.name.to_string())
            .increment(u64::try_from(events.len()).unwrap_or(0));
        Ok(())
    }
}

#[async_trait::async_trait]
impl DueHandler for Poller {
    fn zset(&self, owned: &Owned) -> String {
        owned.keys.schedule(owned.partition())
    }

    async fn handle(&self, owned: &Owned, key: &str) -> Result<(), StoreError> {
        let connection = key
            .rsplit_once('/')
            .and_then(|(user, source)| Some((UserId::try_new(user).ok()?, SourceName::try_new(source).ok()?)));
        if let Some((user, name)) = connection {
            let documents = users(&owned.redis, &owned.keys, owned.partition(), std::slice::from_ref(&user)).await?;
            let documents = documents.into_iter().next().unwrap_or_default();
            let found = documents.sources.get(&name).filter(|connection| connection.connected.is_on());
            if let (Some(connection), Some(source)) = (found, self.sources.get(&name)) {
                let polled = documents.polled.get(&name).cloned().unwrap_or_default();
                let cursor = documents.cursors.get(&name).map_or("", String::as_str);
                let turn = Turn {
                    owned,
                    user: &user,
                    documents: &documents,
                    connection,
                    source: source.as_ref(),
                    name: &name,
                    polled,
                    cursor,
                };
                return self.poll(turn).await;
            }
        }
        // Gone, off, or of a source that this release does not know: an import makes it due again.
        let mut commit = Commit::new();
        owned.poll_no_more(&mut commit, key);
        owned.commit(commit).await.map(drop)
    }
}

impl Turn<'_> {
    fn event(&self, row: source::Row, origin: Origin, read_at: Timestamp) -> RawEvent {
        RawEvent {
            user: self.user.clone(),
            source: self.name.clone(),
            content: row.content(),
            external_id: row.external_id,
            version: row.version,
            kind: row.kind,
            origin,
            seen_before: false,
            read_at_ms: read_at.as_millisecond(),
            payload: row.payload,
            problem: row.problem,
            replay_of: None,
        }
    }

    /// What a failed read asks of us. The cursor stays where it is.
    async fn failed(&mut self, failed: SourceError) -> Result<(), StoreError> {
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

    /// Comes again later, and says how polling goes.
    async fn put_off(&self, wait: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.owned.poll_again(&mut commit, self.user, self.name, wait);
        self.owned.commit(commit).await.map(drop)
    }

    /// Forgets how far the connection was read: the whole window is read again.
    async fn start_over(&self) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.owned.move_cursor(&mut commit, self.user, self.name, self.cursor, "");
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.owned.poll_again(&mut commit, self.user, self.name, NEXT_PAGE);
        self.owned.commit(commit).await.map(drop)
    }

    /// The connection is off until the user connects again.
    async fn turn_off(&self, reason: &str) -> Result<(), StoreError> {
        warn!("a connection to {} is off: {reason}", self.name);
        let since_ms = self.owned.now_ms().await?;
        let off = SourceConnection {
            connected: Connected::Off { reason: reason.to_owned(), since_ms },
            ..self.connection.clone()
        };
        let mut commit = Commit::new();
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        let field = field::source(self.name);
        commit.swap(&hash, &field, document(self.connection).as_bytes(), document(&off).as_bytes());
        commit.bump(&self.owned.keys.revision(self.owned.partition()));
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.owned.poll_no_more(&mut commit, &format!("{}/{}", self.user, self.name));
        self.owned.commit(commit).await.map(drop)
    }

    async fn come_again(&self, wait: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.owned.poll_again(&mut commit, self.user, self.name, wait);
        self.owned.commit(commit).await.map(drop)
    }
}

/// A tenth more or less, so that those who were connected together do not come together for ever.
fn jittered(interval: Duration) -> Duration {
    let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX / 4).max(10);
    Duration::from_millis(rand::rng().random_range(ms - ms / 10..=ms + ms / 10))
}

fn retried(class: &'static str) {
    counter!(RETRIES, stage = "fetch", class = class).increment(1);
}

/// A read's outcome, as the metrics name it.
fn outcome(failed: Option<&SourceError>) -> &'static str {
    match failed {
        None => "ok",
        Some(SourceError::Limited { .. }) => "limited",
        Some(SourceError::Unauthorised { .. }) => "auth",
        Some(SourceError::Refused { .. } | SourceError::CursorRefused { .. }) => "refused",
        Some(SourceError::Nonsense { .. }) => "server",
        Some(SourceError::Transient { cause: None, .. }) => "server",
        Some(SourceError::Transient { .. }) => "timeout",
    }
}
