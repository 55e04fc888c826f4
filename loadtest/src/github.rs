//! GitHub as its clients see it: issues, comments, pull requests and commits, by REST and as webhooks, in memory.

mod hooks; // what it sends by itself
mod objects; // what a repository holds
mod serve; // the routes

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, middleware};
use jiff::Timestamp;

pub use hooks::{Delivered, Hook};
pub use objects::{Comment, Commit, Issue, PullRequest};

use crate::world::{
    Clock, Faults, RequestLog,
    bearer::{self, Bearers},
    grants::Grants,
    server::Server,
    whole_second,
};

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Changes.
    pub login: String,
    /// Does not.
    pub user_id: i64,
}

/// The simulated service, on a free port of 127.0.0.1 until dropped.
#[derive(Debug)]
pub struct GithubSim {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    faults: Faults,
    log: RequestLog,
    state: Mutex<State>,
    hooks: hooks::Sender,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// By the simulator's name for the account.
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) grants: Grants,
    /// By full name.
    pub(crate) repositories: BTreeMap<String, Repository>,
    ids: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) id: i64,
    pub(crate) issues: BTreeMap<i64, Issue>,
    pub(crate) comments: BTreeMap<i64, Comment>,
    pub(crate) pulls: BTreeMap<i64, PullRequest>,
    /// Each branch's commits, the oldest first.
    pub(crate) branches: BTreeMap<String, Vec<Commit>>,
    hook: Option<Hook>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

impl GithubSim {
    /// Starts listening, without accounts.
    ///
    /// # Errors
    /// The listener's, when no port is to be had.
    pub async fn start() -> io::Result<GithubSim> {
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            state: Mutex::default(),
            hooks: hooks::Sender::start(),
        });
        let router = serve::api().layer(middleware::from_fn_with_state(Arc::clone(&shared), bearer::gate::<Shared>));
        let router: Router = router.with_state(Arc::clone(&shared));
        Ok(GithubSim { server: Server::start(router).await?, shared })
    }

    /// The base of the API: `http://127.0.0.1:<port>/api/v3`, as an Enterprise Server has it.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.server.origin())
    }

    /// Adds a user.
    pub fn add_account(&self, name: &str, member: Member, token: &str) {
        let mut state = self.shared.state();
        state.members.insert(name.to_owned(), member);
        state.grants.add(name, token, "");
    }

    /// Adds an empty repository.
    pub fn add_repository(&self, full_name: &str) {
        let mut state = self.shared.state();
        state.ids += 1;
        let repository = Repository { id: 186_000_000 + state.ids, ..Repository::default() };
        state.repositories.insert(full_name.to_owned(), repository);
    }

    /// From now on every event of the repository is sent there.
    pub fn add_hook(&self, full_name: &str, hook: Hook) {
        self.with(full_name, |_, repository| repository.hook = Some(hook));
    }

    /// Opens an issue and returns its id; `at` dates one of the past.
    pub fn open_issue(&self, by: &str, full_name: &str, at: Option<Timestamp>) -> i64 {
        let now = self.now();
        self.with(full_name, |state, repository| {
            let id = 444_000_000 + state.ids;
            let number = i64::try_from(repository.issues.len() + repository.pulls.len()).expect("a few") + 1;
            let issue = Issue::new(id, number, state.members[by].clone(), whole_second(at.unwrap_or(now)));
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Issue("opened", &issue));
            repository.issues.insert(id, issue);
            id
        })
    }

    /// Holds an issue as it is and tells nobody; one that is held in the same or a newer version stays as it is.
    pub fn put_issue(&self, full_name: &str, issue: Issue) {
        self.with(full_name, |_, repository| {
            if repository.issues.get(&issue.id).is_none_or(|held| held.updated_at < issue.updated_at) {
                repository.issues.insert(issue.id, issue);
            }
        });
    }

    /// Removes an issue and tells nobody.
    pub fn remove_issue(&self, full_name: &str, id: i64) {
        self.with(full_name, |_, repository| drop(repository.issues.remove(&id)));
    }

    /// Closes an issue; false when there is none that is open.
    pub fn close_issue(&self, by: &str, full_name: &str, id: i64) -> bool {
        let now = whole_second(self.now());
        self.change_issue(by, full_name, id, "closed", |issue, member| {
            let is_open = issue.closed_at.is_none();
            issue.closed_at.get_or_insert(now);
            if is_open {
                issue.closed_by = Some(member.clone());
            }
            is_open
        })
    }

    /// Opens a closed issue again; false when there is none that is closed.
    pub fn reopen_issue(&self, by: &str, full_name: &str, id: i64) -> bool {
        self.change_issue(by, full_name, id, "reopened", |issue, _| {
            issue.closed_by = None;
            issue.closed_at.take().is_some()
        })
    }

    /// Changes what an issue says; false when there is none.
    pub fn edit_issue(&self, by: &str, full_name: &str, id: i64) -> bool {
        self.change_issue(by, full_name, id, "edited", |_, _| true)
    }

    fn change_issue(
        &self,
        by: &str,
        full_name: &str,
        id: i64,
        action: &'static str,
        change: impl FnOnce(&mut Issue, &Member) -> bool,
    ) -> bool {
        let now = whole_second(self.now());
        self.with(full_name, |state, repository| {
            let Some(mut issue) = repository.issues.remove(&id) else { return false };
            let changed = change(&mut issue, &state.members[by]);
            if changed {
                issue.updated_at = now;
                state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Issue(action, &issue));
            }
            repository.issues.insert(id, issue);
            changed
        })
    }

    /// Deletes an issue and its comments; only a webhook tells. False when there is none.
    pub fn delete_issue(&self, by: &str, full_name: &str, id: i64) -> bool {
        self.with(full_name, |state, repository| {
            let Some(issue) = repository.issues.remove(&id) else { return false };
            repository.comments.retain(|_, comment| comment.issue != id);
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Issue("deleted", &issue));
            true
        })
    }

    /// Comments an issue and returns the comment's id.
    pub fn comment(&self, by: &str, full_name: &str, issue: i64, at: Option<Timestamp>) -> i64 {
        let now = self.now();
        self.with(full_name, |state, repository| {
            let id = 492_000_000 + state.ids;
            let comment = Comment::new(id, issue, state.members[by].clone(), whole_second(at.unwrap_or(now)));
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Comment("created", &comment));
            repository.comments.insert(id, comment);
            id
        })
    }

    /// Deletes a comment; only a webhook tells. False when there is none.
    pub fn delete_comment(&self, by: &str, full_name: &str, id: i64) -> bool {
        self.with(full_name, |state, repository| {
            let Some(comment) = repository.comments.remove(&id) else { return false };
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Comment("deleted", &comment));
            true
        })
    }

    /// Opens a pull request and returns its id.
    pub fn open_pull_request(&self, by: &str, full_name: &str, at: Option<Timestamp>) -> i64 {
        let now = self.now();
        self.with(full_name, |state, repository| {
            let id = 279_000_000 + state.ids;
            let number = i64::try_from(repository.issues.len() + repository.pulls.len()).expect("a few") + 1;
            let pull = PullRequest::new(id, number, state.members[by].clone(), whole_second(at.unwrap_or(now)));
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Pull("opened", &pull));
            repository.pulls.insert(id, pull);
            id
        })
    }

    /// Merges a pull request; false when there is none that is open.
    pub fn merge_pull_request(&self, by: &str, full_name: &str, id: i64) -> bool {
        let now = whole_second(self.now());
        self.with(full_name, |state, repository| {
            let Some(mut pull) = repository.pulls.remove(&id) else { return false };
            let merges = pull.merged_at.is_none();
            pull.merged_at.get_or_insert(now);
            pull.updated_at = now;
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Pull("closed", &pull));
            repository.pulls.insert(id, pull);
            merges
        })
    }

    /// Pushes commits of an account, authored then, to a branch; returns their names.
    pub fn push(&self, by: &str, full_name: &str, branch: &str, authored_at: &[Timestamp]) -> Vec<String> {
        self.with(full_name, |state, repository| {
            let author = state.members[by].clone();
            let commit = |(index, at): (usize, &Timestamp)| {
                let sha = format!("{:024x}{:08x}{index:08x}", repository.id, state.ids);
                Commit { sha, author: Some(author.clone()), authored_at: whole_second(*at) }
            };
            let commits: Vec<Commit> = authored_at.iter().enumerate().map(commit).collect();
            state.send(full_name, repository, &self.shared.hooks, by, hooks::Event::Push(branch, &commits));
            let names = commits.iter().map(|commit| commit.sha.clone()).collect();
            repository.branches.entry(branch.to_owned()).or_default().extend(commits);
            names
        })
    }

    /// What a repository holds now: issues, comments, pull requests and commits, each once.
    pub fn holds(&self, full_name: &str) -> (Vec<Issue>, Vec<Comment>, Vec<PullRequest>, Vec<Commit>) {
        self.with(full_name, |_, repository| {
            let commits: BTreeMap<&str, &Commit> =
                repository.branches.values().flatten().map(|commit| (commit.sha.as_str(), commit)).collect();
            (
                repository.issues.values().cloned().collect(),
                repository.comments.values().cloned().collect(),
                repository.pulls.values().cloned().collect(),
                commits.into_values().cloned().collect(),
            )
        })
    }

    /// Webhooks sent so far, with their answers.
    pub fn delivered(&self) -> Vec<Delivered> {
        self.shared.hooks.delivered()
    }

    /// Sends a webhook again, under the same id.
    pub fn redeliver(&self, delivery: &str) {
        self.shared.hooks.redeliver(delivery);
    }

    /// What goes wrong from now on.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The clock that dates everything.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// What was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.log
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn with<T>(&self, full_name: &str, work: impl FnOnce(&mut State, &mut Repository) -> T) -> T {
        let mut state = self.shared.state();
        let mut repository = state.repositories.remove(full_name).expect("a repository that was added");
        state.ids += 1;
        let done = work(&mut state, &mut repository);
        state.repositories.insert(full_name.to_owned(), repository);
        done
    }
}

impl State {
    fn send(
        &self,
        full_name: &str,
        repository: &Repository,
        sender: &hooks::Sender,
        by: &str,
        event: hooks::Event<'_>,
    ) {
        if let Some(hook) = &repository.hook {
            sender.send(hook, full_name, repository.id, &self.members[by], &event);
        }
    }
}
