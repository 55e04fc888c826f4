//! Entries of the normalised stream that waited: those of a paused user, and those that an operator put back.

use std::{sync::Arc, time::Duration};

use event::{
    AttributeName, ContentHash, Contribution, Day, EntryId, ExternalId, NormalisedEvent, Partition, PartitionCount,
    Reason, SourceName, State, TransactionId, TransactionLine, UserId, Version,
};
use ledger::{Buckets, Budget, Pair};
use settings::Settings;
use store::{
    Back, Bounds, Commit, Counting, DeadLetter, Keys, Lease, Memory, Owned, Question, Redis, Stage, counts, letters,
    lines_of, look, operate,
    pause::{Changed, Pause, Scope, change},
    put_back,
    user::{About, Adopt, Connected, ExistConnection, Polled, document, field, users},
};
use tokio_util::sync::CancellationToken;
use worker::StageContext;

/// Resuming takes effect within this.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

struct Stand {
    settings: Arc<Settings>,
    /// The partition, ours for the stage before.
    owned: Owned,
    user: UserId,
    source: SourceName,
}

impl Stand {
    async fn new() -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let url = testkit::redis().url();
        let set = [("TRIBUTARY_REDIS_URL", url.as_str()), ("TRIBUTARY_PARTITIONS", "1")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::load(set, &[], None).unwrap();
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        let lease = Lease::acquire(&redis, &keys, Stage::Normalise, partition(), "test").await.unwrap().unwrap();
        let stand = Self {
            settings: Arc::new(settings),
            owned: Owned { redis, keys, lease },
            user: UserId::try_new("ada").unwrap(),
            source: SourceName::try_new("plain").unwrap(),
        };
        stand.store((field::ABOUT.to_owned(), document(&About { timezone: Some("UTC".into()) }))).await;
        stand
    }

    async fn store(&self, field: (String, String)) {
        let Owned { redis, keys, .. } = &self.owned;
        operate::connect(redis, keys, partition(), &self.user, &[field], &[], &[]).await.unwrap();
    }

    /// A version of a record that came in this millisecond and adds so much.
    fn event(&self, ms: u64, id: &str, version: i64, amount: i64) -> NormalisedEvent {
        NormalisedEvent {
            transaction: TransactionId { partition: partition(), entry: EntryId { ms, seq: 0 } },
            user: self.user.clone(),
            source: self.source.clone(),
            external_id: ExternalId::try_new(id).unwrap(),
            version: Version(version),
            content: ContentHash::of(&amount.to_string()),
            read_at_ms: 0,
            contributions: vec![Contribution { attribute: attribute(), day: day(), amount }],
            recount: None,
            replay_of: None,
        }
    }

    /// Appends as the normaliser does.
    async fn append(&self, event: &NormalisedEvent) {
        let mut commit = Commit::new();
        commit.append(&self.owned.keys.normalised(partition()), &event::encode(event));
        self.count(&mut commit, State::Processing);
        self.owned.ring(&mut commit, Stage::Write, 1);
        self.owned.commit(commit).await.unwrap();
    }

    /// Sets an entry aside that was appended and could not be applied.
    async fn bury(&self, event: &NormalisedEvent) {
        let mut commit = Commit::new();
        let letter = DeadLetter {
            transaction: event.transaction,
            stage: Stage::Write.to_string(),
            user: self.user.to_string(),
            source: self.source.to_string(),
            external_id: event.external_id.to_string(),
            cause: Reason::Poison,
            error: "it crashed".to_owned(),
            at_ms: store::now_ms(&self.owned.redis).await.unwrap(),
            deliveries: 3,
            entry: event::encode(event),
        };
        self.owned.bury(&mut commit, self.buckets(), &letter);
        self.count(&mut commit, State::Errored);
        self.owned.commit(commit).await.unwrap();
    }

    fn count(&self, commit: &mut Commit, state: State) {
        let mut counting = Counting::new();
        counting.appended(&self.source, 1);
        counting.entered(&self.source, state);
        counting.write(commit, &self.owned);
    }

    fn buckets(&self) -> Buckets {
        Buckets::new(self.settings.retention)
    }

    async fn put_all_back(&self) -> TransactionId {
        let Owned { redis, keys, .. } = &self.owned;
        let letters = letters(redis, keys, partition(), self.buckets()).await.unwrap();
        let back = put_back(redis, keys, partition(), self.buckets(), &letters).await.unwrap();
        let [Back::Done(transaction)] = back[..] else { panic!("{back:?}") };
        transaction
    }

    fn start(&self) -> (tokio::task::JoinHandle<anyhow::Result<()>>, CancellationToken) {
        let context = StageContext {
            redis: self.owned.redis.clone(),
            keys: Arc::clone(&self.owned.keys),
            partitions: PartitionCount::try_new(1).unwrap(),
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        let drain = CancellationToken::new();
        (tokio::spawn(exist_writer::run(context, Arc::clone(&self.settings), drain.clone())), drain)
    }

    async fn total(&self) -> i64 {
        let totals = self.owned.totals_of(&self.user, &self.source, day(), day()).await.unwrap();
        totals.get(&Pair { attribute: attribute(), day: day() }).copied().unwrap_or(0)
    }

    async fn until_total(&self, wanted: i64, limit: Duration) {
        let right = async {
            while self.total().await != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(limit, right).await.unwrap_or_else(|_| panic!("the total is not {wanted}"));
    }

    /// The user's lines, as soon as there are so many.
    async fn lines(&self, count: usize) -> Vec<TransactionLine> {
        let Owned { redis, keys, .. } = &self.owned;
        let lines = tokio::time::timeout(SOON, async {
            loop {
                let lines = lines_of(redis, keys, partition(), &self.user, self.settings.retention).await.unwrap();
                if lines.len() >= count {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        lines.await.expect("the lines come")
    }

    /// Entries appended, and those in each state.
    async fn counted(&self) -> (i64, Vec<(State, i64)>) {
        let counts = counts(&self.owned.redis, &self.owned.keys, partition()).await.unwrap();
        let states = counts.states.into_iter().filter(|(_, count)| *count != 0);
        (counts.appended[&self.source], states.map(|((_, state), count)| (state, count)).collect())
    }

    async fn change(&self, scope: &Scope, to: Option<&Pause>) {
        let Owned { redis, keys, .. } = &self.owned;
        assert_eq!(change(redis, keys, partition(), scope, to).await.unwrap(), Changed::Done);
    }

    async fn parked(&self) -> u64 {
        let Owned { redis, keys, .. } = &self.owned;
        let budget = Budget::try_new(300, Duration::from_secs(3600)).unwrap();
        let buckets = self.buckets();
        let question = Question { buckets, budget, backfill_days: 30, bounds: Bounds::EVERYTHING };
        let one = PartitionCount::try_new(1).unwrap();
        let look = look(redis, keys, one, &question, &mut Memory::default()).await.unwrap();
        look.partitions[0].normalised.parked
    }
}

fn partition() -> Partition {
    PartitionCount::try_new(1).unwrap().get_partition(0).unwrap()
}

fn attribute() -> AttributeName {
    AttributeName::try_new("keystrokes").unwrap()
}

fn day() -> Day {
    // Totals of a day long gone expire at once.
    Day::at(jiff::Timestamp::now(), &jiff::tz::TimeZone::UTC)
}

async fn leave(running: tokio::task::JoinHandle<anyhow::Result<()>>, drain: CancellationToken) {
    drain.cancel();
    tokio::time::timeout(SOON, running).await.expect("it leaves").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_users_entries_are_not_applied_and_go_on_at_once() {
    for scope in [Scope::All, Scope::Partition(partition()), Scope::User(UserId::try_new("ada").unwrap())] {
        let stand = Stand::new().await;
        let (running, drain) = stand.start();
        stand.append(&stand.event(1, "a", 1, 5)).await;
        stand.until_total(5, SOON).await;
        stand.change(&scope, Some(&Pause { reason: "r".into(), by: "b".into(), since_ms: 1 })).await;
        stand.append(&stand.event(2, "a", 2, 7)).await;
        stand.append(&stand.event(3, "b", 1, 1)).await;
        let parked = async {
            while stand.parked().await < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, parked).await.expect("they are parked");
        assert_eq!(stand.total().await, 5, "{scope}");
        stand.change(&scope, None).await;
        stand.until_total(8, AT_ONCE).await;
        assert_eq!(stand.parked().await, 0);
        leave(running, drain).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_while_its_user_is_being_skipped_is_due() {
    let stand = Stand::new().await;
    let Owned { redis, keys, .. } = &stand.owned;
    let lease = Lease::acquire(redis, keys, Stage::Write, partition(), "test").await.unwrap().unwrap();
    let writer = Owned { lease, ..stand.owned.clone() };
    let due = keys.due(partition());
    let documents = users(redis, keys, partition(), std::slice::from_ref(&stand.user)).await.unwrap();
    let pauses = &documents[0].pauses;
    let changed = async |days: i32| {
        let mut commit = Commit::new();
        let pair = Pair { attribute: attribute(), day: day().plus(days) };
        writer.note_changed(&mut commit, &stand.user, &pair, EntryId { ms: 1, seq: 0 });
        commit.due_at_the_latest(&due, stand.user.as_str(), Duration::ZERO);
        writer.commit(commit).await.unwrap();
    };
    let skip = async |changed: usize| {
        let mut commit = Commit::new();
        writer.skip_sending(&mut commit, &stand.user, pauses, changed);
        writer.commit(commit).await.unwrap();
        writer.due(&due, 10, &[stand.user.to_string()]).await.unwrap().members.len()
    };
    changed(0).await;
    assert_eq!(skip(1).await, 0, "nobody is due whose changes are all paused");
    changed(0).await;
    changed(1).await;
    assert_eq!(skip(1).await, 1, "another pair changed since it was looked at");
    assert_eq!(skip(2).await, 0);
    stand.change(&Scope::All, Some(&Pause { reason: "r".into(), by: "b".into(), since_ms: 1 })).await;
    stand.change(&Scope::All, None).await;
    assert_eq!(writer.due(&due, 10, &[stand.user.to_string()]).await.unwrap().members.len(), 1, "resuming finds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_put_back_is_another_transaction_and_all_of_them_are_counted() {
    let stand = Stand::new().await;
    let old = stand.event(10, "a", 5, 7);
    stand.bury(&old).await;
    let again = stand.put_all_back().await;
    assert_ne!(again, old.transaction);
    assert_eq!(stand.counted().await, (2, vec![(State::Processing, 1), (State::Errored, 1)]));
    let (running, drain) = stand.start();
    stand.until_total(7, SOON).await;
    assert_eq!(stand.counted().await, (2, vec![(State::Processing, 1), (State::Errored, 1)]));
    let line = stand.lines(1).await.remove(0);
    assert_eq!((line.id, line.state, line.replay_of()), (again, State::Processing, Some(old.transaction)));
    assert_eq!(line.contributions, old.contributions, "its line says what it adds");
    leave(running, drain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_takes_no_number_back() {
    let stand = Stand::new().await;
    let (running, drain) = stand.start();
    // Of a later version, and of a later edit of the same version.
    for (id, later) in [("a", stand.event(20, "a", 6, 9)), ("b", stand.event(21, "b", 5, 90))] {
        stand.append(&later).await;
        stand.until_total(if id == "a" { 9 } else { 99 }, SOON).await;
        stand.bury(&stand.event(10, id, 5, 7)).await;
        let again = stand.put_all_back().await;
        let lines = stand.lines(if id == "a" { 2 } else { 4 }).await;
        let last = lines.last().unwrap();
        let expected = (again, State::Dropped, Reason::NewerKnown, Some(later.transaction));
        assert_eq!((last.id, last.state, last.reason, last.cause), expected);
    }
    assert_eq!(stand.total().await, 99);
    leave(running, drain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_back_where_records_may_be_forgotten_asks_for_a_recount() {
    let stand = Stand::new().await;
    let retention_ms = u64::try_from(stand.settings.retention.as_millis()).unwrap();
    let first_ok_at_ms = store::now_ms(&stand.owned.redis).await.unwrap() - retention_ms - 1;
    let polled = Polled { first_ok_at_ms, ..Polled::default() };
    stand.store((field::polled(&stand.source), document(&polled))).await;
    stand.bury(&stand.event(10, "a", 5, 7)).await;
    let again = stand.put_all_back().await;
    let (running, drain) = stand.start();
    let lines = stand.lines(1).await;
    let last = lines.last().unwrap();
    assert_eq!((last.id, last.state, last.reason), (again, State::Dropped, Reason::Recounted));
    assert_eq!(stand.total().await, 0, "an older version of it may be in the totals");
    let Owned { redis, keys, .. } = &stand.owned;
    let documents = users(redis, keys, partition(), std::slice::from_ref(&stand.user)).await.unwrap();
    assert!(documents[0].recounts_asked.contains_key(&stand.source));
    leave(running, drain).await;
}

/// Written every few minutes, a pair is always to be read back later than the user was to be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_values_are_to_be_read_back_later_than_was_noted_is_left_alone_until_then() {
    let stand = Stand::new().await;
    let Owned { redis, keys, .. } = &stand.owned;
    let exist = ExistConnection {
        connected: Connected::On,
        access_token: "sealed".to_owned(),
        refresh_token: None,
        expires_at: None,
        adopt: Adopt::Unset,
        last_chance: false,
    };
    stand.store((field::EXIST.to_owned(), document(&exist))).await;
    let now_ms = store::now_ms(redis).await.unwrap();
    let later_ms = now_ms + 20 * 60 * 1000;
    let pair = Pair { attribute: attribute(), day: day() };
    let mut commit = Commit::new();
    let sending = stand.owned.sending(&stand.user).await.unwrap();
    stand.owned.check_at(&mut commit, &stand.user, &sending, &pair, later_ms);
    stand.owned.next_check(&mut commit, &stand.user, Some(now_ms));
    commit.due_at_the_latest(&keys.due(partition()), stand.user.as_str(), Duration::ZERO);
    stand.owned.commit(commit).await.unwrap();
    let (running, drain) = stand.start();
    let noted = async {
        while stand.owned.sending(&stand.user).await.unwrap().check_at_ms != later_ms {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, noted).await.expect("the later moment is noted");
    leave(running, drain).await;
}
