//! What comes from outside: webhooks, and people who come back from a source's consent page.

use std::{sync::LazyLock, time::Duration};

use event::{Partition, RawEvent, SourceName, UserId};
use telemetry::trace::outcome;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Keys, Redis, Stage, StoreError,
    script::NamedScript,
    traced::{append_raw, carried},
    user::field,
};

static TAKE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("intake/take", include_str!("../lua/intake/take.lua")));

/// How long until the poll that a webhook asks for: others that come with it are in it, too.
const POLL_AFTER: Duration = Duration::from_secs(2);

/// Topics of one source under which connections stand that name none.
const ANY_TOPIC: &str = "";

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in the stream.
    Taken,
    /// Its delivery was taken before.
    Duplicate,
    /// The user is not connected any more.
    Gone,
}

/// A webhook, checked and read.
#[derive(Debug, Clone, Copy)]
pub struct Webhook<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// From where.
    pub source: &'a SourceName,
    /// What is remembered of it; `None` if it may repeat.
    pub delivery: Option<&'a str>,
    /// What it asks of the next poll: `recent`, `window`, or empty for nothing.
    pub hint: &'a str,
    /// What it brings.
    pub events: &'a [RawEvent],
}

/// Takes a webhook in: its records, its hint and its delivery in one step.
///
/// Deliveries are remembered for `retention` at least and twice that at most.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. It was taken or not: the sender must try again.
pub async fn take(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    webhook: &Webhook<'_>,
    now_ms: u64,
    retention: Duration,
) -> Result<Taken, StoreError> {
    let Webhook { user, source, delivery, hint, events } = *webhook;
    let span_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX / 4).max(1);
    let generation = now_ms / span_ms;
    let deliveries = |generation| keys.deliveries(partition, source, generation);
    let mut call = TAKE.key(keys.user(partition, user));
    call.key(keys.raw(partition)).key(keys.counts(partition)).key(keys.schedule(partition));
    call.key(deliveries(generation)).key(deliveries(generation.saturating_sub(1)));
    // Eight bytes for each: two that share them are one delivery in 2^64.
    let remembered = delivery.map(|id| xxh3_64(format!("{user}/{id}").as_bytes()).to_be_bytes());
    call.arg(field::source(source)).arg(remembered.map(Vec::from).unwrap_or_default());
    call.arg((generation + 2) * span_ms);
    call.arg(hint).arg(field::hint(source)).arg(format!("{user}/{source}"));
    call.arg(u64::try_from(POLL_AFTER.as_millis()).unwrap_or(0));
    call.arg(format!("appended:{source}"));
    call.arg(if redis.is_cluster() { String::new() } else { keys.ring(Stage::Normalise) });
    call.arg(partition.index());
    let raw = keys.raw(partition);
    let appended = append_raw(&raw, partition, events.len());
    for (place, event) in events.iter().enumerate() {
        call.arg(event::encode_traced(event, carried(appended.as_ref(), place)));
    }
    let verdict: String =
        TAKE.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis("taking a webhook"))?;
    if let Some(appended) = appended.filter(|_| verdict != "taken") {
        outcome(&appended.span, if verdict == "duplicate" { "duplicate" } else { "gone" });
    }
    Ok(match verdict.as_str() {
        "taken" => Taken::Taken,
        "duplicate" => Taken::Duplicate,
        _ => Taken::Gone,
    })
}

/// Who wants to hear of a topic: those who named it, then those of the source who named none.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn listeners(
    redis: &Redis,
    keys: &Keys,
    source: &SourceName,
    topic: &str,
    most: usize,
) -> Result<Vec<UserId>, StoreError> {
    let mut found = Vec::new();
    for topic in [topic, ANY_TOPIC] {
        let mut command = redis::cmd("SRANDMEMBER");
        command.arg(keys.topic(source, topic)).arg(most);
        let names: Vec<String> = redis.run("finding who listens", &command).await?;
        found.extend(names.iter().filter_map(|name| UserId::try_new(name).ok()));
        if topic == ANY_TOPIC {
            break;
        }
    }
    found.truncate(most);
    Ok(found)
}

/// Enters a user under topics of a source; under the one for everything where there are none.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; entering again is safe.
pub async fn listen(
    redis: &Redis,
    keys: &Keys,
    source: &SourceName,
    user: &UserId,
    topics: &[String],
) -> Result<(), StoreError> {
    change(redis, keys, source, user, topics, "SADD").await
}

/// Enters a user under the topics that a source's connection has now, and takes them out from under those
/// that it had, and from under the one for everything if it names some now. Those it has now are entered
/// first: a crash in between leaves too many, never too few.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; doing it again is safe.
pub async fn listen_instead(
    redis: &Redis,
    keys: &Keys,
    source: &SourceName,
    user: &UserId,
    before: &[String],
    now: &[String],
) -> Result<(), StoreError> {
    listen(redis, keys, source, user, now).await?;
    let gone: Vec<String> = before.iter().filter(|topic| !now.contains(topic)).cloned().collect();
    if !gone.is_empty() || (before.is_empty() && !now.is_empty()) {
        listen_no_more(redis, keys, source, user, &gone).await?;
    }
    Ok(())
}

/// Takes a user out from under topics of a source; from under the one for everything where there are none.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; one that stays does no harm, because a connection is read again before
/// anything is taken for it.
pub async fn listen_no_more(
    redis: &Redis,
    keys: &Keys,
    source: &SourceName,
    user: &UserId,
    topics: &[String],
) -> Result<(), StoreError> {
    change(redis, keys, source, user, topics, "SREM").await
}

async fn change(
    redis: &Redis,
    keys: &Keys,
    source: &SourceName,
    user: &UserId,
    topics: &[String],
    how: &'static str,
) -> Result<(), StoreError> {
    let any = [ANY_TOPIC.to_owned()];
    for topic in if topics.is_empty() { &any } else { topics } {
        let mut command = redis::cmd(how);
        command.arg(keys.topic(source, topic)).arg(user.as_str());
        redis.run::<i64>("entering a topic", &command).await?;
    }
    Ok(())
}

/// Remembers what somebody is about who was sent to a consent page, under the hash of the state that will
/// come back.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn remember_grant(
    redis: &Redis,
    keys: &Keys,
    state_hash: &str,
    sealed: &str,
    lives: Duration,
) -> Result<(), StoreError> {
    let mut command = redis::cmd("SET");
    command.arg(keys.grant(state_hash)).arg(sealed).arg("EX").arg(lives.as_secs().max(1));
    redis.run::<()>("remembering a grant", &command).await
}

/// What was remembered under the hash of a state, once; `None` if nothing was, or no longer.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn take_grant(redis: &Redis, keys: &Keys, state_hash: &str) -> Result<Option<String>, StoreError> {
    let mut command = redis::cmd("GETDEL");
    command.arg(keys.grant(state_hash));
    redis.run("taking a grant", &command).await
}
