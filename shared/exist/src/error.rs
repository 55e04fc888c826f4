//! What went wrong, told by what may have been applied.

use std::{fmt, time::Duration};

use reqwest::StatusCode;

/// A call that brought no usable answer.
///
/// Only [`ExistError::Unknown`] leaves open whether a write was applied; after every other error
/// nothing was. Texts hold no token, and at most [`MESSAGE_MAX`](crate::MESSAGE_MAX) characters of
/// what Exist said.
#[derive(Debug, thiserror::Error)]
pub enum ExistError {
    /// 401: the token is expired, revoked or unknown. Refresh it once; if that is refused, the
    /// user must connect again.
    #[error("{action}: Exist does not take the token (401)")]
    Unauthorised {
        /// What we were doing.
        action: Action,
    },
    /// 403: the token is good, and may not do this. The user must grant more.
    #[error("{action}: Exist does not permit it (403): {message}")]
    Forbidden {
        /// What we were doing.
        action: Action,
        /// What Exist said.
        message: String,
    },
    /// 429: the token's 300 requests an hour are spent. Nothing before the time told, or, where
    /// none is, before the oldest request of the last 60 minutes is an hour old.
    #[error("{action}: too many requests (429)")]
    RateLimited {
        /// What we were doing.
        action: Action,
        /// How long Exist asks us to wait, at most [`RETRY_AFTER_MAX`](crate::RETRY_AFTER_MAX).
        retry_after: Option<Duration>,
    },
    /// 404: when reading values, the attribute is inactive or unknown; else, or when reading a list,
    /// there is no such page or path.
    #[error("{action}: there is no such thing (404): {message}")]
    NotFound {
        /// What we were doing.
        action: Action,
        /// What Exist said.
        message: String,
    },
    /// Another 4xx: the request as a whole was refused. Sending it again cannot help.
    #[error("{action}: refused ({status}): {message}")]
    Refused {
        /// What we were doing.
        action: Action,
        /// The status, 400 to 499.
        status: StatusCode,
        /// What Exist said.
        message: String,
    },
    /// The fence said no: the body never left. Whoever owns the user now does it.
    #[error("{action}: not sent, since it was no longer ours to send")]
    Fenced {
        /// What we were doing.
        action: Action,
    },
    /// No connection, or none in time: the body never left. Try again later.
    #[error("{action}: not sent")]
    NotSent {
        /// What we were doing.
        action: Action,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No usable answer: what was sent may or may not be applied. Reads can be repeated, a total can
    /// be sent again, an increment must be read back first.
    #[error("{action}: the outcome is unknown")]
    Unknown {
        /// What we were doing.
        action: Action,
        /// How it ended.
        #[source]
        cause: Cause,
    },
    /// The code or the refresh token is used up, expired or revoked: the user must connect again.
    #[error("{action}: the grant is no longer good")]
    InvalidGrant {
        /// What we were doing.
        action: Action,
    },
    /// The token endpoint does not know our application or its secret: the operator must act, the
    /// user's tokens are as good as before.
    #[error("{action}: Exist does not take our application's credentials")]
    AppRefused {
        /// What we were doing.
        action: Action,
    },
    /// The client was made without application credentials, which this needs. Nothing was sent.
    #[error("{action}: no application credentials are set")]
    NoApp {
        /// What we were doing.
        action: Action,
    },
    /// The HTTP client could not be made.
    #[error("making the HTTP client for Exist")]
    Setup(#[source] reqwest::Error),
}

impl ExistError {
    /// Whether a write may have been applied all the same.
    #[must_use]
    pub const fn may_be_applied(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

/// How a call ended whose outcome is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke after the request had begun to leave.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// 5xx, a redirect, 408: not an answer of the API itself.
    #[error("status {status}: {message}")]
    Status {
        /// The status.
        status: StatusCode,
        /// What the answer said.
        message: String,
    },
    /// An answer of success that we cannot read.
    #[error("cannot read the answer: {0}")]
    Unreadable(String),
}

impl From<reqwest::Error> for Cause {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Broken(error.without_url()) }
    }
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// `accounts/profile/`.
    ReadProfile,
    /// `attributes/`.
    ReadAttributes,
    /// `attributes/owned/`.
    ReadOwned,
    /// `attributes/with-values/`.
    ReadWithValues,
    /// `attributes/values/`.
    ReadValues,
    /// `attributes/acquire/`.
    Acquire,
    /// `attributes/create/`.
    Create,
    /// `attributes/release/`.
    Release,
    /// `attributes/update/`.
    Update,
    /// `attributes/increment/`.
    Increment,
    /// `authorize`, for the browser.
    Authorise,
    /// `access_token` with a code.
    ExchangeCode,
    /// `access_token` with a refresh token.
    RefreshTokens,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadProfile => "reading the profile",
            Self::ReadAttributes => "listing attributes",
            Self::ReadOwned => "listing owned attributes",
            Self::ReadWithValues => "reading recent values",
            Self::ReadValues => "reading an attribute's values",
            Self::Acquire => "acquiring attributes",
            Self::Create => "creating attributes",
            Self::Release => "releasing attributes",
            Self::Update => "writing daily values",
            Self::Increment => "adding to daily values",
            Self::Authorise => "making the authorisation address",
            Self::ExchangeCode => "exchanging a code for tokens",
            Self::RefreshTokens => "refreshing tokens",
        })
    }
}
