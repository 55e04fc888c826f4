//! How an entry is spelled: differently when read, and in the answer to a write.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::{Account, Entry};

/// Which of the service's two hands writes the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// GET: `+00:00`, empty tags are `[]`.
    Read,
    /// The answer to PUT and PATCH: `Z`, empty tags are `[]`.
    Changed,
    /// The answer to POST: `Z`, empty tags are null, and stop and duration as they were sent.
    Created {
        /// The negative duration that was sent, or 0 when neither duration nor stop was.
        echo: Option<i64>,
    },
}

/// Seconds, in one of the two spellings of UTC.
fn seconds(time: Timestamp, spelling: Spelling) -> String {
    let zone = if spelling == Spelling::Read { "+00:00" } else { "Z" };
    format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// A modification time: up to six digits of a fraction, none of them a trailing zero.
pub(crate) fn modified(time: Timestamp) -> String {
    let text = time.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The entry as one JSON object.
pub(crate) fn row(account: &Account, entry: &Entry, spelling: Spelling) -> Value {
    let created = matches!(spelling, Spelling::Created { .. });
    let (stop, duration) = match spelling {
        Spelling::Created { echo: Some(duration) } => (None, duration),
        _ => (entry.stop.map(|stop| seconds(stop, spelling)), duration(entry)),
    };
    let tags = (!created || !entry.tags.is_empty()).then_some(&entry.tags);
    let tag_ids = tags.map(|tags| tags.iter().filter_map(|tag| account.tags.get(tag)).collect::<Vec<_>>());
    let (workspace, user) = (account.spec.workspace_id(), account.spec.user_id);
    let mut row = json!({
        "id": entry.id, "workspace_id": workspace, "project_id": entry.project_id, "task_id": null,
        "billable": false, "start": seconds(entry.start, spelling), "stop": stop, "duration": duration,
        "description": entry.description, "tags": tags, "tag_ids": tag_ids, "duronly": true,
        "at": modified(entry.at),
        "server_deleted_at": entry.deleted_at.map(|time| seconds(time, spelling)),
        "user_id": user, "uid": user, "wid": workspace,
    });
    if let Some(project) = entry.project_id {
        row["pid"] = json!(project);
    }
    row
}

/// What `meta=true` adds.
pub(crate) fn add_meta(account: &Account, entry: &Entry, row: &mut Value) {
    row["user_name"] = json!(account.spec.name);
    row["user_avatar_url"] = json!("");
    if let Some(project) = entry.project_id.and_then(|id| account.projects.get(&id)) {
        row["project_name"] = json!(project.label);
        row["project_color"] = json!("#0b83d9");
        row["project_active"] = json!(!project.deleted);
        row["project_billable"] = json!(false);
    }
    if let Some(client) = account.client_of(entry.project_id) {
        row["client_name"] = json!(client.label);
    }
}

/// Seconds; while running minus the start, and for one entry in three a second less than that.
fn duration(entry: &Entry) -> i64 {
    match entry.stop {
        Some(stop) => stop.duration_since(entry.start).as_secs(),
        None if entry.id % 3 == 0 => -(entry.start.as_second() + 1),
        None => -entry.start.as_second(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modification_time_has_no_trailing_zeros() {
        let spelled = |text: &str| modified(text.parse().expect("a time"));
        assert_eq!(spelled("2026-03-01T10:00:00.034490Z"), "2026-03-01T10:00:00.03449Z");
        assert_eq!(spelled("2026-03-01T10:00:00.000001Z"), "2026-03-01T10:00:00.000001Z");
        assert_eq!(spelled("2026-03-01T10:00:00Z"), "2026-03-01T10:00:00Z");
    }
}
