//! Owner and outsider add one each to the same number, by reading it and setting it, in every order of their
//! steps: whatever was carried out is in the number.

use event::UserId;
use store::{Hand, KeyLock, Owned, Redis, Stage, StoreError, Take};

use crate::stand::{LONG, Stand, connect, user};

/// How the owner sees to it that it rests on nothing stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Batches in the lock mode partition: the counter.
    Counter,
    /// Batches in the lock mode key: in hand.
    Batch,
    /// Turns of a schedule: in hand, too.
    Turn,
}

/// The owner's rounds, step by step. What it remembers outlives a round, as a handler's memory does.
struct Owner<'a> {
    stand: &'a Stand,
    user: &'a UserId,
    by: By,
    step: usize,
    seen: u64,
    memory: Option<i64>,
    may: Option<(Owned, Option<Hand>)>,
    done: i64,
}

impl Owner<'_> {
    async fn step(&mut self) {
        let (owned, user) = (&self.stand.owned, self.user);
        match self.step % 4 {
            0 => self.begin().await,
            1 if self.may.is_some() && self.memory.is_none() => self.memory = Some(self.stand.number(user).await),
            2 if self.may.is_some() => {
                let next = self.memory.unwrap() + 1;
                let (guarded, hand) = self.may.take().unwrap();
                match guarded.commit(self.stand.set(user, next)).await {
                    Ok(_) => {
                        self.done += 1;
                        self.memory = Some(next);
                    }
                    Err(StoreError::Locked { .. }) => {
                        assert_eq!(self.by, By::Counter, "nobody gets the lock of a user in hand");
                        self.memory = None;
                    }
                    Err(failed) => panic!("{failed}"),
                }
                drop(hand);
            }
            3 if self.by == By::Turn => {
                // Nothing is remembered from turn to turn.
                self.memory = None;
                let mut end = store::Commit::new();
                owned.finish(&mut end, &[user.to_string()]);
                owned.commit(end).await.unwrap();
            }
            _ => {}
        }
        self.step += 1;
    }

    async fn begin(&mut self) {
        let (owned, user) = (&self.stand.owned, self.user.to_string());
        let (taken, may) = match self.by {
            By::Counter => {
                let locks = owned.key_locks().await.unwrap();
                let is_locked = locks.users.iter().any(|(locked, _)| *locked == user);
                (locks.taken, (!is_locked).then(|| (owned.unless_locked_since(locks.taken), None)))
            }
            By::Batch => {
                let holding = owned.hold(vec![user]).await.unwrap();
                let is_free = holding.locked.is_empty();
                (holding.locks_taken, is_free.then(|| (owned.for_batch(&holding.hand), Some(holding.hand))))
            }
            By::Turn => {
                self.stand.make_due(&[&user]).await;
                let due = owned.due(&self.stand.schedule(), 1, &[]).await.unwrap();
                (0, (!due.members.is_empty()).then(|| (owned.for_turn(&due.hand, &user), None)))
            }
        };
        if taken != self.seen {
            self.seen = taken;
            self.memory = None;
        }
        self.may = may;
    }
}

/// The outsider's rounds, step by step.
struct Outsider<'a> {
    stand: &'a Stand,
    user: &'a UserId,
    step: usize,
    lock: Option<KeyLock>,
    read: i64,
    done: i64,
}

impl Outsider<'_> {
    async fn step(&mut self) {
        match (self.step % 4, &self.lock) {
            (0, _) => {
                if let Take::Taken(lock) = self.stand.ask(self.user, "an outsider", LONG).await {
                    self.lock = Some(lock);
                }
            }
            (1, Some(_)) => self.read = self.stand.number(self.user).await,
            (2, Some(lock)) => {
                lock.commit(self.stand.set(self.user, self.read + 1)).await.unwrap();
                self.done += 1;
            }
            (3, Some(_)) => assert!(self.lock.take().unwrap().release().await.unwrap()),
            _ => {}
        }
        self.step += 1;
    }
}

/// All ways to merge so many steps of the owner (`true`) with so many of the outsider.
fn orders(owner: usize, outsider: usize) -> Vec<Vec<bool>> {
    if owner == 0 && outsider == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (first, left) in [(true, owner), (false, outsider)] {
        if left > 0 {
            let rest = orders(owner - usize::from(first), outsider - usize::from(!first));
            all.extend(rest.into_iter().map(|rest| [vec![first], rest].concat()));
        }
    }
    all
}

async fn try_all(by: By, owner_steps: usize) {
    let redis: Redis = connect(testkit::redis().url()).await;
    let user = user("ada");
    let (mut owners, mut outsiders, mut both) = (0, 0, 0);
    for order in orders(owner_steps, 8) {
        let stand = Stand::under(&redis, Stage::Write).await;
        let mut owner = Owner { stand: &stand, user: &user, by, step: 0, seen: 0, memory: None, may: None, done: 0 };
        let mut outsider = Outsider { stand: &stand, user: &user, step: 0, lock: None, read: 0, done: 0 };
        for is_owners in &order {
            if *is_owners { owner.step().await } else { outsider.step().await }
        }
        let number = stand.number(&user).await;
        assert_eq!(number, owner.done + outsider.done, "{by:?}, the owner's steps are true: {order:?}");
        owners += owner.done;
        outsiders += outsider.done;
        both += i64::from(owner.done > 0 && outsider.done > 0);
    }
    // It is no proof if nobody ever gets to do anything.
    assert!(owners > 0 && outsiders > 0 && both > 0, "{owners} and {outsiders}, both {both}");
}

#[tokio::test]
async fn no_interleaving_of_owner_and_outsider_loses_an_update() {
    tokio::join!(try_all(By::Counter, 7), try_all(By::Batch, 7), try_all(By::Turn, 4));
}
