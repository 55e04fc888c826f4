//! A Lua script with the name it is measured under.

use std::{future::Future, ops::Deref};

use redis::Script;
use telemetry::{Histogram, histogram};
use tokio::time::Instant;

/// The scripts that compare epochs, by the names that `tributary_fenced_total` gives them.
pub const FENCING_SCRIPTS: [&str; 4] = ["fenced/commit", "generation/look", "lease/release", "lease/renew"];

/// A script. Its name is its place in `lua/`, without the ending.
pub(crate) struct NamedScript {
    script: Script,
    took: Histogram,
}

impl NamedScript {
    pub(crate) fn new(name: &'static str, code: &str) -> Self {
        Self { script: Script::new(code), took: histogram!(SCRIPT_SECONDS, script = name) }
    }

    /// Waits for a call of this script, and measures how long it takes.
    pub(crate) async fn timed<T>(&self, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = call.await;
        self.took.record(begun.elapsed().as_secs_f64());
        answer
    }
}

impl Deref for NamedScript {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}
