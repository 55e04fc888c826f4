//! Who owns each partition of each stage: how often that changes, and how long nobody does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::probe::PARTITIONS;

const STAGES: [&str; 3] = ["fetch", "normalise", "write"];
/// From one look to the next: a gap is seen to within twice that.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of ownership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The most often that one partition of one stage changed hands.
    pub moves_max: u64,
    /// All changes of hands.
    pub moves: u64,
    /// How long partitions belonged to nobody, at the 99th of a hundred of all times that they did.
    pub unowned_p99_ms: u64,
    /// The longest.
    pub unowned_max_ms: u64,
}

#[derive(Clone)]
pub(crate) struct Leases {
    link: MultiplexedConnection,
    pub(crate) asked: Arc<AtomicU64>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    owners: HashMap<(u64, usize), String>,
    unowned_since: HashMap<(u64, usize), Instant>,
    moves: HashMap<(u64, usize), u64>,
    gaps: Vec<Duration>,
}

impl Leases {
    pub(crate) fn new(link: MultiplexedConnection) -> Leases {
        Leases { link, asked: Arc::default(), seen: Arc::default() }
    }

    /// Looks until it is dropped. A Redis that does not answer is asked again.
    pub(crate) async fn watch(self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // An answer that does not come is no news about leases.
            let _ = self.look().await;
        }
    }

    async fn look(&self) -> redis::RedisResult<()> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME");
        for partition in 0..PARTITIONS {
            for stage in STAGES {
                pipe.cmd("HMGET").arg(format!("{{p{partition:02}}}:lease:{stage}")).arg("owner").arg("until");
            }
        }
        self.asked.fetch_add(1 + PARTITIONS * 3, Ordering::Relaxed);
        type Rows = Vec<Vec<Option<String>>>;
        let mut rows: Rows = pipe.query_async(&mut self.link.clone()).await?;
        let now_s =
            rows.remove(0).first().cloned().flatten().and_then(|second| second.parse::<u64>().ok()).unwrap_or(0);
        let places = (0..PARTITIONS).flat_map(|partition| (0..STAGES.len()).map(move |stage| (partition, stage)));
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, row) in places.zip(rows) {
            let [owner, until] = [0, 1].map(|index| row.get(index).cloned().flatten().unwrap_or_default());
            let is_over = until.parse::<u64>().is_ok_and(|until_ms| until_ms < now_s * 1_000);
            seen.note(place, if is_over { "" } else { &owner }, now);
        }
        Ok(())
    }

    pub(crate) fn ownership(&self) -> Ownership {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gaps = seen.gaps.clone();
        gaps.extend(seen.unowned_since.values().map(Instant::elapsed));
        gaps.sort_unstable();
        let ms = |gap: Option<&Duration>| gap.map_or(0, |gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
        Ownership {
            moves_max: seen.moves.values().copied().max().unwrap_or(0),
            moves: seen.moves.values().sum(),
            unowned_p99_ms: ms(gaps.get((gaps.len() * 99 / 100).min(gaps.len().saturating_sub(1)))),
            unowned_max_ms: ms(gaps.last()),
        }
    }
}

impl Seen {
    fn note(&mut self, place: (u64, usize), owner: &str, now: Instant) {
        if owner.is_empty() {
            if self.owners.contains_key(&place) {
                self.unowned_since.entry(place).or_insert(now);
            }
            return;
        }
        if let Some(since) = self.unowned_since.remove(&place) {
            self.gaps.push(now.duration_since(since));
        }
        let before = self.owners.insert(place, owner.to_owned());
        if before.is_some_and(|before| before != owner) {
            *self.moves.entry(place).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_are_counted_and_gaps_are_timed() {
        let (mut seen, mut now) = (Seen::default(), Instant::now());
        for (owner, lasts) in [("", 1), ("ann", 5), ("", 2), ("ann", 1), ("bob", 1), ("", 3), ("ann", 0)] {
            seen.note((0, 0), owner, now);
            now += Duration::from_secs(lasts);
        }
        assert_eq!(seen.moves[&(0, 0)], 2, "to bob and back; ann took her own again");
        assert_eq!(seen.gaps, [2, 3].map(Duration::from_secs), "nobody had it before the first");
    }
}
