//! Key locks: one user in one stage of a partition, for somebody who does not own it.

use std::{sync::Arc, sync::LazyLock, time::Duration};

use event::{Partition, UserId};

use crate::{Commit, Committed, Keys, Lease, Owned, Redis, Stage, StoreError, guard::Guard, script::NamedScript};

/// Longest time a key lock lasts without being renewed: the user's entries wait as long if its holder dies.
pub const LOCK_TTL_MAX: Duration = Duration::from_secs(60);
/// How long the owner leaves a user alone for somebody who was told that it has the user in hand.
const WISH: Duration = Duration::from_secs(1);
/// Longest name of a holder, in characters.
const WHO_MAX: usize = 64;

static TAKE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("lock/take", include_str!("../lua/lock/take.lua")));
static RENEW: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("lock/renew", include_str!("../lua/lock/renew.lua")));
static RELEASE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("lock/release", include_str!("../lua/lock/release.lua")));

/// The key lock of one user in one stage of a partition: ours until it is released or expires.
///
/// While it is held, nothing that the partition's owner does changes the user in that stage; what the
/// owner read before is refused when it commits, and read anew. Dropping it releases nothing: it expires.
///
/// Kept by `no_interleaving_of_owner_and_outsider_loses_an_update`.
#[must_use = "a lock that is not released keeps its user waiting until it expires"]
pub struct KeyLock {
    owned: Owned,
    user: UserId,
    token: u64,
}

/// What became of asking for a key lock.
pub enum Take {
    /// It is ours.
    Taken(KeyLock),
    /// Somebody else has it.
    Held {
        /// Who.
        who: String,
        /// For how much longer, unless renewed.
        left: Duration,
    },
    /// The owner has the user in hand, perhaps with a request under way whose outcome must be stored. It
    /// begins nothing new with the user for a second: ask again within it.
    Busy {
        /// For how much longer at most.
        left: Duration,
    },
}

/// A key lock as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// In which partition.
    pub partition: Partition,
    /// Whose.
    pub user: String,
    /// Who holds it.
    pub who: String,
    /// Its fencing token.
    pub token: u64,
    /// How much longer it lasts, unless renewed.
    pub left: Duration,
}

impl KeyLock {
    /// Takes a user's key lock in one stage, for `ttl` or [`LOCK_TTL_MAX`] if that is less. `who` is for
    /// people: the command and where it runs.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. It may be taken without our knowing; then it expires.
    pub async fn take(
        redis: &Redis,
        keys: &Keys,
        partition: Partition,
        stage: Stage,
        user: &UserId,
        who: &str,
        ttl: Duration,
    ) -> Result<Take, StoreError> {
        let locks = keys.locks(partition, stage);
        let mut call = TAKE.key(keys.lease(partition, stage));
        call.key(&locks).key(keys.hand(partition, stage)).arg(user.as_str());
        call.arg(who.chars().take(WHO_MAX).collect::<String>()).arg(millis(ttl)).arg(millis(WISH));
        let reply: (String, String, Option<u64>) =
            TAKE.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis("taking a key lock"))?;
        let (verdict, detail, left_ms) = reply;
        let left = Duration::from_millis(left_ms.unwrap_or(0));
        Ok(match verdict.as_str() {
            "held" => Take::Held { who: detail, left },
            "busy" => Take::Busy { left },
            _ => {
                let token = detail.parse().expect("the script answers with digits");
                let guard = Guard::Lock { key: locks, user: user.clone(), token };
                let lease = Lease::none(keys, stage, partition, guard);
                let owned = Owned { redis: redis.clone(), keys: Arc::new(keys.clone()), lease };
                Take::Taken(Self { owned, user: user.clone(), token })
            }
        })
    }

    /// Whose.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The fencing token: higher than that of every lock taken before in this partition and stage.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// The partition as its owner sees it, to read the user's state and to write commits with. What it
    /// commits is fenced by this lock, and must change nobody but its user.
    #[must_use]
    pub const fn owned(&self) -> &Owned {
        &self.owned
    }

    /// Does a list of commands at once, if the lock is still ours and has not expired by Redis' clock.
    ///
    /// # Errors
    /// - [`StoreError::LockLost`]: nothing was done.
    /// - [`StoreError::Redis`]: no answer. All of it was done, or nothing: read before going on.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.owned.commit(commit).await
    }

    /// Lets it last for `ttl` from now, or [`LOCK_TTL_MAX`] if that is less. `false`: it expired, or is
    /// somebody else's; an expired one cannot be renewed, since the owner went on.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer; it may be renewed or not.
    pub async fn renew(&self, ttl: Duration) -> Result<bool, StoreError> {
        let mut call = RENEW.key(self.key());
        call.arg(self.user.as_str()).arg(self.token).arg(millis(ttl));
        let mut redis = self.owned.redis.clone();
        let verdict: String =
            RENEW.timed(call.invoke_async(&mut redis)).await.map_err(StoreError::redis("renewing a key lock"))?;
        Ok(verdict == "renewed")
    }

    /// Gives it back, so that the user need not wait until it expires. `false`: it was not ours any more.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer; it then expires.
    pub async fn release(self) -> Result<bool, StoreError> {
        let mut call = RELEASE.key(self.key());
        call.arg(self.user.as_str()).arg(self.token);
        let mut redis = self.owned.redis.clone();
        let verdict: String =
            RELEASE.timed(call.invoke_async(&mut redis)).await.map_err(StoreError::redis("releasing a key lock"))?;
        Ok(verdict == "released")
    }

    /// The key locks of a stage that are held now, by partition and user.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn held(
        redis: &Redis,
        keys: &Keys,
        stage: Stage,
        partitions: &[Partition],
    ) -> Result<Vec<HeldLock>, StoreError> {
        const DOING: &str = "looking at key locks";
        let look_at = |partition: &Partition| {
            let mut command = redis::cmd("HGETALL");
            command.arg(keys.locks(*partition, stage));
            command
        };
        let now_ms = crate::clock::now_ms(redis).await?;
        let found: Vec<Vec<(String, String)>> = if redis.is_cluster() {
            let mut found = Vec::with_capacity(partitions.len());
            for partition in partitions {
                found.push(redis.run(DOING, &look_at(partition)).await?);
            }
            found
        } else {
            let mut pipeline = redis::pipe();
            for partition in partitions {
                pipeline.add_command(look_at(partition));
            }
            redis.run_all(DOING, &pipeline).await?
        };
        let each = partitions.iter().zip(found).flat_map(|(partition, locks)| {
            locks.into_iter().filter_map(|(user, lock)| held_lock(*partition, user, &lock, now_ms))
        });
        let mut held: Vec<HeldLock> = each.collect();
        held.sort_by(|one, other| (one.partition, &one.user).cmp(&(other.partition, &other.user)));
        Ok(held)
    }

    fn key(&self) -> String {
        self.owned.keys.locks(self.owned.partition(), self.owned.stage())
    }
}

/// Token, until and who, as the script wrote them; `None` if it expired, or is a wish only.
fn held_lock(partition: Partition, user: String, lock: &str, now_ms: u64) -> Option<HeldLock> {
    let mut parts = lock.splitn(3, ' ');
    let token: u64 = parts.next()?.parse().ok()?;
    let until_ms: u64 = parts.next()?.parse().ok()?;
    let who = parts.next()?.to_owned();
    let left = Duration::from_millis(until_ms.saturating_sub(now_ms));
    (token > 0 && !left.is_zero()).then_some(HeldLock { partition, user, who, token, left })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.min(LOCK_TTL_MAX).as_millis()).expect("a minute fits")
}
