//! Why something with Redis did not work, and what that asks of the caller.

use event::{EncodeError, Partition};

use crate::Stage;

/// A call that Redis did not carry out, or that we did not understand.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else owns the partition now. Drop what is in hand: nothing of it was done.
    #[error("partition {partition} of {stage} is somebody else's now")]
    Fenced {
        /// Which partition.
        partition: Partition,
        /// Of which stage.
        stage: Stage,
    },
    /// Redis is another run than the one our data was last known to be whole under: read anew before acting.
    #[error("Redis was restarted or replaced, and partition {partition} was not looked at since")]
    Restarted {
        /// Which partition.
        partition: Partition,
    },
    /// Somebody who does not own the partition took a key lock in it since we read. Nothing was done: read
    /// anew, and leave alone whoever is locked.
    #[error("a key lock was taken in partition {partition} of {stage} meanwhile")]
    Locked {
        /// Which partition.
        partition: Partition,
        /// Of which stage.
        stage: Stage,
    },
    /// Entries that we were told of are not in their stream: a ring came late. Nothing was done: read the stream.
    #[error("entries of partition {partition} of {stage} were settled before we were told of them")]
    Gone {
        /// Which partition.
        partition: Partition,
        /// Of which stage.
        stage: Stage,
    },
    /// Our key lock expired, or somebody else has it. Nothing was done: take it again and read anew.
    #[error("our key lock in partition {partition} of {stage} is gone")]
    LockLost {
        /// Which partition.
        partition: Partition,
        /// Of which stage.
        stage: Stage,
    },
    /// Redis did not answer, or refused. What was asked may or may not have been done: read again
    /// before acting on it.
    #[error("Redis: {doing}")]
    Redis {
        /// What we were doing.
        doing: &'static str,
        /// What the client says.
        #[source]
        source: redis::RedisError,
    },
    /// Redis cannot be reached at all.
    #[error("connecting to Redis at {address}")]
    Connect {
        /// Where, without the password.
        address: String,
        /// What the client says.
        #[source]
        source: redis::RedisError,
    },
    /// No connection of a pool was free in time, or none could be made: try again later.
    #[error("waiting for a connection to Redis")]
    Pool {
        /// What the pool says.
        #[source]
        source: deadpool_redis::PoolError,
    },
    /// What stands in Redis is not what this release writes.
    #[error("reading {key}")]
    Decode {
        /// Which key.
        key: String,
        /// What is wrong.
        #[source]
        source: EncodeError,
    },
    /// Packed bytes that no release we know of wrote.
    #[error("unpacking {key}")]
    Packed {
        /// Which key.
        key: String,
    },
    /// JSON in Redis that is not what this release writes.
    #[error("reading {key}")]
    Document {
        /// Which key and field.
        key: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The number of partitions is fixed at a deployment's first start.
    #[error("this Redis holds {stored} partitions, the settings say {asked}: the number is fixed at the first start")]
    PartitionCount {
        /// What stands in Redis.
        stored: u16,
        /// What the settings say.
        asked: u16,
    },
    /// Redis may throw data away when memory runs short.
    #[error("maxmemory-policy is {policy}: set it to noeviction, or Redis throws away what it should keep")]
    Evicts {
        /// The policy in force.
        policy: String,
    },
}

impl StoreError {
    /// Whether a stream or its group is gone that was there when we began to read.
    #[must_use]
    pub fn is_group_gone(&self) -> bool {
        let Self::Redis { source, .. } = self else { return false };
        // Redis 6 keeps the code of a command that fails within a script in its message only.
        source.code() == Some("NOGROUP") || source.detail().is_some_and(|detail| detail.contains("NOGROUP"))
    }

    /// For `map_err` where a Redis call fails.
    pub(crate) fn redis(doing: &'static str) -> impl FnOnce(redis::RedisError) -> Self {
        move |source| Self::Redis { doing, source }
    }
}
