//! Which setting somebody probably meant.

use crate::list::{self, Setting};

/// The most edits at which a name still counts as a slip of the pen.
const EDITS_MAX: usize = 3;

/// The setting whose key is at most [`EDITS_MAX`] edits away, the nearest first.
pub(super) fn setting(bare: &str) -> Option<&'static Setting> {
    list::all()
        .map(|setting| (edits(bare, &setting.key()), setting))
        .filter(|(edits, _)| *edits <= EDITS_MAX)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, setting)| setting)
}

/// Levenshtein's distance, one row at a time.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(setting("flush_aftr").map(|s| s.name), Some("TRIBUTARY_FLUSH_AFTER"));
        assert!(setting("entirely_different_thing").is_none());
    }
}
