//! Why a read brought nothing, and what that asks of the caller.

use std::time::Duration;

/// A read that brought nothing. No variant ever holds a credential or more than 200 bytes of an answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The key is refused: the connection is off until the user connects again.
    #[error("{source_name} refuses the credentials ({detail})")]
    Unauthorised {
        /// Which source.
        source_name: &'static str,
        /// The status, and what the answer said.
        detail: String,
    },
    /// Over a limit of the source: wait, and do not count it as a failure.
    #[error("{source_name} limits us ({detail})")]
    Limited {
        /// Which source.
        source_name: &'static str,
        /// How long to wait: as the source said, or its contract's assumption.
        retry_after: Duration,
        /// The status, and what the answer said.
        detail: String,
    },
    /// No answer, or a server's error: try again later.
    #[error("{source_name} did not answer ({detail})")]
    Transient {
        /// Which source.
        source_name: &'static str,
        /// What happened.
        detail: String,
        /// The library's error, if there was one.
        #[source]
        cause: Option<reqwest::Error>,
    },
    /// The request is wrong and stays wrong: a person must look.
    #[error("{source_name} refuses the request ({detail})")]
    Refused {
        /// Which source.
        source_name: &'static str,
        /// The status, and what the answer said.
        detail: String,
    },
    /// An answer that is none: not JSON, or not the shape of the contract as a whole.
    #[error("{source_name} answered nonsense ({detail})")]
    Nonsense {
        /// Which source.
        source_name: &'static str,
        /// What was expected and what came.
        detail: String,
    },
    /// The source does not take our cursor any more: start over with a fresh one and read the window.
    #[error("{source_name} refuses the cursor ({detail})")]
    CursorRefused {
        /// Which source.
        source_name: &'static str,
        /// The status, and what the answer said.
        detail: String,
    },
}
