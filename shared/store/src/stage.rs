//! The three stages a user's events pass, each with leases of its own.

use std::fmt;

/// One stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The fetcher's: polls connections, appends raw entries.
    Fetch,
    /// The normaliser's: reads the raw stream, appends to the normalised one.
    Normalise,
    /// The exist-writer's: reads the normalised stream, writes to Exist.
    Write,
}

impl Stage {
    /// All of them, in the order a value passes them.
    pub const ALL: [Self; 3] = [Self::Fetch, Self::Normalise, Self::Write];

    /// The word used in keys, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Normalise => "normalise",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
