//! The items of one write request, checked once.

use std::collections::HashSet;

use crate::Item;

/// Most items one write request may carry.
///
/// Source: <https://developer.exist.io/reference/writing_data/>. Some clients send 36 and are not
/// refused; the documented number is the contract.
pub const BATCH_MAX: usize = 35;

/// Largest whole total that is sent: Exist's bound is unknown, and 32 bits always fit.
pub const WHOLE_MAX: i64 = i32::MAX as i64;

/// 1 to [`BATCH_MAX`] items, no two for the same thing.
///
/// The second rule is what makes answers matchable: they carry no request id, only the names (and
/// dates) that were sent. What one item may hold is checked here as well, see [`BatchError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T>(Vec<T>);

/// Items that cannot be one request. Each names the first offender by its place (from 0).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There is nothing to send; what Exist makes of an empty array is unknown.
    #[error("a write needs at least one item")]
    Empty,
    /// More than [`BATCH_MAX`].
    #[error("{items} items are more than one write takes ({BATCH_MAX})")]
    TooMany {
        /// How many there were.
        items: usize,
    },
    /// Two items name the same thing, so that their answers could not be told apart.
    #[error("item {index} names the same as an earlier one")]
    Duplicate {
        /// Place of the later of the two.
        index: usize,
    },
    /// A whole number beyond [`WHOLE_MAX`], in either direction.
    #[error("item {index} holds a whole number beyond 32 bits")]
    TooLarge {
        /// Its place.
        index: usize,
    },
    /// A [`Delta`](crate::Delta) that is 0 or negative: Exist takes no negative increments, so a
    /// correction downwards is an `update`.
    #[error("item {index} adds nothing or a negative number")]
    NotPositive {
        /// Its place.
        index: usize,
    },
}

impl<T: Item> Batch<T> {
    /// Takes the items, in this order, if they can be one request.
    ///
    /// # Errors
    /// The first rule that is broken, see [`BatchError`]; each is a mistake of the caller.
    pub fn try_new(items: Vec<T>) -> Result<Self, BatchError> {
        match items.len() {
            0 => return Err(BatchError::Empty),
            1..=BATCH_MAX => {}
            items => return Err(BatchError::TooMany { items }),
        }
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            item.check(index)?;
            if !seen.insert(item.key()) {
                return Err(BatchError::Duplicate { index });
            }
        }
        Ok(Self(items))
    }
}

impl<T> Batch<T> {
    /// The items, in the order they are sent.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.0
    }

    /// The items again.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{Acquire, Create, Delta, Number, Value, ValueType};

    fn value(name: &str, day: i8) -> Value {
        Value { name: name.to_owned(), date: date(2026, 3, day), value: Number::Whole(1) }
    }

    #[test]
    fn thirty_five_fit_and_thirty_six_do_not() {
        let many = |count: usize| (0..count).map(|n| value(&format!("a{n}"), 1)).collect::<Vec<_>>();
        assert_eq!(Batch::try_new(many(35)).map(|batch| batch.items().len()), Ok(35));
        assert_eq!(Batch::try_new(many(36)), Err(BatchError::TooMany { items: 36 }));
        assert_eq!(Batch::try_new(many(0)), Err(BatchError::Empty));
    }

    #[test]
    fn one_attribute_may_come_for_several_days_but_once_for_each() {
        assert!(Batch::try_new(vec![value("a", 1), value("a", 2), value("b", 1)]).is_ok());
        let twice = vec![value("a", 1), value("b", 1), value("a", 1)];
        assert_eq!(Batch::try_new(twice), Err(BatchError::Duplicate { index: 2 }));
    }

    #[test]
    fn a_template_and_a_name_that_are_spelled_alike_are_the_same() {
        let both = vec![Acquire::Template("keystrokes".into()), Acquire::Name("keystrokes".into())];
        assert_eq!(Batch::try_new(both), Err(BatchError::Duplicate { index: 1 }));
    }

    #[test]
    fn labels_that_differ_in_case_alone_are_the_same() {
        let label = |text: &str| Create {
            label: text.to_owned(),
            group: "productivity".to_owned(),
            value_type: ValueType::Duration,
        };
        let both = vec![label("Deep work"), label("deep Work")];
        assert_eq!(Batch::try_new(both), Err(BatchError::Duplicate { index: 1 }));
    }

    #[test]
    fn a_total_beyond_32_bits_is_not_sent() {
        let with = |number| vec![Value { value: number, ..value("a", 1) }];
        assert!(Batch::try_new(with(Number::Whole(WHOLE_MAX))).is_ok());
        let beyond = Batch::try_new(with(Number::Whole(WHOLE_MAX + 1)));
        assert_eq!(beyond, Err(BatchError::TooLarge { index: 0 }));
        assert!(Batch::try_new(with(Number::Hundredths(WHOLE_MAX + 1))).is_ok());
    }

    #[test]
    fn only_a_positive_delta_is_added() {
        for digits in [0, -1] {
            let delta = Delta { name: "a".into(), date: date(2026, 3, 1), value: Number::Hundredths(digits) };
            assert_eq!(Batch::try_new(vec![delta]), Err(BatchError::NotPositive { index: 0 }));
        }
    }
}
