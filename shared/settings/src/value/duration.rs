//! Lengths of time as people write them: a whole number and a unit.

use std::time::Duration;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest unit first: that is the order in which [`format`] tries them.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `500ms`, `5s`, `5m`, `2h` or `3d`. A bare number is refused: its unit would be a guess.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("it does not begin with a whole number".into());
    }
    if unit.is_empty() {
        return Err("a bare number has no unit".into());
    }
    let (_, unit_ms) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| "its unit is not one of ms, s, m, h, d".to_owned())?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*unit_ms))
        .map(Duration::from_millis)
        .ok_or_else(|| "the number is too large".to_owned())
}

/// Writes a length of time the way [`parse`] reads it, in the largest unit that divides it.
///
/// Whole milliseconds only: all of ours are.
pub(super) fn format(length: Duration) -> String {
    let ms = length.as_millis();
    let (name, unit_ms) =
        UNITS.iter().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(u128::from(*unit_ms))).unwrap_or(&("ms", 1));
    format!("{}{name}", ms / u128::from(*unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_is_read() {
        for (text, ms) in [("500ms", 500), ("5s", 5_000), ("5m", 300_000), ("2h", 7_200_000), ("3d", 259_200_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        for text in ["5", "0", "", "s", "-5s", "+5s", "1.5h", "1h30m", "5 s", " 5s", "5S", "5min", "٥s"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("99999999999999999999s").is_err());
        assert!(parse("18446744073709551615d").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0_u64..100 * 86_400_000) {
            let length = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(length)), Ok(length));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
