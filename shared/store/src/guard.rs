//! What a commit checks besides the epoch: that nobody took a key lock meanwhile.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use event::UserId;

use crate::{Commit, Lease, Owned, StoreError};

/// How long a turn keeps whoever asks for its user's key lock waiting at most: a few calls of at most 5 s.
const TURN_MAX: Duration = Duration::from_secs(30);
/// How long a batch does.
const BATCH_MAX: Duration = Duration::from_secs(10);
/// When a due member of a locked user is looked at again.
const LOCKED_AGAIN: Duration = Duration::from_millis(200);
/// What is in hand of a schedule: `t:` and the member.
const TURNS: &str = "t:";
/// What is in hand of a stream: `b:` and the user.
const BATCHES: &str = "b:";

/// Numbers what is taken in hand, so that what a task of ours still sends after it was dropped is refused.
static HANDS: AtomicU64 = AtomicU64::new(1);

/// What must hold for a commit besides the epoch, or instead of it.
#[derive(Debug)]
pub(crate) enum Guard {
    /// Nobody took a key lock since.
    Seen(u64),
    /// These are still in our hand.
    Hand { key: String, token: String, last: bool, fields: Vec<String> },
    /// We hold a user's key lock, and no lease.
    Lock { key: String, user: UserId, token: u64 },
}

impl Guard {
    /// The key it looks at, beside the lease's.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Seen(_) => None,
            Self::Hand { key, .. } | Self::Lock { key, .. } => Some(key),
        }
    }

    /// The epoch to compare, or nothing.
    pub(crate) fn epoch(&self, lease: &Lease) -> String {
        if matches!(self, Self::Lock { .. }) { String::new() } else { lease.epoch().to_string() }
    }

    /// The guard's words in the script.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Seen(count) => vec!["seen".to_owned(), count.to_string()],
            Self::Hand { key, token, last, fields } => {
                let words = ["hand".to_owned(), key.clone(), token.clone(), u8::from(*last).to_string()];
                words.into_iter().chain(fields.iter().cloned()).collect()
            }
            Self::Lock { key, user, token } => {
                vec!["lock".to_owned(), key.clone(), user.to_string(), token.to_string()]
            }
        }
    }
}

/// What was taken in hand at once.
#[derive(Debug, Clone)]
pub struct Hand {
    token: String,
    /// The users of a batch; a turn names its member itself.
    users: Vec<String>,
}

/// The users of a batch, taken in hand.
#[derive(Debug)]
pub struct Holding {
    /// What they were taken in hand with.
    pub hand: Hand,
    /// Users under a key lock: not in hand.
    pub locked: Vec<String>,
    /// How often key locks were taken here.
    pub locks_taken: u64,
}

/// Who is under a key lock in a partition and stage.
#[derive(Debug)]
pub struct KeyLocks {
    /// How often key locks were taken here.
    pub taken: u64,
    /// The users who are locked now, and for how much longer at most.
    pub users: Vec<(String, Duration)>,
}

impl Owned {
    fn guarded(&self, guard: Guard) -> Self {
        Self { lease: self.lease.guarded(guard), ..self.clone() }
    }

    fn hand_key(&self) -> String {
        self.keys.hand(self.partition(), self.stage())
    }

    fn locks_key(&self) -> String {
        self.keys.locks(self.partition(), self.stage())
    }

    fn new_hand(&self, users: Vec<String>) -> Hand {
        let number = HANDS.fetch_add(1, Ordering::Relaxed);
        Hand { token: format!("{}.{number}", self.lease.epoch()), users }
    }

    /// The same partition, whose commits do nothing once another key lock was taken in it.
    #[must_use]
    pub fn unless_locked_since(&self, locks_taken: u64) -> Self {
        self.guarded(Guard::Seen(locks_taken))
    }

    /// The same partition for one turn, whose commits do nothing if the turn outlasted its time and somebody
    /// took the key lock.
    #[must_use]
    pub fn for_turn(&self, hand: &Hand, member: &str) -> Self {
        let (token, fields) = (hand.token.clone(), vec![format!("{TURNS}{member}")]);
        self.guarded(Guard::Hand { key: self.hand_key(), token, last: false, fields })
    }

    /// The same partition for a batch, whose one commit also lets go of its users.
    #[must_use]
    pub fn for_batch(&self, hand: &Hand) -> Self {
        if hand.users.is_empty() {
            return self.clone();
        }
        let (token, fields) = (hand.token.clone(), batch_fields(&hand.users));
        self.guarded(Guard::Hand { key: self.hand_key(), token, last: true, fields })
    }

    /// Who is under a key lock here.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn key_locks(&self) -> Result<KeyLocks, StoreError> {
        let locks = self.locks_key();
        let mut commit = Commit::new();
        commit.step("locks", &[&locks]).arg(&locks);
        let mut committed = self.commit(commit).await?;
        let users: Vec<(String, u64)> = committed.reply("reading key locks")?;
        let users = users.into_iter().map(|(user, left_ms)| (user, Duration::from_millis(left_ms))).collect();
        Ok(KeyLocks { taken: committed.locks_taken, users })
    }

    /// Takes the users of a batch in hand: nobody gets their key locks until it is committed. Those who are
    /// locked already are not taken.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn hold(&self, mut users: Vec<String>) -> Result<Holding, StoreError> {
        let (hand_key, locks) = (self.hand_key(), self.locks_key());
        let mut hand = self.new_hand(Vec::new());
        let mut commit = Commit::new();
        let step = commit.step("hold", &[&hand_key, &locks]).arg(&hand_key).arg(&locks);
        drop(step.arg(&hand.token).arg(millis(BATCH_MAX)).arg(&users));
        let mut committed = self.commit(commit).await?;
        let locked: Vec<String> = committed.reply("taking users in hand")?;
        users.retain(|user| !locked.contains(user));
        hand.users = users;
        Ok(Holding { hand, locked, locks_taken: committed.locks_taken })
    }

    /// The users of a batch are not in hand any more, and nothing of it was done.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn let_go(&self, hand: &Hand) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        if !hand.users.is_empty() {
            commit.command("HDEL", &self.hand_key()).arg(batch_fields(&hand.users));
        }
        self.commit(commit).await.map(drop)
    }

    /// Takes what is due in hand.
    pub(crate) fn take_due(&self, commit: &mut Commit, zset: &str, limit: usize) -> Hand {
        let (hand_key, locks) = (self.hand_key(), self.locks_key());
        let hand = self.new_hand(Vec::new());
        let step = commit.step("due", &[zset, &hand_key, &locks]).arg(zset).arg(limit).arg(&hand_key).arg(&locks);
        drop(step.arg(&hand.token).arg(millis(TURN_MAX)).arg(millis(LOCKED_AGAIN)));
        hand
    }

    /// Turns are not in hand any more.
    pub fn finish(&self, commit: &mut Commit, members: &[String]) {
        if !members.is_empty() {
            let fields: Vec<String> = members.iter().map(|member| format!("{TURNS}{member}")).collect();
            commit.command("HDEL", &self.hand_key()).arg(fields);
        }
    }

    /// No turn is in hand: whoever had one before is gone.
    pub fn drop_turns(&self, commit: &mut Commit) {
        self.drop_hand(commit, TURNS);
    }

    /// No batch is in hand: whoever had one before is gone.
    pub fn drop_batches(&self, commit: &mut Commit) {
        self.drop_hand(commit, BATCHES);
    }

    fn drop_hand(&self, commit: &mut Commit, kind: &str) {
        let key = self.hand_key();
        commit.command("drop", &key).arg(kind);
    }
}

fn batch_fields(users: &[String]) -> Vec<String> {
    users.iter().map(|user| format!("{BATCHES}{user}")).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}
