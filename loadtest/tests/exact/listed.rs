//! What the services say they cannot know, and waiting until nothing else is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use loadtest::{
    demo::Stage,
    exist::{Endpoint, ExistConfig},
    judge::{Pair, Row},
    world::Mode,
};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::show::Show;

/// How often both sides are compared.
const COMPARE_EVERY: Duration = Duration::from_millis(200);
/// How long nothing may change before it counts as at rest: polls, flushes and what they would still spoil.
const STAY: Duration = Duration::from_secs(3);
/// How long the last transactions may take to end once every number is right.
const END_MAX: Duration = Duration::from_secs(30);
/// More transactions than a person of a test ever has.
const ALL: &str = "100000";

/// What is not right once nothing moves any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct AtRest {
    /// Neither right nor listed.
    pub(crate) wrong: Vec<Row>,
    /// Listed as undecided; they may be right all the same.
    pub(crate) listed: BTreeSet<Pair>,
}

/// A stage whose people have everything sent in this mode.
pub(crate) async fn stage_in(mode: Mode, seed: u64) -> Stage {
    let _already = rustls::crypto::ring::default_provider().install_default();
    Stage::set(seed, ExistConfig::default()).await.expect("the simulators start").in_mode(mode)
}

impl Show<'_> {
    /// One of the operators' commands, as JSON.
    pub(crate) async fn told(&self, arguments: &[&str]) -> Value {
        let said = self.fleet.run(arguments).await.unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?} says {said}: {error}"))
    }

    /// A person's transactions that ended in error, each by its id, with reason and detail.
    pub(crate) async fn errored(&self, person: &str) -> BTreeMap<String, (String, String)> {
        let listed =
            self.told(&["transactions", person, "--state", "errored", "--limit", ALL, "--json"]).await["transactions"]
                .take();
        let rows = listed.as_array().expect("a list of transactions").iter();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        rows.map(|row| (text(row, "id"), (text(row, "reason"), text(row, "detail")))).collect()
    }

    /// Which of these numbers are listed: a record that counts there ended as `unknown_outcome`.
    pub(crate) async fn listed_among(&self, pairs: impl IntoIterator<Item = Pair>) -> BTreeSet<Pair> {
        let mut by_person: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        for pair in pairs {
            by_person.entry(pair.0.clone()).or_default().push(pair);
        }
        let mut listed = BTreeSet::new();
        for (person, pairs) in by_person {
            let mut unknown = self.errored(&person).await;
            unknown.retain(|_, (reason, _)| reason == "unknown_outcome");
            if unknown.is_empty() {
                continue;
            }
            for pair in pairs {
                let day = pair.2.to_string();
                let why = self.told(&["explain", &person, &pair.1, &day, "--json"]).await;
                let records = why["records"].as_array().cloned().unwrap_or_default();
                let is_unknown =
                    |record: &Value| record["transaction"].as_str().is_some_and(|id| unknown.contains_key(id));
                if records.iter().any(is_unknown) {
                    listed.insert(pair);
                }
            }
        }
        listed
    }

    /// Waits until no transaction is under way any more, then compares what came in with what became of it.
    pub(crate) async fn all_ended(&mut self) {
        let deadline = Instant::now() + END_MAX;
        loop {
            let mut under_way = 0;
            for source in ["whatpulse", "toggl", "trakt", "ynab", "github"] {
                under_way += self.count(&format!("state:{source}:processing")).await;
            }
            if under_way == 0 || Instant::now() >= deadline {
                break;
            }
            sleep(COMPARE_EVERY).await;
        }
        self.nothing_was_lost().await;
    }

    /// Values went out by what this mode uses: most of them by increments, or all of them as totals.
    pub(crate) fn was_sent_in(&self, mode: Mode) {
        let log = self.stage.exist.log();
        let sent = |endpoint| log.to(endpoint).entries().iter().map(|request| request.items).sum::<usize>();
        let (increments, totals) = (sent(Endpoint::Increment), sent(Endpoint::Update));
        let is_so = match mode {
            Mode::Total => increments == 0 && totals > 0,
            Mode::Increment => increments > totals,
        };
        assert!(is_so, "{}: {increments} increments and {totals} totals were sent", mode.name());
    }

    /// Waits until every number is right or listed, and stays so; what is still wrong after `limit` is told,
    /// leaving aside the people of `except`.
    pub(crate) async fn at_rest(&mut self, limit: Duration, except: &[&str]) -> AtRest {
        let deadline = Instant::now() + limit;
        let mut before: (Vec<Row>, Instant) = (Vec::new(), Instant::now());
        loop {
            self.fleet.check().expect("no process ends by itself");
            let rows = self.stage.verdict().rows;
            assert!(!rows.is_empty(), "there is nothing to compare");
            let unequal = |row: &Row| !row.equal && !except.contains(&row.person.as_str());
            let wrong: Vec<Row> = rows.into_iter().filter(unequal).collect();
            let late = Instant::now() >= deadline;
            if wrong != before.0 {
                before = (wrong.clone(), Instant::now());
            }
            if late || before.1.elapsed() > STAY {
                let listed = self.listed_among(wrong.iter().map(Row::pair)).await;
                let wrong: Vec<Row> = wrong.into_iter().filter(|row| !listed.contains(&row.pair())).collect();
                if wrong.is_empty() || late {
                    return AtRest { wrong, listed };
                }
            }
            sleep(COMPARE_EVERY).await;
        }
    }
}

/// What carries values in this mode; in increment mode, what takes back is an update.
pub(crate) fn words(mode: Mode) -> Endpoint {
    match mode {
        Mode::Total => Endpoint::Update,
        Mode::Increment => Endpoint::Increment,
    }
}

/// A row in a line.
fn say(row: &Row) -> String {
    let number = |number: Option<Decimal>| number.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
    let (expected, held) = (number(row.expected), number(row.held));
    format!("{} {} {}: should be {expected}, is {held}", row.person, row.attribute, row.day)
}

impl AtRest {
    /// Nothing is silently wrong.
    pub(crate) fn is_exact_or_listed(&self, of: &str) {
        let AtRest { wrong, listed } = self;
        assert!(
            wrong.is_empty(),
            "{of}: {} numbers are silently wrong ({} are listed), such as {:#?}",
            wrong.len(),
            listed.len(),
            wrong.iter().step_by(wrong.len().div_ceil(5).max(1)).map(say).collect::<Vec<_>>()
        );
    }

    /// Nothing is wrong, and nothing had to be listed.
    pub(crate) fn is_exact(&self, of: &str) {
        self.is_exact_or_listed(of);
        assert!(self.listed.is_empty(), "{of}: what could be decided is listed as undecided: {:?}", self.listed);
    }
}
