//! A partition that is ours: the connection, the keys and the lease that every change needs.

use std::sync::Arc;

use event::Partition;
use redis::{Cmd, FromRedisValue};
use telemetry::trace;

use crate::{Commit, Committed, Hand, Keys, Lease, Redis, Stage, StoreError, error_type};

/// A partition we own for one stage. Cloning it shares it.
#[derive(Clone)]
pub struct Owned {
    /// The connection.
    pub redis: Redis,
    /// The keys' names.
    pub keys: Arc<Keys>,
    /// The lease.
    pub lease: Lease,
}

impl Owned {
    /// Which partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.lease.partition()
    }

    /// For which stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.lease.stage()
    }

    /// Does a list of commands at once, if the lease is still ours.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn commit(&self, mut commit: Commit) -> Result<Committed, StoreError> {
        let spans = std::mem::take(&mut commit.spans);
        let done = commit.run(&self.redis, &self.lease).await;
        if let Err(error) = &done {
            spans.iter().for_each(|span| trace::failed(span, error_type(error)));
        }
        done
    }

    /// Likewise, and sends a command that reads behind it: it sees all of this, and what came since.
    ///
    /// # Errors
    /// As [`Commit::run`], and if the command fails.
    pub(crate) async fn commit_before<T: FromRedisValue>(
        &self,
        mut commit: Commit,
        read: Cmd,
    ) -> Result<(Committed, T), StoreError> {
        let spans = std::mem::take(&mut commit.spans);
        let done = commit.run_before(&self.redis, &self.lease, read).await;
        if let Err(error) = &done {
            spans.iter().for_each(|span| trace::failed(span, error_type(error)));
        }
        done
    }

    /// Redis' clock where this partition lives, in milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn now_ms(&self) -> Result<u64, StoreError> {
        Ok(self.commit(Commit::new()).await?.now_ms)
    }

    /// Rings a stage's reader of this partition about entries just added. Not in a cluster, where every
    /// node would hear it; readers look by themselves there.
    pub fn ring(&self, commit: &mut Commit, stage: Stage, added: usize) {
        if !self.redis.is_cluster() {
            let stream = self.keys.stream(self.partition(), stage);
            let (who, revision) = (self.partition().index().to_string(), self.keys.revision(self.partition()));
            commit.ring(&stream, added, &self.keys.ring(stage), &who, &revision);
        }
    }

    /// Takes the members of a zset whose time has come in hand, of the first `limit` those that are not yet,
    /// and says when the next one's time will come. `finished` are not in hand any more.
    ///
    /// Members of users under a key lock are left alone, and are looked at again soon.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn due(&self, zset: &str, limit: usize, finished: &[String]) -> Result<Due, StoreError> {
        let mut commit = Commit::new();
        self.finish(&mut commit, finished);
        let hand = self.take_due(&mut commit, zset, limit);
        let mut committed = self.commit(commit).await?;
        let (members, next): (Vec<String>, Option<f64>) = committed.reply("reading what is due")?;
        let next_in_ms = next.map(|at| milliseconds(at).saturating_sub(committed.now_ms));
        Ok(Due { now_ms: committed.now_ms, hand, members, next_in_ms })
    }
}

/// A score is a whole number of milliseconds, far below 2⁵³.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "scores are whole milliseconds since 1970")]
fn milliseconds(score: f64) -> u64 {
    score as u64
}

/// What is due.
#[derive(Debug)]
pub struct Due {
    /// Redis' clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// What they were taken in hand with.
    pub hand: Hand,
    /// The members whose time has come, the longest waiting first.
    pub members: Vec<String>,
    /// How long until the next one; `None` if there is none.
    pub next_in_ms: Option<u64>,
}
