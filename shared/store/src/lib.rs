#![doc = include_str!("../README.md")]

mod archive; // every event the ledger handled
mod audit; // a line for each change of a transaction's state
mod bell; // wakes a reader when something came
mod clock; // Redis' clock
mod commit; // a list of commands, all or nothing
mod counts; // durable counters
mod dead; // dead letters
mod entry; // entries of a stream
mod error; // why it did not work
pub mod fetch; // raw entries and cursors
mod generation; // whether Redis may have lost data
mod guard; // what a commit checks besides the epoch
pub mod intake; // webhooks and grants
mod key; // every Redis key: name, type, lifetime, owner
mod lease; // ownership of a partition
mod ledger_store; // totals, changes, what Exist holds
mod lock; // one user in a stage, for somebody who does not own the partition
mod mailbox; // lists of entries that must wait, counts of deliveries
mod member; // who is there
pub mod operate; // what operators change
mod owned; // a partition that is ours
mod pack; // how few bytes things take
pub mod pause; // what is paused, by whom and why
mod pool; // connections for a service that reads much for many
mod redis_link; // one server or a cluster
mod script; // a Lua script and its name
mod sending; // requests to Exist: intents, budget, backoff, read-backs
mod shelf; // what is held of each record
mod stage; // the three stages
mod status; // what operators look at
mod traced; // what traced entries carry
pub mod user; // a user's documents

pub use archive::{ArchiveWriter, Kept, kept};
pub use audit::lines_of;
pub use bell::Bell;
pub use clock::now_ms;
pub use commit::{Commit, Committed};
pub use counts::{Counting, Counts, counts};
pub use dead::{Again, Back, DeadLetter, PUT_BACK_MAX, letters, put_back, take};
pub use entry::{Entry, Reading, group};
pub use error::StoreError;
pub use generation::Generation;
pub use guard::{Hand, Holding, KeyLocks};
pub use key::Keys;
pub use lease::{LEASE_TTL, Lease, LeaseView, RENEW_EVERY};
pub use ledger_store::{Applied, Confirmed, Open, PairState, Totals, attributes_of, pair_states, period_keys};
pub use lock::{HeldLock, KeyLock, LOCK_TTL_MAX, Take};
pub use mailbox::OverflowingLane;
pub use member::{MEMBER_TTL, announce, leave, members};
pub use owned::{Due, Owned};
pub use pack::Packed;
pub use pool::{POOL_MAX, Pool, Pooled};
pub use redis_link::Redis;
pub use script::FENCING_SCRIPTS;
pub use sending::{Intent, Sending, sending};
pub use shelf::{Held, RecordKey, Shelf};
pub use stage::Stage;
pub use status::{
    Bounds, Composition, Look, Memory, PartitionStatus, People, Question, Waiting, composition, keys_of,
    letters_behind, look, stored_partitions,
};
pub use traced::{TRACED_MAX, error_type, stream_name};
