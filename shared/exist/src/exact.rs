//! A number as Exist answers it: any JSON number, kept exactly.

use std::{fmt, str::FromStr};

use crate::Number;

/// A JSON number's value, exact, whatever its spelling: `9`, `9.0` and `0.9e1` are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exact {
    /// Never ends in a decimal 0, except for 0 itself, so that equal values are equal structs.
    mantissa: i128,
    /// The power of ten the mantissa is multiplied with; 0 for the number 0.
    exponent: i32,
}

/// A text that is no JSON number, or has more digits than we keep (38).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON number of at most 38 digits")]
pub struct ExactError;

/// Whether Exist holds what we sent.
///
/// Whole numbers must be equal. A number of hundredths must be nearer to what was read than every
/// other number of hundredths, that is within 0.005, since Exist may keep it as a float: the
/// promise is two decimals, and no reading is the same as two different numbers.
#[must_use]
pub fn same_value(sent: Number, got: &Exact) -> bool {
    match sent {
        Number::Whole(ones) => got.to_whole() == Some(ones),
        Number::Hundredths(hundredths) => got.to_hundredths() == Some(hundredths),
    }
}

impl Exact {
    const fn normalised(mut mantissa: i128, mut exponent: i32) -> Self {
        if mantissa == 0 {
            return Self { mantissa, exponent: 0 };
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }

    /// Whether the number is 0, however spelled.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// The number as an integer; nothing if it has a fraction or does not fit.
    #[must_use]
    pub fn to_whole(&self) -> Option<i64> {
        let power = 10i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        self.mantissa.checked_mul(power)?.try_into().ok()
    }

    /// The nearest number of hundredths; nothing if it lies in the middle of two or does not fit.
    #[must_use]
    pub fn to_hundredths(&self) -> Option<i64> {
        let shift = self.exponent.checked_add(2)?;
        if let Ok(shift) = u32::try_from(shift) {
            let power = 10i128.checked_pow(shift)?;
            return self.mantissa.checked_mul(power)?.try_into().ok();
        }
        // 38 digits divided by 10^39 and more are less than a tenth of a hundredth.
        let Some(power) = 10i128.checked_pow(shift.unsigned_abs()) else { return Some(0) };
        let (below, rest) = (self.mantissa.div_euclid(power), self.mantissa.rem_euclid(power));
        let nearest = match rest.cmp(&(power - rest)) {
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => below + 1,
        };
        nearest.try_into().ok()
    }
}

impl From<i32> for Exact {
    fn from(ones: i32) -> Self {
        Self::normalised(i128::from(ones), 0)
    }
}

impl From<Number> for Exact {
    fn from(number: Number) -> Self {
        let exponent = if matches!(number, Number::Whole(_)) { 0 } else { -2 };
        Self::normalised(i128::from(number.digits()), exponent)
    }
}

impl FromStr for Exact {
    type Err = ExactError;

    fn from_str(text: &str) -> Result<Self, ExactError> {
        parse(text).ok_or(ExactError)
    }
}

fn parse(text: &str) -> Option<Exact> {
    let (number, power) = match text.split_once(['e', 'E']) {
        Some((number, power)) => (number, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, number) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
    let (ones, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{ones}{fraction}");
    if ones.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_end_matches('0');
    let significant = kept.trim_start_matches('0');
    match significant.len() {
        0 => return Some(Exact { mantissa: 0, exponent: 0 }),
        1..=38 => {}
        _ => return None,
    }
    let trimmed = i32::try_from(digits.len() - kept.len()).ok()?;
    let exponent = power.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(trimmed)?;
    Some(Exact { mantissa: sign * significant.parse::<i128>().ok()?, exponent })
}

impl fmt::Display for Exact {
    /// Plain digits where a person would write them, else digits and a power of ten.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ZEROS_MAX: i32 = 20;
        let Self { mantissa, exponent } = *self;
        match usize::try_from(exponent) {
            _ if exponent.abs() > ZEROS_MAX => write!(f, "{mantissa}e{exponent}"),
            Ok(zeros) => write!(f, "{mantissa}{:0<zeros$}", ""),
            Err(_) => {
                let places = exponent.unsigned_abs() as usize;
                let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = places + 1);
                let (ones, fraction) = digits.split_at(digits.len() - places);
                write!(f, "{}{ones}.{fraction}", if mantissa < 0 { "-" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(text: &str) -> Exact {
        text.parse().unwrap()
    }

    #[test]
    fn spelling_makes_no_difference_to_the_value() {
        for text in ["9", "9.0", "9.00", "0.9e1", "90E-1", "900e-2"] {
            assert_eq!(exact(text), exact("9"), "{text}");
            assert_eq!(exact(text).to_whole(), Some(9), "{text}");
        }
        assert_eq!(exact("-0.0"), exact("0"));
        assert_eq!(exact("0e400").to_hundredths(), Some(0));
    }

    #[test]
    fn float_noise_is_the_same_value_and_a_neighbour_is_not() {
        let sent = Number::Hundredths(4230);
        for text in ["42.3", "42.30", "42.300000000000004", "42.29999999999999", "42.3049"] {
            assert!(same_value(sent, &exact(text)), "{text}");
        }
        for text in ["42.305", "42.295", "42.31", "42.29", "42", "-42.3", "423", "4.23e300"] {
            assert!(!same_value(sent, &exact(text)), "{text}");
        }
        assert!(same_value(Number::Hundredths(-1), &exact("-0.0099999")));
        assert!(same_value(Number::Hundredths(0), &exact("1.1564227190131434e-226")));
    }

    #[test]
    fn a_whole_number_allows_no_tolerance() {
        assert!(same_value(Number::Whole(120), &exact("120.0")));
        assert!(!same_value(Number::Whole(120), &exact("120.001")));
        assert!(!same_value(Number::Whole(0), &exact("1e-300")));
    }

    #[test]
    fn what_we_send_has_the_value_of_its_spelling() {
        for number in [Number::Whole(-120), Number::Hundredths(4250), Number::Hundredths(0)] {
            assert_eq!(Exact::from(number), exact(&number.to_string()));
        }
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        let digits = "123456789012345678901234567890123456789";
        assert_eq!(digits.parse::<Exact>(), Err(ExactError));
        for text in ["", "-", ".5", "1e", "1e99999999999", "NaN", "1_0", "+1", " 1"] {
            assert_eq!(text.parse::<Exact>(), Err(ExactError), "{text}");
        }
    }

    #[test]
    fn the_widest_mantissa_still_rounds() {
        let tiny = format!("0.{}9", "0".repeat(37));
        assert_eq!(exact(&tiny).to_hundredths(), Some(0));
        assert_eq!(exact("1e-40").to_hundredths(), Some(0));
        assert_eq!(exact("99999999999999999999999999999999999999e-38").to_hundredths(), Some(100));
        assert_eq!(exact("1e40").to_hundredths(), None);
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_back(mantissa: i64, exponent in -30..30i32) {
            let value = exact(&format!("{mantissa}e{exponent}"));
            prop_assert_eq!(exact(&value.to_string()), value);
        }

        #[test]
        fn every_float_that_json_spells_is_read(float in -1e15..1e15f64) {
            let text = serde_json::to_string(&float).unwrap();
            let hundredths = exact(&text).to_hundredths();
            #[allow(clippy::cast_possible_truncation)] // the range above keeps it far inside i64
            let near = (float * 100.0).round() as i64;
            prop_assert!(hundredths.is_none_or(|exact| (exact - near).abs() <= 16));
        }
    }
}
