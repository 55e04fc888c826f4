//! Which sources a stream tells of, and what a record of each adds.

use serde::{Deserialize, Serialize};

use super::{count, stream::Attribute};
use crate::world::{GithubWord, Kind, Mapping, Mode, Rule, TraktWord};

/// A source that is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// Time entries: seconds, by tag. It tells by webhooks, or is polled.
    #[default]
    Toggl,
    /// Issues that somebody opened: one each, on the day of opening. It tells by webhooks.
    Github,
    /// Films that somebody watched: one each. It is polled.
    Trakt,
}

impl Source {
    /// As imports and addresses have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Source::Toggl => "toggl",
            Source::Github => "github",
            Source::Trakt => "trakt",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub(crate) fn is_toggl(&self) -> bool {
        *self == Source::Toggl
    }

    /// Whether it tells by itself; else it is asked, and nobody can say when that should have been.
    pub(crate) fn has_webhooks(self) -> bool {
        self != Source::Trakt
    }

    /// How many units of a version two versions of one record are apart at least, in microseconds: as its clock is
    /// coarse.
    pub(crate) fn tick_us(self) -> i64 {
        match self {
            Source::Toggl | Source::Trakt => 1_000,
            Source::Github => 1_000_000,
        }
    }

    /// The attribute that its records feed; Toggl's are the scenario's.
    pub(crate) fn attribute(self) -> Option<Attribute> {
        let name = match self {
            Source::Toggl => return None,
            Source::Github => "issues_opened",
            Source::Trakt => "movies_watched",
        };
        Some(Attribute { name: name.to_owned(), template: false, increment: false, source: self })
    }

    /// What Exist shows of a sum of its units.
    pub(crate) fn number(self, sum: i64) -> i64 {
        if self.is_toggl() { count::minutes(sum) } else { sum }
    }
}

/// The tag that feeds the attribute in this place.
pub(crate) fn tag(attribute: usize) -> String {
    format!("tag-{attribute}")
}

/// Which records feed the attribute in this place, as the person has set it.
pub(crate) fn mapping(index: usize, attribute: &Attribute) -> Mapping {
    let Attribute { name, template, increment, source } = attribute;
    let (rule, value_type) = match source {
        Source::Toggl => (Rule::Toggl { projects: Vec::new(), clients: Vec::new(), tags: vec![tag(index)] }, 3),
        Source::Github => (Rule::Github(GithubWord::IssuesOpened), 0),
        Source::Trakt => (Rule::Trakt(TraktWord::Movies), 0),
    };
    let kind = if *template {
        Kind::Template(name.clone())
    } else {
        Kind::Custom { label: name.replace('_', " "), group: "productivity".to_owned(), value_type }
    };
    let mode = if *increment { Mode::Increment } else { Mode::Total };
    Mapping { attribute: name.clone(), kind, rule, mode }
}
