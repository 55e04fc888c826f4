//! Attributes that are ours already, and what an earlier life of ours left in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use event::AttributeName;
use exist::AttributeFilter;
use ledger::{Held, Pair};
use store::{
    Commit, Confirmed, StoreError, Totals, operate,
    user::{Acquire, AttributeState, field},
};
use tracing::info;

use super::turn::{SHORTLY, Turn, UNOPENED};

impl Turn<'_> {
    /// Asks Exist once which attributes are ours already: they need not be acquired, and where we know nothing of
    /// them, what stands there came from an earlier life of ours.
    pub(super) async fn look_up(&self) -> Result<(), StoreError> {
        let Some(token) = self.open_token(&self.exist().access_token) else {
            return self.come_again(UNOPENED).await;
        };
        let mut spent = self.sending.spent;
        let mut owned: Vec<exist::Attribute> = Vec::new();
        let mut page = Some(1);
        while let Some(number) = page {
            let granted = match self.permission_after(spent) {
                Ok(granted) => granted,
                Err(wait) => return self.come_again(wait).await,
            };
            let filter = AttributeFilter { include_low_priority: true, ..AttributeFilter::default() };
            match self.ask("owned", granted, self.sender.client.owned(&token, &filter, number)).await? {
                Ok(listed) => {
                    owned.extend(listed.results);
                    page = listed.next;
                }
                Err(failed) => return self.failed(Commit::new(), &failed).await,
            }
            spent = Some(granted);
        }
        let known = self.known_attributes().await?;
        let mut states = self.documents.attribute_states.clone();
        for (name, attribute) in &self.documents.attributes {
            let is_it = |item: &&exist::Attribute| match &attribute.acquire {
                Acquire::Template(template) => item.template.as_ref() == Some(template) || item.name == *template,
                Acquire::Name => item.name == name.as_str(),
                Acquire::Custom { label, .. } => {
                    item.name == name.as_str() || item.label.as_deref() == Some(label.as_str())
                }
            };
            if let (None, Some(item)) = (states.get(name), owned.iter().find(is_it)) {
                states.insert(name.clone(), self.owned_now(name, item, known.contains(name), true));
            }
        }
        let mut commit = Commit::new();
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        commit.set(&hash, field::LOOKED_UP, b"1");
        // Something to come back for, until what stands there is known.
        let today = crate::next::today(self.now_ms, &self.zone());
        for (attribute, _) in states.iter().filter(|(_, state)| state.is_to_take_over()) {
            self.owned.note_unsure(&mut commit, self.user, &Pair { attribute: attribute.clone(), day: today });
        }
        self.commit_states(commit, &states).await
    }

    /// Reads what an earlier life of ours left on the days that we count. It is ours, also where no record of
    /// today adds to it any more.
    pub(super) async fn take_over(&self, attributes: &[AttributeName]) -> Result<(), StoreError> {
        let waiting = operate::entries_waiting(&self.owned.redis, &self.owned.keys, self.owned.partition()).await?;
        if waiting > 0 {
            return self.come_again(SHORTLY).await;
        }
        let today = crate::next::today(self.now_ms, &self.zone());
        let window = i32::try_from(self.sender.settings.backfill_days).unwrap_or(0);
        let days = (0..=window).map(|ago| today.plus(-ago));
        let pairs: BTreeSet<Pair> = days
            .flat_map(|day| attributes.iter().map(move |attribute| Pair { attribute: attribute.clone(), day }))
            .collect();
        let Some(reading) = self.read(&pairs).await? else { return Ok(()) };
        let (mut commit, mut totals) = (Commit::new(), Totals::new(self.sender.settings.backfill_days));
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        for state in self.owned.pair_states(self.user, pairs.into_iter(), &BTreeMap::new()).await? {
            let Some(value) = reading.value(&state.pair) else { continue };
            if state.confirmed.is_none() && !value.is_zero() {
                let held = Held { value: Some(value), ours: Some(value), ..Held::default() };
                totals.confirm(&mut commit, self.owned, self.user, &state.pair, &Confirmed { held, request });
                self.owned.note_unsure(&mut commit, self.user, &state.pair);
            }
        }
        let mut states = self.documents.attribute_states.clone();
        for attribute in attributes {
            if let Some(AttributeState::Owned { taken_over, .. }) = states.get_mut(attribute) {
                *taken_over = true;
            }
        }
        info!("what an earlier life of ours left in Exist is known");
        self.put_states(&mut commit, &states);
        self.owned.note_success(&mut commit, self.user);
        self.due_in(&mut commit, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }
}
