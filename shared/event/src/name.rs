//! Names that become part of keys and entries, checked once when they are made.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name of any kind, in bytes.
pub(crate) const NAME_MAX: usize = 128;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{kind} is empty")]
    Empty {
        /// What the name was for.
        kind: &'static str,
    },
    /// Longer than 128 bytes.
    #[error("{kind} has {bytes} bytes; at most 128 are allowed")]
    TooLong {
        /// What the name was for.
        kind: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// A character that would break a key, an entry or a line of a report.
    #[error("{kind} contains {character:?}, which is not allowed")]
    Character {
        /// What the name was for.
        kind: &'static str,
        /// The first offending character.
        character: char,
    },
}

fn check(kind: &'static str, text: &str, allowed: fn(char) -> bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong { kind, bytes: text.len() });
    }
    match text.chars().find(|&character| !allowed(character)) {
        Some(character) => Err(NameError::Character { kind, character }),
        None => Ok(()),
    }
}

/// Keys put names between braces, slashes and bars, so a name has none of them.
fn is_key_safe(character: char) -> bool {
    !character.is_control() && !character.is_whitespace() && !matches!(character, '{' | '}' | '|' | '/')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text; the error says what is wrong with it.
            ///
            /// # Errors
            /// [`NameError`]: empty, longer than 128 bytes, or with a character that is not allowed.
            pub fn try_new(text: &str) -> Result<Self, NameError> {
                check($kind, text, $allowed)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($type), &*self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::try_new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// Whose activity it is: the operator's name for a person. Decides the partition.
    UserId, "the user", is_key_safe
);
name!(
    /// Which service recorded it: `whatpulse`, `toggl`, … Lower-case letters and digits.
    SourceName, "the source", |c| c.is_ascii_lowercase() || c.is_ascii_digit()
);
name!(
    /// The record's id at its source, unique within one connection.
    ExternalId, "the external id", |c| !c.is_control() && !c.is_whitespace()
);
name!(
    /// An attribute's name in Exist: `keystrokes`, `productive_min`, …
    AttributeName, "the attribute", is_key_safe
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_break_a_key_is_refused_and_says_why() {
        assert_eq!(UserId::try_new(""), Err(NameError::Empty { kind: "the user" }));
        assert!(UserId::try_new("a{b").unwrap_err().to_string().contains("'{'"));
        assert!(matches!(UserId::try_new(&"x".repeat(129)), Err(NameError::TooLong { bytes: 129, .. })));
        assert!(SourceName::try_new("Toggl").is_err());
        assert_eq!(UserId::try_new("ada@example.org").unwrap().as_str(), "ada@example.org");
    }
}
