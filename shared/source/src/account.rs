//! Whose records are read, and with which key.

use std::fmt;

use event::UserId;
use serde_json::Value;

/// Shortest text that counts as a secret, in bytes: hiding shorter ones would only garble messages.
const SECRET_BYTES_MIN: usize = 4;

/// What is wrong with a connection's credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credentials: {}", problems.join("; "))]
pub struct CredentialsError {
    /// Each names a field and what it should be, and holds no value.
    pub problems: Vec<String>,
}

/// One user's connection to a source.
#[derive(Clone)]
pub struct Account {
    /// Our user, for logs.
    pub user: UserId,
    /// What the source needs to know us: an object, checked by [`crate::Source::check_credentials`].
    pub credentials: Value,
}

impl Account {
    /// A text or number among the credentials, as text; empty when it is missing.
    #[must_use]
    pub fn credential(&self, field: &str) -> String {
        match self.credentials.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// Every text among the credentials that is long enough to hide, the longest first.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let texts = self.credentials.as_object().into_iter().flat_map(serde_json::Map::values);
        let texts = texts.filter_map(Value::as_str).filter(|text| text.len() >= SECRET_BYTES_MIN);
        let mut secrets: Vec<_> = texts.map(str::to_owned).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("user", &self.user).field("credentials", &"…").finish()
    }
}
