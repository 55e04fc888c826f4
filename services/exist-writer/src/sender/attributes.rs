//! Attributes become ours: acquired by template or name, created where the user has none.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use event::{AttributeName, Unit};
use exist::{Batch, Create, ErrorCode, Fate, Refusal, ValueType};
use jiff::tz::TimeZone;
use ledger::{Held, Mode};
use store::{
    Commit, Confirmed, StoreError, Totals,
    user::{Acquire, AttributeState, document, field},
};
use tracing::{info, warn};

use super::turn::{Turn, UNOPENED};
use crate::crash::crash_point;

impl Turn<'_> {
    /// Acquires attributes, at most as many as fit a request.
    pub(super) async fn acquire(&self, attributes: &[AttributeName]) -> Result<(), StoreError> {
        let items: Vec<exist::Acquire> = attributes.iter().map(|name| self.acquisition(name)).collect();
        let Some(batch) = self.batch(items, attributes).await? else { return Ok(()) };
        let Some(token) = self.open_token(&self.exist().access_token) else {
            return self.come_again(UNOPENED).await;
        };
        let spent = match self.permission() {
            Ok(spent) => spent,
            Err(wait) => return self.come_again(wait).await,
        };
        let answer = match self.ask("acquire", spent, self.sender.client.acquire(&token, &batch)).await? {
            Ok(answer) => answer,
            Err(failed) => return self.failed(Commit::new(), &failed).await,
        };
        crash_point!("writer::acquired");
        let known = self.known_attributes().await?;
        let mut states = self.documents.attribute_states.clone();
        for (name, settled) in attributes.iter().zip(answer.settled) {
            let state = match settled.fate {
                Fate::Applied(attribute) => self.owned_now(name, &attribute, known.contains(name), false),
                Fate::Refused(refusal) => self.not_acquired(name, &refusal),
                Fate::Unconfirmed => continue,
            };
            states.insert(name.clone(), state);
        }
        self.store_states(&states).await
    }

    /// Creates attributes, at most as many as fit a request.
    pub(super) async fn create(&self, attributes: &[AttributeName]) -> Result<(), StoreError> {
        let item = |name: &AttributeName| match &self.documents.attributes[name].acquire {
            Acquire::Custom { label, group, value_type } => Create {
                label: label.clone(),
                group: group.clone(),
                value_type: ValueType::from(i64::from(*value_type)),
            },
            Acquire::Template(_) | Acquire::Name => unreachable!("only custom attributes are created"),
        };
        let Some(batch) = self.batch(attributes.iter().map(item).collect(), attributes).await? else { return Ok(()) };
        let Some(token) = self.open_token(&self.exist().access_token) else {
            return self.come_again(UNOPENED).await;
        };
        let spent = match self.permission() {
            Ok(spent) => spent,
            Err(wait) => return self.come_again(wait).await,
        };
        let answer = match self.ask("create", spent, self.sender.client.create(&token, &batch)).await? {
            Ok(answer) => answer,
            Err(failed) => {
                // It may have been done. Acquiring by name finds out, creating again would not.
                return self.failed(Commit::new(), &failed).await;
            }
        };
        let known = self.known_attributes().await?;
        let mut states = self.documents.attribute_states.clone();
        for (name, settled) in attributes.iter().zip(answer.settled) {
            let state = match settled.fate {
                Fate::Applied(attribute) => self.owned_now(name, &attribute, known.contains(name), false),
                Fate::Refused(Refusal { code: ErrorCode::Exists, name: Some(existing), .. }) => {
                    AttributeState::ToAcquire { name: existing, reacquired: false }
                }
                Fate::Refused(refusal) => refused(name, &refusal),
                Fate::Unconfirmed => continue,
            };
            states.insert(name.clone(), state);
        }
        self.store_states(&states).await
    }

    /// The attributes of which we know values in Exist.
    pub(super) async fn known_attributes(&self) -> Result<HashSet<AttributeName>, StoreError> {
        let today = crate::next::today(self.now_ms, &self.zone());
        let window = i32::try_from(self.sender.settings.backfill_days).unwrap_or(0);
        let pairs = self.owned.confirmed_pairs(self.user, today.plus(-window - 1), today.plus(2)).await?;
        Ok(pairs.into_iter().map(|pair| pair.attribute).collect())
    }

    fn acquisition(&self, name: &AttributeName) -> exist::Acquire {
        match (self.documents.attribute_states.get(name), &self.documents.attributes[name].acquire) {
            (Some(AttributeState::ToAcquire { name, .. }), Acquire::Custom { .. } | Acquire::Name) => {
                exist::Acquire::Name(name.clone())
            }
            (_, Acquire::Template(template)) => exist::Acquire::Template(template.clone()),
            (_, Acquire::Custom { .. } | Acquire::Name) => exist::Acquire::Name(name.to_string()),
        }
    }

    /// A batch of our own making; one that cannot be is our mistake, and must not spin.
    async fn batch<T: exist::Item>(
        &self,
        items: Vec<T>,
        attributes: &[AttributeName],
    ) -> Result<Option<Batch<T>>, StoreError> {
        match Batch::try_new(items) {
            Ok(batch) => Ok(Some(batch)),
            Err(problem) => {
                let mut states = self.documents.attribute_states.clone();
                for name in attributes {
                    states.insert(name.clone(), AttributeState::Refused { detail: problem.to_string() });
                }
                self.store_states(&states).await?;
                Ok(None)
            }
        }
    }

    /// Exist says it is ours: by which name, and does its type take what we send.
    pub(super) fn owned_now(
        &self,
        name: &AttributeName,
        attribute: &exist::Attribute,
        is_known: bool,
        was_ours: bool,
    ) -> AttributeState {
        let unit = self.documents.attributes[name].unit;
        if let Some(value_type) = attribute.value_type.filter(|&value_type| !takes(value_type, unit)) {
            let detail = format!("its type in Exist is {}, which takes no {unit:?}", value_type.code());
            warn!("attribute {name} cannot be written: {detail}");
            return AttributeState::Refused { detail };
        }
        info!("attribute {name} is ours to write");
        let reacquired = matches!(
            self.documents.attribute_states.get(name),
            Some(AttributeState::ToAcquire { reacquired: true, .. })
        );
        let fresh_until = (!is_known).then(|| crate::next::today(self.now_ms, &self.zone()).next());
        AttributeState::Owned { name: attribute.name.clone(), reacquired, fresh_until, was_ours, taken_over: false }
    }

    fn not_acquired(&self, name: &AttributeName, refusal: &Refusal) -> AttributeState {
        let custom = matches!(self.documents.attributes[name].acquire, Acquire::Custom { .. });
        if custom && refusal.code == ErrorCode::NotFound {
            return AttributeState::ToCreate;
        }
        refused(name, refusal)
    }

    async fn store_states(&self, states: &BTreeMap<AttributeName, AttributeState>) -> Result<(), StoreError> {
        self.commit_states(Commit::new(), states).await
    }

    pub(super) async fn commit_states(
        &self,
        mut commit: Commit,
        states: &BTreeMap<AttributeName, AttributeState>,
    ) -> Result<(), StoreError> {
        self.put_states(&mut commit, states);
        self.look_again(&mut commit, states).await?;
        self.owned.note_success(&mut commit, self.user);
        // What was unconfirmed is asked again, but not at once.
        let settled = *states != self.documents.attribute_states || !self.documents.looked_up;
        self.due_in(&mut commit, if settled { Duration::ZERO } else { self.sender.settings.exist_settle });
        self.owned.commit(commit).await.map(drop)
    }

    /// Every day of an attribute that has just become ours is looked at again: what was refused before can
    /// be written now. Where it was ours before, whoever had it in between may have written to any day.
    async fn look_again(
        &self,
        commit: &mut Commit,
        states: &BTreeMap<AttributeName, AttributeState>,
    ) -> Result<(), StoreError> {
        let is_owned = |state: Option<&AttributeState>| matches!(state, Some(AttributeState::Owned { .. }));
        let before = &self.documents.attribute_states;
        let gained = states.iter().filter(|(name, state)| is_owned(Some(state)) && !is_owned(before.get(*name)));
        let gained: HashMap<&AttributeName, bool> = gained
            .map(|(name, state)| (name, matches!(state, AttributeState::Owned { reacquired: true, .. })))
            .collect();
        let today = crate::next::today(self.now_ms, &TimeZone::UTC);
        let window = i32::try_from(self.sender.settings.backfill_days).unwrap_or(0);
        let names = gained.keys().map(|name| (*name).clone()).collect();
        let pairs = self.owned.pairs_with_totals(self.user, &names, today.plus(-window - 1), today.plus(2)).await?;
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        for state in self.owned.pair_states(self.user, pairs.into_iter(), &BTreeMap::new()).await? {
            self.owned.note_unsure(commit, self.user, &state.pair);
            if gained[&state.pair.attribute] {
                let held = match (state.confirmed, self.mode(&state.pair.attribute)) {
                    // Nobody can tell what is ours as it was: it stays so.
                    (Some(before), Mode::Increment) if before.held.is_undecided() => continue,
                    (Some(before), _) => Held { value: None, ..before.held },
                    (None, Mode::Increment) => continue,
                    (None, Mode::Total) => Held::default(),
                };
                totals.confirm(commit, self.owned, self.user, &state.pair, &Confirmed { held, request });
            }
        }
        Ok(())
    }

    pub(super) fn put_states(&self, commit: &mut Commit, states: &BTreeMap<AttributeName, AttributeState>) {
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        commit.set(&hash, field::ATTRIBUTE_STATES, document(states).as_bytes());
    }
}

fn refused(name: &AttributeName, refusal: &Refusal) -> AttributeState {
    let detail = format!("{}: {}", refusal.code.as_str(), refusal.message);
    warn!("Exist refuses attribute {name}: {detail}");
    AttributeState::Refused { detail }
}

/// Whether values of a unit can be written to an attribute of a type. Decimals take everything; integers
/// and durations take whole numbers only.
fn takes(value_type: ValueType, unit: Unit) -> bool {
    match value_type {
        ValueType::Decimal | ValueType::Other(_) => true,
        ValueType::Integer | ValueType::Duration => unit != Unit::Milliunits,
        ValueType::Text
        | ValueType::TimeFromMidnight
        | ValueType::Percentage
        | ValueType::TimeFromMidday
        | ValueType::Boolean
        | ValueType::Scale => false,
    }
}
