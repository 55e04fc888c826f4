//! People's records, and live producers that append them as a fetcher would.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use event::{ContentHash, ExternalId, Origin, RawEvent, RecordKind, UserId, Version};
use jiff::Timestamp;
use store::{Commit, Lease, Owned, Stage, StoreError};

use crate::{
    people::{self, ATTRIBUTES, project, source_name},
    stand::Stand,
};

/// Records appended in one step, as a page of a source is.
const BATCH: usize = 100;
/// How often an append is repeated that got no answer.
const AGAIN_MAX: u32 = 5;
/// What a record's payload is filled up to.
const PAYLOAD_BYTES: usize = 300;

/// Connected people and how many records were appended for them.
pub(crate) struct Crowd {
    people: Vec<UserId>,
    records: AtomicU64,
    producers: Vec<Owned>,
}

/// Records were appended.
#[derive(Clone, Copy)]
pub(crate) struct Appended;

/// Microseconds since 1970, the same for every process of this machine.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Appends records of one partition, again if a busy machine's Redis did not answer in time: if it had them already,
/// they are duplicates, and end as such.
pub(crate) async fn append(owned: &Owned, events: &[RawEvent]) -> Result<(), StoreError> {
    let mut failures = 0;
    loop {
        let mut commit = Commit::new();
        owned.append_raw(&mut commit, events);
        match owned.commit(commit).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Redis { .. }) if failures < AGAIN_MAX => failures += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Crowd {
    /// Connects people, and takes the place of their fetcher.
    pub(crate) async fn connect(stand: &Stand, people: usize) -> anyhow::Result<Self> {
        let people = people::connect(stand, people).await?;
        let mut producers = Vec::new();
        for partition in stand.partitions.all() {
            let lease = Lease::acquire(&stand.redis, &stand.keys, Stage::Fetch, partition, "bench").await?;
            let lease = lease.ok_or_else(|| anyhow::anyhow!("somebody else fetches here"))?;
            producers.push(Owned { redis: stand.redis.clone(), keys: Arc::clone(&stand.keys), lease });
        }
        Ok(Self { people, records: AtomicU64::new(0), producers })
    }

    /// Everybody but the one with the flood.
    pub(crate) fn people(&self) -> &[UserId] {
        &self.people
    }

    /// How many records were ever appended; `_appended` says that the caller's are among them.
    pub(crate) fn total(&self, _appended: Appended) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// A record that is told at a moment: its version, so that whoever settles it knows how long it took.
    pub(crate) fn event(&self, user: &UserId, told_us: u64) -> RawEvent {
        let number = self.records.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number % 3).expect("less than 3");
        self.record(user, number, place, Timestamp::now(), number % 3_600 + 1, told_us)
    }

    fn record(
        &self,
        user: &UserId,
        number: u64,
        attribute: usize,
        start: Timestamp,
        seconds: u64,
        told_us: u64,
    ) -> RawEvent {
        let project = project(attribute);
        // The source leaves alone what it does not know.
        let mut payload = format!(r#"{{"start":"{start:.0}","duration":{seconds},"project_id":{project},"fill":""#);
        payload.extend(std::iter::repeat_n('x', PAYLOAD_BYTES.saturating_sub(payload.len() + 2)));
        payload.push_str("\"}");
        RawEvent {
            user: user.clone(),
            source: source_name(),
            external_id: ExternalId::try_new(&number.to_string()).expect("digits"),
            version: Version(i64::try_from(told_us).unwrap_or(i64::MAX)),
            content: ContentHash::of(&payload),
            kind: RecordKind::Present,
            origin: Origin::Poll,
            seen_before: false,
            read_at_ms: Timestamp::now().as_millisecond(),
            payload,
            problem: String::new(),
            replay_of: None,
        }
    }

    /// Who appends for a user.
    pub(crate) fn producer(&self, stand: &Stand, user: &UserId) -> &Owned {
        &self.producers[usize::from(stand.partitions.of(user).index())]
    }

    /// Appends records as fast as possible, a producer for each partition, in batches as pages are.
    pub(crate) async fn append(&self, stand: &Stand, items: usize) -> anyhow::Result<Appended> {
        let mut homes: HashMap<u16, Vec<&UserId>> = HashMap::new();
        for user in &self.people {
            homes.entry(stand.partitions.of(user).index()).or_default().push(user);
        }
        let share = items / homes.len().max(1);
        let rest = items - share * homes.len();
        let producing = homes.values().enumerate().map(|(index, users)| async move {
            let items = share + if index == 0 { rest } else { 0 };
            self.append_for(stand, users, items).await
        });
        futures::future::try_join_all(producing).await?;
        Ok(Appended)
    }

    /// Appends records of users of one partition, in turns.
    pub(crate) async fn append_for(&self, stand: &Stand, users: &[&UserId], items: usize) -> anyhow::Result<Appended> {
        let mut done = 0;
        while done < items {
            let batch = BATCH.min(items - done);
            let event = |place| self.event(users[(done + place) % users.len()], now_us());
            let events: Vec<RawEvent> = (0..batch).map(event).collect();
            done += batch;
            append(self.producer(stand, users[0]), &events).await?;
        }
        Ok(Appended)
    }

    /// Appends a minute for each attribute on each of a person's days, counted back from today, for the first
    /// `people`; the records of one person in one step. Every pair's number changes with it.
    pub(crate) async fn append_days(
        &self,
        stand: &Stand,
        people: usize,
        days: impl Fn(usize) -> std::ops::Range<usize>,
    ) -> anyhow::Result<Appended> {
        let day = jiff::SignedDuration::from_hours(24);
        for (index, user) in self.people.iter().take(people).enumerate() {
            let starts = days(index).map(|back| Timestamp::now() - day * i32::try_from(back).unwrap_or(i32::MAX));
            let event = |(start, attribute)| {
                let number = self.records.fetch_add(1, Ordering::Relaxed);
                self.record(user, number, attribute, start, 60, now_us())
            };
            let pairs = starts.flat_map(|start| (0..ATTRIBUTES.len()).map(move |attribute| (start, attribute)));
            let events: Vec<RawEvent> = pairs.map(event).collect();
            if !events.is_empty() {
                append(self.producer(stand, user), &events).await?;
            }
        }
        Ok(Appended)
    }
}
