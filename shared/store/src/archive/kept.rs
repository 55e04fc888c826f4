//! One user's archive, and the ledger beside it, read at one moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
};

use event::{Day, Partition, UserId};
use ledger::{Archive, Archived, Begun, Bucket, Buckets, Found, Pair, RecordId};
use redis::{FromRedisValue, Value};

use super::{
    open_days,
    pack::{Element, Event, element},
    sums,
};
use crate::{
    Applied, Confirmed, Intent, Keys, Redis, StoreError, clock,
    key::{first_day_of, period_of},
    ledger_store::period_expires_at_ms,
    pack::Packed,
    status::record,
    user::{Adopt, AttributeState, Mode, User},
};

/// What expires within so long is not looked at: it might be gone when its other half is read.
const EXPIRES_SOON_MS: u64 = 5_000;

/// What is kept of one user.
#[derive(Debug)]
pub struct Kept {
    /// The archive; without openings if nothing was archived.
    pub archive: Archive,
    /// The ledger at the same moment.
    pub found: Found,
    /// The days that can be compared: those that the oldest opening looked at, and whose totals are still kept.
    pub days: RangeInclusive<Day>,
    /// How many packed bytes the archive takes.
    pub packed_bytes: u64,
    pub(super) back_fill_days: u32,
    /// The buckets of the shelf in which each record stands.
    pub(super) shelves: HashMap<RecordId, Vec<Bucket>>,
    pub(super) confirmed: BTreeMap<Pair, Confirmed>,
    /// The buckets that existed as each of them began.
    pub(super) earlier: BTreeMap<Bucket, Vec<Bucket>>,
}

/// Reads all that is kept of one user, at one moment: no lock is needed to look.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Packed`], [`StoreError::Decode`]: something of an incompatible
/// release.
pub async fn kept(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    documents: &User,
    buckets: Buckets,
    back_fill_days: u32,
) -> Result<Kept, StoreError> {
    const DOING: &str = "reading an archive";
    let unreadable = |error: redis::ParsingError| StoreError::redis(DOING)(error.into());
    let now_ms = clock::now_ms(redis).await?;
    let stays = |at_ms: u64| at_ms > now_ms + EXPIRES_SOON_MS;
    let alive: Vec<Bucket> = buckets.alive(now_ms).filter(|bucket| stays(buckets.expires_at_ms(*bucket))).collect();
    let open = open_days(now_ms, back_fill_days);
    let stay = |period: &i32| stays(period_expires_at_ms(*period, back_fill_days));
    let periods: Vec<i32> = (period_of(*open.start())..=period_of(*open.end())).filter(stay).collect();

    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("HKEYS").arg(keys.changed(partition, user));
    pipeline.cmd("HGET").arg(keys.sending(partition, user)).arg("intent");
    for &bucket in &alive {
        pipeline.cmd("LRANGE").arg(keys.archive(partition, user, bucket)).arg(0).arg(-1);
        pipeline.cmd("HGETALL").arg(keys.applied(partition, user, bucket));
    }
    for &period in &periods {
        pipeline.cmd("HGETALL").arg(keys.totals(partition, user, period));
        pipeline.cmd("HGETALL").arg(keys.confirmed(partition, user, period));
    }
    let answers: Vec<Value> = redis.run_all(DOING, &pipeline).await?;
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);

    let changed = Vec::<String>::from_redis_value(next()).map_err(unreadable)?;
    let intent = Option::<Vec<u8>>::from_redis_value(next()).map_err(unreadable)?;
    let intent = intent.map(|bytes| decode::<Intent>(&bytes, || keys.sending(partition, user))).transpose()?;
    let mut waiting: BTreeSet<Pair> = changed.iter().filter_map(|pair| pair.parse().ok()).collect();
    waiting.extend(intent.into_iter().flat_map(|intent| intent.values).map(|planned| planned.pair));

    let (mut lists, mut records, mut shelves) = (BTreeMap::new(), BTreeMap::new(), HashMap::<_, Vec<_>>::new());
    for &bucket in &alive {
        let list = Vec::<Vec<u8>>::from_redis_value(next()).map_err(unreadable)?;
        if !list.is_empty() {
            lists.insert(bucket, list);
        }
        let hash = HashMap::<String, Vec<u8>>::from_redis_value(next()).map_err(unreadable)?;
        for (name, bytes) in hash {
            let Some(record) = record(&name) else { continue };
            let unreadable = || StoreError::Packed { key: keys.applied(partition, user, bucket) };
            let held = Applied::unpack(&bytes, partition, buckets.begins_at_ms(bucket)).ok_or_else(unreadable)?;
            shelves.entry(record.clone()).or_default().push(bucket);
            // Buckets come from the newest on: the first that holds a record is the one that counts.
            records.entry(record).or_insert_with(|| held.into());
        }
    }
    let (mut totals, mut confirmed) = (Vec::new(), BTreeMap::new());
    for &period in &periods {
        totals.push(HashMap::<String, Vec<u8>>::from_redis_value(next()).map_err(unreadable)?);
        for (pair, bytes) in HashMap::<String, Vec<u8>>::from_redis_value(next()).map_err(unreadable)? {
            let Ok(pair) = pair.parse::<Pair>() else { continue };
            confirmed.insert(pair, decode::<Confirmed>(&bytes, || keys.confirmed(partition, user, period))?);
        }
    }
    let found = Found {
        records,
        sums: sums(totals.iter()),
        confirmed: confirmed.iter().map(|(pair, confirmed)| (pair.clone(), confirmed.held)).collect(),
        waiting,
        written: written(documents),
    };
    let packed_bytes = lists.values().flatten().map(|packed| packed.len() as u64).sum();
    let (archive, earlier) = unpack(lists, &alive, |bucket| keys.archive(partition, user, bucket), partition)?;
    let first = periods.first().map_or(*open.end(), |period| first_day_of(*period));
    let looked_at = archive.openings.values().next().map(|opening| opening.days.clone());
    let days = looked_at.map_or(first..=first, |days| (*days.start()).max(first)..=*days.end());
    Ok(Kept { archive, found, days, packed_bytes, back_fill_days, shelves, confirmed, earlier })
}

/// The attributes of which Exist must hold our total, once nothing of them waits. How much of an incremented
/// value is ours, only what is confirmed tells: there is nothing to compare it with.
fn written(documents: &User) -> BTreeMap<event::AttributeName, event::Unit> {
    let owned = |name: &event::AttributeName| {
        matches!(documents.attribute_states.get(name), Some(AttributeState::Owned { .. }))
    };
    let is_on = documents.exist.as_ref().is_some_and(|exist| exist.connected.is_on() && exist.adopt != Adopt::Ask);
    let written = documents.attributes.iter().filter(|(name, attribute)| {
        is_on && attribute.mode == Mode::Total && owned(name) && !documents.zeroing.contains_key(*name)
    });
    written.map(|(name, attribute)| (name.clone(), attribute.unit)).collect()
}

type Unpacked = (Archive, BTreeMap<Bucket, Vec<Bucket>>);

/// Unpacks the buckets behind the last gap. A bucket knows which others there were when it began: if one of
/// them is missing that should still be alive, nobody knows what it told.
fn unpack(
    lists: BTreeMap<Bucket, Vec<Vec<u8>>>,
    alive: &[Bucket],
    key: impl Fn(Bucket) -> String,
    partition: Partition,
) -> Result<Unpacked, StoreError> {
    let (mut archive, mut earlier) = (Archive::default(), BTreeMap::new());
    let mut gap = None;
    for (&bucket, list) in lists.iter().rev() {
        if gap.is_some_and(|gap| bucket < gap) {
            break;
        }
        let unreadable = || StoreError::Packed { key: key(bucket) };
        let mut elements = list.iter().map(|bytes| element(bytes, bucket, partition));
        let Some(Some(Element::Opening { earlier: existed, opening })) = elements.next() else {
            return Err(unreadable());
        };
        let missing = existed.iter().filter(|earlier| alive.contains(earlier) && !lists.contains_key(earlier));
        gap = gap.max(missing.max().copied());
        archive.openings.insert(bucket, opening);
        earlier.insert(bucket, existed);
        let mut index = 0;
        for element in elements {
            let Some(Element::Events(events)) = element else { return Err(unreadable()) };
            for event in events {
                let place = (bucket, index);
                index += 1;
                match event {
                    Event::Told { source, external_id, telling, before } => {
                        archive.events.push(Archived { place, record: (source, external_id), telling, before });
                    }
                    Event::RecountBegun { source, generation, from } => {
                        archive.recounts.push(Begun { place, source, generation, from });
                    }
                }
            }
        }
    }
    Ok((archive, earlier))
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8], key: impl FnOnce() -> String) -> Result<T, StoreError> {
    event::decode(bytes).map_err(|source| StoreError::Decode { key: key(), source })
}
