//! Reading one row of an answer field by field, so that a wrong one is named and the rest goes on.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde_json::value::RawValue;

/// The fields of one row, by lower-case name, each as it is spelled in the answer.
pub struct Fields<'a> {
    fields: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The row's fields. Names are matched in lower case: some deployments of one API differ in case.
    ///
    /// # Errors
    /// What the row is instead of an object.
    pub fn of(row: &'a RawValue) -> Result<Self, String> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(row.get()).map_err(|_| format!("is {}, expected an object", kind(row.get())))?;
        Ok(Self { fields: fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect() })
    }

    /// A field as it is spelled; `None` when it is missing or null.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name).map(|value| value.get()).filter(|&text| text != "null")
    }

    /// A field as it is spelled.
    ///
    /// # Errors
    /// That it is missing or null.
    pub fn need(&self, name: &str, expected: &str) -> Result<&'a str, String> {
        self.raw(name).ok_or_else(|| self.problem(name, expected))
    }

    /// Reads a field that may be missing or null.
    ///
    /// # Errors
    /// That `parse` did not take it, naming field, kind and what was expected, never the value.
    pub fn optional<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.raw(name) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| self.problem(name, expected))
    }

    /// Reads a field that must be there.
    ///
    /// # Errors
    /// That it is missing, null or not taken by `parse`.
    pub fn required<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, String> {
        self.need(name, expected).and_then(|text| parse(text).ok_or_else(|| self.problem(name, expected)))
    }

    /// `field "start" is null, expected an RFC 3339 time`: says of which kind the value is, not the value.
    #[must_use]
    pub fn problem(&self, name: &str, expected: &str) -> String {
        let found = self.fields.get(name).map_or("missing", |value| kind(value.get()));
        format!("field {name:?} is {found}, expected {expected}")
    }
}

/// A JSON integer.
#[must_use]
pub fn integer(raw: &str) -> Option<i64> {
    raw.parse().ok()
}

/// A JSON text.
#[must_use]
pub fn text(raw: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw).ok()
}

/// A JSON text that is an instant with an offset or `Z`, with any number of fraction digits.
#[must_use]
pub fn time(raw: &str) -> Option<Timestamp> {
    text(raw)?.parse().ok()
}

/// What a JSON value is, in a word.
fn kind(raw: &str) -> &'static str {
    match raw.trim_start().as_bytes().first() {
        Some(b'n') => "null",
        Some(b'"') => "a text",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(b't' | b'f') => "a truth value",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_problem_names_the_field_and_the_kind_but_not_the_value() {
        let row = raw(r#"{"Start": null, "stop": "private", "n": 4.0}"#);
        let fields = Fields::of(&row).unwrap();
        let problem = |name| fields.required(name, "an RFC 3339 time", time).unwrap_err();
        assert_eq!(problem("start"), r#"field "start" is null, expected an RFC 3339 time"#);
        assert_eq!(problem("stop"), r#"field "stop" is a text, expected an RFC 3339 time"#);
        assert_eq!(problem("at"), r#"field "at" is missing, expected an RFC 3339 time"#);
        assert_eq!(
            fields.optional("n", "an integer", integer),
            Err(r#"field "n" is a number, expected an integer"#.into())
        );
        assert_eq!(fields.optional("start", "an integer", integer), Ok(None));
        assert_eq!(Fields::of(&raw("[1]")).err(), Some("is a list, expected an object".to_owned()));
    }

    #[test]
    fn a_time_has_any_number_of_fraction_digits() {
        let micros = |text: &str| time(&format!("{text:?}")).map(Timestamp::as_microsecond);
        assert_eq!(micros("2024-12-16T01:16:26.41113Z"), micros("2024-12-16T01:16:26.411130+00:00"));
        assert_eq!(micros("2024-12-16T01:16:26Z").map(|micros| micros % 1_000_000), Some(0));
        assert_eq!(micros("2024-12-16T01:16:26"), None);
    }
}
