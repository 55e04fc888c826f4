//! Trakt as its clients see it: the parts of API v2 around history, in memory.

mod play; // how a play is spelled
mod serve; // the routes

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, middleware};
use jiff::{SignedDuration, Timestamp};

pub use play::{NewPlay, Play, What};

use crate::world::{
    Clock, Faults, RequestLog,
    bearer::{self, Bearers},
    grants::Grants,
    server::Server,
};

/// Real ids are beyond what a double holds.
const FIRST_PLAY_ID: i64 = 9_007_199_254_740_993;

/// How strict the simulated service is.
#[derive(Clone, Debug)]
pub struct TraktConfig {
    /// Rows of a page where none are asked for.
    pub page_limit_default: usize,
    /// Rows of a page at most; more are not refused.
    pub page_limit_max: usize,
    /// Whether `/sync/history` is there; else only `/users/me/history`.
    pub bare_history: bool,
}

impl Default for TraktConfig {
    fn default() -> TraktConfig {
        TraktConfig { page_limit_default: 100, page_limit_max: 250, bare_history: true }
    }
}

/// The simulated service, on a free port of 127.0.0.1 until dropped.
#[derive(Debug)]
pub struct TraktSim {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
pub(crate) struct Shared {
    config: TraktConfig,
    clock: Clock,
    faults: Faults,
    log: RequestLog,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    accounts: BTreeMap<String, Account>,
    pub(crate) grants: Grants,
    plays: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) plays: BTreeMap<i64, Play>,
    /// When the list of what was watched last changed.
    pub(crate) changed: Timestamp,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Account) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state();
        let account = state.accounts.get_mut(name).expect("an account that was added");
        // No two changes share a stamp.
        account.changed = now.max(account.changed + SignedDuration::from_millis(1));
        change(account)
    }
}

impl Bearers for Shared {
    fn account_of(&self, token: &str) -> Option<String> {
        self.state().grants.account_of(token)
    }
    fn faults(&self) -> &Faults {
        &self.faults
    }
    fn log(&self) -> &RequestLog {
        &self.log
    }
    fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl TraktSim {
    /// Starts listening, without accounts.
    ///
    /// # Errors
    /// The listener's, when no port is to be had.
    pub async fn start(config: TraktConfig) -> io::Result<TraktSim> {
        let shared = Arc::new(Shared {
            config,
            clock: Clock::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            state: Mutex::default(),
        });
        let router = serve::api()
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), bearer::gate::<Shared>))
            .merge(serve::oauth());
        let router: Router = router.with_state(Arc::clone(&shared));
        Ok(TraktSim { server: Server::start(router).await?, shared })
    }

    /// The base of the API: `http://127.0.0.1:<port>/api`.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.server.origin())
    }

    /// The base of its OAuth, another than the API's.
    pub fn oauth_url(&self) -> String {
        format!("{}/auth/oauth", self.server.origin())
    }

    /// Adds a user who has watched nothing.
    pub fn add_account(&self, name: &str, access_token: &str, refresh_token: &str) {
        let mut state = self.shared.state();
        state.accounts.insert(name.to_owned(), Account::default());
        state.grants.add(name, access_token, refresh_token);
    }

    /// Adds a play and returns its id.
    pub fn watch(&self, name: &str, play: NewPlay) -> i64 {
        let id = {
            let mut state = self.shared.state();
            state.plays += 1;
            FIRST_PLAY_ID + state.plays
        };
        self.shared.change(name, |account| account.plays.insert(id, Play::new(id, play)));
        id
    }

    /// Holds a play as it is.
    pub fn put(&self, name: &str, play: Play) {
        self.shared.change(name, |account| account.plays.insert(play.id, play));
    }

    /// Removes a play; false when there is none.
    pub fn remove(&self, name: &str, id: i64) -> bool {
        self.shared.change(name, |account| account.plays.remove(&id).is_some())
    }

    /// Gives a play another date. On the site that is a removal and an addition under a new id; whether the
    /// id can stay is not known. Returns the id afterwards.
    pub fn move_to(&self, name: &str, id: i64, watched_at: Timestamp, keeps_id: bool) -> Option<i64> {
        if keeps_id {
            return self.shared.change(name, |account| {
                account.plays.get_mut(&id)?.watched_at = watched_at;
                Some(id)
            });
        }
        let play = self.shared.change(name, |account| account.plays.remove(&id))?;
        Some(self.watch(name, NewPlay { watched_at, ..play.into_new() }))
    }

    /// Corrects a runtime, which moves no stamp; false when there is no such play.
    pub fn set_runtime(&self, name: &str, id: i64, runtime: Option<u32>) -> bool {
        let mut state = self.shared.state();
        let play = state.accounts.get_mut(name).and_then(|account| account.plays.get_mut(&id));
        play.map(|play| play.runtime = runtime).is_some()
    }

    /// Every play as it is now.
    pub fn plays(&self, name: &str) -> Vec<Play> {
        self.shared.state().accounts[name].plays.values().cloned().collect()
    }

    /// The access token works no more; the refresh token does.
    pub fn expire_access_token(&self, name: &str) {
        self.shared.state().grants.expire(name);
    }

    /// The user takes the access back.
    pub fn revoke(&self, name: &str) {
        self.shared.state().grants.revoke(name);
    }

    /// How many pairs of tokens an account was given.
    pub fn refreshes(&self, name: &str) -> usize {
        self.shared.state().grants.of(name).refreshes
    }

    /// What goes wrong from now on.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.log
    }
}
