//! The fate of each item of a write, matched by what it names, never by its place.

mod echo;

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Acquire, Batch, Create, Delta, Item, Release, Value, excerpt};
pub(crate) use echo::Echo;

/// The answer to `update`.
pub type Written = Answer<Value>;
/// The answer to `increment`.
pub type Incremented = Answer<Delta>;
/// The answer to `acquire`.
pub type Acquired = Answer<Acquire>;
/// The answer to `create`.
pub type Created = Answer<Create>;
/// The answer to `release`.
pub type ReleaseAnswer = Answer<Release>;

/// What became of every item of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a write may succeed in part: each item has its own fate"]
pub struct Answer<T: Item> {
    /// One for each item sent, in the order of the batch.
    pub settled: Vec<Settled<T>>,
}

/// One item and its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled<T: Item> {
    /// As it was sent.
    pub item: T,
    /// What Exist says of it.
    pub fate: Fate<T::Applied>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate<A> {
    /// Done, with what Exist says of it.
    Applied(A),
    /// Not done; the others are not affected.
    Refused(Refusal),
    /// The answer does not mention it, or contradicts itself: it may or may not be done. Read back.
    Unconfirmed,
}

/// Why Exist did not do one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub code: ErrorCode,
    /// Exist's English text, at most [`MESSAGE_MAX`](crate::MESSAGE_MAX) characters.
    pub message: String,
    /// The name that the refusal carries: for [`ErrorCode::Exists`] that of the attribute in the way.
    pub name: Option<String>,
}

/// The kinds of refusal met so far.
///
/// Source: <https://developer.exist.io/reference/writing_data/>; the list is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// `missing_field`: our mistake.
    MissingField,
    /// `unauthorised`: another service owns the attribute by now, or nobody does.
    Unauthorised,
    /// `not_found`: the user has no such attribute.
    NotFound,
    /// `not_allowed`: the token lacks the write scope of the group.
    NotAllowed,
    /// `validation`: the value does not fit the attribute's type.
    Validation,
    /// `exists`: an attribute of this label is there already, perhaps inactive.
    Exists,
    /// Any other, empty if there was none: permanent for its item.
    Other(String),
}

impl ErrorCode {
    /// As Exist spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::MissingField => "missing_field",
            Self::Unauthorised => "unauthorised",
            Self::NotFound => "not_found",
            Self::NotAllowed => "not_allowed",
            Self::Validation => "validation",
            Self::Exists => "exists",
            Self::Other(code) => code,
        }
    }
}

impl From<&str> for ErrorCode {
    fn from(code: &str) -> Self {
        match code {
            "missing_field" => Self::MissingField,
            "unauthorised" => Self::Unauthorised,
            "not_found" => Self::NotFound,
            "not_allowed" => Self::NotAllowed,
            "validation" => Self::Validation,
            "exists" => Self::Exists,
            other => Self::Other(excerpt::short(other, &[])),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The two arrays of a write answer, not yet matched.
#[derive(Deserialize)]
pub(crate) struct Arrays<'a> {
    #[serde(borrow, default)]
    success: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    failed: Option<Vec<&'a RawValue>>,
}

impl Arrays<'_> {
    /// Whether the answer has both.
    pub(crate) const fn both(&self) -> bool {
        self.success.is_some() && self.failed.is_some()
    }

    /// Whether the answer has at least one, and so says something.
    pub(crate) const fn any(&self) -> bool {
        self.success.is_some() || self.failed.is_some()
    }

    /// Gives every item its fate. What is said of things that were not sent is ignored.
    pub(crate) fn settle<T: Item>(self, batch: &Batch<T>, secrets: &[&str]) -> Answer<T> {
        let items = batch.items();
        let mut said: Vec<Option<Fate<T::Applied>>> = items.iter().map(|_| None).collect();
        for echo in self.success.iter().flatten().filter_map(|raw| Echo::read(raw)) {
            if let Some(index) = items.iter().position(|item| item.is_success(&echo)) {
                let fate = T::applied(&echo).map_or(Fate::Unconfirmed, Fate::Applied);
                say(&mut said[index], fate);
            }
        }
        for echo in self.failed.iter().flatten().filter_map(|raw| Echo::read(raw)) {
            let named = items.iter().position(|item| item.is_failure(&echo));
            let counted = || echo.index().filter(|&index| items.get(index).is_some_and(|i| i.may_be_failure(&echo)));
            if let Some(index) = named.or_else(counted) {
                say(&mut said[index], Fate::Refused(refusal(&echo, secrets)));
            }
        }
        let settle = |(item, said): (&T, Option<Fate<T::Applied>>)| Settled {
            item: item.clone(),
            fate: said.unwrap_or(Fate::Unconfirmed),
        };
        Answer { settled: items.iter().zip(said).map(settle).collect() }
    }
}

/// Records what is said of an item; two sayings that differ leave it unconfirmed.
fn say<A: PartialEq>(said: &mut Option<Fate<A>>, fate: Fate<A>) {
    *said = match said.take() {
        Some(before) if before != fate => Some(Fate::Unconfirmed),
        _ => Some(fate),
    };
}

fn refusal(echo: &Echo<'_>, secrets: &[&str]) -> Refusal {
    Refusal {
        code: ErrorCode::from(echo.text("error_code").unwrap_or_default().as_str()),
        message: excerpt::short(&echo.text("error").unwrap_or_default(), secrets),
        name: echo.text("name"),
    }
}

#[cfg(test)]
mod tests;
