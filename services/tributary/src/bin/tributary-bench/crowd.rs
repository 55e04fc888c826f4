//! People, their records, and live producers that append them as a fetcher would.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use event::{
    AttributeName, ContentHash, Contribution, ExternalId, Origin, RawEvent, RecordKind, SourceName, Unit, UserId,
    Version,
};
use jiff::Timestamp;
use source::{
    Account, Counted, CredentialsError, Cursor, Malformed, Mapping, MappingError, Page, Read, RulesByAttribute, Source,
    SourceError, Zones,
};
use store::{
    Commit, Lease, Owned, Stage, operate,
    user::{About, Acquire, Attribute, Connected, ExistConnection, Mode, SourceConnection, document, field},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::stand::Stand;

/// Records appended in one step, as a page of a source is.
pub(crate) const BATCH: usize = 100;
/// What a record's payload is filled up to.
const PAYLOAD_BYTES: usize = 300;
pub(crate) const ATTRIBUTES: [&str; 3] = ["productive_min", "neutral_min", "distracting_min"];

pub(crate) fn name() -> SourceName {
    SourceName::try_new("bench").expect("lower-case letters")
}

fn attribute(index: usize) -> AttributeName {
    AttributeName::try_new(ATTRIBUTES[index % ATTRIBUTES.len()]).expect("letters and underscores")
}

/// A source that is never polled: a record counts for one attribute on one day.
pub(crate) struct Bench;

#[async_trait::async_trait]
impl Source for Bench {
    fn name(&self) -> SourceName {
        name()
    }

    fn check_credentials(&self, _: &serde_json::Value) -> Result<(), CredentialsError> {
        Ok(())
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Counts(rules.keys().map(|name| (name.clone(), Unit::Seconds)).collect())))
    }

    async fn read(&self, _: &Account, _: &Cursor, _: &Read) -> Result<Page, SourceError> {
        Err(SourceError::Refused { source_name: "bench", detail: "never polled".into() })
    }
}

struct Counts(Vec<(AttributeName, Unit)>);

impl Mapping for Counts {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.0
    }

    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed> {
        #[derive(serde::Deserialize)]
        struct Record {
            attribute: usize,
            start: Timestamp,
            seconds: i64,
        }
        let record: Record = serde_json::from_str(payload).map_err(|error| Malformed(error.to_string()))?;
        let day = zones.day_of(record.start);
        Ok(Counted::Adds(vec![Contribution { attribute: attribute(record.attribute), day, amount: record.seconds }]))
    }
}

/// Connected people and how many records were appended for them.
pub(crate) struct Crowd {
    people: Vec<UserId>,
    records: AtomicU64,
    producers: Vec<Owned>,
}

impl Crowd {
    /// Connects people, to the simulated Exist as well.
    pub(crate) async fn connect(stand: &Stand, people: usize) -> anyhow::Result<Self> {
        let mut users = Vec::with_capacity(people);
        for index in 0..people {
            let user = UserId::try_new(&format!("user{index:05}"))?;
            let token = stand.exist_token(user.as_str());
            let exist = ExistConnection {
                connected: Connected::On,
                access_token: stand.seal(&token, &format!("{user}/exist")),
                refresh_token: None,
                expires_at: None,
                adopt: store::user::Adopt::Unset,
                last_chance: false,
            };
            let attributes: BTreeMap<AttributeName, Attribute> = (0..ATTRIBUTES.len())
                .map(|index| {
                    let acquire = Acquire::Template(ATTRIBUTES[index].to_owned());
                    (attribute(index), Attribute { acquire, mode: Mode::Total, unit: Unit::Seconds })
                })
                .collect();
            let rules = attributes.keys().map(|name| (name.clone(), serde_json::json!({}))).collect();
            let connection =
                SourceConnection { connected: Connected::On, credentials: String::new(), rules, last_chance: false };
            let documents = [
                (field::ABOUT.to_owned(), document(&About { timezone: Some("Europe/Vienna".into()) })),
                (field::EXIST.to_owned(), document(&exist)),
                (field::ATTRIBUTES.to_owned(), document(&attributes)),
                (field::source(&name()), document(&connection)),
            ];
            let partition = stand.partitions.of(&user);
            operate::connect(&stand.redis, &stand.keys, partition, &user, &documents, &[], &[]).await?;
            users.push(user);
        }
        let mut producers = Vec::new();
        for partition in stand.partitions.all() {
            let lease = Lease::acquire(&stand.redis, &stand.keys, Stage::Fetch, partition, "bench").await?;
            let lease = lease.ok_or_else(|| anyhow::anyhow!("somebody else fetches here"))?;
            producers.push(Owned { redis: stand.redis.clone(), keys: Arc::clone(&stand.keys), lease });
        }
        Ok(Self { people: users, records: AtomicU64::new(0), producers })
    }

    /// How many records were ever appended; `_appended` says that the caller's are among them.
    pub(crate) fn total(&self, _appended: Appended) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    fn event(&self, user: &UserId) -> RawEvent {
        let number = self.records.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number % 3).expect("less than 3");
        self.record(user, number, place, Timestamp::now(), number % 3_600 + 1)
    }

    fn record(&self, user: &UserId, number: u64, attribute: usize, start: Timestamp, seconds: u64) -> RawEvent {
        let now = Timestamp::now();
        let mut payload = format!(r#"{{"attribute":{attribute},"start":"{start:.0}","seconds":{seconds},"fill":""#);
        payload.extend(std::iter::repeat_n('x', PAYLOAD_BYTES.saturating_sub(payload.len() + 2)));
        payload.push_str("\"}");
        RawEvent {
            user: user.clone(),
            source: name(),
            external_id: ExternalId::try_new(&number.to_string()).expect("digits"),
            version: Version(now.as_microsecond()),
            content: ContentHash::of(&payload),
            kind: RecordKind::Present,
            origin: Origin::Poll,
            seen_before: false,
            read_at_ms: now.as_millisecond(),
            payload,
            problem: String::new(),
            replay_of: None,
        }
    }

    /// People by the partition they live in.
    fn by_partition(&self, stand: &Stand) -> HashMap<u16, Vec<&UserId>> {
        let mut homes: HashMap<u16, Vec<&UserId>> = HashMap::new();
        for user in &self.people {
            homes.entry(stand.partitions.of(user).index()).or_default().push(user);
        }
        homes
    }

    /// Appends records as fast as possible, a producer for each partition, in batches as pages are.
    pub(crate) async fn append(&self, stand: &Stand, items: usize, batch: usize) -> anyhow::Result<Appended> {
        let homes = self.by_partition(stand);
        let share = items / homes.len().max(1);
        let rest = items - share * homes.len();
        let producing = homes.iter().enumerate().map(|(index, (partition, users))| async move {
            let owned = &self.producers[usize::from(*partition)];
            let mut left = share + if index == 0 { rest } else { 0 };
            let mut turn = 0;
            while left > 0 {
                let events: Vec<RawEvent> =
                    (0..batch.min(left)).map(|place| self.event(users[(turn + place) % users.len()])).collect();
                left -= events.len();
                turn += events.len();
                let mut commit = Commit::new();
                owned.append_raw(&mut commit, &events);
                owned.commit(commit).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
        futures::future::try_join_all(producing).await?;
        Ok(Appended)
    }

    /// How many people there are.
    pub(crate) fn people(&self) -> usize {
        self.people.len()
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
                self.record(user, number, attribute, start, 60)
            };
            let pairs = starts.flat_map(|start| (0..ATTRIBUTES.len()).map(move |attribute| (start, attribute)));
            let events: Vec<RawEvent> = pairs.map(event).collect();
            if events.is_empty() {
                continue;
            }
            let owned = &self.producers[usize::from(stand.partitions.of(user).index())];
            let mut commit = Commit::new();
            owned.append_raw(&mut commit, &events);
            owned.commit(commit).await?;
        }
        Ok(Appended)
    }

    /// Appends one record at a time at a steady rate, noting when each was to start.
    pub(crate) async fn append_steadily(
        &self,
        stand: &Stand,
        rate: u32,
        lasting: Duration,
        started: &Mutex<HashMap<String, Instant>>,
    ) -> anyhow::Result<Appended> {
        /// Ticks of a millisecond carry several records at higher rates.
        const TICK: Duration = Duration::from_millis(1);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begun = Instant::now();
        let mut due_in_thousandths = 0;
        let mut appends = Vec::new();
        let mut turn = 0;
        while begun.elapsed() < lasting {
            let scheduled = tick.tick().await.into_std();
            due_in_thousandths += rate;
            while due_in_thousandths >= 1000 {
                due_in_thousandths -= 1000;
                let user = &self.people[turn % self.people.len()];
                turn += 1;
                let event = self.event(user);
                started
                    .lock()
                    .map_err(|_| anyhow::anyhow!("a recorder panicked"))?
                    .insert(event.external_id.to_string(), scheduled);
                let owned = self.producers[usize::from(stand.partitions.of(user).index())].clone();
                appends.push(tokio::spawn(async move {
                    let mut commit = Commit::new();
                    owned.append_raw(&mut commit, &[event]);
                    owned.commit(commit).await
                }));
            }
        }
        for append in appends {
            append.await??;
        }
        Ok(Appended)
    }
}

/// Records were appended.
#[derive(Clone, Copy)]
pub(crate) struct Appended;
