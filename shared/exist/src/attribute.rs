//! Attributes as Exist describes them, in whatever of its shapes.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::answer::Echo;

/// A thing that the user tracks. Only its name is certain to be there; unknown keys are ignored.
///
/// Source: <https://developer.exist.io/reference/object_types/>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attribute {
    /// The identifier used in every write; equals the template where there is one.
    pub name: String,
    /// The template it was made from; nothing for a custom attribute.
    #[serde(default, deserialize_with = "lenient")]
    pub template: Option<String>,
    /// What the user reads, and may change.
    #[serde(default, deserialize_with = "lenient")]
    pub label: Option<String>,
    /// Where it belongs.
    #[serde(default, deserialize_with = "lenient")]
    pub group: Option<Group>,
    /// Who fills it; nothing after a release.
    #[serde(default, deserialize_with = "lenient")]
    pub service: Option<Service>,
    /// Whether it is in use. An inactive one keeps its values, which cannot be read.
    #[serde(default, deserialize_with = "lenient")]
    pub active: Option<bool>,
    /// Whether the apps offer entry by hand.
    #[serde(default, deserialize_with = "lenient")]
    pub manual: Option<bool>,
    /// What its values are. Never changes.
    #[serde(default, deserialize_with = "lenient")]
    pub value_type: Option<ValueType>,
}

/// A group of attributes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Its identifier, such as `productivity`.
    pub name: String,
}

/// A service that fills attributes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// Its identifier, given by Exist: not to be computed from a label.
    pub name: String,
}

/// What the values of an attribute are.
///
/// Source: <https://developer.exist.io/reference/object_types/>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 0: an integer.
    Integer,
    /// 1: a decimal.
    Decimal,
    /// 2: a text.
    Text,
    /// 3: whole minutes.
    Duration,
    /// 4: minutes after midnight.
    TimeFromMidnight,
    /// 5: a share, 0 to 1.
    Percentage,
    /// 6: minutes after midday; templates only.
    TimeFromMidday,
    /// 7: yes or no, as 1 or 0.
    Boolean,
    /// 8: 1 to 9.
    Scale,
    /// One that we do not know.
    Other(i64),
}

impl ValueType {
    /// Exist's number for it.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Integer => 0,
            Self::Decimal => 1,
            Self::Text => 2,
            Self::Duration => 3,
            Self::TimeFromMidnight => 4,
            Self::Percentage => 5,
            Self::TimeFromMidday => 6,
            Self::Boolean => 7,
            Self::Scale => 8,
            Self::Other(code) => code,
        }
    }
}

impl From<i64> for ValueType {
    fn from(code: i64) -> Self {
        match code {
            0 => Self::Integer,
            1 => Self::Decimal,
            2 => Self::Text,
            3 => Self::Duration,
            4 => Self::TimeFromMidnight,
            5 => Self::Percentage,
            6 => Self::TimeFromMidday,
            7 => Self::Boolean,
            8 => Self::Scale,
            other => Self::Other(other),
        }
    }
}

impl Serialize for ValueType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.code())
    }
}

impl<'de> Deserialize<'de> for ValueType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::from)
    }
}

impl Attribute {
    pub(crate) fn from_echo(echo: &Echo<'_>) -> Option<Self> {
        Some(Self {
            name: echo.get("name")?,
            template: echo.get("template"),
            label: echo.get("label"),
            group: echo.get("group"),
            service: echo.get("service"),
            active: echo.get("active"),
            manual: echo.get("manual"),
            value_type: echo.get("value_type"),
        })
    }
}

/// Takes what has the right shape, and nothing where it has not (`active` was met as `"true"`).
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> Deserialize<'a>,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Groups and services come as an object, and in some answers as their plain name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Object { name: String },
    Plain(String),
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Named::Object { name } | Named::Plain(name)) = Named::deserialize(deserializer)?;
        Ok(Self { name })
    }
}

impl<'de> Deserialize<'de> for Service {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Named::Object { name } | Named::Plain(name)) = Named::deserialize(deserializer)?;
        Ok(Self { name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_keeps_its_number() {
        for code in -1..12 {
            assert_eq!(ValueType::from(code).code(), code);
        }
    }

    #[test]
    fn an_attribute_is_read_from_any_of_its_shapes() {
        let full = r#"{"template":null,"name":"a","label":"A","subgroup":{"x":1},"group":{"name":"media","label":"Media",
            "priority":7},"service":null,"active":true,"manual":false,"value_type":3,"new":[]}"#;
        let attribute: Attribute = serde_json::from_str(full).unwrap();
        assert_eq!(attribute.group.map(|group| group.name).as_deref(), Some("media"));
        assert_eq!(attribute.service, None);
        assert_eq!(attribute.value_type, Some(ValueType::Duration));

        let plain =
            r#"{"group":"media","label":"A","manual":"no","name":"a","service":"","value_type":31,"active":"true"}"#;
        let attribute: Attribute = serde_json::from_str(plain).unwrap();
        assert_eq!(attribute.group.map(|group| group.name).as_deref(), Some("media"));
        assert_eq!(attribute.service.map(|service| service.name).as_deref(), Some(""));
        assert_eq!((attribute.active, attribute.manual), (None, None));
        assert_eq!(attribute.value_type, Some(ValueType::Other(31)));
    }
}
