//! Doing the next thing for users that are due, one request at a time for each.

mod attributes; // acquire and create
mod bases; // what stood there before us
mod check; // is what we left still there
mod close; // what becomes of the transactions that waited
mod connection; // tokens, the profile, a connection that is off
mod lookup; // attributes that are ours already
mod read; // what stands in Exist
mod recover; // requests without an answer, and a Redis that forgot
mod settle; // each value by its own answer
mod traced; // a request's span, linked to what it carried
mod turn; // one user's turn: permission to ask, and what a failure asks of us
mod write; // send
mod zero; // days set to 0 and written anew

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use event::{EntryId, Partition, TransactionId, UserId};
use ledger::{Budget, Pair};
use settings::{Sealer, Settings};
use store::{
    Commit, Owned, Sending, StoreError,
    user::{User, recounted, users},
};
use tracing::warn;
use worker::{Breaker, Ticket, due::DueHandler};

use crate::{
    next::{Facts, Next, millis, next},
    politeness::Politeness,
};
use turn::Turn;

/// When what was read does not fit together.
const AT_ONCE: Duration = Duration::ZERO;

/// Whether a recount began or ended since the documents were read: then the totals read meanwhile may be
/// those of a source that is half told.
async fn has_recount_moved(owned: &Owned, user: &UserId, documents: &User) -> Result<bool, StoreError> {
    let sources: Vec<_> = documents.sources.keys().map(|source| (user.clone(), source.clone())).collect();
    let now = recounted(&owned.redis, &owned.keys, owned.partition(), &sources).await?;
    let before = sources.iter().map(|(_, source)| documents.recounted.get(source).cloned().unwrap_or_default());
    Ok(before.ne(now))
}

/// Talks to Exist for the users of owned partitions.
pub(crate) struct Sender {
    settings: Arc<Settings>,
    client: exist::Client,
    sealer: Option<Sealer>,
    budget: Budget,
    breaker: Breaker,
    polite: Politeness,
    requests: AtomicU64,
}

impl Sender {
    pub(crate) fn new(settings: Arc<Settings>) -> anyhow::Result<Self> {
        let app = settings.apps.exist.as_ref().map(|app| exist::AppCredentials {
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
        });
        let http = exist::http_client(settings.exist_call_timeout)?;
        let (api, oauth) = (settings.peers.exist_api.url().clone(), settings.peers.exist_oauth.url().clone());
        Ok(Self {
            client: exist::Client::new(http, api, oauth, app),
            sealer: settings.encryption_key.clone(),
            budget: Budget::try_new(settings.exist_budget.requests, settings.exist_budget.window)?,
            breaker: Breaker::new("exist"),
            polite: Politeness::new(turn::SHORTLY),
            requests: AtomicU64::new(0),
            settings,
        })
    }

    /// What limits this process' requests.
    pub(crate) fn politeness(&self) -> Politeness {
        self.polite.clone()
    }

    /// The pairs of a user that are to be read back now. What is due soon comes along: it costs no more.
    ///
    /// What is written again meanwhile is read back later than was noted for the user: that is noted then.
    async fn to_check(
        &self,
        owned: &Owned,
        user: &UserId,
        sending: &mut Sending,
        now_ms: u64,
    ) -> Result<BTreeSet<Pair>, StoreError> {
        if sending.check_at_ms == 0 || sending.check_at_ms > now_ms {
            return Ok(BTreeSet::new());
        }
        let soon_ms = now_ms + millis(self.settings.reconcile_after / 2);
        let checks = owned.checks(user).await?;
        let first_ms = checks.values().min().copied();
        let pairs: BTreeSet<Pair> =
            checks.into_iter().filter(|(_, at_ms)| *at_ms <= soon_ms).map(|(pair, _)| pair).collect();
        if pairs.is_empty() {
            // Left as it is, the moment is over and stays so: the user would be due again and again, at once.
            sending.check_at_ms = first_ms.unwrap_or(0);
            let mut commit = Commit::new();
            owned.next_check(&mut commit, user, first_ms);
            owned.commit(commit).await?;
        }
        Ok(pairs)
    }

    /// An id for a request, unique within its partition.
    fn request_id(&self, partition: Partition, now_ms: u64) -> TransactionId {
        let seq = self.requests.fetch_add(1, Ordering::Relaxed);
        TransactionId { partition, entry: EntryId { ms: now_ms, seq } }
    }
}

#[async_trait::async_trait]
impl DueHandler for Sender {
    fn zset(&self, owned: &Owned) -> String {
        owned.keys.due(owned.partition())
    }

    async fn handle(&self, owned: &Owned, key: &str, ticket: Option<&Ticket>) -> Result<(), StoreError> {
        let Ok(user) = UserId::try_new(key) else {
            let mut commit = Commit::new();
            commit.not_due(&self.zset(owned), key);
            return owned.commit(commit).await.map(drop);
        };
        let documents = users(&owned.redis, &owned.keys, owned.partition(), std::slice::from_ref(&user)).await?;
        let documents = documents.into_iter().next().unwrap_or_default();
        let mut sending = owned.sending(&user).await?;
        let changed = owned.changed_pairs(&user).await?;
        let states = owned.pair_states(&user, changed.keys().cloned(), &changed).await?;
        let now_ms = owned.now_ms().await?;
        if has_recount_moved(owned, &user, &documents).await? {
            let mut commit = Commit::new();
            commit.due_at_the_latest(&self.zset(owned), key, AT_ONCE);
            return owned.commit(commit).await.map(drop);
        }
        let checks = self.to_check(owned, &user, &mut sending, now_ms).await?;
        let what = next(Facts {
            user: &documents,
            sending: &sending,
            states,
            checks,
            now_ms,
            settle: self.settings.exist_settle,
            profile_refresh: self.settings.profile_refresh,
            can_refresh: self.settings.apps.exist.is_some(),
        });
        let (user, documents, sending) = (&user, &documents, &sending);
        let turn = Turn { sender: self, owned, user, documents, sending, ticket, now_ms };
        match what {
            Next::Gone => turn.forget().await,
            Next::Disable => turn.disable_open().await,
            Next::Paused => {
                let mut commit = Commit::new();
                owned.skip_sending(&mut commit, user, &documents.pauses, changed.len());
                owned.commit(commit).await.map(drop)
            }
            Next::Wait { until_ms } => turn.come_again(Duration::from_millis(until_ms.saturating_sub(now_ms))).await,
            Next::Abandon { intent } => turn.abandon(&intent).await,
            Next::ReadBack { intent } => turn.read_back(&intent).await,
            Next::Refresh => turn.refresh(false).await,
            Next::ReadProfile => turn.read_profile().await,
            Next::LookUp => turn.look_up().await,
            Next::TakeOver { attributes } => turn.take_over(&attributes).await,
            Next::Acquire { attributes } => turn.acquire(&attributes).await,
            Next::Create { attributes } => turn.create(&attributes).await,
            Next::ReadAfterLoss => turn.read_after_loss().await,
            Next::Audit { asked } => turn.audit(&asked).await,
            Next::Zero { attribute, days } => turn.zero(&attribute, &days).await,
            Next::Check { pairs } => turn.check(&pairs).await,
            Next::ReadBases { pairs } => turn.read_bases(&pairs).await,
            Next::GiveUp { pairs, reason } => turn.give_up(pairs, reason).await,
            Next::Write(plan) => turn.write(plan).await,
            Next::Rest => turn.rest(Duration::ZERO).await,
        }
        .inspect_err(|error| {
            if !matches!(error, StoreError::Fenced { .. }) {
                warn!(error = telemetry::chain(error), "a user's turn ended early");
            }
        })
    }
}
