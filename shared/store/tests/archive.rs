//! What is archived, read back, cut off, erased and repaired, on a real Redis.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event::{
    AttributeName, Contribution, Day, Decimal, EntryId, ExternalId, Partition, PartitionCount, SourceName,
    TransactionId, Unit, UserId, Version, merge,
};
use ledger::{Before, Bucket, Buckets, Difference, Held, Pair, Telling, compare, difference};
use store::{
    Applied, ArchiveWriter, Commit, Confirmed, Kept, Keys, Lease, Owned, RecordKey, Redis, Shelf, Stage, Totals, kept,
    keys_of, now_ms,
    user::{Acquire, Adopt, Attribute, AttributeState, Connected, ExistConnection, Mode, User},
};

/// Buckets of a day.
const RETENTION: Duration = Duration::from_secs(6 * 86_400);
const BACK_FILL_DAYS: u32 = 30;
const DAY_MS: u64 = 86_400_000;

fn partition() -> Partition {
    PartitionCount::try_new(1).unwrap().get_partition(0).unwrap()
}

fn alice() -> UserId {
    UserId::try_new("alice").unwrap()
}

fn toggl() -> SourceName {
    SourceName::try_new("toggl").unwrap()
}

/// A ledger that is written as the exist-writer writes it, one event a commit, at moments of the test's choice.
struct Stand {
    owned: Owned,
    now_ms: u64,
    writer: ArchiveWriter,
    shelf: Shelf<Applied>,
    totals: Totals,
    told: u64,
}

impl Stand {
    async fn new() -> Self {
        let url = testkit::redis().url().to_owned();
        let settings = settings::Settings::load([("TRIBUTARY_REDIS_URL".to_owned(), url)], &[], None).unwrap();
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        let lease = Lease::acquire(&redis, &keys, Stage::Write, partition(), "us").await.unwrap().unwrap();
        let buckets = Buckets::new(RETENTION);
        Self {
            now_ms: now_ms(&redis).await.unwrap(),
            owned: Owned { redis, keys, lease },
            writer: ArchiveWriter::new(buckets, BACK_FILL_DAYS),
            shelf: Shelf::applied(buckets),
            totals: Totals::new(BACK_FILL_DAYS),
            told: 0,
        }
    }

    /// A moment so many buckets ago.
    fn ago(&self, buckets: u64) -> u64 {
        self.now_ms - buckets * DAY_MS
    }

    fn today(&self) -> Day {
        Day::from_number(i32::try_from(self.now_ms / DAY_MS).unwrap())
    }

    /// Another process owns the partition and remembers nothing.
    fn forget(&mut self) {
        let buckets = Buckets::new(RETENTION);
        self.writer = ArchiveWriter::new(buckets, BACK_FILL_DAYS);
        self.shelf = Shelf::applied(buckets);
    }

    /// The record's next version says that it takes so many seconds today.
    async fn tell(&mut self, at_ms: u64, record: &str, seconds: i64) {
        self.told += 1;
        let external_id = ExternalId::try_new(record).unwrap();
        let key = RecordKey { user: alice(), source: toggl(), external_id: external_id.clone() };
        let adds = Contribution { attribute: productive().attribute, day: self.today(), amount: seconds };
        let telling = Telling {
            version: Version(i64::try_from(self.told).unwrap()),
            transaction: TransactionId { partition: partition(), entry: EntryId { ms: at_ms, seq: self.told } },
            contributions: merge([adds]),
            generation: 0,
        };
        let held = self.shelf.find(&self.owned, at_ms, std::slice::from_ref(&key)).await.unwrap();
        self.writer.begin(&self.owned, at_ms, [alice()].iter()).await.unwrap();
        let was = held.get(&key);
        let before =
            was.map_or(Before::Nothing, |was| Before::Held { telling: was.value.clone().into(), void_from: None });
        self.writer.told(&alice(), &toggl(), &external_id, &telling, &before);
        let mut commit = Commit::new();
        let old = was.map(|was| was.value.contributions.clone()).unwrap_or_default();
        for change in difference(&old, &telling.contributions) {
            self.totals.add(&mut commit, &self.owned, &alice(), &toggl(), &change);
        }
        self.shelf.put(&mut commit, &self.owned, at_ms, &key, was, &telling.into());
        self.writer.write(&mut commit, &self.owned);
        self.owned.commit(commit).await.unwrap();
    }

    async fn kept(&self) -> Kept {
        let buckets = Buckets::new(RETENTION);
        kept(&self.owned.redis, &self.owned.keys, partition(), &alice(), &documents(), buckets, BACK_FILL_DAYS)
            .await
            .unwrap()
    }

    fn buckets(kept: &Kept) -> Vec<Bucket> {
        kept.archive.openings.keys().copied().collect()
    }

    /// What differs, seen from each bucket that is kept.
    async fn differences(&self) -> Vec<Vec<Difference>> {
        let kept = self.kept().await;
        let from = |bucket: &Bucket| kept.archive.rebuild_from(*bucket).unwrap();
        let buckets = kept.archive.openings.keys();
        buckets.map(|bucket| compare(&kept.archive, &from(bucket), &kept.found, &kept.days)).collect()
    }

    async fn command(&self, command: &[&str]) -> redis::Value {
        let mut asked = redis::cmd(command[0]);
        asked.arg(&command[1..]).query_async(&mut self.owned.redis.clone()).await.unwrap()
    }

    fn archive(&self, bucket: Bucket) -> String {
        self.owned.keys.archive(partition(), &alice(), bucket)
    }

    /// The one key of these that exists.
    async fn existing(&self, names: Vec<String>) -> String {
        for name in names {
            if self.command(&["EXISTS", &name]).await == redis::Value::Int(1) {
                return name;
            }
        }
        panic!("none of them exists");
    }

    async fn totals_key(&self) -> String {
        let (keys, day) = (&self.owned.keys, self.today());
        self.existing(store::period_keys(keys, partition(), &alice(), day, day)).await
    }
}

fn productive() -> Pair {
    Pair { attribute: AttributeName::try_new("productive_min").unwrap(), day: Day::from_number(0) }
}

/// One attribute, which Exist is to hold.
fn documents() -> User {
    let acquire = Acquire::Template("productive_min".to_owned());
    let attribute = Attribute { acquire, mode: Mode::Total, unit: Unit::Seconds };
    let owned = AttributeState::Owned {
        name: "productive_min".to_owned(),
        reacquired: false,
        fresh_until: None,
        was_ours: false,
        taken_over: false,
    };
    let exist = ExistConnection {
        connected: Connected::On,
        access_token: String::new(),
        refresh_token: None,
        expires_at: None,
        adopt: Adopt::Unset,
        last_chance: false,
    };
    User {
        exist: Some(exist),
        attributes: BTreeMap::from([(productive().attribute, attribute)]),
        attribute_states: BTreeMap::from([(productive().attribute, owned)]),
        ..User::default()
    }
}

#[tokio::test]
async fn a_bucket_begins_with_what_stood_and_the_rebuild_from_each_is_the_ledger() {
    let mut stand = Stand::new().await;
    stand.tell(stand.ago(3), "1", 600).await;
    stand.tell(stand.ago(3), "2", 60).await;
    stand.forget();
    stand.tell(stand.ago(1), "1", 900).await;
    stand.forget();
    stand.tell(stand.ago(0), "3", 1).await;
    stand.forget();
    stand.tell(stand.ago(0), "2", 0).await;
    let kept = stand.kept().await;
    let sums: Vec<i64> = kept.archive.openings.values().map(|opening| opening.sums.values().sum()).collect();
    assert_eq!(sums, [0, 660, 960]);
    assert_eq!(kept.archive.events.len(), 5);
    let differences = stand.differences().await;
    // Nothing was ever sent to Exist, and nothing waits.
    let unsent = |all: &Vec<Difference>| matches!(&all[..], [Difference::Exist { found: None, .. }]);
    assert!(differences.len() == 3 && differences.iter().all(unsent), "{differences:?}");
}

#[tokio::test]
async fn buckets_before_a_missing_one_are_not_believed() {
    let mut stand = Stand::new().await;
    for (age, record) in [(4, "1"), (2, "2"), (0, "3")] {
        stand.tell(stand.ago(age), record, 60).await;
    }
    let buckets = Stand::buckets(&stand.kept().await);
    assert_eq!(buckets.len(), 3);
    stand.command(&["DEL", &stand.archive(buckets[1])]).await;
    assert_eq!(Stand::buckets(&stand.kept().await), buckets[2..]);
}

#[tokio::test]
async fn an_archive_that_was_erased_meanwhile_is_not_begun_in_the_middle() {
    let mut stand = Stand::new().await;
    stand.tell(stand.ago(0), "1", 60).await;
    let bucket = Stand::buckets(&stand.kept().await)[0];
    stand.command(&["DEL", &stand.archive(bucket)]).await;
    stand.tell(stand.ago(0), "2", 60).await;
    assert!(stand.kept().await.archive.rebuild().is_none());
    stand.forget();
    stand.tell(stand.ago(0), "1", 70).await;
    let differences = stand.differences().await;
    assert!(matches!(&differences[0][..], [Difference::Exist { .. }]), "{differences:?}");
}

#[tokio::test]
async fn an_archive_expires_by_itself_and_is_erased_with_its_user() {
    let mut stand = Stand::new().await;
    stand.tell(stand.ago(0), "1", 60).await;
    let key = stand.archive(Stand::buckets(&stand.kept().await)[0]);
    let redis::Value::Int(left) = stand.command(&["PTTL", &key]).await else { panic!("no number") };
    let retention = i64::try_from(RETENTION.as_millis()).unwrap();
    assert!((retention..retention + i64::try_from(DAY_MS).unwrap() + 1).contains(&left), "{left} ms");
    let Owned { redis, keys, .. } = &stand.owned;
    let erased = keys_of(redis, keys, partition(), &alice(), Buckets::new(RETENTION)).await.unwrap();
    assert!(erased.contains(&key));
}

#[tokio::test]
async fn an_archive_that_no_release_wrote_is_refused_by_its_name() {
    let mut stand = Stand::new().await;
    stand.tell(stand.ago(0), "1", 60).await;
    let key = stand.archive(Stand::buckets(&stand.kept().await)[0]);
    stand.command(&["RPUSH", &key, "\u{7f}"]).await;
    let Owned { redis, keys, .. } = &stand.owned;
    let buckets = Buckets::new(RETENTION);
    let refused = kept(redis, keys, partition(), &alice(), &documents(), buckets, BACK_FILL_DAYS).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("unpacking {key}"));
}

#[tokio::test]
async fn what_was_wrong_is_right_after_a_repair_from_every_bucket_and_is_sent_again() {
    let mut stand = Stand::new().await;
    stand.tell(stand.ago(3), "1", 600).await;
    stand.tell(stand.ago(3), "2", 60).await;
    let pair = Pair { day: stand.today(), ..productive() };
    let request = TransactionId { partition: partition(), entry: EntryId { ms: 1, seq: 0 } };
    let eleven = Some(Decimal::whole(11));
    let confirmed = Confirmed { held: Held { value: eleven, ours: eleven, ..Held::default() }, request };
    let mut commit = Commit::new();
    stand.totals.confirm(&mut commit, &stand.owned, &alice(), &pair, &confirmed);
    stand.owned.commit(commit).await.unwrap();
    assert_eq!(stand.differences().await, [vec![]]);

    // The total goes wrong, and the next bucket begins with it; then a record and a confirmation go wrong as well.
    let field = format!("{pair}|toggl");
    let totals = stand.totals_key().await;
    stand.command(&["HINCRBY", &totals, &field, "1000"]).await;
    stand.tell(stand.ago(1), "3", 60).await;
    stand.tell(stand.ago(0), "3", 120).await;
    let applied: Vec<String> =
        (0..8).map(|age| stand.owned.keys.applied(partition(), &alice(), stand.now_ms / DAY_MS - age)).collect();
    let first = stand.existing(applied.iter().rev().cloned().collect()).await;
    stand.command(&["HDEL", &first, "toggl/2"]).await;

    let kept = stand.kept().await;
    let rebuilt = kept.archive.rebuild().unwrap();
    let wrong = compare(&kept.archive, &rebuilt, &kept.found, &kept.days);
    let [
        Difference::Record { record, found: None, .. },
        Difference::Total { found: 1_780, expected: 780, records, .. },
        Difference::Exist { found: Some(_), expected, .. },
    ] = &wrong[..]
    else {
        panic!("{wrong:?}")
    };
    let ids: Vec<&str> = records.iter().map(ExternalId::as_str).collect();
    assert_eq!((record.1.as_str(), ids, *expected), ("2", vec!["1", "2", "3"], Decimal::whole(13)));

    let Owned { redis, keys, .. } = &stand.owned;
    let buckets = Buckets::new(RETENTION);
    let repair = kept.repair(keys, partition(), &alice(), &rebuilt, &wrong, buckets);
    stand.owned.commit(repair).await.unwrap();
    // What Exist holds is not compared while it waits to be sent.
    assert_eq!(stand.differences().await, [vec![], vec![], vec![]]);
    let states = store::pair_states(redis, keys, partition(), &alice(), [pair.clone()].into_iter()).await.unwrap();
    assert_eq!(
        (states[0].totals[&toggl()], &states[0].confirmed),
        (780, &Some(Confirmed { held: Held::default(), request }))
    );
    assert!(stand.owned.changed_pairs(&alice()).await.unwrap().contains_key(&pair));
    let due = stand.owned.due(&keys.due(partition()), 10, &[]).await.unwrap();
    assert_eq!(due.members, ["alice"]);
    // The record is found where its events are, and counted no second time.
    stand.forget();
    stand.tell(stand.ago(0), "2", 30).await;
    assert_eq!(stand.differences().await, [vec![], vec![], vec![]]);
}
