//! What the sources say beside what Exist holds.

use std::collections::BTreeSet;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;

use super::Numbers;

/// One number, from both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Whose.
    pub person: String,
    /// Where they live.
    pub timezone: String,
    /// Of what.
    pub attribute: String,
    /// On which local day.
    pub day: Date,
    /// What the sources say; none when no record counts there.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub expected: Option<Decimal>,
    /// What Exist holds; none when nothing was ever written.
    #[serde(with = "rust_decimal::serde::str_option")]
    pub held: Option<Decimal>,
    /// Whether they are the same number; nothing written is the same as 0.
    pub equal: bool,
    /// Whether the services say themselves that they cannot know this number.
    pub listed: bool,
}

/// Whose, of what, on which local day.
pub type Pair = (String, String, Date);

impl Row {
    /// What names this number.
    pub fn pair(&self) -> Pair {
        (self.person.clone(), self.attribute.clone(), self.day)
    }

    /// Whether it is neither right nor listed.
    pub fn is_silently_wrong(&self) -> bool {
        !self.equal && !self.listed
    }
}

/// The rows of everybody, and whether all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// In the order of people, attributes and days.
    pub rows: Vec<Row>,
}

impl Verdict {
    /// How many numbers agree.
    pub fn equal(&self) -> usize {
        self.rows.iter().filter(|row| row.equal).count()
    }

    /// How many do not.
    pub fn unequal(&self) -> usize {
        self.rows.len() - self.equal()
    }

    /// Excuses the numbers that the services list as undecided, and no others.
    #[must_use]
    pub fn excusing(mut self, listed: &BTreeSet<Pair>) -> Verdict {
        for row in &mut self.rows {
            row.listed = listed.contains(&row.pair());
        }
        self
    }

    /// Numbers that are neither right nor listed.
    pub fn silently_wrong(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_silently_wrong())
    }

    /// Whether there are numbers, and every one is right.
    pub fn is_right(&self) -> bool {
        !self.rows.is_empty() && self.unequal() == 0
    }
}

/// Lays what is held beside what is expected, for one person: every day that either side knows,
/// except where both have nothing to say (0 or absent).
pub fn verdict(person: &str, timezone: &str, expected: &Numbers, held: &Numbers) -> Vec<Row> {
    let keys: BTreeSet<&(String, Date)> = expected.keys().chain(held.keys()).collect();
    keys.into_iter()
        .map(|key| {
            let (expected, held) = (expected.get(key).copied(), held.get(key).copied());
            Row {
                person: person.to_owned(),
                timezone: timezone.to_owned(),
                attribute: key.0.clone(),
                day: key.1,
                expected,
                held,
                equal: expected.unwrap_or_default() == held.unwrap_or_default(),
                listed: false,
            }
        })
        // Exist makes a 0 for today when an attribute is acquired; that tells nobody anything.
        .filter(|row| [row.expected, row.held].into_iter().flatten().any(|number| !number.is_zero()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(rows: &[(&str, &str, &str)]) -> Numbers {
        rows.iter()
            .map(|(attribute, day, number)| {
                (((*attribute).to_owned(), day.parse().expect("a date")), number.parse().expect("a number"))
            })
            .collect()
    }

    fn judged(expected: &[(&str, &str, &str)], held: &[(&str, &str, &str)]) -> Verdict {
        Verdict { rows: verdict("ada", "UTC", &numbers(expected), &numbers(held)) }
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_spelled() {
        let verdict = judged(&[("mb", "2026-05-04", "9")], &[("mb", "2026-05-04", "9.00")]);
        assert!(verdict.is_right());
    }

    #[test]
    fn a_missing_and_a_wrong_number_are_unequal() {
        let expected = [("keys", "2026-05-04", "9"), ("keys", "2026-05-05", "8")];
        let verdict = judged(&expected, &[("keys", "2026-05-04", "10")]);
        assert_eq!((verdict.equal(), verdict.unequal()), (0, 2));
    }

    #[test]
    fn a_number_that_the_sources_do_not_know_is_unequal() {
        let verdict =
            judged(&[("keys", "2026-05-04", "9")], &[("keys", "2026-05-04", "9"), ("mood", "2026-05-04", "5")]);
        assert_eq!((verdict.equal(), verdict.unequal()), (1, 1));
    }

    #[test]
    fn nothing_written_is_as_good_as_zero_both_ways() {
        let expected = [("keys", "2026-05-04", "0"), ("keys", "2026-05-05", "3")];
        let verdict = judged(&expected, &[("keys", "2026-05-05", "3"), ("keys", "2026-05-06", "0")]);
        assert!(verdict.is_right());
        assert_eq!(verdict.rows.len(), 1);
    }

    #[test]
    fn a_day_that_should_have_become_zero_again_is_unequal() {
        let verdict = judged(&[("keys", "2026-05-04", "0")], &[("keys", "2026-05-04", "12")]);
        assert_eq!(verdict.unequal(), 1);
    }

    #[test]
    fn a_listed_number_is_excused_and_its_neighbour_is_not() {
        let expected = [("keys", "2026-05-04", "9"), ("keys", "2026-05-05", "8")];
        let listed = BTreeSet::from([("ada".to_owned(), "keys".to_owned(), "2026-05-04".parse().expect("a date"))]);
        let verdict = judged(&expected, &[]).excusing(&listed);
        let wrong: Vec<String> = verdict.silently_wrong().map(|row| row.day.to_string()).collect();
        assert_eq!(wrong, ["2026-05-05"]);
        assert!(!verdict.is_right(), "what is excused is not right");
    }

    #[test]
    fn no_numbers_at_all_are_no_proof() {
        assert!(!judged(&[], &[]).is_right());
    }
}
