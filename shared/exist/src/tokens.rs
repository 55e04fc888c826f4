//! OAuth tokens, and what comes with them.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::attribute::lenient;

/// A token pair. Store both before using either: the pair before is dead.
///
/// Source: <https://developer.exist.io/reference/authentication/oauth2/>
#[derive(Debug, Clone)]
pub struct Tokens {
    /// For every call, as a bearer token.
    pub access: SecretString,
    /// For the next pair; documented to be there always.
    pub refresh: Option<SecretString>,
    /// From now until the access token expires; a year as documented, nothing if it was not told.
    pub expires_in: Option<Duration>,
    /// What was granted, such as `productivity_write`.
    pub scopes: Vec<String>,
}

/// Tokens as they are on the wire.
#[derive(Deserialize)]
pub(crate) struct Wire {
    access_token: SecretString,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default, deserialize_with = "lenient")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    scope: Option<String>,
}

impl Tokens {
    /// The tokens of an answer; nothing if it has an empty one where the access token should be.
    pub(crate) fn from_wire(wire: Wire) -> Option<Self> {
        let filled = |token: &SecretString| !token.expose_secret().is_empty();
        Some(Self {
            access: Some(wire.access_token).filter(filled)?,
            refresh: wire.refresh_token.filter(filled),
            expires_in: wire.expires_in.map(Duration::from_secs),
            scopes: wire.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        })
    }
}
