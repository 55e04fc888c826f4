//! Toggl Track as its clients see it: the parts of API v9 around time entries, in memory.

mod account; // what a user has: entries, projects, tags, and the modification clock
mod gate; // who may ask, how often, and what goes wrong
mod read; // GET /me/…
mod row; // how an entry is spelled
mod write; // the workspace's POST, PUT, PATCH and DELETE

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use axum::{Router, middleware};
use jiff::Timestamp;

pub use account::{Client, Edit, Entry, NewEntry, Project, TogglAccount};

use crate::world::{Clock, Faults, RequestLog, server::Server};
use account::Account;

/// How strict the simulated service is.
#[derive(Clone, Debug)]
pub struct TogglConfig {
    /// `/me` requests in a window for one user; the service allows 30.
    pub me_quota: u32,
    /// Workspace requests in a window for one user; 30 on the free plan.
    pub workspace_quota: u32,
    /// The quota's window; an hour.
    pub quota_window: Duration,
    /// Whether answers other than the 402 carry the quota headers too.
    pub quota_headers: bool,
    /// Requests that may come at once before one a second is the limit; none to switch it off.
    pub burst: Option<u32>,
    /// The most rows of an answer.
    pub rows_max: usize,
    /// The oldest `since` or `start_date` that is accepted, in days before now.
    pub reach_days: i64,
}

impl Default for TogglConfig {
    fn default() -> TogglConfig {
        TogglConfig {
            me_quota: 30,
            workspace_quota: 30,
            quota_window: Duration::from_secs(3600),
            quota_headers: true,
            burst: Some(10),
            rows_max: 1000,
            reach_days: 90,
        }
    }
}

/// The simulated service, on a free port of 127.0.0.1 until dropped.
#[derive(Debug)]
pub struct TogglSim {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
pub(crate) struct Shared {
    config: TogglConfig,
    clock: Clock,
    faults: Faults,
    log: RequestLog,
    accounts: RwLock<Accounts>,
}

/// Everybody, each with a lock of their own: a long answer to one holds up nobody else.
#[derive(Debug, Default)]
struct Accounts {
    by_name: BTreeMap<String, Mutex<Account>>,
    /// Whose each token is.
    by_token: HashMap<String, String>,
}

impl Shared {
    fn accounts(&self) -> RwLockReadGuard<'_, Accounts> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn accounts_mut(&self) -> RwLockWriteGuard<'_, Accounts> {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the account with this token.
    pub(crate) fn by_token(&self, token: &str) -> Option<String> {
        self.accounts().by_token.get(token).cloned()
    }

    /// Works on the account that the gate has found.
    pub(crate) fn with<T>(&self, name: &str, work: impl FnOnce(&mut Account) -> T) -> T {
        let accounts = self.accounts();
        let account = accounts.by_name.get(name).expect("accounts are never removed, and this one was added");
        work(&mut account.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TogglSim {
    /// Starts listening, without accounts.
    ///
    /// # Errors
    /// The listener's, when no port is to be had.
    pub async fn start(config: TogglConfig) -> io::Result<TogglSim> {
        let shared = Arc::new(Shared {
            config,
            clock: Clock::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            accounts: RwLock::default(),
        });
        let router = Router::new()
            .merge(read::routes())
            .merge(write::routes())
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), gate::gate))
            .with_state(Arc::clone(&shared));
        Ok(TogglSim { server: Server::start(router).await?, shared })
    }

    /// The base of the API: `http://127.0.0.1:<port>/api/v9`.
    pub fn api_url(&self) -> String {
        format!("{}/api/v9", self.server.origin())
    }

    /// Adds a user without entries.
    pub fn add_account(&self, account: TogglAccount) {
        let now = self.shared.clock.now();
        let mut accounts = self.shared.accounts_mut();
        accounts.by_token.insert(account.api_token.clone(), account.name.clone());
        let (name, account) = (account.name.clone(), Account::new(account, &self.shared.config, now));
        accounts.by_name.insert(name, Mutex::new(account));
    }

    /// Adds or replaces a client.
    pub fn add_client(&self, name: &str, client: Client) {
        self.shared.with(name, |account| account.clients.insert(client.id, client));
    }

    /// Adds or replaces a project.
    pub fn add_project(&self, name: &str, project: Project) {
        self.shared.with(name, |account| account.projects.insert(project.id, project));
    }

    /// Deletes a project: its entries have none afterwards. Whether that is a modification of
    /// the entries, the service does not say: `touches` chooses.
    pub fn delete_project(&self, name: &str, project: i64, touches: bool) {
        let now = self.now();
        self.shared.with(name, |account| account.delete_project(project, touches, now));
    }

    /// Creates an entry; without a stop it runs, and the one that ran stops now. Returns its id.
    pub fn create(&self, name: &str, entry: NewEntry) -> i64 {
        let now = self.now();
        self.shared.with(name, |account| account.create(entry, now))
    }

    /// Holds an entry as it is, its time of change included; one that is held in the same or a newer version
    /// stays as it is.
    pub fn put(&self, name: &str, entry: Entry) {
        self.shared.with(name, |account| account.put(entry));
    }

    /// Holds an entry whose row nobody can read, from now on and as long as it is not put again.
    pub fn put_unreadable(&self, name: &str, entry: Entry) {
        self.shared.with(name, |account| {
            account.unreadable.insert(entry.id);
            account.put(entry);
        });
    }

    /// Changes an entry, in one modification; false when there is none, or it is deleted.
    pub fn edit(&self, name: &str, id: i64, edits: &[Edit]) -> bool {
        let now = self.now();
        self.shared.with(name, |account| account.edit(id, edits, now))
    }

    /// Stops a running entry at `stop`; false when it does not run.
    pub fn stop(&self, name: &str, id: i64, stop: Timestamp) -> bool {
        let now = self.now();
        self.shared.with(name, |account| account.stop(id, stop, now))
    }

    /// Deletes an entry; false when there is none to delete.
    pub fn delete(&self, name: &str, id: i64) -> bool {
        let now = self.now();
        self.shared.with(name, |account| account.delete(id, now))
    }

    /// Takes a deletion back; false when the entry is not deleted.
    pub fn restore(&self, name: &str, id: i64) -> bool {
        let now = self.now();
        self.shared.with(name, |account| account.restore(id, now))
    }

    /// Every entry as it is now, the deleted ones included, by id.
    pub fn entries(&self, name: &str) -> Vec<Entry> {
        self.shared.with(name, |account| account.entries.values().cloned().collect())
    }

    /// Every project as it is now, the deleted ones included, by id.
    pub fn projects(&self, name: &str) -> Vec<Project> {
        self.shared.with(name, |account| account.projects.values().cloned().collect())
    }

    /// Replaces the API token; the old one answers 401 from now on.
    pub fn set_api_token(&self, name: &str, api_token: &str) {
        let old =
            self.shared.with(name, |account| std::mem::replace(&mut account.spec.api_token, api_token.to_owned()));
        let mut accounts = self.shared.accounts_mut();
        accounts.by_token.remove(&old);
        accounts.by_token.insert(api_token.to_owned(), name.to_owned());
    }

    /// Moves the user to another zone, as their profile tells it.
    pub fn set_timezone(&self, name: &str, timezone: &str) {
        self.shared.with(name, |account| timezone.clone_into(&mut account.spec.timezone));
    }

    /// What goes wrong from now on.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.log
    }

    /// The clock that dates modifications and counts quotas.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}
