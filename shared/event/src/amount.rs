//! Amounts in whole base units, and the one conversion into Exist's units.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is summed: whole base units, never converted before it is sent.
pub type Amount = i64;

/// The base unit of an attribute, which decides how its sum is spelled for Exist.
///
/// Encoded as its name, so that a stored mapping reads well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things counted; sent as they are.
    Count,
    /// Seconds; sent as whole minutes.
    Seconds,
    /// Hundredths of a megabyte; sent as whole megabytes.
    CentiMegabytes,
    /// Thousandths of a currency unit (YNAB's milliunits); sent with two decimals.
    Milliunits,
}

impl Unit {
    /// Converts a sum into Exist's unit, rounding half away from zero.
    ///
    /// Called once per daily value, on the sum: converting each record would let a day drift.
    #[must_use]
    pub fn to_exist(self, sum: Amount) -> Decimal {
        match self {
            Self::Count => Decimal::whole(sum),
            Self::Seconds => Decimal::whole(divide(sum, 60)),
            Self::CentiMegabytes => Decimal::whole(divide(sum, 100)),
            Self::Milliunits => Decimal::hundredths(divide(sum, 10)),
        }
    }
}

/// Division that rounds half away from zero.
fn divide(sum: i64, by: i64) -> i64 {
    let (quotient, rest) = (sum / by, sum % by);
    if rest.abs() * 2 >= by { quotient + sum.signum() } else { quotient }
}

/// A number as Exist is sent it: exact, with no or two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Decimal {
    /// The digits, without the point.
    digits: i64,
    /// How many of them stand behind the point: 0 or 2.
    scale: u8,
}

impl Decimal {
    /// An integer. Never spelled with a point: Exist refuses `9.0` for integers and durations.
    #[must_use]
    pub const fn whole(digits: i64) -> Self {
        Self { digits, scale: 0 }
    }

    /// A number of hundredths.
    #[must_use]
    pub const fn hundredths(digits: i64) -> Self {
        Self { digits, scale: 2 }
    }

    /// The digits, without the point.
    #[must_use]
    pub const fn digits(self) -> i64 {
        self.digits
    }

    /// How many digits stand behind the point: 0 or 2.
    #[must_use]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Whether the number is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// The sum, with as many decimals as the finer of the two; the nearest number where 64 bits do not hold it.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let (a, b, scale) = self.aligned(other);
        Self { digits: a.saturating_add(b), scale }
    }

    /// The difference, spelled as [`Decimal::plus`] does.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        let (a, b, scale) = self.aligned(other);
        Self { digits: a.saturating_sub(b), scale }
    }

    /// Whether both are the same number, however many decimals each is spelled with.
    #[must_use]
    pub const fn is_same(self, other: Self) -> bool {
        let (a, b, _) = self.aligned(other);
        a == b
    }

    const fn aligned(self, other: Self) -> (i64, i64, u8) {
        match (self.scale, other.scale) {
            (0, 2) => (self.digits.saturating_mul(100), other.digits, 2),
            (2, 0) => (self.digits, other.digits.saturating_mul(100), 2),
            (scale, _) => (self.digits, other.digits, scale),
        }
    }

    /// Whether the number is below 0.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.digits < 0
    }

    /// The number, or 0 if it is negative: Exist's answer to negative totals is unknown.
    #[must_use]
    pub const fn at_least_zero(self) -> Self {
        if self.digits < 0 { Self { digits: 0, scale: self.scale } } else { self }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.digits);
        }
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs();
        write!(f, "{sign}{}.{:02}", digits / 100, digits % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_rounded_once_and_half_away_from_zero() {
        assert_eq!(Unit::Seconds.to_exist(89).to_string(), "1");
        assert_eq!(Unit::Seconds.to_exist(90).to_string(), "2");
        assert_eq!(Unit::Seconds.to_exist(-90).to_string(), "-2");
        assert_eq!(Unit::CentiMegabytes.to_exist(150).to_string(), "2");
        assert_eq!(Unit::CentiMegabytes.to_exist(149).to_string(), "1");
        assert_eq!(Unit::Milliunits.to_exist(-12_345).to_string(), "-12.35");
        assert_eq!(Unit::Milliunits.to_exist(12_344).to_string(), "12.34");
        assert_eq!(Unit::Milliunits.to_exist(-5).to_string(), "-0.01");
        assert_eq!(Unit::Count.to_exist(7).to_string(), "7");
    }

    #[test]
    fn numbers_of_different_spelling_are_added_and_compared() {
        let (two, half) = (Decimal::whole(2), Decimal::hundredths(50));
        assert_eq!(two.plus(half).to_string(), "2.50");
        assert_eq!(half.minus(two).to_string(), "-1.50");
        assert!(two.is_same(Decimal::hundredths(200)) && !two.is_same(half));
        assert!(half.minus(two).is_negative() && !half.is_negative());
    }

    proptest::proptest! {
        #[test]
        fn rounding_is_never_off_by_more_than_half(sum in -1_000_000_000i64..1_000_000_000) {
            let minutes = Unit::Seconds.to_exist(sum).digits();
            proptest::prop_assert!((minutes * 60 - sum).abs() <= 30);
        }
    }
}
