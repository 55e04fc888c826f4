//! What every source must pass: [`crate::suite!`] makes one test of each behaviour.
//!
//! A source brings a [`Fixture`]: one account whose records the test may change, served by a small
//! server of the source's own making. The suite's [`Server`] stands in front of it and plays the
//! failures, so that no source has to imitate them.

pub mod behaviour; // the behaviours themselves
mod server; // the server that fails on command

pub use server::{Failure, Server};

use event::ExternalId;
use jiff::Timestamp;

use crate::{Account, RulesByAttribute, Source};

/// One account of one source, and the records behind it.
///
/// Every record counts under [`Fixture::rules`] and lies on the day before [`Fixture::now`] or later.
#[async_trait::async_trait]
pub trait Fixture: Send + Sync {
    /// The source, made with the server's address.
    fn source(&self) -> &dyn Source;

    /// The server in front of the records.
    fn server(&self) -> &Server;

    /// The account. Its credentials hold at least one text that is a secret.
    fn account(&self) -> Account;

    /// Rules under which every record counts, with what Exist needs beside them (`label`, `mode`).
    fn rules(&self) -> RulesByAttribute;

    /// Rules of which each is wrong for a reason of its own.
    fn wrong_rules(&self) -> RulesByAttribute;

    /// The time of the next read; moves on with every change.
    fn now(&self) -> Timestamp;

    /// Whether a 404 or 410 refuses the whole read: not where one of several things may be missing.
    fn refuses_what_is_missing(&self) -> bool {
        true
    }

    /// Adds a record that counts and returns its id.
    async fn create(&self) -> ExternalId;

    /// Changes what a record counts.
    async fn edit(&self, id: &ExternalId);

    /// Deletes a record, as its user would.
    async fn delete(&self, id: &ExternalId);

    /// Takes a needed field from a record's row, as a change at the source.
    async fn break_row(&self, id: &ExternalId);

    /// From now on every object of an answer has a field that nobody knows.
    async fn add_unknown_fields(&self);
}

/// Makes a test of each behaviour: `source::suite!(fixture().await);`.
///
/// The expression is evaluated in an `async` block of each test. Needs `tokio` with `macros`.
#[macro_export]
macro_rules! suite {
    ($fixture:expr) => {
        $crate::suite!(@ $fixture;
            the_back_fill_brings_every_record_once,
            nothing_new_brings_no_row,
            a_new_record_comes_once,
            an_edit_is_one_newer_row,
            a_deletion_is_one_deleted_row,
            a_malformed_row_leaves_the_others,
            reading_again_with_the_same_cursor_brings_at_least_the_same,
            every_status_is_its_error,
            a_failed_read_moves_nothing,
            no_credential_reaches_an_error_a_row_or_a_cursor,
            unknown_fields_are_ignored,
            every_record_counts_under_its_rules,
            wrong_rules_are_named_all_at_once,
            missing_credentials_are_named_and_never_shown
        );
    };
    (@ $fixture:expr; $($behaviour:ident),+) => {
        $(#[tokio::test]
        async fn $behaviour() {
            $crate::suite::behaviour::$behaviour(&$fixture).await;
        })+
    };
}
