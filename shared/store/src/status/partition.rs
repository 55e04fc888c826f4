//! One partition at one moment: one round trip for what is always asked, one more for each thing there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use event::{EntryId, Partition, SourceName};
use redis::{FromRedisValue, Value};
use serde::de::IgnoredAny;

use super::{PartitionStatus, Question, Waiting, census::Census, letters::Letters};
use crate::{Counts, HeldLock, Keys, Redis, Stage, StoreError, entry, lease::LeaseView, pause::Wide};

const DOING: &str = "looking at a partition";

/// When one looks, and what is known by then.
pub(super) struct Moment<'a> {
    pub(super) now_ms: u64,
    pub(super) question: &'a Question,
    pub(super) locks: &'a [(Stage, HeldLock)],
}

impl Moment<'_> {
    /// How long ago an entry was appended.
    fn since(&self, EntryId { ms, .. }: EntryId) -> Duration {
        Duration::from_millis(self.now_ms.saturating_sub(ms))
    }
}

/// What is remembered of a partition.
#[derive(Debug, Default)]
pub(super) struct Memory {
    census: Census,
    letters: Letters,
}

/// The answers to a pipeline, one command after the other.
struct Answers(std::vec::IntoIter<Value>);

impl Answers {
    async fn to(pipeline: &redis::Pipeline, redis: &Redis) -> Result<Self, StoreError> {
        let answers: Vec<Value> = redis.run_all(DOING, pipeline).await?;
        Ok(Self(answers.into_iter()))
    }

    fn read<T: FromRedisValue>(&mut self) -> Result<T, StoreError> {
        let answer = self.0.next().expect("a pipeline answers every command");
        T::from_redis_value(answer).map_err(|error| StoreError::redis(DOING)(error.into()))
    }
}

/// Looks.
pub(super) async fn look(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    moment: &Moment<'_>,
    memory: &mut Memory,
) -> Result<PartitionStatus, StoreError> {
    let (question, now_ms) = (moment.question, moment.now_ms);
    let buckets: Vec<_> = question.buckets.alive(now_ms).collect();
    let mut pipeline = redis::pipe();
    for stage in Stage::ALL {
        pipeline.add_command(LeaseView::command(&keys.lease(partition, stage)));
    }
    let overdue = pipeline.cmd("ZRANGEBYSCORE").arg(keys.schedule(partition)).arg("-inf").arg(now_ms);
    overdue.arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit(question.bounds.polls));
    pipeline.cmd("ZCARD").arg(keys.due(partition));
    pipeline.cmd("HGETALL").arg(keys.counts(partition));
    pipeline.cmd("HGETALL").arg(keys.paused(partition));
    for &bucket in &buckets {
        pipeline.cmd("HLEN").arg(keys.dead(partition, bucket));
    }
    for stage in [Stage::Normalise, Stage::Write] {
        ask_of_stream(&mut pipeline, keys, partition, stage, question.bounds.lanes);
    }
    let mut answers = Answers::to(&pipeline, redis).await?;

    let mut leases = Vec::with_capacity(Stage::ALL.len());
    for _ in Stage::ALL {
        leases.push(LeaseView::of(answers.read()?, now_ms));
    }
    let polls_overdue = by_source(answers.read()?, now_ms);
    let users_due = answers.read()?;
    let counts = Counts::of(answers.read()?);
    let paused = Wide::read(&keys.paused(partition), answers.read()?)?;
    let mut lengths = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        lengths.push((bucket, answers.read::<u64>()?));
    }
    let mut waiting = Vec::with_capacity(2);
    for stage in [Stage::Normalise, Stage::Write] {
        let (mut found, lanes) = of_stream(&mut answers, moment)?;
        add_lanes(redis, keys, partition, stage, &lanes, moment, &mut found).await?;
        waiting.push(found);
    }
    let [raw, normalised] = waiting.try_into().expect("there are two streams");
    let dead_by_cause = memory.letters.tally(redis, keys, partition, &lengths, question.bounds.letters).await?;
    Ok(PartitionStatus {
        partition,
        leases,
        raw,
        normalised,
        polls_overdue,
        users_due,
        dead_letters: lengths.iter().map(|(_, length)| length).sum(),
        dead_by_cause,
        counts,
        paused,
        people: memory.census.go_on(redis, keys, partition, question, now_ms).await?,
    })
}

/// A bound as `LIMIT` takes it; -1 is everything.
fn limit(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(-1)
}

/// The longest overdue poll of each source. Members are `user/source`.
fn by_source(overdue: Vec<(String, u64)>, now_ms: u64) -> BTreeMap<SourceName, Duration> {
    let mut longest: BTreeMap<SourceName, Duration> = BTreeMap::new();
    for (member, at) in overdue {
        let source = member.rsplit_once('/').and_then(|(_, source)| SourceName::try_new(source).ok());
        if let Some(source) = source {
            let known = longest.entry(source).or_default();
            *known = (*known).max(Duration::from_millis(now_ms.saturating_sub(at)));
        }
    }
    longest
}

fn ask_of_stream(pipeline: &mut redis::Pipeline, keys: &Keys, partition: Partition, stage: Stage, lanes: usize) {
    let (stream, overflowing) = (keys.stream(partition, stage), keys.overflowing(partition, stage));
    pipeline.cmd("XLEN").arg(&stream);
    pipeline.cmd("XRANGE").arg(&stream).arg("-").arg("+").arg("COUNT").arg(1);
    match i64::try_from(lanes) {
        Ok(lanes) => pipeline.cmd("SRANDMEMBER").arg(overflowing).arg(lanes),
        Err(_) => pipeline.cmd("SMEMBERS").arg(overflowing),
    };
}

/// What the stream itself holds, and the lanes that hold more.
fn of_stream(answers: &mut Answers, moment: &Moment<'_>) -> Result<(Waiting, Vec<String>), StoreError> {
    let backlog = answers.read()?;
    let first: Vec<(String, Value)> = answers.read()?;
    let oldest = first.into_iter().filter_map(entry::entry).map(|entry| moment.since(entry.id)).next();
    let waiting = Waiting { backlog, oldest, oldest_runnable: oldest, ..Waiting::default() };
    Ok((waiting, answers.read()?))
}

/// Adds what lanes keep in lists.
async fn add_lanes(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    stage: Stage,
    lanes: &[String],
    moment: &Moment<'_>,
    waiting: &mut Waiting,
) -> Result<(), StoreError> {
    if lanes.is_empty() {
        return Ok(());
    }
    let mut pipeline = redis::pipe();
    for lane in lanes {
        let list = keys.overflow(partition, stage, lane);
        pipeline.cmd("LLEN").arg(&list).cmd("LINDEX").arg(&list).arg(0);
        pipeline.cmd("ZSCORE").arg(keys.parked(partition, stage)).arg(lane);
    }
    let mut answers = Answers::to(&pipeline, redis).await?;
    let here = moment.locks.iter().filter(|(at, lock)| *at == stage && lock.partition == partition);
    let locked: BTreeSet<&str> = here.map(|(_, lock)| lock.user.as_str()).collect();
    for lane in lanes {
        let kept: u64 = answers.read()?;
        // What is kept begins with the id the entry had in the stream.
        let head: Option<Vec<u8>> = answers.read()?;
        let head = head.and_then(|bytes| event::decode::<(EntryId, IgnoredAny)>(&bytes).ok());
        let age = head.map(|(id, _)| moment.since(id));
        let is_parked = answers.read::<Option<u64>>()?.is_some_and(|until| until > moment.now_ms);
        waiting.backlog += kept;
        waiting.oldest = waiting.oldest.max(age);
        if is_parked {
            waiting.parked += kept;
            waiting.locked += if locked.contains(lane.as_str()) { kept } else { 0 };
        } else {
            waiting.oldest_runnable = waiting.oldest_runnable.max(age);
        }
    }
    Ok(())
}
