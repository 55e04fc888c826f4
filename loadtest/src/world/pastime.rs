//! What people do beside work: films, money, and code. A script of its own for each person.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};

use super::{people::Person, random::Random, script::DAYS};
use crate::{
    github::{GithubSim, Member},
    trakt::{NewPlay, TraktSim, What},
    ynab::{Edit, INFLOW, Leg, NewTransaction, YnabSim},
};

/// Where they do it.
#[derive(Debug)]
pub struct Pastimes {
    /// Films and shows.
    pub trakt: TraktSim,
    /// Money.
    pub ynab: YnabSim,
    /// Code.
    pub github: GithubSim,
}

/// One thing somebody does there. Records are counted from 0 for each person and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pastime {
    /// Watches something.
    Watch(NewPlay),
    /// Gives a play another date; on the site its id may change.
    MovePlay {
        /// Which.
        play: usize,
        /// To when.
        watched_at: Timestamp,
        /// Whether its id stays.
        keeps_id: bool,
    },
    /// Removes a play.
    RemovePlay(usize),
    /// Money moves.
    Spend(NewTransaction),
    /// A transaction is changed.
    Change {
        /// Which.
        row: usize,
        /// How.
        edits: Vec<Edit>,
    },
    /// A transaction is deleted.
    Delete(usize),
    /// Opens an issue; one of the past is dated.
    OpenIssue(Option<Timestamp>),
    /// Closes an issue.
    CloseIssue(usize),
    /// Opens one again.
    ReopenIssue(usize),
    /// Comments an issue.
    Comment {
        /// Which.
        issue: usize,
        /// One of the past is dated.
        at: Option<Timestamp>,
    },
    /// Opens a pull request.
    OpenPull(Option<Timestamp>),
    /// Merges one.
    MergePull(usize),
    /// Pushes commits authored then.
    Push(Vec<Timestamp>),
}

/// One person's script.
pub(crate) struct Leisure {
    random: Random,
    now: Timestamp,
    today: Date,
    plays: usize,
    spent: usize,
    issues: usize,
    pulls: usize,
    open: Vec<usize>,
    closed: Vec<usize>,
    categories: Vec<String>,
}

impl Leisure {
    pub(crate) fn new(who: &Person, now: Timestamp, seed: u64) -> Leisure {
        Leisure {
            random: Random::new(seed),
            now,
            today: now.to_zoned(who.zone()).date(),
            plays: 0,
            spent: 0,
            issues: 0,
            pulls: 0,
            open: Vec::new(),
            closed: Vec::new(),
            categories: who.categories.clone(),
        }
    }

    /// What stands at the sources before anything is read.
    pub(crate) fn history(&mut self) -> Vec<Pastime> {
        let mut steps = Vec::new();
        for day in [-9, -8, -7, -7] {
            steps.push(self.watch(day));
            steps.push(self.spend(day));
        }
        // Nobody knows when, and it counts on no day.
        steps.push(self.play(What::Episode, Timestamp::UNIX_EPOCH, Some(44)));
        steps.push(self.play(What::Movie, self.ago(75), Some(111)));
        steps.push(self.transfer(-6));
        let saved = -self.random.between(1_000, 50_000);
        steps.push(self.money(-5, saved, 2));
        steps.push(self.salary(-6));
        for hours in [200, 190, 180] {
            steps.push(self.open_issue(Some(hours)));
        }
        steps.push(Pastime::Comment { issue: 0, at: Some(self.ago(170)) });
        steps.push(self.open_pull(Some(160)));
        steps.push(Pastime::Push(vec![self.ago(150), self.ago(149), self.ago(100)]));
        steps
    }

    /// What happens in a round.
    pub(crate) fn day(&mut self, round: i64) -> Vec<Pastime> {
        let day = round - DAYS;
        let mut steps = vec![self.watch(day), self.spend(day)];
        match round % 6 {
            1 => {
                steps.push(Pastime::MovePlay { play: 0, watched_at: self.ago(60), keeps_id: false });
                steps.push(self.close());
                steps.push(Pastime::Change { row: 0, edits: vec![Edit::Amount(-self.random.between(100, 90_000))] });
            }
            2 => {
                steps.push(Pastime::RemovePlay(1));
                steps.push(Pastime::Comment { issue: 1, at: None });
                steps.push(Pastime::Push(vec![self.ago(20), self.ago(3)]));
                steps.push(Pastime::Change { row: 1, edits: vec![Edit::Date(self.date(-3))] });
            }
            3 => {
                steps.push(Pastime::MovePlay { play: 2, watched_at: self.ago(30), keeps_id: true });
                steps.push(self.close());
                steps.push(Pastime::Delete(2));
                steps.push(self.transfer(-2));
            }
            4 => {
                steps.extend(self.closed.pop().map(|issue| {
                    self.open.push(issue);
                    Pastime::ReopenIssue(issue)
                }));
                steps.push(Pastime::MergePull(0));
                let legs =
                    [0, 1].map(|place| Leg { amount: -self.random.between(10, 9_999), category: self.category(place) });
                steps.push(Pastime::Change { row: 3, edits: vec![Edit::Legs(legs.to_vec())] });
            }
            5 => {
                steps.push(self.open_issue(None));
                steps.push(self.close());
                // What came back.
                let refund = self.random.between(1, 20_000);
                steps.push(self.money(-1, refund, 0));
                steps.push(Pastime::Change {
                    row: 3,
                    edits: vec![Edit::Legs(Vec::new()), Edit::Category(self.category(1))],
                });
            }
            _ => {
                steps.push(self.open_pull(None));
                steps.push(self.salary(day));
                steps.push(Pastime::Push(vec![self.ago(1)]));
            }
        }
        steps
    }

    fn date(&self, day: i64) -> Date {
        self.today + day.days()
    }

    fn ago(&self, hours: i64) -> Timestamp {
        self.now - SignedDuration::from_hours(hours)
    }

    fn category(&self, place: usize) -> Option<String> {
        self.categories.get(place).cloned()
    }

    fn watch(&mut self, day: i64) -> Pastime {
        let hours = -day * 24 + self.random.between(1, 20);
        let what = if self.random.one_in(3) { What::Movie } else { What::Episode };
        let minutes = u32::try_from(self.random.between(21, 160)).expect("a small number");
        self.play(what, self.ago(hours), Some(minutes))
    }

    fn play(&mut self, what: What, watched_at: Timestamp, runtime: Option<u32>) -> Pastime {
        self.plays += 1;
        // One in four has only its show's runtime, one in five no show at all.
        let (runtime, show_runtime) = if self.plays.is_multiple_of(4) { (None, runtime) } else { (runtime, Some(99)) };
        let show_is_null = self.plays.is_multiple_of(5) && runtime.is_some();
        Pastime::Watch(NewPlay { what, watched_at, runtime, show_runtime, show_is_null })
    }

    fn spend(&mut self, day: i64) -> Pastime {
        let amount = -self.random.between(1, 99_999);
        let place = usize::from(self.random.one_in(2));
        self.money(day, amount, place)
    }

    fn money(&mut self, day: i64, amount: i64, place: usize) -> Pastime {
        self.spent += 1;
        let (date, category) = (self.date(day), self.category(place));
        let account = "checking".to_owned();
        Pastime::Spend(NewTransaction { date, amount, account, category, transfer_account: None, legs: Vec::new() })
    }

    /// From one account to another: neither spent nor earned.
    fn transfer(&mut self, day: i64) -> Pastime {
        self.spent += 1;
        let (account, other) = ("checking".to_owned(), Some("savings".to_owned()));
        let (date, amount) = (self.date(day), -50_000);
        Pastime::Spend(NewTransaction {
            date,
            amount,
            account,
            category: None,
            transfer_account: other,
            legs: Vec::new(),
        })
    }

    fn salary(&mut self, day: i64) -> Pastime {
        self.spent += 1;
        let (date, account) = (self.date(day), "checking".to_owned());
        let amount = self.random.between(1_000_000, 3_000_000);
        let category = Some(INFLOW.to_owned());
        Pastime::Spend(NewTransaction { date, amount, account, category, transfer_account: None, legs: Vec::new() })
    }

    fn open_issue(&mut self, hours_ago: Option<i64>) -> Pastime {
        self.open.push(self.issues);
        self.issues += 1;
        Pastime::OpenIssue(hours_ago.map(|hours| self.ago(hours)))
    }

    fn close(&mut self) -> Pastime {
        let issue = self.open.remove(0);
        self.closed.push(issue);
        Pastime::CloseIssue(issue)
    }

    fn open_pull(&mut self, hours_ago: Option<i64>) -> Pastime {
        self.pulls += 1;
        Pastime::OpenPull(hours_ago.map(|hours| self.ago(hours)))
    }
}

/// Which record of a person's is which at the simulators.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    plays: BTreeMap<(usize, usize), i64>,
    rows: BTreeMap<(usize, usize), String>,
    issues: BTreeMap<(usize, usize), i64>,
    pulls: BTreeMap<(usize, usize), i64>,
    counts: BTreeMap<(usize, &'static str), usize>,
}

impl Ids {
    fn next(&mut self, person: usize, kind: &'static str) -> (usize, usize) {
        let count = self.counts.entry((person, kind)).or_default();
        *count += 1;
        (person, *count - 1)
    }
}

impl Pastimes {
    /// Gives everybody an account, a plan and a repository.
    pub(crate) fn settle(&self, people: &[Person]) {
        for person in people {
            let name = &person.name;
            self.trakt.add_account(name, &person.trakt_access_token, &person.trakt_refresh_token);
            self.ynab.add_account(
                name,
                &person.plan,
                &person.ynab_access_token,
                &person.ynab_refresh_token,
                &person.categories,
            );
            let member = Member { login: format!("{name}-codes"), user_id: person.user_id.into() };
            self.github.add_account(name, member, &person.github_token);
            self.github.add_repository(&person.repository);
        }
    }

    /// Does one thing; false if a record cannot take it.
    pub(crate) fn play(&self, ids: &mut Ids, person: usize, who: &Person, step: &Pastime) -> bool {
        let (name, repository) = (who.name.as_str(), who.repository.as_str());
        match step {
            Pastime::Watch(play) => {
                let place = ids.next(person, "play");
                ids.plays.insert(place, self.trakt.watch(name, play.clone())).is_none()
            }
            Pastime::MovePlay { play, watched_at, keeps_id } => {
                let id = ids.plays[&(person, *play)];
                let now = self.trakt.move_to(name, id, *watched_at, *keeps_id);
                now.map(|now| ids.plays.insert((person, *play), now)).is_some()
            }
            Pastime::RemovePlay(play) => self.trakt.remove(name, ids.plays[&(person, *play)]),
            Pastime::Spend(new) => {
                let place = ids.next(person, "row");
                ids.rows.insert(place, self.ynab.create(name, new.clone())).is_none()
            }
            Pastime::Change { row, edits } => self.ynab.edit(name, &ids.rows[&(person, *row)], edits),
            Pastime::Delete(row) => self.ynab.delete(name, &ids.rows[&(person, *row)]),
            Pastime::OpenIssue(at) => {
                let place = ids.next(person, "issue");
                ids.issues.insert(place, self.github.open_issue(name, repository, *at)).is_none()
            }
            Pastime::CloseIssue(issue) => self.github.close_issue(name, repository, ids.issues[&(person, *issue)]),
            Pastime::ReopenIssue(issue) => self.github.reopen_issue(name, repository, ids.issues[&(person, *issue)]),
            Pastime::Comment { issue, at } => {
                self.github.comment(name, repository, ids.issues[&(person, *issue)], *at) > 0
            }
            Pastime::OpenPull(at) => {
                let place = ids.next(person, "pull");
                ids.pulls.insert(place, self.github.open_pull_request(name, repository, *at)).is_none()
            }
            Pastime::MergePull(pull) => self.github.merge_pull_request(name, repository, ids.pulls[&(person, *pull)]),
            Pastime::Push(authored_at) => !self.github.push(name, repository, "main", authored_at).is_empty(),
        }
    }
}

impl Pastime {
    /// What it does to records: created, edited, deleted.
    pub(crate) const fn counts(&self) -> (u32, u32, u32) {
        match self {
            Pastime::Watch(_)
            | Pastime::Spend(_)
            | Pastime::OpenIssue(_)
            | Pastime::Comment { .. }
            | Pastime::OpenPull(_)
            | Pastime::Push(_) => (1, 0, 0),
            Pastime::RemovePlay(_) | Pastime::Delete(_) => (0, 0, 1),
            _ => (0, 1, 0),
        }
    }
}
