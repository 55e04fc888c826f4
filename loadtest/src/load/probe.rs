//! When a telling is in the ledger: asked of Redis, of some people of whom nothing else is told at that time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_64;

use super::{lateness::Lateness, tap::Start};

/// Partitions, unless a setting says otherwise.
pub(crate) const PARTITIONS: u64 = 64;
/// From one look to the next; a lateness is seen so much later than it is.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How long anything is watched; what is not there then counts as so late.
const WATCH_MAX: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Probe {
    link: MultiplexedConnection,
    start: Start,
    pub(crate) lateness: Arc<Lateness>,
    /// Commands that were ours, and must not be counted as the services'.
    pub(crate) asked: Arc<AtomicU64>,
}

impl Probe {
    pub(crate) fn new(link: MultiplexedConnection, start: Start) -> Probe {
        Probe { link, start, lateness: Arc::default(), asked: Arc::default() }
    }

    /// Whether somebody can be watched: the ledger notes no change of a number of theirs that Exist does not have.
    pub(crate) async fn is_calm(&self, name: &str) -> bool {
        self.length(&key(name)).await == Some(0)
    }

    /// Looks from now on, in a task of its own, until the ledger notes that a number of somebody's changed:
    /// `{p07}:changed:<user>` holds a field from then until Exist has it.
    pub(crate) fn watch(&self, name: &str, due_us: u64) {
        let (probe, key) = (self.clone(), key(name));
        tokio::spawn(async move {
            let begun = Instant::now();
            while begun.elapsed() < WATCH_MAX && probe.length(&key).await.unwrap_or(0) == 0 {
                sleep(LOOK_EVERY).await;
            }
            probe.lateness.note(due_us, probe.start.now_us());
        });
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.start.now_us()
    }

    async fn length(&self, key: &str) -> Option<u64> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        redis::cmd("HLEN").arg(key).query_async(&mut self.link.clone()).await.ok()
    }
}

fn key(name: &str) -> String {
    format!("{{p{:02}}}:changed:{name}", partition(name))
}

/// The partition of somebody.
pub(crate) fn partition(name: &str) -> u64 {
    xxh3_64(name.as_bytes()) % PARTITIONS
}
