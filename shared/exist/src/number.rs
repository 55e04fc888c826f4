//! A number as we send it: an integer of ones or of hundredths, spelled exactly.

use std::fmt;

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

/// An exact number for Exist.
///
/// Equality is of spelling, not of value: `Whole(9)` and `Hundredths(900)` are different things to
/// send. Serialised as a JSON number by its digits; it never passes through a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Number {
    /// For integers, durations and other whole types: `9` is spelled `9`.
    ///
    /// Exist refuses `9.0` for these types by its spelling.
    /// Source: <https://developer.exist.io/reference/writing_data/>
    Whole(i64),
    /// For decimals such as money: `Hundredths(4250)` is spelled `42.5`, `Hundredths(900)` `9.0`.
    Hundredths(i64),
}

impl Number {
    /// The digits without a point: ones or hundredths.
    #[must_use]
    pub const fn digits(self) -> i64 {
        match self {
            Self::Whole(digits) | Self::Hundredths(digits) => digits,
        }
    }

    /// The exact sum, in hundredths as soon as one of the two is; nothing if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.checked_add(b).map(Self::Whole),
            (a, b) => a.as_hundredths()?.checked_add(b.as_hundredths()?).map(Self::Hundredths),
        }
    }

    fn as_hundredths(self) -> Option<i64> {
        match self {
            Self::Whole(ones) => ones.checked_mul(100),
            Self::Hundredths(hundredths) => Some(hundredths),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = match *self {
            Self::Whole(ones) => return write!(f, "{ones}"),
            Self::Hundredths(hundredths) => hundredths,
        };
        let sign = if hundredths < 0 { "-" } else { "" };
        let (ones, rest) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
        if rest % 10 == 0 { write!(f, "{sign}{ones}.{}", rest / 10) } else { write!(f, "{sign}{ones}.{rest:02}") }
    }
}

impl Serialize for Number {
    /// Serialises the digits as they are displayed.
    ///
    /// For `serde_json` only: other formats would see its inner wrapper for raw text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Exact, same_value};

    fn spelled(number: Number) -> String {
        serde_json::to_string(&number).unwrap()
    }

    #[test]
    fn the_ends_of_the_range_are_spelled_exactly() {
        assert_eq!(spelled(Number::Whole(i64::MIN)), "-9223372036854775808");
        assert_eq!(spelled(Number::Hundredths(i64::MIN)), "-92233720368547758.08");
        assert_eq!(spelled(Number::Hundredths(-5)), "-0.05");
        assert_eq!(spelled(Number::Hundredths(0)), "0.0");
        assert_eq!(spelled(Number::Hundredths(4250)), "42.5");
    }

    #[test]
    fn a_sum_is_exact_or_nothing() {
        let sum = Number::Whole(2).checked_add(Number::Hundredths(-75));
        assert_eq!(sum, Some(Number::Hundredths(125)));
        assert_eq!(Number::Whole(i64::MAX).checked_add(Number::Whole(1)), None);
        assert_eq!(Number::Whole(i64::MAX).checked_add(Number::Hundredths(1)), None);
    }

    proptest! {
        #[test]
        fn a_whole_number_is_spelled_with_digits_alone(ones: i64) {
            prop_assert_eq!(spelled(Number::Whole(ones)), ones.to_string());
        }

        #[test]
        fn hundredths_keep_their_point_and_come_back_the_same(hundredths: i64) {
            let text = spelled(Number::Hundredths(hundredths));
            let (ones, rest) = text.trim_start_matches('-').split_once('.').unwrap();
            prop_assert!(matches!(rest.len(), 1 | 2));
            let digits: i128 = format!("{ones}{rest:0<2}").parse().unwrap();
            let sign = if text.starts_with('-') { -1 } else { 1 };
            prop_assert_eq!(sign * digits, i128::from(hundredths));
        }

        #[test]
        fn what_is_sent_is_the_same_when_it_is_read_back(digits: i64, whole: bool) {
            let number = if whole { Number::Whole(digits) } else { Number::Hundredths(digits) };
            let read: Exact = spelled(number).parse().unwrap();
            prop_assert!(same_value(number, &read));
            let other = digits.wrapping_add(1);
            let other = if whole { Number::Whole(other) } else { Number::Hundredths(other) };
            prop_assert!(!same_value(other, &read));
        }
    }
}
