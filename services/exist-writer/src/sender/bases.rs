//! What stood in Exist before us: read once, and taken as the base of what we add, or as ours.

use std::collections::{BTreeMap, BTreeSet};

use event::Decimal;
use ledger::{Held, Mode, Pair};
use store::{
    Commit, Confirmed, StoreError, Totals,
    user::{Adopt, AttributeState, document, field},
};
use tracing::info;

use super::turn::Turn;
use crate::crash::crash_point;

impl Turn<'_> {
    /// Reads what stands there for pairs that we have not written yet, or that somebody may have written since.
    pub(super) async fn read_bases(&self, pairs: &BTreeSet<Pair>) -> Result<(), StoreError> {
        let Some(reading) = self.read(pairs).await? else { return Ok(()) };
        let before = self.owned.pair_states(self.user, pairs.iter().cloned(), &BTreeMap::new()).await?;
        crash_point!("writer::base_read");
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        let mut commit = Commit::new();
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut found = self.documents.found.clone();
        let mut states = self.documents.attribute_states.clone();
        for state in before {
            let pair = &state.pair;
            let Some(value) = reading.value(pair) else {
                let detail = "Exist does not show us its values: the read scope is missing".to_owned();
                states.insert(pair.attribute.clone(), AttributeState::Refused { detail });
                continue;
            };
            let adopt = self.exist().adopt;
            let before_us = states.get(&pair.attribute).and_then(|state| state.before_us(pair.day));
            if state.confirmed.is_none() && adopt == Adopt::Ask && before_us.is_some() {
                found.entry(pair.attribute.clone()).or_default().insert(pair.day, value);
                continue;
            }
            let held = state.confirmed.map_or_else(|| self.first(pair, value), |before| before.held.found(value));
            totals.confirm(&mut commit, self.owned, self.user, pair, &Confirmed { held, request });
        }
        if found != self.documents.found {
            info!("values stand in Exist that an operator is to decide about: see `tributary migrate`");
            let hash = self.owned.keys.user(self.owned.partition(), self.user);
            commit.set(&hash, field::FOUND, document(&found).as_bytes());
        }
        if states != self.documents.attribute_states {
            self.put_states(&mut commit, &states);
        }
        self.owned.note_success(&mut commit, self.user);
        self.owned.rest(&mut commit, self.user, std::time::Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }

    /// What is known of a pair that was read for the first time.
    fn first(&self, pair: &Pair, value: Decimal) -> Held {
        let nothing = value.minus(value);
        let state = self.documents.attribute_states.get(&pair.attribute);
        let before_us = state.and_then(|state| state.before_us(pair.day));
        let takes_over = match (self.exist().adopt, before_us) {
            (Adopt::Ours, Some(_)) => true,
            (Adopt::Unset, Some(was_ours)) => was_ours,
            _ => false,
        };
        let stays = self.exist().adopt != Adopt::Unset || self.mode(&pair.attribute) == Mode::Increment;
        let ours = if takes_over { value } else { nothing };
        let adopted = if takes_over || !stays { nothing } else { value };
        Held { value: Some(value), ours: Some(ours), adopted, doubt: None }
    }
}
