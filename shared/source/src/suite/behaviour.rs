//! What every source does, one function each; [`crate::suite!`] makes them tests.

use std::{collections::BTreeSet, time::Duration};

use event::{ExternalId, RecordKind};
use jiff::{ToSpan, tz::TimeZone};
use serde_json::{Value, json};

use super::{Failure, Fixture};
use crate::{Counted, Cursor, Hint, Page, Read, Row, SourceError, Zones};

/// Most reads until a source has nothing more to say.
const READS_MAX: usize = 100;

/// One read; the cursor is stored and loaded in between, as the fetcher does.
async fn read(fixture: &impl Fixture, cursor: &Cursor) -> Result<Page, SourceError> {
    let cursor = Cursor::from_stored(cursor.as_str().to_owned());
    let now = fixture.now();
    let back_fill_from = now.checked_sub((7 * 24).hours()).expect("a test's clock is near our time");
    let read = Read { now, back_fill_from, zone: TimeZone::UTC, hint: Hint::None };
    fixture.source().read(&fixture.account(), &cursor, &read).await
}

/// Reads until there is no more.
async fn drain(fixture: &impl Fixture, from: &Cursor) -> (Vec<Row>, Cursor) {
    let (mut rows, mut cursor) = (Vec::new(), from.clone());
    for _ in 0..READS_MAX {
        let page = read(fixture, &cursor).await.expect("a server that works is read");
        assert!(page.rows.is_empty() || page.back_fill || *from != Cursor::fresh(), "a first read is a back-fill");
        (cursor, _) = (page.cursor, rows.extend(page.rows));
        if !page.more {
            return (rows, cursor);
        }
    }
    panic!("{READS_MAX} reads and still more to read");
}

/// Creates so many records and reads them.
async fn filled(fixture: &impl Fixture, records: usize) -> (Vec<ExternalId>, Vec<Row>, Cursor) {
    let mut ids = Vec::new();
    for _ in 0..records {
        ids.push(fixture.create().await);
    }
    let (rows, cursor) = drain(fixture, &Cursor::fresh()).await;
    (ids, rows, cursor)
}

fn ids(rows: &[Row]) -> Vec<ExternalId> {
    let mut ids: Vec<_> = rows.iter().map(|row| row.external_id.clone()).collect();
    ids.sort();
    ids
}

fn row<'a>(rows: &'a [Row], id: &ExternalId) -> &'a Row {
    let mut found = rows.iter().filter(|row| row.external_id == *id);
    let row = found.next().unwrap_or_else(|| panic!("no row for {id} in {rows:?}"));
    assert!(found.next().is_none(), "more than one row for {id} in {rows:?}");
    row
}

/// A fresh cursor brings every record of the window, each once, none of them known before.
pub async fn the_back_fill_brings_every_record_once(fixture: &impl Fixture) {
    let (mut created, rows, _) = filled(fixture, 3).await;
    created.sort();
    assert_eq!(ids(&rows), created);
    assert!(rows.iter().all(|row| row.kind == RecordKind::Present && !row.seen_before), "{rows:?}");
}

/// A poll after which nothing changed has no rows, however often it is repeated.
pub async fn nothing_new_brings_no_row(fixture: &impl Fixture) {
    let (_, _, mut cursor) = filled(fixture, 3).await;
    for _ in 0..3 {
        let (rows, next) = drain(fixture, &cursor).await;
        assert_eq!(rows, []);
        cursor = next;
    }
}

/// A record made after the back-fill is one row, said to be new.
pub async fn a_new_record_comes_once(fixture: &impl Fixture) {
    let (_, _, cursor) = filled(fixture, 2).await;
    let id = fixture.create().await;
    let (rows, cursor) = drain(fixture, &cursor).await;
    assert_eq!(ids(&rows), [id]);
    assert!(!rows[0].seen_before, "{rows:?}");
    assert_eq!(drain(fixture, &cursor).await.0, []);
}

/// An edited record is one row: newer, or of the same version with another content.
pub async fn an_edit_is_one_newer_row(fixture: &impl Fixture) {
    let (created, before, cursor) = filled(fixture, 3).await;
    fixture.edit(&created[1]).await;
    let (rows, cursor) = drain(fixture, &cursor).await;
    assert_eq!(ids(&rows), [created[1].clone()]);
    let (old, new) = (row(&before, &created[1]), &rows[0]);
    assert!(new.version >= old.version, "{new:?} is older than {old:?}");
    assert_ne!(new.content(), old.content());
    assert!(new.seen_before, "an edited record was there before: {new:?}");
    assert_eq!(drain(fixture, &cursor).await.0, []);
}

/// A deleted record is one row that says so.
pub async fn a_deletion_is_one_deleted_row(fixture: &impl Fixture) {
    let (created, before, cursor) = filled(fixture, 3).await;
    fixture.delete(&created[0]).await;
    let (rows, cursor) = drain(fixture, &cursor).await;
    assert_eq!(ids(&rows), [created[0].clone()]);
    assert_eq!((rows[0].kind, rows[0].seen_before), (RecordKind::Deleted, true));
    assert!(rows[0].version >= row(&before, &created[0]).version);
    assert_eq!(drain(fixture, &cursor).await.0, []);
}

/// A row that cannot be read is kept with its reason, once, and the others of its page are read.
pub async fn a_malformed_row_leaves_the_others(fixture: &impl Fixture) {
    let broken = fixture.create().await;
    fixture.break_row(&broken).await;
    let (created, rows, cursor) = filled(fixture, 2).await;
    let malformed: Vec<_> = rows.iter().filter(|row| row.kind == RecordKind::Malformed).collect();
    assert_eq!(malformed.len(), 1, "{rows:?}");
    let name = fixture.source().name();
    assert!(malformed[0].problem.starts_with(&format!("{name}: ")), "{}", malformed[0].problem);
    assert!(malformed[0].problem.contains("field \""), "{}", malformed[0].problem);
    assert!(!malformed[0].payload.is_empty());
    for id in &created {
        assert_eq!(row(&rows, id).kind, RecordKind::Present);
    }
    let id = fixture.create().await;
    let (rows, cursor) = drain(fixture, &cursor).await;
    assert_eq!(ids(&rows), [id], "what has not changed is not repeated");
    assert_eq!(drain(fixture, &cursor).await.0, []);
}

/// A page that was not stored is read again, with everything that was in it.
pub async fn reading_again_with_the_same_cursor_brings_at_least_the_same(fixture: &impl Fixture) {
    let (created, _, cursor) = filled(fixture, 3).await;
    fixture.create().await;
    fixture.edit(&created[0]).await;
    fixture.delete(&created[1]).await;
    let (first, _) = drain(fixture, &cursor).await;
    let later = fixture.create().await;
    let (second, _) = drain(fixture, &cursor).await;
    let second: BTreeSet<_> = ids(&second).into_iter().collect();
    assert!(ids(&first).iter().all(|id| second.contains(id)), "{first:?}, then {second:?}");
    assert!(second.contains(&later));
}

/// What a status, a broken connection or a page for people asks of the caller.
pub async fn every_status_is_its_error(fixture: &impl Fixture) {
    let (_, _, cursor) = filled(fixture, 1).await;
    let failed = async |failure| {
        fixture.server().fail(Some(failure));
        read(fixture, &cursor).await.expect_err("a failing server brings nothing")
    };
    let unauthorised = failed(Failure::Status(401)).await;
    assert!(matches!(unauthorised, SourceError::Unauthorised { .. }), "{unauthorised:?}");
    let limited = failed(Failure::Limited(7)).await;
    let seconds = |seconds| Duration::from_secs(seconds);
    assert!(matches!(limited, SourceError::Limited { retry_after, .. } if retry_after == seconds(7)), "{limited:?}");
    let limited = failed(Failure::Status(429)).await;
    assert!(matches!(limited, SourceError::Limited { retry_after, .. } if retry_after > seconds(0)), "{limited:?}");
    for failure in [Failure::Status(500), Failure::Status(502), Failure::Status(503), Failure::Reset] {
        let error = failed(failure).await;
        assert!(matches!(error, SourceError::Transient { .. }), "{failure:?}: {error:?}");
    }
    let missing: &[u16] = if fixture.refuses_what_is_missing() { &[404, 410] } else { &[] };
    for &status in [302].iter().chain(missing) {
        let error = failed(Failure::Status(status)).await;
        assert!(matches!(error, SourceError::Refused { .. }), "{status}: {error:?}");
    }
    let nonsense = failed(Failure::Html).await;
    assert!(matches!(nonsense, SourceError::Nonsense { .. }), "{nonsense:?}");
    let error = failed(Failure::Truncated).await;
    assert!(matches!(error, SourceError::Nonsense { .. } | SourceError::Transient { .. }), "{error:?}");
}

/// After a failure the same cursor brings all that changed meanwhile.
pub async fn a_failed_read_moves_nothing(fixture: &impl Fixture) {
    let (created, _, mut cursor) = filled(fixture, 2).await;
    for failure in [Failure::Reset, Failure::Truncated, Failure::Html, Failure::Status(500), Failure::Limited(1)] {
        let id = fixture.create().await;
        fixture.edit(&created[0]).await;
        fixture.server().fail(Some(failure));
        assert!(read(fixture, &cursor).await.is_err(), "{failure:?}");
        fixture.server().fail(None);
        let (rows, next) = drain(fixture, &cursor).await;
        let mut expected = vec![id, created[0].clone()];
        expected.sort();
        assert_eq!(ids(&rows), expected, "after {failure:?}");
        cursor = next;
    }
}

/// Our keys are in no error (even where the answer repeats them), Debug text, row or cursor.
pub async fn no_credential_reaches_an_error_a_row_or_a_cursor(fixture: &impl Fixture) {
    let account = fixture.account();
    let credentials = account.credentials.as_object().expect("credentials are an object").values();
    let mut secrets: Vec<_> = credentials.filter_map(Value::as_str).map(str::to_owned).collect();
    assert!(!secrets.is_empty(), "the fixture has a secret");
    fixture.server().repeat(&secrets.join(" "));
    let (_, rows, cursor) = filled(fixture, 2).await;
    // A key also travels in another spelling, such as base64.
    secrets.extend(fixture.server().keys());
    let check = |what: &str, text: String| {
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{what} shows a credential: {text}");
    };
    check("a row", format!("{rows:?}"));
    check("a cursor", cursor.as_str().to_owned());
    check("an account", format!("{account:?}"));
    let statuses = [400, 401, 402, 403, 404, 422, 429, 500].map(Failure::Status);
    for failure in statuses.into_iter().chain([Failure::Html, Failure::Reset, Failure::Truncated]) {
        fixture.server().fail(Some(failure));
        // A source may cope with a status; an error is what must hold no key.
        if let Err(error) = read(fixture, &cursor).await {
            check("an error", error.to_string());
            check("an error's Debug", format!("{error:?}"));
        }
    }
}

/// What a source adds to its answers later changes nothing for us.
pub async fn unknown_fields_are_ignored(fixture: &impl Fixture) {
    let (_, before, cursor) = filled(fixture, 2).await;
    fixture.add_unknown_fields().await;
    assert_eq!(drain(fixture, &cursor).await.0, [], "nothing that counts has changed");
    let (after, _) = drain(fixture, &Cursor::fresh()).await;
    let payloads = |rows: &[Row]| rows.iter().map(|row| row.payload.clone()).collect::<BTreeSet<_>>();
    assert_eq!(payloads(&before), payloads(&after));
}

/// A payload that `read` made is counted by its own source, and another is refused.
pub async fn every_record_counts_under_its_rules(fixture: &impl Fixture) {
    let (_, rows, _) = filled(fixture, 3).await;
    let rules = fixture.rules();
    let mapping = fixture.source().compile(&rules).unwrap_or_else(|errors| panic!("{errors:?}"));
    let zones = Zones::always(TimeZone::UTC);
    let fed: BTreeSet<_> = mapping.attributes().iter().map(|(attribute, _)| attribute.clone()).collect();
    assert!(fed.iter().eq(rules.keys()), "{fed:?}");
    for row in rows {
        let Ok(Counted::Adds(adds)) = mapping.count(&row.payload, &zones) else {
            panic!("{} is not counted", row.payload);
        };
        assert!(!adds.is_empty(), "{} adds nothing", row.payload);
        assert!(adds.iter().all(|add| fed.contains(&add.attribute)), "{adds:?}");
    }
    for payload in ["", "{}", "null", "[1]"] {
        assert!(mapping.count(payload, &zones).is_err(), "{payload:?} is no payload of ours");
    }
}

/// Each wrong rule is named, with its attribute, in one answer.
pub async fn wrong_rules_are_named_all_at_once(fixture: &impl Fixture) {
    let wrong = fixture.wrong_rules();
    assert!(!wrong.is_empty());
    let mut rules = fixture.rules();
    rules.extend(wrong.clone());
    let errors = fixture.source().compile(&rules).err().expect("wrong rules are refused");
    let named: BTreeSet<_> = errors.iter().map(|error| error.attribute.clone()).collect();
    assert!(named.iter().eq(wrong.keys()), "{errors:?}");
    assert!(errors.iter().all(|error| !error.field.is_empty() && !error.problem.is_empty()), "{errors:?}");
}

/// An import learns which credential is missing or wrong, and no value is repeated.
pub async fn missing_credentials_are_named_and_never_shown(fixture: &impl Fixture) {
    let source = fixture.source();
    let credentials = fixture.account().credentials;
    assert_eq!(source.check_credentials(&credentials), Ok(()));
    assert!(source.check_credentials(&json!("all-in-one")).is_err());
    let secrets = credentials.as_object().expect("credentials are an object");
    for (field, _) in secrets {
        for wrong in [None, Some(json!("")), Some(json!(["s3cret-in-a-list"]))] {
            let mut changed = secrets.clone();
            changed.remove(field);
            changed.extend(wrong.map(|value| (field.clone(), value)));
            let error = source.check_credentials(&changed.into()).expect_err("a needed field is missing or wrong");
            assert!(error.to_string().contains(field), "{error} does not name {field}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert!(!secrets.values().filter_map(Value::as_str).any(|value| error.to_string().contains(value)));
        }
    }
}
