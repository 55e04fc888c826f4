//! A private Redis with people, and with what waits for them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event::{
    AttributeName, Day, Decimal, EntryId, Partition, PartitionCount, Reason, SourceName, TransactionId, Unit, UserId,
};
use ledger::{Buckets, Budget, Held, Mode, Pair};
use store::{
    Bounds, Commit, Confirmed, DeadLetter, Keys, Lease, Look, Memory, Owned, Question, Redis, Stage, Totals, look,
    now_ms, operate,
    user::{About, Acquire, Adopt, Attribute, Connected, ExistConnection, SourceConnection, document, field},
};

pub(crate) const RETENTION: Duration = Duration::from_secs(3 * 86_400);
const BACKFILL_DAYS: u32 = 30;

pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) partitions: PartitionCount,
}

pub(crate) async fn connect(url: &str) -> Redis {
    let url = [("TRIBUTARY_REDIS_URL".to_owned(), url.to_owned())];
    Redis::connect(&settings::Settings::load(url, &[], None).unwrap().redis_url).await.unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::try_new(name).unwrap()
}

pub(crate) fn question(bounds: Bounds) -> Question {
    Question {
        buckets: Buckets::new(RETENTION),
        budget: Budget::try_new(300, Duration::from_secs(3600)).unwrap(),
        backfill_days: BACKFILL_DAYS,
        bounds,
    }
}

impl Stand {
    pub(crate) async fn on(url: &str, partitions: u16) -> Self {
        let partitions = PartitionCount::try_new(partitions).unwrap();
        Self { redis: connect(url).await, keys: Arc::new(Keys::default()), partitions }
    }

    pub(crate) async fn look(&self, bounds: Bounds, memory: &mut Memory) -> Look {
        look(&self.redis, &self.keys, self.partitions, &question(bounds), memory).await.unwrap()
    }

    pub(crate) async fn owned(&self, stage: Stage, partition: Partition) -> Owned {
        let lease = Lease::acquire(&self.redis, &self.keys, stage, partition, "the test").await.unwrap();
        Owned { redis: self.redis.clone(), keys: Arc::clone(&self.keys), lease: lease.expect("nobody else is there") }
    }

    /// Connects somebody to Exist, where they are off, and to Toggl, with an attribute in increment mode.
    pub(crate) async fn person(&self, name: &str) {
        let toggl = SourceName::try_new("toggl").unwrap();
        let off = Connected::Off { reason: "revoked".into(), since_ms: 1 };
        let exist = ExistConnection {
            connected: off,
            access_token: "sealed".into(),
            refresh_token: None,
            expires_at: None,
            adopt: Adopt::Unset,
            last_chance: false,
        };
        let source = SourceConnection {
            connected: Connected::On,
            credentials: "sealed".into(),
            rules: BTreeMap::new(),
            last_chance: false,
        };
        let attribute = Attribute { acquire: Acquire::Name, mode: Mode::Increment, unit: Unit::Count };
        let documents = [
            (field::ABOUT.to_owned(), document(&About { timezone: None })),
            (field::EXIST.to_owned(), document(&exist)),
            (field::ATTRIBUTES.to_owned(), document(&BTreeMap::from([(attribute_name(), attribute)]))),
            (field::source(&toggl), document(&source)),
        ];
        let user = user(name);
        let partition = self.partitions.of(&user);
        operate::connect(&self.redis, &self.keys, partition, &user, &documents, &[], &[toggl]).await.unwrap();
    }

    /// Gives somebody a value that nobody can decide, one that is known, and a wait that Exist asked for.
    pub(crate) async fn trouble(&self, owned: &Owned, name: &str) {
        let (user, now_ms) = (user(name), now_ms(&self.redis).await.unwrap());
        let today = Day::from_number(i32::try_from(now_ms / 86_400_000).unwrap());
        let request = TransactionId { partition: owned.partition(), entry: EntryId { ms: now_ms, seq: 0 } };
        let (mut commit, mut totals) = (Commit::new(), Totals::new(BACKFILL_DAYS));
        for (ago, ours) in [(0, None), (20, None), (1, Some(Decimal::whole(1)))] {
            let held = Held { value: Some(Decimal::whole(3)), ours, ..Held::default() };
            let pair = Pair { attribute: attribute_name(), day: today.plus(-ago) };
            totals.confirm(&mut commit, owned, &user, &pair, &Confirmed { held, request });
        }
        owned.not_before(&mut commit, &user, now_ms + 600_000);
        owned.commit(commit).await.unwrap();
    }

    /// Keeps entries of a lane in a list.
    pub(crate) async fn overflow(&self, owned: &Owned, lane: &str, ages_ms: &[u64]) {
        let now_ms = now_ms(&self.redis).await.unwrap();
        let mut commit = Commit::new();
        for age in ages_ms {
            let kept = event::encode(&(EntryId { ms: now_ms - age, seq: 0 }, vec![1_u8]));
            owned.begin_overflow(&mut commit, lane);
            owned.push_overflow(&mut commit, lane, &kept);
        }
        owned.commit(commit).await.unwrap();
    }

    pub(crate) async fn bury(&self, owned: &Owned, number: u64, cause: Reason) -> DeadLetter {
        let at_ms = now_ms(&self.redis).await.unwrap();
        let letter = DeadLetter {
            transaction: TransactionId { partition: owned.partition(), entry: EntryId { ms: at_ms, seq: number } },
            stage: owned.stage().to_string(),
            user: "alice".into(),
            source: "toggl".into(),
            external_id: number.to_string(),
            cause,
            error: "toggl: duration: missing".into(),
            at_ms,
            deliveries: 1,
            entry: Vec::new(),
        };
        let mut commit = Commit::new();
        owned.bury(&mut commit, Buckets::new(RETENTION), &letter);
        owned.commit(commit).await.unwrap();
        letter
    }
}

fn attribute_name() -> AttributeName {
    AttributeName::try_new("commits").unwrap()
}
