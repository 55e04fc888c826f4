//! Numbers as an answer spells them, to whole base units, without a float in between.

use rust_decimal::{Decimal, RoundingStrategy};

/// Largest number that is taken for real, per pulse: a corrupt account can hold more, and a sum of
/// these still fits. The contract calls more keys than this implausible; megabytes are bounded alike.
pub(crate) const PLAUSIBLE_MAX: i64 = 1_000_000_000;

/// Why a number is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotOurs {
    /// No number, or one with a fraction where none can be.
    Kind,
    /// Negative, or over [`PLAUSIBLE_MAX`].
    Implausible,
}

/// A count or a number of seconds: a JSON number, or a text that is one (the legacy API).
pub(crate) fn count(raw: &str) -> Result<i64, NotOurs> {
    let number = decimal(raw).ok_or(NotOurs::Kind)?;
    let whole = number.is_integer().then(|| i64::try_from(number)).ok_or(NotOurs::Kind)?;
    whole.ok().filter(|whole| (0..=PLAUSIBLE_MAX).contains(whole)).ok_or(NotOurs::Implausible)
}

/// Megabytes in hundredths, half away from zero.
pub(crate) fn centi_megabytes(raw: &str) -> Result<i64, NotOurs> {
    let number = decimal(raw).ok_or(NotOurs::Kind)?;
    if number.is_sign_negative() && !number.is_zero() || number > Decimal::from(PLAUSIBLE_MAX) {
        return Err(NotOurs::Implausible);
    }
    let hundredths = number * Decimal::ONE_HUNDRED;
    let rounded = hundredths.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    i64::try_from(rounded).map_err(|_| NotOurs::Implausible)
}

/// The number of a JSON number or of a text that is one.
fn decimal(raw: &str) -> Option<Decimal> {
    let text = source::text(raw);
    let digits = text.as_deref().unwrap_or(raw).trim();
    // `from_str` knows no exponent, `from_scientific` needs one; both would take an underscore.
    let spelled = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let parsed = if digits.contains(['e', 'E']) { Decimal::from_scientific(digits) } else { digits.parse() };
    parsed.ok().filter(|_| spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_number_or_a_text_that_is_one() {
        for raw in ["8421", "\"8421\"", "8421.0", "8.421e3"] {
            assert_eq!(count(raw), Ok(8421), "{raw}");
        }
        for raw in ["\"8,421\"", "\"many\"", "\"\"", "true", "[]", "1.5", "\"1_000\""] {
            assert_eq!(count(raw), Err(NotOurs::Kind), "{raw}");
        }
        for raw in ["1000000001", "-1", "99999999999999999999"] {
            assert_eq!(count(raw), Err(NotOurs::Implausible), "{raw}");
        }
        assert_eq!(count("1000000000"), Ok(PLAUSIBLE_MAX));
    }

    #[test]
    fn megabytes_are_exact_hundredths_half_away_from_zero() {
        let cases = [("1510.25", 151_025), ("0.125", 13), ("0.124999", 12), ("0.005", 1), ("980", 98_000)];
        for (raw, expected) in cases {
            assert_eq!(centi_megabytes(raw), Ok(expected), "{raw}");
        }
        // What a float spells for 0.1 + 0.2, and a small number with an exponent.
        assert_eq!(centi_megabytes("0.30000000000000004"), Ok(30));
        assert_eq!(centi_megabytes("1.5e-3"), Ok(0));
        assert_eq!(centi_megabytes("\"133\""), Ok(13_300));
        assert_eq!(centi_megabytes("-0.01"), Err(NotOurs::Implausible));
        assert_eq!(centi_megabytes("1e12"), Err(NotOurs::Implausible));
        assert_eq!(centi_megabytes("null"), Err(NotOurs::Kind));
    }

    proptest::proptest! {
        #[test]
        fn two_decimals_come_back_exactly(hundredths in 0i64..100_000_000_000) {
            let raw = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            proptest::prop_assert_eq!(centi_megabytes(&raw), Ok(hundredths));
        }

        #[test]
        fn no_spelling_panics(raw in ".*") {
            let _ = (count(&raw), centi_megabytes(&raw));
        }
    }
}
