//! Spans of entries that are traced; nothing for any other.

use event::{EntryId, Trace, TransactionId};
use store::{Owned, Stage, StoreError, error_type, group, stream_name};
use telemetry::trace::{self, Context, Processed, Span, Stream};

use crate::stream::Delivery;

/// An entry in hand for this time; a past owner, or a crash of ours, may have had it before.
pub(super) fn process(owned: &Owned, entry: EntryId, payload: &[u8], deliveries: u32) -> Span {
    if !trace::is_on() {
        return Span::none();
    }
    let Some(Trace { context, again }) = Trace::of(payload) else { return Span::none() };
    let key = owned.keys.stream(owned.partition(), owned.stage());
    // A raw entry's id is its transaction's; who reads the others tells theirs.
    let transaction =
        (owned.stage() == Stage::Normalise).then_some(TransactionId { partition: owned.partition(), entry });
    trace::process(&Processed {
        stream: stream(owned, &key),
        group: group(owned.stage()),
        entry,
        transaction,
        epoch: owned.lease.epoch(),
        deliveries,
        from: Context(context),
        again: again || deliveries > 1,
    })
}

/// A batch is begun.
pub(super) fn begin<T>(owned: &Owned, batch: &mut [Delivery<T>], deliveries: u32) {
    if trace::is_on() {
        for delivery in batch {
            delivery.span = process(owned, delivery.id, &delivery.payload, deliveries);
        }
    }
}

/// The span that what is logged belongs to: of an entry that is alone in its batch.
pub(super) fn only<T>(batch: &[Delivery<T>]) -> Span {
    if let [only] = batch { only.span.clone() } else { Span::none() }
}

/// Settling a batch begins.
pub(super) fn settle<T>(owned: &Owned, batch: &[Delivery<T>]) -> Vec<Span> {
    if !trace::is_on() {
        return Vec::new();
    }
    let traced = batch.iter().filter(|delivery| !delivery.span.is_disabled());
    let key = owned.keys.stream(owned.partition(), owned.stage());
    traced.map(|delivery| trace::settle(&delivery.span, &stream(owned, &key))).collect()
}

/// A batch is settled. A span that was open while its entry was handled would else have ended with that.
pub(super) fn done<T>(batch: &[Delivery<T>]) {
    batch.iter().for_each(|delivery| delivery.span.in_scope(|| ()));
}

/// It was not settled.
pub(super) fn unsettled(settling: &[Span], error: &StoreError) {
    settling.iter().for_each(|span| trace::failed(span, error_type(error)));
}

/// A batch came to nothing, and comes again or not.
pub(super) fn failed<T>(batch: &mut [Delivery<T>], why: &'static str) {
    for delivery in batch {
        trace::failed(&delivery.span, why);
        delivery.span.in_scope(|| ());
        delivery.span = Span::none();
    }
}

fn stream<'a>(owned: &Owned, key: &'a str) -> Stream<'a> {
    Stream { name: stream_name(owned.stage()), key, partition: owned.partition().index() }
}
