//! Which of two tellings of a record is the newer one.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A record's version as its source counts: microseconds of its `updated_at`, or a sequence number.
///
/// Only versions of the same record compare. Where a source's clock is coarse, two versions may be
/// equal although their content differs; then the [`ContentHash`] tells, and delivery order decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

/// What a version said, as a hash: tells a repeated delivery from another edit in the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(pub u64);

impl ContentHash {
    /// The hash of a payload. A deletion is hashed as `deleted`, which no JSON payload equals.
    #[must_use]
    pub fn of(payload: &str) -> Self {
        Self(xxh3_64(payload.as_bytes()))
    }

    /// The hash that stands for "the record is gone".
    #[must_use]
    pub fn deleted() -> Self {
        Self::of("deleted")
    }
}
