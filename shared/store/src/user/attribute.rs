//! An attribute that a user's connections feed, and what became of it in Exist.

use event::{Day, Unit};
use ledger::Mode;
use serde::{Deserialize, Serialize};

/// How an attribute comes to be ours in Exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acquire {
    /// By Exist's template, which creates it where the user has none.
    Template(String),
    /// By name: the user must have it.
    Name,
    /// By name, and created with these where the user has none.
    Custom {
        /// Shown to the user.
        label: String,
        /// Exist's group.
        group: String,
        /// Exist's type code.
        value_type: u8,
    },
}

/// An attribute that a user's connections feed. Written by operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// How it comes to be ours.
    pub acquire: Acquire,
    /// How it is written.
    pub mode: Mode,
    /// What its amounts are counted in, by the sources that feed it.
    pub unit: Unit,
}

/// What became of an attribute in Exist. Written by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum AttributeState {
    /// Ours to write.
    Owned {
        /// Its name in Exist, as Exist gave it.
        name: String,
        /// It was taken back once already after somebody else had taken it.
        reacquired: bool,
        /// We knew of no value of it when it became ours: what stands there on days up to this one was there
        /// before us.
        #[serde(default)]
        fresh_until: Option<Day>,
        /// Exist said that it was ours already: what stands there before us came from an earlier life of ours.
        #[serde(default)]
        was_ours: bool,
        /// What stands there from that earlier life was read, and is known.
        #[serde(default)]
        taken_over: bool,
    },
    /// To be acquired under this name: it exists already, or was taken from us.
    ToAcquire {
        /// Its name in Exist.
        name: String,
        /// It was ours before.
        reacquired: bool,
    },
    /// The user has none: to be created.
    ToCreate,
    /// Not ours, until an operator or the user does something.
    Refused {
        /// Why, as Exist said.
        detail: String,
    },
}

impl AttributeState {
    /// Whether what stands in Exist on a day was there before us, and whether it came from us all the same.
    #[must_use]
    pub fn before_us(&self, day: Day) -> Option<bool> {
        match self {
            Self::Owned { fresh_until: Some(until), was_ours, .. } if day <= *until => Some(*was_ours),
            _ => None,
        }
    }

    /// Whether values of an earlier life of ours stand there that are not known yet.
    #[must_use]
    pub const fn is_to_take_over(&self) -> bool {
        matches!(self, Self::Owned { fresh_until: Some(_), was_ours: true, taken_over: false, .. })
    }
}
