//! Every Redis key: its name, type, lifetime and owner.

use event::{Partition, SourceName, UserId};
use ledger::Bucket;

use crate::Stage;

/// Days in one key of totals or confirmed values; such a key expires as a whole.
pub(crate) const DAYS_PER_PERIOD: i32 = 16;

/// Names keys. All keys of a partition share its hash tag, so one script may touch any of them.
///
/// | key | type | lives | changed by |
/// |---|---|---|---|
/// | `{p07}:lease:<stage>` | hash owner, epoch, until, locks | for ever | whoever takes the lease or a key lock |
/// | `{p07}:locks:<stage>` | hash user → token, until, who of a key lock | until released or expired | whoever takes it |
/// | `{p07}:hand:<stage>` | hash turn or user of a batch → token, until | while in the owner's hand | the stage |
/// | `{p07}:raw`, `{p07}:normalised` | stream | an entry: until settled | fetcher → normaliser → exist-writer |
/// | `{p07}:schedule` | zset `user/source` → due ms | while connected | fetcher |
/// | `{p07}:users` | set | while connected | operator |
/// | `{p07}:user:<user>` | hash: documents, sealed tokens, cursors | while connected | fields have one owner each |
/// | `{p07}:revision` | counter | for ever | whoever changes a user's documents |
/// | `{p07}:records:<user>:<bucket>` | hash record → version held | retention | normaliser |
/// | `{p07}:applied:<user>:<bucket>` | hash record → version and contributions applied | retention | exist-writer |
/// | `{p07}:archive:<user>:<bucket>` | list: totals as it began, then packed events | retention | exist-writer, operator |
/// | `{p07}:totals:<user>:<period>` | hash `attribute\|day\|source` → base units | while the days can change | exist-writer |
/// | `{p07}:confirmed:<user>:<period>` | hash `attribute\|day` → what Exist holds | likewise | exist-writer |
/// | `{p07}:changed:<user>` | hash `attribute\|day` → entry that changed it last | until confirmed | exist-writer |
/// | `{p07}:open:<user>` | hash transaction → what it waits for | until confirmed | exist-writer |
/// | `{p07}:due` | zset user → when to send | until nothing is left to send | exist-writer |
/// | `{p07}:sending:<user>` | hash: intent, budget, backoff, next read-back | while connected | exist-writer |
/// | `{p07}:checks:<user>` | hash `attribute\|day` → when it is read back | until read back | exist-writer |
/// | `{p07}:generation` | hash stage → run of Redis | for ever | whoever owns the stage |
/// | `{p07}:parked:<stage>` | zset lane → due ms | until due | the stage |
/// | `{p07}:overflow:<stage>` | set of lanes | until drained | the stage |
/// | `{p07}:overflow:<stage>:<lane>` | list of entries | until drained | the stage |
/// | `{p07}:crashes:<stage>` | hash entry → deliveries that ended in a crash | until settled | the stage |
/// | `{p07}:dead:<bucket>` | hash transaction → dead letter | retention | any stage, operator |
/// | `{p07}:held:<user>:<source>` | list of entries | until the connection returns; where it is off and not paused, at most the retention time | normaliser |
/// | `{p07}:paused` | hash `all`, `partition`, `source:<source>` → who, when, why | until resumed | operator |
/// | `{p07}:skipped:<stage>` | set of members of `schedule` or `due` that were due while paused | until resumed | fetcher, exist-writer |
/// | `{p07}:deliveries:<source>:<generation>` | set of 8-byte hashes | twice the retention | whoever takes a webhook |
/// | `topic:<source>:<topic>` | set of users | while connected; a hint | operator, whoever takes a webhook |
/// | `grant:<hash of state>` | string, sealed | 10 minutes | operator, fetcher |
/// | `{p07}:audit:<hour>` | stream of blocks of transaction lines | retention | normaliser, exist-writer |
/// | `{p07}:counts` | hash of counters | for ever | all stages |
/// | `{ctl}:partitions` | string | for ever | the first start |
/// | `{ctl}:members:<stage>` | zset member → last seen ms | seconds; advisory | each process |
/// | `ring:<stage>` | channel | — | whoever appends |
#[derive(Debug, Clone, Default)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys under a prefix: deployments or tests that share one Redis.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn in_partition(&self, partition: Partition, rest: &str) -> String {
        format!("{}{{p{partition}}}:{rest}", self.prefix)
    }

    /// Hash: owner, epoch, until, and the token of the latest key lock.
    #[must_use]
    pub fn lease(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("lease:{stage}"))
    }

    /// Hash user → key lock.
    #[must_use]
    pub fn locks(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("locks:{stage}"))
    }

    /// Hash of what the owner has in hand.
    #[must_use]
    pub fn hand(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("hand:{stage}"))
    }

    /// The stream a stage reads.
    ///
    /// # Panics
    /// The fetcher reads no stream.
    #[must_use]
    pub fn stream(&self, partition: Partition, stage: Stage) -> String {
        match stage {
            Stage::Fetch => panic!("the fetcher reads a schedule, not a stream"),
            Stage::Normalise => self.raw(partition),
            Stage::Write => self.normalised(partition),
        }
    }

    /// Stream of raw entries.
    #[must_use]
    pub fn raw(&self, partition: Partition) -> String {
        self.in_partition(partition, "raw")
    }

    /// Stream of normalised entries.
    #[must_use]
    pub fn normalised(&self, partition: Partition) -> String {
        self.in_partition(partition, "normalised")
    }

    /// Zset `user/source` → when its next poll is due.
    #[must_use]
    pub fn schedule(&self, partition: Partition) -> String {
        self.in_partition(partition, "schedule")
    }

    /// Hash `attribute|day` → when it is to be read back.
    #[must_use]
    pub fn checks(&self, partition: Partition, user: &UserId) -> String {
        self.in_partition(partition, &format!("checks:{user}"))
    }

    /// Hash stage → the run of Redis that the data was last known to be whole under.
    #[must_use]
    pub fn generation(&self, partition: Partition) -> String {
        self.in_partition(partition, "generation")
    }

    /// Set of the partition's users.
    #[must_use]
    pub fn users(&self, partition: Partition) -> String {
        self.in_partition(partition, "users")
    }

    /// Hash of a user's documents.
    #[must_use]
    pub fn user(&self, partition: Partition, user: &UserId) -> String {
        self.in_partition(partition, &format!("user:{user}"))
    }

    /// Counter that rises with every change of a user's documents.
    #[must_use]
    pub fn revision(&self, partition: Partition) -> String {
        self.in_partition(partition, "revision")
    }

    /// Hash record → version held.
    #[must_use]
    pub fn records(&self, partition: Partition, user: &UserId, bucket: Bucket) -> String {
        self.in_partition(partition, &format!("records:{user}:{bucket}"))
    }

    /// Hash record → version and contributions applied.
    #[must_use]
    pub fn applied(&self, partition: Partition, user: &UserId, bucket: Bucket) -> String {
        self.in_partition(partition, &format!("applied:{user}:{bucket}"))
    }

    /// List: the totals as the bucket began, then the events that were handled, packed.
    #[must_use]
    pub fn archive(&self, partition: Partition, user: &UserId, bucket: Bucket) -> String {
        self.in_partition(partition, &format!("archive:{user}:{bucket}"))
    }

    /// Hash `attribute|day|source` → base units, for the days of one period.
    #[must_use]
    pub fn totals(&self, partition: Partition, user: &UserId, period: i32) -> String {
        self.in_partition(partition, &format!("totals:{user}:{period}"))
    }

    /// Hash `attribute|day` → what Exist is known to hold, for the days of one period.
    #[must_use]
    pub fn confirmed(&self, partition: Partition, user: &UserId, period: i32) -> String {
        self.in_partition(partition, &format!("confirmed:{user}:{period}"))
    }

    /// Hash `attribute|day` → the entry that changed it last.
    #[must_use]
    pub fn changed(&self, partition: Partition, user: &UserId) -> String {
        self.in_partition(partition, &format!("changed:{user}"))
    }

    /// Hash transaction → what it waits for.
    #[must_use]
    pub fn open(&self, partition: Partition, user: &UserId) -> String {
        self.in_partition(partition, &format!("open:{user}"))
    }

    /// Zset user → when to send.
    #[must_use]
    pub fn due(&self, partition: Partition) -> String {
        self.in_partition(partition, "due")
    }

    /// Hash: intent, budget, backoff.
    #[must_use]
    pub fn sending(&self, partition: Partition, user: &UserId) -> String {
        self.in_partition(partition, &format!("sending:{user}"))
    }

    /// Zset of lanes that wait → when they are due.
    #[must_use]
    pub fn parked(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("parked:{stage}"))
    }

    /// Set of lanes with entries in overflow.
    #[must_use]
    pub fn overflowing(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("overflow:{stage}"))
    }

    /// List of the entries of one lane in overflow.
    #[must_use]
    pub fn overflow(&self, partition: Partition, stage: Stage, lane: &str) -> String {
        self.in_partition(partition, &format!("overflow:{stage}:{lane}"))
    }

    /// Hash entry → deliveries that ended in a crash.
    #[must_use]
    pub fn crashes(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("crashes:{stage}"))
    }

    /// Hash transaction → dead letter.
    #[must_use]
    pub fn dead(&self, partition: Partition, bucket: Bucket) -> String {
        self.in_partition(partition, &format!("dead:{bucket}"))
    }

    /// Hash of the pauses of the whole deployment, of this partition, and of sources.
    #[must_use]
    pub fn paused(&self, partition: Partition) -> String {
        self.in_partition(partition, "paused")
    }

    /// Set of members of a stage's zset that were due while they were paused.
    #[must_use]
    pub fn skipped(&self, partition: Partition, stage: Stage) -> String {
        self.in_partition(partition, &format!("skipped:{stage}"))
    }

    /// List of raw entries that wait for a connection's return.
    #[must_use]
    pub fn held(&self, partition: Partition, user: &UserId, source: &SourceName) -> String {
        self.in_partition(partition, &format!("held:{user}:{source}"))
    }

    /// Stream of blocks of transaction lines.
    #[must_use]
    pub fn audit(&self, partition: Partition, hour: u64) -> String {
        self.in_partition(partition, &format!("audit:{hour}"))
    }

    /// Hash of counters.
    #[must_use]
    pub fn counts(&self, partition: Partition) -> String {
        self.in_partition(partition, "counts")
    }

    /// Set of deliveries of a source that were taken, as hashes of 8 bytes.
    #[must_use]
    pub fn deliveries(&self, partition: Partition, source: &SourceName, generation: u64) -> String {
        self.in_partition(partition, &format!("deliveries:{source}:{generation}"))
    }

    /// Set of users who want to hear of a topic of a source's webhooks.
    #[must_use]
    pub fn topic(&self, source: &SourceName, topic: &str) -> String {
        format!("{}topic:{source}:{topic}", self.prefix)
    }

    /// String: what somebody is about who was sent to a consent page.
    #[must_use]
    pub fn grant(&self, state_hash: &str) -> String {
        format!("{}grant:{state_hash}", self.prefix)
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> String {
        format!("{}{{ctl}}:partitions", self.prefix)
    }

    /// Zset member → last seen.
    #[must_use]
    pub fn members(&self, stage: Stage) -> String {
        format!("{}{{ctl}}:members:{stage}", self.prefix)
    }

    /// The channel on which a stage's partitions are rung.
    #[must_use]
    pub fn ring(&self, stage: Stage) -> String {
        format!("{}ring:{stage}", self.prefix)
    }
}

/// The period a day's totals are kept in.
pub(crate) const fn period_of(day: event::Day) -> i32 {
    day.number().div_euclid(DAYS_PER_PERIOD)
}

/// The last day of a period.
pub(crate) const fn last_day_of(period: i32) -> event::Day {
    event::Day::from_number((period + 1) * DAYS_PER_PERIOD - 1)
}

/// The first day of a period.
pub(crate) const fn first_day_of(period: i32) -> event::Day {
    event::Day::from_number(period * DAYS_PER_PERIOD)
}
