//! One row of either API: a pulse, or what is wrong with it.

use event::{ExternalId, Version};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use source::{Fields, Row, text};

use crate::number::{NotOurs, PLAUSIBLE_MAX, centi_megabytes, count};

/// What counts of a pulse: the payload of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// When the pulse was received.
    pub(crate) date: Timestamp,
    /// Key presses since that computer's previous pulse.
    pub(crate) keys: i64,
    /// Mouse clicks, likewise.
    pub(crate) clicks: i64,
    /// Hundredths of a megabyte received.
    pub(crate) download_cmb: i64,
    /// Hundredths of a megabyte sent.
    pub(crate) upload_cmb: i64,
    /// Seconds the computer was on.
    pub(crate) uptime_seconds: i64,
}

/// One row of an answer.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// The row as it goes on.
    pub(crate) row: Row,
    /// The number in its id, which grows with time; `None` where the id could not be read.
    pub(crate) number: Option<i64>,
    /// The instant of its date, in seconds, where it could be read.
    pub(crate) date: Option<i64>,
}

/// How the two APIs name what counts.
pub(crate) struct Names {
    keys: &'static str,
    clicks: &'static str,
    download_mb: &'static str,
    upload_mb: &'static str,
    uptime_seconds: &'static str,
}

pub(crate) const V1: Names = Names {
    keys: "keys",
    clicks: "clicks",
    download_mb: "download_mb",
    upload_mb: "upload_mb",
    uptime_seconds: "uptime_seconds",
};

/// In lower case, because the legacy API's case differs between deployments.
pub(crate) const LEGACY: Names = Names {
    keys: "keys",
    clicks: "clicks",
    download_mb: "downloadmb",
    upload_mb: "uploadmb",
    uptime_seconds: "uptimeseconds",
};

impl Pulse {
    /// A row of v1.
    pub(crate) fn of_v1(row: &RawValue) -> Self {
        let fields = match Fields::of(row) {
            Ok(fields) => fields,
            Err(problem) => return Self::malformed(None, None, None, row, &problem),
        };
        let id = fields.required("id", "an integer", pulse_id);
        let date = fields.required("date", "a date and time", instant);
        let number = id.as_ref().ok().copied();
        let external_id = number.and_then(|number| ExternalId::try_new(&number.to_string()).ok());
        match id.and(date) {
            Ok(date) => Self::with(external_id, number, date, &fields, &V1, row),
            Err(problem) => {
                let date = fields.raw("date").and_then(instant);
                Self::malformed(external_id, number, date, row, &problem)
            }
        }
    }

    /// An entry of the legacy API: the whole key is the id, and the digits at its end its number.
    pub(crate) fn of_legacy(key: &str, row: &RawValue) -> Self {
        let digits = key.len() - key.bytes().rev().take_while(u8::is_ascii_digit).count();
        let number = key[digits..].parse().ok();
        let external_id = ExternalId::try_new(key).ok();
        let fields = match Fields::of(row) {
            Ok(fields) => fields,
            Err(problem) => return Self::malformed(external_id, number, None, row, &problem),
        };
        // The number of seconds is preferred, for it has no zone to guess.
        let date = match fields.optional("timestamp", "unix seconds", unix_seconds) {
            Ok(None) => fields.required("timedate", "a date and time", instant),
            Ok(Some(date)) => Ok(date),
            Err(problem) => Err(problem),
        };
        match date {
            Ok(date) => Self::with(external_id, number, date, &fields, &LEGACY, row),
            Err(problem) => Self::malformed(external_id, number, None, row, &problem),
        }
    }

    fn with(
        external_id: Option<ExternalId>,
        number: Option<i64>,
        date: Timestamp,
        fields: &Fields<'_>,
        names: &Names,
        row: &RawValue,
    ) -> Self {
        let Some(id) = external_id else {
            return Self::malformed(None, number, Some(date), row, "the id has blanks or over 128 bytes");
        };
        match counts(date, fields, names) {
            Ok(counts) => {
                let payload = serde_json::to_string(&counts).expect("counts are plain JSON");
                let row = Row::present(id, Version(number.unwrap_or(0)), payload);
                Self { row, number, date: Some(date.as_second()) }
            }
            Err(problem) => Self::malformed(Some(id), number, Some(date), row, &problem),
        }
    }

    fn malformed(
        id: Option<ExternalId>,
        number: Option<i64>,
        date: Option<Timestamp>,
        row: &RawValue,
        problem: &str,
    ) -> Self {
        let name = id.as_ref().map_or("without id".to_owned(), ToString::to_string);
        let problem = format!("whatpulse: pulse {name}: {problem}");
        let row = Row::malformed(id, number.map(Version), row.get(), problem);
        Self { row, number, date: date.map(Timestamp::as_second) }
    }
}

/// The counts of a row. Null and missing are 0: clients of the API have met both.
fn counts(date: Timestamp, fields: &Fields<'_>, names: &Names) -> Result<Counts, String> {
    let read = |name: &str, expected: &str, parse: fn(&str) -> Result<i64, NotOurs>| match fields.raw(name).map(parse) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(NotOurs::Kind)) => Err(fields.problem(name, expected)),
        Some(Err(NotOurs::Implausible)) => {
            Err(format!("field {name:?} is implausible, expected {expected} from 0 to {PLAUSIBLE_MAX}"))
        }
    };
    Ok(Counts {
        date,
        keys: read(names.keys, "an integer", count)?,
        clicks: read(names.clicks, "an integer", count)?,
        download_cmb: read(names.download_mb, "megabytes", centi_megabytes)?,
        upload_cmb: read(names.upload_mb, "megabytes", centi_megabytes)?,
        uptime_seconds: read(names.uptime_seconds, "seconds", count)?,
    })
}

/// An id: a whole number from 1, as a number or as a text.
fn pulse_id(raw: &str) -> Option<i64> {
    let quoted = text(raw);
    quoted.as_deref().unwrap_or(raw).parse().ok().filter(|&id| id > 0)
}

/// A date in one of three spellings: RFC 3339, `YYYY-MM-DD HH:MM:SS` and the same with a `T`. One
/// without an offset is UTC, as the service's other clients take it.
fn instant(raw: &str) -> Option<Timestamp> {
    let text = text(raw)?;
    // A date alone would be taken for its midnight, and may then count on the wrong local day.
    let naive = || text.parse::<DateTime>().ok().filter(|_| text.len() >= "2026-07-12 21:58".len());
    text.parse().ok().or_else(|| Some(naive()?.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

/// Unix seconds, as a text or as a number.
fn unix_seconds(raw: &str) -> Option<Timestamp> {
    let quoted = text(raw);
    let seconds = quoted.as_deref().unwrap_or(raw).parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use event::RecordKind;

    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn counted(pulse: &Pulse) -> Counts {
        serde_json::from_str(&pulse.row.payload).unwrap()
    }

    #[test]
    fn a_date_is_read_in_three_spellings_and_is_utc_without_an_offset() {
        let at = |text: &str| instant(&format!("{text:?}")).map(|date| date.to_string());
        let expected = Some("2026-07-12T21:58:03Z".to_owned());
        assert_eq!(at("2026-07-12T21:58:03Z"), expected);
        assert_eq!(at("2026-07-12 21:58:03"), expected);
        assert_eq!(at("2026-07-12T21:58:03"), expected);
        assert_eq!(at("2026-07-13T09:58:03+12:00"), expected);
        assert_eq!(at("2026-07-12T21:58:03.000Z"), expected);
        for text in ["2026-07-12", "yesterday", "", "1783893483"] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn null_and_missing_counts_are_none_counted() {
        let row =
            raw(r#"{"id": 7, "date": "2026-07-12T21:58:03Z", "keys": null, "scrolls": null, "upload_mb": 0.125}"#);
        let pulse = Pulse::of_v1(&row);
        let counts = counted(&pulse);
        assert_eq!((counts.keys, counts.clicks, counts.upload_cmb), (0, 0, 13));
        assert_eq!((pulse.row.external_id.as_str(), pulse.row.version), ("7", Version(7)));
    }

    #[test]
    fn a_wrong_field_is_named_and_the_row_is_kept() {
        let cases = [
            (r#"{"date": "2026-07-12T21:58:03Z"}"#, r#"pulse without id: field "id" is missing, expected an integer"#),
            (r#"{"id": 7, "date": null}"#, r#"pulse 7: field "date" is null, expected a date and time"#),
            (
                r#"{"id": 7, "date": "2026-07-12T21:58:03Z", "keys": "lots"}"#,
                r#"pulse 7: field "keys" is a text, expected an integer"#,
            ),
            (
                r#"{"id": 7, "date": "2026-07-12T21:58:03Z", "keys": 1000000001}"#,
                r#"pulse 7: field "keys" is implausible, expected an integer from 0 to 1000000000"#,
            ),
            ("[]", "pulse without id: is a list, expected an object"),
        ];
        for (json, problem) in cases {
            let pulse = Pulse::of_v1(&raw(json));
            assert_eq!(pulse.row.kind, RecordKind::Malformed, "{json}");
            assert_eq!(pulse.row.problem, format!("whatpulse: {problem}"));
            assert_eq!(pulse.row.payload, json);
        }
    }

    #[test]
    fn the_legacy_api_names_in_any_case_and_numbers_are_texts() {
        let json = r#"{"timedate": "2026-07-12 00:00:00", "Timestamp": "1783893483", "KEYS": "8421", "Clicks": 3110,
            "DownloadMB": "1510", "uploadmb": "210", "UptimeSeconds": "41230", "Computer": "desk"}"#;
        let pulse = Pulse::of_legacy("Pulse-990004", &raw(json));
        assert_eq!((pulse.row.external_id.as_str(), pulse.number), ("Pulse-990004", Some(990_004)));
        let counts = counted(&pulse);
        assert_eq!(counts.date.to_string(), "2026-07-12T21:58:03Z");
        assert_eq!((counts.keys, counts.download_cmb, counts.uptime_seconds), (8421, 151_000, 41_230));
        let naive = Pulse::of_legacy("990004", &raw(r#"{"Timedate": "2026-07-12 21:58:03"}"#));
        assert_eq!(counted(&naive).date, counts.date);
    }
}
