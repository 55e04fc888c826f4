//! Dead letters, as the command and the API tell them.

use serde::Serialize;
use store::DeadLetter;
use utoipa::ToSchema;

/// An entry set aside with its cause, without what is in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LetterRow {
    /// Its transaction.
    pub id: String,
    /// The stage that set it aside: `normalise` or `write`.
    pub stage: String,
    /// Whose record.
    pub user: String,
    /// At which source.
    pub source: String,
    /// Its id there.
    pub external_id: String,
    /// `malformed` or `poison`.
    pub cause: String,
    /// What was wrong.
    pub error: String,
    /// When it was set aside, in milliseconds since 1970.
    pub at_ms: u64,
    /// How many deliveries it had.
    pub deliveries: u32,
    /// The transaction that it repeats, where an operator put it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
}

impl From<&DeadLetter> for LetterRow {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            id: letter.transaction.to_string(),
            stage: letter.stage.clone(),
            user: letter.user.clone(),
            source: letter.source.clone(),
            external_id: letter.external_id.clone(),
            cause: letter.cause.to_string(),
            error: letter.error.clone(),
            at_ms: letter.at_ms,
            deliveries: letter.deliveries,
            replay_of: letter.replay_of().map(|old| old.to_string()),
        }
    }
}
