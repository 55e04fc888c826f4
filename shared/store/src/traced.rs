//! What traced entries carry, and the spans of those who append them.

use event::{Partition, Trace};
use telemetry::trace::{Appended, Span, Stream, append, append_here};

use crate::{Commit, Owned, Stage, StoreError};

/// Most entries of one append that carry a trace: a page of a back-fill is followed by its first rows.
pub const TRACED_MAX: usize = 32;

/// A stage's stream, as spans name it.
#[must_use]
pub const fn stream_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "schedule",
        Stage::Normalise => "raw",
        Stage::Write => "normalised",
    }
}

/// What an error is called on a span.
#[must_use]
pub const fn error_type(error: &StoreError) -> &'static str {
    match error {
        StoreError::Fenced { .. } => "fenced",
        StoreError::Locked { .. } | StoreError::LockLost { .. } => "locked",
        StoreError::Decode { .. } => "decode",
        _ => "redis",
    }
}

/// Raw entries that are appended in the span that is open here.
pub(crate) fn append_raw(key: &str, partition: Partition, entries: usize) -> Option<Appended> {
    append_here(&Stream { name: stream_name(Stage::Normalise), key, partition: partition.index() }, entries)
}

/// What the entry at this place of an append carries.
pub(crate) fn carried(appended: Option<&Appended>, place: usize) -> Option<Trace> {
    let appended = appended.filter(|_| place < TRACED_MAX)?;
    Some(Trace { context: appended.context.0, again: false })
}

impl Owned {
    /// What an entry of a stage's stream carries that follows from what the span is about; its own span lasts until
    /// the commit is done. `None` if nobody traces it.
    pub fn trace_on(&self, commit: &mut Commit, parent: &Span, stage: Stage) -> Option<Trace> {
        if parent.is_disabled() {
            return None;
        }
        let key = self.keys.stream(self.partition(), stage);
        let stream = Stream { name: stream_name(stage), key: &key, partition: self.partition().index() };
        let appended = append(parent, &stream)?;
        let trace = carried(Some(&appended), 0);
        commit.spans.push(appended.span);
        trace
    }
}

#[cfg(test)]
mod tests {
    use telemetry::trace::Context;

    use super::*;

    #[test]
    fn a_page_is_followed_by_its_first_rows() {
        let appended = Appended { span: Span::none(), context: Context([7; 24]) };
        let followed = (0..500).filter(|place| carried(Some(&appended), *place).is_some()).count();
        assert_eq!(followed, TRACED_MAX);
        assert_eq!(carried(Some(&appended), 0), Some(Trace { context: [7; 24], again: false }));
        assert_eq!(carried(None, 0), None);
    }
}
