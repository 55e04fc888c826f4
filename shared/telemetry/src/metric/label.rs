//! Labels and the values they may take: never a user, an external id, an entry id, an address or an error text.

use std::borrow::Cow;

/// The stages, as labels spell them.
pub const STAGES: [&str; 3] = ["fetch", "normalise", "write"];

/// What a value outside its label's list is counted as, so that a slip of ours stays bounded.
pub const OTHER: &str = "other";

/// The longest value of a label, in bytes.
const VALUE_MAX: usize = 64;

/// One label of a metric.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// The values it may take.
    pub values: Values,
}

/// The values a label may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// One of [`STAGES`].
    Stage,
    /// A source's name, or `none` where no one source is meant.
    Source,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Names of our own code, whose number is bounded elsewhere: scripts, operations, partitions.
    Open,
}

impl Label {
    pub(super) const fn one_of(name: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, values: Values::OneOf(words) }
    }

    pub(super) const fn open(name: &'static str) -> Self {
        Self { name, values: Values::Open }
    }

    /// Whether a value may be recorded.
    pub fn admits(&self, value: &str) -> bool {
        match self.values {
            Values::Stage => STAGES.contains(&value),
            Values::OneOf(words) => words.contains(&value),
            Values::Source | Values::Open => {
                !value.is_empty()
                    && value.len() <= VALUE_MAX
                    && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:/+".contains(&b))
            }
        }
    }

    /// The value as it is recorded: itself, or [`OTHER`] where the label does not admit it.
    pub(super) fn bounded(&self, value: Cow<'static, str>) -> Cow<'static, str> {
        let admitted = self.admits(&value);
        debug_assert!(admitted, "label {} does not admit {value:?}", self.name);
        if admitted { value } else { OTHER.into() }
    }
}
