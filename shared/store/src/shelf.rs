//! What is held of each record, in buckets that expire as a whole.

use std::{
    collections::{HashMap, HashSet},
    marker::PhantomData,
};

use event::{ContentHash, ExternalId, Partition, SourceName, UserId};
use ledger::{Bucket, Buckets, Known};

use crate::{
    Commit, Keys, Owned, StoreError,
    pack::{Packed, Packer, Unpacker},
};

/// Most users whose buckets are remembered; then all are asked for again.
const USERS_MAX: usize = 10_000;

/// Names a bucket's key.
type NameKey = fn(&Keys, Partition, &UserId, Bucket) -> String;

/// One record of one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// Whose.
    pub user: UserId,
    /// At which source.
    pub source: SourceName,
    /// Its id there.
    pub external_id: ExternalId,
}

impl RecordKey {
    fn field(&self) -> String {
        format!("{}/{}", self.source, self.external_id)
    }
}

impl Packed for Known {
    fn pack(&self, near_ms: u64) -> Vec<u8> {
        let mut packer = Packer::near(near_ms);
        packer.entry(self.transaction.entry);
        packer.version(self.version, 0);
        self.content.0.to_le_bytes().into_iter().for_each(|byte| packer.byte(byte));
        packer.into_bytes()
    }

    fn unpack(bytes: &[u8], partition: Partition, near_ms: u64) -> Option<Self> {
        let mut unpacker = Unpacker::near(bytes, partition, near_ms);
        let transaction = unpacker.transaction()?;
        let (version, _) = unpacker.version()?;
        let mut content = [0; 8];
        for byte in &mut content {
            *byte = unpacker.byte()?;
        }
        let content = ContentHash(u64::from_le_bytes(content));
        unpacker.is_done().then_some(Self { version, content, transaction })
    }
}

/// A value that stands on the shelf, and where.
#[derive(Debug, Clone)]
pub struct Held<V> {
    /// What is held.
    pub value: V,
    bucket: Bucket,
}

/// One value per record, kept for the retention time after its last change.
///
/// Only the partition's owner may have one: it remembers which buckets exist.
pub struct Shelf<V> {
    name_key: NameKey,
    buckets: Buckets,
    existing: HashMap<UserId, HashSet<Bucket>>,
    holds: PhantomData<V>,
}

impl<V: Packed> Shelf<V> {
    /// The normaliser's: which version of each record is known.
    #[must_use]
    pub fn records(buckets: Buckets) -> Self {
        Self { name_key: Keys::records, buckets, existing: HashMap::new(), holds: PhantomData }
    }

    /// The exist-writer's: which version of each record is in the totals.
    #[must_use]
    pub fn applied(buckets: Buckets) -> Self {
        Self { name_key: Keys::applied, buckets, existing: HashMap::new(), holds: PhantomData }
    }

    /// Forgets which buckets exist: somebody else may have removed some.
    pub fn look_again(&mut self) {
        self.existing.clear();
    }

    /// What is held of these records; those that are not held are missing from the answer.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. [`StoreError::Packed`]: a value of an incompatible release.
    pub async fn find(
        &mut self,
        owned: &Owned,
        now_ms: u64,
        wanted: &[RecordKey],
    ) -> Result<HashMap<RecordKey, Held<V>>, StoreError> {
        let mut by_user: HashMap<&UserId, Vec<&RecordKey>> = HashMap::new();
        for record in wanted {
            by_user.entry(&record.user).or_default().push(record);
        }
        self.learn(owned, now_ms, by_user.keys().copied()).await?;

        let mut asked = Vec::new();
        let mut pipeline = redis::pipe();
        for (user, records) in by_user {
            for bucket in self.buckets.alive(now_ms).filter(|bucket| self.existing[user].contains(bucket)) {
                let fields: Vec<String> = records.iter().map(|record| record.field()).collect();
                pipeline.cmd("HMGET").arg((self.name_key)(&owned.keys, owned.partition(), user, bucket)).arg(fields);
                asked.push((bucket, records.clone()));
            }
        }
        let mut found = HashMap::new();
        if asked.is_empty() {
            return Ok(found);
        }
        let answers: Vec<Vec<Option<Vec<u8>>>> = owned.redis.run_all("finding records", &pipeline).await?;
        for ((bucket, records), values) in asked.into_iter().zip(answers) {
            let begins_at_ms = self.buckets.begins_at_ms(bucket);
            for (record, value) in records.into_iter().zip(values) {
                // Buckets were asked for from the newest on: the first find is the one that counts.
                if let Some(bytes) = value.filter(|_| !found.contains_key(record)) {
                    let value =
                        V::unpack(&bytes, owned.partition(), begins_at_ms).ok_or_else(|| StoreError::Packed {
                            key: (self.name_key)(&owned.keys, owned.partition(), &record.user, bucket),
                        })?;
                    found.insert(record.clone(), Held { value, bucket });
                }
            }
        }
        Ok(found)
    }

    /// Puts a value into the present bucket, and takes it out of the one it was in.
    pub fn put(
        &mut self,
        commit: &mut Commit,
        owned: &Owned,
        now_ms: u64,
        record: &RecordKey,
        was: Option<&Held<V>>,
        value: &V,
    ) {
        let bucket = self.buckets.at(now_ms);
        let key = (self.name_key)(&owned.keys, owned.partition(), &record.user, bucket);
        let field = record.field();
        commit.set(&key, &field, &value.pack(self.buckets.begins_at_ms(bucket)));
        if self.existing.entry(record.user.clone()).or_default().insert(bucket) {
            commit.expire_at(&key, self.buckets.expires_at_ms(bucket));
        }
        if let Some(old) = was.filter(|held| held.bucket != bucket) {
            commit.unset(&(self.name_key)(&owned.keys, owned.partition(), &record.user, old.bucket), &field);
        }
    }

    /// Asks which buckets exist of users not seen before.
    async fn learn(
        &mut self,
        owned: &Owned,
        now_ms: u64,
        users: impl Iterator<Item = &UserId>,
    ) -> Result<(), StoreError> {
        if self.existing.len() > USERS_MAX {
            self.existing.clear();
        }
        let new: Vec<UserId> = users.filter(|user| !self.existing.contains_key(*user)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let alive: Vec<Bucket> = self.buckets.alive(now_ms).collect();
        let mut pipeline = redis::pipe();
        for user in &new {
            for &bucket in &alive {
                pipeline.cmd("EXISTS").arg((self.name_key)(&owned.keys, owned.partition(), user, bucket));
            }
        }
        let answers: Vec<bool> = owned.redis.run_all("finding buckets", &pipeline).await?;
        for (user, exist) in new.into_iter().zip(answers.chunks(alive.len())) {
            let existing = alive.iter().zip(exist).filter(|(_, exists)| **exists).map(|(bucket, _)| *bucket);
            self.existing.insert(user, existing.collect());
        }
        Ok(())
    }
}
