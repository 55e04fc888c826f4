//! One row of an answer: a time entry, or what is wrong with it.

use event::{ExternalId, RecordKind, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use source::{Fields, Row, integer, time};

/// Longest time that an entry takes, in seconds: 366 days. Toggl's own limit is 999 hours.
pub(crate) const DURATION_MAX: i64 = 366 * 86_400;

/// The duration of every running entry in a payload: Toggl's own differs from one answer to the next.
pub(crate) const RUNNING: i64 = -1;

/// What counts of an entry: the payload of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// When it started.
    pub(crate) start: Timestamp,
    /// When it stopped; none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop: Option<Timestamp>,
    /// Seconds, or [`RUNNING`].
    pub(crate) duration: i64,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project_id: Option<i64>,
    /// Its project's client when it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<i64>,
    /// The names of its tags, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
}

/// What a row says.
#[derive(Debug, Clone)]
enum Told {
    Present(Counts),
    Deleted,
    Malformed { row: String, problem: String },
}

/// One row of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its id, where it could be read.
    pub(crate) id: Option<i64>,
    /// Its last change in microseconds, where it could be read.
    pub(crate) at: Option<i64>,
    told: Told,
}

impl Entry {
    /// Reads a row; what cannot be read becomes a malformed entry.
    pub(crate) fn of(row: &RawValue) -> Self {
        let fields = match Fields::of(row) {
            Ok(fields) => fields,
            Err(problem) => return Self { id: None, at: None, told: malformed(None, row, &problem) },
        };
        let id = fields.raw("id").and_then(integer);
        let at = fields.raw("at").and_then(time).map(Timestamp::as_microsecond);
        let told = read(&fields).unwrap_or_else(|problem| malformed(id, row, &problem));
        Self { id, at, told }
    }

    /// Whether it is there and could be read.
    pub(crate) const fn is_told(&self) -> bool {
        matches!(self.told, Told::Present(_))
    }

    /// Whether it is gone.
    pub(crate) const fn is_deleted(&self) -> bool {
        matches!(self.told, Told::Deleted)
    }

    /// When it started, in seconds, if it is there and can be read.
    pub(crate) fn start(&self) -> Option<i64> {
        if let Told::Present(counts) = &self.told { Some(counts.start.as_second()) } else { None }
    }

    /// Its project, if it has one.
    pub(crate) fn project(&self) -> Option<i64> {
        if let Told::Present(counts) = &self.told { counts.project_id } else { None }
    }

    /// The row, with the client of its project.
    pub(crate) fn row(&self, client_of: impl Fn(i64) -> Option<i64>) -> Row {
        let external_id = self.id.and_then(|id| ExternalId::try_new(&id.to_string()).ok());
        let version = self.at.map(Version);
        match (&self.told, external_id, version) {
            (Told::Present(counts), Some(id), Some(version)) => {
                let client_id = counts.project_id.and_then(client_of);
                let payload = serde_json::to_string(&Counts { client_id, ..counts.clone() });
                Row::present(id, version, payload.expect("counts are plain JSON"))
            }
            (Told::Deleted, Some(id), Some(version)) => Row::deleted(id, version),
            (Told::Malformed { row, problem }, id, version) => Row::malformed(id, version, row, problem.clone()),
            _ => unreachable!("only a malformed entry has no id or no time of change"),
        }
    }
}

fn malformed(id: Option<i64>, row: &RawValue, problem: &str) -> Told {
    let name = id.map_or("without id".to_owned(), |id| id.to_string());
    Told::Malformed { row: row.get().to_owned(), problem: format!("toggl: time entry {name}: {problem}") }
}

/// Reads what counts, or names the first field that cannot be read.
fn read(fields: &Fields<'_>) -> Result<Told, String> {
    const TIME: &str = "an RFC 3339 time";
    fields.required("id", "an integer", integer)?;
    fields.required("at", TIME, time)?;
    if fields.optional("server_deleted_at", TIME, time)?.is_some() {
        return Ok(Told::Deleted);
    }
    let start = fields.required("start", TIME, time)?;
    let stop = fields.optional("stop", TIME, time)?;
    let duration = fields.required("duration", "an integer", integer)?.max(RUNNING);
    if duration > DURATION_MAX {
        return Err(format!("field \"duration\" is implausible, expected at most {DURATION_MAX} seconds"));
    }
    let project_id = fields.optional("project_id", "an integer", integer)?;
    let list = |raw| serde_json::from_str::<Vec<String>>(raw).ok();
    let mut tags = fields.optional("tags", "a list of texts", list)?.unwrap_or_default();
    tags.sort();
    tags.dedup();
    // While it runs an entry has no end, whatever it says.
    let stop = stop.filter(|_| duration >= 0);
    Ok(Told::Present(Counts { start, stop, duration, project_id, client_id: None, tags }))
}

/// Whether the row is there and could be read.
pub(crate) fn is_present(row: &Row) -> bool {
    row.kind == RecordKind::Present
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Entry::of(&RawValue::from_string(json.to_owned()).unwrap()).row(|project| Some(project + 1))
    }

    #[test]
    fn only_what_counts_is_kept_and_spellings_do_not_matter() {
        let get = row(r#"{"id": 3731531776, "at": "2024-12-16T18:07:05.694469Z", "start": "2024-12-16T17:05:25+00:00",
            "stop": "2024-12-16T18:07:05+00:00", "duration": 3700, "project_id": 7, "description": "private",
            "tags": ["b", "a"], "server_deleted_at": null}"#);
        let expected = r#"{"start":"2024-12-16T17:05:25Z","stop":"2024-12-16T18:07:05Z","duration":3700,"project_id":7,"client_id":8,"tags":["a","b"]}"#;
        assert_eq!(get.payload, expected);
        assert_eq!((get.external_id.as_str(), get.version), ("3731531776", Version(1_734_372_425_694_469)));
        let post =
            row(r#"{"id": 3731531776, "at": "2024-12-16T18:07:05.694469+00:00", "start": "2024-12-16T17:05:25Z",
            "stop": "2024-12-16T18:07:05Z", "duration": 3700, "project_id": 7, "tags": ["a", "b"]}"#);
        assert_eq!((post.content(), post.version), (get.content(), get.version));
    }

    #[test]
    fn every_negative_duration_is_a_running_entry() {
        let running = |duration: i64| {
            row(&format!(
                r#"{{"id": 1, "at": "2024-12-13T00:18:26.835197Z", "start": "2024-12-13T00:18:26+00:00",
                "stop": null, "duration": {duration}, "tags": null}}"#
            ))
        };
        assert_eq!(running(-1_734_049_106).payload, r#"{"start":"2024-12-13T00:18:26Z","duration":-1}"#);
        assert_eq!(running(-1_734_049_107).content(), running(-1).content());
    }

    #[test]
    fn a_deleted_row_needs_only_its_id_and_its_time() {
        let deleted =
            row(r#"{"id": 1, "at": "2024-12-16T01:38:02.034497Z", "server_deleted_at": "2024-12-16T01:38:02+00:00"}"#);
        assert_eq!((deleted.kind, deleted.version), (RecordKind::Deleted, Version(1_734_313_082_034_497)));
    }

    #[test]
    fn a_wrong_field_is_named_and_the_row_is_kept() {
        let good = serde_json::json!({"id": 42, "at": "2024-12-16T01:38:02Z", "start": "2024-12-16T01:00:00Z", "stop": null, "duration": 60});
        let cases = [
            ("start", "null", r#"42: field "start" is null, expected an RFC 3339 time"#),
            ("at", "17", r#"42: field "at" is a number, expected an RFC 3339 time"#),
            ("duration", "null", r#"42: field "duration" is null, expected an integer"#),
            ("duration", "31622401", r#"42: field "duration" is implausible, expected at most 31622400 seconds"#),
            ("stop", "\"soon\"", r#"42: field "stop" is a text, expected an RFC 3339 time"#),
            ("tags", "[1]", r#"42: field "tags" is a list, expected a list of texts"#),
            ("id", "\"x\"", r#"without id: field "id" is a text, expected an integer"#),
            (
                "server_deleted_at",
                "true",
                r#"42: field "server_deleted_at" is a truth value, expected an RFC 3339 time"#,
            ),
        ];
        for (field, value, problem) in cases {
            let mut wrong = good.clone();
            wrong[field] = serde_json::from_str(value).unwrap();
            let row = row(&wrong.to_string());
            assert_eq!((row.kind, row.payload), (RecordKind::Malformed, wrong.to_string()), "{field}");
            assert_eq!(row.problem, format!("toggl: time entry {problem}"));
        }
        assert_eq!(row(&good.to_string()).kind, RecordKind::Present);
    }
}
