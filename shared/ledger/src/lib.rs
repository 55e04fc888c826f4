#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod arrival; // which version of a record counts
mod bucket; // how long a record is kept
mod budget; // when the next request may leave
mod difference; // what a new version changes
mod held; // what stands in Exist, and what is ours of it
mod plan; // what Exist must be told
mod rebuild; // what the ledger must hold, from the archive

pub use arrival::{Arriving, Known, Verdict, judge};
pub use bucket::{Bucket, Buckets};
pub use budget::{Budget, BudgetError, Spent, Wait};
pub use difference::difference;
pub use held::{Held, How, Planned};
pub use plan::{Cell, Mode, Pair, PairError, Plan, VALUES_MAX, plan};
pub use rebuild::{
    Archive, Archived, Before, Begun, Difference, Found, Newest, Opening, Part, Place, Rebuilt, RecordId, Sums,
    Telling, compare,
};
