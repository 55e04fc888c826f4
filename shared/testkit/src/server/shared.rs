//! One server for a whole test process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Builder, Redis};

/// The server that all tests of this process share, started by the first that asks.
///
/// Tests run in parallel: keep to keys under a [`unique_prefix`], and start one of your own with
/// [`Redis::start`] to flush, kill, pause or reconfigure it. It ends with the process.
///
/// # Panics
/// When no server can be had; the message is that of [`TestkitError`](crate::TestkitError).
pub fn redis() -> &'static Redis {
    static SHARED: OnceLock<Redis> = OnceLock::new();
    SHARED.get_or_init(|| Builder::default().launch().unwrap_or_else(|error| panic!("{}", error.chain())))
}

/// A key prefix no other test has, of letters, digits and a final `:`.
pub fn unique_prefix() -> String {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    format!("t{}x{}:", std::process::id(), GIVEN.fetch_add(1, Ordering::Relaxed))
}
