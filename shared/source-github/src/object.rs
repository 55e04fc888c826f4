//! One row of an answer, or one object of a webhook: what of it counts for the user.

use std::collections::BTreeMap;

use event::{ExternalId, Version};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use source::{Fields, Row, integer, text, time};

use crate::account::Me;

const TIME: &str = "an RFC 3339 time";
const INTEGER: &str = "an integer";

/// How long after it happened a record cannot have been counted and forgotten already.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What counts of a record, by the word of the rule, and when: the payload of its row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) counts: BTreeMap<String, Timestamp>,
}

impl Counts {
    fn add(&mut self, word: &str, at: Option<Timestamp>) {
        self.counts.extend(at.map(|at| (word.to_owned(), at)));
    }
}

/// Who told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    Webhook,
    Rest,
}

/// A record as it was told.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: ExternalId,
    /// When it was changed last, in seconds.
    pub(crate) updated_at: i64,
    pub(crate) counts: Counts,
}

impl Object {
    pub(crate) fn row(&self, teller: Teller) -> Row {
        let payload = serde_json::to_string(&self.counts).expect("counts are plain JSON");
        Row::present(self.id.clone(), version(self.updated_at, teller), payload)
    }

    /// The row of a webhook: a record that is not new by its dates may have been counted before.
    pub(crate) fn hooked(&self, now: Timestamp) -> Row {
        let is_old = |at: &Timestamp| now.duration_since(*at) > NEW_FOR;
        Row {
            seen_before: self.counts.counts.values().any(is_old) || self.counts.counts.is_empty(),
            ..self.row(Teller::Webhook)
        }
    }

    /// When it happened, or was changed last, in seconds.
    pub(crate) fn at(&self) -> i64 {
        let latest = self.counts.counts.values().max().map_or(0, |at| at.as_second());
        if self.updated_at == 0 { latest } else { self.updated_at }
    }

    pub(crate) fn deleted(&self) -> Row {
        deleted(self.id.clone(), self.updated_at)
    }
}

/// A deletion wins over everything of the same second.
pub(crate) fn deleted(id: ExternalId, updated_at: i64) -> Row {
    Row { seen_before: true, ..Row::deleted(id, Version(updated_at.saturating_mul(1_000_000) + 2)) }
}

fn version(updated_at: i64, teller: Teller) -> Version {
    Version(updated_at.saturating_mul(1_000_000) + i64::from(teller == Teller::Rest))
}

/// A row that cannot be read.
pub(crate) fn malformed(what: &str, row: &RawValue, problem: &str) -> Row {
    let id = Fields::of(row).ok().and_then(|fields| fields.raw("id").or(fields.raw("sha")).map(str::to_owned));
    let external_id =
        id.as_deref().and_then(|id| ExternalId::try_new(&format!("{what}:{}", id.trim_matches('"'))).ok());
    let name = id.unwrap_or_else(|| "without id".to_owned());
    Row::malformed(external_id, None, row.get(), format!("github: {what} {name}: {problem}"))
}

/// The id of the account in a field; `None` where there is none any more.
fn account_in(fields: &Fields<'_>, name: &str) -> Option<i64> {
    let account: &RawValue = serde_json::from_str(fields.raw(name)?).ok()?;
    Fields::of(account).ok()?.raw("id").and_then(integer)
}

/// Who closed an issue, as far as the teller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closer {
    /// The row does not say.
    Unknown,
    /// This account, or one that is gone.
    Known(Option<i64>),
}

/// An issue.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) object: Object,
    pub(crate) number: i64,
    /// The row is of a pull request.
    pub(crate) is_pull_request: bool,
    /// When it was closed, if it is.
    pub(crate) closed_at: Option<Timestamp>,
    pub(crate) closer: Closer,
}

impl Issue {
    /// Reads an issue.
    ///
    /// # Errors
    /// The first field that cannot be read.
    pub(crate) fn of(row: &RawValue, me: &Me) -> Result<Self, String> {
        let fields = Fields::of(row)?;
        let id = fields.required("id", INTEGER, integer)?;
        let updated_at = fields.required("updated_at", TIME, time)?.as_second();
        let created_at = fields.required("created_at", TIME, time)?;
        let state = fields.required("state", "a text", text)?;
        let closed_at = fields.optional("closed_at", TIME, time)?.filter(|_| state == "closed");
        let mut counts = Counts::default();
        counts.add("issues_opened", Some(created_at).filter(|_| account_in(&fields, "user") == Some(me.user_id)));
        // The single read has the field, even if the account is gone; lists do not.
        let is_told = serde_json::from_str::<BTreeMap<String, &RawValue>>(row.get())
            .is_ok_and(|fields| fields.contains_key("closed_by"));
        let closer = if is_told { Closer::Known(account_in(&fields, "closed_by")) } else { Closer::Unknown };
        let id = ExternalId::try_new(&format!("issue:{id}")).expect("a word, a colon and a number");
        Ok(Self {
            object: Object { id, updated_at, counts },
            number: fields.required("number", INTEGER, integer)?,
            is_pull_request: fields.raw("pull_request").is_some(),
            closed_at,
            closer,
        })
    }

    /// The issue, closed by this account.
    pub(crate) fn closed_by(mut self, closer: Option<i64>, me: &Me) -> Object {
        let is_mine = closer == Some(me.user_id);
        self.object.counts.add("issues_closed", self.closed_at.filter(|_| is_mine));
        self.object
    }
}

/// A comment of this user's; `None` if it is another's.
pub(crate) fn comment(row: &RawValue, me: &Me) -> Result<Option<Object>, String> {
    let fields = Fields::of(row)?;
    let id = fields.required("id", INTEGER, integer)?;
    let updated_at = fields.required("updated_at", TIME, time)?.as_second();
    let mut counts = Counts::default();
    counts.add("comments_written", Some(fields.required("created_at", TIME, time)?));
    let id = ExternalId::try_new(&format!("comment:{id}")).expect("a word, a colon and a number");
    Ok((account_in(&fields, "user") == Some(me.user_id)).then_some(Object { id, updated_at, counts }))
}

/// When a pull request was changed last, in seconds, and the request if it is this user's.
pub(crate) fn pull_request(row: &RawValue, me: &Me) -> Result<(i64, Option<Object>), String> {
    let fields = Fields::of(row)?;
    let id = fields.required("id", INTEGER, integer)?;
    let updated_at = fields.required("updated_at", TIME, time)?.as_second();
    let mut counts = Counts::default();
    counts.add("pull_requests_opened", Some(fields.required("created_at", TIME, time)?));
    counts.add("pull_requests_merged", fields.optional("merged_at", TIME, time)?);
    let id = ExternalId::try_new(&format!("pr:{id}")).expect("a word, a colon and a number");
    let is_mine = account_in(&fields, "user") == Some(me.user_id);
    Ok((updated_at, is_mine.then_some(Object { id, updated_at, counts })))
}

/// A commit of this user's, as REST tells it; `None` if it is another's.
pub(crate) fn commit(row: &RawValue, me: &Me) -> Result<Option<Object>, String> {
    let fields = Fields::of(row)?;
    let sha = fields.required("sha", "a text", text)?;
    let inner = |fields: &Fields<'_>, name: &str| -> Result<Box<RawValue>, String> {
        let object = |raw: &str| RawValue::from_string(raw.to_owned()).ok();
        fields.required(name, "an object", object)
    };
    let commit = inner(&fields, "commit")?;
    let author = inner(&Fields::of(&commit)?, "author")?;
    let authored_at = Fields::of(&author)?.required("date", TIME, time)?;
    let is_mine = account_in(&fields, "author") == Some(me.user_id);
    Ok(is_mine.then(|| authored(&sha, authored_at)).flatten())
}

/// A commit, by its name and its author's date. It never changes, so all its tellings are of one moment.
pub(crate) fn authored(sha: &str, at: Timestamp) -> Option<Object> {
    let mut counts = Counts::default();
    counts.add("commits", Some(at));
    let id = ExternalId::try_new(&format!("commit:{sha}")).ok()?;
    Some(Object { id, updated_at: 0, counts })
}
