//! Who somebody is, as far as counting goes: zone and mappings, compiled once and kept until changed.

use std::{collections::HashMap, sync::Arc};

use event::{SourceName, UserId};
use jiff::{Timestamp, tz::TimeZone};
use source::{Mapping, Sources, Zones};
use store::{
    Owned, StoreError,
    user::{User, users},
};
use tracing::warn;

/// Most users remembered of one partition; then all are read again.
const PEOPLE_MAX: usize = 20_000;

/// A user, compiled.
pub(crate) struct Person {
    /// Whether anybody of that name is connected.
    pub(crate) exists: bool,
    /// Nothing is done for the user now: the user's records wait.
    pub(crate) is_paused: bool,
    /// The zones that decide the days; `None` until Exist has told.
    pub(crate) zones: Option<Zones>,
    sources: HashMap<SourceName, Connection>,
    recounts: HashMap<SourceName, i64>,
    /// When each connection was first read, in milliseconds since 1970.
    first_read: HashMap<SourceName, u64>,
}

/// One connection, compiled.
pub(crate) enum Connection {
    /// It works: this is what its records count for.
    On(Arc<dyn Mapping>),
    /// It is off until the user connects again.
    Off,
    /// An operator paused it, or its source, for this reason.
    Paused(String),
}

impl Person {
    pub(crate) fn connection(&self, source: &SourceName) -> Option<&Connection> {
        self.sources.get(source)
    }

    /// Whether what was read at this moment is in a recount of the source, or will be.
    pub(crate) fn is_in_recount(&self, source: &SourceName, read_at_ms: i64) -> bool {
        self.recounts.get(source).is_some_and(|begun_ms| *begun_ms > read_at_ms)
    }

    /// When the connection was first read, in milliseconds since 1970; `None` if it was not, as far as is known.
    pub(crate) fn first_read_ms(&self, source: &SourceName) -> Option<u64> {
        self.first_read.get(source).copied()
    }

    fn compile(user: &UserId, documents: User, sources: &Sources) -> Self {
        let zones = zones(&documents)
            .inspect_err(|error| warn!(error = %error, "a user's zone is unknown to us; the user's records wait"))
            .unwrap_or_default();
        let recounts = recounts(&documents);
        let pauses = documents.pauses;
        let first_read = documents.polled.into_iter().map(|(source, polled)| (source, polled.first_ok_at_ms));
        let first_read = first_read.filter(|(_, first_ok_at_ms)| *first_ok_at_ms > 0).collect();
        let mut compiled = HashMap::new();
        for (name, connection) in documents.sources {
            let Some(source) = sources.get(&name) else { continue };
            let connection = match source.compile(&connection.rules) {
                _ if !connection.connected.is_on() => Connection::Off,
                Ok(mapping) => match pauses.source(&name) {
                    Some(pause) => Connection::Paused(pause.reason.clone()),
                    None => Connection::On(mapping),
                },
                Err(problems) => {
                    // An import checks rules, so only a downgrade of ours gets here.
                    warn!(?problems, "rules of {name} for {user} do not compile; its records wait");
                    Connection::Off
                }
            };
            compiled.insert(name, connection);
        }
        let is_paused = pauses.everything().is_some();
        Self { exists: documents.about.is_some(), is_paused, zones, sources: compiled, recounts, first_read }
    }
}

/// When each source's latest recount began, in milliseconds since 1970.
fn recounts(documents: &User) -> HashMap<SourceName, i64> {
    let over = documents.recounted.iter().map(|(source, recounted)| (source, recounted.latest()));
    let under_way = documents.recounting.iter().map(|(source, recounting)| (source, recounting.generation));
    let mut latest = HashMap::new();
    for (source, begun_ms) in over.chain(under_way) {
        let begun_ms = i64::try_from(begun_ms).unwrap_or(i64::MAX);
        let known = latest.entry(source.clone()).or_insert(begun_ms);
        *known = begun_ms.max(*known);
    }
    latest
}

/// The zones that decided a user's days so far; `None` until the first is known.
fn zones(documents: &User) -> Result<Option<Zones>, jiff::Error> {
    let Some((first, later)) = documents.zones.split_first() else {
        return documents.zone_name().map(|name| TimeZone::get(name).map(Zones::always)).transpose();
    };
    let mut changes = Vec::new();
    for zone in later {
        let since = Timestamp::from_millisecond(i64::try_from(zone.since_ms).unwrap_or(i64::MAX))?;
        changes.push((since, TimeZone::get(&zone.name)?));
    }
    Ok(Some(Zones::new(TimeZone::get(&first.name)?, changes)))
}

/// The people of one partition. Forgets everybody when any of their documents changed.
#[derive(Default)]
pub(crate) struct People {
    known: HashMap<UserId, Arc<Person>>,
    revision: u64,
}

impl People {
    /// Makes sure that all of them are known; `true` if everybody was forgotten first, because somebody's
    /// documents changed.
    pub(crate) async fn meet<'a>(
        &mut self,
        owned: &Owned,
        sources: &Sources,
        revision: u64,
        wanted: impl Iterator<Item = &'a UserId>,
    ) -> Result<bool, StoreError> {
        let changed = revision != self.revision;
        if changed || self.known.len() > PEOPLE_MAX {
            self.known.clear();
            self.revision = revision;
        }
        let mut new: Vec<UserId> = wanted.filter(|user| !self.known.contains_key(*user)).cloned().collect();
        new.sort();
        new.dedup();
        let documents = users(&owned.redis, &owned.keys, owned.partition(), &new).await?;
        for (user, documents) in new.into_iter().zip(documents) {
            let person = Person::compile(&user, documents, sources);
            self.known.insert(user, Arc::new(person));
        }
        Ok(changed)
    }

    /// Somebody met before.
    pub(crate) fn get(&self, user: &UserId) -> Arc<Person> {
        Arc::clone(self.known.get(user).expect("everybody in a batch was met first"))
    }
}
