//! An error with its causes, in one line.

use std::error::Error;

/// The error and its sources, outermost first, joined by `: `.
///
/// A source whose text already ends the line is not repeated: some libraries put it into their own.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Sample {
        #[error("connection refused")]
        Inner,
        #[error("cannot read partition 7")]
        Outer(#[source] Box<Sample>),
        #[error("wrapped: {0}")]
        Repeats(#[source] Box<Sample>),
    }

    #[test]
    fn every_cause_is_told_once() {
        let error = Sample::Outer(Box::new(Sample::Inner));
        assert_eq!(chain(&error), "cannot read partition 7: connection refused");
        let error = Sample::Outer(Box::new(Sample::Repeats(Box::new(Sample::Inner))));
        assert_eq!(chain(&error), "cannot read partition 7: wrapped: connection refused");
        assert_eq!(chain(&Sample::Inner), "connection refused");
    }
}
