//! One partition with an owner, and what stands of a user in it.

use std::{sync::Arc, time::Duration};

use event::{Partition, PartitionCount, UserId};
use store::{Commit, KeyLock, Keys, Lease, Owned, Redis, Stage, StoreError, Take, now_ms};

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(50);

pub(crate) struct Stand {
    pub(crate) owned: Owned,
}

impl Stand {
    pub(crate) async fn new(stage: Stage) -> Self {
        Self::under(&connect(testkit::redis().url()).await, stage).await
    }

    pub(crate) async fn under(redis: &Redis, stage: Stage) -> Self {
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        let lease = Lease::acquire(redis, &keys, stage, partition(), "the owner").await.unwrap().unwrap();
        Self { owned: Owned { redis: redis.clone(), keys, lease } }
    }

    pub(crate) async fn ask(&self, user: &UserId, who: &str, ttl: Duration) -> Take {
        let Owned { redis, keys, .. } = &self.owned;
        KeyLock::take(redis, keys, partition(), self.owned.stage(), user, who, ttl).await.unwrap()
    }

    pub(crate) async fn take(&self, user: &UserId) -> KeyLock {
        match self.ask(user, "a test", LONG).await {
            Take::Taken(lock) => lock,
            Take::Held { who, .. } => panic!("{who} has it"),
            Take::Busy { left } => panic!("the owner has it in hand for {left:?}"),
        }
    }

    /// Where a user's number stands.
    pub(crate) fn key(&self, user: &UserId) -> String {
        self.owned.keys.sending(partition(), user)
    }

    pub(crate) async fn number(&self, user: &UserId) -> i64 {
        let mut command = redis::cmd("HGET");
        command.arg(self.key(user)).arg("number");
        let number: Option<i64> = command.query_async(&mut self.owned.redis.clone()).await.unwrap();
        number.unwrap_or(0)
    }

    /// Sets a user's number, not by adding: whoever rests on a stale read spoils it.
    pub(crate) fn set(&self, user: &UserId, number: i64) -> Commit {
        let mut commit = Commit::new();
        commit.set(&self.key(user), "number", number.to_string().as_bytes());
        commit
    }

    /// Makes these due.
    pub(crate) async fn make_due(&self, members: &[&str]) {
        let mut commit = Commit::new();
        members.iter().for_each(|member| commit.due_in(&self.schedule(), member, Duration::ZERO));
        self.owned.commit(commit).await.unwrap();
    }

    pub(crate) fn schedule(&self) -> String {
        self.owned.keys.due(partition())
    }

    /// Waits until Redis' clock has passed a lock's time.
    pub(crate) async fn outlast(&self, ttl: Duration) {
        let begun_ms = now_ms(&self.owned.redis).await.unwrap();
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap();
        while now_ms(&self.owned.redis).await.unwrap() <= begun_ms + ttl_ms {}
    }
}

pub(crate) async fn connect(url: String) -> Redis {
    let url = [("TRIBUTARY_REDIS_URL".to_owned(), url)];
    Redis::connect(&settings::Settings::load(url, &[], None).unwrap().redis_url).await.unwrap()
}

pub(crate) fn partition() -> Partition {
    PartitionCount::try_new(64).unwrap().get_partition(7).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::try_new(name).unwrap()
}

pub(crate) fn is_locked<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Locked { .. }))
}

pub(crate) fn is_lost<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::LockLost { .. }))
}
