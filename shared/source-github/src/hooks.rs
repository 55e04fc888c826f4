//! What GitHub sends by itself: once, in any order.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use source::{
    Account, Hint, Hooks, Malformed, Row,
    hooks::{Delivery, Hooked, is_hmac_sha256},
};

use crate::{
    account::{Me, repositories},
    object::{self, Issue},
};

/// Most commits of a push that GitHub sends along (contract, section 14).
const COMMITS_MAX: usize = 2_048;

/// GitHub's webhooks.
pub(crate) struct GithubHooks;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    action: String,
    repository: Option<Repository>,
    sender: Option<Account_>,
    #[serde(borrow)]
    issue: Option<&'a RawValue>,
    #[serde(borrow)]
    comment: Option<&'a RawValue>,
    #[serde(borrow)]
    pull_request: Option<&'a RawValue>,
    #[serde(default, rename = "ref")]
    reference: String,
    #[serde(default)]
    commits: Vec<Commit>,
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

/// Somebody at GitHub.
#[derive(Deserialize)]
struct Account_ {
    id: i64,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    timestamp: Option<Timestamp>,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    username: Option<String>,
}

/// The JSON of a body, which may be a field of a form.
fn json_of<'a>(delivery: &Delivery<'a>) -> Result<Cow<'a, str>, Malformed> {
    let is_form =
        delivery.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if is_form {
        let mut fields = url::form_urlencoded::parse(delivery.body);
        let payload = fields.find(|(name, _)| name == "payload").map(|(_, value)| value);
        return payload.ok_or_else(|| Malformed("github: a form without a field \"payload\"".to_owned()));
    }
    std::str::from_utf8(delivery.body)
        .map(Cow::Borrowed)
        .map_err(|_| Malformed("github: the body is no text".to_owned()))
}

fn body(json: &str) -> Result<Body<'_>, Malformed> {
    serde_json::from_str(json).map_err(|error| Malformed(format!("github: no payload of a webhook: {error}")))
}

impl Hooks for GithubHooks {
    fn topic(&self, delivery: &Delivery<'_>) -> Result<Option<String>, Malformed> {
        let json = json_of(delivery)?;
        Ok(body(&json)?.repository.map(|repository| repository.full_name.to_lowercase()))
    }

    fn topics(&self, credentials: &Value) -> Vec<String> {
        repositories(credentials).into_iter().map(|name| name.to_lowercase()).collect()
    }

    fn is_signed(&self, delivery: &Delivery<'_>, secret: &str) -> bool {
        let signature = delivery.header("x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
        signature.is_some_and(|signature| is_hmac_sha256(secret, delivery.body, signature))
    }

    fn delivery_id(&self, delivery: &Delivery<'_>) -> Option<String> {
        delivery.header("x-github-delivery").map(str::to_owned)
    }

    fn take(&self, delivery: &Delivery<'_>, account: &Account) -> Result<Hooked, Malformed> {
        let json = json_of(delivery)?;
        let (body, me) = (body(&json)?, Me::of(account));
        match delivery.header("x-github-event").unwrap_or_default() {
            "ping" => Ok(Hooked::Ping(None)),
            "issues" => issue(&body, &me, delivery.now),
            "issue_comment" => comment(&body, &me, delivery.now),
            "pull_request" => {
                let told = object::pull_request(part(body.pull_request, "pull_request")?, &me);
                let (_, object) = told.map_err(|problem| wrong("pull_request", &problem))?;
                Ok(object.map_or(Hooked::Nothing, |object| told_of(vec![object.hooked(delivery.now)], Hint::Recent)))
            }
            "push" => Ok(push(&body, &me, delivery.now)),
            _ => Ok(Hooked::Nothing),
        }
    }
}

fn told_of(rows: Vec<Row>, hint: Hint) -> Hooked {
    Hooked::Records { rows, hint }
}

fn part<'a>(part: Option<&'a RawValue>, name: &str) -> Result<&'a RawValue, Malformed> {
    part.ok_or_else(|| Malformed(format!("github: field {name:?} is missing or null, expected an object")))
}

fn wrong(what: &str, problem: &str) -> Malformed {
    Malformed(format!("github: {what}: {problem}"))
}

fn issue(body: &Body<'_>, me: &Me, now: Timestamp) -> Result<Hooked, Malformed> {
    let row = part(body.issue, "issue")?;
    let issue = Issue::of(row, me).map_err(|problem| wrong("issue", &problem))?;
    if matches!(body.action.as_str(), "deleted" | "transferred") {
        // Its comments are gone with it, and nobody tells of them.
        return Ok(told_of(vec![issue.object.deleted()], Hint::Window));
    }
    // Only a closing says who closed: everything else about a closed issue needs the issue itself.
    let closer = match (issue.closed_at, body.action.as_str()) {
        (None, _) => None,
        (Some(_), "closed") => body.sender.as_ref().map(|sender| sender.id),
        (Some(_), _) => return Ok(told_of(Vec::new(), Hint::Recent)),
    };
    let may_undo = body.action == "reopened" || body.action == "closed";
    let object = issue.closed_by(closer, me);
    if object.counts.counts.is_empty() && !may_undo {
        return Ok(Hooked::Nothing);
    }
    Ok(told_of(vec![object.hooked(now)], Hint::Recent))
}

fn comment(body: &Body<'_>, me: &Me, now: Timestamp) -> Result<Hooked, Malformed> {
    let told = object::comment(part(body.comment, "comment")?, me).map_err(|problem| wrong("comment", &problem))?;
    let Some(comment) = told else { return Ok(Hooked::Nothing) };
    let row = if body.action == "deleted" { comment.deleted() } else { comment.hooked(now) };
    Ok(told_of(vec![row], Hint::Recent))
}

fn push(body: &Body<'_>, me: &Me, now: Timestamp) -> Hooked {
    if !body.reference.starts_with("refs/heads/") {
        return Hooked::Nothing;
    }
    let is_mine = |commit: &&Commit| {
        commit.author.as_ref().and_then(|author| author.username.as_deref()).is_some_and(|name| me.is_login(name))
    };
    let mine = body.commits.iter().filter(is_mine);
    let rows: Vec<Row> =
        mine.filter_map(|commit| Some(object::authored(&commit.id, commit.timestamp?)?.hooked(now))).collect();
    let is_cut = body.commits.len() >= COMMITS_MAX
        || body.commits.last().is_some_and(|last| !body.after.is_empty() && last.id != body.after);
    if rows.is_empty() && !is_cut { Hooked::Nothing } else { told_of(rows, Hint::Recent) }
}
