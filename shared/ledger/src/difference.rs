//! What a record's new version changes, compared with the one last applied.

use event::{Contribution, merge};

/// New minus old: what to add to each (attribute, day) so that only the new version counts.
///
/// A day that the record left comes out negative, a day that it joined positive; what did not change
/// does not appear. A deleted record has no new contributions.
#[must_use]
pub fn difference(old: &[Contribution], new: &[Contribution]) -> Vec<Contribution> {
    let taken_back = old.iter().cloned().map(|gone| Contribution { amount: -gone.amount, ..gone });
    merge(taken_back.chain(new.iter().cloned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use event::{AttributeName, Day};
    use proptest::prelude::*;

    use super::*;

    fn adds(attribute: &str, day: i32, amount: i64) -> Contribution {
        Contribution { attribute: AttributeName::try_new(attribute).unwrap(), day: Day::from_number(day), amount }
    }

    #[test]
    fn a_moved_record_corrects_the_day_it_left_and_the_day_it_joined() {
        let changed = difference(&[adds("tv_min", 1, 600)], &[adds("tv_min", 2, 600)]);
        assert_eq!(changed, [adds("tv_min", 1, -600), adds("tv_min", 2, 600)]);
    }

    #[test]
    fn an_edit_that_changes_nothing_that_counts_changes_nothing() {
        assert!(difference(&[adds("tv_min", 1, 600)], &[adds("tv_min", 1, 600)]).is_empty());
    }

    fn any_version() -> impl Strategy<Value = Vec<Contribution>> {
        let one = (0u8..3, 0i32..4, -50i64..50).prop_map(|(a, day, amount)| adds(&format!("a{a}"), day, amount));
        prop::collection::vec(one, 0..4).prop_map(merge)
    }

    proptest! {
        /// Applying the differences one after the other leaves exactly the last version's amounts.
        #[test]
        fn differences_add_up_to_the_last_version(versions in prop::collection::vec(any_version(), 1..8)) {
            let mut totals: BTreeMap<_, i64> = BTreeMap::new();
            let mut applied: Vec<Contribution> = Vec::new();
            for version in &versions {
                for changed in difference(&applied, version) {
                    *totals.entry((changed.attribute, changed.day)).or_default() += changed.amount;
                }
                applied.clone_from(version);
            }
            totals.retain(|_, total| *total != 0);
            let last: BTreeMap<_, _> =
                versions[versions.len() - 1].iter().map(|c| ((c.attribute.clone(), c.day), c.amount)).collect();
            prop_assert_eq!(totals, last);
        }
    }
}
