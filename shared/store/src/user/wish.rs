//! What operators ask of the exist-writer, and what it found.

use std::collections::BTreeMap;

use event::{AttributeName, Day, Decimal};
use ledger::Mode;
use serde::{Deserialize, Serialize};

/// A wish that recent days be set to 0 in Exist and then written anew. Written by operators; the exist-writer
/// takes days off it as they are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zeroing {
    /// The days that are still to be set to 0.
    pub days: Vec<Day>,
    /// When it was asked, in milliseconds since 1970 by Redis' clock.
    pub asked_ms: u64,
}

/// A wish that everything we have left in Exist be read back. Written by operators; taken by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAsked {
    /// Whether what differs is to be written again.
    pub repair: bool,
    /// When it was asked, in milliseconds since 1970 by Redis' clock.
    pub asked_ms: u64,
}

/// What an audit found. Written by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// [`AuditAsked::asked_ms`].
    pub asked_ms: u64,
    /// How many values were compared.
    pub compared: u64,
    /// Those that were not what we had left there.
    pub differences: Vec<Difference>,
    /// Attributes whose values Exist does not show us.
    pub unreadable: Vec<AttributeName>,
}

/// A value in Exist that is not what we had left there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The attribute's name.
    pub attribute: AttributeName,
    /// The local day.
    pub day: Day,
    /// What we had left there; `None` if nobody can tell.
    pub left: Option<Decimal>,
    /// What stands there.
    pub found: Decimal,
    /// How the attribute is written.
    pub mode: Mode,
    /// Whether it is written again.
    pub repaired: bool,
}

/// What stood in Exist before us, for an operator to decide about: attribute → day → value. Written by the
/// exist-writer.
pub type Found = BTreeMap<AttributeName, BTreeMap<Day, Decimal>>;
