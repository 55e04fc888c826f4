//! Fields of a user's hash.

use event::{AttributeName, SourceName};

/// [`super::About`].
pub const ABOUT: &str = "about";
/// [`super::ExistConnection`].
pub const EXIST: &str = "exist";
/// [`super::User::imported`].
pub const IMPORTED: &str = "imported";
/// Map of [`super::Attribute`].
pub const ATTRIBUTES: &str = "attributes";
/// Map of [`super::AttributeState`].
pub const ATTRIBUTE_STATES: &str = "attribute_states";
/// [`super::ProfileZone`].
pub const PROFILE_ZONE: &str = "profile_zone";
/// List of [`super::ZoneSince`].
pub const ZONES: &str = "zones";
/// [`super::User::looked_up`].
pub const LOOKED_UP: &str = "looked_up";
/// [`super::AuditAsked`].
pub const AUDIT_ASKED: &str = "audit_asked";
/// [`super::Audited`].
pub const AUDITED: &str = "audited";
/// [`super::Found`].
pub const FOUND: &str = "found";
/// What [`super::Zeroing`] fields begin with.
pub(super) const ZERO: &str = "zero/";

/// [`super::Zeroing`].
#[must_use]
pub fn zeroing(attribute: &AttributeName) -> String {
    format!("{ZERO}{attribute}")
}

/// [`crate::pause::Pause`] of the user.
pub const PAUSED: &str = "paused";

/// [`crate::pause::Pause`] of a connection.
#[must_use]
pub fn paused(peer: &SourceName) -> String {
    format!("paused:{peer}")
}

/// [`crate::pause::Pause`] of an attribute.
#[must_use]
pub fn paused_attribute(name: &AttributeName) -> String {
    format!("paused_attribute:{name}")
}

/// [`super::SourceConnection`].
#[must_use]
pub fn source(source: &SourceName) -> String {
    format!("source:{source}")
}

/// [`super::Polled`].
#[must_use]
pub fn polled(source: &SourceName) -> String {
    format!("polled:{source}")
}

/// What webhooks ask of the next poll: `recent/…` or `window/…`, and something unique behind it.
#[must_use]
pub fn hint(source: &SourceName) -> String {
    format!("hint:{source}")
}

/// List of [`super::User::topics`].
#[must_use]
pub fn topics(source: &SourceName) -> String {
    format!("topics:{source}")
}

/// [`super::User::imported_sources`].
#[must_use]
pub fn imported(source: &SourceName) -> String {
    format!("imported:{source}")
}

/// [`super::RecountAsked`].
#[must_use]
pub fn recount(source: &SourceName) -> String {
    format!("recount:{source}")
}

/// [`super::Recounting`].
#[must_use]
pub fn recounting(source: &SourceName) -> String {
    format!("recounting:{source}")
}

/// [`super::Recounted`].
#[must_use]
pub fn recounted(source: &SourceName) -> String {
    format!("recounted:{source}")
}

/// Every field of one connection.
#[must_use]
pub fn of_connection(source: &SourceName) -> Vec<String> {
    let fields = [self::source, polled, cursor, topics, imported, hint, recount, recounting, recounted, paused];
    fields.map(|name| name(source)).into()
}

/// The cursor's text.
#[must_use]
pub fn cursor(source: &SourceName) -> String {
    format!("cursor:{source}")
}
