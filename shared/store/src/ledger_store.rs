//! The ledger in Redis: totals by day, what changed, what Exist holds, and what is under way.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use event::{
    AttributeName, Contribution, Day, EntryId, ExternalId, Partition, SourceName, State, Trace, TransactionId, UserId,
    Version,
};
use ledger::{Held, Pair};
use serde::{Deserialize, Serialize};

use crate::{
    Commit, Owned, StoreError,
    key::{last_day_of, period_of},
    pack::{Packed, Packer, Unpacker},
};

const DAY_MS: u64 = 86_400_000;
/// Totals outlive the last day of their period by the back-fill window and this many days.
const SLACK_DAYS: u64 = 7;

/// What of a record is in the totals. On the exist-writer's shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The version.
    pub version: Version,
    /// The transaction that brought it.
    pub transaction: TransactionId,
    /// What it adds.
    pub contributions: Vec<Contribution>,
    /// The recount of its source that was the latest when it was applied; 0 for none. Below 2⁶³.
    pub generation: u64,
}

impl Packed for Applied {
    fn pack(&self, near_ms: u64) -> Vec<u8> {
        let mut packer = Packer::near(near_ms);
        packer.entry(self.transaction.entry);
        packer.version(self.version, self.generation);
        packer.contributions(&self.contributions);
        packer.into_bytes()
    }

    fn unpack(bytes: &[u8], partition: Partition, near_ms: u64) -> Option<Self> {
        let mut unpacker = Unpacker::near(bytes, partition, near_ms);
        let transaction = unpacker.transaction()?;
        let (version, generation) = unpacker.version()?;
        let contributions = unpacker.contributions()?;
        unpacker.is_done().then_some(Self { version, transaction, contributions, generation })
    }
}

/// A transaction that waits for Exist to hold what it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// At which source.
    pub source: SourceName,
    /// The record.
    pub external_id: ExternalId,
    /// Its version.
    pub version: Version,
    /// When it was read.
    pub read_at_ms: i64,
    /// `Processing`, or `Disabled` while Exist is not connected.
    pub state: State,
    /// The normalised entry that carried it.
    pub entry: EntryId,
    /// The pairs it changed that are not confirmed yet.
    pub pairs: Vec<Pair>,
    /// Where that entry was handled, if it is traced.
    #[serde(skip)]
    pub trace: Option<Trace>,
}

/// What Exist is known to hold for one pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// What stands there, and whose it is.
    pub held: Held,
    /// The request that wrote it, or may have.
    pub request: TransactionId,
}

/// A pair's state, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairState {
    /// Which.
    pub pair: Pair,
    /// The normalised entry that changed it last; `None` if nothing waits to be sent.
    pub changed_by: Option<EntryId>,
    /// Each source's share, in base units.
    pub totals: BTreeMap<SourceName, i64>,
    /// What Exist holds.
    pub confirmed: Option<Confirmed>,
}

/// Writes totals; remembers which keys already have their expiry.
pub struct Totals {
    back_fill_days: u32,
    expiring: HashSet<String>,
}

/// Most keys whose expiry is remembered; then it is set again.
const EXPIRING_MAX: usize = 50_000;

impl Totals {
    /// Totals of days that can still change for so many days.
    #[must_use]
    pub fn new(back_fill_days: u32) -> Self {
        Self { back_fill_days, expiring: HashSet::new() }
    }

    /// Adds a difference to its day's total.
    pub fn add(
        &mut self,
        commit: &mut Commit,
        owned: &Owned,
        user: &UserId,
        source: &SourceName,
        change: &Contribution,
    ) {
        let period = period_of(change.day);
        let key = owned.keys.totals(owned.partition(), user, period);
        commit.add(&key, &format!("{}|{}|{source}", change.attribute, change.day.number()), change.amount);
        self.expire(commit, key, period);
    }

    /// Takes a source's part out of a day's total.
    pub fn take_out(commit: &mut Commit, owned: &Owned, user: &UserId, source: &SourceName, pair: &Pair) {
        let key = owned.keys.totals(owned.partition(), user, period_of(pair.day));
        commit.unset(&key, &format!("{pair}|{source}"));
    }

    /// Notes what Exist holds.
    pub fn confirm(&mut self, commit: &mut Commit, owned: &Owned, user: &UserId, pair: &Pair, confirmed: &Confirmed) {
        let period = period_of(pair.day);
        let key = owned.keys.confirmed(owned.partition(), user, period);
        commit.set(&key, &pair.to_string(), &event::encode(confirmed));
        self.expire(commit, key, period);
    }

    fn expire(&mut self, commit: &mut Commit, key: String, period: i32) {
        if self.expiring.len() > EXPIRING_MAX {
            self.expiring.clear();
        }
        if !self.expiring.contains(&key) {
            commit.expire_at(&key, period_expires_at_ms(period, self.back_fill_days));
            self.expiring.insert(key);
        }
    }
}

impl Owned {
    /// The pairs of a user that changed and are not confirmed, with the entry that changed each last.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn changed_pairs(&self, user: &UserId) -> Result<BTreeMap<Pair, EntryId>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.changed(self.partition(), user));
        let fields: HashMap<String, String> = self.redis.run("reading changed pairs", &command).await?;
        let pair = |(pair, entry): (String, String)| Some((pair.parse().ok()?, entry.parse().ok()?));
        Ok(fields.into_iter().filter_map(pair).collect())
    }

    /// The pairs of some attributes that have a total, on the days from one to another.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn pairs_with_totals(
        &self,
        user: &UserId,
        attributes: &HashSet<AttributeName>,
        from: Day,
        to: Day,
    ) -> Result<BTreeSet<Pair>, StoreError> {
        let mut pipeline = redis::pipe();
        for period in period_of(from)..=period_of(to) {
            pipeline.cmd("HKEYS").arg(self.keys.totals(self.partition(), user, period));
        }
        let fields: Vec<Vec<String>> = self.redis.run_all("reading days", &pipeline).await?;
        let pairs = fields.into_iter().flatten().filter_map(|field| field.rsplit_once('|')?.0.parse::<Pair>().ok());
        Ok(pairs.filter(|pair| attributes.contains(&pair.attribute)).collect())
    }

    /// What one source adds to each day from one to another.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn totals_of(
        &self,
        user: &UserId,
        source: &SourceName,
        from: Day,
        to: Day,
    ) -> Result<BTreeMap<Pair, i64>, StoreError> {
        let mut pipeline = redis::pipe();
        for period in period_of(from)..=period_of(to) {
            pipeline.cmd("HGETALL").arg(self.keys.totals(self.partition(), user, period));
        }
        let hashes: Vec<HashMap<String, Vec<u8>>> = self.redis.run_all("reading totals", &pipeline).await?;
        let totals = hashes.into_iter().flatten().filter_map(|(field, value)| total(&field, &value));
        let ours = totals.filter(|(pair, whose, _)| whose == source && pair.day >= from && pair.day <= to);
        Ok(ours.map(|(pair, _, amount)| (pair, amount)).collect())
    }

    /// A pair is to be looked at again, unless an entry changed it anyway.
    pub fn note_unsure(&self, commit: &mut Commit, user: &UserId, pair: &Pair) {
        let key = self.keys.changed(self.partition(), user);
        let nobody = EntryId { ms: 0, seq: 0 };
        commit.command("HSETNX", &key).arg(pair.to_string()).arg(nobody.to_string());
    }

    /// Totals and confirmed values of pairs, in the order asked.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: a value of an incompatible release.
    pub async fn pair_states(
        &self,
        user: &UserId,
        pairs: impl Iterator<Item = Pair>,
        changed: &BTreeMap<Pair, EntryId>,
    ) -> Result<Vec<PairState>, StoreError> {
        let mut states = pair_states(&self.redis, &self.keys, self.partition(), user, pairs).await?;
        for state in &mut states {
            state.changed_by = changed.get(&state.pair).copied();
        }
        Ok(states)
    }

    /// The transactions of a user that wait for Exist.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: one of an incompatible release.
    pub async fn open_transactions(&self, user: &UserId) -> Result<Vec<(TransactionId, Open)>, StoreError> {
        let key = self.keys.open(self.partition(), user);
        let mut command = redis::cmd("HGETALL");
        command.arg(&key);
        let fields: HashMap<String, Vec<u8>> = self.redis.run("reading open transactions", &command).await?;
        let mut open = Vec::with_capacity(fields.len());
        for (id, bytes) in fields {
            let transaction: Open =
                event::decode(&bytes).map_err(|source| StoreError::Decode { key: key.clone(), source })?;
            if let Ok(id) = id.parse() {
                open.push((id, Open { trace: Trace::of(&bytes), ..transaction }));
            }
        }
        open.sort_by_key(|(id, _)| *id);
        Ok(open)
    }

    /// A transaction waits for Exist, or goes on waiting for fewer pairs.
    pub fn keep_open(&self, commit: &mut Commit, user: &UserId, transaction: TransactionId, open: &Open) {
        let key = self.keys.open(self.partition(), user);
        commit.set(&key, &transaction.to_string(), &event::encode_traced(open, open.trace));
    }

    /// A transaction waits no more.
    pub fn close(&self, commit: &mut Commit, user: &UserId, transaction: TransactionId) {
        commit.unset(&self.keys.open(self.partition(), user), &transaction.to_string());
    }

    /// A pair changed by an entry, to be sent.
    pub fn note_changed(&self, commit: &mut Commit, user: &UserId, pair: &Pair, by: EntryId) {
        let key = self.keys.changed(self.partition(), user);
        commit.set(&key, &pair.to_string(), by.to_string().as_bytes());
    }

    /// A pair is settled, unless a later entry changed it since.
    pub fn note_settled(&self, commit: &mut Commit, user: &UserId, pair: &Pair, by: EntryId) {
        commit.clear(&self.keys.changed(self.partition(), user), &pair.to_string(), &by.to_string());
    }

    /// The pairs that we are known to have written or read, on the days from one to another.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn confirmed_pairs(&self, user: &UserId, from: Day, to: Day) -> Result<BTreeSet<Pair>, StoreError> {
        let mut pipeline = redis::pipe();
        for period in period_of(from)..=period_of(to) {
            pipeline.cmd("HKEYS").arg(self.keys.confirmed(self.partition(), user, period));
        }
        let fields: Vec<Vec<String>> = self.redis.run_all("reading what was confirmed", &pipeline).await?;
        let pairs = fields.into_iter().flatten().filter_map(|field| field.parse::<Pair>().ok());
        Ok(pairs.filter(|pair| pair.day >= from && pair.day <= to).collect())
    }
}

/// Totals and confirmed values of pairs, in the order asked.
///
/// # Errors
/// As [`Owned::pair_states`].
pub async fn pair_states(
    redis: &crate::Redis,
    keys: &crate::Keys,
    partition: Partition,
    user: &UserId,
    pairs: impl Iterator<Item = Pair>,
) -> Result<Vec<PairState>, StoreError> {
    let pairs: Vec<Pair> = pairs.collect();
    let periods: Vec<i32> = pairs.iter().map(|pair| period_of(pair.day)).collect::<HashSet<_>>().into_iter().collect();
    if periods.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = redis::pipe();
    for &period in &periods {
        pipeline.cmd("HGETALL").arg(keys.totals(partition, user, period));
        pipeline.cmd("HGETALL").arg(keys.confirmed(partition, user, period));
    }
    let hashes: Vec<HashMap<String, Vec<u8>>> = redis.run_all("reading totals", &pipeline).await?;
    let mut totals: HashMap<Pair, BTreeMap<SourceName, i64>> = HashMap::new();
    let mut confirmed: HashMap<Pair, Confirmed> = HashMap::new();
    for (index, hash) in hashes.into_iter().enumerate() {
        for (field, value) in hash {
            if index % 2 == 0 {
                if let Some((pair, source, amount)) = total(&field, &value) {
                    totals.entry(pair).or_default().insert(source, amount);
                }
            } else if let Ok(pair) = field.parse() {
                let value = event::decode(&value).map_err(|source| StoreError::Decode {
                    key: keys.confirmed(partition, user, periods[index / 2]),
                    source,
                })?;
                confirmed.insert(pair, value);
            }
        }
    }
    let state = |pair: Pair| PairState {
        changed_by: None,
        totals: totals.remove(&pair).unwrap_or_default(),
        confirmed: confirmed.remove(&pair),
        pair,
    };
    Ok(pairs.into_iter().map(state).collect())
}

/// When the totals of a period expire, in milliseconds since 1970.
pub(crate) fn period_expires_at_ms(period: i32, back_fill_days: u32) -> u64 {
    let last_day = u64::try_from(last_day_of(period).number()).unwrap_or(0);
    (last_day + 1 + u64::from(back_fill_days) + SLACK_DAYS) * DAY_MS
}

/// `attribute|day|source` and an amount.
pub(crate) fn total(field: &str, value: &[u8]) -> Option<(Pair, SourceName, i64)> {
    let (pair, source) = field.rsplit_once('|')?;
    let amount = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some((pair.parse().ok()?, SourceName::try_new(source).ok()?, amount))
}

/// The period keys that a user's days from one to another can have, for erasing.
pub fn period_keys(keys: &crate::Keys, partition: event::Partition, user: &UserId, from: Day, to: Day) -> Vec<String> {
    (period_of(from)..=period_of(to))
        .flat_map(|period| [keys.totals(partition, user, period), keys.confirmed(partition, user, period)])
        .collect()
}

/// The attributes a set of pairs needs.
#[must_use]
pub fn attributes_of<'a>(pairs: impl Iterator<Item = &'a Pair>) -> HashSet<AttributeName> {
    pairs.map(|pair| pair.attribute.clone()).collect()
}
