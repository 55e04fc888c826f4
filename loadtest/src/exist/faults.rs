//! What can go wrong between a client and Exist.

use std::time::Duration;

use jiff::civil::Date;

use super::config::Service;
use super::object::Object;
use super::value::DailyValue;

/// Something that happens to one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset and nothing was done.
    ResetBeforeCommit,
    /// Everything was done and the connection is reset in place of the answer.
    CommitThenReset,
    /// Everything was done and nginx answers this status, 502 or 504, with HTML.
    CommitThenStatus(u16),
    /// Nothing was done; nginx answers this 5xx with HTML.
    Status(u16),
    /// Done at once, answered this much later.
    AnswerLate(Duration),
    /// Done and answered this much later, also when the client has long hung up.
    CommitLate(Duration),
    /// The items of the answer come in another order.
    Shuffle,
    /// One item fails and is not applied; the rest of its request is.
    FailItem {
        /// Which one; requests without it do not meet the fault.
        item: ItemPick,
        /// Its `error_code`, known to Exist's documentation or not.
        code: String,
        /// Its `error`.
        text: String,
    },
    /// 401 although the token is good.
    Unauthorised,
    /// 429 although there is room.
    TooManyRequests {
        /// The header, if any; sent in whole seconds.
        retry_after: Option<Duration>,
        /// Whether there is a body.
        detail: bool,
    },
    /// The world changes just before the request is looked at.
    Before(Happening),
    /// The world changes just after the request was done.
    After(Happening),
    /// Objects carry a key that nobody documented.
    ExtraKey,
    /// Attribute objects come without `subgroup`, as in 2023.
    NoSubgroup,
}

/// Which item of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemPick {
    /// By place, from 0.
    At(usize),
    /// By name (or template, or label).
    Named(String),
    /// By name and date.
    Dated(String, Date),
}

impl ItemPick {
    pub(super) fn is(&self, index: usize, item: &Object) -> bool {
        let named = |name: &str| {
            ["name", "template", "label"].iter().any(|key| item.get::<String>(key).as_deref() == Some(name))
        };
        match self {
            Self::At(place) => *place == index,
            Self::Named(name) => named(name),
            Self::Dated(name, date) => named(name) && item.get::<String>("date") == Some(date.to_string()),
        }
    }
}

/// A change that is none of the client's doing.
#[derive(Clone, Debug)]
pub enum Happening {
    /// Another service takes an attribute.
    OwnershipTaken {
        /// Its name.
        attribute: String,
        /// The new owner.
        by: Service,
    },
    /// The user types a value in.
    UserEdit {
        /// The attribute's name.
        attribute: String,
        /// The day.
        date: Date,
        /// What it holds afterwards.
        value: DailyValue,
    },
    /// The user travels to this IANA zone.
    ZoneChange(String),
    /// The user removes the client: its tokens die, its attributes turn inactive and unowned.
    Revoke,
}

/// Where in a request a fault acts; all but the free ones act alone there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Instead,
    Wait,
    End,
    Free,
}

impl Fault {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::ResetBeforeCommit | Self::Status(_) | Self::Unauthorised | Self::TooManyRequests { .. } => {
                Place::Instead
            }
            Self::CommitThenReset | Self::CommitThenStatus(_) => Place::End,
            Self::AnswerLate(_) | Self::CommitLate(_) => Place::Wait,
            _ => Place::Free,
        }
    }

    /// Whether it shows only where something is written.
    pub(super) fn needs_write(&self) -> bool {
        matches!(
            self,
            Self::CommitThenReset | Self::CommitThenStatus(_) | Self::Shuffle | Self::FailItem { .. } | Self::After(_)
        )
    }

    /// What the request log calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResetBeforeCommit => "reset_before_commit",
            Self::CommitThenReset => "commit_then_reset",
            Self::CommitThenStatus(_) => "commit_then_status",
            Self::Status(_) => "status",
            Self::AnswerLate(_) => "answer_late",
            Self::CommitLate(_) => "commit_late",
            Self::Shuffle => "shuffle",
            Self::FailItem { .. } => "fail_item",
            Self::Unauthorised => "unauthorised",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Before(_) => "before",
            Self::After(_) => "after",
            Self::ExtraKey => "extra_key",
            Self::NoSubgroup => "no_subgroup",
        }
    }
}
