//! A request's span, linked to every traced entry that it carried.

use event::{EntryId, TransactionId};
use ledger::{How, Pair};
use store::{Intent, Open};
use telemetry::trace::{Context, Request, Told};

use super::turn::Turn;

/// A request with values that was answered or given up, in a process that traces.
pub(super) struct Sent {
    request: Request,
    id: TransactionId,
    operation: &'static str,
    values: usize,
    carried: Vec<Context>,
}

impl Sent {
    /// The request is over.
    pub(super) fn of(request: Option<Request>, intent: &Intent) -> Option<Self> {
        let operation = if intent.how == How::Increment { "increment" } else { "update" };
        let (id, values) = (intent.request, intent.values.len());
        Some(Self { request: request?.ended(), id, operation, values, carried: Vec::new() })
    }

    /// Notes an open transaction, if it is traced and a value of the request came from it: up to which entry the
    /// request tells a pair, if it does.
    pub(super) fn carries(&mut self, open: &Open, up_to: impl Fn(&Pair) -> Option<EntryId>) {
        let Some(trace) = open.trace else { return };
        if open.pairs.iter().any(|pair| up_to(pair).is_some_and(|up_to| up_to >= open.entry)) {
            self.carried.push(Context(trace.context));
        }
    }

    /// Makes the span, if anything that it carried is traced.
    pub(super) fn tell(&self, turn: &Turn<'_>, error_type: Option<&'static str>) {
        self.request.tell(&Told {
            operation: self.operation,
            id: &self.id,
            partition: turn.owned.partition().index(),
            epoch: turn.owned.lease.epoch(),
            values: self.values,
            carried: &self.carried,
            error_type,
        });
    }
}

impl Turn<'_> {
    /// The request failed as a whole. What it carried is looked up for the span alone, and only where this process
    /// traces; a Redis that does not answer costs the span.
    pub(super) async fn tell_failed(&self, sent: Option<Sent>, intent: &Intent, error_type: &'static str) {
        let Some(mut sent) = sent else { return };
        let up_to = |pair: &Pair| Some(intent.values.iter().find(|planned| planned.pair == *pair)?.changed_by);
        for (_, open) in self.owned.open_transactions(self.user).await.unwrap_or_default() {
            sent.carries(&open, up_to);
        }
        sent.tell(self, Some(error_type));
    }
}
