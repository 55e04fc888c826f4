//! What films, money and code add to which day.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    github::{Comment, Commit, Issue, PullRequest},
    trakt::{Play, What},
    world::{GithubWord, TraktWord},
    ynab::{ACCOUNTS, INFLOW, Transaction},
};

/// A person's records at GitHub.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Who the person is there.
    pub user_id: i64,
    /// Issues that are there.
    pub issues: Vec<Issue>,
    /// Comments that are there.
    pub comments: Vec<Comment>,
    /// Pull requests.
    pub pulls: Vec<PullRequest>,
    /// Commits, each once.
    pub commits: Vec<Commit>,
}

/// What plays add: seconds or plays.
pub(super) fn plays(zone: &TimeZone, word: TraktWord, plays: &[Play]) -> Vec<(Date, i64)> {
    let what = match word {
        TraktWord::EpisodeMinutes | TraktWord::Episodes => What::Episode,
        TraktWord::MovieMinutes | TraktWord::Movies => What::Movie,
    };
    let dated = plays.iter().filter(|play| play.what == what && play.watched_at != Timestamp::UNIX_EPOCH);
    dated
        .map(|play| {
            let shows = play.show_runtime.filter(|_| play.what == What::Episode && !play.show_is_null);
            // As it was when the play was first seen: a later correction must not move history.
            let minutes = play.first_runtime.or(shows).unwrap_or(0);
            let amount = match word {
                TraktWord::EpisodeMinutes | TraktWord::MovieMinutes => i64::from(minutes) * 60,
                TraktWord::Episodes | TraktWord::Movies => 1,
            };
            (play.watched_at.to_zoned(zone.clone()).date(), amount)
        })
        .collect()
}

/// What transactions add, in thousandths: what left these categories, or what came in.
pub(super) fn money(categories: Option<&[String]>, transactions: &[Transaction]) -> Vec<(Date, i64)> {
    let on_budget = |account: &str| ACCOUNTS.iter().any(|(name, on)| *name == account && *on);
    let mut added = Vec::new();
    for transaction in transactions.iter().filter(|found| !found.deleted && on_budget(&found.told.account)) {
        let told = &transaction.told;
        let whole = [(told.category.clone(), told.amount)];
        let legs: Vec<_> = told.legs.iter().map(|leg| (leg.category.clone(), leg.amount)).collect();
        let parts = if legs.is_empty() { whole.to_vec() } else { legs };
        if told.transfer_account.as_deref().is_some_and(on_budget) {
            continue;
        }
        for (category, amount) in parts {
            let Some(category) = category else { continue };
            match categories {
                Some(categories) if categories.contains(&category) => added.push((told.date, -amount)),
                None if category == INFLOW => added.push((told.date, amount)),
                _ => {}
            }
        }
    }
    added
}

/// What somebody did at GitHub adds.
pub(super) fn code(zone: &TimeZone, word: GithubWord, code: &Code) -> Vec<(Date, i64)> {
    let me = |id: i64| id == code.user_id;
    let instants: Vec<Timestamp> = match word {
        GithubWord::IssuesOpened => {
            code.issues.iter().filter(|issue| me(issue.author.user_id)).map(|issue| issue.created_at).collect()
        }
        GithubWord::IssuesClosed => {
            let mine = code.issues.iter().filter(|issue| issue.closed_by.as_ref().is_some_and(|by| me(by.user_id)));
            mine.filter_map(|issue| issue.closed_at).collect()
        }
        GithubWord::CommentsWritten => code
            .comments
            .iter()
            .filter(|comment| me(comment.author.user_id))
            .map(|comment| comment.created_at)
            .collect(),
        GithubWord::PullRequestsOpened => {
            code.pulls.iter().filter(|pull| me(pull.author.user_id)).map(|pull| pull.created_at).collect()
        }
        GithubWord::PullRequestsMerged => {
            code.pulls.iter().filter(|pull| me(pull.author.user_id)).filter_map(|pull| pull.merged_at).collect()
        }
        GithubWord::Commits => {
            let mine =
                code.commits.iter().filter(|commit| commit.author.as_ref().is_some_and(|author| me(author.user_id)));
            mine.map(|commit| commit.authored_at).collect()
        }
    };
    instants.into_iter().map(|at| (at.to_zoned(zone.clone()).date(), 1)).collect()
}
