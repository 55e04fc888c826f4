//! WhatPulse as its clients see it: both web APIs over one store of pulses, in memory.

mod account; // what a user has: pulses, spelling, privacy
mod gate; // who may ask, how often, and what goes wrong
mod legacy; // user.php and pulses.php
mod page; // v1's pages and their links
mod v1; // the REST API

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, middleware};
use jiff::Timestamp;

pub use account::{Counts, DateSpelling, Pulse, WhatPulseAccount};

use crate::world::{Clock, Faults, RequestLog, server::Server, whole_second};
use account::Account;

/// How strict the simulated service is.
#[derive(Clone, Debug)]
pub struct WhatPulseConfig {
    /// v1 requests an hour for one key; the service allows 100.
    pub requests_per_hour: u32,
    /// Whether v1 answers carry `X-RateLimit-*`, and a 429 `Retry-After`.
    pub rate_headers: bool,
    /// Whether the day named by `date_to` belongs to the range; the service does not say.
    pub date_to_inclusive: bool,
    /// How long a legacy answer is repeated for the same address; the service says one hour.
    pub legacy_cache: Duration,
}

impl Default for WhatPulseConfig {
    fn default() -> WhatPulseConfig {
        WhatPulseConfig {
            requests_per_hour: 100,
            rate_headers: true,
            date_to_inclusive: false,
            legacy_cache: Duration::from_secs(3600),
        }
    }
}

/// The simulated service, on a free port of 127.0.0.1 until dropped.
#[derive(Debug)]
pub struct WhatPulseSim {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
pub(crate) struct Shared {
    config: WhatPulseConfig,
    clock: Clock,
    faults: Faults,
    log: RequestLog,
    accounts: Mutex<BTreeMap<String, Account>>,
    legacy_cache: Mutex<BTreeMap<String, legacy::Cached>>,
}

impl Shared {
    pub(crate) fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WhatPulseSim {
    /// Starts listening, without accounts.
    ///
    /// # Errors
    /// The listener's, when no port is to be had.
    pub async fn start(config: WhatPulseConfig) -> io::Result<WhatPulseSim> {
        let shared = Arc::new(Shared {
            config,
            clock: Clock::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            accounts: Mutex::default(),
            legacy_cache: Mutex::default(),
        });
        let v1 = v1::routes().layer(middleware::from_fn_with_state(Arc::clone(&shared), gate::v1));
        let legacy = legacy::routes().layer(middleware::from_fn_with_state(Arc::clone(&shared), gate::legacy));
        let router = Router::new().merge(v1).merge(legacy).with_state(Arc::clone(&shared));
        Ok(WhatPulseSim { server: Server::start(router).await?, shared })
    }

    /// The base of v1: `http://127.0.0.1:<port>/api/v1`.
    pub fn api_url(&self) -> String {
        format!("{}/api/v1", self.server.origin())
    }

    /// The base of the legacy API: `http://127.0.0.1:<port>`.
    pub fn legacy_url(&self) -> String {
        self.server.origin()
    }

    /// Adds a user without pulses.
    pub fn add_account(&self, account: WhatPulseAccount) {
        self.shared.accounts().insert(account.name.clone(), Account::new(account, &self.shared.config));
    }

    /// Receives a pulse from a computer of this user now; returns its id.
    ///
    /// Calls within one second make pulses of the same second.
    pub fn pulse(&self, name: &str, computer: &str, counts: Counts) -> u64 {
        self.pulse_dated(name, computer, self.now(), counts)
    }

    /// Receives a pulse as if `date` were now; returns its id.
    ///
    /// # Panics
    /// When the user has a later pulse already: the service dates a pulse when it receives it, so
    /// ids and dates grow together.
    pub fn pulse_dated(&self, name: &str, computer: &str, date: Timestamp, counts: Counts) -> u64 {
        self.with(name, |account| account.receive(computer, whole_second(date), counts))
    }

    /// Makes a pulse vanish, as when a user removes it on the site; false when it was not there.
    pub fn vanish(&self, name: &str, id: u64) -> bool {
        self.with(name, |account| account.pulses.remove(&id).is_some())
    }

    /// The pulses that are there now, by id.
    pub fn pulses(&self, name: &str) -> Vec<Pulse> {
        self.with(name, |account| account.pulses.values().cloned().collect())
    }

    /// Makes the profile private or public: a private one answers its own key only.
    pub fn set_private(&self, name: &str, private: bool) {
        self.with(name, |account| account.private = private);
    }

    /// Replaces the key; the old one answers 401 from now on.
    pub fn set_api_key(&self, name: &str, api_key: &str) {
        self.with(name, |account| api_key.clone_into(&mut account.spec.api_key));
    }

    /// What goes wrong from now on.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.log
    }

    /// The clock that dates pulses and counts hours.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Account) -> T) -> T {
        work(self.shared.accounts().get_mut(name).expect("a test names accounts it has added"))
    }
}
