//! Which records feed which attribute, as a person has set it.

use serde_json::{Map, Value, json};

/// One attribute of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The attribute's name in Exist.
    pub attribute: String,
    /// What it is there.
    pub kind: Kind,
    /// Which records feed it.
    pub rule: Rule,
    /// How its days are sent.
    pub mode: Mode,
}

/// How an attribute's days are sent to Exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The day's sum replaces what stands there.
    #[default]
    Total,
    /// What the sum grew by is added to what stands there, which others may have put there.
    Increment,
}

impl Mode {
    /// Both.
    pub const ALL: [Mode; 2] = [Mode::Total, Mode::Increment];

    /// Its name in a rule.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Total => "total",
            Mode::Increment => "increment",
        }
    }
}

/// How an attribute comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the template of this name.
    Template(String),
    /// Created with these.
    Custom {
        /// What the user reads; its slug is the attribute's name.
        label: String,
        /// Exist's group.
        group: String,
        /// Exist's code: 0 a whole number, 1 a decimal, 3 minutes.
        value_type: u8,
    },
}

/// Which records feed an attribute, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Every pulse, with one of its counts.
    WhatPulse(WhatPulseField),
    /// The entries filed under any of the projects, under a project of any of the clients, or
    /// carrying any of the tags; each once, with its length.
    Toggl {
        /// Project ids.
        projects: Vec<i64>,
        /// Client ids.
        clients: Vec<i64>,
        /// Tags' names.
        tags: Vec<String>,
    },
    /// Every play, by this word.
    Trakt(TraktWord),
    /// What left these categories, under this word: `spent` or `saved`.
    Ynab {
        /// The word.
        flow: &'static str,
        /// Category ids.
        categories: Vec<String>,
    },
    /// What came in.
    YnabEarned,
    /// What somebody did at GitHub.
    Github(GithubWord),
}

/// What of a play counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraktWord {
    /// How long episodes are.
    EpisodeMinutes,
    /// How long films are.
    MovieMinutes,
    /// How many episodes.
    Episodes,
    /// How many films.
    Movies,
}

impl TraktWord {
    /// Its name in a rule.
    pub fn name(self) -> &'static str {
        match self {
            TraktWord::EpisodeMinutes => "episode_minutes",
            TraktWord::MovieMinutes => "movie_minutes",
            TraktWord::Episodes => "episodes",
            TraktWord::Movies => "movies",
        }
    }
}

/// What somebody did at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GithubWord {
    /// Opened an issue.
    IssuesOpened,
    /// Closed one.
    IssuesClosed,
    /// Wrote a comment.
    CommentsWritten,
    /// Opened a pull request.
    PullRequestsOpened,
    /// Had one merged.
    PullRequestsMerged,
    /// Wrote a commit.
    Commits,
}

impl GithubWord {
    /// All of them.
    pub const ALL: [GithubWord; 6] = [
        GithubWord::IssuesOpened,
        GithubWord::IssuesClosed,
        GithubWord::CommentsWritten,
        GithubWord::PullRequestsOpened,
        GithubWord::PullRequestsMerged,
        GithubWord::Commits,
    ];

    /// Its name in a rule.
    pub fn name(self) -> &'static str {
        match self {
            GithubWord::IssuesOpened => "issues_opened",
            GithubWord::IssuesClosed => "issues_closed",
            GithubWord::CommentsWritten => "comments_written",
            GithubWord::PullRequestsOpened => "pull_requests_opened",
            GithubWord::PullRequestsMerged => "pull_requests_merged",
            GithubWord::Commits => "commits",
        }
    }
}

/// A count of a pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatPulseField {
    /// Key presses.
    Keys,
    /// Mouse clicks.
    Clicks,
    /// Megabytes received.
    DownloadMb,
    /// Megabytes sent.
    UploadMb,
    /// Time switched on.
    UptimeSeconds,
}

impl WhatPulseField {
    /// Its name in a rule.
    pub fn name(self) -> &'static str {
        match self {
            WhatPulseField::Keys => "keys",
            WhatPulseField::Clicks => "clicks",
            WhatPulseField::DownloadMb => "download_mb",
            WhatPulseField::UploadMb => "upload_mb",
            WhatPulseField::UptimeSeconds => "uptime_seconds",
        }
    }
}

impl Mapping {
    /// An attribute from the template of the same name.
    pub fn template(name: &str, rule: Rule) -> Mapping {
        Mapping { attribute: name.to_owned(), kind: Kind::Template(name.to_owned()), rule, mode: Mode::default() }
    }

    /// A custom attribute in the group productivity; `label`'s slug is its name.
    pub fn custom(label: &str, value_type: u8, rule: Rule) -> Mapping {
        let group = "productivity".to_owned();
        let kind = Kind::Custom { label: label.to_owned(), group, value_type };
        Mapping { attribute: label.to_lowercase().replace(' ', "_"), kind, rule, mode: Mode::default() }
    }

    /// The source the records come from.
    pub fn source(&self) -> &'static str {
        match self.rule {
            Rule::WhatPulse(_) => "whatpulse",
            Rule::Toggl { .. } => "toggl",
            Rule::Trakt(_) => "trakt",
            Rule::Ynab { .. } | Rule::YnabEarned => "ynab",
            Rule::Github(_) => "github",
        }
    }

    /// The value of this attribute's key in a connection's `map`.
    pub(crate) fn setting(&self) -> Value {
        let mut setting = Map::new();
        match &self.rule {
            Rule::WhatPulse(field) => drop(setting.insert("field".into(), json!(field.name()))),
            Rule::Toggl { projects, clients, tags } => {
                let lists = [("projects", json!(projects)), ("clients", json!(clients)), ("tags", json!(tags))];
                setting.extend(lists.into_iter().filter(|(_, list)| list != &json!([])).map(|(k, v)| (k.into(), v)));
            }
            Rule::Trakt(word) => drop(setting.insert("from".into(), json!(word.name()))),
            Rule::Github(word) => drop(setting.insert("from".into(), json!(word.name()))),
            Rule::Ynab { flow, categories } => {
                setting.insert("flow".into(), json!(flow));
                setting.insert("categories".into(), json!(categories));
            }
            Rule::YnabEarned => drop(setting.insert("flow".into(), json!("earned"))),
        }
        match &self.kind {
            Kind::Template(name) => drop(setting.insert("template".into(), json!(name))),
            Kind::Custom { label, group, value_type } => {
                setting.insert("label".into(), json!(label));
                setting.insert("group".into(), json!(group));
                setting.insert("value_type".into(), json!(value_type));
            }
        }
        setting.insert("mode".into(), json!(self.mode.name()));
        Value::Object(setting)
    }
}
