//! YNAB as its clients see it: the transactions of one plan for each user, in memory.

mod money; // transactions and their legs
mod serve; // the routes

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, middleware};

pub use money::{Edit, Leg, NewTransaction, Transaction};

use crate::world::{
    Clock, Faults, RequestLog,
    bearer::{self, Bearers},
    grants::Grants,
    server::Server,
};

/// The accounts that every plan has: two on budget, one off it.
pub const ACCOUNTS: [(&str, bool); 3] = [("checking", true), ("savings", true), ("house", false)];

/// The category that money comes in through.
pub const INFLOW: &str = "inflow-ready-to-assign";

/// The simulated service, on a free port of 127.0.0.1 until dropped.
#[derive(Debug)]
pub struct YnabSim {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    faults: Faults,
    log: RequestLog,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// By the name of the account.
    pub(crate) plans: BTreeMap<String, Plan>,
    pub(crate) grants: Grants,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) categories: Vec<String>,
    pub(crate) transactions: BTreeMap<String, Transaction>,
    /// The number of the last change.
    pub(crate) knowledge: i64,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(self.state().plans.get_mut(name).expect("an account that was added"))
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

impl YnabSim {
    /// Starts listening, without accounts.
    ///
    /// # Errors
    /// The listener's, when no port is to be had.
    pub async fn start() -> io::Result<YnabSim> {
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            state: Mutex::default(),
        });
        let router = serve::api()
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), bearer::gate::<Shared>))
            .merge(serve::oauth());
        let router: Router = router.with_state(Arc::clone(&shared));
        Ok(YnabSim { server: Server::start(router).await?, shared })
    }

    /// The base of the API: `http://127.0.0.1:<port>/v1`.
    pub fn api_url(&self) -> String {
        format!("{}/v1", self.server.origin())
    }

    /// The base of its OAuth.
    pub fn oauth_url(&self) -> String {
        format!("{}/oauth", self.server.origin())
    }

    /// Adds a user with one plan, which has these categories beside YNAB's own.
    pub fn add_account(&self, name: &str, plan: &str, access_token: &str, refresh_token: &str, categories: &[String]) {
        let mut state = self.shared.state();
        let plan = Plan {
            id: plan.to_owned(),
            categories: categories.to_vec(),
            transactions: BTreeMap::new(),
            knowledge: 100,
        };
        state.plans.insert(name.to_owned(), plan);
        state.grants.add(name, access_token, refresh_token);
    }

    /// Adds a transaction and returns its id.
    pub fn create(&self, name: &str, new: NewTransaction) -> String {
        self.shared.with(name, |plan| {
            plan.knowledge += 1;
            let id = format!("{}-{}", plan.id, plan.transactions.len());
            plan.transactions.insert(id.clone(), Transaction::new(&id, new, plan.knowledge));
            id
        })
    }

    /// Changes a transaction; false when there is none, or it is deleted.
    pub fn edit(&self, name: &str, id: &str, edits: &[Edit]) -> bool {
        self.change(name, id, |transaction| edits.iter().for_each(|edit| transaction.apply(edit.clone())))
    }

    /// Deletes a transaction; false when there is none to delete.
    pub fn delete(&self, name: &str, id: &str) -> bool {
        self.change(name, id, |transaction| transaction.deleted = true)
    }

    fn change(&self, name: &str, id: &str, change: impl FnOnce(&mut Transaction)) -> bool {
        self.shared.with(name, |plan| {
            let Some(found) = plan.transactions.get_mut(id).filter(|found| !found.deleted) else { return false };
            plan.knowledge += 1;
            found.log = plan.knowledge;
            change(found);
            true
        })
    }

    /// The plan is restored: what YNAB knows begins with a lower number again.
    pub fn restore_plan(&self, name: &str) {
        self.shared.with(name, |plan| {
            plan.transactions.retain(|_, transaction| !transaction.deleted);
            plan.knowledge = 10;
            plan.transactions.values_mut().for_each(|transaction| transaction.log = 10);
        });
    }

    /// Every transaction as it is now, the deleted ones included.
    pub fn transactions(&self, name: &str) -> Vec<Transaction> {
        self.shared.with(name, |plan| plan.transactions.values().cloned().collect())
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
