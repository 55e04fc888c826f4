//! The archive: every event the ledger handled, packed, in a list for each user and bucket.

use std::collections::{BTreeMap, HashMap, HashSet};

use event::{Day, ExternalId, SourceName, UserId};
use ledger::{Before, Bucket, Buckets, Opening, Sums, Telling};

use crate::{
    Applied, Commit, Owned, StoreError,
    key::{DAYS_PER_PERIOD, first_day_of, period_of},
    ledger_store::{period_expires_at_ms, total},
    pack::Packer,
};

mod kept; // what is kept of one user, read at one moment
mod pack; // how few bytes that takes
mod repair; // the ledger put right

pub use kept::{Kept, kept};

/// Most users of a partition whose buckets are remembered; then all are asked for again.
const USERS_MAX: usize = 5_000;
/// How far ahead of today an opening looks, in days: further days are not written for as long, and the
/// openings of later buckets reach them in time.
const AHEAD_DAYS: i32 = 2 * DAYS_PER_PERIOD;
const DAY_MS: u64 = 86_400_000;

/// Writes the archive. Only the partition's owner may have one: it remembers which buckets were begun.
pub struct ArchiveWriter {
    buckets: Buckets,
    back_fill_days: u32,
    begun: HashMap<UserId, Bucket>,
    /// First elements of buckets that begin with the next commit.
    openings: HashMap<UserId, Vec<u8>>,
    events: BTreeMap<UserId, Packer>,
}

impl ArchiveWriter {
    /// Keeps events for the retention time that `buckets` cuts; totals for so many days.
    #[must_use]
    pub fn new(buckets: Buckets, back_fill_days: u32) -> Self {
        let (begun, openings, events) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Self { buckets, back_fill_days, begun, openings, events }
    }

    /// Makes sure that the present bucket of each of these users has begun, or begins with the next commit.
    ///
    /// A bucket begins with the user's totals as they stand now: events older than the archive are in them and
    /// nowhere else. So this comes before anything of a batch is applied.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn begin<'a>(
        &mut self,
        owned: &Owned,
        now_ms: u64,
        users: impl Iterator<Item = &'a UserId>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "finding a user's archive";
        if self.begun.len() > USERS_MAX {
            self.begun.clear();
        }
        let bucket = self.buckets.at(now_ms);
        let new: HashSet<&UserId> = users.filter(|user| self.begun.get(*user) != Some(&bucket)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let alive: Vec<Bucket> = self.buckets.alive(now_ms).collect();
        let mut pipeline = redis::pipe();
        for user in &new {
            for &bucket in &alive {
                pipeline.cmd("EXISTS").arg(owned.keys.archive(owned.partition(), user, bucket));
            }
        }
        let exist: Vec<bool> = owned.redis.run_all(DOING, &pipeline).await?;
        let (mut beginning, mut pipeline) = (Vec::new(), redis::pipe());
        let days = open_days(now_ms, self.back_fill_days);
        let periods = period_of(*days.start())..=period_of(*days.end());
        for (user, exist) in new.into_iter().zip(exist.chunks(alive.len())) {
            self.begun.insert(user.clone(), bucket);
            if !exist[0] {
                let earlier = alive.iter().zip(exist).filter(|(_, exists)| **exists).map(|(bucket, _)| *bucket);
                beginning.push((user, earlier.collect::<Vec<_>>()));
                for period in periods.clone() {
                    pipeline.cmd("HGETALL").arg(owned.keys.totals(owned.partition(), user, period));
                }
            }
        }
        if beginning.is_empty() {
            return Ok(());
        }
        let totals: Vec<HashMap<String, Vec<u8>>> = owned.redis.run_all(DOING, &pipeline).await?;
        for ((user, earlier), totals) in beginning.into_iter().zip(totals.chunks(periods.count())) {
            let opening = Opening { days: days.clone(), sums: sums(totals.iter()) };
            self.openings.insert(user.clone(), pack::opening(bucket, &earlier, &opening));
        }
        Ok(())
    }

    /// An event was handled: what it says, and what stood before.
    pub fn told(
        &mut self,
        user: &UserId,
        source: &SourceName,
        external_id: &ExternalId,
        telling: &Telling,
        before: &Before,
    ) {
        self.events.entry(user.clone()).or_default().told(source, external_id, telling, before);
    }

    /// A recount took a source's totals out, from a day on.
    pub fn recount_begun(&mut self, user: &UserId, source: &SourceName, generation: u64, from: Day) {
        self.events.entry(user.clone()).or_default().recount_begun(source, generation, from);
    }

    /// Writes what was told into the commit that applies it.
    ///
    /// # Panics
    /// When an event's user was not [begun](Self::begin).
    pub fn write(&mut self, commit: &mut Commit, owned: &Owned) {
        for (user, events) in std::mem::take(&mut self.events) {
            let bucket = *self.begun.get(&user).expect("the bucket of every event has begun");
            let key = owned.keys.archive(owned.partition(), &user, bucket);
            let events = events.into_element();
            match self.openings.remove(&user) {
                Some(opening) => {
                    commit.command("RPUSH", &key).arg(opening).arg(events);
                    commit.expire_at(&key, self.buckets.expires_at_ms(bucket));
                }
                // A list that was erased meanwhile stays erased: without its opening it says nothing.
                None => drop(commit.command("RPUSHX", &key).arg(events)),
            }
        }
    }
}

/// The days on which a user can have totals now, as far as openings look.
fn open_days(now_ms: u64, back_fill_days: u32) -> std::ops::RangeInclusive<Day> {
    let today = Day::from_number(i32::try_from(now_ms / DAY_MS).unwrap_or(i32::MAX / 2));
    let mut oldest = period_of(today);
    while period_expires_at_ms(oldest - 1, back_fill_days) > now_ms {
        oldest -= 1;
    }
    first_day_of(oldest)..=today.plus(AHEAD_DAYS)
}

/// What stands in hashes of totals.
fn sums<'a>(hashes: impl Iterator<Item = &'a HashMap<String, Vec<u8>>>) -> Sums {
    let totals = hashes.flatten().filter_map(|(field, value)| total(field, value));
    totals.filter(|(_, _, amount)| *amount != 0).map(|(pair, source, amount)| ((source, pair), amount)).collect()
}

impl From<Applied> for Telling {
    fn from(applied: Applied) -> Self {
        let Applied { version, transaction, contributions, generation } = applied;
        Self { version, transaction, contributions, generation }
    }
}

impl From<Telling> for Applied {
    fn from(telling: Telling) -> Self {
        let Telling { version, transaction, contributions, generation } = telling;
        Self { version, transaction, contributions, generation }
    }
}
