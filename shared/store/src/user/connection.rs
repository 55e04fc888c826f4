//! Connections: Exist and the sources.

use std::collections::{BTreeMap, BTreeSet};

use event::AttributeName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether a connection works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Connected {
    /// As far as we know.
    On,
    /// Not until the user connects again.
    Off {
        /// Why, in words without secrets.
        reason: String,
        /// Since when, in milliseconds since 1970.
        since_ms: u64,
    },
}

impl Connected {
    /// Whether it works.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        matches!(self, Self::On)
    }
}

/// What becomes of the values that stood in Exist before us, on the days that we count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// Total mode writes over them unread. Increment mode adds to them, unless the attribute was ours already.
    #[default]
    Unset,
    /// They stay, and our sums come on top.
    Baseline,
    /// They came from a predecessor's totals of the same records: our sums take their place.
    Ours,
    /// They are read and kept for an operator to look at; nothing is written before that is decided.
    Ask,
}

impl Adopt {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Baseline => "baseline",
            Self::Ours => "ours",
            Self::Ask => "ask",
        }
    }
}

/// The connection to Exist. Tokens are sealed. Written by operators; tokens and state by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistConnection {
    /// Whether it works.
    pub connected: Connected,
    /// Sealed for `<user>/exist`.
    pub access_token: String,
    /// Sealed likewise.
    pub refresh_token: Option<String>,
    /// When the access token expires, in seconds since 1970; unknown means after the first 401.
    pub expires_at: Option<i64>,
    /// What becomes of the values that stood in Exist before us.
    pub adopt: Adopt,
    /// The token was refreshed because Exist refused the one before: if it refuses this one as well,
    /// the connection is off.
    #[serde(default)]
    pub last_chance: bool,
}

/// A connection to a source. Written by operators; its state by the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceConnection {
    /// Whether it works.
    pub connected: Connected,
    /// JSON, sealed for `<user>/<source>`.
    pub credentials: String,
    /// Each attribute's rule, as the source understands it.
    pub rules: BTreeMap<AttributeName, Value>,
    /// The access token was refreshed because the source refused the one before: if it refuses this one as
    /// well, the connection is off.
    #[serde(default)]
    pub last_chance: bool,
}

/// What changed in a connection's rules, by attribute, in words; `None` if nothing did. Other rules count
/// other records, and only the source can tell them all: they need a recount.
#[must_use]
pub fn changed_rules(before: &BTreeMap<AttributeName, Value>, now: &BTreeMap<AttributeName, Value>) -> Option<String> {
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let changes: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (before.get(name), now.get(name)) {
            (None, Some(_)) => Some(format!("{name} is new")),
            (Some(_), None) => Some(format!("{name} is gone")),
            (before, now) if before != now => Some(format!("{name} has another rule")),
            _ => None,
        })
        .collect();
    if changes.is_empty() { None } else { Some(changes.join(", ")) }
}
