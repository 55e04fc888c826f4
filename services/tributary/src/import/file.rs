//! The file as an operator writes it. Unknown fields are ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use settings::SecretString;

/// One person.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) user: String,
    pub(crate) timezone: Option<String>,
    pub(crate) exist: Option<ExistRow>,
    #[serde(default)]
    pub(crate) connections: Vec<ConnectionRow>,
}

/// The tokens for Exist.
#[derive(Debug, Deserialize)]
pub(crate) struct ExistRow {
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) expires_in: Option<i64>,
    pub(crate) created_at: Option<i64>,
    #[serde(default)]
    pub(crate) adopt: bool,
}

/// One source.
#[derive(Deserialize)]
pub(crate) struct ConnectionRow {
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) credentials: Value,
    #[serde(default)]
    pub(crate) settings: ConnectionSettings,
}

impl std::fmt::Debug for ConnectionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionRow").field("source", &self.source).field("credentials", &"…").finish()
    }
}

/// What it counts for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ConnectionSettings {
    #[serde(default)]
    pub(crate) map: BTreeMap<String, Value>,
}

/// What a rule says about its attribute in Exist; the rest of the rule is the source's.
#[derive(Debug, Deserialize)]
pub(crate) struct AttributeRow {
    pub(crate) template: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) value_type: Option<u8>,
    pub(crate) mode: Option<String>,
}
