//! One poll of one connection: read a page, append it together with the cursor, say when to come again.

mod access; // tokens that have to be renewed
mod append; // rows into the raw stream
mod recount; // a source counted anew
mod turn; // one connection, as found when its poll is due

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use event::{Day, SourceName, UserId};
use jiff::{Timestamp, tz::TimeZone};
use rand::RngExt;
use settings::Settings;
use source::{Account, Cursor, Hint, Page, Read, SourceError, Sources};
use store::{
    Commit, Owned, StoreError,
    user::{User, users},
};
use telemetry::{
    counter, histogram,
    metric::PEER_REQUESTS,
    trace::{self, Instrument},
};
use tracing::warn;
use worker::{Breaker, Ticket, due::DueHandler};

use crate::pressure::Pressure;
use recount::Recount;
use turn::Turn;

/// While Exist has not told the user's zone.
const ZONE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// While credentials cannot be opened: an operator's mistake, which must not ask users to connect again.
const UNOPENED: Duration = Duration::from_secs(60);
/// What sources are asked for, as the metrics name it.
const OPERATIONS: [&str; 2] = ["read", "refresh"];
/// While fetching pauses.
const PAUSE: Duration = Duration::from_secs(2);
/// Days read before the first one that counts, so that what began on them and ended later is whole.
const LEAD_DAYS: i32 = 2;

/// Polls connections.
pub(crate) struct Poller {
    settings: Arc<Settings>,
    sources: Arc<Sources>,
    breakers: BTreeMap<SourceName, Breaker>,
    pressure: Pressure,
}

impl Poller {
    pub(crate) fn new(settings: Arc<Settings>, sources: Arc<Sources>) -> Self {
        touch_requests(&sources);
        let breakers = sources.keys().map(|name| (name.clone(), Breaker::new(name.as_str()))).collect();
        Self { settings, sources, breakers, pressure: Pressure::default() }
    }

    async fn poll(&self, mut turn: Turn<'_>) -> Result<(), StoreError> {
        if let Some(why) = self.pressure.reason(turn.owned).await? {
            warn!("fetching pauses: {why}");
            return turn.come_again(PAUSE).await;
        }
        if let Err(wait) = self.breakers[turn.name].allow() {
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
        let now = turn.now();
        let first_day = Day::at(now, &zone).plus(-i32::try_from(self.settings.backfill_days).unwrap_or(0));
        let first_day = match turn.recount(first_day, Day::at(now, &zone)) {
            Recount::None => first_day,
            Recount::Begin { asked, from } => return turn.begin_recount(&asked, from).await,
            Recount::MakingRoom => return turn.come_again(recount::ROOM_AGAIN).await,
            Recount::Start => return turn.start_recount().await,
            Recount::Reading { from } => from,
        };
        if let Some(oauth) = self.expiring(&turn, &account) {
            return self.refresh(&mut turn, oauth, &account, false).await;
        }
        let read = Read { now, back_fill_from: first_day.plus(-LEAD_DAYS).start(&zone), zone, hint: hint(turn.hint()) };
        match self.ask(&turn, &account, &read).await {
            Ok(page) => turn.append(page, &self.settings).await,
            Err(SourceError::Unauthorised { .. }) if self.may_refresh(&turn, &account).is_some() => {
                let oauth = self.may_refresh(&turn, &account).expect("the guard found it");
                self.refresh(&mut turn, oauth, &account, true).await
            }
            Err(failed) => turn.failed(failed).await,
        }
    }

    /// Reads one page, and tells metrics and breaker.
    async fn ask(&self, turn: &Turn<'_>, account: &Account, read: &Read) -> Result<Page, SourceError> {
        let begun = Instant::now();
        let answer = turn.source.read(account, &Cursor::from_stored(turn.cursor.to_owned()), read).await;
        self.told(turn.name, "read", begun, answer.as_ref().err());
        answer
    }

    fn told(&self, name: &SourceName, operation: &'static str, begun: Instant, failed: Option<&SourceError>) {
        let (peer, source, outcome) = (name.to_string(), name.to_string(), outcome(failed));
        if failed.is_some() {
            trace::failed_here(outcome);
        }
        histogram!(
            PEER_REQUEST_SECONDS,
            peer = peer.clone(),
            source = source.clone(),
            operation = operation,
            outcome = outcome
        )
        .record(begun.elapsed().as_secs_f64());
        counter!(PEER_REQUESTS, peer = peer, source = source, operation = operation, outcome = outcome).increment(1);
        match failed {
            Some(SourceError::Transient { .. } | SourceError::Nonsense { .. }) => self.breakers[name].failed(),
            _ => self.breakers[name].answered(),
        }
    }
}

/// Requests to each source are counted from zero.
fn touch_requests(sources: &Sources) {
    for name in sources.keys() {
        // As many as there are sources, once a process.
        let name: &'static str = name.to_string().leak();
        let open: [(&str, &[&'static str]); 2] = [("peer", &[name]), ("operation", &OPERATIONS)];
        telemetry::touch_open(&PEER_REQUESTS, "fetch", &[name], &open);
    }
}

#[async_trait::async_trait]
impl DueHandler for Poller {
    fn zset(&self, owned: &Owned) -> String {
        owned.keys.schedule(owned.partition())
    }

    async fn handle(&self, owned: &Owned, key: &str, _ticket: Option<&Ticket>) -> Result<(), StoreError> {
        let begun = Instant::now();
        // The clock first: whatever is asked of the connection after it makes it due again.
        let now_ms = owned.now_ms().await?;
        let connection = key
            .rsplit_once('/')
            .and_then(|(user, source)| Some((UserId::try_new(user).ok()?, SourceName::try_new(source).ok()?)));
        if let Some((user, name)) = connection {
            let documents = users(&owned.redis, &owned.keys, owned.partition(), std::slice::from_ref(&user)).await?;
            let documents = documents.into_iter().next().unwrap_or_default();
            let found = documents.sources.get(&name).filter(|connection| connection.connected.is_on());
            if let (Some(connection), Some(source)) = (found, self.sources.get(&name)) {
                if is_paused(&documents, &name) {
                    let mut commit = Commit::new();
                    owned.skip_poll(&mut commit, &user, &name, &documents.pauses);
                    return owned.commit(commit).await.map(drop);
                }
                let polled = documents.polled.get(&name).cloned().unwrap_or_default();
                let cursor = documents.cursors.get(&name).map_or("", String::as_str);
                let (user, documents, source, name) = (&user, &documents, source.as_ref(), &name);
                let turn = Turn { owned, begun, now_ms, user, documents, connection, source, name, polled, cursor };
                let span = trace::poll(name.as_str(), owned.partition().index());
                return self.poll(turn).instrument(span).await;
            }
        }
        // Gone, off, or of a source that this release does not know: an import makes it due again.
        let mut commit = Commit::new();
        owned.poll_no_more(&mut commit, key, now_ms);
        owned.commit(commit).await.map(drop)
    }
}

/// Whether an operator said that the connection is not to be polled now.
fn is_paused(documents: &User, source: &SourceName) -> bool {
    documents.pauses.everything().or_else(|| documents.pauses.source(source)).is_some()
}

/// A stored hint, as a source understands it.
fn hint(stored: &str) -> Hint {
    match stored.split_once('/') {
        Some(("window", _)) => Hint::Window,
        Some(_) => Hint::Recent,
        None => Hint::None,
    }
}

/// A tenth more or less, so that those who were connected together do not come together for ever.
fn jittered(interval: Duration) -> Duration {
    let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX / 4).max(10);
    Duration::from_millis(rand::rng().random_range(ms - ms / 10..=ms + ms / 10))
}

/// A moment of Redis' clock.
fn instant(ms: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(0)).unwrap_or_default()
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
