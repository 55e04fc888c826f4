//! Who a token belongs to, and where they are.

use serde::Deserialize;

use crate::attribute::lenient;

/// The user of a token. Unknown keys are ignored, and only the name is certain.
///
/// Source: <https://developer.exist.io/reference/users/>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Profile {
    /// The only key of a user; there is no number.
    pub username: String,
    /// The IANA name of the zone they are in now; a traveller's changes.
    #[serde(default, deserialize_with = "lenient")]
    pub timezone: Option<String>,
    /// Their time when asked, as ISO 8601 with an offset.
    #[serde(default, deserialize_with = "lenient")]
    pub local_time: Option<String>,
    /// Whether they have yet to pay; whether writes are taken then is unknown.
    #[serde(default, deserialize_with = "lenient")]
    pub trial: Option<bool>,
    /// Whether a payment failed; whether writes are taken then is unknown.
    #[serde(default, deserialize_with = "lenient")]
    pub delinquent: Option<bool>,
}
