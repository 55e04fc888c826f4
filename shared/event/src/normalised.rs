//! A record's newest version as what it adds to which day: an entry of the normalised stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Amount, AttributeName, ContentHash, Day, ExternalId, SourceName, TransactionId, UserId, Version};

/// What one version of a record adds to one attribute on one day, in whole base units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The attribute's name in Exist.
    pub attribute: AttributeName,
    /// The user's local day.
    pub day: Day,
    /// How much, in the attribute's base unit.
    pub amount: Amount,
}

/// Sums contributions so that each (attribute, day) stands once, in order, and none is 0.
///
/// # Panics
/// When a sum leaves the range of `i64`: amounts are checked against 10¹² where records are read,
/// so that a page of them cannot.
#[must_use]
pub fn merge(contributions: impl IntoIterator<Item = Contribution>) -> Vec<Contribution> {
    let mut sums: BTreeMap<(AttributeName, Day), Amount> = BTreeMap::new();
    for Contribution { attribute, day, amount } in contributions {
        *sums.entry((attribute, day)).or_default() += amount;
    }
    let nonzero = sums.into_iter().filter(|&(_, amount)| amount != 0);
    nonzero.map(|((attribute, day), amount)| Contribution { attribute, day, amount }).collect()
}

/// A record's version, accepted by the arrival rules and turned into contributions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NormalisedEvent {
    /// The transaction it carries on.
    pub transaction: TransactionId,
    /// Whose record it is.
    pub user: UserId,
    /// Who recorded it.
    pub source: SourceName,
    /// Its id there.
    pub external_id: ExternalId,
    /// Its version there.
    pub version: Version,
    /// What this version says, as a hash.
    pub content: ContentHash,
    /// When the read began, in milliseconds since 1970.
    pub read_at_ms: i64,
    /// What this version adds; empty for a deleted record. Merged: see [`merge`].
    pub contributions: Vec<Contribution>,
    /// Its part in a recount, if it has one.
    #[serde(default)]
    pub recount: Option<Recount>,
    /// The transaction this one repeats, when an operator put it back into the normalised stream.
    #[serde(default)]
    pub replay_of: Option<TransactionId>,
}

/// What an event means to a recount of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recount {
    /// From here on the source's totals are built anew, from this day on. No record; its version is the
    /// recount's generation.
    Begun {
        /// The first day that is counted anew.
        from: Day,
    },
    /// A record that the recount brought.
    Row,
    /// All of them were told: the days may be written again. No record.
    Ended,
}
