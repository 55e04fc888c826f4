//! Where the state is, how it is divided, and how long it is kept.

use super::{Setting, setting};
use crate::value::{DAY, Kind, MINUTE};

pub(super) const REDIS: &[Setting] = &[
    setting(
        "TRIBUTARY_REDIS_URL",
        Kind::RedisUrl,
        Some("redis://127.0.0.1:6379/"),
        "Where Redis is: one server, or the seed nodes of a cluster.",
        "Its `maxmemory-policy` must be `noeviction`: an evicting Redis loses work, and start-up refuses it. \
         Two installations on one Redis need different databases.",
    ),
    setting(
        "TRIBUTARY_PARTITIONS",
        Kind::Count { min: 1, max: 1024 },
        Some("64"),
        "How many partitions the users are spread over; fixed at the first start and stored in Redis.",
        "Too few: no more workers than partitions can share a stage. Too many: each costs a lease and a read \
         per stage even while it is idle. A number other than the stored one is refused at start.",
    ),
    setting(
        "TRIBUTARY_LOCK_MODE",
        Kind::Choice(&["partition", "key"]),
        Some("partition"),
        "What serialises work on one external id: the owner of its partition alone, or a key lock in Redis as well.",
        "`key` costs a round trip for each batch, and is a second fence beside the owner's lease.",
    ),
    setting(
        "TRIBUTARY_RETENTION",
        Kind::Duration { min: MINUTE, max: DAY.saturating_mul(30) },
        Some("3d"),
        "How long records, transactions and dead letters are kept after their last use.",
        "Too short: a late correction finds its record gone and needs a recount, and dead letters expire before \
         anyone saw them. Too long: Redis holds that much more of what people did.",
    ),
    setting(
        "TRIBUTARY_BACKFILL_DAYS",
        Kind::Count { min: 0, max: 365 },
        Some("30"),
        "How many days before the first connection are read from a source.",
        "0: the account starts empty. Many: the first read takes long and spends the source's request limit.",
    ),
];
