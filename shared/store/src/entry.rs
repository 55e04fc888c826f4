//! Entries of a stream: reading them in their order.
//!
//! An entry stands in its stream until it is settled, so whoever owns the partition reads it from the start and
//! remembers how far: a read changes nothing. Whom an entry was delivered to need not be written down.

use event::EntryId;
use redis::{FromRedisValue, Value};

use crate::{Commit, Owned, Stage, StoreError};

/// The one field of an entry.
pub(crate) const PAYLOAD: &str = "e";

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id: when Redis got it.
    pub id: EntryId,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// What a read brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Redis' clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// How often users' documents of this partition have changed: what was cached before is stale.
    pub revision: u64,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
}

impl Reading {
    /// What a ring tells: which partition, and a few entries if they were all that the stream held then.
    pub(crate) fn told(ring: &[u8]) -> Option<(usize, Option<Self>)> {
        let mut parts = ring.splitn(2, |byte| *byte == b'\n');
        let mut words = std::str::from_utf8(parts.next()?).ok()?.split(' ');
        let partition = words.next()?.parse().ok()?;
        Some((partition, parts.next().and_then(|entries| Self::of_line(words, entries))))
    }

    fn of_line<'a>(mut words: impl Iterator<Item = &'a str>, mut rest: &[u8]) -> Option<Self> {
        let (now_ms, revision) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let mut entries = Vec::new();
        while let Some(id) = words.next() {
            let (payload, behind) = rest.split_at_checked(words.next()?.parse().ok()?)?;
            entries.push(Entry { id: id.parse().ok()?, payload: payload.to_vec() });
            rest = behind;
        }
        rest.is_empty().then_some(Self { now_ms, revision, entries })
    }

    /// Without what was read before; `None` if that was all.
    #[must_use]
    pub fn behind(mut self, read_to: EntryId) -> Option<Self> {
        self.entries.retain(|entry| entry.id > read_to);
        (!self.entries.is_empty()).then_some(self)
    }
}

/// The consumer group of a stage: the service that reads it. Nothing is delivered through it; it tells the
/// stream that was opened from one that came after it.
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

    /// Reads up to `limit` entries behind `after`.
    ///
    /// # Errors
    /// As [`Commit::run`]. [`StoreError::is_group_gone`]: the stream is gone that was [opened](Self::open_stream),
    /// and with it what was in it; what is read after it was opened again begins anew.
    pub async fn read_after(&self, after: EntryId, limit: usize) -> Result<Reading, StoreError> {
        self.commit_and_read(Commit::new(), after, limit).await
    }

    /// Does a list of commands at once, of which no reply is wanted, and reads on at the same time.
    ///
    /// # Errors
    /// As [`Commit::run`] and [`Owned::read_after`].
    pub async fn commit_and_read(
        &self,
        mut commit: Commit,
        after: EntryId,
        limit: usize,
    ) -> Result<Reading, StoreError> {
        const DOING: &str = "reading a stream";
        let stream = self.keys.stream(self.partition(), self.stage());
        commit.query("GET", &self.keys.revision(self.partition()));
        commit.query("XPENDING", &stream).arg(group(self.stage()));
        let mut range = redis::cmd("XRANGE");
        range.arg(&stream).arg(format!("({after}")).arg("+").arg("COUNT").arg(limit);
        // Read the other way round, an entry that comes in between would be neither read, nor alone in the stream
        // so that it is rung for.
        let (mut looked, entries): (_, Vec<(String, Value)>) = self.commit_before(commit, range).await?;
        let revision: Option<u64> = looked.reply(DOING)?;
        let entries = entries.into_iter().filter_map(entry).collect();
        Ok(Reading { now_ms: looked.now_ms, revision: revision.unwrap_or(0), entries })
    }
}

/// An entry of ours; `None` for one that somebody else wrote.
pub(crate) fn entry((id, fields): (String, Value)) -> Option<Entry> {
    let fields = Option::<Vec<(String, Vec<u8>)>>::from_redis_value(fields).ok().flatten()?;
    let (_, payload) = fields.into_iter().find(|(field, _)| field == PAYLOAD)?;
    Some(Entry { id: id.parse().ok()?, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_tells_entries_of_any_bytes_and_one_that_is_cut_short_tells_none() {
        let ring = b"7 1732190000123 3 1732190000123-0 2 1732190000123-1 3\n\n\xff a\n";
        let (partition, told) = Reading::told(ring).unwrap();
        let told = told.unwrap();
        assert_eq!((partition, told.now_ms, told.revision), (7, 1_732_190_000_123, 3));
        let payloads: Vec<&[u8]> = told.entries.iter().map(|entry| entry.payload.as_slice()).collect();
        assert_eq!(payloads, [b"\n\xff".as_slice(), b" a\n"]);
        assert_eq!(Reading::told(&ring[..ring.len() - 1]), Some((7, None)));
        assert_eq!(Reading::told(b"7"), Some((7, None)));
        assert_eq!(Reading::told(b"seven"), None);

        let first = told.entries[0].id;
        assert_eq!(told.clone().behind(first).unwrap().entries, told.entries[1..]);
        assert_eq!(told.clone().behind(told.entries[1].id), None);
    }
}
