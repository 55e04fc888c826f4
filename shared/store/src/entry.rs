//! Entries of a stream: reading them under the fence, new ones and those a past owner left.

use event::EntryId;
use redis::{FromRedisValue, Value};

use crate::{Commit, Owned, Stage, StoreError};

/// The one field of an entry.
pub(crate) const PAYLOAD: &str = "e";
/// The one consumer name of every stage: a new owner finds what the last one left under it at once.
const CONSUMER: &str = "owner";

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id: when Redis got it.
    pub id: EntryId,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// A stream's name and its entries, each with its id and fields.
type StreamReply = (String, Vec<(String, Value)>);

/// What a read brought.
#[derive(Debug)]
pub struct Reading {
    /// Redis' clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// How often users' documents of this partition have changed: what was cached before is stale.
    pub revision: u64,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
}

/// The consumer group of a stage: the service that reads it.
#[must_use]
pub const fn group(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "fetcher",
        Stage::Normalise => "normaliser",
        Stage::Write => "exist-writer",
    }
}

impl Owned {
    /// Makes the stage's stream and group, if they are not there.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn open_stream(&self) -> Result<(), StoreError> {
        let stream = self.keys.stream(self.partition(), self.stage());
        let mut commit = Commit::new();
        commit
            .attempt_with("XGROUP", &stream)
            .arg("CREATE")
            .arg(&stream)
            .arg(group(self.stage()))
            .arg("0")
            .arg("MKSTREAM");
        self.commit(commit).await.map(drop)
    }

    /// Takes up to `limit` entries that nobody was given yet.
    ///
    /// # Errors
    /// As [`Commit::run`]. After any error, read what is pending from the start: entries may have been
    /// given to us in an answer that got lost.
    pub async fn read_new(&self, limit: usize) -> Result<Reading, StoreError> {
        self.read(">", limit).await
    }

    /// Reads up to `limit` entries behind `after` that were given to this or a past owner and not settled.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn read_pending(&self, after: EntryId, limit: usize) -> Result<Reading, StoreError> {
        self.read(&after.to_string(), limit).await
    }

    async fn read(&self, from: &str, limit: usize) -> Result<Reading, StoreError> {
        const DOING: &str = "reading a stream";
        let stream = self.keys.stream(self.partition(), self.stage());
        let mut commit = Commit::new();
        commit.query("GET", &self.keys.revision(self.partition()));
        commit
            .query_with("XREADGROUP", &stream)
            .arg("GROUP")
            .arg(group(self.stage()))
            .arg(CONSUMER)
            .arg("COUNT")
            .arg(limit)
            .arg("STREAMS")
            .arg(&stream)
            .arg(from);
        let mut committed = self.commit(commit).await?;
        let revision: Option<u64> = committed.reply(DOING)?;
        let streams: Option<Vec<StreamReply>> = committed.reply(DOING)?;
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries).filter_map(entry).collect();
        Ok(Reading { now_ms: committed.now_ms, revision: revision.unwrap_or(0), entries })
    }
}

/// An entry that somebody deleted while it was pending comes back without fields: there is nothing to do.
pub(crate) fn entry((id, fields): (String, Value)) -> Option<Entry> {
    let fields = Option::<Vec<(String, Vec<u8>)>>::from_redis_value(fields).ok().flatten()?;
    let (_, payload) = fields.into_iter().find(|(field, _)| field == PAYLOAD)?;
    Some(Entry { id: id.parse().ok()?, payload })
}
