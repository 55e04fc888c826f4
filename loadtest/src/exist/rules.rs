//! Which requests meet which faults, switched on and off while the simulator runs.

use std::sync::{Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::call::Endpoint;
use super::faults::{Fault, Place};
use super::object::Object;

/// A fault and which requests meet it.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    user: Option<String>,
    endpoints: Option<Vec<Endpoint>>,
    left: Option<u64>,
    per_mille: u32,
}

impl Rule {
    /// Every request of everybody, to every endpoint of the API where the fault makes sense: what
    /// concerns commits and items meets writes only, and OAuth2 is left alone unless named by [`Rule::on`].
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, user: None, endpoints: None, left: None, per_mille: 1000 }
    }

    /// Only this user.
    #[must_use]
    pub fn of(mut self, username: &str) -> Self {
        self.user = Some(username.to_owned());
        self
    }

    /// Only these endpoints.
    #[must_use]
    pub fn on(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.endpoints = Some(endpoints.into_iter().collect());
        self
    }

    /// Only the next `n` requests that meet it.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.left = Some(n);
        self
    }

    /// Only this many in a thousand, by the simulator's seed.
    ///
    /// # Panics
    /// Above 1000.
    #[must_use]
    pub fn per_mille(mut self, chance: u32) -> Self {
        assert!(chance <= 1000, "a chance is at most 1000 in 1000");
        self.per_mille = chance;
        self
    }

    fn meets(&self, seen: &Seen<'_>) -> bool {
        let user = self.user.as_deref().is_none_or(|user| seen.user == Some(user));
        let endpoint = match &self.endpoints {
            Some(endpoints) => endpoints.contains(&seen.endpoint),
            None if self.fault.needs_write() => seen.endpoint.writes(),
            None => !seen.endpoint.is_oauth(),
        };
        let item = match &self.fault {
            Fault::FailItem { item, .. } => seen.items.iter().enumerate().any(|(index, sent)| item.is(index, sent)),
            _ => true,
        };
        user && endpoint && item && self.left != Some(0)
    }
}

/// The request that rules are held against.
pub(super) struct Seen<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) endpoint: Endpoint,
    pub(super) items: &'a [Object],
}

/// The faults switched on.
pub struct Faults(Mutex<Switched>);

struct Switched {
    rules: Vec<Rule>,
    rng: StdRng,
}

impl Faults {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(Switched { rules: Vec::new(), rng: StdRng::seed_from_u64(seed) }))
    }

    /// Switches a rule on, behind those that are.
    pub fn add(&self, rule: Rule) {
        self.switched().rules.push(rule);
    }

    /// The next `n` requests of `username` that the fault makes sense for.
    pub fn next(&self, username: &str, fault: Fault, n: u64) {
        self.add(Rule::new(fault).of(username).times(n));
    }

    /// Everybody's requests, until [`Faults::clear`].
    pub fn always(&self, fault: Fault) {
        self.add(Rule::new(fault));
    }

    /// So many in a thousand of everybody's requests, until [`Faults::clear`].
    pub fn chance(&self, per_mille: u32, fault: Fault) {
        self.add(Rule::new(fault).per_mille(per_mille));
    }

    /// Switches everything off.
    pub fn clear(&self) {
        self.switched().rules.clear();
    }

    /// How many requests will still meet rules with a count.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.switched().rules.iter().filter_map(|rule| rule.left).sum()
    }

    /// The changes that come before this request is looked at.
    pub(super) fn before(&self, seen: &Seen<'_>) -> Plan {
        self.take(seen, |fault| matches!(fault, Fault::Before(_)))
    }

    /// Everything else this request meets.
    pub(super) fn during(&self, seen: &Seen<'_>) -> Plan {
        self.take(seen, |fault| !matches!(fault, Fault::Before(_)))
    }

    fn take(&self, seen: &Seen<'_>, wanted: impl Fn(&Fault) -> bool) -> Plan {
        let mut switched = self.switched();
        let Switched { rules, rng } = &mut *switched;
        let mut plan = Plan::default();
        for rule in rules.iter_mut() {
            if wanted(&rule.fault)
                && rule.meets(seen)
                && !plan.excludes(&rule.fault)
                && (rule.per_mille == 1000 || rng.random_ratio(rule.per_mille, 1000))
            {
                rule.left = rule.left.map(|left| left - 1);
                plan.0.push(rule.fault.clone());
            }
        }
        rules.retain(|rule| rule.left != Some(0));
        plan
    }

    fn switched(&self) -> MutexGuard<'_, Switched> {
        self.0.lock().expect("nobody panics while holding the faults")
    }
}

/// The faults one request meets.
#[derive(Debug, Default)]
pub(super) struct Plan(pub(super) Vec<Fault>);

impl Plan {
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(Fault::name).collect()
    }

    /// Whether `fault` could not show beside what is already planned; it then waits for another request.
    fn excludes(&self, fault: &Fault) -> bool {
        let place = fault.place();
        let taken = place != Place::Free && self.0.iter().any(|planned| planned.place() == place);
        taken
            || self.0.iter().any(|planned| match (planned.place(), place) {
                // What is refused is not done, so nothing that needs it done can show.
                (Place::Instead, _) => fault.needs_write(),
                (_, Place::Instead) => planned.needs_write(),
                _ => false,
            })
    }
}
