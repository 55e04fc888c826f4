//! What a repository holds, and how it is spelled.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Member;

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Unique everywhere.
    pub id: i64,
    /// Unique in its repository.
    pub number: i64,
    /// Who opened it.
    pub author: Member,
    /// When.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was closed, if it is.
    pub closed_at: Option<Timestamp>,
    /// By whom.
    pub closed_by: Option<Member>,
}

/// A comment of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: i64,
    /// The issue's.
    pub issue: i64,
    /// Who wrote it.
    pub author: Member,
    /// When.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its id.
    pub id: i64,
    /// Unique in its repository, among issues too.
    pub number: i64,
    /// Who opened it.
    pub author: Member,
    /// When.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was merged, if it was.
    pub merged_at: Option<Timestamp>,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub sha: String,
    /// Whose it is; none where the mail address is nobody's.
    pub author: Option<Member>,
    /// When it was written.
    pub authored_at: Timestamp,
}

pub(super) fn account(member: &Member) -> Value {
    json!({"login": member.login, "id": member.user_id, "type": "User", "site_admin": false})
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Issue {
    pub(super) fn new(id: i64, number: i64, author: Member, at: Timestamp) -> Issue {
        Issue { id, number, author, created_at: at, updated_at: at, closed_at: None, closed_by: None }
    }

    /// What a webhook says of it, without where it is and who did it.
    pub(crate) fn told(&self, action: &str) -> Value {
        json!({"action": action, "issue": self.row()})
    }

    /// As lists and webhooks have it.
    pub(super) fn row(&self) -> Value {
        let state = if self.closed_at.is_some() { "closed" } else { "open" };
        json!({"id": self.id, "number": self.number, "title": "Tëst", "user": account(&self.author), "state": state,
            "state_reason": null, "body": null, "comments": 0, "labels": [], "created_at": time(self.created_at),
            "updated_at": time(self.updated_at), "closed_at": self.closed_at.map(time), "author_association": "OWNER"})
    }

    /// As the answer about it alone has it.
    pub(super) fn whole(&self) -> Value {
        let mut row = self.row();
        row["closed_by"] = self.closed_by.as_ref().map_or(Value::Null, account);
        row
    }
}

impl Comment {
    pub(super) fn new(id: i64, issue: i64, author: Member, at: Timestamp) -> Comment {
        Comment { id, issue, author, created_at: at, updated_at: at }
    }

    pub(super) fn row(&self) -> Value {
        json!({"id": self.id, "body": "Ja", "user": account(&self.author), "created_at": time(self.created_at),
            "updated_at": time(self.updated_at), "author_association": "OWNER"})
    }
}

impl PullRequest {
    pub(super) fn new(id: i64, number: i64, author: Member, at: Timestamp) -> PullRequest {
        PullRequest { id, number, author, created_at: at, updated_at: at, merged_at: None }
    }

    pub(super) fn row(&self) -> Value {
        let state = if self.merged_at.is_some() { "closed" } else { "open" };
        json!({"id": self.id, "number": self.number, "title": "x", "user": account(&self.author), "state": state,
            "body": null, "created_at": time(self.created_at), "updated_at": time(self.updated_at),
            "closed_at": self.merged_at.map(time), "merged_at": self.merged_at.map(time)})
    }

    /// As the list of issues has it, under another id.
    pub(super) fn as_issue(&self) -> Value {
        let mut row = self.row();
        row["id"] = json!(self.id + 1_000_000_000);
        row["pull_request"] = json!({"merged_at": self.merged_at.map(time)});
        row
    }
}

impl Commit {
    pub(super) fn row(&self) -> Value {
        let person = json!({"name": "x", "email": "x@users.noreply.example", "date": time(self.authored_at)});
        json!({"sha": self.sha, "author": self.author.as_ref().map(account), "committer": null, "parents": [],
            "commit": {"message": "x", "author": person, "committer": person}})
    }

    /// As a push has it.
    pub(super) fn pushed(&self) -> Value {
        let mut author = json!({"name": "x", "email": "x@users.noreply.example"});
        if let Some(member) = &self.author {
            author["username"] = json!(member.login);
        }
        json!({"id": self.sha, "tree_id": self.sha, "distinct": true, "message": "x", "timestamp": time(self.authored_at),
            "author": author, "committer": author, "added": [], "removed": [], "modified": []})
    }
}
