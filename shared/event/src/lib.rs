#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod amount; // base units and how they become Exist's
mod day; // a calendar date of the user's
mod encode; // MessagePack in and out
mod name; // names, checked once
mod normalised; // a record's newest version as contributions
mod partition; // where a user lives
mod raw; // what a source said of one record
mod trace; // which trace it belongs to
mod transaction; // what became of it
mod version; // which of two tellings is newer

pub use amount::{Amount, Decimal, Unit};
pub use day::{Day, DayError};
pub use encode::{EncodeError, decode, encode};
pub use name::{AttributeName, ExternalId, NameError, SourceName, UserId};
pub use normalised::{Contribution, NormalisedEvent, Recount, merge};
pub use partition::{Partition, PartitionCount, PartitionError};
pub use raw::{Origin, RawEvent, RecordKind};
pub use trace::{TRACE_BYTES, Trace, encode_traced, put_off};
pub use transaction::{Direction, Ended, EntryId, EntryIdError, Reason, State, TransactionId, TransactionLine};
pub use version::{ContentHash, Version};
