#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod account; // whose records, and the key to them
mod error; // why a read brought nothing
mod fields; // one row of an answer, field by field
pub mod hooks; // what a source sends by itself
pub mod http; // one exchange, bounded
mod mapping; // what a record adds to which day
pub mod oauth; // access that a user grants
mod page; // what a read brought
mod span; // lengths of time, cut at local midnights
#[cfg(feature = "suite")]
pub mod suite; // what every source must pass
mod zones; // which zone decides the days

pub use account::{Account, CredentialsError};
pub use error::SourceError;
pub use fields::{Fields, integer, text, time};
pub use hooks::Hooks;
pub use mapping::{Counted, Malformed, Mapping, MappingError, RulesByAttribute};
pub use oauth::OAuth;
pub use page::{Cursor, Hint, PAYLOAD_BYTES_MAX, Page, Read, Row};
pub use span::seconds_by_day;
pub use zones::Zones;

use std::sync::Arc;

/// The sources a deployment knows, by name.
pub type Sources = std::collections::BTreeMap<event::SourceName, Arc<dyn Source>>;

/// One service that records people's activity.
#[async_trait::async_trait]
pub trait Source: Send + Sync {
    /// Its name in settings, keys, metrics and logs.
    fn name(&self) -> event::SourceName;

    /// Checks the credentials of an import: which fields are needed, and of which kind.
    ///
    /// # Errors
    /// [`CredentialsError`], naming each field that is missing or wrong, never its value.
    fn check_credentials(&self, credentials: &serde_json::Value) -> Result<(), CredentialsError>;

    /// Turns the rules of an import into a mapping, once; it is then asked for every record.
    ///
    /// # Errors
    /// [`MappingError`], one for each rule that cannot be, naming the attribute and the field.
    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn Mapping>, Vec<MappingError>>;

    /// Reads one page of what changed since the cursor. A fresh cursor reads the back-fill window.
    ///
    /// The page's cursor must be stored together with its rows, or not at all: a source may rely on
    /// having been heard. Calling again with the same cursor is always safe and brings at least the
    /// same changes.
    ///
    /// # Errors
    /// [`SourceError`]; nothing was read and the cursor stays where it is.
    async fn read(&self, account: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError>;

    /// Our application at the source, where users grant access by OAuth; `None` where they bring a key,
    /// or where the deployment has no application there.
    fn oauth(&self) -> Option<&OAuth> {
        None
    }

    /// The field of the credentials that holds what a grant renews.
    fn token_field(&self) -> &'static str {
        "access_token"
    }

    /// Adds to fresh credentials what the source itself can tell: whose they are, which plan is meant.
    ///
    /// # Errors
    /// [`SourceError`], as for a read.
    async fn complete(&self, account: &Account, now: jiff::Timestamp) -> Result<serde_json::Value, SourceError> {
        let _ = now;
        Ok(account.credentials.clone())
    }

    /// How its webhooks are read; `None` if it sends none.
    fn hooks(&self) -> Option<&dyn Hooks> {
        None
    }
}
