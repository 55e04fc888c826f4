//! Daily values as Exist tells them: newest first, days without a row left out.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use crate::{Attribute, Exact};

/// What stands in Exist for one day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DayValue {
    /// The user's local day.
    #[serde(deserialize_with = "strict_date")]
    pub date: Date,
    /// What it was. A 0 does not prove that anything was written: new attributes start with it.
    #[serde(default)]
    pub value: Reading,
}

/// A value as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reading {
    /// The day has a row, and nothing in it.
    #[default]
    Null,
    /// A number; booleans count as 1 and 0.
    Number(Exact),
    /// A text.
    Text(String),
    /// Something else, or a number of more digits than we keep.
    Other,
}

impl Reading {
    /// The number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<&Exact> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// An attribute with its recent values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeValues {
    /// Which one.
    pub attribute: Attribute,
    /// Newest first. A day that is not there is unknown, not 0.
    pub values: Vec<DayValue>,
}

/// How many days `with-values` tells: 1 to [`Days::MAX`].
///
/// Source: <https://developer.exist.io/reference/attributes/>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(u8);

impl Days {
    /// The most that one request tells.
    pub const MAX: Self = Self(31);

    /// That many days, if they are 1 to 31.
    #[must_use]
    pub fn try_new(days: u8) -> Option<Self> {
        (1..=Self::MAX.0).contains(&days).then_some(Self(days))
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How many rows a page of values has: 1 to [`Rows::MAX`].
///
/// Source: <https://developer.exist.io/reference/attributes/>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rows(u8);

impl Rows {
    /// One: enough to read one day.
    pub const ONE: Self = Self(1);
    /// The most that one request tells.
    pub const MAX: Self = Self(100);

    /// That many rows, if they are 1 to 100.
    #[must_use]
    pub fn try_new(rows: u8) -> Option<Self> {
        (1..=Self::MAX.0).contains(&rows).then_some(Self(rows))
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match raw.get() {
            "null" => Self::Null,
            "true" => Self::Number(Exact::from(1)),
            "false" => Self::Number(Exact::from(0)),
            text if text.starts_with('"') => serde_json::from_str(text).map_or(Self::Other, Self::Text),
            text => text.parse().map_or(Self::Other, Self::Number),
        })
    }
}

impl<'de> Deserialize<'de> for AttributeValues {
    /// Reads the object twice: serde's `flatten` would lose the raw text that exact numbers need.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Rows {
            values: Vec<DayValue>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let attribute = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let Rows { values } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { attribute, values })
    }
}

/// A date of exactly the form `YYYY-MM-DD`, as Exist takes and tells it.
pub(crate) fn date(text: &str) -> Option<Date> {
    let strict = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| strict)
}

fn strict_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    date(&text).ok_or_else(|| D::Error::custom("not a date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Reading {
        let row = format!(r#"{{"date":"2026-03-28","value":{value}}}"#);
        serde_json::from_str::<DayValue>(&row).unwrap().value
    }

    #[test]
    fn every_kind_of_value_is_read_from_its_text() {
        assert_eq!(read("null"), Reading::Null);
        assert_eq!(read("true"), Reading::Number(Exact::from(1)));
        assert_eq!(read("42.50").number().unwrap().to_hundredths(), Some(4250));
        assert_eq!(read(r#""a \"day\"""#), Reading::Text("a \"day\"".to_owned()));
        assert_eq!(read("[1]"), Reading::Other);
        assert_eq!(read(&"1".repeat(39)), Reading::Other);
    }

    #[test]
    fn a_date_in_another_form_is_no_date() {
        for text in ["2026-3-28", "20260328", "2026-02-30", "2026-03-28T00:00:00"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_checked_once() {
        assert_eq!((Days::try_new(0), Days::try_new(32)), (None, None));
        assert_eq!(Days::try_new(31), Some(Days::MAX));
        assert_eq!((Rows::try_new(0), Rows::try_new(101)), (None, None));
        assert_eq!(Rows::try_new(1), Some(Rows::ONE));
    }
}
