//! Where a user lives: the same partition in every stage.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::UserId;

/// Most partitions a deployment can have.
pub(crate) const PARTITIONS_MAX: u16 = 1024;

/// A number of partitions or of a partition that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Fewer than 1 or more than 1024 partitions.
    #[error("{0} partitions: between 1 and 1024 are possible")]
    Count(u16),
    /// The partition is not one of those there are.
    #[error("partition {index} of {count}")]
    Index {
        /// What was asked for.
        index: u16,
        /// How many there are.
        count: u16,
    },
}

/// How many partitions there are: fixed at a deployment's first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionCount(u16);

impl PartitionCount {
    /// # Errors
    /// [`PartitionError::Count`]: not between 1 and 1024.
    pub fn try_new(count: u16) -> Result<Self, PartitionError> {
        if (1..=PARTITIONS_MAX).contains(&count) { Ok(Self(count)) } else { Err(PartitionError::Count(count)) }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The partition a user lives in: `xxh3_64(user) mod count`.
    #[must_use]
    pub fn of(self, user: &UserId) -> Partition {
        let index = xxh3_64(user.as_str().as_bytes()) % u64::from(self.0);
        Partition(u16::try_from(index).expect("a remainder of a u16 is a u16"))
    }

    /// Every partition, in order.
    pub fn all(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// The partition with this index.
    ///
    /// # Errors
    /// [`PartitionError::Index`]: there are not that many.
    pub fn get_partition(self, index: u16) -> Result<Partition, PartitionError> {
        if index < self.0 { Ok(Partition(index)) } else { Err(PartitionError::Index { index, count: self.0 }) }
    }
}

/// One partition. Its keys share the hash tag `{p07}`, so that one script may touch them all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u16);

impl Partition {
    /// Its number, from 0.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_index(index: u16) -> Self {
        Self(index)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_never_moves() {
        let count = PartitionCount::try_new(64).unwrap();
        let of = |name| count.of(&UserId::try_new(name).unwrap()).index();
        // Changing these numbers would strand every user's data in the wrong partition.
        assert_eq!([of("alice"), of("bob"), of("ada@example.org")], [48, 37, 60]);
    }

    #[test]
    fn users_spread_over_all_partitions() {
        let count = PartitionCount::try_new(64).unwrap();
        let mut seen = [0u32; 64];
        for number in 0..6_400 {
            seen[usize::from(count.of(&UserId::try_new(&format!("user-{number}")).unwrap()).index())] += 1;
        }
        assert!(seen.iter().all(|&users| (50..=160).contains(&users)), "{seen:?}");
    }
}
