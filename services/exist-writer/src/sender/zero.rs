//! Set days of an attribute to 0 because somebody asked, forget what was there, and write them anew.

use event::{AttributeName, Day, Decimal};
use ledger::{How, Pair, Planned, VALUES_MAX};
use store::{
    Commit, StoreError,
    user::{Zeroing, document, field},
};

use super::{close::Settled, turn::Turn};

impl Turn<'_> {
    /// Sends zeros for as many days as a request takes; the wish keeps the others.
    pub(super) async fn zero(&self, attribute: &AttributeName, days: &[Day]) -> Result<(), StoreError> {
        if days.is_empty() {
            let mut commit = Commit::new();
            self.zeroed(&mut commit, attribute, &[]);
            self.owned.rest(&mut commit, self.user, std::time::Duration::ZERO);
            return self.owned.commit(commit).await.map(drop);
        }
        let zero = |day: &Day| Planned::of(&Pair { attribute: attribute.clone(), day: *day }, Decimal::default());
        let planned: Vec<Planned> = days.iter().take(VALUES_MAX).map(zero).collect();
        self.send(How::Zero, planned, Settled::default()).await
    }

    /// A day is 0 now, and nothing of ours stands there: what we know of it is sent again.
    pub(super) fn zeroed_now(&self, commit: &mut Commit, planned: &Planned) {
        self.owned.note_unsure(commit, self.user, &planned.pair);
    }

    /// What was answered for is done, be it with or without success.
    pub(super) fn zeroes_answered(&self, commit: &mut Commit, done: &[Planned]) {
        let Some(attribute) = done.first().map(|planned| &planned.pair.attribute) else { return };
        let days: Vec<Day> = done.iter().map(|planned| planned.pair.day).collect();
        self.zeroed(commit, attribute, &days);
    }

    /// These days are done; the wish ends with the last of them.
    fn zeroed(&self, commit: &mut Commit, attribute: &AttributeName, done: &[Day]) {
        let Some(wish) = self.documents.zeroing.get(attribute) else { return };
        let days: Vec<Day> = wish.days.iter().copied().filter(|day| !done.contains(day)).collect();
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        let (field, before) = (field::zeroing(attribute), document(wish));
        if days.is_empty() {
            commit.clear(&hash, &field, &before);
        } else {
            let left = Zeroing { days, asked_ms: wish.asked_ms };
            commit.swap(&hash, &field, before.as_bytes(), document(&left).as_bytes());
        }
    }
}
