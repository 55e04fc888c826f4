//! Whose activity it is, and where.

use serde_json::Value;
use source::{Account, CredentialsError, oauth};

/// The part of the credentials that decides what counts.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) user_id: i64,
    pub(crate) login: String,
    /// `owner/name`, as they were given.
    pub(crate) repositories: Vec<String>,
}

impl Me {
    pub(crate) fn of(account: &Account) -> Self {
        let user_id = account.credentials.get("user_id").and_then(Value::as_i64).unwrap_or(0);
        Self { user_id, login: account.credential("login"), repositories: repositories(&account.credentials) }
    }

    /// Whether this is the user's login: case does not matter to GitHub.
    pub(crate) fn is_login(&self, login: &str) -> bool {
        self.login.eq_ignore_ascii_case(login)
    }
}

/// The repositories of a connection.
pub(crate) fn repositories(credentials: &Value) -> Vec<String> {
    let list = credentials.get("repositories").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What is wrong with the credentials, never their values.
pub(crate) fn check(credentials: &Value) -> Result<(), CredentialsError> {
    let mut problems = oauth::problems(credentials, "token");
    if !credentials.get("login").is_some_and(oauth::is_word) {
        problems.push("login must be a text without spaces".to_owned());
    }
    if !credentials.get("user_id").is_some_and(Value::is_i64) {
        problems.push("user_id must be a whole number".to_owned());
    }
    let is_repository = |value: &Value| {
        value.as_str().and_then(|text| text.split_once('/')).is_some_and(|(owner, name)| {
            let is_part =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            is_part(owner) && is_part(name)
        })
    };
    let list = credentials.get("repositories").and_then(Value::as_array);
    if !list.is_some_and(|list| !list.is_empty() && list.iter().all(is_repository)) {
        problems.push("repositories must be a list of at least one owner/name".to_owned());
    }
    let secret = credentials.get("webhook_secret").filter(|secret| !secret.is_null());
    if secret.is_some_and(|secret| secret.as_str().is_none_or(str::is_empty)) {
        problems.push("webhook_secret must be a text".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(CredentialsError { problems }) }
}
