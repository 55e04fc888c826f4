//! Entries that an operator put back into the normalised stream.

use std::{collections::HashSet, time::Duration};

use event::{NormalisedEvent, TransactionId};
use store::{Owned, StoreError, user::users};

/// Those of a batch whose record may have been counted before, and forgotten since: nothing is held of it, and
/// its connection is old enough for that. What they add to the totals is not known any more.
pub(crate) async fn forgotten<'a>(
    owned: &Owned,
    now_ms: u64,
    retention: Duration,
    put_back: impl Iterator<Item = &'a NormalisedEvent>,
) -> Result<HashSet<TransactionId>, StoreError> {
    let put_back: Vec<&NormalisedEvent> = put_back.collect();
    let whose: Vec<_> = put_back.iter().map(|event| event.user.clone()).collect();
    let documents = users(&owned.redis, &owned.keys, owned.partition(), &whose).await?;
    let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    let found = put_back.into_iter().zip(documents).filter(|(event, documents)| {
        let first_ok_at_ms = documents.polled.get(&event.source).map_or(0, |polled| polled.first_ok_at_ms);
        first_ok_at_ms > 0 && now_ms.saturating_sub(first_ok_at_ms) >= retention_ms
    });
    Ok(found.map(|(event, _)| event.transaction).collect())
}
