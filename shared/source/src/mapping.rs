//! What a record adds to which day, by the rules an operator wrote.

use std::collections::BTreeMap;

use event::{AttributeName, Contribution, Unit};
use serde_json::Value;

use crate::Zones;

/// Each attribute's rule for one source, as JSON: `{"projects": [42]}`.
pub type RulesByAttribute = BTreeMap<AttributeName, Value>;

/// A rule that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("map.{attribute}.{field}: {problem}")]
pub struct MappingError {
    /// The attribute whose rule it is.
    pub attribute: AttributeName,
    /// The field of the rule.
    pub field: String,
    /// What it should be.
    pub problem: String,
}

/// A payload that its own source cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// What a record counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// It adds this; merged by the caller. Empty when no rule takes it.
    Adds(Vec<Contribution>),
    /// It counts nothing yet: a timer that still runs.
    NotYet,
}

/// One connection's rules, compiled.
pub trait Mapping: Send + Sync {
    /// The attributes it feeds, with the base unit of each.
    fn attributes(&self) -> &[(AttributeName, Unit)];

    /// What a record's payload adds, by the user's local days.
    ///
    /// # Errors
    /// [`Malformed`]: the payload is not what this source's `read` makes.
    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed>;
}
