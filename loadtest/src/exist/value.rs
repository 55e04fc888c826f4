//! Exist's nine value types, and what a value sent for one of them becomes when stored.

use rust_decimal::Decimal;
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The largest integer taken. Exist's own bound is unknown; a 32-bit column is the narrowest it may be.
pub const INTEGER_MAX: i64 = 2_147_483_647;
/// The longest `mood_note`, in characters. No other text has a known limit.
pub const NOTE_CHARS_MAX: usize = 1000;

/// What kind of thing an attribute tracks. Never changes once the attribute exists.
///
/// Source: <https://developer.exist.io/reference/object_types/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 0: a whole quantity.
    Integer,
    /// 1: a decimal quantity.
    Float,
    /// 2: text.
    Text,
    /// 3: whole minutes.
    Duration,
    /// 4: minutes after midnight.
    TimeFromMidnight,
    /// 5: from 0 to 1.
    Percentage,
    /// 6: minutes after midday; templates only.
    TimeFromMidday,
    /// 7: yes or no, sent as 1 or 0.
    Boolean,
    /// 8: 1 to 9.
    Scale,
}

impl ValueType {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Integer, "Integer"),
        (Self::Float, "Float"),
        (Self::Text, "String"),
        (Self::Duration, "Period (min)"),
        (Self::TimeFromMidnight, "Time of day (min from midnight)"),
        (Self::Percentage, "Percentage"),
        (Self::TimeFromMidday, "Time of day (min from midday)"),
        (Self::Boolean, "Boolean"),
        (Self::Scale, "Integer scale (1-9)"),
    ];

    /// The type with this code, or `None` above 8.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).map(|(kind, _)| *kind)
    }

    /// The number Exist calls this type by, 0 to 8.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The words Exist uses in `value_type_description`.
    #[must_use]
    pub fn description(self) -> &'static str {
        Self::ALL[usize::from(self.code())].1
    }

    /// What a day holds that has a row and that nobody wrote.
    pub(super) fn seed(self) -> DailyValue {
        match self {
            Self::Text | Self::TimeFromMidnight | Self::TimeFromMidday | Self::Scale => DailyValue::Null,
            _ => DailyValue::Number(Decimal::ZERO),
        }
    }

    /// Whether `increment` works on it at all.
    pub(super) fn adds(self) -> bool {
        !matches!(self, Self::Text | Self::TimeFromMidnight | Self::TimeFromMidday | Self::Scale)
    }

    /// Reads a sent value by its JSON spelling; the error is Exist's text for a `validation` failure.
    ///
    /// A null never comes here: whether it is taken depends on what is stored.
    pub(super) fn read(self, raw: &str) -> Result<DailyValue, String> {
        let number = match raw.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Some(decimal(raw)?),
            _ => None,
        };
        match (self, number) {
            (Self::Text, None) => {
                serde_json::from_str(raw).map(DailyValue::Text).map_err(|_| "Value must be a string".to_owned())
            }
            (Self::Text, Some(_)) => Err("Value must be a string".to_owned()),
            (Self::Boolean, None) if raw == "true" => Ok(DailyValue::Number(Decimal::ONE)),
            (Self::Boolean, None) if raw == "false" => Ok(DailyValue::Number(Decimal::ZERO)),
            (Self::Percentage, None) => Err("Value must be a float between 0 and 1".to_owned()),
            (Self::Float, None) => Err("Value must be a float".to_owned()),
            (_, None) => Err("Value must be an integer".to_owned()),
            (Self::Float | Self::Percentage, Some(number)) => Ok(DailyValue::Number(number)),
            // By spelling, not by value: 9.0 and 9e0 are floats to Exist.
            (_, Some(_)) if raw.contains(['.', 'e', 'E']) => Err("Cannot apply a float to an integer type".to_owned()),
            (_, Some(number)) => Ok(DailyValue::Number(number)),
        }
    }

    /// Whether a day's total may be `number`; the error is Exist's text for a `validation` failure.
    pub(super) fn check(self, number: Decimal) -> Result<(), String> {
        let (low, high, text) = match self {
            Self::Integer | Self::Duration => (0, INTEGER_MAX, "Value must not be negative"),
            Self::Float | Self::Text => return Ok(()),
            Self::Percentage => (0, 1, "Value must be a float between 0 and 1"),
            Self::TimeFromMidnight | Self::TimeFromMidday => (0, 1439, "Value must be between 0 and 1439"),
            Self::Boolean => (0, 1, "Value must be 0 or 1"),
            Self::Scale => (1, 9, "Value must be between 1 and 9"),
        };
        if number < Decimal::from(low) {
            Err(text.to_owned())
        } else if number <= Decimal::from(high) {
            Ok(())
        } else if high == INTEGER_MAX {
            Err(format!("Value must not exceed {INTEGER_MAX}"))
        } else {
            Err(text.to_owned())
        }
    }
}

fn decimal(raw: &str) -> Result<Decimal, String> {
    let number = if raw.contains(['e', 'E']) { Decimal::from_scientific(raw) } else { Decimal::from_str_exact(raw) };
    number.map_err(|_| "Value is out of range".to_owned())
}

/// What an attribute holds on one day, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DailyValue {
    /// A row without a value.
    Null,
    /// A number; booleans are 0 or 1.
    Number(Decimal),
    /// Text.
    Text(String),
}

impl DailyValue {
    /// The number, or `None` for null and text.
    #[must_use]
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl From<i64> for DailyValue {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl From<Decimal> for DailyValue {
    fn from(number: Decimal) -> Self {
        Self::Number(number)
    }
}

impl Serialize for DailyValue {
    /// A JSON number with exactly the digits it needs: 42.50 reads 42.5.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => {
                RawValue::from_string(number.normalize().to_string()).map_err(S::Error::custom)?.serialize(serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_decimal_is_stored_exactly_as_spelled(units in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..9) {
            let number = Decimal::new(units, scale);
            prop_assert_eq!(ValueType::Float.read(&number.to_string()), Ok(DailyValue::Number(number)));
        }

        #[test]
        fn integer_types_take_every_integer_and_refuse_its_float_spelling(n in 0_i64..=INTEGER_MAX) {
            for kind in [ValueType::Integer, ValueType::Duration] {
                prop_assert_eq!(kind.read(&n.to_string()), Ok(DailyValue::from(n)));
                for float in [format!("{n}.0"), format!("{n}e0")] {
                    prop_assert!(kind.read(&float).is_err());
                }
                prop_assert_eq!(kind.check(n.into()), Ok(()));
            }
        }
    }

    #[test]
    fn a_string_is_no_number_and_a_boolean_is_one_only_for_tags() {
        assert!(ValueType::Integer.read("\"5\"").is_err());
        assert!(ValueType::Integer.read("true").is_err());
        assert_eq!(ValueType::Boolean.read("true"), Ok(DailyValue::from(1)));
        assert!(ValueType::Text.read("5").is_err());
    }

    #[test]
    fn each_type_keeps_its_range() {
        for (kind, bad) in [
            (ValueType::Integer, -1),
            (ValueType::Integer, INTEGER_MAX + 1),
            (ValueType::Percentage, 2),
            (ValueType::TimeFromMidday, 1440),
            (ValueType::Boolean, 2),
            (ValueType::Scale, 0),
            (ValueType::Scale, 10),
        ] {
            assert!(kind.check(bad.into()).is_err(), "{kind:?} took {bad}");
        }
        assert_eq!(ValueType::Float.check((-5).into()), Ok(()));
    }

    #[test]
    fn a_code_names_the_type_it_came_from() {
        for code in 0..9 {
            assert_eq!(ValueType::from_code(code).unwrap().code(), code);
        }
        assert_eq!(ValueType::from_code(9), None);
    }
}
