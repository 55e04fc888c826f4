//! What is asked and answered, and how much at most.

use axum::extract::{Query, rejection::QueryRejection};
use event::{Reason, SourceName, State, TransactionId, UserId};
use serde::{Deserialize, Serialize};
use store::{DeadLetter, Stage};
use utoipa::{IntoParams, ToSchema};

use super::Problem;
use crate::{LetterRow, PartitionRow, Status, TransactionRow};

/// Most rows in one answer.
pub const API_MAX: usize = 500;
/// Rows in an answer, unless it is said.
const ROWS: usize = 100;

/// The status of everything.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusAnswer {
    /// When it was read, in milliseconds since 1970 by Redis' clock.
    pub(super) read_at_ms: u64,
    #[serde(flatten)]
    pub(super) status: Status,
}

/// Some partitions.
#[derive(Serialize, ToSchema)]
pub(super) struct PartitionsAnswer {
    /// When they were read, in milliseconds since 1970 by Redis' clock.
    pub(super) read_at_ms: u64,
    /// By stage and number.
    pub(super) partitions: Vec<PartitionRow>,
    /// How many to skip for the rest; `null` if there is none.
    pub(super) next: Option<usize>,
}

/// Some dead letters.
#[derive(Serialize, ToSchema)]
pub(super) struct LettersAnswer {
    /// By partition, the oldest transaction of each first. There may be fewer than asked for although more follow.
    pub(super) dead_letters: Vec<LetterRow>,
    /// What to send as `after` for the rest; `null` if there is none.
    pub(super) next: Option<String>,
}

/// Some of a user's transactions.
#[derive(Serialize, ToSchema)]
pub(super) struct TransactionsAnswer {
    /// The newest last.
    pub(super) transactions: Vec<TransactionRow>,
    /// How many older ones were left out.
    pub(super) older: usize,
    /// What to send as `before` for the older ones; `null` if there are none.
    pub(super) next: Option<String>,
}

/// Which partitions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PartitionsQuery {
    /// Of this stage: `fetch`, `normalise` or `write`.
    pub(super) stage: Option<String>,
    /// Skip so many.
    pub(super) skip: Option<usize>,
    /// At most so many, 1 to 500; 100 if it is not said.
    limit: Option<usize>,
}

/// Which dead letters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LettersQuery {
    /// Of this stage: `normalise` or `write`.
    stage: Option<String>,
    /// With this cause: `malformed` or `poison`.
    cause: Option<String>,
    /// From this source.
    #[param(value_type = Option<String>)]
    source: Option<SourceName>,
    /// Of this user.
    #[param(value_type = Option<String>)]
    pub(super) user: Option<UserId>,
    /// Behind this transaction.
    pub(super) after: Option<String>,
    /// At most so many, 1 to 500; 100 if it is not said.
    limit: Option<usize>,
}

/// Which transactions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TransactionsQuery {
    /// In this state: `queued`, `processing`, `completed`, `errored`, `canceled`, `dropped`, `duplicate` or
    /// `disabled`.
    state: Option<String>,
    /// Older than this transaction.
    pub(super) before: Option<String>,
    /// At most so many, 1 to 500; 100 if it is not said.
    limit: Option<usize>,
}

/// What was asked, or why it cannot be.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

fn bounded(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(ROWS);
    let wrong = || Problem::bad_request(format!("limit is 1 to {API_MAX}"));
    if (1..=API_MAX).contains(&limit) { Ok(limit) } else { Err(wrong()) }
}

/// A transaction's id in a question.
pub(super) fn transaction(text: &str) -> Result<TransactionId, Problem> {
    text.parse().map_err(|error: event::EntryIdError| Problem::bad_request(error.to_string()))
}

fn one_of(name: &str, given: Option<&str>, words: &[&str]) -> Result<(), Problem> {
    match given {
        Some(given) if !words.contains(&given) => {
            Err(Problem::bad_request(format!("{name} is one of {}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

impl PartitionsQuery {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        one_of("stage", self.stage.as_deref(), &Stage::ALL.map(Stage::as_str))?;
        bounded(self.limit)
    }
}

impl LettersQuery {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        one_of("stage", self.stage.as_deref(), &[Stage::Normalise.as_str(), Stage::Write.as_str()])?;
        one_of("cause", self.cause.as_deref(), &[Reason::Malformed.as_str(), Reason::Poison.as_str()])?;
        bounded(self.limit)
    }

    pub(super) fn takes(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        is(self.stage.as_deref(), &letter.stage)
            && is(self.cause.as_deref(), letter.cause.as_str())
            && is(self.source.as_ref().map(SourceName::as_str), &letter.source)
            && is(self.user.as_ref().map(UserId::as_str), &letter.user)
    }
}

impl TransactionsQuery {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        bounded(self.limit)
    }

    pub(super) fn state(&self) -> Result<Option<State>, Problem> {
        one_of("state", self.state.as_deref(), &State::ALL.map(State::as_str))?;
        Ok(State::ALL.into_iter().find(|state| Some(state.as_str()) == self.state.as_deref()))
    }
}
