//! One page of a list, and which one follows.

use serde::Deserialize;

/// Rows asked for on each page of a list of attributes; accepted where it was recorded.
pub const PAGE_ROWS: u8 = 100;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub results: Vec<T>,
    /// The number of the next one (the first is 1); nothing on the last.
    ///
    /// Counted by us: the address that Exist gives is never followed, it may name another host.
    pub next: Option<u32>,
}

impl<T> Page<T> {
    /// Page `page` as it was answered. An empty page ends the list, whatever it says of a next one.
    pub(crate) fn from_wire(wire: Wire<T>, page: u32) -> Self {
        let more = wire.next.is_some() && !wire.results.is_empty();
        Self { results: wire.results, next: page.checked_add(1).filter(|_| more) }
    }
}

/// A page as it is on the wire.
#[derive(Deserialize)]
pub(crate) struct Wire<T> {
    next: Option<String>,
    results: Vec<T>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(answer: &str, page: u32) -> Option<u32> {
        Page::<u8>::from_wire(serde_json::from_str(answer).unwrap(), page).next
    }

    #[test]
    fn the_next_page_is_counted_and_its_address_ignored() {
        let answer = r#"{"count":4,"next":"https://elsewhere.example/?page=9","previous":null,"results":[1]}"#;
        assert_eq!(next_of(answer, 1), Some(2));
        assert_eq!(next_of(r#"{"count":4,"next":null,"previous":"x","results":[1]}"#, 2), None);
    }

    #[test]
    fn an_empty_page_is_the_last() {
        assert_eq!(next_of(r#"{"count":4,"next":"https://exist.io/?page=3","results":[]}"#, 2), None);
    }
}
