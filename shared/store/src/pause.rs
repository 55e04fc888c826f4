//! What is paused: by whom, since when and why. Operators write it; every stage asks before it begins.

use std::{collections::BTreeMap, fmt, sync::LazyLock, time::Duration};

use event::{AttributeName, Partition, SourceName, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Commit, Keys, Owned, Redis, Stage, StoreError,
    commit::{Hold, Skip},
    script::NamedScript,
    user::{document, field},
};

static CHANGE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("pause/change", include_str!("../lua/pause/change.lua")));
static RELEASE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("pause/release", include_str!("../lua/pause/release.lua")));

/// How long until something paused is looked at again that nobody resumed; resuming calls it at once.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Most held entries that go back into the stream in one step.
const RELEASE_MAX: usize = 500;
/// The peer that is no source.
const EXIST: &str = "exist";

/// How much is paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    All,
    /// A source, for everybody.
    Source(SourceName),
    /// A partition's users.
    Partition(Partition),
    /// A user.
    User(UserId),
    /// A user's connection to a source, or to `exist`.
    Connection(UserId, SourceName),
    /// A user's attribute: it is counted and not sent.
    Attribute(UserId, AttributeName),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Source(source) => write!(f, "source {source}"),
            Self::Partition(partition) => write!(f, "partition {}", partition.index()),
            Self::User(user) => write!(f, "user {user}"),
            Self::Connection(user, peer) => write!(f, "connection {user} {peer}"),
            Self::Attribute(user, attribute) => write!(f, "attribute {user} {attribute}"),
        }
    }
}

impl Scope {
    /// Whose it is; `None` for those that concern more than one user.
    #[must_use]
    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::All | Self::Source(_) | Self::Partition(_) => None,
            Self::User(user) | Self::Connection(user, _) | Self::Attribute(user, _) => Some(user),
        }
    }

    fn field(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Partition(_) => "partition".to_owned(),
            Self::Source(source) => format!("source:{source}"),
            Self::User(_) => field::PAUSED.to_owned(),
            Self::Connection(_, peer) => field::paused(peer),
            Self::Attribute(_, attribute) => field::paused_attribute(attribute),
        }
    }
}

/// Who paused, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// For people.
    pub reason: String,
    /// Who, as far as the command knows.
    pub by: String,
    /// In milliseconds since 1970 by Redis' clock.
    pub since_ms: u64,
}

/// The pauses of more than one user, as they stand in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wide {
    /// Everything.
    pub all: Option<Pause>,
    /// This partition.
    pub partition: Option<Pause>,
    /// Sources.
    pub sources: BTreeMap<SourceName, Pause>,
}

impl Wide {
    pub(crate) fn read(key: &str, fields: BTreeMap<String, String>) -> Result<Self, StoreError> {
        let mut wide = Self::default();
        for (name, text) in fields {
            let pause = serde_json::from_str(&text)
                .map_err(|source| StoreError::Document { key: format!("{key} {name}"), source })?;
            match name.split_once(':') {
                None if name == "all" => wide.all = Some(pause),
                None if name == "partition" => wide.partition = Some(pause),
                Some(("source", source)) => {
                    wide.sources.extend(SourceName::try_new(source).ok().map(|source| (source, pause)));
                }
                _ => {}
            }
        }
        Ok(wide)
    }

    /// All of them, with their scopes in this partition.
    #[must_use]
    pub fn list(&self, partition: Partition) -> Vec<(Scope, Pause)> {
        let one = |scope: Scope, pause: &Option<Pause>| pause.clone().map(|pause| (scope, pause));
        let sources = self.sources.iter().map(|(source, pause)| (Scope::Source(source.clone()), pause.clone()));
        one(Scope::All, &self.all)
            .into_iter()
            .chain(one(Scope::Partition(partition), &self.partition))
            .chain(sources)
            .collect()
    }
}

/// What of one user is paused, and what pauses the user among others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pauses {
    /// The partition's revision when this was read.
    pub revision: u64,
    /// Of more than this user.
    pub wide: Wide,
    /// The user.
    pub user: Option<Pause>,
    /// Connections, by peer.
    pub connections: BTreeMap<SourceName, Pause>,
    /// Attributes.
    pub attributes: BTreeMap<AttributeName, Pause>,
}

impl Pauses {
    /// Why nothing at all is done for the user.
    #[must_use]
    pub fn everything(&self) -> Option<&Pause> {
        self.wide.all.as_ref().or(self.wide.partition.as_ref()).or(self.user.as_ref())
    }

    /// Why a source's records wait.
    #[must_use]
    pub fn source(&self, source: &SourceName) -> Option<&Pause> {
        self.wide.sources.get(source).or_else(|| self.connections.get(source))
    }

    /// Why nothing is sent.
    #[must_use]
    pub fn sending(&self) -> Option<&Pause> {
        let exist = self.connections.iter().find(|(peer, _)| peer.as_str() == EXIST);
        self.everything().or(exist.map(|(_, pause)| pause))
    }

    /// All of the user's own, with their scopes.
    #[must_use]
    pub fn list(&self, user: &UserId) -> Vec<(Scope, Pause)> {
        let own = self.user.iter().map(|pause| (Scope::User(user.clone()), pause.clone()));
        let connections =
            self.connections.iter().map(|(peer, pause)| (Scope::Connection(user.clone(), peer.clone()), pause.clone()));
        let attributes =
            self.attributes.iter().map(|(name, pause)| (Scope::Attribute(user.clone(), name.clone()), pause.clone()));
        own.chain(connections).chain(attributes).collect()
    }
}

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is so now.
    Done,
    /// It was not paused.
    NotPaused,
    /// The user is not connected any more.
    Gone,
}

/// Pauses a scope in one partition, or resumes it, and tells every stage.
///
/// A scope of more than one partition is changed in each of them; doing it again is safe.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; it may be done.
pub async fn change(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    scope: &Scope,
    pause: Option<&Pause>,
) -> Result<Changed, StoreError> {
    let hash = scope.user().map_or_else(|| keys.paused(partition), |user| keys.user(partition, user));
    let mut call = CHANGE.key(hash);
    call.key(keys.revision(partition)).key(keys.schedule(partition)).key(keys.due(partition));
    call.key(keys.skipped(partition, Stage::Fetch)).key(keys.skipped(partition, Stage::Write));
    call.arg(scope.field()).arg(pause.map(document).unwrap_or_default());
    call.arg(scope.user().map_or("", |_| field::ABOUT)).arg(scope.user().map_or("", UserId::as_str));
    call.arg(partition.index());
    if !redis.is_cluster() {
        call.arg(Stage::ALL.map(|stage| keys.ring(stage)).as_slice());
    }
    let verdict: String =
        CHANGE.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis("changing a pause"))?;
    Ok(match verdict.as_str() {
        "done" => Changed::Done,
        "not paused" => Changed::NotPaused,
        _ => Changed::Gone,
    })
}

/// The pauses of more than one user that stand in a partition.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Document`]: one of an incompatible release.
pub async fn wide(redis: &Redis, keys: &Keys, partition: Partition) -> Result<Wide, StoreError> {
    let key = keys.paused(partition);
    let mut command = redis::cmd("HGETALL");
    command.arg(&key);
    Wide::read(&key, redis.run("reading pauses", &command).await?)
}

/// Puts what waits for a connection back into the raw stream, oldest first.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; some of it may be back. Doing it again is safe.
pub async fn release(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    source: &SourceName,
) -> Result<(), StoreError> {
    const DOING: &str = "releasing what waited";
    let held = keys.held(partition, user, source);
    let mut length = redis::cmd("LLEN");
    length.arg(&held);
    // What is held again meanwhile is not ours to release.
    let mut left: usize = redis.run(DOING, &length).await?;
    while left > 0 {
        let mut call = RELEASE.key(&held);
        call.key(keys.raw(partition)).key(keys.counts(partition)).arg(RELEASE_MAX.min(left));
        call.arg(format!("state:{source}:disabled"));
        call.arg(if redis.is_cluster() { String::new() } else { keys.ring(Stage::Normalise) });
        call.arg(partition.index());
        let released: usize =
            RELEASE.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis(DOING))?;
        left = if released == 0 { 0 } else { left.saturating_sub(released) };
    }
    Ok(())
}

/// Those of a partition's users for whom entries of a source are held.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn holding(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    users: &[UserId],
    source: &SourceName,
) -> Result<Vec<UserId>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = redis::pipe();
    for user in users {
        pipeline.cmd("EXISTS").arg(keys.held(partition, user, source));
    }
    let held: Vec<bool> = redis.run_all("looking for what is held", &pipeline).await?;
    Ok(users.iter().zip(held).filter(|(_, held)| *held).map(|(user, _)| user.clone()).collect())
}

impl Owned {
    /// Whether nothing is done for these users now, in the order asked. For somebody who is not connected there
    /// is nothing to wait for.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. [`StoreError::Document`]: a pause of an incompatible release.
    pub async fn waiting(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let wide = wide(&self.redis, &self.keys, self.partition()).await?;
        let everybody = wide.all.is_some() || wide.partition.is_some();
        let mut pipeline = redis::pipe();
        for user in users {
            let hash = self.keys.user(self.partition(), user);
            pipeline.cmd("HEXISTS").arg(&hash).arg(field::ABOUT);
            pipeline.cmd("HEXISTS").arg(&hash).arg(field::PAUSED);
        }
        let found: Vec<bool> = self.redis.run_all("reading pauses", &pipeline).await?;
        Ok(found.chunks(2).map(|found| found[0] && (everybody || found[1])).collect())
    }

    /// A poll that was found paused is due again when it is resumed, or later by itself; at once if documents
    /// changed since its pauses were read.
    pub fn skip_poll(&self, commit: &mut Commit, user: &UserId, source: &SourceName, pauses: &Pauses) {
        let skipped = self.keys.skipped(self.partition(), Stage::Fetch);
        let revision = self.keys.revision(self.partition());
        let delay = LOOK_AGAIN_AFTER;
        let skip = Skip { delay, skipped: &skipped, revision: &revision, seen: pauses.revision, fields: None };
        commit.skip(&skip, &self.keys.schedule(self.partition()), &format!("{user}/{source}"));
    }

    /// A user all of whose `changed` pairs were found paused is due again when they are resumed, when another
    /// pair changes, which may not be paused, or later by itself; at once if either has happened since.
    pub fn skip_sending(&self, commit: &mut Commit, user: &UserId, pauses: &Pauses, changed: usize) {
        let skipped = self.keys.skipped(self.partition(), Stage::Write);
        let revision = self.keys.revision(self.partition());
        let hash = self.keys.changed(self.partition(), user);
        let fields = Some((hash.as_str(), changed));
        let skip =
            Skip { delay: LOOK_AGAIN_AFTER, skipped: &skipped, revision: &revision, seen: pauses.revision, fields };
        commit.skip(&skip, &self.keys.due(self.partition()), user.as_str());
    }

    /// Keeps a raw entry until its connection returns: for ever, or until a moment of Redis' clock. It goes back
    /// into the stream at once if documents changed since it was judged.
    pub fn withhold(
        &self,
        commit: &mut Commit,
        user: &UserId,
        source: &SourceName,
        entry: &[u8],
        expires_at_ms: Option<u64>,
        seen: u64,
    ) {
        let (partition, keys) = (self.partition(), &self.keys);
        let hold = Hold {
            list: &keys.held(partition, user, source),
            expires_at_ms,
            revision: &keys.revision(partition),
            seen,
            stream: &keys.raw(partition),
            counts: &keys.counts(partition),
            counter: &format!("state:{source}:disabled"),
        };
        commit.withhold(&hold, &event::put_off(entry));
    }
}
