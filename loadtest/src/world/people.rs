//! Who the invented people are: zone, accounts, projects, and what they want counted.

use std::fmt;

use jiff::tz::TimeZone;

use super::{
    mapping::{GithubWord, Mapping, Rule, TraktWord, WhatPulseField},
    random::Random,
    zones::{ClockChange, PEOPLE_ZONES},
};
use crate::{
    toggl::{Client, Project, TogglAccount},
    whatpulse::{DateSpelling, WhatPulseAccount},
};

const NAMES: [&str; 12] =
    ["moana", "sione", "asha", "bronte", "finn", "wiremu", "amelie", "dolores", "kenji", "zola", "thiago", "priya"];

/// The one whose clocks have changed.
const CLOCK_CHANGE_NAME: &str = "clara";

/// Someone whose days are counted.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Username everywhere.
    pub name: String,
    /// Their IANA zone.
    pub timezone: String,
    /// Whether the import names the zone, or leaves it to Exist's profile.
    pub timezone_in_import: bool,
    /// Numeric id at both sources.
    pub user_id: u32,
    /// WhatPulse's key.
    pub whatpulse_key: String,
    /// How WhatPulse spells their dates.
    pub whatpulse_dates: DateSpelling,
    /// Toggl Track's token.
    pub toggl_token: String,
    /// Trakt's access token.
    pub trakt_access_token: String,
    /// Trakt's refresh token.
    pub trakt_refresh_token: String,
    /// YNAB's access token.
    pub ynab_access_token: String,
    /// YNAB's refresh token.
    pub ynab_refresh_token: String,
    /// Their plan at YNAB.
    pub plan: String,
    /// Their categories there: spent from, spent from, saved in.
    pub categories: Vec<String>,
    /// GitHub's token.
    pub github_token: String,
    /// Their repository there.
    pub repository: String,
    /// Exist's access token.
    pub exist_access_token: String,
    /// Exist's refresh token.
    pub exist_refresh_token: String,
    /// Projects and clients at Toggl Track.
    pub workplace: Workplace,
    /// What feeds what.
    pub mappings: Vec<Mapping>,
}

/// Keys and tokens are as secret here as anywhere.
impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("name", &self.name).field("timezone", &self.timezone).finish_non_exhaustive()
    }
}

/// Someone's projects and clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workplace {
    /// All clients.
    pub clients: Vec<Client>,
    /// All projects.
    pub projects: Vec<Project>,
}

impl Person {
    /// The person's zone, looked up.
    ///
    /// # Panics
    /// When the zone database, which is compiled in, lacks the zone.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.timezone).expect("people live in zones of the compiled-in database")
    }

    pub(crate) fn whatpulse_account(&self) -> WhatPulseAccount {
        WhatPulseAccount {
            name: self.name.clone(),
            user_id: self.user_id.into(),
            api_key: self.whatpulse_key.clone(),
            dates: self.whatpulse_dates,
        }
    }

    pub(crate) fn toggl_account(&self) -> TogglAccount {
        TogglAccount {
            name: self.name.clone(),
            user_id: self.user_id.into(),
            api_token: self.toggl_token.clone(),
            timezone: self.timezone.clone(),
        }
    }
}

/// The people of the demo: twelve, and one whose clocks changed if that happened anywhere lately.
pub(crate) fn people(random: &mut Random, change: Option<&ClockChange>) -> Vec<Person> {
    let settled = NAMES.into_iter().zip(PEOPLE_ZONES);
    let changed = change.map(|change| (CLOCK_CHANGE_NAME, change.zone.as_str()));
    (0..).zip(settled.chain(changed)).map(|(index, (name, zone))| person(random, index, name, zone)).collect()
}

fn person(random: &mut Random, index: u32, name: &str, zone: &str) -> Person {
    let spelling = usize::try_from(index).expect("a small number") % DateSpelling::ALL.len();
    let workplace = Workplace::of(index);
    let categories = ["food", "fun", "trip"].map(|what| format!("{what}-of-{name}"));
    Person {
        name: name.to_owned(),
        timezone: zone.to_owned(),
        timezone_in_import: index.is_multiple_of(2),
        user_id: 54_001 + index,
        whatpulse_key: format!("wp-{:016x}", random.next()),
        whatpulse_dates: DateSpelling::ALL[spelling],
        toggl_token: format!("{:016x}{:016x}", random.next(), random.next()),
        trakt_access_token: format!("trakt-access-of-{name}"),
        trakt_refresh_token: format!("trakt-refresh-of-{name}"),
        ynab_access_token: format!("ynab-access-of-{name}"),
        ynab_refresh_token: format!("ynab-refresh-of-{name}"),
        plan: format!("aa111111-1111-1111-1111-{index:012}"),
        categories: categories.clone().into(),
        github_token: format!("ghp_{name}0123456789"),
        repository: format!("{name}-codes/notes"),
        exist_access_token: format!("access-{:016x}", random.next()),
        exist_refresh_token: format!("refresh-{:016x}", random.next()),
        mappings: mappings(index, &workplace, &categories),
        workplace,
    }
}

impl Workplace {
    fn of(index: u32) -> Workplace {
        let first = 150_000_000 + i64::from(index) * 100;
        let (acme, home) = (first + 50, first + 51);
        let client = |id, label: &str| Client { id, label: label.into() };
        let project = |offset, label: &str, client_id| Project {
            id: first + offset,
            label: label.into(),
            client_id,
            deleted: false,
        };
        Workplace {
            clients: vec![client(acme, "Acme"), client(home, "Home")],
            projects: vec![
                project(0, "Writing 📝", Some(acme)),
                project(1, "Planning", Some(home)),
                project(2, "Chores", Some(home)),
                project(3, "Feeds", None),
                project(4, "Not counted", None),
            ],
        }
    }
}

/// Everything WhatPulse counts; work by project, deep work by tag; for one in three, work by client.
fn mappings(index: u32, workplace: &Workplace, categories: &[String; 3]) -> Vec<Mapping> {
    use WhatPulseField::{Clicks, DownloadMb, Keys, UploadMb, UptimeSeconds};
    let id = |project: usize| workplace.projects[project].id;
    let by_project = |projects| Rule::Toggl { projects, clients: vec![], tags: vec![] };
    let mut mappings = vec![
        Mapping::template("keystrokes", Rule::WhatPulse(Keys)),
        Mapping::custom("Mouse clicks", 0, Rule::WhatPulse(Clicks)),
        Mapping::custom("Download MB", 0, Rule::WhatPulse(DownloadMb)),
        Mapping::custom("Upload MB", 0, Rule::WhatPulse(UploadMb)),
        Mapping::custom("Uptime min", 3, Rule::WhatPulse(UptimeSeconds)),
        Mapping::template("productive_min", by_project(vec![id(0), id(1)])),
        Mapping::template("neutral_min", by_project(vec![id(2)])),
        Mapping::template("distracting_min", by_project(vec![id(3)])),
        Mapping::custom(
            "Time deep work",
            3,
            Rule::Toggl { projects: vec![], clients: vec![], tags: vec!["deep".into()] },
        ),
    ];
    mappings.extend(pastimes(index, categories));
    if index.is_multiple_of(2) {
        // From two sources into one.
        mappings.push(Mapping::template("tv_min", by_project(vec![id(4)])));
    }
    if index.is_multiple_of(3) {
        let clients = vec![workplace.clients[0].id];
        // By client or by tag: an entry that is both counts once.
        let rule = Rule::Toggl { projects: vec![], clients, tags: vec!["acme".into()] };
        mappings.push(Mapping::custom("Time acme", 3, rule));
    }
    mappings
}

/// Films and shows, money, and code.
fn pastimes(index: u32, categories: &[String; 3]) -> Vec<Mapping> {
    let [food, fun, trip] = categories.clone();
    let mut mappings = vec![
        Mapping::template("tv_min", Rule::Trakt(TraktWord::EpisodeMinutes)),
        Mapping::template("movies_min", Rule::Trakt(TraktWord::MovieMinutes)),
        Mapping::custom("Episodes watched", 0, Rule::Trakt(TraktWord::Episodes)),
        Mapping::template("money_spent", Rule::Ynab { flow: "spent", categories: vec![food, fun] }),
        Mapping::custom("Money saved", 1, Rule::Ynab { flow: "saved", categories: vec![trip] }),
        Mapping::custom("Money earned", 1, Rule::YnabEarned),
        Mapping::template("commits", Rule::Github(GithubWord::Commits)),
    ];
    let others = GithubWord::ALL.into_iter().filter(|word| *word != GithubWord::Commits);
    // Not everybody wants everything.
    let others = others.filter(|word| index.is_multiple_of(2) || *word == GithubWord::IssuesClosed);
    mappings.extend(others.map(|word| Mapping::custom(&label(word), 0, Rule::Github(word))));
    mappings
}

/// `issues_opened` as people read it.
fn label(word: GithubWord) -> String {
    let words = word.name().replace('_', " ");
    let (first, rest) = words.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}
