//! What becomes of the transactions that waited for Exist.

use std::{collections::HashMap, time::Duration};

use event::{
    Direction, Ended, EntryId, ExternalId, Reason, SourceName, State, TransactionId, TransactionLine, Version,
};
use ledger::{How, Pair, Planned};
use store::{Commit, Counting, Open, StoreError};
use telemetry::histogram;

use super::{traced::Sent, turn::Turn};

/// A pair that will not be sent, and why.
pub(super) struct Failed {
    pub(super) up_to: EntryId,
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// What a turn settled.
#[derive(Default)]
pub(super) struct Settled {
    /// Exist holds these, up to the entry given.
    pub(super) confirmed: HashMap<Pair, EntryId>,
    /// These were set aside.
    pub(super) failed: HashMap<Pair, Failed>,
    /// The audit's lines about values.
    pub(super) lines: Vec<TransactionLine>,
    /// The request that settled them, if this process traces anything.
    pub(super) sent: Option<Sent>,
}

impl Settled {
    pub(super) fn confirm(&mut self, planned: &Planned) {
        self.confirmed.insert(planned.pair.clone(), planned.changed_by);
    }

    pub(super) fn fail(&mut self, planned: &Planned, reason: Reason, detail: String) {
        self.failed.insert(planned.pair.clone(), Failed { up_to: planned.changed_by, reason, detail });
    }
}

impl Turn<'_> {
    /// Writes down what follows: pairs are settled, transactions that wait for nothing more are closed.
    pub(super) async fn close(&self, commit: &mut Commit, settled: Settled) -> Result<(), StoreError> {
        let Settled { confirmed, failed, mut lines, mut sent } = settled;
        for (pair, up_to) in confirmed.iter().chain(failed.iter().map(|(pair, failed)| (pair, &failed.up_to))) {
            self.owned.note_settled(commit, self.user, pair, *up_to);
        }
        let mut counting = Counting::new();
        let mut completed = self.ended(State::Completed, Reason::Confirmed);
        for (id, mut open) in self.owned.open_transactions(self.user).await? {
            let waited_for = open.pairs.len();
            let up_to = |pair: &Pair| confirmed.get(pair).or_else(|| Some(&failed.get(pair)?.up_to)).copied();
            sent.iter_mut().for_each(|sent| sent.carries(&open, up_to));
            let gave_up =
                open.pairs.iter().find_map(|pair| failed.get(pair).filter(|failed| failed.up_to >= open.entry));
            if let Some(failed) = gave_up {
                self.leave(commit, &mut counting, id, &open, State::Errored);
                lines.push(self.line(id, &open, State::Errored, failed.reason, &failed.detail));
                continue;
            }
            open.pairs.retain(|pair| confirmed.get(pair).is_none_or(|up_to| *up_to < open.entry));
            if open.pairs.is_empty() {
                self.leave(commit, &mut counting, id, &open, State::Completed);
                completed.transactions.push(id);
                let read_at = u64::try_from(open.read_at_ms).unwrap_or(0);
                let took = Duration::from_millis(self.now_ms.saturating_sub(read_at));
                histogram!(END_TO_END_SECONDS, source = open.source.to_string()).record(took.as_secs_f64());
            } else if open.pairs.len() < waited_for {
                self.owned.keep_open(commit, self.user, id, &open);
            }
        }
        if let Some(sent) = sent {
            sent.tell(self, None);
        }
        counting.write(commit, self.owned);
        let retention = self.sender.settings.retention;
        self.owned.write_audit(commit, self.now_ms, retention, lines, Self::if_any(completed));
        Ok(())
    }

    /// A transaction waits no more.
    fn leave(&self, commit: &mut Commit, counting: &mut Counting, id: TransactionId, open: &Open, state: State) {
        self.owned.close(commit, self.user, id);
        counting.left(&open.source, open.state);
        counting.entered(&open.source, state);
    }

    /// Nothing has ended alike yet.
    fn ended(&self, state: State, reason: Reason) -> Ended {
        let at_ms = i64::try_from(self.now_ms).unwrap_or(0);
        Ended { user: self.user.clone(), state, reason, at_ms, transactions: Vec::new() }
    }

    /// What ended alike, if anything did.
    fn if_any(ended: Ended) -> Vec<Ended> {
        if ended.transactions.is_empty() { Vec::new() } else { vec![ended] }
    }

    fn line(&self, id: TransactionId, open: &Open, state: State, reason: Reason, detail: &str) -> TransactionLine {
        TransactionLine {
            id,
            direction: Direction::Inbound,
            user: self.user.clone(),
            source: open.source.clone(),
            external_id: open.external_id.clone(),
            version: open.version,
            state,
            reason,
            cause: None,
            read_at_ms: open.read_at_ms,
            at_ms: i64::try_from(self.now_ms).unwrap_or(0),
            contributions: Vec::new(),
            detail: detail.to_owned(),
        }
    }

    /// The audit's line about one value of a request.
    pub(super) fn value_line(
        &self,
        request: TransactionId,
        how: How,
        planned: &Planned,
        state: State,
        reason: Reason,
        answer: &str,
    ) -> TransactionLine {
        let pair = &planned.pair;
        TransactionLine {
            id: request,
            direction: Direction::Outbound,
            user: self.user.clone(),
            source: SourceName::try_new("exist").expect("lower-case letters"),
            external_id: ExternalId::try_new(&format!("{}@{}", pair.attribute, pair.day))
                .unwrap_or_else(|_| ExternalId::try_new(&pair.day.to_string()).expect("a date has no spaces")),
            version: Version(0),
            state,
            reason,
            cause: None,
            read_at_ms: 0,
            at_ms: i64::try_from(self.now_ms).unwrap_or(0),
            contributions: Vec::new(),
            detail: match (how, planned.base) {
                (How::Increment, Some(base)) => format!("added {} to {base}: {answer}", planned.delta()),
                (How::Correct, Some(base)) => format!("set {base} to {}: {answer}", planned.value),
                _ => format!("sent {}: {answer}", planned.value),
            },
        }
    }

    /// Exist is off: what waits is disabled, and nobody is due until the user connects again.
    pub(super) async fn disable_open(&self) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        let mut counting = Counting::new();
        let mut disabled = self.ended(State::Disabled, Reason::ConnectionOff);
        for (id, mut open) in self.owned.open_transactions(self.user).await? {
            if open.state == State::Disabled {
                continue;
            }
            counting.left(&open.source, open.state);
            counting.entered(&open.source, State::Disabled);
            open.state = State::Disabled;
            disabled.transactions.push(id);
            self.owned.keep_open(&mut commit, self.user, id, &open);
        }
        counting.write(&mut commit, self.owned);
        let retention = self.sender.settings.retention;
        self.owned.write_audit(&mut commit, self.now_ms, retention, Vec::new(), Self::if_any(disabled));
        commit.not_due(&self.owned.keys.due(self.owned.partition()), self.user.as_str());
        self.owned.commit(commit).await.map(drop)
    }

    /// Pairs that can not be sent: their transactions end, and the rest goes on.
    pub(super) async fn give_up(&self, pairs: Vec<(Planned, String)>, reason: Reason) -> Result<(), StoreError> {
        let mut settled = Settled::default();
        for (planned, why) in &pairs {
            settled.fail(planned, reason, why.clone());
        }
        let mut commit = Commit::new();
        self.close(&mut commit, settled).await?;
        self.due_in(&mut commit, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }
}
