//! A list of commands done at once, or not at all when the lease is somebody else's.

use std::{collections::HashSet, sync::LazyLock, time::Duration};

use event::EntryId;
use redis::{FromRedisValue, ToRedisArgs, Value};
use telemetry::{Counter, trace::Span};

use crate::{Lease, Redis, StoreError, guard::Guard, script::NamedScript};

mod joined; // changes of one key, as one command

use joined::{Change, Joined, JoinedByKey};

static COMMIT: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("fenced/commit", include_str!("../lua/fenced/commit.lua")));

const DOING: &str = "committing";

/// What a command's reply is for.
#[derive(Clone, Copy)]
enum Reply {
    Ignored,
    Wanted,
    /// Ignored, and so is its failure.
    Attempted,
}

/// Where an entry waits for its connection, and what to do if the connection is back already.
pub(crate) struct Hold<'a> {
    pub(crate) list: &'a str,
    /// When the list expires; `None` for never.
    pub(crate) expires_at_ms: Option<u64>,
    pub(crate) revision: &'a str,
    /// The revision under which it was judged.
    pub(crate) seen: u64,
    pub(crate) stream: &'a str,
    pub(crate) counts: &'a str,
    pub(crate) counter: &'a str,
}

/// How long a paused member is put off, and where it is noted.
pub(crate) struct Skip<'a> {
    pub(crate) delay: Duration,
    pub(crate) skipped: &'a str,
    pub(crate) revision: &'a str,
    /// The revision under which it was found paused.
    pub(crate) seen: u64,
    /// A hash, and how many fields it had when the member was found paused.
    pub(crate) fields: Option<(&'a str, usize)>,
}

/// Commands on one partition's keys, collected and then done in one step by [`Commit::run`].
#[derive(Default)]
pub struct Commit {
    keys: Vec<String>,
    known: HashSet<String>,
    words: Vec<Vec<u8>>,
    commands: usize,
    /// Changes that are no commands yet. They come behind commands on other keys, which cannot see the difference.
    joined: JoinedByKey,
    /// Counted once all of it is done: a commit that is refused counts nothing.
    tallies: Vec<(Counter, u64)>,
    /// Of appends that are traced: they last until it is done.
    pub(crate) spans: Vec<Span>,
}

/// What a commit brought.
#[derive(Debug)]
pub struct Committed {
    /// Redis' clock in the script, in milliseconds since 1970.
    pub now_ms: u64,
    /// How often key locks were taken in this partition and stage: another number than before means that
    /// what was read before may have changed.
    pub locks_taken: u64,
    replies: std::vec::IntoIter<Value>,
}

impl Committed {
    /// The next wanted reply, in the order the commands were added.
    pub(crate) fn reply<T: FromRedisValue>(&mut self, doing: &'static str) -> Result<T, StoreError> {
        let value = self.replies.next().unwrap_or(Value::Nil);
        T::from_redis_value(value).map_err(|error| StoreError::Redis { doing, source: error.into() })
    }
}

/// One command being written down; dropping it ends it.
pub(crate) struct Words<'a> {
    commit: &'a mut Commit,
    count_at: usize,
}

impl Words<'_> {
    pub(crate) fn arg(self, word: impl ToRedisArgs) -> Self {
        self.commit.words.extend(word.to_redis_args());
        self
    }
}

impl Drop for Words<'_> {
    fn drop(&mut self) {
        let words = self.commit.words.len() - self.count_at - 1;
        self.commit.words[self.count_at] = words.to_string().into_bytes();
    }
}

impl Commit {
    /// Nothing to do yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands == 0 && self.joined.is_empty()
    }

    /// How many commands there are to do.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands + self.joined.commands()
    }

    fn begin(&mut self, reply: Reply, name: &str, key: &str) -> Words<'_> {
        self.touches(key);
        self.words_of(reply, name)
    }

    fn words_of(&mut self, reply: Reply, name: &str) -> Words<'_> {
        self.commands += 1;
        let want: &[u8] = match reply {
            Reply::Ignored => b"-",
            Reply::Wanted => b"+",
            Reply::Attempted => b"?",
        };
        self.words.push(want.to_vec());
        let count_at = self.words.len();
        self.words.push(Vec::new());
        self.words.push(name.as_bytes().to_vec());
        Words { commit: self, count_at }
    }

    /// A command that may look at a key comes behind all that was to happen to it.
    fn touches(&mut self, key: &str) {
        self.knows(key);
        if let Some(joined) = self.joined.take(key) {
            self.write(key, joined);
        }
    }

    fn knows(&mut self, key: &str) {
        if !self.known.contains(key) {
            self.known.insert(key.to_owned());
            self.keys.push(key.to_owned());
        }
    }

    fn join(&mut self, key: &str, change: Change<'_>) {
        self.knows(key);
        if let Some(before) = self.joined.join(key, change) {
            self.write(key, before);
        }
    }

    /// Writes joined changes down as commands. Others of the key may be joined again by now: they come later.
    fn write(&mut self, key: &str, joined: Joined) {
        match joined {
            Joined::Sets(fields) => {
                let words = self.words_of(Reply::Ignored, "HSET").arg(key);
                drop(fields.into_iter().fold(words, |words, (field, value)| words.arg(field).arg(value)));
            }
            Joined::Adds(fields) => {
                for (field, amount) in fields {
                    drop(self.words_of(Reply::Ignored, "HINCRBY").arg(key).arg(field).arg(amount));
                }
            }
            Joined::Entries(entries) => drop(self.words_of(Reply::Ignored, "append").arg(key).arg(entries)),
            Joined::Pushes(pushes) => drop(self.words_of(Reply::Ignored, "RPUSH").arg(key).arg(pushes)),
            Joined::Due { mode, delay, members } => {
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 4);
                drop(self.words_of(Reply::Ignored, "after").arg(key).arg(mode).arg(delay_ms).arg(members));
            }
        }
    }

    /// A command whose first argument is its key; its reply is not looked at.
    pub(crate) fn command(&mut self, name: &str, key: &str) -> Words<'_> {
        self.begin(Reply::Ignored, name, key).arg(key)
    }

    /// A command whose first argument is its key, and whose reply is wanted.
    pub(crate) fn query(&mut self, name: &str, key: &str) -> Words<'_> {
        self.begin(Reply::Wanted, name, key).arg(key)
    }

    /// A command that may fail without stopping the others; its key stands where the caller puts it.
    pub(crate) fn attempt_with(&mut self, name: &str, key: &str) -> Words<'_> {
        self.begin(Reply::Attempted, name, key)
    }

    /// Sets a field of a hash.
    pub fn set(&mut self, key: &str, field: &str, value: &[u8]) {
        self.join(key, Change::Set { field, value });
    }

    /// Sets a field of a hash if it still holds the old value; an empty old value means absent.
    pub fn swap(&mut self, key: &str, field: &str, old: &[u8], new: &[u8]) {
        self.begin(Reply::Ignored, "swap", key).arg(key).arg(field).arg(old).arg(new);
    }

    /// Removes a field of a hash.
    pub fn unset(&mut self, key: &str, field: &str) {
        self.command("HDEL", key).arg(field);
    }

    /// Removes a field of a hash if it still holds the value.
    pub fn clear(&mut self, key: &str, field: &str, value: &str) {
        self.begin(Reply::Ignored, "clear", key).arg(key).arg(field).arg(value);
    }

    /// Adds to a field of a hash, exactly, in 64 bits.
    pub fn add(&mut self, key: &str, field: &str, amount: i64) {
        self.join(key, Change::Add { field, amount });
    }

    /// Appends an entry with one field.
    pub fn append(&mut self, stream: &str, payload: &[u8]) {
        self.join(stream, Change::Append { payload });
    }

    /// Pushes to the end of a list.
    pub fn push(&mut self, list: &str, payload: &[u8]) {
        self.join(list, Change::Push { payload });
    }

    /// Removes entries: they are settled.
    pub fn settle(&mut self, stream: &str, ids: &[EntryId]) {
        if !ids.is_empty() {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            self.command("XDEL", stream).arg(&ids);
        }
    }

    /// Makes a member of a zset due after a delay, unless it is there already.
    pub fn due_unless_there(&mut self, zset: &str, member: &str, delay: Duration) {
        self.after(zset, "NX", member, delay);
    }

    /// Makes a member due after a delay, or earlier if it was to be due earlier.
    pub fn due_at_the_latest(&mut self, zset: &str, member: &str, delay: Duration) {
        self.after(zset, "LT", member, delay);
    }

    /// Makes a member due after a delay, whatever it was before.
    pub fn due_in(&mut self, zset: &str, member: &str, delay: Duration) {
        // CH changes nothing but the reply, which is not looked at: there is no plain mode to name.
        self.after(zset, "CH", member, delay);
    }

    /// Moves a member's due time, if the member is still there.
    pub fn due_again(&mut self, zset: &str, member: &str, delay: Duration) {
        self.after(zset, "XX", member, delay);
    }

    /// A member is due after a delay if the hash holds anything, else at the moment that the field
    /// `check_at` of the other hash says, or not at all.
    pub(crate) fn rest(&mut self, zset: &str, hash: &str, member: &str, delay: Duration, other: &str) {
        self.touches(hash);
        self.touches(other);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 4);
        self.begin(Reply::Ignored, "rest", zset).arg(zset).arg(hash).arg(delay_ms).arg(member).arg(other);
    }

    /// A member that was handled since a moment of Redis' clock is due again after a delay: at once if one of
    /// these fields of the hash does not hold its value, and when somebody else said, if anybody did meanwhile.
    pub(crate) fn again(
        &mut self,
        zset: &str,
        hash: &str,
        member: &str,
        since_ms: u64,
        delay: Duration,
        news: &[(String, &str)],
    ) {
        self.touches(hash);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 4);
        let words = self.begin(Reply::Ignored, "again", zset).arg(zset).arg(hash).arg(delay_ms).arg(member);
        let words = words.arg(since_ms);
        news.iter().fold(words, |words, (field, value)| words.arg(field).arg(*value));
    }

    /// Users' documents changed: what others remember of them is stale.
    pub fn bump(&mut self, revision: &str) {
        self.command("INCR", revision);
    }

    fn after(&mut self, zset: &str, mode: &'static str, member: &str, delay: Duration) {
        self.join(zset, Change::Due { mode, delay, member });
    }

    /// Removes a member of a zset.
    pub fn not_due(&mut self, zset: &str, member: &str) {
        self.command("ZREM", zset).arg(member);
    }

    /// Removes a member of a zset, unless somebody made it due since a moment of Redis' clock.
    pub(crate) fn not_due_since(&mut self, zset: &str, member: &str, since_ms: u64) {
        self.begin(Reply::Ignored, "undue", zset).arg(zset).arg(member).arg(since_ms);
    }

    /// Lets a key expire at a moment of Redis' clock.
    pub fn expire_at(&mut self, key: &str, at_ms: u64) {
        self.command("PEXPIREAT", key).arg(at_ms);
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.command("DEL", key);
    }

    /// Puts an entry at the end of a list, unless documents changed since it was judged: then it goes back
    /// into its stream, and off the counter.
    pub(crate) fn withhold(&mut self, hold: &Hold<'_>, entry: &[u8]) {
        [hold.revision, hold.stream, hold.counts].into_iter().for_each(|key| self.touches(key));
        let words = self.begin(Reply::Ignored, "withhold", hold.list).arg(hold.list).arg(entry);
        let words = words.arg(hold.expires_at_ms.unwrap_or(0)).arg(hold.revision).arg(hold.seen);
        words.arg(hold.stream).arg(hold.counts).arg(hold.counter);
    }

    /// A paused member of a zset is due after a delay and noted as skipped; at once if documents or the number
    /// of fields changed since.
    pub(crate) fn skip(&mut self, skip: &Skip<'_>, zset: &str, member: &str) {
        let hash = skip.fields.map(|(hash, _)| hash);
        [skip.skipped, skip.revision].into_iter().chain(hash).for_each(|key| self.touches(key));
        let delay_ms = u64::try_from(skip.delay.as_millis()).unwrap_or(u64::MAX / 4);
        let words = self.begin(Reply::Ignored, "skip", zset).arg(zset).arg(member).arg(delay_ms);
        let words = words.arg(skip.skipped).arg(skip.revision).arg(skip.seen);
        words.arg(hash.unwrap_or_default()).arg(skip.fields.map(|(_, fields)| fields.to_string()).unwrap_or_default());
    }

    /// Adds to a counter of this process when all of it is done, and never otherwise.
    pub fn tally(&mut self, counter: Counter, by: u64) {
        self.tallies.push((counter, by));
    }

    /// Rings whoever reads the stream, if the entries just added are all it holds, and tells a few with it.
    pub(crate) fn ring(&mut self, stream: &str, added: usize, channel: &str, who: &str, revision: &str) {
        self.touches(revision);
        self.begin(Reply::Ignored, "ring", stream).arg(stream).arg(added).arg(channel).arg(who).arg(revision);
    }

    /// Nothing of it is done unless the stream holds these entries, and none between them. They are in order.
    pub(crate) fn only_if_there(&mut self, stream: &str, entries: &[EntryId]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        self.knows(stream);
        let before = std::mem::take(&mut self.words);
        let words = self.words_of(Reply::Ignored, "there").arg(stream);
        drop(words.arg(first.to_string()).arg(last.to_string()).arg(entries.len()));
        self.words.extend(before);
    }

    /// A step of ours on one key or more, the first of which is its first argument; its reply is wanted.
    pub(crate) fn step(&mut self, name: &str, keys: &[&str]) -> Words<'_> {
        keys.iter().for_each(|key| self.touches(key));
        self.begin(Reply::Wanted, name, keys[0])
    }

    /// Does all of it, if the lease is still ours and what it is guarded by still holds.
    ///
    /// # Errors
    /// - [`StoreError::Fenced`]: nothing was done; the partition is somebody else's.
    /// - [`StoreError::Locked`]: nothing was done; somebody took a key lock. Read anew.
    /// - [`StoreError::LockLost`]: nothing was done; our key lock expired or is somebody else's.
    /// - [`StoreError::Gone`]: nothing was done; entries are not there that this was about.
    /// - [`StoreError::Redis`]: no answer. All of it was done, or nothing: read before going on.
    pub async fn run(mut self, redis: &Redis, lease: &Lease) -> Result<Committed, StoreError> {
        let call = self.call(lease);
        let reply = COMMIT.run(redis, &call).await.map_err(StoreError::redis(DOING))?;
        self.done(lease, reply)
    }

    /// Likewise, and sends a command that reads behind it: it sees all of this, and what came since.
    ///
    /// # Errors
    /// As [`Commit::run`], and if the command fails.
    pub(crate) async fn run_before<T: FromRedisValue>(
        mut self,
        redis: &Redis,
        lease: &Lease,
        read: redis::Cmd,
    ) -> Result<(Committed, T), StoreError> {
        let call = self.call(lease);
        let (reply, answer) = COMMIT.run_before(redis, call, read).await.map_err(StoreError::redis(DOING))?;
        Ok((self.done(lease, reply)?, answer))
    }

    /// The call of the script that does all of it.
    fn call(&mut self, lease: &Lease) -> redis::Cmd {
        while let Some((key, joined)) = self.joined.take_first() {
            self.write(&key, joined);
        }
        let guard = lease.guard();
        let guards = guard.and_then(Guard::key).filter(|key| !self.known.contains(*key));
        let keys = [lease.key()].into_iter().chain(self.keys.iter().map(String::as_str)).chain(guards);
        let mut call = COMMIT.call(keys);
        call.arg(guard.map_or_else(|| lease.epoch().to_string(), |guard| guard.epoch(lease)));
        let words = guard.map(Guard::words).unwrap_or_default();
        call.arg(words.len()).arg(words);
        // Here once is enough while it is on its way: many are, and words apart take more than together.
        for word in std::mem::take(&mut self.words) {
            call.arg(word.as_slice());
        }
        call
    }

    /// What the script said.
    fn done(self, lease: &Lease, reply: Vec<Value>) -> Result<Committed, StoreError> {
        let mut replies = reply.into_iter();
        let verdict: String = replies
            .next()
            .map_or(Ok(String::new()), String::from_redis_value)
            .map_err(|error| StoreError::Redis { doing: DOING, source: error.into() })?;
        match verdict.as_str() {
            "done" => {}
            "locked" => return Err(StoreError::Locked { partition: lease.partition(), stage: lease.stage() }),
            "gone" => return Err(StoreError::Gone { partition: lease.partition(), stage: lease.stage() }),
            "lost" => return Err(StoreError::LockLost { partition: lease.partition(), stage: lease.stage() }),
            _ => return Err(lease.fenced("fenced/commit")),
        }
        for (counter, by) in self.tallies {
            counter.increment(by);
        }
        let mut committed = Committed { now_ms: 0, locks_taken: 0, replies };
        committed.now_ms = committed.reply(DOING)?;
        committed.locks_taken = committed.reply(DOING)?;
        Ok(committed)
    }
}
